/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table `cmsgpack`: values of Lua as MessagePack (its specification of 2013) and back, with the
 * choices that Redis' library has made:
 *
 *   integers and what is equal to one  the shortest form          nil, functions, threads  nil
 *   other numbers                      a float if it says it all  tables deeper than 16    nil
 *   tables with keys 1 to n            arrays                     other tables             maps
 *
 * Extensions and binary strings are not known. Neither way recurses: tables under way are frames.
 */
#include "engine/lua/bytes.h"
#include "engine/lua/vm.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#define NESTING_MAX 16

/* ---- packing ---- */

static void pack_head(struct bytes *b, size_t n, unsigned fix, size_t fix_max, unsigned wide)
{
    if (n <= fix_max) {
        bytes_byte(b, fix | (unsigned)n);
    } else if (n <= 0xffff) {
        bytes_byte(b, wide);
        bytes_number(b, n, 2);
    } else {
        bytes_byte(b, wide + 1);
        bytes_number(b, n, 4);
    }
}

static void pack_string(struct bytes *b, const char *text, size_t len)
{
    if (len > 31 && len <= 0xff) {
        bytes_byte(b, 0xd9);
        bytes_byte(b, (unsigned)len);
    } else {
        pack_head(b, len, 0xa0, 31, 0xda);
    }
    bytes_add(b, text, len);
}

static void pack_integer(struct bytes *b, int64_t n)
{
    static const struct {
        int64_t low;
        int64_t high;
        unsigned type;
        unsigned size;
    } forms[] = {
        {0, 0xff, 0xcc, 1},      {0, 0xffff, 0xcd, 2},    {0, 0xffffffff, 0xce, 4},
        {0, INT64_MAX, 0xcf, 8}, {INT8_MIN, 0, 0xd0, 1},  {INT16_MIN, 0, 0xd1, 2},
        {INT32_MIN, 0, 0xd2, 4}, {INT64_MIN, 0, 0xd3, 8},
    };
    size_t i = 0;

    if (n >= -32 && n <= 127) {
        bytes_byte(b, (unsigned)n & 0xff);
        return;
    }
    while (n < forms[i].low || n > forms[i].high) {
        i++;
    }
    bytes_byte(b, forms[i].type);
    bytes_number(b, (uint64_t)n, forms[i].size);
}

static void pack_number(struct bytes *b, double d)
{
    float f = (float)d;
    uint64_t bits = 0;
    uint32_t few;

    if (d >= -9223372036854775808.0 && d < 9223372036854775808.0 && (double)(int64_t)d == d) {
        pack_integer(b, (int64_t)d);
    } else if ((double)f == d) {
        memcpy(&few, &f, sizeof few);
        bytes_byte(b, 0xca);
        bytes_number(b, few, 4);
    } else {
        memcpy(&bits, &d, sizeof bits);
        bytes_byte(b, 0xcb);
        bytes_number(b, bits, 8);
    }
}

/* How many fields the table on top has, and whether their keys are 1 to that. */
static size_t count_fields(lua_State *L, bool *array)
{
    size_t n = 0;
    double max = 0;

    *array = true;
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TNUMBER) {
            double key = lua_tonumber(L, -1);

            *array = *array && key > 0 && key <= (double)INT_MAX && (double)(int)key == key;
            max = key > max ? key : max;
        } else {
            *array = false;
        }
        n++;
    }
    *array = *array && max == (double)n;
    return n;
}

/* A table that is being packed. It is on Lua's stack, and above it, for a map, the key that is under
 * way. */
struct packing {
    bool array;
    bool value; /* the key is packed, and its value comes next */
    int idx;
};

struct packer {
    struct bytes out;
    int depth;
    struct packing frames[NESTING_MAX];
};

/* Leaves the table on top where it is, as a frame. */
static void pack_table(lua_State *L, struct packer *p)
{
    bool array;
    size_t count;

    luaL_checkstack(L, 8, "in function mp_encode_lua_table");
    count = count_fields(L, &array);
    pack_head(&p->out, count, array ? 0x90 : 0x80, 15, array ? 0xdc : 0xde);
    p->frames[p->depth++] = (struct packing){.array = array};
    if (!array) {
        lua_pushnil(L);
    }
}

/* Pops the value on top and packs it, or makes a frame of it. */
static void pack_value(lua_State *L, struct packer *p)
{
    size_t len;
    const char *text;

    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        text = lua_tolstring(L, -1, &len);
        pack_string(&p->out, text, len);
        break;
    case LUA_TBOOLEAN:
        bytes_byte(&p->out, lua_toboolean(L, -1) != 0 ? 0xc3 : 0xc2);
        break;
    case LUA_TNUMBER:
        pack_number(&p->out, lua_tonumber(L, -1));
        break;
    case LUA_TTABLE:
        if (p->depth < NESTING_MAX) {
            pack_table(L, p);
            return;
        }
        bytes_byte(&p->out, 0xc0);
        break;
    default:
        bytes_byte(&p->out, 0xc0);
    }
    lua_pop(L, 1);
}

/* Pushes what comes next in the innermost frame. False: nothing does, and the frame is gone. */
static bool pack_next(lua_State *L, struct packer *p)
{
    struct packing *f = &p->frames[p->depth - 1];

    if (f->array) {
        lua_rawgeti(L, -1, ++f->idx);
        if (!lua_isnil(L, -1)) {
            return true;
        }
        lua_pop(L, 2);
    } else if (f->value) {
        f->value = false;
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        return true;
    } else if (lua_next(L, -2) != 0) {
        f->value = true;
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        return true;
    } else {
        lua_pop(L, 1);
    }
    p->depth--;
    return false;
}

static void pack_argument(lua_State *L, struct packer *p, int idx)
{
    lua_pushvalue(L, idx);
    do {
        pack_value(L, p);
        while (p->depth > 0 && !pack_next(L, p)) {
        }
    } while (p->depth > 0);
}

static int pack(lua_State *L)
{
    int count = lua_gettop(L);
    struct packer p = {.depth = 0};

    if (count == 0) {
        return luaL_argerror(L, 0, "MessagePack pack needs input.");
    }
    luaL_checkstack(L, 8, "Too many arguments for MessagePack pack.");
    bytes_init(&p.out, L);
    for (int i = 1; i <= count; i++) {
        pack_argument(L, &p, i);
    }
    bytes_push(&p.out);
    return 1;
}

/* ---- unpacking ---- */

/* A table that is being filled. It is on Lua's stack, and above it, for a map, the key that waits for
 * its value. */
struct unpacking {
    size_t left;
    int idx;
    bool map;
    bool key; /* it is there */
};

struct input {
    const uint8_t *at;
    size_t left;
    struct bytes frames; /* struct unpacking, the innermost last */
};

static const uint8_t *take(lua_State *L, struct input *in, size_t len)
{
    const uint8_t *at = in->at;

    if (in->left < len) {
        luaL_error(L, "Missing bytes in input.");
    }
    in->at += len;
    in->left -= len;
    return at;
}

static uint64_t take_number(lua_State *L, struct input *in, unsigned size)
{
    const uint8_t *p = take(L, in, size);
    uint64_t v = 0;

    for (unsigned i = 0; i < size; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static void push_string(lua_State *L, struct input *in, size_t len)
{
    lua_pushlstring(L, (const char *)take(L, in, len), len);
}

/* Pushes a table; one that is not empty becomes a frame, and this is false. */
static bool push_table(lua_State *L, struct input *in, size_t count, bool map)
{
    struct unpacking f = {.left = count, .map = map};

    lua_newtable(L);
    if (count == 0) {
        return true;
    }
    luaL_checkstack(L, 8, "in function mp_decode_to_lua_array");
    bytes_add(&in->frames, &f, sizeof f);
    return false;
}

static void push_float(lua_State *L, struct input *in)
{
    uint32_t bits = (uint32_t)take_number(L, in, 4);
    float f;

    memcpy(&f, &bits, sizeof f);
    lua_pushnumber(L, (double)f);
}

static void push_double(lua_State *L, struct input *in)
{
    uint64_t bits = take_number(L, in, 8);
    double d;

    memcpy(&d, &bits, sizeof d);
    lua_pushnumber(L, d);
}

/* A number's bits, of so many bytes, as a signed one. */
static int64_t signed_of(uint64_t v, unsigned size)
{
    uint64_t sign = (uint64_t)1 << (8 * size - 1);

    return (int64_t)((v ^ sign) - sign);
}

/* What begins with a byte from 0xc0 to 0xdf. */
static bool push_typed(lua_State *L, struct input *in, unsigned type)
{
    switch (type) {
    case 0xc0:
        lua_pushnil(L);
        return true;
    case 0xc2:
    case 0xc3:
        lua_pushboolean(L, type == 0xc3);
        return true;
    case 0xca:
        push_float(L, in);
        return true;
    case 0xcb:
        push_double(L, in);
        return true;
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        /* What an int64 has no room for comes out below 0, as in Redis. */
        lua_pushnumber(L, (double)(int64_t)take_number(L, in, 1u << (type - 0xcc)));
        return true;
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        lua_pushnumber(
            L, (double)signed_of(take_number(L, in, 1u << (type - 0xd0)), 1u << (type - 0xd0)));
        return true;
    case 0xd9:
    case 0xda:
    case 0xdb:
        push_string(L, in, (size_t)take_number(L, in, 1u << (type - 0xd9)));
        return true;
    case 0xdc:
    case 0xdd:
        return push_table(L, in, (size_t)take_number(L, in, 2u << (type - 0xdc)), false);
    case 0xde:
    case 0xdf:
        return push_table(L, in, (size_t)take_number(L, in, 2u << (type - 0xde)), true);
    default:
        luaL_error(L, "Bad data format in input.");
        return true;
    }
}

/* Reads one item: pushes a value, or a frame and is false. */
static bool push_item(lua_State *L, struct input *in)
{
    unsigned type = *take(L, in, 1);

    if (type < 0x80 || type >= 0xe0) {
        lua_pushnumber(L, (double)(int8_t)type);
        return true;
    }
    if (type < 0x90) {
        return push_table(L, in, type & 0xf, true);
    }
    if (type < 0xa0) {
        return push_table(L, in, type & 0xf, false);
    }
    if (type < 0xc0) {
        push_string(L, in, type & 0x1f);
        return true;
    }
    return push_typed(L, in, type);
}

/* Puts the value on top into the innermost frame. True: that is full, and its table is on top. */
static bool frame_put(lua_State *L, struct input *in)
{
    char *at = in->frames.data + in->frames.len - sizeof(struct unpacking);
    struct unpacking f;

    memcpy(&f, at, sizeof f);
    if (!f.map) {
        lua_rawseti(L, -2, ++f.idx);
        f.left--;
    } else if (!f.key) {
        f.key = true;
    } else {
        f.key = false;
        f.left--;
        lua_rawset(L, -3);
    }
    if (f.left == 0) {
        in->frames.len -= sizeof f;
        return true;
    }
    memcpy(at, &f, sizeof f);
    return false;
}

/* Pushes the next value. */
static void unpack_value(lua_State *L, struct input *in)
{
    do {
        bool whole = push_item(L, in);

        while (whole && in->frames.len > 0) {
            whole = frame_put(L, in);
        }
    } while (in->frames.len > 0);
}

/* As many values as the limit says (0 with no offset: all), and before them, if there is a limit, where
 * the next one begins, or -1. */
static int unpack_some(lua_State *L, int64_t limit, int64_t offset)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    bool all = limit == 0 && offset == 0;
    struct input in;
    int count = 0;

    if (offset < 0 || limit < 0) {
        return luaL_error(L, "Invalid request to unpack with offset of %d and limit of %d.",
                          (int)offset, (int)len);
    }
    if ((uint64_t)offset > len) {
        return luaL_error(L, "Start offset %d greater than input length %d.", (int)offset,
                          (int)len);
    }
    in = (struct input){.at = (const uint8_t *)text + offset, .left = len - (size_t)offset};
    lua_settop(L, 1);
    bytes_init(&in.frames, L);
    for (; in.left > 0 && (all || count < limit); count++) {
        luaL_checkstack(L, 8,
                        "too many return values at once; use unpack_one or unpack_limit instead.");
        unpack_value(L, &in);
    }
    if (!all) {
        lua_pushnumber(L, in.left == 0 ? -1 : (double)(len - in.left));
        lua_insert(L, 3);
        count++;
    }
    return count;
}

static int unpack(lua_State *L)
{
    return unpack_some(L, 0, 0);
}

static int unpack_one(lua_State *L)
{
    return unpack_some(L, 1, luaL_optinteger(L, 2, 0));
}

static int unpack_limit(lua_State *L)
{
    lua_Integer limit = luaL_checkinteger(L, 2);

    return unpack_some(L, limit, luaL_optinteger(L, 3, 0));
}

void msgpack_open(lua_State *L)
{
    static const struct luaL_Reg functions[] = {{"pack", pack},
                                                {"unpack", unpack},
                                                {"unpack_one", unpack_one},
                                                {"unpack_limit", unpack_limit},
                                                {NULL, NULL}};

    lua_newtable(L);
    for (const struct luaL_Reg *r = functions; r->name != NULL; r++) {
        lua_pushcfunction(L, r->func);
        lua_setfield(L, -2, r->name);
    }
    lua_pushliteral(L, "cmsgpack");
    lua_setfield(L, -2, "_NAME");
    lua_pushliteral(L, "lua-cmsgpack 0.4.0"); /* whose functions these are */
    lua_setfield(L, -2, "_VERSION");
}
