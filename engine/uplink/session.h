/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session's parts as its own files see them. Everything here is called with the session's
 * mutex held and `now_us` set, unless it says otherwise.
 *
 *   session.c              life, the driver's calls, the order of work in one turn
 *   session_settings.c     configuration: presets, limits, copies
 *   session_connection.c   states of the connection, when to try again
 *   session_greeting.c     from connected to up: login, role, owner, clock
 *   session_flow.c         one forward in the session: what state, whose turn
 *   session_batch.c        what is written for a flow: guarded batches, MULTI, positions
 *   session_answer.c       replies: whom they belong to, what errors do
 *   session_cursor.c       positions in the store: resync, sent, confirmed, trim
 *   session_confirm.c      WAIT and WAITAOF
 *   session_control.c      commands, drain and status from other threads
 *   check.c                the check of a target; check_acl.c: the line of rights
 */
#ifndef OXBOW_UPLINK_SESSION_H
#define OXBOW_UPLINK_SESSION_H

#include "engine/base/buf.h"
#include "engine/base/id.h"
#include "engine/uplink/backoff.h"
#include "engine/uplink/command.h"
#include "engine/uplink/pace.h"
#include "engine/uplink/reply.h"
#include "engine/uplink/trouble.h"
#include "engine/uplink/window.h"
#include "oxbow/oxbow.h"
#include "oxbow/uplink.h"

#define SESSION_REQUESTS_MAX 256u
#define SESSION_OUT_MAX      ((size_t)288 << 20) /* one entry of the largest size, in RESP */
#define SESSION_OUT_KEEP     ((size_t)1 << 20)   /* a longer buffer is given back once empty */
#define SESSION_OUT_AHEAD    16384u              /* unsent bytes that put off the next batch */
#define SESSION_USEFUL_US    30000000u /* a connection that lasted so long resets the backoff */
#define SESSION_BATCH_MIN    1024u
#define SESSION_BATCH_TRUST  16u /* answered batches that double the limit again */
#define SESSION_REDIRECTS    5u  /* in a row */
#define FLOW_TEXT_MAX        192u
#define BATCH_SYNC_US        1000000u /* the store is asked to sync what waits so long */
#define NEVER_US             UINT64_MAX

enum request_kind {
    REQUEST_HELLO,
    REQUEST_AUTH,
    REQUEST_ROLE,
    REQUEST_SELECT,
    REQUEST_OWNER_GET,
    REQUEST_OWNER_SET,
    REQUEST_TIME,
    REQUEST_READ,   /* a flow's position, through the guard or by itself */
    REQUEST_LOOK,   /* WATCH and the position, before MULTI: two replies */
    REQUEST_BATCH,  /* through the guard */
    REQUEST_EXEC,   /* MULTI, the writes, EXEC: all their replies */
    REQUEST_IGNORE, /* ASKING, UNWATCH */
    REQUEST_WAIT,
    REQUEST_WAITAOF,
    REQUEST_PING,
    REQUEST_PROBE /* of a check */
};

struct request {
    enum request_kind kind;
    uint32_t flow;    /* index */
    uint32_t replies; /* still to come */
    uint32_t entries;
    uint32_t gaps;
    uint64_t payload;
    struct oxbow_id last; /* the position when applied */
    struct window_mark mark;
    uint64_t sent_us; /* written; of the oldest one: when the driver last took some of it */
    uint64_t out_end; /* where it ends in all that was ever sent */
    const struct trouble_row *row; /* EXEC: of the first command that was not queued */
    enum oxbow_uplink_mode mode;   /* in which it was sent */
    uint32_t probe;                /* PROBE: which */
};

/* One forward in the session. */
struct flow {
    struct oxbow_forward f;
    char *cursor_key; /* lists; SESSION's allocator */
    size_t cursor_len;
    enum oxbow_uplink_forward_state state;
    enum oxbow_uplink_trouble trouble;
    char text[FLOW_TEXT_MAX];
    struct oxbow_id prev;     /* the target's position once all in flight is applied */
    struct oxbow_id next;     /* fetch goes on after this; prev, but after a deleted key */
    struct oxbow_id accepted; /* by replies */
    struct oxbow_id confirmed;
    struct oxbow_id stored_sent; /* what the store was told */
    struct oxbow_id stored_confirmed;
    struct oxbow_id durable_end; /* everything up to here is durable */
    struct oxbow_id seen_end;    /* as soon as the store is durable to seen_lsn, so is this */
    uint64_t seen_lsn;           /* 0: none */
    uint64_t seen_us;
    uint64_t idle_lsn;  /* the durable LSN at which nothing was found; 0: none */
    uint64_t linger_us; /* a partial batch waits until then; 0: none */
    uint64_t retry_us;
    struct backoff retry;
    uint64_t inflight_bytes;
    int64_t deficit;
    uint64_t entries;
    uint64_t confirm_us;
    uint64_t trim_us;
    uint32_t noscripts;
    uint32_t inflight; /* batches */
    bool gone;         /* no longer in the store */
    bool stored_more;  /* confirmed has elements left to pop */
    bool probe;        /* one batch at a time until one is accepted */
    bool reading;      /* a READ or LOOK is on its way */
    bool waiting;      /* a WAIT is on its way */
    bool trim_more;
};

/* What closing is followed by. */
struct session_plan {
    bool at_once;
    bool next_target;
    bool useful;      /* the connection had stood long enough; set by session_connection.c */
    uint32_t base_ms; /* 0: the connection's own backoff */
    uint32_t cap_ms;
};

struct session_check {
    bool on;
    bool no_aof; /* the target says that it keeps no append-only file */
    struct oxbow_uplink_finding findings[OXBOW_UPLINK_FINDINGS_MAX];
    size_t count;
};

struct oxbow_uplink {
    struct oxbow *db;
    const struct oxbow_port *port;
    struct oxbow_uplink_config config; /* defaults filled in; texts owned */
    struct oxbow_uplink_target targets[OXBOW_UPLINK_TARGETS_MAX];
    struct oxbow_identity identity;

    /* connection */
    uint64_t now_us;
    uint64_t run_us;   /* of the last session_run */
    uint64_t state_us; /* since when it is in this state */
    uint64_t try_us;
    uint64_t greet_retry_us;
    uint64_t last_in_us;
    uint64_t batch_limit;     /* bytes; halved when an answer does not come in time */
    uint64_t batches_in_time; /* since then */
    size_t target;            /* index */
    struct buf out;
    size_t out_pos; /* taken by the driver */
    struct reply_parser parser;
    struct request requests[SESSION_REQUESTS_MAX];
    struct window window;
    struct backoff backoff;

    /* sending */
    struct flow *flows;
    size_t flow_count, flow_cap;
    uint64_t revision; /* of the store's forwards, as loaded */
    size_t turn;
    struct pace pace;                             /* of config.rate_bytes_s_max */
    uint64_t persist_us;                          /* not before; NEVER_US: nothing to persist */
    uint32_t paused_ids[OXBOW_FORWARD_COUNT_MAX]; /* of forwards, by oxbow_uplink_forward_pause */
    size_t paused_count;
    uint64_t own_first, own_last; /* LSNs of the last writes in a row that were the session's */
    struct oxbow_result result;

    /* other threads */
    struct oxbow_mutex *mutex;
    struct oxbow_cond *changed;
    void (*wake)(void *ctx);
    void *wake_ctx;
    struct oxbow_uplink_status status;
    uint64_t trouble_us;
    uint64_t reload;
    struct session_check check;

    /* the small ones */
    enum oxbow_uplink_state state;
    enum oxbow_uplink_mode mode; /* SCRIPT, FUNCTION or MULTI, now */
    uint32_t request_head, request_count;
    uint32_t redirects; /* in a row */
    uint32_t commands;  /* bits by enum oxbow_uplink_command */
    uint32_t drains;    /* waiters */
    struct session_plan plan;
    uint16_t redirect_port; /* 0: none */
    bool asking;            /* after ASK */
    bool has_secret;
    bool link_down, paused, stopping, reload_wanted, adopt; /* by commands */
    bool owner_known;                                       /* the owner key was seen to be ours */
    bool role_known;                                        /* and the login is done */
    bool wrote;       /* something on this connection: then WAIT means it */
    bool send_script; /* EVAL with the next guarded command */
    bool multi_busy;  /* LOOK or EXEC on its way */
    bool flush;       /* do not linger */
    bool flows_loaded;
    bool closing;
    bool stand_in; /* of the store: it sends streams alone, and has an owner key of its own */
    char function[64];
    char owner_key[OXBOW_DEVICE_MAX + 40];
    char redirect_host[OXBOW_UPLINK_HOST_MAX + 1];
    struct oxbow_uplink_secret secret;
    char hosts[OXBOW_UPLINK_TARGETS_MAX][OXBOW_UPLINK_HOST_MAX + 1];
};

/* session_settings.c */
OXBOW_MUST_CHECK enum oxbow_err settings_init(struct oxbow_uplink *u,
                                              const struct oxbow_uplink_config *config);
uint32_t settings_user_timeout_ms(const struct oxbow_uplink *u);
uint32_t settings_keepalive_s(const struct oxbow_uplink *u);

/* session.c */
void session_run(struct oxbow_uplink *u); /* does what is due */
/* Adds a request for bytes that were just written to u->out; NULL when the table is full. */
struct request *session_expect(struct oxbow_uplink *u, enum request_kind kind, uint32_t replies);
/* Remembers trouble for the status and the log. */
void session_trouble(struct oxbow_uplink *u, enum oxbow_uplink_trouble trouble, const char *text);
void session_log(struct oxbow_uplink *u, enum oxbow_log_level level, const char *what,
                 const char *text);

/* session_connection.c */
void connection_set(struct oxbow_uplink *u, enum oxbow_uplink_state state);
/* Ends the connection: the driver is told to close it. */
void connection_fail(struct oxbow_uplink *u, enum oxbow_uplink_trouble trouble, const char *text,
                     struct session_plan plan);
/* As the row of an error reply says. */
void connection_fail_row(struct oxbow_uplink *u, const struct trouble_row *row, const char *text);
void connection_lost(struct oxbow_uplink *u, enum oxbow_err why, const char *text);
void connection_timers(struct oxbow_uplink *u);
void connection_next(struct oxbow_uplink *u, struct oxbow_uplink_next *out);
void connection_try_now(struct oxbow_uplink *u);

/* session_greeting.c */
void greeting_begin(struct oxbow_uplink *u);
void greeting_answer(struct oxbow_uplink *u, const struct request *q, const struct reply *r);
void greeting_run(struct oxbow_uplink *u); /* retries, and going up */

/* session_flow.c */
void flows_refresh(struct oxbow_uplink *u);
void flows_fini(struct oxbow_uplink *u);
void flows_disconnected(struct oxbow_uplink *u);
void flows_run(struct oxbow_uplink *u); /* positions to read, batches to send */
/* Asks for the positions of all flows that have none yet. */
void flows_read(struct oxbow_uplink *u);
void flows_retry_stopped(struct oxbow_uplink *u);
uint64_t flows_wake_us(const struct oxbow_uplink *u);
void flow_set(struct oxbow_uplink *u, struct flow *f, enum oxbow_uplink_forward_state state,
              enum oxbow_uplink_trouble trouble, const char *text);
/* By its name; NULL: none. */
struct flow *flow_find(struct oxbow_uplink *u, const char *name);
bool flow_paused(const struct oxbow_uplink *u, const struct flow *f);
OXBOW_MUST_CHECK enum oxbow_err flow_pause(struct oxbow_uplink *u, uint32_t id, bool paused);

/* session_batch.c */
enum offer { OFFER_SENT, OFFER_NOTHING, OFFER_BLOCKED };
enum offer batch_offer(struct oxbow_uplink *u, struct flow *f);
/* Writes the question for the target's position, without expecting an answer. */
OXBOW_MUST_CHECK enum oxbow_err batch_put_read(struct oxbow_uplink *u, struct flow *f);
void batch_read_position(struct oxbow_uplink *u, struct flow *f);
/* After LOOK has shown that the target is where it should be. */
void batch_multi(struct oxbow_uplink *u, struct flow *f);

/* session_answer.c */
void answer_feed(struct oxbow_uplink *u, const void *data, size_t len);

/* session_cursor.c */
void cursor_resync(struct oxbow_uplink *u, struct flow *f, struct oxbow_id target);
void cursor_persist(struct oxbow_uplink *u, bool all);
void cursor_moved(struct oxbow_uplink *u); /* something wants to be persisted */
/* The store gave an error: says so, closes the connection. */
void cursor_failed(struct oxbow_uplink *u, enum oxbow_err err, const char *what);

/* session_confirm.c */
void confirm_run(struct oxbow_uplink *u);
void confirm_answer(struct oxbow_uplink *u, const struct request *q, const struct reply *r);
uint64_t confirm_wake_us(const struct oxbow_uplink *u);
/* Takes what the target's reply alone confirms. */
void confirm_by_reply(struct oxbow_uplink *u, struct flow *f);

/* session_control.c */
void control_commands(struct oxbow_uplink *u);
void control_changed(struct oxbow_uplink *u);

/* check.c */
void check_begin(struct oxbow_uplink *u);
void check_answer(struct oxbow_uplink *u, const struct request *q, const struct reply *r);
void check_lost(struct oxbow_uplink *u, enum oxbow_uplink_trouble trouble, const char *text);
void check_tell(struct oxbow_uplink *u, enum oxbow_uplink_level level, const char *what,
                const char *text);

static inline struct session_plan plan_default(void)
{
    return (struct session_plan){.next_target = true};
}

static inline struct request *session_front(struct oxbow_uplink *u)
{
    return u->request_count == 0 ? NULL : &u->requests[u->request_head];
}

/* The earlier of the two, but for a time that the last run has seen pass: what is due and was not
 * done then waits for something else, such as an answer. */
static inline uint64_t wake_later(const struct oxbow_uplink *u, uint64_t wake, uint64_t at_us)
{
    return at_us > u->run_us && at_us < wake ? at_us : wake;
}

static inline uint64_t min_us(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
