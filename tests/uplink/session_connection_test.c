/* SPDX-License-Identifier: Apache-2.0 */
/* Greeting, time limits, backoff, commands: the session's connection in virtual time. */
#include "tests/uplink/peer.h"
#include "tests/uplink/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_replica_is_left_for_the_next_target(void **state)
{
    struct peer p;
    char first[16];

    (void)state;
    peer_open(&p);
    p.config.target_count = 2;
    peer_session(&p);
    assert_int_equal(peer_next(&p), OXBOW_UPLINK_CONNECT);
    snprintf(first, sizeof(first), "%s", p.next.host);
    oxbow_uplink_connected(p.u, NULL);
    (void)peer_command(&p);
    peer_reply(&p, "*2\r\n$4\r\nrole\r\n$5\r\nslave\r\n");
    assert_true(peer_closing(&p));
    assert_int_equal(peer_status(&p).trouble, OXBOW_TROUBLE_NOT_MASTER);
    peer_closed(&p, OXBOW_ECANCELED);
    assert_int_equal(peer_next(&p), OXBOW_UPLINK_CONNECT);
    assert_string_not_equal(first, p.next.host);
    peer_close(&p);
}

static void an_old_server_is_greeted_the_old_way(void **state)
{
    struct peer p;

    (void)state;
    peer_open(&p);
    p.config.user = NULL;
    peer_session(&p);
    peer_connect(&p);
    (void)peer_command(&p);
    peer_reply(&p, "-ERR unknown command `HELLO`, with args beginning with: \r\n");
    assert_string_equal(peer_command(&p), "AUTH secret");
    assert_string_equal(peer_command(&p), "ROLE");
    peer_reply(&p, "+OK\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    assert_string_equal(peer_command(&p), "GET oxbow:{dev}:owner");
    peer_close(&p);
}

static void silence_ends_the_connection(void **state)
{
    struct peer p;

    (void)state;
    peer_open_up(&p, 1);
    assert_non_null(strstr(peer_command(&p), "EVALSHA"));
    peer_pass(&p, 29000);
    assert_false(peer_closing(&p));
    peer_pass(&p, 2000);
    assert_true(peer_closing(&p));
    peer_closed(&p, OXBOW_ECANCELED);
    peer_connect(&p);
    peer_pass(&p, 31000); /* not even a greeting */
    assert_true(peer_closing(&p));
    peer_closed(&p, OXBOW_ECANCELED);
    assert_int_equal(peer_next(&p), OXBOW_UPLINK_CONNECT);
    peer_pass(&p, 31000); /* nor a connection */
    assert_true(peer_closing(&p));
    peer_close(&p);
}

static void a_batch_that_still_moves_is_waited_for(void **state)
{
    struct oxbow_bytes out;
    struct peer p;
    int i;

    (void)state;
    peer_open_up(&p, 1);
    for (i = 0; i < 5; i++) {
        peer_pass(&p, 29000);
        assert_false(peer_closing(&p));
        oxbow_uplink_sent(p.u, 10);
    }
    oxbow_uplink_output(p.u, &out);
    oxbow_uplink_sent(p.u, out.len);
    peer_pass(&p, 29000);
    assert_false(peer_closing(&p));
    peer_pass(&p, 2000);
    assert_true(peer_closing(&p));
    peer_close(&p);
}

static void a_batch_that_takes_too_long_is_halved(void **state)
{
    struct peer p;
    uint64_t i;

    (void)state;
    peer_open(&p);
    p.config.batch_bytes = 2048;
    peer_forward(&p, NULL);
    for (i = 1; i <= 1000; i++) { /* 2 bytes each */
        peer_add(&p, i);
    }
    peer_session(&p);
    peer_up(&p, "0-0");
    assert_non_null(strstr(peer_command(&p), " 0-0 1000 1-0"));
    peer_pass(&p, 31000);
    assert_true(peer_closing(&p));
    peer_closed(&p, OXBOW_ECANCELED);
    peer_up(&p, "0-0");
    assert_non_null(strstr(peer_command(&p), " 0-0 512 1-0"));
    peer_close(&p);
}

static void an_idle_connection_is_pinged_only_when_idle(void **state)
{
    struct peer p;

    (void)state;
    peer_open_up(&p, 0);
    peer_pass(&p, 299000);
    assert_string_equal(peer_command(&p), "");
    peer_pass(&p, 2000);
    assert_string_equal(peer_command(&p), "PING");
    peer_reply(&p, "+PONG\r\n");
    assert_string_equal(peer_command(&p), "");
    peer_close(&p);
}

/* The time until the next attempt, in ms. */
static uint64_t attempt_after_ms(struct peer *p)
{
    return peer_status(p).next_try_ms;
}

static void backoff_grows_and_is_reset_only_by_useful_work(void **state)
{
    struct peer p;
    uint64_t longest = 0;
    int i;

    (void)state;
    peer_open(&p);
    p.config.first_spread_ms = 5000;
    peer_session(&p);
    assert_true(attempt_after_ms(&p) <= 5000);
    for (i = 0; i < 40; i++) {
        uint64_t wait_ms;

        peer_connect(&p);
        peer_greet(&p); /* a handshake is no useful work */
        peer_closed(&p, OXBOW_EPIPE);
        wait_ms = attempt_after_ms(&p);
        assert_true(wait_ms <= 120000);
        assert_true(i > 0 || wait_ms <= 2000);
        longest = wait_ms > longest ? wait_ms : longest;
    }
    assert_true(longest > 20000);
    peer_connect(&p);
    peer_greet(&p);
    peer_pass(&p, 31000);
    peer_closed(&p, OXBOW_EPIPE);
    assert_true(attempt_after_ms(&p) <= 5000);
    peer_close(&p);
}

static void a_link_can_be_taken_down_and_up(void **state)
{
    struct peer p;

    (void)state;
    peer_open_up(&p, 0);
    oxbow_uplink_command(p.u, OXBOW_UPLINK_DOWN);
    oxbow_uplink_tick(p.u);
    assert_true(peer_closing(&p));
    peer_closed(&p, OXBOW_ECANCELED);
    assert_int_equal(peer_next(&p), OXBOW_UPLINK_SLEEP);
    assert_int_equal(peer_status(&p).state, OXBOW_UPLINK_IS_DOWN);
    oxbow_uplink_command(p.u, OXBOW_UPLINK_UP);
    oxbow_uplink_tick(p.u);
    oxbow_uplink_next(p.u, &p.next);
    assert_int_equal(p.next.action, OXBOW_UPLINK_CONNECT);
    oxbow_uplink_command(p.u, OXBOW_UPLINK_STOP);
    oxbow_uplink_tick(p.u);
    assert_true(peer_closing(&p));
    peer_closed(&p, OXBOW_ECANCELED);
    oxbow_uplink_next(p.u, &p.next);
    assert_int_equal(p.next.action, OXBOW_UPLINK_DONE);
    peer_close(&p);
}

static void a_paused_session_sends_nothing_until_resumed(void **state)
{
    struct peer p;

    (void)state;
    peer_open(&p);
    p.config.start_paused = true;
    peer_forward(&p, NULL);
    peer_add(&p, 1);
    peer_session(&p);
    peer_up(&p, "0-0");
    peer_pass(&p, 5000);
    assert_string_equal(peer_command(&p), "");
    oxbow_uplink_command(p.u, OXBOW_UPLINK_RESUME);
    oxbow_uplink_tick(p.u);
    assert_non_null(strstr(peer_command(&p), " 0-0 1 1-0"));
    peer_close(&p);
}

static void certificates_are_reloaded_on_a_quiet_connection(void **state)
{
    struct peer p;
    uint64_t before;

    (void)state;
    peer_open_up(&p, 1);
    oxbow_uplink_next(p.u, &p.next);
    before = p.next.reload;
    oxbow_uplink_command(p.u, OXBOW_UPLINK_RELOAD);
    oxbow_uplink_tick(p.u);
    assert_false(peer_closing(&p)); /* a batch is unanswered */
    (void)peer_command(&p);
    peer_guard(&p, 1, "1-0");
    assert_true(peer_closing(&p));
    assert_true(p.next.reload > before);
    peer_closed(&p, OXBOW_ECANCELED);
    oxbow_uplink_next(p.u, &p.next);
    assert_int_equal(p.next.action, OXBOW_UPLINK_CONNECT);
    peer_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_is_left_for_the_next_target),
        cmocka_unit_test(an_old_server_is_greeted_the_old_way),
        cmocka_unit_test(silence_ends_the_connection),
        cmocka_unit_test(a_batch_that_still_moves_is_waited_for),
        cmocka_unit_test(a_batch_that_takes_too_long_is_halved),
        cmocka_unit_test(an_idle_connection_is_pinged_only_when_idle),
        cmocka_unit_test(backoff_grows_and_is_reset_only_by_useful_work),
        cmocka_unit_test(a_link_can_be_taken_down_and_up),
        cmocka_unit_test(a_paused_session_sends_nothing_until_resumed),
        cmocka_unit_test(certificates_are_reloaded_on_a_quiet_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
