/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Once in effect, in order, against a real server: connections cut, replies robbed, sends cut
 * short, replies in single bytes, no memory at the server, its scripts flushed, itself killed and
 * started again on its append-only file. The same faults must hurt a naive client, or they prove
 * nothing.
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
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define ENTRIES  5000
#define PER_TXN  10
#define TURNS    200000
#define DIR_CAP  64
#define NAME_CAP 256

static const struct wire_faults hard = {.reset = 20, .robbed = 40, .cut_send = 20, .bytewise = 100};

struct rig {
    struct redis *redis;
    struct oxbow *db;
    struct oxbow_uplink *u;
    struct wire wire;
    char dir[DIR_CAP];
    char host[NAME_CAP];
    bool list;
    int added;
    int ooms, flushes, kills;
    int full_until; /* turn; 0: the server has memory */
};

static struct oxbow_bytes bytes(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static void remove_dir(const char *dir)
{
    char command[DIR_CAP + 16];

    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static void rig_open(struct rig *g, bool list, enum oxbow_uplink_mode mode, uint64_t seed)
{
    const struct redis_config server = {.aof = true};
    struct oxbow_config config = {.port = wire_port()};
    struct oxbow_forward_options forward = {.key = bytes("q"),
                                            .type = list ? OXBOW_TYPE_LIST : OXBOW_TYPE_STREAM,
                                            .batch_count = 20,
                                            .linger_ms = -1};
    struct oxbow_uplink_target target = {g->host, 0};
    struct oxbow_uplink_config uplink = {.targets = &target,
                                         .target_count = 1,
                                         .mode = mode,
                                         .batch_bytes = 1024,
                                         .first_spread_ms = 1,
                                         .backoff_base_ms = 10,
                                         .backoff_cap_ms = 1000};
    struct oxbow_txn *txn;

    memset(g, 0, sizeof(*g));
    g->list = list;
    g->redis = redis_open(&server);
    snprintf(g->host, sizeof(g->host), "unix:%s", redis_socket(g->redis));
    snprintf(g->dir, sizeof(g->dir), "/tmp/oxbow-chaos-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    config.dir = g->dir;
    assert_int_equal(oxbow_open(&config, &g->db), OXBOW_OK);
    assert_int_equal(oxbow_txn_begin(g->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_identity_set(txn, "dev", NULL), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "f", &forward), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_uplink_open(g->db, &uplink, &g->u), OXBOW_OK);
    wire_init(&g->wire, g->u, seed);
}

static void rig_close(struct rig *g)
{
    wire_fini(&g->wire);
    oxbow_uplink_close(g->u);
    assert_int_equal(oxbow_close(g->db), OXBOW_OK);
    redis_close(g->redis);
    remove_dir(g->dir);
}

static void rig_add(struct rig *g)
{
    const struct oxbow_stream_add_options options = {.id_mode = OXBOW_ID_AUTO};
    struct oxbow_txn *txn;
    int i;

    assert_int_equal(oxbow_txn_begin(g->db, NULL, &txn), OXBOW_OK);
    for (i = 0; i < PER_TXN; i++) {
        char text[16];
        struct oxbow_field field;
        struct oxbow_id id;
        uint64_t len;

        snprintf(text, sizeof(text), "%d", g->added++);
        field = (struct oxbow_field){bytes("n"), bytes(text)};
        if (g->list) {
            assert_int_equal(oxbow_list_push(txn, bytes("q"), OXBOW_RIGHT, &field.value, 1, &len),
                             OXBOW_OK);
        } else {
            assert_int_equal(oxbow_stream_add(txn, bytes("q"), &options, &field, 1, &id), OXBOW_OK);
        }
    }
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

/* What happens to the server, now and then. */
static void rig_hurt_server(struct rig *g, int turn)
{
    if (g->full_until != 0 && turn >= g->full_until) {
        redis_command(g->redis, "CONFIG", "SET", "maxmemory", "0", NULL);
        g->full_until = 0;
    }
    if (g->full_until != 0) {
        return;
    }
    if (wire_random(&g->wire, 100) == 0) {
        redis_command(g->redis, "CONFIG", "SET", "maxmemory", "1", NULL);
        g->full_until = turn + 3 + (int)wire_random(&g->wire, 10);
        g->ooms++;
    } else if (wire_random(&g->wire, 100) == 0) {
        redis_command(g->redis, "SCRIPT", "FLUSH", NULL);
        g->flushes++;
    } else if (wire_random(&g->wire, 400) == 0 && g->kills < 4) {
        redis_kill(g->redis);
        redis_start(g->redis);
        g->kills++;
    }
}

static bool rig_drained(struct rig *g)
{
    struct oxbow_forward_status status;
    struct oxbow_txn_options options = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(g->db, &options, &txn), OXBOW_OK);
    assert_int_equal(oxbow_forward_status(txn, "f", &status), OXBOW_OK);
    if (g->list) { /* what is confirmed is gone, so the backlog is what there is */
        uint64_t len;

        assert_int_equal(oxbow_list_len(txn, bytes("q"), &len), OXBOW_OK);
        assert_int_equal(status.backlog_entries, len);
    }
    oxbow_txn_abort(txn);
    return status.backlog_entries == 0;
}

static void rig_run(struct rig *g, const struct wire_faults *faults)
{
    int turn;

    for (turn = 0; turn < TURNS; turn++) {
        struct oxbow_uplink_status status;

        if (g->added < ENTRIES && turn % 4 == 0) {
            rig_add(g);
        }
        g->wire.faults = g->added < ENTRIES ? *faults : (struct wire_faults){0};
        if (g->added < ENTRIES) {
            rig_hurt_server(g, turn);
        } else {
            redis_command(g->redis, "CONFIG", "SET", "maxmemory", "0", NULL);
        }
        assert_true(wire_turn(&g->wire));
        oxbow_uplink_status(g->u, &status);
        (void)rig_drained(g);
        if (g->added >= ENTRIES && turn % 16 == 0 && status.inflight_bytes == 0 && rig_drained(g)) {
            return;
        }
    }
    fail_msg("not drained after %d turns", TURNS);
}

/* Numbers at the target, in order; -1 at the end. */
static int target_numbers(struct rig *g, int *out, int cap)
{
    const char *text = g->list ? redis_command(g->redis, "LRANGE", "oxbow:{dev}:q", "0", "-1", NULL)
                               : redis_command(g->redis, "XRANGE", "oxbow:{dev}:q", "-", "+", NULL);
    int count = 0;
    bool value = g->list;

    while (*text != 0) {
        const char *end = strchr(text, '\n');
        size_t len = end == NULL ? strlen(text) : (size_t)(end - text);

        if (value && count < cap) {
            out[count++] = atoi(text);
        }
        value = g->list || (len == 1 && text[0] == 'n');
        text += len + (end != NULL);
    }
    return count;
}

static void rig_verify(struct rig *g)
{
    static int found[2 * ENTRIES];
    int count = target_numbers(g, found, 2 * ENTRIES), i;

    for (i = 0; i < count; i++) {
        if (found[i] != i) {
            fail_msg("at place %d is %d; %d entries of %d", i, found[i], count, g->added);
        }
    }
    assert_int_equal(count, g->added);
}

static void rig_report(struct rig *g, const char *what)
{
    struct oxbow_uplink_status s;

    oxbow_uplink_status(g->u, &s);
    printf("%s: %d entries, %llu batches, %llu connects; resets %llu, robbed %llu, cut sends %llu, "
           "no memory %d, script flushes %d, kills %d; lost replies %llu, refused: full %llu, "
           "script %llu; wire bytes per entry %.1f\n",
           what, g->added, (unsigned long long)s.batches, (unsigned long long)s.connects,
           (unsigned long long)g->wire.resets, (unsigned long long)g->wire.robbed,
           (unsigned long long)g->wire.cut_sends, g->ooms, g->flushes, g->kills,
           (unsigned long long)s.lost_replies, (unsigned long long)s.refused[OXBOW_TROUBLE_FULL],
           (unsigned long long)s.refused[OXBOW_TROUBLE_SCRIPT],
           (double)(s.bytes_out + s.bytes_in) / g->added);
    assert_true(g->wire.robbed > 0);
    assert_true(g->wire.resets > 0);
    assert_true(g->ooms > 0);
    assert_true(s.refused[OXBOW_TROUBLE_FULL] > 0);
    assert_true(s.lost_replies > 0);
}

static void chaos(bool list, enum oxbow_uplink_mode mode, const char *what)
{
    struct rig g;

    rig_open(&g, list, mode, wire_seed(what));
    rig_run(&g, &hard);
    rig_report(&g, what);
    rig_verify(&g);
    rig_close(&g);
}

static void a_stream_arrives_once_and_in_order_through_the_guard(void **state)
{
    (void)state;
    chaos(false, OXBOW_UPLINK_SCRIPT, "stream, script");
}

static void a_stream_arrives_once_and_in_order_where_scripts_are_forbidden(void **state)
{
    (void)state;
    chaos(false, OXBOW_UPLINK_MULTI, "stream, multi");
}

static void a_list_arrives_once_and_in_order_through_the_guard(void **state)
{
    (void)state;
    chaos(true, OXBOW_UPLINK_SCRIPT, "list, script");
}

static void a_list_arrives_once_and_in_order_where_scripts_are_forbidden(void **state)
{
    (void)state;
    chaos(true, OXBOW_UPLINK_MULTI, "list, multi");
}

/* ---- the negative control ---- */

static int naive_connect(struct rig *g)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct timeval limit = {.tv_sec = 60};

    assert_true(fd >= 0);
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", redis_socket(g->redis));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    return fd;
}

/* Reads `count` replies of one line or bulk each; how many were answered, -1 when robbed. */
static int naive_read(struct rig *g, int fd, int count)
{
    char data[4096];
    int answered = 0;

    while (answered < count) {
        ssize_t n = recv(fd, data, sizeof(data), 0), i;

        assert_true(n > 0);
        if (wire_random(&g->wire, 1000) < hard.robbed) {
            return -1;
        }
        for (i = 0; i < n; i++) {
            answered += data[i] == '$' || data[i] == '-';
        }
    }
    return answered;
}

/* XADD * of four batches at a time; what was not answered is sent again. Errors count as answers,
 * as naive clients have it that log them and go on. */
static void a_naive_client_loses_or_doubles_under_the_same_faults(void **state)
{
    enum { WINDOW = 80 };
    struct rig g;
    int next = 0, fd;

    (void)state;
    rig_open(&g, false, OXBOW_UPLINK_SCRIPT, wire_seed("naive"));
    fd = naive_connect(&g);
    while (next < ENTRIES) {
        char out[WINDOW * 96];
        size_t len = 0;
        int i, count = ENTRIES - next < WINDOW ? ENTRIES - next : WINDOW;

        for (i = 0; i < count; i++) {
            len += (size_t)snprintf(out + len, sizeof(out) - len, "XADD oxbow:{dev}:q * n %d\r\n",
                                    next + i);
        }
        if (wire_random(&g.wire, 10) == 0) {
            redis_command(g.redis, "CONFIG", "SET", "maxmemory", "1", NULL);
        } else {
            redis_command(g.redis, "CONFIG", "SET", "maxmemory", "0", NULL);
        }
        assert_int_equal(send(fd, out, len, MSG_NOSIGNAL), (ssize_t)len);
        if (naive_read(&g, fd, count) < 0) {
            close(fd);
            fd = naive_connect(&g);
            continue;
        }
        next += count;
    }
    close(fd);
    {
        static int found[2 * ENTRIES];
        static unsigned char times[ENTRIES];
        int count = target_numbers(&g, found, 2 * ENTRIES), i, lost = 0, doubled = 0;

        for (i = 0; i < count; i++) {
            times[found[i]]++;
        }
        for (i = 0; i < ENTRIES; i++) {
            lost += times[i] == 0;
            doubled += times[i] > 1;
        }
        printf("naive: %d lost, %d doubled of %d\n", lost, doubled, ENTRIES);
        assert_true(lost + doubled > 0);
    }
    rig_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_arrives_once_and_in_order_through_the_guard),
        cmocka_unit_test(a_stream_arrives_once_and_in_order_where_scripts_are_forbidden),
        cmocka_unit_test(a_list_arrives_once_and_in_order_through_the_guard),
        cmocka_unit_test(a_list_arrives_once_and_in_order_where_scripts_are_forbidden),
        cmocka_unit_test(a_naive_client_loses_or_doubles_under_the_same_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
