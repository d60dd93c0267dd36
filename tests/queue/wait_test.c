/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/fixture.h"

#include "oxbow/wait.h"

#include "engine/queue/wait.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 120000

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof(*f));

    assert_non_null(f);
    fixture_init(f, NULL);
    *state = f;
    return 0;
}

static void nap_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

/* Until so many are in line: then the next one to come stands behind them. */
static void until_waiting(struct oxbow *db, size_t count)
{
    const struct oxbow_txn_options reading = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};

    for (int tries = 0; tries < 10000; tries++) {
        struct oxbow_txn *txn;
        size_t now;

        assert_ok(oxbow_txn_begin(db, &reading, &txn));
        now = wait_count(txn);
        oxbow_txn_abort(txn);
        if (now >= count) {
            return;
        }
        nap_ms(2);
    }
    fail_msg("they never got in line");
}

static void push_to(struct oxbow *db, const char *key, const char *value)
{
    struct oxbow_bytes v = bytes_of(value);
    struct oxbow_txn *txn;

    assert_ok(oxbow_txn_begin(db, NULL, &txn));
    assert_ok(oxbow_list_push(txn, bytes_of(key), OXBOW_RIGHT, &v, 1, NULL));
    assert_ok(oxbow_txn_commit(txn, NULL));
}

static uint64_t len_of(struct oxbow *db, const char *key)
{
    struct oxbow_txn *txn;
    uint64_t len;

    assert_ok(oxbow_txn_begin(db, NULL, &txn));
    assert_ok(oxbow_list_len(txn, bytes_of(key), &len));
    oxbow_txn_abort(txn);
    return len;
}

/* A thread that blocks once for an element of up to three keys. */
struct popper {
    struct oxbow *db;
    pthread_t thread;
    struct oxbow_bytes keys[3];
    size_t key_count;
    struct oxbow_wait_options opt;
    enum oxbow_err err;
    char got[32];
    size_t which;
    atomic_int *order; /* counts those who got something */
    int place;
    atomic_bool done;
};

static void *popper_run(void *arg)
{
    struct popper *p = arg;
    struct oxbow_list_pop_options pop = {.keys = p->keys, .key_count = p->key_count};
    struct oxbow_result result = {0};

    p->err = oxbow_list_pop_wait(p->db, &p->opt, &pop, &p->which, &result);
    if (p->err == OXBOW_OK) {
        snprintf(p->got, sizeof(p->got), "%.*s", (int)result.items[0].len,
                 (const char *)result.items[0].data);
        if (p->order != NULL) {
            p->place = atomic_fetch_add(p->order, 1);
        }
    }
    oxbow_result_fini(&result);
    atomic_store(&p->done, true);
    return NULL;
}

static void popper_start(struct popper *p, struct oxbow *db, int64_t timeout_ms)
{
    p->db = db;
    p->opt.timeout_ms = timeout_ms;
    assert_int_equal(pthread_create(&p->thread, NULL, popper_run, p), 0);
}

static void popper_join(struct popper *p)
{
    assert_int_equal(pthread_join(p->thread, NULL), 0);
}

static void a_pop_that_finds_something_does_not_wait(void **state)
{
    struct fixture *f = *state;
    struct oxbow_bytes keys[] = {bytes_of("none"), bytes_of("q")};
    struct oxbow_list_pop_options pop = {.keys = keys, .key_count = 2};
    struct oxbow_wait_options opt = {.timeout_ms = 0};
    size_t which = 9;

    push_to(f->db, "q", "one");
    assert_ok(oxbow_list_pop_wait(f->db, &opt, &pop, &which, &f->result));
    assert_items(f, "one");
    assert_int_equal(which, 1);
    assert_err(oxbow_list_pop_wait(f->db, &opt, &pop, &which, &f->result), OXBOW_ETIMEDOUT);
    assert_err(oxbow_list_pop_wait(f->db, NULL, &pop, &which, &f->result), OXBOW_ETIMEDOUT);
}

static void a_timeout_ends_the_wait_and_takes_nothing(void **state)
{
    struct fixture *f = *state;
    struct oxbow_bytes key = bytes_of("q");
    struct oxbow_list_pop_options pop = {.keys = &key, .key_count = 1};
    struct oxbow_wait_options opt = {.timeout_ms = 60};
    struct timespec a;
    struct timespec b;
    long ms;

    clock_gettime(CLOCK_MONOTONIC, &a);
    assert_err(oxbow_list_pop_wait(f->db, &opt, &pop, NULL, &f->result), OXBOW_ETIMEDOUT);
    clock_gettime(CLOCK_MONOTONIC, &b);
    ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
    assert_true(ms >= 59);
    push_to(f->db, "q", "later");
    assert_int_equal(len_of(f->db, "q"), 1);
}

static void bad_arguments_are_refused(void **state)
{
    struct fixture *f = *state;
    static struct oxbow_bytes keys[OXBOW_WAIT_KEYS_MAX + 1];
    struct oxbow_list_pop_options pop = {.keys = keys, .key_count = OXBOW_WAIT_KEYS_MAX + 1};
    struct oxbow_list_pop_options none = {.keys = keys};
    struct oxbow_wait_keys all = {.keys = keys, .count = OXBOW_WAIT_KEYS_MAX};
    struct oxbow_wait_set *set;
    struct oxbow_waiter *w;

    assert_err(oxbow_list_pop_wait(f->db, NULL, &pop, NULL, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_list_pop_wait(f->db, NULL, &none, NULL, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_list_pop_wait(f->db, NULL, NULL, NULL, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_wait_for(f->db, NULL, &all, NULL, NULL), OXBOW_EINVAL);
    assert_err(oxbow_wait_cancel(f->db, 0, NULL), OXBOW_EINVAL);
    /* As many keys as may be, all of one name. */
    pop.key_count = OXBOW_WAIT_KEYS_MAX;
    for (size_t i = 0; i < OXBOW_WAIT_KEYS_MAX; i++) {
        keys[i] = bytes_of("k");
    }
    assert_err(oxbow_list_pop_wait(f->db, &(struct oxbow_wait_options){.timeout_ms = 5}, &pop, NULL,
                                   &f->result),
               OXBOW_ETIMEDOUT);
    assert_ok(oxbow_wait_set_open(f->db, &set));
    fixture_begin(f);
    assert_ok(oxbow_wait_add(set, f->txn, &all, true, NULL, &w));
    all.count++;
    assert_err(oxbow_wait_add(set, f->txn, &all, true, NULL, &w), OXBOW_EINVAL);
    fixture_abort(f);
    oxbow_wait_set_close(set);
}

static void a_push_wakes_the_one_who_waits(void **state)
{
    struct fixture *f = *state;
    struct popper p = {.keys = {bytes_of("a"), bytes_of("b")}, .key_count = 2};

    popper_start(&p, f->db, OXBOW_WAIT_FOREVER);
    until_waiting(f->db, 1);
    assert_false(atomic_load(&p.done));
    push_to(f->db, "other", "x");
    nap_ms(20);
    assert_false(atomic_load(&p.done));
    push_to(f->db, "b", "hello");
    popper_join(&p);
    assert_ok(p.err);
    assert_string_equal(p.got, "hello");
    assert_int_equal(p.which, 1);
    assert_int_equal(len_of(f->db, "b"), 0);
}

static void an_aborted_push_wakes_nobody(void **state)
{
    struct fixture *f = *state;
    struct popper p = {.keys = {bytes_of("q")}, .key_count = 1, .opt.cancel_tag = 7};
    struct oxbow_bytes v = bytes_of("ghost");
    size_t count;

    popper_start(&p, f->db, OXBOW_WAIT_FOREVER);
    until_waiting(f->db, 1);
    fixture_begin(f);
    assert_ok(oxbow_list_push(f->txn, bytes_of("q"), OXBOW_LEFT, &v, 1, NULL));
    fixture_abort(f);
    nap_ms(100);
    assert_false(atomic_load(&p.done));
    assert_ok(oxbow_wait_cancel(f->db, 7, &count));
    assert_int_equal(count, 1);
    popper_join(&p);
    assert_err(p.err, OXBOW_ECANCELED);
}

static void elements_go_to_waiters_in_the_order_of_their_arrival(void **state)
{
    enum { N = 8 };
    struct fixture *f = *state;
    struct popper p[N] = {0};
    char want[16];

    for (int i = 0; i < N; i++) {
        p[i].keys[0] = bytes_of("q");
        p[i].key_count = 1;
        popper_start(&p[i], f->db, PATIENCE_MS);
        until_waiting(f->db, (size_t)i + 1);
    }
    fixture_begin(f);
    for (int i = 0; i < N; i++) {
        struct oxbow_bytes v = {want, (size_t)snprintf(want, sizeof(want), "%d", i)};

        assert_ok(oxbow_list_push(f->txn, bytes_of("q"), OXBOW_RIGHT, &v, 1, NULL));
    }
    fixture_commit(f);
    for (int i = 0; i < N; i++) {
        popper_join(&p[i]);
        assert_ok(p[i].err);
        snprintf(want, sizeof(want), "%d", i);
        assert_string_equal(p[i].got, want);
    }
}

static void the_first_of_the_keys_given_is_served_first(void **state)
{
    struct fixture *f = *state;
    struct popper p = {.keys = {bytes_of("a"), bytes_of("b"), bytes_of("c")}, .key_count = 3};
    struct oxbow_bytes v = bytes_of("v");

    popper_start(&p, f->db, PATIENCE_MS);
    until_waiting(f->db, 1);
    fixture_begin(f);
    assert_ok(oxbow_list_push(f->txn, bytes_of("c"), OXBOW_RIGHT, &v, 1, NULL));
    assert_ok(oxbow_list_push(f->txn, bytes_of("b"), OXBOW_RIGHT, &v, 1, NULL));
    fixture_commit(f);
    popper_join(&p);
    assert_ok(p.err);
    assert_int_equal(p.which, 1);
    assert_int_equal(len_of(f->db, "c"), 1);
}

static void a_canceled_wait_takes_nothing_and_the_next_one_is_served(void **state)
{
    struct fixture *f = *state;
    struct popper p[2] = {{.keys = {bytes_of("q")}, .key_count = 1, .opt.cancel_tag = 7},
                          {.keys = {bytes_of("q")}, .key_count = 1, .opt.cancel_tag = 8}};
    size_t count;

    popper_start(&p[0], f->db, PATIENCE_MS);
    until_waiting(f->db, 1);
    popper_start(&p[1], f->db, PATIENCE_MS);
    until_waiting(f->db, 2);
    assert_ok(oxbow_wait_cancel(f->db, 7, &count));
    assert_int_equal(count, 1);
    popper_join(&p[0]);
    assert_err(p[0].err, OXBOW_ECANCELED);
    push_to(f->db, "q", "x");
    popper_join(&p[1]);
    assert_ok(p[1].err);
    assert_ok(oxbow_wait_cancel(f->db, 7, &count));
    assert_int_equal(count, 0);
}

static void closing_the_store_wakes_all_with_an_error(void **state)
{
    enum { N = 4 };
    struct fixture *f = *state;
    struct popper p[N] = {0};
    struct oxbow_wait_set *set;
    struct oxbow_waiter *w;
    struct oxbow_bytes key = bytes_of("q");
    struct oxbow_wait_keys keys = {.keys = &key, .count = 1};
    struct pollfd fd;

    assert_ok(oxbow_wait_set_open(f->db, &set));
    fixture_begin(f);
    assert_ok(oxbow_wait_add(set, f->txn, &keys, true, NULL, &w));
    fixture_abort(f);
    for (int i = 0; i < N; i++) {
        p[i].keys[0] = key;
        p[i].key_count = 1;
        popper_start(&p[i], f->db, OXBOW_WAIT_FOREVER);
    }
    until_waiting(f->db, N + 1);
    assert_ok(oxbow_close(f->db));
    f->db = NULL;
    for (int i = 0; i < N; i++) {
        popper_join(&p[i]);
        assert_err(p[i].err, OXBOW_ECLOSED);
    }
    fd = (struct pollfd){.fd = oxbow_wait_set_fd(set), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 0), 1);
    assert_err(oxbow_wait_next(set, &w, NULL), OXBOW_ECLOSED);
    oxbow_wait_set_close(set);
}

static void while_waiting_a_key_of_another_type_is_as_if_absent(void **state)
{
    struct fixture *f = *state;
    struct popper p = {.keys = {bytes_of("k"), bytes_of("q")}, .key_count = 2};
    struct oxbow_field field = {bytes_of("f"), bytes_of("v")};
    struct oxbow_stream_add_options add = {0};
    struct oxbow_id id;

    popper_start(&p, f->db, PATIENCE_MS);
    until_waiting(f->db, 1);
    fixture_begin(f);
    assert_ok(oxbow_stream_add(f->txn, bytes_of("k"), &add, &field, 1, &id));
    fixture_commit(f);
    nap_ms(30);
    assert_false(atomic_load(&p.done));
    push_to(f->db, "q", "x");
    popper_join(&p);
    assert_ok(p.err);
    assert_int_equal(p.which, 1);
    /* But the first look says so. */
    p.opt.timeout_ms = 1000;
    popper_start(&p, f->db, 1000);
    popper_join(&p);
    assert_err(p.err, OXBOW_EWRONGTYPE);
}

static void a_move_waits_for_its_source(void **state)
{
    struct fixture *f = *state;
    struct oxbow_list_move_options move = {bytes_of("from"), bytes_of("to"), OXBOW_RIGHT,
                                           OXBOW_LEFT};
    struct oxbow_wait_options opt = {.timeout_ms = 10};
    struct popper p = {.keys = {bytes_of("to")}, .key_count = 1};

    assert_err(oxbow_list_move_wait(f->db, &opt, &move, &f->result), OXBOW_ETIMEDOUT);
    push_to(f->db, "from", "x");
    popper_start(&p, f->db, PATIENCE_MS);
    until_waiting(f->db, 1);
    assert_ok(oxbow_list_move_wait(f->db, &opt, &move, &f->result));
    assert_items(f, "x");
    popper_join(&p); /* who waits for the destination is served by the move */
    assert_ok(p.err);
    assert_string_equal(p.got, "x");
}

static void a_rename_onto_a_key_wakes_those_who_wait_for_it(void **state)
{
    struct fixture *f = *state;
    struct popper p = {.keys = {bytes_of("new")}, .key_count = 1};

    push_to(f->db, "old", "x");
    popper_start(&p, f->db, PATIENCE_MS);
    until_waiting(f->db, 1);
    fixture_begin(f);
    assert_ok(oxbow_key_rename(f->txn, bytes_of("old"), bytes_of("new"), false));
    fixture_commit(f);
    popper_join(&p);
    assert_ok(p.err);
}

static void a_swap_of_databases_wakes_those_who_wait(void **state)
{
    struct fixture *f = *state;
    struct popper p = {.keys = {bytes_of("q")}, .key_count = 1, .opt.txn.database = 3};

    push_to(f->db, "q", "x");
    popper_start(&p, f->db, PATIENCE_MS);
    until_waiting(f->db, 1);
    push_to(f->db, "q", "y"); /* in database 0: not for it */
    nap_ms(20);
    assert_false(atomic_load(&p.done));
    fixture_begin(f);
    assert_ok(oxbow_key_swap(f->txn, 0, 3));
    fixture_commit(f);
    popper_join(&p);
    assert_ok(p.err);
    assert_string_equal(p.got, "x");
}

static enum oxbow_err two_at_once(void *ctx, struct oxbow_txn *txn, bool again)
{
    struct oxbow_result *result = ctx;
    uint64_t len;
    enum oxbow_err err = oxbow_list_len(txn, bytes_of("q"), &len);

    (void)again;
    if (err != OXBOW_OK || len < 2) {
        return err == OXBOW_OK ? OXBOW_EAGAIN : err;
    }
    return oxbow_list_pop(txn, bytes_of("q"), OXBOW_LEFT, 2, result);
}

static void *pusher_run(void *arg)
{
    nap_ms(30);
    push_to(arg, "q", "a");
    nap_ms(30);
    push_to(arg, "q", "b");
    return NULL;
}

static void an_attempt_of_ones_own_decides_what_is_enough(void **state)
{
    struct fixture *f = *state;
    struct oxbow_bytes key = bytes_of("q");
    struct oxbow_wait_keys keys = {.kind = OXBOW_WAIT_LIST, .keys = &key, .count = 1};
    struct oxbow_wait_options opt = {.timeout_ms = PATIENCE_MS};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, pusher_run, f->db), 0);
    assert_ok(oxbow_wait_for(f->db, &opt, &keys, two_at_once, &f->result));
    assert_items(f, "a b");
    pthread_join(thread, NULL);
}

/* ---- streams ---- */

struct reader {
    struct oxbow *db;
    pthread_t thread;
    struct oxbow_stream_wait_options read;
    struct oxbow_result results[2];
    enum oxbow_err err;
};

static void *reader_run(void *arg)
{
    struct reader *r = arg;
    struct oxbow_wait_options opt = {.timeout_ms = PATIENCE_MS};

    r->err = oxbow_stream_read_wait(r->db, &opt, &r->read, r->results);
    return NULL;
}

static struct oxbow_id add_to(struct oxbow *db, const char *key, uint64_t ms)
{
    struct oxbow_stream_add_options add = {.id_mode = OXBOW_ID_EXPLICIT, .id = {ms, 0}};
    struct oxbow_field field = {bytes_of("f"), bytes_of("v")};
    struct oxbow_txn *txn;
    struct oxbow_id id;

    assert_ok(oxbow_txn_begin(db, NULL, &txn));
    assert_ok(oxbow_stream_add(txn, bytes_of(key), &add, &field, 1, &id));
    assert_ok(oxbow_txn_commit(txn, NULL));
    return id;
}

static void every_reader_of_a_stream_gets_each_entry_that_it_wants(void **state)
{
    struct fixture *f = *state;
    struct oxbow_bytes keys[2] = {bytes_of("s"), bytes_of("t")};
    struct oxbow_id late[2] = {{50, 0}, {50, 0}};
    struct oxbow_id early[2] = {{0, 0}, {0, 0}};
    struct reader r[3] = {{.read = {.keys = keys, .after = late, .key_count = 2}},
                          {.read = {.keys = keys, .after = early, .key_count = 2}},
                          {.read = {.keys = keys, .from_end = true, .key_count = 2}}};

    for (int i = 0; i < 3; i++) {
        r[i].db = f->db;
        pthread_create(&r[i].thread, NULL, reader_run, &r[i]);
        until_waiting(f->db, (size_t)i + 1);
    }
    add_to(f->db, "t", 10); /* not what the first one in line wants */
    pthread_join(r[1].thread, NULL);
    pthread_join(r[2].thread, NULL);
    add_to(f->db, "s", 60);
    pthread_join(r[0].thread, NULL);
    for (int i = 0; i < 3; i++) {
        assert_ok(r[i].err);
        assert_int_equal(r[i].results[0].entry_count, i == 0);
        assert_int_equal(r[i].results[1].entry_count, i != 0);
        oxbow_result_fini(&r[i].results[0]);
        oxbow_result_fini(&r[i].results[1]);
    }
}

static void *group_run(void *arg)
{
    struct reader *r = arg;
    struct oxbow_wait_options opt = {.timeout_ms = PATIENCE_MS};
    struct oxbow_group group = {bytes_of("s"), bytes_of("g")};
    struct oxbow_group_wait_options read = {
        .groups = &group, .group_count = 1, .consumer = bytes_of("c"), .read = {.count = 1}};

    r->err = oxbow_group_read_wait(r->db, &opt, &read, r->results);
    return NULL;
}

static void each_consumer_of_a_group_gets_another_entry(void **state)
{
    struct fixture *f = *state;
    struct oxbow_group group = {bytes_of("s"), bytes_of("g")};
    struct oxbow_group_create_options create = {.make_stream = true};
    struct reader r[2] = {{.db = f->db}, {.db = f->db}};

    fixture_begin(f);
    assert_ok(oxbow_group_create(f->txn, group, &create));
    fixture_commit(f);
    for (int i = 0; i < 2; i++) {
        pthread_create(&r[i].thread, NULL, group_run, &r[i]);
        until_waiting(f->db, (size_t)i + 1);
    }
    add_to(f->db, "s", 1);
    add_to(f->db, "s", 2);
    for (int i = 0; i < 2; i++) {
        pthread_join(r[i].thread, NULL);
        assert_ok(r[i].err);
        assert_int_equal(r[i].results[0].entry_count, 1);
        assert_int_equal(r[i].results[0].entries[0].id.ms, i + 1);
        oxbow_result_fini(&r[i].results[0]);
    }
}

/* ---- loops ---- */

static void a_loop_is_told_by_its_descriptor_whose_turn_it_is(void **state)
{
    struct fixture *f = *state;
    struct oxbow_bytes key = bytes_of("q");
    struct oxbow_wait_keys keys = {.keys = &key, .count = 1};
    struct oxbow_wait_set *set;
    struct oxbow_waiter *w[3];
    struct oxbow_waiter *got;
    struct pollfd fd;
    void *user;
    bool ahead;
    int tags[3] = {0, 1, 2};

    assert_ok(oxbow_wait_set_open(f->db, &set));
    fd = (struct pollfd){.fd = oxbow_wait_set_fd(set), .events = POLLIN};
    fixture_begin(f);
    for (int i = 0; i < 3; i++) {
        assert_ok(oxbow_wait_ahead(f->txn, &keys, &ahead));
        assert_false(ahead);
        assert_ok(oxbow_wait_add(set, f->txn, &keys, true, &tags[i], &w[i]));
    }
    fixture_abort(f);
    assert_int_equal(poll(&fd, 1, 0), 0);
    push_to(f->db, "q", "a");
    push_to(f->db, "q", "b");
    assert_int_equal(poll(&fd, 1, 0), 1);
    for (int i = 0; i < 2; i++) {
        assert_ok(oxbow_wait_next(set, &got, &user));
        assert_ptr_equal(user, &tags[i]);
        fixture_begin(f);
        assert_ok(oxbow_wait_ahead(f->txn, &keys, &ahead));
        assert_true(ahead);
        oxbow_wait_try(got, f->txn);
        assert_ok(oxbow_list_pop(f->txn, key, OXBOW_LEFT, 1, &f->result));
        fixture_commit(f);
        assert_items(f, i == 0 ? "a" : "b");
        oxbow_wait_remove(got);
    }
    /* The third has its turn, finds nothing, and stays where it is. */
    assert_ok(oxbow_wait_next(set, &got, &user));
    fixture_begin(f);
    oxbow_wait_try(got, f->txn);
    assert_err(oxbow_list_pop(f->txn, key, OXBOW_LEFT, 1, &f->result), OXBOW_ENOENT);
    fixture_abort(f);
    oxbow_wait_again(got);
    assert_err(oxbow_wait_next(set, &got, &user), OXBOW_EAGAIN);
    assert_int_equal(poll(&fd, 1, 0), 0);
    push_to(f->db, "q", "c");
    assert_int_equal(poll(&fd, 1, 0), 1);
    assert_ok(oxbow_wait_next(set, &got, &user));
    assert_ptr_equal(user, &tags[2]);
    oxbow_wait_set_close(set);
}

static void a_loop_waiter_that_leaves_hands_its_turn_on(void **state)
{
    struct fixture *f = *state;
    struct oxbow_bytes key = bytes_of("q");
    struct oxbow_wait_keys keys = {.keys = &key, .count = 1};
    struct oxbow_wait_set *set;
    struct oxbow_waiter *w[2];
    struct oxbow_waiter *got;

    assert_ok(oxbow_wait_set_open(f->db, &set));
    fixture_begin(f);
    assert_ok(oxbow_wait_add(set, f->txn, &keys, true, NULL, &w[0]));
    assert_ok(oxbow_wait_add(set, f->txn, &keys, true, NULL, &w[1]));
    fixture_abort(f);
    push_to(f->db, "q", "a");
    oxbow_wait_remove(w[0]); /* before it was even asked for */
    assert_ok(oxbow_wait_next(set, &got, NULL));
    assert_ptr_equal(got, w[1]);
    assert_err(oxbow_wait_next(set, &got, NULL), OXBOW_EAGAIN);
    oxbow_wait_set_close(set);
}

/* ---- many ---- */

enum { CROWD = 16, EACH = 400 };

struct crowd {
    struct oxbow *db;
    int n;
    atomic_int *seen; /* one per element */
    atomic_int *left;
};

static void *producer_run(void *arg)
{
    struct crowd *c = arg;
    char text[24];
    char key[4] = "q0";

    for (int i = 0; i < EACH; i++) {
        snprintf(text, sizeof(text), "%d", c->n * EACH + i);
        key[1] = (char)('0' + i % 3);
        push_to(c->db, key, text);
    }
    return NULL;
}

static void *consumer_run(void *arg)
{
    struct crowd *c = arg;
    struct oxbow_bytes keys[3] = {bytes_of("q0"), bytes_of("q1"), bytes_of("q2")};
    struct oxbow_list_pop_options pop = {.keys = keys, .key_count = 3};
    struct oxbow_result result = {0};

    for (;;) {
        struct oxbow_wait_options opt = {.timeout_ms = c->n % 4 == 0 ? 1 : 50};
        enum oxbow_err err = oxbow_list_pop_wait(c->db, &opt, &pop, NULL, &result);
        char text[24];

        if (err == OXBOW_ETIMEDOUT && atomic_load(c->left) > 0) {
            continue;
        }
        if (err != OXBOW_OK) {
            assert_err(err, OXBOW_ETIMEDOUT);
            break;
        }
        snprintf(text, sizeof(text), "%.*s", (int)result.items[0].len,
                 (const char *)result.items[0].data);
        atomic_fetch_add(&c->seen[atoi(text)], 1);
        atomic_fetch_sub(c->left, 1);
    }
    oxbow_result_fini(&result);
    return NULL;
}

static void producers_and_consumers_lose_and_double_nothing(void **state)
{
    struct fixture *f = *state;
    static atomic_int seen[CROWD * EACH];
    atomic_int left = CROWD * EACH;
    pthread_t threads[2 * CROWD];
    struct crowd c[2 * CROWD];

    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < 2 * CROWD; i++) {
        c[i] = (struct crowd){f->db, i % CROWD, seen, &left};
        pthread_create(&threads[i], NULL, i < CROWD ? producer_run : consumer_run, &c[i]);
    }
    for (int i = 0; i < 2 * CROWD; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < CROWD * EACH; i++) {
        assert_int_equal(atomic_load(&seen[i]), 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pop_that_finds_something_does_not_wait),
        TEST(a_timeout_ends_the_wait_and_takes_nothing),
        TEST(bad_arguments_are_refused),
        TEST(a_push_wakes_the_one_who_waits),
        TEST(an_aborted_push_wakes_nobody),
        TEST(elements_go_to_waiters_in_the_order_of_their_arrival),
        TEST(the_first_of_the_keys_given_is_served_first),
        TEST(a_canceled_wait_takes_nothing_and_the_next_one_is_served),
        TEST(closing_the_store_wakes_all_with_an_error),
        TEST(while_waiting_a_key_of_another_type_is_as_if_absent),
        TEST(a_move_waits_for_its_source),
        TEST(a_rename_onto_a_key_wakes_those_who_wait_for_it),
        TEST(a_swap_of_databases_wakes_those_who_wait),
        TEST(an_attempt_of_ones_own_decides_what_is_enough),
        TEST(every_reader_of_a_stream_gets_each_entry_that_it_wants),
        TEST(each_consumer_of_a_group_gets_another_entry),
        TEST(a_loop_is_told_by_its_descriptor_whose_turn_it_is),
        TEST(a_loop_waiter_that_leaves_hands_its_turn_on),
        TEST(producers_and_consumers_lose_and_double_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
