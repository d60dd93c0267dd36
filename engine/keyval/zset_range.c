/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges of sorted sets. Whatever a range is given by, it comes to two ranks: everything else is
 * walking from the one to the other.
 */
#include "engine/keyval/zset.h"
#include "oxbow/key.h"

#define STEP_BYTES 64u /* what a member that is to go takes in memory, without its bytes */

/* Ranks `low` up to, not including, `high`. */
struct span {
    uint64_t low;
    uint64_t high;
};

static bool range_is_sane(const struct oxbow_zset_range *r)
{
    if (r == NULL) {
        return false;
    }
    switch (r->by) {
    case OXBOW_ZSET_BY_INDEX:
        return !r->limited;
    case OXBOW_ZSET_BY_SCORE:
        return r->min == r->min && r->max == r->max;
    case OXBOW_ZSET_BY_LEX:
        return (r->from.data != NULL || r->from.len == 0) && (r->to.data != NULL || r->to.len == 0);
    default:
        return false;
    }
}

/* ---- from what is asked for to ranks ---- */

static void span_of_index(const struct oxbow_zset_range *r, uint64_t count, struct span *s)
{
    int64_t n = (int64_t)count;
    int64_t start = r->start < 0 ? (r->start < -n ? 0 : r->start + n) : r->start;
    int64_t stop = r->stop < 0 ? (r->stop < -n ? -1 : r->stop + n) : r->stop;

    if (stop >= n) {
        stop = n - 1;
    }
    *s = (struct span){0, 0};
    if (start > stop || start >= n) {
        return;
    }
    *s = r->reverse ? (struct span){(uint64_t)(n - 1 - stop), (uint64_t)(n - start)}
                    : (struct span){(uint64_t)start, (uint64_t)(stop + 1)};
}

/* How many members are before (order, member), or with `beyond` not after it. */
static enum oxbow_err rank_of(struct zset *z, const struct btree_key *key, bool beyond,
                              uint64_t *rank)
{
    struct btree_place p;
    bool equal;
    enum oxbow_err err = btree_find(&z->scores, key, &p, &equal);

    *rank = p.rank + (beyond && equal);
    return err;
}

/* The order after a score's has no member as long as that is none's: the least member of it is where
 * the score ends. */
static enum oxbow_err span_of_score(struct zset *z, const struct oxbow_zset_range *r,
                                    struct span *s)
{
    struct btree_key low = {.order = score_order(r->min) + r->low_open};
    struct btree_key high = {.order = score_order(r->max) + !r->high_open};
    enum oxbow_err err = rank_of(z, &low, false, &s->low);

    return err == OXBOW_OK ? rank_of(z, &high, false, &s->high) : err;
}

static enum oxbow_err span_of_lex(struct zset *z, const struct oxbow_zset_range *r, struct span *s)
{
    struct btree_place p;
    struct btree_entry first;
    enum oxbow_err err = btree_find_rank(&z->scores, 0, &p);

    if (err == OXBOW_OK) {
        err = btree_get(&p, &first);
    }
    *s = (struct span){0, z->scores.count};
    if (err == OXBOW_OK && !r->from_lowest) {
        err = rank_of(z, &(struct btree_key){first.order, r->from}, r->low_open, &s->low);
    }
    if (err == OXBOW_OK && !r->to_highest) {
        err = rank_of(z, &(struct btree_key){first.order, r->to}, !r->high_open, &s->high);
    }
    if (r->from_highest || r->to_lowest) {
        s->high = 0;
    }
    return err;
}

static enum oxbow_err span_find(struct zset *z, const struct oxbow_zset_range *r, struct span *s)
{
    uint64_t n;
    enum oxbow_err err = OXBOW_OK;

    if (r->by == OXBOW_ZSET_BY_INDEX) {
        span_of_index(r, z->scores.count, s);
    } else {
        err = r->by == OXBOW_ZSET_BY_SCORE ? span_of_score(z, r, s) : span_of_lex(z, r, s);
    }
    if (err != OXBOW_OK || s->low >= s->high || (r->limited && r->offset < 0)) {
        s->high = s->low;
        return err;
    }
    if (!r->limited) {
        return OXBOW_OK;
    }
    n = s->high - s->low;
    n = n > (uint64_t)r->offset ? n - (uint64_t)r->offset : 0;
    if (r->limit >= 0 && n > (uint64_t)r->limit) {
        n = (uint64_t)r->limit;
    }
    if (r->reverse) {
        s->high = n == 0 ? s->low : s->high - (uint64_t)r->offset;
        s->low = s->high - n;
    } else {
        s->low = n == 0 ? s->high : s->low + (uint64_t)r->offset;
        s->high = s->low + n;
    }
    return OXBOW_OK;
}

/* ---- giving ---- */

static enum oxbow_err span_items(struct zset *z, const struct span *s, bool reverse,
                                 struct oxbow_result *result)
{
    struct btree_place p;
    struct btree_entry e;
    uint64_t n = s->high - s->low;
    enum oxbow_err err =
        n == 0 ? OXBOW_OK : btree_find_rank(&z->scores, reverse ? s->high : s->low, &p);

    for (; err == OXBOW_OK && n > 0; n--) {
        if (reverse) {
            err = btree_prev(&p, &e);
        } else {
            err = p.rank == s->low ? btree_get(&p, &e) : OXBOW_OK;
        }
        if (err == OXBOW_OK) {
            err = zset_item(z, &e, result);
        }
        if (err == OXBOW_OK && !reverse && n > 1) {
            err = btree_next(&p, &e);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

enum oxbow_err oxbow_zset_range(struct oxbow_txn *txn, struct oxbow_bytes key,
                                const struct oxbow_zset_range *range, struct oxbow_result *result)
{
    struct zset z;
    struct span s;
    enum oxbow_err err;

    if (!range_is_sane(range) || result == NULL) {
        return OXBOW_EINVAL;
    }
    err = zset_read(txn, key, &z, result);
    if (err == OXBOW_OK) {
        err = span_find(&z, range, &s);
        if (err == OXBOW_OK) {
            err = span_items(&z, &s, range->reverse, result);
        }
    }
    return table_read_done(err, result);
}

enum oxbow_err oxbow_zset_range_count(struct oxbow_txn *txn, struct oxbow_bytes key,
                                      const struct oxbow_zset_range *range, uint64_t *count)
{
    struct zset z;
    struct span s = {0, 0};
    enum oxbow_err err =
        !range_is_sane(range) || count == NULL ? OXBOW_EINVAL : zset_find(txn, key, &z);

    if (err == OXBOW_OK) {
        err = span_find(&z, range, &s);
    } else if (err == OXBOW_ENOENT) {
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        *count = s.high - s.low;
    }
    return err;
}

/* ---- removing and storing ---- */

/* From behind, in steps for which no more is kept in memory than a transaction holds. */
static enum oxbow_err span_remove(struct zset *z, struct span s)
{
    struct oxbow_result found = {0};
    uint64_t step_max = txn_bytes_max(z->t.txn) / STEP_BYTES;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && s.low < s.high) {
        struct span step = {s.high - s.low > step_max ? s.high - step_max : s.low, s.high};

        err = result_begin(&found, &txn_port(z->t.txn)->alloc, TABLE_RESULT_MAX);
        if (err == OXBOW_OK) {
            err = span_items(z, &step, false, &found);
        }
        if (err == OXBOW_OK) {
            result_finish(&found);
            err = zset_take_many(z, &found);
        }
        s.high = step.low;
    }
    oxbow_result_fini(&found);
    return err;
}

enum oxbow_err oxbow_zset_range_remove(struct oxbow_txn *txn, struct oxbow_bytes key,
                                       const struct oxbow_zset_range *range, uint64_t *removed)
{
    struct zset z;
    struct span s = {0, 0};
    uint64_t n = 0;
    enum oxbow_err err = range_is_sane(range) ? zset_find_to_write(txn, key, &z) : OXBOW_EINVAL;

    if (err == OXBOW_OK) {
        err = span_find(&z, range, &s);
        n = s.high - s.low;
        if (err == OXBOW_OK && n > 0 && n == z.scores.count) {
            err = oxbow_key_delete(txn, key, NULL);
        } else if (err == OXBOW_OK) {
            if (err == OXBOW_OK) {
                err = n == 1 ? zset_take_rank(&z, s.low) : span_remove(&z, s);
            }
            err = zset_close(&z, err);
        }
    } else if (err == OXBOW_ENOENT) {
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK && removed != NULL) {
        *removed = n;
    }
    return err;
}

enum oxbow_err oxbow_zset_range_store(struct oxbow_txn *txn, struct oxbow_bytes to,
                                      struct oxbow_bytes key, const struct oxbow_zset_range *range,
                                      uint64_t *count)
{
    struct oxbow_result found = {0};
    uint64_t n;
    enum oxbow_err err;

    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = oxbow_zset_range(txn, key, range, &found);
    n = found.item_count;
    if (err == OXBOW_OK) {
        err = zset_store(txn, to, &found);
    }
    oxbow_result_fini(&found);
    if (err == OXBOW_OK && count != NULL) {
        *count = n;
    }
    return err;
}
