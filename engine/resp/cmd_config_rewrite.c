/* SPDX-License-Identifier: Apache-2.0 */
/* CONFIG REWRITE: hands what is set now to the program, which keeps it. And what is set at first. */
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

#define SETTINGS_MAX 64u
#define DIGEST_TEXT  64u /* SHA-256 in hexadecimal */

/* Another name of a setting that is kept under its own. */
static bool is_alias(const char *name)
{
    return strcmp(name, "busy-reply-threshold") == 0;
}

/* ---- at first ---- */

enum oxbow_err resp_settings_begin(struct oxbow_resp *s)
{
    const struct oxbow_resp_setting *first = s->config.settings;

    for (uint32_t i = 0; i < s->config.setting_count; i++) {
        const struct oxbow_bytes name = {first[i].name, strlen(first[i].name)};
        const struct oxbow_bytes value = {first[i].value, strlen(first[i].value)};

        if (!resp_setting_set(s, name, value)) {
            if (s->config.why != NULL) {
                (void)snprintf(s->config.why->text, sizeof s->config.why->text,
                               "%.64s: '%.64s' is no value for it", first[i].name, first[i].value);
            }
            return OXBOW_EINVAL;
        }
    }
    s->config.settings = NULL; /* they are borrowed for this */
    return OXBOW_OK;
}

/* ---- REWRITE ---- */

/* Whether nothing was done to the default user but by requirepass: "user default" and what a fresh one,
 * or one with that password, has. */
static bool is_plain_default(const struct oxbow_resp *s, const struct acl_user *user,
                             const struct buf *line)
{
    static const char open[] = "user default on nopass ~* &* +@all";
    static const char before[] = "user default on #";
    static const char behind[] = " ~* &* +@all";
    const char *p = (const char *)line->data;
    const size_t with = sizeof before - 1 + DIGEST_TEXT + sizeof behind - 1;

    if (user != s->acl.standard) {
        return false;
    }
    if (s->required.len == 0) {
        return line->len == sizeof open - 1 && memcmp(p, open, line->len) == 0;
    }
    return line->len == with && memcmp(p, before, sizeof before - 1) == 0 &&
           memcmp(p + with - (sizeof behind - 1), behind, sizeof behind - 1) == 0 &&
           acl_password_fits(user, (struct oxbow_bytes){s->required.data, s->required.len});
}

/* The users as lines that a configuration may have, with a zero behind them. */
static enum oxbow_err users_text(struct oxbow_resp *s, struct buf *text)
{
    enum oxbow_err err = OXBOW_OK;

    for (const struct link *l = s->acl.users.next;
         err == OXBOW_OK && s->config.users_file.name == NULL && l != &s->acl.users; l = l->next) {
        const struct acl_user *user = LINK_OF(l, struct acl_user, all);
        struct buf line;

        buf_init(&line, resp_alloc(s), ACL_LIST_MAX);
        err = acl_text_user(user, &line);
        if (err == OXBOW_OK && !is_plain_default(s, user, &line)) {
            err = buf_append(text, line.data, line.len);
            err = err == OXBOW_OK ? buf_append(text, "\n", 1) : err;
        }
        buf_fini(&line);
    }
    return err == OXBOW_OK ? buf_append(text, "", 1) : err;
}

/* All that CONFIG SET can change, into memory that `values` holds. */
static enum oxbow_err settings_now(struct oxbow_resp *s, struct buf *values,
                                   struct oxbow_resp_setting out[SETTINGS_MAX], uint32_t *count)
{
    char value[RESP_VALUE_MAX];
    const char *name;
    enum oxbow_err err = OXBOW_OK;
    size_t at = 0;

    *count = 0;
    for (uint32_t i = 0; err == OXBOW_OK && resp_setting_get(s, &i, &name, value); i++) {
        if (is_alias(name)) {
            continue;
        }
        if (*count == SETTINGS_MAX) {
            return OXBOW_ETOOBIG;
        }
        out[(*count)++].name = name;
        err = buf_append(values, value, strlen(value) + 1);
    }
    for (uint32_t i = 0; err == OXBOW_OK && i < *count; i++) {
        out[i].value = (const char *)values->data + at;
        at += strlen(out[i].value) + 1;
    }
    return err;
}

enum oxbow_err resp_config_rewrite(struct resp_call *call)
{
    struct oxbow_resp *s = call->server;
    const struct oxbow_resp_rewrite *file = &s->config.rewrite;
    struct oxbow_resp_setting settings[SETTINGS_MAX];
    struct oxbow_resp_why why = {.text = ""};
    struct buf values;
    struct buf users;
    uint32_t count;
    enum oxbow_err err;

    if (file->write == NULL) {
        return resp_refuse(call, "ERR The server is running without a config file");
    }
    buf_init(&values, resp_alloc(s), SETTINGS_MAX * RESP_VALUE_MAX);
    buf_init(&users, resp_alloc(s), ACL_LIST_MAX);
    err = settings_now(s, &values, settings, &count);
    err = err == OXBOW_OK ? users_text(s, &users) : err;
    if (err == OXBOW_OK) {
        bool kept = file->write(file->ctx, settings, count, (const char *)users.data, &why);

        if (kept) {
            resp_ok(call->reply);
        } else {
            resp_error_format(call->reply, "ERR Rewriting config file: %s", why.text);
        }
    }
    buf_fini(&values);
    buf_fini(&users);
    return err;
}
