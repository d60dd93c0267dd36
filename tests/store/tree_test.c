/* SPDX-License-Identifier: Apache-2.0 */
/* The tree on disk by itself: snapshots, the header and its digest, cursors, aborts. */
#include "tests/store/tree_fixture.h"

#include <unistd.h>

static void write_put(const char *key, const char *value)
{
    assert_int_equal(tree_write_put(world.tree, text(key), text(value)), OXBOW_OK);
}

static void says(const char *key, const char *want)
{
    struct oxbow_bytes value;
    enum oxbow_err err = tree_get(world.tree, text(key), &value);

    assert_int_equal(err, want == NULL ? OXBOW_ENOENT : OXBOW_OK);
    if (want != NULL) {
        assert_int_equal(value.len, strlen(want));
        assert_memory_equal(value.data, want, value.len);
    }
}

static void a_tree_never_written_to_has_an_empty_header(void **state)
{
    static const struct tree_header zero;
    struct oxbow_bytes value;

    (void)state;
    assert_memory_equal(tree_header(world.tree), &zero, sizeof zero);
    assert_int_equal(tree_get(world.tree, text("k"), &value), OXBOW_ENOENT);
    assert_int_equal(tree_values_bad(world.tree), 0);
}

static void a_reader_sees_a_commit_after_a_renewal(void **state)
{
    uint64_t before = tree_snapshot(world.tree);

    (void)state;
    begin();
    write_put("a", "1");
    commit(5);
    says("a", NULL);
    assert_int_equal(tree_header(world.tree)->lsn, 5);
    assert_int_equal(tree_renew(world.tree), OXBOW_OK);
    assert_int_equal(tree_snapshot(world.tree), before + 1);
    says("a", "1");
    begin();
    write_put("a", "22");
    assert_int_equal(tree_write_del(world.tree, text("none")), OXBOW_OK);
    commit(6);
    says("a", "1");
    assert_int_equal(tree_renew(world.tree), OXBOW_OK);
    says("a", "22");
}

static void an_abort_leaves_the_file_and_its_header(void **state)
{
    uint64_t digest;

    (void)state;
    begin();
    write_put("a", "1");
    commit(1);
    digest = tree_header(world.tree)->digest;
    begin();
    write_put("a", "2");
    write_put("b", "2");
    tree_write_abort(world.tree);
    assert_int_equal(tree_renew(world.tree), OXBOW_OK);
    says("a", "1");
    says("b", NULL);
    assert_int_equal(tree_header(world.tree)->digest, digest);
    assert_int_equal(tree_header(world.tree)->keys, 1);
    begin(); /* what was counted then is not counted now */
    write_put("c", "3");
    commit(2);
    assert_int_equal(tree_header(world.tree)->keys, 2);
}

static void the_header_is_found_again(void **state)
{
    const struct tree_header h = {.lsn = UINT64_MAX - 1,
                                  .boot = 7,
                                  .store_id = 0x1122334455667788,
                                  .next_blob = 9,
                                  .largest_txn = 12345};
    struct tree_header got;

    (void)state;
    begin();
    write_put("a", "1");
    write_put("b", "2");
    assert_int_equal(tree_write_commit(world.tree, &h), OXBOW_OK);
    got = *tree_header(world.tree);
    tree_again(MAP_BYTES);
    assert_memory_equal(tree_header(world.tree), &got, sizeof got);
    assert_int_equal(got.lsn, h.lsn);
    assert_int_equal(got.store_id, h.store_id);
    assert_int_equal(got.largest_txn, h.largest_txn);
    assert_int_equal(got.keys, 2);
    says("b", "2");
}

static void the_digest_is_of_the_keys_that_are_there(void **state)
{
    uint64_t ab;

    (void)state;
    begin();
    write_put("a", "1");
    write_put("b", "2");
    commit(1);
    ab = tree_header(world.tree)->digest;
    assert_true(ab != 0);
    begin();
    write_put("a", "another value");
    write_put("c", "3");
    assert_int_equal(tree_write_del(world.tree, text("b")), OXBOW_OK);
    assert_int_equal(tree_write_del(world.tree, text("b")), OXBOW_OK);
    commit(2);
    assert_true(tree_header(world.tree)->digest != ab);
    assert_int_equal(tree_header(world.tree)->keys, 2);
    begin();
    write_put("b", "");
    assert_int_equal(tree_write_del(world.tree, text("c")), OXBOW_OK);
    commit(3);
    assert_int_equal(tree_header(world.tree)->digest, ab);
    begin();
    assert_int_equal(tree_write_del(world.tree, text("a")), OXBOW_OK);
    assert_int_equal(tree_write_del(world.tree, text("b")), OXBOW_OK);
    commit(4);
    assert_int_equal(tree_header(world.tree)->digest, 0);
    assert_int_equal(tree_header(world.tree)->keys, 0);
}

static enum oxbow_err extend(const char *key, size_t base, const char *back)
{
    uint8_t room[64 + ENVELOPE_BYTES];

    const struct envelope_change change = {.back = text(back)};

    return tree_write_extend(world.tree, text(key), base, &change, room);
}

static void a_value_is_extended_where_it_is(void **state)
{
    uint64_t digest;

    (void)state;
    begin();
    write_put("e", "");
    write_put("k", "front");
    write_put("l", "other");
    assert_int_equal(extend("k", 5, "back"), OXBOW_OK); /* of this very transaction */
    commit(1);
    digest = tree_header(world.tree)->digest;
    begin();
    assert_int_equal(extend("k", 9, "s"), OXBOW_OK);
    assert_int_equal(extend("e", 0, "no more"), OXBOW_OK);
    assert_int_equal(extend("l", 5, ""), OXBOW_OK);
    commit(2);
    assert_int_equal(tree_renew(world.tree), OXBOW_OK);
    says("k", "frontbacks");
    says("e", "no more");
    says("l", "other");
    assert_int_equal(tree_header(world.tree)->digest, digest);
    assert_int_equal(tree_header(world.tree)->keys, 3);
}

static void what_is_not_of_the_length_it_should_be_is_not_extended(void **state)
{
    (void)state;
    begin();
    write_put("k", "front");
    assert_int_equal(extend("k", 4, "back"), OXBOW_ECORRUPT);
    assert_int_equal(extend("k", 6, "back"), OXBOW_ECORRUPT);
    assert_int_equal(extend("none", 0, "back"), OXBOW_ECORRUPT);
    tree_write_abort(world.tree);
}

static void seek(struct tree_cursor *c, const char *at, enum tree_seek how, const char *want)
{
    struct tree_item item;
    struct oxbow_bytes value;
    enum oxbow_err err = tree_cursor_seek(c, text(at), how, &item);

    assert_int_equal(err, want == NULL ? OXBOW_ENOENT : OXBOW_OK);
    if (want != NULL) {
        assert_int_equal(item.key.len, strlen(want));
        assert_memory_equal(item.key.data, want, item.key.len);
        assert_int_equal(tree_unwrap(world.tree, &item, &value), OXBOW_OK);
        assert_memory_equal(value.data, want, value.len);
    }
}

static void a_cursor_goes_to_the_nearest_on_its_side(void **state)
{
    struct tree_cursor *c;
    struct tree_item item;

    (void)state;
    begin();
    write_put("b", "b");
    write_put("d", "d");
    commit(1);
    assert_int_equal(tree_renew(world.tree), OXBOW_OK);
    assert_int_equal(tree_cursor_open(world.tree, &c), OXBOW_OK);
    seek(c, "b", TREE_GE, "b");
    seek(c, "b", TREE_GT, "d");
    seek(c, "c", TREE_GE, "d");
    seek(c, "c", TREE_GT, "d");
    seek(c, "c", TREE_LE, "b");
    seek(c, "c", TREE_LT, "b");
    seek(c, "d", TREE_LE, "d");
    seek(c, "d", TREE_LT, "b");
    seek(c, "z", TREE_LE, "d");
    seek(c, "z", TREE_LT, "d");
    seek(c, "z", TREE_GE, NULL);
    seek(c, "d", TREE_GT, NULL);
    seek(c, "b", TREE_GE, "b");
    assert_int_equal(tree_cursor_step(c, false, &item), OXBOW_OK);
    assert_memory_equal(item.key.data, "d", 1);
    assert_int_equal(tree_cursor_step(c, false, &item), OXBOW_ENOENT);
    /* It survives a renewal, and sees what came with it. */
    begin();
    write_put("c", "c");
    commit(2);
    seek(c, "b", TREE_GT, "d");
    assert_int_equal(tree_renew(world.tree), OXBOW_OK);
    seek(c, "b", TREE_GT, "c");
    tree_cursor_close(c);
}

static void an_empty_tree_has_no_key_on_any_side(void **state)
{
    struct tree_cursor *c;

    (void)state;
    assert_int_equal(tree_cursor_open(world.tree, &c), OXBOW_OK);
    seek(c, "a", TREE_GE, NULL);
    seek(c, "a", TREE_GT, NULL);
    seek(c, "a", TREE_LE, NULL);
    seek(c, "a", TREE_LT, NULL);
    tree_cursor_close(c);
}

static void usage_counts_pages_and_commits(void **state)
{
    static const char page[4000];
    struct tree_usage before;
    struct tree_usage after;

    (void)state;
    tree_usage(world.tree, &before);
    assert_int_equal(before.commits, 0);
    assert_int_equal(before.pages, 2);
    begin();
    assert_int_equal(tree_write_put(world.tree, text("k"), (struct oxbow_bytes){page, sizeof page}),
                     OXBOW_OK);
    commit(1);
    tree_usage(world.tree, &after);
    assert_int_equal(after.commits, 1);
    assert_true(after.pages >= 4);
    assert_int_equal(after.written, after.pages - 2 + 1);
    begin();
    assert_int_equal(tree_write_del(world.tree, text("k")), OXBOW_OK);
    commit(2);
    tree_usage(world.tree, &after);
    assert_true(after.free_pages > 0);
    assert_true(after.free_pages >= after.old_pages);
}

static void a_missing_file_is_not_opened(void **state)
{
    const struct tree_config config = {
        .port = &world.rig.port, .dir = "/nonexistent/oxbow", .map_bytes = 64u << 20};
    struct tree *t = NULL;

    (void)state;
    assert_int_not_equal(tree_open(&config, &t), OXBOW_OK);
    assert_null(t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tree_never_written_to_has_an_empty_header),
        TEST(a_reader_sees_a_commit_after_a_renewal),
        TEST(an_abort_leaves_the_file_and_its_header),
        TEST(the_header_is_found_again),
        TEST(the_digest_is_of_the_keys_that_are_there),
        TEST(a_value_is_extended_where_it_is),
        TEST(what_is_not_of_the_length_it_should_be_is_not_extended),
        TEST(a_cursor_goes_to_the_nearest_on_its_side),
        TEST(an_empty_tree_has_no_key_on_any_side),
        TEST(usage_counts_pages_and_commits),
        TEST(a_missing_file_is_not_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
