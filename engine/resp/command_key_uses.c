/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What commands do with their keys in the words of COMMAND GETKEYSANDFLAGS: as the key specifications of Redis 7.0
 * have it. Most of it follows from the rights that the command needs (command_keys.c); the rest stands in `uses`.
 */
#include "engine/resp/command.h"

#include <string.h>

#define LOOK   (RESP_USE_RO | RESP_USE_ACCESS)
#define OVER   (RESP_USE_OW | RESP_USE_UPDATE)
#define NEW    (RESP_USE_OW | RESP_USE_INSERT)
#define BOTH   (RESP_USE_RW | RESP_USE_ACCESS | RESP_USE_UPDATE)
#define INSERT (RESP_USE_RW | RESP_USE_INSERT)
#define CHANGE (RESP_USE_RW | RESP_USE_UPDATE)
#define REMOVE (RESP_USE_RW | RESP_USE_DELETE)
#define TAKE   (RESP_USE_RW | RESP_USE_ACCESS | RESP_USE_DELETE)
#define DELETE (RESP_USE_RM | RESP_USE_DELETE)

/* In the order of strcmp. */
static const struct {
    const char *name;
    uint8_t first; /* with the first key */
    uint8_t rest;
} uses[] = {
    {"append", INSERT, INSERT},
    {"blmove", TAKE, INSERT},
    {"blmpop", TAKE, TAKE},
    {"blpop", TAKE, TAKE},
    {"brpop", TAKE, TAKE},
    {"brpoplpush", TAKE, INSERT},
    {"bzmpop", TAKE, TAKE},
    {"bzpopmax", TAKE, TAKE},
    {"bzpopmin", TAKE, TAKE},
    {"del", DELETE, DELETE},
    {"expire", CHANGE, CHANGE},
    {"expireat", CHANGE, CHANGE},
    {"getdel", TAKE, TAKE},
    {"hdel", REMOVE, REMOVE},
    {"hexpire", CHANGE, CHANGE},
    {"hexpireat", CHANGE, CHANGE},
    {"hgetdel", TAKE, TAKE},
    {"hmset", CHANGE, CHANGE},
    {"hpersist", CHANGE, CHANGE},
    {"hpexpire", CHANGE, CHANGE},
    {"hpexpireat", CHANGE, CHANGE},
    {"hset", CHANGE, CHANGE},
    {"hsetex", CHANGE, CHANGE},
    {"hsetnx", INSERT, INSERT},
    {"linsert", INSERT, INSERT},
    {"lmove", TAKE, INSERT},
    {"lmpop", TAKE, TAKE},
    {"lpop", TAKE, TAKE},
    {"lpush", INSERT, INSERT},
    {"lpushx", INSERT, INSERT},
    {"lrem", REMOVE, REMOVE},
    {"lset", CHANGE, CHANGE},
    {"ltrim", REMOVE, REMOVE},
    {"msetnx", NEW, NEW},
    {"persist", CHANGE, CHANGE},
    {"pexpire", CHANGE, CHANGE},
    {"pexpireat", CHANGE, CHANGE},
    {"rename", TAKE, OVER},
    {"renamenx", TAKE, NEW},
    {"rpop", TAKE, TAKE},
    {"rpoplpush", TAKE, INSERT},
    {"rpush", INSERT, INSERT},
    {"rpushx", INSERT, INSERT},
    {"sadd", INSERT, INSERT},
    {"setnx", NEW, NEW},
    {"setrange", CHANGE, CHANGE},
    {"sinterstore", CHANGE, LOOK},
    {"smove", TAKE, INSERT},
    {"spop", TAKE, TAKE},
    {"srem", REMOVE, REMOVE},
    {"unlink", DELETE, DELETE},
    {"xack", CHANGE, CHANGE},
    {"xackdel", REMOVE, REMOVE},
    {"xadd", CHANGE, CHANGE},
    {"xautoclaim", REMOVE, REMOVE},
    {"xclaim", CHANGE, CHANGE},
    {"xdel", REMOVE, REMOVE},
    {"xdelex", REMOVE, REMOVE},
    {"xgroup|create", INSERT, INSERT},
    {"xgroup|createconsumer", INSERT, INSERT},
    {"xgroup|delconsumer", REMOVE, REMOVE},
    {"xgroup|destroy", REMOVE, REMOVE},
    {"xgroup|setid", CHANGE, CHANGE},
    {"xnack", CHANGE, CHANGE},
    {"xsetid", CHANGE, CHANGE},
    {"xtrim", REMOVE, REMOVE},
    {"zadd", CHANGE, CHANGE},
    {"zmpop", TAKE, TAKE},
    {"zpopmax", TAKE, TAKE},
    {"zpopmin", TAKE, TAKE},
    {"zrem", REMOVE, REMOVE},
    {"zremrangebylex", REMOVE, REMOVE},
    {"zremrangebyrank", REMOVE, REMOVE},
    {"zremrangebyscore", REMOVE, REMOVE},
};

static uint8_t by_rights(uint8_t rights)
{
    switch (rights) {
    case RESP_KEY_READ:
        return LOOK;
    case RESP_KEY_WRITE:
        return OVER;
    case RESP_KEY_READ | RESP_KEY_WRITE:
        return BOTH;
    default:
        return RESP_USE_RO; /* it says whether or how much is there */
    }
}

uint8_t resp_key_use(const struct resp_command *row, const struct oxbow_bytes *args, uint32_t count,
                     uint32_t n)
{
    size_t low = 0;
    size_t high = sizeof uses / sizeof uses[0];

    if (resp_keys_are_loose(row, args, count)) {
        return 0;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(row->name, uses[middle].name);

        if (order == 0) {
            return n == 0 ? uses[middle].first : uses[middle].rest;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return by_rights(resp_key_rights(row, args, count, n));
}
