/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the table of openings and reckons true times from it.
 *
 *   KV_SPACE_TIME 'b' be64 boot -> an opening that does not know the time (yet)
 *   KV_SPACE_TIME 'k' be64 boot -> one that does
 *
 *   0      1    8             16             24            32           40        48
 *   | form | 0  | steady start| uptime start | before wall | before at  | wall    | uptime |
 *                                                                        '---- 'k' alone ---'
 *
 * The steady clock (the store's, without what wall clocks have added to it) and the uptime when the
 * opening began; the last wall clock that was believed before that, and the steady clock then (0:
 * never one); a believed wall clock of this opening and the uptime then.
 *
 * With them: (1) uptimes of an opening that knows the time are off the wall clock by a constant.
 * (2) The steady clock never counts more time than has passed. So between a believed wall clock
 * before and one after, a reading of it bounds the true time from both sides.
 *
 * Invariants: an opening has at most one record, and those of openings older than the newest
 * OXBOW_TIME_BOOTS go.
 */
#include "engine/queue/boots.h"

#include "engine/base/codec.h"
#include "engine/base/id.h"
#include "engine/base/num.h"
#include "engine/queue/chunk.h"
#include "engine/queue/stream.h"

#include <string.h>

#define KEY_BYTES     10u
#define UNKNOWN_BYTES 40u
#define KNOWN_BYTES   56u
#define BOOT_FORMAT   1u
#define PRUNE_STEP    64u
#define JUMP_MS       2000u          /* less is drift */
#define PLAUSIBLE_MS  1704067200000u /* 2024 */

struct boot {
    struct txn_clock_start start;
    bool known;
    uint64_t wall_ms;
    uint64_t uptime_ms;
};

static struct oxbow_bytes boot_key(uint8_t out[KEY_BYTES], char kind, uint64_t boot)
{
    out[0] = KV_SPACE_TIME;
    out[1] = (uint8_t)kind;
    put_be64(out + 2, boot);
    return (struct oxbow_bytes){out, KEY_BYTES};
}

static enum oxbow_err boot_put(struct oxbow_txn *txn, uint64_t number, const struct boot *b)
{
    uint8_t key[KEY_BYTES];
    uint8_t value[KNOWN_BYTES] = {BOOT_FORMAT};

    put_le64(value + 8, b->start.steady_ms);
    put_le64(value + 16, b->start.uptime_ms);
    put_le64(value + 24, b->start.wall_ms);
    put_le64(value + 32, b->start.wall_at);
    put_le64(value + 40, b->wall_ms);
    put_le64(value + 48, b->uptime_ms);
    return kv_put(txn, boot_key(key, b->known ? 'k' : 'b', number),
                  (struct oxbow_bytes){value, b->known ? KNOWN_BYTES : UNKNOWN_BYTES});
}

/* OXBOW_ENOENT when it is too short or of another format: as if it were not there. */
static enum oxbow_err boot_decode(struct oxbow_bytes value, bool known, struct boot *b)
{
    const uint8_t *p = value.data;

    if (value.len < (known ? KNOWN_BYTES : UNKNOWN_BYTES) || p[0] != BOOT_FORMAT) {
        return OXBOW_ENOENT;
    }
    *b = (struct boot){
        .start = {get_le64(p + 8), get_le64(p + 16), get_le64(p + 24), get_le64(p + 32), true},
        .known = known};
    if (known) {
        b->wall_ms = get_le64(p + 40);
        b->uptime_ms = get_le64(p + 48);
    }
    return OXBOW_OK;
}

static enum oxbow_err boot_get_kind(struct oxbow_txn *txn, char kind, uint64_t number,
                                    struct boot *b)
{
    uint8_t key[KEY_BYTES];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, boot_key(key, kind, number), &value);

    if (err == OXBOW_ECORRUPT) {
        return OXBOW_ENOENT; /* times of that opening are unknown then */
    }
    return err == OXBOW_OK ? boot_decode(value, kind == 'k', b) : err;
}

static enum oxbow_err boot_get(struct oxbow_txn *txn, uint64_t number, struct boot *b)
{
    enum oxbow_err err = boot_get_kind(txn, 'k', number, b);

    return err == OXBOW_ENOENT ? boot_get_kind(txn, 'b', number, b) : err;
}

/* ---- keeping the table ---- */

static enum oxbow_err prune(struct oxbow_txn *txn, char kind, uint64_t below)
{
    uint8_t from[KEY_BYTES];
    uint8_t to[KEY_BYTES];
    bool more;

    return kv_del_range(txn, boot_key(from, kind, 0), boot_key(to, kind, below), PRUNE_STEP, &more);
}

static enum oxbow_err boot_add(struct oxbow_txn *txn, uint64_t number, const struct boot *b)
{
    enum oxbow_err err = boot_put(txn, number, b);

    if (err == OXBOW_OK && number > OXBOW_TIME_BOOTS) {
        err = prune(txn, 'b', number - OXBOW_TIME_BOOTS);
        if (err == OXBOW_OK) {
            err = prune(txn, 'k', number - OXBOW_TIME_BOOTS);
        }
    }
    return err;
}

/* Now, as a record of this opening. */
static struct boot boot_now(struct oxbow_txn *txn)
{
    struct boot b = {0};

    txn_clock_start(txn, &b.start);
    b.known = txn_wall_believed(txn, &b.wall_ms);
    b.uptime_ms = txn_uptime_ms(txn);
    return b;
}

/* Whether a record that knows the time is no longer right: the clock was set anew. */
static bool moved(const struct boot *was, const struct boot *now)
{
    uint64_t ahead = (now->wall_ms - now->uptime_ms) - (was->wall_ms - was->uptime_ms);

    return now->known && ahead + JUMP_MS > 2 * (uint64_t)JUMP_MS;
}

/* The record, or what it would say of this opening: what is in a cache is of this one, and has none written. */
static enum oxbow_err boot_of(struct oxbow_txn *txn, uint64_t number, struct boot *b)
{
    enum oxbow_err err = boot_get(txn, number, b);

    if (err == OXBOW_ENOENT && number == txn_boot(txn)) {
        *b = boot_now(txn);
        err = b->start.counted ? OXBOW_OK : err;
    }
    return err;
}

enum oxbow_err boots_note(struct oxbow_txn *txn)
{
    uint64_t number = txn_boot(txn);
    struct boot now;
    struct boot was;
    uint8_t key[KEY_BYTES];
    enum oxbow_err err;

    if (txn_in_cache(txn)) {
        return OXBOW_OK;
    }
    now = boot_now(txn);
    err = boot_get(txn, number, &was);
    if (err == OXBOW_ENOENT) {
        return boot_add(txn, number, &now);
    }
    if (err != OXBOW_OK || !now.known || (was.known && !moved(&was, &now))) {
        return err;
    }
    err = boot_put(txn, number, &now);
    return err == OXBOW_OK && !was.known ? kv_del(txn, boot_key(key, 'b', number)) : err;
}

enum oxbow_err boots_settle(struct oxbow_txn *txn, bool *waiting)
{
    struct boot was;
    uint64_t wall;
    enum oxbow_err err = boot_get_kind(txn, 'b', txn_boot(txn), &was);

    *waiting = err == OXBOW_OK;
    if (err == OXBOW_OK && txn_wall_believed(txn, &wall)) {
        *waiting = false;
        return boots_note(txn);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* ---- reckoning ---- */

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* True time when the opening began, of one that knows it. */
static uint64_t boot_began(const struct boot *b)
{
    return b->wall_ms - (b->uptime_ms - b->start.uptime_ms);
}

/* The nearest opening after or before that one which knows the time, in the table. OXBOW_ENOENT. */
static enum oxbow_err boot_near(struct oxbow_txn *txn, uint64_t number, bool after, struct boot *b)
{
    uint8_t buf[KEY_BYTES];
    struct kv_cursor c;
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    if (after) {
        err = kv_cursor_seek(&c, boot_key(buf, 'k', number + 1), &key, &value);
    } else {
        err = kv_cursor_seek_back(&c, boot_key(buf, 'k', less(number, 1)), &key, &value);
    }
    if (err == OXBOW_OK && (key.len != KEY_BYTES || ((const uint8_t *)key.data)[0] != buf[0] ||
                            ((const uint8_t *)key.data)[1] != buf[1])) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        err = boot_decode(value, true, b);
    }
    kv_cursor_fini(&c);
    return err == OXBOW_ECORRUPT ? OXBOW_ENOENT : err;
}

/* Not later than what the next opening that knows the time says, or this one. */
static enum oxbow_err bound_after(struct oxbow_txn *txn, uint64_t number, uint64_t clock,
                                  uint64_t *to)
{
    struct boot b = {0};
    enum oxbow_err err = boot_near(txn, number, true, &b);

    if (err == OXBOW_ENOENT) {
        b = boot_now(txn); /* it need not have stamped anything */
        err = OXBOW_OK;
        if (!b.known) {
            *to = UINT64_MAX;
            return OXBOW_OK;
        }
    }
    if (err == OXBOW_OK) {
        *to = boot_began(&b) - less(b.start.steady_ms, clock);
    }
    return err;
}

/* Of an opening without a record. */
static enum oxbow_err guess(struct oxbow_txn *txn, const struct oxbow_stamp *stamp,
                            struct oxbow_true_time *out)
{
    struct boot b = {0};
    enum oxbow_err err;

    if (stamp->wall_ms >= PLAUSIBLE_MS) {
        *out = (struct oxbow_true_time){true, stamp->wall_ms, stamp->wall_ms};
        return OXBOW_OK;
    }
    *out = (struct oxbow_true_time){false, 0, UINT64_MAX};
    err = boot_near(txn, stamp->boot, false, &b);
    if (err == OXBOW_OK) {
        out->from_ms = b.wall_ms;
    }
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    return bound_after(txn, stamp->boot, UINT64_MAX, &out->to_ms);
}

enum oxbow_err boots_age(struct oxbow_txn *txn, uint64_t boot, uint64_t uptime_ms, uint64_t *ms)
{
    uint64_t steady = less(txn_clock_ms(txn), txn_clock_added_ms(txn));
    struct boot b;
    enum oxbow_err err = boot_of(txn, boot, &b);

    *ms = UINT64_MAX;
    if (err == OXBOW_OK) {
        *ms = less(steady, b.start.steady_ms + less(uptime_ms, b.start.uptime_ms));
    }
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}

enum oxbow_err oxbow_true_time(struct oxbow_txn *txn, const struct oxbow_stamp *stamp,
                               struct oxbow_true_time *out)
{
    struct oxbow_true_time t = {0};
    struct boot b;
    uint64_t clock;
    enum oxbow_err err;

    if (stamp == NULL || out == NULL) {
        return OXBOW_EINVAL;
    }
    err = boot_of(txn, stamp->boot, &b);
    if (err == OXBOW_OK && !b.known && stamp->boot == txn_boot(txn)) {
        struct boot now = boot_now(txn);

        b = now.start.counted ? now : b;
    }
    if (err == OXBOW_OK && b.known) {
        t.known = true;
        t.from_ms = t.to_ms = b.wall_ms + stamp->uptime_ms - b.uptime_ms;
    } else if (err == OXBOW_OK) {
        clock = b.start.steady_ms + less(stamp->uptime_ms, b.start.uptime_ms);
        t.from_ms = b.start.wall_ms == 0 ? 0 : b.start.wall_ms + less(clock, b.start.wall_at);
        err = bound_after(txn, stamp->boot, clock, &t.to_ms);
        t.to_ms = t.to_ms > t.from_ms ? t.to_ms : t.from_ms;
    } else if (err == OXBOW_ENOENT) {
        err = guess(txn, stamp, &t);
    }
    if (err == OXBOW_OK) {
        *out = t;
    }
    return err;
}

/* The stamp of the chunk after the one with that first id. OXBOW_ENOENT: it is the last. */
static enum oxbow_err next_stamp(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 struct oxbow_id first, struct oxbow_stamp *stamp)
{
    struct stream s;
    uint8_t buf[KV_KEY_MAX];
    struct kv_cursor c;
    struct oxbow_bytes want;
    struct oxbow_bytes got;
    struct oxbow_bytes value;
    struct chunk_head head;
    enum oxbow_err err = stream_find(txn, key, &s);

    if (err == OXBOW_OK) {
        err = id_next(&first) ? kv_cursor_init(&c, txn) : OXBOW_ENOENT;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    want = stream_id_key(buf, &s, STREAM_KIND_CHUNK, first);
    err = kv_cursor_seek_in(&c, want, want.len - ID_KEY_LEN, &got, &value);
    if (err == OXBOW_OK &&
        (got.len != want.len || memcmp(got.data, want.data, want.len - ID_KEY_LEN) != 0)) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        err = chunk_head_decode(value, &head);
    }
    if (err == OXBOW_OK) {
        *stamp = (struct oxbow_stamp){
            .boot = head.boot, .uptime_ms = head.uptime_ms, .wall_ms = head.wall_ms};
    }
    kv_cursor_fini(&c);
    return err;
}

/* An entry came after the first of its chunk and before the first of the next one. */
static enum oxbow_err widen(struct oxbow_txn *txn, struct oxbow_bytes key,
                            const struct oxbow_stamp *stamp, struct oxbow_true_time *t)
{
    struct oxbow_true_time end = {0};
    struct oxbow_stamp next;
    enum oxbow_err err = next_stamp(txn, key, stamp->first, &next);

    if (err == OXBOW_OK) {
        err = oxbow_true_time(txn, &next, &end);
        t->known = t->known && end.known;
    } else if (err == OXBOW_ENOENT) {
        end.to_ms = UINT64_MAX;
        t->known = txn_wall_believed(txn, &end.to_ms) && t->known;
        err = OXBOW_OK;
    }
    t->to_ms = end.to_ms > t->to_ms ? end.to_ms : t->to_ms;
    return err;
}

enum oxbow_err oxbow_stream_true_time(struct oxbow_txn *txn, struct oxbow_bytes key,
                                      struct oxbow_id id, struct oxbow_true_time *out)
{
    struct oxbow_true_time t;
    struct oxbow_stamp stamp;
    bool follows;
    enum oxbow_err err = out == NULL ? OXBOW_EINVAL : oxbow_stream_stamp(txn, key, id, &stamp);

    if (err != OXBOW_OK) {
        return err;
    }
    /* Ids that the clock made tell the time since the chunk's first: it did not jump between. */
    follows = stamp.first.ms == stamp.wall_ms;
    stamp.uptime_ms += follows ? id.ms - stamp.first.ms : 0;
    stamp.wall_ms += follows ? id.ms - stamp.first.ms : 0;
    err = oxbow_true_time(txn, &stamp, &t);
    if (err == OXBOW_OK && !follows && id_compare(id, stamp.first) != 0) {
        err = widen(txn, key, &stamp, &t);
    }
    if (err == OXBOW_OK) {
        *out = t;
    }
    return err;
}

size_t oxbow_true_time_text(const struct oxbow_true_time *t, char out[OXBOW_TRUE_TIME_TEXT])
{
    size_t len = t->from_ms > 0 ? num_u64_text(out, t->from_ms) : 0;

    if (t->from_ms != t->to_ms || len == 0) {
        out[len++] = '.';
        out[len++] = '.';
        len += t->to_ms < UINT64_MAX ? num_u64_text(out + len, t->to_ms) : 0;
    }
    out[len] = '\0';
    return len;
}

bool oxbow_true_time_is_id(const struct oxbow_true_time *t, struct oxbow_id id)
{
    return t->known && id.ms + JUMP_MS >= t->from_ms && id.ms <= t->to_ms + JUMP_MS;
}

enum oxbow_err oxbow_time_now(struct oxbow_txn *txn, struct oxbow_time *now)
{
    const struct oxbow_clock *clock = &txn_port(txn)->clock;
    uint64_t wall;

    if (now == NULL) {
        return OXBOW_EINVAL;
    }
    *now = (struct oxbow_time){.clock_ms = txn_clock_ms(txn),
                               .boot = txn_boot(txn),
                               .uptime_ms = txn_uptime_ms(txn),
                               .wall_ms = txn_wall_ms(txn),
                               .wall_set = clock->wall_is_set(clock->ctx),
                               .wall_believed = txn_wall_believed(txn, &wall)};
    return OXBOW_OK;
}
