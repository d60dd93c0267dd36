/* SPDX-License-Identifier: Apache-2.0 */
/* Pages and their hashes, copied when a shared one is written to. */
#include "tests/crash/content.h"

#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define HASH_EMPTY 2u

void content_resize(struct content *c, uint64_t bytes)
{
    size_t count = (size_t)((bytes + DISK_PAGE - 1) / DISK_PAGE);
    if (count > c->count) {
        c->pages = lab_grow(c->pages, count * sizeof *c->pages);
        c->hashes = lab_grow(c->hashes, count * sizeof *c->hashes);
        memset(c->pages + c->count, 0, (count - c->count) * sizeof *c->pages);
        memset(c->hashes + c->count, 0, (count - c->count) * sizeof *c->hashes);
        c->count = count;
    }
    c->bytes = bytes;
}

static bool owned(const struct owned *o, const uint8_t *page)
{
    for (size_t i = 0; i < o->count; i++)
        if (o->pages[i] == page)
            return true;
    return false;
}

static uint8_t *page_for_write(struct writer *w, size_t page)
{
    struct content *c = w->content;
    uint8_t *now = c->pages[page];
    if (now != NULL && (w->own == NULL || owned(w->own, now)))
        return now;
    uint8_t *copy = lab_alloc(DISK_PAGE);
    if (now != NULL)
        memcpy(copy, now, DISK_PAGE);
    c->pages[page] = copy;
    if (w->own != NULL) {
        w->own->pages = lab_grow(w->own->pages, (w->own->count + 1) * sizeof *w->own->pages);
        w->own->pages[w->own->count++] = copy;
    }
    return copy;
}

void content_write(struct writer *w, uint64_t pos, const uint8_t *data, uint64_t len)
{
    struct content *c = w->content;
    if (len == 0)
        return;
    if (pos + len > c->bytes)
        content_resize(c, pos + len);
    while (len > 0) {
        size_t page = (size_t)(pos / DISK_PAGE), at = (size_t)(pos % DISK_PAGE);
        size_t n = len < DISK_PAGE - at ? (size_t)len : DISK_PAGE - at;
        uint8_t *bytes = page_for_write(w, page);
        if (data != NULL)
            memcpy(bytes + at, data, n);
        else
            memset(bytes + at, 0, n);
        c->hashes[page] = 0; /* to be worked out when it is asked for */
        pos += n;
        len -= n;
        data = data == NULL ? NULL : data + n;
    }
}

void content_cut(struct writer *w, uint64_t bytes)
{
    uint64_t now = w->content->bytes;
    if (bytes < now)
        content_write(w, bytes, NULL, now - bytes);
    content_resize(w->content, bytes);
}

/* A page of zeros counts like none. */
static uint64_t page_hash(const uint8_t *page, size_t idx)
{
    static const uint8_t zeros[DISK_PAGE];
    bool empty = memcmp(page, zeros, DISK_PAGE) == 0;
    return empty ? HASH_EMPTY : lab_hash(page, DISK_PAGE, idx + 1) | 1;
}

static bool is_empty(const struct content *c, size_t page)
{
    return c->pages[page] == NULL || c->hashes[page] == HASH_EMPTY;
}

uint64_t content_hash(struct content *c)
{
    uint64_t sum = c->bytes * 0x9e3779b97f4a7c15u;
    size_t used = (size_t)((c->bytes + DISK_PAGE - 1) / DISK_PAGE);
    for (size_t i = 0; i < used; i++) {
        if (c->pages[i] == NULL)
            continue;
        if (c->hashes[i] == 0)
            c->hashes[i] = page_hash(c->pages[i], i);
        sum += c->hashes[i] == HASH_EMPTY ? 0 : c->hashes[i];
    }
    return sum;
}

/* Zeros are holes; pages side by side go in one call. */
void content_save(const struct content *c, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t used = (size_t)((c->bytes + DISK_PAGE - 1) / DISK_PAGE);
    struct iovec run[64];
    int n = 0;
    if (fd < 0)
        lab_die("cannot make", path);
    for (size_t p = 0; p <= used; p++) {
        if (p < used && !is_empty(c, p) && n < 64) {
            run[n++] = (struct iovec){c->pages[p], DISK_PAGE};
            continue;
        }
        if (n > 0 &&
            pwritev(fd, run, n, (off_t)((p - (size_t)n) * DISK_PAGE)) != n * (int)DISK_PAGE)
            lab_die("cannot write", path);
        n = 0;
        if (p < used && !is_empty(c, p))
            run[n++] = (struct iovec){c->pages[p], DISK_PAGE};
    }
    if (ftruncate(fd, (off_t)c->bytes) != 0)
        lab_die("cannot size", path);
    close(fd);
}
