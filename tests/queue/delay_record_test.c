/* SPDX-License-Identifier: Apache-2.0 */
/* Records of delayed entries: their bytes, and what is refused or damaged. */
#include "engine/queue/delay.h"

#include "tests/queue/stream_fixture.h"

static const struct delay some = {.id = {1000, 7},
                                  .type = OXBOW_TYPE_LIST,
                                  .end = OXBOW_RIGHT,
                                  .tries = 3,
                                  .refused = OXBOW_EFULL,
                                  .database = 5,
                                  .made_ms = 0x0102030405060708,
                                  .name = {"name", 4},
                                  .payload = {"payload", 7}};

static void the_bytes_are_those_of_the_format(void **state)
{
    static const uint8_t want[] = {1,   1,   1,   3,   40,  0,   5,   0,   8,   7,   6,  5,
                                   4,   3,   2,   1,   4,   0,   0,   0,   0,   0,   0,  0,
                                   'n', 'a', 'm', 'e', 'p', 'a', 'y', 'l', 'o', 'a', 'd'};
    struct streams *f = *state;
    uint8_t key[DELAY_KEY_BYTES];
    struct oxbow_bytes value;

    assert_ok(delay_put(f->txn, &some));
    assert_int_equal(delay_key(key, false, some.id).len, DELAY_KEY_BYTES);
    assert_memory_equal(key,
                        "\x30"
                        "d\0\0\0\0\0\0\x03\xe8\0\0\0\0\0\0\0\x07",
                        DELAY_KEY_BYTES);
    assert_ok(kv_get(f->txn, (struct oxbow_bytes){key, sizeof key}, &value));
    assert_int_equal(value.len, sizeof want);
    assert_memory_equal(value.data, want, sizeof want);
}

static void what_is_written_is_found_by_either_clock(void **state)
{
    struct streams *f = *state;
    struct delay d = some;
    struct delay got;
    struct buf copy;

    d.wall = true;
    assert_ok(delay_put(f->txn, &d));
    assert_ok(delay_find(f->txn, some.id, &got, &copy));
    assert_true(got.wall);
    assert_int_equal(got.tries, 3);
    assert_int_equal(got.refused, OXBOW_EFULL);
    assert_int_equal(got.database, 5);
    assert_int_equal(got.made_ms, some.made_ms);
    assert_int_equal(got.payload.len, 7);
    assert_memory_equal(got.payload.data, "payload", 7);
    buf_fini(&copy);
    assert_ok(delay_del(f->txn, &got));
    assert_err(delay_find(f->txn, some.id, &got, &copy), OXBOW_ENOENT);
}

static void a_record_that_makes_no_sense_is_damage(void **state)
{
    uint8_t good[DELAY_FIXED + 4] = {1, 1, 0, 0, 0, 0, 15};
    const struct {
        size_t at;
        uint8_t value;
    } bad[] = {{0, 0}, {0, 2}, {1, 0}, {1, 3}, {2, 2}, {6, 16}, {16, 5}, {17, 1}};
    struct delay d;

    (void)state;
    good[16] = 4;
    assert_ok(delay_decode((struct oxbow_bytes){good, sizeof good}, &d));
    assert_int_equal(d.payload.len, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t was = good[bad[i].at];

        good[bad[i].at] = bad[i].value;
        assert_err(delay_decode((struct oxbow_bytes){good, sizeof good}, &d), OXBOW_ECORRUPT);
        good[bad[i].at] = was;
    }
    for (size_t len = 0; len < sizeof good; len++) {
        assert_err(delay_decode((struct oxbow_bytes){good, len}, &d), OXBOW_ECORRUPT);
    }
}

static void the_next_one_is_found_and_no_key_of_others_taken_for_one(void **state)
{
    struct streams *f = *state;
    struct delay d = some;
    struct delay got;

    assert_err(delay_first(f->txn, false, (struct oxbow_delay_id){0, 0}, &got), OXBOW_ENOENT);
    assert_ok(kv_put(f->txn,
                     (struct oxbow_bytes){"\x30"
                                          "d",
                                          2},
                     (struct oxbow_bytes){"", 0}));
    assert_ok(kv_put(f->txn,
                     (struct oxbow_bytes){"\x30"
                                          "e",
                                          2},
                     (struct oxbow_bytes){"", 0}));
    assert_err(delay_first(f->txn, false, (struct oxbow_delay_id){0, 0}, &got), OXBOW_ENOENT);
    for (uint64_t due = 5; due <= 3000000000u; due *= 7) {
        d.id = (struct oxbow_delay_id){due, due % 3 + 1};
        assert_ok(delay_put(f->txn, &d));
    }
    got.id = (struct oxbow_delay_id){0, 0};
    for (uint64_t due = 5; due <= 3000000000u; due *= 7) {
        assert_ok(delay_first(f->txn, false, got.id, &got));
        assert_int_equal(got.id.due_ms, due);
        assert_int_equal(got.id.number, due % 3 + 1);
    }
    assert_err(delay_first(f->txn, false, got.id, &got), OXBOW_ENOENT);
}

static void the_counters_are_kept(void **state)
{
    struct streams *f = *state;
    const struct delay_count count = {1, 2, 3, 4, 5};
    struct delay_count got;

    assert_ok(delay_count_get(f->txn, &got));
    assert_int_equal(got.newest, 0);
    assert_ok(delay_count_put(f->txn, &count));
    assert_ok(delay_count_get(f->txn, &got));
    assert_memory_equal(&got, &count, sizeof got);
    assert_ok(kv_put(f->txn, (struct oxbow_bytes){"\x30n", 2}, (struct oxbow_bytes){"short", 5}));
    assert_err(delay_count_get(f->txn, &got), OXBOW_ECORRUPT);
    streams_abort(f);
    streams_begin(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_bytes_are_those_of_the_format),
        TEST(what_is_written_is_found_by_either_clock),
        TEST(a_record_that_makes_no_sense_is_damage),
        TEST(the_next_one_is_found_and_no_key_of_others_taken_for_one),
        TEST(the_counters_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
