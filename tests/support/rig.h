/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every test of a store begins and ends with: a fresh directory, a port whose clock the test
 * turns, a store in it. Fails the test (cmocka) when any of it does not work.
 */
#ifndef OXBOW_TESTS_SUPPORT_RIG_H
#define OXBOW_TESTS_SUPPORT_RIG_H

#include "oxbow/oxbow.h"

struct rig {
    char dir[256]; /* a fresh directory; the store's is `dir`/store */
    char store[280];
    struct oxbow_port port; /* the program's, but for the clock */
    uint64_t wall_ms;       /* what the clock says: the test changes it */
    uint64_t mono_us;
    struct oxbow_config config; /* what rig_open opens; the test may change it */
    struct oxbow *db;
};

/* Makes the directory and a config for `sync`; does not open the store. The clock stands at
 * 2026-01-01 00:00 UTC, 1000 s after boot. */
void rig_init(struct rig *rig, enum oxbow_sync sync);
void rig_open(struct rig *rig);
void rig_close(struct rig *rig);
void rig_reopen(struct rig *rig);
/* Closes the store if it is open and removes the directory with all that is in it. */
void rig_fini(struct rig *rig);
/* Turns the clock on. */
void rig_pass_ms(struct rig *rig, uint64_t ms);

/* A transaction that must begin; its end that must succeed. One that a failed test leaves open is
 * aborted by rig_fini, so that it must be ended by one of these alone. */
struct oxbow_txn *rig_begin(struct rig *rig, uint32_t flags);
void rig_commit(struct oxbow_txn *txn);
enum oxbow_err rig_try_commit(struct oxbow_txn *txn, uint64_t *lsn);
void rig_abort(struct oxbow_txn *txn);

/* The seed of a random test: $OXBOW_SEED, else from the clock. Printed, so that a failure can be
 * run again. */
uint64_t rig_seed(const char *test);
/* The next of a sequence of pseudo-random numbers; *state is the seed at first. */
uint64_t rig_random(uint64_t *state);

#define BYTES(text) ((struct oxbow_bytes){text, sizeof(text) - 1})

#endif
