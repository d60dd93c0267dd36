/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking a store that nobody has open: every page of the data file is read by oxbow's own reader,
 * which trusts nothing it finds, and every value's checksum is verified. Then the journal is read as
 * an open would.
 */
#ifndef OXBOW_CHECK_H
#define OXBOW_CHECK_H

#include "oxbow/oxbow.h"

#ifdef __cplusplus
extern "C" {
#endif

enum oxbow_finding_kind {
    OXBOW_FINDING_META,   /* a meta page is damaged or of another make */
    OXBOW_FINDING_LENGTH, /* the file is shorter than its last page */
    OXBOW_FINDING_PAGE,   /* a page of a tree is damaged, or used twice */
    OXBOW_FINDING_FREE,   /* the list of free pages is damaged */
    OXBOW_FINDING_COUNT,  /* numbers on record differ from what is there */
    OXBOW_FINDING_DIGEST, /* keys are missing, or there are strange ones */
    OXBOW_FINDING_HEADER, /* the header record is missing or damaged */
    OXBOW_FINDING_VALUE,  /* a value fails its checksum: it alone is lost */
    OXBOW_FINDING_LOST,   /* a page is neither used nor free: wasted, no damage */
    OXBOW_FINDING_JOURNAL, /* what was acknowledged, certainly or perhaps, and was only in the journal,
                              cannot be read there */
    OXBOW_FINDING_DOUBT    /* the last commit may be missing. The commit before it is whole and is
                             what the store holds. A commit that failed, and was acknowledged to
                             nobody, leaves this behind, and so could one flipped bit. */
};

struct oxbow_finding {
    enum oxbow_finding_kind kind;
    uint64_t page;    /* of 4096 bytes, from the beginning of the data file */
    const char *text; /* what is wrong; valid during the call */
};

struct oxbow_check_options {
    const struct oxbow_port *port; /* 0: oxbow_port_default() */
    bool skip_values;              /* structure alone */
    void *ctx;
    /* Each may be 0. The first sees every finding, the second how many pages of how many have been
     * seen, about every thousand. */
    void (*finding)(void *ctx, const struct oxbow_finding *finding);
    void (*progress)(void *ctx, uint64_t pages_done, uint64_t pages);
};

struct oxbow_check_report {
    uint64_t lsn;
    uint64_t boot;
    uint64_t store_id;
    uint64_t keys;
    uint64_t pages; /* of the file, up to the last one that was ever used */
    uint64_t branch_pages;
    uint64_t leaf_pages;
    uint64_t overflow_pages;
    uint64_t free_pages;
    uint64_t lost_pages;
    uint64_t values_checked;
    uint64_t values_bad;
    uint64_t damage; /* findings that keep the store from being opened */
    bool closed;     /* it was closed: what is in the journal is in the data file as well */
    bool journal;    /* it had a journal when the data file was last written */
    struct oxbow_recovery recovery; /* what an open would find in the journal; `skipped` is 0 */
};

/* Checks the store in `dir` (zero-terminated). OXBOW_OK means that all of it was looked at: what
 * was found is in *report, and no damage and no bad values mean a sound store. `options` may be
 * NULL.
 * OXBOW_ENOENT   there is no store
 * OXBOW_ELOCKED  it is open
 * OXBOW_EFORMAT  it is of another version, word size, byte order or page size
 * OXBOW_EIO, OXBOW_ENOMEM */
OXBOW_MUST_CHECK enum oxbow_err oxbow_check(const char *dir,
                                            const struct oxbow_check_options *options,
                                            struct oxbow_check_report *report);

#ifdef __cplusplus
}
#endif

#endif
