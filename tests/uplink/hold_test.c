/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store whose device fails forwards on from memory, to a real server: what it goes back with is not
 * sent again, and what it forgets when it ends in memory is neither missed nor taken for something
 * else at the target.
 */
#include "engine/store/kv.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "tests/support/fault.h"
#include "tests/support/redis.h"
#include "tests/uplink/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NUMBERS_MAX 20000
#define TURNS_MAX   3000

enum fate { NOT_MADE, HELD, DURABLE };

struct rig {
    struct redis *redis;
    struct fault fault;
    struct oxbow *db;
    struct oxbow_uplink *u;
    struct wire wire;
    char dir[64];
    char host[256];
    bool list;
    bool open;
    int added;
    uint8_t fate[NUMBERS_MAX];
};

static struct oxbow_bytes bytes(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static void store_open_again(struct rig *g)
{
    struct oxbow_config config = {
        .dir = g->dir, .port = &g->fault.port, .on_failure = OXBOW_FAILURE_MEMORY};
    struct oxbow_uplink_target target = {g->host, 0};
    struct oxbow_uplink_config uplink = {.targets = &target,
                                         .target_count = 1,
                                         .batch_bytes = 1024,
                                         .first_spread_ms = 1,
                                         .backoff_base_ms = 10,
                                         .backoff_cap_ms = 1000};

    assert_int_equal(oxbow_open(&config, &g->db), OXBOW_OK);
    assert_int_equal(oxbow_uplink_open(g->db, &uplink, &g->u), OXBOW_OK);
    g->open = true;
}

static void rig_open(struct rig *g, bool list)
{
    const struct redis_config server = {.aof = true};
    struct oxbow_forward_options forward = {.key = bytes("q"),
                                            .type = list ? OXBOW_TYPE_LIST : OXBOW_TYPE_STREAM,
                                            .batch_count = 10,
                                            .linger_ms = -1};
    struct oxbow_config config = {.dir = g->dir};
    struct oxbow_txn *txn;

    memset(g, 0, sizeof(*g));
    g->list = list;
    g->redis = redis_open(&server);
    snprintf(g->host, sizeof(g->host), "unix:%s", redis_socket(g->redis));
    snprintf(g->dir, sizeof(g->dir), "/tmp/oxbow-hold-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    fault_init(&g->fault, wire_port());
    config.port = &g->fault.port;
    assert_int_equal(oxbow_open(&config, &g->db), OXBOW_OK);
    assert_int_equal(oxbow_txn_begin(g->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_identity_set(txn, "dev", NULL), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "f", &forward), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_close(g->db), OXBOW_OK);
    store_open_again(g);
    wire_init(&g->wire, g->u, wire_seed(list ? "list" : "stream"));
}

static void rig_shut(struct rig *g, enum oxbow_err want)
{
    wire_fini(&g->wire);
    oxbow_uplink_close(g->u);
    assert_int_equal(oxbow_close(g->db), want);
    g->open = false;
}

static void rig_close(struct rig *g)
{
    char command[128];

    fault_disarm(&g->fault);
    if (g->open) {
        rig_shut(g, OXBOW_OK);
    }
    redis_close(g->redis);
    snprintf(command, sizeof(command), "rm -rf '%s'", g->dir);
    assert_int_equal(system(command), 0);
}

static bool in_memory(struct rig *g)
{
    struct oxbow_stat stat;

    oxbow_stat(g->db, &stat);
    return stat.in_memory;
}

static void add(struct rig *g, int count)
{
    const struct oxbow_stream_add_options options = {.id_mode = OXBOW_ID_AUTO};

    for (int i = 0; i < count; i++) {
        char text[16];
        struct oxbow_field field;
        struct oxbow_txn *txn;
        struct oxbow_id id;
        uint64_t len;
        enum oxbow_err err;

        snprintf(text, sizeof(text), "%d", g->added);
        field = (struct oxbow_field){bytes("n"), bytes(text)};
        assert_int_equal(oxbow_txn_begin(g->db, NULL, &txn), OXBOW_OK);
        err = g->list ? oxbow_list_push(txn, bytes("q"), OXBOW_RIGHT, &field.value, 1, &len)
                      : oxbow_stream_add(txn, bytes("q"), &options, &field, 1, &id);
        assert_int_equal(err, OXBOW_OK);
        err = oxbow_txn_commit(txn, NULL);
        assert_true(err == OXBOW_OK || err == OXBOW_EVOLATILE);
        g->fate[g->added++] = err == OXBOW_OK ? DURABLE : HELD;
    }
}

static uint64_t unsent(struct rig *g, uint64_t *backlog)
{
    struct oxbow_txn_options options = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_forward_status status;
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(g->db, &options, &txn), OXBOW_OK);
    assert_int_equal(oxbow_forward_status(txn, "f", &status), OXBOW_OK);
    oxbow_txn_abort(txn);
    *backlog = status.backlog_entries;
    return status.unsent_entries;
}

/* Until everything that can be sent is at the target, and confirmed. */
static void drain(struct rig *g)
{
    struct oxbow_uplink_status status;
    uint64_t backlog;

    for (int turn = 0; turn < TURNS_MAX; turn++) {
        assert_true(wire_turn(&g->wire));
        oxbow_uplink_status(g->u, &status);
        if (unsent(g, &backlog) == 0 && backlog == 0 && status.inflight_bytes == 0) {
            return;
        }
    }
    fail_msg("not drained: trouble %d %s", (int)status.trouble, status.trouble_text);
}

static void turns(struct rig *g, uint32_t count)
{
    while (count-- > 0) {
        assert_true(wire_turn(&g->wire));
    }
}

static void device_fails(struct rig *g)
{
    fault_arm_files(&g->fault, FAULT_WRITING, 1, UINT64_MAX, OXBOW_EIO);
    add(g, 1);
    assert_true(in_memory(g));
}

/* Numbers at the target, in order. */
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

/* What is wrong at the target: each number at most once and in order, every durable one there. NULL:
 * nothing. */
static const char *verdict(struct rig *g)
{
    static int found[NUMBERS_MAX];
    static bool there[NUMBERS_MAX];
    static char text[100];
    int count = target_numbers(g, found, NUMBERS_MAX);

    memset(there, 0, sizeof there);
    for (int i = 0; i < count; i++) {
        if (i > 0 && found[i] <= found[i - 1]) {
            snprintf(text, sizeof text, "%d comes after %d", found[i], found[i - 1]);
            return text;
        }
        there[found[i]] = true;
    }
    for (int i = 0; i < g->added; i++) {
        if (g->fate[i] == DURABLE && !there[i]) {
            snprintf(text, sizeof text, "%d is missing", i);
            return text;
        }
    }
    return NULL;
}

static void assert_right(struct rig *g)
{
    const char *wrong = verdict(g);

    if (wrong != NULL) {
        fail_msg("%s", wrong);
    }
}

/* Whatever is held counts as durable once the store is back. */
static void device_is_back(struct rig *g)
{
    fault_disarm(&g->fault);
    assert_int_equal(oxbow_return(g->db), OXBOW_OK);
    assert_false(in_memory(g));
    for (int i = 0; i < g->added; i++) {
        g->fate[i] = g->fate[i] == HELD ? DURABLE : g->fate[i];
    }
}

/* ---- back and forth ---- */

static void through_failures(bool list)
{
    struct rig g;
    int held = 0;
    int round = 0;

    rig_open(&g, list);
    g.wire.faults = (struct wire_faults){.reset = 20, .robbed = 20, .cut_send = 20};
    for (; round < 8 || (round < 80 && held < 3); round++) { /* chance may give it no time */
        int before;

        add(&g, 20 + (int)wire_random(&g.wire, 30));
        turns(&g, (uint32_t)wire_random(&g.wire, 30));
        device_fails(&g);
        before = g.added;
        add(&g, 20 + (int)wire_random(&g.wire, 30));
        turns(&g, (uint32_t)wire_random(&g.wire, 60));
        if (round % 3 == 0) {
            drain(&g);
        }
        held += redis_integer(g.redis, list ? "LLEN" : "XLEN", "oxbow:{dev}:q", NULL) > before;
        device_is_back(&g);
        turns(&g, (uint32_t)wire_random(&g.wire, 10));
        if (round % 4 == 1) {
            drain(&g);
            rig_shut(&g, OXBOW_OK);
            store_open_again(&g);
            wire_init(&g.wire, g.u, (uint64_t)round);
        }
    }
    drain(&g);
    assert_right(&g);
    assert_int_equal(redis_integer(g.redis, list ? "LLEN" : "XLEN", "oxbow:{dev}:q", NULL),
                     g.added);
    print_message("%d of %d rounds sent from memory\n", held, round);
    assert_true(held >= 3);
    rig_close(&g);
}

static void a_stream_arrives_once_and_in_order_through_a_device_that_comes_and_goes(void **state)
{
    (void)state;
    through_failures(false);
}

static void a_list_arrives_once_and_in_order_through_a_device_that_comes_and_goes(void **state)
{
    (void)state;
    through_failures(true);
}

/* ---- ends in memory ---- */

/* Sends from memory and ends there. */
static void end_in_memory(struct rig *g, int durable, int sent, int unsent_ones)
{
    drain(g);
    add(g, durable);
    turns(g, (uint32_t)wire_random(&g->wire, 5));
    device_fails(g);
    add(g, sent);
    drain(g);
    add(g, unsent_ones);
    rig_shut(g, OXBOW_EIO);
    fault_disarm(&g->fault);
    store_open_again(g);
    wire_init(&g->wire, g->u, wire_seed("after the end"));
}

static void ends_in_memory(bool list)
{
    struct rig g;

    rig_open(&g, list);
    for (int round = 0; round < 4; round++) {
        end_in_memory(&g, (int)wire_random(&g.wire, 20), 1 + (int)wire_random(&g.wire, 20),
                      (int)wire_random(&g.wire, 5));
        add(&g, 30); /* before the target is asked */
        if (round % 2 == 0) {
            rig_shut(&g, OXBOW_OK); /* closed in between, and opened again */
            store_open_again(&g);
            wire_init(&g.wire, g.u, (uint64_t)round);
        }
        drain(&g);
        assert_right(&g);
    }
    rig_close(&g);
}

static void a_stream_whose_store_ended_in_memory_goes_on_after_what_the_target_has(void **state)
{
    (void)state;
    ends_in_memory(false);
}

static void a_list_whose_store_ended_in_memory_goes_on_after_what_the_target_has(void **state)
{
    (void)state;
    ends_in_memory(true);
}

/* The control: without the note of where the store stood, new elements are taken for those that the
 * target has. */
static void without_the_note_elements_would_be_missed(void **state)
{
    const struct oxbow_bytes note = {"\x40"
                                     "d\0\0\0\1",
                                     6};
    struct oxbow_bytes value;
    struct oxbow_txn *txn;
    struct rig g;

    (void)state;
    rig_open(&g, true);
    end_in_memory(&g, 3, 10, 0);
    assert_int_equal(oxbow_txn_begin(g.db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_get(txn, note, &value), OXBOW_OK);
    assert_int_equal(kv_del(txn, note), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    add(&g, 30);
    drain(&g);
    assert_non_null(verdict(&g));
    rig_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_arrives_once_and_in_order_through_a_device_that_comes_and_goes),
        cmocka_unit_test(a_list_arrives_once_and_in_order_through_a_device_that_comes_and_goes),
        cmocka_unit_test(a_stream_whose_store_ended_in_memory_goes_on_after_what_the_target_has),
        cmocka_unit_test(a_list_whose_store_ended_in_memory_goes_on_after_what_the_target_has),
        cmocka_unit_test(without_the_note_elements_would_be_missed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
