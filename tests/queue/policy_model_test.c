/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random work on queues whose policies change under it, beside a model that knows nothing of chunks:
 * the same elements in the same order, the same refusals, and every entry accounted for.
 */
#include "tests/queue/fixture.h"

#include "oxbow/policy.h"
#include "oxbow/stream.h"

#include <stdlib.h>

#define QUEUES 4u /* two lists, two streams */
#define CAP    4096u
#define STEPS  6000u

struct item {
    uint64_t number; /* its content, and a stream's id */
    uint32_t len;
};

struct model {
    struct item items[CAP];
    size_t count;
    uint64_t bytes; /* of lists */
    uint64_t dropped;
    struct oxbow_policy policy;
    bool has_policy;
};

static struct model models[QUEUES];
static struct model saved[QUEUES]; /* as of the last commit */
static uint64_t state;
static uint64_t next_number;

static uint64_t below(uint64_t n)
{
    return fixture_random(&state) % n;
}

static struct oxbow_bytes key_of(unsigned q)
{
    static const char *const names[] = {"l0", "l1", "s0", "s1"};

    return bytes_of(names[q]);
}

static bool is_list(unsigned q)
{
    return q < 2;
}

static uint32_t random_len(void)
{
    return (uint32_t)(below(20) == 0 ? 2500 + below(3000) : 20 + below(60));
}

/* A value that begins with its number and is `len` long. */
static struct oxbow_bytes value_of(const struct item *it)
{
    static char text[8192];
    int n = snprintf(text, sizeof text, "%llu:", (unsigned long long)it->number);

    memset(text + n, 'x', sizeof text - (size_t)n);
    return (struct oxbow_bytes){text, it->len};
}

static void model_remove(struct model *m, size_t at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        m->bytes -= m->items[at + i].len;
    }
    memmove(&m->items[at], &m->items[at + n], (m->count - at - n) * sizeof m->items[0]);
    m->count -= n;
}

static void model_insert(struct model *m, enum oxbow_end end, struct item it)
{
    size_t at = end == OXBOW_LEFT ? 0 : m->count;

    assert_true(m->count < CAP);
    memmove(&m->items[at + 1], &m->items[at], (m->count - at) * sizeof it);
    m->items[at] = it;
    m->count++;
    m->bytes += it.len;
}

static bool model_over(const struct model *m, uint64_t more, uint64_t bytes)
{
    const struct oxbow_policy *p = &m->policy;

    return (p->max_entries > 0 && m->count + more > p->max_entries) ||
           (p->max_bytes > 0 && m->bytes + bytes > p->max_bytes);
}

static void list_push(struct fixture *f, unsigned q)
{
    struct model *m = &models[q];
    enum oxbow_end end = below(3) == 0 ? OXBOW_LEFT : OXBOW_RIGHT;
    struct item it = {next_number++, random_len()};
    struct oxbow_bytes value = value_of(&it);
    bool drops = m->policy.on_full == OXBOW_POLICY_DROP_OLDEST;
    uint64_t len;
    enum oxbow_err err = oxbow_list_push(f->txn, key_of(q), end, &value, 1, &len);

    if (m->policy.max_bytes > 0 && it.len > m->policy.max_bytes) {
        assert_err(err, OXBOW_ETOOBIG);
        return;
    }
    if (!drops && model_over(m, 1, it.len)) {
        assert_err(err, OXBOW_EFULL);
        return;
    }
    assert_ok(err);
    model_insert(m, end, it);
    while (drops && model_over(m, 0, 0)) {
        model_remove(m, end == OXBOW_LEFT ? m->count - 1 : 0, 1);
        m->dropped++;
    }
    assert_int_equal(len, m->count);
}

static void list_pop(struct fixture *f, unsigned q)
{
    struct model *m = &models[q];
    enum oxbow_end end = (enum oxbow_end)below(2);
    size_t n = 1 + below(5);
    enum oxbow_err err = oxbow_list_pop(f->txn, key_of(q), end, n, &f->result);

    if (m->count == 0) {
        assert_err(err, OXBOW_ENOENT);
        return;
    }
    assert_ok(err);
    n = n < m->count ? n : m->count;
    assert_int_equal(f->result.item_count, n);
    model_remove(m, end == OXBOW_LEFT ? 0 : m->count - n, n);
}

static void stream_add(struct fixture *f, unsigned q)
{
    struct model *m = &models[q];
    struct item it = {next_number++, random_len()};
    const struct oxbow_field field = {bytes_of("v"), value_of(&it)};
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT,
                                                 .id = {it.number + 1, 0}};
    bool drops = m->policy.on_full == OXBOW_POLICY_DROP_OLDEST;
    struct oxbow_stream_info info;
    enum oxbow_err err = oxbow_stream_add(f->txn, key_of(q), &opt, &field, 1, NULL);

    /* Bytes of a stream are as stored: what is told is believed, within the limits. */
    if (err == OXBOW_ETOOBIG) {
        assert_true(m->policy.max_bytes > 0 && it.len + 60 > m->policy.max_bytes);
        return;
    }
    if (err == OXBOW_EFULL) {
        assert_false(drops);
        if (m->policy.max_entries == 0 || m->count < m->policy.max_entries) {
            assert_true(m->policy.max_bytes > 0);
            assert_ok(oxbow_stream_info(f->txn, key_of(q), &info));
            assert_true(info.bytes + it.len + 60 > m->policy.max_bytes);
        }
        return;
    }
    assert_ok(err);
    model_insert(m, OXBOW_RIGHT, it);
    assert_ok(oxbow_stream_info(f->txn, key_of(q), &info));
    assert_true(m->policy.max_entries == 0 || info.length <= m->policy.max_entries);
    assert_true(m->policy.max_bytes == 0 || info.bytes <= m->policy.max_bytes);
    assert_true(info.length > 0 && info.length <= m->count);
    if (info.length < m->count) {
        assert_true(drops);
        m->dropped += m->count - info.length;
        model_remove(m, 0, m->count - info.length);
    }
}

static void stream_delete(struct fixture *f, unsigned q)
{
    struct model *m = &models[q];
    size_t at = m->count > 0 ? below(m->count) : 0;
    struct oxbow_id id;
    uint64_t removed;

    if (m->count == 0) {
        return;
    }
    id = (struct oxbow_id){m->items[at].number + 1, 0};
    assert_ok(oxbow_stream_delete(f->txn, key_of(q), &id, 1, &removed));
    assert_int_equal(removed, 1);
    model_remove(m, at, 1);
}

static bool model_fits(const struct model *m, uint64_t bytes)
{
    const struct oxbow_policy *p = &m->policy;

    return (p->max_entries == 0 || m->count <= p->max_entries) &&
           (p->max_bytes == 0 || bytes <= p->max_bytes);
}

/* A new policy that the queue keeps as it is: how a lowered one is reached has its own tests. */
static void change_policy(struct fixture *f, unsigned q)
{
    struct model *m = &models[q];
    struct oxbow_stream_info info = {0};
    struct model with = *m;

    with.policy = (struct oxbow_policy){
        .max_entries = below(4) == 0 ? 0 : 1 + below(60),
        .max_bytes = below(3) == 0 ? 0 : 100 + below(20000),
        .on_full = (enum oxbow_policy_full)below(3),
    };
    if (!is_list(q)) {
        enum oxbow_err err = oxbow_stream_info(f->txn, key_of(q), &info);

        assert_true(err == OXBOW_OK || err == OXBOW_ENOENT);
    }
    if (!model_fits(&with, is_list(q) ? m->bytes : info.bytes)) {
        return;
    }
    assert_ok(oxbow_policy_set(f->txn, key_of(q), &with.policy));
    m->policy = with.policy;
    m->has_policy = true;
}

static void check_items(struct fixture *f, unsigned q)
{
    const struct model *m = &models[q];
    struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};

    if (is_list(q)) {
        assert_ok(oxbow_list_range(f->txn, key_of(q), 0, -1, &f->result));
        assert_int_equal(f->result.item_count, m->count);
    } else {
        assert_ok(oxbow_stream_range(f->txn, key_of(q), &all, &f->result));
        assert_int_equal(f->result.entry_count, m->count);
    }
    for (size_t i = 0; i < m->count; i++) {
        struct oxbow_bytes want = value_of(&m->items[i]);
        struct oxbow_bytes got =
            is_list(q) ? f->result.items[i] : f->result.entries[i].fields[0].value;

        assert_int_equal(got.len, want.len);
        assert_memory_equal(got.data, want.data, want.len < 20 ? want.len : 20);
    }
}

static void check_drops(struct fixture *f, unsigned q)
{
    struct oxbow_drop_gap gaps[OXBOW_DROP_GAPS_MAX];
    const struct model *m = &models[q];
    uint64_t counted = 0;
    uint64_t told = 0;
    size_t count;

    if (!m->has_policy) {
        return;
    }
    for (unsigned c = 1; c <= OXBOW_DROP_CAUSES; c++) {
        struct oxbow_drops d;

        assert_ok(oxbow_policy_drops(f->txn, key_of(q), (enum oxbow_drop_cause)c, &d));
        counted += d.entries;
    }
    assert_int_equal(counted, m->dropped);
    assert_ok(
        oxbow_policy_gaps(f->txn, key_of(q), OXBOW_ID_MIN, gaps, OXBOW_DROP_GAPS_MAX, &count));
    for (size_t i = 0; i < count; i++) {
        assert_true(
            i == 0 || gaps[i].from.ms > gaps[i - 1].to.ms ||
            (gaps[i].from.ms == gaps[i - 1].to.ms && gaps[i].from.seq > gaps[i - 1].to.seq));
        told += gaps[i].entries;
    }
    assert_int_equal(told, m->dropped);
}

static void step(struct fixture *f)
{
    unsigned q = (unsigned)below(QUEUES);
    uint64_t what = below(100);

    if (what < 70 && is_list(q)) {
        list_push(f, q);
    } else if (what < 70) {
        stream_add(f, q);
    } else if (what < 90 && is_list(q)) {
        list_pop(f, q);
    } else if (what < 90) {
        stream_delete(f, q);
    } else if (what < 99) {
        change_policy(f, q);
    } else {
        assert_ok(oxbow_key_delete(f->txn, key_of(q), NULL));
        model_remove(&models[q], 0, models[q].count);
    }
}

static void policies_do_what_the_model_does(void **unused)
{
    struct fixture f;
    uint64_t dropped = 0;

    (void)unused;
    state = fixture_seed();
    memset(models, 0, sizeof models);
    next_number = 0;
    fixture_init(&f, NULL);
    memcpy(saved, models, sizeof models);
    fixture_begin(&f);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&f);
        if (below(10) == 0) {
            unsigned q = (unsigned)below(QUEUES);

            check_items(&f, q);
            check_drops(&f, q);
        }
        if (below(15) == 0) {
            if (below(4) == 0) {
                fixture_abort(&f);
                memcpy(models, saved, sizeof models);
            } else {
                fixture_commit(&f);
                memcpy(saved, models, sizeof models);
            }
            if (below(20) == 0) {
                fixture_reopen(&f);
            }
            fixture_begin(&f);
        }
    }
    for (unsigned q = 0; q < QUEUES; q++) {
        check_items(&f, q);
        check_drops(&f, q);
        printf("%llu dropped, %zu left\n", (unsigned long long)models[q].dropped, models[q].count);
        dropped += models[q].dropped;
    }
    assert_true(dropped > 0);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(policies_do_what_the_model_does)};

    return cmocka_run_group_tests_name("policy_model", tests, NULL, NULL);
}
