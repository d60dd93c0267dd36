/* SPDX-License-Identifier: Apache-2.0 */
/* Writes and reads arrays of bulk strings. The reader trusts nothing: every length has a bound, and
 * memory grows with what was really read. */
#include "tools/oxbow/resp_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define PIECE ((size_t)1 << 20)

static void put(struct resp_file *f, const void *data, size_t len)
{
    if (len == 0) {
        return;
    }
    f->failed = f->failed || fwrite(data, 1, len, f->file) != len;
    f->crc = (uint32_t)crc32(f->crc, data, (uInt)len);
    f->bytes += len;
}

static void put_head(struct resp_file *f, char kind, size_t n)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%c%zu\r\n", kind, n);

    put(f, text, (size_t)len);
}

void resp_command(struct resp_file *f, size_t count)
{
    put_head(f, '*', count);
    f->commands++;
}

void resp_arg(struct resp_file *f, struct oxbow_bytes arg)
{
    put_head(f, '$', arg.len);
    put(f, arg.data, arg.len);
    put(f, "\r\n", 2);
}

void resp_text(struct resp_file *f, const char *text)
{
    resp_arg(f, (struct oxbow_bytes){text, strlen(text)});
}

void resp_number(struct resp_file *f, uint64_t n)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, n);
    resp_text(f, text);
}

void resp_id(struct resp_file *f, struct oxbow_id id)
{
    char text[48];

    (void)snprintf(text, sizeof text, "%" PRIu64 "-%" PRIu64, id.ms, id.seq);
    resp_text(f, text);
}

/* ---- reading ---- */

static enum oxbow_err take(struct resp_file *f, void *out, size_t len)
{
    if (fread(out, 1, len, f->file) != len) {
        return ferror(f->file) != 0 ? OXBOW_EIO : OXBOW_EPARSE;
    }
    f->crc = (uint32_t)crc32(f->crc, out, (uInt)len);
    f->bytes += len;
    return OXBOW_OK;
}

/* "<kind><digits>\r\n" */
static enum oxbow_err take_head(struct resp_file *f, char kind, size_t max, size_t *n)
{
    char c;
    enum oxbow_err err = take(f, &c, 1);
    size_t v = 0;
    unsigned digits = 0;

    if (err != OXBOW_OK || c != kind) {
        return err != OXBOW_OK ? err : OXBOW_EPARSE;
    }
    for (;; digits++) {
        err = take(f, &c, 1);
        if (err != OXBOW_OK || c == '\r') {
            break;
        }
        if (c < '0' || c > '9' || digits == 10) {
            return OXBOW_EPARSE;
        }
        v = v * 10 + (size_t)(c - '0');
    }
    if (err == OXBOW_OK) {
        err = take(f, &c, 1);
    }
    if (err != OXBOW_OK || c != '\n' || digits == 0 || v > max) {
        return err != OXBOW_OK ? err : OXBOW_EPARSE;
    }
    *n = v;
    return OXBOW_OK;
}

static enum oxbow_err room(struct resp_file *f, size_t len)
{
    size_t cap = f->data_cap == 0 ? 4096 : f->data_cap;
    uint8_t *data;

    while (cap < len) {
        cap *= 2;
    }
    if (cap == f->data_cap) {
        return OXBOW_OK;
    }
    data = realloc(f->data, cap);
    if (data == NULL) {
        return OXBOW_ENOMEM;
    }
    f->data = data;
    f->data_cap = cap;
    return OXBOW_OK;
}

/* One argument behind the `at` bytes that are there. */
static enum oxbow_err take_arg(struct resp_file *f, size_t *at, size_t *len)
{
    char end[2];
    size_t left;
    enum oxbow_err err = take_head(f, '$', RESP_BULK_MAX, len);

    for (left = err == OXBOW_OK ? *len : 0; left > 0;) {
        size_t piece = left < PIECE ? left : PIECE;

        err = room(f, *at + piece);
        if (err == OXBOW_OK) {
            err = take(f, f->data + *at, piece);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        *at += piece;
        left -= piece;
    }
    if (err == OXBOW_OK) {
        err = take(f, end, sizeof end);
    }
    return err == OXBOW_OK && (end[0] != '\r' || end[1] != '\n') ? OXBOW_EPARSE : err;
}

static enum oxbow_err args_room(struct resp_file *f, size_t count)
{
    struct oxbow_bytes *args;

    if (count <= f->arg_cap) {
        return OXBOW_OK;
    }
    args = realloc(f->args, count * sizeof *args);
    if (args == NULL) {
        return OXBOW_ENOMEM;
    }
    f->args = args;
    f->arg_cap = count;
    return OXBOW_OK;
}

enum oxbow_err resp_next(struct resp_file *f)
{
    size_t count;
    size_t at = 0;
    enum oxbow_err err;
    int c = getc(f->file);

    f->arg_count = 0;
    if (c == EOF) {
        return ferror(f->file) != 0 ? OXBOW_EIO : OXBOW_EAGAIN;
    }
    ungetc(c, f->file);
    err = take_head(f, '*', RESP_ARGS_MAX, &count);
    if (err == OXBOW_OK && count == 0) {
        return OXBOW_EPARSE;
    }
    if (err == OXBOW_OK) {
        err = args_room(f, count);
    }
    if (err == OXBOW_OK) {
        err = room(f, 1); /* arguments of no bytes lie somewhere, too */
    }
    for (size_t i = 0; err == OXBOW_OK && i < count; i++) {
        size_t len = 0;

        err = take_arg(f, &at, &len);
        f->args[i].len = len;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    at = 0; /* the memory stands still now */
    for (size_t i = 0; i < count; i++) {
        f->args[i].data = f->data + at;
        at += f->args[i].len;
    }
    f->arg_count = count;
    f->commands++;
    return OXBOW_OK;
}

void resp_fini(struct resp_file *f)
{
    free(f->data);
    free(f->args);
}
