/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery, the one path that every open takes: what the journal holds above the tree is applied, and
 * with it goes into the tree the number of this opening, durably, before anything else is written.
 *
 * LSNs are not used twice. What the last opening handed out and did not make durable is not known
 * here, so after one that was not closed counting goes on well above it.
 *
 * Invariants: (1) A transaction is applied whole or not at all, after all before it. (2) Nothing is
 * written to the ring before the tree holds, durably, all that was read from it.
 */
#include "engine/store/replay.h"
#include "engine/store/store.h"

#include <stdio.h>
#include <string.h>

/* More than any opening can have left undurable: tables and journal hold fewer bytes. */
#define LSN_JUMP ((uint64_t)1 << 32)

#define RING_PART 64u /* of the free space, for a segment at most */

/* ---- applying ---- */

/* What cannot be patched is not there, or damaged in the tree: reported and lost already. */
static enum oxbow_err apply_effect(struct oxbow_txn *txn, const struct effect *e)
{
    enum oxbow_err err;

    switch (e->kind) {
    case EFFECT_PUT:
        return kv_put(txn, e->key, e->bytes);
    case EFFECT_DEL:
        return clock_replay(txn->db, e->key) ? OXBOW_OK : kv_del(txn, e->key);
    case EFFECT_PATCH:
        break;
    }
    err = kv_patch(txn, e->key, e->pos, e->bytes);
    if (err == OXBOW_ENOENT || err == OXBOW_EINVAL || err == OXBOW_ECORRUPT) {
        txn->failed = OXBOW_OK;
        txn->db->recovery.skipped++;
        err = OXBOW_OK;
    }
    return err;
}

static enum oxbow_err apply(void *ctx, uint64_t lsn, struct oxbow_bytes effects)
{
    struct oxbow *db = ctx;
    struct oxbow_txn *txn = txn_start(db, NULL, OXBOW_SYNC_ALWAYS);
    struct memtable *t = db->active;
    struct effect e;
    enum oxbow_err err = OXBOW_OK;

    txn->replayed = true;
    while (err == OXBOW_OK && effects.len > 0) {
        err = effect_take(&effects, &e);
        if (err == OXBOW_OK) {
            err = apply_effect(txn, &e);
        }
    }
    if (err != OXBOW_OK) {
        undo_abort(&txn->undo, t);
        return err;
    }
    undo_commit(&txn->undo, t);
    db->lsn_applied = t->lsn = lsn;
    t->dirty = true;
    t->next_blob = db->next_blob;
    db->largest_txn = txn->bytes > db->largest_txn ? txn->bytes : db->largest_txn;
    if (table_full(db, t) && (db->config.flags & OXBOW_OPEN_READONLY) == 0) {
        struct tree_header header = *tree_header(db->tree);

        header.lsn = lsn;
        err = checkpoint_now(db, &header);
    }
    return err;
}

/* ---- telling ---- */

static void tell(struct oxbow *db, const struct replay_report *r)
{
    struct oxbow_recovery *out = &db->recovery;
    char line[200];

    out->replayed = r->txns;
    out->replayed_upto = r->last;
    out->lost_from = r->lost_from;
    out->lost_upto = r->lost_upto;
    out->doubt_from = r->doubt_from;
    out->doubt_upto = r->doubt_upto;
    if (r->txns > 0) {
        (void)snprintf(line, sizeof line, "store: replayed %llu transactions from the journal",
                       (unsigned long long)r->txns);
        store_log(db, OXBOW_LOG_INFO, line);
    }
    if (r->lost_from != 0) {
        (void)snprintf(line, sizeof line,
                       "store: the journal is damaged: transactions %llu to %llu were acknowledged "
                       "and are lost",
                       (unsigned long long)r->lost_from, (unsigned long long)r->lost_upto);
        store_log(db, OXBOW_LOG_ERROR, line);
    }
    if (out->journal_missing) {
        store_log(db, OXBOW_LOG_ERROR,
                  "store: files of the journal are missing or cut off: what they held is lost, and "
                  "may have been acknowledged");
    }
    if (r->doubt_from != 0) {
        (void)snprintf(line, sizeof line,
                       "store: transactions %llu to %llu were not written to the end; possibly "
                       "acknowledged only if the device lost what it had confirmed",
                       (unsigned long long)r->doubt_from, (unsigned long long)r->doubt_upto);
        store_log(db, OXBOW_LOG_WARN, line);
    }
    if (out->skipped > 0) {
        (void)snprintf(line, sizeof line,
                       "store: %llu changes were to values that are damaged or gone",
                       (unsigned long long)out->skipped);
        store_log(db, OXBOW_LOG_ERROR, line);
    }
}

/* ---- the ring ---- */

/* The shape that was not asked for: as there is, if the limit on disk allows, else by what the store
 * may take. */
static void choose_shape(struct oxbow *db)
{
    const struct oxbow_files *files = &db->port->files;
    struct oxbow_config *c = &db->config;
    const struct oxbow_config asked = *c;
    const struct ring *ring = &db->journal.ring;
    uint64_t bytes = quota_journal_bytes(c);
    uint64_t free_bytes = 0;
    uint64_t total = 0;
    char kind[16];

    if (ring->count != 0) {
        c->journal_segments = c->journal_segments != 0 ? c->journal_segments : ring->count;
        c->journal_bytes = c->journal_bytes != 0 ? c->journal_bytes : (uint32_t)ring->bytes;
        if (quota_fits(c)) {
            return;
        }
        *c = asked;
    }
    c->journal_segments = c->journal_segments != 0 ? c->journal_segments : JOURNAL_SEGMENTS;
    if (c->journal_bytes != 0) {
        return;
    }
    if (files->space(files->ctx, c->dir, &free_bytes, &total, kind) == OXBOW_OK &&
        free_bytes / RING_PART < bytes) {
        bytes = free_bytes / RING_PART;
    }
    bytes = bytes < RING_BYTES_MIN ? RING_BYTES_MIN : bytes;
    c->journal_bytes = (uint32_t)(bytes & ~(uint64_t)(RING_BLOCK - 1));
}

static bool broken(const struct oxbow *db)
{
    return db->recovery.lost_from != 0 || db->recovery.journal_missing;
}

/* Whether this opening goes on with the ring as it is. */
static bool ring_stays(const struct oxbow *db)
{
    const struct oxbow_config *c = &db->config;
    const struct ring *ring = &db->journal.ring;

    return c->journal != OXBOW_JOURNAL_OFF && ring->count != 0 && ring->missing == 0 &&
           ring->count == c->journal_segments && ring->bytes == c->journal_bytes && !broken(db);
}

static enum oxbow_err start_journal(struct oxbow *db)
{
    char line[160];
    enum oxbow_err err = OXBOW_OK;

    if (db->config.journal == OXBOW_JOURNAL_OFF) {
        ring_close(&db->journal.ring);
        return ring_remove(&db->journal.ring);
    }
    if (broken(db)) {
        ring_close(&db->journal.ring);
        err = ring_set_aside(&db->journal.ring);
    }
    if (err == OXBOW_OK) {
        err = journal_open(db);
    }
    if (err == OXBOW_OK || err == OXBOW_ENOMEM) {
        return err;
    }
    (void)snprintf(line, sizeof line,
                   "store: no journal (%s): each acknowledgement takes a checkpoint",
                   oxbow_err_name(err));
    store_log(db, OXBOW_LOG_WARN, line);
    if (db->sync == OXBOW_SYNC_NONE) {
        db->sync = OXBOW_SYNC_INTERVAL;
        store_log(db, OXBOW_LOG_WARN, "store: without it `none` is not to be had: `interval`");
    }
    return OXBOW_OK;
}

/* ---- the whole ---- */

static enum oxbow_err replay(struct oxbow *db, const struct tree_header *header, bool readonly)
{
    struct replay_from from = {header->lsn, header->boot, header->closed};
    struct replay_sink sink = {db, apply};
    struct replay_report report;
    enum oxbow_err err = ring_open(&db->journal.ring, readonly);

    if (err != OXBOW_OK || header->boot == 0) {
        return err;
    }
    db->recovery.journal_missing = header->journal && !header->closed &&
                                   (db->journal.ring.count == 0 || db->journal.ring.missing > 0);
    err = replay_run(&db->journal.ring, &from, &sink, &report);
    if (err == OXBOW_OK) {
        tell(db, &report);
    }
    return err;
}

/* This opening gets a number of its own. */
static enum oxbow_err count_boot(struct oxbow *db, bool jump)
{
    struct tree_header header = *tree_header(db->tree);

    header.store_id = db->store_id;
    header.boot++;
    header.lsn = db->lsn_applied + (jump ? LSN_JUMP : 0);
    header.closed = false;
    header.journal = ring_stays(db);
    db->boot = header.boot;
    db->lsn_applied = header.lsn;
    return checkpoint_now(db, &header);
}

/* From now on a file of the journal that is missing is a loss. Before anything is acknowledged. */
static enum oxbow_err rely_on_journal(struct oxbow *db)
{
    struct tree_header header = *tree_header(db->tree);

    if (!db->journal.on || header.journal) {
        return OXBOW_OK;
    }
    header.journal = true;
    return checkpoint_now(db, &header);
}

enum oxbow_err recover(struct oxbow *db)
{
    struct tree_header header = *tree_header(db->tree);
    bool readonly = (db->config.flags & OXBOW_OPEN_READONLY) != 0;
    enum oxbow_err err;

    if (header.boot > 0 && header.store_id != db->store_id) {
        store_log(db, OXBOW_LOG_ERROR, "store: FORMAT and the data file are of different stores");
        return OXBOW_ECORRUPT;
    }
    db->cut_off = header.boot > 0 && !header.closed && !readonly;
    wear_start(db);
    clock_load(db, &header.clock);
    db->boot = header.boot;
    db->next_blob = header.next_blob;
    db->largest_txn = header.largest_txn;
    db->lsn_applied = db->lsn_tree = header.lsn;
    tree_usage(db->tree, &db->usage);
    db->keys = tree_header(db->tree)->keys;
    ring_init(&db->journal.ring, db->port, db->config.dir, db->store_id);
    db->journal.ring.unreadable_is_lost = header.closed || (db->config.flags & OXBOW_OPEN_REPAIR) !=
                                                               0; /* closed: nothing in it counts */
    err = replay(db, &header, readonly);
    db->newer = err == OXBOW_EFORMAT;
    if (err == OXBOW_OK) {
        err = feature_load(db);
    }
    clock_start(db);
    if (err == OXBOW_OK && !readonly) {
        err = feature_settle(db);
    }
    if (err == OXBOW_OK && !readonly) {
        choose_shape(db);
        err = count_boot(db, header.boot > 0 && !header.closed);
    }
    if (readonly) {
        db->active->dirty = false; /* never written, and kept */
    }
    db->lsn_durable = db->lsn_applied;
    if (err == OXBOW_OK && !readonly) {
        err = start_journal(db);
    }
    if (err == OXBOW_OK && !readonly) {
        err = rely_on_journal(db);
    }
    db->used_bytes = quota_used(db);
    return err;
}

enum oxbow_err recover_journal(struct oxbow *db)
{
    enum oxbow_err err;

    ring_init(&db->journal.ring, db->port, db->config.dir, db->store_id);
    err = journal_open(db);
    return err == OXBOW_OK ? rely_on_journal(db) : err;
}
