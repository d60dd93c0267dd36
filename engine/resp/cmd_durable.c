/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WAIT and WAITAOF: how safe this connection's writes are; SAVE and its like: how safe everybody's are.
 *
 * There are no replicas, so WAIT has nothing to wait for. WAITAOF waits until all that this connection
 * was shown is on the device, whatever the policy; under `always` no reply leaves before that anyway.
 * Who waits so stands in server->settling, with block.on and no keys.
 *
 * SAVE waits until everything that was committed is on the device, BGSAVE has it brought there and does not wait,
 * and LASTSAVE is a time at which all of it was there: the last one that somebody has looked at.
 */
#include "engine/resp/args.h"
#include "engine/resp/server.h"

#include <string.h>

/* Milliseconds, 0: for ever; to microseconds. NULL, or what is to be replied. */
static const char *timeout_of(struct oxbow_bytes arg, uint64_t *us)
{
    int64_t ms;

    if (!resp_arg_int(arg, &ms)) {
        return "ERR timeout is not an integer or out of range";
    }
    if (ms < 0) {
        return "ERR timeout is negative";
    }
    *us = (uint64_t)ms <= (RESP_NEVER_US - 1) / 4000 ? (uint64_t)ms * 1000 : RESP_NEVER_US / 4;
    return NULL;
}

static enum oxbow_err cmd_wait(struct resp_call *call)
{
    const char *refusal;
    uint64_t timeout;
    int64_t replicas;

    if (!resp_arg_int(call->args[1], &replicas)) {
        return resp_refuse_integer(call);
    }
    refusal = timeout_of(call->args[2], &timeout);
    if (refusal != NULL) {
        return resp_refuse(call, refusal);
    }
    resp_int(call->reply, 0);
    return OXBOW_OK;
}

static void tell(struct oxbow_resp_client *c, const struct resp_command *row, bool on_device)
{
    struct resp_reply *answer = resp_client_answer(c);

    if (strcmp(row->name, "save") == 0) {
        if (on_device) {
            resp_ok(answer);
        } else { /* CLIENT UNBLOCK */
            resp_error(answer, "ERR not everything is on the device yet");
        }
        return;
    }
    resp_array(answer, 2);
    resp_int(answer, on_device);
    resp_int(answer, 0); /* replicas */
}

static bool settled(const struct oxbow_resp_client *c)
{
    return c->shown_lsn <= oxbow_durable_lsn(c->server->db);
}

void resp_settle_timeout(struct oxbow_resp_client *c)
{
    tell(c, c->block.row, settled(c));
}

/* A store that is in memory now, since its device has failed, brings nothing there. */
static bool gives_up(const struct oxbow_resp_client *c, enum oxbow_err err)
{
    return err == OXBOW_EVOLATILE && strcmp(c->block.row->name, "save") == 0;
}

void resp_settle_turn(struct oxbow_resp *s)
{
    struct link *next;

    for (struct link *l = s->settling.next; l != &s->settling; l = next) {
        struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, block.settling);
        enum oxbow_err err = OXBOW_ETIMEDOUT;

        next = l->next;
        if (!settled(c)) { /* as for replies that are held: a store that has failed says so */
            err = oxbow_wait(s->db, c->shown_lsn, 0);
        }
        if (settled(c)) {
            tell(c, c->block.row, true);
            resp_client_gate(c, 0);
            resp_block_end(c);
        } else if (gives_up(c, err)) {
            resp_error_of(resp_client_answer(c), err);
            resp_client_gate(c, 0);
            resp_block_end(c);
        } else if (err != OXBOW_ETIMEDOUT && err != OXBOW_EVOLATILE) {
            resp_block_end(c);
            resp_client_kill(c);
        }
    }
}

static enum oxbow_err cmd_waitaof(struct resp_call *call)
{
    struct oxbow_resp_client *c = call->client;
    const char *refusal;
    uint64_t timeout;
    int64_t replicas;
    int64_t local;

    if (!resp_arg_int(call->args[1], &local)) {
        return resp_refuse_integer(call);
    }
    if (local < 0 || local > 1) {
        return resp_refuse(call, "ERR value is out of range, value must between 0 and 1");
    }
    if (!resp_arg_int(call->args[2], &replicas) || replicas < 0) {
        return resp_refuse(call, "ERR value is out of range, must be positive");
    }
    refusal = timeout_of(call->args[3], &timeout);
    if (refusal != NULL) {
        return resp_refuse(call, refusal);
    }
    if (local == 0 || settled(c) || call->txn != NULL) { /* within EXEC nobody waits */
        tell(c, call->row, settled(c));
        return OXBOW_OK;
    }
    oxbow_sync_start(c->server->db, c->shown_lsn);
    return resp_settle_begin(call, timeout);
}

/* ---- everybody's writes ---- */

/* Whether all that was committed is on the device, by whomever; notes when. Else *lsn is the newest. */
static bool saved(struct oxbow_resp *s, uint64_t *lsn)
{
    struct oxbow_stat stat;
    bool all;

    oxbow_stat(s->db, &stat);
    *lsn = stat.lsn_applied;
    all = *lsn <= oxbow_durable_lsn(s->db);
    if (all) {
        s->saved_s = resp_wall_ms(s) / 1000;
    }
    return all;
}

static enum oxbow_err cmd_save(struct resp_call *call)
{
    struct oxbow_resp *s = call->server;
    uint64_t lsn;

    if (saved(s, &lsn)) {
        resp_ok(call->reply);
        return OXBOW_OK;
    }
    call->client->shown_lsn = lsn;
    oxbow_sync_start(s->db, lsn);
    return resp_settle_begin(call, 0);
}

static enum oxbow_err cmd_bgsave(struct resp_call *call)
{
    struct oxbow_resp *s = call->server;
    uint64_t lsn;

    if (call->count > 2 || (call->count == 2 && !resp_arg_is(call->args[1], "schedule"))) {
        return resp_refuse_syntax(call);
    }
    if (!saved(s, &lsn)) {
        oxbow_sync_start(s->db, lsn);
    }
    resp_simple(call->reply, "Background saving started");
    return OXBOW_OK;
}

static enum oxbow_err cmd_bgrewriteaof(struct resp_call *call)
{
    return resp_refuse(call,
                       "ERR There is no append only file to be rewritten: the store's journal "
                       "keeps its size");
}

static enum oxbow_err cmd_lastsave(struct resp_call *call)
{
    uint64_t lsn;

    (void)saved(call->server, &lsn);
    resp_int(call->reply, (int64_t)call->server->saved_s);
    return OXBOW_OK;
}

#define C     RESP_CAT_CONNECTION
#define ADMIN (RESP_ADMIN | RESP_NOSCRIPT)
#define D     RESP_CAT_DANGEROUS

const struct resp_command resp_durable_commands[] = {
    {"wait", cmd_wait, 3, RESP_NOSCRIPT | RESP_PURE, C, 0, 0, 0, "3.0.0",
     "How many replicas have this connection's writes: none, told at once", NULL},
    {"waitaof", cmd_waitaof, 4, RESP_NOSCRIPT | RESP_ALONE, C, 0, 0, 0, "7.2.0",
     "Waits until this connection's writes are on the device", NULL},
    {"save", cmd_save, 1, ADMIN | RESP_NO_MULTI | RESP_ALONE, D, 0, 0, 0, "1.0.0",
     "Waits until everybody's writes are on the device", NULL},
    {"bgsave", cmd_bgsave, -1, ADMIN | RESP_ALONE, D, 0, 0, 0, "1.0.0",
     "Has everybody's writes brought onto the device", NULL},
    {"bgrewriteaof", cmd_bgrewriteaof, 1, ADMIN | RESP_PURE, D, 0, 0, 0, "1.0.0",
     "Refused: there is no such file", NULL},
    {"lastsave", cmd_lastsave, 1, RESP_LOADING | RESP_STALE | RESP_FAST | RESP_ALONE,
     D | RESP_CAT_ADMIN, 0, 0, 0, "1.0.0",
     "When everything that was written was on the device, as far as is known", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
