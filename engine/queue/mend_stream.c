/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream after a salvage. Its chunks say by themselves which entries there are, so that the header
 * can be made anew from them: only what was given and deleted again at the end is not known then,
 * and lags are not, until the groups have caught up.
 *
 * What cannot be read is deleted: a chunk, or the entry whose fields are gone. Groups are
 * mend_group.c's.
 */
#include "engine/queue/group.h"
#include "engine/queue/mend.h"
#include "engine/queue/mend_group.h"
#include "engine/queue/priority.h"

#include "engine/base/codec.h"

#include <string.h>

/* What is found while walking the chunks. */
struct survey {
    struct mend_object *o;
    struct stream now; /* what the header should say */
    struct stream was; /* and what it said */
    bool has_head;
    struct oxbow_id newest; /* deleted entries included */
    struct oxbow_id hole_low;
    struct oxbow_id hole_high;
    bool hole;
    uint64_t ruins;         /* entries whose fields are gone */
    struct oxbow_loss loss; /* as told; kind 0: nothing */
    bool tail_seen;
    bool ranked; /* an entry has a priority */
};

static void widen(struct survey *s, struct oxbow_id low, struct oxbow_id high)
{
    if (!s->hole || id_compare(low, s->hole_low) < 0) {
        s->hole_low = low;
    }
    if (!s->hole || id_compare(high, s->hole_high) > 0) {
        s->hole_high = high;
    }
    s->hole = true;
}

/* ---- entries ---- */

static enum oxbow_err fields_there(const struct survey *s, const struct chunk_walk *w,
                                   const struct stream_entry *e, bool *there)
{
    struct oxbow_txn *txn = s->o->txn;
    uint8_t key[KV_KEY_MAX];
    struct field_walk fields;
    struct oxbow_field field;
    struct oxbow_bytes body;
    enum oxbow_err err;

    *there = false;
    if ((e->flags & STREAM_ENTRY_OUTSIDE) != 0 && e->blob != 0) {
        return mend_blob_there(txn, e->blob, e->outside_len, there);
    }
    if ((e->flags & STREAM_ENTRY_OUTSIDE) != 0) {
        err = kv_get(txn, stream_id_key(key, &s->now, STREAM_KIND_BODY, e->id), &body);
        if (err == OXBOW_ENOENT || (err == OXBOW_OK && body.len != e->outside_len)) {
            err = OXBOW_ECORRUPT;
        }
        if (err == OXBOW_OK) {
            err = field_walk_plain(&fields, body);
        }
    } else {
        err = field_walk_init(&fields, w, e);
    }
    while (err == OXBOW_OK) {
        err = field_walk_next(&fields, &field);
    }
    *there = err == OXBOW_ENOENT;
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}

static void count_entry(struct survey *s, const struct stream_entry *e)
{
    s->now.length++;
    s->ranked = s->ranked || STREAM_ENTRY_PRIORITY(e->flags) > 0;
    s->now.bytes += e->next - e->pos;
    if ((e->flags & STREAM_ENTRY_OUTSIDE) != 0) {
        s->now.bytes += e->outside_len;
    }
    if (s->now.length == 1) {
        s->now.first = e->id;
    }
}

static struct oxbow_bytes chunk_key(uint8_t out[KV_KEY_MAX], const struct survey *s,
                                    struct oxbow_id base)
{
    return stream_id_key(out, &s->now, STREAM_KIND_CHUNK, base);
}

/* Marks an entry as deleted. */
static enum oxbow_err ruin(struct survey *s, struct oxbow_id base, const struct stream_entry *e)
{
    uint8_t flags = e->flags | STREAM_ENTRY_DELETED;
    uint8_t key[KV_KEY_MAX];

    widen(s, e->id, e->id);
    s->ruins++;
    return kv_patch(s->o->txn, chunk_key(key, s, base), e->pos, (struct oxbow_bytes){&flags, 1});
}

/* ---- chunks ---- */

/* Walks a chunk to its end without a change. OXBOW_ECORRUPT. */
static enum oxbow_err chunk_check(struct survey *s, struct oxbow_id base)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    struct chunk_walk w;
    struct stream_entry e;
    enum oxbow_err err = kv_get(s->o->txn, chunk_key(key, s, base), &value);

    if (err == OXBOW_OK) {
        err = chunk_walk_init(&w, value, base);
    }
    if (err == OXBOW_OK && s->now.chunks > 0 && id_compare(base, s->newest) <= 0) {
        err = OXBOW_ECORRUPT; /* begins within the one before it */
    }
    while (err == OXBOW_OK) {
        err = chunk_walk_next(&w, &e);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Counts a sound chunk's entries. Looks the chunk up again after each write. */
static enum oxbow_err chunk_count(struct survey *s, struct oxbow_id base)
{
    size_t pos = CHUNK_HEADER;

    for (;;) {
        uint8_t key[KV_KEY_MAX];
        struct oxbow_bytes value;
        struct chunk_walk w;
        struct stream_entry e;
        bool there = true;
        enum oxbow_err err = kv_get(s->o->txn, chunk_key(key, s, base), &value);

        if (err == OXBOW_OK) {
            err = chunk_walk_init(&w, value, base);
        }
        if (err == OXBOW_OK) {
            err = chunk_entry_at(&w, pos, &e);
        }
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
        s->newest = e.id;
        pos = e.next;
        if ((e.flags & STREAM_ENTRY_DELETED) != 0) {
            continue;
        }
        err = fields_there(s, &w, &e, &there);
        if (err == OXBOW_OK && there) {
            count_entry(s, &e);
        } else if (err == OXBOW_OK) {
            err = ruin(s, base, &e);
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
}

static enum oxbow_err chunk_survey(struct survey *s, struct oxbow_id base)
{
    uint64_t live = s->now.length;
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = chunk_check(s, base);

    if (err == OXBOW_ECORRUPT) {
        widen(s, base, base);
        return kv_del(s->o->txn, chunk_key(key, s, base));
    }
    if (err == OXBOW_OK) {
        err = chunk_count(s, base);
    }
    if (err == OXBOW_OK && s->now.length == live) {
        return kv_del(s->o->txn, chunk_key(key, s, base)); /* nothing in it lives any more */
    }
    s->now.chunks++;
    s->tail_seen = id_compare(base, s->was.tail) == 0;
    return err;
}

static enum oxbow_err chunks(struct survey *s)
{
    uint8_t want[KV_KEY_MAX];
    size_t len = chunk_key(want, s, OXBOW_ID_MIN).len;
    struct oxbow_id base = OXBOW_ID_MIN;

    for (;;) {
        struct oxbow_bytes key, value;
        struct kv_cursor c;
        enum oxbow_err err = kv_cursor_init(&c, s->o->txn);

        if (err != OXBOW_OK) {
            return err;
        }
        err = kv_cursor_seek(&c, chunk_key(want, s, base), &key, &value);
        if ((err == OXBOW_OK || err == OXBOW_ECORRUPT) &&
            (c.key_len != len || memcmp(c.key, want, len - ID_KEY_LEN) != 0)) {
            err = OXBOW_ENOENT;
        }
        if (err != OXBOW_ENOENT) {
            base = id_from_key(c.key + len - ID_KEY_LEN);
        }
        kv_cursor_fini(&c);
        if (err == OXBOW_OK || err == OXBOW_ECORRUPT) {
            err = chunk_survey(s, base);
        }
        if (err != OXBOW_OK || !id_next(&base)) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
    }
}

/* ---- what the salvage has lost of it ---- */

/* An id from a key that bounds what is lost: before all chunks, in one, or behind them. */
static struct oxbow_id bound_id(const struct survey *s, const uint8_t *bound, size_t len)
{
    uint8_t want[KV_KEY_MAX];
    uint8_t tail[ID_KEY_LEN];
    size_t prefix = chunk_key(want, s, OXBOW_ID_MIN).len - ID_KEY_LEN;
    size_t n = len < prefix ? len : prefix;
    int order = n == 0 ? -1 : memcmp(bound, want, n);

    if (order < 0 || (order == 0 && len < prefix)) {
        return OXBOW_ID_MIN;
    }
    if (order > 0) {
        return OXBOW_ID_MAX;
    }
    memset(tail, 0, sizeof tail);
    memcpy(tail, bound + prefix, len - prefix < sizeof tail ? len - prefix : sizeof tail);
    return id_from_key(tail);
}

static void holes(struct survey *s)
{
    const struct mend *m = s->o->mend;
    uint64_t i;

    for (i = 0; i < m->state.ranges; i++) {
        const struct salvage_range *r = &m->ranges[i];
        struct oxbow_id low = bound_id(s, r->low, r->low_len);
        struct oxbow_id high = r->high_len == 0 ? OXBOW_ID_MAX : bound_id(s, r->high, r->high_len);

        if (id_compare(low, high) <= 0 && id_compare(high, OXBOW_ID_MIN) > 0 &&
            id_compare(low, OXBOW_ID_MAX) < 0) {
            widen(s, low, high);
        }
    }
}

/* A hole that begins at a chunk's key may be that chunk's end, or all of it: the range is told up
 * to what is there on its other side. */
static enum oxbow_err hole_end(struct survey *s)
{
    uint8_t want[KV_KEY_MAX];
    struct oxbow_bytes key, value;
    struct kv_cursor c;
    size_t len = chunk_key(want, s, s->hole_high).len;
    enum oxbow_err err;

    struct oxbow_id end =
        s->has_head ? s->now.last : OXBOW_ID_MAX; /* who knows what was the last */

    if (id_compare(s->hole_high, s->now.last) >= 0) {
        s->hole_high = end;
        return OXBOW_OK;
    }
    err = kv_cursor_init(&c, s->o->txn);
    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek(&c, (struct oxbow_bytes){want, len}, &key, &value);
    if (err == OXBOW_OK && c.key_len == len && memcmp(c.key, want, len - ID_KEY_LEN) == 0) {
        struct oxbow_id base = id_from_key(c.key + len - ID_KEY_LEN);

        if (id_compare(base, s->hole_high) > 0) { /* else it is the lost entry's own chunk */
            s->hole_high = base;
            (void)id_prev(&s->hole_high);
        }
    } else {
        s->hole_high = end;
    }
    kv_cursor_fini(&c);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* ---- the whole ---- */

/* The header from what is known: its own fields as far as it is there. */
static void settle(struct survey *s)
{
    struct stream *now = &s->now;
    const struct stream *was = &s->was;

    now->last = s->has_head && id_compare(was->last, s->newest) > 0 ? was->last : s->newest;
    now->max_deleted = was->max_deleted;
    now->entries_added = was->entries_added;
    now->priorities = was->priorities || s->ranked;
    now->groups = was->groups;
    now->groups_dead = was->groups_dead;
    now->group_next = was->group_next;
    now->tail = s->tail_seen ? was->tail : OXBOW_ID_MIN;
    now->made = !s->has_head;
    if (!s->has_head) {
        now->entries_added = now->length;
        now->max_deleted = now->last;
    }
}

static enum oxbow_err tell(struct survey *s)
{
    struct oxbow_loss loss = {.kind = OXBOW_LOSS_ENTRIES, .entries = UINT64_MAX};
    enum oxbow_err err = OXBOW_OK;

    if (s->has_head) {
        loss.entries = s->was.length > s->now.length ? s->was.length - s->now.length : 0;
    }
    if (loss.entries == 0) {
        return OXBOW_OK;
    }
    holes(s);
    if (!s->hole) {
        widen(s, OXBOW_ID_MIN, OXBOW_ID_MAX);
    }
    err = hole_end(s);
    loss.first = s->hole_low;
    loss.last = s->hole_high;
    if (id_compare(s->now.max_deleted, s->now.last) < 0) {
        s->now.max_deleted = s->now.last; /* as if they had been deleted: lags are not known */
    }
    s->loss = loss;
    return err == OXBOW_OK ? mend_tell(s->o, loss) : err;
}

enum oxbow_err mend_stream(struct mend_object *o)
{
    struct survey s = {.o = o};
    bool changed;
    enum oxbow_err err = stream_load(o->txn, &o->object, &s.was);

    s.has_head = err == OXBOW_OK;
    s.now = (struct stream){.txn = o->txn, .object = o->object, .group_next = 1};
    if (err == OXBOW_ECORRUPT || err == OXBOW_OK) {
        err = chunks(&s);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    settle(&s);
    err = tell(&s);
    if (err == OXBOW_OK && s.now.priorities) {
        err = priority_mend(&s.now);
    }
    if (err == OXBOW_OK) {
        err = mend_groups(o, &s.now, &changed);
    }
    if (err == OXBOW_OK &&
        (changed || !s.has_head || s.now.length != s.was.length || s.now.bytes != s.was.bytes ||
         s.now.chunks != s.was.chunks || id_compare(s.now.first, s.was.first) != 0 ||
         id_compare(s.now.tail, s.was.tail) != 0 || id_compare(s.now.last, s.was.last) != 0)) {
        err = stream_save(&s.now);
    }
    return err == OXBOW_OK && s.loss.entries > 0 ? mend_forward_stream(o, &s.loss) : err;
}
