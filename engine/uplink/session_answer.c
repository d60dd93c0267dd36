/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies. They come in the order of the requests; each belongs to the oldest one that is not
 * fully answered. What comes without a request is a server's last word before it closes (DENIED,
 * too many clients) and is treated like any error.
 *
 *   batch -> {1, id}   applied: accepted moves up
 *         -> {0, id}   not applied: let the rest drain, read the position, resync
 *         -> error     not applied either: the row says whether to wait, stop or close
 */
#include "engine/uplink/session.h"
#include "engine/uplink/text.h"

static bool position_of(const struct reply_node *n, struct oxbow_id *out)
{
    if (n == NULL || (n->type != REPLY_BULK && n->type != REPLY_STATUS) || n->cut) {
        return false;
    }
    return id_from_text((struct oxbow_bytes){n->text, n->len}, 0, out) == OXBOW_OK;
}

static void answer_strange(struct oxbow_uplink *u, const char *what)
{
    connection_fail(u, OXBOW_TROUBLE_PROTOCOL, what, plan_default());
}

static void answer_fallback(struct oxbow_uplink *u, struct flow *f, const struct trouble_row *row,
                            const char *text)
{
    size_t i;

    if (u->mode == OXBOW_UPLINK_FUNCTION) {
        u->mode = OXBOW_UPLINK_SCRIPT;
        session_trouble(u, row->trouble, text);
        session_log(u, OXBOW_LOG_WARN, "no such function at the target, sending the script", NULL);
    } else if (u->config.mode == OXBOW_UPLINK_AUTO && u->mode == OXBOW_UPLINK_SCRIPT) {
        u->mode = OXBOW_UPLINK_MULTI;
        session_log(u, OXBOW_LOG_WARN, "scripts are forbidden at the target, using MULTI", text);
    } else if (f->state == OXBOW_UPLINK_FORWARD_WAIT) {
        return;
    } else {
        f->probe = true;
        f->retry_us = u->now_us + backoff_next_us(&f->retry, row->base_ms, row->cap_ms);
        flow_set(u, f, OXBOW_UPLINK_FORWARD_WAIT, row->trouble, text);
        return;
    }
    for (i = 0; i < u->flow_count; i++) {
        if (u->flows[i].state == OXBOW_UPLINK_FORWARD_READY) {
            u->flows[i].state = OXBOW_UPLINK_FORWARD_RESYNC;
        }
    }
    f->state = OXBOW_UPLINK_FORWARD_RESYNC;
}

/* The target does not know the script: the next read brings it. */
static void answer_noscript(struct oxbow_uplink *u, struct flow *f, const struct trouble_row *row,
                            const char *text)
{
    f->noscripts++;
    if (f->noscripts > 3) { /* it forgets as soon as it is told */
        f->retry_us = u->now_us + backoff_next_us(&f->retry, 500, 30000);
        flow_set(u, f, OXBOW_UPLINK_FORWARD_WAIT, row->trouble, text);
        u->send_script = true;
        return;
    }
    u->send_script = true;
    f->state = OXBOW_UPLINK_FORWARD_RESYNC;
}

/* An error reply to something that belongs to a flow. */
static void answer_error(struct oxbow_uplink *u, const struct request *q,
                         const struct trouble_row *row, const char *text)
{
    struct flow *f = &u->flows[q->flow];

    switch (row->action) {
    case TROUBLE_RETRY:
        if (f->state == OXBOW_UPLINK_FORWARD_WAIT) {
            return; /* of a batch behind the first one that was refused */
        }
        f->retry_us = u->now_us + backoff_next_us(&f->retry, row->base_ms, row->cap_ms);
        flow_set(u, f, OXBOW_UPLINK_FORWARD_WAIT, row->trouble, text);
        return;
    case TROUBLE_RESYNC:
        answer_noscript(u, f, row, text);
        return;
    case TROUBLE_STOP:
        flow_set(u, f, OXBOW_UPLINK_FORWARD_STOPPED, row->trouble, text);
        return;
    case TROUBLE_FALLBACK:
        if (q->mode != u->mode) { /* sent before the mode was changed for the same reason */
            f->state = OXBOW_UPLINK_FORWARD_RESYNC;
            return;
        }
        answer_fallback(u, f, row, text);
        return;
    case TROUBLE_NEXT:
    case TROUBLE_CLOSE:
    case TROUBLE_REDIRECT:
        connection_fail_row(u, row, text);
        return;
    }
}

/* ---- batches ---- */

static void batch_taken_back(struct oxbow_uplink *u, const struct request *q)
{
    struct flow *f = &u->flows[q->flow];

    f->inflight--;
    f->inflight_bytes -= q->mark.bytes;
    window_answered(&u->window, &q->mark, u->now_us);
}

static void batch_accepted(struct oxbow_uplink *u, const struct request *q)
{
    struct flow *f = &u->flows[q->flow];

    u->status.batches++;
    u->status.entries += q->entries;
    u->status.payload_bytes += q->payload;
    u->status.gaps += q->gaps;
    u->wrote = true;
    u->redirects = 0;
    u->batches_in_time++;
    if (u->batches_in_time % SESSION_BATCH_TRUST == 0 && u->batch_limit < UINT32_MAX) {
        u->batch_limit *= 2;
    }
    f->entries += q->entries;
    f->accepted = q->last;
    f->probe = false;
    f->retry.attempt = 0;
    f->noscripts = 0;
    f->trouble = OXBOW_TROUBLE_NONE;
    f->text[0] = 0;
    confirm_by_reply(u, f);
    cursor_moved(u);
}

static void batch_refused(struct oxbow_uplink *u, const struct request *q,
                          const struct trouble_row *row, const char *text)
{
    u->status.refused[row->trouble]++;
    answer_error(u, q, row, text);
}

/* Not where it was thought to be. */
static void batch_elsewhere(struct flow *f)
{
    if (f->state == OXBOW_UPLINK_FORWARD_READY) {
        f->state = OXBOW_UPLINK_FORWARD_RESYNC;
    }
}

static void batch_answer(struct oxbow_uplink *u, const struct request *q, const struct reply *r)
{
    struct flow *f = &u->flows[q->flow];
    const struct reply_node *flag = reply_at(r, 0);
    struct oxbow_id at;

    batch_taken_back(u, q);
    if (r->nodes[0].type == REPLY_ERROR) {
        batch_refused(u, q, trouble_of(r->nodes[0].text), r->nodes[0].text);
    } else if (flag == NULL || flag->type != REPLY_INTEGER || !position_of(reply_at(r, 1), &at)) {
        answer_strange(u, "a batch was answered with something strange");
    } else if (flag->integer != 1) {
        batch_elsewhere(f);
    } else if (id_compare(at, q->last) != 0) {
        answer_strange(u, "a batch was applied at another position");
    } else {
        batch_accepted(u, q);
    }
}

/* One of the replies to MULTI, the writes, EXEC. */
static void exec_answer(struct oxbow_uplink *u, struct request *q, const struct reply *r)
{
    struct flow *f = &u->flows[q->flow];
    const struct reply_node *n = &r->nodes[0];

    if (q->replies > 0) {
        if (n->type == REPLY_ERROR && q->row == NULL) {
            q->row = trouble_of(n->text);
            text_copy(f->text, sizeof(f->text), n->text);
        }
        return;
    }
    u->multi_busy = false;
    batch_taken_back(u, q);
    if (q->row != NULL) { /* EXECABORT: the first command that was not queued says why */
        char text[FLOW_TEXT_MAX];

        text_copy(text, sizeof(text), f->text);
        batch_refused(u, q, q->row, text);
    } else if (n->type == REPLY_ERROR) {
        batch_refused(u, q, trouble_of(n->text), n->text);
    } else if (r->error.len > 0) {
        batch_refused(u, q, trouble_of(r->error.text), r->error.text);
    } else if (n->type == REPLY_NIL) {
        batch_elsewhere(f); /* somebody wrote between LOOK and EXEC */
    } else if (n->type == REPLY_ARRAY) {
        batch_accepted(u, q);
    } else {
        answer_strange(u, "EXEC was answered with something strange");
    }
}

/* ---- positions ---- */

/* {0, position} of the guard; XINFO STREAM's map; HGET's text or nil. */
static bool read_position(const struct flow *f, enum oxbow_uplink_mode mode, const struct reply *r,
                          struct oxbow_id *at)
{
    const struct reply_node *n = &r->nodes[0];

    *at = OXBOW_ID_MIN;
    if (mode != OXBOW_UPLINK_MULTI) {
        return position_of(reply_at(r, 1), at);
    }
    if (f->f.options.type == OXBOW_TYPE_LIST) {
        return n->type == REPLY_NIL || position_of(n, at);
    }
    if (n->type == REPLY_ERROR) {
        return strstr(n->text, "no such key") != NULL;
    }
    return position_of(reply_find(r, "last-generated-id"), at);
}

static void look_answer(struct oxbow_uplink *u, struct request *q, const struct reply *r)
{
    struct flow *f = &u->flows[q->flow];
    const struct reply_node *n = &r->nodes[0];
    struct oxbow_id at;

    if (q->replies > 0) { /* of WATCH */
        q->row = n->type == REPLY_ERROR ? trouble_of(n->text) : NULL;
        text_copy(f->text, sizeof(f->text), q->row != NULL ? n->text : "");
        return;
    }
    f->reading = false;
    u->multi_busy = false;
    if (q->row != NULL) {
        char text[FLOW_TEXT_MAX];

        text_copy(text, sizeof(text), f->text);
        batch_refused(u, q, q->row, text);
    } else if (!read_position(f, OXBOW_UPLINK_MULTI, r, &at)) {
        batch_refused(u, q, trouble_of(n->text), n->text);
    } else if (id_compare(at, f->prev) != 0) {
        batch_elsewhere(f);
    } else if (f->state == OXBOW_UPLINK_FORWARD_READY && !u->paused) {
        u->multi_busy = true;
        batch_multi(u, f);
    }
}

static void read_answer(struct oxbow_uplink *u, const struct request *q, const struct reply *r)
{
    struct flow *f = &u->flows[q->flow];
    const struct reply_node *n = &r->nodes[0];
    struct oxbow_id at;

    f->reading = false;
    if (f->gone) {
        return;
    }
    if (read_position(f, q->mode, r, &at)) {
        cursor_resync(u, f, at);
    } else if (n->type == REPLY_ERROR) {
        answer_error(u, q, trouble_of(n->text), n->text);
    } else {
        answer_strange(u, "a position was answered with something strange");
    }
}

/* ---- dispatch ---- */

static void answer_one(struct oxbow_uplink *u, struct request *q, const struct reply *r)
{
    switch (q->kind) {
    case REQUEST_BATCH:
        batch_answer(u, q, r);
        break;
    case REQUEST_EXEC:
        exec_answer(u, q, r);
        break;
    case REQUEST_LOOK:
        look_answer(u, q, r);
        break;
    case REQUEST_READ:
        read_answer(u, q, r);
        break;
    case REQUEST_WAIT:
    case REQUEST_WAITAOF:
        confirm_answer(u, q, r);
        break;
    case REQUEST_PING:
    case REQUEST_IGNORE:
        break;
    case REQUEST_PROBE:
        check_answer(u, q, r);
        break;
    default:
        greeting_answer(u, q, r);
        break;
    }
}

static void answer_reply(struct oxbow_uplink *u)
{
    const struct reply *r = &u->parser.reply;
    struct request *q = session_front(u);
    struct request done;

    if (r->push) {
        return;
    }
    if (q == NULL) {
        if (r->nodes[0].type == REPLY_ERROR) {
            connection_fail_row(u, trouble_of(r->nodes[0].text), r->nodes[0].text);
        } else {
            answer_strange(u, "a reply came that nobody had asked for");
        }
        return;
    }
    q->replies--;
    if (q->replies > 0) {
        answer_one(u, q, r);
        return;
    }
    done = *q;
    u->request_head = (u->request_head + 1) % SESSION_REQUESTS_MAX;
    u->request_count--;
    answer_one(u, &done, r);
}

void answer_feed(struct oxbow_uplink *u, const void *data, size_t len)
{
    const char *bytes = data;
    size_t pos = 0;

    while (pos < len && (u->state == OXBOW_UPLINK_IS_GREETING || u->state == OXBOW_UPLINK_IS_UP)) {
        size_t used = 0;
        bool done = false;

        if (reply_feed(&u->parser, bytes + pos, len - pos, &used, &done)) {
            answer_strange(u, "the target does not speak the Redis protocol");
            return;
        }
        pos += used;
        if (done) {
            answer_reply(u);
        }
    }
}
