/* SPDX-License-Identifier: Apache-2.0 */
/* The server as a sentinel: what Redis Sentinel 7.0 answered to the same words about a master that it
 * watches alone. Client 0 is a server's, client 1 a sentinel's. */
#include "tests/resp/talk.h"

#define RUN_ID_LEN 40u

#define assert_begins(t, n, words, want)                                                           \
    assert_memory_equal(talk((t), (n), (words)), (want), sizeof(want) - 1)

static int setup(void **state)
{
    struct talk *t = test_calloc(1, sizeof *t);

    t->config.port = 6379;
    t->config.sentinel_port = 26379;
    t->config.sentinel.names = "mymaster jobs";
    talk_open(t);
    talk_connect(t, 0);
    talk_connect_sentinel(t, 1, "192.0.2.7:26379");
    *state = t;
    return 0;
}

/* The value behind "NAME:" in INFO. */
static void info_value(struct talk *t, uint32_t n, const char *words, const char *name,
                       char out[128])
{
    const char *text = talk(t, n, words);
    const char *at = strstr(text, name);

    assert_non_null(at);
    at += strlen(name);
    (void)snprintf(out, 128, "%.*s", (int)strcspn(at, "\r"), at);
}

static void the_master_is_where_the_client_came_to(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 1, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
                 "*2\r\n$9\r\n192.0.2.7\r\n$4\r\n6379\r\n");
    assert_reply(t, 1, "sentinel get-master-addr-by-name jobs",
                 "*2\r\n$9\r\n192.0.2.7\r\n$4\r\n6379\r\n");
    talk_connect_sentinel(t, 2, "127.0.0.1:26379");
    assert_reply(t, 2, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
                 "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n");
    talk_connect_sentinel(t, 3, "[fe80::1]:26379");
    assert_reply(t, 3, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
                 "*2\r\n$7\r\nfe80::1\r\n$4\r\n6379\r\n");
}

static void or_where_the_configuration_says(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "CONFIG SET replica-announce-ip gateway.example replica-announce-port 7000",
                 "+OK\r\n");
    assert_reply(t, 1, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
                 "*2\r\n$15\r\ngateway.example\r\n$4\r\n7000\r\n");
    assert_reply(t, 1, "SENTINEL CONFIG GET announce-*",
                 "*6\r\n$18\r\nannounce-hostnames\r\n$2\r\nno\r\n$11\r\nannounce-ip\r\n$15\r\n"
                 "gateway.example\r\n$13\r\nannounce-port\r\n$4\r\n7000\r\n");
    assert_reply(t, 0, "CONFIG GET replica-announce-*",
                 "*4\r\n$19\r\nreplica-announce-ip\r\n$15\r\ngateway.example\r\n"
                 "$21\r\nreplica-announce-port\r\n$4\r\n7000\r\n");
    for (int i = 0; i < 3; i++) {
        static const char *const wrong[] = {
            "replica-announce-ip a/b", "replica-announce-port 65536", "replica-announce-port x"};
        char words[64];

        (void)snprintf(words, sizeof words, "CONFIG SET %s", wrong[i]);
        assert_non_null(strstr(talk(t, 0, words), "-ERR CONFIG SET failed"));
    }
    assert_reply(t, 0, "CONFIG SET replica-announce-port 0", "+OK\r\n");
    assert_reply(t, 1, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
                 "*2\r\n$15\r\ngateway.example\r\n$4\r\n6379\r\n");
    assert_reply(t, 0, "CONFIG GET sentinel-*",
                 "*4\r\n$20\r\nsentinel-master-name\r\n$13\r\nmymaster jobs\r\n"
                 "$13\r\nsentinel-port\r\n$5\r\n26379\r\n");
}

static void a_name_that_there_is_not_is_told(void **state)
{
    static const char *const subs[] = {
        "MASTER x",   "REPLICAS x", "SLAVES x",       "SENTINELS x",   "CKQUORUM x",
        "FAILOVER x", "REMOVE x",   "SET x quorum 1", "MASTER mymast", "MASTER mymasterx"};
    struct talk *t = *state;
    char words[128];

    for (size_t i = 0; i < sizeof subs / sizeof subs[0]; i++) {
        (void)snprintf(words, sizeof words, "SENTINEL %s", subs[i]);
        assert_reply(t, 1, words, "-ERR No such master with that name\r\n");
    }
    assert_reply(t, 1, "SENTINEL GET-MASTER-ADDR-BY-NAME x", "*-1\r\n");
    assert_reply(t, 1, "SENTINEL INFO-CACHE x", "*0\r\n");
    assert_reply(t, 1, "SENTINEL NIX", "-ERR unknown subcommand 'NIX'. Try SENTINEL HELP.\r\n");
    assert_reply(t, 1, "SENTINEL MASTER",
                 "-ERR wrong number of arguments for 'sentinel|master' command\r\n");
    assert_reply(t, 1, "SENTINEL", "-ERR wrong number of arguments for 'sentinel' command\r\n");
}

/* Adds one field as a bulk string. */
static void add(char *to, size_t len, const char *text)
{
    size_t at = strlen(to);

    (void)snprintf(to + at, len - at, "$%zu\r\n%s\r\n", strlen(text), text);
}

static void masters_have_the_fields_of_redis_in_their_order(void **state)
{
    struct talk *t = *state;
    char run_id[128];
    char want[2048] = "";
    const char *fields[] = {"name",
                            "mymaster",
                            "ip",
                            "192.0.2.7",
                            "port",
                            "6379",
                            "runid",
                            run_id,
                            "flags",
                            "master",
                            "link-pending-commands",
                            "0",
                            "link-refcount",
                            "1",
                            "last-ping-sent",
                            "0",
                            "last-ok-ping-reply",
                            "0",
                            "last-ping-reply",
                            "0",
                            "down-after-milliseconds",
                            "30000",
                            "info-refresh",
                            "0",
                            "role-reported",
                            "master",
                            "role-reported-time"};
    const char *rest[] = {"config-epoch",        "0",      "num-slaves",     "0",
                          "num-other-sentinels", "0",      "quorum",         "1",
                          "failover-timeout",    "180000", "parallel-syncs", "1"};
    const char *got;

    info_value(t, 0, "INFO server", "run_id:", run_id);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        add(want, sizeof want, fields[i]);
    }
    got = talk(t, 1, "SENTINEL MASTER mymaster");
    assert_memory_equal(got, "*40\r\n", 5);
    assert_memory_equal(got + 5, want, strlen(want));
    got += 5 + strlen(want);
    assert_int_equal(got[0], '$');
    got = strchr(strchr(got, '\n') + 1, '\n') + 1; /* for how long */
    want[0] = '\0';
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
        add(want, sizeof want, rest[i]);
    }
    assert_string_equal(got, want);

    assert_begins(t, 1, "SENTINEL MASTERS", "*2\r\n*40\r\n$4\r\nname\r\n$8\r\nmymaster");
    assert_non_null(strstr(t->text, "*40\r\n$4\r\nname\r\n$4\r\njobs\r\n"));
    (void)talk(t, 1, "HELLO 3");
    assert_begins(t, 1, "SENTINEL MASTERS", "*2\r\n%20\r\n$4\r\nname\r\n");
    assert_begins(t, 1, "SENTINEL MASTER jobs", "%20\r\n$4\r\nname\r\n");
}

static void it_knows_nobody_else(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 1, "SENTINEL REPLICAS mymaster", "*0\r\n");
    assert_reply(t, 1, "SENTINEL SLAVES mymaster", "*0\r\n");
    assert_reply(t, 1, "SENTINEL SENTINELS jobs", "*0\r\n");
    assert_reply(t, 1, "SENTINEL PENDING-SCRIPTS", "*0\r\n");
    assert_reply(t, 1, "SENTINEL CKQUORUM mymaster",
                 "+OK 1 usable Sentinels. Quorum and failover authorization can be reached\r\n");
    assert_reply(t, 1, "SENTINEL IS-MASTER-DOWN-BY-ADDR 192.0.2.7 6379 0 *",
                 "*3\r\n:0\r\n$1\r\n*\r\n:0\r\n");
    assert_reply(t, 1, "SENTINEL IS-MASTER-DOWN-BY-ADDR 192.0.2.7 6379 7 me",
                 "*3\r\n:0\r\n$1\r\n*\r\n:0\r\n");
    assert_reply(t, 1, "SENTINEL IS-MASTER-DOWN-BY-ADDR 192.0.2.7 x 0 *",
                 "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 1, "SENTINEL IS-MASTER-DOWN-BY-ADDR 192.0.2.7 1 x *",
                 "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 1, "ROLE", "*2\r\n$8\r\nsentinel\r\n*2\r\n$8\r\nmymaster\r\n$4\r\njobs\r\n");
}

static void nothing_can_be_changed(void **state)
{
    static const char refusal[] = "-ERR This sentinel is a part of the server that it watches: "
                                  "nothing of it can be changed\r\n";
    static const char *const subs[] = {"MONITOR other 127.0.0.1 1 1",
                                       "REMOVE mymaster",
                                       "SET mymaster quorum 2",
                                       "FLUSHCONFIG",
                                       "DEBUG",
                                       "DEBUG info-period 1",
                                       "CONFIG SET announce-ip x",
                                       "SIMULATE-FAILURE crash-after-election"};
    struct talk *t = *state;
    char words[128];

    for (size_t i = 0; i < sizeof subs / sizeof subs[0]; i++) {
        (void)snprintf(words, sizeof words, "SENTINEL %s", subs[i]);
        assert_reply(t, 1, words, refusal);
    }
    assert_reply(t, 1, "SENTINEL FAILOVER mymaster",
                 "-NOGOODSLAVE No suitable replica to promote\r\n");
    assert_reply(t, 1, "SENTINEL MONITOR jobs 127.0.0.1 1 1", "-ERR Duplicate master name.\r\n");
    assert_reply(t, 1, "SENTINEL RESET *", ":2\r\n");
    assert_reply(t, 1, "SENTINEL RESET my*", ":1\r\n");
    assert_reply(t, 1, "SENTINEL RESET x", ":0\r\n");
    assert_reply(
        t, 1, "SENTINEL CONFIG GET",
        "-ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.\r\n");
    assert_reply(t, 1, "SENTINEL CONFIG GET nix", "*0\r\n");
    assert_reply(t, 1, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
                 "*2\r\n$9\r\n192.0.2.7\r\n$4\r\n6379\r\n");
}

static void a_sentinel_has_other_commands_than_a_server(void **state)
{
    static const char *const not_there[] = {"GET a",   "SET a b", "CONFIG GET port", "SELECT 0",
                                            "MULTI",   "TIME",    "PUBSUB CHANNELS", "OXBOW HELP",
                                            "MONITOR", "RESET",   "EVAL 1 0",        "DEBUG JMAP"};
    struct talk *t = *state;

    for (size_t i = 0; i < sizeof not_there / sizeof not_there[0]; i++) {
        assert_begins(t, 1, not_there[i], "-ERR unknown command '");
    }
    assert_reply(t, 0, "SENTINEL MASTERS",
                 "-ERR unknown command 'SENTINEL', with args beginning with: 'MASTERS' \r\n");
    assert_reply(t, 1, "COMMAND COUNT", ":15\r\n"); /* as Redis Sentinel 7.0 */
    assert_non_null(strstr(talk(t, 1, "COMMAND LIST"), "$8\r\nsentinel\r\n"));
    assert_non_null(strstr(t->text, "sentinel|masters\r\n"));
    assert_null(strstr(t->text, "config|get"));
    assert_begins(t, 1, "COMMAND", "*15\r\n*10\r\n");
    assert_begins(t, 1, "COMMAND DOCS", "*30\r\n");
    assert_begins(t, 1, "COMMAND INFO sentinel", "*1\r\n*10\r\n$8\r\nsentinel\r\n");
    assert_null(strstr(talk(t, 0, "COMMAND LIST"), "$8\r\nsentinel\r\n"));
    assert_reply(t, 1, "COMMAND GETKEYS get a", "-ERR Invalid command specified\r\n");
    assert_null(strstr(talk(t, 0, "COMMAND DOCS sentinel"), "sentinel"));
    assert_null(strstr(talk(t, 0, "ACL CAT admin"), "sentinel"));
    assert_non_null(strstr(talk(t, 1, "ACL CAT admin"), "sentinel|failover"));
    assert_null(strstr(t->text, "config|set"));
    assert_reply(t, 1, "PING", "+PONG\r\n");
    assert_reply(t, 1, "CLIENT SETNAME me", "+OK\r\n");
    assert_reply(t, 1, "CLIENT GETNAME", "$2\r\nme\r\n");
    assert_reply(t, 1, "CLIENT SETINFO lib-name x", "+OK\r\n");
}

static void info_and_hello_are_a_sentinels(void **state)
{
    struct talk *t = *state;
    char mine[128];
    char masters[128];

    assert_reply(t, 1, "INFO sentinel",
                 "$327\r\n# Sentinel\r\nsentinel_masters:2\r\nsentinel_tilt:0\r\n"
                 "sentinel_tilt_since_seconds:-1\r\nsentinel_running_scripts:0\r\n"
                 "sentinel_scripts_queue_length:0\r\nsentinel_simulate_failure_flags:0\r\n"
                 "master0:name=mymaster,status=ok,address=192.0.2.7:6379,slaves=0,sentinels=1\r\n"
                 "master1:name=jobs,status=ok,address=192.0.2.7:6379,slaves=0,sentinels=1\r\n\r\n");
    (void)talk(t, 1, "INFO");
    assert_non_null(strstr(t->text, "redis_mode:sentinel\r\n"));
    assert_non_null(strstr(t->text, "tcp_port:26379\r\n"));
    assert_non_null(strstr(t->text, "# Sentinel\r\n"));
    assert_null(strstr(t->text, "role:master"));
    assert_null(strstr(t->text, "# Keyspace"));
    assert_reply(t, 1, "INFO replication", "$0\r\n\r\n");
    assert_null(strstr(talk(t, 0, "INFO"), "entinel"));
    assert_reply(t, 0, "INFO sentinel", "$0\r\n\r\n");
    assert_non_null(strstr(talk(t, 1, "HELLO"), "$4\r\nmode\r\n$8\r\nsentinel\r\n$7\r\nmodules"));
    assert_non_null(strstr(talk(t, 0, "HELLO"), "$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole"));

    /* The master's own, whatever the sentinel's is. */
    assert_begins(t, 1, "SENTINEL INFO-CACHE jobs x", "*2\r\n$4\r\njobs\r\n*1\r\n*2\r\n:0\r\n$");
    assert_non_null(strstr(t->text, "redis_mode:standalone\r\n"));
    assert_non_null(strstr(t->text, "role:master\r\n"));
    assert_null(strstr(t->text, "# Sentinel"));

    info_value(t, 1, "INFO server", "run_id:", masters);
    (void)snprintf(mine, sizeof mine, "%s", talk(t, 1, "SENTINEL MYID"));
    assert_memory_equal(mine, "$40\r\n", 5);
    assert_memory_not_equal(mine + 5, masters, RUN_ID_LEN);
    assert_string_equal(talk(t, 1, "SENTINEL MYID"), mine);
}

static void nobody_can_announce_another_master(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 1, "SUBSCRIBE +switch-master",
                 "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n");
    assert_reply(t, 1, "PSUBSCRIBE *", "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:2\r\n");
    assert_reply(t, 0, "PUBLISH +switch-master x", ":0\r\n");
    talk_connect_sentinel(t, 2, "192.0.2.7:26379");
    assert_reply(t, 2, "PUBLISH +switch-master x",
                 "-ERR Only HELLO messages are accepted by Sentinel instances.\r\n");
    assert_reply(t, 2, "PUBLISH __sentinel__:hello 192.0.2.9,26379,a,0,mymaster,192.0.2.9,1,9",
                 ":1\r\n");
    assert_string_equal(talk_heard(t, 1), "");
    assert_reply(t, 2, "SENTINEL SENTINELS mymaster", "*0\r\n");
    assert_reply(t, 2, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
                 "*2\r\n$9\r\n192.0.2.7\r\n$4\r\n6379\r\n");

    /* Nor do servers' clients see them. */
    assert_reply(t, 0, "PUBSUB CHANNELS", "*0\r\n");
    assert_reply(t, 0, "PUBSUB NUMPAT", ":0\r\n");
    assert_reply(t, 0, "PUBSUB NUMSUB +switch-master", "*2\r\n$14\r\n+switch-master\r\n:0\r\n");
    talk_connect(t, 3);
    assert_reply(t, 3, "SUBSCRIBE +switch-master",
                 "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n");
    assert_reply(t, 0, "PUBLISH +switch-master x", ":1\r\n");
    assert_reply(t, 1, "UNSUBSCRIBE",
                 "*3\r\n$11\r\nunsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n");
    assert_reply(t, 0, "PUBLISH +switch-master x", ":1\r\n");
    assert_reply(t, 1, "PUNSUBSCRIBE *", "*3\r\n$12\r\npunsubscribe\r\n$1\r\n*\r\n:0\r\n");
    assert_reply(t, 1, "PING", "+PONG\r\n");
}

static void what_a_real_sentinel_sends_at_a_failover_is_carried_out(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 2);
    assert_reply(t, 0, "CLIENT SETNAME sentinel-dddae046-cmd", "+OK\r\n");
    assert_reply(t, 0, "MULTI", "+OK\r\n");
    assert_reply(t, 0, "SLAVEOF NO ONE", "+QUEUED\r\n");
    assert_reply(t, 0, "CONFIG REWRITE", "+QUEUED\r\n");
    assert_reply(t, 0, "CLIENT KILL TYPE pubsub", "+QUEUED\r\n");
    assert_reply(t, 0, "CLIENT KILL TYPE normal", "+QUEUED\r\n");
    assert_reply(t, 0, "EXEC",
                 "*4\r\n+OK\r\n-ERR The server is running without a config file\r\n:0\r\n:2\r\n");
    assert_true(oxbow_resp_client_done(t->clients[2]));
    assert_false(oxbow_resp_client_done(t->clients[0]));
    assert_reply(t, 0, "replicaof no one", "+OK\r\n");
    assert_reply(t, 0, "REPLICAOF 192.0.2.1 6379",
                 "-ERR This server cannot be a replica: NO ONE is all that it takes\r\n");
    assert_memory_equal(talk(t, 0, "ROLE"), "*3\r\n$6\r\nmaster\r\n", 16);
}

static void passwords_and_rights_count(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "ACL SETUSER finder on >secret +sentinel|get-master-addr-by-name +ping",
                 "+OK\r\n");
    assert_reply(t, 0, "CONFIG SET requirepass hidden", "+OK\r\n");
    talk_connect_sentinel(t, 2, "192.0.2.7:26379");
    assert_reply(t, 2, "SENTINEL MASTERS", "-NOAUTH Authentication required.\r\n");
    assert_reply(t, 2, "PING", "-NOAUTH Authentication required.\r\n");
    assert_reply(t, 2, "AUTH wrong",
                 "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    assert_reply(t, 2, "AUTH finder secret", "+OK\r\n");
    assert_reply(t, 2, "SENTINEL GET-MASTER-ADDR-BY-NAME jobs",
                 "*2\r\n$9\r\n192.0.2.7\r\n$4\r\n6379\r\n");
    assert_reply(t, 2, "SENTINEL MASTERS",
                 "-NOPERM this user has no permissions to run the 'sentinel|masters' command\r\n");
    assert_reply(t, 2, "AUTH hidden", "+OK\r\n");
    assert_begins(t, 2, "SENTINEL MASTERS", "*2\r\n*40\r\n");
}

static void a_wrong_configuration_is_refused(void **state)
{
    static const struct oxbow_resp_sentinel wrong[] = {
        {.names = ""},   {.names = " a"}, {.names = "a,b"},    {.names = "a/b"},
        {.host = "a b"}, {.host = "a/b"}, {.host = "\xc3\xa4"}};
    struct talk *t = *state;
    struct oxbow_resp_why why = {.text = ""};
    struct oxbow_resp_config config = {.db = t->db, .why = &why};
    struct oxbow_resp *server;
    char long_host[OXBOW_RESP_HOST_MAX + 2];

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        config.sentinel = wrong[i];
        why.text[0] = '\0';
        assert_int_equal(oxbow_resp_open(&config, &server), OXBOW_EINVAL);
        assert_string_not_equal(why.text, "");
    }
    memset(long_host, 'a', sizeof long_host);
    long_host[sizeof long_host - 1] = '\0';
    config.sentinel = (struct oxbow_resp_sentinel){.host = long_host};
    assert_int_equal(oxbow_resp_open(&config, &server), OXBOW_EINVAL);
    long_host[sizeof long_host - 2] = '\0';
    oxbow_resp_close(t->server); /* a store has one server's waits */
    memset(t->clients, 0, sizeof t->clients);
    t->config.sentinel = config.sentinel;
    t->config.port = 0;
    t->config.tls_port = 6380;
    assert_int_equal(oxbow_resp_open(&t->config, &t->server), OXBOW_OK);
    talk_connect_sentinel(t, 1, "192.0.2.7:26379");
    (void)talk(t, 1, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster");
    assert_non_null(strstr(t->text, long_host));
    assert_non_null(strstr(t->text, "\r\n$4\r\n6380\r\n"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_master_is_where_the_client_came_to),
        T(or_where_the_configuration_says),
        T(a_name_that_there_is_not_is_told),
        T(masters_have_the_fields_of_redis_in_their_order),
        T(it_knows_nobody_else),
        T(nothing_can_be_changed),
        T(a_sentinel_has_other_commands_than_a_server),
        T(info_and_hello_are_a_sentinels),
        T(nobody_can_announce_another_master),
        T(what_a_real_sentinel_sends_at_a_failover_is_carried_out),
        T(passwords_and_rights_count),
        T(a_wrong_configuration_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
