/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Databases that are kept in memory (oxbow/cache.h): how much they may take, and what goes from them when that
 * is reached. The store keeps the policy and chooses the keys; here is when it is asked to, and who is told.
 *
 * 1. Before a command that may change keys, before EXEC as a whole and before a script, keys go until there is
 *    room again, in the transaction of what comes, or just before EXEC's: a key that goes so is a change for
 *    those who watch it. Never between two commands of EXEC or of a script.
 * 2. Where nothing may go any more, what may add to such a database is refused (Redis' denyoom), and
 *    everything else is carried out.
 * 3. Of a limit that was lowered a part goes with each turn, so that nobody waits for all of it.
 */
#include "engine/base/num.h"
#include "engine/base/word.h"
#include "engine/resp/args.h"
#include "engine/resp/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STEP_KEYS       64u
#define STEPS_MAX       16u /* for one command */
#define TURN_STEPS      4u
#define SAMPLES_DEFAULT 5u

/* The numbers of enum oxbow_evict. */
static const char *const policies[] = {"noeviction",      "allkeys-lru",  "allkeys-lfu",
                                       "allkeys-random",  "volatile-lru", "volatile-lfu",
                                       "volatile-random", "volatile-ttl", NULL};

enum oxbow_err resp_cache_look(struct oxbow_resp *s)
{
    struct oxbow_cache_stat stat;
    struct oxbow_txn *txn;
    enum oxbow_err err = resp_txn_begin(s, 0, &txn);

    if (err == OXBOW_OK) {
        oxbow_cache_stat(txn, &stat);
        oxbow_txn_abort(txn);
        s->cache.databases = stat.databases;
        s->cache.limit = stat.limit;
    }
    return err;
}

bool resp_cache_has(const struct oxbow_resp *s, uint32_t database)
{
    return (s->cache.databases >> database & 1u) != 0;
}

enum oxbow_err resp_cache_stat(struct resp_call *call, struct oxbow_cache_stat *out)
{
    struct oxbow_txn *txn = call->server->txn; /* others' batch may be under way */
    enum oxbow_err err;

    if (txn != NULL) {
        oxbow_cache_stat(txn, out);
        return OXBOW_OK;
    }
    err = resp_txn_begin(call->server, 0, &txn);
    if (err == OXBOW_OK) {
        oxbow_cache_stat(txn, out);
        oxbow_txn_abort(txn);
    }
    return err;
}

enum oxbow_err resp_cache_refuse(struct resp_call *call, uint32_t database)
{
    resp_error_format(call->reply,
                      "ERR database %u is kept in memory, where there are no policies, options of "
                      "groups, delays, priorities, schedules, bindings and forwards",
                      database);
    return OXBOW_OK;
}

/* ---- what goes ---- */

static bool has_limit(const struct oxbow_resp *s)
{
    return s->cache.databases != 0 && s->cache.limit.bytes != 0;
}

static enum oxbow_err gone(void *ctx, uint32_t database, struct oxbow_bytes key)
{
    struct resp_call call = {.server = ctx};

    resp_changed_in(&call, database, RESP_EVENT_EVICTED, "evicted", key);
    return OXBOW_OK;
}

/* Makes room in the batch's transaction, in at most so many steps. Also to be asked where there is some: what
 * is done in the transaction after it may pass the limit a little. */
static enum oxbow_err evict(struct oxbow_resp *s, uint32_t steps)
{
    struct oxbow_cache_stat stat;
    bool more = true;
    enum oxbow_err err = OXBOW_OK;

    for (; err == OXBOW_OK && more && steps > 0; steps--) {
        err = oxbow_cache_evict(s->txn, STEP_KEYS, gone, s, &more);
    }
    oxbow_cache_stat(s->txn, &stat);
    s->cache.more = err == OXBOW_OK && more;
    s->cache.full = !s->cache.more && stat.bytes > s->cache.limit.bytes;
    return err;
}

enum oxbow_err resp_cache_before(struct resp_call *call)
{
    struct oxbow_resp *s = call->server;
    const struct resp_command *row = call->row;
    enum oxbow_err err;

    s->cache.full = false;
    if (!has_limit(s) ||
        ((row->flags & RESP_WRITE) == 0 && row->categories != RESP_CAT_SCRIPTING)) {
        return OXBOW_OK;
    }
    err = evict(s, STEPS_MAX);
    (void)oxbow_txn_databases(s->txn); /* the client was in none of those */
    if (err == OXBOW_OK) {
        err = oxbow_txn_select(s->txn, call->client->database);
    }
    if (err == OXBOW_OK && (row->flags & RESP_DENYOOM) != 0 &&
        resp_cache_refuses(s, call->client)) {
        err = OXBOW_EQUOTA;
    }
    return err;
}

bool resp_cache_refuses(const struct oxbow_resp *s, const struct oxbow_resp_client *c)
{
    return s->cache.full && resp_cache_has(s, c->database);
}

/* Makes room in a transaction of its own. */
static void evict_now(struct oxbow_resp *s, uint32_t steps)
{
    if (resp_txn_begin(s, 0, &s->txn) != OXBOW_OK) {
        s->cache.more = false; /* the next command tries it again */
        return;
    }
    (void)oxbow_txn_databases(s->txn); /* it has to begin somewhere */
    oxbow_txn_refuse(s->txn, evict(s, steps));
    (void)!resp_batch_end(s); /* messages are part of it: if it fails, nobody hears of it */
}

enum oxbow_err resp_cache_before_exec(struct oxbow_resp_client *c)
{
    struct oxbow_resp *s = c->server;

    s->cache.full = false;
    if (!has_limit(s) || !c->multi.changes) {
        return OXBOW_OK;
    }
    evict_now(s, STEPS_MAX);
    return s->cache.full && (c->multi.adds & s->cache.databases) != 0 ? OXBOW_EQUOTA : OXBOW_OK;
}

enum oxbow_err resp_cache_exec(struct oxbow_resp_client *c)
{
    struct oxbow_resp *s = c->server;
    bool more;

    return has_limit(s) && c->multi.changes ? oxbow_cache_evict(s->txn, 0, NULL, NULL, &more)
                                            : OXBOW_OK;
}

void resp_cache_queued(struct oxbow_resp_client *c, const struct resp_call *call)
{
    const struct resp_command *row = call->row;
    int64_t database;

    if (c->server->cache.databases == 0) {
        return;
    }
    if ((row->flags & RESP_DENYOOM) != 0) {
        c->multi.adds |= 1u << c->multi.database;
    }
    if ((row->flags & RESP_WRITE) != 0 || row->categories == RESP_CAT_SCRIPTING) {
        c->multi.changes = true;
    }
    if (strcmp(row->name, "select") == 0 && resp_arg_int(call->args[1], &database) &&
        database >= 0 && database < OXBOW_RESP_DATABASES) {
        c->multi.database = (uint32_t)database;
    }
}

void resp_cache_turn(struct oxbow_resp *s)
{
    if (s->cache.more && resp_room(s)) {
        if (has_limit(s)) {
            evict_now(s, TURN_STEPS);
        } else {
            s->cache.more = false;
        }
    }
}

/* ---- settings ---- */

const char *resp_evict_name(enum oxbow_evict evict)
{
    return policies[evict];
}

bool resp_evict_is_lfu(const struct oxbow_resp *s)
{
    enum oxbow_evict evict = s->cache.limit.evict;

    return evict == OXBOW_EVICT_ALLKEYS_LFU || evict == OXBOW_EVICT_VOLATILE_LFU;
}

static bool apply(struct oxbow_resp *s, const struct oxbow_cache_limit *limit)
{
    if (oxbow_cache_limit_set(s->db, limit) != OXBOW_OK) {
        s->set_why = "the store does not take it";
        return false;
    }
    s->cache.limit = *limit;
    s->cache.more = has_limit(s);
    return true;
}

void resp_get_maxmemory(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    (void)snprintf(out, RESP_VALUE_MAX, "%" PRIu64, s->cache.limit.bytes);
}

/* Without such a database there is nothing that could go: whoever counts on it learns that here, and who
 * sets just what is has it. */
bool resp_set_maxmemory(struct oxbow_resp *s, struct oxbow_bytes value)
{
    struct oxbow_cache_limit limit = s->cache.limit;

    if (!word_size(value, &limit.bytes)) {
        s->set_why = "argument must be a memory value";
        return false;
    }
    if (s->cache.databases == 0) {
        s->set_why = "it is the limit of databases that are kept in memory, and there is none: say "
                     "`db N memory` at the start; what is on the device has the quota";
        return limit.bytes == 0;
    }
    return apply(s, &limit);
}

void resp_get_evict(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    (void)snprintf(out, RESP_VALUE_MAX, "%s", policies[s->cache.limit.evict]);
}

bool resp_set_evict(struct oxbow_resp *s, struct oxbow_bytes value)
{
    struct oxbow_cache_limit limit = s->cache.limit;
    int place = word_place(value, policies);

    if (place < 0) {
        s->set_why = "argument(s) must be one of the following: volatile-lru, volatile-lfu, "
                     "volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, "
                     "noeviction";
        return false;
    }
    limit.evict = (enum oxbow_evict)place;
    if (s->cache.databases == 0) {
        s->set_why =
            "nothing goes from databases on the device: say `db N memory` at the start for "
            "one that is kept in memory";
        return limit.evict == OXBOW_EVICT_NONE;
    }
    return apply(s, &limit);
}

void resp_get_samples(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    uint32_t samples = s->cache.limit.samples;

    (void)snprintf(out, RESP_VALUE_MAX, "%" PRIu32, samples != 0 ? samples : SAMPLES_DEFAULT);
}

bool resp_set_samples(struct oxbow_resp *s, struct oxbow_bytes value)
{
    struct oxbow_cache_limit limit = s->cache.limit;
    uint64_t samples;

    if (num_u64(value, &samples) != OXBOW_OK || samples == 0 || samples > OXBOW_EVICT_SAMPLES_MAX) {
        s->set_why = "argument must be between 1 and 64 inclusive";
        return false;
    }
    limit.samples = (uint32_t)samples;
    return apply(s, &limit);
}
