/* SPDX-License-Identifier: Apache-2.0 */
/* Levels and features: what a version before and one after this one would find, and what this one
 * makes of a store of the one after. */
#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "tests/store/kv_fixture.h"
#include "tests/support/fault.h"

#include <stdio.h>
#include <unistd.h>

static struct fault fault;
static const uint8_t record_key[] = {KV_SPACE_STORE, STORE_KEY_FEATURES};

static int set_up(void **state)
{
    struct rig *rig = malloc(sizeof *rig);

    assert_non_null(rig);
    rig_init(rig, OXBOW_SYNC_ALWAYS);
    fault_init(&fault, &rig->port);
    rig->config.port = &fault.port;
    rig->config.quota_bytes = 4u << 20;
    rig->config.journal_segments = 2;
    rig->config.journal_bytes = 65536;
    *state = rig;
    return 0;
}

static const char *path_of(const struct rig *rig, const char *name)
{
    static char path[400];

    snprintf(path, sizeof path, "%s/%s", rig->store, name);
    return path;
}

static size_t read_format(const struct rig *rig, char out[FORMAT_BYTES_MAX])
{
    FILE *f = fopen(path_of(rig, STORE_FORMAT), "rb");
    size_t n;

    assert_non_null(f);
    n = fread(out, 1, FORMAT_BYTES_MAX - 1, f);
    assert_int_equal(fclose(f), 0);
    out[n] = '\0';
    return n;
}

static struct oxbow_format format_of(struct rig *rig)
{
    struct oxbow_txn *txn = rig_begin(rig, OXBOW_TXN_READ);
    struct oxbow_format got;

    assert_int_equal(oxbow_format(txn, &got), OXBOW_OK);
    rig_commit(txn);
    assert_int_equal(got.level_known, OXBOW_FORMAT_LEVEL);
    return got;
}

static const struct oxbow_feature *policy_row(void)
{
    size_t count;
    const struct oxbow_feature *rows = oxbow_features(&count);

    assert_int_equal(count, STORE_FEATURE_COUNT);
    return &rows[STORE_FEATURE_POLICY];
}

static bool uses_policies(struct rig *rig)
{
    const struct oxbow_feature *row = policy_row();

    return (format_of(rig).used[row->kind] >> row->bit & 1) != 0;
}

static enum oxbow_err require(struct rig *rig, bool commit)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);
    enum oxbow_err err = txn_feature_require(txn, STORE_FEATURE_POLICY);

    if (commit) {
        rig_commit(txn);
    } else {
        rig_abort(txn);
    }
    return err;
}

static void every_feature_has_a_place_of_its_own(void **state)
{
    uint64_t taken[OXBOW_FEATURE_KINDS] = {0};
    size_t count;
    const struct oxbow_feature *rows = oxbow_features(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_non_null(rows[i].name);
        assert_true(rows[i].kind < OXBOW_FEATURE_KINDS && rows[i].bit < 64);
        assert_true(rows[i].level >= 2 && rows[i].level <= OXBOW_FORMAT_LEVEL);
        assert_int_equal(taken[rows[i].kind] >> rows[i].bit & 1, 0);
        taken[rows[i].kind] |= (uint64_t)1 << rows[i].bit;
    }
}

static void a_feature_is_noted_with_its_first_use_and_not_before(void **state)
{
    struct rig *rig = *state;

    rig_open(rig);
    assert_int_equal(format_of(rig).level, OXBOW_FORMAT_LEVEL);
    assert_false(uses_policies(rig));
    assert_int_equal(require(rig, false), OXBOW_OK); /* taken back with its transaction */
    assert_false(uses_policies(rig));
    assert_int_equal(require(rig, true), OXBOW_OK);
    assert_true(uses_policies(rig));
    assert_int_equal(require(rig, false), OXBOW_OK);
    assert_true(uses_policies(rig));
    rig_reopen(rig);
    assert_true(uses_policies(rig));
}

static void a_feature_that_is_noted_costs_no_write(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn;

    rig_open(rig);
    assert_int_equal(require(rig, true), OXBOW_OK);
    txn = rig_begin(rig, 0);
    assert_int_equal(txn_feature_require(txn, STORE_FEATURE_POLICY), OXBOW_OK);
    assert_int_equal(txn->writes, 0);
    rig_commit(txn);
}

static void an_older_level_is_kept_until_the_upgrade_is_confirmed(void **state)
{
    struct rig *rig = *state;
    char text[FORMAT_BYTES_MAX];

    rig->config.level = 1;
    rig_open(rig);
    rig->config.level = 0;
    rig_reopen(rig); /* the level of a store that is there is its own */
    assert_int_equal(format_of(rig).level, 1);
    assert_int_equal(require(rig, true), OXBOW_ELEVEL);
    assert_false(uses_policies(rig));
    read_format(rig, text);
    assert_non_null(strstr(text, "\nformat 1\n"));
    assert_null(strstr(text, "sum"));

    assert_int_equal(oxbow_upgrade(rig->db), OXBOW_OK);
    assert_int_equal(format_of(rig).level, OXBOW_FORMAT_LEVEL);
    assert_int_equal(require(rig, true), OXBOW_OK);
    assert_int_equal(oxbow_upgrade(rig->db), OXBOW_OK);
    rig_reopen(rig);
    assert_int_equal(format_of(rig).level, OXBOW_FORMAT_LEVEL);
    assert_true(uses_policies(rig));
    rig->config.level = OXBOW_FORMAT_LEVEL + 1;
    rig_close(rig);
    assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_EINVAL);
}

static void an_upgrade_fails_whole(void **state)
{
    struct rig *rig = *state;
    unsigned points = 0;
    uint64_t n;

    for (n = 1;; n++) {
        bool failed;
        enum oxbow_err err;

        snprintf(rig->store, sizeof rig->store, "%.200s/%llu", rig->dir, (unsigned long long)n);
        rig->config.level = 1;
        rig_open(rig);
        fault_arm_files(&fault, FAULT_ALL & ~FAULT_CLOSE, n, 1, OXBOW_EIO);
        err = oxbow_upgrade(rig->db);
        failed = fault.file_failed > 0;
        fault_disarm(&fault);
        assert_int_equal(err, failed ? OXBOW_EIO : OXBOW_OK);
        points += failed;
        assert_int_equal(oxbow_close(rig->db), failed ? OXBOW_EIO : OXBOW_OK);
        rig->db = NULL;
        rig_open(rig);
        assert_true(format_of(rig).level == 1 || format_of(rig).level == OXBOW_FORMAT_LEVEL);
        assert_int_equal(oxbow_upgrade(rig->db), OXBOW_OK);
        assert_int_equal(require(rig, true), OXBOW_OK);
        rig_close(rig);
        if (!failed) {
            break;
        }
    }
    assert_true(points >= 8);
}

static void without_space_a_store_stays_at_its_level_and_works_on(void **state)
{
    struct rig *rig = *state;

    rig->config.level = 1;
    rig_open(rig);
    fault_arm_files(&fault, FAULT_WRITE, 1, 1, OXBOW_ENOSPC);
    assert_int_equal(oxbow_upgrade(rig->db), OXBOW_ENOSPC);
    fault_disarm(&fault);
    assert_int_equal(format_of(rig).level, 1);
    assert_int_equal(require(rig, true), OXBOW_ELEVEL);
    assert_int_equal(oxbow_upgrade(rig->db), OXBOW_OK);
    assert_int_equal(require(rig, true), OXBOW_OK);
}

static void an_upgrade_never_writes_into_another_stores_directory(void **state)
{
    struct rig *rig = *state;
    struct rig other = *rig;
    char mine[300];
    char before[FORMAT_BYTES_MAX];
    char after[FORMAT_BYTES_MAX];

    snprintf(other.store, sizeof other.store, "%.200s/other", rig->dir);
    other.config.dir = other.store;
    other.config.level = rig->config.level = 1;
    rig_open(&other);
    rig_close(&other);
    rig_open(rig);
    snprintf(mine, sizeof mine, "%.200s/mine", rig->dir);
    assert_int_equal(rename(rig->store, mine), 0);
    assert_int_equal(rename(other.store, rig->store), 0);
    read_format(rig, before);
    assert_int_equal(oxbow_upgrade(rig->db), OXBOW_ENOENT);
    read_format(rig, after);
    assert_string_equal(before, after);
    (void)!oxbow_close(rig->db);
    rig->db = NULL;
}

static void a_store_that_is_only_read_is_not_upgraded(void **state)
{
    struct rig *rig = *state;

    rig->config.level = 1;
    rig_open(rig);
    rig_close(rig);
    rig->config.flags = OXBOW_OPEN_READONLY;
    rig_open(rig);
    assert_int_equal(oxbow_upgrade(rig->db), OXBOW_EREADONLY);
    assert_int_equal(format_of(rig).level, 1);
}

/* ---- a store of the version after this one ---- */

/* Gives the store the next level, with a line in FORMAT that this version does not know, and a feature
 * of the next version; its record is longer than ours. */
static void make_next(struct rig *rig, enum oxbow_feature_kind kind, uint32_t bit)
{
    uint8_t record[40] = {1};
    char text[FORMAT_BYTES_MAX];
    struct oxbow_txn *txn;
    size_t len;
    FILE *f;

    rig_open(rig);
    put_le64(record + 8 + 8 * kind, (uint64_t)1 << bit);
    record[39] = 77;
    txn = rig_begin(rig, 0);
    put(txn, (struct oxbow_bytes){record_key, sizeof record_key},
        (struct oxbow_bytes){record, sizeof record});
    put(txn, BYTES("k"), BYTES("v"));
    rig_commit(txn);
    len = read_format(rig, text) - 13;
    assert_memory_equal(text + 19, "1.2", 3);
    text[21] = '0' + OXBOW_FORMAT_LEVEL + 1;
    len += (size_t)snprintf(text + len, sizeof text - len, "news\n");
    len += (size_t)snprintf(text + len, sizeof text - len, "sum %08x\n",
                            (unsigned)crc32c(0, text, len));
    rig_close(rig);
    f = fopen(path_of(rig, STORE_FORMAT), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void assert_kept(struct rig *rig, enum oxbow_feature_kind kind, uint32_t bit)
{
    struct oxbow_txn *txn = rig_begin(rig, OXBOW_TXN_READ);
    struct oxbow_bytes got;

    assert_value(txn, BYTES("k"), BYTES("v"));
    assert_int_equal(kv_get(txn, (struct oxbow_bytes){record_key, sizeof record_key}, &got),
                     OXBOW_OK);
    assert_int_equal(got.len, 40);
    assert_int_equal(((const uint8_t *)got.data)[39], 77);
    rig_commit(txn);
    assert_int_equal(format_of(rig).used[kind] >> bit & 1, 1);
    assert_int_equal(format_of(rig).level, OXBOW_FORMAT_LEVEL + 1);
}

static void the_next_versions_store_is_written_when_its_features_allow_it(void **state)
{
    struct rig *rig = *state;

    make_next(rig, OXBOW_FEATURE_HAS, 63);
    for (unsigned i = 0; i < 2; i++) {
        rig_open(rig);
        assert_kept(rig, OXBOW_FEATURE_HAS, 63);
        assert_int_equal(require(rig, true), OXBOW_OK); /* changes the record */
        assert_true(uses_policies(rig));
        assert_kept(rig, OXBOW_FEATURE_HAS, 63);
        assert_int_equal(oxbow_upgrade(rig->db), OXBOW_OK); /* above what we know: nothing to do */
        rig_close(rig);
    }
}

static void the_next_versions_store_is_only_read_when_its_features_demand_it(void **state)
{
    struct rig *rig = *state;

    make_next(rig, OXBOW_FEATURE_WRITES, 40);
    assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_EFORMAT);
    rig->config.flags = OXBOW_OPEN_READONLY;
    rig_open(rig);
    assert_kept(rig, OXBOW_FEATURE_WRITES, 40);
}

static void the_next_versions_store_is_refused_when_its_features_demand_it(void **state)
{
    static const uint32_t flags[] = {0, OXBOW_OPEN_EXISTING, OXBOW_OPEN_READONLY,
                                     OXBOW_OPEN_REPAIR};
    struct rig *rig = *state;
    char before[FORMAT_BYTES_MAX];
    char after[FORMAT_BYTES_MAX];

    make_next(rig, OXBOW_FEATURE_NEEDS, 40);
    read_format(rig, before);
    for (size_t i = 0; i < 4; i++) {
        rig->config.flags = flags[i];
        assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_EFORMAT);
        assert_int_equal(fault.live_bytes, 0);
    }
    read_format(rig, after);
    assert_string_equal(before, after);
}

static void what_the_journal_alone_holds_is_seen_as_well(void **state)
{
    struct rig *rig = *state;
    uint8_t record[32] = {1};
    static char copy[300];
    char line[700];
    struct oxbow_txn *txn;

    rig_open(rig);
    put_le64(record + 8 + 8 * OXBOW_FEATURE_NEEDS, (uint64_t)1 << 40);
    txn = rig_begin(rig, 0);
    put(txn, (struct oxbow_bytes){record_key, sizeof record_key},
        (struct oxbow_bytes){record, sizeof record});
    rig_commit(txn);
    snprintf(copy, sizeof copy, "%.200s/copy", rig->dir); /* as after a power cut */
    snprintf(line, sizeof line, "cp -r '%s' '%s'", rig->store, copy);
    assert_int_equal(system(line), 0);
    rig_close(rig);
    rig->config.dir = copy;
    for (unsigned i = 0; i < 2; i++) { /* having been refused changes nothing */
        assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_EFORMAT);
        assert_int_equal(fault.live_bytes, 0);
    }
}

static void a_newer_versions_store_can_be_set_aside(void **state)
{
    struct rig *rig = *state;
    struct oxbow_recovery rec;
    bool journal;

    make_next(rig, OXBOW_FEATURE_NEEDS, 40);
    journal = access(path_of(rig, "journal.0"), F_OK) == 0;
    rig->config.on_foreign = OXBOW_FOREIGN_SET_ASIDE;
    rig_open(rig);
    oxbow_recovery(rig->db, &rec);
    assert_int_equal(rec.foreign, 1);
    assert_true(rec.foreign_files >= (journal ? 4u : 3u)); /* FORMAT, data, readers, journal */
    assert_int_equal(format_of(rig).level, OXBOW_FORMAT_LEVEL);
    rig_close(rig);
    assert_int_equal(access(path_of(rig, "foreign-1/FORMAT"), F_OK), 0);
    assert_int_equal(access(path_of(rig, "foreign-1/data.mdb"), F_OK), 0);
    assert_int_equal(access(path_of(rig, "foreign-1/journal.0"), F_OK), journal ? 0 : -1);
}

/* ---- damage ---- */

static void a_damaged_record_is_taken_for_all_that_it_may_have_said(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn;

    rig_open(rig);
    txn = rig_begin(rig, 0);
    put(txn, (struct oxbow_bytes){record_key, sizeof record_key}, BYTES("?"));
    rig_commit(txn);
    rig_reopen(rig);
    assert_true(uses_policies(rig));
    rig_reopen(rig);
    assert_true(uses_policies(rig));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, kv_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_feature_has_a_place_of_its_own),
        TEST(a_feature_is_noted_with_its_first_use_and_not_before),
        TEST(a_feature_that_is_noted_costs_no_write),
        TEST(an_older_level_is_kept_until_the_upgrade_is_confirmed),
        TEST(an_upgrade_fails_whole),
        TEST(without_space_a_store_stays_at_its_level_and_works_on),
        TEST(an_upgrade_never_writes_into_another_stores_directory),
        TEST(a_store_that_is_only_read_is_not_upgraded),
        TEST(the_next_versions_store_is_written_when_its_features_allow_it),
        TEST(the_next_versions_store_is_only_read_when_its_features_demand_it),
        TEST(the_next_versions_store_is_refused_when_its_features_demand_it),
        TEST(what_the_journal_alone_holds_is_seen_as_well),
        TEST(a_newer_versions_store_can_be_set_aside),
        TEST(a_damaged_record_is_taken_for_all_that_it_may_have_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
