/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of counted trees: entries there and back, and what makes no sense is refused. */
#include "engine/keyval/btree_node.h"

#include "engine/base/codec.h"
#include "tests/queue/stream_fixture.h"

#define OBJECT 5u

static char text[BTREE_VALUE_MAX];

/* `times`: it has none, a deadline, one that may be early. */
static struct btree_entry entry_of(size_t member, size_t value, bool outside, size_t times)
{
    struct btree_entry e = {
        .order = 0x0123456789abcdefu,
        .member = {text, outside ? BTREE_MEMBER_MAX + 1 + member : member, outside ? 9 : 0},
        .value = {text, value, outside ? UINT64_MAX : 0},
        .deadline = times == 0   ? 0
                    : times == 1 ? 1
                                 : BTREE_TIME_MAX,
        .made_ms = times < 2    ? 0
                   : times == 2 ? 0x0a0b0c0d0e0fu
                                : 1};

    return e;
}

static void an_entry_is_read_as_it_was_written_and_not_when_cut_short(void **state)
{
    static const size_t lens[] = {0, 1, 63, 64, 127, 128, BTREE_MEMBER_MAX};

    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < 7 * 7 * 2 * 4; i++) {
        struct btree_entry in = entry_of(lens[i % 7], lens[i / 7 % 7], i / 49 % 2 != 0, i / 98);
        struct btree_entry out;
        uint8_t bytes[ENTRY_MAX + 16];
        size_t size = entry_encode(bytes, &in);

        assert_ok(entry_decode(bytes, size, 0, &out));
        assert_int_equal(out.size, size);
        assert_true(size >= BTREE_ENTRY_MIN);
        assert_int_equal(out.order, in.order);
        assert_int_equal(out.deadline, in.deadline);
        assert_int_equal(out.made_ms, in.made_ms);
        assert_int_equal(out.member.len, in.member.len);
        assert_int_equal(out.member.id, in.member.id);
        assert_int_equal(out.value.len, in.value.len);
        assert_int_equal(out.value.id, in.value.id);
        if (in.member.id == 0) {
            assert_memory_equal(out.member.data, text, in.member.len);
            assert_memory_equal(out.value.data, text, in.value.len);
        }
        for (size_t cut = 0; cut < size; cut++) {
            assert_err(entry_decode(bytes, cut, 0, &out), OXBOW_ECORRUPT);
        }
    }
    assert_int_equal(entry_encode((uint8_t[ENTRY_MAX + 16]){0},
                                  &(struct btree_entry){.member = {text, BTREE_MEMBER_MAX, 0},
                                                        .value = {text, BTREE_VALUE_MAX, 0},
                                                        .deadline = 1,
                                                        .made_ms = 1}),
                     ENTRY_MAX);
}

/* As a version that knew no deadlines wrote it. */
static void an_entry_without_a_deadline_is_what_it_always_was(void **state)
{
    static const uint8_t want[] = {1, 35, 69,  103, 137, 171, 205, 239,
                                   6, 4,  'x', 'x', 'x', 'x', 'x'};
    struct btree_entry in = entry_of(3, 2, false, 0);
    uint8_t bytes[ENTRY_MAX + 16];

    (void)state;
    memset(text, 'x', sizeof text);
    assert_int_equal(entry_encode(bytes, &in), sizeof want);
    assert_memory_equal(bytes, want, sizeof want);
}

static void a_deadline_of_0_makes_no_sense(void **state)
{
    struct btree_entry in = entry_of(3, 2, false, 1);
    struct btree_entry out;
    uint8_t bytes[ENTRY_MAX + 16];
    size_t size = entry_encode(bytes, &in);

    (void)state;
    assert_ok(entry_decode(bytes, size, 0, &out));
    bytes[9] = 0;
    assert_err(entry_decode(bytes, size, 0, &out), OXBOW_ECORRUPT);
}

static void an_inner_entry_is_read_as_it_was_written(void **state)
{
    struct inner_entry in = {
        .order = 77, .prefix_len = INNER_PREFIX, .cut = true, .child = 3, .count = 4};
    struct inner_entry out;
    uint8_t bytes[2 * INNER_ENTRY];

    (void)state;
    memset(in.prefix, 'p', INNER_PREFIX);
    inner_encode(bytes, 1, &in);
    inner_decode(bytes, 1, &out);
    assert_int_equal(out.order, 77);
    assert_int_equal(out.prefix_len, INNER_PREFIX);
    assert_true(out.cut);
    assert_memory_equal(out.prefix, in.prefix, INNER_PREFIX);
    assert_int_equal(inner_child(bytes, 1), 3);
    assert_int_equal(inner_count(bytes, 1), 4);
    bytes[INNER_ENTRY + 8] = 31; /* more than a prefix can have */
    inner_decode(bytes, 1, &out);
    assert_int_equal(out.prefix_len, INNER_PREFIX);
}

static void put_root(struct streams *f, const uint8_t *bytes, size_t len)
{
    uint8_t key[KV_KEY_MAX];
    size_t key_len = object_key(key, OBJECT, BTREE_MEMBERS, NULL, 0);

    assert_ok(kv_put(f->txn, (struct oxbow_bytes){key, key_len}, (struct oxbow_bytes){bytes, len}));
}

/* A root of one leaf's worth of bytes, with one of them changed. */
static void a_root_that_makes_no_sense_is_corrupt(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        bool fine;
    } changes[] = {
        {0, 2, false},               /* another format */
        {8, 2, false},               /* count that its only leaf does not have */
        {16, 0, false},              /* a number of the next node that is none */
        {ROOT_HEAD, 0, false},       /* the node's format */
        {ROOT_HEAD + 1, 1, false},   /* a level that its length does not fit */
        {ROOT_HEAD + 1, 12, false},  /* deeper than trees are */
        {ROOT_HEAD + 2, 0, false},   /* bytes, but no entries */
        {ROOT_HEAD + 2, 2, false},   /* more entries than its bytes can have */
        {ROOT_HEAD + 4, 13, false},  /* more bytes than there are */
        {ROOT_HEAD + 6, 1, false},   /* the same, behind a gap */
        {ROOT_HEAD + 6, 200, false}, /* a gap behind its end */
        {ROOT_HEAD + 8, 9, true},    /* another order */
    };
    struct streams *f = *state;
    struct btree t;

    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        uint8_t bytes[ROOT_HEAD + NODE_HEAD + 12] = {1};

        put_le64(bytes + 8, 1);
        put_le64(bytes + 16, 1);
        bytes[ROOT_HEAD] = 1;
        put_le16(bytes + ROOT_HEAD + 2, 1);
        put_le16(bytes + ROOT_HEAD + 4, 12);
        bytes[ROOT_HEAD + NODE_HEAD + 8] = 2; /* one byte of member, one of value */
        bytes[ROOT_HEAD + NODE_HEAD + 9] = 2;
        put_root(f, bytes, sizeof bytes);
        assert_ok(btree_open(&t, f->txn, OBJECT, BTREE_MEMBERS));
        bytes[changes[i].at] = changes[i].value;
        put_root(f, bytes, sizeof bytes);
        assert_err(btree_open(&t, f->txn, OBJECT, BTREE_MEMBERS),
                   changes[i].fine ? OXBOW_OK : OXBOW_ECORRUPT);
    }
    put_root(f, (const uint8_t *)"\1", 1);
    assert_err(btree_open(&t, f->txn, OBJECT, BTREE_MEMBERS), OXBOW_ECORRUPT);
    assert_err(btree_open(&t, f->txn, OBJECT + 1, BTREE_MEMBERS), OXBOW_ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_read_as_it_was_written_and_not_when_cut_short),
        cmocka_unit_test(an_entry_without_a_deadline_is_what_it_always_was),
        cmocka_unit_test(a_deadline_of_0_makes_no_sense),
        cmocka_unit_test(an_inner_entry_is_read_as_it_was_written),
        TEST(a_root_that_makes_no_sense_is_corrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
