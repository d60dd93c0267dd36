/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading streams through the public functions: ranges, what came after an id, information. Walking
 * itself is stream_walk.c's.
 */
#include "engine/base/result.h"
#include "engine/queue/policy.h"
#include "engine/queue/stream.h"
#include "oxbow/time.h"

enum oxbow_err oxbow_stream_len(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *len)
{
    struct stream s;
    enum oxbow_err err = stream_find(txn, key, &s);

    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    *len = err == OXBOW_OK ? s.length : 0;
    return OXBOW_OK;
}

/* Of each entry in the result. */
static enum oxbow_err fill_times(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 struct oxbow_result *result)
{
    enum oxbow_err err = OXBOW_OK;

    for (size_t i = 0; err == OXBOW_OK && i < result->entry_count; i++) {
        struct oxbow_true_time t = {false, 0, UINT64_MAX};

        err = oxbow_stream_true_time(txn, key, result->entries[i].id, &t);
        if (err == OXBOW_OK || err == OXBOW_ENOENT) { /* it may have expired */
            err = result_time(result, &t);
        }
    }
    return err;
}

enum oxbow_err oxbow_stream_range(struct oxbow_txn *txn, struct oxbow_bytes key,
                                  const struct oxbow_stream_range *range,
                                  struct oxbow_result *result)
{
    struct stream s;
    enum oxbow_err err = stream_find(txn, key, &s);

    if (err == OXBOW_ENOENT) {
        return result_begin(result, &txn_port(txn)->alloc, 0);
    }
    if (err == OXBOW_OK) {
        err = stream_fill(&s, range, result);
    }
    return err == OXBOW_OK && range->true_time ? fill_times(txn, key, result) : err;
}

enum oxbow_err oxbow_stream_read(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 struct oxbow_id after, uint64_t count, struct oxbow_result *result)
{
    struct oxbow_stream_range range = {.from = after, .to = OXBOW_ID_MAX, .count = count};
    enum oxbow_err err;

    if (!id_next(&range.from)) {
        range.to = OXBOW_ID_MIN;
    }
    err = oxbow_stream_range(txn, key, &range, result);
    return err == OXBOW_OK ? policy_missed(txn, key, after, result) : err;
}

enum oxbow_err oxbow_stream_info(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 struct oxbow_stream_info *info)
{
    struct stream s;
    enum oxbow_err err = stream_find(txn, key, &s);

    if (err != OXBOW_OK) {
        return err;
    }
    *info = (struct oxbow_stream_info){.length = s.length,
                                       .chunks = s.chunks,
                                       .bytes = s.bytes,
                                       .last_id = s.last,
                                       .max_deleted_id = s.max_deleted,
                                       .entries_added = s.entries_added,
                                       .recorded_first_id = s.first,
                                       .groups = s.groups};
    return OXBOW_OK;
}

enum oxbow_err oxbow_stream_stamp(struct oxbow_txn *txn, struct oxbow_bytes key, struct oxbow_id id,
                                  struct oxbow_stamp *stamp)
{
    struct stream s;
    struct stream_walk w;
    struct stream_entry entry;
    struct chunk_head head;
    enum oxbow_err err = stream_find(txn, key, &s);

    if (err == OXBOW_OK) {
        err = stream_walk_init(&w, &s, id, id, false);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = stream_walk_next(&w, &entry);
    if (err == OXBOW_OK) {
        err = chunk_head_decode(w.chunk.bytes, &head);
    }
    if (err == OXBOW_OK) {
        *stamp = (struct oxbow_stamp){.boot = head.boot,
                                      .uptime_ms = head.uptime_ms,
                                      .wall_ms = head.wall_ms,
                                      .first = w.chunk.base};
    }
    stream_walk_fini(&w);
    return err;
}
