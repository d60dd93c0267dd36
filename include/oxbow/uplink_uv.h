/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uplink's driver on libuv: it owns the connection to the target and the TLS on it, and turns
 * the session of uplink.h. On the firmware's own loop, or in a thread that it starts.
 *
 * Everything waits: names are resolved in libuv's thread pool, nothing blocks the loop. New
 * entries are sent as soon as the store says that they are durable, without polling. A name with
 * several addresses is tried address by address. What leaves is bounded by what the socket takes,
 * so that a slow link fills no memory.
 */
#ifndef OXBOW_UPLINK_UV_H
#define OXBOW_UPLINK_UV_H

#include "oxbow/tls.h"
#include "oxbow/uplink.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s; /* uv_loop_t */

struct oxbow_uplink_uv;     /* a driver on a loop */
struct oxbow_uplink_thread; /* a driver in its thread */

/* All zero means default, but for `db` and one of `tls` or `plain`. Copied, like tls_config. */
struct oxbow_uplink_uv_config {
    struct oxbow *db;                /* the session's store */
    const struct oxbow_tls_ops *tls; /* oxbow_tls_mbedtls() */
    const struct oxbow_tls_config *tls_config;
    bool plain;                /* no TLS: everything goes in clear, the password too; tls is NULL */
    uint32_t tcp_timeout_ms;   /* for one address; 0: 10,000 */
    uint32_t tls_timeout_ms;   /* for the handshake; 0: 15,000 */
    uint32_t goodbye_ms;       /* for the orderly end of a connection; 0: 2000 */
    uint32_t unsent_bytes_max; /* in the socket (TCP_NOTSENT_LOWAT); 0: 16 KiB */
    const char *congestion;    /* TCP_CONGESTION, "bbr" for lossy links; NULL: the system's */
    bool
        told; /* something else on the loop watches the store's descriptor, as the server of resp_uv.h
                  does: the driver leaves it alone, and oxbow_uplink_uv_durable is called whenever it
                  was readable. Not for the thread */
    /* The session is done (OXBOW_UPLINK_STOP, or a check is finished) and the connection closed.
     * Called once, on the loop; may close the driver. NULL: nobody asks. Not for the thread. */
    void (*finished)(void *ctx);
    void *finished_ctx;
};

/* Opens a driver on `loop` and begins; call it on the loop's thread, or before the loop runs. The
 * session belongs to the driver's thread from now on (uplink.h says what others may call), and
 * must be closed after the driver. One driver per session and store. `why` may be NULL.
 *
 * libuv writes to sockets without MSG_NOSIGNAL: a process that has SIGPIPE at its default has it
 * ignored from here on.
 *
 * OXBOW_EINVAL   no db, neither or both of tls and plain
 * errors of oxbow_tls_ops.open (certificates are read here), with the reason in *why
 * OXBOW_ENOMEM, OXBOW_ESYS */
OXBOW_MUST_CHECK enum oxbow_err oxbow_uplink_uv_open(struct oxbow_uplink *session,
                                                     struct uv_loop_s *loop,
                                                     const struct oxbow_uplink_uv_config *config,
                                                     struct oxbow_tls_why *why,
                                                     struct oxbow_uplink_uv **out);
/* Ends the connection and frees the driver, on the loop's thread, in any state. `done` is called on
 * the loop when nothing of the driver is left on it; then the session may be closed. A name that is
 * being resolved is waited for. */
void oxbow_uplink_uv_close(struct oxbow_uplink_uv *d, void (*done)(void *ctx), void *ctx);

/* With `told`: the store's durable LSN has advanced, or the store failed. On the loop, outside of
 * transactions. */
void oxbow_uplink_uv_durable(struct oxbow_uplink_uv *d);

/* The same in a thread of its own, with its own loop. Errors likewise; SIGPIPE is blocked in that
 * thread alone. `config->finished` must be NULL, `told` false. */
OXBOW_MUST_CHECK enum oxbow_err
oxbow_uplink_thread_open(struct oxbow_uplink *session, const struct oxbow_uplink_uv_config *config,
                         struct oxbow_tls_why *why, struct oxbow_uplink_thread **out);
/* Waits until the session is done: a check finished, or stopped by OXBOW_UPLINK_STOP. Any thread
 * but the driver's. timeout_ms negative: no limit. OXBOW_ETIMEDOUT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_uplink_thread_wait(struct oxbow_uplink_thread *thread,
                                                         int64_t timeout_ms);
/* Ends the connection, stops the thread, waits for it and frees it; it does not matter what the
 * session was doing. Then the session may be closed. NULL is fine. */
void oxbow_uplink_thread_close(struct oxbow_uplink_thread *t);

#ifdef __cplusplus
}
#endif

#endif
