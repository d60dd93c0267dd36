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
#define CATALOG_NAME_HEAD 9u /* type and object id, before the name */

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
/* Notes which number a database id goes by; CATALOG_DATABASES: none any more. */
OXBOW_MUST_CHECK enum oxbow_err catalog_home_put(struct oxbow_txn *txn, uint64_t database,
                                                 uint32_t number);
/* Sets id and type; *name points into the value. OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err catalog_name_decode(struct oxbow_bytes value, struct object *object,
                                                    struct oxbow_bytes *name);
/* Whether an object or a database id is queued for reaping. */
OXBOW_MUST_CHECK enum oxbow_err catalog_reap_has(struct oxbow_txn *txn, enum reap_kind kind,
                                                 uint64_t id, bool *has);
/* Queues it; `note` goes into the record. */
OXBOW_MUST_CHECK enum oxbow_err catalog_reap_add(struct oxbow_txn *txn, enum reap_kind kind,
                                                 uint64_t id, uint8_t note);

#endif
