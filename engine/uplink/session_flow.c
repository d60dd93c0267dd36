/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows: the session's side of forwards, and whose turn it is.
 *
 *   NEW --flows_read--> (READ on its way) --cursor_resync--> READY --batch_offer--> ...
 *    ^                                          |              |
 *    | every disconnect                         |              | a batch was not applied
 *    |                                          v              v
 *    |                                       STOPPED       RESYNC --nothing in flight--> READ
 *    |                                          ^              ^
 *    |                                          | stop row     | retry_us has come
 *    +------------------------------------------+----------- WAIT
 *
 * Whose turn: urgent flows first, in order of name; among the others deficit round robin, the unit
 * being a batch: a flow may send while its deficit is above zero, and gets weight x batch size
 * when its turn comes.
 *
 * A cap (pace.h) stands before all of them: when it lets a batch go, it goes to whose turn it is then.
 *
 * 1. While inflight > 0, prev is the position after the last batch in flight.
 * 2. A flow that is not READY sends no batch.
 */
#include "engine/uplink/session.h"
#include "engine/uplink/text.h"

#define PUMP_MAX 1024u /* batches in one turn of the driver */

void flow_set(struct oxbow_uplink *u, struct flow *f, enum oxbow_uplink_forward_state state,
              enum oxbow_uplink_trouble trouble, const char *text)
{
    f->state = state;
    f->trouble = trouble;
    text_copy(f->text, sizeof(f->text), text);
    if (trouble != OXBOW_TROUBLE_NONE) {
        char line[FLOW_TEXT_MAX + OXBOW_FORWARD_NAME_MAX + 3];
        struct text t = text_in(line, sizeof(line));

        text_add(&t, f->f.name);
        text_add(&t, ": ");
        text_add(&t, text);
        session_trouble(u, trouble, line);
    }
}

struct flow *flow_find(struct oxbow_uplink *u, const char *name)
{
    size_t i;

    for (i = 0; i < u->flow_count; i++) {
        if (!u->flows[i].gone && strcmp(u->flows[i].f.name, name) == 0) {
            return &u->flows[i];
        }
    }
    return NULL;
}

static void flow_retry_stopped(struct flow *f)
{
    if (f->state == OXBOW_UPLINK_FORWARD_STOPPED || f->state == OXBOW_UPLINK_FORWARD_WAIT) {
        f->state = OXBOW_UPLINK_FORWARD_RESYNC;
        f->retry.attempt = 0;
    }
}

/* ---- pauses ---- */

static struct flow *flow_of_id(struct oxbow_uplink *u, uint32_t id)
{
    size_t i;

    for (i = 0; i < u->flow_count; i++) {
        if (!u->flows[i].gone && u->flows[i].f.id == id) {
            return &u->flows[i];
        }
    }
    return NULL;
}

static size_t paused_place(const struct oxbow_uplink *u, uint32_t id)
{
    size_t i = 0;

    while (i < u->paused_count && u->paused_ids[i] != id) {
        i++;
    }
    return i;
}

bool flow_paused(const struct oxbow_uplink *u, const struct flow *f)
{
    return u->paused_count > 0 && paused_place(u, f->f.id) < u->paused_count;
}

static void paused_drop(struct oxbow_uplink *u, size_t place)
{
    u->paused_ids[place] = u->paused_ids[--u->paused_count];
}

enum oxbow_err flow_pause(struct oxbow_uplink *u, uint32_t id, bool paused)
{
    size_t place = paused_place(u, id);
    struct flow *f = flow_of_id(u, id);

    if (!paused && place < u->paused_count) {
        paused_drop(u, place);
    }
    if (!paused && f != NULL) {
        f->idle_lsn = 0;
        flow_retry_stopped(f);
    }
    if (!paused || place < u->paused_count) {
        return OXBOW_OK;
    }
    if (u->paused_count == OXBOW_FORWARD_COUNT_MAX) { /* ids are never used again */
        for (place = u->paused_count; place-- > 0;) {
            if (flow_of_id(u, u->paused_ids[place]) == NULL) {
                paused_drop(u, place);
            }
        }
    }
    if (u->paused_count == OXBOW_FORWARD_COUNT_MAX) {
        return OXBOW_ERANGE;
    }
    u->paused_ids[u->paused_count++] = id;
    return OXBOW_OK;
}

/* ---- what the store has ---- */

/* oxbow:{tag}:cursor:<device>:<forward>, with the target's own hash tag: one slot. */
static enum oxbow_err cursor_name(struct oxbow_uplink *u, struct flow *f)
{
    struct oxbow_bytes target = f->f.options.target;
    const char *key = target.data, *open = memchr(key, '{', target.len);
    const char *end = key + target.len;
    const char *close = open == NULL ? NULL : memchr(open, '}', (size_t)(end - open));
    const char *tag = close != NULL && close > open + 1 ? open + 1 : key;
    size_t tag_len = tag == key ? target.len : (size_t)(close - tag);
    struct text t;

    f->cursor_len = tag_len + 64 + OXBOW_DEVICE_MAX + OXBOW_FORWARD_NAME_MAX;
    f->cursor_key = mem_new(&u->port->alloc, f->cursor_len);
    if (f->cursor_key == NULL) {
        return OXBOW_ENOMEM;
    }
    t = text_in(f->cursor_key, f->cursor_len);
    text_add(&t, "oxbow:{");
    text_bytes(&t, tag, tag_len);
    text_add(&t, "}:cursor:");
    text_add(&t, u->identity.device);
    text_add(&t, ":");
    text_add(&t, f->f.name);
    return OXBOW_OK;
}

static enum oxbow_err flow_slot(struct oxbow_uplink *u, struct flow **out)
{
    const struct oxbow_alloc *alloc = &u->port->alloc;
    size_t cap = u->flow_cap == 0 ? 4 : u->flow_cap * 2;
    struct flow *grown;
    size_t i;

    if (u->flow_count == u->flow_cap) {
        grown = alloc->resize(alloc->ctx, u->flows, u->flow_cap * sizeof(struct flow),
                              cap * sizeof(struct flow));
        if (grown == NULL) {
            return OXBOW_ENOMEM;
        }
        u->flows = grown;
        u->flow_cap = cap;
        for (i = 0; i < u->flow_count; i++) { /* they point into themselves */
            u->flows[i].f.options.key.data = u->flows[i].f.key_text;
            u->flows[i].f.options.target.data = u->flows[i].f.target_text;
            u->flows[i].f.options.group.data = u->flows[i].f.group_text;
        }
    }
    *out = &u->flows[u->flow_count];
    memset(*out, 0, sizeof(**out));
    return OXBOW_OK;
}

static enum oxbow_err flow_add(struct oxbow_uplink *u, struct oxbow_txn *txn, const char *name)
{
    struct oxbow_forward_status status;
    struct flow *f;
    enum oxbow_err err = flow_slot(u, &f);

    if (!err) {
        err = oxbow_forward_get(txn, name, &f->f);
    }
    if (!err && u->stand_in && f->f.options.type == OXBOW_TYPE_LIST) {
        return OXBOW_OK; /* it waits for the store: what was sent of it could not be told there */
    }
    if (!err) {
        err = oxbow_forward_status(txn, name, &status);
    }
    if (!err && f->f.options.type == OXBOW_TYPE_LIST) {
        err = cursor_name(u, f);
    }
    if (err) {
        return err;
    }
    f->accepted = f->stored_sent = f->prev = f->next = status.sent;
    f->confirmed = f->stored_confirmed = status.confirmed;
    f->retry.random = &u->port->random;
    f->trim_us = u->now_us;
    cursor_moved(u); /* what is confirmed may be due to be trimmed, link or not */
    u->flow_count++;
    return OXBOW_OK;
}

/* The forward may have been changed, or be another one of the same name. */
static enum oxbow_err flow_update(struct oxbow_uplink *u, struct oxbow_txn *txn, const char *name)
{
    struct flow *f = flow_find(u, name);
    uint32_t id;
    enum oxbow_err err;

    if (f == NULL) {
        return flow_add(u, txn, name);
    }
    id = f->f.id;
    err = oxbow_forward_get(txn, name, &f->f);
    f->idle_lsn = 0;
    if (err || f->f.id == id) {
        return err;
    }
    f->gone = true;
    return flow_add(u, txn, name);
}

static enum oxbow_err flows_load(struct oxbow_uplink *u, struct oxbow_txn *txn)
{
    char name[OXBOW_FORWARD_NAME_MAX + 1];
    enum oxbow_err err = oxbow_forward_list(txn, &u->result);
    size_t i, n;

    for (i = 0; i < u->flow_count && !err; i++) {
        u->flows[i].gone = true;
        for (n = 0; n < u->result.item_count && u->flows[i].gone; n++) {
            const struct oxbow_bytes *item = &u->result.items[n];

            u->flows[i].gone = item->len != strlen(u->flows[i].f.name) ||
                               memcmp(item->data, u->flows[i].f.name, item->len) != 0;
        }
    }
    for (i = 0; i < u->result.item_count && !err; i++) {
        struct text t = text_in(name, sizeof(name));

        text_bytes(&t, u->result.items[i].data, u->result.items[i].len);
        err = flow_update(u, txn, name);
    }
    return err;
}

/* A flow that is gone leaves once nothing of it is in flight: requests name flows by index. */
static void flows_sweep(struct oxbow_uplink *u)
{
    size_t i, kept = 0;

    for (i = 0; i < u->flow_count; i++) {
        if (u->flows[i].gone && u->request_count == 0) {
            mem_free(&u->port->alloc, u->flows[i].cursor_key, u->flows[i].cursor_len);
            continue;
        }
        if (kept != i) {
            u->flows[kept] = u->flows[i];
            u->flows[kept].f.options.key.data = u->flows[kept].f.key_text;
            u->flows[kept].f.options.target.data = u->flows[kept].f.target_text;
            u->flows[kept].f.options.group.data = u->flows[kept].f.group_text;
        }
        kept++;
    }
    u->flow_count = kept;
}

void flows_refresh(struct oxbow_uplink *u)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    uint64_t revision = oxbow_forward_revision(u->db);
    struct oxbow_txn *txn = NULL;
    enum oxbow_err err;

    if (u->flows_loaded && revision == u->revision) {
        return;
    }
    err = oxbow_txn_begin(u->db, &opt, &txn);
    if (!err) {
        err = flows_load(u, txn);
        oxbow_txn_abort(txn);
    }
    if (err) {
        cursor_failed(u, err, "forwards could not be read");
        return;
    }
    u->flows_loaded = true;
    u->revision = revision;
    flows_sweep(u);
}

void flows_fini(struct oxbow_uplink *u)
{
    const struct oxbow_alloc *alloc = &u->port->alloc;
    size_t i;

    for (i = 0; i < u->flow_count; i++) {
        mem_free(alloc, u->flows[i].cursor_key, u->flows[i].cursor_len);
    }
    if (u->flows != NULL) {
        mem_free(alloc, u->flows, u->flow_cap * sizeof(struct flow));
    }
}

void flows_disconnected(struct oxbow_uplink *u)
{
    size_t i;

    for (i = 0; i < u->flow_count; i++) {
        struct flow *f = &u->flows[i];

        f->state = OXBOW_UPLINK_FORWARD_NEW;
        f->inflight = 0;
        f->inflight_bytes = 0;
        f->reading = false;
        f->waiting = false;
        f->probe = false;
        f->linger_us = 0;
        f->deficit = 0;
        f->idle_lsn = 0;
    }
}

void flows_retry_stopped(struct oxbow_uplink *u)
{
    size_t i;

    for (i = 0; i < u->flow_count; i++) {
        flow_retry_stopped(&u->flows[i]);
    }
}

/* ---- turns ---- */

static bool flow_wants_position(const struct oxbow_uplink *u, const struct flow *f)
{
    if (f->gone || f->reading || f->inflight > 0) {
        return false;
    }
    return f->state == OXBOW_UPLINK_FORWARD_NEW || f->state == OXBOW_UPLINK_FORWARD_RESYNC ||
           (f->state == OXBOW_UPLINK_FORWARD_WAIT && u->now_us >= f->retry_us);
}

void flows_read(struct oxbow_uplink *u)
{
    size_t i;

    for (i = 0; i < u->flow_count; i++) {
        if (flow_wants_position(u, &u->flows[i])) {
            batch_read_position(u, &u->flows[i]);
        }
    }
}

static bool pump_urgent(struct oxbow_uplink *u)
{
    size_t i;

    for (i = 0; i < u->flow_count; i++) {
        if (u->flows[i].f.options.urgent && batch_offer(u, &u->flows[i]) == OFFER_SENT) {
            return true;
        }
    }
    return false;
}

static uint32_t flow_weight(const struct flow *f)
{
    return f->f.options.weight == 0 ? 1 : f->f.options.weight;
}

static bool pump_fair(struct oxbow_uplink *u)
{
    size_t tried;

    for (tried = 0; tried <= u->flow_count; tried++) {
        struct flow *f = &u->flows[u->turn % u->flow_count];
        enum offer offer = OFFER_NOTHING;

        if (!f->f.options.urgent) {
            if (f->deficit <= 0) {
                f->deficit += (int64_t)flow_weight(f) * u->config.batch_bytes;
            }
            offer = batch_offer(u, f);
        }
        if (offer == OFFER_BLOCKED) {
            return false; /* its turn goes on when there is room */
        }
        if (offer == OFFER_NOTHING) {
            f->deficit = 0;
        }
        if (f->deficit <= 0) {
            u->turn = (u->turn + 1) % u->flow_count;
        }
        if (offer == OFFER_SENT) {
            return true;
        }
    }
    return false;
}

static bool pump_may(const struct oxbow_uplink *u)
{
    return u->state == OXBOW_UPLINK_IS_UP && !u->paused && !u->reload_wanted && !u->stopping &&
           u->flow_count > 0 && pace_allows(&u->pace, u->now_us) &&
           u->out.len - u->out_pos < SESSION_OUT_AHEAD &&
           u->request_count + 8 < SESSION_REQUESTS_MAX;
}

/* An operator's order to adopt holds until every flow has read its position once. */
static void adopt_end(struct oxbow_uplink *u)
{
    size_t i;

    for (i = 0; i < u->flow_count; i++) {
        const struct flow *f = &u->flows[i];

        if (!f->gone && (f->reading || f->state == OXBOW_UPLINK_FORWARD_NEW ||
                         f->state == OXBOW_UPLINK_FORWARD_RESYNC)) {
            return;
        }
    }
    u->adopt = false;
}

void flows_run(struct oxbow_uplink *u)
{
    uint32_t i;

    flows_read(u);
    if (u->adopt) {
        adopt_end(u);
    }
    for (i = 0; i < PUMP_MAX && pump_may(u); i++) {
        if (!pump_urgent(u) && !(u->state == OXBOW_UPLINK_IS_UP && pump_fair(u))) {
            break;
        }
    }
}

uint64_t flows_wake_us(const struct oxbow_uplink *u)
{
    uint64_t wake = NEVER_US;
    size_t i;

    if (u->state == OXBOW_UPLINK_IS_UP && !u->paused) {
        wake = wake_later(u, wake, u->pace.free_us); /* once for each batch */
    }
    for (i = 0; i < u->flow_count; i++) {
        const struct flow *f = &u->flows[i];

        if (f->state == OXBOW_UPLINK_FORWARD_WAIT && !f->reading) {
            wake = wake_later(u, wake, f->retry_us);
        }
        if (f->state == OXBOW_UPLINK_FORWARD_READY && !u->paused) {
            wake = wake_later(u, wake, f->linger_us);
            wake = f->seen_lsn == 0 ? wake : wake_later(u, wake, f->seen_us + BATCH_SYNC_US);
        }
    }
    return wake;
}
