/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session against a scripted server, in virtual time: what it sends, and every row of the table
 * of errors.
 */
#include "tests/uplink/peer.h"
#include "tests/uplink/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_batch_carries_its_predecessor_and_its_ids(void **state)
{
    struct peer p;

    (void)state;
    peer_open_up(&p, 2);
    assert_non_null(strstr(peer_command(&p), " 1 oxbow:{dev}:s 0-0 2 1-0 2 n v 2-0 2 n v"));
    assert_true(strncmp(p.text, "EVALSHA ", 8) == 0);
    peer_guard(&p, 1, "2-0");
    assert_int_equal(peer_flow(&p).accepted.ms, 2);
    peer_add(&p, 3);
    assert_non_null(strstr(peer_command(&p), " 2-0 1 3-0 2 n v"));
    peer_close(&p);
}

static void nothing_is_sent_before_the_owner_is_known(void **state)
{
    struct peer p;

    (void)state;
    peer_open(&p);
    peer_forward(&p, NULL);
    peer_add(&p, 1);
    peer_session(&p);
    peer_connect(&p);
    assert_true(strncmp(peer_command(&p), "HELLO", 5) == 0);
    peer_reply(&p, "*2\r\n$4\r\nrole\r\n$6\r\nmaster\r\n");
    assert_string_equal(peer_command(&p), "GET oxbow:{dev}:owner");
    assert_string_equal(peer_command(&p), "TIME");
    assert_non_null(strstr(peer_command(&p), "read"));
    assert_string_equal(peer_command(&p), "");
    peer_reply(&p, "$-1\r\n"); /* nobody owns it */
    assert_true(strncmp(peer_command(&p), "SET oxbow:{dev}:owner ", 22) == 0);
    assert_non_null(strstr(p.text, " NX"));
    assert_string_equal(peer_command(&p), "GET oxbow:{dev}:owner");
    peer_reply(&p, "*2\r\n$10\r\n1700000000\r\n$1\r\n5\r\n");
    peer_guard(&p, 0, "0-0");
    assert_string_equal(peer_command(&p), "");
    peer_reply(&p, "+OK\r\n$3\r\nwho\r\n"); /* somebody was faster */
    assert_true(peer_closing(&p));
    assert_int_equal(peer_status(&p).trouble, OXBOW_TROUBLE_OWNER);
    assert_int_equal(peer_status(&p).target_clock_ms, 1700000000000u);
    peer_closed(&p, OXBOW_ECANCELED);
    /* An operator orders to take over. */
    oxbow_uplink_command(p.u, OXBOW_UPLINK_ADOPT);
    oxbow_uplink_tick(p.u);
    peer_connect(&p);
    (void)peer_command(&p);
    peer_reply(&p, "*2\r\n$4\r\nrole\r\n$6\r\nmaster\r\n");
    (void)peer_command(&p);
    peer_reply(&p, "$3\r\nwho\r\n");
    assert_string_equal(peer_command(&p), "TIME");
    (void)peer_command(&p);
    assert_true(strncmp(peer_command(&p), "SET oxbow:{dev}:owner ", 22) == 0);
    assert_null(strstr(p.text, " NX"));
    peer_close(&p);
}

/* ---- errors ---- */

enum outcome { WAITS, STOPS, CLOSES, LOADS, FALLS_BACK };

struct error_row {
    const char *error;
    enum oxbow_uplink_trouble trouble;
    enum outcome outcome;
};

static const struct error_row error_rows[] = {
    {"-TRYAGAIN Multiple keys request during rehashing of slot", OXBOW_TROUBLE_BUSY, WAITS},
    {"-CLUSTERDOWN The cluster is down", OXBOW_TROUBLE_BUSY, WAITS},
    {"-LOADING Redis is loading the dataset in memory", OXBOW_TROUBLE_BUSY, WAITS},
    {"-MASTERDOWN Link with MASTER is down", OXBOW_TROUBLE_BUSY, WAITS},
    {"-BUSY Redis is busy running a script", OXBOW_TROUBLE_BUSY, WAITS},
    {"-OOM command not allowed when used memory > 'maxmemory'.", OXBOW_TROUBLE_FULL, WAITS},
    {"-MISCONF Redis is configured to save RDB snapshots", OXBOW_TROUBLE_FULL, WAITS},
    {"-NOREPLICAS Not enough good replicas to write.", OXBOW_TROUBLE_FULL, WAITS},
    {"-ERR Error running script (call to f_6e): @user_script:12: -OOM command not allowed",
     OXBOW_TROUBLE_FULL, WAITS},
    {"-NOPERM this user has no permissions to access one of the keys", OXBOW_TROUBLE_ACL, WAITS},
    {"-ERR The user executing the script can't run this command or subcommand script: 06e",
     OXBOW_TROUBLE_ACL, WAITS},
    {"-WRONGTYPE Operation against a key holding the wrong kind of value", OXBOW_TROUBLE_KEY,
     STOPS},
    {"-CROSSSLOT Keys in request don't hash to the same slot", OXBOW_TROUBLE_KEY, STOPS},
    {"-OXBOWBAD order", OXBOW_TROUBLE_KEY, STOPS},
    {"-ERR The ID specified in XADD is equal or smaller than the target stream top item",
     OXBOW_TROUBLE_FOREIGN, STOPS},
    {"-READONLY You can't write against a read only replica.", OXBOW_TROUBLE_NOT_MASTER, CLOSES},
    {"-NOAUTH Authentication required.", OXBOW_TROUBLE_CREDENTIALS, CLOSES},
    {"-WRONGPASS invalid username-password pair or user is disabled.", OXBOW_TROUBLE_CREDENTIALS,
     CLOSES},
    {"-MOVED 12182 10.0.0.1:7603", OXBOW_TROUBLE_ROUTE, CLOSES},
    {"-ASK 12182 10.0.0.1:7603", OXBOW_TROUBLE_ROUTE, CLOSES},
    {"-SOMETHING nobody has ever seen", OXBOW_TROUBLE_PROTOCOL, CLOSES},
    {"-NOSCRIPT No matching script. Please use EVAL.", OXBOW_TROUBLE_SCRIPT, LOADS},
    {"-NOPERM this user has no permissions to run the 'evalsha' command", OXBOW_TROUBLE_ACL,
     FALLS_BACK},
    {"-ERR unknown command 'EVALSHA', with args beginning with:", OXBOW_TROUBLE_SCRIPT, FALLS_BACK},
};

static void check_waits(struct peer *p, const struct error_row *row)
{
    assert_int_equal(peer_flow(p).state, OXBOW_UPLINK_FORWARD_WAIT);
    assert_int_equal(peer_flow(p).trouble, row->trouble);
    assert_false(peer_closing(p));
    if (strcmp(peer_wait_command(p), "PING") == 0) { /* long waits are idle ones */
        peer_reply(p, "+PONG\r\n");
        (void)peer_wait_command(p);
    }
    assert_non_null(strstr(p->text, "? read")); /* in its own time */
    peer_guard(p, 0, "0-0");
    assert_non_null(strstr(peer_wait_command(p), " 0-0 2 1-0 2 n v 2-0 2 n v"));
    assert_int_equal(peer_flow(p).inflight_batches, 1);
    peer_guard(p, 1, "2-0");
    assert_int_equal(peer_flow(p).accepted.ms, 2);
    assert_int_equal(peer_flow(p).trouble, OXBOW_TROUBLE_NONE);
}

static void check_stops(struct peer *p, const struct error_row *row)
{
    assert_int_equal(peer_flow(p).state, OXBOW_UPLINK_FORWARD_STOPPED);
    assert_int_equal(peer_flow(p).trouble, row->trouble);
    assert_false(peer_closing(p));
    peer_pass(p, 60000);
    assert_string_equal(peer_command(p), "");
    oxbow_uplink_command(p->u, OXBOW_UPLINK_RESUME);
    oxbow_uplink_tick(p->u);
    assert_non_null(strstr(peer_command(p), "? read"));
}

static void check_row(struct peer *p, const struct error_row *row)
{
    char raw[200];

    snprintf(raw, sizeof(raw), "%s\r\n", row->error);
    peer_reply(p, raw);
    assert_int_equal(peer_status(p).refused[row->trouble], 1);
    switch (row->outcome) {
    case WAITS:
        check_waits(p, row);
        break;
    case STOPS:
        check_stops(p, row);
        break;
    case CLOSES:
        assert_int_equal(peer_status(p).trouble, row->trouble);
        assert_true(peer_closing(p));
        break;
    case LOADS:
        assert_string_equal(peer_command(p), "EVAL <script> 1 oxbow:{dev}:s ? read");
        break;
    case FALLS_BACK:
        assert_string_equal(peer_command(p), "XINFO STREAM oxbow:{dev}:s");
        break;
    }
}

static void every_error_has_its_consequence(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(error_rows) / sizeof(error_rows[0]); i++) {
        struct peer p;

        peer_open_up(&p, 2);
        assert_non_null(strstr(peer_command(&p), "EVALSHA"));
        check_row(&p, &error_rows[i]);
        peer_close(&p);
    }
}

static void an_error_before_anything_was_asked_is_understood(void **state)
{
    static const char *const errors[] = {"-DENIED Redis is running in protected mode\r\n",
                                         "-ERR max number of clients reached\r\n"};
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct peer p;

        peer_open_up(&p, 0);
        assert_string_equal(peer_command(&p), "");
        peer_reply(&p, errors[i]);
        assert_true(peer_closing(&p));
        assert_int_equal(peer_status(&p).trouble, OXBOW_TROUBLE_REFUSED);
        peer_close(&p);
    }
}

static void garbage_ends_the_connection(void **state)
{
    struct peer p;

    (void)state;
    peer_open_up(&p, 0);
    peer_reply(&p, "HTTP/1.1 400 Bad Request\r\n");
    assert_true(peer_closing(&p));
    assert_int_equal(peer_status(&p).trouble, OXBOW_TROUBLE_PROTOCOL);
    peer_close(&p);
}

static void moved_leads_to_the_other_host_and_ask_is_asked_there(void **state)
{
    struct peer p;

    (void)state;
    peer_open_up(&p, 1);
    (void)peer_command(&p);
    peer_reply(&p, "-MOVED 12182 10.0.0.1:7603\r\n");
    assert_true(peer_closing(&p));
    peer_closed(&p, OXBOW_ECANCELED);
    oxbow_uplink_next(p.u, &p.next);
    assert_int_equal(p.next.action, OXBOW_UPLINK_CONNECT);
    assert_string_equal(p.next.host, "10.0.0.1");
    assert_int_equal(p.next.port, 7603);
    oxbow_uplink_connected(p.u, NULL);
    peer_greet(&p);
    (void)peer_command(&p);
    peer_reply(&p, "-ASK 12182 :7604\r\n"); /* the same host */
    assert_true(peer_closing(&p));
    peer_closed(&p, OXBOW_ECANCELED);
    oxbow_uplink_next(p.u, &p.next);
    assert_string_equal(p.next.host, "10.0.0.1");
    assert_int_equal(p.next.port, 7604);
    oxbow_uplink_connected(p.u, NULL);
    peer_greet(&p);
    assert_string_equal(peer_command(&p), "ASKING");
    assert_non_null(strstr(peer_command(&p), "? read"));
    peer_close(&p);
}

static void redirects_in_a_circle_end_in_backoff(void **state)
{
    struct peer p;
    int i;

    (void)state;
    peer_open_up(&p, 1);
    (void)peer_command(&p);
    for (i = 0; i < 5; i++) {
        peer_reply(&p, "-MOVED 12182 10.0.0.1:7603\r\n");
        assert_true(peer_closing(&p));
        peer_closed(&p, OXBOW_ECANCELED);
        oxbow_uplink_next(p.u, &p.next);
        assert_int_equal(p.next.action, OXBOW_UPLINK_CONNECT);
        oxbow_uplink_connected(p.u, NULL);
        peer_greet(&p);
        (void)peer_command(&p);
    }
    peer_reply(&p, "-MOVED 12182 10.0.0.1:7603\r\n");
    peer_closed(&p, OXBOW_ECANCELED);
    assert_int_equal(peer_next(&p), OXBOW_UPLINK_CONNECT);
    assert_string_equal(p.next.host, "one");
    peer_close(&p);
}

/* ---- sending ---- */

static void a_partial_batch_lingers_and_a_full_one_does_not(void **state)
{
    const struct oxbow_forward_options options = {.linger_ms = 500, .batch_count = 2};
    struct peer p;

    (void)state;
    peer_open(&p);
    peer_forward(&p, &options);
    peer_add(&p, 1);
    peer_session(&p);
    peer_up(&p, "0-0");
    assert_string_equal(peer_command(&p), "");
    peer_pass(&p, 400);
    assert_string_equal(peer_command(&p), "");
    peer_pass(&p, 200);
    assert_non_null(strstr(peer_command(&p), " 0-0 1 1-0"));
    peer_guard(&p, 1, "1-0");
    peer_add(&p, 2);
    assert_string_equal(peer_command(&p), "");
    oxbow_uplink_command(p.u, OXBOW_UPLINK_FLUSH);
    oxbow_uplink_tick(p.u);
    assert_non_null(strstr(peer_command(&p), " 1-0 1 2-0"));
    peer_close(&p);
}

static void confirmation_by_replicas_waits_for_them(void **state)
{
    const struct oxbow_forward_options options = {
        .linger_ms = -1, .confirm = OXBOW_CONFIRM_REPLICAS, .replicas = 2};
    struct peer p;

    (void)state;
    peer_open(&p);
    peer_forward(&p, &options);
    peer_add(&p, 1);
    peer_session(&p);
    peer_up(&p, "0-0");
    assert_non_null(strstr(peer_command(&p), " 0-0 1 1-0"));
    peer_guard(&p, 1, "1-0");
    assert_int_equal(peer_flow(&p).confirmed.ms, 0);
    assert_string_equal(peer_command(&p), "WAIT 2 1000");
    peer_reply(&p, ":1\r\n");
    assert_int_equal(peer_flow(&p).confirmed.ms, 0);
    assert_int_equal(peer_status(&p).confirms_low, 1);
    assert_string_equal(peer_wait_command(&p), "WAIT 2 1000");
    peer_reply(&p, ":2\r\n");
    assert_int_equal(peer_flow(&p).confirmed.ms, 1);
    peer_close(&p);
}

static void a_new_connection_writes_before_it_waits(void **state)
{
    const struct oxbow_forward_options options = {.linger_ms = -1,
                                                  .confirm = OXBOW_CONFIRM_REPLICAS};
    struct peer p;

    (void)state;
    peer_open(&p);
    peer_forward(&p, &options);
    peer_add(&p, 1);
    peer_session(&p);
    peer_up(&p, "0-0");
    (void)peer_command(&p);
    peer_closed(&p, OXBOW_EPIPE);
    peer_up(&p, "1-0");
    assert_true(strncmp(peer_wait_command(&p), "SET oxbow:{dev}:owner ", 22) == 0);
    assert_non_null(strstr(p.text, " XX"));
    assert_string_equal(peer_command(&p), "WAIT 1 1000");
    peer_reply(&p, "+OK\r\n:1\r\n");
    assert_int_equal(peer_flow(&p).confirmed.ms, 1);
    peer_pass(&p, 2000);
    assert_int_equal(peer_stored(&p).confirmed.ms, 1);
    peer_close(&p);
}

static void multi_looks_before_it_writes(void **state)
{
    struct peer p;

    (void)state;
    peer_open(&p);
    p.config.mode = OXBOW_UPLINK_MULTI;
    peer_forward(&p, NULL);
    peer_add(&p, 1);
    peer_session(&p);
    peer_connect(&p);
    peer_greet(&p);
    assert_string_equal(peer_command(&p), "XINFO STREAM oxbow:{dev}:s");
    peer_reply(&p, "-ERR no such key\r\n");
    assert_string_equal(peer_command(&p), "WATCH oxbow:{dev}:s");
    assert_string_equal(peer_command(&p), "XINFO STREAM oxbow:{dev}:s");
    assert_string_equal(peer_command(&p), "");
    peer_reply(&p, "+OK\r\n-ERR no such key\r\n");
    assert_string_equal(peer_command(&p), "MULTI");
    assert_string_equal(peer_command(&p), "XADD oxbow:{dev}:s 1-0 n v");
    assert_string_equal(peer_command(&p), "EXEC");
    peer_reply(&p, "+OK\r\n+QUEUED\r\n*-1\r\n"); /* somebody wrote meanwhile */
    assert_string_equal(peer_command(&p), "XINFO STREAM oxbow:{dev}:s");
    peer_reply(&p, "-ERR no such key\r\n");
    assert_string_equal(peer_command(&p), "WATCH oxbow:{dev}:s");
    (void)peer_command(&p);
    peer_reply(&p, "+OK\r\n-ERR no such key\r\n");
    (void)peer_command(&p);
    (void)peer_command(&p);
    (void)peer_command(&p);
    peer_reply(&p, "+OK\r\n-OOM command not allowed\r\n-EXECABORT Transaction discarded\r\n");
    assert_int_equal(peer_flow(&p).trouble, OXBOW_TROUBLE_FULL);
    peer_close(&p);
}

static void what_is_not_durable_is_not_sent(void **state)
{
    struct oxbow_txn_options lazy = {.sync = OXBOW_SYNC_INTERVAL};
    const struct oxbow_stream_add_options options = {.id_mode = OXBOW_ID_EXPLICIT, .id = {7, 0}};
    const struct oxbow_field field = {{"n", 1}, {"v", 1}};
    struct oxbow_txn *txn;
    struct oxbow_id id;
    struct peer p;
    uint64_t lsn;
    int i;

    (void)state;
    peer_open_up(&p, 0);
    assert_int_equal(oxbow_set_sync(p.db, OXBOW_SYNC_INTERVAL, 3600000), OXBOW_OK);
    assert_int_equal(oxbow_txn_begin(p.db, &lazy, &txn), OXBOW_OK);
    assert_int_equal(oxbow_stream_add(txn, (struct oxbow_bytes){"s", 1}, &options, &field, 1, &id),
                     OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, &lsn), OXBOW_OK);
    assert_true(oxbow_durable_lsn(p.db) < lsn);
    for (i = 0; i < 10; i++) {
        oxbow_uplink_tick(p.u);
    }
    assert_string_equal(peer_command(&p), "");
    assert_true(oxbow_durable_lsn(p.db) < lsn);
    assert_int_equal(oxbow_wait(p.db, lsn, 10000), OXBOW_OK);
    oxbow_uplink_tick(p.u);
    assert_non_null(strstr(peer_command(&p), " 0-0 1 7-0"));
    peer_close(&p);
}

static void draining_ends_in_time_or_with_everything_confirmed(void **state)
{
    struct peer p;

    (void)state;
    peer_open_up(&p, 1);
    assert_int_equal(oxbow_uplink_drain(p.u, "f", 20), OXBOW_ETIMEDOUT);
    assert_int_equal(oxbow_uplink_drain(p.u, "nobody", 20), OXBOW_ENOENT);
    (void)peer_command(&p);
    peer_guard(&p, 1, "1-0");
    assert_int_equal(oxbow_uplink_drain(p.u, "f", 20), OXBOW_OK);
    assert_int_equal(oxbow_uplink_drain(p.u, NULL, 20), OXBOW_OK);
    peer_close(&p);
}

static void bad_settings_are_refused(void **state)
{
    struct peer p;
    struct oxbow_uplink *u;

    (void)state;
    peer_open(&p);
    p.config.target_count = 0;
    assert_int_equal(oxbow_uplink_open(p.db, &p.config, &u), OXBOW_EINVAL);
    p.config.target_count = OXBOW_UPLINK_TARGETS_MAX + 1;
    assert_int_equal(oxbow_uplink_open(p.db, &p.config, &u), OXBOW_EINVAL);
    p.config.target_count = 1;
    p.config.batch_bytes = 1023;
    assert_int_equal(oxbow_uplink_open(p.db, &p.config, &u), OXBOW_EINVAL);
    p.config.batch_bytes = 262145;
    assert_int_equal(oxbow_uplink_open(p.db, &p.config, &u), OXBOW_EINVAL);
    p.config.batch_bytes = 262144;
    p.config.rate_bytes_s_max = OXBOW_UPLINK_RATE_MIN - 1;
    assert_int_equal(oxbow_uplink_open(p.db, &p.config, &u), OXBOW_EINVAL);
    p.config.rate_bytes_s_max = OXBOW_UPLINK_RATE_MIN;
    assert_int_equal(oxbow_uplink_open(p.db, &p.config, &u), OXBOW_OK);
    oxbow_uplink_close(u);
    p.config.rate_bytes_s_max = 0;
    assert_int_equal(oxbow_uplink_open(p.db, &p.config, &u), OXBOW_OK);
    oxbow_uplink_close(u);
    peer_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_carries_its_predecessor_and_its_ids),
        cmocka_unit_test(nothing_is_sent_before_the_owner_is_known),
        cmocka_unit_test(every_error_has_its_consequence),
        cmocka_unit_test(an_error_before_anything_was_asked_is_understood),
        cmocka_unit_test(garbage_ends_the_connection),
        cmocka_unit_test(moved_leads_to_the_other_host_and_ask_is_asked_there),
        cmocka_unit_test(redirects_in_a_circle_end_in_backoff),
        cmocka_unit_test(a_partial_batch_lingers_and_a_full_one_does_not),
        cmocka_unit_test(confirmation_by_replicas_waits_for_them),
        cmocka_unit_test(a_new_connection_writes_before_it_waits),
        cmocka_unit_test(multi_looks_before_it_writes),
        cmocka_unit_test(what_is_not_durable_is_not_sent),
        cmocka_unit_test(draining_ends_in_time_or_with_everything_confirmed),
        cmocka_unit_test(bad_settings_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
