/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines of members against a model, and that both trees, what the object waits for and its place in the
 * order of time agree; many of them in bounded steps; and after a loss. */
#include "engine/keyval/hash.h"
#include "oxbow/hash_expire.h"
#include "tests/keyval/tree_check.h"
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>

enum { FIELDS = 60, ROUNDS = 150, STEPS = 20, SPAN = 400, MANY = 100000 };

static const struct oxbow_bytes keys[2] = {{"one", 3}, {"two", 3}};

struct model {
    bool there[2][FIELDS];
    uint64_t deadline[2][FIELDS]; /* by the store's clock; 0: none */
};

/* Some are long enough to lie outside. */
static struct oxbow_bytes field_of(uint64_t i)
{
    static char name[600];

    memset(name, 'n', sizeof name);
    name[0] = (char)('A' + i / 26);
    name[1] = (char)('a' + i % 26);
    return (struct oxbow_bytes){name, i % 7 == 0 ? 300 + i : 2 + i % 9};
}

/* Places in the order of time. */
static size_t places(struct oxbow_txn *txn)
{
    static const uint8_t from[] = {KV_SPACE_EXPIRE, 'h'};
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct kv_cursor c;
    size_t n = 0;
    enum oxbow_err err;

    assert_ok(kv_cursor_init(&c, txn));
    err = kv_cursor_seek_in(&c, (struct oxbow_bytes){from, sizeof from}, 2, &key, &value);
    while (err == OXBOW_OK) {
        n++;
        err = kv_cursor_next(&c, &key, &value);
    }
    assert_err(err, OXBOW_ENOENT);
    kv_cursor_fini(&c);
    return n;
}

/* Each member that has a deadline is in the tree of deadlines, and nothing else is. */
static void trees_check(struct table *t)
{
    struct btree_place p;
    struct btree_entry e;
    struct object_due due;
    uint64_t timed = 0;
    enum oxbow_err err;

    assert_ok(table_times(t));
    assert_true((t->times.count == 0) == t->times.fresh);
    tree_check(&t->members, NULL);
    if (!t->times.fresh) {
        tree_check(&t->times, NULL);
    }
    assert_ok(btree_find_rank(&t->members, 0, &p));
    for (err = btree_get(&p, &e); err == OXBOW_OK; err = btree_next(&p, &e)) {
        static char bytes[700];
        struct btree_key key = {.order = e.deadline};
        struct btree_place q;
        bool equal;

        if (e.deadline == 0) {
            continue;
        }
        timed++;
        assert_ok(outside_copy(t->txn, t->object.id, &e.member, bytes, (size_t)e.member.len));
        key.member = (struct oxbow_bytes){bytes, (size_t)e.member.len};
        assert_ok(btree_find(&t->times, &key, &q, &equal));
        assert_true(equal);
    }
    assert_err(err, OXBOW_ENOENT);
    assert_int_equal(timed, t->times.count);
    if (timed == 0) {
        assert_err(catalog_due_get(t->txn, t->object.id, &due), OXBOW_ENOENT);
        return;
    }
    assert_ok(catalog_due_get(t->txn, t->object.id, &due));
    assert_ok(btree_find_rank(&t->times, 0, &p));
    assert_ok(btree_get(&p, &e));
    assert_true(due.due <= e.order && !due.sweep);
}

static void check(struct streams *f, const struct model *m)
{
    uint64_t now = txn_clock_ms(f->txn);
    size_t waiting = 0;
    bool more = true;

    while (more) { /* those of objects that were deleted go with them */
        assert_ok(catalog_reap(f->txn, &more));
    }
    for (size_t k = 0; k < 2; k++) {
        struct table t;
        enum oxbow_err err;
        uint64_t timed;

        for (uint64_t i = 0; i < FIELDS; i++) {
            const struct oxbow_bytes name = field_of(i);
            const struct oxbow_fields one = {&name, 1};
            uint64_t at = m->deadline[k][i];
            bool there = m->there[k][i] && (at == 0 || at > now);
            uint64_t left;
            bool has;

            assert_ok(oxbow_hash_has(f->txn, keys[k], name, &has));
            assert_int_equal(has, there);
            assert_ok(oxbow_hash_ttl(f->txn, keys[k], &one, &left));
            assert_true(left == (!there ? 0 : at == 0 ? UINT64_MAX : at - now));
        }
        err = table_find(f->txn, keys[k], OXBOW_TYPE_HASH, &t);
        if (err == OXBOW_OK) {
            trees_check(&t);
        }
        assert_ok(oxbow_hash_timed(f->txn, keys[k], &timed));
        waiting += timed > 0;
    }
    assert_int_equal(places(f->txn), waiting);
}

static bool any(const struct model *m, size_t k)
{
    bool is = false;

    for (size_t i = 0; i < FIELDS; i++) {
        is = is || m->there[k][i];
    }
    return is;
}

/* What idle work may have done at any time is forgotten: nobody can tell. */
static void forget_gone(struct model *m, uint64_t now)
{
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < FIELDS; i++) {
            m->there[k][i] = m->there[k][i] && (m->deadline[k][i] == 0 || m->deadline[k][i] > now);
        }
    }
}

static void whole_key(struct streams *f, struct model *m, size_t k, uint64_t what)
{
    bool done;

    if (what == 0) {
        assert_ok(oxbow_key_delete(f->txn, keys[k], NULL));
        memset(m->there[k], 0, sizeof m->there[k]);
    } else if (what == 1 && any(m, k)) {
        assert_ok(oxbow_key_rename(f->txn, keys[k], keys[1 - k], false));
        memcpy(m->there[1 - k], m->there[k], sizeof m->there[k]);
        memcpy(m->deadline[1 - k], m->deadline[k], sizeof m->deadline[k]);
        memset(m->there[k], 0, sizeof m->there[k]);
    } else if (what == 2 && any(m, k)) {
        assert_ok(oxbow_key_copy(f->txn, keys[k], 0, keys[1 - k], true, &done));
        assert_true(done);
        memcpy(m->there[1 - k], m->there[k], sizeof m->there[k]);
        memcpy(m->deadline[1 - k], m->deadline[k], sizeof m->deadline[k]);
    }
}

/* Together. */
static void delete_some(struct streams *f, struct model *m, size_t k, uint64_t from)
{
    static char text[5][600];
    struct oxbow_bytes names[5];

    for (uint64_t i = 0; i < 5; i++) {
        names[i] = field_of((from + i * 3) % FIELDS);
        memcpy(text[i], names[i].data, names[i].len);
        names[i].data = text[i];
        m->there[k][(from + i * 3) % FIELDS] = false;
    }
    assert_ok(oxbow_hash_delete(f->txn, keys[k], names, 5, NULL));
}

static void one_step(struct streams *f, struct model *m, uint64_t *random)
{
    size_t k = rig_random(random) % 2;
    uint64_t i = rig_random(random) % FIELDS;
    uint64_t what = rig_random(random) % 40;
    const struct oxbow_bytes name = field_of(i);
    const struct oxbow_field fv = {name, {"123456789", i % 10}};
    const struct oxbow_fields one = {&name, 1};
    enum oxbow_field_done done;
    bool more = false;

    if (what < 12) {
        bool keep = what < 4;

        assert_ok(oxbow_hash_set_timed(f->txn, keys[k], &fv, 1,
                                       &(struct oxbow_hash_set_options){.keep = keep}, &more));
        m->deadline[k][i] = keep && m->there[k][i] ? m->deadline[k][i] : 0;
        m->there[k][i] = true;
    } else if (what < 28) { /* few different ones: they collide */
        int64_t ms = 1 + (int64_t)(rig_random(random) % 8) * (SPAN / 8);

        assert_ok(oxbow_hash_expire(f->txn, keys[k], &one, ms, 0, &done));
        assert_int_equal(done, m->there[k][i] ? OXBOW_FIELD_SET : OXBOW_FIELD_NONE);
        m->deadline[k][i] = txn_clock_ms(f->txn) + (uint64_t)ms;
    } else if (what < 32) {
        assert_ok(oxbow_hash_persist(f->txn, keys[k], &one, &done));
        m->deadline[k][i] = 0;
    } else if (what < 34) {
        assert_ok(oxbow_hash_delete(f->txn, keys[k], &name, 1, NULL));
        m->there[k][i] = false;
    } else if (what < 35) {
        delete_some(f, m, k, i);
    } else if (what < 37) {
        assert_ok(table_time_step(f->txn, &more));
    } else {
        whole_key(f, m, k, what - 37);
    }
}

static void both_trees_agree_whatever_is_done(void **state)
{
    struct streams *f = *state;
    uint64_t random = rig_seed("table_time");
    struct model live = {.there = {{false}}};

    for (unsigned n = 0; n < ROUNDS; n++) {
        struct model saved = live;

        forget_gone(&live, txn_clock_ms(f->txn));
        for (unsigned k = 0; k < STEPS; k++) {
            one_step(f, &live, &random);
        }
        check(f, &live);
        if (rig_random(&random) % 6 == 0) {
            streams_abort(f);
            live = saved;
        } else {
            streams_commit(f);
        }
        rig_pass_ms(&f->rig, rig_random(&random) % (SPAN / 4));
        if (rig_random(&random) % 20 == 0) {
            rig_reopen(&f->rig);
        }
        streams_begin(f);
    }
}

static void nothing_is_left_of_hashes_that_went_otherwise(void **state)
{
    struct streams *f = *state;
    bool more = true;

    for (uint64_t i = 0; i < FIELDS; i++) {
        const struct oxbow_bytes name = field_of(i);
        const struct oxbow_field fv = {name, BYTES("v")};
        const struct oxbow_fields one = {&name, 1};
        enum oxbow_field_done done;

        for (size_t k = 0; k < 2; k++) {
            assert_ok(oxbow_hash_set(f->txn, keys[k], &fv, 1, NULL));
            assert_ok(oxbow_hash_expire(f->txn, keys[k], &one, 1000000, 0, &done));
        }
    }
    assert_int_equal(places(f->txn), 2);
    assert_ok(oxbow_key_delete(f->txn, keys[0], NULL));
    assert_ok(oxbow_key_flush(f->txn));
    for (int i = 0; more && i < 1000; i++) {
        assert_ok(catalog_reap(f->txn, &more));
    }
    assert_int_equal(places(f->txn), 0);
}

static void many(struct streams *f, unsigned from, unsigned to, int64_t ttl_ms)
{
    for (unsigned i = from; i < to; i++) {
        char text[32];
        const struct oxbow_bytes name = {text, (size_t)snprintf(text, sizeof text, "field %u", i)};
        const struct oxbow_field fv = {name, BYTES("v")};
        const struct oxbow_fields one = {&name, 1};
        enum oxbow_field_done done;

        assert_ok(oxbow_hash_set(f->txn, keys[0], &fv, 1, NULL));
        if (ttl_ms > 0) {
            assert_ok(oxbow_hash_expire(f->txn, keys[0], &one, ttl_ms, 0, &done));
        }
        if (i % 500 == 499) {
            streams_commit(f);
            streams_begin(f);
        }
    }
}

static void a_hundred_thousand_fields_go_in_bounded_steps(void **state)
{
    struct streams *f = *state;
    uint64_t before;
    uint64_t after = 0;
    unsigned steps = 0;
    bool more = true;
    struct table t;

    many(f, 0, MANY, 1000000);
    many(f, MANY, MANY + 10, 0);
    streams_reopen(f);
    txn_clock_raise(f->txn, txn_clock_ms(f->txn) + 1000000);
    assert_ok(oxbow_hash_count(f->txn, keys[0], &before));
    assert_int_equal(before, MANY + 10);
    while (more) {
        more = false;
        assert_ok(oxbow_hash_count(f->txn, keys[0], &before));
        assert_ok(table_time_step(f->txn, &more));
        assert_ok(oxbow_hash_count(f->txn, keys[0], &after));
        assert_true(before - after <= TABLE_TIME_STEP);
        if (++steps % 50 ==
            0) { /* the clock stands where it was raised to: idle work goes on as well */
            streams_commit(f);
            streams_begin(f);
        }
    }
    assert_int_equal(after, 10);
    assert_ok(table_find(f->txn, keys[0], OXBOW_TYPE_HASH, &t));
    trees_check(&t);
    assert_int_equal(places(f->txn), 0);
}

static void what_is_deleted_together_fits_a_transaction(void **state)
{
    enum { FEW = 30000, TIMED = 6000 };
    enum oxbow_field_done *done = calloc(TIMED, sizeof *done);
    struct streams *f = *state;
    struct oxbow_bytes *names = calloc(FEW, sizeof *names);
    char(*texts)[24] = calloc(FEW, sizeof *texts);
    uint64_t n;

    assert_non_null(names);
    assert_non_null(texts);
    assert_non_null(done);
    many(f, 0, FEW, 0);
    many(f, FEW, FEW + 5, 1000000);
    for (unsigned i = 0; i < FEW; i++) {
        names[i] = (struct oxbow_bytes){texts[i],
                                        (size_t)snprintf(texts[i], sizeof texts[i], "field %u", i)};
    }
    for (unsigned i = 0; i < FEW + 2 * TIMED; i += TIMED) { /* the first ones twice or more */
        const struct oxbow_fields some = {names + i % (FEW - TIMED), TIMED};

        streams_commit(f);
        streams_begin(f);
        assert_ok(oxbow_hash_expire(f->txn, keys[0], &some, 1000000 - i, 0, done));
    }
    streams_commit(f);
    streams_begin(f);
    assert_ok(oxbow_hash_delete(f->txn, keys[0], names, FEW, &n));
    assert_int_equal(n, FEW);
    assert_ok(oxbow_hash_timed(f->txn, keys[0], &n));
    assert_int_equal(n, 5);
    streams_commit(f);
    streams_begin(f);
    free(done);
    free(texts);
    free(names);
}

/* What a salvage does when records are lost, and what idle work makes of it. */
static void lost_deadlines_are_put_in_order_again(void **state)
{
    struct streams *f = *state;
    uint8_t low[KV_KEY_MAX];
    uint8_t high[KV_KEY_MAX];
    struct table t;
    bool more = true;
    uint64_t n;

    many(f, 0, 1000, 5000);
    many(f, 1000, 1100, 0);
    assert_ok(table_find(f->txn, keys[0], OXBOW_TYPE_HASH, &t));
    assert_ok(kv_del_range(
        f->txn, (struct oxbow_bytes){low, object_key(low, t.object.id, BTREE_TIMES, NULL, 0)},
        (struct oxbow_bytes){high, object_key(high, t.object.id, BTREE_TIMES + 2, NULL, 0)}, 10000,
        &more));
    assert_false(more);
    assert_ok(oxbow_hash_timed(f->txn, keys[0], &n));
    assert_int_equal(n, 0);
    assert_ok(catalog_due_mend(f->txn, keys[0], t.object.id, true));
    streams_commit(f);
    streams_begin(f);
    for (more = true; more;) {
        more = false;
        assert_ok(table_time_step(f->txn, &more));
    }
    assert_ok(table_find(f->txn, keys[0], OXBOW_TYPE_HASH, &t));
    assert_ok(table_times(&t));
    assert_int_equal(t.times.count, 1000);
    trees_check(&t);
    txn_clock_raise(f->txn, txn_clock_ms(f->txn) + 5000);
    for (more = true; more;) {
        more = false;
        assert_ok(table_time_step(f->txn, &more));
    }
    assert_ok(oxbow_hash_count(f->txn, keys[0], &n));
    assert_int_equal(n, 100);
}

static void a_lost_place_comes_back_and_one_too_many_goes(void **state)
{
    struct streams *f = *state;
    struct object_due want;
    struct table t;
    bool more = true;

    many(f, 0, 10, 5000);
    assert_ok(table_find(f->txn, keys[0], OXBOW_TYPE_HASH, &t));
    assert_ok(kv_del_range(f->txn, (struct oxbow_bytes){"\x30h", 2},
                           (struct oxbow_bytes){"\x30i", 2}, 10, &more));
    assert_int_equal(places(f->txn), 0);
    assert_ok(catalog_due_mend(f->txn, keys[0], t.object.id, false));
    assert_int_equal(places(f->txn), 1);
    assert_ok(catalog_due_get(f->txn, t.object.id, &want));
    want.due = 1; /* too early: it is looked at, and waits for its time again */
    assert_ok(catalog_due_put(f->txn, keys[0], &want));
    for (more = true; more;) {
        more = false;
        assert_ok(table_time_step(f->txn, &more));
    }
    assert_ok(table_find(f->txn, keys[0], OXBOW_TYPE_HASH, &t));
    trees_check(&t);
    assert_int_equal(t.times.count, 10);
    assert_ok(catalog_due_get(f->txn, t.object.id, &want));
    assert_true(want.due > 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
    const struct CMUnitTest tests[] = {
        TEST(both_trees_agree_whatever_is_done),
        TEST(nothing_is_left_of_hashes_that_went_otherwise),
        TEST(a_hundred_thousand_fields_go_in_bounded_steps),
        TEST(what_is_deleted_together_fits_a_transaction),
        TEST(lost_deadlines_are_put_in_order_again),
        TEST(a_lost_place_comes_back_and_one_too_many_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
