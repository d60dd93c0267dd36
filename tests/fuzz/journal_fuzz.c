/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal as a disk might give it, in memory. The first byte chooses:
 *
 *   0  the rest is effects
 *   1  the rest is changes to a sound ring, four bytes each: segment, position, the new byte
 *   2  the rest makes frames, sealed with the right checksum, of which the numbers in the head, the
 *      place and the content come from the input
 *   3  the rest is laid over the labels, and the ring is opened
 *
 * Replay must end, read within bounds, and give transactions one after the other without a hole.
 */
#include "engine/base/codec.h"
#include "engine/store/replay.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEGMENTS  2u
#define STORE     77u
#define BOOT      3u
#define LSN       1000u
#define CONTENT   4000u
#define READS_MAX 20000u

static uint8_t sound[SEGMENTS][RING_BYTES_MIN];
static uint8_t image[SEGMENTS][RING_BYTES_MIN];
static struct oxbow_port port;
static uint64_t reads;

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static enum oxbow_err open_at(void *ctx, const char *path, uint32_t flags, int *fd)
{
    char last = path[strlen(path) - 1];

    (void)ctx;
    (void)flags;
    *fd = last - '0';
    return strlen(path) == strlen("d/journal.0") && (last == '0' || last == '1') ? OXBOW_OK
                                                                                 : OXBOW_ENOENT;
}

static enum oxbow_err close_at(void *ctx, int fd)
{
    (void)ctx;
    (void)fd;
    return OXBOW_OK;
}

static enum oxbow_err size_of(void *ctx, int fd, uint64_t *bytes)
{
    (void)ctx;
    (void)fd;
    *bytes = RING_BYTES_MIN;
    return OXBOW_OK;
}

static enum oxbow_err read_at(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *got)
{
    (void)ctx;
    reads++;
    *got = pos >= RING_BYTES_MIN ? 0 : RING_BYTES_MIN - pos < len ? RING_BYTES_MIN - pos : len;
    memcpy(buf, image[fd] + (pos < RING_BYTES_MIN ? pos : 0), *got);
    return OXBOW_OK;
}

/* ---- reading ---- */

struct seen {
    uint64_t lsn; /* of the last transaction given */
    uint64_t count;
};

static enum oxbow_err read_effects(struct oxbow_bytes rest)
{
    struct effect e;
    enum oxbow_err err = OXBOW_OK;
    size_t before;

    while (err == OXBOW_OK && rest.len > 0) {
        before = rest.len;
        err = effect_take(&rest, &e);
        must(err == OXBOW_EFORMAT || (err == OXBOW_OK && rest.len < before && e.key.len > 0 &&
                                      e.key.len + e.bytes.len <= before));
    }
    return err;
}

static enum oxbow_err take(void *ctx, uint64_t lsn, struct oxbow_bytes effects)
{
    struct seen *seen = ctx;

    must(lsn == seen->lsn + 1);
    seen->lsn = lsn;
    seen->count++;
    return read_effects(effects);
}

static struct ring ring_of_image(void)
{
    struct ring ring;

    ring_init(&ring, &port, "d", STORE);
    ring.count = SEGMENTS;
    ring.bytes = RING_BYTES_MIN;
    ring.fds[0] = 0;
    ring.fds[1] = 1;
    return ring;
}

static void replay(uint64_t lsn)
{
    struct seen seen = {.lsn = lsn};
    const struct replay_from from = {lsn, BOOT, false};
    const struct replay_sink sink = {&seen, take};
    struct ring ring = ring_of_image();
    struct replay_report report;
    enum oxbow_err err;

    reads = 0;
    err = replay_run(&ring, &from, &sink, &report);
    must(err == OXBOW_OK || err == OXBOW_EFORMAT);
    must(reads < READS_MAX);
    if (err == OXBOW_OK) {
        must(report.txns == seen.count && report.last == seen.lsn);
        must(report.lost_from == 0 ||
             (report.lost_from == report.last + 1 && report.lost_upto >= report.lost_from));
        must(report.doubt_from == 0 || report.doubt_from > report.last);
    }
}

/* ---- writing ---- */

struct pen {
    struct frame f;
    uint32_t segment;
    uint64_t pos;
};

static struct pen pen_begin(void)
{
    return (struct pen){
        .f = {.generation = 1, .incarnation = BOOT, .first = LSN + 1, .count = 1},
        .segment = BOOT % SEGMENTS,
        .pos = RING_BLOCK,
    };
}

/* Seals what stands at the pen's place and goes behind it. */
static void pen_seal(struct pen *pen, bool pad)
{
    frame_seal(crc32c, image[pen->segment] + pen->pos, &pen->f, STORE);
    pen->pos = frame_end(pen->pos, pen->f.length);
    if (pad) {
        pen->pos = (pen->pos + RING_BLOCK - 1) & ~(uint64_t)(RING_BLOCK - 1);
    }
    pen->f.before = pen->f.crc;
    pen->f.first += pen->f.count;
}

static void next_segment(struct pen *pen)
{
    pen->segment = (pen->segment + 1) % SEGMENTS;
    pen->pos = RING_BLOCK;
    pen->f.generation++;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint8_t effects[] = {11,  EFFECT_PUT, 1,   'k',        5, 'v', 'a',
                                      'l', 'u',        'e', EFFECT_DEL, 1, 'd', 0};
    struct pen pen = pen_begin();

    (void)argc;
    (void)argv;
    port = *oxbow_port_default();
    port.files.open = open_at;
    port.files.close = close_at;
    port.files.size = size_of;
    port.files.read = read_at;
    for (unsigned i = 0; i < 40; i++) {
        uint8_t *content = image[pen.segment] + pen.pos + FRAME_HEAD_BYTES;

        memcpy(content, effects, sizeof effects);
        content[0] = sizeof effects - 2; /* then an empty transaction */
        pen.f.count = 2;
        pen.f.length = sizeof effects;
        pen.f.durable_upto = i % 3 == 2 ? pen.f.first - 1 : pen.f.durable_upto;
        pen_seal(&pen, i % 3 == 2);
        if (i % 12 == 11) {
            next_segment(&pen);
        }
    }
    memcpy(sound, image, sizeof image);
    return 0;
}

static void change(const uint8_t *data, size_t size)
{
    memcpy(image, sound, sizeof image);
    for (; size >= 4; data += 4, size -= 4) {
        image[data[0] % SEGMENTS][get_le16(data + 1)] = data[3];
    }
    replay(LSN + (size > 0 ? data[0] % 90 : 0));
}

static void make(const uint8_t *data, size_t size)
{
    struct pen pen = pen_begin();
    uint64_t lsn = LSN;

    memset(image, 0, sizeof image);
    while (size >= 6) {
        uint32_t length = 1u + data[5] * 8u % CONTENT;
        size_t have = size - 6 < length ? size - 6 : length;

        pen.f.generation += (data[0] & 1) != 0;
        pen.f.incarnation = BOOT + (data[0] >> 1 & 1);
        pen.f.before ^= data[0] >> 2 & 1;
        pen.f.first += data[1] % 4;
        pen.f.durable_upto = pen.f.first - 1 - data[2] % 8;
        pen.f.count = 1u + data[3] % 8u;
        pen.f.length = length;
        if ((data[4] & 1) != 0 || frame_end(pen.pos, length) > RING_BYTES_MIN) {
            next_segment(&pen);
        }
        memcpy(image[pen.segment] + pen.pos + FRAME_HEAD_BYTES, data + 6, have);
        pen_seal(&pen, (data[4] & 2) != 0);
        lsn += data[4] >> 2 & 1;
        data += 6 + have;
        size -= 6 + have;
    }
    replay(lsn);
}

static void label(const uint8_t *data, size_t size)
{
    struct ring ring;

    memset(image, 0, sizeof image);
    memcpy(image[0], data, size < RING_BLOCK ? size : RING_BLOCK);
    if (size > 64) {
        memcpy(image[1], data + 64, size - 64 < RING_BLOCK ? size - 64 : RING_BLOCK);
    }
    ring_init(&ring, &port, "d", size > 40 ? get_le64(data + 32) : STORE);
    must(ring_open(&ring, true) == OXBOW_OK);
    must(ring.count <= RING_SEGMENTS && ring.missing <= ring.count);
    ring_close(&ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    switch (data[0] % 4) {
    case 0:
        (void)!read_effects((struct oxbow_bytes){data + 1, size - 1});
        break;
    case 1:
        change(data + 1, size - 1);
        break;
    case 2:
        make(data + 1, size - 1);
        break;
    default:
        label(data + 1, size - 1);
    }
    return 0;
}
