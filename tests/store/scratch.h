/* SPDX-License-Identifier: Apache-2.0 */
/* A store's directory for a test, fresh and removed again. */
#ifndef OXBOW_TESTS_STORE_SCRATCH_H
#define OXBOW_TESTS_STORE_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCRATCH_MAX 256

/* The path of a directory that is not there yet. */
static inline void scratch_name(char out[SCRATCH_MAX], const char *what)
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(out, SCRATCH_MAX, "%s/oxbow-%s-%ld", base != NULL ? base : "/tmp", what,
                   (long)getpid());
}

static inline void scratch_remove(const char *dir)
{
    static const char *const files[] = {"LOCK",         "FORMAT",     "data.mdb", "lock.mdb",
                                        "data.mdb.new", "FORMAT.new", "DOUBT",    "META"};
    static const char *const suffixes[] = {"", ".new", ".bad"};
    char path[4 * SCRATCH_MAX];

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        (void)unlink(path);
    }
    for (unsigned i = 0; i < 48; i++) {
        (void)snprintf(path, sizeof path, "%s/journal.%u%s", dir, i / 3, suffixes[i % 3]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

#endif
