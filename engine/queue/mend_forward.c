/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwards and the identity after a salvage. A record that is lost is made anew from its copy, without
 * its positions: a stream's forward learns from the target how far it was, a list's cannot, since
 * positions of elements are counted. What a queue has lost that the target may not have yet becomes a
 * gap where the queue is a stream; in a list all that comes behind has moved up, so its forward gets
 * another epoch, takes the target's position for a stranger's, and stops.
 *
 * Invariants: (1) trimmed <= confirmed <= sent <= the queue's end, as oxbow/forward.h says. (2) A gap
 * holds no entry that is there. (3) Each forward is one transaction, and may be done again.
 */
#include "engine/queue/mend.h"

#include "engine/base/codec.h"
#include "engine/base/id.h"
#include "engine/queue/forward_gap.h"
#include "engine/queue/forward_walk.h"
#include "engine/queue/identity.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"

#include <string.h>

#define ASKED_IDS 4096u               /* above that many, how many are lost is not known */
#define EPOCH_MAX ((uint64_t)1 << 53) /* what the target's scripts can count */

static struct oxbow_id greater(struct oxbow_id a, struct oxbow_id b)
{
    return id_compare(a, b) > 0 ? a : b;
}

/* ---- telling ---- */

static enum oxbow_err tell(struct oxbow_txn *txn, const struct forward_record *r,
                           enum oxbow_loss_forward what, uint64_t entries)
{
    const struct oxbow_log *log = &txn_port(txn)->log;
    struct oxbow_loss loss = {
        .kind = OXBOW_LOSS_FORWARD, .object = (uint64_t)what, .entries = entries};
    char line[512];
    size_t n = sizeof "store: " - 1;

    if (r != NULL) {
        loss.database = r->config.database;
        loss.type = r->config.options.type;
        loss.key = r->config.options.key;
        loss.group = (struct oxbow_bytes){r->config.name, strlen(r->config.name)};
    }
    memcpy(line, "store: ", n);
    (void)oxbow_loss_text(&loss, line + n, sizeof line - n);
    log->line(log->ctx, OXBOW_LOG_ERROR, line);
    return loss_add(txn, &loss);
}

/* Positions begin anew, and none that the target has is one of them. */
static enum oxbow_err forget_positions(struct oxbow_txn *txn, struct forward_record *r)
{
    const struct oxbow_id start = {r->config.epoch % (EPOCH_MAX - 1) + 1, 0};
    bool more = true;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && more) {
        err = forward_gap_drop(txn, r->config.id, OXBOW_ID_MAX, &more);
    }
    r->config.epoch = start.ms;
    r->trimmed = r->confirmed = r->sent = start;
    r->head = 0;
    return err;
}

/* ---- what queues have lost ---- */

/* The forward of an object's key, in the table's `work`; NULL: there is none. */
static enum oxbow_err carrying(struct mend_object *o, struct forward_record **out)
{
    struct forward_table *t;
    const struct forward_row *row;
    const struct oxbow_bytes *key;
    enum oxbow_err err = forward_table_get(o->txn, &t);

    *out = NULL;
    if (err != OXBOW_OK) {
        return err;
    }
    row = forward_row_keyed(t, o->txn, o->name);
    if (row == NULL) {
        return OXBOW_OK;
    }
    err = forward_record_get(o->txn, row->id, &t->work);
    key = &t->work.config.options.key;
    if (err == OXBOW_OK && t->work.config.options.type == o->object.type &&
        key->len == o->name.len && memcmp(key->data, o->name.data, key->len) == 0) {
        *out = &t->work;
    }
    return err;
}

/* The gap's beginning moves behind the last entry that is there. */
static enum oxbow_err behind_entries(struct oxbow_txn *txn, struct forward_table *t,
                                     const struct forward_record *r, struct oxbow_gap *gap)
{
    const struct oxbow_stream_range range = {
        .from = gap->from, .to = gap->to, .count = 1, .reverse = true};
    enum oxbow_err err = oxbow_stream_range(txn, r->config.options.key, &range, &t->scratch);

    if (err == OXBOW_OK && t->scratch.entry_count > 0) {
        gap->from = t->scratch.entries[0].id;
        if (!id_next(&gap->from)) {
            gap->from = OXBOW_ID_MAX;
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err leave_gap(struct oxbow_txn *txn, struct forward_record *r,
                                const struct oxbow_gap *gap)
{
    enum oxbow_err err = forward_gap_add(txn, r, gap, false);

    return err == OXBOW_OK ? forward_gap_cut(txn, r, r->sent) : err;
}

enum oxbow_err mend_forward_stream(struct mend_object *o, const struct oxbow_loss *loss)
{
    struct oxbow_gap gap = {.from = loss->first,
                            .to = loss->last,
                            .entries = loss->entries,
                            .bytes = UINT64_MAX,
                            .cause = OXBOW_GAP_DAMAGED};
    struct oxbow_id above, end;
    struct forward_record *r;
    struct forward_table *t;
    enum oxbow_err err = carrying(o, &r);

    if (err != OXBOW_OK || r == NULL) {
        return err;
    }
    above = r->confirmed;
    end = greater(r->sent, r->confirmed);
    if (!id_next(&above) || !id_next(&end)) {
        return OXBOW_OK; /* there can be nothing behind */
    }
    if (id_compare(gap.from, above) < 0) {
        gap.from = above;
        gap.entries = UINT64_MAX; /* some of them may be at the target */
    }
    err = forward_table_get(o->txn, &t);
    if (err == OXBOW_OK) {
        err = forward_walk_end(o->txn, r, &above);
    }
    end = greater(end, above);
    gap.to = id_compare(gap.to, end) > 0 ? end : gap.to;
    if (err == OXBOW_OK && id_compare(gap.from, gap.to) <= 0) {
        err = behind_entries(o->txn, t, r, &gap);
    }
    if (err == OXBOW_OK && id_compare(gap.from, gap.to) <= 0) {
        err = leave_gap(o->txn, r, &gap);
        if (err == OXBOW_OK) {
            err = forward_record_put(o->txn, r);
        }
    }
    return err;
}

enum oxbow_err mend_forward_list(struct mend_object *o)
{
    struct forward_record *r;
    enum oxbow_err err = carrying(o, &r);

    if (err != OXBOW_OK || r == NULL) {
        return err;
    }
    err = forget_positions(o->txn, r);
    if (err == OXBOW_OK) {
        err = forward_record_put(o->txn, r);
    }
    return err == OXBOW_OK ? tell(o->txn, r, OXBOW_LOSS_FORWARD_LIST, 0) : err;
}

/* ---- agreeing with the queue ---- */

/* A stream of which not even the name is left: what was not confirmed is a gap. */
static enum oxbow_err stream_gone(struct oxbow_txn *txn, struct forward_record *r)
{
    struct oxbow_gap gap = {.from = r->confirmed,
                            .to = greater(r->sent, r->confirmed),
                            .entries = r->backlog_entries,
                            .bytes = r->backlog_bytes,
                            .cause = OXBOW_GAP_DAMAGED};

    if (r->backlog_entries == 0 || !id_next(&gap.from) || !id_next(&gap.to)) {
        return OXBOW_OK;
    }
    return leave_gap(txn, r, &gap);
}

/* New ids stay above what the target has or was told of. */
static enum oxbow_err raise_end(struct oxbow_txn *txn, const struct forward_record *r)
{
    struct oxbow_stream_set_id_options opt = {.last_id = greater(r->sent, r->confirmed)};
    struct oxbow_stream_info info;
    enum oxbow_err err = oxbow_stream_info(txn, r->config.options.key, &info);

    opt.last_id = greater(opt.last_id, r->last.to);
    if (err != OXBOW_OK || id_compare(opt.last_id, info.last_id) <= 0) {
        return err;
    }
    return oxbow_stream_set_id(txn, r->config.options.key, &opt);
}

static enum oxbow_err recount(struct oxbow_txn *txn, struct forward_table *t,
                              struct forward_record *r)
{
    uint64_t held = 0;
    enum oxbow_err err;

    memset(t->memos, 0, sizeof t->memos);
    r->backlog_entries = r->backlog_bytes = r->held_bytes = 0;
    if (r->config.options.type == OXBOW_TYPE_STREAM && !id_is_zero(r->confirmed)) {
        err = forward_walk_span(txn, t, r, OXBOW_ID_MIN, r->confirmed,
                                &(struct forward_span){&held, &r->held_bytes});
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return forward_walk_span(txn, t, r, r->confirmed, OXBOW_ID_MAX,
                             &(struct forward_span){&r->backlog_entries, &r->backlog_bytes});
}

static enum oxbow_err agree(struct oxbow_txn *txn, struct forward_table *t,
                            struct forward_record *r)
{
    bool list = r->config.options.type == OXBOW_TYPE_LIST;
    enum oxbow_type type;
    enum oxbow_err err = oxbow_key_type(txn, r->config.options.key, &type);

    if (err != OXBOW_OK || (type != OXBOW_TYPE_NONE && type != r->config.options.type)) {
        return err;
    }
    if (type == OXBOW_TYPE_NONE && list && r->backlog_entries > 0) {
        err = forget_positions(txn, r);
        if (err == OXBOW_OK) {
            err = tell(txn, r, OXBOW_LOSS_FORWARD_LIST, 0);
        }
    } else if (type == OXBOW_TYPE_NONE && !list) {
        err = stream_gone(txn, r);
    } else if (!list) {
        err = raise_end(txn, r);
    }
    return err == OXBOW_OK ? recount(txn, t, r) : err;
}

/* ---- records ---- */

/* Whether gaps of the forward may have been lost. */
static bool gaps_lost(const struct mend *m, const struct forward_record *r)
{
    uint8_t low[FORWARD_KEY_MAX];
    uint8_t high[FORWARD_KEY_MAX];
    size_t len = forward_record_key(low, r->config.id);

    (void)forward_record_key(high, r->config.id + 1);
    low[1] = high[1] = 'g';
    return r->gaps > 0 &&
           mend_may_be_lost(m, (struct oxbow_bytes){low, len}, (struct oxbow_bytes){high, len});
}

/* What came before the first entry may be at the target, or lost: its own position says which. */
static enum oxbow_err gap_before(struct oxbow_txn *txn, struct forward_record *r)
{
    struct oxbow_gap gap = {
        .from = {0, 1}, .entries = UINT64_MAX, .bytes = UINT64_MAX, .cause = OXBOW_GAP_DAMAGED};
    struct oxbow_stream_info info;
    enum oxbow_err err = oxbow_stream_info(txn, r->config.options.key, &info);

    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    gap.to = info.length > 0 ? info.recorded_first_id : info.last_id;
    if (info.length > 0 && !id_prev(&gap.to)) {
        return OXBOW_OK;
    }
    return id_compare(gap.from, gap.to) <= 0 ? leave_gap(txn, r, &gap) : OXBOW_OK;
}

/* Makes the record anew; without positions. */
static enum oxbow_err restore(struct oxbow_txn *txn, uint32_t id, struct forward_record *r)
{
    bool list;
    enum oxbow_err err = forward_copy_get(txn, id, r);

    if (err != OXBOW_OK) {
        return err;
    }
    list = r->config.options.type == OXBOW_TYPE_LIST;
    err = oxbow_txn_select(txn, r->config.database);
    if (err == OXBOW_OK) {
        err = list ? forget_positions(txn, r) : gap_before(txn, r);
    }
    if (err == OXBOW_OK) {
        err = tell(txn, r, OXBOW_LOSS_FORWARD_RECORD, 1);
    }
    return err == OXBOW_OK && list ? tell(txn, r, OXBOW_LOSS_FORWARD_LIST, 0) : err;
}

/* Whether damage may have taken the record. If not, a version that knows of no copies has removed the
 * forward, and left the copy behind. */
static bool record_lost(const struct mend *m, uint32_t id)
{
    uint8_t low[FORWARD_KEY_MAX];
    uint8_t high[FORWARD_KEY_MAX];
    size_t len = forward_record_key(low, id);

    (void)forward_record_key(high, id);
    high[len] = 0;
    return mend_may_be_lost(m, (struct oxbow_bytes){low, len}, (struct oxbow_bytes){high, len + 1});
}

/* One forward: from its record, or from the copy of it. */
static enum oxbow_err mend_one(const struct mend *m, struct oxbow_txn *txn, uint32_t id)
{
    struct forward_table *t;
    struct forward_record *r;
    enum oxbow_err err = forward_table_get(txn, &t);

    if (err != OXBOW_OK) {
        return err;
    }
    r = &t->work;
    err = forward_record_get(txn, id, r);
    if (err == OXBOW_ENOENT && !record_lost(m, id)) {
        return forward_copy_del(txn, id);
    }
    if (err == OXBOW_ENOENT) {
        err = restore(txn, id, r);
    }
    if (err == OXBOW_OK) {
        err = oxbow_txn_select(txn, r->config.database);
    }
    if (err == OXBOW_OK && gaps_lost(m, r)) {
        err = tell(txn, r, OXBOW_LOSS_FORWARD_GAPS, UINT64_MAX);
    }
    if (err == OXBOW_OK) {
        err = agree(txn, t, r);
    }
    if (err == OXBOW_OK) {
        err = forward_record_put(txn, r);
    }
    if (err == OXBOW_OK) {
        err = forward_copy_put(txn, r);
    }
    forward_table_forget(t);
    return err;
}

/* ---- the whole ---- */

static struct oxbow_bytes key_of(uint8_t out[6], uint8_t space, uint8_t kind, uint32_t id)
{
    out[0] = space;
    out[1] = kind;
    put_be32(out + 2, id);
    return (struct oxbow_bytes){out, 6};
}

/* Whether a record of these ids may be lost, [from, to), and its copy as well. */
static bool both_lost(const struct mend *m, uint32_t from, uint32_t to)
{
    uint8_t low[6];
    uint8_t high[6];

    return mend_may_be_lost(m, key_of(low, KV_SPACE_FORWARD, 'f', from),
                            key_of(high, KV_SPACE_FORWARD, 'f', to)) &&
           mend_may_be_lost(m, key_of(low, KV_SPACE_STORE, 'F', from),
                            key_of(high, KV_SPACE_STORE, 'F', to));
}

static bool lost(const struct mend *m, uint8_t space, uint8_t kind)
{
    const uint8_t low[] = {space, kind};
    const uint8_t high[] = {space, kind, 0};

    return mend_may_be_lost(m, (struct oxbow_bytes){low, 2}, (struct oxbow_bytes){high, 3});
}

/* How many forwards may be lost of which neither record nor copy is there. */
static enum oxbow_err count_unknown(const struct mend *m, struct oxbow_txn *txn, uint32_t newest,
                                    uint64_t *count)
{
    uint32_t id;

    *count = 0;
    for (id = 1; id <= newest; id++) {
        uint32_t next = id;
        enum oxbow_err err = forward_id_next(txn, &next);

        if (err != OXBOW_OK && err != OXBOW_ENOENT) {
            return err;
        }
        *count += (err == OXBOW_ENOENT || next != id) && both_lost(m, id, id + 1);
    }
    return OXBOW_OK;
}

/* The newest id, so that none is given twice, and forwards of which nothing is left. */
static enum oxbow_err mend_ids(const struct mend *m, struct oxbow_txn *txn, uint32_t highest)
{
    static const uint8_t name[] = {KV_SPACE_FORWARD, 'n'};
    const struct oxbow_bytes key = {name, sizeof name};
    struct oxbow_bytes value;
    uint64_t unknown = 0;
    uint8_t newest[4];
    enum oxbow_err err = kv_get(txn, key, &value);

    if (err == OXBOW_OK && value.len == sizeof newest && get_le32(value.data) <= ASKED_IDS) {
        err = count_unknown(m, txn, get_le32(value.data), &unknown);
    } else if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        bool none = err == OXBOW_ENOENT && !lost(m, KV_SPACE_FORWARD, 'n');

        unknown = !none && both_lost(m, 1, UINT32_MAX) ? UINT64_MAX : 0;
        put_le32(newest, highest);
        if (err == OXBOW_ENOENT && highest > 0) {
            err = kv_put(txn, key, (struct oxbow_bytes){newest, sizeof newest});
        } else {
            err = OXBOW_OK;
        }
    }
    return err == OXBOW_OK && unknown > 0 ? tell(txn, NULL, OXBOW_LOSS_FORWARD_UNKNOWN, unknown)
                                          : err;
}

static enum oxbow_err mend_identity(const struct mend *m, struct oxbow_txn *txn, uint32_t highest)
{
    enum oxbow_err err = identity_mend(txn);

    if (err != OXBOW_ENOENT) {
        return err;
    }
    return highest > 0 && lost(m, KV_SPACE_FORWARD, 'i') && lost(m, KV_SPACE_STORE, 'I')
               ? tell(txn, NULL, OXBOW_LOSS_FORWARD_IDENTITY, 1)
               : OXBOW_OK;
}

enum oxbow_err mend_forwards(struct mend *m)
{
    uint32_t highest = 0;
    bool more = true;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && more) {
        uint32_t id = highest + 1;
        struct oxbow_txn *txn;

        err = oxbow_txn_begin(m->db, &mend_step, &txn);
        if (err != OXBOW_OK) {
            return err;
        }
        err = forward_id_next(txn, &id);
        if (err == OXBOW_OK) {
            err = mend_one(m, txn, id);
            highest = id;
        } else if (err == OXBOW_ENOENT) {
            more = false;
            err = mend_ids(m, txn, highest);
            if (err == OXBOW_OK) {
                err = mend_identity(m, txn, highest);
            }
        }
        err = mend_finish(txn, err);
    }
    return err;
}
