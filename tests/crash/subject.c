/* SPDX-License-Identifier: Apache-2.0 */
/* Dumps, and the table of subjects. */
#include "tests/crash/subject.h"

#include "tests/crash/harness.h"

#include <stdlib.h>
#include <string.h>

void dump_add(struct dump *d, const void *bytes, size_t len)
{
    if (d->len + len > d->cap) {
        d->cap = 2 * (d->len + len);
        d->bytes = lab_grow(d->bytes, d->cap);
    }
    if (len > 0)
        memcpy(d->bytes + d->len, bytes, len);
    d->len += len;
}

void dump_number(struct dump *d, uint64_t number)
{
    dump_add(d, &number, sizeof number);
}

void dump_bytes(struct dump *d, struct oxbow_bytes b)
{
    dump_number(d, b.len);
    dump_add(d, b.data, b.len);
}

void dump_free(struct dump *d)
{
    free(d->bytes);
    *d = (struct dump){0};
}

static const struct subject *const subjects[] = {
    &subject_kv,       &subject_queue,   &subject_policy, &subject_retry, &subject_time,
    &subject_priority, &subject_exactly, &subject_apart,  &subject_route, &subject_groups,
    &subject_torn,     &subject_drops,   &subject_spilt,  &subject_keyval};

const struct subject *subject_find(const char *name)
{
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++)
        if (strcmp(subjects[i]->name, name) == 0)
            return subjects[i];
    return NULL;
}
