/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that expire.
 *
 * A key's deadline is in its name's record (catalog.c), so who finds the name sees at once whether it is
 * still to be seen; and in an order of time (catalog_spot.c), letter 'k', from which idle work takes those
 * that are due.
 *
 * Both are by the store's clock. A deadline that was given while a credit could come may be early by
 * that (credit.h): then it is put off when it has come. What has expired goes with the first write to
 * its name, or by idle work, whichever comes first, and the ring (expired.h) is told of it.
 *
 * Invariants: (1) A place in the order that no name's record agrees with means nothing. (2) Each deadline
 * has its place.
 */
#include "engine/store/catalog_spot.h"
#include "engine/store/credit.h"
#include "engine/store/expired.h"
#include "oxbow/expired.h"

/* On the device, and of caches. */
static const struct spot_order orders[] = {{'k', false, STORE_SLOT_KEY_EXPIRY},
                                           {'k', true, STORE_SLOT_KEY_EXPIRY_CACHE}};

static const struct spot_order *order_of(const struct spot *s)
{
    return &orders[(s->database & KV_CACHE_ID) != 0];
}

static struct spot spot_of(const struct catalog_at *at)
{
    return (struct spot){at->object.deadline, at->database, at->hash, at->object.id};
}

/* ---- what the catalog asks ---- */

enum oxbow_err catalog_due_at(struct oxbow_txn *txn, uint64_t deadline, uint64_t made_ms,
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
    err = catalog_due_at(txn, deadline, made_ms, &due);
    *expired = err == OXBOW_OK && due <= txn_clock_ms(txn);
    return err;
}

enum oxbow_err catalog_deadline_put(struct oxbow_txn *txn, const struct catalog_at *at)
{
    const struct spot spot = spot_of(at);

    return spot_put(txn, order_of(&spot), &spot);
}

enum oxbow_err catalog_deadline_del(struct oxbow_txn *txn, const struct catalog_at *at)
{
    const struct spot spot = spot_of(at);

    return spot_del(txn, order_of(&spot), &spot);
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
        err = catalog_due_at(txn, at.object.deadline, at.made_ms, &due);
    }
    if (err == OXBOW_OK) {
        *left_ms = at.object.deadline == 0 ? UINT64_MAX : due - txn_clock_ms(txn);
    }
    return err;
}

/* ---- removing ---- */

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
    err = catalog_due_at(txn, old, at.made_ms, &at.object.deadline);
    at.made_ms = 0;
    return err == OXBOW_OK ? change(txn, &at, old, name) : err;
}

/* What stands in a place whose time has come; the place goes in any case. */
static enum oxbow_err one(struct oxbow_txn *txn, struct spots *known, const struct spot *s,
                          enum oxbow_err (*gone)(struct oxbow_txn *txn, struct oxbow_bytes name))
{
    const struct oxbow_log *log = &txn_port(txn)->log;
    uint32_t own = txn_database(txn);
    struct oxbow_bytes name = {NULL, 0};
    uint64_t deadline = 0;
    enum oxbow_err err = spot_number(txn, s->database, &known->number);

    if (err == OXBOW_OK && known->number < CATALOG_DATABASES) {
        err = spot_name(txn, s, &deadline, &name);
    }
    if (err == OXBOW_OK && name.data != NULL && deadline == s->deadline) {
        err = oxbow_txn_select(txn, known->number);
        if (err == OXBOW_OK) {
            err = settle(txn, name, gone);
        }
        if (oxbow_txn_select(txn, own) != OXBOW_OK) {
            err = OXBOW_EINVAL;
        }
    }
    spot_name_free(txn, name);
    if (err == OXBOW_ECORRUPT && txn_failed(txn) == OXBOW_OK) {
        log->line(log->ctx, OXBOW_LOG_ERROR, "store: a key that has expired cannot be removed");
        err = OXBOW_OK;
    }
    return err == OXBOW_OK ? spot_del(txn, order_of(s), s) : err;
}

static enum oxbow_err
step_in(struct oxbow_txn *txn, const struct spot_order *order, size_t max,
        enum oxbow_err (*gone)(struct oxbow_txn *txn, struct oxbow_bytes name), bool *more)
{
    struct spots *known;
    struct spot s;
    enum oxbow_err err = spots_get(txn, order, &known);

    for (size_t i = 0; err == OXBOW_OK && i < max; i++) {
        err = spot_due(txn, order, known, &s);
        if (err == OXBOW_OK) {
            err = one(txn, known, &s, gone);
        }
    }
    *more = *more || err == OXBOW_OK;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err catalog_expire_step(struct oxbow_txn *txn, size_t max,
                                   enum oxbow_err (*gone)(struct oxbow_txn *txn,
                                                          struct oxbow_bytes name),
                                   bool *more)
{
    enum oxbow_err err = step_in(txn, &orders[0], max, gone, more);

    return err == OXBOW_OK ? step_in(txn, &orders[1], max, gone, more) : err;
}

/* Walks over the places whose time has come. */
enum oxbow_err oxbow_expired_waiting(struct oxbow_txn *txn, uint64_t *count)
{
    const struct spot_order *order = &orders[txn_in_cache(txn)];
    uint64_t database[2];
    uint8_t key[CATALOG_NUMBER_KEY];
    struct spot s = {0, 0, 0, 0};
    uint64_t n = 0;
    enum oxbow_err err =
        count == NULL
            ? OXBOW_EINVAL
            : catalog_pair_get(txn, catalog_number_in(txn, key, txn_database(txn)), database);

    while (err == OXBOW_OK) {
        struct oxbow_bytes name = {NULL, 0};
        uint64_t deadline = 0;
        struct catalog_at at;

        err = spot_next(txn, order, &s);
        if (err == OXBOW_OK && s.deadline > txn_clock_ms(txn)) {
            break;
        }
        if (err == OXBOW_OK && s.database == database[0]) {
            err = spot_name(txn, &s, &deadline, &name);
        }
        if (err == OXBOW_OK && name.data != NULL && deadline == s.deadline) {
            err = catalog_locate(txn, name, &at);
            n += err == OXBOW_OK && at.expired;
        }
        spot_name_free(txn, name);
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
