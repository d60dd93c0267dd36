/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each feature of the table (engine/store/feature.c) and all that needs it: at the level before, the
 * call is refused and leaves nothing behind that the version before would not know; at its own level
 * it is noted with the first use, alone; and a version that does not know it does with the store what
 * the feature's kind says.
 */
#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/queue/merge.h"
#include "engine/store/store.h"
#include "oxbow/binding.h"
#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/group_options.h"
#include "oxbow/hash_expire.h"
#include "oxbow/once.h"
#include "oxbow/patrol.h"
#include "oxbow/policy.h"
#include "oxbow/schedule.h"
#include "oxbow/set.h"
#include "oxbow/string.h"
#include "oxbow/upgrade.h"
#include "oxbow/zset.h"
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

static const struct oxbow_field field = {{"f", 1}, {"v", 1}};

/* ---- what needs a feature ---- */

static enum oxbow_err a_limit(struct oxbow_txn *txn)
{
    return oxbow_policy_set(txn, BYTES("s"), &(struct oxbow_policy){.max_entries = 10});
}

static enum oxbow_err a_replay_window(struct oxbow_txn *txn)
{
    return oxbow_policy_set(txn, BYTES("s"), &(struct oxbow_policy){.keep_ms = 10});
}

static enum oxbow_err an_id_that_is_added_once(struct oxbow_txn *txn)
{
    struct oxbow_once_outcome said;

    return oxbow_once_add(txn, BYTES("s"), &(struct oxbow_once){.id = BYTES("x")}, &field, 1,
                          &said);
}

static enum oxbow_err a_producer_with_a_sequence(struct oxbow_txn *txn)
{
    const struct oxbow_once once = {.producer = BYTES("p"), .sequence = 1};
    struct oxbow_once_outcome said;

    return oxbow_once_push(txn, BYTES("l"), OXBOW_RIGHT, &once, BYTES("v"), &said);
}

static enum oxbow_err a_delayed_entry(struct oxbow_txn *txn)
{
    const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, 1000};

    return oxbow_delay_add(txn, BYTES("s"), &when, &field, 1, NULL);
}

static enum oxbow_err a_delayed_element(struct oxbow_txn *txn)
{
    const struct oxbow_delay_when when = {OXBOW_DELAY_WALL, 1000};

    return oxbow_delay_push(txn, BYTES("l"), OXBOW_LEFT, &when, BYTES("v"), NULL);
}

static enum oxbow_err a_time_to_live_at_birth(struct oxbow_txn *txn)
{
    const struct oxbow_stream_add_options opt = {.ttl_ms = 1000};

    return oxbow_stream_add(txn, BYTES("s"), &opt, &field, 1, NULL);
}

static enum oxbow_err a_time_to_live_later(struct oxbow_txn *txn)
{
    return oxbow_stream_expire(txn, BYTES("s"), (struct oxbow_id){1, 0}, 1000);
}

static enum oxbow_err options_of(struct oxbow_txn *txn, const struct oxbow_group_options *opt)
{
    return oxbow_group_options_set(txn, group_of("s", "g"), opt);
}

static enum oxbow_err a_visibility_timeout(struct oxbow_txn *txn)
{
    return options_of(txn, &(struct oxbow_group_options){.visibility_ms = 1000});
}

static enum oxbow_err dead_letters(struct oxbow_txn *txn)
{
    return options_of(
        txn, &(struct oxbow_group_options){.max_deliveries = 3, .dead_letter = BYTES("dead")});
}

static enum oxbow_err a_backoff(struct oxbow_txn *txn)
{
    return options_of(txn, &(struct oxbow_group_options){.retry_base_ms = 10});
}

static enum oxbow_err an_order_by_key(struct oxbow_txn *txn)
{
    return options_of(txn, &(struct oxbow_group_options){.key_field = BYTES("f")});
}

static enum oxbow_err a_limit_of_pending(struct oxbow_txn *txn)
{
    return options_of(txn, &(struct oxbow_group_options){.prefetch = 3});
}

static enum oxbow_err an_exclusive_consumer(struct oxbow_txn *txn)
{
    return options_of(txn, &(struct oxbow_group_options){.exclusive_ms = 1000});
}

static enum oxbow_err a_patrol_that_finds_something(struct oxbow_txn *txn)
{
    const struct oxbow_patrol_options opt = {
        .processing = BYTES("l"), .to = BYTES("jobs"), .to_end = OXBOW_RIGHT, .timeout_ms = 1000};
    struct oxbow_patrol out;

    return oxbow_list_patrol(txn, &opt, &out);
}

static enum oxbow_err a_batch_from_a_stand_in(struct oxbow_txn *txn)
{
    const struct merge_mark mark = {.stand_in = 7, .batch = 1, .kind = MERGE_DELAY, .count = 1};

    return merge_mark_put(txn, &mark);
}

static enum oxbow_err a_key_with_one_value(struct oxbow_txn *txn)
{
    return oxbow_string_set(txn, BYTES("k"), BYTES("v"));
}

static enum oxbow_err a_hash(struct oxbow_txn *txn)
{
    return oxbow_hash_set(txn, BYTES("h"), &field, 1, NULL);
}

static enum oxbow_err a_set(struct oxbow_txn *txn)
{
    return oxbow_set_add(txn, BYTES("m"), &field.name, 1, NULL);
}

static enum oxbow_err a_sorted_set(struct oxbow_txn *txn)
{
    return oxbow_zset_add(txn, BYTES("z"), 0, &(struct oxbow_scored){BYTES("m"), 1}, 1, NULL);
}

static enum oxbow_err a_binding(struct oxbow_txn *txn)
{
    return oxbow_bind(txn, &(struct oxbow_binding){.source = BYTES("s"), .destination = BYTES("d")},
                      NULL);
}

static enum oxbow_err a_source_that_keeps_nothing(struct oxbow_txn *txn)
{
    return oxbow_source_set(txn, BYTES("s"), &(struct oxbow_source){.keeps_nothing = true});
}

static enum oxbow_err a_schedule(struct oxbow_txn *txn)
{
    const struct oxbow_schedule_options opt = {
        .when = BYTES("every 1h"), .key = BYTES("l"), .value = BYTES("v")};

    return oxbow_schedule_set(txn, "name", &opt);
}

static enum oxbow_err priorities_of_a_queue(struct oxbow_txn *txn)
{
    return oxbow_policy_set(txn, BYTES("s"), &(struct oxbow_policy){.priorities = 2});
}

static enum oxbow_err a_key_that_expires(struct oxbow_txn *txn)
{
    enum oxbow_expire_done done;

    return oxbow_key_expire(txn, BYTES("l"), 1000, 0, &done);
}

static enum oxbow_err a_field_that_expires(struct oxbow_txn *txn)
{
    const struct oxbow_bytes name = field.name;
    const struct oxbow_fields one = {&name, 1};
    enum oxbow_field_done done;
    enum oxbow_err err = oxbow_hash_set(txn, BYTES("h"), &field, 1, NULL);

    return err == OXBOW_OK ? oxbow_hash_expire(txn, BYTES("h"), &one, 1000000, 0, &done) : err;
}

static enum oxbow_err a_field_set_to_expire(struct oxbow_txn *txn)
{
    const struct oxbow_hash_set_options opt = {.timed = true, .ttl_ms = 1000000};
    bool set;

    return oxbow_hash_set_timed(txn, BYTES("h"), &field, 1, &opt, &set);
}

static const struct use {
    const char *feature;
    enum oxbow_err (*first)(struct oxbow_txn *txn);
    const char *with; /* what it needs besides; NULL: nothing */
} uses[] = {
    {"policies", a_limit, NULL},
    {"policies", a_replay_window, NULL},
    {"policies", an_id_that_is_added_once, NULL},
    {"policies", a_producer_with_a_sequence, NULL},
    {"delays", a_delayed_entry, NULL},
    {"delays", a_delayed_element, NULL},
    {"times-to-live", a_time_to_live_at_birth, NULL},
    {"times-to-live", a_time_to_live_later, NULL},
    {"group-options", a_visibility_timeout, NULL},
    {"group-options", dead_letters, NULL},
    {"group-options", a_backoff, NULL},
    {"group-options", an_order_by_key, NULL},
    {"group-options", a_limit_of_pending, NULL},
    {"group-options", an_exclusive_consumer, NULL},
    {"patrols", a_patrol_that_finds_something, NULL},
    {"strings", a_key_with_one_value, NULL},
    {"members", a_hash, NULL},
    {"members", a_set, NULL},
    {"members", a_sorted_set, NULL},
    {"stand-ins", a_batch_from_a_stand_in, NULL},
    {"bindings", a_binding, NULL},
    {"bindings", a_source_that_keeps_nothing, NULL},
    {"schedules", a_schedule, NULL},
    {"priorities", priorities_of_a_queue, "policies"},
    {"key-expiry", a_key_that_expires, NULL},
    {"field-expiry", a_field_that_expires, "members"},
    {"field-expiry", a_field_set_to_expire, "members"},
};

#define USES (sizeof uses / sizeof *uses)

/* ---- a store of the level before ---- */

static const struct oxbow_feature *row_named(const char *name)
{
    size_t count;
    const struct oxbow_feature *rows = oxbow_features(&count);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    fail_msg("no such feature: %s", name);
    return NULL;
}

static const struct oxbow_feature *row_of(const struct use *use)
{
    return row_named(use->feature);
}

/* The bits that are noted of a kind when it is used. */
static uint64_t bits_of(const struct use *use, enum oxbow_feature_kind kind)
{
    const struct oxbow_feature *own = row_of(use);
    const struct oxbow_feature *with = row_named(use->with != NULL ? use->with : use->feature);

    return (own->kind == kind ? (uint64_t)1 << own->bit : 0) |
           (with->kind == kind ? (uint64_t)1 << with->bit : 0);
}

/* A stream `s` with an entry and a group, and a list `l`, which every version knows. */
static void make(struct rig *rig, uint32_t level)
{
    const struct oxbow_group_create_options create = {.make_stream = true};
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {1, 0}};
    const struct oxbow_bytes value = BYTES("v");
    struct oxbow_txn *txn;

    rig_init(rig, OXBOW_SYNC_INTERVAL);
    rig->config.level = level;
    rig_open(rig);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_group_create(txn, group_of("s", "g"), &create), OXBOW_OK);
    assert_int_equal(oxbow_stream_add(txn, BYTES("s"), &opt, &field, 1, NULL), OXBOW_OK);
    assert_int_equal(oxbow_list_push(txn, BYTES("l"), OXBOW_RIGHT, &value, 1, NULL), OXBOW_OK);
    rig_commit(txn);
}

/* All records but the header, which has a clock in it, as one number. */
static uint64_t content(struct rig *rig)
{
    struct oxbow_txn *txn = rig_begin(rig, OXBOW_TXN_READ);
    struct oxbow_bytes key, value;
    struct kv_cursor c;
    uint64_t sum = 0;
    enum oxbow_err err;

    assert_int_equal(kv_cursor_init(&c, txn), OXBOW_OK);
    for (err = kv_cursor_seek(&c, (struct oxbow_bytes){NULL, 0}, &key, &value); err == OXBOW_OK;
         err = kv_cursor_next(&c, &key, &value)) {
        const uint8_t *k = key.data;

        if (key.len != 2 || k[0] != KV_SPACE_STORE || k[1] != 'h') {
            sum = hash64(key.data, key.len, sum);
            sum = value.len > 0 ? hash64(value.data, value.len, sum) : sum;
        }
    }
    assert_int_equal(err, OXBOW_ENOENT);
    kv_cursor_fini(&c);
    rig_commit(txn);
    return sum;
}

static void used(struct rig *rig, uint64_t out[OXBOW_FEATURE_KINDS])
{
    struct oxbow_txn *txn = rig_begin(rig, OXBOW_TXN_READ);
    struct oxbow_format got;

    assert_int_equal(oxbow_format(txn, &got), OXBOW_OK);
    memcpy(out, got.used, sizeof got.used);
    rig_commit(txn);
}

static enum oxbow_err use_it(struct rig *rig, const struct use *use)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);
    enum oxbow_err err = use->first(txn);

    rig_commit(txn); /* a refusal leaves the transaction as it was */
    return err;
}

static void at_the_level_before_each_use_is_refused_and_leaves_nothing(void **state)
{
    uint64_t bits[OXBOW_FEATURE_KINDS];

    (void)state;
    for (size_t i = 0; i < USES; i++) {
        const struct oxbow_feature *row = row_of(&uses[i]);
        struct rig rig;
        uint64_t before;

        make(&rig, row->level - 1);
        before = content(&rig);
        assert_int_equal(use_it(&rig, &uses[i]), OXBOW_ELEVEL);
        assert_true(content(&rig) == before);
        used(&rig, bits);
        assert_true(bits[0] == 0 && bits[1] == 0 && bits[2] == 0);
        assert_int_equal(oxbow_upgrade(rig.db), OXBOW_OK); /* and after it is confirmed: */
        assert_int_equal(use_it(&rig, &uses[i]), OXBOW_OK);
        assert_true(content(&rig) != before);
        used(&rig, bits);
        assert_int_equal(bits[row->kind], (uint64_t)1 << row->bit);
        rig_fini(&rig);
    }
}

static void each_use_is_noted_with_the_first_one_and_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < USES; i++) {
        uint64_t bits[OXBOW_FEATURE_KINDS];
        struct oxbow_txn *txn;
        struct rig rig;

        make(&rig, 0);
        used(&rig, bits);
        assert_true(bits[0] == 0 && bits[1] == 0 && bits[2] == 0);
        txn = rig_begin(&rig, 0);
        assert_int_equal(uses[i].first(txn), OXBOW_OK);
        rig_abort(txn);
        used(&rig, bits); /* taken back with what needed it */
        assert_true(bits[0] == 0 && bits[1] == 0 && bits[2] == 0);
        assert_int_equal(use_it(&rig, &uses[i]), OXBOW_OK);
        rig_reopen(&rig);
        used(&rig, bits);
        for (unsigned kind = 0; kind < OXBOW_FEATURE_KINDS; kind++) {
            assert_true(bits[kind] == bits_of(&uses[i], (enum oxbow_feature_kind)kind));
        }
        rig_fini(&rig);
    }
}

/* Lets the store's note say a bit that this version does not know, of the same kind: it is then to
 * this version what it was to the one before. */
static void make_unknown(struct rig *rig, const struct oxbow_feature *row)
{
    const uint8_t key[] = {KV_SPACE_STORE, STORE_KEY_FEATURES};
    struct oxbow_txn *txn = rig_begin(rig, 0);
    struct oxbow_bytes value;
    uint8_t record[32];

    assert_int_equal(kv_get(txn, (struct oxbow_bytes){key, sizeof key}, &value), OXBOW_OK);
    assert_int_equal(value.len, sizeof record);
    memcpy(record, value.data, sizeof record);
    assert_int_equal(get_le64(record + 8 + 8 * row->kind), (uint64_t)1 << row->bit);
    put_le64(record + 8 + 8 * row->kind, (uint64_t)1 << 63);
    assert_int_equal(
        kv_put(txn, (struct oxbow_bytes){key, sizeof key}, (struct oxbow_bytes){record, 32}),
        OXBOW_OK);
    rig_commit(txn);
    rig_close(rig);
}

static void who_does_not_know_it_is_kept_out_as_its_kind_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < USES; i++) {
        const struct oxbow_feature *row = row_of(&uses[i]);
        struct rig rig;

        make(&rig, 0);
        assert_int_equal(use_it(&rig, &uses[i]), OXBOW_OK);
        make_unknown(&rig, row);
        rig.db = NULL;
        if (row->kind == OXBOW_FEATURE_HAS) {
            rig_open(&rig);
        } else {
            assert_int_equal(oxbow_open(&rig.config, &rig.db), OXBOW_EFORMAT);
            rig.config.flags = OXBOW_OPEN_READONLY;
            if (row->kind == OXBOW_FEATURE_NEEDS) {
                assert_int_equal(oxbow_open(&rig.config, &rig.db), OXBOW_EFORMAT);
            } else {
                rig_open(&rig);
            }
        }
        rig_fini(&rig);
    }
}

static void every_feature_is_tried_here(void **state)
{
    size_t count;
    const struct oxbow_feature *rows = oxbow_features(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        bool tried = false;

        for (size_t j = 0; j < USES; j++) {
            tried = tried || strcmp(uses[j].feature, rows[i].name) == 0;
        }
        if (!tried) {
            fail_msg("%s: give it a row of what needs it", rows[i].name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_the_level_before_each_use_is_refused_and_leaves_nothing),
        cmocka_unit_test(each_use_is_noted_with_the_first_one_and_alone),
        cmocka_unit_test(who_does_not_know_it_is_kept_out_as_its_kind_says),
        cmocka_unit_test(every_feature_is_tried_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
