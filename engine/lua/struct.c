/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table `struct`: numbers and strings as bytes, by a format, as Redis' library has it:
 *
 *   < >     from here on: little-endian, big-endian (at first: the machine's)     !n  aligned to n (8)
 *   b B h H l L i I T   integers of 1, 2, 8, 4 (or in, In: n) bytes, and of a pointer's; lower: signed
 *   f d     float, double      x  a zero      s  a string up to a zero      cn  n bytes (1)
 *   c0      as many as the number before it says
 *
 * A blank is nothing. Everything else is refused.
 */
#include "engine/lua/bytes.h"
#include "engine/lua/vm.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#define INTEGER_MAX 32
#define ALIGN_MAX   8

struct format {
    lua_State *state;
    const char *at;
    bool little;
    int align;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool machine_is_little(void)
{
    const uint16_t one = 1;
    uint8_t first;

    memcpy(&first, &one, 1);
    return first == 1;
}

static struct format format_of(lua_State *L)
{
    return (struct format){
        .state = L, .at = luaL_checkstring(L, 1), .little = machine_is_little(), .align = 1};
}

/* The number that stands here, or the default. */
static int number_of(struct format *f, int standard)
{
    int n = 0;

    if (!is_digit(*f->at)) {
        return standard;
    }
    for (; is_digit(*f->at); f->at++) {
        int digit = *f->at - '0';

        if (n > INT_MAX / 10 || n * 10 > INT_MAX - digit) {
            luaL_error(f->state, "integral size overflow");
        }
        n = n * 10 + digit;
    }
    return n;
}

/* How many bytes an option stands for; 0: it depends, or none. */
static size_t size_of(struct format *f, char option)
{
    static const struct {
        const char *options;
        size_t size;
    } sizes[] = {{"bBx", 1}, {"hH", 2}, {"lL", sizeof(long)}, {"T", sizeof(size_t)},
                 {"f", 4},   {"d", 8}};
    int n;

    if (option == 'c') {
        return (size_t)number_of(f, 1);
    }
    if (option == 'i' || option == 'I') {
        n = number_of(f, (int)sizeof(int));
        if (n > INTEGER_MAX) {
            luaL_error(f->state, "integral size %d is larger than limit of %d", n, INTEGER_MAX);
        }
        return (size_t)n;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (strchr(sizes[i].options, option) != NULL) {
            return sizes[i].size;
        }
    }
    return 0;
}

/* Zeros before what has so many bytes. */
static size_t padding(const struct format *f, size_t pos, char option, size_t size)
{
    if (size == 0 || option == 'c') {
        return 0;
    }
    if (size > (size_t)f->align) {
        size = (size_t)f->align;
    }
    return size == 0 ? 0 : (size - (pos & (size - 1))) & (size - 1);
}

/* An option that stands for nothing itself. */
static void control(struct format *f, char option)
{
    int n;

    switch (option) {
    case ' ':
        return;
    case '>':
        f->little = false;
        return;
    case '<':
        f->little = true;
        return;
    case '!':
        n = number_of(f, ALIGN_MAX);
        if (n == 0 || (n & (n - 1)) != 0) {
            luaL_error(f->state, "alignment %d is not a power of 2", n);
        }
        f->align = n;
        return;
    default:
        luaL_argerror(f->state, 1, lua_pushfstring(f->state, "invalid format option '%c'", option));
    }
}

static bool is_integer(char option)
{
    return strchr("bBhHlLTiI", option) != NULL;
}

/* ---- packing ---- */

static uint64_t bits_of(double v)
{
    if (v < 0) {
        return (uint64_t)convert_integer(v);
    }
    return v < 18446744073709551616.0 ? (uint64_t)v : 0;
}

static void put_reversed(struct bytes *b, const char *from, size_t len, bool reverse)
{
    char *to = bytes_space(b, len);

    for (size_t i = 0; i < len; i++) {
        to[i] = from[reverse ? len - 1 - i : i];
    }
}

static void pack_integer(struct bytes *b, const struct format *f, int arg, size_t size)
{
    uint64_t v = bits_of(luaL_checknumber(f->state, arg));
    char text[INTEGER_MAX];

    for (size_t i = 0; i < size; i++) {
        text[i] = (char)(v & 0xff);
        v >>= 8;
    }
    put_reversed(b, text, size, !f->little);
}

static void pack_float(struct bytes *b, const struct format *f, int arg, char option)
{
    double d = luaL_checknumber(f->state, arg);
    float single = (float)d;
    char text[sizeof d];
    size_t len = option == 'f' ? sizeof single : sizeof d;

    memcpy(text, option == 'f' ? (const void *)&single : (const void *)&d, len);
    put_reversed(b, text, len, f->little != machine_is_little());
}

static size_t pack_string(struct bytes *b, const struct format *f, int arg, size_t size)
{
    size_t len;
    const char *text = luaL_checklstring(f->state, arg, &len);

    if (size == 0) {
        size = len;
    }
    luaL_argcheck(f->state, len >= size, arg + 1, "string too short");
    bytes_add(b, text, size);
    return size;
}

static int pack(lua_State *L)
{
    struct format f = format_of(L);
    struct bytes b;
    size_t total = 0;
    int arg = 2;

    lua_pushnil(L); /* in the place of an argument that is missing */
    bytes_init(&b, L);
    while (*f.at != '\0') {
        char option = *f.at++;
        size_t size = size_of(&f, option);
        size_t pad = padding(&f, total, option, size);

        memset(bytes_space(&b, pad), 0, pad);
        total += pad;
        if (is_integer(option)) {
            pack_integer(&b, &f, arg++, size);
        } else if (option == 'f' || option == 'd') {
            pack_float(&b, &f, arg++, option);
        } else if (option == 'c' || option == 's') {
            size = pack_string(&b, &f, arg++, size);
        } else if (option != 'x') {
            control(&f, option);
        }
        if (option == 'x' || option == 's') {
            bytes_byte(&b, 0);
            size += option == 's' ? 1 : 0;
        }
        total += size;
    }
    bytes_push(&b);
    return 1;
}

/* ---- unpacking ---- */

static void push_integer(const struct format *f, const uint8_t *from, size_t size, bool is_signed)
{
    uint64_t v = 0;
    uint64_t sign;

    for (size_t i = 0; i < size; i++) {
        v = v << 8 | from[f->little ? size - 1 - i : i];
    }
    if (!is_signed) {
        lua_pushnumber(f->state, (double)v);
        return;
    }
    if (size > 0 && size < sizeof v) {
        sign = (uint64_t)1 << (8 * size - 1);
        v = (v ^ sign) - sign;
    }
    lua_pushnumber(f->state, (double)(int64_t)v);
}

static void push_float(const struct format *f, const uint8_t *from, char option)
{
    uint8_t text[sizeof(double)];
    size_t len = option == 'f' ? sizeof(float) : sizeof(double);
    float single;
    double d;

    for (size_t i = 0; i < len; i++) {
        text[i] = from[f->little != machine_is_little() ? len - 1 - i : i];
    }
    if (option == 'f') {
        memcpy(&single, text, sizeof single);
        lua_pushnumber(f->state, (double)single);
    } else {
        memcpy(&d, text, sizeof d);
        lua_pushnumber(f->state, d);
    }
}

/* What is unpacked, and how far. */
struct source {
    const char *data;
    size_t len;
    size_t pos;
    int count; /* values that were pushed */
};

static void check_room(lua_State *L, const struct source *s, size_t size)
{
    luaL_argcheck(L, size <= s->len && s->pos <= s->len - size, 2, "data string too short");
}

/* Pushes a string, and gives the bytes that it takes. */
static size_t push_string(lua_State *L, struct source *s, char option, size_t size)
{
    const char *from = s->data + s->pos;
    const char *zero;

    if (option == 's') {
        zero = memchr(from, '\0', s->len - s->pos);
        if (zero == NULL) {
            luaL_error(L, "unfinished string in data");
            return 0;
        }
        size = (size_t)(zero - from);
        lua_pushlstring(L, from, size);
        s->count++;
        return size + 1;
    }
    if (size == 0) {
        if (s->count == 0 || lua_isnumber(L, -1) == 0) {
            luaL_error(L, "format 'c0' needs a previous size");
        }
        size = (size_t)bits_of(lua_tonumber(L, -1));
        lua_pop(L, 1);
        s->count--;
        check_room(L, s, size);
    }
    lua_pushlstring(L, from, size);
    s->count++;
    return size;
}

static int unpack(lua_State *L)
{
    struct format f = format_of(L);
    struct source s = {.pos = 0};
    lua_Integer from;

    s.data = luaL_checklstring(L, 2, &s.len);
    from = luaL_optinteger(L, 3, 1);
    luaL_argcheck(L, from > 0, 3, "offset must be 1 or greater");
    s.pos = (size_t)from - 1;
    lua_settop(L, 2);
    while (*f.at != '\0') {
        char option = *f.at++;
        size_t size = size_of(&f, option);

        s.pos += padding(&f, s.pos, option, size);
        check_room(L, &s, size);
        luaL_checkstack(L, 4, "too many results");
        if (is_integer(option)) {
            push_integer(&f, (const uint8_t *)s.data + s.pos, size, option >= 'a' && option <= 'z');
            s.count++;
        } else if (option == 'f' || option == 'd') {
            push_float(&f, (const uint8_t *)s.data + s.pos, option);
            s.count++;
        } else if (option == 'c' || option == 's') {
            size = push_string(L, &s, option, size);
        } else if (option != 'x') {
            control(&f, option);
        }
        s.pos += size;
    }
    lua_pushnumber(L, (double)s.pos + 1);
    return s.count + 1;
}

static int size(lua_State *L)
{
    struct format f = format_of(L);
    size_t pos = 0;

    while (*f.at != '\0') {
        char option = *f.at++;
        size_t len = size_of(&f, option);

        pos += padding(&f, pos, option, len);
        if (option == 's') {
            return luaL_argerror(L, 1, "option 's' has no fixed size");
        }
        if (option == 'c' && len == 0) {
            return luaL_argerror(L, 1, "option 'c0' has no fixed size");
        }
        if (strchr(" ><!", option) != NULL) {
            control(&f, option);
        }
        pos += len;
    }
    lua_pushnumber(L, (double)pos);
    return 1;
}

void struct_open(lua_State *L)
{
    static const struct luaL_Reg functions[] = {
        {"pack", pack}, {"unpack", unpack}, {"size", size}, {NULL, NULL}};

    lua_newtable(L);
    for (const struct luaL_Reg *r = functions; r->name != NULL; r++) {
        lua_pushcfunction(L, r->func);
        lua_setfield(L, -2, r->name);
    }
}
