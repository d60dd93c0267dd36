/* SPDX-License-Identifier: Apache-2.0 */
/* The FORMAT file's text, and an empty data file that LMDB itself takes for one. */
#include "engine/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STORE_ID 0x0123456789abcdefu

/* Parses a copy that ends where its memory ends; the same on every success. */
static enum oxbow_err parse(const char *text, size_t len, const char **why)
{
    uint64_t id = 99;
    char *copy = malloc(len > 0 ? len : 1);
    enum oxbow_err err;

    assert_non_null(copy);
    memcpy(copy, text, len);
    *why = NULL;
    err = format_parse(copy, len, &id, why);
    free(copy);
    if (err == OXBOW_OK) {
        assert_int_equal(id, STORE_ID);
    } else {
        assert_int_equal(err, OXBOW_EFORMAT);
        assert_int_equal(id, 99);
        assert_non_null(*why);
    }
    return err;
}

static void the_text_is_read_back(void **state)
{
    char text[FORMAT_BYTES_MAX];
    size_t len = format_text(text, STORE_ID);
    const char *why;
    uint64_t id = 0;

    (void)state;
    assert_true(len < FORMAT_BYTES_MAX);
    assert_int_equal(len, strlen(text));
    assert_int_equal(parse(text, len, &why), OXBOW_OK);
    len = format_text(text, UINT64_MAX);
    assert_int_equal(format_parse(text, len, &id, &why), OXBOW_OK);
    assert_int_equal(id, UINT64_MAX);
    len = format_text(text, 0);
    assert_int_equal(format_parse(text, len, &id, &why), OXBOW_OK);
    assert_int_equal(id, 0);
}

static void the_text_is_that_of_the_format(void **state)
{
    char text[FORMAT_BYTES_MAX];
    char want[FORMAT_BYTES_MAX];

    (void)state;
    format_text(text, STORE_ID);
    snprintf(want, sizeof want,
             "oxbow store\nformat 1\nword %u\norder little\npage 4096\nid 0123456789abcdef\n",
             (unsigned)sizeof(size_t) * 8);
    assert_string_equal(text, want);
}

static void a_text_that_is_cut_or_longer_is_refused(void **state)
{
    char text[FORMAT_BYTES_MAX + 1];
    size_t len = format_text(text, STORE_ID);
    const char *why;
    size_t n;

    (void)state;
    for (n = 0; n < len; n++) {
        assert_int_equal(parse(text, n, &why), OXBOW_EFORMAT);
    }
    text[len] = '\n';
    assert_int_equal(parse(text, len + 1, &why), OXBOW_EFORMAT);
}

struct other {
    const char *from;
    const char *to;
    const char *why; /* a part of it */
};

static void another_kind_of_store_is_refused_with_its_reason(void **state)
{
    static const struct other others[] = {
        {"oxbow store", "oxbow stores", "not one of oxbow"},
        {"oxbow store", "Oxbow store", "not one of oxbow"},
        {"format 1", "format 2", "version"},
        {"format 1", "format 01", "version"},
        {"format 1", "format ", "version"},
        {"format 1", "format 1 ", "version"},
        {"word 64", "word 32", "word size"},
        {"order little", "order big", "byte order"},
        {"order little", "order littl", "byte order"},
        {"page 4096", "page 16384", "page size"},
        {"id 0123456789abcdef", "id 0123456789ABCDEF", "damaged"},
        {"id 0123456789abcdef", "id 0123456789abcde", "damaged"},
        {"id 0123456789abcdef", "id 0123456789abcdef0", "damaged"},
        {"id 0123456789abcdef", "id 0123456789abcdeg", "damaged"},
        {"format 1\n", "", "version"},
        {"page 4096\n", "", "page size"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof others / sizeof others[0]; i++) {
        char text[FORMAT_BYTES_MAX];
        char changed[FORMAT_BYTES_MAX + 16];
        const char *at;
        const char *why;

        format_text(text, STORE_ID);
        at = strstr(text, others[i].from);
        if (at == NULL) {
            assert_true(sizeof(size_t) != 8);
            continue;
        }
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, others[i].to,
                 at + strlen(others[i].from));
        assert_int_equal(parse(changed, strlen(changed), &why), OXBOW_EFORMAT);
        assert_non_null(strstr(why, others[i].why));
    }
}

static void garbage_is_refused(void **state)
{
    static const char zeros[64];
    const char *why;

    (void)state;
    assert_int_equal(parse(zeros, sizeof zeros, &why), OXBOW_EFORMAT);
    assert_int_equal(parse("\n\n\n\n\n\n\n", 7, &why), OXBOW_EFORMAT);
    assert_int_equal(parse("", 0, &why), OXBOW_EFORMAT);
}

/* ---- the data file ---- */

static void env_open(const char *path, MDB_env **env)
{
    assert_int_equal(mdb_env_create(env), 0);
    assert_int_equal(mdb_env_open(*env, path, MDB_NOSUBDIR, 0600), 0);
}

static void put_one(MDB_env *env)
{
    char word[] = "word";
    MDB_val key = {4, word};
    MDB_txn *txn;
    MDB_dbi dbi;

    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &key, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
}

static void lmdb_takes_the_meta_pages_for_an_empty_file_of_its_own(void **state)
{
    static uint8_t meta[META_BYTES];
    char path[] = "/tmp/oxbow-format-XXXXXX";
    char lock[sizeof path + 5];
    int fd = mkstemp(path);
    MDB_env *env;
    MDB_stat stat;
    MDB_envinfo info;

    (void)state;
    assert_true(fd >= 0);
    format_meta(meta, 64u << 20);
    assert_int_equal(write(fd, meta, sizeof meta), sizeof meta);
    assert_int_equal(close(fd), 0);

    env_open(path, &env);
    assert_int_equal(mdb_env_stat(env, &stat), 0);
    assert_int_equal(stat.ms_psize, TREE_PAGE_BYTES);
    assert_int_equal(stat.ms_entries, 0);
    assert_int_equal(stat.ms_depth, 0);
    assert_int_equal(mdb_env_info(env, &info), 0);
    assert_int_equal(info.me_mapsize, 64u << 20);
    assert_int_equal(info.me_last_pgno, 1);
    assert_int_equal(info.me_last_txnid, 0);
    put_one(env);
    mdb_env_close(env);

    env_open(path, &env);
    assert_int_equal(mdb_env_stat(env, &stat), 0);
    assert_int_equal(stat.ms_entries, 1);
    assert_int_equal(stat.ms_psize, TREE_PAGE_BYTES);
    mdb_env_close(env);
    snprintf(lock, sizeof lock, "%s-lock", path);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_read_back),
        cmocka_unit_test(the_text_is_that_of_the_format),
        cmocka_unit_test(a_text_that_is_cut_or_longer_is_refused),
        cmocka_unit_test(another_kind_of_store_is_refused_with_its_reason),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(lmdb_takes_the_meta_pages_for_an_empty_file_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
