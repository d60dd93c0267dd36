/* SPDX-License-Identifier: Apache-2.0 */
/* What a cache does is what a database on the device does: the same at random in both, taken back at random. */
#include "oxbow/hash.h"
#include "oxbow/list.h"
#include "oxbow/set.h"
#include "oxbow/zset.h"
#include "tests/store/cache_fixture.h"

#include <stdlib.h>

enum { STEPS = 6000, NAMES = 12, LONG = 40000 };

static uint64_t dice;

static uint32_t roll(uint32_t below)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (uint32_t)(dice % below);
}

/* One step, decided before, so that it can be done twice. */
struct step {
    uint32_t what;
    struct oxbow_bytes key, other, value, member;
    uint32_t at;
    bool left;
};

static enum oxbow_err string_step(struct oxbow_txn *txn, const struct step *s)
{
    switch (s->what % 4) {
    case 0:
        return oxbow_string_set(txn, s->key, s->value);
    case 1:
        return oxbow_string_append(txn, s->key, s->value, NULL);
    case 2:
        return oxbow_string_write(txn, s->key, s->at, s->value, NULL);
    default:
        return oxbow_string_set(txn, s->key, s->member);
    }
}

static enum oxbow_err member_step(struct oxbow_txn *txn, const struct step *s)
{
    const struct oxbow_field field = {s->member, s->value};
    const struct oxbow_scored scored = {s->member, s->at};

    switch (s->what % 6) {
    case 0:
        return oxbow_hash_set(txn, s->key, &field, 1, NULL);
    case 1:
        return oxbow_hash_delete(txn, s->key, &s->member, 1, NULL);
    case 2:
        return oxbow_set_add(txn, s->key, &s->member, 1, NULL);
    case 3:
        return oxbow_set_remove(txn, s->key, &s->member, 1, NULL);
    case 4:
        return oxbow_zset_add(txn, s->key, 0, &scored, 1, NULL);
    default:
        return oxbow_zset_remove(txn, s->key, &s->member, 1, NULL);
    }
}

static enum oxbow_err queue_step(struct streams *f, const struct step *s)
{
    const enum oxbow_end end = s->left ? OXBOW_LEFT : OXBOW_RIGHT;
    const struct oxbow_field field = {s->member, s->value};

    switch (s->what % 4) {
    case 0:
        return oxbow_list_pop(f->txn, s->key, end, 1, &f->result);
    case 1:
        return oxbow_list_trim(f->txn, s->key, 0, 20);
    case 2:
        return oxbow_stream_add(f->txn, s->key, NULL, &field, 1, NULL);
    default:
        return oxbow_list_push(f->txn, s->key, end, &s->value, 1, NULL);
    }
}

static enum oxbow_err step(struct streams *f, const struct step *s)
{
    if (s->what < 40) {
        return string_step(f->txn, s);
    }
    if (s->what < 70) {
        return member_step(f->txn, s);
    }
    if (s->what < 90) {
        return queue_step(f, s);
    }
    return s->what < 94   ? oxbow_key_rename(f->txn, s->key, s->other, false)
           : s->what < 99 ? oxbow_key_delete(f->txn, s->key, NULL)
           : s->at < 300  ? oxbow_key_flush(f->txn)
                          : OXBOW_OK;
}

/* All that a key has, in words; 0: it is not there. */
static uint64_t said(struct streams *f, uint32_t database, struct oxbow_bytes key)
{
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};
    enum oxbow_type type;
    uint64_t sum = 0;
    uint64_t count = 0;

    in(f, database);
    assert_ok(oxbow_key_type(f->txn, key, &type));
    if (type == OXBOW_TYPE_STRING) {
        assert_ok(oxbow_string_get(f->txn, key, &f->result));
    } else if (type == OXBOW_TYPE_LIST) {
        assert_ok(oxbow_list_range(f->txn, key, 0, -1, &f->result));
    } else if (type == OXBOW_TYPE_STREAM) {
        assert_ok(oxbow_stream_range(f->txn, key, &all, &f->result));
        for (size_t i = 0; i < f->result.entry_count; i++) {
            sum = sum * 31 + f->result.entries[i].fields[0].value.len;
        }
        return sum * 8 + type;
    } else if (type == OXBOW_TYPE_HASH) {
        assert_ok(oxbow_hash_count(f->txn, key, &count));
    } else if (type == OXBOW_TYPE_ZSET) {
        assert_ok(oxbow_zset_count(f->txn, key, &count));
    } else if (type == OXBOW_TYPE_SET) {
        assert_ok(oxbow_set_count(f->txn, key, &count));
    }
    for (size_t i = 0; count == 0 && i < f->result.item_count && type != OXBOW_TYPE_NONE; i++) {
        const uint8_t *p = f->result.items[i].data;

        for (size_t n = 0; n < f->result.items[i].len; n++) {
            sum = sum * 31 + p[n];
        }
        sum = sum * 31 + f->result.items[i].len;
    }
    return (sum + count) * 8 + type;
}

static void assert_same(struct streams *f)
{
    uint64_t stored;
    uint64_t cached;

    in(f, 0);
    stored = keys(f);
    in(f, CACHE);
    assert_int_equal(keys(f), stored);
    for (unsigned i = 0; i < NAMES; i++) {
        char name[8];
        struct oxbow_bytes key = {name, (size_t)snprintf(name, sizeof name, "k%u", i)};

        stored = said(f, 0, key);
        cached = said(f, CACHE, key);
        assert_int_equal(cached, stored);
    }
}

static void a_cache_does_what_the_device_does(void **state)
{
    struct streams *f = *state;
    static uint8_t bytes[LONG];
    const char *env = getenv("OXBOW_SEED");
    unsigned done = 0;

    dice = (env != NULL ? strtoull(env, NULL, 10) : 1) * 2654435761u + 1;
    for (unsigned i = 0; i < STEPS; i++) {
        char names[2][8];
        char member[12];
        struct step s = {.what = roll(100), .at = roll(2000), .left = roll(2) == 0};
        enum oxbow_err err;

        for (unsigned k = 0; k < 32; k++) {
            bytes[roll(LONG)] = (uint8_t)roll(256);
        }
        s.key = (struct oxbow_bytes){names[0], (size_t)snprintf(names[0], 8, "k%u", roll(NAMES))};
        s.other = (struct oxbow_bytes){names[1], (size_t)snprintf(names[1], 8, "k%u", roll(NAMES))};
        s.member =
            (struct oxbow_bytes){member, (size_t)snprintf(member, sizeof member, "m%u", roll(300))};
        s.value = (struct oxbow_bytes){bytes, roll(8) == 0 ? roll(LONG) : roll(64)};
        in(f, 0);
        err = step(f, &s);
        in(f, CACHE);
        assert_int_equal(step(f, &s), err);
        done += err == OXBOW_OK;
        if (roll(12) == 0) {
            assert_same(f);
        }
        if (roll(8) == 0) {
            if (roll(3) == 0) {
                streams_abort(f);
            } else {
                streams_commit(f);
            }
            streams_begin(f);
            assert_same(f);
        }
    }
    assert_true(done > STEPS / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(a_cache_does_what_the_device_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
