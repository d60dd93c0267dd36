/* SPDX-License-Identifier: Apache-2.0 */
/* Keys with one value: set, get, overwrite, delete; what is damaged; what the store says it uses. */
#include "engine/queue/string.h"

#include "oxbow/forward.h"
#include "oxbow/upgrade.h"
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

#define LONG_MAX_BYTES 300000u

static void set(struct streams *f, const char *key, const char *value)
{
    assert_ok(oxbow_string_set(f->txn, text_bytes(key), text_bytes(value)));
}

static void assert_value(struct streams *f, const char *key, const char *want)
{
    uint64_t len;

    assert_ok(oxbow_string_get(f->txn, text_bytes(key), &f->result));
    assert_int_equal(f->result.item_count, 1);
    assert_int_equal(f->result.items[0].len, strlen(want));
    assert_memory_equal(f->result.items[0].data, want, strlen(want));
    assert_ok(oxbow_string_len(f->txn, text_bytes(key), &len));
    assert_int_equal(len, strlen(want));
}

static uint64_t keys_of(struct streams *f)
{
    struct oxbow_stat stat;

    streams_reopen(f);
    oxbow_stat(f->rig.db, &stat);
    return stat.keys;
}

static void a_value_is_what_was_set_last(void **state)
{
    struct streams *f = *state;
    enum oxbow_type type;
    bool existed;
    uint64_t len;

    assert_err(oxbow_string_get(f->txn, text_bytes("k"), &f->result), OXBOW_ENOENT);
    assert_ok(oxbow_string_len(f->txn, text_bytes("k"), &len));
    assert_int_equal(len, 0);
    set(f, "k", "one");
    assert_value(f, "k", "one");
    set(f, "k", "");
    assert_value(f, "k", "");
    set(f, "k", "three");
    streams_reopen(f);
    assert_value(f, "k", "three");
    assert_ok(oxbow_key_type(f->txn, text_bytes("k"), &type));
    assert_int_equal(type, OXBOW_TYPE_STRING);
    assert_ok(oxbow_key_rename(f->txn, text_bytes("k"), text_bytes("l"), false));
    assert_value(f, "l", "three");
    assert_ok(oxbow_key_delete(f->txn, text_bytes("l"), &existed));
    assert_true(existed);
    assert_err(oxbow_string_get(f->txn, text_bytes("l"), &f->result), OXBOW_ENOENT);
}

static void an_abort_takes_a_value_back(void **state)
{
    struct streams *f = *state;

    set(f, "k", "one");
    streams_commit(f);
    streams_begin(f);
    set(f, "k", "two");
    set(f, "l", "new");
    streams_abort(f);
    streams_begin(f);
    assert_value(f, "k", "one");
    assert_err(oxbow_string_get(f->txn, text_bytes("l"), &f->result), OXBOW_ENOENT);
}

/* Around the length from which a value is kept apart, and back. */
static void values_of_any_length_are_kept(void **state)
{
    static const size_t lens[] = {1,     4067,  4068,           65535, 65536,
                                  65537, 70000, LONG_MAX_BYTES, 3,     65537};
    static uint8_t bytes[LONG_MAX_BYTES];
    struct streams *f = *state;

    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        uint64_t len;

        memset(bytes, (int)('a' + i), lens[i]);
        assert_ok(oxbow_string_set(f->txn, text_bytes("k"), (struct oxbow_bytes){bytes, lens[i]}));
        if (i % 2 == 0) {
            streams_reopen(f);
        }
        assert_ok(oxbow_string_len(f->txn, text_bytes("k"), &len));
        assert_int_equal(len, lens[i]);
        assert_ok(oxbow_string_get(f->txn, text_bytes("k"), &f->result));
        assert_int_equal(f->result.items[0].len, lens[i]);
        assert_memory_equal(f->result.items[0].data, bytes, lens[i]);
    }
}

static void a_value_that_is_replaced_leaves_nothing_behind(void **state)
{
    static uint8_t bytes[LONG_MAX_BYTES];
    struct streams *f = *state;
    struct oxbow_bytes value = {bytes, sizeof bytes};
    uint64_t before;

    set(f, "k", "short");
    before = keys_of(f);
    for (int i = 0; i < 5; i++) {
        assert_ok(oxbow_string_set(f->txn, text_bytes("k"), value));
        streams_reopen(f);
    }
    set(f, "k", "short again");
    for (int i = 0; i < 50 && keys_of(f) > before; i++) { /* idle work does it */
    }
    assert_int_equal(keys_of(f), before);
}

static void a_key_of_another_type_is_overwritten(void **state)
{
    struct streams *f = *state;
    const struct oxbow_bytes element = text_bytes("e");

    assert_ok(oxbow_list_push(f->txn, text_bytes("k"), OXBOW_RIGHT, &element, 1, NULL));
    assert_err(oxbow_string_get(f->txn, text_bytes("k"), &f->result), OXBOW_EWRONGTYPE);
    set(f, "k", "now a string");
    assert_value(f, "k", "now a string");
    assert_err(oxbow_list_push(f->txn, text_bytes("k"), OXBOW_RIGHT, &element, 1, NULL),
               OXBOW_EWRONGTYPE);
    assert_err(streams_put(f, "k", ID(1, 1), "v"), OXBOW_EWRONGTYPE);
}

static void what_a_forward_has_not_delivered_is_not_overwritten(void **state)
{
    struct streams *f = *state;
    const struct oxbow_forward_options opt = {.key = text_bytes("s"), .type = OXBOW_TYPE_STREAM};

    assert_ok(oxbow_identity_set(f->txn, "device", NULL));
    assert_ok(oxbow_forward_create(f->txn, "up", &opt));
    assert_ok(streams_put(f, "s", ID(1, 1), "v"));
    assert_err(oxbow_string_set(f->txn, text_bytes("s"), text_bytes("x")), OXBOW_EPROTECTED);
    assert_string_equal(streams_all(f, "s"), "1-1{f=v}");
    streams_reopen(f); /* the refusal left the transaction as it was */
    assert_string_equal(streams_all(f, "s"), "1-1{f=v}");
}

static void bad_input_is_refused(void **state)
{
    struct streams *f = *state;
    char *big = calloc(1, OXBOW_KEY_NAME_MAX + 1);
    uint64_t len;

    assert_non_null(big);
    assert_err(oxbow_string_set(f->txn, text_bytes("k"), (struct oxbow_bytes){NULL, 1}),
               OXBOW_EINVAL);
    assert_err(oxbow_string_set(f->txn, (struct oxbow_bytes){NULL, 1}, text_bytes("v")),
               OXBOW_EINVAL);
    assert_err(oxbow_string_set(f->txn, (struct oxbow_bytes){big, OXBOW_KEY_NAME_MAX + 1},
                                text_bytes("v")),
               OXBOW_ETOOBIG);
    assert_ok(
        oxbow_string_set(f->txn, (struct oxbow_bytes){big, OXBOW_KEY_NAME_MAX}, text_bytes("v")));
    assert_err(
        oxbow_string_set(f->txn, text_bytes("k"), (struct oxbow_bytes){big, (size_t)1 << 40}),
        OXBOW_ETOOBIG);
    assert_err(oxbow_string_get(f->txn, text_bytes("k"), NULL), OXBOW_EINVAL);
    assert_err(oxbow_string_len(f->txn, text_bytes("k"), NULL), OXBOW_EINVAL);
    assert_err(oxbow_string_get(f->txn, (struct oxbow_bytes){NULL, 1}, &f->result), OXBOW_EINVAL);
    assert_err(oxbow_string_len(f->txn, (struct oxbow_bytes){NULL, 1}, &len), OXBOW_EINVAL);
    free(big);
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_string_set(f->txn, text_bytes("k"), text_bytes("v")), OXBOW_EREADONLY);
}

static void the_first_string_is_noted_as_a_feature(void **state)
{
    struct streams *f = *state;
    struct oxbow_format format;
    size_t count;
    const struct oxbow_feature *row = &oxbow_features(&count)[STORE_FEATURE_STRING];

    assert_string_equal(row->name, "strings");
    assert_ok(oxbow_format(f->txn, &format));
    assert_int_equal(format.used[row->kind] >> row->bit & 1, 0);
    set(f, "k", "v");
    streams_reopen(f);
    assert_ok(oxbow_format(f->txn, &format));
    assert_int_equal(format.used[row->kind] >> row->bit & 1, 1);
}

static void a_store_of_level_1_takes_none(void **state)
{
    struct streams *f = calloc(1, sizeof *f);

    (void)state;
    assert_non_null(f);
    rig_init(&f->rig, OXBOW_SYNC_INTERVAL);
    f->rig.config.level = 1;
    rig_open(&f->rig);
    streams_begin(f);
    assert_err(oxbow_string_set(f->txn, text_bytes("k"), text_bytes("v")), OXBOW_ELEVEL);
    streams_commit(f);
    rig_fini(&f->rig);
    free(f);
}

/* What a record may look like after damage that no checksum caught, and what mending makes of it. */
static void a_record_that_makes_no_sense_is_told_and_mended_away(void **state)
{
    static const uint8_t bad[][24] = {
        {2}, {1, 2}, {1, 1}, {1, 1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9}};
    static const size_t lens[] = {8, 8, 24, 24};
    struct streams *f = *state;

    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        const struct mend m = {.db = f->rig.db};
        struct mend_object o = {.mend = &m, .txn = f->txn, .name = text_bytes("k")};
        uint8_t key[KV_KEY_MAX];
        size_t len;

        set(f, "k", "v");
        assert_ok(catalog_find(f->txn, text_bytes("k"), &o.object));
        assert_ok(mend_string(&o)); /* it is whole */
        assert_value(f, "k", "v");
        len = object_key(key, o.object.id, OBJECT_KIND_TYPE, NULL, 0);
        assert_ok(
            kv_put(f->txn, (struct oxbow_bytes){key, len}, (struct oxbow_bytes){bad[i], lens[i]}));
        assert_err(oxbow_string_get(f->txn, text_bytes("k"), &f->result), OXBOW_ECORRUPT);
        if (i % 2 == 0) {
            assert_ok(mend_string(&o));
            assert_err(oxbow_string_get(f->txn, text_bytes("k"), &f->result), OXBOW_ENOENT);
        }
        set(f, "k", "new"); /* what is lost can be set again */
        assert_value(f, "k", "new");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_value_is_what_was_set_last),
        TEST(an_abort_takes_a_value_back),
        TEST(values_of_any_length_are_kept),
        TEST(a_value_that_is_replaced_leaves_nothing_behind),
        TEST(a_key_of_another_type_is_overwritten),
        TEST(what_a_forward_has_not_delivered_is_not_overwritten),
        TEST(bad_input_is_refused),
        TEST(the_first_string_is_noted_as_a_feature),
        cmocka_unit_test(a_store_of_level_1_takes_none),
        TEST(a_record_that_makes_no_sense_is_told_and_mended_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
