/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists from the inside: what the files list_*.c share. The bytes are drawn in list_head.c (the
 * header record) and list_chunk.c (chunks and entries).
 *
 * A list is a chain of chunks between two ends. Chunks at the right grow to the right, chunks at
 * the left grow to the left (CHUNK_LIST_LEFT: entries in reverse order), so that a push at either
 * end is an append to a chunk's bytes and a pop at the other end moves an offset in the header.
 *
 * A function here that changes the list changes `struct list` and chunks, and leaves the header to
 * list_close. Values borrowed from the store are gone after the next of them. All give, besides
 * what they name: OXBOW_ECORRUPT and what kv_* gives.
 */
#ifndef OXBOW_QUEUE_LIST_H
#define OXBOW_QUEUE_LIST_H

#include "engine/queue/chunk.h"
#include "engine/store/catalog.h"
#include "oxbow/list.h"

#define LIST_BODY          (CHUNK_HEADER + 16u) /* where the entries begin */
#define LIST_AT_PREV       CHUNK_HEADER
#define LIST_AT_NEXT       (CHUNK_HEADER + 8u)
#define LIST_ENTRIES_MAX   (CHUNK_MAX - LIST_BODY) /* of one byte each, in one chunk */
#define LIST_INLINE_MAX    2000u                   /* longer values live outside the chunk */
#define LIST_OWN_MAX       65536u                  /* longer ones are blobs */
#define LIST_ENTRY_MAX     (LIST_INLINE_MAX + 2u)  /* one encoded entry */
#define LIST_COUNT_MAX     ((uint64_t)1 << 60)
#define LIST_INDEX_START   ((uint64_t)1 << 63) /* of the first element ever pushed at the right */
#define LIST_SERIAL_BEYOND ((uint64_t)1 << 62) /* chunk ids below are serials, not indexes */

/* Values are stored: never renumbered. */
enum list_key_kind {
    LIST_KEY_HEAD = OBJECT_KIND_TYPE,      /* the header record */
    LIST_KEY_CHUNK = OBJECT_KIND_TYPE + 1, /* be64 chunk id */
    LIST_KEY_VALUE = OBJECT_KIND_TYPE + 2  /* be64 serial: a value of its own */
};

enum list_form { LIST_INLINE, LIST_OWN, LIST_BLOB };

struct list_entry {
    enum list_form form;
    uint32_t len;        /* of the value */
    uint32_t size;       /* of the encoded entry */
    const uint8_t *data; /* INLINE: the value */
    uint64_t id;         /* OWN: its serial; BLOB: the blob */
};

/* The chunk at one end, and which of its bytes are live. */
struct list_end {
    uint64_t id;
    uint16_t from;
    uint16_t to;
    enum chunk_kind kind;
};

struct policy_row;

struct list {
    struct oxbow_txn *txn;
    struct oxbow_bytes name;
    struct object object;
    uint64_t count;  /* elements */
    uint64_t bytes;  /* of elements */
    uint64_t lo;     /* index of the leftmost element; meaningless while sparse */
    uint64_t hi;     /* one above that of the rightmost */
    uint64_t serial; /* the next one */
    uint64_t big;    /* elements that are not inline */
    struct list_end ends[2];
    bool sparse;               /* ids say nothing of indexes any more, only the chain is true */
    bool fresh;                /* has no header record yet */
    bool dirty;                /* something was written */
    struct policy_row *policy; /* of its name; NULL: none, or policy_list_attach was not called */
};

/* A chunk, decoded as far as asked for. Borrowed until the next write. */
struct list_view {
    uint64_t id;
    uint64_t prev; /* chunk id; meaningless in the leftmost */
    uint64_t next;
    enum chunk_kind kind;
    const uint8_t *data;
    uint16_t len;
    uint16_t from;
    uint16_t to;
    uint16_t count;                    /* entries decoded */
    uint16_t at[LIST_ENTRIES_MAX + 1]; /* in stored order; at[count] is where the last one ends */
};

/* A chunk being written: room for the header and for more than a chunk's entries. */
struct list_image {
    uint8_t bytes[CHUNK_MAX + LIST_ENTRY_MAX];
    size_t len; /* header included */
};

/* ---- list_head.c ---- */

/* OXBOW_ENOENT, OXBOW_EWRONGTYPE. */
OXBOW_MUST_CHECK enum oxbow_err list_find(struct oxbow_txn *txn, struct oxbow_bytes name,
                                          struct list *l);
/* Reads the header record of a list whose txn, name and object are set. */
OXBOW_MUST_CHECK enum oxbow_err list_load(struct list *l);
/* Makes a list that list_find did not find. OXBOW_ETOOBIG for the name. */
OXBOW_MUST_CHECK enum oxbow_err list_make(struct oxbow_txn *txn, struct oxbow_bytes name,
                                          struct list *l);
/* Ends an operation that gave `err`: writes the header, or removes the list when it is empty, or
 * fails the transaction when something was written before the error. Returns the outcome. */
OXBOW_MUST_CHECK enum oxbow_err list_close(struct list *l, enum oxbow_err err);
/* The kind of chunk that grows at that end. */
static inline enum chunk_kind list_kind_at(enum oxbow_end end)
{
    return end == OXBOW_LEFT ? CHUNK_LIST_LEFT : CHUNK_LIST_RIGHT;
}
static inline enum oxbow_end list_other(enum oxbow_end end)
{
    return end == OXBOW_LEFT ? OXBOW_RIGHT : OXBOW_LEFT;
}
/* Both ends are one chunk. */
static inline bool list_is_single(const struct list *l)
{
    return l->ends[OXBOW_LEFT].id == l->ends[OXBOW_RIGHT].id;
}
/* Turns Redis' start and stop into positions: false when the range is empty. */
bool list_span(uint64_t count, int64_t start, int64_t stop, uint64_t *first, uint64_t *last);

/* ---- list_chunk.c ---- */

/* Decodes one entry from at most `len` bytes. OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err list_entry_decode(const uint8_t *p, size_t len,
                                                  struct list_entry *e);
size_t list_entry_encode(uint8_t out[LIST_ENTRY_MAX], const struct list_entry *e);

/* The bytes of a chunk. */
OXBOW_MUST_CHECK enum oxbow_err list_chunk_len(const struct list *l, uint64_t id, size_t *len);
/* Loads the chunk; stops after `max` entries in stored order. */
OXBOW_MUST_CHECK enum oxbow_err list_view_load(const struct list *l, uint64_t id, size_t max,
                                               struct list_view *v);
/* The entry at position i from the left, of a view with all its entries. */
OXBOW_MUST_CHECK enum oxbow_err list_view_entry(const struct list_view *v, size_t i,
                                                struct list_entry *e);
/* Where position i from the left is stored: 0 is the first in stored order. */
static inline size_t list_view_slot(const struct list_view *v, size_t i)
{
    return v->kind == CHUNK_LIST_RIGHT ? i : v->count - 1u - i;
}
/* Copies the view's header and links, no entries, into an image. */
void list_image_init(struct list_image *image, const struct list_view *v);

OXBOW_MUST_CHECK enum oxbow_err list_put(struct list *l, uint64_t id, struct oxbow_bytes chunk);
OXBOW_MUST_CHECK enum oxbow_err list_patch(struct list *l, uint64_t id, size_t pos,
                                           struct oxbow_bytes bytes);
OXBOW_MUST_CHECK enum oxbow_err list_unput(struct list *l, uint64_t id);
/* Sets a chunk's link at LIST_AT_PREV or LIST_AT_NEXT. */
OXBOW_MUST_CHECK enum oxbow_err list_link(struct list *l, uint64_t id, size_t pos, uint64_t to);

/* ---- list_value.c: what an entry stands for ---- */

/* Prepares an entry for the value, storing it outside the chunk when it is long. e->data is
 * borrowed from `value`. */
OXBOW_MUST_CHECK enum oxbow_err list_value_store(struct list *l, struct oxbow_bytes value,
                                                 struct list_entry *e);
/* Deletes what the entry keeps outside the chunk, and takes it off the list's sums. */
OXBOW_MUST_CHECK enum oxbow_err list_value_drop(struct list *l, const struct list_entry *e);
/* Adds the value to a result that was begun. */
OXBOW_MUST_CHECK enum oxbow_err list_value_read(const struct list *l, const struct list_entry *e,
                                                struct oxbow_result *result);
OXBOW_MUST_CHECK enum oxbow_err list_value_equal(const struct list *l, const struct list_entry *e,
                                                 struct oxbow_bytes value, bool *equal);
/* OXBOW_ETOOBIG for a value over the store's limit, OXBOW_EINVAL for one without data. */
OXBOW_MUST_CHECK enum oxbow_err list_values_check(const struct oxbow_txn *txn,
                                                  const struct oxbow_bytes *values, size_t count,
                                                  uint64_t *bytes);

/* ---- list_push.c, list_pop.c, list_read.c, list_edit.c ---- */

/* Asks policy and forwards before values are added at an end: OXBOW_EFULL, OXBOW_EPROTECTED,
 * OXBOW_EBUDGET. *expired: what was too old has gone, the list must be found again. */
OXBOW_MUST_CHECK enum oxbow_err list_admit(struct oxbow_txn *txn, struct oxbow_bytes key,
                                           enum oxbow_end end, const struct oxbow_bytes *values,
                                           size_t count, bool *expired);
/* Adds checked values at an end. */
OXBOW_MUST_CHECK enum oxbow_err list_append(struct list *l, enum oxbow_end end,
                                            const struct oxbow_bytes *values, size_t count);
/* Removes the n <= count elements at an end. */
OXBOW_MUST_CHECK enum oxbow_err list_drop(struct list *l, enum oxbow_end end, uint64_t n);
/* Rewrites the end's chunk with its live entries alone. */
OXBOW_MUST_CHECK enum oxbow_err list_compact(struct list *l, enum oxbow_end end);
/* A list of one chunk is dense again. */
OXBOW_MUST_CHECK enum oxbow_err list_heal(struct list *l);
/* What chunk lies beyond, seen from the other end; makes it the end. */
OXBOW_MUST_CHECK enum oxbow_err list_end_move(struct list *l, enum oxbow_end end, uint64_t id);

/* Walks over elements in either direction. Reads only. */
struct list_iter {
    const struct list *l;
    bool back; /* from right to left */
    size_t i;  /* position in the view, from the left */
    struct list_view v;
};
/* Stands on position `pos` (below the count) from the left. */
OXBOW_MUST_CHECK enum oxbow_err list_iter_init(struct list_iter *it, const struct list *l,
                                               uint64_t pos, bool back);
/* OXBOW_ENOENT: that was the last one. */
OXBOW_MUST_CHECK enum oxbow_err list_iter_next(struct list_iter *it);
OXBOW_MUST_CHECK enum oxbow_err list_iter_entry(const struct list_iter *it, struct list_entry *e);
/* Adds up to n elements from position `pos` on to a result that was begun; stops once `bytes`
 * (0: no limit) are in it. */
OXBOW_MUST_CHECK enum oxbow_err list_collect(const struct list *l, struct list_iter *it, uint64_t n,
                                             uint64_t bytes, struct oxbow_result *result);

#endif
