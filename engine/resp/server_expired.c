/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, and fields of hashes, whose time is over: the store removes them by itself, the server tells who
 * asked. */
#include "engine/resp/server.h"
#include "oxbow/expired.h"

#define EXPIRED_BYTES    ((size_t)1 << 20) /* of names that nobody was told of yet */
#define EXPIRED_STEP_MAX 1000u             /* names in one turn */
#define WANTED           (1u << RESP_EVENT_EXPIRED | 1u << RESP_EVENT_HASH | 1u << RESP_EVENT_GENERIC)

/* In the batch's transaction, where one is under way: EXEC may do it. */
static enum oxbow_err keep(struct oxbow_resp *s, size_t bytes)
{
    struct oxbow_txn *txn;
    uint64_t lsn;
    enum oxbow_err err;

    if (s->txn != NULL) {
        return oxbow_expired_watch(s->txn, bytes);
    }
    err = resp_txn_begin(s, 0, &txn);
    if (err != OXBOW_OK) {
        return err;
    }
    err = oxbow_expired_watch(txn, bytes);
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    return resp_txn_end(s, txn, &lsn);
}

bool resp_expired_look(struct oxbow_resp *s)
{
    bool wants = (s->notify & WANTED) != 0 || s->track.clients > 0;

    if (wants != s->expired_kept) {
        if (keep(s, wants ? EXPIRED_BYTES : 0) != OXBOW_OK) {
            return false;
        }
        s->expired_kept = wants;
    }
    return true;
}

bool resp_expired_watch(struct oxbow_resp *s, uint32_t notify)
{
    uint32_t had = s->notify;
    bool done;

    s->notify = notify;
    done = resp_expired_look(s);
    if (!done) {
        s->notify = had;
    }
    return done;
}

enum oxbow_err resp_expired_again(struct oxbow_resp *s)
{
    s->expired_kept = false;
    return resp_expired_look(s) ? OXBOW_OK : OXBOW_ENOMEM;
}

/* As Redis tells it. */
static void tell(struct oxbow_resp *s, const struct oxbow_expired *one, struct oxbow_bytes key)
{
    resp_track_changed(s, NULL, key);
    if (one->what == OXBOW_EXPIRED_KEY) {
        resp_notify(s, one->database, RESP_EVENT_EXPIRED, "expired", key);
        return;
    }
    resp_notify(s, one->database, RESP_EVENT_HASH, "hexpired", key);
    if (one->what == OXBOW_EXPIRED_HASH) {
        resp_notify(s, one->database, RESP_EVENT_GENERIC, "del", key);
    }
}

void resp_expired_tell(struct oxbow_resp *s)
{
    struct oxbow_expired one;
    uint32_t n = 0;
    enum oxbow_err err;

    (void)resp_expired_look(
        s); /* clients that track may be gone; what stays on is looked at again */
    if (!s->expired_kept || !resp_room(s) || resp_txn_begin(s, 0, &s->txn) != OXBOW_OK) {
        return;
    }
    (void)oxbow_txn_databases(s->txn); /* it has to begin somewhere */
    do { /* messages are part of the batch: they leave when the removal is safe */
        err = oxbow_expired_next(s->txn, &one, &s->result);
        if ((err == OXBOW_OK || err == OXBOW_ENOENT) && one.lost > 0) {
            resp_track_all(s); /* who keeps one of those may know no other way */
        }
        if (err == OXBOW_OK) {
            err = oxbow_txn_select(s->txn, one.database);
        }
        if (err == OXBOW_OK) {
            tell(s, &one, s->result.items[0]);
        }
    } while (err == OXBOW_OK && ++n < EXPIRED_STEP_MAX);
    (void)!resp_batch_end(s);
}
