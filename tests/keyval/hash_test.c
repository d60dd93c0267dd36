/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes by the book, each command once; what comes of many is hash_model_test's. */
#include "oxbow/hash.h"

#include "engine/store/kv.h"

#include "oxbow/upgrade.h"
#include "tests/queue/stream_fixture.h"

static const struct oxbow_bytes key = {"h", 1};

static uint64_t set(struct streams *f, const char *field, const char *value)
{
    const struct oxbow_field fv = {text_bytes(field), text_bytes(value)};
    uint64_t added = 99;

    assert_ok(oxbow_hash_set(f->txn, key, &fv, 1, &added));
    return added;
}

static void assert_item(const struct streams *f, size_t i, const char *want)
{
    assert_true(i < f->result.item_count);
    assert_int_equal(f->result.items[i].len, strlen(want));
    assert_memory_equal(f->result.items[i].data, want, strlen(want));
}

static void assert_value(struct streams *f, const char *field, const char *want)
{
    assert_ok(oxbow_hash_get(f->txn, key, text_bytes(field), &f->result));
    assert_item(f, 0, want);
}

/* They are added in another order than they come in, but for those of one name. */
static void of_many_fields_the_last_of_a_name_stays(void **state)
{
    enum { NAMES = 50, TIMES = 4 };
    static struct oxbow_field all[NAMES * TIMES];
    static char text[NAMES * TIMES][2][16];
    struct streams *f = *state;
    uint64_t n;

    for (int i = 0; i < NAMES * TIMES; i++) {
        snprintf(text[i][0], sizeof text[i][0], "f%d", i % NAMES);
        snprintf(text[i][1], sizeof text[i][1], "%d", i);
        all[i] = (struct oxbow_field){text_bytes(text[i][0]), text_bytes(text[i][1])};
    }
    assert_ok(oxbow_hash_set(f->txn, key, all, NAMES * TIMES, &n));
    assert_int_equal(n, NAMES);
    for (int i = 0; i < NAMES; i++) {
        assert_value(f, text[i][0], text[NAMES * (TIMES - 1) + i][1]);
    }
}

static void a_field_is_what_was_set_last(void **state)
{
    const struct oxbow_field three[] = {
        {BYTES("a"), BYTES("1")}, {BYTES(""), BYTES("")}, {BYTES("a"), BYTES("2")}};
    struct streams *f = *state;
    enum oxbow_type type;
    uint64_t n;

    assert_err(oxbow_hash_get(f->txn, key, BYTES("a"), &f->result), OXBOW_ENOENT);
    assert_ok(oxbow_hash_set(f->txn, key, three, 3, &n));
    assert_int_equal(n, 2);
    assert_value(f, "a", "2");
    assert_value(f, "", "");
    assert_err(oxbow_hash_get(f->txn, key, BYTES("b"), &f->result), OXBOW_ENOENT);
    assert_int_equal(set(f, "a", "three"), 0);
    streams_reopen(f);
    assert_value(f, "a", "three");
    assert_ok(oxbow_hash_count(f->txn, key, &n));
    assert_int_equal(n, 2);
    assert_ok(oxbow_key_type(f->txn, key, &type));
    assert_int_equal(type, OXBOW_TYPE_HASH);
    assert_ok(oxbow_hash_value_len(f->txn, key, BYTES("a"), &n));
    assert_int_equal(n, 5);
    assert_ok(oxbow_hash_value_len(f->txn, key, BYTES("b"), &n));
    assert_int_equal(n, 0);
    assert_ok(oxbow_hash_value_len(f->txn, BYTES("none"), BYTES("b"), &n));
    assert_int_equal(n, 0);
}

static void a_field_is_set_only_when_it_is_new_if_so_asked(void **state)
{
    struct streams *f = *state;
    bool done;

    assert_ok(oxbow_hash_set_new(f->txn, key, BYTES("a"), BYTES("1"), &done));
    assert_true(done);
    assert_ok(oxbow_hash_set_new(f->txn, key, BYTES("a"), BYTES("2"), &done));
    assert_false(done);
    assert_value(f, "a", "1");
}

static void a_hash_goes_with_its_last_field(void **state)
{
    const struct oxbow_bytes fields[] = {BYTES("a"), BYTES("a"), BYTES("x"), BYTES("b")};
    struct streams *f = *state;
    uint64_t n;
    bool has;

    assert_ok(oxbow_hash_delete(f->txn, key, fields, 4, &n));
    assert_int_equal(n, 0);
    set(f, "a", "1");
    set(f, "b", "2");
    assert_ok(oxbow_hash_has(f->txn, key, BYTES("b"), &has));
    assert_true(has);
    assert_ok(oxbow_hash_delete(f->txn, key, fields, 3, &n));
    assert_int_equal(n, 1);
    assert_ok(oxbow_hash_has(f->txn, key, BYTES("a"), &has));
    assert_false(has);
    assert_ok(oxbow_hash_delete(f->txn, key, fields, 4, NULL));
    assert_ok(oxbow_key_count(f->txn, &n));
    assert_int_equal(n, 0);
    assert_ok(oxbow_hash_has(f->txn, key, BYTES("b"), &has));
    assert_false(has);
}

static void several_fields_are_read_at_once(void **state)
{
    const struct oxbow_bytes fields[] = {BYTES("b"), BYTES("x"), BYTES("a"), BYTES("b")};
    struct streams *f = *state;
    bool present[4] = {true, true, true, true};

    assert_ok(oxbow_hash_get_many(f->txn, key, fields, 4, present, &f->result));
    assert_int_equal(f->result.item_count, 4);
    assert_false(present[0] || present[1] || present[2] || present[3]);
    set(f, "a", "1");
    set(f, "b", "");
    assert_ok(oxbow_hash_get_many(f->txn, key, fields, 4, present, &f->result));
    assert_int_equal(f->result.item_count, 4);
    assert_true(present[0] && !present[1] && present[2] && present[3]);
    assert_item(f, 0, "");
    assert_item(f, 2, "1");
}

static void all_fields_values_or_both_are_given(void **state)
{
    static const enum oxbow_hash_what what[] = {OXBOW_HASH_FIELDS, OXBOW_HASH_VALUES,
                                                OXBOW_HASH_BOTH};
    struct streams *f = *state;

    for (size_t i = 0; i < 3; i++) {
        assert_ok(oxbow_hash_get_all(f->txn, BYTES("none"), what[i], &f->result));
        assert_int_equal(f->result.item_count, 0);
    }
    set(f, "field", "value");
    assert_ok(oxbow_hash_get_all(f->txn, key, OXBOW_HASH_FIELDS, &f->result));
    assert_int_equal(f->result.item_count, 1);
    assert_item(f, 0, "field");
    assert_ok(oxbow_hash_get_all(f->txn, key, OXBOW_HASH_VALUES, &f->result));
    assert_int_equal(f->result.item_count, 1);
    assert_item(f, 0, "value");
    assert_ok(oxbow_hash_get_all(f->txn, key, OXBOW_HASH_BOTH, &f->result));
    assert_int_equal(f->result.item_count, 2);
    assert_item(f, 1, "value");
}

static void whole_numbers_are_added_to(void **state)
{
    static const char *const bad[] = {"",    "x",
                                      "1.0", " 1",
                                      "1 ",  "+1",
                                      "01",  "9223372036854775808",
                                      "-0",  "a text that is too long to be a number"};
    struct streams *f = *state;
    int64_t v = 0;

    assert_ok(oxbow_hash_add(f->txn, key, BYTES("n"), -7, &v));
    assert_int_equal(v, -7);
    assert_ok(oxbow_hash_add(f->txn, key, BYTES("n"), INT64_MIN + 7, &v));
    assert_true(v == INT64_MIN);
    assert_err(oxbow_hash_add(f->txn, key, BYTES("n"), -1, &v), OXBOW_ERANGE);
    assert_ok(oxbow_hash_add(f->txn, key, BYTES("n"), INT64_MAX, NULL));
    assert_value(f, "n", "-1");
    set(f, "n", "9223372036854775807");
    assert_err(oxbow_hash_add(f->txn, key, BYTES("n"), 1, &v), OXBOW_ERANGE);
    assert_value(f, "n", "9223372036854775807");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        set(f, "n", bad[i]);
        assert_err(oxbow_hash_add(f->txn, key, BYTES("n"), 1, &v), OXBOW_EPARSE);
        assert_value(f, "n", bad[i]);
    }
}

static void a_scan_gives_every_field_once_and_goes_on_after_a_restart(void **state)
{
    struct streams *f = *state;
    bool seen[1000] = {false};
    uint64_t cursor = 0;
    unsigned calls = 0;

    for (unsigned i = 0; i < 1000; i++) {
        char text[8];

        snprintf(text, sizeof text, "%u", i);
        set(f, text, text);
    }
    do {
        assert_ok(oxbow_hash_scan(f->txn, key, &cursor, calls % 2 == 0 ? 0 : 100, &f->result));
        for (size_t i = 0; i < f->result.item_count; i += 2) {
            unsigned n = 0;

            assert_int_equal(f->result.items[i].len, f->result.items[i + 1].len);
            for (size_t k = 0; k < f->result.items[i].len; k++) {
                n = n * 10 + (unsigned)(((const char *)f->result.items[i].data)[k] - '0');
            }
            assert_false(seen[n]);
            seen[n] = true;
        }
        if (++calls == 5) {
            streams_reopen(f);
        }
    } while (cursor != 0);
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(seen[i]);
    }
    assert_in_range(calls, 18, 20);
    assert_err(oxbow_hash_scan(f->txn, key, &cursor, OXBOW_HASH_SCAN_MAX + 1, &f->result),
               OXBOW_EINVAL);
    cursor = 5; /* a key that went during a scan ends it */
    assert_ok(oxbow_hash_scan(f->txn, BYTES("none"), &cursor, 1, &f->result));
    assert_int_equal(f->result.item_count, 0);
    assert_int_equal(cursor, 0);
}

static void fields_are_picked_by_chance(void **state)
{
    struct streams *f = *state;

    assert_ok(oxbow_hash_random(f->txn, key, 3, OXBOW_HASH_FIELDS, &f->result));
    assert_int_equal(f->result.item_count, 0);
    set(f, "a", "1");
    set(f, "b", "2");
    set(f, "c", "3");
    assert_ok(oxbow_hash_random(f->txn, key, 2, OXBOW_HASH_FIELDS, &f->result));
    assert_int_equal(f->result.item_count, 2);
    assert_memory_not_equal(f->result.items[0].data, f->result.items[1].data, 1);
    assert_ok(oxbow_hash_random(f->txn, key, 10, OXBOW_HASH_BOTH, &f->result));
    assert_int_equal(f->result.item_count, 6);
    assert_ok(oxbow_hash_random(f->txn, key, -10, OXBOW_HASH_FIELDS, &f->result));
    assert_int_equal(f->result.item_count, 10);
    assert_ok(oxbow_hash_random(f->txn, key, 0, OXBOW_HASH_FIELDS, &f->result));
    assert_int_equal(f->result.item_count, 0);
    assert_err(oxbow_hash_random(f->txn, key, INT64_MIN, OXBOW_HASH_FIELDS, &f->result),
               OXBOW_ERANGE);
}

static void bad_input_is_refused_and_changes_nothing(void **state)
{
    const struct oxbow_bytes null = {NULL, 1};
    const struct oxbow_bytes big = {
        "", (size_t)txn_entry_bytes_max(((struct streams *)*state)->txn) + 1};
    const struct oxbow_field bad[] = {{null, BYTES("v")}, {BYTES("f"), null}};
    const struct oxbow_field long_one[] = {{big, BYTES("v")}, {BYTES("f"), big}};
    const struct oxbow_bytes element = BYTES("e");
    struct streams *f = *state;
    uint64_t n;
    bool b;

    for (size_t i = 0; i < 2; i++) {
        assert_err(oxbow_hash_set(f->txn, key, &bad[i], 1, &n), OXBOW_EINVAL);
        assert_err(oxbow_hash_set(f->txn, key, &long_one[i], 1, &n), OXBOW_ETOOBIG);
    }
    assert_err(oxbow_hash_set(f->txn, key, NULL, 1, &n), OXBOW_EINVAL);
    assert_err(oxbow_hash_set(f->txn, key, bad, 0, &n), OXBOW_EINVAL);
    assert_err(oxbow_hash_set_new(f->txn, key, BYTES("f"), BYTES("v"), NULL), OXBOW_EINVAL);
    assert_err(oxbow_hash_delete(f->txn, key, &null, 1, &n), OXBOW_EINVAL);
    assert_err(oxbow_hash_get(f->txn, key, null, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_hash_get(f->txn, key, element, NULL), OXBOW_EINVAL);
    assert_err(oxbow_hash_has(f->txn, key, null, &b), OXBOW_EINVAL);
    assert_err(oxbow_hash_count(f->txn, null, &n), OXBOW_EINVAL);
    assert_err(oxbow_hash_get_all(f->txn, key, (enum oxbow_hash_what)4, &f->result), OXBOW_EINVAL);
    assert_ok(oxbow_key_count(f->txn, &n));
    assert_int_equal(n, 0);
    assert_ok(oxbow_list_push(f->txn, key, OXBOW_RIGHT, &element, 1, NULL));
    assert_err(oxbow_hash_set(f->txn, key, &(struct oxbow_field){element, element}, 1, &n),
               OXBOW_EWRONGTYPE);
    assert_err(oxbow_hash_get(f->txn, key, element, &f->result), OXBOW_EWRONGTYPE);
    assert_err(oxbow_hash_add(f->txn, key, element, 1, NULL), OXBOW_EWRONGTYPE);
    assert_err(oxbow_hash_delete(f->txn, key, &element, 1, &n), OXBOW_EWRONGTYPE);
    assert_err(oxbow_hash_count(f->txn, key, &n), OXBOW_EWRONGTYPE);
}

static void a_small_hash_is_one_record(void **state)
{
    struct streams *f = *state;
    struct oxbow_stat before;
    struct oxbow_stat after;

    set(f, "warm", "up"); /* the database's own records */
    streams_reopen(f);
    oxbow_stat(f->rig.db, &before);
    assert_ok(oxbow_hash_set(f->txn, BYTES("job"),
                             (const struct oxbow_field[]){{BYTES("state"), BYTES("waiting")},
                                                          {BYTES("tries"), BYTES("3")}},
                             2, NULL));
    streams_reopen(f);
    oxbow_stat(f->rig.db, &after);
    assert_int_equal(after.keys - before.keys, 2); /* and its name */
}

static void a_big_hash_that_is_deleted_is_reaped_in_steps(void **state)
{
    static char value[70000];
    struct streams *f = *state;
    struct oxbow_stat stat;
    uint64_t before;

    set(f, "warm", "up");
    streams_reopen(f);
    oxbow_stat(f->rig.db, &stat);
    before = stat.keys;
    for (unsigned i = 0; i < 20000; i++) {
        char text[16];
        struct oxbow_field fv = {{text, (size_t)snprintf(text, sizeof text, "%u", i)},
                                 {value, i % 2000 == 0 ? sizeof value : i % 100}};

        assert_ok(oxbow_hash_set(f->txn, BYTES("big"), &fv, 1, NULL));
        if (i % 1000 == 0) {
            streams_commit(f);
            streams_begin(f);
        }
    }
    assert_ok(oxbow_key_delete(f->txn, BYTES("big"), NULL));
    for (unsigned i = 0; i < 100; i++) {
        streams_reopen(f);
        oxbow_stat(f->rig.db, &stat);
        if (stat.keys == before) {
            break;
        }
    }
    assert_int_equal(stat.keys, before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(of_many_fields_the_last_of_a_name_stays),
        TEST(a_field_is_what_was_set_last),
        TEST(a_field_is_set_only_when_it_is_new_if_so_asked),
        TEST(a_hash_goes_with_its_last_field),
        TEST(several_fields_are_read_at_once),
        TEST(all_fields_values_or_both_are_given),
        TEST(whole_numbers_are_added_to),
        TEST(a_scan_gives_every_field_once_and_goes_on_after_a_restart),
        TEST(fields_are_picked_by_chance),
        TEST(bad_input_is_refused_and_changes_nothing),
        TEST(a_small_hash_is_one_record),
        TEST(a_big_hash_that_is_deleted_is_reaped_in_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
