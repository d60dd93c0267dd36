/* SPDX-License-Identifier: Apache-2.0 */
/* Finding one's way in a counted tree; changing it is btree_edit_test's. */
#include "tests/keyval/tree_check.h"

#include "engine/base/codec.h"
#include "tests/queue/stream_fixture.h"

#define OBJECT 6u
#define N      5000u

/* The i-th member, after a beginning that is longer than what inner nodes remember. */
static struct oxbow_bytes member_of(unsigned i)
{
    static char text[4][64];
    static unsigned turn;
    char *at = text[++turn % 4];

    return (struct oxbow_bytes){
        at, (size_t)snprintf(at, sizeof text[0], "the same beginning of every member %05u", i)};
}

static void add(struct btree *t, uint64_t order, struct oxbow_bytes member)
{
    struct btree_key key = {order, member};
    struct btree_entry e = {.order = order, .member = {member.data, member.len, 0}};
    struct btree_place p;
    bool equal;

    assert_ok(btree_find(t, &key, &p, &equal));
    assert_false(equal);
    assert_ok(btree_insert(&p, &e));
}

/* N members of one order, every second number. */
static void fill(struct streams *f, struct btree *t)
{
    assert_ok(btree_make(t, f->txn, OBJECT, BTREE_SCORES, 0));
    for (unsigned i = 0; i < N; i++) {
        add(t, 1, member_of(i * 7919 % N * 2));
    }
    tree_check(t, NULL);
    assert_true(t->level >= 2);
}

static void a_member_is_found_and_a_missing_ones_place_is_before_the_next(void **state)
{
    struct streams *f = *state;
    struct btree_place p;
    struct btree_entry e;
    struct btree t;
    bool equal;

    fill(f, &t);
    for (unsigned i = 0; i < N; i++) {
        struct btree_key there = {1, member_of(2 * i)};
        struct btree_key absent = {1, member_of(2 * i + 1)};

        assert_ok(btree_find(&t, &there, &p, &equal));
        assert_true(equal);
        assert_int_equal(p.rank, i);
        assert_ok(btree_find(&t, &absent, &p, &equal));
        assert_false(equal);
        assert_int_equal(p.rank, i + 1);
        assert_err(btree_get(&p, &e), i + 1 < N ? OXBOW_OK : OXBOW_ENOENT);
        if (i + 1 < N) {
            assert_int_equal(e.member.len, member_of(2 * i + 2).len);
            assert_memory_equal(e.member.data, member_of(2 * i + 2).data, e.member.len);
        }
    }
    assert_ok(btree_find(&t, &(struct btree_key){0, member_of(9)}, &p, &equal));
    assert_int_equal(p.rank, 0);
    assert_ok(btree_find(&t, &(struct btree_key){2, member_of(9)}, &p, &equal));
    assert_int_equal(p.rank, N);
    assert_ok(btree_find(&t, &(struct btree_key){1, {NULL, 0}}, &p, &equal));
    assert_int_equal(p.rank, 0);
}

static void every_rank_leads_to_its_entry_and_on_in_both_directions(void **state)
{
    struct streams *f = *state;
    struct btree_place p;
    struct btree_entry e;
    struct btree t;

    fill(f, &t);
    for (unsigned i = 0; i < N; i += 3) {
        assert_ok(btree_find_rank(&t, i, &p));
        assert_int_equal(p.rank, i);
        assert_ok(btree_get(&p, &e));
        assert_memory_equal(e.member.data, member_of(2 * i).data, e.member.len);
        if (i > 0) {
            assert_ok(btree_prev(&p, &e));
            assert_memory_equal(e.member.data, member_of(2 * i - 2).data, e.member.len);
            assert_ok(btree_next(&p, &e));
            assert_memory_equal(e.member.data, member_of(2 * i).data, e.member.len);
        }
    }
    assert_ok(btree_find_rank(&t, N, &p));
    assert_err(btree_get(&p, &e), OXBOW_ENOENT);
    assert_ok(btree_prev(&p, &e));
    assert_memory_equal(e.member.data, member_of(2 * N - 2).data, e.member.len);
}

static void an_empty_tree_has_no_entries(void **state)
{
    struct streams *f = *state;
    struct btree_place p;
    struct btree_entry e;
    struct btree t;
    bool equal;

    assert_ok(btree_make(&t, f->txn, OBJECT, BTREE_SCORES, 0));
    assert_ok(btree_find(&t, &(struct btree_key){1, BYTES("x")}, &p, &equal));
    assert_false(equal);
    assert_err(btree_get(&p, &e), OXBOW_ENOENT);
    assert_err(btree_prev(&p, &e), OXBOW_ENOENT);
    assert_ok(btree_find_rank(&t, 0, &p));
    assert_err(btree_get(&p, &e), OXBOW_ENOENT);
}

/* Each node lost in turn, or of a wrong level: some calls work, others say so, none goes astray. */
static void a_missing_node_is_told(void **state)
{
    struct streams *f = *state;
    unsigned told = 0;
    struct btree t;

    fill(f, &t);
    for (uint64_t id = 1; id < t.next; id += 5) {
        struct oxbow_bytes record;
        uint8_t copy[4096];
        uint8_t tail[8];
        uint8_t k[KV_KEY_MAX];
        struct oxbow_bytes key;
        struct btree_place p;
        struct btree_entry e;
        enum oxbow_err err;
        unsigned n = 0;

        put_be64(tail, id);
        key = (struct oxbow_bytes){k, object_key(k, OBJECT, BTREE_SCORES + 1, tail, 8)};
        if (kv_get(f->txn, key, &record) != OXBOW_OK) {
            continue;
        }
        memcpy(copy, record.data, record.len);
        record.data = copy;
        if (id % 2 == 0) {
            assert_ok(kv_del(f->txn, key));
        } else {
            assert_ok(kv_patch(f->txn, key, 1, (struct oxbow_bytes){"\5", 1}));
        }
        err = btree_find_rank(&t, 0, &p);
        if (err == OXBOW_OK) {
            err = btree_get(&p, &e);
        }
        while (err == OXBOW_OK) {
            err = btree_next(&p, &e);
            n++;
        }
        assert_err(err, OXBOW_ECORRUPT);
        assert_true(n < N);
        told++;
        assert_ok(kv_put(f->txn, key, record));
    }
    assert_true(told > 10);
    tree_check(&t, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_is_found_and_a_missing_ones_place_is_before_the_next),
        TEST(every_rank_leads_to_its_entry_and_on_in_both_directions),
        TEST(an_empty_tree_has_no_entries),
        TEST(a_missing_node_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
