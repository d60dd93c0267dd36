/* SPDX-License-Identifier: Apache-2.0 */
/* Bits, and keys that are copied and moved, reply by reply. */
#include "tests/resp/talk.h"

static void bits_are_set_counted_and_found(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "SETBIT b 7 1", ":0\r\n");
    assert_reply(t, 0, "SETBIT b 7 1", ":1\r\n");
    assert_reply(t, 0, "SETBIT b 16 1", ":0\r\n");
    assert_reply(t, 0, "GETBIT b 16", ":1\r\n");
    assert_reply(t, 0, "GETBIT b 4000000", ":0\r\n");
    assert_reply(t, 0, "SETBIT b 4294967296 1",
                 "-ERR bit offset is not an integer or out of range\r\n");
    assert_reply(t, 0, "SETBIT b 1 2", "-ERR bit is not an integer or out of range\r\n");
    assert_reply(t, 0, "BITCOUNT b", ":2\r\n");
    assert_reply(t, 0, "BITCOUNT b 1 -1", ":1\r\n");
    assert_reply(t, 0, "BITCOUNT b 7 7 BIT", ":1\r\n");
    assert_reply(t, 0, "BITCOUNT b 1", "-ERR syntax error\r\n");
    assert_reply(t, 0, "BITCOUNT none 1", ":0\r\n");
    assert_reply(t, 0, "BITPOS b 1", ":7\r\n");
    assert_reply(t, 0, "BITPOS b 1 1", ":16\r\n");
    assert_reply(t, 0, "BITPOS b 0 0 0 byte", ":0\r\n");
    assert_reply(t, 0, "BITPOS b 2", "-ERR The bit argument must be 1 or 0.\r\n");
    assert_reply(t, 0, "BITPOS none 0", ":0\r\n");
    (void)talk(t, 0, "RPUSH l x");
    assert_memory_equal(talk(t, 0, "SETBIT l 1 1"), "-WRONGTYPE ", 11);
    assert_memory_equal(talk(t, 0, "BITCOUNT l x"), "-WRONGTYPE ", 11);
}

static void values_are_combined_bit_by_bit(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "SET a abc");
    (void)talk(t, 0, "SET c ABCD");
    assert_reply(t, 0, "BITOP AND d a c", ":4\r\n");
    assert_reply(t, 0, "GETRANGE d 0 2", "$3\r\nABC\r\n");
    assert_reply(t, 0, "BITOP xor d a a", ":3\r\n");
    assert_reply(t, 0, "BITCOUNT d", ":0\r\n");
    assert_reply(t, 0, "BITOP NOT d a c",
                 "-ERR BITOP NOT must be called with a single source key.\r\n");
    assert_reply(t, 0, "BITOP NAND d a", "-ERR syntax error\r\n");
    assert_reply(t, 0, "BITOP OR d none", ":0\r\n");
    assert_reply(t, 0, "EXISTS d", ":0\r\n");
}

static void numbers_of_any_width_are_read_and_changed(void **state)
{
    struct talk *t = *state;

    assert_reply(t, 0, "BITFIELD f SET u8 0 200 INCRBY u8 0 100", "*2\r\n:0\r\n:44\r\n");
    assert_reply(t, 0, "BITFIELD f OVERFLOW SAT INCRBY u8 0 1000 GET i8 #0",
                 "*2\r\n:255\r\n:-1\r\n");
    assert_reply(t, 0, "BITFIELD f OVERFLOW FAIL INCRBY u8 0 1", "*1\r\n$-1\r\n");
    assert_reply(t, 0, "BITFIELD_RO f GET u4 #1", "*1\r\n:15\r\n");
    assert_reply(t, 0, "BITFIELD_RO f SET u8 0 1",
                 "-ERR BITFIELD_RO only supports the GET subcommand\r\n");
    assert_reply(t, 0, "BITFIELD f", "*0\r\n");
    assert_reply(t, 0, "BITFIELD f GET u64 0",
                 "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
                 "supported but i64 is.\r\n");
    assert_reply(t, 0, "BITFIELD f OVERFLOW no", "-ERR Invalid OVERFLOW type specified\r\n");
    assert_reply(t, 0, "BITFIELD f GET u8", "-ERR syntax error\r\n");
}

static void a_key_goes_to_another_database_and_wakes_who_waits_there(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    (void)talk(t, 1, "SELECT 3");
    (void)talk(t, 0, "RPUSH l a b");
    assert_reply(t, 0, "COPY l m", ":1\r\n");
    assert_reply(t, 0, "COPY l m", ":0\r\n");
    assert_reply(t, 0, "COPY l m REPLACE", ":1\r\n");
    assert_reply(t, 0, "COPY l l", "-ERR source and destination objects are the same\r\n");
    assert_reply(t, 0, "COPY l m DB 16", "-ERR DB index is out of range\r\n");
    assert_reply(t, 0, "COPY none m", ":0\r\n");
    assert_reply(t, 1, "BLPOP l 0", "");
    assert_reply(t, 0, "MOVE l 3", ":1\r\n");
    assert_string_equal(talk_heard(t, 1), "*2\r\n$1\r\nl\r\n$1\r\na\r\n");
    assert_reply(t, 0, "MOVE l 3", ":0\r\n");
    assert_reply(t, 0, "MOVE m 0", "-ERR source and destination objects are the same\r\n");
    assert_reply(t, 1, "BRPOP m 0", "");
    assert_reply(t, 0, "COPY m m DB 3", ":1\r\n");
    assert_string_equal(talk_heard(t, 1), "*2\r\n$1\r\nm\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "RANDOMKEY", "$1\r\nm\r\n");
    (void)talk(t, 0, "DEL m");
    assert_reply(t, 0, "RANDOMKEY", "$-1\r\n");
    (void)talk(t, 0, "SET k v");
    (void)talk(t, 0, "WATCH k");
    assert_reply(t, 0, "RENAME k k", "+OK\r\n");
    (void)talk(t, 0, "MULTI");
    assert_reply(t, 0, "EXEC", "*0\r\n"); /* nothing has changed */
    assert_reply(t, 0, "HINCRBYFLOAT h f 1.5", "$3\r\n1.5\r\n");
    assert_reply(t, 0, "HINCRBYFLOAT h f x", "-ERR value is not a valid float\r\n");
    assert_reply(t, 0, "HINCRBYFLOAT h f inf", "-ERR value is NaN or Infinity\r\n");
    (void)talk(t, 0, "HSET h g x");
    assert_reply(t, 0, "HINCRBYFLOAT h g 1", "-ERR hash value is not a float\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bits_are_set_counted_and_found),
        TEST(values_are_combined_bit_by_bit),
        TEST(numbers_of_any_width_are_read_and_changed),
        TEST(a_key_goes_to_another_database_and_wakes_who_waits_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
