/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard's text and its SHA-1, by which EVALSHA names it (a test asks a real server whether the
 * two agree). It has one pass that checks and one that writes, since a script's effects are not
 * rolled back. Ids are compared as decimal text: Lua's numbers are exact only below 2^53.
 */
#include "engine/uplink/guard.h"

#include "oxbow/uplink.h"

/* clang-format off */
const char guard_script[] =
    "local key, cursor = KEYS[1], KEYS[2]\n"
    "local prev, n = ARGV[1], ARGV[2]\n"
    "local at = '0-0'\n"
    "if cursor then\n"
    "  at = redis.call('HGET', cursor, 'pos') or at\n"
    "else\n"
    "  local info = redis.pcall('XINFO', 'STREAM', key)\n"
    "  if not info.err then\n"
    "    for i = 1, #info, 2 do\n"
    "      if info[i] == 'last-generated-id' then at = info[i + 1] break end\n"
    "    end\n"
    "  elseif not string.find(info.err, 'no such key', 1, true) then\n"
    "    return info\n"
    "  end\n"
    "end\n"
    "if n == 'read' or at ~= prev then return {0, at} end\n"
    "n = tonumber(n)\n"
    "local function bad(what) return redis.error_reply('OXBOWBAD ' .. what) end\n"
    "if cursor then\n"
    "  if not n or #ARGV ~= n + 4 then return bad('length') end\n"
    "  redis.call('HSET', cursor, 'pos', at)\n"
    "  if n > 0 then redis.call('RPUSH', key, unpack(ARGV, 5)) end\n"
    "  redis.call('HSET', cursor, 'pos', ARGV[3])\n"
    "  if ARGV[4] ~= '' then redis.call('HSET', cursor, 'gap', ARGV[4]) end\n"
    "  return {1, ARGV[3]}\n"
    "end\n"
    "local function half(a, b)\n"
    "  if #a ~= #b then return #a < #b end\n"
    "  return a < b\n"
    "end\n"
    "local i, ms, seq = 3, string.match(at, '^(%d+)-(%d+)$')\n"
    "for _ = 1, n or 0 do\n"
    "  local m, s = string.match(ARGV[i] or '', '^(%d+)-(%d+)$')\n"
    "  local f = tonumber(ARGV[i + 1] or '')\n"
    "  if not m or not f or f < 2 or f % 2 ~= 0 or f > 7000 then return bad('entry') end\n"
    "  if not (half(ms, m) or (ms == m and half(seq, s))) then return bad('order') end\n"
    "  ms, seq, i = m, s, i + 2 + f\n"
    "end\n"
    "if not n or n < 1 or i ~= #ARGV + 1 then return bad('length') end\n"
    "i = 3\n"
    "for _ = 1, n do\n"
    "  local f = tonumber(ARGV[i + 1])\n"
    "  at = ARGV[i]\n"
    "  redis.call('XADD', key, at, unpack(ARGV, i + 2, i + 1 + f))\n"
    "  i = i + 2 + f\n"
    "end\n"
    "return {1, at}\n";
/* clang-format on */

const char guard_sha1[] = "d5956af1104dfa8166330672160e1facf83da89e";

const char *oxbow_uplink_guard_script(void)
{
    return guard_script;
}
