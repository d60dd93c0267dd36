/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of pending entries as bytes. */
#include "tests/queue/stream_fixture.h"

#include "engine/queue/group_pending.h"

#include <stdlib.h>

static size_t chunk_build(uint8_t *out, size_t count)
{
    size_t i;

    pending_header_put(out, NULL);
    for (i = 0; i < count; i++) {
        struct pending p = {.id = {10 * (i + 1), i},
                            .consumer = (uint32_t)(i % 70 + 1),
                            .age_ms = 5000 - i,
                            .deliveries = i};

        pending_header_add(out, i, &p);
        pending_record_put(out + PENDING_HEADER + i * PENDING_RECORD, &p);
    }
    return PENDING_HEADER + count * PENDING_RECORD;
}

static void what_is_written_reads_back(void **state)
{
    uint8_t chunk[PENDING_CHUNK_BYTES];
    struct pending_view v;
    size_t i;

    (void)state;
    assert_int_equal(chunk_build(chunk, PENDING_RECORDS), PENDING_CHUNK_BYTES);
    assert_ok(pending_view_init(&v, (struct oxbow_bytes){chunk, sizeof chunk}));
    assert_int_equal(v.count, PENDING_RECORDS);
    assert_int_equal(pending_view_oldest(&v), 5000 - (PENDING_RECORDS - 1));
    for (i = 0; i < v.count; i++) {
        struct pending p;

        pending_view_get(&v, i, &p);
        assert_int_equal(p.id.ms, 10 * (i + 1));
        assert_int_equal(p.consumer, i % 70 + 1);
        assert_int_equal(p.age_ms, 5000 - i);
        assert_int_equal(p.deliveries, i);
        assert_true(pending_view_alive(&v, i));
        assert_int_equal(pending_view_search(&v, p.id), i);
        assert_true(pending_view_mask(&v) >> (p.consumer % 64) & 1);
    }
    assert_int_equal(pending_view_search(&v, OXBOW_ID_MIN), 0);
    assert_int_equal(pending_view_search(&v, OXBOW_ID_MAX), v.count);
}

static void the_last_live_record_is_known(void **state)
{
    uint8_t chunk[PENDING_CHUNK_BYTES];
    struct oxbow_bytes bytes = {chunk, chunk_build(chunk, 1)};
    struct pending_view v;

    (void)state;
    assert_ok(pending_view_init(&v, bytes));
    assert_true(pending_view_only(&v, 0));
    assert_false(pending_view_only(&v, SIZE_MAX));
    bytes.len = chunk_build(chunk, 100);
    assert_ok(pending_view_init(&v, bytes));
    assert_false(pending_view_only(&v, 99));
}

static void large_values_are_cut_to_what_is_kept(void **state)
{
    uint8_t chunk[PENDING_HEADER + PENDING_RECORD];
    struct pending in = {
        .id = OXBOW_ID_MAX, .consumer = UINT32_MAX, .age_ms = UINT64_MAX, .deliveries = UINT64_MAX};
    struct pending_view v;
    struct pending out;

    (void)state;
    pending_header_put(chunk, NULL);
    pending_header_add(chunk, 0, &in);
    pending_record_put(chunk + PENDING_HEADER, &in);
    assert_ok(pending_view_init(&v, (struct oxbow_bytes){chunk, sizeof chunk}));
    pending_view_get(&v, 0, &out);
    assert_int_equal(out.deliveries, PENDING_DELIVERIES_MAX);
    assert_int_equal(out.age_ms, ((uint64_t)1 << 48) - 1);
    assert_int_equal(out.consumer, UINT32_MAX);
}

static void chunks_of_odd_lengths_are_corrupt(void **state)
{
    uint8_t chunk[PENDING_CHUNK_BYTES + PENDING_RECORD];
    struct pending_view v;
    size_t len;

    (void)state;
    memset(chunk, 0, sizeof chunk);
    chunk_build(chunk, PENDING_RECORDS);
    for (len = 0; len <= sizeof chunk; len++) {
        bool good = len >= PENDING_HEADER && len <= PENDING_CHUNK_BYTES &&
                    (len - PENDING_HEADER) % PENDING_RECORD == 0;

        assert_int_equal(pending_view_init(&v, (struct oxbow_bytes){chunk, len}) == OXBOW_OK, good);
    }
    chunk[0] = 9;
    assert_err(pending_view_init(&v, (struct oxbow_bytes){chunk, PENDING_CHUNK_BYTES}),
               OXBOW_ECORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(the_last_live_record_is_known),
        cmocka_unit_test(large_values_are_cut_to_what_is_kept),
        cmocka_unit_test(chunks_of_odd_lengths_are_corrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
