/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging stand-ins: one after the other, in the order in which they were used, and in each all keys of
 * all databases, then what is delayed, and then the names of what nothing is left of. One that is empty is removed.
 *
 * Invariants: (1) A stand-in is marked as being merged, durably, before anything is taken out of it; from
 * then on no program gets it. (2) What cannot be opened or read stops the merge, and nothing after it is
 * touched: the mark in the store is the last one's.
 */
#include "engine/queue/merge.h"

#include "engine/queue/mend.h"
#include "oxbow/delay.h"
#include "oxbow/key.h"

#include <stdio.h>
#include <string.h>

#define SCAN_COUNT 100u

static void say(const struct merge *m, enum oxbow_log_level level, const char *text)
{
    const struct oxbow_log *log = &oxbow_port_of(m->to)->log;

    log->line(log->ctx, level, text);
}

enum oxbow_err merge_is_empty(struct oxbow_txn *txn, bool *empty)
{
    struct oxbow_identity identity;
    uint32_t database;
    uint64_t keys = 0;
    enum oxbow_err err = oxbow_identity_get(txn, &identity);

    *empty = err == OXBOW_ENOENT;
    err = *empty ? OXBOW_OK : err;
    for (database = 0; *empty && err == OXBOW_OK && database < CATALOG_DATABASES; database++) {
        err = oxbow_txn_select(txn, database);
        err = err == OXBOW_OK ? oxbow_key_count(txn, &keys) : err;
        *empty = keys == 0;
    }
    return err;
}

/* From now on it is nobody's but ours. */
static enum oxbow_err claim(struct merge *m, const struct oxbow_config *config)
{
    struct stand_in_record record;
    struct oxbow_txn *txn;
    size_t len = strlen(config->dir);
    bool ours = false;
    enum oxbow_err err = merge_begin(m->from, 0, 0, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    m->stand_in = txn_store_id(txn);
    err = stand_in_get(txn, &record);
    if (err == OXBOW_OK && record.state == STAND_IN_NONE) {
        err = merge_is_empty(txn, &ours); /* it was made, and nothing came of it */
        record.dir.len = len;
    } else if (err == OXBOW_OK) {
        ours = record.dir.len == len && memcmp(record.dir.data, config->dir, len) == 0;
    }
    if (err == OXBOW_OK && !ours) {
        say(m, OXBOW_LOG_ERROR,
            "store: what is in the place for stand-ins is none of this store's");
        err = OXBOW_EFORMAT;
    }
    if (err == OXBOW_OK) {
        m->batches = record.batches;
        m->checked = record.state == STAND_IN_CHECKED;
        record.state = m->checked ? STAND_IN_CHECKED : STAND_IN_MERGING;
        record.dir.data = config->dir;
        err = stand_in_put(txn, &record);
    }
    return merge_finish(txn, err);
}

static enum oxbow_err all_keys(struct merge *m, uint32_t database)
{
    struct oxbow_txn *txn;
    uint64_t cursor = 0;
    size_t i;
    enum oxbow_err err;

    do {
        err = merge_begin(m->from, database, OXBOW_TXN_READ | OXBOW_TXN_NOWAIT, &txn);
        if (err == OXBOW_OK) {
            err = oxbow_key_scan(txn, &cursor, SCAN_COUNT, &m->names);
            oxbow_txn_abort(txn);
        }
        for (i = 0; err == OXBOW_OK && i < m->names.item_count; i++) {
            err = merge_key(m, database, m->names.items[i]);
        }
    } while (err == OXBOW_OK && cursor != 0);
    return err;
}

static enum oxbow_err all_of_one(struct merge *m)
{
    struct merge_unit delays = {.kind = MERGE_DELAY};
    uint32_t database;
    enum oxbow_err err = merge_mark_get(m);

    if (err == OXBOW_OK) {
        err = merge_resume(m);
    }
    if (err == OXBOW_OK && !m->checked) {
        err = merge_check(m);
    }
    for (database = 0; err == OXBOW_OK && database < CATALOG_DATABASES; database++) {
        err = all_keys(m, database);
    }
    err = err == OXBOW_OK ? merge_unit_run(m, &delays) : err;
    err = err == OXBOW_OK ? merge_once(m) : err;
    return err == OXBOW_OK ? merge_mark_settle(m) : err;
}

/* One stand-in. *empty: it was there, and nothing is left in it. */
static enum oxbow_err merge_one(struct merge *m, const struct oxbow_config *config,
                                const struct oxbow_config *one, bool *empty)
{
    struct oxbow_config existing = *one;
    uint64_t before = m->merged;
    enum oxbow_err closed;
    enum oxbow_err err;

    existing.flags = OXBOW_OPEN_EXISTING;
    m->left = OXBOW_OK;
    err = store_open(&existing, mend_store, &m->from);
    if (err != OXBOW_OK) {
        return err;
    }
    err = caches_open(m->from, one->cache_databases); /* what it hides would go with the stand-in */
    if (err == OXBOW_OK) {
        err = claim(m, config);
    }
    if (err == OXBOW_OK) {
        err = all_of_one(m);
    }
    closed = oxbow_close(m->from);
    err = err == OXBOW_OK ? closed : err;
    *empty = err == OXBOW_OK && m->left == OXBOW_OK;
    if (m->merged > before) {
        char line[96];

        (void)snprintf(line, sizeof line, "store: %llu entries came from a stand-in",
                       (unsigned long long)(m->merged - before));
        say(m, OXBOW_LOG_WARN, line);
    }
    return err;
}

static enum oxbow_err merge_all(struct merge *m, const struct oxbow_config *config)
{
    enum oxbow_err left = OXBOW_OK;
    enum oxbow_err err = OXBOW_OK;
    uint32_t n;

    for (n = 1; n <= STAND_IN_MAX && err == OXBOW_OK; n++) {
        char dir[STAND_IN_DIR_MAX];
        struct oxbow_config one;
        bool there = false;
        bool empty = false;

        stand_in_config(config, n, dir, &one);
        err = stand_in_look(&one, &there);
        if (err == OXBOW_OK && there) {
            err = merge_one(m, config, &one, &empty);
            left = m->left == OXBOW_OK ? left : m->left;
        }
        if (err == OXBOW_OK && empty) {
            err = stand_in_sweep(&one);
        }
    }
    m->left = left;
    return err;
}

void merge_stand_ins(struct oxbow *to, const struct oxbow_config *config)
{
    const struct oxbow_alloc *alloc = &oxbow_port_of(to)->alloc;
    struct merge *m = mem_new(alloc, sizeof *m);
    enum oxbow_err err = OXBOW_ENOMEM;

    if (m != NULL) {
        m->to = to;
        m->alloc = alloc;
        m->members = config->members;
        buf_init(&m->mark.key, alloc, OXBOW_KEY_NAME_MAX);
        buf_init(&m->name, alloc, OXBOW_KEY_NAME_MAX);
        err = merge_all(m, config);
        err = err == OXBOW_OK ? m->left : err;
        if (err == OXBOW_OK) {
            err = merge_parked_tidy(to);
        }
        err = err == OXBOW_OK ? merge_once_tidy(m) : err;
        if (err == OXBOW_ENOTSUP && m->members == NULL) {
            say(m, OXBOW_LOG_ERROR,
                "store: a stand-in holds hashes, sets or sorted sets, and this program's "
                "configuration "
                "(oxbow_config.members) does not say how they are merged");
        }
        if (err != OXBOW_OK) {
            char line[128];

            (void)snprintf(line, sizeof line,
                           "store: something is left in a stand-in (%s): the next opening goes on",
                           oxbow_err_name(err));
            say(m, OXBOW_LOG_ERROR, line);
        }
        stand_in_told(to, m->merged, err);
        buf_fini(&m->mark.key);
        buf_fini(&m->name);
        oxbow_result_fini(&m->batch);
        oxbow_result_fini(&m->names);
        oxbow_result_fini(&m->groups);
        mem_free(alloc, m, sizeof *m);
        return;
    }
    stand_in_told(to, 0, err);
}
