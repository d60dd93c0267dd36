/* SPDX-License-Identifier: Apache-2.0 */
/* A store that was cut off notes where it stood, and judges the target's first word by that. */
#include "engine/queue/forward_doubt.h"

#include "engine/store/kv.h"
#include "oxbow/forward.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "tests/support/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct oxbow_forward_options stream_options = {
    .key = {"readings", 8}, .type = OXBOW_TYPE_STREAM, .target = {"t", 1}};
static const struct oxbow_forward_options list_options = {
    .key = {"jobs", 4}, .type = OXBOW_TYPE_LIST, .target = {"u", 1}};

static int set_up(void **state)
{
    static struct rig rig;
    struct oxbow_txn *txn;

    rig_init(&rig, OXBOW_SYNC_INTERVAL);
    rig.config.on_failure = OXBOW_FAILURE_MEMORY;
    rig_open(&rig);
    txn = rig_begin(&rig, 0);
    assert_int_equal(oxbow_forward_create(txn, "s", &stream_options), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "l", &list_options), OXBOW_OK);
    rig_commit(txn);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    rig_fini(*state);
    return 0;
}

/* What the device has is opened again, as after a power cut. */
static void cut_off(struct rig *rig)
{
    char command[1200];

    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
    (void)snprintf(command, sizeof command, "cp -a '%s' '%s.copy'", rig->store, rig->store);
    assert_int_equal(system(command), 0);
    rig_close(rig);
    (void)snprintf(command, sizeof command, "rm -r '%s' && mv '%s.copy' '%s'", rig->store,
                   rig->store, rig->store);
    assert_int_equal(system(command), 0);
    rig_open(rig);
}

static void add(struct rig *rig, uint64_t from, uint64_t to)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);
    const struct oxbow_field field = {BYTES("v"), BYTES("w")};
    struct oxbow_bytes value = BYTES("x");

    for (uint64_t ms = from; ms <= to; ms++) {
        const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {ms, 0}};

        assert_int_equal(oxbow_stream_add(txn, BYTES("readings"), &opt, &field, 1, NULL), OXBOW_OK);
        assert_int_equal(oxbow_list_push(txn, BYTES("jobs"), OXBOW_RIGHT, &value, 1, NULL),
                         OXBOW_OK);
    }
    rig_commit(txn);
}

static struct oxbow_forward_status status(struct rig *rig, const char *name)
{
    struct oxbow_txn *txn = rig_begin(rig, OXBOW_TXN_READ);
    struct oxbow_forward_status s;

    assert_int_equal(oxbow_forward_status(txn, name, &s), OXBOW_OK);
    rig_commit(txn);
    return s;
}

static struct oxbow_forward_resync resync(struct rig *rig, const char *name, struct oxbow_id target)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);
    struct oxbow_forward_resync out;

    assert_int_equal(oxbow_forward_resync(txn, name, target, &out), OXBOW_OK);
    rig_commit(txn);
    return out;
}

/* The note of a forward, by the number it was made under. */
static bool noted(struct rig *rig, uint8_t id, struct oxbow_id *end)
{
    struct oxbow_txn *txn = rig_begin(rig, OXBOW_TXN_READ);
    const uint8_t key[6] = {KV_SPACE_FORWARD, 'd', 0, 0, 0, id};
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, (struct oxbow_bytes){key, sizeof key}, &value);

    if (err == OXBOW_OK) {
        memcpy(end, value.data, sizeof *end);
    }
    rig_commit(txn);
    return err == OXBOW_OK;
}

static struct oxbow_id list_at(struct rig *rig, uint64_t n)
{
    return (struct oxbow_id){status(rig, "l").end.ms, n};
}

static void a_store_that_was_closed_notes_nothing(void **state)
{
    struct rig *rig = *state;
    struct oxbow_id end;

    add(rig, 1, 5);
    rig_reopen(rig);
    assert_false(noted(rig, 1, &end));
    assert_false(noted(rig, 2, &end));
    assert_false(resync(rig, "s", (struct oxbow_id){3, 0}).lasting);
}

static void a_target_within_what_was_here_is_judged_as_ever(void **state)
{
    struct rig *rig = *state;
    struct oxbow_forward_resync r;
    struct oxbow_id end;

    add(rig, 1, 5);
    cut_off(rig);
    assert_true(noted(rig, 1, &end));
    assert_int_equal(end.ms, 5);
    assert_true(noted(rig, 2, &end));
    assert_int_equal(end.seq, 5);
    add(rig, 6, 9);
    r = resync(rig, "s", (struct oxbow_id){3, 0});
    assert_int_equal(r.outcome, OXBOW_RESYNC_AHEAD);
    assert_true(r.lasting);
    r = resync(rig, "l", list_at(rig, 5));
    assert_int_equal(r.outcome, OXBOW_RESYNC_AHEAD);
    assert_true(r.lasting);
    assert_false(noted(rig, 1, &end));
    assert_false(noted(rig, 2, &end));
    assert_false(resync(rig, "l", list_at(rig, 5)).lasting);
    assert_int_equal(resync(rig, "l", list_at(rig, 8)).outcome, OXBOW_RESYNC_AHEAD);
}

static void the_first_note_stays_until_the_target_was_asked(void **state)
{
    struct rig *rig = *state;
    struct oxbow_id end;

    add(rig, 1, 5);
    cut_off(rig);
    add(rig, 6, 9);
    rig_reopen(rig);
    assert_true(noted(rig, 1, &end));
    assert_int_equal(end.ms, 5);
    cut_off(rig);
    assert_true(noted(rig, 1, &end));
    assert_int_equal(end.ms, 5);
    assert_true(noted(rig, 2, &end));
    assert_int_equal(end.seq, 5);
}

static void a_list_counts_on_from_what_the_target_has(void **state)
{
    struct oxbow_forward_fetch want = {0};
    struct oxbow_result result = {0};
    struct oxbow_forward_batch batch;
    struct oxbow_forward_resync r;
    struct rig *rig = *state;
    struct oxbow_txn *txn;
    struct oxbow_id end;
    struct oxbow_id eighth;
    struct oxbow_id last;
    uint64_t len;
    bool more;

    add(rig, 1, 5);
    cut_off(rig);
    add(rig, 6, 9);
    eighth = list_at(rig, 8);
    last = list_at(rig, 12);
    r = resync(rig, "l", eighth); /* three were sent from memory */
    assert_int_equal(r.outcome, OXBOW_RESYNC_FORGOTTEN);
    assert_true(r.lasting);
    assert_int_equal(r.resume.seq, 8);
    assert_false(noted(rig, 2, &end));
    assert_int_equal(status(rig, "l").end.seq, 12);
    assert_int_equal(status(rig, "l").unsent_entries, 4);
    want.after = r.resume;
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_forward_fetch(txn, "l", &want, &result, &batch), OXBOW_OK);
    assert_int_equal(batch.count, 4);
    assert_int_equal(batch.last.seq, 12);
    assert_int_equal(oxbow_forward_confirmed(txn, "l", eighth, &more), OXBOW_OK);
    assert_int_equal(oxbow_list_len(txn, BYTES("jobs"), &len), OXBOW_OK);
    assert_int_equal(len, 4); /* the five that were here before are at the target */
    assert_int_equal(oxbow_forward_confirmed(txn, "l", last, &more), OXBOW_OK);
    assert_int_equal(oxbow_list_len(txn, BYTES("jobs"), &len), OXBOW_OK);
    assert_int_equal(len, 0);
    rig_commit(txn);
    oxbow_result_fini(&result);
    assert_int_equal(status(rig, "l").backlog_entries, 0);
}

static void a_stream_goes_on_above_what_the_target_has(void **state)
{
    struct rig *rig = *state;
    struct oxbow_forward_resync r;

    add(rig, 1, 5);
    cut_off(rig);
    r = resync(rig, "s", (struct oxbow_id){8, 0});
    assert_int_equal(r.outcome, OXBOW_RESYNC_FORGOTTEN);
    assert_true(r.lasting);
    assert_int_equal(r.resume.ms, 8);
    assert_int_equal(status(rig, "s").end.ms, 8);
    assert_int_equal(status(rig, "s").unsent_entries, 0);
    add(rig, 9, 11);
    assert_int_equal(status(rig, "s").unsent_entries, 3);
    assert_int_equal(resync(rig, "s", (struct oxbow_id){8, 0}).outcome, OXBOW_RESYNC_EQUAL);
}

static void a_stream_with_entries_above_the_targets_sends_them(void **state)
{
    struct rig *rig = *state;

    add(rig, 1, 5);
    cut_off(rig);
    add(rig, 20, 22);
    assert_int_equal(resync(rig, "s", (struct oxbow_id){8, 0}).outcome, OXBOW_RESYNC_FORGOTTEN);
    assert_int_equal(status(rig, "s").unsent_entries, 3);
    assert_int_equal(status(rig, "s").end.ms, 22);
}

static void a_stream_with_entries_that_the_target_is_beyond_stops(void **state)
{
    struct rig *rig = *state;
    struct oxbow_id end;

    add(rig, 1, 5);
    cut_off(rig);
    add(rig, 6, 9); /* 8-0 is here and is not what the target has */
    assert_int_equal(resync(rig, "s", (struct oxbow_id){8, 0}).outcome, OXBOW_RESYNC_BEYOND);
    assert_true(noted(rig, 1, &end));
    assert_int_equal(status(rig, "s").unsent_entries, 9);
}

static void without_the_policy_such_a_target_is_beyond(void **state)
{
    struct rig *rig = *state;
    struct oxbow_id end;

    add(rig, 1, 5);
    rig->config.on_failure = OXBOW_FAILURE_STOP;
    cut_off(rig);
    add(rig, 6, 9);
    assert_int_equal(resync(rig, "l", list_at(rig, 8)).outcome, OXBOW_RESYNC_BEYOND);
    assert_int_equal(resync(rig, "s", (struct oxbow_id){8, 0}).outcome, OXBOW_RESYNC_BEYOND);
    assert_true(noted(rig, 1, &end));
    assert_true(noted(rig, 2, &end));
    assert_int_equal(status(rig, "l").unsent_entries, 9);
}

static enum oxbow_err adopt(struct rig *rig, const char *name, struct oxbow_id target)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);
    enum oxbow_err err = oxbow_forward_adopt(txn, name, target);

    if (err == OXBOW_OK) {
        rig_commit(txn);
    } else {
        rig_abort(txn);
    }
    return err;
}

static void an_operator_has_such_a_store_go_on_after_what_the_target_has(void **state)
{
    struct rig *rig = *state;
    struct oxbow_id end;

    add(rig, 1, 5);
    rig->config.on_failure = OXBOW_FAILURE_STOP;
    cut_off(rig);
    add(rig, 20, 22);
    assert_int_equal(resync(rig, "l", list_at(rig, 7)).outcome, OXBOW_RESYNC_BEYOND);
    assert_int_equal(adopt(rig, "l", (struct oxbow_id){list_at(rig, 0).ms + 1, 7}),
                     OXBOW_EIDORDER);                                   /* of another counting */
    assert_int_equal(adopt(rig, "l", list_at(rig, 5)), OXBOW_EIDORDER); /* not beyond the note */
    assert_int_equal(adopt(rig, "l", list_at(rig, 7)), OXBOW_OK);
    assert_int_equal(status(rig, "l").unsent_entries, 3);
    assert_int_equal(status(rig, "l").end.seq, 10);
    assert_false(noted(rig, 2, &end));
    assert_int_equal(resync(rig, "l", list_at(rig, 7)).outcome, OXBOW_RESYNC_EQUAL);
    assert_int_equal(resync(rig, "s", (struct oxbow_id){7, 0}).outcome, OXBOW_RESYNC_BEYOND);
    assert_int_equal(adopt(rig, "s", (struct oxbow_id){21, 0}), OXBOW_EIDORDER); /* 20-0 is here */
    assert_int_equal(adopt(rig, "s", (struct oxbow_id){7, 0}), OXBOW_OK);
    assert_int_equal(status(rig, "s").unsent_entries, 3);
    assert_int_equal(resync(rig, "s", (struct oxbow_id){7, 0}).outcome, OXBOW_RESYNC_EQUAL);
}

static void a_note_that_a_forward_has_passed_counts_for_nothing(void **state)
{
    struct rig *rig = *state;
    struct oxbow_id seventh;
    struct oxbow_txn *txn;

    add(rig, 1, 5);
    cut_off(rig);
    add(rig, 6, 9);
    seventh = list_at(rig, 7);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_forward_sent(txn, "l", seventh), OXBOW_OK);
    rig_commit(txn);
    assert_int_equal(resync(rig, "l", list_at(rig, 9)).outcome, OXBOW_RESYNC_AHEAD);
}

static void a_removed_forward_takes_its_note_along(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn;
    struct oxbow_id end;

    add(rig, 1, 5);
    cut_off(rig);
    txn = rig_begin(rig, OXBOW_TXN_FORCE);
    assert_int_equal(oxbow_forward_remove(txn, "s"), OXBOW_OK);
    rig_commit(txn);
    assert_false(noted(rig, 1, &end));
    assert_true(noted(rig, 2, &end));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_store_that_was_closed_notes_nothing),
        T(a_target_within_what_was_here_is_judged_as_ever),
        T(the_first_note_stays_until_the_target_was_asked),
        T(a_list_counts_on_from_what_the_target_has),
        T(a_stream_goes_on_above_what_the_target_has),
        T(a_stream_with_entries_above_the_targets_sends_them),
        T(a_stream_with_entries_that_the_target_is_beyond_stops),
        T(without_the_policy_such_a_target_is_beyond),
        T(an_operator_has_such_a_store_go_on_after_what_the_target_has),
        T(a_note_that_a_forward_has_passed_counts_for_nothing),
        T(a_removed_forward_takes_its_note_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
