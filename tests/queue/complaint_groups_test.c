/* SPDX-License-Identifier: Apache-2.0 */
/* What users of other brokers complain of about bad records, retries and order (docs/COMPLAINTS.md):
 * each test is the situation, and passes. */
#include "tests/queue/group_fixture.h"

/* 16. One bad record blocks or kills its batch. */
static void complaint_16_one_bad_record_blocks_or_kills_its_batch(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = {
        .visibility_ms = 1000, .max_deliveries = 3, .dead_letter = BYTES("quarantine")};
    struct oxbow_acked_prefix prefix;
    uint64_t done = 0;

    setup(f, &opt, 50);
    for (int i = 0; i < 100 && (done < 49 || length(f, "quarantine") == 0); i++) {
        size_t given;

        take(f, "worker", 8);
        given = f->result.entry_count;
        for (size_t k = 0; k < given; k++) {
            uint64_t id = f->result.entries[k].id.ms;

            if (id == 4) {
                /* The worker dies of it, with the rest of its batch in hand. */
                streams_reopen(f);
                break;
            }
            done += ack(f, id);
        }
        pass(f, 1000);
    }
    assert_int_equal(done, 49);
    assert_string_equal(pending(f), "");
    streams_all(f, "quarantine");
    assert_int_equal(f->result.entry_count, 1);
    assert_string_equal(field(f, 0, "f"), "4");
    assert_string_equal(field(f, 0, "oxbow.deliveries"), "3");
    /* The cursor of a forward that carries what is acked is past it. */
    assert_ok(oxbow_group_acked_prefix(f->txn, the_group(), &prefix));
    assert_false(prefix.blocked);
    assert_id(prefix.id, "50-0");
}

/* 17. Silent give-up: retry caps drop data. */
static void complaint_17_retry_caps_drop_data_in_silence(void **state)
{
    struct streams *f = *state;
    struct oxbow_group_options opt = {.visibility_ms = 1000, .retry_base_ms = 1000};
    struct oxbow_bytes item = BYTES("x");

    /* Without a limit it is tried for as long as it takes. */
    setup(f, &opt, 1);
    for (int i = 0; i < 3000; i++) {
        pass(f, 1000 + OXBOW_GROUP_RETRY_MAX_DEFAULT);
        assert_string_equal(take(f, "worker", 0), "1-0{f=1}");
    }
    assert_int_equal(status(f).redelivered, 2999);
    /* A limit without a place for what is given up is refused. */
    opt.max_deliveries = 5;
    assert_err(oxbow_group_options_set(f->txn, the_group(), &opt), OXBOW_EINVAL);
    /* And when that place takes nothing, it stays here. */
    opt.dead_letter = BYTES("dead");
    options(f, &opt);
    assert_ok(oxbow_list_push(f->txn, BYTES("dead"), OXBOW_RIGHT, &item, 1, NULL));
    for (int i = 0; i < 100; i++) {
        pass(f, 3600000);
        assert_string_equal(take(f, "worker", 0), "");
        assert_string_equal(pending(f), "1-0:worker:3000");
    }
    assert_int_equal(status(f).dead_problem, OXBOW_EWRONGTYPE);
    assert_ok(oxbow_key_delete(f->txn, BYTES("dead"), NULL));
    pass(f, 3600000);
    assert_string_equal(take(f, "worker", 0), "");
    assert_int_equal(length(f, "dead"), 1);
}

/* 18. Order broken by retries. Three workers, one of which drops every fifth entry: the entries of
 * each device are processed in order nonetheless. */
static void complaint_18_retries_break_the_order(void **state)
{
    static const char *const workers[] = {"a", "b", "c"};
    struct streams *f = *state;
    struct oxbow_group_options opt = {.visibility_ms = 1000,
                                      .retry_base_ms = 100,
                                      .retry_jitter_percent = 50,
                                      .key_field = BYTES("device")};
    uint64_t last[3] = {0}, done = 0;

    setup(f, &opt, 0);
    for (uint64_t id = 1; id <= 120; id++) {
        char name[2] = {(char)('0' + id % 3), '\0'};
        struct oxbow_field device = {BYTES("device"), text_bytes(name)};
        struct oxbow_stream_add_options add = {.id_mode = OXBOW_ID_EXPLICIT, .id = {id, 0}};

        assert_ok(oxbow_stream_add(f->txn, BYTES("s"), &add, &device, 1, NULL));
    }
    for (uint64_t i = 0; i < 5000 && done < 120; i++) {
        uint64_t ids[4];
        size_t given;

        take(f, workers[i % 3], 4);
        given = f->result.entry_count;
        assert_true(given <= 4);
        for (size_t k = 0; k < given; k++) {
            ids[k] = f->result.entries[k].id.ms;
        }
        for (size_t k = 0; k < given; k++) {
            if (i % 5 == 4) {
                break; /* it dies with all that it has */
            }
            assert_true(ids[k] > last[ids[k] % 3]);
            last[ids[k] % 3] = ids[k];
            done += ack(f, ids[k]);
        }
        pass(f, 150);
    }
    assert_int_equal(done, 120);
    assert_string_equal(pending(f), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
        TEST(complaint_16_one_bad_record_blocks_or_kills_its_batch),
        TEST(complaint_17_retry_caps_drop_data_in_silence),
        TEST(complaint_18_retries_break_the_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
