/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policies remove when the store has time: entries that are too old, delivered ones beyond what
 * is kept, and what is over a limit that was lowered. Called as idle work, a few queues and a bounded number of entries at a time.
 *
 * 1. For its limit of age a row is looked at when it is due, and at once after it was changed or read
 *    again: what is appended meanwhile is too young to matter before.
 * 2. For its limits a row is looked at after it was changed or read again, and as long as an append has
 *    left it beyond them.
 * 3. For its replay window it is looked at in every round: nobody tells of acks.
 */
#include "engine/queue/policy_list.h"
#include "engine/queue/stream.h"

#define ROWS_STEP 16u
#define HELD_MS   60000u /* what a forward holds over a limit is looked at again then */

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

static enum oxbow_err keep(struct oxbow_txn *txn, struct oxbow_bytes key, struct policy_row *row,
                           uint64_t *due_ms)
{
    struct stream s;
    enum oxbow_err err = stream_find(txn, key, &s);

    *due_ms = UINT64_MAX;
    if (err == OXBOW_OK) {
        err = policy_stream_keep(&s, key, row, due_ms);
    }
    return err == OXBOW_ENOENT || err == OXBOW_EWRONGTYPE ? OXBOW_OK : err;
}

static enum oxbow_err shrink(struct oxbow_txn *txn, struct oxbow_bytes key, struct policy_row *row)
{
    bool over = false;
    uint64_t removed = 0;
    struct object object;
    struct stream s;
    struct list l;
    enum oxbow_err err = catalog_find(txn, key, &object);

    if (err == OXBOW_OK && object.type == OXBOW_TYPE_STREAM) {
        err = stream_load(txn, &object, &s);
        if (err == OXBOW_OK) {
            removed = s.length;
            err = policy_stream_shrink(&s, key, row, &over);
            removed -= s.length;
        }
    } else if (err == OXBOW_OK && object.type == OXBOW_TYPE_LIST) {
        err = list_find(txn, key, &l);
        if (err == OXBOW_OK) {
            removed = l.count;
            err = policy_list_shrink(&l, row, &over);
            removed -= l.count;
        }
    }
    row->settled = !over;
    row->settle_due_ms = txn_clock_ms(txn) + (removed == 0 ? HELD_MS : 0);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static bool shrinks(const struct policy_row *row)
{
    return (row->policy.max_entries > 0 || row->policy.max_bytes > 0) && !row->settled &&
           row->policy.on_full == OXBOW_POLICY_DROP_OLDEST && !row->critical;
}

static bool ages(const struct policy_row *row)
{
    return row->policy.max_age_ms > 0 && !row->critical;
}

static bool keeps(const struct policy_row *row)
{
    return (row->policy.keep_ms > 0 || row->policy.keep_bytes > 0) && !row->critical;
}

/* Looks at one row, in its database. A queue that is damaged is left to those who use it. */
static enum oxbow_err look(struct oxbow_txn *txn, struct policy_table *t, struct policy_row *row)
{
    struct oxbow_bytes key = policy_row_name(t, row);
    uint32_t own = txn_database(txn);
    enum oxbow_err back;
    enum oxbow_err err = oxbow_txn_select(txn, row->database);

    row->keep_due_ms = UINT64_MAX;
    if (err == OXBOW_OK && ages(row) && row->due_ms <= txn_clock_ms(txn)) {
        err = expire(txn, key, row, &row->due_ms);
    }
    if (err == OXBOW_OK && keeps(row)) {
        err = keep(txn, key, row, &row->keep_due_ms);
    }
    if (err == OXBOW_OK && shrinks(row) && row->settle_due_ms <= txn_clock_ms(txn)) {
        err = shrink(txn, key, row);
    }
    if (err == OXBOW_ECORRUPT) {
        row->settled = true;
        row->due_ms = txn_clock_ms(txn) + row->policy.max_age_ms;
        row->keep_more = false;
        err = OXBOW_OK;
    }
    back = oxbow_txn_select(txn, own);
    return err == OXBOW_OK ? back : err;
}

/* When all rows of a round were looked at: whether one needs another step, and when the next is due. */
static void round_end(struct oxbow_txn *txn, struct policy_table *t, bool *more)
{
    uint64_t next = UINT64_MAX;

    t->sweep = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct policy_row *row = &t->rows[i];

        if (ages(row) && row->due_ms < next) {
            next = row->due_ms;
        }
        if (keeps(row) && row->keep_due_ms < next) {
            next = row->keep_due_ms;
        }
        if (shrinks(row) && row->settle_due_ms < next) {
            next = row->settle_due_ms;
        }
        *more = *more || (keeps(row) && row->keep_more);
    }
    if (next <= txn_clock_ms(txn)) {
        *more = true;
    } else if (next != UINT64_MAX) {
        txn_idle_at(txn, next);
    }
}

enum oxbow_err policy_sweep(struct oxbow_txn *txn, bool *more)
{
    struct policy_table *t;
    unsigned looked = 0;
    enum oxbow_err err = policy_table_get(txn, &t);

    *more = false;
    if (err != OXBOW_OK || t->count == 0) {
        return err;
    }
    policy_table_doubt(t);
    for (; t->sweep < t->count && looked < ROWS_STEP; t->sweep++) {
        struct policy_row *row = &t->rows[t->sweep];

        if (keeps(row) || (ages(row) && row->due_ms <= txn_clock_ms(txn)) ||
            (shrinks(row) && row->settle_due_ms <= txn_clock_ms(txn))) {
            err = look(txn, t, row);
            looked++;
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
    if (t->sweep < t->count) {
        *more = true;
    } else {
        round_end(txn, t, more);
    }
    return OXBOW_OK;
}
