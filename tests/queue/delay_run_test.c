/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of delayed entries when they are due: refusals, damage, waiters, reopening, a power
 * cut, and a random life against a model. */
#include "engine/queue/delay.h"
#include "oxbow/policy.h"
#include "oxbow/wait.h"

#include "tests/queue/stream_fixture.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void push(struct streams *f, const char *key, uint64_t ms, const char *value)
{
    const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, ms};

    assert_ok(
        oxbow_delay_push(f->txn, text_bytes(key), OXBOW_RIGHT, &when, text_bytes(value), NULL));
}

static void run(struct streams *f)
{
    bool more = true;

    while (more) {
        assert_ok(oxbow_delay_run(f->txn, 0, NULL, &more));
    }
}

static void pass(struct streams *f, uint64_t ms)
{
    streams_commit(f);
    rig_pass_ms(&f->rig, ms);
    streams_begin(f);
    run(f);
}

static uint64_t len_of(struct streams *f, const char *key)
{
    uint64_t len;

    assert_ok(oxbow_list_len(f->txn, text_bytes(key), &len));
    return len;
}

static struct oxbow_delay_stat stat_of(struct streams *f)
{
    struct oxbow_delay_stat stat;

    assert_ok(oxbow_delay_stat(f->txn, &stat));
    return stat;
}

static struct oxbow_delay_info first_of(struct streams *f)
{
    struct oxbow_delay_place place = {0};
    struct oxbow_delay_info info;

    assert_ok(oxbow_delay_next(f->txn, &place, &info));
    return info;
}

static void it_is_done_in_bounded_steps(void **state)
{
    struct streams *f = *state;
    uint64_t moved;
    bool more;

    for (unsigned i = 0; i < 25; i++) {
        push(f, "l", 0, "v");
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_ok(oxbow_delay_run(f->txn, 10, &moved, &more));
        assert_int_equal(moved, i < 2 ? 10 : 5);
        assert_int_equal(more, i < 2);
    }
    assert_int_equal(len_of(f, "l"), 25);
    assert_int_equal(stat_of(f).added, 25);
}

static void what_is_refused_waits_on_and_blocks_nobody(void **state)
{
    struct streams *f = *state;
    struct oxbow_delay_info info;
    struct oxbow_delay_id old;

    assert_ok(streams_put(f, "s", ID(1, 0), "v"));
    push(f, "s", 10, "refused");
    old = first_of(f).id;
    push(f, "l", 20, "fine");
    pass(f, 20);
    assert_int_equal(len_of(f, "l"), 1);
    info = first_of(f);
    assert_int_equal(info.tries, 1);
    assert_int_equal(info.refused, OXBOW_EWRONGTYPE);
    assert_int_equal(info.id.number, old.number);
    for (unsigned i = 0; i < 10; i++) {
        pass(f, 60000);
    }
    info = first_of(f);
    assert_in_range(info.tries, 8, 11);                  /* ever later, once a minute at most */
    assert_ok(oxbow_delay_get(f->txn, old, &f->result)); /* still by its old id */
    assert_ok(oxbow_key_delete(f->txn, text_bytes("s"), NULL));
    pass(f, 60000);
    assert_int_equal(len_of(f, "s"), 1);
    assert_int_equal(stat_of(f).waiting, 0);
    assert_err(oxbow_delay_cancel(f->txn, old), OXBOW_ENOENT);
}

static void a_refused_one_can_be_canceled_by_the_id_that_it_had(void **state)
{
    struct streams *f = *state;
    struct oxbow_delay_id old;

    assert_ok(streams_put(f, "s", ID(1, 0), "v"));
    push(f, "s", 10, "refused");
    old = first_of(f).id;
    pass(f, 20);
    assert_ok(oxbow_delay_cancel(f->txn, old));
    assert_err(oxbow_delay_cancel(f->txn, old), OXBOW_ENOENT);
    assert_int_equal(stat_of(f).waiting, 0);
    assert_int_equal(stat_of(f).bytes, 0);
}

static void a_full_queue_takes_it_when_there_is_room(void **state)
{
    struct streams *f = *state;
    const struct oxbow_policy policy = {.max_entries = 1};

    assert_ok(oxbow_policy_set(f->txn, text_bytes("l"), &policy));
    push(f, "l", 0, "a");
    push(f, "l", 0, "b");
    run(f);
    assert_int_equal(len_of(f, "l"), 1);
    assert_int_equal(first_of(f).refused, OXBOW_EFULL);
    assert_ok(oxbow_list_pop(f->txn, text_bytes("l"), OXBOW_LEFT, 1, &f->result));
    pass(f, 1000);
    assert_int_equal(len_of(f, "l"), 1);
    assert_int_equal(stat_of(f).waiting, 0);
}

static void it_goes_to_the_database_it_was_given_in(void **state)
{
    struct streams *f = *state;

    assert_ok(oxbow_txn_select(f->txn, 3));
    push(f, "l", 0, "v");
    assert_ok(oxbow_txn_select(f->txn, 0));
    run(f);
    assert_int_equal(len_of(f, "l"), 0);
    assert_ok(oxbow_txn_select(f->txn, 3));
    assert_int_equal(len_of(f, "l"), 1);
}

static void a_damaged_one_is_told_and_does_not_stop_the_others(void **state)
{
    struct streams *f = *state;
    uint8_t key[DELAY_KEY_BYTES];

    assert_ok(kv_put(f->txn, delay_key(key, false, (struct oxbow_delay_id){1, 99}),
                     (struct oxbow_bytes){"nonsense", 8}));
    push(f, "l", 0, "fine");
    run(f);
    assert_int_equal(len_of(f, "l"), 1);
    assert_int_equal(stat_of(f).damaged, 1);
    assert_int_equal(stat_of(f).waiting, 0);
}

static void a_clock_that_was_lost_is_raised_to_what_was_seen(void **state)
{
    struct streams *f = *state;
    struct delay d = {.type = OXBOW_TYPE_LIST,
                      .name = text_bytes("l"),
                      .made_ms = txn_clock_ms(f->txn) + 5000000,
                      .id = {txn_clock_ms(f->txn) + 5000010, 1}};

    assert_ok(delay_put(f->txn, &d));
    run(f);
    assert_int_equal(txn_clock_ms(f->txn), d.made_ms);
    pass(f, 10);
    assert_int_equal(len_of(f, "l"), 1);
}

static void what_becomes_due_while_the_store_is_closed_comes_when_it_is_opened(void **state)
{
    struct streams *f = *state;

    push(f, "l", 60000, "v");
    streams_commit(f);
    rig_close(&f->rig);
    rig_pass_ms(&f->rig, 60000);
    rig_open(&f->rig);
    streams_begin(f);
    run(f);
    assert_int_equal(len_of(f, "l"), 1);
    streams_reopen(f);
    run(f);
    assert_int_equal(len_of(f, "l"), 1);
}

/* With the real clock: nobody calls anything. */
static void a_waiter_wakes_when_an_entry_is_due(void **state)
{
    struct streams *f = *state;
    const struct oxbow_bytes key = text_bytes("l");
    const struct oxbow_list_pop_options pop = {
        .keys = &key, .key_count = 1, .end = OXBOW_LEFT, .count = 1};
    const struct oxbow_wait_options wait = {.timeout_ms = 120000};
    const struct oxbow_clock *clock = &oxbow_port_default()->clock;
    uint64_t began;
    uint64_t ended;

    streams_commit(f);
    rig_close(&f->rig);
    f->rig.port.clock = *clock;
    rig_open(&f->rig);
    began = clock->mono_us(clock->ctx);
    streams_begin(f);
    push(f, "l", 50, "a");
    push(f, "l", 120, "b");
    streams_commit(f);
    assert_ok(oxbow_list_pop_wait(f->rig.db, &wait, &pop, NULL, &f->result));
    assert_memory_equal(f->result.items[0].data, "a", 1);
    assert_ok(oxbow_list_pop_wait(f->rig.db, &wait, &pop, NULL, &f->result));
    ended = clock->mono_us(clock->ctx);
    assert_memory_equal(f->result.items[0].data, "b", 1);
    assert_in_range((ended - began) / 1000, 118, 119000);
}

/* ---- a power cut ---- */

/* Entries with numbers for values are given, taken back and added by another process that dies;
 * what it committed durably it says. Each is then waiting, or there once, in its order. */
static void nothing_is_lost_or_doubled_by_dying_anywhere(void **state)
{
    struct streams *f = *state;
    uint64_t seed = rig_seed("delay_run_test");

    streams_commit(f);
    rig_close(&f->rig);
    f->rig.config.sync = OXBOW_SYNC_ALWAYS;
    for (unsigned life = 0; life < 10; life++) {
        unsigned turns = 1 + (unsigned)(rig_random(&seed) % 20);
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            struct oxbow_txn *txn;

            if (oxbow_open(&f->rig.config, &f->rig.db) != OXBOW_OK) {
                _exit(1);
            }
            for (unsigned i = 0; i < turns; i++) {
                const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, 20};
                char text[32];
                enum oxbow_err err = oxbow_txn_begin(f->rig.db, NULL, &txn);

                snprintf(text, sizeof text, "%u.%u", life, i);
                if (err == OXBOW_OK) {
                    err = oxbow_delay_push(txn, text_bytes("l"), OXBOW_RIGHT, &when,
                                           text_bytes(text), NULL);
                }
                if (err == OXBOW_OK) {
                    err = oxbow_delay_run(txn, 0, NULL, NULL);
                }
                if (err != OXBOW_OK || oxbow_txn_commit(txn, NULL) != OXBOW_OK) {
                    _exit(2);
                }
                rig_pass_ms(&f->rig, 7);
            }
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        f->rig.mono_us = 1000 * (rig_random(&seed) % 1000);
        rig_open(&f->rig);
        streams_begin(f);
        pass(f, 20u * 7u + 20u + 1u); /* a life's clock may be lost, all of it */
        assert_int_equal(stat_of(f).waiting, 0);
        assert_int_equal(len_of(f, "l"), turns);
        assert_ok(oxbow_list_pop(f->txn, text_bytes("l"), OXBOW_LEFT, turns, &f->result));
        for (unsigned i = 0; i < turns; i++) {
            char text[32];

            assert_int_equal(snprintf(text, sizeof text, "%u.%u", life, i),
                             (int)f->result.items[i].len);
            assert_memory_equal(f->result.items[i].data, text, f->result.items[i].len);
        }
        streams_commit(f);
        rig_close(&f->rig);
    }
    rig_open(&f->rig);
    streams_begin(f);
}

/* ---- against a model ---- */

#define MODEL_MAX 600u

struct model {
    struct {
        struct oxbow_delay_id id;
        unsigned key;
        unsigned value;
    } waiting[MODEL_MAX];
    size_t count;
    unsigned there[4]
                  [MODEL_MAX]; /* lists 0 and 1 by the store's clock, 2 and 3 by the wall clock */
    size_t length[4];
};

static void model_take(struct model *m, size_t i)
{
    m->waiting[i] = m->waiting[--m->count];
}

/* Moves what is due by that clock, the earliest first. */
static void model_run(struct model *m, bool wall, uint64_t now)
{
    for (;;) {
        size_t best = m->count;

        for (size_t i = 0; i < m->count; i++) {
            if ((m->waiting[i].key >= 2) == wall && m->waiting[i].id.due_ms <= now &&
                (best == m->count || m->waiting[i].id.due_ms < m->waiting[best].id.due_ms ||
                 (m->waiting[i].id.due_ms == m->waiting[best].id.due_ms &&
                  m->waiting[i].id.number < m->waiting[best].id.number))) {
                best = i;
            }
        }
        if (best == m->count) {
            return;
        }
        m->there[m->waiting[best].key][m->length[m->waiting[best].key]++] = m->waiting[best].value;
        model_take(m, best);
    }
}

static void model_check(struct streams *f, const struct model *m)
{
    static const char *const names[] = {"l0", "l1", "l2", "l3"};

    assert_int_equal(stat_of(f).waiting, m->count);
    for (unsigned k = 0; k < 4; k++) {
        assert_ok(oxbow_list_range(f->txn, text_bytes(names[k]), 0, -1, &f->result));
        assert_int_equal(f->result.item_count, m->length[k]);
        for (size_t i = 0; i < m->length[k]; i++) {
            unsigned value;

            memcpy(&value, f->result.items[i].data, sizeof value);
            assert_int_equal(value, m->there[k][i]);
        }
    }
}

static struct oxbow_delay_when random_when(struct streams *f, uint64_t *seed, unsigned key)
{
    uint64_t ms = rig_random(seed) % 100000;

    if (key >= 2) {
        return (struct oxbow_delay_when){OXBOW_DELAY_WALL, f->rig.wall_ms - 10000 + ms};
    }
    return rig_random(seed) % 2 == 0
               ? (struct oxbow_delay_when){OXBOW_DELAY_FOR, ms}
               : (struct oxbow_delay_when){OXBOW_DELAY_CLOCK, txn_clock_ms(f->txn) + ms};
}

static void model_add(struct streams *f, struct model *m, uint64_t *seed, unsigned value)
{
    unsigned key = (unsigned)(rig_random(seed) % 4);
    const struct oxbow_delay_when when = random_when(f, seed, key);
    char name[4];

    snprintf(name, sizeof name, "l%u", key);
    assert_ok(oxbow_delay_push(f->txn, text_bytes(name), OXBOW_RIGHT, &when,
                               (struct oxbow_bytes){&value, sizeof value},
                               &m->waiting[m->count].id));
    m->waiting[m->count].key = key;
    m->waiting[m->count++].value = value;
}

static void it_does_what_a_model_does(void **state)
{
    struct streams *f = *state;
    uint64_t seed = rig_seed("delay_run_test");
    struct model m = {.count = 0};
    struct model before;
    unsigned value = 0;

    for (unsigned turn = 0; turn < 300; turn++) {
        before = m;
        for (uint64_t ops = rig_random(&seed) % 5; ops > 0 && value < MODEL_MAX; ops--) {
            uint64_t dice = rig_random(&seed) % 10;
            size_t i = m.count > 0 ? (size_t)(rig_random(&seed) % m.count) : 0;

            if (dice < 6 || m.count == 0) {
                model_add(f, &m, &seed, value++);
            } else if (dice < 8) {
                assert_ok(oxbow_delay_cancel(f->txn, m.waiting[i].id));
                model_take(&m, i);
            } else {
                const struct oxbow_delay_when when = random_when(f, &seed, m.waiting[i].key);

                assert_ok(oxbow_delay_move(f->txn, m.waiting[i].id, &when, &m.waiting[i].id));
            }
        }
        if (rig_random(&seed) % 10 == 0) {
            streams_abort(f);
            streams_begin(f);
            m = before;
        } else if (rig_random(&seed) % 20 == 0) {
            streams_reopen(f);
        }
        run(f); /* what was due before time passes */
        model_run(&m, false, txn_clock_ms(f->txn));
        model_run(&m, true, f->rig.wall_ms);
        pass(f, rig_random(&seed) % 5000);
        model_run(&m, false, txn_clock_ms(f->txn));
        model_run(&m, true, f->rig.wall_ms);
        model_check(f, &m);
    }
    assert_true(m.length[0] + m.length[1] + m.length[2] + m.length[3] > 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_done_in_bounded_steps),
        TEST(what_is_refused_waits_on_and_blocks_nobody),
        TEST(a_refused_one_can_be_canceled_by_the_id_that_it_had),
        TEST(a_full_queue_takes_it_when_there_is_room),
        TEST(it_goes_to_the_database_it_was_given_in),
        TEST(a_damaged_one_is_told_and_does_not_stop_the_others),
        TEST(a_clock_that_was_lost_is_raised_to_what_was_seen),
        TEST(what_becomes_due_while_the_store_is_closed_comes_when_it_is_opened),
        TEST(a_waiter_wakes_when_an_entry_is_due),
        TEST(nothing_is_lost_or_doubled_by_dying_anywhere),
        TEST(it_does_what_a_model_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
