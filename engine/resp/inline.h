/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of an inline command, as Redis' sdssplitargs takes them apart: blanks between them,
 * "double quotes" with \n \r \t \b \a \xHH and \any, 'single quotes' with \' alone.
 */
#ifndef OXBOW_RESP_INLINE_H
#define OXBOW_RESP_INLINE_H

#include "engine/resp/reader.h"

enum inline_arg { INLINE_ARG, INLINE_END, INLINE_UNBALANCED };

/* The next word at or after *at, unquoted in place: never longer than it was. *at moves behind it.
 * The line has no zero byte. */
enum inline_arg inline_next(uint8_t *line, size_t len, size_t *at, struct resp_span *out);

#endif
