/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that do nothing: their buffers are given back after a second, so that ten thousand of
 * them cost little, and they are closed after the configuration's time, but for those who wait for
 * something: an element, a message.
 *
 * All clients are walked, at most once a second, and not at all while none of them can be due.
 */
#include "engine/resp/server.h"

#define QUIET_US  1000000u
#define SECOND_US 1000000u

void resp_idle_touch(struct oxbow_resp_client *c)
{
    struct oxbow_resp *s = c->server;

    c->lean = false;
    if (s->idle_us == 0) {
        s->idle_us = s->port->clock.mono_us(s->port->clock.ctx) + QUIET_US;
    }
}

void resp_idle_again(struct oxbow_resp *s)
{
    s->idle_us = s->port->clock.mono_us(s->port->clock.ctx) + QUIET_US;
}

uint64_t resp_idle_due_us(const struct oxbow_resp *s)
{
    return s->idle_us != 0 ? s->idle_us : RESP_NEVER_US;
}

static bool waits(const struct oxbow_resp_client *c)
{
    return c->block.on || resp_subscribed(c) > 0 || !link_alone(&c->monitor) ||
           !link_alone(&c->paused);
}

/* When there is something to do for the client next. */
static uint64_t look_after(struct oxbow_resp *s, struct oxbow_resp_client *c)
{
    uint64_t timeout_us = (uint64_t)s->config.timeout_s * SECOND_US;
    uint64_t next = RESP_NEVER_US;

    if (timeout_us != 0 && !waits(c) && !c->closing) {
        next = c->used_us + timeout_us;
        if (s->now_us >= next) {
            resp_client_kill(c);
            return RESP_NEVER_US;
        }
    }
    if (!c->lean && s->now_us - c->used_us >= QUIET_US) {
        resp_reader_idle(&c->in);
        resp_reply_idle(&c->out);
        c->lean = true;
    } else if (!c->lean && c->used_us + QUIET_US < next) {
        next = c->used_us + QUIET_US;
    }
    return next;
}

void resp_idle_turn(struct oxbow_resp *s)
{
    uint64_t next = RESP_NEVER_US;

    if (s->idle_us == 0 || s->now_us < s->idle_us) {
        return;
    }
    for (struct link *l = s->clients.next; l != &s->clients; l = l->next) {
        uint64_t due = look_after(s, LINK_OF(l, struct oxbow_resp_client, all));

        next = due < next ? due : next;
    }
    if (next != RESP_NEVER_US && next < s->now_us + QUIET_US) {
        next = s->now_us + QUIET_US;
    }
    s->idle_us = next != RESP_NEVER_US ? next : 0;
}
