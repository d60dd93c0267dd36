/* SPDX-License-Identifier: Apache-2.0 */
/* Lists, streams and groups as nothing but arrays: what the lab compares the store with. */
#ifndef OXBOW_TESTS_CRASH_QUEUE_MODEL_H
#define OXBOW_TESTS_CRASH_QUEUE_MODEL_H

#include "tests/crash/subject.h"

#define LISTS     3u
#define STREAMS   2u
#define CONSUMERS 2u

struct text {
    uint8_t *bytes;
    size_t len;
};

struct mlist {
    struct text *at;
    size_t count;
};

struct mentry {
    struct oxbow_id id;
    struct text value;
};

struct mpending {
    struct oxbow_id id;
    unsigned consumer;
    uint64_t deliveries;
};

struct mstream {
    bool there;
    struct mentry *at;
    size_t count;
    struct oxbow_id last;
    uint64_t added;
    bool group; /* one, named g */
    struct oxbow_id group_last;
    struct mpending *pending;
    size_t pending_count;
};

struct model {
    struct mlist lists[LISTS];
    struct mstream streams[STREAMS];
};

extern const char list_names[LISTS][3], stream_names[STREAMS][3], consumer_names[CONSUMERS][3];

struct oxbow_bytes text_of(const char *name);
struct text text_dup(struct oxbow_bytes b);
void dump_id(struct dump *d, struct oxbow_id id);

void mlist_insert(struct mlist *l, size_t at, struct text t);
struct text mlist_take(struct mlist *l, size_t at);
void mlist_clear(struct mlist *l);

void mstream_drop(struct mstream *m, size_t at);
void mstream_clear(struct mstream *m);
bool id_less(struct oxbow_id a, struct oxbow_id b);
bool id_same(struct oxbow_id a, struct oxbow_id b);
void mpending_drop(struct mstream *m, size_t at);
/* Ids come in rising order, so the array is sorted. */
void mpending_add(struct mstream *m, struct oxbow_id id, unsigned consumer);

struct model *qmodel_open(void);
void qmodel_close(struct model *m);
void qmodel_dump(const struct model *m, struct dump *out);

#endif
