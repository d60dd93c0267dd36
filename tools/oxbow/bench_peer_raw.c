/* SPDX-License-Identifier: Apache-2.0 */
/* The physical limit: one file, written in place, one fdatasync a message (or none). */
#include "tools/oxbow/bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define FILE_BYTES ((size_t)16 << 20)
#define BLOCK      4096u

static int zero_filled(const struct bench_run *run)
{
    static const uint8_t zeros[64 << 10]; /* larger pieces of page cache are slower to write to */
    char path[4096];
    int fd;

    (void)snprintf(path, sizeof path, "%s/raw", run->dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (size_t at = 0; fd >= 0 && at < FILE_BYTES; at += sizeof zeros) {
        if (pwrite(fd, zeros, sizeof zeros, (off_t)at) != (ssize_t)sizeof zeros) {
            close(fd);
            return -1;
        }
    }
    if (fd >= 0 && fsync(fd) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int bench_raw_durable(const struct bench_run *run, struct bench_sample *out)
{
    uint64_t count = bench_syncs(run, 3000);
    uint8_t block[BLOCK] = {0};
    float *us = calloc((size_t)count, sizeof *us);
    int fd = us != NULL ? zero_filled(run) : -1;
    uint64_t written = bench_disk_bytes(run);
    double start = bench_now();

    for (uint64_t i = 0; fd >= 0 && i < count; i++) {
        off_t at = (off_t)(i * BLOCK % FILE_BYTES);
        double one = bench_now();

        bench_payload(block, i);
        if (pwrite(fd, block, sizeof block, at) != (ssize_t)sizeof block || fdatasync(fd) != 0) {
            close(fd);
            fd = -1;
            break;
        }
        us[i] = (float)((bench_now() - one) * 1e6);
    }
    out->rate = (double)count / (bench_now() - start);
    if (fd >= 0) {
        bench_latency(us, count, out);
    }
    free(us);
    out->disk_bytes = (double)(bench_disk_bytes(run) - written) / (double)count;
    out->messages_per_sync = 1;
    return fd < 0 ? -1 : close(fd);
}

int bench_raw_plain(const struct bench_run *run, struct bench_sample *out)
{
    uint64_t count = bench_scaled(run, 1000000);
    uint8_t payload[BENCH_PAYLOAD];
    int fd = zero_filled(run);
    double start = bench_now();

    for (uint64_t i = 0; i < count; i++) {
        off_t at = (off_t)(i * BENCH_PAYLOAD % (FILE_BYTES - BENCH_PAYLOAD));

        bench_payload(payload, i);
        if (pwrite(fd, payload, sizeof payload, at) != (ssize_t)sizeof payload) {
            return -1;
        }
    }
    out->rate = (double)count / (bench_now() - start);
    return close(fd);
}
