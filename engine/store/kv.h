/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as the engine's data types see it: a durable, ordered, transactional key-value table.
 *
 * `struct oxbow_txn` is its transaction. Keys are 1 to KV_KEY_MAX bytes, ordered by memcmp, shorter
 * first. Values are 0 to the transaction cap; longer ones go through kv_blob_*. Nothing above this
 * header knows of fsync, pages or LMDB. All functions are called by the thread that holds the
 * transaction. An error from a write leaves the transaction fit only for abort (its commit then
 * gives that error), but for KV's plain answers OXBOW_ENOENT and OXBOW_EINVAL.
 */
#ifndef OXBOW_STORE_KV_H
#define OXBOW_STORE_KV_H

#include "oxbow/oxbow.h"

#include <stdbool.h>

#define KV_KEY_MAX 64u
/* The longest value that takes exactly one page of the data file (4096 bytes, less LMDB's page
 * header and the envelope): the size to pack chunks to. One byte more costs a second page. */
#define KV_PAGE_MAX 4075u

/* In a key's first byte: it is in a cache, a database that is kept in memory alone (cache.h), and never in
 * the store's tables or tree. Objects and databases have ids of their own there, with the highest bit. */
#define KV_CACHE    0x80u
#define KV_CACHE_ID ((uint64_t)1 << 63)

/* The first byte of every key. Values are stored: never renumbered. */
enum kv_space {
    KV_SPACE_STORE = 0x01,   /* the store's own: header, pending blobs */
    KV_SPACE_CATALOG = 0x10, /* databases and names: catalog.h */
    KV_SPACE_REAP = 0x18,    /* objects and databases whose content is to be deleted */
    KV_SPACE_OBJECT = 0x20,  /* be64 object id, then what the data type wants */
    KV_SPACE_TIME = 0x28,    /* openings and what is known of their time: queue/boots.c */
    KV_SPACE_EXPIRE = 0x30,  /* by deadline */
    KV_SPACE_GROUP = 0x34,   /* groups that write dead letters: queue/group_idle.c */
    KV_SPACE_ONCE = 0x38,    /* what was added once: queue/once_record.c */
    KV_SPACE_CRON = 0x3c,    /* schedules: queue/schedule_record.c */
    KV_SPACE_FORWARD = 0x40, /* forwards: queue/forward.c */
    KV_SPACE_POLICY = 0x48,  /* policies of queues: queue/policy_record.c */
    KV_SPACE_PATROL = 0x4c,  /* what patrols of lists found: queue/patrol.c */
    KV_SPACE_BLOB = 0x50,    /* pieces of large values */
    KV_SPACE_BINDING = 0x54  /* bindings of streams: queue/binding_record.c */
};

/* The first byte of a key that belongs to an object or a database, by its id. */
static inline uint8_t kv_space_of(enum kv_space space, uint64_t id)
{
    return (uint8_t)(space | ((id & KV_CACHE_ID) != 0 ? KV_CACHE : 0));
}

/* Borrowed until the next write in this transaction, or its end. OXBOW_ENOENT. OXBOW_ECORRUPT when
 * the value fails its checksum: it is never given. */
OXBOW_MUST_CHECK enum oxbow_err kv_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                                       struct oxbow_bytes *value);
/* Its length alone, without bringing it together. Errors likewise. */
OXBOW_MUST_CHECK enum oxbow_err kv_len(struct oxbow_txn *txn, struct oxbow_bytes key, size_t *len);
OXBOW_MUST_CHECK enum oxbow_err kv_put(struct oxbow_txn *txn, struct oxbow_bytes key,
                                       struct oxbow_bytes value);
/* Overwrites value[pos, pos+len) in place, growing the value when that reaches past its end; pos
 * may be at most the value's length. OXBOW_ENOENT: no such key. OXBOW_EINVAL: pos past the end. */
OXBOW_MUST_CHECK enum oxbow_err kv_patch(struct oxbow_txn *txn, struct oxbow_bytes key, size_t pos,
                                         struct oxbow_bytes bytes);
/* Fine when there is no such key. */
OXBOW_MUST_CHECK enum oxbow_err kv_del(struct oxbow_txn *txn, struct oxbow_bytes key);
/* Deletes at most `max` keys in [from, to); *more says whether any is left there. */
OXBOW_MUST_CHECK enum oxbow_err kv_del_range(struct oxbow_txn *txn, struct oxbow_bytes from,
                                             struct oxbow_bytes to, size_t max, bool *more);

struct mem_entry;
struct tree_cursor;

/* A cursor over the merged state, own writes included. It stays valid through writes of its own
 * transaction: it stands on a key, and the next step goes to that key's neighbour whatever has
 * happened since. Made by kv_cursor_init in the caller's memory; kv_cursor_fini before the
 * transaction ends. */
struct kv_cursor {
    struct oxbow_txn *txn;
    uint8_t key[KV_KEY_MAX];
    uint8_t key_len; /* 0: nowhere */
    bool back;       /* the direction that the candidates below are good for */
    bool placed;
    /* The nearest key in that direction in each of the three layers. */
    struct mem_entry *active; /* good while `seen` is the transaction's write count; in a cache, of
                                 its table, and there is no other layer */
    struct mem_entry *frozen;
    struct tree_cursor *tree; /* a pooled one */
    struct oxbow_bytes tree_key;
    struct oxbow_bytes tree_raw;
    bool tree_has;
    bool cached; /* it is in a cache */
    uint64_t seen;
    uint64_t snapshot;
    uint8_t within[KV_KEY_MAX]; /* kv_cursor_seek_in */
    uint8_t within_len;
};

OXBOW_MUST_CHECK enum oxbow_err kv_cursor_init(struct kv_cursor *c, struct oxbow_txn *txn);
void kv_cursor_fini(struct kv_cursor *c);
/* The first key at or after `key` / the last one at or before it. OXBOW_ENOENT: there is none, and
 * the cursor stays where it was. OXBOW_ECORRUPT: the key is in c->key, its value failed its
 * checksum and is not given; the cursor stands there and may go on. The results are borrowed until
 * the next call on the cursor or the next write. An empty `key` is before all keys. next and prev
 * on a cursor that stands nowhere: OXBOW_EINVAL. */
OXBOW_MUST_CHECK enum oxbow_err kv_cursor_seek(struct kv_cursor *c, struct oxbow_bytes key,
                                               struct oxbow_bytes *out_key,
                                               struct oxbow_bytes *out_value);
OXBOW_MUST_CHECK enum oxbow_err kv_cursor_seek_back(struct kv_cursor *c, struct oxbow_bytes key,
                                                    struct oxbow_bytes *out_key,
                                                    struct oxbow_bytes *out_value);
/* The same, and from then on, steps included, among the keys alone whose first `same` bytes are those of
 * `key`: any other is OXBOW_ENOENT, and whether it is damaged does not matter. For walks over what
 * belongs together, which its neighbours' damage must not end. */
OXBOW_MUST_CHECK enum oxbow_err kv_cursor_seek_in(struct kv_cursor *c, struct oxbow_bytes key,
                                                  size_t same, struct oxbow_bytes *out_key,
                                                  struct oxbow_bytes *out_value);
OXBOW_MUST_CHECK enum oxbow_err kv_cursor_seek_back_in(struct kv_cursor *c, struct oxbow_bytes key,
                                                       size_t same, struct oxbow_bytes *out_key,
                                                       struct oxbow_bytes *out_value);
OXBOW_MUST_CHECK enum oxbow_err kv_cursor_next(struct kv_cursor *c, struct oxbow_bytes *out_key,
                                               struct oxbow_bytes *out_value);
OXBOW_MUST_CHECK enum oxbow_err kv_cursor_prev(struct kv_cursor *c, struct oxbow_bytes *out_key,
                                               struct oxbow_bytes *out_value);

/* Large values: written ahead to LMDB in bounded steps by the checkpoint thread, as pieces that
 * nothing reaches until the transaction that wrote them commits; pieces whose transaction never
 * became durable are reaped. The blob is named by an id, never 0, that the caller keeps in a value.
 * They do not count towards the transaction's cap.
 * Write: 1 byte up to the store's entry limit. It waits for the device, and is a write: borrowed
 * values die. OXBOW_ETOOBIG, OXBOW_EQUOTA, OXBOW_ENOSPC leave the transaction usable; others do
 * not. Delete: the pieces go in bounded steps later. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err kv_blob_write(struct oxbow_txn *txn, struct oxbow_bytes data,
                                              uint64_t *blob);
/* Reads len bytes from pos into buf; len 0 (buf may be NULL): says whether the blob is there, and
 * pos does not matter. OXBOW_ENOENT, OXBOW_ECORRUPT, OXBOW_ERANGE. */
OXBOW_MUST_CHECK enum oxbow_err kv_blob_read(struct oxbow_txn *txn, uint64_t blob, uint64_t pos,
                                             void *buf, size_t len);
OXBOW_MUST_CHECK enum oxbow_err kv_blob_delete(struct oxbow_txn *txn, uint64_t blob);

/* ---- the transaction's surroundings ---- */

struct oxbow *txn_store(const struct oxbow_txn *txn);
const struct oxbow_port *txn_port(const struct oxbow_txn *txn);
uint32_t txn_database(const struct oxbow_txn *txn);
/* Whether the database, below STORE_DATABASES, is a cache / the transaction's own. */
bool txn_is_cache(const struct oxbow_txn *txn, uint32_t database);
bool txn_in_cache(const struct oxbow_txn *txn);
/* An id of an object or a database of a cache: never given before since the store was opened. */
uint64_t txn_cache_id(struct oxbow_txn *txn);
/* The transaction has to do with the database, below STORE_DATABASES, beside its own. */
void txn_enter(struct oxbow_txn *txn, uint32_t database);
/* Whether its policy, or its databases', has it wait for the device. */
bool txn_waits(struct oxbow_txn *txn);
bool txn_forced(const struct oxbow_txn *txn); /* OXBOW_TXN_FORCE */
bool txn_readonly(const struct oxbow_txn *txn);
uint32_t txn_entry_bytes_max(const struct oxbow_txn *txn);
uint32_t txn_names_max(const struct oxbow_txn *txn);
uint32_t txn_bytes_max(const struct oxbow_txn *txn); /* of all that it changes */
/* Wall time in ms, read once per transaction, and the boot number and uptime beside it. */
uint64_t txn_wall_ms(struct oxbow_txn *txn);
uint64_t txn_uptime_ms(struct oxbow_txn *txn);
uint64_t txn_boot(const struct oxbow_txn *txn);
/* The store's own clock, read once per transaction: milliseconds that only grow, over all openings
 * and whatever the wall clock does, never 0. What it counts, and what it shows again after a power
 * cut: clock.h. Ages, delays and times to live are reckoned by it. */
uint64_t txn_clock_ms(const struct oxbow_txn *txn);
/* How this opening began. */
struct txn_clock_start {
    uint64_t steady_ms; /* the store's clock without what wall clocks have added to it */
    uint64_t uptime_ms; /* when it showed that */
    uint64_t wall_ms;   /* the wall clock when it was last believed before; 0: it never was */
    uint64_t wall_at;   /* and what the store's clock showed then, likewise */
    bool counted;       /* txn_boot is its number alone: it does not only read */
};
void txn_clock_start(const struct oxbow_txn *txn, struct txn_clock_start *out);
/* How much of the clock is time without power that the wall clock told of afterwards, over all
 * openings. When this has grown, what was begun before may be younger by that much than the clock
 * says: nobody knows whether the board was off before it or after. */
uint64_t txn_clock_added_ms(const struct oxbow_txn *txn);
/* Whether the wall clock may still add to it in this opening, for time before now. */
bool txn_clock_unsure(const struct oxbow_txn *txn);
/* The wall clock, if it is believed (clock.h); else false and nothing is written. */
bool txn_wall_believed(const struct oxbow_txn *txn, uint64_t *wall_ms);
/* It shows at least that much from now on: after a salvage that lost it. */
void txn_clock_raise(struct oxbow_txn *txn, uint64_t ms);
uint64_t txn_store_id(const struct oxbow_txn *txn); /* as in struct oxbow_stat */
/* Pushes and appends call this before they write: OXBOW_EQUOTA when `bytes` more would not fit the
 * quota. What only deletes, acks or trims does not call it and may use the reserve. */
OXBOW_MUST_CHECK enum oxbow_err txn_reserve_bytes(struct oxbow_txn *txn, size_t bytes);
/* Whether `bytes` more would leave less of the quota free than is kept for those who have nothing to
 * give up: a queue that makes room by itself does so then. *free_bytes: how much it is to give up for
 * them, more than `bytes` while the store will be above that line after the next checkpoint too. Not
 * while the store is in memory. */
bool txn_quota_tight(const struct oxbow_txn *txn, size_t bytes, uint64_t *free_bytes);
/* So many bytes more than were added have been given up: they need not be given up again before the
 * checkpoint that frees them. */
void txn_quota_spare(struct oxbow_txn *txn, uint64_t bytes);
/* txn_reserve_bytes for one that gives up as much in the same transaction: what it gives up comes
 * free with a checkpoint, until then it lives off what lies above the quota. OXBOW_EQUOTA when
 * that is in danger as well. */
OXBOW_MUST_CHECK enum oxbow_err txn_reserve_freed(struct oxbow_txn *txn, size_t bytes);
/* Marks the transaction unusable: commit gives `err` and applies nothing. Returns `err`. */
enum oxbow_err txn_fail(struct oxbow_txn *txn, enum oxbow_err err);
/* Why it is fit only for abort; OXBOW_OK: it is not. */
enum oxbow_err txn_failed(const struct oxbow_txn *txn);

/* What a store may use that an older version does not know: rows of the table in feature.c. */
enum store_feature {
    STORE_FEATURE_POLICY,     /* policies of queues */
    STORE_FEATURE_DELAY,      /* delayed entries */
    STORE_FEATURE_RULES,      /* groups with options */
    STORE_FEATURE_TTL,        /* entries with a time to live */
    STORE_FEATURE_STRING,     /* keys with one value */
    STORE_FEATURE_PATROL,     /* lists that are patrolled */
    STORE_FEATURE_BINDING,    /* bindings of streams */
    STORE_FEATURE_CRON,       /* schedules */
    STORE_FEATURE_PRIORITIES, /* streams with priorities */
    STORE_FEATURE_STAND_IN,   /* entries that came from a stand-in */
    STORE_FEATURE_KEY_EXPIRY, /* keys that expire */
    STORE_FEATURE_MEMBERS,    /* hashes, sets and sorted sets */
    STORE_FEATURE_FIELDS,     /* fields that expire */
    STORE_FEATURE_COUNT
};
/* To be called by what writes something that needs the feature, before it does: notes in the same
 * transaction that the store uses it, so that an older version sees that. Cheap once it is noted.
 * OXBOW_ENOTSUP: the transaction's database is a cache, which has no such thing.
 * OXBOW_ELEVEL: it came with a later level than the store's, and nobody has confirmed that one yet
 * (oxbow_upgrade); nothing was written and the transaction is as it was. */
OXBOW_MUST_CHECK enum oxbow_err txn_feature_require(struct oxbow_txn *txn,
                                                    enum store_feature feature);

/* Whether what a commit, or a wait for its LSN, gave means that it was applied and its results hold:
 * durable as asked, or held in memory by a store whose device has failed. */
static inline bool kv_applied(enum oxbow_err err)
{
    return err == OXBOW_OK || err == OXBOW_EVOLATILE;
}

/* ---- what a layer above hangs on the store ---- */

/* oxbow_open, which the topmost layer defines. `mend` is called when the store is open, before
 * anybody else sees it: what a salvage has left is the layers' to make sense of (loss.h). Its error
 * closes the store again. */
OXBOW_MUST_CHECK enum oxbow_err store_open(const struct oxbow_config *config,
                                           enum oxbow_err (*mend)(struct oxbow *db),
                                           struct oxbow **out);

/* Whether the opening before this one ended without oxbow_close (or wrote nothing after it was made), and
 * this one may write. / Whether the store goes on in memory when its device fails. */
bool store_cut_off(const struct oxbow *db);
bool store_may_hold(const struct oxbow *db);

/* Rises whenever a transaction that could write was aborted or failed to commit: what a layer keeps
 * in memory and may have taken from such a transaction must then be read again. Called with the
 * store's lock held. */
uint64_t store_abort_count(const struct oxbow *db);

/* Called by commit, with the store's lock held, after the transaction was applied, once per object
 * that txn_touch named. Must be short and must not begin a transaction. */
void store_set_touch_hook(struct oxbow *db, void (*hook)(void *ctx, uint64_t object, uint64_t lsn),
                          void *ctx);
OXBOW_MUST_CHECK enum oxbow_err txn_touch(struct oxbow_txn *txn, uint64_t object);

/* Called by each commit of a transaction that wrote, with the store's lock held, after it was applied;
 * not when it failed. Must be short and must not call the store. NULL: none. */
void store_set_commit_hook(struct oxbow *db, void (*hook)(void *ctx), void *ctx);

/* A pointer that a layer keeps with the store (say, the blocked readers), with what frees it at
 * close. Read and set with the store's lock held. */
enum store_slot {
    STORE_SLOT_WAIT,
    STORE_SLOT_FORWARD,
    STORE_SLOT_CATALOG,
    STORE_SLOT_POLICY,
    STORE_SLOT_DELAY,
    STORE_SLOT_EXPIRE,
    STORE_SLOT_METRIC,
    STORE_SLOT_BINDING,
    STORE_SLOT_CREDIT,
    STORE_SLOT_SCHEDULE,
    STORE_SLOT_GROUP,
    STORE_SLOT_RATE,
    STORE_SLOT_KEY_EXPIRY,
    STORE_SLOT_KEY_EXPIRY_CACHE,
    STORE_SLOT_OBJECT_DUE,
    STORE_SLOT_OBJECT_DUE_CACHE,
    STORE_SLOT_COUNT
};
void *store_slot_get(struct oxbow *db, enum store_slot slot);
void *txn_slot_get(const struct oxbow_txn *txn, enum store_slot slot); /* of txn_store */
void store_slot_set(struct oxbow *db, enum store_slot slot, void *p,
                    void (*close)(struct oxbow *db, void *p));

/* Work that wants to be done in small steps when the store has time, or when something is due: called
 * by the checkpoint thread with a transaction of its own at open, after each checkpoint, soon after
 * commits, every so often while *more, and when the clock shows what txn_idle_at asked for. Each time
 * it is called it says *more, or asks anew with txn_idle_at for when it will have something to do. */
enum store_idle {
    STORE_IDLE_REAP,   /* the catalog's */
    STORE_IDLE_DUE,    /* what is delayed, scheduled or expires */
    STORE_IDLE_POLICY, /* retention */
    STORE_IDLE_GROUP,  /* what was delivered and not acked */
    STORE_IDLE_FIELD,  /* fields that expire */
    STORE_IDLE_WATCH,  /* figures that somebody watches */
    STORE_IDLE_COUNT
};
void store_set_idle_hook(struct oxbow *db, enum store_idle which,
                         enum oxbow_err (*hook)(struct oxbow_txn *txn, bool *more));
/* Inside a transaction. */
bool store_has_idle_hook(const struct oxbow *db, enum store_idle which);
/* All idle hooks are to be called when txn_clock_ms shows `clock_ms`, or before. An aborted
 * transaction may have asked as well: a call in vain. */
void txn_idle_at(struct oxbow_txn *txn, uint64_t clock_ms);

#endif
