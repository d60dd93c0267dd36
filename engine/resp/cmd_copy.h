/* SPDX-License-Identifier: Apache-2.0 */
/* Copying a key by what it holds, for COPY. */
#ifndef OXBOW_RESP_CMD_COPY_H
#define OXBOW_RESP_CMD_COPY_H

#include "engine/resp/server.h"

struct resp_copying {
    struct oxbow_bytes from; /* in the client's database */
    struct oxbow_bytes to;
    uint32_t database; /* of `to` */
    bool replace;
};

/* As oxbow_key_copy, of a list, hash, set or sorted set: value by value, however long these are.
 * OXBOW_ENOTSUP: of any other type. After an error the transaction may have been changed. */
OXBOW_MUST_CHECK enum oxbow_err resp_copy_values(struct resp_call *call,
                                                 const struct resp_copying *c, bool *copied);

#endif
