/* SPDX-License-Identifier: Apache-2.0 */
/* The model's arrays: insertion, removal, dumps. What an operation means is in subject_queue.c. */
#include "tests/crash/queue_model.h"

#include "tests/crash/harness.h"

#include <stdlib.h>
#include <string.h>

const char list_names[LISTS][3] = {"l0", "l1", "l2"};
const char stream_names[STREAMS][3] = {"s0", "s1"};
const char consumer_names[CONSUMERS][3] = {"c0", "c1"};

struct oxbow_bytes text_of(const char *name)
{
    return (struct oxbow_bytes){name, strlen(name)};
}

void dump_id(struct dump *d, struct oxbow_id id)
{
    dump_number(d, id.ms);
    dump_number(d, id.seq);
}

struct text text_dup(struct oxbow_bytes b)
{
    struct text t = {lab_alloc(b.len), b.len};
    if (b.len > 0)
        memcpy(t.bytes, b.data, b.len);
    return t;
}

void mlist_insert(struct mlist *l, size_t at, struct text t)
{
    l->at = lab_grow(l->at, (l->count + 1) * sizeof *l->at);
    memmove(l->at + at + 1, l->at + at, (l->count - at) * sizeof *l->at);
    l->at[at] = t;
    l->count++;
}

struct text mlist_take(struct mlist *l, size_t at)
{
    struct text t = l->at[at];
    memmove(l->at + at, l->at + at + 1, (l->count - at - 1) * sizeof *l->at);
    l->count--;
    return t;
}

void mlist_clear(struct mlist *l)
{
    while (l->count > 0)
        free(mlist_take(l, l->count - 1).bytes);
}

void mstream_drop(struct mstream *m, size_t at)
{
    free(m->at[at].value.bytes);
    memmove(m->at + at, m->at + at + 1, (m->count - at - 1) * sizeof *m->at);
    m->count--;
}

void mstream_clear(struct mstream *m)
{
    while (m->count > 0)
        mstream_drop(m, m->count - 1);
    free(m->at);
    free(m->pending);
    *m = (struct mstream){0};
}

bool id_less(struct oxbow_id a, struct oxbow_id b)
{
    return a.ms < b.ms || (a.ms == b.ms && a.seq < b.seq);
}

bool id_same(struct oxbow_id a, struct oxbow_id b)
{
    return a.ms == b.ms && a.seq == b.seq;
}

void mpending_drop(struct mstream *m, size_t at)
{
    memmove(m->pending + at, m->pending + at + 1, (m->pending_count - at - 1) * sizeof *m->pending);
    m->pending_count--;
}

void mpending_add(struct mstream *m, struct oxbow_id id, unsigned consumer)
{
    m->pending = lab_grow(m->pending, (m->pending_count + 1) * sizeof *m->pending);
    m->pending[m->pending_count++] = (struct mpending){id, consumer, 1};
}

static void dump_mstream(const struct mstream *m, struct dump *d)
{
    dump_number(d, m->there ? 1 + m->count : 0);
    if (!m->there)
        return;
    dump_id(d, m->last);
    dump_number(d, m->added);
    for (size_t i = 0; i < m->count; i++) {
        dump_id(d, m->at[i].id);
        dump_number(d, 1);
        dump_bytes(d, (struct oxbow_bytes){m->at[i].value.bytes, m->at[i].value.len});
    }
    dump_number(d, m->group);
    if (!m->group)
        return;
    dump_id(d, m->group_last);
    dump_number(d, m->pending_count);
    for (size_t i = 0; i < m->pending_count; i++) {
        dump_id(d, m->pending[i].id);
        dump_bytes(d, text_of(consumer_names[m->pending[i].consumer]));
        dump_number(d, m->pending[i].deliveries);
    }
}

void qmodel_dump(const struct model *m, struct dump *out)
{
    uint64_t keys = 0;
    for (unsigned i = 0; i < LISTS; i++) {
        const struct mlist *l = &m->lists[i];
        keys += l->count > 0;
        dump_number(out, l->count);
        for (size_t j = 0; j < l->count; j++)
            dump_bytes(out, (struct oxbow_bytes){l->at[j].bytes, l->at[j].len});
    }
    for (unsigned i = 0; i < STREAMS; i++) {
        keys += m->streams[i].there;
        dump_mstream(&m->streams[i], out);
    }
    dump_number(out, keys);
}

struct model *qmodel_open(void)
{
    return lab_alloc(sizeof(struct model));
}

void qmodel_close(struct model *m)
{
    for (unsigned i = 0; i < LISTS; i++) {
        mlist_clear(&m->lists[i]);
        free(m->lists[i].at);
    }
    for (unsigned i = 0; i < STREAMS; i++)
        mstream_clear(&m->streams[i]);
    free(m);
}
