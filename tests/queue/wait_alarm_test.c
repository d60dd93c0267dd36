/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for a group wakes when something pending comes back, though nobody writes anything. */
#include "tests/queue/fixture.h"

#include "oxbow/group_options.h"
#include "oxbow/wait.h"

#include "engine/queue/wait.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define WAIT_LONG_MS 120000 /* what is waited for comes long before */

static const struct oxbow_group GROUP = {{"s", 1}, {"g", 1}};

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof(*f));

    assert_non_null(f);
    fixture_init(f, NULL);
    *state = f;
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void nap_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

static void until_waiting(struct oxbow *db, size_t count)
{
    const struct oxbow_txn_options reading = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    size_t now = 0;

    for (int tries = 0; tries < 10000 && now < count; tries++) {
        struct oxbow_txn *txn;

        assert_ok(oxbow_txn_begin(db, &reading, &txn));
        now = wait_count(txn);
        oxbow_txn_abort(txn);
        nap_ms(2);
    }
    assert_true(now >= count);
}

/* A group with options and `n` entries. */
static void make(struct fixture *f, const struct oxbow_group_options *opt, int n)
{
    struct oxbow_group_create_options create = {.make_stream = true};
    struct oxbow_field field = {bytes_of("f"), bytes_of("v")};

    fixture_begin(f);
    assert_ok(oxbow_group_create(f->txn, GROUP, &create));
    assert_ok(oxbow_group_options_set(f->txn, GROUP, opt));
    for (int i = 0; i < n; i++) {
        assert_ok(oxbow_stream_add(f->txn, GROUP.key, NULL, &field, 1, NULL));
    }
    fixture_commit(f);
}

/* Reads as `name`; how many it got. */
static size_t take(struct fixture *f, const char *name)
{
    fixture_begin(f);
    assert_ok(oxbow_group_read(f->txn, GROUP, bytes_of(name), NULL, &f->result));
    fixture_commit(f);
    return f->result.entry_count;
}

struct waiter {
    struct oxbow *db;
    pthread_t thread;
    const char *name;
    int64_t timeout_ms;
    uint64_t cancel_tag;
    enum oxbow_err err;
    size_t got;
    uint64_t ms;
};

static void *waiter_run(void *arg)
{
    struct waiter *w = arg;
    struct oxbow_wait_options opt = {.timeout_ms = w->timeout_ms, .cancel_tag = w->cancel_tag};
    struct oxbow_group_wait_options read = {
        .groups = &GROUP, .group_count = 1, .consumer = bytes_of(w->name)};
    struct oxbow_result result = {0};
    uint64_t begin = now_ms();

    w->err = oxbow_group_read_wait(w->db, &opt, &read, &result);
    w->ms = now_ms() - begin;
    w->got = result.entry_count;
    oxbow_result_fini(&result);
    return NULL;
}

static void start(struct waiter *w)
{
    assert_int_equal(pthread_create(&w->thread, NULL, waiter_run, w), 0);
}

static void what_was_not_acked_wakes_a_waiter_in_time(void **state)
{
    struct fixture *f = *state;
    struct waiter w = {.db = f->db, .name = "eve", .timeout_ms = WAIT_LONG_MS};
    uint64_t begin;

    make(f, &(struct oxbow_group_options){.visibility_ms = 300}, 3);
    begin = now_ms();
    assert_int_equal(take(f, "bob"), 3);
    start(&w);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.err, OXBOW_OK);
    assert_int_equal(w.got, 3);
    assert_in_range(now_ms() - begin, 290, WAIT_LONG_MS / 2);
}

static void a_waiter_learns_of_deliveries_that_come_after_it(void **state)
{
    struct fixture *f = *state;
    struct waiter w = {.db = f->db, .name = "eve", .timeout_ms = WAIT_LONG_MS};
    struct oxbow_field field = {bytes_of("f"), bytes_of("v")};

    make(f, &(struct oxbow_group_options){.visibility_ms = 100}, 0);
    start(&w);
    until_waiting(f->db, 1);
    /* Added and taken in one transaction: the waiter finds nothing when it is woken. */
    fixture_begin(f);
    assert_ok(oxbow_stream_add(f->txn, GROUP.key, NULL, &field, 1, NULL));
    assert_ok(oxbow_group_read(f->txn, GROUP, bytes_of("bob"), NULL, &f->result));
    fixture_commit(f);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.err, OXBOW_OK);
    assert_int_equal(w.got, 1);
    assert_in_range(w.ms, 50, WAIT_LONG_MS / 2);
}

static void a_nack_wakes_a_waiter_after_its_delay(void **state)
{
    struct fixture *f = *state;
    struct waiter w = {.db = f->db, .name = "eve", .timeout_ms = WAIT_LONG_MS};
    struct oxbow_group_nack_options no = {.count = 1, .how = OXBOW_NACK_DELAY, .delay_ms = 100};
    struct oxbow_id id;

    make(f, &(struct oxbow_group_options){.visibility_ms = 3600000}, 1);
    assert_int_equal(take(f, "bob"), 1);
    id = f->result.entries[0].id;
    no.ids = &id;
    start(&w);
    until_waiting(f->db, 1);
    fixture_begin(f);
    assert_ok(oxbow_group_nack(f->txn, GROUP, &no, NULL));
    fixture_commit(f);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.err, OXBOW_OK);
    assert_int_equal(w.got, 1);
}

static void a_waiter_moves_dead_letters_while_it_waits(void **state)
{
    struct fixture *f = *state;
    const struct oxbow_txn_options reading = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct waiter w = {
        .db = f->db, .name = "eve", .timeout_ms = OXBOW_WAIT_FOREVER, .cancel_tag = 7};
    uint64_t begin = now_ms();
    uint64_t len = 0;
    size_t count;

    make(f,
         &(struct oxbow_group_options){
             .visibility_ms = 100, .max_deliveries = 1, .dead_letter = {"dead", 4}},
         40);
    assert_int_equal(take(f, "bob"), 40);
    start(&w);
    until_waiting(f->db, 1);
    while (len < 40) {
        struct oxbow_txn *txn;

        assert_true(now_ms() - begin < WAIT_LONG_MS);
        nap_ms(10);
        assert_ok(oxbow_txn_begin(f->db, &reading, &txn));
        assert_ok(oxbow_stream_len(txn, bytes_of("dead"), &len));
        oxbow_txn_abort(txn);
    }
    assert_int_equal(len, 40);
    assert_ok(oxbow_wait_cancel(f->db, 7, &count));
    assert_int_equal(count, 1);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.err, OXBOW_ECANCELED);
}

static void an_ack_wakes_one_who_had_all_that_it_may_have(void **state)
{
    struct fixture *f = *state;
    struct waiter w = {.db = f->db, .name = "bob", .timeout_ms = WAIT_LONG_MS};
    struct oxbow_id id;

    make(f, &(struct oxbow_group_options){.visibility_ms = 3600000, .prefetch = 1}, 2);
    assert_int_equal(take(f, "bob"), 1);
    id = f->result.entries[0].id;
    start(&w);
    until_waiting(f->db, 1);
    fixture_begin(f);
    assert_ok(oxbow_group_ack(f->txn, GROUP, &id, 1, NULL));
    fixture_commit(f);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.err, OXBOW_OK);
    assert_int_equal(w.got, 1);
    assert_true(w.ms < WAIT_LONG_MS / 2);
}

static void a_timeout_still_ends_the_wait(void **state)
{
    struct fixture *f = *state;
    struct waiter w = {.db = f->db, .name = "eve", .timeout_ms = 100};

    make(f, &(struct oxbow_group_options){.visibility_ms = 3600000}, 1);
    assert_int_equal(take(f, "bob"), 1);
    start(&w);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.err, OXBOW_ETIMEDOUT);
    assert_int_equal(w.got, 0);
    w.timeout_ms = 0;
    start(&w);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.err, OXBOW_ETIMEDOUT);
}

static void a_loop_is_told_how_long_it_may_sleep(void **state)
{
    struct fixture *f = *state;
    struct oxbow_wait_keys keys = {.kind = OXBOW_WAIT_STREAM, .keys = &GROUP.key, .count = 1};
    struct oxbow_wait_set *set;
    struct oxbow_waiter *w, *turn;
    uint64_t begin;
    size_t got = 0;

    make(f, &(struct oxbow_group_options){.visibility_ms = 3000}, 1);
    begin = now_ms();
    assert_int_equal(take(f, "bob"), 1);
    assert_ok(oxbow_wait_set_open(f->db, &set));
    assert_int_equal(oxbow_wait_set_timeout(set), OXBOW_WAIT_FOREVER);
    fixture_begin(f);
    assert_ok(oxbow_group_read(f->txn, GROUP, bytes_of("eve"), NULL, &f->result));
    assert_int_equal(f->result.entry_count, 0);
    assert_ok(oxbow_wait_add(set, f->txn, &keys, true, NULL, &w));
    fixture_commit(f);
    assert_in_range(oxbow_wait_set_timeout(set), 0, 3000);
    while (got == 0 && now_ms() - begin < WAIT_LONG_MS) {
        struct pollfd fd = {.fd = oxbow_wait_set_fd(set), .events = POLLIN};
        int64_t left = oxbow_wait_set_timeout(set);

        poll(&fd, 1, left < 0 ? WAIT_LONG_MS : (int)left);
        if (oxbow_wait_next(set, &turn, NULL) == OXBOW_EAGAIN) {
            continue;
        }
        assert_ptr_equal(turn, w);
        fixture_begin(f);
        oxbow_wait_try(turn, f->txn);
        assert_ok(oxbow_group_read(f->txn, GROUP, bytes_of("eve"), NULL, &f->result));
        got = f->result.entry_count;
        fixture_commit(f);
        if (got == 0) {
            oxbow_wait_again(turn);
        }
    }
    assert_int_equal(got, 1);
    assert_in_range(now_ms() - begin, 2990, WAIT_LONG_MS / 2);
    oxbow_wait_set_close(set);
}

/* A read in two groups says twice when something comes back, the sooner one last. */
static void whose_turn_it_is_has_one_turn_whatever_it_is_told_meanwhile(void **state)
{
    static const struct oxbow_group other = {{"t", 1}, {"g", 1}};
    struct fixture *f = *state;
    const struct oxbow_bytes names[] = {GROUP.key, other.key};
    struct oxbow_wait_keys keys = {.kind = OXBOW_WAIT_STREAM, .keys = names, .count = 2};
    struct oxbow_group_create_options create = {.make_stream = true};
    struct oxbow_field field = {bytes_of("f"), bytes_of("v")};
    struct oxbow_wait_set *set;
    struct oxbow_waiter *w, *turn;

    make(f, &(struct oxbow_group_options){.visibility_ms = 3600000}, 1);
    fixture_begin(f);
    assert_ok(oxbow_group_create(f->txn, other, &create));
    assert_ok(oxbow_group_options_set(f->txn, other,
                                      &(struct oxbow_group_options){.visibility_ms = 1800000}));
    assert_ok(oxbow_stream_add(f->txn, other.key, NULL, &field, 1, NULL));
    assert_ok(oxbow_group_read(f->txn, other, bytes_of("bob"), NULL, &f->result));
    fixture_commit(f);
    assert_int_equal(take(f, "bob"), 1);
    assert_ok(oxbow_wait_set_open(f->db, &set));
    fixture_begin(f);
    assert_ok(oxbow_wait_add(set, f->txn, &keys, true, NULL, &w));
    fixture_commit(f);
    for (int i = 0; i < 3; i++) {
        fixture_begin(f);
        assert_ok(oxbow_stream_add(f->txn, GROUP.key, NULL, &field, 1, NULL));
        assert_ok(oxbow_group_read(f->txn, GROUP, bytes_of("bob"), NULL, &f->result));
        fixture_commit(f);
        assert_ok(oxbow_wait_next(set, &turn, NULL));
        assert_ptr_equal(turn, w);
        fixture_begin(f);
        oxbow_wait_try(turn, f->txn);
        assert_ok(oxbow_group_read(f->txn, GROUP, bytes_of("eve"), NULL, &f->result));
        assert_ok(oxbow_group_read(f->txn, other, bytes_of("eve"), NULL, &f->result));
        assert_int_equal(f->result.entry_count, 0);
        fixture_commit(f);
        oxbow_wait_again(turn);
        assert_err(oxbow_wait_next(set, &turn, NULL), OXBOW_EAGAIN);
    }
    oxbow_wait_remove(w);
    assert_err(oxbow_wait_next(set, &turn, NULL), OXBOW_EAGAIN);
    oxbow_wait_set_close(set);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_not_acked_wakes_a_waiter_in_time),
        TEST(a_waiter_learns_of_deliveries_that_come_after_it),
        TEST(a_nack_wakes_a_waiter_after_its_delay),
        TEST(a_waiter_moves_dead_letters_while_it_waits),
        TEST(an_ack_wakes_one_who_had_all_that_it_may_have),
        TEST(a_timeout_still_ends_the_wait),
        TEST(a_loop_is_told_how_long_it_may_sleep),
        TEST(whose_turn_it_is_has_one_turn_whatever_it_is_told_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
