/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts given to a server that runs them, and what a real redis-server 7.0.15 answered to each. */
#ifndef OXBOW_TESTS_LUA_ASK_H
#define OXBOW_TESTS_LUA_ASK_H

#include "tests/resp/talk.h"

struct ask_case {
    const char *script;
    size_t script_len;
    const char *rest; /* what follows it, in words: the number of keys, keys, arguments */
    const char *want;
    size_t want_len;
};

#define CASE(script, rest, want)                                                                   \
    {                                                                                              \
        (script), sizeof(script) - 1, (rest), (want), sizeof(want) - 1                             \
    }

/* cmocka's set-up, as talk_setup, with Lua, and some keys: s, h, z, st. Torn down by talk_teardown. */
int ask_setup(void **state);
/* EVAL of the script; what client n hears. */
const char *ask(struct talk *t, uint32_t n, const char *script, const char *rest);
/* Sends it alone, without a turn. */
void ask_send(struct talk *t, uint32_t n, const char *script, const char *rest);
void ask_cases(struct talk *t, const struct ask_case *cases, size_t count);

#endif
