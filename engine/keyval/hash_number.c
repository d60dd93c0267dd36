/* SPDX-License-Identifier: Apache-2.0 */
/* Fields that are numbers with a fraction. */
#include "engine/base/decimal.h"
#include "engine/base/result.h"
#include "engine/keyval/hash.h"

/* What the field holds and the increment together. */
static enum oxbow_err sum_of(struct oxbow_txn *txn, struct oxbow_bytes key, struct oxbow_field *f,
                             struct oxbow_result *result, long double *sum)
{
    long double old = 0;
    long double add = 0;
    enum oxbow_err err = oxbow_hash_get(txn, key, f->name, result);

    if (err == OXBOW_OK && !decimal_of(result->items[0], &old)) {
        return OXBOW_EPARSE;
    }
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (!decimal_of(f->value, &add)) {
        return OXBOW_EPARSE;
    }
    *sum = old + add;
    return decimal_is_finite(*sum) ? OXBOW_OK : OXBOW_ERANGE;
}

enum oxbow_err oxbow_hash_add_float(struct oxbow_txn *txn, struct oxbow_bytes key,
                                    struct oxbow_bytes field, struct oxbow_bytes by,
                                    struct oxbow_result *result)
{
    char text[DECIMAL_TEXT_MAX];
    struct oxbow_field f = {.name = field, .value = by};
    long double sum = 0;
    enum oxbow_err err = result == NULL || by.data == NULL ? OXBOW_EINVAL
                         : txn_readonly(txn)               ? OXBOW_EREADONLY
                                                           : sum_of(txn, key, &f, result, &sum);

    if (err != OXBOW_OK) {
        return err;
    }
    f.value = (struct oxbow_bytes){text, decimal_text(text, sum)};
    err = result_begin(result, &txn_port(txn)->alloc, f.value.len);
    if (err == OXBOW_OK) {
        err = result_item(result, f.value);
    }
    if (err == OXBOW_OK) {
        err = hash_put(txn, key, &f, 1, true, NULL);
    }
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}
