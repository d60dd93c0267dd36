/* SPDX-License-Identifier: Apache-2.0 */
/* What can be done with a key whatever its type: the catalog's operations in public dress. */
#include "oxbow/key.h"

#include "engine/base/result.h"
#include "engine/queue/wait.h"
#include "engine/store/catalog.h"

#define SCAN_COUNT     10u
#define SCAN_COUNT_MAX 10000u
#define SCAN_BYTES_MAX ((size_t)1024 * 1024 * 1024)

enum oxbow_err oxbow_key_type(struct oxbow_txn *txn, struct oxbow_bytes key, enum oxbow_type *type)
{
    struct object object;
    enum oxbow_err err;

    if (type == NULL) {
        return OXBOW_EINVAL;
    }
    err = catalog_find(txn, key, &object);
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        *type = err == OXBOW_OK ? object.type : OXBOW_TYPE_NONE;
        return OXBOW_OK;
    }
    return err;
}

enum oxbow_err oxbow_key_delete(struct oxbow_txn *txn, struct oxbow_bytes key, bool *existed)
{
    enum oxbow_err err;

    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = catalog_remove(txn, key);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (existed != NULL) {
        *existed = err == OXBOW_OK;
    }
    return OXBOW_OK;
}

enum oxbow_err oxbow_key_rename(struct oxbow_txn *txn, struct oxbow_bytes from,
                                struct oxbow_bytes to, bool only_new)
{
    struct object object;
    enum oxbow_err err;

    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = catalog_rename(txn, from, to, only_new, &object);
    return err == OXBOW_OK ? wait_touch(txn, &object) : err;
}

static enum oxbow_err scan_add(void *ctx, struct oxbow_bytes name, const struct object *o)
{
    (void)o;
    return result_item(ctx, name);
}

enum oxbow_err oxbow_key_scan(struct oxbow_txn *txn, uint64_t *cursor, size_t count,
                              struct oxbow_result *result)
{
    enum oxbow_err err;

    if (cursor == NULL || result == NULL || count > SCAN_COUNT_MAX) {
        return OXBOW_EINVAL;
    }
    err = result_begin(result, &txn_port(txn)->alloc, SCAN_BYTES_MAX);
    if (err == OXBOW_OK) {
        err = catalog_scan(txn, cursor, count == 0 ? SCAN_COUNT : count, scan_add, result);
    }
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}

enum oxbow_err oxbow_key_count(struct oxbow_txn *txn, uint64_t *count)
{
    return count == NULL ? OXBOW_EINVAL : catalog_count(txn, count);
}

enum oxbow_err oxbow_key_flush(struct oxbow_txn *txn)
{
    return txn_readonly(txn) ? OXBOW_EREADONLY : catalog_flush(txn);
}

enum oxbow_err oxbow_key_swap(struct oxbow_txn *txn, uint32_t a, uint32_t b)
{
    struct object all = {.tag = CATALOG_TAG_ALL};
    enum oxbow_err err;

    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = catalog_swap(txn, a, b);
    return err == OXBOW_OK ? wait_touch(txn, &all) : err;
}
