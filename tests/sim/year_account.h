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
    uint64_t span_ms;  /* its delay or time to live; 0: none */
    uint64_t acked_ms; /* true time */
    uint32_t life;     /* in which it was added */
    /* of a group with options: */
    uint8_t given;            /* deliveries, since it came back from the dead letters */
    uint8_t holder;           /* who was given it last, + 1; HELD_BY_ANY */
    bool rejected;            /* went to the dead letters at once */
    bool keyless;             /* came back from there: nothing waits for it */
    bool failed;              /* was refused, and is nobody's */
    bool behind;              /* may be taken back before its time, with one of its key */
    uint32_t given_in;        /* the read that gave it last */
    uint64_t free_ms;         /* true time before which it must not be given again; 0: not
                       known */
    uint32_t pending, letter; /* the audit that saw it so last */
};

#define HELD_BY_ANY                                                                                \
    255u /* a cut has taken back the last delivery: the one before is not known  \
        */

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
    uint64_t redelivered, letters, redriven, duplicates, expired, delayed;
    uint64_t failures;
    /* groups with options */
    uint64_t *numbers_of[QUEUES]; /* numbers of those queues that were told, in order */
    size_t number_count[QUEUES], number_room[QUEUES];
    uint32_t read_no;    /* of the read under way */
    uint32_t reads;      /* its entries */
    bool last_chance;    /* one of them has its last delivery */
    uint8_t solo_holder; /* + 1; 0: nobody; HELD_BY_ANY */
    uint64_t solo_heard; /* true ms of its last sign of life */
    uint64_t audit_ms;   /* true time */
    uint32_t lives;
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

/* ---- year_rules.c ---- */

/* What a transaction did with a group that has options. */
void ruled_given(struct account *a, const struct tell *t, struct item *it);
void ruled_gave(struct account *a, const struct tell *t);
void ruled_nacked(struct account *a, const struct tell *t, struct item *it);
void ruled_redriven(struct account *a, const struct tell *t, struct item *it);
/* A sign of life of who has Q_SOLO. */
void ruled_heard(struct account *a, uint64_t who);
void ruled_take_back(struct account *a, const struct tell *t, struct item *it);
void ruled_audit(struct account *a, enum year_queue q);
/* Times of what is there and of what is gone. */
void ruled_due(struct account *a);

/* ---- year_target.c ---- */

struct redis;
void target_read(struct account *a, struct redis *r);

#endif
