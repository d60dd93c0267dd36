/* SPDX-License-Identifier: Apache-2.0 */
/* Negative acks, more time for an entry, and what the status says. */
#include "tests/queue/group_fixture.h"

static enum oxbow_err extend(struct streams *f, const char *consumer, uint64_t ms, uint64_t by,
                             uint64_t *n)
{
    struct oxbow_id id = {ms, 0};
    struct oxbow_group_extend_options opt = {
        .ids = &id, .count = 1, .visible_ms = by, .has_consumer = consumer != NULL};

    opt.consumer = text_bytes(consumer != NULL ? consumer : "");
    return oxbow_group_extend(f->txn, the_group(), &opt, n);
}

static void a_nacked_entry_is_nobodys_and_comes_after_its_rest(void **state)
{
    struct streams *f = *state;

    setup(f, &(struct oxbow_group_options){.retry_base_ms = 100}, 2);
    take(f, "bob", 0);
    assert_int_equal(nack(f, 1, OXBOW_NACK_RETRY, 0), 1);
    assert_string_equal(pending(f), "1-0::1 2-0:bob:1");
    assert_int_equal(nack(f, 9, OXBOW_NACK_RETRY, 0), 0);
    pass(f, 99);
    assert_string_equal(take(f, "eve", 0), "");
    pass(f, 1);
    assert_string_equal(take(f, "eve", 0), "1-0{f=1}");
    assert_string_equal(pending(f), "1-0:eve:2 2-0:bob:1");
    assert_int_equal(nack(f, 1, OXBOW_NACK_RETRY, 0), 1);
    pass(f, 199);
    assert_string_equal(take(f, "bob", 0), "");
    streams_reopen(f);
    pass(f, 1);
    assert_string_equal(take(f, "bob", 0), "1-0{f=1}");
}

static void a_nack_may_say_how_long(void **state)
{
    struct streams *f = *state;

    setup(f, &(struct oxbow_group_options){.visibility_ms = 10, .retry_base_ms = 5}, 1);
    take(f, "bob", 0);
    assert_int_equal(nack(f, 1, OXBOW_NACK_DELAY, 5000), 1);
    pass(f, 4999);
    assert_string_equal(take(f, "bob", 0), "");
    pass(f, 1);
    assert_string_equal(take(f, "bob", 0), "1-0{f=1}");
    /* The delay was for that once. */
    pass(f, 20);
    assert_string_equal(take(f, "bob", 0), "1-0{f=1}");
    assert_int_equal(nack(f, 1, OXBOW_NACK_DELAY, 0), 1);
    assert_string_equal(take(f, "bob", 0), "1-0{f=1}");
}

static void a_nacked_entry_can_be_acked_and_claimed(void **state)
{
    struct streams *f = *state;
    struct oxbow_id id = {2, 0};
    struct oxbow_claim_options claim = {.ids = &id, .count = 1};

    setup(f, &(struct oxbow_group_options){.visibility_ms = 1000}, 2);
    take(f, "bob", 0);
    nack(f, 1, OXBOW_NACK_DELAY, 100);
    nack(f, 2, OXBOW_NACK_DELAY, 100);
    assert_int_equal(ack(f, 1), 1);
    assert_ok(oxbow_group_claim(f->txn, the_group(), BYTES("eve"), &claim, &f->result));
    assert_string_equal(pending(f), "2-0:eve:2");
    pass(f, 100);
    assert_string_equal(take(f, "bob", 0), "");
    pass(f, 900);
    assert_string_equal(take(f, "bob", 0), "2-0{f=2}");
}

static void an_extended_entry_comes_back_later(void **state)
{
    struct streams *f = *state;
    uint64_t n;

    setup(f, &(struct oxbow_group_options){.visibility_ms = 1000}, 3);
    take(f, "bob", 0);
    assert_ok(extend(f, "bob", 1, 3000, &n));
    assert_int_equal(n, 1);
    assert_ok(extend(f, "eve", 2, 3000, &n));
    assert_int_equal(n, 0);
    assert_ok(extend(f, NULL, 3, 10, &n));
    assert_int_equal(n, 1);
    assert_ok(extend(f, "bob", 9, 10, &n));
    assert_int_equal(n, 0);
    pass(f, 10);
    assert_string_equal(take(f, "eve", 0), "3-0{f=3}");
    assert_ok(extend(f, "bob", 3, 100000, &n));
    assert_int_equal(n, 0);
    pass(f, 2989);
    assert_string_equal(take(f, "eve", 0), "2-0{f=2} 3-0{f=3}");
    pass(f, 1);
    assert_string_equal(take(f, "eve", 0), "1-0{f=1}");
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_create_options create = {.make_stream = true};
    struct oxbow_id id = {1, 0};
    static const char text[OXBOW_GROUP_REASON_MAX + 1];
    struct oxbow_group_nack_options ok = {.ids = &id, .count = 1}, bad;
    uint64_t n = 7;

    assert_err(oxbow_group_nack(f->txn, the_group(), &ok, &n), OXBOW_ENOGROUP);
    assert_ok(oxbow_group_create(f->txn, the_group(), &create));
    streams_fill(f, "s", 1);
    take(f, "bob", 0);
    assert_err(oxbow_group_nack(f->txn, the_group(), &ok, &n), OXBOW_EINVAL);
    assert_err(extend(f, "bob", 1, 1, &n), OXBOW_EINVAL);
    options(f, &(struct oxbow_group_options){.visibility_ms = 1});
    assert_err(extend(f, "bob", 1, OXBOW_GROUP_MS_MAX + 1, &n), OXBOW_EINVAL);
    bad = ok;
    bad.how = (enum oxbow_nack)3;
    assert_err(oxbow_group_nack(f->txn, the_group(), &bad, &n), OXBOW_EINVAL);
    bad = ok;
    bad.how = OXBOW_NACK_DEAD;
    assert_err(oxbow_group_nack(f->txn, the_group(), &bad, &n), OXBOW_EINVAL);
    bad = ok;
    bad.how = OXBOW_NACK_DELAY;
    bad.delay_ms = OXBOW_GROUP_MS_MAX + 1;
    assert_err(oxbow_group_nack(f->txn, the_group(), &bad, &n), OXBOW_EINVAL);
    bad = ok;
    bad.reason = (struct oxbow_bytes){text, OXBOW_GROUP_REASON_MAX + 1};
    assert_err(oxbow_group_nack(f->txn, the_group(), &bad, &n), OXBOW_EINVAL);
    bad = ok;
    bad.ids = NULL;
    assert_err(oxbow_group_nack(f->txn, the_group(), &bad, &n), OXBOW_EINVAL);
    assert_err(oxbow_group_nack(f->txn, the_group(), NULL, &n), OXBOW_EINVAL);
    assert_err(oxbow_group_extend(f->txn, the_group(), NULL, &n), OXBOW_EINVAL);
    assert_int_equal(n, 7);
    assert_string_equal(pending(f), "1-0:bob:1");
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_group_nack(f->txn, the_group(), &ok, &n), OXBOW_EREADONLY);
    assert_err(extend(f, "bob", 1, 1, &n), OXBOW_EREADONLY);
}

static void the_status_says_when_something_comes_back(void **state)
{
    struct streams *f = *state;

    setup(f, &(struct oxbow_group_options){.visibility_ms = 1000}, 2);
    take(f, "bob", 1);
    assert_true(status(f).has_due);
    assert_int_equal(status(f).due_ms, 1000);
    pass(f, 300);
    assert_int_equal(status(f).due_ms, 700);
    nack(f, 1, OXBOW_NACK_DELAY, 50);
    assert_int_equal(status(f).due_ms, 50);
    pass(f, 60);
    assert_int_equal(status(f).due_ms, 0);
    take(f, "bob", 1);
    assert_int_equal(status(f).redelivered, 1);
}

/* ---- given back ---- */

static uint64_t release(struct streams *f, struct oxbow_group_release_options opt, uint64_t ms)
{
    struct oxbow_id id = {ms, 0};
    uint64_t released = 99;

    opt.ids = &id;
    opt.count = 1;
    assert_ok(oxbow_group_release(f->txn, the_group(), &opt, &released));
    return released;
}

static void plain(struct streams *f, uint64_t n)
{
    struct oxbow_group_create_options create = {.make_stream = true};

    assert_ok(oxbow_group_create(f->txn, the_group(), &create));
    streams_fill(f, "s", n);
    (void)take(f, "bob", 0);
}

static void what_is_given_back_is_nobodys_and_counts_as_it_was_said(void **state)
{
    struct streams *f = *state;
    struct oxbow_consumer_info info;

    plain(f, 4);
    assert_int_equal(
        release(f, (struct oxbow_group_release_options){.how = OXBOW_RELEASE_SILENT}, 1), 1);
    assert_int_equal(release(f, (struct oxbow_group_release_options){.how = OXBOW_RELEASE_FAIL}, 2),
                     1);
    assert_int_equal(release(f,
                             (struct oxbow_group_release_options){.how = OXBOW_RELEASE_FATAL,
                                                                  .has_deliveries = true,
                                                                  .deliveries = 8},
                             3),
                     1);
    assert_int_equal(release(f, (struct oxbow_group_release_options){.how = OXBOW_RELEASE_FAIL}, 9),
                     0);
    assert_string_equal(pending(f), "1-0::0 2-0::1 3-0::8 4-0:bob:1");
    assert_ok(oxbow_group_consumer_info(f->txn, the_group(), BYTES("bob"), &info));
    assert_int_equal(info.pending, 1);
    streams_reopen(f);
    assert_string_equal(pending(f), "1-0::0 2-0::1 3-0::8 4-0:bob:1");
    assert_string_equal(take(f, "eve", 0), "");
    assert_int_equal(ack(f, 1), 1);
    assert_string_equal(pending(f), "2-0::1 3-0::8 4-0:bob:1");
}

static void force_adds_entries_of_the_stream(void **state)
{
    struct streams *f = *state;
    const struct oxbow_group_release_options force = {.how = OXBOW_RELEASE_FATAL, .force = true};

    plain(f, 1);
    assert_ok(streams_put(f, "s", ID(7, 0), "7"));
    assert_int_equal(release(f, force, 7), 1);
    assert_int_equal(release(f, force, 8), 0);
    assert_int_equal(ack(f, 1), 1);
    assert_string_equal(take(f, "eve", 0), "7-0{f=7}");
    assert_string_equal(pending(f), "7-0:eve:1");
}

static void with_options_it_is_a_negative_ack(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = {.retry_base_ms = 100};
    const struct oxbow_group_release_options force = {.how = OXBOW_RELEASE_FAIL, .force = true};

    setup(f, &opt, 3);
    take(f, "bob", 0);
    release(f, (struct oxbow_group_release_options){.how = OXBOW_RELEASE_FAIL}, 1);
    release(f, (struct oxbow_group_release_options){.how = OXBOW_RELEASE_SILENT}, 2);
    assert_string_equal(pending(f), "1-0::1 2-0::0 3-0:bob:1");
    assert_string_equal(take(f, "eve", 0), "2-0{f=2}");
    pass(f, 100);
    assert_string_equal(take(f, "eve", 0), "1-0{f=1}");
    release(f, (struct oxbow_group_release_options){.how = OXBOW_RELEASE_FATAL}, 1);
    assert_string_equal(pending(f), "1-0::-1 2-0:eve:1 3-0:bob:1"); /* as an int */
    assert_ok(streams_put(f, "s", ID(7, 0), "7"));
    assert_int_equal(release(f, force, 7), 1);
    assert_string_equal(pending(f), "1-0::-1 2-0:eve:1 3-0:bob:1 7-0::0");
    opt.dead_letter = BYTES("dead");
    options(f, &opt);
    assert_int_equal(
        release(f, (struct oxbow_group_release_options){.how = OXBOW_RELEASE_FATAL}, 3), 1);
    assert_int_equal(length(f, "dead"), 1);
    assert_ok(oxbow_stream_range(f->txn, BYTES("dead"),
                                 &(struct oxbow_stream_range){.to = OXBOW_ID_MAX}, &f->result));
    assert_string_equal(field(f, 0, "oxbow.deliveries"), "1");
    assert_string_equal(field(f, 0, "oxbow.reason"), "rejected");
}

static void a_release_that_makes_no_sense_is_refused(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_release_options opt = {.count = 0};

    assert_err(oxbow_group_release(f->txn, the_group(), &opt, NULL), OXBOW_ENOGROUP);
    plain(f, 1);
    assert_ok(oxbow_group_release(f->txn, the_group(), &opt, NULL));
    assert_err(oxbow_group_release(f->txn, the_group(), NULL, NULL), OXBOW_EINVAL);
    opt.count = 1;
    assert_err(oxbow_group_release(f->txn, the_group(), &opt, NULL), OXBOW_EINVAL);
    opt.count = 0;
    opt.how = (enum oxbow_release)9;
    assert_err(oxbow_group_release(f->txn, the_group(), &opt, NULL), OXBOW_EINVAL);
    opt.how = OXBOW_RELEASE_FAIL;
    opt.has_deliveries = true;
    opt.deliveries = OXBOW_DELIVERIES_MAX + 1;
    assert_err(oxbow_group_release(f->txn, the_group(), &opt, NULL), OXBOW_EINVAL);
    opt.deliveries--;
    assert_ok(oxbow_group_release(f->txn, the_group(), &opt, NULL));
    streams_commit(f);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_group_release(f->txn, the_group(), &opt, NULL), OXBOW_EREADONLY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
        TEST(a_nacked_entry_is_nobodys_and_comes_after_its_rest),
        TEST(a_nack_may_say_how_long),
        TEST(a_nacked_entry_can_be_acked_and_claimed),
        TEST(an_extended_entry_comes_back_later),
        TEST(what_makes_no_sense_is_refused),
        TEST(the_status_says_when_something_comes_back),
        TEST(what_is_given_back_is_nobodys_and_counts_as_it_was_said),
        TEST(force_adds_entries_of_the_stream),
        TEST(with_options_it_is_a_negative_ack),
        TEST(a_release_that_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
