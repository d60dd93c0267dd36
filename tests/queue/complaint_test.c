/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What users of other queues on devices complain of most, as far as it concerns limits: each test puts
 * the store into the situation and shows what happens here. docs/COMPLAINTS.md has the list.
 */
#include "tests/queue/fixture.h"

#include "engine/queue/policy.h"
#include "oxbow/group.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"

#include <stdlib.h>

#define KINDS 2u /* a list, a stream */

static const char *const keys[KINDS] = {"list", "stream"};

static struct oxbow_bytes key_of(unsigned kind)
{
    return bytes_of(keys[kind]);
}

static enum oxbow_err append(struct fixture *f, unsigned kind, struct oxbow_bytes key, size_t len)
{
    static char text[65536];
    const struct oxbow_bytes value = {text, len};
    const struct oxbow_field field = {bytes_of("v"), value};

    memset(text, 'x', len);
    return kind == 0 ? oxbow_list_push(f->txn, key, OXBOW_RIGHT, &value, 1, NULL)
                     : oxbow_stream_add(f->txn, key, NULL, &field, 1, NULL);
}

static void remove_one(struct fixture *f, unsigned kind)
{
    struct oxbow_stream_info info;
    uint64_t n;

    if (kind == 0) {
        assert_ok(oxbow_list_pop(f->txn, key_of(kind), OXBOW_LEFT, 1, &f->result));
        return;
    }
    assert_ok(oxbow_stream_info(f->txn, key_of(kind), &info));
    assert_ok(oxbow_stream_delete(f->txn, key_of(kind), &info.recorded_first_id, 1, &n));
    assert_int_equal(n, 1);
}

static struct oxbow_policy_info info(struct fixture *f, struct oxbow_bytes key)
{
    struct oxbow_policy_info i;

    assert_ok(oxbow_policy_info(f->txn, key, &i));
    return i;
}

static void set(struct fixture *f, struct oxbow_bytes key, struct oxbow_policy p)
{
    assert_ok(oxbow_policy_set(f->txn, key, &p));
}

static uint64_t used(const struct fixture *f)
{
    struct oxbow_stat stat;

    oxbow_stat(f->db, &stat);
    return stat.used_bytes;
}

static struct fixture *open_small(void **state)
{
    const struct oxbow_config config = {
        .sync = OXBOW_SYNC_INTERVAL, .quota_bytes = 2u << 20, .memtable_bytes = 256u << 10};
    struct fixture *f = malloc(sizeof *f);

    assert_non_null(f);
    fixture_init(f, &config);
    fixture_begin(f);
    *state = f;
    return f;
}

static int setup_small(void **state)
{
    open_small(state);
    return 0;
}

/* 5: "disk full: crash, exit or wedge instead of defined behaviour" */
static void complaint_5_a_full_store_refuses_and_a_bounded_queue_leaves_room(void **state)
{
    struct fixture *f = *state;
    enum oxbow_err err = OXBOW_OK;
    unsigned pushed = 0;

    set(f, bytes_of("bounded"),
        (struct oxbow_policy){.max_bytes = 100000, .on_full = OXBOW_POLICY_DROP_OLDEST});
    for (unsigned i = 0; i < 10000; i++) { /* twenty times what the store holds */
        assert_ok(append(f, 0, bytes_of("bounded"), 4000));
        if (i % 20 == 0) {
            fixture_commit(f);
            fixture_begin(f);
        }
    }
    while (err == OXBOW_OK && pushed < 5000) { /* one without a limit fills what is left */
        err = append(f, 0, key_of(0), 4000);
        pushed += err == OXBOW_OK;
        fixture_commit(f);
        fixture_begin(f);
    }
    assert_err(err, OXBOW_EQUOTA);
    fixture_commit(f);
    fixture_reopen(f); /* it opens when full */
    fixture_begin(f);
    for (; pushed > 0; pushed--) { /* and is emptied, and goes on */
        remove_one(f, 0);
        fixture_commit(f);
        fixture_begin(f);
    }
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    assert_ok(append(f, 0, key_of(0), 4000));
    assert_true(info(f, bytes_of("bounded")).bytes > 90000);
}

/* 6: "choose the overflow policy per queue, in bytes: reject, drop oldest, block" */
static void complaint_6_each_queue_has_its_own_overflow_in_bytes(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"refuse", "drop", "block"};

    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (unsigned full = 0; full < 3; full++) {
            struct oxbow_bytes key = bytes_of(names[full]);
            enum oxbow_err err = OXBOW_OK;

            assert_ok(oxbow_key_delete(f->txn, key, NULL));
            set(f, key,
                (struct oxbow_policy){.max_bytes = 5000, .on_full = (enum oxbow_policy_full)full});
            for (unsigned i = 0; i < 100 && err == OXBOW_OK; i++) {
                err = append(f, kind, key, 100);
                assert_true(info(f, key).bytes <= 5000);
            }
            assert_err(err, full == OXBOW_POLICY_DROP_OLDEST ? OXBOW_OK : OXBOW_EFULL);
            assert_true(info(f, key).bytes > 4800);
            assert_true(info(f, key).full || info(f, key).bytes + 110 > 5000);
        }
    }
}

/* 7: "the limit was reached once, and it never recovers" */
static void complaint_7_a_limit_reached_a_hundred_times_is_no_end(void **state)
{
    struct fixture *f = *state;

    for (unsigned kind = 0; kind < KINDS; kind++) {
        set(f, key_of(kind), (struct oxbow_policy){.max_entries = 10, .max_bytes = 3000});
        for (unsigned round = 0; round < 100; round++) {
            unsigned added = 0;

            while (append(f, kind, key_of(kind), 100) == OXBOW_OK) {
                added++;
            }
            assert_err(append(f, kind, key_of(kind), 100), OXBOW_EFULL);
            assert_int_equal(added, round == 0 ? 10 : 1 + (round - 1) % 3);
            for (unsigned i = 0; i < 1 + round % 3; i++) {
                remove_one(f, kind); /* one is enough for the next */
            }
            if (round % 10 == 9) {
                fixture_commit(f);
                fixture_reopen(f);
                fixture_begin(f);
            }
        }
    }
}

/* 9: "space is not given back after the queue was drained; one cannot tell what is pending" */
static void complaint_9_a_drained_queue_gives_its_space_back_and_says_so(void **state)
{
    struct fixture *f = *state;
    uint64_t before;

    set(f, key_of(0), (struct oxbow_policy){.max_entries = 100000});
    fixture_commit(f);
    fixture_reopen(f);
    before = used(f);
    fixture_begin(f);
    for (unsigned i = 0; i < 250; i++) {
        assert_ok(append(f, 0, key_of(0), 4000));
        fixture_commit(f);
        fixture_begin(f);
    }
    assert_int_equal(info(f, key_of(0)).entries, 250);
    assert_int_equal(info(f, key_of(0)).bytes, 1000000);
    fixture_commit(f);
    fixture_reopen(f);
    assert_true(used(f) > before + 900000);
    fixture_begin(f);
    for (unsigned i = 0; i < 250; i++) {
        remove_one(f, 0);
        fixture_commit(f);
        fixture_begin(f);
    }
    assert_int_equal(info(f, key_of(0)).entries, 0);
    assert_int_equal(info(f, key_of(0)).bytes, 0);
    fixture_commit(f);
    fixture_reopen(f);
    assert_true(used(f) < before + 100000);
    fixture_begin(f);
}

/* 24: "see it: the age of the oldest item, drops by cause" */
static void complaint_24_ages_and_drops_by_cause_are_there_to_be_seen(void **state)
{
    struct fixture *f = *state;
    struct oxbow_drops d;

    for (unsigned kind = 0; kind < KINDS; kind++) {
        set(f, key_of(kind),
            (struct oxbow_policy){
                .max_entries = 5, .max_bytes = 2000, .on_full = OXBOW_POLICY_DROP_OLDEST});
        assert_true(info(f, key_of(kind)).oldest_age_ms == UINT64_MAX); /* nothing is there */
        for (unsigned i = 0; i < 7; i++) {
            assert_ok(append(f, kind, key_of(kind), 10));
        }
        assert_ok(append(f, kind, key_of(kind), 1900));
        assert_in_range(info(f, key_of(kind)).oldest_age_ms, 0, 60000);
        assert_ok(oxbow_policy_drops(f->txn, key_of(kind), OXBOW_DROP_LENGTH, &d));
        assert_int_equal(d.entries, 3);
        assert_true(d.wall_ms > 0);
        assert_ok(oxbow_policy_drops(f->txn, key_of(kind), OXBOW_DROP_BYTES, &d));
        assert_int_equal(d.entries + info(f, key_of(kind)).entries, 5);
        assert_string_equal(oxbow_drop_cause_name(OXBOW_DROP_BYTES), "bytes");
        set(f, key_of(kind), (struct oxbow_policy){.max_entries = 1});
        assert_err(append(f, kind, key_of(kind), 10), OXBOW_EFULL);
        assert_int_equal(info(f, key_of(kind)).refused, 1);
    }
}

/* 25: "a change of configuration must not lose the backlog" */
static void complaint_25_a_changed_policy_keeps_the_backlog(void **state)
{
    struct fixture *f = *state;

    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (unsigned i = 0; i < 100; i++) {
            assert_ok(append(f, kind, key_of(kind), 10));
        }
        set(f, key_of(kind), (struct oxbow_policy){.max_entries = 10});
        assert_int_equal(info(f, key_of(kind)).entries, 100);
        assert_int_equal(info(f, key_of(kind)).over_entries, 90);
        assert_err(append(f, kind, key_of(kind), 10), OXBOW_EFULL);
        set(f, key_of(kind), (struct oxbow_policy){.max_entries = 101});
        fixture_commit(f);
        fixture_reopen(f);
        fixture_begin(f);
        assert_ok(append(f, kind, key_of(kind), 10));
        assert_ok(oxbow_policy_clear(f->txn, key_of(kind), NULL));
        assert_ok(append(f, kind, key_of(kind), 10));
        set(f, key_of(kind), (struct oxbow_policy){.max_age_ms = 1000000});
        assert_int_equal(info(f, key_of(kind)).entries, 102);
    }
}

#define T(name)     cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define SMALL(name) cmocka_unit_test_setup_teardown(name, setup_small, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SMALL(complaint_5_a_full_store_refuses_and_a_bounded_queue_leaves_room),
        T(complaint_6_each_queue_has_its_own_overflow_in_bytes),
        T(complaint_7_a_limit_reached_a_hundred_times_is_no_end),
        SMALL(complaint_9_a_drained_queue_gives_its_space_back_and_says_so),
        T(complaint_24_ages_and_drops_by_cause_are_there_to_be_seen),
        T(complaint_25_a_changed_policy_keeps_the_backlog),
    };

    return cmocka_run_group_tests_name("complaint", tests, NULL, NULL);
}
