/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of stream entries as bytes: what is well-formed, and that nothing else is believed. */
#include "tests/queue/stream_fixture.h"

#include "engine/queue/stream_entry.h"

#include <stdlib.h>

static const struct oxbow_id BASE = {1000, 5};

/* A chunk of three entries: plain, SAME, OUTSIDE. */
static size_t chunk_build(uint8_t *out)
{
    struct oxbow_field a[2] = {{BYTES("temp"), BYTES("1")}, {BYTES("hum"), BYTES("22")}};
    struct chunk_head head = {.kind = CHUNK_STREAM, .boot = 3, .uptime_ms = 4, .wall_ms = 5};
    static const uint8_t outside[] = {7, 0x80, 0x08};
    size_t n = CHUNK_HEADER;
    uint64_t len;

    chunk_head_encode(out, &head);
    len = fields_plain_len(a, 2);
    n += entry_head_put(out + n, 0, BASE, BASE, (size_t)len);
    n += fields_plain_put(out + n, a, 2);
    assert_true(fields_same((struct oxbow_bytes){out, n}, a, 2, &len));
    n += entry_head_put(out + n, STREAM_ENTRY_SAME, BASE, ID(1000, 9), (size_t)len);
    n += fields_same_put(out + n, a, 2);
    n += entry_head_put(out + n, STREAM_ENTRY_OUTSIDE, BASE, ID(2000, 1), sizeof outside);
    memcpy(out + n, outside, sizeof outside);
    return n + sizeof outside;
}

static void what_is_written_reads_back(void **state)
{
    uint8_t chunk[256];
    struct oxbow_bytes bytes = {chunk, chunk_build(chunk)};
    struct chunk_walk w;
    struct stream_entry e;
    struct field_walk fields;
    struct oxbow_field field;

    (void)state;
    assert_ok(chunk_walk_init(&w, bytes, BASE));
    assert_ok(chunk_walk_next(&w, &e));
    assert_id(e.id, "1000-5");
    assert_ok(chunk_walk_next(&w, &e));
    assert_id(e.id, "1000-9");
    assert_ok(field_walk_init(&fields, &w, &e));
    assert_ok(field_walk_next(&fields, &field));
    assert_memory_equal(field.name.data, "temp", 4);
    assert_ok(field_walk_next(&fields, &field));
    assert_memory_equal(field.name.data, "hum", 3);
    assert_memory_equal(field.value.data, "22", 2);
    assert_err(field_walk_next(&fields, &field), OXBOW_ENOENT);
    assert_ok(chunk_walk_next(&w, &e));
    assert_id(e.id, "2000-1");
    assert_int_equal(e.blob, 7);
    assert_int_equal(e.outside_len, 1024);
    assert_err(chunk_walk_next(&w, &e), OXBOW_ENOENT);
}

/* Reads everything there is, in whatever it is given; returns how many entries were good. */
static size_t read_all(struct oxbow_bytes chunk, struct oxbow_id base)
{
    struct chunk_walk w;
    struct stream_entry e;
    size_t good = 0;

    if (chunk_walk_init(&w, chunk, base) != OXBOW_OK) {
        return 0;
    }
    while (chunk_walk_next(&w, &e) == OXBOW_OK) {
        struct field_walk fields;
        struct oxbow_field field;

        good++;
        if ((e.flags & STREAM_ENTRY_OUTSIDE) != 0 || field_walk_init(&fields, &w, &e) != OXBOW_OK) {
            continue;
        }
        while (field_walk_next(&fields, &field) == OXBOW_OK) {
            assert_true(field.value.len <= chunk.len);
        }
    }
    return good;
}

static void a_chunk_cut_short_gives_no_more_than_it_has(void **state)
{
    uint8_t chunk[256];
    size_t len = chunk_build(chunk), i;

    (void)state;
    assert_int_equal(read_all((struct oxbow_bytes){chunk, len}, BASE), 3);
    for (i = 0; i < len; i++) {
        uint8_t *copy = malloc(i + 1); /* so that a sanitizer sees the end */

        assert_non_null(copy);
        memcpy(copy, chunk, i);
        assert_true(read_all((struct oxbow_bytes){copy, i}, BASE) < 3);
        free(copy);
    }
}

static void flipped_bits_are_survived(void **state)
{
    uint8_t chunk[256];
    size_t len = chunk_build(chunk), i;
    unsigned bit;

    (void)state;
    for (i = 0; i < len; i++) {
        for (bit = 0; bit < 8; bit++) {
            chunk[i] ^= (uint8_t)(1u << bit);
            read_all((struct oxbow_bytes){chunk, len}, BASE);
            chunk[i] ^= (uint8_t)(1u << bit);
        }
    }
    assert_int_equal(read_all((struct oxbow_bytes){chunk, len}, BASE), 3);
}

static void ids_out_of_order_or_out_of_range_are_corrupt(void **state)
{
    uint8_t chunk[64];
    struct chunk_head head = {.kind = CHUNK_STREAM};
    struct oxbow_field a = {BYTES("f"), BYTES("v")};
    struct oxbow_id base = {UINT64_MAX - 1, 7};
    struct chunk_walk w;
    struct stream_entry e;
    size_t n = CHUNK_HEADER, first;

    (void)state;
    chunk_head_encode(chunk, &head);
    n += entry_head_put(chunk + n, 0, base, base, 5);
    n += fields_plain_put(chunk + n, &a, 1);
    first = n;
    n += entry_head_put(chunk + n, 0, base, base, 5);
    n += fields_plain_put(chunk + n, &a, 1);
    assert_ok(chunk_walk_init(&w, (struct oxbow_bytes){chunk, n}, base));
    assert_ok(chunk_walk_next(&w, &e));
    assert_err(chunk_walk_next(&w, &e), OXBOW_ECORRUPT);
    chunk[first + 1] = 2; /* ms beyond the last */
    assert_ok(chunk_walk_init(&w, (struct oxbow_bytes){chunk, n}, base));
    assert_ok(chunk_walk_next(&w, &e));
    assert_err(chunk_walk_next(&w, &e), OXBOW_ECORRUPT);
    /* The first entry is the base itself. */
    assert_ok(chunk_walk_init(&w, (struct oxbow_bytes){chunk, n}, ID(1, 1)));
    chunk[CHUNK_HEADER + 2] = 1;
    assert_err(chunk_walk_next(&w, &e), OXBOW_ECORRUPT);
    head.kind = CHUNK_LIST_LEFT;
    chunk_head_encode(chunk, &head);
    assert_err(chunk_walk_init(&w, (struct oxbow_bytes){chunk, n}, base), OXBOW_ECORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(a_chunk_cut_short_gives_no_more_than_it_has),
        cmocka_unit_test(flipped_bits_are_survived),
        cmocka_unit_test(ids_out_of_order_or_out_of_range_are_corrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
