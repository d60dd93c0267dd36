/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of the connection, and when it is tried again.
 *
 *                 connection_next            oxbow_uplink_connected       greeting_run
 *   WAITING ------------------> CONNECTING -----------------> GREETING ---------------> UP
 *     ^ ^                           |                             |                      |
 *     | |   connection_lost         |        connection_fail, connection_timers          |
 *     | +---------------------------+-----------------------------+----------+-----------+
 *     |                                                                      v
 *     +------------------------------------------------------------------ CLOSING
 *   DOWN: told to be, until UP.   DONE: stopped, or a check is finished.
 *
 * The next attempt: at once after a redirect; as long as the error's row says; otherwise spread
 * over first_spread_ms if the connection had been useful, else full jitter that doubles. The
 * backoff is reset by half a minute of useful work, never by a handshake.
 */
#include "engine/uplink/session.h"
#include "engine/uplink/text.h"

void connection_set(struct oxbow_uplink *u, enum oxbow_uplink_state state)
{
    if (u->state != state) {
        u->state = state;
        u->state_us = u->now_us;
        session_log(u, OXBOW_LOG_DEBUG, "state", oxbow_uplink_state_name(state));
    }
}

void connection_try_now(struct oxbow_uplink *u)
{
    u->backoff.attempt = 0;
    if (u->state == OXBOW_UPLINK_IS_WAITING || u->state == OXBOW_UPLINK_IS_DOWN) {
        connection_set(u, OXBOW_UPLINK_IS_WAITING);
        u->try_us = u->now_us;
    }
}

static void requests_drop(struct oxbow_uplink *u)
{
    u->request_head = 0;
    u->request_count = 0;
    u->out.len = 0;
    u->out_pos = 0;
    u->multi_busy = false;
    u->send_script = false;
    reply_parser_init(&u->parser);
    flows_disconnected(u);
}

static bool connection_useful(const struct oxbow_uplink *u)
{
    return u->state == OXBOW_UPLINK_IS_UP && u->now_us - u->state_us >= SESSION_USEFUL_US;
}

void connection_fail(struct oxbow_uplink *u, enum oxbow_uplink_trouble trouble, const char *text,
                     struct session_plan plan)
{
    if (u->state != OXBOW_UPLINK_IS_GREETING && u->state != OXBOW_UPLINK_IS_UP &&
        u->state != OXBOW_UPLINK_IS_CONNECTING) {
        return;
    }
    if (trouble != OXBOW_TROUBLE_NONE) {
        session_trouble(u, trouble, text);
        check_lost(u, trouble, text);
    }
    plan.useful = connection_useful(u);
    requests_drop(u);
    u->plan = plan;
    connection_set(u, OXBOW_UPLINK_IS_CLOSING);
}

/* Follows MOVED and ASK: the next connection goes there. */
static void connection_redirect(struct oxbow_uplink *u, const char *text)
{
    struct session_plan plan = {.at_once = true};
    char host[OXBOW_UPLINK_HOST_MAX + 1];
    uint16_t port;

    u->redirects++;
    if (u->redirects > SESSION_REDIRECTS || trouble_redirect(text, host, sizeof(host), &port)) {
        u->redirect_port = 0;
        connection_fail(u, OXBOW_TROUBLE_ROUTE, text, plan_default());
        return;
    }
    if (host[0] == 0) { /* the same host */
        text_copy(host, sizeof(host),
                  u->redirect_port ? u->redirect_host : u->targets[u->target].host);
    }
    text_copy(u->redirect_host, sizeof(u->redirect_host), host);
    u->redirect_port = port;
    u->asking = strncmp(text, "ASK", 3) == 0;
    connection_fail(u, OXBOW_TROUBLE_ROUTE, text, plan);
}

void connection_fail_row(struct oxbow_uplink *u, const struct trouble_row *row, const char *text)
{
    struct session_plan plan = {.base_ms = row->base_ms, .cap_ms = row->cap_ms};

    if (row->action == TROUBLE_REDIRECT) {
        connection_redirect(u, text);
        return;
    }
    plan.next_target = row->trouble == OXBOW_TROUBLE_NOT_MASTER;
    connection_fail(u, row->trouble, text, plan);
}

static uint64_t connection_delay(struct oxbow_uplink *u)
{
    if (u->plan.useful) {
        u->backoff.attempt = 0;
    }
    if (u->plan.at_once) {
        return 0;
    }
    if (u->plan.base_ms > 0) {
        return backoff_next_us(&u->backoff, u->plan.base_ms, u->plan.cap_ms);
    }
    if (u->plan.useful) {
        return u->config.first_spread_ms <= 1
                   ? 0
                   : backoff_spread_us(u->backoff.random, u->config.first_spread_ms);
    }
    return backoff_next_us(&u->backoff, u->config.backoff_base_ms, u->config.backoff_cap_ms);
}

static enum oxbow_uplink_trouble trouble_of_end(enum oxbow_err why)
{
    return why == OXBOW_ECERT || why == OXBOW_EPARSE ? OXBOW_TROUBLE_TLS : OXBOW_TROUBLE_LINK;
}

void connection_lost(struct oxbow_uplink *u, enum oxbow_err why, const char *text)
{
    bool useful = connection_useful(u);

    if (u->state == OXBOW_UPLINK_IS_WAITING || u->state == OXBOW_UPLINK_IS_DOWN ||
        u->state == OXBOW_UPLINK_IS_DONE) {
        return;
    }
    if (u->state != OXBOW_UPLINK_IS_CLOSING) {
        if (text == NULL) {
            text = oxbow_err_text(why);
        }
        session_trouble(u, trouble_of_end(why), text);
        check_lost(u, trouble_of_end(why), text);
        requests_drop(u);
        u->plan = plan_default();
        u->plan.useful = useful;
        u->redirect_port = 0;
        u->asking = false;
    }
    if (u->plan.next_target) {
        u->target = (u->target + 1) % u->config.target_count;
    }
    u->try_us = u->now_us + connection_delay(u);
    if (u->stopping || u->check.on) {
        connection_set(u, OXBOW_UPLINK_IS_DONE);
    } else {
        connection_set(u, u->link_down ? OXBOW_UPLINK_IS_DOWN : OXBOW_UPLINK_IS_WAITING);
    }
}

/* ---- time ---- */

static uint64_t oldest_deadline_us(struct oxbow_uplink *u)
{
    struct request *q = session_front(u);

    if (q == NULL) {
        return NEVER_US;
    }
    return q->sent_us + window_timeout_us(&u->window, (uint64_t)u->config.answer_timeout_ms * 1000);
}

static uint64_t ping_us(const struct oxbow_uplink *u)
{
    if (u->config.ping_ms == UINT32_MAX || u->request_count > 0) {
        return NEVER_US;
    }
    return u->last_in_us + (uint64_t)u->config.ping_ms * 1000;
}

/* A batch must get through within the time that an answer may take. */
static void batch_halve(struct oxbow_uplink *u)
{
    if (u->batch_limit > u->config.batch_bytes) {
        u->batch_limit = u->config.batch_bytes;
    }
    u->batch_limit /= 2;
    u->batches_in_time = 0;
    if (u->batch_limit < SESSION_BATCH_MIN) {
        u->batch_limit = SESSION_BATCH_MIN;
    }
}

void connection_timers(struct oxbow_uplink *u)
{
    static const char *const ping[] = {"PING", NULL};
    uint64_t age_us = u->now_us - u->state_us;

    if (u->state == OXBOW_UPLINK_IS_CONNECTING &&
        age_us >= (uint64_t)u->config.connect_timeout_ms * 1000) {
        connection_fail(u, OXBOW_TROUBLE_LINK, "no connection in time", plan_default());
    } else if (u->state == OXBOW_UPLINK_IS_GREETING && u->request_count > 0 &&
               age_us >= (uint64_t)u->config.handshake_timeout_ms * 1000) {
        connection_fail(u, OXBOW_TROUBLE_LINK, "no answer to the greeting in time", plan_default());
    } else if (u->state == OXBOW_UPLINK_IS_UP && u->now_us >= oldest_deadline_us(u)) {
        batch_halve(u);
        connection_fail(u, OXBOW_TROUBLE_LINK, "no answer in time", plan_default());
    } else if (u->state == OXBOW_UPLINK_IS_UP && u->now_us >= ping_us(u)) {
        if (session_expect(u, REQUEST_PING, 1) == NULL || command_put(&u->out, ping)) {
            connection_fail(u, OXBOW_TROUBLE_STORE, "out of memory", plan_default());
        }
    }
}

static uint64_t connection_wake_us(struct oxbow_uplink *u)
{
    uint64_t wake = u->persist_us;

    switch (u->state) {
    case OXBOW_UPLINK_IS_WAITING:
        return min_us(wake, u->try_us);
    case OXBOW_UPLINK_IS_CONNECTING:
        return min_us(wake, u->state_us + (uint64_t)u->config.connect_timeout_ms * 1000);
    case OXBOW_UPLINK_IS_GREETING:
        if (u->request_count == 0 && u->greet_retry_us != 0) {
            return min_us(wake, u->greet_retry_us);
        }
        return min_us(wake, u->state_us + (uint64_t)u->config.handshake_timeout_ms * 1000);
    case OXBOW_UPLINK_IS_UP:
        wake = min_us(min_us(wake, oldest_deadline_us(u)), ping_us(u));
        wake = min_us(wake, flows_wake_us(u));
        return min_us(wake, confirm_wake_us(u));
    case OXBOW_UPLINK_IS_DOWN:
        return wake;
    case OXBOW_UPLINK_IS_CLOSING:
    case OXBOW_UPLINK_IS_DONE:
        break;
    }
    return NEVER_US;
}

static void connection_begin(struct oxbow_uplink *u, struct oxbow_uplink_next *out)
{
    const struct oxbow_uplink_target *t = &u->targets[u->target];
    struct text target = text_in(u->status.target, sizeof(u->status.target));

    out->action = OXBOW_UPLINK_CONNECT;
    out->host = u->redirect_port ? u->redirect_host : t->host;
    out->port = u->redirect_port ? u->redirect_port : t->port;
    out->user_timeout_ms = settings_user_timeout_ms(u);
    out->keepalive_idle_s = settings_keepalive_s(u);
    text_add(&target, out->host);
    if (strncmp(out->host, "unix:", strlen("unix:")) != 0) { /* a path has no port */
        text_add(&target, ":");
        text_u64(&target, out->port);
    }
    u->status.attempts++;
    connection_set(u, OXBOW_UPLINK_IS_CONNECTING);
}

void connection_next(struct oxbow_uplink *u, struct oxbow_uplink_next *out)
{
    static const enum oxbow_uplink_action actions[] = {
        [OXBOW_UPLINK_IS_DOWN] = OXBOW_UPLINK_SLEEP,
        [OXBOW_UPLINK_IS_WAITING] = OXBOW_UPLINK_SLEEP,
        [OXBOW_UPLINK_IS_CONNECTING] = OXBOW_UPLINK_STAY,
        [OXBOW_UPLINK_IS_GREETING] = OXBOW_UPLINK_STAY,
        [OXBOW_UPLINK_IS_UP] = OXBOW_UPLINK_STAY,
        [OXBOW_UPLINK_IS_CLOSING] = OXBOW_UPLINK_CLOSE,
        [OXBOW_UPLINK_IS_DONE] = OXBOW_UPLINK_DONE,
    };

    memset(out, 0, sizeof(*out));
    out->action = actions[u->state];
    out->reload = u->reload;
    if (u->state == OXBOW_UPLINK_IS_WAITING && u->now_us >= u->try_us) {
        connection_begin(u, out);
    }
    out->wake_us = connection_wake_us(u);
}
