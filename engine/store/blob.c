/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large values, in pieces of one page each:
 *
 *   KV_SPACE_BLOB, be64 blob, be32 piece  ->  at most KV_PAGE_MAX bytes
 *   KV_SPACE_STORE, 'p', be64 blob        ->  nothing: a mark, this blob is to be reaped
 *
 * All pieces but the last are full, so a position says which piece it is in. The checkpoint thread
 * writes mark and pieces to the tree in bounded steps while the transaction waits; the transaction
 * itself only deletes the mark. So a blob whose transaction never became durable is reaped, as is
 * one that was deleted: that sets the mark again.
 *
 * Invariants: (1) A blob without a mark belongs to a transaction that committed. (2) Blob ids are
 * never used twice: the first step of each stores the counter.
 */
#include "engine/base/codec.h"
#include "engine/store/store.h"

#include <string.h>

#define PIECE_KEY_BYTES 13u
#define MARK_KEY_BYTES  10u
#define STEP_PIECES     256u /* written in one transaction of the tree: see SPACE_KEEP_LEAST */
#define REAP_PIECES     256u /* deleted in one transaction of ours */

static struct oxbow_bytes piece_key(uint8_t out[PIECE_KEY_BYTES], uint64_t blob, uint32_t piece)
{
    out[0] = KV_SPACE_BLOB;
    put_be64(out + 1, blob);
    put_be32(out + 9, piece);
    return (struct oxbow_bytes){out, PIECE_KEY_BYTES};
}

static struct oxbow_bytes mark_key(uint8_t out[MARK_KEY_BYTES], uint64_t blob)
{
    out[0] = KV_SPACE_STORE;
    out[1] = STORE_KEY_PENDING;
    put_be64(out + 2, blob);
    return (struct oxbow_bytes){out, MARK_KEY_BYTES};
}

/* ---- the checkpoint thread's side ---- */

/* One step: the pieces from *piece on, and the mark with the first. */
static enum oxbow_err write_pieces(struct oxbow *db, const struct blob_job *job, uint32_t *piece)
{
    const uint8_t *p = job->data.data;
    size_t pos = (size_t)*piece * KV_PAGE_MAX;
    uint8_t key[PIECE_KEY_BYTES];
    uint32_t n;
    enum oxbow_err err = OXBOW_OK;

    if (*piece == 0) {
        err = tree_write_put(db->tree, mark_key(key, job->id), (struct oxbow_bytes){NULL, 0});
    }
    for (n = 0; n < STEP_PIECES && pos < job->data.len && err == OXBOW_OK; n++) {
        size_t len = job->data.len - pos < KV_PAGE_MAX ? job->data.len - pos : KV_PAGE_MAX;

        err = tree_write_put(db->tree, piece_key(key, job->id, *piece),
                             (struct oxbow_bytes){p + pos, len});
        ++*piece;
        pos += len;
    }
    return err;
}

static enum oxbow_err write_step(struct oxbow *db, const struct blob_job *job, uint32_t *piece,
                                 bool *fatal)
{
    struct tree_header header = *tree_header(db->tree);
    enum oxbow_err err = tree_write_begin(db->tree);

    *fatal = false;
    if (err != OXBOW_OK) {
        return err;
    }
    err = write_pieces(db, job, piece);
    if (err != OXBOW_OK) {
        tree_write_abort(db->tree);
        return err;
    }
    header.next_blob = job->id;
    err = tree_write_commit(db->tree, &header);
    *fatal = err != OXBOW_OK;
    return err;
}

enum oxbow_err blob_store(struct oxbow *db, const struct blob_job *job, bool *fatal)
{
    uint32_t piece = 0;
    enum oxbow_err err = OXBOW_OK;

    *fatal = false;
    while (err == OXBOW_OK && (size_t)piece * KV_PAGE_MAX < job->data.len) {
        if (db->space.head < SPACE_KEEP_LEAST) {
            return OXBOW_ENOSPC; /* the step would meet holes */
        }
        err = write_step(db, job, &piece, fatal);
        if (err == OXBOW_OK) {
            space_settle(db);
            backup_watch(db);
        }
    }
    return err;
}

void blob_serve(struct oxbow *db)
{
    struct blob_job *job = db->blob_job;
    bool fatal;
    enum oxbow_err err;

    db->blob_job = NULL; /* from now on its owner waits for us, whatever happens to the store */
    store_unlock(db);
    err = blob_store(db, job, &fatal);
    store_lock(db);
    if (err == OXBOW_OK) {
        err = tree_renew(db->tree);
        fatal = err != OXBOW_OK;
    }
    if (fatal) {
        store_fail(db, err);
    }
    tree_usage(db->tree, &db->usage);
    space_publish(db);
    job->err = err;
    job->done = true;
    db->port->threads.cond_broadcast(db->settled);
}

enum oxbow_err blob_reap(struct oxbow_txn *txn, bool *more)
{
    static const uint8_t first[2] = {KV_SPACE_STORE, STORE_KEY_PENDING};
    uint8_t from[PIECE_KEY_BYTES];
    uint8_t to[PIECE_KEY_BYTES];
    uint8_t mark[MARK_KEY_BYTES];
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct kv_cursor c;
    bool left = false;
    uint64_t blob;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek_in(&c, (struct oxbow_bytes){first, sizeof first}, sizeof first, &key,
                            &value);
    kv_cursor_fini(&c);
    if (err == OXBOW_ENOENT ||
        (err == OXBOW_OK && (key.len != MARK_KEY_BYTES || memcmp(key.data, first, 2) != 0))) {
        *more = false;
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    blob = get_be64((const uint8_t *)key.data + 2);
    err = kv_del_range(txn, piece_key(from, blob, 0), piece_key(to, blob, UINT32_MAX), REAP_PIECES,
                       &left);
    if (err == OXBOW_OK && !left) {
        err = kv_del(txn, mark_key(mark, blob));
    }
    if (err == OXBOW_OK) {
        *more = true;
    }
    return err;
}

/* ---- the transaction's side ---- */

/* The checkpoint thread's own transaction need not wait for itself. */
static enum oxbow_err store_here(struct oxbow *db, const struct blob_job *job)
{
    bool fatal;
    enum oxbow_err err = blob_store(db, job, &fatal);

    if (err == OXBOW_OK) {
        err = tree_renew(db->tree);
        fatal = err != OXBOW_OK;
    }
    if (fatal) {
        store_lock(db);
        store_fail(db, err);
        db->in_memory = db->hold.why != OXBOW_OK;
        store_unlock(db);
    }
    return err;
}

/* Has the checkpoint thread write it, and waits. */
static enum oxbow_err hand_over(struct oxbow *db, struct blob_job *job)
{
    store_lock(db);
    db->blob_job = job;
    db->port->threads.cond_signal(db->work);
    while (!job->done && (!store_halted(db) || db->blob_job == NULL)) {
        db->port->threads.cond_wait(db->settled, db->mutex, UINT64_MAX);
    }
    if (!job->done) {
        db->blob_job = NULL; /* the store failed, and nobody has begun with it */
        job->err = OXBOW_EFAILED;
    }
    db->in_memory = db->hold.why != OXBOW_OK;
    store_unlock(db);
    return job->err;
}

/* Of a store in memory: the pieces are the transaction's own, and need no mark. */
static enum oxbow_err store_in_memory(struct oxbow_txn *txn, const struct blob_job *job)
{
    const uint8_t *p = job->data.data;
    uint8_t key[PIECE_KEY_BYTES];
    enum oxbow_err err = OXBOW_OK;
    size_t pos;

    for (pos = 0; pos < job->data.len && err == OXBOW_OK; pos += KV_PAGE_MAX) {
        size_t len = job->data.len - pos < KV_PAGE_MAX ? job->data.len - pos : KV_PAGE_MAX;

        err = kv_put(txn, piece_key(key, job->id, (uint32_t)(pos / KV_PAGE_MAX)),
                     (struct oxbow_bytes){p + pos, len});
    }
    return err;
}

/* Writes it, by the way that there is. */
static enum oxbow_err store_blob(struct oxbow_txn *txn, struct blob_job *job)
{
    struct oxbow *db = txn->db;
    enum oxbow_err err;

    if (db->in_memory) {
        return store_in_memory(txn, job);
    }
    err = txn->internal ? store_here(db, job) : hand_over(db, job);
    if (err == OXBOW_OK) {
        uint8_t mark[MARK_KEY_BYTES];

        txn->ahead += job->data.len;
        err = kv_del(txn, mark_key(mark, job->id));
    } else if (db->in_memory) {
        job->id = ++db->next_blob; /* the device failed at it: what is there of it is reaped */
        err = store_in_memory(txn, job);
    }
    return err;
}

enum oxbow_err kv_blob_write(struct oxbow_txn *txn, struct oxbow_bytes data, uint64_t *blob)
{
    struct oxbow *db = txn->db;
    struct blob_job job = {.data = data, .err = OXBOW_OK};
    enum oxbow_err err;

    if (data.len == 0) {
        return OXBOW_EINVAL;
    }
    if (data.len > db->config.entry_bytes) {
        return OXBOW_ETOOBIG;
    }
    if (txn->failed != OXBOW_OK) {
        return txn->failed;
    }
    if (txn_in_cache(txn)) {
        return cache_blob_write(txn, data, blob);
    }
    err = txn_reserve_bytes(txn, data.len + data.len / 128);
    if (err != OXBOW_OK) {
        return err;
    }
    if (db->in_memory && txn->bytes + data.len + data.len / 128 > db->config.txn_bytes) {
        return OXBOW_ETOOBIG; /* nothing can be written ahead */
    }
    job.id = ++db->next_blob;
    txn->blobs = true;
    err = store_blob(txn, &job);
    if (err == OXBOW_ENOSPC) {
        return err; /* what was written is reaped */
    }
    if (err != OXBOW_OK) {
        return txn_fail(txn, err);
    }
    *blob = job.id;
    return OXBOW_OK;
}

/* Whether the blob is there and not to be reaped. */
static enum oxbow_err blob_check(struct oxbow_txn *txn, uint64_t blob)
{
    uint8_t key[MARK_KEY_BYTES];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, mark_key(key, blob), &value);

    if (err == OXBOW_OK) {
        return OXBOW_ENOENT;
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err kv_blob_read(struct oxbow_txn *txn, uint64_t blob, uint64_t pos, void *buf,
                            size_t len)
{
    uint8_t *out = buf;
    uint8_t key[PIECE_KEY_BYTES];
    struct oxbow_bytes value;
    enum oxbow_err err;

    if ((blob & KV_CACHE_ID) != 0) {
        return cache_blob_read(txn, blob, pos, buf, len);
    }
    err = blob_check(txn, blob);
    if (err == OXBOW_OK) {
        err = kv_get(txn, piece_key(key, blob, 0), &value);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    while (len > 0) {
        uint64_t piece = pos / KV_PAGE_MAX;
        size_t at = (size_t)(pos % KV_PAGE_MAX);
        size_t n;

        if (piece > UINT32_MAX) {
            return OXBOW_ERANGE;
        }
        err = kv_get(txn, piece_key(key, blob, (uint32_t)piece), &value);
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_ERANGE : err;
        }
        if (at >= value.len) {
            return OXBOW_ERANGE;
        }
        n = value.len - at < len ? value.len - at : len;
        memcpy(out, (const uint8_t *)value.data + at, n);
        out += n;
        pos += n;
        len -= n;
    }
    return OXBOW_OK;
}

enum oxbow_err kv_blob_delete(struct oxbow_txn *txn, uint64_t blob)
{
    uint8_t key[PIECE_KEY_BYTES];
    struct oxbow_bytes value;
    enum oxbow_err err;

    if ((blob & KV_CACHE_ID) != 0) {
        return cache_blob_delete(txn, blob);
    }
    err = blob_check(txn, blob);
    if (err == OXBOW_OK) {
        err = kv_get(txn, piece_key(key, blob, 0), &value);
    }
    if (err != OXBOW_OK && err != OXBOW_ECORRUPT) {
        return err;
    }
    txn->blobs = true;
    return kv_put(txn, mark_key(key, blob), (struct oxbow_bytes){NULL, 0});
}
