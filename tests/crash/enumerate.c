/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strategies. All are bounded: the exhaustive one by the number of units, the random one by its
 * count, the single ones by a cap on units. Units that have been in flight for long (a file that is
 * never synced) are left to chance, so that they do not drown the fresh ones.
 */
#include "tests/crash/enumerate.h"

#include <stdlib.h>
#include <string.h>

struct run {
    struct disk *disk;
    const struct enumerate_config *config;
    enumerate_take take;
    void *ctx;
    const struct unit *units;
    size_t count;
    size_t *fresh; /* indexes of the fresh units */
    size_t fresh_count;
    uint8_t *keep;
    uint64_t random;
    struct state state;
};

const char *strategy_name(enum strategy s)
{
    static const char *const names[STRATEGIES] = {"none", "all",  "prefix",     "dropped", "alone",
                                                  "torn", "file", "exhaustive", "random"};
    return s < STRATEGIES ? names[s] : "?";
}

/* Hands out the state that `keep` says; old units get chances of their own first, but where the
 * strategy speaks of everything. */
static void emit(struct run *r, enum strategy s, size_t torn, uint8_t sectors)
{
    if (s != STRATEGY_NONE && s != STRATEGY_ALL && s != STRATEGY_FILE) {
        size_t f = 0;
        for (size_t i = 0; i < r->count; i++) {
            if (f < r->fresh_count && r->fresh[f] == i)
                f++;
            else
                r->keep[i] = lab_random(&r->random) & 1;
        }
    }
    r->state.strategy = s;
    r->state.ordinal++;
    r->take(r->ctx, &r->state, disk_image(r->disk, r->keep, torn, sectors));
}

static void fill(struct run *r, uint8_t value)
{
    memset(r->keep, value, r->count);
}

static void prefixes(struct run *r)
{
    size_t cap = 4 * (size_t)r->config->singles_max;
    size_t first = r->fresh_count > cap ? r->fresh_count - cap : 0;
    fill(r, 0);
    for (size_t i = 0; i + 1 < r->fresh_count; i++) {
        r->keep[r->fresh[i]] = 1;
        if (i >= first)
            emit(r, STRATEGY_PREFIX, SIZE_MAX, 0);
    }
}

static void singles(struct run *r)
{
    size_t cap = r->config->singles_max;
    size_t first = r->fresh_count > cap ? r->fresh_count - cap : 0;
    for (size_t i = first; i < r->fresh_count; i++) {
        fill(r, 1);
        r->keep[r->fresh[i]] = 0;
        emit(r, STRATEGY_DROPPED, SIZE_MAX, 0);
        fill(r, 0);
        r->keep[r->fresh[i]] = 1;
        emit(r, STRATEGY_ALONE, SIZE_MAX, 0);
    }
}

/* The newest page write arrives up to a sector, or from one on. */
static void torn(struct run *r)
{
    size_t i = r->fresh_count;
    while (i > 0 && r->units[r->fresh[i - 1]].kind != UNIT_PAGE)
        i--;
    if (i == 0)
        return;
    for (unsigned s = 1; s < DISK_PAGE / DISK_SECTOR; s++) {
        uint8_t head = (uint8_t)((1u << s) - 1);
        fill(r, 1);
        emit(r, STRATEGY_TORN, r->fresh[i - 1], head);
        fill(r, 1);
        emit(r, STRATEGY_TORN, r->fresh[i - 1], (uint8_t)~head);
    }
}

static void files(struct run *r)
{
    size_t most = 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->units[i].kind != UNIT_NAME && r->units[i].file > most)
            most = r->units[i].file;
    for (size_t f = 0; f <= most; f++)
        for (int names = 0; names < 2; names++) {
            for (size_t i = 0; i < r->count; i++)
                r->keep[i] = r->units[i].kind == UNIT_NAME ? (uint8_t)names : r->units[i].file == f;
            emit(r, STRATEGY_FILE, SIZE_MAX, 0);
        }
}

static void subsets(struct run *r)
{
    if (r->fresh_count <= r->config->exhaustive_max) {
        for (uint32_t bits = 0; bits < 1u << r->fresh_count; bits++) {
            for (size_t i = 0; i < r->fresh_count; i++)
                r->keep[r->fresh[i]] = bits >> i & 1;
            emit(r, STRATEGY_EXHAUSTIVE, SIZE_MAX, 0);
        }
        return;
    }
    for (unsigned n = 0; n < r->config->random_subsets; n++) {
        unsigned part = (unsigned)(lab_random(&r->random) % 15) + 1; /* of 16 */
        for (size_t i = 0; i < r->fresh_count; i++)
            r->keep[r->fresh[i]] = lab_random(&r->random) % 16 < part;
        emit(r, STRATEGY_RANDOM, SIZE_MAX, 0);
    }
}

void enumerate_states(struct disk *d, const struct enumerate_config *config, enumerate_take take,
                      void *ctx)
{
    struct run r = {.disk = d, .config = config, .take = take, .ctx = ctx};
    r.state.event = disk_event(d);
    r.random = config->seed ^ (r.state.event * 0x9e3779b97f4a7c15u);
    r.units = disk_units(d, &r.count);
    r.keep = lab_alloc(r.count);
    r.fresh = lab_alloc(r.count * sizeof *r.fresh);
    for (size_t i = 0; i < r.count; i++)
        if (r.units[i].event + config->fresh_events >= r.state.event)
            r.fresh[r.fresh_count++] = i;
    emit(&r, STRATEGY_NONE, SIZE_MAX, 0);
    if (r.count > 0) {
        fill(&r, 1);
        emit(&r, STRATEGY_ALL, SIZE_MAX, 0);
        files(&r);
        prefixes(&r);
        singles(&r);
        torn(&r);
        subsets(&r);
    }
    free(r.keep);
    free(r.fresh);
}
