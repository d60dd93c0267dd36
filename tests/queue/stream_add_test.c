/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

static const struct oxbow_bytes KEY = {"s", 1};
static const struct oxbow_field FIELD = {{"f", 1}, {"v", 1}};

static struct oxbow_id add_auto(struct streams *f)
{
    struct oxbow_id id;

    assert_ok(oxbow_stream_add(f->txn, KEY, NULL, &FIELD, 1, &id));
    return id;
}

static enum oxbow_err add_partial(struct streams *f, uint64_t ms, struct oxbow_id *id)
{
    struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_PARTIAL, .id = {ms, 99}};

    return oxbow_stream_add(f->txn, KEY, &opt, &FIELD, 1, id);
}

static void an_automatic_id_is_the_wall_clock_and_a_sequence(void **state)
{
    struct streams *f = *state;
    uint64_t now = f->rig.wall_ms;
    char want[64];

    assert_int_equal(add_auto(f).ms, now);
    snprintf(want, sizeof want, "%llu-1", (unsigned long long)now);
    assert_id(add_auto(f), want);
    streams_commit(f);
    rig_pass_ms(&f->rig, 5);
    streams_begin(f);
    snprintf(want, sizeof want, "%llu-0", (unsigned long long)now + 5);
    assert_id(add_auto(f), want);
}

static void ids_never_go_back_when_the_clock_does(void **state)
{
    struct streams *f = *state;
    struct oxbow_id last = add_auto(f);
    static const uint64_t jumps[] = {1000, 1767225600000u, 5, 4102444800000u, 0, 1767225600000u};
    size_t i;

    for (i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        struct oxbow_id id;

        streams_commit(f);
        f->rig.wall_ms = jumps[i];
        streams_begin(f);
        id = add_auto(f);
        assert_true(id.ms > last.ms || (id.ms == last.ms && id.seq > last.seq));
        last = id;
    }
    assert_int_equal(last.ms, 4102444800000u);
}

static void a_partial_id_takes_the_next_sequence_of_its_millisecond(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id;

    assert_ok(add_partial(f, 0, &id));
    assert_id(id, "0-1");
    assert_ok(add_partial(f, 7, &id));
    assert_id(id, "7-0");
    assert_ok(add_partial(f, 7, &id));
    assert_id(id, "7-1");
    assert_err(add_partial(f, 6, &id), OXBOW_EIDORDER);
    assert_ok(streams_put(f, "s", ID(7, UINT64_MAX), "x"));
    assert_err(add_partial(f, 7, &id), OXBOW_EIDORDER);
    assert_ok(add_partial(f, 8, &id));
    assert_id(id, "8-0");
}

static void an_explicit_id_must_be_greater_than_the_last(void **state)
{
    struct streams *f = *state;

    assert_err(streams_put(f, "s", ID(0, 0), "x"), OXBOW_EIDZERO);
    assert_ok(streams_put(f, "s", ID(5, 5), "x"));
    assert_err(streams_put(f, "s", ID(5, 5), "x"), OXBOW_EIDORDER);
    assert_err(streams_put(f, "s", ID(5, 4), "x"), OXBOW_EIDORDER);
    assert_err(streams_put(f, "s", ID(4, 9), "x"), OXBOW_EIDORDER);
    assert_ok(streams_put(f, "s", ID(5, 6), "x"));
    assert_string_equal(streams_all(f, "s"), "5-5{f=x} 5-6{f=x}");
}

static void a_refused_id_leaves_no_stream_behind(void **state)
{
    struct streams *f = *state;
    enum oxbow_type type;

    assert_err(streams_put(f, "s", ID(0, 0), "x"), OXBOW_EIDZERO);
    assert_ok(oxbow_key_type(f->txn, KEY, &type));
    assert_int_equal(type, OXBOW_TYPE_NONE);
}

static void after_the_last_possible_id_nothing_can_be_added(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id;

    assert_ok(streams_put(f, "s", ID(UINT64_MAX, UINT64_MAX - 1), "x"));
    id = add_auto(f);
    assert_id(id, "18446744073709551615-18446744073709551615");
    assert_err(oxbow_stream_add(f->txn, KEY, NULL, &FIELD, 1, &id), OXBOW_EIDLAST);
    assert_err(streams_put(f, "s", ID(UINT64_MAX, UINT64_MAX), "x"), OXBOW_EIDLAST);
    assert_err(add_partial(f, UINT64_MAX, &id), OXBOW_EIDLAST);
}

static void no_create_adds_to_existing_streams_alone(void **state)
{
    struct streams *f = *state;
    struct oxbow_stream_add_options opt = {.no_create = true};
    struct oxbow_id id = {1, 1};
    uint64_t len;

    assert_err(oxbow_stream_add(f->txn, KEY, &opt, &FIELD, 1, &id), OXBOW_EAGAIN);
    assert_id(id, "1-1");
    add_auto(f);
    assert_ok(oxbow_stream_add(f->txn, KEY, &opt, &FIELD, 1, &id));
    assert_ok(oxbow_stream_len(f->txn, KEY, &len));
    assert_int_equal(len, 2);
}

static void an_entry_without_fields_or_with_odd_options_is_refused(void **state)
{
    struct streams *f = *state;
    struct oxbow_stream_add_options opt = {.trim = {.by = OXBOW_TRIM_MAXLEN, .limit = 5}};

    assert_err(oxbow_stream_add(f->txn, KEY, NULL, NULL, 0, NULL), OXBOW_EINVAL);
    assert_err(oxbow_stream_add(f->txn, KEY, NULL, &FIELD, 0, NULL), OXBOW_EINVAL);
    assert_err(oxbow_stream_add(f->txn, KEY, &opt, &FIELD, 1, NULL), OXBOW_EINVAL);
}

static void a_list_is_no_stream(void **state)
{
    struct streams *f = *state;
    struct oxbow_bytes value = BYTES("x");
    struct oxbow_stream_info info;
    uint64_t len;

    assert_ok(oxbow_list_push(f->txn, KEY, OXBOW_RIGHT, &value, 1, &len));
    assert_err(oxbow_stream_add(f->txn, KEY, NULL, &FIELD, 1, NULL), OXBOW_EWRONGTYPE);
    assert_err(oxbow_stream_len(f->txn, KEY, &len), OXBOW_EWRONGTYPE);
    assert_err(oxbow_stream_info(f->txn, KEY, &info), OXBOW_EWRONGTYPE);
    assert_err(oxbow_stream_read(f->txn, KEY, OXBOW_ID_MIN, 0, &f->result), OXBOW_EWRONGTYPE);
}

static void a_reader_cannot_add(void **state)
{
    struct streams *f = *state;

    streams_abort(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_stream_add(f->txn, KEY, NULL, &FIELD, 1, NULL), OXBOW_EREADONLY);
}

/* Adds an entry of one value of `len` bytes and reads it back after a re-open. */
static void roundtrip(struct streams *f, size_t len)
{
    uint8_t *value = malloc(len + 1);
    struct oxbow_field fields[2] = {{BYTES("big"), {value, len}}, {BYTES("end"), BYTES("z")}};
    struct oxbow_stream_range range = {.to = OXBOW_ID_MAX, .count = 1, .reverse = true};
    uint64_t before;
    size_t i;

    assert_non_null(value);
    for (i = 0; i < len; i++) {
        value[i] = (uint8_t)(i * 7 + len);
    }
    assert_ok(oxbow_stream_len(f->txn, KEY, &before));
    assert_ok(oxbow_stream_add(f->txn, KEY, NULL, fields, 2, NULL));
    streams_reopen(f);
    range.from = OXBOW_ID_MIN;
    assert_ok(oxbow_stream_range(f->txn, KEY, &range, &f->result));
    assert_int_equal(f->result.entry_count, 1);
    assert_int_equal(f->result.entries[0].field_count, 2);
    assert_int_equal(f->result.entries[0].fields[0].value.len, len);
    assert_memory_equal(f->result.entries[0].fields[0].value.data, value, len);
    free(value);
}

static void entries_of_any_size_are_kept(void **state)
{
    static const size_t lens[] = {0,     1,     127,   128,   2000,   4000,   4020,
                                  4040,  4041,  4050,  4090,  8000,   65500,  65519,
                                  65520, 65521, 65536, 70000, 300000, 3000000};
    struct streams *f = *state;
    struct oxbow_stream_info info;
    struct oxbow_stream_trim all = {.by = OXBOW_TRIM_MAXLEN};
    uint64_t removed;
    size_t i;

    for (i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        roundtrip(f, lens[i]);
    }
    assert_ok(oxbow_stream_trim(f->txn, KEY, &all, &removed));
    assert_int_equal(removed, sizeof lens / sizeof lens[0]);
    assert_ok(oxbow_stream_info(f->txn, KEY, &info));
    assert_int_equal(info.bytes, 0);
    assert_int_equal(info.chunks, 0);
}

static void an_entry_over_the_limit_is_refused_and_nothing_changed(void **state)
{
    struct streams *f = *state;
    size_t limit = 10000;
    char *value = calloc(1, limit);
    struct oxbow_field field = {BYTES("f"), {value, 0}};
    uint64_t len;

    assert_non_null(value);
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.config.entry_bytes = (uint32_t)limit;
    rig_open(&f->rig);
    streams_begin(f);
    /* count, name len, name, value len of two bytes */
    field.value.len = limit - 5 + 1;
    assert_err(oxbow_stream_add(f->txn, KEY, NULL, &field, 1, NULL), OXBOW_ETOOBIG);
    assert_ok(oxbow_stream_len(f->txn, KEY, &len));
    assert_int_equal(len, 0);
    field.value.len = limit - 5;
    assert_ok(oxbow_stream_add(f->txn, KEY, NULL, &field, 1, NULL));
    field.value.len = limit - 6;
    assert_ok(oxbow_stream_add(f->txn, KEY, NULL, &field, 1, NULL));
    streams_commit(f);
    free(value);
}

static void names_that_repeat_cost_nothing(void **state)
{
    struct streams *f = *state;
    struct oxbow_field fields[2] = {{BYTES("a rather long name of a field"), BYTES("1")},
                                    {BYTES("and another of the same kind"), BYTES("2")}};
    struct oxbow_stream_info info;
    uint64_t one;
    int i;

    assert_ok(oxbow_stream_add(f->txn, KEY, NULL, fields, 2, NULL));
    assert_ok(oxbow_stream_info(f->txn, KEY, &info));
    one = info.bytes;
    for (i = 0; i < 10; i++) {
        assert_ok(oxbow_stream_add(f->txn, KEY, NULL, fields, 2, NULL));
    }
    assert_ok(oxbow_stream_info(f->txn, KEY, &info));
    assert_true(info.bytes - one < 10 * 12);
    assert_int_equal(info.chunks, 1);
    /* Another order of names is not the same. */
    fields[0].name = BYTES("and another of the same kind");
    fields[1].name = BYTES("a rather long name of a field");
    assert_ok(oxbow_stream_add(f->txn, KEY, NULL, fields, 2, NULL));
    assert_ok(oxbow_stream_info(f->txn, KEY, &info));
    assert_true(info.bytes > one + 10 * 12);
    streams_all(f, "s");
    assert_memory_equal(f->result.entries[11].fields[0].name.data, "and", 3);
    assert_memory_equal(f->result.entries[10].fields[0].name.data, "a r", 3);
}

static void an_aborted_add_leaves_no_trace(void **state)
{
    struct streams *f = *state;
    enum oxbow_type type;

    add_auto(f);
    streams_abort(f);
    streams_begin(f);
    assert_ok(oxbow_key_type(f->txn, KEY, &type));
    assert_int_equal(type, OXBOW_TYPE_NONE);
    assert_ok(streams_put(f, "s", ID(1, 0), "x"));
    streams_commit(f);
    streams_begin(f);
    assert_ok(streams_put(f, "s", ID(2, 0), "y"));
    streams_abort(f);
    streams_begin(f);
    assert_string_equal(streams_all(f, "s"), "1-0{f=x}");
}

static void a_stamp_tells_the_clocks_of_the_moment(void **state)
{
    struct streams *f = *state;
    struct oxbow_stamp a, b, c;
    struct oxbow_id first, second, third;

    streams_commit(f);
    f->rig.wall_ms = 60000; /* 1970 */
    streams_begin(f);
    first = add_auto(f);
    streams_commit(f);
    rig_pass_ms(&f->rig, 500);
    streams_begin(f);
    second = add_auto(f);
    streams_commit(f);
    f->rig.wall_ms = 1767225600000u; /* the link came up */
    streams_begin(f);
    third = add_auto(f);
    assert_ok(oxbow_stream_stamp(f->txn, KEY, first, &a));
    assert_ok(oxbow_stream_stamp(f->txn, KEY, second, &b));
    assert_ok(oxbow_stream_stamp(f->txn, KEY, third, &c));
    assert_int_equal(a.wall_ms, 60000);
    assert_int_equal(b.wall_ms, 60000); /* one chunk: the jump had not come yet */
    assert_int_equal(c.wall_ms, 1767225600000u);
    assert_int_equal(c.uptime_ms - a.uptime_ms, 500);
    assert_int_equal(a.boot, c.boot);
    assert_id(b.first, streams_id(first));
    streams_reopen(f);
    third = add_auto(f);
    assert_ok(oxbow_stream_stamp(f->txn, KEY, third, &c));
    assert_int_equal(c.boot, a.boot + 1);
    assert_err(oxbow_stream_stamp(f->txn, KEY, ID(1, 1), &c), OXBOW_ENOENT);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        T(an_automatic_id_is_the_wall_clock_and_a_sequence),
        T(ids_never_go_back_when_the_clock_does),
        T(a_partial_id_takes_the_next_sequence_of_its_millisecond),
        T(an_explicit_id_must_be_greater_than_the_last),
        T(a_refused_id_leaves_no_stream_behind),
        T(after_the_last_possible_id_nothing_can_be_added),
        T(no_create_adds_to_existing_streams_alone),
        T(an_entry_without_fields_or_with_odd_options_is_refused),
        T(a_list_is_no_stream),
        T(a_reader_cannot_add),
        T(entries_of_any_size_are_kept),
        T(an_entry_over_the_limit_is_refused_and_nothing_changed),
        T(names_that_repeat_cost_nothing),
        T(an_aborted_add_leaves_no_trace),
        T(a_stamp_tells_the_clocks_of_the_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
