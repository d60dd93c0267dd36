/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal on its way to the device. Frames are formed from what has come since the last one was
 * taken, so they grow by themselves when the device is slow.
 *
 * A write that begins a block, or runs into the next one, fills it up with zeros: the system need not
 * fetch the old block for it. After a sync the next frame begins a new block, so that one that holds
 * acknowledged data is never written again.
 *
 * Invariants: (1) Frames are written in the order of their LSNs, one writer at a time. (2) A segment
 * is written over only when the tree holds, durably, all that is in it. (3) A sync covers all
 * segments since the last one, the older first. (4) A sync that failed is not tried again: the store
 * has failed.
 */
#include "engine/store/journal.h"
#include "engine/store/store.h"

#include <string.h>

#define FREEZE_PART   4u /* of the ring, written since the last: starts a checkpoint */
#define GATHER_PART   2u /* of what the last sync took: that long the next waits, at most */
#define GATHER_MAX_US 2000u
#define GATHER_MIN_US 128u /* who waits on behalf of others needs as long to be woken twice */

static uint64_t block_end(uint64_t pos)
{
    return (pos + RING_BLOCK - 1) & ~(uint64_t)(RING_BLOCK - 1);
}

bool journal_full(const struct oxbow *db)
{
    const struct journal *j = &db->journal;

    return j->on && j->fill.len >= j->fill_bytes;
}

bool journal_waits(struct oxbow *db)
{
    const struct journal *j = &db->journal;
    uint64_t next = j->on ? j->last[(j->segment + 1) % j->ring.count] : 0;

    if (next > db->lsn_tree && j->pos + j->fill.len + j->fill_bytes > j->ring.bytes) {
        journal_ask_tree(db, next); /* whoever writes the next frame waits for that segment */
        return true;
    }
    return j->segment_waits;
}

bool journal_wants_freeze(const struct oxbow *db)
{
    const struct journal *j = &db->journal;

    return j->on && j->since_freeze >= j->ring.count * j->ring.bytes / FREEZE_PART;
}

bool journal_can_sync(const struct oxbow *db)
{
    return db->journal.gap_last == 0;
}

uint64_t journal_late_us(const struct oxbow *db)
{
    const struct journal *j = &db->journal;

    return due_earlier(j->sync.interval.late_us, j->wait.interval.late_us);
}

void journal_ask_tree(struct oxbow *db, uint64_t lsn)
{
    db->freeze_wanted = db->freeze_wanted || db->frozen == NULL || db->frozen->lsn < lsn;
    db->port->threads.cond_signal(db->work);
}

/* What of lsn, up to which the ring has everything, is no hole away from the tree. */
static uint64_t reach(const struct oxbow *db, uint64_t lsn)
{
    const struct journal *j = &db->journal;

    if (j->gap_last != 0 && lsn >= j->gap_first) {
        lsn = db->lsn_tree;
    }
    return lsn > db->lsn_tree ? lsn : db->lsn_tree;
}

uint64_t journal_written_upto(const struct oxbow *db)
{
    uint64_t lsn = reach(db, db->journal.lsn_written);

    return lsn > db->lsn_durable ? lsn : db->lsn_durable;
}

void journal_publish(struct oxbow *db)
{
    struct journal *j = &db->journal;
    uint64_t lsn;

    if (j->gap_last != 0 && db->lsn_tree >= j->gap_last) {
        j->gap_first = j->gap_last = 0;
    }
    lsn = reach(db, j->lsn_synced);
    if (lsn > db->lsn_durable) {
        db->lsn_durable = lsn;
        if (db->event != NULL) {
            db->port->threads.event_set(db->event);
        }
    }
    if (db->lsn_durable == db->lsn_applied) {
        j->wait = (struct journal_age){.any_us = 0};
    }
    db->port->threads.cond_broadcast(db->settled);
    /* The thread slept over what came while another made this sync, or before a hole was filled. */
    if (db->lsn_wanted > db->lsn_durable || j->lsn_gather > db->lsn_durable ||
        j->wait.interval.start_us != 0) {
        db->port->threads.cond_signal(db->journal_work);
    }
}

/* ---- writing ---- */

/* Goes on in the next segment, as soon as the tree holds what is in it. */
static enum oxbow_err next_segment(struct oxbow *db)
{
    struct journal *j = &db->journal;
    uint32_t next = (j->segment + 1) % j->ring.count;

    while (j->last[next] > db->lsn_tree) {
        if (store_halted(db)) {
            return OXBOW_EFAILED; /* told already */
        }
        journal_ask_tree(db, j->last[next]);
        j->segment_waits = true;
        db->port->threads.cond_wait(db->settled, db->mutex, UINT64_MAX);
        j->segment_waits = false;
    }
    j->segment = next;
    j->generation++;
    j->pos = RING_BLOCK;
    return OXBOW_OK;
}

/* Puts `out` into the ring at pos; without the mutex. *end: where the next one goes. */
static enum oxbow_err put_out(struct journal *j, struct frame *f, bool pad, uint64_t *end)
{
    size_t len = j->out.len;
    uint64_t upto = frame_end(j->pos, f->length);

    *end = upto;
    if (pad || j->pos % RING_BLOCK == 0 || block_end(j->pos) < upto) {
        upto = block_end(upto);
    }
    if (pad) {
        *end = upto;
    }
    memset(j->out.data + len, 0, (size_t)(upto - j->pos) - len);
    frame_seal(crc32c_of(j->ring.port), j->out.data, f, j->ring.store_id);
    return ring_write(&j->ring, j->segment, j->pos, j->out.data, (size_t)(upto - j->pos));
}

static void note_written(struct oxbow *db, const struct frame *f, uint64_t end)
{
    struct journal *j = &db->journal;

    wear_ring(db, end - j->pos);
    j->bytes += end - j->pos;
    j->since_freeze += end - j->pos;
    j->pos = end;
    j->before = f->crc;
    j->frames++;
    j->last[j->segment] = j->lsn_written = f->first + f->count - 1;
    if (journal_wants_freeze(db)) {
        db->port->threads.cond_signal(db->work);
    }
}

/* Writes what is filled as one frame. Nobody is writing. */
static void write_out(struct oxbow *db, bool pad)
{
    struct journal *j = &db->journal;
    struct buf taken = j->fill;
    struct frame f = {.incarnation = j->incarnation,
                      .first = j->fill_first,
                      .count = j->fill_count,
                      .length = (uint32_t)(taken.len - FRAME_HEAD_BYTES)};
    uint64_t end = j->pos;
    enum oxbow_err err = OXBOW_OK;

    j->writing = true;
    j->fill = j->out;
    j->fill.len = FRAME_HEAD_BYTES;
    j->fill_count = 0;
    j->out = taken;
    if (frame_end(j->pos, f.length) > j->ring.bytes) {
        err = next_segment(db);
    }
    /* What a checkpoint has overtaken meanwhile need not be written, and a hole in front of what comes
     * next is one that the tree fills. */
    if (err == OXBOW_OK && f.first + f.count - 1 > db->lsn_tree) {
        f.generation = j->generation;
        f.before = j->before;
        f.durable_upto = db->lsn_durable < f.first ? db->lsn_durable : f.first - 1;
        store_unlock(db);
        err = put_out(j, &f, pad, &end);
        store_lock(db);
        if (err == OXBOW_OK) {
            note_written(db, &f, end);
        }
    }
    j->writing = false;
    if (err != OXBOW_OK) {
        store_fail(db, err);
    }
    if (taken.len >= j->fill_bytes) {
        db->port->threads.cond_signal(db->work); /* idle work waits for that, whoever does it */
    }
    if (j->writers > 0) {
        db->port->threads.cond_broadcast(db->settled);
    }
    if (db->room_asked) {
        turn_room(db);
    }
    if (journal_full(db)) {
        db->port->threads.cond_signal(db->journal_work);
    }
}

static void wait_settled(struct oxbow *db)
{
    db->journal.writers++;
    db->port->threads.cond_wait(db->settled, db->mutex, UINT64_MAX);
    db->journal.writers--;
}

void journal_write(struct oxbow *db)
{
    if (db->journal.writing || db->journal.sync_next) {
        wait_settled(db);
    } else if (db->journal.fill_count > 0) {
        write_out(db, false);
    }
}

enum oxbow_err journal_written(struct oxbow *db, uint64_t lsn)
{
    enum oxbow_err err = OXBOW_OK;

    db->waiting++;
    while (err == OXBOW_OK && journal_written_upto(db) < lsn) {
        if (store_halted(db)) {
            err = db->failed != OXBOW_OK ? OXBOW_EINDOUBT : OXBOW_EVOLATILE;
        } else if (!journal_can_sync(db)) {
            journal_ask_tree(db, db->journal.gap_last);
            wait_settled(db);
        } else {
            journal_write(db);
        }
    }
    db->waiting--;
    if (db->closing) {
        db->port->threads.cond_signal(db->work);
    }
    return err;
}

/* ---- syncing ---- */

/* Older segments first: one that is whole in front of a hole would be found before it. */
static enum oxbow_err sync_segments(const struct journal *j, uint64_t from, uint64_t upto,
                                    uint32_t segment)
{
    uint32_t count = j->ring.count;
    uint64_t behind = upto - from < count ? upto - from : count - 1;
    enum oxbow_err err;

    do {
        err = ring_sync(&j->ring, (uint32_t)((segment + count - behind) % count));
    } while (err == OXBOW_OK && behind-- > 0);
    return err;
}

/* The sync is over, and has made durable what came before it or has not. */
static void settle_ages(struct oxbow *db, uint64_t applied)
{
    struct journal *j = &db->journal;

    if (reach(db, j->lsn_synced) < applied) {
        j->wait.any_us = due_earlier(j->wait.any_us, j->sync.any_us);
        due_merge(&j->wait.interval, &j->sync.interval);
    }
    j->sync = (struct journal_age){.any_us = 0};
}

/* Those whom the last sync released are about to come again, and those who came while it was under
 * way wait: with half of them each sync would carry one half. */
static void gather(struct oxbow *db)
{
    struct journal *j = &db->journal;
    uint64_t now = store_now_us(db);
    uint64_t end = now + j->gather_us;

    j->gathering = true;
    while (j->came < j->expected && now < end && !store_halted(db) && !db->closing) {
        db->port->threads.cond_wait(db->gathered, db->mutex, end - now);
        now = store_now_us(db);
    }
    j->gathering = false;
}

void journal_came(struct oxbow *db, uint32_t count)
{
    struct journal *j = &db->journal;

    j->came += count;
    if (j->gathering && j->came >= j->expected) {
        db->port->threads.cond_signal(db->gathered);
    }
}

/* Syncs what is written, without the mutex; so many of those who came wait for just that. */
static void sync_written(struct oxbow *db, uint32_t covered)
{
    struct journal *j = &db->journal;
    uint64_t generation = j->generation;
    uint64_t target = j->lsn_written;
    uint64_t from = j->unsynced;
    uint64_t took = store_now_us(db);
    uint32_t segment = j->segment;
    enum oxbow_err err;

    store_unlock(db);
    err = sync_segments(j, from, generation, segment);
    if (err == OXBOW_OK) {
        err = directory_check(db); /* nobody would find it again */
    }
    store_lock(db);
    if (err != OXBOW_OK) {
        store_fail(db, err);
        return;
    }
    j->unsynced = generation;
    j->lsn_synced = target;
    j->syncs++;
    wear_ring_synced(db);
    took = store_now_us(db) - took;
    j->sync_us += took;
    took /= GATHER_PART;
    j->gather_us = took < GATHER_MAX_US ? took : GATHER_MAX_US;
    j->expected = j->came;
    j->came -= covered;
}

void journal_sync(struct oxbow *db, bool gathers)
{
    struct journal *j = &db->journal;
    uint64_t applied;
    uint32_t covered;

    j->syncing = true;
    if (gathers) {
        gather(db);
    }
    applied = db->lsn_applied;
    j->sync = j->wait;
    j->wait = (struct journal_age){.any_us = 0};
    j->sync_next = true; /* those who only write would let it wait for long */
    while (j->writing) {
        wait_settled(db);
    }
    j->sync_next = false;
    covered = j->came;
    if (j->fill_count > 0 && !store_halted(db)) {
        write_out(db, true);
    } else {
        wear_ring(db, block_end(j->pos) - j->pos);
        j->bytes += block_end(j->pos) - j->pos;
        j->pos = block_end(j->pos);
    }
    if (!store_halted(db) && j->lsn_written > j->lsn_synced) {
        sync_written(db, covered);
    }
    j->syncing = false;
    settle_ages(db, applied);
    if (!store_halted(db)) {
        journal_publish(db);
        turn_room(db); /* who waits for a device that does not keep up */
    }
}

/* ---- the thread ---- */

static bool sync_wanted(const struct oxbow *db)
{
    return db->lsn_wanted > db->lsn_durable && db->lsn_applied > db->lsn_durable;
}

/* In how many microseconds a sync is due; 0: now, or when those have come who are expected. */
static uint64_t due_in(const struct oxbow *db, uint64_t now, bool *gathers)
{
    const struct journal *j = &db->journal;
    uint64_t due;

    *gathers = false;
    if (j->syncing || store_halted(db) || !journal_can_sync(db)) {
        return UINT64_MAX; /* its end wakes us */
    }
    if (sync_wanted(db)) {
        return 0;
    }
    due = j->wait.interval.start_us;
    if (due != 0 && due <= now) {
        return 0;
    }
    if (j->lsn_gather > db->lsn_durable) {
        *gathers = j->gather_us >= GATHER_MIN_US;
        return 0;
    }
    return due != 0 ? due - now : UINT64_MAX;
}

void journal_run(void *arg)
{
    struct oxbow *db = arg;

    store_lock(db);
    while (!db->journal_stop) {
        bool gathers;
        uint64_t delay = due_in(db, store_now_us(db), &gathers);

        if (journal_full(db) && !db->journal.writing && !store_halted(db)) {
            journal_write(db);
        } else if (delay == 0) {
            journal_sync(db, gathers);
        } else {
            db->port->threads.cond_wait(db->journal_work, db->mutex, delay);
        }
    }
    store_unlock(db);
}
