/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What users of other queues complain of when a device was offline for long and has no clock
 * (docs/COMPLAINTS.md): each test is the situation.
 */
#include "oxbow/delay.h"
#include "oxbow/policy.h"
#include "oxbow/time.h"
#include "tests/queue/stream_fixture.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOUR_MS 3600000u

/* ---- 8: memory ---- */

#define SMALL_ENTRIES 4000u /* of a kilobyte */
#define LARGE_ENTRIES                                                                              \
    40000u /* likewise: ten times the backlog, and far above every limit of memory */
#define FIELD_BYTES 1000u

/* The default port's allocator, and what it has given at most. */
struct counted {
    struct oxbow_port port;
    atomic_int_least64_t live, peak;
};

static void *counted_resize(void *ctx, void *old, size_t old_len, size_t new_len)
{
    struct counted *c = ctx;
    const struct oxbow_alloc *base = &oxbow_port_default()->alloc;
    void *p = base->resize(base->ctx, old, old_len, new_len);
    int64_t now, peak;

    if (p == NULL && new_len > 0) {
        return NULL;
    }
    now = atomic_fetch_add(&c->live, (int64_t)new_len - (int64_t)old_len) + (int64_t)new_len -
          (int64_t)old_len;
    peak = atomic_load(&c->peak);
    while (now > peak && !atomic_compare_exchange_weak(&c->peak, &peak, now)) {
    }
    return p;
}

/* Memory of this process that no file stands behind, in bytes. */
static int64_t anonymous_bytes(void)
{
    char line[128];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");

    while (f != NULL && kib < 0 && fgets(line, sizeof line, f) != NULL) {
        (void)sscanf(line, "RssAnon: %ld kB", &kib);
    }
    if (f == NULL || fclose(f) != 0 || kib < 0) {
        abort();
    }
    return kib * 1024;
}

static struct oxbow *open_counted(struct counted *c, const char *dir)
{
    const struct oxbow_config config = {.dir = dir,
                                        .port = &c->port,
                                        .sync = OXBOW_SYNC_INTERVAL,
                                        .quota_bytes = 96u << 20,
                                        .memtable_bytes = 512u << 10,
                                        .dirty_pages = 64,
                                        .txn_bytes = 256u << 10};
    struct oxbow *db;

    c->port = *oxbow_port_default();
    c->port.alloc = (struct oxbow_alloc){c, counted_resize};
    atomic_store(&c->live, 0);
    atomic_store(&c->peak, 0);
    if (oxbow_open(&config, &db) != OXBOW_OK) {
        abort();
    }
    return db;
}

static void must(enum oxbow_err err)
{
    if (err != OXBOW_OK) {
        (void)fprintf(stderr, "complaint 8: %s\n", oxbow_err_name(err));
        abort();
    }
}

/* Nobody takes anything while `entries` come in. */
static void go_offline(struct oxbow *db, unsigned entries)
{
    static char value[FIELD_BYTES];
    const struct oxbow_field field = {{"v", 1}, {value, sizeof value}};
    struct oxbow_txn *txn;

    for (unsigned i = 0; i < entries; i += 50) {
        must(oxbow_txn_begin(db, NULL, &txn));
        for (unsigned j = 0; j < 50; j++) {
            must(oxbow_stream_add(txn, text_bytes("s"), NULL, &field, 1, NULL));
        }
        must(oxbow_txn_commit(txn, NULL));
    }
}

static void take_a_few(struct oxbow *db)
{
    const struct oxbow_stream_range first = {.to = OXBOW_ID_MAX, .count = 10};
    struct oxbow_result result = {0};
    struct oxbow_txn *txn;
    uint64_t len;

    must(oxbow_txn_begin(db, NULL, &txn));
    must(oxbow_stream_range(txn, text_bytes("s"), &first, &result));
    must(oxbow_stream_len(txn, text_bytes("s"), &len));
    must(result.entry_count == 10 && len >= SMALL_ENTRIES ? OXBOW_OK : OXBOW_ECORRUPT);
    must(oxbow_txn_commit(txn, NULL));
    oxbow_result_fini(&result);
}

struct needs {
    int64_t filling; /* bytes from the port at most while the backlog grew */
    int64_t opening; /* and in a new process, up to the first entries that it took */
    int64_t process; /* how much that process grew */
};

/* In a process of its own; `value` receives what it needs. */
static void in_a_process(void (*run)(const char *dir, unsigned entries, int64_t out[2]),
                         const char *dir, unsigned entries, int64_t out[2])
{
    int fds[2];
    pid_t pid;
    int status;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        run(dir, entries, out);
        _exit(write(fds[1], out, 2 * sizeof *out) == 2 * sizeof *out ? 0 : 1);
    }
    assert_int_equal(close(fds[1]), 0);
    assert_int_equal(read(fds[0], out, 2 * sizeof *out), 2 * sizeof *out);
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void fill(const char *dir, unsigned entries, int64_t out[2])
{
    static struct counted c;
    struct oxbow *db = open_counted(&c, dir);

    go_offline(db, entries);
    out[0] = atomic_load(&c.peak);
    must(oxbow_close(db));
}

static void wake_up(const char *dir, unsigned entries, int64_t out[2])
{
    static struct counted c;
    int64_t before = anonymous_bytes();
    struct oxbow *db = open_counted(&c, dir);

    (void)entries;
    take_a_few(db);
    out[0] = atomic_load(&c.peak);
    out[1] = anonymous_bytes() - before;
    must(oxbow_close(db));
}

static struct needs needs_of(unsigned entries)
{
    char dir[] = "/tmp/oxbow-complaint-XXXXXX";
    char command[64];
    int64_t out[2] = {0};
    struct needs n;

    assert_non_null(mkdtemp(dir));
    in_a_process(fill, dir, entries, out);
    n.filling = out[0];
    in_a_process(wake_up, dir, entries, out);
    n.opening = out[0];
    n.process = out[1];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    assert_int_equal(system(command), 0);
    return n;
}

/* 8. Memory grows while offline, and the whole backlog is loaded at the start. */
static void complaint_8_memory_does_not_grow_with_the_backlog(void **state)
{
    struct needs small = needs_of(SMALL_ENTRIES);
    struct needs large = needs_of(LARGE_ENTRIES);

    (void)state;
    print_message("4 MB: %lld filling, %lld opening, process %lld; 40 MB: %lld, %lld, %lld\n",
                  (long long)small.filling, (long long)small.opening, (long long)small.process,
                  (long long)large.filling, (long long)large.opening, (long long)large.process);
    assert_true(small.filling > 0 && small.opening > 0);
    assert_true(large.filling < small.filling + (1 << 20));
    assert_true(large.opening < small.opening + (1 << 18));
    assert_true(large.process < small.process + (2 << 20));
}

/* ---- 10: catching up ---- */

#define BACKLOG 40000u
#define PART    4000u

static uint64_t cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void fill_backlog(struct streams *f)
{
    const struct oxbow_group_create_options begin = {.make_stream = true};
    char value[64];

    assert_ok(oxbow_group_create(f->txn, group_of("s", "g"), &begin));
    for (unsigned i = 0; i < BACKLOG; i++) {
        struct oxbow_field field = {text_bytes("n"), text_bytes(value)};

        snprintf(value, sizeof value, "%u of a backlog that has grown for weeks", i);
        field.value.len = strlen(value);
        assert_ok(oxbow_stream_add(f->txn, text_bytes("s"), NULL, &field, 1, NULL));
        assert_ok(oxbow_list_push(f->txn, text_bytes("l"), OXBOW_RIGHT, &field.value, 1, NULL));
        if (i % 200 == 199) {
            streams_commit(f);
            streams_begin(f);
        }
    }
}

/* Takes a part of both backlogs, 100 at a time, in order; gives the time it took. */
static uint64_t take_part(struct streams *f, unsigned *next)
{
    const struct oxbow_group_read_options opt = {.count = 100};
    uint64_t began = cpu_us();

    for (unsigned i = 0; i < PART; i += 100) {
        struct oxbow_id ids[100];
        uint64_t n;

        assert_ok(oxbow_group_read(f->txn, group_of("s", "g"), text_bytes("c"), &opt, &f->result));
        assert_int_equal(f->result.entry_count, 100);
        assert_int_equal(strtoul(f->result.entries[0].fields[0].value.data, NULL, 10), *next);
        for (unsigned j = 0; j < 100; j++) {
            ids[j] = f->result.entries[j].id;
        }
        assert_ok(oxbow_group_ack(f->txn, group_of("s", "g"), ids, 100, &n));
        assert_int_equal(n, 100);
        assert_ok(oxbow_stream_delete(f->txn, text_bytes("s"), ids, 100, &n));
        assert_ok(oxbow_list_pop(f->txn, text_bytes("l"), OXBOW_LEFT, 100, &f->result));
        assert_int_equal(f->result.item_count, 100);
        assert_int_equal(strtoul(f->result.items[0].data, NULL, 10), *next);
        *next += 100;
        streams_commit(f);
        streams_begin(f);
    }
    return cpu_us() - began;
}

/* 10. Slow catch-up: the longer the backlog, the slower each entry of it. */
static void
complaint_10_catching_up_is_as_fast_with_a_long_backlog_as_with_a_short_one(void **state)
{
    struct streams *f = *state;
    uint64_t times[BACKLOG / PART];
    unsigned next = 0;
    uint64_t first, last;

    fill_backlog(f);
    for (unsigned i = 0; i < BACKLOG / PART; i++) {
        times[i] = take_part(f, &next);
    }
    assert_int_equal(next, BACKLOG);
    first = times[0] < times[1] ? times[0] : times[1];
    last = times[8] > times[9] ? times[9] : times[8];
    print_message("%u taken of %u: %llu us, of %u: %llu us\n", PART, BACKLOG,
                  (unsigned long long)first, 2 * PART, (unsigned long long)last);
    assert_true(first < 3 * last + 20000);
    assert_true(last < 3 * first + 20000);
}

/* ---- 19: no clock ---- */

static struct oxbow_id add(struct streams *f)
{
    const struct oxbow_field field = {text_bytes("f"), text_bytes("v")};
    const struct oxbow_stream_add_options opt = {.ttl_ms = 10 * HOUR_MS};
    struct oxbow_id id;

    assert_ok(oxbow_stream_add(f->txn, text_bytes("s"), &opt, &field, 1, &id));
    return id;
}

static bool later(struct oxbow_id a, struct oxbow_id b)
{
    return a.ms > b.ms || (a.ms == b.ms && a.seq > b.seq);
}

/* With the transaction open: nobody else may see one clock turned and the other not yet. */
static void pass(struct streams *f, uint64_t ms)
{
    rig_pass_ms(&f->rig, ms);
    streams_commit(f);
    streams_begin(f);
}

static void set_wall(struct streams *f, uint64_t wall_ms)
{
    streams_commit(f);
    f->rig.wall_ms = wall_ms;
    streams_begin(f);
}

/* 19. No clock: stamps of 1970, records dropped or refused as too old, no way to date them later. */
static void complaint_19_a_device_without_a_clock_loses_nothing_and_dates_it_later(void **state)
{
    const struct oxbow_group_create_options create = {.make_stream = true};
    const struct oxbow_group_read_options read = {.count = 10};
    const struct oxbow_delay_when soon = {OXBOW_DELAY_FOR, 2 * HOUR_MS};
    struct streams *f = *state;
    uint64_t truth = f->rig.wall_ms;
    struct oxbow_bytes value = text_bytes("later");
    struct oxbow_delay_stat delays;
    struct oxbow_drops drops;
    struct oxbow_id ids[5];

    assert_ok(oxbow_group_create(f->txn, group_of("s", "g"), &create));
    assert_ok(oxbow_policy_set(f->txn, text_bytes("s"),
                               &(struct oxbow_policy){.max_age_ms = 5 * HOUR_MS}));
    streams_commit(f);
    rig_close(&f->rig);
    f->rig.mono_us = 20000000;
    f->rig.wall_ms = 21000; /* it wakes in 1970 */
    rig_open(&f->rig);
    streams_begin(f);
    ids[0] = add(f);
    assert_ok(oxbow_delay_push(f->txn, text_bytes("l"), OXBOW_RIGHT, &soon, value, NULL));
    pass(f, HOUR_MS);
    ids[1] = add(f);
    truth += HOUR_MS;
    set_wall(f, truth); /* 56 years later: nothing has become old, nothing is due */
    ids[2] = add(f);
    pass(f, 10);
    ids[3] = add(f);
    set_wall(f, 50000); /* and it is taken for 1970 again */
    pass(f, 10);
    ids[4] = add(f);
    streams_commit(f);
    usleep(30000); /* the store has time for what it believes to be due */
    streams_begin(f);
    for (unsigned i = 1; i < 5; i++) {
        assert_true(later(ids[i], ids[i - 1]));
    }
    assert_ok(oxbow_group_read(f->txn, group_of("s", "g"), text_bytes("c"), &read, &f->result));
    assert_int_equal(f->result.entry_count, 5);
    assert_int_equal(f->result.missed, 0);
    assert_ok(oxbow_policy_drops(f->txn, text_bytes("s"), OXBOW_DROP_AGE, &drops));
    assert_int_equal(drops.entries, 0);
    assert_ok(oxbow_delay_stat(f->txn, &delays));
    assert_int_equal(delays.waiting, 1);
    for (unsigned i = 0; i < 2; i++) { /* those of 1970 have their dates now */
        struct oxbow_true_time t;

        assert_ok(oxbow_stream_true_time(f->txn, text_bytes("s"), ids[i], &t));
        assert_true(t.known);
        assert_int_equal(t.from_ms, truth - (1 - i) * HOUR_MS);
    }
    /* What is due and what is too old is so by the time that has passed, whatever the clock says. */
    pass(f, 6 * HOUR_MS);
    for (int i = 0; i < 20000; i++) {
        uint64_t len;

        assert_ok(oxbow_stream_len(f->txn, text_bytes("s"), &len));
        assert_ok(oxbow_delay_stat(f->txn, &delays));
        if (len == 0 && delays.waiting == 0) {
            break;
        }
        pass(f, 100); /* idle work goes by the clock, too */
        usleep(2000);
    }
    assert_int_equal(delays.waiting, 0);
    assert_ok(oxbow_policy_drops(f->txn, text_bytes("s"), OXBOW_DROP_AGE, &drops));
    assert_int_equal(drops.entries, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complaint_8_memory_does_not_grow_with_the_backlog),
        TEST(complaint_10_catching_up_is_as_fast_with_a_long_backlog_as_with_a_short_one),
        TEST(complaint_19_a_device_without_a_clock_loses_nothing_and_dates_it_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
