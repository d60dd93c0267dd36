/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of keys that have expired, in memory, for who wants to be told: oxbow/expired.h. T as in
 * store.h.
 */
#ifndef OXBOW_STORE_EXPIRED_H
#define OXBOW_STORE_EXPIRED_H

#include "engine/store/kv.h"
#include "oxbow/expired.h"

/* Names as u8 database and 16 times what it was, le32 length, the name; the oldest at `head`. */
struct expired_ring {
    uint8_t *bytes;   /* NULL: nobody watches */
    size_t cap;       /* of `bytes` */
    size_t head;      /* where the oldest is */
    size_t len;       /* bytes in use, going round */
    size_t pending;   /* of them, at the end: of the open transaction */
    uint64_t lost;    /* since the last that was taken */
    uint64_t losing;  /* likewise, in the open transaction */
    uint64_t expired; /* since the store was opened */
    uint64_t expiring;
    uint64_t fields; /* likewise, of hashes */
    uint64_t fields_going;
};

/* A key of the transaction's database has expired, and goes in this transaction. */
void expired_note(struct oxbow_txn *txn, struct oxbow_bytes name);
/* So many fields of a hash have, `last` with the hash. */
void expired_note_fields(struct oxbow_txn *txn, struct oxbow_bytes name, uint64_t count, bool last);
/* The transaction ends: what it noted is told, or never happened. */
void expired_settle(struct oxbow *db, bool committed);
void expired_fini(struct oxbow *db);

#endif
