/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree on disk: LMDB behind keys, enveloped values and a header record.
 *
 * Reading (get, cursors, renew) and writing (begin to commit) each belong to one thread at a time;
 * a reader and the writer may run side by side. Every stored value carries a checksum over key and
 * value; what fails it is answered with OXBOW_ECORRUPT, counted, and never given.
 */
#ifndef OXBOW_STORE_TREE_H
#define OXBOW_STORE_TREE_H

#include "engine/store/envelope.h"
#include "engine/store/header.h"
#include "oxbow/port.h"

#include <stdbool.h>

#define TREE_PAGE_BYTES 4096u
#define TREE_FILE       "data.mdb"

struct tree;
struct tree_cursor;
struct tree_view;

struct tree_config {
    const struct oxbow_port *port; /* outlives the tree */
    const char *dir;
    uint64_t map_bytes;
    bool readonly;
};

/* What the file holds, counted after a commit. */
struct tree_usage {
    uint64_t pages;      /* the file's, up to the last one used */
    uint64_t free_pages; /* of them, on the free list */
    uint64_t old_pages;  /* of them, free for the next commit to use: a view has none of them */
    uint64_t new_pages; /* of them, freed by the newest commit: the one before it still uses them */
    uint64_t written;   /* pages written by commits since open */
    uint64_t lifetime;  /* the same since the store was made, as far as the header tells */
    uint64_t commits;   /* since open */
};

/* The file exists and passed file_check. OXBOW_EFORMAT, OXBOW_ECORRUPT, OXBOW_EIO, OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err tree_open(const struct tree_config *config, struct tree **out);
/* No cursor may be open. */
void tree_close(struct tree *t);

/* As of the last commit or open. A tree never written to has an all-zero header. */
const struct tree_header *tree_header(const struct tree *t);
void tree_usage(const struct tree *t, struct tree_usage *out);
/* Of a tree that takes another's place: the account of pages written goes on from there. */
void tree_inherit(struct tree *t, uint64_t lifetime);
/* Of a tree that goes on for one that was open before: what this one counted since open. */
void tree_continue(struct tree *t, const struct tree_usage *before);
uint32_t tree_values_bad(const struct tree *t);
/* Shows `visit` the pages that neither the newest commit nor the one before it nor the snapshot use,
 * in the order in which the next commits will take them, one by one; it ends the walk by returning
 * false. The writer's, between its transactions. OXBOW_ECORRUPT, OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err tree_free_walk(struct tree *t,
                                               bool (*visit)(void *ctx, uint64_t page), void *ctx);

/* ---- reading: the snapshot of the last renew ---- */

/* Moves the snapshot to the newest commit. All borrowed values die. */
OXBOW_MUST_CHECK enum oxbow_err tree_renew(struct tree *t);
/* Counts renewals: a borrowed value or cursor position of another count is dead. */
uint64_t tree_snapshot(const struct tree *t);
/* Borrowed until the next renew. OXBOW_ENOENT, OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err tree_get(struct tree *t, struct oxbow_bytes key,
                                         struct oxbow_bytes *value);

enum tree_seek { TREE_GE, TREE_GT, TREE_LE, TREE_LT };
struct tree_item {
    struct oxbow_bytes key;
    struct oxbow_bytes raw; /* enveloped: see tree_unwrap */
};
/* A cursor survives renewals: a step after one must be a seek. */
OXBOW_MUST_CHECK enum oxbow_err tree_cursor_open(struct tree *t, struct tree_cursor **out);
void tree_cursor_close(struct tree_cursor *c);
/* OXBOW_ENOENT: there is none. */
OXBOW_MUST_CHECK enum oxbow_err tree_cursor_seek(struct tree_cursor *c, struct oxbow_bytes key,
                                                 enum tree_seek how, struct tree_item *out);
OXBOW_MUST_CHECK enum oxbow_err tree_cursor_step(struct tree_cursor *c, bool back,
                                                 struct tree_item *out);
/* The value inside an item's envelope. OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err tree_unwrap(struct tree *t, const struct tree_item *item,
                                            struct oxbow_bytes *value);

/* ---- a view: a snapshot of its own that stays, for one other thread ---- */

/* Of the newest commit; one at a time, closed before the tree. As long as it is open commits cannot use
 * the pages that they replace. */
OXBOW_MUST_CHECK enum oxbow_err tree_view_open(struct tree *t, struct tree_view **out);
void tree_view_close(struct tree_view *v);
/* As of the view. OXBOW_ENOENT: a tree never written to. */
OXBOW_MUST_CHECK enum oxbow_err tree_view_header(struct tree_view *v, struct tree_header *out);
/* The next item, the first one at first; good while the view is open. OXBOW_ENOENT. OXBOW_ECORRUPT:
 * its value has the wrong checksum; logged and counted. */
OXBOW_MUST_CHECK enum oxbow_err tree_view_step(struct tree_view *v, struct tree_item *out);

/* ---- writing ---- */

/* After an error from any of these the transaction must be aborted. It puts no key twice: LMDB leaves
 * a long value that the same transaction wrote all its pages when a shorter one replaces it, which
 * the next write would take for damage. In the order of the keys it is fastest. */
OXBOW_MUST_CHECK enum oxbow_err tree_write_begin(struct tree *t);
OXBOW_MUST_CHECK enum oxbow_err tree_write_put(struct tree *t, struct oxbow_bytes key,
                                               struct oxbow_bytes value);
/* Changes the value that is there, which has `base` bytes and is not checked. `room` is for
 * base + ENVELOPE_BYTES. OXBOW_ECORRUPT when it has not. */
OXBOW_MUST_CHECK enum oxbow_err tree_write_extend(struct tree *t, struct oxbow_bytes key,
                                                  size_t base, const struct envelope_change *change,
                                                  uint8_t *room);
/* Fine when there is no such key. */
OXBOW_MUST_CHECK enum oxbow_err tree_write_del(struct tree *t, struct oxbow_bytes key);
/* Stores `header` (digest, keys and the pages of wear are filled in here) and makes it all durable. After an error
 * what is on the disk is unknown: nothing may be written through this tree any more. */
OXBOW_MUST_CHECK enum oxbow_err tree_write_commit(struct tree *t, const struct tree_header *header);
void tree_write_abort(struct tree *t);

#endif
