/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a batch is, for each type: read from the stand-in, added to the store, removed. All by the
 * functions that programs use, so limits, bindings and forwards of the store hold.
 *
 * Invariant: merge_read gives the same batch until merge_take has removed it; what only time changes,
 * times to live, is looked at when it is added.
 */
#include "engine/queue/merge.h"

#include "engine/base/id.h"
#include "engine/queue/policy.h"
#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "oxbow/string.h"
#include "oxbow/time.h"

#include <string.h>

#define TIMED_FIELDS_MAX 3500u /* as forward.h says */

/* ---- reading ---- */

/* Entries that every group has acked are not merged. Tells how many of the batch went. */
static enum oxbow_err drop_acked(struct merge *m, const struct merge_unit *u, struct oxbow_txn *txn,
                                 size_t *gone)
{
    enum oxbow_delete_outcome outcomes[MERGE_BATCH];
    struct oxbow_id ids[MERGE_BATCH] = {{0, 0}};
    size_t i;
    enum oxbow_err err;

    for (i = 0; i < m->batch.entry_count; i++) {
        ids[i] = m->batch.entries[i].id;
    }
    err = oxbow_stream_delete_refs(txn, u->key, OXBOW_REFS_ACKED, ids, i, outcomes);
    for (*gone = 0; err == OXBOW_OK && i > 0; i--) {
        *gone += outcomes[i - 1] == OXBOW_DELETE_DONE;
    }
    return err;
}

static enum oxbow_err read_ttls(struct merge *m, const struct merge_unit *u, struct oxbow_txn *txn)
{
    enum oxbow_err err = OXBOW_OK;
    size_t i;

    for (i = 0; i < m->batch.entry_count && err == OXBOW_OK; i++) {
        uint64_t left = UINT64_MAX;

        err = oxbow_stream_ttl(txn, u->key, m->batch.entries[i].id, &left);
        m->ttl_ms[i] = left == UINT64_MAX ? 0 : left;
        if (err == OXBOW_ENOENT || (left != UINT64_MAX && (left == 0 || left > OXBOW_TTL_MS_MAX))) {
            m->ttl_ms[i] = MERGE_GONE;
            err = OXBOW_OK;
        }
    }
    return err;
}

static enum oxbow_err read_stream(struct merge *m, struct merge_unit *u, struct oxbow_txn *txn)
{
    const struct oxbow_stream_range range = {.from = OXBOW_ID_MIN,
                                             .to = u->upto,
                                             .count = u->most,
                                             .bytes = MERGE_BATCH_BYTES,
                                             .expired = true,
                                             .true_time = u->timed};
    size_t gone = 1;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && gone > 0) {
        err = oxbow_stream_range(txn, u->key, &range, &m->batch);
        gone = 0;
        if (err == OXBOW_OK && u->grouped && m->batch.entry_count > 0) {
            err = drop_acked(m, u, txn, &gone);
        }
    }
    return err == OXBOW_OK ? read_ttls(m, u, txn) : err;
}

static enum oxbow_err count_delays(const struct merge_unit *u, struct oxbow_txn *txn, size_t *count)
{
    struct oxbow_delay_place place = {0};
    struct oxbow_delay_info info;
    uint64_t bytes = 0;
    enum oxbow_err err = OXBOW_OK;

    for (*count = 0; err == OXBOW_OK && *count < u->most && bytes < MERGE_BATCH_BYTES;) {
        err = oxbow_delay_next(txn, &place, &info);
        if (err == OXBOW_OK) {
            bytes += info.bytes;
            (*count)++;
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err merge_read(struct merge *m, struct merge_unit *u, size_t *count)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = merge_begin(m->from, u->database, OXBOW_TXN_FORCE, &txn);

    *count = 0;
    if (err != OXBOW_OK) {
        return err;
    }
    switch (u->kind) {
    case MERGE_STREAM:
        err = read_stream(m, u, txn);
        *count = m->batch.entry_count;
        break;
    case MERGE_LIST:
        err = oxbow_list_peek(txn, u->key, OXBOW_LEFT, u->most, MERGE_BATCH_BYTES, &m->batch);
        *count = err == OXBOW_OK ? m->batch.item_count : 0;
        err = err == OXBOW_ENOENT ? OXBOW_OK : err; /* it has expired */
        break;
    case MERGE_STRING:
        err = oxbow_string_get(txn, u->key, &m->batch);
        *count = err == OXBOW_OK ? 1 : 0;
        err = err == OXBOW_ENOENT ? OXBOW_OK : err;
        break;
    case MERGE_DELAY:
        err = count_delays(u, txn, count);
        break;
    case MERGE_ONCE:
        err = merge_once_read(m, u, txn, count);
        break;
    case MERGE_HASH:
    case MERGE_SET:
    case MERGE_ZSET:
        err = merge_members_read(m, u, txn, count);
        break;
    }
    return merge_finish(txn, err);
}

/* ---- adding ---- */

/* The id that an entry had, where that comes after all that are there and is not of the future: then
 * it tells when the entry was added. */
static void choose_id(const struct merge_unit *u, const struct oxbow_entry *e, struct oxbow_id last,
                      uint64_t wall_ms, struct oxbow_stream_add_options *opt)
{
    if (u->parked || (id_compare(e->id, last) > 0 && e->id.ms <= wall_ms)) {
        opt->id_mode = OXBOW_ID_EXPLICIT;
        opt->id = e->id;
    }
}

/* How many priorities the stream has, or will have. */
static enum oxbow_err priorities_of(struct oxbow_txn *to, struct oxbow_bytes key, uint32_t *count)
{
    struct policy_row *row;
    enum oxbow_err err = policy_row(to, key, &row);

    *count =
        err == OXBOW_OK && row != NULL && row->policy.priorities > 0 ? row->policy.priorities : 1;
    return err;
}

/* With what the stand-in knew of its time as the last field: the store would take it for younger. */
static enum oxbow_err add_timed(struct merge *m, const struct merge_unit *u, size_t i,
                                const struct oxbow_stream_add_options *opt, struct oxbow_txn *to,
                                struct oxbow_id *id)
{
    const struct oxbow_entry *e = &m->batch.entries[i];
    const size_t bytes = ((size_t)e->field_count + 1) * sizeof *e->fields;
    struct oxbow_field *fields = mem_new(m->alloc, bytes);
    char text[OXBOW_TRUE_TIME_TEXT];
    enum oxbow_err err;

    if (fields == NULL) {
        return OXBOW_ENOMEM;
    }
    memcpy(fields, e->fields, bytes - sizeof *fields);
    fields[e->field_count] =
        (struct oxbow_field){{OXBOW_FORWARD_TIME, sizeof OXBOW_FORWARD_TIME - 1},
                             {text, oxbow_true_time_text(&m->batch.times[i], text)}};
    err = oxbow_stream_add(to, u->to, opt, fields, e->field_count + 1, id);
    mem_free(m->alloc, fields, bytes);
    return err;
}

static enum oxbow_err add_entry(struct merge *m, const struct merge_unit *u, size_t i,
                                const struct oxbow_stream_add_options *opt, struct oxbow_txn *to,
                                struct oxbow_id *id)
{
    const struct oxbow_entry *e = &m->batch.entries[i];
    bool told = u->parked && u->timed && oxbow_true_time_is_id(&m->batch.times[i], e->id);

    if (u->timed && !told && e->field_count < TIMED_FIELDS_MAX) {
        return add_timed(m, u, i, opt, to, id);
    }
    return oxbow_stream_add(to, u->to, opt, e->fields, e->field_count, id);
}

/* One entry; *last: the newest one's id. */
static enum oxbow_err put_entry(struct merge *m, const struct merge_unit *u, size_t i,
                                uint32_t priorities, struct oxbow_id *last, struct oxbow_txn *to)
{
    const struct oxbow_entry *e = &m->batch.entries[i];
    struct oxbow_stream_add_options opt = {.unrouted = u->unrouted || u->parked, .undelayed = true};
    bool known;
    enum oxbow_err err = merge_names_look(m, u, i, to, &known);

    if (err != OXBOW_OK || (known && !u->parked)) {
        return err;
    }
    if (m->ttl_ms[i] == MERGE_GONE && !u->parked) {
        return merge_names_put(m, u, OXBOW_ID_MIN, to);
    }
    opt.ttl_ms = u->parked ? OXBOW_STREAM_TTL_NONE : m->ttl_ms[i];
    opt.priority = e->priority < priorities ? e->priority : priorities - 1;
    choose_id(u, e, *last, txn_wall_ms(to), &opt);
    err = add_entry(m, u, i, &opt, to, last);
    return err == OXBOW_OK ? merge_names_put(m, u, *last, to) : err;
}

static enum oxbow_err put_stream(struct merge *m, const struct merge_unit *u, size_t count,
                                 struct oxbow_txn *to)
{
    struct oxbow_stream_info info = {0};
    uint32_t priorities;
    size_t i;
    enum oxbow_err err = oxbow_stream_info(to, u->to, &info);

    err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    if (err == OXBOW_OK) {
        err = priorities_of(to, u->to, &priorities);
    }
    for (i = 0; i < count && err == OXBOW_OK; i++) {
        err = put_entry(m, u, i, priorities, &info.last_id, to);
    }
    return err;
}

/* Without the elements that are there already. */
static enum oxbow_err put_list(struct merge *m, const struct merge_unit *u, size_t count,
                               struct oxbow_txn *to)
{
    struct oxbow_bytes come[MERGE_BATCH];
    size_t coming = 0;
    size_t i;
    bool known;
    enum oxbow_err err = OXBOW_OK;

    for (i = 0; i < count && err == OXBOW_OK; i++) {
        err = merge_names_look(m, u, i, to, &known);
        if (err == OXBOW_OK && !known) {
            come[coming++] = m->batch.items[i];
            err = merge_names_put(m, u, OXBOW_ID_MIN, to);
        }
    }
    return err == OXBOW_OK && coming > 0
               ? oxbow_list_push(to, u->to, OXBOW_RIGHT, come, coming, NULL)
               : err;
}

/* A value goes over another, but not over a queue. */
static enum oxbow_err put_string(const struct merge *m, const struct merge_unit *u,
                                 struct oxbow_txn *to)
{
    enum oxbow_type type;
    enum oxbow_err err = oxbow_key_type(to, u->to, &type);

    if (err == OXBOW_OK && type != OXBOW_TYPE_NONE && type != OXBOW_TYPE_STRING) {
        err = OXBOW_EWRONGTYPE;
    }
    return err == OXBOW_OK ? oxbow_string_set(to, u->to, m->batch.items[0]) : err;
}

static enum oxbow_err put_delay(struct merge *m, const struct oxbow_delay_info *info,
                                uint64_t now_ms, struct oxbow_txn *to)
{
    struct oxbow_delay_when when = {OXBOW_DELAY_FOR, 0};
    struct oxbow_delay_id id;
    enum oxbow_err err = oxbow_txn_select(to, info->database);

    when.ms = info->id.due_ms > now_ms ? info->id.due_ms - now_ms : 0;
    if (info->wall) {
        when = (struct oxbow_delay_when){OXBOW_DELAY_WALL, info->id.due_ms};
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (info->type == OXBOW_TYPE_LIST) {
        return oxbow_delay_push(to, info->key, info->end, &when, m->batch.items[0], NULL);
    }
    err = oxbow_delay_add(to, info->key, &when, m->batch.entries[0].fields,
                          m->batch.entries[0].field_count, &id);
    if (err == OXBOW_OK && info->priority > 0) {
        err = oxbow_delay_set_priority(to, id, info->priority);
    }
    return err;
}

/* Reads them from the stand-in while it adds them: they are many of many keys. */
static enum oxbow_err put_delays(struct merge *m, size_t count, struct oxbow_txn *to)
{
    struct oxbow_delay_place place = {0};
    struct oxbow_delay_info info;
    struct oxbow_time now;
    struct oxbow_txn *from;
    size_t i;
    enum oxbow_err err = merge_begin(m->from, 0, OXBOW_TXN_READ | OXBOW_TXN_NOWAIT, &from);

    if (err != OXBOW_OK) {
        return err;
    }
    err = oxbow_time_now(from, &now);
    for (i = 0; i < count && err == OXBOW_OK; i++) {
        err = oxbow_delay_next(from, &place, &info);
        if (err == OXBOW_OK) {
            err = oxbow_delay_get(from, info.id, &m->batch);
        }
        if (err == OXBOW_OK) {
            struct oxbow_delay_place again = {info.wall, {info.id.due_ms, info.id.number - 1}};

            err = oxbow_delay_next(from, &again, &info); /* its name was borrowed */
        }
        if (err == OXBOW_OK) {
            err = put_delay(m, &info, now.clock_ms, to);
        }
    }
    oxbow_txn_abort(from);
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

static enum oxbow_err put(struct merge *m, const struct merge_unit *u, size_t count,
                          struct oxbow_txn *to)
{
    switch (u->kind) {
    case MERGE_STREAM:
        return put_stream(m, u, count, to);
    case MERGE_LIST:
        return put_list(m, u, count, to);
    case MERGE_STRING:
        return put_string(m, u, to);
    case MERGE_DELAY:
        return put_delays(m, count, to);
    case MERGE_ONCE:
        return merge_once_put(m, u, count, to);
    case MERGE_HASH:
    case MERGE_SET:
    case MERGE_ZSET:
        return merge_members_put(m, u, to);
    }
    return OXBOW_EINVAL;
}

enum oxbow_err merge_put(struct merge *m, const struct merge_unit *u, size_t count,
                         struct oxbow_txn *to)
{
    enum oxbow_type before = OXBOW_TYPE_NONE;
    enum oxbow_expire_done done;
    bool timed = u->ttl_ms > 0 && !u->parked;
    enum oxbow_err err = timed ? oxbow_key_type(to, u->to, &before) : OXBOW_OK;

    if (err == OXBOW_OK) {
        err = merge_names_begin(m, u);
    }
    if (err == OXBOW_OK) {
        err = put(m, u, count, to);
        merge_names_end(m);
    }
    if (err == OXBOW_OK && timed && (before == OXBOW_TYPE_NONE || u->kind == MERGE_STRING)) {
        err = oxbow_key_expire(to, u->to, (int64_t)u->ttl_ms, 0, &done);
        err = err == OXBOW_EPROTECTED ? OXBOW_OK : err; /* what is forwarded does not expire */
    }
    return err;
}

/* ---- removing ---- */

static enum oxbow_err take_stream(const struct merge_mark *mark, struct oxbow_bytes key,
                                  struct oxbow_txn *from)
{
    struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MINID, .minid = mark->last};
    bool existed;

    if (!id_next(&trim.minid)) {
        return oxbow_key_delete(from, key, &existed);
    }
    return oxbow_stream_trim(from, key, &trim, NULL);
}

static enum oxbow_err take_delays(const struct merge_mark *mark, struct oxbow_txn *from)
{
    struct oxbow_delay_info info;
    uint32_t i;
    enum oxbow_err err = OXBOW_OK;

    for (i = 0; i < mark->count && err == OXBOW_OK; i++) {
        struct oxbow_delay_place place = {0};

        err = oxbow_delay_next(from, &place, &info);
        if (err == OXBOW_OK) {
            err = oxbow_delay_cancel(from, info.id);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

/* Whether the queue that the mark names has expired since, with all that was in it. */
static enum oxbow_err queue_gone(const struct merge_mark *mark, struct oxbow_bytes key,
                                 struct oxbow_txn *from, bool *gone)
{
    enum oxbow_type type = OXBOW_TYPE_LIST;
    enum oxbow_err err = OXBOW_OK;

    if (mark->kind == MERGE_STREAM || mark->kind == MERGE_LIST) {
        err = oxbow_key_type(from, key, &type);
    }
    *gone = type == OXBOW_TYPE_NONE;
    return err;
}

enum oxbow_err merge_take(struct merge *m, const struct merge_mark *mark, struct oxbow_txn *from)
{
    const struct oxbow_bytes key = {mark->key.data, mark->key.len};
    bool existed;
    bool gone = false;
    enum oxbow_err err = queue_gone(mark, key, from, &gone);

    if (err == OXBOW_OK && !gone) {
        err = merge_names_take(m, mark, from);
    }
    if (err != OXBOW_OK || gone) {
        return err;
    }
    switch (mark->kind) {
    case MERGE_STREAM:
        return take_stream(mark, key, from);
    case MERGE_LIST:
        return oxbow_list_pop(from, key, OXBOW_LEFT, mark->count, &m->batch);
    case MERGE_STRING:
        return oxbow_key_delete(from, key, &existed);
    case MERGE_DELAY:
        return take_delays(mark, from);
    case MERGE_ONCE:
        return merge_once_take(m, mark, from);
    case MERGE_HASH:
    case MERGE_SET:
    case MERGE_ZSET:
        return merge_members_take(m, mark, from);
    }
    return OXBOW_EINVAL;
}
