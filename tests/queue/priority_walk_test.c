/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/queue/priority_walk.h"
#include "tests/queue/priority_fixture.h"

#include <stdlib.h>

static void a_chunk_gives_its_ids_and_ends(void **state)
{
    /* 5-7, 5-9 dead, 8-0 */
    static const uint8_t bytes[] = {1, 0, 1, 0, 0, 0, 1, 2, 6, 0};
    struct oxbow_bytes chunk = {bytes, sizeof bytes};
    struct oxbow_id id = ID(5, 7);
    size_t pos = INDEX_HEADER;
    bool dead;

    (void)state;
    assert_ok(index_check(chunk));
    assert_ok(index_step(chunk, &pos, false, &id, &dead));
    assert_id(id, "5-7");
    assert_false(dead);
    assert_ok(index_step(chunk, &pos, true, &id, &dead));
    assert_id(id, "5-9");
    assert_true(dead);
    assert_ok(index_step(chunk, &pos, true, &id, &dead));
    assert_id(id, "8-0");
    assert_err(index_step(chunk, &pos, true, &id, &dead), OXBOW_ENOENT);
}

static void chunks_that_make_no_sense_are_corrupt(void **state)
{
    static const uint8_t cut[] = {1, 0, 0, 0, 0x80};
    static const uint8_t half[] = {1, 0, 0, 0, 2};
    static const uint8_t same[] = {1, 0, 0, 0, 0, 0};
    static const uint8_t other[] = {2, 0, 0, 0};
    static const uint8_t far[] = {1, 0, 0, 0, 4, 0};
    struct oxbow_id id = ID(1, 0);
    size_t pos = INDEX_HEADER;
    bool dead;

    (void)state;
    assert_err(index_step((struct oxbow_bytes){cut, sizeof cut}, &pos, false, &id, &dead),
               OXBOW_ECORRUPT);
    assert_err(index_step((struct oxbow_bytes){half, sizeof half}, &pos, false, &id, &dead),
               OXBOW_ECORRUPT);
    assert_err(index_step((struct oxbow_bytes){same, sizeof same}, &pos, true, &id, &dead),
               OXBOW_ECORRUPT);
    id.ms = UINT64_MAX - 1;
    assert_err(index_step((struct oxbow_bytes){far, sizeof far}, &pos, true, &id, &dead),
               OXBOW_ECORRUPT);
    assert_err(index_check((struct oxbow_bytes){other, sizeof other}), OXBOW_ECORRUPT);
    assert_err(index_check((struct oxbow_bytes){cut, 3}), OXBOW_ECORRUPT);
}

/* Whatever a chunk holds, a walk stays within it and ends. */
static void any_bytes_end(void **state)
{
    uint64_t rng = rig_seed("priority_walk_test");

    (void)state;
    for (int i = 0; i < 20000; i++) {
        size_t len = 4 + rig_random(&rng) % 40, steps = 0, pos = INDEX_HEADER;
        uint8_t *bytes = malloc(len);
        struct oxbow_id id = ID(rig_random(&rng), rig_random(&rng));
        bool dead;

        assert_non_null(bytes);
        for (size_t b = 0; b < len; b++) {
            bytes[b] = (uint8_t)rig_random(&rng);
        }
        while (index_step((struct oxbow_bytes){bytes, len}, &pos, steps > 0, &id, &dead) ==
               OXBOW_OK) {
            steps++;
        }
        assert_true(steps <= len / 2);
        free(bytes);
    }
}

static void a_walk_begins_anywhere(void **state)
{
    struct streams *f = *state;
    struct stream s;

    priorities(f, 2, 0, 0);
    for (uint64_t ms = 10; ms <= 20000; ms += 10) {
        assert_ok(try_put(f, ms, 1));
    }
    assert_ok(stream_find(f->txn, BYTES("s"), &s));
    for (uint64_t from = 1; from <= 20010; from += 7) {
        struct priority_walk w;
        struct oxbow_id id;

        assert_ok(priority_walk_init(&w, &s, 1, ID(from, 0)));
        if (from <= 20000) {
            assert_ok(priority_walk_next(&w, &id));
            assert_int_equal(id.ms, (from + 9) / 10 * 10);
        } else {
            assert_err(priority_walk_next(&w, &id), OXBOW_ENOENT);
        }
        priority_walk_fini(&w);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_gives_its_ids_and_ends),
        cmocka_unit_test(chunks_that_make_no_sense_are_corrupt),
        cmocka_unit_test(any_bytes_end),
        TEST(a_walk_begins_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
