/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a connection to a session: login, role, owner, clock.
 *
 *   HELLO 2 AUTH user password SETNAME device      alone: a server takes little before the login
 *     role must be "master"; a server without HELLO: AUTH, then ROLE
 *   SELECT db · GET owner · TIME · every flow's position      in one go
 *     owner: ours -> up; nobody's -> SET NX and look again; another's -> close and tell
 *
 * Nothing is sent for a flow before the owner is known to be this store.
 */
#include "engine/uplink/session.h"
#include "engine/uplink/text.h"

#define OWNER_WAIT_MS     300000u
#define OWNER_WAIT_CAP_MS 1800000u

static void greeting_send(struct oxbow_uplink *u, enum request_kind kind, const char *const *args)
{
    if (session_expect(u, kind, 1) == NULL || command_put(&u->out, args)) {
        connection_fail(u, OXBOW_TROUBLE_STORE, "out of memory", plan_default());
    }
}

static const char *greeting_user(const struct oxbow_uplink *u)
{
    return u->secret.user[0] != 0 ? u->secret.user : "default";
}

void greeting_begin(struct oxbow_uplink *u)
{
    const char *args[8] = {"HELLO", "2"};
    size_t n = 2;

    connection_set(u, OXBOW_UPLINK_IS_GREETING);
    window_reset(&u->window, u->config.batch_bytes, u->config.window_bytes_max, u->now_us);
    u->owner_known = u->config.owner == 1;
    u->role_known = false;
    u->wrote = false;
    u->mode = u->config.mode == OXBOW_UPLINK_AUTO ? OXBOW_UPLINK_SCRIPT : u->config.mode;
    u->greet_retry_us = 0;
    u->last_in_us = u->now_us;
    if (u->config.secrets != NULL) {
        enum oxbow_err err = u->config.secrets(u->config.secrets_ctx, &u->secret);

        if (err) {
            connection_fail(u, OXBOW_TROUBLE_CREDENTIALS, "the secrets could not be loaded",
                            plan_default());
            return;
        }
        u->secret.user[OXBOW_UPLINK_SECRET_MAX] = 0;
        u->secret.password[OXBOW_UPLINK_SECRET_MAX] = 0;
        u->has_secret = u->secret.password[0] != 0;
    }
    if (u->has_secret) {
        args[n++] = "AUTH";
        args[n++] = greeting_user(u);
        args[n++] = u->secret.password;
    }
    args[n++] = "SETNAME";
    args[n++] = u->identity.device;
    greeting_send(u, REQUEST_HELLO, args);
}

static void owner_ask(struct oxbow_uplink *u)
{
    const char *const args[] = {"GET", u->owner_key, NULL};

    u->greet_retry_us = 0;
    greeting_send(u, REQUEST_OWNER_GET, args);
}

static void logged_in(struct oxbow_uplink *u)
{
    static const char *const clock[] = {"TIME", NULL};
    char number[NUM_TEXT_MAX];
    const char *const select[] = {"SELECT", number, NULL};

    u->role_known = true;
    if (u->config.secrets != NULL) {
        memset(&u->secret, 0, sizeof(u->secret));
    }
    (void)num_u64_text(number, u->config.database);
    if (u->config.database != 0) {
        greeting_send(u, REQUEST_SELECT, select);
    }
    if (u->check.on) {
        connection_set(u, OXBOW_UPLINK_IS_UP);
        check_begin(u);
        return;
    }
    if (u->config.owner == 0) {
        owner_ask(u);
    }
    greeting_send(u, REQUEST_TIME, clock);
    flows_read(u);
}

static void role_take(struct oxbow_uplink *u, const char *role)
{
    if (strcmp(role, "master") == 0) {
        logged_in(u);
        return;
    }
    connection_fail(u, OXBOW_TROUBLE_NOT_MASTER, "the target is a replica", plan_default());
}

static void legacy_login(struct oxbow_uplink *u)
{
    static const char *const role[] = {"ROLE", NULL};
    const char *const with_user[] = {"AUTH", u->secret.user, u->secret.password, NULL};
    const char *const without[] = {"AUTH", u->secret.password, NULL};

    if (u->has_secret) {
        greeting_send(u, REQUEST_AUTH, u->secret.user[0] ? with_user : without);
    }
    greeting_send(u, REQUEST_ROLE, role);
}

static void hello_answer(struct oxbow_uplink *u, const struct reply *r)
{
    const struct reply_node *role = reply_find(r, "role");
    const struct reply_node *version = reply_find(r, "version");
    const char *error = r->nodes[0].text;

    if (r->nodes[0].type == REPLY_ERROR) {
        if (strstr(error, "unknown command") != NULL || strstr(error, "'hello'") != NULL) {
            legacy_login(u);
        } else {
            connection_fail_row(u, trouble_of(error), error);
        }
        return;
    }
    if (version != NULL) {
        text_copy(u->status.server, sizeof(u->status.server), version->text);
    }
    if (role == NULL) {
        connection_fail(u, OXBOW_TROUBLE_PROTOCOL, "HELLO was not answered with a role",
                        plan_default());
        return;
    }
    role_take(u, role->text);
}

static void role_answer(struct oxbow_uplink *u, const struct reply *r)
{
    const struct reply_node *first = reply_at(r, 0);

    if (r->nodes[0].type == REPLY_ERROR) {
        enum oxbow_uplink_trouble trouble = trouble_of(r->nodes[0].text)->trouble;

        if (trouble == OXBOW_TROUBLE_ACL || trouble == OXBOW_TROUBLE_SCRIPT) {
            logged_in(u); /* it may not be asked; a replica will say READONLY */
        } else {
            connection_fail_row(u, trouble_of(r->nodes[0].text), r->nodes[0].text);
        }
        return;
    }
    role_take(u, first == NULL ? "" : first->text);
}

static void owner_take(struct oxbow_uplink *u, bool overwrite)
{
    const char *const args[] = {"SET", u->owner_key, u->identity.owner, overwrite ? NULL : "NX",
                                NULL};

    greeting_send(u, REQUEST_OWNER_SET, args);
    owner_ask(u);
}

static void owner_refused(struct oxbow_uplink *u, const char *text)
{
    const struct trouble_row *row = trouble_of(text);

    if (row->action == TROUBLE_RETRY && row->trouble != OXBOW_TROUBLE_ACL) {
        session_trouble(u, row->trouble, text);
        u->greet_retry_us = u->now_us + backoff_next_us(&u->backoff, row->base_ms, row->cap_ms);
        return;
    }
    connection_fail_row(u, row, text);
}

static void owner_answer(struct oxbow_uplink *u, const struct reply *r)
{
    const struct session_plan plan = {.base_ms = OWNER_WAIT_MS, .cap_ms = OWNER_WAIT_CAP_MS};
    const struct reply_node *n = &r->nodes[0];
    char text[256];
    struct text t = text_in(text, sizeof(text));

    if (n->type == REPLY_ERROR) {
        owner_refused(u, n->text);
    } else if (u->greet_retry_us != 0) {
        return; /* the SET before this GET was refused: wait */
    } else if (n->type == REPLY_NIL) {
        owner_take(u, false);
    } else if (strcmp(n->text, u->identity.owner) == 0) {
        u->owner_known = true;
    } else if (u->adopt || u->stand_in) { /* a stand-in's keys are nobody else's */
        session_log(u, OXBOW_LOG_WARN, "taking over from owner", n->text);
        owner_take(u, true);
    } else {
        text_add(&t, "another store owns ");
        text_add(&t, u->owner_key);
        text_add(&t, ": ");
        text_add(&t, n->text);
        connection_fail(u, OXBOW_TROUBLE_OWNER, text, plan);
    }
}

static void time_answer(struct oxbow_uplink *u, const struct reply *r)
{
    const struct reply_node *s = reply_at(r, 0), *us = reply_at(r, 1);
    uint64_t seconds, micros, ours;

    if (s == NULL || us == NULL || num_u64((struct oxbow_bytes){s->text, s->len}, &seconds) ||
        num_u64((struct oxbow_bytes){us->text, us->len}, &micros) || seconds > UINT32_MAX * 16ull) {
        return; /* it may not be asked, and is not needed */
    }
    ours = u->port->clock.wall_ms(u->port->clock.ctx);
    u->status.target_clock_ms = seconds * 1000 + micros / 1000;
    u->status.skew_ms = (int64_t)(u->status.target_clock_ms - ours);
}

void greeting_answer(struct oxbow_uplink *u, const struct request *q, const struct reply *r)
{
    bool error = r->nodes[0].type == REPLY_ERROR;

    switch (q->kind) {
    case REQUEST_HELLO:
        hello_answer(u, r);
        break;
    case REQUEST_ROLE:
        role_answer(u, r);
        break;
    case REQUEST_OWNER_GET:
        owner_answer(u, r);
        break;
    case REQUEST_TIME:
        time_answer(u, r);
        break;
    case REQUEST_OWNER_SET: /* the GET behind it tells what came of it, unless it was refused */
        u->wrote = u->wrote || !error;
        if (error) {
            owner_refused(u, r->nodes[0].text);
        }
        break;
    default: /* AUTH, SELECT */
        if (error) {
            connection_fail_row(u, trouble_of(r->nodes[0].text), r->nodes[0].text);
        }
        break;
    }
}

void greeting_run(struct oxbow_uplink *u)
{
    if (u->greet_retry_us != 0 && u->now_us >= u->greet_retry_us && u->request_count == 0) {
        u->state_us = u->now_us;
        owner_ask(u);
    }
    if (u->role_known && u->owner_known) {
        connection_set(u, OXBOW_UPLINK_IS_UP);
        u->status.connects++;
        session_log(u, OXBOW_LOG_INFO, "up", u->status.target);
    }
}
