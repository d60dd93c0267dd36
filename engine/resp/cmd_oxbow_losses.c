/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OXBOW LOSSES: what the store has on record as lost to damage (loss.h). Damage is found, and mended with all
 * that is intact, when the store is opened; who asks a daemon that goes on is told here.
 */
#include "engine/base/num.h"
#include "engine/resp/args.h"
#include "engine/resp/cmd_oxbow.h"
#include "oxbow/loss.h"

#include <inttypes.h>
#include <stdio.h>

#define LIST_COUNT_DEFAULT 100u
#define LIST_COUNT_MAX     1000u
#define TEXT_BYTES         1024u

/* ---- how many ---- */

static enum oxbow_err count_one(void *ctx, const struct oxbow_loss *loss)
{
    (void)loss;
    ++*(uint64_t *)ctx;
    return OXBOW_OK;
}

enum oxbow_err resp_losses_look(struct oxbow_resp *s)
{
    char line[96];
    enum oxbow_err err;

    s->losses = 0;
    err = oxbow_losses(s->db, count_one, &s->losses);
    if (err == OXBOW_ECORRUPT) { /* the store serves what is intact all the same */
        s->losses = UINT64_MAX;
        (void)snprintf(line, sizeof line, "resp: the record of losses cannot be read: %s",
                       oxbow_err_text(err));
        s->port->log.line(s->port->log.ctx, OXBOW_LOG_ERROR, line);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK && s->losses > 0) {
        (void)snprintf(line, sizeof line, "resp: losses on record: %" PRIu64 ": OXBOW LOSSES LIST",
                       s->losses);
        s->port->log.line(s->port->log.ctx, OXBOW_LOG_WARN, line);
    }
    return err;
}

/* ---- LIST ---- */

struct lister {
    struct resp_reply *reply;
    uint64_t skip;
    uint64_t left;
    size_t count;
};

static void pair_id(struct resp_reply *r, const char *name, const struct oxbow_loss *l,
                    struct oxbow_id id)
{
    const bool known = (l->first.ms | l->first.seq | l->last.ms | l->last.seq) != 0;

    if (!known) {
        resp_bulk_text(r, name);
        resp_null(r);
    } else if (l->type == OXBOW_TYPE_STREAM) {
        oxbow_pair_id(r, name, id);
    } else {
        oxbow_pair_int(r, name, id.seq);
    }
}

static enum oxbow_err list_one(void *ctx, const struct oxbow_loss *loss)
{
    struct lister *list = ctx;
    struct resp_reply *r = list->reply;
    char text[TEXT_BYTES];

    if (list->skip > 0) {
        list->skip--;
        return OXBOW_OK;
    }
    if (list->left == 0) {
        return OXBOW_OK;
    }
    list->left--;
    list->count++;
    (void)oxbow_loss_text(loss, text, sizeof text);
    resp_map(r, 10);
    oxbow_pair_text(r, "kind", oxbow_loss_kind_name(loss->kind));
    oxbow_pair_int(r, "database", loss->database);
    oxbow_pair_bytes(r, "key", loss->key);
    oxbow_pair_bytes(r, "group", loss->group);
    pair_id(r, "first", loss, loss->first);
    pair_id(r, "last", loss, loss->last);
    oxbow_pair_int(r, "entries", loss->entries);
    oxbow_pair_int(r, "boot", loss->boot);
    oxbow_pair_int(r, "wall-ms", loss->wall_ms);
    oxbow_pair_text(r, "text", text);
    return OXBOW_OK;
}

static enum oxbow_err losses_list(struct resp_call *call)
{
    struct lister list = {.reply = call->reply, .left = LIST_COUNT_DEFAULT};
    uint64_t mark = resp_reply_mark(call->reply);
    struct resp_later later;
    enum oxbow_err err;

    for (uint32_t i = 3; i < call->count; i += 2) {
        const bool from = resp_arg_is(call->args[i], "from");

        if ((!from && !resp_arg_is(call->args[i], "count")) || i + 1 == call->count) {
            return resp_refuse(call, "ERR syntax error");
        }
        if (num_u64(call->args[i + 1], from ? &list.skip : &list.left) != OXBOW_OK ||
            (!from && (list.left == 0 || list.left > LIST_COUNT_MAX))) {
            return resp_refuse(call, from ? "ERR FROM is a number of losses to pass over"
                                          : "ERR COUNT is a number from 1 to 1000");
        }
    }
    later = resp_array_later(call->reply);
    err = oxbow_txn_losses(call->txn, list_one, &list);
    if (err != OXBOW_OK) {
        resp_reply_rewind(call->reply, mark);
        return err;
    }
    resp_later_set(call->reply, later, list.count);
    return OXBOW_OK;
}

/* ---- FORGET ---- */

static enum oxbow_err losses_forget(struct resp_call *call)
{
    enum oxbow_err err = oxbow_txn_losses_forget(call->txn);

    if (err == OXBOW_OK) {
        call->server->losses = 0;
        resp_ok(call->reply);
    }
    return err;
}

enum oxbow_err cmd_oxbow_losses(struct resp_call *call)
{
    static const struct oxbow_verb verbs[] = {
        {"list", losses_list, 3, 7}, {"forget", losses_forget, 3, 3}, {NULL, NULL, 0, 0}};

    return oxbow_verb_run(call, verbs);
}
