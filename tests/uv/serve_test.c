/* SPDX-License-Identifier: Apache-2.0 */
/* The server on its loop, with clients that behave and clients that do not. */
#include "oxbow/list.h"
#include "tests/uv/serve_world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static struct serve_world w;

static int begin(void **state)
{
    (void)state;
    serve_world_init(&w, OXBOW_SYNC_ALWAYS);
    return 0;
}

static int end(void **state)
{
    (void)state;
    serve_world_fini(&w);
    return 0;
}

/* ---- clients that behave ---- */

static void commands_are_answered_over_tcp_and_a_unix_socket(void **state)
{
    int tcp;
    int local;

    (void)state;
    w.config.unix_path = w.path;
    w.config.unix_mode = 0600;
    serve_world_open(&w);
    tcp = guest_dial(&w);
    local = guest_dial_unix(&w);
    guest_ask(&w, tcp, "PING\r\n", "+PONG\r\n");
    guest_ask(&w, tcp, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n\r\n\r\n", "+OK\r\n");
    guest_ask(&w, local, "GET a\r\n", "$2\r\n\r\n\r\n");
    assert_int_equal(oxbow_resp_uv_clients(w.server), 2);
    close(tcp);
    close(local);
    serve_world_until_clients(&w, 0);
}

static void the_sentinels_port_tells_where_the_other_one_is(void **state)
{
    char want[64];
    char port[8];
    int asked;
    int tcp;

    (void)state;
    w.config.sentinel_port_any = true;
    serve_world_open(&w);
    assert_int_not_equal(oxbow_resp_uv_sentinel_port(w.server), 0);
    assert_int_not_equal(oxbow_resp_uv_sentinel_port(w.server), oxbow_resp_uv_port(w.server));
    (void)snprintf(port, sizeof port, "%u", (unsigned)oxbow_resp_uv_port(w.server));
    (void)snprintf(want, sizeof want, "*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n", strlen(port),
                   port);
    asked = guest_dial_sentinel(&w);
    guest_ask(&w, asked, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster\r\n", want);
    guest_ask(&w, asked, "GET a\r\n",
              "-ERR unknown command 'GET', with args beginning with: 'a' \r\n");
    tcp = guest_dial(&w);
    guest_ask(&w, tcp, "SENTINEL MASTERS\r\n",
              "-ERR unknown command 'SENTINEL', with args beginning with: 'MASTERS' \r\n");
    guest_ask(&w, tcp, "GET a\r\n", "$-1\r\n");
    assert_int_equal(oxbow_resp_uv_clients(w.server), 2);
    close(asked);
    close(tcp);
    serve_world_until_clients(&w, 0);
}

static void requests_in_one_piece_are_answered_in_order(void **state)
{
    static char requests[200000];
    static char replies[200000];
    size_t len = 0;
    size_t want = 0;
    int fd;
    int i;

    (void)state;
    for (i = 1; i <= 3000; i++) {
        len += (size_t)snprintf(requests + len, sizeof requests - len, "RPUSH q value-%d\r\n", i);
        want += (size_t)snprintf(replies + want, sizeof replies - want, ":%d\r\n", i);
    }
    serve_world_open(&w);
    fd = guest_dial(&w);
    guest_ask(&w, fd, requests, replies);
    close(fd);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    static const char request[] = "*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n";
    size_t i;
    int fd;

    (void)state;
    serve_world_open(&w);
    fd = guest_dial(&w);
    for (i = 0; request[i] != '\0'; i++) {
        guest_say_bytes(&w, fd, request + i, 1);
        (void)uv_run(&w.loop, UV_RUN_NOWAIT);
    }
    guest_hear(&w, fd, "$5\r\nhello\r\n");
    close(fd);
}

static void who_waits_is_served_by_another_and_by_the_program_itself(void **state)
{
    struct oxbow_txn *txn;
    struct oxbow_bytes value = BYTES("from here");
    int a;
    int b;

    (void)state;
    serve_world_open(&w);
    a = guest_dial(&w);
    b = guest_dial(&w);
    guest_say(&w, a, "BRPOP q 0\r\n");
    serve_world_run(&w, 20);
    guest_ask(&w, b, "LPUSH q x\r\n", ":1\r\n");
    guest_hear(&w, a, "*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
    guest_say(&w, a, "BRPOP q 0\r\n");
    serve_world_run(&w, 20);
    txn = rig_begin(&w.rig, 0);
    assert_int_equal(oxbow_list_push(txn, BYTES("q"), OXBOW_LEFT, &value, 1, NULL), OXBOW_OK);
    rig_commit(txn);
    guest_hear(&w, a, "*2\r\n$1\r\nq\r\n$9\r\nfrom here\r\n");
    guest_ask(&w, a, "BRPOP q 0.05\r\n", "*-1\r\n");
    close(a);
    close(b);
}

/* ---- ends ---- */

static void what_was_sent_before_an_end_is_carried_out(void **state)
{
    int fd;

    (void)state;
    serve_world_open(&w);
    fd = guest_dial(&w);
    guest_say(&w, fd, "RPUSH q a\r\nRPUSH q b\r\n");
    close(fd);
    fd = guest_dial(&w);
    guest_say(&w, fd, "RPUSH q c\r\n");
    guest_reset(fd);
    serve_world_run(&w, 50);
    fd = guest_dial(&w);
    guest_ask(&w, fd, "LLEN q\r\n", ":3\r\n");
    close(fd);
    serve_world_until_clients(&w, 0);
}

static void who_ends_its_side_still_gets_its_replies(void **state)
{
    int fd;

    (void)state;
    serve_world_open(&w);
    fd = guest_dial(&w);
    guest_say(&w, fd, "SET a 1\r\nGET a\r\n");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    guest_hear(&w, fd, "+OK\r\n$1\r\n1\r\n");
    guest_hear_end(&w, fd);
    fd = guest_dial(&w);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    guest_hear_end(&w, fd);
    serve_world_until_clients(&w, 0);
}

/* The end and the push come in one turn of the loop. */
static void who_waited_and_went_takes_nothing(void **state)
{
    int waiting;
    int pushing;
    int round;

    (void)state;
    serve_world_open(&w);
    pushing = guest_dial(&w);
    for (round = 0; round < 20; round++) {
        char request[64];

        waiting = guest_dial(&w);
        (void)snprintf(request, sizeof request, "BRPOP q%d 0\r\n", round);
        guest_say(&w, waiting, request);
        serve_world_run(&w, 5);
        (void)snprintf(request, sizeof request, "LPUSH q%d x\r\nLLEN q%d\r\n", round, round);
        guest_say(&w, pushing, request);
        if (round % 2 == 0) {
            close(waiting);
        } else {
            guest_reset(waiting);
        }
        guest_hear(&w, pushing, ":1\r\n:1\r\n");
    }
    serve_world_until_clients(&w, 1);
    close(pushing);
}

static void quit_and_a_protocol_error_end_with_their_reply(void **state)
{
    int fd;

    (void)state;
    serve_world_open(&w);
    fd = guest_dial(&w);
    guest_ask(&w, fd, "SET a 1\r\nQUIT\r\nGET a\r\n", "+OK\r\n+OK\r\n");
    guest_hear_end(&w, fd);
    fd = guest_dial(&w);
    guest_ask(&w, fd, "*1\r\n!4\r\nPING\r\n", "-ERR Protocol error: expected '$', got '!'\r\n");
    guest_hear_end(&w, fd);
}

static void shutdown_is_for_the_program_to_do(void **state)
{
    int fd;

    (void)state;
    serve_world_open(&w);
    fd = guest_dial(&w);
    guest_say(&w, fd, "SHUTDOWN NOSAVE\r\n");
    while (w.shutdowns == 0) {
        serve_world_run(&w, 1);
    }
    assert_int_equal(w.shutdowns, 1);
    serve_world_close(&w);
    guest_hear_end(&w, fd);
}

/* ---- clients that do not read ---- */

static size_t pending_reply(int fd)
{
    static char buf[1 << 16];
    size_t all = 0;
    ssize_t n;

    while ((n = recv(fd, buf, sizeof buf, 0)) > 0) {
        all += (size_t)n;
    }
    return all;
}

static void who_does_not_read_waits_alone_and_gets_everything_later(void **state)
{
    static char value[100001];
    const size_t each = 100000 + sizeof "$100000\r\n\r\n" - 1;
    const unsigned asked = 300;
    size_t got = 0;
    unsigned i;
    int greedy;
    int other;

    (void)state;
    memset(value, 'v', sizeof value - 1);
    serve_world_open(&w);
    greedy = guest_dial(&w);
    other = guest_dial(&w);
    guest_say(&w, greedy, "*3\r\n$3\r\nSET\r\n$1\r\nv\r\n$100000\r\n");
    guest_say(&w, greedy, value);
    guest_ask(&w, greedy, "\r\n", "+OK\r\n");
    for (i = 0; i < asked; i++) {
        guest_say(&w, greedy, "GET v\r\n");
    }
    assert_true(serve_world_run(&w, 100) < 2000); /* it does not spin for it */
    guest_ask(&w, other, "PING\r\n", "+PONG\r\n");
    while (got < asked * each) {
        got += pending_reply(greedy);
        serve_world_run(&w, 1);
    }
    assert_true(got == asked * each);
    close(greedy);
    close(other);
}

static void who_leaves_too_much_unread_is_closed(void **state)
{
    static char value[100001];
    int greedy;
    int other;
    int i;

    (void)state;
    memset(value, 'v', sizeof value - 1);
    w.config.resp.reply_bytes_max = 1 << 20;
    serve_world_open(&w);
    greedy = guest_dial(&w);
    other = guest_dial(&w);
    guest_say(&w, other, "SUBSCRIBE news\r\n");
    guest_hear(&w, other, "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    for (i = 0; i < 400 && oxbow_resp_uv_clients(w.server) == 2; i++) {
        guest_say(&w, greedy, "*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$100000\r\n");
        guest_say(&w, greedy, value);
        guest_say(&w, greedy, "\r\n");
        serve_world_run(&w, 1);
        (void)pending_reply(greedy);
    }
    serve_world_until_clients(&w, 1);
    close(greedy);
    close(other);
}

/* ---- limits ---- */

static void one_too_many_is_told_and_closed(void **state)
{
    int a;
    int b;
    int c;

    (void)state;
    w.config.resp.clients_max = 2;
    serve_world_open(&w);
    a = guest_dial(&w);
    b = guest_dial(&w);
    guest_ask(&w, a, "PING\r\n", "+PONG\r\n");
    guest_ask(&w, b, "PING\r\n", "+PONG\r\n");
    c = guest_dial(&w);
    guest_say(&w, c, "PING\r\n");
    guest_hear(&w, c, "-ERR max number of clients reached\r\n");
    guest_hear_end(&w, c);
    close(a);
    serve_world_until_clients(&w, 1);
    c = guest_dial(&w);
    guest_ask(&w, c, "PING\r\n", "+PONG\r\n");
    close(b);
    close(c);
}

/* The lowest descriptor that is free. */
static int next_fd(void)
{
    int fd = dup(STDERR_FILENO);

    assert_true(fd >= 0);
    close(fd);
    return fd;
}

static void without_descriptors_it_waits_and_does_not_spin(void **state)
{
    struct rlimit before;
    struct rlimit few;
    unsigned turns;
    int a;
    int b;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    serve_world_open(&w);
    a = guest_dial(&w);
    guest_ask(&w, a, "PING\r\n", "+PONG\r\n");
    b = guest_dial(&w);
    few = (struct rlimit){(rlim_t)next_fd(), before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    turns = serve_world_run(&w, 450);
    assert_int_equal(oxbow_resp_uv_clients(w.server), 1);
    guest_ask(&w, a, "PING\r\n", "+PONG\r\n"); /* the others go on */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(turns < 60);
    guest_ask(&w, b, "PING\r\n", "+PONG\r\n"); /* and it is served by itself */
    close(a);
    close(b);
}

static void hundreds_may_be_idle(void **state)
{
    enum { COUNT = 400 };
    int fds[COUNT];
    int i;

    (void)state;
    serve_world_open(&w);
    for (i = 0; i < COUNT; i++) {
        fds[i] = guest_dial(&w);
        if (i % 100 == 99) {
            serve_world_until_clients(&w, (uint32_t)i + 1);
        }
    }
    assert_true(serve_world_run(&w, 100) < 60);
    guest_ask(&w, fds[COUNT / 2], "PING\r\n", "+PONG\r\n");
    for (i = 0; i < COUNT; i++) {
        close(fds[i]);
    }
    serve_world_until_clients(&w, 0);
}

static void the_idle_are_closed_after_their_time(void **state)
{
    int fd;

    (void)state;
    w.config.resp.timeout_s = 1;
    serve_world_open(&w);
    fd = guest_dial(&w);
    guest_ask(&w, fd, "PING\r\n", "+PONG\r\n");
    guest_hear_end(&w, fd);
}

/* ---- the beginning ---- */

static void open_fails(enum oxbow_err want, const char *words)
{
    struct oxbow_resp_uv *none = NULL;

    assert_int_equal(oxbow_resp_uv_open(&w.loop, &w.config, &w.why, &none), want);
    if (strstr(w.why.text, words) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", w.why.text, words);
    }
    assert_null(none);
    (void)uv_run(&w.loop, UV_RUN_NOWAIT);
    (void)uv_run(&w.loop, UV_RUN_NOWAIT);
}

static void what_it_cannot_do_it_tells(void **state)
{
    static const char *const elsewhere[] = {"192.0.2.1"};
    static const char *const optional[] = {"-192.0.2.1"};
    static const char *const nonsense[] = {"no address"};

    (void)state;
    w.config.port_any = false;
    open_fails(OXBOW_EINVAL, "nothing to listen at");
    w.config.unix_path = w.path;
    w.config.sentinel_port_any = true;
    open_fails(OXBOW_EINVAL, "none that it could tell of");
    w.config.sentinel_port_any = false;
    w.config.unix_path = NULL;
    w.config.port_any = true;
    w.config.bind_count = 1;
    w.config.binds = elsewhere;
    open_fails(OXBOW_ENOENT, "192.0.2.1:0: no such address");
    w.config.binds = optional;
    open_fails(OXBOW_ENOENT, "none of the addresses");
    w.config.binds = nonsense;
    open_fails(OXBOW_ENOENT, "no address");
    w.config.bind_count = 0;
    w.config.resp.db = NULL;
    open_fails(OXBOW_EINVAL, "store");
}

static void a_port_that_is_taken_is_told(void **state)
{
    struct serve_world other;
    char words[64];

    (void)state;
    serve_world_init(&other, OXBOW_SYNC_ALWAYS);
    serve_world_open(&other);
    w.config.port_any = false;
    w.config.port = oxbow_resp_uv_port(other.server);
    (void)snprintf(words, sizeof words, "127.0.0.1:%u: another program", (unsigned)w.config.port);
    open_fails(OXBOW_EBUSY, words);
    w.config.port_any = true;
    w.config.sentinel_port = w.config.port;
    w.config.port = 0;
    open_fails(OXBOW_EBUSY, words);
    serve_world_fini(&other);
    serve_world_open(&w);
}

static void leave_stale_socket(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    memcpy(addr.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    close(fd);
}

static void a_stale_socket_is_replaced_and_nothing_else_is(void **state)
{
    struct serve_world other;
    struct stat at;
    int fd;

    (void)state;
    w.config.port_any = false;
    w.config.unix_path = w.path;
    w.config.unix_mode = 0770;
    leave_stale_socket(w.path);
    serve_world_open(&w);
    assert_int_equal(stat(w.path, &at), 0);
    assert_int_equal(at.st_mode & 0777, 0770);
    fd = guest_dial_unix(&w);
    guest_ask(&w, fd, "PING\r\n", "+PONG\r\n");
    close(fd);
    serve_world_init(&other, OXBOW_SYNC_ALWAYS);
    other.config.unix_path = w.path;
    assert_int_equal(oxbow_resp_uv_open(&other.loop, &other.config, &other.why, &other.server),
                     OXBOW_EBUSY);
    assert_non_null(strstr(other.why.text, "another program"));
    (void)uv_run(&other.loop, UV_RUN_NOWAIT);
    serve_world_fini(&other);
    fd = guest_dial_unix(&w); /* it is still there */
    close(fd);
    serve_world_close(&w);
    assert_int_equal(stat(w.path, &at), -1);
    fd = open(w.path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    open_fails(OXBOW_EEXIST, "no socket");
    assert_int_equal(stat(w.path, &at), 0);
}

/* ---- the end of the server ---- */

static void what_was_asked_before_the_end_is_answered(void **state)
{
    int waiting;
    int fd;

    (void)state;
    serve_world_open(&w);
    waiting = guest_dial(&w);
    guest_say(&w, waiting, "BRPOP other 0\r\n");
    fd = guest_dial(&w);
    guest_ask(&w, fd, "PING\r\n", "+PONG\r\n");
    guest_say(&w, fd, "RPUSH q a\r\nRPUSH q b\r\n");
    while (oxbow_resp_uv_clients(w.server) < 2) {
        serve_world_run(&w, 1);
    }
    serve_world_run(&w, 1);
    serve_world_close(&w);
    guest_hear(&w, fd, ":1\r\n:2\r\n");
    guest_hear_end(&w, fd);
    guest_hear_end(&w, waiting);
}

static void who_does_not_read_delays_the_end_by_its_limit_alone(void **state)
{
    static char value[100001];
    int fd;
    int i;

    (void)state;
    memset(value, 'v', sizeof value - 1);
    w.config.goodbye_ms = 200;
    serve_world_open(&w);
    fd = guest_dial(&w);
    guest_say(&w, fd, "*3\r\n$3\r\nSET\r\n$1\r\nv\r\n$100000\r\n");
    guest_say(&w, fd, value);
    guest_ask(&w, fd, "\r\n", "+OK\r\n");
    for (i = 0; i < 300; i++) {
        guest_say(&w, fd, "GET v\r\n");
    }
    serve_world_run(&w, 50);
    serve_world_close(&w);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commands_are_answered_over_tcp_and_a_unix_socket, begin,
                                        end),
        cmocka_unit_test_setup_teardown(the_sentinels_port_tells_where_the_other_one_is, begin,
                                        end),
        cmocka_unit_test_setup_teardown(requests_in_one_piece_are_answered_in_order, begin, end),
        cmocka_unit_test_setup_teardown(a_request_may_come_byte_by_byte, begin, end),
        cmocka_unit_test_setup_teardown(who_waits_is_served_by_another_and_by_the_program_itself,
                                        begin, end),
        cmocka_unit_test_setup_teardown(what_was_sent_before_an_end_is_carried_out, begin, end),
        cmocka_unit_test_setup_teardown(who_ends_its_side_still_gets_its_replies, begin, end),
        cmocka_unit_test_setup_teardown(who_waited_and_went_takes_nothing, begin, end),
        cmocka_unit_test_setup_teardown(quit_and_a_protocol_error_end_with_their_reply, begin, end),
        cmocka_unit_test_setup_teardown(shutdown_is_for_the_program_to_do, begin, end),
        cmocka_unit_test_setup_teardown(who_does_not_read_waits_alone_and_gets_everything_later,
                                        begin, end),
        cmocka_unit_test_setup_teardown(who_leaves_too_much_unread_is_closed, begin, end),
        cmocka_unit_test_setup_teardown(one_too_many_is_told_and_closed, begin, end),
        cmocka_unit_test_setup_teardown(without_descriptors_it_waits_and_does_not_spin, begin, end),
        cmocka_unit_test_setup_teardown(hundreds_may_be_idle, begin, end),
        cmocka_unit_test_setup_teardown(the_idle_are_closed_after_their_time, begin, end),
        cmocka_unit_test_setup_teardown(what_it_cannot_do_it_tells, begin, end),
        cmocka_unit_test_setup_teardown(a_port_that_is_taken_is_told, begin, end),
        cmocka_unit_test_setup_teardown(a_stale_socket_is_replaced_and_nothing_else_is, begin, end),
        cmocka_unit_test_setup_teardown(what_was_asked_before_the_end_is_answered, begin, end),
        cmocka_unit_test_setup_teardown(who_does_not_read_delays_the_end_by_its_limit_alone, begin,
                                        end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
