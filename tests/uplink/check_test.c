/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of a target and the line of rights, at a real server: the line gives exactly what a
 * session needs, and what is wrong is named before anything is sent.
 */
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "tests/support/redis.h"
#include "tests/uplink/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rig {
    struct redis *redis;
    struct oxbow *db;
    struct oxbow_uplink *u;
    struct wire wire;
    char dir[64];
    char host[256];
};

static struct oxbow_bytes bytes(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static void forward(struct oxbow_txn *txn, const char *key, enum oxbow_type type,
                    enum oxbow_forward_confirm confirm)
{
    const struct oxbow_forward_options options = {
        .key = bytes(key), .type = type, .confirm = confirm, .linger_ms = -1};

    assert_int_equal(oxbow_forward_create(txn, key, &options), OXBOW_OK);
}

static void rig_open(struct rig *g)
{
    const struct redis_config server = {.aof = true};
    struct oxbow_config config = {.port = wire_port()};
    struct oxbow_txn *txn;

    memset(g, 0, sizeof(*g));
    g->redis = redis_open(&server);
    snprintf(g->host, sizeof(g->host), "unix:%s", redis_socket(g->redis));
    snprintf(g->dir, sizeof(g->dir), "/tmp/oxbow-check-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    config.dir = g->dir;
    assert_int_equal(oxbow_open(&config, &g->db), OXBOW_OK);
    assert_int_equal(oxbow_txn_begin(g->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_identity_set(txn, "dev", NULL), OXBOW_OK);
    forward(txn, "s", OXBOW_TYPE_STREAM, OXBOW_CONFIRM_REPLICAS);
    forward(txn, "l", OXBOW_TYPE_LIST, OXBOW_CONFIRM_MASTER);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

static void rig_close(struct rig *g)
{
    char command[96];

    oxbow_uplink_close(g->u);
    assert_int_equal(oxbow_close(g->db), OXBOW_OK);
    redis_close(g->redis);
    snprintf(command, sizeof(command), "rm -rf '%s'", g->dir);
    assert_int_equal(system(command), 0);
}

static void session(struct rig *g, bool check, enum oxbow_uplink_mode mode)
{
    struct oxbow_uplink_target target = {g->host, 0};
    struct oxbow_uplink_config config = {.targets = &target,
                                         .target_count = 1,
                                         .user = "dev",
                                         .password = "secret",
                                         .first_spread_ms = 1,
                                         .mode = mode,
                                         .check = check};

    oxbow_uplink_close(g->u);
    assert_int_equal(oxbow_uplink_open(g->db, &config, &g->u), OXBOW_OK);
    wire_init(&g->wire, g->u, 1);
}

/* Makes the user by the line, with the password instead of its hash. */
static void make_user(struct rig *g, enum oxbow_uplink_mode mode)
{
    char line[1024], *at = line;
    const char *args[64];
    size_t n = 0;

    assert_int_equal(oxbow_uplink_acl_line(g->db, NULL, mode, line, 20), OXBOW_ETOOBIG);
    assert_int_equal(oxbow_uplink_acl_line(g->db, NULL, mode, line, sizeof(line)), OXBOW_OK);
    printf("%s\n", line);
    for (char *word = strtok_r(line, " ", &at); word != NULL && n < 40;
         word = strtok_r(NULL, " ", &at)) {
        args[n++] = strcmp(word, "#<sha256>") == 0 ? ">secret" : word;
    }
    assert_true(n < 40);
    while (n < 40) {
        args[n++] = "+ping"; /* said twice it changes nothing */
    }
    assert_string_equal(redis_command(g->redis, args[0], args[1], args[2], args[3], args[4],
                                      args[5], args[6], args[7], args[8], args[9], args[10],
                                      args[11], args[12], args[13], args[14], args[15], args[16],
                                      args[17], args[18], args[19], args[20], args[21], args[22],
                                      args[23], args[24], args[25], args[26], args[27], args[28],
                                      args[29], NULL),
                        "OK");
}

static void run_check(struct rig *g)
{
    int turn;

    session(g, true, OXBOW_UPLINK_AUTO);
    for (turn = 0; turn < 2000 && wire_turn(&g->wire); turn++) {
    }
    assert_true(turn < 2000);
}

/* NULL: nothing was found about it. */
static const struct oxbow_uplink_finding *finding_or_none(struct rig *g, const char *what)
{
    const struct oxbow_uplink_finding *f;
    size_t count, i;

    oxbow_uplink_findings(g->u, &f, &count);
    for (i = 0; i < count; i++) {
        if (strcmp(f[i].what, what) == 0) {
            return &f[i];
        }
    }
    return NULL;
}

static const struct oxbow_uplink_finding *finding(struct rig *g, const char *what)
{
    const struct oxbow_uplink_finding *f = finding_or_none(g, what);

    if (f == NULL) {
        fail_msg("nothing was found about %s", what);
    }
    return f;
}

static void a_good_target_has_nothing_bad_and_stays_untouched(void **state)
{
    const struct oxbow_uplink_finding *f;
    struct rig g;
    size_t count, i;

    (void)state;
    rig_open(&g);
    make_user(&g, OXBOW_UPLINK_AUTO);
    run_check(&g);
    oxbow_uplink_findings(g.u, &f, &count);
    for (i = 0; i < count; i++) {
        printf("  %d %-14s %s\n", f[i].level, f[i].what, f[i].text);
        assert_int_not_equal(f[i].level, OXBOW_CHECK_BAD);
    }
    assert_int_equal(finding(&g, "role")->level, OXBOW_CHECK_GOOD);
    assert_int_equal(finding(&g, "clock")->level, OXBOW_CHECK_GOOD);
    assert_int_equal(finding(&g, "eviction")->level, OXBOW_CHECK_UNKNOWN);
    assert_int_equal(finding(&g, "command XADD")->level, OXBOW_CHECK_GOOD);
    assert_int_equal(finding(&g, "command WAIT")->level, OXBOW_CHECK_GOOD);
    assert_int_equal(finding(&g, "key s")->level, OXBOW_CHECK_GOOD);
    assert_int_equal(redis_integer(g.redis, "DBSIZE", NULL), 0);
    rig_close(&g);
}

static void what_is_wrong_is_named(void **state)
{
    struct rig g;

    (void)state;
    rig_open(&g);
    run_check(&g); /* no such user */
    assert_int_equal(finding(&g, "login")->level, OXBOW_CHECK_BAD);
    make_user(&g, OXBOW_UPLINK_AUTO);
    redis_command(g.redis, "SET", "oxbow:{dev}:s", "a string", NULL);
    redis_command(g.redis, "SET", "oxbow:{dev}:owner", "somebody else", NULL);
    redis_command(g.redis, "ACL", "SETUSER", "dev", "-xadd", "+config|get", NULL);
    redis_command(g.redis, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru", NULL);
    run_check(&g);
    assert_int_equal(finding(&g, "owner")->level, OXBOW_CHECK_BAD);
    assert_int_equal(finding(&g, "key s")->level, OXBOW_CHECK_BAD);
    assert_non_null(strstr(finding(&g, "key s")->text, "WRONGTYPE"));
    assert_int_equal(finding(&g, "command XADD")->level, OXBOW_CHECK_BAD);
    assert_int_equal(finding(&g, "eviction")->level, OXBOW_CHECK_WARN);
    assert_int_equal(finding(&g, "durability")->level, OXBOW_CHECK_GOOD);
    redis_command(g.redis, "REPLICAOF", "127.0.0.1", "1", NULL);
    run_check(&g);
    assert_int_equal(finding(&g, "role")->level, OXBOW_CHECK_BAD);
    rig_close(&g);
}

/* Up to 7.2 the loader of the append-only file runs as the default user. */
static void a_default_user_without_rights_is_warned_of(void **state)
{
    bool affected;
    struct rig g;

    (void)state;
    rig_open(&g);
    make_user(&g, OXBOW_UPLINK_AUTO);
    affected = strcmp(redis_info(g.redis, "redis_version"), "7.3") < 0;
    if (!affected) {
        rig_close(&g);
        skip();
    }
    run_check(&g);
    assert_int_equal(finding(&g, "default user")->level, OXBOW_CHECK_UNKNOWN);
    redis_command(g.redis, "ACL", "SETUSER", "dev", "+acl|getuser", NULL);
    run_check(&g);
    assert_int_equal(finding(&g, "default user")->level, OXBOW_CHECK_GOOD);
    redis_command(g.redis, "ACL", "SETUSER", "default", "resetkeys", NULL);
    run_check(&g);
    assert_int_equal(finding(&g, "default user")->level, OXBOW_CHECK_WARN);
    redis_command(g.redis, "ACL", "SETUSER", "default", "~*", "-@all", "off", NULL);
    run_check(&g);
    assert_int_equal(finding(&g, "default user")->level, OXBOW_CHECK_WARN);
    assert_non_null(strstr(finding(&g, "default user")->text, "user default off ~* &* +@all"));
    rig_close(&g);
}

static void without_an_append_only_file_the_default_user_does_not_matter(void **state)
{
    struct rig g;

    (void)state;
    rig_open(&g);
    make_user(&g, OXBOW_UPLINK_AUTO);
    redis_command(g.redis, "ACL", "SETUSER", "dev", "+acl|getuser", "+config|get", NULL);
    redis_command(g.redis, "CONFIG", "SET", "appendonly", "no", NULL);
    redis_command(g.redis, "ACL", "SETUSER", "default", "-@all", "off", NULL);
    run_check(&g);
    assert_int_equal(finding(&g, "durability")->level, OXBOW_CHECK_WARN);
    assert_null(finding_or_none(&g, "default user"));
    rig_close(&g);
}

/* A pattern with a blank would be refused by the server. */
static void a_target_with_a_blank_in_its_name_gets_its_rights(void **state)
{
    const struct oxbow_forward_options options = {
        .key = {"b", 1}, .target = {"two words", 9}, .type = OXBOW_TYPE_STREAM, .linger_ms = -1};
    struct oxbow_txn *txn;
    struct rig g;

    (void)state;
    rig_open(&g);
    assert_int_equal(oxbow_txn_begin(g.db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "b", &options), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    make_user(&g, OXBOW_UPLINK_AUTO);
    run_check(&g);
    assert_int_equal(finding(&g, "key b")->level, OXBOW_CHECK_GOOD);
    assert_non_null(strstr(finding(&g, "key b")->text, "two words"));
    rig_close(&g);
}

/* The rights of the line are all that a whole transfer needs. */
static void transfer(enum oxbow_uplink_mode mode)
{
    const struct oxbow_stream_add_options options = {.id_mode = OXBOW_ID_AUTO};
    const struct oxbow_field field = {bytes("n"), bytes("v")};
    struct oxbow_txn *txn;
    struct oxbow_id id;
    struct rig g;
    uint64_t len;
    int turn;

    rig_open(&g);
    make_user(&g, mode);
    assert_int_equal(oxbow_txn_begin(g.db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_stream_add(txn, bytes("s"), &options, &field, 1, &id), OXBOW_OK);
    assert_int_equal(oxbow_list_push(txn, bytes("l"), OXBOW_RIGHT, &field.value, 1, &len),
                     OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    session(&g, false, mode);
    for (turn = 0; turn < 1500; turn++) {
        struct oxbow_uplink_status s;

        assert_true(wire_turn(&g.wire));
        oxbow_uplink_status(g.u, &s);
        if (s.entries == 2 && s.confirms + s.confirms_low > 0) {
            break;
        }
    }
    assert_int_equal(redis_integer(g.redis, "XLEN", "oxbow:{dev}:s", NULL), 1);
    assert_int_equal(redis_integer(g.redis, "LLEN", "oxbow:{dev}:l", NULL), 1);
    assert_true(turn < 1500);
    rig_close(&g);
}

static void the_line_of_rights_suffices_for_scripts(void **state)
{
    (void)state;
    transfer(OXBOW_UPLINK_AUTO);
}

static void the_line_of_rights_suffices_for_multi(void **state)
{
    (void)state;
    transfer(OXBOW_UPLINK_MULTI);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_target_has_nothing_bad_and_stays_untouched),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_default_user_without_rights_is_warned_of),
        cmocka_unit_test(without_an_append_only_file_the_default_user_does_not_matter),
        cmocka_unit_test(a_target_with_a_blank_in_its_name_gets_its_rights),
        cmocka_unit_test(the_line_of_rights_suffices_for_scripts),
        cmocka_unit_test(the_line_of_rights_suffices_for_multi),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
