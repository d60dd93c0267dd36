/* SPDX-License-Identifier: Apache-2.0 */
/* One operation of the plan, done in a transaction of a store. */
#ifndef OXBOW_TESTS_RIGS_STEPS_H
#define OXBOW_TESTS_RIGS_STEPS_H

#include "oxbow/result.h"
#include "tests/rigs/load.h"

struct step {
    uint64_t seed;
    uint32_t thread;
    uint64_t n; /* which one */
    struct oxbow_result result;
    uint8_t *values; /* PUSH_MAX times VALUE_MAX */
};

/* Ends the program when memory is out. */
void step_init(struct step *s, uint64_t seed, uint32_t thread);
void step_fini(struct step *s);
/* What the plan takes for granted: the group. */
enum oxbow_err step_prepare(struct oxbow_txn *txn);
/* Does the n-th operation. */
enum oxbow_err step_take(struct step *s, const struct op *op, struct oxbow_txn *txn);
/* Does what must leave no trace: the transaction is going to be aborted. */
enum oxbow_err step_spoil(struct step *s, struct oxbow_txn *txn);

#endif
