/* SPDX-License-Identifier: Apache-2.0 */
/* Making, listing and removing bindings, and how sources pass entries on. */
#include "tests/queue/binding_fixture.h"

#include "oxbow/policy.h"
#include "oxbow/upgrade.h"

#include <stdlib.h>
#include <time.h>

static void what_is_bound_is_listed_with_all_that_was_said(void **state)
{
    struct streams *f = *state;
    const struct oxbow_field headers[] = {{text_bytes("type"), text_bytes("order")},
                                          {text_bytes("region"), text_bytes("")}};
    struct oxbow_binding b = from_to("s", "d");
    struct oxbow_binding l = from_to("s", "l");
    struct oxbow_binding_info info;
    uint32_t first, second;

    b.kind = OXBOW_BIND_HEADERS;
    b.headers = headers;
    b.header_count = 2;
    b.any = true;
    b.on_full = OXBOW_BINDING_SKIP;
    first = bind_it(f, &b);
    l.type = OXBOW_TYPE_LIST;
    l.value_field = text_bytes("body");
    l.kind = OXBOW_BIND_TOPIC;
    l.field = text_bytes("key");
    l.pattern = text_bytes("order.#");
    second = bind_it(f, &l);
    streams_reopen(f);
    assert_ok(oxbow_binding_next(f->txn, 0, &info));
    assert_int_equal(info.id, first);
    assert_true(info.binding.kind == OXBOW_BIND_HEADERS && info.binding.any);
    assert_int_equal(info.binding.on_full, OXBOW_BINDING_SKIP);
    assert_int_equal(info.binding.type, OXBOW_TYPE_STREAM);
    assert_int_equal(info.binding.header_count, 2);
    assert_memory_equal(info.binding.headers[0].value.data, "order", 5);
    assert_int_equal(info.binding.headers[1].value.len, 0);
    assert_ok(oxbow_binding_next(f->txn, first, &info));
    assert_int_equal(info.id, second);
    assert_true(info.binding.kind == OXBOW_BIND_TOPIC && info.binding.type == OXBOW_TYPE_LIST);
    assert_memory_equal(info.binding.source.data, "s", 1);
    assert_memory_equal(info.binding.destination.data, "l", 1);
    assert_memory_equal(info.binding.pattern.data, "order.#", 7);
    assert_memory_equal(info.binding.value_field.data, "body", 4);
    assert_err(oxbow_binding_next(f->txn, second, &info), OXBOW_ENOENT);
    assert_err(oxbow_binding_next(f->txn, UINT32_MAX, &info), OXBOW_ENOENT);
    assert_int_equal(source_of(f, "s").bindings, 2);
}

static void the_same_binding_is_made_once_and_may_change_what_happens_when_full(void **state)
{
    struct streams *f = *state;
    uint32_t id = bind_topic(f, "s", "d", "a.#");
    struct oxbow_binding b = from_to("s", "d");

    assert_int_equal(bind_topic(f, "s", "d", "a.#"), id);
    assert_int_not_equal(bind_topic(f, "s", "d", "b.#"), id);
    b.kind = OXBOW_BIND_TOPIC;
    b.field = text_bytes("key");
    b.pattern = text_bytes("a.#");
    b.on_full = OXBOW_BINDING_SKIP;
    assert_int_equal(bind_it(f, &b), id);
    assert_int_equal(binding_of(f, id).binding.on_full, OXBOW_BINDING_SKIP);
    streams_reopen(f);
    assert_int_equal(binding_of(f, id).binding.on_full, OXBOW_BINDING_SKIP);
    assert_int_equal(bind_it(f, &b), id);
    assert_int_equal(source_of(f, "s").bindings, 2);
}

static void what_is_unbound_takes_nothing_any_more(void **state)
{
    struct streams *f = *state;
    uint32_t all = bind_all(f, "s", "d");
    uint32_t topic = bind_topic(f, "s", "e", "#");
    struct oxbow_source_info info;

    assert_ok(route_one(f, "s", "k", "1"));
    assert_ok(oxbow_unbind(f->txn, all));
    assert_err(oxbow_unbind(f->txn, all), OXBOW_ENOENT);
    assert_ok(route_one(f, "s", "k", "2"));
    assert_numbers(f, "d", "1");
    assert_numbers(f, "e", "1 2");
    streams_reopen(f);
    assert_ok(route_one(f, "s", "k", "3"));
    assert_ok(oxbow_unbind(f->txn, topic));
    assert_err(oxbow_source_get(f->txn, text_bytes("s"), &info), OXBOW_ENOENT);
    assert_ok(route_one(f, "s", "k", "4"));
    assert_numbers(f, "s", "1 2 3 4");
    assert_numbers(f, "d", "1");
    assert_numbers(f, "e", "1 2 3");
    assert_int_not_equal(bind_all(f, "s", "d"), all); /* ids are not used again */
    streams_reopen(f);
    assert_int_equal(source_of(f, "s").entries, 0); /* it is a new source */
}

static void an_abort_takes_bindings_back(void **state)
{
    struct streams *f = *state;
    uint32_t id = bind_all(f, "s", "d");

    streams_commit(f);
    streams_begin(f);
    assert_ok(oxbow_unbind(f->txn, id));
    (void)bind_all(f, "s", "e");
    assert_ok(
        oxbow_source_set(f->txn, text_bytes("s"), &(struct oxbow_source){.keeps_nothing = true}));
    assert_ok(route_one(f, "s", "k", "1"));
    assert_numbers(f, "e", "1");
    streams_abort(f);
    streams_begin(f);
    assert_ok(route_one(f, "s", "k", "2"));
    assert_numbers(f, "s", "2");
    assert_numbers(f, "d", "2");
    assert_numbers(f, "e", "");
    assert_int_equal(source_of(f, "s").entries, 1);
}

static void entries_do_not_come_back_to_where_they_have_been(void **state)
{
    struct streams *f = *state;
    struct oxbow_binding self = from_to("a", "a");
    struct oxbow_binding back = from_to("c", "a");
    const struct oxbow_source alternate = {.alternate = text_bytes("a")};
    uint32_t id;

    assert_err(oxbow_bind(f->txn, &self, NULL), OXBOW_ECYCLE);
    (void)bind_all(f, "a", "b");
    id = bind_all(f, "b", "c");
    assert_err(oxbow_bind(f->txn, &back, NULL), OXBOW_ECYCLE);
    assert_err(oxbow_source_set(f->txn, text_bytes("c"), &alternate), OXBOW_ECYCLE);
    assert_err(oxbow_source_set(f->txn, text_bytes("a"), &alternate), OXBOW_ECYCLE);
    streams_reopen(f);
    assert_err(oxbow_bind(f->txn, &back, NULL), OXBOW_ECYCLE);
    assert_ok(oxbow_unbind(f->txn, id));
    (void)bind_it(f, &back);
    assert_ok(route_one(f, "c", "k", "1"));
    assert_numbers(f, "b", "1");
}

static void a_chain_has_an_end(void **state)
{
    struct streams *f = *state;
    char from[16], to[16];
    uint32_t ids[OXBOW_BINDING_DEPTH_MAX];
    struct oxbow_binding more = from_to("n8", "n9");
    struct oxbow_binding before = from_to("m", "n0");

    for (unsigned i = OXBOW_BINDING_DEPTH_MAX; i-- > 0;) { /* from its end */
        snprintf(from, sizeof from, "n%u", i);
        snprintf(to, sizeof to, "n%u", i + 1);
        ids[i] = bind_all(f, from, to);
    }
    assert_err(oxbow_bind(f->txn, &more, NULL), OXBOW_EDEPTH);
    assert_err(oxbow_bind(f->txn, &before, NULL), OXBOW_EDEPTH);
    assert_ok(route_one(f, "n0", "k", "1"));
    assert_numbers(f, "n8", "1");
    assert_ok(oxbow_unbind(f->txn, ids[3]));
    (void)bind_it(f, &more); /* there is room again, in the transaction that made it */
    (void)bind_it(f, &before);
    assert_ok(route_one(f, "m", "k", "2"));
    assert_numbers(f, "n3", "1 2");
    assert_numbers(f, "n4", "1");
}

static void a_name_is_taken_for_one_type(void **state)
{
    struct streams *f = *state;
    struct oxbow_binding list = from_to("s", "l");
    const struct oxbow_binding stream = from_to("t", "l");
    const struct oxbow_binding source = from_to("l", "d");
    struct oxbow_binding other = from_to("t", "s");
    uint32_t id;

    list.type = OXBOW_TYPE_LIST;
    list.value_field = text_bytes("n");
    id = bind_it(f, &list);
    assert_err(oxbow_bind(f->txn, &stream, NULL), OXBOW_EWRONGTYPE);
    assert_err(oxbow_bind(f->txn, &source, NULL), OXBOW_EWRONGTYPE);
    assert_err(
        oxbow_source_set(f->txn, text_bytes("l"), &(struct oxbow_source){.keeps_nothing = true}),
        OXBOW_EWRONGTYPE);
    other.type = OXBOW_TYPE_LIST;
    other.value_field = text_bytes("n");
    assert_err(oxbow_bind(f->txn, &other, NULL), OXBOW_EWRONGTYPE);
    assert_ok(oxbow_unbind(f->txn, id));
    (void)bind_it(f, &stream);
}

static void bad_input_is_refused(void **state)
{
    static char big[OXBOW_BINDING_NAME_MAX + 1];
    struct streams *f = *state;
    const struct oxbow_field header = {text_bytes("a"), text_bytes("b")};
    const struct oxbow_bytes nothing = {NULL, 0}, name = text_bytes("n"), null = {NULL, 1},
                             long_name = {big, sizeof big},
                             long_text = {big, OXBOW_BINDING_TEXT_MAX + 1};
    const struct oxbow_field many[OXBOW_BINDING_HEADERS_MAX + 1] = {header};
    const struct oxbow_field long_header = {name, long_text};
    const struct {
        struct oxbow_binding b;
        enum oxbow_err err;
    } bad[] = {
        {{.destination = name}, OXBOW_EINVAL},
        {{.source = name}, OXBOW_EINVAL},
        {{.source = null, .destination = name}, OXBOW_EINVAL},
        {{.source = name, .destination = long_name}, OXBOW_ETOOBIG},
        {{.source = long_name, .destination = name}, OXBOW_ETOOBIG},
        {{.source = name, .destination = nothing}, OXBOW_EINVAL},
        {{.source = name, .destination = name, .kind = 4}, OXBOW_EINVAL},
        {{.source = name, .destination = name, .on_full = 2}, OXBOW_EINVAL},
        {{.source = name, .destination = name, .type = OXBOW_TYPE_STRING}, OXBOW_EINVAL},
        {{.source = name, .destination = name, .field = name}, OXBOW_EINVAL},
        {{.source = name, .destination = name, .pattern = name}, OXBOW_EINVAL},
        {{.source = name, .destination = name, .value_field = name}, OXBOW_EINVAL},
        {{.source = name, .destination = name, .type = OXBOW_TYPE_LIST}, OXBOW_EINVAL},
        {{.source = name, .destination = name, .kind = OXBOW_BIND_DIRECT}, OXBOW_EINVAL},
        {{.source = name, .destination = name, .kind = OXBOW_BIND_TOPIC, .pattern = name},
         OXBOW_EINVAL},
        {{.source = name,
          .destination = name,
          .kind = OXBOW_BIND_TOPIC,
          .field = name,
          .pattern = long_text},
         OXBOW_ETOOBIG},
        {{.source = name, .destination = name, .kind = OXBOW_BIND_TOPIC, .field = long_text},
         OXBOW_ETOOBIG},
        {{.source = name,
          .destination = name,
          .kind = OXBOW_BIND_DIRECT,
          .field = name,
          .pattern = null},
         OXBOW_EINVAL},
        {{.source = name, .destination = name, .kind = OXBOW_BIND_HEADERS}, OXBOW_EINVAL},
        {{.source = name, .destination = name, .kind = OXBOW_BIND_HEADERS, .header_count = 1},
         OXBOW_EINVAL},
        {{.source = name,
          .destination = name,
          .kind = OXBOW_BIND_HEADERS,
          .headers = many,
          .header_count = OXBOW_BINDING_HEADERS_MAX + 1},
         OXBOW_ERANGE},
        {{.source = name,
          .destination = name,
          .kind = OXBOW_BIND_HEADERS,
          .headers = &long_header,
          .header_count = 1},
         OXBOW_ETOOBIG},
        {{.source = name, .destination = name, .headers = &header, .header_count = 1},
         OXBOW_EINVAL},
        {{.source = name, .destination = name, .any = true}, OXBOW_EINVAL},
    };
    const struct oxbow_source none = {0};
    struct oxbow_source_info source;
    struct oxbow_binding_info info;
    uint32_t place = 0;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        enum oxbow_err err = oxbow_bind(f->txn, &bad[i].b, NULL);

        if (err != bad[i].err) {
            fail_msg("%u: %s", (unsigned)i, oxbow_err_name(err));
        }
    }
    assert_err(oxbow_bind(f->txn, NULL, NULL), OXBOW_EINVAL);
    assert_err(oxbow_binding_next(f->txn, 0, NULL), OXBOW_EINVAL);
    assert_err(oxbow_binding_next(f->txn, 0, &info), OXBOW_ENOENT);
    assert_err(oxbow_unbind(f->txn, 0), OXBOW_ENOENT);
    assert_err(oxbow_source_set(f->txn, nothing, &none), OXBOW_EINVAL);
    assert_err(oxbow_source_set(f->txn, name, NULL), OXBOW_EINVAL);
    assert_err(oxbow_source_set(f->txn, long_name, &none), OXBOW_ETOOBIG);
    assert_err(oxbow_source_set(f->txn, name, &(struct oxbow_source){.alternate = null}),
               OXBOW_EINVAL);
    assert_err(oxbow_source_set(f->txn, name, &(struct oxbow_source){.alternate = long_name}),
               OXBOW_ETOOBIG);
    assert_err(oxbow_source_get(f->txn, name, NULL), OXBOW_EINVAL);
    assert_err(oxbow_source_get(f->txn, nothing, &source), OXBOW_EINVAL);
    assert_err(oxbow_source_get(f->txn, name, &source), OXBOW_ENOENT);
    assert_err(oxbow_source_next(f->txn, NULL, &source), OXBOW_EINVAL);
    assert_err(oxbow_source_next(f->txn, &place, NULL), OXBOW_EINVAL);
    assert_err(oxbow_source_next(f->txn, &place, &source), OXBOW_ENOENT);
    assert_string_equal(oxbow_binding_kind_name(OXBOW_BIND_TOPIC), "topic");
    assert_string_equal(oxbow_binding_kind_name(17), "?");
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(
        oxbow_bind(f->txn, &(struct oxbow_binding){.source = name, .destination = long_text}, NULL),
        OXBOW_EREADONLY);
    assert_err(oxbow_source_set(f->txn, name, &(struct oxbow_source){.keeps_nothing = true}),
               OXBOW_EREADONLY);
    assert_err(oxbow_unbind(f->txn, 1), OXBOW_EREADONLY);
}

static void what_is_set_for_a_source_can_be_taken_back(void **state)
{
    struct streams *f = *state;
    const struct oxbow_source set = {.keeps_nothing = true, .alternate = text_bytes("rest")};
    const struct oxbow_source none = {0};
    struct oxbow_source_info info;
    uint32_t place = 0;

    assert_ok(oxbow_source_set(f->txn, text_bytes("s"), &none)); /* nothing to be kept */
    assert_err(oxbow_source_next(f->txn, &place, &info), OXBOW_ENOENT);
    assert_ok(oxbow_source_set(f->txn, text_bytes("s"), &set));
    streams_reopen(f);
    assert_ok(oxbow_source_next(f->txn, &place, &info));
    assert_true(info.source.keeps_nothing);
    assert_memory_equal(info.source.alternate.data, "rest", 4);
    assert_err(oxbow_source_next(f->txn, &place, &info), OXBOW_ENOENT);
    assert_ok(route_one(f, "s", "k", "1"));
    assert_numbers(f, "s", "");
    assert_numbers(f, "rest", "1");
    assert_ok(oxbow_source_set(f->txn, text_bytes("s"), &none));
    assert_ok(route_one(f, "s", "k", "2"));
    assert_numbers(f, "s", "2");
    assert_numbers(f, "rest", "1");
    streams_reopen(f);
    place = 0;
    assert_err(oxbow_source_next(f->txn, &place, &info), OXBOW_ENOENT);
}

static void a_source_keeps_its_counters_when_something_is_set(void **state)
{
    struct streams *f = *state;
    uint32_t id = bind_topic(f, "s", "d", "a");

    assert_ok(route_one(f, "s", "a", "1"));
    assert_ok(oxbow_source_set(f->txn, text_bytes("s"),
                               &(struct oxbow_source){.alternate = text_bytes("rest")}));
    assert_ok(route_one(f, "s", "b", "2"));
    assert_ok(oxbow_unbind(f->txn, id)); /* the alternate keeps it a source */
    assert_ok(route_one(f, "s", "a", "3"));
    streams_reopen(f);
    assert_int_equal(source_of(f, "s").entries, 3);
    assert_int_equal(source_of(f, "s").routed, 1);
    assert_int_equal(source_of(f, "s").unroutable, 2);
    assert_int_equal(source_of(f, "s").alternated, 2);
    assert_numbers(f, "rest", "2 3");
}

static void the_first_binding_is_noted_as_a_feature(void **state)
{
    struct streams *f = *state;
    size_t count;
    const struct oxbow_feature *row = &oxbow_features(&count)[STORE_FEATURE_BINDING];
    struct oxbow_format format;

    assert_string_equal(row->name, "bindings");
    assert_ok(oxbow_format(f->txn, &format));
    assert_int_equal(format.used[row->kind] >> row->bit & 1, 0);
    (void)bind_all(f, "s", "d");
    streams_reopen(f);
    assert_ok(oxbow_format(f->txn, &format));
    assert_int_equal(format.used[row->kind] >> row->bit & 1, 1);
}

static void a_store_of_level_1_takes_none(void **state)
{
    struct streams *f = calloc(1, sizeof *f);
    const struct oxbow_binding b = from_to("s", "d");

    (void)state;
    assert_non_null(f);
    rig_init(&f->rig, OXBOW_SYNC_INTERVAL);
    f->rig.config.level = 1;
    rig_open(&f->rig);
    streams_begin(f);
    assert_err(oxbow_bind(f->txn, &b, NULL), OXBOW_ELEVEL);
    assert_err(
        oxbow_source_set(f->txn, text_bytes("s"), &(struct oxbow_source){.keeps_nothing = true}),
        OXBOW_ELEVEL);
    assert_ok(route_one(f, "s", "k", "1"));
    assert_numbers(f, "s", "1");
    streams_commit(f);
    oxbow_result_fini(&f->result);
    rig_fini(&f->rig);
    free(f);
}

/* Made one by one, used, aborted, unbound one by one: none of it goes through all of them. */
static void ten_thousand_bindings_are_no_burden(void **state)
{
    enum { MANY = 10000 };
    struct streams *f = *state;
    char text[64], name[16];
    clock_t begun = clock();
    uint32_t id = 0;

    for (unsigned i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "site.%u.*.alarm", i);
        snprintf(name, sizeof name, "d%u", i % 100);
        id = bind_topic(f, "s", name, text);
        if (i % 1000 == 999) {
            streams_commit(f);
            streams_begin(f);
        }
    }
    streams_reopen(f);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "site.%u.pump.alarm", i * 10);
        assert_ok(route_one(f, "s", text, "1"));
    }
    assert_int_equal(source_of(f, "s").routed, 1000);
    assert_int_equal(stream_count(f, "d0") + stream_count(f, "d10"), 200);
    streams_commit(f);
    streams_begin(f);
    for (unsigned i = 0; i < MANY - 10; i++) {
        assert_ok(oxbow_unbind(f->txn, id - i));
        if (i % 1000 == 999) {
            streams_commit(f);
            streams_begin(f);
        }
    }
    assert_ok(route_one(f, "s", "site.5.pump.alarm", "1"));
    assert_ok(route_one(f, "s", "site.500.pump.alarm", "1"));
    assert_int_equal(source_of(f, "s").routed, 1001);
    print_message("%.1f s\n", (double)(clock() - begun) / CLOCKS_PER_SEC);
    assert_true((clock() - begun) / CLOCKS_PER_SEC < 40);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_bound_is_listed_with_all_that_was_said),
        TEST(the_same_binding_is_made_once_and_may_change_what_happens_when_full),
        TEST(what_is_unbound_takes_nothing_any_more),
        TEST(an_abort_takes_bindings_back),
        TEST(entries_do_not_come_back_to_where_they_have_been),
        TEST(a_chain_has_an_end),
        TEST(a_name_is_taken_for_one_type),
        TEST(bad_input_is_refused),
        TEST(what_is_set_for_a_source_can_be_taken_back),
        TEST(a_source_keeps_its_counters_when_something_is_set),
        TEST(the_first_binding_is_noted_as_a_feature),
        cmocka_unit_test(a_store_of_level_1_takes_none),
        TEST(ten_thousand_bindings_are_no_burden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
