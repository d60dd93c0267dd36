/* SPDX-License-Identifier: Apache-2.0 */
/* What an open does with a place for stand-ins, in use and not. */
#include "tests/queue/stand_in_fixture.h"

static struct stand_rig rig;

static uint64_t merged(void)
{
    struct oxbow_recovery recovery;

    oxbow_recovery(rig.db, &recovery);
    return recovery.merged;
}

static void a_store_that_can_be_opened_uses_no_place(void **state)
{
    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    add_numbers(&rig, "q", 0, 5);
    rig_close(&rig);
    rig_open_store(&rig);
    assert_numbers(&rig, "q", false, 0, 5);
    assert_int_equal(merged(), 0);
    assert_int_equal(access(rig.memory, F_OK), -1);
    rig_free(&rig);
}

static void without_the_flag_a_missing_store_is_made_and_needs_no_stand_in(void **state)
{
    (void)state;
    rig_make(&rig);
    device_gone(&rig);
    rig.config.flags = 0;
    rig_open_store(&rig);
    rig_close(&rig);
    rig_free(&rig);
}

static void what_came_meanwhile_is_there_once_and_after_what_was_there(void **state)
{
    char path[96];

    (void)state;
    rig_make(&rig);
    rig_open_store(&rig);
    add_numbers(&rig, "q", 0, 5);
    push_numbers(&rig, "l", 0, 5);
    rig_close(&rig);
    for (int round = 1; round < 4; round++) {
        device_gone(&rig);
        rig_open_stand_in(&rig);
        add_numbers(&rig, "q", 5 * round, 5);
        push_numbers(&rig, "l", 5 * round, 5);
        rig_close(&rig);
        device_back(&rig);
        rig_open_store(&rig);
        assert_int_equal(merged(), 10);
        assert_numbers(&rig, "q", false, 0, 5 * (round + 1));
        assert_numbers(&rig, "l", true, 0, 5 * (round + 1));
        rig_close(&rig);
        rig_open_store(&rig);
        assert_int_equal(merged(), 0);
        assert_numbers(&rig, "q", false, 0, 5 * (round + 1));
        rig_close(&rig);
        snprintf(path, sizeof path, "%s/1/FORMAT", rig.memory);
        assert_int_equal(access(path, F_OK), -1);
    }
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_that_can_be_opened_uses_no_place),
        cmocka_unit_test(without_the_flag_a_missing_store_is_made_and_needs_no_stand_in),
        cmocka_unit_test(what_came_meanwhile_is_there_once_and_after_what_was_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
