/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever call fails while hashes, sets and sorted sets of a stand-in are merged, all that they held is in
 * the store, and nothing of the store's own is lost. */
#include "engine/queue/merge.h"
#include "tests/keyval/members_fixture.h"

#include <sys/wait.h>

#define MORE (MERGE_BATCH + 44) /* two batches */

static struct stand_rig rig;

static void prepare(void)
{
    rig_make(&rig);
    rig.config.members = oxbow_members();
    rig_open_store(&rig);
    put_all(&rig, 0, 20, 3);
    rig_close(&rig);
    device_gone(&rig);
    rig_open_stand_in(&rig);
    put_all(&rig, 10, MORE, 4);
    field_expire(&rig, "hash", 12, HOUR_MS);
    rig_close(&rig);
    device_back(&rig);
}

static void assert_all_there(void)
{
    assert_counts(&rig, 10 + MORE);
    assert_all(&rig, 0, 10, 3);
    assert_all(&rig, 10, MORE, 4);
    assert_in_range(field_ttl(&rig, "hash", 12), HOUR_MS / 2, HOUR_MS);
    assert_true(field_ttl(&rig, "hash", 11) == UINT64_MAX);
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

static void no_file_call_that_fails_loses_anything(void **state)
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
        assert_all_there();
        rig_free(&rig);
    }
    print_message("%d calls failed\n", (int)points);
    assert_true(points > 60);
}

static void no_device_that_stays_broken_loses_anything(void **state)
{
    uint64_t points = 0;
    bool met = true;

    (void)state;
    for (uint64_t n = 1; met; n += 2) {
        prepare();
        fault_arm_files(&rig.f, FAULT_WRITING, n, UINT64_MAX, OXBOW_EIO);
        come_back();
        met = rig.f.file_failed > 0;
        points += met;
        assert_all_there();
        rig_free(&rig);
    }
    print_message("%d times\n", (int)points);
    assert_true(points > 10);
}

static void no_lack_of_memory_loses_anything(void **state)
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
        assert_all_there();
        rig_free(&rig);
    }
    print_message("%d allocations failed\n", (int)points);
    assert_true(points > 60);
}

/* ---- a program that is killed ---- */

static uint64_t takes_left;

/* The store has the batch then, and the stand-in has it still. */
static enum oxbow_err take_or_die(struct oxbow_txn *from, const struct members_batch *b)
{
    if (--takes_left == 0) {
        _exit(0);
    }
    return oxbow_members()->take(from, b);
}

/* Opens the store in a process of its own that is killed at the n-th batch; false: it came to its end. */
static bool killed_at(uint64_t n)
{
    pid_t pid = fork();
    int status = 1;

    if (pid == 0) {
        struct oxbow_members members = *oxbow_members();

        members.take = take_or_die;
        rig.config.members = &members;
        takes_left = n;
        _exit(oxbow_open(&rig.config, &rig.db) == OXBOW_OK ? 77 : 78);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
    return WEXITSTATUS(status) == 0;
}

/* How many fields and scored members have come; each gets 9 instead, in the store. */
static int change_what_has_come(bool changed[3][10 + MORE])
{
    int count = 0;
    struct oxbow_txn *txn;

    rig.config.stand_in = NULL; /* nothing is merged in this opening */
    rig_open(&rig);
    txn = rig_txn(&rig);
    for (unsigned t = 0; t < 3; t += 2) {
        for (int i = 0; i < 10 + (int)MORE; i++) {
            changed[t][i] = member_get(txn, KEY_TYPES[t], bytes_of(key_names[t]), i) == 4;
            if (changed[t][i]) {
                count++;
                assert_int_equal(member_put(txn, KEY_TYPES[t], bytes_of(key_names[t]), i, 9),
                                 OXBOW_OK);
            }
        }
    }
    rig_commit(&rig, txn);
    rig_close(&rig);
    rig.config.stand_in = rig.memory;
    return count;
}

/* Of the batch ahead that can be told by the mark alone. */
static void what_has_come_is_not_brought_again_over_what_came_later(void **state)
{
    int killed = 0;
    int came = 0;
    bool met = true;

    (void)state;
    for (uint64_t n = 1; met; n++) {
        bool changed[3][10 + MORE] = {{false}};
        struct oxbow_txn *txn;

        prepare();
        met = killed_at(n);
        killed += met;
        came += change_what_has_come(changed);
        rig_open_store(&rig);
        assert_counts(&rig, 10 + MORE);
        txn = rig_txn(&rig);
        for (int i = 10; i < 10 + (int)MORE; i++) {
            for (unsigned t = 0; t < 3; t += 2) {
                assert_int_equal(member_get(txn, KEY_TYPES[t], bytes_of(key_names[t]), i),
                                 changed[t][i] ? 9 : 4);
            }
        }
        oxbow_txn_abort(txn);
        rig_free(&rig);
    }
    assert_int_equal(killed, 6); /* two batches of each */
    assert_in_range(came, 6 * MERGE_BATCH, 8 * 2 * MORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_file_call_that_fails_loses_anything),
        cmocka_unit_test(no_device_that_stays_broken_loses_anything),
        cmocka_unit_test(no_lack_of_memory_loses_anything),
        cmocka_unit_test(what_has_come_is_not_brought_again_over_what_came_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
