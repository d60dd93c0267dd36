/* SPDX-License-Identifier: Apache-2.0 */
/* Reading sorted sets by member: scores, ranks, scans, chance. Ranges: zset_range.c. */
#include "engine/keyval/zset.h"

#define SCAN_COUNT 10u

enum oxbow_err zset_read(struct oxbow_txn *txn, struct oxbow_bytes name, struct zset *z,
                         struct oxbow_result *r)
{
    enum oxbow_err err = zset_find(txn, name, z);

    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        enum oxbow_err began = result_begin(r, &txn_port(txn)->alloc, TABLE_RESULT_MAX);

        err = began == OXBOW_OK ? err : began;
    }
    return err;
}

enum oxbow_err oxbow_zset_scores(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 const struct oxbow_bytes *members, size_t count, bool *present,
                                 double *scores)
{
    struct table t;
    uint64_t ignored = 0;
    bool absent;
    size_t i;
    enum oxbow_err err = present == NULL || scores == NULL
                             ? OXBOW_EINVAL
                             : table_check(txn, members, count, &ignored);

    if (err == OXBOW_OK || err == OXBOW_ETOOBIG) { /* what is too long is simply not there */
        err = table_find(txn, key, OXBOW_TYPE_ZSET, &t);
    }
    absent = err == OXBOW_ENOENT;
    if (absent) {
        err = OXBOW_OK;
    }
    for (i = 0; err == OXBOW_OK && i < count; i++) {
        struct btree_place p;
        struct btree_entry e;

        present[i] = false;
        if (!absent) {
            err = table_member_find(&t, members[i], &p, &e, &present[i]);
        }
        if (err == OXBOW_OK && present[i]) {
            err = table_score(&e, &scores[i]);
        }
    }
    return err;
}

enum oxbow_err oxbow_zset_score(struct oxbow_txn *txn, struct oxbow_bytes key,
                                struct oxbow_bytes member, double *score)
{
    bool present = false;
    double found = 0;
    enum oxbow_err err =
        score == NULL ? OXBOW_EINVAL : oxbow_zset_scores(txn, key, &member, 1, &present, &found);

    if (err == OXBOW_OK && present) {
        *score = found;
    }
    return err == OXBOW_OK && !present ? OXBOW_ENOENT : err;
}

enum oxbow_err oxbow_zset_count(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *count)
{
    return table_count(txn, key, OXBOW_TYPE_ZSET, count);
}

enum oxbow_err oxbow_zset_rank(struct oxbow_txn *txn, struct oxbow_bytes key,
                               struct oxbow_bytes member, enum oxbow_zset_end end, uint64_t *rank,
                               double *score)
{
    uint64_t ignored = 0;
    struct btree_place p;
    struct btree_entry e;
    struct zset z;
    double found = 0;
    bool there = false;
    enum oxbow_err err = rank == NULL || (end != OXBOW_ZSET_MIN && end != OXBOW_ZSET_MAX)
                             ? OXBOW_EINVAL
                             : table_check(txn, &member, 1, &ignored);

    if (err == OXBOW_OK || err == OXBOW_ETOOBIG) {
        err = zset_find(txn, key, &z);
    }
    if (err == OXBOW_OK) {
        err = table_member_find(&z.t, member, &p, &e, &there);
    }
    if (err == OXBOW_OK) {
        err = there ? table_score(&e, &found) : OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        err = btree_find(&z.scores, &(struct btree_key){score_order(found), member}, &p, &there);
        err = err == OXBOW_OK && !there ? OXBOW_ECORRUPT : err;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *rank = end == OXBOW_ZSET_MIN ? p.rank : z.scores.count - 1 - p.rank;
    if (score != NULL) {
        *score = found;
    }
    return OXBOW_OK;
}

enum oxbow_err oxbow_zset_scan(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *cursor,
                               size_t count, struct oxbow_result *result)
{
    uint64_t at = 0; /* of a missing key there is no more */
    struct table t;
    enum oxbow_err err;

    if (result == NULL || cursor == NULL || count > OXBOW_ZSET_SCAN_MAX) {
        return OXBOW_EINVAL;
    }
    err = table_read(txn, key, OXBOW_TYPE_ZSET, &t, result);
    if (err == OXBOW_OK) {
        at = *cursor;
        err = table_scan(&t, &at, count == 0 ? SCAN_COUNT : count, TABLE_MEMBERS | TABLE_SCORES,
                         result);
    }
    err = table_read_done(err, result);
    if (err == OXBOW_OK) {
        *cursor = at;
    }
    return err;
}

enum oxbow_err oxbow_zset_random(struct oxbow_txn *txn, struct oxbow_bytes key, int64_t count,
                                 struct oxbow_result *result)
{
    struct table t;
    enum oxbow_err err;

    if (count < -OXBOW_ZSET_RANDOM_MAX) {
        return OXBOW_ERANGE;
    }
    err = result == NULL ? OXBOW_EINVAL : table_read(txn, key, OXBOW_TYPE_ZSET, &t, result);
    if (err == OXBOW_OK) {
        err = table_random(&t, count, TABLE_MEMBERS | TABLE_SCORES, result);
    }
    return table_read_done(err, result);
}
