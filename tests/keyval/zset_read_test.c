/* SPDX-License-Identifier: Apache-2.0 */
/* Scores, ranks, scans and chance, in sorted sets of a few members and of very many. */
#include "tests/keyval/zset_fixture.h"

static void scores_and_ranks_are_found_by_member(void **state)
{
    const struct oxbow_bytes members[] = {BYTES("b"), BYTES("x"), BYTES("a")};
    struct streams *f = *state;
    bool present[3];
    double scores[3];
    uint64_t rank;

    assert_err(oxbow_zset_score(f->txn, BYTES("z"), BYTES("a"), &scores[0]), OXBOW_ENOENT);
    assert_err(oxbow_zset_rank(f->txn, BYTES("z"), BYTES("a"), OXBOW_ZSET_MIN, &rank, NULL),
               OXBOW_ENOENT);
    assert_ok(oxbow_zset_scores(f->txn, BYTES("z"), members, 3, present, scores));
    assert_false(present[0] || present[1] || present[2]);
    zadd(f, "z", 0, 1, "a");
    zadd(f, "z", 0, 2.5, "b");
    zadd(f, "z", 0, 2.5, "c");
    assert_ok(oxbow_zset_scores(f->txn, BYTES("z"), members, 3, present, scores));
    assert_true(present[0] && !present[1] && present[2]);
    assert_true(scores[0] == 2.5 && scores[2] == 1);
    assert_ok(oxbow_zset_rank(f->txn, BYTES("z"), BYTES("c"), OXBOW_ZSET_MIN, &rank, &scores[1]));
    assert_int_equal(rank, 2);
    assert_true(scores[1] == 2.5);
    assert_ok(oxbow_zset_rank(f->txn, BYTES("z"), BYTES("c"), OXBOW_ZSET_MAX, &rank, NULL));
    assert_int_equal(rank, 0);
    assert_err(oxbow_zset_rank(f->txn, BYTES("z"), BYTES("x"), OXBOW_ZSET_MIN, &rank, NULL),
               OXBOW_ENOENT);
    assert_err(oxbow_zset_rank(f->txn, BYTES("z"), BYTES("a"), OXBOW_ZSET_MIN, NULL, NULL),
               OXBOW_EINVAL);
    assert_err(oxbow_zset_score(f->txn, BYTES("z"), BYTES("a"), NULL), OXBOW_EINVAL);
    assert_err(oxbow_zset_scores(f->txn, BYTES("z"), members, 3, NULL, scores), OXBOW_EINVAL);
}

static void a_scan_gives_members_with_their_scores(void **state)
{
    struct streams *f = *state;
    bool seen[500] = {false};
    uint64_t cursor = 0;
    size_t n = 0;

    for (unsigned i = 0; i < 500; i++) {
        char text[8];

        snprintf(text, sizeof text, "%u", i);
        zadd(f, "z", 0, i, text);
    }
    do {
        assert_ok(oxbow_zset_scan(f->txn, BYTES("z"), &cursor, 50, &f->result));
        for (size_t i = 0; i < f->result.item_count; i++) {
            unsigned at = (unsigned)f->result.scores[i];
            char text[8];

            assert_false(seen[at]);
            seen[at] = true;
            n++;
            snprintf(text, sizeof text, "%u", at);
            assert_memory_equal(f->result.items[i].data, text, f->result.items[i].len);
        }
        streams_reopen(f);
    } while (cursor != 0);
    assert_int_equal(n, 500);
    assert_err(oxbow_zset_scan(f->txn, BYTES("z"), &cursor, OXBOW_ZSET_SCAN_MAX + 1, &f->result),
               OXBOW_EINVAL);
}

static void members_are_picked_by_chance_with_their_scores(void **state)
{
    struct streams *f = *state;

    zadd(f, "z", 0, 1, "a");
    zadd(f, "z", 0, 2, "b");
    assert_ok(oxbow_zset_random(f->txn, BYTES("z"), 1, &f->result));
    assert_int_equal(f->result.item_count, 1);
    assert_true(f->result.scores[0] == (*(const char *)f->result.items[0].data == 'a' ? 1 : 2));
    assert_ok(oxbow_zset_random(f->txn, BYTES("z"), -5, &f->result));
    assert_int_equal(f->result.item_count, 5);
    assert_ok(oxbow_zset_random(f->txn, BYTES("none"), -5, &f->result));
    assert_int_equal(f->result.item_count, 0);
    assert_err(oxbow_zset_random(f->txn, BYTES("z"), INT64_MIN, &f->result), OXBOW_ERANGE);
}

/* What a rank costs: nodes on the way, not members. */
static void a_rank_among_very_many_is_a_short_walk(void **state)
{
    struct streams *f = *state;
    struct zset z;

    for (unsigned i = 0; i < 100000; i++) {
        char text[24];
        struct oxbow_scored s = {{text, (size_t)snprintf(text, sizeof text, "member-%u", i)},
                                 (i * 7919u) % 100000u};

        assert_ok(oxbow_zset_add(f->txn, BYTES("z"), 0, &s, 1, NULL));
        if (i % 2000 == 1999) {
            streams_commit(f);
            streams_begin(f);
        }
    }
    streams_reopen(f);
    zcheck(f, "z");
    assert_ok(zset_find(f->txn, BYTES("z"), &z));
    assert_in_range(z.scores.level, 2, 3);
    for (unsigned i = 0; i < 100000; i += 997) {
        char text[24];
        uint64_t rank;
        uint64_t want = (i * 7919u) % 100000u;
        const struct oxbow_zset_range one = {.start = (int64_t)want, .stop = (int64_t)want};

        snprintf(text, sizeof text, "member-%u", i);
        assert_ok(
            oxbow_zset_rank(f->txn, BYTES("z"), text_bytes(text), OXBOW_ZSET_MIN, &rank, NULL));
        assert_int_equal(rank, want);
        assert_ok(oxbow_zset_range(f->txn, BYTES("z"), &one, &f->result));
        assert_int_equal(f->result.item_count, 1);
        assert_memory_equal(f->result.items[0].data, text, strlen(text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(scores_and_ranks_are_found_by_member),
        TEST(a_scan_gives_members_with_their_scores),
        TEST(members_are_picked_by_chance_with_their_scores),
        TEST(a_rank_among_very_many_is_a_short_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
