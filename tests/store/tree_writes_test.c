/* SPDX-License-Identifier: Apache-2.0 */
/* Many writes to the tree, as checkpoints make them, against a model: in order and in none, with
 * long keys so that it is deep, and with LMDB's calls failing on the way. */
#include "tests/store/tree_fixture.h"

#include "tests/support/lmdb_fault.h"

#include <errno.h>
#include <stdlib.h>

#define KEYS     3000u
#define STRIDE   1301u /* has no divisor in common with it: goes over all of them, to and fro */
#define KEY_HEAD 9u
#define KEY_ROOM (KEY_HEAD + 200)
#define LONG     9000u
#define SMALL    ((uint64_t)1 << 20) /* a map that is soon full */

/* What the tree is to hold: of each key that is there, so many times one byte. */
struct model {
    bool there[KEYS];
    uint8_t byte[KEYS];
    uint32_t len[KEYS];
};

static struct model now;
static struct model before;

/* Of many lengths: long ones make branches of few keys, which split and merge as leaves do. */
static struct oxbow_bytes key_of(uint32_t i, char out[KEY_ROOM])
{
    memset(out, '-', KEY_ROOM);
    snprintf(out, KEY_ROOM, "key-%05u", (unsigned)i);
    return (struct oxbow_bytes){out, KEY_HEAD + i * 37 % 200};
}

static void is_value(uint32_t i, struct oxbow_bytes value)
{
    static uint8_t want[2 * LONG];

    memset(want, now.byte[i], now.len[i]);
    assert_int_equal(value.len, now.len[i]);
    assert_memory_equal(value.data, want, value.len);
}

/* Each key is found or not, as it should be, and a walk meets those that are there in order. */
static void holds(void)
{
    struct tree_cursor *c;
    struct tree_item item;
    struct oxbow_bytes value;
    uint64_t keys = 0;
    char key[KEY_ROOM];
    enum oxbow_err err;

    assert_int_equal(tree_renew(world.tree), OXBOW_OK);
    assert_int_equal(tree_cursor_open(world.tree, &c), OXBOW_OK);
    err = tree_cursor_seek(c, text("key-"), TREE_GE, &item);
    for (uint32_t i = 0; i < KEYS; i++) {
        struct oxbow_bytes k = key_of(i, key);

        assert_int_equal(tree_get(world.tree, k, &value), now.there[i] ? OXBOW_OK : OXBOW_ENOENT);
        if (now.there[i]) {
            is_value(i, value);
            assert_int_equal(err, OXBOW_OK);
            assert_int_equal(item.key.len, k.len);
            assert_memory_equal(item.key.data, k.data, k.len);
            err = tree_cursor_step(c, false, &item);
            keys++;
        }
    }
    assert_int_equal(err, OXBOW_ENOENT);
    assert_int_equal(tree_header(world.tree)->keys, keys);
    tree_cursor_close(c);
}

/* One write to key i: a put, a deletion in `deletions` of eight, or bytes at its end. */
static enum oxbow_err write_one(uint32_t i, uint64_t dice, unsigned deletions)
{
    static uint8_t bytes[LONG];
    static uint8_t room[2 * LONG];
    char name[KEY_ROOM];
    struct oxbow_bytes key = key_of(i, name);
    uint32_t len = (uint32_t)(dice >> 16) % ((dice >> 8 & 63) != 0 ? 200 : LONG);

    if ((dice & 7) < deletions) {
        now.there[i] = false;
        return tree_write_del(world.tree, key);
    }
    if (now.there[i] && (dice & 8) != 0 && now.len[i] < LONG) {
        const struct envelope_change change = {.back = {bytes, len}};
        size_t base = now.len[i];

        memset(bytes, now.byte[i], len);
        now.len[i] += len;
        return tree_write_extend(world.tree, key, base, &change, room);
    }
    now.there[i] = true;
    now.byte[i] = (uint8_t)(dice >> 40);
    now.len[i] = len;
    memset(bytes, now.byte[i], len);
    return tree_write_put(world.tree, key, (struct oxbow_bytes){bytes, len});
}

/* One key in `part` is written, each once at most; of eight writes so many are deletions. */
static enum oxbow_err write_some(uint64_t *rng, unsigned part, unsigned deletions, bool in_order)
{
    uint32_t from = (uint32_t)(rig_random(rng) % KEYS);
    enum oxbow_err err = OXBOW_OK;

    for (uint32_t n = 0; n < KEYS && err == OXBOW_OK; n++) {
        uint32_t i = in_order ? n : (from + n * STRIDE) % KEYS;

        if (rig_random(rng) % part == 0) {
            err = write_one(i, rig_random(rng), deletions);
        }
    }
    return err;
}

/* In order as a checkpoint does it and in none; so that leaves split and so that they empty. */
static void writes_in_any_order_and_amount_are_what_is_read(void **state)
{
    uint64_t rng = rig_seed("tree writes");

    (void)state;
    memset(&now, 0, sizeof now);
    for (unsigned round = 0; round < 60; round++) {
        unsigned deletions = round % 6 == 5 ? 7 : (unsigned)(rig_random(&rng) % 5);
        unsigned part = 1 + (unsigned)(rig_random(&rng) % 20);

        before = now;
        begin();
        assert_int_equal(write_some(&rng, part, deletions, round % 4 != 3), OXBOW_OK);
        if (round % 10 == 9) {
            tree_write_abort(world.tree);
            now = before;
        } else {
            commit(round + 1);
        }
        holds();
    }
    tree_again(MAP_BYTES);
    holds();
}

static void delete_all(uint64_t *rng, bool in_order)
{
    char key[KEY_ROOM];

    begin();
    for (uint32_t i = 0; i < KEYS; i++) {
        now.there[i] = false;
        assert_int_equal(tree_write_del(world.tree, key_of(i, key)), OXBOW_OK);
    }
    assert_int_equal(write_some(rng, 3, 1, in_order), OXBOW_OK); /* where the last has just gone */
    commit(1);
}

static void a_tree_may_empty_and_fill_within_one_write(void **state)
{
    uint64_t rng = rig_seed("tree empties");

    (void)state;
    memset(&now, 0, sizeof now);
    for (unsigned round = 0; round < 6; round++) {
        delete_all(&rng, round % 2 == 0);
        holds();
    }
    tree_again(MAP_BYTES);
    holds();
}

/* The n-th call fails, for n = 1, 2, 3 ... until one write meets no fault. What could not be
 * committed is as if it had not been tried, now and once the tree is opened again; so many calls at
 * least are met. */
static void faults(uint64_t *rng, uint32_t kinds, int what, unsigned points_min)
{
    for (unsigned n = 1;; n++) {
        uint64_t lsn = tree_header(world.tree)->lsn;
        uint64_t fired;
        enum oxbow_err err;

        before = now;
        lmdb_fault_arm(kinds, n, what);
        err = tree_write_begin(world.tree);
        if (err == OXBOW_OK) {
            err = write_some(rng, 40, 2, n % 3 != 0);
            if (err == OXBOW_OK) {
                err = try_commit(lsn + 1);
            } else {
                tree_write_abort(world.tree);
            }
        }
        fired = lmdb_fault_disarm();
        assert_int_equal(err != OXBOW_OK, fired != 0);
        if (fired == 0) {
            holds();
            print_message("%u fault points\n", n - 1);
            assert_true(n > points_min);
            return;
        }
        if (tree_header(world.tree)->lsn == lsn) {
            now = before;
        } else { /* committed, but its pages could not be counted afterwards */
            assert_int_equal(tree_header(world.tree)->lsn, lsn + 1);
            assert_int_equal(kinds, LMDB_FAULT_MEMORY);
            lsn++;
        }
        tree_again(MAP_BYTES); /* what LMDB could not write, it believes no more */
        assert_int_equal(tree_header(world.tree)->lsn, lsn);
        holds();
    }
}

static void a_write_in_which_a_call_fails_changes_nothing(void **state)
{
    uint64_t rng = rig_seed("tree faults");

    (void)state;
    memset(&now, 0, sizeof now);
    begin();
    assert_int_equal(write_some(&rng, 2, 0, true), OXBOW_OK);
    commit(1);
    faults(&rng, LMDB_FAULT_WRITING, EIO, 3);
    faults(&rng, LMDB_FAULT_WRITING, ENOSPC, 3);
    faults(&rng, LMDB_FAULT_MEMORY, ENOMEM, 20);
}

/* The same without opening it again: the next write of the same tree is a whole one. */
static void a_write_for_which_memory_fails_can_be_tried_again(void **state)
{
    uint64_t rng = rig_seed("tree memory");
    unsigned failed = 0;

    (void)state;
    memset(&now, 0, sizeof now);
    for (unsigned n = 1; n < 40; n++) {
        enum oxbow_err err;

        before = now;
        tree_again(MAP_BYTES); /* LMDB keeps pages that it has once got */
        lmdb_fault_arm(LMDB_FAULT_MEMORY, n, ENOMEM);
        err = tree_write_begin(world.tree);
        if (err == OXBOW_OK) {
            err = write_some(&rng, 40, 2, true);
            tree_write_abort(world.tree);
        }
        (void)lmdb_fault_disarm();
        now = before;
        if (err != OXBOW_OK) {
            assert_int_equal(err, OXBOW_ENOMEM);
            failed++;
        }
        begin();
        assert_int_equal(write_some(&rng, 20, 2, n % 3 != 0), OXBOW_OK);
        commit(n);
        holds();
    }
    assert_true(failed >= 10);
}

/* A full map ends a write; nothing of it is there, and less can be written. */
static void a_write_that_does_not_fit_leaves_what_was(void **state)
{
    uint64_t rng = rig_seed("tree full");
    unsigned deletions = 0;

    (void)state;
    memset(&now, 0, sizeof now);
    tree_again(SMALL);
    for (unsigned round = 1, full = 0; full < 10; round++) {
        enum oxbow_err err;
        char key[KEY_ROOM];

        assert_true(round < 1000);
        before = now;
        begin();
        err = write_some(&rng, 1 + (unsigned)(rig_random(&rng) % 12), deletions, round % 4 != 0);
        if (err == OXBOW_OK) {
            err = try_commit(round);
            if (err != OXBOW_OK) {
                tree_again(SMALL);
            }
        } else {
            assert_int_equal(tree_write_del(world.tree, key_of(7, key)), OXBOW_EFAILED);
            tree_write_abort(world.tree);
        }
        deletions = (unsigned)(rig_random(&rng) % 3);
        if (err != OXBOW_OK) {
            assert_int_equal(err, OXBOW_ENOSPC);
            now = before;
            deletions = 7;
            full++;
        }
        holds();
    }
    tree_again(SMALL);
    holds();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_in_any_order_and_amount_are_what_is_read),
        TEST(a_tree_may_empty_and_fill_within_one_write),
        TEST(a_write_in_which_a_call_fails_changes_nothing),
        TEST(a_write_for_which_memory_fails_can_be_tried_again),
        TEST(a_write_that_does_not_fit_leaves_what_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
