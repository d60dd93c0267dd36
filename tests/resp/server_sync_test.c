/* SPDX-License-Identifier: Apache-2.0 */
/* Databases with policies of their own: whose replies wait for the device, and whose do not. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"
#include "oxbow/list.h"

#include <poll.h>
#include <stdatomic.h>
#include <time.h>

/* Database 0 and all others are under `always` but for 1, in an hour, and 2, `no`. Syncs of the device
 * take as long as `held` says. */
static atomic_bool held;
static enum oxbow_err (*real_sync)(void *ctx, int fd);

static enum oxbow_err held_sync(void *ctx, int fd)
{
    const struct timespec ms = {.tv_nsec = 1000000};

    while (atomic_load(&held)) {
        (void)nanosleep(&ms, NULL);
    }
    return real_sync(ctx, fd);
}

static int setup(void **state)
{
    static const struct oxbow_resp_setting own = {"db", "1 sync interval 3600000 2 sync no"};
    struct talk *t = test_calloc(1, sizeof *t);

    t->config.settings = &own;
    t->config.setting_count = 1;
    talk_open(t);
    for (uint32_t n = 0; n < 6; n++) {
        talk_connect(t, n);
    }
    for (uint32_t n = 1; n < 3; n++) { /* 1 and 2 are in database 1, the others in 0 */
        assert_reply(t, n, "SELECT 1", "+OK\r\n");
    }
    talk_turn(t);
    atomic_store(&held, false);
    real_sync = t->fault.port.files.sync;
    t->fault.port.files.sync = held_sync;
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    atomic_store(&held, false);
    return talk_teardown(state);
}

/* What the client has after a turn in which nothing became durable. */
static const char *at_once(struct talk *t, uint32_t n)
{
    oxbow_resp_turn(t->server);
    return talk_heard(t, n);
}

#define assert_at_once(t, n, want) assert_string_equal(at_once((t), (n)), (want))
/* It is held back, and comes when the device has it. */
static void assert_held(struct talk *t, uint32_t n, const char *want)
{
    assert_at_once(t, n, "");
    atomic_store(&held, false);
    talk_turn(t);
    assert_string_equal(talk_heard(t, n), want);
}

static const char *set(struct talk *t, const char *value)
{
    char request[512];
    int len = snprintf(request, sizeof request,
                       "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$2\r\ndb\r\n$%zu\r\n%s\r\n",
                       strlen(value), value);

    talk_feed(t, 0, request, (size_t)len);
    talk_turn(t);
    return talk_heard(t, 0);
}

static void assert_own(struct talk *t, const char *want)
{
    char reply[512];

    (void)snprintf(reply, sizeof reply, "*2\r\n$2\r\ndb\r\n$%zu\r\n%s\r\n", strlen(want), want);
    assert_reply(t, 0, "CONFIG GET db", reply);
}

/* ---- the setting ---- */

static void it_is_told_and_changed_while_the_server_runs(void **state)
{
    struct talk *t = *state;

    assert_own(t, "1 sync interval 3600000 2 sync no");
    assert_string_equal(set(t, "1 sync ALWAYS 15 sync everysec"), "+OK\r\n");
    assert_own(t, "1 sync always 2 sync no 15 sync everysec");
    assert_string_equal(set(t, " 2 SYNC interval 1  "), "+OK\r\n");
    assert_string_equal(set(t, "15 sync none"), "+OK\r\n");
    assert_string_equal(set(t, "1 sync default"), "+OK\r\n");
    assert_string_equal(set(t, ""), "+OK\r\n");
    assert_own(t, "1 sync default 2 sync interval 1 15 sync no");
    const char *info = talk(t, 0, "INFO oxbow");
    assert_non_null(strstr(info, "\r\nstore_sync:always\r\n"));
    assert_non_null(
        strstr(info, "\r\ndb1_sync:default\r\ndb2_sync:interval 1\r\ndb15_sync:no\r\n"));
    assert_null(strstr(info, "db0_sync"));
}

static void what_is_wrong_is_told_and_nothing_changes(void **state)
{
#define TAKES "takes NUMBER sync POLICY or NUMBER memory, of one database or several\r\n"
#define AT_START                                                                                   \
    "a database is kept in memory from the start or not at all: say it in the configuration, and " \
    "start again\r\n"
#define FAILED "-ERR CONFIG SET failed (possibly related to argument 'db') - "
    static const struct {
        const char *value;
        const char *reply;
    } cases[] = {
        {"1", FAILED TAKES},
        {"1 sync", FAILED TAKES},
        {"1 memory", FAILED AT_START},
        {"16 memory", FAILED "databases are 0 to 15\r\n"},
        {"3 memory 4", FAILED AT_START},
        {"1 sink always", FAILED TAKES},
        {"3 sync always 4", FAILED TAKES},
        {"16 sync always", FAILED "databases are 0 to 15\r\n"},
        {"-1 sync always", FAILED "databases are 0 to 15\r\n"},
        {"x sync always", FAILED "databases are 0 to 15\r\n"},
        {"3 sync always 4 sync ever",
         FAILED "policies are always, everysec, interval MS, no and default\r\n"},
        {"3 sync interval", FAILED "an interval has 1 to 3600000 ms\r\n"},
        {"3 sync interval x", FAILED "an interval has 1 to 3600000 ms\r\n"},
        {"3 sync interval 0", FAILED "an interval has 1 to 3600000 ms\r\n"},
        {"3 sync interval 3600001", FAILED "an interval has 1 to 3600000 ms\r\n"},
    };
    struct talk *t = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(set(t, cases[i].value), cases[i].reply);
        assert_own(t, "1 sync interval 3600000 2 sync no");
    }
    assert_int_equal(t->server->always, 0xfff9);
}

static void without_the_journal_it_starts_with_what_is_to_be_had(void **state)
{
    struct talk *t = *state;

    talk_close(t);
    t->store.journal = OXBOW_JOURNAL_OFF;
    talk_open(t);
    talk_connect(t, 0);
    assert_own(t, "1 sync interval 3600000 2 sync no"); /* what was said */
    enum oxbow_sync sync;
    uint32_t ms;
    assert_int_equal(oxbow_database_sync(t->db, 2, &sync, &ms), OXBOW_OK);
    assert_int_equal(sync, OXBOW_SYNC_INTERVAL);
    assert_string_equal(set(t, "3 sync no"),
                        FAILED "without the journal there is no such policy\r\n");
    assert_own(t, "1 sync interval 3600000 2 sync no");
}

/* ---- replies ---- */

static void clients_of_one_batch_wait_each_as_its_database_says(void **state)
{
    struct talk *t = *state;
    struct oxbow_stat stat;

    atomic_store(&held, true);
    talk_send(t, 0, "RPUSH q a");
    talk_send(t, 1, "RPUSH q a b");
    talk_send(t, 2, "LLEN q");
    assert_at_once(t, 1, ":2\r\n");
    assert_at_once(t, 2, ":2\r\n");
    oxbow_stat(t->db, &stat);
    assert_int_equal(stat.lsn_written, stat.lsn_applied); /* a crash of the process takes nothing */
    assert_true(stat.lsn_durable < stat.lsn_applied);
    assert_held(t, 0, ":1\r\n");
}

static void a_reader_of_a_strict_database_waits_and_one_of_a_loose_one_does_not(void **state)
{
    struct talk *t = *state;

    atomic_store(&held, true);
    talk_send(t, 1, "SET k v");
    assert_at_once(t, 1, "+OK\r\n");
    talk_send(t, 2, "GET k");
    assert_at_once(t, 2, "$1\r\nv\r\n");
    talk_send(t, 0, "PING"); /* shows nothing */
    assert_at_once(t, 0, "+PONG\r\n");
    talk_send(t, 0, "GET k");
    assert_held(t, 0, "$-1\r\n");
}

static void what_goes_into_a_strict_database_waits_wherever_it_comes_from(void **state)
{
    static const struct {
        const char *command;
        const char *reply;
    } cases[] = {
        {"COPY k c DB 0", ":1\r\n"}, {"MOVE k 0", ":1\r\n"},
        {"SWAPDB 1 2", ""}, /* both are loose */
        {"SWAPDB 2 9", "+OK\r\n"},   {"FLUSHALL", "+OK\r\n"},
    };
    struct talk *t = *state;

    assert_reply(t, 1, "SET k v", "+OK\r\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        atomic_store(&held, true);
        talk_send(t, 1, cases[i].command);
        if (cases[i].reply[0] == '\0') {
            assert_at_once(t, 1, "+OK\r\n");
            atomic_store(&held, false);
        } else {
            assert_held(t, 1, cases[i].reply);
        }
    }
    assert_reply(t, 1, "SET k v", "+OK\r\n");
    atomic_store(&held, true);
    talk_send(t, 1, "MOVE k 2"); /* `no` and an hour: neither waits */
    assert_at_once(t, 1, ":1\r\n");
}

static void a_transaction_waits_as_the_strictest_database_that_it_selects(void **state)
{
    struct talk *t = *state;

    atomic_store(&held, true);
    talk_send(t, 1, "MULTI");
    talk_send(t, 1, "SET k v");
    talk_send(t, 1, "SELECT 2");
    talk_send(t, 1, "SET k v");
    talk_send(t, 1, "SELECT 1");
    talk_send(t, 1, "EXEC");
    assert_at_once(t, 1,
                   "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
                   "*4\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
    talk_send(t, 1, "MULTI");
    talk_send(t, 1, "SELECT 0");
    talk_send(t, 1, "GET k"); /* it only reads there */
    talk_send(t, 1, "SELECT 1");
    talk_send(t, 1, "EXEC");
    assert_at_once(t, 1, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
    assert_held(t, 1, "*3\r\n+OK\r\n$-1\r\n+OK\r\n");
}

static void replies_keep_their_order_over_databases(void **state)
{
    struct talk *t = *state;

    atomic_store(&held, true);
    talk_send(t, 1, "SELECT 0");
    talk_send(t, 1, "SET k v");
    talk_send(t, 1, "SELECT 1");
    talk_send(t, 1, "SET k v");
    assert_at_once(t, 1, "+OK\r\n");
    assert_held(t, 1, "+OK\r\n+OK\r\n+OK\r\n");
}

static void who_waits_for_a_key_is_served_as_its_database_says(void **state)
{
    struct talk *t = *state;

    talk_send(t, 2, "BLPOP q 0");
    talk_send(t, 3, "BLPOP q 0");
    talk_turn(t);
    atomic_store(&held, true);
    talk_send(t, 0, "RPUSH q strict");
    talk_send(t, 1, "RPUSH q loose");
    assert_at_once(t, 2, "*2\r\n$1\r\nq\r\n$5\r\nloose\r\n");
    assert_at_once(t, 1, ":1\r\n");
    assert_at_once(t, 0, "");
    assert_held(t, 3, "*2\r\n$1\r\nq\r\n$6\r\nstrict\r\n");
    assert_string_equal(talk_heard(t, 0), ":1\r\n");
}

/* ---- messages ---- */

#define MESSAGE "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n"

static void a_message_is_as_late_as_what_its_sender_was_told(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 4, "SUBSCRIBE news");
    atomic_store(&held, true);
    talk_send(t, 1, "SET k v");
    talk_send(t, 1, "PUBLISH news x");
    assert_at_once(t, 4, MESSAGE);
    assert_at_once(t, 1, "+OK\r\n:1\r\n");
    /* A strict database before it, in another batch. */
    talk_send(t, 1, "SELECT 0");
    talk_send(t, 1, "SET k v");
    talk_send(t, 1, "SELECT 1");
    talk_send(t, 1, "PUBLISH news x");
    assert_held(t, 4, MESSAGE);
}

static void who_hears_of_others_waits_for_the_strictest_of_the_batch(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 4, "PSUBSCRIBE __keyevent@*");
    (void)talk(t, 5, "MONITOR");
    assert_reply(t, 0, "CONFIG SET notify-keyspace-events KEA", "+OK\r\n");
    (void)talk_heard(t, 4);
    (void)talk_heard(t, 5);
    atomic_store(&held, true);
    talk_send(t, 1, "SET k v");
    assert_non_null(strstr(at_once(t, 4), "__keyevent@1__:set"));
    assert_non_null(strstr(at_once(t, 5), "[1 test:1] \"SET\""));
    talk_send(t, 1, "SET k v");
    talk_send(t, 0, "SET k v");
    assert_at_once(t, 1, "+OK\r\n+OK\r\n");
    assert_at_once(t, 4, "");
    assert_at_once(t, 5, "");
    atomic_store(&held, false);
    talk_turn(t);
    assert_non_null(strstr(talk_heard(t, 4), "__keyevent@0__:set"));
    assert_non_null(strstr(talk_heard(t, 5), "[0 test:1] \"SET\""));
}

/* Who waits may be woken by the store, outside of any command. */
static void what_a_woken_client_takes_is_told_to_nobody_before_it_is_safe(void **state)
{
    const struct oxbow_txn_options opt = {.sync = OXBOW_SYNC_NONE, .database = 0};
    const struct oxbow_bytes key = {"q", 1};
    const struct oxbow_bytes value = {"a", 1};
    struct talk *t = *state;
    struct pollfd woken = {.fd = oxbow_resp_fd(t->server), .events = POLLIN};
    struct oxbow_txn *txn;
    uint64_t len;

    (void)talk(t, 4, "PSUBSCRIBE __keyevent@*");
    assert_reply(t, 0, "CONFIG SET notify-keyspace-events KEA", "+OK\r\n");
    talk_send(t, 3, "BLPOP q 0");
    talk_turn(t);
    (void)talk_heard(t, 4);
    atomic_store(&held, true);
    assert_int_equal(oxbow_txn_begin(t->db, &opt, &txn), OXBOW_OK);
    assert_int_equal(oxbow_list_push(txn, key, OXBOW_RIGHT, &value, 1, &len), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(poll(&woken, 1, 60000), 1);
    assert_at_once(t, 4, "");
    assert_false(t->clients[3]->block.on); /* it was served */
    assert_held(t, 3, "*2\r\n$1\r\nq\r\n$1\r\na\r\n");
    assert_non_null(strstr(talk_heard(t, 4), "__keyevent@0__:lpop"));
}

static void an_expired_key_is_told_as_its_database_says(void **state)
{
    struct talk *t = *state;
    time_t end = time(NULL) + 60;
    const char *heard;

    (void)talk(t, 4, "PSUBSCRIBE __keyevent@*:expired");
    assert_reply(t, 0, "CONFIG SET notify-keyspace-events Ex", "+OK\r\n");
    assert_reply(t, 1, "SET k v PX 1", "+OK\r\n");
    atomic_store(&held, true);
    do {
        assert_true(time(NULL) < end);
        heard = at_once(t, 4);
    } while (heard[0] == '\0');
    assert_non_null(strstr(heard, "__keyevent@1__:expired"));
}

/* ---- the device ---- */

static void who_asks_waits_for_the_device_in_any_database(void **state)
{
    struct talk *t = *state;

    atomic_store(&held, true);
    talk_send(t, 1, "SET k v");
    talk_send(t, 1, "WAITAOF 1 0 0");
    assert_at_once(t, 1, "+OK\r\n");
    assert_held(t, 1, "*2\r\n:1\r\n:0\r\n");
}

static void what_was_there_is_made_safe_when_the_policy_becomes_stricter(void **state)
{
    struct talk *t = *state;
    time_t end = time(NULL) + 60;
    uint64_t lsn;

    talk_send(t, 1, "SET k v");
    assert_at_once(t, 1, "+OK\r\n");
    lsn = t->clients[1]->shown_lsn;
    assert_true(oxbow_durable_lsn(t->db) < lsn);
    talk_feed(t, 0, "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$2\r\ndb\r\n$13\r\n1 sync always\r\n",
              sizeof "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$2\r\ndb\r\n$13\r\n1 sync always\r\n" - 1);
    assert_at_once(t, 0, "+OK\r\n");
    while (oxbow_durable_lsn(t->db) < lsn) {
        assert_true(time(NULL) < end);
    }
    atomic_store(&held, true);
    talk_send(t, 1, "SET k w");
    assert_held(t, 1, "+OK\r\n");
}

static void all_together_can_be_looser_than_one(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CONFIG SET appendfsync no", "+OK\r\n");
    assert_string_equal(set(t, "1 sync always"), "+OK\r\n");
    assert_int_equal(t->server->always, 1u << 1);
    atomic_store(&held, true);
    talk_send(t, 0, "SET k v");
    assert_at_once(t, 0, "+OK\r\n");
    talk_send(t, 1, "SET k v");
    assert_held(t, 1, "+OK\r\n");
    assert_reply(t, 0, "CONFIG SET appendfsync sometimes",
                 "-ERR CONFIG SET failed (possibly related to argument 'appendfsync') - "
                 "argument(s) must be one of the following: always, everysec, no\r\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_is_told_and_changed_while_the_server_runs),
        TEST(what_is_wrong_is_told_and_nothing_changes),
        TEST(without_the_journal_it_starts_with_what_is_to_be_had),
        TEST(clients_of_one_batch_wait_each_as_its_database_says),
        TEST(a_reader_of_a_strict_database_waits_and_one_of_a_loose_one_does_not),
        TEST(what_goes_into_a_strict_database_waits_wherever_it_comes_from),
        TEST(a_transaction_waits_as_the_strictest_database_that_it_selects),
        TEST(replies_keep_their_order_over_databases),
        TEST(who_waits_for_a_key_is_served_as_its_database_says),
        TEST(a_message_is_as_late_as_what_its_sender_was_told),
        TEST(who_hears_of_others_waits_for_the_strictest_of_the_batch),
        TEST(what_a_woken_client_takes_is_told_to_nobody_before_it_is_safe),
        TEST(an_expired_key_is_told_as_its_database_says),
        TEST(who_asks_waits_for_the_device_in_any_database),
        TEST(what_was_there_is_made_safe_when_the_policy_becomes_stricter),
        TEST(all_together_can_be_looser_than_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
