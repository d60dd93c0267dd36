/* SPDX-License-Identifier: Apache-2.0 */
/* A byte buffer that grows up to a cap it was born with. Memory through the port's allocator. */
#ifndef OXBOW_BASE_BUF_H
#define OXBOW_BASE_BUF_H

#include "oxbow/port.h"

struct buf {
    const struct oxbow_alloc *alloc;
    uint8_t *data;
    size_t len;
    size_t cap;     /* allocated */
    size_t len_max; /* never longer than this */
};

void buf_init(struct buf *b, const struct oxbow_alloc *alloc, size_t len_max);
void buf_fini(struct buf *b);
/* Makes room for `more` bytes after len. OXBOW_ENOMEM; OXBOW_ETOOBIG past len_max. */
OXBOW_MUST_CHECK enum oxbow_err buf_reserve(struct buf *b, size_t more);
OXBOW_MUST_CHECK enum oxbow_err buf_append(struct buf *b, const void *data, size_t len);
/* Drops the first n bytes; all of them when there are fewer. */
void buf_consume(struct buf *b, size_t n);

/* Allocation through the port, zeroed; NULL when memory is out. `len` is not 0. */
void *mem_new(const struct oxbow_alloc *alloc, size_t len);
/* Frees what has `len` bytes; NULL is fine. */
void mem_free(const struct oxbow_alloc *alloc, void *p, size_t len);

#endif
