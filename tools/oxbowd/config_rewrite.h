/* SPDX-License-Identifier: Apache-2.0 */
/* CONFIG REWRITE: brings the configuration's file up to date with what is set while the daemon runs. */
#ifndef OXBOWD_CONFIG_REWRITE_H
#define OXBOWD_CONFIG_REWRITE_H

#include "tools/oxbowd/config.h"

#define CONFIG_SETTINGS_MAX 8u
#define CONFIG_SETTING_TEXT 512u

/* Options that the server itself takes, as settings; how many of `out` are filled in, with texts in
 * `room` or borrowed from `c`. */
uint32_t config_settings(const struct config *c, struct oxbow_resp_setting out[CONFIG_SETTINGS_MAX],
                         char room[CONFIG_SETTINGS_MAX][CONFIG_SETTING_TEXT]);

#define CONFIG_COMMAND_LINE_MAX 65536u

/* The options of the command line: of each how many words it has, in one byte, and they, each with its
 * zero. They stand behind the file at the next start as well. */
struct config_command_line {
    char text[CONFIG_COMMAND_LINE_MAX];
    size_t len;
};

/* False: there is no room for it. */
bool config_command_line_add(struct config_command_line *line, char *const *words, uint32_t count);

/* Of one start. */
struct config_origin {
    const char *path; /* of the file; empty: there is none */
    const struct config_command_line *command_line;
    uint32_t
        clients_max; /* to which the system brought maxclients down; 0: it did not. It is not what
                             anybody set, and the next system may allow more */
};

/* How the file is rewritten; what `origin` points to outlives the server. */
struct oxbow_resp_rewrite config_rewriting(const struct config_origin *origin);

#endif
