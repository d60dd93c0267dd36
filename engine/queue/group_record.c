/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of groups, and the group's clock.
 *
 *   0      4           8               12     16        32             40        48
 *   +------+-----------+---------------+------+---------+--------------+---------+--
 *   | form | consumers | consumer_next |ruled | last id | entries_read | pending | ...
 *   +------+-----------+---------------+------+---------+--------------+---------+--
 *   48            64             80           88             96           104         112
 *   +-------------+--------------+------------+--------------+------------+-----------+------
 *   | pending_low | pending_tail | clock_boot | clock_uptime | clock_at   | clock_age | name
 *   +-------------+--------------+------------+--------------+------------+-----------+------
 *                                                                   all little endian
 *
 * ruled is 1 for a group that was given options (group_rules.c), and 0 otherwise. clock_at is a
 * reading of the store's clock with CLOCK_SURE or CLOCK_STEADY; neither: a wall clock's, of a version
 * before, which says nothing here. To that version a reading of ours is a wall clock that is ahead of
 * every other, and says nothing there.
 *
 * 1. Numbers are never reused, so that what a destroyed group left behind is nobody's.
 * 2. The clock never goes back within one opening of the store.
 * 3. It never counts more time than has passed between two settings. What wall clocks add to the
 *    store's clock may have passed before the first of them if the wall clock was not believed then.
 */
#include "engine/queue/group.h"
#include "engine/queue/group_name.h"
#include "engine/queue/group_rules.h"

#include "engine/base/codec.h"

#include <string.h>

#define GROUP_FIXED 112u
#define REAP_KEYS   64u   /* removed by one step of reaping */
#define DROP_KEYS   4096u /* removed at once when a group is destroyed */

/* The clock starts here, so that times before it can be told. */
#define CLOCK_START_MS ((uint64_t)1 << 46)
#define CLOCK_SURE     ((uint64_t)1 << 63) /* all of the store's clock: the wall was believed */
#define CLOCK_STEADY   ((uint64_t)1 << 62) /* the store's clock without what wall clocks added */
#define CLOCK_AT(v)    ((v) & (CLOCK_STEADY - 1))

struct names group_name_table(const struct stream *s)
{
    return (struct names){s, STREAM_KIND_GROUP_NAME, STREAM_KIND_GROUP, 0, GROUP_FIXED};
}

/* ---- groups ---- */

static void group_encode(uint8_t out[GROUP_FIXED], const struct group *g)
{
    memset(out, 0, GROUP_FIXED);
    put_le32(out, RECORD_FORMAT);
    put_le32(out + 4, g->consumers);
    put_le32(out + 8, g->consumer_next);
    put_le32(out + 12, g->ruled ? 1 : 0);
    put_le64(out + 16, g->last.ms);
    put_le64(out + 24, g->last.seq);
    put_le64(out + 32, g->entries_read);
    put_le64(out + 40, g->pending);
    put_le64(out + 48, g->pending_low.ms);
    put_le64(out + 56, g->pending_low.seq);
    put_le64(out + 64, g->pending_tail.ms);
    put_le64(out + 72, g->pending_tail.seq);
    put_le64(out + 80, g->clock_boot);
    put_le64(out + 88, g->clock_uptime_ms);
    put_le64(out + 96, g->clock_at);
    put_le64(out + 104, g->clock_age_ms);
}

static void group_decode(struct stream *s, uint32_t number, struct oxbow_bytes record,
                         struct group *g)
{
    const uint8_t *p = record.data;

    *g = (struct group){.stream = s,
                        .number = number,
                        .consumers = get_le32(p + 4),
                        .consumer_next = get_le32(p + 8),
                        .ruled = get_le32(p + 12) != 0,
                        .last = {get_le64(p + 16), get_le64(p + 24)},
                        .entries_read = get_le64(p + 32),
                        .pending = get_le64(p + 40),
                        .pending_low = {get_le64(p + 48), get_le64(p + 56)},
                        .pending_tail = {get_le64(p + 64), get_le64(p + 72)},
                        .clock_boot = get_le64(p + 80),
                        .clock_uptime_ms = get_le64(p + 88),
                        .clock_at = get_le64(p + 96),
                        .clock_age_ms = get_le64(p + 104)};
}

enum oxbow_err group_find_in(struct stream *s, struct oxbow_bytes name, struct group *g)
{
    struct names names = group_name_table(s);
    struct oxbow_bytes record;
    uint32_t slot, number;
    enum oxbow_err err = name_find(&names, name, &slot, &number, &record);

    if (err == OXBOW_OK) {
        group_decode(s, number, record, g);
        return rules_load(g);
    }
    return err == OXBOW_ENOENT ? OXBOW_ENOGROUP : err;
}

enum oxbow_err group_find(struct oxbow_txn *txn, struct oxbow_group group, struct stream *s,
                          struct group *g)
{
    enum oxbow_err err = stream_find(txn, group.key, s);

    return err == OXBOW_OK ? group_find_in(s, group.name, g) : err;
}

enum oxbow_err group_find_any(struct oxbow_txn *txn, struct oxbow_group group, struct stream *s,
                              struct group *g)
{
    enum oxbow_err err = group_find(txn, group, s, g);

    return err == OXBOW_ENOENT ? OXBOW_ENOGROUP : err;
}

enum oxbow_err group_save(struct group *g)
{
    struct names names = group_name_table(g->stream);
    uint8_t key[KV_KEY_MAX];
    uint8_t fixed[GROUP_FIXED];

    group_encode(fixed, g);
    return kv_patch(g->stream->txn, record_key(key, &names, g->number), 0,
                    (struct oxbow_bytes){fixed, sizeof fixed});
}

static uint64_t steady_ms(const struct oxbow_txn *txn)
{
    return txn_clock_ms(txn) - txn_clock_added_ms(txn);
}

/* The store's clocks, as they are now. */
static void clock_stamp(struct group *g)
{
    struct oxbow_txn *txn = g->stream->txn;
    uint64_t wall;

    g->clock_boot = txn_boot(txn);
    g->clock_uptime_ms = txn_uptime_ms(txn);
    g->clock_at = txn_wall_believed(txn, &wall) ? txn_clock_ms(txn) | CLOCK_SURE
                                                : steady_ms(txn) | CLOCK_STEADY;
}

enum oxbow_err group_make(struct stream *s, struct oxbow_bytes name, struct group *g)
{
    struct names names = group_name_table(s);
    struct oxbow_bytes record;
    uint8_t fixed[GROUP_FIXED];
    uint32_t slot, number;
    enum oxbow_err err;

    if (name.len > OXBOW_GROUP_NAME_MAX) {
        return OXBOW_EINVAL;
    }
    err = name_find(&names, name, &slot, &number, &record);
    if (err != OXBOW_ENOENT) {
        return err == OXBOW_OK ? OXBOW_EBUSYGROUP : err;
    }
    *g = (struct group){.stream = s,
                        .number = s->group_next,
                        .consumer_next = 1,
                        .entries_read = GROUP_READ_UNKNOWN,
                        .pending_low = OXBOW_ID_MAX,
                        .clock_age_ms = CLOCK_START_MS};
    clock_stamp(g);
    group_encode(fixed, g);
    err = name_add(&names, name, &(struct name_record){slot, g->number, fixed});
    if (err == OXBOW_OK) {
        s->groups++;
        s->group_next++;
    }
    return err;
}

enum oxbow_err
group_each(struct stream *s,
           enum oxbow_err (*each)(void *ctx, struct group *g, struct oxbow_bytes name), void *ctx)
{
    struct names names = group_name_table(s);
    uint8_t low[KV_KEY_MAX];
    struct oxbow_bytes want = record_key(low, &names, 0), key, value;
    struct kv_cursor cursor;
    enum oxbow_err err = kv_cursor_init(&cursor, s->txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek_in(&cursor, want, want.len - 4, &key, &value);
    while (err == OXBOW_OK && key.len == want.len && memcmp(key.data, low, want.len - 4) == 0) {
        struct group g;

        err = record_check(&names, value);
        if (err != OXBOW_OK) {
            break;
        }
        group_decode(s, get_be32((const uint8_t *)key.data + want.len - 4), value, &g);
        err = rules_load(&g);
        if (err == OXBOW_OK) {
            err = each(ctx, &g, record_name(&names, value));
        }
        if (err == OXBOW_OK) {
            err = kv_cursor_next(&cursor, &key, &value);
        }
    }
    kv_cursor_fini(&cursor);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* ---- dropping a group ---- */

static const enum stream_kind owned[] = {
    STREAM_KIND_CONSUMER_NAME, STREAM_KIND_CONSUMER, STREAM_KIND_PENDING, STREAM_KIND_RULES,
    STREAM_KIND_NOTE,          STREAM_KIND_LOOK,     STREAM_KIND_LOOK_AT, STREAM_KIND_KEY,
    STREAM_KIND_KEY_LINE,      STREAM_KIND_SERVED};

static struct oxbow_bytes scope_key(uint8_t out[KV_KEY_MAX], const struct stream *s,
                                    enum stream_kind kind, uint32_t scope)
{
    uint8_t tail[4];

    put_be32(tail, scope);
    return (struct oxbow_bytes){out,
                                object_key(out, s->object.id, (uint8_t)kind, tail, sizeof tail)};
}

/* Removes at most `max` keys of each kind that the group owned. */
static enum oxbow_err owned_delete(struct stream *s, uint32_t number, size_t max, bool *more)
{
    size_t i;

    *more = false;
    for (i = 0; i < sizeof owned / sizeof owned[0]; i++) {
        uint8_t from[KV_KEY_MAX], to[KV_KEY_MAX];
        bool left;
        enum oxbow_err err = kv_del_range(s->txn, scope_key(from, s, owned[i], number),
                                          scope_key(to, s, owned[i], number + 1), max, &left);

        if (err != OXBOW_OK) {
            return err;
        }
        *more = *more || left;
    }
    return OXBOW_OK;
}

enum oxbow_err group_drop(struct group *g, struct oxbow_bytes name)
{
    struct stream *s = g->stream;
    struct names names = group_name_table(s);
    uint8_t key[KV_KEY_MAX];
    bool more;
    enum oxbow_err err = name_remove(&names, name, g->number);

    if (err == OXBOW_OK) {
        err = owned_delete(s, g->number, DROP_KEYS, &more);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    s->groups--;
    if (more) {
        s->groups_dead++;
        err = kv_put(s->txn, scope_key(key, s, STREAM_KIND_DEAD_GROUP, g->number),
                     (struct oxbow_bytes){"", 0});
    }
    return err;
}

enum oxbow_err group_reap(struct stream *s, bool *changed)
{
    uint8_t low[KV_KEY_MAX];
    struct oxbow_bytes want = scope_key(low, s, STREAM_KIND_DEAD_GROUP, 0), key, value;
    struct kv_cursor cursor;
    uint32_t number = 0;
    bool more = true;
    enum oxbow_err err;

    *changed = false;
    if (s->groups_dead == 0) {
        return OXBOW_OK;
    }
    err = kv_cursor_init(&cursor, s->txn);
    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek_in(&cursor, want, want.len - 4, &key, &value);
    if (err == OXBOW_OK && key.len == want.len && memcmp(key.data, low, want.len - 4) == 0) {
        number = get_be32((const uint8_t *)key.data + want.len - 4);
    }
    kv_cursor_fini(&cursor);
    if (err != OXBOW_OK || number == 0) {
        return err == OXBOW_OK || err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    err = owned_delete(s, number, REAP_KEYS, &more);
    if (err == OXBOW_OK && !more) {
        s->groups_dead--;
        *changed = true;
        err = kv_del(s->txn, scope_key(low, s, STREAM_KIND_DEAD_GROUP, number));
    }
    return err;
}

/* ---- the clock ---- */

bool group_clock_old(const struct group *g)
{
    return g->clock_boot != txn_boot(g->stream->txn);
}

/* How much time has gone by since the clock was set, at least. */
static uint64_t clock_gone(const struct group *g)
{
    const struct oxbow_txn *txn = g->stream->txn;
    uint64_t at = CLOCK_AT(g->clock_at);
    uint64_t up = txn_uptime_ms(g->stream->txn);
    uint64_t now = (g->clock_at & CLOCK_SURE) != 0 ? txn_clock_ms(txn) : steady_ms(txn);

    if ((g->clock_at & (CLOCK_SURE | CLOCK_STEADY)) == 0) {
        return up >= g->clock_uptime_ms ? up - g->clock_uptime_ms : up;
    }
    return now > at ? now - at : 0;
}

uint64_t group_now(const struct group *g)
{
    return g->clock_age_ms + clock_gone(g);
}

void group_clock_set(struct group *g)
{
    g->clock_age_ms = group_now(g);
    clock_stamp(g);
}
