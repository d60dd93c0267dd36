/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which arguments of a command are keys and channels, and what it does with them: for COMMAND GETKEYS
 * and for rights. Where first, last and step of the row do not say it, a row of `ways` does; what a
 * command does with its keys follows from its flags, or else stands in `rights`. Both as the key
 * specifications of Redis 7.0 have it.
 */
#include "engine/base/num.h"
#include "engine/resp/args.h"
#include "engine/resp/command.h"

#include <string.h>

/* ---- where the keys are ---- */

static const struct {
    const char *name;
    uint8_t dest;  /* the argument that is a key before the others; 0: none */
    uint8_t count; /* the argument that says how many follow it; 0: they follow STREAMS */
} ways[] = {
    {"blmpop", 0, 2},      {"bzmpop", 0, 2},     {"eval", 0, 2},   {"eval_ro", 0, 2},
    {"evalsha", 0, 2},     {"evalsha_ro", 0, 2}, {"fcall", 0, 2},  {"fcall_ro", 0, 2},
    {"lmpop", 0, 1},       {"sintercard", 0, 1}, {"xread", 0, 0},  {"xreadgroup", 0, 0},
    {"zdiff", 0, 1},       {"zdiffstore", 1, 2}, {"zinter", 0, 1}, {"zintercard", 0, 1},
    {"zinterstore", 1, 2}, {"zmpop", 0, 1},      {"zunion", 0, 1}, {"zunionstore", 1, 2},
};

/* A number that is not in its one form, as 01, or how far one reaches, as in 1.5: Redis looks for keys
 * there too. 0: there is none, or one so large that it is no number of keys. */
static int64_t loosely(struct oxbow_bytes arg)
{
    const char *p = arg.data;
    int64_t n = 0;
    size_t i = 0;

    while (i < arg.len && (p[i] == ' ' || (p[i] >= '\t' && p[i] <= '\r'))) {
        i++;
    }
    i += i < arg.len && p[i] == '+';
    for (; i < arg.len && p[i] >= '0' && p[i] <= '9'; i++) {
        n = n * 10 + (p[i] - '0');
        if (n > INT32_MAX) {
            return 0;
        }
    }
    return n;
}

/* Behind a number that says how many they are. */
static enum resp_keys_found counted(uint8_t dest, uint32_t at, const struct oxbow_bytes *args,
                                    uint32_t count, struct resp_keys *keys)
{
    int64_t n;

    if (at >= count) {
        return RESP_KEYS_BROKEN;
    }
    if (!resp_arg_int(args[at], &n)) {
        n = loosely(args[at]);
        n = n == 0 ? -1 : n;
    }
    if (n < 0 || n >= (int64_t)count - at) {
        return RESP_KEYS_BROKEN;
    }
    if (n == 0) { /* nor the one before it, as in Redis: it will be refused */
        return RESP_KEYS_NONE;
    }
    *keys = (struct resp_keys){.dest = dest, .first = at + 1, .count = (uint32_t)n, .step = 1};
    return RESP_KEYS_FOUND;
}

/* XREAD's and XREADGROUP's: the first half of what is behind STREAMS, also where an id is missing. Redis
 * takes the first word that is STREAMS, even if it is another option's value: who calls a group so
 * would have the rights to other keys asked for than those that are read. */
static enum resp_keys_found streams(const struct oxbow_bytes *args, uint32_t count,
                                    struct resp_keys *keys)
{
    uint32_t i = 1;

    while (i < count && !resp_arg_is(args[i], "streams")) {
        if (resp_arg_is(args[i], "group")) {
            i += 3;
        } else if (resp_arg_is(args[i], "noack")) {
            i++;
        } else { /* COUNT, BLOCK and what else has one value */
            i += 2;
        }
    }
    if (i + 2 >= count) {
        return RESP_KEYS_BROKEN;
    }
    *keys = (struct resp_keys){.first = i + 1, .count = (count - i - 1) / 2, .step = 1};
    return RESP_KEYS_FOUND;
}

/* SORT's: what is sorted, and behind the last STORE, which may stand anywhere. Looked for as in Redis:
 * behind what has values of its own, whatever these are. */
static enum resp_keys_found sorted(const struct oxbow_bytes *args, uint32_t count,
                                   struct resp_keys *keys)
{
    *keys = (struct resp_keys){.first = 1, .count = 1, .step = 1};
    for (uint32_t i = 2; i < count; i++) {
        if (resp_arg_is(args[i], "limit")) {
            i += 2;
        } else if (resp_arg_is(args[i], "by") || resp_arg_is(args[i], "get")) {
            i++;
        } else if (resp_arg_is(args[i], "store") && i + 1 < count) {
            keys->count = 2;
            keys->step = i;
        }
    }
    return RESP_KEYS_FOUND;
}

/* OXBOW GROUP's: the group's stream, and that of the dead letters which SET names. */
static enum resp_keys_found grouped(const struct oxbow_bytes *args, uint32_t count,
                                    struct resp_keys *keys)
{
    if (count < 4) {
        return RESP_KEYS_BROKEN;
    }
    *keys = (struct resp_keys){.first = 3, .count = 1, .step = 1};
    for (uint32_t i = 5; i + 1 < count && resp_arg_is(args[2], "set"); i += 2) {
        if (resp_arg_is(args[i], "dead-letter") && args[i + 1].len > 0) {
            keys->count = 2;
            keys->step = i + 1 - keys->first;
        }
    }
    return RESP_KEYS_FOUND;
}

/* OXBOW BIND's: the source, and where ADD or SET lead from it. */
static enum resp_keys_found bound(const struct oxbow_bytes *args, uint32_t count,
                                  struct resp_keys *keys)
{
    if (count < 4) {
        return RESP_KEYS_NONE;
    }
    *keys = (struct resp_keys){.first = 3, .count = 1, .step = 1};
    if (resp_arg_is(args[2], "add")) {
        keys->count = count > 4 ? 2 : 1;
    }
    for (uint32_t i = 4; i + 1 < count && resp_arg_is(args[2], "set"); i += 2) {
        if (resp_arg_is(args[i], "alternate") && args[i + 1].len > 0) {
            keys->count = 2;
            keys->step = i + 1 - keys->first;
        }
    }
    return RESP_KEYS_FOUND;
}

/* OXBOW SCHEDULE's: what ADD adds to; others go by the schedule's name. */
static enum resp_keys_found scheduled(const struct oxbow_bytes *args, uint32_t count,
                                      struct resp_keys *keys)
{
    if (count < 5 || !resp_arg_is(args[2], "add")) {
        return RESP_KEYS_NONE;
    }
    *keys = (struct resp_keys){.first = 4, .count = 1, .step = 1};
    return RESP_KEYS_FOUND;
}

static enum resp_keys_found movable(const struct resp_command *row, const struct oxbow_bytes *args,
                                    uint32_t count, struct resp_keys *keys)
{
    if (strcmp(row->name, "sort") == 0) {
        return sorted(args, count, keys);
    }
    if (strcmp(row->name, "oxbow|group") == 0) {
        return grouped(args, count, keys);
    }
    if (strcmp(row->name, "oxbow|bind") == 0) {
        return bound(args, count, keys);
    }
    if (strcmp(row->name, "oxbow|schedule") == 0) {
        return scheduled(args, count, keys);
    }
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (strcmp(ways[i].name, row->name) == 0) {
            return ways[i].count > 0 ? counted(ways[i].dest, ways[i].count, args, count, keys)
                                     : streams(args, count, keys);
        }
    }
    return RESP_KEYS_UNKNOWN;
}

/* Where a sharded channel is, is told like a key's place; and it is none. */
bool resp_command_has_keys(const struct resp_command *row)
{
    return (row->first != 0 || (row->flags & RESP_MOVABLE) != 0) && (row->flags & RESP_PUBSUB) == 0;
}

enum resp_keys_found resp_command_keys(const struct resp_command *row,
                                       const struct oxbow_bytes *args, uint32_t count,
                                       struct resp_keys *keys)
{
    uint32_t first = (uint32_t)row->first;
    int64_t last = row->last < 0 ? (int64_t)count + row->last : row->last;

    if ((row->flags & RESP_MOVABLE) != 0) {
        enum resp_keys_found found = movable(row, args, count, keys);

        if (found != RESP_KEYS_UNKNOWN || row->first == 0) {
            return found;
        }
    }
    if (!resp_command_has_keys(row)) {
        return RESP_KEYS_NONE;
    }
    if (last < row->first || last >= count || row->step <= 0) {
        return RESP_KEYS_BROKEN;
    }
    *keys = (struct resp_keys){.first = first,
                               .count = (uint32_t)(last - first) / (uint32_t)row->step + 1,
                               .step = (uint32_t)row->step};
    return RESP_KEYS_FOUND;
}

uint32_t resp_keys_count(const struct resp_keys *keys)
{
    return keys->count + (keys->dest != 0);
}

uint32_t resp_keys_at(const struct resp_keys *keys, uint32_t n)
{
    if (keys->dest != 0) {
        return n == 0 ? keys->dest : keys->first + (n - 1) * keys->step;
    }
    return keys->first + n * keys->step;
}

/* ---- what is done with them ---- */

#define R  RESP_KEY_READ
#define W  RESP_KEY_WRITE
#define RW (RESP_KEY_READ | RESP_KEY_WRITE)

/* In the order of strcmp. Those that are not here read all their keys if they are flagged as reading,
 * and write them otherwise. */
static const struct {
    const char *name;
    uint8_t first; /* with the first key */
    uint8_t rest;
} rights[] = {
    {"bitop", W, R},
    {"blmove", RW, W},
    {"blmpop", RW, RW},
    {"blpop", RW, RW},
    {"brpop", RW, RW},
    {"brpoplpush", RW, W},
    {"bzmpop", RW, RW},
    {"bzpopmax", RW, RW},
    {"bzpopmin", RW, RW},
    {"copy", R, W},
    {"decr", RW, RW},
    {"decrby", RW, RW},
    {"eval", RW, RW},
    {"evalsha", RW, RW},
    {"exists", 0, 0},
    {"fcall", RW, RW},
    {"geosearchstore", W, R},
    {"getdel", RW, RW},
    {"getex", RW, RW},
    {"getset", RW, RW},
    {"hexists", 0, 0},
    {"hgetdel", RW, RW},
    {"hgetex", RW, RW},
    {"hincrby", RW, RW},
    {"hincrbyfloat", RW, RW},
    {"hlen", 0, 0},
    {"hstrlen", 0, 0},
    {"incr", RW, RW},
    {"incrby", RW, RW},
    {"incrbyfloat", RW, RW},
    {"llen", 0, 0},
    {"lmove", RW, W},
    {"lmpop", RW, RW},
    {"lpop", RW, RW},
    {"memory|usage", 0, 0},
    {"migrate", RW, RW},
    {"move", RW, RW},
    {"object|encoding", 0, 0},
    {"object|freq", 0, 0},
    {"object|idletime", 0, 0},
    {"object|refcount", 0, 0},
    {"pfcount", R, R},
    {"pfmerge", RW, R},
    {"rename", RW, W},
    {"renamenx", RW, W},
    {"rpop", RW, RW},
    {"rpoplpush", RW, W},
    {"scard", 0, 0},
    {"sdiffstore", W, R},
    {"setbit", RW, RW},
    {"sinterstore", W, R},
    {"sismember", 0, 0},
    {"smove", RW, W},
    {"sort", R, W},
    {"spop", RW, RW},
    {"strlen", 0, 0},
    {"sunionstore", W, R},
    {"touch", 0, 0},
    {"type", 0, 0},
    {"watch", 0, 0},
    {"xlen", 0, 0},
    {"xreadgroup", R, R},
    {"zcard", 0, 0},
    {"zdiffstore", W, R},
    {"zincrby", RW, RW},
    {"zinterstore", W, R},
    {"zmpop", RW, RW},
    {"zpopmax", RW, RW},
    {"zpopmin", RW, RW},
    {"zrangestore", W, R},
    {"zunionstore", W, R},
};

/* SET writes; with GET it reads as well. */
static uint8_t rights_of_set(const struct oxbow_bytes *args, uint32_t count)
{
    for (uint32_t i = 3; i < count; i++) {
        if (resp_arg_is(args[i], "get")) {
            return RW;
        }
    }
    return W;
}

/* BITFIELD reads; with anything but GET it writes as well. */
static uint8_t rights_of_bitfield(const struct oxbow_bytes *args, uint32_t count)
{
    uint32_t i = 2;

    while (i < count) {
        if (resp_arg_is(args[i], "get") && i + 2 < count) {
            i += 3;
        } else if (resp_arg_is(args[i], "overflow") && i + 1 < count) {
            i += 2;
        } else {
            return RW;
        }
    }
    return R;
}

/* Whether it is a subcommand of OXBOW with a word that only looks. */
static bool only_looks(const struct resp_command *row, const struct oxbow_bytes *args,
                       uint32_t count)
{
    return strncmp(row->name, "oxbow|", 6) == 0 && row->first != 2 && count > 2 &&
           (resp_arg_is(args[2], "get") || resp_arg_is(args[2], "list"));
}

/* How many keys there are is said by what is no number in its one form: Redis finds them and knows nothing
 * of what is done with them. The command will be refused. */
bool resp_keys_are_loose(const struct resp_command *row, const struct oxbow_bytes *args,
                         uint32_t count)
{
    int64_t n;

    for (size_t i = 0; (row->flags & RESP_MOVABLE) != 0 && i < sizeof ways / sizeof ways[0]; i++) {
        if (strcmp(ways[i].name, row->name) == 0 && ways[i].count > 0 && ways[i].count < count) {
            return !resp_arg_int(args[ways[i].count], &n);
        }
    }
    return false;
}

uint8_t resp_key_rights(const struct resp_command *row, const struct oxbow_bytes *args,
                        uint32_t count, uint32_t n)
{
    size_t low = 0;
    size_t high = sizeof rights / sizeof rights[0];

    if (strcmp(row->name, "set") == 0) {
        return rights_of_set(args, count);
    }
    if (strcmp(row->name, "bitfield") == 0) {
        return rights_of_bitfield(args, count);
    }
    if (resp_keys_are_loose(row, args, count)) {
        return 0;
    }
    if (only_looks(row, args, count)) {
        return R;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(row->name, rights[middle].name);

        if (order == 0) {
            return n == 0 ? rights[middle].first : rights[middle].rest;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return (row->flags & RESP_READONLY) != 0 ? R : W;
}

/* ---- channels ---- */

struct resp_channels resp_command_channels(const struct resp_command *row)
{
    static const struct {
        const char *name;
        struct resp_channels where;
    } rows[] = {
        {"publish", {1, false, false}},   {"subscribe", {1, true, false}},
        {"psubscribe", {1, true, true}},  {"spublish", {1, false, false}},
        {"ssubscribe", {1, true, false}},
    };

    for (size_t i = 0; (row->flags & RESP_PUBSUB) != 0 && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, row->name) == 0) {
            return rows[i].where;
        }
    }
    return (struct resp_channels){.first = 0};
}
