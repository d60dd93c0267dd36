/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of keys, channels and option names, as Redis matches them: * ? [abc] [^a-z] and \ for
 * a character that means itself. Redis' oddities are kept: a class need not be closed, a range may
 * run backwards, and no pattern but the empty one matches the empty text.
 */
#ifndef OXBOW_RESP_GLOB_H
#define OXBOW_RESP_GLOB_H

#include "oxbow/types.h"

#include <stdbool.h>

/* Whether the whole text matches. With any_case, ASCII letters match in either case. The work is
 * at most the product of both lengths. Any thread. */
bool resp_glob(struct oxbow_bytes pattern, struct oxbow_bytes text, bool any_case);

#endif
