/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's own state. For engine/store alone.
 *
 * Two locks, one over the other:
 *   the turn   who has it owns the tables, the snapshot and the one `struct oxbow_txn`. A
 *              transaction has it from begin to commit or abort; the checkpoint thread takes it
 *              for the moments between.
 *   the mutex  guards everything marked M; held for moments, never over a call to the device.
 * What is marked T belongs to the turn; what is marked C to the checkpoint thread.
 */
#ifndef OXBOW_STORE_STORE_H
#define OXBOW_STORE_STORE_H

#include "engine/store/backup.h"
#include "engine/store/cache.h"
#include "engine/store/clock.h"
#include "engine/store/expired.h"
#include "engine/store/hold.h"
#include "engine/store/journal.h"
#include "engine/store/kv.h"
#include "engine/store/memtable.h"
#include "engine/store/space.h"
#include "engine/store/stand_in.h"
#include "engine/store/tree.h"
#include "engine/store/undo.h"
#include "engine/store/wear.h"
#include "oxbow/upgrade.h"

#define STORE_DATABASES    16u
#define STORE_DIR_MAX      1024u /* bytes of a directory's path */
#define STORE_PATH_ROOM    48u   /* the longest file name in one, and '/' */
#define STORE_CURSORS_KEPT 8u
#define STORE_INTERVAL_MAX 3600000u /* ms */
#define STORE_IDLE_US      1000000u /* idle work is looked for so long after a commit */
#define STORE_IDLE_ALL     ((1u << STORE_IDLE_COUNT) - 1)
#define STORE_KEY_PENDING  'p' /* KV_SPACE_STORE, this, be64: a blob to be reaped */
#define STORE_KEY_FEATURES 'f' /* KV_SPACE_STORE, this: feature.c */
#define JOURNAL_SEGMENTS   4u  /* where the configuration does not say */
#define QUOTA_MIN          (1ull << 20)
#define RESERVE_PAGES      64u /* and three times the largest transaction */
/* By how much the active table may outgrow `dirty_pages` while a checkpoint is under way: so many
 * times, at most so many pages. A page is cheaper the more it collects. */
#define PAGES_OVER     3u
#define PAGES_OVER_MAX 1024u

struct oxbow_txn {
    struct oxbow *db;
    struct undo_log undo;
    uint64_t writes; /* counts them: a cursor sees that it must look again */
    uint64_t stored; /* of them, those that were not to a cache */
    uint64_t bytes;  /* of keys and values written */
    enum oxbow_err failed;
    enum oxbow_sync sync;
    uint32_t interval_ms;   /* of `interval` */
    bool by_database;       /* it did not say its policy: its databases do, at its commit */
    bool to_system;         /* one of them is content when the system has it */
    uint32_t databases;     /* that it was in, a bit each */
    uint32_t databases_new; /* likewise, since oxbow_txn_databases */
    uint32_t flags;
    uint32_t database;
    bool internal; /* of the checkpoint thread */
    bool replayed; /* by recovery: was admitted once */
    bool wall_read;
    uint64_t wall_ms;
    uint64_t *touched;
    size_t touched_count;
    size_t touched_cap;
    uint32_t cursors; /* open */
    bool blobs;       /* wrote pieces ahead, or deleted a blob */
    uint64_t ahead;   /* bytes written ahead */
};

/* The record of features, as it was read or written last. */
struct store_features {
    uint64_t bits[OXBOW_FEATURE_KINDS];
    uint64_t aborts; /* store_abort_count of then: what was written may have been taken back */
    bool assumed;    /* the record is lost, `bits` is all that it may have said */
};

/* A large value that the checkpoint thread is to write. */
struct blob_job {
    struct oxbow_bytes data;
    uint64_t id;
    enum oxbow_err err;
    bool done;
};

/* A database's own policy. */
struct database_sync {
    enum oxbow_sync sync; /* 0: the store's */
    uint32_t interval_ms; /* 0: the store's */
};

struct slot {
    void *p;
    void (*close)(struct oxbow *db, void *p);
};

struct oxbow {
    const struct oxbow_port *port;
    struct oxbow_config config; /* with every default filled in; `dir` is ours */
    char *path;                 /* room for the path of a file in `dir`; see directory_path */
    size_t path_bytes;
    int lock_fd;     /* -1: none */
    int data_fd;     /* for the walk at open and for reserving space; -1: none */
    char *data_path; /* of what data_fd is; NULL: the port cannot compare */

    uint64_t aborts; /* of transactions that could write: store_abort_count */

    struct oxbow_mutex *mutex;
    struct oxbow_cond *turn_free; /* the turn was given back */
    struct oxbow_cond *room;      /* there may be room in the tables */
    struct oxbow_cond *settled;   /* lsn_durable, failed or closing changed */
    struct oxbow_cond *work;      /* for the checkpoint thread */
    struct oxbow_thread *thread;
    struct oxbow_cond *journal_work; /* for the journal thread */
    struct oxbow_cond *gathered;     /* for who leads a sync: all that were expected have come */
    struct oxbow_thread *journal_thread; /* NULL: no journal */
    struct oxbow_event *event;           /* NULL: the port has none */

    struct tree *tree;
    struct memtable tables[2];
    struct memtable *active; /* T, and M to change which */
    struct memtable *frozen; /* M to change; its content is constant. NULL: none */
    struct journal journal;
    struct oxbow_txn txn;                            /* T */
    struct cache cache;                              /* T */
    struct tree_cursor *cursors[STORE_CURSORS_KEPT]; /* T: spare ones */
    size_t cursors_kept;
    struct slot slots[STORE_SLOT_COUNT]; /* T */
    /* Apart from what the mutex guards: compilers read neighbours in one go. */
    bool freeze_soon;        /* T: as freeze_wanted, noted by who has the turn */
    bool in_memory;          /* T: as hold.why said when the turn was taken */
    bool device_full;        /* T: the device did not give what the tables need */
    uint64_t reserved_bytes; /* T: the data file has that much of the device */
    uint64_t next_blob;      /* T */

    bool busy;                /* M: somebody has the turn */
    bool stop;                /* M: the checkpoint thread is to end */
    bool journal_stop;        /* M: the journal thread is to end */
    bool closing;             /* M */
    bool retire_pending;      /* M: frozen is on the device and waits for the turn */
    bool freeze_wanted;       /* M: whoever gives the turn back freezes */
    bool idle_waits;          /* M: idle work is due and found the turn taken */
    bool idle_turn;           /* M: the turn was handed to idle work */
    enum oxbow_err failed;    /* M: why nothing is written any more */
    uint32_t waiting;         /* M: threads inside some wait */
    uint64_t lsn_applied;     /* M and T to change */
    uint64_t lsn_durable;     /* M */
    uint64_t lsn_tree;        /* M: of the newest checkpoint */
    uint64_t lsn_wanted;      /* M: a sync is wanted up to here */
    uint64_t gather;          /* M: a sync waits a moment until that many commits want it */
    uint64_t gather_until_us; /* M: but not longer than this */
    enum oxbow_sync sync;     /* M */
    uint32_t interval_ms;     /* M */
    struct database_sync own[STORE_DATABASES]; /* M */
    bool own_policies;                         /* M: one of them says something */
    uint64_t boot;
    uint64_t store_id;
    uint32_t level;                 /* T, and M to change: of the format, confirmed */
    struct store_features features; /* T */
    bool newer;                     /* at open: refused as a newer version's */
    bool aside;                  /* at open: what is there was refused so, and is to be set aside */
    struct store_clock clock;    /* T */
    struct expired_ring expired; /* T */
    struct oxbow_recovery recovery;
    bool cut_off;            /* the opening before this one was not closed */
    bool commit_doubt;       /* a meta page was destroyed: the last checkpoint may be missing */
    bool reap;               /* M: there may be blobs to reap */
    uint32_t idle_more;      /* M: the hooks that want another step, a bit each */
    uint32_t idle_failed;    /* M: steps, since the store is closing */
    bool quota_tight;        /* M: something was refused for lack of room since the last retire */
    bool room_asked;         /* M: somebody was told that there is no room, and sleeps on `event` */
    uint64_t largest_txn;    /* M */
    uint64_t payload_bytes;  /* M */
    struct wear wear;        /* M */
    struct tree_usage usage; /* M: as of the last retire */
    uint64_t keys;           /* M: likewise */
    uint64_t used_bytes;     /* M: of the quota, as of the last transaction */
    uint64_t table_bytes;    /* M: likewise */
    struct blob_job *blob_job; /* M: not begun; its owner has the turn. NULL: none */
    uint8_t *front;            /* C: FRONT_BYTES and PIECES_MAX */
    unsigned idle_next;        /* C: the hook whose turn it is */
    uint64_t idle_at_us;       /* M */
    uint64_t timer_us;         /* M: then all hooks want a step. UINT64_MAX: nobody asked */
    struct space space;        /* C */
    uint64_t hole_pages;       /* M: as of the last retire */
    struct hold hold;
    struct stand_in stand; /* M */
    struct backup_slot backup;

    void (*touch_hook)(void *ctx, uint64_t object, uint64_t lsn); /* M */
    void *touch_ctx;
    void (*commit_hook)(void *ctx); /* M */
    void *commit_ctx;
    enum oxbow_err (*idle_hooks[STORE_IDLE_COUNT])(struct oxbow_txn *txn, bool *more); /* M */
};

static inline void store_lock(struct oxbow *db)
{
    db->port->threads.mutex_lock(db->mutex);
}

static inline void store_unlock(struct oxbow *db)
{
    db->port->threads.mutex_unlock(db->mutex);
}

static inline uint64_t store_now_us(const struct oxbow *db)
{
    return db->port->clock.mono_us(db->port->clock.ctx);
}

/* Whether nothing more goes to the device. With the mutex. */
static inline bool store_halted(const struct oxbow *db)
{
    return db->failed != OXBOW_OK || db->hold.why != OXBOW_OK;
}

void store_log(const struct oxbow *db, enum oxbow_log_level level, const char *text);

/* ---- turn.c: all with the mutex held ---- */

/* There may be room for writers that there was not. With the mutex held. */
void turn_room(struct oxbow *db);
/* Takes the turn. For a writer, waits while there is no room. OXBOW_ECLOSED, OXBOW_EFAILED. */
OXBOW_MUST_CHECK enum oxbow_err turn_take(struct oxbow *db, bool writer, bool interval);
/* Gives it back, after doing what waited for that: retiring, freezing; or hands it to idle work that
 * found it taken. */
void turn_give(struct oxbow *db);
/* Whether a step of idle work is wanted and may be done, unless the active table is full. */
bool idle_wanted(const struct oxbow *db);
/* Whether the active table is past what starts a checkpoint / past what it may grow to. */
bool table_full(const struct oxbow *db, const struct memtable *t);
bool table_overfull(const struct oxbow *db, const struct memtable *t);
/* Whether somebody waits for a sync of what the active table holds, and enough have come. */
bool sync_due(const struct oxbow *db, const struct memtable *t);
/* With nobody having the turn, or the caller having it. */
void turn_freeze(struct oxbow *db);
void turn_retire(struct oxbow *db);
/* The device has failed: by its policy the store goes on in memory, or nothing is acknowledged any
 * more. */
void store_fail(struct oxbow *db, enum oxbow_err err);

/* ---- quota.c, with the turn or the mutex and nobody having it ---- */

uint64_t quota_used(const struct oxbow *db);
uint64_t quota_reserve(const struct oxbow *db);
/* Estimated pages that a table may reach, and so one checkpoint. */
uint64_t quota_pages_most(const struct oxbow_config *c);
uint64_t quota_headroom(const struct oxbow_config *c);
/* What the table will dirty at most, in 1/MEM_COST_PAGE pages. With the mutex. */
uint64_t quota_cost(const struct oxbow *db, const struct memtable *t);
/* Fills in quota_bytes and disk_bytes, where dirty_pages and txn_bytes are. */
void quota_limits(struct oxbow_config *c);
/* Bytes of a segment of the journal, where the configuration does not say. */
uint32_t quota_journal_bytes(const struct oxbow_config *c);
/* Whether disk_bytes leaves room above the quota, with the journal as it is in `c`. */
bool quota_fits(const struct oxbow_config *c);
/* What the data file may occupy at most. Reached, it is to the store as a full device. */
uint64_t quota_data_limit(const struct oxbow_config *c);
/* Whether the file comes so near to its limit that nothing may be added at all. */
bool quota_overrun(const struct oxbow *db);
/* Whether a writer waits for the checkpoint that is under way: near the quota, what queues give up of
 * their own comes free only then. With the mutex. */
bool quota_waits(const struct oxbow *db);
/* Sees to it that the data file has room on the device for the tables. OXBOW_ENOSPC, OXBOW_EIO. */
OXBOW_MUST_CHECK enum oxbow_err quota_reserve_file(struct oxbow *db);
/* Before a value of more than a page: its run of pages may be put into a hole, so the device must
 * have that much. OXBOW_ENOSPC. */
OXBOW_MUST_CHECK enum oxbow_err quota_admit_run(const struct oxbow *db, size_t len);
/* At a commit, with the turn: asks the device for what the tables need by now, and remembers whether
 * it gave it. What only deletes is not refused, but its checkpoints become small. */
void quota_look_ahead(struct oxbow *db);
/* What the active table may cost if it has to do with what the data file has. */
uint64_t quota_device_cost(const struct oxbow *db);

/* ---- blob.c ---- */

/* Writes a large value ahead; the checkpoint thread's. *fatal: a commit failed. */
OXBOW_MUST_CHECK enum oxbow_err blob_store(struct oxbow *db, const struct blob_job *job,
                                           bool *fatal);
/* Does the job that waits. With the mutex, which is let go meanwhile. */
void blob_serve(struct oxbow *db);
/* One bounded step of reaping; *more: there may be more. */
OXBOW_MUST_CHECK enum oxbow_err blob_reap(struct oxbow_txn *txn, bool *more);

/* ---- checkpoint.c ---- */

/* Writes the active table to the tree with this header, and empties it; while there are no other
 * threads. */
OXBOW_MUST_CHECK enum oxbow_err checkpoint_now(struct oxbow *db, const struct tree_header *header);
void checkpoint_run(void *arg); /* the store */

/* ---- sync.c, with the mutex held ---- */

OXBOW_MUST_CHECK enum oxbow_err sync_wait(struct oxbow *db, uint64_t lsn, int64_t timeout_ms);
/* The policy of a transaction that is about to be committed, where it is for its databases to say. */
void sync_decide(struct oxbow_txn *txn);
/* Whether any database's policy is `interval`. */
bool sync_any_interval(const struct oxbow *db);

/* ---- txn.c ---- */

/* Begins the checkpoint thread's own transaction; its caller has the turn. */
struct oxbow_txn *txn_start(struct oxbow *db, const struct oxbow_txn_options *opt,
                            enum oxbow_sync sync);

/* ---- store.c ---- */

/* A store that is not started yet; `filled` has its defaults. NULL: no memory. */
struct oxbow *store_new(const struct oxbow_config *filled);
/* Its tables and buffers, and a copy of `dir`. OXBOW_ENOMEM: for store_release. */
OXBOW_MUST_CHECK enum oxbow_err store_memory(struct oxbow *db);
/* Frees whatever there is of a store, in the reverse order of its making. */
void store_release(struct oxbow *db);

/* ---- recover.c ---- */

/* Brings the store to the newest state that is on the device, and counts this opening. Before there
 * are threads. OXBOW_ECORRUPT, OXBOW_EFORMAT, OXBOW_EIO, OXBOW_ENOSPC, OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err recover(struct oxbow *db);
/* A journal in place of the one that is there, after everything is in the tree; of a store without
 * threads that knows its boot and LSNs. */
OXBOW_MUST_CHECK enum oxbow_err recover_journal(struct oxbow *db);

/* ---- directory.c ---- */

#define STORE_FORMAT "FORMAT"
#define COMPACT_DIR  "compact"
#define COMPACT_FILE COMPACT_DIR "/" TREE_FILE /* being made: compact.c */

/* Makes or checks the directory's files and takes the lock: all that comes before LMDB. What a
 * compaction that was cut short left is removed. */
OXBOW_MUST_CHECK enum oxbow_err directory_open(struct oxbow *db);
/* Whether the data file is still what its path names. A store whose directory was removed, moved or
 * unmounted works on: its files are open. But nobody will find again what it acknowledges then.
 * OXBOW_ENOENT, OXBOW_EIO; logged. Any thread, without the mutex. */
OXBOW_MUST_CHECK enum oxbow_err directory_check(const struct oxbow *db);
/* Hands the lock over to another that is to open the same directory, if it is still the one that is
 * there, or back. What takes it keeps one that it has. */
void directory_lend_lock(struct oxbow *from, struct oxbow *to);
/* Closes what directory_open opened, after success or failure. */
void directory_close(struct oxbow *db);
/* The path of a file in the directory; good until the next call. At open alone. */
const char *directory_path(struct oxbow *db, const char *name);
/* Whether the last opening met damage that the walk at open does not see, and noting that one did, or
 * that it was looked into. */
OXBOW_MUST_CHECK enum oxbow_err directory_doubted(struct oxbow *db, bool *doubted);
void directory_doubt(struct oxbow *db, bool doubt);
/* Whether a destroyed meta page was, or may have been, written again, and nobody was told; noting
 * that it is about to be, or that it is told. Durable when it answers OXBOW_OK. */
OXBOW_MUST_CHECK enum oxbow_err directory_meta_written(struct oxbow *db, bool *written);
OXBOW_MUST_CHECK enum oxbow_err directory_meta_write(struct oxbow *db, bool begun);
/* Closes a file; gives the error before it, or else the close's own. */
OXBOW_MUST_CHECK enum oxbow_err directory_close_file(struct oxbow *db, int fd,
                                                     enum oxbow_err before);

/* Reads at most len bytes from the beginning of a file, the rest of buf is zeros; *size is the whole
 * file's. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err directory_read(struct oxbow *db, const char *name, void *buf,
                                               size_t len, uint64_t *size);
/* A whole small file, so that it is there entirely or not at all; durable. */
OXBOW_MUST_CHECK enum oxbow_err directory_make(struct oxbow *db, const char *name, const void *data,
                                               size_t len);
/* Gives a file another name in the directory, which is not synced. */
OXBOW_MUST_CHECK enum oxbow_err directory_rename(struct oxbow *db, const char *from,
                                                 const char *to);

/* Whether file systems of that kind lie behind a network: no store can be there. */
bool directory_network(const char *kind);

/* ---- foreign.c ---- */

#define FOREIGN_DIR "foreign-"

/* Finishes what a crash interrupted: what was being set aside goes on to its place. Before anything
 * in the directory is looked at. OXBOW_ECORRUPT: there is such, but the store is only to be read, or
 * the mark of it is damaged. OXBOW_ELOCKED, OXBOW_EIO, OXBOW_ENOSPC. */
OXBOW_MUST_CHECK enum oxbow_err foreign_resume(struct oxbow *db);
/* Whether what is in the directory is to be set aside, having been refused: it was asked for, and it
 * is not one of this version's stores that is damaged. `whole`: that was seen already. */
OXBOW_MUST_CHECK enum oxbow_err foreign_judge(struct oxbow *db, bool whole, bool *aside);
/* Moves every file with a name that a store's files have into a new directory FOREIGN_DIR and a
 * number; then there is no store. After a power cut at any moment either nothing was moved or the
 * next opening moves the rest, whatever it was asked. OXBOW_ELOCKED: another program has the data
 * file open, as LMDB's locks tell; nothing was moved. OXBOW_EEXIST: no number is free. */
OXBOW_MUST_CHECK enum oxbow_err foreign_set_aside(struct oxbow *db);

/* ---- feature.c ---- */

/* Reads which features the store uses, after the journal. OXBOW_EFORMAT: one that this version does
 * not know and must; nothing was written. */
OXBOW_MUST_CHECK enum oxbow_err feature_load(struct oxbow *db);
/* What a damaged record may have said is put into the table, to be written again. Before there are
 * threads. */
OXBOW_MUST_CHECK enum oxbow_err feature_settle(struct oxbow *db);

/* ---- format.c ---- */

#define FORMAT_BYTES_MAX 1024u /* of a FORMAT file of any level */
#define FORMAT_LEVEL_MAX 65535u
#define META_BYTES       (2 * TREE_PAGE_BYTES)

struct store_format {
    uint64_t id;
    uint32_t level;
};

/* Why a text was refused. */
struct format_verdict {
    const char *why; /* static text */
    bool whole;      /* it is not damaged: the store is of another version or machine */
};

/* The text of the FORMAT file, for a level that this version knows; returns its length. */
size_t format_text(char out[FORMAT_BYTES_MAX], const struct store_format *format);
/* OXBOW_EFORMAT, with *verdict written. A level above those that this version knows is none. */
OXBOW_MUST_CHECK enum oxbow_err format_parse(const char *text, size_t len,
                                             struct store_format *format,
                                             struct format_verdict *verdict);
/* The two meta pages of an empty data file. */
void format_meta(uint8_t out[META_BYTES], uint64_t map_bytes);

#endif
