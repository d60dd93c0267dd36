/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making, opening and removing the journal's segments. It knows nothing of frames.
 *
 * The first block of a segment, all numbers little-endian, zeros after it:
 *
 *   0            8         12      16      20     24      32         40
 *   | "oxbowjnl" | version | index | count | crc  | bytes | store id |
 *
 * where crc is the CRC-32C of the rest of these 40 bytes.
 *
 * A segment is made as `journal.N.new`, written with zeros to its end, synced and renamed; the
 * directory is synced when all are there. A ring is made only while it holds nothing that is needed,
 * so one that is not complete loses nothing.
 */
#include "engine/store/ring.h"

#include "engine/base/buf.h"
#include "engine/base/codec.h"
#include "engine/base/hash.h"

#include <stdio.h>
#include <string.h>

#define LABEL_BYTES   40u
#define LABEL_VERSION 1u
#define PATH_ROOM     (1024u + 32u)
/* Written at a time. No more: the system keeps what is written at once as one piece of its page cache,
 * and a write into a piece of a megabyte costs twice as much as one into a small piece. */
#define ZERO_BYTES (64u << 10)

static const uint8_t label_magic[8] = {'o', 'x', 'b', 'o', 'w', 'j', 'n', 'l'};

static uint32_t label_sum(const uint8_t raw[LABEL_BYTES])
{
    return crc32c(crc32c(0, raw, 20), raw + 24, LABEL_BYTES - 24);
}

static void label_put(uint8_t raw[LABEL_BYTES], const struct ring *r, uint32_t index)
{
    memcpy(raw, label_magic, sizeof label_magic);
    put_le32(raw + 8, LABEL_VERSION);
    put_le32(raw + 12, index);
    put_le32(raw + 16, r->count);
    put_le64(raw + 24, r->bytes);
    put_le64(raw + 32, r->store_id);
    put_le32(raw + 20, label_sum(raw));
}

/* Whether it is a segment of this store's; count and size are then those of its ring. */
static bool label_get(const uint8_t raw[LABEL_BYTES], const struct ring *r, uint32_t index,
                      uint32_t *count, uint64_t *bytes)
{
    if (memcmp(raw, label_magic, sizeof label_magic) != 0 || get_le32(raw + 20) != label_sum(raw) ||
        get_le32(raw + 8) != LABEL_VERSION || get_le32(raw + 12) != index ||
        get_le64(raw + 32) != r->store_id) {
        return false;
    }
    *count = get_le32(raw + 16);
    *bytes = get_le64(raw + 24);
    return *count >= 2 && *count <= RING_SEGMENTS && index < *count && *bytes >= RING_BYTES_MIN &&
           *bytes <= RING_BYTES_MAX && *bytes % RING_BLOCK == 0;
}

static void path_of(const struct ring *r, char out[PATH_ROOM], uint32_t index, const char *suffix)
{
    (void)snprintf(out, PATH_ROOM, "%s/" RING_NAME_FORMAT "%s", r->dir, (unsigned)index, suffix);
}

void ring_init(struct ring *r, const struct oxbow_port *port, const char *dir, uint64_t store_id)
{
    uint32_t i;

    memset(r, 0, sizeof *r);
    r->port = port;
    r->dir = dir;
    r->store_id = store_id;
    for (i = 0; i < RING_SEGMENTS; i++) {
        r->fds[i] = -1;
    }
}

void ring_close(struct ring *r)
{
    uint32_t i;

    for (i = 0; i < RING_SEGMENTS; i++) {
        if (r->fds[i] >= 0) {
            (void)r->port->files.close(r->port->files.ctx, r->fds[i]);
            r->fds[i] = -1;
        }
    }
    r->count = 0;
    r->missing = 0;
}

/* ---- opening ---- */

/* Opens one segment if it is there and whole. */
static enum oxbow_err open_one(struct ring *r, uint32_t index, bool readonly)
{
    const struct oxbow_files *files = &r->port->files;
    uint32_t flags = readonly ? OXBOW_FILE_READ : OXBOW_FILE_READ | OXBOW_FILE_WRITE;
    char path[PATH_ROOM];
    uint8_t raw[LABEL_BYTES];
    uint32_t count = 0;
    uint64_t bytes = 0;
    uint64_t size = 0;
    size_t got = 0;
    int fd;
    enum oxbow_err err;

    path_of(r, path, index, "");
    err = files->open(files->ctx, path, flags, &fd);
    if (err != OXBOW_OK) {
        return err;
    }
    err = files->read(files->ctx, fd, raw, sizeof raw, 0, &got);
    if (err == OXBOW_OK) {
        err = files->size(files->ctx, fd, &size);
    }
    if (err == OXBOW_OK && got == sizeof raw && label_get(raw, r, index, &count, &bytes) &&
        (r->count == 0 || count == r->count) && (r->bytes == 0 || bytes == r->bytes) &&
        size >= RING_BLOCK) {
        r->count = count;
        r->bytes = bytes;
        r->fds[index] = fd;
        r->missing -= size >= bytes; /* of one cut off, what is left may do */
        return OXBOW_OK;
    }
    (void)files->close(files->ctx, fd);
    return err == OXBOW_OK ? OXBOW_ENOENT : err;
}

enum oxbow_err ring_open(struct ring *r, bool readonly)
{
    uint32_t found = 0;
    uint32_t i;

    r->count = 0;
    r->bytes = 0;
    r->missing = RING_SEGMENTS;
    for (i = 0; i < RING_SEGMENTS; i++) {
        enum oxbow_err err = open_one(r, i, readonly);

        if (err == OXBOW_EIO && r->unreadable_is_lost) {
            err = open_one(r, i, readonly); /* given up only when it fails twice */
        }
        found += err == OXBOW_OK;
        if (err != OXBOW_OK && err != OXBOW_ENOENT &&
            !(err == OXBOW_EIO && r->unreadable_is_lost)) {
            ring_close(r);
            return err;
        }
    }
    r->missing -= RING_SEGMENTS - r->count;
    if (found == 0) {
        r->missing = 0;
    }
    return OXBOW_OK;
}

/* ---- making ---- */

static enum oxbow_err fill(const struct ring *r, int fd, uint32_t index, uint8_t *zeros)
{
    const struct oxbow_files *files = &r->port->files;
    uint64_t pos;
    enum oxbow_err err = OXBOW_OK;

    memset(zeros, 0, RING_BLOCK);
    label_put(zeros, r, index);
    for (pos = 0; pos < r->bytes && err == OXBOW_OK; pos += ZERO_BYTES) {
        size_t len = r->bytes - pos < ZERO_BYTES ? (size_t)(r->bytes - pos) : ZERO_BYTES;

        err = files->write(files->ctx, fd, zeros, len, pos);
        memset(zeros, 0, LABEL_BYTES);
    }
    return err;
}

static enum oxbow_err make_one(const struct ring *r, uint32_t index, uint8_t *zeros)
{
    const struct oxbow_files *files = &r->port->files;
    char from[PATH_ROOM];
    char to[PATH_ROOM];
    enum oxbow_err closed;
    enum oxbow_err err;
    int fd;

    path_of(r, from, index, ".new");
    path_of(r, to, index, "");
    err = files->open(files->ctx, from, OXBOW_FILE_WRITE | OXBOW_FILE_CREATE, &fd);
    if (err != OXBOW_OK) {
        return err;
    }
    err = files->truncate(files->ctx, fd, 0);
    if (err == OXBOW_OK) {
        err = fill(r, fd, index, zeros);
    }
    if (err == OXBOW_OK) {
        err = files->sync(files->ctx, fd);
    }
    closed = files->close(files->ctx, fd);
    err = err != OXBOW_OK ? err : closed;
    return err == OXBOW_OK ? files->rename(files->ctx, from, to) : err;
}

enum oxbow_err ring_make(struct ring *r, uint32_t count, uint64_t bytes)
{
    const struct oxbow_files *files = &r->port->files;
    uint8_t *zeros = mem_new(&r->port->alloc, ZERO_BYTES);
    uint32_t i;
    enum oxbow_err err = ring_remove(r); /* one of another shape may have more of them */

    if (zeros == NULL) {
        return OXBOW_ENOMEM;
    }
    r->count = count;
    r->bytes = bytes;
    for (i = 0; i < count && err == OXBOW_OK; i++) {
        err = make_one(r, i, zeros);
    }
    mem_free(&r->port->alloc, zeros, ZERO_BYTES);
    if (err == OXBOW_OK) {
        err = files->sync_dir(files->ctx, r->dir);
    }
    r->count = 0;
    if (err == OXBOW_OK) {
        err = ring_open(r, false);
    }
    if (err == OXBOW_OK && (r->count != count || r->missing > 0)) {
        err = OXBOW_EIO; /* it does not read back what was written */
    }
    return err;
}

enum oxbow_err ring_remove(struct ring *r)
{
    static const char *const suffixes[] = {"", ".new"};
    const struct oxbow_files *files = &r->port->files;
    char path[PATH_ROOM];
    bool any = false;
    uint32_t i;
    size_t s;

    for (i = 0; i < RING_SEGMENTS; i++) {
        for (s = 0; s < sizeof suffixes / sizeof suffixes[0]; s++) {
            enum oxbow_err err;

            path_of(r, path, i, suffixes[s]);
            err = files->unlink(files->ctx, path);
            if (err != OXBOW_OK && err != OXBOW_ENOENT) {
                return err;
            }
            any = any || err == OXBOW_OK;
        }
    }
    return any ? files->sync_dir(files->ctx, r->dir) : OXBOW_OK;
}

enum oxbow_err ring_set_aside(struct ring *r)
{
    const struct oxbow_files *files = &r->port->files;
    char from[PATH_ROOM];
    char to[PATH_ROOM];
    uint32_t i;

    for (i = 0; i < RING_SEGMENTS; i++) {
        enum oxbow_err err;

        path_of(r, from, i, "");
        path_of(r, to, i, ".bad");
        err = files->rename(files->ctx, from, to);
        if (err != OXBOW_OK && err != OXBOW_ENOENT) {
            return err;
        }
    }
    return files->sync_dir(files->ctx, r->dir);
}

/* ---- use ---- */

enum oxbow_err ring_read(const struct ring *r, uint32_t segment, uint64_t pos, void *out,
                         size_t len)
{
    const struct oxbow_files *files = &r->port->files;
    size_t got = 0;
    enum oxbow_err err;

    if (r->fds[segment] < 0) {
        return OXBOW_ENOENT;
    }
    err = files->read(files->ctx, r->fds[segment], out, len, pos, &got);
    return err == OXBOW_OK && got < len ? OXBOW_ENOENT : err;
}

enum oxbow_err ring_write(const struct ring *r, uint32_t segment, uint64_t pos, const void *data,
                          size_t len)
{
    return r->port->files.write(r->port->files.ctx, r->fds[segment], data, len, pos);
}

enum oxbow_err ring_sync(const struct ring *r, uint32_t segment)
{
    return r->port->files.sync(r->port->files.ctx, r->fds[segment]);
}
