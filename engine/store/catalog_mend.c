/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalog after a salvage: makes it fit what is left of it.
 *
 *   meta lost      names say what they are called, so they are filed under a new seed; ids go on
 *                  far above any that is to be seen
 *   number lost    the database id says itself which number it went by (CATALOG_HOME)
 *   names lost     the database's count says how many
 *
 * Every step may be done again: a name that is where its hash says is left alone.
 */
#include "engine/store/catalog_record.h"

#include "engine/base/buf.h"

#include <string.h>

#define MOVES_MAX  1024u               /* of names, in one step */
#define IDS_BEYOND ((uint64_t)1 << 32) /* ids that may have been given since and left no trace */

static struct oxbow_bytes home_key(uint8_t out[10], uint64_t database)
{
    out[0] = kv_space_of(KV_SPACE_CATALOG, database);
    out[1] = CATALOG_HOME;
    put_be64(out + 2, database);
    return (struct oxbow_bytes){out, 10};
}

enum oxbow_err catalog_home_put(struct oxbow_txn *txn, uint64_t database, uint32_t number)
{
    uint8_t key[10];
    uint8_t value = (uint8_t)number;

    return number == CATALOG_DATABASES
               ? kv_del(txn, home_key(key, database))
               : kv_put(txn, home_key(key, database), (struct oxbow_bytes){&value, 1});
}

static bool is_name(struct oxbow_bytes key)
{
    const uint8_t *p = key.data;

    return key.len == CATALOG_NAME_KEY && p[0] == KV_SPACE_CATALOG && p[1] == CATALOG_NAME;
}

/* The first key at or after `from`, copied. OXBOW_ENOENT. A value that fails its checksum is no
 * obstacle. */
static enum oxbow_err seek(struct oxbow_txn *txn, struct oxbow_bytes from, bool back,
                           uint8_t out[KV_KEY_MAX], size_t *len, struct oxbow_bytes *value)
{
    struct oxbow_bytes key;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = back ? kv_cursor_seek_back(&c, from, &key, value) : kv_cursor_seek(&c, from, &key, value);
    if (err == OXBOW_OK || err == OXBOW_ECORRUPT) {
        memcpy(out, c.key, c.key_len);
        *len = c.key_len;
    }
    kv_cursor_fini(&c);
    return err;
}

/* ---- ids ---- */

/* The highest of the ids that begin `at` bytes into the last key of a space or kind. */
static enum oxbow_err highest(struct oxbow_txn *txn, const uint8_t *prefix, size_t at,
                              uint64_t *high)
{
    uint8_t end[KV_KEY_MAX];
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    size_t len = 0;
    enum oxbow_err err;

    memset(end, 0xff, sizeof end);
    memcpy(end, prefix, at);
    err = seek(txn, (struct oxbow_bytes){end, sizeof end}, true, key, &len, &value);
    if (err == OXBOW_OK && len >= at + 8 && memcmp(key, prefix, at) == 0 &&
        get_be64(key + at) > *high) {
        *high = get_be64(key + at);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err mend_meta(struct oxbow_txn *txn)
{
    static const uint8_t ends[][2] = {{KV_SPACE_OBJECT, 0},
                                      {KV_SPACE_CATALOG, CATALOG_NAME},
                                      {KV_SPACE_CATALOG, CATALOG_HOME},
                                      {KV_SPACE_REAP, REAP_OBJECT},
                                      {KV_SPACE_REAP, REAP_DATABASE}};
    uint64_t meta[2];
    uint64_t high = 0;
    uint8_t key[2];
    size_t i;
    enum oxbow_err err = catalog_pair_get(txn, catalog_meta_key(key), meta);

    if (err != OXBOW_OK || meta[0] != 0) {
        return err;
    }
    for (i = 0; i < sizeof ends / sizeof ends[0] && err == OXBOW_OK; i++) {
        err = highest(txn, ends[i], i == 0 ? 1 : 2, &high);
    }
    if (err != OXBOW_OK || high == 0) {
        return err; /* there was nothing yet */
    }
    return catalog_pair_put(txn, catalog_meta_key(key),
                            (const uint64_t[2]){high + IDS_BEYOND, catalog_seed(txn_store(txn))});
}

/* ---- names ---- */

/* Moves a name to where its hash says, if it is not there. */
static enum oxbow_err name_file(struct oxbow_txn *txn, const uint8_t key[CATALOG_NAME_KEY],
                                struct oxbow_bytes value, bool *moved)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    uint64_t database = get_be64(key + 2);
    uint32_t ordinal = (uint32_t)key[18] << 8 | key[19];
    uint8_t to[CATALOG_NAME_KEY];
    struct catalog_name record;
    struct oxbow_bytes there;
    uint64_t hash = 0;
    uint32_t free_at = 0;
    uint8_t *copy;
    enum oxbow_err err = catalog_name_decode(value, &record);

    *moved = false;
    if (err == OXBOW_OK) {
        err = catalog_hash(txn, record.name, &hash);
    }
    if (err != OXBOW_OK || (hash == get_be64(key + 10) && ordinal == 0)) {
        return err;
    }
    copy = mem_new(alloc, value.len);
    if (copy == NULL) {
        return OXBOW_ENOMEM;
    }
    memcpy(copy, value.data, value.len);
    do {
        err = kv_get(txn, catalog_name_key(to, database, hash, (uint16_t)free_at), &there);
    } while (err == OXBOW_OK && free_at++ < UINT16_MAX);
    if (err == OXBOW_ENOENT && (hash != get_be64(key + 10) || free_at < ordinal)) {
        *moved = true;
        err =
            kv_put(txn, (struct oxbow_bytes){to, sizeof to}, (struct oxbow_bytes){copy, value.len});
        if (err == OXBOW_OK) {
            err = kv_del(txn, (struct oxbow_bytes){key, CATALOG_NAME_KEY});
        }
    }
    mem_free(alloc, copy, value.len);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err mend_names(struct oxbow_txn *txn, bool *more)
{
    uint8_t key[KV_KEY_MAX] = {KV_SPACE_CATALOG, CATALOG_NAME};
    struct oxbow_bytes value;
    size_t len = 2;
    unsigned moves = 0;

    *more = false;
    for (;;) {
        bool moved;
        enum oxbow_err err = seek(txn, (struct oxbow_bytes){key, len}, false, key, &len, &value);

        if (err != OXBOW_OK || !is_name((struct oxbow_bytes){key, len})) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
        err = name_file(txn, key, value, &moved);
        if (err != OXBOW_OK) {
            return err;
        }
        moves += moved;
        if (moves == MOVES_MAX) {
            *more = true;
            return OXBOW_OK;
        }
        key[len++] = 0; /* behind it */
    }
}

/* ---- databases ---- */

struct numbers {
    uint64_t pair[CATALOG_DATABASES][2];
    bool visited[CATALOG_DATABASES];
};

static enum oxbow_err numbers_load(struct oxbow_txn *txn, struct numbers *n)
{
    uint8_t key[3];
    uint32_t i;
    enum oxbow_err err = OXBOW_OK;

    memset(n, 0, sizeof *n);
    for (i = 0; i < CATALOG_DATABASES && err == OXBOW_OK; i++) {
        err = catalog_pair_get(txn, catalog_number_key(key, i), n->pair[i]);
    }
    return err;
}

static uint32_t number_of(const struct numbers *n, uint64_t database)
{
    uint32_t i = 0;

    while (i < CATALOG_DATABASES && n->pair[i][0] != database) {
        i++;
    }
    return i;
}

/* Counts the names of a database from the one in `key` on; `key` is then what comes behind. */
static enum oxbow_err count_names(struct oxbow_txn *txn, uint8_t key[KV_KEY_MAX], size_t *len,
                                  uint64_t *count)
{
    uint64_t database = get_be64(key + 2);
    struct oxbow_bytes k;
    struct oxbow_bytes value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    *count = 0;
    err = kv_cursor_seek(&c, (struct oxbow_bytes){key, *len}, &k, &value);
    while (err == OXBOW_OK && is_name(k) && get_be64((const uint8_t *)k.data + 2) == database) {
        ++*count;
        err = kv_cursor_next(&c, &k, &value);
    }
    kv_cursor_fini(&c);
    put_be64(key + 2, database + 1);
    *len = 10;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* The number that a database id went by; CATALOG_DATABASES when that is not known. */
static enum oxbow_err find_home(struct oxbow_txn *txn, const struct numbers *n, uint64_t database,
                                uint32_t *number)
{
    uint8_t key[10];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, home_key(key, database), &value);

    *number = CATALOG_DATABASES;
    if (err == OXBOW_OK && value.len == 1) {
        uint32_t says = *(const uint8_t *)value.data;

        if (says < CATALOG_DATABASES && n->pair[says][0] == 0) {
            *number = says;
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err mend_database(struct oxbow_txn *txn, struct numbers *n, uint64_t database,
                                    uint64_t count, struct catalog_mend *out)
{
    uint32_t number = number_of(n, database);
    uint8_t key[3];
    bool reaped = false;
    enum oxbow_err err = OXBOW_OK;

    if (number == CATALOG_DATABASES) {
        err = catalog_reap_has(txn, REAP_DATABASE, database, &reaped);
        if (err == OXBOW_OK && !reaped) {
            err = find_home(txn, n, database, &number);
        }
        if (err != OXBOW_OK || reaped) {
            return err;
        }
        if (number == CATALOG_DATABASES) {
            out->homeless = database;
            out->homeless_names += count;
            return OXBOW_OK;
        }
        n->pair[number][0] = database;
        n->pair[number][1] = 0;
    } else if (n->pair[number][1] > count) {
        out->names_lost[number] = n->pair[number][1] - count;
    }
    n->visited[number] = true;
    return n->pair[number][1] == count ? OXBOW_OK
                                       : catalog_pair_put(txn, catalog_number_key(key, number),
                                                          (const uint64_t[2]){database, count});
}

static enum oxbow_err mend_databases(struct oxbow_txn *txn, struct catalog_mend *out)
{
    uint8_t key[KV_KEY_MAX] = {KV_SPACE_CATALOG, CATALOG_NAME};
    struct oxbow_bytes value;
    struct numbers n;
    size_t len = 2;
    uint32_t i;
    enum oxbow_err err = numbers_load(txn, &n);

    memset(out, 0, sizeof *out);
    while (err == OXBOW_OK) {
        uint64_t database;
        uint64_t count;

        err = seek(txn, (struct oxbow_bytes){key, len}, false, key, &len, &value);
        if (err != OXBOW_OK || !is_name((struct oxbow_bytes){key, len})) {
            break;
        }
        database = get_be64(key + 2);
        err = count_names(txn, key, &len, &count);
        if (err == OXBOW_OK) {
            err = mend_database(txn, &n, database, count, out);
        }
    }
    err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    for (i = 0; i < CATALOG_DATABASES && err == OXBOW_OK; i++) {
        out->absent[i] = n.pair[i][0] == 0;
        if (!n.visited[i] && n.pair[i][1] > 0) { /* not a single name is left */
            out->names_lost[i] = n.pair[i][1];
            err = catalog_pair_put(txn, catalog_number_key(key, i),
                                   (const uint64_t[2]){n.pair[i][0], 0});
        }
    }
    return err;
}

enum oxbow_err catalog_mend(struct oxbow_txn *txn, struct catalog_mend *out, bool *more)
{
    enum oxbow_err err = mend_meta(txn);

    memset(out, 0, sizeof *out);
    catalog_names_forget(txn);
    if (err == OXBOW_OK) {
        err = mend_names(txn, more);
    }
    return err == OXBOW_OK && !*more ? mend_databases(txn, out) : err;
}

/* ---- walks ---- */

enum oxbow_err catalog_next(struct oxbow_txn *txn, struct catalog_place *place, uint32_t *database,
                            struct object *object, struct oxbow_bytes *name)
{
    uint8_t key[KV_KEY_MAX] = {KV_SPACE_CATALOG, CATALOG_NAME};
    struct catalog_name record = {.id = 0};
    struct oxbow_bytes value;
    struct numbers n;
    size_t len = 2;
    enum oxbow_err err = numbers_load(txn, &n);

    if (err != OXBOW_OK) {
        return err;
    }
    if (place->key_len > 0) {
        len = place->key_len;
        memcpy(key, place->key, len);
        key[len++] = 0;
    }
    err = seek(txn, (struct oxbow_bytes){key, len}, false, key, &len, &value);
    if (err != OXBOW_OK || !is_name((struct oxbow_bytes){key, len})) {
        return err == OXBOW_OK ? OXBOW_ENOENT : err;
    }
    memcpy(place->key, key, len);
    place->key_len = (uint8_t)len;
    *database = number_of(&n, get_be64(key + 2));
    err = catalog_name_decode(value, &record);
    *object = (struct object){.id = record.id, .type = record.type, .deadline = record.deadline};
    *name = record.name;
    return err;
}

enum oxbow_err catalog_next_object(struct oxbow_txn *txn, uint64_t *id, uint64_t *keys,
                                   bool *reaped)
{
    uint8_t from[9] = {KV_SPACE_OBJECT};
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    *keys = 0;
    put_be64(from + 1, *id + 1);
    err = kv_cursor_seek(&c, (struct oxbow_bytes){from, sizeof from}, &key, &value);
    while ((err == OXBOW_OK || err == OXBOW_ECORRUPT) && c.key_len >= 9 &&
           c.key[0] == KV_SPACE_OBJECT && (*keys == 0 || get_be64(c.key + 1) == *id)) {
        *id = get_be64(c.key + 1);
        ++*keys;
        err = kv_cursor_next(&c, &key, &value);
    }
    kv_cursor_fini(&c);
    if (err != OXBOW_OK && err != OXBOW_ECORRUPT && err != OXBOW_ENOENT) {
        return err;
    }
    return *keys == 0 ? OXBOW_ENOENT : catalog_reap_has(txn, REAP_OBJECT, *id, reaped);
}
