/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random stream operations against a plain array: every answer, and the whole stream after each
 * transaction, must agree; with aborts, checkpoints, re-opens, clock jumps, and entries of all
 * sizes.
 */
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

#define CAP  3000
#define TXNS 700

/* An entry's content follows from its id and length. */
struct entry {
    struct oxbow_id id;
    uint32_t len;    /* of the first value */
    uint32_t fields; /* 1 to 3 */
};

struct model {
    struct entry at[CAP];
    size_t count;
    struct oxbow_id last;
    struct oxbow_id max_deleted;
    uint64_t added;
};

struct run {
    struct streams f;
    struct model live;
    struct model saved; /* what an abort goes back to */
    uint64_t rng;
    uint8_t buf[100000];
};

static const struct oxbow_bytes KEY = {"a stream", 8};
static const char *const NAMES[] = {"first", "second", "third"};

static uint64_t rnd(struct run *r, uint64_t n)
{
    return rig_random(&r->rng) % n;
}

static int id_order(struct oxbow_id a, struct oxbow_id b)
{
    if (a.ms != b.ms) {
        return a.ms < b.ms ? -1 : 1;
    }
    return (a.seq > b.seq) - (a.seq < b.seq);
}

static uint8_t content(const struct entry *e, size_t i)
{
    return (uint8_t)(e->id.ms * 31 + e->id.seq * 7 + e->len + i);
}

/* ---- operations ---- */

static uint32_t random_len(struct run *r)
{
    switch (rnd(r, 60)) {
    case 0:
        return (uint32_t)rnd(r, 90000);
    case 1:
    case 2:
        return 3900 + (uint32_t)rnd(r, 300);
    case 3:
    case 4:
        return (uint32_t)rnd(r, 3000);
    default:
        return (uint32_t)rnd(r, 120);
    }
}

static void do_add(struct run *r)
{
    struct model *m = &r->live;
    struct entry e = {.len = random_len(r), .fields = 1 + (uint32_t)rnd(r, 3)};
    struct oxbow_stream_add_options opt = {.id_mode = (enum oxbow_id_mode)rnd(r, 3)};
    struct oxbow_field fields[3];
    struct oxbow_id id;
    uint32_t i;

    if (m->count == CAP) {
        return;
    }
    opt.id = ID(m->last.ms + rnd(r, 3), m->last.seq + 1 + rnd(r, 3));
    e.id = opt.id;
    if (opt.id_mode == OXBOW_ID_AUTO) {
        uint64_t now = r->f.rig.wall_ms;

        e.id = now > m->last.ms ? ID(now, 0) : ID(m->last.ms, m->last.seq + 1);
    } else if (opt.id_mode == OXBOW_ID_PARTIAL) {
        e.id.seq = opt.id.ms == m->last.ms ? m->last.seq + 1 : 0;
    }
    for (i = 0; i < e.len; i++) {
        r->buf[i] = content(&e, i);
    }
    for (i = 0; i < e.fields; i++) {
        fields[i] = (struct oxbow_field){text_bytes(NAMES[i]), {r->buf, i == 0 ? e.len : i}};
        fields[i].value.len = fields[i].value.len > e.len ? e.len : fields[i].value.len;
    }
    assert_ok(oxbow_stream_add(r->f.txn, KEY, &opt, fields, e.fields, &id));
    assert_id(id, streams_id(e.id));
    m->at[m->count++] = e;
    m->last = e.id;
    m->added++;
}

static void do_delete(struct run *r)
{
    struct model *m = &r->live;
    size_t count = 1 + rnd(r, 5), i, at, want = 0;
    struct oxbow_id ids[5];
    uint64_t removed;

    for (i = 0; i < count; i++) {
        ids[i] = ID(rnd(r, 3), rnd(r, 3));
        if (m->count > 0 && rnd(r, 10) > 0) {
            at = rnd(r, 3) == 0 ? rnd(r, 1 + m->count / 10) : rnd(r, m->count);
            ids[i] = m->at[at < m->count ? at : 0].id;
        }
    }
    for (i = 0; i < count; i++) {
        for (at = 0; at < m->count && id_order(m->at[at].id, ids[i]) != 0; at++) {
        }
        if (at < m->count) {
            memmove(m->at + at, m->at + at + 1, (m->count - at - 1) * sizeof m->at[0]);
            m->count--;
            want++;
            m->max_deleted = id_order(ids[i], m->max_deleted) > 0 ? ids[i] : m->max_deleted;
        }
    }
    assert_ok(oxbow_stream_delete(r->f.txn, KEY, ids, count, &removed));
    assert_int_equal(removed, want);
}

static void drop_oldest(struct model *m, size_t n)
{
    memmove(m->at, m->at + n, (m->count - n) * sizeof m->at[0]);
    m->count -= n;
}

static void do_trim(struct run *r)
{
    struct model *m = &r->live;
    struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MAXLEN, .approx = rnd(r, 2) == 0};
    size_t want = 0;
    uint64_t removed;

    if (m->count > 0 && rnd(r, 2) == 0) {
        trim.by = OXBOW_TRIM_MINID;
        want = rnd(r, 1 + m->count / 2);
        trim.minid = m->at[want].id;
    } else {
        trim.maxlen = rnd(r, 20) == 0 ? 0 : m->count - rnd(r, 1 + m->count / 3);
        want = m->count > trim.maxlen ? m->count - trim.maxlen : 0;
    }
    assert_ok(oxbow_stream_trim(r->f.txn, KEY, &trim, &removed));
    if (trim.approx) {
        assert_true(removed <= want);
    } else {
        assert_int_equal(removed, want);
    }
    drop_oldest(m, removed);
}

static void do_trim_steps(struct run *r)
{
    struct model *m = &r->live;
    struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MAXLEN, .maxlen = m->count / 2};
    uint64_t removed, total = 0;
    bool more = true;
    int steps = 0;

    while (more) {
        assert_ok(oxbow_stream_trim_step(r->f.txn, KEY, &trim, 10, &removed, &more));
        total += removed;
        assert_true(++steps < CAP);
    }
    assert_int_equal(total, m->count - m->count / 2);
    drop_oldest(m, total);
}

static void check_entry(const struct entry *want, const struct oxbow_entry *got)
{
    const uint8_t *p = got->fields[0].value.data;
    uint32_t i;

    assert_id(got->id, streams_id(want->id));
    assert_int_equal(got->field_count, want->fields);
    assert_int_equal(got->fields[0].value.len, want->len);
    for (i = 0; i < want->fields; i++) {
        assert_int_equal(got->fields[i].name.len, strlen(NAMES[i]));
        assert_memory_equal(got->fields[i].name.data, NAMES[i], strlen(NAMES[i]));
    }
    for (i = 0; i < want->len; i++) {
        assert_int_equal(p[i], content(want, i));
    }
}

static void do_range(struct run *r)
{
    struct model *m = &r->live;
    struct oxbow_stream_range range = {.to = OXBOW_ID_MAX, .reverse = rnd(r, 2) == 0};
    const struct entry *want[CAP];
    size_t count = 0, i;

    range.from = OXBOW_ID_MIN;
    if (m->count > 0) {
        range.from = m->at[rnd(r, m->count)].id;
        range.to = m->at[rnd(r, m->count)].id;
        range.from.seq += rnd(r, 2);
    }
    range.count = rnd(r, 2) * (1 + rnd(r, 50));
    for (i = 0; i < m->count; i++) {
        const struct entry *e = &m->at[range.reverse ? m->count - 1 - i : i];

        if (id_order(e->id, range.from) >= 0 && id_order(e->id, range.to) <= 0 &&
            (range.count == 0 || count < range.count)) {
            want[count++] = e;
        }
    }
    assert_ok(oxbow_stream_range(r->f.txn, KEY, &range, &r->f.result));
    assert_int_equal(r->f.result.entry_count, count);
    for (i = 0; i < count; i++) {
        check_entry(want[i], &r->f.result.entries[i]);
    }
}

/* ---- the whole ---- */

static void check_all(struct run *r)
{
    struct model *m = &r->live;
    struct oxbow_stream_range range = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    struct oxbow_stream_info info;
    enum oxbow_err err = oxbow_stream_info(r->f.txn, KEY, &info);
    size_t i;

    if (err == OXBOW_ENOENT) {
        assert_int_equal(m->added, 0);
        return;
    }
    assert_ok(err);
    assert_int_equal(info.length, m->count);
    assert_int_equal(info.entries_added, m->added);
    assert_id(info.last_id, streams_id(m->last));
    assert_id(info.max_deleted_id, streams_id(m->max_deleted));
    assert_id(info.recorded_first_id, streams_id(m->count > 0 ? m->at[0].id : OXBOW_ID_MIN));
    if (m->count == 0) {
        assert_int_equal(info.chunks, 0);
        assert_int_equal(info.bytes, 0);
    }
    assert_ok(oxbow_stream_range(r->f.txn, KEY, &range, &r->f.result));
    assert_int_equal(r->f.result.entry_count, m->count);
    for (i = 0; i < m->count; i++) {
        check_entry(&m->at[i], &r->f.result.entries[i]);
    }
}

static void transaction(struct run *r)
{
    size_t ops = 1 + rnd(r, 30), i;

    streams_begin(&r->f);
    for (i = 0; i < ops; i++) {
        uint64_t pick = rnd(r, 100);

        if (pick < 70) {
            do_add(r);
        } else if (pick < 85) {
            do_delete(r);
        } else if (pick < 87) {
            do_trim(r);
        } else if (pick < 88 && rnd(r, 5) == 0) {
            do_trim_steps(r);
        } else {
            do_range(r);
        }
    }
    if (rnd(r, 4) == 0) {
        streams_abort(&r->f);
        memcpy(&r->live, &r->saved, sizeof r->live);
    } else {
        streams_commit(&r->f);
        memcpy(&r->saved, &r->live, sizeof r->saved);
    }
}

static void between(struct run *r)
{
    static const uint64_t walls[] = {0, 60000, 1767225600000u, 1800000000000u};

    rig_pass_ms(&r->f.rig, rnd(r, 3));
    if (rnd(r, 30) == 0) {
        r->f.rig.wall_ms = walls[rnd(r, 4)];
    }
    if (rnd(r, 30) == 0) {
        rig_pass_ms(&r->f.rig, 100000);
    }
    if (rnd(r, 20) == 0) {
        assert_ok(oxbow_flush(r->f.rig.db));
    }
    if (rnd(r, 25) == 0) {
        rig_reopen(&r->f.rig);
    }
}

static void a_stream_is_what_was_put_into_it(void **state)
{
    static struct run r;
    int i;

    (void)state;
    r.rng = rig_seed("stream_model_test");
    rig_init(&r.f.rig, OXBOW_SYNC_INTERVAL);
    rig_open(&r.f.rig);
    for (i = 0; i < TXNS; i++) {
        transaction(&r);
        between(&r);
        if (i % 10 == 0) {
            r.f.txn = rig_begin(&r.f.rig, OXBOW_TXN_READ);
            check_all(&r);
            streams_commit(&r.f);
        }
    }
    oxbow_result_fini(&r.f.result);
    rig_fini(&r.f.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_stream_is_what_was_put_into_it)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
