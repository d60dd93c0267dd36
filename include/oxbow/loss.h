/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store has lost to damage: flash that rots, a sector that cannot be read, a file cut off.
 *
 * A store whose data file is damaged opens with everything that is intact. What is not is written
 * down in the store itself, and stays there until somebody has seen it and says so. The damaged
 * file is set aside as evidence, in the store's directory under `quarantine`.
 */
#ifndef OXBOW_LOSS_H
#define OXBOW_LOSS_H

#include "oxbow/key.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Values are stored: never renumbered. */
enum oxbow_loss_kind {
    OXBOW_LOSS_REBUILT = 1,  /* the data file was damaged and is made anew; `entries`: values of any
                                kind that are lost. What they were, other losses say */
    OXBOW_LOSS_COMMIT = 2,   /* the newest of the two meta pages may have been the one that is
                                destroyed: the last checkpoint may be missing */
    OXBOW_LOSS_ENTRIES = 3,  /* of a list or stream */
    OXBOW_LOSS_KEY = 4,      /* a whole list or stream: its record is lost. What was found of its
                                entries is kept aside under `object` */
    OXBOW_LOSS_NAMES = 5,    /* keys whose very names are lost: `entries` of them */
    OXBOW_LOSS_ORPHAN = 6,   /* an object without a name: lost with it, or deleted long ago */
    OXBOW_LOSS_GROUP = 7,    /* a consumer group of a stream; `entries` tells several apart */
    OXBOW_LOSS_CONSUMER = 8, /* a consumer's name: it goes on as lost-NUMBER */
    OXBOW_LOSS_PENDING = 9,  /* records of entries that were delivered and not acknowledged */
    OXBOW_LOSS_FORWARD = 10, /* of what the uplink knows; `object` is an oxbow_loss_forward */
    OXBOW_LOSS_DATABASE = 11 /* a database's record: `entries` names, kept under `object` */
};

/* What of forwards is lost. `group` is the forward's name, `key` its queue. Values are stored. */
enum oxbow_loss_forward {
    OXBOW_LOSS_FORWARD_UNKNOWN = 0, /* forwards that nothing is known of: at most `entries` */
    OXBOW_LOSS_FORWARD_RECORD = 1,  /* how far it was: a stream's goes on where the target is, a
                                       list's stops, as below */
    OXBOW_LOSS_FORWARD_LIST = 2,    /* which of a list's elements the target has: the forward takes
                                       the target for another's, and stops until it is made anew */
    OXBOW_LOSS_FORWARD_GAPS = 3, /* what it was to tell the target of entries that were dropped */
    OXBOW_LOSS_FORWARD_IDENTITY = 4 /* who this store is: oxbow_identity_set makes it anew */
};

struct oxbow_loss {
    enum oxbow_loss_kind kind;
    uint32_t database;
    enum oxbow_type type;     /* of the key; 0: not known or none */
    struct oxbow_bytes key;   /* empty: not known or none; longer names are cut off */
    struct oxbow_bytes group; /* likewise, or the consumer's or forward's name */
    /* What is lost lies within. A stream's: ids. A list's: positions from its left end as it was,
     * from 0, in `seq`. Both zero: not known. */
    struct oxbow_id first;
    struct oxbow_id last;
    uint64_t entries; /* how many, of what the kind is about; UINT64_MAX: not known */
    uint64_t object;  /* its number in the store, for kinds that say so */
    uint64_t boot;    /* the opening of the store that found it */
    uint64_t wall_ms; /* and its clock */
};

/* Calls `each` for every loss on record, oldest first, inside a reading transaction of its own;
 * bytes are borrowed during the call. `each` must not call oxbow for this store. Its errors end the
 * walk and are given back. OXBOW_ECLOSED, OXBOW_EFAILED, OXBOW_ECORRUPT. */
OXBOW_MUST_CHECK enum oxbow_err
oxbow_losses(struct oxbow *db, enum oxbow_err (*each)(void *ctx, const struct oxbow_loss *loss),
             void *ctx);

/* The same in a transaction, whose own changes are seen. */
OXBOW_MUST_CHECK enum oxbow_err
oxbow_txn_losses(struct oxbow_txn *txn,
                 enum oxbow_err (*each)(void *ctx, const struct oxbow_loss *loss), void *ctx);

/* Takes all losses off the record. Errors as oxbow_txn_begin and oxbow_txn_commit. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_losses_forget(struct oxbow *db);
/* The same in a transaction, all at once: at most 4096 are on record. OXBOW_EREADONLY, OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_txn_losses_forget(struct oxbow_txn *txn);

/* One word for a kind, lower case; "?" for a number that is none. Static. */
const char *oxbow_loss_kind_name(enum oxbow_loss_kind kind);

/* One line of words for a loss, zero-closed, cut off at `cap`; bytes that are no plain text are
 * written as \xHH. Returns its length. */
size_t oxbow_loss_text(const struct oxbow_loss *loss, char *out, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
