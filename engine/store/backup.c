/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a backup, all little-endian, and reading them out of a store that works:
 *
 *   head, 64    | "oxbackup" | version 4 | level 4 | store id 8 | LSN 8 | records 8 | wall ms 8 |
 *               | boot 8 | 0 4 | CRC-32C 4 of the 60 before it |
 *   record      | key length 4 | value length 4 | key | value, in its envelope |
 *   ...         in the order of the keys; the tree's header record is one of them
 *   tail, 24    | 0 4 | 0 4 | records 8 | 0 4 | CRC-32C 4 of everything before it, the head's too |
 *
 * `records` counts all but the header record, as that does itself.
 *
 *   oxbow_backup_open --> HEAD --> RECORDS --> TAIL --> DONE
 *                           |         |
 *                           +---------+--backup_cut--> every read gives its reason
 *
 * Invariants: (1) All records are of one snapshot of the tree, which the header record in it dates.
 * (2) No tail without as many records, and the same digest of their keys, as that record says, each
 * with the right checksum. (3) The tree is not closed while a view of it is open: who closes it cuts.
 */
#include "engine/store/backup.h"

#include "engine/base/buf.h"
#include "engine/base/check.h"
#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/store/store.h"

#include <string.h>

#define WAIT_US 100000u /* for a checkpoint, before looking again */
#define PIECES  3u

enum step { STEP_HEAD, STEP_RECORDS, STEP_TAIL, STEP_DONE };

struct oxbow_backup {
    struct oxbow *db;
    struct oxbow_backup_info info;
    uint64_t digest_wanted;
    uint64_t digest;
    uint32_t crc;
    enum step step;
    enum oxbow_err failed;
    uint8_t frame[BACKUP_HEAD_BYTES];  /* head, tail, or what stands before key and value */
    struct oxbow_bytes pieces[PIECES]; /* what is to go out next */
    unsigned piece;                    /* the first of them that has not all gone; PIECES: none */
};

/* ---- the bytes ---- */

void backup_head_encode(uint8_t out[BACKUP_HEAD_BYTES], const struct oxbow_backup_info *info)
{
    memset(out, 0, BACKUP_HEAD_BYTES);
    memcpy(out, BACKUP_MAGIC, 8);
    put_le32(out + 8, BACKUP_VERSION);
    put_le32(out + 12, info->level);
    put_le64(out + 16, info->store_id);
    put_le64(out + 24, info->lsn);
    put_le64(out + 32, info->records);
    put_le64(out + 40, info->wall_ms);
    put_le64(out + 48, info->boot);
    put_le32(out + 60, crc32c(0, out, 60));
}

enum oxbow_err backup_head_decode(const uint8_t in[BACKUP_HEAD_BYTES],
                                  struct oxbow_backup_info *info)
{
    if (memcmp(in, BACKUP_MAGIC, 8) != 0) {
        return OXBOW_EFORMAT;
    }
    if (get_le32(in + 60) != crc32c(0, in, 60)) {
        return OXBOW_ECORRUPT;
    }
    if (get_le32(in + 8) != BACKUP_VERSION || get_le32(in + 12) == 0 ||
        get_le32(in + 12) > OXBOW_FORMAT_LEVEL) {
        return OXBOW_EFORMAT;
    }
    *info = (struct oxbow_backup_info){.level = get_le32(in + 12),
                                       .store_id = get_le64(in + 16),
                                       .lsn = get_le64(in + 24),
                                       .records = get_le64(in + 32),
                                       .wall_ms = get_le64(in + 40),
                                       .boot = get_le64(in + 48)};
    return OXBOW_OK;
}

/* ---- the store's side ---- */

static void view_end(struct oxbow *db, enum oxbow_err why)
{
    struct backup_slot *s = &db->backup;

    db->port->threads.mutex_lock(s->mutex);
    if (s->view != NULL) {
        tree_view_close(s->view);
        s->view = NULL;
        s->cut = why;
        atomic_store(&s->on, false);
    }
    db->port->threads.mutex_unlock(s->mutex);
}

void backup_cut(struct oxbow *db, enum oxbow_err why)
{
    if (atomic_load(&db->backup.on)) {
        store_log(db, OXBOW_LOG_WARN,
                  why == OXBOW_ENOSPC ? "store: a backup is ended: the room is needed"
                                      : "store: a backup is ended: the device has failed");
        view_end(db, why);
    }
}

void backup_watch(struct oxbow *db)
{
    struct tree_usage usage;
    uint64_t bound;

    if (!atomic_load(&db->backup.on)) {
        return;
    }
    tree_usage(db->tree, &usage);
    bound = (usage.pages - usage.old_pages) * TREE_PAGE_BYTES + quota_headroom(&db->config);
    if (bound > quota_data_limit(&db->config) || atomic_load(&db->backup.pressed)) {
        backup_cut(db, OXBOW_ENOSPC);
    }
}

/* ---- open and close ---- */

/* Why no backup can be made now. With the mutex. */
static enum oxbow_err unable(const struct oxbow *db)
{
    if (db->closing) {
        return OXBOW_ECLOSED;
    }
    if (db->failed != OXBOW_OK) {
        return OXBOW_EFAILED;
    }
    if (db->hold.why != OXBOW_OK || db->stand.why != OXBOW_OK) {
        return OXBOW_EVOLATILE;
    }
    return OXBOW_OK;
}

/* Has all that is committed now put into the tree. With the mutex. */
static enum oxbow_err settle(struct oxbow *db)
{
    uint64_t upto = db->lsn_applied;
    enum oxbow_err err = unable(db);

    db->waiting++;
    while (err == OXBOW_OK && db->lsn_tree < upto) {
        journal_ask_tree(db, upto);
        db->port->threads.cond_wait(db->settled, db->mutex, WAIT_US);
        err = unable(db);
    }
    db->waiting--;
    if (db->closing) {
        db->port->threads.cond_signal(db->work); /* close waits until nobody waits */
    }
    return err;
}

static enum oxbow_err take(struct oxbow *db)
{
    struct backup_slot *s = &db->backup;
    enum oxbow_err err;

    store_lock(db);
    err = s->taken ? OXBOW_EBUSY : unable(db);
    if (err == OXBOW_OK) {
        s->taken = true;
        err = settle(db);
        if (err == OXBOW_OK) {
            err = tree_view_open(db->tree, &s->view); /* nobody else looks at it before `on` */
        }
        s->taken = err == OXBOW_OK;
        atomic_store(&s->pressed, false);
        atomic_store(&s->on, err == OXBOW_OK);
    }
    store_unlock(db);
    return err;
}

static void give(struct oxbow *db)
{
    view_end(db, OXBOW_OK);
    store_lock(db);
    db->backup.taken = false;
    store_unlock(db);
}

static enum oxbow_err read_header(struct oxbow_backup *b)
{
    struct oxbow *db = b->db;
    struct tree_header header = {.lsn = 0};
    enum oxbow_err err;

    db->port->threads.mutex_lock(db->backup.mutex);
    err = db->backup.view != NULL ? tree_view_header(db->backup.view, &header) : db->backup.cut;
    db->port->threads.mutex_unlock(db->backup.mutex);
    if (err != OXBOW_OK) {
        return err;
    }
    b->info = (struct oxbow_backup_info){.lsn = header.lsn,
                                         .store_id = db->store_id,
                                         .boot = header.boot,
                                         .wall_ms = db->port->clock.wall_ms(db->port->clock.ctx),
                                         .records = header.keys};
    b->digest_wanted = header.digest;
    store_lock(db);
    b->info.level = db->level;
    store_unlock(db);
    return OXBOW_OK;
}

enum oxbow_err oxbow_backup_open(struct oxbow *db, struct oxbow_backup **out)
{
    struct oxbow_backup *b;
    enum oxbow_err err;

    if ((db->config.flags & OXBOW_OPEN_READONLY) != 0) {
        return OXBOW_EREADONLY; /* what is in the journal alone stays there */
    }
    b = mem_new(&db->port->alloc, sizeof *b);
    if (b == NULL) {
        return OXBOW_ENOMEM;
    }
    b->db = db;
    b->piece = PIECES;
    err = take(db);
    if (err == OXBOW_OK) {
        err = read_header(b);
        if (err != OXBOW_OK) {
            give(db);
        }
    }
    if (err != OXBOW_OK) {
        mem_free(&db->port->alloc, b, sizeof *b);
        return err;
    }
    *out = b;
    return OXBOW_OK;
}

void oxbow_backup_info(const struct oxbow_backup *b, struct oxbow_backup_info *out)
{
    *out = b->info;
}

void oxbow_backup_close(struct oxbow_backup *b)
{
    if (b != NULL) {
        give(b->db);
        mem_free(&b->db->port->alloc, b, sizeof *b);
    }
}

/* ---- reading ---- */

static void send(struct oxbow_backup *b, size_t frame_len, struct oxbow_bytes key,
                 struct oxbow_bytes value)
{
    b->pieces[0] = (struct oxbow_bytes){b->frame, frame_len};
    b->pieces[1] = key;
    b->pieces[2] = value;
    b->piece = 0;
}

static void send_head(struct oxbow_backup *b)
{
    const struct oxbow_bytes none = {NULL, 0};

    backup_head_encode(b->frame, &b->info);
    send(b, BACKUP_HEAD_BYTES, none, none);
    b->step = STEP_RECORDS;
}

static enum oxbow_err send_tail(struct oxbow_backup *b)
{
    const struct oxbow_bytes none = {NULL, 0};

    if (b->info.done != b->info.records || b->digest != b->digest_wanted) {
        return OXBOW_ECORRUPT;
    }
    memset(b->frame, 0, BACKUP_TAIL_BYTES);
    put_le64(b->frame + 8, b->info.records);
    put_le32(b->frame + 20, crc32c_of(b->db->port)(b->crc, b->frame, 20));
    send(b, BACKUP_TAIL_BYTES, none, none);
    b->step = STEP_DONE;
    return OXBOW_OK;
}

/* The next record, checked. */
static enum oxbow_err send_record(struct oxbow_backup *b)
{
    struct tree_item item;
    enum oxbow_err err = tree_view_step(b->db->backup.view, &item);

    if (err == OXBOW_ENOENT) {
        b->step = STEP_TAIL;
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (key_compare(item.key, header_key()) != 0) {
        b->info.done++;
        b->digest += hash64(item.key.data, item.key.len, 0);
    }
    put_le32(b->frame, (uint32_t)item.key.len);
    put_le32(b->frame + 4, (uint32_t)item.raw.len);
    send(b, BACKUP_RECORD_BYTES, item.key, item.raw);
    return OXBOW_OK;
}

static enum oxbow_err next(struct oxbow_backup *b)
{
    switch (b->step) {
    case STEP_HEAD:
        send_head(b);
        return OXBOW_OK;
    case STEP_RECORDS:
        return send_record(b);
    case STEP_TAIL:
        return send_tail(b);
    case STEP_DONE:
        break;
    }
    return OXBOW_ENOENT;
}

/* Moves as much of the pieces as there is room for. */
static size_t pour(struct oxbow_backup *b, uint8_t *buf, size_t room)
{
    size_t len = 0;

    while (b->piece < PIECES && len < room) {
        struct oxbow_bytes *p = &b->pieces[b->piece];
        size_t n = p->len < room - len ? p->len : room - len;

        if (n > 0) {
            memcpy(buf + len, p->data, n);
            p->data = (const uint8_t *)p->data + n;
            p->len -= n;
            len += n;
        }
        b->piece += p->len == 0;
    }
    return len;
}

/* With the slot's mutex. */
static enum oxbow_err fill(struct oxbow_backup *b, uint8_t *buf, size_t room, size_t *len)
{
    enum oxbow_err err = OXBOW_OK;

    *len = 0;
    while (*len < room) {
        size_t n;

        if (b->db->backup.view == NULL) {
            return b->db->backup.cut; /* what is still to go lies in it */
        }
        if (b->piece == PIECES) {
            err = next(b);
        }
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
        n = pour(b, buf + *len, room - *len);
        b->crc = crc32c_of(b->db->port)(b->crc, buf + *len, n);
        b->info.bytes += n;
        *len += n;
    }
    return OXBOW_OK;
}

enum oxbow_err oxbow_backup_read(struct oxbow_backup *b, void *buf, size_t room, size_t *len)
{
    const struct oxbow_threads *threads = &b->db->port->threads;

    if (room < OXBOW_BACKUP_ROOM) {
        return OXBOW_EINVAL;
    }
    if (b->failed == OXBOW_OK) {
        threads->mutex_lock(b->db->backup.mutex);
        b->failed = fill(b, buf, room, len);
        threads->mutex_unlock(b->db->backup.mutex);
    }
    return b->failed;
}
