/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policies remove when the store has time: entries that are too old, and delivered ones beyond
 * what is kept. Called as idle work, a few queues and a bounded number of entries at a time.
 *
 * 1. A row is looked at when it is due, and at once after it was changed or read again. What is
 *    appended meanwhile is too young to matter before.
 */
#include "engine/queue/policy_list.h"
#include "engine/queue/stream.h"

#define ROWS_STEP 16u

static enum oxbow_err expire(struct oxbow_txn *txn, struct oxbow_bytes key,
                             const struct policy_row *row, uint64_t *due_ms)
{
    struct object object;
    struct stream s;
    struct list l;
    enum oxbow_err err = catalog_find(txn, key, &object);

    *due_ms = txn_clock_ms(txn) + row->policy.max_age_ms;
    if (err == OXBOW_OK && object.type == OXBOW_TYPE_STREAM) {
        err = stream_load(txn, &object, &s);
        return err == OXBOW_OK ? policy_stream_expire(&s, key, row, due_ms) : err;
    }
    if (err == OXBOW_OK && object.type == OXBOW_TYPE_LIST) {
        err = list_find(txn, key, &l);
        return err == OXBOW_OK ? policy_list_expire(&l, row, due_ms) : err;
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Looks at one row, in its database. A queue that is damaged is left to those who use it. */
static enum oxbow_err look(struct oxbow_txn *txn, struct policy_table *t, struct policy_row *row)
{
    struct oxbow_bytes key = policy_row_name(t, row);
    uint32_t own = txn_database(txn);
    enum oxbow_err back;
    enum oxbow_err err = oxbow_txn_select(txn, row->database);

    if (err == OXBOW_OK) {
        err = expire(txn, key, row, &row->due_ms);
    }
    if (err == OXBOW_ECORRUPT) {
        row->due_ms = txn_clock_ms(txn) + row->policy.max_age_ms;
        err = OXBOW_OK;
    }
    back = oxbow_txn_select(txn, own);
    return err == OXBOW_OK ? back : err;
}

/* Whether a sweep has anything to do with that row. */
static bool concerns(const struct policy_row *row)
{
    return row->policy.max_age_ms > 0 && !row->critical;
}

enum oxbow_err policy_sweep(struct oxbow_txn *txn, bool *more)
{
    uint64_t now = txn_clock_ms(txn);
    uint64_t next = UINT64_MAX;
    struct policy_table *t;
    unsigned looked = 0;
    enum oxbow_err err = policy_table_get(txn, &t);

    *more = false;
    if (err == OXBOW_OK) {
        policy_table_doubt(t);
    }
    for (uint32_t i = 0; err == OXBOW_OK && i < t->count; i++) {
        struct policy_row *row = &t->rows[(t->sweep + i) % t->count];

        if (!concerns(row)) {
            continue;
        }
        if (row->due_ms <= now && looked == ROWS_STEP) {
            t->sweep = (t->sweep + i) % t->count;
            *more = true;
            return OXBOW_OK;
        }
        if (row->due_ms <= now) {
            err = look(txn, t, row);
            looked++;
        }
        if (row->due_ms <= now) {
            *more = true; /* the step was too short for it */
        } else if (row->due_ms < next) {
            next = row->due_ms;
        }
    }
    if (err == OXBOW_OK && next != UINT64_MAX) {
        txn_idle_at(txn, next);
    }
    return err;
}
