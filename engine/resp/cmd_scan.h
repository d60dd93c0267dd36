/* SPDX-License-Identifier: Apache-2.0 */
/* What SCAN, HSCAN, SSCAN and ZSCAN share. */
#ifndef OXBOW_RESP_CMD_SCAN_H
#define OXBOW_RESP_CMD_SCAN_H

#include "engine/resp/command.h"

#define RESP_SCAN_MAX 1000u /* looked at in one call, whatever COUNT says */

struct resp_scan {
    uint64_t cursor;
    size_t count;
    const struct oxbow_bytes *match; /* NULL: all */
    const struct oxbow_bytes *type;  /* likewise; of SCAN alone */
};

/* Reads the cursor at argument `at` and the options after it. False: that was refused. */
bool resp_scan_parse(struct resp_call *call, uint32_t at, bool types, struct resp_scan *scan);
/* The reply's beginning: an array of two, the cursor first. */
void resp_scan_cursor(struct resp_call *call, uint64_t cursor);

/* HSCAN, SSCAN, ZSCAN, by `scan`, which is oxbow_hash_scan or its like: a member is every `step`-th item
 * of the result, and `beside` (NULL: nothing) adds what comes after the one at `i`. */
OXBOW_MUST_CHECK enum oxbow_err resp_scan_members(
    struct resp_call *call,
    enum oxbow_err (*scan)(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t *cursor,
                           size_t count, struct oxbow_result *result),
    size_t step, void (*beside)(struct resp_call *call, size_t i));

#endif
