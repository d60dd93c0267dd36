/* SPDX-License-Identifier: Apache-2.0 */
/* The turn: what shares a transaction, what may leave when, what comes of a transaction that fails. */
#include "oxbow/forward.h"
#include "tests/resp/talk.h"

#include <unistd.h>

static void a_reply_comes_for_each_command_in_order(void **state)
{
    static const char requests[] = "*1\r\n$4\r\nPING\r\n*3\r\n$5\r\nRPUSH\r\n$1\r\nq\r\n$1\r\na\r\n"
                                   "*2\r\n$4\r\nLLEN\r\n$1\r\nq\r\nPING hello\r\n"
                                   "*2\r\n$4\r\nLPOP\r\n$1\r\nq\r\n";
    struct talk *t = *state;

    for (size_t step = 1; step < sizeof requests; step++) {
        for (size_t at = 0; at < sizeof requests - 1; at += step) {
            size_t left = sizeof requests - 1 - at;

            talk_feed(t, 0, requests + at, left < step ? left : step);
            talk_turn(t);
        }
        assert_string_equal(talk_heard(t, 0), "+PONG\r\n:1\r\n:1\r\n$5\r\nhello\r\n$1\r\na\r\n");
    }
}

static void what_was_pushed_is_there_after_the_store_was_opened_again(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "RPUSH q a b c", ":3\r\n");
    talk_again(t);
    talk_connect(t, 0);
    assert_reply(t, 0, "LRANGE q 0 -1", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
}

static void nothing_leaves_before_it_is_durable(void **state)
{
    struct talk *t = *state;

    fault_arm_files(&t->fault, FAULT_SYNC, 1, UINT64_MAX, OXBOW_EIO);
    talk_send(t, 0, "RPUSH q a");
    talk_turn(t);
    assert_string_equal(talk_heard(t, 0), ""); /* nobody may be told: it may be lost */
    assert_true(oxbow_resp_client_done(t->clients[0]));
    talk_connect(t, 1);
    assert_memory_equal(talk(t, 1, "RPUSH q b"), "-MISCONF", 8);
    fault_disarm(&t->fault);
}

static void a_reader_is_not_told_either_what_is_not_durable(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    fault_arm_files(&t->fault, FAULT_SYNC, 1, UINT64_MAX, OXBOW_EIO);
    talk_send(t, 0, "RPUSH q a");
    talk_send(t, 1, "LLEN q");
    talk_turn(t);
    assert_string_equal(talk_heard(t, 1), "");
    fault_disarm(&t->fault);
}

static void a_command_that_cannot_be_applied_takes_no_other_with_it(void **state)
{
    static char big[3000];
    struct talk *t = *state;

    talk_close(t);
    t->store.txn_bytes = 128 << 10;
    t->store.journal = OXBOW_JOURNAL_OFF; /* else batches end long before */
    talk_open(t);
    talk_connect(t, 0);
    talk_connect(t, 1);
    memset(big, 'x', sizeof big - 1);
    memcpy(big, "RPUSH big ", 10);
    talk_send(t, 0, "RPUSH q a");
    for (int i = 0; i < 100; i++) { /* together more than a transaction may hold */
        talk_send(t, 1, big);
    }
    talk_send(t, 0, "RPUSH q b");
    talk_turn(t);
    assert_string_equal(talk_heard(t, 0), ":1\r\n:2\r\n");
    for (int i = 1; i <= 100; i++) {
        char want[16];

        (void)snprintf(want, sizeof want, ":%d\r\n", i);
        if (i == 1) {
            (void)talk_heard(t, 1);
        }
        assert_non_null(strstr(t->text, want));
    }
    assert_reply(t, 0, "LLEN big", ":100\r\n");
}

static void a_batch_ends_before_it_is_too_long_for_the_journal(void **state)
{
    static char set[200];
    struct talk *t = *state;
    struct oxbow_stat before;
    struct oxbow_stat after;

    talk_close(t);
    t->store.journal_bytes = 1 << 20;
    talk_open(t);
    for (uint32_t n = 0; n < TALK_CLIENTS; n++) {
        talk_connect(t, n);
    }
    memset(set, 'x', sizeof set - 1);
    oxbow_stat(t->db, &before);
    for (int i = 0; i < 2000; i++) {
        char head[32];

        (void)snprintf(head, sizeof head, "SET key:%04d ", i);
        memcpy(set, head, strlen(head));
        talk_send(t, (uint32_t)i % TALK_CLIENTS, set);
    }
    talk_turn(t);
    for (uint32_t n = 0; n < TALK_CLIENTS; n++) {
        assert_string_equal(talk_heard(t, n) + 5 * (2000 / TALK_CLIENTS - 1), "+OK\r\n");
    }
    oxbow_stat(t->db, &after);
    assert_int_equal(after.checkpoints, before.checkpoints);
    assert_in_range(after.lsn_applied - before.lsn_applied, 2000 * 200 / (32 << 10), 200);
}

/* DEL of two keys, the later of which may not go. */
static void a_command_that_is_refused_half_way_leaves_nothing(void **state)
{
    const struct oxbow_forward_options opt = {
        .key = {"kept", 4}, .type = OXBOW_TYPE_LIST, .target = {"x{d}y", 5}};
    const char *const refused = "-ERR a forward has not delivered this yet\r\n";
    struct talk *t = *state;
    struct oxbow_txn *txn;
    char want[128];

    assert_int_equal(oxbow_txn_begin(t->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "f", &opt), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_reply(t, 0, "RPUSH kept 1", ":1\r\n");
    assert_reply(t, 0, "SET a 1", "+OK\r\n");
    assert_reply(t, 0, "DEL a kept", refused);
    assert_reply(t, 0, "GET a", "$1\r\n1\r\n");
    talk_connect(t, 1);
    talk_send(t, 0, "SET b 1");
    talk_send(t, 1, "SET c 1");
    talk_send(t, 0, "DEL a kept");
    talk_send(t, 1, "DEL a b");
    talk_send(t, 0, "SET d 1");
    talk_turn(t);
    (void)snprintf(want, sizeof want, "+OK\r\n%s+OK\r\n", refused);
    assert_string_equal(talk_heard(t, 0), want);
    assert_string_equal(talk_heard(t, 1), "+OK\r\n:2\r\n");
    assert_reply(t, 0, "EXISTS a b c d kept", ":3\r\n");
    assert_reply(t, 0, "MULTI", "+OK\r\n");
    assert_reply(t, 0, "SET e 1", "+QUEUED\r\n");
    assert_reply(t, 0, "DEL c kept", "+QUEUED\r\n");
    assert_reply(t, 0, "EXEC", refused);
    assert_reply(t, 0, "EXISTS c d e kept", ":3\r\n");
}

/* The key is removed on the way: that is no part of what was asked for. */
static void a_key_that_has_expired_takes_no_transaction_with_it(void **state)
{
    struct talk *t = *state;

    for (int i = 0; i < 30; i++) { /* the store may have removed it by itself */
        assert_reply(t, 0, "SET k v PX 1", "+OK\r\n");
        usleep(1100);
        assert_reply(t, 0, "MULTI", "+OK\r\n");
        assert_reply(t, 0, "RENAME k x", "+QUEUED\r\n");
        talk_send(t, 0, "EXEC");
        talk_turn(t);
        assert_memory_equal(talk_heard(t, 0), "*1\r\n", 4);
    }
}

static void memory_that_runs_out_gives_one_error_and_nothing_is_doubled(void **state)
{
    struct talk *t = *state;
    uint64_t points = 0;

    for (uint64_t n = 1;; n++) {
        char want[8];
        const char *got;
        bool met;

        (void)talk(t, 0, "DEL q");
        talk_send(t, 0, "RPUSH q a");
        talk_send(t, 0, "RPUSH q b");
        fault_arm_alloc(&t->fault, n, 1);
        talk_turn(t);
        met = t->fault.alloc_failed > 0;
        fault_disarm(&t->fault);
        got = talk_heard(t, 0);
        if (oxbow_resp_client_done(t->clients[0])) { /* its own memory: then it is closed */
            talk_hang_up(t, 0);
            talk_connect(t, 0);
            continue;
        }
        (void)snprintf(want, sizeof want, ":%d\r\n",
                       (strstr(got, ":1\r\n") != NULL) + (strstr(got, ":2\r\n") != NULL));
        assert_reply(t, 0, "LLEN q", want);
        if (!met) {
            break;
        }
        points++;
    }
    print_message("%llu allocations\n", (unsigned long long)points);
    assert_true(points >= 1);
}

static void a_client_that_does_not_read_is_not_carried_out_for_ever(void **state)
{
    struct talk *t = *state;
    static char big[2000];

    memset(big, 'x', sizeof big - 1);
    memcpy(big, "PING ", 5);
    for (int i = 0; i < 2000; i++) {
        talk_send(t, 0, big);
        if (i % 100 == 0) {
            talk_turn(t);
        }
    }
    talk_turn(t);
    assert_false(oxbow_resp_client_wants(t->clients[0]));
    for (size_t heard = 0; heard < 2000 * (size_t)1900;) {
        struct oxbow_bytes part = oxbow_resp_client_peek(t->clients[0]);

        if (part.len == 0) {
            talk_turn(t);
            part = oxbow_resp_client_peek(t->clients[0]);
            assert_true(part.len > 0);
        }
        heard += part.len;
        oxbow_resp_client_sent(t->clients[0], part.len);
    }
    assert_true(oxbow_resp_client_wants(t->clients[0]));
}

static void a_malformed_request_ends_the_connection_after_what_came_before(void **state)
{
    static const char requests[] = "*1\r\n$4\r\nPING\r\n*1\r\n!4\r\n";
    struct talk *t = *state;

    talk_feed(t, 0, requests, sizeof requests - 1);
    talk_turn(t);
    assert_string_equal(talk_heard(t, 0),
                        "+PONG\r\n-ERR Protocol error: expected '$', got '!'\r\n");
    assert_true(oxbow_resp_client_done(t->clients[0]));
}

static void a_browser_that_is_made_to_send_commands_is_closed_before_them(void **state)
{
    static const char *const requests[] = {
        "PING\r\nPOST / HTTP/1.1\r\nSET a b\r\n",
        "PING\r\nhost: localhost:6379\r\nSET a b\r\n",
        "PING\r\n*1\r\n$4\r\npost\r\nSET a b\r\n",
    };
    struct talk *t = *state;

    for (uint32_t i = 0; i < 3; i++) {
        if (i > 0) {
            talk_connect(t, i);
        }
        talk_feed(t, i, requests[i], strlen(requests[i]));
        talk_turn(t);
        assert_string_equal(talk_heard(t, i), "+PONG\r\n");
        assert_true(oxbow_resp_client_done(t->clients[i]));
    }
    talk_connect(t, 3);
    assert_reply(t, 3, "EXISTS a", ":0\r\n");
}

static void more_clients_than_allowed_are_refused(void **state)
{
    const struct oxbow_resp_peer peer = {.addr = "", .fd = -1};
    struct talk *t = *state;
    struct oxbow_resp_client *c;

    assert_reply(t, 0, "CONFIG SET maxclients 1", "+OK\r\n");
    assert_int_equal(oxbow_resp_client_open(t->server, &peer, NULL, &c), OXBOW_EBUSY);
    assert_reply(t, 0, "CONFIG SET maxclients 2", "+OK\r\n");
    talk_connect(t, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reply_comes_for_each_command_in_order),
        TEST(what_was_pushed_is_there_after_the_store_was_opened_again),
        TEST(nothing_leaves_before_it_is_durable),
        TEST(a_reader_is_not_told_either_what_is_not_durable),
        TEST(a_command_that_cannot_be_applied_takes_no_other_with_it),
        TEST(a_batch_ends_before_it_is_too_long_for_the_journal),
        TEST(a_command_that_is_refused_half_way_leaves_nothing),
        TEST(a_key_that_has_expired_takes_no_transaction_with_it),
        TEST(memory_that_runs_out_gives_one_error_and_nothing_is_doubled),
        TEST(a_client_that_does_not_read_is_not_carried_out_for_ever),
        TEST(a_malformed_request_ends_the_connection_after_what_came_before),
        TEST(a_browser_that_is_made_to_send_commands_is_closed_before_them),
        TEST(more_clients_than_allowed_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
