/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uplink inside the daemon: session and driver on the daemon's own loop. uplink.c has it, uplink_none.c
 * stands there when the program is built without.
 */
#ifndef OXBOWD_UPLINK_H
#define OXBOWD_UPLINK_H

#include "oxbow/uplink.h"
#include "tools/oxbowd/config.h"
#include "tools/oxbowd/log.h"

struct uv_loop_s;
struct uplink; /* all of it */

/* Gives the store its name, makes and changes the configured forwards, and begins to connect. Without a
 * target *out is NULL. False: it was logged why; the loop may have to run before all is freed. */
bool uplink_open(const struct config *config, struct oxbow *db, struct uv_loop_s *loop,
                 struct daemon_log *log, struct uplink **out);
/* For the server; NULL without an uplink. */
struct oxbow_uplink *uplink_session(const struct uplink *u);
const struct oxbow_uplink_ops *uplink_session_ops(const struct uplink *u);
/* The store's descriptor was readable. */
void uplink_durable(void *ctx);
/* Certificates and password are read again. */
void uplink_reload(struct uplink *u);
/* Takes it from the loop; `done` is called there when nothing of it is left. */
void uplink_end(struct uplink *u, void (*done)(void *ctx), void *ctx);
/* Keeps how far it is, and frees it: when the loop is over. NULL is fine. */
void uplink_free(struct uplink *u);

#endif
