/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a flow sends: whether there is something, whether it may go, and its bytes.
 *
 *   fetch --> durable? --> full, or lingered long enough? --> window? --> written to u->out
 *
 * Durable. A read transaction may see more than is on the device. So the end that it saw is kept
 * beside its LSN, and once the store is durable to that LSN everything up to that end is: entries
 * never change. The session's own writes of cursors, if they are the last ones, do not count. Only
 * what lies at or below durable_end is ever written to u->out.
 *
 * Through the guard:    EVALSHA sha 1 stream prev n id fields f v ... , or EVAL, or FCALL
 *                       EVALSHA sha 2 list cursor prev n last gap element ...
 * Where it is forbidden: WATCH key, XINFO STREAM key | HGET cursor pos      (LOOK)
 *                       MULTI, XADD key id f v ... | RPUSH, HSET ... , EXEC (EXEC)
 *                       one at a time for the whole connection, since EXEC ends every WATCH
 */
#include "engine/uplink/guard.h"
#include "engine/uplink/session.h"
#include "engine/uplink/text.h"
#include "oxbow/time.h"

#define FRAME_BYTES 64u /* of RESP around one entry, about */

/* What was fetched, cut to what may go. */
struct load {
    struct oxbow_forward_batch batch;
    uint32_t count; /* entries or elements */
    struct oxbow_id last;
    uint64_t lsn;
    bool full;
};

static bool flow_is_list(const struct flow *f)
{
    return f->f.options.type == OXBOW_TYPE_LIST;
}

static void batch_full_table(struct oxbow_uplink *u)
{
    connection_fail(u, OXBOW_TROUBLE_STORE, "out of memory for a batch", plan_default());
}

/* ---- writing ---- */

static enum oxbow_err put_key(struct oxbow_uplink *u, const struct flow *f)
{
    enum oxbow_err err = command_bytes(&u->out, f->f.options.target);

    if (!err && flow_is_list(f)) {
        err = command_text(&u->out, f->cursor_key);
    }
    return err;
}

/* The head of a guarded command with `args` arguments behind its keys. */
static enum oxbow_err put_guard(struct oxbow_uplink *u, const struct flow *f, size_t args)
{
    static const char *const asking[] = {"ASKING", NULL};
    size_t keys = flow_is_list(f) ? 2 : 1;
    bool function = u->mode == OXBOW_UPLINK_FUNCTION;
    const char *verb = function ? "FCALL" : u->send_script ? "EVAL" : "EVALSHA";
    const char *script = function ? u->function : u->send_script ? guard_script : guard_sha1;
    enum oxbow_err err = OXBOW_OK;

    if (u->asking) {
        if (session_expect(u, REQUEST_IGNORE, 1) == NULL) {
            return OXBOW_ENOMEM;
        }
        err = command_put(&u->out, asking);
    }
    if (!err) {
        err = command_begin(&u->out, 3 + keys + args);
    }
    if (!err) {
        err = command_text(&u->out, verb);
    }
    if (!err) {
        err = command_text(&u->out, script);
    }
    if (!err) {
        err = command_u64(&u->out, keys);
    }
    u->send_script = false;
    return err ? err : put_key(u, f);
}

/* Whether it has that already: it came from a stand-in. */
static bool says_time(const struct oxbow_entry *e)
{
    const struct oxbow_field *last = e->field_count > 0 ? &e->fields[e->field_count - 1] : NULL;

    return last != NULL && last->name.len == sizeof(OXBOW_FORWARD_TIME) - 1 &&
           memcmp(last->name.data, OXBOW_FORWARD_TIME, last->name.len) == 0;
}

/* Whether an entry gets its time beside its fields. A repeated batch may say more of it than the one
 * before: only one of them is ever applied. */
static bool entry_timed(const struct oxbow_uplink *u, size_t i)
{
    const struct oxbow_entry *e = &u->result.entries[i];

    return u->result.times != NULL && 2 * ((uint64_t)e->field_count + 1) <= GUARD_FIELDS_MAX &&
           !oxbow_true_time_is_id(&u->result.times[i], e->id) && !says_time(e);
}

/* Names and values. */
static size_t entry_texts(const struct oxbow_uplink *u, size_t i)
{
    return 2 * ((size_t)u->result.entries[i].field_count + entry_timed(u, i));
}

static enum oxbow_err put_time(struct oxbow_uplink *u, size_t i)
{
    char text[OXBOW_TRUE_TIME_TEXT];
    size_t len = oxbow_true_time_text(&u->result.times[i], text);
    enum oxbow_err err = command_text(&u->out, OXBOW_FORWARD_TIME);

    return err ? err : command_bytes(&u->out, (struct oxbow_bytes){text, len});
}

static enum oxbow_err put_fields(struct oxbow_uplink *u, size_t entry)
{
    const struct oxbow_entry *e = &u->result.entries[entry];
    enum oxbow_err err = OXBOW_OK;
    uint32_t i;

    for (i = 0; i < e->field_count && !err; i++) {
        err = command_bytes(&u->out, e->fields[i].name);
        if (!err) {
            err = command_bytes(&u->out, e->fields[i].value);
        }
    }
    return !err && entry_timed(u, entry) ? put_time(u, entry) : err;
}

static enum oxbow_err put_stream_guarded(struct oxbow_uplink *u, struct flow *f,
                                         const struct load *load)
{
    size_t args = 2, i;
    enum oxbow_err err;

    for (i = 0; i < load->count; i++) {
        args += 2 + entry_texts(u, i);
    }
    err = put_guard(u, f, args);
    if (!err) {
        err = command_id(&u->out, f->prev);
    }
    if (!err) {
        err = command_u64(&u->out, load->count);
    }
    for (i = 0; i < load->count && !err; i++) {
        const struct oxbow_entry *e = &u->result.entries[i];

        err = command_id(&u->out, e->id);
        if (!err) {
            err = command_u64(&u->out, entry_texts(u, i));
        }
        if (!err) {
            err = put_fields(u, i);
        }
    }
    return err;
}

static enum oxbow_err put_items(struct oxbow_uplink *u, const struct load *load)
{
    enum oxbow_err err = OXBOW_OK;
    size_t i;

    for (i = 0; i < load->count && i < u->result.item_count && !err; i++) {
        err = command_bytes(&u->out, u->result.items[i]);
    }
    return err;
}

/* A gap comes alone: no elements then. */
static uint32_t list_items(const struct oxbow_uplink *u, const struct load *load)
{
    return u->result.item_count < load->count ? (uint32_t)u->result.item_count : load->count;
}

static enum oxbow_err put_list_guarded(struct oxbow_uplink *u, struct flow *f,
                                       const struct load *load)
{
    uint32_t items = list_items(u, load);
    enum oxbow_err err = put_guard(u, f, 4 + (size_t)items);

    if (!err) {
        err = command_id(&u->out, f->prev);
    }
    if (!err) {
        err = command_u64(&u->out, items);
    }
    if (!err) {
        err = command_id(&u->out, load->last);
    }
    if (!err) {
        err = command_text(&u->out, load->batch.list_gap);
    }
    return err ? err : put_items(u, load);
}

static enum oxbow_err put_stream_plain(struct oxbow_uplink *u, struct flow *f,
                                       const struct load *load)
{
    enum oxbow_err err = OXBOW_OK;
    size_t i;

    for (i = 0; i < load->count && !err; i++) {
        const struct oxbow_entry *e = &u->result.entries[i];

        err = command_begin(&u->out, 3 + entry_texts(u, i));
        if (!err) {
            err = command_text(&u->out, "XADD");
        }
        if (!err) {
            err = put_key(u, f);
        }
        if (!err) {
            err = command_id(&u->out, e->id);
        }
        if (!err) {
            err = put_fields(u, i);
        }
    }
    return err;
}

static enum oxbow_err put_list_plain(struct oxbow_uplink *u, struct flow *f,
                                     const struct load *load, uint32_t *commands)
{
    char last[ID_TEXT_MAX];
    const char *set[] = {"HSET", f->cursor_key, "pos", last, NULL, NULL, NULL};
    uint32_t items = list_items(u, load);
    enum oxbow_err err = OXBOW_OK;

    (void)id_to_text(last, load->last);
    if (load->batch.list_gap[0] != 0) {
        set[4] = "gap";
        set[5] = load->batch.list_gap;
    }
    *commands = 1;
    if (items > 0) {
        *commands = 2;
        err = command_begin(&u->out, 2 + (size_t)items);
        if (!err) {
            err = command_text(&u->out, "RPUSH");
        }
        if (!err) {
            err = command_bytes(&u->out, f->f.options.target);
        }
        if (!err) {
            err = put_items(u, load);
        }
    }
    return err ? err : command_put(&u->out, set);
}

/* MULTI .. EXEC. *replies: how many will come. */
static enum oxbow_err put_multi(struct oxbow_uplink *u, struct flow *f, const struct load *load,
                                uint32_t *replies)
{
    static const char *const multi[] = {"MULTI", NULL};
    static const char *const exec[] = {"EXEC", NULL};
    uint32_t commands = load->count;
    enum oxbow_err err = command_put(&u->out, multi);

    if (!err && flow_is_list(f)) {
        err = put_list_plain(u, f, load, &commands);
    } else if (!err) {
        err = put_stream_plain(u, f, load);
    }
    *replies = commands + 2;
    return err ? err : command_put(&u->out, exec);
}

/* ---- positions ---- */

static enum oxbow_err put_read_plain(struct oxbow_uplink *u, const struct flow *f)
{
    const char *hget[] = {"HGET", f->cursor_key, "pos", NULL};
    enum oxbow_err err;

    if (flow_is_list(f)) {
        return command_put(&u->out, hget);
    }
    err = command_begin(&u->out, 3);
    if (!err) {
        err = command_text(&u->out, "XINFO");
    }
    if (!err) {
        err = command_text(&u->out, "STREAM");
    }
    return err ? err : command_bytes(&u->out, f->f.options.target);
}

enum oxbow_err batch_put_read(struct oxbow_uplink *u, struct flow *f)
{
    enum oxbow_err err;

    if (u->mode == OXBOW_UPLINK_MULTI) {
        return put_read_plain(u, f);
    }
    err = put_guard(u, f, 2);
    if (!err) {
        err = command_text(&u->out, "?");
    }
    return err ? err : command_text(&u->out, "read");
}

void batch_read_position(struct oxbow_uplink *u, struct flow *f)
{
    struct request *q;

    if (u->request_count + 2 > SESSION_REQUESTS_MAX) {
        return; /* tried again in the next turn */
    }
    q = batch_put_read(u, f) ? NULL : session_expect(u, REQUEST_READ, 1);
    if (q == NULL) {
        batch_full_table(u);
        return;
    }
    q->flow = (uint32_t)(f - u->flows);
    f->reading = true;
    if (f->state == OXBOW_UPLINK_FORWARD_WAIT) {
        f->state = OXBOW_UPLINK_FORWARD_RESYNC;
    }
}

/* WATCH and the position; batch_multi follows when it is the right one. */
static enum offer batch_look(struct oxbow_uplink *u, struct flow *f)
{
    enum oxbow_err err = command_begin(&u->out, 2);
    struct request *q;

    if (!err) {
        err = command_text(&u->out, "WATCH");
    }
    if (!err) {
        err = flow_is_list(f) ? command_text(&u->out, f->cursor_key)
                              : command_bytes(&u->out, f->f.options.target);
    }
    if (!err) {
        err = put_read_plain(u, f);
    }
    q = err ? NULL : session_expect(u, REQUEST_LOOK, 2);
    if (q == NULL) {
        batch_full_table(u);
        return OFFER_BLOCKED;
    }
    q->flow = (uint32_t)(f - u->flows);
    f->reading = true;
    u->multi_busy = true;
    return OFFER_SENT;
}

/* ---- what there is ---- */

static uint64_t batch_bytes(const struct oxbow_uplink *u, const struct flow *f)
{
    uint64_t bytes = f->f.options.batch_bytes ? f->f.options.batch_bytes : u->config.batch_bytes;
    uint64_t second = u->config.rate_bytes_s_max;

    if (second != 0 && second < bytes) { /* what is urgent does not wait for longer than that */
        bytes = second < SESSION_BATCH_MIN ? SESSION_BATCH_MIN : second;
    }
    return bytes < u->batch_limit ? bytes : u->batch_limit;
}

static enum oxbow_err batch_fetch(struct oxbow_uplink *u, struct flow *f, struct load *load)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_forward_fetch want = {
        .after = f->next, .bytes = batch_bytes(u, f), .count = f->f.options.batch_count};
    struct oxbow_txn *txn = NULL;
    enum oxbow_err err;

    if (u->stand_in) { /* it notes how far it has been sent, before it is */
        opt = (struct oxbow_txn_options){.sync = OXBOW_SYNC_ALWAYS};
    }
    err = oxbow_txn_begin(u->db, &opt, &txn);
    if (err) {
        return err;
    }
    err = oxbow_forward_fetch(txn, f->f.name, &want, &u->result, &load->batch);
    if (err) {
        oxbow_txn_abort(txn);
        return err;
    }
    err = oxbow_txn_commit(txn, &load->lsn);
    err = err == OXBOW_EVOLATILE ? OXBOW_OK : err;
    if (!err && load->lsn != 0 && load->lsn == u->own_last) {
        load->lsn = u->own_first - 1;
    }
    return err;
}

/* Notes what the transaction has seen, and what of it is durable by now. */
static void durable_note(struct oxbow_uplink *u, struct flow *f, const struct load *load)
{
    if (id_compare(load->batch.end, f->durable_end) <= 0) {
        return;
    }
    if (oxbow_settled_lsn(u->db) >= load->lsn) {
        f->durable_end = load->batch.end;
        f->seen_lsn = 0;
    } else if (f->seen_lsn == 0) {
        f->seen_lsn = load->lsn;
        f->seen_end = load->batch.end;
        f->seen_us = u->now_us;
        if (u->flush || f->f.options.urgent) {
            oxbow_sync_start(u->db, f->seen_lsn);
        }
    }
}

/* The store syncs by its policy; only what waits too long is asked for. */
static void durable_wait(struct oxbow_uplink *u, struct flow *f)
{
    if (f->seen_lsn != 0 && oxbow_settled_lsn(u->db) >= f->seen_lsn) {
        f->durable_end = f->seen_end;
        f->seen_lsn = 0;
    } else if (f->seen_lsn != 0 && (u->flush || u->now_us - f->seen_us >= BATCH_SYNC_US)) {
        f->seen_us = u->now_us;
        oxbow_sync_start(u->db, f->seen_lsn);
    }
}

/* Leaves out what is not durable. */
static void load_cut(struct oxbow_uplink *u, struct flow *f, struct load *load)
{
    uint64_t bytes = batch_bytes(u, f);
    uint32_t most = f->f.options.batch_count ? f->f.options.batch_count : 1000;

    load->count = load->batch.count;
    load->last = load->batch.last;
    load->full = load->batch.bytes >= bytes || load->count >= most ||
                 id_compare(load->last, f->durable_end) < 0;
    if (id_compare(load->last, f->durable_end) <= 0) {
        return;
    }
    load->last = f->durable_end;
    if (flow_is_list(f)) {
        load->count = load->batch.list_gap[0] != 0
                          ? 0
                          : load->count - (uint32_t)(load->batch.last.seq - f->durable_end.seq);
        return;
    }
    while (load->count > 0 &&
           id_compare(u->result.entries[load->count - 1].id, f->durable_end) > 0) {
        load->count--;
    }
    /* The target will stand on an entry: an end need not be one's id (an acked prefix, XSETID). */
    load->last = load->count > 0 ? u->result.entries[load->count - 1].id : f->next;
}

static bool batch_lingers(struct oxbow_uplink *u, struct flow *f, const struct load *load)
{
    int32_t own = f->f.options.linger_ms;
    uint64_t linger_ms = own == 0 ? u->config.linger_ms : own < 0 ? 0 : (uint64_t)own;

    if (load->full || u->flush || f->f.options.urgent || linger_ms == 0) {
        return false;
    }
    if (f->linger_us == 0) {
        f->linger_us = u->now_us + linger_ms * 1000;
    }
    return u->now_us < f->linger_us;
}

/* ---- sending ---- */

static bool fields_fit(struct oxbow_uplink *u, struct flow *f, const struct load *load)
{
    uint32_t i;

    if (flow_is_list(f) || u->mode == OXBOW_UPLINK_MULTI) {
        return true;
    }
    for (i = 0; i < load->count; i++) {
        if (2 * (uint64_t)u->result.entries[i].field_count > GUARD_FIELDS_MAX) {
            flow_set(u, f, OXBOW_UPLINK_FORWARD_STOPPED, OXBOW_TROUBLE_KEY,
                     "an entry has more fields than a script can take (3,500)");
            return false;
        }
    }
    return true;
}

static enum offer batch_write(struct oxbow_uplink *u, struct flow *f, const struct load *load)
{
    bool multi = u->mode == OXBOW_UPLINK_MULTI;
    size_t start = u->out.len;
    uint32_t replies = 1;
    struct request *q;
    enum oxbow_err err;

    if (multi) {
        err = put_multi(u, f, load, &replies);
    } else if (flow_is_list(f)) {
        err = put_list_guarded(u, f, load);
    } else {
        err = put_stream_guarded(u, f, load);
    }
    q = err ? NULL : session_expect(u, multi ? REQUEST_EXEC : REQUEST_BATCH, replies);
    if (q == NULL) {
        batch_full_table(u);
        return OFFER_BLOCKED;
    }
    q->flow = (uint32_t)(f - u->flows);
    q->entries = load->count;
    q->gaps = load->batch.gaps;
    q->payload = load->batch.bytes;
    q->last = load->last;
    q->mark = window_sent(&u->window, (uint32_t)(u->out.len - start), u->now_us);
    pace_spend(&u->pace, q->mark.bytes, u->config.rate_bytes_s_max, u->now_us);
    f->inflight++;
    f->inflight_bytes += q->mark.bytes;
    f->deficit -= q->mark.bytes;
    f->prev = load->last;
    f->next = load->last;
    f->linger_us = 0;
    return OFFER_SENT;
}

/* Fetches what may go now. False: nothing, or not yet. */
static bool batch_load(struct oxbow_uplink *u, struct flow *f, struct load *load, bool linger)
{
    uint64_t durable = oxbow_settled_lsn(u->db);
    enum oxbow_err err;

    durable_wait(u, f);
    if (f->seen_lsn == 0 && durable == f->idle_lsn) {
        return false;
    }
    if (id_compare(f->next, f->durable_end) >= 0) {
        if (f->seen_lsn != 0) {
            return false;
        }
    } else if (linger && f->linger_us != 0 && u->now_us < f->linger_us && !u->flush) {
        return false;
    }
    err = batch_fetch(u, f, load);
    if (err == OXBOW_ECORRUPT) { /* of this forward alone */
        flow_set(u, f, OXBOW_UPLINK_FORWARD_STOPPED, OXBOW_TROUBLE_STORE, oxbow_err_text(err));
        return false;
    }
    if (err) {
        cursor_failed(u, err, f->f.name);
        return false;
    }
    durable_note(u, f, load);
    load_cut(u, f, load);
    if (load->count == 0 || id_compare(load->last, f->next) <= 0) {
        f->idle_lsn = f->seen_lsn == 0 ? durable : 0;
        return false;
    }
    return !linger || !batch_lingers(u, f, load);
}

enum offer batch_offer(struct oxbow_uplink *u, struct flow *f)
{
    struct load load = {.count = 0};

    if (f->gone || f->reading || f->state != OXBOW_UPLINK_FORWARD_READY ||
        (f->probe && f->inflight > 0) || flow_paused(u, f)) {
        return OFFER_NOTHING;
    }
    if (u->mode == OXBOW_UPLINK_MULTI && u->multi_busy) {
        return OFFER_BLOCKED;
    }
    if (!window_allows(&u->window, 1)) {
        return OFFER_BLOCKED;
    }
    if (!batch_load(u, f, &load, true) || !fields_fit(u, f, &load)) {
        return OFFER_NOTHING;
    }
    if (!window_allows(&u->window, load.batch.bytes + (uint64_t)load.count * FRAME_BYTES)) {
        return OFFER_BLOCKED;
    }
    return u->mode == OXBOW_UPLINK_MULTI ? batch_look(u, f) : batch_write(u, f, &load);
}

void batch_multi(struct oxbow_uplink *u, struct flow *f)
{
    struct load load = {.count = 0};

    if (!batch_load(u, f, &load, false)) {
        u->multi_busy = false;
        return;
    }
    (void)batch_write(u, f, &load);
}
