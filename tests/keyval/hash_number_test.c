/* SPDX-License-Identifier: Apache-2.0 */
/* Fields that are numbers with a fraction. */
#include "oxbow/hash.h"

#include "tests/queue/stream_fixture.h"

static const struct oxbow_bytes key = {"h", 1};

static void assert_sum(struct streams *f, const char *by, const char *want)
{
    assert_ok(oxbow_hash_add_float(f->txn, key, BYTES("n"), text_bytes(by), &f->result));
    assert_int_equal(f->result.items[0].len, strlen(want));
    assert_memory_equal(f->result.items[0].data, want, strlen(want));
    assert_ok(oxbow_hash_get(f->txn, key, BYTES("n"), &f->result));
    assert_memory_equal(f->result.items[0].data, want, strlen(want));
}

static void assert_refused(struct streams *f, const char *value, const char *by,
                           enum oxbow_err want)
{
    const struct oxbow_field fv = {BYTES("n"), text_bytes(value)};

    assert_ok(oxbow_hash_set(f->txn, key, &fv, 1, NULL));
    assert_err(oxbow_hash_add_float(f->txn, key, BYTES("n"), text_bytes(by), &f->result), want);
    assert_ok(oxbow_hash_get(f->txn, key, BYTES("n"), &f->result));
    assert_memory_equal(f->result.items[0].data, value, strlen(value));
}

static void a_field_is_added_to_and_what_is_no_number_stays(void **state)
{
    struct streams *f = *state;

    assert_sum(f, "1.5", "1.5");
    assert_sum(f, "-0.25", "1.25");
    assert_sum(f, "1e3", "1001.25");
    assert_refused(f, "x", "1", OXBOW_EPARSE);
    assert_refused(f, "1", "x", OXBOW_EPARSE);
    assert_refused(f, "1", "", OXBOW_EPARSE);
    assert_refused(f, "1", "inf", OXBOW_ERANGE);
    assert_err(oxbow_hash_add_float(f->txn, key, BYTES("n"), BYTES("1"), NULL), OXBOW_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_field_is_added_to_and_what_is_no_number_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
