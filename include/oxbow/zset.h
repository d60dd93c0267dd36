/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorted sets: members in the order of their scores, under one key.
 *
 * Each function is one Redis command, named beside it, with the semantics of Redis 7.0 to the edge
 * cases: a sorted set comes with its first member and is gone with its last, and a missing key reads
 * as an empty one. Scores are doubles, infinities among them and no NaN; members of one score are
 * ordered by their bytes. A member, a rank, a place in a range and a count of a range are found in
 * O(log n): a rank in a million members costs a walk through four nodes. Members are 0 to
 * oxbow_config.entry_bytes bytes each.
 *
 * Results that are out-parameters are written on success only and may be NULL where that is said.
 * They must not be acted upon before the transaction's commit has returned OXBOW_OK. Members that are
 * read are copied into the caller's `struct oxbow_result` as items, and result->scores[i] is that of
 * items[i]; a call that would put more than OXBOW_ZSET_RESULT_MAX bytes into it is OXBOW_ETOOBIG.
 *
 * Every function can give, besides what is named at it:
 * OXBOW_EWRONGTYPE  the key holds something else than a sorted set
 * OXBOW_EINVAL      a NULL where there must be none, a NaN, a count or a choice that makes no sense
 * OXBOW_ENOMEM, OXBOW_ECORRUPT, OXBOW_EIO
 * and those that write:
 * OXBOW_EREADONLY   a read-only transaction or store
 * OXBOW_ETXNBIG     it changes more than one transaction holds (oxbow_config.txn_bytes: 9,000 members
 *                   in 16 MiB are added at least, 7,000 removed; of up to 300,000 any part): ask for
 *                   less at a time. All members at once go at any number
 * and those that add:
 * OXBOW_ETOOBIG     a member over entry_bytes, or a key over OXBOW_KEY_NAME_MAX
 * OXBOW_EQUOTA, OXBOW_ELEVEL (the store is of level 1: upgrade.h), OXBOW_ENOSPC
 * After EINVAL, EWRONGTYPE, ENOENT, ERANGE, EPROTECTED, ETOOBIG, EQUOTA and ELEVEL nothing has changed
 * and the transaction can go on; after any other error of a writing function it can only be aborted.
 */
#ifndef OXBOW_ZSET_H
#define OXBOW_ZSET_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_ZSET_RESULT_MAX ((size_t)512 * 1024 * 1024) /* bytes of one result */
#define OXBOW_ZSET_SCAN_MAX   10000u                      /* members asked for in one scan */
#define OXBOW_ZSET_RANDOM_MAX 16777216                    /* members asked for by chance */

struct oxbow_scored {
    struct oxbow_bytes member;
    double score;
};

/* ---- adding and removing ---- */

/* Flags of oxbow_zset_add, as ZADD's. NX goes with none of XX, GT, LT, and GT not with LT:
 * OXBOW_EINVAL. */
#define OXBOW_ZSET_NX 0x01u /* only members that are not there */
#define OXBOW_ZSET_XX 0x02u /* only members that are there */
#define OXBOW_ZSET_GT 0x04u /* scores of those that are there only grow */
#define OXBOW_ZSET_LT 0x08u /* only fall */
#define OXBOW_ZSET_INCR                                                                            \
    0x10u /* the score is added to the member's, 0 if it is not there; one member */

struct oxbow_zset_added {
    uint64_t added;   /* members that were not there */
    uint64_t changed; /* members that were, whose score is another now: CH counts these too */
    bool done;        /* of the last member: its score is `score`; false: the flags forbade it */
    double score;
};

/* ZADD; ZINCRBY is INCR alone. count is at least 1. `out` may be NULL. Who waits for the key (wait.h,
 * as for a list) is woken. OXBOW_ERANGE: INCR would give NaN. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               unsigned flags, const struct oxbow_scored *members,
                                               size_t count, struct oxbow_zset_added *out);
/* ZREM. *removed (may be NULL): how many of the members were there. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_remove(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  const struct oxbow_bytes *members, size_t count,
                                                  uint64_t *removed);

enum oxbow_zset_end { OXBOW_ZSET_MIN = 0, OXBOW_ZSET_MAX = 1 };

/* ZPOPMIN, ZPOPMAX: removes up to `count` members from that end and gives them, the outermost first.
 * A missing key gives none. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_pop(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               enum oxbow_zset_end end, uint64_t count,
                                               struct oxbow_result *result);

/* ---- members ---- */

/* ZSCORE. OXBOW_ENOENT: no such member, or no such key. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_score(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 struct oxbow_bytes member, double *score);
/* ZMSCORE: scores[i] is good where present[i]. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_scores(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  const struct oxbow_bytes *members, size_t count,
                                                  bool *present, double *scores);
/* ZCARD. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_count(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 uint64_t *count);
/* ZRANK, or ZREVRANK with `end` OXBOW_ZSET_MAX: how many members are on that side of it. *score may be
 * NULL. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_rank(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                struct oxbow_bytes member, enum oxbow_zset_end end,
                                                uint64_t *rank, double *score);
/* ZSCAN, in the order of members' hashes: start with *cursor 0; done when it is 0 again. About `count`
 * members a call (0: 10, as Redis' default; at most OXBOW_ZSET_SCAN_MAX). What is there from the first
 * call to the last is given once; cursors stay good for as long as the key lives, across restarts. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_scan(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                uint64_t *cursor, size_t count,
                                                struct oxbow_result *result);
/* ZRANDMEMBER: count 0 or more: that many different members, or all there are, in no order that means
 * anything; below 0: that many, with repetitions. OXBOW_ERANGE: more than OXBOW_ZSET_RANDOM_MAX. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_random(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  int64_t count, struct oxbow_result *result);

/* ---- ranges ---- */

enum oxbow_zset_by {
    OXBOW_ZSET_BY_INDEX = 0, /* start to stop, from 0 at the lowest, -1 is the highest */
    OXBOW_ZSET_BY_SCORE = 1, /* min to max */
    OXBOW_ZSET_BY_LEX = 2    /* from to to: members that all have one score */
};

/* All zero is the first member, by index. With `reverse` the highest comes first: indexes then count
 * from there; min and max, from and to stay the lower and the higher one. */
struct oxbow_zset_range {
    enum oxbow_zset_by by;
    bool reverse;
    int64_t start;
    int64_t stop;
    double min;
    double max;
    struct oxbow_bytes from;
    struct oxbow_bytes to;
    bool low_open;     /* without min, without from: Redis' "(" */
    bool high_open;    /* without max, without to */
    bool from_lowest;  /* `from` does not matter: Redis' "-" */
    bool from_highest; /* there is nothing that high: "+" as the lower bound */
    bool to_lowest;    /* there is nothing that low: "-" as the higher bound */
    bool to_highest;   /* `to` does not matter: "+" */
    bool limited;      /* LIMIT offset limit; not by index */
    int64_t offset;    /* below 0: none is given */
    int64_t limit;     /* below 0: all */
};

/* ZRANGE and its kin (ZREVRANGE, ZRANGEBYSCORE, ZREVRANGEBYLEX, ...). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_range(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 const struct oxbow_zset_range *range,
                                                 struct oxbow_result *result);
/* ZCOUNT, ZLEXCOUNT: how many members oxbow_zset_range would give. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_range_count(struct oxbow_txn *txn,
                                                       struct oxbow_bytes key,
                                                       const struct oxbow_zset_range *range,
                                                       uint64_t *count);
/* ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX: removes what oxbow_zset_range would give.
 * *removed may be NULL. All members at once are removed in O(1). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_range_remove(struct oxbow_txn *txn,
                                                        struct oxbow_bytes key,
                                                        const struct oxbow_zset_range *range,
                                                        uint64_t *removed);
/* ZRANGESTORE: what oxbow_zset_range gives of `key` is what `to` holds afterwards, be that the same
 * key, whatever it held before; nothing: `to` is gone. *count (may be NULL) is how many members.
 * OXBOW_EPROTECTED: `to` is a queue that a forward has not delivered yet (forward.h). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_range_store(struct oxbow_txn *txn, struct oxbow_bytes to,
                                                       struct oxbow_bytes key,
                                                       const struct oxbow_zset_range *range,
                                                       uint64_t *count);

/* ---- several sorted sets, and sets, whose members all have the score 1 ---- */

enum oxbow_zset_op {
    OXBOW_ZSET_INTER = 0, /* members of all of them */
    OXBOW_ZSET_UNION = 1, /* of any of them */
    OXBOW_ZSET_DIFF = 2   /* of the first and of none of the others, with the scores there */
};

/* What becomes of a member's scores, each times its weight; what would be NaN is 0. */
enum oxbow_zset_sum { OXBOW_ZSET_SUM = 0, OXBOW_ZSET_LEAST = 1, OXBOW_ZSET_MOST = 2 };

struct oxbow_zset_combination {
    enum oxbow_zset_op op;
    enum oxbow_zset_sum sum;
    const struct oxbow_bytes *keys;
    size_t count;          /* of keys, 1 or more */
    const double *weights; /* one for each key; NULL: 1. Of a difference they do not matter */
};

/* ZINTER, ZUNION, ZDIFF: in the order of a sorted set. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_combine(struct oxbow_txn *txn,
                                                   const struct oxbow_zset_combination *c,
                                                   struct oxbow_result *result);
/* ZINTERSTORE, ZUNIONSTORE, ZDIFFSTORE: as oxbow_zset_range_store, of that. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_combine_store(struct oxbow_txn *txn,
                                                         struct oxbow_bytes to,
                                                         const struct oxbow_zset_combination *c,
                                                         uint64_t *stored);
/* ZINTERCARD: how many members all of them have, counted no further than to `limit`; 0: all. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_zset_inter_count(struct oxbow_txn *txn,
                                                       const struct oxbow_bytes *keys, size_t count,
                                                       uint64_t limit, uint64_t *found);

#ifdef __cplusplus
}
#endif

#endif
