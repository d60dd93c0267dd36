/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many threads on the smallest ring there is, under all policies at once: short and long
 * transactions, large values, aborts, waits with and without a time limit, policies changed on the
 * way, a device that stalls. Once to the end and closed; and again and again as a process of its own
 * whose power is cut, after which everything that was acknowledged durable must be there, what is
 * there must be a prefix of the order of commits, and of `interval` no more may be gone than its
 * time.
 */
#include "engine/base/codec.h"
#include "engine/store/store.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define THREADS     16u
#define RECORDS     20000u /* of each thread in one life */
#define SLOTS       64u    /* of a chunk that is patched */
#define SLOT_BYTES  32u
#define INTERVAL_MS 100u
#define SLACK_MS    250u /* the clock is looked at here and there */
#define LIVES       10u
#define RUN_MS      2500u
#define DURABLE_MIN 100u
#define BIG         120000u

enum state { NOTHING, COMMITTED, DURABLE };

/* What a thread wrote down of one transaction. */
struct record {
    uint64_t lsn;
    uint64_t began_ms;
    uint64_t done_ms;
    enum oxbow_sync sync;
    atomic_int state;
};

struct thread_log {
    uint64_t base; /* sequence that it began with */
    struct record records[RECORDS];
};

struct shared {
    atomic_bool ready;
    atomic_bool stop;
    struct thread_log threads[THREADS];
};

struct worker {
    struct oxbow *db;
    struct shared *shared;
    uint64_t random;
    uint8_t id;
};

static uint8_t pattern[BIG];
static struct oxbow_port stalling;
static atomic_uint_least64_t stall_random;

static uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void sleep_us(uint64_t us)
{
    const struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};

    (void)nanosleep(&t, NULL);
}

static uint64_t now_ms(void)
{
    const struct oxbow_clock *clock = &oxbow_port_default()->clock;

    return clock->mono_us(clock->ctx) / 1000;
}

/* Ends the program in whichever process it is. */
#define MUST(what)                                                                                 \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                       \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static enum oxbow_err stalling_sync(void *ctx, int fd)
{
    uint64_t seed = atomic_fetch_add(&stall_random, 1);
    uint64_t r = draw(&seed);

    sleep_us(r % 50 == 0 ? 150000 : r % 8 == 0 ? r % 20000 : 0);
    return oxbow_port_default()->files.sync(ctx, fd);
}

static void quiet(void *ctx, enum oxbow_log_level level, const char *text)
{
    (void)ctx;
    MUST(level != OXBOW_LOG_ERROR || text == NULL);
}

static struct oxbow *open_store(const char *dir)
{
    const struct oxbow_config config = {.dir = dir,
                                        .port = &stalling,
                                        .sync = OXBOW_SYNC_INTERVAL,
                                        .interval_ms = INTERVAL_MS,
                                        .journal = OXBOW_JOURNAL_ON,
                                        .journal_bytes = RING_BYTES_MIN,
                                        .memtable_bytes = 256u << 10,
                                        .dirty_pages = 64,
                                        .journal_segments = 2};
    struct oxbow *db;

    stalling = *oxbow_port_default();
    stalling.files.sync = stalling_sync;
    stalling.log.line = quiet;
    MUST(oxbow_open(&config, &db) == OXBOW_OK);
    return db;
}

/* ---- what a transaction writes ---- */

static struct oxbow_bytes key_of(uint8_t raw[3], uint8_t who, uint8_t what)
{
    raw[0] = KV_SPACE_OBJECT;
    raw[1] = who;
    raw[2] = what;
    return (struct oxbow_bytes){raw, 3};
}

#define HEAD  0xff
#define CHUNK 0xfe

static uint32_t size_of(uint64_t r)
{
    uint32_t kind = r % 100;
    uint32_t more = (uint32_t)(r >> 32);

    return kind < 70   ? 10 + more % 300
           : kind < 90 ? more % 3000
           : kind < 98 ? 20000 + more % 10000
                       : 34000 + more % 30000;
}

static enum oxbow_err patch_chunk(struct oxbow_txn *txn, uint8_t who, uint64_t seq)
{
    uint8_t slot[SLOT_BYTES];
    struct oxbow_bytes value;
    uint8_t raw[3];
    enum oxbow_err err = kv_get(txn, key_of(raw, who, CHUNK), &value);

    if (err == OXBOW_ENOENT) {
        err = kv_put(txn, key_of(raw, who, CHUNK),
                     (struct oxbow_bytes){pattern, (size_t)SLOTS * SLOT_BYTES});
    }
    memset(slot, (int)who, sizeof slot);
    put_le64(slot, seq);
    return err == OXBOW_OK ? kv_patch(txn, key_of(raw, who, CHUNK), seq % SLOTS * SLOT_BYTES,
                                      (struct oxbow_bytes){slot, sizeof slot})
                           : err;
}

static enum oxbow_err put_head(struct oxbow_txn *txn, uint8_t who, uint64_t seq, uint64_t blob,
                               uint32_t len)
{
    uint8_t head[20];
    uint8_t raw[3];

    put_le64(head, seq);
    put_le64(head + 8, blob);
    put_le32(head + 16, len);
    return kv_put(txn, key_of(raw, who, HEAD), (struct oxbow_bytes){head, sizeof head});
}

static void get_head(struct oxbow_txn *txn, uint8_t who, uint64_t *seq, uint64_t *blob,
                     uint32_t *len)
{
    struct oxbow_bytes value;
    uint8_t raw[3];
    enum oxbow_err err = kv_get(txn, key_of(raw, who, HEAD), &value);

    *seq = *blob = *len = 0;
    MUST(err == OXBOW_OK || err == OXBOW_ENOENT);
    if (err == OXBOW_OK) {
        MUST(value.len == 20);
        *seq = get_le64(value.data);
        *blob = get_le64((const uint8_t *)value.data + 8);
        *len = get_le32((const uint8_t *)value.data + 16);
    }
}

static void write_txn(struct oxbow_txn *txn, uint8_t who, uint64_t seq, uint64_t r)
{
    uint32_t size = size_of(r);
    uint64_t blob;
    uint64_t old;
    uint32_t len;
    uint8_t raw[3];

    get_head(txn, who, &old, &blob, &len);
    MUST(old + 1 == seq);
    MUST(txn_reserve_bytes(txn, size + 4096) == OXBOW_OK);
    if ((r >> 8) % 64 == 0) {
        MUST(blob == 0 || kv_blob_delete(txn, blob) == OXBOW_OK);
        len = 50000 + (uint32_t)(r >> 40) % 70000;
        MUST(kv_blob_write(txn, (struct oxbow_bytes){pattern, len}, &blob) == OXBOW_OK);
    }
    MUST(put_head(txn, who, seq, blob, len) == OXBOW_OK);
    MUST(patch_chunk(txn, who, seq) == OXBOW_OK);
    MUST(kv_put(txn, key_of(raw, who, (uint8_t)(seq % 8)), (struct oxbow_bytes){pattern, size}) ==
         OXBOW_OK);
}

/* ---- the threads ---- */

static void do_one(struct worker *w, uint64_t seq, struct record *rec)
{
    uint64_t r = draw(&w->random);
    uint32_t policy = (uint32_t)(r >> 16) % 8;
    bool wait = (r >> 20) % 2 == 0;
    struct oxbow_txn_options opt = {.sync = policy < 2   ? OXBOW_SYNC_ALWAYS
                                            : policy < 6 ? OXBOW_SYNC_INTERVAL
                                                         : OXBOW_SYNC_NONE};
    struct oxbow_txn *txn;
    uint64_t lsn = 0;
    enum oxbow_err err;

    opt.flags = opt.sync == OXBOW_SYNC_ALWAYS && (r >> 21) % 2 == 0 ? OXBOW_TXN_NOWAIT : 0;
    if ((r >> 24) % 16 == 0) {
        MUST(oxbow_txn_begin(w->db, &opt, &txn) == OXBOW_OK);
        write_txn(txn, w->id, seq, draw(&w->random));
        oxbow_txn_abort(txn);
    }
    rec->began_ms = now_ms();
    MUST(oxbow_txn_begin(w->db, &opt, &txn) == OXBOW_OK);
    write_txn(txn, w->id, seq, r);
    MUST(oxbow_txn_commit(txn, &lsn) == OXBOW_OK);
    rec->done_ms = now_ms();
    rec->lsn = lsn;
    rec->sync = opt.sync;
    if (opt.sync == OXBOW_SYNC_ALWAYS && opt.flags == 0) {
        MUST(oxbow_durable_lsn(w->db) >= lsn);
        atomic_store(&rec->state, DURABLE);
        return;
    }
    atomic_store(&rec->state, COMMITTED);
    if (wait && (opt.flags != 0 || (r >> 28) % 8 == 0)) {
        err = oxbow_wait(w->db, lsn, (r >> 32) % 3 == 0 ? -1 : (int64_t)(r >> 36) % 20);
        MUST(err == OXBOW_OK || err == OXBOW_ETIMEDOUT);
        if (err == OXBOW_OK) {
            atomic_store(&rec->state, DURABLE);
        }
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct thread_log *log = &w->shared->threads[w->id];

    for (uint32_t i = 0; i < RECORDS && !atomic_load(&w->shared->stop); i++) {
        do_one(w, log->base + 1 + i, &log->records[i]);
    }
    return NULL;
}

/* Changes the policy and asks for all sorts of things. */
static void *meddle(void *arg)
{
    static const enum oxbow_sync all[] = {OXBOW_SYNC_ALWAYS, OXBOW_SYNC_INTERVAL, OXBOW_SYNC_NONE};
    struct worker *w = arg;
    struct oxbow_stat stat;
    uint64_t r;

    while (!atomic_load(&w->shared->stop)) {
        r = draw(&w->random);
        MUST(oxbow_set_sync(w->db, all[r % 3], 0) == OXBOW_OK);
        oxbow_stat(w->db, &stat);
        MUST(stat.lsn_durable <= stat.lsn_written && stat.lsn_written <= stat.lsn_applied);
        oxbow_sync_start(w->db, r % 2 == 0 ? stat.lsn_applied : UINT64_MAX);
        if (r % 4 == 0) {
            MUST(oxbow_flush(w->db) == OXBOW_OK);
        } else if (r % 4 == 1) {
            enum oxbow_err err = oxbow_wait(w->db, stat.lsn_applied + r % 50, 10);

            MUST(err == OXBOW_OK || err == OXBOW_ETIMEDOUT);
        }
        sleep_us(r % 20000);
    }
    return NULL;
}

/* How many transactions were acknowledged durable. */
static uint64_t durable_of(struct shared *shared)
{
    uint64_t count = 0;

    for (unsigned t = 0; t < THREADS; t++) {
        for (unsigned i = 0; i < RECORDS; i++) {
            count += atomic_load(&shared->threads[t].records[i].state) == DURABLE;
        }
    }
    return count;
}

/* Runs all threads until they are told to stop, or for ever. */
static void live(struct oxbow *db, struct shared *shared, uint64_t seed, unsigned run_ms)
{
    static struct worker workers[THREADS + 1];
    pthread_t threads[THREADS + 1];

    atomic_store(&stall_random, seed);
    for (unsigned i = 0; i <= THREADS; i++) {
        workers[i] = (struct worker){db, shared, seed * 1000 + i, (uint8_t)i};
        MUST(pthread_create(&threads[i], NULL, i < THREADS ? work : meddle, &workers[i]) == 0);
    }
    atomic_store(&shared->ready, true);
    sleep_us((uint64_t)run_ms * 1000);
    for (unsigned i = 0; i < 120 && durable_of(shared) <= DURABLE_MIN; i++) {
        sleep_us(500000); /* a slow device */
    }
    atomic_store(&shared->stop, true);
    for (unsigned i = 0; i <= THREADS; i++) {
        MUST(pthread_join(threads[i], NULL) == 0);
    }
}

/* ---- what must be there ---- */

static struct shared *share(void)
{
    void *p = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                   -1, 0);

    MUST(p != MAP_FAILED);
    return p;
}

/* Reads the heads, and checks what each says of the rest. */
static void read_heads(struct oxbow *db, uint64_t heads[THREADS])
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    static uint8_t content[BIG];
    struct oxbow_bytes value;
    struct oxbow_txn *txn;
    uint8_t raw[3];

    MUST(oxbow_txn_begin(db, &opt, &txn) == OXBOW_OK);
    for (uint8_t t = 0; t < THREADS; t++) {
        uint64_t blob;
        uint32_t len;

        get_head(txn, t, &heads[t], &blob, &len);
        if (heads[t] == 0) {
            continue;
        }
        MUST(kv_get(txn, key_of(raw, t, CHUNK), &value) == OXBOW_OK);
        for (uint64_t s = heads[t]; s > 0 && s + SLOTS > heads[t]; s--) {
            MUST(get_le64((const uint8_t *)value.data + s % SLOTS * SLOT_BYTES) == s);
        }
        if (blob != 0) {
            MUST(kv_blob_read(txn, blob, 0, content, len) == OXBOW_OK);
            MUST(memcmp(content, pattern, len) == 0);
        }
    }
    oxbow_txn_abort(txn);
}

static const struct record *record_of(const struct thread_log *log, uint64_t seq)
{
    return seq > log->base && seq - log->base <= RECORDS ? &log->records[seq - log->base - 1]
                                                         : NULL;
}

/* How many transactions that were acknowledged durable there were. */
static uint64_t judge(struct oxbow *db, struct shared *shared, uint64_t heads[THREADS])
{
    uint64_t newest = 0; /* LSN that is there */
    uint64_t begun = 0;  /* the last transaction under `interval` has had the turn since */

    read_heads(db, heads);
    for (unsigned t = 0; t < THREADS; t++) {
        const struct record *rec = record_of(&shared->threads[t], heads[t]);

        MUST(heads[t] >= shared->threads[t].base);
        if (rec != NULL && atomic_load(&rec->state) != NOTHING && rec->lsn > newest) {
            newest = rec->lsn;
        }
        for (unsigned i = 0; i < RECORDS; i++) {
            rec = &shared->threads[t].records[i];
            if (atomic_load(&rec->state) != NOTHING && rec->sync == OXBOW_SYNC_INTERVAL &&
                rec->began_ms > begun) {
                begun = rec->began_ms;
            }
        }
    }
    for (unsigned t = 0; t < THREADS; t++) {
        const struct thread_log *log = &shared->threads[t];

        for (uint64_t s = heads[t] + 1; s <= log->base + RECORDS; s++) {
            const struct record *rec = record_of(log, s);

            if (atomic_load(&rec->state) == NOTHING) {
                break;
            }
            MUST(atomic_load(&rec->state) != DURABLE);
            MUST(rec->lsn > newest);
            MUST(rec->sync != OXBOW_SYNC_INTERVAL ||
                 rec->done_ms + INTERVAL_MS + SLACK_MS >= begun);
        }
    }
    return durable_of(shared);
}

static uint64_t seed_of_run(void)
{
    const char *text = getenv("OXBOW_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : (uint64_t)time(NULL);

    print_message("OXBOW_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void many_threads_under_all_policies_lose_nothing(void **state)
{
    struct shared *shared = share();
    uint64_t heads[THREADS];
    char dir[SCRATCH_MAX];
    struct oxbow *db;

    (void)state;
    scratch_name(dir, "journal-stress");
    scratch_remove(dir);
    db = open_store(dir);
    live(db, shared, seed_of_run(), RUN_MS);
    MUST(oxbow_close(db) == OXBOW_OK);
    db = open_store(dir);
    assert_true(judge(db, shared, heads) > DURABLE_MIN);
    for (unsigned t = 0; t < THREADS; t++) {
        const struct record *rec = record_of(&shared->threads[t], heads[t] + 1);

        MUST(heads[t] > 0 && (rec == NULL || atomic_load(&rec->state) == NOTHING));
    }
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    scratch_remove(dir);
    assert_int_equal(munmap(shared, sizeof *shared), 0);
}

/* ---- cutting the power ---- */

/* A sanitizer and the shim both stand below the program, and only one of them can. */
#ifdef POWERCUT_SO
#define PATHS 1024

static struct shared *map_log(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct shared *shared;

    MUST(fd >= 0 && ftruncate(fd, 0) == 0 && ftruncate(fd, sizeof *shared) == 0);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    MUST(shared != MAP_FAILED);
    MUST(close(fd) == 0);
    return shared;
}

/* In the process whose power goes. */
static int be_cut(char **argv)
{
    int fd = open(argv[3], O_RDWR | O_CLOEXEC);
    struct shared *shared;
    uint64_t heads[THREADS];
    struct oxbow *db;

    MUST(fd >= 0);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    MUST(shared != MAP_FAILED);
    db = open_store(argv[2]);
    read_heads(db, heads);
    for (unsigned t = 0; t < THREADS; t++) {
        shared->threads[t].base = heads[t];
    }
    live(db, shared, strtoull(argv[4], NULL, 10), 60000);
    return 1;
}

static pid_t start(const char *self, const char *dir, const char *log, const char *ctl,
                   uint64_t seed)
{
    char number[24];
    pid_t pid;

    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)seed);
    pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        MUST(setenv("LD_PRELOAD", POWERCUT_SO, 1) == 0 && setenv("POWERCUT_DIR", dir, 1) == 0 &&
             setenv("POWERCUT_CTL", ctl, 1) == 0 && setenv("POWERCUT_MODE", "mix", 1) == 0 &&
             setenv("POWERCUT_SEED", number, 1) == 0 &&
             setenv("POWERCUT_REPORT", "/dev/null", 1) == 0);
        (void)execl(self, self, "--cut", dir, log, number, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void cut(const char *ctl, pid_t pid)
{
    int fd = open(ctl, O_WRONLY | O_CLOEXEC);
    int status;

    MUST(fd >= 0 && write(fd, "cut\n", 4) == 4 && close(fd) == 0);
    MUST(waitpid(pid, &status, 0) == pid);
    MUST(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void what_was_acknowledged_survives_power_cuts(void **state)
{
    char dir[SCRATCH_MAX];
    char log[SCRATCH_MAX + 8];
    char ctl[SCRATCH_MAX + 8];
    char self[PATHS] = {0};
    uint64_t heads[THREADS] = {0};
    uint64_t seed = seed_of_run();
    uint64_t durable = 0;

    (void)state;
    MUST(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    scratch_name(dir, "journal-cut");
    (void)snprintf(log, sizeof log, "%s.log", dir);
    (void)snprintf(ctl, sizeof ctl, "%s.ctl", dir);
    scratch_remove(dir);
    for (unsigned life = 0; life < LIVES || (life < 20 * LIVES && durable <= (uint64_t)LIVES * 5);
         life++) {
        struct shared *shared = map_log(log);
        pid_t pid = start(self, dir, log, ctl, seed + life);
        struct oxbow *db;

        for (unsigned i = 0; i < 120000 && !atomic_load(&shared->ready); i++) {
            sleep_us(1000);
        }
        MUST(atomic_load(&shared->ready));
        sleep_us(50000 + draw(&seed) % 500000);
        cut(ctl, pid);
        db = open_store(dir);
        durable += judge(db, shared, heads);
        assert_int_equal(oxbow_close(db), OXBOW_OK);
        assert_int_equal(munmap(shared, sizeof *shared), 0);
    }
    print_message("%llu were durable\n", (unsigned long long)durable);
    assert_true(durable > LIVES * 5);
    (void)unlink(log);
    (void)unlink(ctl);
    scratch_remove(dir);
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_under_all_policies_lose_nothing),
#ifdef POWERCUT_SO
        cmocka_unit_test(what_was_acknowledged_survives_power_cuts),
#endif
    };

    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = (uint8_t)(i * 7 + i / 251);
    }
#ifdef POWERCUT_SO
    if (argc == 5 && strcmp(argv[1], "--cut") == 0) {
        return be_cut(argv);
    }
#endif
    (void)argc;
    (void)argv;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
