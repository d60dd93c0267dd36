/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done with a database as a whole: its names walked and counted, forgotten at once, swapped
 * with another's. The records are drawn in catalog.c.
 */
#include "engine/base/scan.h"
#include "engine/store/catalog_record.h"

#include <string.h>

/* Calls `each` for the record that a cursor found, unless it has expired. */
static enum oxbow_err
scan_one(struct oxbow_txn *txn, struct oxbow_bytes key, struct oxbow_bytes value,
         enum oxbow_err (*each)(void *ctx, struct oxbow_bytes name, const struct object *o),
         void *ctx)
{
    struct catalog_name record;
    struct object object = {0};
    bool expired = false;
    enum oxbow_err err;

    if (key.len != CATALOG_NAME_KEY) {
        return OXBOW_ECORRUPT;
    }
    err = catalog_name_decode(value, &record);
    if (err == OXBOW_OK) {
        err = catalog_expired(txn, record.deadline, record.made_ms, &expired);
    }
    if (err != OXBOW_OK || expired) {
        return err;
    }
    object.id = record.id;
    object.type = record.type;
    object.deadline = record.deadline;
    return each(ctx, record.name, &object);
}

enum oxbow_err catalog_scan(struct oxbow_txn *txn, uint64_t *cursor, size_t count,
                            enum oxbow_err (*each)(void *ctx, struct oxbow_bytes name,
                                                   const struct object *o),
                            void *ctx)
{
    uint8_t from[CATALOG_NAME_KEY];
    uint64_t database[2];
    uint64_t last = 0;
    uint64_t next = 0;
    size_t given = 0;
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct kv_cursor c;
    enum oxbow_err err = OXBOW_OK;

    if (*cursor > SCAN_CURSOR_MAX) {
        *cursor = 0;
        return OXBOW_OK;
    }
    err = catalog_pair_get(txn, catalog_number_in(txn, from, txn_database(txn)), database);

    if (err == OXBOW_OK) {
        err = kv_cursor_init(&c, txn);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek_in(&c, catalog_name_key(from, database[0], scan_cursor_order(*cursor), 0),
                            10, &key, &value);
    while (err == OXBOW_OK && key.len >= 18 && memcmp(key.data, from, 10) == 0) {
        uint64_t at = scan_cursor_at(get_be64((const uint8_t *)key.data + 10));

        if (given >= count && at != last) {
            next = at;
            break;
        }
        err = scan_one(txn, key, value, each, ctx);
        if (err != OXBOW_OK) {
            break;
        }
        last = at;
        given++;
        err = kv_cursor_next(&c, &key, &value);
    }
    kv_cursor_fini(&c);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    *cursor = next;
    return OXBOW_OK;
}

enum oxbow_err catalog_count(struct oxbow_txn *txn, uint64_t *count)
{
    uint64_t database[2];
    uint8_t key[3];
    enum oxbow_err err =
        catalog_pair_get(txn, catalog_number_in(txn, key, txn_database(txn)), database);

    if (err == OXBOW_OK) {
        *count = database[1];
    }
    return err;
}

enum oxbow_err catalog_count_stored(struct oxbow_txn *txn, uint32_t number, uint64_t *count)
{
    uint64_t database[2];
    uint8_t key[CATALOG_NUMBER_KEY];
    enum oxbow_err err = catalog_pair_get(txn, catalog_number_key(key, number), database);

    if (err == OXBOW_OK) {
        *count = database[1];
    }
    return err;
}

enum oxbow_err catalog_flush(struct oxbow_txn *txn)
{
    uint64_t database[2];
    uint8_t key[3];
    struct oxbow_bytes where = catalog_number_in(txn, key, txn_database(txn));
    enum oxbow_err err = catalog_pair_get(txn, where, database);

    if (err != OXBOW_OK || database[1] == 0) {
        return err;
    }
    catalog_names_forget(txn);
    err = kv_del(txn, where);
    if (err == OXBOW_OK) {
        err = catalog_home_put(txn, database[0], CATALOG_DATABASES);
    }
    if (err == OXBOW_OK) {
        err = catalog_reap_add(txn, REAP_DATABASE, database[0], 0);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

static enum oxbow_err database_put(struct oxbow_txn *txn, uint32_t number, const uint64_t pair[2])
{
    uint8_t key[3];
    enum oxbow_err err;

    if (pair[0] == 0) {
        return kv_del(txn, catalog_number_in(txn, key, number));
    }
    err = catalog_pair_put(txn, catalog_number_in(txn, key, number), pair);
    return err == OXBOW_OK ? catalog_home_put(txn, pair[0], number) : err;
}

enum oxbow_err catalog_swap(struct oxbow_txn *txn, uint32_t a, uint32_t b)
{
    uint64_t pair_a[2];
    uint64_t pair_b[2];
    uint8_t key[3];
    enum oxbow_err err;

    if (a >= CATALOG_DATABASES || b >= CATALOG_DATABASES) {
        return OXBOW_ENODB;
    }
    if (txn_is_cache(txn, a) != txn_is_cache(txn, b)) {
        return OXBOW_ENOTSUP;
    }
    if (a == b) {
        return OXBOW_OK;
    }
    catalog_names_forget(txn);
    txn_enter(txn, a);
    txn_enter(txn, b);
    err = catalog_pair_get(txn, catalog_number_in(txn, key, a), pair_a);
    if (err == OXBOW_OK) {
        err = catalog_pair_get(txn, catalog_number_in(txn, key, b), pair_b);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = database_put(txn, a, pair_b);
    if (err == OXBOW_OK) {
        err = database_put(txn, b, pair_a);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}
