/* SPDX-License-Identifier: Apache-2.0 */
/* Sets: a table whose members have no values. Several sets at once: set_combine.c. */
#include "oxbow/set.h"

#include "engine/base/buf.h"
#include "engine/keyval/table.h"
#include "oxbow/key.h"

#include <string.h>

#define SCAN_COUNT 10u

/* ---- adding and removing ---- */

static enum oxbow_err member_add(struct table *t, struct oxbow_bytes member, uint64_t *added)
{
    struct btree_place p;
    struct btree_entry e;
    bool found = false;
    enum oxbow_err err = table_member_find(t, member, &p, &e, &found);

    if (err == OXBOW_OK && !found) {
        err = table_member_add(t, &p, member, (struct oxbow_bytes){NULL, 0});
        (*added)++;
    }
    return err;
}

enum oxbow_err oxbow_set_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                             const struct oxbow_bytes *members, size_t count, uint64_t *added)
{
    struct table_order order = {0};
    uint64_t sum = 0;
    uint64_t bytes = 0;
    struct table t;
    size_t i;
    enum oxbow_err err = table_check(txn, members, count, &bytes);

    if (err == OXBOW_OK) {
        err = table_find_or_make(txn, key, OXBOW_TYPE_SET, bytes, &t);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = table_order_open(&t, members, sizeof *members, count, &order);
    for (i = 0; err == OXBOW_OK && i < count; i++) {
        err = member_add(&t, members[table_order_at(&order, i)], &sum);
    }
    table_order_close(&t, &order);
    err = table_close(&t, err);
    if (err == OXBOW_OK && added != NULL) {
        *added = sum;
    }
    return err;
}

enum oxbow_err oxbow_set_remove(struct oxbow_txn *txn, struct oxbow_bytes key,
                                const struct oxbow_bytes *members, size_t count, uint64_t *removed)
{
    uint64_t ignored = 0;
    uint64_t sum = 0;
    struct table t;
    enum oxbow_err err = table_check(txn, members, count, &ignored);

    if (err == OXBOW_OK || err == OXBOW_ETOOBIG) { /* what is too long is simply not there */
        err = table_find_to_write(txn, key, OXBOW_TYPE_SET, &t);
    }
    if (err == OXBOW_OK) {
        err = table_delete(&t, members, count, &sum);
    } else if (err == OXBOW_ENOENT) {
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK && removed != NULL) {
        *removed = sum;
    }
    return err;
}

static enum oxbow_err rank_item(struct table *t, uint64_t rank, struct oxbow_result *r)
{
    struct btree_place p;
    struct btree_entry e;
    enum oxbow_err err = btree_find_rank(&t->members, rank, &p);

    if (err == OXBOW_OK) {
        err = btree_get(&p, &e);
        err = err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    return err == OXBOW_OK ? table_item(t, &e, TABLE_MEMBERS, r) : err;
}

/* Not all: they are removed as the result has them. */
static enum oxbow_err pop_some(struct table *t, size_t count, struct oxbow_result *r)
{
    uint64_t *ranks = NULL;
    uint64_t deleted;
    size_t i;
    enum oxbow_err err = pick_distinct(t->txn, t->members.count, count, &ranks);

    for (i = 0; err == OXBOW_OK && i < count; i++) {
        err = rank_item(t, ranks[i], r);
    }
    mem_free(&txn_port(t->txn)->alloc, ranks, count * sizeof *ranks);
    if (err == OXBOW_OK) {
        result_finish(r);
        err = table_delete(t, r->items, r->item_count, &deleted);
    }
    return table_took(err, t->txn, r);
}

enum oxbow_err oxbow_set_pop(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t count,
                             struct oxbow_result *result)
{
    struct table t;
    enum oxbow_err err;

    if (result == NULL) {
        return OXBOW_EINVAL;
    }
    err = txn_readonly(txn) ? OXBOW_EREADONLY : table_read(txn, key, OXBOW_TYPE_SET, &t, result);
    if (err == OXBOW_OK && count > 0 && count < t.members.count) {
        return pop_some(&t, (size_t)count, result);
    }
    if (err == OXBOW_OK && count > 0) {
        err = table_items(&t, TABLE_MEMBERS, result);
        if (err == OXBOW_OK) {
            err = oxbow_key_delete(txn, key, NULL);
        }
    }
    return table_read_done(err, result);
}

enum oxbow_err oxbow_set_move(struct oxbow_txn *txn, struct oxbow_bytes from, struct oxbow_bytes to,
                              struct oxbow_bytes member, bool *moved)
{
    struct table t;
    bool there = false;
    enum oxbow_err err = moved == NULL       ? OXBOW_EINVAL
                         : txn_readonly(txn) ? OXBOW_EREADONLY
                                             : oxbow_set_has(txn, from, member, &there);

    if (err != OXBOW_OK) {
        return err;
    }
    if (!there) { /* a `to` of another type is an error only where there is a `from` */
        err = table_find(txn, from, OXBOW_TYPE_SET, &t);
        if (err == OXBOW_OK) {
            err = table_find(txn, to, OXBOW_TYPE_SET, &t);
        }
        if (err == OXBOW_OK || err == OXBOW_ENOENT) {
            *moved = false;
            return OXBOW_OK;
        }
        return err;
    }
    if (from.len != to.len || (from.len > 0 && memcmp(from.data, to.data, from.len) != 0)) {
        err = oxbow_set_add(txn, to, &member, 1, NULL);
        if (err == OXBOW_OK) {
            err = oxbow_set_remove(txn, from, &member, 1, NULL);
        }
    }
    if (err == OXBOW_OK) {
        *moved = true;
    }
    return err;
}

/* ---- reading ---- */

enum oxbow_err oxbow_set_all(struct oxbow_txn *txn, struct oxbow_bytes key,
                             struct oxbow_result *result)
{
    struct table t;
    enum oxbow_err err =
        result == NULL ? OXBOW_EINVAL : table_read(txn, key, OXBOW_TYPE_SET, &t, result);

    if (err == OXBOW_OK) {
        err = table_items(&t, TABLE_MEMBERS, result);
    }
    return table_read_done(err, result);
}

enum oxbow_err oxbow_set_has_many(struct oxbow_txn *txn, struct oxbow_bytes key,
                                  const struct oxbow_bytes *members, size_t count, bool *present)
{
    if (present == NULL) {
        return OXBOW_EINVAL;
    }
    return table_get_many(txn, key, OXBOW_TYPE_SET, &(struct table_ask){members, count, present},
                          NULL);
}

enum oxbow_err oxbow_set_has(struct oxbow_txn *txn, struct oxbow_bytes key,
                             struct oxbow_bytes member, bool *has)
{
    bool there = false;
    enum oxbow_err err =
        has == NULL ? OXBOW_EINVAL : oxbow_set_has_many(txn, key, &member, 1, &there);

    if (err == OXBOW_OK) {
        *has = there;
    }
    return err;
}

enum oxbow_err oxbow_set_count(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *count)
{
    return table_count(txn, key, OXBOW_TYPE_SET, count);
}

enum oxbow_err oxbow_set_random(struct oxbow_txn *txn, struct oxbow_bytes key, int64_t count,
                                struct oxbow_result *result)
{
    struct table t;
    enum oxbow_err err;

    if (count < -OXBOW_SET_RANDOM_MAX) {
        return OXBOW_ERANGE;
    }
    err = result == NULL ? OXBOW_EINVAL : table_read(txn, key, OXBOW_TYPE_SET, &t, result);
    if (err == OXBOW_OK) {
        err = table_random(&t, count, TABLE_MEMBERS, result);
    }
    return table_read_done(err, result);
}

enum oxbow_err oxbow_set_scan(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *cursor,
                              size_t count, struct oxbow_result *result)
{
    uint64_t at = 0; /* of a missing key there is no more */
    struct table t;
    enum oxbow_err err;

    if (result == NULL || cursor == NULL || count > OXBOW_SET_SCAN_MAX) {
        return OXBOW_EINVAL;
    }
    err = table_read(txn, key, OXBOW_TYPE_SET, &t, result);
    if (err == OXBOW_OK) {
        at = *cursor;
        err = table_scan(&t, &at, count == 0 ? SCAN_COUNT : count, TABLE_MEMBERS, result);
    }
    err = table_read_done(err, result);
    if (err == OXBOW_OK) {
        *cursor = at;
    }
    return err;
}
