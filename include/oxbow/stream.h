/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OXBOW_STREAM_H
#define OXBOW_STREAM_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

/* Which id an added entry gets. AUTO: `*`. PARTIAL: `ms-*`. EXPLICIT: `ms-seq`. */
enum oxbow_id_mode { OXBOW_ID_AUTO = 0, OXBOW_ID_PARTIAL = 1, OXBOW_ID_EXPLICIT = 2 };

enum oxbow_trim_by { OXBOW_TRIM_NONE = 0, OXBOW_TRIM_MAXLEN = 1, OXBOW_TRIM_MINID = 2 };

struct oxbow_stream_trim {
    enum oxbow_trim_by by;
    uint64_t maxlen;
    struct oxbow_id minid;
    bool approx;    /* `~`: whole chunks only */
    uint64_t limit; /* with approx: entries removed at most; 0: 10,000, as Redis' default */
};

struct oxbow_stream_add_options {
    enum oxbow_id_mode id_mode;
    struct oxbow_id id;
    bool no_create; /* NOMKSTREAM: OXBOW_EAGAIN and nothing added if there is no such stream */
    struct oxbow_stream_trim trim;
};

OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 const struct oxbow_stream_add_options *opt,
                                                 const struct oxbow_field *fields,
                                                 uint32_t field_count, struct oxbow_id *id);
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_len(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 uint64_t *len);

struct oxbow_stream_range {
    struct oxbow_id from; /* inclusive */
    struct oxbow_id to;   /* inclusive; for everything: OXBOW_ID_MIN, OXBOW_ID_MAX */
    uint64_t count;       /* entries at most; 0: no limit */
    uint64_t bytes;       /* stop after about so many bytes, never before one entry; 0: no limit */
    bool reverse;         /* newest first */
};
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_range(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                   const struct oxbow_stream_range *range,
                                                   struct oxbow_result *result);
/* Entries with an id greater than `after` (XREAD without blocking). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_read(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  struct oxbow_id after, uint64_t count,
                                                  struct oxbow_result *result);
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_trim(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  const struct oxbow_stream_trim *trim,
                                                  uint64_t *removed);
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_delete(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                    const struct oxbow_id *ids, size_t count,
                                                    uint64_t *removed);

struct oxbow_stream_set_id_options {
    struct oxbow_id last_id;
    bool has_entries_added;
    uint64_t entries_added;
    bool has_max_deleted_id;
    struct oxbow_id max_deleted_id;
};
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_set_id(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                    const struct oxbow_stream_set_id_options *opt);

struct oxbow_stream_info {
    uint64_t length;
    uint64_t chunks;
    uint64_t bytes; /* of entries, as stored */
    struct oxbow_id last_id;
    struct oxbow_id max_deleted_id;
    uint64_t entries_added;
    struct oxbow_id recorded_first_id;
    uint64_t groups;
};
OXBOW_MUST_CHECK enum oxbow_err oxbow_stream_info(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  struct oxbow_stream_info *info);

#endif
