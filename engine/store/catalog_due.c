/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that idle work is to look at when their time comes: hashes whose fields expire. It knows nothing
 * of what is done then.
 *
 *   KV_SPACE_OBJECT be64 object 0x02 ->
 *   0         1        2       8     16         24     32
 *   | version | flags | zeros | due | database | hash | from |    le64 each
 *
 * Flags: 1, it is to be swept, from `from` on. Database and hash are those of the name that leads to it,
 * and with them its place in the order of time (catalog_spot.c), letter 'h', is found. One place an
 * object, however much in it waits: what waits is in the object and goes with it, and a place is written
 * only when what is earliest becomes earlier.
 *
 * Invariants: (1) Each record has its place. (2) A place that no record agrees with means nothing.
 */
#include "engine/store/catalog_spot.h"

#define VERSION      1u
#define FLAG_SWEEP   1u
#define RECORD_BYTES 40u

/* On the device, and of caches. */
static const struct spot_order orders[] = {{'h', false, STORE_SLOT_OBJECT_DUE},
                                           {'h', true, STORE_SLOT_OBJECT_DUE_CACHE}};

static const struct spot_order *order_of(const struct spot *s)
{
    return &orders[(s->database & KV_CACHE_ID) != 0];
}

struct record {
    struct object_due want;
    uint64_t database;
    uint64_t hash;
};

static struct oxbow_bytes record_key(uint8_t out[KV_KEY_MAX], uint64_t id)
{
    return (struct oxbow_bytes){out, object_key(out, id, OBJECT_KIND_DUE, NULL, 0)};
}

static enum oxbow_err record_get(struct oxbow_txn *txn, uint64_t id, struct record *r)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    const uint8_t *p;
    enum oxbow_err err = kv_get(txn, record_key(key, id), &value);

    if (err != OXBOW_OK) {
        return err;
    }
    p = value.data;
    if (value.len != RECORD_BYTES || p[0] != VERSION) {
        return OXBOW_ECORRUPT;
    }
    *r = (struct record){
        .want = {get_le64(p + 8), (p[1] & FLAG_SWEEP) != 0, get_le64(p + 32)},
        .database = get_le64(p + 16),
        .hash = get_le64(p + 24),
    };
    return r->want.due == 0 ? OXBOW_ECORRUPT : OXBOW_OK;
}

static struct spot spot_of(const struct record *r, uint64_t id)
{
    return (struct spot){r->want.due, r->database, r->hash, id};
}

static enum oxbow_err place_del(struct oxbow_txn *txn, const struct record *r, uint64_t id)
{
    const struct spot spot = spot_of(r, id);

    return spot_del(txn, order_of(&spot), &spot);
}

/* The record and its place. */
static enum oxbow_err record_put(struct oxbow_txn *txn, uint64_t id, const struct record *r)
{
    const struct spot spot = spot_of(r, id);
    uint8_t value[RECORD_BYTES] = {VERSION, r->want.sweep ? FLAG_SWEEP : 0};
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err;

    put_le64(value + 8, r->want.due);
    put_le64(value + 16, r->database);
    put_le64(value + 24, r->hash);
    put_le64(value + 32, r->want.from);
    err = kv_put(txn, record_key(key, id), (struct oxbow_bytes){value, sizeof value});
    return err == OXBOW_OK ? spot_put(txn, order_of(&spot), &spot) : err;
}

/* Instead of the record that is there, if any; one that makes no sense leaves its place behind. */
static enum oxbow_err record_change(struct oxbow_txn *txn, uint64_t id, const struct record *r)
{
    struct record old;
    enum oxbow_err err = record_get(txn, id, &old);

    if (err == OXBOW_OK) {
        err = place_del(txn, &old, id);
    }
    if (err != OXBOW_OK && err != OXBOW_ENOENT && err != OXBOW_ECORRUPT) {
        return err;
    }
    return record_put(txn, id, r);
}

enum oxbow_err catalog_due_get(struct oxbow_txn *txn, uint64_t id, struct object_due *out)
{
    struct record r;
    enum oxbow_err err = record_get(txn, id, &r);

    if (err == OXBOW_OK) {
        *out = r.want;
    }
    return err;
}

enum oxbow_err catalog_due_put(struct oxbow_txn *txn, struct oxbow_bytes name,
                               const struct object_due *due)
{
    struct catalog_at at;
    enum oxbow_err err = catalog_locate(txn, name, &at);

    if (err == OXBOW_OK && !at.found) {
        err = OXBOW_ECORRUPT;
    }
    return err == OXBOW_OK
               ? record_change(txn, at.object.id, &(struct record){*due, at.database, at.hash})
               : err;
}

enum oxbow_err catalog_due_del(struct oxbow_txn *txn, uint64_t id)
{
    uint8_t key[KV_KEY_MAX];
    struct record r;
    enum oxbow_err err = record_get(txn, id, &r);

    if (err == OXBOW_OK) {
        err = place_del(txn, &r, id);
    }
    if (err == OXBOW_OK || err == OXBOW_ECORRUPT) {
        err = kv_del(txn, record_key(key, id));
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err catalog_due_copy(struct oxbow_txn *txn, uint64_t from, struct oxbow_bytes to)
{
    struct object_due want;
    enum oxbow_err err = catalog_due_get(txn, from, &want);

    if (err == OXBOW_OK) {
        err = catalog_due_put(txn, to, &want);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err catalog_due_moved(struct oxbow_txn *txn, const struct catalog_at *at)
{
    struct record r;
    enum oxbow_err err = record_get(txn, at->object.id, &r);

    if (err == OXBOW_OK) {
        r.database = at->database;
        r.hash = at->hash;
        err = record_change(txn, at->object.id, &r);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err catalog_due_reaped(struct oxbow_txn *txn, uint64_t id)
{
    struct record r;
    enum oxbow_err err = record_get(txn, id, &r);

    if (err == OXBOW_OK) {
        err = place_del(txn, &r, id);
    }
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}

/* ---- idle work ---- */

/* The name that leads to the object of a place, if its record agrees; name->data NULL: it does not. */
static enum oxbow_err name_of(struct oxbow_txn *txn, const struct spot *s, struct spots *known,
                              struct oxbow_bytes *name)
{
    uint64_t ignored = 0;
    struct record r;
    enum oxbow_err err = record_get(txn, s->object, &r);

    *name = (struct oxbow_bytes){NULL, 0};
    if (err == OXBOW_OK &&
        (r.want.due != s->deadline || r.database != s->database || r.hash != s->hash)) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        err = spot_number(txn, s->database, &known->number);
    }
    if (err == OXBOW_OK && known->number < CATALOG_DATABASES) {
        err = spot_name(txn, s, &ignored, name);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* What stands in a place whose time has come. The place goes, if nothing is behind it. */
static enum oxbow_err
one(struct oxbow_txn *txn, struct spots *known, const struct spot *s, size_t *left,
    enum oxbow_err (*each)(struct oxbow_txn *txn, struct oxbow_bytes name, size_t *left))
{
    const struct oxbow_log *log = &txn_port(txn)->log;
    uint32_t own = txn_database(txn);
    struct oxbow_bytes name;
    enum oxbow_err err = name_of(txn, s, known, &name);
    bool stays = err == OXBOW_OK && name.data != NULL;

    if (stays) {
        err = oxbow_txn_select(txn, known->number);
        if (err == OXBOW_OK) {
            err = each(txn, name, left);
        }
        if (oxbow_txn_select(txn, own) != OXBOW_OK) {
            err = OXBOW_EINVAL;
        }
    }
    spot_name_free(txn, name);
    if (err == OXBOW_ECORRUPT && txn_failed(txn) == OXBOW_OK) {
        log->line(log->ctx, OXBOW_LOG_ERROR,
                  "store: a hash is damaged: its fields that have expired cannot be removed");
        stays = false;
        err = OXBOW_OK;
    }
    if (err == OXBOW_ENOENT || err == OXBOW_EWRONGTYPE) { /* the key has expired */
        stays = false;
        err = OXBOW_OK;
    }
    return err == OXBOW_OK && !stays ? spot_del(txn, order_of(s), s) : err;
}

static enum oxbow_err step_in(struct oxbow_txn *txn, const struct spot_order *order, size_t max,
                              enum oxbow_err (*each)(struct oxbow_txn *txn, struct oxbow_bytes name,
                                                     size_t *left),
                              bool *more)
{
    struct spots *known;
    struct spot s;
    size_t left = max;
    enum oxbow_err err = spots_get(txn, order, &known);

    while (err == OXBOW_OK && left > 0) {
        err = spot_due(txn, order, known, &s);
        if (err == OXBOW_OK) {
            left--; /* a look is work as well */
            err = one(txn, known, &s, &left, each);
        }
    }
    *more = *more || err == OXBOW_OK;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err catalog_due_step(struct oxbow_txn *txn, size_t max,
                                enum oxbow_err (*each)(struct oxbow_txn *txn,
                                                       struct oxbow_bytes name, size_t *left),
                                bool *more)
{
    enum oxbow_err err = step_in(txn, &orders[0], max, each, more);

    return err == OXBOW_OK ? step_in(txn, &orders[1], max, each, more) : err;
}

enum oxbow_err catalog_due_mend(struct oxbow_txn *txn, struct oxbow_bytes name, uint64_t id,
                                bool lost)
{
    struct object_due want = {.due = 1, .sweep = true};
    enum oxbow_err err = catalog_due_get(txn, id, &want);

    if (err == OXBOW_ECORRUPT || lost) {
        want = (struct object_due){.due = 1, .sweep = true};
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        err = catalog_due_put(txn, name, &want);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}
