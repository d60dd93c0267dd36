/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results: where reads put what they found.
 *
 * A result is the caller's, starts as all zero, is filled by one read at a time (each fill replaces
 * the one before and reuses its memory), outlives the transaction, and is freed by
 * oxbow_result_fini. Not to be used by two threads at once.
 */
#ifndef OXBOW_RESULT_H
#define OXBOW_RESULT_H

#include "oxbow/error.h"
#include "oxbow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One stream entry. An entry that is still pending but was deleted from the stream has no fields
 * and `deleted` set, as Redis' nil. */
struct oxbow_entry {
    struct oxbow_id id;
    const struct oxbow_field *fields;
    uint32_t field_count;
    uint32_t deleted;
    uint32_t priority; /* that it was added with; 0 of one that is deleted */
    /* Of one that was delivered before and is given again: how long ago, OXBOW_IDLE_RETURNED when it
     * was given back since (group.h), and how often. Both 0: it is new, or was not read by a group. */
    uint64_t idle_ms;
    uint64_t deliveries;
};

#define OXBOW_IDLE_RETURNED UINT64_MAX

struct oxbow_true_time; /* time.h */

struct oxbow_result {
    const struct oxbow_bytes *items; /* list elements, names */
    size_t item_count;
    const double *scores; /* of each item, when they are a sorted set's members; else NULL */
    const struct oxbow_entry *entries; /* stream entries */
    size_t entry_count;
    uint64_t missed; /* of a read of what is new in a stream: entries that its policy dropped after
                        the reader's position and before the first entry given (before its end, if
                        none is). 0: none; an upper bound when the position is within a gap:
                        oxbow_policy_gaps. UINT64_MAX: what was counted is damaged */
    const struct oxbow_true_time *times; /* of each entry, when it was truly added, where that was
                                            asked for (stream.h); else NULL */
    struct oxbow_result_memory *memory;  /* oxbow's own */
};

/* Frees what a result holds and makes it all zero again. NULL and all-zero are fine. */
void oxbow_result_fini(struct oxbow_result *result);

#ifdef __cplusplus
}
#endif

#endif
