/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that expire.
 *
 * A key's deadline is in its name's record (catalog.c), so who finds the name sees at once whether it is
 * still to be seen; and in an order of time, from which idle work takes those that are due:
 *
 *   KV_SPACE_EXPIRE 'k' be64 deadline be64 database id be64 hash be64 object id -> nothing
 *
 * Both are by the store's clock. A deadline that was given while a credit could come may be early by
 * that (credit.h): then it is put off when it has come. What has expired goes with the first write to
 * its name, or by idle work, whichever comes first, and the ring (expired.h) is told of it.
 *
 * Invariants: (1) A place in the order that no name's record agrees with means nothing, and goes when its
 * time comes. (2) Each deadline has its place. (3) `first` in memory is never above the earliest deadline
 * in the store, and idle work is asked for at `first`.
 */
#include "engine/base/buf.h"
#include "engine/store/catalog_record.h"
#include "engine/store/credit.h"
#include "engine/store/expired.h"
#include "oxbow/expired.h"

#include <string.h>

#define PLACE_BYTES 34u

/* Hangs on the store. */
struct expiry_state {
    uint64_t first;  /* UINT64_MAX: nothing has a deadline */
    uint64_t low;    /* nothing has an earlier one: looks begin there, behind what was deleted */
    uint64_t aborts; /* store_abort_count when that was read: an abort may have brought one back */
    uint32_t number; /* of the database that the last key to expire was in: the next may be too */
};

/* A place in the order of time. */
struct spot {
    uint64_t deadline;
    uint64_t database;
    uint64_t hash;
    uint64_t object;
};

static void state_close(struct oxbow *db, void *p)
{
    mem_free(&oxbow_port_of(db)->alloc, p, sizeof(struct expiry_state));
}

static struct oxbow_bytes place_key(uint8_t out[PLACE_BYTES], const struct spot *s)
{
    out[0] = KV_SPACE_EXPIRE;
    out[1] = 'k';
    put_be64(out + 2, s->deadline);
    put_be64(out + 10, s->database);
    put_be64(out + 18, s->hash);
    put_be64(out + 26, s->object);
    return (struct oxbow_bytes){out, PLACE_BYTES};
}

static struct spot spot_of(const struct catalog_at *at)
{
    return (struct spot){at->object.deadline, at->database, at->hash, at->object.id};
}

/* The next place behind *s. OXBOW_ENOENT. */
static enum oxbow_err next_spot(struct oxbow_txn *txn, struct spot *s)
{
    uint8_t want[PLACE_BYTES + 1] = {0};
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    (void)place_key(want, s);
    err = kv_cursor_seek(&c, (struct oxbow_bytes){want, sizeof want}, &key, &value);
    if (err == OXBOW_ECORRUPT) {
        err = OXBOW_OK; /* there is nothing in the value */
    }
    if (err == OXBOW_OK &&
        (c.key_len != PLACE_BYTES || c.key[0] != want[0] || c.key[1] != want[1])) {
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
static enum oxbow_err first_spot(struct oxbow_txn *txn, uint64_t low, struct spot *out)
{
    *out = (struct spot){low, 0, 0, 0};
    return next_spot(txn, out);
}

static enum oxbow_err state_get(struct oxbow_txn *txn, struct expiry_state **out)
{
    struct oxbow *db = txn_store(txn);
    struct expiry_state *s = store_slot_get(db, STORE_SLOT_KEY_EXPIRY);
    struct spot spot;
    enum oxbow_err err;

    if (s != NULL && s->aborts == store_abort_count(db)) {
        *out = s;
        return OXBOW_OK;
    }
    err = first_spot(txn, 0, &spot);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (s == NULL) {
        s = mem_new(&txn_port(txn)->alloc, sizeof *s);
        if (s == NULL) {
            return OXBOW_ENOMEM;
        }
        s->number = 0;
        store_slot_set(db, STORE_SLOT_KEY_EXPIRY, s, state_close);
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

/* ---- what the catalog asks ---- */

/* When it is truly due. */
static enum oxbow_err due_at(struct oxbow_txn *txn, uint64_t deadline, uint64_t made_ms,
                             uint64_t *due)
{
    uint64_t early = 0;
    enum oxbow_err err = made_ms == 0 ? OXBOW_OK : credit_since(txn, made_ms, &early);

    *due = deadline + early;
    return err;
}

enum oxbow_err catalog_expired(struct oxbow_txn *txn, uint64_t deadline, uint64_t made_ms,
                               bool *expired)
{
    uint64_t due;
    enum oxbow_err err;

    *expired = false;
    if (deadline == 0 || deadline > txn_clock_ms(txn)) {
        return OXBOW_OK;
    }
    err = due_at(txn, deadline, made_ms, &due);
    *expired = err == OXBOW_OK && due <= txn_clock_ms(txn);
    return err;
}

enum oxbow_err catalog_deadline_put(struct oxbow_txn *txn, const struct catalog_at *at)
{
    const struct spot spot = spot_of(at);
    uint8_t key[PLACE_BYTES];
    struct expiry_state *s;
    enum oxbow_err err = state_get(txn, &s);

    if (err == OXBOW_OK) {
        err = kv_put(txn, place_key(key, &spot), (struct oxbow_bytes){"", 0});
    }
    if (err == OXBOW_OK && spot.deadline < s->first) {
        s->first = spot.deadline;
        txn_idle_at(txn, s->first);
    }
    if (err == OXBOW_OK && spot.deadline < s->low) {
        s->low = spot.deadline;
    }
    return err;
}

enum oxbow_err catalog_deadline_del(struct oxbow_txn *txn, const struct catalog_at *at)
{
    const struct spot spot = spot_of(at);
    uint8_t key[PLACE_BYTES];

    return kv_del(txn, place_key(key, &spot));
}

enum oxbow_err catalog_expire_at(struct oxbow_txn *txn, const struct catalog_at *at,
                                 struct oxbow_bytes name)
{
    enum oxbow_err err = catalog_drop(txn, at, name);

    if (err == OXBOW_OK) {
        expired_note(txn, name);
    }
    return err;
}

/* ---- giving and taking away ---- */

/* Finds a name for one who writes. OXBOW_ENOENT, also for one that has expired. */
static enum oxbow_err find(struct oxbow_txn *txn, struct oxbow_bytes name, struct catalog_at *at)
{
    enum oxbow_err err = catalog_locate(txn, name, at);

    return err == OXBOW_OK && (!at->found || at->expired) ? OXBOW_ENOENT : err;
}

/* Gives the name the deadline in `at`, instead of `old`. */
static enum oxbow_err change(struct oxbow_txn *txn, const struct catalog_at *at, uint64_t old,
                             struct oxbow_bytes name)
{
    struct catalog_at before = *at;
    enum oxbow_err err = OXBOW_OK;

    before.object.deadline = old;
    if (old != 0) {
        err = catalog_deadline_del(txn, &before);
    }
    if (err == OXBOW_OK) {
        err = catalog_name_put(txn, at, name);
    }
    if (err == OXBOW_OK && at->object.deadline != 0) {
        err = catalog_deadline_put(txn, at);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

enum oxbow_err catalog_expire(struct oxbow_txn *txn, struct oxbow_bytes name, uint64_t ttl_ms)
{
    uint64_t now = txn_clock_ms(txn);
    struct catalog_at at;
    uint64_t old;
    enum oxbow_err err = find(txn, name, &at);

    if (err == OXBOW_OK) {
        err = credit_note(txn);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    old = at.object.deadline;
    at.object.deadline = ttl_ms < UINT64_MAX / 2 ? now + ttl_ms : UINT64_MAX / 2;
    at.made_ms = txn_clock_unsure(txn) ? now : 0;
    return old == at.object.deadline && at.made_ms == 0 ? OXBOW_OK : change(txn, &at, old, name);
}

enum oxbow_err catalog_persist(struct oxbow_txn *txn, struct oxbow_bytes name, bool *had)
{
    struct catalog_at at;
    uint64_t old;
    enum oxbow_err err = find(txn, name, &at);

    if (err != OXBOW_OK) {
        return err;
    }
    old = at.object.deadline;
    if (had != NULL) {
        *had = old != 0;
    }
    if (old == 0) {
        return OXBOW_OK;
    }
    at.object.deadline = 0;
    at.made_ms = 0;
    return change(txn, &at, old, name);
}

enum oxbow_err catalog_ttl(struct oxbow_txn *txn, struct oxbow_bytes name, uint64_t *left_ms)
{
    struct catalog_at at;
    uint64_t due;
    enum oxbow_err err = find(txn, name, &at);

    if (err == OXBOW_OK) {
        err = due_at(txn, at.object.deadline, at.made_ms, &due);
    }
    if (err == OXBOW_OK) {
        *left_ms = at.object.deadline == 0 ? UINT64_MAX : due - txn_clock_ms(txn);
    }
    return err;
}

/* ---- removing ---- */

/* The number that a database goes by now; CATALOG_DATABASES: none, it was flushed. */
static enum oxbow_err number_of(struct oxbow_txn *txn, uint64_t database, uint32_t *number)
{
    uint32_t hint = *number;
    enum oxbow_err err = OXBOW_OK;

    for (uint32_t i = 0; i <= CATALOG_DATABASES && err == OXBOW_OK; i++) {
        uint32_t n = i == 0 ? hint : i - 1;
        uint8_t key[CATALOG_NUMBER_KEY];
        uint64_t pair[2] = {0, 0};

        if (n < CATALOG_DATABASES) {
            err = catalog_pair_get(txn, catalog_number_key(key, n), pair);
        }
        if (err == OXBOW_OK && pair[0] == database) {
            *number = n;
            return OXBOW_OK;
        }
    }
    *number = CATALOG_DATABASES;
    return err;
}

/* The name that agrees with the place, in memory of its own; name->data NULL: there is none. */
static enum oxbow_err name_at(struct oxbow_txn *txn, const struct spot *s, struct oxbow_bytes *name)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    struct catalog_name record;
    struct oxbow_bytes value;
    uint8_t key[CATALOG_NAME_KEY];
    uint8_t *copy;

    *name = (struct oxbow_bytes){NULL, 0};
    for (uint32_t ordinal = 0; ordinal <= UINT16_MAX; ordinal++) {
        enum oxbow_err err =
            kv_get(txn, catalog_name_key(key, s->database, s->hash, (uint16_t)ordinal), &value);

        if (err == OXBOW_OK) {
            err = catalog_name_decode(value, &record);
        }
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
        if (record.id == s->object) {
            break;
        }
    }
    if (record.id != s->object || record.deadline != s->deadline) {
        return OXBOW_OK;
    }
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

static void name_free(struct oxbow_txn *txn, struct oxbow_bytes name)
{
    union {
        const void *in;
        void *out;
    } drop = {name.data}; /* it is ours */

    mem_free(&txn_port(txn)->alloc, drop.out, name.len + 1);
}

/* In its database: it goes, or if its deadline was early gets another. */
static enum oxbow_err settle(struct oxbow_txn *txn, struct oxbow_bytes name,
                             enum oxbow_err (*gone)(struct oxbow_txn *txn, struct oxbow_bytes name))
{
    struct catalog_at at;
    uint64_t old;
    enum oxbow_err err = catalog_locate(txn, name, &at);

    if (err != OXBOW_OK || !at.found) {
        return err;
    }
    if (at.expired) {
        err = catalog_expire_at(txn, &at, name);
        return err == OXBOW_OK ? gone(txn, name) : err;
    }
    old = at.object.deadline;
    err = due_at(txn, old, at.made_ms, &at.object.deadline);
    at.made_ms = 0;
    return err == OXBOW_OK ? change(txn, &at, old, name) : err;
}

/* What stands in a place whose time has come; the place goes in any case. */
static enum oxbow_err one(struct oxbow_txn *txn, struct expiry_state *state, const struct spot *s,
                          enum oxbow_err (*gone)(struct oxbow_txn *txn, struct oxbow_bytes name))
{
    const struct oxbow_log *log = &txn_port(txn)->log;
    uint32_t own = txn_database(txn);
    uint8_t key[PLACE_BYTES];
    struct oxbow_bytes name = {NULL, 0};
    enum oxbow_err err = number_of(txn, s->database, &state->number);

    if (err == OXBOW_OK && state->number < CATALOG_DATABASES) {
        err = name_at(txn, s, &name);
    }
    if (err == OXBOW_OK && name.data != NULL) {
        err = oxbow_txn_select(txn, state->number);
        if (err == OXBOW_OK) {
            err = settle(txn, name, gone);
        }
        if (oxbow_txn_select(txn, own) != OXBOW_OK) {
            err = OXBOW_EINVAL;
        }
        name_free(txn, name);
    }
    if (err == OXBOW_ECORRUPT && txn_failed(txn) == OXBOW_OK) {
        log->line(log->ctx, OXBOW_LOG_ERROR, "store: a key that has expired cannot be removed");
        err = OXBOW_OK;
    }
    return err == OXBOW_OK ? kv_del(txn, place_key(key, s)) : err;
}

enum oxbow_err catalog_expire_step(struct oxbow_txn *txn, size_t max,
                                   enum oxbow_err (*gone)(struct oxbow_txn *txn,
                                                          struct oxbow_bytes name),
                                   bool *more)
{
    struct expiry_state *state;
    struct spot s;
    enum oxbow_err err = state_get(txn, &state);

    if (err != OXBOW_OK || state->first == UINT64_MAX) {
        return err;
    }
    for (size_t i = 0; err == OXBOW_OK && i < max; i++) {
        if (i == 0 && state->first > txn_clock_ms(txn)) {
            txn_idle_at(txn, state->first);
            return OXBOW_OK;
        }
        err = first_spot(txn, state->low, &s);
        if (err == OXBOW_OK) {
            state->low = s.deadline;
            state->first = s.deadline;
        }
        if (err == OXBOW_OK && s.deadline > txn_clock_ms(txn)) {
            txn_idle_at(txn, s.deadline);
            return OXBOW_OK;
        }
        if (err == OXBOW_OK) {
            err = one(txn, state, &s, gone);
        }
    }
    if (err == OXBOW_ENOENT) {
        state->first = UINT64_MAX;
        return OXBOW_OK;
    }
    *more = *more || err == OXBOW_OK;
    return err;
}

/* Walks over the places whose time has come. */
enum oxbow_err oxbow_expired_waiting(struct oxbow_txn *txn, uint64_t *count)
{
    uint64_t database[2];
    uint8_t key[CATALOG_NUMBER_KEY];
    struct spot s = {0, 0, 0, 0};
    uint64_t n = 0;
    enum oxbow_err err =
        count == NULL ? OXBOW_EINVAL
                      : catalog_pair_get(txn, catalog_number_key(key, txn_database(txn)), database);

    while (err == OXBOW_OK) {
        struct oxbow_bytes name = {NULL, 0};
        struct catalog_at at;

        err = next_spot(txn, &s);
        if (err == OXBOW_OK && s.deadline > txn_clock_ms(txn)) {
            break;
        }
        if (err == OXBOW_OK && s.database == database[0]) {
            err = name_at(txn, &s, &name);
        }
        if (err == OXBOW_OK && name.data != NULL) {
            err = catalog_locate(txn, name, &at);
            n += err == OXBOW_OK && at.expired;
            name_free(txn, name);
        }
    }
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        *count = n;
        return OXBOW_OK;
    }
    return err;
}

enum oxbow_err catalog_expire_mend(struct oxbow_txn *txn, struct oxbow_bytes name, bool *gone)
{
    struct catalog_at at;
    enum oxbow_err err = catalog_locate(txn, name, &at);

    *gone = false;
    if (err != OXBOW_OK || !at.found || at.object.deadline == 0) {
        return err;
    }
    *gone = at.expired;
    return catalog_deadline_put(txn, &at);
}
