/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random group operations against plain arrays: after each transaction every pending entry with its
 * consumer, idle time and deliveries, the consumers' counts and the acked prefix must agree; with
 * aborts, checkpoints and re-opens. Entries are ms-0, ms counting from 1.
 */
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

#define CAP       6000
#define TXNS      250
#define CONSUMERS 5

struct pend {
    int consumer; /* -1: not pending */
    uint64_t time;
    uint64_t deliveries;
};

struct model {
    uint64_t top; /* newest entry */
    bool there[CAP];
    struct pend pending[CAP];
    bool known[CONSUMERS];
    uint64_t last; /* delivered */
};

struct run {
    struct streams f;
    struct model live;
    struct model saved;
    uint64_t rng;
    uint64_t now; /* ms that went by */
};

static const char *const NAMES[CONSUMERS] = {"a", "bb", "", "a consumer with a long name", "z"};

static uint64_t rnd(struct run *r, uint64_t n)
{
    return rig_random(&r->rng) % n;
}

static struct oxbow_group group(void)
{
    return group_of("s", "the group");
}

static void do_add(struct run *r)
{
    struct model *m = &r->live;
    uint64_t n = 1 + rnd(r, 40);

    for (; n > 0 && m->top + 1 < CAP; n--) {
        m->top++;
        assert_ok(streams_put(&r->f, "s", ID(m->top, 0), "x"));
        m->there[m->top] = true;
    }
}

static void do_delete(struct run *r)
{
    struct model *m = &r->live;
    uint64_t id = 1 + rnd(r, m->top + 1);
    struct oxbow_id ids = ID(id, 0);
    uint64_t removed;

    assert_ok(oxbow_stream_delete(r->f.txn, BYTES("s"), &ids, 1, &removed));
    assert_int_equal(removed, id < CAP && m->there[id]);
    if (id < CAP) {
        m->there[id] = false;
    }
}

static void do_read(struct run *r)
{
    struct model *m = &r->live;
    int who = (int)rnd(r, CONSUMERS);
    struct oxbow_group_read_options opt = {.count = rnd(r, 3) * (1 + rnd(r, 150)),
                                           .noack = rnd(r, 10) == 0};
    uint64_t id, n = 0;

    assert_ok(oxbow_group_read(r->f.txn, group(), text_bytes(NAMES[who]), &opt, &r->f.result));
    for (id = m->last + 1; id <= m->top && (opt.count == 0 || n < opt.count); id++) {
        if (!m->there[id]) {
            continue;
        }
        assert_true(n < r->f.result.entry_count);
        assert_int_equal(r->f.result.entries[n].id.ms, id);
        n++;
        m->last = id;
        if (!opt.noack) {
            m->pending[id] = (struct pend){who, r->now, 1};
        }
    }
    assert_int_equal(r->f.result.entry_count, n);
    m->known[who] = m->known[who] || n > 0;
}

static void do_history(struct run *r)
{
    struct model *m = &r->live;
    int who = (int)rnd(r, CONSUMERS);
    struct oxbow_group_read_options opt = {
        .history = true, .after = ID(rnd(r, m->top + 1), 0), .count = 1 + rnd(r, 20)};
    uint64_t id, n = 0;

    assert_ok(oxbow_group_read(r->f.txn, group(), text_bytes(NAMES[who]), &opt, &r->f.result));
    m->known[who] = true;
    for (id = opt.after.ms + 1; id <= m->top && n < opt.count; id++) {
        if (m->pending[id].consumer != who) {
            continue;
        }
        assert_true(n < r->f.result.entry_count);
        assert_int_equal(r->f.result.entries[n].id.ms, id);
        assert_int_equal(r->f.result.entries[n].deleted, !m->there[id]);
        if (m->there[id]) {
            m->pending[id].time = r->now;
            m->pending[id].deliveries++;
        }
        n++;
    }
    assert_int_equal(r->f.result.entry_count, n);
}

static void do_ack(struct run *r)
{
    struct model *m = &r->live;
    struct oxbow_id ids[80];
    uint64_t from = rnd(r, m->top + 1), want = 0, acked;
    size_t count = 1 + rnd(r, 80), i;
    bool run = rnd(r, 2) == 0;

    for (i = 0; i < count; i++) {
        uint64_t id = run ? from + i : rnd(r, m->top + 3);

        id = id < CAP ? id : 0;
        ids[i] = ID(id, 0);
        want += m->pending[id].consumer >= 0;
        m->pending[id].consumer = -1;
    }
    assert_ok(oxbow_group_ack(r->f.txn, group(), ids, count, &acked));
    assert_int_equal(acked, want);
}

static bool claim_one(struct run *r, const struct oxbow_claim_options *opt, uint64_t id, int who)
{
    struct model *m = &r->live;
    struct pend *p = &m->pending[id];

    if (!m->there[id]) {
        p->consumer = -1;
        return false;
    }
    if (p->consumer < 0) {
        if (!opt->force) {
            return false;
        }
        *p = (struct pend){who, r->now, 1};
    } else if (opt->min_idle_ms > 0 && r->now - p->time < opt->min_idle_ms) {
        return false;
    }
    p->consumer = who;
    p->time = r->now - (opt->has_idle ? opt->idle_ms : 0);
    p->deliveries = opt->has_deliveries ? opt->deliveries : p->deliveries + !opt->just_id;
    m->known[who] = true;
    return true;
}

static void do_claim(struct run *r)
{
    struct model *m = &r->live;
    int who = (int)rnd(r, CONSUMERS);
    struct oxbow_claim_options opt = {.min_idle_ms = rnd(r, 2) * rnd(r, 3000),
                                      .count = 1 + rnd(r, 20),
                                      .has_idle = rnd(r, 3) == 0,
                                      .idle_ms = rnd(r, 1000),
                                      .has_deliveries = rnd(r, 4) == 0,
                                      .deliveries = rnd(r, 9),
                                      .force = rnd(r, 3) == 0,
                                      .just_id = rnd(r, 3) == 0};
    struct oxbow_id ids[20];
    size_t i, n = 0;

    for (i = 0; i < opt.count; i++) {
        ids[i] = ID(1 + rnd(r, m->top + 1), 0);
        ids[i].ms = ids[i].ms < CAP ? ids[i].ms : 1;
    }
    opt.ids = ids;
    assert_ok(oxbow_group_claim(r->f.txn, group(), text_bytes(NAMES[who]), &opt, &r->f.result));
    for (i = 0; i < opt.count; i++) {
        if (claim_one(r, &opt, ids[i].ms, who)) {
            assert_true(n < r->f.result.entry_count);
            assert_int_equal(r->f.result.entries[n].id.ms, ids[i].ms);
            assert_int_equal(r->f.result.entries[n].field_count, !opt.just_id);
            n++;
        }
    }
    assert_int_equal(r->f.result.entry_count, n);
}

static void do_autoclaim(struct run *r)
{
    struct model *m = &r->live;
    int who = (int)rnd(r, CONSUMERS);
    struct oxbow_autoclaim_options opt = {.min_idle_ms = rnd(r, 2) * rnd(r, 3000),
                                          .start = ID(rnd(r, m->top + 1), 0),
                                          .count = 1 + rnd(r, 40)};
    struct oxbow_claim_options as = {.min_idle_ms = opt.min_idle_ms};
    uint64_t looks = opt.count * 10, left = opt.count, id;
    struct oxbow_id next;
    size_t n = 0;

    assert_ok(oxbow_group_autoclaim(r->f.txn, group(), text_bytes(NAMES[who]), &opt, &r->f.result,
                                    &next));
    for (id = opt.start.ms; id <= m->top; id++) {
        bool gone = !m->there[id];

        if (m->pending[id].consumer < 0) {
            continue;
        }
        if (looks == 0 || left == 0) {
            break;
        }
        looks--;
        if (claim_one(r, &as, id, who) || gone) {
            assert_true(n < r->f.result.entry_count);
            assert_int_equal(r->f.result.entries[n].id.ms, id);
            assert_int_equal(r->f.result.entries[n].deleted, gone);
            left--;
            n++;
        }
    }
    assert_int_equal(r->f.result.entry_count, n);
    assert_int_equal(next.ms, id <= m->top ? id : 0);
}

static void do_consumer_delete(struct run *r)
{
    struct model *m = &r->live;
    int who = (int)rnd(r, CONSUMERS);
    uint64_t want = 0, got, id;

    for (id = 1; id <= m->top; id++) {
        if (m->pending[id].consumer == who) {
            m->pending[id].consumer = -1;
            want++;
        }
    }
    m->known[who] = false;
    assert_ok(oxbow_group_consumer_delete(r->f.txn, group(), text_bytes(NAMES[who]), &got));
    assert_int_equal(got, want);
}

static void do_set_id(struct run *r)
{
    struct oxbow_group_create_options opt = {.id = ID(rnd(r, r->live.top + 1), 0)};

    assert_ok(oxbow_group_set_id(r->f.txn, group(), &opt));
    r->live.last = opt.id.ms;
}

/* ---- checking ---- */

static void check_rows(struct run *r, int who, uint64_t min_idle)
{
    static struct oxbow_pending rows[CAP];
    struct model *m = &r->live;
    struct oxbow_pending_filter filter = {.from = OXBOW_ID_MIN,
                                          .to = OXBOW_ID_MAX,
                                          .count = CAP,
                                          .min_idle_ms = min_idle,
                                          .has_consumer = who >= 0};
    size_t count, n = 0;
    uint64_t id;

    filter.consumer = text_bytes(who >= 0 ? NAMES[who] : "");
    assert_ok(oxbow_group_pending(r->f.txn, group(), &filter, &r->f.result, rows, &count));
    for (id = 1; id <= m->top; id++) {
        const struct pend *p = &m->pending[id];

        if (p->consumer < 0 || (who >= 0 && p->consumer != who) || r->now - p->time < min_idle) {
            continue;
        }
        assert_true(n < count);
        assert_int_equal(rows[n].id.ms, id);
        assert_int_equal(rows[n].idle_ms, r->now - p->time);
        assert_int_equal(rows[n].deliveries, p->deliveries);
        assert_int_equal(rows[n].consumer.len, strlen(NAMES[p->consumer]));
        assert_memory_equal(rows[n].consumer.data, NAMES[p->consumer], rows[n].consumer.len);
        n++;
    }
    assert_int_equal(count, n);
}

static void check_counts(struct run *r)
{
    struct model *m = &r->live;
    struct oxbow_pending_summary sum;
    struct oxbow_acked_prefix prefix;
    uint64_t total = 0, first = 0, last = 0, id, below;
    size_t i, known = 0;

    for (id = 1; id <= m->top; id++) {
        if (m->pending[id].consumer >= 0) {
            total++;
            first = first == 0 ? id : first;
            last = id;
        }
    }
    assert_ok(oxbow_group_pending_summary(r->f.txn, group(), &sum));
    assert_int_equal(sum.count, total);
    assert_int_equal(sum.first.ms, first);
    assert_int_equal(sum.last.ms, last);
    assert_ok(oxbow_group_acked_prefix(r->f.txn, group(), &prefix));
    below = total > 0 && first - 1 < m->last ? first - 1 : m->last;
    assert_int_equal(prefix.id.ms, below);
    assert_int_equal(prefix.blocked, total > 0);
    assert_int_equal(prefix.blocked_by.ms, first);
    for (i = 0; i < CONSUMERS; i++) {
        struct oxbow_consumer_info info;
        uint64_t want = 0;

        known += m->known[i];
        for (id = 1; id <= m->top; id++) {
            want += m->pending[id].consumer == (int)i;
        }
        if (!m->known[i]) {
            assert_err(oxbow_group_consumer_info(r->f.txn, group(), text_bytes(NAMES[i]), &info),
                       OXBOW_ENOENT);
            continue;
        }
        assert_ok(oxbow_group_consumer_info(r->f.txn, group(), text_bytes(NAMES[i]), &info));
        assert_int_equal(info.pending, want);
    }
    assert_ok(oxbow_group_consumers(r->f.txn, group(), &r->f.result));
    assert_int_equal(r->f.result.item_count, known);
}

static void (*const OPS[])(struct run *) = {
    do_add,
    do_add,
    do_add,
    do_delete,
    do_read,
    do_read,
    do_read,
    do_read,
    do_ack,
    do_ack,
    do_ack,
    do_ack,
    do_claim,
    do_history,
    do_claim,
    do_autoclaim,
    do_consumer_delete,
    do_set_id,
};

static void transaction(struct run *r)
{
    size_t ops = 1 + rnd(r, 15), i;

    streams_begin(&r->f);
    for (i = 0; i < ops; i++) {
        size_t pick = rnd(r, sizeof OPS / sizeof OPS[0]);

        /* The last two throw much away: not so often. */
        if (pick < sizeof OPS / sizeof OPS[0] - 2 || rnd(r, 12) == 0) {
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
    if (rnd(r, 2) == 0) {
        uint64_t ms = rnd(r, 1000);

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

static void a_group_hands_out_and_keeps_account(void **state)
{
    static struct run r;
    struct oxbow_group_create_options opt = {.make_stream = true};
    int i;

    (void)state;
    r.rng = rig_seed("group_model_test");
    r.now = 1000000;
    rig_init(&r.f.rig, OXBOW_SYNC_INTERVAL);
    rig_open(&r.f.rig);
    for (i = 0; i < CAP; i++) {
        r.live.pending[i].consumer = -1;
    }
    memcpy(&r.saved, &r.live, sizeof r.saved);
    streams_begin(&r.f);
    assert_ok(oxbow_group_create(r.f.txn, group(), &opt));
    streams_commit(&r.f);
    for (i = 0; i < TXNS; i++) {
        transaction(&r);
        r.f.txn = rig_begin(&r.f.rig, OXBOW_TXN_READ);
        check_counts(&r);
        check_rows(&r, -1, 0);
        check_rows(&r, (int)rnd(&r, CONSUMERS), rnd(&r, 2) * rnd(&r, 3000));
        check_rows(&r, -1, rnd(&r, 5000));
        streams_commit(&r.f);
    }
    oxbow_result_fini(&r.f.result);
    rig_fini(&r.f.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_group_hands_out_and_keeps_account)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
