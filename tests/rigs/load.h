/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load: threads that do what the plan says on one store, from where they find themselves in
 * it, until the process dies, and tell a witness what was acknowledged the moment it was.
 */
#ifndef OXBOW_TESTS_RIGS_LOAD_H
#define OXBOW_TESTS_RIGS_LOAD_H

#include "oxbow/oxbow.h"
#include "tests/rigs/plan.h"

struct load_options {
    const char *dir;               /* of the store; made if it is not there */
    const struct oxbow_port *port; /* 0: the program's */
    uint64_t seed;                 /* of the plan: the same for the whole life of a store */
    uint64_t shape;                /* of this life's configuration */
    uint32_t threads;
    enum oxbow_sync sync;
    uint32_t interval_ms;
    enum oxbow_journal journal;
    uint32_t close_after_ms; /* 0: never */
    const char *log;         /* a file for what the store says; 0: nowhere */
    bool skip;               /* a fault: one operation is told of and not done */
    int witness_fd;
};

/* The configuration that load and verifier open the store with. The quota leaves a file system of
 * 64 MiB some room. */
void load_config(const struct load_options *o, struct oxbow_config *config);

/* Returns when the store has failed, which is told to the witness too, or when it was closed as
 * close_after_ms says: then 0. Nothing that it began is left. */
int load_run(const struct load_options *o);

/* Where a thread stands in the store, seen in `txn`. */
enum oxbow_err load_position(struct oxbow_txn *txn, uint64_t seed, uint32_t thread, uint64_t *n);

#define LOG_ROW_MAX 256u

struct key_name {
    char text[24];
};
struct key_name load_list_name(uint32_t thread);
struct key_name load_stream_name(uint32_t thread);
struct key_name load_consumer_name(uint32_t thread);
struct oxbow_bytes load_bytes(const char *text);

#endif
