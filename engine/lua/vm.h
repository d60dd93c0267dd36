/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter's parts as its own files see them.
 *
 *   vm.c        life, memory, the scripts that are known, a run from its arguments to its reply
 *   sandbox.c   what scripts find: libraries that cannot be changed, and what replaces Lua's own
 *   redis.c     the table `redis`
 *   convert.c   answers to values, values to replies
 *   msgpack.c   the table `cmsgpack`
 *   struct.c    the table `struct`
 *
 * Errors of Lua unwind by longjmp. So nothing that Lua does not own is held while Lua may raise one:
 * what the server gives (answers, arguments) stays the server's.
 */
#ifndef OXBOW_LUA_VM_H
#define OXBOW_LUA_VM_H

#include "engine/resp/script.h"

#include <lua.h>

#define VM_EVALED_MAX 500u /* scripts that were run by EVAL and are remembered */

struct resp_vm {
    struct oxbow_resp *server;
    const struct oxbow_alloc *alloc;
    lua_State *state;
    size_t memory;
    size_t memory_max;
    struct resp_script *script; /* on its way; NULL: none */
    struct resp_reply *reply;   /* where load's complaint or run's result goes */
    uint32_t count;             /* scripts that are known */
    bool found;                 /* what the last look-up by name gave */
    uint32_t found_flags;
    uint64_t random; /* 48 bits: of math.random */

    /* those of EVAL, the oldest first, from `evaled_at` on */
    char evaled[VM_EVALED_MAX][SHA1_HEX_LEN + 1];
    uint32_t evaled_at;
    uint32_t evaled_count;
};

/* Keys of what is kept in the registry: addresses. */
extern const char vm_scripts_key; /* name -> function */
extern const char vm_flags_key;   /* name -> flags */
extern const char vm_globals_key; /* the table in which globals are */
extern const char vm_proxies_key; /* array of the tables that scripts cannot change */

/* Lua takes what it only hands back as if it could be written to. */
static inline void *vm_handed(const void *p)
{
    union {
        const void *given;
        void *taken;
    } u = {p};

    return u.taken;
}

/* The interpreter of a state. */
struct resp_vm *vm_of_state(lua_State *L);
/* Pushes the value that is kept under the key. */
void vm_get(lua_State *L, const char *key);

/* ---- sandbox.c ---- */

/* Makes all that scripts find. May raise errors. */
void sandbox_open(lua_State *L);
/* Whatever a script has put into tables that look as if they could not be changed is gone. */
void sandbox_clean(lua_State *L);
/* The handler of errors: {err=, source=, line=}. */
int sandbox_on_error(lua_State *L);
/* Puts a table that cannot be changed in the place of the one on top: what is read is read there. */
void sandbox_protect(lua_State *L);

/* ---- redis.c ---- */

/* Pushes the table `redis`. */
void redis_open(lua_State *L);
/* Sets math.random's sequence to its beginning. It goes on from script to script. */
void random_reset(struct resp_vm *vm);
int random_next(lua_State *L);
int random_seed(lua_State *L);

/* ---- convert.c ---- */

/* Pushes what an answer in RESP says. */
void convert_answer(lua_State *L, struct oxbow_bytes answer);
/* Pops a value and writes what it says. */
void convert_value(lua_State *L, struct resp_reply *reply, uint8_t version);
/* A number as Redis makes an integer of it. */
int64_t convert_integer(double v);

/* ---- msgpack.c, struct.c: push their tables ---- */

void msgpack_open(lua_State *L);
void struct_open(lua_State *L);

#endif
