/* SPDX-License-Identifier: Apache-2.0 */
/* What the public functions of the same names do, in a transaction that is in the forward's database
 * already. */
#ifndef OXBOW_QUEUE_FORWARD_HOME_H
#define OXBOW_QUEUE_FORWARD_HOME_H

#include "oxbow/forward.h"

OXBOW_MUST_CHECK enum oxbow_err forward_home_fetch(struct oxbow_txn *txn, const char *name,
                                                   const struct oxbow_forward_fetch *want,
                                                   struct oxbow_result *result,
                                                   struct oxbow_forward_batch *batch);
OXBOW_MUST_CHECK enum oxbow_err forward_home_sent(struct oxbow_txn *txn, const char *name,
                                                  struct oxbow_id position);
OXBOW_MUST_CHECK enum oxbow_err forward_home_confirmed(struct oxbow_txn *txn, const char *name,
                                                       struct oxbow_id position, bool *more);
OXBOW_MUST_CHECK enum oxbow_err forward_home_trim(struct oxbow_txn *txn, const char *name,
                                                  uint64_t *removed, bool *more);
OXBOW_MUST_CHECK enum oxbow_err forward_home_status(struct oxbow_txn *txn, const char *name,
                                                    struct oxbow_forward_status *out);
OXBOW_MUST_CHECK enum oxbow_err forward_home_resync(struct oxbow_txn *txn, const char *name,
                                                    struct oxbow_id target,
                                                    struct oxbow_forward_resync *out);
OXBOW_MUST_CHECK enum oxbow_err forward_home_adopt(struct oxbow_txn *txn, const char *name,
                                                   struct oxbow_id target);

#endif
