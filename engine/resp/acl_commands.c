/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Categories, and rules about commands.
 *
 * What is in force is kept as bits, for checking, and as rules in their order, for telling: a rule
 * takes the place of an earlier one about the same command or category, and one about a command
 * that of those about its subcommands.
 */
#include "engine/resp/acl.h"
#include "engine/resp/args.h"

#include <string.h>

#define WORD_MAX 128u /* bytes of a rule about a command */

/* ---- categories ---- */

const struct acl_category acl_categories[] = {
    {"keyspace", 0, RESP_CAT_KEYSPACE, false},
    {"read", RESP_READONLY, 0, false},
    {"write", RESP_WRITE, 0, false},
    {"set", 0, RESP_CAT_SET, false},
    {"sortedset", 0, RESP_CAT_ZSET, false},
    {"list", 0, RESP_CAT_LIST, false},
    {"hash", 0, RESP_CAT_HASH, false},
    {"string", 0, RESP_CAT_STRING, false},
    {"bitmap", 0, RESP_CAT_BITMAP, false},
    {"hyperloglog", 0, 0, false},
    {"geo", 0, 0, false},
    {"stream", 0, RESP_CAT_STREAM, false},
    {"pubsub", RESP_PUBSUB, 0, false},
    {"admin", RESP_ADMIN, RESP_CAT_ADMIN, false},
    {"fast", RESP_FAST, 0, false},
    {"slow", 0, 0, true},
    {"blocking", RESP_BLOCKING, 0, false},
    {"dangerous", RESP_ADMIN, RESP_CAT_DANGEROUS, false},
    {"connection", 0, RESP_CAT_CONNECTION, false},
    {"transaction", 0, RESP_CAT_TRANSACTION, false},
    {"scripting", 0, RESP_CAT_SCRIPTING, false},
    {NULL, 0, 0, false},
};

bool acl_in_category(const struct acl_category *cat, const struct resp_command *row)
{
    if (cat->flag == RESP_READONLY && (row->categories & RESP_CAT_SCRIPTING) != 0) {
        return false; /* what a script reads is its own commands' business */
    }
    return (row->flags & cat->flag) != 0 || (row->categories & cat->category) != 0 ||
           (cat->slow && (row->flags & RESP_FAST) == 0);
}

const struct acl_category *acl_category_find(struct oxbow_bytes name)
{
    for (const struct acl_category *cat = acl_categories; cat->name != NULL; cat++) {
        if (resp_arg_is(name, cat->name)) {
            return cat;
        }
    }
    return NULL;
}

/* ---- commands ---- */

/* Notes the rule ("+get"), in place of those that it makes void. */
static enum acl_taken rule_note(struct acl_selector *s, const char *rule)
{
    const struct oxbow_bytes text = {rule, strlen(rule)};
    struct acl_item item;
    size_t pos = 0;

    while (acl_item_next(&s->rules, &pos, &item)) {
        const char *p = item.text.data;

        if (item.text.len >= text.len && memcmp(p + 1, rule + 1, text.len - 1) == 0 &&
            (item.text.len == text.len || p[text.len] == '|')) {
            acl_item_drop(&s->rules, &item);
            pos = item.at;
        }
    }
    return acl_item_add(&s->rules, 0, text) == OXBOW_OK ? ACL_TAKEN : ACL_NO_MEMORY;
}

static void forget_args(struct acl_selector *s, uint32_t slot)
{
    struct acl_item item;
    size_t pos = 0;

    while (acl_item_next(&s->first_args, &pos, &item)) {
        if (item.tag == slot) {
            acl_item_drop(&s->first_args, &item);
            pos = item.at;
        }
    }
}

static void set_bit(struct acl *acl, struct acl_selector *s, const struct resp_command *row,
                    bool allow)
{
    uint32_t slot = resp_table_slot(acl->table, row);
    uint64_t bit = (uint64_t)1 << (slot % 64);

    if (allow) {
        s->commands[slot / 64] |= bit;
    } else {
        s->commands[slot / 64] &= ~bit;
        s->all_commands = false;
    }
    forget_args(s, slot);
}

static void set_row(struct acl *acl, struct acl_selector *s, const struct resp_command *row,
                    bool allow)
{
    set_bit(acl, s, row, allow);
    for (const struct resp_command *sub = row->subs; sub != NULL && sub->name != NULL; sub++) {
        set_bit(acl, s, sub, allow);
    }
}

void acl_take_all(struct acl_selector *s, bool allow)
{
    memset(s->commands, allow ? 0xff : 0, sizeof s->commands);
    s->all_commands = allow;
    s->future = allow;
    s->first_args.len = 0;
    s->rules.len = 0;
}

/* "get|x" for a command without subcommands: it may be given with that argument alone. */
static enum acl_taken allow_arg(struct acl *acl, struct acl_selector *s, const char *word,
                                const char *bar)
{
    const struct oxbow_bytes name = {word + 1, (size_t)(bar - word) - 1};
    const struct oxbow_bytes arg = {bar + 1, strlen(bar + 1)};
    const struct resp_command *row = resp_table_find_full(acl->table, name);
    uint32_t slot;
    struct acl_item item;
    size_t pos = 0;

    if (row == NULL) {
        return ACL_UNKNOWN_COMMAND;
    }
    if (strchr(row->name, '|') != NULL) {
        return ACL_ARG_OF_SUBCOMMAND;
    }
    if (arg.len == 0) {
        return ACL_BAD_SYNTAX;
    }
    if (row->subs != NULL) {
        return ACL_UNKNOWN_COMMAND;
    }
    slot = resp_table_slot(acl->table, row);
    while (acl_item_next(&s->first_args, &pos, &item)) {
        if (item.tag == slot && item.text.len == arg.len &&
            memcmp(item.text.data, arg.data, arg.len) == 0) {
            return rule_note(s, word);
        }
    }
    if (acl_item_add(&s->first_args, slot, arg) != OXBOW_OK) {
        return ACL_NO_MEMORY;
    }
    return rule_note(s, word);
}

/* The rule as C text in lower case; false: it is too long to be of a command, or has a zero byte. */
static bool lowered(struct oxbow_bytes rule, char out[WORD_MAX])
{
    const char *p = rule.data;

    if (rule.len >= WORD_MAX) {
        return false;
    }
    for (size_t i = 0; i < rule.len; i++) {
        out[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] - 'A' + 'a') : p[i];
        if (out[i] == '\0' || out[i] == ' ') {
            return false;
        }
    }
    out[rule.len] = '\0';
    return true;
}

static enum acl_taken take_category(struct acl *acl, struct acl_selector *s, const char *word,
                                    bool allow)
{
    const struct oxbow_bytes name = {word + 2, strlen(word + 2)};
    const struct acl_category *cat = acl_category_find(name);
    const struct resp_command *row;

    if (strcmp(word + 2, "all") == 0) {
        acl_take_all(s, allow);
        return ACL_TAKEN;
    }
    if (cat == NULL) {
        return ACL_UNKNOWN_COMMAND;
    }
    for (uint32_t i = 0; (row = resp_table_row(i)) != NULL; i++) {
        if (acl_in_category(cat, row)) {
            set_bit(acl, s, row, allow);
        }
        for (const struct resp_command *sub = row->subs; sub != NULL && sub->name != NULL; sub++) {
            if (acl_in_category(cat, sub)) {
                set_bit(acl, s, sub, allow);
            }
        }
    }
    return rule_note(s, word);
}

enum acl_taken acl_take_command(struct acl *acl, struct acl_selector *s, struct oxbow_bytes rule)
{
    const struct resp_command *row;
    char word[WORD_MAX];
    const char *bar;
    bool allow;

    if (rule.len == 0 || !lowered(rule, word)) {
        return ACL_UNKNOWN_COMMAND;
    }
    allow = word[0] == '+';
    if (word[1] == '@') {
        return take_category(acl, s, word, allow);
    }
    row = resp_table_find_full(acl->table, (struct oxbow_bytes){word + 1, rule.len - 1});
    bar = strrchr(word, '|');
    if (row == NULL) {
        return allow && bar != NULL ? allow_arg(acl, s, word, bar) : ACL_UNKNOWN_COMMAND;
    }
    set_row(acl, s, row, allow);
    return rule_note(s, word);
}
