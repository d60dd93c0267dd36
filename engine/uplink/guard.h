/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard: the script that every batch runs through at the target. It appends only if the
 * target's position is the one that the batch follows, and then all of it.
 *
 *   stream   KEYS: the stream                ARGV: prev, n, then n times: id, fields, f, v, ...
 *   list     KEYS: the list, the cursor key  ARGV: prev, n, last, gap, then n elements
 *
 * `fields` counts names and values together. With n = "read" nothing is changed. The replies:
 *   {1, position}   applied; the position is that of the batch's last entry
 *   {0, position}   not applied; that is where the target is
 *   -OXBOWBAD ...   the batch is malformed; nothing was written
 *   any other error passed through (WRONGTYPE, OOM, NOPERM); nothing was written
 */
#ifndef OXBOW_UPLINK_GUARD_H
#define OXBOW_UPLINK_GUARD_H

#define GUARD_FIELDS_MAX 7000u /* names and values of one entry: Lua's stack */

extern const char guard_script[];
extern const char guard_sha1[]; /* of it, in hex */

#endif
