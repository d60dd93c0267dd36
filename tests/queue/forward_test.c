/* SPDX-License-Identifier: Apache-2.0 */
/* Forwards as the session and the application see them. */
#include "oxbow/forward.h"

#include "oxbow/group.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "tests/support/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct oxbow_forward_options stream_options = {
    .key = {"readings", 8}, .type = OXBOW_TYPE_STREAM, .target = {"t", 1}};
static const struct oxbow_forward_options list_options = {
    .key = {"jobs", 4}, .type = OXBOW_TYPE_LIST, .target = {"u", 1}};

static int set_up(void **state)
{
    static struct rig rig;

    rig_init(&rig, OXBOW_SYNC_INTERVAL);
    rig_open(&rig);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    rig_fini(*state);
    return 0;
}

static void create(struct rig *rig, const char *name, const struct oxbow_forward_options *opt)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);

    assert_int_equal(oxbow_forward_create(txn, name, opt), OXBOW_OK);
    rig_commit(txn);
}

/* Adds the entry ms-0 with a value of `len` bytes; the field's name has 1. */
static enum oxbow_err try_add(struct oxbow_txn *txn, uint64_t ms, size_t len)
{
    static const char zeros[1024];
    const struct oxbow_field field = {BYTES("v"), {zeros, len}};
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {ms, 0}};

    return oxbow_stream_add(txn, BYTES("readings"), &opt, &field, 1, NULL);
}

static void add(struct rig *rig, uint64_t from, uint64_t to)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);

    for (uint64_t ms = from; ms <= to; ms++) {
        assert_int_equal(try_add(txn, ms, 9), OXBOW_OK);
    }
    rig_commit(txn);
}

static void push(struct rig *rig, const char *value)
{
    struct oxbow_bytes v = {value, strlen(value)};
    struct oxbow_txn *txn = rig_begin(rig, 0);

    assert_int_equal(oxbow_list_push(txn, BYTES("jobs"), OXBOW_RIGHT, &v, 1, NULL), OXBOW_OK);
    rig_commit(txn);
}

static struct oxbow_forward_batch fetch(struct rig *rig, const char *name, struct oxbow_id after,
                                        struct oxbow_result *result)
{
    const struct oxbow_forward_fetch want = {.after = after};
    struct oxbow_txn *txn = rig_begin(rig, OXBOW_TXN_READ);
    struct oxbow_forward_batch batch;

    assert_int_equal(oxbow_forward_fetch(txn, name, &want, result, &batch), OXBOW_OK);
    rig_commit(txn);
    return batch;
}

static bool confirm(struct rig *rig, const char *name, struct oxbow_id position)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);
    bool more;

    assert_int_equal(oxbow_forward_confirmed(txn, name, position, &more), OXBOW_OK);
    rig_commit(txn);
    return more;
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

static uint64_t length(struct rig *rig)
{
    struct oxbow_txn *txn = rig_begin(rig, OXBOW_TXN_READ);
    uint64_t len;

    assert_int_equal(oxbow_stream_len(txn, BYTES("readings"), &len), OXBOW_OK);
    rig_commit(txn);
    return len;
}

static void trim(struct rig *rig, uint64_t expected)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);
    uint64_t removed;
    bool more;

    assert_int_equal(oxbow_forward_trim(txn, "f", &removed, &more), OXBOW_OK);
    assert_int_equal(removed, expected);
    rig_commit(txn);
}

static void what_is_there_and_what_comes_is_given_in_order(void **state)
{
    struct oxbow_result result = {0};
    struct oxbow_forward_batch batch;
    struct rig *rig = *state;

    add(rig, 1, 3);
    create(rig, "f", &stream_options);
    add(rig, 4, 5);
    batch = fetch(rig, "f", OXBOW_ID_MIN, &result);
    assert_int_equal(batch.count, 5);
    assert_int_equal(batch.bytes, 50);
    assert_int_equal(batch.last.ms, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(result.entries[i].id.ms, i + 1);
    }
    batch = fetch(rig, "f", batch.last, &result);
    assert_int_equal(batch.count, 0);
    assert_int_equal(result.entry_count, 0);
    assert_int_equal(status(rig, "f").backlog_entries, 5);
    assert_int_equal(status(rig, "f").backlog_bytes, 50);
    oxbow_result_fini(&result);
}

static void positions_survive_a_reopen_and_never_go_back(void **state)
{
    struct rig *rig = *state;
    struct oxbow_forward_status s;

    create(rig, "f", &stream_options);
    add(rig, 1, 10);
    assert_false(confirm(rig, "f", (struct oxbow_id){6, 0}));
    assert_false(confirm(rig, "f", (struct oxbow_id){2, 0}));
    rig_reopen(rig);
    s = status(rig, "f");
    assert_int_equal(s.confirmed.ms, 6);
    assert_int_equal(s.sent.ms, 6);
    assert_int_equal(s.backlog_entries, 4);
    assert_int_equal(s.backlog_bytes, 40);
    assert_int_equal(s.unsent_entries, 4);
}

static void a_position_beyond_the_end_is_refused(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn;

    create(rig, "f", &stream_options);
    add(rig, 1, 3);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_forward_sent(txn, "f", (struct oxbow_id){4, 0}), OXBOW_ERANGE);
    assert_int_equal(oxbow_forward_sent(txn, "nobody", (struct oxbow_id){1, 0}), OXBOW_ENOENT);
    rig_abort(txn);
}

static void confirmed_entries_stay_for_the_hold_and_go_after_it(void **state)
{
    struct oxbow_forward_options opt = stream_options;
    struct rig *rig = *state;

    opt.hold_ms = 60000;
    create(rig, "f", &opt);
    add(rig, 1, 10);
    confirm(rig, "f", (struct oxbow_id){4, 0});
    trim(rig, 0);
    rig_pass_ms(rig, 30000);
    confirm(rig, "f", (struct oxbow_id){8, 0});
    rig_pass_ms(rig, 30000);
    trim(rig, 4);
    assert_int_equal(length(rig), 6);
    rig_pass_ms(rig, 30000);
    trim(rig, 4);
    rig_pass_ms(rig, 600000);
    trim(rig, 0);
    assert_int_equal(length(rig), 2);
}

static void a_jump_of_the_wall_clock_ends_no_hold(void **state)
{
    struct oxbow_forward_options opt = stream_options;
    struct rig *rig = *state;

    opt.hold_ms = 60000;
    create(rig, "f", &opt);
    add(rig, 1, 4);
    confirm(rig, "f", (struct oxbow_id){4, 0});
    rig->wall_ms += 56ull * 365 * 86400000;
    trim(rig, 0);
    rig_reopen(rig); /* a new boot: the hold starts again */
    trim(rig, 0);
    rig_pass_ms(rig, 59000);
    trim(rig, 0);
    rig_pass_ms(rig, 2000);
    trim(rig, 4);
}

static void more_than_hold_bytes_is_not_held(void **state)
{
    struct oxbow_forward_options opt = stream_options;
    struct rig *rig = *state;

    opt.hold_bytes = 35;
    create(rig, "f", &opt);
    add(rig, 1, 10);
    confirm(rig, "f", (struct oxbow_id){10, 0});
    trim(rig, 7); /* 100 bytes are held, 65 too many */
    trim(rig, 0);
    assert_int_equal(length(rig), 3);
}

static void an_undelivered_entry_is_protected_and_a_delivered_one_is_not(void **state)
{
    static const struct oxbow_stream_trim all = {.by = OXBOW_TRIM_MAXLEN};
    const struct oxbow_id second = {2, 0};
    const struct oxbow_id third = {3, 0};
    struct rig *rig = *state;
    struct oxbow_txn *txn;
    uint64_t removed;
    bool existed;

    create(rig, "f", &stream_options);
    add(rig, 1, 4);
    confirm(rig, "f", second);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_stream_delete(txn, BYTES("readings"), &third, 1, &removed),
                     OXBOW_EPROTECTED);
    assert_int_equal(oxbow_stream_delete(txn, BYTES("readings"), &second, 1, &removed), OXBOW_OK);
    assert_int_equal(removed, 1);
    assert_int_equal(oxbow_stream_trim(txn, BYTES("readings"), &all, &removed), OXBOW_OK);
    assert_int_equal(removed, 1); /* it stops at the edge */
    assert_int_equal(oxbow_key_delete(txn, BYTES("readings"), &existed), OXBOW_EPROTECTED);
    assert_int_equal(oxbow_key_rename(txn, BYTES("readings"), BYTES("x"), false), OXBOW_EPROTECTED);
    assert_int_equal(oxbow_key_flush(txn), OXBOW_EPROTECTED);
    assert_int_equal(oxbow_key_swap(txn, 0, 1), OXBOW_EPROTECTED);
    assert_int_equal(oxbow_forward_remove(txn, "f"), OXBOW_EPROTECTED);
    rig_commit(txn);
    assert_int_equal(length(rig), 2);
}

static void deletions_that_heed_groups_leave_what_is_undelivered(void **state)
{
    static const struct oxbow_group group = {{"readings", 8}, {"g", 1}};
    static const struct oxbow_group_create_options from_start;
    const struct oxbow_id third = {3, 0};
    const struct oxbow_group_ack_delete_options ack = {.ids = &third, .count = 1};
    struct oxbow_stream_trim all = {.by = OXBOW_TRIM_MAXLEN, .refs = OXBOW_REFS_DELETE};
    struct oxbow_result result = {0};
    struct oxbow_pending_summary pending;
    enum oxbow_delete_outcome outcome;
    struct rig *rig = *state;
    struct oxbow_txn *txn;
    uint64_t removed;

    create(rig, "f", &stream_options);
    add(rig, 1, 4);
    confirm(rig, "f", (struct oxbow_id){2, 0});
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_group_create(txn, group, &from_start), OXBOW_OK);
    assert_int_equal(oxbow_group_read(txn, group, BYTES("c"), NULL, &result), OXBOW_OK);
    assert_int_equal(oxbow_group_ack_delete(txn, group, &ack, &outcome), OXBOW_EPROTECTED);
    assert_int_equal(
        oxbow_stream_delete_refs(txn, BYTES("readings"), OXBOW_REFS_DELETE, &third, 1, &outcome),
        OXBOW_EPROTECTED);
    assert_int_equal(oxbow_group_pending_summary(txn, group, &pending), OXBOW_OK);
    assert_int_equal(pending.count, 4);
    assert_int_equal(oxbow_stream_trim(txn, BYTES("readings"), &all, &removed), OXBOW_OK);
    assert_int_equal(removed, 2); /* it stops at the edge */
    assert_int_equal(oxbow_group_pending_summary(txn, group, &pending), OXBOW_OK);
    assert_int_equal(pending.count, 2);
    rig_commit(txn);
    assert_int_equal(length(rig), 2);
    txn = rig_begin(rig, OXBOW_TXN_FORCE);
    assert_int_equal(oxbow_stream_trim(txn, BYTES("readings"), &all, &removed), OXBOW_OK);
    assert_int_equal(removed, 2);
    rig_commit(txn);
    oxbow_result_fini(&result);
}

static void a_forced_removal_leaves_a_gap_that_is_delivered(void **state)
{
    const struct oxbow_id third = {3, 0};
    struct oxbow_result result = {0};
    struct oxbow_forward_batch batch;
    struct rig *rig = *state;
    struct oxbow_txn *txn;
    uint64_t removed;

    create(rig, "f", &stream_options);
    add(rig, 1, 4);
    txn = rig_begin(rig, OXBOW_TXN_FORCE);
    assert_int_equal(oxbow_stream_delete(txn, BYTES("readings"), &third, 1, &removed), OXBOW_OK);
    rig_commit(txn);
    batch = fetch(rig, "f", OXBOW_ID_MIN, &result);
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.last.ms, 2);
    batch = fetch(rig, "f", batch.last, &result);
    assert_int_equal(batch.gaps, 1);
    assert_int_equal(batch.last.ms, 3);
    assert_memory_equal(result.entries[0].fields[0].name.data, "oxbow:gap", 9);
    assert_memory_equal(result.entries[0].fields[0].value.data, "forced", 6);
    batch = fetch(rig, "f", batch.last, &result);
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.last.ms, 4);
    assert_int_equal(status(rig, "f").backlog_entries, 3);
    oxbow_result_fini(&result);
}

static void a_full_budget_refuses_and_takes_again_once_there_is_room(void **state)
{
    struct oxbow_forward_options opt = stream_options;
    struct rig *rig = *state;
    struct oxbow_txn *txn;

    opt.max_bytes = 50;
    create(rig, "f", &opt);
    add(rig, 1, 5);
    txn = rig_begin(rig, 0);
    assert_int_equal(try_add(txn, 6, 9), OXBOW_EBUDGET);
    rig_commit(txn);
    assert_int_equal(length(rig), 5);
    assert_int_equal(status(rig, "f").refused, 1);
    confirm(rig, "f", (struct oxbow_id){1, 0});
    add(rig, 6, 6);
    assert_int_equal(status(rig, "f").backlog_bytes, 50);
}

static void a_full_budget_drops_the_oldest_and_one_gap_says_so(void **state)
{
    struct oxbow_forward_options opt = stream_options;
    struct oxbow_result result = {0};
    struct oxbow_forward_batch batch;
    struct oxbow_forward_status s;
    struct rig *rig = *state;
    struct oxbow_txn *txn;

    opt.max_bytes = 50;
    opt.on_full = OXBOW_FULL_DROP_OLDEST;
    create(rig, "f", &opt);
    add(rig, 1, 20);
    s = status(rig, "f");
    assert_int_equal(s.dropped_entries, 15);
    assert_int_equal(s.dropped_bytes, 150);
    assert_int_equal(s.gaps, 1);
    assert_int_equal(s.last.from.ms, 1);
    assert_int_equal(s.last.to.ms, 15);
    assert_int_equal(s.last.entries, 15);
    batch = fetch(rig, "f", OXBOW_ID_MIN, &result);
    assert_int_equal(batch.gaps, 1);
    assert_int_equal(batch.last.ms, 15);
    batch = fetch(rig, "f", batch.last, &result);
    assert_int_equal(batch.count, 5);
    assert_int_equal(result.entries[0].id.ms, 16);
    txn = rig_begin(rig, 0); /* larger than the whole budget: refused, nothing dropped for it */
    assert_int_equal(try_add(txn, 21, 60), OXBOW_EBUDGET);
    rig_commit(txn);
    assert_int_equal(length(rig), 5);
    oxbow_result_fini(&result);
}

static void a_rewound_target_is_sent_what_is_still_here(void **state)
{
    struct oxbow_forward_resync r;
    struct rig *rig = *state;

    create(rig, "f", &stream_options);
    add(rig, 1, 10);
    confirm(rig, "f", (struct oxbow_id){8, 0});
    r = resync(rig, "f", (struct oxbow_id){5, 0});
    assert_int_equal(r.outcome, OXBOW_RESYNC_REWOUND);
    assert_int_equal(r.resume.ms, 5);
    assert_int_equal(status(rig, "f").rewinds, 1);
    r = resync(rig, "f", (struct oxbow_id){5, 0});
    assert_int_equal(r.outcome, OXBOW_RESYNC_EQUAL);
    r = resync(rig, "f", (struct oxbow_id){9, 0}); /* a reply was lost */
    assert_int_equal(r.outcome, OXBOW_RESYNC_AHEAD);
    assert_int_equal(r.resume.ms, 9);
}

static void a_target_beyond_or_foreign_changes_nothing(void **state)
{
    struct oxbow_forward_resync r;
    struct rig *rig = *state;

    create(rig, "f", &stream_options);
    add(rig, 1, 3);
    r = resync(rig, "f", (struct oxbow_id){99, 0});
    assert_int_equal(r.outcome, OXBOW_RESYNC_BEYOND);
    r = resync(rig, "f", (struct oxbow_id){2, 7});
    assert_int_equal(r.outcome, OXBOW_RESYNC_FOREIGN);
    assert_int_equal(status(rig, "f").sent.ms, 0);
}

static void what_both_sides_lost_is_told_as_a_gap(void **state)
{
    struct oxbow_forward_options opt = stream_options;
    struct oxbow_result result = {0};
    struct oxbow_forward_resync r;
    struct oxbow_forward_batch batch;
    struct rig *rig = *state;

    opt.hold_ms = 1;
    create(rig, "f", &opt);
    add(rig, 1, 10);
    confirm(rig, "f", (struct oxbow_id){6, 0});
    rig_pass_ms(rig, 10);
    trim(rig, 6);
    r = resync(rig, "f", (struct oxbow_id){2, 0});
    assert_int_equal(r.outcome, OXBOW_RESYNC_GAP);
    assert_int_equal(r.gap.from.ms, 2);
    assert_int_equal(r.gap.from.seq, 1);
    assert_int_equal(r.gap.to.ms, 6);
    batch = fetch(rig, "f", r.resume, &result);
    assert_int_equal(batch.gaps, 1);
    assert_memory_equal(result.entries[0].fields[0].value.data, "target-lost", 11);
    batch = fetch(rig, "f", batch.last, &result);
    assert_int_equal(batch.count, 4);
    assert_int_equal(result.entries[0].id.ms, 7);
    oxbow_result_fini(&result);
}

static void a_deleted_target_key_is_filled_again_or_passed_over(void **state)
{
    struct oxbow_forward_options opt = stream_options;
    struct oxbow_result result = {0};
    struct oxbow_forward_resync r;
    struct oxbow_forward_batch batch;
    struct rig *rig = *state;

    create(rig, "f", &opt);
    add(rig, 1, 10);
    confirm(rig, "f", (struct oxbow_id){6, 0});
    r = resync(rig, "f", OXBOW_ID_MIN);
    assert_int_equal(r.outcome, OXBOW_RESYNC_DELETED);
    batch = fetch(rig, "f", r.resume, &result);
    assert_int_equal(batch.count, 10);
    assert_int_equal(resync(rig, "f", (struct oxbow_id){6, 0}).outcome, OXBOW_RESYNC_AHEAD);

    opt.on_deleted = OXBOW_DELETED_CONTINUE;
    {
        struct oxbow_txn *txn = rig_begin(rig, 0);

        assert_int_equal(oxbow_forward_change(txn, "f", &opt), OXBOW_OK);
        rig_commit(txn);
    }
    r = resync(rig, "f", OXBOW_ID_MIN);
    assert_int_equal(r.outcome, OXBOW_RESYNC_DELETED);
    assert_int_equal(r.gap.to.ms, 6);
    batch = fetch(rig, "f", r.resume, &result);
    assert_int_equal(batch.gaps, 1);
    batch = fetch(rig, "f", batch.last, &result);
    assert_int_equal(batch.count, 4);
    oxbow_result_fini(&result);
}

static void a_list_is_moved_head_first(void **state)
{
    struct oxbow_result result = {0};
    struct oxbow_forward_batch batch;
    struct rig *rig = *state;
    struct oxbow_txn *txn;
    uint64_t len;

    create(rig, "f", &list_options);
    push(rig, "a");
    push(rig, "bb");
    push(rig, "ccc");
    batch = fetch(rig, "f", OXBOW_ID_MIN, &result);
    assert_int_equal(batch.count, 3);
    assert_int_equal(batch.bytes, 6);
    assert_int_equal(batch.last.seq, 3);
    assert_false(confirm(rig, "f", (struct oxbow_id){batch.last.ms, 2}));
    batch = fetch(rig, "f", (struct oxbow_id){batch.last.ms, 2}, &result);
    assert_int_equal(batch.count, 1);
    assert_memory_equal(result.items[0].data, "ccc", 3);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_list_len(txn, BYTES("jobs"), &len), OXBOW_OK);
    assert_int_equal(len, 1);
    assert_int_equal(oxbow_list_pop(txn, BYTES("jobs"), OXBOW_LEFT, 1, &result), OXBOW_EPROTECTED);
    assert_int_equal(oxbow_list_pop(txn, BYTES("jobs"), OXBOW_RIGHT, 1, &result), OXBOW_EPROTECTED);
    assert_int_equal(oxbow_list_set(txn, BYTES("jobs"), 0, BYTES("x")), OXBOW_EPROTECTED);
    rig_commit(txn);
    assert_int_equal(status(rig, "f").backlog_bytes, 3);
    oxbow_result_fini(&result);
}

static void a_list_fetches_on_while_earlier_batches_are_not_confirmed(void **state)
{
    const struct oxbow_forward_fetch want = {.after = {0, 4}, .count = 3};
    struct oxbow_result result = {0};
    struct oxbow_forward_batch batch;
    struct rig *rig = *state;
    struct oxbow_txn *txn;

    create(rig, "f", &list_options);
    for (char c = 'a'; c <= 'j'; c++) {
        push(rig, (char[]){c, '\0'});
    }
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_int_equal(oxbow_forward_fetch(txn, "f", &want, &result, &batch), OXBOW_OK);
    rig_commit(txn);
    assert_int_equal(batch.count, 3);
    assert_int_equal(batch.last.seq, 7);
    assert_memory_equal(result.items[0].data, "e", 1);
    oxbow_result_fini(&result);
}

static void acked_entries_alone_are_given_when_a_group_selects(void **state)
{
    const struct oxbow_group group = {{"readings", 8}, {"g", 1}};
    const struct oxbow_group_create_options from_start = {.make_stream = true};
    const struct oxbow_group_read_options five = {.count = 5};
    const struct oxbow_id ids[] = {{1, 0}, {2, 0}, {4, 0}};
    struct oxbow_forward_options opt = stream_options;
    struct oxbow_result result = {0};
    struct rig *rig = *state;
    struct oxbow_txn *txn;
    uint64_t acked;

    opt.select = OXBOW_SELECT_ACKED;
    opt.group = group.name;
    create(rig, "f", &opt);
    add(rig, 1, 9);
    assert_int_equal(fetch(rig, "f", OXBOW_ID_MIN, &result).count, 0);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_group_create(txn, group, &from_start), OXBOW_OK);
    assert_int_equal(oxbow_group_read(txn, group, BYTES("c"), &five, &result), OXBOW_OK);
    assert_int_equal(oxbow_group_ack(txn, group, ids, 3, &acked), OXBOW_OK);
    rig_commit(txn);
    assert_int_equal(fetch(rig, "f", OXBOW_ID_MIN, &result).last.ms, 2);
    assert_int_equal(status(rig, "f").blocked_by.ms, 3);
    oxbow_result_fini(&result);
}

static void a_forced_pop_at_the_head_is_told_and_one_at_the_tail_is_refused(void **state)
{
    struct oxbow_result result = {0};
    struct oxbow_forward_batch batch;
    struct rig *rig = *state;
    struct oxbow_txn *txn;

    create(rig, "f", &list_options);
    push(rig, "a");
    push(rig, "bb");
    push(rig, "ccc");
    txn = rig_begin(rig, OXBOW_TXN_FORCE);
    assert_int_equal(oxbow_list_pop(txn, BYTES("jobs"), OXBOW_RIGHT, 1, &result), OXBOW_EPROTECTED);
    assert_int_equal(oxbow_list_push(txn, BYTES("jobs"), OXBOW_LEFT, &BYTES("x"), 1, NULL),
                     OXBOW_EPROTECTED);
    assert_int_equal(oxbow_list_remove(txn, BYTES("jobs"), 0, BYTES("bb"), NULL), OXBOW_EPROTECTED);
    assert_int_equal(oxbow_list_trim(txn, BYTES("jobs"), 0, 1), OXBOW_EPROTECTED);
    assert_int_equal(oxbow_key_rename(txn, BYTES("jobs"), BYTES("y"), false), OXBOW_EPROTECTED);
    assert_int_equal(oxbow_list_pop(txn, BYTES("jobs"), OXBOW_LEFT, 1, &result), OXBOW_OK);
    rig_commit(txn);
    batch = fetch(rig, "f", OXBOW_ID_MIN, &result);
    assert_int_equal(batch.gaps, 1);
    assert_string_equal(batch.list_gap, "forced 0-1 0-1 1 1");
    batch = fetch(rig, "f", batch.last, &result);
    assert_int_equal(batch.count, 2);
    assert_memory_equal(result.items[0].data, "bb", 2);
    assert_int_equal(status(rig, "f").backlog_bytes, 5);
    oxbow_result_fini(&result);
}

static void a_forced_delete_of_the_stream_is_told_before_what_comes_next(void **state)
{
    struct oxbow_result result = {0};
    struct oxbow_forward_batch batch;
    struct rig *rig = *state;
    struct oxbow_txn *txn;
    bool existed;

    create(rig, "f", &stream_options);
    add(rig, 1, 5);
    confirm(rig, "f", (struct oxbow_id){2, 0});
    txn = rig_begin(rig, OXBOW_TXN_FORCE);
    assert_int_equal(oxbow_key_delete(txn, BYTES("readings"), &existed), OXBOW_OK);
    rig_commit(txn);
    assert_int_equal(status(rig, "f").backlog_entries, 0);
    add(rig, 9, 9);
    batch = fetch(rig, "f", (struct oxbow_id){2, 0}, &result);
    assert_int_equal(batch.gaps, 1);
    assert_int_equal(batch.last.ms, 5);
    assert_memory_equal(result.entries[0].fields[3].value.data, "3", 1);
    batch = fetch(rig, "f", batch.last, &result);
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.last.ms, 9);
    oxbow_result_fini(&result);
}

static void a_stream_made_again_goes_on_above_what_was_sent(void **state)
{
    const struct oxbow_field field = {BYTES("v"), BYTES("x")};
    struct oxbow_result result = {0};
    struct oxbow_forward_batch batch;
    struct rig *rig = *state;
    struct oxbow_txn *txn;
    struct oxbow_id id;
    bool existed;

    create(rig, "f", &stream_options);
    add(rig, 1, 5);
    confirm(rig, "f", (struct oxbow_id){4, 0});
    txn = rig_begin(rig, OXBOW_TXN_FORCE);
    assert_int_equal(oxbow_key_delete(txn, BYTES("readings"), &existed), OXBOW_OK);
    rig_commit(txn);
    rig->wall_ms = 2; /* and the clock has gone back */
    txn = rig_begin(rig, 0);
    assert_int_equal(try_add(txn, 5, 1), OXBOW_EIDORDER);
    assert_int_equal(oxbow_stream_add(txn, BYTES("readings"), NULL, &field, 1, &id), OXBOW_OK);
    rig_commit(txn);
    assert_int_equal(id.ms, 5);
    assert_int_equal(id.seq, 1);
    batch = fetch(rig, "f", (struct oxbow_id){4, 0}, &result);
    assert_int_equal(batch.gaps, 1);
    batch = fetch(rig, "f", batch.last, &result);
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.last.seq, 1);
    oxbow_result_fini(&result);
}

static void bad_options_are_refused(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    struct oxbow_forward_options opt = stream_options;

    assert_int_equal(oxbow_forward_create(txn, "", &opt), OXBOW_EINVAL);
    assert_int_equal(oxbow_forward_create(txn, "a b", &opt), OXBOW_EINVAL);
    opt.batch_bytes = 1023;
    assert_int_equal(oxbow_forward_create(txn, "f", &opt), OXBOW_EINVAL);
    opt.batch_bytes = 1024;
    opt.weight = 101;
    assert_int_equal(oxbow_forward_create(txn, "f", &opt), OXBOW_EINVAL);
    opt.weight = 100;
    opt.target = BYTES("x}y");
    assert_int_equal(oxbow_forward_create(txn, "f", &opt), OXBOW_EINVAL);
    opt.target = (struct oxbow_bytes){NULL, 0};
    assert_int_equal(oxbow_forward_create(txn, "f", &opt), OXBOW_ENOENT); /* no identity */
    opt.target = BYTES("x{d}y");
    assert_int_equal(oxbow_forward_create(txn, "f", &opt), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "f", &list_options), OXBOW_EEXIST);
    assert_int_equal(oxbow_forward_create(txn, "g", &opt), OXBOW_EEXIST);
    opt = list_options;
    opt.after = OXBOW_AFTER_KEEP;
    assert_int_equal(oxbow_forward_create(txn, "h", &opt), OXBOW_EINVAL);
    rig_commit(txn);
}

static void a_forward_of_an_aborted_transaction_guards_nothing(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);
    bool existed;

    assert_int_equal(oxbow_forward_create(txn, "f", &stream_options), OXBOW_OK);
    assert_int_equal(try_add(txn, 1, 1), OXBOW_OK);
    rig_abort(txn);
    add(rig, 1, 1);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_key_delete(txn, BYTES("readings"), &existed), OXBOW_OK);
    assert_true(existed);
    rig_commit(txn);
}

static void the_identity_is_made_once_and_a_moved_disk_is_noticed(void **state)
{
    struct oxbow_identity first, again;
    struct rig *rig = *state;
    struct oxbow_txn *txn = rig_begin(rig, 0);

    assert_int_equal(oxbow_identity_get(txn, &first), OXBOW_ENOENT);
    assert_int_equal(oxbow_identity_set(txn, "pump 7", NULL), OXBOW_EINVAL);
    assert_int_equal(oxbow_identity_set(txn, "pump-7", "cpu-1"), OXBOW_OK);
    assert_int_equal(oxbow_identity_get(txn, &first), OXBOW_OK);
    assert_true(first.epoch > 0);
    assert_true(first.epoch < (uint64_t)1 << 53);
    rig_commit(txn);
    rig_reopen(rig);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_identity_set(txn, "pump-7", "cpu-1"), OXBOW_OK);
    assert_int_equal(oxbow_identity_get(txn, &again), OXBOW_OK);
    assert_int_equal(again.epoch, first.epoch);
    assert_string_equal(again.owner, first.owner);
    assert_int_equal(oxbow_identity_set(txn, "pump-7", "cpu-2"), OXBOW_EEXIST);
    rig_commit(txn);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_there_and_what_comes_is_given_in_order),
        TEST(positions_survive_a_reopen_and_never_go_back),
        TEST(a_position_beyond_the_end_is_refused),
        TEST(confirmed_entries_stay_for_the_hold_and_go_after_it),
        TEST(a_jump_of_the_wall_clock_ends_no_hold),
        TEST(more_than_hold_bytes_is_not_held),
        TEST(an_undelivered_entry_is_protected_and_a_delivered_one_is_not),
        TEST(deletions_that_heed_groups_leave_what_is_undelivered),
        TEST(a_forced_removal_leaves_a_gap_that_is_delivered),
        TEST(a_full_budget_refuses_and_takes_again_once_there_is_room),
        TEST(a_full_budget_drops_the_oldest_and_one_gap_says_so),
        TEST(a_rewound_target_is_sent_what_is_still_here),
        TEST(a_target_beyond_or_foreign_changes_nothing),
        TEST(what_both_sides_lost_is_told_as_a_gap),
        TEST(a_deleted_target_key_is_filled_again_or_passed_over),
        TEST(a_list_is_moved_head_first),
        TEST(a_list_fetches_on_while_earlier_batches_are_not_confirmed),
        TEST(acked_entries_alone_are_given_when_a_group_selects),
        TEST(a_forced_pop_at_the_head_is_told_and_one_at_the_tail_is_refused),
        TEST(a_forced_delete_of_the_stream_is_told_before_what_comes_next),
        TEST(a_stream_made_again_goes_on_above_what_was_sent),
        TEST(bad_options_are_refused),
        TEST(a_forward_of_an_aborted_transaction_guards_nothing),
        TEST(the_identity_is_made_once_and_a_moved_disk_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
