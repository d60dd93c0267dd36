/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only the running store can say of a step, noted inside the step's transaction, for those who
 * judge it later: what hangs on pages or on earlier lives, and is the step's own all the same.
 */
#ifndef OXBOW_TESTS_CRASH_TOLD_H
#define OXBOW_TESTS_CRASH_TOLD_H

#include <stdbool.h>
#include <stdint.h>

#define TOLD_NUMBERS 8u

/* One way in which a step was taken; with another salt it is another step. */
struct told {
    uint64_t salt;
    uint64_t numbers[TOLD_NUMBERS];
};

/* Step `number` was taken in this way. After a failure it may be taken in another one as well. */
void told_note(uint64_t number, const struct told *t);
/* Whether it ever was. True for a step that this process has never seen taken. */
bool told_as(uint64_t number, const struct told *t);

#endif
