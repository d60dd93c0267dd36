/* SPDX-License-Identifier: Apache-2.0 */
/* What goes from a cache that has too much, what never goes, and memory that is out. */
#include "oxbow/hash.h"
#include "tests/store/cache_fixture.h"
#include "tests/support/fault.h"

static const struct oxbow_bytes a = BYTES("a"), b = BYTES("b");

struct told {
    unsigned hot, cold;
};

static enum oxbow_err gone(void *ctx, uint32_t database, struct oxbow_bytes key)
{
    struct told *t = ctx;

    assert_int_equal(database, CACHE);
    if (((const char *)key.data)[0] == 'h') {
        t->hot++;
    } else {
        t->cold++;
    }
    return OXBOW_OK;
}

static void room(struct streams *f, struct told *told)
{
    bool more = true;

    while (more) {
        assert_ok(oxbow_cache_evict(f->txn, 64, gone, told, &more));
    }
}

/* Cold keys come and come; fifty hot ones are read meanwhile. */
static void hot_and_cold(struct streams *f, struct told *told, unsigned colds)
{
    char value[400];

    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (unsigned i = 0; i < 50; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "h%u", i);
        assert_ok(set_in(f, text_bytes(name), value));
    }
    for (unsigned i = 0; i < colds; i++) {
        char name[16];

        room(f, told);
        (void)snprintf(name, sizeof name, "c%u", i);
        assert_ok(set_in(f, text_bytes(name), value));
        (void)snprintf(name, sizeof name, "h%u", i % 50);
        if (there(f, text_bytes(name))) {
            assert_ok(oxbow_string_get(f->txn, text_bytes(name), &f->result));
        }
        if (i % 16 == 0) {
            streams_commit(f);
            rig_pass_ms(&f->rig, 20);
            streams_begin(f);
            in(f, CACHE);
        }
        assert_true(cache_stat(f).bytes <= LIMIT + LIMIT / 8);
    }
}

static void the_least_used_goes(void **state)
{
    static const enum oxbow_evict policies[] = {OXBOW_EVICT_ALLKEYS_LRU, OXBOW_EVICT_ALLKEYS_LFU};
    struct streams *f = *state;

    for (unsigned i = 0; i < 2; i++) {
        struct told told = {0, 0};
        uint64_t evicted = cache_stat(f).evicted;

        limit(f, policies[i]);
        hot_and_cold(f, &told, 6000);
        print_message("policy %u: hot %u, cold %u of 6000\n", (unsigned)policies[i], told.hot,
                      told.cold);
        assert_true(told.cold > 3000);
        assert_in_range(told.hot, 0, 5); /* what is chosen by chance may choose badly */
        assert_int_equal(cache_stat(f).evicted, evicted + told.hot + told.cold);
        assert_ok(oxbow_key_flush(f->txn));
        streams_reopen(f);
    }
}

/* The control of the test above: by chance, hot keys go like others. */
static void chance_spares_nobody(void **state)
{
    struct streams *f = *state;
    struct told told = {0, 0};

    limit(f, OXBOW_EVICT_ALLKEYS_RANDOM);
    hot_and_cold(f, &told, 6000);
    assert_in_range(told.hot, 25, 50);
}

static void keys_without_a_deadline_stay_under_volatile_policies(void **state)
{
    static const enum oxbow_evict policies[] = {OXBOW_EVICT_VOLATILE_LRU, OXBOW_EVICT_VOLATILE_LFU,
                                                OXBOW_EVICT_VOLATILE_RANDOM,
                                                OXBOW_EVICT_VOLATILE_TTL};
    struct streams *f = *state;
    enum oxbow_expire_done done;
    char value[400];

    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (unsigned p = 0; p < 4; p++) {
        struct told told = {0, 0};

        limit(f, policies[p]);
        for (unsigned i = 0; i < 800; i++) {
            char name[16];

            (void)snprintf(name, sizeof name, "h%u", i);
            assert_ok(set_in(f, text_bytes(name), value));
        }
        for (unsigned i = 0; i < 3000; i++) {
            char name[16];

            room(f, &told);
            (void)snprintf(name, sizeof name, "c%u", i);
            assert_ok(set_in(f, text_bytes(name), value));
            /* The later ones expire first, so that the order shows. */
            assert_ok(
                oxbow_key_expire(f->txn, text_bytes(name), 10000000 - (int64_t)i * 1000, 0, &done));
        }
        assert_int_equal(told.hot, 0);
        assert_true(told.cold > 1000);
        if (policies[p] == OXBOW_EVICT_VOLATILE_TTL) {
            assert_true(there(f, BYTES("c0")));
            assert_false(there(f, BYTES("c2000")));
        }
        for (unsigned i = 0; i < 800; i++) {
            char name[16];

            (void)snprintf(name, sizeof name, "h%u", i);
            assert_true(there(f, text_bytes(name)));
        }
        streams_reopen(f);
    }
}

/* What a transaction has had go stands before the others in the order of time until it ends. */
static void what_expires_first_goes_first_in_a_long_transaction_too(void **state)
{
    struct streams *f = *state;
    struct told told = {0, 0};
    enum oxbow_expire_done done;
    char value[400];

    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    limit(f, OXBOW_EVICT_VOLATILE_TTL);
    for (unsigned i = 0; i < 3000; i++) {
        bool late = i < 500;
        char name[16];

        room(f, &told);
        (void)snprintf(name, sizeof name, "%c%u", late ? 'h' : 'c', i);
        assert_ok(set_in(f, text_bytes(name), value));
        assert_ok(
            oxbow_key_expire(f->txn, text_bytes(name), late ? 100000000 : 1000000 + i, 0, &done));
    }
    assert_int_equal(told.hot, 0);
    assert_true(told.cold > 500);
}

static void small_keys(struct streams *f, struct told *told, bool timed)
{
    enum oxbow_expire_done done;

    while (told->cold < 100) {
        static unsigned n;
        char name[16];

        room(f, told);
        (void)snprintf(name, sizeof name, "c%u", n++);
        assert_ok(set_in(f, text_bytes(name), "v"));
        if (timed) {
            assert_ok(oxbow_key_expire(f->txn, text_bytes(name), 1000000, 0, &done));
        }
    }
}

/* Names of a flushed database stay until they are reaped: candidates they are no more. */
static void what_was_flushed_is_no_candidate(void **state)
{
    static const enum oxbow_evict policies[] = {OXBOW_EVICT_ALLKEYS_LRU, OXBOW_EVICT_VOLATILE_LRU,
                                                OXBOW_EVICT_VOLATILE_TTL};
    static char big[120000];
    struct streams *f = *state;

    memset(big, 'v', sizeof big - 1);
    for (unsigned i = 0; i < 3; i++) {
        struct told told = {0, 0};
        struct told later = {0, 0};

        limit(f, policies[i]);
        small_keys(f, &told, i > 0);
        assert_ok(oxbow_key_flush(f->txn));
        room(f, &later);
        assert_ok(set_in(f, BYTES("h"), big));
        room(f, &later);
        assert_int_equal(later.cold, 0);
        assert_int_equal(cache_stat(f).evicted, told.cold + later.hot);
        assert_true(cache_stat(f).bytes <= LIMIT);
        streams_reopen(f);
    }
}

/* However much that is, and under any policy: nobody is refused for what will be reaped. */
static void what_was_flushed_makes_room(void **state)
{
    struct streams *f = *state;
    const struct oxbow_cache_limit low = {.bytes = LIMIT / 4};
    struct told told = {0, 0};

    in(f, CACHE);
    for (unsigned i = 0; i < 6000; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "c%u", i);
        assert_ok(set_in(f, text_bytes(name), "v"));
    }
    streams_commit(f);
    assert_ok(oxbow_cache_limit_set(f->rig.db, &low));
    streams_begin(f);
    in(f, CACHE);
    assert_true(cache_stat(f).bytes > LIMIT);
    assert_ok(oxbow_key_flush(f->txn));
    room(f, &told);
    assert_true(cache_stat(f).bytes <= LIMIT / 4);
    assert_int_equal(told.cold, 0);
    assert_ok(set_in(f, a, "v"));
}

/* The memory that finds keys goes with them: else a lower limit could never be kept. */
static void what_finds_keys_shrinks_with_them(void **state)
{
    struct streams *f = *state;
    struct told told = {0, 0};
    struct oxbow_cache_limit low = {.bytes = 100000, .evict = OXBOW_EVICT_ALLKEYS_RANDOM};

    in(f, CACHE);
    for (unsigned i = 0; i < 20000; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "c%u", i);
        assert_ok(set_in(f, text_bytes(name), "v"));
    }
    streams_commit(f);
    assert_ok(oxbow_cache_limit_set(f->rig.db, &low));
    for (unsigned round = 0; round < 100; round++) { /* what is removed goes with its transaction */
        bool more;

        streams_begin(f);
        in(f, CACHE);
        assert_ok(oxbow_cache_evict(f->txn, 1000, gone, &told, &more));
        streams_commit(f);
    }
    streams_begin(f);
    in(f, CACHE);
    assert_true(cache_stat(f).bytes <= low.bytes);
    assert_in_range(keys(f), 100, 2000);
    for (unsigned i = 0; i < 20000; i += 97) { /* those that are left are found */
        char name[16];

        (void)snprintf(name, sizeof name, "c%u", i);
        if (there(f, text_bytes(name))) {
            assert_ok(oxbow_string_get(f->txn, text_bytes(name), &f->result));
            assert_int_equal(f->result.items[0].len, 1);
        }
    }
}

static void queues_never_go_and_what_does_not_fit_is_refused(void **state)
{
    struct streams *f = *state;
    struct told told = {0, 0};
    struct oxbow_bytes value;
    char big[8192];
    enum oxbow_err err = OXBOW_OK;
    uint64_t before;
    unsigned pushed = 0;

    memset(big, 'x', sizeof big);
    value = (struct oxbow_bytes){big, sizeof big};
    limit(f, OXBOW_EVICT_ALLKEYS_LRU);
    assert_ok(set_in(f, BYTES("c1"), "goes"));
    while (err == OXBOW_OK) {
        room(f, &told);
        err = oxbow_list_push(f->txn, BYTES("queue"), OXBOW_RIGHT, &value, 1, NULL);
        pushed += err == OXBOW_OK;
        assert_true(pushed < 1000);
    }
    assert_err(err, OXBOW_EQUOTA);
    assert_int_equal(told.cold, 1);
    assert_ok(oxbow_list_len(f->txn, BYTES("queue"), &before));
    assert_int_equal(before, pushed);
    assert_err(oxbow_string_set(f->txn, BYTES("c2"), value), OXBOW_EQUOTA); /* it fits no more */
    assert_ok(oxbow_list_pop(f->txn, BYTES("queue"), OXBOW_LEFT, pushed / 2, &f->result));
    room(f, &told);
    assert_ok(set_in(f, BYTES("c2"), "now it does"));
    streams_commit(f);
    streams_begin(f);
    in(f, CACHE);
    assert_string(f, BYTES("c2"), "now it does");
}

static void nothing_goes_without_a_policy(void **state)
{
    struct streams *f = *state;
    struct told told = {0, 0};
    enum oxbow_err err = OXBOW_OK;
    unsigned i;

    limit(f, OXBOW_EVICT_NONE);
    for (i = 0; i < 100000 && err == OXBOW_OK; i++) {
        char name[16];

        room(f, &told);
        (void)snprintf(name, sizeof name, "c%u", i);
        err = set_in(f, text_bytes(name), "a value of some length, so that it is soon full");
    }
    assert_err(err, OXBOW_EQUOTA);
    assert_int_equal(told.cold, 0);
    assert_int_equal(keys(f), i - 1);
    assert_ok(oxbow_key_delete(f->txn, BYTES("c1"), NULL));
    in(f, 0);
    assert_ok(set_in(f, a, "the device has its own quota"));
}

static void an_eviction_is_taken_back_with_its_transaction(void **state)
{
    struct streams *f = *state;
    struct told told = {0, 0};
    uint64_t had;
    uint64_t bytes;

    limit(f, OXBOW_EVICT_NONE);
    for (unsigned i = 0; i < 2000; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "c%u", i);
        if (set_in(f, text_bytes(name), "a value of some length, so that it is soon full") !=
            OXBOW_OK) {
            break;
        }
    }
    had = keys(f);
    streams_commit(f);
    assert_ok(oxbow_cache_limit_set(
        f->rig.db,
        &(struct oxbow_cache_limit){.bytes = LIMIT / 4, .evict = OXBOW_EVICT_ALLKEYS_LRU}));
    streams_begin(f);
    bytes = cache_stat(f).bytes;
    room(f, &told);
    assert_true(told.cold > 100);
    assert_int_equal(cache_stat(f).evicted, told.cold);
    streams_abort(f);
    streams_begin(f);
    in(f, CACHE);
    assert_int_equal(keys(f), had);
    assert_int_equal(cache_stat(f).bytes, bytes);
    assert_int_equal(cache_stat(f).evicted, 0);
}

static void use_is_told_and_not_counted(void **state)
{
    struct streams *f = *state;
    uint64_t idle;
    uint32_t often;

    in(f, CACHE);
    assert_ok(set_in(f, a, "v"));
    streams_commit(f);
    rig_pass_ms(&f->rig, 5000);
    for (unsigned i = 0; i < 2; i++) {
        streams_begin(f);
        in(f, CACHE);
        assert_ok(oxbow_cache_use(f->txn, a, &idle, &often));
        assert_in_range(idle, 4990, 5010);
        assert_in_range(often, 5, 6);
        streams_commit(f);
    }
    streams_begin(f);
    in(f, CACHE);
    for (unsigned i = 0; i < 1000; i++) {
        assert_ok(oxbow_string_get(f->txn, a, &f->result));
    }
    assert_ok(oxbow_cache_use(f->txn, a, &idle, &often));
    assert_int_equal(idle, 0);
    assert_in_range(often, 7, 60);
    streams_commit(f);
    rig_pass_ms(&f->rig, 3 * 60000);
    streams_begin(f);
    in(f, CACHE);
    {
        uint32_t before = often;

        assert_ok(oxbow_cache_use(f->txn, a, &idle, &often));
        assert_int_equal(often, before - 3);
    }
    assert_err(oxbow_cache_use(f->txn, b, &idle, &often), OXBOW_ENOENT);
    in(f, 0);
    assert_err(oxbow_cache_use(f->txn, a, &idle, &often), OXBOW_ENOTSUP);
}

static void bad_limits_are_refused(void **state)
{
    struct streams *f = *state;
    struct oxbow_cache_limit l = {.samples = OXBOW_EVICT_SAMPLES_MAX + 1};

    streams_commit(f);
    assert_err(oxbow_cache_limit_set(f->rig.db, &l), OXBOW_EINVAL);
    l = (struct oxbow_cache_limit){.evict = (enum oxbow_evict)(OXBOW_EVICT_VOLATILE_TTL + 1)};
    assert_err(oxbow_cache_limit_set(f->rig.db, &l), OXBOW_EINVAL);
    assert_err(oxbow_cache_limit_set(f->rig.db, NULL), OXBOW_EINVAL);
    rig_close(&f->rig);
    f->rig.config.cache = l;
    assert_err(open_with(f, 1u << CACHE), OXBOW_EINVAL);
    f->rig.config.cache = (struct oxbow_cache_limit){0};
    rig_open(&f->rig);
    f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
    assert_err(oxbow_txn_select(f->txn, CACHE) == OXBOW_OK ? set_in(f, a, "v") : OXBOW_OK,
               OXBOW_EREADONLY);
}

/* ---- memory that is out ---- */

static enum oxbow_err use_all(struct oxbow *db, struct oxbow_result *result)
{
    struct told told = {0, 0};
    struct oxbow_txn *txn;
    bool more;
    enum oxbow_err err = oxbow_txn_begin(db, NULL, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = oxbow_txn_select(txn, CACHE);
    for (unsigned i = 0; err == OXBOW_OK && i < 20; i++) {
        const struct oxbow_field field = {BYTES("f"), BYTES("value")};
        char name[16];

        err = oxbow_cache_evict(txn, 64, gone, &told, &more);
        (void)snprintf(name, sizeof name, "c%u", i);
        if (err == OXBOW_OK) {
            err = oxbow_string_set(txn, text_bytes(name), BYTES("a value"));
        }
        (void)snprintf(name, sizeof name, "h%u", i);
        if (err == OXBOW_OK) {
            err = oxbow_hash_set(txn, text_bytes(name), &field, 1, NULL);
        }
    }
    if (err == OXBOW_OK) {
        err = oxbow_string_get(txn, BYTES("c19"), result);
    }
    if (err == OXBOW_OK) {
        return oxbow_txn_commit(txn, NULL);
    }
    oxbow_txn_abort(txn);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    struct rig rig;
    struct fault fault;
    bool failed = true;

    (void)state;
    rig_init(&rig, OXBOW_SYNC_INTERVAL);
    fault_init(&fault, &rig.port);
    rig.config.port = &fault.port;
    rig.config.cache_databases = 1u << CACHE;
    rig.config.cache = (struct oxbow_cache_limit){.bytes = 16384, .evict = OXBOW_EVICT_ALLKEYS_LRU};
    rig_open(&rig);
    for (uint64_t n = 1; failed; n++) {
        struct oxbow_result result = {0};
        struct oxbow_cache_stat before;
        struct oxbow_cache_stat after;
        struct oxbow_txn *txn = rig_begin(&rig, OXBOW_TXN_READ);
        enum oxbow_err err;

        oxbow_cache_stat(txn, &before);
        rig_abort(txn);
        fault_arm_alloc(&fault, n, 1);
        err = use_all(rig.db, &result);
        failed = fault.alloc_failed > 0;
        fault_disarm(&fault);
        txn = rig_begin(&rig, OXBOW_TXN_READ);
        oxbow_cache_stat(txn, &after);
        rig_abort(txn);
        if (err != OXBOW_OK) {
            assert_err(err, OXBOW_ENOMEM);
            /* Buckets may have grown for good. */
            assert_in_range(after.bytes, before.bytes, before.bytes + 16384);
            assert_int_equal(after.evicted, before.evicted);
        }
        oxbow_result_fini(&result);
        assert_true(n < 100000);
    }
    rig_fini(&rig);
    assert_int_equal(fault.live_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(the_least_used_goes),
        CACHE_TEST(chance_spares_nobody),
        CACHE_TEST(keys_without_a_deadline_stay_under_volatile_policies),
        CACHE_TEST(what_expires_first_goes_first_in_a_long_transaction_too),
        CACHE_TEST(what_was_flushed_is_no_candidate),
        CACHE_TEST(what_was_flushed_makes_room),
        CACHE_TEST(what_finds_keys_shrinks_with_them),
        CACHE_TEST(queues_never_go_and_what_does_not_fit_is_refused),
        CACHE_TEST(nothing_goes_without_a_policy),
        CACHE_TEST(an_eviction_is_taken_back_with_its_transaction),
        CACHE_TEST(use_is_told_and_not_counted),
        CACHE_TEST(bad_limits_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
