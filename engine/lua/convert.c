/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of commands to Lua's values, and values to replies, as Redis 7.0 does it:
 *
 *   RESP                 Lua                              RESP
 *   +text                {ok = text}                      +text
 *   -text                {err = text}                     -text
 *   :n                   number                           :n, without its fraction
 *   $text                string                           $text
 *   $-1 *-1              false (version 2), nil (3)       null
 *   *                    array                            *, up to the first nil
 *   #t #f                true, false                      :1, null (version 2), #t, #f (3)
 *   ,x                   {double = x}                     ,x
 *   (n                   {big_number = n}                 (n
 *   =fmt:text            {verbatim_string = {format = , string = }}
 *   %                    {map = {...}}                    %
 *   ~                    {set = {member = true, ...}}     ~
 *
 * Neither way recurses: what is under way is kept in frames, those of answers in an array, since the
 * server's own nest to a known depth, those of values on Lua's stack, three slots each: the table, how
 * far it is (an index, or a key), and the kind of frame.
 */
#include "engine/lua/vm.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_DEPTH 32u

/* ---- from answers ---- */

enum frame_kind { FRAME_ARRAY, FRAME_MAP_KEY, FRAME_MAP_VALUE, FRAME_SET };

struct frame {
    enum frame_kind kind;
    uint64_t left; /* elements that are still to come */
    int idx;
};

struct parser {
    const char *at;
    const char *end;
    uint32_t depth;
    struct frame frames[ANSWER_DEPTH];
};

/* The rest of a line, and the parser is behind its end. */
static struct oxbow_bytes line_of(lua_State *L, struct parser *p)
{
    const char *from = p->at;
    const char *cr = p->at < p->end ? memchr(p->at, '\r', (size_t)(p->end - p->at)) : NULL;

    if (cr == NULL || p->end - cr < 2) {
        luaL_error(L, "malformed answer");
        return (struct oxbow_bytes){NULL, 0};
    }
    p->at = cr + 2;
    return (struct oxbow_bytes){from, (size_t)(cr - from)};
}

static int64_t number_of(struct oxbow_bytes line)
{
    const char *p = line.data;
    bool minus = line.len > 0 && p[0] == '-';
    uint64_t v = 0;

    for (size_t i = minus ? 1 : 0; i < line.len; i++) {
        v = v * 10 + (uint64_t)(p[i] - '0');
    }
    return minus ? (int64_t)(0 - v) : (int64_t)v;
}

static void push_bytes(lua_State *L, struct oxbow_bytes b)
{
    lua_pushlstring(L, b.len > 0 ? b.data : "", b.len);
}

/* {name = value}, of the value on top. */
static void wrap(lua_State *L, const char *name)
{
    lua_newtable(L);
    lua_insert(L, -2);
    lua_pushstring(L, name);
    lua_insert(L, -2);
    lua_rawset(L, -3);
}

static void push_text(lua_State *L, struct oxbow_bytes b, const char *name)
{
    push_bytes(L, b);
    wrap(L, name);
}

static void push_error(lua_State *L, struct oxbow_bytes b)
{
    lua_newtable(L);
    lua_pushliteral(L, "err");
    push_bytes(L, b);
    lua_rawset(L, -3);
    lua_pushliteral(L, "ignore_error_stats_update");
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
}

/* A string of so many bytes, which has its own end of line. */
static struct oxbow_bytes bulk_of(lua_State *L, struct parser *p, int64_t len)
{
    struct oxbow_bytes b = {p->at, (size_t)len};

    if (p->end - p->at < len + 2) {
        luaL_error(L, "malformed answer");
    }
    p->at += len + 2;
    return b;
}

static void push_double(lua_State *L, struct oxbow_bytes line)
{
    char text[64];
    size_t len = line.len < sizeof text - 1 ? line.len : sizeof text - 1;

    if (len > 0) {
        memcpy(text, line.data, len);
    }
    text[len] = '\0';
    lua_pushnumber(L, strtod(text, NULL));
    wrap(L, "double");
}

static void push_verbatim(lua_State *L, struct oxbow_bytes b)
{
    const char *text = b.data;

    lua_newtable(L);
    lua_pushliteral(L, "format");
    lua_pushlstring(L, text, 3);
    lua_rawset(L, -3);
    lua_pushliteral(L, "string");
    lua_pushlstring(L, text + 4, b.len - 4);
    lua_rawset(L, -3);
    wrap(L, "verbatim_string");
}

/* Tables begin empty, whatever is to come: how they grow shows in the order of their keys, and in the
 * length of arrays that have nil in them. */
static void frame_begin(lua_State *L, struct parser *p, enum frame_kind kind, int64_t count)
{
    if (p->depth == ANSWER_DEPTH) {
        luaL_error(L, "answer nested too deeply");
    }
    luaL_checkstack(L, 6, "answer");
    if (kind == FRAME_ARRAY) {
        lua_newtable(L);
    } else {
        lua_newtable(L);
        lua_pushstring(L, kind == FRAME_SET ? "set" : "map");
        lua_newtable(L);
    }
    p->frames[p->depth++] = (struct frame){
        .kind = kind, .left = kind == FRAME_MAP_KEY ? 2 * (uint64_t)count : (uint64_t)count};
}

/* Reads one item: pushes a value, or begins a frame and is false. */
static bool push_item(lua_State *L, struct parser *p)
{
    char type = p->at < p->end ? *p->at++ : '\0';
    struct oxbow_bytes line = line_of(L, p);
    int64_t n = strchr(":$*%~=", type) != NULL && type != '\0' ? number_of(line) : 0;

    switch (type) {
    case '+':
        push_text(L, line, "ok");
        return true;
    case '-':
        push_error(L, line);
        return true;
    case ':':
        lua_pushnumber(L, (lua_Number)n);
        return true;
    case '$':
    case '*':
        if (n < 0) {
            lua_pushboolean(L, 0);
            return true;
        }
        if (type == '$') {
            push_bytes(L, bulk_of(L, p, n));
            return true;
        }
        frame_begin(L, p, FRAME_ARRAY, n);
        return false;
    case '%':
        frame_begin(L, p, FRAME_MAP_KEY, n);
        return false;
    case '~':
        frame_begin(L, p, FRAME_SET, n);
        return false;
    case '_':
        lua_pushnil(L);
        return true;
    case '#':
        lua_pushboolean(L, line.len == 1 && *(const char *)line.data == 't');
        return true;
    case ',':
        push_double(L, line);
        return true;
    case '(':
        push_text(L, line, "big_number");
        return true;
    case '=':
        push_verbatim(L, bulk_of(L, p, n));
        return true;
    default:
        luaL_error(L, "malformed answer");
        return true;
    }
}

/* Puts the value on top into the frame. */
static void frame_put(lua_State *L, struct frame *f)
{
    f->left--;
    switch (f->kind) {
    case FRAME_ARRAY:
        lua_rawseti(L, -2, ++f->idx);
        break;
    case FRAME_MAP_KEY:
        f->kind = FRAME_MAP_VALUE; /* it stays where it is */
        break;
    case FRAME_MAP_VALUE:
        f->kind = FRAME_MAP_KEY;
        lua_rawset(L, -3);
        break;
    case FRAME_SET:
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
        break;
    }
}

/* What the frame was for is on top. */
static void frame_end(lua_State *L, const struct frame *f)
{
    if (f->kind != FRAME_ARRAY) {
        lua_rawset(L, -3);
    }
}

void convert_answer(lua_State *L, struct oxbow_bytes answer)
{
    struct parser p = {.at = answer.data, .end = (const char *)answer.data + answer.len};

    luaL_checkstack(L, 8, "answer");
    if (answer.data == NULL) { /* a command without an answer: there is none */
        lua_pushnil(L);
        return;
    }
    for (;;) {
        bool whole = push_item(L, &p);

        if (whole && p.depth > 0) {
            frame_put(L, &p.frames[p.depth - 1]);
        }
        while (p.depth > 0 && p.frames[p.depth - 1].left == 0) {
            frame_end(L, &p.frames[--p.depth]);
            if (p.depth > 0) {
                frame_put(L, &p.frames[p.depth - 1]);
            }
        }
        if (p.depth == 0) {
            return;
        }
    }
}

/* ---- to replies ---- */

int64_t convert_integer(double v)
{
    return v >= -9223372036854775808.0 && v < 9223372036854775808.0 ? (int64_t)v : INT64_MIN;
}

/* Whether the table on top has the field in that type, which is then on top of it. */
static bool has(lua_State *L, const char *name, int type)
{
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    if (lua_type(L, -1) == type) {
        return true;
    }
    lua_pop(L, 1);
    return false;
}

static struct oxbow_bytes bytes_at(lua_State *L, int idx)
{
    struct oxbow_bytes b;

    b.data = lua_tolstring(L, idx, &b.len);
    return b;
}

/* {verbatim_string = {format =, string =}}: false: the table on top is none. */
static bool put_verbatim(lua_State *L, struct resp_reply *reply)
{
    struct oxbow_bytes text;
    const char *format;
    char head[48] = "=";
    int top = lua_gettop(L);

    if (!has(L, "verbatim_string", LUA_TTABLE)) {
        return false;
    }
    if (!has(L, "format", LUA_TSTRING)) {
        lua_settop(L, top);
        return false;
    }
    format = lua_tostring(L, -1);
    lua_insert(L, -2);
    if (!has(L, "string", LUA_TSTRING)) {
        lua_settop(L, top);
        return false;
    }
    text = bytes_at(L, -1);
    if (reply->version < 3) {
        resp_bulk(reply, text);
    } else {
        lua_pushfstring(L, "=%d\r\n", (int)text.len + 4);
        resp_raw(reply, bytes_at(L, -1));
        for (size_t i = 0; i < 3; i++) {
            head[i] = *format != '\0' ? *format++ : ' ';
        }
        head[3] = ':';
        resp_raw(reply, (struct oxbow_bytes){head, 4});
        resp_raw(reply, text);
        resp_raw(reply, (struct oxbow_bytes){"\r\n", 2});
    }
    lua_settop(L, top);
    return true;
}

static void put_bignum(lua_State *L, struct resp_reply *reply)
{
    luaL_Buffer b;
    struct oxbow_bytes text = bytes_at(L, -1);
    const char *p = text.data;

    luaL_buffinit(L, &b);
    for (size_t i = 0; i < text.len; i++) {
        luaL_addchar(&b, (p[i] == '\r' || p[i] == '\n') ? ' ' : p[i]);
    }
    luaL_pushresult(&b);
    resp_bignum(reply, bytes_at(L, -1));
    lua_pop(L, 1);
}

/* A table that stands for one thing. False: it does not. */
static bool put_special(lua_State *L, struct resp_reply *reply)
{
    if (has(L, "err", LUA_TSTRING)) {
        resp_error(reply, lua_tostring(L, -1));
    } else if (has(L, "ok", LUA_TSTRING)) {
        struct oxbow_bytes text = bytes_at(L, -1);
        char *copy = lua_newuserdata(L, text.len + 1);

        memcpy(copy, text.data, text.len + 1);
        for (char *p = copy; *p != '\0'; p++) {
            *p = *p == '\r' || *p == '\n' ? ' ' : *p;
        }
        lua_remove(L, -2);
        resp_simple(reply, copy);
    } else if (has(L, "double", LUA_TNUMBER)) {
        resp_double(reply, lua_tonumber(L, -1));
    } else if (has(L, "big_number", LUA_TSTRING)) {
        put_bignum(L, reply);
    } else {
        return put_verbatim(L, reply);
    }
    lua_pop(L, 1);
    return true;
}

static size_t count_pairs(lua_State *L)
{
    size_t n = 0;

    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        lua_pop(L, 1);
        n++;
    }
    return n;
}

static size_t count_items(lua_State *L)
{
    for (int n = 1;; n++) {
        lua_rawgeti(L, -1, n);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            return (size_t)n - 1;
        }
        lua_pop(L, 1);
    }
}

/* The table on top becomes a frame, and what it holds is announced. */
static void push_frame(lua_State *L, struct resp_reply *reply)
{
    enum frame_kind kind = FRAME_ARRAY;

    if (has(L, "map", LUA_TTABLE)) {
        kind = FRAME_MAP_KEY;
        lua_remove(L, -2);
        resp_map(reply, count_pairs(L));
    } else if (has(L, "set", LUA_TTABLE)) {
        kind = FRAME_SET;
        lua_remove(L, -2);
        resp_set(reply, count_pairs(L));
    } else {
        resp_array(reply, count_items(L));
    }
    if (kind == FRAME_ARRAY) {
        lua_pushnumber(L, 0);
    } else {
        lua_pushnil(L);
    }
    lua_pushnumber(L, kind);
}

/* Pops the value on top and writes it, or makes a frame of it. */
static void put(lua_State *L, struct resp_reply *reply, uint8_t version)
{
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        resp_bulk(reply, bytes_at(L, -1));
        break;
    case LUA_TNUMBER:
        resp_int(reply, convert_integer(lua_tonumber(L, -1)));
        break;
    case LUA_TBOOLEAN:
        if (version >= 3) {
            resp_bool(reply, lua_toboolean(L, -1) != 0);
        } else if (lua_toboolean(L, -1) != 0) {
            resp_int(reply, 1);
        } else {
            resp_null(reply);
        }
        break;
    case LUA_TTABLE:
        if (lua_checkstack(L, 8) == 0) {
            resp_error(reply, "ERR reached lua stack limit");
        } else if (!put_special(L, reply)) {
            push_frame(L, reply);
            return;
        }
        break;
    default:
        resp_null(reply);
    }
    lua_pop(L, 1);
}

/* Pushes the frame's next value. False: there is none, and the frame is gone. */
static bool next_of_frame(lua_State *L)
{
    enum frame_kind kind = (enum frame_kind)lua_tonumber(L, -1);
    int n;

    switch (kind) {
    case FRAME_ARRAY:
        n = (int)lua_tonumber(L, -2) + 1;
        lua_rawgeti(L, -3, n);
        if (!lua_isnil(L, -1)) {
            lua_pushnumber(L, n);
            lua_replace(L, -4);
            return true;
        }
        lua_pop(L, 4);
        return false;
    case FRAME_MAP_VALUE:
        lua_pushnumber(L, FRAME_MAP_KEY);
        lua_replace(L, -2);
        lua_pushvalue(L, -2);
        lua_rawget(L, -4);
        return true;
    default:
        lua_pushvalue(L, -2);
        if (lua_next(L, -4) == 0) {
            lua_pop(L, 3);
            return false;
        }
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_replace(L, -4);
        if (kind == FRAME_MAP_KEY) {
            lua_pushnumber(L, FRAME_MAP_VALUE);
            lua_replace(L, -3);
        }
        return true;
    }
}

void convert_value(lua_State *L, struct resp_reply *reply, uint8_t version)
{
    int base = lua_gettop(L) - 1;

    do {
        put(L, reply, version);
        while (lua_gettop(L) > base && !next_of_frame(L)) {
        }
    } while (lua_gettop(L) > base);
}
