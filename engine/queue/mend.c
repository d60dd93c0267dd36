/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goes through a store that was salvaged before anybody sees it: names first, then each object that has one. What an
 * object of a type must look like is known to mend_list.c, mend_stream.c, mend_group.c and mend_members.c.
 *
 * Invariants: (1) Every step is a transaction and may be done again: a crash costs nothing but
 * beginning anew. (2) The salvage's state goes last, so a store is never served half mended.
 */
#include "engine/queue/mend.h"

#include "engine/base/buf.h"
#include "engine/queue/delay.h"
#include "engine/queue/forward.h"
#include "engine/queue/forward_doubt.h"
#include "engine/queue/policy.h"
#include "engine/queue/schedule.h"
#include "engine/queue/string.h"
#include "engine/store/catalog.h"
#include "engine/store/memtable.h"

#include <string.h>

const struct oxbow_txn_options mend_step = {.sync = OXBOW_SYNC_INTERVAL,
                                            .flags = OXBOW_TXN_NOWAIT | OXBOW_TXN_FORCE};

enum oxbow_err mend_finish(struct oxbow_txn *txn, enum oxbow_err err)
{
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    return oxbow_txn_commit(txn, NULL);
}

bool mend_may_be_lost(const struct mend *m, struct oxbow_bytes low, struct oxbow_bytes high)
{
    uint64_t i;

    for (i = 0; i < m->state.ranges; i++) {
        const struct salvage_range *r = &m->ranges[i];

        if (key_compare((struct oxbow_bytes){r->low, r->low_len}, high) < 0 &&
            (r->high_len == 0 ||
             key_compare((struct oxbow_bytes){r->high, r->high_len}, low) > 0)) {
            return true;
        }
    }
    return false;
}

enum oxbow_err mend_tell(struct mend_object *o, struct oxbow_loss loss)
{
    const struct oxbow_log *log = &txn_port(o->txn)->log;
    char line[512];
    size_t n = sizeof "store: " - 1;
    enum oxbow_err err;

    loss.database = o->database;
    loss.type = o->object.type;
    loss.key = o->name;
    memcpy(line, "store: ", n);
    (void)oxbow_loss_text(&loss, line + n, sizeof line - n);
    log->line(log->ctx, OXBOW_LOG_ERROR, line);
    err = loss_add(o->txn, &loss);
    if (err == OXBOW_OK && o->object.type == OXBOW_TYPE_LIST) {
        err = mend_forward_list(o);
    }
    return err;
}

enum oxbow_err mend_blob_there(struct oxbow_txn *txn, uint64_t blob, uint64_t len, bool *there)
{
    uint8_t piece[512];
    uint64_t pos;

    *there = false;
    for (pos = 0; pos < len;) {
        size_t n = len - pos < sizeof piece ? (size_t)(len - pos) : sizeof piece;
        enum oxbow_err err = kv_blob_read(txn, blob, pos, piece, n);

        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT || err == OXBOW_ERANGE || err == OXBOW_ECORRUPT ? OXBOW_OK
                                                                                       : err;
        }
        pos += n;
    }
    *there = true;
    return OXBOW_OK;
}

/* ---- objects ---- */

static enum oxbow_err mend_one(struct mend_object *o)
{
    switch (o->object.type) {
    case OXBOW_TYPE_LIST:
        return mend_list(o);
    case OXBOW_TYPE_STREAM:
        return mend_stream(o);
    case OXBOW_TYPE_STRING:
        return mend_string(o);
    case OXBOW_TYPE_HASH:
    case OXBOW_TYPE_SET:
    case OXBOW_TYPE_ZSET:
        return mend_members(o);
    default:
        return OXBOW_OK;
    }
}

struct names_seen {
    uint64_t *ids; /* of all objects that have a name */
    size_t count;
    size_t cap;
};

static enum oxbow_err seen_add(const struct oxbow_alloc *alloc, struct names_seen *seen,
                               uint64_t id)
{
    if (seen->count == seen->cap) {
        size_t cap = seen->cap == 0 ? 256 : seen->cap * 2;
        uint64_t *ids =
            alloc->resize(alloc->ctx, seen->ids, seen->cap * sizeof *ids, cap * sizeof *ids);

        if (ids == NULL) {
            return OXBOW_ENOMEM;
        }
        seen->ids = ids;
        seen->cap = cap;
    }
    seen->ids[seen->count++] = id;
    return OXBOW_OK;
}

/* Shell's sort: no memory, no recursion, and fast enough for something done once. */
static void seen_sort(struct names_seen *seen)
{
    size_t gap;
    size_t i;

    for (gap = seen->count / 2; gap > 0; gap /= 2) {
        for (i = gap; i < seen->count; i++) {
            uint64_t id = seen->ids[i];
            size_t at = i;

            for (; at >= gap && seen->ids[at - gap] > id; at -= gap) {
                seen->ids[at] = seen->ids[at - gap];
            }
            seen->ids[at] = id;
        }
    }
}

static bool seen_has(const struct names_seen *seen, uint64_t id)
{
    size_t low = 0;
    size_t high = seen->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (seen->ids[mid] == id) {
            return true;
        }
        if (seen->ids[mid] < id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return false;
}

/* The next name's object, in a transaction of its own. OXBOW_ENOENT: that was the last. */
static enum oxbow_err mend_next(struct mend *m, struct catalog_place *place,
                                struct names_seen *seen)
{
    const struct oxbow_alloc *alloc = &oxbow_port_of(m->db)->alloc;
    struct mend_object o = {.mend = m};
    struct oxbow_bytes name = {NULL, 0};
    uint8_t *copy = NULL;
    bool gone = false;
    enum oxbow_err err = oxbow_txn_begin(m->db, &mend_step, &o.txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = catalog_next(o.txn, place, &o.database, &o.object, &name);
    if (err == OXBOW_OK) {
        err = seen_add(alloc, seen, o.object.id);
    }
    if (err == OXBOW_OK && o.database < CATALOG_DATABASES) {
        copy = mem_new(alloc, name.len + 1);
        err = copy == NULL ? OXBOW_ENOMEM : oxbow_txn_select(o.txn, o.database);
        if (err == OXBOW_OK) {
            if (name.len > 0) {
                memcpy(copy, name.data, name.len);
            }
            o.name = (struct oxbow_bytes){copy, name.len};
            err = catalog_expire_mend(o.txn, o.name, &gone);
        }
        if (err == OXBOW_OK && !gone) {
            err = mend_one(&o);
        }
    }
    err = mend_finish(o.txn, err);
    mem_free(alloc, copy, name.len + 1);
    return err;
}

/* What has keys, but neither a name nor is to be reaped. */
static enum oxbow_err tell_orphans(struct mend *m, const struct names_seen *seen)
{
    uint64_t id = 0;

    for (;;) {
        struct oxbow_loss l = {.kind = OXBOW_LOSS_ORPHAN};
        struct oxbow_txn *txn;
        bool reaped = false;
        enum oxbow_err err = oxbow_txn_begin(m->db, &mend_step, &txn);

        if (err != OXBOW_OK) {
            return err;
        }
        err = catalog_next_object(txn, &id, &l.entries, &reaped);
        if (err == OXBOW_OK && !reaped && !seen_has(seen, id)) {
            l.object = id;
            err = loss_add(txn, &l);
        }
        err = mend_finish(txn, err);
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
    }
}

static enum oxbow_err mend_objects(struct mend *m)
{
    struct catalog_place place = {.key_len = 0};
    struct names_seen seen = {NULL, 0, 0};
    enum oxbow_err err;

    do {
        err = mend_next(m, &place, &seen);
    } while (err == OXBOW_OK);
    if (err == OXBOW_ENOENT) {
        seen_sort(&seen);
        err = tell_orphans(m, &seen);
    }
    mem_free(&oxbow_port_of(m->db)->alloc, seen.ids, seen.cap * sizeof *seen.ids);
    return err;
}

/* ---- the whole ---- */

static enum oxbow_err load(struct mend *m)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    const struct oxbow_alloc *alloc = &oxbow_port_of(m->db)->alloc;
    struct oxbow_txn *txn;
    uint32_t i;
    enum oxbow_err err = oxbow_txn_begin(m->db, &opt, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = loss_state_get(txn, &m->state);
    if (err == OXBOW_OK && m->state.ranges > SALVAGE_RANGES_MAX) {
        err = OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK && m->state.ranges > 0) {
        m->ranges = mem_new(alloc, SALVAGE_RANGES_MAX * sizeof *m->ranges);
        err = m->ranges == NULL ? OXBOW_ENOMEM : OXBOW_OK;
    }
    for (i = 0; err == OXBOW_OK && i < m->state.ranges; i++) {
        err = loss_range_get(txn, i, &m->ranges[i]);
        err = err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    oxbow_txn_abort(txn);
    return err;
}

static enum oxbow_err
in_txn(struct mend *m, enum oxbow_err (*work)(struct mend *m, struct oxbow_txn *txn, bool *more))
{
    bool more = true;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && more) {
        struct oxbow_txn *txn;

        err = oxbow_txn_begin(m->db, &mend_step, &txn);
        if (err == OXBOW_OK) {
            more = false;
            err = mend_finish(txn, work(m, txn, &more));
        }
    }
    return err;
}

static enum oxbow_err tell_state(struct mend *m, struct oxbow_txn *txn, bool *more)
{
    struct oxbow_loss l = {.kind = OXBOW_LOSS_COMMIT};
    enum oxbow_err err = OXBOW_OK;

    *more = false;
    if (m->state.commit_doubt) {
        err = loss_add(txn, &l);
    }
    if (err == OXBOW_OK && m->state.wall_ms != 0) {
        l = (struct oxbow_loss){.kind = OXBOW_LOSS_REBUILT, .entries = m->state.keys_lost};
        err = loss_add(txn, &l);
    }
    return err;
}

/* Whether the record of a database that has none may be lost, and with it all there was. */
static bool database_lost(const struct mend *m, uint32_t number)
{
    uint8_t low[CATALOG_NUMBER_KEY];
    uint8_t high[CATALOG_NUMBER_KEY];

    return mend_may_be_lost(m, catalog_number_key(low, number),
                            catalog_number_key(high, number + 1));
}

static enum oxbow_err tell_names(struct mend *m, struct oxbow_txn *txn,
                                 const struct catalog_mend *lost)
{
    bool told = false;
    uint32_t i;
    enum oxbow_err err = OXBOW_OK;

    for (i = 0; err == OXBOW_OK && i < CATALOG_DATABASES; i++) {
        struct oxbow_loss l = {
            .kind = OXBOW_LOSS_NAMES, .database = i, .entries = lost->names_lost[i]};

        if (lost->absent[i] && !told && database_lost(m, i)) {
            l.entries = UINT64_MAX; /* or it was of one of those after it */
            told = true;
        }
        if (l.entries > 0) {
            err = loss_add(txn, &l);
        }
    }
    if (err == OXBOW_OK && lost->homeless != 0) {
        struct oxbow_loss l = {
            .kind = OXBOW_LOSS_DATABASE, .object = lost->homeless, .entries = lost->homeless_names};

        err = loss_add(txn, &l);
    }
    return err;
}

static enum oxbow_err names(struct mend *m, struct oxbow_txn *txn, bool *more)
{
    struct catalog_mend lost;
    enum oxbow_err err = catalog_mend(txn, &lost, more);

    return err == OXBOW_OK && !*more ? tell_names(m, txn, &lost) : err;
}

static enum oxbow_err settle(struct mend *m, struct oxbow_txn *txn, bool *more)
{
    (void)m;
    return loss_settle(txn, more);
}

static enum oxbow_err schedules(struct mend *m, struct oxbow_txn *txn, bool *more)
{
    (void)m;
    *more = false;
    return schedule_mend(txn);
}

enum oxbow_err mend_store(struct oxbow *db)
{
    struct mend m = {.db = db};
    enum oxbow_err err = load(&m);

    if (err == OXBOW_OK) {
        err = in_txn(&m, tell_state);
    }
    if (err == OXBOW_OK && m.state.wall_ms != 0) {
        err = in_txn(&m, names);
        if (err == OXBOW_OK) {
            err = mend_objects(&m);
        }
        if (err == OXBOW_OK) {
            err = mend_forwards(&m);
        }
        if (err == OXBOW_OK) {
            err = in_txn(&m, schedules);
        }
    }
    if (err == OXBOW_OK) {
        err = in_txn(&m, settle);
    }
    mem_free(&oxbow_port_of(db)->alloc, m.ranges, SALVAGE_RANGES_MAX * sizeof *m.ranges);
    if (err == OXBOW_OK) {
        err = oxbow_flush(db);
    }
    err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    if (err == OXBOW_OK) {
        err = forward_doubt_open(db);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err == OXBOW_EREADONLY ? OXBOW_ECORRUPT : err;
}
