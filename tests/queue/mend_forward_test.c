/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever damage takes of forwards or of what they carry: it is told, the target gets what is left once
 * and in order, and hears of what is missing. Keys are taken as a salvage would leave them out. */
#include "engine/base/codec.h"
#include "engine/base/id.h"
#include "engine/queue/forward_record.h"
#include "engine/queue/mend.h"
#include "engine/queue/stream.h"
#include "engine/store/store.h"
#include "oxbow/forward.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "tests/support/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES   600u
#define TAKEN_MAX 64u

static struct rig *rig;

static int set_up(void **state)
{
    (void)state;
    rig = malloc(sizeof *rig);
    assert_non_null(rig);
    rig_init(rig, OXBOW_SYNC_INTERVAL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(rig);
    free(rig);
    return 0;
}

/* ---- the store ---- */

static struct oxbow_id id_of(uint64_t ms)
{
    return (struct oxbow_id){ms, 0};
}

static void add(struct oxbow_txn *txn, uint64_t i)
{
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = id_of(i)};
    uint8_t bytes[100];
    struct oxbow_field field = {BYTES("f"), {bytes, sizeof bytes}};
    struct oxbow_bytes value = {bytes, sizeof bytes};

    memset(bytes, (int)i, sizeof bytes);
    put_be64(bytes, i);
    assert_int_equal(oxbow_stream_add(txn, BYTES("s"), &opt, &field, 1, NULL), OXBOW_OK);
    assert_int_equal(oxbow_list_push(txn, BYTES("l"), OXBOW_RIGHT, &value, 1, NULL), OXBOW_OK);
}

/* A stream with a forward that has sent up to `sent` and confirmed up to `confirmed`; the same of a
 * list, of which what is confirmed is gone. */
static void fill(uint64_t sent, uint64_t confirmed)
{
    struct oxbow_forward_options opt = {.key = BYTES("s"), .type = OXBOW_TYPE_STREAM};
    struct oxbow_identity identity;
    struct oxbow_txn *txn;
    bool more = false;

    rig_open(rig);
    for (uint64_t i = 1; i <= ENTRIES;) {
        txn = rig_begin(rig, 0);
        for (uint64_t end = i + 50; i < end; i++) {
            add(txn, i);
        }
        rig_commit(txn);
    }
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_identity_set(txn, "device", NULL), OXBOW_OK);
    assert_int_equal(oxbow_identity_get(txn, &identity), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "gone", &opt), OXBOW_OK); /* id 1 was used */
    rig_commit(txn);
    txn = rig_begin(rig, OXBOW_TXN_FORCE);
    assert_int_equal(oxbow_forward_remove(txn, "gone"), OXBOW_OK);
    rig_commit(txn);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_forward_create(txn, "up", &opt), OXBOW_OK);
    opt.key = BYTES("l");
    opt.type = OXBOW_TYPE_LIST;
    assert_int_equal(oxbow_forward_create(txn, "list", &opt), OXBOW_OK);
    assert_int_equal(oxbow_forward_sent(txn, "up", id_of(sent)), OXBOW_OK);
    assert_int_equal(oxbow_forward_confirmed(txn, "up", id_of(confirmed), &more), OXBOW_OK);
    assert_int_equal(oxbow_forward_sent(txn, "list", (struct oxbow_id){identity.epoch, sent}),
                     OXBOW_OK);
    do {
        assert_int_equal(oxbow_forward_confirmed(
                             txn, "list", (struct oxbow_id){identity.epoch, confirmed}, &more),
                         OXBOW_OK);
    } while (more);
    rig_commit(txn);
}

/* ---- damage ---- */

struct taking {
    bool (*is)(const uint8_t *key, size_t len, struct oxbow_bytes value);
    uint32_t from, count; /* of those that it is */
};

static enum oxbow_err no_mend(struct oxbow *db)
{
    (void)db;
    return OXBOW_OK;
}

static size_t choose(struct oxbow_txn *txn, const struct taking *t, struct salvage_range *out)
{
    const uint8_t first = 0;
    struct oxbow_bytes key, value;
    struct kv_cursor c;
    uint32_t seen = 0;
    size_t count = 0;

    assert_int_equal(kv_cursor_init(&c, txn), OXBOW_OK);
    enum oxbow_err err = kv_cursor_seek(&c, (struct oxbow_bytes){&first, 1}, &key, &value);
    for (; err == OXBOW_OK; err = kv_cursor_next(&c, &key, &value)) {
        if (!t->is(c.key, c.key_len, value) || seen++ < t->from || seen > t->from + t->count) {
            continue;
        }
        assert_true(count < TAKEN_MAX);
        memset(&out[count], 0, sizeof out[count]);
        memcpy(out[count].low, c.key, c.key_len);
        memcpy(out[count].high, c.key, c.key_len);
        out[count].low_len = c.key_len;
        out[count].high_len = (uint8_t)(c.key_len + 1);
        count++;
    }
    assert_int_equal(err, OXBOW_ENOENT);
    kv_cursor_fini(&c);
    return count;
}

/* Takes keys away and leaves what a salvage would; closes the store. */
static void take(const struct taking *what, size_t kinds)
{
    struct salvage_range ranges[TAKEN_MAX];
    struct loss_state state = {.complete = true, .wall_ms = 1};
    uint8_t key[LOSS_RANGE_KEY_BYTES];
    uint8_t value[LOSS_RANGE_BYTES];
    uint8_t bytes[LOSS_STATE_BYTES];
    struct oxbow_txn *txn;

    rig_close(rig);
    assert_int_equal(store_open(&rig->config, no_mend, &rig->db), OXBOW_OK);
    txn = rig_begin(rig, OXBOW_TXN_FORCE);
    for (size_t k = 0; k < kinds; k++) {
        size_t count = choose(txn, &what[k], ranges);

        assert_true(count > 0);
        for (size_t i = 0; i < count; i++) {
            size_t len = loss_range_encode(value, &ranges[i]);

            assert_int_equal(kv_del(txn, (struct oxbow_bytes){ranges[i].low, ranges[i].low_len}),
                             OXBOW_OK);
            assert_int_equal(kv_put(txn, loss_range_key(key, (uint32_t)state.ranges++),
                                    (struct oxbow_bytes){value, len}),
                             OXBOW_OK);
        }
    }
    state.keys_lost = state.values_bad = state.ranges;
    loss_state_encode(bytes, &state);
    assert_int_equal(kv_put(txn, loss_state_key(key), (struct oxbow_bytes){bytes, sizeof bytes}),
                     OXBOW_OK);
    rig_commit(txn);
    rig_close(rig);
}

static bool is_record(const uint8_t *key, size_t len, struct oxbow_bytes value)
{
    (void)value;
    return len == 6 && key[0] == KV_SPACE_FORWARD && key[1] == 'f';
}

static bool is_copy(const uint8_t *key, size_t len, struct oxbow_bytes value)
{
    (void)value;
    return len == 6 && key[0] == KV_SPACE_STORE && key[1] == 'F';
}

static bool is_gap(const uint8_t *key, size_t len, struct oxbow_bytes value)
{
    (void)value;
    return len > 6 && key[0] == KV_SPACE_FORWARD && key[1] == 'g';
}

static bool is_newest(const uint8_t *key, size_t len, struct oxbow_bytes value)
{
    (void)value;
    return len == 2 && key[0] == KV_SPACE_FORWARD && key[1] == 'n';
}

static bool is_identity(const uint8_t *key, size_t len, struct oxbow_bytes value)
{
    (void)value;
    return len == 2 && key[0] == KV_SPACE_FORWARD && key[1] == 'i';
}

static bool is_identity_copy(const uint8_t *key, size_t len, struct oxbow_bytes value)
{
    (void)value;
    return len == 2 && key[0] == KV_SPACE_STORE && key[1] == 'I';
}

/* The stream is the first object, the list a later one. */
static bool is_stream_chunk(const uint8_t *key, size_t len, struct oxbow_bytes value)
{
    (void)value;
    return len > 10 && key[0] == KV_SPACE_OBJECT && key[8] == 1 && key[9] == STREAM_KIND_CHUNK;
}

static bool is_stream_head(const uint8_t *key, size_t len, struct oxbow_bytes value)
{
    (void)value;
    return len == 10 && key[0] == KV_SPACE_OBJECT && key[8] == 1 && key[9] == STREAM_KIND_HEAD;
}

static bool is_list_chunk(const uint8_t *key, size_t len, struct oxbow_bytes value)
{
    return len > 10 && key[0] == KV_SPACE_OBJECT && key[8] > 1 && value.len > 500;
}

/* ---- what is told ---- */

static const char *wanted_name;
static uint64_t heard[8]; /* by oxbow_loss_forward */

static enum oxbow_err hear(void *ctx, const struct oxbow_loss *l)
{
    char line[300];

    (void)ctx;
    if (l->kind == OXBOW_LOSS_FORWARD) {
        assert_true(oxbow_loss_text(l, line, sizeof line) > 20);
        print_message("%s\n", line);
        assert_true(l->object < 8);
        heard[l->object]++;
        if (wanted_name != NULL && l->group.len > 0) {
            assert_int_equal(l->group.len, strlen(wanted_name));
            assert_memory_equal(l->group.data, wanted_name, l->group.len);
        }
    }
    return OXBOW_OK;
}

/* Opens, which mends, and opens once more: each loss is told once. */
static void mend(const char *name)
{
    rig_open(rig);
    rig_reopen(rig);
    memset(heard, 0, sizeof heard);
    wanted_name = name;
    assert_int_equal(oxbow_losses(rig->db, hear, NULL), OXBOW_OK);
}

static struct oxbow_forward_status status_of(const char *name)
{
    struct oxbow_forward_status s;
    struct oxbow_txn *txn = rig_begin(rig, OXBOW_TXN_READ);

    assert_int_equal(oxbow_forward_status(txn, name, &s), OXBOW_OK);
    rig_abort(txn);
    assert_true(id_compare(s.trimmed, s.confirmed) <= 0);
    assert_true(id_compare(s.confirmed, s.sent) <= 0);
    assert_true(id_compare(s.sent, s.end) <= 0);
    return s;
}

/* ---- the target ---- */

struct target {
    bool has[ENTRIES + 2];
    struct oxbow_id last;
    uint64_t gaps;
};

static void receive(struct target *t, const struct oxbow_entry *e)
{
    assert_true(id_compare(e->id, t->last) > 0);
    t->last = e->id;
    if (e->fields[0].name.len == 9) {
        assert_memory_equal(e->fields[0].name.data, "oxbow:gap", 9);
        t->gaps++;
        return;
    }
    assert_true(e->id.ms <= ENTRIES && !t->has[e->id.ms]);
    t->has[e->id.ms] = true;
}

/* Connects a target that has all up to `has`, and sends it what there is. */
static enum oxbow_resync deliver(uint64_t has, struct target *t)
{
    struct oxbow_forward_resync resync;
    struct oxbow_forward_batch batch;
    struct oxbow_result r = {0};
    struct oxbow_txn *txn = rig_begin(rig, 0);
    bool more = false;

    memset(t, 0, sizeof *t);
    t->last = id_of(has);
    for (uint64_t i = 1; i <= has; i++) {
        t->has[i] = true;
    }
    assert_int_equal(oxbow_forward_resync(txn, "up", t->last, &resync), OXBOW_OK);
    rig_commit(txn);
    if (resync.outcome > OXBOW_RESYNC_DELETED) {
        return resync.outcome;
    }
    for (batch.count = 1; batch.count > 0;) {
        struct oxbow_forward_fetch want = {.after = t->last, .count = 7};

        txn = rig_begin(rig, 0);
        assert_int_equal(oxbow_forward_fetch(txn, "up", &want, &r, &batch), OXBOW_OK);
        for (size_t i = 0; i < r.entry_count && batch.count > 0; i++) {
            receive(t, &r.entries[i]);
        }
        if (batch.count > 0) {
            assert_int_equal(oxbow_forward_sent(txn, "up", batch.last), OXBOW_OK);
            assert_int_equal(oxbow_forward_confirmed(txn, "up", batch.last, &more), OXBOW_OK);
        }
        rig_commit(txn);
    }
    oxbow_result_fini(&r);
    return resync.outcome;
}

/* Every entry that the stream still has is at the target; gives how many it has lost that the target
 * has not either. */
static uint64_t missing_at(const struct target *t)
{
    const struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    struct oxbow_result r = {0};
    struct oxbow_txn *txn = rig_begin(rig, OXBOW_TXN_READ);
    uint64_t missing = 0;

    assert_int_equal(oxbow_stream_range(txn, BYTES("s"), &all, &r), OXBOW_OK);
    rig_abort(txn);
    for (size_t i = 0; i < r.entry_count; i++) {
        assert_true(t->has[r.entries[i].id.ms]);
    }
    for (uint64_t i = 1; i <= ENTRIES; i++) {
        missing += !t->has[i];
    }
    oxbow_result_fini(&r);
    return missing;
}

/* ---- tests ---- */

static void a_lost_record_is_made_anew_and_the_stream_goes_on_where_the_target_is(void **state)
{
    const struct taking record[] = {{is_record, 0, 1}};
    struct target t;
    struct oxbow_forward_status s;
    struct oxbow_txn *txn;

    (void)state;
    fill(90, 50);
    take(record, 1);
    mend("up");
    assert_int_equal(heard[OXBOW_LOSS_FORWARD_RECORD], 1);
    assert_int_equal(heard[OXBOW_LOSS_FORWARD_UNKNOWN] + heard[OXBOW_LOSS_FORWARD_LIST], 0);
    s = status_of("up");
    assert_int_equal(s.backlog_entries, ENTRIES);
    txn = rig_begin(rig, 0); /* it protects its queue as before */
    assert_int_equal(oxbow_key_delete(txn, BYTES("s"), NULL), OXBOW_EPROTECTED);
    rig_abort(txn);
    assert_int_equal(deliver(90, &t), OXBOW_RESYNC_AHEAD);
    assert_int_equal(missing_at(&t), 0);
    assert_int_equal(t.gaps, 0);
    assert_int_equal(status_of("up").sent.ms, ENTRIES);
}

static void what_was_trimmed_before_the_record_was_lost_is_not_sent_or_missed(void **state)
{
    const struct taking record[] = {{is_record, 0, 1}};
    const struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MINID, .minid = {51, 0}};
    struct target t;
    struct oxbow_txn *txn;

    (void)state;
    fill(50, 50);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_stream_trim(txn, BYTES("s"), &trim, NULL), OXBOW_OK);
    rig_commit(txn);
    take(record, 1);
    mend("up");
    assert_int_equal(deliver(50, &t), OXBOW_RESYNC_AHEAD);
    assert_int_equal(missing_at(&t), 0);
}

static void a_list_whose_record_is_lost_stops_and_keeps_its_elements(void **state)
{
    const struct taking record[] = {{is_record, 1, 1}};
    struct oxbow_forward_resync resync;
    struct oxbow_identity identity;
    struct oxbow_txn *txn;
    uint64_t len;

    (void)state;
    fill(90, 50);
    take(record, 1);
    mend("list");
    assert_int_equal(heard[OXBOW_LOSS_FORWARD_RECORD], 1);
    assert_int_equal(heard[OXBOW_LOSS_FORWARD_LIST], 1);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_identity_get(txn, &identity), OXBOW_OK);
    assert_int_equal(
        oxbow_forward_resync(txn, "list", (struct oxbow_id){identity.epoch, 70}, &resync),
        OXBOW_OK);
    assert_int_equal(resync.outcome, OXBOW_RESYNC_FOREIGN);
    assert_int_equal(oxbow_list_len(txn, BYTES("l"), &len), OXBOW_OK);
    assert_int_equal(len, ENTRIES - 50);
    rig_commit(txn);
    assert_int_equal(status_of("list").backlog_entries, len);
}

static void a_target_hears_of_entries_that_were_lost_before_it_had_them(void **state)
{
    struct taking chunks[] = {{is_stream_chunk, 1, 1}, {is_stream_chunk, 3, 1}};
    struct target t;
    uint64_t missing;

    (void)state;
    fill(90, 50);
    take(chunks, 2);
    mend("up");
    assert_int_equal(deliver(90, &t), OXBOW_RESYNC_EQUAL);
    missing = missing_at(&t);
    print_message("%llu entries are missing, %llu gaps\n", (unsigned long long)missing,
                  (unsigned long long)t.gaps);
    assert_true(missing > 10);
    assert_true(t.gaps >= 1);
    assert_int_equal(status_of("up").backlog_entries, 0);
}

static void a_stream_that_lost_its_end_gives_no_id_twice(void **state)
{
    struct taking all[] = {{is_stream_head, 0, 1}, {is_stream_chunk, 1, 60}};
    struct oxbow_forward_status s;
    struct oxbow_id given;
    struct oxbow_field field = {BYTES("f"), BYTES("v")};
    struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {595, 0}};
    struct oxbow_txn *txn;

    (void)state;
    fill(590, 590);
    take(all, 2);
    mend("up");
    s = status_of("up");
    assert_true(s.end.ms >= 590);
    assert_int_equal(s.backlog_entries, 0);
    txn = rig_begin(rig, 0);
    opt.id = id_of(585);
    assert_int_equal(oxbow_stream_add(txn, BYTES("s"), &opt, &field, 1, &given), OXBOW_EIDORDER);
    rig_abort(txn);
}

static void a_list_that_lost_elements_stops_its_forward(void **state)
{
    struct taking chunk[] = {{is_list_chunk, 1, 1}};
    struct oxbow_forward_resync resync;
    struct oxbow_identity identity;
    struct oxbow_txn *txn;
    uint64_t len;

    (void)state;
    fill(90, 50);
    take(chunk, 1);
    mend("list");
    assert_int_equal(heard[OXBOW_LOSS_FORWARD_LIST], 1);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_identity_get(txn, &identity), OXBOW_OK);
    assert_int_equal(
        oxbow_forward_resync(txn, "list", (struct oxbow_id){identity.epoch, 90}, &resync),
        OXBOW_OK);
    assert_int_equal(resync.outcome, OXBOW_RESYNC_FOREIGN);
    assert_int_equal(oxbow_list_len(txn, BYTES("l"), &len), OXBOW_OK);
    rig_commit(txn);
    assert_true(len > 0 && len < ENTRIES - 50);
    assert_int_equal(status_of("list").backlog_entries, len);
}

static void lost_gaps_are_told(void **state)
{
    struct taking gaps[] = {{is_gap, 0, 8}};
    struct oxbow_id ids[] = {{200, 0}, {201, 0}};
    struct oxbow_txn *txn;

    (void)state;
    fill(90, 50);
    txn = rig_begin(rig, OXBOW_TXN_FORCE);
    assert_int_equal(oxbow_stream_delete(txn, BYTES("s"), ids, 2, NULL), OXBOW_OK);
    rig_commit(txn);
    take(gaps, 1);
    mend("up");
    assert_int_equal(heard[OXBOW_LOSS_FORWARD_GAPS], 1);
    assert_int_equal(heard[OXBOW_LOSS_FORWARD_RECORD], 0);
}

static void
a_forward_of_which_nothing_is_left_is_told_and_its_number_is_not_used_again(void **state)
{
    struct taking all[] = {{is_record, 1, 1}, {is_copy, 1, 1}, {is_newest, 0, 1}};
    const struct oxbow_forward_options opt = {.key = BYTES("other"), .type = OXBOW_TYPE_LIST};
    struct oxbow_forward f;
    struct oxbow_txn *txn;

    (void)state;
    fill(90, 50);
    take(all, 2);
    mend(NULL);
    assert_int_equal(heard[OXBOW_LOSS_FORWARD_UNKNOWN], 1);
    assert_int_equal(heard[OXBOW_LOSS_FORWARD_RECORD], 0);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_forward_create(txn, "new", &opt), OXBOW_OK);
    assert_int_equal(oxbow_forward_get(txn, "new", &f), OXBOW_OK);
    assert_int_equal(f.id, 4);
    rig_commit(txn);
    /* Without the newest number, the greatest that is known. */
    all[0] = (struct taking){is_newest, 0, 1};
    take(all, 1);
    mend(NULL);
    txn = rig_begin(rig, OXBOW_TXN_FORCE);
    assert_int_equal(oxbow_forward_remove(txn, "up"), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "newer",
                                          &(struct oxbow_forward_options){.key = BYTES("more"),
                                                                          .type = OXBOW_TYPE_LIST}),
                     OXBOW_OK);
    assert_int_equal(oxbow_forward_get(txn, "newer", &f), OXBOW_OK);
    assert_int_equal(f.id, 5);
    rig_commit(txn);
}

static void an_identity_is_made_from_its_copy_or_its_loss_is_told(void **state)
{
    struct taking both[] = {{is_identity, 0, 1}, {is_identity_copy, 0, 1}};
    struct oxbow_identity before, after;
    struct oxbow_txn *txn;

    (void)state;
    fill(90, 50);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_int_equal(oxbow_identity_get(txn, &before), OXBOW_OK);
    rig_abort(txn);
    for (size_t i = 0; i < 2; i++) { /* first the record, then the copy */
        take(&both[i], 1);
        mend(NULL);
        assert_int_equal(heard[OXBOW_LOSS_FORWARD_IDENTITY], 0);
        txn = rig_begin(rig, OXBOW_TXN_READ);
        assert_int_equal(oxbow_identity_get(txn, &after), OXBOW_OK);
        assert_string_equal(after.owner, before.owner);
        rig_abort(txn);
    }
    take(both, 2);
    mend(NULL);
    assert_int_equal(heard[OXBOW_LOSS_FORWARD_IDENTITY], 1);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_int_equal(oxbow_identity_get(txn, &after), OXBOW_ENOENT);
    rig_abort(txn);
}

/* An older version has removed the forward and knows of no copy; the damage is elsewhere. */
static void a_copy_of_what_is_not_lost_is_no_forward(void **state)
{
    struct taking chunk[] = {{is_stream_chunk, 1, 1}};
    struct oxbow_forward f;
    struct oxbow_txn *txn;
    uint8_t key[FORWARD_KEY_MAX];

    (void)state;
    fill(90, 50);
    txn = rig_begin(rig, OXBOW_TXN_FORCE);
    assert_int_equal(oxbow_forward_get(txn, "list", &f), OXBOW_OK);
    assert_int_equal(kv_del(txn, (struct oxbow_bytes){key, forward_record_key(key, f.id)}),
                     OXBOW_OK);
    rig_commit(txn);
    take(chunk, 1);
    mend(NULL);
    assert_int_equal(heard[OXBOW_LOSS_FORWARD_RECORD], 0);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_forward_get(txn, "list", &f), OXBOW_ENOENT);
    assert_int_equal(forward_id_next(txn, &(uint32_t){f.id}), OXBOW_ENOENT);
    rig_abort(txn);
}

/* A store from before there were copies gets them when the firmware starts. */
static void copies_are_made_for_what_has_none(void **state)
{
    const struct taking record[] = {{is_record, 0, 1}};
    struct taking copies[] = {{is_copy, 0, 8}, {is_identity_copy, 0, 1}};
    struct oxbow_txn *txn;

    (void)state;
    fill(90, 50);
    take(copies, 2);
    assert_int_equal(store_open(&rig->config, no_mend, &rig->db), OXBOW_OK);
    txn = rig_begin(rig, 0);
    assert_int_equal(oxbow_identity_set(txn, "device", NULL), OXBOW_OK);
    rig_commit(txn);
    take(record, 1);
    mend("up");
    assert_int_equal(heard[OXBOW_LOSS_FORWARD_RECORD], 1);
    assert_int_equal(status_of("up").end.ms, ENTRIES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lost_record_is_made_anew_and_the_stream_goes_on_where_the_target_is),
        TEST(what_was_trimmed_before_the_record_was_lost_is_not_sent_or_missed),
        TEST(a_list_whose_record_is_lost_stops_and_keeps_its_elements),
        TEST(a_target_hears_of_entries_that_were_lost_before_it_had_them),
        TEST(a_stream_that_lost_its_end_gives_no_id_twice),
        TEST(a_list_that_lost_elements_stops_its_forward),
        TEST(lost_gaps_are_told),
        TEST(a_forward_of_which_nothing_is_left_is_told_and_its_number_is_not_used_again),
        TEST(an_identity_is_made_from_its_copy_or_its_loss_is_told),
        TEST(a_copy_of_what_is_not_lost_is_no_forward),
        TEST(copies_are_made_for_what_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
