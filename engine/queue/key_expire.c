/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that expire, in public dress: conditions, times of the wall clock, and the idle work. The deadlines
 * themselves are the catalog's (store/catalog_expire.c).
 *
 * Invariant: a key that a forward carries has no deadline: it is refused one, and a forward that is made
 * takes it away.
 */
#include "engine/queue/key_expire.h"

#include "engine/queue/forward.h"
#include "engine/queue/policy.h"
#include "engine/queue/wait.h"

#define STEP_KEYS 64u
#define FLAGS     (OXBOW_EXPIRE_NX | OXBOW_EXPIRE_XX | OXBOW_EXPIRE_GT | OXBOW_EXPIRE_LT)

static bool flags_ok(uint32_t flags)
{
    bool nx = (flags & OXBOW_EXPIRE_NX) != 0;

    return (flags & ~FLAGS) == 0 && !(nx && (flags & ~OXBOW_EXPIRE_NX) != 0) &&
           (flags & (OXBOW_EXPIRE_GT | OXBOW_EXPIRE_LT)) != (OXBOW_EXPIRE_GT | OXBOW_EXPIRE_LT);
}

/* Whether the conditions allow it; no deadline is one that never comes. */
static bool allowed(uint32_t flags, uint64_t left_ms, int64_t ttl_ms)
{
    bool has = left_ms != UINT64_MAX;
    bool later = has && ttl_ms > 0 && (uint64_t)ttl_ms > left_ms;
    bool earlier = ttl_ms <= 0 || (uint64_t)ttl_ms < left_ms;

    return !((flags & OXBOW_EXPIRE_NX) != 0 && has) && !((flags & OXBOW_EXPIRE_XX) != 0 && !has) &&
           !((flags & OXBOW_EXPIRE_GT) != 0 && !later) &&
           !((flags & OXBOW_EXPIRE_LT) != 0 && !earlier);
}

enum oxbow_err key_expire_check(struct oxbow_txn *txn, struct oxbow_bytes key)
{
    enum oxbow_err err = forward_forbid_always(txn, key);

    return err == OXBOW_OK ? txn_feature_require(txn, STORE_FEATURE_KEY_EXPIRY) : err;
}

enum oxbow_err oxbow_key_expire(struct oxbow_txn *txn, struct oxbow_bytes key, int64_t ttl_ms,
                                uint32_t flags, enum oxbow_expire_done *done)
{
    uint64_t left_ms;
    enum oxbow_err err;

    if (!flags_ok(flags) || done == NULL || (key.data == NULL && key.len > 0)) {
        return OXBOW_EINVAL;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = catalog_ttl(txn, key, &left_ms);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (err == OXBOW_ENOENT || !allowed(flags, left_ms, ttl_ms)) {
        *done = OXBOW_EXPIRE_NOT;
        return OXBOW_OK;
    }
    if (ttl_ms <= 0) {
        err = oxbow_key_delete(txn, key, NULL);
        if (err == OXBOW_OK) {
            *done = OXBOW_EXPIRE_DELETED;
        }
        return err;
    }
    err = txn_reserve_bytes(txn, CATALOG_DEADLINE_BYTES);
    if (err == OXBOW_OK) {
        err = key_expire_check(txn, key);
    }
    if (err == OXBOW_OK) {
        err = catalog_expire(txn, key, (uint64_t)ttl_ms);
    }
    if (err == OXBOW_OK) {
        *done = OXBOW_EXPIRE_SET;
    }
    return err;
}

int64_t key_expire_span(struct oxbow_txn *txn, int64_t wall_ms)
{
    uint64_t now = txn_wall_ms(txn);

    if (wall_ms < 0) {
        return 0;
    }
    return (uint64_t)wall_ms > now ? (int64_t)((uint64_t)wall_ms - now) : 0;
}

enum oxbow_err oxbow_key_expire_at(struct oxbow_txn *txn, struct oxbow_bytes key, int64_t wall_ms,
                                   uint32_t flags, enum oxbow_expire_done *done)
{
    return oxbow_key_expire(txn, key, key_expire_span(txn, wall_ms), flags, done);
}

enum oxbow_err oxbow_key_persist(struct oxbow_txn *txn, struct oxbow_bytes key, bool *had)
{
    bool has = false;
    enum oxbow_err err;

    if (key.data == NULL && key.len > 0) {
        return OXBOW_EINVAL;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = catalog_persist(txn, key, &has);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (had != NULL) {
        *had = has;
    }
    return OXBOW_OK;
}

enum oxbow_err oxbow_key_ttl(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *left_ms)
{
    return left_ms == NULL || (key.data == NULL && key.len > 0) ? OXBOW_EINVAL
                                                                : catalog_ttl(txn, key, left_ms);
}

enum oxbow_err oxbow_key_expire_time(struct oxbow_txn *txn, struct oxbow_bytes key,
                                     uint64_t *wall_ms)
{
    uint64_t left_ms;
    enum oxbow_err err = wall_ms == NULL ? OXBOW_EINVAL : oxbow_key_ttl(txn, key, &left_ms);

    if (err == OXBOW_OK) {
        *wall_ms = left_ms == UINT64_MAX ? UINT64_MAX : txn_wall_ms(txn) + left_ms;
    }
    return err;
}

/* ---- idle work ---- */

/* Who waits for room in it has some; who looks at it by its tag is told. */
static enum oxbow_err gone(struct oxbow_txn *txn, struct oxbow_bytes name)
{
    struct object object = {.id = 0};
    enum oxbow_err err = catalog_tag(txn, name, &object.tag);

    if (err == OXBOW_OK) {
        err = wait_touch(txn, &object);
    }
    return err == OXBOW_OK ? policy_left_key(txn, name) : err;
}

enum oxbow_err key_expire_step(struct oxbow_txn *txn, bool *more)
{
    return catalog_expire_step(txn, STEP_KEYS, gone, more);
}
