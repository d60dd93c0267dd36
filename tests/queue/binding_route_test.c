/* SPDX-License-Identifier: Apache-2.0 */
/* Where an append to a source goes, and what happens when a destination takes nothing. */
#include "tests/queue/binding_fixture.h"

#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/forward.h"
#include "oxbow/group_options.h"
#include "oxbow/once.h"
#include "oxbow/policy.h"
#include "oxbow/schedule.h"
#include "oxbow/string.h"
#include "oxbow/wait.h"

static void set_limit(struct streams *f, const char *key, enum oxbow_policy_full on_full)
{
    const struct oxbow_policy p = {.max_entries = 1, .on_full = on_full};

    assert_ok(oxbow_policy_set(f->txn, text_bytes(key), &p));
}

static uint32_t bind_list(struct streams *f, const char *source, const char *list,
                          enum oxbow_binding_full on_full)
{
    struct oxbow_binding b = from_to(source, list);

    b.type = OXBOW_TYPE_LIST;
    b.value_field = text_bytes("n");
    b.on_full = on_full;
    return bind_it(f, &b);
}

static uint32_t bind_skip(struct streams *f, const char *source, const char *destination)
{
    struct oxbow_binding b = from_to(source, destination);

    b.on_full = OXBOW_BINDING_SKIP;
    return bind_it(f, &b);
}

static const char *list_items(struct streams *f, const char *key)
{
    static char text[1024];
    size_t len = 0;

    text[0] = '\0';
    assert_ok(oxbow_list_range(f->txn, text_bytes(key), 0, -1, &f->result));
    for (size_t i = 0; i < f->result.item_count; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s", i > 0 ? " " : "",
                                (int)f->result.items[i].len, (const char *)f->result.items[i].data);
    }
    return text;
}

#define assert_list(f, key, want) assert_string_equal(list_items(f, key), want)

/* ---- where it goes ---- */

static void each_kind_takes_what_it_is_for(void **state)
{
    struct streams *f = *state;
    const struct oxbow_field both[] = {{text_bytes("key"), text_bytes("order.eu")},
                                       {text_bytes("n"), text_bytes("3")}};
    struct oxbow_binding b = from_to("s", "headers");
    struct oxbow_binding any = from_to("s", "any");

    b.kind = any.kind = OXBOW_BIND_HEADERS;
    b.headers = any.headers = both;
    b.header_count = any.header_count = 2;
    any.any = true;
    (void)bind_it(f, &b);
    (void)bind_it(f, &any);
    (void)bind_all(f, "s", "all");
    (void)bind_direct(f, "s", "direct", "key", "order.eu");
    (void)bind_topic(f, "s", "topic", "order.*");
    (void)bind_list(f, "s", "list", OXBOW_BINDING_REFUSE);
    assert_ok(route_one(f, "s", "order.eu", "1"));
    assert_ok(route_one(f, "s", "order.us", "2"));
    assert_ok(route_one(f, "s", "order.eu", "3"));
    assert_ok(route_one(f, "s", "x", "3"));
    assert_numbers(f, "s", "1 2 3 3");
    assert_numbers(f, "all", "1 2 3 3");
    assert_numbers(f, "direct", "1 3");
    assert_numbers(f, "topic", "1 2 3");
    assert_numbers(f, "headers", "3");
    assert_numbers(f, "any", "1 3 3");
    assert_list(f, "list", "1 2 3 3");
    assert_int_equal(source_of(f, "s").entries, 4);
    assert_int_equal(source_of(f, "s").routed, 4 + 2 + 3 + 1 + 3 + 4);
}

static void several_bindings_to_one_destination_deliver_once(void **state)
{
    struct streams *f = *state;

    (void)bind_all(f, "s", "d");
    (void)bind_topic(f, "s", "d", "a.#");
    (void)bind_topic(f, "s", "d", "#");
    (void)bind_direct(f, "s", "d", "key", "a.b");
    (void)bind_all(f, "s", "way"); /* and by another way */
    (void)bind_all(f, "way", "d");
    assert_ok(route_one(f, "s", "a.b", "1"));
    assert_numbers(f, "d", "1");
    assert_numbers(f, "way", "1");
    assert_ok(route_one(f, "way", "a.b", "2")); /* which is a stream like any other */
    assert_numbers(f, "d", "1 2");
    assert_numbers(f, "s", "1");
}

static void a_chain_is_followed_to_its_end(void **state)
{
    struct streams *f = *state;

    (void)bind_topic(f, "s", "orders", "order.#");
    (void)bind_topic(f, "orders", "eu", "*.*.eu");
    (void)bind_list(f, "eu", "jobs", OXBOW_BINDING_REFUSE);
    assert_ok(route_one(f, "s", "order.created.eu", "1"));
    assert_ok(route_one(f, "s", "order.created.us", "2"));
    assert_ok(route_one(f, "s", "bill.created.eu", "3"));
    streams_reopen(f);
    assert_ok(route_one(f, "s", "order.paid.eu", "4"));
    assert_numbers(f, "orders", "1 2 4");
    assert_numbers(f, "eu", "1 4");
    assert_list(f, "jobs", "1 4");
    assert_int_equal(source_of(f, "s").unroutable, 1);
    assert_int_equal(source_of(f, "orders").unroutable, 1);
}

static void an_entry_without_the_field_does_not_go_to_the_list(void **state)
{
    struct streams *f = *state;
    const struct oxbow_field field = {text_bytes("other"), text_bytes("x")};

    (void)bind_list(f, "s", "l", OXBOW_BINDING_REFUSE);
    assert_ok(oxbow_stream_add(f->txn, text_bytes("s"), NULL, &field, 1, NULL));
    assert_list(f, "l", "");
    assert_int_equal(source_of(f, "s").unroutable, 1);
}

static void what_no_binding_takes_goes_to_the_alternate(void **state)
{
    struct streams *f = *state;

    (void)bind_topic(f, "s", "d", "a.#");
    assert_ok(route_one(f, "s", "b", "1"));
    assert_ok(oxbow_source_set(f->txn, text_bytes("s"),
                               &(struct oxbow_source){.alternate = text_bytes("rest")}));
    (void)bind_topic(f, "rest", "deep", "b.#"); /* which passes it on */
    assert_ok(route_one(f, "s", "b.c", "2"));
    assert_ok(route_one(f, "s", "a", "3"));
    assert_ok(route_one(f, "s", "c", "4"));
    assert_numbers(f, "d", "3");
    assert_numbers(f, "rest", "2 4");
    assert_numbers(f, "deep", "2");
    assert_int_equal(source_of(f, "s").unroutable, 3);
    assert_int_equal(source_of(f, "s").alternated, 2);
    assert_int_equal(source_of(f, "rest").unroutable, 1);
}

static void a_source_may_keep_nothing(void **state)
{
    struct streams *f = *state;
    const struct oxbow_stream_add_options opt = {.no_create = true};
    const struct oxbow_field field = {text_bytes("key"), text_bytes("x")};
    struct oxbow_id id = ID(7, 7);
    enum oxbow_type type;

    (void)bind_all(f, "s", "d");
    assert_ok(
        oxbow_source_set(f->txn, text_bytes("s"), &(struct oxbow_source){.keeps_nothing = true}));
    (void)bind_all(f, "top", "s"); /* also in the middle */
    set_limit(f, "s", OXBOW_POLICY_REFUSE);
    assert_ok(route_one(f, "s", "k", "1"));
    assert_ok(route_one(f, "top", "k", "2"));
    assert_ok(route_one(f, "s", "k", "3"));
    assert_numbers(f, "d", "1 2 3");
    assert_numbers(f, "top", "2");
    assert_ok(oxbow_key_type(f->txn, text_bytes("s"), &type));
    assert_int_equal(type, OXBOW_TYPE_NONE);
    assert_ok(oxbow_stream_add(f->txn, text_bytes("s"), &opt, &field, 1, &id));
    assert_id(id, "0-0");
    assert_ok(oxbow_string_set(f->txn, text_bytes("s"), text_bytes("not a stream")));
    assert_err(route_one(f, "s", "k", "4"), OXBOW_EWRONGTYPE);
    assert_int_equal(stream_count(f, "d"), 4);
}

static void ids_are_the_destinations_own_and_a_time_to_live_goes_along(void **state)
{
    struct streams *f = *state;
    const struct oxbow_stream_add_options opt = {
        .id_mode = OXBOW_ID_EXPLICIT, .id = {5, 5}, .ttl_ms = 1000};
    const struct oxbow_field field = {text_bytes("key"), text_bytes("x")};
    struct oxbow_id id;

    (void)bind_all(f, "s", "d");
    assert_ok(streams_put(f, "d", ID(UINT64_C(1) << 60, 1), "far"));
    assert_ok(oxbow_stream_add(f->txn, text_bytes("s"), &opt, &field, 1, &id));
    assert_id(id, "5-5");
    assert_string_equal(streams_all(f, "d"),
                        "1152921504606846976-1{f=far} 1152921504606846976-2{key=x}");
    streams_commit(f);
    rig_pass_ms(&f->rig, 1001);
    streams_begin(f);
    assert_string_equal(streams_all(f, "s"), "");
    assert_string_equal(streams_all(f, "d"), "1152921504606846976-1{f=far}");
}

static const char *first_of(struct streams *f, const char *key)
{
    static char text[8];
    const struct oxbow_group_create_options create = {.make_stream = true};
    const struct oxbow_group_read_options one = {.count = 1};
    struct oxbow_bytes v;

    assert_ok(oxbow_group_create(f->txn, group_of(key, "g"), &create));
    assert_ok(oxbow_group_read(f->txn, group_of(key, "g"), BYTES("c"), &one, &f->result));
    assert_int_equal(f->result.entry_count, 1);
    v = f->result.entries[0].fields[0].value;
    snprintf(text, sizeof text, "%.*s", (int)v.len, (const char *)v.data);
    return text;
}

static void a_priority_goes_along_as_far_as_there_is_one(void **state)
{
    static const char *const keys[] = {"s", "d", "two"};
    struct streams *f = *state;
    struct oxbow_stream_add_options opt = {0};
    struct oxbow_policy p = {.priorities = 3};

    (void)bind_all(f, "s", "d");
    (void)bind_all(f, "s", "two");
    (void)bind_all(f, "s", "none");
    assert_ok(oxbow_policy_set(f->txn, text_bytes("s"), &p));
    assert_ok(oxbow_policy_set(f->txn, text_bytes("d"), &p));
    p.priorities = 2;
    assert_ok(oxbow_policy_set(f->txn, text_bytes("two"), &p));
    for (unsigned i = 0; i < 3; i++) {
        const char digit = (char)('0' + i);
        const struct oxbow_field field = {text_bytes("n"), {&digit, 1}};

        opt.priority = i;
        assert_ok(oxbow_stream_add(f->txn, text_bytes("s"), &opt, &field, 1, NULL));
    }
    opt.priority = 3;
    assert_err(oxbow_stream_add(f->txn, text_bytes("s"), &opt,
                                &(struct oxbow_field){text_bytes("n"), text_bytes("x")}, 1, NULL),
               OXBOW_EINVAL);
    assert_string_equal(first_of(f, keys[0]), "2");
    assert_string_equal(first_of(f, keys[1]), "2");
    assert_string_equal(first_of(f, keys[2]), "1"); /* 1 and 2 are both its highest */
    assert_string_equal(first_of(f, "none"), "0");
}

static void names_keep_their_bindings_whatever_happens_to_the_queues(void **state)
{
    struct streams *f = *state;

    (void)bind_all(f, "s", "d");
    assert_ok(route_one(f, "s", "k", "1"));
    assert_ok(oxbow_key_rename(f->txn, text_bytes("d"), text_bytes("e"), false));
    assert_ok(route_one(f, "s", "k", "2"));
    assert_numbers(f, "e", "1");
    assert_numbers(f, "d", "2");
    assert_ok(oxbow_key_delete(f->txn, text_bytes("d"), NULL));
    assert_ok(oxbow_key_delete(f->txn, text_bytes("s"), NULL));
    assert_ok(route_one(f, "s", "k", "3"));
    assert_numbers(f, "s", "3");
    assert_numbers(f, "d", "3");
    assert_ok(oxbow_key_flush(f->txn));
    assert_ok(route_one(f, "s", "k", "4"));
    assert_numbers(f, "d", "4");
}

static void long_entries_are_copied_whole(void **state)
{
    static const size_t lens[] = {5000, 70000, 300000};
    static char bytes[300000];
    struct streams *f = *state;
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};

    memset(bytes, 'x', sizeof bytes);
    (void)bind_all(f, "s", "d");
    for (size_t i = 0; i < 3; i++) {
        const struct oxbow_field field = {text_bytes("f"), {bytes, lens[i]}};

        assert_ok(oxbow_stream_add(f->txn, text_bytes("s"), NULL, &field, 1, NULL));
    }
    streams_reopen(f);
    assert_ok(oxbow_key_delete(f->txn, text_bytes("s"), NULL)); /* they have nothing in common */
    streams_reopen(f);
    assert_ok(oxbow_stream_range(f->txn, text_bytes("d"), &all, &f->result));
    assert_int_equal(f->result.entry_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(f->result.entries[i].fields[0].value.len, lens[i]);
        assert_memory_equal(f->result.entries[i].fields[0].value.data, bytes, lens[i]);
    }
}

/* ---- when it does not ---- */

static void a_full_destination_refuses_all_of_it(void **state)
{
    struct streams *f = *state;
    uint32_t id;

    (void)bind_all(f, "s", "a");
    id = bind_all(f, "s", "full");
    (void)bind_list(f, "s", "l", OXBOW_BINDING_REFUSE);
    set_limit(f, "full", OXBOW_POLICY_REFUSE);
    assert_ok(route_one(f, "s", "k", "1"));
    assert_err(route_one(f, "s", "k", "2"), OXBOW_EFULL);
    assert_true(binding_refuser(f->txn).len > 0);
    assert_ok(route_one(f, "other", "k", "1")); /* the transaction goes on */
    assert_int_equal(binding_refuser(f->txn).len, 0);
    streams_commit(f);
    streams_begin(f);
    assert_numbers(f, "s", "1");
    assert_numbers(f, "a", "1");
    assert_numbers(f, "full", "1");
    assert_list(f, "l", "1");
    assert_int_equal(source_of(f, "s").entries, 1);
    assert_int_equal(binding_of(f, id).refused, 1);
    assert_int_equal(binding_of(f, id).dropped, 0);
}

static void a_full_list_does_so_too(void **state)
{
    struct streams *f = *state;

    (void)bind_all(f, "s", "a");
    (void)bind_list(f, "s", "l", OXBOW_BINDING_REFUSE);
    set_limit(f, "l", OXBOW_POLICY_BLOCK);
    assert_ok(route_one(f, "s", "k", "1"));
    assert_err(route_one(f, "s", "k", "2"), OXBOW_EFULL);
    assert_ok(oxbow_list_pop(f->txn, text_bytes("l"), OXBOW_LEFT, 1, &f->result));
    assert_ok(route_one(f, "s", "k", "3"));
    assert_numbers(f, "s", "1 3");
    assert_numbers(f, "a", "1 3");
    assert_list(f, "l", "3");
}

static void a_full_destination_that_is_skipped_is_counted(void **state)
{
    struct streams *f = *state;
    uint32_t stream, list;

    stream = bind_skip(f, "s", "full");
    list = bind_list(f, "s", "l", OXBOW_BINDING_SKIP);
    (void)bind_all(f, "full", "behind"); /* gets it all the same */
    set_limit(f, "full", OXBOW_POLICY_REFUSE);
    set_limit(f, "l", OXBOW_POLICY_REFUSE);
    assert_ok(route_one(f, "s", "k", "1"));
    assert_ok(route_one(f, "s", "k", "2"));
    assert_ok(route_one(f, "s", "k", "3"));
    streams_reopen(f);
    assert_numbers(f, "s", "1 2 3");
    assert_numbers(f, "full", "1");
    assert_numbers(f, "behind", "1 2 3");
    assert_list(f, "l", "1");
    assert_int_equal(binding_of(f, stream).dropped, 2);
    assert_int_equal(binding_of(f, list).dropped, 2);
    assert_int_equal(binding_of(f, list).why, OXBOW_EFULL);
    assert_int_equal(binding_of(f, list).wall_ms, f->rig.wall_ms);
    assert_int_equal(source_of(f, "s").dropped, 4);
    assert_int_equal(source_of(f, "s").routed, 2);
}

static void a_destination_that_drops_the_oldest_takes_everything(void **state)
{
    struct streams *f = *state;

    (void)bind_all(f, "s", "d");
    (void)bind_list(f, "s", "l", OXBOW_BINDING_REFUSE);
    set_limit(f, "d", OXBOW_POLICY_DROP_OLDEST);
    set_limit(f, "l", OXBOW_POLICY_DROP_OLDEST);
    assert_ok(route_one(f, "s", "k", "1"));
    assert_ok(route_one(f, "s", "k", "2"));
    assert_numbers(f, "d", "2");
    assert_list(f, "l", "2");
    assert_numbers(f, "s", "1 2");
}

static void a_destination_of_another_type_refuses_or_is_skipped(void **state)
{
    struct streams *f = *state;
    uint32_t id = bind_all(f, "s", "d");
    struct oxbow_binding_info info;

    assert_ok(oxbow_string_set(f->txn, text_bytes("d"), text_bytes("x")));
    assert_err(route_one(f, "s", "k", "1"), OXBOW_EWRONGTYPE);
    assert_int_equal(bind_skip(f, "s", "d"), id);
    assert_ok(route_one(f, "s", "k", "2"));
    assert_numbers(f, "s", "2");
    info = binding_of(f, id);
    assert_int_equal(info.dropped, 1);
    assert_int_equal(info.why, OXBOW_EWRONGTYPE);
}

/* A list forward pops its head and is pushed to at its tail: bindings may. Its budget counts. */
static void a_forwards_budget_holds_for_what_is_routed(void **state)
{
    struct streams *f = *state;
    const struct oxbow_forward_options list = {
        .key = text_bytes("l"), .type = OXBOW_TYPE_LIST, .max_bytes = 3};
    const struct oxbow_forward_options stream = {
        .key = text_bytes("d"), .type = OXBOW_TYPE_STREAM, .max_bytes = 20};
    struct oxbow_forward_status status;

    assert_ok(oxbow_identity_set(f->txn, "device", NULL));
    assert_ok(oxbow_forward_create(f->txn, "list", &list));
    assert_ok(oxbow_forward_create(f->txn, "stream", &stream));
    (void)bind_all(f, "s", "d");
    (void)bind_list(f, "s", "l", OXBOW_BINDING_REFUSE);
    assert_ok(route_one(f, "s", "k", "1"));
    assert_ok(route_one(f, "s", "k", "2"));
    assert_ok(route_one(f, "s", "k", "3"));
    assert_err(route_one(f, "s", "k", "4"), OXBOW_EBUDGET); /* the list's */
    assert_ok(oxbow_forward_status(f->txn, "stream", &status));
    assert_int_equal(status.backlog_entries, 3); /* what was refused is not counted */
    assert_int_equal(status.backlog_bytes, 18);
    assert_list(f, "l", "1 2 3");
    assert_numbers(f, "d", "1 2 3");
    assert_numbers(f, "s", "1 2 3");
}

static void an_entry_that_the_source_refuses_goes_nowhere(void **state)
{
    struct streams *f = *state;

    (void)bind_all(f, "s", "d");
    set_limit(f, "s", OXBOW_POLICY_REFUSE);
    assert_ok(route_one(f, "s", "k", "1"));
    assert_err(route_one(f, "s", "k", "2"), OXBOW_EFULL);
    assert_int_equal(binding_refuser(f->txn).len, 0);
    assert_err(oxbow_stream_add(f->txn, text_bytes("s"), NULL, NULL, 0, NULL), OXBOW_EINVAL);
    assert_numbers(f, "d", "1");
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(route_one(f, "s", "k", "2"), OXBOW_EREADONLY);
}

static void copies_count_towards_the_quota_before_anything_is_written(void **state)
{
    static char bytes[100000];
    struct streams *f = *state;
    const struct oxbow_field field = {text_bytes("f"), {bytes, sizeof bytes}};
    char name[16];
    enum oxbow_err err;

    for (unsigned i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "d%u", i);
        (void)bind_all(f, "s", name);
    }
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.config.quota_bytes = 4u << 20;
    rig_open(&f->rig);
    streams_begin(f);
    do {
        err = oxbow_stream_add(f->txn, text_bytes("s"), NULL, &field, 1, NULL);
    } while (err == OXBOW_OK);
    assert_err(err, OXBOW_EQUOTA);
    streams_commit(f); /* refused as a whole, and fit to be committed */
    streams_begin(f);
    assert_in_range(stream_count(f, "s"), 1, 3);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "d%u", i);
        assert_int_equal(stream_count(f, name), stream_count(f, "s"));
    }
}

/* ---- by whatever way it comes ---- */

static void what_is_delayed_or_added_once_is_routed(void **state)
{
    struct streams *f = *state;
    const struct oxbow_field fields[] = {{text_bytes("key"), text_bytes("k")},
                                         {text_bytes("n"), text_bytes("1")}};
    const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, 500};
    const struct oxbow_once once = {.id = text_bytes("x")};
    struct oxbow_once_outcome outcome;

    (void)bind_all(f, "s", "d");
    assert_ok(oxbow_delay_add(f->txn, text_bytes("s"), &when, fields, 2, NULL));
    for (int i = 0; i < 2; i++) {
        assert_ok(oxbow_once_add(f->txn, text_bytes("s"), &once, fields, 2, &outcome));
    }
    assert_numbers(f, "d", "1");
    streams_commit(f);
    rig_pass_ms(&f->rig, 1000);
    streams_begin(f);
    assert_ok(oxbow_delay_run(f->txn, 0, NULL, NULL));
    assert_numbers(f, "s", "1 1");
    assert_numbers(f, "d", "1 1");
}

static void what_a_schedule_adds_is_routed(void **state)
{
    struct streams *f = *state;
    const struct oxbow_field fields[] = {{text_bytes("key"), text_bytes("k")},
                                         {text_bytes("n"), text_bytes("1")}};
    const struct oxbow_schedule_options opt = {
        .when = text_bytes("every 1s"), .key = text_bytes("s"), .fields = fields, .field_count = 2};

    (void)bind_all(f, "s", "d");
    assert_ok(oxbow_schedule_set(f->txn, "beat", &opt));
    for (int i = 0; i < 2; i++) {
        streams_commit(f);
        rig_pass_ms(&f->rig, 1000);
        streams_begin(f);
        assert_ok(oxbow_schedule_run(f->txn, 0, NULL, NULL));
    }
    assert_numbers(f, "s", "1 1");
    assert_numbers(f, "d", "1 1");
}

static void what_is_delayed_waits_on_when_a_destination_refuses(void **state)
{
    struct streams *f = *state;
    const struct oxbow_field fields[] = {{text_bytes("key"), text_bytes("k")},
                                         {text_bytes("n"), text_bytes("1")}};
    const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, 500};
    struct oxbow_delay_stat stat;

    (void)bind_all(f, "s", "d");
    set_limit(f, "d", OXBOW_POLICY_REFUSE);
    assert_ok(route_one(f, "d", "k", "0"));
    assert_ok(oxbow_delay_add(f->txn, text_bytes("s"), &when, fields, 2, NULL));
    streams_commit(f);
    rig_pass_ms(&f->rig, 1000);
    streams_begin(f);
    assert_ok(oxbow_delay_run(f->txn, 0, NULL, NULL));
    assert_numbers(f, "s", "");
    assert_ok(oxbow_delay_stat(f->txn, &stat));
    assert_int_equal(stat.waiting, 1);
    assert_ok(oxbow_stream_trim(f->txn, text_bytes("d"),
                                &(struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN}, NULL));
    streams_commit(f);
    rig_pass_ms(&f->rig, 5000);
    streams_begin(f);
    assert_ok(oxbow_delay_run(f->txn, 0, NULL, NULL));
    assert_numbers(f, "s", "1");
    assert_numbers(f, "d", "1");
}

static void dead_letters_are_routed_and_what_comes_back_is_not_routed_again(void **state)
{
    struct streams *f = *state;
    const struct oxbow_group_create_options create = {.make_stream = true};
    const struct oxbow_group_options opt = {.max_deliveries = 9, .dead_letter = text_bytes("dead")};
    struct oxbow_group_nack_options no = {.count = 1, .how = OXBOW_NACK_DEAD};
    struct oxbow_redrive out;
    struct oxbow_id id;

    (void)bind_all(f, "s", "copy");
    (void)bind_all(f, "dead", "alarms");
    assert_ok(oxbow_group_create(f->txn, group_of("s", "g"), &create));
    assert_ok(oxbow_group_options_set(f->txn, group_of("s", "g"), &opt));
    assert_ok(route_one(f, "s", "k", "1"));
    assert_ok(oxbow_group_read(f->txn, group_of("s", "g"), BYTES("c"), NULL, &f->result));
    id = f->result.entries[0].id;
    no.ids = &id;
    assert_ok(oxbow_group_nack(f->txn, group_of("s", "g"), &no, NULL));
    assert_int_equal(stream_count(f, "dead"), 1);
    assert_int_equal(stream_count(f, "alarms"), 1);
    assert_ok(oxbow_key_delete(f->txn, text_bytes("s"), NULL)); /* it is added anew then */
    assert_ok(oxbow_redrive(f->txn, text_bytes("dead"), NULL, &out));
    assert_int_equal(out.redriven, 1);
    assert_numbers(f, "s", "1");
    assert_numbers(f, "copy", "1"); /* of before */
}

static void an_append_can_leave_bindings_out(void **state)
{
    struct streams *f = *state;
    const struct oxbow_stream_add_options opt = {.unrouted = true};
    const struct oxbow_field field = {text_bytes("key"), text_bytes("x")};

    (void)bind_all(f, "s", "d");
    assert_ok(oxbow_stream_add(f->txn, text_bytes("s"), &opt, &field, 1, NULL));
    assert_int_equal(stream_count(f, "s"), 1);
    assert_int_equal(stream_count(f, "d"), 0);
}

/* It waits for room where the policy says block, and not for what does not come. */
static void an_append_that_waits_does_not_wait_for_a_destination_that_refuses(void **state)
{
    struct streams *f = *state;
    const struct oxbow_field field = {text_bytes("key"), text_bytes("x")};
    const struct oxbow_stream_add_wait_options entry = {
        .key = text_bytes("s"), .fields = &field, .field_count = 1};
    const struct oxbow_wait_options wait = {.timeout_ms = -1};
    struct oxbow_policy large = {.max_entries = 1000, .on_full = OXBOW_POLICY_BLOCK};

    (void)bind_all(f, "s", "d");
    assert_ok(oxbow_policy_set(f->txn, text_bytes("s"), &large));
    set_limit(f, "d", OXBOW_POLICY_REFUSE);
    streams_commit(f);
    assert_ok(oxbow_stream_add_wait(f->rig.db, &wait, &entry, NULL));
    assert_err(oxbow_stream_add_wait(f->rig.db, &wait, &entry, NULL), OXBOW_EFULL);
    streams_begin(f);
    assert_int_equal(stream_count(f, "s"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_kind_takes_what_it_is_for),
        TEST(several_bindings_to_one_destination_deliver_once),
        TEST(a_chain_is_followed_to_its_end),
        TEST(an_entry_without_the_field_does_not_go_to_the_list),
        TEST(what_no_binding_takes_goes_to_the_alternate),
        TEST(a_source_may_keep_nothing),
        TEST(ids_are_the_destinations_own_and_a_time_to_live_goes_along),
        TEST(a_priority_goes_along_as_far_as_there_is_one),
        TEST(names_keep_their_bindings_whatever_happens_to_the_queues),
        TEST(long_entries_are_copied_whole),
        TEST(a_full_destination_refuses_all_of_it),
        TEST(a_full_list_does_so_too),
        TEST(a_full_destination_that_is_skipped_is_counted),
        TEST(a_destination_that_drops_the_oldest_takes_everything),
        TEST(a_destination_of_another_type_refuses_or_is_skipped),
        TEST(a_forwards_budget_holds_for_what_is_routed),
        TEST(an_entry_that_the_source_refuses_goes_nowhere),
        TEST(copies_count_towards_the_quota_before_anything_is_written),
        TEST(what_is_delayed_or_added_once_is_routed),
        TEST(what_a_schedule_adds_is_routed),
        TEST(what_is_delayed_waits_on_when_a_destination_refuses),
        TEST(dead_letters_are_routed_and_what_comes_back_is_not_routed_again),
        TEST(an_append_can_leave_bindings_out),
        TEST(an_append_that_waits_does_not_wait_for_a_destination_that_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
