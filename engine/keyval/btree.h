/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counted trees: what hashes, sets and sorted sets are made of.
 *
 * A tree holds entries in the order of (order, member): a 64-bit number, then the member's bytes as
 * memcmp has them, shorter first. For look-ups by member the number is the member's hash, for sorted
 * sets the score. Entries are packed into leaves of about a kilobyte; inner nodes count what is below
 * each child, so that the n-th entry and an entry's rank are found in O(log n). A small tree is one
 * record. What many colliding hashes cost is a few comparisons.
 *
 * An entry may have a deadline, which says nothing to the tree: who gives one keeps it elsewhere in
 * order (table_time.c).
 *
 * Members and values beyond the inline limits lie outside (outside.h): an entry then has their number
 * and length, and a tree never frees them: that is its user's business.
 *
 * Everything borrowed from the store (struct btree_ref.data) is gone after the next write of the
 * transaction. All functions give, besides what they name, OXBOW_ECORRUPT for records that make no
 * sense, and what kv_* gives; after an error of one that writes the transaction is only to be
 * aborted (the caller says so with txn_fail).
 */
#ifndef OXBOW_KEYVAL_BTREE_H
#define OXBOW_KEYVAL_BTREE_H

#include "engine/keyval/outside.h"
#include "engine/store/catalog.h"

#define BTREE_DEPTH_MAX   12u   /* nodes on the way from root to leaf */
#define BTREE_LEAF_MAX    2000u /* bytes of entries */
#define BTREE_VALUE_MAX   384u  /* longer values lie outside */
#define BTREE_MEMBER_MAX  256u  /* and longer members */
#define BTREE_ENTRY_MIN   10u
#define BTREE_ENTRIES_MAX (BTREE_LEAF_MAX / BTREE_ENTRY_MIN) /* in one leaf */

/* Values are stored: never renumbered. A tree whose root is kind k has its other nodes under k + 1. */
enum btree_kind {
    BTREE_MEMBERS = OBJECT_KIND_TYPE, /* by the member's hash */
    BTREE_SCORES = OBJECT_KIND_TYPE + 3,
    BTREE_TIMES = OBJECT_KIND_TYPE + 5 /* by deadline, of members that have one */
};

#define BTREE_TIME_MAX (((uint64_t)1 << 48) - 1) /* of a deadline */

struct btree {
    struct oxbow_txn *txn;
    uint64_t object;
    enum btree_kind kind;
    uint64_t count; /* of entries */
    uint64_t next;  /* number of the next node */
    uint64_t seed;  /* of members' hashes */
    uint8_t level;  /* the root's; 0: it is a leaf */
    uint16_t n;     /* entries in the root */
    uint16_t used;  /* their bytes */
    uint16_t skip;  /* bytes before them that are no entry any more */
    bool fresh;     /* has no record yet */
    bool head_dirty;
};

struct btree_key {
    uint64_t order;
    struct oxbow_bytes member;
};

struct btree_entry {
    uint64_t order;
    struct btree_ref member;
    struct btree_ref value;
    uint64_t deadline; /* 0: none; by the store's clock, at most BTREE_TIME_MAX */
    uint64_t made_ms;  /* what that clock showed when it was given; 0: it is not early (credit.h) */
    size_t size;       /* encoded */
};

/* A place in a tree: at an entry, or behind the last one of a leaf. Good until the tree is written. */
struct btree_place {
    struct btree *tree;
    struct btree_step {
        uint64_t id;    /* of the node; the root has none */
        uint64_t count; /* below the child that was taken */
        uint16_t idx;   /* of it */
        uint16_t n;
    } path[BTREE_DEPTH_MAX];
    unsigned leaf;          /* path[leaf] is the leaf */
    const uint8_t *entries; /* of the leaf; borrowed */
    uint16_t used;
    uint16_t pos;                   /* of the entry in it */
    uint64_t rank;                  /* entries before this place */
    uint16_t at[BTREE_ENTRIES_MAX]; /* where each entry begins, when at_known */
    bool at_known;
};

/* Takes up a tree that is there. OXBOW_ENOENT: there is none. */
OXBOW_MUST_CHECK enum oxbow_err btree_open(struct btree *t, struct oxbow_txn *txn, uint64_t object,
                                           enum btree_kind kind);
/* Makes an empty one. */
OXBOW_MUST_CHECK enum oxbow_err btree_make(struct btree *t, struct oxbow_txn *txn, uint64_t object,
                                           enum btree_kind kind, uint64_t seed);
/* Deletes the root's record of a tree that is empty. */
OXBOW_MUST_CHECK enum oxbow_err btree_drop(struct btree *t);

/* The first entry at or after `key`; *equal says whether it is that very one. Where *equal is false
 * the place is where the key would be inserted, and may be behind a leaf's last entry. */
OXBOW_MUST_CHECK enum oxbow_err btree_find(struct btree *t, const struct btree_key *key,
                                           struct btree_place *p, bool *equal);
/* The entry that has `rank` others before it; rank may be the tree's count: behind the last. */
OXBOW_MUST_CHECK enum oxbow_err btree_find_rank(struct btree *t, uint64_t rank,
                                                struct btree_place *p);
/* The entry at the place; goes to the next leaf when it is behind a leaf's last entry. OXBOW_ENOENT:
 * it is behind the tree's last entry. */
OXBOW_MUST_CHECK enum oxbow_err btree_get(struct btree_place *p, struct btree_entry *e);
/* To the entry after the one that btree_get gave last, `e`; gives it likewise. */
OXBOW_MUST_CHECK enum oxbow_err btree_next(struct btree_place *p, struct btree_entry *e);
/* To the entry before the place, and gives it. OXBOW_ENOENT: it is the first. */
OXBOW_MUST_CHECK enum oxbow_err btree_prev(struct btree_place *p, struct btree_entry *e);

/* Inserts at a place that btree_find has given with *equal false. The place is gone. */
OXBOW_MUST_CHECK enum oxbow_err btree_insert(struct btree_place *p, const struct btree_entry *e);
/* Gives the entry at the place, `old`, another value, and the deadline that `old` has. The place is
 * gone. */
OXBOW_MUST_CHECK enum oxbow_err btree_replace(struct btree_place *p, const struct btree_entry *old,
                                              const struct btree_ref *value);
/* Gives it the deadline that `old` has, and leaves the value. */
OXBOW_MUST_CHECK enum oxbow_err btree_retime(struct btree_place *p, const struct btree_entry *old);
/* Removes the entry at the place. The place is gone. */
OXBOW_MUST_CHECK enum oxbow_err btree_remove(struct btree_place *p, const struct btree_entry *e);

/* Entries that are removed together. */
struct btree_keys {
    const struct btree_key
        *at; /* in order, as btree_keys_sort has it; the same ones again are fine */
    size_t count;
    /* Is given each entry before it goes, from the last to the first. It may write, but no node of this tree. May be
     * NULL. `e` is good until it returns. */
    enum oxbow_err (*take)(void *ctx, const struct btree_entry *e);
    void *ctx;
};

/* Removes what of the keys there is, and writes each leaf once. A leaf that is emptied costs a
 * transaction a few hundred bytes, however many entries it had. */
OXBOW_MUST_CHECK enum oxbow_err btree_remove_keys(struct btree *t, const struct btree_keys *keys);
/* By order, then by member. */
void btree_keys_sort(struct btree_key *keys, size_t count);

/* Bytes, in an entry when they are short enough: `max` is one of the limits above. Others are written
 * outside. */
OXBOW_MUST_CHECK enum oxbow_err btree_ref_make(struct btree *t, struct oxbow_bytes bytes,
                                               size_t max, struct btree_ref *out);

#endif
