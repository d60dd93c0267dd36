/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of lists: what asks for room before elements are added at an end, and what drops the oldest
 * afterwards. The oldest are at the other end: a list is a queue from where it is pushed to there.
 *
 * 1. Elements of a list that a forward carries are none of them delivered, and stay.
 * 2. One push removes at most about STEP elements beyond those it added.
 * 3. A chunk's elements are as old as the chunk: what was put among them later goes with them.
 */
#include "engine/queue/policy_list.h"

#include "engine/queue/forward.h"

#define STEP        4096u
#define STEP_CHUNKS 64u

/* Whether the values would ever fit. */
static bool may_fit(const struct oxbow_policy *p, const struct oxbow_bytes *values,
                    const struct policy_room *more)
{
    bool drops = p->on_full == OXBOW_POLICY_DROP_OLDEST;

    for (size_t i = 0; i < more->entries; i++) {
        if (!policy_fits(p, 1, values[i].len)) {
            return false;
        }
    }
    return drops || policy_fits(p, more->entries, more->bytes);
}

/* Whether they fit the list as it is. */
static enum oxbow_err fits_now(struct oxbow_txn *txn, struct oxbow_bytes key,
                               const struct policy_row *row, const struct policy_room *more,
                               struct list *l)
{
    enum oxbow_err err = list_find(txn, key, l); /* all zero if there is none */

    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    return row->policy.on_full == OXBOW_POLICY_DROP_OLDEST ||
                   policy_fits(&row->policy, l->count + more->entries, l->bytes + more->bytes)
               ? OXBOW_OK
               : OXBOW_EFULL;
}

enum oxbow_err policy_list_room(struct oxbow_txn *txn, struct oxbow_bytes key,
                                const struct oxbow_bytes *values, size_t count, bool *expired)
{
    struct policy_room more = {.entries = count};
    struct policy_row *row;
    struct list l;
    enum oxbow_err err = policy_row(txn, key, &row);

    if (expired != NULL) {
        *expired = false;
    }
    if (err != OXBOW_OK || row == NULL) {
        return err;
    }
    for (size_t i = 0; i < count; i++) {
        more.bytes += values[i].len;
    }
    err = row->critical                          ? OXBOW_ENOTSUP
          : may_fit(&row->policy, values, &more) ? fits_now(txn, key, row, &more, &l)
                                                 : OXBOW_ETOOBIG;
    if (err == OXBOW_EFULL && expired != NULL && row->policy.max_age_ms > 0) {
        uint64_t due;

        err = policy_list_expire(&l, row, &due);
        *expired = true;
        err = err == OXBOW_OK ? fits_now(txn, key, row, &more, &l) : err;
    }
    row->refused += err == OXBOW_EFULL || err == OXBOW_ETOOBIG;
    return err;
}

/* How many elements at the end are to go for `bytes` to be free. */
static enum oxbow_err count_for(const struct list *l, enum oxbow_end end, uint64_t bytes,
                                uint64_t max, uint64_t *n)
{
    struct list_iter it;
    struct list_entry e;
    uint64_t sum = 0;
    enum oxbow_err err =
        list_iter_init(&it, l, end == OXBOW_LEFT ? 0 : l->count - 1, end == OXBOW_RIGHT);

    *n = 0;
    while (err == OXBOW_OK && sum < bytes && *n < max) {
        err = list_iter_entry(&it, &e);
        if (err == OXBOW_OK) {
            sum += e.len;
            (*n)++;
        }
        if (err == OXBOW_OK && sum < bytes && *n < l->count) {
            err = list_iter_next(&it);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err drop_counted(struct list *l, const struct policy_row *row, enum oxbow_end end,
                                   uint64_t n, enum oxbow_drop_cause cause)
{
    struct policy_drop drop = {.cause = cause, .entries = n, .list = true};
    uint64_t bytes = l->bytes;
    enum oxbow_err err = list_drop(l, end, n);

    drop.bytes = bytes - l->bytes;
    return err == OXBOW_OK ? policy_dropped(l->txn, row->id, &drop) : err;
}

enum oxbow_err policy_list_settle(struct list *l, enum oxbow_end end, uint64_t added)
{
    enum oxbow_end old = list_other(end);
    uint64_t max = STEP + added;
    const struct policy_row *row = l->policy;
    const struct oxbow_policy *p;
    struct forward_edge edge;
    enum oxbow_err err;

    if (row == NULL) {
        return OXBOW_OK;
    }
    p = &row->policy;
    if (p->on_full != OXBOW_POLICY_DROP_OLDEST || policy_fits(p, l->count, l->bytes)) {
        return OXBOW_OK;
    }
    err = forward_edge(l->txn, l->name, &edge);
    if (err != OXBOW_OK || edge.on || edge.forced) {
        return err;
    }
    if (p->max_entries > 0 && l->count > p->max_entries) {
        uint64_t n = l->count - p->max_entries;

        err = drop_counted(l, row, old, n < max ? n : max, OXBOW_DROP_LENGTH);
    }
    if (err == OXBOW_OK && p->max_bytes > 0 && l->bytes > p->max_bytes) {
        uint64_t n = 0;

        err = count_for(l, old, l->bytes - p->max_bytes, max, &n);
        if (err == OXBOW_OK) {
            err = drop_counted(l, row, old, n, OXBOW_DROP_BYTES);
        }
    }
    return err;
}

enum oxbow_err policy_list_give_up(struct list *l, const struct policy_row *row, enum oxbow_end end,
                                   uint64_t bytes, bool *dropped)
{
    struct forward_edge edge;
    uint64_t n = 0;
    enum oxbow_err err = forward_edge(l->txn, l->name, &edge);

    *dropped = false;
    if (err != OXBOW_OK || edge.on || edge.forced || l->bytes < bytes) {
        return err;
    }
    err = count_for(l, end, bytes, l->count, &n);
    if (err == OXBOW_OK && n > 0) {
        err = drop_counted(l, row, end, n, OXBOW_DROP_QUOTA);
        *dropped = err == OXBOW_OK;
    }
    return list_close(l, err);
}

/* ---- age ---- */

enum oxbow_err policy_list_attach(struct list *l)
{
    return policy_row(l->txn, l->name, &l->policy);
}

static enum oxbow_err head_of(const struct list_view *v, struct chunk_head *head)
{
    return chunk_head_decode((struct oxbow_bytes){v->data, v->len}, head);
}

enum oxbow_err policy_list_stale(const struct list *l, enum oxbow_end end, bool *stale)
{
    uint64_t rotate_ms = l->policy != NULL ? policy_rotate_ms(&l->policy->policy) : 0;
    struct chunk_head head;
    struct list_view v;
    enum oxbow_err err;

    *stale = false;
    if (rotate_ms == 0) {
        return OXBOW_OK;
    }
    err = list_view_load(l, l->ends[end].id, 1, &v);
    if (err == OXBOW_OK) {
        err = head_of(&v, &head);
    }
    if (err == OXBOW_OK) {
        *stale = policy_stale(l->txn, &head, rotate_ms);
    }
    return err;
}

/* When the last element of the end's chunk is too old, and how many it has. What was pushed after
 * them at the same end of the list is in the chunk beyond it, seen from where the chunk grew. */
static enum oxbow_err end_due(const struct list *l, enum oxbow_end end,
                              const struct policy_row *row, uint64_t *due_ms, uint64_t *count)
{
    struct policy_span span = {.has_next = false};
    struct list_view v, next;
    uint64_t beyond;
    enum oxbow_err err = list_view_load(l, l->ends[end].id, LIST_ENTRIES_MAX, &v);

    if (err == OXBOW_OK) {
        err = head_of(&v, &span.head);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *count = v.count;
    beyond = end == OXBOW_LEFT ? v.next : v.prev;
    if (!list_is_single(l) && v.kind != list_kind_at(end)) {
        err = list_view_load(l, beyond, 1, &next);
        if (err == OXBOW_OK && next.kind == v.kind) {
            span.has_next = true;
            err = head_of(&next, &span.next);
        }
    }
    return err == OXBOW_OK ? policy_span_due(l->txn, row, &span, due_ms) : err;
}

/* The end whose chunk was begun first: of a list that grew at one end alone, the other one. */
static enum oxbow_err older_end(const struct list *l, enum oxbow_end *end)
{
    uint64_t ms[2];
    struct list_view v[2];

    for (int e = 0; e < 2; e++) {
        struct chunk_head head;
        enum oxbow_err err = list_view_load(l, l->ends[e].id, 1, &v[e]);

        if (err == OXBOW_OK) {
            err = head_of(&v[e], &head);
        }
        if (err == OXBOW_OK) {
            err = policy_chunk_ms(l->txn, &head, &ms[e]);
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
    *end = ms[0] != ms[1]                           ? (ms[0] < ms[1] ? OXBOW_LEFT : OXBOW_RIGHT)
           : v[1].kind == list_kind_at(OXBOW_RIGHT) ? OXBOW_LEFT
                                                    : OXBOW_RIGHT;
    return OXBOW_OK;
}

enum oxbow_err policy_list_shrink(struct list *l, struct policy_row *row, bool *over)
{
    enum oxbow_end end;
    enum oxbow_err err;

    *over = !policy_fits(&row->policy, l->count, l->bytes);
    if (!*over) {
        return OXBOW_OK;
    }
    err = older_end(l, &end);
    l->policy = row;
    if (err == OXBOW_OK) {
        err = policy_list_settle(l, list_other(end), 0);
    }
    *over = !policy_fits(&row->policy, l->count, l->bytes);
    return list_close(l, err);
}

/* Removes what is too old at one end. */
static enum oxbow_err end_expire(struct list *l, enum oxbow_end end, const struct policy_row *row,
                                 uint64_t *due_ms)
{
    uint64_t now = txn_clock_ms(l->txn);

    *due_ms = now + row->policy.max_age_ms;
    for (unsigned i = 0; i < STEP_CHUNKS && l->count > 0; i++) {
        uint64_t count;
        enum oxbow_err err = end_due(l, end, row, due_ms, &count);

        if (err != OXBOW_OK || *due_ms > now) {
            return err;
        }
        err = drop_counted(l, row, end, count, OXBOW_DROP_AGE);
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

enum oxbow_err policy_list_expire(struct list *l, const struct policy_row *row, uint64_t *due_ms)
{
    uint64_t left_ms, right_ms;
    struct forward_edge edge;
    enum oxbow_err err = forward_edge(l->txn, l->name, &edge);

    if (err == OXBOW_OK && (edge.on || edge.forced)) {
        *due_ms = txn_clock_ms(l->txn) + row->policy.max_age_ms; /* all of it is held */
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        err = policy_boot_note(l->txn);
    }
    if (err == OXBOW_OK) {
        err = end_expire(l, OXBOW_LEFT, row, &left_ms);
    }
    if (err == OXBOW_OK) {
        err = end_expire(l, OXBOW_RIGHT, row, &right_ms);
    }
    if (err == OXBOW_OK) {
        *due_ms = left_ms < right_ms ? left_ms : right_ms;
    }
    return list_close(l, err);
}
