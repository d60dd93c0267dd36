/* SPDX-License-Identifier: Apache-2.0 */
/* Consumers' records: found, kept, counted, never numbered twice. */
#include "engine/queue/group.h"
#include "tests/queue/stream_fixture.h"

struct scene {
    struct streams *f;
    struct stream stream;
    struct group group;
};

static void open_scene(struct scene *s, struct streams *f)
{
    s->f = f;
    assert_ok(streams_put(f, "s", ID(1, 0), "v"));
    assert_ok(stream_find(f->txn, text_bytes("s"), &s->stream));
    assert_ok(group_make(&s->stream, text_bytes("g"), &s->group));
}

static struct consumer open_one(struct scene *s, const char *name, bool fresh)
{
    struct consumer c;
    bool made = !fresh;

    assert_ok(consumer_open(&s->group, text_bytes(name), &c, &made));
    assert_int_equal(made, fresh);
    return c;
}

static void assert_same(const struct consumer *a, const struct consumer *b)
{
    assert_int_equal(a->number, b->number);
    assert_int_equal(a->pending, b->pending);
    assert_int_equal(a->seen_ms, b->seen_ms);
    assert_int_equal(a->active_ms, b->active_ms);
}

static void a_consumer_is_made_once(void **state)
{
    struct scene s;
    struct consumer a;
    struct consumer b;

    open_scene(&s, *state);
    assert_err(consumer_find(&s.group, text_bytes("a"), &a), OXBOW_ENOENT);
    a = open_one(&s, "a", true);
    b = open_one(&s, "b", true);
    assert_true(a.number > 0);
    assert_true(b.number > a.number);
    assert_int_equal(s.group.consumers, 2);
    assert_int_equal(a.pending, 0);
    assert_int_equal(a.active_ms, 0);
    assert_int_equal(a.seen_ms, group_now(&s.group));
    assert_int_equal(open_one(&s, "a", false).number, a.number);
    assert_int_equal(s.group.consumers, 2);
}

static void what_is_saved_is_found_under_name_and_number(void **state)
{
    struct scene s;
    struct consumer a;
    struct consumer got;
    struct oxbow_bytes name;

    open_scene(&s, *state);
    a = open_one(&s, "alice", true);
    a.pending = UINT64_MAX;
    a.seen_ms = 0x0102030405060708;
    a.active_ms = 9;
    assert_ok(consumer_save(&s.group, &a));
    assert_ok(consumer_find(&s.group, text_bytes("alice"), &got));
    assert_same(&got, &a);
    assert_ok(consumer_load(&s.group, a.number, &got, &name));
    assert_same(&got, &a);
    assert_int_equal(name.len, 5);
    assert_memory_equal(name.data, "alice", 5); /* the save has left the name */
    assert_err(consumer_load(&s.group, a.number + 1, &got, NULL), OXBOW_ECORRUPT);
}

static void a_number_is_never_used_twice(void **state)
{
    struct scene s;
    struct consumer a;
    struct consumer again;

    open_scene(&s, *state);
    a = open_one(&s, "a", true);
    assert_ok(consumer_drop(&s.group, text_bytes("a"), &a));
    assert_int_equal(s.group.consumers, 0);
    assert_err(consumer_find(&s.group, text_bytes("a"), &again), OXBOW_ENOENT);
    again = open_one(&s, "a", true);
    assert_true(again.number > a.number);
    assert_int_equal(s.group.consumers, 1);
}

static void groups_have_consumers_of_their_own(void **state)
{
    struct scene s;
    struct group other;
    struct consumer c;

    open_scene(&s, *state);
    (void)open_one(&s, "a", true);
    assert_ok(group_make(&s.stream, text_bytes("other"), &other));
    assert_err(consumer_find(&other, text_bytes("a"), &c), OXBOW_ENOENT);
    assert_int_equal(other.consumers, 0);
}

struct seen {
    uint64_t names; /* first letters, as bits */
    unsigned calls;
    unsigned stop_at;
};

static enum oxbow_err on_each(void *ctx, const struct consumer *c, struct oxbow_bytes name)
{
    struct seen *seen = ctx;

    assert_true(c->number > 0);
    assert_int_equal(name.len, 1);
    seen->names |= (uint64_t)1 << (*(const char *)name.data - 'a');
    seen->calls++;
    return seen->calls == seen->stop_at ? OXBOW_EBUSY : OXBOW_OK;
}

static void each_is_called_for_every_one_until_it_fails(void **state)
{
    struct scene s;
    struct group other;
    struct seen seen = {0};

    open_scene(&s, *state);
    assert_ok(consumer_each(&s.group, on_each, &seen));
    assert_int_equal(seen.calls, 0);
    (void)open_one(&s, "a", true);
    (void)open_one(&s, "b", true);
    (void)open_one(&s, "c", true);
    assert_ok(group_make(&s.stream, text_bytes("other"), &other));
    s.group.consumers = 3;
    assert_ok(consumer_each(&s.group, on_each, &seen));
    assert_int_equal(seen.calls, 3);
    assert_int_equal(seen.names, 7);
    seen = (struct seen){.stop_at = 2};
    assert_err(consumer_each(&s.group, on_each, &seen), OXBOW_EBUSY);
    assert_int_equal(seen.calls, 2);
    seen = (struct seen){0};
    assert_ok(consumer_each(&other, on_each, &seen));
    assert_int_equal(seen.calls, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_consumer_is_made_once),
        TEST(what_is_saved_is_found_under_name_and_number),
        TEST(a_number_is_never_used_twice),
        TEST(groups_have_consumers_of_their_own),
        TEST(each_is_called_for_every_one_until_it_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
