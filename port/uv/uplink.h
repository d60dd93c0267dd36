/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share: the driver and its links. Everything on the loop's thread.
 */
#ifndef OXBOW_UV_UPLINK_H
#define OXBOW_UV_UPLINK_H

#include "oxbow/oxbow.h"
#include "oxbow/uplink_uv.h"
#include "port/uv/error.h"

#include <uv.h>

#define TEXT_MAX    384u
#define ADDRS_MAX   8u
#define SCRATCH_LEN 16384u

/* ---- tune.c ---- */

struct tune {
    uint32_t user_timeout_ms;  /* 0: leave */
    uint32_t keepalive_idle_s; /* 0: none */
    uint32_t unsent_bytes_max;
    const char *congestion; /* NULL: leave */
};

/* Sets what the socket can; a congestion control that the system lacks is OXBOW_ENOTSUP, all else
 * is a matter of speed and not reported. */
OXBOW_MUST_CHECK enum oxbow_err uvtune_socket(int fd, const struct tune *t);

/* ---- link.c: one connection, TLS on it or not ---- */

enum link_state {
    LINK_CONNECTING,
    LINK_SHAKING, /* TLS */
    LINK_OPEN,
    LINK_FAILED, /* by itself; waits for uvlink_end */
    LINK_ENDING, /* says goodbye */
    LINK_CLOSING /* libuv closes its handles; then it is freed */
};

struct link {
    struct oxbow_uplink_uv *driver;
    enum link_state state;
    enum link_state died_in;    /* the state before LINK_FAILED */
    enum oxbow_err why;         /* once failed */
    char text[TEXT_MAX];        /* likewise */
    struct oxbow_tls_conn *tls; /* NULL: plain */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } sock;
    uv_timer_t goodbye;
    bool deaf;        /* the peer takes nothing more; what it said last is still to be read */
    uint32_t handles; /* that libuv has not closed yet */
    uv_connect_t connect;
    uv_shutdown_t shutdown;
    uv_write_t write;
    uint8_t *write_data; /* in flight; NULL: nothing is */
    size_t write_len;
};

/* Begins to connect to the address, or to the unix socket if `path` is not NULL. What happens to it
 * is told to the driver: uvdriver_opened, uvdriver_data, and uvdriver_turn after each. */
OXBOW_MUST_CHECK enum oxbow_err uvlink_open(struct oxbow_uplink_uv *driver,
                                            const struct sockaddr *addr, const char *path,
                                            struct link **out);
/* Hands over the first bytes of data. OXBOW_EAGAIN: none now, uvdriver_turn comes when there is
 * room. Any other error: the link has failed. */
OXBOW_MUST_CHECK enum oxbow_err uvlink_write(struct link *l, const void *data, size_t len,
                                             size_t *took);
/* Makes it fail, as if the peer had ended it. */
void uvlink_fail(struct link *l, enum oxbow_err why, const char *text);
/* Lets it go: after a goodbye if `polite` and if it is open. It frees itself. */
void uvlink_end(struct link *l, bool polite);

/* ---- dial.c: from a name to a link ---- */

struct dial {
    char host[OXBOW_UPLINK_HOST_MAX + 1];
    uint16_t port;
    struct sockaddr_storage addrs[ADDRS_MAX];
    size_t addr_count;
    size_t addr_at;          /* the next to try */
    struct resolve *resolve; /* in flight, or NULL */
    struct link *link;       /* NULL: none */
    enum link_state stage;   /* that the deadline is for */
    uint64_t deadline_us;    /* 0: none */
    bool busy;               /* the session waits for its outcome */
    bool told;               /* the session was told that it is connected */
    bool retried;            /* without the TLS session */
    enum oxbow_err failed;   /* before there was a link */
    char text[TEXT_MAX];
};

/* Begins to connect to n->host. */
void uvdial_begin(struct oxbow_uplink_uv *d, const struct oxbow_uplink_next *n);
/* Looks at what became of it: goes on with the next address, or without the TLS session, or tells
 * the session that it is lost. */
void uvdial_check(struct oxbow_uplink_uv *d);
/* Drops connection and attempt without a word to the session. */
void uvdial_end(struct oxbow_uplink_uv *d, bool polite);

/* ---- driver.c ---- */

struct oxbow_uplink_uv {
    const struct oxbow_port *port;
    struct oxbow_uplink *session;
    uv_loop_t *loop;
    struct oxbow_uplink_uv_config config; /* tls_config is not kept */
    char congestion[16];
    struct oxbow_tls *tls; /* NULL: plain */
    uint64_t reload;       /* the session's, when certificates were last read */
    uv_timer_t timer;
    uv_async_t async;
    uv_poll_t poll;
    uint32_t pending; /* handles, links and resolves on the loop */
    bool polls;
    bool closing;
    bool finished;
    void (*done)(void *ctx);
    void *done_ctx;
    struct tune tune;
    struct dial dial;
    struct link *ending; /* the newest that says goodbye, or NULL */
    uint8_t scratch[SCRATCH_LEN];
};

/* Asks the session what it wants, does it, sends what it has, sets the timer. The last call of
 * every callback of libuv. */
void uvdriver_turn(struct oxbow_uplink_uv *d);
/* The link stands, TLS included. */
void uvdriver_opened(struct oxbow_uplink_uv *d, const struct link *l);
/* Plaintext from the target. */
void uvdriver_data(struct oxbow_uplink_uv *d, const void *data, size_t len);
/* Something that was counted in `pending` is gone from the loop. May free the driver. */
void uvdriver_release(struct oxbow_uplink_uv *d);
void uvdriver_log(const struct oxbow_uplink_uv *d, enum oxbow_log_level level, const char *format,
                  ...) __attribute__((format(printf, 3, 4)));
uint64_t uvdriver_now_us(const struct oxbow_uplink_uv *d);
/* The target's time, from a connection that TLS has vouched for, lifts the floor for the next. */
void uvdriver_learn_time(struct oxbow_uplink_uv *d);
/* As oxbow_uplink_uv_open, but for SIGPIPE; `why` is not NULL. On failure the loop may have to run
 * before all is freed. */
OXBOW_MUST_CHECK enum oxbow_err uvdriver_open(struct oxbow_uplink *session, uv_loop_t *loop,
                                              const struct oxbow_uplink_uv_config *config,
                                              struct oxbow_tls_why *why,
                                              struct oxbow_uplink_uv **out);

#endif
