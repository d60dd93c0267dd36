/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules inside the engine: their records and their plan. Promises: oxbow/schedule.h. */
#ifndef OXBOW_QUEUE_SCHEDULE_H
#define OXBOW_QUEUE_SCHEDULE_H

#include "engine/base/buf.h"
#include "engine/queue/cron.h"
#include "engine/store/kv.h"
#include "oxbow/schedule.h"

#define SCHEDULE_FIXED 40u
#define SCHEDULE_RECORD_MAX                                                                        \
    (SCHEDULE_FIXED + OXBOW_SCHEDULE_WHEN_MAX + OXBOW_SCHEDULE_KEY_MAX + OXBOW_SCHEDULE_BYTES_MAX)
#define SCHEDULE_STATE_BYTES 72u
#define SCHEDULE_BACK_MS     86400000u /* a wall clock that goes back by more was wrong */

/* What was set; the bytes are borrowed. */
struct schedule {
    struct oxbow_bytes name;
    enum oxbow_type type;
    enum oxbow_end end;
    enum oxbow_schedule_missed missed;
    uint32_t database;
    uint32_t missed_max;
    int32_t offset_min;
    uint64_t late_ms;
    struct oxbow_bytes when;
    struct oxbow_bytes key;
    struct oxbow_bytes payload; /* a value, or fields as a plain body */
};

/* How it stands. */
struct schedule_state {
    bool paused;
    bool wall;        /* the times below are the wall clock's; else the store's */
    uint16_t why;     /* of the last one refused */
    uint64_t next_ms; /* 0: not planned yet; CRON_NEVER: there is none */
    uint64_t last_ms;
    uint64_t at_ms; /* what the clock showed when next_ms was reckoned */
    uint64_t added;
    uint64_t missed;
    uint64_t refused;
};

/* ---- records: schedule_record.c ---- */

/* OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err schedule_get(struct oxbow_txn *txn, struct oxbow_bytes name,
                                             struct schedule *s);
/* Into a copy, for the caller to free. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err schedule_dup(struct oxbow_txn *txn, struct oxbow_bytes name,
                                             struct schedule *s, struct buf *copy);
/* s->payload and s->key may not be borrowed from the store. */
OXBOW_MUST_CHECK enum oxbow_err schedule_put(struct oxbow_txn *txn, const struct schedule *s);
/* Its record, its state and its place among what is due. */
OXBOW_MUST_CHECK enum oxbow_err schedule_del(struct oxbow_txn *txn, struct oxbow_bytes name);
/* OXBOW_ENOENT: there is none, or it is damaged. */
OXBOW_MUST_CHECK enum oxbow_err schedule_state_get(struct oxbow_txn *txn, struct oxbow_bytes name,
                                                   struct schedule_state *st);
/* Writes it, and where the schedule waits; `was` is how it stood, NULL: it did not. */
OXBOW_MUST_CHECK enum oxbow_err schedule_state_put(struct oxbow_txn *txn, struct oxbow_bytes name,
                                                   const struct schedule_state *st,
                                                   const struct schedule_state *was);
/* How many there are. */
OXBOW_MUST_CHECK enum oxbow_err schedule_count_get(struct oxbow_txn *txn, uint32_t *count);
OXBOW_MUST_CHECK enum oxbow_err schedule_count_put(struct oxbow_txn *txn, uint32_t count);
/* The name of the next schedule after one; the first has "" before it. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err schedule_next_name(struct oxbow_txn *txn,
                                                   char name[OXBOW_SCHEDULE_NAME_MAX + 1]);
/* The one that is due first by that clock, and when. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err schedule_first(struct oxbow_txn *txn, bool wall,
                                               char name[OXBOW_SCHEDULE_NAME_MAX + 1],
                                               uint64_t *next_ms);
/* Removes such a place. */
OXBOW_MUST_CHECK enum oxbow_err schedule_place_del(struct oxbow_txn *txn, bool wall,
                                                   struct oxbow_bytes name, uint64_t next_ms);

/* ---- the plan: schedule_run.c ---- */

OXBOW_MUST_CHECK enum oxbow_err schedule_cron(const struct schedule *s, struct cron *c);
/* Plans it from now on: never a time again that was dealt with. Without a believed wall clock one that
 * goes by it is not planned. Does not write. */
OXBOW_MUST_CHECK enum oxbow_err schedule_plan(struct oxbow_txn *txn, const struct cron *c,
                                              struct schedule_state *st);
/* Asks for idle work when it is due. */
void schedule_arm(struct oxbow_txn *txn, const struct schedule_state *st);
/* After damage: every schedule that can be read is planned, and they are counted. */
OXBOW_MUST_CHECK enum oxbow_err schedule_mend(struct oxbow_txn *txn);
/* One step of idle work. */
OXBOW_MUST_CHECK enum oxbow_err schedule_idle(struct oxbow_txn *txn, bool *more);

#endif
