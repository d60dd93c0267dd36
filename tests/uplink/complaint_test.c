/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What users of other queues on devices complain of, as far as it concerns what goes over the link
 * (docs/COMPLAINTS.md): each test is the situation, against a scripted server in virtual time.
 */
#include "tests/uplink/peer.h"
#include "tests/uplink/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOUR_US       ((uint64_t)3600 * 1000000)
#define ROUND_TRIP_US 50000u

static uint64_t now_us(void)
{
    const struct oxbow_clock *clock = &wire_port()->clock;

    return clock->mono_us(clock->ctx);
}

static struct oxbow_bytes text(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

/* Entries first-0 to last-0 of `len` bytes each, in one transaction. */
static void add(struct peer *p, const char *key, uint64_t first, uint64_t last, int len)
{
    char value[256];
    const struct oxbow_field field = {text("n"), {value, (size_t)len}};
    struct oxbow_txn *txn;
    struct oxbow_id id;

    assert_in_range(len, 0, sizeof value);
    memset(value, 'x', sizeof value);
    assert_int_equal(oxbow_txn_begin(p->db, NULL, &txn), OXBOW_OK);
    for (uint64_t ms = first; ms <= last; ms++) {
        const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {ms, 0}};

        assert_int_equal(oxbow_stream_add(txn, text(key), &opt, &field, 1, &id), OXBOW_OK);
    }
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    if (p->u != NULL) {
        oxbow_uplink_tick(p->u);
    }
}

static void add_forward(struct peer *p, const char *key, struct oxbow_forward_options opt)
{
    struct oxbow_txn *txn;

    opt.key = text(key);
    opt.type = OXBOW_TYPE_STREAM;
    assert_int_equal(oxbow_txn_begin(p->db, NULL, &txn), OXBOW_OK);
    assert_int_equal(oxbow_forward_create(txn, key, &opt), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

/* What a command is: which entries a batch carries; nothing: no batch. */
struct batch {
    char key[32];
    uint64_t first, last, count;
};

static bool batch_of(const char *command, struct batch *b)
{
    const char *at = strstr(command, " 1 oxbow:{dev}:");
    unsigned long long count, first;
    unsigned long long last = 0;

    if (at == NULL ||
        sscanf(at, " 1 oxbow:{dev}:%31s %*s %llu %llu-0", b->key, &count, &first) != 3) {
        return false;
    }
    for (at = strstr(at, "-0 2 n "); at != NULL; at = strstr(at + 1, "-0 2 n ")) {
        const char *id = at;

        while (id[-1] >= '0' && id[-1] <= '9') {
            id--;
        }
        last = strtoull(id, NULL, 10);
    }
    b->first = first;
    b->count = count;
    b->last = last;
    return true;
}

static void accept(struct peer *p, const struct batch *b)
{
    char position[32];

    snprintf(position, sizeof position, "%llu-0", (unsigned long long)b->last);
    peer_guard(p, 1, position);
}

/* 10. Slow catch-up: one message each few seconds, or one for each answer. */
static void complaint_10_a_backlog_catches_up_in_full_batches_without_a_pause(void **state)
{
    const uint64_t total = 5000;
    struct batch batches[64];
    uint64_t expect = 1, sent = 0, rounds = 0;
    uint64_t began;
    struct peer p;

    (void)state;
    peer_open(&p);
    peer_forward(&p, NULL);
    add(&p, "s", 1, total, 100);
    peer_session(&p);
    peer_up(&p, "0-0");
    began = now_us();
    while (expect <= total) {
        size_t n = 0;

        while (batch_of(peer_command(&p), &batches[n])) { /* all that comes without an answer */
            assert_int_equal(batches[n].first, expect);
            assert_int_equal(batches[n].last, expect + batches[n].count - 1);
            expect = batches[n].last + 1;
            n++;
            assert_true(n < 64);
        }
        assert_true(n > 0);             /* nothing to wait for but answers, */
        wire_clock_jump(ROUND_TRIP_US); /* which take a while */
        for (size_t i = 0; i < n; i++) {
            accept(&p, &batches[i]);
        }
        sent += n;
        rounds++;
    }
    assert_string_equal(peer_command(&p), "");
    assert_int_equal(peer_flow(&p).accepted.ms, total);
    assert_true(sent <= 30);   /* 650 KB in 32 KiB */
    assert_true(rounds <= 10); /* several are under way at once, and more each time */
    assert_true(rounds < sent);
    /* Nothing else was waited for: what is above the round trips is the time that this test took. */
    assert_true(now_us() - began < rounds * ROUND_TRIP_US + 120 * 1000000u);
    peer_close(&p);
}

/* 14. Live data first, the backlog apart: weeks of backlog must not stand before an alarm. */
static void complaint_14_live_data_goes_first_and_the_backlog_apart(void **state)
{
    struct batch b[64];
    uint64_t expect = 1;
    size_t n = 0;
    struct peer p;

    (void)state;
    peer_open(&p);
    add_forward(&p, "backlog", (struct oxbow_forward_options){.linger_ms = -1});
    add_forward(&p, "live", (struct oxbow_forward_options){.urgent = true});
    add(&p, "backlog", 1, 5000, 100);
    peer_session(&p);
    peer_connect(&p);
    peer_greet(&p);
    (void)peer_command(&p); /* both positions */
    (void)peer_command(&p);
    peer_guard(&p, 0, "0-0");
    peer_guard(&p, 0, "0-0");
    while (batch_of(peer_command(&p), &b[n])) {
        assert_string_equal(b[n].key, "backlog");
        n++;
    }
    assert_true(n > 0);
    for (uint64_t alarm = 1; expect <= 5000; alarm++) {
        struct batch live;
        size_t more = 0;

        add(&p, "live", 1000000 + alarm, 1000000 + alarm, 20); /* while others are under way */
        expect = b[n - 1].last + 1;
        for (size_t i = 0; i < n; i++) {
            accept(&p, &b[i]);
        }
        /* It does not linger, and nothing of the backlog goes before it. */
        if (!batch_of(peer_command(&p), &live)) {
            fail_msg("nothing is sent");
        }
        assert_string_equal(live.key, "live");
        assert_int_equal(live.count, 1);
        assert_int_equal(live.first, 1000000 + alarm);
        while (batch_of(peer_command(&p), &b[more])) { /* and the backlog goes on behind it */
            assert_string_equal(b[more].key, "backlog");
            assert_int_equal(b[more].first, expect);
            expect = b[more].last + 1;
            more++;
        }
        accept(&p, &live);
        if (more == 0) {
            break;
        }
        n = more;
    }
    assert_int_equal(expect, 5001);
    peer_close(&p);
}

/* Answers whatever comes within an hour, batches with `error`; gives how many batches came. */
static uint64_t refuse_for_an_hour(struct peer *p, const char *error)
{
    uint64_t end = now_us() + HOUR_US;
    uint64_t batches = 0;

    while (now_us() < end) {
        const char *command = peer_wait_command(p);
        struct batch b;

        if (strcmp(command, "PING") == 0) {
            peer_reply(p, "+PONG\r\n");
        } else if (strstr(command, "? read") != NULL) {
            peer_guard(p, 0, "0-0");
        } else if (batch_of(command, &b)) {
            batches++;
            peer_reply(p, error);
        } else {
            fail_msg("not understood: %.80s", command);
        }
    }
    return batches;
}

/* 15. Pace the replay: a server that says that it has too much is not hammered, and goes on to be
 * served when it can; a fleet does not come all at once; a link holds no more than its window. */
static void complaint_15_an_overloaded_target_is_not_hammered(void **state)
{
    static const char *const errors[] = {
        "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n"};
    struct batch b = {.last = 0};
    struct peer p;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint64_t batches;
        int waits = 0;

        peer_open_up(&p, 3);
        batches = refuse_for_an_hour(&p, errors[i]);
        assert_true(batches >= 20 && batches <= 400); /* it tries on, ever more seldom */
        while (peer_flow(&p).accepted.ms < 3 && waits++ < 10) {
            const char *command = peer_wait_command(&p);

            if (strcmp(command, "PING") == 0) {
                peer_reply(&p, "+PONG\r\n");
            } else if (strstr(command, "? read") != NULL) {
                peer_guard(&p, 0, "0-0");
            } else if (batch_of(command, &b)) {
                accept(&p, &b);
            }
        }
        assert_int_equal(peer_flow(&p).accepted.ms, 3);
        peer_close(&p);
    }
}

static void complaint_15_a_fleet_does_not_come_all_at_once(void **state)
{
    unsigned quarters[4] = {0};
    struct peer p;

    (void)state;
    peer_open(&p);
    p.config.first_spread_ms = 0; /* as it is when nobody says anything: 30 s */
    for (int i = 0; i < 400; i++) {
        uint64_t first;

        peer_session(&p);
        first = peer_status(&p).next_try_ms;
        assert_true(first <= 30000);
        quarters[first * 4 / 30001]++;
        oxbow_uplink_close(p.u);
        p.u = NULL;
    }
    for (int i = 0; i < 4; i++) {
        assert_true(quarters[i] >= 50); /* 100 are expected: beyond five deviations */
    }
    peer_session(&p);
    peer_close(&p);
}

static void complaint_15_no_more_is_under_way_than_the_window_allows(void **state)
{
    struct batch b;
    struct peer p;

    (void)state;
    peer_open(&p);
    p.config.window_bytes_max = 32768;
    p.config.batch_bytes = 4096;
    peer_forward(&p, NULL);
    add(&p, "s", 1, 3000, 100);
    peer_session(&p);
    peer_up(&p, "0-0");
    for (uint64_t expect = 1; expect <= 3000;) {
        struct batch under_way[64];
        size_t n = 0;

        while (batch_of(peer_command(&p), &b)) {
            under_way[n++] = b;
            assert_true(n < 64);
        }
        assert_true(n > 0);
        assert_true(peer_status(&p).inflight_bytes <= 32768);
        for (size_t i = 0; i < n; i++) {
            accept(&p, &under_way[i]);
        }
        expect = under_way[n - 1].last + 1;
    }
    peer_close(&p);
}

#define RATE    10000u
#define PACED_S 60u

/* A link that others share, or that is paid by the byte: no more than so much in any time, also over a
 * new connection, an alarm goes before the backlog within it, and waiting costs one timer a batch. */
static void complaint_15_a_cap_in_bytes_a_second_holds_and_what_is_urgent_goes_first(void **state)
{
    uint64_t expect = 1, alarms = 0, told = 0, batches = 0, asked = 0;
    uint64_t began, before, spent;
    struct batch b;
    struct peer p;

    (void)state;
    peer_open(&p);
    p.config.rate_bytes_s_max = RATE;
    p.config.batch_bytes = 262144;
    add_forward(&p, "backlog", (struct oxbow_forward_options){.linger_ms = -1});
    add_forward(&p, "live", (struct oxbow_forward_options){.urgent = true});
    add(&p, "backlog", 1, 10000, 100);
    peer_session(&p);
    peer_connect(&p);
    peer_greet(&p);
    (void)peer_command(&p);
    (void)peer_command(&p);
    peer_guard(&p, 0, "0-0");
    peer_guard(&p, 0, "0-0");
    began = now_us();
    before = peer_status(&p).bytes_out;
    while (now_us() - began < PACED_S * (uint64_t)1000000) {
        uint64_t wait = now_us();

        asked++;
        if (!batch_of(peer_command(&p), &b)) {
            oxbow_uplink_next(p.u, &p.next);
            assert_true(p.next.wake_us > wait && p.next.wake_us - wait < 3 * 1000000u);
            assert_true(peer_status(&p).pace_ms > 0);
            wire_clock_jump(p.next.wake_us - wait);
            oxbow_uplink_tick(p.u);
            continue;
        }
        batches++;
        spent = peer_status(&p).bytes_out - before;
        /* One batch is of a second's worth and what frames it. */
        assert_true(spent <= RATE * (now_us() - began) / 1000000 + RATE / 10 + 2 * RATE);
        if (strcmp(b.key, "live") == 0) {
            assert_int_equal(b.first, 1000000 + alarms);
            told++;
        } else {
            assert_int_equal(told, alarms); /* the first to go since */
            assert_int_equal(b.first, expect);
            expect = b.last + 1;
            alarms++;
            add(&p, "live", 1000000 + alarms, 1000000 + alarms, 20);
        }
        accept(&p, &b);
    }
    spent = peer_status(&p).bytes_out - before;
    assert_in_range(spent, RATE * (PACED_S - 3), RATE * (PACED_S + 3));
    assert_true(batches >= 50 && alarms >= 25);
    assert_true(asked <= 4 * batches);
    peer_close(&p);
}

/* 23. The cellular bill: each small entry its own packet, keepalives all day, nobody knows the sum. */
static void complaint_23_small_entries_share_their_overhead_and_idle_costs_nothing(void **state)
{
    struct oxbow_uplink_status before, after;
    uint64_t batches = 0, expect = 1;
    struct batch b;
    struct peer p;

    (void)state;
    peer_open(&p);
    p.config.link = OXBOW_LINK_SATELLITE;
    peer_forward(&p, &(struct oxbow_forward_options){.linger_ms = 0});
    peer_session(&p);
    peer_up(&p, "0-0");
    before = peer_status(&p);
    for (uint64_t i = 1; i <= 600; i++) { /* ten in a second, for a minute */
        add(&p, "s", i, i, 8);
        peer_pass(&p, 100);
        if (batch_of(peer_command(&p), &b)) {
            batches++;
            assert_int_equal(b.first, expect);
            expect = b.last + 1;
            accept(&p, &b);
        }
    }
    peer_pass(&p, 2000);
    if (batch_of(peer_command(&p), &b)) {
        batches++;
        expect = b.last + 1;
        accept(&p, &b);
    }
    assert_int_equal(expect, 601);
    assert_true(batches <= 32); /* each two seconds one */
    after = peer_status(&p);
    assert_int_equal(after.entries - before.entries, 600);
    /* Known to the byte, and below 60 of them for an entry of 9, its id included. */
    assert_true(after.bytes_out - before.bytes_out < 600 * 60);
    peer_pass(&p, 1000);
    (void)peer_command(&p);
    before = peer_status(&p);
    for (int minute = 0; minute < 24 * 60; minute++) {
        peer_pass(&p, 60000);
        assert_string_equal(peer_command(&p), "");
    }
    after = peer_status(&p);
    assert_int_equal(after.bytes_out, before.bytes_out);
    peer_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complaint_10_a_backlog_catches_up_in_full_batches_without_a_pause),
        cmocka_unit_test(complaint_14_live_data_goes_first_and_the_backlog_apart),
        cmocka_unit_test(complaint_15_an_overloaded_target_is_not_hammered),
        cmocka_unit_test(complaint_15_a_fleet_does_not_come_all_at_once),
        cmocka_unit_test(complaint_15_a_cap_in_bytes_a_second_holds_and_what_is_urgent_goes_first),
        cmocka_unit_test(complaint_15_no_more_is_under_way_than_the_window_allows),
        cmocka_unit_test(complaint_23_small_entries_share_their_overhead_and_idle_costs_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
