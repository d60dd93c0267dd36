/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List operations with the n-th allocation or file call failing, for n = 1, 2, 3 ... until none
 * fails: each run works or reports, and afterwards the store holds what some prefix of its
 * transactions left, with everything acknowledged in it.
 */
#include "tests/queue/fixture.h"

#include "oxbow/wait.h"
#include "tests/support/fault.h"

#include <stdlib.h>

enum { STEPS = 6 };

static char bulk[150000];

struct scene {
    struct oxbow *db;
    struct oxbow_result result;
    unsigned tried;  /* transactions whose commit was called */
    unsigned stored; /* of them, acknowledged */
};

#define TRY(expr)                                                                                  \
    do {                                                                                           \
        enum oxbow_err try_err = (expr);                                                           \
        if (try_err != OXBOW_OK) {                                                                 \
            return try_err;                                                                        \
        }                                                                                          \
    } while (0)

static enum oxbow_err push(struct oxbow_txn *txn, const char *key, size_t len, unsigned count)
{
    struct oxbow_bytes v[40];

    for (unsigned i = 0; i < count; i++) {
        v[i] = (struct oxbow_bytes){bulk + i, len};
    }
    return oxbow_list_push(txn, bytes_of(key), count % 2 == 0 ? OXBOW_LEFT : OXBOW_RIGHT, v, count,
                           NULL);
}

/* What transaction `step` does. */
static enum oxbow_err act(struct scene *s, struct oxbow_txn *txn, unsigned step)
{
    struct oxbow_bytes a = {bulk, 300};
    struct oxbow_bytes x = {"x", 1};

    switch (step) {
    case 0:
        TRY(push(txn, "q", 300, 40));
        return push(txn, "q", 300, 25);
    case 1:
        TRY(oxbow_list_insert(txn, bytes_of("q"), true, a, x, NULL));
        TRY(push(txn, "far", 3000, 3));
        return oxbow_list_remove(txn, bytes_of("q"), -2, a, NULL);
    case 2:
        TRY(push(txn, "far", 100000, 2));
        TRY(oxbow_list_set(txn, bytes_of("far"), 1, x));
        return oxbow_list_pop(txn, bytes_of("q"), OXBOW_RIGHT, 20, &s->result);
    case 3:
        TRY(oxbow_list_move(txn, bytes_of("far"), bytes_of("to"), OXBOW_LEFT, OXBOW_RIGHT,
                            &s->result));
        return oxbow_list_trim(txn, bytes_of("q"), 2, -2);
    case 4:
        TRY(oxbow_key_rename(txn, bytes_of("to"), bytes_of("elsewhere"), false));
        TRY(push(txn, "q", 10, 31));
        return oxbow_key_delete(txn, bytes_of("far"), NULL);
    default:
        TRY(oxbow_list_range(txn, bytes_of("elsewhere"), 0, -1, &s->result));
        return oxbow_list_pop(txn, bytes_of("q"), OXBOW_LEFT, 5, &s->result);
    }
}

static void scene_run(struct scene *s, const struct oxbow_config *config)
{
    if (oxbow_open(config, &s->db) != OXBOW_OK) {
        s->db = NULL;
        return;
    }
    for (unsigned step = 0; step < STEPS; step++) {
        struct oxbow_txn *txn;

        if (oxbow_txn_begin(s->db, NULL, &txn) != OXBOW_OK) {
            break;
        }
        if (act(s, txn, step) != OXBOW_OK) {
            oxbow_txn_abort(txn);
            break;
        }
        s->tried++;
        if (oxbow_txn_commit(txn, NULL) != OXBOW_OK) {
            break;
        }
        s->stored++;
    }
    if (s->db != NULL) {
        enum oxbow_err err = oxbow_close(s->db);

        (void)err; /* what it reports is what the fault did; the store is gone either way */
    }
}

/* A number that stands for everything in the store. */
static uint64_t state_of(const struct oxbow_config *config)
{
    static const char *const keys[] = {"q", "far", "to", "elsewhere"};
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;
    struct oxbow *db;
    uint64_t sum = 14695981039346656037u;

    assert_ok(oxbow_open(config, &db));
    assert_ok(oxbow_txn_begin(db, NULL, &txn));
    for (size_t k = 0; k < 4; k++) {
        assert_ok(oxbow_list_range(txn, bytes_of(keys[k]), 0, -1, &result));
        sum = (sum ^ (result.item_count + 77)) * 1099511628211u;
        for (size_t i = 0; i < result.item_count; i++) {
            const uint8_t *p = result.items[i].data;

            sum = (sum ^ result.items[i].len) * 1099511628211u;
            for (size_t n = 0; n < result.items[i].len; n += 13) {
                sum = (sum ^ p[n]) * 1099511628211u;
            }
        }
    }
    oxbow_txn_abort(txn);
    oxbow_result_fini(&result);
    assert_ok(oxbow_close(db));
    return sum;
}

/* The states after 0 .. STEPS transactions, from runs that stop there. */
static void states_learn(uint64_t states[STEPS + 1])
{
    for (unsigned stop = 0; stop <= STEPS; stop++) {
        char dir[] = "/tmp/oxbow-fault-XXXXXX";
        struct oxbow_config config = {.dir = mkdtemp(dir), .sync = OXBOW_SYNC_INTERVAL};
        struct scene s = {0};

        assert_ok(oxbow_open(&config, &s.db));
        for (unsigned step = 0; step < stop; step++) {
            struct oxbow_txn *txn;

            assert_ok(oxbow_txn_begin(s.db, NULL, &txn));
            assert_ok(act(&s, txn, step));
            assert_ok(oxbow_txn_commit(txn, NULL));
        }
        assert_ok(oxbow_close(s.db));
        oxbow_result_fini(&s.result);
        states[stop] = state_of(&config);
        for (unsigned i = 0; i < stop; i++) {
            assert_true(stop == STEPS || states[i] != states[stop]);
        }
        fixture_remove(dir);
    }
}

/* One run with the n-th call failing; false when no call failed any more. */
static bool run_once(const uint64_t states[STEPS + 1], uint64_t n, bool memory)
{
    char dir[] = "/tmp/oxbow-fault-XXXXXX";
    struct oxbow_config config = {.dir = mkdtemp(dir), .sync = OXBOW_SYNC_ALWAYS};
    struct oxbow_config plain = config;
    struct scene s = {0};
    struct fault f;
    uint64_t state;
    bool failed;
    bool found = false;

    fault_init(&f, oxbow_port_default());
    config.port = &f.port;
    if (memory) {
        fault_arm_alloc(&f, n, 1);
    } else {
        fault_arm_files(&f, FAULT_ALL, n, 1, n % 2 == 0 ? OXBOW_EIO : OXBOW_ENOSPC);
    }
    scene_run(&s, &config);
    failed = memory ? f.alloc_failed > 0 : f.file_failed > 0;
    fault_disarm(&f);
    oxbow_result_fini(&s.result);
    assert_int_equal(f.live_bytes, 0);
    if (!failed) {
        assert_int_equal(s.stored, STEPS);
    }
    state = state_of(&plain);
    for (unsigned i = s.stored; i <= s.tried; i++) {
        found = found || state == states[i];
    }
    if (!found) {
        print_message("n %llu, tried %u, stored %u\n", (unsigned long long)n, s.tried, s.stored);
    }
    assert_true(found);
    fixture_remove(dir);
    return failed;
}

static void run_all(bool memory, unsigned points_min)
{
    uint64_t states[STEPS + 1];
    uint64_t n = 1;

    for (size_t i = 0; i < sizeof(bulk); i++) {
        bulk[i] = (char)('a' + i % 17);
    }
    states_learn(states);
    while (run_once(states, n, memory)) {
        n++;
    }
    print_message("%llu fault points\n", (unsigned long long)n - 1);
    assert_true(n - 1 >= points_min);
}

static void lists_survive_every_failing_allocation(void **state)
{
    (void)state;
    run_all(true, 15);
}

static void lists_survive_every_failing_file_call(void **state)
{
    (void)state;
    run_all(false, 30);
}

/* Waiters allocate when they get in line: each failure is reported and leaves nobody in line. */
static void waiting_survives_every_failing_allocation(void **state)
{
    struct fault f;
    struct fixture x;
    struct oxbow_config config = {.sync = OXBOW_SYNC_INTERVAL};
    struct oxbow_bytes keys[3] = {bytes_of("a"), bytes_of("b"), bytes_of("c")};
    struct oxbow_list_pop_options pop = {.keys = keys, .key_count = 3};
    struct oxbow_wait_options opt = {.timeout_ms = 1};
    unsigned reported = 0;
    uint64_t n;

    (void)state;
    for (n = 1;; n++) {
        enum oxbow_err err;

        fault_init(&f, oxbow_port_default());
        config.port = &f.port;
        fixture_init(&x, &config);
        fault_arm_alloc(&f, n, 1);
        err = oxbow_list_pop_wait(x.db, &opt, &pop, NULL, &x.result);
        fault_disarm(&f);
        assert_true(err == OXBOW_ETIMEDOUT || err == OXBOW_ENOMEM);
        assert_err(oxbow_list_pop_wait(x.db, &opt, &pop, NULL, &x.result), OXBOW_ETIMEDOUT);
        fixture_fini(&x);
        assert_int_equal(f.live_bytes, 0);
        if (f.alloc_failed == 0) {
            assert_err(err, OXBOW_ETIMEDOUT);
            break;
        }
        reported += err == OXBOW_ENOMEM; /* memory asked for as a favour may fail unnoticed */
    }
    print_message("%llu fault points, %u reported\n", (unsigned long long)n - 1, reported);
    assert_true(reported >= 5); /* the table, the waiter, three lines */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_survive_every_failing_allocation),
        cmocka_unit_test(lists_survive_every_failing_file_call),
        cmocka_unit_test(waiting_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
