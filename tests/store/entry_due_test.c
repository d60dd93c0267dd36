/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines of entries that go, and those beside them that stay. */
#include "tests/queue/fixture.h"

#include "engine/base/codec.h"
#include "engine/store/entry_due.h"

#define ENTRIES 40u
#define DUE     ((uint64_t)1 << 50) /* no idle work looks at them */

static struct oxbow_id id_of(uint64_t n)
{
    return (struct oxbow_id){5, n};
}

static void give(struct fixture *f, uint64_t object, uint64_t n, size_t len)
{
    uint8_t spot[ENTRY_SPOT_KEY];
    uint8_t key[KV_KEY_MAX];
    uint8_t value[16] = {0};

    put_le64(value, DUE + n);
    assert_ok(
        kv_put(f->txn, entry_due_key(key, object, id_of(n)), (struct oxbow_bytes){value, len}));
    assert_ok(kv_put(f->txn, entry_due_spot(spot, DUE + n, object, id_of(n)),
                     (struct oxbow_bytes){"x", 1}));
}

/* Whether it has a deadline; that is so if it has a place. */
static bool has(struct fixture *f, uint64_t object, uint64_t n)
{
    uint8_t spot[ENTRY_SPOT_KEY];
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err due = kv_get(f->txn, entry_due_key(key, object, id_of(n)), &value);

    assert_int_equal(kv_get(f->txn, entry_due_spot(spot, DUE + n, object, id_of(n)), &value), due);
    assert_true(due == OXBOW_OK || due == OXBOW_ENOENT);
    return due == OXBOW_OK;
}

/* Every second entry of three objects has one. */
static int setup(void **state)
{
    struct fixture *f;

    (void)fixture_setup(state);
    f = *state;
    for (uint64_t object = 1; object <= 3; object++) {
        for (uint64_t n = 0; n < ENTRIES; n += 2) {
            give(f, object, n, n % 4 == 0 ? 8 : 16);
        }
    }
    return 0;
}

static void assert_left(struct fixture *f, uint64_t object, uint64_t from, uint64_t to)
{
    for (uint64_t n = 0; n < ENTRIES; n++) {
        assert_int_equal(has(f, object, n), n % 2 == 0 && (n < from || n > to));
    }
}

static void those_of_a_range_go_and_no_others(void **state)
{
    struct fixture *f = *state;
    bool more;

    fixture_commit(f);
    assert_ok(oxbow_flush(f->db)); /* some are below, some in the table */
    fixture_begin(f);
    give(f, 2, 12, 8);
    assert_ok(entry_due_forget(f->txn, 2, id_of(9), id_of(20), SIZE_MAX, &more));
    assert_false(more);
    assert_left(f, 1, 1, 0);
    assert_left(f, 2, 9, 20);
    assert_left(f, 3, 1, 0);
    assert_ok(entry_due_forget(f->txn, 2, id_of(9), id_of(20), SIZE_MAX, &more)); /* again */
    assert_left(f, 2, 9, 20);
    assert_ok(entry_due_forget(f->txn, 2, OXBOW_ID_MIN, OXBOW_ID_MAX, SIZE_MAX, &more));
    assert_left(f, 1, 1, 0);
    assert_left(f, 2, 0, ENTRIES);
    assert_left(f, 3, 1, 0);
}

static void one_goes_alone(void **state)
{
    struct fixture *f = *state;
    bool more;

    assert_ok(entry_due_forget(f->txn, 2, id_of(8), id_of(8), SIZE_MAX, &more));
    assert_ok(entry_due_forget(f->txn, 2, id_of(11), id_of(11), SIZE_MAX, &more)); /* has none */
    assert_false(more);
    assert_left(f, 2, 8, 8);
}

static void a_step_is_bounded(void **state)
{
    struct fixture *f = *state;
    unsigned steps = 0;
    bool more;

    do {
        assert_ok(entry_due_forget(f->txn, 3, OXBOW_ID_MIN, OXBOW_ID_MAX, 7, &more));
        steps++;
        assert_left(f, 3, 0, steps < 3 ? 14 * (uint64_t)steps - 1 : ENTRIES);
    } while (more);
    assert_int_equal(steps, 3); /* 7 + 7 + 6 */
    assert_left(f, 2, 1, 0);
}

/* Its place cannot be known: it is left, and nothing else is. */
static void one_that_makes_no_sense_goes_without_its_place(void **state)
{
    struct fixture *f = *state;
    uint8_t spot[ENTRY_SPOT_KEY];
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    bool more;

    give(f, 1, 10, 3);
    give(f, 2, 10, 3);
    assert_ok(entry_due_forget(f->txn, 1, id_of(10), id_of(10), SIZE_MAX, &more));
    assert_ok(entry_due_forget(f->txn, 2, OXBOW_ID_MIN, OXBOW_ID_MAX, SIZE_MAX, &more));
    for (uint64_t object = 1; object <= 2; object++) {
        assert_err(kv_get(f->txn, entry_due_key(key, object, id_of(10)), &value), OXBOW_ENOENT);
        assert_ok(kv_get(f->txn, entry_due_spot(spot, DUE + 10, object, id_of(10)), &value));
        assert_ok(kv_del(f->txn, (struct oxbow_bytes){spot, sizeof spot}));
    }
    assert_left(f, 1, 10, 10);
    assert_left(f, 2, 0, ENTRIES);
}

static void an_abort_brings_them_back(void **state)
{
    struct fixture *f = *state;
    bool more;

    fixture_commit(f);
    fixture_begin(f);
    assert_ok(entry_due_forget(f->txn, 2, OXBOW_ID_MIN, OXBOW_ID_MAX, SIZE_MAX, &more));
    fixture_abort(f);
    fixture_begin(f);
    assert_left(f, 2, 1, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(those_of_a_range_go_and_no_others),
        T(one_goes_alone),
        T(a_step_is_bounded),
        T(one_that_makes_no_sense_goes_without_its_place),
        T(an_abort_brings_them_back),
    };

    return cmocka_run_group_tests_name("entry_due", tests, NULL, NULL);
}
