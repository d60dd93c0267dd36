/* SPDX-License-Identifier: Apache-2.0 */
/* The file of users (aclfile). */
#ifndef OXBOWD_USERS_H
#define OXBOWD_USERS_H

#include "oxbow/resp.h"

/* To read and to write the file, whose path is borrowed; an empty one: there is none. */
struct oxbow_resp_users users_file(const char *path);

#endif
