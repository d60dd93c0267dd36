/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bindings inside the engine: their records, the table that finds them, and what an append asks of
 * them. Promises: oxbow/binding.h.
 *
 * While the store has no binding everything here costs one comparison; otherwise a stream without
 * one costs a hash and a probe.
 */
#ifndef OXBOW_QUEUE_BINDING_H
#define OXBOW_QUEUE_BINDING_H

#include "engine/queue/binding_index.h"
#include "engine/store/kv.h"
#include "oxbow/binding.h"
#include "oxbow/stream.h"

/* ---- binding_record.c ---- */

#define BINDING_KEY_MAX   8u
#define BINDING_COUNT_LEN 40u /* of a source's counters */
#define BINDING_DROPS_LEN 24u /* of a binding's */

/* The kinds of a binding's keys. Values are stored: never renumbered. */
enum binding_key_kind {
    BINDING_KEY_BINDING = 'b', /* be32 id */
    BINDING_KEY_COUNT = 'c',   /* be32 id of a source: what it has counted */
    BINDING_KEY_DROPS = 'd',   /* be32 id of a binding: what its destination went without */
    BINDING_KEY_NEWEST = 'n',  /* the newest id given */
    BINDING_KEY_SOURCE = 's'   /* be32 id */
};
struct oxbow_bytes binding_key(uint8_t out[BINDING_KEY_MAX], enum binding_key_kind kind,
                               uint32_t id);

/* A binding's record, decoded; the texts are borrowed from it. `binding.headers` is `headers`: not to
 * be copied without setting it anew. */
struct binding_record {
    struct oxbow_binding binding;
    struct oxbow_field headers[OXBOW_BINDING_HEADERS_MAX];
    uint32_t database;
};
OXBOW_MUST_CHECK enum oxbow_err binding_decode(struct oxbow_bytes record,
                                               struct binding_record *out);
/* Whether the caller's binding is one. OXBOW_EINVAL, OXBOW_ETOOBIG, OXBOW_ERANGE. */
OXBOW_MUST_CHECK enum oxbow_err binding_check(const struct oxbow_binding *b);
/* Appends the record of a checked binding. */
OXBOW_MUST_CHECK enum oxbow_err binding_encode(struct buf *out, const struct oxbow_binding *b,
                                               uint32_t database);
/* Changes on_full in a record. */
void binding_encode_on_full(uint8_t *record, enum oxbow_binding_full on_full);
/* Whether two records are of one binding, on_full apart. */
bool binding_same(struct oxbow_bytes a, struct oxbow_bytes b);

struct source_record {
    struct oxbow_source source;
    struct oxbow_bytes key;
    uint32_t database;
};
OXBOW_MUST_CHECK enum oxbow_err source_decode(struct oxbow_bytes record, struct source_record *out);
OXBOW_MUST_CHECK enum oxbow_err source_encode(struct buf *out, const struct source_record *s);

/* What a source has counted: fields of oxbow_source_info. All zero where there is nothing, or what
 * there is is damaged. */
struct source_count {
    uint64_t entries, routed, unroutable, alternated, dropped;
};
OXBOW_MUST_CHECK enum oxbow_err source_count_get(struct oxbow_txn *txn, uint32_t id,
                                                 struct source_count *out);
OXBOW_MUST_CHECK enum oxbow_err source_count_put(struct oxbow_txn *txn, uint32_t id,
                                                 const struct source_count *count);
/* The same of a binding: what its destination went without. */
struct binding_drops {
    uint64_t dropped, wall_ms;
    enum oxbow_err why;
};
OXBOW_MUST_CHECK enum oxbow_err binding_drops_get(struct oxbow_txn *txn, uint32_t id,
                                                  struct binding_drops *out);
OXBOW_MUST_CHECK enum oxbow_err binding_drops_put(struct oxbow_txn *txn, uint32_t id,
                                                  const struct binding_drops *drops);

/* ---- binding_table.c ---- */

#define BINDING_NOBODY UINT32_MAX

/* A name that bindings begin or end at. */
struct binding_node {
    uint64_t tag; /* catalog.h */
    uint32_t database;
    uint32_t name_len;
    size_t name_at;       /* in the table's texts */
    enum oxbow_type type; /* as a destination; NONE: it is none */
    uint32_t id;          /* of its record as a source; 0: it has none */
    uint32_t alternate;   /* a node, or BINDING_NOBODY */
    uint32_t first;       /* the row of its newest binding, or BINDING_NOBODY */
    uint32_t first_all;   /* the same of those that take everything */
    uint32_t bindings;    /* that begin here */
    uint32_t level;       /* the most bindings in a row that end here */
    uint32_t trial;       /* its level, were the binding made that is tried... */
    uint64_t tried;       /* ...under this stamp */
    bool queued;          /* it is in `work` */
    bool keeps_nothing;
    bool values, topics; /* it has bindings that look at fields */
    /* Of the entry that is under way: */
    uint64_t stamp;   /* it is reached if this is the table's */
    uint32_t row;     /* the oldest binding that leads here; BINDING_NOBODY: an alternate */
    uint32_t by;      /* the node where that begins */
    uint32_t routed;  /* destinations that its bindings lead to */
    uint32_t dropped; /* of them, that went without */
    bool unroutable;
};

struct binding_row {
    uint32_t id;
    uint32_t source; /* nodes */
    uint32_t destination;
    uint32_t next;     /* of its source, or BINDING_NOBODY */
    uint32_t next_all; /* likewise, of those that take everything */
    enum oxbow_binding_kind kind;
    enum oxbow_binding_full on_full;
    bool list;
    bool gone; /* it was removed */
    size_t at; /* of its record, in the table's texts */
    size_t len;
    uint64_t refused;
    uint64_t stamp; /* it was looked at for the step of the entry under way */
};

/* Hangs on the store; read and written with its lock held. */
struct binding_table {
    struct oxbow *db;
    bool loaded;
    bool changed;     /* since `aborts` was noted: an abort after it may have taken that back */
    bool stale;       /* rows were removed: levels and types may be those of before */
    uint32_t refuser; /* the node that refused the last append, or BINDING_NOBODY */
    uint64_t aborts;  /* store_abort_count at the last change */
    struct binding_node *nodes;
    uint32_t node_count, node_room;
    uint32_t sources; /* nodes that are one */
    uint32_t *slots;  /* 1 + the node, by tag; 0: free */
    uint32_t slot_count;
    struct binding_row *rows; /* ids ascend */
    uint32_t row_count, row_room;
    uint32_t gone;    /* rows that were removed */
    uint32_t *unread; /* ids of records that make no sense, bindings' before sources' */
    uint32_t unread_count, unread_room;
    struct buf texts;
    struct binding_index index;
    uint32_t *work; /* of nodes, as many as there are */
    uint32_t work_room;
    uint64_t stamp;
    struct binding_record shown; /* by oxbow_binding_next */
};

/* The store's table, loaded if need be. */
OXBOW_MUST_CHECK enum oxbow_err binding_table_get(struct oxbow_txn *txn,
                                                  struct binding_table **out);
/* Reads it again, now. */
OXBOW_MUST_CHECK enum oxbow_err binding_table_load(struct oxbow_txn *txn, struct binding_table *t);
/* When the table is about to hold what an abort would take back. */
void binding_table_doubt(struct binding_table *t);
/* The table is read again at its next use. */
void binding_table_changed(struct binding_table *t);
struct oxbow_bytes binding_name(const struct binding_table *t, const struct binding_node *node);
/* In the transaction's database. NULL: no such node. */
OXBOW_MUST_CHECK enum oxbow_err binding_node_find(struct oxbow_txn *txn, struct binding_table *t,
                                                  struct oxbow_bytes name,
                                                  struct binding_node **out);
/* Finds or makes one; *out is its number. */
OXBOW_MUST_CHECK enum oxbow_err binding_node_take(struct oxbow_txn *txn, struct binding_table *t,
                                                  uint32_t database, struct oxbow_bytes name,
                                                  uint32_t *out);
/* Makes room for one more in an array of the table's, and gives it; NULL: there is no memory. */
void *binding_grown(const struct binding_table *t, void *p, uint32_t *room, uint32_t count,
                    size_t size);

/* ---- binding_row.c ---- */

/* Whether it is a source, and not a destination alone. */
bool binding_node_is_source(const struct binding_node *n);
struct oxbow_bytes binding_record_of(const struct binding_table *t, const struct binding_row *row);
/* The row with the lowest id from `id` on; NULL: none. */
struct binding_row *binding_row_from(const struct binding_table *t, uint32_t id);
/* The row of a source that has this record, on_full apart; NULL: none. */
struct binding_row *binding_row_same(const struct binding_table *t, const struct binding_node *node,
                                     struct oxbow_bytes record);
/* Whether the record could be a row: OXBOW_ECYCLE, OXBOW_EDEPTH, OXBOW_EWRONGTYPE; nothing that
 * counts has changed. */
OXBOW_MUST_CHECK enum oxbow_err binding_row_try(struct oxbow_txn *txn, struct binding_table *t,
                                                struct oxbow_bytes record);
/* The same, and adds it; any other error leaves a table that is read again. */
OXBOW_MUST_CHECK enum oxbow_err binding_row_add(struct oxbow_txn *txn, struct binding_table *t,
                                                uint32_t id, struct oxbow_bytes record);
/* Takes a row out. */
void binding_row_remove(struct binding_table *t, struct binding_row *row);
/* A row's record says this now. */
void binding_row_on_full(struct binding_table *t, struct binding_row *row,
                         enum oxbow_binding_full on_full);
/* Both of a source's record. */
OXBOW_MUST_CHECK enum oxbow_err binding_source_try(struct oxbow_txn *txn, struct binding_table *t,
                                                   struct oxbow_bytes record);
OXBOW_MUST_CHECK enum oxbow_err binding_source_add(struct oxbow_txn *txn, struct binding_table *t,
                                                   uint32_t id, struct oxbow_bytes record);
/* The node's record is gone. */
void binding_source_remove(struct binding_table *t, struct binding_node *n);

/* ---- binding_route.c ---- */

/* An append to a stream. */
struct binding_add {
    struct oxbow_bytes key;
    const struct oxbow_stream_add_options *opt; /* may be NULL */
    const struct oxbow_field *fields;
    uint32_t field_count;
};

/* The stream as a source; NULL: it is none. */
OXBOW_MUST_CHECK enum oxbow_err binding_source(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               struct binding_node **out);
/* oxbow_stream_add to such a one. */
OXBOW_MUST_CHECK enum oxbow_err binding_append(struct oxbow_txn *txn, struct binding_node *source,
                                               const struct binding_add *add, struct oxbow_id *id);
/* Which destination refused the last append, so that room in the stream itself would not help; without
 * bytes: none did. Borrowed until the next append. */
struct oxbow_bytes binding_refuser(const struct oxbow_txn *txn);

#endif
