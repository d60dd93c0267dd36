/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's beginning and end, and what a transaction puts into it. Memory for a frame and a
 * transaction is taken at open and kept: a commit allocates nothing.
 */
#include "engine/store/journal.h"

#include "engine/base/check.h"
#include "engine/base/codec.h"
#include "engine/store/replay.h"
#include "engine/store/store.h"

#include <string.h>

#define TXN_BYTES  (32u << 10) /* above, a checkpoint writes less than journal and checkpoint */
#define FILL_BYTES (128u << 10)
#define TXN_PART   8u /* and at most this part of a segment */
#define FILL_PART  4u

static uint32_t at_most(uint64_t v, uint32_t max)
{
    return v < max ? (uint32_t)v : max;
}

static enum oxbow_err take_memory(struct journal *j, const struct oxbow_alloc *alloc)
{
    size_t frame = FRAME_HEAD_BYTES + (size_t)j->fill_bytes + VARINT_MAX + j->txn_bytes;
    enum oxbow_err err;

    buf_init(&j->stage, alloc, j->txn_bytes);
    buf_init(&j->fill, alloc, frame + RING_BLOCK); /* and padding */
    buf_init(&j->out, alloc, frame + RING_BLOCK);
    err = buf_reserve(&j->stage, j->txn_bytes);
    if (err == OXBOW_OK) {
        err = buf_reserve(&j->fill, frame + RING_BLOCK);
    }
    if (err == OXBOW_OK) {
        err = buf_reserve(&j->out, frame + RING_BLOCK);
    }
    j->fill.len = FRAME_HEAD_BYTES;
    j->out.len = FRAME_HEAD_BYTES;
    return err;
}

static enum oxbow_err ring_ready(struct oxbow *db)
{
    const struct oxbow_config *c = &db->config;
    struct ring *ring = &db->journal.ring;

    if (ring->count == c->journal_segments && ring->bytes == c->journal_bytes &&
        ring->missing == 0) {
        return OXBOW_OK;
    }
    ring_close(ring);
    wear_note(db, WEAR_OTHER, (uint64_t)c->journal_segments * c->journal_bytes);
    return ring_make(ring, c->journal_segments, c->journal_bytes);
}

enum oxbow_err journal_open(struct oxbow *db)
{
    struct journal *j = &db->journal;
    enum oxbow_err err = ring_ready(db);

    if (err != OXBOW_OK) {
        ring_close(&j->ring);
        return err;
    }
    j->incarnation = db->boot;
    j->generation = 1;
    j->unsynced = 1;
    j->segment = replay_first_segment(&j->ring, j->incarnation);
    j->pos = RING_BLOCK;
    j->before = 0;
    j->lsn_written = j->lsn_synced = db->lsn_durable;
    j->txn_bytes = at_most(j->ring.bytes / TXN_PART, TXN_BYTES);
    j->fill_bytes = at_most(j->ring.bytes / FILL_PART, FILL_BYTES);
    err = take_memory(j, &db->port->alloc);
    j->stage_txn = 1; /* entries know of none */
    j->on = err == OXBOW_OK;
    return err;
}

void journal_close(struct oxbow *db)
{
    struct journal *j = &db->journal;

    if (j->stage.alloc != NULL) {
        buf_fini(&j->stage);
        buf_fini(&j->fill);
        buf_fini(&j->out);
    }
    if (j->ring.port != NULL) {
        ring_close(&j->ring);
    }
    j->on = false;
}

/* ---- what a transaction puts in ---- */

/* One of the last two effects on an entry may come to say it all: of the header of a queue that got
 * many entries only the last state is written, and its tail in one piece. The order of effects on
 * different keys does not matter within a transaction, nor that of patches to different bytes. */
static bool merge(struct journal *j, const struct mem_entry *entry, const struct effect *e)
{
    struct buf *b = &j->stage;

    if (entry->note_txn != j->stage_txn) {
        return false;
    }
    if (effect_replace(b, entry->notes[0], e) || effect_extend(b, entry->notes[0], e)) {
        return true;
    }
    return entry->notes[1] != entry->notes[0] && effect_apart(b, entry->notes[0], e) &&
           (effect_replace(b, entry->notes[1], e) || effect_extend(b, entry->notes[1], e));
}

enum oxbow_err journal_note(struct oxbow *db, struct mem_entry *entry, const struct effect *e)
{
    struct journal *j = &db->journal;
    uint32_t at = (uint32_t)j->stage.len;
    enum oxbow_err err;

    if (!j->on || j->long_txn || merge(j, entry, e)) {
        return OXBOW_OK;
    }
    err = effect_put(&j->stage, e);
    if (err == OXBOW_ETOOBIG) {
        j->long_txn = true;
        return OXBOW_OK;
    }
    entry->notes[1] = entry->note_txn == j->stage_txn ? entry->notes[0] : at;
    entry->notes[0] = at;
    entry->note_txn = j->stage_txn;
    return err;
}

void journal_drop(struct oxbow *db)
{
    db->journal.stage.len = 0;
    db->journal.stage_txn++;
    db->journal.long_txn = false;
}

bool journal_half_full(const struct oxbow *db)
{
    const struct journal *j = &db->journal;

    return j->on && (j->long_txn || j->stage.len >= j->txn_bytes / 2);
}

enum oxbow_err journal_room(struct oxbow *db)
{
    struct journal *j = &db->journal;

    return j->on ? buf_reserve(&j->fill, VARINT_MAX + j->stage.len + RING_BLOCK) : OXBOW_OK;
}

/* It goes into the tree at once, and so does all that was committed before it: what waits to be
 * written need not be any more. */
static void leave_out(struct oxbow *db, uint64_t lsn)
{
    struct journal *j = &db->journal;

    if (j->gap_first == 0) {
        j->gap_first = lsn;
    }
    j->gap_last = lsn;
    j->fill.len = FRAME_HEAD_BYTES;
    j->fill_count = 0;
    db->freeze_soon = true;
}

void journal_commit(struct oxbow *db, uint64_t lsn, enum oxbow_sync sync, uint32_t interval_ms)
{
    struct journal *j = &db->journal;
    uint64_t now;

    if (!j->on) {
        return;
    }
    if (db->hold.why != OXBOW_OK) {
        journal_drop(db);
        return;
    }
    if (j->wait.any_us == 0 ||
        (sync == OXBOW_SYNC_INTERVAL && due_may_move(&j->wait.interval, db->own_policies))) {
        now = store_now_us(db);
        j->wait.any_us = j->wait.any_us != 0 ? j->wait.any_us : now;
        if (sync == OXBOW_SYNC_INTERVAL && due_add(&j->wait.interval, now, interval_ms)) {
            db->port->threads.cond_signal(db->journal_work); /* its clock starts */
        }
    }
    if (j->long_txn) {
        leave_out(db, lsn);
    } else {
        if (j->fill_count == 0) {
            j->fill_first = lsn;
        }
        j->fill_count++;
        CHECK(db->port,
              frame_add(&j->fill, (struct oxbow_bytes){j->stage.data, j->stage.len}) == OXBOW_OK);
    }
    journal_drop(db);
}
