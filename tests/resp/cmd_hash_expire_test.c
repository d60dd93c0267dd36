/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields that expire: what Redis 7.4 and 8.0 do, which are not here to be asked. Each case says where the
 * behaviour is written down: T is redis/redis, tests/unit/type/hash-field-expire.tcl (HGETDEL's also
 * hash.tcl), S its src/t_hash.c, N tests/unit/pubsub.tcl, D Redis' documentation, commands/hexpire and its
 * neighbours.
 */
#include "tests/resp/talk.h"

#include <stdlib.h>
#include <unistd.h>

#define FAR  "70368744177663" /* 2^46 - 1 */
#define OVER "70368744177664"

/* Asks until the answer is `want`, for a minute at most. */
static void await(struct talk *t, const char *words, const char *want)
{
    for (int i = 0; i < 12000 && strcmp(talk(t, 0, words), want) != 0; i++) {
        assert_int_equal(usleep(5000), 0);
    }
    assert_string_equal(t->text, want);
}

/* The only number of an array of one. */
static long long one_of(struct talk *t, const char *words)
{
    const char *reply = talk(t, 0, words);

    assert_memory_equal(reply, "*1\r\n:", 5);
    return strtoll(reply + 5, NULL, 10);
}

/* The array of integers that the text says: "1 -2 0". */
static void assert_ints(struct talk *t, const char *words, const char *want)
{
    const char *reply = talk(t, 0, words);
    char got[256] = "";
    size_t len = 0;

    assert_int_equal(reply[0], '*');
    for (const char *p = strchr(reply, ':'); p != NULL; p = strchr(p + 1, ':')) {
        len += (size_t)snprintf(got + len, sizeof got - len, "%s%lld", len > 0 ? " " : "",
                                strtoll(p + 1, NULL, 10));
    }
    assert_string_equal(got, want);
}

static void a_missing_hash_has_no_fields(void **state)
{
    struct talk *t = *state;

    /* T, "Returns array if the key does not exist"; D, reply of each */
    assert_ints(t, "HEXPIRE h 1000 FIELDS 1 a", "-2");
    assert_ints(t, "HEXPIREAT h 1000 FIELDS 1 a", "-2");
    assert_ints(t, "HPEXPIRE h 1000 FIELDS 2 a b", "-2 -2");
    assert_ints(t, "HPEXPIREAT h 1000 FIELDS 2 a b", "-2 -2");
    assert_ints(t, "HTTL h FIELDS 1 a", "-2");
    assert_ints(t, "HPTTL h FIELDS 2 a b", "-2 -2");
    assert_ints(t, "HEXPIRETIME h FIELDS 1 a", "-2");
    assert_ints(t, "HPEXPIRETIME h FIELDS 2 a b", "-2 -2");
    assert_ints(t, "HPERSIST h FIELDS 2 a b", "-2 -2");
    assert_reply(t, 0, "HGETDEL h FIELDS 2 a b", "*2\r\n$-1\r\n$-1\r\n");
    assert_reply(t, 0, "HGETEX h EX 10 FIELDS 2 a b", "*2\r\n$-1\r\n$-1\r\n");
    assert_reply(t, 0, "HSETEX h FXX FIELDS 1 a 1", ":0\r\n");
    assert_reply(t, 0, "EXISTS h", ":0\r\n");
}

static void conditions_decide(void **state)
{
    struct talk *t = *state;

    /* T, "Test 'NX' flag" to "'LT' flag" */
    (void)talk(t, 0, "HSET h a 1 b 2 c 3");
    assert_ints(t, "HPEXPIRE h 1000000 NX FIELDS 1 a", "1");
    assert_ints(t, "HPEXPIRE h 1000000 NX FIELDS 2 a b", "0 1");
    assert_ints(t, "HPEXPIRE h 1000000 XX FIELDS 2 a c", "1 0");
    assert_ints(t, "HPEXPIRE h 2000000 GT FIELDS 1 b", "1");
    assert_ints(t, "HPEXPIRE h 1500000 GT FIELDS 3 a b c", "1 0 0");
    (void)talk(t, 0, "HPEXPIRE h 1000000 FIELDS 1 a");
    assert_ints(t, "HPEXPIRE h 1500000 LT FIELDS 3 a b c", "0 1 1");
    assert_ints(t, "HEXPIREAT h 33177117420 GT FIELDS 1 a", "1");
    assert_ints(t, "HPEXPIREAT h 33177117420000 lt FIELDS 1 b", "0");
    /* S, hashTypeSetEx: the condition is asked before the time is found to be past */
    (void)talk(t, 0, "DEL h");
    (void)talk(t, 0, "HSET h f1 1 f2 2 f4 4");
    (void)talk(t, 0, "HEXPIRE h 1000 FIELDS 1 f4");
    assert_ints(t, "HPEXPIREAT h 1 NX FIELDS 4 f1 f2 f3 f4", "2 2 -2 0");
    assert_reply(t, 0, "HLEN h", ":1\r\n");
}

static void times_must_make_sense(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "HSET h f 1");
    /* T, "Verify that the expire time does not overflow"; S, parseExpireTime */
    assert_reply(t, 0, "HEXPIRE h -1 FIELDS 1 f", "-ERR invalid expire time, must be >= 0\r\n");
    assert_reply(t, 0, "HEXPIRE h -9223372036854775808 FIELDS 1 f",
                 "-ERR invalid expire time, must be >= 0\r\n");
    assert_reply(t, 0, "HPEXPIREAT h -1 FIELDS 1 f", "-ERR invalid expire time, must be >= 0\r\n");
    assert_reply(t, 0, "HEXPIRE h x FIELDS 1 f",
                 "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "HEXPIRE h 9223372036854775808 FIELDS 1 f",
                 "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "HEXPIRE h 9223372036854775807 FIELDS 1 f",
                 "-ERR invalid expire time in 'hexpire' command\r\n");
    assert_reply(t, 0, "HEXPIREAT h 70368744178 FIELDS 1 f",
                 "-ERR invalid expire time in 'hexpireat' command\r\n");
    assert_reply(t, 0, "HPEXPIRE h " FAR " FIELDS 1 f",
                 "-ERR invalid expire time in 'hpexpire' command\r\n");
    assert_reply(t, 0, "HPEXPIREAT h " OVER " FIELDS 1 f",
                 "-ERR invalid expire time in 'hpexpireat' command\r\n");
    assert_reply(t, 0, "HGETEX h PX " FAR " FIELDS 1 f",
                 "-ERR invalid expire time in 'hgetex' command\r\n");
    assert_reply(t, 0, "HSETEX h EX " FAR " FIELDS 1 f v",
                 "-ERR invalid expire time in 'hsetex' command\r\n");
    assert_ints(t, "HPTTL h FIELDS 1 f", "-1");
    assert_ints(t, "HPEXPIREAT h " FAR " FIELDS 1 f", "1");
    /* D, HEXPIRE: "calling with a zero TTL ... will result in the field being deleted" */
    assert_ints(t, "HEXPIRE h 0 FIELDS 1 f", "2");
    assert_reply(t, 0, "EXISTS h", ":0\r\n");
}

static void arguments_must_be_in_their_places(void **state)
{
    static const char missing[] =
        "-ERR Mandatory argument FIELDS is missing or not at the right position\r\n";
    static const char few[] = "-ERR Parameter `numFields` should be greater than 0\r\n";
    static const char positive[] = "-ERR Number of fields must be a positive integer\r\n";
    static const char match[] =
        "-ERR The `numfields` parameter must match the number of arguments\r\n";
    struct talk *t = *state;

    (void)talk(t, 0, "HSET h f 1");
    /* T, "wrong number of arguments", "input validation"; S, hexpireGenericCommand */
    assert_reply(t, 0, "HEXPIRE h 10 FIELDS 1",
                 "-ERR wrong number of arguments for 'hexpire' command\r\n");
    assert_reply(t, 0, "HEXPIRE h 10 FIELD 1 f", missing);
    assert_reply(t, 0, "HEXPIRE h 10 NX XX FIELDS 1 f", missing);
    assert_reply(t, 0, "HEXPIRE h 10 FIELDS 0 f", few);
    assert_reply(t, 0, "HEXPIRE h 10 FIELDS -1 f", few);
    assert_reply(t, 0, "HEXPIRE h 10 FIELDS x f", few);
    assert_reply(t, 0, "HPEXPIRE h 10 NX FIELDS 4 f g i", match);
    assert_reply(t, 0, "HPEXPIRE h 10 NX FIELDS 2 f g i", match);
    assert_reply(t, 0, "HPEXPIRE h 10 NX FIELDS 1", match);
    assert_reply(t, 0, "HTTL h FIELDS 1", "-ERR wrong number of arguments for 'httl' command\r\n");
    assert_reply(t, 0, "HTTL h NX 1 f", missing);
    assert_reply(t, 0, "HPTTL h FIELDS 0 f", positive);
    assert_reply(t, 0, "HEXPIRETIME h FIELDS 2 f", match);
    assert_reply(t, 0, "HPEXPIRETIME h FIELDS 1 f g", match);
    assert_reply(t, 0, "HPERSIST h", "-ERR wrong number of arguments for 'hpersist' command\r\n");
    assert_reply(t, 0, "HPERSIST h FIELDS 4 f1 f2 f3", match);
    assert_reply(t, 0, "HPERSIST h FIELDS x f1", positive);
    /* T, "HGETEX - input validation" */
    assert_reply(t, 0, "HGETEX h FIELDS 1",
                 "-ERR wrong number of arguments for 'hgetex' command\r\n");
    assert_reply(t, 0, "HGETEX h XFIELDX 1 a", missing);
    assert_reply(t, 0, "HGETEX h PXAT 1 1", missing);
    assert_reply(t, 0, "HGETEX h PERSIST 1 FIELDS 1 a", missing);
    assert_reply(t, 0, "HGETEX h FIELDS 2 a", match);
    assert_reply(t, 0, "HGETEX h FIELDS 0 a", positive);
    assert_reply(t, 0, "HGETEX h FIELDS 9223372036854775808 a", positive);
    assert_reply(t, 0, "HGETEX h EX bla FIELDS 1 a",
                 "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "HGETEX h PX -1 FIELDS 1 a", "-ERR invalid expire time, must be >= 0\r\n");
    assert_reply(t, 0, "HGETEX h EX 5 FIELDS", /* said so here: nothing is behind it */
                 "-ERR wrong number of arguments for 'hgetex' command\r\n");
    assert_reply(t, 0, "HGETDEL h FIELD 1 a", missing);
    assert_reply(t, 0, "HGETDEL h FIELDS 3 a", match);
    assert_reply(t, 0, "HGETDEL h FIELDS 0 a", positive);
    /* S: what the key holds comes first */
    (void)talk(t, 0, "SET s v");
    assert_memory_equal(talk(t, 0, "HEXPIRE s x FIELDS 0 f"), "-WRONGTYPE ", 11);
    assert_memory_equal(talk(t, 0, "HTTL s FIELDS 0 f"), "-WRONGTYPE ", 11);
    assert_memory_equal(talk(t, 0, "HPERSIST s FIELDS 0 f"), "-WRONGTYPE ", 11);
    assert_memory_equal(talk(t, 0, "HGETEX s FIELDS 0 f"), "-WRONGTYPE ", 11);
    assert_memory_equal(talk(t, 0, "HGETDEL s FIELDS 0 f"), "-WRONGTYPE ", 11);
    assert_memory_equal(talk(t, 0, "HSETEX s FIELDS 1 f v"), "-WRONGTYPE ", 11);
}

static void hsetex_says_what_is_wrong(void **state)
{
    static const char arity[] = "-ERR wrong number of arguments for 'hsetex' command\r\n";
    static const char number[] = "-ERR invalid number of fields\r\n";
    static const char one_time[] =
        "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified\r\n";
    static const char one_condition[] =
        "-ERR Only one of FXX or FNX arguments can be specified\r\n";
    struct talk *t = *state;

    /* T, "HSETEX - input validation"; S, hsetexParseArgs */
    assert_reply(t, 0, "HSETEX h FIELDS 1", arity);
    assert_reply(t, 0, "HSETEX h FIELDS 2 a b", arity);
    assert_reply(t, 0, "HSETEX h FIELDS 2 a b c", arity);
    assert_reply(t, 0, "HSETEX h FIELDS 2 a b c d e", arity);
    assert_reply(t, 0, "HSETEX h FIELDS 3 a b c d", arity);
    assert_reply(t, 0, "HSETEX h FIELDS 1 a b unknown", arity);
    assert_reply(t, 0, "HSETEX h FNX KEEPTTL FIELDS 1 a", arity);
    assert_reply(t, 0, "HSETEX h nx FIELDS 1 a b", "-ERR unknown argument: nx\r\n");
    assert_reply(t, 0, "HSETEX h 1 FIELDS 1 a b", "-ERR unknown argument: 1\r\n");
    assert_reply(t, 0, "HSETEX h FXX FXX EX 100 FIELDS 1 a b", one_condition);
    assert_reply(t, 0, "HSETEX h FNX FXX EX 100 FIELDS 1 a b", one_condition);
    assert_reply(t, 0, "HSETEX h EX 100 PX 1000 FIELDS 1 a b", one_time);
    assert_reply(t, 0, "HSETEX h PXAT 100 EXAT 100 FIELDS 1 a b", one_time);
    assert_reply(t, 0, "HSETEX h EX 100 KEEPTTL FIELDS 1 a b", one_time);
    assert_reply(t, 0, "HSETEX h KEEPTTL KEEPTTL FIELDS 1 a b", one_time);
    assert_reply(t, 0, "HSETEX h EX FIELDS 1 a b",
                 "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "HSETEX h FXX KEEPTTL x EX", "-ERR unknown argument: x\r\n");
    assert_reply(t, 0, "HSETEX h EXAT -1 FIELDS 1 a b",
                 "-ERR invalid expire time, must be >= 0\r\n");
    assert_reply(t, 0, "HSETEX h FIELDS x a b", number);
    assert_reply(t, 0, "HSETEX h FIELDS 0 a b", number);
    assert_reply(t, 0, "HSETEX h FIELDS -1 a b", number);
    assert_reply(t, 0, "HSETEX h FIELDS 9223372036854775808 a b", number);
    assert_reply(t, 0, "EXISTS h", ":0\r\n");
}

static void times_are_told(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "HSET h a 1 b 2");
    (void)talk(t, 0, "HEXPIRE h 1000 FIELDS 1 a");
    /* T, "HTTL/HPTTL"; D: -1 for a field without, -2 for none */
    assert_in_range(one_of(t, "HTTL h FIELDS 1 a"), 900, 1000);
    assert_in_range(one_of(t, "HPTTL h FIELDS 1 a"), 900000, 1000000);
    assert_ints(t, "HTTL h FIELDS 2 b none", "-1 -2");
    assert_ints(t, "HPEXPIRETIME h FIELDS 2 b none", "-1 -2");
    /* T, DUMP / RESTORE's case: a second that was given comes back */
    assert_ints(t, "HEXPIREAT h 2524600800 FIELDS 1 a", "1");
    assert_ints(t, "HEXPIRETIME h FIELDS 1 a", "2524600800");
    assert_in_range(one_of(t, "HPEXPIRETIME h FIELDS 1 a"), 2524600799998, 2524600800002);
    /* S, httlGenericCommand: up to whole seconds */
    (void)talk(t, 0, "HPEXPIREAT h 2524600800500 FIELDS 1 a");
    assert_ints(t, "HEXPIRETIME h FIELDS 1 a", "2524600801");
    (void)talk(t, 0, "HPEXPIREAT h 2524600800100 FIELDS 1 a");
    assert_ints(t, "HEXPIRETIME h FIELDS 1 a", "2524600801");
    /* T, "HPERSIST" */
    assert_ints(t, "HPERSIST h FIELDS 3 a b none", "1 -1 -2");
    assert_ints(t, "HTTL h FIELDS 1 a", "-1");
}

static void what_writes_clears_or_keeps_it(void **state)
{
    struct talk *t = *state;

    /* D, HEXPIRE: cleared by what overwrites, left by what alters */
    (void)talk(t, 0, "HSET h a 1 b 2 c 3 d 4 e 5");
    (void)talk(t, 0, "HEXPIRE h 1000 FIELDS 5 a b c d e");
    (void)talk(t, 0, "HSET h a 9");
    (void)talk(t, 0, "HMSET h b 9");
    (void)talk(t, 0, "HSETNX h c 9");
    /* T, "HINCRBY - preserve expiration time", HINCRBYFLOAT likewise */
    assert_reply(t, 0, "HINCRBY h d 1", ":5\r\n");
    assert_reply(t, 0, "HINCRBYFLOAT h e 0.5", "$3\r\n5.5\r\n");
    assert_ints(t, "HTTL h FIELDS 2 a b", "-1 -1");
    assert_in_range(one_of(t, "HTTL h FIELDS 1 c"), 900, 1000);
    assert_in_range(one_of(t, "HTTL h FIELDS 1 d"), 900, 1000);
    assert_in_range(one_of(t, "HTTL h FIELDS 1 e"), 900, 1000);
    /* T, OBJECT ENCODING */
    assert_reply(t, 0, "OBJECT ENCODING h", "$10\r\nlistpackex\r\n");
    (void)talk(t, 0, "HDEL h c d e");
    assert_reply(t, 0, "OBJECT ENCODING h", "$8\r\nlistpack\r\n");
}

static void an_expired_field_is_not_there(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "HSET h a 1 b 2");
    (void)talk(t, 0, "HPEXPIRE h 1 FIELDS 1 a");
    /* T, "verify various HASH commands handling expired fields" */
    await(t, "HEXISTS h a", ":0\r\n");
    assert_reply(t, 0, "HGET h a", "$-1\r\n");
    assert_reply(t, 0, "HMGET h a b", "*2\r\n$-1\r\n$1\r\n2\r\n");
    assert_reply(t, 0, "HSTRLEN h a", ":0\r\n");
    assert_reply(t, 0, "HGETALL h", "*2\r\n$1\r\nb\r\n$1\r\n2\r\n");
    assert_reply(t, 0, "HKEYS h", "*1\r\n$1\r\nb\r\n");
    assert_reply(t, 0, "HVALS h", "*1\r\n$1\r\n2\r\n");
    assert_reply(t, 0, "HSCAN h 0", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n");
    assert_reply(t, 0, "HRANDFIELD h 5", "*1\r\n$1\r\nb\r\n");
    assert_ints(t, "HTTL h FIELDS 2 a b", "-2 -1");
    assert_ints(t, "HPERSIST h FIELDS 1 a", "-2");
    assert_ints(t, "HEXPIRE h 10 FIELDS 1 a", "-2");
    /* T, "Active Expire": it goes by itself, and the hash with the last */
    await(t, "HLEN h", ":1\r\n");
    (void)talk(t, 0, "HPEXPIRE h 1 FIELDS 1 b");
    await(t, "EXISTS h", ":0\r\n");
    /* T, "HINCRBY - discards pending expired field" */
    (void)talk(t, 0, "HSETEX h PX 1 FIELDS 1 n 10");
    await(t, "HEXISTS h n", ":0\r\n");
    assert_reply(t, 0, "HINCRBY h n 1", ":1\r\n");
    assert_ints(t, "HTTL h FIELDS 1 n", "-1");
}

static void sort_finds_what_is_there(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "RPUSH l 1 2");
    (void)talk(t, 0, "HSET w1 w 5 name one");
    (void)talk(t, 0, "HSET w2 w 3 name two");
    assert_reply(t, 0, "SORT l BY w*->w GET w*->name", "*2\r\n$3\r\ntwo\r\n$3\r\none\r\n");
    (void)talk(t, 0, "HPEXPIRE w1 1 FIELDS 2 w name");
    await(t, "HEXISTS w1 w", ":0\r\n");
    assert_reply(t, 0, "SORT l BY w*->w GET w*->name", "*2\r\n$-1\r\n$3\r\ntwo\r\n");
}

static void hgetdel_gives_and_deletes(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "HSET h a 1 b 2 c 3");
    /* D, HGETDEL's example; T, "HGETDEL" */
    assert_reply(t, 0, "HGETDEL h FIELDS 2 a none", "*2\r\n$1\r\n1\r\n$-1\r\n");
    assert_reply(t, 0, "HGETDEL h FIELDS 2 b b", "*2\r\n$1\r\n2\r\n$-1\r\n");
    assert_reply(t, 0, "HGETALL h", "*2\r\n$1\r\nc\r\n$1\r\n3\r\n");
    assert_reply(t, 0, "HGETDEL h FIELDS 3 c a b", "*3\r\n$1\r\n3\r\n$-1\r\n$-1\r\n");
    assert_reply(t, 0, "EXISTS h", ":0\r\n");
    (void)talk(t, 0, "HSETEX h PX 1 FIELDS 1 f 10");
    await(t, "HEXISTS h f", ":0\r\n");
    assert_reply(t, 0, "HGETDEL h FIELDS 1 f", "*1\r\n$-1\r\n");
}

static void hgetex_gives_and_changes_the_time_to_live(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "HSET h a 1 b 2 c strval");
    /* T, "HGETEX" */
    assert_reply(t, 0, "HGETEX h FIELDS 3 a b c", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$6\r\nstrval\r\n");
    assert_ints(t, "HTTL h FIELDS 3 a b c", "-1 -1 -1");
    assert_reply(t, 0, "HGETEX h EX 10000 FIELDS 2 a none", "*2\r\n$1\r\n1\r\n$-1\r\n");
    assert_in_range(one_of(t, "HTTL h FIELDS 1 a"), 9000, 10000);
    assert_reply(t, 0, "HGETEX h EXAT 2524600800 FIELDS 1 b", "*1\r\n$1\r\n2\r\n");
    assert_ints(t, "HEXPIRETIME h FIELDS 1 b", "2524600800");
    (void)talk(t, 0, "HGETEX h PX 1000000 FIELDS 1 c");
    assert_in_range(one_of(t, "HTTL h FIELDS 1 c"), 900, 1000);
    (void)talk(t, 0, "HGETEX h PXAT 2524600800000 FIELDS 1 c");
    assert_ints(t, "HEXPIRETIME h FIELDS 1 c", "2524600800");
    assert_reply(t, 0, "HGETEX h PERSIST FIELDS 2 a b", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    assert_ints(t, "HTTL h FIELDS 2 a b", "-1 -1");
    assert_reply(t, 0, "HGETEX h PERSIST FIELDS 1 b", "*1\r\n$1\r\n2\r\n");
    /* T, "setting ttl in the past will delete the key" */
    assert_reply(t, 0, "HGETEX h PXAT 1 FIELDS 4 a b b c",
                 "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n$6\r\nstrval\r\n");
    assert_reply(t, 0, "EXISTS h", ":0\r\n");
}

static void hsetex_sets_under_a_condition(void **state)
{
    struct talk *t = *state;

    /* T, "HSETEX - Basic test" to "Set time in the past" */
    assert_reply(t, 0, "HSETEX h FIELDS 1 f1 v1", ":1\r\n");
    assert_reply(t, 0, "HSETEX h FXX FIELDS 2 f1 v2 f2 v2", ":0\r\n");
    assert_reply(t, 0, "HSETEX h FNX FIELDS 2 f1 v2 f2 v2", ":0\r\n");
    assert_reply(t, 0, "HGETALL h", "*2\r\n$2\r\nf1\r\n$2\r\nv1\r\n");
    assert_reply(t, 0, "HSETEX h FNX FIELDS 2 f2 v2 f3 v3", ":1\r\n");
    assert_reply(t, 0, "HSETEX h PX 5000000 FXX FIELDS 3 f1 a f2 b f3 c", ":1\r\n");
    assert_reply(t, 0, "HMGET h f1 f2 f3", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    assert_in_range(one_of(t, "HTTL h FIELDS 1 f2"), 4900, 5000);
    assert_reply(t, 0, "HSETEX h KEEPTTL FIELDS 2 f2 d f4 e", ":1\r\n");
    assert_reply(t, 0, "HGET h f2", "$1\r\nd\r\n");
    assert_in_range(one_of(t, "HTTL h FIELDS 1 f2"), 4900, 5000);
    assert_ints(t, "HTTL h FIELDS 1 f4", "-1");
    assert_reply(t, 0, "HSETEX h FIELDS 1 f2 e", ":1\r\n");
    assert_ints(t, "HTTL h FIELDS 1 f2", "-1");
    assert_reply(t, 0, "HSETEX h EXAT 2524600800 FIELDS 1 f2 e", ":1\r\n");
    assert_ints(t, "HEXPIRETIME h FIELDS 1 f2", "2524600800");
    assert_reply(t, 0, "HSETEX h EXAT 1 FIELDS 4 f1 1 f2 2 f3 3 f4 4", ":1\r\n");
    assert_reply(t, 0, "EXISTS h", ":0\r\n");
    assert_reply(t, 0, "HSETEX h PXAT 1 FIELDS 1 f 1", ":1\r\n");
    assert_reply(t, 0, "EXISTS h", ":0\r\n");
    /* T, "FXX flag with lazy expire" */
    assert_reply(t, 0, "HSETEX h PX 1 FIELDS 1 f 1", ":1\r\n");
    await(t, "HEXISTS h f", ":0\r\n");
    assert_reply(t, 0, "HSETEX h FXX FIELDS 1 f 2", ":0\r\n");
    assert_reply(t, 0, "HSETEX h FNX FIELDS 1 f 2", ":1\r\n");
}

/* What client 1 hears next; waits for it. */
static const char *heard_next(struct talk *t)
{
    const char *heard = talk_heard(t, 1);

    for (int i = 0; i < 12000 && heard[0] == '\0'; i++) {
        assert_int_equal(usleep(5000), 0);
        talk_turn(t);
        heard = talk_heard(t, 1);
    }
    return heard;
}

/* Hears of `events` about h, in that order, and of nothing else. */
static void assert_events(struct talk *t, const char *const *events)
{
    const char *heard = "";

    for (; *events != NULL; events++) {
        char want[128];
        size_t len =
            (size_t)snprintf(want, sizeof want,
                             "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$%zu\r\n__keyevent@0__:%s\r\n"
                             "$1\r\nh\r\n",
                             strlen(*events) + 15, *events);

        heard = heard[0] == '\0' ? heard_next(t) : heard;
        assert_int_equal(strncmp(heard, want, len), 0);
        heard += len;
    }
    assert_string_equal(heard, "");
}

#define EVENTS(t, words, ...)                                                                      \
    do {                                                                                           \
        talk_send((t), 0, (words));                                                                \
        talk_turn(t);                                                                              \
        assert_events((t), (const char *const[]){__VA_ARGS__, NULL});                              \
        (void)talk_heard((t), 0);                                                                  \
    } while (0)

static void what_happens_is_told(void **state)
{
    struct talk *t = *state;

    talk_connect(t, 1);
    (void)talk(t, 0, "CONFIG SET notify-keyspace-events Ehg");
    (void)talk(t, 1, "PSUBSCRIBE *");
    /* N, keyspace events of hashes; S: hdel rather than hexpire where any field was deleted */
    EVENTS(t, "HSET h a 1 b 2 c 3 d 4", "hset");
    EVENTS(t, "HEXPIRE h 1000 FIELDS 2 a b", "hexpire");
    EVENTS(t, "HPERSIST h FIELDS 1 a", "hpersist");
    EVENTS(t, "HEXPIREAT h 1 FIELDS 2 a none", "hdel");
    EVENTS(t, "HGETEX h EX 100 FIELDS 1 b", "hexpire");
    EVENTS(t, "HGETEX h PERSIST FIELDS 1 b", "hpersist");
    EVENTS(t, "HGETDEL h FIELDS 1 b", "hdel");
    EVENTS(t, "HSETEX h EX 100 FIELDS 1 b 2", "hset", "hexpire");
    EVENTS(t, "HSETEX h PXAT 1 FIELDS 1 b 2", "hset", "hdel");
    EVENTS(t, "HSETEX h FIELDS 1 b 2", "hset");
    (void)talk(t, 0, "HPERSIST h FIELDS 1 c");      /* nothing changes, nothing is told */
    (void)talk(t, 0, "HEXPIRE h 10 XX FIELDS 1 c"); /* nor here */
    EVENTS(t, "HPEXPIRE h 1 FIELDS 2 b c", "hexpire", "hexpired");
    EVENTS(t, "HPEXPIRE h 1 FIELDS 1 d", "hexpire", "hexpired", "del");
    EVENTS(t, "HSET h a 1", "hset");
    EVENTS(t, "HGETDEL h FIELDS 1 a", "hdel", "del");
    /* T, expired_subkeys of INFO */
    assert_non_null(strstr(talk(t, 0, "INFO stats"), "expired_subkeys:3\r\n"));
}

static void dump_and_copies_take_it_along(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "HSET h a 1 b 2");
    (void)talk(t, 0, "HEXPIREAT h 2524600800 FIELDS 1 a");
    /* T, "Test COPY hash with fields to be expired", RENAME, MOVE, SWAPDB */
    assert_reply(t, 0, "COPY h copy", ":1\r\n");
    assert_reply(t, 0, "RENAME h again", "+OK\r\n");
    assert_reply(t, 0, "MOVE again 3", ":1\r\n");
    assert_reply(t, 0, "SWAPDB 3 4", "+OK\r\n");
    assert_ints(t, "HEXPIRETIME copy FIELDS 2 a b", "2524600800 -1");
    (void)talk(t, 0, "SELECT 4");
    assert_ints(t, "HEXPIRETIME again FIELDS 2 a b", "2524600800 -1");
    (void)talk(t, 0, "HPEXPIRE again 1 FIELDS 2 a b");
    await(t, "EXISTS again", ":0\r\n");
}

static void it_is_there_after_a_restart(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "HSET h a 1 b 2");
    (void)talk(t, 0, "HEXPIREAT h 2524600800 FIELDS 1 a");
    (void)talk(t, 0, "HSETEX gone PX 50 FIELDS 1 a 1");
    talk_again(t);
    talk_connect(t, 0);
    assert_ints(t, "HEXPIRETIME h FIELDS 2 a b", "2524600800 -1");
    await(t, "DBSIZE", ":1\r\n"); /* without anybody touching it */
}

static void rights_are_asked_for(void **state)
{
    struct talk *t = *state;

    /* D, @write @hash @fast; HTTL and its like @read */
    assert_reply(t, 0, "ACL SETUSER u on nopass %R~r* %W~w* +@all", "+OK\r\n");
    talk_connect(t, 1);
    (void)talk(t, 1, "AUTH u x");
    assert_reply(t, 1, "HTTL r FIELDS 1 f", "*1\r\n:-2\r\n");
    assert_reply(t, 1, "HEXPIRE w 1 FIELDS 1 f", "*1\r\n:-2\r\n");
    assert_memory_equal(talk(t, 1, "HEXPIRE r 1 FIELDS 1 f"), "-NOPERM", 7);
    assert_memory_equal(talk(t, 1, "HTTL w FIELDS 1 f"), "-NOPERM", 7);
    assert_memory_equal(talk(t, 1, "HGETDEL w FIELDS 1 f"), "-NOPERM", 7);
    assert_memory_equal(talk(t, 1, "HGETEX w FIELDS 1 f"), "-NOPERM", 7);
    assert_reply(t, 1, "HSETEX w FIELDS 1 f v", ":1\r\n");
    assert_non_null(strstr(talk(t, 0, "ACL CAT hash"), "hgetex"));
    assert_non_null(strstr(talk(t, 0, "ACL CAT read"), "hpexpiretime"));
    assert_null(strstr(talk(t, 0, "ACL CAT read"), "hpersist"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_missing_hash_has_no_fields),
        TEST(conditions_decide),
        TEST(times_must_make_sense),
        TEST(arguments_must_be_in_their_places),
        TEST(hsetex_says_what_is_wrong),
        TEST(times_are_told),
        TEST(what_writes_clears_or_keeps_it),
        TEST(an_expired_field_is_not_there),
        TEST(sort_finds_what_is_there),
        TEST(hgetdel_gives_and_deletes),
        TEST(hgetex_gives_and_changes_the_time_to_live),
        TEST(hsetex_sets_under_a_condition),
        TEST(what_happens_is_told),
        TEST(dump_and_copies_take_it_along),
        TEST(it_is_there_after_a_restart),
        TEST(rights_are_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
