/* SPDX-License-Identifier: Apache-2.0 */
/* The probe over a device whose syncs take what the test says, and do nothing: the clock stands still
 * but for them. Real files, so that what is left behind is seen. */
#include "oxbow/probe.h"

#include "tests/support/fault.h"
#include "tests/support/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WATCHED                                                                                    \
    (2 * (1 + 4 * 3)) /* calls: before and after the first stage and three in four rounds */

struct device {
    struct rig rig;           /* its directory and clock; no store is opened */
    struct oxbow_files files; /* the real ones */
    uint64_t sync_us;
    uint64_t every_50th_us; /* 0: as the others */
    uint64_t syncs;
    uint64_t written;
    uint64_t free_bytes;
    const char *kind;
    bool can_reserve;
    unsigned watched;
    unsigned cancel_at; /* that call of the watch answers true; 0: none */
};

static struct device dev;

static enum oxbow_err slow_sync(void *ctx, int fd)
{
    dev.syncs++;
    (void)ctx;
    (void)fd;
    dev.rig.mono_us +=
        dev.every_50th_us != 0 && dev.syncs % 50 == 0 ? dev.every_50th_us : dev.sync_us;
    return OXBOW_OK;
}

static enum oxbow_err quick_sync_dir(void *ctx, const char *dir)
{
    (void)ctx;
    (void)dir;
    return OXBOW_OK;
}

static enum oxbow_err counted_write(void *ctx, int fd, const void *buf, size_t len, uint64_t pos)
{
    dev.written += len;
    return dev.files.write(ctx, fd, buf, len, pos);
}

static enum oxbow_err own_space(void *ctx, const char *dir, uint64_t *free_bytes,
                                uint64_t *total_bytes, char kind[16])
{
    enum oxbow_err err = dev.files.space(ctx, dir, free_bytes, total_bytes, kind);

    if (err == OXBOW_OK) {
        *free_bytes = dev.free_bytes;
        snprintf(kind, 16, "%s", dev.kind);
    }
    return err;
}

static enum oxbow_err own_reserve(void *ctx, int fd, uint64_t pos, uint64_t len)
{
    return dev.can_reserve ? dev.files.reserve(ctx, fd, pos, len) : OXBOW_ENOTSUP;
}

static bool watch(void *ctx, enum oxbow_probe_stage stage, bool begins)
{
    static const enum oxbow_probe_stage order[] = {
        OXBOW_PROBE_SEQUENTIAL, OXBOW_PROBE_ZEROED,   OXBOW_PROBE_RESERVED, OXBOW_PROBE_GROWING,
        OXBOW_PROBE_GROWING,    OXBOW_PROBE_RESERVED, OXBOW_PROBE_ZEROED};
    unsigned at = dev.watched / 2;

    (void)ctx;
    assert_int_equal(stage, order[at > 6 ? (at - 1) % 6 + 1 : at]);
    assert_int_equal(begins, dev.watched % 2 == 0);
    return ++dev.watched == dev.cancel_at;
}

static int set_up(void **state)
{
    (void)state;
    memset(&dev, 0, sizeof dev);
    rig_init(&dev.rig, OXBOW_SYNC_ALWAYS);
    dev.files = dev.rig.port.files;
    dev.rig.port.files.sync = slow_sync;
    dev.rig.port.files.sync_dir = quick_sync_dir;
    dev.rig.port.files.write = counted_write;
    dev.rig.port.files.space = own_space;
    dev.rig.port.files.reserve = own_reserve;
    dev.sync_us = 1000;
    dev.free_bytes = (uint64_t)1 << 30;
    dev.kind = "ext4";
    dev.can_reserve = true;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(&dev.rig);
    return 0;
}

static unsigned files_left(void)
{
    DIR *d = opendir(dev.rig.dir);
    const struct dirent *e;
    unsigned n = 0;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        n += e->d_name[0] != '.';
    }
    closedir(d);
    return n;
}

static enum oxbow_err probe(struct oxbow_probe *out)
{
    const struct oxbow_probe_options options = {
        .dir = dev.rig.dir, .port = &dev.rig.port, .bytes = 4u << 20, .watch = watch};

    return oxbow_probe(&options, out);
}

static void the_distribution_of_syncs_is_measured(void **state)
{
    struct oxbow_probe found;
    const struct oxbow_probe_syncs *z = &found.syncs[OXBOW_PROBE_ZEROED];

    (void)state;
    dev.every_50th_us = 20000;
    assert_int_equal(probe(&found), OXBOW_OK);
    assert_int_equal(z->count, 512); /* half of 4 MiB */
    assert_int_equal(z->least_us, 1000);
    assert_int_equal(z->median_us, 1000);
    assert_int_equal(z->p99_us, 20000);
    assert_int_equal(z->most_us, 20000);
    assert_in_range(z->mean_us, 1350, 1410);
    assert_int_equal(found.syncs[OXBOW_PROBE_GROWING].count, 128);
    assert_int_equal(found.syncs[OXBOW_PROBE_RESERVED].count, 128);
    assert_int_equal(found.sequential_per_s, 1048576000); /* 1 MiB in one sync */
    assert_in_range(found.pushes_1, 1000000 / 1410, 1000000 / 1350);
    assert_in_range(found.pushes_16, 7500000 / 1410, 7500000 / 1350);
    assert_int_equal(found.interval_ms, 200);
    assert_int_equal(found.flags, 0);
    assert_string_equal(found.kind, "ext4");
    assert_int_equal(dev.watched, WATCHED);
    assert_int_equal(files_left(), 0);
}

static void it_is_bounded_in_time_and_bytes(void **state)
{
    static const uint64_t latencies[] = {0, 50, 5000, 100000, 2000000};
    struct oxbow_probe found;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof latencies / sizeof latencies[0]; i++) {
        uint64_t began = dev.rig.mono_us;

        dev.written = 0;
        dev.watched = 0;
        dev.sync_us = latencies[i];
        assert_int_equal(probe(&found), OXBOW_OK);
        assert_true(dev.written <= 4u << 20);
        assert_true(found.syncs[OXBOW_PROBE_ZEROED].count >= 4);
        /* four at least in each stage, and one for each file */
        assert_true(dev.rig.mono_us - began <= 5000000 + 16 * latencies[i]);
    }
    assert_int_equal(found.flags, OXBOW_PROBE_STALLS);
    assert_int_equal(found.interval_ms, 20000);
    assert_int_equal(files_left(), 0);
}

static void a_sync_that_is_too_fast_is_told(void **state)
{
    struct oxbow_probe found;

    (void)state;
    dev.sync_us = OXBOW_PROBE_LEAST_US - 1;
    assert_int_equal(probe(&found), OXBOW_OK);
    assert_int_equal(found.flags, OXBOW_PROBE_TOO_FAST);
    assert_int_equal(found.interval_ms, 100);
    dev.watched = 0;
    dev.sync_us = OXBOW_PROBE_LEAST_US;
    dev.kind = "tmpfs";
    assert_int_equal(probe(&found), OXBOW_OK);
    assert_int_equal(found.flags, OXBOW_PROBE_VOLATILE);
}

static void a_file_system_that_cannot_reserve_is_measured_without(void **state)
{
    static const struct oxbow_probe_syncs none;
    struct oxbow_probe found;

    (void)state;
    dev.can_reserve = false;
    dev.watched = 0;
    assert_int_equal(oxbow_probe(&(struct oxbow_probe_options){.dir = dev.rig.dir,
                                                               .port = &dev.rig.port,
                                                               .bytes = 1u << 20},
                                 &found),
                     OXBOW_OK);
    assert_memory_equal(&found.syncs[OXBOW_PROBE_RESERVED], &none, sizeof none);
    assert_true(found.syncs[OXBOW_PROBE_GROWING].count > 0);
}

static void nothing_is_written_where_no_store_can_be(void **state)
{
    struct oxbow_probe found = {.interval_ms = 77};

    (void)state;
    dev.kind = "nfs";
    assert_int_equal(probe(&found), OXBOW_ENOTSUP);
    dev.kind = "ext4";
    dev.free_bytes = (5u << 20) - 1; /* what it writes, and a MiB */
    assert_int_equal(probe(&found), OXBOW_ENOSPC);
    assert_int_equal(dev.written, 0);
    assert_int_equal(found.interval_ms, 77);
    dev.free_bytes++;
    assert_int_equal(probe(&found), OXBOW_OK);
}

static void bad_options_are_refused(void **state)
{
    struct oxbow_probe_options options = {.dir = dev.rig.dir, .bytes = (1u << 20) - 1};
    struct oxbow_probe found;

    (void)state;
    assert_int_equal(oxbow_probe(NULL, &found), OXBOW_EINVAL);
    assert_int_equal(oxbow_probe(&options, &found), OXBOW_EINVAL);
    options = (struct oxbow_probe_options){.dir = ""};
    assert_int_equal(oxbow_probe(&options, &found), OXBOW_EINVAL);
    options.dir = NULL;
    assert_int_equal(oxbow_probe(&options, &found), OXBOW_EINVAL);
    options.dir = "/no/such/directory";
    assert_int_equal(oxbow_probe(&options, &found), OXBOW_ENOENT);
}

static void it_can_be_stopped_between_stages(void **state)
{
    struct oxbow_probe found;
    unsigned at;

    (void)state;
    for (at = 1; at <= WATCHED; at++) {
        dev.watched = 0;
        dev.cancel_at = at;
        assert_int_equal(probe(&found), OXBOW_ECANCELED);
        assert_int_equal(dev.watched, at);
        assert_int_equal(files_left(), 0);
    }
}

/* Each call fails once, with each error that a device knows: the probe says so and cleans up. */
static void whichever_call_fails_it_is_told_and_nothing_is_left(void **state)
{
    static const enum oxbow_err errors[] = {OXBOW_ENOSPC, OXBOW_EIO, OXBOW_EREADONLY};
    struct fault f;
    unsigned points = 0;
    uint64_t n;

    (void)state;
    for (n = 1;; n++) {
        const struct oxbow_probe_options options = {
            .dir = dev.rig.dir, .port = &f.port, .bytes = 1u << 20, .time_ms = 15};
        enum oxbow_err want = errors[n % 3];
        struct oxbow_probe found;
        enum oxbow_err err;

        fault_init(&f, &dev.rig.port);
        fault_arm_files(&f, FAULT_ALL & ~FAULT_UNLINK, n, 1, want);
        err = oxbow_probe(&options, &found);
        assert_int_equal(f.live_bytes, 0);
        if (f.file_failed == 0) {
            assert_int_equal(err, OXBOW_OK);
            break;
        }
        points++;
        assert_int_equal(err, want);
        assert_int_equal(files_left(), 0);
    }
    assert_true(points > 20);
    for (n = 1; n <= 2; n++) {
        const struct oxbow_probe_options options = {.dir = dev.rig.dir, .port = &f.port};
        struct oxbow_probe found;
        enum oxbow_err err;

        fault_init(&f, &dev.rig.port);
        fault_arm_alloc(&f, n, 1);
        err = oxbow_probe(&options, &found);
        assert_int_equal(err, n <= 1 ? OXBOW_ENOMEM : OXBOW_OK);
        assert_int_equal(f.live_bytes, 0);
        assert_int_equal(files_left(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_distribution_of_syncs_is_measured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_bounded_in_time_and_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sync_that_is_too_fast_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_system_that_cannot_reserve_is_measured_without,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_written_where_no_store_can_be, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bad_options_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_can_be_stopped_between_stages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whichever_call_fails_it_is_told_and_nothing_is_left, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
