/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that have members: finding, making and removing them, and their members by hash. It knows
 * nothing of what the values mean.
 *
 * Invariants: (1) A table that exists has a member; the name goes with the last. (2) A member is in the
 * tree under its hash by the tree's own seed, once. (3) What lies outside belongs to one entry.
 */
#include "engine/keyval/table.h"

#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/base/scan.h"
#include "engine/store/expired.h"
#include "oxbow/key.h"

#include <string.h>

#define NAME_BYTES   256u /* a name's record and the like, generously */
#define MEMBER_BYTES 64u  /* what a member costs beside its bytes */

/* ---- the key ---- */

enum oxbow_err table_find(struct oxbow_txn *txn, struct oxbow_bytes name, enum oxbow_type type,
                          struct table *t)
{
    enum oxbow_err err;

    if (name.data == NULL && name.len > 0) {
        return OXBOW_EINVAL;
    }
    t->txn = txn;
    t->name = name;
    t->timed = false;
    t->expired = 0;
    t->dirty = false;
    err = catalog_find_typed(txn, name, type, &t->object);
    if (err == OXBOW_OK) {
        err = btree_open(&t->members, txn, t->object.id, BTREE_MEMBERS);
        err = err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    return err;
}

enum oxbow_err table_find_to_write(struct oxbow_txn *txn, struct oxbow_bytes name,
                                   enum oxbow_type type, struct table *t)
{
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    return table_find(txn, name, type, t);
}

static enum oxbow_err table_make(struct table *t, enum oxbow_type type)
{
    const struct oxbow_random *random = &txn_port(t->txn)->random;
    uint64_t seed;
    bool made;
    enum oxbow_err err = random->fill(random->ctx, &seed, sizeof seed);

    if (err == OXBOW_OK) {
        err = catalog_open(t->txn, t->name, type, &t->object, &made);
    }
    if (err == OXBOW_OK && !made) {
        err = OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        err = btree_make(&t->members, t->txn, t->object.id, BTREE_MEMBERS, seed);
    }
    t->dirty = true;
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(t->txn, err);
}

/* Room for that many bytes under the name, and leave to have members. */
static enum oxbow_err room_make(struct oxbow_txn *txn, struct oxbow_bytes name, uint64_t bytes)
{
    enum oxbow_err err;

    if (name.len > OXBOW_KEY_NAME_MAX || bytes > SIZE_MAX / 2) {
        return OXBOW_ETOOBIG;
    }
    err = txn_reserve_bytes(txn, (size_t)bytes + name.len + NAME_BYTES);
    if (err == OXBOW_OK) {
        err = txn_feature_require(txn, STORE_FEATURE_MEMBERS);
    }
    return err;
}

enum oxbow_err table_overwrite(struct oxbow_txn *txn, struct oxbow_bytes name, uint64_t bytes)
{
    enum oxbow_err err = name.data == NULL && name.len > 0 ? OXBOW_EINVAL
                         : txn_readonly(txn)               ? OXBOW_EREADONLY
                                                           : room_make(txn, name, bytes);

    return err == OXBOW_OK ? oxbow_key_delete(txn, name, NULL) : err;
}

enum oxbow_err table_touch(struct table *t)
{
    return store_slot_get(txn_store(t->txn), STORE_SLOT_WAIT) == NULL
               ? OXBOW_OK
               : txn_touch(t->txn, t->object.tag);
}

enum oxbow_err table_find_or_make(struct oxbow_txn *txn, struct oxbow_bytes name,
                                  enum oxbow_type type, uint64_t bytes, struct table *t)
{
    enum oxbow_err err = table_find_to_write(txn, name, type, t);
    bool absent = err == OXBOW_ENOENT;

    if (err == OXBOW_OK || absent) {
        err = room_make(txn, name, bytes);
    }
    return err == OXBOW_OK && absent ? table_make(t, type) : err;
}

enum oxbow_err table_close(struct table *t, enum oxbow_err err)
{
    if (!t->dirty) {
        return err;
    }
    if (err == OXBOW_OK && t->object.type == OXBOW_TYPE_HASH) {
        err = table_times_close(t);
    }
    if (err == OXBOW_OK && t->members.count == 0) {
        err = btree_drop(&t->members);
        if (err == OXBOW_OK) {
            err = catalog_remove_empty(t->txn, t->name);
        }
    }
    if (err == OXBOW_OK && t->expired > 0) {
        expired_note_fields(t->txn, t->name, t->expired, t->members.count == 0);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(t->txn, err);
}

enum oxbow_err table_check(const struct oxbow_txn *txn, const struct oxbow_bytes *members,
                           size_t count, uint64_t *bytes)
{
    enum oxbow_err err = OXBOW_OK;
    size_t i;

    if (members == NULL || count == 0) {
        return OXBOW_EINVAL;
    }
    for (i = 0; i < count; i++) {
        if (members[i].data == NULL && members[i].len > 0) {
            return OXBOW_EINVAL;
        }
        if (members[i].len > txn_entry_bytes_max(txn)) {
            err = OXBOW_ETOOBIG;
        }
        *bytes += members[i].len + MEMBER_BYTES;
    }
    return err;
}

/* ---- members ---- */

struct btree_key member_key(const struct table *t, struct oxbow_bytes member)
{
    return (struct btree_key){hash64(member.data, member.len, t->members.seed), member};
}

enum oxbow_err table_member_find(struct table *t, struct oxbow_bytes member, struct btree_place *p,
                                 struct btree_entry *e, bool *found)
{
    struct btree_key key = member_key(t, member);
    enum oxbow_err err = btree_find(&t->members, &key, p, found);

    return err == OXBOW_OK && *found ? btree_get(p, e) : err;
}

enum oxbow_err table_member_add_ref(struct table *t, struct btree_place *p,
                                    struct oxbow_bytes member, const struct btree_ref *ref,
                                    struct oxbow_bytes value)
{
    struct btree_entry e = {.order = member_key(t, member).order, .member = *ref};
    enum oxbow_err err;

    t->dirty = true;
    err = btree_ref_make(&t->members, value, BTREE_VALUE_MAX, &e.value);
    return err == OXBOW_OK ? btree_insert(p, &e) : err;
}

enum oxbow_err table_member_add(struct table *t, struct btree_place *p, struct oxbow_bytes member,
                                struct oxbow_bytes value)
{
    struct btree_ref ref;
    enum oxbow_err err;

    t->dirty = true;
    err = btree_ref_make(&t->members, member, BTREE_MEMBER_MAX, &ref);
    return err == OXBOW_OK ? table_member_add_ref(t, p, member, &ref, value) : err;
}

enum oxbow_err table_member_keep(struct table *t, struct btree_place *p,
                                 const struct btree_entry *e, struct oxbow_bytes value)
{
    struct btree_ref ref;
    enum oxbow_err err;

    t->dirty = true;
    err = outside_delete(t->txn, t->object.id, &e->value);
    if (err == OXBOW_OK) {
        err = btree_ref_make(&t->members, value, BTREE_VALUE_MAX, &ref);
    }
    return err == OXBOW_OK ? btree_replace(p, e, &ref) : err;
}

enum oxbow_err table_member_set(struct table *t, struct btree_place *p, const struct btree_entry *e,
                                struct oxbow_bytes value)
{
    struct btree_entry timeless = *e;
    enum oxbow_err err = e->deadline != 0 ? table_time_forget(t, e) : OXBOW_OK;

    timeless.deadline = 0;
    timeless.made_ms = 0;
    return err == OXBOW_OK ? table_member_keep(t, p, &timeless, value) : err;
}

enum oxbow_err table_member_remove(struct table *t, struct btree_place *p,
                                   const struct btree_entry *e)
{
    enum oxbow_err err;

    t->dirty = true;
    err = e->deadline != 0 ? table_time_forget(t, e) : OXBOW_OK;
    if (err == OXBOW_OK) {
        err = outside_delete(t->txn, t->object.id, &e->member);
    }
    if (err == OXBOW_OK) {
        err = outside_delete(t->txn, t->object.id, &e->value);
    }
    return err == OXBOW_OK ? btree_remove(p, e) : err;
}

struct btree_key *keys_new(const struct oxbow_txn *txn, size_t count)
{
    return count > SIZE_MAX / sizeof(struct btree_key)
               ? NULL
               : mem_new(&txn_port(txn)->alloc, count * sizeof(struct btree_key));
}

void keys_free(const struct oxbow_txn *txn, struct btree_key *keys, size_t count)
{
    mem_free(&txn_port(txn)->alloc, keys, count * sizeof *keys);
}

/* ---- results ---- */

enum oxbow_err table_score(const struct btree_entry *e, double *score)
{
    uint64_t bits;

    if (e->value.id != 0 || e->value.len != sizeof bits) {
        return OXBOW_ECORRUPT;
    }
    bits = get_le64(e->value.data);
    memcpy(score, &bits, sizeof bits);
    return *score != *score ? OXBOW_ECORRUPT : OXBOW_OK;
}

enum oxbow_err table_item(struct table *t, const struct btree_entry *e, unsigned what,
                          struct oxbow_result *r)
{
    enum oxbow_err err = OXBOW_OK;
    double score = 0;

    if ((what & TABLE_MEMBERS) != 0) {
        err = outside_item(t->txn, t->object.id, &e->member, r);
    }
    if (err == OXBOW_OK && (what & TABLE_VALUES) != 0) {
        err = outside_item(t->txn, t->object.id, &e->value, r);
    }
    if (err == OXBOW_OK && (what & TABLE_SCORES) != 0) {
        err = table_score(e, &score);
        if (err == OXBOW_OK) {
            err = result_score(r, score);
        }
    }
    return err;
}

/* One that has expired is not given. */
static enum oxbow_err item_if_there(struct table *t, const struct btree_entry *e, unsigned what,
                                    struct oxbow_result *r)
{
    bool gone = false;
    enum oxbow_err err = table_gone(t, e, &gone);

    return err == OXBOW_OK && !gone ? table_item(t, e, what, r) : err;
}

enum oxbow_err table_items(struct table *t, unsigned what, struct oxbow_result *r)
{
    struct btree_place p;
    struct btree_entry e;
    enum oxbow_err err = btree_find_rank(&t->members, 0, &p);

    if (err == OXBOW_OK) {
        err = btree_get(&p, &e);
    }
    while (err == OXBOW_OK) {
        err = item_if_there(t, &e, what, r);
        if (err == OXBOW_OK) {
            err = btree_next(&p, &e);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err table_scan(struct table *t, uint64_t *cursor, size_t count, unsigned what,
                          struct oxbow_result *r)
{
    struct btree_key key = {.order = scan_cursor_order(*cursor)};
    uint64_t last = *cursor;
    size_t given = 0;
    struct btree_place p;
    struct btree_entry e;
    bool equal;
    enum oxbow_err err = OXBOW_OK;

    if (*cursor > SCAN_CURSOR_MAX) {
        *cursor = 0;
        return OXBOW_OK;
    }
    err = btree_find(&t->members, &key, &p, &equal);
    if (err == OXBOW_OK) {
        err = btree_get(&p, &e);
    }
    while (err == OXBOW_OK && (given < count || scan_cursor_at(e.order) == last)) {
        last = scan_cursor_at(e.order);
        given++; /* one that has expired as well: a look is work */
        err = item_if_there(t, &e, what, r);
        if (err == OXBOW_OK) {
            err = btree_next(&p, &e);
        }
    }
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        *cursor = err == OXBOW_OK ? scan_cursor_at(e.order) : 0;
        return OXBOW_OK;
    }
    return err;
}

/* ---- whole operations ---- */

/* What of a member that goes lies outside. */
static enum oxbow_err take_outside(void *ctx, const struct btree_entry *e)
{
    struct table *t = ctx;
    enum oxbow_err err = outside_delete(t->txn, t->object.id, &e->member);

    return err == OXBOW_OK ? outside_delete(t->txn, t->object.id, &e->value) : err;
}

enum oxbow_err table_remove_many(struct table *t, const struct oxbow_bytes *members, size_t count)
{
    struct btree_keys keys = {.count = count, .take = take_outside, .ctx = t};
    struct btree_key *at = keys_new(t->txn, count);
    enum oxbow_err err = at == NULL ? OXBOW_ENOMEM : OXBOW_OK;
    size_t i;

    if (err == OXBOW_OK && t->object.type == OXBOW_TYPE_HASH) {
        err = table_time_forget_many(t, members, count, at);
    }
    if (err == OXBOW_OK) {
        for (i = 0; i < count; i++) {
            at[i] = member_key(t, members[i]);
        }
        btree_keys_sort(at, count);
        keys.at = at;
        t->dirty = true;
        err = btree_remove_keys(&t->members, &keys);
    }
    keys_free(t->txn, at, count);
    return err;
}

/* One alone needs neither order nor memory. */
static enum oxbow_err remove_one(struct table *t, struct oxbow_bytes member)
{
    struct btree_place p;
    struct btree_entry e;
    bool found = false;
    enum oxbow_err err = table_member_find(t, member, &p, &e, &found);

    return err == OXBOW_OK && found ? table_member_remove(t, &p, &e) : err;
}

enum oxbow_err table_delete(struct table *t, const struct oxbow_bytes *members, size_t count,
                            uint64_t *deleted)
{
    uint64_t before = t->members.count;
    enum oxbow_err err =
        count == 1 ? remove_one(t, members[0]) : table_remove_many(t, members, count);

    err = table_close(t, err);
    if (err == OXBOW_OK) {
        *deleted = before - t->members.count;
    }
    return err;
}

enum oxbow_err table_read(struct oxbow_txn *txn, struct oxbow_bytes name, enum oxbow_type type,
                          struct table *t, struct oxbow_result *r)
{
    enum oxbow_err err = table_find(txn, name, type, t);

    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        enum oxbow_err began = result_begin(r, &txn_port(txn)->alloc, TABLE_RESULT_MAX);

        err = began == OXBOW_OK ? err : began;
    }
    return err;
}

enum oxbow_err table_read_done(enum oxbow_err err, struct oxbow_result *r)
{
    if (err == OXBOW_ENOENT) {
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        result_finish(r);
    }
    return err;
}

enum oxbow_err table_took(enum oxbow_err err, const struct oxbow_txn *txn, struct oxbow_result *r)
{
    enum oxbow_err emptied =
        err == OXBOW_OK ? OXBOW_OK : result_begin(r, &txn_port(txn)->alloc, TABLE_RESULT_MAX);

    return emptied == OXBOW_OK ? err : emptied;
}

enum oxbow_err table_count(struct oxbow_txn *txn, struct oxbow_bytes name, enum oxbow_type type,
                           uint64_t *count)
{
    struct table t;
    enum oxbow_err err = count == NULL ? OXBOW_EINVAL : table_find(txn, name, type, &t);

    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        *count = err == OXBOW_OK ? t.members.count : 0;
        return OXBOW_OK;
    }
    return err;
}

static enum oxbow_err get_one(struct table *t, struct oxbow_bytes member, bool *present,
                              struct oxbow_result *r)
{
    struct btree_place p;
    struct btree_entry e;
    bool found = false;
    bool gone = false;
    enum oxbow_err err = table_member_find(t, member, &p, &e, &found);

    if (err == OXBOW_OK && found) {
        err = table_gone(t, &e, &gone);
        found = !gone;
    }
    *present = found;
    if (err == OXBOW_OK && r != NULL) {
        err = found ? table_item(t, &e, TABLE_VALUES, r)
                    : result_item(r, (struct oxbow_bytes){NULL, 0});
    }
    return err;
}

enum oxbow_err table_get_many(struct oxbow_txn *txn, struct oxbow_bytes name, enum oxbow_type type,
                              const struct table_ask *ask, struct oxbow_result *r)
{
    uint64_t ignored = 0;
    bool absent;
    struct table t;
    size_t i;
    enum oxbow_err err = table_check(txn, ask->members, ask->count, &ignored);

    if (err != OXBOW_OK && err != OXBOW_ETOOBIG) { /* what is too long is simply not there */
        return err;
    }
    err = r == NULL ? table_find(txn, name, type, &t) : table_read(txn, name, type, &t, r);
    absent = err == OXBOW_ENOENT;
    if (absent) {
        err = OXBOW_OK;
    }
    for (i = 0; err == OXBOW_OK && i < ask->count; i++) {
        ask->present[i] = false;
        if (!absent) {
            err = get_one(&t, ask->members[i], &ask->present[i], r);
        } else if (r != NULL) {
            err = result_item(r, (struct oxbow_bytes){NULL, 0});
        }
    }
    return r == NULL ? err : table_read_done(err, r);
}
