/* SPDX-License-Identifier: Apache-2.0 */
/* Records of schedules: their bytes, where they wait, and what is damaged. */
#include "engine/queue/schedule.h"

#include "tests/queue/stream_fixture.h"

static const struct schedule some = {.name = {"name", 4},
                                     .type = OXBOW_TYPE_LIST,
                                     .end = OXBOW_RIGHT,
                                     .missed = OXBOW_MISSED_ALL,
                                     .database = 5,
                                     .missed_max = 0x0102,
                                     .offset_min = -60,
                                     .late_ms = 0x0304,
                                     .when = {"@daily", 6},
                                     .key = {"key", 3},
                                     .payload = {"payload", 7}};
static const struct schedule_state stands = {.wall = true,
                                             .why = OXBOW_EFULL,
                                             .next_ms = 0x1000,
                                             .last_ms = 0x0fff,
                                             .at_ms = 0x0ffe,
                                             .added = 3,
                                             .missed = 2,
                                             .refused = 1};

static struct oxbow_bytes raw(struct streams *f, const char *key, size_t len)
{
    struct oxbow_bytes value;

    assert_ok(kv_get(f->txn, (struct oxbow_bytes){key, len}, &value));
    return value;
}

static bool there(struct streams *f, const char *key, size_t len)
{
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(f->txn, (struct oxbow_bytes){key, len}, &value);

    assert_true(err == OXBOW_OK || err == OXBOW_ENOENT);
    return err == OXBOW_OK;
}

#define PLACE                                                                                      \
    "\x3c"                                                                                         \
    "w\0\0\0\0\0\0\x10\0name"
#define PLACE_LEN 14u

static void the_bytes_are_those_of_the_format(void **state)
{
    static const uint8_t want[] = {
        1, 1, 1,   2,   5,   0,   0,   0,   2,   1,   0,   0,   100, 5,   0,   0,   4,   3,  0,
        0, 0, 0,   0,   0,   6,   0,   3,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,  0,
        0, 0, '@', 'd', 'a', 'i', 'l', 'y', 'k', 'e', 'y', 'p', 'a', 'y', 'l', 'o', 'a', 'd'};
    static const uint8_t want_state[SCHEDULE_STATE_BYTES] = {
        1,  2, OXBOW_EFULL, 0, 0, 0, 0, 0,    0,  16, 0, 0, 0, 0, 0, 0, 0xff,
        15, 0, 0,           0, 0, 0, 0, 0xfe, 15, 0,  0, 0, 0, 0, 0, 3, 0,
        0,  0, 0,           0, 0, 0, 2, 0,    0,  0,  0, 0, 0, 0, 1};
    struct streams *f = *state;
    struct oxbow_bytes value;

    assert_ok(schedule_put(f->txn, &some));
    value = raw(f,
                "\x3c"
                "cname",
                6);
    assert_int_equal(value.len, sizeof want);
    assert_memory_equal(value.data, want, sizeof want);
    assert_ok(schedule_state_put(f->txn, some.name, &stands, NULL));
    value = raw(f,
                "\x3c"
                "sname",
                6);
    assert_int_equal(value.len, sizeof want_state);
    assert_memory_equal(value.data, want_state, sizeof want_state);
    assert_int_equal(raw(f, PLACE, PLACE_LEN).len, 0);
}

static void what_is_written_is_read(void **state)
{
    struct streams *f = *state;
    struct schedule_state st;
    struct schedule s;
    struct buf copy;

    assert_ok(schedule_put(f->txn, &some));
    assert_ok(schedule_dup(f->txn, some.name, &s, &copy));
    assert_int_equal(s.type, OXBOW_TYPE_LIST);
    assert_int_equal(s.end, OXBOW_RIGHT);
    assert_int_equal(s.missed, OXBOW_MISSED_ALL);
    assert_int_equal(s.database, 5);
    assert_int_equal(s.missed_max, some.missed_max);
    assert_int_equal(s.offset_min, -60);
    assert_int_equal(s.late_ms, some.late_ms);
    assert_int_equal(s.when.len, 6);
    assert_memory_equal(s.key.data, "key", 3);
    assert_memory_equal(s.payload.data, "payload", 7);
    buf_fini(&copy);
    assert_ok(schedule_state_put(f->txn, some.name, &stands, NULL));
    assert_ok(schedule_state_get(f->txn, some.name, &st));
    assert_true(st.wall && !st.paused);
    assert_int_equal(st.why, OXBOW_EFULL);
    assert_int_equal(st.next_ms, stands.next_ms);
    assert_int_equal(st.last_ms, stands.last_ms);
    assert_int_equal(st.at_ms, stands.at_ms);
    assert_int_equal(st.added, 3);
    assert_int_equal(st.missed, 2);
    assert_int_equal(st.refused, 1);
}

static void a_schedule_waits_in_one_place_and_a_paused_one_in_none(void **state)
{
    struct streams *f = *state;
    char name[OXBOW_SCHEDULE_NAME_MAX + 1];
    struct schedule_state was = stands;
    struct schedule_state st = stands;
    uint64_t next = 0;

    assert_err(schedule_first(f->txn, true, name, &next), OXBOW_ENOENT);
    assert_ok(schedule_state_put(f->txn, some.name, &st, NULL));
    st.next_ms = 0x0800;
    assert_ok(schedule_state_put(f->txn, some.name, &st, &was));
    assert_false(there(f, PLACE, PLACE_LEN));
    assert_ok(schedule_first(f->txn, true, name, &next));
    assert_string_equal(name, "name");
    assert_int_equal(next, 0x0800);
    assert_err(schedule_first(f->txn, false, name, &next), OXBOW_ENOENT);
    was = st;
    st.wall = false;
    assert_ok(schedule_state_put(f->txn, some.name, &st, &was));
    assert_err(schedule_first(f->txn, true, name, &next), OXBOW_ENOENT);
    assert_ok(schedule_first(f->txn, false, name, &next));
    was = st;
    st.paused = true;
    assert_ok(schedule_state_put(f->txn, some.name, &st, &was));
    assert_err(schedule_first(f->txn, false, name, &next), OXBOW_ENOENT);
    st = was;
    assert_ok(schedule_state_put(f->txn, some.name, &st, NULL));
    assert_ok(schedule_put(f->txn, &some));
    assert_ok(schedule_del(f->txn, some.name));
    assert_err(schedule_first(f->txn, false, name, &next), OXBOW_ENOENT);
    assert_err(schedule_state_get(f->txn, some.name, &st), OXBOW_ENOENT);
}

static void the_earliest_comes_first_and_names_are_in_order(void **state)
{
    static const char *const names[] = {"c", "a",
                                        "b.long-name_0123456789-0123456789-0123456789-123", "bb"};
    static const char *const order[] = {"a", "b.long-name_0123456789-0123456789-0123456789-123",
                                        "bb", "c"};
    struct streams *f = *state;
    char name[OXBOW_SCHEDULE_NAME_MAX + 1] = "";
    uint64_t next = 0;

    for (unsigned i = 0; i < 4; i++) {
        struct schedule s = some;
        struct schedule_state st = stands;

        s.name = text_bytes(names[i]);
        st.next_ms = 100 - i;
        assert_ok(schedule_put(f->txn, &s));
        assert_ok(schedule_state_put(f->txn, s.name, &st, NULL));
    }
    assert_ok(schedule_first(f->txn, true, name, &next));
    assert_string_equal(name, "bb");
    assert_int_equal(next, 97);
    name[0] = '\0';
    for (unsigned i = 0; i < 4; i++) {
        assert_ok(schedule_next_name(f->txn, name));
        assert_string_equal(name, order[i]);
    }
    assert_err(schedule_next_name(f->txn, name), OXBOW_ENOENT);
}

static void a_record_that_makes_no_sense_is_damage(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {{0, 2}, {1, 3}, {2, 2}, {3, 3}, {4, 16}, {24, 60}, {26, 60}, {25, 1}};
    struct streams *f = *state;
    struct oxbow_bytes value;
    struct schedule_state st;
    struct schedule s;
    struct buf copy;
    uint8_t bytes[64];
    size_t len;

    assert_ok(schedule_put(f->txn, &some));
    value = raw(f,
                "\x3c"
                "cname",
                6);
    len = value.len;
    memcpy(bytes, value.data, len);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint8_t was = bytes[wrong[i].at];

        bytes[wrong[i].at] = wrong[i].value;
        assert_ok(kv_put(f->txn,
                         BYTES("\x3c"
                               "cname"),
                         (struct oxbow_bytes){bytes, len}));
        assert_err(schedule_get(f->txn, some.name, &s), OXBOW_ECORRUPT);
        assert_err(schedule_dup(f->txn, some.name, &s, &copy), OXBOW_ECORRUPT);
        bytes[wrong[i].at] = was;
    }
    assert_ok(kv_put(f->txn,
                     BYTES("\x3c"
                           "cname"),
                     (struct oxbow_bytes){bytes, SCHEDULE_FIXED - 1}));
    assert_err(schedule_get(f->txn, some.name, &s), OXBOW_ECORRUPT);
    assert_ok(kv_put(f->txn,
                     BYTES("\x3c"
                           "sname"),
                     (struct oxbow_bytes){bytes, 10}));
    assert_err(schedule_state_get(f->txn, some.name, &st), OXBOW_ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
        TEST(the_bytes_are_those_of_the_format),
        TEST(what_is_written_is_read),
        TEST(a_schedule_waits_in_one_place_and_a_paused_one_in_none),
        TEST(the_earliest_comes_first_and_names_are_in_order),
        TEST(a_record_that_makes_no_sense_is_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
