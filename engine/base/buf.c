/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers with a cap, and zeroed allocation. Growth doubles, so that appending is linear in the
 * whole, and stops at the cap exactly.
 *
 * 1. len <= cap, len <= len_max.
 * 2. A failed call leaves the buffer as it was.
 */
#include "engine/base/buf.h"

#include <string.h>

#define BUF_FIRST_CAP 64u

void buf_init(struct buf *b, const struct oxbow_alloc *alloc, size_t len_max)
{
    *b = (struct buf){.alloc = alloc, .len_max = len_max};
}

void buf_fini(struct buf *b)
{
    mem_free(b->alloc, b->data, b->cap);
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
}

static size_t grown_cap(const struct buf *b, size_t need)
{
    size_t cap = b->cap > SIZE_MAX / 2 ? SIZE_MAX : b->cap * 2;

    if (cap < BUF_FIRST_CAP) {
        cap = BUF_FIRST_CAP;
    }
    if (cap < need) {
        cap = need;
    }
    return cap > b->len_max ? b->len_max : cap;
}

enum oxbow_err buf_reserve(struct buf *b, size_t more)
{
    size_t cap;
    void *data;

    if (more > b->len_max - b->len) {
        return OXBOW_ETOOBIG;
    }
    if (more <= b->cap - b->len) {
        return OXBOW_OK;
    }
    cap = grown_cap(b, b->len + more);
    data = b->alloc->resize(b->alloc->ctx, b->data, b->cap, cap);
    if (data == NULL) {
        return OXBOW_ENOMEM;
    }
    b->data = data;
    b->cap = cap;
    return OXBOW_OK;
}

enum oxbow_err buf_append(struct buf *b, const void *data, size_t len)
{
    enum oxbow_err err = buf_reserve(b, len);

    if (err != OXBOW_OK) {
        return err;
    }
    if (len > 0) {
        memcpy(b->data + b->len, data, len);
        b->len += len;
    }
    return OXBOW_OK;
}

void buf_consume(struct buf *b, size_t n)
{
    if (n == 0) {
        return;
    }
    if (n >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

void *mem_new(const struct oxbow_alloc *alloc, size_t len)
{
    void *p = alloc->resize(alloc->ctx, NULL, 0, len);

    if (p != NULL) {
        memset(p, 0, len);
    }
    return p;
}

void mem_free(const struct oxbow_alloc *alloc, void *p, size_t len)
{
    if (p != NULL) {
        alloc->resize(alloc->ctx, p, len, 0);
    }
}
