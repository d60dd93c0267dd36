/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strategies. All are bounded: the exhaustive one by the number of units, those that draw by
 * their count, the others by a cap on units. Units that have been in flight for long (a file that is
 * never synced) are left to chance, so that they do not drown the fresh ones.
 */
#include "tests/crash/enumerate.h"

#include <stdlib.h>
#include <string.h>

#define FILES_MAX 8u /* with units in flight, that `torn` and `pairs` look at */
#define PAIRS_MAX 6u /* units of a file's prefix */

struct run {
    struct disk *disk;
    const struct enumerate_config *config;
    enumerate_take take;
    void *ctx;
    const struct unit *units;
    size_t count;
    size_t *fresh; /* indexes of the fresh units */
    size_t fresh_count;
    size_t files[FILES_MAX]; /* that have fresh units */
    size_t files_count;
    bool grows; /* some file's new length is in flight */
    uint8_t *keep;
    uint64_t random;
    struct state state;
};

const char *strategy_name(enum strategy s)
{
    static const char *const names[STRATEGIES] = {"none",       "all",    "prefix",  "dropped",
                                                  "alone",      "torn",   "file",    "pairs",
                                                  "exhaustive", "random", "sectors", "garbage"};
    return s < STRATEGIES ? names[s] : "?";
}

static bool left_out(const struct run *r, enum strategy s)
{
    uint64_t chance = r->config->seed ^ (r->state.event << 24) ^ r->state.ordinal;
    return s != STRATEGY_NONE && s != STRATEGY_ALL && r->config->part != 0 &&
           (lab_random(&chance) & 0xffff) >= r->config->part;
}

/* Hands out the state that `keep` says; old units get chances of their own first, but where the
 * strategy speaks of everything. */
static void emit(struct run *r, enum strategy s)
{
    if (s != STRATEGY_NONE && s != STRATEGY_ALL && s != STRATEGY_FILE) {
        size_t f = 0;
        for (size_t i = 0; i < r->count; i++) {
            if (f < r->fresh_count && r->fresh[f] == i)
                f++;
            else
                r->keep[i] = lab_random(&r->random) & 1 ? DISK_ALL : 0;
        }
    }
    uint64_t garbage = s == STRATEGY_GARBAGE ? lab_random(&r->random) | 1 : 0;
    r->state.strategy = s;
    r->state.process = s == STRATEGY_ALL || r->count == 0;
    r->state.ordinal++;
    if (!left_out(r, s))
        r->take(r->ctx, &r->state, disk_image(r->disk, r->keep, garbage));
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
        r->keep[r->fresh[i]] = DISK_ALL;
        if (i >= first)
            emit(r, STRATEGY_PREFIX);
    }
}

static void singles(struct run *r)
{
    size_t cap = r->config->singles_max;
    size_t first = r->fresh_count > cap ? r->fresh_count - cap : 0;
    for (size_t i = first; i < r->fresh_count; i++) {
        fill(r, DISK_ALL);
        r->keep[r->fresh[i]] = 0;
        emit(r, STRATEGY_DROPPED);
        fill(r, 0);
        r->keep[r->fresh[i]] = DISK_ALL;
        emit(r, STRATEGY_ALONE);
    }
}

/* The newest page write of a file arrives up to a sector, or from one on. */
static void torn(struct run *r, size_t file)
{
    size_t i = r->fresh_count;
    while (i > 0 &&
           (r->units[r->fresh[i - 1]].kind != UNIT_PAGE || r->units[r->fresh[i - 1]].file != file))
        i--;
    if (i == 0)
        return;
    for (unsigned s = 1; s < DISK_PAGE / DISK_SECTOR; s++) {
        uint8_t head = (uint8_t)((1u << s) - 1);
        fill(r, DISK_ALL);
        r->keep[r->fresh[i - 1]] = head;
        emit(r, STRATEGY_TORN);
        fill(r, DISK_ALL);
        r->keep[r->fresh[i - 1]] = (uint8_t)~head;
        emit(r, STRATEGY_TORN);
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
            for (size_t i = 0; i < r->count; i++) {
                bool kept = r->units[i].kind == UNIT_NAME ? names == 1 : r->units[i].file == f;
                r->keep[i] = kept ? DISK_ALL : 0;
            }
            emit(r, STRATEGY_FILE);
        }
}

/* Sets the first `want` fresh units of a file; false when it has fewer. */
static bool keep_first(struct run *r, size_t file, size_t want)
{
    for (size_t i = 0; i < r->fresh_count && want > 0; i++) {
        const struct unit *u = &r->units[r->fresh[i]];
        if (u->kind == UNIT_NAME || u->file != file)
            continue;
        r->keep[r->fresh[i]] = DISK_ALL;
        want--;
    }
    return want == 0;
}

/* Each file is written back at a pace of its own. Names are there: they have strategies enough. */
static void pairs(struct run *r, size_t a, size_t b)
{
    for (size_t i = 0; i <= PAIRS_MAX; i++)
        for (size_t j = 0; j <= PAIRS_MAX; j++) {
            fill(r, 0);
            for (size_t u = 0; u < r->count; u++)
                if (r->units[u].kind == UNIT_NAME)
                    r->keep[u] = DISK_ALL;
            if (!keep_first(r, a, i) || !keep_first(r, b, j))
                break;
            emit(r, STRATEGY_PAIRS);
        }
}

static void exhaustive(struct run *r)
{
    for (uint32_t bits = 0; bits < 1u << r->fresh_count; bits++) {
        for (size_t i = 0; i < r->fresh_count; i++)
            r->keep[r->fresh[i]] = bits >> i & 1 ? DISK_ALL : 0;
        emit(r, STRATEGY_EXHAUSTIVE);
    }
}

/* Each unit with a chance that is drawn first. */
static void draw(struct run *r, enum strategy s)
{
    unsigned part = (unsigned)(lab_random(&r->random) % 15) + 1; /* of 16 */
    for (size_t i = 0; i < r->fresh_count; i++) {
        uint64_t chance = lab_random(&r->random);
        uint8_t all = s == STRATEGY_SECTORS && r->units[r->fresh[i]].kind == UNIT_PAGE &&
                              (chance >> 8) % 3 == 0
                          ? (uint8_t)(chance >> 16)
                          : DISK_ALL;
        r->keep[r->fresh[i]] = chance % 16 < part ? all : 0;
    }
    emit(r, s);
}

static void subsets(struct run *r)
{
    bool few = r->fresh_count <= r->config->exhaustive_max;
    if (few)
        exhaustive(r);
    for (unsigned n = 0; n < r->config->random_subsets; n++) {
        if (!few)
            draw(r, STRATEGY_RANDOM);
        draw(r, STRATEGY_SECTORS);
        if (n % 8 == 0 && r->grows)
            draw(r, STRATEGY_GARBAGE);
    }
}

static void look_at_units(struct run *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct unit *u = &r->units[i];
        size_t f = 0;
        if (u->event + r->config->fresh_events < r->state.event)
            continue;
        r->fresh[r->fresh_count++] = i;
        r->grows = r->grows || u->kind == UNIT_LENGTH || u->kind == UNIT_CHANGE;
        while (f < r->files_count && r->files[f] != u->file)
            f++;
        if (u->kind != UNIT_NAME && f == r->files_count && f < FILES_MAX)
            r->files[r->files_count++] = u->file;
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
    look_at_units(&r);
    emit(&r, STRATEGY_NONE);
    if (r.count > 0) {
        fill(&r, DISK_ALL);
        emit(&r, STRATEGY_ALL);
        files(&r);
        prefixes(&r);
        singles(&r);
        for (size_t i = 0; i < r.files_count; i++) {
            torn(&r, r.files[i]);
            for (size_t j = 0; j < i; j++)
                pairs(&r, r.files[j], r.files[i]);
        }
        subsets(&r);
    }
    free(r.keep);
    free(r.fresh);
}
