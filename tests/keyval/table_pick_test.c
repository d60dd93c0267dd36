/* SPDX-License-Identifier: Apache-2.0 */
/* Members by chance: different ones when that is asked for, and each as likely as any other. */
#include "engine/keyval/table.h"

#include "engine/base/buf.h"
#include "tests/queue/stream_fixture.h"

static void picked_ranks_are_below_n_and_differ(void **state)
{
    static const struct {
        uint64_t n;
        size_t count;
    } asks[] = {{1, 0},  {1, 1},   {2, 1},       {10, 2},      {10, 3},
                {10, 9}, {10, 10}, {5000, 1000}, {5000, 4999}, {1000000, 100}};
    struct streams *f = *state;

    for (size_t a = 0; a < sizeof asks / sizeof asks[0]; a++) {
        static bool seen[1000000];
        uint64_t *ranks = NULL;

        memset(seen, 0, sizeof seen);
        assert_ok(pick_distinct(f->txn, asks[a].n, asks[a].count, &ranks));
        for (size_t i = 0; i < asks[a].count; i++) {
            assert_true(ranks[i] < asks[a].n);
            assert_false(seen[ranks[i]]);
            seen[ranks[i]] = true;
        }
        mem_free(&f->rig.port.alloc, ranks, asks[a].count * sizeof *ranks);
    }
}

/* 8 ranks, 8000 times: each comes 1000 times, give or take what would be 6 standard deviations. */
static void every_rank_is_as_likely_as_any_other(void **state)
{
    struct streams *f = *state;
    unsigned seen[3][8] = {{0}};

    for (unsigned i = 0; i < 8000; i++) {
        uint64_t *ranks;
        uint64_t one;

        assert_ok(pick_one(f->txn, 8, &one));
        seen[0][one]++;
        for (size_t count = 1; count <= 4; count += 3) { /* the two ways of choosing */
            assert_ok(pick_distinct(f->txn, 8, count, &ranks));
            for (size_t k = 0; k < count; k++) {
                seen[count == 1 ? 1 : 2][ranks[k]]++;
            }
            mem_free(&f->rig.port.alloc, ranks, count * sizeof *ranks);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        assert_in_range(seen[0][i], 1000 - 180, 1000 + 180);
        assert_in_range(seen[1][i], 1000 - 180, 1000 + 180);
        assert_in_range(seen[2][i], 4000 - 280, 4000 + 280);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(picked_ranks_are_below_n_and_differ),
        TEST(every_rank_is_as_likely_as_any_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
