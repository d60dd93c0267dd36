/* SPDX-License-Identifier: Apache-2.0 */
/* Cursors over the merged layers: where they stand, what they skip, and damage in their way. */
#include "tests/store/kv_fixture.h"

#include <lmdb.h>

#define CURSORS 20u

/* One letter of upper case each: 'B', 'D', 'F', 'H' on the device, 'C', 'I' in the frozen table, which
 * has 'H' too, 'G' in the active one; 'D' is deleted in the frozen one, 'I' in the active one. The
 * catalog's own keys lie below 'A'. Leaves a transaction open. */
static struct oxbow_txn *letters(struct rig *rig)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);
    const char *c;

    for (c = "zBDFH"; *c != '\0'; c++) {
        put(txn, (struct oxbow_bytes){c, 1}, (struct oxbow_bytes){c, 1});
    }
    rig_commit(txn);
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
    txn = rig_begin(rig, 0);
    put(txn, BYTES("C"), BYTES("C"));
    put(txn, BYTES("H"), BYTES("H"));
    put(txn, BYTES("I"), BYTES("I"));
    assert_int_equal(kv_del(txn, BYTES("D")), OXBOW_OK);
    rig_commit(txn);
    txn = begin_over_frozen(rig);
    put(txn, BYTES("G"), BYTES("G"));
    assert_int_equal(kv_del(txn, BYTES("I")), OXBOW_OK);
    assert_int_equal(kv_del(txn, BYTES("z")), OXBOW_OK);
    return txn;
}

typedef enum oxbow_err (*step)(struct kv_cursor *, struct oxbow_bytes *, struct oxbow_bytes *);

static void goes_to(struct kv_cursor *c, step how, const char *want)
{
    struct oxbow_bytes key;
    struct oxbow_bytes value;

    assert_int_equal(how(c, &key, &value), OXBOW_OK);
    assert_bytes(key, (struct oxbow_bytes){want, 1});
    assert_bytes(value, (struct oxbow_bytes){want, 1});
}

static void seeks(struct kv_cursor *c, const char *at, bool back, const char *want)
{
    struct oxbow_bytes from = {at, strlen(at)};
    struct oxbow_bytes key;
    struct oxbow_bytes value;

    assert_int_equal(back ? kv_cursor_seek_back(c, from, &key, &value)
                          : kv_cursor_seek(c, from, &key, &value),
                     OXBOW_OK);
    assert_bytes(key, (struct oxbow_bytes){want, 1});
    assert_bytes(value, (struct oxbow_bytes){want, 1});
}

static void it_goes_over_all_layers_both_ways(void **state)
{
    struct oxbow_txn *txn = letters(*state);
    struct kv_cursor c;

    assert_int_equal(kv_cursor_init(&c, txn), OXBOW_OK);
    seeks(&c, "A", false, "B");
    goes_to(&c, kv_cursor_next, "C");
    goes_to(&c, kv_cursor_next, "F");
    goes_to(&c, kv_cursor_prev, "C");
    goes_to(&c, kv_cursor_next, "F");
    goes_to(&c, kv_cursor_next, "G");
    goes_to(&c, kv_cursor_next, "H");
    goes_to(&c, kv_cursor_prev, "G");
    seeks(&c, "D", false, "F");
    seeks(&c, "D", true, "C");
    seeks(&c, "G", true, "G");
    seeks(&c, "G", false, "G");
    seeks(&c, "Ga", true, "G");
    seeks(&c, "Ga", false, "H");
    seeks(&c, "zz", true, "H");
    kv_cursor_fini(&c);
    kv_cursor_fini(&c);
    rig_abort(txn);
}

static void at_an_end_it_stays_where_it_was(void **state)
{
    struct oxbow_txn *txn = letters(*state);
    struct oxbow_bytes key = BYTES("untouched");
    struct oxbow_bytes value;
    struct kv_cursor c;

    assert_int_equal(kv_cursor_init(&c, txn), OXBOW_OK);
    seeks(&c, "H", false, "H");
    assert_int_equal(kv_cursor_next(&c, &key, &value), OXBOW_ENOENT);
    assert_int_equal(kv_cursor_next(&c, &key, &value), OXBOW_ENOENT);
    assert_bytes(key, BYTES("untouched"));
    goes_to(&c, kv_cursor_prev, "G");
    assert_int_equal(kv_cursor_seek(&c, BYTES("x"), &key, &value), OXBOW_ENOENT);
    goes_to(&c, kv_cursor_next, "H");
    assert_int_equal(kv_cursor_seek_back(&c, BYTES(""), &key, &value), OXBOW_ENOENT);
    goes_to(&c, kv_cursor_prev, "G");
    kv_cursor_fini(&c);
    rig_abort(txn);
}

static void nowhere_there_is_no_next(void **state)
{
    static const uint8_t zeros[KV_KEY_MAX + 1];
    struct oxbow_txn *txn = letters(*state);
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct kv_cursor c;

    assert_int_equal(kv_cursor_init(&c, txn), OXBOW_OK);
    assert_int_equal(kv_cursor_next(&c, &key, &value), OXBOW_EINVAL);
    assert_int_equal(kv_cursor_prev(&c, &key, &value), OXBOW_EINVAL);
    assert_int_equal(kv_cursor_seek(&c, (struct oxbow_bytes){zeros, sizeof zeros}, &key, &value),
                     OXBOW_EINVAL);
    assert_int_equal(kv_cursor_seek(&c, BYTES(""), &key, &value), OXBOW_OK);
    assert_true(key.len >= 1);
    kv_cursor_fini(&c);
    rig_abort(txn);
}

static void it_stays_valid_through_writes(void **state)
{
    struct oxbow_txn *txn = letters(*state);
    struct kv_cursor c;

    assert_int_equal(kv_cursor_init(&c, txn), OXBOW_OK);
    seeks(&c, "C", false, "C");
    assert_int_equal(kv_del(txn, BYTES("C")), OXBOW_OK); /* the one that it stands on */
    put(txn, BYTES("E"), BYTES("E"));                    /* comes in between */
    goes_to(&c, kv_cursor_next, "E");
    assert_int_equal(kv_del(txn, BYTES("F")), OXBOW_OK); /* the next one */
    goes_to(&c, kv_cursor_next, "G");
    put(txn, BYTES("F"), BYTES("F"));
    goes_to(&c, kv_cursor_prev, "F");
    goes_to(&c, kv_cursor_prev, "E");
    goes_to(&c, kv_cursor_prev, "B");
    put(txn, BYTES("C"), BYTES("C"));
    goes_to(&c, kv_cursor_next, "C");
    kv_cursor_fini(&c);
    rig_commit(txn);
}

static void many_may_be_open_at_once(void **state)
{
    struct oxbow_txn *txn = letters(*state);
    struct kv_cursor c[CURSORS];
    unsigned round;
    size_t i;

    for (round = 0; round < 2; round++) {
        for (i = 0; i < CURSORS; i++) {
            assert_int_equal(kv_cursor_init(&c[i], txn), OXBOW_OK);
            seeks(&c[i], i % 2 == 0 ? "B" : "G", false, i % 2 == 0 ? "B" : "G");
        }
        for (i = 0; i < CURSORS; i++) {
            goes_to(&c[i], kv_cursor_next, i % 2 == 0 ? "C" : "H");
            kv_cursor_fini(&c[i]);
        }
    }
    assert_true(((struct rig *)*state)->db->cursors_kept <= STORE_CURSORS_KEPT);
    rig_abort(txn);
}

/* "two" keys, of which the middle ones share a first letter with nobody. */
static struct oxbow_txn *words(struct rig *rig)
{
    static const char *const all[] = {"aa", "ab", "ba", "bb", "bc", "ca"};
    struct oxbow_txn *txn = rig_begin(rig, 0);

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        put(txn, (struct oxbow_bytes){all[i], 2}, (struct oxbow_bytes){all[i], 2});
    }
    return txn;
}

static void a_cursor_that_is_to_stay_among_keys_does_not_leave_them(void **state)
{
    struct rig *rig = *state;
    struct oxbow_txn *txn = words(rig);
    struct oxbow_bytes key, value;
    struct kv_cursor c;

    assert_int_equal(kv_cursor_init(&c, txn), OXBOW_OK);
    assert_int_equal(kv_cursor_seek_in(&c, BYTES("b"), 1, &key, &value), OXBOW_OK);
    assert_bytes(key, BYTES("ba"));
    assert_int_equal(kv_cursor_prev(&c, &key, &value), OXBOW_ENOENT);
    assert_int_equal(kv_cursor_next(&c, &key, &value), OXBOW_OK);
    assert_bytes(key, BYTES("bb"));
    assert_int_equal(kv_del(txn, BYTES("bc")), OXBOW_OK);
    assert_int_equal(kv_cursor_next(&c, &key, &value), OXBOW_ENOENT);
    assert_int_equal(kv_cursor_prev(&c, &key, &value), OXBOW_OK); /* it stood where it was */
    assert_bytes(key, BYTES("ba"));
    assert_int_equal(kv_cursor_seek_back_in(&c, BYTES("bz"), 1, &key, &value), OXBOW_OK);
    assert_bytes(key, BYTES("bb"));
    assert_int_equal(kv_cursor_seek_back_in(&c, BYTES("bb"), 2, &key, &value), OXBOW_OK);
    assert_int_equal(kv_cursor_prev(&c, &key, &value), OXBOW_ENOENT);
    assert_int_equal(kv_cursor_seek_in(&c, BYTES("bd"), 1, &key, &value), OXBOW_ENOENT);
    assert_int_equal(kv_cursor_seek_back_in(&c, BYTES("a"), 1, &key, &value), OXBOW_ENOENT);
    assert_int_equal(kv_cursor_seek_in(&c, BYTES("b"), 2, &key, &value), OXBOW_EINVAL);
    assert_int_equal(kv_cursor_seek_in(&c, BYTES("b"), 0, &key, &value), OXBOW_EINVAL);
    assert_int_equal(kv_cursor_seek(&c, BYTES("bd"), &key, &value), OXBOW_OK); /* free again */
    assert_bytes(key, BYTES("ca"));
    kv_cursor_fini(&c);
    rig_abort(txn);
}

/* Writes a value without a good checksum where "F" is. */
static void damage(const char *dir)
{
    char name[] = "F";
    char junk[] = "12345junk";
    MDB_val key = {1, name};
    MDB_val value = {sizeof junk, junk};
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void log_nothing(void *ctx, enum oxbow_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    (void)text;
}

static void a_damaged_value_is_named_not_given_and_passed_over(void **state)
{
    struct rig *rig = *state;
    struct oxbow_bytes key;
    struct oxbow_bytes value = BYTES("untouched");
    struct oxbow_stat stat;
    struct oxbow_txn *txn;
    struct kv_cursor c;
    bool more;

    rig_commit(letters(rig));
    rig_close(rig);
    damage(rig->store);
    rig->port.log.line = log_nothing;
    rig_open(rig);
    txn = rig_begin(rig, 0);
    assert_int_equal(kv_get(txn, BYTES("F"), &value), OXBOW_ECORRUPT);
    assert_int_equal(kv_patch(txn, BYTES("none"), 0, BYTES("x")), OXBOW_ENOENT);
    assert_int_equal(kv_cursor_init(&c, txn), OXBOW_OK);
    seeks(&c, "C", false, "C");
    assert_int_equal(kv_cursor_next(&c, &key, &value), OXBOW_ECORRUPT);
    assert_bytes((struct oxbow_bytes){c.key, c.key_len}, BYTES("F"));
    assert_bytes(value, BYTES("untouched"));
    goes_to(&c, kv_cursor_next, "G");
    assert_int_equal(kv_cursor_prev(&c, &key, &value), OXBOW_ECORRUPT);
    goes_to(&c, kv_cursor_prev, "C");
    oxbow_stat(rig->db, &stat);
    assert_true(stat.values_bad >= 1);
    /* Beyond what a cursor is to see it is not even looked at. */
    assert_int_equal(kv_cursor_seek_in(&c, BYTES("C"), 1, &key, &value), OXBOW_OK);
    assert_int_equal(kv_cursor_next(&c, &key, &value), OXBOW_ENOENT);
    assert_int_equal(kv_cursor_seek_back_in(&c, BYTES("G"), 1, &key, &value), OXBOW_OK);
    assert_int_equal(kv_cursor_prev(&c, &key, &value), OXBOW_ENOENT);
    kv_cursor_fini(&c);
    /* It can be deleted like any other. */
    assert_int_equal(kv_del_range(txn, BYTES("F"), BYTES("G"), 5, &more), OXBOW_OK);
    assert_false(more);
    assert_absent(txn, BYTES("F"));
    rig_commit(txn);
    rig_reopen(rig);
    txn = rig_begin(rig, 0);
    assert_absent(txn, BYTES("F"));
    rig_commit(txn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KV_TEST(it_goes_over_all_layers_both_ways),
        KV_TEST(at_an_end_it_stays_where_it_was),
        KV_TEST(nowhere_there_is_no_next),
        KV_TEST(it_stays_valid_through_writes),
        KV_TEST(many_may_be_open_at_once),
        KV_TEST(a_cursor_that_is_to_stay_among_keys_does_not_leave_them),
        KV_TEST(a_damaged_value_is_named_not_given_and_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
