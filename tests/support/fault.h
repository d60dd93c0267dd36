/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port that fails on purpose: the n-th file call, or the n-th allocation.
 *
 * It wraps another port, counts what passes through, and holds every allocation to account, so that
 * a test can run the same scenario with n = 1, 2, 3 ... until a run no longer meets its fault, and
 * assert both how many faults there were and that nothing leaked:
 *
 *     for (uint64_t n = 1;; n++) {
 *         fault_init(&f, oxbow_port_default());
 *         fault_arm_alloc(&f, n, 1);
 *         ... the scenario, with config.port = &f.port; it must work or report ...
 *         fault_disarm(&f);
 *         assert_int_equal(f.live_bytes, 0);
 *         if (f.alloc_failed == 0)
 *             break;
 *         points++;
 *     }
 *     assert_true(points > 20);
 *
 * Only calls through the port are seen: what LMDB itself asks of the C library is not among them.
 * Everything may be called from any thread; arming while other threads use the port is not
 * meaningful but harmless.
 */
#ifndef OXBOW_TESTS_SUPPORT_FAULT_H
#define OXBOW_TESTS_SUPPORT_FAULT_H

#include "oxbow/port.h"

#include <stdatomic.h>

/* The file calls, as bits for fault_arm_files. */
#define FAULT_OPEN     0x0001u
#define FAULT_CLOSE    0x0002u /* the handle is closed all the same */
#define FAULT_SIZE     0x0004u
#define FAULT_READ     0x0008u
#define FAULT_WRITE    0x0010u /* half of it is written before it fails */
#define FAULT_TRUNCATE 0x0020u
#define FAULT_RESERVE  0x0040u
#define FAULT_SYNC     0x0080u
#define FAULT_SYNC_DIR 0x0100u
#define FAULT_RENAME   0x0200u
#define FAULT_UNLINK   0x0400u
#define FAULT_MKDIR    0x0800u
#define FAULT_LOCK     0x1000u
#define FAULT_SPACE    0x2000u
#define FAULT_KEEP     0x4000u
#define FAULT_PUNCH    0x8000u
#define FAULT_OCCUPIED 0x10000u
#define FAULT_SAME     0x20000u
#define FAULT_ALL      0x3ffffu
/* What a device or file system that is full, read-only or broken refuses first. */
#define FAULT_WRITING                                                                              \
    (FAULT_WRITE | FAULT_TRUNCATE | FAULT_RESERVE | FAULT_SYNC | FAULT_SYNC_DIR | FAULT_RENAME |   \
     FAULT_UNLINK | FAULT_MKDIR | FAULT_PUNCH)

struct fault {
    struct oxbow_port port;        /* give &fault.port to oxbow_config.port */
    const struct oxbow_port *base; /* where calls that do not fail go */

    atomic_uint_least64_t file_calls; /* of the armed kinds, since armed (all kinds at init) */
    atomic_uint_least64_t file_failed;
    atomic_uint_least64_t alloc_calls; /* since armed */
    atomic_uint_least64_t alloc_failed;
    atomic_int_least64_t live_bytes;  /* allocated and not freed, since init */
    atomic_uint_least64_t log_errors; /* lines of level error, since init */

    /* Set by the arm functions. */
    atomic_uint_least64_t file_first, file_last; /* calls that fail, counted from 1; 0: none */
    atomic_uint_least64_t alloc_first, alloc_last;
    atomic_uint_least32_t file_kinds;
    atomic_int file_err;
    atomic_bool verbose; /* pass log lines on; they are swallowed otherwise, but for OXBOW_FAULT_LOG
                            in the environment */
};

/* Nothing is armed. `base` must outlive the fault; so must everything opened with the port. */
void fault_init(struct fault *f, const struct oxbow_port *base);

/* Fails `count` file calls (UINT64_MAX: all) of the given kinds with `err`, from the n-th on,
 * counted from 1. The counters of files start again. */
void fault_arm_files(struct fault *f, uint32_t kinds, uint64_t n, uint64_t count,
                     enum oxbow_err err);

/* Fails `count` allocations from the n-th on. The counters of allocations start again. */
void fault_arm_alloc(struct fault *f, uint64_t n, uint64_t count);

/* Nothing fails any more. The counters stay. */
void fault_disarm(struct fault *f);

#endif
