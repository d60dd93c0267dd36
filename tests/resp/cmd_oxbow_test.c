/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OXBOW and INFO uplink, with a real session that nobody drives: what it sends is the business of
 * tests/uplink and tests/e2e.
 */
#include "oxbow/uplink.h"
#include "tests/resp/talk.h"

static struct oxbow_uplink *session;

static void uplink_begin(struct talk *t)
{
    const struct oxbow_uplink_target target = {"nowhere.test", 0};
    const struct oxbow_uplink_config config = {.targets = &target, .target_count = 1};
    struct oxbow_txn *txn;

    talk_close(t);
    talk_open(t);
    assert_int_equal(oxbow_txn_begin(t->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_identity_set(txn, "dev", NULL), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_uplink_open(t->db, &config, &session), OXBOW_OK);
    oxbow_resp_close(t->server);
    memset(t->clients, 0, sizeof t->clients);
    t->config.uplink = session;
    t->config.uplink_ops = oxbow_uplink_ops();
    assert_int_equal(oxbow_resp_open(&t->config, &t->server), OXBOW_OK);
    talk_connect(t, 0);
}

/* The server goes first. */
static void uplink_end(struct talk *t)
{
    oxbow_resp_close(t->server);
    memset(t->clients, 0, sizeof t->clients);
    oxbow_uplink_close(session);
    t->config.uplink = NULL;
    t->config.uplink_ops = NULL;
    assert_int_equal(oxbow_resp_open(&t->config, &t->server), OXBOW_OK);
}

static void assert_says(struct talk *t, const char *words, const char *part)
{
    const char *said = talk(t, 0, words);

    if (strstr(said, part) == NULL) {
        fail_msg("%s: '%s' is not in: %s", words, part, said);
    }
}

#define NO_UPLINK "-ERR there is no uplink here: the server was started without a target for it\r\n"

static void without_an_uplink_it_says_so(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "OXBOW FORWARD ADD f stream s", NO_UPLINK);
    assert_reply(t, 0, "OXBOW FORWARD PAUSE f", NO_UPLINK);
    assert_reply(t, 0, "OXBOW FORWARD RESUME f", NO_UPLINK);
    assert_reply(t, 0, "OXBOW UPLINK UP", NO_UPLINK);
    assert_reply(t, 0, "OXBOW FORWARD LIST", "*0\r\n");
    assert_reply(t, 0, "OXBOW FORWARD LIST f", "-ERR there is no forward 'f'\r\n");
    assert_says(t, "INFO uplink", "\r\nuplink_state:none\r\nuplink_forwards:0\r\n");
    assert_says(t, "INFO", "# Uplink\r\n");
    assert_says(t, "OXBOW HELP", "+FORWARD DEL <name> [FORCE]\r\n");
}

static void a_session_and_its_functions_go_together(void **state)
{
    struct talk *t = *state;
    struct oxbow_resp_config config = t->config;
    struct oxbow_resp *s;

    config.uplink_ops = oxbow_uplink_ops();
    assert_int_equal(oxbow_resp_open(&config, &s), OXBOW_EINVAL);
}

static void forwards_are_made_changed_listed_and_removed(void **state)
{
    struct talk *t = *state;

    uplink_begin(t);
    (void)talk(t, 0, "SELECT 2");
    (void)talk(t, 0, "XADD s 5-1 a b");
    assert_reply(t, 0, "OXBOW FORWARD ADD f Stream s WEIGHT 5 max-bytes 1kb", "+OK\r\n");
    assert_reply(t, 0, "oxbow forward add g LIST l target {x}l", "+OK\r\n");
    (void)talk(t, 0, "SELECT 0");
    assert_says(t, "OXBOW FORWARD LIST f",
                "*1\r\n*70\r\n$4\r\nname\r\n$1\r\nf\r\n$8\r\ndatabase\r\n:2\r\n$4\r\ntype\r\n$6\r\n"
                "stream\r\n$3\r\nkey\r\n$1\r\ns\r\n$6\r\ntarget\r\n$13\r\noxbow:{dev}:s\r\n$5\r\n"
                "state\r\n$3\r\nnew\r\n$6\r\npaused\r\n:0\r\n$7\r\ntrouble\r\n$4\r\nnone\r\n");
    assert_says(t, "OXBOW FORWARD LIST f", "$3\r\nend\r\n$3\r\n5-1\r\n$7\r\nbacklog\r\n:1\r\n");
    assert_says(t, "OXBOW FORWARD LIST f", "$9\r\nmax-bytes\r\n$4\r\n1024\r\n");
    assert_says(t, "OXBOW FORWARD LIST f", "$6\r\nweight\r\n$1\r\n5\r\n");
    assert_reply(t, 0, "OXBOW FORWARD SET f weight 6 URGENT yes", "+OK\r\n");
    assert_says(t, "OXBOW FORWARD LIST f", "$6\r\nweight\r\n$1\r\n6\r\n");
    assert_says(t, "OXBOW FORWARD LIST f", "$6\r\nurgent\r\n$3\r\nyes\r\n");
    assert_says(t, "OXBOW FORWARD LIST f", "$9\r\nmax-bytes\r\n$4\r\n1024\r\n"); /* stayed */
    assert_memory_equal(talk(t, 0, "OXBOW FORWARD LIST"), "*2\r\n*70\r\n", 9);
    assert_reply(t, 0, "DEL nothing", ":0\r\n");
    (void)talk(t, 0, "SELECT 2");
    assert_reply(t, 0, "DEL s", "-ERR a forward has not delivered this yet\r\n");
    assert_says(t, "OXBOW FORWARD DEL f", "-ERR 1 of the forward's entries are not confirmed");
    assert_reply(t, 0, "OXBOW FORWARD DEL f FORCE", "+OK\r\n");
    assert_reply(t, 0, "XLEN s", ":1\r\n");
    assert_reply(t, 0, "DEL s", ":1\r\n");
    assert_reply(t, 0, "OXBOW FORWARD DEL g", "+OK\r\n");
    assert_reply(t, 0, "OXBOW FORWARD LIST", "*0\r\n");
    uplink_end(t);
}

static void the_session_is_told_and_seen(void **state)
{
    struct talk *t = *state;

    uplink_begin(t);
    assert_says(t, "INFO uplink", "# Uplink\r\nuplink_state:waiting\r\nuplink_paused:0\r\n");
    assert_reply(t, 0, "OXBOW FORWARD ADD f stream s", "+OK\r\n");
    oxbow_uplink_tick(session);
    assert_says(t, "INFO uplink",
                "uplink_forwards:1\r\nforward_f:state=new,paused=0,trouble=none,backlog=0,");
    assert_reply(t, 0, "OXBOW FORWARD PAUSE f", "+OK\r\n");
    assert_says(t, "INFO uplink", "forward_f:state=new,paused=1,");
    assert_reply(t, 0, "OXBOW FORWARD RESUME f", "+OK\r\n");
    assert_says(t, "INFO uplink", "forward_f:state=new,paused=0,");
    assert_reply(t, 0, "OXBOW UPLINK PAUSE", "+OK\r\n");
    assert_reply(t, 0, "OXBOW UPLINK DOWN", "+OK\r\n");
    oxbow_uplink_tick(session);
    assert_says(t, "INFO uplink", "uplink_state:down\r\nuplink_paused:1\r\n");
    assert_reply(t, 0, "OXBOW UPLINK RESUME", "+OK\r\n");
    assert_reply(t, 0, "OXBOW UPLINK UP", "+OK\r\n");
    oxbow_uplink_tick(session);
    assert_says(t, "INFO uplink", "uplink_state:waiting\r\nuplink_paused:0\r\n");
    uplink_end(t);
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const char *const rows[][2] = {
        {"OXBOW", "-ERR wrong number of arguments for 'oxbow' command\r\n"},
        {"OXBOW x", "-ERR unknown subcommand 'x'. Try OXBOW HELP.\r\n"},
        {"OXBOW FORWARD", "-ERR wrong number of arguments for 'oxbow|forward' command\r\n"},
        {"OXBOW FORWARD x", "-ERR unknown subcommand or wrong number of arguments for 'FORWARD x'"},
        {"OXBOW FORWARD ADD f stream", "arguments for 'FORWARD ADD'"},
        {"OXBOW FORWARD DEL f FORCE x", "arguments for 'FORWARD DEL'"},
        {"OXBOW FORWARD DEL f x", "-ERR syntax error\r\n"},
        {"OXBOW FORWARD ADD f set s", "-ERR 'set' is neither stream nor list\r\n"},
        {"OXBOW FORWARD ADD f/ stream s", "-ERR the name has 1 to 63"},
        {"OXBOW FORWARD ADD f stream s weight", "-ERR weight has no value"},
        {"OXBOW FORWARD ADD f list s after keep", "-ERR after keep is for streams"},
        {"OXBOW FORWARD ADD f stream s target a}b", "no hash tag"},
        {"OXBOW FORWARD ADD f stream string", "-WRONGTYPE "},
        {"OXBOW FORWARD ADD there stream x", "-ERR there is a forward of this name, key or target"},
        {"OXBOW FORWARD ADD f stream here", "-ERR there is a forward of this name, key or target"},
        {"OXBOW FORWARD SET there target x", "-ERR a forward's target stays"},
        {"OXBOW FORWARD SET there weight 101", "-ERR weight '101': want a number from 0 to 100"},
        {"OXBOW FORWARD SET none weight 1", "-ERR there is no forward 'none'\r\n"},
        {"OXBOW FORWARD DEL none", "-ERR there is no forward 'none'\r\n"},
        {"OXBOW FORWARD PAUSE none", "-ERR there is no forward 'none'\r\n"},
        {"OXBOW FORWARD LIST none", "-ERR there is no forward 'none'\r\n"},
        {"OXBOW UPLINK x", "-ERR unknown subcommand 'UPLINK x'. Try OXBOW HELP.\r\n"},
        {"OXBOW UPLINK", "-ERR wrong number of arguments for 'oxbow|uplink' command\r\n"},
    };
    char long_name[OXBOW_FORWARD_NAME_MAX + 64];
    struct talk *t = *state;

    uplink_begin(t);
    (void)talk(t, 0, "SET string x");
    assert_reply(t, 0, "OXBOW FORWARD ADD there stream here", "+OK\r\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_says(t, rows[i][0], rows[i][1]);
    }
    (void)snprintf(long_name, sizeof long_name, "OXBOW FORWARD ADD %0*d stream s",
                   (int)OXBOW_FORWARD_NAME_MAX + 1, 0);
    assert_says(t, long_name, "-ERR a forward's name has 1 to 63");
    assert_reply(t, 0, "MULTI", "+OK\r\n");
    assert_says(t, "OXBOW FORWARD LIST", "-ERR Command not allowed inside a transaction");
    assert_says(t, "EXEC", "-EXECABORT");
    assert_says(t, "OXBOW FORWARD LIST", "*1\r\n"); /* nothing of all that was done */
    (void)talk(t, 0, "ACL SETUSER w on >w ~* +@all -@dangerous");
    (void)talk(t, 0, "AUTH w w");
    assert_says(t, "OXBOW FORWARD LIST", "-NOPERM ");
    assert_says(t, "OXBOW UPLINK UP", "-NOPERM ");
    uplink_end(t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_an_uplink_it_says_so),
        TEST(a_session_and_its_functions_go_together),
        TEST(forwards_are_made_changed_listed_and_removed),
        TEST(the_session_is_told_and_seen),
        TEST(what_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
