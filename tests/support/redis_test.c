/* SPDX-License-Identifier: Apache-2.0 */
/* The helpers themselves: a server that is ours, survives a kill with its append-only file, and
 * listens on every port that it claims to. */
#include "tests/support/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_server_answers_as_the_process_that_was_started(void **state)
{
    struct redis *r = redis_open(&(struct redis_config){0});

    (void)state;
    assert_string_equal(redis_command(r, "PING", NULL), "PONG");
    assert_true(redis_port(r) != 0);
    assert_int_equal(redis_tls_port(r), 0);
    assert_int_equal(redis_integer(r, "RPUSH", "l", "a", "b", NULL), 2);
    assert_string_equal(redis_command(r, "LRANGE", "l", "0", "-1", NULL), "a\nb");
    assert_string_equal(redis_command(r, "GET", "none", NULL), "(nil)");
    assert_true(redis_command(r, "GET", "l", NULL)[0] == '-');
    redis_close(r);
}

static void what_was_written_survives_a_kill_with_an_append_only_file(void **state)
{
    struct redis *r = redis_open(&(struct redis_config){
        .aof = true, .password = "s3cret", .users = "user dev on >pw ~* +@all\n"});
    pid_t before = redis_pid(r);
    uint16_t port = redis_port(r);

    (void)state;
    assert_string_equal(redis_command(r, "SET", "k", "v", NULL), "OK");
    redis_kill(r);
    redis_start(r);
    assert_true(redis_pid(r) != before);
    assert_int_equal(redis_port(r), port);
    assert_string_equal(redis_command(r, "GET", "k", NULL), "v");
    assert_string_equal(redis_info(r, "role"), "master");
    redis_close(r);
}

static void certificates_are_made_and_served(void **state)
{
    char *certs = certs_make();
    struct redis *r = redis_open(&(struct redis_config){.certs = certs});
    char port[8];

    (void)state;
    snprintf(port, sizeof port, "%u", redis_tls_port(r));
    assert_string_equal(redis_command(r, "CONFIG", "GET", "tls-port", NULL) + 9, port);
    redis_close(r);
    certs_remove(certs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_answers_as_the_process_that_was_started),
        cmocka_unit_test(what_was_written_survives_a_kill_with_an_append_only_file),
        cmocka_unit_test(certificates_are_made_and_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
