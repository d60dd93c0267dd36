/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores that earlier builds of this format version wrote. Each archive in tests/golden is unpacked
 * and opened, and everything in it must be there: what a checkpoint holds, and what only frames of
 * the journal hold, for its writer ended without closing it.
 *
 *   golden_test             checks every archive that it is told of at build time
 *   golden_test --make DIR  writes such a store (tests/golden/make.sh)
 *
 * What it writes is part of the format's history: it is not changed, a new version gets a new one.
 */
#include "oxbow/forward.h"
#include "oxbow/group.h"
#include "oxbow/list.h"
#include "oxbow/oxbow.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"
#include "oxbow/upgrade.h"
#include "tests/golden/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IN_TREE    40u /* elements and entries that are in a checkpoint */
#define IN_ALL     60u /* and with those that the journal holds */
#define BLOB_BYTES 100000u
#define FIRST_MS   1700000000000u

static const struct oxbow_config config = {.quota_bytes = 4u << 20,
                                           .dirty_pages = 32,
                                           .memtable_bytes = 256u << 10,
                                           .txn_bytes = 256u << 10,
                                           .entry_bytes = 128u << 10,
                                           .journal = OXBOW_JOURNAL_ON,
                                           .journal_segments = 2,
                                           .journal_bytes = 65536};
static uint8_t blob[BLOB_BYTES];

static struct oxbow_bytes text(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static const struct oxbow_group group = {{"readings", 8}, {"workers", 7}};

static void must(enum oxbow_err err)
{
    if (err != OXBOW_OK) {
        (void)fprintf(stderr, "golden: %s\n", oxbow_err_name(err));
        abort();
    }
}

static void fill_blob(void)
{
    for (size_t i = 0; i < sizeof blob; i++) {
        blob[i] = (uint8_t)(i * 31 + i / 256);
    }
}

static struct oxbow *open_store(const char *dir)
{
    struct oxbow_config c = config;
    struct oxbow *db;

    c.dir = dir;
    must(oxbow_open(&c, &db));
    return db;
}

/* ---- writing ---- */

static void add_one(struct oxbow_txn *txn, unsigned i)
{
    struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {FIRST_MS + i, i}};
    struct oxbow_bytes value;
    char number[16];
    uint64_t len;

    (void)snprintf(number, sizeof number, "n%u", i);
    value = text(number);
    must(oxbow_list_push(txn, text("jobs"), OXBOW_RIGHT, &value, 1, &len));
    must(oxbow_stream_add(
        txn, text("readings"), &opt,
        (struct oxbow_field[]){{text("sensor"), text("t1")}, {text("value"), value}}, 2, NULL));
}

/* `group` takes 30 of the first 40, acks 10, and 5 of the rest. */
static void make(const char *dir)
{
    struct oxbow_group_read_options thirty = {.count = 30};
    struct oxbow_group_create_options begin = {0};
    struct oxbow_forward_options forward = {.key = text("outbox"),
                                            .type = OXBOW_TYPE_STREAM,
                                            .target = text("central:outbox"),
                                            .max_bytes = 1000000,
                                            .hold_ms = 60000};
    struct oxbow_bytes large = {blob, sizeof blob};
    struct oxbow_result result = {0};
    struct oxbow *db = open_store(dir);
    struct oxbow_txn *txn;
    struct oxbow_id id;
    uint64_t n;

    must(oxbow_txn_begin(db, NULL, &txn));
    for (unsigned i = 0; i < IN_TREE; i++) {
        add_one(txn, i);
    }
    must(oxbow_group_create(txn, group, &begin));
    must(oxbow_group_read(txn, group, text("anna"), &thirty, &result));
    must(oxbow_forward_create(txn, "up", &forward));
    must(oxbow_txn_commit(txn, NULL));
    must(oxbow_close(db));

    db = open_store(dir);
    for (unsigned i = IN_TREE; i < IN_ALL; i++) { /* packed: each sync would begin a block */
        must(oxbow_txn_begin(db, &(struct oxbow_txn_options){.sync = OXBOW_SYNC_NONE}, &txn));
        add_one(txn, i);
        must(oxbow_txn_commit(txn, NULL));
    }
    must(oxbow_txn_begin(db, NULL, &txn));
    for (unsigned i = 0; i < 10; i++) {
        id = (struct oxbow_id){FIRST_MS + i, i};
        must(oxbow_group_ack(txn, group, &id, 1, &n));
    }
    thirty.count = 5;
    must(oxbow_group_read(txn, group, text("bert"), &thirty, &result));
    must(oxbow_list_push(txn, text("large"), OXBOW_LEFT, &large, 1, &n));
    must(oxbow_stream_add(
        txn, text("outbox"),
        &(struct oxbow_stream_add_options){.id_mode = OXBOW_ID_EXPLICIT, .id = {FIRST_MS, 1}},
        (struct oxbow_field[]){{text("k"), text("v")}}, 1, NULL));
    must(oxbow_txn_commit(txn, NULL));
    oxbow_result_fini(&result);
    _exit(0); /* as if killed: the rest is in the journal alone */
}

/* ---- checking ---- */

static void check_list(struct oxbow_txn *txn)
{
    struct oxbow_result result = {0};
    char number[16];

    assert_int_equal(oxbow_list_range(txn, text("jobs"), 0, -1, &result), OXBOW_OK);
    assert_int_equal(result.item_count, IN_ALL);
    for (unsigned i = 0; i < IN_ALL; i++) {
        (void)snprintf(number, sizeof number, "n%u", i);
        assert_int_equal(result.items[i].len, strlen(number));
        assert_memory_equal(result.items[i].data, number, strlen(number));
    }
    assert_int_equal(oxbow_list_range(txn, text("large"), 0, -1, &result), OXBOW_OK);
    assert_int_equal(result.item_count, 1);
    assert_int_equal(result.items[0].len, sizeof blob);
    assert_memory_equal(result.items[0].data, blob, sizeof blob);
    oxbow_result_fini(&result);
}

static void check_stream(struct oxbow_txn *txn)
{
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};
    struct oxbow_result result = {0};
    char number[16];

    assert_int_equal(oxbow_stream_range(txn, text("readings"), &all, &result), OXBOW_OK);
    assert_int_equal(result.entry_count, IN_ALL);
    for (unsigned i = 0; i < IN_ALL; i++) {
        const struct oxbow_entry *e = &result.entries[i];

        (void)snprintf(number, sizeof number, "n%u", i);
        assert_int_equal(e->id.ms, FIRST_MS + i);
        assert_int_equal(e->id.seq, i);
        assert_int_equal(e->field_count, 2);
        assert_memory_equal(e->fields[0].name.data, "sensor", 6);
        assert_int_equal(e->fields[1].value.len, strlen(number));
        assert_memory_equal(e->fields[1].value.data, number, strlen(number));
    }
    oxbow_result_fini(&result);
}

static void check_group(struct oxbow_txn *txn)
{
    const struct oxbow_pending_filter all = {.to = OXBOW_ID_MAX, .count = 100};
    struct oxbow_pending rows[100];
    struct oxbow_result names = {0};
    struct oxbow_group_info info;
    size_t n = 0;

    assert_int_equal(oxbow_group_pending(txn, group, &all, &names, rows, &n), OXBOW_OK);
    assert_int_equal(n, 25);
    for (unsigned i = 0; i < 25; i++) {
        assert_int_equal(rows[i].id.seq, i + 10);
        assert_int_equal(rows[i].deliveries, 1);
        assert_memory_equal(rows[i].consumer.data, i < 20 ? "anna" : "bert", 4);
    }
    assert_int_equal(oxbow_group_info(txn, group, &info), OXBOW_OK);
    assert_int_equal(info.pending, 25);
    assert_int_equal(info.last_id.seq, 34);
    oxbow_result_fini(&names);
}

static void check_forward(struct oxbow_txn *txn)
{
    const struct oxbow_forward_fetch want = {.count = 10};
    struct oxbow_forward_batch batch;
    struct oxbow_result result = {0};
    struct oxbow_forward forward;

    assert_int_equal(oxbow_forward_get(txn, "up", &forward), OXBOW_OK);
    assert_int_equal(forward.options.type, OXBOW_TYPE_STREAM);
    assert_int_equal(forward.options.max_bytes, 1000000);
    assert_int_equal(forward.options.hold_ms, 60000);
    assert_int_equal(forward.options.key.len, 6);
    assert_memory_equal(forward.options.target.data, "central:outbox", 14);
    assert_int_equal(oxbow_forward_fetch(txn, "up", &want, &result, &batch), OXBOW_OK);
    assert_int_equal(batch.count, 1);
    assert_int_equal(result.entries[0].id.ms, FIRST_MS);
    oxbow_result_fini(&result);
}

static void check(struct oxbow *db)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ};
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    check_list(txn);
    check_stream(txn);
    check_group(txn);
    check_forward(txn);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

static void a_store_of_format_1_opens_with_everything_in_it(void **state)
{
    char base[] = "/tmp/oxbow-golden-XXXXXX";
    struct oxbow_recovery rec;
    char dir[64];
    struct oxbow *db;

    (void)state;
    assert_non_null(mkdtemp(base));
    run((const char *const[]){"tar", "-xzf", GOLDEN_1, "-C", base, NULL});
    (void)snprintf(dir, sizeof dir, "%s/store", base);
    db = open_store(dir);
    oxbow_recovery(db, &rec);
    assert_true(rec.replayed > IN_ALL - IN_TREE);
    assert_int_equal(rec.lost_from, 0);
    assert_int_equal(rec.doubt_from, 0);
    assert_int_equal(rec.skipped, 0);
    check(db);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    db = open_store(dir); /* and once more, with nothing to replay */
    check(db);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    run((const char *const[]){"rm", "-r", base, NULL});
}

static enum oxbow_err set_policy(struct oxbow *db)
{
    const struct oxbow_policy policy = {.max_entries = 1000};
    struct oxbow_txn *txn;
    enum oxbow_err err;

    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    err = oxbow_policy_set(txn, text("readings"), &policy);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    return err;
}

static void read_format(const char *dir, char out[256])
{
    char path[80];
    size_t n;
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/FORMAT", dir);
    f = fopen(path, "rb");
    assert_non_null(f);
    n = fread(out, 1, 255, f);
    assert_int_equal(fclose(f), 0);
    out[n] = '\0';
}

/* 25: "an update, or taking it back, must not lose the backlog" */
static void complaint_25_an_upgrade_can_be_taken_back_until_it_is_confirmed(void **state)
{
    char base[] = "/tmp/oxbow-golden-XXXXXX";
    char before[256];
    char after[256];
    char dir[64];
    struct oxbow *db;

    (void)state;
    assert_non_null(mkdtemp(base));
    run((const char *const[]){"tar", "-xzf", GOLDEN_1, "-C", base, NULL});
    (void)snprintf(dir, sizeof dir, "%s/store", base);
    read_format(dir, before);
    db = open_store(dir); /* the new version, on trial */
    check(db);
    assert_int_equal(set_policy(db), OXBOW_ELEVEL);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    read_format(dir, after);
    assert_string_equal(before, after); /* all that the version before looks at */
    db = open_store(dir);
    check(db);
    assert_int_equal(oxbow_upgrade(db), OXBOW_OK);
    assert_int_equal(set_policy(db), OXBOW_OK);
    check(db);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    read_format(dir, after);
    assert_string_not_equal(before, after);
    db = open_store(dir);
    check(db);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    run((const char *const[]){"rm", "-r", base, NULL});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_of_format_1_opens_with_everything_in_it),
        cmocka_unit_test(complaint_25_an_upgrade_can_be_taken_back_until_it_is_confirmed),
    };

    fill_blob();
    if (argc == 3 && strcmp(argv[1], "--make") == 0) {
        make(argv[2]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
