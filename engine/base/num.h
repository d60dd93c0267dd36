/* SPDX-License-Identifier: Apache-2.0 */
/* Strict numbers: the whole text is the number, in its one form (no sign '+', no leading zeros, no
 * blanks), or OXBOW_EPARSE. */
#ifndef OXBOW_BASE_NUM_H
#define OXBOW_BASE_NUM_H

#include "oxbow/error.h"
#include "oxbow/types.h"

#define NUM_TEXT_MAX 21u /* "-9223372036854775808", and the closing zero */

OXBOW_MUST_CHECK enum oxbow_err num_u64(struct oxbow_bytes text, uint64_t *out);
OXBOW_MUST_CHECK enum oxbow_err num_i64(struct oxbow_bytes text, int64_t *out);
/* Decimal text with a closing zero; returns the length without it. */
size_t num_u64_text(char out[NUM_TEXT_MAX], uint64_t v);
size_t num_i64_text(char out[NUM_TEXT_MAX], int64_t v);

#endif
