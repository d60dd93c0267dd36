/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what: users with passwords, and rights to commands, keys and channels, as Redis 7.0's.
 *
 *   acl.c        users, passwords, what a user may do
 *   acl_rules.c  rules from text; acl_commands.c those about commands, and categories
 *   acl_text.c   and back
 *   acl_file.c   all users from lines of text and to them
 *   acl_log.c    who was refused what
 *   cmd_acl.c    ACL; cmd_auth.c AUTH and HELLO
 *
 * A user has a selector of its own and may have more: a command is allowed if any of them allows all
 * of it. A user that is being changed is a draft, a copy, until all rules have been understood; then it
 * takes the other's place as a whole.
 *
 * Passwords are kept as their SHA-256 alone. Comparing takes as long whatever differs.
 */
#ifndef OXBOW_RESP_ACL_H
#define OXBOW_RESP_ACL_H

#include "engine/base/buf.h"
#include "engine/base/sha256.h"
#include "engine/resp/command.h"
#include "engine/resp/link.h"

#include <stdbool.h>

#define ACL_COMMAND_WORDS (RESP_COMMAND_SLOTS / 64u)
#define ACL_LIST_MAX      ((size_t)4 << 20) /* bytes of one selector's patterns, or of all text */
#define ACL_LOG_MAX       128u              /* acllog-max-len, unless it is set */
#define ACL_WHY_MAX       1024u

/* ---- lists: texts with a number, one after the other in a buffer ---- */

struct acl_item {
    uint32_t tag;
    struct oxbow_bytes text;
    size_t at; /* where it begins */
};

/* The item at *pos, which moves behind it; false: that was the last. */
bool acl_item_next(const struct buf *list, size_t *pos, struct acl_item *item);
/* The item with this text, whatever its tag. */
bool acl_item_find(const struct buf *list, struct oxbow_bytes text, struct acl_item *item);
OXBOW_MUST_CHECK enum oxbow_err acl_item_add(struct buf *list, uint32_t tag,
                                             struct oxbow_bytes text);
void acl_item_tag(struct buf *list, const struct acl_item *item, uint32_t tag);
void acl_item_drop(struct buf *list, const struct acl_item *item);

/* ---- users ---- */

struct acl_selector {
    struct link of_user;
    bool all_keys;
    bool all_channels;
    bool all_commands;                    /* and nothing was taken away since */
    bool future;                          /* begins with +@all */
    uint64_t commands[ACL_COMMAND_WORDS]; /* a bit for each resp_table_slot */
    struct buf first_args;                /* tag: the command's slot */
    struct buf keys;                      /* tag: RESP_KEY_* */
    struct buf channels;
    struct buf rules; /* those of commands, without the first: what is in force, in their order */
};

struct acl_user {
    struct link all; /* in acl->users by name; in none: a draft */
    bool on;
    bool nopass;
    bool sanitize; /* said to, and not: both without effect */
    bool skip_sanitize;
    struct buf passwords;  /* digests */
    struct link selectors; /* struct acl_selector.of_user; its own first */
    uint32_t len;
    uint8_t name[];
};

struct acl_entry; /* of the log */

struct acl {
    const struct oxbow_port *port;
    const struct resp_table *table;
    struct link users;
    struct acl_user *standard; /* "default": there as long as this */
    bool channels_at_first;    /* acl-pubsub-default allchannels */
    struct link log;           /* newest first */
    uint32_t log_count;
    uint32_t log_max;
};

/* With the default user, who may do everything without a password. Both are borrowed. On failure
 * nothing is left. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err acl_init(struct acl *acl, const struct oxbow_port *port,
                                         const struct resp_table *table);
void acl_fini(struct acl *acl);

static inline struct oxbow_bytes acl_name(const struct acl_user *u)
{
    return (struct oxbow_bytes){u->name, u->len};
}

/* NULL: there is none. */
struct acl_user *acl_find(const struct acl *acl, struct oxbow_bytes name);
/* A draft of a user that may do nothing. OXBOW_ENOMEM, OXBOW_ETOOBIG. */
OXBOW_MUST_CHECK enum oxbow_err acl_draft(struct acl *acl, struct oxbow_bytes name,
                                          struct acl_user **out);
/* A draft of the same user. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err acl_draft_of(struct acl *acl, const struct acl_user *user,
                                             struct acl_user **out);
/* Makes what the draft says be so, and frees the draft: `user`, as which it becomes, is the one of that
 * name. */
struct acl_user *acl_settle(struct acl *acl, struct acl_user *draft);
/* Frees a draft, or a user that nobody is any more. */
void acl_user_free(struct acl *acl, struct acl_user *user);

/* A selector that allows nothing, at the end of the draft's. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err acl_selector_add(struct acl *acl, struct acl_user *draft,
                                                 struct acl_selector **out);
void acl_selector_free(struct acl *acl, struct acl_selector *s);
static inline struct acl_selector *acl_root(const struct acl_user *u)
{
    return LINK_OF(u->selectors.next, struct acl_selector, of_user);
}
static inline bool acl_has_command(const struct acl_selector *s, uint32_t slot)
{
    return (s->commands[slot / 64] >> (slot % 64) & 1) != 0;
}

/* Whether the user is on and the password is one of its. */
bool acl_password_fits(const struct acl_user *user, struct oxbow_bytes password);
/* The default user's only password from now on; empty: none is needed. OXBOW_ENOMEM, and nothing has
 * changed. */
OXBOW_MUST_CHECK enum oxbow_err acl_require(struct acl *acl, struct oxbow_bytes password);

/* ---- what a user may do ---- */

/* In the order in which they outweigh each other. */
enum acl_verdict {
    ACL_ALLOWED,
    ACL_DENIED_COMMAND,
    ACL_DENIED_KEY,
    ACL_DENIED_AUTH, /* of the log alone */
    ACL_DENIED_CHANNEL
};

/* Whether the user may give the command with these arguments; *arg is the index of the one that it may
 * not. Rows are those of the table given to acl_init. */
enum acl_verdict acl_check(const struct acl *acl, const struct acl_user *user,
                           const struct resp_call *call, uint32_t *arg);
/* Whether it may give the command and read every key there is: for keys whose names nobody can tell
 * before (SORT ... BY, GET). */
bool acl_may_read_all(const struct acl *acl, const struct acl_user *user,
                      const struct resp_call *call);
/* Whether it may subscribe to the channel, or the pattern. */
bool acl_may_hear(const struct acl_user *user, struct oxbow_bytes channel, bool pattern);

/* ---- rules ---- */

/* Why a rule was not taken, as Redis says it. */
struct acl_why {
    char text[ACL_WHY_MAX];
};

/* What became of a rule. */
enum acl_taken {
    ACL_TAKEN,
    ACL_UNKNOWN_COMMAND,
    ACL_BAD_SYNTAX,
    ACL_BEHIND_ALL_KEYS,
    ACL_BEHIND_ALL_CHANNELS,
    ACL_NO_SUCH_PASSWORD,
    ACL_BAD_HASH,
    ACL_ARG_OF_SUBCOMMAND,
    ACL_NO_MEMORY
};
/* Applies one rule to the draft: a whole selector if it begins with a parenthesis. */
enum acl_taken acl_take(struct acl *acl, struct acl_user *draft, struct oxbow_bytes rule);
/* Whether it cannot be a user's name, or part of a pattern: a blank or a zero byte is in it. */
bool acl_has_blanks(struct oxbow_bytes b);
/* What Redis says of it ("Syntax error"). Not for ACL_TAKEN. */
const char *acl_taken_text(enum acl_taken taken);
/* The rule at which a selector begins that is not closed; `count`: all are. */
uint32_t acl_unclosed(const struct oxbow_bytes *rules, uint32_t count);
/* The rule that begins at rules[*at], a selector in one piece, into `joined`, which is the caller's to
 * end; *at goes to its last part. All selectors are closed. OXBOW_ENOMEM, OXBOW_ETOOBIG. */
OXBOW_MUST_CHECK enum oxbow_err acl_join(const struct oxbow_bytes *rules, uint32_t count,
                                         uint32_t *at, struct buf *joined,
                                         struct oxbow_bytes *rule);
/* Applies rules, where a selector may be spread over several: "(+get", "~x)". False: `why` has all that
 * is to be said after "ERR ". */
bool acl_rules(struct acl *acl, struct acl_user *draft, const struct oxbow_bytes *rules,
               uint32_t count, struct acl_why *why);

/* One about a command or a category: begins with + or -. */
enum acl_taken acl_take_command(struct acl *acl, struct acl_selector *s, struct oxbow_bytes rule);
/* +@all, -@all */
void acl_take_all(struct acl_selector *s, bool allow);

/* The parts as text, added to `out`. OXBOW_ENOMEM, OXBOW_ETOOBIG. */
OXBOW_MUST_CHECK enum oxbow_err acl_text_commands(const struct acl_selector *s, struct buf *out);
OXBOW_MUST_CHECK enum oxbow_err acl_text_keys(const struct acl_selector *s, struct buf *out);
OXBOW_MUST_CHECK enum oxbow_err acl_text_channels(const struct acl_selector *s, struct buf *out);
/* "user NAME RULE...", from which the same user comes again. */
OXBOW_MUST_CHECK enum oxbow_err acl_text_user(const struct acl_user *u, struct buf *out);

struct acl_category {
    const char *name; /* NULL: the end */
    uint32_t flag;    /* of the row's flags; 0: see category */
    uint32_t category;
    bool slow; /* those that are not fast */
};
extern const struct acl_category acl_categories[];
bool acl_in_category(const struct acl_category *cat, const struct resp_command *row);
/* NULL: there is none. In any case. */
const struct acl_category *acl_category_find(struct oxbow_bytes name);

/* ---- files ---- */

/* Reads lines of users and makes them those that there are; who is not in it is gone, but for the
 * default user, who is as at the beginning then, or with `keep` as before. `old` takes those who are gone, for
 * the caller to free. False: nothing has changed, and `why` says what is wrong. `name` is the
 * file's, for that. */
bool acl_load(struct acl *acl, const char *name, struct oxbow_bytes text, bool keep,
              struct link *old, struct acl_why *why);
/* All users as such lines. OXBOW_ENOMEM, OXBOW_ETOOBIG. */
OXBOW_MUST_CHECK enum oxbow_err acl_save(const struct acl *acl, struct buf *out);

/* ---- the log ---- */

struct acl_entry {
    struct link of_log;
    uint64_t count;
    enum acl_verdict reason;
    const char *context; /* "toplevel", "multi", "lua" */
    uint64_t at_us;
    struct buf object;
    struct buf user;
    struct buf client; /* a line of CLIENT LIST */
};

/* Notes a refusal; like ones within a minute are one. Without memory it is not noted. */
void acl_log_add(struct acl *acl, enum acl_verdict reason, const char *context,
                 struct oxbow_bytes object, struct oxbow_bytes user, struct oxbow_bytes client);
void acl_log_clear(struct acl *acl);
/* Has the log be no longer than log_max. */
void acl_log_trim(struct acl *acl);
const char *acl_reason(enum acl_verdict reason);

#endif
