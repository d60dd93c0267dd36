/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter's life, its memory, the scripts that it knows, and a run.
 *
 * 1. Every call into Lua that can fail for want of memory is made under lua_cpcall.
 * 2. Memory is bounded: what goes beyond it is an error of the script, "not enough memory".
 * 3. Scripts of EVAL are forgotten when VM_EVALED_MAX others came after them, those of SCRIPT LOAD
 *    never: who has only EVAL's can send the text again.
 */
#include "engine/lua/vm.h"

#include "engine/resp/reply.h"
#include "engine/resp/server.h"
#include "oxbow/lua.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define HOOK_INSTRUCTIONS 100000
#define CHUNK_NAME        "@user_script"

const char vm_scripts_key = 's';
const char vm_flags_key = 'f';
const char vm_globals_key = 'g';
const char vm_proxies_key = 'p';

/* ---- memory ---- */

static void *allocate(void *ctx, void *p, size_t was, size_t want)
{
    struct resp_vm *vm = ctx;
    void *to;

    if (want == 0) {
        mem_free(vm->alloc, p, was);
        vm->memory -= p != NULL ? was : 0;
        return NULL;
    }
    if (p == NULL) {
        was = 0;
    }
    if (want > was && (vm->memory > vm->memory_max || want - was > vm->memory_max - vm->memory)) {
        return NULL;
    }
    to = mem_new(vm->alloc, want);
    if (to == NULL) {
        /* Lua relies on it that shrinking never fails. */
        return want <= was ? p : NULL;
    }
    if (p != NULL) {
        memcpy(to, p, was < want ? was : want);
        mem_free(vm->alloc, p, was);
    }
    vm->memory = vm->memory - was + want;
    return to;
}

struct resp_vm *vm_of_state(lua_State *L)
{
    void *ctx;

    (void)lua_getallocf(L, &ctx);
    return ctx;
}

void vm_get(lua_State *L, const char *key)
{
    lua_pushlightuserdata(L, vm_handed(key));
    lua_rawget(L, LUA_REGISTRYINDEX);
}

static void keep_table(lua_State *L, const char *key)
{
    lua_pushlightuserdata(L, vm_handed(key));
    lua_newtable(L);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

/* What has been let go of is freed: step by step, or all of it when little is left. Protected, since
 * the collector, too, allocates. */
static int collect_protected(lua_State *L)
{
    const struct resp_vm *vm = vm_of_state(L);

    sandbox_clean(L);
    (void)lua_gc(L, vm->memory > vm->memory_max / 2 ? LUA_GCCOLLECT : LUA_GCSTEP, 1);
    return 0;
}

static void collect(struct resp_vm *vm)
{
    (void)lua_cpcall(vm->state, collect_protected, NULL);
    lua_settop(vm->state, 0);
}

/* ---- life ---- */

static int open_all(lua_State *L)
{
    keep_table(L, &vm_scripts_key);
    keep_table(L, &vm_flags_key);
    keep_table(L, &vm_proxies_key);
    sandbox_open(L);
    return 0;
}

static void vm_close(struct resp_vm *vm)
{
    lua_close(vm->state);
    mem_free(vm->alloc, vm, sizeof *vm);
}

static enum oxbow_err vm_open(struct oxbow_resp *server, uint64_t memory_max, struct resp_vm **out)
{
    const struct oxbow_alloc *alloc = resp_alloc(server);
    struct resp_vm *vm = mem_new(alloc, sizeof *vm);

    if (vm == NULL) {
        return OXBOW_ENOMEM;
    }
    vm->server = server;
    vm->alloc = alloc;
    vm->memory_max = (size_t)memory_max;
    random_reset(vm);
    vm->state = lua_newstate(allocate, vm);
    if (vm->state == NULL) {
        mem_free(alloc, vm, sizeof *vm);
        return OXBOW_ENOMEM;
    }
    if (lua_cpcall(vm->state, open_all, NULL) != 0) {
        vm_close(vm);
        return OXBOW_ENOMEM;
    }
    lua_settop(vm->state, 0);
    *out = vm;
    return OXBOW_OK;
}

/* ---- scripts that are known ---- */

static void set_flags(lua_State *L, const char *sha, uint32_t flags)
{
    vm_get(L, &vm_flags_key);
    lua_pushstring(L, sha);
    lua_pushnumber(L, flags);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static int find_protected(lua_State *L)
{
    const char *sha = lua_touserdata(L, 1);

    vm_get(L, &vm_flags_key);
    lua_pushstring(L, sha);
    lua_rawget(L, -2);
    vm_of_state(L)->found = lua_isnumber(L, -1);
    vm_of_state(L)->found_flags = (uint32_t)lua_tonumber(L, -1);
    if (vm_of_state(L)->found && (vm_of_state(L)->found_flags & RESP_SCRIPT_USED) == 0) {
        set_flags(L, sha, vm_of_state(L)->found_flags | RESP_SCRIPT_USED);
    }
    return 0;
}

static bool vm_find(struct resp_vm *vm, const char *sha, uint32_t *flags)
{
    vm->found = false;
    (void)lua_cpcall(vm->state, find_protected, vm_handed(sha));
    lua_settop(vm->state, 0);
    if (vm->found) {
        *flags = vm->found_flags;
    }
    return vm->found;
}

/* A script to be compiled, or to be kept under other flags. */
struct loading {
    const char *sha;
    struct oxbow_bytes text;
    uint32_t flags;
};

static void forget(lua_State *L, const char *sha, const char *key)
{
    vm_get(L, key);
    lua_pushstring(L, sha);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static uint32_t flags_of(lua_State *L, const char *sha)
{
    uint32_t flags;

    vm_get(L, &vm_flags_key);
    lua_pushstring(L, sha);
    lua_rawget(L, -2);
    flags = (uint32_t)lua_tonumber(L, -1);
    lua_pop(L, 2);
    return flags;
}

/* Makes room for one of EVAL's scripts. The oldest goes, unless it is kept by now; one that was used
 * since it came, or since it was looked at here, counts as the newest instead. */
static void evict(lua_State *L, struct resp_vm *vm)
{
    bool room = false;

    while (!room) {
        const char *sha = vm->evaled[vm->evaled_at];
        uint32_t flags = flags_of(L, sha);

        vm->evaled_at = (vm->evaled_at + 1) % VM_EVALED_MAX;
        if ((flags & RESP_SCRIPT_KEPT) == 0 && (flags & RESP_SCRIPT_USED) != 0) {
            set_flags(L, sha, flags & ~RESP_SCRIPT_USED); /* its place is the last one now */
            continue;
        }
        if ((flags & RESP_SCRIPT_KEPT) == 0) {
            forget(L, sha, &vm_scripts_key);
            forget(L, sha, &vm_flags_key);
            vm->count--;
        }
        vm->evaled_count--;
        room = true;
    }
}

static int load_protected(lua_State *L)
{
    struct loading *l = lua_touserdata(L, 1);
    struct resp_vm *vm = vm_of_state(L);
    int rc;

    if (l->text.len > 0 && *(const char *)l->text.data == LUA_SIGNATURE[0]) {
        lua_pushliteral(L, "user_script:1: unexpected symbol near 'char(27)'");
        rc = LUA_ERRSYNTAX;
    } else {
        rc = luaL_loadbuffer(L, l->text.len > 0 ? l->text.data : "", l->text.len, CHUNK_NAME);
    }
    if (rc != 0) {
        lua_pushfstring(L, "ERR Error compiling script (new function): %s", lua_tostring(L, -1));
        resp_error(vm->reply, lua_tostring(L, -1));
        vm->reply = NULL;
        return 0;
    }
    if (vm->evaled_count == VM_EVALED_MAX) {
        evict(L, vm);
    }
    vm_get(L, &vm_scripts_key);
    lua_pushstring(L, l->sha);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    set_flags(L, l->sha, l->flags);
    return 0;
}

static bool vm_load(struct resp_vm *vm, const char *sha, struct oxbow_bytes text, uint32_t flags,
                    struct resp_reply *reply)
{
    struct loading l = {sha, text, flags};
    int rc;
    uint32_t at;

    vm->reply = reply;
    rc = lua_cpcall(vm->state, load_protected, &l);
    lua_settop(vm->state, 0);
    if (rc != 0) {
        collect(vm);
        resp_error(reply, "ERR Error compiling script (new function): not enough memory");
        return false;
    }
    if (vm->reply == NULL) {
        return false;
    }
    at = (vm->evaled_at + vm->evaled_count) % VM_EVALED_MAX;
    memcpy(vm->evaled[at], sha, SHA1_HEX_LEN + 1);
    vm->evaled_count++;
    vm->count++;
    return true;
}

static int keep_protected(lua_State *L)
{
    struct loading *l = lua_touserdata(L, 1);

    set_flags(L, l->sha, l->flags);
    return 0;
}

static void vm_keep(struct resp_vm *vm, const char *sha)
{
    struct loading l = {.sha = sha};

    if (vm_find(vm, sha, &l.flags)) {
        l.flags |= RESP_SCRIPT_KEPT;
        /* Setting a field that is there takes no memory; without, it is EVAL's for now. */
        (void)lua_cpcall(vm->state, keep_protected, &l);
        lua_settop(vm->state, 0);
    }
}

static int flush_protected(lua_State *L)
{
    keep_table(L, &vm_scripts_key);
    keep_table(L, &vm_flags_key);
    return 0;
}

static void vm_flush(struct resp_vm *vm)
{
    if (lua_cpcall(vm->state, flush_protected, NULL) == 0) {
        vm->evaled_count = 0;
        vm->count = 0;
    }
    lua_settop(vm->state, 0);
    collect(vm);
}

/* ---- a run ---- */

static void set_global(lua_State *L, const char *name, const struct oxbow_bytes *args,
                       uint32_t count)
{
    lua_newtable(L);
    for (uint32_t i = 0; i < count; i++) {
        lua_pushlstring(L, args[i].len > 0 ? args[i].data : "", args[i].len);
        lua_rawseti(L, -2, (int)i + 1);
    }
    vm_get(L, &vm_globals_key);
    lua_insert(L, -2);
    lua_pushstring(L, name);
    lua_insert(L, -2);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* The text of a field of the error on top; NULL: it has none. Stays on the stack. */
static const char *field_text(lua_State *L, const char *name)
{
    if (!lua_istable(L, 1)) {
        lua_pushnil(L);
    } else {
        lua_pushstring(L, name);
        lua_rawget(L, 1);
    }
    return lua_isstring(L, -1) ? lua_tostring(L, -1) : NULL;
}

/* Replies with the error that ended a script: at 1, where it is made anew. */
static void reply_error(lua_State *L, struct resp_vm *vm)
{
    const char *err = field_text(L, "err");
    const char *source = field_text(L, "source");
    const char *line = field_text(L, "line");

    if (err == NULL) {
        err = lua_isstring(L, 1) ? lua_pushfstring(L, "ERR %s", lua_tostring(L, 1))
                                 : "ERR unknown error";
    }
    if (source != NULL && line != NULL) {
        lua_pushfstring(L, "%s script: %s, on %s:%s.", err, vm->script->sha, source, line);
    } else {
        lua_pushfstring(L, "%s script: %s", err, vm->script->sha);
    }
    resp_error(vm->script->call->reply, lua_tostring(L, -1));
}

/* Called once in so many instructions. A script whose time is over gets an error, and then one for each
 * instruction: it cannot hide it by pcall. */
static void on_count(lua_State *L, lua_Debug *where)
{
    struct resp_vm *vm = vm_of_state(L);

    (void)where;
    if (vm->script == NULL || !resp_script_is_over(vm->script)) {
        return;
    }
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
    luaL_error(L, "Script ended: it ran for longer than lua-time-limit allows");
}

static int run_protected(lua_State *L)
{
    struct resp_vm *vm = vm_of_state(L);
    struct resp_script *script = vm->script;
    int rc;

    set_global(L, "KEYS", script->keys, script->key_count);
    set_global(L, "ARGV", script->keys + script->key_count, script->arg_count);
    lua_pushcfunction(L, sandbox_on_error);
    vm_get(L, &vm_scripts_key);
    lua_pushstring(L, script->sha);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    rc = lua_pcall(L, 0, 1, -2);
    if (rc == 0) {
        convert_value(L, script->call->reply, script->version);
    } else {
        lua_replace(L, 1);
        lua_settop(L, 1);
        reply_error(L, vm);
    }
    return 0;
}

static void vm_run(struct resp_vm *vm, struct resp_script *script)
{
    struct resp_reply *reply = script->call->reply;
    uint64_t mark = resp_reply_mark(reply);
    int rc;

    vm->script = script;
    lua_sethook(vm->state, on_count, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
    rc = lua_cpcall(vm->state, run_protected, NULL);
    if (rc != 0) { /* no memory for the reply, or for that of the error */
        resp_reply_rewind(reply, mark);
        resp_error_format(reply, "ERR not enough memory script: %s", script->sha);
    }
    lua_settop(vm->state, 0);
    (void)lua_sethook(vm->state, NULL, 0, 0);
    vm->script = NULL;
    collect(vm);
}

static uint64_t vm_memory(const struct resp_vm *vm)
{
    return vm->memory;
}

static uint32_t vm_count(const struct resp_vm *vm)
{
    return vm->count;
}

const struct oxbow_scripting *oxbow_lua(void)
{
    static const struct oxbow_scripting lua = {.open = vm_open,
                                               .close = vm_close,
                                               .find = vm_find,
                                               .load = vm_load,
                                               .keep = vm_keep,
                                               .run = vm_run,
                                               .flush = vm_flush,
                                               .memory = vm_memory,
                                               .count = vm_count};

    return &lua;
}
