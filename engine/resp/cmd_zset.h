/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands on sorted sets share. */
#ifndef OXBOW_RESP_CMD_ZSET_H
#define OXBOW_RESP_CMD_ZSET_H

#include "engine/resp/command.h"
#include "oxbow/zset.h"

/* The members in call->result, with their scores if wanted: one after the other in RESP2. In RESP3
 * with scores each is a pair, unless `pairs` is false: of ZPOPMIN without a count. */
void resp_zset_reply(struct resp_call *call, bool scores, bool pairs);
/* Told after members were taken: the key may be gone with the last of them. */
OXBOW_MUST_CHECK enum oxbow_err resp_zset_taken(struct resp_call *call, const char *event,
                                                struct oxbow_bytes key);

#endif
