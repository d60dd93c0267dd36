/* SPDX-License-Identifier: Apache-2.0 */
/* Options of groups: what is kept, what is refused, and how long an entry rests. */
#include "engine/base/codec.h"
#include "engine/queue/group_rules.h"
#include "tests/queue/group_fixture.h"

static void make(struct streams *f)
{
    struct oxbow_group_create_options create = {.make_stream = true};

    assert_ok(oxbow_group_create(f->txn, the_group(), &create));
}

static enum oxbow_err set(struct streams *f, struct oxbow_group_options opt)
{
    return oxbow_group_options_set(f->txn, the_group(), &opt);
}

static struct oxbow_group_options get(struct streams *f)
{
    struct oxbow_group_options opt;

    assert_ok(oxbow_group_options_get(f->txn, the_group(), &f->result, &opt));
    return opt;
}

static void options_are_kept_as_they_were_set(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = {.visibility_ms = 30000,
                                      .max_deliveries = 5,
                                      .dead_letter = BYTES("dead letters\0with a zero"),
                                      .retry_base_ms = 100,
                                      .retry_factor_percent = 150,
                                      .retry_max_ms = 60000,
                                      .retry_jitter_percent = 20,
                                      .prefetch = 16,
                                      .key_field = BYTES("customer"),
                                      .exclusive_ms = 5000};
    struct oxbow_group_options got;

    make(f);
    got = get(f);
    assert_int_equal(got.visibility_ms, 0);
    assert_int_equal(got.dead_letter.len, 0);
    assert_ok(set(f, opt));
    streams_reopen(f);
    got = get(f);
    assert_int_equal(got.visibility_ms, 30000);
    assert_int_equal(got.max_deliveries, 5);
    assert_int_equal(got.retry_base_ms, 100);
    assert_int_equal(got.retry_factor_percent, 150);
    assert_int_equal(got.retry_max_ms, 60000);
    assert_int_equal(got.retry_jitter_percent, 20);
    assert_int_equal(got.prefetch, 16);
    assert_int_equal(got.exclusive_ms, 5000);
    assert_int_equal(got.key_field.len, 8);
    assert_memory_equal(got.key_field.data, "customer", 8);
    assert_int_equal(got.dead_letter.len, opt.dead_letter.len);
    assert_memory_equal(got.dead_letter.data, opt.dead_letter.data, opt.dead_letter.len);
    opt.dead_letter = BYTES("d");
    assert_ok(set(f, opt));
    got = get(f);
    assert_int_equal(got.dead_letter.len, 1);
}

static void an_aborted_change_leaves_no_trace(void **state)
{
    struct streams *f = *state;

    make(f);
    assert_ok(set(f, (struct oxbow_group_options){.prefetch = 1}));
    streams_commit(f);
    streams_begin(f);
    assert_ok(set(f, (struct oxbow_group_options){.prefetch = 2}));
    streams_abort(f);
    streams_begin(f);
    assert_int_equal(get(f).prefetch, 1);
}

static void options_out_of_range_are_refused(void **state)
{
    struct streams *f = *state;
    struct oxbow_bytes dead = BYTES("dead");
    static const char long_name[OXBOW_KEY_NAME_MAX + 1];
    const uint64_t over = OXBOW_GROUP_MS_MAX + 1;

    make(f);
#define BAD(...)  assert_err(set(f, (struct oxbow_group_options){__VA_ARGS__}), OXBOW_EINVAL)
#define GOOD(...) assert_ok(set(f, (struct oxbow_group_options){__VA_ARGS__}))
    BAD(.visibility_ms = over);
    GOOD(.visibility_ms = over - 1);
    BAD(.retry_base_ms = over);
    GOOD(.retry_base_ms = over - 1);
    BAD(.retry_max_ms = over);
    BAD(.retry_base_ms = 2, .retry_max_ms = 1);
    GOOD(.retry_base_ms = 2, .retry_max_ms = 2);
    BAD(.retry_factor_percent = 99);
    GOOD(.retry_factor_percent = 100);
    GOOD(.retry_factor_percent = OXBOW_GROUP_RETRY_FACTOR_MAX);
    BAD(.retry_factor_percent = OXBOW_GROUP_RETRY_FACTOR_MAX + 1);
    GOOD(.retry_jitter_percent = 100);
    BAD(.retry_jitter_percent = 101);
    BAD(.max_deliveries = 1);
    GOOD(.max_deliveries = 1, .dead_letter = dead);
    BAD(.dead_letter = BYTES("s"));
    BAD(.dead_letter = {NULL, 4});
    BAD(.exclusive_ms = over);
    GOOD(.exclusive_ms = over - 1);
    BAD(.key_field = {long_name, 256});
    BAD(.key_field = {NULL, 1});
    GOOD(.key_field = {long_name, 255});
    GOOD(.max_deliveries = 1, .dead_letter = dead);
    assert_err(
        set(f, (struct oxbow_group_options){.dead_letter = {long_name, OXBOW_KEY_NAME_MAX + 1}}),
        OXBOW_ETOOBIG);
    assert_err(oxbow_group_options_set(f->txn, the_group(), NULL), OXBOW_EINVAL);
    assert_err(
        oxbow_group_options_set(f->txn, group_of("s", "other"), &(struct oxbow_group_options){0}),
        OXBOW_ENOGROUP);
    assert_err(
        oxbow_group_options_set(f->txn, group_of("other", "g"), &(struct oxbow_group_options){0}),
        OXBOW_ENOGROUP);
    assert_int_equal(get(f).max_deliveries, 1);
}

static void setting_options_in_a_reading_transaction_is_refused(void **state)
{
    struct streams *f = *state;

    make(f);
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(set(f, (struct oxbow_group_options){0}), OXBOW_EREADONLY);
}

static void a_changed_visibility_goes_for_what_is_pending(void **state)
{
    struct streams *f = *state;

    setup(f, &(struct oxbow_group_options){.visibility_ms = 100000}, 300);
    assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("bob"), NULL, &f->result));
    pass(f, 1000);
    assert_string_equal(take(f, "eve", 1), "");
    assert_ok(set(f, (struct oxbow_group_options){.visibility_ms = 500}));
    assert_true(status(f).has_due);
    assert_string_equal(take(f, "eve", 1), "1-0{f=1}");
    assert_ok(set(f, (struct oxbow_group_options){0}));
    assert_string_equal(take(f, "eve", 1), "");
    assert_ok(set(f, (struct oxbow_group_options){.visibility_ms = 500}));
    assert_string_equal(take(f, "eve", 2), "2-0{f=2} 3-0{f=3}");
    assert_string_equal(take(f, "eve", 1), "4-0{f=4}");
    assert_int_equal(ack(f, 299), 1);
    assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("eve"), NULL, &f->result));
    assert_int_equal(f->result.entry_count, 295);
}

static void what_was_pending_before_there_were_options_comes_back_too(void **state)
{
    struct streams *f = *state;

    make(f);
    streams_fill(f, "s", 5000);
    assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("bob"), NULL, &f->result));
    pass(f, 1000);
    assert_ok(set(f, (struct oxbow_group_options){.visibility_ms = 500}));
    streams_reopen(f);
    for (uint64_t next = 1; next <= 5000;) {
        assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("eve"), NULL, &f->result));
        for (size_t i = 0; i < f->result.entry_count; i++) {
            assert_int_equal(f->result.entries[i].id.ms, next++);
        }
    }
}

/* ---- resting ---- */

static uint64_t rest(struct group_rules rules, uint64_t ms, uint64_t deliveries)
{
    struct group g = {.ruled = true, .rules = rules};

    return rules_rest_ms(&g, ID(ms, 0), deliveries);
}

static void a_rest_grows_by_its_factor_up_to_its_limit(void **state)
{
    struct group_rules r = {.retry_base_ms = 100};

    (void)state;
    assert_int_equal(rest((struct group_rules){0}, 1, 9), 0);
    assert_int_equal(rest(r, 1, 0), 100);
    assert_int_equal(rest(r, 1, 1), 100);
    assert_int_equal(rest(r, 1, 2), 200);
    assert_int_equal(rest(r, 1, 5), 1600);
    assert_int_equal(rest(r, 1, 1000000000), OXBOW_GROUP_RETRY_MAX_DEFAULT);
    r.retry_factor_percent = 100;
    assert_int_equal(rest(r, 1, 1000000000), 100);
    r.retry_factor_percent = 150;
    assert_int_equal(rest(r, 1, 3), 225);
    r.retry_max_ms = 120;
    assert_int_equal(rest(r, 1, 3), 120);
    r = (struct group_rules){.retry_base_ms = 1, .retry_factor_percent = 101};
    assert_int_equal(rest(r, 1, 2), 2);
    r = (struct group_rules){.retry_base_ms = OXBOW_GROUP_MS_MAX,
                             .retry_factor_percent = OXBOW_GROUP_RETRY_FACTOR_MAX};
    assert_int_equal(rest(r, 1, 50), OXBOW_GROUP_MS_MAX);
}

static void jitter_spreads_rests_and_only_shortens_them(void **state)
{
    struct group_rules r = {.retry_base_ms = 1000, .retry_jitter_percent = 30, .seed = 7};
    uint64_t low = UINT64_MAX, high = 0, i;

    (void)state;
    for (i = 1; i <= 1000; i++) {
        uint64_t ms = rest(r, i, 1);

        low = ms < low ? ms : low;
        high = ms > high ? ms : high;
        assert_int_equal(rest(r, i, 1), ms);
    }
    assert_true(low >= 700 && low < 710);
    assert_true(high <= 1000 && high > 990);
    r.retry_jitter_percent = 100;
    for (i = 1; i <= 1000; i++) {
        assert_true(rest(r, i, 1) <= 1000);
    }
}

/* ---- damage ---- */

static void damaged_rules_are_told(void **state)
{
    struct streams *f = *state;
    struct stream s;
    struct group g;
    uint8_t key[KV_KEY_MAX];
    uint8_t tail[4];
    struct oxbow_bytes k = {key, 0};
    struct oxbow_group_options opt;
    size_t len;

    setup(f, &(struct oxbow_group_options){.dead_letter = BYTES("dead")}, 1);
    assert_ok(group_find(f->txn, the_group(), &s, &g));
    put_be32(tail, g.number);
    k.len = object_key(key, s.object.id, STREAM_KIND_RULES, tail, sizeof tail);
    /* A length of the dead letters' name that is beyond the value. */
    assert_ok(kv_patch(f->txn, k, 56, (struct oxbow_bytes){"\x05", 1}));
    assert_err(oxbow_group_options_get(f->txn, the_group(), &f->result, &opt), OXBOW_ECORRUPT);
    assert_ok(kv_patch(f->txn, k, 56, (struct oxbow_bytes){"\x04", 1}));
    for (len = 0; len < 140; len++) {
        struct oxbow_bytes value;
        uint8_t copy[140];

        assert_ok(kv_get(f->txn, k, &value));
        assert_int_equal(value.len, sizeof copy);
        memcpy(copy, value.data, sizeof copy);
        assert_ok(kv_put(f->txn, k, (struct oxbow_bytes){copy, len}));
        assert_err(oxbow_group_options_get(f->txn, the_group(), &f->result, &opt), OXBOW_ECORRUPT);
        assert_ok(kv_put(f->txn, k, (struct oxbow_bytes){copy, sizeof copy}));
    }
    /* A later version's: read as far as it is known, and not overwritten. */
    {
        uint8_t longer[156] = {0};
        struct oxbow_bytes value;

        assert_ok(kv_get(f->txn, k, &value));
        memcpy(longer, value.data, 136);
        memcpy(longer + 152, "dead", 4);
        longer[4] = 152;
        assert_ok(kv_put(f->txn, k, (struct oxbow_bytes){longer, sizeof longer}));
        assert_ok(oxbow_group_options_get(f->txn, the_group(), &f->result, &opt));
        assert_int_equal(opt.dead_letter.len, 4);
        assert_memory_equal(opt.dead_letter.data, "dead", 4);
        assert_err(set(f, opt), OXBOW_EFORMAT);
        memcpy(longer + 144, "dead", 4);
        longer[4] = 144;
        longer[137] = 1; /* a flag that is not known */
        assert_ok(kv_put(f->txn, k, (struct oxbow_bytes){longer, 148}));
        assert_ok(oxbow_group_options_get(f->txn, the_group(), &f->result, &opt));
        assert_false(opt.dead_remove);
        assert_err(set(f, opt), OXBOW_EFORMAT);
        longer[137] = 0;
        assert_ok(kv_put(f->txn, k, (struct oxbow_bytes){longer, 148}));
        assert_ok(set(f, opt));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
        TEST(options_are_kept_as_they_were_set),
        TEST(an_aborted_change_leaves_no_trace),
        TEST(options_out_of_range_are_refused),
        TEST(setting_options_in_a_reading_transaction_is_refused),
        TEST(a_changed_visibility_goes_for_what_is_pending),
        TEST(what_was_pending_before_there_were_options_comes_back_too),
        TEST(damaged_rules_are_told),
        cmocka_unit_test(a_rest_grows_by_its_factor_up_to_its_limit),
        cmocka_unit_test(jitter_spreads_rests_and_only_shortens_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
