/* SPDX-License-Identifier: Apache-2.0 */
/* One connection's side of the server: bytes in, bytes out, and what may leave when. */
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES  ((size_t)64 * 1024)
#define QUEUE_MAX_BYTES ((size_t)256 << 20)

void resp_client_limits(struct oxbow_resp_client *c)
{
    const struct oxbow_resp_config *config = &c->server->config;
    const struct resp_limits limits = {.bulk_max = config->bulk_bytes_max,
                                       .buffer_max = config->query_bytes_max,
                                       .guest = resp_must_login(c)};

    resp_reader_limits(&c->in, &limits);
}

struct oxbow_bytes oxbow_resp_refusal(enum oxbow_err why)
{
    static const char full[] = "-ERR max number of clients reached\r\n";
    static const char guarded[] =
        "-DENIED protected mode is on and the default user needs no password: connections are "
        "accepted from this machine alone. Set requirepass or another password for the default "
        "user, or protected-mode no, in the configuration or by CONFIG SET from this machine.\r\n";

    switch (why) {
    case OXBOW_EBUSY:
        return (struct oxbow_bytes){full, sizeof full - 1};
    case OXBOW_EREADONLY:
        return (struct oxbow_bytes){guarded, sizeof guarded - 1};
    default:
        return (struct oxbow_bytes){"", 0};
    }
}

static struct oxbow_resp_client **slot_of(struct oxbow_resp *s, uint64_t id)
{
    return &s->by_id[id % RESP_INTEREST_SLOTS];
}

struct oxbow_resp_client *resp_client_find(const struct oxbow_resp *s, uint64_t id)
{
    struct oxbow_resp_client *c = s->by_id[id % RESP_INTEREST_SLOTS];

    while (c != NULL && c->id != id) {
        c = c->next_by_id;
    }
    return c;
}

/* In the ring of all and in its slot. */
static void enlist(struct oxbow_resp_client *c)
{
    struct oxbow_resp_client **slot = slot_of(c->server, c->id);

    c->next_by_id = *slot;
    *slot = c;
    link_add(&c->server->clients, &c->all);
    c->server->client_count++;
}

static void strike(struct oxbow_resp_client *c)
{
    struct oxbow_resp_client **at = slot_of(c->server, c->id);

    while (*at != c) {
        at = &(*at)->next_by_id;
    }
    *at = c->next_by_id;
    link_remove(&c->all);
    c->server->client_count--;
}

enum oxbow_err oxbow_resp_client_open(struct oxbow_resp *server, const struct oxbow_resp_peer *peer,
                                      void *user, struct oxbow_resp_client **out)
{
    const struct oxbow_alloc *alloc = resp_alloc(server);
    struct oxbow_resp_client *c;

    if (server->db == NULL) {
        return OXBOW_ECLOSED;
    }
    if (server->client_count >= server->config.clients_max) {
        server->stats.refused++;
        return OXBOW_EBUSY;
    }
    if (server->config.protected_mode && !peer->local && server->acl.standard->nopass) {
        server->stats.refused++;
        return OXBOW_EREADONLY;
    }
    c = mem_new(alloc, sizeof *c);
    if (c == NULL) {
        return OXBOW_ENOMEM;
    }
    c->server = server;
    c->user = user;
    c->id = ++server->next_id;
    c->fd = peer->fd;
    c->local = peer->local;
    c->sentinel = peer->sentinel;
    (void)snprintf(c->addr, sizeof c->addr, "%s", peer->addr != NULL ? peer->addr : "");
    (void)snprintf(c->laddr, sizeof c->laddr, "%s", peer->laddr != NULL ? peer->laddr : "");
    resp_reader_init(&c->in, alloc, NULL);
    resp_reply_init(&c->out, alloc, 0);
    buf_init(&c->name, alloc, NAME_MAX_BYTES);
    buf_init(&c->lib_name, alloc, NAME_MAX_BYTES);
    buf_init(&c->lib_version, alloc, NAME_MAX_BYTES);
    buf_init(&c->multi.queue, alloc, QUEUE_MAX_BYTES);
    buf_init(&c->block.args, alloc, QUEUE_MAX_BYTES);
    buf_init(&c->block.remembered, alloc, QUEUE_MAX_BYTES);
    link_init(&c->all);
    link_init(&c->ready);
    link_init(&c->batch);
    link_init(&c->gated);
    link_init(&c->notice);
    link_init(&c->over);
    link_init(&c->monitor);
    link_init(&c->paused);
    resp_track_client_init(c);
    link_init(&c->multi.watches);
    link_init(&c->block.waiting);
    link_init(&c->block.served_link);
    link_init(&c->block.settling);
    link_init(&c->subscriptions);
    resp_output_limit(c);
    enlist(c);
    server->stats.connections++;
    c->opened_us = server->port->clock.mono_us(server->port->clock.ctx);
    c->used_us = c->opened_us;
    resp_idle_touch(c);
    resp_login_default(c);
    *out = c;
    return OXBOW_OK;
}

void resp_client_reset(struct oxbow_resp_client *c)
{
    resp_multi_end(c);
    resp_pubsub_end(c);
    resp_track_end(c);
    resp_backup_left(c);
    link_remove(&c->monitor);
    c->database = 0;
    c->name.len = 0;
    c->out.version = 2;
    c->silent = false;
    resp_login_default(c);
}

void oxbow_resp_client_close(struct oxbow_resp_client *c)
{
    const struct oxbow_alloc *alloc = resp_alloc(c->server);

    if (c->block.on) {
        resp_block_end(c);
    }
    resp_multi_end(c);
    resp_pubsub_end(c);
    resp_track_end(c);
    resp_backup_left(c);
    strike(c);
    if (c->server->current == c) {
        c->server->current = NULL;
    }
    link_remove(&c->ready);
    link_remove(&c->batch);
    link_remove(&c->gated);
    link_remove(&c->notice);
    link_remove(&c->over);
    link_remove(&c->monitor);
    link_remove(&c->paused);
    resp_reader_fini(&c->in);
    resp_reply_fini(&c->out);
    buf_fini(&c->name);
    buf_fini(&c->lib_name);
    buf_fini(&c->lib_version);
    buf_fini(&c->multi.queue);
    buf_fini(&c->block.args);
    buf_fini(&c->block.remembered);
    mem_free(alloc, c, sizeof *c);
}

/* Without requests of its own it is done; who waits is not served any more. */
void oxbow_resp_client_ended(struct oxbow_resp_client *c)
{
    c->ended = true;
    if (c->block.on) {
        resp_block_end(c);
        resp_client_end_soon(c);
    } else if (resp_reader_pending(&c->in) == 0) {
        resp_client_end_soon(c);
    } else {
        resp_client_wake(c);
    }
}

/* ---- in ---- */

enum oxbow_err oxbow_resp_client_room(struct oxbow_resp_client *c, size_t want, uint8_t **buf,
                                      size_t *len)
{
    return resp_reader_room(&c->in, want, buf, len);
}

void oxbow_resp_client_fed(struct oxbow_resp_client *c, size_t len)
{
    resp_reader_fed(&c->in, len);
    c->server->stats.in_bytes += len;
    c->used_us = c->server->port->clock.mono_us(c->server->port->clock.ctx);
    resp_idle_touch(c);
    resp_client_wake(c);
}

void resp_client_wake(struct oxbow_resp_client *c)
{
    link_add(&c->server->ready, &c->ready);
}

bool oxbow_resp_client_wants(const struct oxbow_resp_client *c)
{
    return !c->closing && !c->killed && !c->stuck && resp_reply_pending(&c->out) < RESP_OUT_PAUSE;
}

/* ---- out ---- */

void resp_client_notice(struct oxbow_resp_client *c)
{
    link_add(&c->server->notice, &c->notice);
}

void resp_client_gate(struct oxbow_resp_client *c, uint64_t lsn)
{
    uint64_t end = resp_reply_mark(&c->out);

    resp_idle_touch(c);
    if (resp_reply_failed(&c->out)) {
        resp_output_failed(c);
        return;
    }
    resp_output_check(c);
    if (c->killed) {
        return; /* nothing leaves any more */
    }
    if (lsn == 0 && c->gate_count == 0) {
        c->free_upto = end;
        resp_client_notice(c);
    } else if (c->gate_count > 0 &&
               (lsn <= c->gates[c->gate_count - 1].lsn || c->gate_count == RESP_GATES)) {
        struct resp_gate *newest = &c->gates[c->gate_count - 1];

        newest->upto = end;
        newest->lsn = lsn > newest->lsn ? lsn : newest->lsn;
    } else {
        c->gates[c->gate_count++] = (struct resp_gate){.upto = end, .lsn = lsn};
        link_add(&c->server->gated, &c->gated);
    }
}

void resp_client_open_gates(struct oxbow_resp_client *c, uint64_t durable)
{
    uint32_t n = 0;

    while (n < c->gate_count && c->gates[n].lsn <= durable) {
        c->free_upto = c->gates[n].upto;
        n++;
    }
    if (n == 0) {
        return;
    }
    c->awaits = false;
    memmove(c->gates, c->gates + n, (c->gate_count - n) * sizeof c->gates[0]);
    c->gate_count -= n;
    if (c->gate_count == 0) {
        link_remove(&c->gated);
    }
    resp_client_notice(c);
}

struct resp_reply *resp_client_answer(struct oxbow_resp_client *c)
{
    struct resp_reply *unsaid = &c->server->unsaid;

    if (!c->silent && (c->skipped == 0 || c->request != c->skipped)) {
        return &c->out;
    }
    unsaid->version = c->out.version;
    c->server->unsaid_some = true;
    return unsaid;
}

void resp_client_unsaid(struct oxbow_resp *s)
{
    if (resp_reply_pending(&s->unsaid) > 0 || resp_reply_failed(&s->unsaid)) {
        resp_reply_fini(&s->unsaid);
        resp_reply_init(&s->unsaid, resp_alloc(s), 0);
    }
    s->unsaid_some = false;
}

struct oxbow_bytes oxbow_resp_client_peek(struct oxbow_resp_client *c)
{
    if (c->killed) {
        return (struct oxbow_bytes){NULL, 0};
    }
    return resp_reply_peek(&c->out, c->free_upto);
}

void oxbow_resp_client_sent(struct oxbow_resp_client *c, size_t len)
{
    resp_reply_taken(&c->out, len);
    c->server->stats.out_bytes += len;
    if (!link_alone(&c->over)) {
        resp_output_check(c);
    }
    if (resp_reply_pending(&c->out) < RESP_OUT_PAUSE && resp_reader_pending(&c->in) > 0) {
        resp_client_wake(c);
    }
}

bool oxbow_resp_client_done(const struct oxbow_resp_client *c)
{
    return c->killed || (c->closing && resp_reply_pending(&c->out) == 0);
}

void resp_client_end_soon(struct oxbow_resp_client *c)
{
    c->closing = true;
    resp_client_notice(c);
}

void resp_client_kill(struct oxbow_resp_client *c)
{
    c->killed = true;
    c->closing = true;
    resp_client_notice(c);
}
