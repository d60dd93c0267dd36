/* SPDX-License-Identifier: Apache-2.0 */
/* Who owns each page of a data file: a walker of its own, which shares no code with the store. */
#ifndef OXBOW_TESTS_CRASH_PAGES_H
#define OXBOW_TESTS_CRASH_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pages_report {
    uint64_t last; /* the number of the last page that is in use */
    uint64_t branch, leaf, overflow, free_listed;
    uint64_t entries; /* of all trees */
    char fault[160];  /* empty: none */
};

/* Walks the newest state of the file at `path` (64-bit, pages of 4096 bytes). True when each page
 * up to the last is exactly one of: a meta page, reached once, or on the free list; when no two
 * keys of a tree are out of order; and when the counts that the file keeps are right. */
bool pages_check(const char *path, struct pages_report *report);

#endif
