/* SPDX-License-Identifier: Apache-2.0 */
/* Records of bindings and sources: what is written is read, and nothing else is believed. */
#include "tests/queue/binding_fixture.h"

static const struct oxbow_field headers[] = {{{"a", 1}, {"b", 1}}, {{"", 0}, {"", 0}}};

static size_t encode(uint8_t out[512], const struct oxbow_binding *b)
{
    struct buf buf = {.data = out, .cap = 512, .len_max = 512};

    assert_ok(binding_check(b));
    assert_ok(binding_encode(&buf, b, 3));
    return buf.len;
}

static const struct oxbow_binding samples[] = {
    {.source = {"s", 1}, .destination = {"d", 1}},
    {.source = {"s", 1},
     .destination = {"dest", 4},
     .type = OXBOW_TYPE_LIST,
     .kind = OXBOW_BIND_TOPIC,
     .field = {"key", 3},
     .pattern = {"a.#", 3},
     .value_field = {"v", 1},
     .on_full = OXBOW_BINDING_SKIP},
    {.source = {"s", 1},
     .destination = {"d", 1},
     .kind = OXBOW_BIND_HEADERS,
     .headers = headers,
     .header_count = 2,
     .any = true},
    {.source = {"s", 1}, .destination = {"d", 1}, .kind = OXBOW_BIND_DIRECT, .field = {"f", 1}},
};

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const struct oxbow_binding *b = &samples[i];
        uint8_t bytes[512];
        size_t len = encode(bytes, b);
        struct binding_record r;

        assert_ok(binding_decode((struct oxbow_bytes){bytes, len}, &r));
        assert_int_equal(r.database, 3);
        assert_int_equal(r.binding.kind, b->kind);
        assert_int_equal(r.binding.on_full, b->on_full);
        assert_int_equal(r.binding.any, b->any);
        assert_int_equal(r.binding.destination.len, b->destination.len);
        assert_int_equal(r.binding.pattern.len, b->pattern.len);
        assert_int_equal(r.binding.value_field.len, b->value_field.len);
        assert_int_equal(r.binding.header_count, b->header_count);
        if (b->header_count > 0) {
            assert_memory_equal(r.binding.headers[0].value.data, "b", 1);
        }
    }
}

static void a_record_that_is_cut_off_or_longer_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        uint8_t bytes[512] = {0};
        size_t len = encode(bytes, &samples[i]);
        struct binding_record r;

        for (size_t n = 0; n < len; n++) {
            assert_err(binding_decode((struct oxbow_bytes){bytes, n}, &r), OXBOW_ECORRUPT);
        }
        assert_err(binding_decode((struct oxbow_bytes){bytes, len + 1}, &r), OXBOW_ECORRUPT);
    }
}

/* Any byte changed: it is refused, or it is another record that makes sense. */
static void no_change_of_a_byte_is_read_beyond_its_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        uint8_t bytes[512];
        size_t len = encode(bytes, &samples[i]);
        struct binding_record r;

        for (size_t at = 0; at < len; at++) {
            for (unsigned v = 0; v < 256; v++) {
                uint8_t was = bytes[at];

                bytes[at] = (uint8_t)v;
                if (binding_decode((struct oxbow_bytes){bytes, len}, &r) == OXBOW_OK) {
                    assert_ok(binding_check(&r.binding));
                }
                bytes[at] = was;
            }
        }
    }
}

static void bindings_that_differ_in_what_happens_when_full_are_the_same(void **state)
{
    uint8_t a[512], b[512];
    size_t len = encode(a, &samples[1]);
    struct oxbow_binding other = samples[1];

    (void)state;
    other.on_full = OXBOW_BINDING_REFUSE;
    assert_int_equal(encode(b, &other), len);
    assert_true(binding_same((struct oxbow_bytes){a, len}, (struct oxbow_bytes){b, len}));
    binding_encode_on_full(b, OXBOW_BINDING_SKIP);
    assert_memory_equal(a, b, len);
    other.pattern.data = "b.#";
    encode(b, &other);
    assert_false(binding_same((struct oxbow_bytes){a, len}, (struct oxbow_bytes){b, len}));
    assert_false(binding_same((struct oxbow_bytes){a, len}, (struct oxbow_bytes){a, len - 1}));
}

static void a_source_is_written_and_read(void **state)
{
    const struct source_record s = {.source = {.keeps_nothing = true, .alternate = {"rest", 4}},
                                    .key = {"s", 1},
                                    .database = 15};
    uint8_t bytes[512];
    struct buf buf = {.data = bytes, .cap = 512, .len_max = 512};
    struct source_record r;

    (void)state;
    assert_ok(source_encode(&buf, &s));
    assert_ok(source_decode((struct oxbow_bytes){bytes, buf.len}, &r));
    assert_true(r.source.keeps_nothing && r.database == 15 && r.key.len == 1);
    assert_memory_equal(r.source.alternate.data, "rest", 4);
    for (size_t n = 0; n < buf.len; n++) {
        assert_err(source_decode((struct oxbow_bytes){bytes, n}, &r), OXBOW_ECORRUPT);
    }
    assert_err(source_decode((struct oxbow_bytes){bytes, buf.len + 1}, &r), OXBOW_ECORRUPT);
    bytes[2] = 16; /* no such database */
    assert_err(source_decode((struct oxbow_bytes){bytes, buf.len}, &r), OXBOW_ECORRUPT);
}

static void counters_that_are_damaged_begin_anew(void **state)
{
    struct streams *f = *state;
    const struct source_count count = {1, 2, 3, 4, 5};
    const struct binding_drops drops = {7, 8, OXBOW_EFULL};
    struct source_count c;
    struct binding_drops d;
    uint8_t key[BINDING_KEY_MAX];

    assert_ok(source_count_get(f->txn, 1, &c));
    assert_int_equal(c.entries, 0);
    assert_ok(source_count_put(f->txn, 1, &count));
    assert_ok(binding_drops_put(f->txn, 1, &drops));
    assert_ok(source_count_get(f->txn, 1, &c));
    assert_ok(binding_drops_get(f->txn, 1, &d));
    assert_true(c.entries == 1 && c.alternated == 4 && c.dropped == 5);
    assert_true(d.dropped == 7 && d.wall_ms == 8 && d.why == OXBOW_EFULL);
    assert_ok(kv_put(f->txn, binding_key(key, BINDING_KEY_COUNT, 1), BYTES("short")));
    assert_ok(kv_put(f->txn, binding_key(key, BINDING_KEY_DROPS, 1), BYTES("short")));
    assert_ok(source_count_get(f->txn, 1, &c));
    assert_ok(binding_drops_get(f->txn, 1, &d));
    assert_true(c.entries == 0 && d.dropped == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_record_that_is_cut_off_or_longer_is_none),
        cmocka_unit_test(no_change_of_a_byte_is_read_beyond_its_end),
        cmocka_unit_test(bindings_that_differ_in_what_happens_when_full_are_the_same),
        cmocka_unit_test(a_source_is_written_and_read),
        cmocka_unit_test_setup_teardown(counters_that_are_damaged_begin_anew, streams_setup,
                                        streams_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
