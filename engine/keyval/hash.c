/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes: a table whose members are fields. Nothing here knows how a table is kept. */
#include "engine/keyval/hash.h"

#include "engine/base/num.h"

#define SCAN_COUNT 10u

_Static_assert(OXBOW_HASH_FIELDS == TABLE_MEMBERS && OXBOW_HASH_VALUES == TABLE_VALUES,
               "what is asked for is passed on");

/* ---- fields ---- */

enum oxbow_err hash_field_find(struct table *t, struct oxbow_bytes field, struct btree_place *p,
                               struct btree_entry *e, bool *found)
{
    bool gone = false;
    enum oxbow_err err;

    e->size = 0;
    err = table_member_find(t, field, p, e, found);
    if (err == OXBOW_OK && *found) {
        err = table_gone(t, e, &gone);
        *found = !gone;
    }
    return err;
}

/* ---- writing ---- */

static enum oxbow_err fields_check(const struct oxbow_txn *txn, const struct oxbow_field *fields,
                                   size_t count, uint64_t *bytes)
{
    enum oxbow_err err = fields == NULL || count == 0 ? OXBOW_EINVAL : OXBOW_OK;
    size_t i;

    for (i = 0; err == OXBOW_OK && i < count; i++) {
        err = table_check(txn, &fields[i].name, 1, bytes);
        if (err == OXBOW_OK) {
            err = table_check(txn, &fields[i].value, 1, bytes);
        }
    }
    return err;
}

static enum oxbow_err field_set(struct table *t, const struct oxbow_field *f, bool keep, bool *made)
{
    struct btree_place p;
    struct btree_entry e;
    bool found = false;
    enum oxbow_err err = hash_field_find(t, f->name, &p, &e, &found);

    if (err != OXBOW_OK) {
        return err;
    }
    *made = !found;
    if (!found && e.size == 0) {
        return table_member_add(t, &p, f->name, f->value);
    }
    t->expired += !found;
    return found && keep ? table_member_keep(t, &p, &e, f->value)
                         : table_member_set(t, &p, &e, f->value);
}

enum oxbow_err hash_put(struct oxbow_txn *txn, struct oxbow_bytes key,
                        const struct oxbow_field *fields, size_t count, bool keep, uint64_t *added)
{
    struct table_order order = {0};
    uint64_t sum = 0;
    uint64_t bytes = 0;
    struct table t;
    size_t i;
    enum oxbow_err err = fields_check(txn, fields, count, &bytes);

    if (err == OXBOW_OK) {
        err = table_find_or_make(txn, key, OXBOW_TYPE_HASH, bytes, &t);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = table_order_open(&t, fields, sizeof *fields, count, &order);
    for (i = 0; err == OXBOW_OK && i < count; i++) {
        bool made = false;

        err = field_set(&t, &fields[table_order_at(&order, i)], keep, &made);
        sum += made;
    }
    table_order_close(&t, &order);
    err = table_close(&t, err);
    if (err == OXBOW_OK && added != NULL) {
        *added = sum;
    }
    return err;
}

enum oxbow_err oxbow_hash_set(struct oxbow_txn *txn, struct oxbow_bytes key,
                              const struct oxbow_field *fields, size_t count, uint64_t *added)
{
    return hash_put(txn, key, fields, count, false, added);
}

enum oxbow_err oxbow_hash_set_new(struct oxbow_txn *txn, struct oxbow_bytes key,
                                  struct oxbow_bytes field, struct oxbow_bytes value, bool *set)
{
    const struct oxbow_field f = {field, value};
    uint64_t bytes = 0;
    struct btree_place p;
    struct btree_entry e;
    struct table t;
    bool found = false;
    bool made;
    enum oxbow_err err = set == NULL ? OXBOW_EINVAL : fields_check(txn, &f, 1, &bytes);

    if (err == OXBOW_OK) {
        err = table_find_or_make(txn, key, OXBOW_TYPE_HASH, bytes, &t);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = hash_field_find(&t, field, &p, &e, &found);
    if (err == OXBOW_OK && !found) {
        err = field_set(&t, &f, false, &made);
    }
    err = table_close(&t, err);
    if (err == OXBOW_OK) {
        *set = !found;
    }
    return err;
}

enum oxbow_err oxbow_hash_delete(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 const struct oxbow_bytes *fields, size_t count, uint64_t *deleted)
{
    uint64_t ignored = 0;
    uint64_t sum = 0;
    struct table t;
    enum oxbow_err err = table_check(txn, fields, count, &ignored);

    if (err == OXBOW_ETOOBIG) {
        err = OXBOW_OK; /* simply not there */
    }
    if (err == OXBOW_OK) {
        err = table_find_to_write(txn, key, OXBOW_TYPE_HASH, &t);
    }
    if (err == OXBOW_OK) {
        err = table_delete(&t, fields, count, &sum);
    }
    if (err == OXBOW_ENOENT) {
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK && deleted != NULL) {
        *deleted = sum;
    }
    return err;
}

/* ---- whole numbers ---- */

/* The number that a field holds. OXBOW_EPARSE. */
static enum oxbow_err number_get(struct table *t, const struct btree_entry *e, int64_t *out)
{
    char text[NUM_TEXT_MAX];
    enum oxbow_err err;

    if (e->value.len >= sizeof text) {
        return OXBOW_EPARSE;
    }
    err = outside_copy(t->txn, t->object.id, &e->value, text, (size_t)e->value.len);
    return err == OXBOW_OK ? num_i64((struct oxbow_bytes){text, (size_t)e->value.len}, out) : err;
}

static enum oxbow_err number_add(int64_t number, int64_t by, int64_t *sum)
{
    if ((by > 0 && number > INT64_MAX - by) || (by < 0 && number < INT64_MIN - by)) {
        return OXBOW_ERANGE;
    }
    *sum = number + by;
    return OXBOW_OK;
}

/* Whether the field may be added to: asked before anything is made. A missing hash may. */
static enum oxbow_err add_check(struct oxbow_txn *txn, struct oxbow_bytes key,
                                struct oxbow_bytes field, int64_t by, int64_t *sum)
{
    int64_t number = 0;
    struct btree_place p;
    struct btree_entry e;
    struct table t;
    bool found = false;
    enum oxbow_err err = table_find(txn, key, OXBOW_TYPE_HASH, &t);

    if (err == OXBOW_OK) {
        err = hash_field_find(&t, field, &p, &e, &found);
    }
    if (err == OXBOW_OK && found) {
        err = number_get(&t, &e, &number);
    }
    return err == OXBOW_OK || err == OXBOW_ENOENT ? number_add(number, by, sum) : err;
}

enum oxbow_err oxbow_hash_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                              struct oxbow_bytes field, int64_t by, int64_t *value)
{
    char text[NUM_TEXT_MAX];
    struct oxbow_field f = {.name = field, .value = {text, 0}};
    uint64_t bytes = 0;
    int64_t sum = 0;
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : table_check(txn, &field, 1, &bytes);

    if (err == OXBOW_OK) {
        err = add_check(txn, key, field, by, &sum);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    f.value.len = num_i64_text(text, sum);
    err = hash_put(txn, key, &f, 1, true, NULL);
    if (err == OXBOW_OK && value != NULL) {
        *value = sum;
    }
    return err;
}

/* ---- reading ---- */

enum oxbow_err oxbow_hash_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                              struct oxbow_bytes field, struct oxbow_result *result)
{
    bool present = false;
    enum oxbow_err err = oxbow_hash_get_many(txn, key, &field, 1, &present, result);

    return err == OXBOW_OK && !present ? OXBOW_ENOENT : err;
}

enum oxbow_err oxbow_hash_get_many(struct oxbow_txn *txn, struct oxbow_bytes key,
                                   const struct oxbow_bytes *fields, size_t count, bool *present,
                                   struct oxbow_result *result)
{
    if (present == NULL || result == NULL) {
        return OXBOW_EINVAL;
    }
    return table_get_many(txn, key, OXBOW_TYPE_HASH, &(struct table_ask){fields, count, present},
                          result);
}

enum oxbow_err oxbow_hash_get_all(struct oxbow_txn *txn, struct oxbow_bytes key,
                                  enum oxbow_hash_what what, struct oxbow_result *result)
{
    struct table t;
    enum oxbow_err err = result == NULL || what < OXBOW_HASH_FIELDS || what > OXBOW_HASH_BOTH
                             ? OXBOW_EINVAL
                             : table_read(txn, key, OXBOW_TYPE_HASH, &t, result);

    if (err == OXBOW_OK) {
        err = table_items(&t, what, result);
    }
    return table_read_done(err, result);
}

static enum oxbow_err field_find(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 struct oxbow_bytes field, struct btree_entry *e, bool *found)
{
    struct btree_place p;
    struct table t;
    enum oxbow_err err = field.data == NULL && field.len > 0
                             ? OXBOW_EINVAL
                             : table_find(txn, key, OXBOW_TYPE_HASH, &t);

    *found = false;
    if (err == OXBOW_OK) {
        err = hash_field_find(&t, field, &p, e, found);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err oxbow_hash_has(struct oxbow_txn *txn, struct oxbow_bytes key,
                              struct oxbow_bytes field, bool *has)
{
    struct btree_entry e;
    bool found;
    enum oxbow_err err = has == NULL ? OXBOW_EINVAL : field_find(txn, key, field, &e, &found);

    if (err == OXBOW_OK) {
        *has = found;
    }
    return err;
}

enum oxbow_err oxbow_hash_value_len(struct oxbow_txn *txn, struct oxbow_bytes key,
                                    struct oxbow_bytes field, uint64_t *len)
{
    struct btree_entry e;
    bool found;
    enum oxbow_err err = len == NULL ? OXBOW_EINVAL : field_find(txn, key, field, &e, &found);

    if (err == OXBOW_OK) {
        *len = found ? e.value.len : 0;
    }
    return err;
}

enum oxbow_err oxbow_hash_count(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *count)
{
    return table_count(txn, key, OXBOW_TYPE_HASH, count);
}

enum oxbow_err oxbow_hash_scan(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *cursor,
                               size_t count, struct oxbow_result *result)
{
    uint64_t at = 0; /* of a missing key there is no more */
    struct table t;
    enum oxbow_err err;

    if (result == NULL || cursor == NULL || count > OXBOW_HASH_SCAN_MAX) {
        return OXBOW_EINVAL;
    }
    err = table_read(txn, key, OXBOW_TYPE_HASH, &t, result);
    if (err == OXBOW_OK) {
        at = *cursor;
        err = table_scan(&t, &at, count == 0 ? SCAN_COUNT : count, OXBOW_HASH_BOTH, result);
    }
    err = table_read_done(err, result);
    if (err == OXBOW_OK) {
        *cursor = at;
    }
    return err;
}

enum oxbow_err oxbow_hash_random(struct oxbow_txn *txn, struct oxbow_bytes key, int64_t count,
                                 enum oxbow_hash_what what, struct oxbow_result *result)
{
    struct table t;
    enum oxbow_err err = OXBOW_OK;

    if (count < -OXBOW_HASH_RANDOM_MAX) {
        return OXBOW_ERANGE;
    }
    err = result == NULL || what < OXBOW_HASH_FIELDS || what > OXBOW_HASH_BOTH
              ? OXBOW_EINVAL
              : table_read(txn, key, OXBOW_TYPE_HASH, &t, result);
    if (err == OXBOW_OK) {
        err = table_random(&t, count, what, result);
    }
    return table_read_done(err, result);
}
