/* SPDX-License-Identifier: Apache-2.0 */
/* CONFIG REWRITE: brings the configuration's file up to date with what is set while the daemon runs. */
#ifndef OXBOWD_CONFIG_REWRITE_H
#define OXBOWD_CONFIG_REWRITE_H

#include "tools/oxbowd/config.h"

#define CONFIG_SETTINGS_MAX 8u
#define CONFIG_SETTING_TEXT 32u

/* Options that the server itself takes, as settings; how many of `out` are filled in, with texts in
 * `room` or borrowed from `c`. */
uint32_t config_settings(const struct config *c, struct oxbow_resp_setting out[CONFIG_SETTINGS_MAX],
                         char room[CONFIG_SETTINGS_MAX][CONFIG_SETTING_TEXT]);
/* How the file is rewritten; `path` is borrowed. An empty one: there is no file. */
struct oxbow_resp_rewrite config_rewriting(const char *path);

#endif
