/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a group, from the inside: what the plain read, the one of groups with rules, and blocked
 * readers have in common.
 */
#ifndef OXBOW_QUEUE_GROUP_READ_H
#define OXBOW_QUEUE_GROUP_READ_H

#include "engine/queue/group.h"

/* The one who reads, known or not. */
struct reader {
    struct group *group;
    const struct oxbow_group *called; /* the group's names */
    struct oxbow_bytes name;
    struct consumer consumer;
    size_t retried;      /* so many of the result, the first, are not new */
    struct serve *serve; /* in a stream with priorities, what is being given; else NULL */
};

/* oxbow_group_read; *wrote: something was written, be the result empty or not. */
OXBOW_MUST_CHECK enum oxbow_err group_read(struct oxbow_txn *txn, struct oxbow_group group,
                                           struct oxbow_bytes consumer,
                                           const struct oxbow_group_read_options *opt,
                                           struct oxbow_result *result, bool *wrote);

/* Finds or makes the consumer, counts what he got, and notes that he was here. */
OXBOW_MUST_CHECK enum oxbow_err reader_save(struct reader *r, uint64_t added, bool got);
/* Makes entries that were just read new pending, unless noack, and moves the group past them. The
 * caller saves the group. OXBOW_EQUOTA. */
OXBOW_MUST_CHECK enum oxbow_err reader_deliver(struct reader *r, bool noack,
                                               const struct oxbow_entry *entries, size_t count);

/* The read of a group with rules (group_retry.c). */
OXBOW_MUST_CHECK enum oxbow_err retry_read(struct reader *r,
                                           const struct oxbow_group_read_options *opt,
                                           struct oxbow_result *result, bool *wrote);

#endif
