/* SPDX-License-Identifier: Apache-2.0 */
/* A list's entries as bytes: the one form that each has, and what a device may have made of it. */
#include "engine/base/codec.h"
#include "engine/queue/list.h"
#include "tests/queue/fixture.h"
#include "tests/support/rig.h"

#include <stdlib.h>

static enum oxbow_err decode(const uint8_t *bytes, size_t len, struct list_entry *e)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    enum oxbow_err err;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    err = list_entry_decode(copy, len, e);
    if (err == OXBOW_OK) {
        assert_true(e->size <= len);
        if (e->form == LIST_INLINE) {
            assert_true(e->data >= copy && e->data + e->len <= copy + len);
        }
    }
    free(copy);
    return err;
}

static void a_value_inside_the_chunk_has_one_form_for_its_length(void **state)
{
    static const uint32_t lens[][2] = {{0, 1},   {1, 1},   {190, 1}, {191, 1},  {192, 2},
                                       {193, 2}, {255, 2}, {256, 2}, {1999, 2}, {2000, 2}};
    uint8_t value[LIST_INLINE_MAX];
    uint8_t out[LIST_ENTRY_MAX];
    struct list_entry e;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof value; i++) {
        value[i] = (uint8_t)i;
    }
    for (i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        const struct list_entry in = {.form = LIST_INLINE, .len = lens[i][0], .data = value};
        size_t size = list_entry_encode(out, &in);
        size_t cut;

        assert_int_equal(size, lens[i][0] + lens[i][1]);
        assert_ok(list_entry_decode(out, sizeof out, &e));
        assert_int_equal(e.form, LIST_INLINE);
        assert_int_equal(e.len, lens[i][0]);
        assert_int_equal(e.size, size);
        assert_memory_equal(e.data, value, e.len);
        for (cut = 0; cut < size; cut++) {
            assert_err(decode(out, cut, &e), OXBOW_ECORRUPT);
        }
        assert_ok(decode(out, size, &e));
    }
}

static void a_value_outside_is_named_by_its_number(void **state)
{
    static const uint8_t golden[] = {0xe0, 4, 3, 2, 1, 0x0c, 0x0b, 0x0a, 9, 8, 7, 6, 5};
    struct list_entry in = {.form = LIST_OWN, .len = 0x01020304, .id = 0x05060708090a0b0c};
    uint8_t out[LIST_ENTRY_MAX];
    struct list_entry e;
    size_t cut;

    (void)state;
    assert_int_equal(list_entry_encode(out, &in), sizeof golden);
    assert_memory_equal(out, golden, sizeof golden);
    assert_ok(decode(out, sizeof golden, &e));
    assert_int_equal(e.form, LIST_OWN);
    assert_int_equal(e.len, in.len);
    assert_int_equal(e.id, in.id);
    in.form = LIST_BLOB;
    assert_int_equal(list_entry_encode(out, &in), sizeof golden);
    assert_int_equal(out[0], 0xe1);
    assert_ok(decode(out, sizeof golden, &e));
    assert_int_equal(e.form, LIST_BLOB);
    for (cut = 0; cut < sizeof golden; cut++) {
        assert_err(decode(out, cut, &e), OXBOW_ECORRUPT);
    }
}

static void a_longer_form_or_another_code_is_damage(void **state)
{
    uint8_t bytes[LIST_ENTRY_MAX + 100] = {0};
    struct list_entry e;
    unsigned v;

    (void)state;
    bytes[0] = 0xc0;
    bytes[1] = 0xbf; /* 191 has a shorter form */
    assert_err(decode(bytes, sizeof bytes, &e), OXBOW_ECORRUPT);
    bytes[1] = 0xc0;
    assert_ok(decode(bytes, sizeof bytes, &e));
    bytes[0] = 0xc0 + (2000 >> 8);
    bytes[1] = 2000 & 0xff;
    assert_ok(decode(bytes, sizeof bytes, &e));
    bytes[1] = 2001 & 0xff;
    assert_err(decode(bytes, sizeof bytes, &e), OXBOW_ECORRUPT);
    bytes[0] = 0xdf;
    bytes[1] = 0xff;
    assert_err(decode(bytes, sizeof bytes, &e), OXBOW_ECORRUPT);
    for (v = 0xe2; v < 256; v++) {
        bytes[0] = (uint8_t)v;
        assert_err(decode(bytes, sizeof bytes, &e), OXBOW_ECORRUPT);
    }
}

/* ---- chunks in a store ---- */

/* A list of one chunk: "alpha", "beta", "gamma". */
static struct list make_list(struct fixture *f)
{
    const struct oxbow_bytes values[] = {BYTES("alpha"), BYTES("beta"), BYTES("gamma")};
    struct list l;

    assert_ok(oxbow_list_push(f->txn, bytes_of("l"), OXBOW_RIGHT, values, 3, NULL));
    assert_ok(list_find(f->txn, bytes_of("l"), &l));
    assert_true(list_is_single(&l));
    return l;
}

static struct oxbow_bytes key_of(uint8_t out[KV_KEY_MAX], const struct list *l)
{
    uint8_t tail[8];

    put_be64(tail, l->ends[OXBOW_LEFT].id);
    return (struct oxbow_bytes){out,
                                object_key(out, l->object.id, LIST_KEY_CHUNK, tail, sizeof tail)};
}

static void a_view_has_the_entries_that_are_live(void **state)
{
    struct fixture *f = *state;
    struct list l = make_list(f);
    struct list_view v;
    struct list_entry e;

    assert_ok(list_view_load(&l, l.ends[0].id, SIZE_MAX, &v));
    assert_int_equal(v.count, 3);
    assert_ok(list_view_entry(&v, 0, &e));
    assert_memory_equal(e.data, "alpha", 5);
    assert_ok(list_view_entry(&v, 2, &e));
    assert_memory_equal(e.data, "gamma", 5);
    assert_int_equal(v.at[3], v.len);
    assert_ok(list_view_load(&l, l.ends[0].id, 2, &v));
    assert_int_equal(v.count, 2);
    assert_ok(oxbow_list_pop(f->txn, bytes_of("l"), OXBOW_LEFT, 1, &f->result));
    assert_ok(list_find(f->txn, bytes_of("l"), &l));
    assert_ok(list_view_load(&l, l.ends[0].id, SIZE_MAX, &v));
    assert_int_equal(v.count, 2);
    assert_ok(list_view_entry(&v, 0, &e));
    assert_memory_equal(e.data, "beta", 4);
}

static void a_chunk_that_is_not_there_or_no_list_s_is_damage(void **state)
{
    struct fixture *f = *state;
    struct list l = make_list(f);
    uint8_t key[KV_KEY_MAX];
    uint8_t bytes[LIST_BODY + 20];
    struct oxbow_bytes value;
    struct list_view v;
    size_t len;

    assert_ok(kv_get(f->txn, key_of(key, &l), &value));
    assert_true(value.len <= sizeof bytes);
    len = value.len;
    memcpy(bytes, value.data, len);

    assert_err(list_view_load(&l, l.ends[0].id + 1, SIZE_MAX, &v), OXBOW_ECORRUPT);
    bytes[1] = CHUNK_STREAM;
    assert_ok(kv_put(f->txn, key_of(key, &l), (struct oxbow_bytes){bytes, len}));
    assert_err(list_view_load(&l, l.ends[0].id, SIZE_MAX, &v), OXBOW_ECORRUPT);
    bytes[1] = CHUNK_LIST_RIGHT;
    while (--len > 0) { /* any cut */
        assert_ok(kv_put(f->txn, key_of(key, &l), (struct oxbow_bytes){bytes, len}));
        assert_err(list_view_load(&l, l.ends[0].id, SIZE_MAX, &v), OXBOW_ECORRUPT);
    }
    assert_ok(kv_del(f->txn, key_of(key, &l)));
    assert_err(list_view_load(&l, l.ends[0].id, SIZE_MAX, &v), OXBOW_ECORRUPT);
    assert_err(list_link(&l, l.ends[0].id, LIST_AT_NEXT, 5), OXBOW_ECORRUPT);
}

static void links_and_bytes_are_patched_in_place(void **state)
{
    struct fixture *f = *state;
    struct list l = make_list(f);
    struct list_image image;
    struct list_view v;

    assert_ok(list_link(&l, l.ends[0].id, LIST_AT_PREV, 0x1122334455667788));
    assert_ok(list_link(&l, l.ends[0].id, LIST_AT_NEXT, 77));
    assert_true(l.dirty);
    assert_ok(list_view_load(&l, l.ends[0].id, SIZE_MAX, &v));
    assert_int_equal(v.prev, 0x1122334455667788);
    assert_int_equal(v.next, 77);
    assert_int_equal(v.count, 3);
    list_image_init(&image, &v);
    assert_int_equal(image.len, LIST_BODY);
    assert_memory_equal(image.bytes, v.data, LIST_BODY);
    assert_ok(list_put(&l, 99, (struct oxbow_bytes){v.data, v.len}));
    assert_ok(list_view_load(&l, 99, SIZE_MAX, &v));
    assert_int_equal(v.id, 99);
    assert_ok(list_unput(&l, 99));
    assert_err(list_view_load(&l, 99, SIZE_MAX, &v), OXBOW_ECORRUPT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_inside_the_chunk_has_one_form_for_its_length),
        cmocka_unit_test(a_value_outside_is_named_by_its_number),
        cmocka_unit_test(a_longer_form_or_another_code_is_damage),
        TEST(a_view_has_the_entries_that_are_live),
        TEST(a_chunk_that_is_not_there_or_no_list_s_is_damage),
        TEST(links_and_bytes_are_patched_in_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
