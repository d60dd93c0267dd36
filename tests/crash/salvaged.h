/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges a store whose files were damaged: what it holds is what the model holds, but for what it
 * says that it has lost; and it goes on from there.
 */
#ifndef OXBOW_TESTS_CRASH_SALVAGED_H
#define OXBOW_TESTS_CRASH_SALVAGED_H

#include "tests/crash/judge.h"

/* A judge for judge_config.judge, with subject_queue. Says in v->step how many losses were told, and
 * in v->deeper 1 if it was read to the end only after a repair. */
void salvaged_state(const struct judge_config *config, const char *base, struct verdict *v);
/* The same, deaf to losses: whatever is lost must look wrong to it. */
void salvaged_state_deaf(const struct judge_config *config, const char *base, struct verdict *v);

#endif
