/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's files: a fixed ring of segments of one size, made once, full of zeros, and from then
 * on only overwritten. The first block of each says what it is and never changes.
 *
 * Not thread safe in itself; reads, writes and syncs of an open ring may run side by side.
 */
#ifndef OXBOW_STORE_RING_H
#define OXBOW_STORE_RING_H

#include "oxbow/port.h"

#include <stdbool.h>

#define RING_BLOCK       4096u /* what a segment begins with, and what a sync is padded to */
#define RING_SEGMENTS    16u   /* at most; at least 2 */
#define RING_BYTES_MIN   65536u
#define RING_BYTES_MAX   (256u << 20)
#define RING_NAME_FORMAT "journal.%u"

struct ring {
    const struct oxbow_port *port;
    const char *dir;
    uint64_t store_id;
    uint32_t count;         /* segments; 0: there is no ring */
    uint64_t bytes;         /* of each */
    uint32_t missing;       /* segments that were not there, or not whole */
    int fds[RING_SEGMENTS]; /* -1: missing */
    bool
        unreadable_is_lost; /* what the device cannot read counts as damaged; set after ring_init */
};

/* An empty value, for ring_close. */
void ring_init(struct ring *r, const struct oxbow_port *port, const char *dir, uint64_t store_id);
/* Opens what segments there are. A file that is cut off or not of this store's ring counts as
 * missing, and with `unreadable_is_lost` one that cannot be read twice. None at all: count 0. Otherwise
 * OXBOW_EIO and what else opening and reading give. */
OXBOW_MUST_CHECK enum oxbow_err ring_open(struct ring *r, bool readonly);
/* Makes all segments anew under other names, syncs them and renames them into place; what was there
 * is replaced. The ring is closed before. OXBOW_ENOSPC, OXBOW_EIO: there may be some of them. */
OXBOW_MUST_CHECK enum oxbow_err ring_make(struct ring *r, uint32_t count, uint64_t bytes);
/* Removes all files of a ring that is closed, those that ring_make left behind as well. */
OXBOW_MUST_CHECK enum oxbow_err ring_remove(struct ring *r);
/* Renames the segments that there are out of the way, as evidence, in place of older evidence. The
 * ring is closed before. */
OXBOW_MUST_CHECK enum oxbow_err ring_set_aside(struct ring *r);
void ring_close(struct ring *r);

/* Positions are within the segment; frames stand from RING_BLOCK on. OXBOW_ENOENT: the segment is
 * missing, or its end is before that of the read. OXBOW_EIO: the device cannot read it. */
OXBOW_MUST_CHECK enum oxbow_err ring_read(const struct ring *r, uint32_t segment, uint64_t pos,
                                          void *out, size_t len);
OXBOW_MUST_CHECK enum oxbow_err ring_write(const struct ring *r, uint32_t segment, uint64_t pos,
                                           const void *data, size_t len);
OXBOW_MUST_CHECK enum oxbow_err ring_sync(const struct ring *r, uint32_t segment);

#endif
