/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a cycle that every rig has: a life in a process of its own with its witness, a
 * verification in another, and the store kept when it failed. */
#ifndef OXBOW_TESTS_RIGS_CYCLE_H
#define OXBOW_TESTS_RIGS_CYCLE_H

#include "tests/rigs/verify.h"

#include <sys/types.h>

struct life {
    pid_t pid;
    int pipe_fd;
    struct witness *witness;
    uint8_t rest[RECORD_BYTES]; /* of a record that has come in part */
    size_t rest_len;
    bool ended; /* the pipe is closed at the other side */
    int status; /* of waitpid */
};

/* Forks the load; with `lie` its syncs do nothing. Ends the program when it cannot. */
void life_begin(struct life *life, const struct load_options *options, struct witness *witness,
                bool lie);
/* Listens until the deadline (CLOCK_MONOTONIC), or until the life has ended: then true. */
bool life_listen(struct life *life, uint64_t until_us);
/* SIGKILL, everything that is still in the pipe, waitpid. */
void life_kill(struct life *life);

/* In a process of its own, which a store beyond repair may end: then the verdict says that. */
void verify_apart(const struct load_options *options, const struct witness *w, bool check,
                  struct verdict *verdict);

/* A copy of the directory tree. */
bool copy_tree(const char *from, const char *to);
void remove_tree(const char *dir);
uint64_t clock_us(void);
_Noreturn void die(const char *what);

#endif
