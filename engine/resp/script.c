/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EVAL and its like, SCRIPT, and the commands that scripts call.
 *
 * A script is one command to the rest of the server: it takes part in a batch as any other does, and
 * when the batch's commit fails, it is carried out again from the start. What it calls runs in the
 * batch's transaction with a reply of its own (server->script_reply), which the interpreter reads.
 *
 * 1. One script at a time: what calls scripts cannot be called by them (RESP_NOSCRIPT).
 * 2. The client's database is what it was when the script has ended.
 */
#include "engine/resp/script.h"

#include "engine/resp/args.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

#define MEMORY_MAX_DEFAULT ((uint64_t)64 << 20)
#define MS_MAX_DEFAULT     5000u
#define ANSWER_MAX         ((size_t)256 << 20) /* bytes of one call's answer */
#define SHEBANG            "#!lua"
#define FLAGS_WORD         "flags="
#define SHOWN_MAX          128 /* bytes of what is not understood */

/* ---- the interpreter ---- */

/* The state, opened when it is wanted first. NULL: refused. */
static struct resp_vm *vm_of(struct resp_call *call)
{
    struct oxbow_resp *s = call->server;
    const struct oxbow_scripting *scripting = s->config.scripting;
    uint64_t memory = s->config.script_bytes_max;

    if (scripting == NULL) {
        resp_error(call->reply, "ERR This server was built without scripts");
        return NULL;
    }
    if (s->vm == NULL) {
        if (scripting->open(s, memory != 0 ? memory : MEMORY_MAX_DEFAULT, &s->vm) != OXBOW_OK) {
            s->vm = NULL;
            resp_error_of(call->reply, OXBOW_ENOMEM);
            return NULL;
        }
        resp_reply_init(&s->script_reply, resp_alloc(s), ANSWER_MAX);
    }
    return s->vm;
}

void resp_script_fini(struct oxbow_resp *s)
{
    if (s->vm != NULL) {
        s->config.scripting->close(s->vm);
        resp_reply_fini(&s->script_reply);
        s->vm = NULL;
    }
}

/* ---- the first line ---- */

struct line {
    const char *at;
    const char *end;
};

/* The next word of a line, which ends with blanks or with `stop`. */
static struct oxbow_bytes word_of(struct line *l, char stop)
{
    const char *from;

    while (stop == ' ' && l->at < l->end && (*l->at == ' ' || *l->at == '\t' || *l->at == '\r')) {
        l->at++;
    }
    from = l->at;
    while (l->at < l->end && *l->at != stop &&
           (stop != ' ' || (*l->at != '\t' && *l->at != '\r'))) {
        l->at++;
    }
    return (struct oxbow_bytes){from, (size_t)(l->at - from)};
}

static int shown(struct oxbow_bytes b)
{
    return b.len < SHOWN_MAX ? (int)b.len : SHOWN_MAX;
}

static bool is_text(struct oxbow_bytes b, const char *text)
{
    return b.len == strlen(text) && memcmp(b.data, text, b.len) == 0;
}

/* What stands behind "flags=". False: refused. */
static bool flags_of(struct oxbow_bytes list, uint32_t *flags, struct resp_reply *reply)
{
    static const struct {
        const char *name;
        uint32_t flag;
    } names[] = {
        {"no-writes", RESP_SCRIPT_NO_WRITES},
        {"allow-oom", RESP_SCRIPT_ALLOW_OOM},
        {"allow-stale", RESP_SCRIPT_ALLOW_STALE},
        {"no-cluster", RESP_SCRIPT_NO_CLUSTER},
        {"allow-cross-slot-keys", RESP_SCRIPT_CROSS_SLOT},
    };
    struct line l = {list.data, (const char *)list.data + list.len};

    while (l.at < l.end) {
        struct oxbow_bytes word = word_of(&l, ',');
        size_t i = 0;

        while (i < sizeof names / sizeof names[0] && !is_text(word, names[i].name)) {
            i++;
        }
        if (i == sizeof names / sizeof names[0]) {
            resp_error_format(reply, "ERR Unexpected flag in script shebang: %.*s", shown(word),
                              (const char *)word.data);
            return false;
        }
        *flags |= names[i].flag;
        l.at += l.at < l.end ? 1 : 0;
    }
    return true;
}

/* Takes "#!lua flags=..." off the text, but for its end of line: lines are counted from there. False:
 * refused. */
static bool shebang_take(struct oxbow_bytes *text, uint32_t *flags, struct resp_reply *reply)
{
    const char *from = text->data;
    const char *end;
    struct oxbow_bytes word;
    struct line l;

    *flags = 0;
    if (text->len < 2 || memcmp(from, "#!", 2) != 0) {
        return true;
    }
    end = memchr(from, '\n', text->len);
    if (end == NULL) {
        resp_error(reply, "ERR Invalid script shebang");
        return false;
    }
    l = (struct line){from, end};
    word = word_of(&l, ' ');
    if (!is_text(word, SHEBANG)) {
        resp_error_format(reply, "ERR Unexpected engine in script shebang: %.*s", shown(word),
                          (const char *)word.data);
        return false;
    }
    for (word = word_of(&l, ' '); word.len > 0; word = word_of(&l, ' ')) {
        size_t head = strlen(FLAGS_WORD);

        if (word.len < head || memcmp(word.data, FLAGS_WORD, head) != 0) {
            resp_error_format(reply, "ERR Unknown lua shebang option: %.*s", shown(word),
                              (const char *)word.data);
            return false;
        }
        word = (struct oxbow_bytes){(const char *)word.data + head, word.len - head};
        if (!flags_of(word, flags, reply)) {
            return false;
        }
    }
    *flags |= RESP_SCRIPT_DECLARED;
    *text = (struct oxbow_bytes){end, text->len - (size_t)(end - from)};
    return true;
}

/* ---- what scripts call ---- */

/* The row of a command. NULL: there is none. */
static const struct resp_command *row_of(const struct oxbow_resp *s, const struct oxbow_bytes *args,
                                         uint32_t count)
{
    const struct resp_command *row = resp_table_find(&s->table, args[0]);

    if (row != NULL && (row->flags & RESP_ONLY_SENTINEL) != 0) {
        return NULL;
    }
    return row != NULL && row->subs != NULL && count >= 2 ? resp_sub_find(row, args[1]) : row;
}

/* Why the client's user may not call it; NULL: it may. */
static const char *denial(const struct resp_call *call)
{
    static const char *const reasons[] = {
        [ACL_DENIED_COMMAND] =
            "ERR The user executing the script can't run this command or subcommand",
        [ACL_DENIED_KEY] = "ERR The user executing the script can't access at least one of the "
                           "keys mentioned in the command arguments",
        [ACL_DENIED_CHANNEL] = "ERR The user executing the script can't publish to the channel "
                               "mentioned in the command",
    };

    return reasons[resp_acl_check(call, "lua")];
}

/* Whether it changes anything, or would be told to replicas, as messages are. */
static bool writes(const struct resp_command *row)
{
    return (row->flags & RESP_WRITE) != 0 || strcmp(row->name, "publish") == 0 ||
           strcmp(row->name, "spublish") == 0;
}

/* Whether it could not add what it may add: as in Redis it is asked at the script's start, and what
 * belongs to a change that has begun is let through. */
static bool has_no_room(const struct resp_script *script, const struct resp_call *call)
{
    return (call->row->flags & RESP_DENYOOM) != 0 && !script->wrote &&
           (script->flags & RESP_SCRIPT_ALLOW_OOM) == 0 &&
           resp_cache_refuses(call->server, call->client);
}

/* Why the script may not call it; NULL: it may. */
static const char *refusal(const struct resp_script *script, const struct resp_call *call)
{
    const struct resp_command *row = call->row;
    uint32_t count = call->count;
    const char *why;

    if (row == NULL) {
        return "ERR Unknown Redis command called from script";
    }
    if ((row->arity > 0 && count != (uint32_t)row->arity) ||
        (row->arity < 0 && count < (uint32_t)-row->arity)) {
        return "ERR Wrong number of args calling Redis command from script";
    }
    if ((row->flags & RESP_NOSCRIPT) != 0) {
        return "ERR This Redis command is not allowed from script";
    }
    why = denial(call);
    if (why == NULL && script->read_only && writes(row)) {
        why = "ERR Write commands are not allowed from read-only scripts.";
    }
    return why == NULL && has_no_room(script, call) ? resp_error_text(OXBOW_EQUOTA) : why;
}

enum oxbow_err resp_script_call(struct resp_script *script, const struct oxbow_bytes *args,
                                uint32_t count, struct oxbow_bytes *answer)
{
    struct oxbow_resp *s = script->call->server;
    struct oxbow_resp_client *c = script->call->client;
    struct resp_reply *reply = &s->script_reply;
    struct resp_call call = {.server = s,
                             .client = c,
                             .row = row_of(s, args, count),
                             .args = args,
                             .count = count,
                             .txn = s->txn,
                             .reply = reply,
                             .result = &s->result,
                             .script = script};
    const char *why = refusal(script, &call);
    enum oxbow_err err;

    resp_reply_taken(reply, resp_reply_peek(reply, UINT64_MAX).len);
    reply->version = script->version;
    if (why != NULL) {
        resp_error(reply, why);
    } else {
        err = oxbow_txn_select(s->txn, c->database);
        script->wrote = script->wrote || (call.row->flags & RESP_WRITE) != 0;
        s->stats.commands++;
        if (err == OXBOW_OK) {
            err = resp_run(&call);
        }
        if (err != OXBOW_OK) {
            resp_error_of(reply, err);
        }
    }
    if (resp_reply_failed(reply)) {
        resp_reply_fini(reply);
        resp_reply_init(reply, resp_alloc(s), ANSWER_MAX);
        return OXBOW_ENOMEM;
    }
    *answer = resp_reply_peek(reply, UINT64_MAX);
    return OXBOW_OK;
}

bool resp_script_may(struct resp_script *script, const struct oxbow_bytes *args, uint32_t count,
                     bool *known)
{
    struct oxbow_resp *s = script->call->server;
    const struct resp_call call = {.server = s,
                                   .client = script->call->client,
                                   .row = row_of(s, args, count),
                                   .args = args,
                                   .count = count};
    uint32_t arg;

    *known = call.row != NULL;
    return *known && acl_check(&s->acl, call.client->who, &call, &arg) == ACL_ALLOWED;
}

bool resp_script_is_over(struct resp_script *script)
{
    const struct oxbow_clock *clock = &script->call->server->port->clock;

    script->over = script->over || (script->until_us != RESP_SCRIPT_NO_END &&
                                    clock->mono_us(clock->ctx) >= script->until_us);
    return script->over;
}

void resp_script_log(struct resp_script *script, uint32_t level, const char *text)
{
    static const enum oxbow_log_level levels[] = {OXBOW_LOG_DEBUG, OXBOW_LOG_DEBUG, OXBOW_LOG_INFO,
                                                  OXBOW_LOG_WARN};
    const struct oxbow_log *log = &script->call->server->port->log;

    if (log->line != NULL && level < sizeof levels / sizeof levels[0]) {
        log->line(log->ctx, levels[level], text);
    }
}

/* ---- EVAL ---- */

/* Has the script known, and says its name and flags. False: refused. */
static bool script_load(struct resp_call *call, struct resp_vm *vm, struct oxbow_bytes text,
                        char sha[SHA1_HEX_LEN + 1], uint32_t *flags)
{
    const struct oxbow_scripting *scripting = call->server->config.scripting;

    sha1_hex(text.data, text.len, sha);
    return scripting->find(vm, sha, flags) || (shebang_take(&text, flags, call->reply) &&
                                               scripting->load(vm, sha, text, *flags, call->reply));
}

/* The name of a script as it was given, in lower case. False: there is no such script. */
static bool script_find(struct resp_call *call, struct resp_vm *vm, struct oxbow_bytes name,
                        char sha[SHA1_HEX_LEN + 1], uint32_t *flags)
{
    const char *from = name.data;

    if (name.len == SHA1_HEX_LEN) {
        for (size_t i = 0; i < SHA1_HEX_LEN; i++) {
            sha[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] - 'A' + 'a' : from[i]);
        }
        sha[SHA1_HEX_LEN] = '\0';
        if (call->server->config.scripting->find(vm, sha, flags)) {
            return true;
        }
    }
    resp_error(call->reply, "NOSCRIPT No matching script. Please use EVAL.");
    return false;
}

/* How many of the arguments are keys. False: refused. */
static bool keys_count(struct resp_call *call, uint32_t *keys)
{
    int64_t n;

    if (!resp_arg_int(call->args[2], &n)) {
        resp_error(call->reply, "ERR value is not an integer or out of range");
        return false;
    }
    if (n > (int64_t)call->count - 3) {
        resp_error(call->reply, "ERR Number of keys can't be greater than number of args");
        return false;
    }
    if (n < 0) {
        resp_error(call->reply, "ERR Number of keys can't be negative");
        return false;
    }
    *keys = (uint32_t)n;
    return true;
}

/* When a script that begins now is to be ended. */
static uint64_t end_of(const struct oxbow_resp *s)
{
    uint32_t ms = s->config.script_ms_max;

    return ms == UINT32_MAX ? RESP_SCRIPT_NO_END
                            : s->port->clock.mono_us(s->port->clock.ctx) +
                                  (uint64_t)(ms != 0 ? ms : MS_MAX_DEFAULT) * 1000;
}

const char resp_script_over_text[] = "ERR Script ended: it ran for longer than lua-time-limit "
                                     "allows. Nothing of it has happened, nor "
                                     "of the transaction that it was in";

/* Half a script is worse than none: the batch fails, and what else was in it comes again. So does the
 * script, which is not run once more then: eval. */
static void end_over(struct resp_call *call, const struct resp_script *script)
{
    const struct oxbow_log *log = &call->server->port->log;
    char text[128];

    call->client->over_time = call->client->request;
    oxbow_txn_refuse(call->server->txn, OXBOW_ETIMEDOUT);
    if (log->line != NULL) {
        (void)snprintf(text, sizeof text,
                       "script %s was ended: it ran for longer than lua-time-limit", script->sha);
        log->line(log->ctx, OXBOW_LOG_WARN, text);
    }
}

static void run(struct resp_call *call, struct resp_vm *vm, struct resp_script *script)
{
    struct oxbow_resp *s = call->server;
    uint32_t database = call->client->database;

    script->keys = call->args + 3;
    script->arg_count = call->count - 3 - script->key_count;
    script->version = 2;
    script->until_us = end_of(s);
    s->script = script;
    s->config.scripting->run(vm, script);
    s->script = NULL;
    if (script->over) {
        end_over(call, script);
    }
    call->client->database = database;
    resp_reply_taken(&s->script_reply, resp_reply_peek(&s->script_reply, UINT64_MAX).len);
    resp_reply_idle(&s->script_reply);
}

static enum oxbow_err eval(struct resp_call *call, bool by_name, bool read_only)
{
    char sha[SHA1_HEX_LEN + 1];
    struct resp_script script = {.call = call, .sha = sha};
    struct resp_vm *vm = vm_of(call);

    if (vm == NULL) {
        return OXBOW_OK;
    }
    if (call->client->over_time == call->client->request) {
        return resp_refuse(call, resp_script_over_text);
    }
    if (by_name && call->args[1].len != SHA1_HEX_LEN) {
        return resp_refuse(call, "NOSCRIPT No matching script. Please use EVAL.");
    }
    if (!keys_count(call, &script.key_count) ||
        !(by_name ? script_find(call, vm, call->args[1], sha, &script.flags)
                  : script_load(call, vm, call->args[1], sha, &script.flags))) {
        return OXBOW_OK;
    }
    if (read_only && (script.flags & RESP_SCRIPT_DECLARED) != 0 &&
        (script.flags & RESP_SCRIPT_NO_WRITES) == 0) {
        return resp_refuse(call,
                           "ERR Can not execute a script with write flag using *_ro command.");
    }
    if ((script.flags & RESP_SCRIPT_DECLARED) != 0 &&
        (script.flags & (RESP_SCRIPT_ALLOW_OOM | RESP_SCRIPT_NO_WRITES)) == 0 &&
        resp_cache_refuses(call->server, call->client)) {
        return OXBOW_EQUOTA;
    }
    script.read_only = read_only || (script.flags & RESP_SCRIPT_NO_WRITES) != 0;
    run(call, vm, &script);
    return oxbow_txn_select(call->server->txn, call->client->database);
}

static enum oxbow_err cmd_eval(struct resp_call *call)
{
    return eval(call, false, false);
}

static enum oxbow_err cmd_evalsha(struct resp_call *call)
{
    return eval(call, true, false);
}

static enum oxbow_err cmd_eval_ro(struct resp_call *call)
{
    return eval(call, false, true);
}

static enum oxbow_err cmd_evalsha_ro(struct resp_call *call)
{
    return eval(call, true, true);
}

/* ---- SCRIPT ---- */

static enum oxbow_err script_load_command(struct resp_call *call)
{
    char sha[SHA1_HEX_LEN + 1];
    struct resp_vm *vm = vm_of(call);
    uint32_t flags;

    if (vm != NULL && script_load(call, vm, call->args[2], sha, &flags)) {
        call->server->config.scripting->keep(vm, sha);
        resp_bulk_text(call->reply, sha);
    }
    return OXBOW_OK;
}

static enum oxbow_err script_exists(struct resp_call *call)
{
    struct resp_vm *vm = vm_of(call);

    if (vm == NULL) {
        return OXBOW_OK;
    }
    resp_array(call->reply, call->count - 2);
    for (uint32_t i = 2; i < call->count; i++) {
        char sha[SHA1_HEX_LEN + 1] = "";
        uint32_t flags;

        if (call->args[i].len == SHA1_HEX_LEN) {
            memcpy(sha, call->args[i].data, SHA1_HEX_LEN);
        }
        resp_int(call->reply, call->server->config.scripting->find(vm, sha, &flags) ? 1 : 0);
    }
    return OXBOW_OK;
}

static enum oxbow_err script_flush(struct resp_call *call)
{
    struct resp_vm *vm;

    if (call->count > 3 || (call->count == 3 && !resp_arg_is(call->args[2], "sync") &&
                            !resp_arg_is(call->args[2], "async"))) {
        return resp_refuse(call, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
    }
    vm = vm_of(call);
    if (vm != NULL) {
        call->server->config.scripting->flush(vm);
        resp_ok(call->reply);
    }
    return OXBOW_OK;
}

static enum oxbow_err script_kill(struct resp_call *call)
{
    return resp_refuse(call, "NOTBUSY No scripts in execution right now.");
}

static enum oxbow_err script_help(struct resp_call *call)
{
    static const char *const lines[] = {
        "SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "EXISTS <sha1> [<sha1> ...]",
        "    Tells of each name whether a script of that name is known.",
        "FLUSH [ASYNC|SYNC]",
        "    Forgets all scripts.",
        "KILL",
        "    Ends the script that runs, if it has written nothing.",
        "LOAD <script>",
        "    Compiles a script and keeps it, without running it.",
        "HELP",
        "    Prints this help.",
    };

    resp_array(call->reply, sizeof lines / sizeof lines[0]);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        resp_simple(call->reply, lines[i]);
    }
    return OXBOW_OK;
}

#define EVAL   (RESP_NOSCRIPT | RESP_STALE | RESP_MOVABLE)
#define SCRIPT RESP_CAT_SCRIPTING

static const struct resp_command script_subs[] = {
    {"script|load", script_load_command, 3, RESP_NOSCRIPT | RESP_STALE | RESP_PURE, SCRIPT, 0, 0, 0,
     "2.6.0", "Compiles a script and keeps it", NULL},
    {"script|exists", script_exists, -3, RESP_NOSCRIPT | RESP_PURE, SCRIPT, 0, 0, 0, "2.6.0",
     "Which scripts are known", NULL},
    {"script|flush", script_flush, -2, RESP_NOSCRIPT | RESP_ALONE, SCRIPT, 0, 0, 0, "2.6.0",
     "Forgets all scripts", NULL},
    {"script|kill", script_kill, 2, RESP_NOSCRIPT | RESP_PURE, SCRIPT, 0, 0, 0, "2.6.0",
     "Ends the script that runs", NULL},
    {"script|help", script_help, 2, RESP_LOADING | RESP_STALE | RESP_PURE, SCRIPT, 0, 0, 0, "5.0.0",
     "Says what SCRIPT takes", NULL},
    {0}};

const struct resp_command resp_script_commands[] = {
    {"eval", cmd_eval, -3, EVAL, SCRIPT, 0, 0, 0, "2.6.0", "Runs a script", NULL},
    {"evalsha", cmd_evalsha, -3, EVAL, SCRIPT, 0, 0, 0, "2.6.0", "Runs a script that is known",
     NULL},
    {"eval_ro", cmd_eval_ro, -3, EVAL | RESP_READONLY, SCRIPT, 0, 0, 0, "7.0.0",
     "Runs a script that writes nothing", NULL},
    {"evalsha_ro", cmd_evalsha_ro, -3, EVAL | RESP_READONLY, SCRIPT, 0, 0, 0, "7.0.0",
     "Runs a script that is known and writes nothing", NULL},
    {"script", NULL, -2, 0, 0, 0, 0, 0, "2.6.0", "Scripts that are known", script_subs},
    {0}};
