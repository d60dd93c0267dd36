/* SPDX-License-Identifier: Apache-2.0 */
/* Pages read without believing them: what LMDB itself wrote is understood, and bytes that nobody
 * wrote never lead outside of the page. */
#include "engine/store/page.h"
#include "engine/store/store.h"
#include "tests/support/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORD sizeof(size_t)

static void put_u16(uint8_t *p, unsigned v)
{
    uint16_t n = (uint16_t)v;

    memcpy(p, &n, sizeof n);
}

static void head_put(uint8_t *page, size_t number, unsigned flags, unsigned lower, unsigned upper)
{
    memcpy(page, &number, WORD);
    put_u16(page + WORD, 0);
    put_u16(page + WORD + 2, flags);
    put_u16(page + WORD + 4, lower);
    put_u16(page + WORD + 6, upper);
}

/* A page with one node, which begins at `at`. */
static uint8_t *one_node(unsigned flags, unsigned at, uint32_t len, unsigned node_flags,
                         unsigned key_len)
{
    uint8_t *page = calloc(1, PAGE_BYTES);

    assert_non_null(page);
    head_put(page, 7, flags, (unsigned)PAGE_HEAD_BYTES + 2, at);
    put_u16(page + PAGE_HEAD_BYTES, at);
    if (at + PAGE_NODE_BYTES <= PAGE_BYTES) {
        memcpy(page + at, &len, 4);
        put_u16(page + at + 4, node_flags);
        put_u16(page + at + 6, key_len);
    }
    return page;
}

static void a_page_is_what_its_head_says_or_nothing(void **state)
{
    static uint8_t page[PAGE_BYTES];
    const unsigned head = (unsigned)PAGE_HEAD_BYTES;
    size_t count;

    (void)state;
    head_put(page, 7, PAGE_LEAF, head + 6, head + 6);
    assert_true(page_check(page, 7, &count));
    assert_int_equal(count, 3);
    assert_int_equal(page_number(page), 7);
    assert_int_equal(page_flags(page), PAGE_LEAF);
    assert_false(page_check(page, 8, &count));
    head_put(page, 7, PAGE_BRANCH, head, PAGE_BYTES);
    assert_true(page_check(page, 7, &count));
    assert_int_equal(count, 0);
    head_put(page, 7, PAGE_BRANCH, head, PAGE_BYTES + 1);
    assert_false(page_check(page, 7, &count));
    head_put(page, 7, PAGE_LEAF, head - 2, PAGE_BYTES);
    assert_false(page_check(page, 7, &count));
    head_put(page, 7, PAGE_LEAF, head + 1, PAGE_BYTES);
    assert_false(page_check(page, 7, &count));
    head_put(page, 7, PAGE_LEAF, head + 8, head + 6);
    assert_false(page_check(page, 7, &count));
    head_put(page, 7, PAGE_LEAF | PAGE_BRANCH, head, PAGE_BYTES);
    assert_false(page_check(page, 7, &count));
    head_put(page, 7, PAGE_OVERFLOW, head, PAGE_BYTES);
    assert_false(page_check(page, 7, &count));
    head_put(page, 7, 0, head, PAGE_BYTES);
    assert_false(page_check(page, 7, &count));
}

struct node_case {
    unsigned flags;
    unsigned at;
    uint32_t len;
    unsigned node_flags;
    unsigned key_len;
    bool ok;
};

static void a_node_ends_within_its_page(void **state)
{
    static const struct node_case cases[] = {
        {PAGE_LEAF, 4096 - 8 - 3 - 5, 5, 0, 3, true},
        {PAGE_LEAF, 4096 - 8 - 3 - 5, 6, 0, 3, false},
        {PAGE_LEAF, 4096 - 8 - 3 - 5, UINT32_MAX, 0, 3, false},
        {PAGE_LEAF, 4096 - 8, 0, 0, 0, true},
        {PAGE_LEAF, 4096 - 8, 0, 0, 1, false},
        {PAGE_LEAF, 4096 - 7, 0, 0, 0, false},
        {PAGE_LEAF, 2000, 0, 0, 65535, false},
        {PAGE_LEAF, 2000, 10, 2, 3, false}, /* a sub-database: nothing of ours */
        {PAGE_LEAF, 2000, 10, 4, 3, false},
        {PAGE_LEAF, 4096 - 8 - 3 - (unsigned)WORD, 99999, PAGE_NODE_BIG, 3, true},
        {PAGE_LEAF, 4096 - 8 - 3 - (unsigned)WORD + 1, 99999, PAGE_NODE_BIG, 3, false},
        {PAGE_BRANCH, 4096 - 8 - 3, 12, 0, 3, true},
        {PAGE_BRANCH, 4096 - 8 - 3, 12, 0, 4, false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct node_case *c = &cases[i];
        uint8_t *page = one_node(c->flags, c->at, c->len, c->node_flags, c->key_len);
        struct page_node node;
        size_t count;

        assert_true(page_check(page, 7, &count));
        assert_int_equal(count, 1);
        assert_int_equal(page_node(page, 0, &node), c->ok);
        if (c->ok) {
            assert_int_equal(node.key.len, c->key_len);
            assert_int_equal(node.big, c->node_flags == PAGE_NODE_BIG);
        }
        if (c->ok && c->flags == PAGE_BRANCH) {
            assert_int_equal(node.child, c->len);
        }
        free(page);
    }
}

static void a_node_in_front_of_the_nodes_is_none(void **state)
{
    uint8_t *page = one_node(PAGE_LEAF, 2000, 0, 0, 0);
    struct page_node node;

    (void)state;
    put_u16(page + PAGE_HEAD_BYTES, 1998);
    assert_false(page_node(page, 0, &node));
    put_u16(page + PAGE_HEAD_BYTES, 0);
    assert_false(page_node(page, 0, &node));
    put_u16(page + PAGE_HEAD_BYTES, 65535);
    assert_false(page_node(page, 0, &node));
    free(page);
}

static void the_meta_pages_of_a_new_file_are_understood(void **state)
{
    static uint8_t bytes[META_BYTES];
    struct page_meta meta;
    size_t i;

    (void)state;
    format_meta(bytes, 64u << 20);
    for (i = 0; i < 2; i++) {
        uint8_t *page = bytes + i * PAGE_BYTES;

        assert_true(page_meta(page, i, &meta));
        assert_int_equal(meta.map_bytes, 64u << 20);
        assert_int_equal(meta.last_page, 1);
        assert_int_equal(meta.txn, 0);
        assert_int_equal(meta.main.root, PAGE_NONE);
        assert_int_equal(meta.free_list.root, PAGE_NONE);
        assert_int_equal(meta.free_list.flags, PAGE_KEYS_NATIVE);
        assert_int_equal(meta.main.entries, 0);
        assert_false(page_meta(page, 1 - i, &meta));
        page[PAGE_HEAD_BYTES] ^= 1; /* magic */
        assert_false(page_meta(page, i, &meta));
        page[PAGE_HEAD_BYTES] ^= 1;
        page[PAGE_HEAD_BYTES + 4] ^= 2; /* version */
        assert_false(page_meta(page, i, &meta));
        page[PAGE_HEAD_BYTES + 4] ^= 2;
        put_u16(page + WORD + 2, PAGE_LEAF);
        assert_false(page_meta(page, i, &meta));
    }
}

/* ---- what LMDB wrote ---- */

static void write_with_lmdb(const char *path)
{
    static char big[5000];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    unsigned i;

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    for (i = 0; i < 500; i++) {
        char text[16];
        MDB_val key = {(size_t)snprintf(text, sizeof text, "key-%05u", i), text};
        MDB_val value = {i % 100 == 0 ? sizeof big : key.mv_size, i % 100 == 0 ? big : text};

        assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static uint8_t *read_file(const char *path, size_t *pages)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes;
    long len;

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    len = ftell(f);
    assert_true(len > 0 && len % PAGE_BYTES == 0);
    bytes = malloc((size_t)len);
    assert_non_null(bytes);
    rewind(f);
    assert_int_equal(fread(bytes, 1, (size_t)len, f), len);
    fclose(f);
    *pages = (size_t)len / PAGE_BYTES;
    return bytes;
}

static size_t count_leaf(const uint8_t *file, size_t pages, uint64_t number)
{
    const uint8_t *page = file + number * PAGE_BYTES;
    size_t count;
    size_t i;

    assert_true(number < pages);
    assert_true(page_check(page, number, &count));
    assert_int_equal(page_flags(page), PAGE_LEAF);
    for (i = 0; i < count; i++) {
        struct page_node node;

        assert_true(page_node(page, i, &node));
        assert_int_equal(node.key.len, 9);
        if (node.big) {
            assert_int_equal(node.data_len, 5000);
            assert_true(node.overflow < pages);
            assert_int_equal(page_flags(file + node.overflow * PAGE_BYTES), PAGE_OVERFLOW);
            assert_int_equal(page_run(file + node.overflow * PAGE_BYTES), 2);
        } else {
            assert_memory_equal(node.data.data, node.key.data, 9);
        }
    }
    return count;
}

static void a_file_of_lmdb_is_understood(void **state)
{
    char path[] = "/tmp/oxbow-page-XXXXXX";
    static uint8_t bytes[META_BYTES];
    struct page_meta meta[2];
    struct page_meta *m;
    uint8_t *file;
    size_t pages;
    size_t count;
    size_t found = 0;
    size_t i;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    format_meta(bytes, 64u << 20);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(close(fd), 0);
    write_with_lmdb(path);
    file = read_file(path, &pages);
    assert_true(page_meta(file, 0, &meta[0]));
    assert_true(page_meta(file + PAGE_BYTES, 1, &meta[1]));
    m = meta[0].txn > meta[1].txn ? &meta[0] : &meta[1];
    assert_int_equal(m->txn, 1);
    assert_int_equal(m->main.entries, 500);
    assert_int_equal(m->main.depth, 2);
    assert_int_equal(m->main.branch_pages, 1);
    assert_int_equal(m->main.overflow_pages, 10);
    assert_true(page_check(file + m->main.root * PAGE_BYTES, m->main.root, &count));
    assert_int_equal(count, m->main.leaf_pages);
    for (i = 0; i < count; i++) {
        struct page_node node;

        assert_true(page_node(file + m->main.root * PAGE_BYTES, i, &node));
        found += count_leaf(file, pages, node.child);
    }
    assert_int_equal(found, 500);
    free(file);
    assert_int_equal(unlink(path), 0);
}

static void bytes_of_any_kind_never_lead_outside(void **state)
{
    uint64_t rng = rig_seed("page");
    uint8_t *page = malloc(PAGE_BYTES); /* its end is the memory's */
    unsigned round;
    unsigned nodes = 0;
    uint64_t sum = 0;

    (void)state;
    assert_non_null(page);
    for (round = 0; round < 3000; round++) {
        struct page_meta meta;
        size_t count;
        size_t i;

        for (i = 0; i < PAGE_BYTES; i++) {
            page[i] = (uint8_t)(rig_random(&rng) >> 13);
        }
        if (round % 8 != 0) { /* a head that passes; offsets at the page's end and around it */
            unsigned n = (unsigned)(rig_random(&rng) % 40);

            head_put(page, 7, round % 2 == 0 ? PAGE_LEAF : PAGE_BRANCH,
                     (unsigned)PAGE_HEAD_BYTES + 2 * n, (unsigned)PAGE_HEAD_BYTES + 2 * n);
            for (i = 0; i < n; i++) {
                unsigned at = (unsigned)(rig_random(&rng) % PAGE_BYTES);

                put_u16(page + PAGE_HEAD_BYTES + 2 * i, at);
                if (at + PAGE_NODE_BYTES <= PAGE_BYTES && at > 200 && round % 4 < 2) {
                    memset(page + at + 1, 0, 5);
                    put_u16(page + at + 6, (unsigned)(rig_random(&rng) % 64));
                }
            }
        }
        (void)page_meta(page, page_number(page), &meta);
        if (!page_check(page, page_number(page), &count)) {
            continue;
        }
        for (i = 0; i < count; i++) {
            struct page_node node;
            size_t k;

            if (!page_node(page, i, &node)) {
                continue;
            }
            nodes++;
            for (k = 0; k < node.key.len; k++) {
                sum += ((const uint8_t *)node.key.data)[k];
            }
            for (k = 0; k < node.data.len; k++) {
                sum += ((const uint8_t *)node.data.data)[k];
            }
        }
    }
    assert_true(nodes > 1000);
    assert_true(sum > 0);
    free(page);
}

struct seen {
    uint64_t pages[4];
    size_t count;
    size_t max;
};

static bool see(void *ctx, uint64_t page)
{
    struct seen *s = ctx;

    s->pages[s->count++] = page;
    return s->count < s->max;
}

static void a_record_of_the_free_list_is_shown_from_its_end(void **state)
{
    const size_t words[] = {3, 30, 20, 10};
    const size_t lie[] = {4, 30, 20, 10};
    struct seen s = {.max = 4};
    bool more = false;

    (void)state;
    assert_true(page_list_walk((struct oxbow_bytes){words, sizeof words}, see, &s, &more));
    assert_true(more);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.pages[0], 10);
    assert_int_equal(s.pages[2], 30);
    s = (struct seen){.max = 2};
    assert_true(page_list_walk((struct oxbow_bytes){words, sizeof words}, see, &s, &more));
    assert_false(more);
    assert_int_equal(s.count, 2);
    assert_false(page_list_walk((struct oxbow_bytes){lie, sizeof lie}, see, &s, &more));
    assert_false(page_list_walk((struct oxbow_bytes){words, sizeof words - 1}, see, &s, &more));
    assert_false(page_list_walk((struct oxbow_bytes){words, sizeof words[0] - 1}, see, &s, &more));
    assert_int_equal(s.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_of_the_free_list_is_shown_from_its_end),
        cmocka_unit_test(a_page_is_what_its_head_says_or_nothing),
        cmocka_unit_test(a_node_ends_within_its_page),
        cmocka_unit_test(a_node_in_front_of_the_nodes_is_none),
        cmocka_unit_test(the_meta_pages_of_a_new_file_are_understood),
        cmocka_unit_test(a_file_of_lmdb_is_understood),
        cmocka_unit_test(bytes_of_any_kind_never_lead_outside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
