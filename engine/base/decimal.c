/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers with a fraction: text to long double and back. */
#include "engine/base/decimal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether the number itself has another digit than 0: then 0 is what was too small. */
static bool has_digits(const char *text)
{
    for (; *text != '\0' && *text != 'e' && *text != 'E' && *text != 'p' && *text != 'P'; text++) {
        if (*text >= '1' && *text <= '9') {
            return true;
        }
    }
    return false;
}

bool decimal_is_finite(long double v)
{
    return v - v == 0;
}

bool decimal_of(struct oxbow_bytes text, long double *out)
{
    char copy[DECIMAL_TEXT_MAX];
    char *end;
    long double v;

    if (text.len == 0 || text.len >= sizeof copy) {
        return false;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (copy[0] == ' ' || (copy[0] >= '\t' && copy[0] <= '\r')) {
        return false;
    }
    v = strtold(copy, &end);
    if (end != copy + text.len || v != v) {
        return false;
    }
    *out = v;
    return decimal_is_finite(v) ? v != 0 || !has_digits(copy)
                                : strchr(copy, 'n') || strchr(copy, 'N');
}

size_t decimal_text(char out[DECIMAL_TEXT_MAX], long double v)
{
    size_t len = (size_t)snprintf(out, DECIMAL_TEXT_MAX, "%.17Lf", v);

    while (len > 0 && out[len - 1] == '0') {
        len--;
    }
    len -= len > 0 && out[len - 1] == '.';
    if (len == 2 && out[0] == '-' && out[1] == '0') {
        out[0] = '0';
        len = 1;
    }
    return len;
}
