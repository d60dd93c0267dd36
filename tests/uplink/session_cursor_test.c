/* SPDX-License-Identifier: Apache-2.0 */
/* What the session does about every meaning that the target's position can have. */
#include "tests/uplink/peer.h"
#include "tests/uplink/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_lost_reply_is_found_out_and_nothing_is_sent_twice(void **state)
{
    struct peer p;

    (void)state;
    peer_open_up(&p, 3);
    assert_non_null(strstr(peer_command(&p), " 0-0 3 1-0"));
    peer_closed(&p, OXBOW_EPIPE); /* applied, but the reply never came */
    peer_up(&p, "3-0");
    assert_int_equal(peer_status(&p).lost_replies, 1);
    assert_int_equal(peer_status(&p).rewinds, 0);
    assert_string_equal(peer_command(&p), "");
    assert_int_equal(peer_flow(&p).accepted.ms, 3);
    peer_close(&p);
}

static void a_rewound_target_gets_again_what_it_lost(void **state)
{
    struct peer p;

    (void)state;
    peer_open_up(&p, 3);
    (void)peer_command(&p);
    peer_guard(&p, 1, "3-0");
    peer_pass(&p, 2000); /* cursors are stored */
    assert_int_equal(peer_stored(&p).sent.ms, 3);
    peer_closed(&p, OXBOW_EPIPE);
    peer_up(&p, "1-0");
    assert_int_equal(peer_status(&p).rewinds, 1);
    assert_int_equal(peer_status(&p).gaps, 0);
    assert_non_null(strstr(peer_command(&p), " 1-0 2 2-0 2 n v 3-0 2 n v"));
    peer_close(&p);
}

static void what_the_target_lost_after_it_was_trimmed_becomes_a_gap(void **state)
{
    const struct oxbow_forward_options options = {.linger_ms = -1, .hold_ms = 1};
    struct peer p;
    uint64_t i;

    (void)state;
    peer_open(&p);
    peer_forward(&p, &options);
    for (i = 1; i <= 3; i++) {
        peer_add(&p, i);
    }
    peer_session(&p);
    peer_up(&p, "0-0");
    (void)peer_command(&p);
    peer_guard(&p, 1, "3-0");
    for (i = 0; i < 5; i++) {
        peer_pass(&p, 2000);
    }
    assert_int_equal(peer_stored(&p).trimmed.ms, 3);
    peer_add(&p, 4);
    peer_closed(&p, OXBOW_EPIPE);
    peer_up(&p, "1-0");
    assert_int_equal(peer_status(&p).gaps, 1);
    assert_non_null(strstr(peer_command(&p), " 1-0 1 3-0 10 oxbow:gap target-lost from "));
    assert_non_null(strstr(p.text, " to 3-0 "));
    assert_non_null(strstr(peer_command(&p), " 3-0 1 4-0 2 n v"));
    peer_guard(&p, 1, "3-0");
    peer_guard(&p, 1, "4-0");
    assert_int_equal(peer_flow(&p).accepted.ms, 4);
    peer_close(&p);
}

static void a_deleted_key_is_filled_again(void **state)
{
    struct peer p;

    (void)state;
    peer_open_up(&p, 2);
    (void)peer_command(&p);
    peer_guard(&p, 1, "2-0");
    peer_closed(&p, OXBOW_EPIPE);
    peer_up(&p, "0-0");
    assert_int_equal(peer_status(&p).rewinds, 1);
    assert_non_null(strstr(peer_command(&p), " 0-0 2 1-0 2 n v 2-0 2 n v"));
    peer_close(&p);
}

static void a_deleted_key_is_left_behind_when_told_so(void **state)
{
    const struct oxbow_forward_options options = {.linger_ms = -1,
                                                  .on_deleted = OXBOW_DELETED_CONTINUE};
    struct peer p;

    (void)state;
    peer_open(&p);
    peer_forward(&p, &options);
    peer_add(&p, 1);
    peer_add(&p, 2);
    peer_session(&p);
    peer_up(&p, "0-0");
    (void)peer_command(&p);
    peer_guard(&p, 1, "2-0");
    peer_closed(&p, OXBOW_EPIPE);
    peer_add(&p, 3);
    peer_up(&p, "0-0");
    assert_non_null(strstr(peer_command(&p), " 0-0 1 2-0 10 oxbow:gap target-deleted "));
    assert_non_null(strstr(peer_command(&p), " 2-0 1 3-0 2 n v"));
    peer_close(&p);
}

static void a_target_ahead_of_the_store_stops_the_forward_until_adopted(void **state)
{
    struct peer p;

    (void)state;
    peer_open_up(&p, 0);
    peer_closed(&p, OXBOW_EPIPE);
    peer_up(&p, "9-0");
    assert_int_equal(peer_flow(&p).state, OXBOW_UPLINK_FORWARD_STOPPED);
    assert_int_equal(peer_flow(&p).trouble, OXBOW_TROUBLE_BEYOND);
    assert_string_equal(peer_command(&p), "");
    oxbow_uplink_command(p.u, OXBOW_UPLINK_ADOPT);
    oxbow_uplink_tick(p.u);
    assert_non_null(strstr(peer_command(&p), "? read"));
    peer_guard(&p, 0, "9-0");
    assert_non_null(strstr(peer_command(&p), "? read"));
    peer_guard(&p, 0, "9-0");
    assert_int_equal(peer_flow(&p).state, OXBOW_UPLINK_FORWARD_READY);
    peer_add(&p, 10);
    assert_non_null(strstr(peer_command(&p), " 9-0 1 10-0 2 n v"));
    peer_close(&p);
}

static void a_foreign_writer_stops_the_forward(void **state)
{
    struct peer p;

    (void)state;
    peer_open(&p);
    peer_forward(&p, NULL);
    peer_add(&p, 1);
    peer_add(&p, 5);
    peer_session(&p);
    peer_up(&p, "3-7");
    assert_int_equal(peer_flow(&p).state, OXBOW_UPLINK_FORWARD_STOPPED);
    assert_int_equal(peer_flow(&p).trouble, OXBOW_TROUBLE_FOREIGN);
    assert_string_equal(peer_command(&p), "");
    peer_close(&p);
}

static void what_was_in_flight_behind_a_refused_batch_is_drained_then_read_once(void **state)
{
    const struct oxbow_forward_options options = {.linger_ms = -1, .batch_count = 1};
    struct peer p;

    (void)state;
    peer_open(&p);
    peer_forward(&p, &options);
    peer_add(&p, 1);
    peer_add(&p, 2);
    peer_add(&p, 3);
    peer_session(&p);
    peer_up(&p, "0-0");
    assert_non_null(strstr(peer_command(&p), " 0-0 1 1-0"));
    assert_non_null(strstr(peer_command(&p), " 1-0 1 2-0"));
    assert_non_null(strstr(peer_command(&p), " 2-0 1 3-0"));
    peer_reply(&p, "-OOM command not allowed\r\n");
    peer_guard(&p, 0, "0-0");
    assert_string_equal(peer_command(&p), "");
    peer_guard(&p, 0, "0-0");
    assert_non_null(strstr(peer_wait_command(&p), "? read"));
    assert_string_equal(peer_command(&p), "");
    peer_guard(&p, 0, "0-0");
    assert_non_null(strstr(peer_wait_command(&p), " 0-0 1 1-0"));
    assert_string_equal(peer_command(&p), ""); /* one batch to probe */
    peer_guard(&p, 1, "1-0");
    assert_non_null(strstr(peer_command(&p), " 1-0 1 2-0"));
    assert_non_null(strstr(peer_command(&p), " 2-0 1 3-0"));
    peer_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_reply_is_found_out_and_nothing_is_sent_twice),
        cmocka_unit_test(a_rewound_target_gets_again_what_it_lost),
        cmocka_unit_test(what_the_target_lost_after_it_was_trimmed_becomes_a_gap),
        cmocka_unit_test(a_deleted_key_is_filled_again),
        cmocka_unit_test(a_deleted_key_is_left_behind_when_told_so),
        cmocka_unit_test(a_target_ahead_of_the_store_stops_the_forward_until_adopted),
        cmocka_unit_test(a_foreign_writer_stops_the_forward),
        cmocka_unit_test(what_was_in_flight_behind_a_refused_batch_is_drained_then_read_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
