/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of users, from text: words, keys, channels, passwords, selectors. acl_commands.c has those about
 * commands. A rule that is refused leaves its draft as it happens to be. */
#include "engine/resp/acl.h"
#include "engine/resp/args.h"

#include <stdio.h>
#include <string.h>

#define QUOTED_MAX 256
#define HEX_LEN    (2u * SHA256_LEN)

static const char *const reasons[] = {
    [ACL_UNKNOWN_COMMAND] = "Unknown command or category name in ACL",
    [ACL_BAD_SYNTAX] = "Syntax error",
    [ACL_BEHIND_ALL_KEYS] =
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid "
        "and does not have any effect. Try 'resetkeys' to start with an empty list "
        "of patterns",
    [ACL_BEHIND_ALL_CHANNELS] =
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is "
        "not valid and does not have any effect. Try 'resetchannels' to start "
        "with an empty list of channels",
    [ACL_NO_SUCH_PASSWORD] = "The password you are trying to remove from the user does not exist",
    [ACL_BAD_HASH] = "The password hash must be exactly 64 characters and contain only lowercase "
                     "hexadecimal characters",
    [ACL_ARG_OF_SUBCOMMAND] = "Allowing first-arg of a subcommand is not supported",
    [ACL_NO_MEMORY] = "out of memory",
};

static enum acl_taken taken_of(enum oxbow_err err)
{
    return err == OXBOW_OK ? ACL_TAKEN : ACL_NO_MEMORY;
}

/* The bytes from the n-th on. */
static struct oxbow_bytes behind(struct oxbow_bytes b, size_t n)
{
    return (struct oxbow_bytes){(const char *)b.data + n, b.len - n};
}

bool acl_has_blanks(struct oxbow_bytes b)
{
    const char *p = b.data;

    for (size_t i = 0; i < b.len; i++) {
        if (p[i] == '\0' || p[i] == ' ' || (p[i] >= '\t' && p[i] <= '\r')) {
            return true;
        }
    }
    return false;
}

/* ---- keys and channels ---- */

static enum acl_taken take_key(struct acl_selector *s, struct oxbow_bytes rule)
{
    const char *p = rule.data;
    uint32_t rights = 0;
    struct oxbow_bytes pattern;
    struct acl_item item;
    size_t at = 1;

    if (s->all_keys) {
        return ACL_BEHIND_ALL_KEYS;
    }
    if (p[0] == '~') {
        rights = RESP_KEY_READ | RESP_KEY_WRITE;
    }
    for (; p[0] == '%' && at < rule.len; at++) {
        uint32_t right = (p[at] | 0x20) == 'r'   ? RESP_KEY_READ
                         : (p[at] | 0x20) == 'w' ? RESP_KEY_WRITE
                                                 : 0;

        if (p[at] == '~') {
            at++;
            break;
        }
        if (right == 0 || (rights & right) != 0) {
            return ACL_BAD_SYNTAX;
        }
        rights |= right;
    }
    pattern = behind(rule, at);
    if (rights == 0 || acl_has_blanks(pattern)) {
        return ACL_BAD_SYNTAX;
    }
    if (acl_item_find(&s->keys, pattern, &item)) {
        acl_item_tag(&s->keys, &item, item.tag | rights);
        return ACL_TAKEN;
    }
    return taken_of(acl_item_add(&s->keys, rights, pattern));
}

static enum acl_taken take_channel(struct acl_selector *s, struct oxbow_bytes rule)
{
    struct oxbow_bytes pattern = behind(rule, 1);
    struct acl_item item;

    if (s->all_channels) {
        return ACL_BEHIND_ALL_CHANNELS;
    }
    if (acl_has_blanks(pattern)) {
        return ACL_BAD_SYNTAX;
    }
    if (acl_item_find(&s->channels, pattern, &item)) {
        return ACL_TAKEN;
    }
    return taken_of(acl_item_add(&s->channels, 0, pattern));
}

/* ---- one rule of a selector ---- */

static void all_keys(struct acl_selector *s, bool allow)
{
    s->all_keys = allow;
    s->keys.len = 0;
}

static void all_channels(struct acl_selector *s, bool allow)
{
    s->all_channels = allow;
    s->channels.len = 0;
}

static const struct {
    const char *word;
    void (*set)(struct acl_selector *s, bool allow);
    bool allow;
} selector_words[] = {
    {"allkeys", all_keys, true},         {"~*", all_keys, true},
    {"resetkeys", all_keys, false},      {"allchannels", all_channels, true},
    {"&*", all_channels, true},          {"resetchannels", all_channels, false},
    {"allcommands", acl_take_all, true}, {"nocommands", acl_take_all, false},
};

static enum acl_taken take_of_selector(struct acl *acl, struct acl_selector *s,
                                       struct oxbow_bytes rule)
{
    const char *p = rule.data;

    for (size_t i = 0; i < sizeof selector_words / sizeof selector_words[0]; i++) {
        if (resp_arg_is(rule, selector_words[i].word)) {
            selector_words[i].set(s, selector_words[i].allow);
            return ACL_TAKEN;
        }
    }
    switch (rule.len > 0 ? p[0] : '\0') {
    case '~':
    case '%':
        return take_key(s, rule);
    case '&':
        return take_channel(s, rule);
    case '+':
    case '-':
        return acl_take_command(acl, s, rule);
    default:
        return ACL_BAD_SYNTAX;
    }
}

/* "(+get ~x)": a selector of its own. A rule in it does not end with a parenthesis: saved, it would end
 * the selector, and the file could not be read again. */
static enum acl_taken take_selector(struct acl *acl, struct acl_user *draft,
                                    struct oxbow_bytes rule)
{
    const char *p = rule.data;
    struct acl_selector *s;
    enum acl_taken taken = ACL_TAKEN;
    size_t at = 1;
    size_t end = rule.len - 1;

    if (p[end] != ')' || end == 0) {
        return ACL_BAD_SYNTAX;
    }
    if (acl_selector_add(acl, draft, &s) != OXBOW_OK) {
        return ACL_NO_MEMORY;
    }
    while (taken == ACL_TAKEN && at < end) {
        size_t len = 0;

        while (at + len < end && p[at + len] != ' ') {
            len++;
        }
        if (len > 0) {
            taken = p[at + len - 1] == ')'
                        ? ACL_BAD_SYNTAX
                        : take_of_selector(acl, s, (struct oxbow_bytes){p + at, len});
        }
        at += len + 1;
    }
    return taken;
}

/* ---- passwords ---- */

static enum acl_taken add_digest(struct acl_user *u, const uint8_t digest[SHA256_LEN])
{
    const struct oxbow_bytes text = {digest, SHA256_LEN};
    struct acl_item item;

    u->nopass = false;
    if (acl_item_find(&u->passwords, text, &item)) {
        return ACL_TAKEN;
    }
    return taken_of(acl_item_add(&u->passwords, 0, text));
}

static enum acl_taken drop_digest(struct acl_user *u, const uint8_t digest[SHA256_LEN])
{
    struct acl_item item;

    if (!acl_item_find(&u->passwords, (struct oxbow_bytes){digest, SHA256_LEN}, &item)) {
        return ACL_NO_SUCH_PASSWORD;
    }
    acl_item_drop(&u->passwords, &item);
    return ACL_TAKEN;
}

static int hex_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(struct oxbow_bytes text, uint8_t digest[SHA256_LEN])
{
    const char *p = text.data;

    if (text.len != HEX_LEN) {
        return false;
    }
    for (size_t i = 0; i < SHA256_LEN; i++) {
        int high = hex_of(p[2 * i]);
        int low = hex_of(p[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        digest[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static enum acl_taken take_password(struct acl_user *u, struct oxbow_bytes rule)
{
    char kind = ((const char *)rule.data)[0];
    struct oxbow_bytes text = behind(rule, 1);
    uint8_t digest[SHA256_LEN];

    if (kind == '#' || kind == '!') {
        if (!read_hex(text, digest)) {
            return ACL_BAD_HASH;
        }
    } else {
        sha256(digest, text.data, text.len);
    }
    return kind == '#' || kind == '>' ? add_digest(u, digest) : drop_digest(u, digest);
}

/* ---- one rule of a user ---- */

static void turn_on(struct acl *acl, struct acl_user *u)
{
    (void)acl;
    u->on = true;
}

static void turn_off(struct acl *acl, struct acl_user *u)
{
    (void)acl;
    u->on = false;
}

static void set_nopass(struct acl *acl, struct acl_user *u)
{
    (void)acl;
    u->nopass = true;
    u->passwords.len = 0;
}

static void reset_passwords(struct acl *acl, struct acl_user *u)
{
    (void)acl;
    u->nopass = false;
    u->passwords.len = 0;
}

static void set_sanitize(struct acl *acl, struct acl_user *u)
{
    (void)acl;
    u->sanitize = true;
    u->skip_sanitize = false;
}

static void skip_sanitize(struct acl *acl, struct acl_user *u)
{
    (void)acl;
    u->sanitize = false;
    u->skip_sanitize = true;
}

static void clear_selectors(struct acl *acl, struct acl_user *u)
{
    struct link *second = u->selectors.next->next;

    while (second != &u->selectors) {
        struct link *next = second->next;

        acl_selector_free(acl, LINK_OF(second, struct acl_selector, of_user));
        second = next;
    }
}

static void reset(struct acl *acl, struct acl_user *u)
{
    struct acl_selector *root = acl_root(u);

    reset_passwords(acl, u);
    all_keys(root, false);
    all_channels(root, acl->channels_at_first);
    acl_take_all(root, false);
    turn_off(acl, u);
    set_sanitize(acl, u);
    clear_selectors(acl, u);
}

static const struct {
    const char *word;
    void (*set)(struct acl *acl, struct acl_user *u);
} user_words[] = {
    {"on", turn_on},
    {"off", turn_off},
    {"nopass", set_nopass},
    {"resetpass", reset_passwords},
    {"sanitize-payload", set_sanitize},
    {"skip-sanitize-payload", skip_sanitize},
    {"clearselectors", clear_selectors},
    {"reset", reset},
};

enum acl_taken acl_take(struct acl *acl, struct acl_user *draft, struct oxbow_bytes rule)
{
    const char *p = rule.data;

    if (rule.len == 0) {
        return ACL_TAKEN;
    }
    for (size_t i = 0; i < sizeof user_words / sizeof user_words[0]; i++) {
        if (resp_arg_is(rule, user_words[i].word)) {
            user_words[i].set(acl, draft);
            return ACL_TAKEN;
        }
    }
    if (p[0] == '(') {
        return take_selector(acl, draft, rule);
    }
    if (strchr("><#!", p[0]) != NULL && p[0] != '\0') {
        return take_password(draft, rule);
    }
    return take_of_selector(acl, acl_root(draft), rule);
}

const char *acl_taken_text(enum acl_taken taken)
{
    return reasons[taken];
}

/* ---- several rules ---- */

static int quoted(struct oxbow_bytes b)
{
    const char *zero = b.len > 0 ? memchr(b.data, 0, b.len) : NULL;
    size_t len = zero != NULL ? (size_t)(zero - (const char *)b.data) : b.len;

    return (int)(len < QUOTED_MAX ? len : QUOTED_MAX);
}

static bool begins_with(struct oxbow_bytes b, char c)
{
    return b.len > 0 && ((const char *)b.data)[0] == c;
}

static bool ends_with(struct oxbow_bytes b, char c)
{
    return b.len > 0 && ((const char *)b.data)[b.len - 1] == c;
}

/* Whether the rule begins a selector that others belong to. As in Redis 7.0 that is so within one, too,
 * and what was before it in the same is forgotten. */
static bool opens(struct oxbow_bytes rule)
{
    return begins_with(rule, '(') && !ends_with(rule, ')');
}

uint32_t acl_unclosed(const struct oxbow_bytes *rules, uint32_t count)
{
    uint32_t open = count;

    for (uint32_t i = 0; i < count; i++) {
        if (opens(rules[i])) {
            open = i;
        } else if (ends_with(rules[i], ')')) {
            open = count;
        }
    }
    return open;
}

enum oxbow_err acl_join(const struct oxbow_bytes *rules, uint32_t count, uint32_t *at,
                        struct buf *joined, struct oxbow_bytes *rule)
{
    enum oxbow_err err = OXBOW_OK;
    uint32_t i = *at;

    *rule = rules[i];
    if (!opens(rules[i])) {
        return OXBOW_OK;
    }
    for (; err == OXBOW_OK && i < count; i++) {
        if (opens(rules[i])) {
            joined->len = 0;
        } else {
            err = buf_append(joined, " ", 1);
        }
        if (err == OXBOW_OK && rules[i].len > 0) {
            err = buf_append(joined, rules[i].data, rules[i].len);
        }
        if (ends_with(rules[i], ')')) {
            break;
        }
    }
    *rule = (struct oxbow_bytes){joined->data, joined->len};
    *at = i;
    return err;
}

static bool take_one(struct acl *acl, struct acl_user *draft, struct oxbow_bytes rule,
                     struct acl_why *why)
{
    enum acl_taken taken = acl_take(acl, draft, rule);

    if (taken != ACL_TAKEN) {
        (void)snprintf(why->text, sizeof why->text, "Error in ACL SETUSER modifier '%.*s': %s",
                       quoted(rule), (const char *)rule.data, reasons[taken]);
    }
    return taken == ACL_TAKEN;
}

bool acl_rules(struct acl *acl, struct acl_user *draft, const struct oxbow_bytes *rules,
               uint32_t count, struct acl_why *why)
{
    uint32_t unclosed = acl_unclosed(rules, count);
    bool ok = unclosed == count;

    if (!ok) {
        (void)snprintf(why->text, sizeof why->text,
                       "Unmatched parenthesis in acl selector starting at '%.*s'.",
                       quoted(rules[unclosed]), (const char *)rules[unclosed].data);
    }
    for (uint32_t i = 0; ok && i < count; i++) {
        struct oxbow_bytes rule;
        struct buf joined;

        buf_init(&joined, &acl->port->alloc, ACL_LIST_MAX);
        ok = acl_join(rules, count, &i, &joined, &rule) == OXBOW_OK;
        if (!ok) {
            (void)snprintf(why->text, sizeof why->text, "%s", reasons[ACL_NO_MEMORY]);
        }
        ok = ok && take_one(acl, draft, rule, why);
        buf_fini(&joined);
    }
    return ok;
}
