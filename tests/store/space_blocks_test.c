/* SPDX-License-Identifier: Apache-2.0 */
/* What the device sees of random filling and draining, on a file system that counts exactly: after
 * each transaction all files together are within the limit, and no checkpoint writes where the data
 * file has no blocks, neither behind its end nor in a hole. The C library's writes are wrapped by
 * the linker, LMDB being linked statically. */
#include "engine/base/codec.h"
#include "engine/store/store.h"
#include "oxbow/check.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#define TMPFS 0x01021994
#define KEYS  100000u

static char dir[SCRATCH_MAX];
static uint64_t seed;
static uint64_t dice;
static bool long_values; /* of more than a page */

/* ---- what LMDB writes ---- */

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER; /* call at a time that changes blocks */
static atomic_bool watching;
static atomic_uint_least64_t
    taken; /* bytes of the device by writes into holes or past the blocks */
static atomic_uint_least64_t writes;

ssize_t __real_pwrite(int fd, const void *b, size_t n, off_t o);
ssize_t __real_writev(int fd, const struct iovec *v, int n);
int __real_fallocate64(int fd, int mode, off_t o, off_t n);
ssize_t __wrap_pwrite(int fd, const void *b, size_t n, off_t o);
int __wrap_fallocate64(int fd, int mode, off_t o, off_t n);
ssize_t __wrap_writev(int fd, const struct iovec *v, int n);

static int64_t blocks(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? (int64_t)st.st_blocks : 0;
}

static void count(int64_t before, int64_t after)
{
    if (atomic_load(&watching)) {
        atomic_fetch_add(&writes, 1);
        atomic_fetch_add(&taken, (uint64_t)(after > before ? after - before : 0) * 512);
    }
}

ssize_t __wrap_pwrite(int fd, const void *b, size_t n, off_t o)
{
    int64_t before;
    ssize_t r;

    pthread_mutex_lock(&one);
    before = blocks(fd);
    r = __real_pwrite(fd, b, n, o);
    count(before, blocks(fd));
    pthread_mutex_unlock(&one);
    return r;
}

ssize_t __wrap_writev(int fd, const struct iovec *v, int n)
{
    int64_t before;
    ssize_t r;

    pthread_mutex_lock(&one);
    before = blocks(fd);
    r = __real_writev(fd, v, n);
    count(before, blocks(fd));
    pthread_mutex_unlock(&one);
    return r;
}

int __wrap_fallocate64(int fd, int mode, off_t o, off_t n)
{
    int r;

    pthread_mutex_lock(&one);
    r = __real_fallocate64(fd, mode, o, n);
    pthread_mutex_unlock(&one);
    return r;
}

/* ---- the workload ---- */

static uint32_t roll(uint32_t below)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice >> 33) % below;
}

static struct oxbow_bytes key_of(uint8_t out[13], uint32_t i)
{
    out[0] = KV_SPACE_OBJECT;
    put_be64(out + 1, i % 7);
    put_be32(out + 9, i);
    return (struct oxbow_bytes){out, 13};
}

static size_t length_of(uint32_t i)
{
    static const uint32_t most[] = {100, 1500, 4075, 4075, 4075, 30000};

    return 1 + (i * 2654435761u >> 8) % most[i % (long_values ? 6 : 5)];
}

static enum oxbow_err push(struct oxbow *db, uint32_t i)
{
    static uint8_t value[30001];
    struct oxbow_txn *txn;
    uint8_t key[13];
    enum oxbow_err err;

    memset(value, (int)i, length_of(i));
    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    err = txn_reserve_bytes(txn, length_of(i));
    if (err == OXBOW_OK) {
        assert_int_equal(kv_put(txn, key_of(key, i), (struct oxbow_bytes){value, length_of(i)}),
                         OXBOW_OK);
        return oxbow_txn_commit(txn, NULL);
    }
    oxbow_txn_abort(txn);
    return err;
}

static void pop(struct oxbow *db, uint32_t i)
{
    struct oxbow_txn *txn;
    uint8_t key[13];

    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_del(txn, key_of(key, i)), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

static uint64_t all_files(void)
{
    char path[SCRATCH_MAX + 300];
    uint64_t sum = 0;
    DIR *d = opendir(dir);

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct stat st;

        (void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.' && stat(path, &st) == 0) {
            sum += (uint64_t)st.st_blocks * 512;
        }
    }
    closedir(d);
    return sum;
}

struct run {
    struct oxbow *db;
    uint32_t first, next; /* what is in the queue */
    uint64_t most;        /* bytes on the device */
    uint64_t holes;       /* most there ever were */
};

static void look(struct run *r)
{
    uint64_t now = all_files();
    struct oxbow_stat stat;

    oxbow_stat(r->db, &stat);
    assert_true(now <= stat.disk_bytes_max);
    r->most = now > r->most ? now : r->most;
    r->holes = stat.hole_bytes > r->holes ? stat.hole_bytes : r->holes;
}

static void wait_a_little(void)
{
    assert_int_equal(usleep(1000 * roll(40)), 0);
}

static void fill(struct run *r, uint32_t most)
{
    for (uint32_t i = 0, refused = 0; i < most && refused < 3 && r->next < KEYS; i++) {
        enum oxbow_err err = push(r->db, r->next);

        if (err == OXBOW_OK) {
            r->next++;
        } else {
            assert_int_equal(err, OXBOW_EQUOTA);
            assert_int_equal(oxbow_flush(r->db), OXBOW_OK);
            refused++;
        }
        look(r);
    }
}

static void drain(struct run *r, uint32_t most)
{
    for (uint32_t i = 0; i < most && r->first < r->next; i++) {
        pop(r->db, r->first++);
        look(r);
    }
}

static void churn(struct run *r, const struct oxbow_config *config)
{
    for (int round = 0; round < 40; round++) {
        switch (roll(6)) {
        case 0:
            fill(r, 5000);
            break;
        case 1:
            drain(r, 5000);
            break;
        case 2:
            fill(r, roll(300));
            break;
        case 3:
            drain(r, roll(300));
            wait_a_little();
            break;
        case 4:
            assert_int_equal(oxbow_flush(r->db), OXBOW_OK);
            wait_a_little();
            break;
        default:
            if (roll(4) == 0) {
                atomic_store(&watching, false);
                assert_int_equal(oxbow_close(r->db), OXBOW_OK);
                assert_int_equal(oxbow_open(config, &r->db), OXBOW_OK);
                atomic_store(&watching, true);
            }
        }
        look(r);
    }
}

static void run(void)
{
    struct oxbow_config config = {.dir = dir, .sync = OXBOW_SYNC_INTERVAL};
    struct oxbow_check_report report;
    struct run r = {.first = 0};
    struct oxbow_stat stat;

    config.quota_bytes = (2u + roll(7)) << 20;
    config.dirty_pages = 16u << roll(3);
    config.txn_bytes = 64u << 10;
    config.journal = roll(2) == 0 ? OXBOW_JOURNAL_OFF : OXBOW_JOURNAL_ON;
    config.memtable_bytes = 64u << (10 + roll(3));
    assert_int_equal(oxbow_open(&config, &r.db), OXBOW_OK);
    atomic_store(&watching, true);
    churn(&r, &config);
    atomic_store(&watching, false);
    oxbow_stat(r.db, &stat);
    print_message("quota %" PRIu64 ", limit %" PRIu64 ", most %" PRIu64 ", holes %" PRIu64
                  ", %u pushed, %" PRIu64 " writes, taken %" PRIu64 "\n",
                  stat.quota_bytes, stat.disk_bytes_max, r.most, r.holes, r.next,
                  (uint64_t)atomic_load(&writes), (uint64_t)atomic_load(&taken));
    assert_true(atomic_load(&writes) > 0);
    assert_int_equal(oxbow_close(r.db), OXBOW_OK);
    assert_int_equal(oxbow_check(dir, NULL, &report), OXBOW_OK);
    assert_int_equal(report.damage + report.values_bad + report.lost_pages, 0);
}

static void checkpoints_take_nothing_from_the_device_and_the_limit_holds(void **state)
{
    (void)state;
    long_values = false;
    run();
    assert_int_equal(atomic_load(&taken), 0);
}

/* The run of pages of a long value is put where LMDB finds one, seldom into a hole. */
static void the_limit_holds_with_long_values_too(void **state)
{
    (void)state;
    long_values = true;
    run();
    assert_true(atomic_load(&taken) <= atomic_load(&writes) * TREE_PAGE_BYTES / 100);
}

static int fresh(void **state)
{
    (void)state;
    atomic_store(&taken, 0);
    atomic_store(&writes, 0);
    (void)snprintf(dir, sizeof dir, "/dev/shm/oxbow-blocks-%ld", (long)getpid());
    scratch_remove(dir);
    dice = ++seed * 0x9e3779b97f4a7c15u;
    print_message("seed %" PRIu64 "\n", seed);
    return 0;
}

static int gone(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, gone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(checkpoints_take_nothing_from_the_device_and_the_limit_holds),
        TEST(checkpoints_take_nothing_from_the_device_and_the_limit_holds),
        TEST(the_limit_holds_with_long_values_too),
    };
    const char *given = getenv("OXBOW_SEED");
    struct statfs fs;

    if (statfs("/dev/shm", &fs) != 0 || fs.f_type != TMPFS) {
        printf("space_blocks_test: skipped: /dev/shm is no tmpfs\n");
        return 77;
    }
    seed = given != NULL ? strtoull(given, NULL, 0) : 1;
    seed--;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
