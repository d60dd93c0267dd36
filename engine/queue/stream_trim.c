/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes entries: from the old end (trim) and one by one (delete). A removed entry is a flag in
 * its chunk; a chunk without live entries is deleted with its key.
 *
 * 1. `length`, `bytes`, `chunks`, `first` and `tail` are right after every function here.
 * 2. What lies outside of a chunk goes with its entry, and so does its deadline.
 * 3. Entries above a forward's edge stay, unless the transaction is forced.
 */
#include "engine/base/codec.h"
#include "engine/queue/expire.h"
#include "engine/queue/forward.h"
#include "engine/queue/priority.h"
#include "engine/queue/rate.h"
#include "engine/queue/stream.h"

#include <string.h>

#define CHUNK_ENTRIES (CHUNK_MAX / STREAM_ENTRY_MIN)

/* What is to be removed from one chunk. */
struct plan {
    struct oxbow_id base;
    uint16_t pos[CHUNK_ENTRIES];
    size_t count;
    size_t kept;           /* live entries that stay */
    uint64_t bytes;        /* of those removed */
    bool outside;          /* some are kept outside of the chunk */
    struct oxbow_id first; /* of those removed; none between it and the last stays */
    struct oxbow_id last;
    uint64_t priorities[PRIORITIES]; /* how many of each */
};

static void plan_add(struct plan *p, const struct stream_entry *entry)
{
    p->first = p->count == 0 ? entry->id : p->first;
    p->pos[p->count++] = (uint16_t)entry->pos;
    p->bytes += entry->next - entry->pos;
    p->last = entry->id;
    p->priorities[STREAM_ENTRY_PRIORITY(entry->flags)]++;
    if ((entry->flags & STREAM_ENTRY_OUTSIDE) != 0) {
        p->bytes += entry->outside_len;
        p->outside = true;
    }
}

static enum oxbow_err chunk_get(const struct stream *s, struct oxbow_id base, struct chunk_walk *w)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes chunk;
    enum oxbow_err err = kv_get(s->txn, stream_id_key(key, s, STREAM_KIND_CHUNK, base), &chunk);

    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    return chunk_walk_init(w, chunk, base);
}

static enum oxbow_err outside_delete(struct stream *s, const struct plan *p)
{
    size_t i;

    for (i = 0; p->outside && i < p->count; i++) {
        struct chunk_walk w;
        struct stream_entry entry;
        uint8_t key[KV_KEY_MAX];
        enum oxbow_err err = chunk_get(s, p->base, &w);

        if (err == OXBOW_OK) {
            err = chunk_entry_at(&w, p->pos[i], &entry);
        }
        if (err == OXBOW_OK && (entry.flags & STREAM_ENTRY_OUTSIDE) != 0) {
            if (entry.blob != 0) {
                err = object_blob_delete(s->txn, s->object.id, entry.blob);
            } else {
                err = kv_del(s->txn, stream_id_key(key, s, STREAM_KIND_BODY, entry.id));
            }
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err flags_patch(struct stream *s, const struct plan *p)
{
    size_t i;

    for (i = 0; i < p->count; i++) {
        uint8_t key[KV_KEY_MAX];
        struct chunk_walk w;
        uint8_t flags;
        enum oxbow_err err = chunk_get(s, p->base, &w);

        if (err != OXBOW_OK) {
            return err;
        }
        flags = ((const uint8_t *)w.bytes.data)[p->pos[i]] | STREAM_ENTRY_DELETED;
        err = kv_patch(s->txn, stream_id_key(key, s, STREAM_KIND_CHUNK, p->base), p->pos[i],
                       (struct oxbow_bytes){&flags, 1});
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err plan_apply(struct stream *s, const struct plan *p)
{
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = outside_delete(s, p);

    if (err == OXBOW_OK) {
        err = expire_forget(s->txn, s->object.id, p->first, p->last);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (p->kept > 0) {
        err = flags_patch(s, p);
    } else {
        err = kv_del(s->txn, stream_id_key(key, s, STREAM_KIND_CHUNK, p->base));
        s->chunks--;
        if (id_compare(p->base, s->tail) == 0) {
            s->tail = OXBOW_ID_MIN;
        }
    }
    s->length -= p->count;
    s->bytes -= p->bytes;
    if (rate_asked(s->txn)) {
        rate_left(s->txn, &s->object, p->count, p->bytes);
    }
    return err == OXBOW_OK && s->priorities ? priority_removed(s, p->priorities, p->kept == 0)
                                            : err;
}

static enum oxbow_err first_renew(struct stream *s)
{
    struct stream_walk w;
    struct stream_entry entry;
    enum oxbow_err err;

    if (s->length == 0) {
        s->first = OXBOW_ID_MIN;
        return OXBOW_OK;
    }
    err = stream_walk_init(&w, s, s->first, OXBOW_ID_MAX, false);
    if (err != OXBOW_OK) {
        return err;
    }
    err = stream_walk_next(&w, &entry);
    if (err == OXBOW_OK) {
        s->first = entry.id;
    }
    stream_walk_fini(&w);
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

/* ---- trim ---- */

static bool cut_wants(const struct stream *s, const struct stream_cut *cut, const struct plan *p,
                      struct oxbow_id id)
{
    if (cut->has_edge && id_compare(id, cut->edge) > 0) {
        return false;
    }
    if (cut->trim.by == OXBOW_TRIM_MAXLEN) {
        return s->length - p->count > cut->trim.maxlen;
    }
    if (cut->by_bytes) {
        return s->bytes - p->bytes > cut->bytes_max;
    }
    return id_compare(id, cut->trim.minid) < 0;
}

/* What of the chunk is to go. Stops looking at the first entry that stays. */
static enum oxbow_err cut_plan(const struct stream *s, const struct stream_cut *cut,
                               struct chunk_walk *w, struct plan *p)
{
    struct stream_entry entry;
    enum oxbow_err err;

    p->base = w->base;
    p->count = 0;
    p->kept = 0;
    p->bytes = 0;
    p->outside = false;
    memset(p->priorities, 0, sizeof p->priorities);
    while ((err = chunk_walk_next(w, &entry)) == OXBOW_OK) {
        if ((entry.flags & STREAM_ENTRY_DELETED) != 0) {
            continue;
        }
        if (!cut_wants(s, cut, p, entry.id)) {
            p->kept = 1;
            return OXBOW_OK;
        }
        plan_add(p, &entry);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* The chunk that holds the oldest live entry. */
static enum oxbow_err first_chunk(struct stream *s, struct chunk_walk *chunk)
{
    struct stream_walk w;
    struct stream_entry entry;
    enum oxbow_err err = stream_walk_init(&w, s, s->first, s->first, false);

    if (err != OXBOW_OK) {
        return err;
    }
    err = stream_walk_next(&w, &entry);
    if (err == OXBOW_OK) {
        err = chunk_get(s, w.chunk.base, chunk);
    }
    stream_walk_fini(&w);
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

/* One chunk of a trim; *done: nothing more is to be removed. */
static enum oxbow_err cut_chunk(struct stream *s, const struct stream_cut *cut, uint64_t left,
                                uint64_t *removed, bool *done)
{
    struct chunk_walk chunk;
    struct plan plan;
    enum oxbow_err err = first_chunk(s, &chunk);

    if (err == OXBOW_OK) {
        err = cut_plan(s, cut, &chunk, &plan);
    }
    *removed = 0;
    *done = true;
    if (err != OXBOW_OK || plan.count == 0 || (cut->trim.approx && plan.kept > 0)) {
        return err;
    }
    if (cut->trim.approx && plan.count > left) {
        *done = false;
        return OXBOW_OK;
    }
    err = plan_apply(s, &plan);
    if (err == OXBOW_OK) {
        s->first = plan.last;
        s->cut_last = plan.last;
        err = first_renew(s);
    }
    *removed = plan.count;
    *done = plan.kept > 0;
    return err;
}

enum oxbow_err stream_trim_check(const struct oxbow_stream_trim *trim)
{
    return (trim->limit != 0 && !trim->approx) || !refs_valid(trim->refs) ? OXBOW_EINVAL : OXBOW_OK;
}

/* Whether there is anything to do, by the header alone. */
static bool cut_needed(const struct stream *s, const struct stream_cut *cut)
{
    if (cut->trim.by == OXBOW_TRIM_MAXLEN) {
        return s->length > cut->trim.maxlen;
    }
    if (cut->by_bytes) {
        return s->bytes > cut->bytes_max;
    }
    return cut->trim.by == OXBOW_TRIM_MINID && id_compare(s->first, cut->trim.minid) < 0;
}

enum oxbow_err stream_cut(struct stream *s, const struct stream_cut *cut, uint64_t *removed,
                          bool *more)
{
    uint64_t limit = cut->trim.limit == 0 ? STREAM_LIMIT_DEFAULT : cut->trim.limit;
    uint64_t total = 0;
    bool done = !cut_needed(s, cut);

    while (!done && s->length > 0 && total < cut->entries_max) {
        uint64_t count;
        enum oxbow_err err = cut_chunk(s, cut, limit - total, &count, &done);

        if (err != OXBOW_OK) {
            return err;
        }
        total += count;
        if (count == 0) {
            break;
        }
    }
    *removed = total;
    *more = !done && s->length > 0;
    return OXBOW_OK;
}

/* ---- one entry ---- */

/* Plans to remove the entry of that id from its chunk. OXBOW_ENOENT. */
static enum oxbow_err remove_plan(const struct stream *s, struct oxbow_id base, struct oxbow_id id,
                                  struct plan *p)
{
    struct chunk_walk w;
    struct stream_entry entry;
    enum oxbow_err err = chunk_get(s, base, &w);

    *p = (struct plan){.base = base};
    while (err == OXBOW_OK) {
        err = chunk_walk_next(&w, &entry);
        if (err != OXBOW_OK || (entry.flags & STREAM_ENTRY_DELETED) != 0) {
            continue;
        }
        if (id_compare(entry.id, id) == 0) {
            plan_add(p, &entry);
        } else {
            p->kept++;
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err stream_remove(struct stream *s, struct oxbow_id id)
{
    struct stream_walk w;
    struct stream_entry entry;
    struct plan plan;
    enum oxbow_err err = stream_walk_init(&w, s, id, id, false);

    if (err != OXBOW_OK) {
        return err;
    }
    err = stream_walk_next(&w, &entry);
    stream_walk_fini(&w);
    if (err == OXBOW_OK) {
        err = remove_plan(s, w.chunk.base, id, &plan);
    }
    if (err == OXBOW_OK) {
        err = plan_apply(s, &plan);
    }
    if (err == OXBOW_OK && s->priorities) {
        err = priority_forget(s, id, STREAM_ENTRY_PRIORITY(entry.flags));
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (id_compare(id, s->max_deleted) > 0) {
        s->max_deleted = id;
    }
    return id_compare(id, s->first) == 0 || s->length == 0 ? first_renew(s) : OXBOW_OK;
}

/* ---- with forwards ---- */

/* Up to where a trim has come. */
static struct oxbow_id cut_end(const struct stream *s)
{
    struct oxbow_id to = s->first;

    if (s->length == 0) {
        return s->last;
    }
    (void)id_prev(&to); /* what was removed lies before it */
    return to;
}

/* A forced trim of what a forward still has to deliver: the forward is told. */
static enum oxbow_err cut_undelivered(struct stream *s, struct oxbow_bytes key,
                                      const struct stream_cut *cut, uint64_t *removed, bool *more)
{
    struct oxbow_id from = s->first;
    struct oxbow_id to;
    uint64_t before;
    uint64_t after;
    enum oxbow_err err = stream_payload(s, from, OXBOW_ID_MAX, &before);

    if (err == OXBOW_OK) {
        err = stream_cut(s, cut, removed, more);
    }
    if (err != OXBOW_OK || *removed == 0) {
        return err;
    }
    to = cut_end(s);
    to = id_compare(to, cut->edge) < 0 ? to : cut->edge;
    err = stream_payload(s, from, OXBOW_ID_MAX, &after);
    return err == OXBOW_OK ? forward_lost(s->txn, key, from, to, *removed, before - after) : err;
}

static enum oxbow_err cut_delivered(struct stream *s, struct oxbow_bytes key,
                                    const struct stream_cut *cut, uint64_t *removed, bool *more)
{
    struct oxbow_id to;
    enum oxbow_err err = stream_cut(s, cut, removed, more);

    if (err != OXBOW_OK || *removed == 0) {
        return err;
    }
    to = cut_end(s);
    return forward_trimmed(s->txn, key, id_compare(to, cut->edge) < 0 ? to : cut->edge);
}

enum oxbow_err stream_trim_guarded(struct stream *s, struct oxbow_bytes key,
                                   const struct oxbow_stream_trim *trim, uint64_t entries_max,
                                   uint64_t *removed, bool *more)
{
    struct stream_cut cut = {.trim = *trim, .entries_max = entries_max};
    struct forward_edge edge;
    uint64_t total = 0;
    struct oxbow_id edges[3] = {OXBOW_ID_MIN, OXBOW_ID_MIN, OXBOW_ID_MAX};
    enum oxbow_err err = forward_edge(s->txn, key, &edge);

    if (err == OXBOW_OK && trim->refs != OXBOW_REFS_KEEP) {
        const struct refs_trim refs = {trim, edge.on ? edge.safe : OXBOW_ID_MAX, entries_max};

        return group_trim(s, key, &refs, removed, more);
    }
    if (err != OXBOW_OK || (!edge.on && !edge.forced)) {
        return err == OXBOW_OK ? stream_cut(s, &cut, removed, more) : err;
    }
    edges[0] = edge.safe;
    edges[1] = edge.confirmed;
    cut.has_edge = true;
    for (size_t i = 0; err == OXBOW_OK && i < (edge.forced ? 3 : 1); i++) {
        cut.edge = edges[i];
        err = i == 0 ? cut_delivered(s, key, &cut, removed, more)
                     : cut_undelivered(s, key, &cut, removed, more);
        if (err != OXBOW_OK) {
            return err;
        }
        total += *removed;
        cut.entries_max -= *removed < cut.entries_max ? *removed : cut.entries_max;
        if (cut.entries_max == 0 || (trim->limit > 0 && *removed >= cut.trim.limit)) {
            break;
        }
        cut.trim.limit -= trim->limit > 0 ? *removed : 0;
    }
    *removed = total;
    return OXBOW_OK;
}

enum oxbow_err oxbow_stream_trim_step(struct oxbow_txn *txn, struct oxbow_bytes key,
                                      const struct oxbow_stream_trim *trim, uint64_t entries_max,
                                      uint64_t *removed, bool *more)
{
    struct stream s;
    uint64_t count = 0;
    bool left = false;
    enum oxbow_err err = stream_trim_check(trim);

    if (err == OXBOW_OK) {
        err = txn_readonly(txn) ? OXBOW_EREADONLY : stream_find(txn, key, &s);
    }
    if (err == OXBOW_OK) {
        err = stream_trim_guarded(&s, key, trim, entries_max, &count, &left);
        if (err == OXBOW_OK && count > 0) {
            err = stream_save(&s);
        }
        if (err != OXBOW_OK) {
            return txn_fail(txn, err);
        }
    }
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (removed != NULL) {
        *removed = count;
    }
    *more = left;
    return OXBOW_OK;
}

enum oxbow_err oxbow_stream_trim(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 const struct oxbow_stream_trim *trim, uint64_t *removed)
{
    bool more;

    return oxbow_stream_trim_step(txn, key, trim, UINT64_MAX, removed, &more);
}
