/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorted sets: both trees kept in step (zset.h). What the public functions are made of.
 *
 * Invariant: a member is in the members' tree with a score if and only if it is in the tree of scores
 * under that score's order.
 */
#include "engine/keyval/zset.h"

#include "engine/base/buf.h"
#include "engine/base/codec.h"
#include "oxbow/key.h"

#include <string.h>

#define SIGN          ((uint64_t)1 << 63)
#define ZMEMBER_BYTES 64u /* a member of the tree of scores, beside what table_check counts */

/* ---- scores ---- */

static uint64_t score_bits(double score)
{
    uint64_t bits;

    memcpy(&bits, &score, sizeof bits);
    return bits;
}

static double score_of_bits(uint64_t bits)
{
    double score;

    memcpy(&score, &bits, sizeof score);
    return score;
}

uint64_t score_order(double score)
{
    uint64_t bits = score_bits(score == 0 ? 0 : score);

    return (bits & SIGN) != 0 ? ~bits : bits | SIGN;
}

double score_of_order(uint64_t order)
{
    return score_of_bits((order & SIGN) != 0 ? order & ~SIGN : ~order);
}

double score_of_entry(const struct btree_entry *e)
{
    return e->value.len > 0 ? -0.0 : score_of_order(e->order);
}

static bool is_negative_zero(double score)
{
    return score == 0 && score_bits(score) != 0;
}

/* ---- the key ---- */

/* The second tree of a table that was found. */
static enum oxbow_err scores_open(struct zset *z)
{
    enum oxbow_err err = btree_open(&z->scores, z->t.txn, z->t.object.id, BTREE_SCORES);

    if (err == OXBOW_ENOENT || (err == OXBOW_OK && z->scores.count != z->t.members.count)) {
        err = OXBOW_ECORRUPT;
    }
    return err;
}

enum oxbow_err zset_find(struct oxbow_txn *txn, struct oxbow_bytes name, struct zset *z)
{
    enum oxbow_err err = table_find(txn, name, OXBOW_TYPE_ZSET, &z->t);

    return err == OXBOW_OK ? scores_open(z) : err;
}

enum oxbow_err zset_find_to_write(struct oxbow_txn *txn, struct oxbow_bytes name, struct zset *z)
{
    return txn_readonly(txn) ? OXBOW_EREADONLY : zset_find(txn, name, z);
}

enum oxbow_err zset_find_or_make(struct oxbow_txn *txn, struct oxbow_bytes name, uint64_t bytes,
                                 struct zset *z)
{
    enum oxbow_err err =
        table_find_or_make(txn, name, OXBOW_TYPE_ZSET, bytes * 2 + ZMEMBER_BYTES, &z->t);

    if (err != OXBOW_OK) {
        return err;
    }
    return z->t.members.fresh ? btree_make(&z->scores, txn, z->t.object.id, BTREE_SCORES, 0)
                              : scores_open(z);
}

enum oxbow_err zset_close(struct zset *z, enum oxbow_err err)
{
    if (z->t.dirty && err == OXBOW_OK && z->scores.count != z->t.members.count) {
        err = OXBOW_ECORRUPT;
    }
    if (z->t.dirty && err == OXBOW_OK && z->scores.count == 0) {
        err = btree_drop(&z->scores);
    }
    return table_close(&z->t, err);
}

/* ---- members ---- */

/* Into the tree of scores. */
static enum oxbow_err scores_add(struct zset *z, struct oxbow_bytes member,
                                 const struct btree_ref *ref, double score)
{
    struct btree_key key = {score_order(score), member};
    struct btree_entry e = {.order = key.order, .member = *ref};
    struct btree_place p;
    bool equal;
    enum oxbow_err err = btree_find(&z->scores, &key, &p, &equal);

    if (err != OXBOW_OK || equal) {
        return err == OXBOW_OK ? OXBOW_ECORRUPT : err;
    }
    e.member.data = member.data;
    e.value = (struct btree_ref){.data = "\1", .len = is_negative_zero(score)};
    return btree_insert(&p, &e);
}

static enum oxbow_err scores_remove(struct zset *z, struct oxbow_bytes member, double score)
{
    struct btree_key key = {score_order(score), member};
    struct btree_place p;
    struct btree_entry e;
    bool equal = false;
    enum oxbow_err err = btree_find(&z->scores, &key, &p, &equal);

    if (err == OXBOW_OK && !equal) {
        err = OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        err = btree_get(&p, &e);
    }
    return err == OXBOW_OK ? btree_remove(&p, &e) : err;
}

enum oxbow_err zset_put(struct zset *z, struct btree_place *p, const struct oxbow_scored *s)
{
    struct btree_ref ref;
    uint8_t bits[8];
    enum oxbow_err err;

    z->t.dirty = true;
    put_le64(bits, score_bits(s->score));
    err = btree_ref_make(&z->t.members, s->member, BTREE_MEMBER_MAX, &ref);
    if (err == OXBOW_OK) {
        err = table_member_add_ref(&z->t, p, s->member, &ref,
                                   (struct oxbow_bytes){bits, sizeof bits});
    }
    return err == OXBOW_OK ? scores_add(z, s->member, &ref, s->score) : err;
}

enum oxbow_err zset_move(struct zset *z, struct btree_place *p, const struct btree_entry *e,
                         const struct oxbow_scored *s)
{
    struct btree_ref ref = e->member;
    uint8_t bits[8];
    double old = 0;
    enum oxbow_err err = table_score(e, &old);

    if (err != OXBOW_OK) {
        return err;
    }
    put_le64(bits, score_bits(s->score));
    err = table_member_set(&z->t, p, e, (struct oxbow_bytes){bits, sizeof bits});
    if (err == OXBOW_OK) {
        err = scores_remove(z, s->member, old);
    }
    return err == OXBOW_OK ? scores_add(z, s->member, &ref, s->score) : err;
}

enum oxbow_err zset_take(struct zset *z, struct oxbow_bytes member, bool *found)
{
    struct btree_place p;
    struct btree_entry e;
    double score = 0;
    enum oxbow_err err = table_member_find(&z->t, member, &p, &e, found);

    if (err != OXBOW_OK || !*found) {
        return err;
    }
    err = table_score(&e, &score);
    if (err != OXBOW_OK) {
        return err;
    }
    z->t.dirty = true;
    err = scores_remove(z, member, score);
    if (err == OXBOW_OK) { /* the other tree is as it was, and so is the place */
        err = table_member_remove(&z->t, &p, &e);
    }
    return err;
}

enum oxbow_err zset_take_many(struct zset *z, const struct oxbow_result *r)
{
    struct btree_keys keys = {.count = r->item_count};
    struct btree_key *at = keys_new(z->t.txn, keys.count);
    enum oxbow_err err;
    size_t i;

    if (at == NULL) {
        return OXBOW_ENOMEM;
    }
    for (i = 0; i < keys.count; i++) {
        at[i] = (struct btree_key){score_order(r->scores[i]), r->items[i]};
    }
    btree_keys_sort(at, keys.count);
    keys.at = at;
    z->t.dirty = true;
    err = btree_remove_keys(&z->scores, &keys);
    keys_free(z->t.txn, at, keys.count);
    /* What lies outside is the other tree's as well, and goes with that. */
    return err == OXBOW_OK ? table_remove_many(&z->t, r->items, r->item_count) : err;
}

enum oxbow_err zset_take_rank(struct zset *z, uint64_t rank)
{
    const struct oxbow_alloc *alloc = &txn_port(z->t.txn)->alloc;
    uint8_t few[BTREE_MEMBER_MAX];
    uint8_t *bytes = few;
    struct btree_place p;
    struct btree_entry e;
    size_t len = 0;
    bool found = false;
    enum oxbow_err err = btree_find_rank(&z->scores, rank, &p);

    if (err == OXBOW_OK) {
        err = btree_get(&p, &e);
        err = err == OXBOW_ENOENT || (err == OXBOW_OK && e.member.len > SIZE_MAX / 2)
                  ? OXBOW_ECORRUPT
                  : err;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    len = (size_t)e.member.len;
    if (len > sizeof few) {
        bytes = mem_new(alloc, len);
    }
    err = bytes == NULL ? OXBOW_ENOMEM
                        : outside_copy(z->t.txn, z->t.object.id, &e.member, bytes, len);
    if (err == OXBOW_OK) {
        err = zset_take(z, (struct oxbow_bytes){bytes, len}, &found);
    }
    if (bytes != few) {
        mem_free(alloc, bytes, len);
    }
    return err == OXBOW_OK && !found ? OXBOW_ECORRUPT : err;
}

enum oxbow_err zset_item(struct zset *z, const struct btree_entry *e, struct oxbow_result *r)
{
    enum oxbow_err err = outside_item(z->t.txn, z->t.object.id, &e->member, r);

    return err == OXBOW_OK ? result_score(r, score_of_entry(e)) : err;
}

/* ---- storing a result ---- */

/* Into the members' tree of a new set, in the order of their hashes. */
static enum oxbow_err store_members(struct zset *z, const struct oxbow_result *r)
{
    struct table_order order;
    enum oxbow_err err = table_order_open(&z->t, r->items, sizeof *r->items, r->item_count, &order);
    size_t i;

    for (i = 0; err == OXBOW_OK && i < r->item_count; i++) {
        size_t idx = table_order_at(&order, i);
        struct btree_place p;
        struct btree_entry e;
        bool found = false;
        uint8_t bits[8];

        put_le64(bits, score_bits(r->scores[idx]));
        err = table_member_find(&z->t, r->items[idx], &p, &e, &found);
        if (err == OXBOW_OK) {
            err = found ? OXBOW_ECORRUPT
                        : table_member_add(&z->t, &p, r->items[idx],
                                           (struct oxbow_bytes){bits, sizeof bits});
        }
    }
    table_order_close(&z->t, &order);
    return err;
}

/* What an order and its member do not say: where a long member lies, and whether 0 is -0. */
static enum oxbow_err score_find(struct zset *z, const struct btree_key *key, struct btree_ref *ref,
                                 double *score)
{
    struct btree_place p;
    struct btree_entry e;
    bool found = false;
    enum oxbow_err err;

    *ref = (struct btree_ref){.data = key->member.data, .len = key->member.len};
    *score = score_of_order(key->order);
    if (key->member.len <= BTREE_MEMBER_MAX && *score != 0) {
        return OXBOW_OK;
    }
    err = table_member_find(&z->t, key->member, &p, &e, &found);
    if (err != OXBOW_OK || !found) {
        return err == OXBOW_OK ? OXBOW_ECORRUPT : err;
    }
    if (e.member.id != 0) {
        *ref = e.member;
    }
    return table_score(&e, score);
}

/* And into the tree of scores, in the order of these. */
static enum oxbow_err store_scores(struct zset *z, const struct oxbow_result *r)
{
    struct btree_key *at = keys_new(z->t.txn, r->item_count);
    enum oxbow_err err = at == NULL ? OXBOW_ENOMEM : OXBOW_OK;
    size_t i;

    if (at != NULL) {
        for (i = 0; i < r->item_count; i++) {
            at[i] = (struct btree_key){score_order(r->scores[i]), r->items[i]};
        }
        btree_keys_sort(at, r->item_count);
    }
    for (i = 0; err == OXBOW_OK && i < r->item_count; i++) {
        struct btree_ref ref;
        double score;

        err = score_find(z, &at[i], &ref, &score);
        if (err == OXBOW_OK) {
            err = scores_add(z, at[i].member, &ref, score);
        }
    }
    keys_free(z->t.txn, at, r->item_count);
    return err;
}

static enum oxbow_err store_items(struct zset *z, const struct oxbow_result *r)
{
    enum oxbow_err err = store_members(z, r);

    return err == OXBOW_OK ? store_scores(z, r) : err;
}

enum oxbow_err zset_store(struct oxbow_txn *txn, struct oxbow_bytes to,
                          const struct oxbow_result *r)
{
    uint64_t bytes = 0;
    struct zset z;
    enum oxbow_err err =
        r->item_count == 0 ? OXBOW_OK : table_check(txn, r->items, r->item_count, &bytes);

    if (err == OXBOW_OK) {
        err = table_overwrite(txn, to, bytes * 2);
    }
    if (err != OXBOW_OK || r->item_count == 0) {
        return err;
    }
    err = zset_find_or_make(txn, to, bytes, &z);
    if (err != OXBOW_OK) {
        return txn_fail(txn, err);
    }
    err = zset_close(&z, store_items(&z, r));
    return err == OXBOW_OK ? table_touch(&z.t) : err;
}
