/* SPDX-License-Identifier: Apache-2.0 */
/* Shorthands for tests of sorted sets: sets and ranges as text. */
#ifndef OXBOW_TESTS_KEYVAL_ZSET_FIXTURE_H
#define OXBOW_TESTS_KEYVAL_ZSET_FIXTURE_H

#include "engine/keyval/zset.h"
#include "tests/keyval/tree_check.h"
#include "tests/queue/stream_fixture.h"

static inline struct oxbow_zset_added zadd(struct streams *f, const char *key, unsigned flags,
                                           double score, const char *member)
{
    const struct oxbow_scored s = {text_bytes(member), score};
    struct oxbow_zset_added out;

    assert_ok(oxbow_zset_add(f->txn, text_bytes(key), flags, &s, 1, &out));
    return out;
}

/* "a=1 b=2.5"; valid until the next call. */
static inline const char *scored_text(const struct oxbow_result *r)
{
    static char text[8192];
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < r->item_count; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s=%.17g", i > 0 ? " " : "",
                                (int)r->items[i].len, (const char *)r->items[i].data, r->scores[i]);
        assert_true(len < sizeof text);
    }
    return text;
}

static inline const char *zrange(struct streams *f, const char *key,
                                 const struct oxbow_zset_range *range)
{
    uint64_t count;

    assert_ok(oxbow_zset_range_count(f->txn, text_bytes(key), range, &count));
    assert_ok(oxbow_zset_range(f->txn, text_bytes(key), range, &f->result));
    assert_int_equal(f->result.item_count, count);
    return scored_text(&f->result);
}

static inline const char *zall(struct streams *f, const char *key)
{
    return zrange(f, key, &(struct oxbow_zset_range){.stop = -1});
}

/* Both trees are sound and agree; there may be no such key. */
static inline void zcheck(struct streams *f, const char *key)
{
    struct btree_place p;
    struct btree_entry e;
    struct zset z;
    enum oxbow_err err = zset_find(f->txn, text_bytes(key), &z);

    if (err == OXBOW_ENOENT) {
        return;
    }
    assert_ok(err);
    tree_check(&z.t.members, NULL);
    tree_check(&z.scores, NULL);
    assert_ok(btree_find_rank(&z.t.members, 0, &p));
    for (err = btree_get(&p, &e); err == OXBOW_OK; err = btree_next(&p, &e)) {
        static char member[100000];
        struct btree_place at;
        struct btree_entry s;
        double score;
        bool equal;

        assert_true(e.member.len <= sizeof member);
        assert_ok(outside_copy(f->txn, z.t.object.id, &e.member, member, (size_t)e.member.len));
        assert_ok(table_score(&e, &score));
        assert_ok(btree_find(
            &z.scores, &(struct btree_key){score_order(score), {member, (size_t)e.member.len}}, &at,
            &equal));
        assert_true(equal);
        assert_ok(btree_get(&at, &s));
        assert_memory_equal(&score, &(double){score_of_entry(&s)}, sizeof score);
        assert_int_equal(s.member.id, e.member.id);
    }
    assert_err(err, OXBOW_ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

#endif
