/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XDEL and XSETID: entries removed by id, and a stream's last id set by hand. What removing means
 * for chunks and counters is stream_trim.c's.
 */
#include "engine/queue/forward.h"
#include "engine/queue/priority.h"
#include "engine/queue/stream.h"

enum oxbow_err stream_removal_check(struct stream *s, struct oxbow_bytes key,
                                    const struct stream_removal *r)
{
    struct forward_edge edge;
    size_t i;
    enum oxbow_err err = forward_edge(s->txn, key, &edge);

    for (i = 0; err == OXBOW_OK && edge.on && i < r->count; i++) {
        if (id_compare(r->ids[i], edge.safe) > 0) {
            err = stream_entry_find(s, r->ids[i], NULL);
            err = err == OXBOW_OK ? OXBOW_EPROTECTED : err;
            err = err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
    }
    return err;
}

enum oxbow_err stream_remove_one(struct stream *s, struct oxbow_bytes key,
                                 const struct stream_removal *r, struct oxbow_id id)
{
    uint64_t bytes = 0;
    enum oxbow_err err = stream_entry_find(s, id, NULL);

    if (err == OXBOW_OK && r->may != NULL) {
        err = r->may(s, id, r->ctx);
    }
    if (err == OXBOW_OK && txn_forced(s->txn)) {
        err = stream_payload(s, id, id, &bytes);
    }
    if (err == OXBOW_OK) {
        err = stream_remove(s, id);
    }
    if (err == OXBOW_OK && txn_forced(s->txn)) {
        err = forward_lost(s->txn, key, id, id, 1, bytes);
    }
    return err;
}

enum oxbow_err stream_remove_all(struct stream *s, struct oxbow_bytes key,
                                 const struct stream_removal *r, uint64_t *removed)
{
    uint64_t count = 0;
    size_t i;
    enum oxbow_err err = stream_removal_check(s, key, r);

    if (err != OXBOW_OK) {
        return err;
    }
    for (i = 0; i < r->count; i++) {
        enum oxbow_delete_outcome outcome = OXBOW_DELETE_DONE;

        err = stream_remove_one(s, key, r, r->ids[i]);
        if (err == OXBOW_ENOENT) {
            outcome = OXBOW_DELETE_NONE;
        } else if (err == OXBOW_EBUSY) {
            outcome = OXBOW_DELETE_REFERENCED;
        } else if (err != OXBOW_OK) {
            return txn_fail(s->txn, err);
        }
        count += outcome == OXBOW_DELETE_DONE;
        if (r->outcomes != NULL) {
            r->outcomes[i] = outcome;
        }
    }
    err = count > 0 ? stream_save(s) : OXBOW_OK;
    if (err == OXBOW_OK) {
        *removed = count;
    }
    return err;
}

enum oxbow_err oxbow_stream_delete(struct oxbow_txn *txn, struct oxbow_bytes key,
                                   const struct oxbow_id *ids, size_t count, uint64_t *removed)
{
    struct stream_removal removal = {.ids = ids, .count = count};
    struct stream s;
    uint64_t done = 0;
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : stream_find(txn, key, &s);

    if (err == OXBOW_OK) {
        err = stream_remove_all(&s, key, &removal, &done);
    } else if (err == OXBOW_ENOENT) {
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK && removed != NULL) {
        *removed = done;
    }
    return err;
}

/* ---- XSETID ---- */

static enum oxbow_err newest_get(struct stream *s, struct oxbow_id *id)
{
    struct stream_walk w;
    struct stream_entry entry;
    enum oxbow_err err = stream_walk_init(&w, s, OXBOW_ID_MIN, OXBOW_ID_MAX, true);

    if (err != OXBOW_OK) {
        return err;
    }
    err = stream_walk_next(&w, &entry);
    if (err == OXBOW_OK) {
        *id = entry.id;
    }
    stream_walk_fini(&w);
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

static enum oxbow_err set_id_check(struct stream *s, struct oxbow_bytes key,
                                   const struct oxbow_stream_set_id_options *opt)
{
    struct oxbow_id newest;
    enum oxbow_err err;

    if (s->length > 0) {
        err = newest_get(s, &newest);
        if (err != OXBOW_OK) {
            return err;
        }
        if (id_compare(opt->last_id, newest) < 0) {
            return OXBOW_EIDSMALL;
        }
        if (opt->has_entries_added && opt->entries_added < s->length) {
            return OXBOW_EADDEDSMALL;
        }
    }
    if (id_compare(opt->last_id, s->max_deleted) < 0) {
        return OXBOW_EIDDELETED;
    }
    /* Ids that a forward has passed must not come again: they would never be sent. */
    return id_compare(opt->last_id, s->last) < 0 ? forward_forbid(s->txn, key) : OXBOW_OK;
}

enum oxbow_err oxbow_stream_set_id(struct oxbow_txn *txn, struct oxbow_bytes key,
                                   const struct oxbow_stream_set_id_options *opt)
{
    struct stream s;
    enum oxbow_err err;

    if (opt->has_max_deleted_id && id_compare(opt->last_id, opt->max_deleted_id) < 0) {
        return OXBOW_EIDGIVEN;
    }
    err = txn_readonly(txn) ? OXBOW_EREADONLY : stream_find(txn, key, &s);
    if (err == OXBOW_OK) {
        err = set_id_check(&s, key, opt);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (s.priorities && id_compare(opt->last_id, s.last) < 0) {
        err = priority_set_back(&s, opt->last_id);
        if (err != OXBOW_OK) {
            return txn_fail(txn, err);
        }
    }
    s.last = opt->last_id;
    if (opt->has_entries_added) {
        s.entries_added = opt->entries_added;
    }
    if (opt->has_max_deleted_id && !id_is_zero(opt->max_deleted_id)) {
        s.max_deleted = opt->max_deleted_id;
    }
    return stream_save(&s);
}
