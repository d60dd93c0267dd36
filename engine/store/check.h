/* SPDX-License-Identifier: Apache-2.0 */
/* The walk through a data file, for opening and for oxbow_check. */
#ifndef OXBOW_STORE_CHECK_H
#define OXBOW_STORE_CHECK_H

#include "engine/store/page.h"
#include "oxbow/check.h"

#include <stdbool.h>

struct check_file {
    const struct oxbow_port *port;
    int fd; /* of the port; only read */
    const struct oxbow_check_options *options;
};

/* Walks meta pages, both trees and, unless skipped, every value. What is wrong goes to the options'
 * callback and into the report; only what keeps the walk from being made is an error: OXBOW_EIO,
 * OXBOW_ENOMEM. Reads each page at most once more than it is used, whatever the file holds. */
OXBOW_MUST_CHECK enum oxbow_err check_walk(const struct check_file *file,
                                           struct oxbow_check_report *report);

/* Which commit wrote the trees that a meta page names, by the last record of their free list: every
 * commit but the first of a file frees what it replaces, and puts that there under its own number. 0:
 * there is none, or it cannot be read. `page` has room for one. OXBOW_EIO. */
OXBOW_MUST_CHECK enum oxbow_err check_meta_commit(const struct check_file *file,
                                                  const struct page_meta *meta, uint8_t *page,
                                                  uint64_t *commit);

#endif
