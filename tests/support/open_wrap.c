/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands before oxbow_open in test programs: what says nothing of the journal gets a small one, or
 * with OXBOW_TEST_JOURNAL=off none. So each test of store and queues runs both ways.
 */
#include "oxbow/oxbow.h"

#include <stdlib.h>
#include <string.h>

#define SMALL_BYTES 65536u

enum oxbow_err __real_oxbow_open(const struct oxbow_config *config, struct oxbow **out);
enum oxbow_err __wrap_oxbow_open(const struct oxbow_config *config, struct oxbow **out);

enum oxbow_err __wrap_oxbow_open(const struct oxbow_config *config, struct oxbow **out)
{
    const char *want = getenv("OXBOW_TEST_JOURNAL");
    struct oxbow_config c;

    if (config == NULL) {
        return __real_oxbow_open(config, out);
    }
    c = *config;
    if (c.journal == OXBOW_JOURNAL_DEFAULT && want != NULL && strcmp(want, "off") == 0) {
        c.journal = OXBOW_JOURNAL_OFF;
    }
    if (c.journal_bytes == 0) {
        c.journal_bytes = SMALL_BYTES;
    }
    return __real_oxbow_open(&c, out);
}
