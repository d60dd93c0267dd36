/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one file that knows LMDB. One unnamed database holds everything; the header record is a key
 * in it and so belongs to the same transaction as the data it describes. It knows nothing of
 * memtables, policies or quotas.
 *
 * Invariants: (1) Default sync: never NOSYNC, WRITEMAP, MAPASYNC. (2) At most one write transaction
 * and one snapshot exist; the snapshot is renewed and never held beyond the next commit but one, so
 * the file's length is bounded. A view stays for longer; what it keeps from being used again does
 * not count as free, and its owner bounds it. (3) `header` is what the newest commit stored.
 */
#include "engine/store/tree.h"

#include "engine/base/buf.h"
#include "engine/base/hash.h"
#include "engine/store/envelope.h"
#include "engine/store/page.h"

#include <errno.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define READERS_MAX 4u

#define VERIFIED_SLOTS 4096u
#define NO_VIEW        UINT64_MAX

struct tree {
    const struct oxbow_port *port;
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *read; /* the snapshot: reset only while it is renewed */
    MDB_txn *write;
    MDB_cursor *at;      /* of the write, which ends it: the next key is mostly in the same leaf */
    MDB_txn *count;      /* the writer's, for counting free pages; reset between */
    const uint8_t *base; /* where page 0 is mapped */
    uint64_t map_bytes;
    uint64_t snapshot;
    atomic_uint_least64_t snapshot_txn; /* LMDB's number of it: the writer asks for it */
    atomic_uint_least64_t view_txn;     /* of the view; 0: being opened; NO_VIEW: there is none */
    struct tree_header header;
    uint64_t digest; /* of the write transaction */
    uint64_t keys;
    struct tree_usage usage;
    atomic_uint values_bad;
    /* Values of the snapshot whose checksum was seen to be right, by where they lie: its pages do
     * not change while it is held, so a hot value is checked once per snapshot. */
    const void *verified[VERIFIED_SLOTS];
};

struct tree_cursor {
    struct tree *tree;
    MDB_cursor *cursor;
    uint64_t snapshot;
};

/* The one place where LMDB's codes become ours. */
static enum oxbow_err translate(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return OXBOW_OK;
    case MDB_NOTFOUND:
        return OXBOW_ENOENT;
    case MDB_MAP_FULL:
    case ENOSPC:
        return OXBOW_ENOSPC;
    case ENOMEM:
        return OXBOW_ENOMEM;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return OXBOW_EFORMAT;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_DBI:
        return OXBOW_ECORRUPT;
    case EROFS:
    case EACCES:
        return OXBOW_EREADONLY;
    case MDB_PANIC:
    case MDB_BAD_TXN:
        return OXBOW_EFAILED;
    default:
        return OXBOW_EIO;
    }
}

static void complain(const struct tree *t, const char *what, int rc)
{
    char line[160];

    (void)snprintf(line, sizeof line, "store: %s: %s", what, mdb_strerror(rc));
    t->port->log.line(t->port->log.ctx, OXBOW_LOG_ERROR, line);
}

static MDB_val val_of(struct oxbow_bytes b)
{
    union {
        const void *in;
        void *out;
    } drop = {b.data}; /* LMDB does not write through it */

    return (MDB_val){b.len, drop.out};
}

static struct oxbow_bytes bytes_of(MDB_val v)
{
    return (struct oxbow_bytes){v.mv_data, v.mv_size};
}

const struct tree_header *tree_header(const struct tree *t)
{
    return &t->header;
}

/* ---- what the file holds ---- */

/* Free pages: each record of the free list begins with how many it names. Those that the newest
 * commit has freed are to be had only by the next commit but one. */
struct free_count {
    uint64_t pages;
    uint64_t last; /* of the newest commit's own record; 0: it freed nothing */
    uint64_t held; /* what the next commit may not use: that, and what a view has */
};

static int count_free(MDB_txn *txn, uint64_t view_txn, struct free_count *out)
{
    MDB_cursor *c;
    MDB_val key;
    MDB_val data;
    int rc = mdb_cursor_open(txn, 0, &c);

    memset(out, 0, sizeof *out);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    for (rc = mdb_cursor_get(c, &key, &data, MDB_FIRST); rc == MDB_SUCCESS;
         rc = mdb_cursor_get(c, &key, &data, MDB_NEXT)) {
        size_t count;
        size_t freed_by;

        if (data.mv_size < sizeof count || key.mv_size != sizeof freed_by) {
            rc = MDB_CORRUPTED;
            break;
        }
        memcpy(&count, data.mv_data, sizeof count);
        memcpy(&freed_by, key.mv_data, sizeof freed_by);
        out->last = freed_by == mdb_txn_id(txn) ? count : 0;
        out->held += freed_by == mdb_txn_id(txn) || freed_by >= view_txn ? count : 0;
        out->pages += count;
    }
    mdb_cursor_close(c);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* The writer's own look at the newest commit; ended by mdb_txn_reset(t->count). */
static int count_begin(struct tree *t)
{
    return t->count == NULL ? mdb_txn_begin(t->env, NULL, MDB_RDONLY, &t->count)
                            : mdb_txn_renew(t->count);
}

enum oxbow_err tree_free_walk(struct tree *t, bool (*visit)(void *ctx, uint64_t page), void *ctx)
{
    MDB_cursor *c;
    MDB_val key;
    MDB_val data;
    size_t freed_by;
    size_t newest;
    bool more = true;
    int rc = count_begin(t);

    if (rc != MDB_SUCCESS) {
        return translate(rc);
    }
    newest = mdb_txn_id(t->count);
    rc = mdb_cursor_open(t->count, 0, &c);
    if (rc == MDB_SUCCESS) {
        for (rc = mdb_cursor_get(c, &key, &data, MDB_FIRST); rc == MDB_SUCCESS;
             rc = mdb_cursor_get(c, &key, &data, MDB_NEXT)) {
            if (key.mv_size != sizeof freed_by) {
                rc = MDB_CORRUPTED;
                break;
            }
            memcpy(&freed_by, key.mv_data, sizeof freed_by);
            if (freed_by >= newest || freed_by > atomic_load(&t->snapshot_txn) ||
                freed_by > atomic_load(&t->view_txn)) {
                break; /* the commit before, the snapshot, or a view, has those in its tree */
            }
            if (!page_list_walk(bytes_of(data), visit, ctx, &more)) {
                rc = MDB_CORRUPTED;
            }
            if (rc != MDB_SUCCESS || !more) {
                break;
            }
        }
        mdb_cursor_close(c);
    }
    mdb_txn_reset(t->count);
    return rc == MDB_NOTFOUND ? OXBOW_OK : translate(rc);
}

/* What a commit wrote follows from where its pages came from: it used the file's growth and what
 * left the free list, and put on it, under its own number, what it replaced. One page more for the
 * meta page. 0 where the numbers do not belong together: the file was written by something else. */
static uint64_t commit_pages(uint64_t pages_before, uint64_t free_before, uint64_t pages,
                             const struct free_count *c)
{
    uint64_t n = pages - pages_before + free_before + c->last - c->pages + 1;

    return n <= pages + 1 ? n : 0;
}

static enum oxbow_err count_usage(struct tree *t, bool committed)
{
    struct free_count c;
    MDB_envinfo info;
    uint64_t pages;
    int rc = count_begin(t);

    if (rc == MDB_SUCCESS) {
        rc = count_free(t->count, atomic_load(&t->view_txn), &c);
        mdb_txn_reset(t->count);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_info(t->env, &info);
    }
    if (rc != MDB_SUCCESS) {
        complain(t, "free pages cannot be counted", rc);
        return translate(rc);
    }
    pages = info.me_last_pgno + 1;
    if (committed) {
        uint64_t n = commit_pages(t->usage.pages, t->usage.free_pages, pages, &c);

        t->usage.written += n;
        t->usage.lifetime += n;
        t->usage.commits++;
    } else if (t->header.wear.pages_before != 0) {
        const struct header_wear *w = &t->header.wear;

        t->usage.lifetime = w->pages + commit_pages(w->pages_before, w->free_before, pages, &c);
    }
    t->usage.pages = pages;
    t->usage.free_pages = c.pages;
    t->usage.old_pages = c.pages - c.held;
    t->usage.new_pages = c.last;
    return OXBOW_OK;
}

void tree_usage(const struct tree *t, struct tree_usage *out)
{
    *out = t->usage;
}

void tree_inherit(struct tree *t, uint64_t lifetime)
{
    t->usage.lifetime += lifetime;
}

void tree_continue(struct tree *t, const struct tree_usage *before)
{
    t->usage.written += before->written;
    t->usage.commits += before->commits;
}

uint32_t tree_values_bad(const struct tree *t)
{
    return atomic_load_explicit(&t->values_bad, memory_order_relaxed);
}

/* ---- open and close ---- */

static void assertion(MDB_env *env, const char *what)
{
    const struct tree *t = mdb_env_get_userctx(env);

    t->port->panic(__FILE__, __LINE__, what);
}

static int env_open(struct tree *t, const struct tree_config *config)
{
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
    MDB_txn *txn;
    int rc = mdb_env_create(&t->env);

    if (rc == MDB_SUCCESS) {
        rc = mdb_env_set_userctx(t->env, t);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_set_assert(t->env, assertion);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_set_mapsize(t->env, (size_t)config->map_bytes);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_set_maxreaders(t->env, READERS_MAX);
    }
    if (config->readonly) {
        flags |= MDB_RDONLY | MDB_NOLOCK; /* our own lock keeps writers away */
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_open(t->env, config->dir, flags, 0640);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_txn_begin(t->env, NULL, MDB_RDONLY, &txn);
    }
    if (rc == MDB_SUCCESS) {
        t->read = txn;
        atomic_store(&t->snapshot_txn, mdb_txn_id(txn));
        rc = mdb_dbi_open(txn, NULL, 0, &t->dbi);
    }
    return rc;
}

/* Where the map begins, found by the header record's page: our walk has vouched for its number. */
static void find_base(struct tree *t, MDB_val header)
{
    const uint8_t *at = header.mv_data;
    const uint8_t *page = at - ((uintptr_t)at & (PAGE_BYTES - 1));

    t->base = page - (size_t)page_number(page) * PAGE_BYTES;
}

static enum oxbow_err load(struct tree *t)
{
    MDB_val key = val_of(header_key());
    MDB_val data;
    MDB_stat stat;
    int rc = mdb_get(t->read, t->dbi, &key, &data);
    enum oxbow_err err = OXBOW_OK;

    if (rc == MDB_SUCCESS) {
        err = header_decode(bytes_of(data), &t->header);
        find_base(t, data);
    } else if (rc == MDB_NOTFOUND) {
        rc = mdb_stat(t->read, t->dbi, &stat);
        if (rc == MDB_SUCCESS && stat.ms_entries != 0) {
            err = OXBOW_ECORRUPT;
        }
    }
    if (rc != MDB_SUCCESS) {
        err = translate(rc);
    }
    if (err != OXBOW_OK) {
        complain(t, "the header record is missing or damaged", MDB_CORRUPTED);
        return err;
    }
    return count_usage(t, false);
}

/* LMDB keeps its other files to this program, but not the data file. One that another thread starts
 * just now may still get it. */
static enum oxbow_err keep_private(const struct tree *t)
{
    mdb_filehandle_t fd;
    int rc = mdb_env_get_fd(t->env, &fd);

    return rc != MDB_SUCCESS ? translate(rc) : t->port->files.keep_private(t->port->files.ctx, fd);
}

enum oxbow_err tree_open(const struct tree_config *config, struct tree **out)
{
    struct tree *t = mem_new(&config->port->alloc, sizeof *t);
    enum oxbow_err err;
    int rc;

    if (t == NULL) {
        return OXBOW_ENOMEM;
    }
    t->port = config->port;
    t->map_bytes = config->map_bytes;
    atomic_store(&t->view_txn, NO_VIEW);
    rc = env_open(t, config);
    if (rc != MDB_SUCCESS) {
        complain(t, "the data file cannot be opened", rc);
        err = translate(rc);
    } else {
        err = keep_private(t);
    }
    if (err == OXBOW_OK) {
        err = load(t);
    }
    if (err != OXBOW_OK) {
        tree_close(t);
        return err;
    }
    t->snapshot = 1;
    *out = t;
    return OXBOW_OK;
}

void tree_close(struct tree *t)
{
    if (t->write != NULL) {
        mdb_txn_abort(t->write);
    }
    if (t->read != NULL) {
        mdb_txn_abort(t->read);
    }
    if (t->count != NULL) {
        mdb_txn_abort(t->count);
    }
    if (t->env != NULL) {
        mdb_env_close(t->env);
    }
    mem_free(&t->port->alloc, t, sizeof *t);
}

/* ---- reading ---- */

enum oxbow_err tree_renew(struct tree *t)
{
    int rc;

    mdb_txn_reset(t->read);
    rc = mdb_txn_renew(t->read);
    if (rc != MDB_SUCCESS) {
        complain(t, "the snapshot cannot be renewed", rc);
        return translate(rc);
    }
    t->snapshot++;
    atomic_store(&t->snapshot_txn, mdb_txn_id(t->read));
    if (t->base == NULL) {
        MDB_val key = val_of(header_key());
        MDB_val data;

        if (mdb_get(t->read, t->dbi, &key, &data) == MDB_SUCCESS) {
            find_base(t, data); /* a store just made: the page is our own */
        }
    }
    memset(t->verified, 0, sizeof t->verified);
    return OXBOW_OK;
}

uint64_t tree_snapshot(const struct tree *t)
{
    return t->snapshot;
}

static enum oxbow_err unwrap(struct tree *t, struct oxbow_bytes key, struct oxbow_bytes raw,
                             struct oxbow_bytes *value)
{
    enum oxbow_err err = envelope_get(crc32c_of(t->port), key, raw, value);

    if (err != OXBOW_OK) {
        atomic_fetch_add_explicit(&t->values_bad, 1, memory_order_relaxed);
        t->port->log.line(t->port->log.ctx, OXBOW_LOG_ERROR,
                          "store: a value failed its checksum and is not served");
    }
    return err;
}

/* The same for a value of the snapshot. */
static enum oxbow_err unwrap_snapshot(struct tree *t, struct oxbow_bytes key,
                                      struct oxbow_bytes raw, struct oxbow_bytes *value)
{
    uint64_t at = (uint64_t)(uintptr_t)raw.data;
    const void **slot = &t->verified[(at ^ at >> 12) % VERIFIED_SLOTS];
    enum oxbow_err err;

    if (*slot == raw.data) {
        *value = (struct oxbow_bytes){(const uint8_t *)raw.data + ENVELOPE_BYTES,
                                      raw.len - ENVELOPE_BYTES};
        return OXBOW_OK;
    }
    err = unwrap(t, key, raw, value);
    if (err == OXBOW_OK) {
        *slot = raw.data;
    }
    return err;
}

enum oxbow_err tree_get(struct tree *t, struct oxbow_bytes key, struct oxbow_bytes *value)
{
    MDB_val k = val_of(key);
    MDB_val data;
    int rc = mdb_get(t->read, t->dbi, &k, &data);

    return rc != MDB_SUCCESS ? translate(rc) : unwrap_snapshot(t, key, bytes_of(data), value);
}

enum oxbow_err tree_unwrap(struct tree *t, const struct tree_item *item, struct oxbow_bytes *value)
{
    return unwrap_snapshot(t, item->key, item->raw, value);
}

enum oxbow_err tree_cursor_open(struct tree *t, struct tree_cursor **out)
{
    struct tree_cursor *c = mem_new(&t->port->alloc, sizeof *c);
    int rc;

    if (c == NULL) {
        return OXBOW_ENOMEM;
    }
    c->tree = t;
    c->snapshot = t->snapshot;
    rc = mdb_cursor_open(t->read, t->dbi, &c->cursor);
    if (rc != MDB_SUCCESS) {
        mem_free(&t->port->alloc, c, sizeof *c);
        return translate(rc);
    }
    *out = c;
    return OXBOW_OK;
}

void tree_cursor_close(struct tree_cursor *c)
{
    mdb_cursor_close(c->cursor);
    mem_free(&c->tree->port->alloc, c, sizeof *c);
}

static enum oxbow_err item_of(int rc, MDB_val key, MDB_val data, struct tree_item *out)
{
    if (rc == MDB_SUCCESS) {
        out->key = bytes_of(key);
        out->raw = bytes_of(data);
    }
    return translate(rc);
}

enum oxbow_err tree_cursor_seek(struct tree_cursor *c, struct oxbow_bytes key, enum tree_seek how,
                                struct tree_item *out)
{
    MDB_val at = val_of(key);
    MDB_val data = {0, NULL};
    int rc;
    bool hit;

    if (c->snapshot != c->tree->snapshot) {
        rc = mdb_cursor_renew(c->tree->read, c->cursor);
        if (rc != MDB_SUCCESS) {
            return translate(rc);
        }
        c->snapshot = c->tree->snapshot;
    }
    rc = mdb_cursor_get(c->cursor, &at, &data, MDB_SET_RANGE);
    hit = rc == MDB_SUCCESS && at.mv_size == key.len && memcmp(at.mv_data, key.data, key.len) == 0;
    if (how == TREE_GT && hit) {
        rc = mdb_cursor_get(c->cursor, &at, &data, MDB_NEXT);
    } else if (how == TREE_LT || (how == TREE_LE && !hit)) {
        rc = mdb_cursor_get(c->cursor, &at, &data, rc == MDB_SUCCESS ? MDB_PREV : MDB_LAST);
    }
    return item_of(rc, at, data, out);
}

enum oxbow_err tree_cursor_step(struct tree_cursor *c, bool back, struct tree_item *out)
{
    MDB_val at = {0, NULL};
    MDB_val data = {0, NULL};
    int rc = mdb_cursor_get(c->cursor, &at, &data, back ? MDB_PREV : MDB_NEXT);

    return item_of(rc, at, data, out);
}

/* ---- a view ---- */

struct tree_view {
    struct tree *tree;
    MDB_txn *txn;
    MDB_cursor *cursor;
};

/* While its number is not known it is 0, which keeps everything from being taken; a walk of the free
 * list that began before shows no page that a snapshot taken later has. */
enum oxbow_err tree_view_open(struct tree *t, struct tree_view **out)
{
    struct tree_view *v = mem_new(&t->port->alloc, sizeof *v);
    int rc;

    if (v == NULL) {
        return OXBOW_ENOMEM;
    }
    v->tree = t;
    atomic_store(&t->view_txn, 0);
    rc = mdb_txn_begin(t->env, NULL, MDB_RDONLY, &v->txn);
    if (rc == MDB_SUCCESS) {
        atomic_store(&t->view_txn, mdb_txn_id(v->txn));
        rc = mdb_cursor_open(v->txn, t->dbi, &v->cursor);
    }
    if (rc != MDB_SUCCESS) {
        complain(t, "a view cannot be opened", rc);
        tree_view_close(v);
    } else {
        *out = v;
    }
    return translate(rc);
}

void tree_view_close(struct tree_view *v)
{
    struct tree *t = v->tree;

    if (v->cursor != NULL) {
        mdb_cursor_close(v->cursor);
    }
    if (v->txn != NULL) {
        mdb_txn_abort(v->txn);
    }
    atomic_store(&t->view_txn, NO_VIEW);
    mem_free(&t->port->alloc, v, sizeof *v);
}

enum oxbow_err tree_view_header(struct tree_view *v, struct tree_header *out)
{
    MDB_val key = val_of(header_key());
    MDB_val data;
    int rc = mdb_get(v->txn, v->tree->dbi, &key, &data);

    return rc != MDB_SUCCESS ? translate(rc) : header_decode(bytes_of(data), out);
}

enum oxbow_err tree_view_step(struct tree_view *v, struct tree_item *out)
{
    MDB_val at = {0, NULL};
    MDB_val data = {0, NULL};
    int rc = mdb_cursor_get(v->cursor, &at, &data, MDB_NEXT); /* of a new one: the first */
    struct oxbow_bytes value;
    enum oxbow_err err = item_of(rc, at, data, out);

    return err == OXBOW_OK ? unwrap(v->tree, out->key, out->raw, &value) : err;
}

/* ---- writing ---- */

/* LMDB believes the head of an overflow page when it frees the pages of a value that is replaced or
 * deleted, and neither the walk at open nor the value's checksum covers it. */
static enum oxbow_err check_page(struct tree *t, struct oxbow_bytes key, struct oxbow_bytes raw)
{
    size_t inline_max = (((PAGE_BYTES - PAGE_HEAD_BYTES) / 2) & ~(size_t)1) - 2;
    const uint8_t *page = (const uint8_t *)raw.data - PAGE_HEAD_BYTES;

    if (PAGE_NODE_BYTES + key.len + raw.len <= inline_max || t->base == NULL || page < t->base ||
        page >= t->base + t->map_bytes) {
        return OXBOW_OK; /* within a leaf, or a page of this very transaction */
    }
    if (page_number(page) != (uint64_t)(page - t->base) / PAGE_BYTES ||
        page_flags(page) != PAGE_OVERFLOW ||
        page_run(page) != (PAGE_HEAD_BYTES - 1 + raw.len) / PAGE_BYTES + 1) {
        complain(t, "the head of an overflow page is damaged", MDB_CORRUPTED);
        return OXBOW_ECORRUPT;
    }
    return OXBOW_OK;
}

/* What is stored under the key before a write, checked as far as the write relies on it; borrowed
 * until then. OXBOW_ENOENT. */
static enum oxbow_err old_get(struct tree *t, struct oxbow_bytes key, struct oxbow_bytes *raw)
{
    MDB_val k = val_of(key);
    MDB_val data;
    int rc = mdb_cursor_get(t->at, &k, &data, MDB_SET);

    if (rc != MDB_SUCCESS) {
        if (rc != MDB_NOTFOUND) {
            complain(t, "a value cannot be looked up", rc);
        }
        return translate(rc);
    }
    *raw = bytes_of(data);
    return check_page(t, key, *raw);
}

enum oxbow_err tree_write_begin(struct tree *t)
{
    int rc = mdb_txn_begin(t->env, NULL, 0, &t->write);

    if (rc == MDB_SUCCESS) {
        rc = mdb_cursor_open(t->write, t->dbi, &t->at);
        if (rc != MDB_SUCCESS) {
            mdb_txn_abort(t->write);
        }
    }
    if (rc != MDB_SUCCESS) {
        t->write = NULL;
        complain(t, "a write transaction cannot begin", rc);
        return translate(rc);
    }
    t->digest = t->header.digest;
    t->keys = t->header.keys;
    return OXBOW_OK;
}

/* Makes room for `len` bytes under the key: good until the next write. */
static enum oxbow_err put_room(struct tree *t, struct oxbow_bytes key, size_t len, uint8_t **out)
{
    MDB_val k = val_of(key);
    MDB_val room = {len, NULL};
    int rc = mdb_cursor_put(t->at, &k, &room, MDB_RESERVE);

    if (rc != MDB_SUCCESS) {
        complain(t, "a value cannot be written", rc);
        return translate(rc);
    }
    *out = room.mv_data;
    return OXBOW_OK;
}

static enum oxbow_err put_raw(struct tree *t, struct oxbow_bytes key, struct oxbow_bytes value)
{
    uint8_t *room = NULL;
    enum oxbow_err err = put_room(t, key, value.len + ENVELOPE_BYTES, &room);

    if (err == OXBOW_OK) {
        envelope_put(crc32c_of(t->port), room, key, value);
    }
    return err;
}

enum oxbow_err tree_write_put(struct tree *t, struct oxbow_bytes key, struct oxbow_bytes value)
{
    struct oxbow_bytes raw;
    enum oxbow_err err = old_get(t, key, &raw);
    bool fresh = err == OXBOW_ENOENT;

    if (err == OXBOW_OK || fresh) {
        err = put_raw(t, key, value);
    }
    if (err == OXBOW_OK && fresh) {
        t->digest += hash64(key.data, key.len, 0);
        t->keys++;
    }
    return err;
}

enum oxbow_err tree_write_extend(struct tree *t, struct oxbow_bytes key, size_t base,
                                 const struct envelope_change *change, uint8_t *room)
{
    struct oxbow_bytes raw = {NULL, 0};
    uint8_t *out = NULL;
    enum oxbow_err err = old_get(t, key, &raw);

    if (err != OXBOW_OK || raw.data == NULL || raw.len != base + ENVELOPE_BYTES) {
        return err == OXBOW_OK || err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    memcpy(room, raw.data, raw.len); /* the put may write where it is */
    raw.data = room;
    err = put_room(t, key, raw.len + change->back.len, &out);
    if (err == OXBOW_OK) {
        envelope_extend(crc32c_of(t->port), out, raw, change);
    }
    return err;
}

enum oxbow_err tree_write_del(struct tree *t, struct oxbow_bytes key)
{
    struct oxbow_bytes raw;
    enum oxbow_err err = old_get(t, key, &raw);
    int rc;

    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    rc = mdb_cursor_del(t->at, 0);
    if (rc != MDB_SUCCESS) {
        complain(t, "a value cannot be deleted", rc);
        return translate(rc);
    }
    t->digest -= hash64(key.data, key.len, 0);
    t->keys--;
    return OXBOW_OK;
}

enum oxbow_err tree_write_commit(struct tree *t, const struct tree_header *header)
{
    struct tree_header h = *header;
    uint8_t raw[HEADER_BYTES];
    enum oxbow_err err;
    MDB_txn *txn = t->write;
    int rc;

    h.digest = t->digest;
    h.keys = t->keys;
    h.wear.pages = t->usage.lifetime;
    h.wear.pages_before = t->usage.pages;
    h.wear.free_before = t->usage.free_pages;
    header_encode(raw, &h);
    err = put_raw(t, header_key(), (struct oxbow_bytes){raw, sizeof raw});
    if (err != OXBOW_OK) {
        tree_write_abort(t);
        return err;
    }
    t->write = NULL;
    rc = mdb_txn_commit(txn);
    if (rc != MDB_SUCCESS) {
        complain(t, "a checkpoint failed", rc);
        return translate(rc);
    }
    t->header = h;
    return count_usage(t, true);
}

void tree_write_abort(struct tree *t)
{
    mdb_txn_abort(t->write);
    t->write = NULL;
}
