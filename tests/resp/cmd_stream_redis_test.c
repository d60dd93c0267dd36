/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream family against a real redis-server: the same commands to both, written down ones and
 * random ones, in RESP2 and RESP3; replies must be equal byte for byte. What depends on the clock, and
 * the size of a tree that is not there, is left out of the comparison.
 */
#include "tests/resp/talk.h"

#include "tests/support/redis.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define END "$9\r\nthat's it\r\n"

static struct redis *redis;
static int redis_fd;

static int start(void **state)
{
    const struct redis_config config = {0};
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    (void)state;
    redis = redis_open(&config);
    redis_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", redis_socket(redis));
    return connect(redis_fd, (struct sockaddr *)&addr, sizeof addr);
}

static int stop(void **state)
{
    (void)state;
    (void)close(redis_fd);
    redis_close(redis);
    return 0;
}

static char theirs[1 << 16];

/* One command's reply: all that comes before that of an ECHO behind it. */
static const char *redis_says(const char *words)
{
    char sent[1024];
    size_t got = 0;
    int len = snprintf(sent, sizeof sent, "%s\r\nECHO \"that's it\"\r\n", words);
    char *end;

    assert_int_equal(write(redis_fd, sent, (size_t)len), len);
    do {
        ssize_t n = read(redis_fd, theirs + got, sizeof theirs - 1 - got);

        assert_true(n > 0);
        got += (size_t)n;
        theirs[got] = '\0';
        end = strstr(theirs, END);
    } while (end == NULL);
    *end = '\0';
    return theirs;
}

/* Puts an x in the place of every integer from `from` on, at most `count` of them. */
static void mask(char *from, size_t count)
{
    char *out = from;

    for (char *p = from; *p != '\0'; p++) {
        size_t digits = *p == ':' && count > 0 ? strspn(p + 1, "-0123456789") : 0;

        *out++ = *p;
        if (digits > 0) {
            count--;
            p += digits;
            *out++ = 'x';
        }
    }
    *out = '\0';
}

static void mask_after(char *text, const char *word, size_t count)
{
    for (char *p = text; (p = strstr(p, word)) != NULL; p += strlen(word)) {
        mask(p + strlen(word), count);
    }
}

/* What neither can know of the other. */
static void mask_reply(const char *words, char *text)
{
    mask_after(text, "radix-tree-keys\r\n", 1);
    mask_after(text, "radix-tree-nodes\r\n", 1);
    mask_after(text, "idle\r\n", 1);
    mask_after(text, "seen-time\r\n", 1);
    if (strncmp(words, "XINFO STREAM", 12) == 0) {
        mask_after(text, "pending\r\n", 1000);
    }
    if (strncmp(words, "XPENDING", 8) == 0 && strstr(text, "\r\n*4\r\n") != NULL) { /* rows */
        mask(text, 1000);
    }
}

static size_t errors, replies;

static void both(struct talk *t, const char *words)
{
    char *ours;

    (void)redis_says(words);
    ours = t->text;
    (void)talk(t, 0, words);
    for (int i = 0; i < 60000 && ours[0] == '\0'; i++) { /* until a BLOCK 1 is over */
        (void)usleep(1000);
        talk_turn(t);
        (void)talk_heard(t, 0);
    }
    replies++;
    errors += ours[0] == '-';
    mask_reply(words, ours);
    mask_reply(words, theirs);
    if (strcmp(ours, theirs) != 0) {
        print_error("%s\nredis: %s\noxbow: %s\n", words, theirs, ours);
        fail();
    }
}

/* clang-format off */
static const char *const written[] = {
    "XADD s", "XADD s *", "XADD s * a", "XADD s 0-0 a b", "XADD s 0 a b", "XADD s x a b",
    "XADD s - a b", "XADD s 1-x a b", "XADD s 1- a b", "XADD s -1 a b", "XADD s 1-1-1 a b",
    "XADD s 18446744073709551616 a b", "XADD s 1-18446744073709551616 a b", "XADD s -* a b",
    "XADD s *-1 a b", "XADD s x-* a b", "XADD s 1-** a b", "XADD s NOMKSTREAM 1 a b", "EXISTS s",
    "XADD s MAXLEN 5 MINID 3 1 a b", "XADD s MAXLEN x 1 a b", "XADD s MAXLEN -1 1 a b",
    "XADD s MAXLEN ~ 5 LIMIT -1 1 a b", "XADD s MAXLEN 5 LIMIT 1 1 a b", "XADD s LIMIT 1 1 a b",
    "XADD s LIMIT 0 1 a b", "XADD s MAXLEN ~ 5 LIMIT x 1 a b", "XADD s MINID x 1 a b",
    "XADD s MAXLEN", "XADD s MAXLEN 1 a b c", "XADD s 001-002 a b", "XLEN s", "XADD s 1-1 a b",
    "XADD s 1-2 a b", "XADD s 1-* a b", "XADD s 0-* a b", "XADD s 2-* a b c d", "XADD s 5 a b",
    "XADD s MAXLEN = 3 6 a b", "XADD s minid = 5 7 a b", "XRANGE s - +",
    "XADD s nomkstream MAXLEN ~ 0 LIMIT 0 8 a b", "XLEN s",
    "XADD z 18446744073709551615-18446744073709551615 a b", "XADD z * a b", "XADD z 1 a b",
    "XADD z 18446744073709551615-* a b", "XRANGE z (+ +", "XRANGE z - (-",
    "XRANGE z (18446744073709551615-18446744073709551615 +", "XRANGE z - (0-0",
    "XREAD STREAMS z +", "SET k v", "XADD k 1 a b", "XADD k x a b", "XADD k 0-0 a b",
    "XTRIM k MAXLEN 1", "XDEL k x", "XDEL k 1", "XLEN k", "XRANGE k - +", "XRANGE k - + COUNT 0",
    "XSETID k 1", "XREAD STREAMS k 1", "XREADGROUP GROUP g c STREAMS k >", "XACK k g x",
    "XPENDING k g", "XCLAIM k g c 1 1", "XAUTOCLAIM k g c 1 1", "XGROUP CREATE k g $",
    "XGROUP CREATE k g x MKSTREAM", "XGROUP DESTROY k g", "XINFO STREAM k", "XINFO GROUPS k",
    "XINFO CONSUMERS k g", "XTRIM s", "XTRIM s MAXLEN", "XTRIM s x 1", "XTRIM s MAXLEN 1 x",
    "XTRIM s LIMIT 1 x", "XTRIM s MAXLEN x", "XTRIM s MAXLEN -1", "XTRIM s MAXLEN 10 LIMIT 1",
    "XTRIM s LIMIT 0 MAXLEN 1", "XTRIM s MINID ~ x", "XTRIM s MAXLEN = 2", "XTRIM s MAXLEN 1",
    "XTRIM nothing MAXLEN 1", "XTRIM s MAXLEN 1 MINID 1", "XTRIM s LIMIT 5 MAXLEN 1",
    "XDEL nothing x", "XDEL s x", "XDEL s 1 2 x", "XDEL s 1-1 1-1", "XDEL s 5 6 7 8",
    "XRANGE nothing - + COUNT 0", "XRANGE s - + COUNT 0", "XRANGE s - + COUNT -5",
    "XRANGE s - +  COUNT", "XRANGE s - + COUNT x", "XRANGE s - + LIMIT 1", "XRANGE s x +",
    "XRANGE s - x", "XRANGE s ( +", "XRANGE s (- +", "XREVRANGE s + -", "XREVRANGE s - +",
    "XREVRANGE s x y", "XREVRANGE s + - COUNT 1", "XADD s 9-1 a b", "XADD s 9-2 a b",
    "XADD s 9-3 a b", "XADD s 10 a b", "XRANGE s 9 9", "XRANGE s (9-1 (9-3", "XRANGE s 9-2 +",
    "XREVRANGE s 9 9 COUNT 2", "XREVRANGE s (10 (9-1", "XRANGE s - + COUNT 1 COUNT 2", "XREAD",
    "XREAD STREAMS", "XREAD STREAMS s", "XREAD STREAMS s t 1", "XREAD COUNT STREAMS s 1",
    "XREAD COUNT x STREAMS s 1", "XREAD COUNT 1 s 1", "XREAD BLOCK x STREAMS s 1",
    "XREAD BLOCK -1 STREAMS s 1", "XREAD BLOCK 1.5 STREAMS s 1", "XREAD STREAMS s >",
    "XREAD STREAMS s x", "XREAD STREAMS s -", "XREAD GROUP g c STREAMS s 1",
    "XREAD NOACK STREAMS s 1", "XREAD STREAMS s 0", "XREAD COUNT 2 STREAMS s 0",
    "XREAD COUNT -1 STREAMS s 9-1", "XREAD COUNT 1 STREAMS s nothing s 0 0 9-1",
    "XREAD STREAMS s $", "XREAD STREAMS nothing 0", "XREAD BLOCK 1 STREAMS nothing $",
    "XREAD BLOCK 1 COUNT 1 STREAMS s 0", "XREAD STREAMS s 10", "XREADGROUP GROUP g c STREAMS s >",
    "XREADGROUP GROUP g c STREAMS nothing >", "XGROUP", "XGROUP x", "XGROUP CREATE s",
    "XGROUP CREATE s g", "XGROUP CREATE nothing g $", "XGROUP CREATE s g x",
    "XGROUP CREATE s g $ x", "XGROUP CREATE s g 0 ENTRIESREAD",
    "XGROUP CREATE s g 0 ENTRIESREAD x", "XGROUP CREATE s g 0 ENTRIESREAD -2",
    "XGROUP CREATE s g - ", "XGROUP CREATE s g 0", "XGROUP CREATE s g 0",
    "XGROUP CREATE s g x MKSTREAM", "XGROUP CREATE s h $ ENTRIESREAD 3",
    "XGROUP CREATE made g $ MKSTREAM", "XGROUP CREATE made h 5 mkstream entriesread 4",
    "XINFO STREAM made", "XINFO GROUPS made", "XGROUP SETID s nothing 0",
    "XGROUP SETID nothing g 0", "XGROUP SETID s g x", "XGROUP SETID s g 0 x y",
    "XGROUP SETID s h 9-2 ENTRIESREAD 2", "XGROUP SETID s h -", "XGROUP SETID s h +",
    "XGROUP SETID s h $", "XGROUP SETID s g 0 MKSTREAM", "XGROUP SETID s g 0 ENTRIESREAD 1",
    "XGROUP DESTROY nothing g", "XGROUP DESTROY s nothing", "XGROUP CREATECONSUMER s g c1",
    "XGROUP CREATECONSUMER s g c1", "XGROUP CREATECONSUMER s nothing c1",
    "XGROUP CREATECONSUMER nothing g c1", "XGROUP DELCONSUMER s g nobody",
    "XGROUP DELCONSUMER s x c1", "XGROUP DESTROY s", "XINFO", "XINFO x", "XINFO STREAM",
    "XINFO STREAM nothing", "XINFO STREAM nothing x", "XINFO STREAM s x", "XINFO STREAM s FULL x",
    "XINFO STREAM s FULL COUNT", "XINFO STREAM s FULL COUNT x", "XINFO STREAM s FULL COUNT -1",
    "XINFO STREAM s FULL LIMIT 1", "XINFO GROUPS nothing", "XINFO CONSUMERS nothing g",
    "XINFO CONSUMERS s nothing", "XINFO CONSUMERS s g", "XINFO GROUPS s", "XINFO STREAM s",
    "XINFO STREAM s FULL", "XINFO STREAM s FULL COUNT 1", "XREADGROUP STREAMS s > a b c d",
    "XREADGROUP COUNT 1 NOACK STREAMS s >", "XREADGROUP GROUP g c COUNT 1 s >",
    "XREADGROUP GROUP g c STREAMS s $", "XREADGROUP GROUP g c STREAMS s",
    "XREADGROUP GROUP g c STREAMS s x", "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
    "XREADGROUP GROUP g c COUNT 1 NOACK STREAMS s >", "XREADGROUP GROUP g d STREAMS s >",
    "XREADGROUP GROUP g e STREAMS s >", "XINFO CONSUMERS s g", "XREADGROUP GROUP g c STREAMS s 0",
    "XREADGROUP GROUP g e STREAMS s 0", "XREADGROUP GROUP h h STREAMS s >",
    "XREADGROUP GROUP g d COUNT 1 STREAMS s 0", "XREADGROUP GROUP g c BLOCK 1 STREAMS s >",
    "XDEL s 9-1", "XREADGROUP GROUP g d STREAMS s 0", "XREADGROUP GROUP g c STREAMS s 0",
    "XPENDING s", "XPENDING s nothing", "XPENDING nothing g", "XPENDING s g", "XPENDING s h",
    "XPENDING s g -", "XPENDING s g - +", "XPENDING s g - + x", "XPENDING s g x + 1",
    "XPENDING s g - x 1", "XPENDING s g - + -1", "XPENDING s g - + 10", "XPENDING s g - + 2",
    "XPENDING s g (9-2 + 10", "XPENDING s g - + 10 d", "XPENDING s g - + 10 nobody",
    "XPENDING s g IDLE x - + 10", "XPENDING s g IDLE 0 - +", "XPENDING s g IDLE 0 - + 10",
    "XPENDING s g IDLE 100000 - + 10", "XPENDING s g IDLE 0 - + 10 d", "XPENDING s g - + 10 d e f",
    "XPENDING s g - + 10 d e f g", "XCLAIM s g c", "XCLAIM s g c x 1", "XCLAIM nothing g c 0 1",
    "XCLAIM s nothing c 0 1", "XCLAIM s g c 0 x", "XCLAIM s g c 0 9-2 IDLE x",
    "XCLAIM s g c 0 9-2 IDLE", "XCLAIM s g c 0 9-2 TIME x", "XCLAIM s g c 0 9-2 RETRYCOUNT x",
    "XCLAIM s g c 0 9-2 LASTID x", "XCLAIM s g c 0 9-2 FORCE x", "XCLAIM s g c 0 9-2",
    "XCLAIM s g c 100000 9-3", "XCLAIM s g c 0 9-3 JUSTID",
    "XCLAIM s g c -5 9-1 9-2 9-3 10 RETRYCOUNT 7 IDLE 5000 JUSTID",
    "XPENDING s g IDLE 4000 - + 10", "XCLAIM s g c 0 9-3 IDLE -5", "XCLAIM s g c 0 9-3 TIME 1000",
    "XPENDING s g IDLE 4000 - + 10", "XCLAIM s g new 0 77 FORCE", "XCLAIM s g new2 0 77",
    "XCLAIM s h c 0 9-2 FORCE", "XCLAIM s h c 0 9-3 FORCE JUSTID",
    "XCLAIM s g c 0 9-2 LASTID 99-9", "XINFO GROUPS s", "XINFO CONSUMERS s g",
    "XINFO CONSUMERS s h", "XAUTOCLAIM s g c", "XAUTOCLAIM s g c x 0", "XAUTOCLAIM s g c 0 x",
    "XAUTOCLAIM s g c 0 0 COUNT 0", "XAUTOCLAIM s g c 0 0 COUNT x", "XAUTOCLAIM s g c 0 0 COUNT",
    "XAUTOCLAIM s g c 0 0 FORCE", "XAUTOCLAIM nothing g c 0 0", "XAUTOCLAIM s nothing c 0 0",
    "XAUTOCLAIM s g f 0 0 COUNT 1", "XAUTOCLAIM s g f 0 (9-2", "XAUTOCLAIM s g f 0 - JUSTID",
    "XAUTOCLAIM s g f 100000 0", "XDEL s 9-3", "XAUTOCLAIM s g f 0 0",
    "XAUTOCLAIM s h f 0 0 JUSTID", "XPENDING s g", "COPY s cp", "COPY s cp", "COPY s s",
    "XINFO STREAM cp", "XINFO STREAM cp FULL", "XINFO GROUPS cp", "XINFO CONSUMERS cp g",
    "XINFO CONSUMERS cp h", "XPENDING cp g - + 10", "XPENDING cp h", "XRANGE cp - +",
    "XCLAIM cp g other 0 9-2 RETRYCOUNT 9 JUSTID", "XADD cp 1 a b", "XADD cp 500 a b",
    "XREADGROUP GROUP g c STREAMS cp >", "XGROUP DESTROY cp g", "XINFO STREAM s FULL",
    "COPY s cp REPLACE", "XINFO STREAM cp FULL", "XINFO GROUPS cp", "DEL cp", "XACK s g", "XACK s g x", "XACK s nothing x",
    "XACK nothing g x", "XACK s g 9-2 x", "XACK s g 9-2 9-2 50", "XGROUP DELCONSUMER s g f",
    "XGROUP DELCONSUMER s g c", "XINFO STREAM s FULL", "XPENDING s g", "XSETID nothing 1",
    "XSETID s x", "XSETID s 1", "XSETID s 200", "XSETID s 201 ENTRIESADDED x",
    "XSETID s 201 ENTRIESADDED -1", "XSETID s 201 ENTRIESADDED 0", "XSETID s 201 ENTRIESADDED 100",
    "XSETID s 201 MAXDELETEDID x", "XSETID s 201 MAXDELETEDID 202",
    "XSETID s 201 MAXDELETEDID 150 ENTRIESADDED 50", "XSETID s 201 x", "XSETID s 201 ENTRIESADDED",
    "XINFO STREAM s", "XINFO GROUPS s", "XGROUP DESTROY s g", "XGROUP DESTROY s h",
    "XINFO GROUPS s", "XADD s * a b c", "TYPE s", "DEL s z made k",
};
/* clang-format on */

static void written_commands_are_answered_as_redis_does(void **state)
{
    struct talk *t = *state;

    for (int version = 2; version <= 3; version++) {
        char hello[16];

        (void)snprintf(hello, sizeof hello, "HELLO %d", version);
        (void)redis_says(hello);
        (void)talk(t, 0, hello);
        for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
            both(t, written[i]);
        }
    }
}

static uint64_t seed;

static uint32_t dice(uint32_t sides)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed % sides);
}

static const char *one_of(const char *const *words)
{
    uint32_t n = 0;

    while (words[n] != NULL) {
        n++;
    }
    return words[dice(n)];
}

/* A random command from a pattern: K key, G group, C consumer, I id, N number; the rest as it is. */
static void filled(const char *pattern, char *out, size_t len)
{
    static const char *const keys[] = {"s", "s", "s", "t", NULL};
    static const char *const groups[] = {"g", "g", "g", "h", NULL};
    static const char *const consumers[] = {"a", "b", "c", NULL};
    size_t n = 0;

    for (; *pattern != '\0' && n + 32 < len; pattern++) {
        switch (*pattern) {
        case '@':
            n += (size_t)snprintf(out + n, len - n, "%s", one_of(keys));
            break;
        case '%':
            n += (size_t)snprintf(out + n, len - n, "%s", one_of(groups));
            break;
        case '&':
            n += (size_t)snprintf(out + n, len - n, "%s", one_of(consumers));
            break;
        case '#':
            n += (size_t)snprintf(out + n, len - n, "%u-%u", dice(60), dice(3));
            break;
        case '?':
            n += (size_t)snprintf(out + n, len - n, "%u", dice(6));
            break;
        default:
            out[n++] = *pattern;
        }
    }
    out[n] = '\0';
}

static void random_commands_are_answered_as_redis_does(void **state)
{
    static const char *const patterns[] = {"XADD @ # a b",
                                           "XADD @ # c d e f",
                                           "XADD @ MAXLEN = 2? # a b",
                                           "XADD @ MINID # # a b",
                                           "XTRIM @ MAXLEN 1?",
                                           "XTRIM @ MINID #",
                                           "XDEL @ #",
                                           "XDEL @ # # # #",
                                           "XLEN @",
                                           "XRANGE @ # #",
                                           "XRANGE @ (# + COUNT ?",
                                           "XREVRANGE @ # # COUNT ?",
                                           "XREVRANGE @ + -",
                                           "XREAD COUNT ? STREAMS @ #",
                                           "XREAD STREAMS s t # #",
                                           "XREADGROUP GROUP % & COUNT ? STREAMS @ >",
                                           "XREADGROUP GROUP % & COUNT ? STREAMS @ >",
                                           "XREADGROUP GROUP % & NOACK COUNT ? STREAMS @ >",
                                           "XREADGROUP GROUP % & COUNT ? STREAMS @ #",
                                           "XREADGROUP GROUP % & STREAMS @ 0",
                                           "XREADGROUP GROUP g & COUNT ? STREAMS s t > #",
                                           "XACK @ % #",
                                           "XACK @ % # # # #",
                                           "XPENDING @ %",
                                           "XPENDING @ % - + ?",
                                           "XPENDING @ % # # 1? &",
                                           "XCLAIM @ % & 0 #",
                                           "XCLAIM @ % & 0 # # FORCE",
                                           "XCLAIM @ % & 0 # # # JUSTID RETRYCOUNT ?",
                                           "XCLAIM @ % & 0 # LASTID #",
                                           "XAUTOCLAIM @ % & 0 # COUNT 1?",
                                           "XAUTOCLAIM @ % & 0 0 JUSTID",
                                           "XINFO STREAM @",
                                           "XINFO STREAM @ FULL",
                                           "XINFO STREAM @ FULL COUNT ?",
                                           "XINFO GROUPS @",
                                           "XINFO CONSUMERS @ %",
                                           "XGROUP CREATE @ % # MKSTREAM",
                                           "XGROUP CREATE @ % $",
                                           "XGROUP SETID @ % #",
                                           "XGROUP CREATECONSUMER @ % &",
                                           "XGROUP DELCONSUMER @ % &",
                                           "XINFO STREAM @ FULL COUNT 0",
                                           "COPY @ t REPLACE",
                                           "COPY t s REPLACE",
                                           NULL};
    struct talk *t = *state;
    const char *given = getenv("OXBOW_SEED");
    int rounds = 6000;

    seed = given != NULL ? strtoull(given, NULL, 0) : 0x9e3779b97f4a7c15u;
    print_message("OXBOW_SEED=%llu\n", (unsigned long long)seed);
    errors = 0;
    replies = 0;
    (void)redis_command(redis, "FLUSHALL", NULL);
    (void)redis_says("HELLO 2");
    for (int i = 0; i < rounds; i++) {
        char words[256];

        if (dice(250) == 0) {
            both(t, dice(2) == 0 ? "DEL s" : "DEL t");
        }
        if (dice(100) == 0) {
            filled(dice(4) > 0 ? "XGROUP DESTROY @ %" : "XSETID @ 7? ENTRIESADDED 9?", words,
                   sizeof words);
            both(t, words);
        }
        filled(one_of(patterns), words, sizeof words);
        both(t, words);
    }
    print_message("%zu replies, %zu errors\n", replies, errors);
    assert_true(errors * 10 < replies * 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_commands_are_answered_as_redis_does, talk_setup,
                                        talk_teardown),
        cmocka_unit_test_setup_teardown(random_commands_are_answered_as_redis_does, talk_setup,
                                        talk_teardown),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
