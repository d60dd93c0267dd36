/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of the data file as LMDB lays them out, read from bytes that nobody has vouched for. W is a
 * word of the host; numbers are in the host's byte order.
 *
 *   page   | number W | pad u16 | flags u16 | lower u16 | upper u16 | node offsets u16 ... | nodes
 *          an overflow page has its count of pages, u32, in place of lower and upper
 *   node   | low u16 | high u16 | flags u16 | key length u16 | key | data
 *          low and high change places on big-endian hosts; in a leaf they are the data's length, in
 *          a branch with the flags above them the child's number
 */
#ifndef OXBOW_STORE_PAGE_H
#define OXBOW_STORE_PAGE_H

#include "oxbow/error.h"
#include "oxbow/types.h"

#include <stdbool.h>

#define PAGE_BYTES       4096u
#define PAGE_HEAD_BYTES  (sizeof(size_t) + 8u)
#define PAGE_NODE_BYTES  8u
#define PAGE_BRANCH      0x01u
#define PAGE_LEAF        0x02u
#define PAGE_OVERFLOW    0x04u
#define PAGE_META        0x08u
#define PAGE_KEYS_NATIVE 0x08u /* a database whose keys are words */
#define PAGE_NODE_BIG    0x01u /* the data is the number of an overflow page */
#define PAGE_NONE        ((uint64_t)SIZE_MAX)

struct page_node {
    struct oxbow_bytes key;
    uint64_t child;          /* of a branch */
    uint64_t overflow;       /* of a leaf, with `big`: its first overflow page */
    struct oxbow_bytes data; /* of a leaf without `big` */
    size_t data_len;
    bool big;
};

/* A database's record in a meta page. */
struct page_db {
    uint32_t pad;
    uint16_t flags;
    uint16_t depth;
    uint64_t branch_pages;
    uint64_t leaf_pages;
    uint64_t overflow_pages;
    uint64_t entries;
    uint64_t root;
};

struct page_meta {
    uint64_t map_bytes;
    struct page_db free_list;
    struct page_db main;
    uint64_t last_page;
    uint64_t txn;
};

uint64_t page_number(const uint8_t *page);
uint16_t page_flags(const uint8_t *page);
uint32_t page_run(const uint8_t *page); /* of an overflow page */
/* Whether number, flags and bounds fit a branch or leaf page; *count is then how many nodes. */
bool page_check(const uint8_t *page, uint64_t number, size_t *count);
/* The idx-th node of a page that passed page_check; false when it reaches outside. */
bool page_node(const uint8_t *page, size_t idx, struct page_node *out);
/* Whether the nodes, which page_node can read, take up what the page says: LMDB leaves no gap, and a
 * wrong length would have it move the wrong bytes with the next change. */
bool page_packed(const uint8_t *page, size_t count);
/* A meta page; false when it is none. */
bool page_meta(const uint8_t *page, uint64_t number, struct page_meta *out);
/* Makes a copy of a sound meta page the other one: its number, and the transaction before. */
void page_meta_turn(uint8_t *page, uint64_t number, uint64_t txn);
/* Shows `visit` the pages that a record of the free list names, as LMDB takes them: the last first,
 * which is the lowest; *more is false when it has ended the walk. False: the record is damaged. */
bool page_list_walk(struct oxbow_bytes record, bool (*visit)(void *ctx, uint64_t page), void *ctx,
                    bool *more);

#endif
