/* SPDX-License-Identifier: Apache-2.0 */
/* Against a real redis-server: what it refuses, what it resumes. */
#include "port/mbedtls/compat.h"
#include "tests/mbedtls/peer.h"
#include "tests/support/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 60000

static char *certs;
static struct clocked clocked;
static const struct oxbow_tls_ops *ops;
static struct redis *server;

static int setup(void **state)
{
    (void)state;
    certs = certs_make();
    clocked_init(&clocked);
    ops = oxbow_tls_mbedtls();
    server = redis_open(&(struct redis_config){.certs = certs});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    redis_close(server);
    certs_remove(certs);
    return 0;
}

/* A blocking client: one socket, one TLS connection. */
struct client {
    int fd;
    struct oxbow_tls_conn *tls;
    size_t bytes_in;
    char text[256]; /* plaintext so far */
    size_t len;
};

static int dial(uint16_t port)
{
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    return fd;
}

static void send_out(struct client *c)
{
    struct oxbow_bytes out = ops->peek(c->tls);

    if (out.len > 0) {
        ssize_t n = send(c->fd, out.data, out.len, MSG_NOSIGNAL);
        /* A server that has refused us may be gone already. */
        ops->sent(c->tls, n > 0 ? (size_t)n : out.len);
    }
}

/* Runs until the handshake is over (`want` 0) or `want` bytes of plaintext are there. */
static enum oxbow_err run(struct client *c, size_t want)
{
    uint8_t in[4096];
    size_t used;
    size_t got;
    enum oxbow_err err;

    for (;;) {
        struct pollfd pfd = {.fd = c->fd, .events = POLLIN};
        ssize_t n;
        size_t at;

        err = ops->handshake(c->tls);
        while (err == OXBOW_OK && want > 0) {
            err = ops->read(c->tls, c->text + c->len, sizeof c->text - c->len, &got);
            c->len += err == OXBOW_OK ? got : 0;
        }
        send_out(c);
        if (err != OXBOW_EAGAIN || (want > 0 && c->len >= want)) {
            return want > 0 && err == OXBOW_EAGAIN ? OXBOW_OK : err;
        }
        if (poll(&pfd, 1, WAIT_MS) != 1) {
            return OXBOW_ETIMEDOUT;
        }
        n = recv(c->fd, in, sizeof in, 0);
        if (n <= 0) {
            return OXBOW_EPIPE;
        }
        c->bytes_in += (size_t)n;
        for (at = 0; at < (size_t)n; at += used) {
            assert_int_equal(ops->feed(c->tls, in + at, (size_t)n - at, &used), OXBOW_OK);
            if (used == 0) {
                break;
            }
            (void)ops->handshake(c->tls);
        }
    }
}

static enum oxbow_err client_open(struct client *c, struct oxbow_tls *tls, uint16_t port)
{
    memset(c, 0, sizeof *c);
    c->fd = dial(port);
    assert_int_equal(ops->conn_open(tls, &c->tls), OXBOW_OK);
    return run(c, 0);
}

static enum oxbow_err ping(struct client *c)
{
    static const char words[] = "*1\r\n$4\r\nPING\r\n";
    size_t took;
    enum oxbow_err err = ops->write(c->tls, words, sizeof words - 1, &took);

    return err != OXBOW_OK ? err : run(c, 7);
}

static void client_close(struct client *c)
{
    ops->end(c->tls);
    send_out(c);
    ops->conn_close(c->tls);
    close(c->fd);
}

static void redis_answers_over_tls_with_our_certificate(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct oxbow_tls *tls = must_open(&config);
    struct client c;

    (void)state;
    if (client_open(&c, tls, redis_tls_port(server)) != OXBOW_OK) {
        fail_msg("%s", ops->error(c.tls));
    }
    assert_int_equal(ping(&c), OXBOW_OK);
    assert_memory_equal(c.text, "+PONG\r\n", 7);
    client_close(&c);
    ops->close(tls);
}

/* Connects, and says hello if it comes to that: in TLS 1.3 the refusal comes only then. */
static enum oxbow_err refusal(const struct oxbow_tls_config *config, uint16_t port)
{
    struct oxbow_tls *tls = must_open(config);
    struct client c;
    enum oxbow_err err = client_open(&c, tls, port);

    if (err == OXBOW_OK) {
        err = ping(&c);
    }
    snprintf(why.text, sizeof why.text, "%s", ops->error(c.tls));
    client_close(&c);
    ops->close(tls);
    return err;
}

/* TLS 1.2 has the alert in clear; in 1.3 it stays between the library and the server. */
static void told(const char *words, const char *words_in_tls13)
{
    if (strstr(why.text, words) == NULL && strstr(why.text, words_in_tls13) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", why.text, words);
    }
}

static void redis_refuses_a_client_without_a_certificate(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);

    (void)state;
    config.cert.path = config.key.path = NULL;
    assert_int_equal(refusal(&config, redis_tls_port(server)), OXBOW_ECERT);
    assert_non_null(strstr(why.text, "client certificate"));
}

static void redis_refuses_a_certificate_of_another_authority(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);

    (void)state;
    config.cert.path = certs_file(certs, "foreign.crt");
    config.key.path = certs_file(certs, "foreign.key");
    assert_int_equal(refusal(&config, redis_tls_port(server)), OXBOW_ECERT);
    told("does not know the authority that signed our certificate", "perhaps for our certificate");
}

static void redis_refuses_our_expired_certificate_and_we_say_so(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);

    (void)state;
    config.cert.path = certs_file(certs, "oldclient.crt");
    config.key.path = certs_file(certs, "oldclient.key");
    assert_int_equal(refusal(&config, redis_tls_port(server)), OXBOW_ECERT);
    told("our certificate has expired; ours is valid from 2019-01-01 to 2020-01-01",
         "surely for our certificate (valid from 2019-01-01 to 2020-01-01)");
}

static void a_resumed_handshake_with_redis_takes_a_fraction_of_the_bytes(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct oxbow_tls *tls = must_open(&config);
    struct client c;
    size_t full;

    (void)state;
    assert_int_equal(client_open(&c, tls, redis_tls_port(server)), OXBOW_OK);
    full = c.bytes_in;
    assert_false(ops->info(c.tls).resumed);
    assert_int_equal(ping(&c), OXBOW_OK);
    client_close(&c);
    assert_int_equal(client_open(&c, tls, redis_tls_port(server)), OXBOW_OK);
    assert_true(ops->info(c.tls).resumed);
    assert_int_equal(ping(&c), OXBOW_OK);
    print_message("handshake: %zu bytes in, resumed %zu\n", full, c.bytes_in);
    assert_true(c.bytes_in < full * 3 / 4);
    client_close(&c);
    ops->close(tls);
}

/* With a server that speaks one version alone: a full handshake, and a resumed one. */
static void speaks(const char *version)
{
    char extra[64];
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct oxbow_tls *tls = must_open(&config);
    struct redis *narrow;
    struct client c;
    int i;

    snprintf(extra, sizeof extra, "tls-protocols %s", version);
    narrow = redis_open(&(struct redis_config){.certs = certs, .extra = extra});
    for (i = 0; i < 2; i++) {
        if (client_open(&c, tls, redis_tls_port(narrow)) != OXBOW_OK) {
            fail_msg("%s: %s", version, ops->error(c.tls));
        }
        assert_string_equal(ops->info(c.tls).version, version);
        assert_int_equal(ops->info(c.tls).resumed, i);
        assert_int_equal(ping(&c), OXBOW_OK);
        client_close(&c);
    }
    ops->close(tls);
    redis_close(narrow);
}

static void a_server_of_tls_1_2_alone_is_spoken_to(void **state)
{
    (void)state;
    speaks("TLSv1.2");
}

static void a_server_of_tls_1_3_alone_is_spoken_to_or_told_of(void **state)
{
    (void)state;
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    speaks("TLSv1.3");
#else
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct redis *newer =
        redis_open(&(struct redis_config){.certs = certs, .extra = "tls-protocols TLSv1.3"});

    assert_true(refusal(&config, redis_tls_port(newer)) != OXBOW_OK);
    assert_non_null(strstr(why.text, "version of TLS"));
    redis_close(newer);
#endif
}

/* A server without a session cache, but with client certificates, ends a handshake that offers a
 * session, rather than going on without. */
static void a_server_that_chokes_on_the_session_is_tried_once_more_without(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct redis *stubborn =
        redis_open(&(struct redis_config){.certs = certs, .extra = "tls-session-caching no"});
    struct oxbow_tls *tls = must_open(&config);
    struct client c;

    (void)state;
    assert_int_equal(client_open(&c, tls, redis_tls_port(stubborn)), OXBOW_OK);
    assert_int_equal(ping(&c), OXBOW_OK);
    client_close(&c);
    assert_true(client_open(&c, tls, redis_tls_port(stubborn)) != OXBOW_OK);
    print_message("offering a session: %s\n", ops->error(c.tls));
    assert_true(ops->retry_without_session(c.tls));
    client_close(&c);
    assert_int_equal(client_open(&c, tls, redis_tls_port(stubborn)), OXBOW_OK);
    assert_int_equal(ping(&c), OXBOW_OK);
    assert_false(ops->info(c.tls).resumed);
    client_close(&c);
    ops->close(tls);
    redis_close(stubborn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redis_answers_over_tls_with_our_certificate),
        cmocka_unit_test(redis_refuses_a_client_without_a_certificate),
        cmocka_unit_test(redis_refuses_a_certificate_of_another_authority),
        cmocka_unit_test(redis_refuses_our_expired_certificate_and_we_say_so),
        cmocka_unit_test(a_resumed_handshake_with_redis_takes_a_fraction_of_the_bytes),
        cmocka_unit_test(a_server_of_tls_1_2_alone_is_spoken_to),
        cmocka_unit_test(a_server_of_tls_1_3_alone_is_spoken_to_or_told_of),
        cmocka_unit_test(a_server_that_chokes_on_the_session_is_tried_once_more_without),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
