/* SPDX-License-Identifier: Apache-2.0 */
/* Stores that are broken on purpose: the lab must catch them, or the lab is broken. */
#ifndef OXBOW_TESTS_CRASH_MUTANT_H
#define OXBOW_TESTS_CRASH_MUTANT_H

#include <stdbool.h>
#include <stdint.h>

enum mutant {
    MUTANT_NONE,
    MUTANT_NO_SYNC,     /* fdatasync, fsync and O_DSYNC do nothing */
    MUTANT_NO_DIR_SYNC, /* fsync of a directory does nothing */
    MUTANT_LSN, /* the header with the LSN is committed in a transaction of its own, after */
    MUTANTS
};

const char *mutant_name(enum mutant m);
bool mutant_find(const char *name, enum mutant *out);

/* From now on, until MUTANT_NONE. */
void mutant_set(enum mutant m);

/* How often MUTANT_LSN took a header out of its transaction. */
uint64_t mutant_moved(void);

#endif
