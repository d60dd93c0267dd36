/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk through a data file, and FORMAT. The input is taken as changes to the image of a real
 * store, three bytes each (two of position, in units that cover the file, and the new byte), and the
 * rest, after an 0xff 0xff, as the text of FORMAT. The walk must end, within the file, whatever it
 * meets; the fuzzer's sanitizers see to the rest.
 */
#include "engine/base/codec.h"
#include "engine/store/check.h"
#include "engine/store/store.h"
#include "tests/store/scratch.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGE_MAX (4u << 20)

static uint8_t *image;
static size_t image_bytes;
static uint8_t *work;
static uint64_t reads;

static enum oxbow_err size_of(void *ctx, int fd, uint64_t *bytes)
{
    (void)ctx;
    (void)fd;
    *bytes = image_bytes;
    return OXBOW_OK;
}

static enum oxbow_err read_at(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *got)
{
    (void)ctx;
    (void)fd;
    reads++;
    *got = pos >= image_bytes ? 0 : image_bytes - pos < len ? image_bytes - (size_t)pos : len;
    memcpy(buf, work + (pos < image_bytes ? pos : 0), *got);
    return OXBOW_OK;
}

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* A store with branches, big values and free pages. */
static void make_image(const char *dir)
{
    struct oxbow_config config = {.dir = dir, .sync = OXBOW_SYNC_INTERVAL};
    static uint8_t value[9000];
    struct oxbow *db;
    char path[4 * SCRATCH_MAX];
    FILE *f;

    must(oxbow_open(&config, &db) == OXBOW_OK);
    for (uint32_t i = 0; i < 600; i++) {
        struct oxbow_txn *txn;
        uint8_t key[10] = {KV_SPACE_OBJECT};

        put_be64(key + 1, i % 300);
        must(oxbow_txn_begin(db, NULL, &txn) == OXBOW_OK);
        if (i < 300) {
            must(kv_put(txn, (struct oxbow_bytes){key, 10},
                        (struct oxbow_bytes){value, i % 10 == 0 ? 9000 : 120}) == OXBOW_OK);
        } else if (i % 3 == 0) {
            must(kv_del(txn, (struct oxbow_bytes){key, 10}) == OXBOW_OK);
        }
        must(oxbow_txn_commit(txn, NULL) == OXBOW_OK);
        if (i % 100 == 99) {
            must(oxbow_flush(db) == OXBOW_OK);
        }
    }
    must(oxbow_close(db) == OXBOW_OK);
    (void)snprintf(path, sizeof path, "%s/data.mdb", dir);
    f = fopen(path, "rb");
    must(f != NULL);
    image_bytes = fread(image, 1, IMAGE_MAX, f);
    must(fclose(f) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char dir[SCRATCH_MAX];

    (void)argc;
    (void)argv;
    image = malloc(IMAGE_MAX);
    work = malloc(IMAGE_MAX);
    must(image != NULL && work != NULL);
    scratch_name(dir, "data-file-fuzz");
    scratch_remove(dir);
    make_image(dir);
    scratch_remove(dir);
    while (image_bytes > 4096 && image[image_bytes - 1] == 0) {
        image_bytes--; /* what was only reserved */
    }
    image_bytes = (image_bytes + 4095) / 4096 * 4096;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oxbow_port port = *oxbow_port_default();
    struct oxbow_check_options options = {.skip_values = size % 2 == 0};
    struct check_file file = {.port = &port, .options = &options};
    struct oxbow_check_report report;
    struct format_verdict verdict;
    struct store_format format;
    size_t i;

    port.files.size = size_of;
    port.files.read = read_at;
    memcpy(work, image, image_bytes);
    for (i = 0; i + 3 <= size && !(data[i] == 0xff && data[i + 1] == 0xff); i += 3) {
        size_t at = (size_t)data[i] << 8 | data[i + 1];

        /* Half of the positions are in the heads of pages, where the structure is. */
        at = (at & 0x8000) != 0 ? (at & 0x7f) + (at >> 7 & 0xff) * 4096
                                : (at & 0x7fff) * (image_bytes / 0x8000 + 1);
        work[at % image_bytes] = data[i + 2];
    }
    reads = 0;
    must(check_walk(&file, &report) == OXBOW_OK);
    must(reads <= 4 * (image_bytes / 4096) + 64);
    must(report.leaf_pages + report.branch_pages <= image_bytes / 4096);
    if (i + 2 < size) {
        (void)!format_parse((const char *)data + i + 2, size - i - 2, &format, &verdict);
    }
    return 0;
}
