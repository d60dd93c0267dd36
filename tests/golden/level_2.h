/* SPDX-License-Identifier: Apache-2.0 */
/* A store of level 2 with a record of every kind: what writes it, and what both sides know of it. */
#ifndef OXBOW_TESTS_GOLDEN_LEVEL_2_H
#define OXBOW_TESTS_GOLDEN_LEVEL_2_H

#include "oxbow/group.h"
#include "oxbow/oxbow.h"

#define HOUR    ((uint64_t)3600000)
#define DAY     (24 * HOUR)
#define BEGAN   ((uint64_t)1767225600000) /* 2026-01-01 00:00 UTC */
#define NOT_SET ((uint64_t)21000)         /* a wall clock of a board that woke in 1970 */

/* Lists of `tail` and `head`: so much was added in all; what a checkpoint holds, and what frames of the
 * journal alone hold. */
#define IN_TREE    20u
#define IN_ALL     30u
#define BLOB_BYTES 100000u

#define GROUP(key, name) ((struct oxbow_group){BYTES(key), BYTES(name)})
#define BYTES(text)      ((struct oxbow_bytes){text, sizeof(text) - 1})

/* A store with a clock that stands where it is put. */
struct device {
    struct oxbow_port port;
    struct oxbow_config config;
    uint64_t wall_ms;
    uint64_t mono_us;
    struct oxbow *db;
    struct oxbow_txn *txn;
};

void device_init(struct device *d, const char *dir);
/* Both clocks go on. */
void device_pass(struct device *d, uint64_t ms);
void device_open(struct device *d);
void device_begin(struct device *d);
void device_commit(struct device *d);
/* The bytes of the large string. */
const uint8_t *level_2_blob(void);
/* Makes the store in `dir`, in three lives, of which the last two end as if killed. */
void level_2_make(const char *dir);

#endif
