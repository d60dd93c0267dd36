/* SPDX-License-Identifier: Apache-2.0 */
/* INFO: the server as text. */
#ifndef OXBOW_RESP_CMD_INFO_H
#define OXBOW_RESP_CMD_INFO_H

#include "engine/base/buf.h"
#include "engine/resp/command.h"

/* Adds the sections that the arguments from the second on name (none: the usual ones). */
OXBOW_MUST_CHECK enum oxbow_err resp_info(struct resp_call *call, struct buf *text);
/* The usual sections of the server itself, also for those who ask for a sentinel. */
OXBOW_MUST_CHECK enum oxbow_err resp_info_master(struct resp_call *call, struct buf *text);

#endif
