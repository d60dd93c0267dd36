/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists and streams of many small shapes, from which each key is taken in turn: nothing comes back
 * that had left, and what is missing lies where the loss says. mend_test has few shapes and much in
 * them.
 */
#include "engine/queue/mend.h"

#include "engine/store/store.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "tests/queue/mend_fixture.h"

#define SHAPES    14u
#define STEPS     40u
#define ITEMS_MAX 1000u

/* What there was. */
static uint32_t elements[ITEMS_MAX];
static size_t element_count;
static struct oxbow_id entries[ITEMS_MAX];
static size_t entry_count;
static uint32_t next_number;

/* Number i; some are too long for a chunk, some fill one. */
static struct oxbow_bytes content(uint32_t i)
{
    static uint8_t bytes[70000];
    size_t len = i % 41 == 0 ? sizeof bytes : i % 3 == 0 ? 5000 : i % 2 == 0 ? 900 : 4 + i % 50;

    memset(bytes, (int)('a' + i % 26), len);
    put_be32(bytes, i);
    return (struct oxbow_bytes){bytes, len};
}

static struct oxbow_config config(void)
{
    return (struct oxbow_config){.dir = dir,
                                 .port = &quiet.port,
                                 .sync = OXBOW_SYNC_INTERVAL,
                                 .interval_ms = 60000,
                                 .journal = OXBOW_JOURNAL_OFF};
}

/* ---- shapes ---- */

static void push(struct oxbow_txn *txn, enum oxbow_end end)
{
    for (uint32_t n = 1 + dice(6); n > 0 && element_count < ITEMS_MAX; n--) {
        uint32_t i = ++next_number;
        struct oxbow_bytes value = content(i);

        assert_int_equal(oxbow_list_push(txn, text("l"), end, &value, 1, NULL), OXBOW_OK);
        if (end == OXBOW_LEFT) {
            memmove(elements + 1, elements, element_count * sizeof elements[0]);
            elements[0] = i;
        } else {
            elements[element_count] = i;
        }
        element_count++;
    }
}

static void pop(struct oxbow_txn *txn, enum oxbow_end end)
{
    struct oxbow_result r = {0};
    size_t n = 1 + dice(5);

    if (element_count <= n) {
        return;
    }
    assert_int_equal(oxbow_list_pop(txn, text("l"), end, n, &r), OXBOW_OK);
    assert_int_equal(r.item_count, n);
    element_count -= n;
    if (end == OXBOW_LEFT) {
        memmove(elements, elements + n, element_count * sizeof elements[0]);
    }
    oxbow_result_fini(&r);
}

static void add(struct oxbow_txn *txn)
{
    uint32_t i = ++next_number;
    struct oxbow_field field = {text("f"), content(i)};
    struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {i, dice(2)}};

    assert_int_equal(oxbow_stream_add(txn, text("s"), &opt, &field, 1, NULL), OXBOW_OK);
    entries[entry_count++] = opt.id;
}

static void delete_one(struct oxbow_txn *txn)
{
    size_t at = dice((uint32_t)entry_count);

    assert_int_equal(oxbow_stream_delete(txn, text("s"), &entries[at], 1, NULL), OXBOW_OK);
    entry_count--;
    memmove(entries + at, entries + at + 1, (entry_count - at) * sizeof entries[0]);
}

static void make_shape(void)
{
    struct oxbow_config c = config();
    struct oxbow *db;

    scratch_remove(dir);
    element_count = entry_count = 0;
    assert_int_equal(store_open(&c, no_mend, &db), OXBOW_OK);
    for (uint32_t i = 0; i < STEPS; i++) {
        struct oxbow_txn *txn = begin(db);
        uint32_t what = dice(10);

        if (what < 5 || element_count == 0) {
            push(txn, (enum oxbow_end)dice(2));
        } else {
            pop(txn, (enum oxbow_end)dice(2));
        }
        if (what < 7 || entry_count < 2) {
            add(txn);
        } else {
            delete_one(txn);
        }
        commit(txn);
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* ---- damage ---- */

/* Takes the key away as a salvage would that knows which it was. */
static void take(struct oxbow_txn *txn, size_t at)
{
    struct loss_state state = {.keys_lost = 1, .wall_ms = 1, .complete = true, .ranges = 1};
    struct salvage_range r = {.low_len = 0};
    uint8_t key[LOSS_RANGE_KEY_BYTES];
    uint8_t value[LOSS_RANGE_BYTES];
    struct oxbow_bytes lost = {keys[at].bytes, keys[at].len};

    memcpy(r.low, lost.data, lost.len);
    memcpy(r.high, lost.data, lost.len);
    r.low_len = (uint8_t)lost.len;
    r.high_len = (uint8_t)(lost.len + 1);
    r.high[lost.len] = 0;
    assert_int_equal(kv_del(txn, lost), OXBOW_OK);
    assert_int_equal(kv_put(txn, loss_range_key(key, 0),
                            (struct oxbow_bytes){value, loss_range_encode(value, &r)}),
                     OXBOW_OK);
    loss_state_encode(value, &state);
    assert_int_equal(
        kv_put(txn, loss_state_key(key), (struct oxbow_bytes){value, LOSS_STATE_BYTES}), OXBOW_OK);
}

/* ---- judging ---- */

static struct {
    struct oxbow_loss list, stream; /* .kind 0: none */
    bool names;
} told;

static enum oxbow_err hear(void *ctx, const struct oxbow_loss *l)
{
    bool whole = l->kind == OXBOW_LOSS_KEY || l->kind == OXBOW_LOSS_ENTRIES;

    (void)ctx;
    if (whole && l->key.len == 1) {
        *(*(const char *)l->key.data == 'l' ? &told.list : &told.stream) = *l;
    }
    told.names = told.names || l->kind == OXBOW_LOSS_NAMES || l->kind == OXBOW_LOSS_DATABASE ||
                 l->kind == OXBOW_LOSS_ORPHAN;
    return OXBOW_OK;
}

static bool exact(const struct oxbow_loss *l)
{
    return l->kind == OXBOW_LOSS_ENTRIES && l->entries != UINT64_MAX;
}

static void judge_list(struct oxbow_txn *txn)
{
    const struct oxbow_loss *l = &told.list;
    struct oxbow_result r = {0};
    size_t at = 0;

    assert_int_equal(oxbow_list_range(txn, text("l"), 0, -1, &r), OXBOW_OK);
    for (size_t i = 0; i < r.item_count; i++, at++) {
        uint32_t number = number_of(r.items[i]);

        for (; at < element_count && elements[at] != number; at++) {
            assert_true(l->kind != 0 || told.names);
            assert_true(!exact(l) || (at >= l->first.seq && at <= l->last.seq));
        }
        assert_true(at < element_count); /* else it had left, or is out of order */
    }
    if (l->kind == 0 && !told.names) {
        assert_int_equal(r.item_count, element_count);
    } else if (exact(l)) {
        assert_int_equal(r.item_count + l->entries, element_count);
    }
    oxbow_result_fini(&r);
}

static bool within(struct oxbow_id id, const struct oxbow_loss *l)
{
    return l->kind != 0 &&
           (l->first.ms < id.ms || (l->first.ms == id.ms && l->first.seq <= id.seq)) &&
           (id.ms < l->last.ms || (id.ms == l->last.ms && id.seq <= l->last.seq));
}

static void judge_stream(struct oxbow_txn *txn)
{
    const struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    const struct oxbow_loss *l = &told.stream;
    struct oxbow_result r = {0};
    uint64_t missing = 0;
    size_t i = 0;

    assert_int_equal(oxbow_stream_range(txn, text("s"), &all, &r), OXBOW_OK);
    for (size_t at = 0; at < entry_count; at++) {
        if (i < r.entry_count && r.entries[i].id.ms == entries[at].ms &&
            r.entries[i].id.seq == entries[at].seq) {
            assert_int_equal(number_of(r.entries[i++].fields[0].value), entries[at].ms);
            continue;
        }
        missing++;
        assert_true(told.names || l->kind == OXBOW_LOSS_KEY || within(entries[at], l));
    }
    assert_int_equal(i, r.entry_count);
    assert_true(!exact(l) || l->entries == missing);
    oxbow_result_fini(&r);
}

/* ---- the test ---- */

static void each_key_alone_is_missed_where_it_was(void **state)
{
    struct oxbow_config c = config();
    uint32_t trials = 0, told_lists = 0, told_streams = 0;

    (void)state;
    dice_begin();
    for (uint32_t shape = 0; shape < SHAPES; shape++) {
        uint64_t before = dice_state;
        size_t at = 0;

        do {
            struct oxbow *db;
            struct oxbow_txn *txn;

            dice_state = before; /* the same shape again */
            next_number = 0;
            make_shape();
            assert_int_equal(store_open(&c, no_mend, &db), OXBOW_OK);
            txn = begin(db);
            list_keys(txn);
            take(txn, at);
            commit(txn);
            assert_int_equal(oxbow_close(db), OXBOW_OK);
            memset(&told, 0, sizeof told);
            assert_int_equal(oxbow_open(&c, &db), OXBOW_OK);
            assert_int_equal(oxbow_losses(db, hear, NULL), OXBOW_OK);
            txn = begin(db);
            judge_list(txn);
            judge_stream(txn);
            oxbow_txn_abort(txn);
            assert_int_equal(oxbow_close(db), OXBOW_OK);
            trials++;
            told_lists += told.list.kind != 0;
            told_streams += told.stream.kind != 0;
        } while (++at < key_count);
    }
    print_message("%u trials; a loss of the list told %u times, of the stream %u\n", trials,
                  told_lists, told_streams);
    assert_true(told_lists > SHAPES && told_streams > SHAPES);
    assert_int_equal(quiet.live_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_alone_is_missed_where_it_was),
    };
    int failed;

    if (access("/dev/shm", W_OK) == 0 && setenv("TMPDIR", "/dev/shm", 0) != 0) {
        return 1; /* a store is made anew for each key */
    }
    fault_init(&quiet, oxbow_port_default());
    scratch_name(dir, "mend-shape");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_remove(dir);
    return failed;
}
