/* SPDX-License-Identifier: Apache-2.0 */
/* Stream ids and entries as the command line spells and prints them. */
#ifndef OXBOW_TOOLS_ENTRY_H
#define OXBOW_TOOLS_ENTRY_H

#include "oxbow/result.h"
#include "oxbow/stream.h"
#include "tools/oxbow/command.h"

/* "MS" (seq is then `seq_default`), "MS-SEQ", "-" or "+". False: none of these. */
bool entry_id_of(const char *text, uint64_t seq_default, struct oxbow_id *out);
/* "*", "MS-*" or "MS-SEQ". */
bool entry_id_mode(const char *text, enum oxbow_id_mode *mode, struct oxbow_id *out);
/* Prints the entries; EXIT_NOTHING when there are none. */
int entry_print(const struct cli *cli, const struct oxbow_result *result);

#endif
