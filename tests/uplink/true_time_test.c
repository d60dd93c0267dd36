/* SPDX-License-Identifier: Apache-2.0 */
/* What a board writes before it knows the time reaches a real server with its true time beside it, once,
 * also when batches are sent again. */
#include "oxbow/stream.h"
#include "oxbow/time.h"
#include "tests/support/redis.h"
#include "tests/uplink/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TURNS    20000
#define WALL_MS  1767225600000u /* 2026-01-01 */
#define NAME_CAP 256

/* Milliseconds by which the wall clock is ahead of the monotonic one, and whether it was set. */
static uint64_t wall_ahead_ms = 1000;
static bool wall_set;

static uint64_t wall_ms(void *ctx)
{
    (void)ctx;
    return wall_ahead_ms + wire_port()->clock.mono_us(wire_port()->clock.ctx) / 1000;
}

static uint64_t mono_us(void *ctx)
{
    (void)ctx;
    return wire_port()->clock.mono_us(wire_port()->clock.ctx);
}

static bool wall_is_set(void *ctx)
{
    (void)ctx;
    return wall_set;
}

struct rig {
    struct oxbow_port port;
    struct redis *redis;
    struct oxbow *db;
    struct oxbow_uplink *u;
    struct wire wire;
    char dir[64];
    char host[NAME_CAP];
};

static struct oxbow_bytes bytes(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static void rig_open(struct rig *g, enum oxbow_uplink_mode mode)
{
    const struct redis_config server = {.aof = false};
    struct oxbow_config config = {.port = &g->port};
    struct oxbow_forward_options forward = {.key = bytes("q"),
                                            .type = OXBOW_TYPE_STREAM,
                                            .batch_count = 7,
                                            .linger_ms = -1,
                                            .true_time = true};
    struct oxbow_uplink_target target = {g->host, 0};
    struct oxbow_uplink_config uplink = {.targets = &target,
                                         .target_count = 1,
                                         .mode = mode,
                                         .first_spread_ms = 1,
                                         .backoff_base_ms = 10,
                                         .backoff_cap_ms = 1000};
    struct oxbow_txn *txn;

    memset(g, 0, sizeof *g);
    wall_set = false;
    wall_ahead_ms = 1000;
    g->port = *wire_port();
    g->port.clock = (struct oxbow_clock){NULL, wall_ms, mono_us, wall_is_set};
    g->redis = redis_open(&server);
    snprintf(g->host, sizeof g->host, "unix:%s", redis_socket(g->redis));
    snprintf(g->dir, sizeof g->dir, "/tmp/oxbow-time-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    config.dir = g->dir;
    assert_int_equal(oxbow_open(&config, &g->db), OXBOW_OK);
    assert_int_equal(oxbow_txn_begin(g->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_identity_set(txn, "dev", NULL), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "f", &forward), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_uplink_open(g->db, &uplink, &g->u), OXBOW_OK);
    wire_init(&g->wire, g->u, wire_seed("true time"));
}

static void rig_close(struct rig *g)
{
    char command[96];

    wire_fini(&g->wire);
    oxbow_uplink_close(g->u);
    assert_int_equal(oxbow_close(g->db), OXBOW_OK);
    redis_close(g->redis);
    snprintf(command, sizeof command, "rm -rf '%s'", g->dir);
    assert_int_equal(system(command), 0);
}

static struct oxbow_id add(struct rig *g)
{
    const struct oxbow_field field = {bytes("n"), bytes("v")};
    struct oxbow_txn *txn;
    struct oxbow_id id;

    assert_int_equal(oxbow_txn_begin(g->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_stream_add(txn, bytes("q"), NULL, &field, 1, &id), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    return id;
}

static void deliver(struct rig *g)
{
    for (int turn = 0; turn < TURNS; turn++) {
        struct oxbow_txn_options options = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
        struct oxbow_forward_status status;
        struct oxbow_txn *txn;

        assert_true(wire_turn(&g->wire));
        assert_int_equal(oxbow_txn_begin(g->db, &options, &txn), OXBOW_OK);
        assert_int_equal(oxbow_forward_status(txn, "f", &status), OXBOW_OK);
        oxbow_txn_abort(txn);
        if (status.backlog_entries == 0) {
            return;
        }
    }
    fail_msg("not delivered after %d turns", TURNS);
}

/* The field at the target; "": the entry has none. It is there once. */
static const char *time_of(struct rig *g, struct oxbow_id id)
{
    static char text[128];
    char name[48];
    const char *got;
    char *at;

    snprintf(name, sizeof name, "%llu-%llu", (unsigned long long)id.ms, (unsigned long long)id.seq);
    got = redis_command(g->redis, "XRANGE", "oxbow:{dev}:q", name, name, NULL);
    assert_memory_equal(got, name, strlen(name));
    snprintf(text, sizeof text, "%s", strstr(got, "n\nv") != NULL ? strstr(got, "n\nv") : "?");
    assert_memory_equal(text, "n\nv", 3);
    at = strstr(text, "\noxbow:time\n");
    if (at == NULL) {
        return "";
    }
    at += strlen("\noxbow:time\n");
    assert_null(strstr(at, "oxbow:time"));
    at[strcspn(at, "\n")] = '\0';
    return at;
}

static void set_clock(void)
{
    wall_ahead_ms = WALL_MS - wire_port()->clock.mono_us(wire_port()->clock.ctx) / 1000;
    wall_set = true;
}

static void carried(enum oxbow_uplink_mode mode)
{
    struct oxbow_id before;
    struct oxbow_id sent;
    struct oxbow_id after;
    uint64_t clock_ms;
    uint64_t ms;
    struct rig g;

    rig_open(&g, mode);
    sent = add(&g);
    deliver(&g);
    assert_string_equal(time_of(&g, sent), ".."); /* nobody knows */
    before = add(&g);
    ms = mono_us(NULL) / 1000;
    wire_clock_jump(90000000); /* ninety seconds later the time comes, and then the link */
    set_clock();
    clock_ms = wall_ahead_ms;
    after = add(&g);
    deliver(&g);
    assert_string_equal(time_of(&g, sent), "..");
    assert_in_range(strtoull(time_of(&g, before), NULL, 10), clock_ms + ms - 2000,
                    clock_ms + ms + 2000);
    assert_null(strchr(time_of(&g, before), '.'));
    assert_true(before.ms < 1000000000u);
    assert_string_equal(time_of(&g, after), "");
    assert_int_equal(redis_integer(g.redis, "XLEN", "oxbow:{dev}:q", NULL), 3);
    rig_close(&g);
}

static void it_is_carried_through_the_guard(void **state)
{
    (void)state;
    carried(OXBOW_UPLINK_SCRIPT);
}

static void it_is_carried_where_scripts_are_forbidden(void **state)
{
    (void)state;
    carried(OXBOW_UPLINK_MULTI);
}

/* Replies are lost and connections cut while the time comes: what is sent again says more, and is applied
 * once. */
static void batches_that_are_sent_again_double_nothing(void **state)
{
    static const struct wire_faults hard = {
        .reset = 50, .robbed = 100, .cut_send = 50, .bytewise = 100};
    enum { ENTRIES = 600 };
    static struct oxbow_id ids[ENTRIES];
    unsigned known = 0;
    struct rig g;

    (void)state;
    rig_open(&g, OXBOW_UPLINK_SCRIPT);
    g.wire.faults = hard;
    for (unsigned i = 0; i < ENTRIES; i++) {
        ids[i] = add(&g);
        assert_true(wire_turn(&g.wire));
        if (i == ENTRIES / 2) {
            set_clock();
        }
    }
    g.wire.faults = (struct wire_faults){0};
    deliver(&g);
    assert_true(g.wire.robbed > 0);
    assert_int_equal(redis_integer(g.redis, "XLEN", "oxbow:{dev}:q", NULL), ENTRIES);
    for (unsigned i = 0; i < ENTRIES; i++) {
        const char *text = time_of(&g, ids[i]);

        assert_true(i <= ENTRIES / 2 ? strcmp(text, "..") == 0 || atoll(text) > 0
                                     : text[0] == '\0');
        known += text[0] != '.' && text[0] != '\0';
    }
    printf("%u of %u had their time with them\n", known, ENTRIES / 2 + 1);
    rig_close(&g);
}

static void an_entry_that_has_no_room_for_it_goes_without(void **state)
{
    enum { FIELDS = 3500 };
    static struct oxbow_field fields[FIELDS];
    struct oxbow_txn *txn;
    struct oxbow_id id;
    struct rig g;

    (void)state;
    rig_open(&g, OXBOW_UPLINK_SCRIPT);
    for (unsigned i = 0; i < FIELDS; i++) {
        fields[i] = (struct oxbow_field){bytes("n"), bytes("v")};
    }
    assert_int_equal(oxbow_txn_begin(g.db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_stream_add(txn, bytes("q"), NULL, fields, FIELDS, &id), OXBOW_OK);
    assert_int_equal(oxbow_stream_add(txn, bytes("q"), NULL, fields, FIELDS - 1, &id), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    deliver(&g);
    assert_int_equal(redis_integer(g.redis, "XLEN", "oxbow:{dev}:q", NULL), 2);
    assert_null(
        strstr(redis_command(g.redis, "XRANGE", "oxbow:{dev}:q", "-", "+", "COUNT", "1", NULL),
               "oxbow:time"));
    assert_non_null(
        strstr(redis_command(g.redis, "XREVRANGE", "oxbow:{dev}:q", "+", "-", "COUNT", "1", NULL),
               "oxbow:time"));
    rig_close(&g);
}

static void a_list_has_no_times(void **state)
{
    struct oxbow_forward_options opt = {
        .key = bytes("l"), .type = OXBOW_TYPE_LIST, .true_time = true};
    struct oxbow_txn *txn;
    struct rig g;

    (void)state;
    rig_open(&g, OXBOW_UPLINK_SCRIPT);
    assert_int_equal(oxbow_txn_begin(g.db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "l", &opt), OXBOW_EINVAL);
    oxbow_txn_abort(txn);
    rig_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_carried_through_the_guard),
        cmocka_unit_test(it_is_carried_where_scripts_are_forbidden),
        cmocka_unit_test(batches_that_are_sent_again_double_nothing),
        cmocka_unit_test(an_entry_that_has_no_room_for_it_goes_without),
        cmocka_unit_test(a_list_has_no_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
