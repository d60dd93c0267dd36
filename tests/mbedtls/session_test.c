/* SPDX-License-Identifier: Apache-2.0 */
/* The session to resume: when it is used, when not, and its file. */
#include "tests/mbedtls/peer.h"
#include "tests/support/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define HOUR_US 3600000000ull

static char *certs;
static struct clocked clocked;
static const struct oxbow_tls_ops *ops;
static struct peer *p;

static int setup(void **state)
{
    (void)state;
    certs = certs_make();
    ops = oxbow_tls_mbedtls();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    certs_remove(certs);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    clocked_init(&clocked);
    p = peer_open(&(struct peer_config){.certs = certs});
    (void)remove(certs_file(certs, "session"));
    return 0;
}

static int end(void **state)
{
    (void)state;
    peer_close(p);
    return 0;
}

/* One connection, which must come about; says whether it was resumed. */
static bool resumes(struct oxbow_tls *tls)
{
    struct oxbow_tls_conn *conn;
    bool resumed;

    peer_reset(p);
    assert_int_equal(shake(tls, p, &conn), OXBOW_OK);
    resumed = ops->info(conn).resumed;
    ops->conn_close(conn);
    return resumed;
}

static void time_passes(uint64_t us)
{
    clocked.mono_us += us;
    clocked.wall_ms += us / 1000;
}

static struct oxbow_tls_config disk_config(void)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);

    config.sessions = OXBOW_TLS_SESSIONS_DISK;
    config.session_path = certs_file(certs, "session");
    return config;
}

static void the_second_handshake_is_the_short_one(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct oxbow_tls *tls = must_open(&config);

    (void)state;
    assert_false(resumes(tls));
    assert_true(resumes(tls));
    assert_true(resumes(tls));
    ops->close(tls);
}

static void off_means_off(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct oxbow_tls *tls;

    (void)state;
    config.sessions = OXBOW_TLS_SESSIONS_OFF;
    tls = must_open(&config);
    assert_false(resumes(tls));
    assert_false(resumes(tls));
    ops->close(tls);
}

static void age_counts_from_the_full_handshake_and_resuming_does_not_prolong_it(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct oxbow_tls *tls = must_open(&config);

    (void)state;
    assert_false(resumes(tls));
    time_passes(23 * HOUR_US);
    assert_true(resumes(tls));
    time_passes(2 * HOUR_US);
    assert_false(resumes(tls));
    assert_true(resumes(tls));
    ops->close(tls);
    config.session_age_max_s = 60;
    tls = must_open(&config);
    assert_false(resumes(tls));
    time_passes(61000000);
    assert_false(resumes(tls));
    ops->close(tls);
}

static void a_session_is_not_used_beyond_the_servers_certificate(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct oxbow_tls *tls = must_open(&config);
    struct oxbow_tls_conn *conn;

    (void)state;
    assert_false(resumes(tls));
    clocked.wall_ms = 2600000000000ull; /* 2052, the certificate ended in 2049 */
    peer_reset(p);
    assert_int_equal(shake(tls, p, &conn), OXBOW_ECERT);
    assert_non_null(strstr(ops->error(conn), "expired"));
    ops->conn_close(conn);
    ops->close(tls);
}

static void a_server_that_has_forgotten_gets_a_full_handshake(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct oxbow_tls *tls = must_open(&config);

    (void)state;
    assert_false(resumes(tls));
    peer_close(p);
    p = peer_open(&(struct peer_config){.certs = certs});
    assert_false(resumes(tls));
    assert_true(resumes(tls));
    ops->close(tls);
}

static void only_a_session_can_be_to_blame_for_an_early_end(void **state)
{
    struct oxbow_tls_config config = client_config(&clocked, certs);
    struct oxbow_tls *tls = must_open(&config);
    struct oxbow_tls_conn *conn;

    (void)state;
    assert_int_equal(ops->conn_open(tls, &conn), OXBOW_OK);
    assert_int_equal(ops->handshake(conn), OXBOW_EAGAIN);
    assert_false(ops->retry_without_session(conn));
    ops->conn_close(conn);
    assert_false(resumes(tls));
    /* Now one is offered, and the server goes away. */
    assert_int_equal(ops->conn_open(tls, &conn), OXBOW_OK);
    assert_int_equal(ops->handshake(conn), OXBOW_EAGAIN);
    assert_true(ops->retry_without_session(conn));
    ops->conn_close(conn);
    assert_false(resumes(tls));
    ops->close(tls);
}

static void a_session_on_disk_survives_the_process(void **state)
{
    struct oxbow_tls_config config = disk_config();
    struct oxbow_tls *tls = must_open(&config);
    struct stat st;

    (void)state;
    assert_false(resumes(tls));
    ops->close(tls);
    assert_int_equal(stat(config.session_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    clocked.mono_us = 1000000; /* a boot later */
    clocked.wall_ms += 3600000;
    tls = must_open(&config);
    assert_true(resumes(tls));
    ops->close(tls);
    time_passes(24 * HOUR_US);
    tls = must_open(&config);
    assert_false(resumes(tls));
    ops->close(tls);
}

static void a_session_on_disk_is_written_at_most_every_ten_minutes(void **state)
{
    struct oxbow_tls_config config = disk_config();
    struct oxbow_tls *tls = must_open(&config);
    struct stat first;
    struct stat second;

    (void)state;
    assert_false(resumes(tls));
    assert_int_equal(stat(config.session_path, &first), 0);
    time_passes(599000000);
    assert_true(resumes(tls));
    assert_int_equal(stat(config.session_path, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
    time_passes(2000000);
    assert_true(resumes(tls));
    assert_int_equal(stat(config.session_path, &second), 0);
    assert_true(first.st_ino != second.st_ino || first.st_mtim.tv_nsec != second.st_mtim.tv_nsec);
    ops->close(tls);
}

static void a_session_of_other_credentials_is_not_used(void **state)
{
    struct oxbow_tls_config config = disk_config();
    struct oxbow_tls *tls = must_open(&config);

    (void)state;
    assert_false(resumes(tls));
    ops->close(tls);
    config.server_name = "localhost";
    tls = must_open(&config);
    assert_false(resumes(tls));
    ops->close(tls);
    config.cert.path = certs_file(certs, "client2.crt");
    config.key.path = certs_file(certs, "client2.key");
    tls = must_open(&config);
    assert_false(resumes(tls));
    ops->close(tls);
}

static void a_session_made_before_the_clock_was_set_is_not_written(void **state)
{
    struct oxbow_tls_config config = disk_config();
    struct oxbow_tls *tls;
    struct stat st;

    (void)state;
    clocked.set = false;
    tls = must_open(&config);
    assert_false(resumes(tls));
    assert_true(resumes(tls));
    ops->close(tls);
    assert_int_equal(stat(config.session_path, &st), -1);
}

static void a_damaged_session_file_costs_a_full_handshake_and_no_more(void **state)
{
    struct oxbow_tls_config config = disk_config();
    struct oxbow_tls *tls = must_open(&config);
    char bytes[8192];
    size_t len;
    size_t at;
    FILE *f;

    (void)state;
    assert_false(resumes(tls));
    ops->close(tls);
    f = fopen(config.session_path, "rb");
    assert_non_null(f);
    len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    for (at = 0; at < len; at += at < 70 ? 1 : 101) {
        bytes[at] ^= 0x10;
        f = fopen(config.session_path, "wb");
        assert_int_equal(fwrite(bytes, 1, len, f), len);
        fclose(f);
        bytes[at] ^= 0x10;
        tls = must_open(&config);
        assert_false(resumes(tls));
        ops->close(tls);
    }
    for (at = 0; at < len; at += 97) {
        f = fopen(config.session_path, "wb");
        assert_int_equal(fwrite(bytes, 1, at, f), at);
        fclose(f);
        tls = must_open(&config);
        assert_false(resumes(tls));
        ops->close(tls);
    }
}

static void a_directory_that_is_not_there_is_told_and_harms_nothing(void **state)
{
    struct oxbow_tls_config config = disk_config();
    struct oxbow_tls *tls;

    (void)state;
    config.session_path = "/nowhere/session";
    tls = must_open(&config);
    assert_false(resumes(tls));
    assert_non_null(strstr(clocked.last_log, "/nowhere/session was not written"));
    assert_true(resumes(tls));
    ops->close(tls);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_second_handshake_is_the_short_one),
        TEST(off_means_off),
        TEST(age_counts_from_the_full_handshake_and_resuming_does_not_prolong_it),
        TEST(a_session_is_not_used_beyond_the_servers_certificate),
        TEST(a_server_that_has_forgotten_gets_a_full_handshake),
        TEST(only_a_session_can_be_to_blame_for_an_early_end),
        TEST(a_session_on_disk_survives_the_process),
        TEST(a_session_on_disk_is_written_at_most_every_ten_minutes),
        TEST(a_session_of_other_credentials_is_not_used),
        TEST(a_session_made_before_the_clock_was_set_is_not_written),
        TEST(a_damaged_session_file_costs_a_full_handshake_and_no_more),
        TEST(a_directory_that_is_not_there_is_told_and_harms_nothing),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
