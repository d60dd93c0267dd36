/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon was built without the uplink: a configuration that wants one is refused. */
#include "tools/oxbowd/uplink.h"

bool uplink_open(const struct config *config, struct oxbow *db, struct uv_loop_s *loop,
                 struct daemon_log *log, struct uplink **out)
{
    (void)db;
    (void)loop;
    *out = NULL;
    if (config->uplink.targets.count > 0) {
        daemon_log_say(log, OXBOW_LOG_ERROR,
                       "uplink-target: this oxbowd was built without the uplink");
        return false;
    }
    return true;
}

struct oxbow_uplink *uplink_session(const struct uplink *u)
{
    (void)u;
    return NULL;
}

const struct oxbow_uplink_ops *uplink_session_ops(const struct uplink *u)
{
    (void)u;
    return NULL;
}

void uplink_durable(void *ctx)
{
    (void)ctx;
}

void uplink_reload(struct uplink *u)
{
    (void)u;
}

void uplink_end(struct uplink *u, void (*done)(void *ctx), void *ctx)
{
    (void)u;
    if (done != NULL) {
        done(ctx);
    }
}

void uplink_free(struct uplink *u)
{
    (void)u;
}
