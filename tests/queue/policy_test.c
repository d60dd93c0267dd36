/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/fixture.h"

#include "engine/base/codec.h"
#include "engine/queue/policy.h"
#include "oxbow/policy.h"

#include <stdlib.h>

static const struct oxbow_policy some = {
    .max_entries = 7, .max_age_ms = 1000, .on_full = OXBOW_POLICY_DROP_OLDEST};

static void a_policy_belongs_to_a_name_and_survives_a_reopen(void **state)
{
    struct fixture *f = *state;
    struct oxbow_policy got;

    assert_err(oxbow_policy_get(f->txn, bytes_of("a"), &got), OXBOW_ENOENT);
    assert_ok(oxbow_policy_set(f->txn, bytes_of("a"), &some));
    assert_ok(oxbow_policy_get(f->txn, bytes_of("a"), &got));
    assert_memory_equal(&got, &some, sizeof got);
    assert_err(oxbow_policy_get(f->txn, bytes_of("b"), &got), OXBOW_ENOENT);
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    assert_ok(oxbow_policy_get(f->txn, bytes_of("a"), &got));
    assert_memory_equal(&got, &some, sizeof got);
    assert_ok(oxbow_txn_select(f->txn, 3));
    assert_err(oxbow_policy_get(f->txn, bytes_of("a"), &got), OXBOW_ENOENT);
}

static void a_policy_can_be_changed_and_cleared(void **state)
{
    struct fixture *f = *state;
    struct oxbow_policy other = {.keep_bytes = 1, .on_full = OXBOW_POLICY_BLOCK};
    struct oxbow_policy got;
    bool existed;

    assert_ok(oxbow_policy_set(f->txn, bytes_of("a"), &some));
    assert_ok(oxbow_policy_set(f->txn, bytes_of("a"), &other));
    assert_ok(oxbow_policy_get(f->txn, bytes_of("a"), &got));
    assert_memory_equal(&got, &other, sizeof got);
    assert_ok(oxbow_policy_clear(f->txn, bytes_of("a"), &existed));
    assert_true(existed);
    assert_err(oxbow_policy_get(f->txn, bytes_of("a"), &got), OXBOW_ENOENT);
    assert_ok(oxbow_policy_clear(f->txn, bytes_of("a"), &existed));
    assert_false(existed);
}

static void an_aborted_transaction_leaves_no_trace_of_a_policy(void **state)
{
    struct fixture *f = *state;
    struct oxbow_policy other = {.max_bytes = 5};
    struct oxbow_policy got;

    assert_ok(oxbow_policy_set(f->txn, bytes_of("a"), &some));
    fixture_commit(f);
    fixture_begin(f);
    assert_ok(oxbow_policy_set(f->txn, bytes_of("a"), &other));
    assert_ok(oxbow_policy_set(f->txn, bytes_of("b"), &other));
    assert_ok(oxbow_policy_get(f->txn, bytes_of("b"), &got));
    fixture_abort(f);
    fixture_begin(f);
    assert_err(oxbow_policy_get(f->txn, bytes_of("b"), &got), OXBOW_ENOENT);
    assert_ok(oxbow_policy_get(f->txn, bytes_of("a"), &got));
    assert_memory_equal(&got, &some, sizeof got);
    assert_ok(oxbow_policy_clear(f->txn, bytes_of("a"), NULL));
    assert_err(oxbow_policy_get(f->txn, bytes_of("a"), &got), OXBOW_ENOENT);
    fixture_abort(f);
    fixture_begin(f);
    assert_ok(oxbow_policy_get(f->txn, bytes_of("a"), &got));
}

static void names_with_a_policy_are_listed_by_database(void **state)
{
    struct fixture *f = *state;

    assert_ok(oxbow_policy_list(f->txn, &f->result));
    assert_items(f, "");
    assert_ok(oxbow_policy_set(f->txn, bytes_of("c"), &some));
    assert_ok(oxbow_policy_set(f->txn, bytes_of("a"), &some));
    assert_ok(oxbow_txn_select(f->txn, 15));
    assert_ok(oxbow_policy_set(f->txn, bytes_of("b"), &some));
    assert_ok(oxbow_policy_list(f->txn, &f->result));
    assert_items(f, "b");
    assert_ok(oxbow_txn_select(f->txn, 0));
    assert_ok(oxbow_policy_list(f->txn, &f->result));
    assert_items(f, "a c");
}

static void what_is_out_of_range_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char long_name[OXBOW_POLICY_NAME_MAX + 1] = "x";
    struct oxbow_bytes name = {long_name, OXBOW_POLICY_NAME_MAX};
    struct oxbow_policy bad = {.on_full = (enum oxbow_policy_full)3};
    struct oxbow_txn *txn;

    assert_err(oxbow_policy_set(f->txn, bytes_of("a"), &bad), OXBOW_EINVAL);
    bad = (struct oxbow_policy){.max_age_ms = UINT64_MAX};
    assert_err(oxbow_policy_set(f->txn, bytes_of("a"), &bad), OXBOW_EINVAL);
    assert_err(oxbow_policy_set(f->txn, bytes_of("a"), NULL), OXBOW_EINVAL);
    assert_err(oxbow_policy_set(f->txn, bytes_of(""), &some), OXBOW_EINVAL);
    assert_err(oxbow_policy_get(f->txn, bytes_of("a"), NULL), OXBOW_EINVAL);
    assert_err(oxbow_policy_list(f->txn, NULL), OXBOW_EINVAL);
    assert_ok(oxbow_policy_set(f->txn, name, &some));
    name.len++;
    assert_err(oxbow_policy_set(f->txn, name, &some), OXBOW_ETOOBIG);
    fixture_commit(f);
    assert_ok(oxbow_txn_begin(f->db, &(struct oxbow_txn_options){.flags = OXBOW_TXN_READ}, &txn));
    assert_err(oxbow_policy_set(txn, bytes_of("a"), &some), OXBOW_EREADONLY);
    assert_err(oxbow_policy_clear(txn, bytes_of("a"), NULL), OXBOW_EREADONLY);
    oxbow_txn_abort(txn);
}

/* The record of the first policy, from byte `at` on, as it is stored. */
static struct oxbow_bytes stored(struct fixture *f, size_t at)
{
    uint8_t key[POLICY_KEY_MAX];
    struct oxbow_bytes value;

    assert_ok(kv_get(f->txn, policy_key(key, POLICY_KEY_RECORD, 1), &value));
    assert_true(value.len >= at);
    return (struct oxbow_bytes){(const uint8_t *)value.data + at, value.len - at};
}

/* Writes a record for the name "a" with these fields, as another version would. */
static void store(struct fixture *f, const uint8_t *fields, size_t len)
{
    uint8_t value[64] = {1, 0, 1, 0, 0, 0, 0, 0, 'a'};
    uint8_t key[POLICY_KEY_MAX];

    memcpy(value + 9, fields, len);
    assert_ok(kv_put(f->txn, policy_key(key, POLICY_KEY_RECORD, 1),
                     (struct oxbow_bytes){value, 9 + len}));
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
}

static void fields_of_a_newer_version_are_kept_as_they_are(void **state)
{
    struct fixture *f = *state;
    /* max-entries 7; number 100 = 5; number 101, two bytes: hi */
    static const uint8_t fields[] = {4, 7, 0x90, 3, 5, 0x95, 3, 2, 'h', 'i'};
    static const uint8_t after[] = {4, 9, 16, 1, 0x90, 3, 5, 0x95, 3, 2, 'h', 'i'};
    struct oxbow_policy p;
    struct oxbow_bytes got;

    store(f, fields, sizeof fields);
    assert_ok(oxbow_policy_get(f->txn, bytes_of("a"), &p));
    assert_int_equal(p.max_entries, 7);
    p.max_entries = 9;
    p.on_full = OXBOW_POLICY_DROP_OLDEST;
    assert_ok(oxbow_policy_set(f->txn, bytes_of("a"), &p));
    got = stored(f, 9);
    assert_int_equal(got.len, sizeof after);
    assert_memory_equal(got.data, after, sizeof after);
}

static void a_critical_field_of_a_newer_version_is_not_passed_over(void **state)
{
    struct fixture *f = *state;
    static const uint8_t fields[] = {4, 7, 0x92, 3, 5};
    static const uint8_t word[] = {16, 3}; /* an on-full that this version does not have */
    struct oxbow_policy p;

    store(f, fields, sizeof fields);
    assert_err(oxbow_policy_get(f->txn, bytes_of("a"), &p), OXBOW_ENOTSUP);
    assert_err(oxbow_policy_set(f->txn, bytes_of("a"), &some), OXBOW_ENOTSUP);
    assert_ok(oxbow_policy_clear(f->txn, bytes_of("a"), NULL));
    assert_err(oxbow_policy_get(f->txn, bytes_of("a"), &p), OXBOW_ENOENT);
    store(f, word, sizeof word);
    assert_err(oxbow_policy_set(f->txn, bytes_of("a"), &some), OXBOW_ENOTSUP);
}

static void a_record_that_makes_no_sense_is_no_policy(void **state)
{
    struct fixture *f = *state;
    static const uint8_t cut[] = {4};
    static const uint8_t over[] = {0x95, 3, 9, 'h'};
    static const uint8_t padded[] = {4, 0x87, 0};
    struct oxbow_policy p;

    store(f, cut, sizeof cut);
    assert_err(oxbow_policy_get(f->txn, bytes_of("a"), &p), OXBOW_ENOENT);
    store(f, over, sizeof over);
    assert_err(oxbow_policy_get(f->txn, bytes_of("a"), &p), OXBOW_ENOENT);
    store(f, padded, sizeof padded);
    assert_err(oxbow_policy_get(f->txn, bytes_of("a"), &p), OXBOW_ENOENT);
    assert_ok(oxbow_list_push(f->txn, bytes_of("a"), OXBOW_RIGHT, (struct oxbow_bytes[]){{"x", 1}},
                              1, NULL));
}

static void many_names_are_found_each(void **state)
{
    struct fixture *f = *state;
    char name[16];

    for (unsigned i = 0; i < 300; i++) {
        struct oxbow_policy p = {.max_entries = i + 1};

        snprintf(name, sizeof name, "q%u", i);
        assert_ok(oxbow_policy_set(f->txn, bytes_of(name), &p));
    }
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    for (unsigned i = 0; i < 300; i++) {
        struct oxbow_policy p;

        snprintf(name, sizeof name, "q%u", i);
        assert_ok(oxbow_policy_get(f->txn, bytes_of(name), &p));
        assert_int_equal(p.max_entries, i + 1);
    }
}

static void a_name_keeps_its_policy_whatever_happens_to_the_key(void **state)
{
    struct fixture *f = *state;
    struct oxbow_bytes x = {"x", 1};
    struct oxbow_policy p;

    assert_ok(oxbow_policy_set(f->txn, bytes_of("a"), &some));
    assert_ok(oxbow_list_push(f->txn, bytes_of("a"), OXBOW_RIGHT, &x, 1, NULL));
    assert_ok(oxbow_key_rename(f->txn, bytes_of("a"), bytes_of("b"), false));
    assert_ok(oxbow_policy_get(f->txn, bytes_of("a"), &p));
    assert_err(oxbow_policy_get(f->txn, bytes_of("b"), &p), OXBOW_ENOENT);
    assert_ok(oxbow_key_rename(f->txn, bytes_of("b"), bytes_of("a"), false));
    assert_ok(oxbow_key_delete(f->txn, bytes_of("a"), NULL));
    assert_ok(oxbow_policy_get(f->txn, bytes_of("a"), &p));
    assert_ok(oxbow_key_flush(f->txn));
    assert_ok(oxbow_policy_get(f->txn, bytes_of("a"), &p));
    assert_ok(oxbow_key_swap(f->txn, 0, 1));
    assert_ok(oxbow_policy_get(f->txn, bytes_of("a"), &p));
}

static void fields_are_read_and_set_by_their_rows(void **state)
{
    size_t count;
    const struct oxbow_policy_field *rows = oxbow_policy_fields(&count);
    struct oxbow_policy p = {0};

    (void)state;
    assert_true(count >= 6);
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || rows[i].number > rows[i - 1].number);
        assert_int_equal(rows[i].kind == OXBOW_POLICY_WORD, rows[i].words != NULL);
        assert_int_equal(oxbow_policy_value(&p, &rows[i]), 0);
        assert_ok(oxbow_policy_value_set(&p, &rows[i], rows[i].max));
        assert_true(oxbow_policy_value(&p, &rows[i]) == rows[i].max);
        if (rows[i].max < UINT64_MAX) {
            assert_err(oxbow_policy_value_set(&p, &rows[i], rows[i].max + 1), OXBOW_ERANGE);
        }
    }
    assert_int_equal(p.on_full, OXBOW_POLICY_BLOCK);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_policy_belongs_to_a_name_and_survives_a_reopen),
        T(a_policy_can_be_changed_and_cleared),
        T(an_aborted_transaction_leaves_no_trace_of_a_policy),
        T(names_with_a_policy_are_listed_by_database),
        T(what_is_out_of_range_is_refused),
        T(fields_of_a_newer_version_are_kept_as_they_are),
        T(a_critical_field_of_a_newer_version_is_not_passed_over),
        T(a_record_that_makes_no_sense_is_no_policy),
        T(many_names_are_found_each),
        T(a_name_keeps_its_policy_whatever_happens_to_the_key),
        cmocka_unit_test(fields_are_read_and_set_by_their_rows),
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
