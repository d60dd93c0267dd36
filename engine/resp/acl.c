/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users, their passwords, and what they may do.
 *
 * 1. acl->users is sorted by name, byte by byte, and always has "default".
 * 2. A user whom a connection has is in there: who removes one closes its connections first.
 * 3. What cannot be told is refused: a command whose keys nobody knows how to find is not for a user
 *    who may not use all keys.
 */
#include "engine/resp/acl.h"

#include "engine/base/codec.h"
#include "engine/resp/glob.h"

#include <string.h>

#define ITEM_HEAD 8u

/* ---- lists ---- */

bool acl_item_next(const struct buf *list, size_t *pos, struct acl_item *item)
{
    const uint8_t *p;

    if (*pos >= list->len) {
        return false;
    }
    p = list->data + *pos;
    item->tag = get_le32(p);
    item->text = (struct oxbow_bytes){p + ITEM_HEAD, get_le32(p + 4)};
    item->at = *pos;
    *pos += ITEM_HEAD + item->text.len;
    return true;
}

static bool same(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool acl_item_find(const struct buf *list, struct oxbow_bytes text, struct acl_item *item)
{
    size_t pos = 0;

    while (acl_item_next(list, &pos, item)) {
        if (same(item->text, text)) {
            return true;
        }
    }
    return false;
}

enum oxbow_err acl_item_add(struct buf *list, uint32_t tag, struct oxbow_bytes text)
{
    enum oxbow_err err;
    uint8_t *p;

    if (text.len > list->len_max) {
        return OXBOW_ETOOBIG;
    }
    err = buf_reserve(list, ITEM_HEAD + text.len);
    if (err != OXBOW_OK) {
        return err;
    }
    p = list->data + list->len;
    put_le32(p, tag);
    put_le32(p + 4, (uint32_t)text.len);
    if (text.len > 0) {
        memcpy(p + ITEM_HEAD, text.data, text.len);
    }
    list->len += ITEM_HEAD + text.len;
    return OXBOW_OK;
}

void acl_item_tag(struct buf *list, const struct acl_item *item, uint32_t tag)
{
    put_le32(list->data + item->at, tag);
}

void acl_item_drop(struct buf *list, const struct acl_item *item)
{
    size_t len = ITEM_HEAD + item->text.len;
    size_t behind = list->len - item->at - len;

    if (behind > 0) {
        memmove(list->data + item->at, list->data + item->at + len, behind);
    }
    list->len -= len;
}

static enum oxbow_err copy(struct buf *to, const struct buf *from)
{
    return from->len == 0 ? OXBOW_OK : buf_append(to, from->data, from->len);
}

/* ---- selectors ---- */

enum oxbow_err acl_selector_add(struct acl *acl, struct acl_user *draft, struct acl_selector **out)
{
    const struct oxbow_alloc *alloc = &acl->port->alloc;
    struct acl_selector *s = mem_new(alloc, sizeof *s);

    if (s == NULL) {
        return OXBOW_ENOMEM;
    }
    link_init(&s->of_user);
    link_add(&draft->selectors, &s->of_user);
    s->all_channels = acl->channels_at_first;
    buf_init(&s->first_args, alloc, ACL_LIST_MAX);
    buf_init(&s->keys, alloc, ACL_LIST_MAX);
    buf_init(&s->channels, alloc, ACL_LIST_MAX);
    buf_init(&s->rules, alloc, ACL_LIST_MAX);
    *out = s;
    return OXBOW_OK;
}

void acl_selector_free(struct acl *acl, struct acl_selector *s)
{
    link_remove(&s->of_user);
    buf_fini(&s->first_args);
    buf_fini(&s->keys);
    buf_fini(&s->channels);
    buf_fini(&s->rules);
    mem_free(&acl->port->alloc, s, sizeof *s);
}

static enum oxbow_err selector_copy(struct acl *acl, struct acl_user *draft,
                                    const struct acl_selector *from)
{
    struct acl_selector *s;
    enum oxbow_err err = acl_selector_add(acl, draft, &s);

    if (err != OXBOW_OK) {
        return err;
    }
    s->all_keys = from->all_keys;
    s->all_channels = from->all_channels;
    s->all_commands = from->all_commands;
    s->future = from->future;
    memcpy(s->commands, from->commands, sizeof s->commands);
    err = copy(&s->first_args, &from->first_args);
    err = err == OXBOW_OK ? copy(&s->keys, &from->keys) : err;
    err = err == OXBOW_OK ? copy(&s->channels, &from->channels) : err;
    return err == OXBOW_OK ? copy(&s->rules, &from->rules) : err;
}

/* ---- users ---- */

struct acl_user *acl_find(const struct acl *acl, struct oxbow_bytes name)
{
    for (const struct link *l = acl->users.next; l != &acl->users; l = l->next) {
        struct acl_user *u = LINK_OF(l, struct acl_user, all);

        if (same(acl_name(u), name)) {
            return u;
        }
    }
    return NULL;
}

static enum oxbow_err user_new(struct acl *acl, struct oxbow_bytes name, struct acl_user **out)
{
    struct acl_user *u;

    if (name.len > ACL_LIST_MAX) {
        return OXBOW_ETOOBIG;
    }
    u = mem_new(&acl->port->alloc, sizeof *u + name.len + 1);
    if (u == NULL) {
        return OXBOW_ENOMEM;
    }
    link_init(&u->all);
    link_init(&u->selectors);
    buf_init(&u->passwords, &acl->port->alloc, ACL_LIST_MAX);
    u->len = (uint32_t)name.len;
    if (name.len > 0) {
        memcpy(u->name, name.data, name.len);
    }
    *out = u;
    return OXBOW_OK;
}

enum oxbow_err acl_draft(struct acl *acl, struct oxbow_bytes name, struct acl_user **out)
{
    struct acl_selector *root;
    struct acl_user *u;
    enum oxbow_err err = user_new(acl, name, &u);

    if (err != OXBOW_OK) {
        return err;
    }
    err = acl_selector_add(acl, u, &root);
    if (err != OXBOW_OK) {
        acl_user_free(acl, u);
        return err;
    }
    *out = u;
    return OXBOW_OK;
}

enum oxbow_err acl_draft_of(struct acl *acl, const struct acl_user *user, struct acl_user **out)
{
    struct acl_user *u;
    enum oxbow_err err = user_new(acl, acl_name(user), &u);

    if (err != OXBOW_OK) {
        return err;
    }
    u->on = user->on;
    u->nopass = user->nopass;
    u->sanitize = user->sanitize;
    u->skip_sanitize = user->skip_sanitize;
    err = copy(&u->passwords, &user->passwords);
    for (const struct link *l = user->selectors.next; err == OXBOW_OK && l != &user->selectors;
         l = l->next) {
        err = selector_copy(acl, u, LINK_OF(l, struct acl_selector, of_user));
    }
    if (err != OXBOW_OK) {
        acl_user_free(acl, u);
        return err;
    }
    *out = u;
    return OXBOW_OK;
}

void acl_user_free(struct acl *acl, struct acl_user *user)
{
    link_remove(&user->all);
    while (!link_alone(&user->selectors)) {
        acl_selector_free(acl, acl_root(user));
    }
    buf_fini(&user->passwords);
    mem_free(&acl->port->alloc, user, sizeof *user + user->len + 1);
}

static int order_of(struct oxbow_bytes a, struct oxbow_bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, len) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Puts it where its name belongs. */
static void user_place(struct acl *acl, struct acl_user *u)
{
    struct link *l = acl->users.next;

    while (l != &acl->users &&
           order_of(acl_name(LINK_OF(l, struct acl_user, all)), acl_name(u)) < 0) {
        l = l->next;
    }
    link_add(l, &u->all);
}

static void move_all(struct link *to, struct link *from)
{
    while (!link_alone(from)) {
        struct link *l = from->next;

        link_remove(l);
        link_add(to, l);
    }
}

/* What the one is and what the other is change places, but for their names. */
static void swap(struct acl_user *a, struct acl_user *b)
{
    const struct acl_user was = *a;
    struct link selectors;

    a->on = b->on;
    a->nopass = b->nopass;
    a->sanitize = b->sanitize;
    a->skip_sanitize = b->skip_sanitize;
    a->passwords = b->passwords;
    b->on = was.on;
    b->nopass = was.nopass;
    b->sanitize = was.sanitize;
    b->skip_sanitize = was.skip_sanitize;
    b->passwords = was.passwords;
    link_init(&selectors);
    move_all(&selectors, &a->selectors);
    move_all(&a->selectors, &b->selectors);
    move_all(&b->selectors, &selectors);
}

struct acl_user *acl_settle(struct acl *acl, struct acl_user *draft)
{
    struct acl_user *user = acl_find(acl, acl_name(draft));

    if (user == NULL) {
        user_place(acl, draft);
        return draft;
    }
    swap(user, draft);
    acl_user_free(acl, draft);
    return user;
}

enum oxbow_err acl_init(struct acl *acl, const struct oxbow_port *port,
                        const struct resp_table *table)
{
    static const struct oxbow_bytes name = {"default", 7};
    struct acl_user *u;
    struct acl_selector *root;
    enum oxbow_err err;

    *acl = (struct acl){.port = port, .table = table, .log_max = ACL_LOG_MAX};
    link_init(&acl->users);
    link_init(&acl->log);
    err = acl_draft(acl, name, &u);
    if (err != OXBOW_OK) {
        return err;
    }
    root = acl_root(u);
    root->all_keys = true;
    root->all_channels = true;
    root->all_commands = true;
    root->future = true;
    memset(root->commands, 0xff, sizeof root->commands);
    u->on = true;
    u->nopass = true;
    acl->standard = acl_settle(acl, u);
    return OXBOW_OK;
}

void acl_fini(struct acl *acl)
{
    acl_log_clear(acl);
    while (!link_alone(&acl->users)) {
        acl_user_free(acl, LINK_OF(acl->users.next, struct acl_user, all));
    }
}

/* ---- passwords ---- */

bool acl_password_fits(const struct acl_user *user, struct oxbow_bytes password)
{
    uint8_t digest[SHA256_LEN];
    struct acl_item item;
    uint8_t fits = 0;
    size_t pos = 0;

    sha256(digest, password.data, password.len);
    while (acl_item_next(&user->passwords, &pos, &item)) {
        const uint8_t *p = item.text.data;
        uint8_t differs = 0;

        for (size_t i = 0; i < SHA256_LEN; i++) {
            differs |= (uint8_t)(p[i] ^ digest[i]);
        }
        fits |= (uint8_t)(differs == 0);
    }
    return user->on && (user->nopass || fits != 0);
}

enum oxbow_err acl_require(struct acl *acl, struct oxbow_bytes password)
{
    uint8_t digest[SHA256_LEN];
    struct buf fresh;
    enum oxbow_err err = OXBOW_OK;

    buf_init(&fresh, &acl->port->alloc, ACL_LIST_MAX);
    if (password.len > 0) {
        sha256(digest, password.data, password.len);
        err = acl_item_add(&fresh, 0, (struct oxbow_bytes){digest, sizeof digest});
    }
    if (err != OXBOW_OK) {
        return err;
    }
    buf_fini(&acl->standard->passwords);
    acl->standard->passwords = fresh;
    acl->standard->nopass = password.len == 0;
    return OXBOW_OK;
}

/* ---- what a user may do ---- */

/* `word` is in lower case. */
static bool same_word(struct oxbow_bytes word, struct oxbow_bytes arg)
{
    const char *w = word.data;
    const char *p = arg.data;

    for (size_t i = 0; i < word.len && i < arg.len; i++) {
        if ((p[i] >= 'A' && p[i] <= 'Z' ? p[i] - 'A' + 'a' : p[i]) != w[i]) {
            return false;
        }
    }
    return word.len == arg.len;
}

static bool may_run(const struct acl *acl, const struct acl_selector *s,
                    const struct resp_call *call)
{
    const struct resp_command *row = call->row;
    uint32_t slot;
    size_t pos = 0;
    struct acl_item item;

    if (s->all_commands || (row->flags & RESP_NO_AUTH) != 0) {
        return true;
    }
    slot = resp_table_slot(acl->table, row);
    if (acl_has_command(s, slot)) {
        return true;
    }
    while (call->count >= 2 && acl_item_next(&s->first_args, &pos, &item)) {
        if (item.tag == slot && same_word(item.text, call->args[1])) {
            return true;
        }
    }
    return false;
}

static bool may_touch(const struct acl_selector *s, struct oxbow_bytes key, uint8_t rights)
{
    struct acl_item item;
    size_t pos = 0;

    while (acl_item_next(&s->keys, &pos, &item)) {
        if ((item.tag & rights) == rights && resp_glob(item.text, key, false)) {
            return true;
        }
    }
    return false;
}

static enum acl_verdict check_keys(const struct acl_selector *s, const struct resp_call *call,
                                   uint32_t *arg)
{
    struct resp_keys keys;
    enum resp_keys_found found = resp_command_keys(call->row, call->args, call->count, &keys);

    if (found == RESP_KEYS_UNKNOWN) {
        *arg = 0;
        return ACL_DENIED_KEY;
    }
    for (uint32_t n = 0; found == RESP_KEYS_FOUND && n < resp_keys_count(&keys); n++) {
        uint8_t rights = resp_key_rights(call->row, call->args, call->count, n);

        if (!may_touch(s, call->args[resp_keys_at(&keys, n)], rights)) {
            *arg = resp_keys_at(&keys, n);
            return ACL_DENIED_KEY;
        }
    }
    return ACL_ALLOWED;
}

/* A pattern must be one of the user's as it is: what all of them match cannot be told. */
static bool may_use_channel(const struct acl_selector *s, struct oxbow_bytes channel, bool pattern)
{
    struct acl_item item;
    size_t pos = 0;

    if (s->all_channels) {
        return true;
    }
    while (acl_item_next(&s->channels, &pos, &item)) {
        if (pattern ? same(item.text, channel) : resp_glob(item.text, channel, false)) {
            return true;
        }
    }
    return false;
}

static enum acl_verdict check_channels(const struct acl_selector *s, const struct resp_call *call,
                                       uint32_t *arg)
{
    struct resp_channels where = resp_command_channels(call->row);
    uint32_t end = where.all ? call->count : where.first + 1;

    for (uint32_t i = where.first; where.first != 0 && i < end && i < call->count; i++) {
        if (!may_use_channel(s, call->args[i], where.patterns)) {
            *arg = i;
            return ACL_DENIED_CHANNEL;
        }
    }
    return ACL_ALLOWED;
}

static enum acl_verdict check_selector(const struct acl *acl, const struct acl_selector *s,
                                       const struct resp_call *call, uint32_t *arg)
{
    enum acl_verdict verdict = ACL_ALLOWED;

    *arg = 0;
    if (!may_run(acl, s, call)) {
        return ACL_DENIED_COMMAND;
    }
    if (!s->all_keys) {
        verdict = check_keys(s, call, arg);
    }
    if (verdict == ACL_ALLOWED && !s->all_channels) {
        verdict = check_channels(s, call, arg);
    }
    return verdict;
}

enum acl_verdict acl_check(const struct acl *acl, const struct acl_user *user,
                           const struct resp_call *call, uint32_t *arg)
{
    enum acl_verdict worst = ACL_DENIED_COMMAND;

    *arg = 0;
    for (const struct link *l = user->selectors.next; l != &user->selectors; l = l->next) {
        uint32_t at;
        enum acl_verdict verdict =
            check_selector(acl, LINK_OF(l, struct acl_selector, of_user), call, &at);

        if (verdict == ACL_ALLOWED) {
            return ACL_ALLOWED;
        }
        if (verdict > worst || (verdict == worst && at > *arg)) {
            worst = verdict;
            *arg = at;
        }
    }
    return worst;
}

static bool may_read_all(const struct acl_selector *s)
{
    struct acl_item item;
    size_t pos = 0;

    while (!s->all_keys && acl_item_next(&s->keys, &pos, &item)) {
        if ((item.tag & RESP_KEY_READ) != 0 && same(item.text, (struct oxbow_bytes){"*", 1})) {
            return true;
        }
    }
    return s->all_keys;
}

bool acl_may_read_all(const struct acl *acl, const struct acl_user *user,
                      const struct resp_call *call)
{
    for (const struct link *l = user->selectors.next; l != &user->selectors; l = l->next) {
        const struct acl_selector *s = LINK_OF(l, struct acl_selector, of_user);

        if (may_run(acl, s, call) && may_read_all(s)) {
            return true;
        }
    }
    return false;
}

bool acl_may_hear(const struct acl_user *user, struct oxbow_bytes channel, bool pattern)
{
    for (const struct link *l = user->selectors.next; l != &user->selectors; l = l->next) {
        if (may_use_channel(LINK_OF(l, struct acl_selector, of_user), channel, pattern)) {
            return true;
        }
    }
    return false;
}
