/* SPDX-License-Identifier: Apache-2.0 */
/* A store that cannot be opened has a stand-in, which says what it is and sees when the device is back. */
#include "engine/store/stand_in.h"
#include "tests/queue/stand_in_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

static struct stand_rig rig;

static void a_store_that_is_gone_has_a_stand_in_that_says_so(void **state)
{
    struct oxbow_stat stat;

    (void)state;
    rig_make(&rig);
    device_gone(&rig);
    rig_open(&rig);
    stat = stat_of(&rig);
    assert_true(stat.in_memory);
    assert_true(stat.stand_in);
    assert_false(stat.device_back);
    assert_int_equal(stat.memory_why, OXBOW_ENOENT);
    assert_int_equal(stat.quota_bytes, rig.config.memory_max);
    assert_true(rig.f.log_errors > 0);
    add_numbers(&rig, "q", 0, 3); /* OXBOW_EVOLATILE */
    assert_int_equal(oxbow_flush(rig.db), OXBOW_EVOLATILE);
    assert_int_equal(stat_of(&rig).memory_held, 1);
    assert_numbers(&rig, "q", false, 0, 3);
    rig_free(&rig);
}

static void a_commit_that_waits_for_nothing_is_ok_in_a_stand_in(void **state)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_NOWAIT};
    const struct oxbow_bytes value = {"x", 1};
    struct oxbow_txn *txn;
    uint64_t lsn = 0;

    (void)state;
    rig_make(&rig);
    device_gone(&rig);
    rig_open_stand_in(&rig);
    assert_int_equal(oxbow_txn_begin(rig.db, &opt, &txn), OXBOW_OK);
    assert_int_equal(oxbow_list_push(txn, bytes_of("l"), OXBOW_RIGHT, &value, 1, NULL), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, &lsn), OXBOW_OK);
    assert_int_equal(oxbow_wait(rig.db, lsn, 1000), OXBOW_EVOLATILE);
    rig_free(&rig);
}

static void whatever_is_wrong_with_the_device_lets_a_stand_in_begin(void **state)
{
    static const enum oxbow_err errors[] = {OXBOW_EIO, OXBOW_ENOSPC, OXBOW_EREADONLY, OXBOW_ESYS};

    (void)state;
    rig_make(&rig);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct oxbow_config config = rig.config;

        config.stand_in = NULL;
        fault_arm_files(&rig.f, FAULT_READ, 1, 1, errors[i]);
        assert_int_equal(oxbow_open(&config, &rig.db), errors[i]);
        fault_arm_files(&rig.f, FAULT_READ, 1, 1, errors[i]);
        rig_open_stand_in(&rig);
        assert_int_equal(stat_of(&rig).memory_why, errors[i]);
        fault_disarm(&rig.f);
        rig_close(&rig);
    }
    rig_open_store(&rig); /* which merges nothing */
    rig_free(&rig);
}

static void a_file_in_the_directorys_place_lets_a_stand_in_begin(void **state)
{
    int fd;

    (void)state;
    rig_make(&rig);
    device_gone(&rig);
    fd = open(rig.dir, O_CREAT | O_WRONLY, 0644);
    assert_true(fd >= 0);
    close(fd);
    rig_open_stand_in(&rig);
    rig_close(&rig);
    unlink(rig.dir);
    rig_free(&rig);
}

static void what_is_no_fault_of_the_device_stays_an_error(void **state)
{
    struct oxbow *other;
    char path[128];
    FILE *f;

    (void)state;
    rig_make(&rig);
    rig_open(&rig);
    assert_int_equal(oxbow_open(&rig.config, &other), OXBOW_ELOCKED);
    rig_close(&rig);
    snprintf(path, sizeof path, "%s/FORMAT", rig.dir);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("oxbow 9000\n", f);
    fclose(f);
    assert_int_equal(oxbow_open(&rig.config, &other), OXBOW_EFORMAT);
    assert_int_equal(access(rig.memory, F_OK), -1);
    rig_free(&rig);
}

static enum oxbow_err open_with(const char *stand_in, enum oxbow_on_failure failure)
{
    struct oxbow_config config = rig.config;
    struct oxbow *db;

    config.stand_in = stand_in;
    config.on_failure = failure;
    return oxbow_open(&config, &db);
}

static void bad_places_for_a_stand_in_are_refused(void **state)
{
    char path[STAND_IN_DIR_MAX + 100];
    char long_path[STAND_IN_DIR_MAX + 100];

    (void)state;
    rig_make(&rig);
    assert_int_equal(open_with(rig.memory, OXBOW_FAILURE_STOP), OXBOW_EINVAL);
    assert_int_equal(open_with("", OXBOW_FAILURE_MEMORY), OXBOW_EINVAL);
    assert_int_equal(open_with(rig.dir, OXBOW_FAILURE_MEMORY), OXBOW_EINVAL);
    snprintf(path, sizeof path, "%s/", rig.dir);
    assert_int_equal(open_with(path, OXBOW_FAILURE_MEMORY), OXBOW_EINVAL);
    snprintf(path, sizeof path, "%s/in", rig.dir);
    assert_int_equal(open_with(path, OXBOW_FAILURE_MEMORY), OXBOW_EINVAL);
    assert_int_equal(open_with(rig.base, OXBOW_FAILURE_MEMORY), OXBOW_EINVAL);
    assert_int_equal(open_with("/", OXBOW_FAILURE_MEMORY), OXBOW_EINVAL);
    memset(long_path, 'x', sizeof long_path);
    long_path[1023] = '\0';
    assert_int_equal(open_with(long_path, OXBOW_FAILURE_MEMORY), OXBOW_EINVAL);
    device_gone(&rig);
    assert_int_equal(open_with(NULL, OXBOW_FAILURE_MEMORY), OXBOW_ENOENT);
    long_path[1022] = '\0';
    assert_int_equal(open_with(long_path, OXBOW_FAILURE_MEMORY), OXBOW_ENOENT);
    rig_free(&rig);
}

static void a_place_that_holds_another_store_is_left_alone(void **state)
{
    struct oxbow_config own = {0};
    struct oxbow_recovery recovery;
    struct oxbow *other;
    char path[96];

    (void)state;
    rig_make(&rig);
    assert_int_equal(mkdir(rig.memory, 0755), 0);
    snprintf(path, sizeof path, "%s/1", rig.memory);
    own.dir = path;
    assert_int_equal(oxbow_open(&own, &rig.db), OXBOW_OK);
    push_numbers(&rig, "mine", 0, 5);
    rig_close(&rig);
    rig_open(&rig); /* the store itself does not take what is there */
    oxbow_recovery(rig.db, &recovery);
    assert_int_equal(recovery.merge_left, OXBOW_EFORMAT);
    assert_int_equal(recovery.merged, 0);
    rig_close(&rig);
    device_gone(&rig);
    assert_int_equal(oxbow_open(&rig.config, &other), OXBOW_ENOENT);
    assert_int_equal(oxbow_open(&own, &rig.db), OXBOW_OK);
    assert_numbers(&rig, "mine", true, 0, 5);
    rig_close(&rig);
    rig_free(&rig);
}

static void a_stand_in_of_another_directory_is_left_alone(void **state)
{
    struct oxbow_config config;
    struct oxbow *other;
    char dir[96];

    (void)state;
    rig_make(&rig);
    device_gone(&rig);
    rig_open_stand_in(&rig);
    add_numbers(&rig, "q", 0, 1);
    rig_close(&rig);
    config = rig.config;
    snprintf(dir, sizeof dir, "%s/other", rig.base);
    config.dir = dir;
    assert_int_equal(oxbow_open(&config, &other), OXBOW_ENOENT);
    rig_free(&rig);
}

static void a_stand_in_holds_no_more_than_it_may(void **state)
{
    static char big[64 << 10];
    const struct oxbow_bytes value = {big, sizeof big};
    enum oxbow_err err = OXBOW_OK;
    uint64_t pushed = 0;
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;

    (void)state;
    rig_make(&rig);
    device_gone(&rig);
    rig_open_stand_in(&rig);
    while (err == OXBOW_OK) {
        txn = rig_txn(&rig);
        err = oxbow_list_push(txn, bytes_of("l"), OXBOW_RIGHT, &value, 1, NULL);
        if (err == OXBOW_OK) {
            rig_commit(&rig, txn);
            pushed += sizeof big;
        } else {
            oxbow_txn_abort(txn);
        }
    }
    assert_int_equal(err, OXBOW_EQUOTA);
    assert_in_range(pushed, rig.config.memory_max / 2, rig.config.memory_max);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_list_pop(txn, bytes_of("l"), OXBOW_LEFT, 10, &result), OXBOW_OK);
    rig_commit(&rig, txn);
    oxbow_result_fini(&result);
    rig_free(&rig);
}

static void it_is_there_again_after_the_programs_end(void **state)
{
    (void)state;
    rig_make(&rig);
    device_gone(&rig);
    for (int round = 0; round < 3; round++) {
        rig_open_stand_in(&rig);
        add_numbers(&rig, "q", 10 * round, 10);
        assert_numbers(&rig, "q", false, 0, 10 * (round + 1));
        rig_close(&rig);
    }
    rig_free(&rig);
}

static void it_sees_when_the_device_is_back(void **state)
{
    (void)state;
    rig_make(&rig);
    device_gone(&rig);
    rig_open_stand_in(&rig);
    assert_int_equal(oxbow_return(rig.db), OXBOW_ENOENT);
    assert_int_equal(stat_of(&rig).memory_last, OXBOW_ENOENT);
    device_back(&rig);
    assert_int_equal(oxbow_return(rig.db), OXBOW_EAGAIN);
    assert_true(stat_of(&rig).device_back);
    device_gone(&rig);
    assert_int_equal(oxbow_return(rig.db), OXBOW_ENOENT);
    assert_false(stat_of(&rig).device_back);
    device_back(&rig);
    for (int i = 0; !stat_of(&rig).device_back; i++) {
        const struct timespec nap = {0, 50000000};

        assert_true(i < 1200);
        nanosleep(&nap, NULL); /* it looks by itself as well */
    }
    rig_close(&rig);
    rig_open_store(&rig);
    rig_free(&rig);
}

static void a_device_that_is_locked_full_or_broken_is_not_back(void **state)
{
    struct oxbow_config plain;
    struct oxbow *owner;

    (void)state;
    rig_make(&rig);
    device_gone(&rig);
    rig_open_stand_in(&rig);
    device_back(&rig);
    plain = (struct oxbow_config){.dir = rig.dir};
    assert_int_equal(oxbow_open(&plain, &owner), OXBOW_OK);
    assert_int_equal(oxbow_return(rig.db), OXBOW_ELOCKED);
    assert_int_equal(oxbow_close(owner), OXBOW_OK);
    fault_arm_files(&rig.f, FAULT_SYNC, 1, UINT64_MAX, OXBOW_EIO);
    assert_int_equal(oxbow_return(rig.db), OXBOW_EIO);
    fault_arm_files(&rig.f, FAULT_READ, 1, UINT64_MAX, OXBOW_EIO);
    assert_int_equal(oxbow_return(rig.db), OXBOW_EIO);
    fault_arm_files(&rig.f, FAULT_OPEN, 1, UINT64_MAX, OXBOW_EREADONLY);
    assert_int_equal(oxbow_return(rig.db), OXBOW_EREADONLY);
    fault_disarm(&rig.f);
    assert_int_equal(oxbow_return(rig.db), OXBOW_EAGAIN);
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_that_is_gone_has_a_stand_in_that_says_so),
        cmocka_unit_test(a_commit_that_waits_for_nothing_is_ok_in_a_stand_in),
        cmocka_unit_test(whatever_is_wrong_with_the_device_lets_a_stand_in_begin),
        cmocka_unit_test(a_file_in_the_directorys_place_lets_a_stand_in_begin),
        cmocka_unit_test(what_is_no_fault_of_the_device_stays_an_error),
        cmocka_unit_test(bad_places_for_a_stand_in_are_refused),
        cmocka_unit_test(a_place_that_holds_another_store_is_left_alone),
        cmocka_unit_test(a_stand_in_of_another_directory_is_left_alone),
        cmocka_unit_test(a_stand_in_holds_no_more_than_it_may),
        cmocka_unit_test(it_is_there_again_after_the_programs_end),
        cmocka_unit_test(it_sees_when_the_device_is_back),
        cmocka_unit_test(a_device_that_is_locked_full_or_broken_is_not_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
