/* SPDX-License-Identifier: Apache-2.0 */
/* Records of what was added once: their keys, the order of ids, damage. */
#include "engine/queue/once.h"

#include "engine/base/codec.h"
#include "engine/base/id.h"
#include "tests/queue/stream_fixture.h"

static struct once once_of(struct streams *f, uint32_t queue, uint64_t count)
{
    return (struct once){f->txn, queue, UINT64_MAX, count};
}

static size_t keys_of(struct streams *f, uint32_t queue)
{
    uint8_t from[5] = {KV_SPACE_ONCE};
    struct kv_cursor c;
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    size_t n = 0;
    enum oxbow_err err;

    put_be32(from + 1, queue);
    assert_ok(kv_cursor_init(&c, f->txn));
    err = kv_cursor_seek(&c, (struct oxbow_bytes){from, sizeof from}, &key, &value);
    while (err == OXBOW_OK && key.len > 5 && memcmp(key.data, from, 5) == 0) {
        n++;
        err = kv_cursor_next(&c, &key, &value);
    }
    kv_cursor_fini(&c);
    return n;
}

static void what_is_put_is_found_until_it_is_deleted(void **state)
{
    struct streams *f = *state;
    const struct once o = once_of(f, 7, 10);
    const struct once other = once_of(f, 8, 10);
    const struct once_seen some = {5, 6, ID(7, 8)};
    struct once_seen got;

    assert_err(once_get(&o, ONCE_PRODUCER, text_bytes("p"), &got), OXBOW_ENOENT);
    assert_ok(once_put(&o, ONCE_PRODUCER, text_bytes("p"), &some));
    assert_ok(once_get(&o, ONCE_PRODUCER, text_bytes("p"), &got));
    assert_memory_equal(&got, &some, sizeof got);
    assert_err(once_get(&o, ONCE_ID, text_bytes("p"), &got), OXBOW_ENOENT);
    assert_err(once_get(&other, ONCE_PRODUCER, text_bytes("p"), &got), OXBOW_ENOENT);
    assert_ok(once_del(&o, ONCE_PRODUCER, text_bytes("p")));
    assert_err(once_del(&o, ONCE_PRODUCER, text_bytes("p")), OXBOW_ENOENT);
    assert_int_equal(keys_of(f, 7), 0);
}

static void the_window_holds_exactly_the_newest(void **state)
{
    struct streams *f = *state;
    const struct once o = once_of(f, 7, 3);
    struct once_seen seen = {0, 1, ID(1, 1)};
    struct once_seen got;

    for (char c = 'a'; c <= 'j'; c++) {
        const struct oxbow_bytes name = {&c, 1};

        assert_ok(once_order(&o, name, &seen));
        assert_int_equal(seen.number, (uint64_t)(c - 'a' + 1));
        assert_ok(once_put(&o, ONCE_ID, name, &seen));
        for (char d = 'a'; d <= c; d++) {
            assert_err(once_get(&o, ONCE_ID, (struct oxbow_bytes){&d, 1}, &got),
                       c - d < 3 ? OXBOW_OK : OXBOW_ENOENT);
        }
    }
    assert_int_equal(keys_of(f, 7), 3 + 3 + 1); /* ids, their order, the state */
}

static void damage_in_the_order_costs_no_more_than_that_id(void **state)
{
    struct streams *f = *state;
    const struct once o = once_of(f, 7, 2);
    struct once_seen seen = {0, 1, ID(1, 1)};
    uint8_t key[14] = {KV_SPACE_ONCE, 0, 0, 0, 7, 'o'};

    assert_ok(once_order(&o, text_bytes("a"), &seen));
    assert_ok(once_put(&o, ONCE_ID, text_bytes("a"), &seen));
    put_be64(key + 6, 1);
    assert_ok(kv_del(f->txn, (struct oxbow_bytes){key, sizeof key}));
    for (char c = 'b'; c <= 'h'; c++) {
        assert_ok(once_order(&o, (struct oxbow_bytes){&c, 1}, &seen));
        assert_ok(once_put(&o, ONCE_ID, (struct oxbow_bytes){&c, 1}, &seen));
    }
    assert_int_equal(keys_of(f, 7), 2 + 2 + 1 + 1);
}

static void a_queue_that_is_gone_is_reaped_in_steps_and_alone(void **state)
{
    struct streams *f = *state;
    const struct once o = once_of(f, 7, 10000);
    const struct once other = once_of(f, 8, 10000);
    struct once_seen seen = {0, 1, ID(1, 1)};
    unsigned steps = 0;
    bool more = true;

    for (unsigned i = 0; i < 600; i++) {
        const struct oxbow_bytes name = {&i, sizeof i};

        assert_ok(once_order(&o, name, &seen));
        assert_ok(once_put(&o, ONCE_ID, name, &seen));
        assert_ok(once_put(&other, ONCE_PRODUCER, name, &seen));
    }
    assert_ok(once_drop_queue(f->txn, 7));
    assert_in_range(keys_of(f, 7), 1, 1200);
    while (more) {
        more = false;
        assert_ok(once_reap(f->txn, &more));
        steps++;
    }
    assert_in_range(steps, 4, 10);
    assert_int_equal(keys_of(f, 7), 0);
    assert_int_equal(keys_of(f, 8), 600);
    assert_int_equal(keys_of(f, UINT32_MAX), 0);
}

static void a_record_that_is_too_short_is_damage(void **state)
{
    struct streams *f = *state;
    const struct once o = once_of(f, 7, 10);
    struct once_seen seen = {0, 1, ID(1, 1)};
    uint8_t key[6] = {KV_SPACE_ONCE, 0, 0, 0, 7, 's'};

    assert_ok(kv_put(f->txn, (struct oxbow_bytes){key, sizeof key}, (struct oxbow_bytes){"x", 1}));
    assert_err(once_order(&o, text_bytes("a"), &seen), OXBOW_ECORRUPT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_is_found_until_it_is_deleted),
        TEST(the_window_holds_exactly_the_newest),
        TEST(damage_in_the_order_costs_no_more_than_that_id),
        TEST(a_queue_that_is_gone_is_reaped_in_steps_and_alone),
        TEST(a_record_that_is_too_short_is_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
