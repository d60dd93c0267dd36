/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/queue/priority_walk.h"
#include "oxbow/upgrade.h"
#include "tests/queue/priority_fixture.h"

/* How many chunks the index of a priority has. */
static size_t chunks(struct streams *f, uint8_t level)
{
    uint8_t want[KV_KEY_MAX];
    struct oxbow_bytes key, value;
    struct kv_cursor c;
    struct stream s;
    size_t count = 0;
    enum oxbow_err err;

    assert_ok(stream_find(f->txn, BYTES("s"), &s));
    assert_ok(kv_cursor_init(&c, f->txn));
    err = kv_cursor_seek(&c, index_key(want, &s, level, OXBOW_ID_MIN), &key, &value);
    while (err == OXBOW_OK && index_key_like(key, want)) {
        count++;
        err = kv_cursor_next(&c, &key, &value);
    }
    kv_cursor_fini(&c);
    return count;
}

static void a_priority_that_the_queue_does_not_have_is_refused(void **state)
{
    struct streams *f = *state;
    struct oxbow_policy p = {.priorities = OXBOW_PRIORITIES_MAX + 1};

    assert_err(try_put(f, 1, 1), OXBOW_EINVAL);
    assert_err(oxbow_policy_set(f->txn, BYTES("s"), &p), OXBOW_EINVAL);
    priorities(f, OXBOW_PRIORITIES_MAX, 0, 0);
    assert_err(try_put(f, 1, OXBOW_PRIORITIES_MAX), OXBOW_EINVAL);
    assert_err(try_put(f, 1, UINT32_MAX), OXBOW_EINVAL);
    assert_ok(try_put(f, 1, OXBOW_PRIORITIES_MAX - 1));
    priorities(f, 1, 0, 0);
    assert_err(try_put(f, 2, 1), OXBOW_EINVAL);
    assert_ok(try_put(f, 2, 0));
    assert_string_equal(streams_all(f, "s"), "1-0{f=v} 2-0{f=v}");
}

static void a_stream_without_priorities_has_no_index(void **state)
{
    struct streams *f = *state;
    struct stream s;

    priorities(f, 1, 0, 0);
    put_all(f, 1, "000");
    assert_ok(stream_find(f->txn, BYTES("s"), &s));
    assert_false(s.priorities);
    assert_int_equal(chunks(f, 0), 0);
    priorities(f, 2, 0, 0);
    assert_int_equal(chunks(f, 0), 0);
    put_all(f, 4, "01");
    assert_int_equal(chunks(f, 0), 1);
    assert_int_equal(chunks(f, 1), 1);
}

static void the_store_notes_that_it_uses_them(void **state)
{
    struct streams *f = *state;
    struct oxbow_format before, after;

    priorities(f, 1, 0, 0);
    assert_ok(oxbow_format(f->txn, &before));
    priorities(f, 2, 0, 0);
    assert_ok(oxbow_format(f->txn, &after));
    assert_int_equal(after.used[OXBOW_FEATURE_NEEDS] & ~before.used[OXBOW_FEATURE_NEEDS], 2);
}

static void a_trim_takes_the_index_along(void **state)
{
    struct streams *f = *state;
    struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MAXLEN, .maxlen = 100};
    struct oxbow_stream_priorities info;

    priorities(f, 2, 0, 0);
    for (uint64_t ms = 1; ms <= 20000; ms++) {
        assert_ok(try_put(f, ms, ms % 4 == 0));
    }
    assert_true(chunks(f, 0) > 20);
    assert_ok(oxbow_stream_trim(f->txn, BYTES("s"), &trim, NULL));
    assert_true(chunks(f, 0) <= 3);
    assert_true(chunks(f, 1) <= 3);
    assert_ok(oxbow_stream_priorities(f->txn, BYTES("s"), &info));
    assert_int_equal(info.entries[0], 75);
    assert_int_equal(info.entries[1], 25);
    trim.maxlen = 0;
    assert_ok(oxbow_stream_trim(f->txn, BYTES("s"), &trim, NULL));
    put_all(f, 20001, "01");
    group_make_at(f, "g", OXBOW_ID_MIN);
    assert_string_equal(take(f, "g", 0), "20002 20001");
}

/* One entry of the lowest priority is never read, and thousands go past it. */
static void what_is_deleted_behind_one_that_starves_leaves_nothing(void **state)
{
    struct streams *f = *state;

    priorities(f, 2, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    assert_ok(try_put(f, 1, 0));
    for (uint64_t ms = 2; ms <= 5000; ms++) {
        struct oxbow_id id = ID(ms, 0);
        enum oxbow_delete_outcome outcome;
        struct oxbow_group_ack_delete_options opt = {.ids = &id, .count = 1};

        assert_ok(try_put(f, ms, 1));
        (void)take(f, "g", 1);
        assert_int_equal(f->result.entry_count, 1);
        assert_id(f->result.entries[0].id, streams_id(id));
        assert_ok(oxbow_group_ack_delete(f->txn, group_of("s", "g"), &opt, &outcome));
        assert_int_equal(outcome, OXBOW_DELETE_DONE);
    }
    assert_int_equal(chunks(f, 1), 1);
    assert_string_equal(take(f, "g", 2), "1");
}

static void ids_that_come_again_are_found(void **state)
{
    struct streams *f = *state;
    struct oxbow_stream_trim none = {.by = OXBOW_TRIM_MAXLEN};
    struct oxbow_stream_set_id_options back = {.last_id = ID(3, 0)};

    priorities(f, 2, 0, 0);
    put_all(f, 1, "0101010101");
    assert_ok(oxbow_stream_trim(f->txn, BYTES("s"), &none, NULL));
    assert_ok(oxbow_stream_set_id(f->txn, BYTES("s"), &back));
    put_all(f, 4, "01101");
    group_make_at(f, "g", OXBOW_ID_MIN);
    assert_string_equal(take(f, "g", 0), "5 6 8 4 7");
    for (uint64_t ms = 4; ms <= 8; ms++) {
        struct oxbow_id id = ID(ms, 0);
        uint64_t removed;

        assert_ok(oxbow_stream_delete(f->txn, BYTES("s"), &id, 1, &removed));
        assert_int_equal(removed, 1);
    }
}

static void ids_far_apart_are_kept(void **state)
{
    struct streams *f = *state;
    static const uint64_t at[] = {1, 2, 1ull << 61, 1ull << 63, UINT64_MAX - 1, UINT64_MAX};

    priorities(f, 2, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        assert_ok(try_put(f, at[i], 1));
    }
    streams_reopen(f);
    (void)take(f, "g", 0);
    assert_int_equal(f->result.entry_count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_true(f->result.entries[i].id.ms == at[i]);
        assert_ok(oxbow_stream_delete(f->txn, BYTES("s"), &f->result.entries[i].id, 1, NULL));
    }
}

static void an_abort_takes_all_of_it_back(void **state)
{
    struct streams *f = *state;

    group_make_at(f, "g", OXBOW_ID_MIN);
    put_all(f, 1, "0");
    streams_commit(f);
    streams_begin(f);
    priorities(f, 2, 0, 0);
    put_all(f, 2, "10");
    assert_string_equal(take(f, "g", 1), "2");
    streams_abort(f);
    streams_begin(f);
    assert_err(try_put(f, 2, 1), OXBOW_EINVAL);
    assert_string_equal(take(f, "g", 0), "1");
}

static void long_entries_have_priorities(void **state)
{
    struct streams *f = *state;
    static const char bytes[70000];

    priorities(f, 2, 0, 0);
    group_make_at(f, "g", OXBOW_ID_MIN);
    for (uint64_t ms = 1; ms <= 6; ms++) {
        struct oxbow_field field = {BYTES("f"), {bytes, ms < 4 ? 5000 : sizeof bytes}};
        struct oxbow_stream_add_options opt = {
            .id_mode = OXBOW_ID_EXPLICIT, .id = {ms, 0}, .priority = ms % 2};

        assert_ok(oxbow_stream_add(f->txn, BYTES("s"), &opt, &field, 1, NULL));
    }
    assert_string_equal(take(f, "g", 0), "1 3 5 2 4 6");
}

static void a_deleted_queue_takes_them_along_and_its_name_keeps_them(void **state)
{
    struct streams *f = *state;
    struct oxbow_bytes key = BYTES("s");
    priorities(f, 2, 0, 0);
    put_all(f, 1, "01");
    assert_ok(oxbow_key_delete(f->txn, key, NULL));
    put_all(f, 1, "01");
    group_make_at(f, "g", OXBOW_ID_MIN);
    assert_string_equal(take(f, "g", 0), "2 1");
}

static void a_store_of_level_one_has_none(void **state)
{
    struct streams *f = *state;
    struct oxbow_policy p = {.priorities = 2};

    streams_abort(f);
    rig_fini(&f->rig);
    rig_init(&f->rig, OXBOW_SYNC_INTERVAL);
    f->rig.config.level = 1;
    rig_open(&f->rig);
    streams_begin(f);
    assert_err(oxbow_policy_set(f->txn, BYTES("s"), &p), OXBOW_ELEVEL);
    assert_ok(try_put(f, 1, 0));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_priority_that_the_queue_does_not_have_is_refused),
        TEST(a_stream_without_priorities_has_no_index),
        TEST(the_store_notes_that_it_uses_them),
        TEST(a_trim_takes_the_index_along),
        TEST(what_is_deleted_behind_one_that_starves_leaves_nothing),
        TEST(ids_that_come_again_are_found),
        TEST(ids_far_apart_are_kept),
        TEST(an_abort_takes_all_of_it_back),
        TEST(long_entries_have_priorities),
        TEST(a_deleted_queue_takes_them_along_and_its_name_keeps_them),
        TEST(a_store_of_level_one_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
