/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of lists: what asks for room before elements are added at an end, and what drops the oldest
 * afterwards. The oldest are at the other end: a list is a queue from where it is pushed to there.
 *
 * 1. Elements of a list that a forward carries are none of them delivered, and stay.
 * 2. One push removes at most about STEP elements beyond those it added.
 */
#include "engine/queue/policy_list.h"

#include "engine/queue/forward.h"

#define STEP 4096u

enum oxbow_err policy_list_room(struct oxbow_txn *txn, struct oxbow_bytes key,
                                const struct oxbow_bytes *values, size_t count)
{
    struct policy_room more = {.entries = count};
    struct policy_row *row;
    struct list l;
    enum oxbow_err err = policy_row(txn, key, &row);

    if (err != OXBOW_OK || row == NULL) {
        return err;
    }
    if (row->critical) {
        return OXBOW_ENOTSUP;
    }
    err = list_find(txn, key, &l);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    for (size_t i = 0; i < count; i++) {
        more.bytes += values[i].len;
        if (!policy_fits(&row->policy, 1, values[i].len)) {
            row->refused++;
            return OXBOW_ETOOBIG;
        }
    }
    if (row->policy.on_full == OXBOW_POLICY_DROP_OLDEST) {
        return OXBOW_OK;
    }
    if (!policy_fits(&row->policy, more.entries, more.bytes)) {
        row->refused++;
        return OXBOW_ETOOBIG;
    }
    if (policy_fits(&row->policy, l.count + more.entries, l.bytes + more.bytes)) {
        return OXBOW_OK;
    }
    row->refused++;
    return OXBOW_EFULL;
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
    const struct oxbow_policy *p;
    struct policy_row *row;
    struct forward_edge edge;
    enum oxbow_err err = policy_row(l->txn, l->name, &row);

    if (err != OXBOW_OK || row == NULL) {
        return err;
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
