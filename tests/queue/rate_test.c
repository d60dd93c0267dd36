/* SPDX-License-Identifier: Apache-2.0 */
/* Rates of queues and forwards: everything that adds and removes, emptied queues, aborts. */
#include "tests/queue/stream_fixture.h"

#include "engine/queue/metric.h"
#include "engine/queue/rate.h"
#include "oxbow/binding.h"
#include "oxbow/forward.h"
#include "oxbow/policy.h"

#define KEY text_bytes("q")
#define TENTH                                                                                      \
    10000u /* ms: what happened since the first reading is told tenfold less, in thousandths */

static struct metric_queue read_queue(struct streams *f, const char *key)
{
    struct metric_queue q;

    assert_ok(metric_read_queue(f->txn, text_bytes(key), &q));
    return q;
}

static void pass(struct streams *f, uint64_t ms)
{
    streams_commit(f);
    rig_pass_ms(&f->rig, ms);
    streams_begin(f);
}

static void push(struct streams *f, const char *key, enum oxbow_end end, unsigned n, size_t len)
{
    static const uint8_t zeros[70000];
    const struct oxbow_bytes value = {zeros, len};

    for (unsigned i = 0; i < n; i++) {
        assert_ok(oxbow_list_push(f->txn, text_bytes(key), end, &value, 1, NULL));
    }
}

static void pop(struct streams *f, const char *key, enum oxbow_end end, size_t n)
{
    assert_ok(oxbow_list_pop(f->txn, text_bytes(key), end, n, &f->result));
    assert_int_equal(f->result.item_count, n);
}

/* A list that is there, and asked for. */
static void begin_list(struct streams *f, unsigned n, size_t len)
{
    push(f, "q", OXBOW_RIGHT, n, len);
    assert_true(read_queue(f, "q").in_milli == METRIC_UNKNOWN);
}

/* After TENTH: what has passed since begin_list. */
static void assert_passed(struct streams *f, const char *key, const uint64_t want[4])
{
    struct metric_queue q;

    pass(f, TENTH);
    q = read_queue(f, key);
    assert_in_range(q.in_milli, want[0] * 99, want[0] * 100);
    assert_in_range(q.out_milli, want[1] * 99, want[1] * 100);
    assert_in_range(q.in_bytes_milli, want[2] * 99, want[2] * 100);
    assert_in_range(q.out_bytes_milli, want[3] * 99, want[3] * 100);
}

static void a_list_has_rates_of_both_ends(void **state)
{
    struct streams *f = *state;

    begin_list(f, 100, 10);
    push(f, "q", OXBOW_RIGHT, 300, 10);
    push(f, "q", OXBOW_LEFT, 200, 100);
    pop(f, "q", OXBOW_LEFT, 50);
    pop(f, "q", OXBOW_RIGHT, 10);
    assert_passed(f, "q", (uint64_t[]){500, 60, 23000, 5100});
}

static void a_list_that_is_emptied_and_comes_again_is_the_same_queue(void **state)
{
    struct streams *f = *state;

    begin_list(f, 1, 8);
    for (unsigned i = 0; i < 1000; i++) {
        pop(f, "q", OXBOW_LEFT, 1);
        push(f, "q", OXBOW_RIGHT, 1, 8);
        if (i % 100 == 0) {
            pass(f, 0);
        }
    }
    assert_passed(f, "q", (uint64_t[]){1000, 1000, 8000, 8000});
}

static void whatever_changes_a_list_is_counted_once(void **state)
{
    struct streams *f = *state;
    uint64_t removed;
    int64_t len;

    begin_list(f, 10, 10);
    pop(f, "q", OXBOW_LEFT, 10);                      /* out 10, 100 */
    push(f, "q", OXBOW_RIGHT, 3, 70000);              /* in 3, 210000: large values */
    pop(f, "q", OXBOW_LEFT, 3);                       /* out 3, 210000: it goes as a whole */
    push(f, "q", OXBOW_RIGHT, 2000, 10);              /* in 2000, 20000 */
    assert_ok(oxbow_list_trim(f->txn, KEY, 500, -1)); /* out 500, 5000 */
    assert_ok(oxbow_list_insert(f->txn, KEY, true, (struct oxbow_bytes){"\0\0\0\0\0\0\0\0\0", 10},
                                text_bytes("abc"), &len)); /* in 1, 3 */
    assert_int_equal(len, 1501);
    assert_ok(oxbow_list_remove(f->txn, KEY, 0, text_bytes("abc"), &removed)); /* out 1, 3 */
    assert_int_equal(removed, 1);
    assert_ok(oxbow_list_move(f->txn, KEY, KEY, OXBOW_LEFT, OXBOW_RIGHT,
                              &f->result));        /* in and out 1, 10 */
    assert_ok(oxbow_list_trim(f->txn, KEY, 1, 0)); /* out 1500, 15000 */
    push(f, "q", OXBOW_RIGHT, 1, 1);               /* in 1, 1 */
    assert_passed(f, "q", (uint64_t[]){2006, 2015, 230014, 230113});
}

static void what_a_policy_drops_has_left(void **state)
{
    struct streams *f = *state;
    const struct oxbow_policy policy = {.max_entries = 10, .on_full = OXBOW_POLICY_DROP_OLDEST};

    assert_ok(oxbow_policy_set(f->txn, KEY, &policy));
    begin_list(f, 10, 10);
    push(f, "q", OXBOW_RIGHT, 100, 20);
    assert_passed(f, "q", (uint64_t[]){100, 100, 2000, 1900});
}

static void a_stream_has_rates_in_bytes_as_it_stores_them(void **state)
{
    struct streams *f = *state;
    const struct oxbow_stream_trim half = {.by = OXBOW_TRIM_MINID, .minid = {151, 0}};
    uint64_t before, full, after, gone;

    streams_fill(f, "q", 100);
    before = read_queue(f, "q").bytes;
    for (uint64_t ms = 101; ms <= 300; ms++) {
        assert_ok(streams_put(f, "q", ID(ms, 0), "value"));
    }
    full = read_queue(f, "q").bytes;
    assert_ok(oxbow_stream_delete(f->txn, KEY, &ID(200, 0), 1, &gone));
    assert_int_equal(gone, 1);
    assert_ok(oxbow_stream_trim(f->txn, KEY, &half, &gone));
    assert_int_equal(gone, 150);
    after = read_queue(f, "q").bytes;
    assert_true(before > 0 && full > before && after < full);
    assert_passed(f, "q", (uint64_t[]){200, 151, full - before, full - after});
}

static void an_aborted_transaction_has_moved_nothing(void **state)
{
    struct streams *f = *state;

    begin_list(f, 100, 10);
    push(f, "q", OXBOW_RIGHT, 3, 10);
    streams_commit(f);
    for (unsigned i = 0; i < 5; i++) { /* each kind of end after each other */
        streams_begin(f);
        push(f, "q", OXBOW_RIGHT, 1000, 10);
        pop(f, "q", OXBOW_LEFT, 50);
        streams_abort(f);
        streams_begin(f);
        if (i % 2 == 0) {
            push(f, "q", OXBOW_RIGHT, 10, 10);
        }
        streams_commit(f);
        streams_begin(f);
        push(f, "elsewhere", OXBOW_RIGHT, 10, 10);
        streams_commit(f);
    }
    streams_begin(f);
    assert_passed(f, "q", (uint64_t[]){33, 0, 330, 0});
}

static void what_bindings_bring_is_counted_where_it_comes(void **state)
{
    struct streams *f = *state;
    const struct oxbow_binding b = {.source = text_bytes("s"), .destination = text_bytes("d")};

    assert_ok(oxbow_bind(f->txn, &b, NULL));
    assert_ok(streams_put(f, "s", ID(1, 0), "v"));
    (void)read_queue(f, "d");
    for (uint64_t ms = 2; ms <= 101; ms++) {
        assert_ok(streams_put(f, "s", ID(ms, 0), "v"));
    }
    pass(f, TENTH);
    assert_in_range(read_queue(f, "d").in_milli, 9900, 10000);
}

static void a_forward_has_a_rate_in_bytes(void **state)
{
    struct streams *f = *state;
    const struct oxbow_forward_options opt = {
        .key = text_bytes("q"), .type = OXBOW_TYPE_LIST, .target = text_bytes("t")};
    struct oxbow_forward_status s;
    struct metric_forward m;
    struct oxbow_id at;
    bool more = true;

    push(f, "q", OXBOW_RIGHT, 5, 10);
    assert_ok(oxbow_forward_create(f->txn, "up", &opt));
    assert_ok(metric_read_forward(f->txn, "up", &m));
    assert_true(m.sent_bytes_milli == METRIC_UNKNOWN);
    (void)read_queue(f, "q");
    push(f, "q", OXBOW_RIGHT, 95, 100);
    assert_ok(oxbow_forward_status(f->txn, "up", &s));
    at = s.end;
    at.seq -= 50;
    assert_ok(oxbow_forward_sent(f->txn, "up", at));
    streams_abort(f); /* nothing was sent, nothing was added */
    streams_begin(f);
    push(f, "q", OXBOW_RIGHT, 5, 10);
    assert_ok(oxbow_forward_create(f->txn, "up", &opt));
    push(f, "q", OXBOW_RIGHT, 95, 100);
    assert_ok(oxbow_forward_status(f->txn, "up", &s));
    while (more) {
        assert_ok(oxbow_forward_confirmed(f->txn, "up", s.end, &more));
    }
    pass(f, TENTH);
    assert_ok(metric_read_forward(f->txn, "up", &m));
    assert_in_range(m.sent_milli, 9900, 10000);
    assert_in_range(m.sent_bytes_milli, 99 * 9550, 100 * 9550);
}

static void nothing_is_kept_before_somebody_asks(void **state)
{
    struct streams *f = *state;

    assert_false(rate_asked(f->txn));
    push(f, "q", OXBOW_RIGHT, 5, 10);
    assert_false(rate_asked(f->txn));
    (void)read_queue(f, "q");
    assert_true(rate_asked(f->txn));
    streams_reopen(f);
    assert_false(rate_asked(f->txn));
}

/* Tables grow while something of the open transaction is pending. */
static void many_queues_each_have_their_own(void **state)
{
    struct streams *f = *state;
    char name[16];

    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "q%u", i);
        push(f, name, OXBOW_RIGHT, 1, 1);
        (void)read_queue(f, name);
        push(f, name, OXBOW_RIGHT, 10 * (i % 10), 1);
    }
    pass(f, TENTH);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "q%u", i);
        assert_in_range(read_queue(f, name).in_milli, i % 10 * 990, i % 10 * 1000);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_list_has_rates_of_both_ends),
        T(a_list_that_is_emptied_and_comes_again_is_the_same_queue),
        T(whatever_changes_a_list_is_counted_once),
        T(what_a_policy_drops_has_left),
        T(a_stream_has_rates_in_bytes_as_it_stores_them),
        T(an_aborted_transaction_has_moved_nothing),
        T(what_bindings_bring_is_counted_where_it_comes),
        T(a_forward_has_a_rate_in_bytes),
        T(nothing_is_kept_before_somebody_asks),
        T(many_queues_each_have_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
