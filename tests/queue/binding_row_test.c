/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of bindings: levels, types and removal, against random graphs and a plain search. */
#include "tests/queue/binding_fixture.h"

#define NODES 14u

/* What leads where, as the test knows it. */
struct graph {
    uint32_t id[NODES][NODES]; /* of a binding; 0: none */
};

static const char *name_of(unsigned n)
{
    static char names[NODES][8];

    snprintf(names[n], sizeof names[n], "n%u", n % 100);
    return names[n];
}

/* The most bindings in a row anywhere; NODES or more: there is a circle. */
static unsigned longest(const struct graph *g)
{
    unsigned level[NODES] = {0};
    unsigned most = 0;

    for (unsigned round = 0; round <= NODES; round++) {
        for (unsigned a = 0; a < NODES; a++) {
            for (unsigned b = 0; b < NODES; b++) {
                if (g->id[a][b] != 0 && level[b] < level[a] + 1) {
                    level[b] = level[a] + 1;
                    most = level[b] > most ? level[b] : most;
                }
            }
        }
    }
    return most;
}

static void what_is_refused_is_what_would_go_round_or_too_far(void **state)
{
    struct streams *f = *state;
    uint64_t seed = rig_seed("binding_row_test");
    unsigned refused = 0, made = 0, removed = 0;
    struct graph g = {{{0}}};

    for (unsigned i = 0; i < 4000; i++) {
        unsigned a = (unsigned)(rig_random(&seed) % NODES);
        unsigned b = (unsigned)(rig_random(&seed) % NODES);
        const struct oxbow_binding lead = from_to(name_of(a), name_of(b));
        uint32_t id = 0;
        enum oxbow_err err;

        if (g.id[a][b] != 0) {
            if (rig_random(&seed) % 3 == 0) {
                assert_ok(oxbow_unbind(f->txn, g.id[a][b]));
                g.id[a][b] = 0;
                removed++;
            }
            continue;
        }
        err = oxbow_bind(f->txn, &lead, &id);
        g.id[a][b] = UINT32_MAX;
        if (longest(&g) > OXBOW_BINDING_DEPTH_MAX) {
            assert_true(err == OXBOW_ECYCLE || err == OXBOW_EDEPTH);
            g.id[a][b] = 0;
            refused++;
        } else {
            assert_ok(err);
            g.id[a][b] = id;
            made++;
        }
        if (i % 500 == 499) {
            streams_reopen(f);
        }
    }
    assert_true(refused > 100 && made > 100 && removed > 50);
}

static void a_row_that_is_removed_is_found_no_more(void **state)
{
    struct streams *f = *state;
    uint32_t a = bind_all(f, "s", "a"), b = bind_topic(f, "s", "b", "x"), c = bind_all(f, "s", "c");
    struct binding_table *t;

    assert_ok(oxbow_unbind(f->txn, b));
    assert_ok(binding_table_get(f->txn, &t));
    assert_int_equal(binding_row_from(t, a)->id, a);
    assert_int_equal(binding_row_from(t, b)->id, c);
    assert_null(binding_row_from(t, c + 1));
    assert_ok(route_one(f, "s", "x", "1"));
    assert_numbers(f, "b", "");
    assert_ok(oxbow_unbind(f->txn, c));
    assert_ok(route_one(f, "s", "x", "2"));
    assert_numbers(f, "a", "1 2");
    assert_numbers(f, "c", "1");
}

/* So many that the table is made anew. */
static void removed_rows_do_not_take_room_for_ever(void **state)
{
    struct streams *f = *state;
    struct binding_table *t;

    for (unsigned i = 0; i < 9000; i++) {
        assert_ok(oxbow_unbind(f->txn, bind_all(f, "s", "d")));
        if (i % 1000 == 0) {
            streams_commit(f);
            streams_begin(f);
        }
    }
    assert_ok(binding_table_get(f->txn, &t));
    assert_true(t->row_count < 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_refused_is_what_would_go_round_or_too_far),
        TEST(a_row_that_is_removed_is_found_no_more),
        TEST(removed_rows_do_not_take_room_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
