/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What producers have added once, to the store before it went and to the stand-in after that. A name
 * comes to the store in the transaction that brings its entry, and an entry whose name the store has
 * is there already and is left out. Names without an entry to come with (it was taken from the queue
 * in the stand-in, is put off, or is not known) come last.
 *
 * Invariants: (1) The store knows no name of the stand-in whose entry could still be lost with it.
 * (2) Nothing that is in the stand-in has its id in the store from the merge: what is known there came
 * from a producer. Of entries with one id, the id goes with the last. (3) A producer's number tells
 * nothing of those below it that came to the stand-in, since the producer may have gone on in a store
 * that could not take them yet: left out is what the store knew before the merge began, and what the
 * producer has added to it one by one since (once_run.c).
 * (4) An entry that may have been sent goes on, known or not: the target may have it.
 */
#include "engine/queue/merge.h"

#include "engine/base/id.h"
#include "engine/queue/list.h"
#include "engine/queue/policy.h"
#include "engine/queue/stream.h"
#include "engine/store/credit.h"
#include "oxbow/stream.h"

#include <string.h>

#define RECORD_OVERHEAD 128u /* of a name: its two records and its place in the order, generously */

static struct oxbow_bytes name_of(const struct once_name *at)
{
    return (struct oxbow_bytes){at->name, at->len};
}

/* ---- what the store knows already ---- */

/* Whether it is known there, under that kind. */
static enum oxbow_err known_to(const struct once *to, enum once_kind kind,
                               const struct once_name *at, bool *is)
{
    struct once_seen seen;
    enum oxbow_err err = once_get(to, kind, name_of(at), &seen);

    *is = false;
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    if (kind == ONCE_ID) {
        return once_within(to, seen.clock_ms, is);
    }
    *is = at->seen.number <= seen.number;
    return OXBOW_OK;
}

/* Whether a number of a producer was added to the store: before the merge began, or since then. */
static enum oxbow_err counted_there(const struct once *mine, const struct once *theirs,
                                    const struct once_name *at, bool *is)
{
    struct once_seen before;
    enum oxbow_err err = once_get(mine, ONCE_BEFORE, name_of(at), &before);

    *is = err == OXBOW_OK && at->seen.number <= before.number;
    if (*is || (err == OXBOW_OK && before.number == 0)) { /* forgotten: it counts anew */
        return OXBOW_OK;
    }
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        err = once_run_has(theirs, name_of(at), at->seen.number, is);
    }
    return err;
}

/* ---- names that come with their entries ---- */

/* Who the entries of a queue are, for names to be found; OXBOW_ENOENT: they have none. */
static enum oxbow_err entries_of(struct merge_names *n, enum merge_kind kind,
                                 struct oxbow_bytes key)
{
    struct stream stream;
    struct list list;
    enum oxbow_err err = once_queue(n->mine.txn, key, &n->mine);

    if (err == OXBOW_OK && kind == MERGE_STREAM) {
        err = stream_find(n->mine.txn, key, &stream);
        n->object = stream.object.id;
    } else if (err == OXBOW_OK) {
        err = list_find(n->mine.txn, key, &list);
        err = err == OXBOW_OK && list.sparse ? OXBOW_ENOENT : err;
        n->object = list.object.id;
        n->first = list.lo;
    }
    return err;
}

enum oxbow_err merge_names_begin(struct merge *m, const struct merge_unit *u)
{
    struct merge_names *n = &m->entries;
    enum oxbow_err err;

    *n = (struct merge_names){.from = NULL};
    if (u->kind != MERGE_STREAM && u->kind != MERGE_LIST) {
        return OXBOW_OK;
    }
    err = merge_begin(m->from, u->database, OXBOW_TXN_READ | OXBOW_TXN_NOWAIT, &n->from);
    if (err != OXBOW_OK) {
        n->from = NULL;
        return err;
    }
    n->mine.txn = n->from;
    err = entries_of(n, u->kind, u->key);
    if (err != OXBOW_OK) {
        merge_names_end(m);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

void merge_names_end(struct merge *m)
{
    if (m->entries.from != NULL) {
        oxbow_txn_abort(m->entries.from);
        m->entries.from = NULL;
    }
}

static struct once_place place_of(const struct merge *m, enum merge_kind kind, size_t i)
{
    const struct merge_names *n = &m->entries;
    struct oxbow_id id = {n->first + i, 0};

    return (struct once_place){n->object, kind == MERGE_STREAM ? m->batch.entries[i].id : id};
}

/* The entry's name, and whether it is the last one that the stand-in remembers under it: an id may have
 * been used again after its window. OXBOW_ENOENT: it has none, or none any more. */
static enum oxbow_err name_at(struct merge *m, const struct once_place *place, bool *last)
{
    struct once_name *at = &m->at;
    struct once_seen seen;
    enum oxbow_err err = once_place_get(&m->entries.mine, place, at);

    if (err == OXBOW_OK) {
        err = once_get(&m->entries.mine, at->kind, name_of(at), &seen);
    }
    if (err == OXBOW_OK) {
        *last = at->kind == ONCE_ID ? id_compare(seen.id, place->id) == 0
                                    : seen.number == at->seen.number;
        at->seen.clock_ms = seen.clock_ms;
    }
    return err;
}

enum oxbow_err merge_names_look(struct merge *m, const struct merge_unit *u, size_t i,
                                struct oxbow_txn *to, bool *known)
{
    struct merge_names *n = &m->entries;
    struct once_place place;
    struct once theirs;
    bool last = false;
    enum oxbow_err err;

    *known = n->put = false;
    if (n->from == NULL) {
        return OXBOW_OK;
    }
    place = place_of(m, u->kind, i);
    err = name_at(m, &place, &last);
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    err = once_queue(to, u->key, &theirs);
    if (err == OXBOW_OK && m->at.kind == ONCE_PRODUCER) {
        err = counted_there(&n->mine, &theirs, &m->at, known);
    } else if (err == OXBOW_OK) {
        err = known_to(&theirs, ONCE_ID, &m->at, known);
    }
    n->put = !*known && (last || m->at.kind == ONCE_PRODUCER);
    n->known += *known && !u->parked;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Remembers a name as old as it was, of an entry that is `id` now; unless it is known. */
static enum oxbow_err put_name(const struct once *theirs, const struct once_name *at,
                               struct oxbow_id id, uint64_t now)
{
    uint64_t clock = txn_clock_ms(theirs->txn);
    uint64_t age = now > at->seen.clock_ms ? now - at->seen.clock_ms : 0;
    struct once_seen seen = {at->seen.number, clock > age ? clock - age : 0, id};
    bool known;
    enum oxbow_err err = known_to(theirs, at->kind, at, &known);

    if (err != OXBOW_OK || known) {
        return err;
    }
    err = txn_reserve_bytes(theirs->txn, at->len + RECORD_OVERHEAD);
    if (err == OXBOW_OK && at->kind == ONCE_ID) {
        err = credit_note(theirs->txn);
        err = err == OXBOW_OK ? once_order(theirs, name_of(at), &seen) : err;
    }
    return err == OXBOW_OK ? once_put(theirs, at->kind, name_of(at), &seen) : err;
}

enum oxbow_err merge_names_put(struct merge *m, const struct merge_unit *u, struct oxbow_id id,
                               struct oxbow_txn *to)
{
    struct once theirs;
    enum oxbow_err err;

    if (m->entries.from == NULL || !m->entries.put) {
        return OXBOW_OK;
    }
    err = once_queue_make(to, u->key, &theirs);
    return err == OXBOW_OK ? put_name(&theirs, &m->at, id, txn_clock_ms(m->entries.from)) : err;
}

enum oxbow_err merge_names_take(struct merge *m, const struct merge_mark *mark,
                                struct oxbow_txn *from)
{
    const struct oxbow_bytes key = {mark->key.data, mark->key.len};
    const struct oxbow_stream_range range = {
        .from = OXBOW_ID_MIN, .to = mark->last, .count = mark->count, .expired = true};
    struct merge_names *n = &m->entries;
    size_t count = mark->count;
    size_t i;
    bool last;
    enum oxbow_err err;

    *n = (struct merge_names){.mine = {.txn = from}};
    if (mark->kind != MERGE_STREAM && mark->kind != MERGE_LIST) {
        return OXBOW_OK;
    }
    err = entries_of(n, mark->kind, key);
    if (err == OXBOW_OK && mark->kind == MERGE_STREAM) {
        err = oxbow_stream_range(from, key, &range, &m->batch);
        count = err == OXBOW_OK ? m->batch.entry_count : 0; /* others have expired since */
    }
    for (i = 0; i < count && err == OXBOW_OK; i++) {
        const struct once_place place = place_of(m, mark->kind, i);

        err = name_at(m, &place, &last);
        if (err == OXBOW_OK && last) {
            err = once_del(&n->mine, m->at.kind, name_of(&m->at));
        }
        err = err == OXBOW_OK || err == OXBOW_ENOENT ? once_place_del(&n->mine, place.id) : err;
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* ---- names alone ---- */

/* The next one whose entry is not above `upto`. Of a mark of before there was such a bound: 0-0. */
static enum oxbow_err next_upto(const struct once *mine, struct oxbow_id upto, struct once_name *at)
{
    bool all = id_is_zero(upto) || id_compare(upto, OXBOW_ID_MAX) == 0;
    enum oxbow_err err;

    do {
        err = once_next(mine, at);
    } while (err == OXBOW_OK && !all &&
             (id_is_zero(at->seen.id) || id_compare(at->seen.id, upto) > 0));
    return err;
}

enum oxbow_err merge_once_read(struct merge *m, const struct merge_unit *u, struct oxbow_txn *from,
                               size_t *count)
{
    struct once mine;
    enum oxbow_err err = once_queue(from, u->key, &mine);

    memset(&m->at, 0, sizeof m->at);
    for (*count = 0; err == OXBOW_OK && *count < u->most;) {
        err = next_upto(&mine, u->upto, &m->at);
        *count += err == OXBOW_OK;
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err merge_once_put(struct merge *m, const struct merge_unit *u, size_t count,
                              struct oxbow_txn *to)
{
    struct oxbow_txn *from;
    struct once mine;
    struct once theirs;
    enum oxbow_err err = once_queue_make(to, u->key, &theirs);

    if (err == OXBOW_OK) {
        err = merge_begin(m->from, u->database, OXBOW_TXN_READ | OXBOW_TXN_NOWAIT, &from);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = once_queue(from, u->key, &mine);
    memset(&m->at, 0, sizeof m->at);
    for (; err == OXBOW_OK && count > 0; count--) {
        err = next_upto(&mine, u->upto, &m->at);
        if (err == OXBOW_OK) {
            err = put_name(&theirs, &m->at, OXBOW_ID_MIN, txn_clock_ms(from));
        }
    }
    oxbow_txn_abort(from);
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

enum oxbow_err merge_once_take(struct merge *m, const struct merge_mark *mark,
                               struct oxbow_txn *from)
{
    const struct oxbow_bytes key = {mark->key.data, mark->key.len};
    struct once mine;
    uint32_t i;
    enum oxbow_err err = once_queue(from, key, &mine);

    for (i = 0; err == OXBOW_OK && i < mark->count; i++) {
        memset(&m->at, 0, sizeof m->at);
        err = next_upto(&mine, mark->last, &m->at);
        if (err == OXBOW_OK) {
            err = once_del(&mine, m->at.kind, name_of(&m->at));
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

/* ---- all queues ---- */

/* The queue in that row of a store's policies, to which names belong. OXBOW_ENOENT: no more. */
static enum oxbow_err queue_at(struct merge *m, struct oxbow *db, uint32_t row,
                               struct merge_unit *u)
{
    struct policy_table *t;
    struct oxbow_txn *txn;
    enum oxbow_err err = merge_begin(db, 0, OXBOW_TXN_READ | OXBOW_TXN_NOWAIT, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = policy_table_get(txn, &t);
    if (err == OXBOW_OK && row >= t->count) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        struct oxbow_bytes name = policy_row_name(t, &t->rows[row]);

        u->database = t->rows[row].database;
        m->name.len = 0;
        err = name.len > 0 ? buf_append(&m->name, name.data, name.len) : OXBOW_OK;
        u->key = u->to = (struct oxbow_bytes){m->name.data, m->name.len};
    }
    oxbow_txn_abort(txn);
    return err;
}

/* How far the store knows a producer that has added to the stand-in, which may have noted that already:
 * that it knows nothing, where the producer was forgotten. */
static enum oxbow_err note_before(const struct once *mine, const struct once *theirs,
                                  struct oxbow_bytes producer)
{
    struct once_seen seen;
    enum oxbow_err err = once_get(mine, ONCE_BEFORE, producer, &seen);

    if (err != OXBOW_ENOENT) {
        return err;
    }
    err = once_get(theirs, ONCE_PRODUCER, producer, &seen);
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    return once_put(mine, ONCE_BEFORE, producer, &seen);
}

/* All producers of a queue of the stand-in. */
static enum oxbow_err check_queue(struct merge *m, const struct merge_unit *u, struct oxbow_txn *to)
{
    struct oxbow_txn *from;
    struct once mine;
    struct once theirs;
    enum oxbow_err err = once_queue(to, u->key, &theirs);

    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    err = merge_begin(m->from, u->database, OXBOW_TXN_FORCE, &from);
    if (err != OXBOW_OK) {
        return err;
    }
    err = once_queue(from, u->key, &mine);
    memset(&m->at, 0, sizeof m->at);
    while (err == OXBOW_OK) {
        err = once_next(&mine, &m->at);
        if (err == OXBOW_OK && m->at.kind == ONCE_PRODUCER) {
            err = note_before(&mine, &theirs, name_of(&m->at));
        }
    }
    return merge_finish(from, err == OXBOW_ENOENT ? OXBOW_OK : err);
}

static enum oxbow_err note_checked(struct merge *m)
{
    struct stand_in_record record;
    uint8_t dir[STAND_IN_DIR_MAX];
    struct oxbow_txn *txn;
    enum oxbow_err err = merge_begin(m->from, 0, 0, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = stand_in_get(txn, &record);
    if (err == OXBOW_OK && record.dir.len > sizeof dir) {
        err = OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        if (record.dir.len > 0) {
            memcpy(dir, record.dir.data, record.dir.len);
        }
        record.dir.data = dir;
        record.state = STAND_IN_CHECKED;
        err = stand_in_put(txn, &record);
    }
    err = merge_finish(txn, err);
    m->checked = err == OXBOW_OK;
    return err;
}

enum oxbow_err merge_check(struct merge *m)
{
    struct merge_unit u = {.kind = MERGE_ONCE};
    uint32_t row;
    enum oxbow_err err = OXBOW_OK;

    for (row = 0; err == OXBOW_OK; row++) {
        struct oxbow_txn *to;

        err = queue_at(m, m->from, row, &u);
        if (err == OXBOW_OK) {
            err = merge_begin(m->to, u.database, OXBOW_TXN_READ | OXBOW_TXN_NOWAIT, &to);
        }
        if (err == OXBOW_OK) {
            err = check_queue(m, &u, to);
            oxbow_txn_abort(to);
        }
    }
    return err == OXBOW_ENOENT ? note_checked(m) : err;
}

/* Of which names it can be said that their entries are safe. */
static enum oxbow_err bound(struct merge *m, struct merge_unit *u)
{
    enum oxbow_err err = OXBOW_OK;

    u->upto = OXBOW_ID_MAX;
    if (m->left != OXBOW_OK) {
        u->unrouted = false;
        err = merge_confirmed(m, u, &u->upto);
        err = err == OXBOW_OK ? merge_bindings(m, u) : err;
        u->upto = u->unrouted ? OXBOW_ID_MIN : u->upto;
    }
    return err;
}

enum oxbow_err merge_once(struct merge *m)
{
    struct merge_unit u = {.kind = MERGE_ONCE};
    uint32_t row;
    enum oxbow_err err = OXBOW_OK;

    for (row = 0; err == OXBOW_OK; row++) {
        err = queue_at(m, m->from, row, &u);
        if (err == OXBOW_OK) {
            err = bound(m, &u);
        }
        if (err == OXBOW_OK && !id_is_zero(u.upto)) {
            err = merge_unit_run(m, &u);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err clear_runs(struct merge *m, const struct merge_unit *u)
{
    struct oxbow_txn *txn;
    struct once theirs;
    bool more;
    enum oxbow_err err;

    do {
        more = false;
        err = merge_begin(m->to, u->database, OXBOW_TXN_FORCE, &txn);
        if (err != OXBOW_OK) {
            return err;
        }
        err = once_queue(txn, u->key, &theirs);
        err = err == OXBOW_OK ? once_run_clear(&theirs, &more) : err;
        err = merge_finish(txn, err);
    } while (err == OXBOW_OK && more);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err merge_once_tidy(struct merge *m)
{
    struct merge_unit u = {.kind = MERGE_ONCE};
    uint32_t row;
    enum oxbow_err err = OXBOW_OK;

    for (row = 0; err == OXBOW_OK; row++) {
        err = queue_at(m, m->to, row, &u);
        err = err == OXBOW_OK ? clear_runs(m, &u) : err;
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}
