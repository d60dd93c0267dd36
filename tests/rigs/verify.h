/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a store after a crash and holds all that is in it against the plan and the witness. */
#ifndef OXBOW_TESTS_RIGS_VERIFY_H
#define OXBOW_TESTS_RIGS_VERIFY_H

#include "tests/rigs/load.h"
#include "tests/rigs/witness.h"

struct verdict {
    bool good;
    uint64_t found[THREADS_MAX]; /* how far each thread came */
    uint64_t lsn;
    uint64_t rows;    /* of the log */
    uint64_t objects; /* values compared */
    struct oxbow_recovery recovery;
    char why[300]; /* not good: what is wrong */
};

/* `check`: oxbow_check looks at the store first, as the crash left it, and once more when it was
 * closed. `options` is how the next life would open it. */
void verify_store(const struct load_options *options, const struct witness *w, bool check,
                  struct verdict *verdict);

#endif
