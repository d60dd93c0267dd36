/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the server's driver share (serve*.c). Everything on the loop's thread. */
#ifndef OXBOW_UV_SERVE_H
#define OXBOW_UV_SERVE_H

#include "oxbow/resp_uv.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <uv.h>

#define SERVE_LISTENERS_MAX (3u * OXBOW_RESP_UV_BINDS_MAX + 1u)
#define SERVE_SHAKING_MAX   256u /* handshakes at the same time; then the oldest has failed */
#define SERVE_ADDR_MAX      128u

/* Both kinds of address, and room for others. */
union serve_addr {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage room;
};

/* One socket that accepts. */
struct serve_listener {
    uv_poll_t poll;
    struct oxbow_resp_uv *server;
    int fd;
    bool polls;    /* its handle is on the loop */
    bool tls;      /* its connections speak TLS */
    bool sentinel; /* and are answered as by a sentinel */
};

/* One connection. */
struct serve_conn {
    uv_poll_t poll;
    struct oxbow_resp_uv *server;
    struct oxbow_resp_client *client;
    struct serve_conn *prev; /* in server->conns */
    struct serve_conn *next;
    struct serve_conn *next_ready; /* in server->ready */
    bool ready;                    /* it is in there */
    int fd;
    int events;                 /* of uv_poll that are asked for; 0: none */
    bool stuffed;               /* the socket takes no more for now */
    bool held;                  /* there was something to read that was not wanted */
    bool ended;                 /* nothing more comes from there */
    bool closed;                /* waits for libuv alone */
    struct oxbow_tls_conn *tls; /* NULL: bytes as they are */
    bool shaking;               /* its handshake is not over */
    bool inside;                /* only what TLS has already is read */
    uint64_t shake_until_us;
};

/* The descriptors of store and server on the loop: others after the store was opened again. */
struct serve_watch {
    uv_poll_t durable;
    uv_poll_t woken;
    struct oxbow_resp_uv *server;
    uint32_t handles; /* of them on the loop */
};

struct oxbow_resp_uv {
    const struct oxbow_port *port;
    uv_loop_t *loop;
    struct oxbow *db; /* NULL: it was closed, and did not open again */
    struct oxbow_resp *resp;
    void (*shutdown)(void *ctx);
    void *shutdown_ctx;
    enum oxbow_err (*reopen)(void *ctx, struct oxbow **db); /* with the same context */
    void (*durable_told)(void *ctx);
    void *durable_ctx;
    void (*done)(void *ctx);
    void *done_ctx;
    struct serve_conn *conns;
    struct serve_conn *ready_first;
    struct serve_conn *ready_last;
    const struct oxbow_tls_ops *tls_ops; /* NULL: no TLS */
    struct oxbow_tls *tls;
    uint32_t shaking;     /* connections whose handshake is not over */
    uint64_t tls_told_us; /* when the log was last told of a handshake that failed */
    uint64_t told_us;     /* when the log was last told that it cannot accept */
    uint64_t lsn;         /* what must be durable before the connections are closed */
    uint32_t conn_count;
    uint32_t listener_count;
    uint32_t handles;     /* on the loop, connections' too */
    uint32_t keepalive_s; /* 0: none */
    uint32_t goodbye_ms;
    uint32_t backlog;
    uint16_t tcp_port;
    uint16_t tls_port;
    uint16_t sentinel_port;
    bool shutdown_due;
    bool reopened; /* the store was closed in this turn */
    bool pausing;  /* accepts nothing for a moment */
    bool due;      /* a turn is */
    bool closing;
    bool goodbye_over;
    bool lsn_known;
    bool ending;                    /* everything is being closed */
    char unix_path[SERVE_ADDR_MAX]; /* empty: none */
    dev_t unix_dev;                 /* the socket's file, as it was made here */
    ino_t unix_ino;
    uv_timer_t pause; /* until it accepts again */
    uv_check_t check;
    uv_idle_t idle; /* keeps the loop from sleeping while a turn is due */
    uv_timer_t timer;
    uv_timer_t goodbye;
    uv_timer_t shake;          /* looks after handshakes while there are any */
    struct serve_watch *watch; /* NULL: none */
    struct serve_listener listeners[SERVE_LISTENERS_MAX];
};

/* ---- serve.c ---- */

/* A turn before the loop sleeps. */
void uvserve_wake(struct oxbow_resp_uv *s);
/* A handle is closed. May free the server. */
void uvserve_released(struct oxbow_resp_uv *s);
void uvserve_listener_closed(uv_handle_t *handle);
void uvserve_log(const struct oxbow_resp_uv *s, enum oxbow_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- serve_listen.c ---- */

/* Opens the sockets. What it has opened is closed by uvserve_deafen, also when it fails. */
OXBOW_MUST_CHECK enum oxbow_err uvserve_listen(struct oxbow_resp_uv *s,
                                               const struct oxbow_resp_uv_config *config,
                                               struct oxbow_resp_uv_why *why);
/* Begins to accept, or goes on. */
void uvserve_accept(struct oxbow_resp_uv *s);
/* Accepts nothing for a moment: there is no memory or descriptor for it. */
void uvserve_pause(struct oxbow_resp_uv *s, int error);
/* Closes the sockets and removes the Unix socket's file if it is still ours. */
void uvserve_deafen(struct oxbow_resp_uv *s);

/* ---- serve_client.c ---- */

/* Takes the connected socket over. */
void uvserve_conn_open(const struct serve_listener *l, int fd, const union serve_addr *from);
/* Sends what may leave; closes the connection when it is done. */
void uvserve_conn_flush(struct serve_conn *c);
/* Asks for the events that matter now. */
void uvserve_conn_watch(struct serve_conn *c);
void uvserve_conn_close(struct serve_conn *c);
/* Notes that there is something to flush. */
void uvserve_conn_ready(struct serve_conn *c);

/* ---- serve_tls.c: bytes of a connection, in TLS or as they are ---- */

/* As recv and send without waiting: -1 and errno. */
ssize_t uvserve_wire_read(struct serve_conn *c, void *buf, size_t len);
ssize_t uvserve_wire_write(struct serve_conn *c, const void *data, size_t len);
/* Sends what TLS has for the peer. False: the socket takes no more for now; what is wrong with it shows
 * when it is read. */
bool uvserve_wire_push(struct serve_conn *c);
/* Begins TLS. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err uvserve_tls_begin(struct serve_conn *c);
/* Says goodbye and frees it; fine without TLS. */
void uvserve_tls_end(struct serve_conn *c);
OXBOW_MUST_CHECK enum oxbow_err uvserve_tls_open(struct oxbow_resp_uv *s,
                                                 const struct oxbow_resp_uv_config *config,
                                                 struct oxbow_resp_uv_why *why);

#endif
