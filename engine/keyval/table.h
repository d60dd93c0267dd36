/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hashes, sets and sorted sets have in common: a key with a tree of members, found by their hash,
 * that comes with the first member and goes with the last.
 *
 *   table_find                      -> reads, table_member_remove        -> table_close
 *   table_check, table_find_or_make -> table_member_find, btree_insert   -> table_close
 */
#ifndef OXBOW_KEYVAL_TABLE_H
#define OXBOW_KEYVAL_TABLE_H

#include "engine/keyval/btree.h"

#define TABLE_RESULT_MAX ((size_t)512 * 1024 * 1024) /* payload bytes of one result */

struct table {
    struct oxbow_txn *txn;
    struct oxbow_bytes name;
    struct object object;
    struct btree members;
    struct btree times; /* of members that have a deadline: table_time.c */
    uint64_t expired;   /* members that had expired, and were removed or replaced */
    bool timed;         /* `times` was taken up */
    bool dirty;         /* something was written, or is about to be */
};

/* OXBOW_ENOENT, OXBOW_EWRONGTYPE; OXBOW_EINVAL for a name that is NULL. */
OXBOW_MUST_CHECK enum oxbow_err table_find(struct oxbow_txn *txn, struct oxbow_bytes name,
                                           enum oxbow_type type, struct table *t);
/* The same for who will change it: OXBOW_EREADONLY as well. */
OXBOW_MUST_CHECK enum oxbow_err table_find_to_write(struct oxbow_txn *txn, struct oxbow_bytes name,
                                                    enum oxbow_type type, struct table *t);
/* Finds or makes it, to write. `bytes` is what will be added, and is reserved. OXBOW_EWRONGTYPE,
 * OXBOW_EREADONLY, OXBOW_ETOOBIG, OXBOW_EQUOTA, OXBOW_ELEVEL: nothing was changed. */
OXBOW_MUST_CHECK enum oxbow_err table_find_or_make(struct oxbow_txn *txn, struct oxbow_bytes name,
                                                   enum oxbow_type type, uint64_t bytes,
                                                   struct table *t);
/* After writing, with what came of it: makes an error the transaction's, removes a table that has no
 * members left. Gives `err`, or what that gave. */
OXBOW_MUST_CHECK enum oxbow_err table_close(struct table *t, enum oxbow_err err);

/* For what stores a whole: deletes the key, of whatever type it is, and reserves `bytes`. OXBOW_EINVAL,
 * OXBOW_EREADONLY, OXBOW_ETOOBIG, OXBOW_EPROTECTED, OXBOW_EQUOTA, OXBOW_ELEVEL: nothing was changed. */
OXBOW_MUST_CHECK enum oxbow_err table_overwrite(struct oxbow_txn *txn, struct oxbow_bytes name,
                                                uint64_t bytes);
/* Wakes who waits for the key, when the transaction commits. */
OXBOW_MUST_CHECK enum oxbow_err table_touch(struct table *t);

/* OXBOW_EINVAL for a NULL, OXBOW_ETOOBIG for one longer than an entry may be; else adds what it costs
 * to *bytes. */
OXBOW_MUST_CHECK enum oxbow_err table_check(const struct oxbow_txn *txn,
                                            const struct oxbow_bytes *members, size_t count,
                                            uint64_t *bytes);

/* The place of a member; *found says whether it is there, and `e` is it then. */
OXBOW_MUST_CHECK enum oxbow_err table_member_find(struct table *t, struct oxbow_bytes member,
                                                  struct btree_place *p, struct btree_entry *e,
                                                  bool *found);
/* Adds a member with that value (borrowed bytes: not the store's) at the place where it was not
 * found. */
OXBOW_MUST_CHECK enum oxbow_err table_member_add(struct table *t, struct btree_place *p,
                                                 struct oxbow_bytes member,
                                                 struct oxbow_bytes value);
/* The same when what of the member lies outside is written already. */
OXBOW_MUST_CHECK enum oxbow_err table_member_add_ref(struct table *t, struct btree_place *p,
                                                     struct oxbow_bytes member,
                                                     const struct btree_ref *ref,
                                                     struct oxbow_bytes value);
/* Gives the member `e` at the place another value, likewise, and takes its deadline away. */
OXBOW_MUST_CHECK enum oxbow_err table_member_set(struct table *t, struct btree_place *p,
                                                 const struct btree_entry *e,
                                                 struct oxbow_bytes value);
/* The same, and it keeps its deadline. */
OXBOW_MUST_CHECK enum oxbow_err table_member_keep(struct table *t, struct btree_place *p,
                                                  const struct btree_entry *e,
                                                  struct oxbow_bytes value);
/* Removes the member `e` at the place, and what of it lies outside. */
OXBOW_MUST_CHECK enum oxbow_err table_member_remove(struct table *t, struct btree_place *p,
                                                    const struct btree_entry *e);

/* The same for many at once, of which some may not be there: their keys are sorted in memory, and each
 * leaf is written once. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err table_remove_many(struct table *t,
                                                  const struct oxbow_bytes *members, size_t count);
/* What a member is found by. */
struct btree_key member_key(const struct table *t, struct oxbow_bytes member);
/* Keys for btree_remove_keys; NULL: no memory. */
struct btree_key *keys_new(const struct oxbow_txn *txn, size_t count);
void keys_free(const struct oxbow_txn *txn, struct btree_key *keys, size_t count);

/* Adds members, values or both (a member, then its value) to a result as items, or members with the
 * scores that their values are. */
#define TABLE_MEMBERS 1u
#define TABLE_VALUES  2u
#define TABLE_SCORES  4u
OXBOW_MUST_CHECK enum oxbow_err table_item(struct table *t, const struct btree_entry *e,
                                           unsigned what, struct oxbow_result *r);
/* The score that a member's value is. */
OXBOW_MUST_CHECK enum oxbow_err table_score(const struct btree_entry *e, double *score);
/* All of it, in the order of hashes. */
OXBOW_MUST_CHECK enum oxbow_err table_items(struct table *t, unsigned what, struct oxbow_result *r);
/* Items from *cursor (engine/base/scan.h) on until at least `count` members were looked at, all of one
 * cursor together; *cursor is then where to go on, 0 at the end. */
OXBOW_MUST_CHECK enum oxbow_err table_scan(struct table *t, uint64_t *cursor, size_t count,
                                           unsigned what, struct oxbow_result *r);

/* ---- whole operations ---- */

/* Removes those of the members that are there, and closes the table. *deleted: how many they were. */
OXBOW_MUST_CHECK enum oxbow_err table_delete(struct table *t, const struct oxbow_bytes *members,
                                             size_t count, uint64_t *deleted);
/* Begins a result and finds the table. A missing one is OXBOW_ENOENT, and table_read_done makes an
 * empty result of that; of any other error it makes none. */
OXBOW_MUST_CHECK enum oxbow_err table_read(struct oxbow_txn *txn, struct oxbow_bytes name,
                                           enum oxbow_type type, struct table *t,
                                           struct oxbow_result *r);
OXBOW_MUST_CHECK enum oxbow_err table_read_done(enum oxbow_err err, struct oxbow_result *r);
/* For who has finished a result of what it then removed: empties it if that failed with `err`, and gives
 * that. */
OXBOW_MUST_CHECK enum oxbow_err table_took(enum oxbow_err err, const struct oxbow_txn *txn,
                                           struct oxbow_result *r);
/* How many members; 0 when there is no such key. */
OXBOW_MUST_CHECK enum oxbow_err table_count(struct oxbow_txn *txn, struct oxbow_bytes name,
                                            enum oxbow_type type, uint64_t *count);

struct table_ask {
    const struct oxbow_bytes *members;
    size_t count;
    bool *present; /* filled in: which of them are there */
};
/* With a result the value of each as an item, an empty one for those that are not there. It may be
 * NULL. */
OXBOW_MUST_CHECK enum oxbow_err table_get_many(struct oxbow_txn *txn, struct oxbow_bytes name,
                                               enum oxbow_type type, const struct table_ask *ask,
                                               struct oxbow_result *r);

/* ---- members that expire: table_time.c ---- */

/* Whether nobody is to see a member any more: its deadline has come. One comparison if it has none. */
OXBOW_MUST_CHECK enum oxbow_err table_gone(struct table *t, const struct btree_entry *e,
                                           bool *gone);
/* Gives the member `e` at the place that deadline and what the clock showed when it was given; 0: none
 * any more. The place is gone. */
OXBOW_MUST_CHECK enum oxbow_err table_member_time(struct table *t, struct btree_place *p,
                                                  const struct btree_entry *e, uint64_t deadline,
                                                  uint64_t made_ms);
/* Takes its deadline out of the order of deadlines; the member goes, or gets none, at once after that. */
OXBOW_MUST_CHECK enum oxbow_err table_time_forget(struct table *t, const struct btree_entry *e);
/* The same of all members that are named, each leaf of the order once. `scratch` has room for a key each. */
OXBOW_MUST_CHECK enum oxbow_err table_time_forget_many(struct table *t,
                                                       const struct oxbow_bytes *members,
                                                       size_t count, struct btree_key *scratch);
/* Takes up the tree of deadlines; t->times.count is 0 when no member has any. */
OXBOW_MUST_CHECK enum oxbow_err table_times(struct table *t);
/* table_close's share: no tree where there is no deadline. */
OXBOW_MUST_CHECK enum oxbow_err table_times_close(struct table *t);
/* One step of that work: removes at most TABLE_TIME_STEP members; *more: there may be more. */
#define TABLE_TIME_STEP 64u
OXBOW_MUST_CHECK enum oxbow_err table_time_step(struct oxbow_txn *txn, bool *more);
/* Has the store's idle work remove fields that have expired, from now until the store is closed. */
void table_time_attach(struct oxbow_txn *txn);

/* ---- the order of adding: table_order.c ---- */

struct member_turn;
struct table_order {
    struct member_turn *turns; /* NULL: as they come */
    size_t count;
};
/* Of many members, each the first thing in a struct of `stride` bytes. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err table_order_open(const struct table *t, const void *members,
                                                 size_t stride, size_t count,
                                                 struct table_order *o);
/* Which of them is the i-th to be added. */
size_t table_order_at(const struct table_order *o, size_t i);
void table_order_close(const struct table *t, struct table_order *o);

/* ---- chance: table_pick.c ---- */

/* `count` ranks below n, at most n of them: any two differ. To be freed by mem_free with count
 * times 8 bytes; NULL when count is 0. OXBOW_ENOMEM, and what the port's random gives. */
OXBOW_MUST_CHECK enum oxbow_err pick_distinct(struct oxbow_txn *txn, uint64_t n, size_t count,
                                              uint64_t **ranks);
/* One below n, which is not 0. */
OXBOW_MUST_CHECK enum oxbow_err pick_one(struct oxbow_txn *txn, uint64_t n, uint64_t *rank);
/* As Redis' RANDMEMBER commands: with count 0 or more, that many distinct ones or all there are; with
 * a count below 0, that many, the same ones again perhaps. */
OXBOW_MUST_CHECK enum oxbow_err table_random(struct table *t, int64_t count, unsigned what,
                                             struct oxbow_result *r);

#endif
