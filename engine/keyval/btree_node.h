/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes of counted trees: the bytes, drawn in btree_node.c. */
#ifndef OXBOW_KEYVAL_BTREE_NODE_H
#define OXBOW_KEYVAL_BTREE_NODE_H

#include "engine/keyval/btree.h"

#define NODE_HEAD      8u
#define ROOT_HEAD      32u /* before the root's node head */
#define INNER_ENTRY    48u
#define INNER_MAX      (82u * INNER_ENTRY)
#define INNER_PREFIX   23u
#define INNER_AT_COUNT 40u /* in an entry */
#define TIME_BYTES     6u
#define ENTRY_MAX      (8u + 1u + 2u * TIME_BYTES + 2u + 2u + BTREE_MEMBER_MAX + BTREE_VALUE_MAX)
#define NODE_BYTES     4096u

_Static_assert((BTREE_LEAF_MAX + ENTRY_MAX) / 2 + ENTRY_MAX <= BTREE_LEAF_MAX,
               "both halves of a leaf that was split fit");
_Static_assert(BTREE_LEAF_MAX + ENTRY_MAX <= NODE_BYTES && INNER_MAX + INNER_ENTRY <= NODE_BYTES,
               "a node may run over by an entry before it is split");
_Static_assert(ROOT_HEAD + NODE_HEAD + INNER_MAX <= KV_PAGE_MAX, "a node takes one page at most");

/* A node as it is stored; borrowed. */
struct node_view {
    const uint8_t *entries;
    uint16_t n;
    uint16_t used;
    uint16_t skip; /* bytes before the entries that are none any more */
    uint8_t level;
    size_t stored; /* bytes that its record has from the entries on */
};

/* A node's copy that is worked on. */
struct node {
    uint64_t id; /* 0: the root */
    uint16_t n;
    uint16_t used;
    uint16_t skip;
    uint8_t level;
    size_t stored;
    uint8_t e[NODE_BYTES];
};

/* What an inner node knows of a child: all below it is at or after (order, prefix...), and all before
 * it is not after. */
struct inner_entry {
    uint64_t order;
    uint8_t prefix[INNER_PREFIX];
    uint8_t prefix_len;
    bool cut; /* the member went on */
    uint64_t child;
    uint64_t count;
};

/* id 0: the root. A missing node is OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err node_get(struct btree *t, uint64_t id, struct node_view *v);
OXBOW_MUST_CHECK enum oxbow_err node_load(struct btree *t, uint64_t id, struct node *node);
/* Writes all of a node, or of its entries bytes from `from` up to `to`; `from` is within what is
 * stored. The root's head is left for btree_head_put, but where all is written. */
OXBOW_MUST_CHECK enum oxbow_err node_put(struct btree *t, struct node *node);
OXBOW_MUST_CHECK enum oxbow_err node_patch(struct btree *t, struct node *node, size_t from,
                                           size_t to);
/* Takes the first `n` entries, of `size` bytes, off a leaf that has others: these stay where they are. */
OXBOW_MUST_CHECK enum oxbow_err node_take_front(struct btree *t, struct node *node, uint16_t n,
                                                size_t size);
/* The count of one entry of an inner node. */
OXBOW_MUST_CHECK enum oxbow_err node_patch_count(struct btree *t, uint64_t id, size_t idx,
                                                 uint64_t count);
OXBOW_MUST_CHECK enum oxbow_err node_delete(struct btree *t, uint64_t id);
OXBOW_MUST_CHECK enum oxbow_err btree_head_put(struct btree *t);

/* Entries of leaves. Encoding gives the size. */
OXBOW_MUST_CHECK enum oxbow_err entry_decode(const uint8_t *entries, size_t used, size_t pos,
                                             struct btree_entry *e);
size_t entry_encode(uint8_t *p, const struct btree_entry *e);

void inner_decode(const uint8_t *entries, size_t idx, struct inner_entry *e);
void inner_encode(uint8_t *entries, size_t idx, const struct inner_entry *e);
uint64_t inner_count(const uint8_t *entries, size_t idx);
uint64_t inner_child(const uint8_t *entries, size_t idx);
/* *order is below, at or above 0 as the key is before, equal to or after the entry's. */
OXBOW_MUST_CHECK enum oxbow_err key_compare_entry(struct btree *t, const struct btree_key *key,
                                                  const struct btree_entry *e, int *order);
/* Entries below a node. */
uint64_t node_count(const struct node *node);

#endif
