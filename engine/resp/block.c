/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for keys, and who watches them.
 *
 * A blocked client stands in the line of each of its keys. After a command that changed a key its
 * line is tried, first come first served, in the same transaction, so that nobody else's command
 * comes between. It stands in the store's own lines as well (oxbow_wait_add), for what other threads
 * and the store itself bring: entries that come due, or become visible again.
 *
 * Who waits for the device (WAITAOF) has block.on and stands in none of these lines.
 *
 * Invariant: block.on, a place in each key's line, and a waiter of the store come and go together; only while
 * the store is closed and opened again (server_reload.c) there is no waiter.
 */
#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/resp/server.h"
#include "oxbow/key.h"

#include <string.h>

#define REMEMBERED_HEAD 8u

/* ---- keys ---- */

static struct resp_interest **slot_of(struct oxbow_resp *s, uint32_t database,
                                      struct oxbow_bytes key)
{
    return &s->interests[hash64(key.data, key.len, database) % RESP_INTEREST_SLOTS];
}

struct resp_interest *resp_interest_get(struct oxbow_resp *s, uint32_t database,
                                        struct oxbow_bytes key, bool make)
{
    struct resp_interest **slot = slot_of(s, database, key);
    struct resp_interest *i;

    for (i = *slot; i != NULL; i = i->next) {
        if (i->database == database && i->len == key.len &&
            (key.len == 0 || memcmp(i->name, key.data, key.len) == 0)) {
            return i;
        }
    }
    if (!make || key.len > UINT32_MAX) {
        return NULL;
    }
    i = mem_new(resp_alloc(s), sizeof *i + key.len + 1);
    if (i == NULL) {
        return NULL;
    }
    link_init(&i->waiters);
    link_init(&i->watchers);
    link_init(&i->touched);
    i->database = database;
    i->len = (uint32_t)key.len;
    if (key.len > 0) {
        memcpy(i->name, key.data, key.len);
    }
    i->next = *slot;
    *slot = i;
    s->interest_count++;
    return i;
}

void resp_interest_drop(struct oxbow_resp *s, struct resp_interest *i)
{
    struct resp_interest **at = slot_of(s, i->database, (struct oxbow_bytes){i->name, i->len});

    if (!link_alone(&i->waiters) || !link_alone(&i->watchers)) {
        return;
    }
    while (*at != i) {
        at = &(*at)->next;
    }
    *at = i->next;
    link_remove(&i->touched);
    mem_free(resp_alloc(s), i, sizeof *i + i->len + 1);
    s->interest_count--;
}

/* Who waits is tried after the command. */
static void wake(struct oxbow_resp *s, struct resp_interest *i)
{
    if (!link_alone(&i->waiters)) {
        link_add(&s->touched, &i->touched);
    }
}

static void touch(struct oxbow_resp *s, struct resp_interest *i)
{
    wake(s, i);
    for (struct link *l = i->watchers.next; l != &i->watchers; l = l->next) {
        LINK_OF(l, struct resp_watch, line)->client->multi.dirty = true;
    }
}

void resp_changed(struct resp_call *call, enum resp_event kind, const char *event,
                  struct oxbow_bytes key)
{
    resp_changed_in(call, call->client->database, kind, event, key);
}

void resp_noted(struct resp_call *call, enum resp_event kind, const char *event,
                struct oxbow_bytes key)
{
    struct oxbow_resp *s = call->server;
    struct resp_interest *i = NULL;

    if (s->interest_count > 0) {
        i = resp_interest_get(s, call->client->database, key, false);
    }
    if (i != NULL) {
        wake(s, i);
    }
    resp_notify(s, call->client->database, kind, event, key);
}

void resp_changed_in(struct resp_call *call, uint32_t database, enum resp_event kind,
                     const char *event, struct oxbow_bytes key)
{
    struct oxbow_resp *s = call->server;
    struct resp_interest *i;

    if (s->interest_count > 0) {
        i = resp_interest_get(s, database, key, false);
        if (i != NULL) {
            touch(s, i);
        }
    }
    if (s->track.clients > 0) {
        resp_track_changed(s, call->client, key);
    }
    resp_notify(s, database, kind, event, key);
}

enum oxbow_err resp_changed_all(struct resp_call *call, uint32_t database, uint32_t other)
{
    struct oxbow_resp *s = call->server;
    const uint32_t places[2] = {database, other};

    if (other == database) {
        resp_track_all(s); /* two that change places are not told, as in Redis */
    }
    for (size_t n = 0; s->interest_count > 0 && n < RESP_INTEREST_SLOTS; n++) {
        for (struct resp_interest *i = s->interests[n]; i != NULL; i = i->next) {
            enum oxbow_type type = OXBOW_TYPE_NONE;

            if (i->database != database) {
                continue;
            }
            for (size_t p = 0; type == OXBOW_TYPE_NONE && p < 2; p++) {
                enum oxbow_err err = oxbow_txn_select(call->txn, places[p]);

                if (err == OXBOW_OK) {
                    err = oxbow_key_type(call->txn, (struct oxbow_bytes){i->name, i->len}, &type);
                }
                if (err != OXBOW_OK) {
                    return err;
                }
            }
            if (type != OXBOW_TYPE_NONE) {
                touch(s, i);
            }
        }
    }
    return oxbow_txn_select(call->txn, database);
}

/* ---- deadlines: a heap ---- */

static void heap_put(struct oxbow_resp *s, uint32_t at, struct oxbow_resp_client *c)
{
    s->deadlines[at] = c;
    c->block.heap = at + 1;
}

static void heap_up(struct oxbow_resp *s, uint32_t at)
{
    struct oxbow_resp_client *c = s->deadlines[at];

    while (at > 0 && s->deadlines[(at - 1) / 2]->block.until_us > c->block.until_us) {
        heap_put(s, at, s->deadlines[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(s, at, c);
}

static void heap_down(struct oxbow_resp *s, uint32_t at)
{
    struct oxbow_resp_client *c = s->deadlines[at];

    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child + 1 < s->deadline_count &&
            s->deadlines[child + 1]->block.until_us < s->deadlines[child]->block.until_us) {
            child++;
        }
        if (child >= s->deadline_count ||
            s->deadlines[child]->block.until_us >= c->block.until_us) {
            break;
        }
        heap_put(s, at, s->deadlines[child]);
        at = child;
    }
    heap_put(s, at, c);
}

static enum oxbow_err heap_add(struct oxbow_resp *s, struct oxbow_resp_client *c)
{
    if (s->deadline_count == s->deadline_cap) {
        const struct oxbow_alloc *alloc = resp_alloc(s);
        uint32_t cap = s->deadline_cap == 0 ? 16 : s->deadline_cap * 2;
        struct oxbow_resp_client **more = alloc->resize(
            alloc->ctx, s->deadlines, s->deadline_cap * sizeof *more, cap * sizeof *more);

        if (more == NULL) {
            return OXBOW_ENOMEM;
        }
        s->deadlines = more;
        s->deadline_cap = cap;
    }
    heap_put(s, s->deadline_count++, c);
    heap_up(s, s->deadline_count - 1);
    return OXBOW_OK;
}

static void heap_remove(struct oxbow_resp *s, struct oxbow_resp_client *c)
{
    uint32_t at = c->block.heap - 1;
    struct oxbow_resp_client *moved = s->deadlines[--s->deadline_count];

    c->block.heap = 0;
    if (moved != c) {
        heap_put(s, at, moved);
        heap_up(s, at);
        heap_down(s, moved->block.heap - 1);
    }
}

/* ---- waits ---- */

static void places_leave(struct oxbow_resp_client *c)
{
    struct resp_block *b = &c->block;

    for (uint32_t i = 0; i < b->place_count; i++) {
        link_remove(&b->places[i].line);
        resp_interest_drop(c->server, b->places[i].interest);
    }
    mem_free(resp_alloc(c->server), b->places, b->key_count * sizeof b->places[0]);
    b->places = NULL;
    b->place_count = 0;
}

static enum oxbow_err places_take(struct oxbow_resp_client *c)
{
    struct resp_block *b = &c->block;

    b->places = mem_new(resp_alloc(c->server), b->key_count * sizeof b->places[0]);
    if (b->places == NULL) {
        return OXBOW_ENOMEM;
    }
    for (uint32_t i = 0; i < b->key_count; i++) {
        struct resp_interest *interest =
            resp_interest_get(c->server, b->database, b->argv[b->first + i], true);

        if (interest == NULL) {
            places_leave(c);
            return OXBOW_ENOMEM;
        }
        b->places[i] = (struct resp_place){.interest = interest, .client = c};
        link_init(&b->places[i].line);
        link_add(&interest->waiters, &b->places[i].line);
        b->place_count++;
    }
    return OXBOW_OK;
}

enum oxbow_err resp_remember(struct resp_call *call, uint32_t arg, struct oxbow_bytes text)
{
    struct buf *b = &call->client->block.remembered;
    uint8_t head[REMEMBERED_HEAD];
    enum oxbow_err err;

    if (!call->remembers) {
        b->len = 0;
        call->remembers = true;
    }
    put_le32(head, arg);
    put_le32(head + 4, (uint32_t)text.len);
    err = buf_append(b, head, sizeof head);
    return err == OXBOW_OK ? buf_append(b, text.data, text.len) : err;
}

/* Puts what was remembered in its place. */
static void remembered_apply(struct resp_block *b)
{
    const uint8_t *p = b->remembered.data;
    const uint8_t *end = p + b->remembered.len;

    while (p < end) {
        uint32_t len = get_le32(p + 4);

        b->argv[get_le32(p)] = (struct oxbow_bytes){p + REMEMBERED_HEAD, len};
        p += REMEMBERED_HEAD + len;
    }
}

/* Keeps the command. */
static enum oxbow_err command_keep(struct resp_call *call)
{
    struct resp_block *b = &call->client->block;
    size_t pos = 0;
    enum oxbow_err err;

    b->args.len = 0;
    err = resp_copy_add(&b->args, call->args, call->count);
    if (err != OXBOW_OK) {
        return err;
    }
    b->argv = mem_new(resp_alloc(call->server), call->count * sizeof b->argv[0]);
    if (b->argv == NULL) {
        return OXBOW_ENOMEM;
    }
    b->count = resp_copy_read(&b->args, &pos, b->argv);
    if (call->remembers) {
        remembered_apply(b);
    }
    b->row = call->row;
    b->database = call->client->database;
    b->stream = call->wait.stream;
    b->first = (uint32_t)(call->wait.keys - call->args);
    b->key_count = call->wait.key_count;
    b->until_us =
        call->wait.timeout_us == 0 ? RESP_NEVER_US : call->server->now_us + call->wait.timeout_us;
    return OXBOW_OK;
}

static void command_forget(struct oxbow_resp_client *c)
{
    struct resp_block *b = &c->block;

    mem_free(resp_alloc(c->server), b->argv, b->count * sizeof b->argv[0]);
    b->argv = NULL;
    b->count = 0;
    buf_fini(&b->args);
    buf_fini(&b->remembered);
}

static struct resp_call call_again(struct oxbow_resp_client *c, struct oxbow_txn *txn)
{
    return (struct resp_call){.server = c->server,
                              .client = c,
                              .row = c->block.row,
                              .args = c->block.argv,
                              .count = c->block.count,
                              .txn = txn,
                              .reply = resp_client_answer(c),
                              .result = &c->server->result,
                              .may_wait = true,
                              .again = true};
}

/* Gets in the store's lines; `tried`: the transaction has found nothing. */
static enum oxbow_err waiter_add(struct oxbow_resp_client *c, struct oxbow_txn *txn, bool tried)
{
    struct resp_block *b = &c->block;
    const struct oxbow_wait_keys keys = {.kind = b->stream ? OXBOW_WAIT_STREAM : OXBOW_WAIT_LIST,
                                         .keys = b->argv + b->first,
                                         .count = b->key_count};

    return oxbow_wait_add(c->server->waits, txn, &keys, tried, c, &b->waiter);
}

/* Gets in all lines, in a transaction that has found nothing. */
static enum oxbow_err lines_join(struct oxbow_resp_client *c, struct oxbow_txn *txn)
{
    struct resp_block *b = &c->block;
    enum oxbow_err err = places_take(c);

    if (err != OXBOW_OK) {
        return err;
    }
    err = waiter_add(c, txn, true);
    if (err == OXBOW_OK && b->until_us != RESP_NEVER_US) {
        err = heap_add(c->server, c);
    }
    if (err != OXBOW_OK) {
        places_leave(c); /* the waiter, if there is one, goes after the transaction */
    }
    return err;
}

/* Nothing may be left of a wait that did not begin. */
static void give_up(struct oxbow_resp_client *c)
{
    if (c->block.waiter != NULL) {
        oxbow_wait_remove(c->block.waiter);
        c->block.waiter = NULL;
    }
    if (c->block.heap != 0) {
        heap_remove(c->server, c);
    }
    if (c->block.places != NULL) {
        places_leave(c);
    }
    command_forget(c);
}

enum oxbow_err resp_block_begin(struct resp_call *call)
{
    struct oxbow_resp_client *c = call->client;
    struct oxbow_resp *s = call->server;
    struct resp_call again;
    struct oxbow_txn *txn;
    uint64_t lsn;
    enum oxbow_err err = command_keep(call);

    if (err == OXBOW_OK) {
        err = resp_txn_begin(s, c->database, &s->txn);
    }
    if (err != OXBOW_OK) {
        command_forget(c);
        return err;
    }
    resp_batch_join(s, c);
    again = call_again(c, s->txn);
    if (resp_run(&again) != OXBOW_EAGAIN) { /* another thread has brought something */
        (void)resp_batch_note(s, c);
        s->batched = 1;
        (void)!resp_batch_end(s); /* of one command: whatever it was, the client is told */
        give_up(c);
        return OXBOW_OK;
    }
    link_remove(&c->batch); /* nothing was done, and nobody was told anything */
    txn = s->txn;
    s->txn = NULL;
    err = lines_join(c, txn);
    if (err == OXBOW_OK) {
        err = resp_txn_end(s, txn, &lsn);
    } else {
        oxbow_txn_abort(txn);
    }
    if (err != OXBOW_OK) {
        give_up(c);
        return err;
    }
    c->block.on = true;
    link_add(&s->waiting, &c->block.waiting);
    s->blocked++;
    return OXBOW_OK;
}

void resp_block_end(struct oxbow_resp_client *c)
{
    c->block.on = false;
    c->block.served = false;
    link_remove(&c->block.waiting);
    link_remove(&c->block.served_link);
    link_remove(&c->block.settling);
    c->server->blocked--;
    give_up(c);
    resp_client_wake(c);
}

/* ---- what comes ---- */

bool resp_call_may(const struct resp_call *call, struct oxbow_bytes key)
{
    return call->only == NULL ||
           (key.len == call->only->len &&
            (key.len == 0 || memcmp(key.data, call->only->data, key.len) == 0));
}

/* Tries the client's command in the batch's transaction; `only`: for this key. */
static void serve(struct oxbow_resp *s, struct oxbow_resp_client *c, const struct oxbow_bytes *only)
{
    struct resp_call call = call_again(c, s->txn);
    uint64_t mark = resp_reply_mark(&c->out);

    call.only = only;
    if (oxbow_txn_select(s->txn, c->block.database) == OXBOW_OK &&
        resp_run(&call) != OXBOW_EAGAIN) {
        c->block.mark = mark;
        c->block.served = true;
        link_add(&s->served, &c->block.served_link);
    }
    c->block.databases = resp_batch_note(s, NULL);
}

void resp_block_serve(struct oxbow_resp *s)
{
    while (!link_alone(&s->touched)) { /* serving may touch further keys */
        struct resp_interest *i = LINK_OF(s->touched.next, struct resp_interest, touched);

        link_remove(&i->touched);
        for (struct link *l = i->waiters.next; l != &i->waiters; l = l->next) {
            struct oxbow_resp_client *c = LINK_OF(l, struct resp_place, line)->client;

            if (c->block.served || c->killed) {
                continue;
            }
            serve(s, c, &(const struct oxbow_bytes){i->name, i->len});
            if (!c->block.served && !c->block.stream) {
                break; /* there is nothing left for those behind it either */
            }
        }
    }
}

void resp_block_woken(struct oxbow_resp *s)
{
    struct oxbow_waiter *waiter;
    void *user;

    while (resp_room(s) && oxbow_wait_next(s->waits, &waiter, &user) == OXBOW_OK) {
        struct oxbow_resp_client *c = user;

        if (c->killed) {
            resp_block_end(c); /* lets the next one have it */
            continue;
        }
        if (resp_txn_begin(s, c->block.database, &s->txn) != OXBOW_OK) {
            oxbow_wait_again(waiter);
            return;
        }
        oxbow_wait_try(waiter, s->txn);
        serve(s, c, NULL);
        (void)!resp_batch_end(s); /* if it fails, nobody was served */
        if (c->block.on) {
            oxbow_wait_again(waiter);
        }
    }
}

void resp_block_left(struct oxbow_resp *s)
{
    for (struct link *l = s->waiting.next; l != &s->waiting; l = l->next) {
        LINK_OF(l, struct oxbow_resp_client, block.waiting)->block.waiter = NULL;
    }
    oxbow_wait_set_close(s->waits);
    s->waits = NULL;
}

void resp_block_again(struct oxbow_resp *s)
{
    struct link *next;

    for (struct link *l = s->waiting.next; l != &s->waiting; l = next) {
        struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, block.waiting);
        struct oxbow_txn *txn;
        enum oxbow_err err = resp_txn_begin(s, c->block.database, &txn);

        next = l->next;
        if (err == OXBOW_OK) {
            err = waiter_add(c, txn, false); /* it looks once more: something may have come due */
            oxbow_txn_abort(txn);
        }
        if (err != OXBOW_OK) {
            resp_block_end(c);
            resp_client_kill(c);
        }
    }
}

void resp_block_expire(struct oxbow_resp *s)
{
    while (s->deadline_count > 0 && s->deadlines[0]->block.until_us <= s->now_us) {
        struct oxbow_resp_client *c = s->deadlines[0];

        resp_block_nothing(c);
        resp_client_gate(c, 0);
        resp_block_end(c);
    }
}

void resp_block_nothing(struct oxbow_resp_client *c)
{
    if (link_alone(&c->block.settling)) {
        resp_null_array(resp_client_answer(c));
    } else {
        resp_settle_timeout(c);
    }
}

/* ---- the device ---- */

enum oxbow_err resp_settle_begin(struct resp_call *call, uint64_t timeout_us)
{
    struct oxbow_resp_client *c = call->client;
    struct resp_block *b = &c->block;

    b->until_us = timeout_us == 0 ? RESP_NEVER_US : call->server->now_us + timeout_us;
    if (timeout_us != 0 && heap_add(call->server, c) != OXBOW_OK) {
        return OXBOW_ENOMEM;
    }
    b->row = call->row;
    b->database = c->database;
    b->key_count = 0;
    b->on = true;
    link_add(&call->server->settling, &b->settling);
    call->server->blocked++;
    return OXBOW_OK;
}
