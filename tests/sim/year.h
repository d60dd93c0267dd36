/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A year offline: what its parts share.
 *
 *   year.c          the run: lives, their ends, the controls; knows the true time
 *   year_queues.c   its queues and their limits
 *   year_device.c   one life of the device: a process of its own, on the real store
 *   year_work.c     what it does in a step: appends, consumers, bursts
 *   year_task.c     and with groups that have options: failing consumers, dead letters, redrive
 *   year_due.c      and by time: delayed entries, times to live, producers, a replay window
 *   year_clock.c    its port: a clock that is turned, wrong or right
 *   year_link.c     its link, a minute now and then, to a real server
 *   year_tell.c     what it tells the account, over a pipe
 *   year_account.c  the account: what was told, what may have been lost, what is there
 *   year_judge.c    its verdict on every entry
 *   year_rules.c    on deliveries, their order and their times
 *   year_target.c   what arrived
 *   year_stuck.c    what a life is at that says nothing any more
 *
 * Each entry has a number of its own, ascending over all queues and lives; each transaction has one
 * too, and leaves it in the store. So the store says by itself which transactions are in it.
 */
#ifndef OXBOW_TESTS_SIM_YEAR_H
#define OXBOW_TESTS_SIM_YEAR_H

#include "oxbow/forward.h"
#include "oxbow/group_options.h"
#include "oxbow/oxbow.h"
#include "oxbow/policy.h"

#include <stdbool.h>
#include <stdint.h>

#define HOUR_MS  3600000ull
#define DAY_MS   (24 * HOUR_MS)
#define YEAR_MS  (365 * DAY_MS)
#define START_MS 1767225600000ull /* the true time at the start: 2026-01-01 */

/* ---- queues ---- */

enum year_queue {
    Q_LOG,     /* stream, forwarded, no limits */
    Q_BUDGET,  /* stream, forwarded, its forward drops the oldest over a budget */
    Q_MOVE,    /* list, forwarded, its forward refuses over a budget */
    Q_HELD,    /* stream, forwarded, limited: what is not delivered is protected */
    Q_RING,    /* stream with a group, drops the oldest over so many entries */
    Q_BYTES,   /* list, drops the oldest over so many bytes */
    Q_AGE,     /* stream, drops by age */
    Q_REFUSE,  /* list, refuses over so many entries */
    Q_BLOCK,   /* stream with a group, blocks over so many entries */
    Q_JOBS,    /* stream with a group of good and bad consumers, and poison */
    Q_DEAD,    /* list: poison goes here */
    Q_BURST,   /* list: fills the quota now and then */
    Q_TASKS,   /* stream with a group that has options, bad consumers, and poison */
    Q_LETTERS, /* stream: its dead letters */
    Q_SOLO,    /* stream with a group that one consumer has for itself */
    Q_LATER,   /* list of delayed elements */
    Q_BRIEF,   /* stream, some entries of which have a time to live */
    Q_ONCE,    /* list of a producer that counts, and sends again what may be lost */
    Q_IDS,     /* the same for a stream, by ids; drops the oldest */
    Q_REPLAY,  /* stream with a group, keeps what was delivered for a while */
    QUEUES
};

struct year_queue_kind {
    const char *key;
    bool list;
    bool forwarded;
    bool group;                                /* "g" */
    const struct oxbow_group_options *options; /* of the group */
    struct oxbow_policy policy;
    uint64_t budget;
    enum oxbow_forward_full budget_full;
};

extern const struct year_queue_kind year_queues[QUEUES];

static inline bool year_limited(enum year_queue q)
{
    const struct oxbow_policy *p = &year_queues[q].policy;
    return p->max_entries != 0 || p->max_bytes != 0 || p->max_age_ms != 0 || p->keep_ms != 0;
}

/* Nobody adds to it: another queue's entries end there. */
static inline bool year_grave(enum year_queue q)
{
    return q == Q_DEAD || q == Q_LETTERS;
}

#define KEYS           5u /* of tasks */
#define CONSUMERS      3u
#define MAX_DELIVERIES 4u
#define VISIBILITY_MS  (3 * HOUR_MS)
#define REST_MS        (HOUR_MS / 2)
#define JITTER_PERCENT 30u
#define EXCLUSIVE_MS   (30 * HOUR_MS)
#define KEEP_MS        (5 * DAY_MS)
#define IDS_ENTRIES    60u
#define RESEND         256u /* numbers that a producer sends again after each start */
#define IDS_COUNT      (4u * RESEND)

/* What a task's key is. */
static inline uint64_t year_key(uint64_t number)
{
    return number % KEYS;
}

#define POISON_EVERY 23u /* of numbers */
#define DELIVERIES   4u  /* of poison, at least, before it is given up */

static inline bool year_poison(uint64_t number)
{
    return number % POISON_EVERY == 0;
}

/* ---- controls: what must be found out ---- */

enum year_control {
    CONTROL_NONE,
    CONTROL_FORGET,   /* a consumer pops and does not tell */
    CONTROL_ROLLBACK, /* the store is put back to what it was some lives before */
    CONTROL_NOSYNC,   /* syncs do nothing */
    CONTROL_CLOCK,    /* the clock is months ahead at a start, and says that it was set */
    CONTROL_STOLEN,   /* an entry is deleted at the target */
    CONTROL_FORGED,   /* an entry appears at the target that nobody sent */
    CONTROL_EAGER,    /* what is pending is given up before its time */
    CONTROL_BURIED,   /* a dead letter goes back, and nobody tells */
    CONTROL_UNKEYED,  /* the group of tasks has no order by key */
    CONTROL_SHARED,   /* the exclusive group is for everybody */
    CONTROL_HURRIED,  /* a delayed entry is made due at once */
    CONTROL_MORTAL,   /* an entry is given a shorter time to live */
    CONTROL_AGAIN,    /* what was added once is forgotten */
    CONTROL_HASTY,    /* the replay window is shorter than it should be */
    CONTROLS
};

/* ---- a life ---- */

/* How the wall clock stands after a start. */
enum year_wall {
    WALL_RIGHT,
    WALL_UNSET,  /* 1970, and not set */
    WALL_AHEAD,  /* 56 years ahead, and says that it was set */
    WALL_MONTHS, /* ahead by less than five years: CONTROL_CLOCK alone */
    WALLS
};

/* All that a device knows that is not in its store, and what the world has in mind with it. */
struct year_life {
    uint64_t seed;
    uint64_t idx;
    uint64_t from_ms;   /* true time at its start */
    uint64_t until_ms;  /* ends by then */
    uint64_t serial;    /* of its first transaction */
    uint64_t number;    /* of its first entry */
    uint64_t uptime_ms; /* the monotonic clock at its start */
    enum year_wall wall;
    enum year_control control;
    bool crash; /* ends without closing the store */
    bool last;  /* the year is over: drain, and show that everything goes on */
    char dir[128];
    char server[128]; /* the target's socket */
    /* what the producers of Q_ONCE and Q_IDS made last */
    uint32_t resend_count[2];
    uint64_t resend[2][RESEND];
};

_Noreturn void device_live(const struct year_life *life);

/* ---- the device's clock (year_clock.c) ---- */

void clock_begin(const struct year_life *life);
const struct oxbow_port *clock_port(void);
void clock_pass_ms(uint64_t ms); /* turns it on, and wakes who waits for it */
uint64_t clock_true_ms(void);    /* what only the world knows */
uint64_t clock_uptime_ms(void);
void clock_jump(enum year_wall wall); /* the wall clock is set, rightly or wrongly */

/* ---- chance ---- */

uint64_t year_random(uint64_t *state);                       /* splitmix64 */
uint64_t year_below(uint64_t *state, uint64_t below);        /* 0 when below is 0 */
bool year_chance(uint64_t *state, uint64_t in, uint64_t of); /* `in` of `of` times */

#endif
