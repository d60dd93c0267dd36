/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of hashes, sets and sorted sets: what they are is engine/keyval's business, which the
 * configuration names (store/members.h). A batch ends at an order of members, which the mark has as the
 * `ms` of its last id; so what a mark names is what was added, whatever has expired meanwhile.
 */
#include "engine/queue/merge.h"

static const struct {
    enum oxbow_type type;
    enum merge_kind kind;
} kinds[] = {
    {OXBOW_TYPE_HASH, MERGE_HASH}, {OXBOW_TYPE_SET, MERGE_SET}, {OXBOW_TYPE_ZSET, MERGE_ZSET}};

#define KINDS (sizeof kinds / sizeof kinds[0])

bool merge_members_kind(enum oxbow_type type, enum merge_kind *kind)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (kinds[i].type == type) {
            *kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

bool merge_members_are(enum merge_kind kind)
{
    return kind >= MERGE_HASH && kind <= MERGE_ZSET;
}

static struct members_batch batch_of(enum merge_kind kind, struct oxbow_bytes key,
                                     struct oxbow_id upto)
{
    struct members_batch b = {.key = key, .upto = upto.ms};

    for (size_t i = 0; i < KINDS; i++) {
        b.type = kinds[i].kind == kind ? kinds[i].type : b.type;
    }
    return b;
}

enum oxbow_err merge_members_read(struct merge *m, struct merge_unit *u, struct oxbow_txn *from,
                                  size_t *count)
{
    struct members_batch b = batch_of(u->kind, u->key, u->upto);
    enum oxbow_err err = m->members != NULL
                             ? m->members->look(from, &b, u->most, MERGE_BATCH_BYTES, count)
                             : OXBOW_ENOTSUP;

    u->upto = (struct oxbow_id){b.upto, 0};
    return err;
}

/* Reads them from the stand-in while it adds them. */
enum oxbow_err merge_members_put(struct merge *m, const struct merge_unit *u, struct oxbow_txn *to)
{
    struct members_batch b = batch_of(u->kind, u->key, u->upto);
    struct oxbow_txn *from;
    size_t gone = 0;
    enum oxbow_err err =
        merge_begin(m->from, u->database, OXBOW_TXN_READ | OXBOW_TXN_NOWAIT, &from);

    if (err != OXBOW_OK) {
        return err;
    }
    b.to = u->to;
    err = m->members->put(from, &b, to, &gone);
    oxbow_txn_abort(from);
    m->entries.known += gone;
    return err;
}

enum oxbow_err merge_members_take(struct merge *m, const struct merge_mark *mark,
                                  struct oxbow_txn *from)
{
    const struct oxbow_bytes key = {mark->key.data, mark->key.len};
    const struct members_batch b = batch_of(mark->kind, key, mark->last);

    return m->members != NULL ? m->members->take(from, &b) : OXBOW_ENOTSUP;
}
