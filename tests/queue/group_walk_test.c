/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over a group's pending entries: filters, both directions, and changes meanwhile. */
#include "engine/queue/group.h"
#include "engine/queue/group_pending.h"
#include "tests/queue/stream_fixture.h"

#define MANY (3 * PENDING_RECORDS)

struct scene {
    struct stream stream;
    struct group group;
    struct consumer alice;
    struct consumer bob;
    struct pending_table table;
};

static void open_scene(struct scene *s, struct streams *f)
{
    bool made;

    assert_ok(streams_put(f, "s", ID(1, 0), "v"));
    assert_ok(stream_find(f->txn, text_bytes("s"), &s->stream));
    assert_ok(group_make(&s->stream, text_bytes("g"), &s->group));
    assert_ok(consumer_open(&s->group, text_bytes("alice"), &s->alice, &made));
    assert_ok(consumer_open(&s->group, text_bytes("bob"), &s->bob, &made));
    pending_open(&s->table, &s->group);
}

static void close_scene(struct scene *s)
{
    pending_close(&s->table);
}

static void set(struct scene *s, uint64_t ms, const struct consumer *c)
{
    const struct pending p = {
        .id = ID(ms, 0), .consumer = c->number, .age_ms = ms, .deliveries = 1};
    bool added;

    assert_ok(pending_set(&s->table, &p, &added));
}

static void a_walk_of_nothing_ends_at_once(void **state)
{
    struct scene s;
    struct pending_walk w;
    struct pending p;

    open_scene(&s, *state);
    pending_walk_init(&w, &s.table, OXBOW_ID_MIN);
    assert_err(pending_walk_next(&w, &p), OXBOW_ENOENT);
    pending_walk_init(&w, &s.table, OXBOW_ID_MIN);
    w.reverse = true;
    assert_err(pending_walk_next(&w, &p), OXBOW_ENOENT);
    close_scene(&s);
}

static void a_walk_goes_backwards_too(void **state)
{
    struct scene s;
    struct pending_walk w;
    struct pending p;
    uint64_t i;

    open_scene(&s, *state);
    for (i = 1; i <= MANY; i++) {
        set(&s, i, &s.alice);
    }
    pending_walk_init(&w, &s.table, OXBOW_ID_MIN);
    w.reverse = true;
    for (i = MANY; i >= 1; i--) {
        assert_ok(pending_walk_next(&w, &p));
        assert_int_equal(p.id.ms, i);
    }
    assert_err(pending_walk_next(&w, &p), OXBOW_ENOENT);
    close_scene(&s);
}

static void a_walk_takes_one_consumer_and_one_age(void **state)
{
    struct scene s;
    struct pending_walk w;
    struct pending p;
    uint64_t i;
    uint64_t count = 0;

    open_scene(&s, *state);
    for (i = 1; i <= MANY; i++) {
        set(&s, i, i % 3 == 0 ? &s.bob : &s.alice);
    }
    pending_walk_init(&w, &s.table, ID(10, 0));
    w.consumer = s.bob.number;
    w.age_max_ms = 300;
    while (pending_walk_next(&w, &p) == OXBOW_OK) {
        count++;
        assert_int_equal(p.id.ms, 9 + 3 * count);
        assert_int_equal(p.consumer, s.bob.number);
    }
    assert_int_equal(count, 100 - 3);
    close_scene(&s);
}

static void what_a_walk_gave_may_be_removed_meanwhile(void **state)
{
    struct scene s;
    struct pending_walk w;
    struct pending p;
    uint64_t count = 0;
    uint64_t i;

    open_scene(&s, *state);
    for (i = 1; i <= MANY; i++) {
        set(&s, i, &s.alice);
    }
    s.alice.pending = MANY;
    assert_ok(consumer_save(&s.group, &s.alice));
    pending_walk_init(&w, &s.table, OXBOW_ID_MIN);
    while (pending_walk_next(&w, &p) == OXBOW_OK) {
        count++;
        assert_int_equal(p.id.ms, count);
        assert_ok(pending_remove(&s.table, p.id));
    }
    assert_int_equal(count, MANY);
    assert_int_equal(s.group.pending, 0);
    close_scene(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_walk_of_nothing_ends_at_once),
        TEST(a_walk_goes_backwards_too),
        TEST(a_walk_takes_one_consumer_and_one_age),
        TEST(what_a_walk_gave_may_be_removed_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
