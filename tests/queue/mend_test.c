/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever keys are taken from a store, it opens, what is left is in order and consistent, and what
 * is gone is told. */
#include "engine/queue/mend.h"

#include "engine/base/id.h"
#include "engine/store/store.h"
#include "oxbow/group_options.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "tests/queue/mend_fixture.h"

#define ELEMENTS 1500u
#define POPPED   130u
#define ENTRIES  1200u
#define READ     500u /* delivered to the group, every third acknowledged */
#define TRIALS   120u

static bool ruled; /* the group has options, and its entries keys */

/* Element or entry number i; some are long enough to be kept outside of their chunk. */
static struct oxbow_bytes content(uint32_t i)
{
    static uint8_t bytes[100000];
    size_t len = i % 97 == 0 ? 5000 : i % 401 == 0 ? sizeof bytes : 40;

    memset(bytes, (int)('a' + i % 26), len);
    put_be32(bytes, i);
    return (struct oxbow_bytes){bytes, len};
}

static struct oxbow_config config(void)
{
    return (struct oxbow_config){
        .dir = dir, .port = &quiet.port, .sync = OXBOW_SYNC_INTERVAL, .interval_ms = 60000};
}

/* ---- the store ---- */

static const struct oxbow_group group = {{"s", 1}, {"g", 1}};

/* With an edit in the middle the list becomes sparse. */
static void fill_list(struct oxbow *db, const char *name, bool sparse)
{
    struct oxbow_result r = {0};

    for (uint32_t i = 0; i < ELEMENTS; i++) {
        struct oxbow_txn *txn = begin(db);
        struct oxbow_bytes value = content(i);

        assert_int_equal(oxbow_list_push(txn, text(name), OXBOW_RIGHT, &value, 1, NULL), OXBOW_OK);
        commit(txn);
    }
    struct oxbow_txn *txn = begin(db);

    assert_int_equal(oxbow_list_pop(txn, text(name), OXBOW_LEFT, POPPED, &r), OXBOW_OK);
    commit(txn);
    for (uint32_t i = 0; sparse && i < 4; i++) {
        struct oxbow_bytes value = content(300 + i * 250);

        txn = begin(db);
        assert_int_equal(oxbow_list_remove(txn, text(name), 1, value, NULL), OXBOW_OK);
        commit(txn);
    }
    oxbow_result_fini(&r);
}

static void fill_stream(struct oxbow *db)
{
    struct oxbow_group_create_options from_begin = {.make_stream = true};
    struct oxbow_group_read_options opt = {.count = READ / 2};
    struct oxbow_result r = {0};
    struct oxbow_txn *txn = begin(db);

    assert_int_equal(oxbow_group_create(txn, group, &from_begin), OXBOW_OK);
    if (ruled) {
        struct oxbow_group_options order = {.visibility_ms = 86400000, .key_field = text("f")};

        assert_int_equal(oxbow_group_options_set(txn, group, &order), OXBOW_OK);
    }
    commit(txn);
    for (uint32_t i = 1; i <= ENTRIES; i++) {
        struct oxbow_field field = {text("f"), content(i)};
        struct oxbow_stream_add_options add = {.id_mode = OXBOW_ID_EXPLICIT, .id = {i, 0}};

        txn = begin(db);
        assert_int_equal(oxbow_stream_add(txn, text("s"), &add, &field, 1, NULL), OXBOW_OK);
        commit(txn);
    }
    for (uint32_t half = 0; half < 2; half++) {
        txn = begin(db);
        assert_int_equal(oxbow_group_read(txn, group, text(half == 0 ? "c0" : "c1"), &opt, &r),
                         OXBOW_OK);
        assert_int_equal(r.entry_count, READ / 2);
        commit(txn);
    }
    for (uint32_t i = 3; i <= READ; i += 3) {
        struct oxbow_id id = {i, 0};
        uint64_t acked;

        txn = begin(db);
        assert_int_equal(oxbow_group_ack(txn, group, &id, 1, &acked), OXBOW_OK);
        assert_int_equal(acked, 1);
        commit(txn);
    }
    oxbow_result_fini(&r);
}

static char *image;
static size_t image_len;

static const char *in_dir(const char *name)
{
    static char path[SCRATCH_MAX + 32];

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void read_image(void)
{
    FILE *f = fopen(in_dir("data.mdb"), "rb");

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    image_len = (size_t)ftell(f);
    image = malloc(image_len);
    assert_non_null(image);
    rewind(f);
    assert_int_equal(fread(image, 1, image_len, f), image_len);
    assert_int_equal(fclose(f), 0);
}

static void write_image(void)
{
    FILE *f = fopen(in_dir("data.mdb"), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(image, 1, image_len, f), image_len);
    assert_int_equal(fclose(f), 0);
}

/* ---- taking keys away ---- */

/* Takes `count` keys from the one at `at` on, and notes what a salvage would. */
static void take(struct oxbow_txn *txn, uint32_t n, size_t at, size_t count)
{
    struct salvage_range r = {.low_len = 0};
    uint8_t key[LOSS_RANGE_KEY_BYTES];
    uint8_t value[LOSS_RANGE_BYTES];
    struct oxbow_bytes where = loss_range_key(key, n);

    if (at > 0) {
        memcpy(r.low, keys[at - 1].bytes, keys[at - 1].len);
        r.low_len = keys[at - 1].len;
    }
    for (size_t i = at; i < at + count && i < key_count; i++) {
        assert_int_equal(kv_del(txn, (struct oxbow_bytes){keys[i].bytes, keys[i].len}), OXBOW_OK);
    }
    if (at + count < key_count) {
        memcpy(r.high, keys[at + count].bytes, keys[at + count].len);
        r.high_len = keys[at + count].len;
    }
    assert_int_equal(kv_put(txn, where, (struct oxbow_bytes){value, loss_range_encode(value, &r)}),
                     OXBOW_OK);
}

static void damage(uint32_t trial)
{
    struct oxbow_config c = config();
    struct loss_state state = {.keys_lost = UINT64_MAX, .wall_ms = 1};
    uint8_t key[LOSS_STATE_KEY_BYTES];
    uint8_t value[LOSS_STATE_BYTES];
    struct oxbow *db;

    write_image();
    assert_int_equal(store_open(&c, no_mend, &db), OXBOW_OK);
    struct oxbow_txn *txn = begin(db);
    list_keys(txn);
    state.ranges = 1 + dice(3);
    for (uint32_t i = 0; i < state.ranges; i++) {
        /* Each key alone first, as far as the trials go; then runs. */
        size_t at = trial < TRIALS / 2 && i == 0 ? trial * key_count / (TRIALS / 2)
                                                 : dice((uint32_t)key_count);

        take(txn, i, at, trial < TRIALS / 2 ? 1 : 1 + dice(40));
    }
    loss_state_encode(value, &state);
    assert_int_equal(kv_put(txn, loss_state_key(key), (struct oxbow_bytes){value, sizeof value}),
                     OXBOW_OK);
    commit(txn);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

/* ---- what is told ---- */

static struct oxbow_loss losses[64];
static char loss_keys[64][8];
static size_t loss_count;

static enum oxbow_err note(void *ctx, const struct oxbow_loss *l)
{
    char line[300];

    (void)ctx;
    assert_true(loss_count < 64);
    losses[loss_count] = *l;
    (void)snprintf(loss_keys[loss_count++], 8, "%.*s", (int)l->key.len, (const char *)l->key.data);
    assert_true(oxbow_loss_text(l, line, sizeof line) > 10);
    return OXBOW_OK;
}

static const struct oxbow_loss *told(enum oxbow_loss_kind kind, const char *key)
{
    for (size_t i = 0; i < loss_count; i++) {
        if (losses[i].kind == kind && (key == NULL || strcmp(loss_keys[i], key) == 0)) {
            return &losses[i];
        }
    }
    return NULL;
}

static bool nameless(void)
{
    return told(OXBOW_LOSS_NAMES, NULL) != NULL || told(OXBOW_LOSS_DATABASE, NULL) != NULL ||
           told(OXBOW_LOSS_ORPHAN, NULL) != NULL;
}

/* ---- what is there ---- */

static uint64_t entries_lost;

/* The n-th number of those that the list had. */
static uint32_t original(uint32_t n, bool sparse)
{
    uint32_t i = POPPED + n;

    for (uint32_t k = 0; sparse && k < 4; k++) {
        i += i >= 300 + k * 250;
    }
    return i;
}

static void check_list(struct oxbow *db, const char *name, bool sparse)
{
    uint32_t had = ELEMENTS - POPPED - (sparse ? 4 : 0);
    const struct oxbow_loss *l = told(OXBOW_LOSS_ENTRIES, name);
    struct oxbow_result r = {0};
    struct oxbow_txn *txn = begin(db);
    uint64_t len;
    uint32_t n = 0;

    assert_int_equal(oxbow_list_len(txn, text(name), &len), OXBOW_OK);
    assert_int_equal(oxbow_list_range(txn, text(name), 0, -1, &r), OXBOW_OK);
    assert_int_equal(r.item_count, len);
    if (len == 0) {
        assert_true(nameless() || l != NULL || told(OXBOW_LOSS_KEY, name) != NULL);
    }
    for (size_t i = 0; i < r.item_count; i++, n++) {
        uint32_t is = number_of(r.items[i]);

        while (n < had && original(n, sparse) != is) {
            assert_non_null(l);
            assert_true(l->entries == UINT64_MAX || (n >= l->first.seq && n <= l->last.seq));
            n++;
        }
        assert_true(n < had); /* nothing but what there was, in its order */
    }
    if (len > 0 && l == NULL) {
        assert_int_equal(len, had);
    }
    if (l != NULL && l->entries != UINT64_MAX) {
        assert_int_equal(len + l->entries, had);
        entries_lost += l->entries;
    }
    commit(txn);
    oxbow_result_fini(&r);
}

static void check_stream(struct oxbow *db)
{
    const struct oxbow_loss *l = told(OXBOW_LOSS_ENTRIES, "s");
    struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    struct oxbow_stream_info info;
    struct oxbow_result r = {0};
    struct oxbow_txn *txn = begin(db);
    enum oxbow_err err = oxbow_stream_info(txn, text("s"), &info);
    uint64_t missing = 0;
    uint32_t next = 1;

    if (err == OXBOW_ENOENT) {
        assert_true(nameless());
        commit(txn);
        return;
    }
    assert_int_equal(err, OXBOW_OK);
    assert_int_equal(oxbow_stream_range(txn, text("s"), &all, &r), OXBOW_OK);
    assert_int_equal(r.entry_count, info.length);
    for (size_t i = 0; i <= r.entry_count; i++) {
        uint32_t is = i < r.entry_count ? (uint32_t)r.entries[i].id.ms : ENTRIES + 1;

        for (; next < is; next++, missing++) {
            assert_non_null(l);
            assert_true(next >= l->first.ms && next <= l->last.ms);
        }
        if (i < r.entry_count) {
            assert_int_equal(number_of(r.entries[i].fields[0].value), is);
        }
        next = is + 1;
    }
    if (l != NULL && l->entries != UINT64_MAX) {
        assert_int_equal(missing, l->entries);
        entries_lost += missing;
    }
    commit(txn);
    oxbow_result_fini(&r);
}

static void check_group(struct oxbow *db)
{
    static struct oxbow_pending rows[READ];
    struct oxbow_pending_filter all = {.to = OXBOW_ID_MAX, .count = READ};
    struct oxbow_result names = {0};
    struct oxbow_group_info info;
    struct oxbow_txn *txn = begin(db);
    const struct oxbow_loss *l = told(OXBOW_LOSS_PENDING, "s");
    size_t count = 0;
    enum oxbow_err err = oxbow_group_info(txn, group, &info);

    if (err == OXBOW_ENOENT || err == OXBOW_ENOGROUP) {
        assert_true(nameless() || told(OXBOW_LOSS_GROUP, "s") != NULL);
        commit(txn);
        return;
    }
    assert_int_equal(err, OXBOW_OK);
    assert_int_equal(oxbow_group_pending(txn, group, &all, &names, rows, &count), OXBOW_OK);
    assert_int_equal(info.pending, count);
    assert_int_equal(count + (l != NULL ? l->entries : 0), READ - READ / 3);
    for (size_t i = 0; i < count; i++) {
        assert_true(rows[i].id.ms % 3 != 0 && rows[i].id.ms <= READ);
        if (memcmp(rows[i].consumer.data, "lost", 4) == 0) {
            assert_non_null(told(OXBOW_LOSS_CONSUMER, "s"));
        } else {
            assert_memory_equal(rows[i].consumer.data, rows[i].id.ms <= READ / 2 ? "c0" : "c1", 2);
        }
    }
    commit(txn);
    oxbow_result_fini(&names);
}

/* Everything goes on. */
static void use(struct oxbow *db)
{
    struct oxbow_stream_trim nothing = {.by = OXBOW_TRIM_MAXLEN};
    struct oxbow_field field = {text("f"), text("new")};
    struct oxbow_result r = {0};
    struct oxbow_txn *txn;

    for (uint32_t i = 0; i < 4; i++) {
        struct oxbow_bytes value = text("new");

        txn = begin(db);
        for (uint32_t k = 0; k < 30; k++) {
            assert_int_equal(oxbow_list_push(txn, text(i < 2 ? "l" : "p"), (enum oxbow_end)(i & 1),
                                             &value, 1, NULL),
                             OXBOW_OK);
        }
        commit(txn);
    }
    for (uint32_t i = 0; i < 2; i++) {
        enum oxbow_err err;

        do {
            txn = begin(db);
            err = oxbow_list_pop(txn, text(i == 0 ? "l" : "p"), (enum oxbow_end)dice(2), 100, &r);
            assert_true(err == OXBOW_OK || err == OXBOW_ENOENT);
            commit(txn);
        } while (err == OXBOW_OK);
    }
    txn = begin(db);
    assert_int_equal(oxbow_stream_add(txn, text("s"), NULL, &field, 1, NULL), OXBOW_OK);
    commit(txn);
    txn = begin(db);
    enum oxbow_err err = oxbow_group_read(txn, group, text("c0"), NULL, &r);
    assert_true(err == OXBOW_OK || err == OXBOW_ENOGROUP);
    commit(txn);
    for (uint32_t i = 1; i <= ENTRIES; i++) {
        struct oxbow_id id = {i, 0};

        txn = begin(db);
        assert_int_equal(oxbow_group_ack(txn, group, &id, 1, NULL), OXBOW_OK);
        commit(txn);
    }
    txn = begin(db);
    assert_int_equal(oxbow_stream_trim(txn, text("s"), &nothing, NULL), OXBOW_OK);
    commit(txn);
    oxbow_result_fini(&r);
}

/* Entries of one key go on, one after the other, whatever was lost of earlier ones. */
static void nothing_is_held(struct oxbow *db)
{
    struct oxbow_group_options order = {.visibility_ms = 86400000, .key_field = text("f")};
    struct oxbow_field field = {text("f"), content(5)};
    struct oxbow_result r = {0};
    struct oxbow_txn *txn = begin(db);
    size_t got = 0;
    enum oxbow_err err = oxbow_group_options_set(txn, group, &order);

    assert_true(err == OXBOW_OK || err == OXBOW_ENOGROUP);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(oxbow_stream_add(txn, text("s"), NULL, &field, 1, NULL), OXBOW_OK);
    }
    for (uint32_t i = 0; err == OXBOW_OK && i < 8 && got < 3; i++) {
        assert_int_equal(oxbow_group_read(txn, group, text(i % 2 == 0 ? "c0" : "c1"),
                                          &(struct oxbow_group_read_options){.count = 1}, &r),
                         OXBOW_OK);
        if (r.entry_count > 0) {
            assert_int_equal(oxbow_group_ack(txn, group, &r.entries[0].id, 1, NULL), OXBOW_OK);
            got++;
        }
    }
    assert_true(err != OXBOW_OK || got == 3);
    commit(txn);
    oxbow_result_fini(&r);
}

static void whatever_is_missing_the_rest_is_in_order_and_the_loss_is_told(void **state)
{
    struct oxbow_config c = config();
    struct oxbow *db;

    (void)state;
    dice_begin();
    for (uint32_t i = 0; i < TRIALS; i++) {
        size_t before;

        damage(i);
        assert_int_equal(oxbow_open(&c, &db), OXBOW_OK);
        loss_count = 0;
        assert_int_equal(oxbow_losses(db, note, NULL), OXBOW_OK);
        assert_non_null(told(OXBOW_LOSS_REBUILT, NULL));
        check_list(db, "l", false);
        check_list(db, "p", true);
        check_stream(db);
        check_group(db);
        assert_int_equal(oxbow_close(db), OXBOW_OK);
        before = loss_count;
        assert_int_equal(oxbow_open(&c, &db), OXBOW_OK);
        loss_count = 0;
        assert_int_equal(oxbow_losses(db, note, NULL), OXBOW_OK);
        assert_int_equal(loss_count, before);
        use(db);
        if (ruled) {
            nothing_is_held(db);
        }
        assert_int_equal(oxbow_losses_forget(db), OXBOW_OK);
        loss_count = 0;
        assert_int_equal(oxbow_losses(db, note, NULL), OXBOW_OK);
        assert_int_equal(loss_count, 0);
        assert_int_equal(oxbow_close(db), OXBOW_OK);
    }
    print_message("%u trials, %zu keys, %llu entries lost and told\n", TRIALS, key_count,
                  (unsigned long long)entries_lost);
    assert_true(entries_lost > 100);
    assert_int_equal(quiet.live_bytes, 0);
}

/* A store to be damaged. */
static int make(bool with_rules)
{
    struct oxbow_config c;
    struct oxbow *db;

    ruled = with_rules;
    free(image);
    image = NULL;
    scratch_remove(dir);
    c = config();
    if (store_open(&c, no_mend, &db) != OXBOW_OK) {
        return -1;
    }
    fill_list(db, "l", false);
    fill_list(db, "p", true);
    fill_stream(db);
    if (oxbow_close(db) != OXBOW_OK) {
        return -1;
    }
    read_image();
    return 0;
}

static int make_plain(void **state)
{
    (void)state;
    return make(false);
}

static int make_ruled(void **state)
{
    (void)state;
    return make(true);
}

static void what_a_group_with_options_misses_holds_nothing_up(void **state)
{
    whatever_is_missing_the_rest_is_in_order_and_the_loss_is_told(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(whatever_is_missing_the_rest_is_in_order_and_the_loss_is_told,
                               make_plain),
        cmocka_unit_test_setup(what_a_group_with_options_misses_holds_nothing_up, make_ruled),
    };
    int failed;

    fault_init(&quiet, oxbow_port_default());
    scratch_name(dir, "mend");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_remove(dir);
    free(image);
    return failed;
}
