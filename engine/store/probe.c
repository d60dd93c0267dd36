/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe of a device: its stages, each in a file of its own, and what follows from them. It knows
 * nothing of stores; it shares with them which file systems cannot hold one.
 *
 * Invariants: (1) Never more than `bytes` are written: each stage has a part of them. (2) The files
 * are removed on every way out.
 */
#include "oxbow/probe.h"

#include "engine/base/buf.h"
#include "engine/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_BYTES   4096u
#define CHUNK_BYTES   (16u * BLOCK_BYTES) /* of the sequential stage; as the journal is made */
#define TIME_DEFAULT  5000u
#define BYTES_DEFAULT (32u << 20)
#define BYTES_MIN     (1u << 20)
#define SPARE_BYTES   (1u << 20)
#define PARTS         8u /* of the bytes, see part_of */
#define ROUNDS        4u
#define COUNT_MAX     4096u
#define PUSHES_A_SYNC 15u /* in two syncs, of 16 producers */
#define INTERVAL_MIN  100u
#define STALL_US      1000000u
#define NAME_BYTES    40u

/* The file of a stage that writes block by block, and the samples of it. */
struct part {
    int fd; /* -1: none */
    bool skip;
    uint32_t count;
    uint32_t *us; /* COUNT_MAX */
    char path[STORE_DIR_MAX + NAME_BYTES];
};

struct probe {
    const struct oxbow_probe_options *options;
    const struct oxbow_port *port;
    struct oxbow_probe *out;
    uint64_t bytes;
    uint64_t time_us;
    uint64_t length; /* of the file of zeros */
    uint8_t data[CHUNK_BYTES];
    uint32_t us[OXBOW_PROBE_STAGES][COUNT_MAX];
    struct part parts[OXBOW_PROBE_STAGES]; /* SEQUENTIAL writes ZEROED's file */
};

/* What each stage may write, in eighths of the bytes, and how long it may take, in fifths. */
static const uint8_t part_of[OXBOW_PROBE_STAGES] = {2, 4, 1, 1};
static const uint8_t time_of[OXBOW_PROBE_STAGES] = {1, 2, 1, 1};

static uint64_t now_us(const struct probe *p)
{
    return p->port->clock.mono_us(p->port->clock.ctx);
}

static uint64_t stage_bytes(const struct probe *p, enum oxbow_probe_stage stage)
{
    return p->bytes * part_of[stage] / PARTS / BLOCK_BYTES * BLOCK_BYTES;
}

/* ---- the stages ---- */

static enum oxbow_err sequential(struct probe *p)
{
    const struct oxbow_files *files = &p->port->files;
    int fd = p->parts[OXBOW_PROBE_ZEROED].fd;
    uint64_t most = stage_bytes(p, OXBOW_PROBE_SEQUENTIAL);
    uint64_t began = now_us(p);
    uint64_t took;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && p->length < most) {
        size_t len = most - p->length < CHUNK_BYTES ? (size_t)(most - p->length) : CHUNK_BYTES;

        err = files->write(files->ctx, fd, p->data, len, p->length);
        p->length += len;
        if (now_us(p) - began >= p->time_us * time_of[OXBOW_PROBE_SEQUENTIAL] / 5) {
            break;
        }
    }
    if (err == OXBOW_OK) {
        err = files->sync(files->ctx, fd);
    }
    took = now_us(p) - began;
    p->out->sequential_per_s = p->length * 1000000 / (took > 0 ? took : 1);
    p->out->blocks[OXBOW_PROBE_SEQUENTIAL] = (uint32_t)(p->length / BLOCK_BYTES);
    return err;
}

/* One block and its sync; the sample is what both took. */
static enum oxbow_err write_block(struct probe *p, struct part *part, uint64_t pos)
{
    const struct oxbow_files *files = &p->port->files;
    uint64_t began = now_us(p);
    uint64_t took;
    enum oxbow_err err;

    memset(p->data, (int)(part->count % 255) + 1, BLOCK_BYTES);
    err = files->write(files->ctx, part->fd, p->data, BLOCK_BYTES, pos);
    if (err == OXBOW_OK) {
        err = files->sync(files->ctx, part->fd);
    }
    took = now_us(p) - began;
    part->us[part->count++] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
    return err;
}

/* Shell's sort: a few thousand samples, and no recursion. */
static void sort(uint32_t *v, uint32_t count)
{
    uint32_t gap;
    uint32_t i;

    for (gap = count / 2; gap > 0; gap /= 2) {
        for (i = gap; i < count; i++) {
            uint32_t one = v[i];
            uint32_t at = i;

            for (; at >= gap && v[at - gap] > one; at -= gap) {
                v[at] = v[at - gap];
            }
            v[at] = one;
        }
    }
}

static void summarize(uint32_t *us, uint32_t count, struct oxbow_probe_syncs *out)
{
    uint64_t sum = 0;
    uint32_t i;

    for (i = 0; i < count; i++) {
        sum += us[i];
    }
    sort(us, count);
    *out = (struct oxbow_probe_syncs){.count = count,
                                      .least_us = us[0],
                                      .median_us = us[count / 2],
                                      .p99_us = us[(uint64_t)count * 99 / 100],
                                      .most_us = us[count - 1],
                                      .mean_us = (uint32_t)(sum / count)};
}

static bool watch(const struct probe *p, enum oxbow_probe_stage stage, bool begins)
{
    return p->options->watch != NULL && p->options->watch(p->options->ctx, stage, begins);
}

static enum oxbow_err first_stage(struct probe *p)
{
    enum oxbow_err err;

    if (watch(p, OXBOW_PROBE_SEQUENTIAL, true)) {
        return OXBOW_ECANCELED;
    }
    err = sequential(p);
    return err == OXBOW_OK && watch(p, OXBOW_PROBE_SEQUENTIAL, false) ? OXBOW_ECANCELED : err;
}

/* What a stage writes in one round. */
static enum oxbow_err slice(struct probe *p, enum oxbow_probe_stage stage, uint32_t round)
{
    struct part *part = &p->parts[stage];
    uint64_t most = stage_bytes(p, stage) / BLOCK_BYTES;
    uint64_t wrap = stage == OXBOW_PROBE_ZEROED ? p->length : UINT64_MAX;
    uint64_t end = now_us(p) + p->time_us * time_of[stage] / 5 / ROUNDS;
    uint32_t first = part->count;
    enum oxbow_err err = OXBOW_OK;

    if (part->skip) {
        return OXBOW_OK;
    }
    if (watch(p, stage, true)) {
        return OXBOW_ECANCELED;
    }
    most = (most < COUNT_MAX ? most : COUNT_MAX) * (round + 1) / ROUNDS;
    while (err == OXBOW_OK && part->count < most && (part->count == first || now_us(p) < end)) {
        err = write_block(p, part, (uint64_t)part->count * BLOCK_BYTES % wrap);
    }
    return err == OXBOW_OK && watch(p, stage, false) ? OXBOW_ECANCELED : err;
}

/* By turns, there and back: what else the device does meanwhile meets all of them. */
static enum oxbow_err rounds(struct probe *p)
{
    enum oxbow_err err = OXBOW_OK;
    uint32_t round;
    unsigned i;

    for (round = 0; round < ROUNDS && err == OXBOW_OK; round++) {
        for (i = OXBOW_PROBE_ZEROED; i < OXBOW_PROBE_STAGES && err == OXBOW_OK; i++) {
            unsigned back = OXBOW_PROBE_ZEROED + OXBOW_PROBE_GROWING - i;

            err = slice(p, (enum oxbow_probe_stage)(round % 2 == 0 ? i : back), round);
        }
    }
    return err;
}

/* ---- before and after ---- */

static enum oxbow_err look(struct probe *p)
{
    const struct oxbow_files *files = &p->port->files;
    struct oxbow_probe *out = p->out;
    enum oxbow_err err =
        files->space(files->ctx, p->options->dir, &out->free_bytes, &out->total_bytes, out->kind);

    if (err == OXBOW_ENOTSUP) {
        out->kind[0] = '\0';
        out->free_bytes = out->total_bytes = 0;
        return OXBOW_OK;
    }
    if (err == OXBOW_OK && directory_network(out->kind)) {
        err = OXBOW_ENOTSUP;
    }
    if (err == OXBOW_OK && out->free_bytes < p->bytes + SPARE_BYTES) {
        err = OXBOW_ENOSPC;
    }
    return err;
}

/* A name that nobody else has: another probe may run, or have been killed. */
static enum oxbow_err make_file(struct probe *p, enum oxbow_probe_stage stage)
{
    const struct oxbow_port *port = p->port;
    struct part *part = &p->parts[stage];
    uint64_t name;
    enum oxbow_err err = port->random.fill(port->random.ctx, &name, sizeof name);

    if (err != OXBOW_OK) {
        return err;
    }
    (void)snprintf(part->path, sizeof part->path, "%s/oxbow-probe-%016" PRIx64, p->options->dir,
                   name);
    err = port->files.open(port->files.ctx, part->path,
                           OXBOW_FILE_READ | OXBOW_FILE_WRITE | OXBOW_FILE_CREATE | OXBOW_FILE_EXCL,
                           &part->fd);
    if (err == OXBOW_OK && stage == OXBOW_PROBE_RESERVED) {
        err = port->files.reserve(port->files.ctx, part->fd, 0, stage_bytes(p, stage));
        part->skip = err == OXBOW_ENOTSUP;
        err = part->skip ? OXBOW_OK : err;
    }
    if (err == OXBOW_OK) {
        err = port->files.sync(port->files.ctx, part->fd);
    }
    return err;
}

static enum oxbow_err make_files(struct probe *p)
{
    const struct oxbow_files *files = &p->port->files;
    enum oxbow_err err = OXBOW_OK;
    unsigned i;

    for (i = OXBOW_PROBE_ZEROED; i < OXBOW_PROBE_STAGES && err == OXBOW_OK; i++) {
        err = make_file(p, (enum oxbow_probe_stage)i);
    }
    return err == OXBOW_OK ? files->sync_dir(files->ctx, p->options->dir) : err;
}

/* Gives the first error of all, `before` being an earlier one. */
static enum oxbow_err remove_files(struct probe *p, enum oxbow_err before)
{
    const struct oxbow_files *files = &p->port->files;
    enum oxbow_err first = before;
    unsigned i;

    for (i = OXBOW_PROBE_ZEROED; i < OXBOW_PROBE_STAGES; i++) {
        struct part *part = &p->parts[i];
        enum oxbow_err closed;
        enum oxbow_err removed;

        if (part->fd >= 0) {
            closed = files->close(files->ctx, part->fd);
            removed = files->unlink(files->ctx, part->path);
            first = first == OXBOW_OK ? removed : first;
            first = first == OXBOW_OK ? closed : first;
        }
    }
    return first;
}

/* 1, 2 or 5 times a power of ten, at or above it. */
static uint32_t round_up(uint64_t ms)
{
    uint32_t step = INTERVAL_MIN;
    uint32_t times;

    while (step <= STORE_INTERVAL_MAX / 100 && (uint64_t)step * 10 <= ms) {
        step *= 10;
    }
    times = ms <= step ? 1 : ms <= 2 * (uint64_t)step ? 2 : ms <= 5 * (uint64_t)step ? 5 : 10;
    return step * times;
}

static void conclude(struct oxbow_probe *out)
{
    const struct oxbow_probe_syncs *z = &out->syncs[OXBOW_PROBE_ZEROED];
    uint64_t mean = z->mean_us > 0 ? z->mean_us : 1;
    unsigned i;

    out->pushes_1 = 1000000 / mean;
    out->pushes_16 = 500000 * PUSHES_A_SYNC / mean;
    out->interval_ms = round_up((uint64_t)z->p99_us / 100);
    if (strcmp(out->kind, "tmpfs") == 0 || strcmp(out->kind, "ramfs") == 0) {
        out->flags |= OXBOW_PROBE_VOLATILE;
    }
    if (z->median_us < OXBOW_PROBE_LEAST_US) {
        out->flags |= OXBOW_PROBE_TOO_FAST;
    }
    for (i = 0; i < OXBOW_PROBE_STAGES; i++) {
        if (out->syncs[i].most_us >= STALL_US) {
            out->flags |= OXBOW_PROBE_STALLS;
        }
    }
}

static void take_samples(struct probe *p)
{
    unsigned i;

    for (i = OXBOW_PROBE_ZEROED; i < OXBOW_PROBE_STAGES; i++) {
        struct part *part = &p->parts[i];

        p->out->blocks[i] = part->count;
        if (part->count > 0) {
            summarize(part->us, part->count, &p->out->syncs[i]);
        }
    }
}

static enum oxbow_err measure(struct probe *p)
{
    unsigned i;
    enum oxbow_err err;

    for (i = 0; i < OXBOW_PROBE_STAGES; i++) {
        p->parts[i].fd = -1;
        p->parts[i].us = p->us[i];
    }
    err = look(p);
    if (err != OXBOW_OK) {
        return err;
    }
    err = make_files(p);
    if (err == OXBOW_OK) {
        err = first_stage(p);
    }
    if (err == OXBOW_OK) {
        err = rounds(p);
    }
    return remove_files(p, err);
}

enum oxbow_err oxbow_probe(const struct oxbow_probe_options *options, struct oxbow_probe *out)
{
    struct oxbow_probe found = {.kind = ""};
    const struct oxbow_port *port;
    struct probe *p;
    enum oxbow_err err;

    if (options == NULL || options->dir == NULL || options->dir[0] == '\0' ||
        strlen(options->dir) > STORE_DIR_MAX ||
        (options->bytes != 0 && options->bytes < BYTES_MIN)) {
        return OXBOW_EINVAL;
    }
    port = options->port != NULL ? options->port : oxbow_port_default();
    p = mem_new(&port->alloc, sizeof *p);
    if (p == NULL) {
        return OXBOW_ENOMEM;
    }
    p->options = options;
    p->port = port;
    p->out = &found;
    p->bytes = options->bytes != 0 ? options->bytes : BYTES_DEFAULT;
    p->time_us = (uint64_t)(options->time_ms != 0 ? options->time_ms : TIME_DEFAULT) * 1000;
    err = measure(p);
    if (err == OXBOW_OK) {
        take_samples(p);
        conclude(&found);
        *out = found;
    }
    mem_free(&port->alloc, p, sizeof *p);
    return err;
}
