/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders of time (catalog_spot.h):
 *
 *   KV_SPACE_EXPIRE letter be64 deadline be64 database id be64 hash be64 object id -> nothing
 *
 * Invariants: (1) A place that nothing agrees with means nothing, and goes when its time comes. (2)
 * `first` in memory is never above the earliest deadline in the store, and idle work is asked for at
 * `first`.
 */
#include "engine/store/catalog_spot.h"

#include "engine/base/buf.h"

#include <string.h>

#define SPOT_KEY 34u

static void spots_close(struct oxbow *db, void *p)
{
    mem_free(&oxbow_port_of(db)->alloc, p, sizeof(struct spots));
}

/* The one place where such a key is made, but for cache_evict.c, which looks for those of caches. */
static struct oxbow_bytes spot_key(uint8_t out[SPOT_KEY], const struct spot_order *order,
                                   const struct spot *s)
{
    out[0] = KV_SPACE_EXPIRE | (order->cached ? KV_CACHE : 0);
    out[1] = order->letter;
    put_be64(out + 2, s->deadline);
    put_be64(out + 10, s->database);
    put_be64(out + 18, s->hash);
    put_be64(out + 26, s->object);
    return (struct oxbow_bytes){out, SPOT_KEY};
}

enum oxbow_err spot_next(struct oxbow_txn *txn, const struct spot_order *order, struct spot *s)
{
    uint8_t want[SPOT_KEY + 1] = {0};
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    (void)spot_key(want, order, s);
    err = kv_cursor_seek(&c, (struct oxbow_bytes){want, sizeof want}, &key, &value);
    if (err == OXBOW_ECORRUPT) {
        err = OXBOW_OK; /* there is nothing in the value */
    }
    if (err == OXBOW_OK && (c.key_len != SPOT_KEY || c.key[0] != want[0] || c.key[1] != want[1])) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        *s = (struct spot){get_be64(c.key + 2), get_be64(c.key + 10), get_be64(c.key + 18),
                           get_be64(c.key + 26)};
    }
    kv_cursor_fini(&c);
    return err;
}

/* The earliest place. OXBOW_ENOENT. */
static enum oxbow_err spot_first(struct oxbow_txn *txn, const struct spot_order *order,
                                 uint64_t low, struct spot *out)
{
    *out = (struct spot){low, 0, 0, 0};
    return spot_next(txn, order, out);
}

enum oxbow_err spots_get(struct oxbow_txn *txn, const struct spot_order *order, struct spots **out)
{
    struct oxbow *db = txn_store(txn);
    struct spots *s = store_slot_get(db, order->slot);
    struct spot spot;
    enum oxbow_err err;

    if (s != NULL && s->aborts == store_abort_count(db)) {
        *out = s;
        return OXBOW_OK;
    }
    err = spot_first(txn, order, 0, &spot);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (s == NULL) {
        s = mem_new(&txn_port(txn)->alloc, sizeof *s);
        if (s == NULL) {
            return OXBOW_ENOMEM;
        }
        s->number = 0;
        store_slot_set(db, order->slot, s, spots_close);
    }
    s->first = err == OXBOW_OK ? spot.deadline : UINT64_MAX;
    s->low = err == OXBOW_OK ? spot.deadline : 0;
    s->aborts = store_abort_count(db);
    if (err == OXBOW_OK) {
        txn_idle_at(txn, s->first);
    }
    *out = s;
    return OXBOW_OK;
}

enum oxbow_err spot_put(struct oxbow_txn *txn, const struct spot_order *order, const struct spot *s)
{
    uint8_t key[SPOT_KEY];
    struct spots *known;
    enum oxbow_err err = spots_get(txn, order, &known);

    if (err == OXBOW_OK) {
        err = kv_put(txn, spot_key(key, order, s), (struct oxbow_bytes){"", 0});
    }
    if (err == OXBOW_OK && s->deadline < known->first) {
        known->first = s->deadline;
        txn_idle_at(txn, known->first);
    }
    if (err == OXBOW_OK && s->deadline < known->low) {
        known->low = s->deadline;
    }
    return err;
}

enum oxbow_err spot_del(struct oxbow_txn *txn, const struct spot_order *order, const struct spot *s)
{
    uint8_t key[SPOT_KEY];

    return kv_del(txn, spot_key(key, order, s));
}

enum oxbow_err spot_due(struct oxbow_txn *txn, const struct spot_order *order, struct spots *known,
                        struct spot *s)
{
    enum oxbow_err err = OXBOW_OK;

    if (known->first == UINT64_MAX) {
        return OXBOW_ENOENT;
    }
    if (known->first <= txn_clock_ms(txn)) {
        err = spot_first(txn, order, known->low, s);
        if (err == OXBOW_OK) {
            known->low = s->deadline;
            known->first = s->deadline;
        }
        if (err == OXBOW_ENOENT) {
            known->first = UINT64_MAX;
        }
    }
    if (err == OXBOW_OK && known->first > txn_clock_ms(txn)) {
        txn_idle_at(txn, known->first);
        err = OXBOW_ENOENT;
    }
    return err;
}

enum oxbow_err spot_number(struct oxbow_txn *txn, uint64_t database, uint32_t *number)
{
    uint32_t hint = *number;
    enum oxbow_err err = OXBOW_OK;

    for (uint32_t i = 0; i <= CATALOG_DATABASES && err == OXBOW_OK; i++) {
        uint32_t n = i == 0 ? hint : i - 1;
        uint8_t key[CATALOG_NUMBER_KEY];
        uint64_t pair[2] = {0, 0};

        if (n < CATALOG_DATABASES) {
            err = catalog_pair_get(txn, catalog_number_in(txn, key, n), pair);
        }
        if (err == OXBOW_OK && pair[0] == database) {
            *number = n;
            return OXBOW_OK;
        }
    }
    *number = CATALOG_DATABASES;
    return err;
}

enum oxbow_err spot_name(struct oxbow_txn *txn, const struct spot *s, uint64_t *deadline,
                         struct oxbow_bytes *name)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    struct catalog_name record = {.id = 0};
    struct oxbow_bytes value;
    uint8_t key[CATALOG_NAME_KEY];
    uint8_t *copy;

    *name = (struct oxbow_bytes){NULL, 0};
    for (uint32_t ordinal = 0; ordinal <= UINT16_MAX && record.id != s->object; ordinal++) {
        enum oxbow_err err =
            kv_get(txn, catalog_name_key(key, s->database, s->hash, (uint16_t)ordinal), &value);

        if (err == OXBOW_OK) {
            err = catalog_name_decode(value, &record);
        }
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
    }
    if (record.id != s->object) {
        return OXBOW_OK;
    }
    *deadline = record.deadline;
    copy = mem_new(alloc, record.name.len + 1);
    if (copy == NULL) {
        return OXBOW_ENOMEM;
    }
    if (record.name.len > 0) {
        memcpy(copy, record.name.data, record.name.len);
    }
    *name = (struct oxbow_bytes){copy, record.name.len};
    return OXBOW_OK;
}

void spot_name_free(struct oxbow_txn *txn, struct oxbow_bytes name)
{
    union {
        const void *in;
        void *out;
    } drop = {name.data}; /* it is ours */

    if (name.data != NULL) {
        mem_free(&txn_port(txn)->alloc, drop.out, name.len + 1);
    }
}
