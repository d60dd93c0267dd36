/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All users from lines of text, and to them: "user NAME RULE...", one space between two words, as in Redis: between two
 * spaces is an empty word, which is a name as others are, and as a rule says nothing. All lines are looked
 * at and all complaints collected, in Redis' words; with any of them nothing changes.
 */
#include "engine/resp/acl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WORDS_MAX 4096u

/* The file that is being read. */
struct reading {
    struct acl *acl;
    const char *name;
    unsigned line;
    struct link users; /* as far as read */
    struct acl_why *why;
    size_t why_len;
    bool broken;
    bool keep;
    struct oxbow_bytes words[WORDS_MAX];
};

static void complain(struct reading *r, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* What does not fit any more is left out: there is enough to mend. */
static void complain(struct reading *r, const char *format, ...)
{
    va_list ap;
    int len;

    r->broken = true;
    if (r->why_len + 1 >= sizeof r->why->text) {
        return;
    }
    va_start(ap, format);
    len = vsnprintf(r->why->text + r->why_len, sizeof r->why->text - r->why_len, format, ap);
    va_end(ap);
    r->why_len += len > 0 ? (size_t)len : 0;
}

/* Without what is of `margin` at both ends. */
static struct oxbow_bytes trimmed(struct oxbow_bytes b, const char *margin)
{
    size_t size = strlen(margin);
    const char *p = b.data;

    while (b.len > 0 && memchr(margin, p[0], size) != NULL) {
        p++;
        b.len--;
    }
    while (b.len > 0 && memchr(margin, p[b.len - 1], size) != NULL) {
        b.len--;
    }
    b.data = p;
    return b;
}

/* Splits a line; UINT32_MAX: too many words. */
static uint32_t split(struct reading *r, struct oxbow_bytes line)
{
    uint32_t count = 0;

    if (line.len == 0) {
        return 0;
    }
    for (;;) {
        const char *p = line.data;
        const char *end = memchr(p, ' ', line.len);
        size_t len = end != NULL ? (size_t)(end - p) : line.len;

        if (count == WORDS_MAX) {
            return UINT32_MAX;
        }
        r->words[count++] = (struct oxbow_bytes){p, len};
        if (end == NULL) {
            return count;
        }
        line = (struct oxbow_bytes){end + 1, line.len - len - 1};
    }
}

static int shown(struct oxbow_bytes b)
{
    return (int)(b.len < 128 ? b.len : 128);
}

static void take_rules(struct reading *r, struct acl_user *draft, uint32_t count)
{
    bool told = false;

    if (acl_unclosed(r->words + 2, count - 2) < count - 2) {
        complain(r, "%s:%u: Unmatched parenthesis in selector definition. ", r->name, r->line);
        return;
    }
    for (uint32_t i = 2; i < count; i++) {
        struct buf joined;
        struct oxbow_bytes rule;
        enum acl_taken taken = ACL_TAKEN;

        buf_init(&joined, &r->acl->port->alloc, ACL_LIST_MAX);
        if (acl_join(r->words, count, &i, &joined, &rule) == OXBOW_OK) {
            rule = trimmed(rule, "\t\r\n");
            taken = acl_take(r->acl, draft, rule);
        } else {
            taken = ACL_NO_MEMORY;
        }
        if (taken == ACL_UNKNOWN_COMMAND) {
            complain(r, "%s:%u: Error in applying operation '%.*s': %s. ", r->name, r->line,
                     shown(rule), (const char *)rule.data, acl_taken_text(taken));
        } else if (taken != ACL_TAKEN && !told) {
            complain(r, "%s:%u: %s. ", r->name, r->line, acl_taken_text(taken));
            told = true;
        }
        buf_fini(&joined);
    }
}

static struct acl_user *find(const struct link *users, struct oxbow_bytes name)
{
    for (const struct link *l = users->next; l != users; l = l->next) {
        struct acl_user *u = LINK_OF(l, struct acl_user, all);

        if (u->len == name.len && memcmp(u->name, name.data, name.len) == 0) {
            return u;
        }
    }
    return NULL;
}

static void take_line(struct reading *r, struct oxbow_bytes line)
{
    uint32_t count = split(r, trimmed(line, " \t\r\n"));
    struct acl_user *draft;

    if (count == 0) {
        return;
    }
    if (count == UINT32_MAX) {
        complain(r, "%s:%u: more than %u words. ", r->name, r->line, WORDS_MAX);
        return;
    }
    if (count < 2 || r->words[0].len != 4 || memcmp(r->words[0].data, "user", 4) != 0) {
        complain(r, "%s:%u should start with user keyword followed by the username. ", r->name,
                 r->line);
        return;
    }
    if (memchr(r->words[1].data, 0, r->words[1].len) != NULL) {
        complain(r, "%s:%u: the username has a zero byte. ", r->name, r->line);
        return;
    }
    if (acl_has_blanks(r->words[1])) {
        complain(r, "'%s:%u: username '%.*s' contains invalid characters. ", r->name, r->line,
                 shown(r->words[1]), (const char *)r->words[1].data);
        return;
    }
    if (find(&r->users, r->words[1]) != NULL) {
        complain(r, "WARNING: Duplicate user '%.*s' found on line %u. ", shown(r->words[1]),
                 (const char *)r->words[1].data, r->line);
        return;
    }
    if (acl_draft(r->acl, r->words[1], &draft) != OXBOW_OK) {
        complain(r, "%s:%u: out of memory. ", r->name, r->line);
        return;
    }
    link_add(&r->users, &draft->all);
    take_rules(r, draft, count);
}

static void free_all(struct acl *acl, struct link *users)
{
    while (!link_alone(users)) {
        acl_user_free(acl, LINK_OF(users->next, struct acl_user, all));
    }
}

/* What the file does not say of the default user. */
static bool add_standard(struct reading *r)
{
    static const char *const words[] = {"on", "nopass", "~*", "&*", "+@all"};
    struct acl_user *draft;

    if (find(&r->users, acl_name(r->acl->standard)) != NULL) {
        return true;
    }
    if (r->keep) {
        return true;
    }
    if (acl_draft(r->acl, acl_name(r->acl->standard), &draft) != OXBOW_OK) {
        complain(r, "out of memory. ");
        return false;
    }
    link_add(&r->users, &draft->all);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (acl_take(r->acl, draft, (struct oxbow_bytes){words[i], strlen(words[i])}) !=
            ACL_TAKEN) {
            complain(r, "out of memory. ");
            return false;
        }
    }
    return true;
}

/* They are the users now. */
static void settle(struct reading *r, struct link *old)
{
    struct acl *acl = r->acl;
    struct link *l = acl->users.next;

    while (l != &acl->users) {
        struct link *next = l->next;

        if (l != &acl->standard->all) {
            link_remove(l);
            link_add(old, l);
        }
        l = next;
    }
    while (!link_alone(&r->users)) {
        struct acl_user *u = LINK_OF(r->users.next, struct acl_user, all);

        link_remove(&u->all);
        (void)acl_settle(acl, u);
    }
}

bool acl_load(struct acl *acl, const char *name, struct oxbow_bytes text, bool keep,
              struct link *old, struct acl_why *why)
{
    struct reading *r = mem_new(&acl->port->alloc, sizeof *r);
    const char *p = text.data;
    size_t at = 0;
    bool ok;

    if (r == NULL) {
        (void)snprintf(why->text, sizeof why->text, "out of memory");
        return false;
    }
    r->acl = acl;
    r->name = name;
    r->why = why;
    r->keep = keep;
    link_init(&r->users);
    while (at < text.len) {
        const char *end = memchr(p + at, '\n', text.len - at);
        size_t len = end != NULL ? (size_t)(end - (p + at)) : text.len - at;

        r->line++;
        take_line(r, (struct oxbow_bytes){p + at, len});
        at += len + 1;
    }
    if (!r->broken && add_standard(r)) {
        settle(r, old);
    } else {
        complain(r, "WARNING: ACL errors detected, no change to the previously active ACL rules "
                    "was performed");
    }
    ok = !r->broken;
    free_all(acl, &r->users);
    mem_free(&acl->port->alloc, r, sizeof *r);
    return ok;
}

enum oxbow_err acl_save(const struct acl *acl, struct buf *out)
{
    enum oxbow_err err = OXBOW_OK;

    for (const struct link *l = acl->users.next; err == OXBOW_OK && l != &acl->users; l = l->next) {
        err = acl_text_user(LINK_OF(l, struct acl_user, all), out);
        err = err == OXBOW_OK ? buf_append(out, "\n", 1) : err;
    }
    return err;
}
