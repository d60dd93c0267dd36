/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures for streams and groups, printed and never asserted: adds at 64 to a transaction on one
 * and on 1,000 streams, catch-up reads, group reads with acks. `stream_bench [entries]`.
 */
#include "tests/queue/stream_fixture.h"

#include <stdlib.h>
#include <time.h>

#define BATCH 64

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void say(struct streams *f, const char *what, uint64_t n, double from)
{
    double s = now_s() - from;
    struct oxbow_stat stat;

    oxbow_stat(f->rig.db, &stat);
    printf("%-34s %9.0f /s  %6.0f ns  checkpoints %llu\n", what, (double)n / s, s * 1e9 / (double)n,
           (unsigned long long)stat.checkpoints);
}

static void bench_add(struct streams *f, uint64_t n, unsigned keys, const char *what)
{
    char value[88] = {0};
    struct oxbow_field fields[2] = {{BYTES("temperature"), {value, 80}}, {BYTES("n"), {value, 8}}};
    double from = now_s();
    uint64_t i, k;

    for (i = 0; i < n; i += BATCH) {
        f->rig.wall_ms++;
        f->rig.mono_us += 1000;
        streams_begin(f);
        for (k = 0; k < BATCH; k++) {
            char key[16];
            int len = snprintf(key, sizeof key, "k%llu", (unsigned long long)((i + k) % keys));

            assert_ok(oxbow_stream_add(f->txn, (struct oxbow_bytes){key, (size_t)len}, NULL, fields,
                                       2, NULL));
        }
        streams_commit(f);
    }
    say(f, what, n, from);
}

static void bench_read(struct streams *f, uint64_t n)
{
    struct oxbow_id after = OXBOW_ID_MIN;
    double from = now_s();
    uint64_t got = 0;

    for (;;) {
        f->txn = rig_begin(&f->rig, OXBOW_TXN_READ);
        assert_ok(oxbow_stream_read(f->txn, BYTES("k0"), after, 1000, &f->result));
        streams_commit(f);
        if (f->result.entry_count == 0) {
            break;
        }
        got += f->result.entry_count;
        after = f->result.entries[f->result.entry_count - 1].id;
    }
    assert_int_equal(got, n);
    say(f, "read, 1000 at a time", n, from);
}

static void bench_group(struct streams *f, uint64_t n)
{
    struct oxbow_group group = group_of("k0", "g");
    struct oxbow_group_create_options start = {.id = OXBOW_ID_MIN};
    struct oxbow_group_read_options opt = {.count = BATCH};
    double from;
    uint64_t got = 0, acked;
    struct oxbow_id ids[BATCH];
    size_t i;

    streams_begin(f);
    assert_ok(oxbow_group_create(f->txn, group, &start));
    streams_commit(f);
    from = now_s();
    while (got < n) {
        streams_begin(f);
        assert_ok(oxbow_group_read(f->txn, group, BYTES("c"), &opt, &f->result));
        streams_commit(f);
        for (i = 0; i < f->result.entry_count; i++) {
            ids[i] = f->result.entries[i].id;
        }
        streams_begin(f);
        assert_ok(oxbow_group_ack(f->txn, group, ids, f->result.entry_count, &acked));
        streams_commit(f);
        assert_int_equal(acked, f->result.entry_count);
        got += acked;
    }
    say(f, "group read 64 and ack 64", n, from);
}

int main(int argc, char **argv)
{
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    struct streams f = {0};

    n -= n % BATCH;
    rig_init(&f.rig, OXBOW_SYNC_INTERVAL);
    f.rig.config.quota_bytes = (uint64_t)8 << 30;
    rig_open(&f.rig);
    bench_add(&f, n, 1, "add, 64 a transaction, 1 stream");
    bench_read(&f, n);
    bench_group(&f, n);
    bench_add(&f, n, 1000, "add, 64 a transaction, 1000 streams");
    oxbow_result_fini(&f.result);
    rig_fini(&f.rig);
    return 0;
}
