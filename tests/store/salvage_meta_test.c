/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every single bit of the two meta pages: with any of them flipped the store opens with its newest
 * state, or says that the last commit may be missing, or is refused; an older state is never taken
 * for the newest without a word.
 */
#include "engine/store/check.h"
#include "engine/store/loss.h"
#include "tests/store/salvage_fixture.h"

#define STATES  9u
#define META    152u /* bytes of one that say something: its number is the last word */
#define AT_FREE 80u  /* root of the free list */
#define AT_LAST 136u
#define AT_TXN  144u
#define META_IN (2u * META * 8u)

static struct oxbow_port port;
static bool doubted, restated; /* what was said since the last opening */

static void hear(void *ctx, enum oxbow_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    doubted = doubted || strstr(text, "may be missing") != NULL ||
              strstr(text, "checkpoint is missing") != NULL;
    restated = restated || strstr(text, "nothing is missing") != NULL;
}

static enum oxbow_err note(struct oxbow *db)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct loss_state state;
    struct oxbow_txn *txn;
    enum oxbow_err err;

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    err = loss_state_get(txn, &state);
    assert_true(err == OXBOW_OK || err == OXBOW_ENOENT);
    doubted = doubted || (err == OXBOW_OK && (state.commit_doubt || !state.complete));
    oxbow_txn_abort(txn);
    return OXBOW_OK;
}

static struct oxbow_config config(void)
{
    return (struct oxbow_config){.dir = dir,
                                 .port = &port,
                                 .sync = OXBOW_SYNC_INTERVAL,
                                 .interval_ms = 60000,
                                 .journal = OXBOW_JOURNAL_OFF};
}

static const struct oxbow_bytes key = {"\x40state", 6};

static void put_state(struct oxbow *db, uint8_t n)
{
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    for (uint8_t i = 0; i < 100; i++) {
        const uint8_t other[3] = {0x40, 'o', i};
        uint8_t value[200];

        memset(value, n, sizeof value);
        assert_int_equal(kv_put(txn, (struct oxbow_bytes){other, sizeof other},
                                (struct oxbow_bytes){value, sizeof value}),
                         OXBOW_OK);
    }
    assert_int_equal(kv_put(txn, key, (struct oxbow_bytes){&n, 1}), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    assert_int_equal(oxbow_flush(db), OXBOW_OK);
}

static size_t pages_used(void)
{
    size_t first, second;

    memcpy(&first, image + AT_LAST, sizeof first);
    memcpy(&second, image + PAGE + AT_LAST, sizeof second);
    return (first > second ? first : second) + 1;
}

/* As a crash leaves it: every commit changed the state, and nobody has closed the store. `more`:
 * commits, so that both meta pages get their turn as the newer one. */
static uint8_t make(unsigned more)
{
    struct oxbow_config c = config();
    struct oxbow *db;

    remove_all();
    assert_int_equal(store_open(&c, note, &db), OXBOW_OK);
    for (uint8_t n = 1; n <= STATES + more; n++) {
        put_state(db, n);
    }
    read_image();
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    image_len = pages_used() * PAGE; /* behind lies what is reserved */
    return (uint8_t)(STATES + more);
}

static void put_image(size_t at, uint8_t bit)
{
    (void)unlink(in_dir("META")); /* what earlier trials put in doubt */
    (void)unlink(in_dir("DOUBT"));
    image[at] ^= bit;
    write_image(image, image_len);
    image[at] ^= bit;
}

/* Opens; *state: what is there. */
static enum oxbow_err look(uint8_t *state)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_config c = config();
    struct oxbow_bytes value;
    struct oxbow_txn *txn;
    struct oxbow *db;
    enum oxbow_err err;

    doubted = restated = false;
    err = store_open(&c, note, &db);
    if (err != OXBOW_OK) {
        return err;
    }
    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    *state = 0;
    err = kv_get(txn, key, &value);
    if (err == OXBOW_OK) {
        *state = *(const uint8_t *)value.data;
    }
    oxbow_txn_abort(txn);
    assert_true(err == OXBOW_OK || err == OXBOW_ENOENT);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    return OXBOW_OK;
}

static void no_flipped_bit_brings_back_an_older_state_unsaid(void **state)
{
    unsigned newest = 0, refused = 0, older = 0, set_right = 0;

    (void)state;
    for (unsigned more = 2; more < 4;
         more++) { /* then a flip makes the older one the newer by one */
        uint8_t last = make(more);

        for (size_t i = 0; i < META_IN; i++) {
            size_t page = i / (META_IN / 2);
            size_t bit = i % (META_IN / 2);
            size_t at = page * PAGE + bit / 8;
            uint8_t got = 0;
            enum oxbow_err err;

            put_image(at, (uint8_t)(1u << bit % 8));
            err = look(&got);
            if (err != OXBOW_OK) {
                assert_int_equal(err, OXBOW_ECORRUPT);
                refused++;
            } else if (got == last) {
                newest++;
                set_right += restated;
            } else if (doubted) {
                older++;
            } else {
                fail_msg("bit %zu of byte %zu of meta page %zu: state %u of %u, and no word",
                         bit % 8, bit / 8, page, got, last);
            }
        }
    }
    print_message(
        "of %u flips: %u the newest, %u of them by a number set right; %u older and told, "
        "%u refused\n",
        2 * META_IN, newest, set_right, older, refused);
    assert_true(set_right > 50);
    assert_true(newest > META_IN);
    assert_int_equal(refused, 0);
}

/* The number of the older page, two more: it is then the newest, with a tree that is whole. */
static void a_page_that_claims_to_be_newer_is_set_right(void **state)
{
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        uint8_t last = make(more);
        size_t first, second, older;
        uint8_t got = 0;

        memcpy(&first, image + AT_TXN, sizeof first);
        memcpy(&second, image + PAGE + AT_TXN, sizeof second);
        older = first < second ? AT_TXN : PAGE + AT_TXN;
        for (size_t i = 2; i <= 128; i *= 4) {
            size_t number = first < second ? first : second;
            uint8_t flips = (uint8_t)(number ^ (number + i));

            put_image(older, flips);
            assert_int_equal(look(&got), OXBOW_OK);
            assert_int_equal(got, last);
            assert_true(restated);
            assert_false(doubted);
        }
    }
}

static void one_that_may_not_be_mended_is_refused(void **state)
{
    uint8_t last = make(0);
    struct oxbow_config c = config();
    struct oxbow *db;
    size_t first, second, older;
    uint8_t got = 0;

    (void)state;
    memcpy(&first, image + AT_TXN, sizeof first);
    memcpy(&second, image + PAGE + AT_TXN, sizeof second);
    older = first < second ? AT_TXN : PAGE + AT_TXN;
    first = first < second ? first : second;
    put_image(older, (uint8_t)(first ^ (first + 2)));
    c.flags = OXBOW_OPEN_STRICT;
    assert_int_equal(store_open(&c, note, &db), OXBOW_ECORRUPT);
    c.flags = OXBOW_OPEN_READONLY;
    assert_int_equal(store_open(&c, note, &db), OXBOW_ECORRUPT);
    assert_int_equal(look(&got), OXBOW_OK); /* and nothing was changed by that */
    assert_int_equal(got, last);
}

/* No page may be read there: the offset would be none. */
static void numbers_beyond_the_file_are_damage_and_no_failure_of_the_device(void **state)
{
    static const uint64_t roots[] = {1ull << 20, 1ull << 51, 1ull << 61, (1ull << 62) - 1};
    uint8_t last = make(0);

    (void)state;
    for (size_t i = 0; i < 2 * sizeof roots / sizeof roots[0]; i++) {
        uint8_t *page = image + i % 2 * PAGE;
        const uint64_t wild = 1ull << 62;
        uint8_t was[META];
        uint8_t got = 0;

        memcpy(was, page, sizeof was);
        memcpy(page + AT_FREE, &roots[i / 2], sizeof wild);
        memcpy(page + AT_LAST, &wild, sizeof wild);
        put_image(0, 0);
        memcpy(page, was, sizeof was);
        assert_int_equal(look(&got), OXBOW_OK);
        assert_true(got == last || (doubted && got + 1 == last));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_flipped_bit_brings_back_an_older_state_unsaid),
        cmocka_unit_test(a_page_that_claims_to_be_newer_is_set_right),
        cmocka_unit_test(one_that_may_not_be_mended_is_refused),
        cmocka_unit_test(numbers_beyond_the_file_are_damage_and_no_failure_of_the_device),
    };
    int failed;

    if (access("/dev/shm", W_OK) == 0 && setenv("TMPDIR", "/dev/shm", 0) != 0) {
        return 1; /* a store is written and opened thousands of times */
    }
    port = *oxbow_port_default();
    port.log.line = hear;
    scratch_name(dir, "salvage-meta");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_all();
    free(image);
    return failed;
}
