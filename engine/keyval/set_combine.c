/* SPDX-License-Identifier: Apache-2.0 */
/* Several sets at once: SINTER, SUNION, SDIFF, what stores and what counts them. */
#include "engine/keyval/combine.h"
#include "oxbow/set.h"

_Static_assert((int)OXBOW_SET_INTER == (int)COMBINE_INTER &&
                   (int)OXBOW_SET_UNION == (int)COMBINE_UNION &&
                   (int)OXBOW_SET_DIFF == (int)COMBINE_DIFF,
               "what is asked for is passed on");

static enum oxbow_err give(void *ctx, struct oxbow_bytes member, double score)
{
    (void)score;
    return result_item(ctx, member);
}

enum oxbow_err oxbow_set_combine(struct oxbow_txn *txn, enum oxbow_set_op op,
                                 const struct oxbow_bytes *keys, size_t count,
                                 struct oxbow_result *result)
{
    struct sources s = {.op = (enum combine_op)op};
    enum oxbow_err err = result == NULL || op < OXBOW_SET_INTER || op > OXBOW_SET_DIFF
                             ? OXBOW_EINVAL
                             : sources_open(&s, txn, keys, count, NULL, false);

    if (err != OXBOW_OK) {
        return err;
    }
    err = result_begin(result, &txn_port(txn)->alloc, OXBOW_SET_RESULT_MAX);
    if (err == OXBOW_OK) {
        err = sources_walk(&s, give, result);
    }
    sources_close(&s);
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}

enum oxbow_err oxbow_set_combine_store(struct oxbow_txn *txn, struct oxbow_bytes to,
                                       enum oxbow_set_op op, const struct oxbow_bytes *keys,
                                       size_t count, uint64_t *stored)
{
    struct oxbow_result found = {0};
    uint64_t bytes = 0;
    size_t n;
    enum oxbow_err err =
        txn_readonly(txn) ? OXBOW_EREADONLY : oxbow_set_combine(txn, op, keys, count, &found);

    n = found.item_count;
    if (err == OXBOW_OK && n > 0) {
        err = table_check(txn, found.items, n, &bytes);
    }
    if (err == OXBOW_OK) {
        err = table_overwrite(txn, to, bytes);
    }
    if (err == OXBOW_OK && n > 0) {
        err = oxbow_set_add(txn, to, found.items, n, NULL);
        err = err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
    }
    oxbow_result_fini(&found);
    if (err == OXBOW_OK && stored != NULL) {
        *stored = n;
    }
    return err;
}

enum oxbow_err oxbow_set_inter_count(struct oxbow_txn *txn, const struct oxbow_bytes *keys,
                                     size_t count, uint64_t limit, uint64_t *found)
{
    struct sources s = {.op = COMBINE_INTER};
    enum oxbow_err err =
        found == NULL ? OXBOW_EINVAL : sources_open(&s, txn, keys, count, NULL, false);

    if (err == OXBOW_OK) {
        err = sources_count(&s, limit, found);
        sources_close(&s);
    }
    return err;
}
