/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uplink session, without sockets: it carries what forwards (forward.h) select to the target,
 * a central Redis. Bytes in, bytes out, a time to wake at. A driver owns the connection and the
 * TLS: uplink_uv.h has one for libuv and one in a thread of its own.
 *
 * The driver's loop. Whatever it did last, it then asks for what comes next:
 *
 *   oxbow_uplink_next(u, &n)
 *     SLEEP    no connection wanted now; close one that is open
 *     CONNECT  open a connection to n.host : n.port, TLS on top; tell the outcome with
 *              oxbow_uplink_connected, or oxbow_uplink_closed with why
 *     STAY     a connection is there and wanted, or is being made
 *     CLOSE    send what oxbow_uplink_output still has if that goes at once, end the connection,
 *              then call oxbow_uplink_closed (why: OXBOW_ECANCELED)
 *     DONE     a check is finished, or the session is: close the connection, stop the loop
 *   bytes from the peer (after TLS)   -> oxbow_uplink_feed
 *   bytes to the peer                 <- oxbow_uplink_output; what was taken -> oxbow_uplink_sent
 *   at n.wake_us (monotonic), when the store's durable descriptor (oxbow_durable_fd) is readable,
 *   or when the wake function ran     -> oxbow_uplink_tick
 *   the connection ended by itself    -> oxbow_uplink_closed
 *
 * After feed, tick, connected, closed and sent the driver asks next and output again. All these
 * are called by one thread. oxbow_uplink_command, oxbow_uplink_drain, oxbow_uplink_status and
 * oxbow_uplink_forward_status may be called by any thread, until oxbow_uplink_close begins.
 *
 * One session per store. It begins transactions of its own, so the thread that drives it must not
 * hold one. What is promised: every forward's entries reach the target in order, each once in
 * effect, however often connection, target and this process fail; nothing is sent before it is
 * durable here; nothing is given up.
 */
#ifndef OXBOW_UPLINK_H
#define OXBOW_UPLINK_H

#include "oxbow/error.h"
#include "oxbow/forward.h"
#include "oxbow/port.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_UPLINK_TARGETS_MAX 8u
#define OXBOW_UPLINK_HOST_MAX    255u
#define OXBOW_UPLINK_RATE_MIN    64u  /* bytes a second that a cap may be set to, at least */
#define OXBOW_UPLINK_SECRET_MAX  511u /* bytes of a user name or password */

struct oxbow_uplink; /* a session */

/* ---- configuration ---- */

/* What the link costs, as one word. The preset fills every field of the configuration that is 0:
 *
 *                      lan        cellular   satellite
 *   linger             5 ms       250 ms     2 s
 *   batch              32 KiB     32 KiB     16 KiB
 *   window, at most    1 MiB      256 KiB    256 KiB
 *   ping when idle     5 min      10 min     never
 *   TCP keepalive idle 60 s       240 s      never
 *   TCP user timeout   60 s       60 s       120 s
 *   backoff cap        120 s      300 s      300 s
 */
enum oxbow_uplink_link { OXBOW_LINK_LAN = 0, OXBOW_LINK_CELLULAR = 1, OXBOW_LINK_SATELLITE = 2 };

/* How a batch is made atomic and guarded by the target's position. */
enum oxbow_uplink_mode {
    OXBOW_UPLINK_AUTO = 0,     /* SCRIPT, or MULTI when the target forbids scripts */
    OXBOW_UPLINK_SCRIPT = 1,   /* EVALSHA, EVAL once when the target does not know the script */
    OXBOW_UPLINK_FUNCTION = 2, /* FCALL of `function`, which an administrator has loaded */
    OXBOW_UPLINK_MULTI = 3     /* WATCH, read the position, MULTI..EXEC: one batch at a time */
};

struct oxbow_uplink_target {
    const char *host; /* name, address, or "unix:/path" */
    uint16_t port;    /* 0: 6379 */
};

/* Text buffers of OXBOW_UPLINK_SECRET_MAX + 1 bytes each, to be filled with zero-ended strings;
 * wiped after use. */
struct oxbow_uplink_secret {
    char user[OXBOW_UPLINK_SECRET_MAX + 1];
    char password[OXBOW_UPLINK_SECRET_MAX + 1];
};

/* All zero means default, but for `targets`. Copied by oxbow_uplink_open. */
struct oxbow_uplink_config {
    const struct oxbow_uplink_target *targets; /* tried in turn, starting with a random one */
    size_t target_count;                       /* 1 to OXBOW_UPLINK_TARGETS_MAX */
    uint32_t database;                         /* at the target; 0 to 15 */
    const char *user;                          /* ACL user; NULL: the default user */
    const char *password;                      /* NULL: none, e.g. the certificate suffices */
    /* Asked at each connect instead of the two above, so that secrets can be renewed. */
    enum oxbow_err (*secrets)(void *ctx, struct oxbow_uplink_secret *out);
    void *secrets_ctx;
    enum oxbow_uplink_link link;
    enum oxbow_uplink_mode mode;
    const char *function;        /* with FUNCTION; NULL: "oxbow_batch" */
    uint32_t window_bytes_max;   /* unanswered at most; 32 KiB to 8 MiB */
    uint32_t batch_bytes;        /* 1 KiB to 256 KiB */
    uint32_t linger_ms;          /* 1 to 60,000 */
    uint32_t backoff_base_ms;    /* 0: 2000 */
    uint32_t backoff_cap_ms;     /* 1,000 to 3,600,000 */
    uint32_t first_spread_ms;    /* the first attempt after a connection that had lasted, and after
                                    start, comes within this time, evenly spread over a fleet;
                                    0: 30,000; 1: at once */
    uint32_t connect_timeout_ms; /* name, TCP and TLS; 0: 30,000 */
    uint32_t handshake_timeout_ms; /* from then to the first position; 0: 30,000 */
    uint32_t answer_timeout_ms;    /* of the oldest unanswered request; stretched on slow links to
                                      8 x round trip + bytes / rate; 0: 30,000 */
    uint32_t ping_ms;              /* UINT32_MAX: never */
    uint32_t confirm_ms;           /* WAIT and WAITAOF at most so often; 0: 2000 */
    uint32_t persist_ms;           /* cursors are written at most so often; 0: 1000 */
    uint32_t rate_bytes_s_max;     /* a cap on batches, in bytes a second as they are handed to TLS,
                                      over all forwards and connections; urgent forwards go first
                                      within it. Batches are of at most a second's worth then. At
                                      least OXBOW_UPLINK_RATE_MIN; 0: as fast as link and target go */
    uint32_t owner;                /* 0: check the owner key; 1: do not (targets that forbid it) */
    bool start_paused;             /* as after OXBOW_UPLINK_PAUSE */
    bool check;                    /* a check instead of a session: see "checks" below */
};

/* Makes a session. The store must have an identity (oxbow_identity_set) and stay open for longer
 * than the session. OXBOW_EINVAL; OXBOW_ENOENT: no identity; OXBOW_ENOMEM; OXBOW_EFAILED. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_uplink_open(struct oxbow *db,
                                                  const struct oxbow_uplink_config *config,
                                                  struct oxbow_uplink **out);
/* Persists the cursors and frees the session. Waiters in oxbow_uplink_drain get OXBOW_ECLOSED and
 * must have returned before this does. NULL is fine. */
void oxbow_uplink_close(struct oxbow_uplink *u);

/* ---- the driver's side ---- */

enum oxbow_uplink_action {
    OXBOW_UPLINK_SLEEP,
    OXBOW_UPLINK_CONNECT,
    OXBOW_UPLINK_STAY,
    OXBOW_UPLINK_CLOSE,
    OXBOW_UPLINK_DONE
};

struct oxbow_uplink_next {
    enum oxbow_uplink_action action;
    const char *host; /* with CONNECT; borrowed until the next call on the session */
    uint16_t port;
    uint64_t wake_us;          /* monotonic; UINT64_MAX: only when something happens */
    uint32_t user_timeout_ms;  /* with CONNECT: TCP_USER_TIMEOUT; 0: leave */
    uint32_t keepalive_idle_s; /* with CONNECT; 0: no keepalive */
    uint64_t reload;           /* has grown since the last time: read certificates again before the
                                  next connection (OXBOW_UPLINK_RELOAD) */
};

void oxbow_uplink_next(struct oxbow_uplink *u, struct oxbow_uplink_next *out);
/* The connection stands, TLS included. `about` describes it for the status ("TLSv1.3 ...", may be
 * NULL). */
void oxbow_uplink_connected(struct oxbow_uplink *u, const char *about);
/* Bytes from the target, any number, all are taken. They may be garbage: then next says CLOSE. */
void oxbow_uplink_feed(struct oxbow_uplink *u, const void *data, size_t len);
/* What is to be sent; len 0: nothing. Borrowed until the next call on the session. */
void oxbow_uplink_output(struct oxbow_uplink *u, struct oxbow_bytes *out);
/* The first `len` bytes of it were taken by the connection. */
void oxbow_uplink_sent(struct oxbow_uplink *u, size_t len);
void oxbow_uplink_tick(struct oxbow_uplink *u);
/* There is no connection (any more). `why`: OXBOW_ECANCELED when the session wanted it;
 * OXBOW_EPIPE reset or end of stream; OXBOW_ETIMEDOUT; OXBOW_ENOENT name not found; OXBOW_ECERT
 * certificates, ours or theirs; OXBOW_EPARSE TLS failed otherwise; OXBOW_ESYS anything else.
 * `text` says it in words for the operator; may be NULL. */
void oxbow_uplink_closed(struct oxbow_uplink *u, enum oxbow_err why, const char *text);
/* `wake` is called from other threads when a command wants the driver to call tick. It must be
 * short, and must not call oxbow. Set before the loop begins. */
void oxbow_uplink_set_wake(struct oxbow_uplink *u, void (*wake)(void *ctx), void *ctx);
/* Counts bytes on the wire below TLS, for the status. Optional. */
void oxbow_uplink_count_wire(struct oxbow_uplink *u, uint64_t out, uint64_t in);

/* ---- commands, from any thread ---- */

enum oxbow_uplink_command {
    OXBOW_UPLINK_UP,     /* there is a link now: try at once, backoff forgotten */
    OXBOW_UPLINK_DOWN,   /* there is none: close, and do not try until UP */
    OXBOW_UPLINK_PAUSE,  /* send nothing more; what is on its way is answered; stay connected */
    OXBOW_UPLINK_RESUME, /* go on; forwards that had stopped are tried again */
    OXBOW_UPLINK_FLUSH,  /* do not linger: send what is there */
    OXBOW_UPLINK_RELOAD, /* certificates and secrets are read again for a new connection, which is
                            made when the present one is quiet */
    OXBOW_UPLINK_ADOPT,  /* take over the target: overwrite the owner key, and start every forward
                            that is BEYOND at the target's position (oxbow_forward_adopt) */
    OXBOW_UPLINK_STOP    /* close, then next says DONE */
};
/* Takes effect at the driver's next tick, which it asks for. */
void oxbow_uplink_command(struct oxbow_uplink *u, enum oxbow_uplink_command command);

/* Waits until what was committed before the call and is selected by `forward` (NULL: by every
 * forward) is confirmed at the target. Does not linger meanwhile, and starts a sync. Not to be
 * called by the thread that drives the session. timeout_ms negative: no limit.
 * OXBOW_ETIMEDOUT, OXBOW_ECLOSED, OXBOW_ENOENT (no such forward). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_uplink_drain(struct oxbow_uplink *u, const char *forward,
                                                   int64_t timeout_ms);

/* ---- status, from any thread ---- */

enum oxbow_uplink_state {
    OXBOW_UPLINK_IS_DOWN,       /* told to be */
    OXBOW_UPLINK_IS_WAITING,    /* for the next attempt */
    OXBOW_UPLINK_IS_CONNECTING, /* name, TCP, TLS */
    OXBOW_UPLINK_IS_GREETING,   /* HELLO, role, owner, positions */
    OXBOW_UPLINK_IS_UP,
    OXBOW_UPLINK_IS_CLOSING,
    OXBOW_UPLINK_IS_DONE
};

/* Kinds of trouble, and what the session does about each: docs/UPLINK.md. */
enum oxbow_uplink_trouble {
    OXBOW_TROUBLE_NONE = 0,
    OXBOW_TROUBLE_LINK,        /* connection lost, refused, timed out, name not found */
    OXBOW_TROUBLE_TLS,         /* certificates, names, protocol of TLS */
    OXBOW_TROUBLE_ROUTE,       /* MOVED, ASK */
    OXBOW_TROUBLE_BUSY,        /* TRYAGAIN, CLUSTERDOWN, LOADING, MASTERDOWN, BUSY */
    OXBOW_TROUBLE_NOT_MASTER,  /* READONLY, or a replica's role */
    OXBOW_TROUBLE_FULL,        /* OOM, MISCONF, NOREPLICAS */
    OXBOW_TROUBLE_CREDENTIALS, /* NOAUTH, WRONGPASS */
    OXBOW_TROUBLE_ACL,         /* NOPERM */
    OXBOW_TROUBLE_SCRIPT,      /* NOSCRIPT, function not found */
    OXBOW_TROUBLE_KEY,         /* WRONGTYPE, CROSSSLOT, a batch that the guard calls malformed */
    OXBOW_TROUBLE_REFUSED,     /* DENIED, too many clients */
    OXBOW_TROUBLE_PROTOCOL,    /* not RESP, an unknown error, a reply that fits no request */
    OXBOW_TROUBLE_OWNER,       /* another store owns this device's keys */
    OXBOW_TROUBLE_FOREIGN,     /* somebody else writes to the target key */
    OXBOW_TROUBLE_BEYOND,      /* the target is ahead of this store */
    OXBOW_TROUBLE_STORE,       /* the local store failed */
    OXBOW_TROUBLE_COUNT
};
/* "link", "tls", ...; "?" outside. */
const char *oxbow_uplink_trouble_name(enum oxbow_uplink_trouble trouble);
const char *oxbow_uplink_state_name(enum oxbow_uplink_state state);

struct oxbow_uplink_status {
    enum oxbow_uplink_state state;
    bool paused;
    bool in_memory;   /* the store's device has failed: what is sent now is not durable here */
    bool stand_in;    /* it could not be opened: streams go to keys of their own, lists wait */
    bool device_back; /* and can be now: oxbow_stat.device_back */
    char target[OXBOW_UPLINK_HOST_MAX + 8]; /* host:port or unix:path, the present or last */
    char about[96];                         /* what the driver said of it */
    char server[32];                        /* version of the target, "" unknown */
    enum oxbow_uplink_trouble trouble;      /* the newest, of the connection or a forward */
    char trouble_text[192];
    uint64_t trouble_age_ms;
    uint64_t connected_ms; /* how long the present connection has stood; 0: none */
    uint64_t next_try_ms;  /* until the next attempt, when waiting */
    uint32_t rtt_us;       /* smoothed; 0: unknown */
    uint32_t rtt_min_us;
    uint64_t rate_bytes_s; /* best delivery rate of the last seconds */
    uint64_t window_bytes;
    uint64_t inflight_bytes;
    uint64_t pace_ms;         /* until the cap lets the next batch go; 0: now, or there is no cap */
    int64_t skew_ms;          /* target's clock minus ours; INT64_MIN: unknown */
    uint64_t target_clock_ms; /* what it said last, for a clock floor; 0: unknown */
    /* counted since open */
    uint64_t attempts;
    uint64_t connects; /* that came to IS_UP */
    uint64_t batches;  /* accepted */
    uint64_t entries;
    uint64_t payload_bytes; /* of accepted entries */
    uint64_t bytes_out;     /* RESP, before TLS */
    uint64_t bytes_in;
    uint64_t wire_out; /* below TLS, when the driver counts them */
    uint64_t wire_in;
    uint64_t lost_replies;                 /* batches found applied although no reply had come */
    uint64_t refused[OXBOW_TROUBLE_COUNT]; /* batches refused, by trouble */
    uint64_t rewinds;
    uint64_t gaps;
    uint64_t confirms;     /* WAIT and WAITAOF that satisfied a forward */
    uint64_t confirms_low; /* that named fewer copies than asked for */
};
void oxbow_uplink_status(struct oxbow_uplink *u, struct oxbow_uplink_status *out);

enum oxbow_uplink_forward_state {
    OXBOW_UPLINK_FORWARD_NEW,    /* position not read yet */
    OXBOW_UPLINK_FORWARD_READY,  /* sending, or nothing to send */
    OXBOW_UPLINK_FORWARD_RESYNC, /* waiting for answers, then for the target's position */
    OXBOW_UPLINK_FORWARD_WAIT,   /* refused: tries again with one batch */
    OXBOW_UPLINK_FORWARD_STOPPED /* needs an operator; tried again at each connect and RESUME */
};
/* "new", "ready", "resync", "wait" or "stopped"; "?" outside. */
const char *oxbow_uplink_forward_state_name(enum oxbow_uplink_forward_state state);
struct oxbow_uplink_forward_status {
    enum oxbow_uplink_forward_state state;
    enum oxbow_uplink_trouble trouble;
    char text[192];
    struct oxbow_id accepted; /* by the target, as known in memory: at or above `sent` on disk */
    struct oxbow_id confirmed;
    uint64_t inflight_bytes;
    uint64_t inflight_batches;
    uint64_t entries; /* accepted since open */
    uint64_t retry_ms;
    bool paused; /* oxbow_uplink_forward_pause */
};
/* OXBOW_ENOENT: the session knows no such forward (yet). */
OXBOW_MUST_CHECK enum oxbow_err
oxbow_uplink_forward_status(struct oxbow_uplink *u, const char *forward,
                            struct oxbow_uplink_forward_status *out);

/* Has the session send nothing more of the forward with this id (oxbow_forward.id), or go on; what is
 * on its way is answered and counts. The others go on, the backlog stays and grows. It lasts until it is
 * taken back, and for the session at most: a new one pauses nothing. RESUME of the whole session does not take it
 * back. Any thread. OXBOW_ERANGE: OXBOW_FORWARD_COUNT_MAX are paused. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_uplink_forward_pause(struct oxbow_uplink *u, uint32_t forward,
                                                           bool paused);

/* The session for who must not be linked to it, such as the server of resp.h: the functions of this
 * header. */
struct oxbow_uplink_ops {
    void (*status)(struct oxbow_uplink *u, struct oxbow_uplink_status *out);
    enum oxbow_err (*forward_status)(struct oxbow_uplink *u, const char *forward,
                                     struct oxbow_uplink_forward_status *out);
    enum oxbow_err (*forward_pause)(struct oxbow_uplink *u, uint32_t forward, bool paused);
    void (*command)(struct oxbow_uplink *u, enum oxbow_uplink_command command);
    const char *(*state_name)(enum oxbow_uplink_state state);
    const char *(*forward_state_name)(enum oxbow_uplink_forward_state state);
    const char *(*trouble_name)(enum oxbow_uplink_trouble trouble);
};
const struct oxbow_uplink_ops *oxbow_uplink_ops(void);

/* ---- checks ---- */

enum oxbow_uplink_level {
    OXBOW_CHECK_GOOD,
    OXBOW_CHECK_UNKNOWN,
    OXBOW_CHECK_WARN,
    OXBOW_CHECK_BAD
};

struct oxbow_uplink_finding {
    enum oxbow_uplink_level level;
    char what[24];  /* "connect" (name, TCP, TLS), "login", "version", "role", "clock", "eviction",
                       "owner", "durability", "default user", "command <NAME>", "key <forward>" */
    char text[232]; /* what is the matter, and what to do about it */
};
#define OXBOW_UPLINK_FINDINGS_MAX 64u

/* With `check` in its configuration a session connects once, looks at all that the forwards of the
 * store will need, changes nothing at the target and nothing here, and is DONE. The driver is the
 * same. Then this gives the findings, in the order found; borrowed until close. Driver's thread. */
void oxbow_uplink_findings(struct oxbow_uplink *u, const struct oxbow_uplink_finding **findings,
                           size_t *count);

/* Writes the ACL SETUSER line with the least rights that this device's session needs for its
 * present forwards, zero-ended, into out; with OXBOW_FAILURE_MEMORY also those of stand-ins for the
 * keys that they send to. The password is left as "#<sha256>". `user` NULL: the
 * device's name. A blank, a quote or a zero in a key, which no such line can say, is "?" there, any
 * byte. OXBOW_ETOOBIG: does not fit; OXBOW_ENOENT: no identity. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_uplink_acl_line(struct oxbow *db, const char *user,
                                                      enum oxbow_uplink_mode mode, char *out,
                                                      size_t cap);

/* The text of the guard, the Lua script that every batch runs through, for those who load it as a
 * function or want to read it. Static. */
const char *oxbow_uplink_guard_script(void);

#ifdef __cplusplus
}
#endif

#endif
