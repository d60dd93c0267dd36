/* SPDX-License-Identifier: Apache-2.0 */
/* Export and import: what their files have in common. */
#ifndef OXBOW_TOOLS_MOVE_H
#define OXBOW_TOOLS_MOVE_H

#include "tools/oxbow/command.h"

#define MOVE_FIRST "oxbow-export 2" /* with commands of our own: move_settings.c */
#define MOVE_PLAIN "oxbow-export 1" /* Redis' alone */
#define MOVE_LAST  "oxbow-export-end "

int move_export(struct cli *cli);
int move_import(struct cli *cli);

#endif
