/* SPDX-License-Identifier: Apache-2.0 */
/* Fields that expire, in public dress: conditions and times of the wall clock. How deadlines are kept and what
 * removes the fields is table_time.c's. */
#include "oxbow/hash_expire.h"

#include "engine/keyval/hash.h"
#include "engine/store/credit.h"

#define TIME_BYTES 64u /* what a deadline costs beside the field's bytes */
#define NEVER      HASH_FOR_EVER

static bool flags_ok(uint32_t flags)
{
    return flags == 0 || flags == OXBOW_EXPIRE_NX || flags == OXBOW_EXPIRE_XX ||
           flags == OXBOW_EXPIRE_GT || flags == OXBOW_EXPIRE_LT;
}

static bool allowed(uint32_t flags, uint64_t left_ms, int64_t ttl_ms)
{
    uint64_t ttl = ttl_ms > 0 ? (uint64_t)ttl_ms : 0;

    switch (flags) {
    case OXBOW_EXPIRE_NX:
        return left_ms == NEVER;
    case OXBOW_EXPIRE_XX:
        return left_ms != NEVER;
    case OXBOW_EXPIRE_GT:
        return left_ms != NEVER && ttl > left_ms;
    case OXBOW_EXPIRE_LT:
        return ttl < left_ms;
    default:
        return true;
    }
}

enum oxbow_err hash_left(struct table *t, const struct btree_entry *e, uint64_t *left_ms)
{
    uint64_t due;
    enum oxbow_err err;

    *left_ms = NEVER;
    if (e->deadline == 0) {
        return OXBOW_OK;
    }
    err = catalog_due_at(t->txn, e->deadline, e->made_ms, &due);
    if (err == OXBOW_OK) {
        *left_ms = due - txn_clock_ms(t->txn);
    }
    return err;
}

/* Checks the names and finds the hash. *absent: there is none. */
static enum oxbow_err begin(struct oxbow_txn *txn, struct oxbow_bytes key,
                            const struct oxbow_fields *fields, struct table *t, bool *absent)
{
    uint64_t ignored = 0;
    enum oxbow_err err =
        fields == NULL ? OXBOW_EINVAL : table_check(txn, fields->names, fields->count, &ignored);

    if (err == OXBOW_OK || err == OXBOW_ETOOBIG) { /* what is too long is simply not there */
        err = table_find(txn, key, OXBOW_TYPE_HASH, t);
    }
    *absent = err == OXBOW_ENOENT;
    return *absent ? OXBOW_OK : err;
}

static void all_none(const struct oxbow_fields *fields, enum oxbow_field_done *done)
{
    for (size_t i = 0; i < fields->count; i++) {
        done[i] = OXBOW_FIELD_NONE;
    }
}

/* ---- giving ---- */

/* What is asked for. */
struct span {
    int64_t ttl_ms;
    uint32_t flags;
    uint64_t made_ms;
};

static enum oxbow_err expire_one(struct table *t, struct oxbow_bytes field, const struct span *s,
                                 enum oxbow_field_done *done)
{
    struct btree_place p;
    struct btree_entry e;
    uint64_t left_ms = NEVER;
    bool found = false;
    enum oxbow_err err = OXBOW_OK;

    *done = OXBOW_FIELD_NONE;
    if (t->members.count > 0) {
        err = hash_field_find(t, field, &p, &e, &found);
    }
    if (err == OXBOW_OK && found) {
        err = hash_left(t, &e, &left_ms);
    }
    if (err != OXBOW_OK || !found) {
        return err;
    }
    if (!allowed(s->flags, left_ms, s->ttl_ms)) {
        *done = OXBOW_FIELD_NOT;
        return OXBOW_OK;
    }
    *done = s->ttl_ms > 0 ? OXBOW_FIELD_SET : OXBOW_FIELD_DELETED;
    return s->ttl_ms > 0 ? table_member_time(t, &p, &e, txn_clock_ms(t->txn) + (uint64_t)s->ttl_ms,
                                             s->made_ms)
                         : table_member_remove(t, &p, &e);
}

/* Leave to have fields that expire, and room for what that costs. */
static enum oxbow_err room_make(struct oxbow_txn *txn, const struct oxbow_fields *fields)
{
    uint64_t bytes = OBJECT_DUE_BYTES;
    enum oxbow_err err;

    for (size_t i = 0; i < fields->count; i++) {
        bytes += fields->names[i].len + TIME_BYTES;
    }
    err = bytes > SIZE_MAX / 2 ? OXBOW_ETOOBIG : txn_reserve_bytes(txn, (size_t)bytes);
    if (err == OXBOW_OK) {
        err = txn_feature_require(txn, STORE_FEATURE_FIELDS);
    }
    return err == OXBOW_OK ? credit_note(txn) : err;
}

enum oxbow_err oxbow_hash_expire(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 const struct oxbow_fields *fields, int64_t ttl_ms, uint32_t flags,
                                 enum oxbow_field_done *done)
{
    struct span span = {.ttl_ms = ttl_ms, .flags = flags};
    struct table t;
    bool absent = false;
    enum oxbow_err err = done == NULL || !flags_ok(flags) || ttl_ms > OXBOW_HASH_TTL_MS_MAX
                             ? OXBOW_EINVAL
                         : txn_readonly(txn) ? OXBOW_EREADONLY
                                             : begin(txn, key, fields, &t, &absent);

    if (err == OXBOW_OK && absent) {
        all_none(fields, done);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK && ttl_ms > 0) {
        err = room_make(txn, fields);
        span.made_ms = txn_clock_unsure(txn) ? txn_clock_ms(txn) : 0;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    for (size_t i = 0; err == OXBOW_OK && i < fields->count; i++) {
        err = expire_one(&t, fields->names[i], &span, &done[i]);
    }
    return table_close(&t, err);
}

int64_t oxbow_hash_span(struct oxbow_txn *txn, int64_t wall_ms)
{
    uint64_t now = txn_wall_ms(txn);

    return wall_ms > 0 && (uint64_t)wall_ms > now ? (int64_t)((uint64_t)wall_ms - now) : 0;
}

enum oxbow_err oxbow_hash_expire_at(struct oxbow_txn *txn, struct oxbow_bytes key,
                                    const struct oxbow_fields *fields, int64_t wall_ms,
                                    uint32_t flags, enum oxbow_field_done *done)
{
    return wall_ms > OXBOW_HASH_TTL_MS_MAX
               ? OXBOW_EINVAL
               : oxbow_hash_expire(txn, key, fields, oxbow_hash_span(txn, wall_ms), flags, done);
}

enum oxbow_err oxbow_hash_persist(struct oxbow_txn *txn, struct oxbow_bytes key,
                                  const struct oxbow_fields *fields, enum oxbow_field_done *done)
{
    struct table t;
    bool absent = false;
    enum oxbow_err err = done == NULL        ? OXBOW_EINVAL
                         : txn_readonly(txn) ? OXBOW_EREADONLY
                                             : begin(txn, key, fields, &t, &absent);

    if (err == OXBOW_OK && absent) {
        all_none(fields, done);
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    for (size_t i = 0; err == OXBOW_OK && i < fields->count; i++) {
        struct btree_place p;
        struct btree_entry e;
        bool found = false;

        err = hash_field_find(&t, fields->names[i], &p, &e, &found);
        done[i] = OXBOW_FIELD_NONE;
        if (err == OXBOW_OK && found) {
            done[i] = e.deadline != 0 ? OXBOW_FIELD_SET : OXBOW_FIELD_NEVER;
            err = e.deadline != 0 ? table_member_time(&t, &p, &e, 0, 0) : OXBOW_OK;
        }
    }
    return table_close(&t, err);
}

/* ---- asking ---- */

enum oxbow_err oxbow_hash_ttl(struct oxbow_txn *txn, struct oxbow_bytes key,
                              const struct oxbow_fields *fields, uint64_t *left_ms)
{
    struct table t;
    bool absent = false;
    enum oxbow_err err = left_ms == NULL ? OXBOW_EINVAL : begin(txn, key, fields, &t, &absent);

    for (size_t i = 0; err == OXBOW_OK && i < fields->count; i++) {
        struct btree_place p;
        struct btree_entry e;
        bool found = false;

        left_ms[i] = 0;
        if (!absent) {
            err = hash_field_find(&t, fields->names[i], &p, &e, &found);
        }
        if (err == OXBOW_OK && found) {
            err = hash_left(&t, &e, &left_ms[i]);
        }
    }
    return err;
}

enum oxbow_err oxbow_hash_expire_time(struct oxbow_txn *txn, struct oxbow_bytes key,
                                      const struct oxbow_fields *fields, uint64_t *wall_ms)
{
    enum oxbow_err err = oxbow_hash_ttl(txn, key, fields, wall_ms);

    for (size_t i = 0; err == OXBOW_OK && i < fields->count; i++) {
        if (wall_ms[i] != 0 && wall_ms[i] != NEVER) {
            wall_ms[i] += txn_wall_ms(txn);
        }
    }
    return err;
}

enum oxbow_err oxbow_hash_timed(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *count)
{
    struct table t;
    enum oxbow_err err = count == NULL ? OXBOW_EINVAL : table_find(txn, key, OXBOW_TYPE_HASH, &t);
    bool absent = err == OXBOW_ENOENT;

    if (err == OXBOW_OK) {
        err = table_times(&t);
    }
    if (err == OXBOW_OK || absent) {
        *count = absent ? 0 : t.times.count;
        return OXBOW_OK;
    }
    return err;
}

/* ---- setting ---- */

/* Whether the fields are there as the condition wants them. */
static enum oxbow_err condition_met(struct oxbow_txn *txn, struct oxbow_bytes key,
                                    const struct oxbow_field *fields, size_t count,
                                    enum oxbow_hash_if condition, bool *met)
{
    enum oxbow_err err = OXBOW_OK;

    *met = true;
    for (size_t i = 0; condition != OXBOW_HASH_ALWAYS && err == OXBOW_OK && *met && i < count;
         i++) {
        bool has;

        err = oxbow_hash_has(txn, key, fields[i].name, &has);
        if (err == OXBOW_OK) {
            *met = has == (condition == OXBOW_HASH_IF_ALL);
        }
    }
    return err;
}

static bool options_ok(const struct oxbow_hash_set_options *opt)
{
    return opt != NULL && (unsigned)opt->condition <= OXBOW_HASH_IF_ALL &&
           !(opt->keep && opt->timed) && opt->ttl_ms <= OXBOW_HASH_TTL_MS_MAX;
}

enum oxbow_err oxbow_hash_set_timed(struct oxbow_txn *txn, struct oxbow_bytes key,
                                    const struct oxbow_field *fields, size_t count,
                                    const struct oxbow_hash_set_options *opt, bool *set)
{
    bool met = false;
    enum oxbow_err err = set == NULL || !options_ok(opt) || fields == NULL || count == 0
                             ? OXBOW_EINVAL
                         : txn_readonly(txn) ? OXBOW_EREADONLY
                                             : OXBOW_OK;

    if (err == OXBOW_OK) {
        err = condition_met(txn, key, fields, count, opt->condition, &met);
    }
    if (err == OXBOW_OK && met && opt->timed && opt->ttl_ms > 0) {
        err = txn_feature_require(txn, STORE_FEATURE_FIELDS);
    }
    if (err == OXBOW_OK && met) {
        err = hash_put(txn, key, fields, count, opt->keep || opt->timed, NULL);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    for (size_t i = 0; met && opt->timed && err == OXBOW_OK && i < count; i++) {
        const struct oxbow_fields one = {&fields[i].name, 1};
        enum oxbow_field_done done;

        err = oxbow_hash_expire(txn, key, &one, opt->ttl_ms, 0, &done);
    }
    if (err == OXBOW_OK) {
        *set = met;
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

void oxbow_hash_expire_idle(struct oxbow_txn *txn)
{
    table_time_attach(txn);
}
