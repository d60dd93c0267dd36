/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What scripts find: the globals, and that they cannot be changed.
 *
 * Lua 5.1 has no tables that refuse to be written to. So a script sees an empty table in the place of
 * each library, and of the globals; what is read of it is read in the real one behind it, what is
 * written to it is refused. Whoever walks over it (next, pairs, rawget) is shown the real one.
 *
 *   script's globals (empty) --__index--> the globals --__index--> an error
 *                    string (empty) --__index--> string
 *
 * 1. No script gets hold of a real table, or of a metatable of these.
 * 2. What rawset-like functions of Lua's own put into the empty ones (table.insert) is taken out after
 *    each script (sandbox_clean).
 * 3. Compiled chunks are refused: Lua does not check them, and they could do anything.
 */
#include "engine/lua/vm.h"

#include <lauxlib.h>
#include <lua-bitop.h>
#include <lua-cjson.h>
#include <lualib.h>
#include <string.h>

#define READONLY "Attempt to modify a readonly table"

/* In the metatable of a table that cannot be changed: the real one, and what getmetatable gives. */
static const char real_key = 'r';
static const char shown_key = 'm';

static void push_key(lua_State *L, const char *key)
{
    lua_pushlightuserdata(L, vm_handed(key));
}

/* Whether what is at idx cannot be changed; then the real table is pushed. */
static bool push_real(lua_State *L, int idx)
{
    if (lua_getmetatable(L, idx) == 0) {
        return false;
    }
    push_key(L, &real_key);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    return true;
}

/* ---- errors ---- */

static int refuse_write(lua_State *L)
{
    return luaL_error(L, READONLY);
}

static int refuse_read(lua_State *L)
{
    return luaL_error(L, "Script attempted to access nonexistent global variable '%s'",
                      lua_isstring(L, 2) ? lua_tostring(L, 2) : lua_typename(L, lua_type(L, 2)));
}

static const char *text_of(lua_State *L, int idx)
{
    switch (lua_type(L, idx)) {
    case LUA_TNIL:
        return "nil";
    case LUA_TBOOLEAN:
        return lua_toboolean(L, idx) != 0 ? "true" : "false";
    case LUA_TSTRING:
    case LUA_TNUMBER:
        return lua_tostring(L, idx);
    default:
        return lua_pushfstring(L, "%s: %p", lua_typename(L, lua_type(L, idx)),
                               lua_topointer(L, idx));
    }
}

int sandbox_on_error(lua_State *L)
{
    lua_Debug where;
    bool known = lua_getstack(L, 1, &where) != 0 && lua_getinfo(L, "nSl", &where) != 0;

    if (known && strcmp(where.what, "C") == 0) {
        known = lua_getstack(L, 2, &where) != 0 && lua_getinfo(L, "nSl", &where) != 0;
    }
    lua_settop(L, 1);
    if (!lua_istable(L, 1)) {
        lua_newtable(L);
        lua_pushliteral(L, "err");
        lua_pushfstring(L, "ERR %s", text_of(L, 1));
        lua_rawset(L, 2);
        lua_replace(L, 1);
    }
    lua_settop(L, 1);
    if (known) {
        lua_pushliteral(L, "source");
        lua_pushstring(L, where.source);
        lua_rawset(L, 1);
        lua_pushliteral(L, "line");
        lua_pushnumber(L, where.currentline);
        lua_rawset(L, 1);
    }
    return 1;
}

/* ---- what replaces Lua's own ---- */

static int safe_next(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    if (push_real(L, 1)) {
        lua_replace(L, 1);
    }
    if (lua_next(L, 1) != 0) {
        return 2;
    }
    lua_pushnil(L);
    return 1;
}

static int safe_pairs(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

static int safe_rawget(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    if (push_real(L, 1)) {
        lua_replace(L, 1);
    }
    lua_rawget(L, 1);
    return 1;
}

static int refuse_silently(lua_State *L)
{
    lua_pushliteral(L, READONLY);
    return lua_error(L);
}

static int safe_rawset(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    if (push_real(L, 1)) {
        return refuse_silently(L);
    }
    lua_rawset(L, 1);
    return 1;
}

static int safe_getmetatable(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_getmetatable(L, 1) == 0) {
        lua_pushnil(L);
        return 1;
    }
    push_key(L, &real_key);
    lua_rawget(L, -2);
    if (!lua_isnil(L, -1)) {
        push_key(L, &shown_key);
        lua_rawget(L, -3);
        return 1;
    }
    lua_pop(L, 1);
    (void)luaL_getmetafield(L, 1, "__metatable"); /* or else the metatable stays on top */
    return 1;
}

static int safe_setmetatable(lua_State *L)
{
    int type = lua_type(L, 2);

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argcheck(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table expected");
    if (push_real(L, 1)) {
        return refuse_silently(L);
    }
    if (luaL_getmetafield(L, 1, "__metatable") != 0) {
        return luaL_error(L, "cannot change a protected metatable");
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/* As Lua's, but that an error {err = text} becomes the text. */
static int safe_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0) == 0) {
        lua_pushboolean(L, 1);
        lua_insert(L, 1);
        return lua_gettop(L);
    }
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "err");
        if (lua_isstring(L, -1)) {
            lua_replace(L, -2);
        } else {
            lua_pop(L, 1);
        }
    }
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

/* The script's own handler, but not for the error that ends the script: that is raised within a hook,
 * where nothing would end the handler. */
static int guarded_handler(lua_State *L)
{
    lua_settop(L, 1);
    if (!vm_of_state(L)->script->over) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);
        lua_call(L, 1, 1);
    }
    return 1;
}

static int safe_xpcall(lua_State *L)
{
    int rc;

    luaL_checkany(L, 2);
    lua_settop(L, 2);
    lua_pushcclosure(L, guarded_handler, 1);
    lua_insert(L, 1);
    rc = lua_pcall(L, 0, LUA_MULTRET, 1);
    lua_pushboolean(L, rc == 0);
    lua_replace(L, 1);
    return lua_gettop(L);
}

/* What a chunk's reader or text gave: the function, or nil and why not. */
static int loaded(lua_State *L, int rc)
{
    if (rc == 0) {
        return 1;
    }
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

static int safe_loadstring(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    const char *name = luaL_optstring(L, 2, text);

    if (len > 0 && text[0] == LUA_SIGNATURE[0]) {
        lua_pushfstring(L, "[string \"%s\"]:1: unexpected symbol near 'char(27)'", name);
        return loaded(L, LUA_ERRSYNTAX);
    }
    return loaded(L, luaL_loadbuffer(L, text, len, name));
}

/* Gives the function's next piece; it is kept at 3 while Lua reads it. */
static const char *read_piece(lua_State *L, void *ctx, size_t *len)
{
    bool *begun = ctx;
    const char *text;

    luaL_checkstack(L, 2, "too many nested functions");
    lua_pushvalue(L, 1);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        *len = 0;
        return NULL;
    }
    if (!lua_isstring(L, -1)) {
        luaL_error(L, "reader function must return a string");
    }
    lua_replace(L, 3);
    text = lua_tolstring(L, 3, len);
    if (!*begun && *len > 0 && text[0] == LUA_SIGNATURE[0]) {
        luaL_error(L, "unexpected symbol near 'char(27)'");
    }
    *begun = *begun || *len > 0;
    return text;
}

static int safe_load(lua_State *L)
{
    const char *name = luaL_optstring(L, 2, "=(load)");
    bool begun = false;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 3);
    return loaded(L, lua_load(L, read_piece, &begun, name));
}

/* Garbage is collected as the server sees fit: what would stop that does nothing. */
static int safe_collectgarbage(lua_State *L)
{
    static const char *const names[] = {"collect", "count",    "step",       "stop",
                                        "restart", "setpause", "setstepmul", NULL};
    int what = luaL_checkoption(L, 1, "collect", names);

    if (what == 0) {
        lua_pushnumber(L, lua_gc(L, LUA_GCCOLLECT, 0));
    } else if (what == 1) {
        lua_pushnumber(L, (double)vm_of_state(L)->memory / 1024.0);
    } else if (what == 2) {
        lua_pushboolean(L, lua_gc(L, LUA_GCSTEP, luaL_optint(L, 2, 0)));
    } else {
        lua_pushnumber(L, 0);
    }
    return 1;
}

/* ---- the globals ---- */

static const struct luaL_Reg replaced[] = {
    {"next", safe_next},
    {"rawget", safe_rawget},
    {"rawset", safe_rawset},
    {"getmetatable", safe_getmetatable},
    {"setmetatable", safe_setmetatable},
    {"pcall", safe_pcall},
    {"xpcall", safe_xpcall},
    {"loadstring", safe_loadstring},
    {"load", safe_load},
    {"collectgarbage", safe_collectgarbage},
    {NULL, NULL},
};

/* Of Lua's own, as they are. */
static const char *const taken[] = {"_VERSION", "assert",   "error",  "gcinfo",
                                    "ipairs",   "rawequal", "select", "tonumber",
                                    "tostring", "type",     "unpack", NULL};
static const char *const libraries[] = {"bit",   "cjson",  "cmsgpack", "coroutine", "math",
                                        "redis", "string", "struct",   "table",     NULL};

void sandbox_protect(lua_State *L)
{
    lua_newtable(L); /* instead of it */
    lua_newtable(L); /* the metatable of that */
    push_key(L, &real_key);
    lua_pushvalue(L, -4);
    lua_rawset(L, -3);
    lua_pushliteral(L, "__index");
    lua_pushvalue(L, -4);
    lua_rawset(L, -3);
    lua_pushliteral(L, "__newindex");
    lua_pushcfunction(L, refuse_write);
    lua_rawset(L, -3);
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
    vm_get(L, &vm_proxies_key);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
    lua_pop(L, 1);
}

/* What getmetatable gives for the object on top, from the table on top of it, which is popped. */
static void set_shown(lua_State *L)
{
    sandbox_protect(L);
    (void)lua_getmetatable(L, -2);
    push_key(L, &shown_key);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 2);
}

static void call_opener(lua_State *L, lua_CFunction open, const char *name)
{
    lua_pushcfunction(L, open);
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
    if (lua_istable(L, -1) != 0 && name[0] != '\0') {
        lua_setglobal(L, name);
    }
    lua_settop(L, 1);
}

/* All libraries into Lua's own globals, which no script sees. */
static void open_libraries(lua_State *L)
{
    call_opener(L, luaopen_base, "");
    call_opener(L, luaopen_table, "table");
    call_opener(L, luaopen_string, "string");
    call_opener(L, luaopen_math, "math");
    call_opener(L, luaopen_cjson, "cjson");
    call_opener(L, luaopen_bit, "bit");
    redis_open(L);
    lua_setglobal(L, "redis");
    msgpack_open(L);
    lua_setglobal(L, "cmsgpack");
    struct_open(L);
    lua_setglobal(L, "struct");
    lua_getglobal(L, "math");
    lua_pushcfunction(L, random_next);
    lua_setfield(L, -2, "random");
    lua_pushcfunction(L, random_seed);
    lua_setfield(L, -2, "randomseed");
    lua_pop(L, 1);
}

/* The string type's metatable: ("x"):upper() goes on as it did, and nobody gets hold of it. */
static void protect_strings(lua_State *L)
{
    lua_pushliteral(L, "");
    (void)lua_getmetatable(L, -1);
    push_key(L, &real_key);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    lua_newtable(L);
    vm_get(L, &vm_globals_key);
    lua_getfield(L, -1, "string");
    lua_setfield(L, -3, "__index");
    lua_pop(L, 1);
    set_shown(L);
    lua_pop(L, 1);
}

/* The script's globals, instead of Lua's own. The real ones are on top. */
static void replace_globals(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, refuse_read);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    sandbox_protect(L);
    lua_newtable(L); /* getmetatable(_G) */
    lua_pushcfunction(L, refuse_read);
    lua_setfield(L, -2, "__index");
    set_shown(L);
    lua_pushliteral(L, "_G");
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
    lua_replace(L, LUA_GLOBALSINDEX);
}

void sandbox_open(lua_State *L)
{
    lua_settop(L, 1);
    open_libraries(L);
    push_key(L, &vm_globals_key);
    lua_newtable(L);
    lua_rawset(L, LUA_REGISTRYINDEX);
    vm_get(L, &vm_globals_key);
    for (size_t i = 0; taken[i] != NULL; i++) {
        lua_getglobal(L, taken[i]);
        lua_setfield(L, -2, taken[i]);
    }
    for (size_t i = 0; libraries[i] != NULL; i++) {
        lua_getglobal(L, libraries[i]);
        sandbox_protect(L);
        lua_setfield(L, -2, libraries[i]);
    }
    for (const struct luaL_Reg *r = replaced; r->name != NULL; r++) {
        lua_pushcfunction(L, r->func);
        lua_setfield(L, -2, r->name);
    }
    lua_getfield(L, -1, "next");
    lua_pushcclosure(L, safe_pairs, 1);
    lua_setfield(L, -2, "pairs");
    replace_globals(L);
    protect_strings(L);
}

void sandbox_clean(lua_State *L)
{
    vm_get(L, &vm_proxies_key);
    for (int i = 1;; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 2);
            return;
        }
        lua_pushnil(L);
        while (lua_next(L, -2) != 0) {
            lua_pop(L, 1);
            lua_pushvalue(L, -1);
            lua_pushnil(L);
            lua_rawset(L, -4);
        }
        lua_pop(L, 1);
    }
}
