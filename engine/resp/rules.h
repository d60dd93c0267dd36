/* SPDX-License-Identifier: Apache-2.0 */
/* What queues and groups are given by the configuration, by patterns of their names. */
#ifndef OXBOW_RESP_RULES_H
#define OXBOW_RESP_RULES_H

#include "engine/resp/server.h"

/* To be called before and after a handler, inside its transaction. An error is the command's. */
OXBOW_MUST_CHECK enum oxbow_err resp_rules_before(struct resp_call *call);
OXBOW_MUST_CHECK enum oxbow_err resp_rules_after(struct resp_call *call);
/* Gives the name the policy of the first rule that matches it, if it has none. For handlers that have the
 * store add to names which are not among their keys. */
OXBOW_MUST_CHECK enum oxbow_err resp_rules_queue(struct resp_call *call, struct oxbow_bytes key);
/* Replies with the rules as lines of a configuration, without the option's name: CONFIG GET. */
OXBOW_MUST_CHECK enum oxbow_err resp_rules_reply(struct resp_call *call, bool queues);

#endif
