/* SPDX-License-Identifier: Apache-2.0 */
/* All records of an object, and no other's, are copied to another; what has blobs is told. */
#include "tests/queue/fixture.h"

#include "engine/store/catalog.h"

enum { RECORDS = 300 };

static struct oxbow_bytes record(uint8_t out[KV_KEY_MAX], uint64_t id, unsigned i)
{
    uint8_t tail[2] = {(uint8_t)(i >> 8), (uint8_t)i};

    return (struct oxbow_bytes){out, object_key(out, id, OBJECT_KIND_TYPE, tail, sizeof tail)};
}

static void put(struct fixture *f, uint64_t id, unsigned i)
{
    uint8_t key[KV_KEY_MAX];
    char text[64];

    snprintf(text, sizeof text, "%u of %llu", i, (unsigned long long)id);
    assert_ok(kv_put(f->txn, record(key, id, i), bytes_of(text)));
}

static void all_records_are_copied_and_no_others(void **state)
{
    struct fixture *f = *state;
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    uint64_t bytes;

    for (unsigned i = 0; i < RECORDS; i++) {
        put(f, 1000, i);
    }
    put(f, 999, 0);
    put(f, 1001, 0);
    fixture_commit(f); /* so that some lie in other tables */
    fixture_reopen(f);
    fixture_begin(f);
    put(f, 1000, RECORDS);
    assert_ok(object_bytes(f->txn, 1000, 1000000, &bytes));
    assert_in_range(bytes, (RECORDS + 1) * (12 + 9), (RECORDS + 1) * (12 + 11));
    assert_ok(object_bytes(f->txn, 1000, 100, &bytes));
    assert_in_range(bytes, 101, 200);
    assert_ok(object_bytes(f->txn, 5000, 100, &bytes));
    assert_int_equal(bytes, 0);
    assert_ok(object_copy(f->txn, 1000, 2000));
    for (unsigned i = 0; i <= RECORDS; i++) {
        char text[64];

        snprintf(text, sizeof text, "%u of 1000", i);
        assert_ok(kv_get(f->txn, record(key, 2000, i), &value));
        assert_int_equal(value.len, strlen(text));
        assert_memory_equal(value.data, text, value.len);
    }
    assert_err(kv_get(f->txn, record(key, 2000, RECORDS + 1), &value), OXBOW_ENOENT);
    assert_err(kv_get(f->txn, record(key, 2001, 0), &value), OXBOW_ENOENT);
    assert_ok(kv_get(f->txn, record(key, 1000, 7), &value));
}

static void what_has_blobs_is_told(void **state)
{
    struct fixture *f = *state;
    uint64_t bytes;
    uint64_t blob;

    put(f, 1000, 1);
    assert_ok(object_blob_write(f->txn, 1000, bytes_of("large"), &blob));
    assert_err(object_bytes(f->txn, 1000, 1000, &bytes), OXBOW_ENOTSUP);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(all_records_are_copied_and_no_others),
        TEST(what_has_blobs_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
