/* SPDX-License-Identifier: Apache-2.0 */
/* A string that is being built: a block of Lua's that is replaced by one of twice the length. */
#include "engine/lua/bytes.h"

#include <lauxlib.h>
#include <string.h>

#define BYTES_FIRST 128u

void bytes_init(struct bytes *b, lua_State *L)
{
    *b = (struct bytes){.state = L, .cap = BYTES_FIRST};
    b->data = lua_newuserdata(L, b->cap);
    b->slot = lua_gettop(L);
}

char *bytes_space(struct bytes *b, size_t len)
{
    char *at;

    if (len > SIZE_MAX / 2 - b->len) {
        luaL_error(b->state, "not enough memory");
    }
    if (len > b->cap - b->len) {
        size_t cap = 2 * (b->len + len);

        luaL_checkstack(b->state, 1, "string");
        at = lua_newuserdata(b->state, cap);
        memcpy(at, b->data, b->len);
        lua_replace(b->state, b->slot);
        b->data = at;
        b->cap = cap;
    }
    at = b->data + b->len;
    b->len += len;
    return at;
}

void bytes_add(struct bytes *b, const void *data, size_t len)
{
    char *at = bytes_space(b, len);

    if (len > 0) {
        memcpy(at, data, len);
    }
}

void bytes_byte(struct bytes *b, unsigned v)
{
    *bytes_space(b, 1) = (char)v;
}

void bytes_number(struct bytes *b, uint64_t v, unsigned size)
{
    char *at = bytes_space(b, size);

    for (unsigned i = size; i > 0; i--) {
        at[i - 1] = (char)(v & 0xff);
        v >>= 8;
    }
}

void bytes_push(const struct bytes *b)
{
    lua_pushlstring(b->state, b->data, b->len);
}
