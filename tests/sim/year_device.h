/* SPDX-License-Identifier: Apache-2.0 */
/* The device in its life: what its parts share. */
#ifndef OXBOW_TESTS_SIM_YEAR_DEVICE_H
#define OXBOW_TESTS_SIM_YEAR_DEVICE_H

#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/group.h"
#include "oxbow/list.h"
#include "oxbow/once.h"
#include "oxbow/stream.h"
#include "oxbow/time.h"
#include "oxbow/uplink.h"
#include "tests/sim/year_tell.h"

#include <string.h>

#define RECENT     64u /* transactions whose LSN is remembered */
#define READ_COUNT 8u

/* Numbers that a producer has yet to hear of that they were taken, in their
 * order. */
struct producer {
    uint64_t numbers[RESEND + 8];
    uint32_t count, at;
};

struct device {
    const struct year_life *life;
    uint64_t random;
    struct oxbow *db;
    struct teller teller;
    struct oxbow_result result;
    /* the transaction under way */
    struct oxbow_txn *txn;
    uint64_t serial; /* of it, or of the next one */
    uint64_t number; /* of the next entry */
    uint32_t told;   /* records of it that wait */
    bool forgot;     /* CONTROL_FORGET: it has happened */
    struct {
        uint64_t serial, lsn;
    } recent[RECENT];
    uint64_t committed;           /* serial: the newest; 0: none in this life */
    uint64_t durable;             /* serial: told to be */
    uint64_t quiet_until[QUEUES]; /* true ms: its consumer is away */
    struct producer producers[2]; /* of Q_ONCE, Q_IDS */
    /* year_link.c */
    struct oxbow_uplink *uplink;
    int socket;
    uint64_t link_day; /* of the last window */
    uint64_t link_drops;
    struct oxbow_uplink_status link_told;
};

static inline struct oxbow_bytes text_bytes(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static inline struct oxbow_bytes queue_key(enum year_queue q)
{
    return text_bytes(year_queues[q].key);
}

static inline struct oxbow_group queue_group(enum year_queue q)
{
    return (struct oxbow_group){queue_key(q), text_bytes("g")};
}

/* ---- year_device.c ---- */

/* The device saw something that must not be: tells and ends. */
_Noreturn void device_fail(struct device *d, enum oxbow_err err, int line);
#define DEVICE_MUST(d, call)                                                                       \
    do {                                                                                           \
        enum oxbow_err must_ = (call);                                                             \
        if (must_ != OXBOW_OK)                                                                     \
            device_fail(d, must_, __LINE__);                                                       \
    } while (0)

/* Turns the clock on, and says so before. */
void device_pass(struct device *d, uint64_t ms);

/* How a transaction is to be made durable. */
enum device_commit { COMMIT_ALWAYS, COMMIT_NOWAIT, COMMIT_INTERVAL };

void device_begin(struct device *d, enum device_commit how);
/* Of the transaction under way. */
void device_tell(struct device *d, struct tell record);
/* Aborts it when `err` is OXBOW_EQUOTA, else it must be OXBOW_OK; false: nothing of it happened. */
bool device_commit(struct device *d, enum oxbow_err err, enum device_commit how);
/* The number in an entry or element; 0: it has none. */
uint64_t number_of_entry(const struct oxbow_entry *e);
uint64_t number_in_field(const struct oxbow_entry *e, const char *name);
uint64_t number_of_item(const struct oxbow_bytes *item);

/* ---- year_work.c ---- */

void work_step(struct device *d);
/* The year is over: room is made in every queue, and one more entry goes into each. */
void work_go_on(struct device *d);
enum device_commit work_any_commit(struct device *d);
/* The next number, to that queue. OXBOW_OK also for what the queue refused,
 * which is told; OXBOW_EQUOTA. */
enum oxbow_err work_add(struct device *d, enum year_queue q, size_t pad);
void work_consume(struct device *d, enum year_queue q);
void work_pop(struct device *d, enum year_queue q, size_t count);
/* Half of the steps, unless it is away, which it is now and then for weeks. */
bool work_consumer_comes(struct device *d, enum year_queue q);

/* ---- year_task.c ---- */

void task_step(struct device *d);
/* Until every task is finished or dead. */
void task_drain(struct device *d);

/* ---- year_due.c ---- */

void due_begin(struct device *d); /* the producers know again what they made last */
void due_step(struct device *d);
/* Until nothing is delayed any more, and nothing is to be sent again. */
void due_drain(struct device *d);
/* One more entry for a queue of this part. */
enum oxbow_err due_add(struct device *d, enum year_queue q, size_t pad);

/* ---- year_audit.c ---- */

/* Tells all that the store holds. `settled`: first what is too old must have gone. */
void audit(struct device *d, bool settled);
void audit_look(struct device *d); /* at the oldest of what drops by age */

/* ---- year_link.c ---- */

void link_open(struct device *d);
/* There is a link for `ms`, now; false: not everything was delivered. */
bool link_window(struct device *d, uint64_t ms, bool drops);
void link_close(struct device *d);

#endif
