/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes, sets and sorted sets with numbered members, in a store whose device goes and comes back. */
#ifndef OXBOW_TESTS_KEYVAL_MEMBERS_FIXTURE_H
#define OXBOW_TESTS_KEYVAL_MEMBERS_FIXTURE_H

#include "oxbow/hash.h"
#include "oxbow/hash_expire.h"
#include "oxbow/key.h"
#include "oxbow/members.h"
#include "oxbow/set.h"
#include "oxbow/zset.h"
#include "tests/queue/stand_in_fixture.h"

#include <math.h>

#define HOUR_MS ((int64_t)3600000)

static const char *const key_names[] = {"hash", "set", "zset"};
#define KEY_TYPES ((enum oxbow_type[]){OXBOW_TYPE_HASH, OXBOW_TYPE_SET, OXBOW_TYPE_ZSET})

/* `text` of 16 bytes. */
static inline struct oxbow_bytes numbered(char *text, int n)
{
    return (struct oxbow_bytes){text, (size_t)snprintf(text, 16, "%d", n)};
}

/* Puts member `i` with the value or score `value`; a set has no values. */
static inline enum oxbow_err member_put(struct oxbow_txn *txn, enum oxbow_type type,
                                        struct oxbow_bytes key, int i, int value)
{
    char name[16];
    char text[16];
    const struct oxbow_field field = {numbered(name, i), numbered(text, value)};
    const struct oxbow_scored scored = {field.name, value};

    return type == OXBOW_TYPE_HASH  ? oxbow_hash_set(txn, key, &field, 1, NULL)
           : type == OXBOW_TYPE_SET ? oxbow_set_add(txn, key, &field.name, 1, NULL)
                                    : oxbow_zset_add(txn, key, 0, &scored, 1, NULL);
}

static inline enum oxbow_err member_drop(struct oxbow_txn *txn, enum oxbow_type type,
                                         struct oxbow_bytes key, int i)
{
    char name[16];
    const struct oxbow_bytes member = numbered(name, i);

    return type == OXBOW_TYPE_HASH  ? oxbow_hash_delete(txn, key, &member, 1, NULL)
           : type == OXBOW_TYPE_SET ? oxbow_set_remove(txn, key, &member, 1, NULL)
                                    : oxbow_zset_remove(txn, key, &member, 1, NULL);
}

/* Its value; 1 for a set's; -1: it is not there. */
static inline int member_get(struct oxbow_txn *txn, enum oxbow_type type, struct oxbow_bytes key,
                             int i)
{
    char name[16];
    const struct oxbow_bytes member = numbered(name, i);
    struct oxbow_result r = {0};
    double score = 1;
    bool has = true;
    enum oxbow_err err = type == OXBOW_TYPE_HASH  ? oxbow_hash_get(txn, key, member, &r)
                         : type == OXBOW_TYPE_SET ? oxbow_set_has(txn, key, member, &has)
                                                  : oxbow_zset_score(txn, key, member, &score);
    int value = type == OXBOW_TYPE_HASH && err == OXBOW_OK ? number_of(r.items[0]) : (int)score;

    assert_true(err == OXBOW_OK || err == OXBOW_ENOENT);
    oxbow_result_fini(&r);
    return err == OXBOW_ENOENT || !has ? -1 : value;
}

static inline uint64_t member_count(struct oxbow_txn *txn, enum oxbow_type type,
                                    struct oxbow_bytes key)
{
    uint64_t count;

    assert_int_equal(type == OXBOW_TYPE_HASH  ? oxbow_hash_count(txn, key, &count)
                     : type == OXBOW_TYPE_SET ? oxbow_set_count(txn, key, &count)
                                              : oxbow_zset_count(txn, key, &count),
                     OXBOW_OK);
    return count;
}

/* Members from..from + count - 1 of the three keys, each with `value`. */
static inline void put_all(struct stand_rig *r, int from, int count, int value)
{
    for (unsigned t = 0; t < 3; t++) {
        struct oxbow_txn *txn = rig_txn(r);

        for (int i = from; i < from + count; i++) {
            assert_int_equal(member_put(txn, KEY_TYPES[t], bytes_of(key_names[t]), i, value),
                             OXBOW_OK);
        }
        rig_commit(r, txn);
    }
}

/* They are there, with that value (what a set has is 1). */
static inline void assert_all(struct stand_rig *r, int from, int count, int value)
{
    struct oxbow_txn *txn = rig_txn(r);

    for (unsigned t = 0; t < 3; t++) {
        for (int i = from; i < from + count; i++) {
            assert_int_equal(member_get(txn, KEY_TYPES[t], bytes_of(key_names[t]), i),
                             KEY_TYPES[t] == OXBOW_TYPE_SET && value >= 0 ? 1 : value);
        }
    }
    oxbow_txn_abort(txn);
}

static inline void assert_counts(struct stand_rig *r, uint64_t count)
{
    struct oxbow_txn *txn = rig_txn(r);

    for (unsigned t = 0; t < 3; t++) {
        assert_int_equal(member_count(txn, KEY_TYPES[t], bytes_of(key_names[t])), count);
    }
    oxbow_txn_abort(txn);
}

static inline uint64_t field_ttl(struct stand_rig *r, const char *key, int i)
{
    char name[16];
    const struct oxbow_bytes field = numbered(name, i);
    struct oxbow_txn *txn = rig_txn(r);
    uint64_t left;

    assert_int_equal(oxbow_hash_ttl(txn, bytes_of(key), &(struct oxbow_fields){&field, 1}, &left),
                     OXBOW_OK);
    oxbow_txn_abort(txn);
    return left;
}

static inline void field_expire(struct stand_rig *r, const char *key, int i, int64_t ttl_ms)
{
    char name[16];
    const struct oxbow_bytes field = numbered(name, i);
    enum oxbow_field_done done;
    struct oxbow_txn *txn = rig_txn(r);

    assert_int_equal(
        oxbow_hash_expire(txn, bytes_of(key), &(struct oxbow_fields){&field, 1}, ttl_ms, 0, &done),
        OXBOW_OK);
    assert_int_equal(done, OXBOW_FIELD_SET);
    rig_commit(r, txn);
}

#endif
