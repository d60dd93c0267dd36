/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's parts as its own files see them.
 *
 *   server.c          life, the turn, batches of commands in one transaction
 *   server_client.c   one connection: bytes in, bytes out, what may leave when
 *   server_output.c   what clients may leave unread
 *   server_sync.c     which databases are as safe as what
 *   server_cache.c    databases that are kept in memory, and what goes from them
 *   server_execute.c  from a request to its handler: checks, MULTI's queue, errors
 *   block.c           who waits for keys, and who watches them
 *   pause.c           commands that wait for a while: CLIENT PAUSE
 *   multi.c           MULTI, EXEC, WATCH
 *   server_expired.c  keys whose time is over
 *   server_reload.c   the store closed and opened again
 *   pubsub.c          channels and patterns
 *   tracking.c        who is told that what it has read has changed: CLIENT TRACKING
 *   script.c          EVAL and its like, and the commands that scripts call
 *   rules.c           what queues and groups are given by patterns of their names
 *   cmd_oxbow_backup.c  copies of the store, read by a thread
 *   cmd_durable.c     who waits for the device
 *   cmd_sentinel.c    the server as a sentinel that watches itself
 *   command.c         the table; cmd_*.c the families
 *
 * A batch is what shares a transaction: commands of one or many clients, one after the other. When
 * its commit fails nothing of it has happened: all its clients are put back to where they were when
 * it began, requests and replies, and carried out again with a transaction for each command, so that
 * only the one at fault gets the error. So what cannot be put back (the connection's own state,
 * messages to others) is never part of a batch: RESP_ALONE ends it first.
 */
#ifndef OXBOW_RESP_SERVER_H
#define OXBOW_RESP_SERVER_H

#include "engine/base/buf.h"
#include "engine/resp/acl.h"
#include "engine/resp/command.h"
#include "engine/resp/link.h"
#include "engine/resp/reader.h"
#include "engine/resp/reply.h"
#include "engine/resp/script.h"
#include "engine/resp/tracking.h"
#include "oxbow/cache.h"
#include "oxbow/resp.h"
#include "oxbow/wait.h"

#include <stdbool.h>

#define RESP_BATCH_MAX      256u         /* commands that share a transaction */
#define RESP_BATCH_BYTES    (256u << 10) /* of replies, likewise */
#define RESP_TURN_MAX       64u          /* commands of one client before others have their turn */
#define RESP_OUT_PAUSE      ((size_t)1 << 20) /* unread bytes beyond which no more is carried out */
#define RESP_GATES          4u
#define RESP_ADDR_MAX       128u
#define RESP_RUN_ID_LEN     40u
#define RESP_HOST_MAX       OXBOW_RESP_HOST_MAX
#define RESP_INTEREST_SLOTS 1024u
#define RESP_NEVER_US       UINT64_MAX

#define RESP_VERSION "7.0.15" /* whose semantics are served: clients choose what to send by it */

/* Bytes of output up to `upto` (counted since the connection began) may leave when `lsn` is
 * durable. */
struct resp_gate {
    uint64_t upto;
    uint64_t lsn;
};

/* A key that somebody waits for or watches. */
struct resp_interest {
    struct resp_interest *next; /* in its slot */
    struct link waiters;        /* in the order of arrival */
    struct link watchers;
    struct link touched; /* in server->touched: changed, and who waits was not tried yet */
    uint32_t database;
    uint32_t len;
    uint8_t name[];
};

/* One client's place in an interest's line. */
struct resp_place {
    struct link line;
    struct resp_interest *interest;
    struct oxbow_resp_client *client;
};

/* That a client watches a key. */
struct resp_watch {
    struct link line; /* struct resp_interest.watchers */
    struct link of_client;
    struct resp_interest *interest;
    struct oxbow_resp_client *client;
};

/* A blocked client's wait, until it is over. */
struct resp_block {
    bool on;
    bool served; /* in the batch that is under way */
    bool stream;
    struct resp_place *places;
    uint32_t place_count;
    const struct resp_command *row;
    struct buf args;          /* copies: see server_copy.c */
    struct oxbow_bytes *argv; /* into them */
    struct buf remembered;    /* arguments that are to read otherwise: le32 index, le32 length, and
                                 its bytes, of each */
    uint32_t count;
    uint32_t first; /* of the arguments that are keys */
    uint32_t key_count;
    uint32_t database;
    uint64_t until_us; /* RESP_NEVER_US: for ever */
    uint32_t heap;     /* position in server->deadlines, from 1; 0: not there */
    uint64_t mark;     /* of the output when it was served */
    struct oxbow_waiter *waiter;
    struct link waiting; /* in server->waiting */
    struct link served_link;
    uint32_t databases;   /* it was served in, a bit each */
    struct link settling; /* in server->settling: it waits for the device and for no keys */
};

struct resp_multi {
    bool on;
    bool broken; /* a command could not be queued: EXECABORT */
    bool dirty;  /* a watched key has changed */
    struct buf queue;
    uint32_t count;
    uint32_t database;   /* that what is queued next is for */
    uint32_t adds;       /* databases to which something queued may add, a bit each */
    bool changes;        /* something queued may change keys */
    bool writes;         /* something queued waits while writes do: pause.c */
    struct link watches; /* struct resp_watch.of_client */
};

/* A channel or a pattern that somebody is subscribed to, or a sharded channel: one of a space of its own, where
 * SPUBLISH publishes and no pattern reaches. */
struct resp_channel {
    struct resp_channel *next; /* in its slot */
    struct link subscribers;   /* struct resp_subscription.of_channel */
    struct link patterns;      /* in server->patterns, of patterns */
    uint32_t len;
    bool pattern;
    bool shard;
    bool sentinel; /* of those who ask for a sentinel: a space of its own, where nobody publishes */
    uint8_t name[];
};

struct resp_subscription {
    struct link of_channel;
    struct link of_client;
    struct resp_channel *channel;
    struct oxbow_resp_client *client;
};

/* Classes of clients as Redis has them, for what they may leave unread. */
enum resp_class { RESP_CLASS_NORMAL, RESP_CLASS_REPLICA, RESP_CLASS_PUBSUB, RESP_CLASSES };

/* Bytes, 0: no such limit; and for how many seconds a client may be above the soft one. */
struct resp_output_limit {
    uint64_t hard;
    uint64_t soft;
    uint64_t soft_s;
};

struct oxbow_resp_client {
    struct link all;
    struct link ready;
    struct link batch;
    struct link gated;
    struct link notice;                   /* `ready` of the configuration is to be called */
    struct link monitor;                  /* in server->monitors: it is shown what everybody does */
    struct link paused;                   /* in server->pause.waiters */
    struct oxbow_resp_client *next_by_id; /* in its slot of server->by_id */
    struct oxbow_resp *server;
    void *user;
    uint64_t id;
    char addr[RESP_ADDR_MAX];
    char laddr[RESP_ADDR_MAX];
    int fd;
    bool local;
    bool sentinel; /* it asks for a sentinel: cmd_sentinel.c */
    struct resp_reader in;
    struct resp_reply out;
    uint64_t free_upto; /* bytes that may leave, counted since the connection began */
    struct resp_gate gates[RESP_GATES];
    uint32_t gate_count;
    struct link over;      /* in server->over: above its soft limit */
    uint64_t over_us;      /* since when */
    uint64_t shown_lsn;    /* newest commit that it took part in, or was shown */
    uint64_t request;      /* number of the request on its way; one that comes again keeps it */
    size_t request_in;     /* where it begins */
    uint64_t over_time;    /* number of the request whose script was ended last; 0: none */
    uint64_t skipped;      /* number of the request that is not answered; 0: none (CLIENT REPLY) */
    uint64_t batch_begins; /* number of the first one in the batch */
    size_t batch_in;       /* where that begins */
    uint64_t batch_out;
    uint32_t batch_databases; /* that its commands in the batch were in, a bit each */
    bool batch_told;          /* it was told of others' commands in the batch */
    bool put_back;            /* by a batch that failed */
    bool stuck;               /* in server->stuck */
    struct acl_user *who;
    bool authenticated; /* as `who`, or it needed not */
    bool closing;       /* nothing more is carried out; closed when all has left */
    bool killed;        /* closed at once */
    bool silent;        /* no request is answered (CLIENT REPLY) */
    bool awaits;        /* counted among those whom the next sync is for */
    bool ended;    /* nothing more comes from the peer: closing when all that came is carried out */
    bool no_evict; /* CLIENT NO-EVICT: shown, and nothing more, for no client is evicted */
    bool lean;     /* its memory was given back since it did something */
    uint32_t database;
    struct buf name; /* of CLIENT SETNAME */
    struct buf lib_name;
    struct buf lib_version;
    uint64_t opened_us;
    uint64_t used_us; /* when it did something last */
    const struct resp_command *last;
    struct resp_multi multi;
    struct resp_block block;
    struct resp_tracking tracking;
    struct link subscriptions; /* struct resp_subscription.of_client */
    uint32_t channels;
    uint32_t patterns;
    uint32_t shards; /* sharded channels */
};

/* Keyspace notifications: which are wanted (notify-keyspace-events). */
#define RESP_NOTIFY_KEYSPACE 0x10000u
#define RESP_NOTIFY_KEYEVENT 0x20000u

struct resp_stats {
    uint64_t connections;
    uint64_t refused;
    uint64_t commands;
    uint64_t in_bytes;
    uint64_t out_bytes;
    uint64_t overcome; /* connections that were closed since they left too much unread */
};

/* What is noted of commands that took long: cmd_slowlog.c. */
struct resp_slow {
    struct link entries; /* the oldest first */
    uint64_t count;
    uint64_t count_max;
    uint64_t next_id;
    int64_t longer_us; /* noted from there on; below 0: nothing is */
};

#define RESP_LATENCY_EVENTS  2u
#define RESP_LATENCY_SAMPLES 160u

struct resp_latency_sample {
    uint64_t at_s;
    uint64_t ms;
};

struct resp_latency_event {
    struct resp_latency_sample samples[RESP_LATENCY_SAMPLES]; /* a ring */
    uint32_t next;
    uint32_t count;
    uint64_t worst_ms;
};

#define RESP_HISTOGRAM_STEPS 21u

/* How long a command's calls took: cmd_latency_histogram.c. */
struct resp_histogram {
    const struct resp_command *row;
    uint64_t calls;
    uint64_t steps[RESP_HISTOGRAM_STEPS];
};

/* cmd_latency.c */
struct resp_latency {
    uint64_t threshold_ms; /* 0: nothing is noted */
    struct resp_latency_event events[RESP_LATENCY_EVENTS];
    bool tracking;
    struct resp_histogram
        *histograms[RESP_COMMAND_SLOTS]; /* of commands that were given; else NULL */
};

/* A database's own policy, as it was said. */
struct resp_own_sync {
    enum oxbow_sync sync; /* OXBOW_SYNC_DEFAULT: the store's */
    uint32_t interval_ms; /* 0: the store's */
    bool said;
};

/* Databases that are kept in memory: server_cache.c. */
struct resp_cache {
    uint32_t databases; /* a bit each */
    struct oxbow_cache_limit limit;
    bool full; /* when room was made last they still took what they may */
    bool more; /* there is more to be removed, with the next turn */
};

/* CLIENT PAUSE: pause.c. What is stricter is greater. */
enum resp_pause_mode { RESP_PAUSE_NONE, RESP_PAUSE_WRITE, RESP_PAUSE_ALL };

struct resp_pause {
    enum resp_pause_mode mode;
    uint64_t until_us;
    struct link waiters; /* struct oxbow_resp_client.paused, in the order of arrival */
};

struct oxbow_resp {
    struct oxbow *db; /* NULL: it is closed, and did not open again: server_reload.c */
    const struct oxbow_port *port;
    struct oxbow_resp_config config;
    struct buf strings; /* of the configuration */
    char run_id[RESP_RUN_ID_LEN + 1];
    char sentinel_id[RESP_RUN_ID_LEN + 1];
    char announce_host[RESP_HOST_MAX + 1]; /* empty: where the client came to */
    uint16_t announce_port;                /* 0: where it listens */
    uint64_t opened_us;
    uint64_t now_us;
    struct resp_table table;
    struct acl acl;
    struct buf required; /* requirepass, as CONFIG GET gives it */
    struct link clients;
    struct oxbow_resp_client *by_id[RESP_INTEREST_SLOTS]; /* the same by their numbers */
    uint32_t client_count;
    uint64_t idle_us; /* when the idle are looked after; 0: nobody has done anything since */
    uint64_t next_id;
    struct resp_output_limit output[RESP_CLASSES];
    struct link over;     /* struct oxbow_resp_client.over */
    uint64_t over_due_us; /* when one of them is to be looked at */
    struct resp_own_sync own[OXBOW_RESP_DATABASES];
    struct resp_cache cache;
    struct resp_pause pause;
    struct resp_track track;
    const char *set_why; /* what is wrong with the value that CONFIG SET is given */
    struct link ready;
    struct link stuck; /* those that would be ready if there was room: server_room.c */
    uint64_t room_us;  /* when it is asked again all the same */
    struct link gated;
    struct link notice;
    struct resp_stats stats;
    struct link monitors; /* struct oxbow_resp_client.monitor */
    struct resp_slow slow;
    struct resp_latency latency;
    struct oxbow_result result; /* of whatever command is under way */

    /* scripts: script.h */
    struct resp_vm *vm;             /* NULL: nobody has wanted any */
    struct resp_script *script;     /* on its way; NULL: none */
    struct resp_reply script_reply; /* to what it called last */

    struct resp_reply unsaid; /* answers that nobody wants to hear */

    struct resp_backup *backup; /* NULL: none was begun: cmd_oxbow_backup.c */

    /* the batch */
    struct oxbow_txn *txn;
    uint64_t committed_lsn;   /* of the newest one that was committed */
    uint64_t unasked_lsn;     /* newest under `always` that no sync was asked for; 0: none */
    uint64_t losses;          /* on record in the store; UINT64_MAX: they cannot be read */
    uint64_t saved_s;         /* of the wall clock: everything was on the device then; LASTSAVE */
    uint32_t always;          /* databases under that policy, a bit each */
    uint32_t batch_databases; /* that the batch was in, likewise */
    uint32_t batched;         /* commands in it */
    struct oxbow_resp_client *current; /* whose command is on its way */
    bool browser_told;                 /* that a browser seems to be used to send commands */
    bool answered;   /* the batch of one command that ended last failed, and its client was told */
    uint32_t singly; /* so many commands are still to be carried out one to a transaction */
    struct link batch; /* clients that are in it */
    struct link served;

    /* who waits */
    struct resp_interest *interests[RESP_INTEREST_SLOTS];
    uint32_t interest_count;
    struct link touched;
    struct link waiting;  /* struct resp_block.waiting: for keys, in the order of arrival */
    struct link settling; /* struct resp_block.settling */
    bool serving;
    bool begun;        /* what is set now comes from clients */
    bool rules_told;   /* that a rule of the configuration could not be kept: rules.c */
    bool expired_kept; /* the store keeps the names of keys that expire */
    bool no_room;      /* the store has said so, and will tell when there is: server_room.c */
    bool unsaid_some;  /* there may be something in `unsaid` */
    uint32_t blocked;
    struct oxbow_resp_client **deadlines; /* a heap by block.until_us */
    uint32_t deadline_count;
    uint32_t deadline_cap;
    struct oxbow_wait_set *waits;

    /* channels */
    struct resp_channel *channels[RESP_INTEREST_SLOTS];
    uint32_t channel_count;
    uint32_t shard_count;
    struct link patterns; /* struct resp_channel.patterns */
    uint32_t pattern_count;
    uint32_t notify; /* RESP_NOTIFY_*, and a bit for each enum resp_event */
};

/* ---- server.c ---- */

const struct oxbow_alloc *resp_alloc(const struct oxbow_resp *s);
uint64_t resp_wall_ms(const struct oxbow_resp *s);
/* The batch's transaction, begun if there is none. The error is for the command that wanted it. */
OXBOW_MUST_CHECK enum oxbow_err resp_batch_txn(struct oxbow_resp *s, struct oxbow_resp_client *c);
/* Notes that the client takes part in the batch: from here on it can be put back. */
void resp_batch_join(struct oxbow_resp *s, struct oxbow_resp_client *c);
/* Commits the batch. OXBOW_OK also when there is none. On error all was put back, and is carried out
 * again singly; a command on its way that is part of it must be given up without a reply. */
OXBOW_MUST_CHECK enum oxbow_err resp_batch_end(struct oxbow_resp *s);
/* Notes in which databases the batch's transaction was since this was asked last; `c`: for whom, NULL: for
 * nobody of the batch. Gives them. */
uint32_t resp_batch_note(struct oxbow_resp *s, struct oxbow_resp_client *c);
/* A transaction of one's own beside batches: none may be under way. */
OXBOW_MUST_CHECK enum oxbow_err resp_txn_begin(struct oxbow_resp *s, uint32_t database,
                                               struct oxbow_txn **txn);
/* Commits it; what the client was given since may leave when `lsn` is durable; 0: at once. */
OXBOW_MUST_CHECK enum oxbow_err resp_txn_end(struct oxbow_resp *s, struct oxbow_txn *txn,
                                             uint64_t *lsn);

/* What the server has in the store for as long as that is open. */
OXBOW_MUST_CHECK enum oxbow_err resp_store_begin(struct oxbow_resp *s);
/* Counts the losses that it has on record: cmd_oxbow_losses.c. */
OXBOW_MUST_CHECK enum oxbow_err resp_losses_look(struct oxbow_resp *s);

/* ---- server_reload.c ---- */

/* Has the store closed and opened again, which config.reopen does. Outside of batches. An error: it is not on
 * the device what was committed, and nothing has happened. If it does not open, all connections are closed. */
OXBOW_MUST_CHECK enum oxbow_err resp_reload(struct oxbow_resp *s);

/* ---- server_users.c ---- */

#define RESP_VALUE_MAX 1024u /* of a setting as text */

/* The users that the configuration has. Errors of oxbow_resp_open. */
OXBOW_MUST_CHECK enum oxbow_err resp_users_begin(struct oxbow_resp *s);
/* Reads users_file again: the text of what is wrong, after "ERR ", in `why`. */
bool resp_users_load(struct oxbow_resp *s, struct acl_why *why);
/* Writes it. OXBOW_ENOMEM, OXBOW_ETOOBIG, errors of users_file.write. */
OXBOW_MUST_CHECK enum oxbow_err resp_users_save(struct oxbow_resp *s);
/* Closes the connections of users who are gone, and frees them. */
void resp_users_gone(struct oxbow_resp *s, struct link *old);
/* To be called when a user's rights have changed: closes connections that are subscribed to what it may
 * not hear any more, and has who need no password be no guests. */
void resp_users_changed(struct oxbow_resp *s, const struct acl_user *user);

/* Settings. */
void resp_get_requirepass(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_requirepass(struct oxbow_resp *s, struct oxbow_bytes value);
void resp_get_protected(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_protected(struct oxbow_resp *s, struct oxbow_bytes value);
void resp_get_aclfile(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
void resp_get_acllog(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_acllog(struct oxbow_resp *s, struct oxbow_bytes value);
void resp_get_acl_pubsub(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_acl_pubsub(struct oxbow_resp *s, struct oxbow_bytes value);

/* ---- server_expired.c ---- */

/* Tells of the keys that have expired since. Outside of batches. */
void resp_expired_tell(struct oxbow_resp *s);
/* Sets which notifications are wanted. False: there is no memory for that, and nothing has changed. */
bool resp_expired_watch(struct oxbow_resp *s, uint32_t notify);
/* The same of a store that was just opened, as things are set. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err resp_expired_again(struct oxbow_resp *s);
/* Has the store keep the names that expired only while somebody wants to know: is told, or tracks. False: there
 * is no memory for that. */
bool resp_expired_look(struct oxbow_resp *s);

/* ---- server_idle.c ---- */

/* Notes that the client has done something, or was given something: it may be idle later. */
void resp_idle_touch(struct oxbow_resp_client *c);
/* The time after which they are closed has changed. */
void resp_idle_again(struct oxbow_resp *s);
/* Looks after the idle once in a while: memory of connections that are quiet is given back, and they
 * are closed after the configuration's time. */
void resp_idle_turn(struct oxbow_resp *s);
/* When resp_idle_turn has something to do; RESP_NEVER_US: it has not. */
uint64_t resp_idle_due_us(const struct oxbow_resp *s);

/* ---- server_sync.c ---- */

#define RESP_OWN_SYNC_WORDS (4u * OXBOW_RESP_DATABASES)

/* Asks the store for which databases replies wait for the device. */
void resp_sync_look(struct oxbow_resp *s);
/* Gives a store that was just opened the policies that are set, and `sync` for all other databases. */
OXBOW_MUST_CHECK enum oxbow_err resp_sync_again(struct oxbow_resp *s, enum oxbow_sync sync);
/* The policy in words; the length that they have. */
size_t resp_own_sync_text(const struct resp_own_sync *own, char *out, size_t len);
/* Settings. */
void resp_get_sync(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_sync(struct oxbow_resp *s, struct oxbow_bytes value);
void resp_get_own_sync(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_own_sync(struct oxbow_resp *s, struct oxbow_bytes value);
/* Databases have those policies again that they had. */
void resp_own_sync_back(struct oxbow_resp *s, const struct resp_own_sync own[OXBOW_RESP_DATABASES]);

/* ---- server_room.c ---- */

/* Whether a transaction can begin without waiting for the device. */
bool resp_room(struct oxbow_resp *s);
/* The client's next request waits until one can. */
void resp_room_wait(struct oxbow_resp_client *c);
/* Lets them go on if so. */
void resp_room_turn(struct oxbow_resp *s);
uint64_t resp_room_due_us(const struct oxbow_resp *s);

/* ---- server_cache.c ---- */

/* Asks the store which databases are kept in memory, and how much they may take. */
OXBOW_MUST_CHECK enum oxbow_err resp_cache_look(struct oxbow_resp *s);
/* Whether the database is kept in memory. */
bool resp_cache_has(const struct oxbow_resp *s, uint32_t database);
/* To be called before a command is carried out, in its transaction: has keys go where they must.
 * OXBOW_EQUOTA: there is no room for what it may add. */
OXBOW_MUST_CHECK enum oxbow_err resp_cache_before(struct resp_call *call);
/* The same for what the client has queued, in a transaction of its own: no batch may be under way. */
OXBOW_MUST_CHECK enum oxbow_err resp_cache_before_exec(struct oxbow_resp_client *c);
/* To be called in EXEC's own transaction then: nothing goes. */
OXBOW_MUST_CHECK enum oxbow_err resp_cache_exec(struct oxbow_resp_client *c);
/* Notes what a command that is queued may do. */
void resp_cache_queued(struct oxbow_resp_client *c, const struct resp_call *call);
/* Whether a script may not add to the client's database: there was no room when it began. */
bool resp_cache_refuses(const struct oxbow_resp *s, const struct oxbow_resp_client *c);
/* Has further keys go if there are any that must. Outside of batches. */
void resp_cache_turn(struct oxbow_resp *s);
/* What of the store's caches is told; of a store without them all is 0. */
OXBOW_MUST_CHECK enum oxbow_err resp_cache_stat(struct resp_call *call,
                                                struct oxbow_cache_stat *out);
/* "ERR ..." that a database is kept in memory, where there is no such thing. OXBOW_OK. */
OXBOW_MUST_CHECK enum oxbow_err resp_cache_refuse(struct resp_call *call, uint32_t database);
/* Of the policy, as CONFIG has it. */
const char *resp_evict_name(enum oxbow_evict evict);
bool resp_evict_is_lfu(const struct oxbow_resp *s);
/* Settings. */
void resp_get_maxmemory(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_maxmemory(struct oxbow_resp *s, struct oxbow_bytes value);
void resp_get_evict(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_evict(struct oxbow_resp *s, struct oxbow_bytes value);
void resp_get_samples(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_samples(struct oxbow_resp *s, struct oxbow_bytes value);

/* ---- server_output.c ---- */

void resp_output_init(struct oxbow_resp *s);
/* The cap of the client's replies, by its class and the limits as they are now. */
void resp_output_limit(struct oxbow_resp_client *c);
/* To be called when there is more for the client, or less: closes it at the hard limit, and notes whether
 * it is above the soft one. */
void resp_output_check(struct oxbow_resp_client *c);
/* Closes a client whose replies have failed, and tells why if that is a limit. */
void resp_output_failed(struct oxbow_resp_client *c);
/* Closes those who were above their soft limits for too long. */
void resp_output_turn(struct oxbow_resp *s);
/* When resp_output_turn has something to do; RESP_NEVER_US: it has not. */
uint64_t resp_output_due_us(const struct oxbow_resp *s);
/* The setting. */
void resp_get_output(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_output(struct oxbow_resp *s, struct oxbow_bytes value);

/* ---- server_client.c ---- */

/* The client of that number; NULL: there is none. */
struct oxbow_resp_client *resp_client_find(const struct oxbow_resp *s, uint64_t id);
/* What was added to the output may leave when `lsn` is durable; 0: at once, but after all before it. */
void resp_client_gate(struct oxbow_resp_client *c, uint64_t lsn);
/* Lets go of what is durable now. */
void resp_client_open_gates(struct oxbow_resp_client *c, uint64_t durable);
void resp_client_notice(struct oxbow_resp_client *c);
void resp_client_wake(struct oxbow_resp_client *c); /* has requests to be carried out */
/* Where what the client's request on its way is answered goes: its output, or nowhere (CLIENT REPLY).
 * Messages are no answers: they always go to its output. */
struct resp_reply *resp_client_answer(struct oxbow_resp_client *c);
/* Lets go of what went nowhere. Between commands. */
void resp_client_unsaid(struct oxbow_resp *s);
/* To be closed when all has left / at once. */
void resp_client_end_soon(struct oxbow_resp_client *c);
void resp_client_kill(struct oxbow_resp_client *c);
/* As if it had just connected, but for what it was told: RESET. */
void resp_client_reset(struct oxbow_resp_client *c);
void resp_client_limits(struct oxbow_resp_client *c);

/* ---- cmd_connection.c ---- */

/* The client's line of CLIENT LIST, added to `out`. */
OXBOW_MUST_CHECK enum oxbow_err resp_client_line(const struct oxbow_resp_client *c,
                                                 struct buf *out);
/* Whether it is fit for a client's name. */
bool resp_name_fits(struct oxbow_bytes name);
OXBOW_MUST_CHECK enum oxbow_err resp_text_set(struct buf *to, struct oxbow_bytes text);

/* ---- cmd_auth.c ---- */

/* Whether it may only say who it is. */
bool resp_must_login(const struct oxbow_resp_client *c);
/* Makes it the default user, who may have to say a password. */
void resp_login_default(struct oxbow_resp_client *c);
/* Whether the call's client may give the command with its arguments: to be asked before each one,
 * also where it was asked when the command was queued. A refusal is logged with the context:
 * "toplevel", "multi", "lua". */
enum acl_verdict resp_acl_check(const struct resp_call *call, const char *context);

/* ---- server_execute.c ---- */

/* What a client reads of a verdict, after the '-'. */
void resp_denied_text(enum acl_verdict verdict, const struct resp_command *row, char *out,
                      size_t len);

enum resp_outcome {
    RESP_DONE,     /* replied, queued or blocked */
    RESP_GIVEN_UP, /* the batch failed and this command with it, or it has to wait: it comes again */
    RESP_NO_ROOM   /* the store has no room yet: likewise */
};
enum resp_outcome resp_execute(struct oxbow_resp_client *c, const struct oxbow_bytes *args,
                               uint32_t count);
/* Runs a handler, with what was written before an error taken back and its text sent. OXBOW_EAGAIN:
 * it wants to wait. */
OXBOW_MUST_CHECK enum oxbow_err resp_run(struct resp_call *call);

/* ---- cmd_oxbow_backup.c ---- */

/* The connection goes: so does the backup that it reads. */
void resp_backup_left(struct oxbow_resp_client *c);
/* Ends whatever backup there is, and waits for its thread. */
void resp_backup_end(struct oxbow_resp *s);

/* ---- server_copy.c: arguments that are kept ---- */

/* Adds the arguments to `to` as one command. OXBOW_ENOMEM, OXBOW_ETOOBIG. */
OXBOW_MUST_CHECK enum oxbow_err resp_copy_add(struct buf *to, const struct oxbow_bytes *args,
                                              uint32_t count);
/* Reads one command from `pos` on: how many arguments, and where it ends. `args` has room for them
 * all, or is NULL: then it only counts. */
uint32_t resp_copy_read(const struct buf *from, size_t *pos, struct oxbow_bytes *args);

/* ---- block.c ---- */

/* Has the client wait as call->wait says. Outside of batches. */
OXBOW_MUST_CHECK enum oxbow_err resp_block_begin(struct resp_call *call);
/* Leaves all lines. Not within a transaction. */
void resp_block_end(struct oxbow_resp_client *c);
/* Tries those who wait for keys that were changed, within the batch's transaction. */
void resp_block_serve(struct oxbow_resp *s);
/* Tries those whom the store woke. */
void resp_block_woken(struct oxbow_resp *s);
/* The store is closed, and with it the lines that it has of those who wait. */
void resp_block_left(struct oxbow_resp *s);
/* Has those who wait get in line in the store that was opened since. Who cannot is closed. */
void resp_block_again(struct oxbow_resp *s);
/* Ends waits whose time is over. */
void resp_block_expire(struct oxbow_resp *s);
/* Says what a client is told whose wait is over without anything. */
void resp_block_nothing(struct oxbow_resp_client *c);
/* Has the client wait until what it was shown is on the device; 0: for ever. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err resp_settle_begin(struct resp_call *call, uint64_t timeout_us);
struct resp_interest *resp_interest_get(struct oxbow_resp *s, uint32_t database,
                                        struct oxbow_bytes key, bool make);
void resp_interest_drop(struct oxbow_resp *s, struct resp_interest *i);

/* ---- pause.c ---- */

/* Whether the command waits while writes do. */
bool resp_row_writes(const struct resp_command *row);
/* Whether the command has to wait, and then has its client wait. */
bool resp_pause_holds(const struct resp_call *call);
/* Has the client wait with all that it has not given yet. */
void resp_pause_wait(struct oxbow_resp_client *c);
/* How many wait so. */
uint32_t resp_pause_count(const struct oxbow_resp *s);
/* Ends the pause when its time is over. */
void resp_pause_turn(struct oxbow_resp *s);
/* When that is; RESP_NEVER_US: there is none. */
uint64_t resp_pause_due_us(const struct oxbow_resp *s);

/* ---- cmd_durable.c ---- */

/* Ends the waits of those for whom everything is on the device now. */
void resp_settle_turn(struct oxbow_resp *s);
/* Says how far one has come whose time is over. */
void resp_settle_timeout(struct oxbow_resp_client *c);

/* ---- settings: cmd_config.c, cmd_config_rewrite.c ---- */

/* The next setting from *i on that can be changed; *i is its place. False: there is none. */
bool resp_setting_get(struct oxbow_resp *s, uint32_t *i, const char **name,
                      char value[RESP_VALUE_MAX]);
/* False: there is none of that name, or it does not take the value. */
bool resp_setting_set(struct oxbow_resp *s, struct oxbow_bytes name, struct oxbow_bytes value);
/* What the configuration sets at first. OXBOW_EINVAL, and why. */
OXBOW_MUST_CHECK enum oxbow_err resp_settings_begin(struct oxbow_resp *s);
OXBOW_MUST_CHECK enum oxbow_err resp_config_rewrite(struct resp_call *call);

/* ---- cmd_sentinel.c ---- */

/* Whether the client may know of the command: a sentinel's are others than a server's. */
bool resp_served_to(const struct oxbow_resp_client *c, const struct resp_command *row);
/* The command that the client means; NULL: there is none. */
const struct resp_command *resp_find(const struct oxbow_resp_client *c, struct oxbow_bytes name);
/* Takes what the configuration says of the answers. OXBOW_EINVAL, and why. */
OXBOW_MUST_CHECK enum oxbow_err resp_sentinel_begin(struct oxbow_resp *s);
/* Where clients find the master. */
void resp_master_address(const struct oxbow_resp_client *c, char host[RESP_ADDR_MAX],
                         uint16_t *port);
/* The next of the master's names from *pos on; len 0: that was the last. */
struct oxbow_bytes resp_master_name(const struct oxbow_resp *s, size_t *pos);
/* ROLE and PUBLISH as a sentinel answers them. */
OXBOW_MUST_CHECK enum oxbow_err resp_sentinel_role(struct resp_call *call);
OXBOW_MUST_CHECK enum oxbow_err resp_sentinel_publish(struct resp_call *call);
/* Settings. */
void resp_get_sentinel_port(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
void resp_get_master_names(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
void resp_get_announce_host(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_announce_host(struct oxbow_resp *s, struct oxbow_bytes value);
void resp_get_announce_port(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_announce_port(struct oxbow_resp *s, struct oxbow_bytes value);

/* ---- cmd_object.c ---- */

/* What args[2] is like inside: its encoding's name, and about how many bytes its value takes.
 * OXBOW_ENOENT: no such key. */
OXBOW_MUST_CHECK enum oxbow_err resp_object_look(struct resp_call *call, const char **encoding,
                                                 uint64_t *bytes);

/* ---- cmd_debug.c ---- */

/* Whether the configuration lets the client give DEBUG. */
bool resp_may_debug(const struct oxbow_resp_client *c);
void resp_get_debug(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);

/* ---- cmd_monitor.c ---- */

/* Shows the command to those who monitor. */
void resp_monitor_show(const struct resp_call *call);

/* ---- cmd_slowlog.c, cmd_latency.c, cmd_latency_histogram.c ---- */

/* Whether nobody may read the argument but who gave it: passwords. */
bool resp_arg_is_secret(const struct resp_call *call, uint32_t i);
void resp_slow_init(struct oxbow_resp *s);
void resp_slow_fini(struct oxbow_resp *s);
/* Notes the command if it took long. */
void resp_slow_ran(const struct resp_call *call, uint64_t us);
void resp_latency_ran(const struct resp_call *call, uint64_t us);
/* Counts the call, and forgets all counts. */
void resp_histogram_ran(const struct resp_call *call, uint64_t us);
void resp_histograms_forget(struct oxbow_resp *s);
/* LATENCY HISTOGRAM. */
OXBOW_MUST_CHECK enum oxbow_err resp_latency_histogram(struct resp_call *call);
/* Settings. */
void resp_get_slow_time(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_slow_time(struct oxbow_resp *s, struct oxbow_bytes value);
void resp_get_slow_count(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_slow_count(struct oxbow_resp *s, struct oxbow_bytes value);
void resp_get_latency(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_latency(struct oxbow_resp *s, struct oxbow_bytes value);
void resp_get_tracking(struct oxbow_resp *s, char out[RESP_VALUE_MAX]);
bool resp_set_tracking(struct oxbow_resp *s, struct oxbow_bytes value);

/* ---- multi.c ---- */

OXBOW_MUST_CHECK enum oxbow_err resp_multi_queue(struct oxbow_resp_client *c,
                                                 const struct oxbow_bytes *args, uint32_t count);
/* Forgets what was queued and what is watched. */
void resp_multi_end(struct oxbow_resp_client *c);

/* ---- pubsub.c ---- */

void resp_pubsub_end(struct oxbow_resp_client *c);
/* To how much the client is subscribed. */
uint32_t resp_subscribed(const struct oxbow_resp_client *c);
/* Sends to all who are subscribed; how many they were. Within a batch it takes part in it. */
uint64_t resp_publish(struct oxbow_resp *s, struct oxbow_bytes channel, struct oxbow_bytes payload);

/* Tells of a key's change, if anybody wants to know. */
void resp_notify(struct oxbow_resp *s, uint32_t database, enum resp_event kind, const char *event,
                 struct oxbow_bytes key);

#endif
