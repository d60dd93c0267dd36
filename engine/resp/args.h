/* SPDX-License-Identifier: Apache-2.0 */
/* What arguments say: words in any case, strict numbers, timeouts. */
#ifndef OXBOW_RESP_ARGS_H
#define OXBOW_RESP_ARGS_H

#include "oxbow/types.h"

#include <stdbool.h>

/* Whether it is the word, which is given in lower case. */
bool resp_arg_is(struct oxbow_bytes arg, const char *word);
/* A 64-bit integer in its one form; false: it is none. */
bool resp_arg_int(struct oxbow_bytes arg, int64_t *out);
/* A double, infinities among them and no NaN; false: it is none. */
bool resp_arg_double(struct oxbow_bytes arg, double *out);
/* Seconds with a fraction, to microseconds; 0: for ever. NULL, or what is to be replied. */
const char *resp_arg_timeout(struct oxbow_bytes arg, uint64_t *us);

#endif
