/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CLIENT PAUSE: commands wait for a while, those that may write or all of them.
 *
 * A command that has to wait is not taken: it stays with its connection's requests, which wait behind it, and
 * the connection stands in server->pause.waiters. When the pause ends they go on in the order in which they
 * came there. What is refused as such is refused at once. A request that came as a line cannot be put back
 * where it was: it waits as it is, whatever it says.
 *
 * What a connection that has ended still asks for is not carried out when the pause is over: as with a wait for
 * a key, who hears of no reply may ask again elsewhere.
 *
 * Who waited for a key when the pause began is served what the store brings, entries that come due: its
 * command was given before it.
 */
#include "engine/resp/args.h"
#include "engine/resp/cmd_client.h"
#include "engine/resp/server.h"

#include <string.h>

#define PAUSE_MS_MAX (INT64_MAX / 4000) /* so that microseconds fit */

bool resp_row_writes(const struct resp_command *row)
{
    static const char *const may[] = {"eval", "evalsha", "publish", "spublish"};

    for (size_t i = 0; i < sizeof may / sizeof may[0]; i++) {
        if (strcmp(row->name, may[i]) == 0) {
            return true;
        }
    }
    return (row->flags & RESP_WRITE) != 0;
}

void resp_pause_wait(struct oxbow_resp_client *c)
{
    link_add(&c->server->pause.waiters, &c->paused);
}

bool resp_pause_holds(const struct resp_call *call)
{
    struct oxbow_resp_client *c = call->client;

    if (c->sentinel) {
        return false; /* who watches the server is to see it */
    }
    switch (call->server->pause.mode) {
    case RESP_PAUSE_NONE:
        return false;
    case RESP_PAUSE_WRITE:
        if (!resp_row_writes(call->row) &&
            !(c->multi.writes && strcmp(call->row->name, "exec") == 0)) {
            return false;
        }
        break;
    case RESP_PAUSE_ALL:
        break;
    }
    resp_pause_wait(c);
    return true;
}

uint32_t resp_pause_count(const struct oxbow_resp *s)
{
    uint32_t n = 0;

    for (const struct link *l = s->pause.waiters.next; l != &s->pause.waiters; l = l->next) {
        n++;
    }
    return n;
}

static void end(struct oxbow_resp *s)
{
    s->pause.mode = RESP_PAUSE_NONE;
    s->pause.until_us = 0;
    while (!link_alone(&s->pause.waiters)) {
        struct link *first = s->pause.waiters.next;
        struct oxbow_resp_client *c = LINK_OF(first, struct oxbow_resp_client, paused);

        link_remove(&c->paused);
        resp_client_wake(c);
    }
}

void resp_pause_turn(struct oxbow_resp *s)
{
    if (s->pause.mode != RESP_PAUSE_NONE && s->pause.until_us <= s->now_us) {
        end(s);
    }
}

uint64_t resp_pause_due_us(const struct oxbow_resp *s)
{
    return s->pause.mode != RESP_PAUSE_NONE ? s->pause.until_us : RESP_NEVER_US;
}

/* Of two pauses that overlap the stricter and the longer holds. */
enum oxbow_err resp_client_pause(struct resp_call *call)
{
    struct oxbow_resp *s = call->server;
    enum resp_pause_mode mode = RESP_PAUSE_ALL;
    uint64_t until_us;
    int64_t ms;

    if (call->count > 4) {
        return resp_refuse_subcommand(call);
    }
    if (call->count == 4 && resp_arg_is(call->args[3], "write")) {
        mode = RESP_PAUSE_WRITE;
    } else if (call->count == 4 && !resp_arg_is(call->args[3], "all")) {
        return resp_refuse(call, "ERR CLIENT PAUSE mode must be WRITE or ALL");
    }
    if (!resp_arg_int(call->args[2], &ms)) {
        return resp_refuse(call, "ERR timeout is not an integer or out of range");
    }
    if (ms < 0) {
        return resp_refuse(call, "ERR timeout is negative");
    }
    if (ms > PAUSE_MS_MAX) {
        return resp_refuse(call, "ERR timeout is out of range");
    }
    until_us = s->now_us + (uint64_t)ms * 1000;
    s->pause.mode = mode > s->pause.mode ? mode : s->pause.mode;
    s->pause.until_us = until_us > s->pause.until_us ? until_us : s->pause.until_us;
    resp_ok(call->reply);
    return OXBOW_OK;
}

enum oxbow_err resp_client_unpause(struct resp_call *call)
{
    end(call->server);
    resp_ok(call->reply);
    return OXBOW_OK;
}
