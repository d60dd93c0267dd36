/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/fixture.h"

#include "engine/base/scan.h"
#include "engine/store/catalog.h"
#include "tests/support/fault.h"

#include <stdlib.h>
#include <time.h>

static enum oxbow_err count_one(void *ctx, struct oxbow_bytes name, const struct object *o)
{
    (void)name;
    assert_true(o->id > 0);
    ++*(size_t *)ctx;
    return OXBOW_OK;
}

static void make(struct fixture *f, const char *name, enum oxbow_type type, struct object *o)
{
    bool made;

    assert_ok(catalog_open(f->txn, bytes_of(name), type, o, &made));
}

/* Keys in [space, space + 1). */
static size_t keys_in(struct oxbow *db, uint8_t space)
{
    struct oxbow_bytes from = {&space, 1};
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct oxbow_txn *txn;
    struct kv_cursor c;
    size_t n = 0;
    enum oxbow_err err;

    assert_ok(oxbow_txn_begin(db, NULL, &txn));
    assert_ok(kv_cursor_init(&c, txn));
    err = kv_cursor_seek(&c, from, &key, &value);
    while (err == OXBOW_OK && *(const uint8_t *)key.data == space) {
        n++;
        err = kv_cursor_next(&c, &key, &value);
    }
    kv_cursor_fini(&c);
    oxbow_txn_abort(txn);
    return n;
}

static void wait_until_reaped(struct fixture *f)
{
    struct timespec t = {0, 5000000};

    for (int i = 0;
         i < 12000 && (keys_in(f->db, KV_SPACE_REAP) > 0 || keys_in(f->db, KV_SPACE_BLOB) > 0);
         i++) {
        nanosleep(&t, NULL);
    }
    assert_int_equal(keys_in(f->db, KV_SPACE_REAP), 0);
    assert_int_equal(keys_in(f->db, KV_SPACE_OBJECT), 0);
    assert_int_equal(keys_in(f->db, KV_SPACE_BLOB), 0);
}

static void a_name_is_found_only_after_it_was_made(void **state)
{
    struct fixture *f = *state;
    struct object o;
    struct object again;
    bool made;

    assert_err(catalog_find(f->txn, bytes_of("a"), &o), OXBOW_ENOENT);
    assert_ok(catalog_open(f->txn, bytes_of("a"), OXBOW_TYPE_LIST, &o, &made));
    assert_true(made);
    assert_ok(catalog_open(f->txn, bytes_of("a"), OXBOW_TYPE_LIST, &again, &made));
    assert_false(made);
    assert_int_equal(o.id, again.id);
    assert_int_equal(o.tag, again.tag);
    assert_ok(catalog_find_typed(f->txn, bytes_of("a"), OXBOW_TYPE_LIST, &again));
    assert_err(catalog_find_typed(f->txn, bytes_of("a"), OXBOW_TYPE_STREAM, &again),
               OXBOW_EWRONGTYPE);
    assert_err(catalog_open(f->txn, bytes_of("a"), OXBOW_TYPE_STREAM, &again, &made),
               OXBOW_EWRONGTYPE);
    assert_err(catalog_remove(f->txn, bytes_of("b")), OXBOW_ENOENT);
    assert_ok(catalog_remove(f->txn, bytes_of("a")));
    assert_err(catalog_find(f->txn, bytes_of("a"), &o), OXBOW_ENOENT);
}

static void an_id_is_never_used_twice(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0;

    for (int i = 0; i < 20; i++) {
        struct object o;

        make(f, i % 2 == 0 ? "a" : "b", OXBOW_TYPE_LIST, &o);
        assert_true(o.id > last);
        last = o.id;
        assert_ok(catalog_remove(f->txn, bytes_of(i % 2 == 0 ? "a" : "b")));
        if (i % 5 == 0) {
            fixture_commit(f);
            fixture_reopen(f);
            fixture_begin(f);
        }
    }
}

static void names_are_any_bytes_up_to_their_limit(void **state)
{
    struct fixture *f = *state;
    char *name = malloc(OXBOW_KEY_NAME_MAX + 1);
    struct oxbow_bytes at_limit = {name, OXBOW_KEY_NAME_MAX};
    struct oxbow_bytes below = {name, OXBOW_KEY_NAME_MAX - 1};
    struct oxbow_bytes above = {name, OXBOW_KEY_NAME_MAX + 1};
    struct oxbow_bytes zeros = {"\0\0", 2};
    struct object o;
    struct object found;
    bool made;

    memset(name, 'n', OXBOW_KEY_NAME_MAX + 1);
    assert_ok(catalog_open(f->txn, at_limit, OXBOW_TYPE_LIST, &o, &made));
    assert_ok(catalog_open(f->txn, below, OXBOW_TYPE_LIST, &found, &made));
    assert_true(made && found.id != o.id);
    assert_err(catalog_open(f->txn, above, OXBOW_TYPE_LIST, &found, &made), OXBOW_ETOOBIG);
    assert_err(catalog_rename(f->txn, at_limit, above, false, &found), OXBOW_ETOOBIG);
    assert_err(catalog_find(f->txn, above, &found), OXBOW_ENOENT);
    assert_ok(catalog_open(f->txn, (struct oxbow_bytes){NULL, 0}, OXBOW_TYPE_LIST, &found, &made));
    assert_true(made);
    assert_ok(catalog_open(f->txn, zeros, OXBOW_TYPE_LIST, &found, &made));
    assert_true(made);
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    assert_ok(catalog_find(f->txn, at_limit, &found));
    assert_int_equal(found.id, o.id);
    assert_ok(catalog_remove(f->txn, at_limit));
    assert_ok(catalog_find(f->txn, below, &found));
    free(name);
}

static void an_abort_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    struct object o;
    uint64_t count;

    make(f, "a", OXBOW_TYPE_LIST, &o);
    fixture_commit(f);
    fixture_begin(f);
    assert_ok(catalog_remove(f->txn, bytes_of("a")));
    make(f, "b", OXBOW_TYPE_LIST, &o);
    assert_ok(catalog_rename(f->txn, bytes_of("b"), bytes_of("c"), false, &o));
    make(f, "d", OXBOW_TYPE_LIST, &o); /* remembered for having been made */
    fixture_abort(f);
    fixture_begin(f);
    assert_ok(catalog_find(f->txn, bytes_of("a"), &o));
    assert_err(catalog_find(f->txn, bytes_of("b"), &o), OXBOW_ENOENT);
    assert_err(catalog_find(f->txn, bytes_of("c"), &o), OXBOW_ENOENT);
    assert_err(catalog_find(f->txn, bytes_of("d"), &o), OXBOW_ENOENT);
    assert_ok(catalog_count(f->txn, &count));
    assert_int_equal(count, 1);
}

static void rename_gives_the_object_another_name(void **state)
{
    struct fixture *f = *state;
    struct object a;
    struct object b;
    struct object o;

    make(f, "a", OXBOW_TYPE_LIST, &a);
    make(f, "b", OXBOW_TYPE_STREAM, &b);
    assert_err(catalog_rename(f->txn, bytes_of("x"), bytes_of("y"), false, &o), OXBOW_ENOENT);
    assert_err(catalog_rename(f->txn, bytes_of("a"), bytes_of("b"), true, &o), OXBOW_EEXIST);
    assert_err(catalog_rename(f->txn, bytes_of("a"), bytes_of("a"), true, &o), OXBOW_EEXIST);
    assert_ok(catalog_rename(f->txn, bytes_of("a"), bytes_of("a"), false, &o));
    assert_int_equal(o.id, a.id);
    assert_ok(catalog_rename(f->txn, bytes_of("a"), bytes_of("b"), false, &o));
    assert_int_equal(o.id, a.id);
    assert_int_equal(o.tag, b.tag); /* who waits for "b" waits for this */
    assert_err(catalog_find(f->txn, bytes_of("a"), &o), OXBOW_ENOENT);
    assert_ok(catalog_find_typed(f->txn, bytes_of("b"), OXBOW_TYPE_LIST, &o));
    assert_ok(catalog_rename(f->txn, bytes_of("b"), bytes_of("c"), true, &o));
    assert_int_equal(o.type, OXBOW_TYPE_LIST);
}

static void databases_are_apart_until_they_are_swapped(void **state)
{
    struct fixture *f = *state;
    struct object o;
    struct object five;
    uint64_t tag;
    uint64_t count;

    make(f, "a", OXBOW_TYPE_LIST, &o);
    assert_ok(oxbow_txn_select(f->txn, 5));
    assert_err(catalog_find(f->txn, bytes_of("a"), &five), OXBOW_ENOENT);
    make(f, "a", OXBOW_TYPE_STREAM, &five);
    make(f, "b", OXBOW_TYPE_STREAM, &five);
    assert_ok(catalog_tag(f->txn, bytes_of("a"), &tag));
    assert_int_not_equal(tag, o.tag);
    assert_ok(catalog_swap(f->txn, 0, 5));
    assert_ok(catalog_find_typed(f->txn, bytes_of("a"), OXBOW_TYPE_LIST, &five));
    assert_int_equal(five.id, o.id);
    assert_ok(catalog_count(f->txn, &count));
    assert_int_equal(count, 1);
    assert_ok(catalog_swap(f->txn, 5, 9)); /* with one that has nothing */
    assert_ok(catalog_count(f->txn, &count));
    assert_int_equal(count, 0);
    assert_ok(catalog_swap(f->txn, 9, 9));
    assert_err(catalog_swap(f->txn, 0, CATALOG_DATABASES), OXBOW_ENODB);
    assert_ok(oxbow_txn_select(f->txn, CATALOG_DATABASES - 1));
    assert_ok(catalog_count(f->txn, &count));
    assert_int_equal(count, 0);
}

static void flush_forgets_everything_in_its_database_alone(void **state)
{
    struct fixture *f = *state;
    struct object o;
    uint64_t count;
    uint64_t cursor = 0;
    size_t seen = 0;

    assert_ok(catalog_flush(f->txn));
    for (int i = 0; i < 200; i++) {
        char name[24];

        snprintf(name, sizeof(name), "n%d", i);
        make(f, name, OXBOW_TYPE_LIST, &o);
    }
    assert_ok(oxbow_txn_select(f->txn, 1));
    make(f, "other", OXBOW_TYPE_LIST, &o);
    assert_ok(oxbow_txn_select(f->txn, 0));
    assert_ok(catalog_flush(f->txn));
    assert_ok(catalog_count(f->txn, &count));
    assert_int_equal(count, 0);
    assert_ok(catalog_scan(f->txn, &cursor, 1000, count_one, &seen));
    assert_int_equal(seen, 0);
    assert_err(catalog_find(f->txn, bytes_of("n7"), &o), OXBOW_ENOENT);
    make(f, "n7", OXBOW_TYPE_LIST, &o); /* and is as good as new */
    assert_ok(catalog_count(f->txn, &count));
    assert_int_equal(count, 1);
    assert_ok(oxbow_txn_select(f->txn, 1));
    assert_ok(catalog_find(f->txn, bytes_of("other"), &o));
    assert_ok(oxbow_txn_select(f->txn, 0));
    assert_ok(catalog_flush(f->txn));
    assert_ok(oxbow_txn_select(f->txn, 1));
    assert_ok(catalog_flush(f->txn));
    fixture_commit(f);
    wait_until_reaped(f);
    assert_int_equal(keys_in(f->db, KV_SPACE_CATALOG), 1); /* the header */
}

/* ---- random, with few hash bits so that names collide ---- */

enum { NAMES = 60, OPS = 4000 };

struct model {
    uint64_t id[NAMES]; /* 0: not there */
};

static const char *name_of(size_t i)
{
    static char name[200];

    /* Some are long, so that records of colliding names are moved through the allocator. */
    snprintf(name, sizeof(name), "%s%zu",
             i % 5 == 0 ? "a name that is a good deal longer than "
                          "what fits the short form of a record, "
                          "which is why it goes on for so long: "
                        : "name-",
             i);
    return name;
}

static void check_model(struct fixture *f, const struct model *m)
{
    uint64_t count;
    size_t there = 0;

    for (size_t i = 0; i < NAMES; i++) {
        struct object o;
        enum oxbow_err err = catalog_find(f->txn, bytes_of(name_of(i)), &o);

        assert_err(err, m->id[i] == 0 ? OXBOW_ENOENT : OXBOW_OK);
        if (err == OXBOW_OK) {
            assert_int_equal(o.id, m->id[i]);
            there++;
        }
    }
    assert_ok(catalog_count(f->txn, &count));
    assert_int_equal(count, there);
}

static void random_step(struct fixture *f, struct model *m, uint64_t *rng)
{
    size_t i = fixture_random(rng) % NAMES;
    size_t j = fixture_random(rng) % NAMES;
    struct object o;
    char from[200];
    bool made;
    enum oxbow_err err;

    switch (fixture_random(rng) % 8) {
    case 0:
    case 1:
    case 2:
    case 3:
        assert_ok(catalog_open(f->txn, bytes_of(name_of(i)), OXBOW_TYPE_LIST, &o, &made));
        assert_int_equal(made, m->id[i] == 0);
        m->id[i] = o.id;
        break;
    case 4:
    case 5:
        err = catalog_remove(f->txn, bytes_of(name_of(i)));
        assert_err(err, m->id[i] == 0 ? OXBOW_ENOENT : OXBOW_OK);
        m->id[i] = 0;
        break;
    case 6:
        snprintf(from, sizeof(from), "%s", name_of(i));
        err = catalog_rename(f->txn, bytes_of(from), bytes_of(name_of(j)), false, &o);
        assert_err(err, m->id[i] == 0 ? OXBOW_ENOENT : OXBOW_OK);
        if (err == OXBOW_OK && i != j) {
            m->id[j] = m->id[i];
            m->id[i] = 0;
        }
        break;
    default:
        if (fixture_random(rng) % 40 == 0) {
            assert_ok(catalog_flush(f->txn));
            memset(m, 0, sizeof(*m));
        }
    }
}

static void run_random(unsigned bits)
{
    struct fixture f;
    struct model live = {{0}};
    struct model saved;
    uint64_t rng = fixture_seed();

    fixture_init(&f, NULL);
    catalog_hash_bits(f.db, bits);
    for (unsigned n = 0; n < OPS; n += 20) {
        fixture_begin(&f);
        saved = live;
        for (unsigned k = 0; k < 20; k++) {
            random_step(&f, &live, &rng);
        }
        check_model(&f, &live);
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
    assert_ok(catalog_flush(f.txn));
    fixture_commit(&f);
    wait_until_reaped(&f);
    fixture_fini(&f);
}

static void names_that_collide_are_told_apart(void **state)
{
    (void)state;
    run_random(0);
    run_random(2);
    run_random(64);
}

/* ---- what is remembered ---- */

#define NAMES_MANY 4000u

static struct oxbow_bytes many_name(unsigned i, char out[16])
{
    snprintf(out, 16, "name-%u", i);
    return bytes_of(out);
}

static void make_many(struct fixture *f, uint64_t ids[NAMES_MANY])
{
    struct object o;
    char name[16];

    for (unsigned i = 0; i < NAMES_MANY; i++) {
        if (i % 500 == 0) {
            fixture_begin(f);
        }
        (void)many_name(i, name);
        make(f, name, OXBOW_TYPE_LIST, &o);
        ids[i] = o.id;
        if (i % 500 == 499) {
            fixture_commit(f);
        }
    }
}

/* What a store has allocated once it has as many names. */
static int64_t bytes_with_many(uint32_t names_max)
{
    static uint64_t ids[NAMES_MANY];
    struct fixture f;
    struct fault fault;
    int64_t bytes;

    fault_init(&fault, oxbow_port_default());
    fixture_init(&f, &(struct oxbow_config){.port = &fault.port,
                                            .sync = OXBOW_SYNC_INTERVAL,
                                            .journal = OXBOW_JOURNAL_OFF,
                                            .names_max = names_max});
    make_many(&f, ids);
    bytes = fault.live_bytes;
    fixture_fini(&f);
    assert_int_equal(fault.live_bytes, 0);
    return bytes;
}

/* Of 64 bytes each; a table grows by a factor of four, and never beyond its bound. */
static void names_max_bounds_what_is_remembered(void **state)
{
    int64_t least = bytes_with_many(32);

    (void)state;
    assert_int_equal(bytes_with_many(127), least);
    assert_int_equal(bytes_with_many(128) - least, (128 - 32) * 64);
    assert_int_equal(bytes_with_many(0) - least, (2048 - 32) * 64);
    assert_int_equal(bytes_with_many(8191) - least, (2048 - 32) * 64);
    assert_int_equal(bytes_with_many(8192) - least, (8192 - 32) * 64);
}

/* Whether name i is what it was before everything that was taken back. */
static void all_are_as_made(struct fixture *f, const uint64_t ids[NAMES_MANY])
{
    struct object o;
    char name[16];

    for (unsigned i = 0; i < NAMES_MANY; i++) {
        assert_ok(catalog_find(f->txn, many_name(i, name), &o));
        assert_int_equal(o.id, ids[i]);
    }
}

static void what_an_abort_takes_back_is_forgotten_by_a_large_table_too(void **state)
{
    static uint64_t ids[NAMES_MANY];
    struct fixture f;
    struct object o;
    char name[16];

    (void)state;
    fixture_init(&f, &(struct oxbow_config){.sync = OXBOW_SYNC_INTERVAL, .names_max = 1u << 15});
    make_many(&f, ids);
    for (unsigned round = 0; round < 3; round++) {
        fixture_begin(&f);
        all_are_as_made(&f, ids);
        for (unsigned i = round; i < NAMES_MANY; i += 7) {
            assert_ok(catalog_remove(f.txn, many_name(i, name)));
            if (i % 2 == 0) {
                make(&f, name, OXBOW_TYPE_STREAM, &o);
            }
        }
        make(&f, "new", OXBOW_TYPE_LIST, &o);
        fixture_abort(&f);
        fixture_begin(&f);
        assert_err(catalog_find(f.txn, bytes_of("new"), &o), OXBOW_ENOENT);
        all_are_as_made(&f, ids);
        fixture_commit(&f);
    }
    fixture_fini(&f);
}

/* ---- scan ---- */

struct seen {
    bool stable[50];
};

static enum oxbow_err note_one(void *ctx, struct oxbow_bytes name, const struct object *o)
{
    struct seen *s = ctx;
    unsigned i;

    (void)o;
    if (sscanf((const char *)name.data, "s%02u", &i) == 1) {
        assert_true(i < 50);
        s->stable[i] = true;
    }
    return OXBOW_OK;
}

static void run_scan(unsigned bits, uint64_t *rng)
{
    struct fixture f;
    struct seen seen;
    struct object o;
    char name[24];
    uint64_t cursor = 0;
    size_t beyond = 0;
    unsigned calls = 0;

    fixture_init(&f, NULL);
    catalog_hash_bits(f.db, bits);
    fixture_begin(&f);
    for (unsigned i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "s%02u", i);
        make(&f, name, OXBOW_TYPE_LIST, &o);
    }
    memset(&seen, 0, sizeof(seen));
    do {
        assert_ok(catalog_scan(f.txn, &cursor, 1 + fixture_random(rng) % 5, note_one, &seen));
        assert_true(cursor <= SCAN_CURSOR_MAX);
        for (unsigned k = 0; k < 5; k++) {
            snprintf(name, sizeof(name), "x%u", (unsigned)(fixture_random(rng) % 100));
            if (fixture_random(rng) % 2 == 0) {
                make(&f, name, OXBOW_TYPE_LIST, &o);
            } else if (catalog_remove(f.txn, bytes_of(name)) != OXBOW_OK) {
                continue;
            }
        }
        assert_true(++calls < 1000);
    } while (cursor != 0);
    for (unsigned i = 0; i < 50; i++) {
        assert_true(seen.stable[i]);
    }
    cursor = SCAN_CURSOR_MAX + 1; /* there is nothing beyond */
    assert_ok(catalog_scan(f.txn, &cursor, 10, count_one, &beyond));
    assert_true(cursor == 0 && beyond == 0);
    fixture_fini(&f);
}

static void a_scan_gives_all_that_stays_whatever_else_changes(void **state)
{
    uint64_t rng = fixture_seed();

    (void)state;
    run_scan(64, &rng);
    run_scan(3, &rng);
    run_scan(0, &rng);
}

static void scan_steps_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct object o;
    uint64_t cursor = 0;
    unsigned calls = 0;
    size_t all = 0;

    for (int i = 0; i < 100; i++) {
        make(f, name_of((size_t)i), OXBOW_TYPE_LIST, &o);
    }
    do {
        size_t n = 0;

        assert_ok(catalog_scan(f->txn, &cursor, 7, count_one, &n));
        assert_true(n <= 7);
        all += n;
        calls++;
    } while (cursor != 0);
    assert_int_equal(all, 100);
    assert_int_equal(calls, 15);
}

/* ---- reaping ---- */

static void fill(struct fixture *f, const char *name, unsigned keys)
{
    static uint8_t big[200000];
    uint8_t key[KV_KEY_MAX];
    uint8_t value[2000] = {0};
    struct object o;
    uint64_t blob;

    make(f, name, OXBOW_TYPE_LIST, &o);
    for (unsigned i = 0; i < keys; i++) {
        size_t len = object_key(key, o.id, OBJECT_KIND_TYPE, &i, sizeof(i));

        assert_ok(kv_put(f->txn, (struct oxbow_bytes){key, len},
                         (struct oxbow_bytes){value, sizeof(value)}));
    }
    for (unsigned i = 0; i < 20; i++) {
        assert_ok(object_blob_write(f->txn, o.id, (struct oxbow_bytes){big, sizeof(big)}, &blob));
    }
}

static void what_a_name_leaves_behind_is_reaped(void **state)
{
    struct fixture *f = *state;

    fill(f, "a", 1500);
    fill(f, "b", 3);
    fixture_commit(f);
    fixture_begin(f);
    assert_ok(catalog_remove(f->txn, bytes_of("a")));
    fixture_commit(f);
    fixture_begin(f);
    assert_ok(catalog_flush(f->txn));
    fixture_commit(f);
    wait_until_reaped(f);
}

static void reaping_goes_on_after_a_reopen(void **state)
{
    struct fixture *f = *state;

    fill(f, "a", 2000);
    fixture_commit(f);
    fixture_begin(f);
    assert_ok(catalog_remove(f->txn, bytes_of("a")));
    fixture_commit(f);
    fixture_reopen(f);
    wait_until_reaped(f);
}

static void a_step_of_reaping_is_bounded(void **state)
{
    struct fixture *f = *state;
    bool more = true;
    unsigned steps = 0;

    fill(f, "a", 1500);
    assert_ok(catalog_remove(f->txn, bytes_of("a")));
    while (more) {
        assert_ok(catalog_reap(f->txn, &more));
        steps++;
    }
    assert_true(steps >= 1500 / 512 + 20 / 8);
    assert_true(steps < 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_is_found_only_after_it_was_made),
        TEST(an_id_is_never_used_twice),
        TEST(names_are_any_bytes_up_to_their_limit),
        TEST(an_abort_leaves_no_trace),
        TEST(rename_gives_the_object_another_name),
        TEST(databases_are_apart_until_they_are_swapped),
        TEST(flush_forgets_everything_in_its_database_alone),
        cmocka_unit_test(names_that_collide_are_told_apart),
        cmocka_unit_test(names_max_bounds_what_is_remembered),
        cmocka_unit_test(what_an_abort_takes_back_is_forgotten_by_a_large_table_too),
        cmocka_unit_test(a_scan_gives_all_that_stays_whatever_else_changes),
        TEST(scan_steps_are_bounded),
        TEST(what_a_name_leaves_behind_is_reaped),
        TEST(reaping_goes_on_after_a_reopen),
        TEST(a_step_of_reaping_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
