/* SPDX-License-Identifier: Apache-2.0 */
/* What can still be read of a damaged data file. For salvage.c alone. */
#ifndef OXBOW_STORE_SALVAGE_READ_H
#define OXBOW_STORE_SALVAGE_READ_H

#include "engine/store/header.h"
#include "engine/store/kv.h"
#include "engine/store/page.h"

#define SALVAGE_RANGES_MAX 1024u /* what is lost beyond that is told in the last one */

/* Keys of which nothing is known: from `low` on, below `high`. */
struct salvage_range {
    uint8_t low[KV_KEY_MAX];
    uint8_t high[KV_KEY_MAX + 1]; /* a key's successor is one byte longer */
    uint8_t low_len;
    uint8_t high_len; /* 0: to the end */
};

/* Where a key's value is good, it is given; borrowed during the call. */
struct salvage_sink {
    void *ctx;
    enum oxbow_err (*item)(void *ctx, struct oxbow_bytes key, struct oxbow_bytes value);
};

struct salvage_level;

struct salvage_reader {
    const struct oxbow_port *port;
    int fd;
    bool unreadable_is_lost; /* a page that gives OXBOW_EIO twice counts as damaged */
    uint64_t pages;          /* of the file that can be in use */
    struct page_meta meta;   /* of the tree that is read */
    struct tree_header header;
    bool header_found; /* `header` is that tree's */
    bool header_other; /* it is the other tree's, one commit older */

    /* What the last read has found. */
    uint64_t keys; /* but for the header's */
    uint64_t digest;
    uint64_t values_bad;
    uint64_t conflicts;           /* pages that are free, and that the tree leads to */
    bool complete;                /* every key that there was is known */
    struct salvage_range *ranges; /* SALVAGE_RANGES_MAX */
    size_t range_count;

    /* The reader's own. */
    struct salvage_level *levels;
    uint8_t *extra;
    uint8_t *seen; /* a bit for each page */
    uint8_t *free; /* likewise: on the list of free pages */
    size_t map_bytes;
    uint8_t *value;
    size_t value_bytes;
    uint64_t free_entries;
    uint64_t free_newest;
    bool free_known;
    bool trusting;
    bool counting;
    bool gap;
    uint8_t last[KV_KEY_MAX];
    uint8_t last_len;
    const struct salvage_sink *sink;
};

/* Chooses the newer of the two trees, as far as that can be told. OXBOW_ECORRUPT: both meta pages
 * are destroyed. OXBOW_EIO, OXBOW_ENOMEM. After success or failure: salvage_fini. */
OXBOW_MUST_CHECK enum oxbow_err salvage_init(struct salvage_reader *s,
                                             const struct oxbow_port *port, int fd,
                                             bool unreadable_is_lost);
void salvage_fini(struct salvage_reader *s);
/* Gives every key whose value is good to the sink, but for the header record, and finds out what is
 * lost. The sink's errors end it; OXBOW_EIO, OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err salvage_read(struct salvage_reader *s,
                                             const struct salvage_sink *sink);

#endif
