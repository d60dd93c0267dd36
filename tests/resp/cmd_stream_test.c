/* SPDX-License-Identifier: Apache-2.0 */
/* The stream family: blocking, groups, what differs by version. cmd_stream_redis_test.c compares the
 * rest with a real server. */
#include "tests/resp/talk.h"

static void entries_are_added_and_read(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "XADD s 1-1 a b", "$3\r\n1-1\r\n");
    assert_reply(t, 0, "XADD s 1-* c d", "$3\r\n1-2\r\n");
    assert_reply(t, 0, "XADD s 1-1 a b",
                 "-ERR The ID specified in XADD is equal or smaller than the target stream top "
                 "item\r\n");
    assert_reply(t, 0, "XADD t NOMKSTREAM * a b", "$-1\r\n");
    assert_reply(t, 0, "XLEN s", ":2\r\n");
    assert_reply(t, 0, "XRANGE s - + COUNT 1",
                 "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "XREAD COUNT 1 STREAMS t s 0 1-1",
                 "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\nc\r\n$1\r\nd\r\n");
    assert_reply(t, 0, "XADD s MAXLEN 1 2 e f", "$3\r\n2-0\r\n");
    assert_reply(t, 0, "XLEN s", ":1\r\n");
    talk_again(t);
    talk_connect(t, 0);
    assert_reply(t, 0, "XRANGE s - +", "*1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\ne\r\n$1\r\nf\r\n");
    assert_memory_equal(talk(t, 0, "HELLO 3"), "%7", 2);
    assert_reply(t, 0, "XREAD STREAMS s 0",
                 "%1\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\ne\r\n$1\r\nf\r\n");
    assert_reply(t, 0, "XREAD STREAMS s $", "_\r\n");
}

static void every_reader_that_waits_gets_the_entry(void **state)
{
    static const char one[] =
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n5-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n";
    struct talk *t = *state;

    (void)talk(t, 0, "XADD s 1 a b");
    talk_connect(t, 1);
    talk_connect(t, 2);
    assert_reply(t, 1, "XREAD BLOCK 0 STREAMS s u $ $", "");
    assert_reply(t, 2, "XREAD BLOCK 0 STREAMS s 3", "");
    (void)talk(t, 0, "XADD s 2 a b");
    assert_string_equal(talk_heard(t, 2), "");
    assert_memory_equal(talk_heard(t, 1), "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-0\r\n", 31);
    assert_reply(t, 1, "XREAD BLOCK 0 STREAMS u s $ $", "");
    (void)talk(t, 0, "XADD s 5 a b");
    assert_string_equal(talk_heard(t, 1), one);
    assert_string_equal(talk_heard(t, 2), one);
}

static void one_waiting_consumer_gets_the_entry(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "XGROUP CREATE s g $ MKSTREAM", "+OK\r\n");
    talk_connect(t, 1);
    talk_connect(t, 2);
    assert_reply(t, 1, "XREADGROUP GROUP g one BLOCK 0 STREAMS s >", "");
    assert_reply(t, 2, "XREADGROUP GROUP g two BLOCK 0 STREAMS s >", "");
    (void)talk(t, 0, "XADD s 1 a b");
    assert_memory_equal(talk_heard(t, 1), "*1\r\n*2\r\n$1\r\ns\r\n", 15);
    assert_string_equal(talk_heard(t, 2), "");
    (void)talk(t, 0, "XADD s 2 a b");
    assert_memory_equal(talk_heard(t, 2), "*1\r\n*2\r\n$1\r\ns\r\n", 15);
    assert_reply(t, 0, "XPENDING s g",
                 "*4\r\n:2\r\n$3\r\n1-0\r\n$3\r\n2-0\r\n*2\r\n*2\r\n$3\r\none\r\n$1\r\n1\r\n"
                 "*2\r\n$3\r\ntwo\r\n$1\r\n1\r\n");
    assert_reply(t, 0, "XACK s g 1 2 3", ":2\r\n");
    assert_reply(t, 1, "XREADGROUP GROUP g one BLOCK 0 STREAMS s 0",
                 "*1\r\n*2\r\n$1\r\ns\r\n*0\r\n");
}

static void who_waits_for_a_group_is_told_that_it_is_gone(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "XGROUP CREATE s g $ MKSTREAM");
    talk_connect(t, 1);
    assert_reply(t, 1, "XREADGROUP GROUP g one BLOCK 0 STREAMS s >", "");
    (void)talk(t, 0, "XGROUP DESTROY s g");
    assert_string_equal(
        talk_heard(t, 1),
        "-NOGROUP the consumer group this client was blocked on no longer exists\r\n");
    (void)talk(t, 0, "XGROUP CREATE s g $");
    assert_reply(t, 1, "XREADGROUP GROUP g one BLOCK 0 STREAMS s >", "");
    (void)talk(t, 0, "DEL s");
    assert_string_equal(talk_heard(t, 1), "-UNBLOCKED the stream key no longer exists\r\n");
}

static void within_a_transaction_nobody_waits(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "MULTI");
    (void)talk(t, 0, "XREAD BLOCK 0 STREAMS s $");
    (void)talk(t, 0, "XADD s 1 a b");
    (void)talk(t, 0, "XREAD BLOCK 0 STREAMS s 0");
    assert_reply(t, 0, "EXEC",
                 "*3\r\n*-1\r\n$3\r\n1-0\r\n"
                 "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
}

static void long_pending_lists_are_given_whole(void **state)
{
    struct talk *t = *state;
    const char *p;
    size_t rows = 0;

    (void)talk(t, 0, "XGROUP CREATE s g 0 MKSTREAM");
    for (int i = 0; i < 300; i++) {
        char words[64];

        (void)snprintf(words, sizeof words, "XADD s %d a b", i + 1);
        (void)talk(t, 0, words);
    }
    (void)talk(t, 0, "XREADGROUP GROUP g c STREAMS s >");
    assert_memory_equal(talk(t, 0, "XPENDING s g - + 257"), "*257\r\n", 6);
    assert_memory_equal(talk(t, 0, "XPENDING s g - + 10000"), "*300\r\n", 6);
    for (p = t->text; (p = strstr(p, "*4\r\n")) != NULL; p++) {
        rows++;
    }
    assert_int_equal(rows, 300);
    assert_memory_equal(talk(t, 0, "XINFO STREAM s FULL COUNT 0"), "*18\r\n", 5);
    assert_non_null(strstr(t->text, "pending\r\n*300\r\n"));
    assert_reply(t, 0, "XPENDING s g - + 10 nobody", "*0\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_are_added_and_read, talk_setup, talk_teardown),
        cmocka_unit_test_setup_teardown(every_reader_that_waits_gets_the_entry, talk_setup,
                                        talk_teardown),
        cmocka_unit_test_setup_teardown(one_waiting_consumer_gets_the_entry, talk_setup,
                                        talk_teardown),
        cmocka_unit_test_setup_teardown(who_waits_for_a_group_is_told_that_it_is_gone, talk_setup,
                                        talk_teardown),
        cmocka_unit_test_setup_teardown(within_a_transaction_nobody_waits, talk_setup,
                                        talk_teardown),
        cmocka_unit_test_setup_teardown(long_pending_lists_are_given_whole, talk_setup,
                                        talk_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
