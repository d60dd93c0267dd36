/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands for which the store has no room yet: its device does not keep up, and beginning a transaction would
 * hold the whole loop until it does. They stay with their connections' requests, and nothing more is read from
 * these, until the store says that there is room; all that needs no store goes on meanwhile: other connections
 * come and go, replies leave as what they show gets to the device, and the loop's owner is told that it lives.
 *
 * Invariants: (1) A connection that stands here has a request that is whole, and is in no other ring of those
 * that are ready. (2) They go on in the order in which they came. (3) While somebody stands here no_room is set.
 */
#include "engine/resp/server.h"

#define LOOK_US 100000u /* the store tells; should that get lost, it is asked */

static void wake(struct oxbow_resp *s)
{
    while (!link_alone(&s->stuck)) {
        struct oxbow_resp_client *c = LINK_OF(s->stuck.next, struct oxbow_resp_client, ready);

        link_remove(&c->ready);
        c->stuck = false;
        resp_client_wake(c);
        resp_client_notice(c);
    }
}

bool resp_room(struct oxbow_resp *s)
{
    s->no_room = oxbow_room(s->db) == OXBOW_EAGAIN;
    if (s->no_room) {
        s->room_us = s->now_us + LOOK_US;
    } else {
        wake(s); /* whoever has asked: nobody else may ask before they all have what they need */
    }
    return !s->no_room;
}

void resp_room_wait(struct oxbow_resp_client *c)
{
    link_remove(&c->ready);
    link_add(&c->server->stuck, &c->ready);
    c->stuck = true;
    resp_client_notice(c); /* it wants nothing for now */
}

void resp_room_turn(struct oxbow_resp *s)
{
    if (s->no_room) {
        (void)resp_room(s);
    }
}

uint64_t resp_room_due_us(const struct oxbow_resp *s)
{
    return s->no_room ? s->room_us : RESP_NEVER_US;
}
