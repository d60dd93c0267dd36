/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a salvage: hashes, sets and sorted sets. What their records mean is engine/keyval's business; of
 * it only this is known here: without the root of a tree there is no tree, and a root that says that it
 * is a leaf is the whole of one. Other nodes are not put together again: who meets the place where one
 * is missing gets OXBOW_ECORRUPT, and all else is served. The deadlines of a hash's fields are in the
 * fields' entries; the tree that has them in order is made anew from those by idle work, if any of it
 * may be lost.
 */
#include "engine/queue/mend.h"

#define ROOT_MEMBERS  OBJECT_KIND_TYPE /* as in engine/keyval/btree.h, no tail */
#define ROOT_SCORES   (OBJECT_KIND_TYPE + 3u)
#define ROOT_TIMES    (OBJECT_KIND_TYPE + 5u) /* and the kind behind it: the order of deadlines */
#define ROOT_AT_LEVEL 33u
#define DELETE_STEP   512u

/* Whether a tree has its root, and whether nothing but that is needed. */
static enum oxbow_err root_look(struct mend_object *o, uint8_t kind, bool *there, bool *alone)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes k = {key, object_key(key, o->object.id, kind, NULL, 0)};
    struct oxbow_bytes root;
    enum oxbow_err err = kv_get(o->txn, k, &root);

    *there = err == OXBOW_OK && root.len > ROOT_AT_LEVEL;
    if (*there) {
        *alone = *alone && ((const uint8_t *)root.data)[ROOT_AT_LEVEL] == 0;
    }
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}

/* Whether records behind the first root may be among those that are lost. */
static bool behind_lost(struct mend_object *o)
{
    uint8_t low[KV_KEY_MAX];
    uint8_t high[KV_KEY_MAX];
    struct oxbow_bytes from = {low, object_key(low, o->object.id, ROOT_MEMBERS + 1, NULL, 0)};
    struct oxbow_bytes to = {high, object_key(high, o->object.id, ROOT_TIMES, NULL, 0)};

    return mend_may_be_lost(o->mend, from, to);
}

static bool kinds_lost(struct mend_object *o, uint8_t from, uint8_t to)
{
    uint8_t low[KV_KEY_MAX];
    uint8_t high[KV_KEY_MAX];

    return mend_may_be_lost(
        o->mend, (struct oxbow_bytes){low, object_key(low, o->object.id, from, NULL, 0)},
        (struct oxbow_bytes){high, object_key(high, o->object.id, to, NULL, 0)});
}

/* The order of deadlines, all of it. */
static enum oxbow_err times_delete(struct mend_object *o)
{
    uint8_t low[KV_KEY_MAX];
    uint8_t high[KV_KEY_MAX];
    struct oxbow_bytes from = {low, object_key(low, o->object.id, ROOT_TIMES, NULL, 0)};
    struct oxbow_bytes to = {high, object_key(high, o->object.id, ROOT_TIMES + 2, NULL, 0)};
    bool more = true;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && more) {
        err = kv_del_range(o->txn, from, to, DELETE_STEP, &more);
    }
    return err;
}

/* A hash that is otherwise whole: its fields go in time, or go on to. */
static enum oxbow_err mend_times(struct mend_object *o)
{
    struct object_due due;
    bool lost = kinds_lost(o, OBJECT_KIND_DUE, OBJECT_KIND_DUE + 1) ||
                kinds_lost(o, ROOT_TIMES, ROOT_TIMES + 2);
    enum oxbow_err err = catalog_due_get(o->txn, o->object.id, &due);

    if (err == OXBOW_ECORRUPT || (err == OXBOW_OK && o->mend->state.values_bad > 0)) {
        lost = true;
    }
    if (err != OXBOW_OK && err != OXBOW_ENOENT && err != OXBOW_ECORRUPT) {
        return err;
    }
    err = lost ? times_delete(o) : OXBOW_OK;
    return err == OXBOW_OK ? catalog_due_mend(o->txn, o->name, o->object.id, lost) : err;
}

enum oxbow_err mend_members(struct mend_object *o)
{
    struct oxbow_loss loss = {
        .kind = OXBOW_LOSS_KEY, .object = o->object.id, .entries = UINT64_MAX};
    bool members = false;
    bool scores = true;
    bool alone = true;
    enum oxbow_err err = root_look(o, ROOT_MEMBERS, &members, &alone);

    if (err == OXBOW_OK && o->object.type == OXBOW_TYPE_ZSET) {
        err = root_look(o, ROOT_SCORES, &scores, &alone);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (!members || !scores) {
        err = mend_tell(o, loss);
        return err == OXBOW_OK ? catalog_remove(o->txn, o->name) : err;
    }
    if (o->object.type == OXBOW_TYPE_HASH) {
        err = mend_times(o);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (alone || !behind_lost(o)) {
        return OXBOW_OK;
    }
    loss.kind = OXBOW_LOSS_ENTRIES;
    return mend_tell(o, loss);
}
