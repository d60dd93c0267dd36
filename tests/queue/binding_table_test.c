/* SPDX-License-Identifier: Apache-2.0 */
/* The table of bindings in memory: read when need be, and what is damaged is told. */
#include "tests/queue/binding_fixture.h"

static struct binding_table *table(struct streams *f)
{
    struct binding_table *t;

    assert_ok(binding_table_get(f->txn, &t));
    return t;
}

static void it_is_read_at_the_first_use_and_after_an_abort(void **state)
{
    struct streams *f = *state;

    (void)bind_all(f, "s", "d");
    (void)bind_topic(f, "d", "e", "a.#");
    assert_int_equal(table(f)->row_count, 2);
    assert_int_equal(table(f)->sources, 2);
    assert_int_equal(table(f)->node_count, 3);
    streams_reopen(f);
    assert_int_equal(table(f)->row_count, 2);
    assert_int_equal(table(f)->nodes[1].level, 1);
    assert_int_equal(table(f)->nodes[2].level, 2);
    (void)bind_all(f, "s", "x");
    assert_int_equal(table(f)->row_count, 3);
    streams_abort(f);
    streams_begin(f);
    assert_int_equal(table(f)->row_count, 2);
    assert_int_equal(table(f)->sources, 2);
}

static void a_record_that_cannot_be_read_is_passed_over(void **state)
{
    struct streams *f = *state;
    uint32_t ids[] = {bind_all(f, "s", "a"), bind_all(f, "s", "b"), bind_all(f, "a", "c")};
    uint8_t key[BINDING_KEY_MAX];
    struct oxbow_bytes record;
    uint8_t copy[64];

    assert_ok(kv_get(f->txn, binding_key(key, BINDING_KEY_BINDING, ids[0]), &record));
    assert_true(record.len <= sizeof copy);
    memcpy(copy, record.data, record.len);
    copy[0] = 9; /* a format of later */
    assert_ok(kv_put(f->txn, binding_key(key, BINDING_KEY_BINDING, ids[0]),
                     (struct oxbow_bytes){copy, record.len}));
    streams_reopen(f);
    assert_ok(route_one(f, "s", "k", "1"));
    assert_numbers(f, "a", "");
    assert_numbers(f, "b", "1");
    assert_int_equal(table(f)->row_count, 2);
}

static void records_that_make_a_circle_do_not_go_round(void **state)
{
    struct streams *f = *state;
    const struct oxbow_binding back = from_to("c", "s");
    uint8_t bytes[512], key[BINDING_KEY_MAX];
    struct buf buf = {.data = bytes, .cap = sizeof bytes, .len_max = sizeof bytes};

    (void)bind_all(f, "s", "b");
    (void)bind_all(f, "b", "c");
    assert_ok(binding_encode(&buf, &back, 0));
    assert_ok(kv_put(f->txn, binding_key(key, BINDING_KEY_BINDING, 1000),
                     (struct oxbow_bytes){bytes, buf.len}));
    streams_reopen(f);
    assert_ok(route_one(f, "s", "k", "1"));
    assert_numbers(f, "s", "1");
    assert_numbers(f, "c", "1");
    assert_int_equal(table(f)->row_count, 2);
}

static void write_record(struct streams *f, enum binding_key_kind kind, uint32_t id,
                         struct oxbow_bytes record)
{
    uint8_t key[BINDING_KEY_MAX];

    assert_ok(kv_put(f->txn, binding_key(key, kind, id), record));
}

static void what_makes_no_sense_is_told_and_can_be_removed(void **state)
{
    struct streams *f = *state;
    const struct oxbow_binding back = from_to("b", "s");
    uint8_t bytes[512];
    struct buf buf = {.data = bytes, .cap = sizeof bytes, .len_max = sizeof bytes};
    uint32_t good = bind_all(f, "s", "b"), id = 0;

    assert_err(oxbow_binding_unread(f->txn, 0, &id), OXBOW_ENOENT);
    assert_ok(binding_encode(&buf, &back, 0));
    write_record(f, BINDING_KEY_BINDING, 1000, (struct oxbow_bytes){bytes, buf.len}); /* a circle */
    write_record(f, BINDING_KEY_BINDING, 1001, (struct oxbow_bytes){"?", 1});
    write_record(f, BINDING_KEY_SOURCE, 900, (struct oxbow_bytes){"??", 2});
    write_record(f, BINDING_KEY_COUNT, 900, (struct oxbow_bytes){"??", 2});
    streams_reopen(f);
    for (uint32_t want = 900; want != 1002; want = want == 900 ? 1000 : want + 1) {
        assert_ok(oxbow_binding_unread(f->txn, id, &id));
        assert_int_equal(id, want);
    }
    assert_err(oxbow_binding_unread(f->txn, id, &id), OXBOW_ENOENT);
    assert_err(oxbow_binding_unread(f->txn, UINT32_MAX, &id), OXBOW_ENOENT);
    assert_err(oxbow_binding_unread(f->txn, 0, NULL), OXBOW_EINVAL);
    assert_err(oxbow_unbind(f->txn, 999), OXBOW_ENOENT);
    assert_ok(oxbow_unbind(f->txn, 1000));
    assert_ok(oxbow_unbind(f->txn, 900));
    streams_abort(f); /* they are there again */
    streams_begin(f);
    assert_ok(oxbow_binding_unread(f->txn, 0, &id));
    assert_int_equal(id, 900);
    for (id = 0; oxbow_binding_unread(f->txn, id, &id) == OXBOW_OK;) {
        assert_ok(oxbow_unbind(f->txn, id));
    }
    assert_int_equal(id, 1001);
    streams_reopen(f);
    assert_err(oxbow_binding_unread(f->txn, 0, &id), OXBOW_ENOENT);
    assert_ok(oxbow_unbind(f->txn, good));
}

static void a_source_without_its_record_still_passes_on(void **state)
{
    struct streams *f = *state;
    uint8_t key[BINDING_KEY_MAX];
    uint32_t id;

    (void)bind_all(f, "s", "d");
    id = table(f)->nodes[0].id;
    assert_true(id > 0);
    assert_ok(kv_del(f->txn, binding_key(key, BINDING_KEY_SOURCE, id)));
    streams_reopen(f);
    assert_ok(route_one(f, "s", "k", "1"));
    assert_numbers(f, "d", "1");
    (void)bind_topic(f, "s", "e", "k"); /* makes it anew */
    assert_ok(route_one(f, "s", "k", "2"));
    assert_int_equal(source_of(f, "s").entries, 1);
    assert_numbers(f, "e", "2");
}

static void names_of_other_databases_are_other_names(void **state)
{
    struct streams *f = *state;

    (void)bind_all(f, "s", "d");
    assert_ok(oxbow_txn_select(f->txn, 5));
    assert_ok(route_one(f, "s", "k", "1"));
    assert_numbers(f, "d", "");
    (void)bind_all(f, "s", "e");
    assert_ok(route_one(f, "s", "k", "2"));
    streams_reopen(f);
    assert_ok(route_one(f, "s", "k", "3"));
    assert_numbers(f, "d", "3");
    assert_numbers(f, "e", "");
    assert_ok(oxbow_txn_select(f->txn, 5));
    assert_numbers(f, "e", "2");
    assert_numbers(f, "s", "1 2");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_read_at_the_first_use_and_after_an_abort),
        TEST(a_record_that_cannot_be_read_is_passed_over),
        TEST(records_that_make_a_circle_do_not_go_round),
        TEST(what_makes_no_sense_is_told_and_can_be_removed),
        TEST(a_source_without_its_record_still_passes_on),
        TEST(names_of_other_databases_are_other_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
