/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OXBOW FORWARD and UPLINK. Forwards are the store's and are seen and changed here by its public API; the
 * session that carries them is the program's, behind the functions of its configuration, so that a server
 * without one is linked to none.
 *
 * FORWARD has a transaction of its own each time: FORCE is a transaction's, and a forward's change is not
 * to share the fate of others' commands.
 */
#include "engine/resp/args.h"
#include "engine/resp/cmd_oxbow.h"
#include "oxbow/forward.h"
#include "oxbow/uplink.h"

#include <string.h>

#define NO_UPLINK "ERR there is no uplink here: the server was started without a target for it"

/* One forward as it is told. */
struct told {
    struct oxbow_forward f;
    struct oxbow_forward_status status;
    struct oxbow_uplink_forward_status session;
    const char *state; /* of the session; "none": there is none */
    char word[OXBOW_FORWARD_WORD_MAX];
};

/* The forward's name of an argument; false: it cannot be one. */
static bool name_of(struct oxbow_bytes arg, char name[OXBOW_FORWARD_NAME_MAX + 1])
{
    if (arg.len == 0 || arg.len > OXBOW_FORWARD_NAME_MAX || memchr(arg.data, 0, arg.len) != NULL) {
        return false;
    }
    memcpy(name, arg.data, arg.len);
    name[arg.len] = '\0';
    return true;
}

static enum oxbow_err refuse_name(struct resp_call *call)
{
    return resp_refuse(call, "ERR a forward's name has 1 to 63 letters, digits, '_', '.' and '-'");
}

static enum oxbow_err refuse_why(struct resp_call *call, const struct oxbow_forward_why *why)
{
    resp_error_format(call->reply, "ERR %s", why->text);
    return OXBOW_OK;
}

/* ---- transactions ---- */

static enum oxbow_err begin(struct resp_call *call, uint32_t flags, struct oxbow_txn **txn)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_NOWAIT | flags,
                                          .database = call->client->database};

    return oxbow_txn_begin(call->server->db, &opt, txn);
}

/* Commits and says OK, which leaves when it is as safe as it should be. An error is the caller's. */
static enum oxbow_err finish(struct resp_call *call, struct oxbow_txn *txn, enum oxbow_err err)
{
    uint64_t lsn = 0;

    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    err = resp_txn_end(call->server, txn, &lsn);
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
        resp_client_gate(call->client, lsn);
    }
    return err;
}

/* ---- what forwards are like ---- */

static enum oxbow_err tell_of(struct resp_call *call, struct oxbow_txn *txn, const char *name,
                              struct told *t)
{
    const struct oxbow_resp_config *config = &call->server->config;
    enum oxbow_err err = oxbow_forward_get(txn, name, &t->f);

    if (err == OXBOW_OK) {
        err = oxbow_forward_status(txn, name, &t->status);
    }
    t->session = (struct oxbow_uplink_forward_status){.state = OXBOW_UPLINK_FORWARD_NEW};
    t->state = "none";
    if (err == OXBOW_OK && config->uplink != NULL) {
        /* One that the session has not seen yet is new. */
        (void)!config->uplink_ops->forward_status(config->uplink, name, &t->session);
        t->state = config->uplink_ops->forward_state_name(t->session.state);
    }
    return err;
}

static void reply_told(struct resp_call *call, struct told *t)
{
    const struct oxbow_uplink_ops *ops = call->server->config.uplink_ops;
    const struct oxbow_forward_options *o = &t->f.options;
    const struct oxbow_forward_status *s = &t->status;
    struct resp_reply *r = call->reply;
    struct resp_later later = resp_map_later(r);
    size_t pairs = 21;
    const char *name;
    size_t len;

    oxbow_pair_text(r, "name", t->f.name);
    oxbow_pair_int(r, "database", t->f.database);
    oxbow_pair_text(r, "type", o->type == OXBOW_TYPE_LIST ? "list" : "stream");
    oxbow_pair_bytes(r, "key", o->key);
    oxbow_pair_bytes(r, "target", o->target);
    oxbow_pair_text(r, "state", t->state);
    oxbow_pair_int(r, "paused", t->session.paused);
    oxbow_pair_text(
        r, "trouble",
        t->session.trouble == OXBOW_TROUBLE_NONE ? "none" : ops->trouble_name(t->session.trouble));
    oxbow_pair_text(r, "trouble-text", t->session.text);
    oxbow_pair_id(r, "accepted", t->session.accepted);
    oxbow_pair_id(r, "sent", s->sent);
    oxbow_pair_id(r, "confirmed", s->confirmed);
    oxbow_pair_id(r, "end", s->end);
    oxbow_pair_int(r, "backlog", s->backlog_entries);
    oxbow_pair_int(r, "backlog-bytes", s->backlog_bytes);
    oxbow_pair_int(r, "unsent", s->unsent_entries);
    oxbow_pair_int(r, "oldest-ms", s->oldest_age_ms);
    oxbow_pair_int(r, "dropped", s->dropped_entries);
    oxbow_pair_int(r, "gaps", s->gaps);
    oxbow_pair_int(r, "rewinds", s->rewinds);
    oxbow_pair_id(r, "blocked-by", s->blocked_by);
    for (size_t i = 0; oxbow_forward_word(o, i, &name, t->word, &len); i++, pairs++) {
        oxbow_pair_bytes(r, name, (struct oxbow_bytes){t->word, len});
    }
    resp_later_set(r, later, pairs);
}

/* ---- FORWARD ---- */

static enum oxbow_err list_one(struct resp_call *call, struct oxbow_txn *txn,
                               struct oxbow_bytes item, struct told *t)
{
    char name[OXBOW_FORWARD_NAME_MAX + 1];
    enum oxbow_err err = name_of(item, name) ? tell_of(call, txn, name, t) : OXBOW_ENOENT;

    if (err == OXBOW_OK) {
        reply_told(call, t);
    }
    return err;
}

static enum oxbow_err list_all(struct resp_call *call, struct oxbow_txn *txn, struct told *t)
{
    struct oxbow_result *names = call->result;
    enum oxbow_err err = oxbow_forward_list(txn, names);

    if (err == OXBOW_OK) {
        resp_array(call->reply, names->item_count);
    }
    for (size_t i = 0; err == OXBOW_OK && i < names->item_count; i++) {
        err = list_one(call, txn, names->items[i], t);
    }
    return err;
}

/* All of them, or an array of the one that is named. */
static enum oxbow_err forward_list(struct resp_call *call)
{
    const struct oxbow_alloc *alloc = resp_alloc(call->server);
    struct told *t = mem_new(alloc, sizeof *t);
    uint64_t mark = resp_reply_mark(call->reply);
    struct oxbow_txn *txn;
    uint64_t lsn = 0;
    enum oxbow_err err = t == NULL ? OXBOW_ENOMEM : begin(call, OXBOW_TXN_READ, &txn);

    if (err != OXBOW_OK) {
        mem_free(alloc, t, sizeof *t);
        return err;
    }
    if (call->count == 3) {
        err = list_all(call, txn, t);
    } else {
        resp_array(call->reply, 1);
        err = list_one(call, txn, call->args[3], t);
    }
    mem_free(alloc, t, sizeof *t);
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
    } else {
        err = resp_txn_end(call->server, txn, &lsn);
    }
    if (err != OXBOW_OK) {
        resp_reply_rewind(call->reply, mark);
        return err;
    }
    resp_client_gate(call->client, lsn);
    return OXBOW_OK;
}

static enum oxbow_err forward_add(struct resp_call *call)
{
    const struct oxbow_bytes *args = call->args;
    struct oxbow_forward_options opt = {.key = args[5], .type = OXBOW_TYPE_STREAM};
    struct oxbow_forward_why why;
    char name[OXBOW_FORWARD_NAME_MAX + 1];
    struct oxbow_txn *txn;
    enum oxbow_err err;

    if (!name_of(args[3], name)) {
        return refuse_name(call);
    }
    if (resp_arg_is(args[4], "list")) {
        opt.type = OXBOW_TYPE_LIST;
    } else if (!resp_arg_is(args[4], "stream")) {
        resp_error_format(call->reply, "ERR '%.*s' is neither stream nor list",
                          oxbow_shown(args[4]), (const char *)args[4].data);
        return OXBOW_OK;
    }
    if (oxbow_forward_words(args + 6, call->count - 6, &opt, &why) != OXBOW_OK ||
        oxbow_forward_check(name, &opt, &why) != OXBOW_OK) {
        return refuse_why(call, &why);
    }
    if (resp_cache_has(call->server, call->client->database)) {
        return resp_cache_refuse(call, call->client->database);
    }
    err = begin(call, 0, &txn);
    if (err != OXBOW_OK) {
        return err;
    }
    err = finish(call, txn, oxbow_forward_create(txn, name, &opt));
    if (err == OXBOW_EEXIST) {
        return resp_refuse(call, "ERR there is a forward of this name, key or target already");
    }
    return err == OXBOW_ERANGE ? resp_refuse(call, "ERR there are 256 forwards already") : err;
}

/* The rest of what was said of it stays. */
static enum oxbow_err change(struct resp_call *call, struct oxbow_txn *txn, const char *name,
                             struct oxbow_forward *f, struct oxbow_forward_why *why)
{
    struct oxbow_forward_options opt;
    struct oxbow_bytes target;
    enum oxbow_err err = oxbow_forward_get(txn, name, f);

    if (err != OXBOW_OK) {
        return err;
    }
    opt = f->options;
    target = opt.target;
    err = oxbow_forward_words(call->args + 4, call->count - 4, &opt, why);
    if (err == OXBOW_OK &&
        (opt.target.len != target.len || memcmp(opt.target.data, target.data, target.len) != 0)) {
        static const char text[] = "a forward's target stays: remove it, and add another";

        memcpy(why->text, text, sizeof text);
        return OXBOW_EINVAL;
    }
    if (err == OXBOW_OK) {
        err = oxbow_forward_check(name, &opt, why);
    }
    return err == OXBOW_OK ? oxbow_forward_change(txn, name, &opt) : err;
}

static enum oxbow_err forward_set(struct resp_call *call)
{
    const struct oxbow_alloc *alloc = resp_alloc(call->server);
    struct oxbow_forward_why why = {.text = "these options do not go together"};
    char name[OXBOW_FORWARD_NAME_MAX + 1];
    struct oxbow_forward *f;
    struct oxbow_txn *txn;
    enum oxbow_err err;

    if (!name_of(call->args[3], name)) {
        return refuse_name(call);
    }
    f = mem_new(alloc, sizeof *f);
    err = f == NULL ? OXBOW_ENOMEM : begin(call, 0, &txn);
    if (err == OXBOW_OK) {
        err = finish(call, txn, change(call, txn, name, f, &why));
    }
    mem_free(alloc, f, sizeof *f);
    return err == OXBOW_EINVAL ? refuse_why(call, &why) : err;
}

static enum oxbow_err forward_del(struct resp_call *call)
{
    struct oxbow_forward_status status = {.backlog_entries = 0};
    char name[OXBOW_FORWARD_NAME_MAX + 1];
    struct oxbow_txn *txn;
    enum oxbow_err err;

    if (!name_of(call->args[3], name)) {
        return refuse_name(call);
    }
    if (call->count == 5 && !resp_arg_is(call->args[4], "force")) {
        return resp_refuse_syntax(call);
    }
    err = begin(call, call->count == 5 ? OXBOW_TXN_FORCE : 0, &txn);
    if (err != OXBOW_OK) {
        return err;
    }
    err = oxbow_forward_status(txn, name, &status);
    if (err == OXBOW_OK) {
        err = oxbow_forward_remove(txn, name);
    }
    err = finish(call, txn, err);
    if (err == OXBOW_EPROTECTED) {
        resp_error_format(call->reply,
                          "ERR %llu of the forward's entries are not confirmed at the target yet; "
                          "with FORCE it goes, and they stay here and are carried no more",
                          (unsigned long long)status.backlog_entries);
        return OXBOW_OK;
    }
    return err;
}

static enum oxbow_err set_pause(struct resp_call *call, bool paused)
{
    const struct oxbow_resp_config *config = &call->server->config;
    const struct oxbow_alloc *alloc = resp_alloc(call->server);
    struct oxbow_forward *f;
    char name[OXBOW_FORWARD_NAME_MAX + 1];
    struct oxbow_txn *txn;
    enum oxbow_err err;

    if (!name_of(call->args[3], name)) {
        return refuse_name(call);
    }
    f = mem_new(alloc, sizeof *f);
    err = f == NULL ? OXBOW_ENOMEM : begin(call, OXBOW_TXN_READ, &txn);
    if (err == OXBOW_OK) {
        err = oxbow_forward_get(txn, name, f);
        oxbow_txn_abort(txn);
    }
    if (err == OXBOW_OK) {
        err = config->uplink_ops->forward_pause(config->uplink, f->id, paused);
    }
    mem_free(alloc, f, sizeof *f);
    if (err == OXBOW_OK) {
        resp_ok(call->reply);
    }
    return err;
}

static enum oxbow_err forward_pause(struct resp_call *call)
{
    return set_pause(call, true);
}

static enum oxbow_err forward_resume(struct resp_call *call)
{
    return set_pause(call, false);
}

static const struct {
    const char *name;
    enum oxbow_err (*run)(struct resp_call *call);
    uint32_t least; /* arguments, from OXBOW on */
    uint32_t most;
    bool session; /* needs one */
} verbs[] = {
    {"add", forward_add, 6, UINT32_MAX, true}, {"set", forward_set, 6, UINT32_MAX, false},
    {"del", forward_del, 4, 5, false},         {"list", forward_list, 3, 4, false},
    {"pause", forward_pause, 4, 4, true},      {"resume", forward_resume, 4, 4, true},
};

static enum oxbow_err refuse_unknown(struct resp_call *call)
{
    resp_error_format(call->reply, "ERR there is no forward '%.*s'", oxbow_shown(call->args[3]),
                      (const char *)call->args[3].data);
    return OXBOW_OK;
}

enum oxbow_err cmd_oxbow_forward(struct resp_call *call)
{
    enum oxbow_err err;

    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (!resp_arg_is(call->args[2], verbs[i].name)) {
            continue;
        }
        if (call->count < verbs[i].least || call->count > verbs[i].most) {
            break;
        }
        if (verbs[i].session && call->server->config.uplink == NULL) {
            return resp_refuse(call, NO_UPLINK);
        }
        err = verbs[i].run(call);
        return err == OXBOW_ENOENT && call->count > 3 ? refuse_unknown(call) : err;
    }
    resp_error_format(call->reply,
                      "ERR unknown subcommand or wrong number of arguments for 'FORWARD %.*s'. Try "
                      "OXBOW HELP.",
                      oxbow_shown(call->args[2]), (const char *)call->args[2].data);
    return OXBOW_OK;
}

/* ---- UPLINK ---- */

enum oxbow_err cmd_oxbow_uplink(struct resp_call *call)
{
    static const struct {
        const char *name;
        enum oxbow_uplink_command command;
    } commands[] = {
        {"pause", OXBOW_UPLINK_PAUSE}, {"resume", OXBOW_UPLINK_RESUME},
        {"up", OXBOW_UPLINK_UP},       {"down", OXBOW_UPLINK_DOWN},
        {"flush", OXBOW_UPLINK_FLUSH}, {"reload", OXBOW_UPLINK_RELOAD},
        {"adopt", OXBOW_UPLINK_ADOPT},
    };
    const struct oxbow_resp_config *config = &call->server->config;

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (!resp_arg_is(call->args[2], commands[i].name)) {
            continue;
        }
        if (config->uplink == NULL) {
            return resp_refuse(call, NO_UPLINK);
        }
        config->uplink_ops->command(config->uplink, commands[i].command);
        resp_ok(call->reply);
        return OXBOW_OK;
    }
    resp_error_format(call->reply, "ERR unknown subcommand 'UPLINK %.*s'. Try OXBOW HELP.",
                      oxbow_shown(call->args[2]), (const char *)call->args[2].data);
    return OXBOW_OK;
}
