/* SPDX-License-Identifier: Apache-2.0 */
/* Read counters and lag: Redis 7.0's rules, one by one. No store: counters in, counters out. */
#include "engine/queue/group.h"
#include "tests/queue/stream_fixture.h"

/* A stream of 10 entries 1-0 to 10-0, all there, and a group at 0-0 that has read none. */
static void fill(struct stream *s, struct group *g)
{
    *s = (struct stream){.length = 10, .entries_added = 10, .first = ID(1, 0), .last = ID(10, 0)};
    *g = (struct group){.stream = s};
}

static int64_t lag_of(const struct group *g)
{
    int64_t lag = -99;

    return group_lag(g, &lag) ? lag : -1;
}

static void an_empty_stream_has_no_lag(void **state)
{
    struct stream s = {.last = ID(0, 0)};
    struct group g = {.stream = &s, .entries_read = GROUP_READ_UNKNOWN};

    (void)state;
    assert_int_equal(lag_of(&g), 0);
    group_read_advance(&g, ID(5, 0));
    assert_id(g.last, "5-0");
    assert_int_equal(g.entries_read, GROUP_READ_UNKNOWN);
}

static void each_entry_read_counts_one(void **state)
{
    struct stream s;
    struct group g;
    uint64_t i;

    (void)state;
    fill(&s, &g);
    for (i = 1; i <= 10; i++) {
        assert_int_equal(lag_of(&g), 10 - (i - 1));
        group_read_advance(&g, ID(i, 0));
        assert_int_equal(g.entries_read, i);
    }
    assert_int_equal(lag_of(&g), 0);
}

static void an_unknown_counter_is_found_again_at_known_points(void **state)
{
    struct stream s;
    struct group g;

    (void)state;
    fill(&s, &g);
    s.length = 6; /* four were trimmed */
    s.first = ID(5, 0);
    g.entries_read = GROUP_READ_UNKNOWN;
    g.last = ID(2, 0); /* before the first: all that is there is ahead */
    assert_int_equal(lag_of(&g), 6);
    g.last = ID(5, 0); /* the first */
    assert_int_equal(lag_of(&g), 5);
    g.last = ID(7, 0); /* somewhere between */
    assert_int_equal(lag_of(&g), -1);
    g.last = ID(10, 0); /* the last */
    assert_int_equal(lag_of(&g), 0);
    g.last = ID(11, 0); /* beyond it */
    assert_int_equal(lag_of(&g), -1);

    group_read_advance(&g, ID(7, 0));
    assert_int_equal(g.entries_read, GROUP_READ_UNKNOWN);
    group_read_advance(&g, ID(10, 0));
    assert_int_equal(g.entries_read, 10);
}

static void a_deletion_ahead_makes_the_lag_unknown_and_one_behind_does_not(void **state)
{
    struct stream s;
    struct group g;

    (void)state;
    fill(&s, &g);
    g.entries_read = 4;
    g.last = ID(4, 0);
    s.length = 9;
    s.max_deleted = ID(3, 0); /* behind the group */
    assert_int_equal(lag_of(&g), 6);
    group_read_advance(&g, ID(5, 0));
    assert_int_equal(g.entries_read, 5);
    s.max_deleted = ID(8, 0); /* ahead of it */
    assert_int_equal(lag_of(&g), -1);
    group_read_advance(&g, ID(6, 0));
    assert_int_equal(g.entries_read, GROUP_READ_UNKNOWN);
    group_read_advance(&g, ID(10, 0));
    assert_int_equal(g.entries_read, 10);
    assert_int_equal(lag_of(&g), 0);
}

static void a_deletion_below_the_first_entry_does_not_count(void **state)
{
    struct stream s;
    struct group g;

    (void)state;
    fill(&s, &g);
    s.max_deleted = ID(2, 0);
    s.first = ID(4, 0); /* what was deleted was trimmed away since */
    s.length = 7;
    g.entries_read = 0;
    g.last = ID(0, 0);
    assert_int_equal(lag_of(&g), 10);
    g.entries_read = GROUP_READ_UNKNOWN;
    assert_int_equal(lag_of(&g), 7);
}

static void a_stream_that_was_emptied_has_all_behind_it(void **state)
{
    struct stream s;
    struct group g;

    (void)state;
    fill(&s, &g);
    s.length = 0;
    s.first = ID(0, 0);
    s.max_deleted = ID(10, 0);
    g.entries_read = GROUP_READ_UNKNOWN;
    g.last = ID(3, 0);
    assert_int_equal(lag_of(&g), 0);
    g.entries_read = 3;
    assert_int_equal(lag_of(&g), 7); /* a known counter is believed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_stream_has_no_lag),
        cmocka_unit_test(each_entry_read_counts_one),
        cmocka_unit_test(an_unknown_counter_is_found_again_at_known_points),
        cmocka_unit_test(a_deletion_ahead_makes_the_lag_unknown_and_one_behind_does_not),
        cmocka_unit_test(a_deletion_below_the_first_entry_does_not_count),
        cmocka_unit_test(a_stream_that_was_emptied_has_all_behind_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
