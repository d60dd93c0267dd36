/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patrols of lists that consumers work from: who takes an element by LMOVE or BLMOVE from a queue to
 * a list of its own, and removes it there when it is done (LREM), leaves it there when it dies. A
 * patrol, called now and then, sends back what has been there for too long. See docs/CONSUMERS.md.
 *
 * Lists keep no times of elements. A patrol writes down what it finds: an element is as old as the
 * first patrol that found it, on the store's clock, which only grows. So nothing is sent back before
 * its time, and all of it at most one patrol later. Elements of the same bytes are not told apart:
 * of several the oldest is sent back first.
 *
 * Calls, threads, errors of every function: as list.h says.
 */
#ifndef OXBOW_PATROL_H
#define OXBOW_PATROL_H

#include "oxbow/list.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_PATROL_MS_MAX ((uint64_t)3660 * 86400 * 1000) /* ten years */
#define OXBOW_PATROL_ELEMENTS_MAX                                                                  \
    1024u /* from the left, that are looked at; what lies behind waits */

struct oxbow_patrol_options {
    struct oxbow_bytes processing; /* the list that is patrolled */
    struct oxbow_bytes to;         /* where its elements came from */
    enum oxbow_end to_end;         /* the end they are added at */
    uint64_t timeout_ms;           /* 1 to OXBOW_PATROL_MS_MAX */
    uint32_t max_returns;    /* sent back so often, an element goes to `dead`, which must be named
                                      then; 0: no limit. It is forgotten again when it has not been
                                      found for 16 timeouts */
    struct oxbow_bytes dead; /* a list; added at its right end */
};

struct oxbow_patrol {
    uint64_t found; /* in the list, as far as it was looked at */
    uint64_t returned;
    uint64_t dead;
    enum oxbow_err problem; /* what the other list answered when it took no more (OXBOW_EQUOTA,
                               OXBOW_EFULL, OXBOW_EWRONGTYPE, ...): the rest stays */
    bool more;              /* some are to be sent back still: call again */
    bool has_next;
    uint64_t next_ms; /* when the next one of those found is too old */
};

/* One patrol: each element that it sends is in one list or the other, whatever happens. At most 100
 * elements and about 256 KiB of them a call.
 * OXBOW_EINVAL: options that make no sense, lists that are the same one. OXBOW_EPROTECTED: a forward
 * carries the list. OXBOW_ELEVEL: there is something to remember, and the store is of level 1
 * (upgrade.h). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_patrol(struct oxbow_txn *txn,
                                                  const struct oxbow_patrol_options *opt,
                                                  struct oxbow_patrol *out);

#ifdef __cplusplus
}
#endif

#endif
