/* SPDX-License-Identifier: Apache-2.0 */
/* A string that is being built by a function of Lua's: its memory is Lua's, at a place of the stack
 * that is given at the start, so that an error leaves nothing behind. */
#ifndef OXBOW_LUA_BYTES_H
#define OXBOW_LUA_BYTES_H

#include <lua.h>

#include <stddef.h>
#include <stdint.h>

struct bytes {
    lua_State *state;
    int slot;
    char *data;
    size_t len;
    size_t cap;
};

/* Pushes what holds the memory. */
void bytes_init(struct bytes *b, lua_State *L);
/* Room for `len` more bytes, which count as written. */
char *bytes_space(struct bytes *b, size_t len);
void bytes_add(struct bytes *b, const void *data, size_t len);
void bytes_byte(struct bytes *b, unsigned v);
/* The lowest `size` bytes of a number, the highest of them first. */
void bytes_number(struct bytes *b, uint64_t v, unsigned size);
/* Pushes the string. */
void bytes_push(const struct bytes *b);

#endif
