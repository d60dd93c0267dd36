/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalog's records and the four things that are done with a name: find, add, drop, move.
 * What is done with a database as a whole is in catalog_database.c, what a key's deadline does in
 * catalog_expire.c; what objects leave behind is deleted by catalog_reap.c.
 *
 *   KV_SPACE_CATALOG 00                               le64 next id, le64 hash seed
 *   KV_SPACE_CATALOG 01 u8 number                     le64 database id, le64 names in it
 *   KV_SPACE_CATALOG 02 be64 database id be64 hash be16 ordinal
 *                                                     u8 type, le64 object id, and with 0x80 in
 *                                                     the type le64 deadline, with 0x40 as well
 *                                                     le64 when it was given; the name
 *   KV_SPACE_CATALOG 03 be64 database id              u8 number: should the number's record be lost
 *   KV_SPACE_REAP    01 be64 object id                u8 type
 *   KV_SPACE_REAP    02 be64 database id              u8 0
 *
 * What belongs to a cache (kv.h) has KV_CACHE in its first byte; its ids are of a counter of their own.
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
#include "engine/store/name_cache.h"

#include <string.h>

#define SHORT_NAME 119u /* a record up to here is built on the stack */

struct catalog {
    uint64_t seed;
    uint64_t mask;
    struct name_cache names;
    uint64_t aborts; /* store_abort_count of when a name was changed last */
    bool changed;    /* since that was looked at: an abort may have taken the change back */
};

static void catalog_close(struct oxbow *db, void *p)
{
    struct catalog *cat = p;

    name_cache_fini(&cat->names);
    mem_free(&oxbow_port_of(db)->alloc, cat, sizeof *cat);
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

struct oxbow_bytes catalog_number_in(const struct oxbow_txn *txn, uint8_t out[CATALOG_NUMBER_KEY],
                                     uint32_t number)
{
    (void)catalog_number_key(out, number);
    out[0] |= txn_is_cache(txn, number) ? KV_CACHE : 0;
    return (struct oxbow_bytes){out, 3};
}

struct oxbow_bytes catalog_name_key(uint8_t out[CATALOG_NAME_KEY], uint64_t database, uint64_t hash,
                                    uint16_t ordinal)
{
    out[0] = kv_space_of(KV_SPACE_CATALOG, database);
    out[1] = CATALOG_NAME;
    put_be64(out + 2, database);
    put_be64(out + 10, hash);
    out[18] = (uint8_t)(ordinal >> 8);
    out[19] = (uint8_t)ordinal;
    return (struct oxbow_bytes){out, CATALOG_NAME_KEY};
}

enum oxbow_err catalog_name_decode(struct oxbow_bytes value, struct catalog_name *out)
{
    const uint8_t *p = value.data;
    size_t head = CATALOG_NAME_HEAD;

    if (value.len < CATALOG_NAME_HEAD) {
        return OXBOW_ECORRUPT;
    }
    out->type = (enum oxbow_type)(p[0] & CATALOG_NAME_TYPE);
    out->id = get_le64(p + 1);
    out->deadline = 0;
    out->made_ms = 0;
    if ((p[0] & CATALOG_NAME_TIMED) != 0) {
        head += (p[0] & CATALOG_NAME_MADE) != 0 ? 16 : 8;
        if (value.len < head) {
            return OXBOW_ECORRUPT;
        }
        out->deadline = get_le64(p + CATALOG_NAME_HEAD);
        out->made_ms = head > CATALOG_NAME_HEAD + 8 ? get_le64(p + CATALOG_NAME_HEAD + 8) : 0;
    }
    out->name = (struct oxbow_bytes){p + head, value.len - head};
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
    name_cache_init(&cat->names, &port->alloc, txn_names_max(txn));
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
    name_cache_clear(&cat->names);
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

/* Notes what the record says. */
static enum oxbow_err found(struct oxbow_txn *txn, struct catalog_at *at,
                            const struct catalog_name *record)
{
    at->found = true;
    at->object.type = record->type;
    at->object.id = record->id;
    at->object.deadline = record->deadline;
    at->made_ms = record->made_ms;
    return catalog_expired(txn, record->deadline, record->made_ms, &at->expired);
}

/* Invariant 1 says where to stop. */
enum oxbow_err catalog_locate(struct oxbow_txn *txn, struct oxbow_bytes name, struct catalog_at *at)
{
    uint8_t key[CATALOG_NAME_KEY];
    uint64_t database[2];
    struct catalog *cat;
    enum oxbow_err err = catalog_of(txn, &cat);

    if (err == OXBOW_OK) {
        err = catalog_pair_get(txn, catalog_number_in(txn, key, txn_database(txn)), database);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *at = (struct catalog_at){.database = database[0], .count = database[1]};
    at->hash = hash64(name.data, name.len, cat->seed) & cat->mask;
    at->object.tag = tag_of(at->hash, txn_database(txn));
    if (at->database == 0 || name.len > OXBOW_KEY_NAME_MAX) {
        return OXBOW_OK;
    }
    for (;;) {
        struct catalog_name there;
        struct oxbow_bytes value;

        err = kv_get(txn, catalog_name_key(key, at->database, at->hash, at->ordinal), &value);
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
        err = catalog_name_decode(value, &there);
        if (err != OXBOW_OK) {
            return err;
        }
        if (there.name.len == name.len &&
            (name.len == 0 || memcmp(there.name.data, name.data, name.len) == 0)) {
            return found(txn, at, &there);
        }
        if (at->ordinal == UINT16_MAX) {
            return OXBOW_ERANGE;
        }
        at->ordinal++;
    }
}

/* What was remembered since a name was changed is forgotten if that may have been taken back. */
static void names_check(struct oxbow_txn *txn, struct catalog *cat)
{
    if (cat->changed && cat->aborts != store_abort_count(txn_store(txn))) {
        cat->changed = false;
        name_cache_clear(&cat->names);
    }
}

static void names_touch(struct oxbow_txn *txn, struct catalog *cat)
{
    names_check(txn, cat);
    cat->changed = true;
    cat->aborts = store_abort_count(txn_store(txn));
}

static void name_forget(struct oxbow_txn *txn, const struct catalog_at *at, struct oxbow_bytes name)
{
    struct catalog *cat = store_slot_get(txn_store(txn), STORE_SLOT_CATALOG);

    names_touch(txn, cat);
    name_cache_drop(&cat->names, txn_database(txn), at->hash, name);
}

/* A name just made is soon asked for. The change is noted: should it be taken back, all is forgotten. */
static void name_remember(struct oxbow_txn *txn, const struct catalog_at *at,
                          struct oxbow_bytes name)
{
    struct catalog *cat = store_slot_get(txn_store(txn), STORE_SLOT_CATALOG);

    if (!txn_in_cache(txn)) {
        name_cache_put(&cat->names, txn_database(txn), at->hash, name, &at->object);
    }
}

void catalog_names_forget(struct oxbow_txn *txn)
{
    struct catalog *cat = store_slot_get(txn_store(txn), STORE_SLOT_CATALOG);

    if (cat != NULL) {
        names_touch(txn, cat);
        name_cache_clear(&cat->names);
    }
}

enum oxbow_err catalog_find(struct oxbow_txn *txn, struct oxbow_bytes name, struct object *out)
{
    uint32_t database = txn_database(txn);
    struct catalog *cat;
    struct catalog_at at;
    uint64_t hash;
    enum oxbow_err err = catalog_of(txn, &cat);

    if (err != OXBOW_OK) {
        return err;
    }
    names_check(txn, cat);
    hash = hash64(name.data, name.len, cat->seed) & cat->mask;
    if (!txn_in_cache(txn) && name_cache_get(&cat->names, database, hash, name, out) &&
        (out->deadline == 0 || out->deadline > txn_clock_ms(txn))) {
        out->tag = tag_of(hash, database);
        return OXBOW_OK;
    }
    err = catalog_locate(txn, name, &at);
    if (err != OXBOW_OK) {
        return err;
    }
    if (!at.found || at.expired) {
        return OXBOW_ENOENT;
    }
    if (!txn_in_cache(txn)) { /* there a look-up is to be seen, and costs no more */
        name_cache_put(&cat->names, database, hash, name, &at.object);
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

    if (err == OXBOW_OK && txn_in_cache(txn)) {
        *id = txn_cache_id(txn);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        err = catalog_pair_get(txn, catalog_meta_key(key), meta);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *id = meta[0] == 0 ? 1 : meta[0];
    return catalog_pair_put(txn, catalog_meta_key(key), (const uint64_t[2]){*id + 1, cat->seed});
}

static enum oxbow_err count_put(struct oxbow_txn *txn, const struct catalog_at *at, uint64_t count)
{
    uint8_t key[3];

    return catalog_pair_put(txn, catalog_number_in(txn, key, txn_database(txn)),
                            (const uint64_t[2]){at->database, count});
}

enum oxbow_err catalog_name_put(struct oxbow_txn *txn, const struct catalog_at *at,
                                struct oxbow_bytes name)
{
    uint8_t value[CATALOG_NAME_HEAD + 16 + SHORT_NAME];
    uint8_t key[CATALOG_NAME_KEY];
    struct oxbow_bytes where = catalog_name_key(key, at->database, at->hash, at->ordinal);
    size_t head = CATALOG_NAME_HEAD;
    bool is_short = name.len <= SHORT_NAME;
    enum oxbow_err err;

    name_forget(txn, at, name);
    value[0] = (uint8_t)at->object.type;
    put_le64(value + 1, at->object.id);
    if (at->object.deadline != 0) {
        value[0] |= CATALOG_NAME_TIMED | (at->made_ms != 0 ? CATALOG_NAME_MADE : 0);
        put_le64(value + head, at->object.deadline);
        put_le64(value + head + 8, at->made_ms);
        head += at->made_ms != 0 ? 16 : 8;
    }
    if (is_short && name.len > 0) {
        memcpy(value + head, name.data, name.len);
    }
    err = kv_put(txn, where, (struct oxbow_bytes){value, is_short ? head + name.len : head});
    return err == OXBOW_OK && !is_short ? kv_patch(txn, where, head, name) : err;
}

/* Writes the name's record where it was found that it would go. */
static enum oxbow_err name_add(struct oxbow_txn *txn, struct catalog_at *at,
                               struct oxbow_bytes name)
{
    enum oxbow_err err = OXBOW_OK;

    if (at->database == 0) {
        err = id_take(txn, &at->database);
        if (err == OXBOW_OK) {
            err = catalog_home_put(txn, at->database, txn_database(txn));
        }
    }
    if (err == OXBOW_OK) {
        err = catalog_name_put(txn, at, name);
    }
    if (err == OXBOW_OK && at->object.deadline != 0) {
        err = catalog_deadline_put(txn, at);
    }
    return err == OXBOW_OK ? count_put(txn, at, at->count + 1) : err;
}

/* Moves the record of ordinal `from` to ordinal `to`. */
static enum oxbow_err name_shift(struct oxbow_txn *txn, const struct catalog_at *at, uint16_t from,
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
static enum oxbow_err name_drop(struct oxbow_txn *txn, const struct catalog_at *at,
                                struct oxbow_bytes name)
{
    uint8_t key[CATALOG_NAME_KEY];
    uint16_t last = at->ordinal;
    enum oxbow_err err = OXBOW_OK;

    name_forget(txn, at, name);
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
    if (err == OXBOW_OK && at->object.deadline != 0) {
        err = catalog_deadline_del(txn, at);
    }
    return err == OXBOW_OK ? count_put(txn, at, at->count - 1) : err;
}

enum oxbow_err catalog_drop(struct oxbow_txn *txn, const struct catalog_at *at,
                            struct oxbow_bytes name)
{
    enum oxbow_err err = name_drop(txn, at, name);

    if (err == OXBOW_OK) {
        err = catalog_object_end(txn, at->object.id, (uint8_t)at->object.type);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

/* catalog_locate for those who write: a key that has expired goes first. */
static enum oxbow_err locate(struct oxbow_txn *txn, struct oxbow_bytes name, struct catalog_at *at)
{
    enum oxbow_err err = catalog_locate(txn, name, at);

    if (err == OXBOW_OK && at->expired) {
        err = catalog_expire_at(txn, at, name);
        if (err == OXBOW_OK) {
            err = catalog_locate(txn, name, at);
        }
    }
    return err;
}

enum oxbow_err catalog_open(struct oxbow_txn *txn, struct oxbow_bytes name, enum oxbow_type type,
                            struct object *out, bool *made)
{
    struct catalog_at at;
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
        name_remember(txn, &at, name);
    }
    *made = !at.found;
    *out = at.object;
    return OXBOW_OK;
}

enum oxbow_err catalog_remove_empty(struct oxbow_txn *txn, struct oxbow_bytes name)
{
    struct catalog_at at;
    enum oxbow_err err = locate(txn, name, &at);

    if (err != OXBOW_OK) {
        return err;
    }
    if (!at.found) {
        return OXBOW_ENOENT;
    }
    err = name_drop(txn, &at, name);
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

enum oxbow_err catalog_remove(struct oxbow_txn *txn, struct oxbow_bytes name)
{
    struct catalog_at at;
    enum oxbow_err err = locate(txn, name, &at);

    if (err != OXBOW_OK) {
        return err;
    }
    return at.found ? catalog_drop(txn, &at, name) : OXBOW_ENOENT;
}

/* Whether `to` may be had for the object: what is there goes. */
static enum oxbow_err rename_room(struct oxbow_txn *txn, struct oxbow_bytes to, bool only_new,
                                  const struct object *object)
{
    struct catalog_at there;
    enum oxbow_err err = locate(txn, to, &there);

    if (err != OXBOW_OK || !there.found) {
        return err;
    }
    if (only_new) {
        return OXBOW_EEXIST;
    }
    return there.object.id == object->id ? OXBOW_OK : catalog_drop(txn, &there, to);
}

enum oxbow_err catalog_rename(struct oxbow_txn *txn, struct oxbow_bytes from, struct oxbow_bytes to,
                              bool only_new, struct object *out)
{
    struct catalog_at at;
    struct catalog_at moved;
    enum oxbow_err err;

    if (to.len > OXBOW_KEY_NAME_MAX) {
        return OXBOW_ETOOBIG;
    }
    err = locate(txn, from, &moved);
    if (err == OXBOW_OK) {
        err = moved.found ? rename_room(txn, to, only_new, &moved.object) : OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        err = locate(txn, to, &at);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (!at.found) {
        err = catalog_remove_empty(txn, from);
        if (err == OXBOW_OK) {
            err = locate(txn, to, &at); /* the first was of the same hash, perhaps */
        }
        moved.object.tag = at.object.tag;
        at.object = moved.object;
        at.made_ms = moved.made_ms;
        if (err == OXBOW_OK) {
            err = name_add(txn, &at, to);
        }
        if (err == OXBOW_OK && at.object.type == OXBOW_TYPE_HASH) {
            err = catalog_due_moved(txn, &at);
        }
    }
    if (err != OXBOW_OK) {
        return txn_fail(txn, err);
    }
    *out = at.object;
    return OXBOW_OK;
}

/* In the other database, or back. */
static enum oxbow_err locate_in(struct oxbow_txn *txn, uint32_t database, struct oxbow_bytes name,
                                struct catalog_at *at)
{
    enum oxbow_err err = oxbow_txn_select(txn, database);

    return err == OXBOW_OK ? locate(txn, name, at) : err;
}

enum oxbow_err catalog_move(struct oxbow_txn *txn, struct oxbow_bytes name, uint32_t database,
                            struct object *out)
{
    uint32_t own = txn_database(txn);
    struct catalog_at at;
    struct catalog_at moved;
    enum oxbow_err err;

    if (database < CATALOG_DATABASES && txn_in_cache(txn) != txn_is_cache(txn, database)) {
        return OXBOW_ENOTSUP;
    }
    err = locate(txn, name, &moved);
    if (err == OXBOW_OK && !moved.found) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        err = locate_in(txn, database, name, &at);
    }
    if (err == OXBOW_OK && at.found) {
        err = OXBOW_EEXIST;
    }
    if (oxbow_txn_select(txn, own) != OXBOW_OK || err != OXBOW_OK) {
        return err;
    }
    err = catalog_remove_empty(txn, name);
    if (err == OXBOW_OK) {
        err = locate_in(txn, database, name, &at);
    }
    if (err == OXBOW_OK) {
        moved.object.tag = at.object.tag;
        at.object = moved.object;
        at.made_ms = moved.made_ms;
        err = name_add(txn, &at, name);
    }
    if (err == OXBOW_OK && at.object.type == OXBOW_TYPE_HASH) {
        err = catalog_due_moved(txn, &at);
    }
    if (oxbow_txn_select(txn, own) != OXBOW_OK || err != OXBOW_OK) {
        return txn_fail(txn, err == OXBOW_OK ? OXBOW_EINVAL : err);
    }
    *out = at.object;
    return OXBOW_OK;
}
