/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the stream family's files share: ids among arguments, entries in replies, the refusals that
 * name keys and groups.
 *
 *   cmd_stream.c          XADD XTRIM XDEL XLEN XRANGE XREVRANGE XSETID, and the table
 *   cmd_stream_read.c     XREAD XREADGROUP
 *   cmd_stream_group.c    XGROUP XACK
 *   cmd_stream_pending.c  XPENDING XCLAIM XAUTOCLAIM
 *   cmd_stream_info.c     XINFO
 *   cmd_stream_refs.c     XDELEX XACKDEL
 *   cmd_stream_nack.c     XNACK
 */
#ifndef OXBOW_RESP_CMD_STREAM_H
#define OXBOW_RESP_CMD_STREAM_H

#include "engine/resp/server.h"
#include "oxbow/group.h"
#include "oxbow/stream.h"

#define STREAM_BAD_ID "ERR Invalid stream ID specified as stream command argument"

/* An id as Redis takes it: "ms" (then seq is `seq`) or "ms-seq". */
bool stream_id(struct oxbow_bytes arg, uint64_t seq, struct oxbow_id *out);
/* The same, or "-" and "+" for the least and the greatest. */
bool stream_id_or_end(struct oxbow_bytes arg, uint64_t seq, struct oxbow_id *out);
/* One end of an interval, "(id" to leave the id itself out. NULL, or what is to be replied. */
const char *stream_id_from(struct oxbow_bytes arg, struct oxbow_id *out);
const char *stream_id_to(struct oxbow_bytes arg, struct oxbow_id *out);
/* Argument `arg` and all behind it as ids, allocated (stream_ids_free). OXBOW_EPARSE: one is none. */
OXBOW_MUST_CHECK enum oxbow_err stream_ids(struct resp_call *call, uint32_t arg,
                                           struct oxbow_id **out);
void stream_ids_free(struct resp_call *call, uint32_t arg, struct oxbow_id *ids);

/* As many arguments from `first` on as ids, into `ids`. OXBOW_EPARSE: one is none. */
OXBOW_MUST_CHECK enum oxbow_err stream_ids_of(struct resp_call *call, uint32_t first,
                                              uint32_t count, struct oxbow_id *ids);
/* KEEPREF, DELREF, ACKED. */
bool stream_refs_word(struct oxbow_bytes arg, enum oxbow_refs *out);

/* IDS with a number, and as many ids behind it: argument *at is the word, and there is one after it.
 * *at goes to the last of them, *first is the first. NULL, or what is to be replied. */
struct stream_counted_texts {
    int64_t most;
    const char *no_number;
    const char *too_few;
};
const char *stream_counted_ids(const struct resp_call *call, uint32_t *at, uint32_t *first,
                               const struct stream_counted_texts *texts);

/* Whether there is a stream. OXBOW_EWRONGTYPE: something else is there. */
OXBOW_MUST_CHECK enum oxbow_err stream_there(struct resp_call *call, struct oxbow_bytes key,
                                             bool *there);
/* Whether the stream, which is there, has the group. */
OXBOW_MUST_CHECK enum oxbow_err stream_group_there(struct resp_call *call, struct oxbow_group group,
                                                   bool *there);

/* How much of the bytes Redis would print with %s: up to the first zero. */
int stream_shown(struct oxbow_bytes b);
/* "NOGROUP No such key '...' or consumer group '...'", and `more` behind it. */
OXBOW_MUST_CHECK enum oxbow_err stream_refuse_group(struct resp_call *call,
                                                    struct oxbow_group group, const char *more);

/* An entry: its id and its fields, nil for those of one that was deleted. */
void stream_entry(struct resp_reply *r, const struct oxbow_entry *entry);
/* The same without the header of an array of two. */
void stream_entry_parts(struct resp_reply *r, const struct oxbow_entry *entry);
/* How often an entry was delivered: as far as that is counted, which Redis says as its greatest. */
#define STREAM_DELIVERIES_MAX OXBOW_DELIVERIES_MAX
int64_t stream_deliveries(uint64_t deliveries);
/* What call->result holds, as an array. */
void stream_entries(struct resp_call *call);

enum oxbow_err cmd_xread(struct resp_call *call);
enum oxbow_err cmd_xreadgroup(struct resp_call *call);
enum oxbow_err cmd_xack(struct resp_call *call);
enum oxbow_err cmd_xdelex(struct resp_call *call);
enum oxbow_err cmd_xackdel(struct resp_call *call);
enum oxbow_err cmd_xnack(struct resp_call *call);
enum oxbow_err cmd_xpending(struct resp_call *call);
enum oxbow_err cmd_xclaim(struct resp_call *call);
enum oxbow_err cmd_xautoclaim(struct resp_call *call);

extern const struct resp_command resp_xgroup_subs[];
extern const struct resp_command resp_xinfo_subs[];

#endif
