/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/queue/priority_walk.h"
#include "tests/queue/priority_fixture.h"

static struct stream stream_of(struct streams *f)
{
    struct stream s;

    assert_ok(stream_find(f->txn, BYTES("s"), &s));
    return s;
}

static void setup(struct streams *f)
{
    priorities(f, 3, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "0120120");
    assert_string_equal(take(f, "g", 3), "3 6 2");
}

static void a_whole_index_stays(void **state)
{
    struct streams *f = *state;
    struct stream s;

    setup(f);
    s = stream_of(f);
    assert_ok(priority_mend(&s));
    put_all(f, 8, "2");
    assert_string_equal(take(f, "g", 0), "8 5 1 4 7");
}

/* What is left is given in the order of ids, nothing of it again, and what comes by priority. */
static void check_void(struct streams *f)
{
    struct stream s = stream_of(f);
    struct oxbow_stream_priorities info;

    assert_ok(priority_mend(&s));
    assert_ok(stream_save(&s));
    assert_string_equal(take(f, "g", 2), "1 4");
    put_all(f, 8, "021");
    assert_ok(oxbow_stream_priorities(f->txn, BYTES("s"), &info));
    assert_int_equal(info.entries[0], 4);
    assert_int_equal(info.entries[1], 3);
    assert_int_equal(info.entries[2], 3);
    streams_reopen(f);
    assert_string_equal(take(f, "g", 0), "9 10 5 7 8");
    for (uint64_t ms = 1; ms <= 10; ms++) {
        assert_int_equal(done(f, "g", ms), 1);
    }
    assert_int_equal(prefix(f, "g"), 10);
    for (uint64_t ms = 1; ms <= 10; ms++) {
        struct oxbow_id id = ID(ms, 0);

        assert_ok(oxbow_stream_delete(f->txn, BYTES("s"), &id, 1, NULL));
    }
}

static void an_index_that_lacks_a_chunk_is_void(void **state)
{
    struct streams *f = *state;
    uint8_t key[KV_KEY_MAX];
    struct stream s;

    setup(f);
    s = stream_of(f);
    assert_ok(kv_del(f->txn, index_key(key, &s, 1, ID(2, 0))));
    check_void(f);
}

static void an_index_that_lacks_the_end_of_a_chunk_is_void(void **state)
{
    struct streams *f = *state;
    uint8_t key[KV_KEY_MAX];
    static const uint8_t one[] = {1, 0, 0, 0, 0, 0};
    struct stream s;

    setup(f);
    s = stream_of(f);
    assert_ok(
        kv_put(f->txn, index_key(key, &s, 0, ID(1, 0)), (struct oxbow_bytes){one, sizeof one}));
    check_void(f);
}

static void an_index_without_its_record_is_void(void **state)
{
    struct streams *f = *state;
    uint8_t key[KV_KEY_MAX];
    struct stream s;

    setup(f);
    s = stream_of(f);
    assert_ok(kv_del(
        f->txn,
        (struct oxbow_bytes){key, object_key(key, s.object.id, STREAM_KIND_PRIORITIES, NULL, 0)}));
    assert_err(try_put(f, 8, 0), OXBOW_ECORRUPT);
    streams_abort(f);
    streams_begin(f);
    setup(f);
    s = stream_of(f);
    assert_ok(kv_del(
        f->txn,
        (struct oxbow_bytes){key, object_key(key, s.object.id, STREAM_KIND_PRIORITIES, NULL, 0)}));
    check_void(f);
}

static void what_was_passed_by_is_given_when_the_index_is_void(void **state)
{
    struct streams *f = *state;
    struct stream s;
    uint8_t key[KV_KEY_MAX];
    unsigned seen = 0;

    priorities(f, 2, OXBOW_PRIORITY_WEIGHT(0, 3) | OXBOW_PRIORITY_WEIGHT(1, 1), 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "110001");
    assert_string_equal(take(f, "g", 4), "1 3 4 5");
    s = stream_of(f);
    assert_ok(kv_del(f->txn, index_key(key, &s, 1, ID(1, 0))));
    assert_ok(priority_mend(&s));
    put_all(f, 7, "10");
    assert_string_equal(take(f, "g", 2), "7 2");
    s = stream_of(f); /* and once more, while something of it is left */
    assert_ok(kv_del(f->txn, index_key(key, &s, 1, ID(7, 0))));
    assert_ok(priority_mend(&s));
    put_all(f, 9, "1");
    (void)take(f, "g", 0);
    for (size_t i = 0; i < f->result.entry_count; i++) {
        seen |= 1u << f->result.entries[i].id.ms;
    }
    assert_int_equal(seen & ~(1u << 7), 1u << 6 | 1u << 8 | 1u << 9); /* 7 may come again */
    assert_string_equal(take(f, "g", 0), "");
}

/* A group that has lost its places is given again what lies beyond the last that it has all of. */
static void a_group_without_its_places_goes_on(void **state)
{
    struct streams *f = *state;
    uint8_t key[KV_KEY_MAX];
    struct stream s;
    static const uint8_t number[] = {0, 0, 0, 1};

    setup(f);
    s = stream_of(f);
    assert_ok(
        kv_del(f->txn, (struct oxbow_bytes){key, object_key(key, s.object.id, STREAM_KIND_SERVED,
                                                            number, sizeof number)}));
    assert_string_equal(take(f, "g", 0), "3 6 2 5 1 4 7");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_whole_index_stays),
        TEST(an_index_that_lacks_a_chunk_is_void),
        TEST(an_index_that_lacks_the_end_of_a_chunk_is_void),
        TEST(an_index_without_its_record_is_void),
        TEST(what_was_passed_by_is_given_when_the_index_is_void),
        TEST(a_group_without_its_places_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
