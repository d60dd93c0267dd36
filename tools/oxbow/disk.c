/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds a directory's block device by its number in /sys/dev/block and reads its counters. A
 * partition has counters of its own, but for flushes, and no queue: those are its parent's.
 */
#include "tools/oxbow/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SECTOR_BYTES 512u

static void read_line(const char *path, char *out, size_t len)
{
    FILE *f = fopen(path, "r");

    if (f == NULL || fgets(out, (int)len, f) == NULL) {
        out[0] = '\0';
    }
    out[strcspn(out, "\n")] = '\0';
    if (f != NULL) {
        fclose(f);
    }
}

void disk_find(const char *dir, struct disk *out)
{
    char path[64];
    char link[512];
    char attribute[96];
    struct stat st;
    const char *parent;
    const char *name;
    ssize_t len;

    memset(out, 0, sizeof *out);
    if (stat(dir, &st) != 0) {
        return;
    }
    (void)snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
    len = readlink(path, link, sizeof link - 1);
    if (len <= 0) {
        return; /* a file system without a device of its own, like tmpfs or overlayfs */
    }
    link[len] = '\0';
    name = strrchr(link, '/');
    (void)snprintf(out->name, sizeof out->name, "%.31s", name != NULL ? name + 1 : link);
    (void)snprintf(attribute, sizeof attribute, "%s/partition", path);
    parent = access(attribute, F_OK) == 0 ? "/.." : "";
    (void)snprintf(out->stat_path, sizeof out->stat_path, "%s/stat", path);
    (void)snprintf(out->flush_path, sizeof out->flush_path, "%s%s/stat", path, parent);
    (void)snprintf(attribute, sizeof attribute, "%s%s/queue/write_cache", path, parent);
    read_line(attribute, out->write_cache, sizeof out->write_cache);
}

/* The n-th number of the file's first line, counted from 1; false when it has fewer. */
static bool read_number(const char *path, unsigned n, uint64_t *out)
{
    char line[512];
    char *end = line;

    read_line(path, line, sizeof line);
    for (unsigned i = 0; i < n; i++) {
        const char *at = end;

        *out = strtoull(at, &end, 10);
        if (end == at) {
            return false;
        }
    }
    return true;
}

bool disk_read(const struct disk *disk, struct disk_count *out)
{
    uint64_t sectors;

    if (!read_number(disk->stat_path, 7, &sectors)) {
        return false;
    }
    out->bytes = sectors * SECTOR_BYTES;
    if (!read_number(disk->flush_path, 16, &out->flushes)) {
        out->flushes = 0; /* Linux before 5.5 does not count them */
    }
    return true;
}
