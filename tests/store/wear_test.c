/* SPDX-License-Identifier: Apache-2.0 */
/* The wear meter against the truth: every write that the process makes is counted underneath, by
 * wrapping the C library's calls. LMDB is linked statically, or its calls would go by. */
#include "engine/base/codec.h"
#include "engine/store/kv.h"
#include "engine/store/wear.h"
#include "tests/store/kv_fixture.h"

#include <stdatomic.h>
#include <sys/types.h>
#include <sys/uio.h>

static atomic_uint_least64_t written; /* bytes, each write rounded up to pages of 4096 */

ssize_t __real_pwrite(int fd, const void *p, size_t len, off_t at);
ssize_t __real_pwrite64(int fd, const void *p, size_t len, off_t at);
ssize_t __real_writev(int fd, const struct iovec *v, int n);
ssize_t __wrap_pwrite(int fd, const void *p, size_t len, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t len, off_t at);
ssize_t __wrap_writev(int fd, const struct iovec *v, int n);

static void count(ssize_t len)
{
    written += len > 0 ? ((uint64_t)len + 4095) / 4096 * 4096 : 0;
}

ssize_t __wrap_pwrite(int fd, const void *p, size_t len, off_t at)
{
    ssize_t n = __real_pwrite(fd, p, len, at);

    count(n);
    return n;
}

ssize_t __wrap_pwrite64(int fd, const void *p, size_t len, off_t at)
{
    ssize_t n = __real_pwrite64(fd, p, len, at);

    count(n);
    return n;
}

ssize_t __wrap_writev(int fd, const struct iovec *v, int n)
{
    ssize_t len = __real_writev(fd, v, n);

    count(len);
    return len;
}

static uint64_t sum(const struct oxbow_wear_account *a)
{
    return a->journal_bytes + a->checkpoint_bytes + a->other_bytes;
}

static struct oxbow_bytes key_of(uint8_t out[13], uint32_t i)
{
    out[0] = KV_SPACE_OBJECT;
    put_be64(out + 1, i % 7);
    put_be32(out + 9, i);
    return (struct oxbow_bytes){out, 13};
}

/* Some puts, patches by putting again, and deletions, all over the tree. */
static void work(struct rig *rig, uint64_t *seed, uint32_t steps)
{
    static uint8_t value[KV_PAGE_MAX];
    uint8_t key[13];

    while (steps-- > 0) {
        struct oxbow_txn *txn = rig_begin(rig, 0);
        uint32_t n;

        for (n = 0; n < 50; n++) {
            uint32_t i = (uint32_t)(rig_random(seed) % 3000);
            size_t len = rig_random(seed) % (n % 5 == 0 ? KV_PAGE_MAX : 200);

            if (rig_random(seed) % 4 == 0) {
                assert_int_equal(kv_del(txn, key_of(key, i)), OXBOW_OK);
            } else {
                put(txn, key_of(key, i), (struct oxbow_bytes){value, len});
            }
        }
        rig_commit(txn);
        rig_pass_ms(rig, 10);
        assert_int_equal(oxbow_flush(rig->db), OXBOW_OK);
    }
}

static int set_up(void **state)
{
    written = 0;
    return kv_setup(state);
}

static void what_is_counted_is_what_is_written(void **state)
{
    struct rig *rig = *state;
    uint64_t seed = rig_seed("wear");
    struct oxbow_wear wear;
    unsigned round;

    for (round = 0; round < 5; round++) {
        uint64_t before = written;
        uint64_t counted;

        oxbow_wear(rig->db, &wear);
        counted = sum(&wear.since_open);
        work(rig, &seed, 40);
        oxbow_wear(rig->db, &wear);
        assert_int_equal(sum(&wear.since_open) - counted, written - before);
    }
    assert_true(wear.since_open.checkpoint_bytes > 1000000);
    assert_int_equal(sum(&wear.life), written);
}

static void every_open_and_close_is_counted(void **state)
{
    struct rig *rig = *state;
    uint64_t seed = rig_seed("wear");
    struct oxbow_wear wear;
    unsigned i;

    for (i = 0; i < 30; i++) {
        work(rig, &seed, (uint32_t)(rig_random(&seed) % 3));
        rig_reopen(rig);
    }
    oxbow_wear(rig->db, &wear);
    assert_int_equal(sum(&wear.life), written);
    assert_true(wear.life.other_bytes >= 31 * 2 * 4096);
}

static void the_account_survives_reopening(void **state)
{
    struct rig *rig = *state;
    uint64_t seed = 1;
    struct oxbow_wear before;
    struct oxbow_wear after;

    work(rig, &seed, 5);
    oxbow_wear(rig->db, &before);
    rig_reopen(rig);
    oxbow_wear(rig->db, &after);
    assert_int_equal(after.life.payload_bytes, before.life.payload_bytes);
    assert_int_equal(after.life.open_ms, before.life.open_ms);
    assert_int_equal(after.life.checkpoint_bytes - after.since_open.checkpoint_bytes,
                     before.life.checkpoint_bytes);
    assert_int_equal(after.life.other_bytes - after.since_open.other_bytes,
                     before.life.other_bytes);
    assert_int_equal(after.since_open.payload_bytes, 0);
    assert_int_equal(after.since_open.open_ms, 0);
}

static void reading_a_store_does_not_age_it(void **state)
{
    struct rig *rig = *state;
    uint64_t seed = 1;
    struct oxbow_wear before;
    struct oxbow_wear after;

    work(rig, &seed, 5);
    oxbow_wear(rig->db, &before);
    rig->config.flags = OXBOW_OPEN_READONLY;
    rig_reopen(rig);
    rig_pass_ms(rig, 1000000);
    oxbow_wear(rig->db, &after);
    assert_memory_equal(&after.life, &before.life, sizeof after.life);
    assert_int_equal(sum(&after.since_open), 0);
    assert_int_equal(after.since_open.open_ms, 0);
}

static void journal_bytes_are_noted_and_kept(void **state)
{
    struct rig *rig = *state;
    uint64_t seed = 1;
    struct oxbow_wear wear;
    uint64_t journal;
    uint64_t device;
    struct oxbow_stat stat;

    oxbow_wear(rig->db, &wear);
    journal = wear.life.journal_bytes;
    oxbow_stat(rig->db, &stat);
    device = stat.device_bytes;
    store_lock(rig->db);
    wear_note(rig->db, WEAR_JOURNAL, 8192);
    wear_note(rig->db, WEAR_OTHER, 4096);
    store_unlock(rig->db);
    oxbow_stat(rig->db, &stat);
    assert_int_equal(stat.device_bytes, device + 12288);
    work(rig, &seed, 1);
    rig_reopen(rig);
    oxbow_wear(rig->db, &wear);
    assert_true(wear.life.journal_bytes >= journal + 8192);
}

/* With a journal of `segment` bytes twice, and syncs as `sync` says. */
static struct rig *with_journal(void **state, enum oxbow_sync sync, uint32_t segment)
{
    struct rig *rig = *state;

    rig_close(rig);
    rig->config.journal = OXBOW_JOURNAL_ON;
    rig->config.journal_segments = 2;
    rig->config.journal_bytes = segment;
    rig->config.sync = sync;
    rig_open(rig);
    return rig;
}

static void push(struct rig *rig, uint32_t i, size_t len)
{
    static uint8_t value[KV_PAGE_MAX];
    struct oxbow_txn *txn = rig_begin(rig, 0);
    uint8_t key[13];

    put(txn, key_of(key, i), (struct oxbow_bytes){value, len});
    rig_commit(txn);
}

static void durable_pushes_are_counted_to_the_byte(void **state)
{
    struct rig *rig = with_journal(state, OXBOW_SYNC_ALWAYS, 1u << 20);
    uint64_t before = written;
    struct oxbow_wear wear;
    uint64_t counted;
    uint32_t i;

    oxbow_wear(rig->db, &wear);
    counted = wear.since_open.journal_bytes;
    for (i = 0; i < 100; i++) {
        push(rig, i, 100);
    }
    oxbow_wear(rig->db, &wear);
    assert_int_equal(wear.since_open.journal_bytes - counted, 100 * 4096);
    assert_int_equal(written - before, 100 * 4096);
    for (; i < 400; i++) {
        push(rig, i, i * 10);
    }
    rig_reopen(rig);
    oxbow_wear(rig->db, &wear);
    assert_int_equal(sum(&wear.life), written);
}

/* What a later write in the page cache replaced was never on the device. */
static void a_ring_that_goes_round_between_two_syncs_is_counted_once(void **state)
{
    struct rig *rig = with_journal(state, OXBOW_SYNC_INTERVAL, 64u << 10);
    uint64_t ring = 128u << 10;
    struct oxbow_stat stat;
    struct oxbow_wear wear;
    uint64_t before;
    uint32_t i;

    oxbow_wear(rig->db, &wear);
    before = wear.since_open.journal_bytes;
    for (i = 0; i < 1000; i++) {
        push(rig, i, 1000);
    }
    oxbow_stat(rig->db, &stat);
    assert_true(stat.journal_written >= 1000000);
    oxbow_wear(rig->db, &wear);
    assert_true(wear.since_open.journal_bytes - before <= ring * (stat.journal_syncs + 1));
    assert_true(wear.since_open.journal_bytes - before >= ring);
    rig_pass_ms(rig, 5001); /* by then the system has written it */
    for (i = 0; i < 100; i++) {
        push(rig, i, 1000);
    }
    before = wear.since_open.journal_bytes;
    oxbow_wear(rig->db, &wear);
    assert_true(wear.since_open.journal_bytes > before);
}

static void a_rate_needs_time_to_be_known(void **state)
{
    struct rig *rig = *state;
    uint64_t seed = 1;
    struct oxbow_wear wear;
    uint64_t bytes;

    work(rig, &seed, 3);
    oxbow_wear(rig->db, &wear);
    rig_pass_ms(rig, OXBOW_WEAR_LEAST_MS - 1 - wear.life.open_ms);
    oxbow_wear(rig->db, &wear);
    assert_int_equal(wear.life.open_ms, OXBOW_WEAR_LEAST_MS - 1);
    assert_int_equal(wear.per_day_bytes, 0);
    assert_int_equal(wear.used_ppm, 0);
    assert_int_equal(wear.days_left, UINT64_MAX);
    rig_pass_ms(rig, 1);
    oxbow_wear(rig->db, &wear);
    bytes = sum(&wear.life);
    assert_int_equal(wear.per_day_bytes, bytes * 144);
    assert_int_equal(wear.per_payload_milli, bytes * 1000 / wear.life.payload_bytes);
    assert_int_equal(wear.days_left, UINT64_MAX); /* without a budget */
}

static void the_budget_says_what_is_used_and_left(void **state)
{
    struct rig *rig = *state;
    uint64_t seed = 1;
    struct oxbow_wear wear;
    uint64_t bytes;

    rig->config.endurance_bytes = (uint64_t)40 << 40; /* 40 TiB: products pass 64 bits */
    rig_reopen(rig);
    work(rig, &seed, 3);
    rig_pass_ms(rig, OXBOW_WEAR_LEAST_MS);
    store_lock(rig->db);
    wear_note(rig->db, WEAR_OTHER, (uint64_t)10 << 40);
    store_unlock(rig->db);
    oxbow_wear(rig->db, &wear);
    bytes = sum(&wear.life);
    assert_int_equal(wear.endurance_bytes, (uint64_t)40 << 40);
    assert_true(wear.used_ppm >= 250000 && wear.used_ppm < 250010);
    assert_int_equal(wear.days_left, (wear.endurance_bytes - bytes) / wear.per_day_bytes);
    store_lock(rig->db);
    wear_note(rig->db, WEAR_OTHER, (uint64_t)40 << 40);
    store_unlock(rig->db);
    oxbow_wear(rig->db, &wear);
    assert_true(wear.used_ppm > 1000000);
    assert_int_equal(wear.days_left, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_counted_is_what_is_written, set_up, kv_teardown),
        cmocka_unit_test_setup_teardown(every_open_and_close_is_counted, set_up, kv_teardown),
        cmocka_unit_test_setup_teardown(the_account_survives_reopening, set_up, kv_teardown),
        cmocka_unit_test_setup_teardown(reading_a_store_does_not_age_it, set_up, kv_teardown),
        cmocka_unit_test_setup_teardown(journal_bytes_are_noted_and_kept, set_up, kv_teardown),
        cmocka_unit_test_setup_teardown(durable_pushes_are_counted_to_the_byte, set_up,
                                        kv_teardown),
        cmocka_unit_test_setup_teardown(a_ring_that_goes_round_between_two_syncs_is_counted_once,
                                        set_up, kv_teardown),
        cmocka_unit_test_setup_teardown(a_rate_needs_time_to_be_known, set_up, kv_teardown),
        cmocka_unit_test_setup_teardown(the_budget_says_what_is_used_and_left, set_up, kv_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
