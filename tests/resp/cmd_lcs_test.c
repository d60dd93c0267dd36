/* SPDX-License-Identifier: Apache-2.0 */
/* LCS, beside the table of numbers that Redis 7.0 makes, and that walked back as it does. */
#include "tests/resp/talk.h"

#include "engine/resp/server.h"

#define LEN_MAX 200u

static uint32_t table[LEN_MAX + 1][LEN_MAX + 1];

/* The same each time. */
static uint32_t chance(uint32_t below)
{
    static uint64_t state = 7;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

static void table_make(const char *a, size_t a_len, const char *b, size_t b_len)
{
    for (size_t i = 0; i <= a_len; i++) {
        for (size_t j = 0; j <= b_len; j++) {
            uint32_t up = i > 0 ? table[i - 1][j] : 0;
            uint32_t left = j > 0 ? table[i][j - 1] : 0;

            table[i][j] = i == 0 || j == 0       ? 0
                          : a[i - 1] == b[j - 1] ? table[i - 1][j - 1] + 1
                          : up > left            ? up
                                                 : left;
        }
    }
}

/* What is to be replied to LCS a b and to LCS a b IDX WITHMATCHLEN MINMATCHLEN len_min. */
static void wanted(const char *a, const char *b, uint32_t len_min, char *plain, char *idx)
{
    static char ranges[LEN_MAX][96];
    char found[LEN_MAX + 1] = "";
    size_t i = strlen(a);
    size_t j = strlen(b);
    uint32_t len;
    uint32_t left;
    size_t count = 0;
    size_t run = 0;
    size_t at;

    table_make(a, i, b, j);
    len = left = table[i][j];
    found[len] = '\0';
    while (i > 0 && j > 0) {
        bool same = a[i - 1] == b[j - 1];

        if (same) {
            found[--left] = a[i - 1];
            i--;
            j--;
            run++;
        }
        if (run > 0 && (i == 0 || j == 0 || !same)) {
            if (run >= len_min) {
                (void)snprintf(ranges[count++], sizeof ranges[0],
                               "*3\r\n*2\r\n:%zu\r\n:%zu\r\n*2\r\n:%zu\r\n:%zu\r\n:%zu\r\n", i,
                               i + run - 1, j, j + run - 1, run);
            }
            run = 0;
        }
        if (!same && table[i - 1][j] > table[i][j - 1]) {
            i--;
        } else if (!same) {
            j--;
        }
    }
    (void)sprintf(plain, "$%u\r\n%s\r\n", len, found);
    at = (size_t)sprintf(idx, "*4\r\n$7\r\nmatches\r\n*%zu\r\n", count);
    for (size_t r = 0; r < count; r++) {
        at += (size_t)sprintf(idx + at, "%s", ranges[r]);
    }
    (void)sprintf(idx + at, "$3\r\nlen\r\n:%u\r\n", len);
}

static void letters(uint32_t kinds, uint32_t len, char *out)
{
    for (uint32_t i = 0; i < len; i++) {
        out[i] = (char)('a' + chance(kinds));
    }
    out[len] = '\0';
}

static void it_finds_what_redis_finds(void **state)
{
    static char plain[LEN_MAX + 64];
    static char idx[LEN_MAX * 100];
    struct talk *t = *state;
    uint32_t longest = 0;

    for (uint32_t n = 0; n < 400; n++) {
        /* Lengths around those of words, and kinds of letters from few to many. */
        static const uint32_t lens[] = {1, 2, 5, 31, 63, 64, 65, 127, 128, 129, 200};
        uint32_t kinds = 1 + chance(n % 3 == 0 ? 3 : 20);
        char a[LEN_MAX + 1];
        char b[LEN_MAX + 1];
        char command[2 * LEN_MAX];
        uint32_t len_min = chance(4);

        letters(kinds, lens[chance(sizeof lens / sizeof lens[0])], a);
        letters(kinds, lens[chance(sizeof lens / sizeof lens[0])], b);
        (void)snprintf(command, sizeof command, "SET a %s", a);
        assert_reply(t, 0, command, "+OK\r\n");
        (void)snprintf(command, sizeof command, "SET b %s", b);
        assert_reply(t, 0, command, "+OK\r\n");
        wanted(a, b, len_min, plain, idx);
        assert_reply(t, 0, "LCS a b", plain);
        (void)snprintf(command, sizeof command, "LCS a b IDX WITHMATCHLEN MINMATCHLEN %u", len_min);
        assert_reply(t, 0, command, idx);
        (void)snprintf(command, sizeof command, ":%u\r\n", table[strlen(a)][strlen(b)]);
        assert_reply(t, 0, "LCS a b LEN", command);
        if (table[strlen(a)][strlen(b)] > longest) {
            longest = table[strlen(a)][strlen(b)];
        }
    }
    assert_true(longest > 128); /* else no carry went over two words */
}

static void its_replies_are_those_of_the_documentation(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "MSET key1 ohmytext key2 mynewtext");
    assert_reply(t, 0, "LCS key1 key2", "$6\r\nmytext\r\n");
    assert_reply(t, 0, "lcs key1 key2 len", ":6\r\n");
    assert_reply(t, 0, "LCS key1 key2 IDX",
                 "*4\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n"
                 "*2\r\n*2\r\n:2\r\n:3\r\n*2\r\n:0\r\n:1\r\n$3\r\nlen\r\n:6\r\n");
    assert_reply(t, 0, "LCS key1 key2 IDX MINMATCHLEN 4 WITHMATCHLEN",
                 "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n"
                 "$3\r\nlen\r\n:6\r\n");
    assert_reply(t, 0, "LCS key1 key2 MINMATCHLEN 9 WITHMATCHLEN", "$6\r\nmytext\r\n");
    assert_reply(t, 0, "LCS key1 none", "$0\r\n\r\n");
    assert_reply(t, 0, "LCS none other LEN", ":0\r\n");
    (void)talk(t, 0, "HELLO 3");
    assert_reply(t, 0, "LCS none key1 IDX", "%2\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n");
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "MSET a x b y");
    (void)talk(t, 0, "RPUSH l x");
    assert_reply(t, 0, "LCS a", "-ERR wrong number of arguments for 'lcs' command\r\n");
    assert_reply(t, 0, "LCS a l no", "-ERR The specified keys must contain string values\r\n");
    assert_reply(t, 0, "LCS l none", "-ERR The specified keys must contain string values\r\n");
    assert_reply(t, 0, "LCS a b no", "-ERR syntax error\r\n");
    assert_reply(t, 0, "LCS a b MINMATCHLEN", "-ERR syntax error\r\n");
    assert_reply(t, 0, "LCS a b IDX MINMATCHLEN x",
                 "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "LCS a b IDX MINMATCHLEN -3 LEN",
                 "-ERR If you want both the length and indexes, please just use IDX.\r\n");
}

static void set_len(struct talk *t, const char *key, uint32_t len)
{
    char command[64];

    (void)snprintf(command, sizeof command, "SETRANGE %s %u x", key, len - 1);
    (void)talk(t, 0, "DEL a");
    (void)talk(t, 0, command);
}

/* Of 4 bytes for each pair of places, as in Redis. */
static void strings_that_would_take_too_much_are_refused(void **state)
{
    static const char too_much[] =
        "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n";
    struct talk *t = *state;

    talk_close(t);
    t->config.bulk_bytes_max = 4096;
    talk_open(t);
    talk_connect(t, 0);
    set_len(t, "b", 31);
    set_len(t, "a", 30);
    assert_reply(t, 0, "LCS a b LEN", ":30\r\n");
    set_len(t, "a", 31);
    assert_reply(t, 0, "LCS a b LEN", ":31\r\n");
    set_len(t, "a", 32);
    assert_reply(t, 0, "LCS a b LEN", too_much);
    assert_reply(t, 0, "LCS b a", too_much);
    set_len(t, "a", 1023);
    assert_reply(t, 0, "LCS a none LEN", ":0\r\n");
    set_len(t, "a", 1024);
    assert_reply(t, 0, "LCS a none LEN", too_much);
}

/* Each allocation fails once: the answer, an error, or the end of the connection. */
static void out_of_memory_is_an_error(void **state)
{
    static const char no_memory[] =
        "-ERR Insufficient memory, failed allocating transient memory for LCS\r\n";
    struct talk *t = *state;
    uint32_t refused = 0;
    uint32_t others = 0;

    set_len(t, "b", 3000);
    (void)talk(t, 0, "SET a xyz");
    for (uint64_t n = 1;; n++) {
        const char *got;

        talk_connect(t, 1);
        talk_send(t, 1, "LCS a b");
        fault_arm_alloc(&t->fault, n, 1);
        talk_turn(t);
        fault_disarm(&t->fault);
        got = talk_heard(t, 1);
        if (t->fault.alloc_failed == 0) {
            assert_string_equal(got, "$1\r\nx\r\n");
            break;
        }
        if (strcmp(got, "$1\r\nx\r\n") == 0) { /* one of the store's threads had none: again */
            assert_true(++others < 100);
            n--;
        } else {
            assert_true(got[0] == '-' || oxbow_resp_client_done(t->clients[1]));
            refused += strcmp(got, no_memory) == 0;
        }
        talk_hang_up(t, 1);
    }
    assert_int_equal(refused, 2); /* the row, and the bits of all rows */
    assert_reply(t, 0, "LCS a b", "$1\r\nx\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(its_replies_are_those_of_the_documentation),
        TEST(it_finds_what_redis_finds),
        TEST(what_makes_no_sense_is_refused),
        TEST(strings_that_would_take_too_much_are_refused),
        TEST(out_of_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
