/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: over TLS, in clear, over a unix socket; refused, silent, ended. */
#include "tests/uv/world.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct world w;

static int begin(void **state)
{
    (void)state;
    world_init(&w, &(struct redis_config){0});
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

static void go_plain(const char *host, uint16_t port)
{
    snprintf(w.host, sizeof w.host, "%s", host);
    w.target = (struct oxbow_uplink_target){w.host, port};
    w.config.tls = NULL;
    w.config.tls_config = NULL;
    w.config.plain = true;
}

static void entries_arrive_over_tls(void **state)
{
    (void)state;
    world_add(&w, 300);
    world_begin(&w);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    world_check(&w);
    assert_true(strncmp(world_status(&w).about, "TLSv1.", 6) == 0);
    assert_true(world_status(&w).wire_out > world_status(&w).bytes_out);
    assert_true(world_status(&w).wire_in > 1000);
    world_end(&w);
}

static void entries_arrive_in_clear_when_that_is_asked_for(void **state)
{
    (void)state;
    go_plain("127.0.0.1", redis_port(w.redis));
    world_add(&w, 300);
    world_begin(&w);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    world_check(&w);
    assert_string_equal(world_status(&w).about, "plain, not encrypted");
    assert_int_equal(world_status(&w).wire_out, world_status(&w).bytes_out);
    world_end(&w);
}

static void entries_arrive_over_a_unix_socket(void **state)
{
    char path[120];

    (void)state;
    snprintf(path, sizeof path, "unix:%s", redis_socket(w.redis));
    go_plain(path, 0);
    world_add(&w, 300);
    world_begin(&w);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    assert_string_equal(world_status(&w).target, path);
    world_check(&w);
    world_end(&w);
}

static void a_refused_connection_is_told_and_tried_again(void **state)
{
    (void)state;
    redis_kill(w.redis);
    world_add(&w, 10);
    world_begin(&w);
    assert_true(world_run(&w, world_troubled, PATIENCE_MS));
    world_told(&w, OXBOW_TROUBLE_LINK, "connecting: connection refused");
    redis_start(w.redis);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    world_check(&w);
    world_end(&w);
}

static void a_unix_socket_that_is_not_there_is_told(void **state)
{
    (void)state;
    go_plain("unix:/nowhere/redis.sock", 0);
    world_begin(&w);
    assert_true(world_run(&w, world_troubled, PATIENCE_MS));
    world_told(&w, OXBOW_TROUBLE_LINK, "unix:/nowhere/redis.sock: ");
    world_told(&w, OXBOW_TROUBLE_LINK, "no such file");
    world_end(&w);
}

static void the_plain_port_instead_of_tls_is_told(void **state)
{
    (void)state;
    w.target.port = redis_port(w.redis);
    w.config.tls_timeout_ms = 200;
    world_begin(&w);
    assert_true(world_run(&w, world_troubled, PATIENCE_MS));
    world_told(&w, OXBOW_TROUBLE_LINK, "is this the TLS port?");
    world_end(&w);
}

static void the_tls_port_in_clear_never_becomes_a_connection(void **state)
{
    (void)state;
    go_plain("127.0.0.1", redis_tls_port(w.redis));
    world_begin(&w);
    assert_true(world_run(&w, world_troubled, PATIENCE_MS));
    assert_int_equal(world_status(&w).connects, 0);
    world_end(&w);
}

static bool connected_twice(struct world *world)
{
    return world_status(world).connects >= 2;
}

static void a_connection_that_the_target_ends_is_made_again(void **state)
{
    (void)state;
    world_add(&w, 50);
    world_begin(&w);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    (void)redis_command(w.redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
    assert_true(world_run(&w, connected_twice, PATIENCE_MS));
    world_add(&w, 50);
    assert_true(world_run(&w, world_arrived, PATIENCE_MS));
    world_check(&w);
    world_end(&w);
}

/* A peer that takes bytes and never answers: a socket that listens and no more. */
static void a_peer_that_never_answers_tls_is_told(void **state)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    w.target.port = ntohs(sa.sin_port);
    w.config.tls_timeout_ms = 100;
    world_begin(&w);
    assert_true(world_run(&w, world_troubled, PATIENCE_MS));
    world_told(&w, OXBOW_TROUBLE_LINK, "does not answer TLS in time");
    world_end(&w);
    close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(entries_arrive_over_tls),
        TEST(entries_arrive_in_clear_when_that_is_asked_for),
        TEST(entries_arrive_over_a_unix_socket),
        TEST(a_refused_connection_is_told_and_tried_again),
        TEST(a_unix_socket_that_is_not_there_is_told),
        TEST(the_plain_port_instead_of_tls_is_told),
        TEST(the_tls_port_in_clear_never_becomes_a_connection),
        TEST(a_connection_that_the_target_ends_is_made_again),
        TEST(a_peer_that_never_answers_tls_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
