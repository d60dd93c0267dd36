/* SPDX-License-Identifier: Apache-2.0 */
/* Names of keys that have expired are told once, in order, of committed transactions alone; what does not
 * fit is counted. */
#include "engine/store/expired.h"

#include "tests/queue/fixture.h"

#include <stdlib.h>

static void note(struct fixture *f, const char *name)
{
    expired_note(f->txn, bytes_of(name));
}

static void assert_next(struct fixture *f, const char *want, uint32_t database, uint64_t lost)
{
    struct oxbow_expired told;

    assert_ok(oxbow_expired_next(f->txn, &told, &f->result));
    assert_items(f, want);
    assert_int_equal(told.database, database);
    assert_int_equal(told.lost, lost);
}

static void assert_none(struct fixture *f, uint64_t lost)
{
    struct oxbow_expired told;

    assert_err(oxbow_expired_next(f->txn, &told, &f->result), OXBOW_ENOENT);
    assert_int_equal(told.lost, lost);
}

static void again(struct fixture *f)
{
    fixture_commit(f);
    fixture_begin(f);
}

static void names_are_told_once_the_transaction_has_committed(void **state)
{
    struct fixture *f = *state;
    uint64_t count;

    note(f, "nobody watches");
    again(f);
    assert_ok(oxbow_expired_watch(f->txn, 1000));
    assert_none(f, 0);
    note(f, "a");
    assert_ok(oxbow_txn_select(f->txn, 5));
    note(f, "b");
    assert_none(f, 0);
    again(f);
    note(f, "c");
    assert_next(f, "a", 0, 0);
    assert_next(f, "b", 5, 0);
    assert_none(f, 0);
    fixture_abort(f);
    fixture_begin(f);
    assert_none(f, 0);
    assert_ok(oxbow_expired_count(f->txn, &count));
    assert_int_equal(count, 3);
    assert_err(oxbow_expired_count(f->txn, NULL), OXBOW_EINVAL);
    assert_err(oxbow_expired_watch(f->txn, OXBOW_EXPIRED_BYTES_MIN - 1), OXBOW_EINVAL);
    assert_err(oxbow_expired_watch(f->txn, OXBOW_EXPIRED_BYTES_MAX + 1), OXBOW_EINVAL);
    note(f, "d");
    again(f);
    assert_ok(oxbow_expired_watch(f->txn, 0));
    assert_none(f, 0);
}

static void what_does_not_fit_is_counted(void **state)
{
    struct fixture *f = *state;
    char name[OXBOW_EXPIRED_BYTES_MIN];

    assert_ok(oxbow_expired_watch(f->txn, OXBOW_EXPIRED_BYTES_MIN));
    memset(name, 'x', sizeof name);
    expired_note(f->txn, (struct oxbow_bytes){name, sizeof name - 4});
    expired_note(f->txn, (struct oxbow_bytes){name, sizeof name - 5});
    note(f, "no room");
    again(f);
    note(f, "nor here");
    again(f);
    name[sizeof name - 5] = '\0';
    assert_next(f, name, 0, 3);
    assert_none(f, 0);
    note(f, "");
    again(f);
    assert_next(f, "", 0, 0);
}

/* Against a list of what must come, through many turns of the ring. */
static void the_ring_goes_round(void **state)
{
    struct fixture *f = *state;
    uint64_t rng = fixture_seed();
    unsigned in = 0;
    unsigned out = 0;
    char name[64];

    assert_ok(oxbow_expired_watch(f->txn, 300));
    for (int round = 0; round < 2000; round++) {
        unsigned n = (unsigned)(fixture_random(&rng) % 4);
        bool keep = fixture_random(&rng) % 4 != 0;

        for (unsigned i = 0; i < n; i++) {
            snprintf(name, sizeof name, "%0*u", 1 + (int)((in + i) * 7 % 40), in + i);
            note(f, name);
        }
        if (keep) {
            in += n;
            again(f);
        } else {
            fixture_abort(f);
            fixture_begin(f);
        }
        while (in - out > 3 || (out < in && fixture_random(&rng) % 2 == 0)) {
            snprintf(name, sizeof name, "%0*u", 1 + (int)(out * 7 % 40), out);
            assert_next(f, name, 0, 0);
            out++;
        }
    }
    assert_true(in > 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(names_are_told_once_the_transaction_has_committed),
        TEST(what_does_not_fit_is_counted),
        TEST(the_ring_goes_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
