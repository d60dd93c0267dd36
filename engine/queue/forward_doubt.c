/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes how far each forward's key went when an opening followed one that was not closed, and brings
 * store and target together when the target turns out to be beyond that.
 *
 * Invariants: (1) The note is the store's durable end: it is made before anything is added, and kept
 * over further openings until the target was asked. (2) Up to the note everything was sent before
 * anything beyond it, so a target beyond it has it all, as entries or as gaps.
 */
#include "engine/queue/forward_doubt.h"

#include "engine/base/codec.h"
#include "engine/base/id.h"
#include "engine/queue/forward_gap.h"
#include "engine/queue/forward_walk.h"
#include "oxbow/stream.h"

#define NOTE_KEY   6u
#define NOTE_BYTES 16u

static struct oxbow_bytes note_key(uint8_t out[NOTE_KEY], uint32_t id)
{
    out[0] = KV_SPACE_FORWARD;
    out[1] = 'd';
    put_be32(out + 2, id);
    return (struct oxbow_bytes){out, NOTE_KEY};
}

static enum oxbow_err note_get(struct oxbow_txn *txn, uint32_t id, struct oxbow_id *end)
{
    uint8_t key[NOTE_KEY];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, note_key(key, id), &value);

    if (err == OXBOW_OK && value.len != NOTE_BYTES) {
        return OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        end->ms = get_le64(value.data);
        end->seq = get_le64((const uint8_t *)value.data + 8);
    }
    return err;
}

static enum oxbow_err note_put(struct oxbow_txn *txn, uint32_t id, struct oxbow_id end)
{
    uint8_t key[NOTE_KEY];
    uint8_t value[NOTE_BYTES];

    put_le64(value, end.ms);
    put_le64(value + 8, end.seq);
    return kv_put(txn, note_key(key, id), (struct oxbow_bytes){value, NOTE_BYTES});
}

/* A forward whose record or key is damaged has none: it says so by itself when it is used. */
static enum oxbow_err note_one(struct oxbow_txn *txn, struct forward_table *t, uint32_t id)
{
    struct oxbow_id end;
    enum oxbow_err err = forward_doubt_get(txn, &t->work, &end);

    if (err != OXBOW_ENOENT) {
        return err;
    }
    err = oxbow_txn_select(txn, t->work.config.database);
    if (err == OXBOW_OK) {
        err = forward_walk_end(txn, &t->work, &end);
    }
    if (err == OXBOW_OK && id_compare(end, t->work.sent) < 0) {
        end = t->work.sent;
    }
    return err == OXBOW_OK ? note_put(txn, id, end) : err;
}

enum oxbow_err forward_doubt_open(struct oxbow *db)
{
    const struct oxbow_txn_options opt = {.sync = OXBOW_SYNC_INTERVAL, .flags = OXBOW_TXN_NOWAIT};
    struct forward_table *t;
    struct oxbow_txn *txn;
    enum oxbow_err err;

    if (!store_cut_off(db)) {
        return OXBOW_OK;
    }
    err = oxbow_txn_begin(db, &opt, &txn);
    if (err != OXBOW_OK) {
        return err;
    }
    err = forward_table_get(txn, &t);
    for (size_t i = 0; err == OXBOW_OK && i < t->count; i++) {
        err = forward_record_get(txn, t->rows[i].id, &t->work);
        if (err == OXBOW_OK) {
            err = note_one(txn, t, t->rows[i].id);
        }
        err = err == OXBOW_ECORRUPT || err == OXBOW_EWRONGTYPE ? OXBOW_OK : err;
    }
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err == OXBOW_ECORRUPT ? OXBOW_OK : err;
    }
    return oxbow_txn_commit(txn, NULL);
}

enum oxbow_err forward_doubt_get(struct oxbow_txn *txn, const struct forward_record *r,
                                 struct oxbow_id *end)
{
    struct oxbow_id noted;
    enum oxbow_err err = note_get(txn, r->config.id, &noted);

    if (err == OXBOW_OK && id_compare(r->sent, noted) > 0) {
        err = OXBOW_ENOENT; /* a version that knows no notes has gone on */
    }
    if (err == OXBOW_OK) {
        *end = noted;
    }
    return err;
}

enum oxbow_err forward_doubt_del(struct oxbow_txn *txn, uint32_t id)
{
    uint8_t key[NOTE_KEY];

    return kv_del(txn, note_key(key, id));
}

/* Elements that are here keep their order: all positions move by the same amount, so that the one
 * after `end` is the one after `target`. */
static enum oxbow_err settle_list(struct oxbow_txn *txn, struct forward_record *r,
                                  struct oxbow_id end, struct oxbow_id target, bool *able)
{
    uint64_t by = target.seq - end.seq;
    struct oxbow_gap gap;
    bool more = true;
    enum oxbow_err err = forward_gap_next(txn, r->config.id, end, &gap);

    if (err != OXBOW_ENOENT || target.ms != r->config.epoch) {
        *able = false;
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    err = OXBOW_OK;
    while (err == OXBOW_OK && more) {
        err = forward_gap_drop(txn, r->config.id, end, &more);
    }
    r->head += by;
    r->confirmed = (struct oxbow_id){target.ms, r->confirmed.seq + by};
    r->trimmed = (struct oxbow_id){target.ms, r->trimmed.seq + by};
    r->mark_count = 0;
    r->sent = target;
    *able = err == OXBOW_OK;
    return err;
}

static enum oxbow_err settle_stream(struct oxbow_txn *txn, struct forward_table *t,
                                    struct forward_record *r, struct oxbow_id end,
                                    struct oxbow_id target, bool *able)
{
    struct oxbow_stream_range range = {.expired = true, .from = end, .to = target, .count = 1};
    struct oxbow_id last;
    enum oxbow_err err = OXBOW_OK;

    *able = id_next(&range.from);
    if (*able) {
        err = oxbow_stream_range(txn, r->config.options.key, &range, &t->scratch);
        *able = err == OXBOW_OK && t->scratch.entry_count == 0;
    }
    if (!*able) {
        return err;
    }
    err = forward_gap_cut(txn, r, target);
    if (err == OXBOW_OK) {
        err = forward_walk_end(txn, r, &last);
    }
    if (err == OXBOW_OK && id_compare(last, target) < 0) {
        err = forward_raise(txn, t, r->config.options.key, target);
    }
    r->sent = target;
    return err;
}

enum oxbow_err forward_doubt_settle(struct oxbow_txn *txn, struct forward_record *r,
                                    struct oxbow_id end, struct oxbow_id target, bool *able)
{
    struct forward_table *t;
    enum oxbow_err err = forward_table_get(txn, &t);

    if (err != OXBOW_OK) {
        return err;
    }
    return r->config.options.type == OXBOW_TYPE_LIST ? settle_list(txn, r, end, target, able)
                                                     : settle_stream(txn, t, r, end, target, able);
}
