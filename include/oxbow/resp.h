/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine behind the Redis protocol (RESP2 and RESP3), without sockets: bytes in, bytes out, a
 * time to wake at. port/uv puts connections around it (resp_uv.h), `oxbowd` a configuration.
 *
 * Semantics and error texts are those of Redis 7.0; docs/RESP.md has every command and what differs.
 *
 * One thread uses a server and its clients; the store may be used by others beside it. A turn:
 *
 *   for each connection with bytes:  oxbow_resp_client_room, read, oxbow_resp_client_fed
 *   a connection that has ended:     oxbow_resp_client_close, before the turn, so that nothing is
 *                                    taken for somebody who has gone
 *   oxbow_resp_turn                  carries out what has come, for all of them
 *   for each client that `ready` named: oxbow_resp_client_peek, write, oxbow_resp_client_sent
 *
 * Commands of one turn share transactions. What a client is given (replies, pushes, messages) can be
 * peeked at only when the state that it shows is as safe as the policy of store and database says; the loop
 * never waits for that: the store's descriptor (oxbow_durable_fd) becomes readable, and then
 * oxbow_resp_turn is to be called, as it is when the server's own descriptor is readable
 * (oxbow_resp_fd) or oxbow_resp_timeout_ms is over.
 */
#ifndef OXBOW_RESP_H
#define OXBOW_RESP_H

#include "oxbow/error.h"
#include "oxbow/group_options.h"
#include "oxbow/oxbow.h"
#include "oxbow/policy.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_RESP_DATABASES 16u

struct oxbow_resp;        /* a server */
struct oxbow_resp_client; /* one connection's side of it */
struct oxbow_scripting;   /* an interpreter for EVAL: oxbow_lua (lua.h) */
struct oxbow_uplink;      /* a session, and its functions: uplink.h */
struct oxbow_uplink_ops;

/* Where users are kept: Redis' aclfile. Called on the server's thread, within oxbow_resp_open and turns;
 * must outlive the server. */
struct oxbow_resp_users {
    const char *name; /* for complaints; NULL: users are kept nowhere */
    void *ctx;
    /* Hands all of the text to `take`, in as many parts as it likes; what `take` returns it passes on. */
    enum oxbow_err (*read)(void *ctx,
                           enum oxbow_err (*take)(void *to, const void *data, size_t len),
                           void *to);
    /* Replaces the text as a whole, and for good, or not at all. */
    enum oxbow_err (*write)(void *ctx, const void *text, size_t len);
};

#define OXBOW_RESP_WHY_MAX 1024u

/* What is wrong with the users, for an operator. */
struct oxbow_resp_why {
    char text[OXBOW_RESP_WHY_MAX];
};

#define OXBOW_RESP_HOST_MAX  127u  /* bytes of a name or address */
#define OXBOW_RESP_NAMES_MAX 1023u /* of all names of the master together */
/* What names of masters, and names and addresses of hosts, consist of. */
#define OXBOW_RESP_NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"
#define OXBOW_RESP_HOST_LETTERS OXBOW_RESP_NAME_LETTERS ":"

/* What connections with oxbow_resp_peer.sentinel are told: that there is one master, which is this
 * server, without replicas and other sentinels. All zero means default. */
struct oxbow_resp_sentinel {
    const char *names; /* under which it is known, separated by blanks; NULL: "mymaster" */
    const char *host;  /* where it is; NULL or empty: where the client has come to */
    uint16_t port;     /* likewise; 0: resp_config.port, or tls_port if that is 0 */
};

/* A setting by its name, as CONFIG GET and SET have it. */
struct oxbow_resp_setting {
    const char *name;
    const char *value;
};

/* What CONFIG REWRITE does. Called on the server's thread, within turns; must outlive the server. */
struct oxbow_resp_rewrite {
    void *ctx;
    /* Keeps what is set now, for good, or changes nothing and tells why: all settings that can be
     * changed, and the users as lines "user NAME RULE..." (none if there is a users_file; the default
     * user only if it differs from what requirepass makes of it). Borrowed. */
    bool (*write)(void *ctx, const struct oxbow_resp_setting *settings, uint32_t count,
                  const char *users, struct oxbow_resp_why *why);
};

/* Who may give DEBUG, which can keep everybody waiting: enable-debug-command. */
enum oxbow_resp_debug {
    OXBOW_RESP_DEBUG_NO = 0,
    OXBOW_RESP_DEBUG_LOCAL = 1, /* connections from this machine */
    OXBOW_RESP_DEBUG_YES = 2
};

/* What a queue whose name matches is given by the first command that adds to it, if it has no policy of
 * its own. In all databases; patterns are those of KEYS. The first rule that matches counts, and one that
 * sets nothing is an exception from those behind it. */
struct oxbow_resp_queue_rule {
    struct oxbow_bytes pattern;
    struct oxbow_policy policy;
};
/* The same for groups of which no option is set: when they are made, or else when they are read. One on
 * the rule's own dead letters is left out. */
struct oxbow_resp_group_rule {
    struct oxbow_bytes key; /* patterns */
    struct oxbow_bytes group;
    struct oxbow_group_options options;
};

/* All zero means default, but for `db`. Copied, the strings too. */
struct oxbow_resp_config {
    struct oxbow *db;     /* must outlive the server, unless `reopen` replaces it */
    const char *password; /* requirepass: the default user's; NULL or empty: none; up to 1023
                                 bytes */
    const char *users;    /* lines "user NAME RULE...", as ACL LIST gives them; NULL: none */
    struct oxbow_resp_users
        users_file;       /* read at the beginning: what it says of the default user stands
                                           before `password`; and by ACL LOAD. With `users` none */
    bool all_channels;    /* acl-pubsub-default allchannels */
    uint32_t acl_log_max; /* acllog-max-len; 0: 128; UINT32_MAX: none */
    bool protected_mode; /* as long as the default user is on and needs no password, nobody may come
                                 from beyond this machine */
    enum oxbow_resp_debug debug; /* and rights are asked for beside it */
    struct oxbow_resp_why *why;  /* of OXBOW_EINVAL and errors of users_file; NULL: nobody asks */
    uint32_t clients_max;        /* maxclients; 0: 10,000 */
    uint64_t query_bytes_max;    /* client-query-buffer-limit; 0: 1 GiB */
    uint64_t bulk_bytes_max;     /* proto-max-bulk-len; 0: 512 MiB */
    uint64_t reply_bytes_max;    /* what waits to be read by one client; beyond it the connection is
                                 closed; 0: 256 MiB */
    uint32_t timeout_s;          /* idle connections are closed after it; 0: never */
    uint16_t port;               /* for INFO: where it listens; 0: nowhere */
    uint16_t tls_port;           /* likewise, with TLS */
    uint16_t sentinel_port;      /* likewise, as a sentinel */
    struct oxbow_resp_sentinel sentinel;
    uint32_t pid;                              /* for INFO */
    const char *config_file;                   /* for INFO; NULL: none */
    struct oxbow_resp_rewrite rewrite;         /* `write` NULL: there is no file */
    const struct oxbow_resp_setting *settings; /* set at first, as by CONFIG SET */
    uint32_t setting_count;
    uint32_t told_count;
    /* What CONFIG GET tells beside the server's own settings, which stand before them, and CONFIG SET
     * refuses. Borrowed: they outlive the server. */
    const struct oxbow_resp_setting *told;
    /* Names that CONFIG SET takes without anything coming of it, in lower case, closed by NULL: those
     * that the program's file may have although they mean nothing here. Borrowed; NULL: none. */
    const char *const *without_meaning;
    const struct oxbow_scripting *scripting; /* NULL: EVAL and its like are refused */
    uint32_t script_ms_max;    /* a script that runs longer is ended, and has not happened:
                               lua-time-limit; 0: 5000; UINT32_MAX: never */
    uint64_t script_bytes_max; /* memory for all scripts and what they make; 0: 64 MiB */
    struct oxbow_uplink
        *uplink; /* that OXBOW and INFO speak of; outlives the server, is driven by its
                                    thread; NULL: there is none, and what needs one is refused */
    const struct oxbow_uplink_ops *uplink_ops;       /* oxbow_uplink_ops(); with `uplink` */
    const struct oxbow_resp_queue_rule *queue_rules; /* borrowed: they outlive the server */
    uint32_t queue_rule_count;
    uint32_t group_rule_count;
    const struct oxbow_resp_group_rule *group_rules; /* likewise */
    /* `client` has something to peek at that had nothing before, or is to be closed
     * (oxbow_resp_client_done). Called within oxbow_resp_turn, at most once a turn and client; it
     * may only note it. */
    void (*ready)(void *ctx, void *user);
    /* SHUTDOWN was sent, or there is no store any more: the program is to end. */
    void (*shutdown)(void *ctx);
    /* DEBUG RELOAD: closes the store and opens it again, on the same port; *db is the new one, `db` of this
     * configuration is gone. Called within a turn. The server's descriptor (oxbow_resp_fd) is another one after
     * that turn, and so is the store's. An error: there is no store; all connections are closed, `shutdown` is called,
     * and turns do nothing any more. NULL, or with an `uplink`, which works on the store too: refused. */
    enum oxbow_err (*reopen)(void *ctx, struct oxbow **db);
    void *ctx;
};

/* OXBOW_EINVAL (the users, `sentinel` and `settings` too; one of uplink and uplink_ops alone), OXBOW_ENOMEM, OXBOW_ENOTSUP (the port has no descriptors), errors of
 * oxbow_txn_begin and of users_file.read. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_resp_open(const struct oxbow_resp_config *config,
                                                struct oxbow_resp **out);
/* Closes what clients are left, and frees the server. Before oxbow_close of the store. */
void oxbow_resp_close(struct oxbow_resp *s);

/* Carries out what has come for all clients, wakes who waits, lets go of what is durable. Never waits
 * for the device but where the store has no room for changes (both memtables are full). */
void oxbow_resp_turn(struct oxbow_resp *s);
/* Readable when oxbow_resp_turn has something to do that no client and no commit of its own brought
 * about: entries that came due, were pushed by another thread or became visible again. */
int oxbow_resp_fd(const struct oxbow_resp *s);
/* In how many ms, at the latest, oxbow_resp_turn is to be called again; 0: at once; negative: when
 * there is reason to. */
int64_t oxbow_resp_timeout_ms(const struct oxbow_resp *s);

/* What a connection is like, for CLIENT LIST. Copied. */
struct oxbow_resp_peer {
    const char *addr;  /* "127.0.0.1:51234", "/run/oxbow.sock:0" */
    const char *laddr; /* this side */
    int fd;            /* for CLIENT LIST alone; -1: unknown */
    bool local;        /* a Unix socket or the loopback: protected mode lets it in */
    bool sentinel;     /* it is answered as by a sentinel: laddr tells where the master is */
};

/* OXBOW_EBUSY: clients_max are connected. OXBOW_EREADONLY: protected mode. OXBOW_ECLOSED: there is no store any more
 * (`reopen`). OXBOW_ENOMEM. What is to be
 * sent before the connection is closed then is oxbow_resp_refusal. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_resp_client_open(struct oxbow_resp *server,
                                                       const struct oxbow_resp_peer *peer,
                                                       void *user, struct oxbow_resp_client **out);
struct oxbow_bytes oxbow_resp_refusal(enum oxbow_err why);
/* The connection is gone: what the client waited for it does not get, what it watched is forgotten.
 * Not within oxbow_resp_turn. */
void oxbow_resp_client_close(struct oxbow_resp_client *c);

/* The peer has sent its last byte. What came before is carried out and answered; then, or at once if
 * nothing did, the client is done. One that waits for something is done at once and does not get it.
 * Not within oxbow_resp_turn. */
void oxbow_resp_client_ended(struct oxbow_resp_client *c);

/* Where to read to, at least `want` bytes if memory and the limits allow it. Borrowed until the next
 * call with this client. OXBOW_ENOMEM, OXBOW_ETOOBIG: the connection is to be closed. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_resp_client_room(struct oxbow_resp_client *c, size_t want,
                                                       uint8_t **buf, size_t *len);
/* So many bytes were read there. */
void oxbow_resp_client_fed(struct oxbow_resp_client *c, size_t len);
/* Whether to go on reading: not while replies pile up that the client does not read. It turns true
 * again by oxbow_resp_client_sent. */
bool oxbow_resp_client_wants(const struct oxbow_resp_client *c);
/* What may leave now; len 0: nothing. Borrowed until the next call with this client, or the next
 * turn. */
struct oxbow_bytes oxbow_resp_client_peek(struct oxbow_resp_client *c);
void oxbow_resp_client_sent(struct oxbow_resp_client *c, size_t len);
/* Whether the connection is to be closed, as soon as nothing is left to peek at and to become
 * durable: QUIT, a protocol error, CLIENT KILL, limits. */
bool oxbow_resp_client_done(const struct oxbow_resp_client *c);

#ifdef __cplusplus
}
#endif

#endif
