/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Free pages of the data file and the blocks behind them: what is free for good is given back to
 * the file system as holes, and what the next checkpoints will take gets its blocks again before
 * they take it.
 *
 * Holes are made of whole groups of pages, but on a full device. All functions but space_publish
 * and space_due belong to the checkpoint thread, or to open before it runs.
 */
#ifndef OXBOW_STORE_SPACE_H
#define OXBOW_STORE_SPACE_H

#include "oxbow/oxbow.h"

#include <stdbool.h>

#define SPACE_GROUP_PAGES 16u
#define SPACE_KEEP_LEAST  320u /* pages: more than one step of writing a large value ahead takes */

struct oxbow;

struct space {
    uint8_t
        *marks; /* a bit for each page: it has no block, or may have none. NULL: nothing is given
                        back */
    uint8_t *groups;  /* a byte for each group: space.c */
    size_t pages;     /* that there are marks for */
    uint64_t holes;   /* marked pages */
    uint64_t head;    /* free pages that commits will take before the first hole; counted no further
                        than space_keep. UINT64_MAX: there are no holes */
    uint64_t reach;   /* pages at the end of the order that are looked at for an exchange */
    uint64_t settled; /* commits since there are holes */
    uint64_t barren;  /* commits there were when nothing was found to give back, plus one */
    uint64_t step_at_us;
    bool unable;   /* the file system cannot */
    bool unsure;   /* marked pages may have blocks: the marks are from before this opening */
    bool short_of; /* the device had no blocks for the head of the free list */
};

/* Pages at the head of the free list that keep their blocks. */
uint64_t space_keep(const struct oxbow_config *c);
/* After the tree was opened, before its first commit. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err space_open(struct oxbow *db);
void space_close(struct oxbow *db);

/* After each commit of the tree, without the mutex: the free pages that come next get their blocks.
 * Where the device has none left, holes are made of others in exchange; what could not be had shows
 * in `head`. */
void space_settle(struct oxbow *db);
/* After db->usage was taken from the tree, by whoever may write it: takes off what has no blocks. */
void space_publish(struct oxbow *db);

/* With the mutex, by the checkpoint thread: in how many microseconds a step is due; UINT64_MAX: none
 * is. */
uint64_t space_due(const struct oxbow *db, uint64_t now);
/* Gives back a bounded part of what is too much. With the mutex, which is let go meanwhile. */
void space_step(struct oxbow *db);

#endif
