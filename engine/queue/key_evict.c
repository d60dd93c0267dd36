/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of caches that go to make room (include/oxbow/cache.h): who looks at them is told. */
#include "engine/queue/wait.h"
#include "engine/store/catalog.h"
#include "oxbow/cache.h"

struct evict {
    enum oxbow_err (*gone)(void *ctx, uint32_t database, struct oxbow_bytes key);
    void *ctx;
};

static enum oxbow_err gone(void *ctx, struct oxbow_txn *txn, struct oxbow_bytes name)
{
    const struct evict *e = ctx;
    struct object object = {.id = 0};
    enum oxbow_err err = catalog_tag(txn, name, &object.tag);

    if (err == OXBOW_OK) {
        err = wait_touch(txn, &object);
    }
    return err == OXBOW_OK && e->gone != NULL ? e->gone(e->ctx, txn_database(txn), name) : err;
}

enum oxbow_err oxbow_cache_evict(struct oxbow_txn *txn, size_t max,
                                 enum oxbow_err (*told)(void *ctx, uint32_t database,
                                                        struct oxbow_bytes key),
                                 void *ctx, bool *more)
{
    struct evict e = {told, ctx};

    if (more == NULL) {
        return OXBOW_EINVAL;
    }
    return txn_readonly(txn) ? OXBOW_EREADONLY : catalog_evict(txn, max, gone, &e, more);
}

enum oxbow_err oxbow_cache_use(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *idle_ms,
                               uint32_t *frequency)
{
    return idle_ms == NULL || frequency == NULL || (key.data == NULL && key.len > 0)
               ? OXBOW_EINVAL
               : catalog_use(txn, key, idle_ms, frequency);
}
