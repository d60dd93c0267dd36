/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of port/uv share: a store with a forwarded stream, a session, a real redis-server
 * with TLS, and a loop that is run until something has happened. Failures end the test.
 */
#ifndef OXBOW_TESTS_UV_WORLD_H
#define OXBOW_TESTS_UV_WORLD_H

#include "oxbow/uplink_uv.h"
#include "tests/support/redis.h"
#include "tests/support/rig.h"

#include <uv.h>

#define PATIENCE_MS 120000u /* with what is to come */
#define STREAM      "readings"
#define TARGET      "oxbow:{dev-0001}:readings"

struct world {
    struct rig rig;
    char *certs;
    struct redis *redis;
    struct oxbow_uplink_config session_config; /* changed by the test before world_begin */
    struct oxbow_uplink_target target;
    struct oxbow_tls_config tls;
    struct oxbow_uplink_uv_config config;
    struct oxbow_uplink *session;
    uv_loop_t loop;
    struct oxbow_uplink_uv *driver;
    struct oxbow_tls_why why;
    uint64_t added; /* entries */
    bool finished;
    bool done;
    char host[128];
};

/* Store, certificates, server; the target is the server's TLS port, with quick backoffs. */
void world_init(struct world *w, const struct redis_config *redis);
/* Opens session and driver on the loop. */
void world_begin(struct world *w);
/* Closes the driver and runs the loop until it is gone; then the session. */
void world_end(struct world *w);
void world_fini(struct world *w);

/* Appends entries to the stream, one transaction, durable. */
void world_add(struct world *w, unsigned count);
/* Runs the loop until `until` is true or ms have passed; says which. */
bool world_run(struct world *w, bool (*until)(struct world *w), unsigned ms);
/* The target has what was added: for world_run. */
bool world_arrived(struct world *w);
/* The session was told of trouble. */
bool world_troubled(struct world *w);
bool world_done(struct world *w);
struct oxbow_uplink_status world_status(struct world *w);
/* The target has every entry once, in order, and nothing else. */
void world_check(struct world *w);
/* The status' trouble text holds these words. */
void world_told(struct world *w, enum oxbow_uplink_trouble trouble, const char *words);

#endif
