/* SPDX-License-Identifier: Apache-2.0 */
/* Scores as orders, and the two trees of a sorted set when one of them is damaged. */
#include "tests/keyval/zset_fixture.h"

#include "oxbow/list.h"

#include <float.h>
#include <math.h>

static void orders_sort_as_scores_do_and_lead_back_to_them(void **state)
{
    static const double scores[] = {-INFINITY, -DBL_MAX, -1.5, -1, -DBL_MIN, -5e-324, 0,
                                    5e-324,    DBL_MIN,  0.1,  1,  1.5,      DBL_MAX, INFINITY};

    (void)state;
    for (size_t i = 0; i < sizeof scores / sizeof scores[0]; i++) {
        assert_true(score_of_order(score_order(scores[i])) == scores[i]);
        for (size_t k = 0; k < i; k++) {
            assert_true(score_order(scores[k]) < score_order(scores[i]));
        }
    }
    assert_true(score_order(-0.0) == score_order(0.0));
    assert_true(score_order(-INFINITY) > 0 && score_order(INFINITY) < UINT64_MAX);
}

static void a_negative_zero_stays_one_and_ties_with_zero(void **state)
{
    struct streams *f = *state;
    double score;

    zadd(f, "z", 0, -0.0, "b");
    zadd(f, "z", 0, 0.0, "a");
    zadd(f, "z", 0, -0.0, "c");
    assert_string_equal(zall(f, "z"), "a=0 b=-0 c=-0");
    assert_int_equal(zadd(f, "z", 0, 0.0, "b").changed, 0); /* as Redis: equal, so not changed */
    assert_ok(oxbow_zset_score(f->txn, BYTES("z"), BYTES("b"), &score));
    assert_true(signbit(score) != 0);
    zcheck(f, "z");
}

static void long_members_are_shared_by_both_trees_and_leave_nothing(void **state)
{
    static char member[70000];
    static const size_t lens[] = {256, 257, 65536, 65537, 70000};
    struct streams *f = *state;
    struct oxbow_stat stat;
    uint64_t before;

    zadd(f, "warm", 0, 1, "up");
    streams_reopen(f);
    oxbow_stat(f->rig.db, &stat);
    before = stat.keys;
    memset(member, 'm', sizeof member);
    for (size_t i = 0; i < 5; i++) {
        struct oxbow_scored s = {{member, lens[i]}, (double)i};

        assert_ok(oxbow_zset_add(f->txn, BYTES("z"), 0, &s, 1, NULL));
        s.score = 7; /* now they tie: their bytes decide */
        assert_ok(oxbow_zset_add(f->txn, BYTES("z"), 0, &s, 1, NULL));
        streams_reopen(f);
    }
    zcheck(f, "z");
    assert_ok(
        oxbow_zset_range(f->txn, BYTES("z"), &(struct oxbow_zset_range){.stop = -1}, &f->result));
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(f->result.items[i].len, lens[i]);
    }
    assert_ok(oxbow_zset_pop(f->txn, BYTES("z"), OXBOW_ZSET_MAX, 5, &f->result));
    assert_int_equal(f->result.item_count, 5);
    for (unsigned i = 0; i < 50 && stat.keys != before; i++) {
        streams_reopen(f);
        oxbow_stat(f->rig.db, &stat);
    }
    assert_int_equal(stat.keys, before);
}

static void trees_that_disagree_are_corrupt(void **state)
{
    struct streams *f = *state;
    struct zset z;
    uint8_t key[KV_KEY_MAX];
    size_t len;
    uint64_t rank;

    zadd(f, "z", 0, 1, "a");
    zadd(f, "z", 0, 2, "b");
    assert_ok(zset_find(f->txn, BYTES("z"), &z));
    len = object_key(key, z.t.object.id, BTREE_SCORES, NULL, 0);
    assert_ok(
        kv_patch(f->txn, (struct oxbow_bytes){key, len}, 40, (struct oxbow_bytes){"\x40", 1}));
    assert_err(oxbow_zset_rank(f->txn, BYTES("z"), BYTES("a"), OXBOW_ZSET_MIN, &rank, NULL),
               OXBOW_ECORRUPT);
    assert_ok(kv_del(f->txn, (struct oxbow_bytes){key, len}));
    assert_err(
        oxbow_zset_range(f->txn, BYTES("z"), &(struct oxbow_zset_range){.stop = -1}, &f->result),
        OXBOW_ECORRUPT);
    assert_err(oxbow_zset_pop(f->txn, BYTES("z"), OXBOW_ZSET_MIN, 1, &f->result), OXBOW_ECORRUPT);
    assert_ok(oxbow_key_delete(f->txn, BYTES("z"), NULL)); /* it can always be deleted */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_sort_as_scores_do_and_lead_back_to_them),
        TEST(a_negative_zero_stays_one_and_ties_with_zero),
        TEST(long_members_are_shared_by_both_trees_and_leave_nothing),
        TEST(trees_that_disagree_are_corrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
