/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams and groups while memory runs out or the device fails: the same scenario with its n-th
 * allocation, or n-th write or sync, refused, for n = 1, 2, 3 ... until a run meets no fault. Every
 * run works or says why not, leaks nothing, and what the store holds afterwards is a state between
 * two of its transactions.
 */
/* The functions below are to have their plain names. */
#undef _FILE_OFFSET_BITS
#include "oxbow/group_options.h"
#include "oxbow/patrol.h"
#include "oxbow/policy.h"
#include "tests/queue/stream_fixture.h"
#include "tests/support/fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- what LMDB and the port call: defined here, so that it can fail ---- */

static atomic_ullong io_calls; /* since armed */
static atomic_ullong io_fails; /* the call that fails; 0: none */
static atomic_ullong io_failed;

static void io_arm(uint64_t n)
{
    io_fails = 0;
    io_calls = 0;
    io_failed = 0;
    io_fails = n;
}

static bool io_fail(void)
{
    if (io_fails == 0 || ++io_calls != io_fails) {
        return false;
    }
    io_failed++;
    errno = EIO;
    return true;
}

#define REAL(type, name) ((type)(uintptr_t)dlsym(RTLD_NEXT, name))

ssize_t pwrite(int fd, const void *buf, size_t len, off_t pos)
{
    typedef ssize_t (*real)(int, const void *, size_t, off_t);

    return io_fail() ? -1 : REAL(real, "pwrite")(fd, buf, len, pos);
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t pos)
{
    typedef ssize_t (*real)(int, const void *, size_t, off64_t);

    return io_fail() ? -1 : REAL(real, "pwrite64")(fd, buf, len, pos);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    typedef ssize_t (*real)(int, const struct iovec *, int);

    return io_fail() ? -1 : REAL(real, "writev")(fd, iov, count);
}

int fdatasync(int fd)
{
    typedef int (*real)(int);

    return io_fail() ? -1 : REAL(real, "fdatasync")(fd);
}

/* ---- the scenario ---- */

#define STAGES 6

struct scene {
    struct streams f;
    struct fault fault;
    int committed; /* stages whose commit succeeded */
    int durable;   /* of them, flushed */
};

static struct oxbow_group g(void)
{
    return group_of("s", "g");
}

static enum oxbow_err put(struct scene *s, uint64_t ms, size_t len)
{
    static const char bytes[70000];
    struct oxbow_field field = {BYTES("f"), {bytes, len}};
    struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {ms, 0}};

    return oxbow_stream_add(s->f.txn, BYTES("s"), &opt, &field, 1, NULL);
}

/* A group with options, of another stream: five entries a stage, of which one is acked and one goes to
 * the dead letters; and a list that is patrolled. */
static struct oxbow_group r(void)
{
    return group_of("r", "g");
}

static enum oxbow_err retry_add(struct scene *s, int n)
{
    static const char bytes[70000];
    enum oxbow_err err = OXBOW_OK;
    uint64_t i;

    for (i = 1; i <= 5 && err == OXBOW_OK; i++) {
        struct oxbow_field fields[] = {{BYTES("k"), {i < 4 ? "a" : "b", 1}},
                                       {BYTES("f"), {bytes, i == 1 ? sizeof bytes : 10}}};
        struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT,
                                               .id = {(uint64_t)n * 5 + i, 0}};

        err = oxbow_stream_add(s->f.txn, BYTES("r"), &opt, fields, 2, NULL);
    }
    return err;
}

static enum oxbow_err retry_begin(struct scene *s)
{
    struct oxbow_group_create_options create = {.make_stream = true};
    struct oxbow_group_options opt = {.visibility_ms = 1000,
                                      .max_deliveries = 20,
                                      .dead_letter = BYTES("dead"),
                                      .retry_base_ms = 1,
                                      .key_field = BYTES("k")};
    enum oxbow_err err = oxbow_group_create(s->f.txn, r(), &create);

    return err == OXBOW_OK ? oxbow_group_options_set(s->f.txn, r(), &opt) : err;
}

static enum oxbow_err retry_stage(struct scene *s, int n)
{
    struct oxbow_id ids[] = {{(uint64_t)n * 5 + 1, 0},
                             {(uint64_t)n * 5 + 2, 0},
                             {(uint64_t)n * 5 + 3, 0},
                             {(uint64_t)n * 5 + 4, 0}};
    struct oxbow_group_nack_options dead = {.ids = ids, .count = 1, .how = OXBOW_NACK_DEAD};
    struct oxbow_group_nack_options no = {.ids = ids + 1, .count = 1, .how = OXBOW_NACK_DELAY};
    struct oxbow_group_extend_options late = {.ids = ids + 3, .count = 1};
    struct oxbow_redrive out;
    enum oxbow_err err = n == 0 ? retry_begin(s) : OXBOW_OK;

    if (err == OXBOW_OK) {
        err = retry_add(s, n);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_read(s->f.txn, r(), BYTES("bob"), NULL, &s->f.result);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_nack(s->f.txn, r(), &no, NULL);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_nack(s->f.txn, r(), &dead, NULL);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_extend(s->f.txn, r(), &late, NULL);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_read(s->f.txn, r(), BYTES("eve"), NULL, &s->f.result);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_ack(s->f.txn, r(), ids + 2, 1, NULL);
    }
    return err == OXBOW_OK && n % 2 == 1 ? oxbow_redrive(s->f.txn, BYTES("dead"), NULL, &out) : err;
}

static enum oxbow_err patrol_stage(struct scene *s)
{
    struct oxbow_patrol_options opt = {.processing = BYTES("work"),
                                       .to = BYTES("jobs"),
                                       .timeout_ms = 1,
                                       .max_returns = 1,
                                       .dead = BYTES("gone")};
    struct oxbow_bytes job = BYTES("job");
    struct oxbow_patrol out;
    enum oxbow_err err = oxbow_list_push(s->f.txn, BYTES("work"), OXBOW_LEFT, &job, 1, NULL);

    if (err == OXBOW_OK) {
        err = oxbow_list_patrol(s->f.txn, &opt, &out);
    }
    rig_pass_ms(&s->f.rig, 5);
    return err;
}

/* A group of a stream with priorities: six entries a stage, of which four are given and one is done. */
static struct oxbow_group p(void)
{
    return group_of("p", "g");
}

static enum oxbow_err priority_add(struct scene *s, int n)
{
    struct oxbow_field field = {BYTES("f"), BYTES("v")};
    enum oxbow_err err = OXBOW_OK;

    for (uint64_t i = 1; i <= 6 && err == OXBOW_OK; i++) {
        struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT,
                                               .id = {(uint64_t)n * 6 + i, 0},
                                               .priority = (uint32_t)i % 3};

        err = oxbow_stream_add(s->f.txn, BYTES("p"), &opt, &field, 1, NULL);
    }
    return err;
}

static enum oxbow_err priority_stage(struct scene *s, int n)
{
    struct oxbow_group_create_options create = {.make_stream = true};
    struct oxbow_policy policy = {
        .priorities = 3, .priority_weights = OXBOW_PRIORITY_WEIGHT(2, 2), .priority_wait_ms = 1};
    struct oxbow_group_read_options some = {.count = 4};
    struct oxbow_id gone = {(uint64_t)n * 6 + 3, 0};
    enum oxbow_err err = OXBOW_OK;

    if (n == 0) {
        err = oxbow_group_create(s->f.txn, p(), &create);
        if (err == OXBOW_OK) {
            err = oxbow_policy_set(s->f.txn, BYTES("p"), &policy);
        }
    }
    if (err == OXBOW_OK) {
        err = priority_add(s, n);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_read(s->f.txn, p(), BYTES("c"), &some, &s->f.result);
    }
    if (err == OXBOW_OK && s->f.result.entry_count != 4) {
        return OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_ack(s->f.txn, p(), &s->f.result.entries[0].id, 1, NULL);
    }
    return err == OXBOW_OK ? oxbow_stream_delete(s->f.txn, BYTES("p"), &gone, 1, NULL) : err;
}

/* Each stage adds 20 entries and does something of everything else. */
static enum oxbow_err stage(struct scene *s, int n)
{
    struct oxbow_group_create_options create = {0};
    struct oxbow_group_read_options some = {.count = 10};
    struct oxbow_group_read_options again = {.history = true};
    struct oxbow_autoclaim_options autoclaim = {.count = 5};
    struct oxbow_claim_options claim = {.count = 1, .force = true};
    struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MAXLEN, .maxlen = 70};
    struct oxbow_id id = {(uint64_t)n * 20 + 3, 0}, next;
    enum oxbow_err err = OXBOW_OK;
    uint64_t i;

    for (i = 1; i <= 20 && err == OXBOW_OK; i++) {
        err = put(s, (uint64_t)n * 20 + i, i == 7 ? 5000 : i == 8 ? 70000 : 300);
    }
    if (err == OXBOW_OK && n == 0) {
        err = oxbow_group_create(s->f.txn, g(), &create);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_read(s->f.txn, g(), BYTES("bob"), &some, &s->f.result);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_read(s->f.txn, g(), BYTES("bob"), &again, &s->f.result);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_ack(s->f.txn, g(), &id, 1, NULL);
    }
    claim.ids = &id;
    if (err == OXBOW_OK) {
        err = oxbow_group_claim(s->f.txn, g(), BYTES("eve"), &claim, &s->f.result);
    }
    if (err == OXBOW_OK) {
        err = oxbow_group_autoclaim(s->f.txn, g(), BYTES("dan"), &autoclaim, &s->f.result, &next);
    }
    if (err == OXBOW_OK) {
        err = oxbow_stream_delete(s->f.txn, BYTES("s"), &id, 1, NULL);
    }
    return err == OXBOW_OK ? oxbow_stream_trim(s->f.txn, BYTES("s"), &trim, NULL) : err;
}

static enum oxbow_err run_stages(struct scene *s)
{
    int n;

    for (n = s->committed; n < STAGES; n++) {
        struct oxbow_txn *txn;
        enum oxbow_err err = oxbow_txn_begin(s->f.rig.db, NULL, &s->f.txn);

        if (err != OXBOW_OK) {
            return err;
        }
        txn = s->f.txn;
        err = stage(s, n);
        if (err == OXBOW_OK) {
            err = retry_stage(s, n);
        }
        if (err == OXBOW_OK) {
            err = patrol_stage(s);
        }
        if (err == OXBOW_OK) {
            err = priority_stage(s, n);
        }
        if (err != OXBOW_OK) {
            oxbow_txn_abort(txn);
            return err;
        }
        err = oxbow_txn_commit(txn, NULL);
        if (err != OXBOW_OK) {
            return err;
        }
        s->committed++;
        err = oxbow_flush(s->f.rig.db);
        if (err != OXBOW_OK) {
            return err;
        }
        s->durable = s->committed;
    }
    return OXBOW_OK;
}

/* What went through the group with options, or the lists, is in one place. */
static void check_places(struct scene *s, uint64_t stages)
{
    struct oxbow_pending_summary sum = {0};
    uint64_t letters, jobs, work, gone;

    if (stages > 0) {
        assert_ok(oxbow_group_pending_summary(s->f.txn, r(), &sum));
    }
    assert_ok(oxbow_stream_len(s->f.txn, BYTES("dead"), &letters));
    assert_int_equal(sum.count + letters, 4 * stages);
    assert_ok(oxbow_list_len(s->f.txn, BYTES("jobs"), &jobs));
    assert_ok(oxbow_list_len(s->f.txn, BYTES("work"), &work));
    assert_ok(oxbow_list_len(s->f.txn, BYTES("gone"), &gone));
    assert_int_equal(jobs + work + gone, stages);
}

static void check_priorities(struct scene *s, uint64_t stages)
{
    struct oxbow_stream_priorities info;
    struct oxbow_pending_summary sum;
    uint64_t len;

    if (stages == 0) {
        return;
    }
    assert_ok(oxbow_stream_len(s->f.txn, BYTES("p"), &len));
    assert_int_equal(len, 5 * stages);
    assert_ok(oxbow_stream_priorities(s->f.txn, BYTES("p"), &info));
    assert_int_equal(info.entries[0], stages);
    assert_int_equal(info.entries[1], 2 * stages);
    assert_int_equal(info.entries[2], 2 * stages);
    assert_ok(oxbow_group_pending_summary(s->f.txn, p(), &sum));
    assert_int_equal(sum.count, 3 * stages);
}

/* What is there is what `stages` stages leave, and hangs together. */
static int check_state(struct scene *s)
{
    struct oxbow_pending_filter filter = {.to = OXBOW_ID_MAX, .count = 200};
    struct oxbow_pending rows[200];
    struct oxbow_pending_summary sum;
    struct oxbow_stream_info info;
    size_t count;
    enum oxbow_err err;

    s->f.txn = rig_begin(&s->f.rig, OXBOW_TXN_READ);
    err = oxbow_stream_info(s->f.txn, BYTES("s"), &info);
    if (err == OXBOW_OK) {
        assert_int_equal(info.entries_added % 20, 0);
        assert_int_equal(info.last_id.ms, info.entries_added);
        assert_ok(oxbow_stream_read(s->f.txn, BYTES("s"), OXBOW_ID_MIN, 0, &s->f.result));
        assert_int_equal(s->f.result.entry_count, info.length);
        assert_ok(oxbow_group_pending_summary(s->f.txn, g(), &sum));
        assert_ok(oxbow_group_pending(s->f.txn, g(), &filter, &s->f.result, rows, &count));
        assert_int_equal(count, sum.count);
    } else {
        assert_err(err, OXBOW_ENOENT);
        info.entries_added = 0;
    }
    check_places(s, info.entries_added / 20);
    check_priorities(s, info.entries_added / 20);
    rig_commit(s->f.txn);
    return (int)(info.entries_added / 20);
}

static void scene_begin(struct scene *s)
{
    memset(s, 0, sizeof *s);
    rig_init(&s->f.rig, OXBOW_SYNC_INTERVAL);
    fault_init(&s->fault, &s->f.rig.port);
    s->f.rig.config.port = &s->fault.port;
    rig_open(&s->f.rig);
}

/* Heals, opens again, and sees whether nothing that was committed and flushed is missing and the
 * rest can be done. */
static void scene_end(struct scene *s)
{
    int found;

    fault_disarm(&s->fault);
    if (s->f.rig.db != NULL) {
        enum oxbow_err err = oxbow_close(s->f.rig.db);

        (void)err; /* a failed store says so again */
        s->f.rig.db = NULL;
    }
    rig_open(&s->f.rig);
    found = check_state(s);
    assert_in_range(found, s->durable, STAGES);
    s->committed = found;
    assert_ok(run_stages(s));
    assert_int_equal(check_state(s), STAGES);
    oxbow_result_fini(&s->f.result);
    rig_close(&s->f.rig);
    assert_int_equal(s->fault.live_bytes, 0);
    rig_fini(&s->f.rig);
}

static void every_allocation_may_fail(void **state)
{
    static struct scene s;
    uint64_t n, points = 0;

    (void)state;
    for (n = 1;; n++) {
        enum oxbow_err err;

        scene_begin(&s);
        fault_arm_alloc(&s.fault, n, 1);
        err = run_stages(&s);
        fault_disarm(&s.fault);
        if (s.fault.alloc_failed == 0) {
            assert_ok(err);
            scene_end(&s);
            break;
        }
        points++;
        scene_end(&s);
    }
    printf("%llu allocations failed\n", (unsigned long long)points);
    assert_true(points >= 10);
}

static void every_write_and_sync_may_fail(void **state)
{
    static struct scene s;
    uint64_t n, points = 0;

    (void)state;
    for (n = 1;; n++) {
        enum oxbow_err err;

        scene_begin(&s);
        io_arm(n);
        err = run_stages(&s);
        io_fails = 0;
        if (io_failed == 0) {
            assert_ok(err);
            scene_end(&s);
            break;
        }
        points++;
        scene_end(&s);
    }
    printf("%llu writes and syncs failed\n", (unsigned long long)points);
    assert_true(points >= 2 * STAGES); /* at least a write and a sync for each flush */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_write_and_sync_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
