/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scripts in Lua 5.1 for the server of the Redis protocol: EVAL and its like.
 *
 * To be given to oxbow_resp_open (struct oxbow_resp_config, `scripting`). An archive of its own, so
 * that who wants no scripts links no Lua. Scripts see what Redis 7.0 gives them: KEYS, ARGV, redis,
 * cjson, cmsgpack, struct, bit, and Lua's own libraries but for what reaches outside.
 */
#ifndef OXBOW_LUA_H
#define OXBOW_LUA_H

#ifdef __cplusplus
extern "C" {
#endif

struct oxbow_scripting;

/* Static, read-only. */
const struct oxbow_scripting *oxbow_lua(void);

#ifdef __cplusplus
}
#endif

#endif
