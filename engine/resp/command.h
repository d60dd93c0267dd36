/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands: one row each, from which look-up, checks, COMMAND and docs/RESP.md are made.
 *
 * A family has its rows beside its handlers (cmd_*.c) and is listed in command.c. A handler is called
 * with the number of arguments checked. It either writes its reply and returns OXBOW_OK, or writes
 * nothing and returns an error, whose text is then sent (resp_error_of); what it had written before
 * an error is taken back. Results of transactions that fail to commit are never sent, so it need not
 * care.
 */
#ifndef OXBOW_RESP_COMMAND_H
#define OXBOW_RESP_COMMAND_H

#include "engine/resp/reply.h"
#include "oxbow/oxbow.h"
#include "oxbow/result.h"

#include <stdbool.h>

struct resp_call;
struct resp_script;
struct oxbow_resp;
struct oxbow_resp_client;

/* Redis' flags of commands, as COMMAND INFO names them; then what only oxbow knows. */
#define RESP_WRITE         0x000001u
#define RESP_READONLY      0x000002u
#define RESP_DENYOOM       0x000004u
#define RESP_ADMIN         0x000008u
#define RESP_PUBSUB        0x000010u
#define RESP_NOSCRIPT      0x000020u
#define RESP_BLOCKING      0x000040u
#define RESP_LOADING       0x000080u
#define RESP_STALE         0x000100u
#define RESP_FAST          0x000200u
#define RESP_NO_AUTH       0x000400u
#define RESP_NO_MULTI      0x000800u
#define RESP_MOVABLE       0x001000u /* where the keys are depends on arguments */
#define RESP_ASKING        0x002000u
#define RESP_SKIP_LOGS     0x004000u
#define RESP_SORT_OUT      0x008000u
#define RESP_ALONE         0x100000u /* has no transaction: changes the connection or the server */
#define RESP_PURE          0x080000u /* needs no transaction and changes nothing */
#define RESP_NOT_QUEUED    0x200000u /* carried out at once also after MULTI */
#define RESP_PROTECTED     0x800000u /* only where enable-debug-command lets it */
#define RESP_SUBSCRIBED    0x400000u /* allowed while a RESP2 client is subscribed */
#define RESP_SENTINEL      0x010000u /* served to those who ask for a sentinel, too */
#define RESP_ONLY_SENTINEL 0x020000u /* and to nobody else */

/* Categories of ACL that do not follow from flags. */
#define RESP_CAT_KEYSPACE    0x0001u
#define RESP_CAT_LIST        0x0002u
#define RESP_CAT_STREAM      0x0004u
#define RESP_CAT_STRING      0x0008u
#define RESP_CAT_HASH        0x0010u
#define RESP_CAT_SET         0x0020u
#define RESP_CAT_ZSET        0x0040u
#define RESP_CAT_CONNECTION  0x0080u
#define RESP_CAT_TRANSACTION 0x0100u
#define RESP_CAT_SCRIPTING   0x0200u
#define RESP_CAT_DANGEROUS   0x0400u
#define RESP_CAT_BITMAP      0x0800u
#define RESP_CAT_ADMIN       0x1000u /* beside the flag */

/* Where the keys are: indexes into args. */
struct resp_keys {
    uint32_t dest; /* of a key before the others, where a result goes; 0: none */
    uint32_t first;
    uint32_t count; /* without dest */
    uint32_t step;
};

/* What a command does with a key: for rights to read and to write (ACL's %R~ and %W~). */
#define RESP_KEY_READ  1u /* tells what the value is */
#define RESP_KEY_WRITE 2u /* changes or deletes it */

struct resp_command {
    const char *name; /* lower case */
    enum oxbow_err (*run)(struct resp_call *call);
    int8_t arity; /* Redis': the name counts; negative: at least */
    uint32_t flags;
    uint32_t categories;
    int8_t
        first; /* key positions, as COMMAND INFO gives them; 0: none. With RESP_PUBSUB: of sharded channels */
    int8_t last;
    int8_t step;
    const char *since;
    const char *summary;
    const struct resp_command *subs; /* of a container; ends with a row without a name */
};

/* What a command that found nothing waits for: set by its handler before it returns OXBOW_EAGAIN. */
struct resp_wait {
    const struct oxbow_bytes *keys; /* consecutive arguments of the call */
    uint32_t key_count;
    bool stream;         /* what one does not want may be another's */
    uint64_t timeout_us; /* 0: for ever */
};

/* One command on its way. */
struct resp_call {
    struct oxbow_resp *server;
    struct oxbow_resp_client *client;
    const struct resp_command *row;
    const struct oxbow_bytes *args; /* args[0] is the name */
    uint32_t count;
    struct oxbow_txn *txn; /* in the client's database; NULL for RESP_ALONE */
    struct resp_reply *reply;
    struct oxbow_result *result; /* for reads: filled anew by each */
    bool may_wait;               /* false within MULTI and scripts: a blocking command gives nil */
    bool again;                  /* it waits already and is tried once more */
    const struct oxbow_bytes
        *only; /* of one that is tried again: the key that has changed; it looks at
                                       no other, as in Redis 7.0. NULL: any may have */
    struct resp_wait wait;
    struct resp_script *script; /* that calls it; NULL: a client does */
    bool remembers; /* resp_remember was called: client->block.remembered is of this call */
};

/* What a key's change is called in keyspace notifications, and the class of it. */
enum resp_event {
    RESP_EVENT_GENERIC,
    RESP_EVENT_STRING,
    RESP_EVENT_LIST,
    RESP_EVENT_SET,
    RESP_EVENT_HASH,
    RESP_EVENT_ZSET,
    RESP_EVENT_STREAM,
    RESP_EVENT_EXPIRED,
    RESP_EVENT_EVICTED
};

/* To be called by handlers for each key that they have changed: who waits for it is tried after the
 * command, who watches it is told, `event` is published to those who asked for it. */
void resp_changed(struct resp_call *call, enum resp_event kind, const char *event,
                  struct oxbow_bytes key);
/* Of what leaves the key's entries as they are (XGROUP, XSETID): likewise, but who watches is not told. */
void resp_noted(struct resp_call *call, enum resp_event kind, const char *event,
                struct oxbow_bytes key);
/* The same in another database than the client's. */
void resp_changed_in(struct resp_call *call, uint32_t database, enum resp_event kind,
                     const char *event, struct oxbow_bytes key);
/* The same for all keys of a database, to be called before they go (FLUSHDB: other is the same) or
 * change places with those of another (SWAPDB: for each of the two). Who watches a key that is in
 * neither is not told. The transaction is in `database` afterwards. */
OXBOW_MUST_CHECK enum oxbow_err resp_changed_all(struct resp_call *call, uint32_t database,
                                                 uint32_t other);

/* A blocking command that found nothing: OXBOW_EAGAIN when it may wait, or else it replies nil. */
OXBOW_MUST_CHECK enum oxbow_err resp_wait_for(struct resp_call *call, const struct resp_wait *wait);
/* Puts the text in the place of the argument for when the command is tried again (XREAD's $). The
 * handler must go on to resp_wait_for. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err resp_remember(struct resp_call *call, uint32_t arg,
                                              struct oxbow_bytes text);

/* Whether the command may look at the key now: see `only`. */
bool resp_call_may(const struct resp_call *call, struct oxbow_bytes key);
/* Replies with an error's text and is OXBOW_OK: for texts that are not in the table of errors. */
OXBOW_MUST_CHECK enum oxbow_err resp_refuse(struct resp_call *call, const char *text);
OXBOW_MUST_CHECK enum oxbow_err resp_refuse_arity(struct resp_call *call);
/* Of a subcommand that counts its arguments itself. */
OXBOW_MUST_CHECK enum oxbow_err resp_refuse_subcommand(struct resp_call *call);
OXBOW_MUST_CHECK enum oxbow_err resp_refuse_syntax(struct resp_call *call);
OXBOW_MUST_CHECK enum oxbow_err resp_refuse_integer(struct resp_call *call);
/* Replies with lines of text, up to a NULL: what a container's HELP says. OXBOW_OK. */
OXBOW_MUST_CHECK enum oxbow_err resp_lines(struct resp_call *call, const char *const *lines);

/* ---- the table ---- */

/* Rows end with one without a name. */
extern const struct resp_command resp_connection_commands[];
extern const struct resp_command resp_auth_commands[];
extern const struct resp_command resp_server_commands[];
extern const struct resp_command resp_config_subs[]; /* of CONFIG */
extern const struct resp_command resp_key_commands[];
extern const struct resp_command resp_expire_commands[];
extern const struct resp_command resp_sort_commands[];
extern const struct resp_command resp_dump_commands[];
extern const struct resp_command resp_function_commands[];
extern const struct resp_command resp_slowlog_commands[];
extern const struct resp_command resp_monitor_commands[];
extern const struct resp_command resp_debug_commands[];
extern const struct resp_command resp_latency_commands[];
extern const struct resp_command resp_object_commands[];
extern const struct resp_command resp_durable_commands[];
extern const struct resp_command resp_string_commands[];
extern const struct resp_command resp_bit_commands[];
extern const struct resp_command resp_hash_commands[];
extern const struct resp_command resp_hash_expire_commands[];
extern const struct resp_command resp_zset_combine_commands[];
extern const struct resp_command resp_list_commands[];
extern const struct resp_command resp_stream_commands[];
extern const struct resp_command resp_set_commands[];
extern const struct resp_command resp_zset_commands[];
extern const struct resp_command resp_zset_range_commands[];
extern const struct resp_command resp_multi_commands[];
extern const struct resp_command resp_pubsub_commands[];
extern const struct resp_command resp_script_commands[];
extern const struct resp_command resp_oxbow_commands[];
extern const struct resp_command resp_sentinel_commands[];

#define RESP_COMMAND_SLOTS 1024u
#define RESP_NAME_MAX      40u

/* Names to rows, built once at open. */
struct resp_table {
    const struct resp_command *slots[RESP_COMMAND_SLOTS];
    uint32_t count;
};

void resp_table_init(struct resp_table *t);
/* In any case; NULL: there is none. */
const struct resp_command *resp_table_find(const struct resp_table *t, struct oxbow_bytes name);
const struct resp_command *resp_sub_find(const struct resp_command *row, struct oxbow_bytes name);
/* The same by the full name: "get", "config|get". */
const struct resp_command *resp_table_find_full(const struct resp_table *t,
                                                struct oxbow_bytes name);
/* A number for the row that no other row has, below RESP_COMMAND_SLOTS; subcommands have theirs. */
uint32_t resp_table_slot(const struct resp_table *t, const struct resp_command *row);
/* All rows of all families: idx from 0; NULL at the end. */
const struct resp_command *resp_table_row(uint32_t idx);
/* LCS: cmd_lcs.c. */
OXBOW_MUST_CHECK enum oxbow_err resp_lcs(struct resp_call *call);
/* COMMAND LIST. */
OXBOW_MUST_CHECK enum oxbow_err resp_command_list(struct resp_call *call);

/* ---- command_keys.c: keys and channels among arguments ---- */

enum resp_keys_found {
    RESP_KEYS_FOUND,
    RESP_KEYS_NONE,   /* the command takes none, or these arguments name none */
    RESP_KEYS_BROKEN, /* the arguments make no sense: the command will refuse them */
    RESP_KEYS_UNKNOWN /* nobody has said how to find them */
};
/* Whether some of its arguments may be keys. */
bool resp_command_has_keys(const struct resp_command *row);
enum resp_keys_found resp_command_keys(const struct resp_command *row,
                                       const struct oxbow_bytes *args, uint32_t count,
                                       struct resp_keys *keys);
/* How many they are, and the index of each. */
uint32_t resp_keys_count(const struct resp_keys *keys);
uint32_t resp_keys_at(const struct resp_keys *keys, uint32_t n);
/* What the command does with its n-th key: RESP_KEY_*; 0: it only says whether or how much is there. */
uint8_t resp_key_rights(const struct resp_command *row, const struct oxbow_bytes *args,
                        uint32_t count, uint32_t n);

/* Whether the number of keys is said by what is none in its one form: Redis finds them and says nothing of them. */
bool resp_keys_are_loose(const struct resp_command *row, const struct oxbow_bytes *args,
                         uint32_t count);

/* The same in Redis' finer words, 0: nothing is said; as COMMAND GETKEYSANDFLAGS has them: command_key_uses.c. */
#define RESP_USE_RO     0x01u
#define RESP_USE_RW     0x02u
#define RESP_USE_OW     0x04u /* writes over it, whatever was there */
#define RESP_USE_RM     0x08u
#define RESP_USE_ACCESS 0x10u
#define RESP_USE_UPDATE 0x20u
#define RESP_USE_INSERT 0x40u
#define RESP_USE_DELETE 0x80u
uint8_t resp_key_use(const struct resp_command *row, const struct oxbow_bytes *args, uint32_t count,
                     uint32_t n);

struct resp_channels {
    uint32_t first; /* index into args; 0: the command has none */
    bool all;       /* all from there on, or that one alone */
    bool patterns;
};
/* The channels that a command publishes to or subscribes to. */
struct resp_channels resp_command_channels(const struct resp_command *row);

#endif
