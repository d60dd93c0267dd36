/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines of names against a model, with names that collide; and that a deadline and its place in the
 * order of time come and go together. */
#include "tests/queue/fixture.h"

#include "engine/store/catalog_record.h"

#include <stdlib.h>

enum { NAMES = 40, ROUNDS = 300, STEPS = 12, FAR = 1000000000 };

struct model {
    uint64_t id[NAMES]; /* 0: not there */
    bool timed[NAMES];
};

static const char *name_of(size_t i)
{
    static char name[200];

    snprintf(name, sizeof name, "%s%zu",
             i % 4 == 0
                 ? "a name that is longer than what the memory of names takes, and so is looked "
                   "for each time that it is wanted, however often that may be in all: "
             : i % 4 == 1 ? "one that is just between both limits: 01"
                          : "name-",
             i);
    return name;
}

static enum oxbow_err nothing(struct oxbow_txn *txn, struct oxbow_bytes name)
{
    (void)txn;
    (void)name;
    return OXBOW_OK;
}

/* Places in the order of time. */
static size_t places(struct oxbow_txn *txn)
{
    static const uint8_t from[] = {KV_SPACE_EXPIRE, 'k'};
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct kv_cursor c;
    size_t n = 0;
    enum oxbow_err err;

    assert_ok(kv_cursor_init(&c, txn));
    err = kv_cursor_seek(&c, (struct oxbow_bytes){from, sizeof from}, &key, &value);
    while (err == OXBOW_OK && memcmp(key.data, from, sizeof from) == 0) {
        n++;
        err = kv_cursor_next(&c, &key, &value);
    }
    kv_cursor_fini(&c);
    return n;
}

static void check(struct fixture *f, const struct model *m)
{
    size_t timed = 0;

    for (size_t i = 0; i < NAMES; i++) {
        struct object o;
        uint64_t left;
        enum oxbow_err err = catalog_find(f->txn, bytes_of(name_of(i)), &o);

        assert_err(err, m->id[i] == 0 ? OXBOW_ENOENT : OXBOW_OK);
        if (err == OXBOW_OK) {
            assert_int_equal(o.id, m->id[i]);
            assert_int_equal(o.deadline != 0, m->timed[i]);
            assert_ok(catalog_ttl(f->txn, bytes_of(name_of(i)), &left));
            assert_int_equal(left != UINT64_MAX, m->timed[i]);
            timed += m->timed[i];
        }
    }
    assert_int_equal(places(f->txn), timed);
}

static void expire(struct fixture *f, struct model *m, size_t i, uint64_t ms)
{
    enum oxbow_err err = catalog_expire(f->txn, bytes_of(name_of(i)), ms);

    assert_err(err, m->id[i] == 0 ? OXBOW_ENOENT : OXBOW_OK);
    m->timed[i] = m->id[i] != 0;
}

static void random_step(struct fixture *f, struct model *m, uint64_t *rng)
{
    size_t i = fixture_random(rng) % NAMES;
    size_t j = fixture_random(rng) % NAMES;
    struct object o;
    char from[200];
    bool made;
    bool had;
    enum oxbow_err err;

    switch (fixture_random(rng) % 10) {
    case 0:
    case 1:
    case 2:
    case 3:
        assert_ok(catalog_open(f->txn, bytes_of(name_of(i)), OXBOW_TYPE_LIST, &o, &made));
        m->timed[i] = !made && m->timed[i];
        m->id[i] = o.id;
        break;
    case 4:
        err = catalog_remove(f->txn, bytes_of(name_of(i)));
        assert_err(err, m->id[i] == 0 ? OXBOW_ENOENT : OXBOW_OK);
        m->id[i] = 0;
        break;
    case 5:
        snprintf(from, sizeof from, "%s", name_of(i));
        err = catalog_rename(f->txn, bytes_of(from), bytes_of(name_of(j)), false, &o);
        assert_err(err, m->id[i] == 0 ? OXBOW_ENOENT : OXBOW_OK);
        if (err == OXBOW_OK && i != j) {
            m->id[j] = m->id[i];
            m->timed[j] = m->timed[i];
            m->id[i] = 0;
        }
        break;
    case 6:
        err = catalog_persist(f->txn, bytes_of(name_of(i)), &had);
        assert_err(err, m->id[i] == 0 ? OXBOW_ENOENT : OXBOW_OK);
        assert_true(err != OXBOW_OK || had == m->timed[i]);
        m->timed[i] = false;
        break;
    default:
        expire(f, m, i, FAR + fixture_random(rng) % 10);
    }
}

static void run_random(unsigned bits)
{
    struct fixture f;
    struct model live = {.id = {0}};
    struct model saved;
    uint64_t rng = fixture_seed();
    bool more = false;

    fixture_init(&f, NULL);
    catalog_hash_bits(f.db, bits);
    for (unsigned n = 0; n < ROUNDS; n++) {
        fixture_begin(&f);
        saved = live;
        for (unsigned k = 0; k < STEPS; k++) {
            random_step(&f, &live, &rng);
        }
        check(&f, &live);
        if (fixture_random(&rng) % 6 == 0) {
            fixture_abort(&f);
            live = saved;
        } else {
            fixture_commit(&f);
        }
        if (fixture_random(&rng) % 20 == 0) {
            fixture_reopen(&f);
            catalog_hash_bits(f.db, bits);
        }
    }
    fixture_begin(&f);
    assert_ok(catalog_expire_step(f.txn, 1000, nothing, &more)); /* nothing is due */
    assert_false(more);
    check(&f, &live);
    fixture_commit(&f);
    fixture_fini(&f);
}

static void deadlines_follow_their_names(void **state)
{
    (void)state;
    run_random(0);
    run_random(2);
    run_random(64);
}

static void a_flushed_database_leaves_no_places(void **state)
{
    struct fixture *f = *state;
    struct model m = {.id = {0}};
    size_t left = NAMES;
    struct object o;
    bool made;

    for (size_t i = 0; i < NAMES; i++) {
        assert_ok(catalog_open(f->txn, bytes_of(name_of(i)), OXBOW_TYPE_LIST, &o, &made));
        m.id[i] = o.id;
        expire(f, &m, i, FAR);
    }
    assert_ok(catalog_flush(f->txn));
    for (int i = 0; i < 100 && left > 0; i++) {
        bool more;

        assert_ok(catalog_reap(f->txn, &more));
        left = places(f->txn);
    }
    assert_int_equal(left, 0);
}

/* What a loss of either half leaves. */
static void a_place_without_a_name_goes_and_a_name_without_one_gets_it_again(void **state)
{
    struct fixture *f = *state;
    struct catalog_at at;
    struct catalog_at ghost;
    struct object o;
    bool made;
    bool gone;
    bool more = false;

    assert_ok(catalog_open(f->txn, bytes_of("a"), OXBOW_TYPE_LIST, &o, &made));
    assert_ok(catalog_expire(f->txn, bytes_of("a"), FAR));
    assert_ok(catalog_locate(f->txn, bytes_of("a"), &at));
    assert_ok(catalog_deadline_del(f->txn, &at));
    assert_int_equal(places(f->txn), 0);
    assert_ok(catalog_expire_mend(f->txn, bytes_of("a"), &gone));
    assert_false(gone);
    assert_int_equal(places(f->txn), 1);
    ghost = at;
    ghost.object.deadline = 1; /* of an object that has another */
    assert_ok(catalog_deadline_put(f->txn, &ghost));
    ghost.object.id += 7; /* and of one that is not there */
    assert_ok(catalog_deadline_put(f->txn, &ghost));
    ghost.database += 7;
    assert_ok(catalog_deadline_put(f->txn, &ghost));
    ghost.hash += 7;
    assert_ok(catalog_deadline_put(f->txn, &ghost));
    assert_ok(catalog_expire_step(f->txn, 10, nothing, &more));
    assert_int_equal(places(f->txn), 1);
    assert_ok(catalog_find(f->txn, bytes_of("a"), &o));
    assert_ok(catalog_expire_mend(f->txn, bytes_of("none"), &gone));
    assert_false(gone);
}

static void a_step_removes_at_most_so_many(void **state)
{
    struct fixture *f = *state;
    struct model m = {.id = {0}};
    struct object o;
    uint64_t count;
    bool made;
    bool more = false;

    for (size_t i = 0; i < 10; i++) {
        assert_ok(catalog_open(f->txn, bytes_of(name_of(i)), OXBOW_TYPE_LIST, &o, &made));
        m.id[i] = o.id;
        expire(f, &m, i, FAR);
    }
    txn_clock_raise(f->txn, txn_clock_ms(f->txn) + FAR);
    assert_err(catalog_find(f->txn, bytes_of(name_of(0)), &o), OXBOW_ENOENT);
    assert_ok(catalog_expire_step(f->txn, 4, nothing, &more));
    assert_true(more);
    assert_ok(catalog_count(f->txn, &count));
    assert_int_equal(count, 6);
    more = false;
    assert_ok(catalog_expire_step(f->txn, 7, nothing, &more));
    assert_false(more);
    assert_ok(catalog_count(f->txn, &count));
    assert_int_equal(count, 0);
    assert_int_equal(places(f->txn), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_follow_their_names),
        TEST(a_flushed_database_leaves_no_places),
        TEST(a_place_without_a_name_goes_and_a_name_without_one_gets_it_again),
        TEST(a_step_removes_at_most_so_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
