/* SPDX-License-Identifier: Apache-2.0 */
/* Files of text that are replaced as a whole, and for good: there is the old one or the new one, whatever
 * happens on the way. */
#ifndef OXBOWD_FILE_H
#define OXBOWD_FILE_H

#include "oxbow/error.h"
#include "oxbow/types.h"

#include <stdbool.h>
#include <stddef.h>

/* What errno means. */
enum oxbow_err file_error(int error);
/* Writes a new file of the same rights beside it, and has it take the name when it is on the device.
 * `fits` looks at it before that; false: OXBOW_EINVAL. NULL: nobody does. OXBOW_ENOENT, OXBOW_EREADONLY,
 * OXBOW_ENOSPC, OXBOW_EIO, OXBOW_ETOOBIG (the path). */
OXBOW_MUST_CHECK enum oxbow_err file_replace(const char *path, const void *text, size_t len,
                                             bool (*fits)(void *ctx, const char *fresh), void *ctx);

#endif
