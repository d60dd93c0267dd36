/* SPDX-License-Identifier: Apache-2.0 */
/* What can be done with a key whatever its type: the catalog's operations in public dress. */
#include "oxbow/key.h"

#include "engine/base/result.h"
#include "engine/queue/forward.h"
#include "engine/queue/list.h"
#include "engine/queue/policy.h"
#include "engine/queue/wait.h"
#include "engine/store/catalog.h"
#include "oxbow/stream.h"

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

/* Tells forwards what a forced transaction is about to take from them. */
static enum oxbow_err removal_noted(struct oxbow_txn *txn, struct oxbow_bytes key)
{
    struct oxbow_stream_info info;
    struct list l;
    enum oxbow_err err;

    if (!txn_forced(txn)) {
        return OXBOW_OK;
    }
    err = oxbow_stream_info(txn, key, &info);
    if (err == OXBOW_OK) {
        return forward_lost(txn, key, OXBOW_ID_MIN, info.last_id, UINT64_MAX, 0);
    }
    if (err != OXBOW_EWRONGTYPE) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    err = list_find(txn, key, &l);
    if (err == OXBOW_OK) {
        err = forward_lost(txn, key, OXBOW_ID_MIN, OXBOW_ID_MIN, l.count, l.bytes);
    }
    return err == OXBOW_ENOENT || err == OXBOW_EWRONGTYPE ? OXBOW_OK : err;
}

enum oxbow_err oxbow_key_delete(struct oxbow_txn *txn, struct oxbow_bytes key, bool *existed)
{
    enum oxbow_err err;

    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = forward_forbid(txn, key);
    if (err == OXBOW_OK) {
        err = removal_noted(txn, key);
    }
    if (err == OXBOW_OK) {
        err = catalog_remove(txn, key);
    }
    if (err == OXBOW_OK) {
        err = policy_left_key(txn, key);
        err = err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
    }
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
    err = forward_forbid_always(txn, from);
    if (err == OXBOW_OK) {
        err = forward_forbid_always(txn, to);
    }
    if (err == OXBOW_OK) {
        err = catalog_rename(txn, from, to, only_new, &object);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = wait_touch(txn, &object);
    if (err == OXBOW_OK) {
        err = policy_left_key(txn, from);
    }
    if (err == OXBOW_OK) {
        err = policy_left_key(txn, to);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
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
    const struct object all = {.tag = CATALOG_TAG_ALL};
    enum oxbow_err err;

    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = forward_forbid_all(txn);
    if (err == OXBOW_OK) {
        err = catalog_flush(txn);
    }
    return err == OXBOW_OK ? wait_touch(txn, &all) : err; /* who waits for room has some now */
}

/* forward_forbid_all for another database than the transaction's. */
static enum oxbow_err forbid_in(struct oxbow_txn *txn, uint32_t database)
{
    uint32_t own = txn_database(txn);
    enum oxbow_err err = oxbow_txn_select(txn, database);
    enum oxbow_err back;

    if (err != OXBOW_OK) {
        return err;
    }
    err = forward_forbid_all(txn);
    back = oxbow_txn_select(txn, own);
    return err == OXBOW_OK ? back : err;
}

enum oxbow_err oxbow_key_swap(struct oxbow_txn *txn, uint32_t a, uint32_t b)
{
    struct object all = {.tag = CATALOG_TAG_ALL};
    enum oxbow_err err;

    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = forbid_in(txn, a);
    if (err == OXBOW_OK) {
        err = forbid_in(txn, b);
    }
    if (err == OXBOW_OK) {
        err = catalog_swap(txn, a, b);
    }
    return err == OXBOW_OK ? wait_touch(txn, &all) : err;
}
