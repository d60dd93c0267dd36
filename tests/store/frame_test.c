/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: what is sealed is whole, and no flipped bit, cut or strange seed is. */
#include "engine/store/frame.h"
#include "oxbow/port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define STORE 0x1122334455667788u

static struct oxbow_bytes text(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

/* A frame with two transactions; the buffer is the caller's. */
static struct frame make(struct buf *b)
{
    struct frame f = {.generation = 3,
                      .incarnation = 7,
                      .first = 100,
                      .durable_upto = 99,
                      .count = 2,
                      .before = 0x5a5a5a5a};
    struct effect put = {EFFECT_PUT, text("key"), 0, text("value")};
    struct effect patch = {EFFECT_PATCH, text("other"), 4000, text("tail")};
    struct effect del = {EFFECT_DEL, text("key"), 0, {NULL, 0}};
    struct buf one;

    buf_init(b, &oxbow_port_default()->alloc, 4096);
    buf_init(&one, &oxbow_port_default()->alloc, 4096);
    assert_int_equal(buf_reserve(b, FRAME_HEAD_BYTES), OXBOW_OK);
    b->len = FRAME_HEAD_BYTES;
    assert_int_equal(effect_put(&one, &put), OXBOW_OK);
    assert_int_equal(effect_put(&one, &patch), OXBOW_OK);
    assert_int_equal(frame_add(b, (struct oxbow_bytes){one.data, one.len}), OXBOW_OK);
    one.len = 0;
    assert_int_equal(effect_put(&one, &del), OXBOW_OK);
    assert_int_equal(frame_add(b, (struct oxbow_bytes){one.data, one.len}), OXBOW_OK);
    buf_fini(&one);
    f.length = (uint32_t)(b->len - FRAME_HEAD_BYTES);
    frame_seal(crc32c, b->data, &f, STORE);
    return f;
}

static void what_is_sealed_is_read_back(void **state)
{
    struct oxbow_bytes effects;
    struct oxbow_bytes rest;
    struct effect e;
    struct frame got;
    struct buf b;
    struct frame f = make(&b);

    (void)state;
    assert_true(frame_head(b.data, &got));
    assert_memory_equal(&got, &f, sizeof f);
    assert_true(frame_whole(crc32c, b.data, &got, STORE));
    assert_false(frame_whole(crc32c, b.data, &got, STORE + 1));
    rest = (struct oxbow_bytes){b.data + FRAME_HEAD_BYTES, got.length};
    assert_int_equal(frame_take(&rest, &effects), OXBOW_OK);
    assert_int_equal(effect_take(&effects, &e), OXBOW_OK);
    assert_int_equal(e.kind, EFFECT_PUT);
    assert_memory_equal(e.bytes.data, "value", 5);
    assert_int_equal(effect_take(&effects, &e), OXBOW_OK);
    assert_int_equal(e.kind, EFFECT_PATCH);
    assert_int_equal(e.pos, 4000);
    assert_memory_equal(e.key.data, "other", e.key.len);
    assert_int_equal(effects.len, 0);
    assert_int_equal(frame_take(&rest, &effects), OXBOW_OK);
    assert_int_equal(effect_take(&effects, &e), OXBOW_OK);
    assert_int_equal(e.kind, EFFECT_DEL);
    assert_int_equal(rest.len, 0);
    buf_fini(&b);
}

static void each_flipped_bit_is_found(void **state)
{
    struct buf b;
    struct frame f = make(&b);

    (void)state;
    for (size_t bit = 0; bit < b.len * 8; bit++) {
        struct frame got;

        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(frame_head(b.data, &got) && got.length == f.length &&
                     frame_whole(crc32c, b.data, &got, STORE));
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buf_fini(&b);
}

static void zeros_are_no_frame(void **state)
{
    uint8_t zeros[FRAME_HEAD_BYTES] = {0};
    struct frame f;

    (void)state;
    assert_false(frame_head(zeros, &f));
}

static void effects_cut_short_are_refused(void **state)
{
    struct effect patch = {EFFECT_PATCH, text("other"), 4000, text("tail")};
    struct effect e;
    struct buf b;

    (void)state;
    buf_init(&b, &oxbow_port_default()->alloc, 4096);
    assert_int_equal(effect_put(&b, &patch), OXBOW_OK);
    for (size_t len = 0; len < b.len; len++) {
        struct oxbow_bytes rest = {b.data, len};

        assert_int_equal(effect_take(&rest, &e), OXBOW_EFORMAT);
    }
    b.data[0] = 9;
    assert_int_equal(effect_take(&(struct oxbow_bytes){b.data, b.len}, &e), OXBOW_EFORMAT);
    buf_fini(&b);
}

static void a_transaction_over_the_limit_leaves_the_buffer_as_it_was(void **state)
{
    static const uint8_t bytes[200];
    struct effect put = {EFFECT_PUT, text("key"), 0, {bytes, sizeof bytes}};
    struct buf b;

    (void)state;
    buf_init(&b, &oxbow_port_default()->alloc, 300);
    assert_int_equal(effect_put(&b, &put), OXBOW_OK);
    assert_int_equal(effect_put(&b, &put), OXBOW_ETOOBIG);
    assert_int_equal(b.len, 2 + 3 + 2 + sizeof bytes);
    buf_fini(&b);
}

static void a_patch_that_goes_on_is_one_patch(void **state)
{
    static const uint8_t bytes[300] = {1};
    struct effect first = {EFFECT_PATCH, text("k"), 10, {bytes, 100}};
    struct effect next = {EFFECT_PATCH, text("k"), 110, {bytes, 200}};
    struct effect gap = {EFFECT_PATCH, text("k"), 311, {bytes, 1}};
    struct effect put = {EFFECT_PUT, text("k"), 0, {bytes, 1}};
    struct effect got;
    struct oxbow_bytes rest;
    struct buf b;

    (void)state;
    buf_init(&b, &oxbow_port_default()->alloc, 4096);
    assert_int_equal(effect_put(&b, &put), OXBOW_OK);
    assert_false(effect_extend(&b, 0, &first));
    size_t at = b.len;
    assert_int_equal(effect_put(&b, &first), OXBOW_OK);
    assert_true(effect_extend(&b, at, &next)); /* its length takes a byte more now */
    assert_false(effect_extend(&b, at, &gap));
    assert_false(effect_extend(&b, at, &put));
    rest = (struct oxbow_bytes){b.data + at, b.len - at};
    assert_int_equal(effect_take(&rest, &got), OXBOW_OK);
    assert_int_equal(rest.len, 0);
    assert_int_equal(got.pos, 10);
    assert_int_equal(got.bytes.len, 300);
    assert_memory_equal(got.bytes.data, bytes, 100);
    assert_memory_equal((const uint8_t *)got.bytes.data + 100, bytes, 200);
    assert_int_equal(effect_put(&b, &put), OXBOW_OK);
    assert_false(effect_extend(&b, at, &gap)); /* no longer the last */
    buf_fini(&b);
}

static void an_effect_is_replaced_by_one_of_its_place_alone(void **state)
{
    struct effect first = {EFFECT_PATCH, text("k"), 10, text("abc")};
    struct effect same = {EFFECT_PATCH, text("k"), 10, text("xyz")};
    struct effect longer = {EFFECT_PATCH, text("k"), 10, text("wxyz")};
    struct effect later = {EFFECT_PATCH, text("k"), 11, text("xyz")};
    struct effect put = {EFFECT_PUT, text("k"), 0, text("abc")};
    struct effect behind = {EFFECT_PATCH, text("k"), 13, text("x")};
    struct effect before = {EFFECT_PATCH, text("k"), 9, text("x")};
    struct effect got;
    struct oxbow_bytes rest;
    struct buf b;

    (void)state;
    buf_init(&b, &oxbow_port_default()->alloc, 4096);
    assert_int_equal(effect_put(&b, &first), OXBOW_OK);
    assert_int_equal(effect_put(&b, &put), OXBOW_OK);
    assert_true(effect_replace(&b, 0, &same));
    assert_false(effect_replace(&b, 0, &longer));
    assert_false(effect_replace(&b, 0, &later));
    assert_false(effect_replace(&b, 0, &put));
    assert_true(effect_apart(&b, 0, &behind));
    assert_true(effect_apart(&b, 0, &before));
    assert_false(effect_apart(&b, 0, &later));
    assert_false(effect_apart(&b, 0, &put));
    rest = (struct oxbow_bytes){b.data, b.len};
    assert_int_equal(effect_take(&rest, &got), OXBOW_OK);
    assert_memory_equal(got.bytes.data, "xyz", 3);
    assert_int_equal(effect_take(&rest, &got), OXBOW_OK);
    assert_int_equal(got.kind, EFFECT_PUT);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_is_read_back),
        cmocka_unit_test(each_flipped_bit_is_found),
        cmocka_unit_test(zeros_are_no_frame),
        cmocka_unit_test(effects_cut_short_are_refused),
        cmocka_unit_test(a_patch_that_goes_on_is_one_patch),
        cmocka_unit_test(an_effect_is_replaced_by_one_of_its_place_alone),
        cmocka_unit_test(a_transaction_over_the_limit_leaves_the_buffer_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
