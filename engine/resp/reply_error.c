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
} for_clients[] = {
    {OXBOW_EIO, "MISCONF Errors writing to the AOF file: Input/output error"},
    {OXBOW_ENOSPC, "OOM command not allowed when used memory > 'maxmemory'."},
    {OXBOW_EQUOTA, "OOM command not allowed when used memory > 'maxmemory'."},
    {OXBOW_EREADONLY, "READONLY You can't write against a read only replica."},
    {OXBOW_ETXNBIG,
     "ERR this changes more than one transaction may hold, and nothing was done: ask "
     "for less at a time"},
};

static const char *const in_own_words[] = {
#define ROW(name, value, prefix, text) [value] = prefix " " text,
    OXBOW_ERRORS(ROW)
#undef ROW
};

const char *resp_error_text(enum oxbow_err err)
{
    size_t i;

    for (i = 0; i < sizeof for_clients / sizeof for_clients[0]; i++) {
        if (for_clients[i].err == err) {
            return for_clients[i].text;
        }
    }
    if ((size_t)err < sizeof in_own_words / sizeof in_own_words[0] && in_own_words[err] != NULL) {
        return in_own_words[err];
    }
    return "ERR unknown error";
}
