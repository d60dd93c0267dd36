/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members that have a deadline, which so far are fields of hashes.
 *
 * A member's deadline is in its entry in the tree of members, so who finds the member sees at once whether
 * it is still to be seen. A second tree has the members that have one in the order of (deadline, member),
 * without values; what of a member lies outside is shared by both. The object waits for its time
 * (catalog_due_put) with the earliest deadline, or an earlier time.
 *
 * Invariants: (1) A member has a deadline if and only if it is in the tree of deadlines under that. After
 * a salvage it may be missing there until the object was swept, and one that no member agrees with goes
 * when its time comes. (2) The tree is there if and only if something is in it. (3) While something is in
 * it the object waits for a time at or before the first of it.
 */
#include "engine/keyval/table.h"

#include "engine/store/credit.h"

/* The bytes of a member in memory that outlives writes. */
static enum oxbow_err member_copy(struct table *t, const struct btree_ref *ref, struct buf *copy,
                                  struct oxbow_bytes *out)
{
    enum oxbow_err err = ref->len > copy->len_max - 1 ? OXBOW_ECORRUPT : OXBOW_OK;

    copy->len = 0;
    if (err == OXBOW_OK) {
        err = buf_reserve(copy, (size_t)ref->len + 1);
    }
    if (err == OXBOW_OK) {
        err = outside_copy(t->txn, t->object.id, ref, copy->data, (size_t)ref->len);
    }
    if (err == OXBOW_OK) {
        *out = (struct oxbow_bytes){copy->data, (size_t)ref->len};
    }
    return err;
}

enum oxbow_err table_gone(struct table *t, const struct btree_entry *e, bool *gone)
{
    *gone = false;
    if (e->deadline == 0) {
        return OXBOW_OK;
    }
    table_time_attach(t->txn);
    return catalog_expired(t->txn, e->deadline, e->made_ms, gone);
}

/* ---- the tree of deadlines ---- */

enum oxbow_err table_times(struct table *t)
{
    enum oxbow_err err;

    if (t->timed) {
        return OXBOW_OK;
    }
    err = btree_open(&t->times, t->txn, t->object.id, BTREE_TIMES);
    if (err == OXBOW_ENOENT) {
        err = btree_make(&t->times, t->txn, t->object.id, BTREE_TIMES, 0);
    }
    t->timed = err == OXBOW_OK;
    return err;
}

static enum oxbow_err times_remove(struct table *t, uint64_t deadline, struct oxbow_bytes member)
{
    const struct btree_key key = {deadline, member};
    struct btree_place p;
    struct btree_entry e;
    bool equal = false;
    enum oxbow_err err = table_times(t);

    if (err == OXBOW_OK && t->times.count > 0) {
        err = btree_find(&t->times, &key, &p, &equal);
    }
    if (err == OXBOW_OK && equal) {
        err = btree_get(&p, &e);
        if (err == OXBOW_OK) {
            t->dirty = true;
            err = btree_remove(&p, &e);
        }
    }
    return err;
}

/* `ref` is the member's in the tree of members. *first: it is before all others. */
static enum oxbow_err times_add(struct table *t, uint64_t deadline, struct oxbow_bytes member,
                                const struct btree_ref *ref, bool *first)
{
    const struct btree_key key = {deadline, member};
    struct btree_entry e = {.order = deadline, .member = *ref};
    struct btree_place p;
    bool equal = false;
    enum oxbow_err err = table_times(t);

    if (err == OXBOW_OK) {
        err = btree_find(&t->times, &key, &p, &equal);
    }
    if (err == OXBOW_OK) {
        *first = p.rank == 0;
    }
    if (err == OXBOW_OK && !equal) {
        e.member.data = member.data;
        t->dirty = true;
        err = btree_insert(&p, &e);
    }
    return err;
}

enum oxbow_err table_time_forget(struct table *t, const struct btree_entry *e)
{
    struct oxbow_bytes member;
    struct buf copy;
    enum oxbow_err err;

    buf_init(&copy, &txn_port(t->txn)->alloc, SIZE_MAX / 2);
    err = member_copy(t, &e->member, &copy, &member);
    if (err == OXBOW_OK) {
        err = times_remove(t, e->deadline, member);
    }
    buf_fini(&copy);
    return err;
}

enum oxbow_err table_time_forget_many(struct table *t, const struct oxbow_bytes *members,
                                      size_t count, struct btree_key *scratch)
{
    struct btree_keys keys = {.at = scratch};
    enum oxbow_err err = table_times(t);

    for (size_t i = 0; err == OXBOW_OK && t->times.count > 0 && i < count; i++) {
        struct btree_place p;
        struct btree_entry e;
        bool found = false;

        err = table_member_find(t, members[i], &p, &e, &found);
        if (err == OXBOW_OK && found && e.deadline != 0) {
            scratch[keys.count++] = (struct btree_key){e.deadline, members[i]};
        }
    }
    if (err == OXBOW_OK && keys.count > 0) {
        btree_keys_sort(scratch, keys.count);
        t->dirty = true;
        err = btree_remove_keys(&t->times, &keys);
    }
    return err;
}

/* The object waits for that time, if it waited for a later one or for none. */
static enum oxbow_err due_no_later(struct table *t, uint64_t deadline)
{
    struct object_due want = {.due = UINT64_MAX};
    enum oxbow_err err = catalog_due_get(t->txn, t->object.id, &want);

    if ((err == OXBOW_OK || err == OXBOW_ENOENT) && want.due > deadline) {
        want.due = deadline;
        return catalog_due_put(t->txn, t->name, &want);
    }
    return err;
}

enum oxbow_err table_member_time(struct table *t, struct btree_place *p,
                                 const struct btree_entry *e, uint64_t deadline, uint64_t made_ms)
{
    struct btree_entry timed = *e;
    struct oxbow_bytes member = {NULL, 0};
    struct buf copy;
    bool first = false;
    enum oxbow_err err;

    if (deadline > BTREE_TIME_MAX) {
        deadline = BTREE_TIME_MAX;
    }
    t->dirty = true;
    timed.deadline = deadline;
    timed.made_ms = made_ms <= BTREE_TIME_MAX ? made_ms : 0;
    buf_init(&copy, &txn_port(t->txn)->alloc, SIZE_MAX / 2);
    err = member_copy(t, &e->member, &copy, &member);
    if (err == OXBOW_OK && e->deadline != 0) {
        err = times_remove(t, e->deadline, member);
    }
    if (err == OXBOW_OK && deadline != 0) {
        err = times_add(t, deadline, member, &e->member, &first);
    }
    buf_fini(&copy);
    if (err == OXBOW_OK) { /* the other tree is as it was, and so is the place */
        err = btree_retime(p, &timed);
    }
    if (err == OXBOW_OK && first) {
        table_time_attach(t->txn);
        err = due_no_later(t, deadline);
    }
    return err;
}

enum oxbow_err table_times_close(struct table *t)
{
    struct object_due want;
    enum oxbow_err err = OXBOW_OK;

    if (t->timed && t->times.count == 0 && !t->times.fresh) {
        err = btree_drop(&t->times);
        if (err == OXBOW_OK) {
            err = catalog_due_get(t->txn, t->object.id, &want);
        }
        if (err == OXBOW_OK && !want.sweep) {
            err = catalog_due_del(t->txn, t->object.id);
        }
    }
    if ((err == OXBOW_OK || err == OXBOW_ENOENT) && t->members.count == 0) {
        err = catalog_due_del(t->txn, t->object.id);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* ---- idle work ---- */

/* Removes the member of that deadline, if its time has truly come. */
static enum oxbow_err expire_one(struct table *t, uint64_t deadline, struct oxbow_bytes member)
{
    struct btree_place p;
    struct btree_entry e;
    uint64_t due = 0;
    bool found = false;
    bool gone = false;
    enum oxbow_err err = table_member_find(t, member, &p, &e, &found);

    if (err == OXBOW_OK && (!found || e.deadline != deadline)) {
        return times_remove(t, deadline, member);
    }
    if (err == OXBOW_OK) {
        err = table_gone(t, &e, &gone);
    }
    if (err == OXBOW_OK && gone) {
        t->expired++;
        return table_member_remove(t, &p, &e);
    }
    if (err == OXBOW_OK) {
        err = catalog_due_at(t->txn, deadline, e.made_ms, &due);
    }
    return err == OXBOW_OK ? table_member_time(t, &p, &e, due, 0) : err;
}

/* Those whose time has come, the earliest first, and when the next is due; UINT64_MAX: none is. */
static enum oxbow_err expire_some(struct table *t, size_t *left, struct buf *copy, uint64_t *next)
{
    enum oxbow_err err = table_times(t);

    *next = UINT64_MAX;
    while (err == OXBOW_OK && t->times.count > 0) {
        struct oxbow_bytes member = {NULL, 0};
        struct btree_place p;
        struct btree_entry e;

        err = btree_find_rank(&t->times, 0, &p);
        if (err == OXBOW_OK) {
            err = btree_get(&p, &e);
            err = err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
        }
        if (err == OXBOW_OK && (e.order > txn_clock_ms(t->txn) || *left == 0)) {
            *next = e.order;
            return OXBOW_OK;
        }
        if (err == OXBOW_OK) {
            err = member_copy(t, &e.member, copy, &member);
        }
        if (err == OXBOW_OK) {
            (*left)--;
            err = expire_one(t, e.order, member);
        }
    }
    return err;
}

/* After a salvage: members whose deadlines are not in their tree. *want: where to go on. */
static enum oxbow_err sweep_some(struct table *t, size_t *left, struct buf *copy,
                                 struct object_due *want)
{
    struct btree_key key = {.order = want->from};
    struct btree_place p;
    struct btree_entry e;
    uint64_t last = want->from;
    bool equal;
    enum oxbow_err err =
        t->members.count > 0 ? btree_find(&t->members, &key, &p, &equal) : OXBOW_ENOENT;

    if (err == OXBOW_OK) {
        err = btree_get(&p, &e);
    }
    while (err == OXBOW_OK) {
        bool first;

        if (*left == 0 && e.order != last) {
            want->from = e.order;
            return OXBOW_OK;
        }
        last = e.order;
        *left -= *left > 0;
        key.order = e.order;
        if (e.deadline != 0) {
            err = member_copy(t, &e.member, copy, &key.member);
            if (err == OXBOW_OK) {
                err = times_add(t, e.deadline, key.member, &e.member, &first);
            }
            if (err == OXBOW_OK) { /* what the place has borrowed is gone */
                err = btree_find(&t->members, &key, &p, &equal);
            }
            if (err == OXBOW_OK) {
                err = btree_get(&p, &e);
            }
        }
        if (err == OXBOW_OK) {
            err = btree_next(&p, &e);
        }
    }
    want->sweep = err != OXBOW_ENOENT;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err step(struct table *t, size_t *left, struct buf *copy)
{
    struct object_due want = {.due = 1};
    uint64_t next = UINT64_MAX;
    enum oxbow_err err = catalog_due_get(t->txn, t->object.id, &want);

    if (err == OXBOW_OK && want.sweep) {
        err = sweep_some(t, left, copy, &want);
    }
    if (err == OXBOW_OK) {
        err = expire_some(t, left, copy, &next);
    }
    if (err != OXBOW_OK || t->members.count == 0) {
        return err;
    }
    t->dirty = true;
    want.due = want.sweep ? 1 : next;
    return want.due == UINT64_MAX ? catalog_due_del(t->txn, t->object.id)
                                  : catalog_due_put(t->txn, t->name, &want);
}

/* A hash whose time has come. */
static enum oxbow_err expire_fields(struct oxbow_txn *txn, struct oxbow_bytes name, size_t *left)
{
    struct table t;
    struct buf copy;
    enum oxbow_err err = table_find_to_write(txn, name, OXBOW_TYPE_HASH, &t);

    if (err != OXBOW_OK) {
        return err;
    }
    buf_init(&copy, &txn_port(txn)->alloc, SIZE_MAX / 2);
    err = step(&t, left, &copy);
    buf_fini(&copy);
    if (err == OXBOW_OK && t.expired > 0) {
        err = table_touch(&t);
    }
    return table_close(&t, err);
}

enum oxbow_err table_time_step(struct oxbow_txn *txn, bool *more)
{
    return catalog_due_step(txn, TABLE_TIME_STEP, expire_fields, more);
}

void table_time_attach(struct oxbow_txn *txn)
{
    struct oxbow *db = txn_store(txn);

    if (!store_has_idle_hook(db, STORE_IDLE_FIELD)) {
        store_set_idle_hook(db, STORE_IDLE_FIELD, table_time_step);
    }
}
