/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Confirmation beyond the master's reply: WAIT and WAITAOF.
 *
 * They block the connection's replies, so they are sent when nothing is in flight, or every
 * confirm_ms under load. Their reply stands behind those of all batches before it: what is accepted
 * by then is what it confirms.
 *
 * WAIT speaks of what this connection has written. After a reconnect the accepted entries may come
 * from an earlier one, and WAIT would answer at once with replicas that lack them. So a connection
 * that has written nothing yet first writes the owner key again, with its own value: whoever has
 * that has all before it.
 */
#include "engine/uplink/session.h"
#include "engine/uplink/text.h"

#define WAIT_MS        1000u
#define REFUSED_WAIT_S 60u

static bool flow_unconfirmed(const struct flow *f)
{
    return !f->gone && f->f.options.confirm != OXBOW_CONFIRM_MASTER &&
           f->state == OXBOW_UPLINK_FORWARD_READY && id_compare(f->confirmed, f->accepted) < 0;
}

static uint32_t flow_replicas(const struct flow *f)
{
    if (f->f.options.confirm == OXBOW_CONFIRM_REPLICAS && f->f.options.replicas == 0) {
        return 1;
    }
    return f->f.options.replicas;
}

void confirm_by_reply(struct oxbow_uplink *u, struct flow *f)
{
    if (f->f.options.confirm == OXBOW_CONFIRM_MASTER && id_compare(f->confirmed, f->accepted) < 0) {
        f->confirmed = f->accepted;
        cursor_moved(u);
    }
}

static enum oxbow_err confirm_write(struct oxbow_uplink *u)
{
    const char *const set[] = {"SET", u->owner_key, u->identity.owner, "XX", NULL};

    if (u->wrote || u->config.owner == 1) {
        return OXBOW_OK;
    }
    u->wrote = true;
    if (session_expect(u, REQUEST_IGNORE, 1) == NULL) {
        return OXBOW_ENOMEM;
    }
    return command_put(&u->out, set);
}

static void confirm_send(struct oxbow_uplink *u, struct flow *f)
{
    bool aof = f->f.options.confirm == OXBOW_CONFIRM_AOF;
    char copies[NUM_TEXT_MAX], timeout[NUM_TEXT_MAX];
    const char *const wait[] = {"WAIT", copies, timeout, NULL};
    const char *const waitaof[] = {"WAITAOF", "1", copies, timeout, NULL};
    struct request *q = NULL;

    (void)num_u64_text(copies, flow_replicas(f));
    (void)num_u64_text(timeout, WAIT_MS);
    if (!confirm_write(u) && !command_put(&u->out, aof ? waitaof : wait)) {
        q = session_expect(u, aof ? REQUEST_WAITAOF : REQUEST_WAIT, 1);
    }
    if (q == NULL) {
        connection_fail(u, OXBOW_TROUBLE_STORE, "out of memory", plan_default());
        return;
    }
    q->flow = (uint32_t)(f - u->flows);
    f->waiting = true;
}

void confirm_run(struct oxbow_uplink *u)
{
    size_t i;

    for (i = 0; i < u->flow_count; i++) {
        struct flow *f = &u->flows[i];

        if (u->state != OXBOW_UPLINK_IS_UP || u->request_count + 2 > SESSION_REQUESTS_MAX) {
            return;
        }
        if (!flow_unconfirmed(f) || f->waiting || u->now_us < f->confirm_us) {
            continue;
        }
        if (!u->wrote && u->config.owner == 1) {
            continue; /* nothing that WAIT could speak of */
        }
        confirm_send(u, f);
        f->confirm_us = u->now_us + (uint64_t)u->config.confirm_ms * 1000;
    }
}

uint64_t confirm_wake_us(const struct oxbow_uplink *u)
{
    uint64_t wake = NEVER_US;
    size_t i;

    for (i = 0; i < u->flow_count; i++) {
        if (flow_unconfirmed(&u->flows[i]) && !u->flows[i].waiting) {
            wake = wake_later(u, wake, u->flows[i].confirm_us);
        }
    }
    return wake;
}

/* WAIT: the number of replicas. WAITAOF: {local, replicas}. */
static bool confirm_enough(const struct flow *f, const struct request *q, const struct reply *r)
{
    const struct reply_node *local = reply_at(r, 0), *copies = reply_at(r, 1);

    if (q->kind == REQUEST_WAIT) {
        return r->nodes[0].integer >= (int64_t)flow_replicas(f);
    }
    return local != NULL && copies != NULL && local->integer >= 1 &&
           copies->integer >= (int64_t)flow_replicas(f);
}

void confirm_answer(struct oxbow_uplink *u, const struct request *q, const struct reply *r)
{
    struct flow *f = &u->flows[q->flow];

    f->waiting = false;
    if (r->nodes[0].type == REPLY_ERROR) {
        f->confirm_us = u->now_us + (uint64_t)REFUSED_WAIT_S * 1000000;
        flow_set(u, f, f->state, trouble_of(r->nodes[0].text)->trouble, r->nodes[0].text);
        return;
    }
    if (f->state != OXBOW_UPLINK_FORWARD_READY) {
        return; /* its position is in doubt: asked again after the resync */
    }
    if (!confirm_enough(f, q, r)) {
        u->status.confirms_low++;
        return;
    }
    u->status.confirms++;
    if (id_compare(f->confirmed, f->accepted) < 0) {
        f->confirmed = f->accepted;
        cursor_moved(u);
    }
}
