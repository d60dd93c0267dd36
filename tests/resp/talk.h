/* SPDX-License-Identifier: Apache-2.0 */
/* A server over a store in a fresh directory, and clients without sockets. What fails ends the test. */
#ifndef OXBOW_TESTS_RESP_TALK_H
#define OXBOW_TESTS_RESP_TALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oxbow/resp.h"
#include "tests/support/fault.h"

#include <stdio.h>
#include <string.h>

#define TALK_CLIENTS 8u

struct talk {
    char dir[256];
    struct fault fault; /* the store's port */
    struct oxbow_config store;
    struct oxbow_resp_config config;
    struct oxbow *db;
    struct oxbow_resp *server;
    struct oxbow_resp_client *clients[TALK_CLIENTS];
    bool shutdown;
    char text[1 << 16]; /* what talk_* gave last */
};

/* Opens with a default store under `always` unless t->store says otherwise. */
void talk_open(struct talk *t);
void talk_close(struct talk *t);
/* Ends the server and opens the store and another one: what was there is there. */
void talk_again(struct talk *t);

/* Connects client n. */
void talk_connect(struct talk *t, uint32_t n);
/* The same, to the port of the sentinel at the address of this machine's that `laddr` tells. */
void talk_connect_sentinel(struct talk *t, uint32_t n, const char *laddr);
void talk_hang_up(struct talk *t, uint32_t n);
/* Bytes as they are, and no turn. */
void talk_feed(struct talk *t, uint32_t n, const char *bytes, size_t len);
/* A command of words separated by blanks; no turn. */
void talk_send(struct talk *t, uint32_t n, const char *words);
/* Turns until everything that was done is durable and nothing is left to do. */
void talk_turn(struct talk *t);
/* All that the client was given and may have; valid until the next call. */
const char *talk_heard(struct talk *t, uint32_t n);
/* All three. */
const char *talk(struct talk *t, uint32_t n, const char *words);

/* cmocka's set-up and tear-down, with client 0 connected. */
int talk_setup(void **state);
int talk_teardown(void **state);

#define assert_reply(t, n, words, want) assert_string_equal(talk((t), (n), (words)), (want))

#endif
