/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bindings: what is added to a stream goes to other queues as well, in the same transaction.
 *
 * A binding leads from a stream, its source, to a stream or list, its destination, and says which
 * entries go there. It belongs to two names of one database, not to what they hold: it may be made
 * before there is a queue, a destination that is deleted or renamed is made anew by the next entry,
 * and what happens to a name's content (DEL, FLUSHDB, RENAME, SWAPDB) leaves bindings alone. They
 * are kept in the store. docs/ROUTING.md has all of it, with examples.
 *
 * An entry that is added to a source, by whatever way it comes (oxbow_stream_add, a delay that is
 * over, a schedule, a producer that adds once, a dead letter), goes once to each destination that at least one
 * binding leads it to, under ids of the destination's own, with the time to live and, as
 * far as the destination has it, the priority that it was given.
 * Destinations may be sources themselves: the entry goes on from there by their bindings, at most
 * OXBOW_BINDING_DEPTH_MAX of them in a row and never in a circle. Either all of it happens or nothing.
 *
 * Every function here works inside a transaction of oxbow.h, is called by the thread that holds it,
 * and names keys in the transaction's database. Out-parameters are written on success only. All
 * give, besides what they name, OXBOW_EINVAL (a NULL where none is allowed), OXBOW_ENOMEM, OXBOW_EIO,
 * OXBOW_ECORRUPT; those that write OXBOW_EREADONLY.
 */
#ifndef OXBOW_BINDING_H
#define OXBOW_BINDING_H

#include "oxbow/error.h"
#include "oxbow/key.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_BINDINGS_MAX        65536u /* in one store */
#define OXBOW_BINDING_NAME_MAX    1024u  /* bytes of a source's or destination's name */
#define OXBOW_BINDING_TEXT_MAX    255u   /* of a field's name, a value, a pattern */
#define OXBOW_BINDING_HEADERS_MAX 8u     /* fields of one binding */
#define OXBOW_BINDING_DEPTH_MAX   8u     /* bindings in a row */

/* Which entries a binding takes. Values are stored: never renumbered. */
enum oxbow_binding_kind {
    OXBOW_BIND_ALL = 0,    /* "all": every one (AMQP: fanout) */
    OXBOW_BIND_DIRECT = 1, /* "direct": the value of `field` is `pattern` */
    OXBOW_BIND_TOPIC = 2, /* "topic": the value of `field`, words with dots between, fits `pattern`,
                              in which * stands for one word and # for any number of them, none
                              included. No dot, no bytes: no word. Over 1,024 bytes fit nothing */
    OXBOW_BIND_HEADERS = 3 /* "headers": all of `headers`, or any of them, are among the fields */
};

/* What happens when the destination takes nothing: it is full by its policy, its forward's budget is
 * used up, it is of another type, it is damaged. Values are stored. */
enum oxbow_binding_full {
    OXBOW_BINDING_REFUSE = 0, /* the append to the source is refused as a whole, with the error that
                                 the destination gave, and nothing has changed */
    OXBOW_BINDING_SKIP = 1    /* this destination goes without, and the drop is counted */
};

/* All zero but for the two names: every entry, to a stream. */
struct oxbow_binding {
    struct oxbow_bytes source;
    struct oxbow_bytes destination;
    enum oxbow_type type; /* of the destination: NONE or STREAM: a stream; LIST: a list, at whose
                             right end the value of `value_field` is pushed */
    enum oxbow_binding_kind kind;
    enum oxbow_binding_full on_full;
    bool any;                 /* of HEADERS: one is enough */
    struct oxbow_bytes field; /* of DIRECT and TOPIC */
    struct oxbow_bytes pattern;
    const struct oxbow_field *headers; /* of HEADERS */
    uint32_t header_count;
    struct oxbow_bytes value_field; /* of a LIST; an entry without this field is not taken */
};

/* Makes a binding, and gives its id, which is never used again. One that is there already, but for
 * on_full, is given on_full and keeps its id. `id` may be NULL. Where several bindings take an entry to
 * one destination, the oldest decides on_full and value_field.
 * OXBOW_EINVAL    a kind, type or on_full that there is not; a field, pattern or header that the kind
 *                 has no use for, or none that it needs; a name without bytes
 * OXBOW_ETOOBIG   a name or text over its limit
 * OXBOW_ERANGE    OXBOW_BINDINGS_MAX are there, or too many headers
 * OXBOW_ECYCLE    entries would come back to where they have been
 * OXBOW_EDEPTH    more than OXBOW_BINDING_DEPTH_MAX bindings in a row
 * OXBOW_EWRONGTYPE another binding takes the destination for another type, or the source for a list
 * OXBOW_EQUOTA, OXBOW_ELEVEL (the store is of level 1: upgrade.h) */
OXBOW_MUST_CHECK enum oxbow_err oxbow_bind(struct oxbow_txn *txn,
                                           const struct oxbow_binding *binding, uint32_t *id);
/* Removes one, of whatever database, or a record that oxbow_binding_unread tells of. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_unbind(struct oxbow_txn *txn, uint32_t id);

struct oxbow_binding_info {
    uint32_t id;
    uint32_t database;
    struct oxbow_binding binding; /* borrowed, with all that it points to, until the next call of
                                     this header in the transaction, or its end */
    uint64_t dropped;             /* entries that its destination went without */
    enum oxbow_err why;           /* the last of them, and when, as the wall clock stood then */
    uint64_t wall_ms;
    uint64_t refused; /* appends that its destination refused since the store was opened or bindings
                         were removed */
};

/* The binding with the lowest id above `after` (0: the first), of any database. OXBOW_ENOENT: there is
 * none. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_binding_next(struct oxbow_txn *txn, uint32_t after,
                                                   struct oxbow_binding_info *info);

/* The lowest id above `after` (0: the first) under which there is a record of a binding, or of what was
 * set for a source, that makes no sense: it is damaged or of a later format, or others that were read
 * before it would refuse it (OXBOW_ECYCLE, OXBOW_EDEPTH, OXBOW_EWRONGTYPE). It takes no part; a warning
 * is logged whenever records are read. OXBOW_ENOENT: there is none. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_binding_unread(struct oxbow_txn *txn, uint32_t after,
                                                     uint32_t *id);

/* ---- sources ---- */

/* All zero: keeps its entries, and what fits no binding goes nowhere else. */
struct oxbow_source {
    bool keeps_nothing;           /* entries only go through: the stream itself stores none */
    struct oxbow_bytes alternate; /* the stream that gets what no binding of the source takes (AMQP:
                                      alternate exchange); it refuses as REFUSE does. Empty: none */
};

/* Sets how a stream passes entries on, whether or not it has bindings yet. All zero: as if never set.
 * A source that keeps nothing takes no part in its own policy, forward, trims and no_create; entries
 * get the id 0-0. Entries that it has stored before stay. Errors as oxbow_bind. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_source_set(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 const struct oxbow_source *source);

struct oxbow_source_info {
    uint32_t database;
    struct oxbow_bytes key; /* borrowed, as in oxbow_binding_info */
    struct oxbow_source source;
    uint32_t bindings;
    /* Since it became a source: */
    uint64_t entries;    /* that were added */
    uint64_t routed;     /* that went to destinations, each counted on its own */
    uint64_t unroutable; /* that no binding took, */
    uint64_t alternated; /* those of them that went to the alternate */
    uint64_t dropped;    /* deliveries that a destination went without */
};

/* OXBOW_ENOENT: it has no bindings and nothing was set. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_source_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 struct oxbow_source_info *info);
/* The source of the store after *place (0: the first), of any database. OXBOW_ENOENT: there is none. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_source_next(struct oxbow_txn *txn, uint32_t *place,
                                                  struct oxbow_source_info *info);

/* "all", "direct", ...; "?" outside the enum. Static. Any thread. */
const char *oxbow_binding_kind_name(enum oxbow_binding_kind kind);

#ifdef __cplusplus
}
#endif

#endif
