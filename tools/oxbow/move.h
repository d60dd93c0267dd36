/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Export and import: what their files have in common.
 *
 * A file is commands as RESP sends them. The first is ECHO with one of the texts below; behind it the
 * databases follow each other, each begun by SELECT and ended by what is set for its queues; in them the
 * keys, each in one run of commands. The last is ECHO with MOVE_LAST, how many commands stand before it,
 * and the CRC-32 of their bytes in eight hexadecimal digits. All is text or the user's own bytes, so
 * nothing depends on the byte order or the word size of either side.
 *
 *   1   lists, streams and strings, as commands of Redis
 *   2   and what Redis has no commands for
 *   3   and hashes, sets and sorted sets; "3 redis": Redis' commands alone. A version that reads 2 alone
 *       takes it for no export, before anything is done
 */
#ifndef OXBOW_TOOLS_MOVE_H
#define OXBOW_TOOLS_MOVE_H

#include "tools/oxbow/command.h"

#define MOVE_ANY   "oxbow-export "
#define MOVE_FIRST "oxbow-export 3" /* with commands of our own: move_settings.c */
#define MOVE_PLAIN "oxbow-export 3 redis"
#define MOVE_LAST  "oxbow-export-end "

int move_export(struct cli *cli);
int move_import(struct cli *cli);

#endif
