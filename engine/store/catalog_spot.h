/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders of time: what idle work is to do about an object, earliest first. For the catalog's source
 * files alone; the bytes are drawn in catalog_spot.c.
 */
#ifndef OXBOW_STORE_CATALOG_SPOT_H
#define OXBOW_STORE_CATALOG_SPOT_H

#include "engine/store/catalog_record.h"

/* One of them. */
struct spot_order {
    uint8_t letter;       /* values are stored: never changed */
    bool cached;          /* of what is in caches */
    enum store_slot slot; /* what is known of it in memory hangs there */
};

/* A place in one. */
struct spot {
    uint64_t deadline;
    uint64_t database;
    uint64_t hash; /* of the name */
    uint64_t object;
};

/* What is known of an order in memory. */
struct spots {
    uint64_t first;  /* UINT64_MAX: there is nothing in it */
    uint64_t low;    /* nothing is earlier: looks begin there, behind what was deleted */
    uint64_t aborts; /* store_abort_count when that was read: an abort may have brought one back */
    uint32_t number; /* of the database that the last one was in: the next may be too */
};

OXBOW_MUST_CHECK enum oxbow_err spots_get(struct oxbow_txn *txn, const struct spot_order *order,
                                          struct spots **out);
/* Adds a place, and asks for idle work in time. */
OXBOW_MUST_CHECK enum oxbow_err spot_put(struct oxbow_txn *txn, const struct spot_order *order,
                                         const struct spot *s);
/* Fine when there is none. */
OXBOW_MUST_CHECK enum oxbow_err spot_del(struct oxbow_txn *txn, const struct spot_order *order,
                                         const struct spot *s);
/* The next place behind *s. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err spot_next(struct oxbow_txn *txn, const struct spot_order *order,
                                          struct spot *s);
/* The earliest place whose time has come. OXBOW_ENOENT: there is none; idle work was asked for in
 * time. */
OXBOW_MUST_CHECK enum oxbow_err spot_due(struct oxbow_txn *txn, const struct spot_order *order,
                                         struct spots *known, struct spot *s);

/* The number that a database goes by now; CATALOG_DATABASES: none, it was flushed. *number is looked at
 * first. */
OXBOW_MUST_CHECK enum oxbow_err spot_number(struct oxbow_txn *txn, uint64_t database,
                                            uint32_t *number);
/* The name that leads to the place's object, in memory of its own, and the deadline in its record;
 * name->data NULL: there is none. */
OXBOW_MUST_CHECK enum oxbow_err spot_name(struct oxbow_txn *txn, const struct spot *s,
                                          uint64_t *deadline, struct oxbow_bytes *name);
void spot_name_free(struct oxbow_txn *txn, struct oxbow_bytes name);

#endif
