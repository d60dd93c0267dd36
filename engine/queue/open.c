/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oxbow_open: the store, or what stands in for it while its device is gone. What a stand-in is, and
 * what becomes of what it holds: store/stand_in.h, merge.h.
 */
#include "engine/base/result.h"
#include "engine/queue/binding.h"
#include "engine/queue/delay.h"
#include "engine/queue/forward_record.h"
#include "engine/queue/group_idle.h"
#include "engine/queue/mend.h"
#include "engine/queue/merge.h"
#include "engine/queue/policy.h"
#include "oxbow/schedule.h"

#include <stdio.h>
#include <string.h>

static void log_line(const struct oxbow_config *config, const char *text)
{
    const struct oxbow_port *port = config->port != NULL ? config->port : oxbow_port_default();

    port->log.line(port->log.ctx, OXBOW_LOG_ERROR, text);
}

/* Takes a store as a stand-in for that directory. OXBOW_EFORMAT: it is somebody's own.
 * OXBOW_EAGAIN: it is being merged. */
static enum oxbow_err claim(struct oxbow *db, const struct oxbow_config *config)
{
    const struct oxbow_txn_options opt = {.sync = OXBOW_SYNC_ALWAYS};
    struct stand_in_record record;
    struct oxbow_txn *txn;
    size_t len = strlen(config->dir);
    bool empty = false;
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = stand_in_get(txn, &record);
    if (err == OXBOW_OK && record.state == STAND_IN_NONE) {
        err = merge_is_empty(txn, &empty);
        record = (struct stand_in_record){.state = STAND_IN_USED, .dir = {config->dir, len}};
        if (err == OXBOW_OK) {
            err = empty ? stand_in_put(txn, &record) : OXBOW_EFORMAT;
        }
    } else if (err == OXBOW_OK) {
        if (record.dir.len != len || memcmp(record.dir.data, config->dir, len) != 0) {
            err = OXBOW_EFORMAT;
        } else if (record.state >= STAND_IN_MERGING) {
            err = OXBOW_EAGAIN;
        }
    }
    return mend_finish(txn, err);
}

/* The n-th one. Errors as claim, and store_open's. */
static enum oxbow_err open_one(const struct oxbow_config *config, uint32_t n, enum oxbow_err why,
                               struct oxbow **out)
{
    char dir[STAND_IN_DIR_MAX];
    struct oxbow_config one;
    struct oxbow *db;
    bool there;
    enum oxbow_err err;

    stand_in_config(config, n, dir, &one);
    err = one.port->files.mkdir(one.port->files.ctx, config->stand_in);
    err = err == OXBOW_EEXIST ? OXBOW_OK : err;
    if (err == OXBOW_OK) {
        err = stand_in_look(&one, &there);
    }
    if (err == OXBOW_OK) {
        err = store_open(&one, mend_store, &db);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = claim(db, config);
    if (err == OXBOW_OK) {
        err = stand_in_begin(db, config, why);
    }
    if (err == OXBOW_OK) {
        *out = db;
        return OXBOW_OK;
    }
    if (oxbow_close(db) != OXBOW_OK) {
        log_line(config, "store: what could not be its stand-in could not be closed either");
    }
    return err;
}

/* The last one that there is, which is the one that was used last; 1 when there is none. */
static enum oxbow_err newest(const struct oxbow_config *config, uint32_t *out)
{
    enum oxbow_err err = OXBOW_OK;
    uint32_t n;

    *out = 1;
    for (n = 1; n <= STAND_IN_MAX && err == OXBOW_OK; n++) {
        char dir[STAND_IN_DIR_MAX];
        struct oxbow_config one;
        bool there = false;

        stand_in_config(config, n, dir, &one);
        err = stand_in_look(&one, &there);
        *out = there ? n : *out;
    }
    return err;
}

/* They are merged in the order of their numbers: one that is older than all that there are would have its
 * entries go before theirs. It is used only when there is no other. */
static enum oxbow_err open_stand_in(const struct oxbow_config *config, enum oxbow_err why,
                                    struct oxbow **out)
{
    enum oxbow_err err;
    uint32_t first;
    uint32_t i;

    if (config->stand_in == NULL) {
        log_line(config, "store: it cannot be opened, and no place for a stand-in is given "
                         "(oxbow_config.stand_in)");
        return why;
    }
    err = newest(config, &first);
    err = err == OXBOW_OK ? OXBOW_EAGAIN : err;
    for (i = 0; i < STAND_IN_MAX && err == OXBOW_EAGAIN; i++) {
        uint32_t n = (first - 1 + i) % STAND_IN_MAX + 1;

        err = open_one(config, n, why, out);
        if (err == OXBOW_OK && n < first) {
            log_line(config, "store: what this stand-in takes will be merged before what older "
                             "ones still hold");
        }
    }
    if (err != OXBOW_OK) {
        log_line(config, err == OXBOW_EFORMAT
                             ? "store: the place for a stand-in holds another store"
                             : "store: a stand-in cannot be opened either");
    }
    return err == OXBOW_OK ? OXBOW_OK : why;
}

/* What is on the device for each database, but for its keys. */
struct stored {
    size_t forwards[CATALOG_DATABASES];
    size_t others[CATALOG_DATABASES]; /* policies, bindings, schedules, delayed entries */
};

static void count_in(size_t *counts, uint32_t database)
{
    if (database < CATALOG_DATABASES) {
        counts[database]++;
    }
}

static enum oxbow_err tables_count(struct oxbow_txn *txn, struct stored *s)
{
    struct forward_table *forwards;
    struct policy_table *policies;
    struct binding_table *bindings;
    enum oxbow_err err = forward_table_get(txn, &forwards);

    for (size_t i = 0; err == OXBOW_OK && i < forwards->count; i++) {
        count_in(s->forwards, forwards->rows[i].database);
    }
    if (err == OXBOW_OK) {
        err = policy_table_get(txn, &policies);
    }
    for (size_t i = 0; err == OXBOW_OK && i < policies->count; i++) {
        count_in(s->others, policies->rows[i].database);
    }
    if (err == OXBOW_OK) {
        err = binding_table_get(txn, &bindings);
    }
    for (size_t i = 0; err == OXBOW_OK && i < bindings->node_count; i++) {
        if (binding_node_is_source(&bindings->nodes[i])) {
            count_in(s->others, bindings->nodes[i].database);
        }
    }
    return err;
}

/* Those that cannot be read say nothing of a database. */
static enum oxbow_err schedules_count(struct oxbow_txn *txn, struct stored *s)
{
    struct oxbow_schedule_info info;
    struct oxbow_result names = {0};
    enum oxbow_err err = oxbow_schedule_list(txn, &names);

    for (size_t i = 0; err == OXBOW_OK && i < names.item_count; i++) {
        char name[OXBOW_SCHEDULE_NAME_MAX + 1];

        (void)snprintf(name, sizeof name, "%.*s", (int)names.items[i].len,
                       (const char *)names.items[i].data);
        err = oxbow_schedule_get(txn, name, &info);
        if (err == OXBOW_OK) {
            count_in(s->others, info.database);
        }
        err = err == OXBOW_ECORRUPT || err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    oxbow_result_fini(&names);
    return err;
}

static enum oxbow_err delays_count(struct oxbow_txn *txn, struct stored *s)
{
    struct oxbow_delay_place place = {0};
    struct oxbow_delay_info info;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK || err == OXBOW_ECORRUPT) {
        const struct oxbow_delay_place before = place;

        err = oxbow_delay_next(txn, &place, &info);
        if (err == OXBOW_OK) {
            count_in(s->others, info.database);
        } else if (err == OXBOW_ECORRUPT && place.wall == before.wall &&
                   place.after.due_ms == before.after.due_ms &&
                   place.after.number == before.after.number) {
            break; /* it did not get beyond the damage */
        }
    }
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}

/* What is on the device stays seen: no database that has something there becomes a cache. A delayed
 * entry would be added to what the next opening forgets, and a policy would write of it. */
static enum oxbow_err caches_check(struct oxbow_txn *txn)
{
    const struct oxbow_port *port = txn_port(txn);
    struct stored s = {{0}, {0}};
    enum oxbow_err err = tables_count(txn, &s);

    if (err == OXBOW_OK) {
        err = schedules_count(txn, &s);
    }
    if (err == OXBOW_OK) {
        err = delays_count(txn, &s);
    }
    for (uint32_t i = 0; err == OXBOW_OK && i < CATALOG_DATABASES; i++) {
        uint64_t keys = 0;
        char line[200];

        if (!txn_is_cache(txn, i)) {
            continue;
        }
        err = catalog_count_stored(txn, i, &keys);
        if (err == OXBOW_OK && (keys > 0 || s.forwards[i] > 0 || s.others[i] > 0)) {
            (void)snprintf(
                line, sizeof line,
                "store: database %u cannot be kept in memory: on the device it has %llu "
                "keys, %u forwards, and %u policies, bindings, schedules and delayed entries",
                (unsigned)i, (unsigned long long)keys, (unsigned)s.forwards[i],
                (unsigned)s.others[i]);
            port->log.line(port->log.ctx, OXBOW_LOG_ERROR, line);
            err = OXBOW_EEXIST;
        }
    }
    return err;
}

enum oxbow_err caches_open(struct oxbow *db, uint32_t databases)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ};
    struct oxbow_txn *txn;
    enum oxbow_err err = OXBOW_OK;

    if (databases == 0) {
        return OXBOW_OK;
    }
    err = oxbow_txn_begin(db, &opt, &txn);
    if (err == OXBOW_OK) {
        err = caches_check(txn);
        oxbow_txn_abort(txn);
    }
    return err;
}

enum oxbow_err oxbow_open(const struct oxbow_config *config, struct oxbow **out)
{
    struct oxbow *db = NULL;
    enum oxbow_err err = store_open(config, mend_store, &db);

    if (err == OXBOW_OK && config->stand_in != NULL) {
        merge_stand_ins(db, config);
    } else if (err != OXBOW_OK && err != OXBOW_EINVAL && stand_in_takes(config, err)) {
        err = open_stand_in(config, err, &db);
    }
    if (err == OXBOW_OK) {
        err = caches_open(db, config->cache_databases);
        if (err != OXBOW_OK && oxbow_close(db) != OXBOW_OK) {
            log_line(config, "store: what could not be opened so could not be closed either");
        }
    }
    if (err == OXBOW_OK) {
        store_set_idle_hook(db, STORE_IDLE_POLICY, policy_sweep);
        store_set_idle_hook(db, STORE_IDLE_DUE, delay_idle);
        store_set_idle_hook(db, STORE_IDLE_GROUP, group_idle);
        *out = db;
    }
    return err;
}
