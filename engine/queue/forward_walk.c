/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads streams and lists for forwards. Sums come from the memos of earlier fetches where these
 * join up, and from reading the entries again in bounded pieces where they do not.
 */
#include "engine/queue/forward_walk.h"

#include "engine/base/id.h"
#include "engine/queue/stream.h"
#include "oxbow/group.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"

#define SPAN_STEP 512u

enum oxbow_err forward_walk_end(struct oxbow_txn *txn, const struct forward_record *r,
                                struct oxbow_id *end)
{
    struct oxbow_stream_info info = {.length = 0};
    uint64_t len = 0;
    enum oxbow_err err;

    if (r->config.options.type == OXBOW_TYPE_LIST) {
        err = oxbow_list_len(txn, r->config.options.key, &len);
        *end = (struct oxbow_id){r->config.epoch, r->head + len};
        return err;
    }
    err = oxbow_stream_info(txn, r->config.options.key, &info);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    *end = err == OXBOW_OK ? info.last_id : OXBOW_ID_MIN;
    return OXBOW_OK;
}

enum oxbow_err forward_walk_selectable(struct oxbow_txn *txn, const struct forward_record *r,
                                       struct oxbow_id end, struct oxbow_acked_prefix *blocked,
                                       struct oxbow_id *out)
{
    const struct oxbow_group group = {r->config.options.key, r->config.options.group};
    struct oxbow_acked_prefix prefix = {.blocked = false};
    enum oxbow_err err;

    if (r->config.options.select != OXBOW_SELECT_ACKED) {
        *out = end;
        return OXBOW_OK;
    }
    err = oxbow_group_acked_prefix(txn, group, &prefix);
    if (err == OXBOW_ENOENT || err == OXBOW_ENOGROUP) {
        *out = r->sent; /* no such group yet: nothing may go */
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *out = id_compare(prefix.id, end) < 0 ? prefix.id : end;
    /* A prefix that went back does not take back what was sent. */
    *out = id_compare(*out, r->sent) < 0 ? r->sent : *out;
    if (blocked != NULL) {
        *blocked = prefix;
    }
    return OXBOW_OK;
}

uint64_t forward_entry_bytes(const struct oxbow_entry *e)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < e->field_count; i++) {
        bytes += e->fields[i].name.len + e->fields[i].value.len;
    }
    return bytes;
}

static enum oxbow_err stream_span(struct oxbow_txn *txn, struct forward_table *t,
                                  const struct forward_record *r, struct oxbow_stream_range range,
                                  const struct forward_span *sum)
{
    range.count = SPAN_STEP;
    while (id_compare(range.from, range.to) <= 0) {
        enum oxbow_err err = oxbow_stream_range(txn, r->config.options.key, &range, &t->scratch);

        if (err != OXBOW_OK) {
            return err;
        }
        for (size_t i = 0; i < t->scratch.entry_count; i++) {
            *sum->bytes += forward_entry_bytes(&t->scratch.entries[i]);
        }
        *sum->entries += t->scratch.entry_count;
        if (t->scratch.entry_count < SPAN_STEP) {
            break;
        }
        range.from = t->scratch.entries[t->scratch.entry_count - 1].id;
        if (!id_next(&range.from)) {
            break;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err list_span(struct oxbow_txn *txn, struct forward_table *t,
                                const struct forward_record *r, uint64_t from, uint64_t to,
                                const struct forward_span *sum)
{
    while (from < to) {
        uint64_t step = to - from < SPAN_STEP ? to - from : SPAN_STEP;
        enum oxbow_err err = oxbow_list_range(txn, r->config.options.key, (int64_t)from,
                                              (int64_t)(from + step - 1), &t->scratch);

        if (err != OXBOW_OK) {
            return err;
        }
        for (size_t i = 0; i < t->scratch.item_count; i++) {
            *sum->bytes += t->scratch.items[i].len;
        }
        *sum->entries += t->scratch.item_count;
        if (t->scratch.item_count < step) {
            break;
        }
        from += step;
    }
    return OXBOW_OK;
}

/* Follows fetches that join up from `after` on; returns how far they reach, at most `to`. */
static struct oxbow_id follow_memos(const struct forward_table *t, uint32_t id,
                                    struct oxbow_id after, struct oxbow_id to,
                                    const struct forward_span *sum)
{
    for (size_t step = 0; step < FORWARD_MEMOS; step++) {
        const struct forward_memo *found = NULL;

        for (size_t i = 0; i < FORWARD_MEMOS && found == NULL; i++) {
            const struct forward_memo *m = &t->memos[i];

            if (m->id == id && id_compare(m->after, after) == 0 && id_compare(m->last, to) <= 0 &&
                id_compare(m->last, after) > 0) {
                found = m;
            }
        }
        if (found == NULL) {
            break;
        }
        *sum->entries += found->entries;
        *sum->bytes += found->bytes;
        after = found->last;
    }
    return after;
}

enum oxbow_err forward_walk_span(struct oxbow_txn *txn, struct forward_table *t,
                                 const struct forward_record *r, struct oxbow_id after,
                                 struct oxbow_id to, const struct forward_span *sum)
{
    struct oxbow_stream_range range = {.expired = true, .to = to};

    if (r->config.id != 0) {
        after = follow_memos(t, r->config.id, after, to, sum);
    }
    if (id_compare(after, to) >= 0) {
        return OXBOW_OK;
    }
    if (r->config.options.type == OXBOW_TYPE_LIST) {
        uint64_t from = after.seq > r->head ? after.seq - r->head : 0;
        uint64_t end = to.seq == UINT64_MAX ? (uint64_t)INT64_MAX
                       : to.seq > r->head   ? to.seq - r->head
                                            : 0;

        return list_span(txn, t, r, from, end, sum);
    }
    range.from = after;
    if (!id_is_zero(after) && !id_next(&range.from)) {
        return OXBOW_OK;
    }
    return stream_span(txn, t, r, range, sum);
}

enum oxbow_err forward_walk_items(struct oxbow_txn *txn, const struct forward_record *r,
                                  const struct oxbow_forward_fetch *want,
                                  struct oxbow_result *result)
{
    uint64_t skip = want->after.seq > r->head ? want->after.seq - r->head : 0;
    struct oxbow_list_info info;
    uint64_t count = want->count;
    uint64_t bytes = 0;
    size_t keep = 0;
    enum oxbow_err err;

    if (skip == 0) {
        return oxbow_list_peek(txn, r->config.options.key, OXBOW_LEFT, want->count, want->bytes,
                               result);
    }
    err = oxbow_list_info(txn, r->config.options.key, &info);
    if (err == OXBOW_OK && info.length > 0 && info.bytes / info.length > 0) {
        /* Guess how many fit by the mean, so that a few large ones are not read in vain. */
        uint64_t fit = want->bytes / (info.bytes / info.length) + 1;

        count = fit < count ? fit : count;
    }
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    err = oxbow_list_range(txn, r->config.options.key, (int64_t)skip, (int64_t)(skip + count - 1),
                           result);
    if (err != OXBOW_OK) {
        return err;
    }
    while (keep < result->item_count && (keep == 0 || bytes < want->bytes)) {
        bytes += result->items[keep++].len;
    }
    result->item_count = keep;
    return OXBOW_OK;
}

enum oxbow_err forward_raise(struct oxbow_txn *txn, struct forward_table *t, struct oxbow_bytes key,
                             struct oxbow_id last)
{
    const struct oxbow_stream_set_id_options to = {.last_id = last};
    struct stream s;
    enum oxbow_err err = stream_open(txn, key, &s);

    if (err == OXBOW_OK && s.made) {
        err = stream_save(&s);
    }
    if (err == OXBOW_OK) {
        t->lifted = true;
        err = oxbow_stream_set_id(txn, key, &to);
        t->lifted = false;
    }
    return err;
}
