/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of streams; beside redis-server: tests/resp/cmd_stream_redis_test.c. */
#include "oxbow/expire.h"
#include "oxbow/group_options.h"
#include "tests/queue/stream_fixture.h"

static const struct oxbow_bytes from = BYTES("from");
static const struct oxbow_bytes to = BYTES("to");

static bool copy(struct streams *f, uint32_t database)
{
    bool copied;

    assert_ok(oxbow_key_copy(f->txn, from, database, to, true, &copied));
    return copied;
}

/* Entries of every length: within chunks, values of their own, and blobs. */
static void entries_of_any_length_are_copied_under_their_ids(void **state)
{
    static const size_t lens[] = {0, 10, 500, 5000, 60000, 70000, 3000000};
    static char bytes[3000000];
    struct streams *f = *state;
    struct oxbow_stream_info info;
    struct oxbow_stream_info was;

    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        const struct oxbow_field field = {BYTES("f"), {bytes, lens[i]}};
        const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT,
                                                     .id = ID(10 * i + 1, i)};

        memset(bytes, 'a' + (int)i, lens[i]);
        assert_ok(oxbow_stream_add(f->txn, from, &opt, &field, 1, NULL));
    }
    assert_ok(oxbow_stream_delete(f->txn, from, &(struct oxbow_id){11, 1}, 1, NULL));
    assert_ok(oxbow_stream_info(f->txn, from, &was));
    assert_true(copy(f, 3));
    assert_ok(oxbow_key_delete(f->txn, from, NULL));
    streams_reopen(f);
    assert_ok(oxbow_txn_select(f->txn, 3));
    assert_ok(oxbow_stream_info(f->txn, to, &info));
    assert_int_equal(info.length, 6);
    assert_int_equal(info.entries_added, was.entries_added);
    assert_id(info.max_deleted_id, "11-1");
    assert_id(info.last_id, "61-6");
    assert_ok(oxbow_stream_range(f->txn, to, &(struct oxbow_stream_range){.to = OXBOW_ID_MAX},
                                 &f->result));
    assert_int_equal(f->result.entry_count, 6);
    for (size_t i = 0, at = 0; i < sizeof lens / sizeof lens[0]; i++) {
        if (i != 1) {
            const struct oxbow_entry *e = &f->result.entries[at++];

            memset(bytes, 'a' + (int)i, lens[i]);
            assert_int_equal(e->id.ms, 10 * i + 1);
            assert_int_equal(e->fields[0].value.len, lens[i]);
            assert_memory_equal(e->fields[0].value.data, bytes, lens[i]);
        }
    }
}

static const char *pending_of(struct streams *f, const char *key)
{
    static char text[4096];
    struct oxbow_pending rows[64];
    struct oxbow_pending_filter filter = {.to = OXBOW_ID_MAX, .count = 64};
    size_t count;
    size_t len = 0;

    assert_ok(oxbow_group_pending(f->txn, group_of(key, "g"), &filter, &f->result, rows, &count));
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s:%.*s:%d:%d ",
                                streams_id(rows[i].id), (int)rows[i].consumer.len,
                                (const char *)rows[i].consumer.data, (int)rows[i].deliveries,
                                (int)rows[i].idle_ms);
    }
    return text;
}

static void give(struct streams *f, const char *key, const char *consumer, uint64_t count)
{
    const struct oxbow_group_read_options opt = {.count = count};

    assert_ok(oxbow_group_read(f->txn, group_of(key, "g"), text_bytes(consumer), &opt, &f->result));
}

/* Group g, of which one has 1-0 and 2-0 for 100 ms, two has 3-0 for 40, and three nothing. */
static void worked_on(struct streams *f)
{
    const struct oxbow_group_create_options opt = {.make_stream = true};

    assert_ok(oxbow_group_create(f->txn, group_of("from", "other"), &opt));
    assert_ok(oxbow_group_destroy(f->txn, group_of("from", "other"), NULL));
    assert_ok(oxbow_group_create(f->txn, group_of("from", "g"), &opt));
    streams_fill(f, "from", 5);
    give(f, "from", "one", 2);
    streams_commit(f);
    rig_pass_ms(&f->rig, 60);
    streams_begin(f);
    give(f, "from", "two", 1);
    assert_ok(oxbow_group_consumer_create(f->txn, group_of("from", "g"), BYTES("three"), NULL));
    streams_commit(f);
    rig_pass_ms(&f->rig, 40);
    streams_begin(f);
}

static void groups_are_copied_with_what_they_have_pending(void **state)
{
    const struct oxbow_id second = ID(2, 0);
    struct streams *f = *state;
    struct oxbow_group_info info;
    uint64_t n;

    worked_on(f);
    assert_ok(oxbow_stream_delete(f->txn, from, &second, 1, NULL));
    assert_true(copy(f, 0));
    streams_reopen(f);
    assert_string_equal(pending_of(f, "to"), "1-0:one:1:100 2-0:one:1:100 3-0:two:1:40 ");
    assert_ok(oxbow_group_info(f->txn, group_of("to", "g"), &info));
    assert_int_equal(info.consumers, 3);
    assert_int_equal(info.pending, 3);
    assert_id(info.last_id, "3-0");
    assert_ok(oxbow_group_consumer_delete(f->txn, group_of("to", "g"), BYTES("one"), &n));
    assert_int_equal(n, 2);
    give(f, "to", "four", 10);
    assert_string_equal(streams_entries(&f->result), "4-0{f=4} 5-0{f=5}");
    assert_string_equal(pending_of(f, "to"), "3-0:two:1:40 4-0:four:1:0 5-0:four:1:0 ");
    /* And the one that it was made of is as it was. */
    assert_string_equal(pending_of(f, "from"), "1-0:one:1:100 2-0:one:1:100 3-0:two:1:40 ");
    assert_ok(oxbow_key_delete(f->txn, from, NULL));
    streams_reopen(f);
    assert_string_equal(pending_of(f, "to"), "3-0:two:1:40 4-0:four:1:0 5-0:four:1:0 ");
}

static void an_empty_stream_is_copied_with_its_counters(void **state)
{
    struct streams *f = *state;
    struct oxbow_stream_info info;
    struct oxbow_id id = ID(1, 0);

    streams_fill(f, "from", 1);
    assert_ok(oxbow_stream_delete(f->txn, from, &id, 1, NULL));
    assert_true(copy(f, 0));
    streams_reopen(f);
    assert_ok(oxbow_stream_info(f->txn, to, &info));
    assert_int_equal(info.length, 0);
    assert_int_equal(info.entries_added, 1);
    assert_id(info.last_id, "1-0");
    assert_err(streams_put(f, "to", ID(1, 0), "v"), OXBOW_EIDORDER);
}

static void times_to_live_go_along(void **state)
{
    struct streams *f = *state;
    uint64_t left;

    streams_fill(f, "from", 3);
    assert_ok(oxbow_stream_expire(f->txn, from, ID(1, 0), 50));
    assert_ok(oxbow_stream_expire(f->txn, from, ID(3, 0), 5000));
    streams_commit(f);
    rig_pass_ms(&f->rig, 100);
    streams_begin(f);
    assert_true(copy(f, 5));
    streams_reopen(f);
    assert_ok(oxbow_txn_select(f->txn, 5));
    assert_string_equal(streams_all(f, "to"), "2-0{f=2} 3-0{f=3}");
    assert_ok(oxbow_stream_ttl(f->txn, to, ID(2, 0), &left));
    assert_true(left == UINT64_MAX);
    assert_ok(oxbow_stream_ttl(f->txn, to, ID(3, 0), &left));
    assert_int_equal(left, 4900);
    streams_commit(f);
    rig_pass_ms(&f->rig, 5000);
    streams_begin(f);
    assert_ok(oxbow_txn_select(f->txn, 5));
    assert_string_equal(streams_all(f, "to"), "2-0{f=2}");
}

static void what_only_the_engine_knows_is_not_copied(void **state)
{
    const struct oxbow_group_options rules = {.visibility_ms = 1000};
    struct streams *f = *state;
    bool copied;

    worked_on(f);
    assert_ok(streams_put(f, "to", ID(7, 7), "stays"));
    assert_ok(oxbow_group_options_set(f->txn, group_of("from", "g"), &rules));
    assert_err(oxbow_key_copy(f->txn, from, 0, to, true, &copied), OXBOW_ENOTSUP);
    assert_ok(oxbow_group_destroy(f->txn, group_of("from", "g"), NULL));
    assert_true(copy(f, 0));
}

static void a_stream_that_no_transaction_holds_is_refused(void **state)
{
    static char bytes[1000];
    const struct oxbow_field field = {BYTES("f"), {bytes, sizeof bytes}};
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_AUTO};
    struct streams *f = *state;
    bool copied;
    uint64_t n;

    streams_commit(f);
    rig_close(&f->rig);
    f->rig.config.txn_bytes = 64u << 10;
    rig_open(&f->rig);
    streams_begin(f);
    assert_ok(streams_put(f, "to", ID(7, 7), "stays"));
    for (int i = 0; i < 100; i++) {
        assert_ok(oxbow_stream_add(f->txn, from, &opt, &field, 1, NULL));
        if (i % 20 == 0) {
            streams_commit(f);
            streams_begin(f);
        }
    }
    streams_commit(f);
    streams_begin(f);
    assert_err(oxbow_key_copy(f->txn, from, 0, to, true, &copied), OXBOW_ETXNBIG);
    assert_err(oxbow_txn_commit(f->txn, NULL), OXBOW_ETXNBIG);
    f->txn = NULL;
    streams_begin(f);
    assert_ok(oxbow_stream_len(f->txn, to, &n));
    assert_int_equal(n, 1);
    assert_ok(oxbow_stream_len(f->txn, from, &n));
    assert_int_equal(n, 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(entries_of_any_length_are_copied_under_their_ids),
        TEST(groups_are_copied_with_what_they_have_pending),
        TEST(an_empty_stream_is_copied_with_its_counters),
        TEST(times_to_live_go_along),
        TEST(what_only_the_engine_knows_is_not_copied),
        TEST(a_stream_that_no_transaction_holds_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
