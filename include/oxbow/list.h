/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OXBOW_LIST_H
#define OXBOW_LIST_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum oxbow_end { OXBOW_LEFT = 0, OXBOW_RIGHT = 1 };

OXBOW_MUST_CHECK enum oxbow_err oxbow_list_push(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                enum oxbow_end end,
                                                const struct oxbow_bytes *values, size_t count,
                                                uint64_t *len);
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_push_existing(struct oxbow_txn *txn,
                                                         struct oxbow_bytes key, enum oxbow_end end,
                                                         const struct oxbow_bytes *values,
                                                         size_t count, uint64_t *len);
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_pop(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               enum oxbow_end end, size_t count,
                                               struct oxbow_result *result);
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_len(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               uint64_t *len);
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_range(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 int64_t start, int64_t stop,
                                                 struct oxbow_result *result);
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_index(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 int64_t idx, struct oxbow_result *result);
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_set(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               int64_t idx, struct oxbow_bytes value);
/* *len: length after, -1 pivot not found, 0 no such key (LINSERT). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_insert(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  bool before, struct oxbow_bytes pivot,
                                                  struct oxbow_bytes value, int64_t *len);
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_remove(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  int64_t count, struct oxbow_bytes value,
                                                  uint64_t *removed);
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_trim(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                int64_t start, int64_t stop);
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_move(struct oxbow_txn *txn, struct oxbow_bytes from,
                                                struct oxbow_bytes to, enum oxbow_end from_end,
                                                enum oxbow_end to_end, struct oxbow_result *result);

struct oxbow_list_pos_options {
    int64_t rank;    /* 0: 1; negative: from the right */
    uint64_t count;  /* 0: all, when `many`; ignored otherwise */
    uint64_t maxlen; /* elements compared at most; 0: all */
    bool many;
};
/* Positions in the order found, at most `max` of them; *count is how many there are in `pos`. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_list_pos(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               struct oxbow_bytes value,
                                               const struct oxbow_list_pos_options *opt,
                                               struct oxbow_result *result);

#ifdef __cplusplus
}
#endif

#endif
