/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's header record and walks over its entries; and both when the bytes are made up. */
#include "engine/queue/stream.h"

#include "engine/base/codec.h"
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

#define HEAD_LEN 112u

static void load(struct streams *f, struct stream *s)
{
    assert_ok(stream_find(f->txn, text_bytes("s"), s));
}

static struct oxbow_bytes head_key(uint8_t out[KV_KEY_MAX], const struct stream *s)
{
    return (struct oxbow_bytes){out, object_key(out, s->object.id, STREAM_KIND_HEAD, NULL, 0)};
}

static void a_stream_is_stored_by_its_first_save(void **state)
{
    struct streams *f = *state;
    struct stream s;
    struct stream again;

    assert_err(stream_find(f->txn, text_bytes("s"), &s), OXBOW_ENOENT);
    assert_ok(stream_open(f->txn, text_bytes("s"), &s));
    assert_true(s.made);
    assert_int_equal(s.group_next, 1);
    s.groups = 2;
    s.groups_dead = 3;
    s.group_next = 6;
    s.length = 0x0102030405060708;
    s.entries_added = UINT64_MAX;
    s.bytes = 9;
    s.chunks = 10;
    s.last = ID(11, 12);
    s.first = ID(13, 14);
    s.tail = ID(15, 16);
    s.max_deleted = ID(UINT64_MAX, UINT64_MAX);
    assert_ok(stream_save(&s));
    assert_false(s.made);
    load(f, &again);
    assert_int_equal(again.groups, 2);
    assert_int_equal(again.groups_dead, 3);
    assert_int_equal(again.group_next, 6);
    assert_int_equal(again.length, s.length);
    assert_int_equal(again.entries_added, UINT64_MAX);
    assert_int_equal(again.bytes, 9);
    assert_int_equal(again.chunks, 10);
    assert_id(again.last, "11-12");
    assert_id(again.first, "13-14");
    assert_id(again.tail, "15-16");
    assert_id(again.max_deleted, "18446744073709551615-18446744073709551615");
    again.length = 5;
    assert_ok(stream_save(&again));
    streams_reopen(f);
    load(f, &s);
    assert_int_equal(s.length, 5);
    assert_ok(stream_open(f->txn, text_bytes("s"), &again));
    assert_false(again.made);
    assert_int_equal(again.length, 5);
    assert_ok(oxbow_key_delete(f->txn, text_bytes("s"), NULL));
}

static void a_header_that_makes_no_sense_is_damage(void **state)
{
    struct streams *f = *state;
    uint8_t bytes[HEAD_LEN + 1] = {0};
    uint8_t key[KV_KEY_MAX];
    struct stream s;
    struct stream got;
    struct oxbow_bytes value;
    size_t len;

    streams_fill(f, "s", 3);
    load(f, &s);
    assert_ok(kv_get(f->txn, head_key(key, &s), &value));
    assert_int_equal(value.len, HEAD_LEN);
    memcpy(bytes, value.data, HEAD_LEN);
    assert_int_equal(get_le32(bytes), 1);
    for (len = 0; len <= HEAD_LEN + 1; len++) {
        assert_ok(kv_put(f->txn, head_key(key, &s), (struct oxbow_bytes){bytes, len}));
        assert_err(stream_find(f->txn, text_bytes("s"), &got),
                   len == HEAD_LEN ? OXBOW_OK : OXBOW_ECORRUPT);
    }
    bytes[0] = 2;
    assert_ok(kv_put(f->txn, head_key(key, &s), (struct oxbow_bytes){bytes, HEAD_LEN}));
    assert_err(stream_find(f->txn, text_bytes("s"), &got), OXBOW_ECORRUPT);
    assert_ok(kv_del(f->txn, head_key(key, &s)));
    assert_err(stream_find(f->txn, text_bytes("s"), &got), OXBOW_ECORRUPT);
    assert_err(stream_open(f->txn, text_bytes("s"), &got), OXBOW_ECORRUPT);
}

/* The ids that a walk gives, as "1 2 3"; all have seq 0. */
static const char *walked(struct streams *f, struct oxbow_id from, struct oxbow_id to, bool reverse)
{
    static char text[256];
    struct stream_walk w;
    struct stream_entry e;
    struct stream s;
    size_t len = 0;
    enum oxbow_err err;

    load(f, &s);
    text[0] = '\0';
    assert_ok(stream_walk_init(&w, &s, from, to, reverse));
    while ((err = stream_walk_next(&w, &e)) == OXBOW_OK) {
        assert_int_equal(e.id.seq, 0);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%llu", len > 0 ? " " : "",
                                (unsigned long long)e.id.ms);
        assert_true(len < sizeof text);
    }
    assert_err(err, OXBOW_ENOENT);
    assert_err(stream_walk_next(&w, &e), OXBOW_ENOENT); /* and it stays so */
    stream_walk_fini(&w);
    return text;
}

static void a_walk_gives_what_lives_between_its_ends(void **state)
{
    static const struct oxbow_id dead[] = {{3, 0}, {6, 0}};
    struct streams *f = *state;

    streams_fill(f, "s", 6);
    assert_ok(oxbow_stream_delete(f->txn, text_bytes("s"), dead, 2, NULL));
    assert_string_equal(walked(f, OXBOW_ID_MIN, OXBOW_ID_MAX, false), "1 2 4 5");
    assert_string_equal(walked(f, OXBOW_ID_MIN, OXBOW_ID_MAX, true), "5 4 2 1");
    assert_string_equal(walked(f, ID(2, 0), ID(4, 0), false), "2 4");
    assert_string_equal(walked(f, ID(2, 0), ID(4, 0), true), "4 2");
    assert_string_equal(walked(f, ID(2, 1), ID(3, UINT64_MAX), false), "");
    assert_string_equal(walked(f, ID(2, 1), ID(4, 0), false), "4");
    assert_string_equal(walked(f, ID(5, 0), ID(5, 0), true), "5");
    assert_string_equal(walked(f, ID(6, 0), OXBOW_ID_MAX, false), "");
    assert_string_equal(walked(f, ID(4, 0), ID(2, 0), false), "");
    assert_string_equal(walked(f, OXBOW_ID_MIN, OXBOW_ID_MIN, true), "");
}

#define MANY 2000u

static void a_walk_goes_over_many_chunks_either_way(void **state)
{
    struct streams *f = *state;
    struct stream s;
    bool reverse;
    unsigned k;

    streams_fill(f, "s", MANY);
    load(f, &s);
    assert_true(s.chunks > 2);
    for (k = 0; k < 4; k++) {
        struct stream_walk w;
        struct stream_entry e;
        uint64_t low = k < 2 ? 1 : 777;
        uint64_t high = k < 2 ? MANY : 1333;
        uint64_t count = 0;

        reverse = k % 2 == 1;
        assert_ok(stream_walk_init(&w, &s, ID(low, 0), ID(high, 0), reverse));
        while (stream_walk_next(&w, &e) == OXBOW_OK) {
            assert_int_equal(e.id.ms, reverse ? high - count : low + count);
            count++;
        }
        assert_int_equal(count, high - low + 1);
        stream_walk_fini(&w);
    }
}

static void an_entry_is_found_by_its_id(void **state)
{
    static const struct oxbow_id dead[] = {{2, 0}};
    struct streams *f = *state;
    struct stream s;

    streams_fill(f, "s", 3);
    assert_ok(oxbow_stream_delete(f->txn, text_bytes("s"), dead, 1, NULL));
    load(f, &s);
    assert_ok(stream_entry_find(&s, ID(1, 0), NULL));
    assert_err(stream_entry_find(&s, ID(1, 1), NULL), OXBOW_ENOENT);
    assert_err(stream_entry_find(&s, ID(2, 0), NULL), OXBOW_ENOENT);
    assert_ok(stream_entry_find(&s, ID(3, 0), NULL));
    assert_err(stream_entry_find(&s, ID(4, 0), NULL), OXBOW_ENOENT);
    assert_err(stream_entry_find(&s, OXBOW_ID_MIN, NULL), OXBOW_ENOENT);
}

static void what_an_entry_keeps_elsewhere_must_be_there_as_it_says(void **state)
{
    static char big[70000];
    static const size_t lens[] = {10000, 70000}; /* under a key of its own, as a blob */
    struct streams *f = *state;
    struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    size_t i;

    for (i = 0; i < 2; i++) {
        struct oxbow_field field = {BYTES("f"), {big, lens[i]}};
        struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = ID(1, 0)};
        struct stream_walk w;
        struct stream_entry e;
        struct stream s;
        uint8_t key[KV_KEY_MAX];

        assert_ok(oxbow_stream_add(f->txn, text_bytes("s"), &opt, &field, 1, NULL));
        load(f, &s);
        assert_ok(stream_walk_init(&w, &s, OXBOW_ID_MIN, OXBOW_ID_MAX, false));
        assert_ok(stream_walk_next(&w, &e));
        assert_true((e.flags & STREAM_ENTRY_OUTSIDE) != 0);
        assert_true(stream_entry_bytes(&w, &e) > lens[i]);
        assert_int_equal(e.blob != 0, i == 1);
        stream_walk_fini(&w);
        assert_ok(oxbow_stream_range(f->txn, text_bytes("s"), &all, &f->result));
        assert_int_equal(f->result.entries[0].fields[0].value.len, lens[i]);
        if (i == 0) { /* fields in good order, but not those that the entry tells of */
            assert_ok(kv_put(f->txn, stream_id_key(key, &s, STREAM_KIND_BODY, ID(1, 0)),
                             BYTES("\1\1f\1v")));
            assert_err(oxbow_stream_range(f->txn, text_bytes("s"), &all, &f->result),
                       OXBOW_ECORRUPT);
            assert_ok(kv_del(f->txn, stream_id_key(key, &s, STREAM_KIND_BODY, ID(1, 0))));
        } else {
            assert_ok(object_blob_delete(f->txn, s.object.id, e.blob));
        }
        assert_err(oxbow_stream_range(f->txn, text_bytes("s"), &all, &f->result), OXBOW_ECORRUPT);
        streams_abort(f);
        streams_begin(f);
    }
}

/* ---- bytes that a disk made up ---- */

static void use_all(struct streams *f, uint64_t *rng)
{
    struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    const struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MAXLEN, .maxlen = 20};
    struct oxbow_id id = ID(rig_random(rng) % 70, 0);
    struct oxbow_stamp stamp;
    uint64_t removed;

    (void)!oxbow_stream_range(f->txn, text_bytes("s"), &all, &f->result);
    all.reverse = true;
    (void)!oxbow_stream_range(f->txn, text_bytes("s"), &all, &f->result);
    (void)!oxbow_stream_stamp(f->txn, text_bytes("s"), id, &stamp);
    (void)!oxbow_stream_delete(f->txn, text_bytes("s"), &id, 1, &removed);
    (void)!streams_put(f, "s", ID(1000 + rig_random(rng) % 100, 0), "more");
    (void)!oxbow_stream_trim(f->txn, text_bytes("s"), &trim, &removed);
    (void)!oxbow_stream_range(f->txn, text_bytes("s"), &all, &f->result);
}

static void made_up_bytes_end_in_errors_and_nothing_worse(void **state)
{
    struct streams *f = *state;
    uint64_t rng = rig_seed("stream");
    struct stream s;
    uint8_t head[HEAD_LEN];
    uint8_t chunk[CHUNK_MAX];
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    size_t len;
    unsigned round;

    streams_fill(f, "s", 60);
    load(f, &s);
    assert_int_equal(s.chunks, 1);
    assert_ok(kv_get(f->txn, stream_id_key(key, &s, STREAM_KIND_CHUNK, ID(1, 0)), &value));
    len = value.len;
    memcpy(chunk, value.data, len);
    assert_ok(kv_get(f->txn, head_key(key, &s), &value));
    memcpy(head, value.data, HEAD_LEN);
    streams_commit(f);
    for (round = 0; round < 3000; round++) {
        uint8_t bad[CHUNK_MAX];
        unsigned flips = 1 + (unsigned)(rig_random(&rng) % 4);

        streams_begin(f);
        if (round % 3 != 0) {
            size_t cut = round % 7 == 0 ? (size_t)(rig_random(&rng) % len) : len;

            memcpy(bad, chunk, len);
            while (flips-- > 0) {
                bad[CHUNK_HEADER + rig_random(&rng) % (len - CHUNK_HEADER)] ^=
                    (uint8_t)(1u << rig_random(&rng) % 8);
            }
            assert_ok(kv_put(f->txn, stream_id_key(key, &s, STREAM_KIND_CHUNK, ID(1, 0)),
                             (struct oxbow_bytes){bad, cut}));
        } else {
            memcpy(bad, head, HEAD_LEN);
            while (flips-- > 0) {
                bad[4 + rig_random(&rng) % (HEAD_LEN - 4)] ^= (uint8_t)(1u << rig_random(&rng) % 8);
            }
            assert_ok(kv_put(f->txn, head_key(key, &s), (struct oxbow_bytes){bad, HEAD_LEN}));
        }
        use_all(f, &rng);
        streams_abort(f);
    }
    streams_begin(f);
    assert_string_equal(walked(f, ID(59, 0), OXBOW_ID_MAX, false), "59 60");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stream_is_stored_by_its_first_save),
        TEST(a_header_that_makes_no_sense_is_damage),
        TEST(a_walk_gives_what_lives_between_its_ends),
        TEST(a_walk_goes_over_many_chunks_either_way),
        TEST(an_entry_is_found_by_its_id),
        TEST(what_an_entry_keeps_elsewhere_must_be_there_as_it_says),
        TEST(made_up_bytes_end_in_errors_and_nothing_worse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
