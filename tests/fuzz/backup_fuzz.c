/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that say they are backups, in memory. The first byte chooses:
 *
 *   0  the rest is the file
 *   1  the rest makes records, two bytes of length and as many of content each for key and value, with
 *      right checksums; the numbers in head and header record are right too
 *   2  a sound file, changed at places that the rest names, and its sums made right again
 *
 * Verifying must end, stay within bounds, and call a file sound only if it has as many records as it
 * says, in order.
 */
#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/store/store.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGE_MAX (64u << 10)

static uint8_t image[IMAGE_MAX];
static size_t len;
static struct oxbow_port port;
static uint64_t last_done;

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static enum oxbow_err open_at(void *ctx, const char *path, uint32_t flags, int *fd)
{
    (void)ctx;
    (void)path;
    (void)flags;
    *fd = 1;
    return OXBOW_OK;
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
    *bytes = len;
    return OXBOW_OK;
}

static enum oxbow_err read_at(void *ctx, int fd, void *buf, size_t want, uint64_t pos, size_t *got)
{
    (void)ctx;
    (void)fd;
    *got = pos >= len ? 0 : len - pos < want ? len - (size_t)pos : want;
    memcpy(buf, image + (pos < len ? pos : 0), *got);
    return OXBOW_OK;
}

static void quiet(void *ctx, enum oxbow_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    (void)text;
}

/* ---- making files ---- */

static void add_record(struct oxbow_bytes key, struct oxbow_bytes value)
{
    uint8_t *p = image + len;

    if (len + 8 + key.len + ENVELOPE_BYTES + value.len + 300 > IMAGE_MAX) {
        return;
    }
    put_le32(p, (uint32_t)key.len);
    put_le32(p + 4, (uint32_t)(value.len + ENVELOPE_BYTES));
    memcpy(p + 8, key.data, key.len);
    envelope_put(crc32c, p + 8 + key.len, key, value);
    len += 8 + key.len + ENVELOPE_BYTES + value.len;
}

static void add_header(uint64_t records, uint64_t digest)
{
    const struct tree_header h = {.lsn = 7, .boot = 1, .keys = records, .digest = digest};
    uint8_t raw[HEADER_BYTES];

    header_encode(raw, &h);
    add_record(header_key(), (struct oxbow_bytes){raw, sizeof raw});
}

static void begin(uint64_t records)
{
    const struct oxbow_backup_info info = {.lsn = 7, .records = records, .level = 1};

    backup_head_encode(image, &info);
    len = BACKUP_HEAD_BYTES;
}

static void end(uint64_t records)
{
    memset(image + len, 0, BACKUP_TAIL_BYTES);
    put_le64(image + len + 8, records);
    put_le32(image + len + 20, crc32c(0, image, len + 20));
    len += BACKUP_TAIL_BYTES;
}

/* The header record goes first: keys below it are then out of order, which is for the walk to see. */
static void make_records(const uint8_t *data, size_t size)
{
    struct oxbow_bytes keys[64];
    struct oxbow_bytes values[64];
    uint64_t digest = 0;
    size_t count = 0;

    while (count < 64 && size >= 2) {
        size_t key_len = data[0] % 80;
        size_t value_len = data[1];

        if (key_len + value_len + 2 > size) {
            break;
        }
        keys[count] = (struct oxbow_bytes){data + 2, key_len};
        values[count] = (struct oxbow_bytes){data + 2 + key_len, value_len};
        digest += hash64(keys[count].data, key_len, 0);
        count++;
        data += 2 + key_len + value_len;
        size -= 2 + key_len + value_len;
    }
    begin(count);
    add_header(count, digest);
    for (size_t i = 0; i < count; i++) {
        add_record(keys[i], values[i]);
    }
    end(count);
}

static void make_sound(void)
{
    static const char *const keys[] = {"\x60"
                                       "a",
                                       "\x60"
                                       "b",
                                       "\x61",
                                       "\x7f"
                                       "long"};
    uint64_t digest = 0;

    for (size_t i = 0; i < 4; i++) {
        digest += hash64(keys[i], strlen(keys[i]), 0);
    }
    begin(4);
    add_header(4, digest);
    for (size_t i = 0; i < 4; i++) {
        add_record((struct oxbow_bytes){keys[i], strlen(keys[i])},
                   (struct oxbow_bytes){"some value", 10});
    }
    end(4);
}

static void change(const uint8_t *data, size_t size)
{
    for (; size >= 3; data += 3, size -= 3) {
        image[get_le16(data) % len] = data[2];
    }
    put_le32(image + 60, crc32c(0, image, 60));
    put_le32(image + len - 4, crc32c(0, image, len - 4));
}

/* ---- the walk ---- */

static bool progress(void *ctx, const struct oxbow_backup_info *info)
{
    (void)ctx;
    must(info->done > last_done);
    last_done = info->done;
    return true;
}

static enum oxbow_err verify(struct oxbow_backup_info *info)
{
    const struct oxbow_backup_options options = {.port = &port, .progress = progress};
    enum oxbow_err err;

    last_done = 0;
    err = oxbow_backup_check("file", &options, info);
    must(err == OXBOW_OK || err == OXBOW_ECORRUPT || err == OXBOW_EFORMAT);
    must(err != OXBOW_OK || (info->done == info->records && info->bytes == len));
    return err;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct oxbow_backup_info info;

    (void)argc;
    (void)argv;
    port = *oxbow_port_default();
    port.files.open = open_at;
    port.files.close = close_at;
    port.files.size = size_of;
    port.files.read = read_at;
    port.log.line = quiet;
    make_sound();
    must(verify(&info) == OXBOW_OK && info.records == 4); /* else the fuzzer would see nothing */
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oxbow_backup_info info;

    if (size == 0) {
        return 0;
    }
    switch (data[0] % 3) {
    case 0:
        len = size - 1 < IMAGE_MAX ? size - 1 : IMAGE_MAX;
        memcpy(image, data + 1, len);
        break;
    case 1:
        make_records(data + 1, size - 1);
        break;
    default:
        make_sound();
        change(data + 1, size - 1);
        break;
    }
    (void)!verify(&info);
    return 0;
}
