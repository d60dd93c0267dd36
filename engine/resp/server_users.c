/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's users as a whole: where they come from and are kept, the settings about them, and what
 * becomes of connections whose user is gone or may hear less than before.
 */
#include "engine/base/num.h"
#include "engine/resp/args.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

/* ---- connections ---- */

static void hang_up(struct oxbow_resp_client *c)
{
    if (c == c->server->current) {
        resp_client_end_soon(c); /* its reply comes first */
    } else {
        resp_client_kill(c);
    }
}

static void deprive(struct oxbow_resp *s, const struct acl_user *user)
{
    for (struct link *l = s->clients.next; l != &s->clients; l = l->next) {
        struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, all);

        if (c->who == user) {
            c->who = s->acl.standard;
            c->authenticated = false;
            hang_up(c);
        }
    }
}

void resp_users_gone(struct oxbow_resp *s, struct link *old)
{
    while (!link_alone(old)) {
        struct acl_user *user = LINK_OF(old->next, struct acl_user, all);

        deprive(s, user);
        acl_user_free(&s->acl, user);
    }
}

static bool may_hear_all(const struct oxbow_resp_client *c)
{
    for (const struct link *l = c->subscriptions.next; l != &c->subscriptions; l = l->next) {
        const struct resp_channel *ch = LINK_OF(l, struct resp_subscription, of_client)->channel;

        if (!acl_may_hear(c->who, (struct oxbow_bytes){ch->name, ch->len}, ch->pattern)) {
            return false;
        }
    }
    return true;
}

/* Who needs no password any more is no guest. */
static void welcome(struct oxbow_resp *s)
{
    for (struct link *l = s->clients.next; l != &s->clients; l = l->next) {
        struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, all);

        if (!c->authenticated) {
            resp_client_limits(c);
        }
    }
}

void resp_users_changed(struct oxbow_resp *s, const struct acl_user *user)
{
    for (struct link *l = s->clients.next; l != &s->clients; l = l->next) {
        struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, all);

        if (c->who == user && !c->closing && !may_hear_all(c)) {
            hang_up(c);
        }
    }
    welcome(s);
}

/* ---- from files and to them ---- */

static enum oxbow_err take(void *to, const void *data, size_t len)
{
    return len == 0 ? OXBOW_OK : buf_append(to, data, len);
}

bool resp_users_load(struct oxbow_resp *s, struct acl_why *why)
{
    const struct oxbow_resp_users *file = &s->config.users_file;
    enum oxbow_err err;
    struct link old;
    struct buf text;
    bool ok = false;

    link_init(&old);
    buf_init(&text, resp_alloc(s), ACL_LIST_MAX);
    err = file->read(file->ctx, take, &text);
    if (err != OXBOW_OK) {
        (void)snprintf(why->text, sizeof why->text, "Error loading ACLs, reading file '%s': %s",
                       file->name, err == OXBOW_ENOENT ? "no such file" : oxbow_err_text(err));
    } else {
        ok = acl_load(&s->acl, file->name, (struct oxbow_bytes){text.data, text.len}, false, &old,
                      why);
    }
    buf_fini(&text);
    if (ok) {
        resp_users_gone(s, &old);
        welcome(s); /* the default user's connections stay, as in Redis, whatever they listen to */
    }
    return ok;
}

enum oxbow_err resp_users_save(struct oxbow_resp *s)
{
    const struct oxbow_resp_users *file = &s->config.users_file;
    enum oxbow_err err;
    struct buf text;

    buf_init(&text, resp_alloc(s), ACL_LIST_MAX);
    err = acl_save(&s->acl, &text);
    err = err == OXBOW_OK ? file->write(file->ctx, text.data, text.len) : err;
    buf_fini(&text);
    return err;
}

static enum oxbow_err begin_failed(const struct oxbow_resp *s, const struct acl_why *why)
{
    if (s->config.why != NULL) {
        (void)snprintf(s->config.why->text, sizeof s->config.why->text, "%s", why->text);
    }
    return OXBOW_EINVAL;
}

enum oxbow_err resp_users_begin(struct oxbow_resp *s)
{
    struct oxbow_resp_config *config = &s->config;
    struct acl_why why = {.text = ""};
    struct link none; /* nobody was there before, so nobody goes */

    link_init(&none);
    s->acl.channels_at_first = config->all_channels;
    if (config->acl_log_max != 0) {
        s->acl.log_max = config->acl_log_max == UINT32_MAX ? 0 : config->acl_log_max;
    }
    if (config->users != NULL && config->users_file.name != NULL) {
        (void)snprintf(why.text, sizeof why.text, "users in the configuration and a file of them");
        return begin_failed(s, &why);
    }
    if (config->password != NULL && config->password[0] != '\0' &&
        !resp_set_requirepass(s,
                              (struct oxbow_bytes){config->password, strlen(config->password)})) {
        (void)snprintf(why.text, sizeof why.text, "the password is too long, or memory is out");
        return begin_failed(s, &why);
    }
    if (config->users != NULL &&
        !acl_load(&s->acl, "user", (struct oxbow_bytes){config->users, strlen(config->users)}, true,
                  &none, &why)) {
        return begin_failed(s, &why);
    }
    if (config->users_file.name != NULL && !resp_users_load(s, &why)) {
        return begin_failed(s, &why);
    }
    config->password = NULL;
    config->users = NULL;
    config->why = NULL;
    return OXBOW_OK;
}

/* ---- settings ---- */

void resp_get_requirepass(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    if (s->required.len > 0) {
        memcpy(out, s->required.data, s->required.len);
    }
    out[s->required.len] = '\0';
}

bool resp_set_requirepass(struct oxbow_resp *s, struct oxbow_bytes value)
{
    struct buf fresh;

    if (value.len > 0 && memchr(value.data, 0, value.len) != NULL) {
        return false;
    }
    buf_init(&fresh, resp_alloc(s), RESP_VALUE_MAX - 1);
    if ((value.len > 0 && buf_append(&fresh, value.data, value.len) != OXBOW_OK) ||
        acl_require(&s->acl, value) != OXBOW_OK) {
        buf_fini(&fresh);
        return false;
    }
    buf_fini(&s->required);
    s->required = fresh;
    resp_users_changed(s, s->acl.standard);
    return true;
}

void resp_get_protected(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    (void)snprintf(out, RESP_VALUE_MAX, "%s", s->config.protected_mode ? "yes" : "no");
}

bool resp_set_protected(struct oxbow_resp *s, struct oxbow_bytes value)
{
    bool yes = resp_arg_is(value, "yes");

    if (!yes && !resp_arg_is(value, "no")) {
        return false;
    }
    s->config.protected_mode = yes;
    return true;
}

void resp_get_aclfile(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    const char *name = s->config.users_file.name;

    (void)snprintf(out, RESP_VALUE_MAX, "%s", name != NULL ? name : "");
}

void resp_get_acllog(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    (void)snprintf(out, RESP_VALUE_MAX, "%u", s->acl.log_max);
}

bool resp_set_acllog(struct oxbow_resp *s, struct oxbow_bytes value)
{
    int64_t n;

    if (!resp_arg_int(value, &n) || n < 0 || n > UINT32_MAX) {
        return false;
    }
    s->acl.log_max = (uint32_t)n;
    acl_log_trim(&s->acl);
    return true;
}

void resp_get_acl_pubsub(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    (void)snprintf(out, RESP_VALUE_MAX, "%s",
                   s->acl.channels_at_first ? "allchannels" : "resetchannels");
}

bool resp_set_acl_pubsub(struct oxbow_resp *s, struct oxbow_bytes value)
{
    bool all = resp_arg_is(value, "allchannels");

    if (!all && !resp_arg_is(value, "resetchannels")) {
        return false;
    }
    s->acl.channels_at_first = all;
    return true;
}
