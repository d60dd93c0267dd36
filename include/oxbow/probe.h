/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures a device before a store is trusted to it: how long a sync takes, whether it can be true,
 * whether files made ahead help there, and what follows for the sync policy.
 *
 * Nothing here proves that a sync reaches the flash: only a power cut does. What is measured is the
 * least that a device must show.
 */
#ifndef OXBOW_PROBE_H
#define OXBOW_PROBE_H

#include "oxbow/error.h"
#include "oxbow/port.h"
#include "oxbow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The first one first, then four rounds of the others, there and back: each writes blocks of 4 KiB
 * with a sync after each. */
enum oxbow_probe_stage {
    OXBOW_PROBE_SEQUENTIAL, /* a file of zeros, with one sync at its end */
    OXBOW_PROBE_ZEROED,     /* over that file: what the journal does */
    OXBOW_PROBE_RESERVED,   /* into a file that was reserved, never written */
    OXBOW_PROBE_GROWING,    /* at the end of a file that grows */
    OXBOW_PROBE_STAGES
};

/* All zero means default, but for `dir`. */
struct oxbow_probe_options {
    const char *dir;               /* an existing directory on the device; may be a store's */
    const struct oxbow_port *port; /* 0: oxbow_port_default() */
    uint32_t time_ms;              /* about how long it may take; 0: 5000. Looked at between two
                                      syncs, and each stage does four at least */
    uint32_t bytes;                /* the most that is written; at least 1 MiB; 0: 32 MiB */
    void *ctx;
    /* Called before (`begins`) and after each stage, in each round, for example to read the device's own counters;
     * an answer of true ends the probe with OXBOW_ECANCELED. 0: nothing is called. */
    bool (*watch)(void *ctx, enum oxbow_probe_stage stage, bool begins);
};

/* Writes of 4 KiB with a sync each, in microseconds. */
struct oxbow_probe_syncs {
    uint32_t count; /* 0: not possible there, and all others are 0 */
    uint32_t least_us;
    uint32_t median_us;
    uint32_t p99_us; /* the largest when there were fewer than 100 */
    uint32_t most_us;
    uint32_t mean_us;
};

#define OXBOW_PROBE_VOLATILE 0x01u /* a file system in memory: nothing survives a power cut */
#define OXBOW_PROBE_TOO_FAST 0x02u /* median under OXBOW_PROBE_LEAST_US: the sync probably lies */
#define OXBOW_PROBE_STALLS   0x04u /* a sync took over a second */
#define OXBOW_PROBE_LEAST_US 30u

struct oxbow_probe {
    char kind[16]; /* of the file system; "": not known */
    uint64_t free_bytes;
    uint64_t total_bytes;                               /* 0: not known */
    struct oxbow_probe_syncs syncs[OXBOW_PROBE_STAGES]; /* SEQUENTIAL's are 0 */
    uint32_t blocks[OXBOW_PROBE_STAGES];                /* of 4 KiB, written in each stage */
    uint64_t sequential_per_s;                          /* bytes, the sync included */
    /* Estimates of durable pushes a second under `always`, with a journal as fast as the overwriting
     * of a zero-filled file: one producer; 16 that wait at the same time, at 7.5 pushes to a sync. */
    uint64_t pushes_1;
    uint64_t pushes_16;
    uint32_t interval_ms; /* the shortest `interval` to be advised: ten times p99, rounded up */
    uint32_t flags;       /* OXBOW_PROBE_* */
};

/* Makes three files in the directory, measures with them, and removes them again, whatever it
 * returns.
 * OXBOW_EINVAL    an option out of its range
 * OXBOW_ENOENT    there is no such directory
 * OXBOW_EREADONLY it cannot be written to
 * OXBOW_ENOTSUP   a network file system: no store can be there
 * OXBOW_ENOSPC    less is free than `bytes` and a MiB, or the device became full meanwhile
 * OXBOW_ECANCELED, OXBOW_EIO, OXBOW_ENOMEM, OXBOW_ESYS */
OXBOW_MUST_CHECK enum oxbow_err oxbow_probe(const struct oxbow_probe_options *options,
                                            struct oxbow_probe *out);

#ifdef __cplusplus
}
#endif

#endif
