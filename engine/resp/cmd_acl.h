/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands of ACL, for its row in cmd_auth.c. */
#ifndef OXBOW_RESP_CMD_ACL_H
#define OXBOW_RESP_CMD_ACL_H

#include "engine/resp/command.h"

extern const struct resp_command resp_acl_subs[];

#endif
