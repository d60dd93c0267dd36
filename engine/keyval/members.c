/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes, sets and sorted sets of a stand-in, as the merge wants them (store/members.h). Added one by one,
 * by the functions that programs use: a member is in memory once, and the store's limits hold.
 */
#include "engine/store/members.h"
#include "engine/keyval/hash.h"
#include "oxbow/hash_expire.h"
#include "oxbow/set.h"
#include "oxbow/zset.h"

#define RESULT_MAX (SIZE_MAX / 2)

/* ---- which ---- */

/* The first member. OXBOW_ENOENT: there is none. */
static enum oxbow_err first(struct table *t, struct btree_place *p, struct btree_entry *e)
{
    enum oxbow_err err = btree_find_rank(&t->members, 0, p);

    return err == OXBOW_OK ? btree_get(p, e) : err;
}

static enum oxbow_err look(struct oxbow_txn *from, struct members_batch *b, size_t most,
                           uint64_t bytes, size_t *count)
{
    uint64_t sum = 0;
    struct btree_place p;
    struct btree_entry e;
    struct table t;
    enum oxbow_err err = table_find(from, b->key, b->type, &t);

    *count = 0;
    if (err == OXBOW_OK) {
        err = first(&t, &p, &e);
    }
    while (err == OXBOW_OK) {
        sum += e.size + (e.member.id != 0 ? e.member.len : 0) + (e.value.id != 0 ? e.value.len : 0);
        if (*count > 0 && (*count >= most || sum > bytes) && e.order != b->upto) {
            return OXBOW_OK;
        }
        b->upto = e.order;
        (*count)++;
        err = btree_next(&p, &e);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* ---- adding ---- */

static enum oxbow_err put_field(struct oxbow_txn *to, struct oxbow_bytes key,
                                const struct oxbow_field *field, uint64_t left_ms)
{
    struct oxbow_hash_set_options opt = {.timed = left_ms != HASH_FOR_EVER};
    bool set;

    if (opt.timed) {
        opt.ttl_ms = left_ms < OXBOW_HASH_TTL_MS_MAX ? (int64_t)left_ms : OXBOW_HASH_TTL_MS_MAX;
    }
    return oxbow_hash_set_timed(to, key, field, 1, &opt, &set);
}

/* The member `e`, whose bytes are `member`. */
static enum oxbow_err put_one(struct table *t, const struct btree_entry *e,
                              struct oxbow_bytes member, const struct members_batch *b,
                              struct oxbow_txn *to)
{
    struct oxbow_field field = {.name = member};
    struct oxbow_scored scored = {.member = member};
    uint64_t left_ms;
    struct buf value;
    enum oxbow_err err;

    if (b->type == OXBOW_TYPE_SET) {
        return oxbow_set_add(to, b->to, &member, 1, NULL);
    }
    if (b->type == OXBOW_TYPE_ZSET) {
        err = table_score(e, &scored.score);
        return err == OXBOW_OK ? oxbow_zset_add(to, b->to, 0, &scored, 1, NULL) : err;
    }
    buf_init(&value, &txn_port(to)->alloc, RESULT_MAX);
    err = outside_peek(t->txn, t->object.id, &e->value, &value, &field.value);
    if (err == OXBOW_OK) {
        err = hash_left(t, e, &left_ms);
    }
    if (err == OXBOW_OK) {
        err = put_field(to, b->to, &field, left_ms);
    }
    buf_fini(&value);
    return err;
}

static enum oxbow_err put(struct oxbow_txn *from, const struct members_batch *b,
                          struct oxbow_txn *to, size_t *gone)
{
    struct oxbow_bytes bytes;
    struct btree_place p;
    struct btree_entry e;
    struct buf member;
    struct table t;
    enum oxbow_err err = table_find(from, b->key, b->type, &t);

    *gone = 0;
    if (err == OXBOW_OK) {
        err = first(&t, &p, &e);
    }
    buf_init(&member, &txn_port(to)->alloc, RESULT_MAX);
    while (err == OXBOW_OK && e.order <= b->upto) {
        bool over = false;

        err = table_gone(&t, &e, &over);
        *gone += over;
        if (err == OXBOW_OK && !over) {
            err = outside_peek(from, t.object.id, &e.member, &member, &bytes);
            err = err == OXBOW_OK ? put_one(&t, &e, bytes, b, to) : err;
            err = err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err; /* that would be the end */
        }
        if (err == OXBOW_OK) {
            err = btree_next(&p, &e);
        }
    }
    buf_fini(&member);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* ---- removing ---- */

static enum oxbow_err members_of(struct oxbow_txn *from, const struct members_batch *b,
                                 struct oxbow_result *r)
{
    struct btree_place p;
    struct btree_entry e;
    struct table t;
    enum oxbow_err err = table_find(from, b->key, b->type, &t);

    if (err == OXBOW_OK) {
        err = first(&t, &p, &e);
    }
    while (err == OXBOW_OK && e.order <= b->upto) {
        err = table_item(&t, &e, TABLE_MEMBERS, r);
        if (err == OXBOW_OK) {
            err = btree_next(&p, &e);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err take(struct oxbow_txn *from, const struct members_batch *b)
{
    struct oxbow_result r = {0};
    enum oxbow_err err = result_begin(&r, &txn_port(from)->alloc, RESULT_MAX);

    if (err == OXBOW_OK) {
        err = members_of(from, b, &r);
    }
    if (err == OXBOW_OK && result_count(&r) > 0) {
        result_finish(&r);
        err = b->type == OXBOW_TYPE_HASH
                  ? oxbow_hash_delete(from, b->key, r.items, r.item_count, NULL)
              : b->type == OXBOW_TYPE_SET
                  ? oxbow_set_remove(from, b->key, r.items, r.item_count, NULL)
                  : oxbow_zset_remove(from, b->key, r.items, r.item_count, NULL);
    }
    oxbow_result_fini(&r);
    return err;
}

const struct oxbow_members *oxbow_members(void)
{
    static const struct oxbow_members members = {look, put, take};

    return &members;
}
