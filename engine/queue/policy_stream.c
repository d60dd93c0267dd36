/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of streams. An append asks for room first and is settled afterwards: what drops the oldest
 * is cut back to the limit then, exactly, so that an append is one transaction with its drops.
 *
 * 1. What a forward has not delivered stays, whatever the limit: a stream that drops the oldest then
 *    grows beyond it, one that refuses does not.
 * 2. Before an append is refused, what is delivered makes room: the consumers have had it.
 * 3. One append removes at most about STEP entries; after a limit was lowered the rest goes later.
 */
#include "engine/queue/forward.h"
#include "engine/queue/group.h"
#include "engine/queue/policy.h"
#include "engine/queue/stream.h"

#define STEP 4096u

/* Removes what `cut` wants, short of what forwards protect, and counts it. Does not save. */
static enum oxbow_err cut_counted(struct stream *s, struct oxbow_bytes key,
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
        err =
            cut_counted(s, key, row, &cut, edge != NULL ? OXBOW_DROP_DELIVERED : OXBOW_DROP_LENGTH);
    }
    if (err == OXBOW_OK && p->max_bytes > 0 && s->bytes + more->bytes > p->max_bytes) {
        cut.trim.by = OXBOW_TRIM_NONE;
        cut.by_bytes = true;
        cut.bytes_max = p->max_bytes - more->bytes;
        err =
            cut_counted(s, key, row, &cut, edge != NULL ? OXBOW_DROP_DELIVERED : OXBOW_DROP_BYTES);
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
    err = make_room(s, key, row, more);
    if (err == OXBOW_OK && !policy_fits(p, s->length + more->entries, s->bytes + more->bytes)) {
        row->refused++;
        err = OXBOW_EFULL;
    }
    return err;
}

enum oxbow_err policy_stream_settle(struct stream *s, struct oxbow_bytes key,
                                    const struct policy_row *row)
{
    static const struct policy_room nothing;

    if (row->policy.on_full != OXBOW_POLICY_DROP_OLDEST ||
        policy_fits(&row->policy, s->length, s->bytes)) {
        return OXBOW_OK;
    }
    return cut_to(s, key, row, &nothing, NULL);
}
