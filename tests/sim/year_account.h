/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The account: what the device told, entry by entry. It is kept outside of the device and never
 * asks the store what was accepted.
 *
 * A transaction counts from the moment at which its commit was told, or from its intention if the
 * next life finds it in the store. What was told after the last transaction that the next life
 * finds is taken back; that may only be what was never said to be durable.
 */
#ifndef OXBOW_TESTS_SIM_YEAR_ACCOUNT_H
#define OXBOW_TESTS_SIM_YEAR_ACCOUNT_H

#include "tests/sim/year_tell.h"

enum item_state {
    ITEM_NEVER = 0, /* nobody ever told of it */
    ITEM_IN,        /* accepted */
    ITEM_REFUSED,
    ITEM_LOST /* taken back with a transaction that was not durable */
};

struct item {
    uint8_t queue;
    uint8_t state;
    uint8_t popped, read, acked, removed, dead; /* how often */
    uint8_t at_target, in_gap;                  /* likewise */
    uint32_t here;                              /* the audit that saw it last */
    struct oxbow_id id;
    uint64_t added_ms; /* true time */
    uint64_t clock_ms; /* the store's clock then */
    uint64_t gone_ms;  /* true time of the first look that missed it; 0: none */
};

struct target_gap {
    struct oxbow_id from, to;
    uint64_t entries; /* UINT64_MAX: nobody knows */
};

struct account {
    uint64_t seed;
    struct item *items;              /* by number */
    uint64_t room, numbers;          /* numbers: the greatest told */
    uint64_t serial;                 /* the greatest told */
    uint64_t done, written, durable; /* serials: committed; safe from the process' end; durable */
    /* what was told since `durable`, in the order told */
    struct tell *told;
    size_t told_count, told_room, done_count; /* the first so many are counted already */
    uint64_t txn_ms, txn_clock;               /* of the newest told */
    /* time */
    uint64_t true_ms;                         /* newest that was told */
    uint64_t first_clock_ms;                  /* of the first opening */
    uint64_t open_clock_ms, open_uptime_ms;   /* of this life's first transaction; 0: none yet */
    uint64_t last_clock_ms, durable_clock_ms; /* told last; with a durable transaction */
    bool clock_ahead;                         /* has been told */
    bool opened, ended, closed;               /* in this life */
    bool machine_up; /* only the process of the life before ended, not the machine */
    /* the audit under way */
    uint32_t audits;
    struct tell *seen;
    size_t seen_count, seen_room;
    /* the target */
    struct target_gap *gaps[QUEUES];
    size_t gap_count[QUEUES], gap_room[QUEUES];
    /* sums */
    uint64_t missed[QUEUES], refused[QUEUES], tried[QUEUES], backlog[QUEUES];
    uint64_t forward_gaps[QUEUES];
    uint64_t taken_back, aborted, looked_gone, link_entries, link_drops, lost_replies;
    uint64_t drops[OXBOW_DROP_CAUSES + 1];
    uint64_t failures;
};

void account_open(struct account *a, uint64_t seed);
void account_close(struct account *a);
/* Something is wrong: says what. The first few are printed. */
void account_fail(struct account *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A life begins, is told of, and is over. */
void account_life(struct account *a, bool machine_up);
void account_hear(struct account *a, const struct tell *t);
/* NULL: there is no such number. */
struct item *account_item(struct account *a, uint64_t number);
/* An item for a number that was never seen before is made. */
struct item *account_make(struct account *a, uint64_t number);

/* ---- year_judge.c ---- */

void judge_audit(struct account *a); /* what was seen, against what was told */
void judge_look(struct account *a, const struct tell *t);
void judge_end(struct account *a, bool print); /* each entry has exactly one fate */

/* ---- year_target.c ---- */

struct redis;
void target_read(struct account *a, struct redis *r);

#endif
