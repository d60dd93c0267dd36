/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guards that lists, streams and keys call. A store without forwards passes each in one
 * comparison; a key that no forward carries in one hash.
 *
 * The budget is kept by counting what is appended (here) and what is confirmed (forward_flow.c).
 * When it is used up and the forward drops, the oldest entries above `sent` go, and one growing gap
 * says which.
 */
#include "engine/queue/forward.h"

#include "engine/base/codec.h"
#include "engine/base/id.h"
#include "engine/queue/forward_gap.h"
#include "engine/queue/forward_walk.h"
#include "engine/queue/policy.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"

#include <string.h>

#define DROP_STEP  64u
#define DROP_STEPS 64u /* of them in one append: what is still too much goes with the next ones */

/* The record of the forward that carries `key`, into the table's `record`; *row NULL: none. */
static enum oxbow_err carried(struct oxbow_txn *txn, struct oxbow_bytes key,
                              struct forward_table **table, struct forward_row **row)
{
    struct forward_table *t;
    const struct oxbow_bytes *own;
    enum oxbow_err err = forward_table_get(txn, &t);

    if (err != OXBOW_OK) {
        return err;
    }
    *table = t;
    *row = t->lifted ? NULL : forward_row_keyed(t, txn, key);
    if (*row == NULL) {
        return OXBOW_OK;
    }
    err = forward_record_get(txn, (*row)->id, &t->record);
    own = &t->record.config.options.key;
    if (err == OXBOW_OK && (own->len != key.len || memcmp(own->data, key.data, key.len) != 0)) {
        *row = NULL;
    }
    return err;
}

enum oxbow_err forward_edge(struct oxbow_txn *txn, struct oxbow_bytes key,
                            struct forward_edge *edge)
{
    struct forward_table *t;
    struct forward_row *row;
    enum oxbow_err err = carried(txn, key, &t, &row);

    if (err == OXBOW_OK) {
        edge->on = row != NULL && !txn_forced(txn);
        edge->forced = row != NULL && txn_forced(txn);
        edge->trims = row != NULL && t->record.config.options.after == OXBOW_AFTER_TRIM;
        edge->confirmed = row != NULL ? t->record.confirmed : OXBOW_ID_MIN;
        edge->safe = edge->confirmed;
        if (row != NULL && id_compare(t->record.sent, edge->safe) < 0) {
            edge->safe = t->record.sent;
        }
    }
    return err;
}

enum oxbow_err forward_of(struct oxbow_txn *txn, struct oxbow_bytes key,
                          char name[OXBOW_FORWARD_NAME_MAX + 1])
{
    struct forward_table *t;
    struct forward_row *row;
    enum oxbow_err err = carried(txn, key, &t, &row);

    if (err == OXBOW_OK && row != NULL) {
        memcpy(name, row->name, sizeof row->name);
    } else if (err == OXBOW_OK) {
        name[0] = '\0';
    }
    return err;
}

enum oxbow_err forward_forbid(struct oxbow_txn *txn, struct oxbow_bytes key)
{
    struct forward_edge edge;
    enum oxbow_err err = forward_edge(txn, key, &edge);

    return err == OXBOW_OK && edge.on ? OXBOW_EPROTECTED : err;
}

enum oxbow_err forward_forbid_always(struct oxbow_txn *txn, struct oxbow_bytes key)
{
    struct forward_table *t;
    struct forward_row *row;
    enum oxbow_err err = carried(txn, key, &t, &row);

    return err == OXBOW_OK && row != NULL ? OXBOW_EPROTECTED : err;
}

enum oxbow_err forward_forbid_all(struct oxbow_txn *txn)
{
    struct forward_table *t;
    enum oxbow_err err = forward_table_get(txn, &t);

    if (err != OXBOW_OK) {
        return err;
    }
    for (size_t i = 0; i < t->count; i++) {
        if (t->rows[i].database == txn_database(txn)) {
            return OXBOW_EPROTECTED;
        }
    }
    return OXBOW_OK;
}

enum oxbow_err forward_forbid_group(struct oxbow_txn *txn, struct oxbow_bytes key,
                                    struct oxbow_bytes group)
{
    struct forward_table *t;
    struct forward_row *row;
    const struct oxbow_bytes *own;
    enum oxbow_err err = carried(txn, key, &t, &row);

    if (err != OXBOW_OK || row == NULL || txn_forced(txn)) {
        return err;
    }
    own = &t->record.config.options.group;
    return own->len == group.len && group.len > 0 && memcmp(own->data, group.data, group.len) == 0
               ? OXBOW_EPROTECTED
               : OXBOW_OK;
}

enum oxbow_err forward_floor(struct oxbow_txn *txn, struct oxbow_bytes key, struct oxbow_id *floor)
{
    struct forward_table *t;
    struct forward_row *row;
    enum oxbow_err err = carried(txn, key, &t, &row);
    struct oxbow_id top = OXBOW_ID_MIN;

    if (err != OXBOW_OK) {
        return err;
    }
    if (row != NULL && t->record.config.options.type == OXBOW_TYPE_STREAM) {
        const struct oxbow_id known[] = {t->record.sent, t->record.confirmed, t->record.last.to};

        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            top = id_compare(known[i], top) > 0 ? known[i] : top;
        }
    }
    *floor = top;
    return OXBOW_OK;
}

/* ---- budget ---- */

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Counts a drop and leaves its gap. */
static enum oxbow_err drop_noted(struct oxbow_txn *txn, struct forward_table *t,
                                 struct forward_record *r, const struct oxbow_gap *gap)
{
    struct policy_drop drop = {.cause = OXBOW_DROP_FORWARD,
                               .from = gap->from,
                               .to = gap->to,
                               .entries = gap->entries,
                               .bytes = gap->bytes,
                               .list = r->config.options.type == OXBOW_TYPE_LIST};
    struct policy_row *row;
    enum oxbow_err err = policy_row(txn, r->config.options.key, &row);

    if (err == OXBOW_OK && row != NULL) {
        err = policy_dropped(txn, row->id, &drop); /* readers here are told as well */
    }
    if (err != OXBOW_OK) {
        return err;
    }
    memset(t->memos, 0, sizeof t->memos); /* they count what is gone */
    r->dropped_entries += gap->entries;
    r->dropped_bytes += gap->bytes;
    r->backlog_entries = less(r->backlog_entries, gap->entries);
    r->backlog_bytes = less(r->backlog_bytes, gap->bytes);
    return forward_gap_add(txn, r, gap, true);
}

/* Drops unsent entries of a stream, oldest first, until `excess` bytes are gone or a step is full. */
static enum oxbow_err drop_entries(struct oxbow_txn *txn, struct forward_table *t,
                                   struct forward_record *r, uint64_t excess)
{
    struct oxbow_stream_range range = {.expired = true, .to = OXBOW_ID_MAX, .count = DROP_STEP};
    struct oxbow_gap gap = {.cause = OXBOW_GAP_BUDGET};
    struct oxbow_id ids[DROP_STEP];
    uint64_t removed;
    size_t n = 0;
    enum oxbow_err err;

    range.from = id_compare(r->sent, r->confirmed) > 0 ? r->sent : r->confirmed;
    if (!id_next(&range.from)) {
        return OXBOW_OK;
    }
    err = oxbow_stream_range(txn, r->config.options.key, &range, &t->scratch);
    if (err != OXBOW_OK) {
        return err;
    }
    for (; n < t->scratch.entry_count && gap.bytes < excess; n++) {
        ids[n] = t->scratch.entries[n].id;
        gap.bytes += forward_entry_bytes(&t->scratch.entries[n]);
    }
    if (n == 0) {
        return OXBOW_OK;
    }
    gap.from = ids[0];
    gap.to = ids[n - 1];
    gap.entries = n;
    err = oxbow_stream_delete(txn, r->config.options.key, ids, n, &removed);
    return err == OXBOW_OK ? drop_noted(txn, t, r, &gap) : err;
}

/* The same at a list's head. What was sent but not confirmed stands there: then nothing goes. */
static enum oxbow_err drop_items(struct oxbow_txn *txn, struct forward_table *t,
                                 struct forward_record *r, uint64_t excess)
{
    struct oxbow_gap gap = {.cause = OXBOW_GAP_BUDGET};
    size_t n = 0;
    enum oxbow_err err;

    if (r->sent.seq > r->head) {
        return OXBOW_OK;
    }
    err = oxbow_list_range(txn, r->config.options.key, 0, DROP_STEP - 1, &t->scratch);
    if (err != OXBOW_OK) {
        return err;
    }
    while (n < t->scratch.item_count && gap.bytes < excess) {
        gap.bytes += t->scratch.items[n++].len;
    }
    if (n == 0) {
        return OXBOW_OK;
    }
    gap.from = (struct oxbow_id){r->config.epoch, r->head + 1};
    gap.to = (struct oxbow_id){r->config.epoch, r->head + n};
    gap.entries = n;
    err = oxbow_list_trim(txn, r->config.options.key, (int64_t)n, -1);
    r->head += n;
    r->trimmed = gap.to;
    return err == OXBOW_OK ? drop_noted(txn, t, r, &gap) : err;
}

static enum oxbow_err make_room(struct oxbow_txn *txn, struct forward_table *t,
                                struct forward_row *row, uint64_t bytes)
{
    struct forward_record *r = &t->record;
    const struct oxbow_forward_options *o = &r->config.options;
    bool drops = o->on_full == OXBOW_FULL_DROP_OLDEST && bytes <= o->max_bytes;
    bool fits = false;
    unsigned step = 0;
    enum oxbow_err err = OXBOW_OK;

    for (; drops && !fits && step < DROP_STEPS; step++) {
        uint64_t before = r->dropped_entries;
        uint64_t excess = r->backlog_bytes + bytes - o->max_bytes;

        t->lifted = true;
        err = o->type == OXBOW_TYPE_LIST ? drop_items(txn, t, r, excess)
                                         : drop_entries(txn, t, r, excess);
        t->lifted = false;
        if (err != OXBOW_OK) {
            return txn_fail(txn, err);
        }
        if (r->dropped_entries == before) {
            break;
        }
        fits = r->backlog_bytes + bytes <= o->max_bytes;
    }
    if (step > 0) { /* what was dropped stays dropped, also when it was not enough */
        err = forward_record_put(txn, r);
    }
    if (err == OXBOW_OK && !fits && step < DROP_STEPS) {
        row->refused++;
        return OXBOW_EBUDGET;
    }
    return err;
}

static enum oxbow_err room_for(struct oxbow_txn *txn, struct forward_table *t,
                               struct forward_row *row, uint64_t bytes)
{
    return t->record.config.options.max_bytes > 0 &&
                   t->record.backlog_bytes + bytes > t->record.config.options.max_bytes
               ? make_room(txn, t, row, bytes)
               : OXBOW_OK;
}

enum oxbow_err forward_room(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t bytes)
{
    struct forward_table *t;
    struct forward_row *row;
    enum oxbow_err err = carried(txn, key, &t, &row);

    return err != OXBOW_OK || row == NULL ? err : room_for(txn, t, row, bytes);
}

enum oxbow_err forward_admit(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t bytes,
                             uint64_t entries)
{
    uint8_t name[FORWARD_KEY_MAX];
    uint8_t backlog[16];
    struct forward_table *t;
    struct forward_row *row;
    enum oxbow_err err = carried(txn, key, &t, &row);

    if (err != OXBOW_OK || row == NULL) {
        return err;
    }
    err = room_for(txn, t, row, bytes);
    if (err != OXBOW_OK) {
        return err;
    }
    put_le64(backlog, t->record.backlog_entries + entries);
    put_le64(backlog + 8, t->record.backlog_bytes + bytes);
    return kv_patch(txn, (struct oxbow_bytes){name, forward_record_key(name, row->id)},
                    RECORD_AT_BACKLOG, (struct oxbow_bytes){backlog, sizeof backlog});
}

enum oxbow_err forward_trimmed(struct oxbow_txn *txn, struct oxbow_bytes key, struct oxbow_id to)
{
    struct forward_table *t;
    struct forward_row *row;
    struct forward_record *r;
    enum oxbow_err err = carried(txn, key, &t, &row);

    if (err != OXBOW_OK || row == NULL) {
        return err;
    }
    r = &t->record;
    if (id_compare(to, r->trimmed) <= 0) {
        return OXBOW_OK;
    }
    r->trimmed = to;
    return forward_record_put(txn, r);
}

enum oxbow_err forward_lost(struct oxbow_txn *txn, struct oxbow_bytes key, struct oxbow_id from,
                            struct oxbow_id to, uint64_t entries, uint64_t bytes)
{
    struct oxbow_gap gap = {from, to, entries, bytes, OXBOW_GAP_FORCED};
    bool backlog = true;
    struct forward_table *t;
    struct forward_row *row;
    struct forward_record *r;
    enum oxbow_err err = carried(txn, key, &t, &row);

    if (err != OXBOW_OK || row == NULL) {
        return err;
    }
    r = &t->record;
    memset(t->memos, 0, sizeof t->memos);
    if (r->config.options.type == OXBOW_TYPE_LIST) {
        gap.from = (struct oxbow_id){r->config.epoch, r->head + 1};
        gap.to = (struct oxbow_id){r->config.epoch, r->head + entries};
        r->head += entries;
        r->trimmed = gap.to;
    }
    if (id_compare(gap.to, r->confirmed) <= 0) {
        backlog = false;
        if (id_compare(gap.to, r->sent) <= 0) {
            return r->config.options.type == OXBOW_TYPE_LIST ? forward_record_put(txn, r)
                                                             : OXBOW_OK;
        }
    }
    if (entries == UINT64_MAX) {
        gap.from = r->confirmed;
        gap.entries = r->backlog_entries;
        gap.bytes = r->backlog_bytes;
        (void)id_next(&gap.from); /* gap.to is greater */
    }
    if (backlog) {
        r->backlog_entries = less(r->backlog_entries, gap.entries);
        r->backlog_bytes = less(r->backlog_bytes, gap.bytes);
    }
    err = forward_gap_add(txn, r, &gap, false);
    if (err == OXBOW_OK) {
        err = forward_gap_cut(txn, r, r->sent);
    }
    return err == OXBOW_OK ? forward_record_put(txn, r) : err;
}
