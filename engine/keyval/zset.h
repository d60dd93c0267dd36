/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorted sets from the inside: a table whose values are scores, and a tree of its members by score.
 *
 * The members' tree has each member's score as 8 bytes, its double's bits, little-endian. In the tree
 * of scores a member's order is the score's, and its value is empty, but for -0, which has one byte:
 * 0 and -0 are one order. What of a member lies outside is shared by both.
 */
#ifndef OXBOW_KEYVAL_ZSET_H
#define OXBOW_KEYVAL_ZSET_H

#include "engine/keyval/table.h"
#include "oxbow/zset.h"

struct zset {
    struct table t;
    struct btree scores;
};

/* A score as an order, and back. No NaN. */
uint64_t score_order(double score);
double score_of_order(uint64_t order);
/* The score of an entry of the tree of scores. */
double score_of_entry(const struct btree_entry *e);

/* As table_find, table_find_to_write, table_find_or_make, table_close. */
OXBOW_MUST_CHECK enum oxbow_err zset_find(struct oxbow_txn *txn, struct oxbow_bytes name,
                                          struct zset *z);
OXBOW_MUST_CHECK enum oxbow_err zset_find_to_write(struct oxbow_txn *txn, struct oxbow_bytes name,
                                                   struct zset *z);
OXBOW_MUST_CHECK enum oxbow_err zset_find_or_make(struct oxbow_txn *txn, struct oxbow_bytes name,
                                                  uint64_t bytes, struct zset *z);
OXBOW_MUST_CHECK enum oxbow_err zset_close(struct zset *z, enum oxbow_err err);

/* As table_read. */
OXBOW_MUST_CHECK enum oxbow_err zset_read(struct oxbow_txn *txn, struct oxbow_bytes name,
                                          struct zset *z, struct oxbow_result *r);
/* Adds a member, at the place in the members' tree where it was not found. */
OXBOW_MUST_CHECK enum oxbow_err zset_put(struct zset *z, struct btree_place *p,
                                         const struct oxbow_scored *s);
/* Gives the member `e`, which is at that place in the members' tree, another score. */
OXBOW_MUST_CHECK enum oxbow_err zset_move(struct zset *z, struct btree_place *p,
                                          const struct btree_entry *e,
                                          const struct oxbow_scored *s);
/* Removes a member; *found says whether it was there. */
OXBOW_MUST_CHECK enum oxbow_err zset_take(struct zset *z, struct oxbow_bytes member, bool *found);
/* Removes the items of a result, which are members with these scores; the same ones again are fine.
 * OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err zset_take_many(struct zset *z, const struct oxbow_result *r);
/* Removes the member of that rank. */
OXBOW_MUST_CHECK enum oxbow_err zset_take_rank(struct zset *z, uint64_t rank);

/* Adds an entry of the tree of scores to a result. */
OXBOW_MUST_CHECK enum oxbow_err zset_item(struct zset *z, const struct btree_entry *e,
                                          struct oxbow_result *r);
/* Replaces what `to` holds, whatever that is, by the items and scores of a result. */
OXBOW_MUST_CHECK enum oxbow_err zset_store(struct oxbow_txn *txn, struct oxbow_bytes to,
                                           const struct oxbow_result *r);

#endif
