/* SPDX-License-Identifier: Apache-2.0 */
/* Users and their rights as text, of which the same users come again. */
#include "engine/resp/acl.h"

#include <stdio.h>
#include <string.h>

#define HEX_LEN (2u * SHA256_LEN)

static enum oxbow_err put(struct buf *out, const char *text)
{
    return buf_append(out, text, strlen(text));
}

static enum oxbow_err put_bytes(struct buf *out, struct oxbow_bytes b)
{
    return b.len == 0 ? OXBOW_OK : buf_append(out, b.data, b.len);
}

/* The items, each with a word before it, blanks between them. */
static enum oxbow_err put_items(struct buf *out, const struct buf *list,
                                const char *(*before)(uint32_t tag))
{
    enum oxbow_err err = OXBOW_OK;
    struct acl_item item;
    size_t pos = 0;

    while (err == OXBOW_OK && acl_item_next(list, &pos, &item)) {
        err = item.at > 0 ? put(out, " ") : OXBOW_OK;
        err = err == OXBOW_OK ? put(out, before(item.tag)) : err;
        err = err == OXBOW_OK ? put_bytes(out, item.text) : err;
    }
    return err;
}

static const char *before_key(uint32_t rights)
{
    return rights == RESP_KEY_READ ? "%R~" : rights == RESP_KEY_WRITE ? "%W~" : "~";
}

static const char *before_channel(uint32_t tag)
{
    (void)tag;
    return "&";
}

static const char *before_rule(uint32_t tag)
{
    (void)tag;
    return "";
}

enum oxbow_err acl_text_commands(const struct acl_selector *s, struct buf *out)
{
    enum oxbow_err err = put(out, s->future ? "+@all" : "-@all");

    if (err == OXBOW_OK && s->rules.len > 0) {
        err = put(out, " ");
    }
    return err == OXBOW_OK ? put_items(out, &s->rules, before_rule) : err;
}

enum oxbow_err acl_text_keys(const struct acl_selector *s, struct buf *out)
{
    return s->all_keys ? put(out, "~*") : put_items(out, &s->keys, before_key);
}

enum oxbow_err acl_text_channels(const struct acl_selector *s, struct buf *out)
{
    return s->all_channels ? put(out, "&*") : put_items(out, &s->channels, before_channel);
}

static enum oxbow_err text_selector(const struct acl_selector *s, struct buf *out)
{
    enum oxbow_err err = acl_text_keys(s, out);

    if (err == OXBOW_OK && (s->all_keys || s->keys.len > 0)) {
        err = put(out, " ");
    }
    if (err == OXBOW_OK && !s->all_channels) {
        err = put(out, "resetchannels ");
    }
    err = err == OXBOW_OK ? acl_text_channels(s, out) : err;
    if (err == OXBOW_OK && (s->all_channels || s->channels.len > 0)) {
        err = put(out, " ");
    }
    return err == OXBOW_OK ? acl_text_commands(s, out) : err;
}

static enum oxbow_err text_passwords(const struct acl_user *u, struct buf *out)
{
    enum oxbow_err err = OXBOW_OK;
    struct acl_item item;
    size_t pos = 0;

    while (err == OXBOW_OK && acl_item_next(&u->passwords, &pos, &item)) {
        char hex[HEX_LEN + 1];

        for (size_t i = 0; i < SHA256_LEN; i++) {
            (void)snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)item.text.data)[i]);
        }
        err = put(out, " #");
        err = err == OXBOW_OK ? put(out, hex) : err;
    }
    return err;
}

enum oxbow_err acl_text_user(const struct acl_user *u, struct buf *out)
{
    enum oxbow_err err = put(out, "user ");

    err = err == OXBOW_OK ? put_bytes(out, acl_name(u)) : err;
    err = err == OXBOW_OK ? put(out, u->on ? " on" : " off") : err;
    err = err == OXBOW_OK && u->nopass ? put(out, " nopass") : err;
    err = err == OXBOW_OK && u->skip_sanitize ? put(out, " skip-sanitize-payload") : err;
    err = err == OXBOW_OK && u->sanitize ? put(out, " sanitize-payload") : err;
    err = err == OXBOW_OK ? text_passwords(u, out) : err;
    for (const struct link *l = u->selectors.next; err == OXBOW_OK && l != &u->selectors;
         l = l->next) {
        bool root = l == u->selectors.next;

        err = put(out, root ? " " : " (");
        err = err == OXBOW_OK ? text_selector(LINK_OF(l, struct acl_selector, of_user), out) : err;
        err = err == OXBOW_OK && !root ? put(out, ")") : err;
    }
    return err;
}
