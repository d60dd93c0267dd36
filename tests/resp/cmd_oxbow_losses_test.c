/* SPDX-License-Identifier: Apache-2.0 */
/* What a store has on record as lost is told by a daemon, page by page, until somebody has seen it. */
#include "tests/resp/talk.h"

#include "engine/store/loss.h"

#define assert_ok(expr) assert_int_equal((expr), OXBOW_OK)

static void assert_says(struct talk *t, const char *words, const char *part)
{
    const char *said = talk(t, 0, words);

    if (strstr(said, part) == NULL) {
        fail_msg("%s: '%s' is not in: %s", words, part, said);
    }
}

/* Losses are found while a store is opened; this server has begun before these. */
static void put_on_record(struct talk *t, unsigned count)
{
    struct oxbow_txn *txn;

    assert_ok(oxbow_txn_begin(t->db, NULL, &txn));
    for (unsigned i = 0; i < count; i++) {
        const struct oxbow_loss loss = {.kind = i % 2 == 0 ? OXBOW_LOSS_ENTRIES : OXBOW_LOSS_KEY,
                                        .database = 3,
                                        .type = i % 4 == 0 ? OXBOW_TYPE_STREAM : OXBOW_TYPE_LIST,
                                        .key = {"some", 4},
                                        .first = {i % 4 == 0 ? 7 : 0, i},
                                        .last = {i % 4 == 0 ? 9 : 0, i + 5},
                                        .entries = i % 2 == 0 ? i + 1 : UINT64_MAX};

        assert_ok(loss_add(txn, &loss));
    }
    assert_ok(oxbow_txn_commit(txn, NULL));
    talk_again(t);
    talk_connect(t, 0);
}

static void a_sound_store_has_none(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "OXBOW LOSSES LIST", "*0\r\n");
    assert_says(t, "INFO oxbow", "\r\nstore_losses:0\r\n");
    assert_reply(t, 0, "OXBOW LOSSES FORGET", "+OK\r\n");
}

static void each_is_told_with_what_is_known_of_it(void **state)
{
    struct talk *t = *state;

    put_on_record(t, 3);
    assert_says(t, "INFO oxbow", "\r\nstore_losses:3\r\n");
    assert_says(t, "OXBOW LOSSES LIST", "*3\r\n*20\r\n$4\r\nkind\r\n$7\r\nentries\r\n");
    assert_says(t, "OXBOW LOSSES LIST COUNT 1",
                "$8\r\ndatabase\r\n:3\r\n$3\r\nkey\r\n$4\r\nsome\r\n$5\r\ngroup\r\n$0\r\n\r\n"
                "$5\r\nfirst\r\n$3\r\n7-0\r\n$4\r\nlast\r\n$3\r\n9-5\r\n$7\r\nentries\r\n:1\r\n");
    assert_says(t, "OXBOW LOSSES LIST FROM 2 COUNT 1",
                "$5\r\nfirst\r\n:2\r\n$4\r\nlast\r\n:7\r\n$7\r\nentries\r\n:3\r\n");
    assert_says(t, "OXBOW LOSSES LIST FROM 1 COUNT 1", "*1\r\n*20\r\n$4\r\nkind\r\n$3\r\nkey\r\n");
    assert_says(t, "OXBOW LOSSES LIST FROM 1 COUNT 1",
                "$7\r\nentries\r\n$-1\r\n$4\r\nboot\r\n:1\r\n");
    assert_says(t, "OXBOW LOSSES LIST FROM 2", "$4\r\ntext\r\n");
}

static void a_long_record_is_told_in_pages(void **state)
{
    struct talk *t = *state;
    char words[64];

    put_on_record(t, 250);
    assert_says(t, "INFO oxbow", "\r\nstore_losses:250\r\n");
    assert_says(t, "OXBOW LOSSES LIST", "*100\r\n*20\r\n");
    assert_says(t, "oxbow losses list from 100", "*100\r\n*20\r\n");
    assert_says(t, "OXBOW LOSSES LIST COUNT 1000 FROM 200", "*50\r\n*20\r\n");
    assert_reply(t, 0, "OXBOW LOSSES LIST FROM 250", "*0\r\n");
    for (unsigned i = 0; i < 250; i += 2) {
        char part[64];

        (void)snprintf(words, sizeof words, "OXBOW LOSSES LIST FROM %u COUNT 1", i);
        (void)snprintf(part, sizeof part, "$7\r\nentries\r\n:%u\r\n", i + 1);
        assert_says(t, words, part);
    }
}

static void what_was_seen_is_forgotten_for_good(void **state)
{
    struct talk *t = *state;

    put_on_record(t, 5);
    assert_reply(t, 0, "OXBOW LOSSES FORGET", "+OK\r\n");
    assert_says(t, "INFO oxbow", "\r\nstore_losses:0\r\n");
    assert_reply(t, 0, "OXBOW LOSSES LIST", "*0\r\n");
    talk_again(t);
    talk_connect(t, 0);
    assert_says(t, "INFO oxbow", "\r\nstore_losses:0\r\n");
    assert_reply(t, 0, "OXBOW LOSSES LIST", "*0\r\n");
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct talk *t = *state;

    put_on_record(t, 2);
    assert_says(t, "OXBOW LOSSES", "-ERR wrong number of arguments for 'oxbow|losses' command");
    assert_says(t, "OXBOW LOSSES NOW",
                "-ERR unknown subcommand or wrong number of arguments for "
                "'LOSSES NOW'. Try OXBOW HELP.");
    assert_says(t, "OXBOW LOSSES FORGET all", "-ERR unknown subcommand");
    assert_reply(t, 0, "OXBOW LOSSES LIST COUNT", "-ERR syntax error\r\n");
    assert_reply(t, 0, "OXBOW LOSSES LIST 5 COUNT", "-ERR syntax error\r\n");
    for (unsigned i = 0; i < 4; i++) {
        static const char *const bad[] = {"0", "1001", "-1", "x"};
        char words[64];

        (void)snprintf(words, sizeof words, "OXBOW LOSSES LIST COUNT %s", bad[i]);
        assert_reply(t, 0, words, "-ERR COUNT is a number from 1 to 1000\r\n");
    }
    assert_reply(t, 0, "OXBOW LOSSES LIST FROM x",
                 "-ERR FROM is a number of losses to pass over\r\n");
    assert_reply(t, 0, "MULTI", "+OK\r\n");
    assert_says(t, "OXBOW LOSSES FORGET", "-ERR");
    assert_says(t, "DISCARD", "+OK");
    assert_says(t, "INFO oxbow", "\r\nstore_losses:2\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sound_store_has_none),         TEST(each_is_told_with_what_is_known_of_it),
        TEST(a_long_record_is_told_in_pages), TEST(what_was_seen_is_forgotten_for_good),
        TEST(what_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
