/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delayed entries as callers see them: given, taken back, given another time, listed. Their bytes are
 * delay_record.c's; delay_run.c adds them when they are due.
 */
#include "engine/queue/delay.h"

#include "engine/base/result.h"
#include "engine/queue/stream.h"
#include "engine/store/credit.h"
#include "oxbow/stream.h"

#include <string.h>

#define RECORD_OVERHEAD 128u
#define WALL_MAX        ((uint64_t)1 << 62)

/* The due time, and by which clock. */
static enum oxbow_err when_due(struct oxbow_txn *txn, const struct oxbow_delay_when *when,
                               struct delay *d)
{
    uint64_t now = txn_clock_ms(txn);

    if (when == NULL) {
        return OXBOW_EINVAL;
    }
    d->wall = when->by == OXBOW_DELAY_WALL;
    d->flags = when->by == OXBOW_DELAY_FOR ? 0 : DELAY_EXACT;
    d->made_ms = now;
    d->id.due_ms = when->ms;
    switch (when->by) {
    case OXBOW_DELAY_FOR:
        d->id.due_ms = now + when->ms;
        return when->ms <= OXBOW_DELAY_MS_MAX ? OXBOW_OK : OXBOW_EINVAL;
    case OXBOW_DELAY_CLOCK:
        return when->ms <= now || when->ms - now <= OXBOW_DELAY_MS_MAX ? OXBOW_OK : OXBOW_EINVAL;
    case OXBOW_DELAY_WALL:
        return when->ms <= WALL_MAX ? OXBOW_OK : OXBOW_EINVAL;
    default:
        return OXBOW_EINVAL;
    }
}

/* A record is written; its span counts from now. */
static enum oxbow_err put_now(struct oxbow_txn *txn, const struct delay *d)
{
    enum oxbow_err err = (d->flags & DELAY_EXACT) == 0 ? credit_note(txn) : OXBOW_OK;

    return err == OXBOW_OK ? delay_put(txn, d) : err;
}

/* Gives it a number and lets it wait; all but that is set. */
static enum oxbow_err delay_keep(struct oxbow_txn *txn, struct delay *d, struct oxbow_delay_id *id)
{
    uint64_t len = DELAY_FIXED + d->name.len + d->payload.len;
    struct delay_count count;
    enum oxbow_err err = delay_count_get(txn, &count);

    if (err != OXBOW_OK) {
        return err;
    }
    d->id.number = ++count.newest;
    d->database = txn_database(txn);
    count.waiting++;
    count.bytes += len;
    err = put_now(txn, d);
    if (err == OXBOW_OK) {
        err = delay_count_put(txn, &count);
    }
    if (err != OXBOW_OK) {
        return txn_fail(txn, err);
    }
    delay_arm(txn, d->wall, d->id.due_ms);
    if (id != NULL) {
        *id = d->id;
    }
    return OXBOW_OK;
}

/* What an addition passes before anything is written. */
static enum oxbow_err delay_check(struct oxbow_txn *txn, struct oxbow_bytes key,
                                  uint64_t payload_len)
{
    enum oxbow_err err;

    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    if (key.len > OXBOW_DELAY_NAME_MAX || payload_len > OXBOW_DELAY_BYTES_MAX - key.len ||
        payload_len > txn_entry_bytes_max(txn)) {
        return OXBOW_ETOOBIG;
    }
    err = txn_reserve_bytes(txn, key.len + (size_t)payload_len + RECORD_OVERHEAD);
    return err == OXBOW_OK ? txn_feature_require(txn, STORE_FEATURE_DELAY) : err;
}

enum oxbow_err oxbow_delay_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                               const struct oxbow_delay_when *when,
                               const struct oxbow_field *fields, uint32_t field_count,
                               struct oxbow_delay_id *id)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    struct delay d = {.type = OXBOW_TYPE_STREAM, .name = key};
    uint64_t len;
    uint8_t *body;
    enum oxbow_err err = when_due(txn, when, &d);

    if (err != OXBOW_OK || fields == NULL || field_count == 0 ||
        (key.data == NULL && key.len > 0)) {
        return OXBOW_EINVAL;
    }
    len = fields_plain_len(fields, field_count);
    err = delay_check(txn, key, len);
    if (err != OXBOW_OK) {
        return err;
    }
    body = mem_new(alloc, (size_t)len);
    if (body == NULL) {
        return OXBOW_ENOMEM;
    }
    (void)fields_plain_put(body, fields, field_count);
    d.payload = (struct oxbow_bytes){body, (size_t)len};
    err = delay_keep(txn, &d, id);
    mem_free(alloc, body, (size_t)len);
    return err;
}

enum oxbow_err oxbow_delay_push(struct oxbow_txn *txn, struct oxbow_bytes key, enum oxbow_end end,
                                const struct oxbow_delay_when *when, struct oxbow_bytes value,
                                struct oxbow_delay_id *id)
{
    struct delay d = {.type = OXBOW_TYPE_LIST, .end = end, .name = key, .payload = value};
    enum oxbow_err err = when_due(txn, when, &d);

    if (err != OXBOW_OK || (end != OXBOW_LEFT && end != OXBOW_RIGHT) ||
        (key.data == NULL && key.len > 0) || (value.data == NULL && value.len > 0)) {
        return OXBOW_EINVAL;
    }
    err = delay_check(txn, key, value.len);
    return err == OXBOW_OK ? delay_keep(txn, &d, id) : err;
}

enum oxbow_err oxbow_delay_cancel(struct oxbow_txn *txn, struct oxbow_delay_id id)
{
    struct delay_count count;
    struct delay d;
    struct buf copy;
    enum oxbow_err err;

    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = delay_find(txn, id, &d, &copy);
    if (err != OXBOW_OK) {
        return err;
    }
    err = delay_count_get(txn, &count);
    if (err == OXBOW_OK) {
        count.waiting -= count.waiting > 0;
        count.bytes -= copy.len < count.bytes ? copy.len : count.bytes;
        err = delay_del(txn, &d);
    }
    if (err == OXBOW_OK) {
        err = delay_count_put(txn, &count);
    }
    buf_fini(&copy);
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

enum oxbow_err oxbow_delay_move(struct oxbow_txn *txn, struct oxbow_delay_id id,
                                const struct oxbow_delay_when *when, struct oxbow_delay_id *now)
{
    struct delay to = {.type = OXBOW_TYPE_NONE};
    struct delay d;
    struct buf copy;
    enum oxbow_err err = when_due(txn, when, &to);

    if (err != OXBOW_OK) {
        return err;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = delay_find(txn, id, &d, &copy);
    if (err != OXBOW_OK) {
        return err;
    }
    err = delay_del(txn, &d);
    d.wall = to.wall;
    d.flags = to.flags;
    d.made_ms = to.made_ms;
    d.id = (struct oxbow_delay_id){to.id.due_ms, id.number};
    d.tries = 0;
    d.refused = 0;
    if (err == OXBOW_OK) {
        err = put_now(txn, &d);
    }
    buf_fini(&copy);
    if (err != OXBOW_OK) {
        return txn_fail(txn, err);
    }
    delay_arm(txn, d.wall, d.id.due_ms);
    if (now != NULL) {
        *now = d.id;
    }
    return OXBOW_OK;
}

enum oxbow_err oxbow_delay_set_priority(struct oxbow_txn *txn, struct oxbow_delay_id id,
                                        uint32_t priority)
{
    struct delay d;
    struct buf copy;
    enum oxbow_err err;

    if (priority >= OXBOW_PRIORITIES_MAX) {
        return OXBOW_EINVAL;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = delay_find(txn, id, &d, &copy);
    if (err != OXBOW_OK) {
        return err;
    }
    if (d.type == OXBOW_TYPE_STREAM) {
        d.priority = (uint8_t)priority;
        err = delay_put(txn, &d);
        err = err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
    } else {
        err = OXBOW_EINVAL;
    }
    buf_fini(&copy);
    return err;
}

/* ---- looking ---- */

enum oxbow_err oxbow_delay_next(struct oxbow_txn *txn, struct oxbow_delay_place *place,
                                struct oxbow_delay_info *info)
{
    struct delay d = {.type = OXBOW_TYPE_NONE};
    enum oxbow_err err;

    if (place == NULL || info == NULL) {
        return OXBOW_EINVAL;
    }
    err = delay_first(txn, place->wall, place->after, &d);
    if (err == OXBOW_ENOENT && !place->wall) {
        err = delay_first(txn, true, (struct oxbow_delay_id){0, 0}, &d);
        if (err == OXBOW_ENOENT) {
            return err;
        }
    }
    if (err == OXBOW_OK || err == OXBOW_ECORRUPT) {
        *place = (struct oxbow_delay_place){d.wall, d.id}; /* the next call passes over it */
    }
    if (err == OXBOW_OK) {
        *info = (struct oxbow_delay_info){.id = d.id,
                                          .wall = d.wall,
                                          .made_ms = d.made_ms,
                                          .database = d.database,
                                          .type = d.type,
                                          .end = d.end,
                                          .priority = d.priority,
                                          .tries = d.tries,
                                          .refused = (enum oxbow_err)d.refused,
                                          .key = d.name,
                                          .bytes = d.payload.len};
    }
    return err;
}

/* The fields of a plain body as one entry of a result. */
static enum oxbow_err fill_fields(struct oxbow_result *result, const struct delay *d)
{
    struct field_walk fields;
    struct oxbow_field field;
    enum oxbow_err err = field_walk_plain(&fields, d->payload);

    if (err == OXBOW_OK) {
        err = result_entry(result, (struct oxbow_id){d->id.number, 0}, d->priority);
    }
    while (err == OXBOW_OK) {
        err = field_walk_next(&fields, &field);
        if (err == OXBOW_OK) {
            err = result_field(result, field.name, field.value);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err delay_fill(struct oxbow_txn *txn, const struct delay *d, struct oxbow_result *result)
{
    enum oxbow_err err = result_begin(result, &txn_port(txn)->alloc, STREAM_RESULT_BYTES_MAX);

    if (err == OXBOW_OK && d->type == OXBOW_TYPE_LIST) {
        err = result_item(result, d->payload);
    } else if (err == OXBOW_OK) {
        err = fill_fields(result, d);
    }
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}

enum oxbow_err oxbow_delay_get(struct oxbow_txn *txn, struct oxbow_delay_id id,
                               struct oxbow_result *result)
{
    struct delay d;
    struct buf copy;
    enum oxbow_err err;

    if (result == NULL) {
        return OXBOW_EINVAL;
    }
    err = delay_find(txn, id, &d, &copy);
    if (err != OXBOW_OK) {
        return err;
    }
    err = delay_fill(txn, &d, result);
    buf_fini(&copy);
    return err;
}

static enum oxbow_err next_due(struct oxbow_txn *txn, bool wall, bool *any, uint64_t *due_ms)
{
    struct delay d;
    enum oxbow_err err = delay_first(txn, wall, (struct oxbow_delay_id){0, 0}, &d);

    *any = err == OXBOW_OK || err == OXBOW_ECORRUPT;
    *due_ms = *any ? d.id.due_ms : 0;
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}

enum oxbow_err oxbow_delay_stat(struct oxbow_txn *txn, struct oxbow_delay_stat *stat)
{
    struct oxbow_delay_stat s = {0};
    struct delay_count count;
    enum oxbow_err err = stat == NULL ? OXBOW_EINVAL : delay_count_get(txn, &count);

    if (err == OXBOW_OK) {
        err = next_due(txn, false, &s.next, &s.next_ms);
    }
    if (err == OXBOW_OK) {
        err = next_due(txn, true, &s.wall_next, &s.wall_next_ms);
    }
    if (err == OXBOW_OK) {
        s.waiting = count.waiting;
        s.bytes = count.bytes;
        s.added = count.added;
        s.damaged = count.damaged;
        *stat = s;
    }
    return err;
}
