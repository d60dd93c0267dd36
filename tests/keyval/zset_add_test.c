/* SPDX-License-Identifier: Apache-2.0 */
/* ZADD with all its flags, ZREM, ZPOPMIN and ZPOPMAX; replies as those of redis-server 7.0. */
#include "tests/keyval/zset_fixture.h"

#include "oxbow/list.h"
#include "oxbow/set.h"

#include <math.h>

static void flags_decide_who_is_added_and_who_is_changed(void **state)
{
    /* On a set with m=5: the score given, and what is to come of it. */
    static const struct {
        unsigned flags;
        const char *member;
        double score;
        unsigned added;
        unsigned changed;
        bool done;
        double after;
    } rows[] = {
        {0, "m", 5, 0, 0, true, 5},
        {0, "m", 6, 0, 1, true, 6},
        {0, "new", 6, 1, 0, true, 6},
        {OXBOW_ZSET_NX, "m", 6, 0, 0, false, 5},
        {OXBOW_ZSET_NX, "new", 6, 1, 0, true, 6},
        {OXBOW_ZSET_XX, "m", 6, 0, 1, true, 6},
        {OXBOW_ZSET_XX, "new", 6, 0, 0, false, 6},
        {OXBOW_ZSET_GT, "m", 4, 0, 0, false, 5},
        {OXBOW_ZSET_GT, "m", 5, 0, 0, false, 5},
        {OXBOW_ZSET_GT, "m", 6, 0, 1, true, 6},
        {OXBOW_ZSET_GT, "new", 4, 1, 0, true, 4},
        {OXBOW_ZSET_LT, "m", 6, 0, 0, false, 5},
        {OXBOW_ZSET_LT, "m", 4, 0, 1, true, 4},
        {OXBOW_ZSET_LT | OXBOW_ZSET_XX, "new", 4, 0, 0, false, 4},
        {OXBOW_ZSET_INCR, "m", 1.5, 0, 1, true, 6.5},
        {OXBOW_ZSET_INCR, "m", 0, 0, 0, true, 5},
        {OXBOW_ZSET_INCR, "new", 1.5, 1, 0, true, 1.5},
        {OXBOW_ZSET_INCR | OXBOW_ZSET_NX, "m", 1, 0, 0, false, 5},
        {OXBOW_ZSET_INCR | OXBOW_ZSET_XX, "new", 1, 0, 0, false, 1},
        {OXBOW_ZSET_INCR | OXBOW_ZSET_GT, "m", -1, 0, 0, false, 5},
        {OXBOW_ZSET_INCR | OXBOW_ZSET_LT, "m", -1, 0, 1, true, 4},
    };
    struct streams *f = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct oxbow_zset_added out;
        double score = 0;

        zadd(f, "z", 0, 5, "m");
        out = zadd(f, "z", rows[i].flags, rows[i].score, rows[i].member);
        assert_int_equal(out.added, rows[i].added);
        assert_int_equal(out.changed, rows[i].changed);
        assert_int_equal(out.done, rows[i].done);
        assert_true(out.score == rows[i].after);
        assert_err(oxbow_zset_score(f->txn, BYTES("z"), text_bytes(rows[i].member), &score),
                   rows[i].done || rows[i].member[0] == 'm' ? OXBOW_OK : OXBOW_ENOENT);
        zcheck(f, "z");
        assert_ok(oxbow_key_delete(f->txn, BYTES("z"), NULL));
    }
    assert_false(zadd(f, "none", OXBOW_ZSET_XX, 1, "m").done);
    assert_ok(oxbow_key_count(f->txn, &(uint64_t){0}));
}

static void several_are_added_in_the_order_given(void **state)
{
    const struct oxbow_scored s[] = {
        {BYTES("a"), 3}, {BYTES("b"), 1}, {BYTES("a"), 2}, {BYTES(""), -1}};
    struct streams *f = *state;
    struct oxbow_zset_added out;

    assert_ok(oxbow_zset_add(f->txn, BYTES("z"), 0, s, 4, &out));
    assert_int_equal(out.added, 3);
    assert_int_equal(out.changed, 1);
    streams_reopen(f);
    assert_string_equal(zall(f, "z"), "=-1 b=1 a=2");
}

static void infinities_are_scores_and_their_difference_is_none(void **state)
{
    const struct oxbow_scored minus = {BYTES("a"), -INFINITY};
    const struct oxbow_scored nan = {BYTES("a"), NAN};
    struct streams *f = *state;
    struct oxbow_zset_added out;

    zadd(f, "z", 0, INFINITY, "a");
    zadd(f, "z", 0, -INFINITY, "b");
    assert_string_equal(zall(f, "z"), "b=-inf a=inf");
    assert_err(oxbow_zset_add(f->txn, BYTES("z"), OXBOW_ZSET_INCR, &minus, 1, &out), OXBOW_ERANGE);
    assert_err(oxbow_zset_add(f->txn, BYTES("z"), 0, &nan, 1, &out), OXBOW_EINVAL);
    streams_reopen(f); /* the refusals left the transaction as it was */
    assert_string_equal(zall(f, "z"), "b=-inf a=inf");
}

static void members_are_removed_and_the_key_with_the_last(void **state)
{
    const struct oxbow_bytes members[] = {BYTES("a"), BYTES("x"), BYTES("a"), BYTES("b")};
    struct streams *f = *state;
    uint64_t n;

    assert_ok(oxbow_zset_remove(f->txn, BYTES("z"), members, 4, &n));
    assert_int_equal(n, 0);
    zadd(f, "z", 0, 1, "a");
    zadd(f, "z", 0, 1, "b");
    assert_ok(oxbow_zset_remove(f->txn, BYTES("z"), members, 3, &n));
    assert_int_equal(n, 1);
    assert_ok(oxbow_zset_remove(f->txn, BYTES("z"), members, 4, &n));
    assert_int_equal(n, 1);
    assert_ok(oxbow_key_count(f->txn, &n));
    assert_int_equal(n, 0);
}

static void both_ends_are_popped_outermost_first(void **state)
{
    struct streams *f = *state;
    uint64_t n;

    assert_ok(oxbow_zset_pop(f->txn, BYTES("z"), OXBOW_ZSET_MIN, 3, &f->result));
    assert_int_equal(f->result.item_count, 0);
    zadd(f, "z", 0, 1, "a");
    zadd(f, "z", 0, 1, "b");
    zadd(f, "z", 0, 2, "c");
    zadd(f, "z", 0, 3, "d");
    assert_ok(oxbow_zset_pop(f->txn, BYTES("z"), OXBOW_ZSET_MAX, 0, &f->result));
    assert_int_equal(f->result.item_count, 0);
    assert_ok(oxbow_zset_pop(f->txn, BYTES("z"), OXBOW_ZSET_MAX, 1, &f->result));
    assert_string_equal(scored_text(&f->result), "d=3");
    assert_ok(oxbow_zset_pop(f->txn, BYTES("z"), OXBOW_ZSET_MIN, 2, &f->result));
    assert_string_equal(scored_text(&f->result), "a=1 b=1");
    zcheck(f, "z");
    assert_ok(oxbow_zset_pop(f->txn, BYTES("z"), OXBOW_ZSET_MIN, UINT64_MAX, &f->result));
    assert_string_equal(scored_text(&f->result), "c=2");
    assert_ok(oxbow_key_count(f->txn, &n));
    assert_int_equal(n, 0);
}

/* More than one transaction could take out one by one. */
enum { MANY = 24000, STEP = 4000 };

static void fill_many(struct streams *f)
{
    char member[16];

    for (int i = 0; i < MANY; i++) {
        snprintf(member, sizeof member, "m%06d", i);
        zadd(f, "z", 0, i, member);
        if (i % STEP == STEP - 1) {
            streams_commit(f);
            streams_begin(f);
        }
    }
}

static void assert_popped(const struct streams *f, size_t count, double first, double step)
{
    assert_int_equal(f->result.item_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(f->result.scores[i] == first + step * (double)i);
    }
}

static void any_part_of_a_large_set_goes_in_one_transaction(void **state)
{
    static char text[MANY][16];
    static struct oxbow_bytes odd[MANY / 2 + 1];
    const struct oxbow_zset_range but_one = {.start = 1, .stop = -1};
    struct streams *f = *state;
    uint64_t n = 0;

    fill_many(f);
    assert_ok(oxbow_zset_range_remove(f->txn, BYTES("z"), &but_one, &n));
    assert_int_equal(n, MANY - 1);
    assert_string_equal(zall(f, "z"), "m000000=0");
    zcheck(f, "z");
    streams_abort(f);
    streams_begin(f);
    assert_ok(oxbow_zset_pop(f->txn, BYTES("z"), OXBOW_ZSET_MAX, MANY - 1, &f->result));
    assert_popped(f, MANY - 1, MANY - 1, -1);
    assert_string_equal(zall(f, "z"), "m000000=0");
    zcheck(f, "z");
    streams_abort(f);
    streams_begin(f);
    assert_ok(oxbow_zset_pop(f->txn, BYTES("z"), OXBOW_ZSET_MIN, MANY / 2, &f->result));
    assert_popped(f, MANY / 2, 0, 1);
    zcheck(f, "z");
    streams_abort(f);
    streams_begin(f);
    for (int i = 0; i < MANY / 2; i++) {
        snprintf(text[i], sizeof text[i], "m%06d", 2 * i + 1);
        odd[i] = text_bytes(text[i]);
    }
    odd[MANY / 2] = BYTES("none such");
    assert_ok(oxbow_zset_remove(f->txn, BYTES("z"), odd, MANY / 2 + 1, &n));
    assert_int_equal(n, MANY / 2);
    zcheck(f, "z");
    assert_ok(oxbow_zset_pop(f->txn, BYTES("z"), OXBOW_ZSET_MIN, MANY / 2 - 1, &f->result));
    assert_popped(f, MANY / 2 - 1, 0, 2);
    streams_reopen(f);
    zcheck(f, "z");
    assert_string_equal(zall(f, "z"), "m023998=23998");
}

/* As ZUNIONSTORE and its kin do it: long members, members of one score, and both zeros among them. */
static void a_large_set_is_stored_in_one_transaction(void **state)
{
    enum { STORED = 30000 };
    static char text[400];
    struct streams *f = *state;
    const struct oxbow_bytes keys[] = {BYTES("z"), BYTES("s")};
    const struct oxbow_zset_combination c = {
        .op = OXBOW_ZSET_UNION, .sum = OXBOW_ZSET_SUM, .keys = keys, .count = 2};
    struct oxbow_bytes member = {text, 0};
    uint64_t n;

    fill_many(f);
    zadd(f, "z", 0, -0.0, "below zero");
    memset(text, 'l', sizeof text);
    for (int i = MANY; i < STORED; i++) {
        snprintf(text, sizeof text, "s%06d", i);
        member.len = i % 100 == 0 ? sizeof text : strlen(text);
        text[7] = i % 100 == 0 ? 'l' : '\0';
        assert_ok(oxbow_set_add(f->txn, BYTES("s"), &member, 1, NULL));
        if (i % STEP == STEP - 1) {
            streams_commit(f);
            streams_begin(f);
        }
    }
    assert_ok(oxbow_zset_combine_store(f->txn, BYTES("d"), &c, &n));
    assert_int_equal(n, STORED + 1);
    streams_reopen(f);
    zcheck(f, "d");
    assert_string_equal(zrange(f, "d", &(struct oxbow_zset_range){.stop = 2}),
                        "below zero=-0 m000000=0 m000001=1");
    assert_string_equal(zrange(f, "d", &(struct oxbow_zset_range){.start = -1, .stop = -1}),
                        "m023999=23999");
    assert_ok(oxbow_zset_range_store(f->txn, BYTES("e"), BYTES("d"),
                                     &(struct oxbow_zset_range){.start = 0, .stop = -1}, &n));
    assert_int_equal(n, STORED + 1);
    zcheck(f, "e");
}

static void a_large_set_is_popped_whole(void **state)
{
    struct streams *f = *state;
    uint64_t n = 0;

    for (int round = 0; round < 2; round++) {
        fill_many(f);
        assert_ok(oxbow_zset_pop(f->txn, BYTES("z"), round == 0 ? OXBOW_ZSET_MIN : OXBOW_ZSET_MAX,
                                 MANY, &f->result));
        assert_popped(f, MANY, round == 0 ? 0 : MANY - 1, round == 0 ? 1 : -1);
        streams_commit(f);
        streams_begin(f);
        assert_ok(oxbow_key_count(f->txn, &n));
        assert_int_equal(n, 0);
    }
}

/* Members that lie in more leaves than a transaction may write. */
static void what_is_too_much_for_a_transaction_is_refused_whole(void **state)
{
    const struct oxbow_zset_range most = {.start = 5, .stop = -6};
    struct streams *f = *state;
    uint64_t n = 77;

    fill_many(f);
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.config.txn_bytes = 64u << 10;
    rig_open(&f->rig);
    streams_begin(f);
    assert_err(oxbow_zset_range_remove(f->txn, BYTES("z"), &most, &n), OXBOW_ETXNBIG);
    streams_abort(f);
    streams_begin(f);
    assert_err(oxbow_zset_pop(f->txn, BYTES("z"), OXBOW_ZSET_MIN, MANY / 2, &f->result),
               OXBOW_ETXNBIG);
    assert_int_equal(f->result.item_count, 0);
    assert_int_equal(n, 77);
    streams_abort(f);
    streams_begin(f);
    assert_ok(oxbow_zset_count(f->txn, BYTES("z"), &n));
    assert_int_equal(n, MANY);
    zcheck(f, "z");
}

static void bad_input_is_refused_and_changes_nothing(void **state)
{
    static const unsigned bad[] = {OXBOW_ZSET_NX | OXBOW_ZSET_XX, OXBOW_ZSET_NX | OXBOW_ZSET_GT,
                                   OXBOW_ZSET_NX | OXBOW_ZSET_LT, OXBOW_ZSET_GT | OXBOW_ZSET_LT,
                                   0x20};
    const struct oxbow_scored two[] = {{BYTES("a"), 1}, {BYTES("b"), 2}};
    const struct oxbow_scored null = {{NULL, 1}, 1};
    const struct oxbow_scored big = {
        {"", (size_t)txn_entry_bytes_max(((struct streams *)*state)->txn) + 1}, 1};
    const struct oxbow_bytes element = BYTES("e");
    struct streams *f = *state;
    uint64_t n;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_err(oxbow_zset_add(f->txn, BYTES("z"), bad[i], two, 1, NULL), OXBOW_EINVAL);
    }
    assert_err(oxbow_zset_add(f->txn, BYTES("z"), OXBOW_ZSET_INCR, two, 2, NULL), OXBOW_EINVAL);
    assert_err(oxbow_zset_add(f->txn, BYTES("z"), 0, two, 0, NULL), OXBOW_EINVAL);
    assert_err(oxbow_zset_add(f->txn, BYTES("z"), 0, NULL, 1, NULL), OXBOW_EINVAL);
    assert_err(oxbow_zset_add(f->txn, BYTES("z"), 0, &null, 1, NULL), OXBOW_EINVAL);
    assert_err(oxbow_zset_add(f->txn, BYTES("z"), 0, &big, 1, NULL), OXBOW_ETOOBIG);
    assert_err(oxbow_zset_pop(f->txn, BYTES("z"), (enum oxbow_zset_end)2, 1, &f->result),
               OXBOW_EINVAL);
    assert_err(oxbow_zset_pop(f->txn, BYTES("z"), OXBOW_ZSET_MIN, 1, NULL), OXBOW_EINVAL);
    assert_err(oxbow_zset_remove(f->txn, BYTES("z"), &null.member, 1, NULL), OXBOW_EINVAL);
    assert_ok(oxbow_key_count(f->txn, &n));
    assert_int_equal(n, 0);
    assert_ok(oxbow_list_push(f->txn, BYTES("z"), OXBOW_RIGHT, &element, 1, NULL));
    assert_err(oxbow_zset_add(f->txn, BYTES("z"), 0, two, 2, NULL), OXBOW_EWRONGTYPE);
    assert_err(oxbow_zset_pop(f->txn, BYTES("z"), OXBOW_ZSET_MIN, 1, &f->result), OXBOW_EWRONGTYPE);
    assert_err(oxbow_zset_remove(f->txn, BYTES("z"), &element, 1, NULL), OXBOW_EWRONGTYPE);
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_zset_add(f->txn, BYTES("y"), 0, two, 2, NULL), OXBOW_EREADONLY);
    assert_err(oxbow_zset_pop(f->txn, BYTES("y"), OXBOW_ZSET_MIN, 1, &f->result), OXBOW_EREADONLY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(flags_decide_who_is_added_and_who_is_changed),
        TEST(several_are_added_in_the_order_given),
        TEST(infinities_are_scores_and_their_difference_is_none),
        TEST(members_are_removed_and_the_key_with_the_last),
        TEST(both_ends_are_popped_outermost_first),
        TEST(any_part_of_a_large_set_goes_in_one_transaction),
        TEST(a_large_set_is_stored_in_one_transaction),
        TEST(a_large_set_is_popped_whole),
        TEST(what_is_too_much_for_a_transaction_is_refused_whole),
        TEST(bad_input_is_refused_and_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
