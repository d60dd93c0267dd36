/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of a thread are worked out from its numbers alone; shared objects by following the log,
 * row by row, each of which must be possible where it stands. */
#include "tests/rigs/model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool wrong(char *why, size_t why_len, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, why_len, format, args);
    va_end(args);
    return false;
}

static int id_compare(struct oxbow_id a, struct oxbow_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}

/* ---- sequences ---- */

static void *grown(void *p, size_t bytes)
{
    p = realloc(p, bytes);
    if (p == NULL)
        abort();
    return p;
}

static void row_push(struct row_of *row, struct token token, struct oxbow_id id)
{
    size_t end = row->first + row->count;

    if (end == row->room) {
        row->room = row->room == 0 ? 64 : row->room * 2;
        row->tokens = grown(row->tokens, row->room * sizeof *row->tokens);
        row->ids = grown(row->ids, row->room * sizeof *row->ids);
    }
    row->tokens[end] = token;
    row->ids[end] = id;
    row->count++;
}

static void row_drop(struct row_of *row, size_t count)
{
    row->first += count;
    row->count -= count;
}

const struct token *row_at(const struct row_of *row, size_t idx)
{
    return &row->tokens[row->first + idx];
}

void row_free(struct row_of *row)
{
    free(row->tokens);
    free(row->ids);
    *row = (struct row_of){0};
}

static bool same(const struct token *a, const struct token *b)
{
    return a->thread == b->thread && a->n == b->n && a->part == b->part;
}

void model_init(struct model *m, uint64_t seed, const uint64_t found[THREADS_MAX])
{
    *m = (struct model){.seed = seed};
    memcpy(m->found, found, sizeof m->found);
}

void model_fini(struct model *m)
{
    row_free(&m->work);
    row_free(&m->done);
    row_free(&m->events);
    free(m->pending);
}

/* ---- what a thread has for itself ---- */

static void list_remove(struct row_of *list, size_t idx)
{
    struct token token = *row_at(list, idx);
    size_t at = 0;

    while (!same(row_at(list, at), &token))
        at++;
    memmove(&list->tokens[list->first + at], &list->tokens[list->first + at + 1],
            (list->count - at - 1) * sizeof token);
    list->count--;
}

static void list_take(struct row_of *list, const struct op *op, uint32_t thread, uint64_t n)
{
    const struct oxbow_id none = {0};
    size_t pop = list->count > OWN_LIST_MAX ? list->count / 2 : op->count;
    uint32_t count = op->kind == OP_PUSH ? op->count : 1;

    if (op->kind == OP_POP || list->count > OWN_LIST_MAX)
        row_drop(list, pop < list->count ? pop : list->count);
    else if (op->kind == OP_SET && list->count > 0)
        list->tokens[list->first + op->idx % list->count] = (struct token){thread, 1, n};
    else if (op->kind == OP_REMOVE && list->count > 0)
        list_remove(list, op->idx % list->count);
    for (uint32_t part = 0; part < count; part++)
        row_push(list, (struct token){thread, part, n}, none);
}

void model_list(const struct model *m, uint32_t thread, struct row_of *list)
{
    list->first = list->count = 0;
    for (uint64_t n = 1; n <= m->found[thread]; n++) {
        struct op op = plan_op(m->seed, thread, n);
        if (op_is_own_list(op.kind))
            list_take(list, &op, thread, n);
    }
}

size_t model_stream(const struct model *m, uint32_t thread, uint64_t ids[OWN_KEEP], uint64_t *added)
{
    size_t count = 0;

    *added = 0;
    for (uint64_t n = m->found[thread]; n > 0; n--) {
        if (op_is_own_list(plan_op(m->seed, thread, n).kind))
            continue;
        if (count < OWN_KEEP)
            ids[count++] = n;
        ++*added;
    }
    for (size_t i = 0; i < count / 2; i++) {
        uint64_t id = ids[i];
        ids[i] = ids[count - 1 - i];
        ids[count - 1 - i] = id;
    }
    return count;
}

/* ---- the log ---- */

/* The thread's next shared operation after `n`; 0: there is none up to where it stands. */
static uint64_t next_shared(const struct model *m, uint32_t thread, uint64_t n)
{
    while (++n <= m->found[thread])
        if (op_is_shared(plan_op(m->seed, thread, n).kind))
            return n;
    return 0;
}

static bool read_id(const char **text, struct oxbow_id *id)
{
    int used = 0;

    if (sscanf(*text, " %" SCNu64 "-%" SCNu64 "%n", &id->ms, &id->seq, &used) != 2)
        return false;
    *text += used;
    return true;
}

static bool log_move(struct model *m, const struct op *op, const char *text)
{
    size_t count = strtoul(text, NULL, 10);
    size_t wanted = op->count < m->work.count ? op->count : m->work.count;
    const struct oxbow_id unknown = {0}; /* the log does not tell ids of `done` */

    if (count != wanted)
        return false;
    for (size_t i = 0; i < count; i++)
        row_push(&m->done, *row_at(&m->work, i), unknown);
    row_drop(&m->work, count);
    return true;
}

static bool log_read(struct model *m, const struct op *op, uint32_t thread, const char *text)
{
    uint32_t left = op->count;
    struct oxbow_id id;

    for (size_t i = 0; i < m->events.count && left > 0; i++) {
        struct oxbow_id next = m->events.ids[m->events.first + i];
        if (id_compare(next, m->read) <= 0)
            continue;
        if (!read_id(&text, &id) || id_compare(id, next) != 0)
            return false;
        if (m->pending_count == m->pending_room) {
            m->pending_room = m->pending_room == 0 ? 64 : m->pending_room * 2;
            m->pending = grown(m->pending, m->pending_room * sizeof *m->pending);
        }
        m->pending[m->pending_count++] = (struct delivery){id, thread};
        m->read = id;
        left--;
    }
    return *text == '\0';
}

static bool log_ack(struct model *m, const struct op *op, uint32_t thread, const char *text)
{
    uint32_t left = op->count;
    size_t to = 0;
    struct oxbow_id id;

    for (size_t i = 0; i < m->pending_count; i++) {
        struct delivery d = m->pending[i];
        if (d.thread == thread && left > 0) {
            left--;
            if (!read_id(&text, &id) || id_compare(id, d.id) != 0)
                return false;
        } else {
            m->pending[to++] = d;
        }
    }
    m->pending_count = to;
    return *text == '\0';
}

static void keep_last(struct row_of *row)
{
    if (row->count > DONE_KEEP)
        row_drop(row, row->count - DONE_KEEP);
}

static bool follow(struct model *m, const struct op *op, struct token token, const char *text)
{
    struct oxbow_id id;

    switch (op->kind) {
    case OP_PRODUCE:
        row_push(&m->work, token, (struct oxbow_id){0});
        return true;
    case OP_MOVE:
        return log_move(m, op, text);
    case OP_EVENT:
        if (!read_id(&text, &id))
            return false;
        row_push(&m->events, token, id);
        return true;
    case OP_READ:
        return log_read(m, op, token.thread, text);
    case OP_ACK:
        return log_ack(m, op, token.thread, text);
    default:
        keep_last(&m->done);
        keep_last(&m->events);
        return true;
    }
}

bool model_log(struct model *m, const char *text, size_t len, char *why, size_t why_len)
{
    char row[512], letter = 0;
    struct token token = {0};
    struct op op;
    int used = 0;

    if (len >= sizeof row)
        return wrong(why, why_len, "a row of the log has %zu bytes", len);
    memcpy(row, text, len);
    row[len] = '\0';
    if (sscanf(row, "%" SCNu32 " %" SCNu64 " %c%n", &token.thread, &token.n, &letter, &used) != 3 ||
        token.thread >= THREADS_MAX)
        return wrong(why, why_len, "'%s' is no row of the log", row);
    if (token.n != next_shared(m, token.thread, m->logged[token.thread]))
        return wrong(why, why_len, "the log has operation %" PRIu64 " of thread %u after %" PRIu64,
                     token.n, token.thread, m->logged[token.thread]);
    m->logged[token.thread] = token.n;
    op = plan_op(m->seed, token.thread, token.n);
    if (letter != op_letter(op.kind) || !follow(m, &op, token, row + used))
        return wrong(why, why_len, "what the log says cannot have happened there: '%s'", row);
    return true;
}

bool model_log_ends(const struct model *m, char *why, size_t why_len)
{
    for (uint32_t t = 0; t < THREADS_MAX; t++) {
        uint64_t n = next_shared(m, t, m->logged[t]);
        if (n != 0)
            return wrong(why, why_len,
                         "thread %u stands at %" PRIu64 ", but %" PRIu64 " is not in the log", t,
                         m->found[t], n);
    }
    return true;
}
