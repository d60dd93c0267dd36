/* SPDX-License-Identifier: Apache-2.0 */
/* Values put together from layers: appends to what is on the device, at every length that is
 * treated in a way of its own. */
#include "engine/store/value.h"
#include "tests/store/kv_fixture.h"

#include <stdio.h>

#define MODEL_MAX 20000u

struct model {
    uint8_t bytes[MODEL_MAX];
    size_t len;
};

static void model_patch(struct model *m, size_t pos, const void *bytes, size_t len)
{
    memcpy(m->bytes + pos, bytes, len);
    m->len = pos + len > m->len ? pos + len : m->len;
}

static struct oxbow_bytes said(const struct model *m)
{
    return (struct oxbow_bytes){m->bytes, m->len};
}

static void patch(struct oxbow_txn *txn, struct model *m, size_t pos, struct oxbow_bytes bytes)
{
    assert_int_equal(kv_patch(txn, BYTES("k"), pos, bytes), OXBOW_OK);
    model_patch(m, pos, bytes.data, bytes.len);
}

static void start(struct rig *rig, struct model *m, size_t len)
{
    struct oxbow_txn *txn = rig_begin(rig, 0);
    size_t i;

    for (i = 0; i < len; i++) {
        m->bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    m->len = len;
    put(txn, BYTES("k"), said(m));
    rig_commit(txn);
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
}

static const size_t lens[] = {0,
                              1,
                              TAIL_BASE_MIN - 1,
                              TAIL_BASE_MIN,
                              TAIL_BASE_MIN + 1,
                              KV_PAGE_MAX,
                              TAIL_BASE_MAX - 1,
                              TAIL_BASE_MAX,
                              TAIL_BASE_MAX + 1};
#define LENS (sizeof lens / sizeof lens[0])

static void an_append_is_read_back_whole(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    size_t i;

    for (i = 0; i < LENS; i++) {
        struct oxbow_txn *txn;
        unsigned round;

        start(rig, &m, lens[i]);
        for (round = 0; round < 3; round++) { /* within the table, then over the device again */
            txn = rig_begin(rig, 0);
            patch(txn, &m, m.len, BYTES("appended"));
            patch(txn, &m, m.len, BYTES("+"));
            assert_value(txn, BYTES("k"), said(&m));
            patch(txn, &m, m.len, BYTES("after being read"));
            rig_commit(txn);
            if (round > 0) {
                assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
            }
        }
        rig_reopen(rig);
        txn = rig_begin(rig, OXBOW_TXN_READ);
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
    }
}

static void an_append_of_nothing_changes_nothing(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    size_t i;

    for (i = 0; i < LENS; i++) {
        struct oxbow_txn *txn;

        start(rig, &m, lens[i]);
        txn = rig_begin(rig, 0);
        patch(txn, &m, m.len, (struct oxbow_bytes){"", 0});
        assert_value(txn, BYTES("k"), said(&m)); /* which makes a tail whole */
        rig_commit(txn);
        assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
        txn = rig_begin(rig, 0);
        patch(txn, &m, m.len, (struct oxbow_bytes){"", 0});
        rig_commit(txn);
        rig_reopen(rig);
        txn = rig_begin(rig, OXBOW_TXN_READ);
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
    }
}

static void a_patch_in_front_of_a_tail_meets_it_rightly(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    size_t i;

    for (i = 2; i < LENS; i++) {
        struct oxbow_txn *txn;

        start(rig, &m, lens[i]);
        txn = rig_begin(rig, 0);
        patch(txn, &m, m.len, BYTES("tail"));
        patch(txn, &m, 0, BYTES("front"));
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
        txn = rig_begin(rig, 0);
        patch(txn, &m, lens[i] - 3, BYTES("across")); /* where they meet */
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
        rig_reopen(rig);
        txn = rig_begin(rig, OXBOW_TXN_READ);
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
    }
}

static void a_patch_anywhere_meets_the_tail_rightly(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    size_t i;
    size_t k;

    for (i = 2; i < LENS; i++) {
        const size_t at[] = {0, lens[i] / 2, lens[i] - 2, lens[i] - 1, lens[i], lens[i] + 3};

        for (k = 0; k < sizeof at / sizeof at[0]; k++) {
            struct oxbow_txn *txn;

            start(rig, &m, lens[i]);
            txn = rig_begin(rig, 0);
            patch(txn, &m, m.len, BYTES("tail"));
            rig_commit(txn);
            txn = rig_begin(rig, 0);
            patch(txn, &m, at[k], BYTES("XY"));
            assert_value(txn, BYTES("k"), said(&m));
            rig_commit(txn);
            assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
            txn = rig_begin(rig, 0);
            assert_value(txn, BYTES("k"), said(&m));
            rig_commit(txn);
        }
    }
}

static void tails_lie_over_tails(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    size_t i;
    unsigned how;

    for (i = 0; i < LENS; i++) {
        for (how = 0; how < 4; how++) {
            struct oxbow_txn *txn;

            start(rig, &m, lens[i]);
            txn = rig_begin(rig, 0);
            patch(txn, &m, m.len, BYTES("frozen tail"));
            rig_commit(txn);
            txn = begin_over_frozen(rig);
            if (how % 2 == 0) {
                assert_value(txn, BYTES("k"), said(&m));
            }
            patch(txn, &m, m.len, BYTES("active tail"));
            if (how >= 2) {
                patch(txn, &m, lens[i] / 2, BYTES("whole"));
            }
            assert_value(txn, BYTES("k"), said(&m));
            rig_commit(txn);
            txn = rig_begin(rig, 0);
            assert_value(txn, BYTES("k"), said(&m));
            rig_commit(txn);
            rig_reopen(rig);
            txn = rig_begin(rig, 0);
            assert_value(txn, BYTES("k"), said(&m));
            rig_commit(txn);
        }
    }
}

static void a_key_deleted_in_the_frozen_table_is_gone_and_may_come_again(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    struct oxbow_txn *txn;

    start(rig, &m, 1000);
    txn = rig_begin(rig, 0);
    assert_int_equal(kv_del(txn, BYTES("k")), OXBOW_OK);
    rig_commit(txn);
    txn = begin_over_frozen(rig);
    assert_absent(txn, BYTES("k"));
    assert_int_equal(kv_patch(txn, BYTES("k"), 0, BYTES("x")), OXBOW_ENOENT);
    put(txn, BYTES("k"), BYTES("new"));
    assert_int_equal(kv_patch(txn, BYTES("k"), 3, BYTES("er")), OXBOW_OK);
    assert_value(txn, BYTES("k"), BYTES("newer"));
    rig_commit(txn);
    rig_reopen(rig);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_value(txn, BYTES("k"), BYTES("newer"));
    rig_commit(txn);
}

static void an_aborted_append_leaves_what_was(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    static struct model before;
    size_t i;

    for (i = 0; i < LENS; i++) {
        struct oxbow_txn *txn;

        start(rig, &m, lens[i]);
        before = m;
        txn = rig_begin(rig, 0);
        patch(txn, &m, m.len, BYTES("never"));
        patch(txn, &m, m.len / 2, BYTES("was"));
        rig_abort(txn);
        m = before;
        txn = rig_begin(rig, 0);
        assert_value(txn, BYTES("k"), said(&m));
        patch(txn, &m, m.len, BYTES("kept"));
        rig_commit(txn);
        before = m;
        txn = rig_begin(rig, 0);
        patch(txn, &m, m.len, BYTES("dropped"));
        patch(txn, &m, 0, BYTES("dropped"));
        rig_abort(txn);
        m = before;
        txn = rig_begin(rig, 0);
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
        rig_reopen(rig);
        txn = rig_begin(rig, 0);
        assert_value(txn, BYTES("k"), said(&m));
        assert_int_equal(kv_del(txn, BYTES("k")), OXBOW_OK);
        rig_commit(txn);
    }
}

static void a_value_that_was_read_is_not_taken_for_one_that_was_written(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    struct oxbow_stat before;
    struct oxbow_stat after;
    struct oxbow_txn *txn;
    unsigned i;

    start(rig, &m, 200);
    oxbow_stat(rig->db, &before);
    for (i = 0; i < 3; i++) {
        txn = rig_begin(rig, 0);
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
    }
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
    oxbow_stat(rig->db, &after);
    assert_int_equal(after.lsn_applied, before.lsn_applied);
    assert_int_equal(after.checkpoints, before.checkpoints);
    /* And it does not hide what is written later. */
    txn = rig_begin(rig, 0);
    put(txn, BYTES("k"), BYTES("new"));
    rig_commit(txn);
    txn = rig_begin(rig, 0);
    assert_value(txn, BYTES("k"), BYTES("new"));
    assert_int_equal(kv_del(txn, BYTES("k")), OXBOW_OK);
    rig_commit(txn);
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
    txn = rig_begin(rig, OXBOW_TXN_READ);
    assert_absent(txn, BYTES("k"));
    rig_commit(txn);
}

static const struct mem_entry *active_entry(struct rig *rig)
{
    return mem_find(rig->db->active, BYTES("k"), mem_hash(BYTES("k")));
}

static void a_value_grows_in_pieces_and_is_one_when_it_is_read(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    static const uint8_t step[100] = {'s'};
    size_t i;

    for (i = 0; i < LENS; i++) {
        struct oxbow_txn *txn;
        unsigned round;
        unsigned pieces = 0;

        start(rig, &m, lens[i]);
        txn = rig_begin(rig, 0);
        for (round = 0; round < 100; round++) { /* past what may be in pieces */
            patch(txn, &m, m.len, (struct oxbow_bytes){step, sizeof step});
            pieces += active_entry(rig)->front != NULL;
        }
        assert_true(lens[i] + 1000 > PIECES_MAX || pieces > 20);
        rig_commit(txn);
        txn = begin_over_frozen(rig);
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
        rig_reopen(rig);
        txn = rig_begin(rig, OXBOW_TXN_READ);
        assert_value(txn, BYTES("k"), said(&m));
        rig_commit(txn);
    }
}

static void a_small_change_in_front_brings_nothing_up(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    struct oxbow_txn *txn;

    start(rig, &m, 4000);
    txn = rig_begin(rig, 0);
    patch(txn, &m, 32, BYTES("8 bytes."));
    assert_non_null(active_entry(rig)->patch);
    assert_null(active_entry(rig)->data);
    rig_commit(txn);
    txn = rig_begin(rig, 0);
    patch(txn, &m, m.len, BYTES("and an append"));
    patch(txn, &m, 32, BYTES("in place")); /* of the same bytes */
    assert_non_null(active_entry(rig)->patch);
    rig_abort(txn);
    m.len = 4000;
    model_patch(&m, 32, "8 bytes.", 8);
    assert_memory_equal(active_entry(rig)->patch->bytes, "8 bytes.", 8);
    txn = begin_over_frozen(rig);
    patch(txn, &m, 40, BYTES("beside")); /* above the other one, which is frozen */
    assert_value(txn, BYTES("k"), said(&m));
    rig_commit(txn);
    rig_reopen(rig);
    txn = rig_begin(rig, 0);
    assert_value(txn, BYTES("k"), said(&m));
    rig_commit(txn);
}

/* What is damaged below a patch stays damaged: the checksum that a checkpoint writes is not made
 * anew from it. */
static void a_patch_blesses_no_damage(void **state)
{
    struct rig *rig = *state;
    static struct model m;
    struct oxbow_txn *txn;
    struct oxbow_bytes got;
    char path[300];
    unsigned char *data;
    long size;
    FILE *f;
    long i;
    long hits = 0;

    start(rig, &m, 4000);
    txn = rig_begin(rig, 0);
    patch(txn, &m, 0, BYTES("patched"));
    rig_commit(txn);
    snprintf(path, sizeof path, "%s/" TREE_FILE, rig->config.dir);
    f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size = ftell(f);
    data = malloc((size_t)size);
    assert_non_null(data);
    rewind(f);
    assert_int_equal(fread(data, 1, (size_t)size, f), size);
    for (i = 0; i + 64 < size; i++) { /* bytes 1000 to 1063 of the value, and no others */
        if (memcmp(data + i, m.bytes + 1000, 64) == 0) {
            assert_int_equal(fseek(f, i, SEEK_SET), 0);
            assert_int_equal(fputc(data[i] ^ 0x10, f), data[i] ^ 0x10);
            hits++;
        }
    }
    assert_int_equal(fclose(f), 0);
    free(data);
    assert_true(hits > 0);
    assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
    txn = rig_begin(rig, 0);
    assert_int_equal(kv_get(txn, BYTES("k"), &got), OXBOW_ECORRUPT);
    rig_commit(txn);
}

static void values_that_grow_in_step_fill_the_table_with_little_else(void **state)
{
    struct rig *rig = *state;
    enum { KEYS = 300, STEPS = 30, STEP = 100 };
    static const uint8_t step[STEP] = {'s'};
    struct oxbow_stat before;
    struct oxbow_stat stat;
    unsigned i;
    unsigned k;

    oxbow_stat(rig->db, &before);
    for (i = 0; i < STEPS; i++) {
        struct oxbow_txn *txn = rig_begin(rig, 0);

        for (k = 0; k < KEYS; k++) {
            char name[8];
            struct oxbow_bytes key = {name, (size_t)snprintf(name, sizeof name, "k%u", k)};

            if (i == 0) {
                put(txn, key, (struct oxbow_bytes){step, STEP});
            } else {
                assert_int_equal(kv_patch(txn, key, i * STEP, (struct oxbow_bytes){step, STEP}),
                                 OXBOW_OK);
            }
        }
        rig_commit(txn);
    }
    oxbow_stat(rig->db, &stat);
    assert_int_equal(stat.checkpoints, before.checkpoints);
    assert_true(stat.memtable_bytes > KEYS * STEPS * STEP);
    assert_true(stat.memtable_bytes < KEYS * STEPS * STEP * 3 / 2);
}

/* Appends, small and large changes, puts and deletions of a few keys, in transactions that are kept
 * or not, over frozen tables and over the device, beside a model. */
#define RANDOM_KEYS 4u

static void change(struct oxbow_txn *txn, uint64_t *rng, struct model *m, struct oxbow_bytes key)
{
    static const uint8_t bytes[1200] = "of what is written, the letters do not matter much";
    uint64_t what = rig_random(rng) % 16;
    size_t n = what < 8 ? rig_random(rng) % 200 + 1 : rig_random(rng) % 16 + 1;
    size_t from = rig_random(rng) % 40;
    size_t pos = m->len;

    if (m->len == 0 || m->len > 9000 || what == 15) {
        n = rig_random(rng) % sizeof bytes;
        put(txn, key, (struct oxbow_bytes){bytes, n});
        m->len = 0;
        model_patch(m, 0, bytes, n);
        return;
    }
    if (what >= 12) { /* links of chunks are twice the same place */
        pos = what == 12 ? 32 % m->len : rig_random(rng) % m->len;
    }
    assert_int_equal(kv_patch(txn, key, pos, (struct oxbow_bytes){bytes + from, n}), OXBOW_OK);
    model_patch(m, pos, bytes + from, n);
}

static void whatever_is_done_to_values_they_are_as_the_model_says(void **state)
{
    struct rig *rig = *state;
    static struct model now[RANDOM_KEYS];
    static struct model kept[RANDOM_KEYS];
    static const char *const names[RANDOM_KEYS] = {"a", "b", "c", "d"};
    uint64_t rng = rig_seed("value");
    unsigned round;
    unsigned pieces = 0;
    unsigned patches = 0;

    for (round = 0; round < 3000; round++) {
        uint64_t what = rig_random(&rng) % 64;
        struct oxbow_txn *txn;
        unsigned n;

        if (what == 0) {
            rig_reopen(rig);
        } else if (what < 4) {
            assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
        }
        txn = what < 12 && rig->db->active->dirty ? begin_over_frozen(rig) : rig_begin(rig, 0);
        memcpy(kept, now, sizeof now);
        for (n = (unsigned)(rig_random(&rng) % 12); n > 0; n--) {
            unsigned k = (unsigned)(rig_random(&rng) % RANDOM_KEYS);
            struct oxbow_bytes key = {names[k], 1};
            const struct mem_entry *e;

            if (rig_random(&rng) % 6 == 0 && now[k].len > 0) {
                assert_value(txn, key, said(&now[k]));
            } else {
                change(txn, &rng, &now[k], key);
            }
            e = mem_find(rig->db->active, key, mem_hash(key));
            pieces += e != NULL && e->front != NULL;
            patches += e != NULL && e->patch != NULL;
        }
        if (rig_random(&rng) % 4 == 0) {
            rig_abort(txn);
            memcpy(now, kept, sizeof now);
        } else {
            rig_commit(txn);
        }
    }
    assert_true(pieces > 500);
    assert_true(patches > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KV_TEST(an_append_is_read_back_whole),
        KV_TEST(an_append_of_nothing_changes_nothing),
        KV_TEST(a_patch_in_front_of_a_tail_meets_it_rightly),
        KV_TEST(a_patch_anywhere_meets_the_tail_rightly),
        KV_TEST(tails_lie_over_tails),
        KV_TEST(a_key_deleted_in_the_frozen_table_is_gone_and_may_come_again),
        KV_TEST(an_aborted_append_leaves_what_was),
        KV_TEST(a_value_grows_in_pieces_and_is_one_when_it_is_read),
        KV_TEST(a_small_change_in_front_brings_nothing_up),
        KV_TEST(a_patch_blesses_no_damage),
        KV_TEST(values_that_grow_in_step_fill_the_table_with_little_else),
        KV_TEST(whatever_is_done_to_values_they_are_as_the_model_says),
        KV_TEST(a_value_that_was_read_is_not_taken_for_one_that_was_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
