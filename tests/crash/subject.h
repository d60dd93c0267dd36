/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the lab runs, and what it expects to find: a workload beside an independent model of it.
 *
 * A workload is a sequence of steps, each one transaction, fully determined by a seed, the step's
 * number and the model's state; an odd seed makes the steps small ones. A store and a model that took the same steps dump the same bytes,
 * and no two numbers of steps dump the same.
 */
#ifndef OXBOW_TESTS_CRASH_SUBJECT_H
#define OXBOW_TESTS_CRASH_SUBJECT_H

#include "oxbow/oxbow.h"

#include <stdbool.h>

struct dump {
    uint8_t *bytes;
    size_t len, cap;
    uint32_t marks; /* of the subject: what was seen on the way */
};

void dump_add(struct dump *d, const void *bytes, size_t len);
void dump_number(struct dump *d, uint64_t number);
void dump_bytes(struct dump *d, struct oxbow_bytes b); /* its length, then it */
void dump_free(struct dump *d);

struct model;
#define SUBJECT_MARKS 8u
#define DUMP_SEED     7u /* of a dump's hash */

struct subject {
    const char *name;
    struct model *(*open)(void);
    void (*close)(struct model *m);
    /* Takes step number `step`. With a store, does it there too, in one transaction with the given
     * options, and gives its LSN. */
    enum oxbow_err (*step)(struct model *m, uint64_t seed, uint64_t step, struct oxbow *db,
                           const struct oxbow_txn_options *opt, uint64_t *lsn);
    enum oxbow_err (*dump_store)(struct oxbow *db, struct dump *out);
    void (*dump_model)(const struct model *m, struct dump *out);
    const char *const *marks; /* what its workload is to come by, a bit of a dump each, at most
                                 SUBJECT_MARKS, closed by NULL; NULL: nothing in particular */
    uint32_t quota_bytes;     /* of its store; 0: so much that nothing comes near it */
    bool broken;              /* what it does is wrong, and must be caught */
};

extern const struct subject subject_kv;
extern const struct subject subject_queue;
extern const struct subject subject_policy;
extern const struct subject subject_retry;
extern const struct subject subject_time; /* delayed entries, producers that add once */
extern const struct subject subject_priority;
extern const struct subject subject_exactly; /* take, append, keep a state, ack: one transaction */
extern const struct subject subject_apart;   /* the same, but the ack: it must be caught */
extern const struct subject subject_route;   /* bindings */
extern const struct subject subject_groups;  /* order by key, exclusive groups, patrols */
extern const struct subject subject_drops;   /* by every cause that there is */
extern const struct subject subject_keyval;  /* hashes, sets, sorted sets, times to live */
extern const struct subject subject_spilt;   /* the same in two transactions: it must be caught */
extern const struct subject subject_torn;    /* the same in two transactions: it must be caught */

/* Whether subject_kv now and then stores, and deletes again, a value so large that its space is given
 * back to the file system, and waits for that. Neither the model nor a dump knows of it. */
void subject_kv_ballast(bool on);

/* From now on no step of subject_drops waits for what it has added to grow old. */
void subject_drops_hurry(void);

/* NULL: no such subject. */
const struct subject *subject_find(const char *name);

#endif
