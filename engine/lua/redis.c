/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table `redis`, and math.random with the sequence that Redis gives scripts, whatever the
 * platform: the same after each start of the server.
 *
 * What goes wrong in redis.call is an error of the script; in redis.pcall it is a value. Both are
 * {err = text}. All arguments of a command are on Lua's stack while it is carried out.
 */
#include "engine/lua/vm.h"

#include "engine/resp/server.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_MAX 64
#define LOG_MAX    1024u
#define FEW        32 /* arguments that need no memory of their own */

/* ---- commands ---- */

static void push_error(lua_State *L, const char *text)
{
    lua_newtable(L);
    lua_pushliteral(L, "err");
    lua_pushstring(L, text);
    lua_rawset(L, -3);
}

static int raise(lua_State *L, const char *text)
{
    push_error(L, text);
    return lua_error(L);
}

/* The arguments as bytes, numbers made texts where they are. NULL: `why` they are none. */
static struct oxbow_bytes *args_of(lua_State *L, struct oxbow_bytes *few, int count,
                                   const char **why)
{
    struct oxbow_bytes *args = few;

    *why = NULL;
    if (count == 0) {
        *why = "ERR Please specify at least one argument for this redis lib call";
        return NULL;
    }
    if (count > FEW) {
        args = lua_newuserdata(L, (size_t)count * sizeof *args);
    }
    for (int i = 1; i <= count; i++) {
        if (lua_type(L, i) == LUA_TNUMBER) {
            char text[NUMBER_MAX];

            (void)snprintf(text, sizeof text, "%.17g", lua_tonumber(L, i));
            lua_pushstring(L, text);
            lua_replace(L, i);
        } else if (lua_type(L, i) != LUA_TSTRING) {
            *why = "ERR Lua redis lib command arguments must be strings or integers";
            return NULL;
        }
        args[i - 1].data = lua_tolstring(L, i, &args[i - 1].len);
    }
    return args;
}

/* Carries out a command and pushes what it answers. */
static void push_answer(lua_State *L)
{
    struct resp_vm *vm = vm_of_state(L);
    struct oxbow_bytes few[FEW];
    struct oxbow_bytes answer;
    const char *why;
    int count = lua_gettop(L);
    const struct oxbow_bytes *args = args_of(L, few, count, &why);

    if (args == NULL) {
        push_error(L, why);
    } else if (resp_script_call(vm->script, args, (uint32_t)count, &answer) != OXBOW_OK) {
        push_error(L, "ERR the answer is too long for a script");
    } else {
        convert_answer(L, answer);
    }
}

static bool is_error(lua_State *L)
{
    bool yes;

    if (!lua_istable(L, -1)) {
        return false;
    }
    lua_pushliteral(L, "err");
    lua_rawget(L, -2);
    yes = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return yes;
}

static int redis_call(lua_State *L)
{
    push_answer(L);
    return is_error(L) ? lua_error(L) : 1;
}

static int redis_pcall(lua_State *L)
{
    push_answer(L);
    return 1;
}

static int redis_acl_check_cmd(lua_State *L)
{
    struct resp_vm *vm = vm_of_state(L);
    struct oxbow_bytes few[FEW];
    const char *why;
    int count = lua_gettop(L);
    const struct oxbow_bytes *args = args_of(L, few, count, &why);
    bool known = false;
    bool may;

    if (args == NULL) {
        return raise(L, why);
    }
    may = resp_script_may(vm->script, args, (uint32_t)count, &known);
    if (!known) {
        return raise(L, "ERR Invalid command passed to redis.acl_check_cmd()");
    }
    lua_pushboolean(L, may ? 1 : 0);
    return 1;
}

/* ---- replies ---- */

static bool is_one_text(lua_State *L)
{
    return lua_gettop(L) == 1 && lua_type(L, 1) == LUA_TSTRING;
}

/* {name = the text at 1}, or an error. */
static int reply_of(lua_State *L, const char *name)
{
    if (!is_one_text(L)) {
        push_error(L, "ERR wrong number or type of arguments");
        return 1;
    }
    lua_newtable(L);
    lua_pushstring(L, name);
    lua_pushvalue(L, 1);
    lua_rawset(L, -3);
    return 1;
}

/* What has no code ("CODE text") is given one. As in Redis the text ends at its first zero byte, a
 * status' does not. */
static int redis_error_reply(lua_State *L)
{
    if (is_one_text(L)) {
        const char *text = lua_tostring(L, 1);

        text += text[0] == '-' ? 1 : 0;
        lua_pushfstring(L, "%s%s", strchr(text, ' ') != NULL ? "" : "ERR ", text);
        lua_replace(L, 1);
    }
    return reply_of(L, "err");
}

static int redis_status_reply(lua_State *L)
{
    return reply_of(L, "ok");
}

/* ---- the rest ---- */

static int redis_sha1hex(lua_State *L)
{
    char sha[SHA1_HEX_LEN + 1];
    const char *text;
    size_t len = 0;

    if (lua_gettop(L) != 1) {
        return raise(L, "ERR wrong number of arguments");
    }
    text = lua_tolstring(L, 1, &len);
    sha1_hex(text, text != NULL ? len : 0, sha);
    lua_pushstring(L, sha);
    return 1;
}

static int redis_log(lua_State *L)
{
    char text[LOG_MAX];
    size_t len = 0;
    int count = lua_gettop(L);
    double level;

    if (count < 2) {
        return raise(L, "ERR redis.log() requires two arguments or more.");
    }
    if (lua_isnumber(L, 1) == 0) {
        return raise(L, "ERR First argument must be a number (log level).");
    }
    level = lua_tonumber(L, 1);
    if (!(level >= 0 && level <= 3)) {
        return raise(L, "ERR Invalid debug level.");
    }
    text[0] = '\0';
    for (int i = 2; i <= count && len < sizeof text - 1; i++) {
        const char *part = lua_tostring(L, i);

        if (part != NULL) {
            (void)snprintf(text + len, sizeof text - len, "%s%s", i > 2 ? " " : "", part);
            len = strlen(text);
        }
    }
    for (size_t i = 0; i < len; i++) {
        text[i] = text[i] == '\n' || text[i] == '\r' ? ' ' : text[i];
    }
    resp_script_log(vm_of_state(L)->script, (uint32_t)level, text);
    return 0;
}

static int redis_setresp(lua_State *L)
{
    double version;

    if (lua_gettop(L) != 1) {
        return raise(L, "ERR redis.setresp() requires one argument.");
    }
    version = lua_tonumber(L, 1);
    if (version != 2 && version != 3) {
        return raise(L, "ERR RESP version must be 2 or 3.");
    }
    vm_of_state(L)->script->version = (uint8_t)version;
    return 0;
}

static int redis_set_repl(lua_State *L)
{
    double flags;

    if (lua_gettop(L) != 1) {
        return raise(L, "ERR redis.set_repl() requires two arguments.");
    }
    flags = lua_tonumber(L, 1);
    if (!(flags >= 0 && flags <= 3)) {
        return raise(L, "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or "
                        "REPL_NONE.");
    }
    return 0;
}

static int redis_replicate_commands(lua_State *L)
{
    lua_pushboolean(L, 1);
    return 1;
}

static int redis_breakpoint(lua_State *L)
{
    lua_pushboolean(L, 0);
    return 1;
}

static int redis_debug(lua_State *L)
{
    (void)L;
    return 0;
}

void redis_open(lua_State *L)
{
    static const struct luaL_Reg functions[] = {
        {"call", redis_call},
        {"pcall", redis_pcall},
        {"acl_check_cmd", redis_acl_check_cmd},
        {"error_reply", redis_error_reply},
        {"status_reply", redis_status_reply},
        {"sha1hex", redis_sha1hex},
        {"log", redis_log},
        {"setresp", redis_setresp},
        {"set_repl", redis_set_repl},
        {"replicate_commands", redis_replicate_commands},
        {"breakpoint", redis_breakpoint},
        {"debug", redis_debug},
        {NULL, NULL},
    };
    static const struct {
        const char *name;
        int value;
    } numbers[] = {{"LOG_DEBUG", 0},  {"LOG_VERBOSE", 1},
                   {"LOG_NOTICE", 2}, {"LOG_WARNING", 3},
                   {"REPL_NONE", 0},  {"REPL_AOF", 1},
                   {"REPL_SLAVE", 2}, {"REPL_REPLICA", 2},
                   {"REPL_ALL", 3},   {"REDIS_VERSION_NUM", 0x07000f}};

    lua_newtable(L);
    for (const struct luaL_Reg *r = functions; r->name != NULL; r++) {
        lua_pushcfunction(L, r->func);
        lua_setfield(L, -2, r->name);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        lua_pushnumber(L, numbers[i].value);
        lua_setfield(L, -2, numbers[i].name);
    }
    lua_pushliteral(L, RESP_VERSION);
    lua_setfield(L, -2, "REDIS_VERSION");
}

/* ---- math.random ---- */

#define RANDOM_MASK  (((uint64_t)1 << 48) - 1)
#define RANDOM_FIRST 0x1234abcd330eu /* what it is before any seed is set */
#define RANDOM_RANGE 0x80000000u

/* The linear congruential generator of POSIX' lrand48: its highest 31 of 48 bits. */
static uint32_t random_step(struct resp_vm *vm)
{
    vm->random = (vm->random * 0x5deece66du + 0xb) & RANDOM_MASK;
    return (uint32_t)(vm->random >> 17);
}

static void random_start(struct resp_vm *vm, uint32_t seed)
{
    vm->random = (uint64_t)seed << 16 | 0x330e;
}

void random_reset(struct resp_vm *vm)
{
    vm->random = RANDOM_FIRST;
}

int random_next(lua_State *L)
{
    uint32_t step = random_step(vm_of_state(L));
    /* Divided by the greatest value, as Redis does, but never quite one. */
    double r = (double)(step % (RANDOM_RANGE - 1)) / (double)(RANDOM_RANGE - 1);
    int64_t low = 1;
    int64_t high;

    switch (lua_gettop(L)) {
    case 0:
        lua_pushnumber(L, r);
        return 1;
    case 1:
        high = luaL_checkint(L, 1);
        luaL_argcheck(L, 1 <= high, 1, "interval is empty");
        break;
    case 2:
        low = luaL_checkint(L, 1);
        high = luaL_checkint(L, 2);
        luaL_argcheck(L, low <= high, 2, "interval is empty");
        break;
    default:
        return luaL_error(L, "wrong number of arguments");
    }
    lua_pushnumber(L, (double)((int64_t)(r * (double)(high - low + 1)) + low));
    return 1;
}

int random_seed(lua_State *L)
{
    random_start(vm_of_state(L), (uint32_t)luaL_checkint(L, 1));
    return 0;
}
