/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules: policies and options of groups for programs that know nothing of them, from the configuration by
 * patterns of names.
 *
 * 1. The first rule that matches counts, and no other. One that sets nothing is an exception.
 * 2. A queue gets its policy by the first command that adds to it, before that adds; so do queues that were
 *    there before. A name that has a policy, whoever set it, keeps it.
 * 3. A group gets its options when it is made, or else by its first XREADGROUP. One of which any option is
 *    set keeps them.
 * 4. Nothing is looked up for names that no rule matches, nor in databases that are kept in memory.
 *
 * A queue that cannot have a policy (too many have one, the store's level) goes without, as without the
 * rule: its program is not to fail of it. That is logged once. A group of a full store is read without its
 * options, until there is room for them.
 */
#include "engine/resp/rules.h"

#include "engine/base/buf.h"
#include "engine/resp/args.h"
#include "engine/resp/glob.h"
#include "oxbow/key.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MAX  (1u << 20) /* of all rules as lines */
#define SHOWN_MAX 64u

/* ---- queues ---- */

static const struct oxbow_resp_queue_rule *queue_rule(const struct oxbow_resp *s,
                                                      struct oxbow_bytes key)
{
    for (uint32_t i = 0; i < s->config.queue_rule_count; i++) {
        if (resp_glob(s->config.queue_rules[i].pattern, key, false)) {
            return &s->config.queue_rules[i];
        }
    }
    return NULL;
}

static bool sets_policy(const struct oxbow_policy *policy)
{
    size_t count;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);

    for (size_t i = 0; i < count; i++) {
        if (oxbow_policy_value(policy, &fields[i]) != 0) {
            return true;
        }
    }
    return false;
}

/* Whether the rule is to be done without, which is then logged. */
static bool goes_without(struct resp_call *call, struct oxbow_bytes key, enum oxbow_err err)
{
    const struct oxbow_log *log = &call->server->port->log;
    char text[256];

    if (err != OXBOW_ERANGE && err != OXBOW_ELEVEL && err != OXBOW_ETOOBIG &&
        err != OXBOW_ENOTSUP) {
        return false;
    }
    if (!call->server->rules_told && log->line != NULL) {
        call->server->rules_told = true;
        (void)snprintf(text, sizeof text,
                       "'%.*s' cannot be given what the configuration has for it, nor may others: "
                       "%s",
                       (int)(key.len < SHOWN_MAX ? key.len : SHOWN_MAX), (const char *)key.data,
                       err == OXBOW_ERANGE    ? "4096 queues have a policy already"
                       : err == OXBOW_ETOOBIG ? "the name is longer than 1024 bytes"
                                              : oxbow_err_text(err));
        log->line(log->ctx, OXBOW_LOG_WARN, text);
    }
    return true;
}

enum oxbow_err resp_rules_queue(struct resp_call *call, struct oxbow_bytes key)
{
    const struct oxbow_resp_queue_rule *rule = queue_rule(call->server, key);
    enum oxbow_type type = OXBOW_TYPE_NONE;
    uint64_t changes = oxbow_txn_changes(call->txn);
    struct oxbow_policy policy;
    enum oxbow_err err;

    if (rule == NULL || !sets_policy(&rule->policy)) {
        return OXBOW_OK;
    }
    err = oxbow_policy_get(call->txn, key, &policy);
    if (err != OXBOW_ENOENT) {
        return err == OXBOW_ENOTSUP ? OXBOW_OK : err; /* a later version's is one, too */
    }
    err = oxbow_key_type(call->txn, key, &type);
    if (err != OXBOW_OK ||
        (type != OXBOW_TYPE_NONE && type != OXBOW_TYPE_LIST && type != OXBOW_TYPE_STREAM)) {
        return err;
    }
    err = oxbow_policy_set(call->txn, key, &rule->policy);
    if (err != OXBOW_OK && oxbow_txn_changes(call->txn) == changes &&
        goes_without(call, key, err)) {
        return OXBOW_OK;
    }
    return err;
}

/* ---- groups ---- */

static const struct oxbow_resp_group_rule *group_rule(const struct oxbow_resp *s,
                                                      struct oxbow_group group)
{
    for (uint32_t i = 0; i < s->config.group_rule_count; i++) {
        const struct oxbow_resp_group_rule *rule = &s->config.group_rules[i];

        if (resp_glob(rule->key, group.key, false) && resp_glob(rule->group, group.name, false)) {
            return rule;
        }
    }
    return NULL;
}

static bool is_set(const struct oxbow_group_word *word)
{
    return word->kind == OXBOW_GROUP_WORD_NAME ? word->text.len > 0 : word->value != 0;
}

static bool sets_options(const struct oxbow_group_options *opt)
{
    struct oxbow_group_word word;

    for (size_t i = 0; oxbow_group_word(opt, i, &word); i++) {
        if (is_set(&word)) {
            return true;
        }
    }
    return false;
}

static bool is_same(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A group that is not there is the command's own business. So is one on the rule's dead letters: a group's
 * dead letters are not its own stream. */
static enum oxbow_err give_group(struct resp_call *call, struct oxbow_group group)
{
    const struct oxbow_resp_group_rule *rule = group_rule(call->server, group);
    uint64_t changes = oxbow_txn_changes(call->txn);
    struct oxbow_group_options opt;
    enum oxbow_err err;

    if (rule == NULL || !sets_options(&rule->options) ||
        is_same(rule->options.dead_letter, group.key)) {
        return OXBOW_OK;
    }
    err = oxbow_group_options_get(call->txn, group, call->result, &opt);
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOGROUP || err == OXBOW_EWRONGTYPE ? OXBOW_OK : err;
    }
    if (sets_options(&opt)) {
        return OXBOW_OK;
    }
    if (rule->options.dead_letter.len > 0) {
        err = resp_rules_queue(call, rule->options.dead_letter);
    }
    if (err == OXBOW_OK) {
        changes = oxbow_txn_changes(call->txn); /* that policy may stay */
        err = oxbow_group_options_set(call->txn, group, &rule->options);
    }
    if (oxbow_txn_changes(call->txn) != changes) {
        return err;
    }
    if (err == OXBOW_EQUOTA || err == OXBOW_ENOSPC || goes_without(call, group.key, err)) {
        return OXBOW_OK;
    }
    return err;
}

/* XREADGROUP's: its group's name. */
static bool group_name(const struct resp_call *call, struct oxbow_bytes *name)
{
    for (uint32_t i = 1; i + 1 < call->count && !resp_arg_is(call->args[i], "streams"); i++) {
        if (resp_arg_is(call->args[i], "group")) {
            *name = call->args[i + 1];
            return true;
        }
    }
    return false;
}

static enum oxbow_err give_groups(struct resp_call *call)
{
    struct oxbow_group group;
    struct resp_keys keys;
    enum oxbow_err err = OXBOW_OK;

    if (!group_name(call, &group.name) ||
        resp_command_keys(call->row, call->args, call->count, &keys) != RESP_KEYS_FOUND) {
        return OXBOW_OK; /* it will be refused */
    }
    for (uint32_t n = 0; err == OXBOW_OK && n < resp_keys_count(&keys); n++) {
        group.key = call->args[resp_keys_at(&keys, n)];
        err = give_group(call, group);
    }
    return err;
}

/* ---- commands ---- */

/* Whether it adds to lists or streams. */
static bool adds(const struct resp_command *row)
{
    const uint32_t flags = RESP_WRITE | RESP_DENYOOM;

    return (row->flags & flags) == flags &&
           (row->categories & (RESP_CAT_LIST | RESP_CAT_STREAM)) != 0;
}

enum oxbow_err resp_rules_before(struct resp_call *call)
{
    const struct oxbow_resp *s = call->server;
    struct resp_keys keys;
    enum oxbow_err err = OXBOW_OK;

    if (resp_cache_has(s, call->client->database)) {
        return OXBOW_OK; /* there is none of it in memory */
    }
    if (s->config.group_rule_count > 0 && strcmp(call->row->name, "xreadgroup") == 0) {
        return give_groups(call);
    }
    if (s->config.queue_rule_count == 0 || !adds(call->row) ||
        resp_command_keys(call->row, call->args, call->count, &keys) != RESP_KEYS_FOUND) {
        return OXBOW_OK;
    }
    for (uint32_t n = 0; err == OXBOW_OK && n < resp_keys_count(&keys); n++) {
        err = resp_rules_queue(call, call->args[resp_keys_at(&keys, n)]);
    }
    return err;
}

enum oxbow_err resp_rules_after(struct resp_call *call)
{
    enum oxbow_err err;

    if (call->server->config.group_rule_count == 0 ||
        resp_cache_has(call->server, call->client->database) ||
        strcmp(call->row->name, "xgroup|create") != 0) {
        return OXBOW_OK;
    }
    err = give_group(call, (struct oxbow_group){call->args[2], call->args[3]});
    oxbow_txn_refuse(call->txn, err); /* the group is made already */
    return err;
}

/* ---- CONFIG GET ---- */

/* In quotes, as a configuration's file reads it. */
static enum oxbow_err put_quoted(struct buf *out, struct oxbow_bytes text)
{
    const uint8_t *p = text.data;
    enum oxbow_err err = buf_append(out, "\"", 1);

    for (size_t i = 0; err == OXBOW_OK && i < text.len; i++) {
        char one[8];
        int len = p[i] == '"' || p[i] == '\\' ? snprintf(one, sizeof one, "\\%c", p[i])
                  : p[i] < ' ' || p[i] > '~'  ? snprintf(one, sizeof one, "\\x%02x", p[i])
                                              : snprintf(one, sizeof one, "%c", p[i]);

        err = buf_append(out, one, (size_t)len);
    }
    return err == OXBOW_OK ? buf_append(out, "\"", 1) : err;
}

static enum oxbow_err put_pair(struct buf *out, const char *name, struct oxbow_bytes word,
                               bool quote)
{
    enum oxbow_err err = buf_append(out, " ", 1);

    err = err == OXBOW_OK ? buf_append(out, name, strlen(name)) : err;
    err = err == OXBOW_OK ? buf_append(out, " ", 1) : err;
    if (err != OXBOW_OK) {
        return err;
    }
    return quote ? put_quoted(out, word) : buf_append(out, word.data, word.len);
}

static enum oxbow_err put_queue(struct buf *out, const struct oxbow_resp_queue_rule *rule)
{
    size_t count;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);
    char text[OXBOW_POLICY_WORD_MAX];
    const char *name;
    size_t len;
    enum oxbow_err err = put_quoted(out, rule->pattern);

    for (size_t i = 0; err == OXBOW_OK && oxbow_policy_word(&rule->policy, i, &name, text, &len);
         i++) {
        if (oxbow_policy_value(&rule->policy, &fields[i]) != 0) {
            err = put_pair(out, name, (struct oxbow_bytes){text, len}, false);
        }
    }
    return err;
}

static enum oxbow_err put_group(struct buf *out, const struct oxbow_resp_group_rule *rule)
{
    struct oxbow_group_word word;
    enum oxbow_err err = put_quoted(out, rule->key);

    err = err == OXBOW_OK ? buf_append(out, " ", 1) : err;
    err = err == OXBOW_OK ? put_quoted(out, rule->group) : err;
    for (size_t i = 0; err == OXBOW_OK && oxbow_group_word(&rule->options, i, &word); i++) {
        if (is_set(&word)) {
            err = put_pair(out, word.name, word.text, word.kind == OXBOW_GROUP_WORD_NAME);
        }
    }
    return err;
}

enum oxbow_err resp_rules_reply(struct resp_call *call, bool queues)
{
    const struct oxbow_resp_config *config = &call->server->config;
    uint32_t count = queues ? config->queue_rule_count : config->group_rule_count;
    enum oxbow_err err = OXBOW_OK;
    struct buf out;

    buf_init(&out, resp_alloc(call->server), TEXT_MAX);
    for (uint32_t i = 0; err == OXBOW_OK && i < count; i++) {
        err = i > 0 ? buf_append(&out, "\n", 1) : OXBOW_OK;
        if (err == OXBOW_OK) {
            err = queues ? put_queue(&out, &config->queue_rules[i])
                         : put_group(&out, &config->group_rules[i]);
        }
    }
    if (err == OXBOW_OK) {
        resp_bulk(call->reply, (struct oxbow_bytes){out.data, out.len});
    }
    buf_fini(&out);
    return err;
}
