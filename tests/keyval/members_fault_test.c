/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes, sets and sorted sets with the n-th allocation failing, for n = 1, 2, 3 ... until none fails,
 * and with every fifth file call, from a random one of the first five on: each run works or reports,
 * and afterwards the store holds what some prefix of its transactions left, with everything
 * acknowledged in it.
 */
#include "oxbow/hash_expire.h"
#include "oxbow/set.h"
#include "oxbow/zset.h"
#include "tests/queue/stream_fixture.h"
#include "tests/support/fault.h"

#include <stdlib.h>

enum { STEPS = 8 };

static char bulk[100000];

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

/* So many members each, some of them long. */
static enum oxbow_err fill(struct oxbow_txn *txn, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char text[400];
        size_t len = (size_t)snprintf(text, sizeof text, "member %u", i);
        struct oxbow_bytes member = {text, len};
        struct oxbow_field f = {member, {bulk, i % 10 == 3 ? 500 : i % 40}};
        struct oxbow_scored s = {member, i % 7};

        if (i % 20 == 5) {
            memset(text + len, 'l', 300);
            f.name.len = s.member.len = member.len = len + 300;
        }
        TRY(oxbow_hash_set(txn, BYTES("h"), &f, 1, NULL));
        TRY(oxbow_set_add(txn, i % 3 == 0 ? BYTES("s") : BYTES("t"), &member, 1, NULL));
        TRY(oxbow_zset_add(txn, BYTES("z"), 0, &s, 1, NULL));
    }
    return OXBOW_OK;
}

/* Gives every other field that fill made a time to live, or takes it away again. */
static enum oxbow_err expire(struct oxbow_txn *txn, unsigned from, unsigned to, int64_t ttl_ms)
{
    for (unsigned i = from; i < to; i += 2) {
        enum oxbow_field_done done;
        char text[400];
        size_t len = (size_t)snprintf(text, sizeof text, "member %u", i);
        const struct oxbow_bytes name = {text, i % 20 == 5 ? len + 300 : len};
        const struct oxbow_fields one = {&name, 1};

        memset(text + len, 'l', sizeof text - len);
        TRY(ttl_ms > 0 ? oxbow_hash_expire(txn, BYTES("h"), &one, ttl_ms + i, 0, &done)
                       : oxbow_hash_persist(txn, BYTES("h"), &one, &done));
    }
    return OXBOW_OK;
}

/* What transaction `step` does. */
static enum oxbow_err act(struct scene *s, struct oxbow_txn *txn, unsigned step)
{
    const struct oxbow_bytes keys[] = {BYTES("s"), BYTES("t"), BYTES("z")};
    const struct oxbow_field big = {BYTES("big"), {bulk, sizeof bulk}};
    const struct oxbow_zset_range some = {.by = OXBOW_ZSET_BY_SCORE, .min = 2, .max = 3};
    const struct oxbow_zset_combination c = {.op = OXBOW_ZSET_UNION, .keys = keys, .count = 3};
    const struct oxbow_bytes big_name = BYTES("big");
    const struct oxbow_bytes few[] = {BYTES("member 70"), BYTES("member 3"), BYTES("none such"),
                                      BYTES("member 71"), BYTES("member 73")};

    switch (step) {
    case 0:
        return fill(txn, 0, 90);
    case 1:
        TRY(oxbow_hash_set(txn, BYTES("h"), &big, 1, NULL));
        return oxbow_zset_range_remove(txn, BYTES("z"), &some, NULL);
    case 2:
        TRY(oxbow_zset_pop(txn, BYTES("z"), OXBOW_ZSET_MIN, 10, &s->result));
        return oxbow_set_combine_store(txn, BYTES("u"), OXBOW_SET_UNION, keys, 2, NULL);
    case 3:
        TRY(oxbow_zset_combine_store(txn, BYTES("z"), &c, NULL));
        return oxbow_hash_delete(txn, BYTES("h"), &big_name, 1, NULL);
    case 4:
        TRY(oxbow_zset_range_store(txn, BYTES("y"), BYTES("z"), &some, NULL));
        TRY(oxbow_zset_remove(txn, BYTES("z"), few, 5, NULL));
        TRY(oxbow_hash_delete(txn, BYTES("h"), few, 5, NULL));
        return fill(txn, 75, 120);
    case 5:
        TRY(oxbow_key_copy(txn, BYTES("y"), 0, BYTES("k"), true, &(bool){false}));
        return expire(txn, 1, 90, 1000000000);
    case 6:
        TRY(expire(txn, 41, 70, 0));
        return oxbow_key_rename(txn, BYTES("h"), BYTES("h"), false);
    default:
        TRY(oxbow_hash_add(txn, BYTES("h"), BYTES("n"), 5, NULL));
        TRY(oxbow_set_combine_store(txn, BYTES("u"), OXBOW_SET_DIFF, keys, 2, NULL));
        return oxbow_key_delete(txn, BYTES("t"), NULL);
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

static uint64_t sum_of(struct oxbow_bytes b, uint64_t sum)
{
    for (size_t i = 0; i < b.len; i++) {
        sum = (sum ^ ((const uint8_t *)b.data)[i]) * 1099511628211u;
    }
    return sum;
}

/* A number that stands for everything in the store; the order of hashes differs from store to store. */
static uint64_t state_of(const struct oxbow_config *config)
{
    static const struct oxbow_bytes sets[] = {{"s", 1}, {"t", 1}, {"u", 1}};
    static const struct oxbow_bytes zsets[] = {{"z", 1}, {"y", 1}};
    const struct oxbow_zset_range all = {.stop = -1};
    struct oxbow_result r = {0};
    struct oxbow_txn *txn;
    struct oxbow *db;
    uint64_t sum = 0;
    uint64_t timed;

    assert_ok(oxbow_open(config, &db));
    assert_ok(oxbow_txn_begin(db, NULL, &txn));
    assert_ok(oxbow_hash_get_all(txn, BYTES("h"), OXBOW_HASH_BOTH, &r));
    for (size_t i = 0; i < r.item_count; i += 2) {
        sum += sum_of(r.items[i + 1], sum_of(r.items[i], 7));
    }
    assert_ok(oxbow_hash_timed(txn, BYTES("h"), &timed));
    sum += timed << 32;
    for (size_t k = 0; k < 3; k++) {
        assert_ok(oxbow_set_all(txn, sets[k], &r));
        for (size_t i = 0; i < r.item_count; i++) {
            sum += sum_of(r.items[i], 11 + k);
        }
    }
    for (size_t k = 0; k < 2; k++) {
        assert_ok(oxbow_zset_range(txn, zsets[k], &all, &r));
        for (size_t i = 0; i < r.item_count; i++) {
            sum += sum_of(r.items[i], 17 + k + (uint64_t)(r.scores[i] * 1000) + i * 31);
        }
    }
    oxbow_txn_abort(txn);
    oxbow_result_fini(&r);
    assert_ok(oxbow_close(db));
    return sum;
}

/* The states after 0 .. STEPS transactions, from runs that stop there. */
static void states_learn(uint64_t states[STEPS + 1])
{
    for (unsigned stop = 0; stop <= STEPS; stop++) {
        struct rig rig;
        struct scene s = {0};

        rig_init(&rig, OXBOW_SYNC_INTERVAL);
        assert_ok(oxbow_open(&rig.config, &s.db));
        for (unsigned step = 0; step < stop; step++) {
            struct oxbow_txn *txn;

            assert_ok(oxbow_txn_begin(s.db, NULL, &txn));
            assert_ok(act(&s, txn, step));
            assert_ok(oxbow_txn_commit(txn, NULL));
        }
        assert_ok(oxbow_close(s.db));
        oxbow_result_fini(&s.result);
        states[stop] = state_of(&rig.config);
        for (unsigned i = 0; i < stop; i++) {
            assert_true(states[i] != states[stop]);
        }
        rig_fini(&rig);
    }
}

/* One run with the n-th call failing; false when no call failed any more. */
static bool run_once(const uint64_t states[STEPS + 1], uint64_t n, bool memory)
{
    struct oxbow_config config;
    struct scene s = {0};
    struct fault f;
    struct rig rig;
    uint64_t state;
    bool failed;
    bool found = false;

    rig_init(&rig, OXBOW_SYNC_ALWAYS);
    config = rig.config;
    fault_init(&f, &rig.port);
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
    state = state_of(&rig.config);
    for (unsigned i = s.stored; i <= s.tried; i++) {
        found = found || state == states[i];
    }
    if (!found) {
        print_message("n %llu, tried %u, stored %u\n", (unsigned long long)n, s.tried, s.stored);
    }
    assert_true(found);
    rig_fini(&rig);
    return failed;
}

static void run_all(bool memory, unsigned points_min)
{
    uint64_t states[STEPS + 1];
    uint64_t step = memory ? 1 : 5;
    uint64_t first = memory ? 1 : 1 + rig_seed("members_fault") % step;
    unsigned points = 0;

    states_learn(states);
    for (uint64_t n = first; run_once(states, n, memory); n += step) {
        points++;
    }
    print_message("%u points\n", points);
    assert_true(points >= points_min);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    run_all(true, 50);
}

static void every_file_call_may_fail(void **state)
{
    (void)state;
    run_all(false, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_file_call_may_fail),
    };

    for (size_t i = 0; i < sizeof bulk; i++) {
        bulk[i] = (char)(i * 7);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
