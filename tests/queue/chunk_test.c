/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/fixture.h"

#include "engine/queue/chunk.h"
#include "engine/queue/list.h"

static void what_was_encoded_is_decoded(void **state)
{
    struct chunk_head in = {.kind = CHUNK_LIST_LEFT,
                            .own16 = 0xabcd,
                            .own32 = 0x12345678,
                            .boot = UINT32_MAX,
                            .uptime_ms = ((uint64_t)1 << 48) - 1,
                            .wall_ms = 1795273288346u};
    struct chunk_head out;
    uint8_t bytes[CHUNK_HEADER];

    (void)state;
    chunk_head_encode(bytes, &in);
    assert_ok(chunk_head_decode((struct oxbow_bytes){bytes, sizeof(bytes)}, &out));
    assert_int_equal(out.kind, in.kind);
    assert_int_equal(out.own16, in.own16);
    assert_int_equal(out.own32, in.own32);
    assert_int_equal(out.boot, in.boot);
    assert_int_equal(out.uptime_ms, in.uptime_ms);
    assert_int_equal(out.wall_ms, in.wall_ms);
}

static void times_above_48_bits_are_clamped(void **state)
{
    struct chunk_head in = {.kind = CHUNK_STREAM, .uptime_ms = UINT64_MAX, .wall_ms = 1ull << 48};
    struct chunk_head out;
    uint8_t bytes[CHUNK_HEADER];

    (void)state;
    chunk_head_encode(bytes, &in);
    assert_ok(chunk_head_decode((struct oxbow_bytes){bytes, sizeof(bytes)}, &out));
    assert_int_equal(out.uptime_ms, ((uint64_t)1 << 48) - 1);
    assert_int_equal(out.wall_ms, ((uint64_t)1 << 48) - 1);
}

static void a_header_knows_the_transactions_boot_and_time(void **state)
{
    struct fixture *f = *state;
    struct chunk_head head;

    chunk_head_init(&head, f->txn, CHUNK_STREAM);
    assert_int_equal(head.kind, CHUNK_STREAM);
    assert_int_equal(head.boot, txn_boot(f->txn));
    assert_int_equal(head.wall_ms, txn_wall_ms(f->txn));
    assert_int_equal(head.own16, 0);
    assert_true(head.wall_ms > 0);
}

static void what_is_no_chunk_is_corrupt(void **state)
{
    static uint8_t bytes[CHUNK_MAX + 1];
    struct chunk_head head = {.kind = CHUNK_STREAM};

    (void)state;
    chunk_head_encode(bytes, &head);
    assert_ok(chunk_head_decode((struct oxbow_bytes){bytes, CHUNK_MAX}, &head));
    assert_ok(chunk_head_decode((struct oxbow_bytes){bytes, CHUNK_HEADER}, &head));
    assert_err(chunk_head_decode((struct oxbow_bytes){bytes, CHUNK_MAX + 1}, &head),
               OXBOW_ECORRUPT);
    assert_err(chunk_head_decode((struct oxbow_bytes){bytes, CHUNK_HEADER - 1}, &head),
               OXBOW_ECORRUPT);
    bytes[1] = 0;
    assert_err(chunk_head_decode((struct oxbow_bytes){bytes, CHUNK_MAX}, &head), OXBOW_ECORRUPT);
    bytes[1] = CHUNK_STREAM + 1;
    assert_err(chunk_head_decode((struct oxbow_bytes){bytes, CHUNK_MAX}, &head), OXBOW_ECORRUPT);
    bytes[1] = CHUNK_STREAM;
    bytes[0] = CHUNK_FORMAT + 1;
    assert_err(chunk_head_decode((struct oxbow_bytes){bytes, CHUNK_MAX}, &head), OXBOW_ECORRUPT);
}

/* ---- a list's entries ---- */

static void every_form_of_a_list_entry_comes_back(void **state)
{
    static uint8_t value[LIST_INLINE_MAX];
    static const uint32_t lens[] = {0, 1, 190, 191, 192, 193, 255, 256, 1999, 2000};
    uint8_t bytes[LIST_ENTRY_MAX];
    struct list_entry far[2] = {{.form = LIST_OWN, .len = 65536, .id = 7},
                                {.form = LIST_BLOB, .len = UINT32_MAX, .id = UINT64_MAX}};
    struct list_entry out;
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct list_entry in = {.form = LIST_INLINE, .len = lens[i], .data = value};

        n = list_entry_encode(bytes, &in);
        assert_int_equal(n, lens[i] + (lens[i] <= 191 ? 1 : 2));
        assert_ok(list_entry_decode(bytes, n, &out));
        assert_int_equal(out.len, lens[i]);
        assert_int_equal(out.size, n);
        assert_err(list_entry_decode(bytes, n - 1, &out), OXBOW_ECORRUPT);
    }
    for (int i = 0; i < 2; i++) {
        n = list_entry_encode(bytes, &far[i]);
        assert_ok(list_entry_decode(bytes, n, &out));
        assert_int_equal(out.form, far[i].form);
        assert_int_equal(out.len, far[i].len);
        assert_int_equal(out.id, far[i].id);
        assert_err(list_entry_decode(bytes, n - 1, &out), OXBOW_ECORRUPT);
    }
}

static void a_list_entry_has_one_form_only(void **state)
{
    static uint8_t bytes[4000];
    struct list_entry out;

    (void)state;
    bytes[0] = 0xc0; /* 191 in the long form */
    bytes[1] = 191;
    assert_err(list_entry_decode(bytes, sizeof(bytes), &out), OXBOW_ECORRUPT);
    bytes[0] = 0xc7; /* 2001 inline */
    bytes[1] = 0xd1;
    assert_err(list_entry_decode(bytes, sizeof(bytes), &out), OXBOW_ECORRUPT);
    bytes[0] = 0xe2;
    assert_err(list_entry_decode(bytes, sizeof(bytes), &out), OXBOW_ECORRUPT);
    assert_err(list_entry_decode(bytes, 0, &out), OXBOW_ECORRUPT);
}

static void random_bytes_never_reach_beyond_themselves(void **state)
{
    uint64_t rng = fixture_seed();
    uint8_t bytes[64];
    struct list_entry out;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        size_t len = fixture_random(&rng) % sizeof(bytes);

        for (size_t k = 0; k < len; k++) {
            bytes[k] = (uint8_t)fixture_random(&rng);
        }
        if (list_entry_decode(bytes, len, &out) == OXBOW_OK) {
            assert_true(out.size >= 1 && out.size <= len);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encoded_is_decoded),
        cmocka_unit_test(times_above_48_bits_are_clamped),
        TEST(a_header_knows_the_transactions_boot_and_time),
        cmocka_unit_test(what_is_no_chunk_is_corrupt),
        cmocka_unit_test(every_form_of_a_list_entry_comes_back),
        cmocka_unit_test(a_list_entry_has_one_form_only),
        cmocka_unit_test(random_bytes_never_reach_beyond_themselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
