/* SPDX-License-Identifier: Apache-2.0 */
/* Tells those who wait for a key that a committed transaction put something into it. */
#include "engine/queue/wait.h"

enum oxbow_err wait_touch(struct oxbow_txn *txn, const struct object *object)
{
    return txn_touch(txn, object->tag);
}
