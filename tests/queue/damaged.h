/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small store that is damaged in a chosen way, put back as often as a test likes, and all that a
 * store says of itself in one text, to be compared. What fails ends the program.
 */
#ifndef OXBOW_TESTS_QUEUE_DAMAGED_H
#define OXBOW_TESTS_QUEUE_DAMAGED_H

#include "oxbow/oxbow.h"

#include <stddef.h>

#define DAMAGED_FILES 8u
#define DAMAGED_PAGE  4096u

enum damaged_kind {
    DAMAGED_META_0, /* the meta page 0 or 1 is zeros */
    DAMAGED_META_1,
    DAMAGED_LEAF,   /* a bit in the head of a leaf page */
    DAMAGED_BRANCH, /* the same of a branch page */
    DAMAGED_VALUE,  /* a byte of a value in a leaf page */
    DAMAGED_CUT,    /* the end of the file is missing */
    DAMAGED_KINDS   /* nothing */
};

struct damaged_file {
    char name[24];
    uint8_t *bytes;
    size_t len;
};

struct damaged {
    char dir[256];
    struct damaged_file
        files[DAMAGED_FILES]; /* as the end of the process left them; [0] data.mdb */
    size_t count;
    uint8_t *whole; /* data.mdb without damage */
    size_t whole_len;
    size_t used; /* bytes of it up to the last page that was ever used */
};

/* How it is opened: small. */
void damaged_config(const struct damaged *d, struct oxbow_config *out);

const char *damaged_name(enum damaged_kind kind);

/* Makes a store of a list, a stream with a group and a forward in `dir`, with and without something in
 * the journal that is not in the data file, and keeps its files as a crash would leave them. The
 * directory is left as it is. */
void damaged_make(struct damaged *d, const char *dir);
/* Frees, and removes the directory. */
void damaged_free(struct damaged *d);

/* Changes the copy of data.mdb that damaged_put writes; `nth` page of the kind, from 0. False: there
 * are not so many. */
bool damaged_hurt(struct damaged *d, enum damaged_kind kind, unsigned nth);
/* The directory holds the files kept, and nothing else. */
void damaged_put(const struct damaged *d);
/* Whether the damaged file is in quarantine, byte for byte, and no other. */
bool damaged_kept(const struct damaged *d);

/* Every entry and every loss of an open store; one line each, to be freed. NULL when the store has
 * failed. */
char *damaged_describe(struct oxbow *db);

#endif
