/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several sets or sorted sets as one: what SINTER, SUNION and SDIFF, ZINTER, ZUNION and ZDIFF have in
 * common. Nothing is gathered in memory: a member is given when it is met first, and looked for in
 * the other sources.
 */
#ifndef OXBOW_KEYVAL_COMBINE_H
#define OXBOW_KEYVAL_COMBINE_H

#include "engine/base/buf.h"
#include "engine/keyval/table.h"

enum combine_op { COMBINE_INTER, COMBINE_UNION, COMBINE_DIFF };
enum combine_sum { COMBINE_SUM, COMBINE_MIN, COMBINE_MAX };

struct source {
    struct table t;
    double weight;
    bool there;
};

struct sources {
    struct oxbow_txn *txn;
    struct source *at;
    size_t count;
    enum combine_op op;
    enum combine_sum sum;
    struct buf scratch; /* a long member */
};

/* Finds the keys; sets alone, or with `scored` sorted sets too. A missing one is an empty one; `weights`
 * may be NULL. OXBOW_EWRONGTYPE, OXBOW_EINVAL (no keys, a NULL, a weight that is NaN), OXBOW_ENOMEM:
 * nothing is left to be closed. */
OXBOW_MUST_CHECK enum oxbow_err sources_open(struct sources *s, struct oxbow_txn *txn,
                                             const struct oxbow_bytes *keys, size_t count,
                                             const double *weights, bool scored);
void sources_close(struct sources *s);

/* Calls `each` for every member of the result once, with its score: that of a set's is 1. It must not
 * write; OXBOW_ECANCELED from it ends the walk well. The member is borrowed until it returns. */
OXBOW_MUST_CHECK enum oxbow_err
sources_walk(struct sources *s,
             enum oxbow_err (*each)(void *ctx, struct oxbow_bytes member, double score), void *ctx);
/* How many members there are, counted no further than to `limit`; 0: all. */
OXBOW_MUST_CHECK enum oxbow_err sources_count(struct sources *s, uint64_t limit, uint64_t *found);

#endif
