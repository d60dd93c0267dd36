/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's store: opened as the configuration says, what goes wrong told to the log. */
#ifndef OXBOWD_STORE_H
#define OXBOWD_STORE_H

#include "oxbow/oxbow.h"
#include "tools/oxbowd/config.h"
#include "tools/oxbowd/log.h"

/* Errors of oxbow_open. */
OXBOW_MUST_CHECK enum oxbow_err daemon_store_open(const struct config *c,
                                                  const struct oxbow_port *port,
                                                  struct daemon_log *log, struct oxbow **db);
/* Of one that is not open (*db NULL) nothing; *db is NULL then. Errors of oxbow_close. */
OXBOW_MUST_CHECK enum oxbow_err daemon_store_close(struct daemon_log *log, struct oxbow **db);

#endif
