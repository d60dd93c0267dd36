/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random changes of a counted tree against a sorted array: with few different orders, so that members
 * decide; with members that begin alike for longer than an inner node remembers; with members and
 * values outside; one by one and many at once. After each round the tree is gone through node by node.
 */
#include "engine/store/store.h"
#include "tests/keyval/tree_check.h"
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

#define CAP    20000u
#define OBJECT 77u

struct item {
    uint64_t order;
    size_t len;
    char member[80];
    size_t long_by; /* more bytes, all 'z', that member goes on with */
    uint32_t value;
};

struct model {
    struct item *at[CAP];
    size_t n;
};

static char scratch[4][400000];

static struct oxbow_bytes member_of(const struct item *it, int which)
{
    memcpy(scratch[which], it->member, it->len);
    memset(scratch[which] + it->len, 'z', it->long_by);
    return (struct oxbow_bytes){scratch[which], it->len + it->long_by};
}

static int item_order(const struct item *a, const struct item *b)
{
    struct oxbow_bytes x = member_of(a, 0);
    struct oxbow_bytes y = member_of(b, 1);
    size_t n = x.len < y.len ? x.len : y.len;
    int order;

    if (a->order != b->order) {
        return a->order < b->order ? -1 : 1;
    }
    order = memcmp(x.data, y.data, n);
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static size_t model_find(const struct model *m, const struct item *it, bool *equal)
{
    size_t low = 0;
    size_t high = m->n;

    *equal = false;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = item_order(it, m->at[mid]);

        if (order == 0) {
            *equal = true;
            return mid;
        }
        if (order < 0) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return low;
}

static struct item item_random(uint64_t *rng, unsigned style)
{
    struct item it = {.order = rig_random(rng) % 4};
    int n;

    switch (style) {
    case 0:
        it.order = rig_random(rng);
        n = snprintf(it.member, sizeof it.member, "%llu", (unsigned long long)it.order % 1000);
        break;
    case 1:
        n = snprintf(it.member, sizeof it.member, "%llu",
                     (unsigned long long)(rig_random(rng) % 9000));
        break;
    default:
        n = snprintf(it.member, sizeof it.member, "a beginning that is long and all the same %llu",
                     (unsigned long long)(rig_random(rng) % 9000));
        break;
    }
    it.len = (size_t)n;
    if (style == 3 && rig_random(rng) % 50 == 0) {
        it.long_by = rig_random(rng) % 10 == 0 ? 70000 : rig_random(rng) % 600;
    }
    it.value = (uint32_t)rig_random(rng);
    return it;
}

/* A value whose length changes with what it says. */
static struct oxbow_bytes value_of(uint32_t v, int which)
{
    size_t len = 4 + (v % 7 == 0 ? v % 380 : v % 9);

    if (v % 997 == 0) {
        len = 1000;
    }
    memset(scratch[which], (int)(v % 251), len);
    memcpy(scratch[which], &v, 4);
    return (struct oxbow_bytes){scratch[which], len};
}

/* A deadline that hangs on it likewise, or none. */
static void times_of(uint32_t v, struct btree_entry *e)
{
    e->deadline = v % 3 == 0 ? 0 : v % 5 == 0 ? BTREE_TIME_MAX : 1 + v;
    e->made_ms = e->deadline != 0 && v % 2 == 0 ? 1 + v : 0;
}

static void add(struct btree *t, struct model *m, const struct item *it)
{
    bool model_has;
    size_t at = model_find(m, it, &model_has);
    struct oxbow_bytes member = member_of(it, 2);
    struct oxbow_bytes value = value_of(it->value, 3);
    struct btree_key key = {it->order, member};
    struct btree_place p;
    struct btree_entry e;
    bool equal;

    assert_ok(btree_find(t, &key, &p, &equal));
    assert_int_equal(equal, model_has);
    assert_int_equal(p.rank, at);
    if (equal) {
        struct btree_ref ref;

        assert_ok(btree_get(&p, &e));
        assert_ok(outside_delete(t->txn, t->object, &e.value));
        assert_ok(btree_ref_make(t, value, BTREE_VALUE_MAX, &ref));
        if (it->value % 4 != 0) {
            times_of(it->value, &e);
            assert_ok(btree_replace(&p, &e, &ref));
        } else { /* in two goes */
            assert_ok(btree_replace(&p, &e, &ref));
            assert_ok(btree_find(t, &key, &p, &equal));
            assert_ok(btree_get(&p, &e));
            times_of(it->value, &e);
            assert_ok(btree_retime(&p, &e));
        }
        m->at[at]->value = it->value;
        return;
    }
    e = (struct btree_entry){.order = it->order};
    times_of(it->value, &e);
    assert_ok(btree_ref_make(t, member, BTREE_MEMBER_MAX, &e.member));
    assert_ok(btree_ref_make(t, value, BTREE_VALUE_MAX, &e.value));
    assert_ok(btree_insert(&p, &e));
    assert_true(m->n < CAP);
    memmove(m->at + at + 1, m->at + at, (m->n - at) * sizeof *m->at);
    m->at[at] = malloc(sizeof *it);
    *m->at[at] = *it;
    m->n++;
}

static void drop(struct btree *t, struct model *m, size_t at)
{
    struct btree_place p;
    struct btree_entry e;

    assert_ok(btree_find_rank(t, at, &p));
    assert_ok(btree_get(&p, &e));
    assert_ok(outside_delete(t->txn, t->object, &e.member));
    assert_ok(outside_delete(t->txn, t->object, &e.value));
    assert_ok(btree_remove(&p, &e));
    free(m->at[at]);
    m->n--;
    memmove(m->at + at, m->at + at + 1, (m->n - at) * sizeof *m->at);
}

/* ---- many at once ---- */

struct taken {
    struct btree *t;
    struct btree_entry last; /* its order alone is looked at: the rest was borrowed */
    size_t count;
};

static enum oxbow_err take(void *ctx, const struct btree_entry *e)
{
    struct taken *taken = ctx;

    assert_true(taken->count == 0 || e->order <= taken->last.order);
    taken->last.order = e->order;
    taken->count++;
    assert_ok(outside_delete(taken->t->txn, taken->t->object, &e->member));
    return outside_delete(taken->t->txn, taken->t->object, &e->value);
}

static struct btree_key key_dup(const struct item *it)
{
    struct oxbow_bytes member = member_of(it, 2);
    char *copy = malloc(member.len + 1);

    memcpy(copy, member.data, member.len);
    return (struct btree_key){it->order, {copy, member.len}};
}

/* Of [low, high) one in `one_in`, in any order, some twice, and some keys that may not be there. */
static void drop_many(struct btree *t, struct model *m, size_t low, size_t high, uint64_t one_in,
                      uint64_t *rng, unsigned style)
{
    static struct btree_key at[3 * CAP];
    struct taken taken = {.t = t};
    struct btree_keys keys = {at, 0, take, &taken};
    size_t gone = 0;
    size_t n = 0;

    for (size_t i = 0; i < m->n; i++) {
        bool goes = i >= low && i < high && rig_random(rng) % one_in == 0;

        m->at[n++] = m->at[i];
        if (goes) {
            at[keys.count++] = key_dup(m->at[i]);
            if (rig_random(rng) % 20 == 0) {
                at[keys.count++] = key_dup(m->at[i]);
            }
            free(m->at[i]);
            gone++;
            n--;
        }
    }
    m->n = n;
    for (uint64_t i = rig_random(rng) % 50; i > 0; i--) {
        struct item it = item_random(rng, style);
        bool there;

        (void)model_find(m, &it, &there);
        if (!there) {
            at[keys.count++] = key_dup(&it);
        }
    }
    for (size_t i = keys.count; i > 1; i--) {
        size_t with = rig_random(rng) % i;
        struct btree_key moved = at[i - 1];

        at[i - 1] = at[with];
        at[with] = moved;
    }
    btree_keys_sort(at, keys.count);
    assert_ok(btree_remove_keys(t, &keys));
    assert_int_equal(taken.count, gone);
    assert_int_equal(t->count, m->n);
    for (size_t i = 0; i < keys.count; i++) {
        free((void *)(uintptr_t)at[i].member.data);
    }
}

/* A run, or some here and there, or at an end; now and then nearly all. */
static void drop_some(struct btree *t, struct model *m, uint64_t *rng, unsigned style)
{
    size_t low = rig_random(rng) % (m->n + 1);
    size_t high = low + rig_random(rng) % (m->n - low + 1);

    switch (rig_random(rng) % 4) {
    case 0:
        low = 0;
        break;
    case 1:
        high = m->n;
        break;
    default:
        break;
    }
    drop_many(t, m, low, high, 1 + rig_random(rng) % 2 * (rig_random(rng) % 40), rng, style);
}

static void compare(struct btree *t, const struct model *m)
{
    struct btree_place p;
    struct btree_entry e;
    enum oxbow_err err;
    size_t i = 0;

    tree_check(t, NULL);
    assert_int_equal(t->count, m->n);
    assert_ok(btree_find_rank(t, 0, &p));
    for (err = btree_get(&p, &e); err == OXBOW_OK; err = btree_next(&p, &e)) {
        struct oxbow_bytes value = value_of(m->at[i]->value, 3);
        struct btree_entry times;
        int order;

        times_of(m->at[i]->value, &times);
        assert_int_equal(p.rank, i);
        assert_int_equal(e.order, m->at[i]->order);
        assert_int_equal(e.deadline, times.deadline);
        assert_int_equal(e.made_ms, times.made_ms);
        assert_ok(outside_compare(t->txn, t->object, member_of(m->at[i], 2), &e.member, &order));
        assert_int_equal(order, 0);
        assert_ok(outside_compare(t->txn, t->object, value, &e.value, &order));
        assert_int_equal(order, 0);
        i++;
    }
    assert_err(err, OXBOW_ENOENT);
    assert_int_equal(i, m->n);
    for (; i > 0; i--) {
        assert_ok(btree_prev(&p, &e));
        assert_int_equal(p.rank, i - 1);
        assert_int_equal(e.order, m->at[i - 1]->order);
        assert_int_equal(e.member.len, m->at[i - 1]->len + m->at[i - 1]->long_by);
    }
    assert_err(btree_prev(&p, &e), OXBOW_ENOENT);
}

static uint64_t keys_left(struct oxbow_txn *txn)
{
    uint8_t from[KV_KEY_MAX];
    struct oxbow_bytes start = {from, object_key(from, OBJECT, 0, NULL, 0)};
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct kv_cursor c;
    uint64_t n = 0;
    enum oxbow_err err;

    assert_ok(kv_cursor_init(&c, txn));
    err = kv_cursor_seek(&c, start, &key, &value);
    while (err == OXBOW_OK && key.len > 9 && memcmp(key.data, from, 9) == 0) {
        n++;
        err = kv_cursor_next(&c, &key, &value);
    }
    kv_cursor_fini(&c);
    return n;
}

static void rounds(struct streams *f, unsigned style, uint64_t seed)
{
    static struct model m;
    uint64_t rng = seed + style;
    struct btree t;

    assert_ok(btree_make(&t, f->txn, OBJECT, BTREE_SCORES, 0));
    for (unsigned round = 0; round < 6; round++) {
        bool grow = round % 3 != 2;

        for (unsigned i = 0; i < 1500; i++) {
            if (rig_random(&rng) % 10 < (grow ? 8u : 1u) || m.n == 0) {
                struct item it = item_random(&rng, style);

                add(&t, &m, &it);
            } else {
                /* From the front as queues do, or anywhere. */
                drop(&t, &m, style == 1 ? rig_random(&rng) % 3 % m.n : rig_random(&rng) % m.n);
            }
        }
        streams_reopen(f);
        assert_ok(btree_open(&t, f->txn, OBJECT, BTREE_SCORES));
        compare(&t, &m);
        if (round % 3 != 0) {
            drop_some(&t, &m, &rng, style);
            compare(&t, &m);
        }
    }
    while (m.n > 1000) {
        drop(&t, &m, rig_random(&rng) % m.n);
    }
    drop_many(&t, &m, 0, m.n, 2, &rng, style);
    compare(&t, &m);
    drop_many(&t, &m, 0, m.n, 1, &rng, style);
    assert_int_equal(m.n, 0);
    tree_check(&t, NULL);
    assert_ok(btree_drop(&t));
    assert_int_equal(keys_left(f->txn), 0);
}

static void a_tree_agrees_with_a_sorted_array(void **state)
{
    uint64_t seed = rig_seed("btree_edit");

    for (unsigned style = 0; style < 4; style++) {
        rounds(*state, style, seed);
    }
}

static void what_is_added_at_the_end_leaves_full_leaves_behind(void **state)
{
    struct streams *f = *state;
    struct btree t;
    size_t nodes;

    assert_ok(btree_make(&t, f->txn, OBJECT, BTREE_SCORES, 0));
    for (uint64_t i = 0; i < 20000; i++) {
        struct btree_key key = {i, BYTES("member")};
        struct btree_entry e = {.order = i, .member = {"member", 6, 0}};
        struct btree_place p;
        bool equal;

        assert_ok(btree_find(&t, &key, &p, &equal));
        assert_false(equal);
        assert_ok(btree_insert(&p, &e));
    }
    tree_check(&t, &nodes);
    assert_in_range(nodes, 20000 * 16 / BTREE_LEAF_MAX, 20000 * 16 / BTREE_LEAF_MAX * 11 / 10);
    for (uint64_t i = 0; i < 20000; i++) { /* and goes from the front */
        struct btree_place p;
        struct btree_entry e;

        assert_ok(btree_find_rank(&t, 0, &p));
        assert_ok(btree_get(&p, &e));
        assert_int_equal(e.order, i);
        assert_ok(btree_remove(&p, &e));
        if (i == 12345) {
            tree_check(&t, NULL);
        }
    }
    assert_ok(btree_drop(&t));
    assert_int_equal(keys_left(f->txn), 0);
}

/* A range may be removed that is longer than what a transaction could take out one by one: each leaf is
 * written at most once, and of a run only those at its ends. */
static void a_run_costs_a_transaction_little_more_than_its_leaves_names(void **state)
{
    enum { MANY = 60000, FROM = 1000 };
    static struct btree_key at[MANY];
    struct btree_keys keys = {.at = at + FROM, .count = MANY - 2 * FROM};
    struct streams *f = *state;
    uint64_t before;
    struct btree t;
    size_t nodes;

    assert_ok(btree_make(&t, f->txn, OBJECT, BTREE_SCORES, 0));
    for (uint64_t i = 0; i < MANY; i++) {
        struct btree_entry e = {.order = i, .member = {"member", 6, 0}};
        struct btree_place p;
        bool equal;

        at[i] = (struct btree_key){i, BYTES("member")};
        assert_ok(btree_find(&t, &at[i], &p, &equal));
        assert_ok(btree_insert(&p, &e));
        if (i % 10000 == 9999) {
            streams_reopen(f);
            assert_ok(btree_open(&t, f->txn, OBJECT, BTREE_SCORES));
        }
    }
    tree_check(&t, &nodes);
    before = f->txn->bytes;
    assert_ok(btree_remove_keys(&t, &keys));
    assert_true(f->txn->bytes - before < nodes * 400);
    assert_int_equal(t.count, 2 * FROM);
    tree_check(&t, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tree_agrees_with_a_sorted_array),
        TEST(what_is_added_at_the_end_leaves_full_leaves_behind),
        TEST(a_run_costs_a_transaction_little_more_than_its_leaves_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
