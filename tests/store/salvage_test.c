/* SPDX-License-Identifier: Apache-2.0 */
/* A damaged data file opens with everything that is intact: what is missing lies in the ranges that
 * are told, what is there is what was written, and the damaged file is kept. */
#include "engine/base/codec.h"
#include "engine/store/loss.h"
#include "oxbow/check.h"
#include "tests/store/salvage_fixture.h"
#include "tests/support/fault.h"

#include <time.h>

#define KEYS   3000u
#define TRIALS 300u

static uint64_t dice_state;
static uint64_t used_pages;

/* What the last salvage said. */
static struct {
    bool any;
    struct loss_state state;
    struct salvage_range ranges[SALVAGE_RANGES_MAX];
} told;

static uint32_t dice(uint32_t n)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((dice_state >> 33) % n);
}

static struct oxbow_bytes key_of(uint8_t out[10], uint32_t i)
{
    out[0] = KV_SPACE_OBJECT;
    put_be64(out + 1, i / 50);
    out[9] = (uint8_t)(i % 50);
    return (struct oxbow_bytes){out, 10};
}

static struct oxbow_bytes value_of(uint8_t out[9000], uint32_t i)
{
    size_t len = i % 30 == 0 ? 9000 : i % 3 == 0 ? 700 : 20;

    memset(out, (int)(i * 7), len);
    put_le32(out, i);
    return (struct oxbow_bytes){out, len};
}

static bool deleted(uint32_t i)
{
    return i % 7 == 0;
}

static enum oxbow_err no_mend(struct oxbow *db)
{
    (void)db;
    return OXBOW_OK;
}

static void fill(void)
{
    static uint8_t bytes[9000];
    struct oxbow_config config = {.dir = dir, .sync = OXBOW_SYNC_INTERVAL};
    struct oxbow_check_report report;
    struct oxbow_txn *txn;
    struct oxbow *db;
    uint8_t key[10];

    scratch_name(dir, "salvage");
    remove_all();
    assert_int_equal(store_open(&config, no_mend, &db), OXBOW_OK);
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < KEYS; i++) {
            assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
            if (pass == 0) {
                assert_int_equal(kv_put(txn, key_of(key, i), value_of(bytes, i)), OXBOW_OK);
            } else if (deleted(i)) {
                assert_int_equal(kv_del(txn, key_of(key, i)), OXBOW_OK);
            }
            assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
            if (i % 500 == 0) {
                assert_int_equal(oxbow_flush(db), OXBOW_OK);
            }
        }
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    /* Then both meta pages lead to all of it: the journal is not put back with the data file. */
    assert_int_equal(store_open(&config, no_mend, &db), OXBOW_OK);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_int_equal(oxbow_check(dir, NULL, &report), OXBOW_OK);
    assert_int_equal(report.damage, 0);
    used_pages = report.pages;
    read_image();
}

static enum oxbow_err note(struct oxbow *db)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_txn *txn;
    enum oxbow_err err;

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    err = loss_state_get(txn, &told.state);
    assert_true(err == OXBOW_OK || err == OXBOW_ENOENT);
    told.any = err == OXBOW_OK;
    for (uint32_t i = 0; told.any && i < told.state.ranges; i++) {
        assert_int_equal(loss_range_get(txn, i, &told.ranges[i]), OXBOW_OK);
    }
    oxbow_txn_abort(txn);
    return OXBOW_OK;
}

static bool in_told(struct oxbow_bytes key)
{
    for (uint32_t i = 0; told.any && i < told.state.ranges; i++) {
        const struct salvage_range *r = &told.ranges[i];
        size_t low = r->low_len < key.len ? r->low_len : key.len;
        size_t high = r->high_len < key.len ? r->high_len : key.len;
        int a = memcmp(key.data, r->low, low);
        int b = memcmp(key.data, r->high, high);

        if ((a > 0 || (a == 0 && key.len >= r->low_len)) &&
            (r->high_len == 0 || b < 0 || (b == 0 && key.len < r->high_len))) {
            return true;
        }
    }
    return false;
}

/* Every key is there with its value, or in what was told as lost; gives how many are not there. */
static uint32_t check_content(struct oxbow *db, uint32_t *bad)
{
    static uint8_t bytes[9000];
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_txn *txn;
    uint8_t key[10];
    uint32_t missing = 0;

    *bad = 0;
    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    for (uint32_t i = 0; i < KEYS; i++) {
        struct oxbow_bytes got;
        struct oxbow_bytes want = value_of(bytes, i);
        enum oxbow_err err = kv_get(txn, key_of(key, i), &got);

        if (deleted(i)) {
            assert_int_equal(err, OXBOW_ENOENT);
        } else if (err == OXBOW_ENOENT) {
            assert_true(in_told(key_of(key, i)));
            missing++;
        } else if (err == OXBOW_ECORRUPT) {
            assert_false(told.any);
            ++*bad;
        } else {
            assert_int_equal(err, OXBOW_OK);
            assert_int_equal(got.len, want.len);
            assert_memory_equal(got.data, want.data, got.len);
        }
    }
    oxbow_txn_abort(txn);
    return missing;
}

enum damage { BIT, BITS, SECTOR, ZERO_PAGE, GARBAGE, OTHER_PAGE, CUT, DAMAGES };

static size_t hurt(uint8_t *copy, enum damage kind)
{
    size_t page = dice((uint32_t)used_pages);
    size_t at = page * PAGE + (dice(2) == 0 ? dice(64) : dice(PAGE));
    size_t sector = at / 512 * 512;

    switch (kind) {
    case BIT:
        copy[at] ^= (uint8_t)(1u << dice(8));
        break;
    case BITS:
        for (int i = 0; i < 6; i++) {
            copy[dice((uint32_t)used_pages) * PAGE + dice(PAGE)] ^= (uint8_t)(1u << dice(8));
        }
        break;
    case SECTOR:
        memset(copy + sector, 0, 512);
        break;
    case ZERO_PAGE:
        memset(copy + page * PAGE, 0, PAGE);
        break;
    case GARBAGE:
        for (size_t i = 0; i < 512; i++) {
            copy[sector + i] = (uint8_t)dice(256);
        }
        break;
    case OTHER_PAGE:
        memcpy(copy + page * PAGE, copy + dice((uint32_t)used_pages) * PAGE, PAGE);
        break;
    default:
        return PAGE * (2 + dice((uint32_t)used_pages - 2));
    }
    return image_len;
}

static struct oxbow_config quiet_config(struct fault *quiet)
{
    fault_init(quiet, oxbow_port_default());
    return (struct oxbow_config){.dir = dir, .port = &quiet->port, .flags = OXBOW_OPEN_REPAIR};
}

static void whatever_is_damaged_the_rest_is_served_and_the_loss_is_told(void **state)
{
    const char *seed = getenv("OXBOW_SEED");
    struct fault quiet;
    struct oxbow_config config = quiet_config(&quiet);
    uint32_t refused = 0;
    uint32_t whole = 0;
    uint32_t mended = 0;
    uint64_t lost = 0;

    (void)state;
    dice_state = seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    print_message("OXBOW_SEED=%llu\n", (unsigned long long)dice_state);
    fill();
    for (uint32_t i = 0; i < TRIALS; i++) {
        uint8_t *copy = malloc(image_len);
        enum damage kind = (enum damage)(i % DAMAGES);
        struct oxbow *db;
        size_t len;
        uint32_t missing;
        uint32_t bad;
        enum oxbow_err err;

        assert_non_null(copy);
        memcpy(copy, image, image_len);
        len = hurt(copy, kind);
        write_image(copy, len);
        free(copy);
        err = store_open(&config, note, &db);
        if (err != OXBOW_OK) {
            assert_true(err == OXBOW_ECORRUPT);
            refused++;
            continue;
        }
        missing = check_content(db, &bad);
        assert_int_equal(bad, 0);
        lost += missing;
        whole += missing == 0;
        mended += told.any;
        if (told.any && told.state.keys_lost != UINT64_MAX) {
            assert_true(told.state.keys_lost >= missing); /* a state of its own is a key, too */
            assert_true(told.state.keys_lost <= missing + 1);
        }
        assert_int_equal(oxbow_close(db), OXBOW_OK);
        if (told.any) {
            struct oxbow_check_report report;

            assert_int_equal(oxbow_check(dir, NULL, &report), OXBOW_OK);
            assert_int_equal(report.damage, 0);
            assert_int_equal(report.values_bad, 0);
            assert_int_equal(access(in_dir(SALVAGE_DAMAGED), R_OK), 0);
        }
    }
    print_message("%u trials: %u refused, %u mended, %u without a loss, %llu keys lost\n", TRIALS,
                  refused, mended, whole, (unsigned long long)lost);
    assert_true(refused <= TRIALS / 50);
    assert_true(mended > TRIALS / 4);
    assert_int_equal(quiet.live_bytes, 0);
    remove_all();
}

/* ---- what a page no longer leads to ---- */

static uint16_t *page_words(uint8_t *copy, size_t page)
{
    return (uint16_t *)(void *)(copy + page * PAGE);
}

#define WORD_FLAGS 5u
#define WORD_LOWER 6u
#define WORD_NODES 8u

/* The head says that there are three nodes fewer than there are. */
static bool hide(uint8_t *copy, size_t page)
{
    uint16_t *words = page_words(copy, page);
    bool tree = words[WORD_FLAGS] == 0x01 || words[WORD_FLAGS] == 0x02;

    if (!tree || words[WORD_LOWER] < 2 * WORD_NODES + 10) {
        return false;
    }
    words[WORD_LOWER] = (uint16_t)(words[WORD_LOWER] - 6);
    return true;
}

/* The second node's place leads to the fifth. */
static bool lead_ahead(uint8_t *copy, size_t page)
{
    uint16_t *words = page_words(copy, page);

    if (words[WORD_FLAGS] != 0x02 || words[WORD_LOWER] < 2 * WORD_NODES + 10) {
        return false;
    }
    words[WORD_NODES + 1] = words[WORD_NODES + 4];
    return true;
}

/* Does so with every fourth page in turn, while another one is destroyed: so there is a range anyway. */
static void with_each_page(bool (*damage)(uint8_t *copy, size_t page), uint32_t at_least)
{
    struct fault quiet;
    struct oxbow_config config = quiet_config(&quiet);
    uint8_t *copy;
    uint32_t lost = 0;

    fill();
    copy = malloc(image_len);
    assert_non_null(copy);
    for (size_t page = 2; page < used_pages; page += 4) {
        struct oxbow *db;
        uint32_t bad;

        memcpy(copy, image, image_len);
        if (!damage(copy, page)) {
            continue;
        }
        for (size_t i = used_pages / 2; i < used_pages; i++) { /* not the neighbour of the keys */
            size_t other = 2 + (page + i) % (used_pages - 2);

            if (other != page && page_words(copy, other)[WORD_FLAGS] == 0x02) {
                memset(copy + other * PAGE, 0, PAGE);
                break;
            }
        }
        write_image(copy, image_len);
        assert_int_equal(store_open(&config, note, &db), OXBOW_OK);
        lost += check_content(db, &bad) > 0;
        assert_int_equal(oxbow_close(db), OXBOW_OK);
    }
    free(copy);
    print_message("%u pages with a loss\n", lost);
    assert_true(lost >= at_least);
    assert_int_equal(quiet.live_bytes, 0);
    remove_all();
}

static void what_the_head_of_a_page_hides_is_told(void **state)
{
    (void)state;
    with_each_page(hide, 20);
}

static void what_a_page_leads_to_twice_is_told(void **state)
{
    (void)state;
    with_each_page(lead_ahead, 20);
}

static struct oxbow_wear wear_of(struct oxbow *db)
{
    struct oxbow_wear wear;

    oxbow_wear(db, &wear);
    return wear;
}

static void what_mending_writes_is_counted_and_the_account_goes_on(void **state)
{
    struct fault quiet;
    struct oxbow_config config = quiet_config(&quiet);
    struct oxbow_wear before, after;
    struct oxbow *db;

    (void)state;
    fill();
    config.flags = 0;
    assert_int_equal(store_open(&config, note, &db), OXBOW_OK);
    before = wear_of(db);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    read_image();
    for (uint64_t p = 2;; p++) {
        assert_true(p < used_pages);
        if (image[p * PAGE + 10] == 0x02) { /* a leaf */
            memset(image + p * PAGE, 0, PAGE);
            write_image(image, image_len);
            assert_int_equal(store_open(&config, note, &db), OXBOW_OK);
            after = wear_of(db);
            assert_int_equal(oxbow_close(db), OXBOW_OK);
            if (told.any) {
                break;
            }
        }
    }
    print_message("checkpoints %llu, then %llu; else %llu, then %llu; %llu pages\n",
                  (unsigned long long)before.life.checkpoint_bytes,
                  (unsigned long long)after.life.checkpoint_bytes,
                  (unsigned long long)before.life.other_bytes,
                  (unsigned long long)after.life.other_bytes, (unsigned long long)used_pages);
    assert_true(after.life.checkpoint_bytes >=
                before.life.checkpoint_bytes + used_pages * PAGE / 2);
    assert_true(after.life.other_bytes >= before.life.other_bytes + 2 * PAGE);
    assert_int_equal(quiet.live_bytes, 0);
    remove_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_damaged_the_rest_is_served_and_the_loss_is_told),
        cmocka_unit_test(what_the_head_of_a_page_hides_is_told),
        cmocka_unit_test(what_a_page_leads_to_twice_is_told),
        cmocka_unit_test(what_mending_writes_is_counted_and_the_account_goes_on),
    };
    int failed;

    if (access("/dev/shm", W_OK) == 0 && setenv("TMPDIR", "/dev/shm", 0) != 0) {
        return 1; /* a large file is written many times */
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);

    free(image);
    return failed;
}
