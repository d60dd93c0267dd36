/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random consumers of a group with options against plain arrays, with a clock that passes: nothing
 * comes back before it is due, whatever is due comes back to whoever may have it, nothing is lost,
 * given to two at once, or dead-lettered twice; with aborts, checkpoints, re-opens and options that
 * change. Entries are ms-0, ms counting from 1.
 */
#include "tests/queue/group_fixture.h"

#include <stdlib.h>

#define CAP       1500u
#define TXNS      500
#define CONSUMERS 4
#define NOBODY    (-1)

struct entry {
    bool pending;
    bool acked;
    bool dead;
    bool has_due;
    int consumer;
    uint64_t age;
    uint64_t due;
    uint64_t deliveries;
};

struct model {
    uint64_t top;
    uint64_t last;
    uint64_t letters;
    struct oxbow_group_options opt;
    struct entry at[CAP];
};

struct run {
    struct streams f;
    struct model live;
    struct model saved;
    uint64_t rng;
    uint64_t now;
};

static const char *const NAMES[CONSUMERS] = {"a", "bb", "", "a long name of a consumer"};

static uint64_t rnd(struct run *r, uint64_t n)
{
    return rig_random(&r->rng) % n;
}

static uint64_t rest_of(const struct model *m, uint64_t deliveries)
{
    uint64_t rest = m->opt.retry_base_ms;

    for (; deliveries > 1 && rest < m->opt.retry_max_ms; deliveries--) {
        rest *= 2;
    }
    return rest > m->opt.retry_max_ms ? m->opt.retry_max_ms : rest;
}

static uint64_t due_of(const struct model *m, const struct entry *e)
{
    if (e->has_due) {
        return e->due;
    }
    if (e->consumer == NOBODY) {
        return e->age;
    }
    return m->opt.visibility_ms == 0 ? UINT64_MAX
                                     : e->age + m->opt.visibility_ms + rest_of(m, e->deliveries);
}

static bool is_due(const struct run *r, const struct entry *e)
{
    return e->pending && due_of(&r->live, e) <= r->now;
}

static bool exhausted(const struct model *m, const struct entry *e)
{
    return m->opt.max_deliveries > 0 && e->deliveries >= m->opt.max_deliveries;
}

static bool last_chance(const struct model *m, const struct entry *e)
{
    return e->deliveries > 0 && e->deliveries + 1 == m->opt.max_deliveries;
}

static uint64_t pending_of(const struct model *m, int who)
{
    uint64_t n = 0;

    for (uint64_t i = 1; i <= m->top; i++) {
        n += m->at[i].pending && m->at[i].consumer == who;
    }
    return n;
}

static void bury(struct model *m, struct entry *e)
{
    e->pending = false;
    e->dead = true;
    m->letters++;
}

/* ---- operations ---- */

static void do_add(struct run *r)
{
    struct model *m = &r->live;

    for (uint64_t n = 1 + rnd(r, 12); n > 0 && m->top + 10 < CAP; n--) {
        m->top++;
        assert_ok(streams_put(&r->f, "s", ID(m->top, 0), "x"));
    }
}

/* Takes what the read gave into the model. */
static void take_in(struct run *r, int who, uint64_t *retried, uint64_t *fresh)
{
    struct model *m = &r->live;

    *retried = 0;
    *fresh = 0;
    for (size_t i = 0; i < r->f.result.entry_count; i++) {
        uint64_t id = r->f.result.entries[i].id.ms;
        struct entry *e = &m->at[id];

        assert_false(r->f.result.entries[i].deleted);
        if (e->pending) {
            assert_int_equal(*fresh, 0);
            assert_true(is_due(r, e));
            assert_false(exhausted(m, e));
            assert_true(!last_chance(m, e) || r->f.result.entry_count == 1);
            e->deliveries++;
            ++*retried;
        } else {
            assert_int_equal(id, m->last + 1);
            m->last = id;
            e->pending = true;
            e->deliveries = 1;
            ++*fresh;
        }
        e->consumer = who;
        e->age = r->now;
        e->has_due = false;
    }
}

/* What is pending no more was due, and had used up its deliveries: it is a dead letter now. */
static uint64_t bury_those_gone(struct run *r)
{
    static struct oxbow_pending rows[CAP];
    struct model *m = &r->live;
    struct oxbow_pending_filter filter = {.to = OXBOW_ID_MAX, .count = CAP};
    uint64_t buried = 0;
    size_t count, row = 0;

    assert_ok(oxbow_group_pending(r->f.txn, the_group(), &filter, &r->f.result, rows, &count));
    for (uint64_t id = 1; id <= m->top; id++) {
        struct entry *e = &m->at[id];
        bool there = row < count && rows[row].id.ms == id;

        row += there;
        if (e->pending && !there) {
            assert_true(is_due(r, e) && exhausted(m, e));
            bury(m, e);
            buried++;
        }
    }
    assert_int_equal(row, count);
    return buried;
}

static void do_read(struct run *r)
{
    struct model *m = &r->live;
    int who = (int)rnd(r, CONSUMERS);
    struct oxbow_group_read_options opt = {.count = rnd(r, 2) * (1 + rnd(r, 30))};
    uint64_t due = 0, doomed = 0, last = 0, new_ones = m->top - m->last, had = pending_of(m, who);
    uint64_t retried, fresh, room = UINT64_MAX, most;

    for (uint64_t i = 1; i <= m->top; i++) {
        due += is_due(r, &m->at[i]) && !exhausted(m, &m->at[i]);
        doomed += is_due(r, &m->at[i]) && exhausted(m, &m->at[i]);
        last += is_due(r, &m->at[i]) && last_chance(m, &m->at[i]);
    }
    if (m->opt.prefetch > 0) {
        room = had < m->opt.prefetch ? m->opt.prefetch - had : 0;
    }
    assert_ok(oxbow_group_read(r->f.txn, the_group(), text_bytes(NAMES[who]), &opt, &r->f.result));
    take_in(r, who, &retried, &fresh);
    assert_true(opt.count == 0 || retried + fresh <= opt.count);
    if (room == 0) {
        assert_int_equal(fresh, 0);
        assert_true(pending_of(m, who) == had);
    } else {
        most = opt.count > 0 && opt.count < room ? opt.count : room;
        assert_true(retried + fresh <= most);
        /* Unless it had letters to write, it gives something if there is anything, and all of it
         * if it may. */
        if (doomed == 0) {
            assert_true(retried + fresh > 0 || due + new_ones == 0);
            if (opt.count == 0 && m->opt.prefetch == 0 && last == 0) {
                uint64_t share = new_ones > 0 ? 512 : 1024; /* of one read */

                assert_int_equal(retried, due < share ? due : share);
                assert_int_equal(fresh, new_ones);
            }
        }
    }
    assert_true(bury_those_gone(r) <= 16);
}

static size_t some(struct run *r, struct oxbow_id ids[8])
{
    uint64_t from = rnd(r, r->live.top + 1);
    bool run = rnd(r, 2) == 0;

    for (size_t i = 0; i < 8; i++) {
        ids[i] = ID(run ? 1 + from + i : 1 + rnd(r, r->live.top + 1), 0);
    }
    return 1 + rnd(r, 8);
}

static void do_ack(struct run *r)
{
    struct oxbow_id ids[8];
    size_t count = some(r, ids);
    uint64_t want = 0, got;

    for (size_t i = 0; i < count; i++) {
        struct entry *e = &r->live.at[ids[i].ms];

        want += e->pending;
        e->acked = e->acked || e->pending;
        e->pending = false;
    }
    assert_ok(oxbow_group_ack(r->f.txn, the_group(), ids, count, &got));
    assert_int_equal(got, want);
}

static void do_nack(struct run *r)
{
    struct model *m = &r->live;
    struct oxbow_id ids[8];
    struct oxbow_group_nack_options opt = {
        .ids = ids, .how = (enum oxbow_nack)rnd(r, 3), .delay_ms = rnd(r, 4000)};
    uint64_t want = 0, got;

    opt.count = some(r, ids);
    if (opt.how == OXBOW_NACK_DEAD && rnd(r, 4) > 0) {
        opt.how = OXBOW_NACK_RETRY;
    }
    for (size_t i = 0; i < opt.count; i++) {
        struct entry *e = &m->at[ids[i].ms];

        if (!e->pending) {
            continue;
        }
        want++;
        if (opt.how == OXBOW_NACK_DEAD || (opt.how == OXBOW_NACK_RETRY && exhausted(m, e))) {
            bury(m, e);
            continue;
        }
        e->consumer = NOBODY;
        e->has_due = true;
        e->due = r->now;
        e->due += opt.how == OXBOW_NACK_DELAY ? opt.delay_ms : rest_of(m, e->deliveries);
    }
    assert_ok(oxbow_group_nack(r->f.txn, the_group(), &opt, &got));
    assert_int_equal(got, want);
}

static void do_extend(struct run *r)
{
    struct oxbow_id ids[8];
    int who = (int)rnd(r, CONSUMERS);
    struct oxbow_group_extend_options opt = {
        .ids = ids, .visible_ms = rnd(r, 3000), .has_consumer = rnd(r, 2) == 0};
    uint64_t want = 0, got;

    opt.count = some(r, ids);
    opt.consumer = text_bytes(NAMES[who]);
    for (size_t i = 0; i < opt.count; i++) {
        struct entry *e = &r->live.at[ids[i].ms];

        if (e->pending && e->consumer != NOBODY && (!opt.has_consumer || e->consumer == who)) {
            want++;
            e->has_due = true;
            e->due = r->now + opt.visible_ms;
        }
    }
    assert_ok(oxbow_group_extend(r->f.txn, the_group(), &opt, &got));
    assert_int_equal(got, want);
}

static void do_claim(struct run *r)
{
    struct oxbow_id ids[8];
    int who = (int)rnd(r, CONSUMERS);
    struct oxbow_claim_options opt = {
        .ids = ids, .has_idle = rnd(r, 2) == 0, .idle_ms = rnd(r, 900), .just_id = rnd(r, 2) == 0};

    opt.count = some(r, ids);
    for (size_t i = 0; i < opt.count; i++) {
        struct entry *e = &r->live.at[ids[i].ms];

        if (e->pending) {
            e->consumer = who;
            e->age = r->now - (opt.has_idle ? opt.idle_ms : 0);
            e->deliveries += !opt.just_id;
            e->has_due = false;
        }
    }
    assert_ok(oxbow_group_claim(r->f.txn, the_group(), text_bytes(NAMES[who]), &opt, &r->f.result));
}

static void do_die(struct run *r)
{
    struct model *m = &r->live;
    int who = (int)rnd(r, CONSUMERS);

    for (uint64_t i = 1; i <= m->top; i++) {
        if (m->at[i].pending && m->at[i].consumer == who) {
            m->at[i].consumer = NOBODY;
            m->at[i].has_due = false;
        }
    }
    assert_ok(oxbow_group_consumer_delete(r->f.txn, the_group(), text_bytes(NAMES[who]), NULL));
}

static void do_redrive(struct run *r)
{
    struct model *m = &r->live;
    struct oxbow_redrive_options opt = {.count = 1024};
    struct oxbow_redrive out;

    assert_ok(oxbow_redrive(r->f.txn, BYTES("dead"), &opt, &out));
    assert_int_equal(out.redriven, m->letters);
    assert_int_equal(out.skipped, 0);
    for (uint64_t i = 1; i <= m->top; i++) {
        if (m->at[i].dead) {
            m->at[i] = (struct entry){.pending = true, .consumer = NOBODY, .age = r->now};
        }
    }
    m->letters = 0;
}

static void do_options(struct run *r)
{
    struct model *m = &r->live;

    m->opt = (struct oxbow_group_options){.visibility_ms = rnd(r, 3) * (1 + rnd(r, 1500)),
                                          .max_deliveries = (uint32_t)rnd(r, 5),
                                          .dead_letter = BYTES("dead"),
                                          .retry_base_ms = rnd(r, 2) * rnd(r, 300),
                                          .prefetch = (uint32_t)(rnd(r, 2) * rnd(r, 60))};
    m->opt.retry_max_ms = m->opt.retry_base_ms + rnd(r, 500) + 1;
    options(&r->f, &m->opt);
}

/* The last three change much: they come less often. */
static void (*const OPS[])(struct run *) = {
    do_add, do_add,  do_read, do_read,   do_read,  do_read, do_ack,     do_ack,
    do_ack, do_nack, do_nack, do_extend, do_claim, do_die,  do_redrive, do_options};

/* ---- checking ---- */

static void check(struct run *r)
{
    static struct oxbow_pending rows[CAP];
    const struct model *m = &r->live;
    struct oxbow_pending_filter filter = {.to = OXBOW_ID_MAX, .count = CAP};
    size_t count, row = 0;

    assert_ok(oxbow_group_pending(r->f.txn, the_group(), &filter, &r->f.result, rows, &count));
    for (uint64_t id = 1; id <= m->last; id++) {
        const struct entry *e = &m->at[id];

        assert_int_equal(e->pending + e->dead + e->acked, 1);
        if (!e->pending) {
            continue;
        }
        assert_true(row < count);
        assert_int_equal(rows[row].id.ms, id);
        assert_int_equal(rows[row].deliveries, e->deliveries);
        assert_int_equal(rows[row].consumer.len,
                         e->consumer == NOBODY ? 0 : strlen(NAMES[e->consumer]));
        row++;
    }
    assert_int_equal(row, count);
    assert_int_equal(length(&r->f, "dead"), m->letters);
    for (int who = 0; who < CONSUMERS; who++) {
        struct oxbow_consumer_info info = {0};
        enum oxbow_err err =
            oxbow_group_consumer_info(r->f.txn, the_group(), text_bytes(NAMES[who]), &info);

        assert_true(err == OXBOW_OK || err == OXBOW_ENOENT);
        assert_int_equal(info.pending, pending_of(m, who));
    }
}

static void transaction(struct run *r)
{
    size_t ops = 1 + rnd(r, 8);

    streams_begin(&r->f);
    (void)bury_those_gone(r); /* by the store itself, when nobody read for long */
    memcpy(&r->saved, &r->live, sizeof r->saved);
    for (size_t i = 0; i < ops; i++) {
        size_t pick = rnd(r, sizeof OPS / sizeof OPS[0]);

        if (pick < sizeof OPS / sizeof OPS[0] - 3 || rnd(r, 8) == 0) {
            OPS[pick](r);
        }
    }
    if (rnd(r, 5) == 0) {
        streams_abort(&r->f);
        memcpy(&r->live, &r->saved, sizeof r->live);
    } else {
        streams_commit(&r->f);
        memcpy(&r->saved, &r->live, sizeof r->saved);
    }
    if (rnd(r, 2) == 0) {
        uint64_t ms = rnd(r, 800);

        rig_pass_ms(&r->f.rig, ms);
        r->now += ms;
    }
    if (rnd(r, 20) == 0) {
        assert_ok(oxbow_flush(r->f.rig.db));
    }
    if (rnd(r, 25) == 0) {
        rig_reopen(&r->f.rig);
    }
}

/* All that is left comes back in the end, and nothing more once it is acked. */
static void finish(struct run *r)
{
    struct model *m = &r->live;
    uint64_t left = m->top - m->last;

    streams_begin(&r->f);
    (void)bury_those_gone(r);
    for (uint64_t i = 1; i <= m->top; i++) {
        left += m->at[i].pending;
    }
    options(&r->f, &(struct oxbow_group_options){.visibility_ms = 1});
    pass(&r->f, 10000);
    for (int tries = 0; left > 0 && tries < 1000; tries++) {
        assert_ok(oxbow_group_read(r->f.txn, the_group(), BYTES("last"), NULL, &r->f.result));
        for (size_t i = 0; i < r->f.result.entry_count; i++) {
            assert_int_equal(ack(&r->f, r->f.result.entries[i].id.ms), 1);
            left--;
        }
    }
    assert_int_equal(left, 0);
    assert_string_equal(take(&r->f, "last", 0), "");
    assert_string_equal(pending(&r->f), "");
    streams_commit(&r->f);
}

static void consumers_that_fail_lose_and_double_nothing(void **state)
{
    static struct run r;
    struct oxbow_group_create_options create = {.make_stream = true};

    (void)state;
    r.rng = rig_seed("group_retry_model_test");
    r.now = 1000000;
    rig_init(&r.f.rig, OXBOW_SYNC_INTERVAL);
    rig_open(&r.f.rig);
    streams_begin(&r.f);
    assert_ok(oxbow_group_create(r.f.txn, the_group(), &create));
    do_options(&r);
    streams_commit(&r.f);
    memcpy(&r.saved, &r.live, sizeof r.saved);
    for (int i = 0; i < TXNS; i++) {
        transaction(&r);
        r.f.txn = rig_begin(&r.f.rig, OXBOW_TXN_READ);
        check(&r);
        streams_commit(&r.f);
    }
    finish(&r);
    oxbow_result_fini(&r.f.result);
    rig_fini(&r.f.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(consumers_that_fail_lose_and_double_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
