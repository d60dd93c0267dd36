/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in an entry, in a record of their own, and in a blob: one reading for all. */
#include "engine/keyval/outside.h"

#include "tests/queue/stream_fixture.h"

#define OBJECT 8u
#define LONG   ((size_t)OUTSIDE_OWN_MAX + 5000)

static char bytes[LONG];

static void bytes_of_any_length_are_read_compared_and_deleted(void **state)
{
    static const size_t lens[] = {0, 1, 1000, OUTSIDE_OWN_MAX, OUTSIDE_OWN_MAX + 1, LONG};
    static char copy[LONG];
    struct streams *f = *state;

    for (size_t i = 0; i < LONG; i++) {
        bytes[i] = (char)(i * 131 >> 3);
    }
    for (size_t i = 0; i < 2 * 6; i++) {
        size_t len = lens[i % 6];
        struct oxbow_bytes in = {bytes, len};
        struct btree_ref ref = {bytes, len, 0};
        int order;

        if (i >= 6) {
            assert_ok(outside_write(f->txn, OBJECT, in, i, &ref));
            assert_true(ref.id != 0);
            streams_reopen(f);
        }
        assert_int_equal(ref.len, len);
        assert_ok(result_begin(&f->result, &f->rig.port.alloc, LONG));
        assert_ok(outside_item(f->txn, OBJECT, &ref, &f->result));
        result_finish(&f->result);
        assert_int_equal(f->result.items[0].len, len);
        assert_true(len == 0 || memcmp(f->result.items[0].data, bytes, len) == 0);
        assert_ok(outside_copy(f->txn, OBJECT, &ref, copy, len / 2));
        assert_memory_equal(copy, bytes, len / 2);
        assert_ok(outside_compare(f->txn, OBJECT, in, &ref, &order));
        assert_int_equal(order, 0);
        if (len > 0) {
            assert_ok(outside_compare(f->txn, OBJECT, (struct oxbow_bytes){bytes, len - 1}, &ref,
                                      &order));
            assert_true(order < 0);
            memcpy(copy, bytes, len);
            copy[len - 1]++;
            in.data = copy;
            assert_ok(outside_compare(f->txn, OBJECT, in, &ref, &order));
            assert_true((order > 0) == ((uint8_t)copy[len - 1] > (uint8_t)bytes[len - 1]));
        }
        assert_ok(outside_delete(f->txn, OBJECT, &ref));
        if (i >= 6) {
            assert_err(outside_copy(f->txn, OBJECT, &ref, copy, len), OXBOW_ECORRUPT);
        }
    }
}

static void bytes_that_are_longer_or_shorter_than_said_are_corrupt(void **state)
{
    struct streams *f = *state;
    struct btree_ref ref;
    char buf[100];
    int order;

    assert_ok(outside_write(f->txn, OBJECT, (struct oxbow_bytes){bytes, 90}, 3, &ref));
    ref.len = 91;
    assert_err(outside_copy(f->txn, OBJECT, &ref, buf, 91), OXBOW_ECORRUPT);
    assert_err(outside_compare(f->txn, OBJECT, BYTES("x"), &ref, &order), OXBOW_ECORRUPT);
    ref.len = 89;
    assert_err(outside_copy(f->txn, OBJECT, &ref, buf, 89), OXBOW_ECORRUPT);
    assert_ok(outside_write(f->txn, OBJECT, (struct oxbow_bytes){bytes, LONG}, 4, &ref));
    ref.len = LONG + 100000;
    assert_ok(result_begin(&f->result, &f->rig.port.alloc, SIZE_MAX));
    assert_err(outside_item(f->txn, OBJECT, &ref, &f->result), OXBOW_ECORRUPT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_of_any_length_are_read_compared_and_deleted),
        TEST(bytes_that_are_longer_or_shorter_than_said_are_corrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
