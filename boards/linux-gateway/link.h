/* SPDX-License-Identifier: Apache-2.0 */
/* The way to the central Redis: a forward of the stream, and an uplink in a thread of its own. */
#ifndef LINK_H
#define LINK_H

#include "options.h"

#include "oxbow/uplink.h"

struct link;

/* Gives the store its identity, makes the forward if it is not there, and starts the uplink.
 * `opt` must outlive the link. Errors are told on stderr. */
OXBOW_MUST_CHECK enum oxbow_err link_open(struct oxbow *db, const struct options *opt,
                                          struct link **out);

/* Stops the thread; what was not sent stays in the store. NULL is fine. */
void link_close(struct link *link);

/* Waits until the target has everything that is in the stream now. OXBOW_ETIMEDOUT. */
OXBOW_MUST_CHECK enum oxbow_err link_drain(struct link *link, int64_t timeout_ms);

void link_status(struct link *link, struct oxbow_uplink_status *out);

#endif
