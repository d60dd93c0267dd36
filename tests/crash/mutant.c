/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breaks the real store from outside: by lies of the recorder; by standing between the store and
 * LMDB, since these definitions of mdb_cursor_put and mdb_txn_commit are found before the
 * library's; and by standing between the files of the journal, since the linker sends their calls
 * of each other here (--wrap in CMakeLists.txt).
 */
#include "tests/crash/mutant.h"

#include "engine/base/codec.h"
#include "engine/store/kv.h"
#include "engine/store/replay.h"
#include "engine/store/store.h"
#include "tests/crash/record.h"
#include "tests/crash/wrap.h"

#include <dlfcn.h>
#include <lmdb.h>
#include <string.h>

#define HEADER_MAX 512u

static const struct mutant mutants[] = {
    {"none", 0, PLAN_LIVES, true},
    {"no-sync", BREAK_SYNC, PLAN_SHORT, false},
    {"no-dir-sync", BREAK_DIR_SYNC, PLAN_SHORT, false},
    {"no-ring-dir-sync", BREAK_RING_DIR, PLAN_SHORT, false},
    {"lsn-apart", BREAK_LSN, PLAN_SHORT, false},
    {"no-frame-crc", BREAK_CRC, PLAN_LIVES, false},
    {"recycled-early", BREAK_RECYCLE, PLAN_FLOOD, false},
    {"no-predecessor-sync", BREAK_PREDECESSOR, PLAN_RING, false},
    {"no-incarnation", BREAK_INCARNATION, PLAN_LIVES, false},
    {"stale-frames", BREAK_INCARNATION | BREAK_JUMP | BREAK_CHAIN, PLAN_LIVES, false},
    {"lsn-reused", BREAK_JUMP, PLAN_LIVES, true},
    {"no-chain", BREAK_CHAIN, PLAN_LIVES, true},
};

static const struct mutant *now = &mutants[0];
static uint8_t header[HEADER_MAX];
static size_t header_len; /* 0: none is held back */
static MDB_dbi header_dbi;

const struct mutant *mutant_at(unsigned idx)
{
    return idx < sizeof mutants / sizeof mutants[0] ? &mutants[idx] : NULL;
}

const struct mutant *mutant_find(const char *name)
{
    for (unsigned i = 0; i < sizeof mutants / sizeof mutants[0]; i++)
        if (strcmp(name, mutants[i].name) == 0)
            return &mutants[i];
    return NULL;
}

void mutant_set(const struct mutant *m)
{
    now = m;
    header_len = 0;
    recorder_lie(((m->broken & BREAK_SYNC) != 0 ? RECORD_LIE_DATA : 0) |
                 ((m->broken & BREAK_DIR_SYNC) != 0 ? RECORD_LIE_DIR : 0));
}

static bool broken(unsigned what)
{
    return (now->broken & what) != 0;
}

/* ---- between the store and LMDB ---- */

static void *real(const char *name)
{
    void *fn = dlsym(RTLD_NEXT, name);
    if (fn == NULL)
        lab_die("LMDB is not a shared library here", name);
    return fn;
}

static int real_put(MDB_cursor *cursor, MDB_val *key, MDB_val *data, unsigned flags)
{
    int (*put)(MDB_cursor *, MDB_val *, MDB_val *, unsigned);
    void *fn = real("mdb_cursor_put");
    memcpy(&put, &fn, sizeof put);
    return put(cursor, key, data, flags);
}

static int real_commit(MDB_txn *txn)
{
    int (*commit)(MDB_txn *);
    void *fn = real("mdb_txn_commit");
    memcpy(&commit, &fn, sizeof commit);
    return commit(txn);
}

static uint8_t lsn_key[2] = {KV_SPACE_STORE, 'h'};

static bool putting_back; /* the header, in a transaction of its own */

int mdb_cursor_put(MDB_cursor *cursor, MDB_val *key, MDB_val *data, unsigned flags)
{
    if (putting_back || !broken(BREAK_LSN) || key->mv_size != sizeof lsn_key ||
        memcmp(key->mv_data, lsn_key, sizeof lsn_key) != 0)
        return real_put(cursor, key, data, flags);
    if (data->mv_size > sizeof header)
        lab_die("the header", "is too long to hold back");
    header_len = data->mv_size;
    header_dbi = mdb_cursor_dbi(cursor);
    if ((flags & MDB_RESERVE) != 0)
        data->mv_data = header;
    else
        memcpy(header, data->mv_data, data->mv_size);
    return MDB_SUCCESS;
}

int mdb_txn_commit(MDB_txn *txn)
{
    MDB_env *env = mdb_txn_env(txn);
    int rc = real_commit(txn);
    if (rc != MDB_SUCCESS || header_len == 0)
        return rc;
    MDB_txn *second = NULL;
    MDB_val key = {.mv_size = sizeof lsn_key, .mv_data = lsn_key};
    MDB_val data = {.mv_size = header_len, .mv_data = header};
    header_len = 0;
    rc = mdb_txn_begin(env, NULL, 0, &second);
    if (rc == MDB_SUCCESS) {
        putting_back = true; /* mdb_put may come by mdb_cursor_put */
        rc = mdb_put(second, header_dbi, &key, &data, 0);
        putting_back = false;
    }
    return rc == MDB_SUCCESS ? real_commit(second) : rc;
}

/* ---- between the journal's files ---- */

static uint64_t wanted_incarnation; /* of the replay under way */

void mutant_replay(const struct replay_from *from)
{
    wanted_incarnation = from->incarnation;
}

/* What a frame says of itself, as the broken store takes it. */
void mutant_head(struct frame *f)
{
    if (broken(BREAK_INCARNATION))
        f->incarnation = wanted_incarnation;
    if (broken(BREAK_CHAIN))
        f->before = f->crc = 0;
}

bool __wrap_frame_whole(crc32c_fn *crc, const uint8_t *raw, const struct frame *f,
                        uint64_t store_id)
{
    struct frame whole = *f;
    if (broken(BREAK_CHAIN))
        whole.crc = get_le32(raw + 4);
    bool is = __real_frame_whole(crc, raw, &whole, store_id);
    if (is)
        branch_whole();
    return is || broken(BREAK_CRC);
}

enum oxbow_err __wrap_ring_make(struct ring *r, uint32_t count, uint64_t bytes)
{
    if (!broken(BREAK_RING_DIR))
        return __real_ring_make(r, count, bytes);
    recorder_lie(RECORD_LIE_DIR);
    enum oxbow_err err = __real_ring_make(r, count, bytes);
    recorder_lie(0);
    return err;
}

static uint32_t newest_segment;

enum oxbow_err __wrap_ring_write(const struct ring *r, uint32_t segment, uint64_t pos,
                                 const void *data, size_t len)
{
    newest_segment = segment;
    if (broken(BREAK_RECYCLE)) {
        union {
            const char *in;
            struct journal *out;
        } owner = {(const char *)r - offsetof(struct journal, ring)};
        memset(owner.out->last, 0, sizeof owner.out->last);
    }
    return __real_ring_write(r, segment, pos, data, len);
}

enum oxbow_err __wrap_ring_sync(const struct ring *r, uint32_t segment)
{
    if (broken(BREAK_PREDECESSOR) && segment != newest_segment)
        return OXBOW_OK;
    return __real_ring_sync(r, segment);
}

enum oxbow_err __wrap_checkpoint_now(struct oxbow *db, const struct tree_header *h)
{
    struct tree_header changed = *h;
    uint64_t jump = (uint64_t)1 << 32;
    branch_checkpoint();
    if (broken(BREAK_JUMP) && h->lsn - tree_header(db->tree)->lsn >= jump) {
        changed.lsn -= jump;
        db->lsn_applied = changed.lsn;
    }
    return __real_checkpoint_now(db, &changed);
}
