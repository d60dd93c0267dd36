/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OXBOW_UV_ERROR_H
#define OXBOW_UV_ERROR_H

#include "oxbow/error.h"

/* What a libuv error means to oxbow. Of a connection that ended: see oxbow_uplink_closed. */
enum oxbow_err uverror_of(int status);

#endif
