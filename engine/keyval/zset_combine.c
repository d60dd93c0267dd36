/* SPDX-License-Identifier: Apache-2.0 */
/* Several sorted sets at once: ZINTER, ZUNION, ZDIFF, what stores and what counts them. */
#include "engine/keyval/combine.h"
#include "engine/keyval/zset.h"

_Static_assert((int)OXBOW_ZSET_INTER == (int)COMBINE_INTER &&
                   (int)OXBOW_ZSET_UNION == (int)COMBINE_UNION &&
                   (int)OXBOW_ZSET_DIFF == (int)COMBINE_DIFF &&
                   (int)OXBOW_ZSET_SUM == (int)COMBINE_SUM &&
                   (int)OXBOW_ZSET_LEAST == (int)COMBINE_MIN &&
                   (int)OXBOW_ZSET_MOST == (int)COMBINE_MAX,
               "what is asked for is passed on");

static enum oxbow_err give(void *ctx, struct oxbow_bytes member, double score)
{
    enum oxbow_err err = result_item(ctx, member);

    return err == OXBOW_OK ? result_score(ctx, score) : err;
}

/* In no order. */
static enum oxbow_err combine(struct oxbow_txn *txn, const struct oxbow_zset_combination *c,
                              struct oxbow_result *result)
{
    struct sources s = {.op = COMBINE_INTER};
    enum oxbow_err err;

    if (c == NULL || result == NULL || c->op < OXBOW_ZSET_INTER || c->op > OXBOW_ZSET_DIFF ||
        c->sum < OXBOW_ZSET_SUM || c->sum > OXBOW_ZSET_MOST) {
        return OXBOW_EINVAL;
    }
    s.op = (enum combine_op)c->op;
    s.sum = (enum combine_sum)c->sum;
    err = sources_open(&s, txn, c->keys, c->count, c->weights, true);
    if (err != OXBOW_OK) {
        return err;
    }
    err = result_begin(result, &txn_port(txn)->alloc, OXBOW_ZSET_RESULT_MAX);
    if (err == OXBOW_OK) {
        err = sources_walk(&s, give, result);
    }
    sources_close(&s);
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}

/* ---- sorting ---- */

static bool item_before(const struct oxbow_result *r, size_t a, size_t b)
{
    const struct btree_ref other = {r->items[b].data, r->items[b].len, 0};

    if (r->scores[a] != r->scores[b]) {
        return r->scores[a] < r->scores[b];
    }
    return inline_compare(r->items[a], &other) < 0;
}

/* Shell's sort of the items' places. */
static void places_sort(const struct oxbow_result *r, size_t *places)
{
    size_t gap;
    size_t i;

    for (gap = r->item_count / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11) {
        for (i = gap; i < r->item_count; i++) {
            size_t moved = places[i];
            size_t at = i;

            for (; at >= gap && item_before(r, moved, places[at - gap]); at -= gap) {
                places[at] = places[at - gap];
            }
            places[at] = moved;
        }
    }
}

static enum oxbow_err sorted(struct oxbow_txn *txn, const struct oxbow_result *from,
                             struct oxbow_result *to)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    size_t n = from->item_count;
    size_t *places = mem_new(alloc, (n + 1) * sizeof *places);
    enum oxbow_err err =
        places == NULL ? OXBOW_ENOMEM : result_begin(to, alloc, OXBOW_ZSET_RESULT_MAX);
    size_t i;

    if (err == OXBOW_OK) {
        for (i = 0; i < n; i++) {
            places[i] = i;
        }
        places_sort(from, places);
    }
    for (i = 0; err == OXBOW_OK && i < n; i++) {
        err = give(to, from->items[places[i]], from->scores[places[i]]);
    }
    mem_free(alloc, places, (n + 1) * sizeof *places);
    if (err == OXBOW_OK) {
        result_finish(to);
    }
    return err;
}

/* ---- the commands ---- */

enum oxbow_err oxbow_zset_combine(struct oxbow_txn *txn, const struct oxbow_zset_combination *c,
                                  struct oxbow_result *result)
{
    struct oxbow_result found = {0};
    enum oxbow_err err = result == NULL ? OXBOW_EINVAL : combine(txn, c, &found);

    if (err == OXBOW_OK) {
        err = sorted(txn, &found, result);
    }
    oxbow_result_fini(&found);
    return err;
}

enum oxbow_err oxbow_zset_combine_store(struct oxbow_txn *txn, struct oxbow_bytes to,
                                        const struct oxbow_zset_combination *c, uint64_t *stored)
{
    struct oxbow_result found = {0};
    uint64_t n;
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : combine(txn, c, &found);

    n = found.item_count;
    if (err == OXBOW_OK) {
        err = zset_store(txn, to, &found);
    }
    oxbow_result_fini(&found);
    if (err == OXBOW_OK && stored != NULL) {
        *stored = n;
    }
    return err;
}

enum oxbow_err oxbow_zset_inter_count(struct oxbow_txn *txn, const struct oxbow_bytes *keys,
                                      size_t count, uint64_t limit, uint64_t *found)
{
    struct sources s = {.op = COMBINE_INTER};
    enum oxbow_err err =
        found == NULL ? OXBOW_EINVAL : sources_open(&s, txn, keys, count, NULL, true);

    if (err == OXBOW_OK) {
        err = sources_count(&s, limit, found);
        sources_close(&s);
    }
    return err;
}
