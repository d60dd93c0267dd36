/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes, sets and sorted sets of a stand-in come into the store, member by member, each once. */
#include "engine/queue/merge.h"
#include "oxbow/string.h"
#include "tests/keyval/members_fixture.h"
#include "tests/queue/merge_fixture.h"

#include <time.h>

static void make(void)
{
    rig_make(&rig);
    rig.config.members = oxbow_members();
}

/* A store with members 0 to 9 of each key, and its device gone. */
static void make_with_ten(void)
{
    make();
    rig_open_store(&rig);
    put_all(&rig, 0, 10, 3);
    rig_close(&rig);
    begin_stand_in();
}

static enum oxbow_type type_of(const char *key)
{
    struct oxbow_txn *txn = rig_txn(&rig);
    enum oxbow_type type;

    assert_int_equal(oxbow_key_type(txn, bytes_of(key), &type), OXBOW_OK);
    oxbow_txn_abort(txn);
    return type;
}

/* ---- what goes where ---- */

static void members_go_over_those_of_the_store_and_beside_the_others(void **state)
{
    (void)state;
    make_with_ten();
    put_all(&rig, 5, 10, 4);
    come_back();
    assert_int_equal(recovery_of().merged, 30);
    assert_all(&rig, 0, 5, 3);
    assert_all(&rig, 5, 10, 4);
    assert_counts(&rig, 15);
    rig_free(&rig);
}

static void what_was_removed_in_the_stand_in_was_not_the_stores(void **state)
{
    struct oxbow_txn *txn;

    (void)state;
    make_with_ten();
    put_all(&rig, 3, 2, 4);
    for (unsigned t = 0; t < 3; t++) {
        txn = rig_txn(&rig);
        assert_int_equal(member_drop(txn, KEY_TYPES[t], bytes_of(key_names[t]), 3), OXBOW_OK);
        assert_int_equal(member_drop(txn, KEY_TYPES[t], bytes_of(key_names[t]), 7), OXBOW_OK);
        rig_commit(&rig, txn);
    }
    come_back();
    assert_all(&rig, 0, 4, 3);
    assert_all(&rig, 4, 1, 4);
    assert_all(&rig, 5, 5, 3);
    assert_counts(&rig, 10);
    rig_free(&rig);
}

static void batches_databases_and_names(void **state)
{
    const int count = 3 * MERGE_BATCH + 7;
    const struct oxbow_bytes odd[] = {{"", 0}, {"a\0b\xff", 4}};

    (void)state;
    make();
    begin_stand_in();
    put_all(&rig, 0, count, 4);
    for (unsigned t = 0; t < 3; t++) {
        struct oxbow_txn *txn = rig_txn(&rig);

        assert_int_equal(oxbow_txn_select(txn, 7 + t), OXBOW_OK);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(member_put(txn, KEY_TYPES[t], odd[i], 5, 6), OXBOW_OK);
        }
        rig_commit(&rig, txn);
    }
    come_back();
    assert_int_equal(recovery_of().merged, 3 * count + 6);
    assert_all(&rig, 0, count, 4);
    assert_counts(&rig, (uint64_t)count);
    for (unsigned t = 0; t < 3; t++) {
        struct oxbow_txn *txn = rig_txn(&rig);

        assert_int_equal(oxbow_txn_select(txn, 7 + t), OXBOW_OK);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(member_get(txn, KEY_TYPES[t], odd[i], 5),
                             KEY_TYPES[t] == OXBOW_TYPE_SET ? 1 : 6);
        }
        oxbow_txn_abort(txn);
    }
    rig_free(&rig);
}

static void long_members_and_values_come_whole(void **state)
{
    static char bytes[200000];
    const size_t lens[] = {0, 257, 385, 5000, 70000, sizeof bytes};
    struct oxbow_result r = {0};
    struct oxbow_txn *txn;

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    make();
    begin_stand_in();
    for (unsigned i = 0; i < 6; i++) {
        const struct oxbow_bytes member = {bytes, lens[i]};
        const struct oxbow_field field = {member, {bytes, lens[5 - i]}};
        const struct oxbow_scored scored = {member, (double)i / 3};

        txn = rig_txn(&rig);
        assert_int_equal(oxbow_hash_set(txn, bytes_of("hash"), &field, 1, NULL), OXBOW_OK);
        assert_int_equal(oxbow_set_add(txn, bytes_of("set"), &member, 1, NULL), OXBOW_OK);
        assert_int_equal(oxbow_zset_add(txn, bytes_of("zset"), 0, &scored, 1, NULL), OXBOW_OK);
        rig_commit(&rig, txn);
    }
    come_back();
    assert_counts(&rig, 6);
    txn = rig_txn(&rig);
    for (unsigned i = 0; i < 6; i++) {
        const struct oxbow_bytes member = {bytes, lens[i]};
        double score;
        bool has;

        assert_int_equal(oxbow_hash_get(txn, bytes_of("hash"), member, &r), OXBOW_OK);
        assert_int_equal(r.items[0].len, lens[5 - i]);
        assert_memory_equal(r.items[0].data, bytes, lens[5 - i]);
        assert_int_equal(oxbow_set_has(txn, bytes_of("set"), member, &has), OXBOW_OK);
        assert_true(has);
        assert_int_equal(oxbow_zset_score(txn, bytes_of("zset"), member, &score), OXBOW_OK);
        assert_true(score == (double)i / 3);
    }
    oxbow_txn_abort(txn);
    oxbow_result_fini(&r);
    rig_free(&rig);
}

static void scores_come_as_they_were(void **state)
{
    static const double scores[] = {INFINITY, -INFINITY, 0.0, -0.0, 5e-324, 1e308, 0.1};
    struct oxbow_txn *txn;

    (void)state;
    make_with_ten();
    txn = rig_txn(&rig);
    for (int i = 0; i < 7; i++) {
        char name[16];
        const struct oxbow_scored s = {numbered(name, i), scores[i]};

        assert_int_equal(oxbow_zset_add(txn, bytes_of("zset"), 0, &s, 1, NULL), OXBOW_OK);
    }
    rig_commit(&rig, txn);
    come_back();
    txn = rig_txn(&rig);
    for (int i = 0; i < 7; i++) {
        char name[16];
        double score;

        assert_int_equal(oxbow_zset_score(txn, bytes_of("zset"), numbered(name, i), &score),
                         OXBOW_OK);
        assert_memory_equal(&score, &scores[i], sizeof score);
    }
    oxbow_txn_abort(txn);
    rig_free(&rig);
}

static void a_name_of_another_type_stays_and_they_go_beside_it(void **state)
{
    char aside[64];

    (void)state;
    make();
    rig_open_store(&rig);
    push_numbers(&rig, "hash", 0, 3);
    push_numbers(&rig, "set", 0, 3);
    put_all(&rig, 0, 0, 0);
    rig_close(&rig);
    begin_stand_in();
    put_all(&rig, 0, 2 * MERGE_BATCH, 4);
    snprintf(aside, sizeof aside, "hash:meanwhile:%016llx",
             (unsigned long long)stat_of(&rig).store_id);
    come_back();
    assert_numbers(&rig, "hash", true, 0, 3);
    assert_numbers(&rig, "set", true, 0, 3);
    assert_int_equal(type_of("zset"), OXBOW_TYPE_ZSET);
    assert_int_equal(type_of(aside), OXBOW_TYPE_HASH);
    {
        struct oxbow_txn *txn = rig_txn(&rig);

        for (int i = 0; i < (int)(2 * MERGE_BATCH); i++) {
            assert_int_equal(member_get(txn, OXBOW_TYPE_HASH, bytes_of(aside), i), 4);
        }
        oxbow_txn_abort(txn);
    }
    rig_free(&rig);
}

/* ---- times to live ---- */

static void fields_bring_their_own_time_to_live_or_none(void **state)
{
    (void)state;
    make();
    rig_open_store(&rig);
    put_all(&rig, 0, 10, 3);
    field_expire(&rig, "hash", 0, HOUR_MS);
    field_expire(&rig, "hash", 1, HOUR_MS);
    rig_close(&rig);
    begin_stand_in();
    put_all(&rig, 1, 2, 4);
    field_expire(&rig, "hash", 2, 2 * HOUR_MS);
    come_back();
    assert_in_range(field_ttl(&rig, "hash", 0), HOUR_MS / 2, HOUR_MS);
    assert_true(field_ttl(&rig, "hash", 1) == UINT64_MAX);
    assert_in_range(field_ttl(&rig, "hash", 2), HOUR_MS + HOUR_MS / 2, 2 * HOUR_MS);
    assert_true(field_ttl(&rig, "hash", 3) == UINT64_MAX);
    rig_free(&rig);
}

static void what_has_expired_does_not_come(void **state)
{
    const struct timespec nap = {2, 100000000};

    (void)state;
    make_with_ten();
    put_all(&rig, 8, 4, 4);
    field_expire(&rig, "hash", 8, 2000); /* not before it is closed, as a rule */
    field_expire(&rig, "hash", 11, 2000);
    rig_close(&rig);
    nanosleep(&nap, NULL);
    device_back(&rig);
    rig_open_store(&rig);
    assert_int_equal(recovery_of().merged, 10);
    {
        struct oxbow_txn *txn = rig_txn(&rig);

        assert_int_equal(member_get(txn, OXBOW_TYPE_HASH, bytes_of("hash"), 8), 3);
        assert_int_equal(member_get(txn, OXBOW_TYPE_HASH, bytes_of("hash"), 9), 4);
        assert_int_equal(member_get(txn, OXBOW_TYPE_HASH, bytes_of("hash"), 11), -1);
        oxbow_txn_abort(txn);
    }
    rig_free(&rig);
}

static void a_key_brings_its_time_to_live_where_there_was_none_of_that_name(void **state)
{
    (void)state;
    make_with_ten();
    for (unsigned t = 0; t < 3; t++) {
        static const char *const fresh[] = {"h2", "s2", "z2"};
        enum oxbow_expire_done done;
        struct oxbow_txn *txn = rig_txn(&rig);

        for (int i = 0; i < 2 * (int)MERGE_BATCH; i++) {
            assert_int_equal(member_put(txn, KEY_TYPES[t], bytes_of(fresh[t]), i, 4), OXBOW_OK);
        }
        assert_int_equal(member_put(txn, KEY_TYPES[t], bytes_of(key_names[t]), 1, 4), OXBOW_OK);
        assert_int_equal(oxbow_key_expire(txn, bytes_of(fresh[t]), HOUR_MS, 0, &done), OXBOW_OK);
        assert_int_equal(oxbow_key_expire(txn, bytes_of(key_names[t]), HOUR_MS, 0, &done),
                         OXBOW_OK);
        rig_commit(&rig, txn);
    }
    come_back();
    for (unsigned t = 0; t < 3; t++) {
        static const char *const fresh[] = {"h2", "s2", "z2"};
        struct oxbow_txn *txn = rig_txn(&rig);
        uint64_t left;

        assert_int_equal(oxbow_key_ttl(txn, bytes_of(fresh[t]), &left), OXBOW_OK);
        assert_in_range(left, HOUR_MS / 2, HOUR_MS);
        assert_int_equal(member_count(txn, KEY_TYPES[t], bytes_of(fresh[t])), 2 * MERGE_BATCH);
        assert_int_equal(oxbow_key_ttl(txn, bytes_of(key_names[t]), &left), OXBOW_OK);
        assert_true(left == UINT64_MAX);
        oxbow_txn_abort(txn);
    }
    rig_free(&rig);
}

/* ---- what cannot come ---- */

static void they_stay_until_the_configuration_names_them(void **state)
{
    (void)state;
    make_with_ten();
    put_all(&rig, 5, 10, 4);
    push_numbers(&rig, "l", 0, 5);
    rig_close(&rig);
    device_back(&rig);
    rig.config.members = NULL;
    for (int i = 0; i < 2; i++) {
        rig_open(&rig);
        assert_int_equal(recovery_of().merge_left, OXBOW_ENOTSUP);
        assert_numbers(&rig, "l", true, 0, 5);
        assert_all(&rig, 0, 10, 3);
        rig_close(&rig);
    }
    rig.config.members = oxbow_members();
    rig_open_store(&rig);
    assert_numbers(&rig, "l", true, 0, 5);
    assert_all(&rig, 5, 10, 4);
    assert_counts(&rig, 15);
    rig_free(&rig);
}

static void what_a_full_store_refuses_stays_and_comes_later(void **state)
{
    static char value[4000];
    const int count = 700;
    struct oxbow_txn *txn;
    struct oxbow_bytes fill = {value, sizeof value};
    enum oxbow_err err = OXBOW_OK;

    (void)state;
    make();
    rig.config.quota_bytes = 2u << 20;
    rig_open(&rig);
    while (err == OXBOW_OK) {
        txn = rig_txn(&rig);
        err = oxbow_list_push(txn, bytes_of("fill"), OXBOW_RIGHT, &fill, 1, NULL);
        if (err == OXBOW_OK) {
            rig_commit(&rig, txn);
        } else {
            oxbow_txn_abort(txn);
        }
    }
    assert_int_equal(err, OXBOW_EQUOTA);
    rig_close(&rig);
    begin_stand_in();
    put_all(&rig, 0, count, 4);
    rig_close(&rig);
    device_back(&rig);
    rig_open(&rig);
    assert_int_equal(recovery_of().merge_left, OXBOW_EQUOTA);
    txn = rig_txn(&rig);
    assert_int_equal(oxbow_key_delete(txn, bytes_of("fill"), NULL), OXBOW_OK);
    rig_commit(&rig, txn);
    for (int i = 0; i < 3000 && stat_of(&rig).used_bytes > (1u << 20); i++) {
        const struct timespec nap = {0, 10000000};

        nanosleep(&nap, NULL); /* it is reaped */
    }
    rig_close(&rig);
    rig_open_store(&rig);
    assert_all(&rig, 0, count, 4);
    assert_counts(&rig, (uint64_t)count);
    rig_free(&rig);
}

static void a_stand_in_that_is_full_is_emptied_all_the_same(void **state)
{
    enum oxbow_err err = OXBOW_OK;
    int count = 0;

    (void)state;
    make();
    begin_stand_in();
    while (err == OXBOW_OK) {
        struct oxbow_txn *txn = rig_txn(&rig);

        for (int i = 0; i < 100 && err == OXBOW_OK; i++) {
            err = member_put(txn, OXBOW_TYPE_ZSET, bytes_of("zset"), count, 4);
            count += err == OXBOW_OK;
        }
        rig_commit(&rig, txn);
    }
    assert_int_equal(err, OXBOW_EQUOTA);
    assert_true(count > 10000);
    come_back();
    {
        struct oxbow_txn *txn = rig_txn(&rig);

        assert_int_equal(member_count(txn, OXBOW_TYPE_ZSET, bytes_of("zset")), count);
        oxbow_txn_abort(txn);
    }
    rig_free(&rig);
}

/* ---- the mark ---- */

static void afterwards_the_mark_is_one_that_older_versions_know(void **state)
{
    static const uint8_t key[] = {KV_SPACE_STORE, STORE_KEY_MERGED};
    struct oxbow_bytes mark;
    struct oxbow_txn *txn;

    (void)state;
    make_with_ten();
    put_all(&rig, 5, 10, 4);
    come_back();
    txn = rig_txn(&rig);
    assert_int_equal(kv_get(txn, (struct oxbow_bytes){key, sizeof key}, &mark), OXBOW_OK);
    assert_in_range(((const uint8_t *)mark.data)[1], MERGE_STREAM, MERGE_ONCE);
    oxbow_txn_abort(txn);
    rig_free(&rig);
}

/* ---- by chance ---- */

#define RANGE  400
#define ROUNDS 12

static int model[3][RANGE]; /* -1: not there */
static int meanwhile[3][RANGE];
static uint64_t rng;

static uint64_t draw(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng >> 11;
}

static void change_some(int there[3][RANGE], int most)
{
    int count = (int)(draw() % (unsigned)most);

    for (int n = 0; n < count; n++) {
        unsigned t = (unsigned)(draw() % 3);
        int i = (int)(draw() % RANGE);
        int value = (int)(draw() % 1000);
        struct oxbow_txn *txn = rig_txn(&rig);

        if (draw() % 4 == 0) {
            assert_int_equal(member_drop(txn, KEY_TYPES[t], bytes_of(key_names[t]), i), OXBOW_OK);
            there[t][i] = -1;
        } else {
            assert_int_equal(member_put(txn, KEY_TYPES[t], bytes_of(key_names[t]), i, value),
                             OXBOW_OK);
            there[t][i] = KEY_TYPES[t] == OXBOW_TYPE_SET ? 1 : value;
        }
        rig_commit(&rig, txn);
    }
}

static void agree(void)
{
    struct oxbow_txn *txn = rig_txn(&rig);

    for (unsigned t = 0; t < 3; t++) {
        uint64_t count = 0;

        for (int i = 0; i < RANGE; i++) {
            assert_int_equal(member_get(txn, KEY_TYPES[t], bytes_of(key_names[t]), i), model[t][i]);
            count += model[t][i] >= 0;
        }
        assert_int_equal(member_count(txn, KEY_TYPES[t], bytes_of(key_names[t])), count);
    }
    oxbow_txn_abort(txn);
}

/* Opens a few times with a call that fails, whatever comes of that, and then without. */
static void come_back_with_faults(void)
{
    rig_close(&rig);
    device_back(&rig);
    for (uint64_t n = draw() % 4; n > 0; n--) {
        fault_arm_files(&rig.f, FAULT_ALL, 1 + draw() % 150, 1, OXBOW_EIO);
        if (oxbow_open(&rig.config, &rig.db) == OXBOW_OK) {
            enum oxbow_err closed = oxbow_close(rig.db);

            assert_true(closed == OXBOW_OK || rig.f.file_failed > 0);
        }
        rig.db = NULL;
        fault_disarm(&rig.f);
    }
    rig_open_store(&rig);
}

static void stores_and_stand_ins_agree_with_a_model(void **state)
{
    const char *seed = getenv("OXBOW_SEED");

    (void)state;
    rng = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    rng += rng == 0;
    print_message("members: OXBOW_SEED=%llu\n", (unsigned long long)rng);
    memset(model, -1, sizeof model);
    make();
    rig_open_store(&rig);
    for (int round = 0; round < ROUNDS; round++) {
        change_some(model, 200);
        rig_close(&rig);
        begin_stand_in();
        memset(meanwhile, -1, sizeof meanwhile);
        change_some(meanwhile, round % 3 == 0 ? 1500 : 100);
        come_back_with_faults();
        for (unsigned t = 0; t < 3; t++) {
            for (int i = 0; i < RANGE; i++) {
                model[t][i] = meanwhile[t][i] >= 0 ? meanwhile[t][i] : model[t][i];
            }
        }
        agree();
    }
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_go_over_those_of_the_store_and_beside_the_others),
        cmocka_unit_test(what_was_removed_in_the_stand_in_was_not_the_stores),
        cmocka_unit_test(batches_databases_and_names),
        cmocka_unit_test(long_members_and_values_come_whole),
        cmocka_unit_test(scores_come_as_they_were),
        cmocka_unit_test(a_name_of_another_type_stays_and_they_go_beside_it),
        cmocka_unit_test(fields_bring_their_own_time_to_live_or_none),
        cmocka_unit_test(what_has_expired_does_not_come),
        cmocka_unit_test(a_key_brings_its_time_to_live_where_there_was_none_of_that_name),
        cmocka_unit_test(they_stay_until_the_configuration_names_them),
        cmocka_unit_test(what_a_full_store_refuses_stays_and_comes_later),
        cmocka_unit_test(a_stand_in_that_is_full_is_emptied_all_the_same),
        cmocka_unit_test(afterwards_the_mark_is_one_that_older_versions_know),
        cmocka_unit_test(stores_and_stand_ins_agree_with_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
