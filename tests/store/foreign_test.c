/* SPDX-License-Identifier: Apache-2.0 */
/* Setting aside what is no store: all of it or nothing, whichever call fails, and never a store of
 * this version that is damaged, or one that somebody has open. */
#include "engine/base/hash.h"
#include "tests/store/kv_fixture.h"
#include "tests/support/fault.h"

#include <fcntl.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fault fault;

static int set_up(void **state)
{
    struct rig *rig = malloc(sizeof *rig);

    assert_non_null(rig);
    rig_init(rig, OXBOW_SYNC_INTERVAL);
    fault_init(&fault, &rig->port);
    rig->config.port = &fault.port;
    rig->config.on_foreign = OXBOW_FOREIGN_SET_ASIDE;
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

static bool exists(const struct rig *rig, const char *name)
{
    return access(path_of(rig, name), F_OK) == 0;
}

static void write_to(const struct rig *rig, const char *name, const void *data, size_t len)
{
    FILE *f = fopen(path_of(rig, name), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static bool holds(const struct rig *rig, const char *name, const void *data, size_t len)
{
    uint8_t got[4096];
    FILE *f = fopen(path_of(rig, name), "rb");
    size_t n;

    if (f == NULL) {
        return false;
    }
    assert_true(len < sizeof got);
    n = fread(got, 1, sizeof got, f);
    assert_int_equal(fclose(f), 0);
    return n == len && memcmp(got, data, len) == 0;
}

static void put_and_check(struct rig *rig)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);

    put(txn, BYTES("k"), BYTES("v"));
    rig_commit(txn);
    rig_reopen(rig);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_value(txn, BYTES("k"), BYTES("v"));
    rig_commit(txn);
}

/* ---- what is foreign ---- */

struct thing {
    const char *name;
    const char *content;
};

/* The store of another program, and one of a version to come. */
static const struct thing other_program[] = {
    {"data.mdb", "somebody's data"}, {"lock.mdb", "somebody's readers"}, {NULL, NULL}};
static const struct thing other_version[] = {{"FORMAT", NULL /* see lay_out */},
                                             {"data.mdb", "pages of another kind"},
                                             {"journal.0", "frames of another kind"},
                                             {"journal.15", "and more of them"},
                                             {"journal.3.bad", "and old ones"},
                                             {"DOUBT", ""},
                                             {NULL, NULL}};
static const struct thing other_machine[] = {
    {"FORMAT", "oxbow store\nformat 1\nword 64\norder big\npage 4096\nid 0123456789abcdef\n"},
    {"data.mdb", "pages of another machine"},
    {"journal.0", "oxbowjnl, which is the same everywhere"},
    {NULL, NULL}};
static const struct thing *const kinds[] = {other_program, other_version, other_machine};
#define KINDS 3u

static const char *content_of(const struct thing *t)
{
    static char format2[100];
    const char *head = "oxbow store\nformat 2\nin a way of its own\n";

    if (t->content != NULL) {
        return t->content;
    }
    snprintf(format2, sizeof format2, "%ssum %08x\n", head,
             (unsigned)crc32c(0, head, strlen(head)));
    return format2;
}

static unsigned lay_out(const struct rig *rig, const struct thing *things)
{
    unsigned n = 0;

    assert_int_equal(mkdir(rig->store, 0700), 0);
    for (; things->name != NULL; things++, n++) {
        write_to(rig, things->name, content_of(things), strlen(content_of(things)));
    }
    write_to(rig, "notes.txt", "of the operator", 15);
    return n;
}

/* Whether every one of them is below `where`. Of LMDB's locks the content means nothing when nobody
 * has them. */
static bool all_at(const struct rig *rig, const struct thing *things, const char *where)
{
    char name[64];

    for (; things->name != NULL; things++) {
        snprintf(name, sizeof name, "%s%s", where, things->name);
        if (strcmp(things->name, "lock.mdb") == 0
                ? !exists(rig, name)
                : !holds(rig, name, content_of(things), strlen(content_of(things)))) {
            return false;
        }
    }
    return true;
}

/* Each scenario in a directory of its own. */
static void next_store(struct rig *rig, unsigned n)
{
    snprintf(rig->store, sizeof rig->store, "%.200s/%u", rig->dir, n);
}

static void what_is_foreign_is_set_aside_whole_and_a_store_is_made(void **state)
{
    struct rig *rig = *state;

    for (unsigned i = 0; i < KINDS; i++) {
        struct oxbow_recovery rec;
        unsigned count;

        next_store(rig, i);
        count = lay_out(rig, kinds[i]);
        rig_open(rig);
        oxbow_recovery(rig->db, &rec);
        assert_int_equal(rec.foreign, 1);
        assert_int_equal(rec.foreign_files, count);
        assert_true(all_at(rig, kinds[i], "foreign-1/"));
        assert_true(i != 0 || holds(rig, "foreign-1/lock.mdb", other_program[1].content,
                                    strlen(other_program[1].content)));
        assert_false(exists(rig, "foreign-1/notes.txt"));
        assert_false(exists(rig, "FOREIGN"));
        put_and_check(rig);
        oxbow_recovery(rig->db, &rec);
        assert_int_equal(rec.foreign, 0);
        assert_false(exists(rig, "foreign-2"));
        rig_close(rig);
    }
}

static void by_default_it_is_refused_and_left_as_it_is(void **state)
{
    static const uint32_t flags[] = {0, OXBOW_OPEN_EXISTING, OXBOW_OPEN_READONLY};
    struct rig *rig = *state;

    for (unsigned i = 0; i < KINDS; i++) {
        next_store(rig, i);
        lay_out(rig, kinds[i]);
        for (unsigned k = 0; k < 3; k++) { /* with the last two also when it was asked for */
            rig->config.on_foreign = k == 0 ? OXBOW_FOREIGN_REFUSE : OXBOW_FOREIGN_SET_ASIDE;
            rig->config.flags = flags[k];
            assert_true(oxbow_open(&rig->config, &rig->db) != OXBOW_OK);
            assert_true(all_at(rig, kinds[i], ""));
            assert_false(exists(rig, "foreign-1"));
        }
        rig->config.flags = 0;
        rig->config.on_foreign = OXBOW_FOREIGN_REFUSE;
        assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_EFORMAT);
        assert_int_equal(fault.live_bytes, 0);
    }
    rig->config.on_foreign = OXBOW_FOREIGN_SET_ASIDE + 1;
    assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_EINVAL);
}

static void nothing_that_was_set_aside_is_overwritten(void **state)
{
    struct rig *rig = *state;
    struct oxbow_recovery rec;
    char name[40];

    next_store(rig, 0);
    lay_out(rig, other_program);
    for (unsigned n = 1; n <= 3; n++) {
        snprintf(name, sizeof name, "foreign-%u", n);
        assert_int_equal(mkdir(path_of(rig, name), 0700), 0);
        snprintf(name, sizeof name, "foreign-%u/data.mdb", n);
        write_to(rig, name, "old", 3);
    }
    rig_open(rig);
    oxbow_recovery(rig->db, &rec);
    assert_int_equal(rec.foreign, 4);
    assert_true(all_at(rig, other_program, "foreign-4/"));
    for (unsigned n = 1; n <= 3; n++) {
        snprintf(name, sizeof name, "foreign-%u/data.mdb", n);
        assert_true(holds(rig, name, "old", 3));
    }
}

static void what_another_program_wrote_with_lmdb_can_be_read_where_it_is_now(void **state)
{
    struct rig *rig = *state;
    char word[] = "word";
    MDB_val key = {4, word};
    MDB_val got;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    next_store(rig, 0);
    assert_int_equal(mkdir(rig->store, 0700), 0);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, rig->store, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &key, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    rig_open(rig);
    put_and_check(rig);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, path_of(rig, "foreign-1"), MDB_RDONLY, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &key, &got), 0);
    assert_int_equal(got.mv_size, 4);
    mdb_txn_abort(txn);
    mdb_env_close(env);
}

/* ---- what is not ---- */

static void flip(const struct rig *rig, const char *name, long at)
{
    FILE *f = fopen(path_of(rig, name), "r+b");
    int c;

    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    c = fgetc(f);
    assert_true(c != EOF);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_equal(fputc(c ^ 2, f), c ^ 2);
    assert_int_equal(fclose(f), 0);
}

static void refused_and_not_moved(struct rig *rig)
{
    enum oxbow_err err = oxbow_open(&rig->config, &rig->db);

    assert_true(err == OXBOW_EFORMAT || err == OXBOW_ECORRUPT);
    assert_false(exists(rig, "foreign-1"));
    assert_true(exists(rig, "data.mdb"));
}

static void a_damaged_store_of_this_version_is_not_foreign(void **state)
{
    struct rig *rig = *state;

    for (unsigned level = 1; level <= OXBOW_FORMAT_LEVEL; level++) {
        for (unsigned journal = 0; journal < 2; journal++) {
            next_store(rig, level * 2 + journal);
            rig->config.level = level;
            rig->config.journal = journal == 0 ? OXBOW_JOURNAL_OFF : OXBOW_JOURNAL_ON;
            rig_open(rig);
            put_and_check(rig);
            rig_close(rig);
            flip(rig, "FORMAT", 19); /* the 1 of `format 1` is a 3 */
            refused_and_not_moved(rig);
            flip(rig, "FORMAT", 19);
            flip(rig, "FORMAT", 2);
            refused_and_not_moved(rig);
            assert_int_equal(truncate(path_of(rig, "FORMAT"), 30), 0);
            refused_and_not_moved(rig);
            flip(rig, "data.mdb", 20); /* and both meta pages */
            flip(rig, "data.mdb", 4116);
            refused_and_not_moved(rig);
            assert_int_equal(unlink(path_of(rig, "FORMAT")), 0);
            refused_and_not_moved(rig);
        }
    }
}

/* A child that has LMDB's own lock until it is told to end. */
static pid_t hold(const char *dir, int *end)
{
    int ready[2];
    int wait[2];
    char c;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(wait), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        MDB_env *env;

        (void)close(wait[1]);
        if (mdb_env_create(&env) != 0 || mdb_env_open(env, dir, 0, 0600) != 0 ||
            write(ready[1], "r", 1) != 1) {
            _exit(1);
        }
        (void)!read(wait[0], &c, 1);
        _exit(0);
    }
    assert_int_equal(close(wait[0]), 0);
    assert_int_equal(close(ready[1]), 0);
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(close(ready[0]), 0);
    *end = wait[1];
    return pid;
}

static void what_another_process_has_open_is_not_touched(void **state)
{
    struct rig *rig = *state;
    int status;
    int end;
    pid_t pid;

    next_store(rig, 0);
    assert_int_equal(mkdir(rig->store, 0700), 0);
    pid = hold(rig->store, &end);
    write_to(rig, "FORMAT", content_of(&other_version[0]), strlen(content_of(&other_version[0])));
    assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_ELOCKED);
    assert_false(exists(rig, "foreign-1"));
    assert_true(exists(rig, "FORMAT"));
    assert_int_equal(close(end), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    rig_open(rig);
    assert_true(exists(rig, "foreign-1/FORMAT"));
    assert_true(exists(rig, "foreign-1/data.mdb"));
}

static void a_store_that_is_open_elsewhere_is_locked_whatever_its_version(void **state)
{
    struct rig *rig = *state;
    struct oxbow *second = NULL;
    const char *text = content_of(&other_version[0]);

    next_store(rig, 0);
    rig_open(rig);
    write_to(rig, "FORMAT", text, strlen(text)); /* as if it were of that version */
    assert_int_equal(oxbow_open(&rig->config, &second), OXBOW_ELOCKED);
    assert_false(exists(rig, "foreign-1"));
}

/* ---- failures and crashes ---- */

/* The one directory that has them, from 1; 0: they are where they were. What is begun and empty does
 * not count. */
static unsigned where(const struct rig *rig, const struct thing *things)
{
    unsigned found = 0;

    for (unsigned n = 1; n <= 3; n++) {
        char name[40];

        snprintf(name, sizeof name, "foreign-%u/", n);
        if (all_at(rig, things, name)) {
            assert_int_equal(found, 0);
            found = n;
        }
    }
    assert_true(found != 0 || all_at(rig, things, ""));
    return found;
}

static void whichever_call_fails_it_is_all_there_or_all_set_aside(void **state)
{
    struct rig *rig = *state;
    unsigned stayed = 0;
    unsigned moved = 0;

    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (uint64_t n = 1;; n++) {
            enum oxbow_err err;
            bool failed;

            next_store(rig, (unsigned)n * KINDS + kind);
            lay_out(rig, kinds[kind]);
            rig->config.on_foreign = OXBOW_FOREIGN_SET_ASIDE;
            fault_arm_files(&fault, FAULT_ALL & ~FAULT_CLOSE & ~FAULT_SPACE & ~FAULT_RESERVE, n, 1,
                            OXBOW_EIO);
            err = oxbow_open(&rig->config, &rig->db);
            failed = fault.file_failed > 0;
            fault_disarm(&fault);
            if (err != OXBOW_OK) {
                assert_true(failed);
                assert_int_equal(fault.live_bytes, 0);
                rig->config.on_foreign = OXBOW_FOREIGN_REFUSE;
                err = oxbow_open(&rig->config, &rig->db);
                assert_true(err == OXBOW_OK || err == OXBOW_EFORMAT);
                assert_int_equal(where(rig, kinds[kind]) == 0, err == OXBOW_EFORMAT);
                stayed += err == OXBOW_EFORMAT;
                moved += err == OXBOW_OK;
            }
            if (err == OXBOW_EFORMAT) {
                rig->config.on_foreign = OXBOW_FOREIGN_SET_ASIDE;
                rig_open(rig);
            }
            assert_true(where(rig, kinds[kind]) != 0);
            assert_false(exists(rig, "FOREIGN"));
            put_and_check(rig);
            rig_close(rig);
            if (!failed) {
                break;
            }
        }
    }
    print_message("stayed %u times, moved %u times\n", stayed, moved);
    assert_true(stayed >= 30);
    assert_true(moved >= 60);
}

static void a_setting_aside_that_was_cut_short_is_no_store_to_read(void **state)
{
    struct rig *rig = *state;

    next_store(rig, 0);
    lay_out(rig, other_version);
    assert_int_equal(mkdir(path_of(rig, "foreign-7"), 0700), 0);
    write_to(rig, "FOREIGN", "foreign-7\n", 10);
    rig->config.flags = OXBOW_OPEN_READONLY;
    assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_ECORRUPT);
    assert_true(all_at(rig, other_version, ""));
    rig->config.flags = 0;
    rig->config.on_foreign = OXBOW_FOREIGN_REFUSE;
    rig_open(rig);
    assert_true(all_at(rig, other_version, "foreign-7/"));
}

static void a_damaged_mark_moves_nothing(void **state)
{
    static const char *const marks[] = {"",
                                        "foreign-0\n",
                                        "foreign-1000\n",
                                        "foreign-1",
                                        "foreign-x\n",
                                        "foreign-\n",
                                        "foreign-1 ",
                                        "roreign-1\n",
                                        "foreign-1/../..\n",
                                        "foreign-18446744073709551617\n"};
    struct rig *rig = *state;

    next_store(rig, 0);
    lay_out(rig, other_program);
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        write_to(rig, "FOREIGN", marks[i], strlen(marks[i]));
        assert_int_equal(oxbow_open(&rig->config, &rig->db), OXBOW_ECORRUPT);
        assert_true(all_at(rig, other_program, ""));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, kv_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_foreign_is_set_aside_whole_and_a_store_is_made),
        TEST(by_default_it_is_refused_and_left_as_it_is),
        TEST(nothing_that_was_set_aside_is_overwritten),
        TEST(what_another_program_wrote_with_lmdb_can_be_read_where_it_is_now),
        TEST(a_damaged_store_of_this_version_is_not_foreign),
        TEST(what_another_process_has_open_is_not_touched),
        TEST(a_store_that_is_open_elsewhere_is_locked_whatever_its_version),
        TEST(whichever_call_fails_it_is_all_there_or_all_set_aside),
        TEST(a_setting_aside_that_was_cut_short_is_no_store_to_read),
        TEST(a_damaged_mark_moves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
