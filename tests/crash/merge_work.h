/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store and its stand-ins are filled with when they are to be merged, and how that is read again.
 *
 * Each queue's entries carry numbers, from 0 on, through the store and one stand-in after the other: what
 * the store holds is a beginning of them, and what stand-ins still hold is the end.
 */
#ifndef OXBOW_TESTS_CRASH_MERGE_WORK_H
#define OXBOW_TESTS_CRASH_MERGE_WORK_H

#include "oxbow/oxbow.h"

#include <stdbool.h>
#include <stdint.h>

#define WORK_QUEUES 8u
#define WORK_BATCH  256u  /* entries that the merge moves at a time */
#define WORK_MAX    4096u /* of a queue that knows what was added once */

struct work {
    uint64_t all[WORK_QUEUES]; /* entries, in the store or a stand-in */
    uint64_t had[WORK_QUEUES]; /* of them, in the store when this life began */
    uint64_t text;             /* the string's value */
    unsigned life;
    uint8_t lives[WORK_QUEUES][WORK_MAX]; /* in which each was added once: a part of its id */
};

/* [from, to) is there; not `whole`: or something else. */
struct work_part {
    uint64_t from, to;
    bool whole;
};
struct work_found {
    struct work_part queues[WORK_QUEUES];
    uint64_t text; /* 0: there is no string */
};

/* The store's directory and that for stand-ins are named relative to the directory that the process is in,
 * since a stand-in says for which store it stands. Without `merge` no stand-in is looked for. */
enum oxbow_err work_open(const char *dir, bool merge, struct oxbow **db);
const char *work_name(unsigned queue);

/* Makes the store and its first content. Ends the program when it cannot, like the next two. */
void work_begin(struct work *w, uint64_t seed);
/* Looks what a power cut has left in the store; `gone`: the stand-ins are no more. */
void work_stand(struct work *w, bool gone);
/* The device goes, a stand-in takes entries in a process of its own, which closes it or just ends; the
 * device comes back. */
void work_meanwhile(struct work *w, uint64_t *random);

enum oxbow_err work_read(struct oxbow *db, const struct work *w, struct work_found *found);
/* Adds what follows in `next` to what is in `to`. */
void work_join(struct work_found *to, const struct work_found *next);
/* In a store that has everything: a group is given all, in order, and what was added once is known. Else OXBOW_EFAILED. */
enum oxbow_err work_again(struct oxbow *db, const struct work *w);
/* Whose producers add once. */
bool work_named(unsigned queue);
/* After a power cut that took the stand-ins: a producer adds the first `all` of such a queue again. It is
 * told of the `have` that are there, and of no other; then all are there once. Else OXBOW_EFAILED. */
enum oxbow_err work_resend(struct oxbow *db, const struct work *w, unsigned queue, uint64_t have);
/* Takes away the store's note of what it took last: a merge that is broken. */
bool work_forget(void);

#endif
