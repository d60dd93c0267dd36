/* SPDX-License-Identifier: Apache-2.0 */
/* MULTI, EXEC, DISCARD, WATCH, UNWATCH. What EXEC carries out is one transaction of the store. */
#include "engine/resp/server.h"

enum oxbow_err resp_multi_queue(struct oxbow_resp_client *c, const struct oxbow_bytes *args,
                                uint32_t count)
{
    enum oxbow_err err = resp_copy_add(&c->multi.queue, args, count);

    if (err == OXBOW_OK) {
        c->multi.count++;
    } else {
        c->multi.broken = true;
    }
    return err;
}

static void unwatch(struct oxbow_resp_client *c)
{
    while (!link_alone(&c->multi.watches)) {
        struct resp_watch *w = LINK_OF(c->multi.watches.next, struct resp_watch, of_client);

        link_remove(&w->of_client);
        link_remove(&w->line);
        resp_interest_drop(c->server, w->interest);
        mem_free(resp_alloc(c->server), w, sizeof *w);
    }
    c->multi.dirty = false;
}

void resp_multi_end(struct oxbow_resp_client *c)
{
    unwatch(c);
    buf_fini(&c->multi.queue);
    c->multi.on = false;
    c->multi.broken = false;
    c->multi.count = 0;
    c->multi.adds = 0;
    c->multi.changes = false;
    c->multi.writes = false;
}

static enum oxbow_err cmd_multi(struct resp_call *call)
{
    struct resp_multi *m = &call->client->multi;

    if (m->on) {
        return resp_refuse(call, "ERR MULTI calls can not be nested");
    }
    m->on = true;
    m->database = call->client->database;
    resp_ok(call->reply);
    return OXBOW_OK;
}

static enum oxbow_err cmd_discard(struct resp_call *call)
{
    if (!call->client->multi.on) {
        return resp_refuse(call, "ERR DISCARD without MULTI");
    }
    resp_multi_end(call->client);
    resp_ok(call->reply);
    return OXBOW_OK;
}

static bool watches(const struct oxbow_resp_client *c, const struct resp_interest *i)
{
    for (const struct link *l = c->multi.watches.next; l != &c->multi.watches; l = l->next) {
        if (LINK_OF(l, struct resp_watch, of_client)->interest == i) {
            return true;
        }
    }
    return false;
}

static enum oxbow_err watch(struct oxbow_resp_client *c, struct oxbow_bytes key)
{
    struct resp_interest *i = resp_interest_get(c->server, c->database, key, true);
    struct resp_watch *w;

    if (i == NULL || watches(c, i)) {
        return i == NULL ? OXBOW_ENOMEM : OXBOW_OK;
    }
    w = mem_new(resp_alloc(c->server), sizeof *w);
    if (w == NULL) {
        resp_interest_drop(c->server, i);
        return OXBOW_ENOMEM;
    }
    w->client = c;
    w->interest = i;
    link_init(&w->line);
    link_init(&w->of_client);
    link_add(&i->watchers, &w->line);
    link_add(&c->multi.watches, &w->of_client);
    return OXBOW_OK;
}

static enum oxbow_err cmd_watch(struct resp_call *call)
{
    if (call->client->multi.on) {
        return resp_refuse(call, "ERR WATCH inside MULTI is not allowed");
    }
    for (uint32_t i = 1; i < call->count; i++) {
        enum oxbow_err err = watch(call->client, call->args[i]);

        if (err != OXBOW_OK) {
            return err;
        }
    }
    resp_ok(call->reply);
    return OXBOW_OK;
}

static enum oxbow_err cmd_unwatch(struct resp_call *call)
{
    unwatch(call->client);
    resp_ok(call->reply);
    return OXBOW_OK;
}

/* Whether the user may still give what it was allowed to queue. */
static bool allowed(const struct resp_call *queued)
{
    static const char *const reasons[] = {
        [ACL_DENIED_COMMAND] = "no permission to execute the command or subcommand",
        [ACL_DENIED_KEY] = "no permission to touch the specified keys",
        [ACL_DENIED_CHANNEL] = "no permission to access one of the channels used as arguments to "
                               "the command",
    };
    enum acl_verdict verdict = resp_acl_check(queued, "multi");

    if (verdict != ACL_ALLOWED) {
        resp_error_format(
            queued->reply,
            "NOPERM ACLs rules changed between the moment the transaction was "
            "accumulated and the EXEC call. This command is no longer allowed for the "
            "following reason: %s",
            reasons[verdict]);
    }
    return verdict == ACL_ALLOWED;
}

/* Runs what was queued, in the batch's transaction. */
static enum oxbow_err run_queued(struct resp_call *call)
{
    struct oxbow_resp_client *c = call->client;
    struct oxbow_resp *s = call->server;
    const struct oxbow_alloc *alloc = resp_alloc(s);
    size_t pos = 0;

    resp_array(call->reply, c->multi.count);
    for (uint32_t n = c->multi.count; n > 0; n--) {
        size_t start = pos;
        uint32_t count = resp_copy_read(&c->multi.queue, &pos, NULL);
        struct oxbow_bytes *args = mem_new(alloc, count * sizeof *args);
        struct resp_call queued = {.server = s,
                                   .client = c,
                                   .args = args,
                                   .count = count,
                                   .txn = s->txn,
                                   .reply = call->reply,
                                   .result = &s->result};
        enum oxbow_err err = OXBOW_OK;

        if (args == NULL) {
            return OXBOW_ENOMEM;
        }
        (void)resp_copy_read(&c->multi.queue, &start, args);
        queued.row = resp_table_find(&s->table, args[0]);
        if (queued.row->subs != NULL && count >= 2) {
            queued.row = resp_sub_find(queued.row, args[1]);
        }
        if (allowed(&queued)) {
            err = oxbow_txn_select(s->txn, c->database);
            err = err == OXBOW_OK ? resp_run(&queued) : err;
        }
        mem_free(alloc, args, count * sizeof *args);
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_exec(struct resp_call *call)
{
    struct oxbow_resp_client *c = call->client;
    struct oxbow_resp *s = call->server;
    bool dirty;
    enum oxbow_err err;

    if (!c->multi.on) {
        return resp_refuse(call, "ERR EXEC without MULTI");
    }
    err = resp_cache_before_exec(c); /* what goes may be what is watched */
    dirty = c->multi.dirty;
    if (err != OXBOW_OK) {
        resp_multi_end(c);
        resp_error_format(call->reply, "EXECABORT Transaction discarded because of: %s",
                          resp_error_text(err));
        return OXBOW_OK;
    }
    if (c->multi.broken || dirty) {
        bool broken = c->multi.broken;

        resp_multi_end(c);
        if (broken) {
            return resp_refuse(call, "EXECABORT Transaction discarded because of previous errors.");
        }
        resp_null_array(call->reply);
        return OXBOW_OK;
    }
    unwatch(c); /* its own changes are not others' */
    c->multi.on = false;
    resp_batch_join(s, c);
    err = resp_batch_txn(s, c);
    err = err == OXBOW_OK ? resp_cache_exec(c) : err;
    if (err == OXBOW_OK) {
        err = run_queued(call);
        (void)resp_batch_note(s, c);
    }
    resp_multi_end(c);
    if (err != OXBOW_OK) { /* nothing of it has happened */
        resp_reply_rewind(&c->out, c->batch_out);
        if (s->txn != NULL) {
            oxbow_txn_abort(s->txn);
            s->txn = NULL;
        }
        return err;
    }
    if (!link_alone(&s->touched)) {
        resp_block_serve(s);
    }
    s->batched = 1;
    return resp_batch_end(s);
}

#define ALONE (RESP_ALONE | RESP_NOT_QUEUED | RESP_NOSCRIPT | RESP_LOADING | RESP_STALE)

const struct resp_command resp_multi_commands[] = {
    {"multi", cmd_multi, 1, ALONE | RESP_FAST, RESP_CAT_TRANSACTION, 0, 0, 0, "1.2.0",
     "Begins a transaction: what follows is queued", NULL},
    {"exec", cmd_exec, 1, ALONE | RESP_SKIP_LOGS, RESP_CAT_TRANSACTION, 0, 0, 0, "1.2.0",
     "Carries out what was queued, all or nothing", NULL},
    {"discard", cmd_discard, 1, ALONE | RESP_FAST, RESP_CAT_TRANSACTION, 0, 0, 0, "2.0.0",
     "Forgets what was queued", NULL},
    {"watch", cmd_watch, -2, ALONE | RESP_FAST, RESP_CAT_TRANSACTION, 1, -1, 1, "2.2.0",
     "Has EXEC do nothing if one of the keys changes before it", NULL},
    {"unwatch", cmd_unwatch, 1, RESP_ALONE | RESP_NOSCRIPT | RESP_LOADING | RESP_STALE | RESP_FAST,
     RESP_CAT_TRANSACTION, 0, 0, 0, "2.2.0", "Watches no key any more", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
