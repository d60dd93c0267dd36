/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever call fails while a stand-in is merged, everything that it held is in the store once, in order. */
#include "oxbow/delay.h"
#include "oxbow/once.h"
#include "oxbow/string.h"
#include "tests/queue/stand_in_fixture.h"

#define STREAM 300 /* two batches */
#define LIST   260

static struct stand_rig rig;

/* What a producer adds, and adds again where it had no answer. */
static void once(struct stand_rig *r, bool meanwhile)
{
    struct oxbow_txn *txn = rig_txn(r);

    for (int i = meanwhile ? 5 : 0; i < (meanwhile ? 40 : 10); i++) {
        char text[16];
        struct oxbow_field field = {bytes_of("n"), {text, 0}};
        struct oxbow_once name;
        struct oxbow_once_outcome outcome;

        field.value.len = (size_t)snprintf(text, sizeof text, "%d", i);
        name = (struct oxbow_once){.producer = bytes_of("a"), .sequence = (uint64_t)i + 1};
        assert_int_equal(oxbow_once_add(txn, bytes_of("p"), &name, &field, 1, &outcome), OXBOW_OK);
        assert_false(outcome.duplicate);
        name = (struct oxbow_once){.id = field.value};
        assert_int_equal(
            oxbow_once_push(txn, bytes_of("n"), OXBOW_RIGHT, &name, field.value, &outcome),
            OXBOW_OK);
        assert_false(outcome.duplicate);
        assert_int_equal(oxbow_once_add(txn, bytes_of("o"), &name, &field, 1, &outcome), OXBOW_OK);
        assert_false(outcome.duplicate);
    }
    rig_commit(r, txn);
}

static void fill_stand_in(void)
{
    const struct oxbow_delay_when later = {OXBOW_DELAY_FOR, 3600000};
    struct oxbow_txn *txn;

    rig_open_stand_in(&rig);
    add_numbers(&rig, "q", 10, STREAM);
    once(&rig, true);
    push_numbers(&rig, "l", 10, LIST);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_string_set(txn, bytes_of("s"), bytes_of("state")), OXBOW_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            oxbow_delay_push(txn, bytes_of("l"), OXBOW_LEFT, &later, bytes_of("x"), NULL),
            OXBOW_OK);
    }
    rig_commit(&rig, txn);
    rig_close(&rig);
}

static void prepare(void)
{
    rig_make(&rig);
    rig_open_store(&rig);
    add_numbers(&rig, "q", 0, 10);
    push_numbers(&rig, "l", 0, 10);
    once(&rig, false);
    rig_close(&rig);
    device_gone(&rig);
    fill_stand_in();
    device_back(&rig);
}

static void assert_all_there_once(void)
{
    struct oxbow_delay_stat stat;
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;

    assert_numbers(&rig, "q", false, 0, 10 + STREAM);
    assert_numbers(&rig, "l", true, 0, 10 + LIST);
    assert_numbers(&rig, "o", false, 0, 40);
    assert_numbers(&rig, "p", false, 0, 40);
    assert_numbers(&rig, "n", true, 0, 40);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_delay_stat(txn, &stat), OXBOW_OK);
    assert_int_equal(stat.waiting, 3);
    assert_int_equal(oxbow_string_get(txn, bytes_of("s"), &result), OXBOW_OK);
    oxbow_txn_abort(txn);
    oxbow_result_fini(&result);
}

/* Opens while the call fails, whatever comes of that; then without a fault, until nothing is left. */
static void come_back(void)
{
    enum oxbow_err err = oxbow_open(&rig.config, &rig.db);

    if (err == OXBOW_OK) {
        err = oxbow_close(rig.db);
    }
    rig.db = NULL;
    fault_disarm(&rig.f);
    rig_open_store(&rig);
}

static void no_file_call_that_fails_loses_or_doubles_anything(void **state)
{
    static const enum oxbow_err errors[] = {OXBOW_EIO, OXBOW_ENOSPC};
    uint64_t points = 0;
    bool met = true;

    (void)state;
    for (uint64_t n = 1; met; n++) {
        prepare();
        fault_arm_files(&rig.f, FAULT_ALL, n, 1, errors[n % 2]);
        come_back();
        met = rig.f.file_failed > 0;
        points += met;
        assert_all_there_once();
        rig_free(&rig);
    }
    print_message("%d calls failed\n", (int)points);
    assert_true(points > 60);
}

static void no_device_that_stays_broken_loses_or_doubles_anything(void **state)
{
    uint64_t points = 0;
    bool met = true;

    (void)state;
    for (uint64_t n = 1; met; n += 3) {
        prepare();
        fault_arm_files(&rig.f, FAULT_WRITING, n, UINT64_MAX, OXBOW_EIO);
        come_back();
        met = rig.f.file_failed > 0;
        points += met;
        assert_all_there_once();
        rig_free(&rig);
    }
    print_message("%d times\n", (int)points);
    assert_true(points > 10);
}

static void no_lack_of_memory_loses_or_doubles_anything(void **state)
{
    uint64_t points = 0;
    bool met = true;

    (void)state;
    for (uint64_t n = 1; met; n += 1 + n / 40) {
        prepare();
        fault_arm_alloc(&rig.f, n, 1);
        come_back();
        met = rig.f.alloc_failed > 0;
        points += met;
        assert_all_there_once();
        rig_free(&rig);
    }
    print_message("%d allocations failed\n", (int)points);
    assert_true(points > 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_file_call_that_fails_loses_or_doubles_anything),
        cmocka_unit_test(no_device_that_stays_broken_loses_or_doubles_anything),
        cmocka_unit_test(no_lack_of_memory_loses_or_doubles_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
