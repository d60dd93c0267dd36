/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oxbow: an embedded persistent queue engine. The store and its transactions.
 *
 * A store is a directory that one process owns while it is open. Everything is read and written in
 * transactions; the queue operations are in list.h, stream.h, group.h and key.h, the uplink to a
 * central Redis is in forward.h and uplink.h. Any thread may call anything here; one transaction
 * belongs to one thread at a time.
 */
#ifndef OXBOW_OXBOW_H
#define OXBOW_OXBOW_H

#include "oxbow/cache.h"
#include "oxbow/error.h"
#include "oxbow/members.h"
#include "oxbow/port.h"
#include "oxbow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_VERSION        "0.1.0"
#define OXBOW_FORMAT_VERSION 1u /* of the bytes on disk: docs/FORMAT.md */
#define OXBOW_FORMAT_LEVEL   2u /* the newest of its levels that this version knows: upgrade.h */

/* When a commit counts as done, and what a crash may take:
 *
 *              | done when                          | process crash      | power cut
 *   always     | it is on the device                | nothing            | nothing
 *   interval   | its bytes are with the system      | nothing            | at most the last
 *              |                                    |                    | `interval_ms`
 *   none       | its bytes are with the system      | nothing            | what the system had not
 *              |                                    |                    | written back
 *
 * `interval` counts from the oldest commit that is not on the device, on the monotonic clock; when
 * the device does not keep up, callers wait. Without the journal `interval` loses up to
 * `interval_ms` at a process crash too, and `none` is refused with OXBOW_ENOTSUP at open and at
 * begin. What is found after a crash is always a prefix of the order of commits, never a hole. */
enum oxbow_sync {
    OXBOW_SYNC_DEFAULT = 0, /* in a transaction: the store's; in a store: always */
    OXBOW_SYNC_ALWAYS = 1,
    OXBOW_SYNC_INTERVAL = 2,
    OXBOW_SYNC_NONE = 3
};

/* REPAIR has an open look at every value as well as at the pages, and mend what is found; what the device
 * cannot read any more counts as damaged, where it is OXBOW_EIO otherwise. Not together with
 * READONLY or STRICT. */
#define OXBOW_OPEN_EXISTING 0x01u /* OXBOW_ENOENT instead of making a store that is not there */
#define OXBOW_OPEN_READONLY 0x02u /* nothing in the directory but the lock is written */
#define OXBOW_OPEN_STRICT   0x04u /* a damaged data file is OXBOW_ECORRUPT and not mended */
#define OXBOW_OPEN_REPAIR   0x08u /* see below */

/* The journal makes a commit durable with one small write, long before its checkpoint. Without it
 * each durable commit takes a checkpoint: more bytes and two flushes, but no space for the ring. */
enum oxbow_journal {
    OXBOW_JOURNAL_DEFAULT = 0, /* on */
    OXBOW_JOURNAL_ON = 1,      /* where it cannot be made (no space) the store goes on without, says
                                  so in the log and in oxbow_stat */
    OXBOW_JOURNAL_OFF = 2      /* and removed if there is one */
};

/* What an open does with files in its directory that are no store it can open: another program's
 * data file, a store of another version, word size, byte order. A store of this version that is
 * damaged is not foreign, and what another process has open is never touched. */
enum oxbow_on_foreign {
    OXBOW_FOREIGN_REFUSE = 0,   /* OXBOW_EFORMAT, and the log says what was found */
    OXBOW_FOREIGN_SET_ASIDE = 1 /* those of them that have a name of a store's files are moved into
                                   a new directory `foreign-N` in the store's, nothing is overwritten
                                   or deleted, and a new store is made. Without effect with
                                   OXBOW_OPEN_EXISTING or READONLY. oxbow_recovery tells of it. What
                                   was set aside counts towards no limit */
};

/* What a store does whose device has failed: a write or a sync, or what a checkpoint needs, gave
 * OXBOW_EIO, OXBOW_ENOSPC, OXBOW_EREADONLY, OXBOW_ENOENT or OXBOW_ESYS. Damage and lack of memory stop
 * it in any case. What keeps a store from being opened is oxbow_open's error, or the beginning of a
 * stand-in (oxbow_config.stand_in).
 *
 * A store in memory goes on with all that it had and takes on what comes, up to `memory_max`, until
 * its device can be written again: it tries by itself after a second, then at longer and longer
 * intervals up to a minute, and when oxbow_return asks. Then everything that it holds goes to the
 * device in one step, after which it is as if nothing had happened: ids, cursors, groups, forwards
 * and their positions go on. Until then nothing is acknowledged as durable: every commit that would
 * wait for durability is OXBOW_EVOLATILE. If the program ends or the power goes before, what was
 * committed after oxbow_stat.lsn_durable is lost. The uplink sends what is held
 * all the same; how that is settled with the target if it is lost here, docs/UPLINK.md tells.
 * What is not in memory is read from the device as long as that can be read. A device that is gone may
 * end the program at such a read (SIGBUS), as without this policy. */
enum oxbow_on_failure {
    OXBOW_FAILURE_STOP = 0,  /* OXBOW_EFAILED for all that comes, until it is opened again */
    OXBOW_FAILURE_MEMORY = 1 /* not together with OXBOW_OPEN_READONLY */
};

/* All zero means default, but for `dir`. Copied by oxbow_open.
 *
 * Two limits: `quota_bytes` is how far pushes may fill the store; `disk_bytes` is what all files of
 * the directory together never exceed on the device. Between the two lies the room in which a full
 * store can still be emptied, and what acks and claims write: three times two checkpoints at their
 * largest. One of the two limits is enough, the other follows from it; OXBOW_EINVAL when disk_bytes
 * or map_bytes leave less than two thirds of that room above the quota. */
struct oxbow_config {
    const char *dir;               /* the store's directory; made if absent (its parent is not) */
    const struct oxbow_port *port; /* 0: oxbow_port_default() */
    uint32_t flags;                /* OXBOW_OPEN_* */
    enum oxbow_sync sync;          /* 0: always */
    uint32_t interval_ms;          /* for `interval`; 1 to 3,600,000; 0: 1000 */
    uint64_t quota_bytes;          /* what pushes may fill; at least 1 MiB; 0: from disk_bytes; both
                                      0: 1 GiB, 32-bit: 256 MiB */
    uint64_t disk_bytes;           /* limit of all files on the device; 0: from quota_bytes */
    uint64_t map_bytes;            /* LMDB's map; 0: max(4 x quota, 1 GiB), 32-bit: 512 MiB */
    uint32_t dirty_pages;          /* estimated pages that start a checkpoint; 0: 3072 */
    uint32_t memtable_bytes;       /* bytes that start a checkpoint; 0: 4 MiB */
    uint32_t names_max;            /* names of keys that are remembered, 64 bytes each; 32 to
                                      1,048,576; 0: 2048 */
    uint32_t checkpoint_ms;        /* age that starts a checkpoint; 0: 60,000 */
    uint32_t txn_bytes;            /* hard cap on one transaction; 0: 16 MiB */
    uint32_t entry_bytes;          /* hard cap on one value or entry; at most 256 MiB; 0: 64 MiB */
    uint64_t endurance_bytes;      /* what the device may be written in its life, by its data sheet:
                                      see oxbow_wear; 0: not known */
    enum oxbow_journal journal;    /* 0: on */
    uint32_t journal_segments;     /* files of the journal's ring, 2 to 16; 0: as it is, or 4 */
    uint32_t journal_bytes; /* of each, 64 KiB to 256 MiB, rounded up to 4 KiB; 0: as it is, or
                                      a 64th of quota or of free space, at most 4 MiB */
    enum oxbow_on_foreign on_foreign; /* 0: refuse */
    uint32_t level; /* of a store that this open makes, 1 to OXBOW_FORMAT_LEVEL; 0: the newest. One
                       that an older version may have to open is made at the level that that one
                       knows: upgrade.h */
    enum oxbow_on_failure on_failure; /* 0: stop */
    uint64_t memory_max; /* for `memory`: bytes that changes may take while the store is in
                                         memory, 1 MiB to 128 MiB; 0: 16 MiB. What adds is refused there
                                         (OXBOW_EQUOTA); what deletes, acks or moves on may take a quarter
                                         more, and while they are tidied up they are there twice */
    /* With `memory` alone: a directory on a file system in memory (/dev/shm/oxbow), for when `dir`
     * cannot be opened because of its device (OXBOW_EIO, OXBOW_ENOENT, OXBOW_EREADONLY,
     * OXBOW_ENOSPC, OXBOW_ESYS). oxbow_open then gives a stand-in: an empty store there, or the one
     * that was used before, with `memory_max` for a quota. It does all that a store does, says so in
     * oxbow_stat (in_memory, stand_in), and its commits are OXBOW_EVOLATILE; an end of the program
     * it survives, a power cut not. It looks for the device now and then (oxbow_stat.device_back);
     * who opens the store again then has all that was left there merged into it before oxbow_open
     * returns: oxbow_recovery, docs/STORAGE.md. Made if absent (its parent is not). Neither `dir`
     * nor in it nor around it (OXBOW_EINVAL). NULL: none */
    const char *stand_in;
    uint32_t
        cache_databases; /* those that are kept in memory alone, a bit each: cache.h. OXBOW_EEXIST:
                                 one of them has keys or forwards on the device. Not together with
                                 OXBOW_OPEN_READONLY */
    struct oxbow_cache_limit cache; /* of cache_databases; all 0: no limit */
    /* oxbow_members() of members.h, with which hashes, sets and sorted sets of a stand-in are merged.
     * NULL: they stay there, and oxbow_recovery.merge_left is OXBOW_ENOTSUP until they are */
    const struct oxbow_members *members;
};

/* Opens the store, making it if absent. Recovers, verifies, and says in the log what it found. If the
 * data file is damaged it is mended first, with all that is intact, and what is lost is on record:
 * loss.h. On failure nothing is left open and *out is untouched.
 * OXBOW_EINVAL   a field out of its range
 * OXBOW_ELOCKED  another process (or this one) has it open
 * OXBOW_EFORMAT  not a store, or one of another version, word size, byte order or page size, or one
 *                that uses a feature which this version does not know (upgrade.h); it is never
 *                overwritten
 * OXBOW_ECORRUPT the store's files contradict each other; the data file is damaged and is not to be
 *                mended (OXBOW_OPEN_STRICT, OXBOW_OPEN_READONLY) or cannot be
 * OXBOW_ENOSPC   also when a damaged data file cannot be mended for lack of room: nothing changed
 * OXBOW_EIO, OXBOW_EREADONLY, OXBOW_ENOMEM */
OXBOW_MUST_CHECK enum oxbow_err oxbow_open(const struct oxbow_config *config, struct oxbow **out);

/* Makes everything durable, wakes all who wait with OXBOW_ECLOSED, and frees the store, also when
 * it reports an error: then what was not durable before is lost (OXBOW_EINDOUBT to its waiters).
 * No transaction may be open. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_close(struct oxbow *db);

/* ---- transactions ---- */

#define OXBOW_TXN_READ   0x01u /* writes answer OXBOW_EREADONLY */
#define OXBOW_TXN_NOWAIT 0x02u /* commit returns before it is durable; see oxbow_wait */
#define OXBOW_TXN_FORCE  0x04u /* may touch what a forward protects: forward.h */
#define OXBOW_TXN_LAZY   0x08u /* with NOWAIT: nor is a sync asked for; see oxbow_sync_gather */

struct oxbow_txn_options {
    enum oxbow_sync sync; /* 0: the store's, or its databases' (oxbow_set_database_sync) */
    uint32_t flags;       /* OXBOW_TXN_* */
    uint32_t database;    /* 0 to 15, as Redis' SELECT */
};

/* Begins a transaction and takes the store's one lock until commit or abort: keep it short. `opt`
 * may be NULL for defaults. Waits while both memtables are full.
 * OXBOW_ECLOSED, OXBOW_EFAILED, OXBOW_ENODB, OXBOW_ENOTSUP (sync none without a journal),
 * OXBOW_EREADONLY (a writing one on a read-only store), OXBOW_ENOMEM */
OXBOW_MUST_CHECK enum oxbow_err
oxbow_txn_begin(struct oxbow *db, const struct oxbow_txn_options *opt, struct oxbow_txn **out);

/* Applies all of it or nothing, and frees the transaction whatever it returns. `lsn` may be NULL;
 * it receives the log sequence number that the transaction is (a reader: that it saw). Under
 * `always` it returns when that LSN is durable, unless OXBOW_TXN_NOWAIT; a reader under `always`
 * likewise waits until what it saw is durable. Results of the transaction's operations must not be
 * acted upon before this has returned OXBOW_OK.
 * Nothing applied: OXBOW_ETXNBIG, OXBOW_EQUOTA, OXBOW_ENOMEM, OXBOW_EFAILED, OXBOW_ECLOSED, and the
 * first error of an operation that left the transaction unusable.
 * Unknown: OXBOW_EINDOUBT (applied, but the store failed before it was durable).
 * Applied, *lsn written, but not as safe as its policy says: OXBOW_EVOLATILE, of a store that is in
 * memory (enum oxbow_on_failure). Under all policies, also to a reader who saw such a thing; with
 * OXBOW_TXN_NOWAIT nobody waits and it is OXBOW_OK. It must not be committed again. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_txn_commit(struct oxbow_txn *txn, uint64_t *lsn);

/* Drops the transaction without a trace. */
void oxbow_txn_abort(struct oxbow_txn *txn);

/* How many changes the transaction has made so far: for one who carries out several operations in it and
 * wants to know whether any of them did something. */
uint64_t oxbow_txn_changes(const struct oxbow_txn *txn);
/* Whether its changes so far fill half of what the journal takes of one transaction (32 KiB, or an
 * eighth of a segment). A program that gathers many small changes commits then: more would save next
 * to nothing, and what is longer than the journal takes goes past it, at a checkpoint's price. False
 * in a store without a journal. */
bool oxbow_txn_filled(const struct oxbow_txn *txn);
/* Has the commit give `err` and apply nothing, as an operation does that left the transaction
 * unusable: for one whose operations belong together, when a later one of them is refused. The first
 * error stays; OXBOW_OK does nothing. */
void oxbow_txn_refuse(struct oxbow_txn *txn, enum oxbow_err err);

/* Goes on in another database, as Redis' SELECT. OXBOW_ENODB above 15. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_txn_select(struct oxbow_txn *txn, uint32_t database);

/* The databases that the transaction was in since this was asked last, or since it began: a bit for each,
 * 1 << number. For a program that carries out several callers' operations in one transaction. */
uint32_t oxbow_txn_databases(struct oxbow_txn *txn);

/* ---- durability ---- */

/* An LSN means something only to the opening of the store that gave it. After an end without
 * oxbow_close the next opening counts on 2^32 above what it found, so none is used twice; one that
 * was lost is then below what the new opening calls durable. Waiters on it got OXBOW_EINDOUBT. */

/* Waits until `lsn` is durable, and starts a sync at once if none is on its way.
 * OXBOW_ETIMEDOUT after timeout_ms (negative: never), OXBOW_EINDOUBT, OXBOW_ECLOSED,
 * OXBOW_EVOLATILE at once while the store is in memory. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_wait(struct oxbow *db, uint64_t lsn, int64_t timeout_ms);

/* Makes everything that was committed so far durable. Errors as oxbow_wait. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_flush(struct oxbow *db);

/* The newest durable LSN, without waiting. */
uint64_t oxbow_durable_lsn(struct oxbow *db);

/* The newest LSN that may be acted upon by who follows the store at a distance, as the uplink does: the
 * newest durable one, or while the store is in memory the newest committed one. */
uint64_t oxbow_settled_lsn(struct oxbow *db);

/* Has a store that is in memory try its device now, and waits until that is done: a try that began
 * after the call, whatever one that was under way gives. OXBOW_OK: it is on its device, as it was
 * before perhaps. Otherwise what kept it from there: OXBOW_EIO and whatever
 * oxbow_open gives. The rest is as before the call. A stand-in looks for the device:
 * OXBOW_EAGAIN, it is back (oxbow_stat.device_back). OXBOW_ECLOSED, OXBOW_EFAILED. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_return(struct oxbow *db);

/* Whether a transaction that writes can begin without waiting for the device. OXBOW_EAGAIN: it cannot,
 * what is in memory fills the tables, or an interval is late; oxbow_durable_fd becomes readable when that may
 * have changed. For a program that has other things to do than to wait in oxbow_txn_begin, and that has the
 * store for itself: others may take the room. A store that has failed or closes has room: to tell that.
 * Not while the calling thread has a transaction open; another thread's is waited for. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_room(struct oxbow *db);

/* Asks for a sync of everything up to `lsn` without waiting for it. */
void oxbow_sync_start(struct oxbow *db, uint64_t lsn);

/* The same for a program that waits on behalf of many, as a server does, and that commits with
 * OXBOW_TXN_LAZY: `waiters` of them wait for `lsn` from now on, who were not counted in a call before
 * (0: nobody is new). Those whom one sync releases tend to come again at once. So the next one begins
 * when as many wait as for the last one or came while it was under way, and otherwise after half the
 * time that it took, at most 2 ms. Without that each sync would carry one half of them, and each
 * would wait for two. Threads that wait for what they committed are counted along. A device that is
 * faster than one can be woken is not waited for, and a store without a journal gathers as always.
 * OXBOW_OK: it is asked for, or durable. What will not be is told at once: OXBOW_EINDOUBT,
 * OXBOW_ECLOSED; OXBOW_EVOLATILE while the store is in memory. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_sync_gather(struct oxbow *db, uint64_t lsn, uint32_t waiters);

/* A descriptor that becomes readable whenever the durable LSN has advanced, or the store failed, and
 * when there may be room again after oxbow_room said that there is none;
 * call oxbow_durable_clear, then look at oxbow_durable_lsn. Owned by the store. -1: the port has
 * none. One loop per store may use it. */
int oxbow_durable_fd(struct oxbow *db);
void oxbow_durable_clear(struct oxbow *db);

/* ---- status ---- */

struct oxbow_stat {
    uint64_t lsn_applied;        /* newest committed */
    uint64_t lsn_written;        /* newest that a crash of the process alone cannot take */
    uint64_t lsn_durable;        /* newest on the device */
    uint64_t oldest_unsynced_us; /* age of the oldest commit that is not durable, from 1; 0: none */
    uint64_t quota_bytes;
    uint64_t used_bytes;      /* of the quota, data file and memtables counted */
    uint64_t reserve_bytes;   /* above the quota, for deletes, acks and trims only */
    uint64_t file_bytes;      /* length of the data file */
    uint64_t free_bytes;      /* of it, free pages */
    uint64_t hole_bytes;      /* of those, given back to the file system */
    uint64_t disk_bytes_max;  /* oxbow_config.disk_bytes, or what followed from the quota */
    uint64_t memtable_bytes;  /* active and frozen */
    uint64_t checkpoints;     /* since open */
    uint64_t device_bytes;    /* written since open, by all causes: see oxbow_wear */
    uint64_t payload_bytes;   /* of them, what the caller put in */
    uint64_t keys;            /* in the data file, at the last checkpoint */
    uint64_t values_bad;      /* values that failed their checksum since open */
    bool journal;             /* whether there is one */
    uint64_t journal_frames;  /* written since open */
    uint64_t journal_written; /* bytes, likewise, as they go to the device: whole blocks */
    uint64_t journal_syncs;
    uint64_t journal_sync_us; /* that these took together */
    enum oxbow_sync sync;
    uint32_t interval_ms;
    uint64_t store_id; /* random, made with the store */
    uint64_t boot;     /* how often the store was opened */
    bool in_memory;    /* its device has failed: nothing new is durable (enum oxbow_on_failure) */
    enum oxbow_err memory_why;  /* what failed; OXBOW_OK: nothing */
    enum oxbow_err memory_last; /* why the newest try to go back failed; OXBOW_OK: none did */
    uint64_t memory_us;         /* since when, ago */
    uint64_t memory_max;        /* oxbow_config.memory_max; 0: the policy is `stop` */
    uint64_t memory_held;       /* transactions that are held in memory only */
    uint64_t memory_times;      /* how often that happened since open */
    bool stand_in; /* this is a stand-in (oxbow_config.stand_in), in memory for as long as it is
                         open; memory_held counts this opening's transactions */
    bool
        device_back; /* and the store could be opened now, as far as can be seen: close this one and
                         open it */
};

/* Fills *out. Never waits for the device. */
void oxbow_stat(struct oxbow *db, struct oxbow_stat *out);

/* ---- wear ---- */

/* What the store handed to the device to write, by cause. A file system's own bookkeeping, and what
 * the device makes of it (it erases blocks far larger than a write), come on top. */
struct oxbow_wear_account {
    uint64_t journal_bytes;    /* frames, with their padding */
    uint64_t checkpoint_bytes; /* pages of the data file, counted by what each commit took from
                                  growth and free list, and one meta page for each */
    uint64_t other_bytes;      /* making and zero-filling files, what every open writes, repair */
    uint64_t payload_bytes;    /* keys and values that callers put in, as the store keeps them */
    uint64_t open_ms;          /* how long the store was open to be written, monotonic clock */
};

struct oxbow_wear {
    struct oxbow_wear_account since_open;
    struct oxbow_wear_account life; /* since the store was made. Kept with each checkpoint: a crash
                                       takes what was noted after the last one */
    uint64_t per_payload_milli;     /* of its life: bytes written for 1,000 bytes of payload; 0:
                                       there was no payload */
    uint64_t per_day_bytes;         /* of its life, by the time it was open; 0: that was less than
                                       OXBOW_WEAR_LEAST_MS, too little to tell */
    uint64_t endurance_bytes;       /* as configured; 0: not known */
    uint64_t used_ppm;  /* millionths of the endurance, used by this store; 0: unknown */
    uint64_t days_left; /* until it is used up at per_day_bytes; UINT64_MAX: unknown */
};

#define OXBOW_WEAR_LEAST_MS 600000u

/* Fills *out. Never waits for the device. */
void oxbow_wear(struct oxbow *db, struct oxbow_wear *out);

/* What open found in the journal. Ranges of LSNs, 0 to 0: none. */
struct oxbow_recovery {
    bool journal_missing;   /* files of it are not there or cut off, after an opening that was not
                               closed: transactions above `replayed_upto`, acknowledged perhaps, may be
                               lost, and nothing tells how many */
    uint64_t replayed;      /* transactions above the last checkpoint */
    uint64_t replayed_upto; /* the newest that is there now */
    uint64_t skipped;       /* changes to values that were damaged or gone */
    uint64_t lost_from;     /* acknowledged, and lost to damage */
    uint64_t lost_upto;
    uint64_t
        doubt_from; /* not whole: what a power cut leaves of a write, or damage to the last one */
    uint64_t doubt_upto;
    uint32_t foreign;       /* the N of the directory `foreign-N` into which this opening moved what
                               it found; 0: nothing was set aside */
    uint32_t foreign_files; /* how many files and directories are in it; the log names them */
    uint64_t
        merged; /* entries and members that were brought from stand-ins (oxbow_config.stand_in) */
    enum oxbow_err
        merge_left; /* OXBOW_OK: nothing is left in a stand-in. Otherwise something is, and
                                  why; the next opening goes on with it */
};

/* Fills *out; it does not change while the store is open. */
void oxbow_recovery(struct oxbow *db, struct oxbow_recovery *out);

/* Changes the default policy at run time. interval_ms 0: as it is. Errors: OXBOW_EINVAL,
 * OXBOW_ENOTSUP. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_sync(struct oxbow *db, enum oxbow_sync sync,
                                               uint32_t interval_ms);

/* Gives a database a policy of its own, or with OXBOW_SYNC_DEFAULT the store's again. It counts for
 * transactions that do not say theirs (oxbow_txn_options.sync is 0): such a one is as safe as the
 * strictest policy of all the databases that it was in, of oxbow_txn_begin and oxbow_txn_select, be
 * it to write or to read, and its commit waits like that. All databases share one order of commits, so
 * what is found after a crash is a prefix of it for all of them together; and a sync that one of
 * them asks for covers the others. Lasts until the store is closed. What was committed before is synced
 * at once. interval_ms: for `interval`; 0: the store's.
 * OXBOW_ENODB, OXBOW_EINVAL, OXBOW_ENOTSUP (none, without a journal). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_set_database_sync(struct oxbow *db, uint32_t database,
                                                        enum oxbow_sync sync, uint32_t interval_ms);
/* What counts for the database now, be it its own or the store's. OXBOW_ENODB. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_database_sync(struct oxbow *db, uint32_t database,
                                                    enum oxbow_sync *sync, uint32_t *interval_ms);

/* The port that the store was opened with. */
const struct oxbow_port *oxbow_port_of(const struct oxbow *db);

#ifdef __cplusplus
}
#endif

#endif
