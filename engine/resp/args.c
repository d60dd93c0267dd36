/* SPDX-License-Identifier: Apache-2.0 */
/* Words, numbers and timeouts among the arguments. */
#include "engine/resp/args.h"

#include "engine/base/num.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#define DOUBLE_TEXT_MAX    256u
#define TIMEOUT_DIGITS_MAX 40u
#define US_PER_S           1000000u
#define TIMEOUT_S_MAX      9223372036854775u /* what Redis takes: milliseconds in 63 bits */

bool resp_arg_is(struct oxbow_bytes arg, const char *word)
{
    const char *p = arg.data;
    size_t i;

    for (i = 0; i < arg.len && word[i] != '\0'; i++) {
        char ch = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] - 'A' + 'a') : p[i];

        if (ch != word[i]) {
            return false;
        }
    }
    return i == arg.len && word[i] == '\0';
}

bool resp_arg_int(struct oxbow_bytes arg, int64_t *out)
{
    return num_i64(arg, out) == OXBOW_OK;
}

bool resp_arg_double(struct oxbow_bytes arg, double *out)
{
    char text[DOUBLE_TEXT_MAX];
    char *end;
    double v;

    if (arg.len == 0 || arg.len >= sizeof text || memchr(arg.data, 0, arg.len) != NULL ||
        strchr(" \t\n\v\f\r", *(const char *)arg.data) != NULL) {
        return false;
    }
    memcpy(text, arg.data, arg.len);
    text[arg.len] = '\0';
    v = strtod(text, &end);
    if (*end != '\0' || v != v) {
        return false;
    }
    if ((v > DBL_MAX || v < -DBL_MAX) && strchr(text, 'i') == NULL && strchr(text, 'I') == NULL) {
        return false; /* it overflowed */
    }
    *out = v;
    return true;
}

const char *resp_arg_timeout(struct oxbow_bytes arg, uint64_t *us)
{
    static const char bad[] = "ERR timeout is not a float or out of range";
    const char *p = arg.data;
    uint64_t whole = 0;
    uint64_t part = 0;
    uint64_t unit = US_PER_S;
    bool minus = arg.len > 0 && p[0] == '-';
    bool point = false;
    bool digit = false;
    bool above = false; /* less than a microsecond is not nothing: 0 would wait for ever */

    for (size_t i = minus || (arg.len > 0 && p[0] == '+') ? 1 : 0; i < arg.len; i++) {
        if (p[i] == '.' && !point) {
            point = true;
        } else if (p[i] < '0' || p[i] > '9' || arg.len > TIMEOUT_DIGITS_MAX) {
            return bad;
        } else if (!point) {
            digit = true;
            whole = whole * 10 + (uint64_t)(p[i] - '0');
            if (whole > TIMEOUT_S_MAX) {
                return "ERR timeout is out of range";
            }
        } else {
            digit = true;
            unit /= 10;
            part += unit * (uint64_t)(p[i] - '0');
            above = above || p[i] != '0';
        }
    }
    if (!digit) {
        return bad;
    }
    if (minus && (whole > 0 || above)) {
        return "ERR timeout is negative";
    }
    *us = whole * US_PER_S + part;
    if (*us == 0 && above) {
        *us = 1;
    }
    return NULL;
}
