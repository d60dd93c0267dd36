/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of everything that one run did to its files: what iohook tells, in order.
 *
 * Files are named by their inode, paths are relative to the directory above the watched one. One
 * record per process; it is filled under the hook's lock and read when nobody writes.
 */
#ifndef OXBOW_TESTS_CRASH_RECORD_H
#define OXBOW_TESTS_CRASH_RECORD_H

#include "tests/crash/harness.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
    EVENT_WRITE,   /* file, pos, len, data */
    EVENT_RESIZE,  /* file, pos: the new length */
    EVENT_ZERO,    /* file, pos, len */
    EVENT_SYNC,    /* file, pos, len, begin; recorded when it has succeeded */
    EVENT_FAILED,  /* a sync that failed: file (0: of a directory, path), pos, len, begin */
    EVENT_CREATE,  /* path, file (0: not a regular one) */
    EVENT_UNLINK,  /* path */
    EVENT_RENAME,  /* from, path, file */
    EVENT_MKDIR,   /* path */
    EVENT_RMDIR,   /* path */
    EVENT_DIRSYNC, /* path, begin */
    EVENT_ISSUE,   /* number: so many commits were begun */
    EVENT_ACK,     /* number: so many commits are said to be durable */
    EVENT_WRITTEN, /* number: so many commits are said to outlive the process */
    EVENT_OPENED,  /* oxbow_open has succeeded; number: of the store */
    EVENT_KINDS
};

#define EVENT_OF_MEMORY 1u

struct event {
    enum event_kind kind;
    uint64_t file;
    uint64_t pos, len;
    uint64_t number; /* of a sync: EVENT_OF_MEMORY, it settles the event before it */
    size_t begin;    /* of a sync: the number of events when it started */
    uint8_t *data;   /* of a write */
    char *path, *from;
};

struct record {
    struct event *events;
    size_t count, cap;
    uint64_t kinds[EVENT_KINDS];
};

/* The record. Its events belong to it until the next recorder_start. */
const struct record *recorder_get(void);

/* Forgets everything and watches <base>/<name>; `base` is an absolute path without links. */
void recorder_start(const char *base, const char *name);
void recorder_stop(void);
void recorder_fini(void); /* stops and frees */

/* EVENT_ISSUE, EVENT_ACK, EVENT_WRITTEN, EVENT_OPENED. */
void recorder_mark(enum event_kind kind, uint64_t number);

/* What the device does not do though it says so. */
#define RECORD_LIE_DATA 1u
#define RECORD_LIE_DIR  2u
void recorder_lie(unsigned lie);

/* What is below that path, relative to the directory above the watched one, lies in memory: it is there as
 * soon as it is written, synced or not. For all records from then on; NULL: nothing does. */
void recorder_memory(const char *path);

/* One sync in so many fails, by chance; 0: none does. */
void recorder_fail(unsigned one_in, uint64_t seed);

const char *event_name(enum event_kind kind);
/* Prints the event on stderr, one line. */
void event_print(size_t idx, const struct event *e);

#endif
