/* SPDX-License-Identifier: Apache-2.0 */
/* The context: its configuration, certificates that change while it runs, and memory that runs
 * out. */
#include "tests/mbedtls/peer.h"
#include "tests/support/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *certs;
static struct clocked clocked;
static const struct oxbow_tls_ops *ops;

static int setup(void **state)
{
    (void)state;
    certs = certs_make();
    clocked_init(&clocked);
    ops = oxbow_tls_mbedtls();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    certs_remove(certs);
    return 0;
}

static void copy(const char *from, const char *to)
{
    char data[8192];
    FILE *f = fopen(certs_file(certs, from), "rb");
    size_t n;

    assert_non_null(f);
    n = fread(data, 1, sizeof data, f);
    fclose(f);
    f = fopen(certs_file(certs, to), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

static void a_configuration_that_makes_no_sense_is_refused(void **state)
{
    static const struct {
        const char *words;
        int what;
    } rows[] = {{"no authority", 0}, {"no server name", 1},   {"needs its key", 2},
                {"fragment_max", 3}, {"no file is named", 4}, {"longer than", 5}};
    char name[300];
    size_t i;

    (void)state;
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct oxbow_tls_config config = client_config(&clocked, certs);
        struct oxbow_tls *none = NULL;

        config.ca.path = rows[i].what == 0 ? NULL : config.ca.path;
        config.server_name = rows[i].what == 1 ? "" : rows[i].what == 5 ? name : "redis.test";
        config.key.path = rows[i].what == 2 ? NULL : config.key.path;
        config.fragment_max = rows[i].what == 3 ? 1000 : 0;
        config.sessions = rows[i].what == 4 ? OXBOW_TLS_SESSIONS_DISK : OXBOW_TLS_SESSIONS_MEMORY;
        assert_int_equal(ops->open(&config, &why, &none), OXBOW_EINVAL);
        assert_non_null(strstr(why.text, rows[i].words));
        assert_null(none);
    }
}

static void short_records_can_be_asked_for(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct peer *p = peer_open(&(struct peer_config){.certs = certs});
    struct oxbow_tls_conn *conn;
    struct oxbow_tls *tls;
    static uint8_t big[10000];
    size_t took;

    (void)state;
    config.fragment_max = 4096;
    tls = must_open(&config);
    assert_int_equal(shake(tls, p, &conn), OXBOW_OK);
    assert_int_equal(ops->write(conn, big, sizeof big, &took), OXBOW_OK);
    if (strcmp(ops->info(conn).version, "TLSv1.2") == 0) {
        assert_int_equal(took, 4096);
    }
    ops->conn_close(conn);
    ops->close(tls);
    peer_close(p);
}

static void new_files_serve_new_connections_and_old_ones_go_on(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct peer *p = peer_open(&(struct peer_config){.certs = certs});
    struct peer *q = peer_open(&(struct peer_config){.certs = certs});
    struct oxbow_tls_conn *old;
    struct oxbow_tls_conn *fresh;
    struct oxbow_tls *tls;
    char echo[8];
    size_t len = sizeof echo;
    size_t took;

    (void)state;
    copy("ca.crt", "live-ca.crt");
    config.ca.path = certs_file(certs, "live-ca.crt");
    tls = must_open(&config);
    assert_int_equal(shake(tls, p, &old), OXBOW_OK);
    copy("other-ca.crt", "live-ca.crt");
    assert_int_equal(ops->reload(tls, &why), OXBOW_OK);
    /* The session of the old authority is not offered: the server is verified anew, and refused. */
    assert_int_equal(shake(tls, q, &fresh), OXBOW_ECERT);
    assert_non_null(strstr(ops->error(fresh), "unknown authority"));
    ops->conn_close(fresh);
    assert_int_equal(ops->write(old, "still", 5, &took), OXBOW_OK);
    assert_int_equal(pass(old, p, 0, echo, &len), OXBOW_EAGAIN);
    assert_int_equal(len, 5);
    ops->conn_close(old);
    copy("both-ca.crt", "live-ca.crt");
    assert_int_equal(ops->reload(tls, &why), OXBOW_OK);
    peer_reset(q);
    assert_int_equal(shake(tls, q, &fresh), OXBOW_OK);
    ops->conn_close(fresh);
    ops->close(tls);
    peer_close(p);
    peer_close(q);
}

static void bad_new_files_change_nothing(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct peer *p = peer_open(&(struct peer_config){.certs = certs, .client_auth = true});
    struct oxbow_tls_conn *conn;
    struct oxbow_tls *tls;

    (void)state;
    copy("client.crt", "live.crt");
    copy("client.key", "live.key");
    config.cert.path = certs_file(certs, "live.crt");
    config.key.path = certs_file(certs, "live.key");
    tls = must_open(&config);
    copy("client2.crt", "live.crt"); /* its key has not come yet */
    assert_int_equal(ops->reload(tls, &why), OXBOW_ECERT);
    assert_non_null(strstr(why.text, "does not belong"));
    assert_int_equal(remove(certs_file(certs, "live.crt")), 0);
    assert_int_equal(ops->reload(tls, &why), OXBOW_ENOENT);
    assert_int_equal(shake(tls, p, &conn), OXBOW_OK);
    ops->conn_close(conn);
    copy("client2.crt", "live.crt");
    copy("client2.key", "live.key");
    assert_int_equal(ops->reload(tls, &why), OXBOW_OK);
    peer_reset(p);
    assert_int_equal(shake(tls, p, &conn), OXBOW_OK);
    ops->conn_close(conn);
    ops->close(tls);
    peer_close(p);
}

/* An allocator that refuses the n-th request, and knows what is still out. */
struct scarce {
    uint64_t calls;
    uint64_t fail_at;
    int64_t out_bytes;
};

static void *scarce_resize(void *ctx, void *p, size_t old_len, size_t new_len)
{
    struct scarce *s = ctx;
    const struct oxbow_alloc *real = &oxbow_port_default()->alloc;

    if (new_len > 0 && ++s->calls == s->fail_at) {
        return NULL;
    }
    s->out_bytes += (int64_t)new_len - (int64_t)old_len;
    return real->resize(real->ctx, p, old_len, new_len);
}

static void memory_may_run_out_at_every_point_and_nothing_leaks(void **state)
{
    struct clocked mine;
    struct oxbow_tls_config config;
    struct peer *p = peer_open(&(struct peer_config){.certs = certs});
    struct scarce scarce = {0};
    bool whole = false;
    uint64_t n;

    (void)state;
    clocked_init(&mine);
    mine.port.alloc = (struct oxbow_alloc){.ctx = &scarce, .resize = scarce_resize};
    config = client_config(&mine, certs);
    for (n = 1; !whole; n++) {
        struct oxbow_tls *tls = NULL;
        struct oxbow_tls_conn *conn = NULL;
        enum oxbow_err err;

        scarce = (struct scarce){.fail_at = n};
        peer_reset(p);
        err = ops->open(&config, &why, &tls);
        if (err == OXBOW_OK && ops->conn_open(tls, &conn) == OXBOW_OK) {
            err = pass(conn, p, 0, NULL, NULL);
            whole = err == OXBOW_EAGAIN && ops->handshake(conn) == OXBOW_OK && scarce.calls < n;
        }
        assert_true(err == OXBOW_OK || err == OXBOW_EAGAIN || err == OXBOW_ENOMEM);
        ops->conn_close(conn);
        ops->close(tls);
        assert_int_equal(scarce.out_bytes, 0);
        assert_true(n < 200);
    }
    assert_true(n > 10);
    peer_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_that_makes_no_sense_is_refused),
        cmocka_unit_test(short_records_can_be_asked_for),
        cmocka_unit_test(new_files_serve_new_connections_and_old_ones_go_on),
        cmocka_unit_test(bad_new_files_change_nothing),
        cmocka_unit_test(memory_may_run_out_at_every_point_and_nothing_leaks),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
