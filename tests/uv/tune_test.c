/* SPDX-License-Identifier: Apache-2.0 */
/* Socket options, as the kernel tells them. */
#include "port/uv/uplink.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void a_long_link_gets_its_timeouts(void **state)
{
    const struct tune tune = {
        .user_timeout_ms = 60000, .keepalive_idle_s = 240, .unsent_bytes_max = 16384};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(uvtune_socket(fd, &tune), OXBOW_OK);
    assert_true(option(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 60000);
    assert_true(option(fd, SOL_SOCKET, SO_KEEPALIVE) != 0);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 240);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 16384);
    close(fd);
}

static void zero_leaves_timeouts_alone(void **state)
{
    const struct tune tune = {.unsent_bytes_max = 16384};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(uvtune_socket(fd, &tune), OXBOW_OK);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    close(fd);
}

static void a_congestion_control_that_is_not_there_is_told(void **state)
{
    const struct tune good = {.unsent_bytes_max = 16384, .congestion = "reno"};
    const struct tune bad = {.unsent_bytes_max = 16384, .congestion = "no-such"};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char name[16] = "";
    socklen_t len = sizeof name;

    (void)state;
    assert_int_equal(uvtune_socket(fd, &bad), OXBOW_ENOTSUP);
    assert_int_equal(uvtune_socket(fd, &good), OXBOW_OK);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
    assert_string_equal(name, "reno");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_link_gets_its_timeouts),
        cmocka_unit_test(zero_leaves_timeouts_alone),
        cmocka_unit_test(a_congestion_control_that_is_not_there_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
