/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog's records, for its two source files alone: drawn in catalog.c. */
#ifndef OXBOW_STORE_CATALOG_RECORD_H
#define OXBOW_STORE_CATALOG_RECORD_H

#include "engine/base/codec.h"
#include "engine/store/catalog.h"

/* Values are stored: never renumbered. */
enum catalog_kind { CATALOG_META = 0, CATALOG_DATABASE = 1, CATALOG_NAME = 2 };
enum reap_kind { REAP_OBJECT = 1, REAP_DATABASE = 2 };

#define CATALOG_NAME_KEY  20u
#define CATALOG_NAME_HEAD 9u /* type and object id, before the name */

struct oxbow_bytes catalog_name_key(uint8_t out[CATALOG_NAME_KEY], uint64_t database, uint64_t hash,
                                    uint16_t ordinal);
/* Sets id and type; *name points into the value. OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err catalog_name_decode(struct oxbow_bytes value, struct object *object,
                                                    struct oxbow_bytes *name);
/* Queues an object or a database id for reaping; `note` goes into the record. */
OXBOW_MUST_CHECK enum oxbow_err catalog_reap_add(struct oxbow_txn *txn, enum reap_kind kind,
                                                 uint64_t id, uint8_t note);

#endif
