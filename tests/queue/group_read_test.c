/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/stream_fixture.h"

static struct oxbow_group g(void)
{
    return group_of("s", "g");
}

static void setup(struct streams *f, uint64_t entries)
{
    struct oxbow_group_create_options opt = {.make_stream = true};

    assert_ok(oxbow_group_create(f->txn, g(), &opt));
    streams_fill(f, "s", entries);
}

static const char *read_new(struct streams *f, const char *consumer, uint64_t count)
{
    struct oxbow_group_read_options opt = {.count = count};

    assert_ok(oxbow_group_read(f->txn, g(), text_bytes(consumer), &opt, &f->result));
    return streams_entries(&f->result);
}

static const char *history(struct streams *f, const char *consumer, struct oxbow_id after)
{
    struct oxbow_group_read_options opt = {.history = true, .after = after};

    assert_ok(oxbow_group_read(f->txn, g(), text_bytes(consumer), &opt, &f->result));
    return streams_entries(&f->result);
}

static uint64_t ack(struct streams *f, struct oxbow_id id)
{
    uint64_t acked = 99;

    assert_ok(oxbow_group_ack(f->txn, g(), &id, 1, &acked));
    return acked;
}

/* "1-0:bob:1 ..." with deliveries. */
static const char *pending(struct streams *f)
{
    static char text[4096];
    struct oxbow_pending rows[64];
    struct oxbow_pending_filter filter = {.to = OXBOW_ID_MAX, .count = 64};
    size_t count, i, len = 0;

    assert_ok(oxbow_group_pending(f->txn, g(), &filter, &f->result, rows, &count));
    text[0] = '\0';
    for (i = 0; i < count; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s:%.*s:%d", i > 0 ? " " : "",
                                streams_id(rows[i].id), (int)rows[i].consumer.len,
                                (const char *)rows[i].consumer.data, (int)rows[i].deliveries);
    }
    return text;
}

static void each_entry_goes_to_one_consumer(void **state)
{
    struct streams *f = *state;

    setup(f, 4);
    assert_string_equal(read_new(f, "bob", 2), "1-0{f=1} 2-0{f=2}");
    assert_string_equal(read_new(f, "eve", 9), "3-0{f=3} 4-0{f=4}");
    assert_string_equal(read_new(f, "bob", 9), "");
    assert_string_equal(pending(f), "1-0:bob:1 2-0:bob:1 3-0:eve:1 4-0:eve:1");
}

static void an_acked_entry_is_pending_no_more(void **state)
{
    struct streams *f = *state;

    setup(f, 3);
    read_new(f, "bob", 0);
    assert_int_equal(ack(f, ID(2, 0)), 1);
    assert_int_equal(ack(f, ID(2, 0)), 0);
    assert_int_equal(ack(f, ID(7, 0)), 0);
    assert_string_equal(pending(f), "1-0:bob:1 3-0:bob:1");
    assert_int_equal(ack(f, ID(1, 0)), 1);
    assert_int_equal(ack(f, ID(3, 0)), 1);
    assert_string_equal(pending(f), "");
}

static void acking_where_there_is_nothing_acks_nothing(void **state)
{
    struct streams *f = *state;

    assert_int_equal(ack(f, ID(1, 0)), 0);
    streams_fill(f, "s", 1);
    assert_int_equal(ack(f, ID(1, 0)), 0);
}

static void reading_needs_a_group(void **state)
{
    struct streams *f = *state;

    assert_err(oxbow_group_read(f->txn, g(), BYTES("c"), NULL, &f->result), OXBOW_ENOGROUP);
    streams_fill(f, "s", 1);
    assert_err(oxbow_group_read(f->txn, g(), BYTES("c"), NULL, &f->result), OXBOW_ENOGROUP);
}

static void history_gives_again_and_counts(void **state)
{
    struct streams *f = *state;

    setup(f, 4);
    read_new(f, "bob", 3);
    read_new(f, "eve", 1);
    assert_string_equal(history(f, "bob", ID(1, 0)), "2-0{f=2} 3-0{f=3}");
    assert_string_equal(pending(f), "1-0:bob:1 2-0:bob:2 3-0:bob:2 4-0:eve:1");
    assert_string_equal(history(f, "nobody", OXBOW_ID_MIN), "");
    assert_string_equal(history(f, "bob", OXBOW_ID_MAX), "");
}

static void a_deleted_entry_comes_as_deleted_and_is_not_counted(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id = {2, 0};

    setup(f, 3);
    read_new(f, "bob", 0);
    assert_ok(oxbow_stream_delete(f->txn, BYTES("s"), &id, 1, NULL));
    assert_string_equal(history(f, "bob", OXBOW_ID_MIN), "1-0{f=1} 2-0! 3-0{f=3}");
    assert_string_equal(pending(f), "1-0:bob:2 2-0:bob:1 3-0:bob:2");
}

static void noack_leaves_nothing_pending(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_read_options opt = {.noack = true};

    setup(f, 3);
    assert_ok(oxbow_group_read(f->txn, g(), BYTES("bob"), &opt, &f->result));
    assert_int_equal(f->result.entry_count, 3);
    assert_string_equal(pending(f), "");
    assert_string_equal(read_new(f, "bob", 0), "");
}

static void an_entry_delivered_again_changes_hands(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_create_options opt = {0};

    setup(f, 3);
    read_new(f, "bob", 0);
    history(f, "bob", OXBOW_ID_MIN);
    assert_ok(oxbow_group_set_id(f->txn, g(), &opt));
    assert_string_equal(read_new(f, "eve", 2), "1-0{f=1} 2-0{f=2}");
    assert_string_equal(pending(f), "1-0:eve:1 2-0:eve:1 3-0:bob:2");
}

static void an_empty_poll_writes_nothing(void **state)
{
    struct streams *f = *state;
    struct oxbow_stat before, after;
    struct oxbow_consumer_info info;
    int i;

    setup(f, 1);
    read_new(f, "bob", 0);
    streams_commit(f);
    oxbow_stat(f->rig.db, &before);
    for (i = 0; i < 10; i++) {
        streams_begin(f);
        assert_string_equal(read_new(f, "bob", 0), "");
        assert_string_equal(read_new(f, "new one", 0), "");
        streams_commit(f);
    }
    oxbow_stat(f->rig.db, &after);
    assert_int_equal(after.lsn_applied, before.lsn_applied);
    streams_begin(f);
    assert_err(oxbow_group_consumer_info(f->txn, g(), BYTES("new one"), &info), OXBOW_ENOENT);
}

static void a_read_stops_at_its_bytes(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_read_options opt = {.bytes = 3};

    setup(f, 9);
    assert_ok(oxbow_group_read(f->txn, g(), BYTES("bob"), &opt, &f->result));
    assert_int_equal(f->result.entry_count, 1);
    opt.bytes = 10;
    assert_ok(oxbow_group_read(f->txn, g(), BYTES("bob"), &opt, &f->result));
    assert_int_equal(f->result.entry_count, 5);
    opt.history = true;
    opt.bytes = 1;
    assert_ok(oxbow_group_read(f->txn, g(), BYTES("bob"), &opt, &f->result));
    assert_int_equal(f->result.entry_count, 1);
}

static void what_is_pending_survives_a_reopen(void **state)
{
    struct streams *f = *state;

    setup(f, 300);
    read_new(f, "bob", 200);
    ack(f, ID(5, 0));
    streams_reopen(f);
    assert_int_equal(ack(f, ID(5, 0)), 0);
    assert_int_equal(ack(f, ID(6, 0)), 1);
    assert_string_equal(read_new(f, "eve", 1), "201-0{f=201}");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        T(each_entry_goes_to_one_consumer),
        T(an_acked_entry_is_pending_no_more),
        T(acking_where_there_is_nothing_acks_nothing),
        T(reading_needs_a_group),
        T(history_gives_again_and_counts),
        T(a_deleted_entry_comes_as_deleted_and_is_not_counted),
        T(noack_leaves_nothing_pending),
        T(an_entry_delivered_again_changes_hands),
        T(an_empty_poll_writes_nothing),
        T(a_read_stops_at_its_bytes),
        T(what_is_pending_survives_a_reopen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
