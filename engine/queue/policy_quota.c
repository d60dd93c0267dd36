/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A full store and the queues that drop the oldest. Such a queue gives up as much of its own as it
 * adds, so it goes on as a ring of the size that it has got to, and takes nothing from others. What it
 * gives up comes free only with the next checkpoint; until then its appends live off the room above
 * the quota, of which a table cannot use up the half. It begins before the quota is reached, so that
 * queues which have nothing to give up are not refused for its sake.
 *
 * 1. Never more is dropped than the append takes, or twice that while the store lies above the line
 *    where this begins and what was dropped beyond the appends since does not make up for it: so it
 *    comes back under it, and a ring does not shrink for as long as a checkpoint takes.
 * 2. Nothing is dropped for an append that then finds no room, but for what is delivered.
 */
#include "engine/queue/forward.h"
#include "engine/queue/policy_list.h"
#include "engine/queue/stream.h"

/* Drops so many bytes of a stream; none when it has fewer, or not as many that are delivered. */
static enum oxbow_err stream_give_up(struct stream *s, struct oxbow_bytes key,
                                     const struct policy_row *row, uint64_t bytes, bool *dropped)
{
    struct stream_cut cut = {.by_bytes = true, .entries_max = UINT64_MAX};
    uint64_t had = s->bytes;
    enum oxbow_err err;

    *dropped = false;
    if (s->bytes < bytes) {
        return OXBOW_OK;
    }
    cut.bytes_max = s->bytes - bytes;
    err = policy_stream_cut(s, key, row, &cut, OXBOW_DROP_QUOTA);
    if (err == OXBOW_OK && s->bytes < had) {
        err = stream_save(s);
    }
    *dropped = err == OXBOW_OK && had - s->bytes >= bytes;
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(s->txn, err);
}

/* Whatever the name holds. Nothing is given up for what the queue would not take even empty. */
static enum oxbow_err give_up(struct oxbow_txn *txn, const struct policy_ask *ask,
                              const struct policy_row *row, uint64_t bytes, bool *dropped)
{
    struct object object;
    struct stream s;
    struct list l;
    enum oxbow_err err = catalog_find(txn, ask->key, &object);

    *dropped = false;
    if (err == OXBOW_OK && object.type == OXBOW_TYPE_STREAM) {
        err = stream_load(txn, &object, &s);
        return err == OXBOW_OK ? stream_give_up(&s, ask->key, row, bytes, dropped) : err;
    }
    if (err == OXBOW_OK && object.type == OXBOW_TYPE_LIST) {
        err = list_find(txn, ask->key, &l);
        return err == OXBOW_OK ? policy_list_give_up(&l, row, list_other(ask->end), bytes, dropped)
                               : err;
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static bool gives_up(const struct policy_row *row)
{
    return row != NULL && row->policy.on_full == OXBOW_POLICY_DROP_OLDEST && !row->critical;
}

enum oxbow_err policy_reserve(struct oxbow_txn *txn, const struct policy_ask *ask, bool *dropped)
{
    struct policy_row *row;
    uint64_t bytes;
    bool done = false;
    enum oxbow_err err;

    *dropped = false;
    if (!txn_quota_tight(txn, ask->bytes, &bytes)) {
        return txn_reserve_bytes(txn, ask->bytes);
    }
    err = policy_row(txn, ask->key, &row);
    if (err != OXBOW_OK) {
        return err;
    }
    if (!gives_up(row) || !policy_fits(&row->policy, 1, ask->largest) ||
        txn_reserve_freed(txn, ask->bytes) != OXBOW_OK) {
        return txn_reserve_bytes(txn, ask->bytes);
    }
    err = give_up(txn, ask, row, bytes, &done);
    if (done) {
        txn_quota_spare(txn, bytes - ask->bytes);
    }
    *dropped = err == OXBOW_OK;
    return err == OXBOW_OK && !done ? txn_reserve_bytes(txn, ask->bytes) : err;
}

enum oxbow_err policy_quota_held(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 const struct policy_row *row, bool *held)
{
    struct forward_edge edge;
    uint64_t bytes;
    enum oxbow_err err;

    *held = false;
    if (!gives_up(row) || !txn_quota_tight(txn, 0, &bytes)) {
        return OXBOW_OK;
    }
    err = forward_edge(txn, key, &edge);
    *held = err == OXBOW_OK && edge.on;
    return err;
}
