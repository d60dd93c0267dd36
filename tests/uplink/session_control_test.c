/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other threads may do with a session while its own drives it, at a real server: add entries,
 * drain, look, pause, reload. Meant for ThreadSanitizer as well.
 */
#include "oxbow/list.h"
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
#include <unistd.h>

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

static uint64_t stored_backlog(struct rig *g)
{
    struct oxbow_forward_status status;
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(g->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_forward_status(txn, "f", &status), OXBOW_OK);
    oxbow_txn_abort(txn);
    return status.backlog_entries;
}

/* The hold makes a trim due in a minute: that must not put off what is to be written in a second. */
static void what_was_confirmed_is_written_down_although_a_trim_is_far_off(void **state)
{
    const struct oxbow_clock *clock = &wire_port()->clock;
    struct rig g;
    int round;

    (void)state;
    rig_open(&g);
    for (round = 0; round < 3; round++) {
        uint64_t begun;

        add(&g, 1);
        assert_int_equal(oxbow_uplink_drain(g.u, "f", 600000), OXBOW_OK);
        begun = clock->mono_us(clock->ctx);
        while (stored_backlog(&g) > 0) {
            usleep(1000);
        }
        assert_true(clock->mono_us(clock->ctx) - begun <
                    40000000); /* its clock jumps when it waits */
    }
    rig_close(&g);
}

static uint32_t id_of(struct rig *g, const char *name)
{
    static struct oxbow_forward f;
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(g->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_forward_get(txn, name, &f), OXBOW_OK);
    oxbow_txn_abort(txn);
    return f.id;
}

static void a_paused_forward_rests_while_others_go_on(void **state)
{
    const struct oxbow_forward_options other = {
        .key = bytes("jobs"), .type = OXBOW_TYPE_LIST, .urgent = true};
    const struct oxbow_bytes value = bytes("v");
    struct oxbow_uplink_forward_status f;
    struct oxbow_txn *txn;
    struct rig g;
    uint32_t id;

    (void)state;
    rig_open(&g);
    add(&g, 3);
    assert_int_equal(oxbow_uplink_drain(g.u, "f", 600000), OXBOW_OK);
    id = id_of(&g, "f");
    assert_int_equal(oxbow_uplink_ops()->forward_pause(g.u, id, true), OXBOW_OK);
    assert_int_equal(oxbow_uplink_forward_pause(g.u, id, true),
                     OXBOW_OK); /* as often as one likes */
    assert_int_equal(oxbow_uplink_forward_status(g.u, "f", &f), OXBOW_OK);
    assert_true(f.paused);
    add(&g, 5);
    assert_int_equal(oxbow_txn_begin(g.db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "g", &other), OXBOW_OK);
    assert_int_equal(oxbow_list_push(txn, other.key, OXBOW_RIGHT, &value, 1, NULL), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    oxbow_uplink_command(g.u, OXBOW_UPLINK_FLUSH);
    assert_int_equal(oxbow_uplink_drain(g.u, "g", 600000), OXBOW_OK);
    assert_int_equal(redis_integer(g.redis, "XLEN", "oxbow:{dev}:s", NULL), 3);
    assert_int_equal(oxbow_uplink_drain(g.u, "f", 300), OXBOW_ETIMEDOUT);
    assert_int_equal(redis_integer(g.redis, "XLEN", "oxbow:{dev}:s", NULL), 3);
    /* A new connection does not wake it either. */
    oxbow_uplink_command(g.u, OXBOW_UPLINK_RELOAD);
    assert_int_equal(oxbow_uplink_drain(g.u, "f", 300), OXBOW_ETIMEDOUT);
    assert_int_equal(redis_integer(g.redis, "XLEN", "oxbow:{dev}:s", NULL), 3);
    assert_int_equal(oxbow_uplink_forward_pause(g.u, id, false), OXBOW_OK);
    assert_int_equal(oxbow_uplink_forward_pause(g.u, id, false), OXBOW_OK);
    assert_int_equal(oxbow_uplink_drain(g.u, "f", 600000), OXBOW_OK);
    assert_int_equal(redis_integer(g.redis, "XLEN", "oxbow:{dev}:s", NULL), 8);
    assert_int_equal(oxbow_uplink_forward_status(g.u, "f", &f), OXBOW_OK);
    assert_false(f.paused);
    rig_close(&g);
}

static void pauses_of_forwards_that_are_gone_make_room(void **state)
{
    struct rig g;
    uint32_t own;

    (void)state;
    rig_open(&g);
    add(&g, 1);
    assert_int_equal(oxbow_uplink_drain(g.u, "f", 600000), OXBOW_OK);
    own = id_of(&g, "f");
    assert_int_equal(oxbow_uplink_forward_pause(g.u, own, true), OXBOW_OK);
    for (uint32_t i = 1; i <= 3 * OXBOW_FORWARD_COUNT_MAX; i++) {
        assert_int_equal(oxbow_uplink_forward_pause(g.u, own + i, true), OXBOW_OK);
    }
    add(&g, 1);
    assert_int_equal(oxbow_uplink_drain(g.u, "f", 300), OXBOW_ETIMEDOUT);
    assert_int_equal(oxbow_uplink_forward_pause(g.u, own, false), OXBOW_OK);
    assert_int_equal(oxbow_uplink_drain(g.u, "f", 600000), OXBOW_OK);
    rig_close(&g);
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(oxbow_uplink_forward_state_name(OXBOW_UPLINK_FORWARD_NEW), "new");
    assert_string_equal(oxbow_uplink_forward_state_name(OXBOW_UPLINK_FORWARD_STOPPED), "stopped");
    assert_string_equal(oxbow_uplink_forward_state_name((enum oxbow_uplink_forward_state)99), "?");
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
        cmocka_unit_test(what_was_confirmed_is_written_down_although_a_trim_is_far_off),
        cmocka_unit_test(a_paused_forward_rests_while_others_go_on),
        cmocka_unit_test(pauses_of_forwards_that_are_gone_make_room),
        cmocka_unit_test(states_have_names),
        cmocka_unit_test(a_stopped_session_lets_nobody_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
