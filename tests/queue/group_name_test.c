/* SPDX-License-Identifier: Apache-2.0 */
/* Names of groups and consumers: found by all their bytes, also where hashes collide. */
#include "engine/queue/group_name.h"

#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "oxbow/group.h"
#include "tests/queue/stream_fixture.h"

#define FIXED 8u

struct scene {
    struct streams *f;
    struct stream stream;
    struct names names;
};

static void open_scene(struct scene *s, struct streams *f)
{
    s->f = f;
    assert_ok(streams_put(f, "s", ID(1, 0), "v"));
    assert_ok(stream_find(f->txn, text_bytes("s"), &s->stream));
    s->names =
        (struct names){&s->stream, STREAM_KIND_CONSUMER_NAME, STREAM_KIND_CONSUMER, 7, FIXED};
}

static enum oxbow_err find(const struct scene *s, const char *name, uint32_t *slot,
                           uint32_t *number)
{
    struct oxbow_bytes record;
    enum oxbow_err err = name_find(&s->names, text_bytes(name), slot, number, &record);

    if (err == OXBOW_OK) {
        struct oxbow_bytes got = record_name(&s->names, record);

        assert_int_equal(got.len, strlen(name));
        assert_memory_equal(got.data, name, got.len);
    }
    return err;
}

static void add(const struct scene *s, const char *name, uint32_t number)
{
    uint8_t fixed[FIXED];
    uint32_t slot = 99;
    uint32_t found;

    put_le32(fixed, RECORD_FORMAT);
    put_le32(fixed + 4, number);
    assert_err(find(s, name, &slot, &found), OXBOW_ENOENT);
    assert_ok(name_add(&s->names, text_bytes(name), &(struct name_record){slot, number, fixed}));
}

static uint32_t number_of(const struct scene *s, const char *name)
{
    uint32_t slot;
    uint32_t number = 0;

    assert_ok(find(s, name, &slot, &number));
    return number;
}

static void a_name_leads_to_its_number_and_record(void **state)
{
    struct scene s;
    uint32_t slot;
    uint32_t number;

    open_scene(&s, *state);
    add(&s, "", 1);
    add(&s, "a", 2);
    add(&s, "ab", 3);
    assert_int_equal(number_of(&s, ""), 1);
    assert_int_equal(number_of(&s, "a"), 2);
    assert_int_equal(number_of(&s, "ab"), 3);
    assert_err(find(&s, "b", &slot, &number), OXBOW_ENOENT);
    assert_int_equal(slot, 0);
    s.names.scope = 8; /* another group's consumers */
    assert_err(find(&s, "a", &slot, &number), OXBOW_ENOENT);
}

static void a_removed_name_is_gone_with_its_record(void **state)
{
    struct scene s;
    struct oxbow_bytes record;
    uint32_t slot;
    uint32_t number;

    open_scene(&s, *state);
    add(&s, "a", 2);
    assert_ok(record_get(&s.names, 2, &record));
    assert_err(name_remove(&s.names, text_bytes("a"), 3), OXBOW_ECORRUPT); /* not its number */
    assert_ok(name_remove(&s.names, text_bytes("a"), 2));
    assert_err(find(&s, "a", &slot, &number), OXBOW_ENOENT);
    assert_err(record_get(&s.names, 2, &record), OXBOW_ECORRUPT);
    assert_err(name_remove(&s.names, text_bytes("a"), 2), OXBOW_ECORRUPT);
    add(&s, "a", 4);
    assert_int_equal(number_of(&s, "a"), 4);
}

/* The key of a slot: written down here once more, since it is stored. */
static struct oxbow_bytes slot_key(const struct scene *s, uint8_t out[KV_KEY_MAX], const char *name,
                                   uint32_t slot)
{
    uint8_t tail[14];

    put_be32(tail, s->names.scope);
    put_be64(tail + 4, hash64(name, strlen(name), 0));
    tail[12] = (uint8_t)(slot >> 8);
    tail[13] = (uint8_t)slot;
    return (struct oxbow_bytes){
        out, object_key(out, s->stream.object.id, STREAM_KIND_CONSUMER_NAME, tail, sizeof tail)};
}

static void put_slot(const struct scene *s, const char *hash_of, uint32_t slot, uint32_t number)
{
    uint8_t key[KV_KEY_MAX];
    uint8_t value[4];

    put_le32(value, number);
    assert_ok(kv_put(s->f->txn, slot_key(s, key, hash_of, slot), (struct oxbow_bytes){value, 4}));
}

static void names_of_one_hash_are_told_apart(void **state)
{
    struct scene s;
    uint32_t slot;
    uint32_t number;

    open_scene(&s, *state);
    /* Other names' records in front of "a", as if their hashes were its own. */
    add(&s, "x", 11);
    add(&s, "y", 12);
    put_slot(&s, "a", 0, 11);
    put_slot(&s, "a", 1, 12);
    assert_err(find(&s, "a", &slot, &number), OXBOW_ENOENT);
    assert_int_equal(slot, 2);
    add(&s, "a", 13);
    assert_int_equal(number_of(&s, "a"), 13);
    assert_ok(name_remove(&s.names, text_bytes("a"), 13));
    assert_err(find(&s, "a", &slot, &number), OXBOW_ENOENT);
    assert_int_equal(slot, 2);
}

static void the_last_of_a_hash_takes_the_place_of_a_removed_one(void **state)
{
    struct scene s;
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;

    open_scene(&s, *state);
    add(&s, "a", 11);
    add(&s, "y", 12);
    add(&s, "z", 13);
    put_slot(&s, "a", 1, 12);
    put_slot(&s, "a", 2, 13);
    assert_ok(name_remove(&s.names, text_bytes("a"), 11));
    assert_ok(kv_get(s.f->txn, slot_key(&s, key, "a", 0), &value));
    assert_int_equal(get_le32(value.data), 13);
    assert_ok(kv_get(s.f->txn, slot_key(&s, key, "a", 1), &value));
    assert_int_equal(get_le32(value.data), 12);
    assert_err(kv_get(s.f->txn, slot_key(&s, key, "a", 2), &value), OXBOW_ENOENT);
}

static void records_that_make_no_sense_are_damage(void **state)
{
    struct scene s;
    uint8_t key[KV_KEY_MAX];
    uint8_t bytes[FIXED] = {2};
    struct oxbow_bytes record;
    uint32_t slot;
    uint32_t number;
    size_t len;

    open_scene(&s, *state);
    add(&s, "a", 2);
    for (len = 0; len <= FIXED; len++) { /* too short, then of another format */
        assert_ok(kv_put(s.f->txn, record_key(key, &s.names, 2), (struct oxbow_bytes){bytes, len}));
        assert_err(record_get(&s.names, 2, &record), OXBOW_ECORRUPT);
        assert_err(find(&s, "a", &slot, &number), OXBOW_ECORRUPT);
    }
    for (len = 0; len < 8; len++) { /* a slot is four bytes */
        bytes[0] = RECORD_FORMAT;
        assert_ok(kv_put(s.f->txn, record_key(key, &s.names, 2),
                         (struct oxbow_bytes){"\1\0\0\0\0\0\0\0a", 9}));
        assert_ok(kv_put(s.f->txn, slot_key(&s, key, "a", 0),
                         (struct oxbow_bytes){"\2\0\0\0\0\0\0", len}));
        assert_err(find(&s, "a", &slot, &number), len == 4 ? OXBOW_OK : OXBOW_ECORRUPT);
    }
}

static void a_name_has_its_limit(void **state)
{
    static char name[OXBOW_GROUP_NAME_MAX + 1];
    struct streams *f = *state;
    const struct oxbow_group_create_options opt = {.id = OXBOW_ID_MIN};
    struct oxbow_group g = {text_bytes("s"), {name, OXBOW_GROUP_NAME_MAX}};
    bool created = false;

    memset(name, 'n', sizeof name);
    assert_ok(streams_put(f, "s", ID(1, 0), "v"));
    assert_ok(oxbow_group_create(f->txn, g, &opt));
    assert_err(oxbow_group_create(f->txn, g, &opt), OXBOW_EBUSYGROUP);
    g.name.len--;
    assert_ok(oxbow_group_create(f->txn, g, &opt));
    assert_ok(oxbow_group_consumer_create(
        f->txn, g, (struct oxbow_bytes){name, OXBOW_GROUP_NAME_MAX}, &created));
    assert_true(created);
    assert_err(oxbow_group_consumer_create(
                   f->txn, g, (struct oxbow_bytes){name, OXBOW_GROUP_NAME_MAX + 1}, &created),
               OXBOW_EINVAL);
    g.name.len = OXBOW_GROUP_NAME_MAX + 1;
    assert_err(oxbow_group_create(f->txn, g, &opt), OXBOW_EINVAL);
    streams_reopen(f);
    g.name.len = OXBOW_GROUP_NAME_MAX;
    assert_err(oxbow_group_create(f->txn, g, &opt), OXBOW_EBUSYGROUP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_leads_to_its_number_and_record),
        TEST(a_removed_name_is_gone_with_its_record),
        TEST(names_of_one_hash_are_told_apart),
        TEST(the_last_of_a_hash_takes_the_place_of_a_removed_one),
        TEST(records_that_make_no_sense_are_damage),
        TEST(a_name_has_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
