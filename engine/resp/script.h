/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scripts: what the server asks of an interpreter, and what that asks of the server.
 *
 * The server knows nothing of the language: EVAL and its like find the interpreter in the
 * configuration (oxbow_resp_config.scripting), and without one they are refused. The interpreter
 * knows nothing of transactions: a script runs within its command's, and each command that it calls
 * is carried out there, as those of MULTI are. What was written before an error stays, as in Redis.
 *
 * One thread. Nothing in here jumps over the server: an interpreter that unwinds by longjmp does so
 * between its own frames alone.
 */
#ifndef OXBOW_RESP_SCRIPT_H
#define OXBOW_RESP_SCRIPT_H

#include "engine/base/sha1.h"
#include "engine/resp/command.h"

/* Flags of a script's first line. */
#define RESP_SCRIPT_NO_WRITES   0x01u
#define RESP_SCRIPT_ALLOW_OOM   0x02u
#define RESP_SCRIPT_ALLOW_STALE 0x04u
#define RESP_SCRIPT_NO_CLUSTER  0x08u
#define RESP_SCRIPT_CROSS_SLOT  0x10u
#define RESP_SCRIPT_USED        0x20u /* the interpreter's own: since it was looked at last */
#define RESP_SCRIPT_DECLARED    0x40u /* it has such a line */
#define RESP_SCRIPT_KEPT        0x80u /* by SCRIPT LOAD: not forgotten to make room for others */

#define RESP_SCRIPT_NO_END UINT64_MAX

/* A script on its way. */
struct resp_script {
    struct resp_call *call; /* the command that runs it */
    const char *sha;
    uint32_t flags;
    bool read_only;
    bool wrote;        /* a command that writes was carried out */
    bool over;         /* its time was over, and it was ended */
    uint64_t until_us; /* of the monotonic clock: then it is ended; RESP_SCRIPT_NO_END: never */
    uint8_t version;   /* of the protocol in which commands answer it: redis.setresp */
    uint32_t key_count;
    uint32_t arg_count;
    const struct oxbow_bytes *keys; /* and the arguments after them */
};

struct resp_vm; /* an interpreter's state, with the scripts that it knows */

struct oxbow_scripting {
    /* `memory_max` bytes for all scripts and what they make. OXBOW_ENOMEM. */
    enum oxbow_err (*open)(struct oxbow_resp *server, uint64_t memory_max, struct resp_vm **vm);
    void (*close)(struct resp_vm *vm);
    /* Whether the script is known, and its flags. */
    bool (*find)(struct resp_vm *vm, const char *sha, uint32_t *flags);
    /* Compiles the text under its name. False: the reason was written to `reply` as an error. */
    bool (*load)(struct resp_vm *vm, const char *sha, struct oxbow_bytes text, uint32_t flags,
                 struct resp_reply *reply);
    /* Keeps a script that is known. */
    void (*keep)(struct resp_vm *vm, const char *sha);
    /* Runs a script that is known; its result, or its error, is one reply to script->call->reply. */
    void (*run)(struct resp_vm *vm, struct resp_script *script);
    /* Forgets all scripts. Not while one runs. */
    void (*flush)(struct resp_vm *vm);
    uint64_t (*memory)(const struct resp_vm *vm);
    uint32_t (*count)(const struct resp_vm *vm);
};

/* A command of the script: what it answers, in RESP of the script's version, valid until the next
 * call. Refused commands are answered with errors, too. OXBOW_ENOMEM: the answer was too long. */
OXBOW_MUST_CHECK enum oxbow_err resp_script_call(struct resp_script *script,
                                                 const struct oxbow_bytes *args, uint32_t count,
                                                 struct oxbow_bytes *answer);
/* Whether the script may give the command: redis.acl_check_cmd. False with `known` false: there is
 * no such command. */
bool resp_script_may(struct resp_script *script, const struct oxbow_bytes *args, uint32_t count,
                     bool *known);
/* Whether its time is over: who runs it ends it then. */
bool resp_script_is_over(struct resp_script *script);
/* What is said of a request whose script was. */
extern const char resp_script_over_text[];
/* A line of the script for the log. Redis' levels: 0 debug, 1 verbose, 2 notice, 3 warning. */
void resp_script_log(struct resp_script *script, uint32_t level, const char *text);
/* Ends what scripts have of the server. */
void resp_script_fini(struct oxbow_resp *s);

#endif
