/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group's rules as bytes, setting and reading them, and how long an entry rests.
 *
 *   0      4         8            16           24          32          40         44       48
 *   +------+---------+------------+------------+-----------+-----------+----------+--------+---
 *   | form | fixed n | visibility | retry base | retry max | exclusive | max del. | factor | ...
 *   +------+---------+------------+------------+-----------+-----------+----------+--------+---
 *   48       52         56         60          64     72      88      92       96          104
 *   +--------+----------+----------+-----------+------+-------+-------+--------+-----------+---
 *   | jitter | prefetch | dead len | field len | seed | sweep | flags | holder | holder ms | ...
 *   +--------+----------+----------+-----------+------+-------+-------+--------+-----------+---
 *   104           112    120       128       132    136
 *   +-------------+------+---------+---------+------+------+-------+
 *   | redelivered | dead | refused | problem | zero | dead | field |   all little endian; times in
 *   +-------------+------+---------+---------+------+------+-------+   ms; flags: 1 turn_new, 2 keyed
 *
 * With dead_remove the fixed part is longer, by le64 flags: 1 dead_remove.
 *
 * The names stand behind the fixed part, which says its own length: a later version may have a
 * longer one, of which this one reads what it knows. What it does not know it would lose when it
 * sets options, and refuses that (OXBOW_EFORMAT).
 */
#include "engine/queue/group_rules.h"

#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/base/result.h"
#include "engine/queue/group_idle.h"
#include "engine/queue/group_key.h"
#include "engine/queue/wait.h"

#include <string.h>

#define FORM      1u
#define FIXED     136u
#define LONGER    144u
#define AT_STATE  72u
#define FLAG_TURN 0x01u
#define FLAG_KEYS 0x02u
#define AT_MORE   136u
#define MORE_DROP 0x01u

#define FACTOR_DEFAULT 200u

static struct oxbow_bytes rules_key(uint8_t out[KV_KEY_MAX], const struct group *g)
{
    uint8_t tail[4];

    put_be32(tail, g->number);
    return (struct oxbow_bytes){
        out, object_key(out, g->stream->object.id, STREAM_KIND_RULES, tail, sizeof tail)};
}

/* ---- bytes ---- */

static void state_encode(uint8_t *out, const struct group_rules *r)
{
    put_le64(out + 72, r->sweep.ms);
    put_le64(out + 80, r->sweep.seq);
    put_le32(out + 88, (r->turn_new ? FLAG_TURN : 0) | (r->keyed ? FLAG_KEYS : 0));
    put_le32(out + 92, r->holder);
    put_le64(out + 96, r->holder_ms);
    put_le64(out + 104, r->redelivered);
    put_le64(out + 112, r->dead);
    put_le64(out + 120, r->refused);
    put_le32(out + 128, r->problem);
    put_le32(out + 132, 0);
}

/* Length of the fixed part. */
static uint32_t fixed_len(const struct group_rules *r)
{
    return r->dead_remove ? LONGER : FIXED;
}

static void rules_encode(uint8_t out[LONGER], const struct group_rules *r)
{
    put_le32(out, FORM);
    put_le32(out + 4, fixed_len(r));
    put_le64(out + 8, r->visibility_ms);
    put_le64(out + 16, r->retry_base_ms);
    put_le64(out + 24, r->retry_max_ms);
    put_le64(out + 32, r->exclusive_ms);
    put_le32(out + 40, r->max_deliveries);
    put_le32(out + 44, r->retry_factor_percent);
    put_le32(out + 48, r->retry_jitter_percent);
    put_le32(out + 52, r->prefetch);
    put_le32(out + 56, r->dead_len);
    put_le32(out + 60, r->field_len);
    put_le64(out + 64, r->seed);
    state_encode(out, r);
    put_le64(out + AT_MORE, r->dead_remove ? MORE_DROP : 0);
}

static enum oxbow_err rules_decode(struct oxbow_bytes value, struct group_rules *r,
                                   struct oxbow_bytes *names)
{
    const uint8_t *p = value.data;
    uint32_t fixed;

    if (value.len < FIXED || get_le32(p) != FORM) {
        return OXBOW_ECORRUPT;
    }
    fixed = get_le32(p + 4);
    if (fixed < FIXED || fixed > value.len || get_le32(p + 56) > value.len - fixed ||
        get_le32(p + 60) > value.len - fixed - get_le32(p + 56)) {
        return OXBOW_ECORRUPT;
    }
    *r = (struct group_rules){.visibility_ms = get_le64(p + 8),
                              .retry_base_ms = get_le64(p + 16),
                              .retry_max_ms = get_le64(p + 24),
                              .exclusive_ms = get_le64(p + 32),
                              .max_deliveries = get_le32(p + 40),
                              .retry_factor_percent = get_le32(p + 44),
                              .retry_jitter_percent = get_le32(p + 48),
                              .prefetch = get_le32(p + 52),
                              .dead_len = get_le32(p + 56),
                              .field_len = get_le32(p + 60),
                              .seed = get_le64(p + 64),
                              .sweep = {get_le64(p + 72), get_le64(p + 80)},
                              .turn_new = (get_le32(p + 88) & FLAG_TURN) != 0,
                              .keyed = (get_le32(p + 88) & FLAG_KEYS) != 0,
                              .holder = get_le32(p + 92),
                              .holder_ms = get_le64(p + 96),
                              .redelivered = get_le64(p + 104),
                              .dead = get_le64(p + 112),
                              .refused = get_le64(p + 120),
                              .problem = get_le32(p + 128),
                              .dead_remove =
                                  fixed >= LONGER && (get_le64(p + AT_MORE) & MORE_DROP) != 0};
    *names = (struct oxbow_bytes){p + fixed, value.len - fixed};
    return OXBOW_OK;
}

static enum oxbow_err rules_get(struct group *g, struct group_rules *r, struct oxbow_bytes *names)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(g->stream->txn, rules_key(key, g), &value);

    return err == OXBOW_OK ? rules_decode(value, r, names) : err;
}

enum oxbow_err rules_load(struct group *g)
{
    struct oxbow_bytes names;
    enum oxbow_err err;

    if (!g->ruled) {
        return OXBOW_OK;
    }
    err = rules_get(g, &g->rules, &names);
    if (err == OXBOW_ENOENT) {
        g->rules = (struct group_rules){.sweep = OXBOW_ID_MAX};
        return OXBOW_OK;
    }
    return err;
}

enum oxbow_err rules_save(struct group *g)
{
    uint8_t key[KV_KEY_MAX];
    uint8_t fixed[LONGER];

    rules_encode(fixed, &g->rules);
    return kv_patch(g->stream->txn, rules_key(key, g), AT_STATE,
                    (struct oxbow_bytes){fixed + AT_STATE, FIXED - AT_STATE});
}

enum oxbow_err rules_heard(struct group *g)
{
    uint64_t now = group_now(g);

    if (g->rules.exclusive_ms == 0 || g->rules.holder == 0 || g->rules.holder_ms == now) {
        return OXBOW_OK;
    }
    g->rules.holder_ms = now;
    return rules_save(g);
}

enum oxbow_err rules_dead_letter(struct group *g, struct oxbow_bytes *key)
{
    struct group_rules r;
    struct oxbow_bytes names = {NULL, 0};
    enum oxbow_err err = g->rules.dead_len > 0 ? rules_get(g, &r, &names) : OXBOW_OK;

    *key = (struct oxbow_bytes){names.data, g->rules.dead_len};
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

enum oxbow_err rules_key_field(struct group *g, struct oxbow_bytes *name)
{
    struct group_rules r = {0};
    struct oxbow_bytes names = {NULL, 0};
    enum oxbow_err err = g->rules.field_len > 0 ? rules_get(g, &r, &names) : OXBOW_OK;
    const uint8_t *p = names.data;

    *name = (struct oxbow_bytes){p != NULL ? p + r.dead_len : NULL, g->rules.field_len};
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

void rules_sweep(struct group *g)
{
    g->rules.sweep = id_is_zero(g->pending_tail) ? OXBOW_ID_MAX : OXBOW_ID_MIN;
}

/* Writes the whole record. */
static enum oxbow_err rules_put(struct group *g, struct oxbow_bytes dead, struct oxbow_bytes field)
{
    struct oxbow_txn *txn = g->stream->txn;
    uint8_t key[KV_KEY_MAX];
    uint8_t fixed[LONGER];
    uint32_t len = fixed_len(&g->rules);
    enum oxbow_err err;

    rules_encode(fixed, &g->rules);
    err = kv_put(txn, rules_key(key, g), (struct oxbow_bytes){fixed, len});
    if (err == OXBOW_OK && dead.len > 0) {
        err = kv_patch(txn, rules_key(key, g), len, dead);
    }
    return err == OXBOW_OK && field.len > 0
               ? kv_patch(txn, rules_key(key, g), len + dead.len, field)
               : err;
}

enum oxbow_err rules_mend(struct group *g, bool *lost)
{
    struct group_rules r;
    struct oxbow_bytes names;
    enum oxbow_err err = rules_get(g, &r, &names);

    *lost = err == OXBOW_ENOENT || err == OXBOW_ECORRUPT;
    if (*lost) {
        g->rules = (struct group_rules){0};
        rules_sweep(g);
        err = rules_put(g, (struct oxbow_bytes){NULL, 0}, (struct oxbow_bytes){NULL, 0});
    } else if (err == OXBOW_OK) {
        rules_sweep(g);
        err = rules_save(g);
    }
    return err == OXBOW_OK ? key_mend(g) : err;
}

/* ---- options ---- */

static bool names_equal(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static enum oxbow_err options_check(struct oxbow_group group, const struct oxbow_group_options *opt)
{
    if (opt->dead_letter.len > OXBOW_KEY_NAME_MAX) {
        return OXBOW_ETOOBIG;
    }
    if (opt->visibility_ms > OXBOW_GROUP_MS_MAX || opt->retry_base_ms > OXBOW_GROUP_MS_MAX ||
        opt->retry_max_ms > OXBOW_GROUP_MS_MAX || opt->exclusive_ms > OXBOW_GROUP_MS_MAX ||
        opt->key_field.len > KEY_FIELD_MAX ||
        (opt->key_field.len > 0 && opt->key_field.data == NULL) ||
        opt->retry_jitter_percent > 100 ||
        opt->retry_factor_percent > OXBOW_GROUP_RETRY_FACTOR_MAX ||
        (opt->retry_factor_percent > 0 && opt->retry_factor_percent < 100) ||
        (opt->retry_max_ms > 0 && opt->retry_max_ms < opt->retry_base_ms)) {
        return OXBOW_EINVAL;
    }
    if (opt->dead_letter.len > 0 &&
        (opt->dead_letter.data == NULL || names_equal(opt->dead_letter, group.key))) {
        return OXBOW_EINVAL;
    }
    return opt->max_deliveries > 0 && opt->dead_letter.len == 0 ? OXBOW_EINVAL : OXBOW_OK;
}

/* Whether a record says what this version would lose. */
static bool says_more(struct oxbow_bytes value)
{
    const uint8_t *p = value.data;
    uint32_t fixed = value.len >= 8 ? get_le32(p + 4) : 0;

    return fixed > LONGER || (fixed == LONGER && value.len >= LONGER &&
                              (get_le64(p + AT_MORE) & ~(uint64_t)MORE_DROP) != 0);
}

/* What stays of the old rules: counters, and what chance they were given. */
static enum oxbow_err rules_begin(struct group *g)
{
    const struct oxbow_random *random = &txn_port(g->stream->txn)->random;
    uint8_t seed[8];
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err;

    if (g->ruled) {
        err = kv_get(g->stream->txn, rules_key(key, g), &value);
        if (err == OXBOW_OK && says_more(value)) {
            return OXBOW_EFORMAT;
        }
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    err = random->fill(random->ctx, seed, sizeof seed);
    g->ruled = err == OXBOW_OK;
    g->rules = (struct group_rules){.seed = get_le64(seed)};
    return err;
}

enum oxbow_err oxbow_group_options_set(struct oxbow_txn *txn, struct oxbow_group group,
                                       const struct oxbow_group_options *opt)
{
    struct stream s;
    struct group g;
    enum oxbow_err err = opt != NULL ? options_check(group, opt) : OXBOW_EINVAL;

    if (err == OXBOW_OK) {
        err = txn_readonly(txn) ? OXBOW_EREADONLY : group_find_any(txn, group, &s, &g);
    }
    if (err == OXBOW_OK) {
        err = txn_reserve_bytes(txn, LONGER + IDLE_RECORD + opt->dead_letter.len +
                                         opt->key_field.len + group.key.len + group.name.len);
    }
    if (err == OXBOW_OK) {
        err = txn_feature_require(txn, STORE_FEATURE_RULES);
    }
    if (err == OXBOW_OK) {
        err = rules_begin(&g);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    g.rules.visibility_ms = opt->visibility_ms;
    g.rules.max_deliveries = opt->max_deliveries;
    g.rules.retry_base_ms = opt->retry_base_ms;
    g.rules.retry_factor_percent = opt->retry_factor_percent;
    g.rules.retry_max_ms = opt->retry_max_ms;
    g.rules.retry_jitter_percent = opt->retry_jitter_percent;
    g.rules.prefetch = opt->prefetch;
    g.rules.exclusive_ms = opt->exclusive_ms;
    g.rules.dead_remove = opt->dead_remove;
    g.rules.dead_len = (uint32_t)opt->dead_letter.len;
    g.rules.field_len = (uint32_t)opt->key_field.len;
    g.rules.keyed = g.rules.keyed || opt->key_field.len > 0;
    g.rules.holder = opt->exclusive_ms > 0 ? g.rules.holder : 0;
    g.rules.problem = OXBOW_OK;
    rules_sweep(&g);
    group_clock_set(&g);
    err = rules_put(&g, opt->dead_letter, opt->key_field);
    if (err == OXBOW_OK) {
        err = group_save(&g);
    }
    if (err == OXBOW_OK) {
        err = opt->max_deliveries > 0 ? group_idle_note(&g, &group) : group_idle_forget(&g);
    }
    if (err == OXBOW_OK) {
        err = wait_touch(txn, &s.object); /* more may be visible now */
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

enum oxbow_err oxbow_group_options_get(struct oxbow_txn *txn, struct oxbow_group group,
                                       struct oxbow_result *memory, struct oxbow_group_options *opt)
{
    struct stream s;
    struct group g;
    struct oxbow_bytes dead = {NULL, 0}, field = {NULL, 0};
    enum oxbow_err err = group_find_any(txn, group, &s, &g);

    if (err == OXBOW_OK) {
        err = result_begin(memory, &txn_port(txn)->alloc, STREAM_RESULT_BYTES_MAX);
    }
    if (err == OXBOW_OK && g.ruled) {
        err = rules_dead_letter(&g, &dead);
    }
    if (err == OXBOW_OK && g.ruled) {
        err = rules_key_field(&g, &field);
    }
    if (err == OXBOW_OK) {
        err = result_item(memory, dead);
    }
    if (err == OXBOW_OK) {
        err = result_item(memory, field);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    result_finish(memory);
    *opt = (struct oxbow_group_options){0};
    if (g.ruled) {
        *opt = (struct oxbow_group_options){.visibility_ms = g.rules.visibility_ms,
                                            .max_deliveries = g.rules.max_deliveries,
                                            .retry_base_ms = g.rules.retry_base_ms,
                                            .retry_factor_percent = g.rules.retry_factor_percent,
                                            .retry_max_ms = g.rules.retry_max_ms,
                                            .retry_jitter_percent = g.rules.retry_jitter_percent,
                                            .prefetch = g.rules.prefetch,
                                            .dead_letter = memory->items[0],
                                            .key_field = memory->items[1],
                                            .exclusive_ms = g.rules.exclusive_ms,
                                            .dead_remove = g.rules.dead_remove};
    }
    return OXBOW_OK;
}

/* ---- resting ---- */

static uint64_t rest_max(const struct group_rules *r)
{
    if (r->retry_max_ms > 0) {
        return r->retry_max_ms;
    }
    return r->retry_base_ms > OXBOW_GROUP_RETRY_MAX_DEFAULT ? r->retry_base_ms
                                                            : OXBOW_GROUP_RETRY_MAX_DEFAULT;
}

/* The chance is a hash of what it is about, so that it is the same whenever it is asked for. */
uint64_t rules_rest_ms(const struct group *g, struct oxbow_id id, uint64_t deliveries)
{
    const struct group_rules *r = &g->rules;
    uint64_t factor = r->retry_factor_percent > 0 ? r->retry_factor_percent : FACTOR_DEFAULT;
    uint64_t max = rest_max(r);
    uint64_t rest = r->retry_base_ms;
    uint64_t n;
    uint8_t what[24];
    uint64_t cut;

    if (rest == 0) {
        return 0;
    }
    for (n = 1; n < deliveries && rest < max && factor > 100; n++) {
        rest += (rest * (factor - 100) + 99) / 100; /* grows, if it is only 1 */
    }
    rest = rest < max ? rest : max;
    put_le64(what, id.ms);
    put_le64(what + 8, id.seq);
    put_le64(what + 16, deliveries);
    cut = rest * r->retry_jitter_percent / 100;
    return rest - (cut > 0 ? hash64(what, sizeof what, r->seed) % (cut + 1) : 0);
}
