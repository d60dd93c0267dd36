/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values that are numbers: counted up and down. A counter is a value as any; while the text of its number
 * does not become shorter it is patched in place.
 */
#include "engine/base/decimal.h"
#include "engine/base/num.h"
#include "engine/base/result.h"
#include "engine/queue/string.h"

/* Replaces the value by a text that is about as long. */
static enum oxbow_err text_put(struct string *s, struct oxbow_bytes text)
{
    enum oxbow_err err = string_admit(s, text.len);

    if (err != OXBOW_OK) {
        return err;
    }
    return s->object.id != 0 && s->blob == 0 && text.len >= s->len ? string_patch(s, 0, text)
                                                                   : string_put(s, text);
}

static bool sum_fits(int64_t a, int64_t b)
{
    return b > 0 ? a <= INT64_MAX - b : a >= INT64_MIN - b;
}

enum oxbow_err oxbow_string_add(struct oxbow_txn *txn, struct oxbow_bytes key, int64_t by,
                                int64_t *value)
{
    char text[NUM_TEXT_MAX];
    struct string s;
    int64_t old = 0;
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : string_find(txn, key, &s);

    if (err == OXBOW_OK && s.object.id != 0) {
        err = s.blob != 0 ? OXBOW_EPARSE : num_i64(s.value, &old);
    }
    if (err == OXBOW_OK && !sum_fits(old, by)) {
        err = OXBOW_ERANGE;
    }
    if (err == OXBOW_OK) {
        err = text_put(&s, (struct oxbow_bytes){text, num_i64_text(text, old + by)});
    }
    if (err == OXBOW_OK && value != NULL) {
        *value = old + by;
    }
    return err;
}

/* ---- with a fraction ---- */

enum oxbow_err oxbow_string_add_float(struct oxbow_txn *txn, struct oxbow_bytes key,
                                      struct oxbow_bytes by, struct oxbow_result *result)
{
    char text[DECIMAL_TEXT_MAX];
    struct oxbow_bytes now = {text, 0};
    long double add = 0;
    long double old = 0;
    struct string s;
    enum oxbow_err err = result == NULL || by.data == NULL ? OXBOW_EINVAL
                         : txn_readonly(txn)               ? OXBOW_EREADONLY
                                                           : string_find(txn, key, &s);

    if (err == OXBOW_OK && s.object.id != 0 && (s.blob != 0 || !decimal_of(s.value, &old))) {
        err = OXBOW_EPARSE;
    }
    if (err == OXBOW_OK && !decimal_of(by, &add)) {
        err = OXBOW_EPARSE;
    }
    if (err == OXBOW_OK && !decimal_is_finite(old + add)) {
        err = OXBOW_ERANGE;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    now.len = decimal_text(text, old + add);
    err = result_begin(result, &txn_port(txn)->alloc, now.len);
    if (err == OXBOW_OK) {
        err = result_item(result, now);
    }
    if (err == OXBOW_OK) {
        err = text_put(&s, now);
    }
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}
