/* SPDX-License-Identifier: Apache-2.0 */
/* WAIT, WAITAOF and SAVE: who waits for the device, and what ends that. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"

#include <poll.h>

/* A turn in which nothing becomes durable but what the store does by itself. */
static const char *turned(struct talk *t, uint32_t n)
{
    oxbow_resp_turn(t->server);
    return talk_heard(t, n);
}

static void open_without_syncs(struct talk *t)
{
    talk_close(t);
    t->store.sync = OXBOW_SYNC_NONE;
    talk_open(t);
    talk_connect(t, 0);
}

static void nobody_waits_for_replicas(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "WAIT 0 0", ":0\r\n");
    assert_reply(t, 0, "WAIT 3 0", ":0\r\n");
    assert_reply(t, 0, "WAIT x 0", "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "WAIT 0 x", "-ERR timeout is not an integer or out of range\r\n");
    assert_reply(t, 0, "WAIT 0 -1", "-ERR timeout is negative\r\n");
}

static void who_asks_is_told_when_its_writes_are_on_the_device(void **state)
{
    struct talk *t = *state;

    open_without_syncs(t);
    talk_send(t, 0, "SET k v");
    assert_string_equal(turned(t, 0), "+OK\r\n");
    assert_true(t->clients[0]->shown_lsn > oxbow_durable_lsn(t->db));
    talk_send(t, 0, "WAITAOF 1 0 0");
    for (int i = 0; i < 600 && !t->clients[0]->block.on; i++) {
        oxbow_resp_turn(t->server);
        if (t->clients[0]->shown_lsn <= oxbow_durable_lsn(t->db)) {
            break; /* the device was quicker than the turn */
        }
    }
    for (int i = 0; i < 600 && t->clients[0]->block.on; i++) { /* it is asked for without a flush */
        struct pollfd wait = {.fd = oxbow_resp_fd(t->server), .events = POLLIN};

        (void)poll(&wait, 1, 100);
        oxbow_resp_turn(t->server);
    }
    assert_string_equal(turned(t, 0), "*2\r\n:1\r\n:0\r\n");
    assert_true(t->clients[0]->shown_lsn <= oxbow_durable_lsn(t->db));
    assert_reply(t, 0, "WAITAOF 1 0 0", "*2\r\n:1\r\n:0\r\n"); /* nothing new */
}

static void within_a_transaction_nobody_waits(void **state)
{
    struct talk *t = *state;

    open_without_syncs(t);
    talk_send(t, 0, "SET k v");
    assert_string_equal(turned(t, 0), "+OK\r\n");
    talk_send(t, 0, "MULTI");
    talk_send(t, 0, "WAITAOF 1 0 0");
    talk_send(t, 0, "EXEC");
    assert_string_equal(turned(t, 0), "+OK\r\n+QUEUED\r\n*1\r\n*2\r\n:0\r\n:0\r\n");
    assert_false(t->clients[0]->block.on);
}

/* The wait as it is while the device is slow, whatever this machine's is like. */
static void wait_for_ever(struct talk *t)
{
    t->clients[0]->shown_lsn = UINT64_MAX - 1;
}

static void a_wait_ends_with_its_time_or_when_another_says_so(void **state)
{
    struct talk *t = *state;
    struct pollfd none = {.fd = -1};

    talk_connect(t, 1);
    open_without_syncs(t);
    talk_connect(t, 1);
    talk_send(t, 0, "SET k v");
    assert_string_equal(turned(t, 0), "+OK\r\n");
    wait_for_ever(t);
    talk_send(t, 0, "WAITAOF 1 0 20");
    assert_string_equal(turned(t, 0), "");
    assert_true(t->clients[0]->block.on);
    for (int i = 0; i < 600 && t->clients[0]->block.on; i++) {
        (void)poll(&none, 0, 50);
        oxbow_resp_turn(t->server);
    }
    assert_string_equal(turned(t, 0), "*2\r\n:0\r\n:0\r\n");
    talk_send(t, 0, "WAITAOF 1 5 0");
    assert_string_equal(turned(t, 0), "");
    talk_send(t, 1, "CLIENT UNBLOCK 1");
    assert_string_equal(turned(t, 1), ":1\r\n");
    assert_string_equal(turned(t, 0), "*2\r\n:0\r\n:0\r\n");
    talk_send(t, 0, "WAITAOF 1 0 0");
    assert_string_equal(turned(t, 0), "");
    talk_send(t, 1, "CLIENT UNBLOCK 1 ERROR");
    assert_string_equal(turned(t, 1), ":1\r\n");
    assert_memory_equal(turned(t, 0), "-UNBLOCKED ", 11);
    talk_send(t, 0, "WAITAOF 1 0 0");
    assert_string_equal(turned(t, 0), "");
    assert_int_equal(t->server->blocked, 1);
    talk_hang_up(t, 0);
    assert_int_equal(t->server->blocked, 0);
    assert_true(link_alone(&t->server->settling));
}

static void numbers_that_make_no_sense_are_refused(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "WAITAOF 2 0 0",
                 "-ERR value is out of range, value must between 0 and 1\r\n");
    assert_reply(t, 0, "WAITAOF x 0 0", "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "WAITAOF 1 -1 0", "-ERR value is out of range, must be positive\r\n");
    assert_reply(t, 0, "WAITAOF 1 0 x", "-ERR timeout is not an integer or out of range\r\n");
    assert_reply(t, 0, "WAITAOF 1 0 -1", "-ERR timeout is negative\r\n");
    assert_reply(t, 0, "WAITAOF 0 0 9223372036854775807", "*2\r\n:1\r\n:0\r\n");
    (void)talk(t, 0, "SET k v");
    assert_reply(t, 0, "WAITAOF 0 7 0", "*2\r\n:1\r\n:0\r\n");
}

/* Turns until the client has heard something, without a flush. */
static const char *heard(struct talk *t, uint32_t n)
{
    const char *got = turned(t, n);

    for (int i = 0; i < 600 && got[0] == '\0'; i++) {
        struct pollfd wait = {.fd = oxbow_resp_fd(t->server), .events = POLLIN};

        (void)poll(&wait, 1, 50);
        got = turned(t, n);
    }
    return got;
}

static void save_waits_for_what_others_wrote(void **state)
{
    struct talk *t = *state;
    struct oxbow_stat stat;

    open_without_syncs(t);
    talk_connect(t, 1);
    talk_send(t, 1, "SET k v");
    assert_string_equal(turned(t, 1), "+OK\r\n");
    oxbow_stat(t->db, &stat);
    talk_send(t, 0, "SAVE");
    assert_string_equal(heard(t, 0), "+OK\r\n");
    assert_true(oxbow_durable_lsn(t->db) >= stat.lsn_applied);
    assert_reply(t, 0, "SAVE", "+OK\r\n"); /* nothing new */
    assert_int_equal(t->server->blocked, 0);
    assert_reply(t, 0, "SAVE now", "-ERR wrong number of arguments for 'save' command\r\n");
    (void)talk(t, 0, "MULTI");
    assert_reply(t, 0, "SAVE", "-ERR Command not allowed inside a transaction\r\n");
}

static void a_save_that_is_ended_does_not_say_ok(void **state)
{
    struct talk *t = *state;

    open_without_syncs(t);
    talk_connect(t, 1);
    fault_arm_files(&t->fault, FAULT_SYNC, 1, UINT64_MAX, OXBOW_EIO);
    talk_send(t, 0, "SET k v");
    assert_string_equal(turned(t, 0), "+OK\r\n");
    talk_send(t, 0, "SAVE");
    for (int i = 0; i < 600 && !oxbow_resp_client_done(t->clients[0]); i++) {
        struct pollfd none = {.fd = -1};

        (void)poll(&none, 0, 50);
        oxbow_resp_turn(t->server);
    }
    assert_string_equal(talk_heard(t, 0), ""); /* nobody knows: as replies that are held */
    assert_true(oxbow_resp_client_done(t->clients[0]));
    fault_disarm(&t->fault);
}

static void the_last_save_is_when_everything_was_on_the_device(void **state)
{
    struct talk *t = *state;
    uint64_t before;
    char want[64];

    open_without_syncs(t);
    before = t->server->saved_s;
    assert_true(before > 0);
    t->server->saved_s = 5; /* as if that were long ago */
    talk_send(t, 0, "SET k v");
    assert_string_equal(turned(t, 0), "+OK\r\n");
    talk_send(t, 0, "LASTSAVE");
    (void)turned(t, 0); /* five, if the store has not synced by itself */
    talk_send(t, 0, "BGSAVE");
    assert_string_equal(turned(t, 0), "+Background saving started\r\n");
    assert_reply(t, 0, "BGSAVE schedule", "+Background saving started\r\n");
    assert_reply(t, 0, "BGSAVE x", "-ERR syntax error\r\n");
    (void)talk(t, 0, "SAVE");
    (void)talk(t, 0, "LASTSAVE");
    (void)snprintf(want, sizeof want, ":%llu\r\n", (unsigned long long)t->server->saved_s);
    assert_string_equal(t->text, want);
    assert_true(t->server->saved_s >= before);
    assert_memory_equal(talk(t, 0, "BGREWRITEAOF"), "-ERR There is no append only file", 33);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_waits_for_replicas),
        TEST(who_asks_is_told_when_its_writes_are_on_the_device),
        TEST(within_a_transaction_nobody_waits),
        TEST(a_wait_ends_with_its_time_or_when_another_says_so),
        TEST(numbers_that_make_no_sense_are_refused),
        TEST(save_waits_for_what_others_wrote),
        TEST(a_save_that_is_ended_does_not_say_ok),
        TEST(the_last_save_is_when_everything_was_on_the_device),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
