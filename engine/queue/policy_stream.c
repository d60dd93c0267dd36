/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of streams. An append asks for room first and is settled afterwards: what drops the oldest
 * is cut back to the limit then, exactly, so that an append is one transaction with its drops.
 *
 * 1. What a forward has not delivered stays, whatever the limit: a stream that drops the oldest then
 *    grows beyond it, one that refuses does not.
 * 2. Before an append is refused, what is delivered makes room: the consumers have had it.
 * 3. One append removes at most about STEP entries; after a limit was lowered the rest goes later,
 *    with the next appends or when the store has time (policy_sweep.c).
 */
#include "engine/queue/forward.h"
#include "engine/queue/group.h"
#include "engine/queue/policy_age.h"
#include "engine/queue/stream.h"

#include <string.h>

#define STEP        4096u
#define STEP_CHUNKS 64u

enum oxbow_err policy_stream_cut(struct stream *s, struct oxbow_bytes key,
                                 const struct policy_row *row, struct stream_cut *cut,
                                 enum oxbow_drop_cause cause)
{
    struct policy_drop drop = {.cause = cause, .from = s->first};
    uint64_t bytes = s->bytes;
    struct forward_edge edge;
    bool more;
    enum oxbow_err err = forward_edge(s->txn, key, &edge);

    if (err != OXBOW_OK) {
        return err;
    }
    if ((edge.on || edge.forced) && (!cut->has_edge || id_compare(edge.safe, cut->edge) < 0)) {
        cut->has_edge = true;
        cut->edge = edge.safe;
    }
    err = stream_cut(s, cut, &drop.entries, &more);
    if (err != OXBOW_OK || drop.entries == 0) {
        return err;
    }
    drop.to = s->cut_last;
    drop.bytes = bytes - s->bytes;
    if (edge.on || edge.forced) {
        err = forward_trimmed(s->txn, key, drop.to);
    }
    return err == OXBOW_OK ? policy_dropped(s->txn, row->id, &drop) : err;
}

/* Removes the oldest until the limits are kept with so much more in the stream. */
static enum oxbow_err cut_to(struct stream *s, struct oxbow_bytes key, const struct policy_row *row,
                             const struct policy_room *more, const struct oxbow_id *edge)
{
    const struct oxbow_policy *p = &row->policy;
    struct stream_cut cut = {.entries_max = STEP};
    enum oxbow_err err = OXBOW_OK;

    if (edge != NULL) {
        cut.has_edge = true;
        cut.edge = *edge;
    }
    if (p->max_entries > 0 && s->length + more->entries > p->max_entries) {
        cut.trim.by = OXBOW_TRIM_MAXLEN;
        cut.trim.maxlen = p->max_entries - more->entries;
        err = policy_stream_cut(s, key, row, &cut,
                                edge != NULL ? OXBOW_DROP_DELIVERED : OXBOW_DROP_LENGTH);
    }
    if (err == OXBOW_OK && p->max_bytes > 0 && s->bytes + more->bytes > p->max_bytes) {
        cut.trim.by = OXBOW_TRIM_NONE;
        cut.by_bytes = true;
        cut.bytes_max = p->max_bytes - more->bytes;
        err = policy_stream_cut(s, key, row, &cut,
                                edge != NULL ? OXBOW_DROP_DELIVERED : OXBOW_DROP_BYTES);
    }
    return err;
}

bool policy_fits(const struct oxbow_policy *p, uint64_t entries, uint64_t bytes)
{
    return (p->max_entries == 0 || entries <= p->max_entries) &&
           (p->max_bytes == 0 || bytes <= p->max_bytes);
}

/* ---- what is delivered ---- */

static enum oxbow_err lower_to_acked(void *ctx, struct group *g, struct oxbow_bytes name)
{
    struct policy_delivered *d = ctx;
    struct oxbow_id acked;
    enum oxbow_err err = group_acked(g, &acked);

    (void)name;
    if (err == OXBOW_OK) {
        d->id = !d->any || id_compare(acked, d->id) < 0 ? acked : d->id;
        d->any = true;
    }
    return err;
}

enum oxbow_err policy_delivered(struct stream *s, struct oxbow_bytes key,
                                struct policy_delivered *out)
{
    struct policy_delivered d = {.any = false};
    struct forward_edge edge;
    enum oxbow_err err = group_each(s, lower_to_acked, &d);

    if (err == OXBOW_OK) {
        err = forward_edge(s->txn, key, &edge);
    }
    if (err == OXBOW_OK && (edge.on || edge.forced)) {
        d.id = !d.any || id_compare(edge.safe, d.id) < 0 ? edge.safe : d.id;
        d.any = true;
    }
    if (err == OXBOW_OK) {
        *out = d;
    }
    return err;
}

/* ---- appends ---- */

/* What consumers and forwards are done with goes, as far as it is in the way. */
static enum oxbow_err make_room(struct stream *s, struct oxbow_bytes key,
                                const struct policy_row *row, const struct policy_room *more)
{
    uint64_t length = s->length;
    struct policy_delivered d;
    enum oxbow_err err = length > 0 ? policy_delivered(s, key, &d) : OXBOW_ENOENT;

    if (err == OXBOW_OK && d.any && id_compare(s->first, d.id) <= 0) {
        err = cut_to(s, key, row, more, &d.id);
        if (err == OXBOW_OK && s->length < length) {
            err = stream_save(s);
        }
        if (err != OXBOW_OK) {
            return txn_fail(s->txn, err);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err policy_stream_room(struct stream *s, struct oxbow_bytes key, struct policy_row *row,
                                  const struct policy_room *more)
{
    const struct oxbow_policy *p = &row->policy;
    enum oxbow_err err = OXBOW_OK;

    if (row->critical) {
        return OXBOW_ENOTSUP;
    }
    if (!policy_fits(p, more->entries, more->bytes)) {
        row->refused++;
        return OXBOW_ETOOBIG;
    }
    if (policy_fits(p, s->length + more->entries, s->bytes + more->bytes) ||
        p->on_full == OXBOW_POLICY_DROP_OLDEST) {
        return OXBOW_OK;
    }
    if (p->max_age_ms > 0) {
        uint64_t due;

        err = policy_stream_expire(s, key, row, &due);
    }
    if (err == OXBOW_OK && !policy_fits(p, s->length + more->entries, s->bytes + more->bytes)) {
        err = make_room(s, key, row, more);
    }
    if (err == OXBOW_OK && !policy_fits(p, s->length + more->entries, s->bytes + more->bytes)) {
        row->refused++;
        err = OXBOW_EFULL;
    }
    return err;
}

enum oxbow_err policy_stream_settle(struct stream *s, struct oxbow_bytes key,
                                    struct policy_row *row)
{
    static const struct policy_room nothing;
    enum oxbow_err err;

    if (row->policy.on_full != OXBOW_POLICY_DROP_OLDEST ||
        policy_fits(&row->policy, s->length, s->bytes)) {
        return OXBOW_OK;
    }
    err = cut_to(s, key, row, &nothing, NULL);
    row->settled = row->settled && policy_fits(&row->policy, s->length, s->bytes);
    return err;
}

enum oxbow_err policy_stream_shrink(struct stream *s, struct oxbow_bytes key,
                                    const struct policy_row *row, bool *over)
{
    static const struct policy_room nothing;
    uint64_t length = s->length;
    enum oxbow_err err = OXBOW_OK;

    if (!policy_fits(&row->policy, s->length, s->bytes)) {
        err = cut_to(s, key, row, &nothing, NULL);
    }
    if (err == OXBOW_OK && s->length < length) {
        err = stream_save(s);
    }
    *over = !policy_fits(&row->policy, s->length, s->bytes);
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(s->txn, err);
}

/* ---- age ---- */

/* The chunk keys of a stream, from the oldest live entry on. */
struct chunks {
    struct kv_cursor cursor;
    struct oxbow_bytes prefix;
    uint8_t key[KV_KEY_MAX];
};

/* The next chunk's head and first id. OXBOW_ENOENT: that was the last. */
static enum oxbow_err chunk_read(const struct chunks *c, enum oxbow_err err, struct oxbow_bytes key,
                                 struct oxbow_bytes value, struct chunk_head *head,
                                 struct oxbow_id *base)
{
    size_t at = c->prefix.len;

    if (err != OXBOW_OK) {
        return err;
    }
    if (key.len != at + ID_KEY_LEN || memcmp(key.data, c->prefix.data, at) != 0) {
        return OXBOW_ENOENT;
    }
    *base = id_from_key((const uint8_t *)key.data + at);
    return chunk_head_decode(value, head);
}

/* Finds up to where chunks are too old, at most so many; *below is the first id that is not. */
static enum oxbow_err too_old(struct stream *s, const struct policy_row *row,
                              struct oxbow_id *below, uint64_t *due_ms)
{
    struct chunks c = {.key = {0}};
    struct policy_span span;
    struct oxbow_bytes key, value;
    struct oxbow_id base;
    uint64_t now = txn_clock_ms(s->txn);
    enum oxbow_err err = kv_cursor_init(&c.cursor, s->txn);

    if (err != OXBOW_OK) {
        return err;
    }
    key = stream_id_key(c.key, s, STREAM_KIND_CHUNK, s->first);
    c.prefix = (struct oxbow_bytes){c.key, key.len - ID_KEY_LEN};
    err = kv_cursor_seek_back_in(&c.cursor, key, c.prefix.len, &key, &value);
    err = chunk_read(&c, err, key, value, &span.head, &base);
    err = err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    *due_ms = now;
    for (unsigned i = 0; err == OXBOW_OK && i < STEP_CHUNKS && *due_ms <= now; i++) {
        err = kv_cursor_next(&c.cursor, &key, &value);
        err = chunk_read(&c, err, key, value, &span.next, &base);
        span.has_next = err == OXBOW_OK;
        if (err == OXBOW_ENOENT) {
            base = s->last;
            err = id_next(&base) ? OXBOW_OK : OXBOW_ENOENT; /* the last id of all: never */
        }
        if (err == OXBOW_OK) {
            err = policy_span_due(s->txn, row, &span, due_ms);
        }
        if (err != OXBOW_OK || *due_ms > now) {
            break;
        }
        *below = base;
        span.head = span.next;
        if (!span.has_next) {
            *due_ms = now + row->policy.max_age_ms;
        }
    }
    kv_cursor_fini(&c.cursor);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err policy_stream_expire(struct stream *s, struct oxbow_bytes key,
                                    const struct policy_row *row, uint64_t *due_ms)
{
    struct stream_cut cut = {.trim = {.by = OXBOW_TRIM_MINID}, .entries_max = UINT64_MAX};
    struct oxbow_id below = OXBOW_ID_MIN;
    uint64_t length = s->length;
    enum oxbow_err err;

    *due_ms = txn_clock_ms(s->txn) + row->policy.max_age_ms;
    if (length == 0) {
        return OXBOW_OK;
    }
    err = policy_boot_note(s->txn);
    if (err == OXBOW_OK) {
        err = too_old(s, row, &below, due_ms);
    }
    if (err != OXBOW_OK || id_is_zero(below)) {
        return err;
    }
    cut.trim.minid = below;
    err = policy_stream_cut(s, key, row, &cut, OXBOW_DROP_AGE);
    if (err == OXBOW_OK && s->length < length) {
        err = stream_save(s);
    } else if (err == OXBOW_OK) {
        /* Held by a forward: it is looked at again when that has delivered something. */
        *due_ms = txn_clock_ms(s->txn) + policy_rotate_ms(&row->policy);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(s->txn, err);
}
