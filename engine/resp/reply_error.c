/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said to a Redis client of an error of the engine. Where Redis has words for the same
 * trouble they are Redis' own, since clients look for them; the rest is the error table's prefix
 * and text.
 */
#include "engine/resp/reply.h"

static const struct {
    enum oxbow_err err;
    const char *text;
} in_redis_words[] = {
    {OXBOW_EIO, "MISCONF Errors writing to the AOF file: Input/output error"},
    {OXBOW_ENOSPC, "OOM command not allowed when used memory > 'maxmemory'."},
    {OXBOW_EQUOTA, "OOM command not allowed when used memory > 'maxmemory'."},
    {OXBOW_EREADONLY, "READONLY You can't write against a read only replica."},
};

static const char *const in_own_words[] = {
#define ROW(name, value, prefix, text) [value] = prefix " " text,
    OXBOW_ERRORS(ROW)
#undef ROW
};

const char *resp_error_text(enum oxbow_err err)
{
    size_t i;

    for (i = 0; i < sizeof in_redis_words / sizeof in_redis_words[0]; i++) {
        if (in_redis_words[i].err == err) {
            return in_redis_words[i].text;
        }
    }
    if ((size_t)err < sizeof in_own_words / sizeof in_own_words[0] && in_own_words[err] != NULL) {
        return in_own_words[err];
    }
    return "ERR unknown error";
}
