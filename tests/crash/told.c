/* SPDX-License-Identifier: Apache-2.0 */
/* A table by step of the newest ways in which each was taken. Judges are children and inherit it. */
#include "tests/crash/told.h"

#include <string.h>

#define STEPS 1024u
#define WAYS  4u

static struct {
    struct told ways[WAYS];
    unsigned next;
} steps[STEPS];

void told_note(uint64_t number, const struct told *t)
{
    if (number < STEPS)
        steps[number].ways[steps[number].next++ % WAYS] = *t;
}

bool told_as(uint64_t number, const struct told *t)
{
    bool known = false;
    for (unsigned i = 0; number < STEPS && i < WAYS; i++) {
        const struct told *way = &steps[number].ways[i];
        if (way->salt != t->salt)
            continue;
        known = true;
        if (memcmp(way->numbers, t->numbers, sizeof way->numbers) == 0)
            return true;
    }
    return !known;
}
