/* SPDX-License-Identifier: Apache-2.0 */
/* A small world around a server. */
#include "tests/uv/serve_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define TURNS_MIN   8u /* to accept, to read, to carry out, to answer */
#define PATIENCE_MS 120000u

static uint64_t now_ms(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void on_shutdown(void *ctx)
{
    ((struct serve_world *)ctx)->shutdowns++;
}

static void on_done(void *ctx)
{
    struct serve_world *w = ctx;

    w->done = true;
    w->server = NULL;
}

void serve_world_init(struct serve_world *w, enum oxbow_sync sync)
{
    memset(w, 0, sizeof *w);
    rig_init(&w->rig, sync);
    w->rig.port.clock = oxbow_port_default()->clock;
    rig_open(&w->rig);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    (void)snprintf(w->path, sizeof w->path, "%s/sock", w->rig.dir);
    w->config = (struct oxbow_resp_uv_config){
        .resp = {.db = w->rig.db, .shutdown = on_shutdown, .ctx = w},
        .port_any = true,
    };
}

void serve_world_open(struct serve_world *w)
{
    enum oxbow_err err = oxbow_resp_uv_open(&w->loop, &w->config, &w->why, &w->server);

    if (err != OXBOW_OK) {
        fail_msg("%s: %s", oxbow_err_name(err), w->why.text);
    }
    w->done = false;
}

/* One turn of the loop; a nap when nothing happened. */
static void turn(struct serve_world *w)
{
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    (void)usleep(200);
}

void serve_world_close(struct serve_world *w)
{
    uint64_t end = now_ms() + PATIENCE_MS;

    oxbow_resp_uv_close(w->server, on_done, w);
    while (!w->done) {
        assert_true(now_ms() < end);
        turn(w);
    }
}

void serve_world_fini(struct serve_world *w)
{
    if (w->server != NULL) {
        serve_world_close(w);
    }
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_loop_close(&w->loop), 0); /* nothing is left on it */
    rig_fini(&w->rig);
}

static int nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static int dial(uint16_t port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    return nonblocking(fd);
}

int guest_dial(struct serve_world *w)
{
    return dial(oxbow_resp_uv_port(w->server));
}

int guest_dial_sentinel(struct serve_world *w)
{
    return dial(oxbow_resp_uv_sentinel_port(w->server));
}

int guest_dial_unix(struct serve_world *w)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_true(strlen(w->path) < sizeof addr.sun_path);
    memcpy(addr.sun_path, w->path, strlen(w->path));
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    return nonblocking(fd);
}

void guest_say_bytes(struct serve_world *w, int fd, const void *data, size_t len)
{
    uint64_t end = now_ms() + PATIENCE_MS;
    size_t at = 0;

    while (at < len) {
        ssize_t n = send(fd, (const char *)data + at, len - at, MSG_NOSIGNAL);

        if (n < 0) {
            assert_true(errno == EAGAIN && now_ms() < end);
            turn(w);
        } else {
            at += (size_t)n;
        }
    }
}

void guest_say(struct serve_world *w, int fd, const char *text)
{
    guest_say_bytes(w, fd, text, strlen(text));
}

void guest_hear(struct serve_world *w, int fd, const char *text)
{
    uint64_t end = now_ms() + PATIENCE_MS;
    size_t want = strlen(text);
    size_t at = 0;
    char buf[4096];

    while (at < want) {
        size_t most = want - at < sizeof buf ? want - at : sizeof buf;
        ssize_t n = recv(fd, buf, most, 0);

        if (n == 0) {
            fail_msg("the connection ended; still wanted: %s", text + at);
        }
        if (n > 0) {
            if (memcmp(buf, text + at, (size_t)n) != 0) {
                fail_msg("got \"%.*s\", wanted \"%.200s\"", (int)n, buf, text + at);
            }
            at += (size_t)n;
            continue;
        }
        assert_int_equal(errno, EAGAIN);
        if (now_ms() > end) {
            fail_msg("nothing came; wanted: %s", text + at);
        }
        turn(w);
    }
}

void guest_hear_end(struct serve_world *w, int fd)
{
    uint64_t end = now_ms() + PATIENCE_MS;
    char buf[64];
    ssize_t n;

    while ((n = recv(fd, buf, sizeof buf, 0)) != 0) {
        if (n > 0) {
            fail_msg("got \"%.*s\", wanted the end", (int)n, buf);
        }
        if (errno == ECONNRESET) {
            break;
        }
        assert_int_equal(errno, EAGAIN);
        assert_true(now_ms() < end);
        turn(w);
    }
    assert_int_equal(close(fd), 0);
}

void guest_ask(struct serve_world *w, int fd, const char *text, const char *reply)
{
    guest_say(w, fd, text);
    guest_hear(w, fd, reply);
}

static void on_late(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

unsigned serve_world_run(struct serve_world *w, unsigned ms)
{
    uv_timer_t timer;
    bool late = false;
    unsigned turns = 0;

    while (turns <
           TURNS_MIN) { /* the time may be over at once, if somebody else has the processor */
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
        turns++;
    }
    turns = 0;
    uv_update_time(&w->loop);
    (void)uv_timer_init(&w->loop, &timer);
    timer.data = &late;
    (void)uv_timer_start(&timer, on_late, ms, 0);
    while (!late) {
        (void)uv_run(&w->loop, UV_RUN_ONCE);
        turns++;
    }
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    return turns;
}

void serve_world_until_clients(struct serve_world *w, uint32_t count)
{
    uint64_t end = now_ms() + PATIENCE_MS;

    while (oxbow_resp_uv_clients(w->server) != count) {
        assert_true(now_ms() < end);
        turn(w);
    }
}

void guest_reset(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    assert_int_equal(close(fd), 0);
}
