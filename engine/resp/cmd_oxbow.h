/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What OXBOW's files share.
 *
 *   cmd_oxbow.c         HELP, and the table
 *   cmd_oxbow_forward.c FORWARD UPLINK
 *   cmd_oxbow_queue.c   QUEUE GAPS FIGURES
 *   cmd_oxbow_group.c   GROUP NACK EXTEND REDRIVE
 *   cmd_oxbow_entry.c   ADD PUSH DELAY
 *   cmd_oxbow_bind.c    BIND
 *   cmd_oxbow_schedule.c SCHEDULE
 *   cmd_oxbow_backup.c  BACKUP
 *   cmd_oxbow_losses.c  LOSSES
 */
#ifndef OXBOW_RESP_CMD_OXBOW_H
#define OXBOW_RESP_CMD_OXBOW_H

#include "engine/resp/server.h"

#define OXBOW_SHOWN_MAX 64

/* A word among the arguments that says what is to be done. */
struct oxbow_verb {
    const char *name; /* lower case */
    enum oxbow_err (*run)(struct resp_call *call);
    uint32_t least; /* arguments, from OXBOW on */
    uint32_t most;
};

/* Carries out the verb that args[2] is, of rows that one without a name closes. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_verb_run(struct resp_call *call,
                                               const struct oxbow_verb *verbs);
/* How many bytes of an argument are shown in a complaint. */
int oxbow_shown(struct oxbow_bytes b);
/* What an operation of several steps answered, that was begun when the transaction had made so many
 * changes: one that fails half way takes the transaction with it, so that nothing of it stays. */
enum oxbow_err oxbow_settle(struct resp_call *call, uint64_t changes, enum oxbow_err err);

/* One name and its value, for maps. */
void oxbow_pair_text(struct resp_reply *r, const char *name, const char *value);
void oxbow_pair_bytes(struct resp_reply *r, const char *name, struct oxbow_bytes value);
/* What is not known is UINT64_MAX, and null. */
void oxbow_pair_int(struct resp_reply *r, const char *name, uint64_t value);
void oxbow_pair_id(struct resp_reply *r, const char *name, struct oxbow_id id);

enum oxbow_err cmd_oxbow_forward(struct resp_call *call);
enum oxbow_err cmd_oxbow_uplink(struct resp_call *call);
enum oxbow_err cmd_oxbow_queue(struct resp_call *call);
enum oxbow_err cmd_oxbow_gaps(struct resp_call *call);
enum oxbow_err cmd_oxbow_figures(struct resp_call *call);
enum oxbow_err cmd_oxbow_group(struct resp_call *call);
enum oxbow_err cmd_oxbow_nack(struct resp_call *call);
enum oxbow_err cmd_oxbow_extend(struct resp_call *call);
enum oxbow_err cmd_oxbow_redrive(struct resp_call *call);
enum oxbow_err cmd_oxbow_add(struct resp_call *call);
enum oxbow_err cmd_oxbow_push(struct resp_call *call);
enum oxbow_err cmd_oxbow_delay(struct resp_call *call);
enum oxbow_err cmd_oxbow_bind(struct resp_call *call);
enum oxbow_err cmd_oxbow_schedule(struct resp_call *call);
enum oxbow_err cmd_oxbow_backup(struct resp_call *call);
enum oxbow_err cmd_oxbow_losses(struct resp_call *call);

#endif
