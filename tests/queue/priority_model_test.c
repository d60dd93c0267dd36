/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations on a stream whose priorities come, change and go, and on two groups of it, against
 * plain arrays: what each read gives and in which order, what is pending, how far a group has acked
 * without a gap, and that the index has just what it should; with aborts, checkpoints and
 * re-opens. Entries are ms-0, ms counting from 1.
 */
#include "engine/queue/priority.h"
#include "oxbow/policy.h"
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

#define CAP    6000
#define TXNS   300
#define GROUPS 2

struct served {
    uint64_t last; /* set by hand */
    bool given[CAP];
    bool pending[CAP];
    uint32_t credit[PRIORITIES];
};

struct model {
    uint64_t top;
    bool there[CAP];
    uint8_t level[CAP];
    bool on;
    uint64_t from; /* up to there entries count as the lowest priority */
    uint32_t count;
    uint8_t weights[PRIORITIES];
    struct served groups[GROUPS];
};

struct run {
    struct streams f;
    struct model live;
    struct model saved;
    uint64_t rng;
};

static const char *const names[GROUPS] = {"one", "two"};

static uint64_t rnd(struct run *r, uint64_t n)
{
    return rig_random(&r->rng) % n;
}

static uint64_t live_count(const struct model *m)
{
    uint64_t n = 0;

    for (uint64_t id = 1; id <= m->top; id++) {
        n += m->there[id];
    }
    return n;
}

/* ---- operations ---- */

static void do_add(struct run *r)
{
    struct model *m = &r->live;
    uint64_t n = 1 + rnd(r, 60);

    for (; n > 0 && m->top + 1 < CAP; n--) {
        uint32_t levels = m->count > 1 ? m->count : 1;
        uint32_t level = (uint32_t)rnd(r, levels + (rnd(r, 20) == 0));
        struct oxbow_field field = {BYTES("f"), {"some bytes of a value", rnd(r, 20)}};
        struct oxbow_stream_add_options opt = {
            .id_mode = OXBOW_ID_EXPLICIT, .id = ID(m->top + 1, 0), .priority = level};
        enum oxbow_err err = oxbow_stream_add(r->f.txn, BYTES("s"), &opt, &field, 1, NULL);

        if (level >= levels) {
            assert_err(err, OXBOW_EINVAL);
            continue;
        }
        assert_ok(err);
        if (levels > 1 && !m->on) {
            m->on = true;
            m->from = m->top;
        } else if (levels == 1 && m->on && live_count(m) == 0) {
            m->on = false;
        }
        m->top++;
        m->there[m->top] = true;
        m->level[m->top] = (uint8_t)level;
    }
}

static void do_policy(struct run *r)
{
    struct model *m = &r->live;
    struct oxbow_policy p = {.priorities = rnd(r, 3) == 0 ? 0 : 1 + rnd(r, PRIORITIES)};
    bool weighted = rnd(r, 2) == 0;

    m->count = (uint32_t)p.priorities;
    for (size_t i = 0; i < PRIORITIES; i++) {
        m->weights[i] = weighted ? (uint8_t)rnd(r, 6) : 0;
        p.priority_weights |= OXBOW_PRIORITY_WEIGHT(i, m->weights[i]);
    }
    assert_ok(oxbow_policy_set(r->f.txn, BYTES("s"), &p));
}

static void do_delete(struct run *r)
{
    struct model *m = &r->live;
    uint64_t from = 1 + rnd(r, m->top + 1), n = rnd(r, 3) == 0 ? 40 : 1;

    for (uint64_t id = from; id < from + n && id < CAP; id++) {
        struct oxbow_id ids = ID(id, 0);
        uint64_t removed;

        assert_ok(oxbow_stream_delete(r->f.txn, BYTES("s"), &ids, 1, &removed));
        assert_int_equal(removed, m->there[id]);
        m->there[id] = false;
    }
}

static void do_trim(struct run *r)
{
    struct model *m = &r->live;
    uint64_t have = live_count(m), keep = rnd(r, 4) == 0 ? 0 : have - have / (2 + rnd(r, 8));
    struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MAXLEN, .maxlen = keep};

    assert_ok(oxbow_stream_trim(r->f.txn, BYTES("s"), &trim, NULL));
    for (uint64_t id = 1; id <= m->top && have > keep; id++) {
        have -= m->there[id];
        m->there[id] = false;
    }
}

static size_t of(const struct model *m, uint64_t id)
{
    return m->on && id > m->from ? m->level[id] : 0;
}

/* The next entry of a priority that the group was not given; 0: none. */
static uint64_t next_of(const struct model *m, const struct served *g, size_t level)
{
    for (uint64_t id = g->last + 1; id <= m->top; id++) {
        if (m->there[id] && !g->given[id] && of(m, id) == level) {
            return id;
        }
    }
    return 0;
}

struct expect {
    uint64_t ids[CAP];
    size_t count;
};

static uint64_t give(struct run *r, struct served *g, size_t level, uint64_t max, struct expect *e)
{
    uint64_t n = 0, id;

    while (n < max && (id = next_of(&r->live, g, level)) != 0) {
        g->given[id] = true;
        e->ids[e->count++] = id;
        n++;
    }
    return n;
}

static void expect_weighted(struct run *r, struct served *g, uint64_t left, struct expect *e)
{
    bool any = true;

    while (any && left > 0) {
        any = false;
        for (size_t i = PRIORITIES; i > 0 && left > 0; i--) {
            uint64_t max = g->credit[i - 1] < left ? g->credit[i - 1] : left;
            uint64_t n = give(r, g, i - 1, max, e);

            g->credit[i - 1] -= (uint32_t)n;
            left -= n;
            any = any || n > 0;
        }
        for (size_t i = 0; !any && i < PRIORITIES; i++) {
            g->credit[i] = r->live.weights[i] > 0 ? r->live.weights[i] : 1;
        }
        for (size_t i = 0; !any && i < PRIORITIES; i++) {
            if (next_of(&r->live, g, i) != 0) {
                any = true;
            }
        }
    }
}

static void expect_read(struct run *r, struct served *g, uint64_t count, struct expect *e)
{
    static const uint8_t none[PRIORITIES];
    uint32_t credit[PRIORITIES];
    uint64_t left = count > 0 ? count : UINT64_MAX;

    e->count = 0;
    memcpy(credit, g->credit, sizeof credit);
    if (r->live.on && memcmp(r->live.weights, none, sizeof none) != 0) {
        expect_weighted(r, g, left, e);
    } else {
        for (size_t i = PRIORITIES; i > 0 && left > 0; i--) {
            left -= give(r, g, i - 1, left, e);
        }
    }
    if (e->count == 0) {
        memcpy(g->credit, credit, sizeof credit);
    }
}

static void do_read(struct run *r)
{
    static struct expect e;
    size_t which = rnd(r, GROUPS);
    struct served *g = &r->live.groups[which];
    struct oxbow_group_read_options opt = {.count = rnd(r, 12) == 0 ? 0 : 1 + rnd(r, 30),
                                           .noack = rnd(r, 10) == 0};

    assert_ok(
        oxbow_group_read(r->f.txn, group_of("s", names[which]), BYTES("c"), &opt, &r->f.result));
    expect_read(r, g, opt.count, &e);
    assert_int_equal(r->f.result.entry_count, e.count);
    for (size_t i = 0; i < e.count; i++) {
        assert_int_equal(r->f.result.entries[i].id.ms, e.ids[i]);
        assert_int_equal(r->f.result.entries[i].priority, r->live.level[e.ids[i]]);
        g->pending[e.ids[i]] = g->pending[e.ids[i]] || !opt.noack;
    }
}

static void do_ack(struct run *r)
{
    size_t which = rnd(r, GROUPS);
    struct served *g = &r->live.groups[which];
    uint64_t from = 1 + rnd(r, r->live.top + 1), n = 1 + rnd(r, 60), acked;
    bool all = rnd(r, 2) == 0;

    for (uint64_t id = all ? 1 : from; id <= r->live.top && n > 0; id++) {
        struct oxbow_id ids = ID(id, 0);

        if (!all || g->pending[id]) {
            assert_ok(oxbow_group_ack(r->f.txn, group_of("s", names[which]), &ids, 1, &acked));
            assert_int_equal(acked, g->pending[id]);
            g->pending[id] = false;
            n--;
        }
    }
}

/* Acked and deleted, as a queue's consumers do. */
static void do_ack_delete(struct run *r)
{
    struct model *m = &r->live;
    struct served *g = &m->groups[0];
    uint64_t n = 1 + rnd(r, 40);

    for (uint64_t id = 1; id <= m->top && n > 0; id++) {
        struct oxbow_id ids = ID(id, 0);
        enum oxbow_delete_outcome outcome, want = OXBOW_DELETE_REFERENCED;
        struct oxbow_group_ack_delete_options opt = {
            .refs = OXBOW_REFS_ACKED, .ids = &ids, .count = 1};

        if (!g->pending[id]) {
            continue;
        }
        g->pending[id] = false;
        if ((m->groups[1].given[id] || id <= m->groups[1].last) && !m->groups[1].pending[id] &&
            (g->given[id] || id <= g->last)) {
            m->there[id] = false;
            want = OXBOW_DELETE_DONE;
        } else if (!m->there[id]) {
            want = OXBOW_DELETE_DONE;
        }
        assert_ok(oxbow_group_ack_delete(r->f.txn, group_of("s", names[0]), &opt, &outcome));
        assert_int_equal(outcome, want);
        n--;
    }
}

static void do_set_id(struct run *r)
{
    size_t which = rnd(r, GROUPS);
    struct served *g = &r->live.groups[which];
    struct oxbow_group_create_options opt = {.id = ID(rnd(r, r->live.top + 1), 0)};

    assert_ok(oxbow_group_set_id(r->f.txn, group_of("s", names[which]), &opt));
    g->last = opt.id.ms;
    memset(g->given, 0, sizeof g->given);
    if (r->live.on) {
        memset(g->credit, 0, sizeof g->credit);
    }
}

/* ---- checking ---- */

static void check_group(struct run *r, size_t which)
{
    const struct model *m = &r->live;
    const struct served *g = &m->groups[which];
    struct oxbow_acked_prefix prefix;
    struct oxbow_pending_summary sum;
    uint64_t pending = 0, first = 0, behind = 0;

    for (uint64_t id = 1; id <= m->top; id++) {
        if (g->pending[id]) {
            pending++;
            first = first == 0 ? id : first;
        }
        if (behind == 0 && m->there[id] && !g->given[id] && id > g->last) {
            behind = id;
        }
    }
    assert_ok(oxbow_group_pending_summary(r->f.txn, group_of("s", names[which]), &sum));
    assert_int_equal(sum.count, pending);
    assert_int_equal(sum.first.ms, first);
    assert_ok(oxbow_group_acked_prefix(r->f.txn, group_of("s", names[which]), &prefix));
    assert_true(first == 0 || prefix.id.ms < first);
    assert_true(behind == 0 || prefix.id.ms < behind);
}

static void check_index(struct run *r)
{
    const struct model *m = &r->live;
    struct oxbow_stream_priorities info;
    uint64_t counts[PRIORITIES] = {0};
    struct stream s;

    if (stream_find(r->f.txn, BYTES("s"), &s) == OXBOW_ENOENT) {
        return;
    }
    assert_int_equal(s.priorities, m->on);
    for (uint64_t id = 1; id <= m->top; id++) {
        counts[m->level[id]] += m->there[id];
    }
    assert_ok(oxbow_stream_priorities(r->f.txn, BYTES("s"), &info));
    assert_memory_equal(info.entries, counts, sizeof counts);
    for (uint8_t level = 0; m->on && s.length > 0 && level < PRIORITIES; level++) {
        struct priority_walk w;
        struct oxbow_id id;
        uint64_t want = m->from;

        assert_ok(priority_walk_init(&w, &s, level, s.first));
        for (;;) {
            enum oxbow_err err;

            do {
                want++;
            } while (want <= m->top && !(m->there[want] && m->level[want] == level));
            do {
                err = priority_walk_next(&w, &id);
            } while (err == OXBOW_OK && id.ms <= m->from);
            assert_err(err, want <= m->top ? OXBOW_OK : OXBOW_ENOENT);
            if (err != OXBOW_OK) {
                break;
            }
            assert_int_equal(id.ms, want);
        }
        priority_walk_fini(&w);
    }
}

static void (*const OPS[])(struct run *) = {
    do_add, do_add, do_add, do_add,    do_read, do_read,       do_read,   do_read,
    do_ack, do_ack, do_ack, do_delete, do_trim, do_ack_delete, do_policy, do_set_id,
};

static void transaction(struct run *r)
{
    size_t ops = 1 + rnd(r, 12);

    streams_begin(&r->f);
    for (size_t i = 0; i < ops; i++) {
        size_t pick = rnd(r, sizeof OPS / sizeof OPS[0]);

        if (pick < sizeof OPS / sizeof OPS[0] - 4 || rnd(r, 6) == 0) {
            OPS[pick](r);
        }
    }
    if (rnd(r, 4) == 0) {
        streams_abort(&r->f);
        memcpy(&r->live, &r->saved, sizeof r->live);
    } else {
        streams_commit(&r->f);
        memcpy(&r->saved, &r->live, sizeof r->saved);
    }
    if (rnd(r, 20) == 0) {
        assert_ok(oxbow_flush(r->f.rig.db));
    }
    if (rnd(r, 25) == 0) {
        rig_reopen(&r->f.rig);
    }
}

/* Everything is read and acked: nothing is left over. */
static void drain(struct run *r)
{
    for (size_t i = 0; i < GROUPS; i++) {
        struct oxbow_group_read_options opt = {.noack = true};
        struct oxbow_acked_prefix prefix;
        struct served *g = &r->live.groups[i];

        assert_ok(
            oxbow_group_read(r->f.txn, group_of("s", names[i]), BYTES("c"), &opt, &r->f.result));
        for (uint64_t id = 1; id <= r->live.top; id++) {
            struct oxbow_id ids = ID(id, 0);

            assert_ok(oxbow_group_ack(r->f.txn, group_of("s", names[i]), &ids, 1, NULL));
            g->pending[id] = false;
        }
        assert_ok(oxbow_group_acked_prefix(r->f.txn, group_of("s", names[i]), &prefix));
        if (r->f.result.entry_count > 0) {
            assert_int_equal(prefix.id.ms, r->live.top);
        }
        assert_ok(
            oxbow_group_read(r->f.txn, group_of("s", names[i]), BYTES("c"), &opt, &r->f.result));
        assert_int_equal(r->f.result.entry_count, 0);
    }
}

static void priorities_are_served_as_the_model_says(void **state)
{
    static struct run r;
    struct oxbow_group_create_options opt = {.make_stream = true};

    (void)state;
    r.rng = rig_seed("priority_model_test");
    rig_init(&r.f.rig, OXBOW_SYNC_INTERVAL);
    rig_open(&r.f.rig);
    memcpy(&r.saved, &r.live, sizeof r.saved);
    streams_begin(&r.f);
    for (size_t i = 0; i < GROUPS; i++) {
        assert_ok(oxbow_group_create(r.f.txn, group_of("s", names[i]), &opt));
    }
    streams_commit(&r.f);
    for (int i = 0; i < TXNS; i++) {
        transaction(&r);
        r.f.txn = rig_begin(&r.f.rig, OXBOW_TXN_READ);
        check_group(&r, 0);
        check_group(&r, 1);
        check_index(&r);
        streams_commit(&r.f);
    }
    streams_begin(&r.f);
    drain(&r);
    streams_commit(&r.f);
    oxbow_result_fini(&r.f.result);
    rig_fini(&r.f.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(priorities_are_served_as_the_model_says)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
