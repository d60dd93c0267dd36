/* SPDX-License-Identifier: Apache-2.0 */
/* The ring's files: made whole or not, opened again, and what is damaged counts as missing. */
#include "engine/store/ring.h"
#include "tests/store/scratch.h"
#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#define STORE 77u

static char dir[SCRATCH_MAX];

static int setup(void **state)
{
    (void)state;
    scratch_name(dir, "ring");
    scratch_remove(dir);
    return mkdir(dir, 0700);
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

static const char *segment(char path[2 * SCRATCH_MAX], unsigned i)
{
    (void)snprintf(path, 2 * SCRATCH_MAX, "%s/journal.%u", dir, i);
    return path;
}

static void what_is_made_is_opened_again(void **state)
{
    struct ring r;
    uint8_t raw[8];

    (void)state;
    ring_init(&r, oxbow_port_default(), dir, STORE);
    assert_int_equal(ring_open(&r, false), OXBOW_OK);
    assert_int_equal(r.count, 0);
    assert_int_equal(ring_make(&r, 3, RING_BYTES_MIN), OXBOW_OK);
    assert_int_equal(ring_write(&r, 2, RING_BLOCK, "8 bytes", 8), OXBOW_OK);
    assert_int_equal(ring_sync(&r, 2), OXBOW_OK);
    ring_close(&r);
    assert_int_equal(ring_open(&r, true), OXBOW_OK);
    assert_int_equal(r.count, 3);
    assert_int_equal(r.bytes, RING_BYTES_MIN);
    assert_int_equal(r.missing, 0);
    assert_int_equal(ring_read(&r, 2, RING_BLOCK, raw, 8), OXBOW_OK);
    assert_memory_equal(raw, "8 bytes", 8);
    assert_int_equal(ring_read(&r, 2, RING_BYTES_MIN - 4, raw, 8), OXBOW_ENOENT);
    ring_close(&r);
    assert_int_equal(ring_remove(&r), OXBOW_OK);
    assert_int_equal(ring_open(&r, true), OXBOW_OK);
    assert_int_equal(r.count, 0);
}

static void anothers_or_a_damaged_segment_counts_as_missing(void **state)
{
    char path[2 * SCRATCH_MAX];
    uint8_t raw[8];
    struct ring r;
    int fd;

    (void)state;
    ring_init(&r, oxbow_port_default(), dir, STORE);
    assert_int_equal(ring_make(&r, 4, RING_BYTES_MIN), OXBOW_OK);
    ring_close(&r);
    r.store_id++;
    assert_int_equal(ring_open(&r, false), OXBOW_OK);
    assert_int_equal(r.count, 0);
    r.store_id--;
    assert_int_equal(unlink(segment(path, 0)), 0);
    assert_int_equal(truncate(segment(path, 1), RING_BYTES_MIN / 2), 0);
    fd = open(segment(path, 2), O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "\xff", 1, 12), 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(ring_open(&r, false), OXBOW_OK);
    assert_int_equal(r.count, 4);
    assert_int_equal(r.missing, 3);
    assert_int_equal(ring_read(&r, 0, RING_BLOCK, raw, 8), OXBOW_ENOENT);
    assert_int_equal(ring_read(&r, 1, RING_BLOCK, raw, 8), OXBOW_OK); /* what is left of it */
    assert_int_equal(ring_read(&r, 1, RING_BYTES_MIN / 2, raw, 8), OXBOW_ENOENT);
    assert_int_equal(ring_read(&r, 3, RING_BLOCK, raw, 8), OXBOW_OK);
    ring_close(&r);
}

static void evidence_is_set_aside(void **state)
{
    char path[2 * SCRATCH_MAX];
    struct stat st;
    struct ring r;

    (void)state;
    ring_init(&r, oxbow_port_default(), dir, STORE);
    assert_int_equal(ring_make(&r, 2, RING_BYTES_MIN), OXBOW_OK);
    ring_close(&r);
    assert_int_equal(ring_set_aside(&r), OXBOW_OK);
    (void)snprintf(path, sizeof path, "%s/journal.1.bad", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, RING_BYTES_MIN);
    assert_int_equal(ring_open(&r, false), OXBOW_OK);
    assert_int_equal(r.count, 0);
}

/* Whatever call fails, a ring is there whole, or what is there is told from a whole one. */
static void no_call_that_fails_leaves_a_ring_that_looks_whole_and_is_not(void **state)
{
    uint64_t points = 0;
    struct fault f;
    bool failed = true;

    (void)state;
    fault_init(&f, oxbow_port_default());
    for (uint64_t n = 1; failed; n++) {
        struct ring r;
        enum oxbow_err err;

        ring_init(&r, &f.port, dir, STORE);
        fault_arm_files(&f, FAULT_ALL, n, 1, OXBOW_EIO);
        err = ring_make(&r, 2, RING_BYTES_MIN);
        failed = err != OXBOW_OK;
        points += failed;
        fault_disarm(&f);
        ring_close(&r);
        assert_int_equal(ring_open(&r, false), OXBOW_OK);
        if (!failed) {
            assert_int_equal(r.count, 2);
            assert_int_equal(r.missing, 0);
        }
        ring_close(&r);
        assert_int_equal(ring_remove(&r), OXBOW_OK);
    }
    assert_true(points >= 15);
}

/* It may be read the next time. */
static void what_the_device_cannot_read_is_missing_only_where_that_is_asked_for(void **state)
{
    struct fault f;
    struct ring r;

    (void)state;
    fault_init(&f, oxbow_port_default());
    ring_init(&r, &f.port, dir, STORE);
    assert_int_equal(ring_make(&r, 2, RING_BYTES_MIN), OXBOW_OK);
    ring_close(&r);
    for (uint32_t kind = 0; kind < 3; kind++) {
        static const uint32_t kinds[] = {FAULT_OPEN, FAULT_READ, FAULT_SIZE};

        for (uint64_t n = 1; n <= 2; n++) {
            fault_arm_files(&f, kinds[kind], n, 1, OXBOW_EIO);
            r.unreadable_is_lost = false;
            assert_int_equal(ring_open(&r, false), OXBOW_EIO);
            assert_int_equal(f.file_failed, 1);
            for (uint32_t times = 1; times <= 2; times++) {
                fault_arm_files(&f, kinds[kind], n, times, OXBOW_EIO);
                r.unreadable_is_lost = true;
                assert_int_equal(ring_open(&r, false), OXBOW_OK);
                assert_int_equal(f.file_failed, times);
                assert_int_equal(r.missing, times - 1);
                ring_close(&r);
            }
        }
    }
    fault_disarm(&f);
    assert_int_equal(ring_open(&r, false), OXBOW_OK);
    assert_int_equal(r.missing, 0);
    ring_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_made_is_opened_again, setup, teardown),
        cmocka_unit_test_setup_teardown(anothers_or_a_damaged_segment_counts_as_missing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(evidence_is_set_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(
            no_call_that_fails_leaves_a_ring_that_looks_whole_and_is_not, setup, teardown),
        cmocka_unit_test_setup_teardown(
            what_the_device_cannot_read_is_missing_only_where_that_is_asked_for, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
