/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One batch from a stand-in into the store, so that it is there once whatever ends when.
 *
 *   KV_SPACE_STORE 'M', of the store ->
 *   0         1      2          3 zero  4       8          16      24            40
 *   | version | kind | database | ..... | count | stand-in | batch | last id     | key ...
 *   of members: the last one's order, 0
 *
 *   stand-in: n batches given      store: mark of another stand-in, or up to n
 *     |  merge_put, the mark n + 1: one transaction, durable
 *   stand-in: n                    store: n + 1          <- merge_resume goes on from here
 *     |  merge_take, n + 1: one transaction
 *   stand-in: n + 1                store: n + 1
 *
 * Invariants: (1) The mark is in the transaction that appends, the count in the one that removes.
 * (2) Nobody but the merge writes to a stand-in that is being merged, so what a mark counts from the
 * head of a key is what was appended.
 */
#include "engine/queue/merge.h"

#include "engine/base/codec.h"

#include <string.h>

#define MARK_VERSION 1u
#define MARK_BYTES   40u

static const uint8_t mark_key[] = {KV_SPACE_STORE, STORE_KEY_MERGED};

/* ---- transactions ---- */

enum oxbow_err merge_begin(struct oxbow *db, uint32_t database, uint32_t flags,
                           struct oxbow_txn **out)
{
    const struct oxbow_txn_options opt = {
        .sync = OXBOW_SYNC_ALWAYS, .flags = flags, .database = database};

    return oxbow_txn_begin(db, &opt, out);
}

enum oxbow_err merge_finish(struct oxbow_txn *txn, enum oxbow_err err)
{
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    return oxbow_txn_commit(txn, NULL);
}

bool merge_refused(enum oxbow_err err)
{
    return err == OXBOW_EFULL || err == OXBOW_EBUDGET || err == OXBOW_EQUOTA ||
           err == OXBOW_ENOSPC || err == OXBOW_ETXNBIG || err == OXBOW_ETOOBIG ||
           err == OXBOW_EPROTECTED || err == OXBOW_ELEVEL || err == OXBOW_EINVAL;
}

/* ---- the mark ---- */

static enum oxbow_err mark_decode(struct merge_mark *mark, struct oxbow_bytes value)
{
    const uint8_t *p = value.data;

    if (value.len < MARK_BYTES || p[0] != MARK_VERSION || p[1] < MERGE_STREAM ||
        p[1] > MERGE_ZSET) {
        return OXBOW_ECORRUPT;
    }
    mark->kind = (enum merge_kind)p[1];
    mark->database = p[2];
    mark->count = get_le32(p + 4);
    mark->stand_in = get_le64(p + 8);
    mark->batch = get_le64(p + 16);
    mark->last = (struct oxbow_id){get_le64(p + 24), get_le64(p + 32)};
    mark->key.len = 0;
    return buf_append(&mark->key, p + MARK_BYTES, value.len - MARK_BYTES);
}

enum oxbow_err merge_mark_get(struct merge *m)
{
    struct oxbow_bytes value;
    struct oxbow_txn *txn;
    enum oxbow_err err = merge_begin(m->to, 0, OXBOW_TXN_READ | OXBOW_TXN_NOWAIT, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_get(txn, (struct oxbow_bytes){mark_key, sizeof mark_key}, &value);
    m->mark.stand_in = 0;
    if (err == OXBOW_OK) {
        err = mark_decode(&m->mark, value);
    }
    oxbow_txn_abort(txn);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err merge_mark_put(struct oxbow_txn *txn, const struct merge_mark *mark)
{
    struct buf value;
    uint8_t head[MARK_BYTES] = {MARK_VERSION, (uint8_t)mark->kind, (uint8_t)mark->database};
    enum oxbow_err err = txn_feature_require(txn, STORE_FEATURE_STAND_IN);

    if (err != OXBOW_OK) {
        return err;
    }
    put_le32(head + 4, mark->count);
    put_le64(head + 8, mark->stand_in);
    put_le64(head + 16, mark->batch);
    put_le64(head + 24, mark->last.ms);
    put_le64(head + 32, mark->last.seq);
    buf_init(&value, &txn_port(txn)->alloc, sizeof head + OXBOW_KEY_NAME_MAX);
    err = buf_append(&value, head, sizeof head);
    if (err == OXBOW_OK && mark->key.len > 0) {
        err = buf_append(&value, mark->key.data, mark->key.len);
    }
    if (err == OXBOW_OK) {
        err = kv_put(txn, (struct oxbow_bytes){mark_key, sizeof mark_key},
                     (struct oxbow_bytes){value.data, value.len});
    }
    buf_fini(&value);
    return err;
}

/* The mark that is stored, not the one in memory: that may be of a batch which was refused. */
enum oxbow_err merge_mark_settle(struct merge *m)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = merge_mark_get(m);

    if (err != OXBOW_OK || m->mark.stand_in != m->stand_in || m->mark.batch > m->batches ||
        !merge_members_are(m->mark.kind)) {
        return err;
    }
    m->mark.kind = MERGE_STRING; /* taken already: nobody looks what it was */
    m->mark.last = OXBOW_ID_MIN;
    err = merge_begin(m->to, 0, 0, &txn);
    return err == OXBOW_OK ? merge_finish(txn, merge_mark_put(txn, &m->mark)) : err;
}

/* ---- the two transactions ---- */

static enum oxbow_err append(struct merge *m, const struct merge_unit *u, size_t count)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = merge_begin(m->to, u->database, 0, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = merge_put(m, u, count, txn);
    if (err == OXBOW_OK) {
        err = merge_mark_put(txn, &m->mark);
    }
    return merge_finish(txn, err);
}

static enum oxbow_err take(struct merge *m)
{
    struct stand_in_record record;
    struct oxbow_txn *txn;
    enum oxbow_err err = merge_begin(m->from, m->mark.database, OXBOW_TXN_FORCE, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = merge_take(m, &m->mark, txn);
    if (err == OXBOW_OK) {
        err = stand_in_get(txn, &record);
    }
    if (err == OXBOW_OK) {
        uint8_t dir[STAND_IN_DIR_MAX];

        if (record.dir.len > sizeof dir) {
            return merge_finish(txn, OXBOW_ECORRUPT);
        }
        if (record.dir.len > 0) {
            memcpy(dir, record.dir.data, record.dir.len);
        }
        record.dir.data = dir;
        record.batches = m->mark.batch;
        err = stand_in_put(txn, &record);
    }
    err = merge_finish(txn, err);
    if (err == OXBOW_OK) {
        m->batches = m->mark.batch;
    }
    return err;
}

enum oxbow_err merge_resume(struct merge *m)
{
    if (m->mark.stand_in != m->stand_in || m->mark.batch <= m->batches) {
        return OXBOW_OK;
    }
    return m->mark.batch == m->batches + 1 ? take(m) : OXBOW_ECORRUPT;
}

/* ---- a unit ---- */

/* What is about to be appended. */
static enum oxbow_err mark_set(struct merge *m, const struct merge_unit *u, size_t count)
{
    struct merge_mark *mark = &m->mark;

    mark->stand_in = m->stand_in;
    mark->batch = m->batches + 1;
    mark->kind = u->kind;
    mark->database = u->database;
    mark->count = (uint32_t)count;
    mark->last = u->kind == MERGE_STREAM ? m->batch.entries[count - 1].id
                 : u->kind == MERGE_ONCE || merge_members_are(u->kind) ? u->upto
                                                                       : OXBOW_ID_MIN;
    mark->key.len = 0;
    return u->key.len > 0 ? buf_append(&mark->key, u->key.data, u->key.len) : OXBOW_OK;
}

enum oxbow_err merge_unit_run(struct merge *m, struct merge_unit *u)
{
    size_t count = 0;
    enum oxbow_err err;

    u->most = MERGE_BATCH;
    for (;;) {
        err = merge_read(m, u, &count);
        if (err != OXBOW_OK || count == 0) {
            return err;
        }
        err = mark_set(m, u, count);
        if (err == OXBOW_OK) {
            err = append(m, u, count);
        }
        if (merge_refused(err) && count > 1) {
            u->most = 1; /* as many as there is room for */
            continue;
        }
        if (merge_refused(err)) {
            m->left = err;
            return OXBOW_OK;
        }
        m->merged += err == OXBOW_OK && u->kind != MERGE_ONCE ? count - m->entries.known : 0;
        if (err == OXBOW_OK) {
            err = take(m);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        u->most = u->most * 2 < MERGE_BATCH ? u->most * 2 : MERGE_BATCH;
    }
}
