/* SPDX-License-Identifier: Apache-2.0 */
/* Commands to a Redis server: arrays of bulk strings, written into a buffer. */
#ifndef OXBOW_UPLINK_COMMAND_H
#define OXBOW_UPLINK_COMMAND_H

#include "engine/base/buf.h"
#include "oxbow/types.h"

/* A command of `count` arguments begins; exactly so many command_* calls follow. All give
 * OXBOW_ENOMEM or OXBOW_ETOOBIG; the caller then cuts the buffer back to where it began. */
OXBOW_MUST_CHECK enum oxbow_err command_begin(struct buf *out, size_t count);
OXBOW_MUST_CHECK enum oxbow_err command_bytes(struct buf *out, struct oxbow_bytes arg);
OXBOW_MUST_CHECK enum oxbow_err command_text(struct buf *out, const char *arg);
OXBOW_MUST_CHECK enum oxbow_err command_u64(struct buf *out, uint64_t arg);
OXBOW_MUST_CHECK enum oxbow_err command_id(struct buf *out, struct oxbow_id arg);

/* A whole command of texts, the list ended by NULL. Cuts the buffer back by itself. */
OXBOW_MUST_CHECK enum oxbow_err command_put(struct buf *out, const char *const *args);

#endif
