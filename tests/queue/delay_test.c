/* SPDX-License-Identifier: Apache-2.0 */
/* Delayed entries as callers see them, and bad input. */
#include "oxbow/delay.h"

#include "tests/queue/stream_fixture.h"

#define YEAR (366u * 86400000ull)

static struct oxbow_delay_id push(struct streams *f, const char *key, enum oxbow_delay_by by,
                                  uint64_t ms, const char *value)
{
    const struct oxbow_delay_when when = {by, ms};
    struct oxbow_delay_id id;

    assert_ok(
        oxbow_delay_push(f->txn, text_bytes(key), OXBOW_RIGHT, &when, text_bytes(value), &id));
    return id;
}

/* Lets time pass; what is due then is added. */
static void pass(struct streams *f, uint64_t ms)
{
    bool more = true;

    streams_commit(f);
    rig_pass_ms(&f->rig, ms);
    streams_begin(f);
    while (more) {
        assert_ok(oxbow_delay_run(f->txn, 0, NULL, &more));
    }
}

static void expect(struct streams *f, const char *key, const char *want)
{
    static char got[4096];
    size_t len = 0;

    assert_ok(oxbow_list_range(f->txn, text_bytes(key), 0, -1, &f->result));
    got[0] = '\0';
    for (size_t i = 0; i < f->result.item_count; i++) {
        const struct oxbow_bytes *item = &f->result.items[i];

        len += (size_t)snprintf(got + len, sizeof got - len, "%s%.*s", i > 0 ? " " : "",
                                (int)item->len, (const char *)item->data);
    }
    assert_string_equal(got, want);
}

static struct oxbow_delay_stat stat_of(struct streams *f)
{
    struct oxbow_delay_stat stat;

    assert_ok(oxbow_delay_stat(f->txn, &stat));
    return stat;
}

static void entries_come_when_they_are_due_and_in_that_order(void **state)
{
    struct streams *f = *state;

    push(f, "l", OXBOW_DELAY_FOR, 300, "c");
    push(f, "l", OXBOW_DELAY_FOR, 100, "a");
    push(f, "l", OXBOW_DELAY_FOR, 200, "b1");
    push(f, "l", OXBOW_DELAY_FOR, 200, "b2");
    expect(f, "l", "");
    pass(f, 99);
    expect(f, "l", "");
    pass(f, 1);
    expect(f, "l", "a");
    assert_int_equal(stat_of(f).waiting, 3);
    pass(f, 200);
    expect(f, "l", "a b1 b2 c");
    assert_int_equal(stat_of(f).waiting, 0);
    assert_int_equal(stat_of(f).bytes, 0);
    assert_int_equal(stat_of(f).added, 4);
}

static void a_stream_gets_the_fields_and_gives_an_id_of_that_moment(void **state)
{
    struct streams *f = *state;
    const struct oxbow_field fields[] = {{text_bytes("a"), text_bytes("1")},
                                         {text_bytes("b"), text_bytes("")}};
    const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, 5000};
    struct oxbow_delay_id id;
    uint64_t wall = f->rig.wall_ms;
    uint64_t len;

    assert_ok(oxbow_delay_add(f->txn, text_bytes("s"), &when, fields, 2, &id));
    assert_ok(oxbow_delay_get(f->txn, id, &f->result));
    assert_int_equal(f->result.entry_count, 1);
    assert_int_equal(f->result.entries[0].field_count, 2);
    assert_ok(oxbow_stream_len(f->txn, text_bytes("s"), &len));
    assert_int_equal(len, 0);
    pass(f, 5000);
    assert_ok(oxbow_stream_range(f->txn, text_bytes("s"),
                                 &(struct oxbow_stream_range){.to = OXBOW_ID_MAX}, &f->result));
    assert_int_equal(f->result.entry_count, 1);
    assert_int_equal(f->result.entries[0].id.ms, wall + 5000);
    assert_int_equal(f->result.entries[0].field_count, 2);
    assert_memory_equal(f->result.entries[0].fields[1].name.data, "b", 1);
    assert_err(oxbow_delay_get(f->txn, id, &f->result), OXBOW_ENOENT);
}

static void entries_of_many_fields_and_of_many_bytes_come_whole(void **state)
{
    struct streams *f = *state;
    const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, 10};
    static struct oxbow_field fields[1000];
    static char big[900000];

    memset(big, 'x', sizeof big);
    for (size_t i = 0; i < 1000; i++) {
        fields[i] = (struct oxbow_field){text_bytes("name"), text_bytes("value")};
    }
    assert_ok(oxbow_delay_add(f->txn, text_bytes("s"), &when, fields, 1000, NULL));
    fields[0].value = (struct oxbow_bytes){big, sizeof big};
    assert_ok(oxbow_delay_add(f->txn, text_bytes("s"), &when, fields, 1, NULL));
    pass(f, 10);
    assert_ok(oxbow_stream_range(f->txn, text_bytes("s"),
                                 &(struct oxbow_stream_range){.to = OXBOW_ID_MAX}, &f->result));
    assert_int_equal(f->result.entry_count, 2);
    assert_int_equal(f->result.entries[0].field_count, 1000);
    assert_int_equal(f->result.entries[1].fields[0].value.len, sizeof big);
}

static void what_is_canceled_never_comes(void **state)
{
    struct streams *f = *state;
    struct oxbow_delay_id a = push(f, "l", OXBOW_DELAY_FOR, 100, "a");
    struct oxbow_delay_id b = push(f, "l", OXBOW_DELAY_WALL, f->rig.wall_ms + 100, "b");

    push(f, "l", OXBOW_DELAY_FOR, 100, "c");
    assert_ok(oxbow_delay_cancel(f->txn, a));
    assert_ok(oxbow_delay_cancel(f->txn, b));
    assert_err(oxbow_delay_cancel(f->txn, a), OXBOW_ENOENT);
    pass(f, 1000);
    expect(f, "l", "c");
    assert_int_equal(stat_of(f).bytes, 0);
}

static void an_entry_can_be_given_another_time(void **state)
{
    struct streams *f = *state;
    struct oxbow_delay_id a = push(f, "l", OXBOW_DELAY_FOR, 100, "a");
    struct oxbow_delay_when when = {OXBOW_DELAY_FOR, 500};
    struct oxbow_delay_id later;

    push(f, "l", OXBOW_DELAY_FOR, 300, "b");
    assert_ok(oxbow_delay_move(f->txn, a, &when, &later));
    assert_int_equal(later.number, a.number);
    assert_err(oxbow_delay_move(f->txn, a, &when, NULL), OXBOW_ENOENT);
    pass(f, 400);
    expect(f, "l", "b");
    when = (struct oxbow_delay_when){OXBOW_DELAY_WALL, f->rig.wall_ms + 50};
    assert_ok(oxbow_delay_move(f->txn, later, &when, &later));
    pass(f, 49);
    expect(f, "l", "b");
    pass(f, 1);
    expect(f, "l", "b a");
}

static void due_by_the_wall_clock_waits_until_it_is_set(void **state)
{
    struct streams *f = *state;
    uint64_t due = f->rig.wall_ms + 3600000;

    push(f, "l", OXBOW_DELAY_WALL, due, "w");
    push(f, "l", OXBOW_DELAY_FOR, 3600000, "m");
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.wall_ms = 1000; /* it wakes in 1970 */
    f->rig.mono_us = 0;
    rig_open(&f->rig);
    streams_begin(f);
    pass(f, 7200000);
    expect(f, "l", "m");
    f->rig.wall_ms = due - 1;
    pass(f, 0);
    expect(f, "l", "m");
    f->rig.wall_ms = due + 56 * YEAR; /* not believed */
    pass(f, 0);
    expect(f, "l", "m");
    f->rig.wall_ms = due + 86400000; /* late, but once it knows */
    pass(f, 0);
    expect(f, "l", "m w");
}

static void jumps_of_the_wall_clock_make_nothing_due_by_the_stores_clock(void **state)
{
    struct streams *f = *state;

    push(f, "l", OXBOW_DELAY_FOR, 1000, "a");
    f->rig.wall_ms += 56 * YEAR;
    pass(f, 500);
    expect(f, "l", "");
    f->rig.wall_ms -= 56 * YEAR;
    pass(f, 499);
    expect(f, "l", "");
    pass(f, 1);
    expect(f, "l", "a");
}

static void those_that_wait_are_listed_in_their_order(void **state)
{
    struct streams *f = *state;
    static const char *const want[] = {"b", "a", "c"};
    struct oxbow_delay_place place = {0};
    struct oxbow_delay_info info;
    size_t n = 0;

    push(f, "a", OXBOW_DELAY_FOR, 200, "xx");
    push(f, "c", OXBOW_DELAY_WALL, 5, "xx"); /* wall clock last, whenever it is due */
    push(f, "b", OXBOW_DELAY_FOR, 100, "xx");
    while (n < 3 && oxbow_delay_next(f->txn, &place, &info) == OXBOW_OK) {
        assert_memory_equal(info.key.data, want[n], 1);
        assert_int_equal(info.bytes, 2);
        assert_int_equal(info.wall, n == 2);
        assert_int_equal(info.type, OXBOW_TYPE_LIST);
        assert_int_equal(info.end, OXBOW_RIGHT);
        assert_int_equal(info.tries, 0);
        n++;
    }
    assert_int_equal(n, 3);
    assert_err(oxbow_delay_next(f->txn, &place, &info), OXBOW_ENOENT);
}

static void an_aborted_transaction_leaves_no_trace(void **state)
{
    struct streams *f = *state;
    struct oxbow_delay_id kept = push(f, "l", OXBOW_DELAY_FOR, 100, "a");

    streams_commit(f);
    streams_begin(f);
    assert_ok(oxbow_delay_cancel(f->txn, kept));
    push(f, "l", OXBOW_DELAY_FOR, 50, "b");
    streams_abort(f);
    streams_begin(f);
    assert_int_equal(stat_of(f).waiting, 1);
    pass(f, 100);
    expect(f, "l", "a");
}

static void bad_input_is_refused_and_changes_nothing(void **state)
{
    struct streams *f = *state;
    const struct oxbow_bytes key = text_bytes("l");
    const struct oxbow_field field = {text_bytes("f"), text_bytes("v")};
    struct oxbow_delay_when when = {OXBOW_DELAY_FOR, OXBOW_DELAY_MS_MAX};
    static char big[OXBOW_DELAY_BYTES_MAX + 1];
    struct oxbow_delay_place place = {0};
    struct oxbow_delay_info info;
    struct oxbow_delay_id id;

    assert_ok(oxbow_delay_push(f->txn, key, OXBOW_LEFT, &when, text_bytes(""), &id));
    assert_ok(oxbow_delay_cancel(f->txn, id));
    when.ms++;
    assert_err(oxbow_delay_push(f->txn, key, OXBOW_LEFT, &when, text_bytes(""), &id), OXBOW_EINVAL);
    when.ms = 0;
    assert_err(oxbow_delay_push(f->txn, key, (enum oxbow_end)2, &when, text_bytes(""), &id),
               OXBOW_EINVAL);
    assert_err(oxbow_delay_push(f->txn, key, OXBOW_LEFT, NULL, text_bytes(""), &id), OXBOW_EINVAL);
    assert_err(oxbow_delay_add(f->txn, key, &when, NULL, 1, &id), OXBOW_EINVAL);
    assert_err(oxbow_delay_add(f->txn, key, &when, &field, 0, &id), OXBOW_EINVAL);
    when.by = (enum oxbow_delay_by)3;
    assert_err(oxbow_delay_add(f->txn, key, &when, &field, 1, &id), OXBOW_EINVAL);
    when = (struct oxbow_delay_when){OXBOW_DELAY_WALL, UINT64_MAX};
    assert_err(oxbow_delay_add(f->txn, key, &when, &field, 1, &id), OXBOW_EINVAL);
    when = (struct oxbow_delay_when){OXBOW_DELAY_CLOCK, UINT64_MAX};
    assert_err(oxbow_delay_add(f->txn, key, &when, &field, 1, &id), OXBOW_EINVAL);
    when.ms = 0;
    assert_err(oxbow_delay_push(f->txn, key, OXBOW_LEFT, &when,
                                (struct oxbow_bytes){big, OXBOW_DELAY_BYTES_MAX}, &id),
               OXBOW_ETOOBIG);
    assert_err(oxbow_delay_push(f->txn, (struct oxbow_bytes){big, OXBOW_DELAY_NAME_MAX + 1},
                                OXBOW_LEFT, &when, text_bytes(""), &id),
               OXBOW_ETOOBIG);
    assert_err(oxbow_delay_move(f->txn, id, NULL, NULL), OXBOW_EINVAL);
    assert_err(oxbow_delay_next(f->txn, NULL, &info), OXBOW_EINVAL);
    assert_err(oxbow_delay_next(f->txn, &place, NULL), OXBOW_EINVAL);
    assert_err(oxbow_delay_get(f->txn, id, NULL), OXBOW_EINVAL);
    assert_err(oxbow_delay_stat(f->txn, NULL), OXBOW_EINVAL);
    assert_err(oxbow_delay_get(f->txn, (struct oxbow_delay_id){0, 0}, &f->result), OXBOW_ENOENT);
    assert_int_equal(stat_of(f).waiting, 0);
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_delay_add(f->txn, key, &when, &field, 1, &id), OXBOW_EREADONLY);
    assert_err(oxbow_delay_cancel(f->txn, id), OXBOW_EREADONLY);
    assert_err(oxbow_delay_move(f->txn, id, &when, NULL), OXBOW_EREADONLY);
    assert_err(oxbow_delay_run(f->txn, 0, NULL, NULL), OXBOW_EREADONLY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(entries_come_when_they_are_due_and_in_that_order),
        TEST(a_stream_gets_the_fields_and_gives_an_id_of_that_moment),
        TEST(entries_of_many_fields_and_of_many_bytes_come_whole),
        TEST(what_is_canceled_never_comes),
        TEST(an_entry_can_be_given_another_time),
        TEST(due_by_the_wall_clock_waits_until_it_is_set),
        TEST(jumps_of_the_wall_clock_make_nothing_due_by_the_stores_clock),
        TEST(those_that_wait_are_listed_in_their_order),
        TEST(an_aborted_transaction_leaves_no_trace),
        TEST(bad_input_is_refused_and_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
