/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords come from files and the environment: what stands in a command is in the list of
 * processes for everybody to see. */
#ifndef OXBOW_TOOLS_PASSWORD_H
#define OXBOW_TOOLS_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

/* The first line of the file, without its end. False: it cannot be read, is empty, or does not fit
 * with its closing zero into `room` bytes. */
bool password_read(const char *path, char *out, size_t room);

#endif
