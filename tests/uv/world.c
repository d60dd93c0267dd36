/* SPDX-License-Identifier: Apache-2.0 */
/* A small world around a driver: store, server, session and loop. */
#include "tests/uv/world.h"

#include "oxbow/forward.h"
#include "oxbow/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void make_forward(struct world *w)
{
    const struct oxbow_forward_options options = {.key = BYTES(STREAM), .type = OXBOW_TYPE_STREAM};
    struct oxbow_txn *txn = rig_begin(&w->rig, 0);

    assert_int_equal(oxbow_identity_set(txn, "dev-0001", NULL), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "readings", &options), OXBOW_OK);
    rig_commit(txn);
}

static void on_finished(void *ctx)
{
    ((struct world *)ctx)->finished = true;
}

static void on_done(void *ctx)
{
    ((struct world *)ctx)->done = true;
}

void world_init(struct world *w, const struct redis_config *redis)
{
    struct redis_config config = *redis;

    memset(w, 0, sizeof *w);
    rig_init(&w->rig, OXBOW_SYNC_ALWAYS);
    w->rig.port.clock = oxbow_port_default()->clock;
    rig_open(&w->rig);
    make_forward(w);
    w->certs = certs_make();
    config.certs = w->certs;
    w->redis = redis_open(&config);
    w->target = (struct oxbow_uplink_target){"127.0.0.1", redis_tls_port(w->redis)};
    w->session_config = (struct oxbow_uplink_config){
        .targets = &w->target,
        .target_count = 1,
        .backoff_base_ms = 20,
        .backoff_cap_ms = 1000,
        .first_spread_ms = 1,
        .linger_ms = 1,
    };
    w->tls = (struct oxbow_tls_config){
        .ca.path = certs_file(w->certs, "ca.crt"),
        .cert.path = certs_file(w->certs, "client.crt"),
        .key.path = certs_file(w->certs, "client.key"),
        .server_name = "redis.test",
    };
    w->config = (struct oxbow_uplink_uv_config){
        .db = w->rig.db,
        .tls = oxbow_tls_mbedtls(),
        .tls_config = &w->tls,
        .finished = on_finished,
        .finished_ctx = w,
    };
    assert_int_equal(uv_loop_init(&w->loop), 0);
}

void world_begin(struct world *w)
{
    enum oxbow_err err;

    w->done = w->finished = false;
    assert_int_equal(oxbow_uplink_open(w->rig.db, &w->session_config, &w->session), OXBOW_OK);
    err = oxbow_uplink_uv_open(w->session, &w->loop, &w->config, &w->why, &w->driver);
    if (err != OXBOW_OK) {
        fail_msg("open: %s: %s", oxbow_err_name(err), w->why.text);
    }
}

bool world_done(struct world *w)
{
    return w->done;
}

void world_end(struct world *w)
{
    oxbow_uplink_uv_close(w->driver, on_done, w);
    assert_true(world_run(w, world_done, PATIENCE_MS));
    w->driver = NULL;
    oxbow_uplink_close(w->session);
    w->session = NULL;
}

void world_fini(struct world *w)
{
    /* Nothing of the driver is left on the loop. */
    assert_int_equal(uv_loop_close(&w->loop), 0);
    redis_close(w->redis);
    certs_remove(w->certs);
    rig_fini(&w->rig);
}

void world_add(struct world *w, unsigned count)
{
    struct oxbow_txn *txn = rig_begin(&w->rig, 0);
    unsigned i;

    for (i = 0; i < count; i++) {
        char text[32];
        struct oxbow_field field = {BYTES("n"), {text, 0}};
        struct oxbow_id id;

        field.value.len = (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)w->added);
        assert_int_equal(oxbow_stream_add(txn, BYTES(STREAM), NULL, &field, 1, &id), OXBOW_OK);
        w->added++;
    }
    rig_commit(txn);
}

static void on_deadline(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

bool world_run(struct world *w, bool (*until)(struct world *w), unsigned ms)
{
    uv_timer_t deadline;
    uv_timer_t beat;
    bool late = false;
    bool beats = false;
    bool ok;

    uv_update_time(&w->loop);
    uv_timer_init(&w->loop, &deadline);
    uv_timer_init(&w->loop, &beat);
    deadline.data = &late;
    beat.data = &beats;
    uv_timer_start(&deadline, on_deadline, ms, 0);
    uv_timer_start(&beat, on_deadline, 5, 5);
    while (!(ok = until(w)) && !late) {
        uv_run(&w->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&deadline, NULL);
    uv_close((uv_handle_t *)&beat, NULL);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    return ok;
}

bool world_arrived(struct world *w)
{
    return redis_integer(w->redis, "XLEN", TARGET, NULL) >= (int64_t)w->added;
}

struct oxbow_uplink_status world_status(struct world *w)
{
    struct oxbow_uplink_status status;

    oxbow_uplink_status(w->session, &status);
    return status;
}

bool world_troubled(struct world *w)
{
    return world_status(w).trouble != OXBOW_TROUBLE_NONE;
}

void world_told(struct world *w, enum oxbow_uplink_trouble trouble, const char *words)
{
    struct oxbow_uplink_status status = world_status(w);

    if (status.trouble != trouble || strstr(status.trouble_text, words) == NULL) {
        fail_msg("%s: \"%s\" lacks \"%s\"", oxbow_uplink_trouble_name(status.trouble),
                 status.trouble_text, words);
    }
}

void world_check(struct world *w)
{
    const char *at = redis_command(w->redis, "XRANGE", TARGET, "-", "+", NULL);
    uint64_t n;

    for (n = 0; n < w->added; n++) {
        char want[40];

        at = strchr(at, '\n'); /* past the id */
        assert_non_null(at);
        snprintf(want, sizeof want, "\nn\n%llu", (unsigned long long)n);
        assert_int_equal(strncmp(at, want, strlen(want)), 0);
        at += strlen(want);
        assert_true(n + 1 == w->added ? *at == '\0' : *at == '\n');
        at += *at == '\n';
    }
}
