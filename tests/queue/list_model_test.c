/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random list commands against a plain array of strings: every reply and, after each transaction,
 * every element must agree; with aborts, checkpoints and re-opens in between.
 */
#include "tests/queue/fixture.h"

#include <stdlib.h>

#define LISTS 3
#define CAP   6000

struct element {
    char *data;
    size_t len;
};

struct model {
    struct element *at[LISTS];
    size_t count[LISTS];
};

struct run {
    struct fixture f;
    struct model live;
    struct model saved; /* what an abort goes back to */
    uint64_t rng;
    bool big; /* long values as well */
    uint64_t calls;
};

static const char *const names[LISTS] = {"alpha", "", "a rather long name of a list, with blanks"};

static uint64_t rnd(struct run *r, uint64_t n)
{
    return fixture_random(&r->rng) % n;
}

static struct oxbow_bytes name_of(size_t i)
{
    return bytes_of(names[i]);
}

/* ---- the model ---- */

static struct element element_dup(struct oxbow_bytes b)
{
    struct element e = {malloc(b.len + 1), b.len};

    assert_non_null(e.data);
    if (b.len > 0) {
        memcpy(e.data, b.data, b.len);
    }
    return e;
}

static void model_insert(struct model *m, size_t i, size_t pos, struct oxbow_bytes value)
{
    assert_true(m->count[i] < CAP);
    memmove(m->at[i] + pos + 1, m->at[i] + pos, (m->count[i] - pos) * sizeof(struct element));
    m->at[i][pos] = element_dup(value);
    m->count[i]++;
}

static void model_remove(struct model *m, size_t i, size_t pos)
{
    free(m->at[i][pos].data);
    m->count[i]--;
    memmove(m->at[i] + pos, m->at[i] + pos + 1, (m->count[i] - pos) * sizeof(struct element));
}

static void model_clear(struct model *m)
{
    for (size_t i = 0; i < LISTS; i++) {
        while (m->count[i] > 0) {
            model_remove(m, i, m->count[i] - 1);
        }
    }
}

static void model_copy(struct model *to, const struct model *from)
{
    model_clear(to);
    for (size_t i = 0; i < LISTS; i++) {
        for (size_t k = 0; k < from->count[i]; k++) {
            to->at[i][k] =
                element_dup((struct oxbow_bytes){from->at[i][k].data, from->at[i][k].len});
        }
        to->count[i] = from->count[i];
    }
}

static bool same(struct element e, struct oxbow_bytes b)
{
    return e.len == b.len && (b.len == 0 || memcmp(e.data, b.data, b.len) == 0);
}

/* ---- values ---- */

static char pool[300 * 1024];

static struct oxbow_bytes value(struct run *r)
{
    static const size_t lens[] = {0, 1, 5, 30, 100, 191, 192, 700, 1999, 2000};
    static const size_t longs[] = {2001, 5000, 65535, 65536, 65537, 200000};
    size_t len = lens[rnd(r, 10)];

    if (rnd(r, 3) != 0) {
        len = rnd(r, 120);
    }
    if (r->big && rnd(r, 40) == 0) {
        len = longs[rnd(r, 6)];
    }
    /* Few different contents, so that equal elements are common. */
    return (struct oxbow_bytes){pool + rnd(r, 3), len};
}

/* ---- comparing ---- */

static void check_list(struct run *r, size_t i)
{
    const struct model *m = &r->live;
    uint64_t len;

    assert_ok(oxbow_list_len(r->f.txn, name_of(i), &len));
    assert_int_equal(len, m->count[i]);
    assert_ok(oxbow_list_range(r->f.txn, name_of(i), 0, -1, &r->f.result));
    assert_int_equal(r->f.result.item_count, m->count[i]);
    for (size_t k = 0; k < m->count[i]; k++) {
        assert_true(same(m->at[i][k], r->f.result.items[k]));
    }
}

static void check_info(struct run *r, size_t i)
{
    struct oxbow_list_info info;
    uint64_t bytes = 0;
    enum oxbow_err err = oxbow_list_info(r->f.txn, name_of(i), &info);

    if (r->live.count[i] == 0) {
        assert_err(err, OXBOW_ENOENT);
        return;
    }
    assert_ok(err);
    for (size_t k = 0; k < r->live.count[i]; k++) {
        bytes += r->live.at[i][k].len;
    }
    assert_int_equal(info.length, r->live.count[i]);
    assert_int_equal(info.bytes, bytes);
}

/* ---- the commands ---- */

static void do_push(struct run *r, size_t i)
{
    struct oxbow_bytes values[60];
    size_t n = rnd(r, 8) == 0 ? 1 + rnd(r, 60) : 1 + rnd(r, 3);
    enum oxbow_end end = rnd(r, 2) == 0 ? OXBOW_LEFT : OXBOW_RIGHT;
    bool x = rnd(r, 6) == 0;
    bool there = r->live.count[i] > 0;
    uint64_t len;

    if (r->live.count[i] + n > CAP) {
        return;
    }
    for (size_t k = 0; k < n; k++) {
        values[k] = value(r);
    }
    if (x) {
        assert_ok(oxbow_list_push_existing(r->f.txn, name_of(i), end, values, n, &len));
    } else {
        assert_ok(oxbow_list_push(r->f.txn, name_of(i), end, values, n, &len));
    }
    for (size_t k = 0; k < n && (!x || there); k++) {
        model_insert(&r->live, i, end == OXBOW_LEFT ? 0 : r->live.count[i], values[k]);
    }
    assert_int_equal(len, r->live.count[i]);
}

static void do_pop(struct run *r, size_t i)
{
    enum oxbow_end end = rnd(r, 2) == 0 ? OXBOW_LEFT : OXBOW_RIGHT;
    size_t n = rnd(r, 10) == 0 ? rnd(r, 300) : rnd(r, 4);
    size_t count = r->live.count[i];
    enum oxbow_err err = oxbow_list_pop(r->f.txn, name_of(i), end, n, &r->f.result);

    if (count == 0) {
        assert_err(err, OXBOW_ENOENT);
        return;
    }
    assert_ok(err);
    assert_int_equal(r->f.result.item_count, n < count ? n : count);
    for (size_t k = 0; k < r->f.result.item_count; k++) {
        size_t pos = end == OXBOW_LEFT ? 0 : r->live.count[i] - 1;

        assert_true(same(r->live.at[i][pos], r->f.result.items[k]));
        model_remove(&r->live, i, pos);
    }
}

static int64_t index_near(struct run *r, size_t count)
{
    return (int64_t)rnd(r, 2 * count + 6) - (int64_t)count - 3;
}

static void do_range(struct run *r, size_t i)
{
    int64_t n = (int64_t)r->live.count[i];
    int64_t start = index_near(r, r->live.count[i]);
    int64_t stop = index_near(r, r->live.count[i]);
    int64_t from = start < 0 ? start + n : start;
    int64_t to = stop < 0 ? stop + n : stop;

    assert_ok(oxbow_list_range(r->f.txn, name_of(i), start, stop, &r->f.result));
    from = from < 0 ? 0 : from;
    to = to >= n ? n - 1 : to;
    assert_int_equal(r->f.result.item_count, from > to ? 0 : to - from + 1);
    for (size_t k = 0; k < r->f.result.item_count; k++) {
        assert_true(same(r->live.at[i][(size_t)from + k], r->f.result.items[k]));
    }
}

static void do_index(struct run *r, size_t i)
{
    int64_t n = (int64_t)r->live.count[i];
    int64_t idx = index_near(r, r->live.count[i]);
    int64_t pos = idx < 0 ? idx + n : idx;
    enum oxbow_err err = oxbow_list_index(r->f.txn, name_of(i), idx, &r->f.result);

    if (pos < 0 || pos >= n) {
        assert_err(err, OXBOW_ENOENT);
        return;
    }
    assert_ok(err);
    assert_int_equal(r->f.result.item_count, 1);
    assert_true(same(r->live.at[i][pos], r->f.result.items[0]));
}

static void do_set(struct run *r, size_t i)
{
    int64_t n = (int64_t)r->live.count[i];
    int64_t idx = index_near(r, r->live.count[i]);
    int64_t pos = idx < 0 ? idx + n : idx;
    struct oxbow_bytes v = value(r);
    enum oxbow_err err = oxbow_list_set(r->f.txn, name_of(i), idx, v);

    if (n == 0) {
        assert_err(err, OXBOW_ENOENT);
    } else if (pos < 0 || pos >= n) {
        assert_err(err, OXBOW_ERANGE);
    } else {
        assert_ok(err);
        free(r->live.at[i][pos].data);
        r->live.at[i][pos] = element_dup(v);
    }
}

static void do_insert(struct run *r, size_t i)
{
    struct oxbow_bytes pivot = value(r);
    struct oxbow_bytes v = value(r);
    bool before = rnd(r, 2) == 0;
    size_t count = r->live.count[i];
    size_t pos = 0;
    int64_t len;

    if (count >= CAP) {
        return;
    }
    if (count > 0 && rnd(r, 3) != 0) {
        struct element e = r->live.at[i][rnd(r, count)];

        pivot = (struct oxbow_bytes){e.data, e.len};
    }
    assert_ok(oxbow_list_insert(r->f.txn, name_of(i), before, pivot, v, &len));
    while (pos < count && !same(r->live.at[i][pos], pivot)) {
        pos++;
    }
    if (pos < count) {
        model_insert(&r->live, i, before ? pos : pos + 1, v);
        assert_int_equal(len, count + 1);
    } else {
        assert_int_equal(len, count == 0 ? 0 : -1);
    }
}

static void do_remove(struct run *r, size_t i)
{
    struct oxbow_bytes v = value(r);
    int64_t count = (int64_t)rnd(r, 9) - 4;
    uint64_t left = count == 0 ? UINT64_MAX : (uint64_t)(count < 0 ? -count : count);
    uint64_t want = 0;
    uint64_t removed;
    char *own = NULL;

    if (r->live.count[i] > 0 && rnd(r, 3) != 0) {
        struct element e = r->live.at[i][rnd(r, r->live.count[i])];

        own = element_dup((struct oxbow_bytes){e.data, e.len}).data;
        v = (struct oxbow_bytes){own, e.len};
    }
    assert_ok(oxbow_list_remove(r->f.txn, name_of(i), count, v, &removed));
    for (size_t n = 0, pos = count < 0 ? r->live.count[i] - 1 : 0, all = r->live.count[i];
         n < all && want < left; n++) {
        bool hit = same(r->live.at[i][pos], v);

        if (hit) {
            model_remove(&r->live, i, pos);
            want++;
        }
        if (count < 0) {
            pos--;
        } else if (!hit) {
            pos++;
        }
    }
    assert_int_equal(removed, want);
    free(own);
}

static void do_trim(struct run *r, size_t i)
{
    int64_t n = (int64_t)r->live.count[i];
    int64_t start = rnd(r, 3) == 0 ? index_near(r, r->live.count[i]) : (int64_t)rnd(r, 40);
    int64_t stop = rnd(r, 3) == 0 ? index_near(r, r->live.count[i]) : -1 - (int64_t)rnd(r, 40);
    int64_t from = start < 0 ? start + n : start;
    int64_t to = stop < 0 ? stop + n : stop;

    assert_ok(oxbow_list_trim(r->f.txn, name_of(i), start, stop));
    while ((int64_t)r->live.count[i] > 0 && (int64_t)r->live.count[i] - 1 > to) {
        model_remove(&r->live, i, r->live.count[i] - 1);
    }
    for (int64_t k = 0; k < from && r->live.count[i] > 0; k++) {
        model_remove(&r->live, i, 0);
    }
}

static void do_move(struct run *r, size_t i)
{
    size_t j = rnd(r, LISTS);
    enum oxbow_end a = rnd(r, 2) == 0 ? OXBOW_LEFT : OXBOW_RIGHT;
    enum oxbow_end b = rnd(r, 2) == 0 ? OXBOW_LEFT : OXBOW_RIGHT;
    enum oxbow_err err;

    if (r->live.count[j] >= CAP) {
        return;
    }
    err = oxbow_list_move(r->f.txn, name_of(i), name_of(j), a, b, &r->f.result);
    if (r->live.count[i] == 0) {
        assert_err(err, OXBOW_ENOENT);
        return;
    }
    assert_ok(err);
    assert_int_equal(r->f.result.item_count, 1);
    assert_true(
        same(r->live.at[i][a == OXBOW_LEFT ? 0 : r->live.count[i] - 1], r->f.result.items[0]));
    model_remove(&r->live, i, a == OXBOW_LEFT ? 0 : r->live.count[i] - 1);
    model_insert(&r->live, j, b == OXBOW_LEFT ? 0 : r->live.count[j], r->f.result.items[0]);
}

static void do_pos(struct run *r, size_t i)
{
    struct oxbow_bytes v = value(r);
    struct oxbow_list_pos_options opt = {
        .rank = (int64_t)rnd(r, 9) - 4, .maxlen = rnd(r, 200), .max = rnd(r, 9)};
    uint64_t positions[8];
    uint64_t want[8];
    size_t max = opt.max == 0 ? 1 : opt.max;
    size_t n = 0;
    size_t count = r->live.count[i];
    size_t limit = opt.maxlen == 0 || opt.maxlen > count ? count : opt.maxlen;
    int64_t skip = opt.rank == 0 ? 1 : llabs(opt.rank);
    size_t found;

    assert_ok(oxbow_list_pos(r->f.txn, name_of(i), v, &opt, positions, &found));
    for (size_t k = 0; k < limit && n < max; k++) {
        size_t pos = opt.rank < 0 ? count - 1 - k : k;

        if (same(r->live.at[i][pos], v) && (skip <= 1 || --skip == 0)) {
            want[n++] = pos;
        }
    }
    assert_int_equal(found, n);
    assert_memory_equal(positions, want, n * sizeof(want[0]));
}

static void do_peek(struct run *r, size_t i)
{
    enum oxbow_end end = rnd(r, 2) == 0 ? OXBOW_LEFT : OXBOW_RIGHT;
    uint64_t max = rnd(r, 20);
    uint64_t bytes = rnd(r, 2000);
    size_t count = r->live.count[i];
    uint64_t sum = 0;
    size_t k = 0;

    assert_ok(oxbow_list_peek(r->f.txn, name_of(i), end, max, bytes, &r->f.result));
    while (k < count && (max == 0 || k < max) && (k == 0 || bytes == 0 || sum < bytes)) {
        size_t pos = end == OXBOW_LEFT ? k : count - 1 - k;

        assert_true(k < r->f.result.item_count);
        assert_true(same(r->live.at[i][pos], r->f.result.items[k]));
        sum += r->live.at[i][pos].len;
        k++;
    }
    assert_int_equal(r->f.result.item_count, k);
}

static void do_key(struct run *r, size_t i)
{
    bool existed;

    if (rnd(r, 4) == 0) {
        assert_ok(oxbow_key_delete(r->f.txn, name_of(i), &existed));
        assert_int_equal(existed, r->live.count[i] > 0);
        while (r->live.count[i] > 0) {
            model_remove(&r->live, i, r->live.count[i] - 1);
        }
    }
}

typedef void command(struct run *r, size_t i);

static command *const commands[] = {do_push, do_push,   do_push,   do_push,   do_push,  do_pop,
                                    do_pop,  do_pop,    do_range,  do_index,  do_index, do_set,
                                    do_set,  do_insert, do_insert, do_remove, do_trim,  do_move,
                                    do_move, do_pos,    do_pos,    do_peek,   do_key};

/* Some lists drain more than they fill, so that many sizes are met. */
static void step(struct run *r, uint64_t mood)
{
    command *c = commands[rnd(r, sizeof(commands) / sizeof(commands[0]))];

    if ((c == do_trim || c == do_key || c == do_remove) && rnd(r, 4 + mood) != 0) {
        c = mood % 3 == 0 ? do_pop : do_push;
    }
    c(r, rnd(r, LISTS));
    r->calls++;
}

static void run_random(bool big, unsigned rounds)
{
    static struct run r;
    struct oxbow_config config = {
        .sync = OXBOW_SYNC_INTERVAL, .dirty_pages = 64, .checkpoint_ms = 50};

    memset(&r, 0, sizeof(r));
    r.big = big;
    r.rng = fixture_seed();
    for (size_t i = 0; i < LISTS; i++) {
        r.live.at[i] = calloc(CAP + 1, sizeof(struct element));
        r.saved.at[i] = calloc(CAP + 1, sizeof(struct element));
    }
    for (size_t i = 0; i < sizeof(pool); i++) {
        pool[i] = (char)('a' + i % 3);
    }
    fixture_init(&r.f, &config);
    for (unsigned round = 0; round < rounds; round++) {
        unsigned n = 1 + (unsigned)rnd(&r, 30);

        fixture_begin(&r.f);
        model_copy(&r.saved, &r.live);
        for (unsigned k = 0; k < n; k++) {
            step(&r, round / 50 % 6);
        }
        for (size_t i = 0; i < LISTS; i++) {
            check_list(&r, i);
            check_info(&r, i);
        }
        if (rnd(&r, 8) == 0) {
            fixture_abort(&r.f);
            model_copy(&r.live, &r.saved);
        } else {
            fixture_commit(&r.f);
        }
        if (rnd(&r, 40) == 0) {
            fixture_reopen(&r.f);
        } else if (rnd(&r, 20) == 0) {
            assert_ok(oxbow_flush(r.f.db));
        }
    }
    printf("%llu commands\n", (unsigned long long)r.calls);
    fixture_fini(&r.f);
    model_clear(&r.live);
    model_clear(&r.saved);
    for (size_t i = 0; i < LISTS; i++) {
        free(r.live.at[i]);
        free(r.saved.at[i]);
    }
}

static void random_commands_agree_with_an_array(void **state)
{
    (void)state;
    run_random(false, 1500);
}

static void random_commands_with_long_values_agree_with_an_array(void **state)
{
    (void)state;
    run_random(true, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_commands_agree_with_an_array),
        cmocka_unit_test(random_commands_with_long_values_agree_with_an_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
