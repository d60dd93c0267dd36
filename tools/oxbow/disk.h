/* SPDX-License-Identifier: Apache-2.0 */
/* What the system knows of the block device under a directory: /sys, where there is one. */
#ifndef OXBOW_TOOLS_DISK_H
#define OXBOW_TOOLS_DISK_H

#include <stdbool.h>
#include <stdint.h>

struct disk {
    char name[32];        /* "mmcblk0p2"; "": there is none, or it is not known */
    char write_cache[32]; /* "write back", "write through"; "": not known */
    char stat_path[96];
    char flush_path[96];
};

/* Counters since the system started, of everybody's writes. */
struct disk_count {
    uint64_t bytes;   /* written */
    uint64_t flushes; /* of the device's cache; counted for whole devices alone */
};

void disk_find(const char *dir, struct disk *out);
/* False where there are no counters. */
bool disk_read(const struct disk *disk, struct disk_count *out);

#endif
