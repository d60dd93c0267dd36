/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bindings and strings while memory runs out or the device fails: the same work with its n-th allocation,
 * or n-th writing call, refused, for n = 1, 2, 3 ... until a run meets no fault. Every run works or says
 * why not, leaks nothing, and afterwards a source and its destinations agree.
 */
#include "tests/queue/binding_fixture.h"

#include "oxbow/string.h"
#include "tests/support/fault.h"
#include "tests/support/lmdb_fault.h"

#include <errno.h>

#define STAGES 4

struct scene {
    struct streams f;
    struct fault fault;
    int committed;
};

static enum oxbow_err bind_stage(struct scene *s)
{
    const struct oxbow_field header = {BYTES("k"), BYTES("x.a.b")};
    const struct oxbow_binding all[] = {
        {.source = BYTES("from"), .destination = BYTES("to")},
        {.source = BYTES("from"),
         .destination = BYTES("elements"),
         .type = OXBOW_TYPE_LIST,
         .kind = OXBOW_BIND_TOPIC,
         .on_full = OXBOW_BINDING_SKIP,
         .field = BYTES("k"),
         .pattern = BYTES("#.a.*"),
         .value_field = BYTES("k")},
        {.source = BYTES("to"),
         .destination = BYTES("end"),
         .kind = OXBOW_BIND_HEADERS,
         .headers = &header,
         .header_count = 1},
    };
    enum oxbow_err err = OXBOW_OK;

    for (size_t i = 0; i < sizeof all / sizeof all[0] && err == OXBOW_OK; i++) {
        err = oxbow_bind(s->f.txn, &all[i], NULL);
    }
    return err == OXBOW_OK ? oxbow_source_set(s->f.txn, BYTES("from"),
                                              &(struct oxbow_source){.alternate = BYTES("rest")})
                           : err;
}

static enum oxbow_err stage(struct scene *s, int n)
{
    static const char bytes[70000];
    const struct oxbow_field fields[] = {{BYTES("k"), BYTES("x.a.b")},
                                         {BYTES("f"), {bytes, n == 1 ? 5000 : 10}}};
    const struct oxbow_binding more = {.source = BYTES("end"), .destination = BYTES("more")};
    uint32_t id = 0;
    enum oxbow_err err = n == 0 ? bind_stage(s) : OXBOW_OK;

    if (err == OXBOW_OK) {
        err = oxbow_stream_add(s->f.txn, BYTES("from"), NULL, fields, 2, NULL);
    }
    if (err == OXBOW_OK) {
        err = oxbow_bind(s->f.txn, &more, &id);
    }
    if (err == OXBOW_OK) {
        err = oxbow_unbind(s->f.txn, id);
    }
    return err == OXBOW_OK ? oxbow_string_set(s->f.txn, BYTES("state"),
                                              (struct oxbow_bytes){bytes, n == 2 ? 70000 : 10})
                           : err;
}

static enum oxbow_err run_stages(struct scene *s)
{
    for (int n = s->committed; n < STAGES; n++) {
        enum oxbow_err err = oxbow_txn_begin(s->f.rig.db, NULL, &s->f.txn);

        if (err != OXBOW_OK) {
            return err;
        }
        err = stage(s, n);
        if (err != OXBOW_OK) {
            oxbow_txn_abort(s->f.txn);
            return err;
        }
        err = oxbow_txn_commit(s->f.txn, NULL);
        if (err != OXBOW_OK) {
            return err;
        }
        s->committed++;
    }
    return OXBOW_OK;
}

/* How many stages the store has seen, in all of its queues alike. */
static int check_state(struct scene *s)
{
    static const char *const streams[] = {"to", "end"};
    struct oxbow_source_info info = {0};
    uint64_t stages, len;

    s->f.txn = rig_begin(&s->f.rig, OXBOW_TXN_READ);
    stages = stream_count(&s->f, "from");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(stream_count(&s->f, streams[i]), stages);
    }
    assert_int_equal(stream_count(&s->f, "more"), 0);
    assert_ok(oxbow_list_len(s->f.txn, BYTES("elements"), &len));
    assert_int_equal(len, stages);
    assert_ok(oxbow_string_len(s->f.txn, BYTES("state"), &len));
    assert_int_equal(len, stages == 0 ? 0 : stages == 3 ? 70000 : 10);
    if (stages > 0) {
        assert_ok(oxbow_source_get(s->f.txn, BYTES("from"), &info));
    }
    assert_int_equal(info.entries, stages);
    assert_int_equal(info.routed, 2 * stages);
    assert_int_equal(info.bindings, stages > 0 ? 2 : 0);
    rig_commit(s->f.txn);
    return (int)stages;
}

static void scene_begin(struct scene *s)
{
    memset(s, 0, sizeof *s);
    rig_init(&s->f.rig, OXBOW_SYNC_ALWAYS);
    fault_init(&s->fault, &s->f.rig.port);
    s->f.rig.config.port = &s->fault.port;
    rig_open(&s->f.rig);
}

/* Heals, and without opening again if that will do: what memory keeps must be right as well. */
static void scene_end(struct scene *s, bool reopen)
{
    int found;

    fault_disarm(&s->fault);
    if (reopen) {
        enum oxbow_err err = oxbow_close(s->f.rig.db);

        (void)err; /* a failed store says so again */
        s->f.rig.db = NULL;
        rig_open(&s->f.rig);
    }
    found = check_state(s);
    assert_in_range(found, s->committed, STAGES);
    s->committed = found;
    assert_ok(run_stages(s));
    assert_int_equal(check_state(s), STAGES);
    rig_reopen(&s->f.rig);
    assert_int_equal(check_state(s), STAGES);
    oxbow_result_fini(&s->f.result);
    rig_close(&s->f.rig);
    assert_int_equal(s->fault.live_bytes, 0);
    rig_fini(&s->f.rig);
}

static void every_allocation_may_fail(void **state)
{
    static struct scene s;
    uint64_t points = 0;
    bool met = true;

    (void)state;
    for (uint64_t n = 1; met; n++) {
        enum oxbow_err err;

        scene_begin(&s);
        fault_arm_alloc(&s.fault, n, 1);
        err = run_stages(&s);
        fault_disarm(&s.fault);
        met = s.fault.alloc_failed > 0;
        assert_true(err == OXBOW_OK || met);
        points += err != OXBOW_OK;
        scene_end(&s, false);
    }
    assert_true(points > 20);
}

/* One call that writes fails after another: the port's, or LMDB's own. */
static uint64_t writing_calls_fail(struct scene *s, bool lmdb)
{
    uint64_t points = 0;
    uint64_t met = 1;

    for (uint64_t n = 1; met > 0; n++) {
        enum oxbow_err err;

        scene_begin(s);
        if (lmdb) {
            lmdb_fault_arm(LMDB_FAULT_WRITING, n, EIO);
        } else {
            fault_arm_files(&s->fault, FAULT_WRITING, n, 1, OXBOW_EIO);
        }
        err = run_stages(s);
        met = lmdb ? lmdb_fault_disarm() : s->fault.file_failed;
        assert_true(err == OXBOW_OK || met > 0);
        points += met;
        scene_end(s, true);
    }
    return points;
}

static void every_writing_call_may_fail(void **state)
{
    static struct scene s;
    uint64_t ports;
    uint64_t lmdbs;

    (void)state;
    ports = writing_calls_fail(&s, false);
    lmdbs = writing_calls_fail(&s, true); /* most of them without a journal */
    print_message("failed: %d calls of the port, %d of LMDB\n", (int)ports, (int)lmdbs);
    assert_true(ports + lmdbs > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_writing_call_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
