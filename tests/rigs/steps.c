/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of the log: one field of text, "thread n letter" and what came of it:
 *
 *   P            M count       E id       R id...       A id...       T
 */
#include "tests/rigs/steps.h"

#include "oxbow/group.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(bytes) ((struct oxbow_field){{"v", 1}, bytes})

struct oxbow_bytes load_bytes(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

static struct key_name name_of(const char *what, uint32_t thread)
{
    struct key_name name;

    snprintf(name.text, sizeof name.text, "%s:%u", what, thread);
    return name;
}

struct key_name load_list_name(uint32_t thread)
{
    return name_of("list", thread);
}

struct key_name load_stream_name(uint32_t thread)
{
    return name_of("own", thread);
}

struct key_name load_consumer_name(uint32_t thread)
{
    return name_of("c", thread);
}

void step_init(struct step *s, uint64_t seed, uint32_t thread)
{
    *s = (struct step){.seed = seed, .thread = thread};
    s->values = malloc((size_t)PUSH_MAX * VALUE_MAX);
    if (s->values == NULL)
        abort();
}

void step_fini(struct step *s)
{
    oxbow_result_fini(&s->result);
    free(s->values);
    s->values = NULL;
}

static struct oxbow_group group(void)
{
    return (struct oxbow_group){load_bytes("events"), load_bytes("g")};
}

enum oxbow_err step_prepare(struct oxbow_txn *txn)
{
    const struct oxbow_group_create_options opt = {.make_stream = true};
    enum oxbow_err err = oxbow_group_create(txn, group(), &opt);

    return err == OXBOW_EBUSYGROUP ? OXBOW_OK : err;
}

static struct oxbow_bytes value(struct step *s, uint32_t part)
{
    uint8_t *at = s->values + (size_t)part * VALUE_MAX;
    size_t len = plan_value(s->seed, (struct token){s->thread, part, s->n}, at);

    return (struct oxbow_bytes){at, len};
}

/* ---- the thread's list ---- */

static enum oxbow_err list_pop(struct step *s, const struct op *op, struct oxbow_txn *txn,
                               uint64_t len)
{
    struct key_name key = load_list_name(s->thread);
    size_t count = len > OWN_LIST_MAX ? (size_t)len / 2 : op->count;

    return len == 0 ? OXBOW_OK
                    : oxbow_list_pop(txn, load_bytes(key.text), OXBOW_LEFT, count, &s->result);
}

static enum oxbow_err list_remove(struct step *s, struct oxbow_txn *txn, int64_t idx)
{
    struct key_name key = load_list_name(s->thread);
    enum oxbow_err err = oxbow_list_index(txn, load_bytes(key.text), idx, &s->result);

    return err != OXBOW_OK
               ? err
               : oxbow_list_remove(txn, load_bytes(key.text), 1, s->result.items[0], NULL);
}

static enum oxbow_err own_list(struct step *s, const struct op *op, struct oxbow_txn *txn)
{
    struct key_name key = load_list_name(s->thread);
    struct oxbow_bytes values[PUSH_MAX];
    size_t count = op->kind == OP_PUSH ? op->count : 1;
    enum oxbow_err err;
    uint64_t len = 0;

    err = oxbow_list_len(txn, load_bytes(key.text), &len);
    if (err == OXBOW_OK && (op->kind == OP_POP || len > OWN_LIST_MAX))
        err = list_pop(s, op, txn, len);
    else if (err == OXBOW_OK && len > 0 && op->kind == OP_SET)
        err = oxbow_list_set(txn, load_bytes(key.text), (int64_t)(op->idx % len), value(s, 1));
    else if (err == OXBOW_OK && len > 0 && op->kind == OP_REMOVE)
        err = list_remove(s, txn, (int64_t)(op->idx % len));
    for (uint32_t part = 0; part < count; part++)
        values[part] = value(s, part);
    return err != OXBOW_OK
               ? err
               : oxbow_list_push(txn, load_bytes(key.text), OXBOW_RIGHT, values, count, NULL);
}

/* ---- streams ---- */

static enum oxbow_err own_stream(struct step *s, struct oxbow_txn *txn, uint32_t part)
{
    struct key_name key = load_stream_name(s->thread);
    const struct oxbow_stream_add_options opt = {
        .id_mode = OXBOW_ID_EXPLICIT,
        .id = {s->n, 0},
        .trim = {.by = OXBOW_TRIM_MAXLEN, .maxlen = OWN_KEEP},
    };
    const struct oxbow_field field = FIELD(value(s, part));

    return oxbow_stream_add(txn, load_bytes(key.text), &opt, &field, 1, NULL);
}

static enum oxbow_err add(struct oxbow_txn *txn, const char *key, struct oxbow_bytes bytes,
                          struct oxbow_id *id)
{
    const struct oxbow_field field = FIELD(bytes);

    return oxbow_stream_add(txn, load_bytes(key), NULL, &field, 1, id);
}

static enum oxbow_err trim(struct oxbow_txn *txn, const char *key)
{
    const struct oxbow_stream_trim to = {.by = OXBOW_TRIM_MAXLEN, .maxlen = DONE_KEEP};

    return oxbow_stream_trim(txn, load_bytes(key), &to, NULL);
}

/* ---- shared objects: each puts what came of it behind the row's beginning ---- */

struct row {
    char text[LOG_ROW_MAX];
    size_t len;
};

static void row_id(struct row *row, struct oxbow_id id)
{
    row->len += (size_t)snprintf(row->text + row->len, sizeof row->text - row->len,
                                 " %" PRIu64 "-%" PRIu64, id.ms, id.seq);
}

static enum oxbow_err produce(struct step *s, struct oxbow_txn *txn)
{
    struct oxbow_bytes v = value(s, 0);

    return oxbow_list_push(txn, load_bytes("work"), OXBOW_RIGHT, &v, 1, NULL);
}

static enum oxbow_err move(struct step *s, const struct op *op, struct oxbow_txn *txn,
                           struct row *row)
{
    enum oxbow_err err = oxbow_list_pop(txn, load_bytes("work"), OXBOW_LEFT, op->count, &s->result);
    size_t count = err == OXBOW_OK ? s->result.item_count : 0;

    if (err == OXBOW_ENOENT)
        err = OXBOW_OK;
    for (size_t i = 0; i < count && err == OXBOW_OK; i++)
        err = add(txn, "done", s->result.items[i], NULL);
    row->len += (size_t)snprintf(row->text + row->len, sizeof row->text - row->len, " %zu", count);
    return err;
}

static enum oxbow_err event(struct step *s, struct oxbow_txn *txn, struct row *row)
{
    struct oxbow_id id = {0};
    enum oxbow_err err = add(txn, "events", value(s, 0), &id);

    row_id(row, id);
    return err;
}

static enum oxbow_err read_new(struct step *s, const struct op *op, struct oxbow_txn *txn,
                               struct row *row)
{
    struct key_name name = load_consumer_name(s->thread);
    const struct oxbow_group_read_options opt = {.count = op->count};
    enum oxbow_err err = oxbow_group_read(txn, group(), load_bytes(name.text), &opt, &s->result);

    for (size_t i = 0; err == OXBOW_OK && i < s->result.entry_count; i++)
        row_id(row, s->result.entries[i].id);
    return err;
}

static enum oxbow_err ack(struct step *s, const struct op *op, struct oxbow_txn *txn,
                          struct row *row)
{
    struct key_name name = load_consumer_name(s->thread);
    const struct oxbow_pending_filter filter = {.from = OXBOW_ID_MIN,
                                                .to = OXBOW_ID_MAX,
                                                .count = op->count,
                                                .has_consumer = true,
                                                .consumer = load_bytes(name.text)};
    struct oxbow_pending pending[TAKE_MAX];
    struct oxbow_id ids[TAKE_MAX];
    uint64_t acked = 0;
    size_t count = 0;
    enum oxbow_err err = oxbow_group_pending(txn, group(), &filter, &s->result, pending, &count);

    for (size_t i = 0; err == OXBOW_OK && i < count; i++) {
        ids[i] = pending[i].id;
        row_id(row, ids[i]);
    }
    if (err == OXBOW_OK && count > 0)
        err = oxbow_group_ack(txn, group(), ids, count, &acked);
    return err == OXBOW_OK && acked != count ? OXBOW_ECORRUPT : err;
}

static enum oxbow_err shared(struct step *s, const struct op *op, struct oxbow_txn *txn)
{
    struct row row;
    enum oxbow_err err;

    row.len = (size_t)snprintf(row.text, sizeof row.text, "%u %" PRIu64 " %c", s->thread, s->n,
                               op_letter(op->kind));
    switch (op->kind) {
    case OP_PRODUCE:
        err = produce(s, txn);
        break;
    case OP_MOVE:
        err = move(s, op, txn, &row);
        break;
    case OP_EVENT:
        err = event(s, txn, &row);
        break;
    case OP_READ:
        err = read_new(s, op, txn, &row);
        break;
    case OP_ACK:
        err = ack(s, op, txn, &row);
        break;
    default:
        err = trim(txn, "done");
        if (err == OXBOW_OK)
            err = trim(txn, "events");
    }
    if (err == OXBOW_OK)
        err = add(txn, "log", (struct oxbow_bytes){row.text, row.len}, NULL);
    return err == OXBOW_OK ? own_stream(s, txn, 1) : err;
}

enum oxbow_err step_take(struct step *s, const struct op *op, struct oxbow_txn *txn)
{
    if (op_is_own_list(op->kind))
        return own_list(s, op, txn);
    return op->kind == OP_APPEND ? own_stream(s, txn, 0) : shared(s, op, txn);
}

enum oxbow_err step_spoil(struct step *s, struct oxbow_txn *txn)
{
    struct key_name key = load_list_name(s->thread);
    const struct oxbow_bytes junk = load_bytes("this was never committed");
    enum oxbow_err err = oxbow_list_push(txn, load_bytes(key.text), OXBOW_RIGHT, &junk, 1, NULL);

    if (err == OXBOW_OK)
        err = add(txn, "log", junk, NULL);
    if (err == OXBOW_OK)
        err = add(txn, "events", junk, NULL);
    if (err == OXBOW_OK)
        err = oxbow_list_push(txn, load_bytes("work"), OXBOW_LEFT, &junk, 1, NULL);
    if (err == OXBOW_OK)
        err = oxbow_group_read(txn, group(), load_bytes("nobody"), NULL, &s->result);
    return err;
}

enum oxbow_err load_position(struct oxbow_txn *txn, uint64_t seed, uint32_t thread, uint64_t *n)
{
    struct key_name list = load_list_name(thread), stream = load_stream_name(thread);
    struct oxbow_stream_info info = {0};
    struct oxbow_result result = {0};
    struct token token = {0};
    enum oxbow_err err = oxbow_list_index(txn, load_bytes(list.text), -1, &result);

    *n = 0;
    if (err == OXBOW_OK) {
        const struct oxbow_bytes *last = &result.items[0];
        if (!plan_is_value(seed, last->data, last->len, &token) || token.thread != thread)
            err = OXBOW_ECORRUPT;
        *n = token.n;
    }
    oxbow_result_fini(&result);
    if (err != OXBOW_OK && err != OXBOW_ENOENT)
        return err;
    err = oxbow_stream_info(txn, load_bytes(stream.text), &info);
    if (err == OXBOW_OK && info.last_id.ms > *n)
        *n = info.last_id.ms;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}
