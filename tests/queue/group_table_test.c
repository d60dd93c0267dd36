/* SPDX-License-Identifier: Apache-2.0 */
/* A group's pending entries in the store: chunks that fill, split and go, and the counts. */
#include "engine/queue/group.h"
#include "engine/queue/group_pending.h"
#include "tests/queue/stream_fixture.h"

#define MANY (3 * PENDING_RECORDS)

struct scene {
    struct streams *f;
    struct stream stream;
    struct group group;
    struct consumer alice;
    struct consumer bob;
    struct pending_table table;
};

static void open_scene(struct scene *s, struct streams *f)
{
    bool made;

    s->f = f;
    assert_ok(streams_put(f, "s", ID(1, 0), "v"));
    assert_ok(stream_find(f->txn, text_bytes("s"), &s->stream));
    assert_ok(group_make(&s->stream, text_bytes("g"), &s->group));
    assert_ok(consumer_open(&s->group, text_bytes("alice"), &s->alice, &made));
    assert_true(made);
    assert_ok(consumer_open(&s->group, text_bytes("bob"), &s->bob, &made));
    pending_open(&s->table, &s->group);
}

static void close_scene(struct scene *s)
{
    pending_close(&s->table);
}

static bool set(struct scene *s, uint64_t ms, const struct consumer *c, uint64_t deliveries)
{
    const struct pending p = {
        .id = ID(ms, 0), .consumer = c->number, .age_ms = ms, .deliveries = deliveries};
    bool added = false;

    assert_ok(pending_set(&s->table, &p, &added));
    return added;
}

static enum oxbow_err find(struct scene *s, uint64_t ms, struct pending *out)
{
    return pending_find(&s->table, ID(ms, 0), out);
}

/* Walks all of it: the ids must be from, from + step, ... */
static uint64_t walk_count(struct scene *s, uint64_t from, uint64_t step, bool reverse)
{
    struct pending_walk w;
    struct pending p;
    uint64_t count = 0;
    enum oxbow_err err;

    pending_walk_init(&w, &s->table, OXBOW_ID_MIN);
    w.reverse = reverse;
    while ((err = pending_walk_next(&w, &p)) == OXBOW_OK) {
        uint64_t want = reverse ? from - count * step : from + count * step;

        assert_int_equal(p.id.ms, want);
        count++;
    }
    assert_err(err, OXBOW_ENOENT);
    return count;
}

static void an_entry_is_found_until_it_is_removed(void **state)
{
    struct scene s;
    struct pending p;

    open_scene(&s, *state);
    assert_err(find(&s, 5, &p), OXBOW_ENOENT);
    assert_err(pending_remove(&s.table, ID(5, 0)), OXBOW_ENOENT);
    assert_true(set(&s, 5, &s.alice, 1));
    assert_int_equal(s.group.pending, 1);
    assert_ok(find(&s, 5, &p));
    assert_int_equal(p.consumer, s.alice.number);
    assert_int_equal(p.deliveries, 1);
    assert_err(find(&s, 4, &p), OXBOW_ENOENT);
    assert_err(find(&s, 6, &p), OXBOW_ENOENT);
    s.alice.pending = 1;
    assert_ok(consumer_save(&s.group, &s.alice));
    assert_ok(pending_remove(&s.table, ID(5, 0)));
    assert_err(pending_remove(&s.table, ID(5, 0)), OXBOW_ENOENT);
    assert_err(find(&s, 5, &p), OXBOW_ENOENT);
    assert_int_equal(s.group.pending, 0);
    assert_ok(pending_flush(&s.table));
    assert_ok(consumer_load(&s.group, s.alice.number, &s.alice, NULL));
    assert_int_equal(s.alice.pending, 0);
    close_scene(&s);
}

static void an_entry_that_changes_hands_is_counted_once(void **state)
{
    struct scene s;
    struct pending p;

    open_scene(&s, *state);
    assert_true(set(&s, 5, &s.alice, 1));
    s.alice.pending = 1;
    assert_ok(consumer_save(&s.group, &s.alice));
    assert_false(set(&s, 5, &s.alice, 2)); /* the same one's */
    assert_true(set(&s, 5, &s.bob, 3));
    s.bob.pending = 1;
    assert_ok(consumer_save(&s.group, &s.bob));
    assert_int_equal(s.group.pending, 1);
    assert_ok(find(&s, 5, &p));
    assert_int_equal(p.consumer, s.bob.number);
    assert_int_equal(p.deliveries, 3);
    assert_ok(pending_flush(&s.table));
    assert_ok(consumer_load(&s.group, s.alice.number, &s.alice, NULL));
    assert_ok(consumer_load(&s.group, s.bob.number, &s.bob, NULL));
    assert_int_equal(s.alice.pending, 0);
    assert_int_equal(s.bob.pending, 1);
    close_scene(&s);
}

static void a_count_that_would_go_below_zero_is_damage(void **state)
{
    struct scene s;

    open_scene(&s, *state);
    assert_true(set(&s, 5, &s.alice, 1)); /* her own count is left at zero */
    assert_ok(pending_remove(&s.table, ID(5, 0)));
    assert_err(pending_flush(&s.table), OXBOW_ECORRUPT);
    close_scene(&s);
}

static void chunks_fill_and_split_whatever_the_order(void **state)
{
    static const uint64_t strides[] = {1, 5, MANY - 1}; /* upwards, scattered, downwards */
    struct scene s;
    size_t k;

    for (k = 0; k < sizeof strides / sizeof strides[0]; k++) {
        struct pending p;
        uint64_t i;

        open_scene(&s, *state);
        for (i = 0; i < MANY; i++) {
            assert_true(set(&s, 10 * (1 + i * strides[k] % MANY), &s.alice, 1));
        }
        assert_int_equal(s.group.pending, MANY);
        for (i = 1; i <= MANY; i++) {
            assert_ok(find(&s, 10 * i, &p));
            assert_int_equal(p.age_ms, 10 * i);
            assert_err(find(&s, 10 * i + 1, &p), OXBOW_ENOENT);
        }
        assert_int_equal(walk_count(&s, 10, 10, false), MANY);
        assert_int_equal(walk_count(&s, 10 * MANY, 10, true), MANY);
        close_scene(&s);
        streams_abort(s.f);
        streams_begin(s.f);
    }
}

static void what_is_removed_leaves_nothing_behind(void **state)
{
    struct scene s;
    uint64_t i;

    open_scene(&s, *state);
    for (i = 1; i <= MANY; i++) {
        set(&s, i, &s.alice, 1);
    }
    s.alice.pending = MANY;
    assert_ok(consumer_save(&s.group, &s.alice));
    for (i = 2; i <= MANY; i += 2) {
        assert_ok(pending_remove(&s.table, ID(i, 0)));
    }
    assert_int_equal(walk_count(&s, 1, 2, false), MANY / 2);
    for (i = 1; i <= MANY; i += 2) {
        assert_ok(pending_remove(&s.table, ID(i, 0)));
    }
    assert_int_equal(s.group.pending, 0);
    assert_int_equal(walk_count(&s, 0, 0, false), 0);
    assert_int_equal(walk_count(&s, 0, 0, true), 0);
    assert_ok(pending_flush(&s.table));
    assert_ok(consumer_load(&s.group, s.alice.number, &s.alice, NULL));
    assert_int_equal(s.alice.pending, 0);
    for (i = 1; i <= MANY; i++) { /* and there is room for the same again */
        assert_true(set(&s, i, &s.bob, 1));
    }
    assert_int_equal(walk_count(&s, 1, 1, false), MANY);
    close_scene(&s);
}

static void a_batch_is_added_as_one_by_one(void **state)
{
    static struct oxbow_entry entries[MANY];
    static const size_t counts[] = {
        0, 1, PENDING_RECORDS - 1, PENDING_RECORDS, PENDING_RECORDS + 1, MANY};
    struct scene s;
    size_t k;

    for (k = 0; k < sizeof counts / sizeof counts[0]; k++) {
        struct pending_batch b = {.entries = entries, .count = counts[k], .age_ms = 77};
        struct pending p;
        uint64_t added = 99;
        size_t i;

        open_scene(&s, *state);
        b.consumer = s.alice.number;
        for (i = 0; i < MANY; i++) {
            entries[i] = (struct oxbow_entry){.id = ID(i + 1, 0)};
        }
        assert_ok(pending_add(&s.table, &b, &added));
        assert_int_equal(added, counts[k]);
        assert_int_equal(s.group.pending, counts[k]);
        assert_int_equal(walk_count(&s, 1, 1, false), counts[k]);
        assert_ok(pending_add(&s.table, &b, &added)); /* the same again */
        assert_int_equal(added, 0);
        assert_int_equal(s.group.pending, counts[k]);
        if (counts[k] > 0) {
            assert_ok(find(&s, counts[k], &p));
            assert_int_equal(p.age_ms, 77);
            assert_int_equal(p.deliveries, 1);
        }
        close_scene(&s);
        streams_abort(s.f);
        streams_begin(s.f);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_is_found_until_it_is_removed),
        TEST(an_entry_that_changes_hands_is_counted_once),
        TEST(a_count_that_would_go_below_zero_is_damage),
        TEST(chunks_fill_and_split_whatever_the_order),
        TEST(what_is_removed_leaves_nothing_behind),
        TEST(a_batch_is_added_as_one_by_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
