/* SPDX-License-Identifier: Apache-2.0 */
/* The FORMAT file's text, and an empty data file that LMDB itself takes for one. */
#include "engine/base/hash.h"
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

static const struct store_format first = {STORE_ID, 1};
static const struct store_format newest = {STORE_ID, OXBOW_FORMAT_LEVEL};

/* Parses a copy that ends where its memory ends; the same on every success. */
static enum oxbow_err parse(const char *text, size_t len, struct format_verdict *verdict)
{
    struct store_format got = {99, 99};
    char *copy = malloc(len > 0 ? len : 1);
    enum oxbow_err err;

    assert_non_null(copy);
    memcpy(copy, text, len);
    verdict->why = NULL;
    verdict->whole = false;
    err = format_parse(copy, len, &got, verdict);
    free(copy);
    if (err == OXBOW_OK) {
        assert_int_equal(got.id, STORE_ID);
    } else {
        assert_int_equal(err, OXBOW_EFORMAT);
        assert_int_equal(got.id, 99);
        assert_int_equal(got.level, 99);
        assert_non_null(verdict->why);
    }
    return err;
}

static void the_text_is_read_back(void **state)
{
    static const uint64_t ids[] = {STORE_ID, UINT64_MAX, 0};
    struct format_verdict verdict;
    char text[FORMAT_BYTES_MAX];

    (void)state;
    for (uint32_t level = 1; level <= OXBOW_FORMAT_LEVEL; level++) {
        for (size_t i = 0; i < 3; i++) {
            const struct store_format want = {ids[i], level};
            struct store_format got = {99, 99};
            size_t len = format_text(text, &want);

            assert_true(len < FORMAT_BYTES_MAX);
            assert_int_equal(len, strlen(text));
            assert_int_equal(format_parse(text, len, &got, &verdict), OXBOW_OK);
            assert_int_equal(got.id, ids[i]);
            assert_int_equal(got.level, level);
        }
    }
}

static void the_text_is_that_of_the_format(void **state)
{
    char text[FORMAT_BYTES_MAX];
    char want[FORMAT_BYTES_MAX];

    (void)state;
    format_text(text, &first);
    snprintf(want, sizeof want,
             "oxbow store\nformat 1\nword %u\norder little\npage 4096\nid 0123456789abcdef\n",
             (unsigned)sizeof(size_t) * 8);
    assert_string_equal(text, want);
    if (sizeof(size_t) == 8) {
        format_text(text, &newest);
        assert_string_equal(text, "oxbow store\nformat 1.2\nword 64\norder little\npage 4096\n"
                                  "id 0123456789abcdef\nsum e8ec5537\n");
    }
}

static void a_text_that_is_cut_or_longer_is_refused(void **state)
{
    const struct store_format *const formats[] = {&first, &newest};
    char text[FORMAT_BYTES_MAX + 1];
    struct format_verdict verdict;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        size_t len = format_text(text, formats[i]);

        for (size_t n = 0; n < len; n++) {
            assert_int_equal(parse(text, n, &verdict), OXBOW_EFORMAT);
            assert_false(verdict.whole);
        }
        text[len] = '\n';
        assert_int_equal(parse(text, len + 1, &verdict), OXBOW_EFORMAT);
        assert_false(verdict.whole);
    }
}

static void no_flipped_bit_makes_another_version_of_it(void **state)
{
    char text[FORMAT_BYTES_MAX];
    struct format_verdict verdict;
    size_t len = format_text(text, &newest);

    (void)state;
    for (size_t bit = 0; bit < len * 8; bit++) {
        text[bit / 8] ^= (char)(1 << (bit & 7));
        assert_int_equal(parse(text, len, &verdict), OXBOW_EFORMAT);
        assert_false(verdict.whole);
        text[bit / 8] ^= (char)(1 << (bit & 7));
    }
    len = format_text(text, &first);
    for (size_t bit = 0; bit < len * 8; bit++) {
        struct store_format got;

        text[bit / 8] ^= (char)(1 << (bit & 7));
        verdict.whole = false;
        if (format_parse(text, len, &got, &verdict) != OXBOW_OK) {
            assert_false(verdict.whole);
        } else {
            assert_int_equal(got.level, 1); /* the id, which has no sum there */
        }
        text[bit / 8] ^= (char)(1 << (bit & 7));
    }
}

/* Puts the sum below a text. */
static size_t seal(char text[FORMAT_BYTES_MAX])
{
    size_t len = strlen(text);

    return len + (size_t)snprintf(text + len, FORMAT_BYTES_MAX - len, "sum %08x\n",
                                  (unsigned)crc32c(0, text, len));
}

static void a_later_level_is_read_and_a_later_version_is_known_for_one(void **state)
{
    char text[FORMAT_BYTES_MAX];
    struct format_verdict verdict = {NULL, false};
    struct store_format got;
    size_t len;

    (void)state;
    snprintf(text, sizeof text,
             "oxbow store\nformat 1.%u\nword %u\norder little\npage 4096\n"
             "id 0123456789abcdef\nnews of some kind\n",
             OXBOW_FORMAT_LEVEL + 1, (unsigned)sizeof(size_t) * 8);
    assert_int_equal(parse(text, strlen(text), &verdict), OXBOW_EFORMAT);
    assert_false(verdict.whole);
    len = seal(text);
    assert_int_equal(format_parse(text, len, &got, &verdict), OXBOW_OK);
    assert_int_equal(got.level, OXBOW_FORMAT_LEVEL + 1);

    snprintf(text, sizeof text, "oxbow store\nformat 2.7\neverything else\n");
    len = seal(text);
    assert_int_equal(parse(text, len, &verdict), OXBOW_EFORMAT);
    assert_true(verdict.whole);
    assert_non_null(strstr(verdict.why, "version"));
    text[0] = 'O';
    assert_int_equal(parse(text, len, &verdict), OXBOW_EFORMAT);
    assert_false(verdict.whole);
}

static void a_store_of_another_machine_is_known_for_one(void **state)
{
    static const char *const others[] = {
        "oxbow store\nformat 1\nword 32\norder little\npage 4096\nid 0123456789abcdef\n",
        "oxbow store\nformat 1\nword 64\norder big\npage 4096\nid 0123456789abcdef\n",
    };
    struct format_verdict verdict;

    (void)state;
    for (size_t i = sizeof(size_t) == 8 ? 0 : 1; i < 2; i++) {
        assert_int_equal(parse(others[i], strlen(others[i]), &verdict), OXBOW_EFORMAT);
        assert_true(verdict.whole);
    }
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
        {"format 1", "format 1.1", "version"},
        {"format 1", "format 1.2", "damaged"},
        {"format 1", "format 1.", "version"},
        {"format 1", "format 1.65536", "version"},
        {"format 1\n", "", "version"},
        {"page 4096\n", "", "page size"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof others / sizeof others[0]; i++) {
        char text[FORMAT_BYTES_MAX];
        char changed[FORMAT_BYTES_MAX + 16];
        const char *at;
        struct format_verdict verdict;

        format_text(text, &first);
        at = strstr(text, others[i].from);
        if (at == NULL) {
            assert_true(sizeof(size_t) != 8);
            continue;
        }
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, others[i].to,
                 at + strlen(others[i].from));
        assert_int_equal(parse(changed, strlen(changed), &verdict), OXBOW_EFORMAT);
        assert_non_null(strstr(verdict.why, others[i].why));
    }
}

static void garbage_is_refused(void **state)
{
    static const char zeros[64];
    struct format_verdict verdict;

    (void)state;
    assert_int_equal(parse(zeros, sizeof zeros, &verdict), OXBOW_EFORMAT);
    assert_int_equal(parse("\n\n\n\n\n\n\n", 7, &verdict), OXBOW_EFORMAT);
    assert_int_equal(parse("", 0, &verdict), OXBOW_EFORMAT);
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
        cmocka_unit_test(no_flipped_bit_makes_another_version_of_it),
        cmocka_unit_test(a_later_level_is_read_and_a_later_version_is_known_for_one),
        cmocka_unit_test(a_store_of_another_machine_is_known_for_one),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(lmdb_takes_the_meta_pages_for_an_empty_file_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
