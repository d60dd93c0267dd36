/* SPDX-License-Identifier: Apache-2.0 */
/* OXBOW: what Redis has no words for: its table, and what its files share. */
#include "engine/resp/cmd_oxbow.h"

#include "engine/resp/args.h"

#include <string.h>

int oxbow_shown(struct oxbow_bytes b)
{
    return (int)(b.len < OXBOW_SHOWN_MAX ? b.len : OXBOW_SHOWN_MAX);
}

enum oxbow_err oxbow_settle(struct resp_call *call, uint64_t changes, enum oxbow_err err)
{
    if (err != OXBOW_OK && oxbow_txn_changes(call->txn) != changes) {
        oxbow_txn_refuse(call->txn, err);
    }
    return err;
}

void oxbow_pair_text(struct resp_reply *r, const char *name, const char *value)
{
    resp_bulk_text(r, name);
    resp_bulk_text(r, value);
}

void oxbow_pair_bytes(struct resp_reply *r, const char *name, struct oxbow_bytes value)
{
    resp_bulk_text(r, name);
    resp_bulk(r, value);
}

void oxbow_pair_int(struct resp_reply *r, const char *name, uint64_t value)
{
    resp_bulk_text(r, name);
    if (value > INT64_MAX) {
        resp_null(r);
    } else {
        resp_int(r, (int64_t)value);
    }
}

void oxbow_pair_id(struct resp_reply *r, const char *name, struct oxbow_id id)
{
    resp_bulk_text(r, name);
    resp_bulk_id(r, id);
}

/* The subcommand's name, in upper case. */
static void sub_name(const struct resp_command *row, char out[RESP_NAME_MAX])
{
    const char *name = strchr(row->name, '|') + 1;
    size_t i;

    for (i = 0; name[i] != '\0'; i++) {
        out[i] = (char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - 'a' + 'A' : name[i]);
    }
    out[i] = '\0';
}

enum oxbow_err oxbow_verb_run(struct resp_call *call, const struct oxbow_verb *verbs)
{
    char name[RESP_NAME_MAX];

    for (; verbs->name != NULL; verbs++) {
        if (resp_arg_is(call->args[2], verbs->name) && call->count >= verbs->least &&
            call->count <= verbs->most) {
            return verbs->run(call);
        }
    }
    sub_name(call->row, name);
    resp_error_format(call->reply,
                      "ERR unknown subcommand or wrong number of arguments for '%s %.*s'. Try "
                      "OXBOW HELP.",
                      name, oxbow_shown(call->args[2]), (const char *)call->args[2].data);
    return OXBOW_OK;
}

/* ---- HELP, and the table ---- */

static enum oxbow_err oxbow_help(struct resp_call *call)
{
    static const char *const lines[] = {
        "OXBOW <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "FORWARD ADD <name> STREAM|LIST <key> [<option> <value> ...]",
        "    Carries the key, of the database that is selected, to the uplink's target.",
        "    Options: TARGET key, SELECT durable|acked:group, CONFIRM master|replicas:n|aof[:n],",
        "    AFTER trim|keep, HOLD-MS ms, HOLD-BYTES size, MAX-BYTES size,",
        "    ON-FULL refuse|drop_oldest, ON-DELETED resend|continue, URGENT yes|no,",
        "    TRUE-TIME yes|no, WEIGHT n, BATCH-BYTES size, BATCH-COUNT n, LINGER-MS ms.",
        "FORWARD SET <name> <option> <value> [...]",
        "    Changes these options. How far it is stays.",
        "FORWARD DEL <name> [FORCE]",
        "    Carries it no more. Its entries stay. FORCE: also those that are not confirmed yet.",
        "FORWARD LIST [<name>]",
        "    What forwards are like, and how far they are.",
        "FORWARD PAUSE|RESUME <name>",
        "    Sends nothing more of it, or goes on. A pause ends with the server at the latest.",
        "UPLINK PAUSE|RESUME|UP|DOWN|FLUSH|RELOAD|ADOPT",
        "    The same for all of it; there is a link, there is none; without lingering;",
        "    certificates are read again; takes over a target that another store owned.",
        "QUEUE SET <key> <field> <value> [...] | GET <key> | DEL <key> | LIST",
        "    The policy of a list or stream: max-entries, max-bytes, max-age, on-full, keep,",
        "    keep-bytes, dedupe, dedupe-count, priorities, priority-weights, priority-wait,",
        "    default-ttl, default-delay.",
        "GAPS <key> [<id>]",
        "    Where entries were dropped by a policy, and why; behind the id.",
        "FIGURES [<key>]",
        "    The metrics of the store and of all queues, or of one queue.",
        "GROUP SET <key> <group> <option> <value> [...] | GET <key> <group>",
        "    Options: visibility, max-deliveries, dead-letter, retry-base, retry-factor,",
        "    retry-max, retry-jitter, prefetch, key-field, exclusive, dead-letter-remove.",
        "NACK <key> <group> <id> [<id> ...] [DELAY <ms> | DEAD [<reason>]]",
        "    Gives entries back: to be delivered again, or to the dead letters.",
        "EXTEND <key> <group> <ms> <id> [<id> ...] [CONSUMER <name>]",
        "    Gives a consumer more time for entries.",
        "REDRIVE <key> [<id> ...] | <key> [COUNT <n>] [FROM <id>]",
        "    Sends dead letters back to the groups that gave them up.",
        "ADD <key> [NOMKSTREAM] [DELAY <ms> | AT <ms>] [TTL <ms>] [PRIORITY <n>]",
        "    [ONCE <id> | PRODUCER <name> SEQ <n>] <*|id> <field> <value> [...]",
        "    Appends an entry to a stream, now, later, or once.",
        "PUSH <key> LEFT|RIGHT [DELAY <ms> | AT <ms>]",
        "    [ONCE <id> | PRODUCER <name> SEQ <n>] <value>",
        "    Adds an element to a list, now, later, or once.",
        "DELAY LIST <key> [COUNT <n>] | CANCEL <key> <id>",
        "    What waits to be added to a key, and taking it back.",
        "BIND ADD <source> <destination> [ON-FULL refuse|skip] [LIST <field>]",
        "    [ALL | DIRECT <field> <value> | TOPIC <field> <pattern> |",
        "    HEADERS <field> <value> [...] | ANY-HEADER <field> <value> [...]]",
        "    What is added to the source goes to the destination as well.",
        "BIND DEL <source> <id> | LIST [<source>]",
        "BIND SET <source> [KEEP yes|no] [ALTERNATE <key>] | GET <source>",
        "    How a source passes entries on, and what it has passed on.",
        "SCHEDULE ADD <name> <key> <when> [OFFSET <minutes>] [MISSED skip|once|all]",
        "    [MISSED-MAX <n>] [LATE <ms>] ENTRY <field> <value> [...] | PUSH LEFT|RIGHT <value>",
        "    Adds to a stream or list again and again: \"*/5 * * * *\", \"every 10 s\".",
        "SCHEDULE DEL|PAUSE|RESUME <name> | LIST [<name>]",
        "LOSSES LIST [FROM <n>] [COUNT <n>] | FORGET",
        "    What the store has lost to damage; takes it off the record.",
        "BACKUP BEGIN | READ | END",
        "    Hands out a copy of the store, piece after piece, to this connection: `oxbow backup`.",
        "HELP",
    };

    resp_array(call->reply, sizeof lines / sizeof lines[0]);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        resp_simple(call->reply, lines[i]);
    }
    return OXBOW_OK;
}

#define ALONE (RESP_ADMIN | RESP_NOSCRIPT | RESP_ALONE | RESP_NO_MULTI)
#define D     RESP_CAT_DANGEROUS
#define W     RESP_WRITE
#define WM    (RESP_WRITE | RESP_DENYOOM)
#define R     RESP_READONLY
#define S     RESP_CAT_STREAM
#define L     RESP_CAT_LIST
#define V     "oxbow 0.1"

/* How queues and groups are is an operator's business, as CONFIG is; entries are the applications'. */
static const struct resp_command oxbow_subs[] = {
    {"oxbow|forward", cmd_oxbow_forward, -3, ALONE, D, 0, 0, 0, V,
     "Forwards: ADD, SET, DEL, LIST, PAUSE, RESUME", NULL},
    {"oxbow|uplink", cmd_oxbow_uplink, 3, ALONE, D, 0, 0, 0, V,
     "The uplink: PAUSE, RESUME, UP, DOWN, FLUSH, RELOAD, ADOPT", NULL},
    {"oxbow|queue", cmd_oxbow_queue, -3, W | RESP_ADMIN, D, 3, 3, 1, V,
     "Policies of lists and streams: SET, GET, DEL, LIST", NULL},
    {"oxbow|gaps", cmd_oxbow_gaps, -3, R, S | L, 2, 2, 1, V,
     "Where entries were dropped by a queue's policy", NULL},
    {"oxbow|figures", cmd_oxbow_figures, -2, R, D, 2, 2, 1, V,
     "The metrics of the store, or of one queue", NULL},
    {"oxbow|group", cmd_oxbow_group, -3, W | RESP_ADMIN | RESP_MOVABLE, D, 3, 3, 1, V,
     "Redelivery, limits and dead letters of groups: SET, GET", NULL},
    {"oxbow|nack", cmd_oxbow_nack, -5, W, S, 2, 2, 1, V,
     "Gives entries back: to be delivered again, or to the dead letters", NULL},
    {"oxbow|extend", cmd_oxbow_extend, -6, W, S, 2, 2, 1, V,
     "Gives a consumer more time for entries", NULL},
    {"oxbow|redrive", cmd_oxbow_redrive, -3, WM | RESP_ADMIN, D, 2, 2, 1, V,
     "Sends dead letters back to their groups", NULL},
    {"oxbow|add", cmd_oxbow_add, -6, WM, S, 2, 2, 1, V,
     "Appends an entry to a stream, now, later, or once", NULL},
    {"oxbow|push", cmd_oxbow_push, -5, WM, L, 2, 2, 1, V,
     "Adds an element to a list, now, later, or once", NULL},
    {"oxbow|delay", cmd_oxbow_delay, -4, W, S | L, 3, 3, 1, V,
     "What waits to be added to a key: LIST, CANCEL", NULL},
    {"oxbow|bind", cmd_oxbow_bind, -3, WM | RESP_ADMIN | RESP_MOVABLE, D, 0, 0, 0, V,
     "What is added to a stream goes to other queues: ADD, DEL, LIST, SET, GET", NULL},
    {"oxbow|schedule", cmd_oxbow_schedule, -3, WM | RESP_ADMIN | RESP_MOVABLE, D, 0, 0, 0, V,
     "Entries that are added again and again: ADD, DEL, LIST, PAUSE, RESUME", NULL},
    {"oxbow|backup", cmd_oxbow_backup, 3, ALONE, D, 0, 0, 0, V,
     "A copy of the store, in pieces: BEGIN, READ, END", NULL},
    {"oxbow|losses", cmd_oxbow_losses, -3, W | RESP_ADMIN | RESP_NO_MULTI | RESP_NOSCRIPT, D, 0, 0,
     0, V, "What the store has lost to damage: LIST, FORGET", NULL},
    {"oxbow|help", oxbow_help, 2, RESP_LOADING | RESP_STALE | RESP_PURE, 0, 0, 0, 0, V,
     "What OXBOW can do", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

const struct resp_command resp_oxbow_commands[] = {
    {"oxbow", NULL, -2, 0, 0, 0, 0, 0, V, "What Redis has no words for", oxbow_subs},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
