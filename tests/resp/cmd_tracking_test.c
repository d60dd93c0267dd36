/* SPDX-License-Identifier: Apache-2.0 */
/* CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO: what goes together, and what is told of it. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"

static void what_does_not_go_together_is_refused(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CLIENT TRACKING",
                 "-ERR wrong number of arguments for 'client|tracking' command\r\n");
    assert_reply(t, 0, "CLIENT TRACKING MAYBE", "-ERR syntax error\r\n");
    assert_reply(t, 0, "CLIENT TRACKING OFF NONSENSE", "-ERR syntax error\r\n");
    assert_reply(t, 0, "CLIENT TRACKING ON PREFIX", "-ERR syntax error\r\n");
    assert_reply(t, 0, "CLIENT TRACKING ON REDIRECT", "-ERR syntax error\r\n");
    assert_reply(t, 0, "CLIENT TRACKING ON REDIRECT x",
                 "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "CLIENT TRACKING ON REDIRECT 99",
                 "-ERR The client ID you want redirect to does not exist\r\n");
    assert_reply(t, 0, "CLIENT TRACKING ON REDIRECT 1 REDIRECT 1",
                 "-ERR A client can only redirect to a single other client\r\n");
    assert_reply(t, 0, "CLIENT TRACKING ON PREFIX a",
                 "-ERR PREFIX option requires BCAST mode to be enabled\r\n");
    assert_reply(t, 0, "CLIENT TRACKING ON BCAST OPTIN",
                 "-ERR OPTIN and OPTOUT are not compatible with BCAST\r\n");
    assert_reply(t, 0, "CLIENT TRACKING ON OPTIN OPTOUT",
                 "-ERR You can't specify both OPTIN mode and OPTOUT mode\r\n");
    assert_int_equal(t->server->track.clients, 0);
    assert_reply(t, 0, "CLIENT TRACKING ON OPTIN", "+OK\r\n");
    assert_reply(
        t, 0, "CLIENT TRACKING ON OPTOUT",
        "-ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
        "and then re-enabling it with a different mode.\r\n");
    assert_reply(
        t, 0, "CLIENT TRACKING ON BCAST",
        "-ERR You can't switch BCAST mode on/off before disabling tracking for this client, "
        "and then re-enabling it with a different mode.\r\n");
    assert_reply(t, 0, "CLIENT TRACKING OFF", "+OK\r\n");
    assert_int_equal(t->server->track.clients, 0);
}

static void prefixes_of_one_client_do_not_overlap(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CLIENT TRACKING ON BCAST PREFIX ab PREFIX abc",
                 "-ERR Prefix 'ab' overlaps with another provided prefix 'abc'. Prefixes for a "
                 "single client must not overlap.\r\n");
    assert_reply(t, 0, "CLIENT TRACKING ON BCAST PREFIX prefix PREFIX ab", "+OK\r\n");
    assert_reply(t, 0, "CLIENT TRACKING ON BCAST PREFIX a",
                 "-ERR Prefix 'a' overlaps with an existing prefix 'ab'. Prefixes for a single "
                 "client must not overlap.\r\n");
    assert_reply(t, 0, "CLIENT TRACKING ON BCAST PREFIX aa", "+OK\r\n");
    assert_reply(t, 0, "CLIENT TRACKINGINFO",
                 "*6\r\n$5\r\nflags\r\n*2\r\n$2\r\non\r\n$5\r\nbcast\r\n$8\r\nredirect\r\n:0\r\n"
                 "$8\r\nprefixes\r\n*3\r\n$2\r\naa\r\n$2\r\nab\r\n$6\r\nprefix\r\n");
    assert_non_null(strstr(talk(t, 0, "INFO stats"), "tracking_total_prefixes:3\r\n"));
    assert_non_null(strstr(talk(t, 0, "CLIENT INFO"), " flags=tB "));
    assert_reply(t, 0, "RESET", "+RESET\r\n");
    assert_int_equal(t->server->track.prefixes, 0);
    assert_int_equal(t->server->track.clients, 0);
}

static void prefixes_have_limits(void **state)
{
    struct talk *t = *state;
    static char words[RESP_PREFIX_BYTES_MAX + 64] = "CLIENT TRACKING ON BCAST PREFIX ";
    size_t at = strlen(words);

    memset(words + at, 'x', RESP_PREFIX_BYTES_MAX + 1);
    assert_reply(t, 0, words, "-ERR a prefix is too long\r\n");
    words[at + RESP_PREFIX_BYTES_MAX] = '\0';
    assert_reply(t, 0, words, "+OK\r\n");
    for (uint32_t i = 1; i < RESP_PREFIXES_MAX; i++) {
        (void)snprintf(words + at, 64, "%04u", i);
        assert_reply(t, 0, words, "+OK\r\n");
    }
    (void)snprintf(words + at, 64, "%04u", RESP_PREFIXES_MAX);
    assert_reply(t, 0, words, "-ERR too many prefixes for a single client\r\n");
}

static void caching_is_for_those_who_choose(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CLIENT CACHING YES",
                 "-ERR CLIENT CACHING can be called only when the client is in tracking mode with "
                 "OPTIN or OPTOUT mode enabled\r\n");
    assert_reply(t, 0, "CLIENT TRACKING ON OPTIN NOLOOP", "+OK\r\n");
    assert_reply(
        t, 0, "CLIENT CACHING NO",
        "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.\r\n");
    assert_reply(t, 0, "CLIENT CACHING MAYBE", "-ERR syntax error\r\n");
    assert_reply(t, 0, "CLIENT CACHING YES", "+OK\r\n");
    assert_reply(t, 0, "CLIENT TRACKINGINFO",
                 "*6\r\n$5\r\nflags\r\n*4\r\n$2\r\non\r\n$5\r\noptin\r\n$11\r\ncaching-yes\r\n"
                 "$6\r\nnoloop\r\n$8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*0\r\n");
    (void)talk(t, 0, "PING");
    assert_null(strstr(talk(t, 0, "CLIENT TRACKINGINFO"), "caching"));
    (void)talk(t, 0, "CLIENT TRACKING OFF");
    (void)talk(t, 0, "CLIENT TRACKING ON OPTOUT");
    assert_reply(
        t, 0, "CLIENT CACHING YES",
        "-ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.\r\n");
    assert_reply(t, 0, "CLIENT CACHING NO", "+OK\r\n");
    assert_non_null(strstr(talk(t, 0, "CLIENT TRACKINGINFO"), "caching-no"));
}

static void who_does_not_track_is_told_so(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CLIENT GETREDIR", ":-1\r\n");
    assert_reply(t, 0, "CLIENT TRACKINGINFO",
                 "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n"
                 "$8\r\nprefixes\r\n*0\r\n");
    assert_reply(t, 0, "CLIENT TRACKING ON REDIRECT 1", "+OK\r\n");
    assert_reply(t, 0, "CLIENT GETREDIR", ":1\r\n");
    assert_non_null(strstr(talk(t, 0, "INFO clients"), "tracking_clients:1\r\n"));
    (void)talk(t, 0, "GET k");
    assert_non_null(
        strstr(talk(t, 0, "INFO stats"), "tracking_total_keys:1\r\ntracking_total_items:1\r\n"));
}

static void it_may_begin_within_a_transaction(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "HELLO 3");
    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "CLIENT TRACKING ON");
    (void)talk(t, 0, "GET k");
    assert_reply(t, 0, "EXEC", "*2\r\n+OK\r\n_\r\n");
    assert_true(t->server->expired_kept);
    assert_reply(t, 0, "SET k v", "+OK\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_does_not_go_together_is_refused),
        TEST(prefixes_of_one_client_do_not_overlap),
        TEST(prefixes_have_limits),
        TEST(caching_is_for_those_who_choose),
        TEST(who_does_not_track_is_told_so),
        TEST(it_may_begin_within_a_transaction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
