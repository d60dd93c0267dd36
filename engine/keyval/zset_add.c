/* SPDX-License-Identifier: Apache-2.0 */
/* Adding to sorted sets and taking from them, member by member: ZADD, ZREM, ZPOPMIN and their kin. */
#include "engine/keyval/zset.h"
#include "oxbow/key.h"

#define FLAGS_ALL (OXBOW_ZSET_NX | OXBOW_ZSET_XX | OXBOW_ZSET_GT | OXBOW_ZSET_LT | OXBOW_ZSET_INCR)

/* ---- adding ---- */

static bool flags_are_sane(unsigned flags, size_t count)
{
    const unsigned against_nx = OXBOW_ZSET_XX | OXBOW_ZSET_GT | OXBOW_ZSET_LT;
    const unsigned both = OXBOW_ZSET_GT | OXBOW_ZSET_LT;

    return (flags & ~FLAGS_ALL) == 0 && (flags & both) != both &&
           ((flags & OXBOW_ZSET_NX) == 0 || (flags & against_nx) == 0) &&
           ((flags & OXBOW_ZSET_INCR) == 0 || count == 1);
}

static enum oxbow_err members_check(const struct oxbow_txn *txn, const struct oxbow_scored *members,
                                    size_t count, uint64_t *bytes)
{
    enum oxbow_err err = members == NULL || count == 0 ? OXBOW_EINVAL : OXBOW_OK;
    size_t i;

    for (i = 0; err == OXBOW_OK && i < count; i++) {
        err = members[i].score != members[i].score ? OXBOW_EINVAL
                                                   : table_check(txn, &members[i].member, 1, bytes);
    }
    return err;
}

/* One that is there. */
static enum oxbow_err score_change(struct zset *z, unsigned flags, struct btree_place *p,
                                   const struct btree_entry *e, struct oxbow_scored s,
                                   struct oxbow_zset_added *out)
{
    double old = 0;
    enum oxbow_err err = table_score(e, &old);

    if (err != OXBOW_OK) {
        return err;
    }
    out->done = false;
    out->score = old;
    if ((flags & OXBOW_ZSET_NX) != 0) {
        return OXBOW_OK;
    }
    if ((flags & OXBOW_ZSET_INCR) != 0) {
        s.score += old;
        if (s.score != s.score) {
            return OXBOW_ERANGE;
        }
    }
    if (((flags & OXBOW_ZSET_GT) != 0 && s.score <= old) ||
        ((flags & OXBOW_ZSET_LT) != 0 && s.score >= old)) {
        return OXBOW_OK;
    }
    out->done = true;
    out->score = s.score;
    if (s.score == old) {
        return OXBOW_OK;
    }
    out->changed++;
    return zset_move(z, p, e, &s);
}

static enum oxbow_err member_add(struct zset *z, unsigned flags, const struct oxbow_scored *s,
                                 struct oxbow_zset_added *out)
{
    struct btree_place p;
    struct btree_entry e;
    bool found = false;
    enum oxbow_err err = table_member_find(&z->t, s->member, &p, &e, &found);

    if (err != OXBOW_OK) {
        return err;
    }
    if (found) {
        return score_change(z, flags, &p, &e, *s, out);
    }
    out->done = (flags & OXBOW_ZSET_XX) == 0;
    out->score = s->score;
    if (!out->done) {
        return OXBOW_OK;
    }
    out->added++;
    return zset_put(z, &p, s);
}

enum oxbow_err oxbow_zset_add(struct oxbow_txn *txn, struct oxbow_bytes key, unsigned flags,
                              const struct oxbow_scored *members, size_t count,
                              struct oxbow_zset_added *out)
{
    struct oxbow_zset_added sum = {0};
    struct table_order order = {0};
    uint64_t bytes = 0;
    struct zset z;
    size_t i;
    enum oxbow_err err =
        flags_are_sane(flags, count) ? members_check(txn, members, count, &bytes) : OXBOW_EINVAL;

    if (err == OXBOW_OK) {
        err = (flags & OXBOW_ZSET_XX) != 0 ? zset_find_to_write(txn, key, &z)
                                           : zset_find_or_make(txn, key, bytes, &z);
    }
    if (err == OXBOW_OK) {
        err = table_order_open(&z.t, members, sizeof *members, count, &order);
        for (i = 0; err == OXBOW_OK && i < count; i++) {
            err = member_add(&z, flags, &members[table_order_at(&order, i)], &sum);
        }
        table_order_close(&z.t, &order);
        if (err == OXBOW_OK && sum.added > 0) {
            err = table_touch(&z.t);
        }
        err = zset_close(&z, err);
    } else if (err == OXBOW_ENOENT) {
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK && out != NULL) {
        *out = sum;
    }
    return err;
}

/* ---- removing ---- */

/* Those of many that are there are noted with their scores, and go together. */
static enum oxbow_err remove_many(struct zset *z, const struct oxbow_bytes *members, size_t count)
{
    struct oxbow_result found = {0};
    enum oxbow_err err = result_begin(&found, &txn_port(z->t.txn)->alloc, TABLE_RESULT_MAX);
    size_t i;

    for (i = 0; err == OXBOW_OK && i < count; i++) {
        struct btree_place p;
        struct btree_entry e;
        double score = 0;
        bool there = false;

        err = table_member_find(&z->t, members[i], &p, &e, &there);
        if (err == OXBOW_OK && there) {
            err = table_score(&e, &score);
            if (err == OXBOW_OK) {
                err = result_item(&found, members[i]);
            }
            if (err == OXBOW_OK) {
                err = result_score(&found, score);
            }
        }
    }
    if (err == OXBOW_OK) {
        result_finish(&found);
        err = found.item_count > 0 ? zset_take_many(z, &found) : OXBOW_OK;
    }
    oxbow_result_fini(&found);
    return err;
}

enum oxbow_err oxbow_zset_remove(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 const struct oxbow_bytes *members, size_t count, uint64_t *removed)
{
    uint64_t ignored = 0;
    uint64_t sum = 0;
    bool found = false;
    struct zset z;
    enum oxbow_err err = table_check(txn, members, count, &ignored);

    if (err == OXBOW_OK || err == OXBOW_ETOOBIG) { /* what is too long is simply not there */
        err = zset_find_to_write(txn, key, &z);
    }
    if (err == OXBOW_OK) {
        sum = z.scores.count;
        err = zset_close(&z, count == 1 ? zset_take(&z, members[0], &found)
                                        : remove_many(&z, members, count));
        sum -= z.scores.count;
    } else if (err == OXBOW_ENOENT) {
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK && removed != NULL) {
        *removed = sum;
    }
    return err;
}

/* The next one of an end: its entry goes into the result, then from the set. */
static enum oxbow_err pop_one(struct zset *z, enum oxbow_zset_end end, struct oxbow_result *r)
{
    uint64_t rank = end == OXBOW_ZSET_MIN ? 0 : z->scores.count - 1;
    struct btree_place p;
    struct btree_entry e;
    enum oxbow_err err = btree_find_rank(&z->scores, rank, &p);

    if (err == OXBOW_OK) {
        err = btree_get(&p, &e);
        err = err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    if (err == OXBOW_OK) {
        err = zset_item(z, &e, r);
    }
    return err == OXBOW_OK ? zset_take_rank(z, rank) : err;
}

/* `count` of an end, which are there, into the result. */
static enum oxbow_err end_items(struct zset *z, enum oxbow_zset_end end, uint64_t count,
                                struct oxbow_result *r)
{
    bool up = end == OXBOW_ZSET_MIN;
    struct btree_place p;
    struct btree_entry e;
    enum oxbow_err err = btree_find_rank(&z->scores, up ? 0 : z->scores.count, &p);

    if (err == OXBOW_OK) {
        err = up ? btree_get(&p, &e) : btree_prev(&p, &e);
    }
    while (err == OXBOW_OK) {
        err = zset_item(z, &e, r);
        if (err != OXBOW_OK || --count == 0) {
            break;
        }
        err = up ? btree_next(&p, &e) : btree_prev(&p, &e);
    }
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

/* More than one, but not all: they are removed as the result has them. */
static enum oxbow_err pop_some(struct zset *z, enum oxbow_zset_end end, uint64_t count,
                               struct oxbow_result *r)
{
    enum oxbow_err err = end_items(z, end, count, r);

    if (err == OXBOW_OK) {
        result_finish(r);
        err = zset_take_many(z, r);
    }
    return table_took(zset_close(z, err), z->t.txn, r);
}

enum oxbow_err oxbow_zset_pop(struct oxbow_txn *txn, struct oxbow_bytes key,
                              enum oxbow_zset_end end, uint64_t count, struct oxbow_result *result)
{
    struct zset z;
    enum oxbow_err err;

    if (result == NULL || (end != OXBOW_ZSET_MIN && end != OXBOW_ZSET_MAX)) {
        return OXBOW_EINVAL;
    }
    err = result_begin(result, &txn_port(txn)->alloc, OXBOW_ZSET_RESULT_MAX);
    if (err == OXBOW_OK) {
        err = zset_find_to_write(txn, key, &z);
    }
    if (err == OXBOW_OK && count > 1 && count < z.scores.count) {
        return pop_some(&z, end, count, result);
    }
    if (err == OXBOW_OK && count >= z.scores.count) { /* the key goes as a whole */
        err = end_items(&z, end, z.scores.count, result);
        err = err == OXBOW_OK ? oxbow_key_delete(txn, key, NULL) : err;
    } else if (err == OXBOW_OK) {
        err = zset_close(&z, count > 0 ? pop_one(&z, end, result) : OXBOW_OK);
    }
    return table_read_done(err, result);
}
