/* SPDX-License-Identifier: Apache-2.0 */
/* Steps and their hashes. No two of a path are alike: a store's content tells where it stands. */
#include "tests/crash/path.h"

#include "tests/crash/harness.h"

#include <stdlib.h>

uint64_t path_hash(const struct subject *s, const struct model *m)
{
    struct dump d = {0};
    s->dump_model(m, &d);
    uint64_t hash = lab_hash(d.bytes, d.len, DUMP_SEED);
    dump_free(&d);
    return hash;
}

void path_init(struct model_path *p, const struct subject *subject)
{
    struct model *m = subject->open();
    *p = (struct model_path){.subject = subject, .at = lab_alloc(sizeof *p->at)};
    p->at[0] = (struct path_step){.hash = path_hash(subject, m)};
    subject->close(m);
}

void path_fini(struct model_path *p)
{
    free(p->at);
    *p = (struct model_path){0};
}

struct model *path_model(const struct model_path *p, uint64_t step)
{
    struct model *m = p->subject->open();
    for (uint64_t i = 0; i < step; i++)
        if (p->subject->step(m, p->at[i + 1].salt, i, NULL, NULL, NULL) != OXBOW_OK)
            lab_die("the model", "failed");
    return m;
}

uint64_t path_find(const struct model_path *p, uint64_t hash)
{
    for (uint64_t i = 0; i <= p->count; i++)
        if (p->at[i].hash == hash)
            return i;
    return PATH_NOWHERE;
}

void path_turn(struct model_path *p, uint64_t step, uint64_t salt, uint64_t end)
{
    struct model *m = path_model(p, step);
    p->count = step;
    p->at = lab_grow(p->at, (size_t)(end + 1) * sizeof *p->at);
    for (uint64_t i = step; i < end; i++) {
        if (p->subject->step(m, salt, i, NULL, NULL, NULL) != OXBOW_OK)
            lab_die("the model", "failed");
        uint64_t hash = path_hash(p->subject, m);
        if (path_find(p, hash) != PATH_NOWHERE)
            lab_die("the workload", "came back to an earlier state");
        p->at[i + 1] = (struct path_step){.salt = salt, .hash = hash};
        p->count = i + 1;
    }
    p->subject->close(m);
}
