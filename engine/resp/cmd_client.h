/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands of CLIENT that have files of their own. */
#ifndef OXBOW_RESP_CMD_CLIENT_H
#define OXBOW_RESP_CMD_CLIENT_H

#include "engine/resp/command.h"

/* cmd_client.c */
OXBOW_MUST_CHECK enum oxbow_err resp_client_reply(struct resp_call *call);
OXBOW_MUST_CHECK enum oxbow_err resp_client_help(struct resp_call *call);
/* pause.c */
OXBOW_MUST_CHECK enum oxbow_err resp_client_pause(struct resp_call *call);
OXBOW_MUST_CHECK enum oxbow_err resp_client_unpause(struct resp_call *call);

#endif
