/* SPDX-License-Identifier: Apache-2.0 */
/* Many random sets combined, against bits of numbers; with members that are blobs. */
#include "engine/keyval/combine.h"

#include "tests/keyval/set_fixture.h"

#define SETS    5u
#define MEMBERS 400u

static char text[100000];

/* Every 100th is too long for a record. */
static struct oxbow_bytes member_of(unsigned i)
{
    int n = snprintf(text, sizeof text, "%03u", i);

    memset(text + n, 'x', sizeof text - (size_t)n);
    return (struct oxbow_bytes){text, i % 100 == 7 ? sizeof text - 3 : (size_t)n};
}

struct seen {
    bool at[MEMBERS];
    uint64_t n;
};

static enum oxbow_err note(void *ctx, struct oxbow_bytes member, double score)
{
    struct seen *seen = ctx;
    const char *p = member.data;
    unsigned i = (unsigned)((p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0'));

    assert_true(i < MEMBERS);
    assert_int_equal(member.len, member_of(i).len);
    assert_false(seen->at[i]);
    assert_true(score >= 1);
    seen->at[i] = true;
    seen->n++;
    return OXBOW_OK;
}

static void random_sets_are_combined_as_their_bits_say(void **state)
{
    static bool in[SETS][MEMBERS];
    struct streams *f = *state;
    uint64_t rng = rig_seed("combine");

    for (unsigned s = 0; s < SETS; s++) {
        for (unsigned i = 0; i < MEMBERS; i++) {
            struct oxbow_bytes member = member_of(i);

            in[s][i] = rig_random(&rng) % 10 < 2 * s + 1;
            if (in[s][i]) {
                assert_ok(
                    oxbow_set_add(f->txn, (struct oxbow_bytes){&"01234"[s], 1}, &member, 1, NULL));
            }
        }
    }
    for (unsigned round = 0; round < 60; round++) {
        struct oxbow_bytes keys[4];
        unsigned of[4];
        unsigned count = 1 + (unsigned)(rig_random(&rng) % 4);
        struct sources src = {.op = (enum combine_op)(round % 3)};
        struct seen seen = {.n = 0};
        uint64_t limited;
        uint64_t want = 0;

        for (unsigned k = 0; k < count; k++) {
            of[k] = (unsigned)(rig_random(&rng) % SETS);
            keys[k] = (struct oxbow_bytes){&"01234"[of[k]], 1};
        }
        assert_ok(sources_open(&src, f->txn, keys, count, NULL, true));
        assert_ok(sources_walk(&src, note, &seen));
        for (unsigned i = 0; i < MEMBERS; i++) {
            bool all = true;
            bool any = false;
            bool others = false;

            for (unsigned k = 0; k < count; k++) {
                all = all && in[of[k]][i];
                any = any || in[of[k]][i];
                others = others || (k > 0 && in[of[k]][i]);
            }
            all = round % 3 == 0 ? all : round % 3 == 1 ? any : in[of[0]][i] && !others;
            assert_int_equal(seen.at[i], all);
            want += all;
        }
        assert_ok(sources_count(&src, 5, &limited));
        assert_int_equal(limited, want < 5 ? want : 5);
        sources_close(&src);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(random_sets_are_combined_as_their_bits_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
