/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replay window: how long, and how many bytes of, delivered entries stay in a stream. In the
 * state of a policy, little-endian:
 *
 *   592  floor 16: everything delivered up to here may go
 *   608  mark count 4, zero 4
 *   616  up to 6 marks: position 16, clock_ms 8: up to there all was delivered at that time
 *
 * 1. A mark never says too early a time: of marks that are close the later time stands for both.
 * 2. The floor only rises. Entries up to it are removed here, or, if a forward trims what it has
 *    confirmed, by that as soon as its hold is over too.
 * 3. What the store's clock is credited with for the time before a mark does not count (credit.h).
 * 4. What is known of bytes is kept in memory and found anew when somebody else has removed entries.
 */
#include "engine/base/codec.h"
#include "engine/queue/forward.h"
#include "engine/queue/policy_age.h"
#include "engine/queue/stream.h"
#include "engine/store/credit.h"

#include <string.h>

#define STEP      4096u
#define MARKS     6u
#define MARK_LEN  24u
#define KEEP_LEN  (24u + MARKS * MARK_LEN)
#define MARK_PART 4u /* marks are so much of the time apart: fewer than MARKS are under way */

struct mark {
    struct oxbow_id position;
    uint64_t clock_ms;
};

struct keep {
    struct oxbow_id floor;
    uint32_t count;
    struct mark marks[MARKS];
    bool changed; /* since it was read */
};

static void put_id(uint8_t *p, struct oxbow_id id)
{
    put_le64(p, id.ms);
    put_le64(p + 8, id.seq);
}

static struct oxbow_id get_id(const uint8_t *p)
{
    return (struct oxbow_id){get_le64(p), get_le64(p + 8)};
}

static enum oxbow_err keep_get(struct oxbow_txn *txn, uint32_t id, struct keep *k)
{
    struct oxbow_bytes state;
    const uint8_t *p;
    enum oxbow_err err = policy_state_get(txn, id, &state);

    *k = (struct keep){.count = 0};
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
    }
    p = (const uint8_t *)state.data + POLICY_AT_KEEP;
    k->floor = get_id(p);
    k->count = get_le32(p + 16) <= MARKS ? get_le32(p + 16) : 0;
    p += 24;
    for (uint32_t i = 0; i < k->count; i++, p += MARK_LEN) {
        k->marks[i] = (struct mark){get_id(p), get_le64(p + 16)};
    }
    return OXBOW_OK;
}

static enum oxbow_err keep_put(struct oxbow_txn *txn, uint32_t id, const struct keep *k)
{
    uint8_t out[KEEP_LEN] = {0};
    uint8_t *p = out + 24;
    enum oxbow_err err = policy_state_make(txn, id);

    put_id(out, k->floor);
    put_le32(out + 16, k->count);
    for (uint32_t i = 0; i < k->count; i++, p += MARK_LEN) {
        put_id(p, k->marks[i].position);
        put_le64(p + 16, k->marks[i].clock_ms);
    }
    return err == OXBOW_OK
               ? policy_state_patch(txn, id, POLICY_AT_KEEP, (struct oxbow_bytes){out, sizeof out})
               : err;
}

/* ---- time ---- */

/* Notes that all up to `to` is delivered now. */
static void mark_add(struct keep *k, struct oxbow_id to, uint64_t now, uint64_t apart)
{
    struct mark mark = {to, now};

    if (k->count >= 2 &&
        k->marks[k->count - 1].clock_ms - k->marks[k->count - 2].clock_ms < apart) {
        k->marks[k->count - 1] = mark;
        return;
    }
    if (k->count == MARKS) {
        memmove(&k->marks[0], &k->marks[1], (MARKS - 1) * sizeof mark);
        k->count--;
    }
    k->marks[k->count++] = mark;
}

/* When what stands at the mark has stayed long enough. */
static enum oxbow_err mark_due(struct oxbow_txn *txn, const struct mark *mark, uint64_t keep_ms,
                               uint64_t *due_ms)
{
    uint64_t early;
    enum oxbow_err err = credit_since(txn, mark->clock_ms, &early);

    if (err == OXBOW_OK) {
        *due_ms = mark->clock_ms + keep_ms + early;
    }
    return err;
}

/* Marks what is new, and raises the floor to what has stayed long enough. *due_ms: when more has. */
static enum oxbow_err keep_by_time(struct oxbow_txn *txn, struct keep *k, struct oxbow_id delivered,
                                   uint64_t keep_ms, uint64_t *due_ms)
{
    struct oxbow_id last = k->count > 0 ? k->marks[k->count - 1].position : k->floor;
    uint64_t now = txn_clock_ms(txn);
    uint32_t gone = 0;
    enum oxbow_err err = OXBOW_OK;

    if (id_compare(delivered, last) > 0) {
        err = credit_note(txn);
        mark_add(k, delivered, now, keep_ms / MARK_PART);
        k->changed = true;
    }
    for (*due_ms = UINT64_MAX; err == OXBOW_OK && gone < k->count; gone++) {
        err = mark_due(txn, &k->marks[gone], keep_ms, due_ms);
        if (err != OXBOW_OK || now < *due_ms) {
            break;
        }
        *due_ms = UINT64_MAX;
        if (id_compare(k->marks[gone].position, k->floor) > 0) {
            k->floor = k->marks[gone].position;
        }
    }
    memmove(&k->marks[0], &k->marks[gone], (k->count - gone) * sizeof k->marks[0]);
    k->count -= gone;
    k->changed = k->changed || gone > 0;
    return err;
}

/* ---- bytes ---- */

static uint64_t stored_bytes(const struct stream_entry *e)
{
    return e->next - e->pos + ((e->flags & STREAM_ENTRY_OUTSIDE) != 0 ? e->outside_len : 0);
}

/* Sums entries from `from` to `to` until there are `enough` bytes or a step is done; *last is the
 * last one summed. */
static enum oxbow_err sum(struct stream *s, struct oxbow_id from, struct oxbow_id to,
                          uint64_t enough, uint64_t *bytes, struct oxbow_id *last)
{
    struct stream_walk w;
    struct stream_entry e;
    enum oxbow_err err = stream_walk_init(&w, s, from, to, false);

    if (err != OXBOW_OK) {
        return err;
    }
    *bytes = 0;
    for (unsigned i = 0; i < STEP && *bytes < enough; i++) {
        err = stream_walk_next(&w, &e);
        if (err != OXBOW_OK) {
            break;
        }
        *bytes += stored_bytes(&e);
        *last = e.id;
    }
    stream_walk_fini(&w);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Brings up to date what is known of the bytes delivered, one step. */
static enum oxbow_err kept_update(struct stream *s, struct policy_row *row,
                                  struct oxbow_id delivered, bool *more)
{
    uint64_t removed = s->entries_added - s->length;
    struct oxbow_id from = s->first;
    uint64_t bytes;
    enum oxbow_err err;

    *more = false;
    if (id_is_zero(row->kept_to) || row->kept_removed != removed ||
        id_compare(row->kept_to, delivered) > 0) {
        row->kept_bytes = 0;
        row->kept_to = OXBOW_ID_MIN;
        row->kept_removed = removed;
    } else {
        from = row->kept_to;
        if (!id_next(&from)) {
            return OXBOW_OK;
        }
    }
    err = sum(s, from, delivered, UINT64_MAX, &bytes, &row->kept_to);
    row->kept_bytes += err == OXBOW_OK ? bytes : 0;
    *more = err == OXBOW_OK && id_compare(row->kept_to, delivered) < 0 && bytes > 0;
    return err;
}

static enum oxbow_err keep_by_bytes(struct stream *s, struct policy_row *row, struct keep *k,
                                    struct oxbow_id delivered)
{
    struct oxbow_id last = OXBOW_ID_MIN;
    uint64_t bytes;
    bool more;
    enum oxbow_err err = kept_update(s, row, delivered, &more);

    if (err == OXBOW_OK && row->kept_bytes > row->policy.keep_bytes) {
        err = sum(s, s->first, delivered, row->kept_bytes - row->policy.keep_bytes, &bytes, &last);
    }
    if (err == OXBOW_OK && id_compare(last, k->floor) > 0) {
        k->floor = last;
        k->changed = true;
    }
    row->keep_more = row->keep_more || more;
    return err;
}

/* ---- steps ---- */

/* Removes what is at or below the floor. */
static enum oxbow_err cut(struct stream *s, struct oxbow_bytes key, struct policy_row *row,
                          struct oxbow_id floor)
{
    struct stream_cut c = {.trim = {.by = OXBOW_TRIM_MINID, .minid = floor}, .entries_max = STEP};
    uint64_t length = s->length;
    uint64_t bytes = s->bytes;
    enum oxbow_err err;

    if (length == 0 || id_compare(s->first, floor) > 0 || !id_next(&c.trim.minid)) {
        return OXBOW_OK;
    }
    err = policy_stream_cut(s, key, row, &c, OXBOW_DROP_DELIVERED);
    if (err == OXBOW_OK && s->length < length) {
        err = stream_save(s);
    }
    if (err != OXBOW_OK) {
        return txn_fail(s->txn, err);
    }
    row->kept_bytes -= bytes - s->bytes < row->kept_bytes ? bytes - s->bytes : row->kept_bytes;
    row->kept_removed = s->entries_added - s->length;
    row->keep_more = row->keep_more || (s->length > 0 && id_compare(s->first, floor) <= 0);
    return OXBOW_OK;
}

enum oxbow_err policy_stream_keep(struct stream *s, struct oxbow_bytes key, struct policy_row *row,
                                  uint64_t *due_ms)
{
    const struct oxbow_policy *p = &row->policy;
    struct policy_delivered d;
    struct forward_edge edge;
    struct keep k;
    enum oxbow_err err = policy_delivered(s, key, &d);

    *due_ms = UINT64_MAX;
    row->keep_more = false;
    if (err != OXBOW_OK || !d.any || s->length == 0 || id_compare(s->first, d.id) > 0) {
        return err;
    }
    err = keep_get(s->txn, row->id, &k);
    if (err == OXBOW_OK && id_compare(k.floor, s->last) > 0) {
        k = (struct keep){.changed = true}; /* the stream was made anew, with ids from before */
    }
    if (err == OXBOW_OK && p->keep_ms > 0) {
        err = keep_by_time(s->txn, &k, d.id, p->keep_ms, due_ms);
    }
    if (err == OXBOW_OK && p->keep_bytes > 0) {
        err = keep_by_bytes(s, row, &k, d.id);
    }
    if (err == OXBOW_OK) {
        err = forward_edge(s->txn, key, &edge);
    }
    if (err == OXBOW_OK && k.changed) {
        err = keep_put(s->txn, row->id, &k);
        err = err == OXBOW_OK ? OXBOW_OK : txn_fail(s->txn, err);
    }
    if (err == OXBOW_OK && !edge.trims) {
        err = cut(s, key, row, id_compare(k.floor, d.id) < 0 ? k.floor : d.id);
    }
    return err;
}

enum oxbow_err policy_keep_floor(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 struct oxbow_id *floor)
{
    struct policy_row *row;
    struct keep k;
    enum oxbow_err err = policy_row(txn, key, &row);

    if (err != OXBOW_OK || row == NULL ||
        (row->policy.keep_ms == 0 && row->policy.keep_bytes == 0)) {
        return err;
    }
    err = keep_get(txn, row->id, &k);
    if (err == OXBOW_OK && id_compare(k.floor, *floor) < 0) {
        *floor = k.floor;
    }
    return err;
}
