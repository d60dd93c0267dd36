/* SPDX-License-Identifier: Apache-2.0 */
/* CLIENT TRACKING: who is told of what, when that leaves, and what is done when there is no room for it. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"

#include <unistd.h>

#define OF_K  ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
#define NULLS ">2\r\n$10\r\ninvalidate\r\n_\r\n"

/* Client 1 speaks RESP3 and tracks. */
static int tracking_setup(void **state)
{
    struct talk *t;

    (void)talk_setup(state);
    t = *state;
    talk_connect(t, 1);
    talk_connect(t, 2);
    (void)talk(t, 1, "HELLO 3");
    return 0;
}

static void what_was_read_is_told_once(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 1, "CLIENT TRACKING ON", "+OK\r\n");
    assert_reply(t, 1, "GET k", "_\r\n");
    assert_reply(t, 0, "SET other v", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), "");
    assert_reply(t, 0, "SET k v", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), OF_K);
    assert_reply(t, 0, "SET k w", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), "");
    assert_reply(t, 1, "GET k", "$1\r\nw\r\n");
    assert_reply(t, 0, "DEL k", ":1\r\n");
    assert_string_equal(talk_heard(t, 1), OF_K);
    assert_reply(t, 1, "GET k", "_\r\n");
    assert_reply(t, 1, "CLIENT TRACKING OFF", "+OK\r\n");
    assert_reply(t, 0, "SET k v", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), "");
    assert_int_equal(t->server->track.keys, 0);
}

/* Names alone are known, as in Redis. */
static void a_key_of_that_name_in_another_database_counts(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 1, "CLIENT TRACKING ON");
    (void)talk(t, 1, "GET k");
    (void)talk(t, 0, "SELECT 3");
    (void)talk(t, 0, "SET k v");
    assert_string_equal(talk_heard(t, 1), OF_K);
}

static void ones_own_changes_come_after_the_reply_or_not_at_all(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 1, "CLIENT TRACKING ON");
    (void)talk(t, 1, "GET k");
    assert_reply(t, 1, "SET k v", "+OK\r\n" OF_K);
    (void)talk(t, 1, "GET k");
    (void)talk(t, 1, "MULTI");
    (void)talk(t, 1, "DEL k");
    (void)talk(t, 1, "GET k");
    assert_reply(t, 1, "EXEC", "*2\r\n:1\r\n_\r\n" OF_K);
    (void)talk(t, 1, "CLIENT TRACKING ON NOLOOP");
    (void)talk(t, 1, "GET k");
    assert_reply(t, 1, "SET k v", "+OK\r\n");
    (void)talk(t, 1, "GET k");
    (void)talk(t, 0, "SET k v");
    assert_string_equal(talk_heard(t, 1), OF_K);
}

static void caching_says_what_counts(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 1, "CLIENT TRACKING ON OPTIN");
    (void)talk(t, 1, "GET k");
    (void)talk(t, 0, "SET k v");
    assert_string_equal(talk_heard(t, 1), "");
    assert_reply(t, 1, "CLIENT CACHING YES", "+OK\r\n");
    (void)talk(t, 1, "CLIENT ID");
    (void)talk(t, 1, "GET k");
    (void)talk(t, 1, "GET j");
    (void)talk(t, 0, "MSET k v j v");
    assert_string_equal(talk_heard(t, 1), OF_K);
    (void)talk(t, 1, "CLIENT CACHING YES");
    (void)talk(t, 1, "MULTI");
    (void)talk(t, 1, "GET k");
    (void)talk(t, 1, "EXEC");
    (void)talk(t, 1, "GET j");
    (void)talk(t, 0, "MSET k v j v");
    assert_string_equal(talk_heard(t, 1), OF_K);
    (void)talk(t, 1, "CLIENT TRACKING OFF");
    (void)talk(t, 1, "CLIENT TRACKING ON OPTOUT");
    (void)talk(t, 1, "CLIENT CACHING NO");
    (void)talk(t, 1, "GET j");
    (void)talk(t, 1, "GET k");
    (void)talk(t, 0, "MSET k v j v");
    assert_string_equal(talk_heard(t, 1), OF_K);
    (void)talk(t, 1, "CLIENT CACHING NO");
    (void)talk(t, 1, "NOSUCH");
    (void)talk(t, 1, "GET k");
    (void)talk(t, 0, "SET k v");
    assert_string_equal(talk_heard(t, 1), OF_K);
}

static void prefixes_are_told_of_what_nobody_read(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 1, "CLIENT TRACKING ON BCAST PREFIX k PREFIX a:");
    (void)talk(t, 0, "SET other v");
    assert_string_equal(talk_heard(t, 1), "");
    (void)talk(t, 0, "SET k v");
    assert_string_equal(talk_heard(t, 1), OF_K);
    (void)talk(t, 0, "SET k v");
    assert_string_equal(talk_heard(t, 1), OF_K);
    (void)talk(t, 0, "MSET k1 x z x k2 x a:1 x");
    assert_string_equal(talk_heard(t, 1),
                        ">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\na:1\r\n"
                        ">2\r\n$10\r\ninvalidate\r\n*2\r\n$2\r\nk1\r\n$2\r\nk2\r\n");
    (void)talk(t, 1, "CLIENT TRACKING OFF");
    (void)talk(t, 1, "CLIENT TRACKING ON BCAST NOLOOP");
    assert_reply(t, 1, "SET x v", "+OK\r\n");
    (void)talk(t, 0, "SET k v");
    assert_string_equal(talk_heard(t, 1), OF_K);
}

static void another_connection_is_told(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CLIENT TRACKING ON REDIRECT 3", "+OK\r\n");
    (void)talk(t, 0, "GET k");
    (void)talk(t, 1, "SET k v"); /* it is subscribed to nothing: nobody can be told */
    assert_string_equal(talk_heard(t, 2), "");
    (void)talk(t, 2, "SUBSCRIBE __redis__:invalidate");
    (void)talk(t, 0, "GET k");
    (void)talk(t, 1, "SET k v");
    assert_string_equal(talk_heard(t, 2),
                        "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\nk\r\n");
    assert_string_equal(talk_heard(t, 0), "");
    assert_reply(t, 0, "CLIENT TRACKING ON REDIRECT 2", "+OK\r\n");
    (void)talk(t, 0, "GET k");
    (void)talk(t, 2, "UNSUBSCRIBE");
    (void)talk(t, 2, "SET k v");
    assert_string_equal(talk_heard(t, 1), OF_K);
    assert_non_null(strstr(talk(t, 0, "CLIENT INFO"), " flags=t "));
    assert_non_null(strstr(talk(t, 0, "CLIENT INFO"), " redir=2 "));
}

static void that_the_other_connection_is_gone_is_told(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 1, "CLIENT TRACKING ON REDIRECT 3", "+OK\r\n");
    (void)talk(t, 1, "GET k");
    talk_hang_up(t, 2);
    (void)talk(t, 0, "SET k v");
    assert_string_equal(talk_heard(t, 1), ">2\r\n$21\r\ntracking-redir-broken\r\n:3\r\n");
    assert_non_null(strstr(talk(t, 1, "CLIENT TRACKINGINFO"), "broken_redirect"));
    assert_non_null(strstr(talk(t, 1, "CLIENT INFO"), " flags=tR "));
    assert_reply(t, 1, "CLIENT GETREDIR", ":3\r\n");
}

static void flushing_tells_of_everything(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 1, "CLIENT TRACKING ON");
    assert_reply(t, 0, "FLUSHALL", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), NULLS);
    (void)talk(t, 1, "GET k");
    assert_reply(t, 0, "FLUSHDB", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), NULLS);
    assert_reply(t, 0, "SET k v", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), "");
    assert_reply(t, 1, "FLUSHALL", "+OK\r\n" NULLS);
}

/* As in Redis: what is known is names, and who reads in a database that changes places has to know. */
static void databases_that_change_places_are_not_told(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "SET k v");
    (void)talk(t, 1, "CLIENT TRACKING ON");
    assert_reply(t, 1, "GET k", "$1\r\nv\r\n");
    assert_reply(t, 0, "SWAPDB 0 0", "+OK\r\n");
    assert_reply(t, 0, "SWAPDB 0 1", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), "");
    assert_reply(t, 0, "SET k w", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), OF_K);
}

static void keys_that_expire_are_told(void **state)
{
    struct talk *t = *state;
    const char *got = "";

    (void)talk(t, 1, "CLIENT TRACKING ON");
    (void)talk(t, 0, "SET k v PX 20");
    (void)talk(t, 1, "GET k");
    for (int i = 0; got[0] == '\0' && i < 30000; i++) {
        talk_turn(t);
        got = talk_heard(t, 1);
        (void)usleep(1000);
    }
    assert_string_equal(got, OF_K);
    (void)talk(t, 1, "CLIENT TRACKING OFF");
    talk_turn(t);
    assert_false(t->server->expired_kept);
}

static void beyond_the_limit_the_oldest_is_told(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CONFIG SET tracking-table-max-keys 2", "+OK\r\n");
    (void)talk(t, 1, "CLIENT TRACKING ON");
    (void)talk(t, 1, "GET k");
    (void)talk(t, 1, "GET b");
    assert_reply(t, 1, "GET c", "_\r\n" OF_K);
    assert_int_equal(t->server->track.keys, 2);
    assert_reply(t, 0, "CONFIG SET tracking-table-max-keys 1", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "CONFIG GET tracking-table-max-keys",
                 "*2\r\n$23\r\ntracking-table-max-keys\r\n$1\r\n1\r\n");
    assert_reply(t, 0, "CONFIG SET tracking-table-max-keys x",
                 "-ERR CONFIG SET failed (possibly related to argument 'tracking-table-max-keys') "
                 "- argument couldn't be parsed into an integer\r\n");
    assert_reply(t, 0, "CONFIG SET tracking-table-max-keys -1",
                 "-ERR CONFIG SET failed (possibly related to argument 'tracking-table-max-keys') "
                 "- argument must be between 0 and 9223372036854775807 inclusive\r\n");
    assert_reply(t, 0, "CONFIG SET tracking-table-max-keys 9223372036854775807", "+OK\r\n");
    assert_reply(t, 0, "CONFIG SET tracking-table-max-keys 0", "+OK\r\n");
    for (int i = 0; i < 3000; i++) { /* more than there are slots at first */
        char words[32];

        (void)snprintf(words, sizeof words, "GET key:%d", i);
        assert_reply(t, 1, words, "_\r\n");
    }
    assert_int_equal(t->server->track.keys, 3001);
    assert_reply(t, 0, "SET key:1234 v", "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), ">2\r\n$10\r\ninvalidate\r\n*1\r\n$8\r\nkey:1234\r\n");
}

/* A message is as safe as the reply of the command that it tells of. */
static void a_message_leaves_when_the_reply_does(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 1, "CLIENT TRACKING ON");
    (void)talk(t, 1, "GET k");
    talk_send(t, 0, "SET k v");
    oxbow_resp_turn(t->server);
    if (t->clients[0]->gate_count > 0) { /* unless the device was quicker */
        assert_int_equal(t->clients[1]->gate_count, 1);
        assert_int_equal(t->clients[1]->gates[0].lsn, t->clients[0]->gates[0].lsn);
    }
    talk_turn(t);
    assert_string_equal(talk_heard(t, 1), OF_K);
}

/* Whatever fails: who was given a value that has changed since was told so, or its connection is closed. */
static void memory_that_runs_out_leaves_nobody_with_what_is_old(void **state)
{
    struct talk *t = *state;
    uint64_t points = 0;
    uint64_t told = 0;

    for (uint64_t n = 1;; n++) {
        bool met;

        talk_hang_up(t, 1);
        talk_connect(t, 1);
        (void)talk(t, 1, "HELLO 3");
        (void)talk(t, 0, "FLUSHALL");
        talk_send(t, 1, n % 2 == 0 ? "CLIENT TRACKING ON" : "CLIENT TRACKING ON BCAST PREFIX k");
        talk_send(t, 1, "GET k");
        talk_send(t, 0, "SET k v");
        fault_arm_alloc(&t->fault, n, 1);
        talk_turn(t);
        met = t->fault.alloc_failed > 0;
        fault_disarm(&t->fault);
        if (oxbow_resp_client_done(t->clients[0])) { /* its own memory: then it is closed */
            talk_hang_up(t, 0);
            talk_connect(t, 0);
        } else if (!oxbow_resp_client_done(t->clients[1])) {
            bool changed = strcmp(talk_heard(t, 0), "+OK\r\n") == 0;
            const char *got = talk_heard(t, 1);

            if (changed && t->clients[1]->tracking.on && strstr(got, "\n_\r\n") != NULL) {
                assert_non_null(strstr(got, "invalidate"));
                told++;
            }
        }
        if (!met && n % 2 == 0) {
            break;
        }
        points += met;
    }
    print_message("%llu allocations\n", (unsigned long long)points);
    assert_true(points >= 4 && told > 0);
}

static void names_that_do_not_fit_are_told_as_everything(void **state)
{
    struct talk *t = *state;
    char words[256] = "SET ";

    (void)talk(t, 1, "CLIENT TRACKING ON BCAST");
    buf_fini(&t->server->track.names);
    t->server->track.names.len_max = 64;
    memset(words + 4, 'x', 200);
    memcpy(words + 204, " v", 3);
    assert_reply(t, 0, words, "+OK\r\n");
    assert_string_equal(talk_heard(t, 1), NULLS);
    (void)talk(t, 0, "SET k v");
    assert_string_equal(talk_heard(t, 1), OF_K);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tracking_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_read_is_told_once),
        TEST(a_key_of_that_name_in_another_database_counts),
        TEST(ones_own_changes_come_after_the_reply_or_not_at_all),
        TEST(caching_says_what_counts),
        TEST(prefixes_are_told_of_what_nobody_read),
        TEST(another_connection_is_told),
        TEST(that_the_other_connection_is_gone_is_told),
        TEST(flushing_tells_of_everything),
        TEST(databases_that_change_places_are_not_told),
        TEST(keys_that_expire_are_told),
        TEST(beyond_the_limit_the_oldest_is_told),
        TEST(a_message_leaves_when_the_reply_does),
        TEST(memory_that_runs_out_leaves_nobody_with_what_is_old),
        TEST(names_that_do_not_fit_are_told_as_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
