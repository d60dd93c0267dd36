/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to its handler: the checks that all commands share, MULTI's queue, errors. */
#include "engine/resp/args.h"
#include "engine/resp/rules.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

#define QUOTED_MAX 128u /* bytes of an unknown command's name, and of its arguments together */

/* ---- refusals ---- */

/* A C string ends at the first zero: as Redis prints what it does not know. */
static int quoted_len(struct oxbow_bytes b, size_t max)
{
    const char *zero = b.len > 0 ? memchr(b.data, 0, b.len) : NULL;
    size_t len = zero != NULL ? (size_t)(zero - (const char *)b.data) : b.len;

    return (int)(len < max ? len : max);
}

/* A command's name, or that of the container of a subcommand, in upper case. */
static void upper_name(const struct resp_command *row, char out[RESP_NAME_MAX])
{
    const char *name = row->name;
    size_t i;

    for (i = 0; name[i] != '\0' && name[i] != '|'; i++) {
        out[i] = (char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - 'a' + 'A' : name[i]);
    }
    out[i] = '\0';
}

enum oxbow_err resp_refuse(struct resp_call *call, const char *text)
{
    resp_error(call->reply, text);
    return OXBOW_OK;
}

enum oxbow_err resp_refuse_arity(struct resp_call *call)
{
    resp_error_format(call->reply, "ERR wrong number of arguments for '%s' command",
                      call->row->name);
    return OXBOW_OK;
}

enum oxbow_err resp_refuse_subcommand(struct resp_call *call)
{
    char upper[RESP_NAME_MAX];

    upper_name(call->row, upper);
    resp_error_format(
        call->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
        quoted_len(call->args[1], QUOTED_MAX), (const char *)call->args[1].data, upper);
    return OXBOW_OK;
}

enum oxbow_err resp_refuse_syntax(struct resp_call *call)
{
    return resp_refuse(call, "ERR syntax error");
}

enum oxbow_err resp_refuse_integer(struct resp_call *call)
{
    return resp_refuse(call, "ERR value is not an integer or out of range");
}

enum oxbow_err resp_lines(struct resp_call *call, const char *const *lines)
{
    size_t count = 0;

    while (lines[count] != NULL) {
        count++;
    }
    resp_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        resp_simple(call->reply, lines[i]);
    }
    return OXBOW_OK;
}

static void refuse_unknown(struct resp_reply *reply, const struct oxbow_bytes *args, uint32_t count)
{
    char text[QUOTED_MAX + 64];
    size_t len = 0;

    for (uint32_t i = 1; i < count && len < QUOTED_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "'%.*s' ",
                                quoted_len(args[i], QUOTED_MAX - len), (const char *)args[i].data);
    }
    text[len] = '\0';
    resp_error_format(reply, "ERR unknown command '%.*s', with args beginning with: %s",
                      quoted_len(args[0], QUOTED_MAX), (const char *)args[0].data, text);
}

/* ---- handlers ---- */

static uint64_t changes_of(const struct resp_call *call)
{
    return call->txn != NULL ? oxbow_txn_changes(call->txn) : 0;
}

/* Whether such an error can come after a command has done a part. Others are found before anything is
 * done, but for keys that have expired and are removed on the way: those may stay so. */
static bool comes_late(enum oxbow_err err)
{
    return err == OXBOW_EPROTECTED || err == OXBOW_EQUOTA || err == OXBOW_ENOMEM ||
           err == OXBOW_ETXNBIG || err == OXBOW_ETOOBIG;
}

static uint64_t now_us(const struct resp_call *call)
{
    const struct oxbow_clock *clock = &call->server->port->clock;

    return clock->mono_us(clock->ctx);
}

/* Whether it matters that others waited for it. A script counts, and not what it calls; EXEC's commands, and not
 * EXEC; one that has waited did not keep others. */
static bool is_timed(const struct resp_call *call)
{
    const struct oxbow_resp *s = call->server;

    return (s->slow.longer_us >= 0 || s->latency.threshold_ms > 0) && call->script == NULL &&
           !call->again && (call->row->flags & RESP_SKIP_LOGS) == 0;
}

/* Who has waited is counted when it is served. */
static void note_time(const struct resp_call *call, bool timed, bool tracked, uint64_t began)
{
    uint64_t took = timed || tracked ? now_us(call) - began : 0;

    if (timed) {
        resp_slow_ran(call, took);
        resp_latency_ran(call, took);
    }
    if (tracked) {
        resp_histogram_ran(call, took);
    }
}

/* The handler, and what the configuration has for the queues and groups that it meets. */
static enum oxbow_err carry_out(struct resp_call *call)
{
    enum oxbow_err err = resp_rules_before(call);

    if (err == OXBOW_OK && call->client->tracking.on) {
        err = resp_track_read(call);
    }
    if (err == OXBOW_OK) {
        err = call->row->run(call);
    }
    return err == OXBOW_OK ? resp_rules_after(call) : err;
}

/* A command that is refused after it has done something has the batch fail: it comes again with a
 * transaction of its own, of which then nothing is left. */
enum oxbow_err resp_run(struct resp_call *call)
{
    uint64_t mark = resp_reply_mark(call->reply);
    uint64_t changes = changes_of(call);
    bool timed = is_timed(call);
    bool tracked = call->server->latency.tracking;
    uint64_t began = timed || tracked ? now_us(call) : 0;
    bool calls_others = call->row->categories == RESP_CAT_SCRIPTING;
    enum oxbow_err err;

    if (calls_others) {
        resp_monitor_show(call);
    }
    err = carry_out(call);
    if (!calls_others) {
        resp_monitor_show(call);
    }
    if (err != OXBOW_EAGAIN) {
        note_time(call, timed, tracked, began);
    }
    if (err != OXBOW_OK) {
        resp_reply_rewind(call->reply, mark);
    }
    if (comes_late(err) && changes_of(call) != changes) {
        oxbow_txn_refuse(call->txn, err);
    }
    if (err == OXBOW_OK || err == OXBOW_EAGAIN) {
        return err;
    }
    if (err == OXBOW_ENOTSUP && resp_cache_has(call->server, call->client->database)) {
        return resp_cache_refuse(call, call->client->database);
    }
    resp_error_of(call->reply, err);
    return OXBOW_OK;
}

enum oxbow_err resp_wait_for(struct resp_call *call, const struct resp_wait *wait)
{
    if (call->may_wait) {
        call->wait = *wait;
        return OXBOW_EAGAIN;
    }
    resp_null_array(call->reply);
    return OXBOW_OK;
}

/* ---- requests ---- */

/* Ends the reply that needed no transaction. */
static enum resp_outcome told(struct oxbow_resp_client *c)
{
    if (link_alone(&c->batch)) {
        resp_client_gate(c, 0);
    }
    return RESP_DONE;
}

/* The row of a container's subcommand. NULL: refused. */
static const struct resp_command *sub_of(struct oxbow_resp_client *c,
                                         const struct resp_command *row, struct oxbow_bytes word)
{
    const struct resp_command *sub = resp_sub_find(row, word);
    char upper[RESP_NAME_MAX];

    if (sub == NULL) {
        upper_name(row, upper);
        resp_error_format(resp_client_answer(c), "ERR unknown subcommand '%.*s'. Try %s HELP.",
                          quoted_len(word, QUOTED_MAX), (const char *)word.data, upper);
    }
    return sub;
}

/* Refuses the command as such: EXEC then gives the transaction up. */
static void reject(struct oxbow_resp_client *c, const struct resp_command *row, const char *text)
{
    if (strcmp(row->name, "exec") == 0) {
        resp_error_format(resp_client_answer(c), "EXECABORT Transaction discarded because of: %s",
                          strncmp(text, "ERR ", 4) == 0 ? text + 4 : text);
        resp_multi_end(c);
    } else {
        resp_error(resp_client_answer(c), text);
    }
}

static void refuse_count(struct oxbow_resp_client *c, const struct resp_command *row)
{
    char text[QUOTED_MAX];

    (void)snprintf(text, sizeof text, "ERR wrong number of arguments for '%s' command", row->name);
    reject(c, row, text);
}

void resp_denied_text(enum acl_verdict verdict, const struct resp_command *row, char *out,
                      size_t len)
{
    if (verdict == ACL_DENIED_COMMAND) {
        (void)snprintf(out, len, "NOPERM this user has no permissions to run the '%s' command",
                       row->name);
    } else {
        (void)snprintf(out, len,
                       "NOPERM this user has no permissions to access one of the %s used as "
                       "arguments",
                       verdict == ACL_DENIED_KEY ? "keys" : "channels");
    }
}

/* Whether the user may give the command; if not, that was refused. */
static bool allowed(struct oxbow_resp_client *c, const struct resp_call *call)
{
    enum acl_verdict verdict = resp_acl_check(call, c->multi.on ? "multi" : "toplevel");
    char text[QUOTED_MAX];

    if (verdict != ACL_ALLOWED) {
        resp_denied_text(verdict, call->row, text, sizeof text);
        reject(c, call->row, text);
    }
    return verdict == ACL_ALLOWED;
}

/* Whether the connection may give the command as things stand; if not, that was refused. */
static bool may(struct oxbow_resp_client *c, const struct resp_call *call)
{
    static const char protected[] =
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", "
        "you "
        "can run it from a local connection, otherwise you need to set this option in the "
        "configuration file, and then restart the server.";
    const struct resp_command *row = call->row;

    if ((row->flags & RESP_PROTECTED) != 0 && !resp_may_debug(c)) {
        reject(c, row, protected);
        return false;
    }
    if ((row->flags & RESP_NO_AUTH) == 0 && resp_must_login(c)) {
        reject(c, row, "NOAUTH Authentication required.");
        return false;
    }
    if (c->multi.on && (row->flags & RESP_NO_MULTI) != 0) {
        resp_error(resp_client_answer(c), "ERR Command not allowed inside a transaction");
        return false;
    }
    if (!allowed(c, call)) {
        return false;
    }
    if (resp_subscribed(c) > 0 && c->out.version == 2 && (row->flags & RESP_SUBSCRIBED) == 0) {
        resp_error_format(resp_client_answer(c),
                          "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
                          "QUIT / RESET are allowed in this context",
                          row->name);
        return false;
    }
    if (!link_alone(&c->monitor) && (row->flags & (RESP_READONLY | RESP_WRITE)) != 0) {
        reject(c, row, "ERR Replica can't interact with the keyspace"); /* Redis' words */
        return false;
    }
    return true;
}

/* A browser that was made to POST to this port: the request's body would be commands. Its connection is closed at
 * the first line that shows it, without an answer, as Redis does; told once, for anybody can send such lines. */
static bool is_of_a_browser(struct oxbow_resp_client *c, struct oxbow_bytes name)
{
    struct oxbow_resp *s = c->server;

    if (!resp_arg_is(name, "post") && !resp_arg_is(name, "host:")) {
        return false;
    }
    if (!s->browser_told && s->port->log.line != NULL) {
        s->port->log.line(s->port->log.ctx, OXBOW_LOG_WARN,
                          "a client has sent POST or Host: and was closed: somebody may be using a "
                          "browser to send commands");
    }
    s->browser_told = true;
    resp_client_end_soon(c);
    return true;
}

/* Fills in the row, with everything checked that does not depend on the command. False: refused. */
static bool row_of(struct oxbow_resp_client *c, struct resp_call *call)
{
    const struct oxbow_bytes *args = call->args;
    uint32_t count = call->count;
    const struct resp_command *row = resp_find(c, args[0]);

    if (row == NULL && is_of_a_browser(c, args[0])) {
        return false;
    }
    if (row == NULL) {
        refuse_unknown(call->reply, args, count);
        return false;
    }
    if (row->subs != NULL && count >= 2) {
        row = sub_of(c, row, args[1]);
        if (row == NULL) {
            return false;
        }
    }
    if ((row->arity > 0 && count != (uint32_t)row->arity) ||
        (row->arity < 0 && count < (uint32_t)-row->arity)) {
        refuse_count(c, row);
        return false;
    }
    c->last = row;
    call->row = row;
    return may(c, call);
}

static enum resp_outcome queue(const struct resp_call *call)
{
    struct oxbow_resp_client *c = call->client;
    enum oxbow_err err = resp_multi_queue(c, call->args, call->count);

    if (err == OXBOW_OK) {
        resp_cache_queued(c, call);
        c->multi.writes = c->multi.writes || resp_row_writes(call->row);
        resp_simple(call->reply, "QUEUED");
    } else {
        resp_error_of(call->reply, err);
    }
    return told(c);
}

/* A command that changes what no batch could put back: all before it is settled first. */
static enum resp_outcome run_alone(struct resp_call *call)
{
    struct oxbow_resp_client *c = call->client;

    if (resp_batch_end(c->server) != OXBOW_OK) {
        return RESP_GIVEN_UP;
    }
    (void)!resp_run(call); /* it does not wait */
    return told(c);
}

/* Found nothing, and is to wait for it. */
static enum resp_outcome run_later(struct resp_call *call)
{
    struct oxbow_resp_client *c = call->client;
    enum oxbow_err err;

    if (resp_batch_end(c->server) != OXBOW_OK) {
        return RESP_GIVEN_UP;
    }
    if (c->server->answered) {
        return RESP_DONE;
    }
    err = resp_block_begin(call);
    if (err != OXBOW_OK) {
        resp_error_of(call->reply, err);
        return told(c);
    }
    return RESP_DONE;
}

static enum resp_outcome run_in_batch(struct resp_call *call, bool settle)
{
    struct oxbow_resp_client *c = call->client;
    struct oxbow_resp *s = c->server;
    enum oxbow_err err;

    if (settle && resp_batch_end(s) != OXBOW_OK) {
        return RESP_GIVEN_UP;
    }
    resp_batch_join(s, c);
    err = resp_batch_txn(s, c);
    call->txn = s->txn;
    err = err == OXBOW_OK ? resp_cache_before(call) : err;
    if (err != OXBOW_OK) {
        resp_error_of(call->reply, err);
    } else {
        bool waits = resp_run(call) == OXBOW_EAGAIN;

        (void)resp_batch_note(s, c);
        if (waits) {
            s->batched++;
            return run_later(call);
        }
        resp_block_serve(s);
    }
    if (s->track.some) {
        resp_track_tell(s);
    }
    s->batched++;
    if (s->singly > 0) {
        s->singly--;
        settle = true;
    }
    if (settle || s->batched >= RESP_BATCH_MAX || (s->txn != NULL && oxbow_txn_filled(s->txn)) ||
        resp_reply_mark(&c->out) - c->batch_out > RESP_BATCH_BYTES) {
        return resp_batch_end(s) == OXBOW_OK ? RESP_DONE : RESP_GIVEN_UP;
    }
    return RESP_DONE;
}

/* Whether the batch has to be settled first; there may be room for that and none afterwards. */
static bool begins_alone(const struct resp_call *call)
{
    const bool queued = call->client->multi.on && (call->row->flags & RESP_NOT_QUEUED) == 0;

    return call->server->txn != NULL && !queued && (call->row->flags & RESP_ALONE) != 0;
}

/* Whether it would begin a transaction: there is none that it joins. */
static bool needs_room(const struct resp_call *call)
{
    const uint32_t flags = call->row->flags;

    if ((flags & RESP_PURE) != 0 || (call->client->multi.on && (flags & RESP_NOT_QUEUED) == 0)) {
        return false;
    }
    return call->server->txn == NULL;
}

static enum resp_outcome execute(struct resp_call *call)
{
    struct oxbow_resp_client *c = call->client;
    const struct resp_command *row = call->row;

    if (c->multi.on && (row->flags & RESP_NOT_QUEUED) == 0) {
        return queue(call);
    }
    if ((row->flags & RESP_ALONE) != 0) {
        return run_alone(call);
    }
    if ((row->flags & RESP_PURE) != 0) {
        (void)!resp_run(call);
        return told(c);
    }
    return run_in_batch(call, resp_reader_was_inline(&c->in));
}

enum resp_outcome resp_execute(struct oxbow_resp_client *c, const struct oxbow_bytes *args,
                               uint32_t count)
{
    struct oxbow_resp *s = c->server;
    enum resp_outcome outcome;
    struct resp_call call = {.server = s,
                             .client = c,
                             .args = args,
                             .count = count,
                             .result = &s->result,
                             .may_wait = true};

    s->current = c;
    if (s->unsaid_some) {
        resp_client_unsaid(s);
    }
    call.reply = resp_client_answer(c);
    c->used_us = s->now_us;
    if (!row_of(c, &call)) {
        s->stats.commands++;
        c->multi.broken = c->multi.on;
        resp_track_ran(c, NULL);
        return told(c);
    }
    if (s->pause.mode != RESP_PAUSE_NONE && resp_pause_holds(&call)) {
        return RESP_GIVEN_UP;
    }
    if (begins_alone(&call) && resp_batch_end(s) != OXBOW_OK) {
        return RESP_GIVEN_UP;
    }
    if (!resp_reader_was_inline(&c->in) && needs_room(&call) && !resp_room(s)) {
        return RESP_NO_ROOM;
    }
    s->stats.commands++;
    outcome = execute(&call);
    if (outcome == RESP_DONE) {
        resp_track_ran(c, call.row);
    }
    return outcome;
}
