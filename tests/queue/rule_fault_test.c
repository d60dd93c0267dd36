/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that queues can be given, while memory runs out or the device fails: one transaction at a time on
 * a copy of the same store, with its n-th allocation, or n-th call that writes, refused, for n = 1, 2,
 * 3 ... until a run meets no fault.
 *
 * Clocks stand still and chance is a constant, so that undisturbed runs are alike. What a run leaves
 * is what was before or what an undisturbed one leaves, never anything between: the latter if it said
 * OXBOW_OK, the former if it gave another error than OXBOW_EINDOUBT. After an allocation that failed, the same work on the same open
 * store must succeed: what memory keeps is right as well.
 */
#include "tests/queue/rule_world.h"

#include "engine/queue/delay.h"
#include "engine/queue/expire.h"
#include "engine/queue/policy.h"
#include "engine/store/catalog.h"
#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/group_options.h"
#include "oxbow/once.h"
#include "oxbow/patrol.h"
#include "oxbow/policy.h"
#include "oxbow/schedule.h"
#include "oxbow/string.h"
#include "tests/support/fault.h"
#include "tests/support/lmdb_fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what is done ---- */

static enum oxbow_err set_policies(struct oxbow_txn *txn)
{
    const struct oxbow_policy less = {.max_entries = 3, .on_full = OXBOW_POLICY_DROP_OLDEST};

    TRY(oxbow_policy_set(txn, BYTES("ring"), &less));
    TRY(oxbow_policy_set(txn, BYTES("new"), &less));
    return oxbow_policy_set(txn, BYTES("ranked"), &(struct oxbow_policy){.priorities = 2});
}

static enum oxbow_err clear_policies(struct oxbow_txn *txn)
{
    TRY(oxbow_policy_clear(txn, BYTES("ring"), NULL)); /* with what was added once */
    TRY(oxbow_policy_clear(txn, BYTES("tight"), NULL));
    return oxbow_policy_clear(txn, BYTES("belt"), NULL);
}

static enum oxbow_err drop_oldest(struct oxbow_txn *txn)
{
    for (uint64_t i = 1; i <= 3; i++) {
        TRY(rule_add(txn, "ring", 9000000000000 + i, "more", 0, 0));
        TRY(rule_push(txn, "belt", "more"));
    }
    return OXBOW_OK;
}

static enum oxbow_err sweep(struct oxbow_txn *txn)
{
    bool more = true;

    for (int i = 0; more && i < 100; i++) {
        TRY(policy_sweep(txn, &more));
    }
    return OXBOW_OK;
}

static enum oxbow_err put_delays(struct oxbow_txn *txn)
{
    const struct oxbow_delay_when at = {OXBOW_DELAY_WALL, 2000000000000};
    const struct oxbow_delay_when span = {OXBOW_DELAY_FOR, 5};
    const struct oxbow_field field = {BYTES("k"), BYTES("v")};
    struct oxbow_delay_id id;

    TRY(oxbow_delay_add(txn, BYTES("later"), &at, &field, 1, &id));
    TRY(oxbow_delay_set_priority(txn, id, 1));
    return oxbow_delay_push(txn, BYTES("new"), OXBOW_LEFT, &span, BYTES("v"), NULL);
}

static enum oxbow_err change_delays(struct oxbow_txn *txn)
{
    const struct oxbow_delay_when later = {OXBOW_DELAY_FOR, 3 * HOUR_MS};
    struct oxbow_delay_place place = {0};
    struct oxbow_delay_info info;

    TRY(oxbow_delay_next(txn, &place, &info));
    TRY(oxbow_delay_cancel(txn, info.id));
    TRY(oxbow_delay_next(txn, &place, &info));
    return oxbow_delay_move(txn, info.id, &later, NULL);
}

static enum oxbow_err run_delays(struct oxbow_txn *txn)
{
    return oxbow_delay_run(txn, 0, NULL, NULL);
}

static enum oxbow_err give_ttls(struct oxbow_txn *txn)
{
    TRY(rule_add(txn, "brief", 4, "v", 0, HOUR_MS));
    TRY(oxbow_stream_expire(txn, BYTES("brief"), ID(1, 0), 0));
    return oxbow_stream_expire(txn, BYTES("brief"), ID(3, 0), 2 * HOUR_MS);
}

static enum oxbow_err expire(struct oxbow_txn *txn)
{
    bool more = true;

    while (more) {
        more = false;
        TRY(expire_step(txn, &more));
    }
    return OXBOW_OK;
}

static enum oxbow_err add_once(struct oxbow_txn *txn)
{
    static const char *const ids[] = {"b", "c", "d"};
    const struct oxbow_field field = {BYTES("n"), BYTES("2")};
    struct oxbow_once_outcome out;

    for (unsigned i = 0; i < 3; i++) { /* the window is of two: the oldest is forgotten */
        const struct oxbow_once once = {.id = text_bytes(ids[i])};

        TRY(oxbow_once_add(txn, BYTES("ring"), &once, &field, 1, &out));
        if (out.duplicate != (i == 0)) {
            return OXBOW_ECORRUPT;
        }
    }
    return oxbow_once_push(txn, BYTES("new"), OXBOW_RIGHT,
                           &(struct oxbow_once){.producer = BYTES("new"), .sequence = 1},
                           BYTES("v"), &out);
}

static enum oxbow_err add_sequence(struct oxbow_txn *txn)
{
    struct oxbow_once_outcome out;

    for (uint64_t i = 5; i <= 8; i++) {
        const struct oxbow_once once = {.producer = BYTES("pump"), .sequence = i};

        TRY(oxbow_once_push(txn, BYTES("counted"), OXBOW_RIGHT, &once, BYTES("v"), &out));
        if (out.duplicate != (i == 5)) {
            return OXBOW_ECORRUPT;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err forget_once(struct oxbow_txn *txn)
{
    return oxbow_once_forget(txn, BYTES("counted"), BYTES("pump"));
}

static enum oxbow_err set_options(struct oxbow_txn *txn)
{
    const struct oxbow_group_options less = {.visibility_ms = 5 * HOUR_MS, .prefetch = 4};
    const struct oxbow_group_options sole = {.exclusive_ms = HOUR_MS};

    TRY(oxbow_group_options_set(txn, group_of("tasks", "g"), &less));
    TRY(oxbow_group_options_set(txn, group_of("ring", "g"), &sole));
    return rule_read(txn, "ring", "bert", 2);
}

static enum oxbow_err read_tasks(struct oxbow_txn *txn)
{
    const struct oxbow_id two[] = {{2, 0}, {3, 0}};

    TRY(oxbow_group_ack(txn, group_of("tasks", "g"), two, 2, NULL));
    return rule_read(txn, "tasks", "bert", 4);
}

static enum oxbow_err refuse_tasks(struct oxbow_txn *txn)
{
    const struct oxbow_id ids[] = {{2, 0}, {3, 0}, {4, 0}};
    const struct oxbow_group g = group_of("tasks", "g");
    struct oxbow_group_nack_options opt = {.ids = ids, .count = 1};

    TRY(oxbow_group_nack(txn, g, &opt, NULL));
    opt = (struct oxbow_group_nack_options){
        .ids = ids + 1, .count = 1, .how = OXBOW_NACK_DELAY, .delay_ms = 2 * HOUR_MS};
    TRY(oxbow_group_nack(txn, g, &opt, NULL));
    opt = (struct oxbow_group_nack_options){
        .ids = ids + 2, .count = 1, .how = OXBOW_NACK_DEAD, .reason = BYTES("broken")};
    return oxbow_group_nack(txn, g, &opt, NULL);
}

static enum oxbow_err extend_tasks(struct oxbow_txn *txn)
{
    const struct oxbow_id ids[] = {{2, 0}, {3, 0}};

    TRY(oxbow_group_extend(
        txn, group_of("tasks", "g"),
        &(struct oxbow_group_extend_options){.ids = ids, .count = 2, .visible_ms = 7 * HOUR_MS},
        NULL));
    return oxbow_group_consumer_delete(txn, group_of("tasks", "g"), BYTES("anna"), NULL);
}

static enum oxbow_err redrive(struct oxbow_txn *txn)
{
    struct oxbow_redrive out;

    return oxbow_redrive(txn, BYTES("dead"), NULL, &out);
}

/* What anna had is given again, and again: then it is dead. */
static enum oxbow_err take_back(struct oxbow_txn *txn)
{
    for (unsigned i = 0; i < 4; i++) {
        TRY(rule_read(txn, "tasks", "bert", 4));
    }
    return OXBOW_OK;
}

static enum oxbow_err rank(struct oxbow_txn *txn)
{
    const struct oxbow_id ids[] = {{2, 0}, {7, 0}};

    TRY(rule_add(txn, "ranked", 10, "v", 2, 0));
    TRY(rule_add(txn, "ranked", 11, "v", 0, 0));
    TRY(rule_read(txn, "ranked", "bert", 4));
    TRY(oxbow_group_ack(txn, group_of("ranked", "g"), ids, 1, NULL));
    TRY(oxbow_stream_delete(txn, BYTES("ranked"), ids, 2, NULL));
    return oxbow_stream_trim(txn, BYTES("ranked"),
                             &(struct oxbow_stream_trim){.by = OXBOW_TRIM_MAXLEN, .maxlen = 6},
                             NULL);
}

static enum oxbow_err set_schedules(struct oxbow_txn *txn)
{
    const struct oxbow_field field = {BYTES("k"), BYTES("v")};
    const struct oxbow_schedule_options tock = {
        .when = BYTES("30 3 * * *"), .key = BYTES("new"), .fields = &field, .field_count = 1};

    TRY(oxbow_schedule_set(txn, "tock", &tock));
    return oxbow_schedule_pause(txn, "tick", true);
}

static enum oxbow_err remove_schedule(struct oxbow_txn *txn)
{
    return oxbow_schedule_remove(txn, "tick");
}

static enum oxbow_err run_schedules(struct oxbow_txn *txn)
{
    return oxbow_schedule_run(txn, 0, NULL, NULL);
}

static enum oxbow_err set_strings(struct oxbow_txn *txn)
{
    static const char big[RULE_BIG + 10];

    TRY(oxbow_string_set(txn, BYTES("state"), (struct oxbow_bytes){big, sizeof big}));
    TRY(oxbow_string_set(txn, BYTES("large"), BYTES("small")));
    return oxbow_string_set(txn, BYTES("new"), BYTES("v"));
}

/* One with a group that has something pending, and one with times to live. */
static enum oxbow_err copy_streams(struct oxbow_txn *txn)
{
    bool copied;

    TRY(oxbow_key_copy(txn, BYTES("ring"), 0, BYTES("new"), false, &copied));
    return oxbow_key_copy(txn, BYTES("brief"), 0, BYTES("state"), true, &copied);
}

static enum oxbow_err patrol(struct oxbow_txn *txn)
{
    const struct oxbow_patrol_options opt = {
        .processing = BYTES("work"), .to = BYTES("todo"), .timeout_ms = 1000};
    struct oxbow_patrol found;

    return oxbow_list_patrol(txn, &opt, &found);
}

/* Clocks have gone on by pass_ms when the store is opened. Where something is due by then, the store does it by itself as well. */
static const struct row {
    const char *name;
    enum oxbow_err (*act)(struct oxbow_txn *txn);
    uint64_t pass_ms;
    bool blobs; /* it writes one: an id of it is used up by a try that failed */
} rows[] = {
    {"policies are set", set_policies, 10, false},
    {"policies are cleared", clear_policies, 10, false},
    {"limits drop", drop_oldest, 10, false},
    {"ages and what is kept end", sweep, 2 * HOUR_MS, false},
    {"entries are delayed", put_delays, 1, false},
    {"delays are changed", change_delays, 10, false},
    {"delays are over", run_delays, 2 * HOUR_MS, false},
    {"times to live are given", give_ttls, 10, false},
    {"times to live are over", expire, 2 * HOUR_MS, false},
    {"entries are added once", add_once, 10, false},
    {"a sequence goes on", add_sequence, 10, false},
    {"a producer is forgotten", forget_once, 10, false},
    {"groups are given options", set_options, 10, false},
    {"a group with options is read", read_tasks, 10, false},
    {"entries are refused", refuse_tasks, 10, false},
    {"entries are extended", extend_tasks, 10, false},
    {"dead letters are sent back", redrive, 10, false},
    {"entries are given again until they are dead", take_back, 2 * HOUR_MS, false},
    {"entries have priorities", rank, 10, false},
    {"schedules are set", set_schedules, 10, false},
    {"a schedule is removed", remove_schedule, 10, false},
    {"schedules add", run_schedules, 2 * HOUR_MS, false},
    {"strings are set", set_strings, 10, true},
    {"a list is patrolled", patrol, 10 * HOUR_MS, false},
    {"streams are copied", copy_streams, 10, false},
};
#define ROWS (sizeof rows / sizeof rows[0])

/* ---- a store that is always the same ---- */

static struct rig original;

static enum oxbow_err constant(void *ctx, void *out, size_t len)
{
    (void)ctx;
    memset(out, 0x5a, len);
    return OXBOW_OK;
}

static void copy_file(const char *from, const char *to)
{
    static char buf[1u << 20];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ssize_t n;

    assert_true(in >= 0 && out >= 0);
    while ((n = read(in, buf, sizeof buf)) > 0) {
        assert_int_equal(write(out, buf, (size_t)n), n);
    }
    assert_int_equal(n, 0);
    assert_int_equal(close(in), 0);
    assert_int_equal(close(out), 0);
}

static void copy_store(const struct rig *to)
{
    DIR *dir = opendir(original.store);
    struct dirent *e;

    assert_non_null(dir);
    assert_int_equal(mkdir(to->store, 0700), 0);
    while ((e = readdir(dir)) != NULL) {
        char a[600];
        char b[600];

        if (e->d_name[0] != '.' && strcmp(e->d_name, "lock.mdb") != 0) {
            (void)snprintf(a, sizeof a, "%s/%s", original.store, e->d_name);
            (void)snprintf(b, sizeof b, "%s/%s", to->store, e->d_name);
            copy_file(a, b);
        }
    }
    assert_int_equal(closedir(dir), 0);
}

static void same_each_time(struct rig *rig)
{
    rig->port.random = (struct oxbow_random){NULL, constant};
    rig->config.quota_bytes = 1u << 20;
    rig->config.journal_segments = 2;
}

/* ---- a run ---- */

struct leaves {
    char open[RULE_TEXT]; /* before it was closed */
    char text[RULE_TEXT];
    uint64_t sum;
};

struct run {
    const struct row *row;
    struct rig rig;
    struct fault fault;
    struct leaves leaves;
};

static struct leaves before;
static struct leaves after;

static void run_begin(struct run *r, const struct row *row)
{
    memset(r, 0, sizeof *r);
    r->row = row;
    rig_init(&r->rig, OXBOW_SYNC_ALWAYS);
    same_each_time(&r->rig);
    rig_pass_ms(&r->rig, row->pass_ms);
    copy_store(&r->rig);
    fault_init(&r->fault, &r->rig.port);
    r->rig.config.port = &r->fault.port;
    rig_open(&r->rig);
}

static enum oxbow_err run_act(struct run *r)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(r->rig.db, NULL, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = r->row->act(txn);
    if (err != OXBOW_OK) {
        oxbow_txn_abort(txn);
        return err;
    }
    return oxbow_txn_commit(txn, NULL);
}

/* Does all that the store does by itself when it has time. */
static void settle(struct rig *rig)
{
    bool more[3] = {true, false, false};

    while (more[0] || more[1] || more[2]) {
        struct oxbow_txn *txn = rig_begin(rig, 0);

        memset(more, 0, sizeof more);
        assert_ok(catalog_reap(txn, &more[0]));
        assert_ok(delay_idle(txn, &more[1]));
        assert_ok(policy_sweep(txn, &more[2]));
        rig_commit(txn);
    }
}

/* What the open store shows, after all that is due and what was put off was done. */
static void look(struct run *r)
{
    if (r->row->pass_ms > HOUR_MS) {
        rig_pass_ms(&r->rig, 120000);
    }
    settle(&r->rig);
    rule_world_tell(&r->rig, r->leaves.open);
}

/* What the next opening finds, and makes of what is due. */
static void run_end(struct run *r)
{
    enum oxbow_err err = r->rig.db != NULL ? oxbow_close(r->rig.db) : OXBOW_OK;

    (void)err; /* a store that failed says so again */
    r->rig.db = NULL;
    (void)lmdb_fault_disarm();
    fault_disarm(&r->fault);
    if (r->row->pass_ms > HOUR_MS) {
        rig_pass_ms(&r->rig, 120000); /* what it could not do was put off */
    }
    rig_open(&r->rig);
    settle(&r->rig);
    rule_world_tell(&r->rig, r->leaves.text);
    r->leaves.sum = rule_world_sum(&r->rig);
    rig_close(&r->rig);
    assert_int_equal(r->fault.live_bytes, 0);
    rig_fini(&r->rig);
}

static bool is(const struct run *r, const struct leaves *wanted, bool sums)
{
    return strcmp(r->leaves.text, wanted->text) == 0 && (!sums || r->leaves.sum == wanted->sum);
}

/* The lines of `found` that are not in `wanted`. */
static void print_new_lines(const char *what, const char *found, const char *wanted)
{
    char line[2048];

    for (const char *p = found; *p != '\0'; p += strcspn(p, "\n") + 1) {
        (void)snprintf(line, sizeof line, "%.*s\n", (int)strcspn(p, "\n"), p);
        if (strstr(wanted, line) == NULL) {
            print_message("%s: %s", what, line);
        }
    }
}

static void assert_is(const struct run *r, bool may_before, bool may_after, bool sums, uint64_t n)
{
    const struct leaves *wanted = may_after ? &after : &before;

    if ((may_before && is(r, &before, sums)) || (may_after && is(r, &after, sums))) {
        return;
    }
    print_message("%s, call %u: before? %d after? %d\n", r->row->name, (unsigned)n, may_before,
                  may_after);
    print_new_lines("found", r->leaves.text, wanted->text);
    print_new_lines("wanted", wanted->text, r->leaves.text);
    fail();
}

static void learn(struct run *r, const struct row *row)
{
    run_begin(r, row);
    run_end(r);
    before = r->leaves;
    run_begin(r, row);
    assert_ok(run_act(r));
    look(r);
    run_end(r);
    after = r->leaves;
    if (row->pass_ms < HOUR_MS) {
        assert_string_not_equal(before.text, after.text);
    }
}

/* ---- memory ---- */

static uint64_t allocations_fail(struct run *r, const struct row *row)
{
    uint64_t points = 0;
    bool met = true;

    for (uint64_t n = 1; met; n++) {
        enum oxbow_err err;
        bool failed;

        run_begin(r, row);
        fault_arm_alloc(&r->fault, n, 1);
        err = run_act(r);
        fault_disarm(&r->fault);
        met = r->fault.alloc_failed > 0;
        failed = err != OXBOW_OK;
        points += failed;
        if (failed) {
            assert_err(err, OXBOW_ENOMEM);
            assert_ok(run_act(r));
        }
        look(r);
        print_new_lines("open", r->leaves.open, after.open);
        assert_string_equal(r->leaves.open, after.open);
        run_end(r);
        assert_is(r, false, true, row->pass_ms < HOUR_MS && !(row->blobs && failed), n);
    }
    return points;
}

static void every_allocation_may_fail(void **state)
{
    static struct run r;
    uint64_t points = 0;

    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        uint64_t here;

        learn(&r, &rows[i]);
        here = allocations_fail(&r, &rows[i]);
        assert_true(here > 0);
        points += here;
    }
    print_message("%u allocations failed\n", (unsigned)points);
    assert_true(points > 150);
}

/* ---- the device ---- */

static uint64_t calls_fail(struct run *r, const struct row *row, bool lmdb)
{
    uint64_t points = 0;
    uint64_t met = 1;

    for (uint64_t n = 1; met > 0; n++) {
        bool flushed = true;
        enum oxbow_err err;

        run_begin(r, row);
        if (lmdb) {
            lmdb_fault_arm(LMDB_FAULT_WRITING | LMDB_FAULT_MEMORY, n, EIO);
        } else {
            fault_arm_files(&r->fault, FAULT_WRITING, n, 1, OXBOW_EIO);
        }
        err = run_act(r);
        if (err == OXBOW_OK && oxbow_flush(r->rig.db) != OXBOW_OK) {
            flushed = false; /* what was done with it, or what the store does by itself */
        }
        run_end(r);
        met = lmdb ? lmdb_fault_disarm() : r->fault.file_failed;
        points += met;
        assert_true((err == OXBOW_OK && flushed) || met > 0);
        assert_is(r, err != OXBOW_OK, err == OXBOW_OK || err == OXBOW_EINDOUBT,
                  row->pass_ms < HOUR_MS && !row->blobs, n);
    }
    return points;
}

static void every_writing_call_may_fail(void **state)
{
    static struct run r;
    uint64_t ports = 0;
    uint64_t lmdbs = 0;

    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        learn(&r, &rows[i]);
        ports += calls_fail(&r, &rows[i], false);
        lmdbs += calls_fail(&r, &rows[i], true);
    }
    print_message("failed: %u calls of the port, %u of LMDB\n", (unsigned)ports, (unsigned)lmdbs);
    assert_true(ports + lmdbs > 20 * ROWS); /* without a journal nearly all of them LMDB's */
}

/* ---- */

static int make(void **state)
{
    (void)state;
    rig_init(&original, OXBOW_SYNC_ALWAYS);
    same_each_time(&original);
    rig_open(&original);
    rule_world_make(&original);
    rig_close(&original);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    rig_fini(&original);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_writing_call_may_fail),
    };

    return cmocka_run_group_tests(tests, make, drop);
}
