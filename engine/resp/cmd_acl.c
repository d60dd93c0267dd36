/* SPDX-License-Identifier: Apache-2.0 */
/* ACL and its subcommands: users and their rights, as seen and changed by clients. */
#include "engine/resp/cmd_acl.h"

#include "engine/resp/args.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_MAX     128u
#define TEXT_MAX      ((size_t)64 << 20)
#define LOG_SHOWN     10
#define PASS_BITS_MAX 4096
#define PASS_BITS     256

static struct oxbow_bytes bytes_of(const struct buf *b)
{
    return (struct oxbow_bytes){b->data, b->len};
}

/* What a C string of it shows. */
static int shown(struct oxbow_bytes b)
{
    const char *zero = b.len > 0 ? memchr(b.data, 0, b.len) : NULL;
    size_t len = zero != NULL ? (size_t)(zero - (const char *)b.data) : b.len;

    return (int)(len < SHOWN_MAX ? len : SHOWN_MAX);
}

static enum oxbow_err refuse_count(struct resp_call *call)
{
    resp_error_format(call->reply,
                      "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try ACL "
                      "HELP.",
                      shown(call->args[1]), (const char *)call->args[1].data);
    return OXBOW_OK;
}

/* ---- who there is ---- */

static enum oxbow_err acl_whoami(struct resp_call *call)
{
    resp_bulk(call->reply, acl_name(call->client->who));
    return OXBOW_OK;
}

static enum oxbow_err acl_users(struct resp_call *call)
{
    const struct link *users = &call->server->acl.users;
    struct resp_later later = resp_array_later(call->reply);
    size_t n = 0;

    for (const struct link *l = users->next; l != users; l = l->next) {
        resp_bulk(call->reply, acl_name(LINK_OF(l, struct acl_user, all)));
        n++;
    }
    resp_later_set(call->reply, later, n);
    return OXBOW_OK;
}

static enum oxbow_err acl_list(struct resp_call *call)
{
    const struct link *users = &call->server->acl.users;
    struct resp_later later = resp_array_later(call->reply);
    enum oxbow_err err = OXBOW_OK;
    struct buf text;
    size_t n = 0;

    buf_init(&text, resp_alloc(call->server), TEXT_MAX);
    for (const struct link *l = users->next; err == OXBOW_OK && l != users; l = l->next) {
        text.len = 0;
        err = acl_text_user(LINK_OF(l, struct acl_user, all), &text);
        resp_bulk(call->reply, bytes_of(&text));
        n++;
    }
    buf_fini(&text);
    resp_later_set(call->reply, later, n);
    return err;
}

/* ---- GETUSER ---- */

static void reply_flags(struct resp_reply *r, const struct acl_user *u)
{
    struct resp_later later = resp_set_later(r);
    size_t n = 1;

    resp_bulk_text(r, u->on ? "on" : "off");
    if (u->nopass) {
        resp_bulk_text(r, "nopass");
        n++;
    }
    if (u->skip_sanitize) {
        resp_bulk_text(r, "skip-sanitize-payload");
        n++;
    }
    if (u->sanitize) {
        resp_bulk_text(r, "sanitize-payload");
        n++;
    }
    resp_later_set(r, later, n);
}

static void reply_passwords(struct resp_reply *r, const struct acl_user *u)
{
    struct resp_later later = resp_array_later(r);
    struct acl_item item;
    size_t pos = 0;
    size_t n = 0;

    while (acl_item_next(&u->passwords, &pos, &item)) {
        uint8_t *hex = resp_bulk_space(r, 2 * SHA256_LEN);

        for (size_t i = 0; hex != NULL && i < SHA256_LEN; i++) {
            static const char digits[] = "0123456789abcdef";
            uint8_t v = ((const uint8_t *)item.text.data)[i];

            hex[2 * i] = (uint8_t)digits[v >> 4];
            hex[2 * i + 1] = (uint8_t)digits[v & 15];
        }
        n++;
    }
    resp_later_set(r, later, n);
}

static enum oxbow_err reply_selector(struct resp_call *call, const struct acl_selector *s)
{
    static const struct {
        const char *name;
        enum oxbow_err (*text)(const struct acl_selector *s, struct buf *out);
    } parts[] = {
        {"commands", acl_text_commands}, {"keys", acl_text_keys}, {"channels", acl_text_channels}};
    enum oxbow_err err = OXBOW_OK;
    struct buf text;

    buf_init(&text, resp_alloc(call->server), TEXT_MAX);
    for (size_t i = 0; err == OXBOW_OK && i < sizeof parts / sizeof parts[0]; i++) {
        text.len = 0;
        err = parts[i].text(s, &text);
        resp_bulk_text(call->reply, parts[i].name);
        resp_bulk(call->reply, bytes_of(&text));
    }
    buf_fini(&text);
    return err;
}

static enum oxbow_err acl_getuser(struct resp_call *call)
{
    const struct acl_user *u = acl_find(&call->server->acl, call->args[2]);
    struct resp_later later;
    enum oxbow_err err;
    size_t n = 0;

    if (u == NULL) {
        resp_null(call->reply);
        return OXBOW_OK;
    }
    resp_map(call->reply, 6);
    resp_bulk_text(call->reply, "flags");
    reply_flags(call->reply, u);
    resp_bulk_text(call->reply, "passwords");
    reply_passwords(call->reply, u);
    err = reply_selector(call, acl_root(u));
    resp_bulk_text(call->reply, "selectors");
    later = resp_array_later(call->reply);
    for (const struct link *l = u->selectors.next->next; err == OXBOW_OK && l != &u->selectors;
         l = l->next) {
        resp_map(call->reply, 3);
        err = reply_selector(call, LINK_OF(l, struct acl_selector, of_user));
        n++;
    }
    resp_later_set(call->reply, later, n);
    return err;
}

/* ---- changes ---- */

static enum oxbow_err acl_setuser(struct resp_call *call)
{
    struct acl *acl = &call->server->acl;
    const struct acl_user *user = acl_find(acl, call->args[2]);
    struct acl_why why;
    struct acl_user *draft;
    enum oxbow_err err;

    if (acl_has_blanks(call->args[2])) {
        return resp_refuse(call, "ERR Usernames can't contain spaces or null characters");
    }
    err = user != NULL ? acl_draft_of(acl, user, &draft) : acl_draft(acl, call->args[2], &draft);
    if (err != OXBOW_OK) {
        return err;
    }
    if (!acl_rules(acl, draft, call->args + 3, call->count - 3, &why)) {
        acl_user_free(acl, draft);
        resp_error_format(call->reply, "ERR %s", why.text);
        return OXBOW_OK;
    }
    resp_users_changed(call->server, acl_settle(acl, draft));
    resp_ok(call->reply);
    return OXBOW_OK;
}

static enum oxbow_err acl_deluser(struct resp_call *call)
{
    struct acl *acl = &call->server->acl;
    int64_t n = 0;
    struct link old;

    link_init(&old);
    for (uint32_t i = 2; i < call->count; i++) {
        if (acl_find(acl, call->args[i]) == acl->standard) {
            return resp_refuse(call, "ERR The 'default' user cannot be removed");
        }
    }
    for (uint32_t i = 2; i < call->count; i++) {
        struct acl_user *u = acl_find(acl, call->args[i]);

        if (u != NULL) {
            link_remove(&u->all);
            link_add(&old, &u->all);
            n++;
        }
    }
    resp_users_gone(call->server, &old);
    resp_int(call->reply, n);
    return OXBOW_OK;
}

#define NO_FILE                                                                                    \
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users " \
    "via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis "      \
    "configuration file set) in order to store users in the Redis configuration."

static enum oxbow_err acl_load_file(struct resp_call *call)
{
    struct acl_why why;

    if (call->server->config.users_file.name == NULL) {
        return resp_refuse(call, NO_FILE);
    }
    if (!resp_users_load(call->server, &why)) {
        resp_error_format(call->reply, "ERR %s", why.text);
        return OXBOW_OK;
    }
    resp_ok(call->reply);
    return OXBOW_OK;
}

static enum oxbow_err acl_save_file(struct resp_call *call)
{
    enum oxbow_err err;

    if (call->server->config.users_file.name == NULL) {
        return resp_refuse(call, NO_FILE);
    }
    err = resp_users_save(call->server);
    if (err != OXBOW_OK) {
        resp_error_format(call->reply, "ERR There was an error trying to save the ACLs: %s",
                          oxbow_err_text(err));
        return OXBOW_OK;
    }
    resp_ok(call->reply);
    return OXBOW_OK;
}

/* ---- what there is ---- */

static enum oxbow_err acl_cat(struct resp_call *call)
{
    const struct acl_category *cat;
    const struct resp_command *row;
    struct resp_later later;
    size_t n = 0;

    if (call->count > 3) {
        return refuse_count(call);
    }
    cat = call->count == 3 ? acl_category_find(call->args[2]) : NULL;
    if (call->count == 3 && cat == NULL) {
        resp_error_format(call->reply, "ERR Unknown category '%.*s'", shown(call->args[2]),
                          (const char *)call->args[2].data);
        return OXBOW_OK;
    }
    later = resp_array_later(call->reply);
    if (call->count == 2) {
        for (cat = acl_categories; cat->name != NULL; cat++, n++) {
            resp_bulk_text(call->reply, cat->name);
        }
        resp_later_set(call->reply, later, n);
        return OXBOW_OK;
    }
    for (uint32_t i = 0; (row = resp_table_row(i)) != NULL; i++) {
        if (!resp_served_to(call->client, row)) {
            continue;
        }
        if (acl_in_category(cat, row)) {
            resp_bulk_text(call->reply, row->name);
            n++;
        }
        for (const struct resp_command *sub = row->subs; sub != NULL && sub->name != NULL; sub++) {
            if (acl_in_category(cat, sub)) {
                resp_bulk_text(call->reply, sub->name);
                n++;
            }
        }
    }
    resp_later_set(call->reply, later, n);
    return OXBOW_OK;
}

static enum oxbow_err acl_genpass(struct resp_call *call)
{
    const struct oxbow_random *random = &call->server->port->random;
    uint8_t drawn[PASS_BITS_MAX / 8];
    char text[PASS_BITS_MAX / 4 + 1];
    int64_t bits = PASS_BITS;
    enum oxbow_err err;

    if (call->count > 3) {
        return refuse_count(call);
    }
    if (call->count == 3 && !resp_arg_int(call->args[2], &bits)) {
        return resp_refuse_integer(call);
    }
    if (bits < 1 || bits > PASS_BITS_MAX) {
        return resp_refuse(call, "ERR ACL GENPASS argument must be the number of bits for the "
                                 "output password, a positive number up to 4096");
    }
    err = random->fill(random->ctx, drawn, sizeof drawn);
    if (err != OXBOW_OK) {
        return err;
    }
    for (int64_t i = 0; i < (bits + 3) / 4; i++) {
        unsigned digit = i % 2 == 0 ? drawn[i / 2] >> 4 : drawn[i / 2] & 15u;

        text[i] = "0123456789abcdef"[digit];
    }
    resp_bulk(call->reply, (struct oxbow_bytes){text, (size_t)(bits + 3) / 4});
    return OXBOW_OK;
}

static void reply_entry(struct resp_call *call, const struct acl_entry *e)
{
    const struct oxbow_clock *clock = &call->server->port->clock;
    uint64_t age_ms = (clock->mono_us(clock->ctx) - e->at_us) / 1000;

    resp_map(call->reply, 7);
    resp_bulk_text(call->reply, "count");
    resp_int(call->reply, (int64_t)e->count);
    resp_bulk_text(call->reply, "reason");
    resp_bulk_text(call->reply, acl_reason(e->reason));
    resp_bulk_text(call->reply, "context");
    resp_bulk_text(call->reply, e->context);
    resp_bulk_text(call->reply, "object");
    resp_bulk(call->reply, bytes_of(&e->object));
    resp_bulk_text(call->reply, "username");
    resp_bulk(call->reply, bytes_of(&e->user));
    resp_bulk_text(call->reply, "age-seconds");
    resp_double(call->reply, (double)age_ms / 1000);
    resp_bulk_text(call->reply, "client-info");
    resp_bulk(call->reply, bytes_of(&e->client));
}

static enum oxbow_err acl_log(struct resp_call *call)
{
    struct acl *acl = &call->server->acl;
    int64_t most = LOG_SHOWN;
    struct resp_later later;
    int64_t n = 0;

    if (call->count > 3) {
        return refuse_count(call);
    }
    if (call->count == 3 && resp_arg_is(call->args[2], "reset")) {
        acl_log_clear(acl);
        resp_ok(call->reply);
        return OXBOW_OK;
    }
    if (call->count == 3 && !resp_arg_int(call->args[2], &most)) {
        return resp_refuse_integer(call);
    }
    later = resp_array_later(call->reply);
    for (const struct link *l = acl->log.next; n < most && l != &acl->log; l = l->next, n++) {
        reply_entry(call, LINK_OF(l, struct acl_entry, of_log));
    }
    resp_later_set(call->reply, later, (size_t)n);
    return OXBOW_OK;
}

/* ---- DRYRUN ---- */

/* The row of the command that begins at argument 3; NULL: there is none. */
static const struct resp_command *dry_row(const struct resp_call *call)
{
    const struct resp_command *row = resp_find(call->client, call->args[3]);

    if (row != NULL && row->subs != NULL && call->count > 4) {
        row = resp_sub_find(row, call->args[4]);
    }
    return row;
}

static enum oxbow_err reply_verdict(struct resp_call *call, const struct resp_call *tried,
                                    enum acl_verdict verdict, uint32_t arg)
{
    struct oxbow_bytes what = tried->args[arg];
    struct buf text;
    char part[SHOWN_MAX];
    enum oxbow_err err;
    const char *zero;

    if (verdict == ACL_ALLOWED) {
        resp_ok(call->reply);
        return OXBOW_OK;
    }
    if (verdict == ACL_DENIED_COMMAND) {
        (void)snprintf(part, sizeof part, "This user has no permissions to run the '%s' command",
                       tried->row->name);
        resp_bulk_text(call->reply, part);
        return OXBOW_OK;
    }
    zero = what.len > 0 ? memchr(what.data, 0, what.len) : NULL;
    what.len = zero != NULL ? (size_t)(zero - (const char *)what.data) : what.len;
    buf_init(&text, resp_alloc(call->server), what.len + sizeof part);
    (void)snprintf(part, sizeof part, "This user has no permissions to access the '");
    err = buf_append(&text, part, strlen(part));
    err = err == OXBOW_OK && what.len > 0 ? buf_append(&text, what.data, what.len) : err;
    (void)snprintf(part, sizeof part, "' %s", verdict == ACL_DENIED_KEY ? "key" : "channel");
    err = err == OXBOW_OK ? buf_append(&text, part, strlen(part)) : err;
    resp_bulk(call->reply, bytes_of(&text));
    buf_fini(&text);
    return err;
}

static enum oxbow_err acl_dryrun(struct resp_call *call)
{
    const struct acl_user *user = acl_find(&call->server->acl, call->args[2]);
    const struct resp_call tried = {
        .row = dry_row(call), .args = call->args + 3, .count = call->count - 3};
    const struct resp_command *row = tried.row;
    uint32_t arg;
    enum acl_verdict verdict;

    if (user == NULL) {
        resp_error_format(call->reply, "ERR User '%.*s' not found", shown(call->args[2]),
                          (const char *)call->args[2].data);
        return OXBOW_OK;
    }
    if (row == NULL) {
        resp_error_format(call->reply, "ERR Command '%.*s' not found", shown(call->args[3]),
                          (const char *)call->args[3].data);
        return OXBOW_OK;
    }
    if ((row->arity > 0 && tried.count != (uint32_t)row->arity) ||
        (row->arity < 0 && tried.count < (uint32_t)-row->arity)) {
        resp_error_format(call->reply, "ERR wrong number of arguments for '%s' command", row->name);
        return OXBOW_OK;
    }
    verdict = acl_check(&call->server->acl, user, &tried, &arg);
    return reply_verdict(call, &tried, verdict, arg);
}

static enum oxbow_err acl_help(struct resp_call *call)
{
    static const char *const lines[] = {
        "ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CAT [<category>]",
        "DELUSER <username> [<username> ...]",
        "DRYRUN <username> <command> [<arg> ...]",
        "GENPASS [<bits>]",
        "GETUSER <username>",
        "LIST",
        "LOAD",
        "LOG [<count>|RESET]",
        "SAVE",
        "SETUSER <username> [<rule> ...]",
        "USERS",
        "WHOAMI",
        "HELP",
    };

    resp_array(call->reply, sizeof lines / sizeof lines[0]);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        resp_simple(call->reply, lines[i]);
    }
    return OXBOW_OK;
}

#define OPEN  (RESP_NOSCRIPT | RESP_LOADING | RESP_STALE | RESP_PURE)
#define ADMIN (RESP_ADMIN | RESP_NOSCRIPT | RESP_LOADING | RESP_STALE)

const struct resp_command resp_acl_subs[] = {
    {"acl|whoami", acl_whoami, 2, OPEN, 0, 0, 0, 0, "6.0.0", "The user's name", NULL},
    {"acl|users", acl_users, 2, ADMIN | RESP_PURE, 0, 0, 0, 0, "6.0.0", "The names of all users",
     NULL},
    {"acl|list", acl_list, 2, ADMIN | RESP_PURE, 0, 0, 0, 0, "6.0.0",
     "All users with their rights, as lines of a file", NULL},
    {"acl|getuser", acl_getuser, 3, ADMIN | RESP_PURE, 0, 0, 0, 0, "6.0.0", "A user's rights",
     NULL},
    {"acl|setuser", acl_setuser, -3, ADMIN | RESP_ALONE, 0, 0, 0, 0, "6.0.0",
     "Makes a user, or changes its rights", NULL},
    {"acl|deluser", acl_deluser, -3, ADMIN | RESP_ALONE, 0, 0, 0, 0, "6.0.0",
     "Removes users and closes their connections", NULL},
    {"acl|cat", acl_cat, -2, OPEN, 0, 0, 0, 0, "6.0.0", "The categories, or the commands of one",
     NULL},
    {"acl|genpass", acl_genpass, -2, OPEN, 0, 0, 0, 0, "6.0.0", "A password drawn by chance", NULL},
    {"acl|log", acl_log, -2, ADMIN | RESP_ALONE, 0, 0, 0, 0, "6.0.0", "Who was refused what", NULL},
    {"acl|dryrun", acl_dryrun, -4, ADMIN | RESP_PURE, 0, 0, 0, 0, "7.0.0",
     "Whether a user may give a command", NULL},
    {"acl|load", acl_load_file, 2, ADMIN | RESP_ALONE, 0, 0, 0, 0, "6.0.0",
     "Reads the users from their file", NULL},
    {"acl|save", acl_save_file, 2, ADMIN | RESP_ALONE, 0, 0, 0, 0, "6.0.0",
     "Writes the users to their file", NULL},
    {"acl|help", acl_help, 2, RESP_LOADING | RESP_STALE | RESP_PURE, 0, 0, 0, 0, "6.0.0",
     "What ACL can do", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
