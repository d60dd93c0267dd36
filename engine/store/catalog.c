/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalog's records and the four things that are done with a name: find, add, drop, move.
 * What objects leave behind is deleted by catalog_reap.c.
 *
 *   KV_SPACE_CATALOG 00                               le64 next id, le64 hash seed
 *   KV_SPACE_CATALOG 01 u8 number                     le64 database id, le64 names in it
 *   KV_SPACE_CATALOG 02 be64 database id be64 hash be16 ordinal
 *                                                     u8 type, le64 object id, the name
 *   KV_SPACE_CATALOG 03 be64 database id              u8 number: should the number's record be lost
 *   KV_SPACE_REAP    01 be64 object id                u8 type
 *   KV_SPACE_REAP    02 be64 database id              u8 0
 *
 * Invariants:
 *  1. Names of one hash in one database have the ordinals 0, 1, 2, ... without a gap, so a look-up
 *     ends at the first ordinal that is not there.
 *  2. Object and database ids come from one counter that only grows.
 *  3. A database number without a record has no names. FLUSHDB removes the record.
 *  4. Every object id is in exactly one of: a name's record, a reap record, a name of a database id
 *     that has a reap record.
 *
 * The hash is seeded at random per store, so that nobody can choose names that collide.
 */
#include "engine/store/catalog_record.h"

#include "engine/base/buf.h"
#include "engine/base/hash.h"

#include <string.h>

#define SHORT_NAME 119u /* a record up to here is built on the stack */

struct catalog {
    uint64_t seed;
    uint64_t mask;
};

/* Where a name is, or where it would go. */
struct place {
    uint64_t database; /* 0: the database number has no record */
    uint64_t hash;
    uint64_t count; /* names in the database */
    uint16_t ordinal;
    bool found;
    struct object object;
};

static void catalog_close(struct oxbow *db, void *p)
{
    mem_free(&oxbow_port_of(db)->alloc, p, sizeof(struct catalog));
}

struct oxbow_bytes catalog_meta_key(uint8_t out[2])
{
    out[0] = KV_SPACE_CATALOG;
    out[1] = CATALOG_META;
    return (struct oxbow_bytes){out, 2};
}

struct oxbow_bytes catalog_number_key(uint8_t out[CATALOG_NUMBER_KEY], uint32_t number)
{
    out[0] = KV_SPACE_CATALOG;
    out[1] = CATALOG_DATABASE;
    out[2] = (uint8_t)number;
    return (struct oxbow_bytes){out, 3};
}

struct oxbow_bytes catalog_name_key(uint8_t out[CATALOG_NAME_KEY], uint64_t database, uint64_t hash,
                                    uint16_t ordinal)
{
    out[0] = KV_SPACE_CATALOG;
    out[1] = CATALOG_NAME;
    put_be64(out + 2, database);
    put_be64(out + 10, hash);
    out[18] = (uint8_t)(ordinal >> 8);
    out[19] = (uint8_t)ordinal;
    return (struct oxbow_bytes){out, CATALOG_NAME_KEY};
}

enum oxbow_err catalog_name_decode(struct oxbow_bytes value, struct object *object,
                                   struct oxbow_bytes *name)
{
    const uint8_t *p = value.data;

    if (value.len < CATALOG_NAME_HEAD) {
        return OXBOW_ECORRUPT;
    }
    object->type = (enum oxbow_type)p[0];
    object->id = get_le64(p + 1);
    *name = (struct oxbow_bytes){p + CATALOG_NAME_HEAD, value.len - CATALOG_NAME_HEAD};
    return OXBOW_OK;
}

enum oxbow_err catalog_pair_get(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t pair[2])
{
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, key, &value);

    if (err == OXBOW_ENOENT) {
        pair[0] = 0;
        pair[1] = 0;
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (value.len != 16) {
        return OXBOW_ECORRUPT;
    }
    pair[0] = get_le64(value.data);
    pair[1] = get_le64((const uint8_t *)value.data + 8);
    return OXBOW_OK;
}

enum oxbow_err catalog_pair_put(struct oxbow_txn *txn, struct oxbow_bytes key,
                                const uint64_t pair[2])
{
    uint8_t value[16];

    put_le64(value, pair[0]);
    put_le64(value + 8, pair[1]);
    return kv_put(txn, key, (struct oxbow_bytes){value, sizeof(value)});
}

enum oxbow_err catalog_attach(struct oxbow_txn *txn)
{
    const struct oxbow_port *port = txn_port(txn);
    struct catalog *cat;
    uint64_t meta[2];
    uint8_t key[2];
    enum oxbow_err err;

    if (store_slot_get(txn_store(txn), STORE_SLOT_CATALOG) != NULL) {
        return OXBOW_OK;
    }
    err = catalog_pair_get(txn, catalog_meta_key(key), meta);
    if (err == OXBOW_OK && meta[0] == 0) {
        err = port->random.fill(port->random.ctx, &meta[1], sizeof(meta[1]));
    }
    if (err != OXBOW_OK) {
        return err;
    }
    cat = mem_new(&port->alloc, sizeof(*cat));
    if (cat == NULL) {
        return OXBOW_ENOMEM;
    }
    *cat = (struct catalog){.seed = meta[1], .mask = UINT64_MAX};
    store_slot_set(txn_store(txn), STORE_SLOT_CATALOG, cat, catalog_close);
    store_set_idle_hook(txn_store(txn), STORE_IDLE_REAP, catalog_reap);
    return OXBOW_OK;
}

static enum oxbow_err catalog_of(struct oxbow_txn *txn, struct catalog **cat)
{
    enum oxbow_err err = catalog_attach(txn);

    if (err == OXBOW_OK) {
        *cat = store_slot_get(txn_store(txn), STORE_SLOT_CATALOG);
    }
    return err;
}

enum oxbow_err catalog_hash(struct oxbow_txn *txn, struct oxbow_bytes name, uint64_t *hash)
{
    struct catalog *cat;
    enum oxbow_err err = catalog_of(txn, &cat);

    if (err == OXBOW_OK) {
        *hash = hash64(name.data, name.len, cat->seed) & cat->mask;
    }
    return err;
}

uint64_t catalog_seed(const struct oxbow *db)
{
    union {
        const struct oxbow *in;
        struct oxbow *out;
    } drop = {db}; /* the slot is only read */
    const struct catalog *cat = store_slot_get(drop.out, STORE_SLOT_CATALOG);

    return cat->seed;
}

void catalog_hash_bits(struct oxbow *db, unsigned bits)
{
    struct catalog *cat = store_slot_get(db, STORE_SLOT_CATALOG);

    cat->mask = bits == 0 ? 0 : UINT64_MAX << (64 - bits);
}

static uint64_t tag_of(uint64_t hash, uint32_t number)
{
    uint64_t tag = hash ^ ((uint64_t)number + 1) * 0x9e3779b97f4a7c15u;

    return tag == CATALOG_TAG_ALL ? 1 : tag;
}

enum oxbow_err catalog_tag(struct oxbow_txn *txn, struct oxbow_bytes name, uint64_t *tag)
{
    struct catalog *cat;
    enum oxbow_err err = catalog_of(txn, &cat);

    if (err == OXBOW_OK) {
        *tag = tag_of(hash64(name.data, name.len, cat->seed) & cat->mask, txn_database(txn));
    }
    return err;
}

/* Looks for the name; invariant 1 says where to stop. */
static enum oxbow_err locate(struct oxbow_txn *txn, struct oxbow_bytes name, struct place *at)
{
    uint8_t key[CATALOG_NAME_KEY];
    uint64_t database[2];
    struct catalog *cat;
    enum oxbow_err err = catalog_of(txn, &cat);

    if (err == OXBOW_OK) {
        err = catalog_pair_get(txn, catalog_number_key(key, txn_database(txn)), database);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *at = (struct place){.database = database[0], .count = database[1]};
    at->hash = hash64(name.data, name.len, cat->seed) & cat->mask;
    at->object.tag = tag_of(at->hash, txn_database(txn));
    if (at->database == 0 || name.len > OXBOW_KEY_NAME_MAX) {
        return OXBOW_OK;
    }
    for (;;) {
        struct oxbow_bytes value;
        struct oxbow_bytes there;

        err = kv_get(txn, catalog_name_key(key, at->database, at->hash, at->ordinal), &value);
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
        err = catalog_name_decode(value, &at->object, &there);
        if (err != OXBOW_OK) {
            return err;
        }
        if (there.len == name.len &&
            (name.len == 0 || memcmp(there.data, name.data, name.len) == 0)) {
            at->found = true;
            return OXBOW_OK;
        }
        if (at->ordinal == UINT16_MAX) {
            return OXBOW_ERANGE;
        }
        at->ordinal++;
    }
}

enum oxbow_err catalog_find(struct oxbow_txn *txn, struct oxbow_bytes name, struct object *out)
{
    struct place at;
    enum oxbow_err err = locate(txn, name, &at);

    if (err != OXBOW_OK) {
        return err;
    }
    if (!at.found) {
        return OXBOW_ENOENT;
    }
    *out = at.object;
    return OXBOW_OK;
}

enum oxbow_err catalog_find_typed(struct oxbow_txn *txn, struct oxbow_bytes name,
                                  enum oxbow_type type, struct object *out)
{
    struct object object;
    enum oxbow_err err = catalog_find(txn, name, &object);

    if (err != OXBOW_OK) {
        return err;
    }
    if (object.type != type) {
        return OXBOW_EWRONGTYPE;
    }
    *out = object;
    return OXBOW_OK;
}

/* Takes the next id (invariant 2). */
static enum oxbow_err id_take(struct oxbow_txn *txn, uint64_t *id)
{
    struct catalog *cat;
    uint64_t meta[2];
    uint8_t key[2];
    enum oxbow_err err = catalog_of(txn, &cat);

    if (err == OXBOW_OK) {
        err = catalog_pair_get(txn, catalog_meta_key(key), meta);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *id = meta[0] == 0 ? 1 : meta[0];
    return catalog_pair_put(txn, catalog_meta_key(key), (const uint64_t[2]){*id + 1, cat->seed});
}

static enum oxbow_err count_put(struct oxbow_txn *txn, const struct place *at, uint64_t count)
{
    uint8_t key[3];

    return catalog_pair_put(txn, catalog_number_key(key, txn_database(txn)),
                            (const uint64_t[2]){at->database, count});
}

/* Writes the name's record where locate found that it would go. */
static enum oxbow_err name_add(struct oxbow_txn *txn, struct place *at, struct oxbow_bytes name)
{
    uint8_t value[CATALOG_NAME_HEAD + SHORT_NAME];
    uint8_t key[CATALOG_NAME_KEY];
    bool is_short = name.len <= SHORT_NAME;
    struct oxbow_bytes where;
    enum oxbow_err err;

    if (at->database == 0) {
        err = id_take(txn, &at->database);
        if (err == OXBOW_OK) {
            err = catalog_home_put(txn, at->database, txn_database(txn));
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
    value[0] = (uint8_t)at->object.type;
    put_le64(value + 1, at->object.id);
    if (is_short && name.len > 0) {
        memcpy(value + CATALOG_NAME_HEAD, name.data, name.len);
    }
    where = catalog_name_key(key, at->database, at->hash, at->ordinal);
    err = kv_put(
        txn, where,
        (struct oxbow_bytes){value, is_short ? CATALOG_NAME_HEAD + name.len : CATALOG_NAME_HEAD});
    if (err == OXBOW_OK && !is_short) {
        err = kv_patch(txn, where, CATALOG_NAME_HEAD, name);
    }
    return err == OXBOW_OK ? count_put(txn, at, at->count + 1) : err;
}

/* Moves the record of ordinal `from` to ordinal `to`. */
static enum oxbow_err name_shift(struct oxbow_txn *txn, const struct place *at, uint16_t from,
                                 uint16_t to)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    uint8_t key[CATALOG_NAME_KEY];
    struct oxbow_bytes value;
    uint8_t *copy;
    enum oxbow_err err = kv_get(txn, catalog_name_key(key, at->database, at->hash, from), &value);

    if (err != OXBOW_OK) {
        return err;
    }
    copy = mem_new(alloc, value.len);
    if (copy == NULL) {
        return OXBOW_ENOMEM;
    }
    memcpy(copy, value.data, value.len);
    err = kv_put(txn, catalog_name_key(key, at->database, at->hash, to),
                 (struct oxbow_bytes){copy, value.len});
    mem_free(alloc, copy, value.len);
    return err;
}

/* Removes the name's record: the last one of its hash takes its place (invariant 1). */
static enum oxbow_err name_drop(struct oxbow_txn *txn, const struct place *at)
{
    uint8_t key[CATALOG_NAME_KEY];
    uint16_t last = at->ordinal;
    enum oxbow_err err = OXBOW_OK;

    while (last < UINT16_MAX) {
        struct oxbow_bytes value;

        err = kv_get(txn, catalog_name_key(key, at->database, at->hash, (uint16_t)(last + 1)),
                     &value);
        if (err != OXBOW_OK) {
            break;
        }
        last++;
    }
    if (err == OXBOW_ENOENT) {
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK && last != at->ordinal) {
        err = name_shift(txn, at, last, at->ordinal);
    }
    if (err == OXBOW_OK) {
        err = kv_del(txn, catalog_name_key(key, at->database, at->hash, last));
    }
    return err == OXBOW_OK ? count_put(txn, at, at->count - 1) : err;
}

enum oxbow_err catalog_open(struct oxbow_txn *txn, struct oxbow_bytes name, enum oxbow_type type,
                            struct object *out, bool *made)
{
    struct place at;
    enum oxbow_err err;

    if (name.len > OXBOW_KEY_NAME_MAX) {
        return OXBOW_ETOOBIG;
    }
    err = locate(txn, name, &at);
    if (err != OXBOW_OK) {
        return err;
    }
    if (at.found && at.object.type != type) {
        return OXBOW_EWRONGTYPE;
    }
    if (!at.found) {
        at.object.type = type;
        err = id_take(txn, &at.object.id);
        if (err == OXBOW_OK) {
            err = name_add(txn, &at, name);
        }
        if (err != OXBOW_OK) {
            return txn_fail(txn, err);
        }
    }
    *made = !at.found;
    *out = at.object;
    return OXBOW_OK;
}

enum oxbow_err catalog_remove_empty(struct oxbow_txn *txn, struct oxbow_bytes name)
{
    struct place at;
    enum oxbow_err err = locate(txn, name, &at);

    if (err != OXBOW_OK) {
        return err;
    }
    if (!at.found) {
        return OXBOW_ENOENT;
    }
    err = name_drop(txn, &at);
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

enum oxbow_err catalog_remove(struct oxbow_txn *txn, struct oxbow_bytes name)
{
    struct place at;
    enum oxbow_err err = locate(txn, name, &at);

    if (err != OXBOW_OK) {
        return err;
    }
    if (!at.found) {
        return OXBOW_ENOENT;
    }
    err = name_drop(txn, &at);
    if (err == OXBOW_OK) {
        err = catalog_reap_add(txn, REAP_OBJECT, at.object.id, (uint8_t)at.object.type);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

enum oxbow_err catalog_rename(struct oxbow_txn *txn, struct oxbow_bytes from, struct oxbow_bytes to,
                              bool only_new, struct object *out)
{
    struct place at;
    struct object object;
    struct object there;
    enum oxbow_err err;

    if (to.len > OXBOW_KEY_NAME_MAX) {
        return OXBOW_ETOOBIG;
    }
    err = catalog_find(txn, from, &object);
    if (err != OXBOW_OK) {
        return err;
    }
    err = catalog_find(txn, to, &there);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (err == OXBOW_OK && only_new) {
        return OXBOW_EEXIST;
    }
    if (err == OXBOW_OK && there.id == object.id) {
        *out = object;
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        err = catalog_remove(txn, to);
        if (err != OXBOW_OK) {
            return txn_fail(txn, err);
        }
    }
    err = catalog_remove_empty(txn, from);
    if (err == OXBOW_OK) {
        err = locate(txn, to, &at);
    }
    if (err == OXBOW_OK) {
        object.tag = at.object.tag;
        at.object = object;
        err = name_add(txn, &at, to);
    }
    if (err != OXBOW_OK) {
        return txn_fail(txn, err);
    }
    *out = object;
    return OXBOW_OK;
}

/* Calls `each` for the record that a cursor found, if it is one of the database's names. */
static enum oxbow_err scan_one(struct oxbow_bytes key, struct oxbow_bytes value,
                               enum oxbow_err (*each)(void *ctx, struct oxbow_bytes name,
                                                      const struct object *o),
                               void *ctx)
{
    struct oxbow_bytes name;
    struct object object = {0};
    enum oxbow_err err;

    if (key.len != CATALOG_NAME_KEY) {
        return OXBOW_ECORRUPT;
    }
    err = catalog_name_decode(value, &object, &name);
    return err == OXBOW_OK ? each(ctx, name, &object) : err;
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
    enum oxbow_err err =
        catalog_pair_get(txn, catalog_number_key(from, txn_database(txn)), database);

    if (err == OXBOW_OK) {
        err = kv_cursor_init(&c, txn);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek(&c, catalog_name_key(from, database[0], *cursor, 0), &key, &value);
    while (err == OXBOW_OK && key.len >= 18 && memcmp(key.data, from, 10) == 0) {
        uint64_t hash = get_be64((const uint8_t *)key.data + 10);

        if (given >= count && hash != last) {
            next = hash;
            break;
        }
        err = scan_one(key, value, each, ctx);
        if (err != OXBOW_OK) {
            break;
        }
        last = hash;
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
        catalog_pair_get(txn, catalog_number_key(key, txn_database(txn)), database);

    if (err == OXBOW_OK) {
        *count = database[1];
    }
    return err;
}

enum oxbow_err catalog_flush(struct oxbow_txn *txn)
{
    uint64_t database[2];
    uint8_t key[3];
    struct oxbow_bytes where = catalog_number_key(key, txn_database(txn));
    enum oxbow_err err = catalog_pair_get(txn, where, database);

    if (err != OXBOW_OK || database[1] == 0) {
        return err;
    }
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
        return kv_del(txn, catalog_number_key(key, number));
    }
    err = catalog_pair_put(txn, catalog_number_key(key, number), pair);
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
    if (a == b) {
        return OXBOW_OK;
    }
    err = catalog_pair_get(txn, catalog_number_key(key, a), pair_a);
    if (err == OXBOW_OK) {
        err = catalog_pair_get(txn, catalog_number_key(key, b), pair_b);
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
