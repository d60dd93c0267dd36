/* SPDX-License-Identifier: Apache-2.0 */
/* The identity after damage. For mend_forward.c. */
#ifndef OXBOW_QUEUE_IDENTITY_H
#define OXBOW_QUEUE_IDENTITY_H

#include "engine/store/kv.h"

/* Where the identity's record is. */
#define IDENTITY_KEY ((struct oxbow_bytes){"\x40i", 2})

/* Makes the record from its copy, or the copy from the record. OXBOW_ENOENT: neither is there. */
OXBOW_MUST_CHECK enum oxbow_err identity_mend(struct oxbow_txn *txn);

#endif
