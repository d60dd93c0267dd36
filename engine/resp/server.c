/* SPDX-License-Identifier: Apache-2.0 */
/* The server's life, its turn, and batches: commands that share a transaction. */
#include "engine/resp/server.h"

#include "engine/base/check.h"
#include "engine/resp/script.h"
#include "oxbow/hash_expire.h"

#include <stdio.h>
#include <string.h>

#define CLIENTS_MAX_DEFAULT 10000u
#define STRINGS_MAX         65536u

const struct oxbow_alloc *resp_alloc(const struct oxbow_resp *s)
{
    return &s->port->alloc;
}

uint64_t resp_wall_ms(const struct oxbow_resp *s)
{
    return s->port->clock.wall_ms(s->port->clock.ctx);
}

/* ---- life ---- */

static enum oxbow_err id_make(struct oxbow_resp *s, char id[RESP_RUN_ID_LEN + 1])
{
    uint8_t random[RESP_RUN_ID_LEN / 2];
    enum oxbow_err err = s->port->random.fill(s->port->random.ctx, random, sizeof random);

    for (size_t i = 0; err == OXBOW_OK && i < sizeof random; i++) {
        (void)snprintf(id + 2 * i, 3, "%02x", random[i]);
    }
    return err;
}

/* Copies the configuration's strings one after the other; their places are told in a second walk. */
static enum oxbow_err strings_copy(struct oxbow_resp *s)
{
    const char **texts[] = {&s->config.password, &s->config.config_file, &s->config.users_file.name,
                            &s->config.sentinel.names};
    size_t at = 0;

    buf_init(&s->strings, resp_alloc(s), STRINGS_MAX);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *text = *texts[i];
        enum oxbow_err err =
            text == NULL ? OXBOW_OK : buf_append(&s->strings, text, strlen(text) + 1);

        if (err != OXBOW_OK) {
            return err;
        }
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (*texts[i] != NULL) {
            *texts[i] = (const char *)s->strings.data + at;
            at += strlen(*texts[i]) + 1;
        }
    }
    return OXBOW_OK;
}

/* Fields of hashes expire though nobody asks for them. */
static enum oxbow_err fields_begin(struct oxbow_resp *s)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(s->db, &opt, &txn);

    if (err == OXBOW_OK) {
        oxbow_hash_expire_idle(txn);
        oxbow_txn_abort(txn);
    }
    return err;
}

enum oxbow_err resp_store_begin(struct oxbow_resp *s)
{
    enum oxbow_err err = fields_begin(s);

    err = err == OXBOW_OK ? resp_losses_look(s) : err;
    return err == OXBOW_OK ? oxbow_wait_set_open(s->db, &s->waits) : err;
}

enum oxbow_err oxbow_resp_open(const struct oxbow_resp_config *config, struct oxbow_resp **out)
{
    const struct oxbow_port *port;
    struct oxbow_resp *s;
    enum oxbow_err err;

    if (config == NULL || config->db == NULL || out == NULL ||
        (config->uplink != NULL) != (config->uplink_ops != NULL) ||
        (config->told_count > 0 && config->told == NULL) ||
        (config->queue_rule_count > 0 && config->queue_rules == NULL) ||
        (config->group_rule_count > 0 && config->group_rules == NULL)) {
        return OXBOW_EINVAL;
    }
    port = oxbow_port_of(config->db);
    s = mem_new(&port->alloc, sizeof *s);
    if (s == NULL) {
        return OXBOW_ENOMEM;
    }
    s->db = config->db;
    s->port = port;
    s->config = *config;
    if (s->config.clients_max == 0) {
        s->config.clients_max = CLIENTS_MAX_DEFAULT;
    }
    link_init(&s->clients);
    link_init(&s->ready);
    link_init(&s->stuck);
    link_init(&s->gated);
    link_init(&s->notice);
    link_init(&s->batch);
    link_init(&s->served);
    link_init(&s->touched);
    link_init(&s->waiting);
    link_init(&s->settling);
    link_init(&s->monitors);
    link_init(&s->patterns);
    link_init(&s->pause.waiters);
    resp_slow_init(s);
    s->latency.tracking = true;
    resp_track_init(s);
    resp_reply_init(&s->unsaid, &port->alloc, 0);
    resp_output_init(s);
    resp_table_init(&s->table);
    resp_sync_look(s);
    s->opened_us = port->clock.mono_us(port->clock.ctx);
    s->now_us = s->opened_us;
    s->saved_s = resp_wall_ms(s) / 1000; /* what is found at the opening is there */
    buf_init(&s->required, &port->alloc, RESP_VALUE_MAX - 1);
    err = acl_init(&s->acl, port, &s->table);
    if (err != OXBOW_OK) {
        mem_free(&port->alloc, s, sizeof *s);
        return err;
    }
    err = strings_copy(s);
    err = err == OXBOW_OK ? resp_cache_look(s) : err;
    err = err == OXBOW_OK ? resp_sentinel_begin(s) : err;
    err = err == OXBOW_OK ? resp_settings_begin(s) : err;
    err = err == OXBOW_OK ? resp_users_begin(s) : err;
    err = err == OXBOW_OK ? id_make(s, s->run_id) : err;
    err = err == OXBOW_OK ? id_make(s, s->sentinel_id) : err;
    err = err == OXBOW_OK ? resp_store_begin(s) : err;
    if (err != OXBOW_OK) {
        acl_fini(&s->acl);
        buf_fini(&s->required);
        buf_fini(&s->strings);
        mem_free(&port->alloc, s, sizeof *s);
        return err;
    }
    s->begun = true;
    *out = s;
    return OXBOW_OK;
}

void oxbow_resp_close(struct oxbow_resp *s)
{
    const struct oxbow_alloc *alloc = resp_alloc(s);

    while (!link_alone(&s->clients)) {
        oxbow_resp_client_close(LINK_OF(s->clients.next, struct oxbow_resp_client, all));
    }
    resp_backup_end(s);
    oxbow_wait_set_close(s->waits);
    resp_script_fini(s);
    resp_slow_fini(s);
    resp_histograms_forget(s);
    resp_track_fini(s);
    oxbow_result_fini(&s->result);
    resp_reply_fini(&s->unsaid);
    mem_free(alloc, s->deadlines, s->deadline_cap * sizeof s->deadlines[0]);
    acl_fini(&s->acl);
    buf_fini(&s->required);
    buf_fini(&s->strings);
    mem_free(alloc, s, sizeof *s);
}

int oxbow_resp_fd(const struct oxbow_resp *s)
{
    return s->waits != NULL ? oxbow_wait_set_fd(s->waits) : -1;
}

/* When the server has something to do by itself that nobody waits for in a line. */
static uint64_t own_due_us(const struct oxbow_resp *s)
{
    const uint64_t due[] = {resp_idle_due_us(s), resp_output_due_us(s), resp_pause_due_us(s),
                            resp_room_due_us(s)};
    uint64_t first = RESP_NEVER_US;

    for (size_t i = 0; i < sizeof due / sizeof due[0]; i++) {
        first = due[i] < first ? due[i] : first;
    }
    return first;
}

int64_t oxbow_resp_timeout_ms(const struct oxbow_resp *s)
{
    uint64_t now = s->port->clock.mono_us(s->port->clock.ctx);
    int64_t left =
        s->waits != NULL && !s->no_room ? oxbow_wait_set_timeout(s->waits) : OXBOW_WAIT_FOREVER;

    if (s->db == NULL) {
        return OXBOW_WAIT_FOREVER;
    }
    if (!link_alone(&s->ready) || (s->cache.more && !s->no_room)) {
        return 0;
    }
    if (s->deadline_count > 0) {
        uint64_t until = s->deadlines[0]->block.until_us;
        int64_t ms = until <= now ? 0 : (int64_t)((until - now + 999) / 1000);

        left = left < 0 || ms < left ? ms : left;
    }
    if (own_due_us(s) != RESP_NEVER_US) {
        uint64_t until = own_due_us(s);
        int64_t ms = until <= now ? 0 : (int64_t)((until - now + 999) / 1000);

        left = left < 0 || ms < left ? ms : left;
    }
    return left;
}

/* ---- transactions ---- */

enum oxbow_err resp_txn_begin(struct oxbow_resp *s, uint32_t database, struct oxbow_txn **txn)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_NOWAIT | OXBOW_TXN_LAZY,
                                          .database = database};

    CHECK(s->port, s->txn == NULL);
    return oxbow_txn_begin(s->db, &opt, txn);
}

/* *lsn is what replies wait for that show one of the databases under `always`. */
static enum oxbow_err commit(struct oxbow_resp *s, struct oxbow_txn *txn, uint32_t databases,
                             uint64_t *lsn)
{
    uint64_t at;
    enum oxbow_err err = oxbow_txn_commit(txn, &at);

    if (err != OXBOW_OK) {
        return err;
    }
    *lsn = 0;
    if (at > s->committed_lsn) { /* one of caches alone has no LSN */
        s->committed_lsn = at;
    }
    if ((s->always & databases) != 0 && at > oxbow_durable_lsn(s->db)) {
        *lsn = at;
    }
    if (*lsn != 0 || (databases == 0 && s->always != 0)) {
        s->unasked_lsn = at; /* also when its clients have gone meanwhile */
    }
    return OXBOW_OK;
}

enum oxbow_err resp_txn_end(struct oxbow_resp *s, struct oxbow_txn *txn, uint64_t *lsn)
{
    uint32_t databases = oxbow_txn_databases(txn);

    return commit(s, txn, databases, lsn);
}

/* ---- batches ---- */

enum oxbow_err resp_batch_txn(struct oxbow_resp *s, struct oxbow_resp_client *c)
{
    enum oxbow_err err = OXBOW_OK;

    if (s->txn == NULL) {
        err = resp_txn_begin(s, c->database, &s->txn);
    }
    return err == OXBOW_OK ? oxbow_txn_select(s->txn, c->database) : err;
}

void resp_batch_join(struct oxbow_resp *s, struct oxbow_resp_client *c)
{
    if (link_alone(&c->batch)) {
        c->batch_in = c == s->current ? c->request_in : resp_reader_mark(&c->in);
        c->batch_begins = c == s->current ? c->request : c->request + 1;
        c->batch_out = resp_reply_mark(&c->out);
        c->batch_databases = 0;
        c->batch_told = false;
        link_add(&s->batch, &c->batch);
    }
    c->batch_told = c->batch_told || c != s->current;
}

uint32_t resp_batch_note(struct oxbow_resp *s, struct oxbow_resp_client *c)
{
    uint32_t databases = s->txn != NULL ? oxbow_txn_databases(s->txn) : 0;

    s->batch_databases |= databases;
    if (c != NULL) {
        c->batch_databases |= databases;
    }
    return databases;
}

/* All is as if the batch had not begun; what was in it comes again, one command to a transaction. */
static void put_back(struct oxbow_resp *s)
{
    s->singly = s->batched;
    while (!link_alone(&s->batch)) {
        struct oxbow_resp_client *c = LINK_OF(s->batch.next, struct oxbow_resp_client, batch);

        link_remove(&c->batch);
        link_remove(&c->paused); /* what came before what waits comes again too */
        resp_reader_rewind(&c->in, c->batch_in);
        resp_reply_rewind(&c->out, c->batch_out);
        c->request = c->batch_begins - 1;
        c->put_back = true;
        resp_client_wake(c);
    }
}

/* Who was given something by the batch waits again. */
static void unserve(struct oxbow_resp *s)
{
    while (!link_alone(&s->served)) {
        struct oxbow_resp_client *c =
            LINK_OF(s->served.next, struct oxbow_resp_client, block.served_link);

        link_remove(&c->block.served_link);
        resp_reply_rewind(&c->out, c->block.mark);
        c->block.served = false;
    }
}

static void batch_failed(struct oxbow_resp *s, enum oxbow_err err)
{
    unserve(s);
    if (err == OXBOW_EINDOUBT) { /* it may have happened: nobody may be told that it did not */
        while (!link_alone(&s->batch)) {
            struct oxbow_resp_client *c = LINK_OF(s->batch.next, struct oxbow_resp_client, batch);

            link_remove(&c->batch);
            resp_client_kill(c);
        }
    } else if (s->batched <= 1) {
        struct oxbow_resp_client *first = LINK_OF(s->batch.next, struct oxbow_resp_client, batch);

        while (!link_alone(&s->batch)) { /* others were sent messages */
            struct oxbow_resp_client *c = LINK_OF(s->batch.next, struct oxbow_resp_client, batch);

            link_remove(&c->batch);
            resp_reply_rewind(&c->out, c->batch_out);
        }
        if (s->batched == 1) { /* else it was sent messages and nothing else */
            if (first->over_time != 0 && first->over_time == first->request) {
                resp_error(resp_client_answer(first), resp_script_over_text);
            } else {
                resp_error_of(resp_client_answer(first), err);
            }
            resp_client_gate(first, 0);
            s->answered = true;
        }
    } else {
        put_back(s);
    }
}

/* What those wait for who were told of others' commands: that all of the batch is as safe as it should be,
 * and what those others were told before it, which may have been in another database. */
static uint64_t told_lsn(const struct oxbow_resp *s, uint64_t lsn)
{
    uint64_t newest = (s->always & s->batch_databases) != 0 ? lsn : 0;

    for (const struct link *l = s->batch.next; l != &s->batch; l = l->next) {
        const struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, batch);

        if (c->batch_databases != 0 && c->gate_count > 0 &&
            c->gates[c->gate_count - 1].lsn > newest) {
            newest = c->gates[c->gate_count - 1].lsn;
        }
    }
    return newest;
}

/* What is kept in memory never is on the device: who has seen nothing else waits for nothing. */
static void note_shown(const struct oxbow_resp *s, struct oxbow_resp_client *c, uint32_t databases)
{
    if ((databases & ~s->cache.databases) != 0 || c->batch_told) {
        c->shown_lsn = s->committed_lsn;
    }
}

/* The batch is committed: what its clients were given may leave when that is as safe as it should be. */
static void let_go(struct oxbow_resp *s, uint64_t lsn)
{
    uint64_t told = told_lsn(s, lsn);

    while (!link_alone(&s->batch)) {
        struct oxbow_resp_client *c = LINK_OF(s->batch.next, struct oxbow_resp_client, batch);

        link_remove(&c->batch);
        note_shown(s, c, c->batch_databases);
        resp_client_gate(c, c->batch_told ? told : (s->always & c->batch_databases) != 0 ? lsn : 0);
    }
    while (!link_alone(&s->served)) {
        struct oxbow_resp_client *c =
            LINK_OF(s->served.next, struct oxbow_resp_client, block.served_link);

        link_remove(&c->block.served_link);
        note_shown(s, c, c->block.databases);
        resp_client_gate(c, (s->always & c->block.databases) != 0 ? lsn : 0);
        resp_block_end(c);
    }
}

enum oxbow_err resp_batch_end(struct oxbow_resp *s)
{
    enum oxbow_err err = OXBOW_OK;
    uint32_t batched = s->batched;
    uint64_t lsn = 0;

    s->answered = false;
    (void)resp_batch_note(s, NULL);
    if (s->track.some) {
        resp_track_tell(s);
    }
    if (s->txn != NULL) {
        struct oxbow_txn *txn = s->txn;

        s->txn = NULL;
        err = commit(s, txn, s->batch_databases, &lsn);
    }
    if (err != OXBOW_OK) {
        batch_failed(s, err);
    }
    if (s->track.some) {
        resp_track_settle(s, err == OXBOW_OK);
    }
    s->batched = 0;
    if (err == OXBOW_OK) {
        let_go(s, lsn);
    }
    s->batch_databases = 0;
    return err != OXBOW_OK && batched > 1 ? err : OXBOW_OK;
}

/* ---- the turn ---- */

/* The peer has ended and everything of it is carried out. What shares the batch with it is settled
 * first: until then it may have to come again. */
static void finish(struct oxbow_resp *s, struct oxbow_resp_client *c)
{
    if (resp_batch_end(s) != OXBOW_OK) {
        resp_client_wake(c);
        return;
    }
    if (c->block.on) {
        resp_block_end(c);
    }
    link_remove(&c->paused);
    resp_client_end_soon(c);
}

/* Whether the client's next request was carried out, and there may be another. */
static bool step(struct oxbow_resp *s, struct oxbow_resp_client *c)
{
    struct resp_request request;
    enum resp_outcome outcome;

    c->put_back = false;
    s->current = c;
    if (c->ended && (c->block.on || !link_alone(&c->paused)) && !c->closing) {
        finish(s, c);
        return false;
    }
    if (c->closing || c->block.on || !link_alone(&c->paused) ||
        resp_reply_pending(&c->out) >= RESP_OUT_PAUSE) {
        return false;
    }
    if (s->pause.mode != RESP_PAUSE_NONE && !c->sentinel && resp_reader_begins_inline(&c->in)) {
        resp_pause_wait(c);
        return true;
    }
    if (s->txn == NULL && resp_reader_begins_inline(&c->in) &&
        !resp_room(s)) { /* a line cannot be put back */
        resp_room_wait(c);
        return false;
    }
    c->request_in = resp_reader_mark(&c->in);
    switch (resp_reader_next(&c->in, &request)) {
    case RESP_READ_REQUEST:
        c->request++;
        outcome = resp_execute(c, request.args, (uint32_t)request.count);
        if (outcome == RESP_NO_ROOM) {
            resp_reader_rewind(&c->in, c->request_in);
            c->request--;
            resp_room_wait(c);
            return false;
        }
        if (outcome == RESP_GIVEN_UP) {
            if (!c->put_back) {
                resp_reader_rewind(&c->in, c->request_in);
                c->request--;
            }
            c->put_back = false;
        }
        return true;
    case RESP_READ_BROKEN:
        resp_batch_join(s, c);
        if (request.error[0] != '\0') {
            resp_error(resp_client_answer(c), request.error);
        }
        if (resp_batch_end(s) == OXBOW_OK) {
            resp_client_end_soon(c);
            return false;
        }
        c->put_back = false;
        return true;
    default:
        if (c->ended && !c->closing) {
            finish(s, c); /* what is left is no request, and never will be one */
        }
        return false;
    }
}

static void work(struct oxbow_resp *s)
{
    uint32_t clients = s->client_count;

    for (; clients > 0 && !link_alone(&s->ready); clients--) {
        struct oxbow_resp_client *c = LINK_OF(s->ready.next, struct oxbow_resp_client, ready);
        uint32_t n = 0;

        link_remove(&c->ready);
        while (n < RESP_TURN_MAX && step(s, c)) {
            n++;
        }
        if (n == RESP_TURN_MAX) {
            resp_client_wake(c);
        }
    }
    (void)!resp_batch_end(s); /* what was put back comes with the next turn */
    s->current = NULL;
}

/* Lets go of what has become durable. What never will ends its connection: nobody knows whether it
 * happened. */
static void open_gates(struct oxbow_resp *s)
{
    uint64_t durable = oxbow_durable_lsn(s->db);
    struct link *next;

    for (struct link *l = s->gated.next; l != &s->gated; l = next) {
        struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, gated);

        next = l->next;
        if (c->gates[0].lsn <= durable) {
            resp_client_open_gates(c, durable);
        }
    }
}

/* Asks for what those wait for whose replies are held. A device that will not give it: what is only
 * in memory may be told as such, of the rest nobody knows whether it happened. */
static void ask_for_gates(struct oxbow_resp *s)
{
    enum oxbow_err err = OXBOW_OK;
    uint64_t lsn = s->unasked_lsn;
    uint32_t fresh = 0;

    for (struct link *l = s->gated.next; l != &s->gated; l = l->next) {
        struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, gated);
        uint64_t newest = c->gates[c->gate_count - 1].lsn;

        lsn = newest > lsn ? newest : lsn;
        fresh += !c->awaits;
        c->awaits = true;
    }
    if (lsn != 0) {
        err = oxbow_sync_gather(s->db, lsn, fresh);
    }
    s->unasked_lsn = 0;
    while (err != OXBOW_OK && !link_alone(&s->gated)) {
        struct oxbow_resp_client *c = LINK_OF(s->gated.next, struct oxbow_resp_client, gated);

        if (err == OXBOW_EVOLATILE) {
            resp_client_open_gates(c, UINT64_MAX);
        } else {
            link_remove(&c->gated);
            resp_client_kill(c);
        }
    }
}

static void turn(struct oxbow_resp *s)
{
    open_gates(s);
    resp_room_turn(s);
    resp_expired_tell(s);
    resp_cache_turn(s);
    resp_block_woken(s);
    resp_settle_turn(s);
    resp_block_expire(s);
    resp_pause_turn(s);
    work(s);
    resp_idle_turn(s);
    resp_output_turn(s);
    if (s->db != NULL) { /* it may have been closed, and not have opened again */
        open_gates(s);
        ask_for_gates(s);
    }
}

void oxbow_resp_turn(struct oxbow_resp *s)
{
    s->now_us = s->port->clock.mono_us(s->port->clock.ctx);
    if (s->db != NULL) {
        turn(s);
    }
    while (!link_alone(&s->notice)) {
        struct oxbow_resp_client *c = LINK_OF(s->notice.next, struct oxbow_resp_client, notice);

        link_remove(&c->notice);
        if (s->config.ready != NULL) {
            s->config.ready(s->config.ctx, c->user);
        }
    }
}
