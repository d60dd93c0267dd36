/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OXBOW_GROUP_H
#define OXBOW_GROUP_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

/* A stream's group: both names together, as every function here wants them. */
struct oxbow_group {
    struct oxbow_bytes key;
    struct oxbow_bytes name;
};

struct oxbow_group_create_options {
    struct oxbow_id id;
    bool at_end;      /* `$`: the stream's last id instead of `id` */
    bool make_stream; /* MKSTREAM */
    bool has_entries_read;
    uint64_t entries_read;
};
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_create(struct oxbow_txn *txn, struct oxbow_group group,
                                                   const struct oxbow_group_create_options *opt);
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_set_id(struct oxbow_txn *txn, struct oxbow_group group,
                                                   const struct oxbow_group_create_options *opt);
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_destroy(struct oxbow_txn *txn, struct oxbow_group group,
                                                    bool *existed);
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_consumer_create(struct oxbow_txn *txn,
                                                            struct oxbow_group group,
                                                            struct oxbow_bytes consumer,
                                                            bool *created);
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_consumer_delete(struct oxbow_txn *txn,
                                                            struct oxbow_group group,
                                                            struct oxbow_bytes consumer,
                                                            uint64_t *pending);

struct oxbow_group_read_options {
    bool history;          /* pending entries of this consumer after `after`, instead of new ones */
    struct oxbow_id after; /* with history */
    uint64_t count;        /* 0: no limit */
    bool noack;
};
/* OXBOW_ENOGROUP. No new entries: OXBOW_OK and an empty result. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_read(struct oxbow_txn *txn, struct oxbow_group group,
                                                 struct oxbow_bytes consumer,
                                                 const struct oxbow_group_read_options *opt,
                                                 struct oxbow_result *result);
OXBOW_MUST_CHECK enum oxbow_err oxbow_group_ack(struct oxbow_txn *txn, struct oxbow_group group,
                                                const struct oxbow_id *ids, size_t count,
                                                uint64_t *acked);

#endif
