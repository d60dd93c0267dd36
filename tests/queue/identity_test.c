/* SPDX-License-Identifier: Apache-2.0 */
/* The identity at the target: made once, kept for ever, never taken from bytes that make no sense.
 */
#include "engine/store/kv.h"
#include "oxbow/forward.h"
#include "tests/queue/stream_fixture.h"

static const uint8_t identity_key[] = {KV_SPACE_FORWARD, 'i'};

static struct oxbow_bytes key_bytes(void)
{
    return (struct oxbow_bytes){identity_key, sizeof identity_key};
}

static struct oxbow_identity get(struct streams *f)
{
    struct oxbow_identity id;

    assert_ok(oxbow_identity_get(f->txn, &id));
    return id;
}

static void a_store_has_none_until_it_is_set(void **state)
{
    struct streams *f = *state;
    struct oxbow_identity id = {.epoch = 99};

    assert_err(oxbow_identity_get(f->txn, &id), OXBOW_ENOENT);
    assert_int_equal(id.epoch, 99);
    assert_ok(oxbow_identity_set(f->txn, "gateway-7", "cpu:0001"));
    id = get(f);
    assert_string_equal(id.device, "gateway-7");
    assert_string_equal(id.machine, "cpu:0001");
    assert_true(id.epoch > 0 && id.epoch < (uint64_t)1 << 53);
}

static void the_owner_is_made_of_store_epoch_and_machine(void **state)
{
    struct streams *f = *state;
    struct oxbow_identity id;
    struct oxbow_stat stat;
    char want[sizeof id.owner];

    assert_ok(oxbow_identity_set(f->txn, "d", "m"));
    id = get(f);
    oxbow_stat(f->rig.db, &stat);
    assert_int_equal(id.store_id, stat.store_id);
    snprintf(want, sizeof want, "%016llx:%016llx:m", (unsigned long long)id.store_id,
             (unsigned long long)id.epoch);
    assert_string_equal(id.owner, want);
}

static void setting_the_same_again_changes_nothing(void **state)
{
    struct streams *f = *state;
    struct oxbow_identity first;
    struct oxbow_identity again;

    assert_ok(oxbow_identity_set(f->txn, "d", NULL));
    first = get(f);
    assert_string_equal(first.machine, "");
    streams_reopen(f);
    assert_ok(oxbow_identity_set(f->txn, "d", ""));
    again = get(f);
    assert_int_equal(again.epoch, first.epoch);
    assert_string_equal(again.owner, first.owner);
}

static void another_name_or_machine_is_refused_unless_forced(void **state)
{
    struct streams *f = *state;
    struct oxbow_identity first;
    struct oxbow_identity forced;

    assert_ok(oxbow_identity_set(f->txn, "d", "m"));
    first = get(f);
    assert_err(oxbow_identity_set(f->txn, "e", "m"), OXBOW_EEXIST);
    assert_err(oxbow_identity_set(f->txn, "d", "n"), OXBOW_EEXIST);
    assert_err(oxbow_identity_set(f->txn, "d", NULL), OXBOW_EEXIST);
    assert_int_equal(get(f).epoch, first.epoch);
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_FORCE);
    assert_ok(oxbow_identity_set(f->txn, "d", "m"));
    assert_int_equal(get(f).epoch, first.epoch);
    assert_ok(oxbow_identity_set(f->txn, "d", "n"));
    forced = get(f);
    assert_string_equal(forced.machine, "n");
    assert_true(forced.epoch != first.epoch);
    assert_int_equal(forced.store_id, first.store_id);
}

static void names_have_their_characters_and_their_limit(void **state)
{
    static const char *const bad[] = {"a b", "a/b", "a{b}", "a\n", "\xc3\xa4", "a*", "a\\", "a\"b"};
    struct streams *f = *state;
    struct oxbow_identity id;
    char longest[OXBOW_DEVICE_MAX + 2];
    size_t i;

    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_err(oxbow_identity_set(f->txn, bad[i], "m"), OXBOW_EINVAL);
        assert_err(oxbow_identity_set(f->txn, "d", bad[i]), OXBOW_EINVAL);
    }
    assert_err(oxbow_identity_set(f->txn, "", "m"), OXBOW_EINVAL);
    memset(longest, 'x', sizeof longest);
    longest[OXBOW_DEVICE_MAX + 1] = '\0';
    assert_err(oxbow_identity_set(f->txn, longest, "m"), OXBOW_EINVAL);
    assert_err(oxbow_identity_set(f->txn, "d", longest), OXBOW_EINVAL);
    assert_err(oxbow_identity_get(f->txn, &id), OXBOW_ENOENT);
    longest[OXBOW_DEVICE_MAX] = '\0';
    assert_ok(oxbow_identity_set(f->txn, longest, longest));
    id = get(f);
    assert_string_equal(id.device, longest);
    assert_string_equal(id.machine, longest);
    assert_int_equal(strlen(id.owner), 16 + 1 + 16 + 1 + OXBOW_MACHINE_MAX);
}

static void the_first_and_the_last_length_are_fine(void **state)
{
    struct streams *f = *state;
    char almost[OXBOW_DEVICE_MAX];

    memset(almost, 'y', sizeof almost);
    almost[OXBOW_DEVICE_MAX - 1] = '\0';
    assert_ok(oxbow_identity_set(f->txn, almost, "."));
    assert_string_equal(get(f).device, almost);
    streams_abort(f);
    streams_begin(f);
    assert_ok(oxbow_identity_set(f->txn, "a", "-"));
    assert_string_equal(get(f).device, "a");
}

static void a_record_that_makes_no_sense_is_damage(void **state)
{
    struct streams *f = *state;
    struct oxbow_identity id = {.epoch = 99};
    uint8_t good[64];
    struct oxbow_bytes value;
    size_t len;
    size_t i;

    assert_ok(oxbow_identity_set(f->txn, "device", "machine"));
    assert_ok(kv_get(f->txn, key_bytes(), &value));
    assert_int_equal(value.len, 16 + 6 + 7);
    len = value.len;
    memcpy(good, value.data, len);
    for (i = 0; i < len; i++) {
        assert_ok(kv_put(f->txn, key_bytes(), (struct oxbow_bytes){good, i}));
        assert_err(oxbow_identity_get(f->txn, &id), OXBOW_ECORRUPT);
    }
    for (i = 0; i < 3; i++) { /* format, the two lengths */
        unsigned v;

        for (v = 0; v < 256; v++) {
            uint8_t bad[64];

            memcpy(bad, good, len);
            bad[i] = (uint8_t)v;
            assert_ok(kv_put(f->txn, key_bytes(), (struct oxbow_bytes){bad, len}));
            assert_int_equal(oxbow_identity_get(f->txn, &id),
                             v == good[i] ? OXBOW_OK : OXBOW_ECORRUPT);
        }
    }
    /* Nobody writes over a damaged one. */
    good[0] = 9;
    assert_ok(kv_put(f->txn, key_bytes(), (struct oxbow_bytes){good, len}));
    assert_err(oxbow_identity_set(f->txn, "device", "machine"), OXBOW_ECORRUPT);
}

static enum oxbow_err no_random(void *ctx, void *out, size_t len)
{
    (void)ctx;
    (void)out;
    (void)len;
    return OXBOW_ESYS;
}

static void without_randomness_there_is_no_identity(void **state)
{
    struct streams *f = *state;
    struct oxbow_identity id;

    f->rig.port.random.fill = no_random;
    assert_err(oxbow_identity_set(f->txn, "d", "m"), OXBOW_ESYS);
    f->rig.port.random.fill = oxbow_port_default()->random.fill;
    assert_err(oxbow_identity_get(f->txn, &id), OXBOW_ENOENT);
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_identity_set(f->txn, "d", "m"), OXBOW_EREADONLY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_store_has_none_until_it_is_set),
        TEST(the_owner_is_made_of_store_epoch_and_machine),
        TEST(setting_the_same_again_changes_nothing),
        TEST(another_name_or_machine_is_refused_unless_forced),
        TEST(names_have_their_characters_and_their_limit),
        TEST(the_first_and_the_last_length_are_fine),
        TEST(a_record_that_makes_no_sense_is_damage),
        TEST(without_randomness_there_is_no_identity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
