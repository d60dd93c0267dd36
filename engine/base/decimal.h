/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers with a fraction, as Redis' INCRBYFLOAT and HINCRBYFLOAT take and show them: reckoned with the
 * platform's long double (on most 32-bit ARM that is a double). The C library's locale must have a
 * point (LC_NUMERIC "C").
 */
#ifndef OXBOW_BASE_DECIMAL_H
#define OXBOW_BASE_DECIMAL_H

#include "oxbow/types.h"

#include <stdbool.h>

#define DECIMAL_TEXT_MAX ((size_t)5 * 1024) /* a long double may have nearly 5,000 digits */

/* The whole text is a number, which may be infinite if it says so; false: it is none. */
bool decimal_of(struct oxbow_bytes text, long double *out);
/* 17 digits behind the point, less the zeros at the end; how long that is. `v` is finite. */
size_t decimal_text(char out[DECIMAL_TEXT_MAX], long double v);
bool decimal_is_finite(long double v);

#endif
