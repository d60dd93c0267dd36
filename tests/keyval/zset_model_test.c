/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random commands on a sorted set against a plain array that is sorted anew each time: every reply,
 * and after each transaction the whole; with aborts and re-opens in between.
 */
#include "tests/keyval/zset_fixture.h"

#include <stdlib.h>

#define MEMBERS 3000u

struct model {
    double score[MEMBERS];
    bool there[MEMBERS];
    unsigned sorted[MEMBERS];
    unsigned n;
};

static struct model m;
static struct model saved;
static uint64_t rng;

static uint64_t rnd(uint64_t n)
{
    return rig_random(&rng) % n;
}

/* Some are long, all from one beginning. */
static struct oxbow_bytes member_of(unsigned i)
{
    static char text[4][400];
    static unsigned turn;
    char *at = text[++turn % 4];
    int n = snprintf(at, sizeof text[0], "a beginning that all have %04u", i);

    if (i % 37 == 0) {
        memset(at + n, 'l', 300);
        n += 300;
    }
    return (struct oxbow_bytes){at, (size_t)n};
}

static int order_of(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a;
    unsigned y = *(const unsigned *)b;

    if (m.score[x] != m.score[y]) {
        return m.score[x] < m.score[y] ? -1 : 1;
    }
    return (x > y) - (x < y); /* numbers of one length: bytes as numbers */
}

static void sort(void)
{
    m.n = 0;
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (m.there[i]) {
            m.sorted[m.n++] = i;
        }
    }
    qsort(m.sorted, m.n, sizeof m.sorted[0], order_of);
}

static void compare_span(const struct oxbow_result *r, size_t low, size_t high, bool reverse)
{
    assert_int_equal(r->item_count, high - low);
    for (size_t i = 0; i < r->item_count; i++) {
        unsigned want = m.sorted[reverse ? high - 1 - i : low + i];
        struct oxbow_bytes member = member_of(want);

        assert_true(r->scores[i] == m.score[want]);
        assert_int_equal(r->items[i].len, member.len);
        assert_memory_equal(r->items[i].data, member.data, member.len);
    }
}

static double score_random(void)
{
    return rnd(3) == 0 ? (double)rnd(5) : (double)rnd(1000) / 8 - 60;
}

static void do_add(struct streams *f)
{
    unsigned i = (unsigned)rnd(MEMBERS);
    unsigned flags = rnd(4) == 0 ? OXBOW_ZSET_INCR : 0;
    const struct oxbow_scored s = {member_of(i), score_random()};
    struct oxbow_zset_added out;

    assert_ok(oxbow_zset_add(f->txn, BYTES("z"), flags, &s, 1, &out));
    assert_int_equal(out.added, !m.there[i]);
    m.score[i] = s.score + (flags != 0 && m.there[i] ? m.score[i] : 0);
    m.there[i] = true;
    assert_true(out.score == m.score[i]);
}

static void do_remove_many(struct streams *f)
{
    static char bytes[64][400];
    struct oxbow_bytes members[64];
    size_t n = 2 + rnd(62);
    uint64_t removed;
    uint64_t want = 0;

    for (size_t k = 0; k < n; k++) {
        unsigned i = (unsigned)rnd(MEMBERS);
        struct oxbow_bytes member = member_of(i);

        members[k] = (struct oxbow_bytes){memcpy(bytes[k], member.data, member.len), member.len};
        want += m.there[i];
        m.there[i] = false;
    }
    assert_ok(oxbow_zset_remove(f->txn, BYTES("z"), members, n, &removed));
    assert_int_equal(removed, want);
}

static void do_remove(struct streams *f)
{
    unsigned i = (unsigned)rnd(MEMBERS);
    struct oxbow_bytes member = member_of(i);
    uint64_t removed;

    assert_ok(oxbow_zset_remove(f->txn, BYTES("z"), &member, 1, &removed));
    assert_int_equal(removed, m.there[i]);
    m.there[i] = false;
}

static void do_pop(struct streams *f)
{
    enum oxbow_zset_end end = (enum oxbow_zset_end)rnd(2);
    uint64_t count = rnd(20);

    sort();
    count = count < m.n ? count : m.n;
    assert_ok(oxbow_zset_pop(f->txn, BYTES("z"), end, count, &f->result));
    if (end == OXBOW_ZSET_MIN) {
        compare_span(&f->result, 0, count, false);
    } else {
        compare_span(&f->result, m.n - count, m.n, true);
    }
    for (size_t i = 0; i < count; i++) {
        m.there[m.sorted[end == OXBOW_ZSET_MIN ? i : m.n - 1 - i]] = false;
    }
}

/* A range by score or index, and the ranks that it comes to. */
static struct oxbow_zset_range range_random(size_t *low, size_t *high)
{
    struct oxbow_zset_range r = {.reverse = rnd(2) == 0};

    sort();
    if (rnd(2) == 0) {
        *low = rnd(m.n + 1);
        *high = *low + rnd(m.n + 1 - *low);
        r.start = (int64_t)(r.reverse ? m.n - *high : *low);
        r.stop = r.start + (int64_t)(*high - *low) - 1;
        if (r.stop < 0) {
            r.start = 1; /* what -1 would not say: none */
            r.stop = 0;
        }
        return r;
    }
    r.by = OXBOW_ZSET_BY_SCORE;
    r.min = score_random();
    r.max = r.min + (double)rnd(30);
    r.low_open = rnd(2) == 0;
    r.high_open = rnd(2) == 0;
    *low = 0;
    while (*low < m.n &&
           (m.score[m.sorted[*low]] < r.min || (r.low_open && m.score[m.sorted[*low]] == r.min))) {
        (*low)++;
    }
    *high = *low;
    while (*high < m.n && (m.score[m.sorted[*high]] < r.max ||
                           (!r.high_open && m.score[m.sorted[*high]] == r.max))) {
        (*high)++;
    }
    return r;
}

static void do_range(struct streams *f)
{
    size_t low;
    size_t high;
    struct oxbow_zset_range r = range_random(&low, &high);
    uint64_t n;

    assert_ok(oxbow_zset_range(f->txn, BYTES("z"), &r, &f->result));
    compare_span(&f->result, low, high, r.reverse);
    assert_ok(oxbow_zset_range_count(f->txn, BYTES("z"), &r, &n));
    assert_int_equal(n, high - low);
}

static void do_range_remove(struct streams *f)
{
    size_t low;
    size_t high;
    struct oxbow_zset_range r = range_random(&low, &high);
    uint64_t n;

    if (high - low > 60 && rnd(20) > 0) { /* seldom, or nothing would be left */
        return;
    }
    assert_ok(oxbow_zset_range_remove(f->txn, BYTES("z"), &r, &n));
    assert_int_equal(n, high - low);
    for (; low < high; low++) {
        m.there[m.sorted[low]] = false;
    }
}

static void do_rank(struct streams *f)
{
    uint64_t rank;
    double score;
    size_t at;

    sort();
    if (m.n == 0) {
        return;
    }
    at = rnd(m.n);
    assert_ok(oxbow_zset_rank(f->txn, BYTES("z"), member_of(m.sorted[at]), OXBOW_ZSET_MIN, &rank,
                              &score));
    assert_int_equal(rank, at);
    assert_true(score == m.score[m.sorted[at]]);
}

static void step(struct streams *f, bool grow)
{
    uint64_t what = rnd(100);

    if (what < (grow ? 75u : 30u)) {
        do_add(f);
    } else if (what < 79) {
        do_remove(f);
    } else if (what < 80) {
        do_remove_many(f);
    } else if (what < 83) {
        do_pop(f);
    } else if (what < 88) {
        do_range(f);
    } else if (what < 92) {
        do_range_remove(f);
    } else {
        do_rank(f);
    }
}

static void random_commands_agree_with_a_sorted_array(void **state)
{
    struct streams *f = *state;

    rng = rig_seed("zset_model");
    for (unsigned round = 0; round < 80; round++) {
        saved = m;
        for (uint64_t i = rnd(120); i > 0; i--) {
            step(f, round % 20 < 14);
        }
        switch (rnd(6)) {
        case 0:
            streams_abort(f);
            streams_begin(f);
            m = saved;
            break;
        case 1:
            streams_reopen(f);
            break;
        default:
            streams_commit(f);
            streams_begin(f);
            break;
        }
        zcheck(f, "z");
        sort();
        assert_ok(oxbow_zset_range(f->txn, BYTES("z"), &(struct oxbow_zset_range){.stop = -1},
                                   &f->result));
        compare_span(&f->result, 0, m.n, false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(random_commands_agree_with_a_sorted_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
