/* SPDX-License-Identifier: Apache-2.0 */
/* Times to live of single entries: hidden at once, gone soon, told as drops, whatever the clocks do. */
#include "engine/queue/expire.h"

#include "engine/base/id.h"
#include "engine/store/catalog.h"
#include "oxbow/forward.h"
#include "oxbow/policy.h"
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

#define HOUR 3600000u

static struct oxbow_id add(struct streams *f, const char *key, uint64_t ttl_ms)
{
    const struct oxbow_field field = {text_bytes("f"), text_bytes("v")};
    const struct oxbow_stream_add_options opt = {.ttl_ms = ttl_ms};
    struct oxbow_id id;

    assert_ok(oxbow_stream_add(f->txn, text_bytes(key), &opt, &field, 1, &id));
    return id;
}

static void pass(struct streams *f, uint64_t ms)
{
    streams_commit(f);
    rig_pass_ms(&f->rig, ms);
    streams_begin(f);
}

static void sweep(struct streams *f)
{
    bool more = true;

    while (more) {
        more = false;
        assert_ok(expire_step(f->txn, &more));
    }
}

static size_t count_of(struct streams *f, const char *key)
{
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};

    assert_ok(oxbow_stream_range(f->txn, text_bytes(key), &all, &f->result));
    return f->result.entry_count;
}

static uint64_t len_of(struct streams *f, const char *key)
{
    uint64_t len;

    assert_ok(oxbow_stream_len(f->txn, text_bytes(key), &len));
    return len;
}

static void an_expired_entry_is_given_by_no_read_and_goes(void **state)
{
    struct streams *f = *state;
    struct oxbow_id ids[3] = {add(f, "s", 100), add(f, "s", 0), add(f, "s", 200)};
    uint64_t left;

    assert_int_equal(count_of(f, "s"), 3);
    assert_ok(oxbow_stream_ttl(f->txn, text_bytes("s"), ids[0], &left));
    assert_int_equal(left, 100);
    assert_ok(oxbow_stream_ttl(f->txn, text_bytes("s"), ids[1], &left));
    assert_true(left == UINT64_MAX);
    pass(f, 99);
    assert_int_equal(count_of(f, "s"), 3);
    pass(f, 1);
    assert_int_equal(count_of(f, "s"), 2);
    assert_err(oxbow_stream_ttl(f->txn, text_bytes("s"), ids[0], &left), OXBOW_ENOENT);
    sweep(f);
    assert_int_equal(len_of(f, "s"), 2);
    pass(f, 1000);
    sweep(f);
    assert_int_equal(len_of(f, "s"), 1);
    assert_int_equal(count_of(f, "s"), 1);
    assert_int_equal(id_compare(f->result.entries[0].id, ids[1]), 0);
}

static void a_reading_transaction_does_not_see_it_either(void **state)
{
    struct streams *f = *state;

    (void)add(f, "s", 100);
    (void)add(f, "s", 0);
    streams_commit(f);
    rig_pass_ms(&f->rig, 100);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_int_equal(count_of(f, "s"), 1);
}

static void the_wall_clock_and_reboots_do_not_matter(void **state)
{
    struct streams *f = *state;

    (void)add(f, "s", HOUR);
    f->rig.wall_ms += 56ull * 366 * 24 * HOUR;
    pass(f, 0);
    assert_int_equal(count_of(f, "s"), 1);
    f->rig.wall_ms = 1000;
    pass(f, HOUR / 2);
    streams_reopen(f);
    assert_int_equal(count_of(f, "s"), 1);
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.mono_us = HOUR / 2 * 1000ull - 1000; /* off for nobody knows how long */
    rig_open(&f->rig);
    streams_begin(f);
    assert_int_equal(count_of(f, "s"), 1);
    pass(f, 1);
    assert_int_equal(count_of(f, "s"), 0);
}

static void it_is_counted_as_dropped_by_age(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id = add(f, "s", 10);
    struct oxbow_drop_gap gaps[OXBOW_DROP_GAPS_MAX];
    struct oxbow_drops drops;
    size_t count;

    (void)add(f, "s", 0);
    pass(f, 10);
    sweep(f);
    assert_ok(oxbow_policy_drops(f->txn, text_bytes("s"), OXBOW_DROP_AGE, &drops));
    assert_int_equal(drops.entries, 1);
    assert_int_equal(id_compare(drops.from, id), 0);
    assert_ok(oxbow_policy_gaps(f->txn, text_bytes("s"), OXBOW_ID_MIN, gaps, OXBOW_DROP_GAPS_MAX,
                                &count));
    assert_int_equal(count, 1);
}

static void a_group_treats_it_as_deleted(void **state)
{
    struct streams *f = *state;
    const struct oxbow_group group = group_of("s", "g");
    const struct oxbow_group_create_options from_start = {.id = {0, 0}};
    const struct oxbow_group_read_options opt = {.count = 10};

    (void)add(f, "s", 10);
    (void)add(f, "s", 20);
    (void)add(f, "s", 0);
    assert_ok(oxbow_group_create(f->txn, group, &from_start));
    pass(f, 10);
    assert_ok(oxbow_group_read(f->txn, group, text_bytes("c"), &opt, &f->result));
    assert_int_equal(f->result.entry_count, 2);
    pass(f, 10);
    sweep(f);
    assert_int_equal(len_of(f, "s"), 1);
    assert_ok(oxbow_group_read(f->txn, group, text_bytes("c"), &opt, &f->result));
    assert_int_equal(f->result.entry_count, 0);
}

static void a_forward_does_not_keep_it_and_tells_of_the_gap(void **state)
{
    struct streams *f = *state;
    const struct oxbow_forward_options options = {
        .key = BYTES("s"), .type = OXBOW_TYPE_STREAM, .target = BYTES("target")};
    struct oxbow_forward_status stat;

    assert_ok(oxbow_forward_create(f->txn, "f", &options));
    (void)add(f, "s", 10);
    (void)add(f, "s", 0);
    pass(f, 10);
    sweep(f);
    assert_int_equal(len_of(f, "s"), 1);
    assert_ok(oxbow_forward_status(f->txn, "f", &stat));
    assert_int_equal(stat.backlog_entries, 1);
    assert_int_equal(stat.gaps, 1);
}

static void it_can_be_given_later_and_taken_away(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id = add(f, "s", 100);

    assert_ok(oxbow_stream_expire(f->txn, text_bytes("s"), id, 500));
    pass(f, 499);
    assert_int_equal(count_of(f, "s"), 1);
    assert_ok(oxbow_stream_expire(f->txn, text_bytes("s"), id, 0));
    pass(f, 10000);
    sweep(f);
    assert_int_equal(len_of(f, "s"), 1);
    assert_ok(oxbow_stream_expire(f->txn, text_bytes("s"), id, 1));
    pass(f, 1);
    sweep(f);
    assert_int_equal(len_of(f, "s"), 0);
}

static void what_went_otherwise_leaves_nothing_behind(void **state)
{
    struct streams *f = *state;
    struct oxbow_stat before;
    struct oxbow_stat after;
    struct oxbow_id id;
    bool existed;

    streams_reopen(f);
    oxbow_stat(f->rig.db, &before);
    id = add(f, "s", 100);
    assert_ok(oxbow_stream_delete(f->txn, text_bytes("s"), &id, 1, NULL));
    (void)add(f, "t", 100);
    assert_ok(oxbow_key_delete(f->txn, text_bytes("t"), &existed));
    (void)add(f, "t", 0); /* another stream of that name */
    pass(f, 100);
    sweep(f);
    assert_int_equal(count_of(f, "t"), 1);
    assert_ok(oxbow_key_delete(f->txn, text_bytes("t"), &existed));
    assert_ok(oxbow_key_delete(f->txn, text_bytes("s"), &existed));
    for (int i = 0; i < 50; i++) {
        streams_reopen(f);
    }
    oxbow_stat(f->rig.db, &after);
    assert_in_range(after.keys, before.keys, before.keys + 5);
}

/* How many places in the order of time there are, in the store. */
static size_t spots(struct streams *f)
{
    const uint8_t from[] = {KV_SPACE_EXPIRE, 'e'};
    struct oxbow_bytes key, value;
    struct kv_cursor c;
    size_t count = 0;
    enum oxbow_err err;

    assert_ok(kv_cursor_init(&c, f->txn));
    for (err = kv_cursor_seek_in(&c, (struct oxbow_bytes){from, 2}, 2, &key, &value);
         err == OXBOW_OK; err = kv_cursor_next(&c, &key, &value)) {
        count++;
    }
    assert_err(err, OXBOW_ENOENT);
    kv_cursor_fini(&c);
    return count;
}

/* A ring of entries that live for an hour must not fill the store with the deadlines of an hour. */
static void what_goes_early_takes_its_deadline_along(void **state)
{
    struct streams *f = *state;
    const struct oxbow_stream_trim ring = {.by = OXBOW_TRIM_MAXLEN, .maxlen = 100};
    const struct oxbow_stream_trim approx = {.by = OXBOW_TRIM_MAXLEN, .maxlen = 50, .approx = true};
    struct oxbow_id ids[200];
    uint64_t left, removed;
    size_t with;

    for (unsigned i = 0; i < 3000; i++) {
        ids[i % 200] = add(f, "ring", i % 3 == 0 ? 0 : HOUR);
        (void)add(f, "beside", i % 100 == 0 ? HOUR : 0);
        if (i % 20 == 19) {
            assert_ok(oxbow_stream_trim(f->txn, text_bytes("ring"), &ring, &removed));
        }
        if (i % 500 == 499) {
            streams_reopen(f);
        }
    }
    with = spots(f);
    assert_in_range(with, 66 + 30, 67 + 30); /* two of three in the ring, and those beside */
    for (unsigned i = 0; i < 200; i += 5) {
        assert_ok(oxbow_stream_delete(f->txn, text_bytes("ring"), &ids[i], 1, &removed));
    }
    assert_ok(oxbow_stream_trim(f->txn, text_bytes("ring"), &approx, &removed));
    with = 30;
    for (unsigned i = 0; i < 200; i++) {
        if (oxbow_stream_ttl(f->txn, text_bytes("ring"), ids[i], &left) == OXBOW_OK) {
            with += left != UINT64_MAX;
        }
    }
    assert_true(with > 30 && with < 30 + 67);
    assert_int_equal(spots(f), with);
    assert_int_equal(len_of(f, "beside"), 3000);
}

/* More of them than a step of reaping takes; its neighbours' stay. */
static void a_deleted_stream_takes_its_deadlines_along(void **state)
{
    struct streams *f = *state;
    bool existed;
    bool more = true;

    (void)add(f, "a", HOUR);
    for (unsigned i = 0; i < 1500; i++) {
        (void)add(f, "s", HOUR);
    }
    (void)add(f, "z", HOUR);
    assert_int_equal(spots(f), 1502);
    assert_ok(oxbow_key_delete(f->txn, text_bytes("s"), &existed));
    while (more) {
        assert_ok(catalog_reap(f->txn, &more));
    }
    assert_int_equal(spots(f), 2);
    pass(f, HOUR);
    sweep(f);
    assert_int_equal(len_of(f, "a") + len_of(f, "z"), 0);
    assert_int_equal(spots(f), 0);
}

static void a_renamed_stream_loses_them_all_the_same(void **state)
{
    struct streams *f = *state;

    (void)add(f, "s", 100);
    (void)add(f, "s", 0);
    assert_ok(oxbow_key_rename(f->txn, text_bytes("s"), text_bytes("t"), false));
    pass(f, 100);
    assert_int_equal(count_of(f, "t"), 1);
    sweep(f);
    assert_int_equal(len_of(f, "t"), 1);
}

static void an_abort_takes_back_what_was_given_and_what_went(void **state)
{
    struct streams *f = *state;

    (void)add(f, "s", 100);
    streams_commit(f);
    streams_begin(f);
    (void)add(f, "s", 50);
    streams_abort(f);
    rig_pass_ms(&f->rig, 100);
    streams_begin(f);
    sweep(f);
    assert_int_equal(len_of(f, "s"), 0);
    streams_abort(f);
    streams_begin(f);
    assert_int_equal(count_of(f, "s"), 0); /* back, and hidden */
    sweep(f);
    assert_int_equal(len_of(f, "s"), 0);
}

static void bad_input_is_refused(void **state)
{
    struct streams *f = *state;
    const struct oxbow_field field = {text_bytes("f"), text_bytes("v")};
    struct oxbow_stream_add_options opt = {.ttl_ms = OXBOW_TTL_MS_MAX + 1};
    static char name[OXBOW_TTL_NAME_MAX + 1];
    const struct oxbow_bytes longest = {name, sizeof name};
    struct oxbow_id id = add(f, "s", 0);
    uint64_t left;

    assert_err(oxbow_stream_add(f->txn, text_bytes("s"), &opt, &field, 1, NULL), OXBOW_EINVAL);
    opt.ttl_ms = 1;
    assert_err(oxbow_stream_add(f->txn, longest, &opt, &field, 1, NULL), OXBOW_ETOOBIG);
    assert_err(oxbow_stream_expire(f->txn, text_bytes("s"), id, OXBOW_TTL_MS_MAX + 1),
               OXBOW_EINVAL);
    assert_err(oxbow_stream_expire(f->txn, text_bytes("s"), ID(1, 1), 1), OXBOW_ENOENT);
    assert_err(oxbow_stream_expire(f->txn, text_bytes("t"), id, 1), OXBOW_ENOENT);
    assert_err(oxbow_stream_ttl(f->txn, text_bytes("s"), id, NULL), OXBOW_EINVAL);
    assert_err(oxbow_stream_ttl(f->txn, text_bytes("t"), id, &left), OXBOW_ENOENT);
    assert_int_equal(len_of(f, "s"), 1);
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_stream_expire(f->txn, text_bytes("s"), id, 1), OXBOW_EREADONLY);
}

/* A random life against a model: what is read is what has not expired, at every moment. */
static void it_does_what_a_model_does(void **state)
{
    enum { MAX = 500 };
    struct streams *f = *state;
    uint64_t seed = rig_seed("expire_test");
    static struct {
        struct oxbow_id id;
        uint64_t deadline;
        bool gone;
    } model[MAX];
    size_t count = 0;

    memset(model, 0, sizeof model);
    while (count < MAX) {
        uint64_t dice = rig_random(&seed) % 10;
        size_t n = count > 0 ? (size_t)(rig_random(&seed) % count) : 0;
        uint64_t now = txn_clock_ms(f->txn);
        uint64_t ttl = rig_random(&seed) % 3 == 0 ? 0 : 1 + rig_random(&seed) % 20000;
        size_t live = 0;

        if (dice < 5) {
            model[count].id = add(f, "s", ttl);
            model[count++].deadline = ttl > 0 ? now + ttl : UINT64_MAX;
        } else if (dice < 6 && count > 0) {
            bool there = !model[n].gone && model[n].deadline > now;

            assert_err(oxbow_stream_expire(f->txn, text_bytes("s"), model[n].id, ttl),
                       there ? OXBOW_OK : OXBOW_ENOENT);
            model[n].deadline = !there ? model[n].deadline : ttl > 0 ? now + ttl : UINT64_MAX;
        } else if (dice < 7 && count > 0) {
            uint64_t removed;

            assert_ok(oxbow_stream_delete(f->txn, text_bytes("s"), &model[n].id, 1, &removed));
            assert_int_equal(removed, !model[n].gone && model[n].deadline > now);
            model[n].gone = true;
        } else if (dice < 8) {
            sweep(f);
        } else {
            pass(f, rig_random(&seed) % 3000);
            if (rig_random(&seed) % 20 == 0) {
                streams_reopen(f);
            }
        }
        now = txn_clock_ms(f->txn);
        (void)count_of(f, "s");
        for (size_t i = 0; i < count; i++) {
            if (!model[i].gone && model[i].deadline > now) {
                assert_true(live < f->result.entry_count);
                assert_int_equal(id_compare(f->result.entries[live].id, model[i].id), 0);
                live++;
            }
        }
        assert_int_equal(live, f->result.entry_count);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_expired_entry_is_given_by_no_read_and_goes),
        TEST(a_reading_transaction_does_not_see_it_either),
        TEST(the_wall_clock_and_reboots_do_not_matter),
        TEST(it_is_counted_as_dropped_by_age),
        TEST(a_group_treats_it_as_deleted),
        TEST(a_forward_does_not_keep_it_and_tells_of_the_gap),
        TEST(it_can_be_given_later_and_taken_away),
        TEST(what_went_otherwise_leaves_nothing_behind),
        TEST(what_goes_early_takes_its_deadline_along),
        TEST(a_deleted_stream_takes_its_deadlines_along),
        TEST(a_renamed_stream_loses_them_all_the_same),
        TEST(an_abort_takes_back_what_was_given_and_what_went),
        TEST(bad_input_is_refused),
        TEST(it_does_what_a_model_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
