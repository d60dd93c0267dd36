/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A forward's record in the store, and the small table in memory that finds it.
 *
 *   KV_SPACE_FORWARD 'f' be32 id              -> the record
 *   KV_SPACE_FORWARD 'g' be32 id, id_key(to)  -> a gap: forward_gap.h
 *   KV_SPACE_FORWARD 'n'                      -> le32: the newest id given
 *   KV_SPACE_FORWARD 'i'                      -> the identity: identity.c
 *   KV_SPACE_STORE 'F' be32 id                -> the record as it was made or changed, without state:
 *                                                what is known when damage has taken the record
 *
 * The record, little end first; RECORD_AT_* are patched in place:
 *
 *     0  format, type, select, confirm, after, on_full, on_deleted, urgent      1 byte each
 *     8  replicas 4, hold_ms 4, hold_bytes 8, max_bytes 8
 *    32  weight 4, batch_bytes 4, batch_count 4, linger_ms 4, database 4, true time 1, zero 3
 *    56  epoch 8
 *    64  trimmed 16, confirmed 16, sent 16 (ms, seq)
 *   112  head 8, backlog_entries 8, backlog_bytes 8, held_bytes 8, sent_entries 8
 *   152  dropped_entries 8, dropped_bytes 8, gaps 8, rewinds 8
 *   184  newest gap: from 16, to 16, entries 8, bytes 8, cause 4
 *   236  mark count 4, marks: RECORD_MARKS of { position 16, boot 8, uptime_ms 8 }
 *   496  name length 1, key length 2, target length 2, group length 2, zero 1
 *   504  name, key, target, group
 */
#ifndef OXBOW_QUEUE_FORWARD_RECORD_H
#define OXBOW_QUEUE_FORWARD_RECORD_H

#include "engine/store/kv.h"
#include "oxbow/forward.h"

#define RECORD_FORMAT     1u
#define RECORD_MARKS      8u
#define RECORD_FIXED      504u
#define RECORD_TEXT_MAX   (OXBOW_FORWARD_NAME_MAX + 3u * OXBOW_FORWARD_KEY_MAX + 128u)
#define RECORD_AT_BACKLOG 120u

#define FORWARD_KEY_MAX 32u /* of a key in the store */

/* When everything up to `position` was confirmed. */
struct forward_mark {
    struct oxbow_id position;
    uint64_t boot;
    uint64_t uptime_ms;
};

/* All of a record. `config.options` points into the texts of `config`. */
struct forward_record {
    struct oxbow_forward config;
    struct oxbow_id trimmed;
    struct oxbow_id confirmed;
    struct oxbow_id sent;
    uint64_t head; /* list: elements that have left at the head since the forward was made */
    uint64_t backlog_entries;
    uint64_t backlog_bytes;
    uint64_t held_bytes; /* confirmed, not trimmed */
    uint64_t sent_entries;
    uint64_t dropped_entries;
    uint64_t dropped_bytes;
    uint64_t gaps;
    uint64_t rewinds;
    struct oxbow_gap last;
    uint32_t mark_count;
    struct forward_mark marks[RECORD_MARKS];
};

/* What a fetch gave: spares sent and confirmed a second reading of the same entries. */
struct forward_memo {
    uint32_t id;
    struct oxbow_id after;
    struct oxbow_id last;
    uint64_t entries;
    uint64_t bytes;
};

#define FORWARD_MEMOS 32u

struct forward_row {
    uint32_t id;
    uint32_t database;
    uint64_t key_hash;
    uint64_t refused; /* since open */
    char name[OXBOW_FORWARD_NAME_MAX + 1];
};

/* Hangs on the store; read and written with its lock held. */
struct forward_table {
    struct oxbow *db;
    bool loaded;
    bool lifted;     /* guards answer OK: forwards themselves are changing a key */
    uint64_t aborts; /* store_abort_count when it was loaded */
    uint64_t revision;
    size_t count;
    struct forward_row rows[OXBOW_FORWARD_COUNT_MAX];
    struct forward_memo memos[FORWARD_MEMOS];
    size_t memo_next;
    struct oxbow_result scratch;
    struct forward_record record; /* the guards' own, since a record is large for a stack */
    struct forward_record work;   /* of the call under way */
};

/* The store's table, loaded if need be. */
OXBOW_MUST_CHECK enum oxbow_err forward_table_get(struct oxbow_txn *txn,
                                                  struct forward_table **out);
/* After a change of the set of forwards: read again at the next use. */
void forward_table_forget(struct forward_table *t);
/* The row of a name; NULL: none. */
struct forward_row *forward_row_named(struct forward_table *t, const char *name);
/* The row whose forward may carry that key; the record tells for sure. NULL: none. */
struct forward_row *forward_row_keyed(struct forward_table *t, struct oxbow_txn *txn,
                                      struct oxbow_bytes key);

/* Reads a record by its id. OXBOW_ECORRUPT when it makes no sense. */
OXBOW_MUST_CHECK enum oxbow_err forward_record_get(struct oxbow_txn *txn, uint32_t id,
                                                   struct forward_record *out);
/* Reads a record by its forward's name into the table's `work`. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err forward_record_named(struct oxbow_txn *txn, const char *name,
                                                     struct forward_table **table,
                                                     struct forward_record **out);
OXBOW_MUST_CHECK enum oxbow_err forward_record_put(struct oxbow_txn *txn,
                                                   const struct forward_record *r);

size_t forward_record_key(uint8_t out[FORWARD_KEY_MAX], uint32_t id);

/* The copy, far from the record in the tree: written when options change, removed with the forward. A
 * forward made by an earlier version has none. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err forward_copy_put(struct oxbow_txn *txn,
                                                 const struct forward_record *r);
OXBOW_MUST_CHECK enum oxbow_err forward_copy_get(struct oxbow_txn *txn, uint32_t id,
                                                 struct forward_record *out);
OXBOW_MUST_CHECK enum oxbow_err forward_copy_del(struct oxbow_txn *txn, uint32_t id);
/* The smallest id, from *id on, that has a record or a copy. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err forward_id_next(struct oxbow_txn *txn, uint32_t *id);
/* Writes the copies that are missing. */
OXBOW_MUST_CHECK enum oxbow_err forward_copy_all(struct oxbow_txn *txn);

#endif
