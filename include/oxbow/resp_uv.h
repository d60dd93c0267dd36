/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server of resp.h on libuv: listens, accepts, moves bytes and wakes the server when there is
 * reason to. TCP (IPv4 and IPv6), TLS on a port of its own, and a Unix socket. On the program's own loop; nothing here blocks it.
 *
 * A connection that has ended is closed in the same turn of the loop, before any command of that turn
 * is carried out: an element is never taken for somebody whose end had arrived before it. What a
 * connection sent before its end is carried out all the same.
 */
#ifndef OXBOW_RESP_UV_H
#define OXBOW_RESP_UV_H

#include "oxbow/resp.h"
#include "oxbow/tls.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s; /* uv_loop_t */

struct oxbow_resp_uv; /* a server on a loop */

#define OXBOW_RESP_UV_BINDS_MAX 16u
#define OXBOW_RESP_UV_WHY_MAX   320u

/* Why it does not listen, for an operator: names the address or the path. */
struct oxbow_resp_uv_why {
    char text[OXBOW_RESP_UV_WHY_MAX];
};

/* All zero means default, but for `resp.db` and one of port, port_any, tls_port,
 * tls_port_any or unix_path. Copied. */
struct oxbow_resp_uv_config {
    struct oxbow_resp_config
        resp;                 /* `ready` is the driver's own and must be NULL; `shutdown` is called
                                      on the loop, outside of turns, and may close the driver;
                                      `reopen` within a turn, when the loop has let go of the store's
                                      descriptors: not for a store that others on the loop follow (`durable`) */
    const char *const *binds; /* addresses, names, "*" (all IPv4) or "::*" (all IPv6); after a '-'
                                      one that this machine does not have is passed over */
    size_t bind_count;        /* at most OXBOW_RESP_UV_BINDS_MAX; 0: 127.0.0.1 and -::1 */
    uint16_t port;            /* 0: no TCP, unless port_any */
    bool port_any;            /* the system chooses: oxbow_resp_uv_port. Takes one address */
    const char *unix_path;    /* NULL: none. A socket there that nobody serves is replaced */
    uint32_t unix_mode;       /* rights of the socket's file; 0: as the umask says */
    const struct oxbow_tls_ops *tls; /* how TLS is spoken at tls_port (oxbow_tls_mbedtls); NULL: it
                                        is not. A handshake takes at most ten seconds */
    const struct oxbow_tls_config *tls_config; /* with `server`; its port is the store's if 0 */
    uint16_t tls_port;                         /* at the same addresses; 0: none, unless */
    bool tls_port_any; /* the system chooses: oxbow_resp_uv_tls_port. Takes one address */
    uint16_t
        sentinel_port; /* answers as a sentinel that watches this server (resp.sentinel), at the
                               same addresses; with TLS if there is no port without; 0: none, unless */
    bool sentinel_port_any; /* the system chooses: oxbow_resp_uv_sentinel_port. Takes one address */
    uint32_t backlog;       /* tcp-backlog; 0: 511 */
    uint32_t keepalive_s;   /* tcp-keepalive; 0: 300; UINT32_MAX: none */
    uint32_t goodbye_ms;    /* what oxbow_resp_uv_close waits at most; 0: 2000 */
    /* The store's descriptor was readable and has been cleared: for others on the loop who follow the
     * store, such as an uplink's driver (oxbow_uplink_uv_durable). Outside of turns. NULL: nobody. */
    void (*durable)(void *ctx);
    void *durable_ctx;
};

/* Opens the server and listens; on the loop's thread, or before the loop runs. The store must outlive
 * it. One per store. `why` may be NULL.
 *
 * OXBOW_EINVAL   no db, nowhere to listen, too many addresses, a path that is too long
 * OXBOW_EBUSY    another program listens there
 * OXBOW_ENOENT   no such address on this machine, or no directory for the socket
 * OXBOW_EREADONLY no right to listen there
 * OXBOW_EEXIST   unix_path is there and no socket
 * OXBOW_ENOMEM, OXBOW_ESYS, errors of oxbow_resp_open and oxbow_tls_ops.open
 * After a failure the loop may have to run once before all is freed. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_resp_uv_open(struct uv_loop_s *loop,
                                                   const struct oxbow_resp_uv_config *config,
                                                   struct oxbow_resp_uv_why *why,
                                                   struct oxbow_resp_uv **out);
/* Stops listening and reading, carries out what was read, lets the replies leave when they are durable,
 * for at most goodbye_ms, closes all connections and frees the driver and its server. `done` is
 * called on the loop when nothing of it is left there; then the store may be closed. Once only. */
void oxbow_resp_uv_close(struct oxbow_resp_uv *s, void (*done)(void *ctx), void *ctx);

/* The TCP port that it listens at; 0: none. */
uint16_t oxbow_resp_uv_port(const struct oxbow_resp_uv *s);
uint16_t oxbow_resp_uv_tls_port(const struct oxbow_resp_uv *s);
uint16_t oxbow_resp_uv_sentinel_port(const struct oxbow_resp_uv *s);
/* Reads certificates and keys again, for connections from now on. On failure everything stays as it was:
 * errors and `why` as oxbow_tls_ops.reload. OXBOW_ENOTSUP: there is no TLS. On the loop's thread. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_resp_uv_tls_reload(struct oxbow_resp_uv *s,
                                                         struct oxbow_tls_why *why);
/* How many are connected. On the loop's thread. */
uint32_t oxbow_resp_uv_clients(const struct oxbow_resp_uv *s);

#ifdef __cplusplus
}
#endif

#endif
