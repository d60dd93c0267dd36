/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other threads may do with a session: give it a command, wait until it has drained, look.
 *
 * Commands are bits that the driver's thread takes at its next run. Draining waits on a condition
 * that every run signals while somebody waits; the goal is read from the store by the thread that
 * waits, before it takes the session's mutex.
 */
#include "engine/uplink/session.h"
#include "engine/uplink/text.h"

static const char *const trouble_names[OXBOW_TROUBLE_COUNT] = {
    [OXBOW_TROUBLE_NONE] = "none",         [OXBOW_TROUBLE_LINK] = "link",
    [OXBOW_TROUBLE_TLS] = "tls",           [OXBOW_TROUBLE_ROUTE] = "route",
    [OXBOW_TROUBLE_BUSY] = "busy",         [OXBOW_TROUBLE_NOT_MASTER] = "not-master",
    [OXBOW_TROUBLE_FULL] = "full",         [OXBOW_TROUBLE_CREDENTIALS] = "credentials",
    [OXBOW_TROUBLE_ACL] = "acl",           [OXBOW_TROUBLE_SCRIPT] = "script",
    [OXBOW_TROUBLE_KEY] = "key",           [OXBOW_TROUBLE_REFUSED] = "refused",
    [OXBOW_TROUBLE_PROTOCOL] = "protocol", [OXBOW_TROUBLE_OWNER] = "owner",
    [OXBOW_TROUBLE_FOREIGN] = "foreign",   [OXBOW_TROUBLE_BEYOND] = "beyond",
    [OXBOW_TROUBLE_STORE] = "store",
};

static const char *const state_names[] = {
    [OXBOW_UPLINK_IS_DOWN] = "down",
    [OXBOW_UPLINK_IS_WAITING] = "waiting",
    [OXBOW_UPLINK_IS_CONNECTING] = "connecting",
    [OXBOW_UPLINK_IS_GREETING] = "greeting",
    [OXBOW_UPLINK_IS_UP] = "up",
    [OXBOW_UPLINK_IS_CLOSING] = "closing",
    [OXBOW_UPLINK_IS_DONE] = "done",
};

const char *oxbow_uplink_trouble_name(enum oxbow_uplink_trouble trouble)
{
    return (unsigned)trouble < OXBOW_TROUBLE_COUNT ? trouble_names[trouble] : "?";
}

const char *oxbow_uplink_forward_state_name(enum oxbow_uplink_forward_state state)
{
    static const char *const names[] = {
        [OXBOW_UPLINK_FORWARD_NEW] = "new",         [OXBOW_UPLINK_FORWARD_READY] = "ready",
        [OXBOW_UPLINK_FORWARD_RESYNC] = "resync",   [OXBOW_UPLINK_FORWARD_WAIT] = "wait",
        [OXBOW_UPLINK_FORWARD_STOPPED] = "stopped",
    };

    return (unsigned)state <= OXBOW_UPLINK_FORWARD_STOPPED ? names[state] : "?";
}

const char *oxbow_uplink_state_name(enum oxbow_uplink_state state)
{
    return (unsigned)state <= OXBOW_UPLINK_IS_DONE ? state_names[state] : "?";
}

/* ---- commands ---- */

static bool command_has(const struct oxbow_uplink *u, enum oxbow_uplink_command c)
{
    return (u->commands & 1u << c) != 0;
}

static void command_link(struct oxbow_uplink *u)
{
    const struct session_plan plan = {.at_once = true};

    if (command_has(u, OXBOW_UPLINK_DOWN)) {
        u->link_down = true;
        connection_fail(u, OXBOW_TROUBLE_NONE, "", plan);
        if (u->state == OXBOW_UPLINK_IS_WAITING) {
            connection_set(u, OXBOW_UPLINK_IS_DOWN);
        }
    }
    if (command_has(u, OXBOW_UPLINK_UP)) {
        u->link_down = false;
        connection_try_now(u);
    }
}

static void command_rest(struct oxbow_uplink *u)
{
    if (command_has(u, OXBOW_UPLINK_PAUSE)) {
        u->paused = true;
    }
    if (command_has(u, OXBOW_UPLINK_RESUME)) {
        u->paused = false;
        flows_retry_stopped(u);
    }
    if (command_has(u, OXBOW_UPLINK_FLUSH)) {
        u->flush = true;
    }
    if (command_has(u, OXBOW_UPLINK_RELOAD)) {
        u->reload++;
        u->reload_wanted = true;
    }
    if (command_has(u, OXBOW_UPLINK_ADOPT)) {
        u->adopt = true;
        flows_retry_stopped(u);
        connection_try_now(u);
    }
}

void control_commands(struct oxbow_uplink *u)
{
    const struct session_plan plan = {.at_once = true};

    if (u->commands != 0) {
        command_link(u);
        command_rest(u);
        u->stopping = u->stopping || command_has(u, OXBOW_UPLINK_STOP);
        u->commands = 0;
    }
    if (u->stopping) {
        connection_fail(u, OXBOW_TROUBLE_NONE, "", plan);
        if (u->state == OXBOW_UPLINK_IS_WAITING || u->state == OXBOW_UPLINK_IS_DOWN) {
            connection_set(u, OXBOW_UPLINK_IS_DONE);
        }
    } else if (u->reload_wanted) {
        if (u->state == OXBOW_UPLINK_IS_UP && u->request_count == 0) {
            u->reload_wanted = false;
            connection_fail(u, OXBOW_TROUBLE_NONE, "", plan);
        } else if (u->state == OXBOW_UPLINK_IS_WAITING || u->state == OXBOW_UPLINK_IS_DOWN) {
            u->reload_wanted = false;
        }
    }
}

void oxbow_uplink_command(struct oxbow_uplink *u, enum oxbow_uplink_command command)
{
    void (*wake)(void *ctx);
    void *ctx;

    u->port->threads.mutex_lock(u->mutex);
    /* The later of two opposites counts. */
    if (command == OXBOW_UPLINK_UP || command == OXBOW_UPLINK_DOWN) {
        u->commands &= ~(1u << OXBOW_UPLINK_UP | 1u << OXBOW_UPLINK_DOWN);
    }
    if (command == OXBOW_UPLINK_PAUSE || command == OXBOW_UPLINK_RESUME) {
        u->commands &= ~(1u << OXBOW_UPLINK_PAUSE | 1u << OXBOW_UPLINK_RESUME);
    }
    u->commands |= 1u << command;
    wake = u->wake;
    ctx = u->wake_ctx;
    u->port->threads.mutex_unlock(u->mutex);
    if (wake != NULL) {
        wake(ctx);
    }
}

enum oxbow_err oxbow_uplink_forward_pause(struct oxbow_uplink *u, uint32_t forward, bool paused)
{
    void (*wake)(void *ctx);
    void *ctx;
    enum oxbow_err err;

    u->port->threads.mutex_lock(u->mutex);
    err = flow_pause(u, forward, paused);
    wake = u->wake;
    ctx = u->wake_ctx;
    u->port->threads.mutex_unlock(u->mutex);
    if (!err && wake != NULL) {
        wake(ctx);
    }
    return err;
}

/* ---- drain ---- */

struct drain_goal {
    uint32_t id; /* the forward's */
    struct oxbow_id end;
};

struct drain_goals {
    struct drain_goal at[OXBOW_FORWARD_COUNT_MAX];
    size_t count;
};

static enum oxbow_err goal_add(struct oxbow_txn *txn, const char *name, struct oxbow_forward *f,
                               struct drain_goals *goals)
{
    struct oxbow_forward_status status;
    enum oxbow_err err = oxbow_forward_get(txn, name, f);

    if (!err) {
        err = oxbow_forward_status(txn, name, &status);
    }
    if (!err && goals->count < OXBOW_FORWARD_COUNT_MAX) {
        goals->at[goals->count++] = (struct drain_goal){f->id, status.selectable};
    }
    return err;
}

static enum oxbow_err goals_all(struct oxbow_txn *txn, struct oxbow_forward *f,
                                struct drain_goals *goals)
{
    char name[OXBOW_FORWARD_NAME_MAX + 1];
    struct oxbow_result names = {0};
    enum oxbow_err err = oxbow_forward_list(txn, &names);
    size_t i;

    for (i = 0; !err && i < names.item_count; i++) {
        struct text t = text_in(name, sizeof(name));

        text_bytes(&t, names.items[i].data, names.items[i].len);
        err = goal_add(txn, name, f, goals);
    }
    oxbow_result_fini(&names);
    return err;
}

static enum oxbow_err goals_read(struct oxbow *db, const char *forward, struct drain_goals *goals)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    const struct oxbow_alloc *alloc = &oxbow_port_of(db)->alloc;
    struct oxbow_forward *f = mem_new(alloc, sizeof(*f));
    struct oxbow_txn *txn = NULL;
    uint64_t lsn = 0;
    enum oxbow_err err = f == NULL ? OXBOW_ENOMEM : oxbow_txn_begin(db, &opt, &txn);

    if (!err) {
        err = forward == NULL ? goals_all(txn, f, goals) : goal_add(txn, forward, f, goals);
        if (err) {
            oxbow_txn_abort(txn);
        } else {
            err = oxbow_txn_commit(txn, &lsn);
        }
    }
    if (!err) {
        oxbow_sync_start(db, lsn);
    }
    mem_free(alloc, f, sizeof(*f));
    return err;
}

static bool goals_met(const struct oxbow_uplink *u, const struct drain_goals *goals)
{
    size_t g, i;

    for (g = 0; g < goals->count; g++) {
        bool known = false, met = false;

        for (i = 0; i < u->flow_count && !known; i++) {
            known = u->flows[i].f.id == goals->at[g].id;
            met = known &&
                  (u->flows[i].gone || id_compare(u->flows[i].confirmed, goals->at[g].end) >= 0);
        }
        /* One that the session does not know yet is met when it has nothing to send. */
        if (!met && (known || !u->flows_loaded || !id_is_zero(goals->at[g].end))) {
            return false;
        }
    }
    return true;
}

static enum oxbow_err drain_wait(struct oxbow_uplink *u, const struct drain_goals *goals,
                                 int64_t timeout_ms)
{
    const struct oxbow_threads *threads = &u->port->threads;
    const struct oxbow_clock *clock = &u->port->clock;
    uint64_t until =
        timeout_ms < 0 ? NEVER_US : clock->mono_us(clock->ctx) + (uint64_t)timeout_ms * 1000;

    while (!goals_met(u, goals)) {
        uint64_t now = clock->mono_us(clock->ctx);

        if (u->closing || u->state == OXBOW_UPLINK_IS_DONE) {
            return OXBOW_ECLOSED;
        }
        if (now >= until) {
            return OXBOW_ETIMEDOUT;
        }
        u->flush = true;
        threads->cond_wait(u->changed, u->mutex, until == NEVER_US ? NEVER_US : until - now);
    }
    return OXBOW_OK;
}

enum oxbow_err oxbow_uplink_drain(struct oxbow_uplink *u, const char *forward, int64_t timeout_ms)
{
    const struct oxbow_alloc *alloc = &u->port->alloc;
    struct drain_goals *goals = mem_new(alloc, sizeof(*goals));
    enum oxbow_err err = goals == NULL ? OXBOW_ENOMEM : goals_read(u->db, forward, goals);

    if (!err) {
        u->port->threads.mutex_lock(u->mutex);
        u->drains++;
        u->port->threads.mutex_unlock(u->mutex);
        oxbow_uplink_command(u, OXBOW_UPLINK_FLUSH);
        u->port->threads.mutex_lock(u->mutex);
        err = drain_wait(u, goals, timeout_ms);
        u->drains--;
        u->flush = u->flush && u->drains > 0;
        u->port->threads.cond_broadcast(u->changed);
        u->port->threads.mutex_unlock(u->mutex);
    }
    mem_free(alloc, goals, sizeof(*goals));
    return err;
}

void control_changed(struct oxbow_uplink *u)
{
    if (u->drains > 0) {
        u->port->threads.cond_broadcast(u->changed);
    } else if (u->flush && u->window.inflight == 0) {
        u->flush = false; /* what was there has been sent */
    }
}

/* ---- status ---- */

void oxbow_uplink_status(struct oxbow_uplink *u, struct oxbow_uplink_status *out)
{
    const struct oxbow_clock *clock = &u->port->clock;
    struct oxbow_stat stat;
    uint64_t now;

    oxbow_stat(u->db, &stat);
    u->port->threads.mutex_lock(u->mutex);
    now = clock->mono_us(clock->ctx);
    *out = u->status;
    out->state = u->state;
    out->paused = u->paused;
    out->in_memory = stat.in_memory;
    out->stand_in = stat.stand_in;
    out->device_back = stat.device_back;
    out->trouble_age_ms = out->trouble == OXBOW_TROUBLE_NONE ? 0 : (now - u->trouble_us) / 1000;
    out->connected_ms = u->state == OXBOW_UPLINK_IS_UP ? (now - u->state_us) / 1000 : 0;
    if (u->state == OXBOW_UPLINK_IS_WAITING && u->try_us > now) {
        out->next_try_ms = (u->try_us - now) / 1000;
    }
    out->rtt_us = u->window.srtt_us;
    out->rtt_min_us = u->window.rtt_min_us;
    out->rate_bytes_s = u->window.rate;
    out->window_bytes = u->window.bytes;
    out->inflight_bytes = u->window.inflight;
    out->pace_ms = pace_allows(&u->pace, now) ? 0 : (u->pace.free_us - now + 999) / 1000;
    u->port->threads.mutex_unlock(u->mutex);
}

enum oxbow_err oxbow_uplink_forward_status(struct oxbow_uplink *u, const char *forward,
                                           struct oxbow_uplink_forward_status *out)
{
    const struct oxbow_clock *clock = &u->port->clock;
    const struct flow *f;
    enum oxbow_err err = OXBOW_ENOENT;

    u->port->threads.mutex_lock(u->mutex);
    f = flow_find(u, forward);
    if (f != NULL) {
        uint64_t now = clock->mono_us(clock->ctx);

        memset(out, 0, sizeof(*out));
        out->state = f->state;
        out->trouble = f->trouble;
        text_copy(out->text, sizeof(out->text), f->text);
        out->accepted = f->accepted;
        out->confirmed = f->confirmed;
        out->inflight_bytes = f->inflight_bytes;
        out->inflight_batches = f->inflight;
        out->entries = f->entries;
        if (f->state == OXBOW_UPLINK_FORWARD_WAIT && f->retry_us > now) {
            out->retry_ms = (f->retry_us - now) / 1000;
        }
        out->paused = flow_paused(u, f);
        err = OXBOW_OK;
    }
    u->port->threads.mutex_unlock(u->mutex);
    return err;
}

/* ---- for who is not linked to it ---- */

const struct oxbow_uplink_ops *oxbow_uplink_ops(void)
{
    static const struct oxbow_uplink_ops ops = {
        .status = oxbow_uplink_status,
        .forward_status = oxbow_uplink_forward_status,
        .forward_pause = oxbow_uplink_forward_pause,
        .command = oxbow_uplink_command,
        .state_name = oxbow_uplink_state_name,
        .forward_state_name = oxbow_uplink_forward_state_name,
        .trouble_name = oxbow_uplink_trouble_name,
    };

    return &ops;
}
