/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog's records, for its source files alone: drawn in catalog.c. */
#ifndef OXBOW_STORE_CATALOG_RECORD_H
#define OXBOW_STORE_CATALOG_RECORD_H

#include "engine/base/codec.h"
#include "engine/store/catalog.h"

/* Values are stored: never renumbered. */
enum catalog_kind { CATALOG_META = 0, CATALOG_DATABASE = 1, CATALOG_NAME = 2, CATALOG_HOME = 3 };
enum reap_kind { REAP_OBJECT = 1, REAP_DATABASE = 2 };

#define CATALOG_NAME_KEY  20u
#define CATALOG_NAME_HEAD 9u /* type and object id, before the deadline and the name */

/* In the byte of the type. */
#define CATALOG_NAME_TYPE  0x3fu
#define CATALOG_NAME_MADE  0x40u
#define CATALOG_NAME_TIMED 0x80u

/* A name's record, decoded. */
struct catalog_name {
    enum oxbow_type type;
    uint64_t id;
    uint64_t deadline; /* 0: none */
    uint64_t made_ms;  /* what the store's clock showed when it was given; 0: it is not early */
    struct oxbow_bytes name;
};

/* Where a name is, or where it would go. */
struct catalog_at {
    uint64_t database; /* 0: the database number has no record */
    uint64_t hash;
    uint64_t count; /* names in the database */
    uint64_t made_ms;
    uint16_t ordinal;
    bool found;
    bool expired; /* found, but nobody is to see it any more */
    struct object object;
};

/* The key of a database number's record, be it a cache or not. */
struct oxbow_bytes catalog_number_in(const struct oxbow_txn *txn, uint8_t out[CATALOG_NUMBER_KEY],
                                     uint32_t number);
struct oxbow_bytes catalog_name_key(uint8_t out[CATALOG_NAME_KEY], uint64_t database, uint64_t hash,
                                    uint16_t ordinal);
struct oxbow_bytes catalog_meta_key(uint8_t out[2]);
/* Two numbers of 64 bits: the form of the meta record and of a database's. Zeros when absent. */
OXBOW_MUST_CHECK enum oxbow_err catalog_pair_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 uint64_t pair[2]);
OXBOW_MUST_CHECK enum oxbow_err catalog_pair_put(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 const uint64_t pair[2]);
/* A name's hash, and what it is seeded with. */
OXBOW_MUST_CHECK enum oxbow_err catalog_hash(struct oxbow_txn *txn, struct oxbow_bytes name,
                                             uint64_t *hash);
uint64_t catalog_seed(const struct oxbow *db);
/* Whoever changes records of names otherwise than by the functions of catalog.h says so first. */
void catalog_names_forget(struct oxbow_txn *txn);
/* Notes which number a database id goes by; CATALOG_DATABASES: none any more. */
OXBOW_MUST_CHECK enum oxbow_err catalog_home_put(struct oxbow_txn *txn, uint64_t database,
                                                 uint32_t number);
/* `name` points into the value. OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err catalog_name_decode(struct oxbow_bytes value,
                                                    struct catalog_name *out);
OXBOW_MUST_CHECK enum oxbow_err catalog_locate(struct oxbow_txn *txn, struct oxbow_bytes name,
                                               struct catalog_at *at);
/* Writes the name's record as `at` says: object, made_ms. */
OXBOW_MUST_CHECK enum oxbow_err catalog_name_put(struct oxbow_txn *txn, const struct catalog_at *at,
                                                 struct oxbow_bytes name);
/* Removes a name that is there, and queues its object for reaping. */
OXBOW_MUST_CHECK enum oxbow_err catalog_drop(struct oxbow_txn *txn, const struct catalog_at *at,
                                             struct oxbow_bytes name);
/* Whether an object or a database id is queued for reaping. */
OXBOW_MUST_CHECK enum oxbow_err catalog_reap_has(struct oxbow_txn *txn, enum reap_kind kind,
                                                 uint64_t id, bool *has);
/* Queues it; `note` goes into the record. */
OXBOW_MUST_CHECK enum oxbow_err catalog_reap_add(struct oxbow_txn *txn, enum reap_kind kind,
                                                 uint64_t id, uint8_t note);

/* What was an object of the catalog is none any more: its content is queued for reaping, or in a cache
 * goes at once if there is little of it. */
OXBOW_MUST_CHECK enum oxbow_err catalog_object_end(struct oxbow_txn *txn, uint64_t id,
                                                   uint8_t type);
/* Removes a name that is there, of a cache, and all of its content, however much that is. */
OXBOW_MUST_CHECK enum oxbow_err
catalog_drop_whole(struct oxbow_txn *txn, const struct catalog_at *at, struct oxbow_bytes name);
/* A bounded step of reaping in caches alone; *more, if there may be more. */
OXBOW_MUST_CHECK enum oxbow_err catalog_reap_cache(struct oxbow_txn *txn, bool *more);

/* ---- deadlines: catalog_expire.c ---- */

/* Adds or takes away the deadline's place in the order of time. */
OXBOW_MUST_CHECK enum oxbow_err catalog_deadline_put(struct oxbow_txn *txn,
                                                     const struct catalog_at *at);
OXBOW_MUST_CHECK enum oxbow_err catalog_deadline_del(struct oxbow_txn *txn,
                                                     const struct catalog_at *at);
/* catalog_drop for a key that has expired: it is told so. */
OXBOW_MUST_CHECK enum oxbow_err
catalog_expire_at(struct oxbow_txn *txn, const struct catalog_at *at, struct oxbow_bytes name);

/* ---- objects that wait for their time: catalog_due.c ---- */

/* The object goes by that name now, which is in the record: its place goes along. */
OXBOW_MUST_CHECK enum oxbow_err catalog_due_moved(struct oxbow_txn *txn,
                                                  const struct catalog_at *at);
/* The object's records are about to go: its place goes. */
OXBOW_MUST_CHECK enum oxbow_err catalog_due_reaped(struct oxbow_txn *txn, uint64_t id);

#endif
