/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a salvage: hashes, sets and sorted sets. What their records mean is engine/keyval's business; of
 * it only this is known here: without the root of a tree there is no tree, and a root that says that it
 * is a leaf is the whole of one. Other nodes are not put together again: who meets the place where one
 * is missing gets OXBOW_ECORRUPT, and all else is served.
 */
#include "engine/queue/mend.h"

#define ROOT_MEMBERS  OBJECT_KIND_TYPE /* as in engine/keyval/btree.h, no tail */
#define ROOT_SCORES   (OBJECT_KIND_TYPE + 3u)
#define ROOT_AT_LEVEL 33u

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
    struct oxbow_bytes to = {high, object_key(high, o->object.id + 1, 0, NULL, 0)};

    return mend_may_be_lost(o->mend, from, to);
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
    if (alone || !behind_lost(o)) {
        return OXBOW_OK;
    }
    loss.kind = OXBOW_LOSS_ENTRIES;
    return mend_tell(o, loss);
}
