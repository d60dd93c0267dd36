/* SPDX-License-Identifier: Apache-2.0 */
/*
 * powercut.so: takes a program's power away.
 *
 * Preloaded (LD_PRELOAD) it lets every write below one directory through to the real file, keeps
 * the former bytes of everything that was not synced yet, and, when the power is cut, puts them
 * back, takes back names whose directory was not synced, and kills the process with SIGKILL. What
 * the next process finds is what a device could hold after a power failure, though the kernel's
 * page cache never lost a byte. `kill -9` alone would leave all of it there.
 *
 * A page counts as durable when a sync of its file that started after the write has returned, a
 * name when a sync of its directory has. O_DSYNC writes make their own range durable.
 *
 * Environment, read once at start:
 *
 *   POWERCUT_DIR      the directory, existing or to be made (its parent exists). Unset: no effect.
 *   POWERCUT_SIGNAL   number of the signal that cuts. Default SIGRTMIN+10.
 *   POWERCUT_CTL      a path outside the directory; a FIFO is made there if absent. A line
 *                     "cut [MODE [SEED]]" written into it cuts.
 *   POWERCUT_AT       cut at the n-th event (a write, change of length, change of name: after it; a
 *                     sync: before it), counted from 1.
 *   POWERCUT_AT_MAX   cut at an event drawn from 1..n with the seed, unless POWERCUT_AT is set.
 *   POWERCUT_MODE     what becomes of what was not synced:
 *                       drop     all of it is lost (default)
 *                       keep     none of it is lost (as with kill -9)
 *                       pages    each 4096-byte page is kept or lost by chance
 *                       sectors  each 512-byte sector
 *                       prefix   of the pages, in the order they were first touched, a first part
 * is kept mix      one of the above, by chance Except in drop and keep, each file's new length and,
 * in each directory, a first part of the unsynced name changes are kept by chance as well.
 *   POWERCUT_SEED     of the chances. Default: from the clock and the process id.
 *   POWERCUT_REPORT   a file outside the directory to which the report is appended. Default:
 * stderr. POWERCUT_LIE      "data": fsync, fdatasync and O_DSYNC succeed and do nothing. "dir":
 * syncs of directories do. "1" or "all": both. The program believes that it is durable, and nothing
 * is: sync switched off. POWERCUT_SYNC_US  each sync takes at least so long: a slow device.
 *   POWERCUT_REAL     "0": syncs are not handed to the kernel (faster; the model stays the same).
 *
 * The report is one line of key=value pairs:
 *
 *   powercut pid=… by=signal|ctl|event mode=… seed=… events=… syncs=… files=… pages_lost=…
 *   pages_kept=… bytes_lost=… names_lost=… names_kept=… in_sync=… mid_commit=yes|no lie=…
 *
 * files: with unsynced bytes. in_sync: syncs that were under way. mid_commit: a sync was under way,
 * or a file that had been synced before held unsynced bytes.
 *
 * What tests/support/iohook/iohook.h does not see is not rolled back. A forked child runs without
 * the shim; a program that it executes starts anew with it.
 */
#ifndef OXBOW_TESTS_SUPPORT_POWERCUT_H
#define OXBOW_TESTS_SUPPORT_POWERCUT_H

#include "tests/support/iohook/iohook.h"

#define POWERCUT_PAGE   4096u
#define POWERCUT_SECTOR 512u

enum powercut_mode {
    POWERCUT_DROP,
    POWERCUT_KEEP,
    POWERCUT_PAGES,
    POWERCUT_SECTORS,
    POWERCUT_PREFIX,
    POWERCUT_MIX
};

struct powercut_report {
    uint64_t files, pages_lost, pages_kept, bytes_lost, names_lost, names_kept, in_sync, syncs;
    bool mid_commit;
};

/* ---- undo.c: what is not durable. All under the hook's lock ---- */

#define POWERCUT_LIE_DATA 1u
#define POWERCUT_LIE_DIR  2u
void undo_set_lie(unsigned lie);

/* Puts everything that is not durable back, as `mode` and `seed` say. Once. */
void undo_all(enum powercut_mode mode, uint64_t seed, struct powercut_report *report);

/* ---- names.c: unsynced changes of names ---- */

/* Takes back those that are not durable: all of them, or in each directory a last part. */
void names_undo(enum powercut_mode mode, uint64_t *random, struct powercut_report *report);
void names_set_lie(bool lie);

/* splitmix64. */
uint64_t powercut_random(uint64_t *state);

#endif
