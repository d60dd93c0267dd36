/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device may hold when the power fails after some event of a record.
 *
 * A disk follows a record event by event. It knows what is surely there (the base) and what is in
 * flight: writes, lengths and names that no sync covers. What is in flight falls into units, each
 * of which may have reached the device or not, independently of the others and of their order: the
 * pages of each write, each change of length or name, and each file's length.
 */
#ifndef OXBOW_TESTS_CRASH_DISK_H
#define OXBOW_TESTS_CRASH_DISK_H

#include "tests/crash/record.h"

#define DISK_PAGE   4096u
#define DISK_SECTOR 512u
/* The directory above the store, to which paths are relative. */
#define DISK_TOP ""

enum unit_kind {
    UNIT_PAGE,   /* the part of a write that lies in one page */
    UNIT_CHANGE, /* of a length, or zeroing */
    UNIT_LENGTH, /* the file is as long as it was in memory */
    UNIT_NAME
};

struct unit {
    enum unit_kind kind;
    size_t file;  /* index into the disk's files */
    size_t event; /* which began it; UNIT_LENGTH: the newest of the file */
    uint64_t page;
};

/* What a power cut left: files by name. Pages are borrowed from the disk until it advances, but for
 * those that belong to the image. */
struct image;

struct disk;

/* Starts from what is below `base` now (NULL: nothing). */
struct disk *disk_open(const struct record *record, const char *base);
void disk_close(struct disk *d);

/* Takes one more event of the record in. */
void disk_advance(struct disk *d);
size_t disk_event(const struct disk *d); /* how many it has taken in */

/* The units in flight, in the order of their events. Borrowed until the disk advances. */
const struct unit *disk_units(struct disk *d, size_t *count);

#define DISK_ALL 0xffu /* of a unit: all sectors */

/* The image with those units whose keep[i] is not 0: of a page those sectors whose bits are set.
 * With `garbage`, what an unsynced growth added and no write filled is not zeros: the device's old
 * blocks show through, pages of other files among them. */
struct image *disk_image(struct disk *d, const uint8_t *keep, uint64_t garbage);
void image_free(struct image *i);
/* Equal images have equal hashes. */
uint64_t image_hash(const struct image *i);
/* Writes the files below `base`, which must exist and be empty. */
void image_write(const struct image *i, const char *base);

#endif
