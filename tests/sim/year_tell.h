/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device tells the account, in records of one size over a pipe.
 *
 * A transaction is told with all that it does before its commit, and that it is done after it: so
 * what was cut off between the two may be in the store or not, and everything else is known.
 */
#ifndef OXBOW_TESTS_SIM_YEAR_TELL_H
#define OXBOW_TESTS_SIM_YEAR_TELL_H

#include "tests/sim/year.h"

enum tell_kind {
    TELL_OPEN = 1, /* v: serial in the store, store's clock, boot, true ms */
    TELL_TXN,      /* serial; v: true ms, store's clock, uptime */
    /* of the transaction told last */
    TELL_ADD,       /* queue, number; v: id ms, id seq, its delay or time to live in ms
              */
    TELL_POP,       /* queue, number */
    TELL_READ,      /* queue, number */
    TELL_ACK,       /* queue, number */
    TELL_REMOVED,   /* queue, number; v: by whom: acked and deleted */
    TELL_DEAD,      /* queue, number: on the list of the dead */
    TELL_MISSED,    /* queue; v: entries that the reader was told to have missed */
    TELL_GIVEN,     /* queue, number; v: to which consumer: a delivery */
    TELL_GAVE,      /* queue; v: to which consumer: those were all of a read */
    TELL_NACKED,    /* queue, number; v: the least rest before it is given again, in
                   ms */
    TELL_REJECTED,  /* queue, number: straight to the dead letters */
    TELL_REDRIVEN,  /* queue, number; v: its deliveries so far, whether it was
                     rejected */
    TELL_DUPLICATE, /* queue, number; v: id: it is there already */
    /* not of it */
    TELL_REFUSED,  /* queue, number; v: error. Nothing was added */
    TELL_TRIED,    /* queue, number; v: error. It was not even tried again */
    TELL_ABORTED,  /* serial */
    TELL_DONE,     /* serial: committed; v: durable, safe from the process' end */
    TELL_DURABLE,  /* serial: all up to it */
    TELL_TIME,     /* v: the true time will be that in a moment */
    TELL_LOOK,     /* queue, number of the oldest entry (0: none); v: true ms, store's
                clock */
    TELL_AUDIT,    /* what follows is all that is there; v: true ms, store's clock */
    TELL_HAVE,     /* queue, number; v: id ms, id seq */
    TELL_PENDING,  /* queue, number; v: deliveries */
    TELL_POSITION, /* queue; v: last id that its group was given */
    TELL_LETTER,   /* queue, number; v: deliveries: there is a dead letter of it */
    TELL_WAITING,  /* queue, number: it is delayed still */
    TELL_DROPS,    /* queue, cause; v: entries, bytes */
    TELL_GAP,      /* queue, entries; v: from, from, to, to */
    TELL_FORWARD,  /* queue, backlog; v: dropped entries, gaps, sent, sent */
    TELL_AUDITED,
    TELL_LINK, /* number: batches so far; v: connects, drops of the link */
    TELL_FAIL, /* v: error, line: the device itself saw something wrong */
    TELL_END   /* v: closed in order */
};

struct tell {
    uint32_t kind;
    uint32_t queue;
    uint64_t number;
    uint64_t v[4];
};

/* Who tells: records wait until tell_send. */
struct teller {
    int fd;
    uint32_t count;
    struct tell wait[1024];
};

void tell(struct teller *t, struct tell record);
void tell_send(struct teller *t);
void tell_drop(struct teller *t, uint32_t count); /* the newest so many were not so */

/* Who listens: false at the end. What was cut off in mid-record is dropped. Who says nothing for
 * `quiet_ms` of real time is looked at, once (year_stuck.c). */
struct listener {
    int fd;
    int quiet_ms;
    long pid;
    size_t have, at;
    char bytes[sizeof(struct tell) * 1024];
};
bool listen_next(struct listener *l, struct tell *out);

/* Prints what the threads of a process are at. */
void stuck_print(long pid);

#endif
