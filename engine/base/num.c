/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal integers, strict in both directions: for each number there is one text and no other. */
#include "engine/base/num.h"

#include <stdbool.h>
#include <string.h>

enum oxbow_err num_u64(struct oxbow_bytes text, uint64_t *out)
{
    const uint8_t *p = text.data;
    uint64_t v = 0;
    size_t i;

    if (text.len == 0 || text.len >= NUM_TEXT_MAX || (p[0] == '0' && text.len > 1)) {
        return OXBOW_EPARSE;
    }
    for (i = 0; i < text.len; i++) {
        uint64_t digit = (uint64_t)p[i] - '0';

        if (digit > 9 || v > UINT64_MAX / 10 || v * 10 > UINT64_MAX - digit) {
            return OXBOW_EPARSE;
        }
        v = v * 10 + digit;
    }
    *out = v;
    return OXBOW_OK;
}

enum oxbow_err num_i64(struct oxbow_bytes text, int64_t *out)
{
    const uint8_t *p = text.data;
    bool negative = text.len > 0 && p[0] == '-';
    uint64_t v;

    if (negative) {
        text = (struct oxbow_bytes){p + 1, text.len - 1};
    }
    if (num_u64(text, &v) != OXBOW_OK || v > (uint64_t)INT64_MAX + negative ||
        (negative && v == 0)) {
        return OXBOW_EPARSE;
    }
    /* The lowest number has no positive twin. */
    *out = !negative ? (int64_t)v : v > INT64_MAX ? INT64_MIN : -(int64_t)v;
    return OXBOW_OK;
}

/* Digits and a closing zero; returns how many digits. */
static size_t digits_put(char *out, uint64_t v)
{
    char digits[NUM_TEXT_MAX];
    size_t at = sizeof digits;
    size_t len;

    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    len = sizeof digits - at;
    memcpy(out, digits + at, len);
    out[len] = '\0';
    return len;
}

size_t num_u64_text(char out[NUM_TEXT_MAX], uint64_t v)
{
    return digits_put(out, v);
}

size_t num_i64_text(char out[NUM_TEXT_MAX], int64_t v)
{
    if (v >= 0) {
        return digits_put(out, (uint64_t)v);
    }
    out[0] = '-';
    return 1 + digits_put(out + 1, 0 - (uint64_t)v);
}
