/* SPDX-License-Identifier: Apache-2.0 */
/* Values and topic patterns: which bindings take a field. */
#include "engine/queue/binding_index.h"

#include "engine/queue/binding.h"
#include "tests/queue/stream_fixture.h"
#include "tests/support/fault.h"

#include <time.h>

#define ROWS_MAX 12000u

struct hits {
    uint32_t count[ROWS_MAX];
    uint32_t total;
};

static void on_hit(void *ctx, uint32_t row)
{
    struct hits *h = ctx;

    assert_true(row < ROWS_MAX);
    h->count[row]++;
    h->total++;
}

static struct hits hits;

static void topics(struct binding_index *ix, uint32_t owner, const char *field, const char *value)
{
    const struct oxbow_field f = {text_bytes(field), text_bytes(value)};
    const struct binding_hit hit = {on_hit, &hits};

    memset(&hits, 0, sizeof hits);
    binding_index_match(ix, owner, &f, &hit);
}

static void topic(struct binding_index *ix, uint32_t owner, const char *pattern, uint32_t row)
{
    const struct oxbow_field f = {text_bytes("key"), text_bytes(pattern)};

    assert_ok(binding_index_topic(ix, owner, &f, row));
}

static bool fits(const char *pattern, const char *key)
{
    struct binding_index ix;
    bool fit;

    binding_index_init(&ix, &oxbow_port_default()->alloc);
    topic(&ix, 1, pattern, 5);
    topics(&ix, 1, "key", key);
    assert_true(hits.total == hits.count[5] && hits.total <= 1);
    fit = hits.count[5] == 1;
    binding_index_fini(&ix);
    return fit;
}

/* The examples of AMQP 0-9-1, 3.1.3.3, and the edges that brokers agree on. */
static void patterns_fit_as_in_amqp(void **state)
{
    static const struct {
        const char *pattern, *key;
        bool fit;
    } rows[] = {
        {"*.stock.#", "usd.stock", true},
        {"*.stock.#", "eur.stock.db", true},
        {"*.stock.#", "stock.nasdaq", false},
        {"order.#", "order", true},
        {"order.#", "order.created", true},
        {"order.#", "order.created.eu", true},
        {"order.#", "orders.created", false},
        {"*.created", "order.created", true},
        {"*.created", "created", false},
        {"*.created", "a.order.created", false},
        {"#", "", true},
        {"#", "a", true},
        {"#", "a.b.c", true},
        {"*", "", false},
        {"*", "a", true},
        {"*", "a.b", false},
        {"", "", true},
        {"", "a", false},
        {"a", "", false},
        {"#.#", "", true},
        {"#.#", "a.b", true},
        {"#.*", "", false},
        {"#.*", "a", true},
        {"*.#", "a.b.c", true},
        {"#.*.#", "a", true},
        {"#.*.#", "", false},
        {"a.#.b", "a.b", true},
        {"a.#.b", "a.x.b", true},
        {"a.#.b", "a.b.b.b", true},
        {"a.#.b", "a.b.c", false},
        {"a.#.*", "a", false},
        {"a.#.*", "a.b", true},
        {"*.*.*", "a.b.c", true},
        {"*.*.*", "a.b", false},
        {"a.*.c", "a..c", true}, /* a word without bytes is a word */
        {"a.*.c", "a.c", false},
        {"*.*", ".", true},
        {"a.", "a.", true},
        {"a.", "a", false},
        {"a.*", "a.", true},
        {"a*", "ab", false}, /* only a whole word is a sign */
        {"a*", "a*", true},
        {"a#.b", "a#.b", true},
        {"##", "a", false},
        {"##", "##", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (fits(rows[i].pattern, rows[i].key) != rows[i].fit) {
            fail_msg("%s %s %s", rows[i].pattern, rows[i].fit ? "does not fit" : "fits",
                     rows[i].key);
        }
    }
}

/* ---- against the definition ---- */

#define WORDS_MAX 12u

static size_t split(char *text, char *words[WORDS_MAX])
{
    size_t n = 0;

    if (text[0] == '\0') {
        return 0;
    }
    for (char *p = text;; p++) {
        if (n == 0 || p[-1] == '\0') {
            words[n++] = p;
        }
        if (*p == '\0') {
            return n;
        }
        if (*p == '.') {
            *p = '\0';
        }
    }
}

/* Word by word of both, by dynamic programming. */
static bool fits_by_definition(const char *pattern, const char *key)
{
    char a[64], b[64];
    char *p[WORDS_MAX], *k[WORDS_MAX];
    bool at[WORDS_MAX + 1][WORDS_MAX + 1] = {{false}};
    size_t pn, kn;

    assert_true(strlen(pattern) < sizeof a && strlen(key) < sizeof b);
    memcpy(a, pattern, strlen(pattern) + 1);
    memcpy(b, key, strlen(key) + 1);
    pn = split(a, p);
    kn = split(b, k);
    at[0][0] = true;
    for (size_t i = 1; i <= pn; i++) {
        bool sharp = strcmp(p[i - 1], "#") == 0;

        for (size_t j = 0; j <= kn; j++) {
            bool one = j > 0 && (strcmp(p[i - 1], "*") == 0 || strcmp(p[i - 1], k[j - 1]) == 0);

            at[i][j] = sharp ? at[i - 1][j] || (j > 0 && at[i][j - 1]) : one && at[i - 1][j - 1];
        }
    }
    return at[pn][kn];
}

static void draw_text(uint64_t *seed, bool pattern, char out[64])
{
    static const char *const words[] = {"a", "b", "", "#", "*", "#", "*"};
    size_t n = (size_t)(rig_random(seed) % 6);
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        const char *word = words[rig_random(seed) % (pattern ? 7 : 3)];

        len += (size_t)snprintf(out + len, 64 - len, "%s%s", i > 0 ? "." : "", word);
    }
}

static void many_patterns_at_once_fit_as_each_alone_by_definition(void **state)
{
    enum { PATTERNS = 60, KEYS = 300 };
    static char patterns[PATTERNS][64];
    uint64_t seed = rig_seed("binding_index_test");
    uint64_t found = 0;

    (void)state;
    for (int round = 0; round < 20; round++) {
        struct binding_index ix;
        char key[64];

        binding_index_init(&ix, &oxbow_port_default()->alloc);
        for (uint32_t i = 0; i < PATTERNS; i++) {
            draw_text(&seed, true, patterns[i]);
            topic(&ix, 7 + i % 2, patterns[i], i); /* of two owners */
        }
        for (int n = 0; n < KEYS; n++) {
            uint32_t owner = 7 + (uint32_t)n % 2;

            draw_text(&seed, false, key);
            topics(&ix, owner, "key", key);
            for (uint32_t i = 0; i < PATTERNS; i++) {
                bool want = 7 + i % 2 == owner && fits_by_definition(patterns[i], key);

                if (hits.count[i] != want) {
                    fail_msg("%s, %s: %u", patterns[i], key, (unsigned)hits.count[i]);
                }
                found += want;
            }
        }
        binding_index_fini(&ix);
    }
    assert_true(found > 10000);
}

/* What makes a matcher that tries one way after the other run for ever. */
static void a_pattern_of_many_signs_takes_no_longer_than_others(void **state)
{
    struct binding_index ix;
    char pattern[256], key[1024];
    size_t len = 0;
    clock_t begun = clock();

    (void)state;
    binding_index_init(&ix, &oxbow_port_default()->alloc);
    for (int i = 0; i < 60; i++) {
        len += (size_t)snprintf(pattern + len, sizeof pattern - len, "#.a.");
    }
    snprintf(pattern + len, sizeof pattern - len, "b");
    for (size_t i = 0; i < sizeof key - 1; i++) {
        key[i] = i % 2 == 0 ? 'a' : '.';
    }
    key[sizeof key - 1] = '\0';
    topic(&ix, 1, pattern, 1);
    for (int i = 0; i < 100; i++) {
        topics(&ix, 1, "key", key);
        assert_int_equal(hits.total, 0);
    }
    assert_true((clock() - begun) / CLOCKS_PER_SEC < 10);
    binding_index_fini(&ix);
}

static void ten_thousand_patterns_are_not_looked_at_one_by_one(void **state)
{
    struct binding_index ix;
    char text[64];
    clock_t begun;

    (void)state;
    binding_index_init(&ix, &oxbow_port_default()->alloc);
    for (uint32_t i = 0; i < 10000; i++) {
        snprintf(text, sizeof text, "site.%u.*.alarm", (unsigned)i);
        topic(&ix, 1, text, i);
    }
    begun = clock();
    for (uint32_t i = 0; i < 100000; i++) {
        const struct binding_hit hit = {on_hit, &hits};
        struct oxbow_field f = {.name = text_bytes("key")};

        snprintf(text, sizeof text, "site.%u.pump.alarm", (unsigned)(i % 10000));
        f.value = text_bytes(text);
        hits.total = 0;
        binding_index_match(&ix, 1, &f, &hit);
        assert_int_equal(hits.total, 1);
    }
    print_message("%.2f us each\n",
                  (double)(clock() - begun) * 1e6 / (double)CLOCKS_PER_SEC / 100000);
    /* One by one it would be 10,000 comparisons each, a hundred times as long. */
    assert_true((clock() - begun) / CLOCKS_PER_SEC < 5);
    binding_index_fini(&ix);
}

static void values_lead_to_their_bindings_alone(void **state)
{
    const struct binding_hit hit = {on_hit, &hits};
    struct binding_index ix;
    const struct oxbow_field eu = {text_bytes("region"), text_bytes("eu")};
    const struct oxbow_field cut = {text_bytes("regio"), text_bytes("neu")};
    const struct oxbow_field empty = {text_bytes("region"), text_bytes("")};
    const struct oxbow_field nameless = {{NULL, 0}, {NULL, 0}};
    static char big[BINDING_VALUE_MAX + 1];
    const struct oxbow_field longest = {text_bytes("f"), {big, BINDING_VALUE_MAX}};
    const struct oxbow_field longer = {text_bytes("f"), {big, sizeof big}};

    (void)state;
    binding_index_init(&ix, &oxbow_port_default()->alloc);
    memset(&hits, 0, sizeof hits);
    binding_index_find(&ix, 1, &eu, &hit); /* nothing is there yet */
    assert_ok(binding_index_value(&ix, 1, &nameless, 9));
    binding_index_find(&ix, 1, &nameless, &hit);
    assert_int_equal(hits.count[9], 1);
    assert_ok(binding_index_value(&ix, 1, &eu, 1));
    assert_ok(binding_index_value(&ix, 1, &eu, 2));
    assert_ok(binding_index_value(&ix, 2, &eu, 3));
    assert_ok(binding_index_value(&ix, 1, &empty, 4));
    memset(&hits, 0, sizeof hits);
    binding_index_find(&ix, 1, &eu, &hit);
    assert_true(hits.total == 2 && hits.count[1] == 1 && hits.count[2] == 1);
    binding_index_find(&ix, 1, &cut, &hit);
    binding_index_match(&ix, 1, &eu, &hit); /* no topic */
    assert_int_equal(hits.total, 2);
    binding_index_find(&ix, 2, &eu, &hit);
    binding_index_find(&ix, 1, &empty, &hit);
    assert_true(hits.total == 4 && hits.count[3] == 1 && hits.count[4] == 1);
    assert_ok(binding_index_value(&ix, 1, &longest, 5));
    assert_ok(
        binding_index_topic(&ix, 1, &(struct oxbow_field){text_bytes("f"), text_bytes("#")}, 6));
    binding_index_find(&ix, 1, &longest, &hit);
    binding_index_match(&ix, 1, &longest, &hit);
    assert_true(hits.count[5] == 1 && hits.count[6] == 1);
    binding_index_find(&ix, 1, &longer, &hit);
    binding_index_match(&ix, 1, &longer, &hit);
    assert_true(hits.count[5] == 1 && hits.count[6] == 1);
    binding_index_fini(&ix);
}

static enum oxbow_err fill(struct binding_index *ix)
{
    enum oxbow_err err = OXBOW_OK;
    char text[64];

    for (uint32_t i = 0; i < 200 && err == OXBOW_OK; i++) {
        struct oxbow_field f = {.name = text_bytes("key")};

        snprintf(text, sizeof text, "%u.*.#.x%u", (unsigned)i % 20, (unsigned)i);
        f.value = text_bytes(text);
        err = binding_index_topic(ix, i % 3, &f, i);
        if (err == OXBOW_OK) {
            err = binding_index_value(ix, i % 3, &f, i);
        }
    }
    return err;
}

static void every_allocation_may_fail(void **state)
{
    uint64_t points = 0;

    (void)state;
    for (uint64_t n = 1;; n++) {
        struct binding_index ix;
        struct fault fault;
        enum oxbow_err err;

        fault_init(&fault, oxbow_port_default());
        binding_index_init(&ix, &fault.port.alloc);
        fault_arm_alloc(&fault, n, 1);
        err = fill(&ix);
        fault_disarm(&fault);
        assert_err(err, fault.alloc_failed > 0 ? OXBOW_ENOMEM : OXBOW_OK);
        binding_index_fini(&ix);
        assert_int_equal(fault.live_bytes, 0);
        if (fault.alloc_failed == 0) {
            break;
        }
        points++;
    }
    assert_true(points > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_fit_as_in_amqp),
        cmocka_unit_test(many_patterns_at_once_fit_as_each_alone_by_definition),
        cmocka_unit_test(a_pattern_of_many_signs_takes_no_longer_than_others),
        cmocka_unit_test(ten_thousand_patterns_are_not_looked_at_one_by_one),
        cmocka_unit_test(values_lead_to_their_bindings_alone),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
