/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random use of a forward against a model of its target. The target takes batches only on top of
 * its own position, as the real one does; replies get lost, positions are rewound, keys deleted.
 * The model knows what was accepted here, and what of it the target has. At the end everything is
 * delivered, and each entry must be there once, in order, or lie in exactly one gap.
 */
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

#define CAP    20000u
#define ROUNDS 6u
#define STEPS  1500u
#define FLIGHT 4u

/* One thing at the target: an element, or a gap (from <= to). */
struct item {
    struct oxbow_id from;
    struct oxbow_id to;
    uint64_t value; /* 0: a gap */
};

struct batch {
    struct oxbow_id prev;
    struct oxbow_id last;
    struct item items[64];
    size_t count;
};

struct run {
    struct rig rig;
    uint64_t seed;
    bool list;
    struct oxbow_id ids[CAP + 1]; /* of entry n, when accepted here; entries count from 1 */
    uint64_t accepted;
    struct item target[2 * CAP];
    size_t target_count;
    struct oxbow_id position; /* the target's */
    struct batch flight[FLIGHT];
    size_t in_flight;
    struct oxbow_id next; /* fetch after it */
};

static const struct oxbow_bytes key = {"k", 1};

static uint64_t rnd(struct run *r, uint64_t n)
{
    return rig_random(&r->seed) % n;
}

static int order(struct oxbow_id a, struct oxbow_id b)
{
    if (a.ms != b.ms) {
        return a.ms < b.ms ? -1 : 1;
    }
    return (a.seq > b.seq) - (a.seq < b.seq);
}

static struct oxbow_forward_status status(struct run *r)
{
    struct oxbow_txn *txn = rig_begin(&r->rig, OXBOW_TXN_READ);
    struct oxbow_forward_status s;

    assert_int_equal(oxbow_forward_status(txn, "f", &s), OXBOW_OK);
    rig_commit(txn);
    return s;
}

/* ---- here ---- */

/* The value of entry n: its number, and so many more bytes. */
static enum oxbow_err add_one(struct run *r, struct oxbow_txn *txn, uint64_t n)
{
    uint64_t room[20] = {n};
    struct oxbow_bytes value = {room, 8 + rnd(r, 100)};
    const struct oxbow_field field = {BYTES("v"), value};
    enum oxbow_err err;

    if (r->list) {
        return oxbow_list_push(txn, key, OXBOW_RIGHT, &value, 1, NULL);
    }
    err = oxbow_stream_add(txn, key, NULL, &field, 1, &r->ids[n]);
    return err;
}

static void do_add(struct run *r)
{
    uint64_t count = 1 + rnd(r, 30);
    struct oxbow_txn *txn = rig_begin(&r->rig, 0);
    uint64_t n = r->accepted;

    rig_pass_ms(&r->rig, rnd(r, 20));
    for (uint64_t i = 0; i < count && n < CAP; i++) {
        enum oxbow_err err = add_one(r, txn, n + 1);

        if (err == OXBOW_OK) {
            n++;
        } else {
            assert_string_equal(oxbow_err_name(err), "OXBOW_EBUDGET");
        }
    }
    if (rnd(r, 8) == 0) {
        rig_abort(txn);
    } else {
        rig_commit(txn);
        r->accepted = n;
    }
}

/* Forced or not, at the old end or in the middle; what is refused changes nothing. */
static void do_remove(struct run *r)
{
    struct oxbow_id confirmed = status(r).confirmed;
    bool force = rnd(r, 3) == 0;
    struct oxbow_txn *txn = rig_begin(&r->rig, force ? OXBOW_TXN_FORCE : 0);
    struct oxbow_result result = {0};
    const struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MAXLEN, .maxlen = rnd(r, 100)};
    struct oxbow_id ids[3];
    uint64_t removed;
    enum oxbow_err err = OXBOW_OK;

    if (r->list) {
        err = oxbow_list_pop(txn, key, OXBOW_LEFT, 1 + rnd(r, 5), &result);
    } else if (rnd(r, 2) == 0) {
        err = oxbow_stream_trim(txn, key, &trim, &removed);
    } else if (r->accepted > 0 && order(r->ids[r->accepted], confirmed) > 0) {
        for (size_t i = 0; i < 3; i++) {
            uint64_t back = rnd(r, r->accepted < 60 ? r->accepted : 60);

            /* One that was confirmed is the application's to delete, and is not told of. */
            ids[i] = r->ids[r->accepted - back];
            if (order(ids[i], confirmed) <= 0) {
                ids[i] = r->ids[r->accepted];
            }
        }
        err = oxbow_stream_delete(txn, key, ids, 3, &removed);
    }
    assert_true(err == OXBOW_OK || err == OXBOW_ENOENT || err == OXBOW_EPROTECTED);
    assert_true(!force || err != OXBOW_EPROTECTED);
    oxbow_result_fini(&result);
    if (rnd(r, 8) == 0) {
        rig_abort(txn);
    } else {
        rig_commit(txn);
    }
}

/* ---- the link ---- */

static void take_entries(struct run *r, const struct oxbow_result *result, struct batch *b)
{
    for (size_t i = 0; i < result->entry_count; i++) {
        const struct oxbow_entry *e = &result->entries[i];
        struct item *it = &b->items[b->count++];
        struct oxbow_bytes v = e->fields[0].value;
        char from[64];

        it->from = it->to = e->id;
        if (e->fields[0].name.len == 1) {
            memcpy(&it->value, v.data, 8);
            assert_int_equal(order(r->ids[it->value], e->id), 0);
            continue;
        }
        v = e->fields[1].value;
        snprintf(from, sizeof from, "%.*s", (int)v.len, (const char *)v.data);
        it->value = 0;
        it->from.ms = strtoull(from, NULL, 10);
        it->from.seq = strtoull(strchr(from, '-') + 1, NULL, 10);
    }
}

static void take_items(const struct oxbow_forward_batch *got, const struct oxbow_result *result,
                       struct batch *b)
{
    if (got->gaps > 0) {
        struct item *it = &b->items[b->count++];
        char text[192];
        char *p = text;

        memcpy(text, got->list_gap, sizeof text);
        p = strchr(p, ' ') + 1;
        it->value = 0;
        it->from.ms = strtoull(p, &p, 10);
        it->from.seq = strtoull(p + 1, &p, 10);
        it->to.ms = strtoull(p + 1, &p, 10);
        it->to.seq = strtoull(p + 1, &p, 10);
        assert_int_equal(order(it->to, got->last), 0);
        return;
    }
    for (size_t i = 0; i < result->item_count; i++) {
        struct item *it = &b->items[b->count++];

        memcpy(&it->value, result->items[i].data, 8);
        it->to = (struct oxbow_id){got->last.ms, got->last.seq - result->item_count + i + 1};
        it->from = it->to;
    }
}

static bool do_fetch(struct run *r)
{
    const struct oxbow_forward_fetch want = {r->next, 1 + rnd(r, 2000), 1 + rnd(r, 60)};
    struct oxbow_result result = {0};
    struct oxbow_forward_batch got;
    struct batch *b = &r->flight[r->in_flight];
    struct oxbow_txn *txn;

    if (r->in_flight == FLIGHT) {
        return false;
    }
    txn = rig_begin(&r->rig, OXBOW_TXN_READ);
    assert_int_equal(oxbow_forward_fetch(txn, "f", &want, &result, &got), OXBOW_OK);
    rig_commit(txn);
    if (got.count > 0) {
        *b = (struct batch){.prev = r->next, .last = got.last};
        if (r->list) {
            take_items(&got, &result, b);
        } else {
            take_entries(r, &result, b);
        }
        assert_int_equal(b->count, got.count);
        assert_true(order(got.last, r->next) > 0);
        r->next = got.last;
        r->in_flight++;
    }
    oxbow_result_fini(&result);
    return got.count > 0;
}

static bool at_start(struct oxbow_id p)
{
    return p.seq == 0 && p.ms == 0;
}

/* The oldest batch reaches the target; `reply` says whether that is heard of here. */
static void do_deliver(struct run *r, bool reply)
{
    struct batch *b = &r->flight[0];
    struct oxbow_txn *txn;

    if (r->in_flight == 0) {
        return;
    }
    assert_int_equal(order(b->prev, r->position), 0);
    memcpy(&r->target[r->target_count], b->items, b->count * sizeof b->items[0]);
    r->target_count += b->count;
    r->position = b->last;
    if (reply) {
        txn = rig_begin(&r->rig, 0);
        assert_int_equal(oxbow_forward_sent(txn, "f", r->position), OXBOW_OK);
        rig_commit(txn);
    }
    r->in_flight--;
    memmove(&r->flight[0], &r->flight[1], r->in_flight * sizeof r->flight[0]);
}

static void do_confirm(struct run *r)
{
    struct oxbow_id sent = status(r).sent;
    bool more = true;

    while (more) {
        struct oxbow_txn *txn = rig_begin(&r->rig, 0);

        assert_int_equal(oxbow_forward_confirmed(txn, "f", sent, &more), OXBOW_OK);
        rig_commit(txn);
    }
}

static void do_trim(struct run *r)
{
    bool more = true;

    rig_pass_ms(&r->rig, rnd(r, 4000));
    while (more) {
        struct oxbow_txn *txn = rig_begin(&r->rig, 0);
        uint64_t removed;

        assert_int_equal(oxbow_forward_trim(txn, "f", &removed, &more), OXBOW_OK);
        rig_commit(txn);
    }
}

/* The link is cut; now and then the target has lost its newest things, or everything, meanwhile. */
static void do_reconnect(struct run *r, bool lose)
{
    struct oxbow_forward_resync out;
    struct oxbow_txn *txn;

    if (rnd(r, 2) == 0) {
        do_deliver(r, false);
    }
    if (lose && rnd(r, 3) == 0) {
        size_t lost = rnd(r, 20) == 0 ? r->target_count : rnd(r, 100);

        r->target_count -= lost < r->target_count ? lost : r->target_count;
        r->position = r->target_count > 0 ? r->target[r->target_count - 1].to : OXBOW_ID_MIN;
    }
    r->in_flight = 0;
    txn = rig_begin(&r->rig, 0);
    assert_int_equal(oxbow_forward_resync(txn, "f", r->position, &out), OXBOW_OK);
    rig_commit(txn);
    assert_true(out.outcome != OXBOW_RESYNC_FOREIGN && out.outcome != OXBOW_RESYNC_BEYOND);
    assert_true(order(out.resume, r->position) == 0 ||
                (out.resume.seq == 0 && at_start(r->position)));
    r->next = r->position;
}

/* ---- what must hold ---- */

/* What backlog says is what lies above `confirmed`. */
static void check_backlog(struct run *r)
{
    struct oxbow_forward_status s = status(r);
    struct oxbow_txn *txn = rig_begin(&r->rig, OXBOW_TXN_READ);
    struct oxbow_result result = {0};
    uint64_t entries = 0;
    uint64_t bytes = 0;

    if (r->list) {
        assert_int_equal(oxbow_list_range(txn, key, 0, -1, &result), OXBOW_OK);
        entries = result.item_count;
        for (size_t i = 0; i < result.item_count; i++) {
            bytes += result.items[i].len;
        }
    } else {
        struct oxbow_stream_range range = {.from = s.confirmed, .to = OXBOW_ID_MAX};

        range.from.seq++;
        assert_int_equal(oxbow_stream_range(txn, key, &range, &result), OXBOW_OK);
        entries = result.entry_count;
        for (size_t i = 0; i < result.entry_count; i++) {
            bytes += 1 + result.entries[i].fields[0].value.len;
        }
    }
    rig_commit(txn);
    oxbow_result_fini(&result);
    assert_int_equal(s.backlog_entries, entries);
    assert_int_equal(s.backlog_bytes, bytes);
}

/* Each entry once, in order, or in exactly one gap. */
static void check_target(struct run *r)
{
    uint64_t seen = 0;
    struct oxbow_id last = OXBOW_ID_MIN;

    for (size_t i = 0; i < r->target_count; i++) {
        const struct item *it = &r->target[i];

        assert_true(order(it->from, last) > 0);
        assert_true(order(it->from, it->to) <= 0);
        last = it->to;
        if (it->value != 0 && !r->list) {
            assert_int_equal(it->value, seen + 1);
            seen = it->value;
        } else if (!r->list) {
            while (seen < r->accepted && order(r->ids[seen + 1], it->to) <= 0) {
                seen++;
                assert_true(order(r->ids[seen], it->from) >= 0);
            }
        } else {
            /* The n-th element stands on position n. */
            assert_int_equal(it->from.seq, seen + 1);
            assert_true(it->value == 0 || it->value == it->to.seq);
            seen = it->to.seq;
        }
    }
    assert_int_equal(seen, r->accepted);
}

static void step(struct run *r)
{
    switch (rnd(r, 16)) {
    case 0:
    case 1:
    case 2:
        do_add(r);
        break;
    case 3:
        if (rnd(r, 4) == 0) {
            do_remove(r);
        }
        break;
    case 4:
    case 5:
    case 6:
        (void)do_fetch(r);
        break;
    case 7:
    case 8:
    case 9:
    case 10:
        do_deliver(r, true);
        break;
    case 11:
    case 12:
        do_confirm(r);
        break;
    case 13:
        do_trim(r);
        break;
    case 14:
        if (rnd(r, 4) == 0) {
            do_reconnect(r, true);
        }
        break;
    default:
        if (rnd(r, 30) == 0) {
            rig_reopen(&r->rig);
            do_reconnect(r, false);
        }
        break;
    }
}

static void start(struct run *r)
{
    struct oxbow_forward_options opt = {.key = key,
                                        .type = r->list ? OXBOW_TYPE_LIST : OXBOW_TYPE_STREAM,
                                        .target = {"t", 1},
                                        .hold_ms = 5000};
    struct oxbow_txn *txn;

    rig_init(&r->rig, OXBOW_SYNC_INTERVAL);
    rig_open(&r->rig);
    if (rnd(r, 2) == 0) {
        do_add(r);
    }
    opt.max_bytes = rnd(r, 4) == 0 ? 0 : 1000 + rnd(r, 20000);
    opt.on_full = rnd(r, 3) == 0 ? OXBOW_FULL_REFUSE : OXBOW_FULL_DROP_OLDEST;
    opt.on_deleted = rnd(r, 2) == 0 ? OXBOW_DELETED_RESEND : OXBOW_DELETED_CONTINUE;
    opt.hold_bytes = rnd(r, 2) == 0 ? 0 : 2000;
    txn = rig_begin(&r->rig, 0);
    assert_int_equal(oxbow_identity_set(txn, "d", NULL), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, "f", &opt), OXBOW_OK);
    rig_commit(txn);
}

static void play(struct run *r, bool list)
{
    uint64_t seed = r->seed;

    memset(r, 0, sizeof *r);
    r->seed = seed;
    r->list = list;
    start(r);
    for (unsigned i = 0; i < STEPS; i++) {
        step(r);
        if (i % 16 == 0) {
            check_backlog(r);
        }
    }
    do_reconnect(r, false);
    while (do_fetch(r)) {
        do_deliver(r, true);
        do_confirm(r);
    }
    do_confirm(r);
    check_backlog(r);
    check_target(r);
    assert_int_equal(status(r).backlog_entries, 0);
    rig_fini(&r->rig);
}

static void rounds(bool list)
{
    static struct run r;

    r.seed = rig_seed(list ? "list" : "stream");
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t seed = r.seed;

        printf("round %u: OXBOW_SEED=%llu\n", i, (unsigned long long)seed);
        play(&r, list);
        r.seed = seed + 1;
    }
}

static void a_stream_arrives_once_in_order_or_as_gaps(void **state)
{
    (void)state;
    rounds(false);
}

static void a_list_arrives_once_in_order_or_as_gaps(void **state)
{
    (void)state;
    rounds(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_arrives_once_in_order_or_as_gaps),
        cmocka_unit_test(a_list_arrives_once_in_order_or_as_gaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
