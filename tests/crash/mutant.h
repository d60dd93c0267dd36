/* SPDX-License-Identifier: Apache-2.0 */
/* Stores that are broken on purpose: the lab must catch them, or the lab is broken. */
#ifndef OXBOW_TESTS_CRASH_MUTANT_H
#define OXBOW_TESTS_CRASH_MUTANT_H

#include <stdbool.h>
#include <stdint.h>

/* What is broken. Several at once make a mutant. */
#define BREAK_SYNC        0x001u /* fdatasync, fsync and O_DSYNC do nothing */
#define BREAK_DIR_SYNC    0x002u /* fsync of a directory does nothing */
#define BREAK_RING_DIR    0x004u /* likewise, but only where the journal is made */
#define BREAK_LSN         0x008u /* the LSN is committed in a transaction of its own, after */
#define BREAK_CRC         0x010u /* no frame's checksum is looked at */
#define BREAK_CHAIN       0x020u /* nor whether it follows the one before */
#define BREAK_INCARNATION 0x040u /* nor which life of the store wrote it */
#define BREAK_JUMP        0x080u /* after a crash LSNs go on where they were found */
#define BREAK_RECYCLE     0x100u /* a segment is written over before its checkpoint */
#define BREAK_PREDECESSOR 0x200u /* a sync leaves out the segment before the newest */

/* In what workload it shows. */
enum mutant_plan {
    PLAN_SHORT, /* making a store, and a few commits */
    PLAN_LIVES, /* a store that goes on from its power cuts */
    PLAN_RING,  /* many small commits, and a device on which checkpoints take long */
    PLAN_FLOOD  /* the same, and nobody waits for the device */
};

struct mutant {
    const char *name;
    unsigned broken;
    enum mutant_plan plan;
    bool survives; /* others of the store's defences hold: it must not be caught */
};

/* [0] is the store as it is. NULL past the last. */
const struct mutant *mutant_at(unsigned idx);
const struct mutant *mutant_find(const char *name); /* NULL */

/* From now on. */
void mutant_set(const struct mutant *m);

#endif
