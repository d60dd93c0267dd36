/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps that the model took, from nothing to where the current life is to end. A power cut
 * takes some back; those that the next life takes instead are others.
 */
#ifndef OXBOW_TESTS_CRASH_PATH_H
#define OXBOW_TESTS_CRASH_PATH_H

#include "tests/crash/subject.h"

struct path_step {
    uint64_t salt; /* the seed that this step was taken with */
    uint64_t hash; /* of the model's dump after it */
    uint64_t lsn;  /* when it was first taken; 0: not yet */
};

struct model_path {
    const struct subject *subject;
    struct path_step *at; /* [0] is the beginning, [i] what step number i - 1 came to */
    uint64_t count;       /* steps */
};

#define PATH_NOWHERE UINT64_MAX

void path_init(struct model_path *p, const struct subject *subject);
void path_fini(struct model_path *p);
/* Forgets what came after `step`, and takes steps with `salt` up to `end`. */
void path_turn(struct model_path *p, uint64_t step, uint64_t salt, uint64_t end);
/* The model after so many steps. */
struct model *path_model(const struct model_path *p, uint64_t step);
/* After how many steps the model had that dump; PATH_NOWHERE. */
uint64_t path_find(const struct model_path *p, uint64_t hash);
uint64_t path_hash(const struct subject *s, const struct model *m);

#endif
