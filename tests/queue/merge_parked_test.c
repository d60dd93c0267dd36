/* SPDX-License-Identifier: Apache-2.0 */
/* What a stand-in may have sent goes on where it was sent to. */
#include "oxbow/forward.h"
#include "oxbow/once.h"
#include "tests/queue/merge_fixture.h"

#include <time.h>

static bool has_forward(const char *begins)
{
    struct oxbow_result names = {0};
    struct oxbow_txn *txn = rig_txn(&rig);
    bool found = false;

    assert_int_equal(oxbow_forward_list(txn, &names), OXBOW_OK);
    oxbow_txn_abort(txn);
    for (size_t i = 0; i < names.item_count; i++) {
        found = found || (names.items[i].len >= strlen(begins) &&
                          memcmp(names.items[i].data, begins, strlen(begins)) == 0);
    }
    oxbow_result_fini(&names);
    return found;
}

/* Says of a forward what a session would. */
static void session_says(const char *name, struct oxbow_id confirmed, uint64_t fetched)
{
    const struct oxbow_forward_fetch want = {.after = confirmed, .count = fetched};
    struct oxbow_forward_batch batch;
    struct oxbow_result result = {0};
    struct oxbow_txn *txn = rig_txn(&rig);
    bool more = true;

    while (more) {
        assert_int_equal(oxbow_forward_confirmed(txn, name, confirmed, &more), OXBOW_OK);
    }
    if (fetched > 0) {
        assert_int_equal(oxbow_forward_fetch(txn, name, &want, &result, &batch), OXBOW_OK);
        assert_int_equal(batch.count, fetched);
    }
    rig_commit(&rig, txn);
    oxbow_result_fini(&result);
}

static void a_stream_that_was_sent_in_part_comes_in_three_parts(void **state)
{
    const struct oxbow_forward_options opt = {
        .key = bytes_of("q"), .type = OXBOW_TYPE_STREAM, .target = bytes_of("t{x}"), .hold_ms = 1};
    const struct timespec nap = {0, 20000000};
    struct oxbow_forward_status status;
    struct oxbow_forward f;
    char name[64];
    char key[64];
    char target[64];
    uint64_t stand_in;
    struct oxbow_result got;
    struct oxbow_txn *txn;
    uint64_t removed;
    bool more;

    (void)state;
    rig_make(&rig);
    begin_stand_in();
    stand_in = stat_of(&rig).store_id;
    snprintf(key, sizeof key, "q:meanwhile:%016llx", (unsigned long long)stand_in);
    snprintf(target, sizeof target, "t{x}:meanwhile:%016llx", (unsigned long long)stand_in);
    snprintf(name, sizeof name, "meanwhile-%016llx-1", (unsigned long long)stand_in);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_forward_create(txn, "f", &opt), OXBOW_OK);
    assert_int_equal(oxbow_forward_change(txn, "f", &opt), OXBOW_OK);
    assert_int_equal(oxbow_forward_get(txn, "f", &f), OXBOW_OK);
    assert_int_equal(f.options.target.len, strlen(target));
    assert_memory_equal(f.options.target.data, target, strlen(target));
    rig_commit(&rig, txn);
    add_numbers(&rig, "q", 0, 30);
    got = entries_of("q");
    session_says("f", got.entries[9].id, 5);
    come_back();
    assert_numbers(&rig, key, false, 10, 5);
    assert_numbers(&rig, "q", false, 15, 15);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_forward_get(txn, name, &f), OXBOW_OK);
    assert_int_equal(f.options.target.len, strlen(target));
    assert_memory_equal(f.options.target.data, target, strlen(target));
    assert_int_equal(oxbow_forward_status(txn, name, &status), OXBOW_OK);
    assert_int_equal(status.backlog_entries, 5);
    assert_int_equal(status.confirmed.ms, got.entries[9].id.ms);
    assert_int_equal(status.confirmed.seq, got.entries[9].id.seq);
    oxbow_txn_abort(txn);
    rig_close(&rig);
    rig_open_store(&rig);
    assert_true(has_forward("meanwhile-")); /* until all of it is there */
    session_says(name, got.entries[14].id, 0);
    nanosleep(&nap, NULL);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_forward_trim(txn, name, &removed, &more), OXBOW_OK);
    rig_commit(&rig, txn);
    rig_close(&rig);
    rig_open_store(&rig);
    assert_false(has_forward("meanwhile-"));
    assert_numbers(&rig, key, false, 0, 0);
    assert_numbers(&rig, "q", false, 15, 15);
    oxbow_result_fini(&got);
    rig_free(&rig);
}

static void an_entry_says_when_it_was_added_where_the_forward_tells_that(void **state)
{
    struct oxbow_forward_options opt = {.key = bytes_of("q"),
                                        .type = OXBOW_TYPE_STREAM,
                                        .target = bytes_of("t{x}"),
                                        .true_time = true};
    struct oxbow_result before;
    struct oxbow_result after;
    char text[32];
    struct oxbow_txn *txn;

    (void)state;
    for (int timed = 0; timed < 2; timed++) {
        rig_make(&rig);
        rig_open_store(&rig);
        opt.true_time = timed;
        txn = rig_txn(&rig);
        assert_int_equal(oxbow_forward_create(txn, "f", &opt), OXBOW_OK);
        rig_commit(&rig, txn);
        rig_close(&rig);
        begin_stand_in();
        add_numbers(&rig, "q", 0, 3);
        before = entries_of("q");
        come_back();
        assert_numbers(&rig, "q", false, 0, 3);
        after = entries_of("q");
        for (size_t i = 0; i < 3; i++) {
            const struct oxbow_field *last =
                &after.entries[i].fields[after.entries[i].field_count - 1];

            assert_int_equal(after.entries[i].field_count, 1 + timed);
            if (timed) {
                uint64_t ms = before.entries[i].id.ms;

                assert_memory_equal(last->name.data, OXBOW_FORWARD_TIME, last->name.len);
                assert_in_range(last->value.len, 13, sizeof text - 1);
                memset(text, 0, sizeof text);
                memcpy(text, last->value.data, last->value.len);
                assert_in_range(strtoull(text, NULL, 10), ms - 2000, ms + 2000);
            }
        }
        oxbow_result_fini(&before);
        oxbow_result_fini(&after);
        rig_free(&rig);
    }
}

static void a_target_that_is_too_long_for_a_stand_in_is_refused(void **state)
{
    char target[OXBOW_FORWARD_KEY_MAX];
    struct oxbow_forward_options opt = {.key = bytes_of("q"), .type = OXBOW_TYPE_STREAM};
    struct oxbow_txn *txn;

    (void)state;
    memset(target, 'x', sizeof target);
    rig_make(&rig);
    begin_stand_in();
    txn = rig_txn(&rig);
    opt.target = (struct oxbow_bytes){target, sizeof target - 26};
    assert_int_equal(oxbow_forward_create(txn, "f", &opt), OXBOW_EINVAL);
    opt.target.len = sizeof target - 27;
    assert_int_equal(oxbow_forward_create(txn, "f", &opt), OXBOW_OK);
    oxbow_txn_abort(txn);
    rig_free(&rig);
}

/* Whether it was there already. */
static bool add_named(int n)
{
    char text[16];
    const struct oxbow_bytes value = {text, (size_t)snprintf(text, sizeof text, "%d", n)};
    const struct oxbow_field field = {bytes_of("n"), value};
    const struct oxbow_once once = {.id = value};
    struct oxbow_once_outcome outcome;
    struct oxbow_txn *txn = rig_txn(&rig);

    assert_int_equal(oxbow_once_add(txn, bytes_of("q"), &once, &field, 1, &outcome), OXBOW_OK);
    rig_commit(&rig, txn);
    return outcome.duplicate;
}

static void what_was_sent_is_known_by_its_name_though_something_is_left(void **state)
{
    const struct oxbow_forward_options opt = {
        .key = bytes_of("q"), .type = OXBOW_TYPE_STREAM, .target = bytes_of("t{x}")};
    const struct oxbow_policy refuse = {.max_entries = 5, .on_full = OXBOW_POLICY_REFUSE};
    const struct oxbow_policy roomy = {.max_entries = 100, .on_full = OXBOW_POLICY_REFUSE};
    const int want[] = {15, 16, 17, 18, 19, 25, 20, 21, 22, 23, 24, 26, 27, 28, 29};
    struct oxbow_result got;
    struct oxbow_txn *txn;
    char key[64];
    int came[32];

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    set_policy("q", &refuse);
    rig_close(&rig);
    begin_stand_in();
    snprintf(key, sizeof key, "q:meanwhile:%016llx", (unsigned long long)stat_of(&rig).store_id);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_forward_create(txn, "f", &opt), OXBOW_OK);
    rig_commit(&rig, txn);
    for (int n = 0; n < 30; n++) {
        assert_false(add_named(n));
    }
    got = entries_of("q");
    session_says("f", got.entries[9].id, 5);
    oxbow_result_fini(&got);
    rig_close(&rig);
    device_back(&rig);
    rig_open(&rig);
    assert_int_equal(recovery_of().merge_left, OXBOW_EFULL);
    assert_numbers(&rig, key, false, 10, 5);
    assert_numbers(&rig, "q", false, 15, 5);
    set_policy("q", &roomy);
    for (int n = 0; n < 20; n++) {
        assert_true(add_named(n)); /* confirmed, perhaps sent, or in the store */
    }
    assert_false(add_named(25)); /* in the stand-in alone */
    rig_close(&rig);
    rig_open_store(&rig);
    assert_int_equal(numbers_in(&rig, "q", false, came, 32), 15);
    assert_memory_equal(came, want, sizeof want);
    for (int n = 0; n < 30; n++) {
        assert_true(add_named(n));
    }
    rig_free(&rig);
}

/* A database that was on the device then, and is to be kept in memory now. */
static void what_is_now_a_cache_stays_in_the_stand_in(void **state)
{
    const struct oxbow_bytes value = {"nine", 4};
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;

    (void)state;
    rig_make(&rig);
    begin_stand_in();
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_txn_select(txn, 9), OXBOW_OK);
    assert_int_equal(oxbow_list_push(txn, bytes_of("l"), OXBOW_RIGHT, &value, 1, NULL), OXBOW_OK);
    rig_commit(&rig, txn);
    rig_close(&rig);
    device_back(&rig);
    rig.config.cache_databases = 1u << 9;
    rig_open(&rig);
    assert_int_equal(recovery_of().merge_left, OXBOW_EEXIST);
    assert_int_equal(recovery_of().merged, 0);
    rig_close(&rig);
    rig.config.cache_databases = 0;
    rig_open_store(&rig);
    assert_int_equal(recovery_of().merged, 1);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_txn_select(txn, 9), OXBOW_OK);
    assert_int_equal(oxbow_list_range(txn, bytes_of("l"), 0, -1, &result), OXBOW_OK);
    assert_int_equal(result.item_count, 1);
    oxbow_txn_abort(txn);
    oxbow_result_fini(&result);
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_that_was_sent_in_part_comes_in_three_parts),
        cmocka_unit_test(an_entry_says_when_it_was_added_where_the_forward_tells_that),
        cmocka_unit_test(a_target_that_is_too_long_for_a_stand_in_is_refused),
        cmocka_unit_test(what_was_sent_is_known_by_its_name_though_something_is_left),
        cmocka_unit_test(what_is_now_a_cache_stays_in_the_stand_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
