/* SPDX-License-Identifier: Apache-2.0 */
/* A small world around a server: store, loop, and clients on real sockets in the same thread. */
#ifndef OXBOW_TESTS_UV_SERVE_WORLD_H
#define OXBOW_TESTS_UV_SERVE_WORLD_H

#include "oxbow/resp_uv.h"
#include "tests/support/rig.h"

#include <uv.h>

struct serve_world {
    struct rig rig;
    uv_loop_t loop;
    struct oxbow_resp_uv_config config;
    struct oxbow_resp_uv_why why;
    struct oxbow_resp_uv *server; /* NULL: none */
    char path[300];               /* of the Unix socket, inside the rig's directory */
    bool done;
    unsigned shutdowns;
};

/* A store and a loop. */
void serve_world_init(struct serve_world *w, enum oxbow_sync sync);
/* The server with w->config; at any port of 127.0.0.1 as that is at first. */
void serve_world_open(struct serve_world *w);
void serve_world_close(struct serve_world *w);
void serve_world_fini(struct serve_world *w);

/* A connected socket that does not block. */
int guest_dial(struct serve_world *w);
int guest_dial_sentinel(struct serve_world *w);
int guest_dial_unix(struct serve_world *w);
/* Sends all of it, running the loop while the socket is full. */
void guest_say(struct serve_world *w, int fd, const char *text);
void guest_say_bytes(struct serve_world *w, int fd, const void *data, size_t len);
/* Runs the loop until exactly this has come. */
void guest_hear(struct serve_world *w, int fd, const char *text);
/* Runs the loop until the server has closed this side. Fails when anything comes before. */
void guest_hear_end(struct serve_world *w, int fd);
/* Sends, hears. */
void guest_ask(struct serve_world *w, int fd, const char *text, const char *reply);
/* Runs the loop for so long; how often it turned. */
unsigned serve_world_run(struct serve_world *w, unsigned ms);
/* Until so many are connected. */
void serve_world_until_clients(struct serve_world *w, uint32_t count);
/* Closes with a reset in the place of an orderly end. */
void guest_reset(int fd);

#endif
