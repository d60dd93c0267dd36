/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session with a scripted server on the other side, in the test's own thread and time: the test
 * reads the commands one by one and writes the replies.
 */
#ifndef OXBOW_TESTS_UPLINK_PEER_H
#define OXBOW_TESTS_UPLINK_PEER_H

#include "oxbow/oxbow.h"
#include "oxbow/stream.h"
#include "oxbow/uplink.h"

#define PEER_TEXT_MAX 65536u

struct peer {
    struct oxbow *db;
    struct oxbow_uplink *u;
    struct oxbow_uplink_config config;
    struct oxbow_uplink_target targets[2];
    struct oxbow_identity identity;
    char dir[64];
    char text[PEER_TEXT_MAX]; /* the last command */
    struct oxbow_uplink_next next;
};

/* A store with an identity (device "dev"), no forward, no session. */
void peer_open(struct peer *p);
/* Stream "s" as forward "f" with these options (key and type are filled in). NULL: defaults. */
void peer_forward(struct peer *p, const struct oxbow_forward_options *options);
/* The session, with p->config. */
void peer_session(struct peer *p);
void peer_close(struct peer *p);

/* Adds one entry with the id ms-0 and one field. */
void peer_add(struct peer *p, uint64_t ms);

/* Lets time come until the session wants something; gives the action. At most one hour. */
enum oxbow_uplink_action peer_next(struct peer *p);
/* Until CONNECT, then connected. */
void peer_connect(struct peer *p);
/* Lets this time pass and ticks. */
void peer_pass(struct peer *p, uint64_t ms);
/* The next command of the session as text, arguments parted by blanks; "" when there is none. A
 * script's text is given as "<script>". Valid until the next call. */
const char *peer_command(struct peer *p);
/* The same, after lingering as long as it takes. */
const char *peer_wait_command(struct peer *p);
void peer_reply(struct peer *p, const char *raw);
/* Reads HELLO, GET owner, TIME and answers them as a master that knows the owner. */
void peer_greet(struct peer *p);
/* And answers the first forward's position. */
void peer_up(struct peer *p, const char *position);
/* A session that is up, with nothing at the target and entries 1-0 to n-0 in the stream. */
void peer_open_up(struct peer *p, uint64_t entries);
/* {flag, position} as the guard answers. */
void peer_guard(struct peer *p, int flag, const char *position);
/* The session's wish: true if it wants the connection closed. */
bool peer_closing(struct peer *p);
void peer_closed(struct peer *p, enum oxbow_err why);

struct oxbow_uplink_status peer_status(struct peer *p);
struct oxbow_uplink_forward_status peer_flow(struct peer *p);
struct oxbow_forward_status peer_stored(struct peer *p);

#endif
