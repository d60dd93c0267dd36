/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the engine fills a `struct oxbow_result`.
 *
 *   result_begin -> result_item*, result_item_space*, or
 *                   (result_entry, result_field*)*, result_entry_deleted*   -> result_finish
 *
 * Between begin and finish the result is empty for its reader, and it stays empty when a call fails
 * and the fill is given up: no clean-up is needed. Bytes are copied in. Memory is kept from fill to
 * fill, so a read that repeats allocates nothing. Items and entries may be mixed.
 *
 * All of it: OXBOW_ENOMEM; OXBOW_ETOOBIG when the fill would hold more than `bytes_max` payload
 * bytes. A result is one thread's.
 */
#ifndef OXBOW_BASE_RESULT_H
#define OXBOW_BASE_RESULT_H

#include "oxbow/port.h"
#include "oxbow/result.h"

/* Empties the result and starts a fill of at most `bytes_max` payload bytes. `alloc` is copied at
 * the first fill and used for the result's life. */
OXBOW_MUST_CHECK enum oxbow_err result_begin(struct oxbow_result *r,
                                             const struct oxbow_alloc *alloc, size_t bytes_max);
OXBOW_MUST_CHECK enum oxbow_err result_item(struct oxbow_result *r, struct oxbow_bytes item);
/* Adds an item of `len` bytes for the caller to write; *space is borrowed until the next call on
 * the result; it may be NULL when len is 0. */
OXBOW_MUST_CHECK enum oxbow_err result_item_space(struct oxbow_result *r, size_t len,
                                                  uint8_t **space);
/* The score of an item: one for each, in their order, or none at all. */
OXBOW_MUST_CHECK enum oxbow_err result_score(struct oxbow_result *r, double score);
/* Starts an entry; the fields that follow are its own. */
OXBOW_MUST_CHECK enum oxbow_err result_entry(struct oxbow_result *r, struct oxbow_id id,
                                             uint32_t priority);
/* The newest entry was delivered before: so long ago, and so often. */
void result_entry_was(struct oxbow_result *r, uint64_t idle_ms, uint64_t deliveries);
/* An entry without fields and with `deleted` set. */
OXBOW_MUST_CHECK enum oxbow_err result_entry_deleted(struct oxbow_result *r, struct oxbow_id id);
/* Adds a field to the newest entry, of which there must be one that is not deleted. */
OXBOW_MUST_CHECK enum oxbow_err result_field(struct oxbow_result *r, struct oxbow_bytes name,
                                             struct oxbow_bytes value);
/* As result_field, with the value for the caller to write; *space as in result_item_space. */
OXBOW_MUST_CHECK enum oxbow_err result_field_space(struct oxbow_result *r, struct oxbow_bytes name,
                                                   size_t len, uint8_t **space);
/* After the finish: the next entry's time, oldest call first. It fails with OXBOW_ENOMEM alone. */
OXBOW_MUST_CHECK enum oxbow_err result_time(struct oxbow_result *r,
                                            const struct oxbow_true_time *time);
/* Payload bytes so far. */
size_t result_bytes(const struct oxbow_result *r);
/* Entries and items so far, while a fill is under way. */
size_t result_count(const struct oxbow_result *r);
/* Gives the reader what was filled in. Cannot fail. */
void result_finish(struct oxbow_result *r);
/* The same, with the items sorted bytewise, shorter first. */
void result_finish_sorted(struct oxbow_result *r);

#endif
