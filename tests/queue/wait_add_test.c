/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/fixture.h"

#include "engine/queue/wait.h"
#include "oxbow/binding.h"
#include "oxbow/policy.h"
#include "oxbow/wait.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

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
        if (now == count) {
            return;
        }
        nap_ms(2);
    }
    fail_msg("they never got in line");
}

static void set(struct fixture *f, const char *key, struct oxbow_policy p)
{
    fixture_begin(f);
    assert_ok(oxbow_policy_set(f->txn, bytes_of(key), &p));
    fixture_commit(f);
}

static enum oxbow_err push(struct fixture *f, const char *key, const char *value, int64_t timeout)
{
    struct oxbow_bytes v = bytes_of(value);
    const struct oxbow_wait_options opt = {.timeout_ms = timeout};
    const struct oxbow_list_push_wait_options p = {
        .key = bytes_of(key), .end = OXBOW_RIGHT, .values = &v, .count = 1};

    return oxbow_list_push_wait(f->db, &opt, &p, NULL);
}

static enum oxbow_err add(struct fixture *f, const char *key, int64_t timeout, uint64_t tag)
{
    const struct oxbow_wait_options opt = {.timeout_ms = timeout, .cancel_tag = tag};
    const struct oxbow_field field = {bytes_of("f"), bytes_of("v")};
    const struct oxbow_stream_add_wait_options a = {
        .key = bytes_of(key), .fields = &field, .field_count = 1};

    return oxbow_stream_add_wait(f->db, &opt, &a, NULL);
}

/* A thread that pushes once, and waits for room as long as it takes. */
struct pusher {
    struct fixture *f;
    pthread_t thread;
    char value[8];
    uint64_t tag;
    bool stream;
    enum oxbow_err err;
};

static void *pusher_run(void *arg)
{
    struct pusher *p = arg;

    p->err = p->stream ? add(p->f, "k", OXBOW_WAIT_FOREVER, p->tag)
                       : push(p->f, "k", p->value, OXBOW_WAIT_FOREVER);
    return NULL;
}

static void pusher_start(struct pusher *p, struct fixture *f, unsigned i, bool stream)
{
    p->f = f;
    p->stream = stream;
    p->tag = 7;
    snprintf(p->value, sizeof p->value, "%u", i);
    assert_int_equal(pthread_create(&p->thread, NULL, pusher_run, p), 0);
    until_waiting(f->db, i);
}

static void pusher_join(struct pusher *p, enum oxbow_err want)
{
    assert_int_equal(pthread_join(p->thread, NULL), 0);
    assert_err(p->err, want);
}

static const char *pop(struct fixture *f, size_t count)
{
    fixture_begin(f);
    assert_ok(oxbow_list_pop(f->txn, bytes_of("k"), OXBOW_LEFT, count, &f->result));
    fixture_commit(f);
    return fixture_items(&f->result);
}

static const struct oxbow_policy one = {.max_entries = 1, .on_full = OXBOW_POLICY_BLOCK};

static void a_push_that_finds_no_room_times_out(void **state)
{
    struct fixture *f = *state;

    set(f, "k", one);
    assert_ok(push(f, "k", "a", 0));
    assert_err(push(f, "k", "b", 0), OXBOW_ETIMEDOUT);
    assert_err(push(f, "k", "b", 30), OXBOW_ETIMEDOUT);
    assert_ok(add(f, "other", 0, 0));
    assert_string_equal(pop(f, 5), "a");
    fixture_begin(f);
    assert_err(oxbow_list_push(f->txn, bytes_of("k"), OXBOW_RIGHT,
                               (struct oxbow_bytes[]){{"x", 1}, {"y", 1}}, 2, NULL),
               OXBOW_ETOOBIG);
    fixture_commit(f);
}

static void one_that_refuses_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    const struct oxbow_list_push_wait_options *none = NULL;
    struct oxbow_policy p = one;

    p.on_full = OXBOW_POLICY_REFUSE;
    set(f, "k", p);
    assert_ok(push(f, "k", "a", OXBOW_WAIT_FOREVER));
    assert_err(push(f, "k", "b", OXBOW_WAIT_FOREVER), OXBOW_EFULL);
    p = (struct oxbow_policy){.max_bytes = 1, .on_full = OXBOW_POLICY_BLOCK};
    set(f, "k", p);
    assert_err(push(f, "k", "bb", OXBOW_WAIT_FOREVER), OXBOW_ETOOBIG);
    assert_err(oxbow_list_push_wait(f->db, NULL, none, NULL), OXBOW_EINVAL);
    assert_err(oxbow_stream_add_wait(f->db, NULL, NULL, NULL), OXBOW_EINVAL);
}

static void pushes_go_on_in_the_order_of_arrival(void **state)
{
    struct fixture *f = *state;
    struct pusher p[4] = {{0}};

    set(f, "k", one);
    assert_ok(push(f, "k", "0", 0));
    for (unsigned i = 0; i < 4; i++) {
        pusher_start(&p[i], f, i + 1, false);
    }
    for (unsigned i = 0; i < 5; i++) {
        char want[8];

        snprintf(want, sizeof want, "%u", i);
        until_waiting(f->db, i < 4 ? 4 - i : 0);
        assert_string_equal(pop(f, 1), want);
    }
    for (unsigned i = 0; i < 4; i++) {
        pusher_join(&p[i], OXBOW_OK);
    }
}

static void room_for_several_lets_several_in(void **state)
{
    struct fixture *f = *state;
    struct pusher p[3] = {{0}};
    struct oxbow_policy three = {.max_entries = 3, .on_full = OXBOW_POLICY_BLOCK};

    set(f, "k", three);
    for (unsigned i = 0; i < 3; i++) {
        assert_ok(push(f, "k", "x", 0));
    }
    for (unsigned i = 0; i < 3; i++) {
        pusher_start(&p[i], f, i + 1, false);
    }
    assert_string_equal(pop(f, 3), "x x x");
    for (unsigned i = 0; i < 3; i++) {
        pusher_join(&p[i], OXBOW_OK);
    }
    assert_string_equal(pop(f, 3), "1 2 3");
}

/* What removes from the stream "k" of two entries, each in its way. */
enum removal { BY_DELETE, BY_TRIM, BY_KEY, BY_RENAME, BY_FLUSH, BY_SWAP, BY_ACK, REMOVALS };

static void take(struct fixture *f, enum removal how)
{
    const struct oxbow_group g = {bytes_of("k"), bytes_of("g")};
    const struct oxbow_stream_trim to_one = {.by = OXBOW_TRIM_MAXLEN, .maxlen = 0};
    struct oxbow_stream_info info;
    uint64_t n;

    fixture_begin(f);
    assert_ok(oxbow_stream_info(f->txn, bytes_of("k"), &info));
    switch (how) {
    case BY_DELETE:
        assert_ok(oxbow_stream_delete(f->txn, bytes_of("k"), &info.recorded_first_id, 1, &n));
        break;
    case BY_TRIM:
        assert_ok(oxbow_stream_trim(f->txn, bytes_of("k"), &to_one, &n));
        break;
    case BY_KEY:
        assert_ok(oxbow_key_delete(f->txn, bytes_of("k"), NULL));
        break;
    case BY_RENAME:
        assert_ok(oxbow_key_rename(f->txn, bytes_of("k"), bytes_of("k2"), false));
        break;
    case BY_FLUSH:
        assert_ok(oxbow_key_flush(f->txn));
        break;
    case BY_SWAP:
        assert_ok(oxbow_key_swap(f->txn, 0, 1));
        break;
    case BY_ACK:
    default:
        assert_ok(oxbow_group_ack(f->txn, g, &info.recorded_first_id, 1, &n));
        assert_int_equal(n, 1);
    }
    fixture_commit(f);
}

static void whatever_removes_from_a_stream_lets_an_append_in(void **state)
{
    struct fixture *f = *state;
    const struct oxbow_group g = {bytes_of("k"), bytes_of("g")};
    const struct oxbow_group_create_options made = {.make_stream = true};

    set(f, "k", one);
    for (unsigned how = 0; how < REMOVALS; how++) {
        struct pusher p = {0};

        fixture_begin(f);
        assert_ok(oxbow_key_flush(f->txn));
        assert_ok(oxbow_group_create(f->txn, g, &made));
        fixture_commit(f);
        assert_ok(add(f, "k", 0, 0));
        fixture_begin(f);
        assert_ok(oxbow_group_read(f->txn, g, bytes_of("c"), NULL, &f->result));
        fixture_commit(f);
        pusher_start(&p, f, 1, true);
        take(f, (enum removal)how);
        pusher_join(&p, OXBOW_OK);
    }
}

static void a_full_destination_of_a_binding_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct pusher p = {0};
    uint64_t len;

    set(f, "d", (struct oxbow_policy){.max_entries = 1, .on_full = OXBOW_POLICY_BLOCK});
    set(f, "e", (struct oxbow_policy){.max_entries = 1});
    fixture_begin(f);
    assert_ok(oxbow_bind(
        f->txn, &(struct oxbow_binding){.source = bytes_of("k"), .destination = bytes_of("d")},
        NULL));
    fixture_commit(f);
    assert_ok(add(f, "k", 0, 0));
    assert_err(add(f, "k", 30, 0), OXBOW_ETIMEDOUT);
    pusher_start(&p, f, 1, true);
    fixture_begin(f);
    assert_ok(oxbow_stream_trim(f->txn, bytes_of("d"),
                                &(struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN}, NULL));
    fixture_commit(f);
    pusher_join(&p, OXBOW_OK);
    fixture_begin(f);
    assert_ok(oxbow_stream_len(f->txn, bytes_of("k"), &len));
    assert_int_equal(len, 2);
    assert_ok(oxbow_stream_len(f->txn, bytes_of("d"), &len));
    assert_int_equal(len, 1);
    assert_ok(oxbow_bind(
        f->txn, &(struct oxbow_binding){.source = bytes_of("x"), .destination = bytes_of("e")},
        NULL));
    fixture_commit(f);
    assert_ok(add(f, "x", 0, 0));
    assert_err(add(f, "x", 1000000, 0), OXBOW_EFULL); /* one that refuses is not */
    /* The stream itself, then the destination. */
    set(f, "k", (struct oxbow_policy){.max_entries = 2, .on_full = OXBOW_POLICY_BLOCK});
    pusher_start(&p, f, 1, true);
    fixture_begin(f);
    assert_ok(oxbow_stream_trim(f->txn, bytes_of("k"),
                                &(struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN}, NULL));
    fixture_commit(f);
    nap_ms(50);
    fixture_begin(f);
    assert_ok(oxbow_stream_trim(f->txn, bytes_of("d"),
                                &(struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN}, NULL));
    fixture_commit(f);
    pusher_join(&p, OXBOW_OK);
}

static void one_that_waits_can_be_canceled(void **state)
{
    struct fixture *f = *state;
    struct pusher p = {0};
    size_t count;

    set(f, "k", one);
    assert_ok(add(f, "k", 0, 0));
    pusher_start(&p, f, 1, true);
    assert_ok(oxbow_wait_cancel(f->db, 7, &count));
    assert_int_equal(count, 1);
    pusher_join(&p, OXBOW_ECANCELED);
}

static void a_pop_that_aborts_lets_nobody_in(void **state)
{
    struct fixture *f = *state;
    struct pusher p = {0};

    set(f, "k", one);
    assert_ok(push(f, "k", "a", 0));
    pusher_start(&p, f, 1, false);
    fixture_begin(f);
    assert_ok(oxbow_list_pop(f->txn, bytes_of("k"), OXBOW_LEFT, 1, &f->result));
    fixture_abort(f);
    nap_ms(20);
    until_waiting(f->db, 1);
    assert_string_equal(pop(f, 1), "a");
    pusher_join(&p, OXBOW_OK);
    assert_string_equal(pop(f, 1), "1");
}

static void those_who_wait_for_room_and_for_elements_pass_all_on(void **state)
{
    struct fixture *f = *state;
    struct oxbow_bytes k = bytes_of("k");
    const struct oxbow_list_pop_options pops = {.keys = &k, .key_count = 1, .end = OXBOW_LEFT};
    const struct oxbow_wait_options opt = {.timeout_ms = 20000};
    struct pusher p[8] = {{0}};

    set(f, "k", one);
    assert_ok(push(f, "k", "0", 0));
    for (unsigned i = 0; i < 8; i++) {
        pusher_start(&p[i], f, i + 1, false);
    }
    for (unsigned i = 0; i <= 8; i++) {
        assert_ok(oxbow_list_pop_wait(f->db, &opt, &pops, NULL, &f->result));
    }
    for (unsigned i = 0; i < 8; i++) {
        pusher_join(&p[i], OXBOW_OK);
    }
    fixture_begin(f);
    assert_err(oxbow_list_pop(f->txn, k, OXBOW_LEFT, 1, &f->result), OXBOW_ENOENT);
    fixture_commit(f);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_push_that_finds_no_room_times_out),
        T(one_that_refuses_is_not_waited_for),
        T(pushes_go_on_in_the_order_of_arrival),
        T(room_for_several_lets_several_in),
        T(whatever_removes_from_a_stream_lets_an_append_in),
        T(a_full_destination_of_a_binding_is_waited_for),
        T(one_that_waits_can_be_canceled),
        T(a_pop_that_aborts_lets_nobody_in),
        T(those_who_wait_for_room_and_for_elements_pass_all_on),
    };

    return cmocka_run_group_tests_name("wait_add", tests, NULL, NULL);
}
