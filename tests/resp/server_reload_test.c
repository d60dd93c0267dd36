/* SPDX-License-Identifier: Apache-2.0 */
/* DEBUG RELOAD: the store is closed and opened again under those who are connected. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"
#include "oxbow/list.h"

#include <poll.h>

static enum oxbow_err opens; /* what the store's next opening comes to */
static uint32_t reopened;

static enum oxbow_err reopen(void *ctx, struct oxbow **db)
{
    struct talk *t = ctx;
    enum oxbow_err err = oxbow_close(t->db);

    t->db = NULL;
    reopened++;
    err = err == OXBOW_OK ? opens : err;
    if (err == OXBOW_OK) {
        err = oxbow_open(&t->store, &t->db);
    }
    if (err == OXBOW_OK) {
        *db = t->db;
    }
    return err;
}

static void begin(struct talk *t)
{
    opens = OXBOW_OK;
    reopened = 0;
    t->config.debug = OXBOW_RESP_DEBUG_YES;
    t->config.reopen = reopen;
    talk_open(t);
    for (uint32_t n = 0; n < 4; n++) {
        talk_connect(t, n);
    }
}

static int setup(void **state)
{
    struct talk *t = test_calloc(1, sizeof *t);

    t->store.cache_databases = 1u << 3;
    begin(t);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct talk *t = *state;

    if (t->db == NULL) { /* talk_close closes one */
        assert_int_equal(oxbow_open(&t->store, &t->db), OXBOW_OK);
    }
    return talk_teardown(state);
}

/* Until the client has heard something. */
static const char *wait_heard(struct talk *t, uint32_t n)
{
    const char *got = "";

    for (int i = 0; i < 600 && got[0] == '\0'; i++) {
        struct pollfd wait = {.fd = oxbow_resp_fd(t->server), .events = POLLIN};

        (void)poll(&wait, 1, 50);
        talk_turn(t);
        got = talk_heard(t, n);
    }
    return got;
}

static void what_was_written_is_there_and_all_stay_connected(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "SET a 1");
    (void)talk(t, 0, "SELECT 2");
    (void)talk(t, 0, "RPUSH q x y");
    (void)talk(t, 1, "SUBSCRIBE c");
    assert_reply(t, 0, "DEBUG RELOAD", "+OK\r\n");
    assert_reply(t, 0, "LRANGE q 0 -1", "*2\r\n$1\r\nx\r\n$1\r\ny\r\n");
    assert_reply(t, 2, "GET a", "$1\r\n1\r\n");
    assert_reply(t, 0, "PUBLISH c m", ":1\r\n");
    assert_string_equal(talk_heard(t, 1), "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n");
    assert_reply(t, 2, "debug loadaof", "+OK\r\n");
    assert_reply(t, 2, "INCR a", ":2\r\n");
    assert_int_equal(reopened, 2);
}

/* Nothing else makes the writes durable here: what waited for that leaves with the reply. */
static void replies_that_waited_for_the_device_leave(void **state)
{
    struct talk *t = *state;

    talk_send(t, 1, "SET b 1");
    talk_send(t, 0, "SET a 1");
    talk_send(t, 0, "DEBUG RELOAD");
    talk_send(t, 0, "GET b");
    oxbow_resp_turn(t->server);
    assert_string_equal(talk_heard(t, 0), "+OK\r\n+OK\r\n$1\r\n1\r\n");
    assert_string_equal(talk_heard(t, 1), "+OK\r\n");
}

static void who_waits_for_the_device_is_told(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 1, "SET k v");
    t->clients[1]->shown_lsn = UINT64_MAX - 1; /* as if the device had not come so far */
    talk_send(t, 1, "WAITAOF 1 0 0");
    oxbow_resp_turn(t->server);
    assert_true(t->clients[1]->block.on);
    talk_send(t, 0, "DEBUG RELOAD");
    oxbow_resp_turn(t->server);
    assert_string_equal(talk_heard(t, 0), "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), "*2\r\n:1\r\n:0\r\n");
    assert_int_equal(t->server->blocked, 0);
}

static void who_tracks_is_told_of_everything_and_goes_on(void **state)
{
    static const char all[] = ">2\r\n$10\r\ninvalidate\r\n_\r\n";
    static const char of_k[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
    struct talk *t = *state;

    (void)talk(t, 1, "HELLO 3");
    (void)talk(t, 1, "CLIENT TRACKING ON");
    (void)talk(t, 1, "SELECT 3"); /* that is lost */
    (void)talk(t, 1, "SET k v");
    (void)talk(t, 1, "GET k");
    assert_reply(t, 0, "DEBUG RELOAD", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), all);
    assert_reply(t, 1, "GET k", "_\r\n");
    (void)talk(t, 0, "SET k v");
    assert_string_equal(talk_heard(t, 1), of_k);
    (void)talk(t, 1, "SELECT 0");
    (void)talk(t, 0, "SET k v PX 20");
    (void)talk(t, 1, "GET k");
    assert_string_equal(wait_heard(t, 1), of_k);
}

/* As another thread of the program does. */
static void push(struct talk *t, const char *key, const char *element)
{
    const struct oxbow_bytes value = {element, strlen(element)};
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(t->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(
        oxbow_list_push(txn, (struct oxbow_bytes){key, strlen(key)}, OXBOW_RIGHT, &value, 1, NULL),
        OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

static void who_waits_goes_on_waiting_in_the_order_of_arrival(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 2, "BLPOP q 0", "");
    assert_reply(t, 1, "BLPOP none q 0", "");
    assert_reply(t, 3, "XREAD BLOCK 0 STREAMS x $", "");
    assert_reply(t, 0, "DEBUG RELOAD", "+OK\r\n");
    assert_reply(t, 0, "DEBUG RELOAD", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), "");
    assert_string_equal(talk_heard(t, 2), "");
    assert_string_equal(talk_heard(t, 3), "");
    push(t, "q", "a"); /* by the lines of the store */
    talk_turn(t);
    assert_string_equal(talk_heard(t, 1), "");
    assert_string_equal(talk_heard(t, 2), "*2\r\n$1\r\nq\r\n$1\r\na\r\n");
    assert_reply(t, 0, "RPUSH q b", ":1\r\n"); /* and by those of the server */
    assert_string_equal(talk_heard(t, 1), "*2\r\n$1\r\nq\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "XADD x 1-1 f v", "$3\r\n1-1\r\n");
    assert_string_equal(
        talk_heard(t, 3),
        "*1\r\n*2\r\n$1\r\nx\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
    assert_int_equal(t->server->blocked, 0);
    assert_true(link_alone(&t->server->waiting));
}

static void a_wait_ends_when_its_time_is_over(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 1, "BLPOP q 0.05", "");
    assert_reply(t, 2, "BLPOP q 0", "");
    assert_reply(t, 0, "DEBUG RELOAD", "+OK\r\n");
    assert_string_equal(wait_heard(t, 1), "*-1\r\n");
    talk_hang_up(t, 2); /* nor is one that goes in anybody's way */
    assert_reply(t, 0, "RPUSH q a", ":1\r\n");
    assert_reply(t, 0, "LLEN q", ":1\r\n");
}

static void watched_keys_are_watched_on(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "SET k v");
    (void)talk(t, 1, "WATCH k");
    (void)talk(t, 2, "WATCH k");
    assert_reply(t, 0, "DEBUG RELOAD", "+OK\r\n");
    (void)talk(t, 1, "MULTI");
    (void)talk(t, 1, "SET k w");
    assert_reply(t, 1, "EXEC", "*1\r\n+OK\r\n");
    (void)talk(t, 2, "MULTI");
    (void)talk(t, 2, "SET k x");
    assert_reply(t, 2, "EXEC", "*-1\r\n");
    assert_reply(t, 0, "GET k", "$1\r\nw\r\n");
}

static void what_is_kept_in_memory_is_lost_and_who_watches_it_is_told(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 1, "SELECT 3", "+OK\r\n");
    assert_reply(t, 1, "SET k v", "+OK\r\n");
    assert_reply(t, 1, "WATCH k", "+OK\r\n");
    assert_reply(t, 0, "CONFIG SET maxmemory 1mb", "+OK\r\n");
    assert_reply(t, 0, "DEBUG RELOAD", "+OK\r\n");
    (void)talk(t, 1, "MULTI");
    (void)talk(t, 1, "SET k w");
    assert_reply(t, 1, "EXEC", "*-1\r\n");
    assert_reply(t, 1, "GET k", "$-1\r\n");
    assert_reply(t, 1, "DBSIZE", ":0\r\n");
    assert_reply(t, 0, "CONFIG GET maxmemory", "*2\r\n$9\r\nmaxmemory\r\n$7\r\n1048576\r\n");
    assert_non_null(strstr(talk(t, 0, "INFO memory"), "maxmemory:1048576\r\n"));
}

static void what_was_set_holds_on(void **state)
{
    static const char set_db[] =
        "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$2\r\ndb\r\n$9\r\n2 sync no\r\n";
    struct talk *t = *state;
    struct oxbow_stat stat;
    enum oxbow_sync sync;
    uint32_t ms;

    assert_reply(t, 0, "CONFIG SET appendfsync everysec", "+OK\r\n");
    talk_feed(t, 0, set_db, sizeof set_db - 1);
    talk_turn(t);
    assert_string_equal(talk_heard(t, 0), "+OK\r\n");
    assert_reply(t, 0, "CONFIG SET notify-keyspace-events Ex", "+OK\r\n");
    (void)talk(t, 1, "SUBSCRIBE __keyevent@0__:expired");
    assert_reply(t, 0, "DEBUG RELOAD", "+OK\r\n");
    oxbow_stat(t->db, &stat);
    assert_int_equal(stat.sync, OXBOW_SYNC_INTERVAL);
    assert_int_equal(oxbow_database_sync(t->db, 2, &sync, &ms), OXBOW_OK);
    assert_int_equal(sync, OXBOW_SYNC_NONE);
    assert_int_equal(oxbow_database_sync(t->db, 0, &sync, &ms), OXBOW_OK);
    assert_int_equal(sync, OXBOW_SYNC_INTERVAL);
    assert_int_equal(t->server->always, 0);
    assert_reply(t, 0, "SET k v PX 1", "+OK\r\n");
    assert_non_null(strstr(wait_heard(t, 1), "__keyevent@0__:expired\r\n$1\r\nk\r\n"));
}

static void it_is_refused_where_the_store_cannot_be_closed(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "MULTI", "+OK\r\n");
    assert_reply(t, 0, "DEBUG RELOAD", "+QUEUED\r\n");
    assert_reply(t, 0, "DEBUG OBJECT k", "+QUEUED\r\n");
    assert_reply(t, 0, "EXEC",
                 "*2\r\n-ERR DEBUG RELOAD is not possible within MULTI: a transaction is open in "
                 "the store\r\n-ERR no such key\r\n");
    assert_reply(t, 0, "DEBUG RELOAD x",
                 "-ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.\r\n");
    assert_reply(t, 0, "DEBUG RELOAD NOSAVE noflush",
                 "-ERR DEBUG RELOAD takes no options here: nothing is loaded from a snapshot, the "
                 "store is opened again as it is\r\n");
    t->server->config.reopen = NULL;
    assert_reply(t, 0, "DEBUG RELOAD",
                 "-ERR DEBUG RELOAD: this server's program does not close its store\r\n");
    t->server->config.reopen = reopen;
    t->server->config.debug = OXBOW_RESP_DEBUG_NO;
    assert_memory_equal(talk(t, 0, "DEBUG RELOAD"), "-ERR DEBUG command not allowed.", 31);
    assert_int_equal(reopened, 0);
}

static void nothing_is_closed_when_it_cannot_be_made_durable(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CONFIG SET appendfsync no", "+OK\r\n");
    talk_send(t, 0, "SET k v");
    oxbow_resp_turn(t->server);
    assert_string_equal(talk_heard(t, 0), "+OK\r\n");
    fault_arm_files(&t->fault, FAULT_SYNC, 1, UINT64_MAX, OXBOW_EIO);
    talk_send(t, 0, "DEBUG RELOAD");
    oxbow_resp_turn(t->server);
    assert_int_equal(talk_heard(t, 0)[0], '-');
    fault_disarm(&t->fault);
    assert_int_equal(reopened, 0);
}

static void without_a_store_all_connections_are_closed_and_the_program_ends(void **state)
{
    const struct oxbow_resp_peer peer = {.addr = "test:1", .laddr = "test:2", .fd = -1};
    struct talk *t = *state;
    struct oxbow_resp_client *late;

    assert_reply(t, 1, "BLPOP q 0", "");
    (void)talk(t, 2, "WATCH k");
    opens = OXBOW_EIO;
    talk_send(t, 3, "PING");
    talk_send(t, 0, "DEBUG RELOAD");
    talk_send(t, 0, "PING");
    oxbow_resp_turn(t->server);
    assert_true(t->shutdown);
    for (uint32_t n = 0; n < 4; n++) {
        assert_string_equal(talk_heard(t, n), "");
        assert_true(oxbow_resp_client_done(t->clients[n]));
    }
    assert_int_equal(oxbow_resp_client_open(t->server, &peer, NULL, &late), OXBOW_ECLOSED);
    assert_true(oxbow_resp_timeout_ms(t->server) < 0);
    talk_send(t, 3, "PING");
    oxbow_resp_turn(t->server); /* nothing is done any more */
    assert_string_equal(talk_heard(t, 3), "");
    talk_hang_up(t, 1);
}

/* Each allocation fails once: the store is open again, or was not closed, or the server ends; and nothing is
 * lost and nothing leaks. */
static void memory_that_is_out_ends_it_or_is_told(void **state)
{
    struct talk *t = *state;
    uint32_t ended = 0;
    bool over = false;

    talk_close(t);
    for (uint64_t n = 1; !over; n++) {
        begin(t);
        (void)talk(t, 0, "SET k v");
        (void)talk(t, 1, "BLPOP q 0");
        talk_send(t, 0, "DEBUG RELOAD");
        fault_arm_alloc(&t->fault, n, 1);
        oxbow_resp_turn(t->server);
        fault_disarm(&t->fault);
        over = t->fault.alloc_failed == 0;
        if (t->shutdown) {
            ended++;
            t->shutdown = false;
            assert_true(oxbow_resp_client_done(t->clients[0]));
            oxbow_resp_close(t->server);
            memset(t->clients, 0, sizeof t->clients);
            if (t->db != NULL) {
                assert_int_equal(oxbow_close(t->db), OXBOW_OK);
            }
            assert_int_equal(t->fault.live_bytes, 0);
            assert_int_equal(oxbow_open(&t->store, &t->db), OXBOW_OK);
            t->config.db = t->db;
            assert_int_equal(oxbow_resp_open(&t->config, &t->server), OXBOW_OK);
            talk_connect(t, 2);
        } else {
            const char *got = talk_heard(t, 0);

            assert_true(strcmp(got, "+OK\r\n") == 0 || got[0] == '-' ||
                        oxbow_resp_client_done(t->clients[0])); /* no memory for the reply */
            assert_true(t->clients[1]->block.on || oxbow_resp_client_done(t->clients[1]));
        }
        assert_reply(t, 2, "GET k", "$1\r\nv\r\n");
        talk_close(t);
        assert_int_equal(t->fault.live_bytes, 0);
    }
    assert_true(ended > 5);
    begin(t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_there_and_all_stay_connected),
        TEST(replies_that_waited_for_the_device_leave),
        TEST(who_waits_for_the_device_is_told),
        TEST(who_tracks_is_told_of_everything_and_goes_on),
        TEST(who_waits_goes_on_waiting_in_the_order_of_arrival),
        TEST(a_wait_ends_when_its_time_is_over),
        TEST(watched_keys_are_watched_on),
        TEST(what_is_kept_in_memory_is_lost_and_who_watches_it_is_told),
        TEST(what_was_set_holds_on),
        TEST(it_is_refused_where_the_store_cannot_be_closed),
        TEST(nothing_is_closed_when_it_cannot_be_made_durable),
        TEST(without_a_store_all_connections_are_closed_and_the_program_ends),
        TEST(memory_that_is_out_ends_it_or_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
