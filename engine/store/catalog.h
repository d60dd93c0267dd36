/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalog: names to objects, per database.
 *
 * A database number maps to a database id, a name's 64-bit hash within it to the object. DEL,
 * RENAME, FLUSHDB and SWAPDB touch only the catalog; what an object leaves behind is reaped in
 * bounded steps by the store's idle hook, across re-opens. Two names of one hash are told apart by
 * the names themselves. Every function is called by the thread that holds the transaction and
 * works in the transaction's database, its own writes included. A key that has expired is not there
 * for any of them, but for catalog_count until it was removed. Besides the errors named, all give
 * what kv_get and kv_put give; OXBOW_ECORRUPT also for records that make no sense.
 */
#ifndef OXBOW_STORE_CATALOG_H
#define OXBOW_STORE_CATALOG_H

#include "engine/store/kv.h"
#include "oxbow/key.h"

#define CATALOG_DATABASES 16u /* numbered from 0 */

struct object {
    uint64_t id;  /* never reused; all its keys begin with KV_SPACE_OBJECT, be64 id */
    uint64_t tag; /* stands for (database number, name) and never for the object: what is there to
                     be waited for before there is an object. Other names may share it by chance.
                     Lives in memory alone: it differs from store to store */
    enum oxbow_type type;
    uint64_t deadline; /* 0: it does not expire. It is there while the store's clock shows less, and
                          may be for longer; in what catalog_find and its like give */
};

/* The tag that stands for all names of all databases: a SWAPDB or FLUSHDB touched it. */
#define CATALOG_TAG_ALL 0u

/* Called by the store when it has opened: seeds the hash, and hangs the reaper on the idle hook.
 * Fine when it was called before. OXBOW_ENOMEM, and what reading the catalog's header gives. */
OXBOW_MUST_CHECK enum oxbow_err catalog_attach(struct oxbow_txn *txn);

/* OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err catalog_find(struct oxbow_txn *txn, struct oxbow_bytes name,
                                             struct object *out);
/* Finds an object of that type: OXBOW_ENOENT, or OXBOW_EWRONGTYPE when it is of another. */
OXBOW_MUST_CHECK enum oxbow_err catalog_find_typed(struct oxbow_txn *txn, struct oxbow_bytes name,
                                                   enum oxbow_type type, struct object *out);
/* Finds or makes one; *made says which. OXBOW_EWRONGTYPE; OXBOW_ETOOBIG for a name longer than
 * OXBOW_KEY_NAME_MAX. The caller has reserved room (txn_reserve_bytes) for the name. */
OXBOW_MUST_CHECK enum oxbow_err catalog_open(struct oxbow_txn *txn, struct oxbow_bytes name,
                                             enum oxbow_type type, struct object *out, bool *made);
/* Removes the name and queues the object's content for reaping. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err catalog_remove(struct oxbow_txn *txn, struct oxbow_bytes name);
/* Removes the name of an object that has no keys left: nothing is queued. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err catalog_remove_empty(struct oxbow_txn *txn,
                                                     struct oxbow_bytes name);
/* Gives the object another name; what had that name is removed, or with `only_new` it is
 * OXBOW_EEXIST. *out is the object under its new name. OXBOW_ENOENT; OXBOW_ETOOBIG. */
OXBOW_MUST_CHECK enum oxbow_err catalog_rename(struct oxbow_txn *txn, struct oxbow_bytes from,
                                               struct oxbow_bytes to, bool only_new,
                                               struct object *out);

/* Gives the object the same name in another database, where there must be none: OXBOW_EEXIST. *out is the
 * object there. OXBOW_ENOENT, OXBOW_ENODB; OXBOW_ENOTSUP: one of the two is a cache. */
OXBOW_MUST_CHECK enum oxbow_err catalog_move(struct oxbow_txn *txn, struct oxbow_bytes name,
                                             uint32_t database, struct object *out);

/* Calls `each` for names in the order of their hashes, from *cursor on, until at least `count` (at
 * least 1) were given; all names of one cursor (engine/base/scan.h) come together. *cursor is then
 * where to go on, 0 at the end; there is nothing beyond SCAN_CURSOR_MAX. `each` must not write; its error ends the scan. Names that are there from the
 * first call to the last are all given, whatever else comes, goes or is renamed meanwhile. */
OXBOW_MUST_CHECK enum oxbow_err
catalog_scan(struct oxbow_txn *txn, uint64_t *cursor, size_t count,
             enum oxbow_err (*each)(void *ctx, struct oxbow_bytes name, const struct object *o),
             void *ctx);
/* Names in the transaction's database. */
OXBOW_MUST_CHECK enum oxbow_err catalog_count(struct oxbow_txn *txn, uint64_t *count);
/* Names that a database has on the device, also when it is a cache now. */
OXBOW_MUST_CHECK enum oxbow_err catalog_count_stored(struct oxbow_txn *txn, uint32_t number,
                                                     uint64_t *count);
/* Forgets all names of the transaction's database in O(1). */
OXBOW_MUST_CHECK enum oxbow_err catalog_flush(struct oxbow_txn *txn);
/* Swaps two databases' content in O(1). OXBOW_ENODB; OXBOW_ENOTSUP: one of the two is a cache. */
OXBOW_MUST_CHECK enum oxbow_err catalog_swap(struct oxbow_txn *txn, uint32_t a, uint32_t b);

/* The tag of a name in the transaction's database, be it there or not. Never CATALOG_TAG_ALL. */
OXBOW_MUST_CHECK enum oxbow_err catalog_tag(struct oxbow_txn *txn, struct oxbow_bytes name,
                                            uint64_t *tag);

/* ---- caches: cache_evict.c ---- */

/* oxbow_cache_evict; `gone` is called in the key's database. */
OXBOW_MUST_CHECK enum oxbow_err
catalog_evict(struct oxbow_txn *txn, size_t max,
              enum oxbow_err (*gone)(void *ctx, struct oxbow_txn *txn, struct oxbow_bytes name),
              void *ctx, bool *more);
/* oxbow_cache_use. */
OXBOW_MUST_CHECK enum oxbow_err catalog_use(struct oxbow_txn *txn, struct oxbow_bytes name,
                                            uint64_t *idle_ms, uint32_t *frequency);

/* ---- deadlines, by the store's clock: catalog_expire.c ---- */

/* The key goes in ttl_ms, at least 1; the caller has reserved CATALOG_DEADLINE_BYTES and asked for
 * STORE_FEATURE_KEY_EXPIRY. OXBOW_ENOENT. */
#define CATALOG_DEADLINE_BYTES 128u
OXBOW_MUST_CHECK enum oxbow_err catalog_expire(struct oxbow_txn *txn, struct oxbow_bytes name,
                                               uint64_t ttl_ms);
/* It stays; *had may be NULL. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err catalog_persist(struct oxbow_txn *txn, struct oxbow_bytes name,
                                                bool *had);
/* How long it still has, at least 1; UINT64_MAX: for ever. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err catalog_ttl(struct oxbow_txn *txn, struct oxbow_bytes name,
                                            uint64_t *left_ms);
/* Removes what has expired, at most `max` keys, earliest first; *more: there may be more. `gone` is
 * called after each, in its database; its error ends it. Asks to be called again in time. */
OXBOW_MUST_CHECK enum oxbow_err catalog_expire_step(struct oxbow_txn *txn, size_t max,
                                                    enum oxbow_err (*gone)(struct oxbow_txn *txn,
                                                                           struct oxbow_bytes name),
                                                    bool *more);
/* After a salvage, of a name in the transaction's database: its deadline has its place again. *gone: it
 * has expired, and idle work will remove it. */
OXBOW_MUST_CHECK enum oxbow_err catalog_expire_mend(struct oxbow_txn *txn, struct oxbow_bytes name,
                                                    bool *gone);

/* Whether a deadline has come that was given when the clock showed made_ms (0: it is not early). One
 * comparison for 0, which is none. / When it has truly come. */
OXBOW_MUST_CHECK enum oxbow_err catalog_expired(struct oxbow_txn *txn, uint64_t deadline,
                                                uint64_t made_ms, bool *expired);
OXBOW_MUST_CHECK enum oxbow_err catalog_due_at(struct oxbow_txn *txn, uint64_t deadline,
                                               uint64_t made_ms, uint64_t *due);

/* ---- objects that wait for their time: catalog_due.c ---- */

#define OBJECT_DUE_BYTES 256u /* what one that waits costs beside its own */

/* What a data type wants of idle work for one of its objects. */
struct object_due {
    uint64_t due;  /* when, by the store's clock; at least 1 */
    bool sweep;    /* all of it is to be looked at, after a salvage ... */
    uint64_t from; /* ... from there on: the type's to say what that is */
};

/* OXBOW_ENOENT: it wants nothing. */
OXBOW_MUST_CHECK enum oxbow_err catalog_due_get(struct oxbow_txn *txn, uint64_t id,
                                                struct object_due *out);
/* The object of that name, which must be there, wants that instead of what it wanted before. The caller
 * has reserved OBJECT_DUE_BYTES. */
OXBOW_MUST_CHECK enum oxbow_err catalog_due_put(struct oxbow_txn *txn, struct oxbow_bytes name,
                                                const struct object_due *due);
/* It wants nothing any more. */
OXBOW_MUST_CHECK enum oxbow_err catalog_due_del(struct oxbow_txn *txn, uint64_t id);
/* A copy wants what the object wants that it was copied from. */
OXBOW_MUST_CHECK enum oxbow_err catalog_due_copy(struct oxbow_txn *txn, uint64_t from,
                                                 struct oxbow_bytes to);
/* Calls `each` for objects whose time has come, earliest first, in their databases, until `max` units of
 * work are done: `each` takes what it did from *left, and says with catalog_due_put or _del what the
 * object wants next. *more: there may be more. Asks to be called again in time. */
OXBOW_MUST_CHECK enum oxbow_err catalog_due_step(struct oxbow_txn *txn, size_t max,
                                                 enum oxbow_err (*each)(struct oxbow_txn *txn,
                                                                        struct oxbow_bytes name,
                                                                        size_t *left),
                                                 bool *more);
/* After a salvage, of an object that has a name: its place is there again. With `lost` it is to be swept,
 * whatever is left of its record. */
OXBOW_MUST_CHECK enum oxbow_err catalog_due_mend(struct oxbow_txn *txn, struct oxbow_bytes name,
                                                 uint64_t id, bool lost);

/* One bounded step of reaping; *more says whether there is anything left. The idle hook. */
OXBOW_MUST_CHECK enum oxbow_err catalog_reap(struct oxbow_txn *txn, bool *more);

/* ---- after a salvage: catalog_mend.c ---- */

struct catalog_mend {
    uint64_t names_lost[CATALOG_DATABASES]; /* by database number */
    bool absent[CATALOG_DATABASES];         /* the number has no record */
    uint64_t homeless;                      /* a database id that no number leads to; 0: none */
    uint64_t homeless_names;
};

/* The key of a database number's record, of one that is no cache. */
#define CATALOG_NUMBER_KEY 3u
struct oxbow_bytes catalog_number_key(uint8_t out[CATALOG_NUMBER_KEY], uint32_t number);
/* One bounded step of making the catalog fit what is left of it: ids never used before, names where
 * look-ups find them, numbers of databases and of names. *out is good when there is not *more. */
OXBOW_MUST_CHECK enum oxbow_err catalog_mend(struct oxbow_txn *txn, struct catalog_mend *out,
                                             bool *more);

/* A place in the walk over all names of all databases; all zero is before the first. */
struct catalog_place {
    uint8_t key[KV_KEY_MAX];
    uint8_t key_len;
};
/* The next name; borrowed until the next write. *database is CATALOG_DATABASES for a name of a
 * database that no number leads to. OXBOW_ENOENT: that was the last. */
OXBOW_MUST_CHECK enum oxbow_err catalog_next(struct oxbow_txn *txn, struct catalog_place *place,
                                             uint32_t *database, struct object *object,
                                             struct oxbow_bytes *name);
/* The next object that has keys, by its id, after *id (0: the first), how many keys, and whether it
 * waits to be reaped. OXBOW_ENOENT: that was the last. */
OXBOW_MUST_CHECK enum oxbow_err catalog_next_object(struct oxbow_txn *txn, uint64_t *id,
                                                    uint64_t *keys, bool *reaped);

/* For tests: keeps only so many high bits of each name's hash, so that names collide. To be called
 * after catalog_attach and before the first name is made. */
void catalog_hash_bits(struct oxbow *db, unsigned bits);

/* ---- an object's keys ---- */

/* Kinds below this are the catalog's own, a data type's begin here. */
#define OBJECT_KIND_BLOB 0x01u /* be64 blob: a blob that this object owns; no value */
#define OBJECT_KIND_DUE  0x02u /* what it wants of idle work: catalog_due.c */
#define OBJECT_KIND_TYPE 0x10u /* the first that a data type may use */

/* Builds KV_SPACE_OBJECT, be64 id, kind, tail into out; returns the length. */
size_t object_key(uint8_t out[KV_KEY_MAX], uint64_t id, uint8_t kind, const void *tail,
                  size_t tail_len);
/* kv_blob_write and kv_blob_delete for a blob that belongs to an object: written down, so that the
 * reaper finds it when the object goes. Data types use no others. */
OXBOW_MUST_CHECK enum oxbow_err object_blob_write(struct oxbow_txn *txn, uint64_t id,
                                                  struct oxbow_bytes data, uint64_t *blob);
OXBOW_MUST_CHECK enum oxbow_err object_blob_delete(struct oxbow_txn *txn, uint64_t id,
                                                   uint64_t blob);
/* How many bytes of records an object has; it stops counting above `max`, and what it then gives is more.
 * OXBOW_ENOTSUP: it has blobs. */
OXBOW_MUST_CHECK enum oxbow_err object_bytes(struct oxbow_txn *txn, uint64_t id, uint64_t max,
                                             uint64_t *bytes);
/* Gives one that has no records yet those of another, which has no blobs. */
OXBOW_MUST_CHECK enum oxbow_err object_copy(struct oxbow_txn *txn, uint64_t from, uint64_t to);

#endif
