/* SPDX-License-Identifier: Apache-2.0 */
/* Strings as rows of bits. */
#include "engine/resp/args.h"
#include "engine/resp/server.h"
#include "oxbow/key.h"
#include "oxbow/string.h"

#define BIT_MAX ((uint64_t)512 << 23) /* as many as the longest value has */

/* A bit's number; with "#" before it that of a field of so many bits. */
static bool offset_of(struct oxbow_bytes arg, uint8_t bits, uint64_t *bit)
{
    const char *p = arg.data;
    bool fields = bits > 0 && arg.len > 0 && p[0] == '#';
    int64_t n;

    if (fields) {
        arg = (struct oxbow_bytes){p + 1, arg.len - 1};
    }
    if (!resp_arg_int(arg, &n) || n < 0 || n >= (int64_t)BIT_MAX) {
        return false;
    }
    *bit = fields ? (uint64_t)n * bits : (uint64_t)n;
    return *bit < BIT_MAX;
}

static enum oxbow_err refuse_offset(struct resp_call *call)
{
    return resp_refuse(call, "ERR bit offset is not an integer or out of range");
}

static enum oxbow_err cmd_setbit(struct resp_call *call)
{
    uint64_t bit;
    uint64_t len = 0;
    int64_t on;
    bool old;
    enum oxbow_err err;

    if (!offset_of(call->args[2], 0, &bit)) {
        return refuse_offset(call);
    }
    if (!resp_arg_int(call->args[3], &on) || (on != 0 && on != 1)) {
        return resp_refuse(call, "ERR bit is not an integer or out of range");
    }
    err = oxbow_string_len(call->txn, call->args[1], &len);
    if (err == OXBOW_OK) {
        err = oxbow_string_bit_set(call->txn, call->args[1], bit, on == 1, &old);
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, old);
        if (old != (on == 1) || bit / 8 >= len) {
            resp_changed(call, RESP_EVENT_STRING, "setbit", call->args[1]);
        }
    }
    return err;
}

static enum oxbow_err cmd_getbit(struct resp_call *call)
{
    uint64_t bit;
    bool on;
    enum oxbow_err err;

    if (!offset_of(call->args[2], 0, &bit)) {
        return refuse_offset(call);
    }
    err = oxbow_string_bit_get(call->txn, call->args[1], bit, &on);
    if (err == OXBOW_OK) {
        resp_int(call->reply, on);
    }
    return err;
}

/* Whether the key is a string, before its other arguments are looked at. *there: it is at all. */
static enum oxbow_err string_is_there(struct resp_call *call, bool *there)
{
    enum oxbow_type type = OXBOW_TYPE_NONE;
    enum oxbow_err err = oxbow_key_type(call->txn, call->args[1], &type);

    *there = type != OXBOW_TYPE_NONE;
    return err == OXBOW_OK && *there && type != OXBOW_TYPE_STRING ? OXBOW_EWRONGTYPE : err;
}

/* The unit, the last argument of a span: false if it is none. */
static bool unit_of(struct oxbow_bytes arg, struct oxbow_bit_span *span)
{
    span->bits = resp_arg_is(arg, "bit");
    return span->bits || resp_arg_is(arg, "byte");
}

static enum oxbow_err cmd_bitcount(struct resp_call *call)
{
    struct oxbow_bit_span span = {.from = 0};
    uint64_t n = 0;
    bool there;
    enum oxbow_err err = string_is_there(call, &there);

    if (err != OXBOW_OK) {
        return err;
    }
    if (there && (call->count == 4 || call->count == 5)) {
        if (!resp_arg_int(call->args[2], &span.from) || !resp_arg_int(call->args[3], &span.to)) {
            return resp_refuse_integer(call);
        }
        if (span.from < 0 && span.to < 0 && span.from > span.to) { /* whatever the unit */
            resp_int(call->reply, 0);
            return OXBOW_OK;
        }
        if (call->count == 5 && !unit_of(call->args[4], &span)) {
            return resp_refuse_syntax(call);
        }
    } else if (there && call->count != 2) {
        return resp_refuse_syntax(call);
    }
    if (there) {
        err = oxbow_string_bit_count(call->txn, call->args[1], call->count == 2 ? NULL : &span, &n);
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, (int64_t)n);
    }
    return err;
}

static enum oxbow_err cmd_bitpos(struct resp_call *call)
{
    struct oxbow_bit_span span = {.open = true};
    int64_t on;
    int64_t bit;
    bool there;
    enum oxbow_err err;

    if (!resp_arg_int(call->args[2], &on)) {
        return resp_refuse_integer(call);
    }
    if (on != 0 && on != 1) {
        return resp_refuse(call, "ERR The bit argument must be 1 or 0.");
    }
    bit = on == 1 ? -1 : 0;
    err = string_is_there(call, &there);
    if (err != OXBOW_OK) {
        return err;
    }
    if (there && call->count > 6) {
        return resp_refuse_syntax(call);
    }
    if (there && call->count > 3) {
        if (!resp_arg_int(call->args[3], &span.from)) {
            return resp_refuse_integer(call);
        }
        if (call->count == 6 && !unit_of(call->args[5], &span)) {
            return resp_refuse_syntax(call);
        }
        span.open = call->count == 4;
        if (!span.open && !resp_arg_int(call->args[4], &span.to)) {
            return resp_refuse_integer(call);
        }
    }
    if (there) {
        err = oxbow_string_bit_find(call->txn, call->args[1], on == 1,
                                    call->count > 3 ? &span : NULL, &bit);
    }
    if (err == OXBOW_OK) {
        resp_int(call->reply, bit);
    }
    return err;
}

static enum oxbow_err cmd_bitop(struct resp_call *call)
{
    static const char *const names[] = {"and", "or", "xor", "not"};
    enum oxbow_type type;
    size_t op = 0;
    uint64_t len;
    enum oxbow_err err;

    while (op < sizeof names / sizeof names[0] && !resp_arg_is(call->args[1], names[op])) {
        op++;
    }
    if (op == sizeof names / sizeof names[0]) {
        return resp_refuse_syntax(call);
    }
    if (op == OXBOW_BIT_NOT && call->count != 4) {
        return resp_refuse(call, "ERR BITOP NOT must be called with a single source key.");
    }
    err = oxbow_key_type(call->txn, call->args[2], &type);
    if (err == OXBOW_OK) {
        err = oxbow_string_bit_op(call->txn, (enum oxbow_bit_op)op, call->args[2], call->args + 3,
                                  call->count - 3, &len);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    resp_int(call->reply, (int64_t)len);
    if (len > 0) {
        resp_changed(call, RESP_EVENT_STRING, "set", call->args[2]);
    } else if (type != OXBOW_TYPE_NONE) {
        resp_changed(call, RESP_EVENT_GENERIC, "del", call->args[2]);
    }
    return OXBOW_OK;
}

/* ---- fields ---- */

static bool field_type(struct oxbow_bytes arg, struct oxbow_bit_field *f)
{
    const char *p = arg.data;
    int64_t bits;

    if (arg.len < 2 || (p[0] != 'i' && p[0] != 'u')) {
        return false;
    }
    f->is_signed = p[0] == 'i';
    if (!resp_arg_int((struct oxbow_bytes){p + 1, arg.len - 1}, &bits) || bits < 1 ||
        bits > (f->is_signed ? 64 : 63)) {
        return false;
    }
    f->bits = (uint8_t)bits;
    return true;
}

static bool overflow_of(struct oxbow_bytes arg, enum oxbow_bit_overflow *overflow)
{
    static const char *const names[] = {"wrap", "sat", "fail"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (resp_arg_is(arg, names[i])) {
            *overflow = (enum oxbow_bit_overflow)i;
            return true;
        }
    }
    return false;
}

/* Reads one operation at argument *at; the text of what is wrong, or NULL. */
static const char *field_at(const struct resp_call *call, uint32_t *at, struct oxbow_bit_field *f)
{
    const struct oxbow_bytes *args = call->args + *at;
    uint32_t left = call->count - *at;

    if (left >= 3 && resp_arg_is(args[0], "get")) {
        f->kind = OXBOW_BIT_GET;
        *at += 3;
    } else if (left >= 4 && resp_arg_is(args[0], "set")) {
        f->kind = OXBOW_BIT_SET;
        *at += 4;
    } else if (left >= 4 && resp_arg_is(args[0], "incrby")) {
        f->kind = OXBOW_BIT_ADD;
        *at += 4;
    } else {
        return "ERR syntax error";
    }
    if (!field_type(args[1], f)) {
        return "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
               "supported "
               "but i64 is.";
    }
    if (!offset_of(args[2], f->bits, &f->bit) || f->bit + f->bits > BIT_MAX) {
        return "ERR bit offset is not an integer or out of range";
    }
    return f->kind != OXBOW_BIT_GET && !resp_arg_int(args[3], &f->value)
               ? "ERR value is not an integer or out of range"
               : NULL;
}

/* Reads all operations; the text of what is wrong, or NULL. */
static const char *fields_of(const struct resp_call *call, struct oxbow_bit_field *fields,
                             size_t *count)
{
    enum oxbow_bit_overflow overflow = OXBOW_BIT_WRAP;
    uint32_t at = 2;

    *count = 0;
    while (at < call->count) {
        struct oxbow_bit_field *f = &fields[*count];
        const char *bad;

        if (resp_arg_is(call->args[at], "overflow") && at + 1 < call->count) {
            if (!overflow_of(call->args[at + 1], &overflow)) {
                return "ERR Invalid OVERFLOW type specified";
            }
            at += 2;
            continue;
        }
        *f = (struct oxbow_bit_field){.overflow = overflow};
        bad = field_at(call, &at, f);
        if (bad != NULL) {
            return bad;
        }
        ++*count;
    }
    return NULL;
}

/* Whether the value of `len` bytes becomes longer. */
static bool lengthened(const struct oxbow_bit_field *fields, size_t count, uint64_t len)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].kind != OXBOW_BIT_GET && (fields[i].bit + fields[i].bits + 7) / 8 > len) {
            return true;
        }
    }
    return false;
}

static enum oxbow_err do_fields(struct resp_call *call, struct oxbow_bit_field *fields,
                                size_t count)
{
    uint64_t len = 0;
    enum oxbow_err err = oxbow_string_len(call->txn, call->args[1], &len);
    bool longer = lengthened(fields, count, len);
    bool changed = false;

    if (err == OXBOW_OK) {
        err = oxbow_string_bit_fields(call->txn, call->args[1], fields, count);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    resp_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].failed) {
            resp_null(call->reply);
        } else {
            resp_int(call->reply, fields[i].result);
            changed = changed || fields[i].changed || (longer && fields[i].kind != OXBOW_BIT_GET);
        }
    }
    if (changed) {
        resp_changed(call, RESP_EVENT_STRING, "setbit", call->args[1]);
    }
    return OXBOW_OK;
}

static enum oxbow_err bitfield(struct resp_call *call, bool only_get)
{
    const struct oxbow_alloc *alloc = resp_alloc(call->server);
    size_t room = call->count * sizeof(struct oxbow_bit_field);
    struct oxbow_bit_field *fields = mem_new(alloc, room);
    enum oxbow_err err = OXBOW_OK;
    const char *bad;
    size_t count;

    if (fields == NULL) {
        return OXBOW_ENOMEM;
    }
    bad = fields_of(call, fields, &count);
    for (size_t i = 0; only_get && bad == NULL && i < count; i++) {
        if (fields[i].kind != OXBOW_BIT_GET) {
            bad = "ERR BITFIELD_RO only supports the GET subcommand";
        }
    }
    err = bad != NULL ? resp_refuse(call, bad) : do_fields(call, fields, count);
    mem_free(alloc, fields, room);
    return err;
}

static enum oxbow_err cmd_bitfield(struct resp_call *call)
{
    return bitfield(call, false);
}

static enum oxbow_err cmd_bitfield_ro(struct resp_call *call)
{
    return bitfield(call, true);
}

#define WM (RESP_WRITE | RESP_DENYOOM)
#define R  RESP_READONLY
#define F  RESP_FAST
#define B  RESP_CAT_BITMAP

const struct resp_command resp_bit_commands[] = {
    {"setbit", cmd_setbit, 4, WM, B, 1, 1, 1, "2.2.0", "Sets a bit", NULL},
    {"getbit", cmd_getbit, 3, R | F, B, 1, 1, 1, "2.2.0", "A bit", NULL},
    {"bitcount", cmd_bitcount, -2, R, B, 1, 1, 1, "2.6.0", "How many bits are set", NULL},
    {"bitpos", cmd_bitpos, -3, R, B, 1, 1, 1, "2.8.7", "The first bit that is set, or is not",
     NULL},
    {"bitop", cmd_bitop, -4, WM, B, 2, -1, 1, "2.6.0", "Keeps the bits of several values as one",
     NULL},
    {"bitfield", cmd_bitfield, -2, WM, B, 1, 1, 1, "3.2.0",
     "Reads and changes numbers of any width in bits", NULL},
    {"bitfield_ro", cmd_bitfield_ro, -2, R | F, B, 1, 1, 1, "6.0.0",
     "Reads numbers of any width in bits", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
