/* SPDX-License-Identifier: Apache-2.0 */
/* Order by key inside a group, and groups that one consumer has for itself. */
#include "engine/queue/group_key.h"

#include "engine/queue/group_due.h"
#include "engine/queue/group_rules.h"
#include "tests/queue/group_fixture.h"

#define KEYS      5
#define ENTRIES   800
#define CONSUMERS 4

static const struct oxbow_group_options KEYED = {.visibility_ms = 1000, .key_field = {"k", 1}};

/* Adds {k: key} under ms-0. */
static void put(struct streams *f, uint64_t ms, const char *key)
{
    struct oxbow_field field = {BYTES("k"), text_bytes(key)};
    struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {ms, 0}};

    assert_ok(oxbow_stream_add(f->txn, BYTES("s"), &opt, &field, 1, NULL));
}

static void keyed(struct streams *f, const char *keys)
{
    uint64_t ms;

    setup(f, &KEYED, 0);
    for (ms = 1; keys[ms - 1] != '\0'; ms++) {
        char key[2] = {keys[ms - 1], '\0'};

        put(f, ms, key);
    }
}

static void entries_of_one_key_go_to_one_consumer_in_order(void **state)
{
    struct streams *f = *state;

    keyed(f, "aabba");
    assert_string_equal(take(f, "bob", 1), "1-0{k=a}");
    /* 2 waits for 1; 5 would have to wait for 2. */
    assert_string_equal(take(f, "eve", 0), "3-0{k=b} 4-0{k=b}");
    assert_string_equal(pending(f), "1-0:bob:1 2-0::0 3-0:eve:1 4-0:eve:1 5-0::0");
    assert_string_equal(take(f, "eve", 0), "");
    assert_int_equal(ack(f, 1), 1);
    assert_string_equal(take(f, "eve", 0), "2-0{k=a}");
    assert_int_equal(ack(f, 2), 1);
    streams_reopen(f);
    assert_string_equal(take(f, "bob", 0), "5-0{k=a}");
    assert_int_equal(ack(f, 3) + ack(f, 4) + ack(f, 5), 3);
    assert_string_equal(pending(f), "");
}

static void the_owner_of_a_key_gets_more_of_it_at_once(void **state)
{
    struct streams *f = *state;

    keyed(f, "ab");
    assert_string_equal(take(f, "bob", 1), "1-0{k=a}");
    assert_string_equal(take(f, "eve", 1), "2-0{k=b}");
    put(f, 3, "a");
    put(f, 4, "b");
    put(f, 5, "c");
    assert_string_equal(take(f, "bob", 0), "3-0{k=a} 5-0{k=c}");
    assert_string_equal(pending(f), "1-0:bob:1 2-0:eve:1 3-0:bob:1 4-0::0 5-0:bob:1");
}

static void a_failed_entry_is_delivered_before_those_behind_it(void **state)
{
    struct streams *f = *state;

    keyed(f, "aaa");
    assert_string_equal(take(f, "bob", 2), "1-0{k=a} 2-0{k=a}");
    pass(f, 500);
    /* Bob is still at work on the second. */
    {
        struct oxbow_id id = {2, 0};
        struct oxbow_group_extend_options opt = {.ids = &id, .count = 1, .visible_ms = 5000};

        assert_ok(oxbow_group_extend(f->txn, the_group(), &opt, NULL));
    }
    pass(f, 500);
    /* The first comes to eve, and with it the key: the second is not bob's any more. */
    assert_string_equal(take(f, "eve", 0), "1-0{k=a}");
    assert_string_equal(pending(f), "1-0:eve:2 2-0::1 3-0::0");
    assert_int_equal(ack(f, 1), 1);
    assert_string_equal(take(f, "bob", 1), "2-0{k=a}");
    assert_string_equal(take(f, "bob", 1), "");
    assert_int_equal(ack(f, 2), 1);
    assert_string_equal(take(f, "eve", 1), "3-0{k=a}");
}

static void a_nacked_entry_holds_up_its_key_and_no_other(void **state)
{
    struct streams *f = *state;

    keyed(f, "abab");
    assert_string_equal(take(f, "bob", 1), "1-0{k=a}");
    assert_int_equal(nack(f, 1, OXBOW_NACK_DELAY, 700), 1);
    assert_string_equal(take(f, "eve", 0), "2-0{k=b} 4-0{k=b}");
    pass(f, 699);
    assert_string_equal(take(f, "eve", 0), "");
    pass(f, 1);
    assert_string_equal(take(f, "eve", 1), "1-0{k=a}");
    assert_string_equal(take(f, "eve", 1), "");
    assert_int_equal(ack(f, 1), 1);
    assert_string_equal(take(f, "bob", 1), "3-0{k=a}");
}

static void a_dead_letter_lets_the_next_of_its_key_go(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = KEYED;

    keyed(f, "aa");
    opt.max_deliveries = 1;
    opt.dead_letter = BYTES("dead");
    options(f, &opt);
    assert_string_equal(take(f, "bob", 1), "1-0{k=a}");
    assert_string_equal(take(f, "eve", 1), "");
    pass(f, 1000);
    assert_string_equal(take(f, "eve", 1), "2-0{k=a}");
    assert_int_equal(length(f, "dead"), 1);
}

static void entries_without_the_field_wait_for_nobody(void **state)
{
    struct streams *f = *state;

    keyed(f, "a");
    assert_string_equal(take(f, "bob", 1), "1-0{k=a}");
    streams_fill(f, "t", 1);
    assert_ok(streams_put(f, "s", ID(2, 0), "x"));
    put(f, 3, "a");
    assert_ok(streams_put(f, "s", ID(4, 0), "y"));
    assert_string_equal(take(f, "eve", 0), "2-0{f=x} 4-0{f=y}");
}

static void a_deleted_consumer_gives_back_its_keys(void **state)
{
    struct streams *f = *state;

    keyed(f, "aaa");
    assert_string_equal(take(f, "bob", 2), "1-0{k=a} 2-0{k=a}");
    assert_string_equal(take(f, "eve", 0), "");
    assert_ok(oxbow_group_consumer_delete(f->txn, the_group(), BYTES("bob"), NULL));
    assert_string_equal(take(f, "eve", 0), "1-0{k=a}");
    assert_int_equal(ack(f, 1), 1);
    assert_string_equal(take(f, "eve", 0), "2-0{k=a}");
    assert_int_equal(ack(f, 2), 1);
    assert_string_equal(take(f, "eve", 0), "3-0{k=a}");
}

static void keys_that_are_forgotten_hold_nothing(void **state)
{
    struct streams *f = *state;
    struct stream s;
    struct group g;

    keyed(f, "aaaa");
    assert_string_equal(take(f, "bob", 1), "1-0{k=a}");
    assert_string_equal(take(f, "eve", 0), "");
    assert_ok(group_find(f->txn, the_group(), &s, &g));
    assert_ok(key_mend(&g));
    rules_sweep(&g);
    assert_ok(rules_save(&g));
    assert_string_equal(take(f, "eve", 0), "2-0{k=a} 3-0{k=a} 4-0{k=a}");
    assert_int_equal(ack(f, 1) + ack(f, 2) + ack(f, 3) + ack(f, 4), 4);
}

/* ---- random ---- */

struct model {
    char key[ENTRIES + 2];
    int with[ENTRIES + 2]; /* consumer, -1: nobody, -2: done */
    uint64_t top;
};

static const char *const NAMES[CONSUMERS] = {"a", "b", "c", "d"};

/* What was given goes to the one who has the key, and is the first of it that is not. */
static void check_given(struct model *m, const struct oxbow_result *given, int who)
{
    for (size_t i = 0; i < given->entry_count; i++) {
        uint64_t id = given->entries[i].id.ms;

        for (uint64_t j = 1; j < id; j++) {
            assert_true(m->key[j] != m->key[id] || m->with[j] == -2 || m->with[j] == who);
        }
        for (uint64_t j = id; j <= m->top; j++) {
            if (m->key[j] == m->key[id] && m->with[j] >= 0 && m->with[j] != who) {
                m->with[j] = -1; /* taken from one whose time is over */
            }
        }
        m->with[id] = who;
    }
}

static void whatever_consumers_do_each_key_is_in_order(void **state)
{
    struct streams *f = *state;
    uint64_t rng = rig_seed("group_key_test"), done = 0;
    static struct model m;
    int idle = 0;

    setup(f, &KEYED, 0);
    memset(&m, 0, sizeof m);
    while (done < ENTRIES && idle < 5000) {
        int who = (int)(rig_random(&rng) % CONSUMERS);
        struct oxbow_group_read_options read = {.count = rig_random(&rng) % 6};
        uint64_t id = 1 + rig_random(&rng) % (m.top + 1);

        idle++;
        switch (rig_random(&rng) % 8) {
        case 0:
            for (int n = 0; n < 8 && m.top < ENTRIES; n++) {
                char key[2] = {(char)('a' + rig_random(&rng) % KEYS), '\0'};

                m.top++;
                m.key[m.top] = key[0];
                m.with[m.top] = -1;
                put(f, m.top, key);
            }
            break;
        case 1:
        case 2:
            assert_ok(
                oxbow_group_read(f->txn, the_group(), text_bytes(NAMES[who]), &read, &f->result));
            check_given(&m, &f->result, who);
            break;
        case 3:
            pass(f, rig_random(&rng) % 600);
            break;
        case 4:
            if (m.with[id] >= 0 && rig_random(&rng) % 4 == 0) {
                nack(f, id, OXBOW_NACK_DELAY, rig_random(&rng) % 800);
                m.with[id] = -1;
            }
            break;
        default:
            for (uint64_t j = 1; j <= m.top; j++) {
                if (m.with[j] >= 0 && rig_random(&rng) % 2 == 0) {
                    assert_int_equal(ack(f, j), 1);
                    m.with[j] = -2;
                    done++;
                    idle = 0;
                    break; /* the oldest ones first, as consumers do */
                }
            }
            break;
        }
        if (rig_random(&rng) % 100 == 0) {
            streams_reopen(f);
        }
    }
    assert_int_equal(done, ENTRIES);
    assert_string_equal(pending(f), "");
}

/* ---- exclusive groups ---- */

static const struct oxbow_group_options ALONE = {.visibility_ms = 100000, .exclusive_ms = 5000};

static void one_consumer_has_an_exclusive_group_for_itself(void **state)
{
    struct streams *f = *state;

    setup(f, &ALONE, 6);
    assert_string_equal(take(f, "bob", 2), "1-0{f=1} 2-0{f=2}");
    assert_string_equal(take(f, "eve", 2), "");
    pass(f, 4999);
    assert_string_equal(take(f, "eve", 2), "");
    assert_string_equal(take(f, "bob", 1), "3-0{f=3}");
    pass(f, 4999);
    assert_string_equal(take(f, "eve", 2), "");
    assert_int_equal(ack(f, 1), 1);
    pass(f, 4999);
    assert_string_equal(take(f, "eve", 2), "");
    pass(f, 1);
    /* What bob had comes first, and he is out. */
    assert_string_equal(take(f, "eve", 3), "2-0{f=2} 3-0{f=3} 4-0{f=4}");
    streams_reopen(f);
    assert_string_equal(take(f, "bob", 0), "");
    assert_string_equal(take(f, "eve", 0), "5-0{f=5} 6-0{f=6}");
}

static void a_takeover_gives_all_of_it_before_anything_new(void **state)
{
    struct streams *f = *state;
    uint64_t next = 1;

    setup(f, &ALONE, 9000);
    for (int i = 0; i < 8; i++) {
        struct oxbow_group_read_options opt = {.count = 1000};

        assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("bob"), &opt, &f->result));
        assert_int_equal(f->result.entry_count, 1000);
        pass(f, 10);
    }
    pass(f, 5000);
    for (int reads = 0; next <= 9000 && reads < 100; reads++) {
        assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("eve"), NULL, &f->result));
        for (size_t i = 0; i < f->result.entry_count; i++) {
            assert_int_equal(f->result.entries[i].id.ms, next++);
        }
    }
    assert_int_equal(next, 9001);
}

static void a_deleted_holder_leaves_the_group_to_the_next(void **state)
{
    struct streams *f = *state;

    setup(f, &ALONE, 2);
    assert_string_equal(take(f, "bob", 1), "1-0{f=1}");
    assert_ok(oxbow_group_consumer_delete(f->txn, the_group(), BYTES("bob"), NULL));
    assert_string_equal(take(f, "eve", 0), "1-0{f=1} 2-0{f=2}");
}

static void an_idle_group_is_anybodys_who_finds_something(void **state)
{
    struct streams *f = *state;

    setup(f, &ALONE, 1);
    assert_string_equal(take(f, "bob", 1), "1-0{f=1}");
    assert_int_equal(ack(f, 1), 1);
    pass(f, 5000);
    assert_string_equal(take(f, "eve", 1), "");
    assert_ok(streams_put(f, "s", ID(2, 0), "2"));
    assert_string_equal(take(f, "bob", 1), "2-0{f=2}");
    assert_string_equal(take(f, "eve", 1), "");
    options(f, &(struct oxbow_group_options){.visibility_ms = 100000});
    assert_ok(streams_put(f, "s", ID(3, 0), "3"));
    assert_string_equal(take(f, "eve", 1), "3-0{f=3}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
        TEST(entries_of_one_key_go_to_one_consumer_in_order),
        TEST(the_owner_of_a_key_gets_more_of_it_at_once),
        TEST(a_failed_entry_is_delivered_before_those_behind_it),
        TEST(a_nacked_entry_holds_up_its_key_and_no_other),
        TEST(a_dead_letter_lets_the_next_of_its_key_go),
        TEST(entries_without_the_field_wait_for_nobody),
        TEST(a_deleted_consumer_gives_back_its_keys),
        TEST(keys_that_are_forgotten_hold_nothing),
        TEST(whatever_consumers_do_each_key_is_in_order),
        TEST(one_consumer_has_an_exclusive_group_for_itself),
        TEST(a_takeover_gives_all_of_it_before_anything_new),
        TEST(a_deleted_holder_leaves_the_group_to_the_next),
        TEST(an_idle_group_is_anybodys_who_finds_something),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
