/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making the data file of a store that nobody has open as short as its data: a new file beside it
 * with all values in order, which then takes its place.
 *
 * A store gives most free space back by itself while it works, as holes (docs/STORAGE.md). This is
 * for a file that is to be short as well: before it is copied away, or on a file system without
 * holes.
 */
#ifndef OXBOW_COMPACT_H
#define OXBOW_COMPACT_H

#include "oxbow/error.h"
#include "oxbow/port.h"

#ifdef __cplusplus
extern "C" {
#endif

struct oxbow_compact_report {
    uint64_t keys;
    uint64_t file_bytes; /* of the data file, before */
    uint64_t new_bytes;  /* and after; 0: it was not made */
    uint64_t need_bytes; /* that must be free on the file system: the pages in use, and some */
    uint64_t free_bytes; /* that are; UINT64_MAX: the port cannot say */
};

struct oxbow_compact_options {
    const struct oxbow_port *port; /* 0: oxbow_port_default() */
    void *ctx;
    /* Each may be 0. The first is called once what is needed is known, before anything is made; the
     * second about every thousand keys. */
    void (*begin)(void *ctx, const struct oxbow_compact_report *report);
    void (*progress)(void *ctx, uint64_t keys_done, uint64_t keys);
};

/* Compacts the store in `dir` (zero-terminated). Whatever moment the power goes, the store is as it
 * was or compacted, with the same content and LSN, and its journal still belongs to it. After an
 * error it is as it was. `options` may be NULL; *report is filled in as far as it came.
 * OXBOW_ENOENT    there is no store
 * OXBOW_ELOCKED   it is open
 * OXBOW_EFORMAT   it is of another version, word size, byte order or page size
 * OXBOW_ECORRUPT  something in it is damaged: repair it first
 * OXBOW_ENOSPC    fewer than need_bytes are free
 * OXBOW_EREADONLY, OXBOW_EIO, OXBOW_ENOMEM */
OXBOW_MUST_CHECK enum oxbow_err oxbow_compact(const char *dir,
                                              const struct oxbow_compact_options *options,
                                              struct oxbow_compact_report *report);

#ifdef __cplusplus
}
#endif

#endif
