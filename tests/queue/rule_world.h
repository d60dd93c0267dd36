/* SPDX-License-Identifier: Apache-2.0 */
/* A store with a little of all that queues can be given, and what it holds as text. */
#ifndef OXBOW_TESTS_QUEUE_RULE_WORLD_H
#define OXBOW_TESTS_QUEUE_RULE_WORLD_H

#include "tests/queue/stream_fixture.h"

#define HOUR_MS   ((uint64_t)3600000)
#define RULE_TEXT 32768u
#define RULE_BIG  70000u /* a string that is a blob */

/* Fills the open store, in a few transactions. */
void rule_world_make(struct rig *rig);

/* What an application can see of the store: entries, elements, strings, pending entries, counters,
 * what waits, what is remembered. Times that pass by themselves are left out. */
void rule_world_tell(struct rig *rig, char out[RULE_TEXT]);

/* A sum of all keys and values that say something of the queues: not of openings, nor of the store's
 * own accounts and blobs. */
uint64_t rule_world_sum(struct rig *rig);

/* Adds ms-0 {k: key}, with a priority and a time to live. */
enum oxbow_err rule_add(struct oxbow_txn *txn, const char *stream, uint64_t ms, const char *key,
                        uint32_t priority, uint64_t ttl_ms);
enum oxbow_err rule_push(struct oxbow_txn *txn, const char *list, const char *value);
/* Reads for `consumer`, at most `count`. */
enum oxbow_err rule_read(struct oxbow_txn *txn, const char *stream, const char *consumer,
                         uint64_t count);

/* Goes on with the next line only if that one went well. */
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        enum oxbow_err try_err = (expr);                                                           \
        if (try_err != OXBOW_OK) {                                                                 \
            return try_err;                                                                        \
        }                                                                                          \
    } while (0)

#endif
