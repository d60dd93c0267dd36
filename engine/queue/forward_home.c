/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A forward is known by its name alone, whatever database a transaction is in: its key is looked for in its
 * own. Each function goes there, does its work, and comes back.
 */
#include "engine/queue/forward_home.h"

#include "engine/queue/forward_record.h"

static enum oxbow_err home(struct oxbow_txn *txn, const char *name)
{
    struct forward_table *t;
    const struct forward_row *row;
    enum oxbow_err err = forward_table_get(txn, &t);

    if (err != OXBOW_OK) {
        return err;
    }
    row = forward_row_named(t, name);
    return row == NULL ? OXBOW_ENOENT : oxbow_txn_select(txn, row->database);
}

static enum oxbow_err back(struct oxbow_txn *txn, uint32_t own, enum oxbow_err err)
{
    enum oxbow_err selected = oxbow_txn_select(txn, own);

    return err == OXBOW_OK ? selected : err;
}

enum oxbow_err oxbow_forward_fetch(struct oxbow_txn *txn, const char *name,
                                   const struct oxbow_forward_fetch *want,
                                   struct oxbow_result *result, struct oxbow_forward_batch *batch)
{
    uint32_t own = txn_database(txn);
    enum oxbow_err err = home(txn, name);

    return back(txn, own,
                err == OXBOW_OK ? forward_home_fetch(txn, name, want, result, batch) : err);
}

enum oxbow_err oxbow_forward_sent(struct oxbow_txn *txn, const char *name, struct oxbow_id position)
{
    uint32_t own = txn_database(txn);
    enum oxbow_err err = home(txn, name);

    return back(txn, own, err == OXBOW_OK ? forward_home_sent(txn, name, position) : err);
}

enum oxbow_err oxbow_forward_confirmed(struct oxbow_txn *txn, const char *name,
                                       struct oxbow_id position, bool *more)
{
    uint32_t own = txn_database(txn);
    enum oxbow_err err = home(txn, name);

    return back(txn, own,
                err == OXBOW_OK ? forward_home_confirmed(txn, name, position, more) : err);
}

enum oxbow_err oxbow_forward_trim(struct oxbow_txn *txn, const char *name, uint64_t *removed,
                                  bool *more)
{
    uint32_t own = txn_database(txn);
    enum oxbow_err err = home(txn, name);

    return back(txn, own, err == OXBOW_OK ? forward_home_trim(txn, name, removed, more) : err);
}

enum oxbow_err oxbow_forward_status(struct oxbow_txn *txn, const char *name,
                                    struct oxbow_forward_status *out)
{
    uint32_t own = txn_database(txn);
    enum oxbow_err err = home(txn, name);

    return back(txn, own, err == OXBOW_OK ? forward_home_status(txn, name, out) : err);
}

enum oxbow_err oxbow_forward_resync(struct oxbow_txn *txn, const char *name, struct oxbow_id target,
                                    struct oxbow_forward_resync *out)
{
    uint32_t own = txn_database(txn);
    enum oxbow_err err = home(txn, name);

    return back(txn, own, err == OXBOW_OK ? forward_home_resync(txn, name, target, out) : err);
}

enum oxbow_err oxbow_forward_adopt(struct oxbow_txn *txn, const char *name, struct oxbow_id target)
{
    uint32_t own = txn_database(txn);
    enum oxbow_err err = home(txn, name);

    return back(txn, own, err == OXBOW_OK ? forward_home_adopt(txn, name, target) : err);
}
