/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other threads may do with a session while its own drives it, at a real server: add entries,
 * drain, look, pause, reload. Meant for ThreadSanitizer as well.
 */
#include "oxbow/stream.h"
#include "tests/support/redis.h"
#include "tests/uplink/wire.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS    20
#define PER_ROUND 25

struct rig {
    struct redis *redis;
    struct oxbow *db;
    struct oxbow_uplink *u;
    struct wire wire;
    pthread_t thread;
    atomic_uint wakes;
    char dir[64];
    char host[256];
};

static struct oxbow_bytes bytes(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static void *drive(void *arg)
{
    struct rig *g = arg;

    while (wire_turn(&g->wire)) {
    }
    return NULL;
}

static void woken(void *ctx)
{
    struct rig *g = ctx;

    atomic_fetch_add(&g->wakes, 1);
}

static void rig_open(struct rig *g)
{
    const struct redis_config server = {.aof = false};
    struct oxbow_config config = {.port = wire_port()};
    const struct oxbow_forward_options forward = {.key = bytes("s"), .type = OXBOW_TYPE_STREAM};
    struct oxbow_uplink_target target = {g->host, 0};
    const struct oxbow_uplink_config uplink = {
        .targets = &target, .target_count = 1, .first_spread_ms = 1};
    struct oxbow_txn *txn;

    memset(g, 0, sizeof(*g));
    g->redis = redis_open(&server);
    snprintf(g->host, sizeof(g->host), "unix:%s", redis_socket(g->redis));
    snprintf(g->dir, sizeof(g->dir), "/tmp/oxbow-control-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    config.dir = g->dir;
    assert_int_equal(oxbow_open(&config, &g->db), OXBOW_OK);
    assert_int_equal(oxbow_txn_begin(g->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_identity_set(txn, "dev", NULL), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "f", &forward), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_uplink_open(g->db, &uplink, &g->u), OXBOW_OK);
    wire_init(&g->wire, g->u, 1);
    oxbow_uplink_set_wake(g->u, woken, g);
    assert_int_equal(pthread_create(&g->thread, NULL, drive, g), 0);
}

static void rig_close(struct rig *g)
{
    char command[96];

    oxbow_uplink_command(g->u, OXBOW_UPLINK_STOP);
    assert_int_equal(pthread_join(g->thread, NULL), 0);
    oxbow_uplink_close(g->u);
    assert_int_equal(oxbow_close(g->db), OXBOW_OK);
    redis_close(g->redis);
    snprintf(command, sizeof(command), "rm -rf '%s'", g->dir);
    assert_int_equal(system(command), 0);
}

static void add(struct rig *g, int count)
{
    const struct oxbow_stream_add_options options = {.id_mode = OXBOW_ID_AUTO};
    const struct oxbow_field field = {bytes("n"), bytes("v")};
    struct oxbow_txn *txn;
    struct oxbow_id id;
    int i;

    for (i = 0; i < count; i++) {
        assert_int_equal(oxbow_txn_begin(g->db, NULL, &txn), OXBOW_OK);
        assert_int_equal(oxbow_stream_add(txn, bytes("s"), &options, &field, 1, &id), OXBOW_OK);
        assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    }
}

static void what_was_added_before_a_drain_is_at_the_target_after_it(void **state)
{
    struct oxbow_uplink_status s;
    struct rig g;
    int round;

    (void)state;
    rig_open(&g);
    for (round = 1; round <= ROUNDS; round++) {
        add(&g, PER_ROUND);
        assert_int_equal(oxbow_uplink_drain(g.u, round % 2 ? "f" : NULL, 600000), OXBOW_OK);
        assert_int_equal(redis_integer(g.redis, "XLEN", "oxbow:{dev}:s", NULL), round * PER_ROUND);
        oxbow_uplink_status(g.u, &s);
        assert_true(s.entries >= (uint64_t)round * PER_ROUND);
    }
    assert_true(atomic_load(&g.wakes) >= ROUNDS);
    rig_close(&g);
}

static void commands_work_while_entries_flow(void **state)
{
    struct oxbow_uplink_forward_status f;
    struct rig g;
    int round;

    (void)state;
    rig_open(&g);
    for (round = 0; round < ROUNDS; round++) {
        static const enum oxbow_uplink_command commands[] = {
            OXBOW_UPLINK_PAUSE, OXBOW_UPLINK_RESUME, OXBOW_UPLINK_DOWN,  OXBOW_UPLINK_UP,
            OXBOW_UPLINK_FLUSH, OXBOW_UPLINK_RELOAD, OXBOW_UPLINK_ADOPT,
        };

        add(&g, 3);
        oxbow_uplink_command(g.u, commands[round % 7]);
        (void)!oxbow_uplink_forward_status(g.u, "f", &f);
    }
    oxbow_uplink_command(g.u, OXBOW_UPLINK_RESUME);
    oxbow_uplink_command(g.u, OXBOW_UPLINK_UP);
    assert_int_equal(oxbow_uplink_drain(g.u, NULL, 600000), OXBOW_OK);
    assert_int_equal(redis_integer(g.redis, "XLEN", "oxbow:{dev}:s", NULL), ROUNDS * 3);
    rig_close(&g);
}

static void a_stopped_session_lets_nobody_wait(void **state)
{
    struct oxbow_uplink_status s;
    struct rig g;

    (void)state;
    rig_open(&g);
    oxbow_uplink_command(g.u, OXBOW_UPLINK_DOWN);
    do {
        oxbow_uplink_status(g.u, &s);
    } while (s.state != OXBOW_UPLINK_IS_DOWN);
    add(&g, 1);
    oxbow_uplink_command(g.u, OXBOW_UPLINK_STOP);
    assert_int_equal(oxbow_uplink_drain(g.u, NULL, -1), OXBOW_ECLOSED);
    rig_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_before_a_drain_is_at_the_target_after_it),
        cmocka_unit_test(commands_work_while_entries_flow),
        cmocka_unit_test(a_stopped_session_lets_nobody_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
