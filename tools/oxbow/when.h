/* SPDX-License-Identifier: Apache-2.0 */
/* Times and spans on the command line. */
#ifndef OXBOW_TOOLS_WHEN_H
#define OXBOW_TOOLS_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/* A span, in ms: a number with ms, s, m, h, d or w, or several of them in falling order (1h30m); a
 * number alone is seconds. False: it is none, or over 2^63 ms. */
bool when_age(const char *text, uint64_t *ms);
/* A point in time, in ms since 1970-01-01 UTC: that number, or 2027-01-31T12:00:00Z with or without
 * the time of day. False: it is none. */
bool when_date(const char *text, uint64_t *ms);

#endif
