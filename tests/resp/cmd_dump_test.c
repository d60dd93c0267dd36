/* SPDX-License-Identifier: Apache-2.0 */
/* DUMP and RESTORE: what goes out comes in again, and nothing else does. */
#include "tests/resp/talk.h"

#include "engine/base/codec.h"
#include "engine/base/hash.h"

#include <stdlib.h>

#define PAYLOAD_MAX 4096u

struct payload {
    uint8_t data[PAYLOAD_MAX];
    size_t len;
};

/* talk_heard ends at a zero; this does not. */
static size_t heard(struct talk *t, uint8_t *out, size_t len_max)
{
    struct oxbow_bytes part;
    size_t len = 0;

    while ((part = oxbow_resp_client_peek(t->clients[0])).len > 0) {
        assert_true(len + part.len <= len_max);
        memcpy(out + len, part.data, part.len);
        len += part.len;
        oxbow_resp_client_sent(t->clients[0], part.len);
    }
    return len;
}

static void dump(struct talk *t, const char *key, struct payload *p)
{
    uint8_t reply[PAYLOAD_MAX + 64] = {0};
    char words[64];
    char *text = NULL;

    (void)snprintf(words, sizeof words, "DUMP %s", key);
    talk_send(t, 0, words);
    talk_turn(t);
    assert_true(heard(t, reply, sizeof reply) > 4);
    assert_int_equal(reply[0], '$');
    p->len = (size_t)strtoul((const char *)reply + 1, &text, 10);
    assert_in_range(p->len, 1, PAYLOAD_MAX);
    memcpy(p->data, text + 2, p->len);
}

static const char *restore_for(struct talk *t, const char *key, const char *ttl,
                               const struct payload *p, const char *rest)
{
    char head[128];
    const char *second = strchr(rest, ' ');
    int words = 4 + (rest[0] != '\0') + (second != NULL);

    (void)snprintf(head, sizeof head,
                   "*%d\r\n$7\r\nRESTORE\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n$%zu\r\n", words,
                   strlen(key), key, strlen(ttl), ttl, p->len);
    talk_feed(t, 0, head, strlen(head));
    talk_feed(t, 0, (const char *)p->data, p->len);
    talk_feed(t, 0, "\r\n", 2);
    while (rest[0] != '\0') {
        int len = (int)strcspn(rest, " ");

        (void)snprintf(head, sizeof head, "$%d\r\n%.*s\r\n", len, len, rest);
        talk_feed(t, 0, head, strlen(head));
        rest += len;
        rest += strspn(rest, " ");
    }
    talk_turn(t);
    return talk_heard(t, 0);
}

static const char *restore(struct talk *t, const char *key, const struct payload *p,
                           const char *rest)
{
    return restore_for(t, key, "0", p, rest);
}

static void sum(struct payload *p)
{
    put_le32(p->data + p->len - 4, crc32c(0, p->data, p->len - 4));
}

static void a_value_of_each_type_comes_back(void **state)
{
    static const struct {
        const char *make;
        const char *look;
    } kinds[] = {
        {"SET k value", "GET k"},
        {"SETRANGE k 3 x", "STRLEN k"},
        {"RPUSH k a b a", "LRANGE k 0 -1"},
        {"HSET k f v g w", "HMGET k f g h"},
        {"SADD k x 1 y", "SMISMEMBER k x 1 y z"},
        {"ZADD k 1.5 a -inf b +inf c", "ZRANGE k 0 -1 WITHSCORES"},
    };
    struct talk *t = *state;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct payload p;
        char before[256];

        (void)talk(t, 0, "DEL k");
        (void)talk(t, 0, kinds[i].make);
        (void)snprintf(before, sizeof before, "%s", talk(t, 0, kinds[i].look));
        dump(t, "k", &p);
        assert_string_equal(restore(t, "k", &p, ""),
                            "-BUSYKEY Target key name already exists.\r\n");
        (void)talk(t, 0, "SET k other");
        assert_string_equal(restore(t, "k", &p, "REPLACE"), "+OK\r\n");
        assert_reply(t, 0, kinds[i].look, before);
        (void)talk(t, 0, "DEL k");
        assert_string_equal(restore(t, "k", &p, ""), "+OK\r\n");
        assert_reply(t, 0, kinds[i].look, before);
        assert_reply(t, 0, "TTL k", ":-1\r\n");
    }
    assert_reply(t, 0, "DUMP none", "$-1\r\n");
}

static void many_members_come_back_too(void **state)
{
    struct talk *t = *state;
    struct payload p;
    char words[64];

    for (int i = 0; i < 200; i++) {
        (void)snprintf(words, sizeof words, "HSET h %d %d", i, i * i);
        talk_send(t, 0, words);
    }
    talk_turn(t);
    (void)talk_heard(t, 0);
    dump(t, "h", &p);
    assert_string_equal(restore(t, "copy", &p, ""), "+OK\r\n");
    assert_reply(t, 0, "HLEN copy", ":200\r\n");
    assert_reply(t, 0, "HGET copy 199", "$5\r\n39601\r\n");
}

static void fields_that_expire_go_on_to(void **state)
{
    static const char times[] = "*4\r\n:2524600800\r\n:-1\r\n:2524600999\r\n:-2\r\n";
    struct talk *t = *state;
    struct payload good;
    struct payload p;
    char words[64];

    (void)talk(t, 0, "HSET h a 1 b 2 c 3");
    dump(t, "h", &p);
    assert_int_equal(p.data[3], 1); /* as ever, where none does */
    (void)talk(t, 0, "HEXPIREAT h 2524600800 FIELDS 1 a");
    (void)talk(t, 0, "HEXPIREAT h 2524600999 FIELDS 1 c");
    dump(t, "h", &good);
    assert_int_equal(good.data[3], 2);
    assert_string_equal(restore(t, "copy", &good, ""), "+OK\r\n");
    assert_reply(t, 0, "HEXPIRETIME copy FIELDS 4 a b c d", times);
    assert_reply(t, 0, "HMGET copy a b c", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
    for (size_t i = 0; i < good.len; i++) { /* never what it is not */
        p = good;
        p.data[i] ^= 0x10;
        assert_string_equal(restore(t, "spoiled", &p, ""),
                            "-ERR DUMP payload version or checksum are wrong\r\n");
    }
    p = good;
    memset(p.data + p.len - 12, 0xff, 8); /* a time that nobody can give */
    sum(&p);
    assert_string_equal(restore(t, "spoiled", &p, ""), "-ERR Bad data format\r\n");
    p = good;
    put_le64(p.data + p.len - 12, 1); /* it was over long ago */
    sum(&p);
    assert_string_equal(restore(t, "over", &p, ""), "+OK\r\n");
    assert_reply(t, 0, "HLEN over", ":2\r\n");
    for (int i = 0; i < 100; i++) {
        (void)snprintf(words, sizeof words, "HSETEX many EXAT %d FIELDS 1 %d v", 2000000000 + i, i);
        (void)talk(t, 0, words);
    }
    dump(t, "many", &p);
    assert_string_equal(restore(t, "many", &p, "REPLACE"), "+OK\r\n");
    assert_reply(t, 0, "HEXPIRETIME many FIELDS 2 0 99", "*2\r\n:2000000000\r\n:2000000099\r\n");
}

static void a_time_to_live_is_given_or_a_day_that_may_be_over(void **state)
{
    struct talk *t = *state;
    struct payload p;

    (void)talk(t, 0, "SET k v");
    dump(t, "k", &p);
    assert_string_equal(restore_for(t, "k", "-1", &p, "REPLACE"),
                        "-ERR Invalid TTL value, must be >= 0\r\n");
    assert_string_equal(restore_for(t, "k", "x", &p, "REPLACE"),
                        "-ERR value is not an integer or out of range\r\n");
    assert_string_equal(restore_for(t, "a", "100000", &p, ""), "+OK\r\n");
    assert_in_range(strtol(talk(t, 0, "TTL a") + 1, NULL, 10), 50, 100);
    assert_string_equal(restore_for(t, "b", "33177117420000", &p, "ABSTTL"), "+OK\r\n");
    assert_in_range(strtoll(talk(t, 0, "EXPIRETIME b") + 1, NULL, 10), 33177117419, 33177117421);
    assert_string_equal(restore_for(t, "b", "1000", &p, "ABSTTL REPLACE"), "+OK\r\n");
    assert_reply(t, 0, "EXISTS b", ":0\r\n");
    assert_string_equal(restore_for(t, "c", "1000", &p, "ABSTTL"), "+OK\r\n");
    assert_reply(t, 0, "EXISTS c", ":0\r\n");
}

static void what_was_spoiled_on_the_way_is_refused(void **state)
{
    static const char wrong[] = "-ERR DUMP payload version or checksum are wrong\r\n";
    struct talk *t = *state;
    struct payload good;
    struct payload bad;

    (void)talk(t, 0, "ZADD z 1 a 2 b");
    dump(t, "z", &good);
    for (size_t i = 0; i < good.len; i++) {
        bad = good;
        bad.data[i] ^= 0x10;
        assert_string_equal(restore(t, "copy", &bad, ""), wrong);
        bad = good;
        bad.len = i;
        assert_string_equal(restore(t, "copy", &bad, ""), wrong);
    }
    bad = good;
    bad.data[3] = 2; /* of a version to come */
    sum(&bad);
    assert_string_equal(restore(t, "copy", &bad, ""), wrong);
    assert_reply(t, 0, "RESTORE copy 0 garbage", wrong);
    assert_reply(t, 0, "EXISTS copy", ":0\r\n");
}

/* Whoever makes the checksum right can still not have more than a value. */
static void what_makes_no_sense_is_refused_and_nothing_has_changed(void **state)
{
    static const char bad_format[] = "-ERR Bad data format\r\n";
    struct talk *t = *state;
    struct payload good;
    struct payload bad;

    (void)talk(t, 0, "HSET h field value");
    (void)talk(t, 0, "SET copy old");
    dump(t, "h", &good);
    for (size_t cut = 1; cut < good.len - 4; cut++) {
        if (good.len - cut < 17) {
            break;
        }
        bad = good;
        bad.len -= cut;
        sum(&bad);
        assert_string_equal(restore(t, "copy", &bad, "REPLACE"), bad_format);
    }
    for (unsigned type = 0; type < 256; type++) {
        bad = good;
        bad.data[4] = (uint8_t)type;
        sum(&bad);
        if (type == 1 || type == 4 || type == 5) { /* a list, a hash, a set of two */
            continue;
        }
        assert_string_equal(restore(t, "copy", &bad, "REPLACE"), bad_format);
    }
    for (uint64_t count = 0; count < 6; count++) {
        bad = good;
        put_le64(bad.data + 5, count);
        sum(&bad);
        if (count != 2) {
            assert_string_equal(restore(t, "copy", &bad, "REPLACE"), bad_format);
        }
    }
    bad = good;
    put_le64(bad.data + 5, UINT64_MAX - 1);
    sum(&bad);
    assert_string_equal(restore(t, "copy", &bad, "REPLACE"), bad_format);
    bad = good;
    put_le32(bad.data + 13, UINT32_MAX);
    sum(&bad);
    assert_string_equal(restore(t, "copy", &bad, "REPLACE"), bad_format);
    assert_reply(t, 0, "GET copy", "$3\r\nold\r\n");
    (void)talk(t, 0, "ZADD z 1 a");
    dump(t, "z", &bad);
    put_le64(bad.data + 13, UINT64_C(0x7ff8000000000000)); /* NaN */
    sum(&bad);
    assert_string_equal(restore(t, "copy", &bad, "REPLACE"), bad_format);
    assert_reply(t, 0, "GET copy", "$3\r\nold\r\n");
}

static void options_are_checked_in_redis_order(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "SET k v");
    assert_reply(t, 0, "RESTORE k 0 x no", "-ERR syntax error\r\n");
    assert_reply(t, 0, "RESTORE k 0 x IDLETIME", "-ERR syntax error\r\n");
    assert_reply(t, 0, "RESTORE k 0 x IDLETIME -1",
                 "-ERR Invalid IDLETIME value, must be >= 0\r\n");
    assert_reply(t, 0, "RESTORE k 0 x FREQ 256",
                 "-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n");
    assert_reply(t, 0, "RESTORE k 0 x FREQ x", "-ERR value is not an integer or out of range\r\n");
    assert_reply(t, 0, "RESTORE k 0 x FREQ 1 IDLETIME 1", "-ERR syntax error\r\n");
    assert_reply(t, 0, "RESTORE k x x", "-BUSYKEY Target key name already exists.\r\n");
    assert_reply(t, 0, "RESTORE k 0 x ABSTTL FREQ 255 REPLACE",
                 "-ERR DUMP payload version or checksum are wrong\r\n");
}

#define BIG 9000000u /* two are too much */

static void what_is_too_large_or_a_stream_is_not_dumped(void **state)
{
    struct talk *t = *state;

    (void)talk(t, 0, "XADD x 1-1 f v");
    assert_memory_equal(talk(t, 0, "DUMP x"), "-ERR a stream cannot be dumped", 30);
    for (int i = 0; i < 2; i++) {
        char *big = test_calloc(1, BIG + 1);
        char head[64];

        memset(big, 'x', BIG);
        (void)snprintf(head, sizeof head, "*3\r\n$4\r\nSADD\r\n$1\r\ne\r\n$%u\r\n", BIG);
        big[0] = (char)('a' + i);
        talk_feed(t, 0, head, strlen(head));
        talk_feed(t, 0, big, BIG);
        (void)snprintf(head, sizeof head, "\r\n*3\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n$%u\r\n", BIG);
        talk_feed(t, 0, head, strlen(head));
        talk_feed(t, 0, big, BIG);
        talk_feed(t, 0, "\r\n", 2);
        test_free(big);
        talk_turn(t);
        (void)talk_heard(t, 0);
    }
    assert_reply(t, 0, "SCARD e", ":2\r\n");
    assert_reply(t, 0, "LLEN l", ":2\r\n");
    assert_memory_equal(talk(t, 0, "DUMP e"), "-ERR the value is too large to be dumped", 40);
    assert_memory_equal(talk(t, 0, "DUMP l"), "-ERR the value is too large to be dumped", 40);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, talk_setup, talk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_value_of_each_type_comes_back),
        TEST(many_members_come_back_too),
        TEST(fields_that_expire_go_on_to),
        TEST(a_time_to_live_is_given_or_a_day_that_may_be_over),
        TEST(what_was_spoiled_on_the_way_is_refused),
        TEST(what_makes_no_sense_is_refused_and_nothing_has_changed),
        TEST(options_are_checked_in_redis_order),
        TEST(what_is_too_large_or_a_stream_is_not_dumped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
