/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of a session fails in turn: it reports, closes or waits; nothing leaks. */
#include "oxbow/stream.h"
#include "tests/support/fault.h"
#include "tests/uplink/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define POINTS_MIN 5u

static struct oxbow_bytes bytes(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static void fill(struct oxbow *db, struct oxbow_identity *identity)
{
    const struct oxbow_forward_options stream = {
        .key = bytes("s"), .type = OXBOW_TYPE_STREAM, .linger_ms = -1};
    const struct oxbow_forward_options list = {
        .key = bytes("l"), .type = OXBOW_TYPE_LIST, .linger_ms = -1};
    const struct oxbow_stream_add_options options = {.id_mode = OXBOW_ID_AUTO};
    const struct oxbow_field field = {bytes("n"), bytes("v")};
    struct oxbow_txn *txn;
    struct oxbow_id id;

    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_identity_set(txn, "dev", NULL), OXBOW_OK);
    assert_int_equal(oxbow_identity_get(txn, identity), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "a", &stream), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "b", &list), OXBOW_OK);
    assert_int_equal(oxbow_stream_add(txn, bytes("s"), &options, &field, 1, &id), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

static void take_output(struct oxbow_uplink *u)
{
    struct oxbow_bytes out;

    oxbow_uplink_output(u, &out);
    oxbow_uplink_sent(u, out.len);
}

/* From open to the first batch and close, whatever fails on the way. */
static void run(struct oxbow *db, const struct oxbow_identity *identity)
{
    static const char hello[] = "*2\r\n$4\r\nrole\r\n$6\r\nmaster\r\n";
    static const char rest[] = "-NOPERM time\r\n*2\r\n:0\r\n$3\r\n0-0\r\n*2\r\n:0\r\n$3\r\n0-0\r\n";
    struct oxbow_uplink_target target = {"host", 1};
    const struct oxbow_uplink_config config = {
        .targets = &target, .target_count = 1, .first_spread_ms = 1, .password = "secret"};
    struct oxbow_uplink_next next;
    struct oxbow_uplink *u;
    char owner[256];

    if (oxbow_uplink_open(db, &config, &u) != OXBOW_OK) {
        return;
    }
    oxbow_uplink_tick(u);
    oxbow_uplink_next(u, &next);
    oxbow_uplink_connected(u, NULL);
    take_output(u);
    oxbow_uplink_feed(u, hello, sizeof(hello) - 1);
    take_output(u);
    snprintf(owner, sizeof(owner), "$%zu\r\n%s\r\n", strlen(identity->owner), identity->owner);
    oxbow_uplink_feed(u, owner, strlen(owner));
    oxbow_uplink_feed(u, rest, sizeof(rest) - 1);
    take_output(u);
    wire_clock_jump(2000000);
    oxbow_uplink_tick(u);
    oxbow_uplink_closed(u, OXBOW_EPIPE, NULL);
    oxbow_uplink_close(u);
}

static void every_failing_allocation_is_survived(void **state)
{
    struct oxbow_identity identity;
    struct fault f;
    struct oxbow *db;
    char dir[] = "/tmp/oxbow-fault-XXXXXX", command[64];
    struct oxbow_config config = {.port = &f.port, .dir = dir};
    uint64_t n, points = 0;

    (void)state;
    assert_non_null(mkdtemp(dir));
    fault_init(&f, wire_port());
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    fill(db, &identity);
    for (n = 1; n < 1000; n++) {
        fault_arm_alloc(&f, n, 1);
        run(db, &identity);
        fault_disarm(&f);
        if (f.alloc_failed == 0) {
            break;
        }
        points++;
    }
    printf("%llu allocations failed in turn\n", (unsigned long long)points);
    assert_true(points >= POINTS_MIN);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_int_equal(f.live_bytes, 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_failing_allocation_is_survived)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
