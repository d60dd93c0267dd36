/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members by chance: every one is as likely as any other, whatever their hashes, since a tree knows its
 * entries by rank.
 */
#include "engine/keyval/table.h"

#include "engine/base/buf.h"

#define FEW_TRIES_MAX 1000u

enum oxbow_err pick_one(struct oxbow_txn *txn, uint64_t n, uint64_t *rank)
{
    const struct oxbow_random *random = &txn_port(txn)->random;
    uint64_t fair = UINT64_MAX - UINT64_MAX % n; /* what is above favours low ranks */
    uint64_t v = 0;
    unsigned tries;

    for (tries = 0; tries < FEW_TRIES_MAX; tries++) {
        enum oxbow_err err = random->fill(random->ctx, &v, sizeof v);

        if (err != OXBOW_OK) {
            return err;
        }
        if (v < fair) {
            break;
        }
    }
    *rank = v % n;
    return OXBOW_OK;
}

/* Goes through all ranks and takes each with the chance that leaves as many as are wanted. */
static enum oxbow_err pick_many(struct oxbow_txn *txn, uint64_t n, size_t count, uint64_t *ranks)
{
    size_t got = 0;
    uint64_t i;

    for (i = 0; got < count; i++) {
        uint64_t at;
        enum oxbow_err err = pick_one(txn, n - i, &at);

        if (err != OXBOW_OK) {
            return err;
        }
        if (at < count - got) {
            ranks[got++] = i;
        }
    }
    return OXBOW_OK;
}

/* Puts a rank into an open table of `slots` (a power of two); false: it is there already. */
static bool seen_put(uint64_t *seen, size_t slots, uint64_t rank)
{
    size_t i = (size_t)(rank * 0x9e3779b97f4a7c15u >> 32) & (slots - 1);

    while (seen[i] != 0) {
        if (seen[i] == rank + 1) {
            return false;
        }
        i = (i + 1) & (slots - 1);
    }
    seen[i] = rank + 1;
    return true;
}

/* Floyd's: for i = n - count .. n - 1 one of 0 .. i, or i itself where that was taken. */
static enum oxbow_err pick_few(struct oxbow_txn *txn, uint64_t n, size_t count, uint64_t *ranks)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    enum oxbow_err err = OXBOW_OK;
    size_t slots = 4;
    uint64_t *seen;
    size_t got;

    while (slots < count * 2) {
        slots *= 2;
    }
    seen = mem_new(alloc, slots * sizeof *seen);
    if (seen == NULL) {
        return OXBOW_ENOMEM;
    }
    for (got = 0; got < count && err == OXBOW_OK; got++) {
        uint64_t last = n - count + got;

        err = pick_one(txn, last + 1, &ranks[got]);
        if (err == OXBOW_OK && !seen_put(seen, slots, ranks[got])) {
            ranks[got] = last;
            (void)seen_put(seen, slots, last);
        }
    }
    mem_free(alloc, seen, slots * sizeof *seen);
    return err;
}

enum oxbow_err pick_distinct(struct oxbow_txn *txn, uint64_t n, size_t count, uint64_t **ranks)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    uint64_t *out = NULL;
    enum oxbow_err err = OXBOW_OK;

    if (count > SIZE_MAX / 4 / sizeof *out) {
        return OXBOW_ENOMEM;
    }
    if (count > 0) {
        out = mem_new(alloc, count * sizeof *out);
        if (out == NULL) {
            return OXBOW_ENOMEM;
        }
        err = count > n / 4 ? pick_many(txn, n, count, out) : pick_few(txn, n, count, out);
    }
    if (err != OXBOW_OK) {
        mem_free(alloc, out, count * sizeof *out);
        return err;
    }
    *ranks = out;
    return OXBOW_OK;
}

static enum oxbow_err item_at(struct table *t, uint64_t rank, unsigned what, struct oxbow_result *r)
{
    struct btree_place p;
    struct btree_entry e;
    enum oxbow_err err = btree_find_rank(&t->members, rank, &p);

    if (err == OXBOW_OK) {
        err = btree_get(&p, &e);
        err = err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
    }
    return err == OXBOW_OK ? table_item(t, &e, what, r) : err;
}

/* Whether a member may have expired that is still there. */
static enum oxbow_err any_gone(struct table *t, bool *any)
{
    struct btree_place p;
    struct btree_entry e;
    enum oxbow_err err = t->object.type == OXBOW_TYPE_HASH ? table_times(t) : OXBOW_ENOENT;

    *any = false;
    if (err == OXBOW_OK) {
        err = t->times.count > 0 ? btree_find_rank(&t->times, 0, &p) : OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        err = btree_get(&p, &e);
    }
    if (err == OXBOW_OK) {
        *any = e.order <= txn_clock_ms(t->txn);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* The ranks of those that have not; `ranks` has room for all members. */
static enum oxbow_err there_list(struct table *t, uint64_t *ranks, uint64_t *count)
{
    struct btree_place p;
    struct btree_entry e;
    uint64_t rank = 0;
    enum oxbow_err err = btree_find_rank(&t->members, 0, &p);

    *count = 0;
    if (err == OXBOW_OK) {
        err = btree_get(&p, &e);
    }
    for (; err == OXBOW_OK && rank < t->members.count; rank++) {
        bool gone = false;

        err = table_gone(t, &e, &gone);
        if (err == OXBOW_OK) {
            ranks[*count] = rank;
            *count += !gone;
            err = btree_next(&p, &e);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* `there`: the ranks to draw from, NULL: all that are below n. */
static enum oxbow_err draw(struct table *t, int64_t count, const uint64_t *there, uint64_t n,
                           unsigned what, struct oxbow_result *r)
{
    uint64_t *ranks = NULL;
    enum oxbow_err err = OXBOW_OK;
    size_t take = count > 0 ? (size_t)count : 0;
    size_t i;

    for (; count < 0 && n > 0 && err == OXBOW_OK; count++) {
        uint64_t rank;

        err = pick_one(t->txn, n, &rank);
        if (err == OXBOW_OK) {
            err = item_at(t, there != NULL ? there[rank] : rank, what, r);
        }
    }
    if (err != OXBOW_OK || take == 0) {
        return err;
    }
    if (take >= n) {
        return table_items(t, what, r);
    }
    err = pick_distinct(t->txn, n, take, &ranks);
    for (i = 0; err == OXBOW_OK && i < take; i++) {
        err = item_at(t, there != NULL ? there[ranks[i]] : ranks[i], what, r);
    }
    mem_free(&txn_port(t->txn)->alloc, ranks, take * sizeof *ranks);
    return err;
}

/* Until idle work has removed what has expired, what has not is listed first. */
enum oxbow_err table_random(struct table *t, int64_t count, unsigned what, struct oxbow_result *r)
{
    const struct oxbow_alloc *alloc = &txn_port(t->txn)->alloc;
    uint64_t n = t->members.count;
    uint64_t *there = NULL;
    uint64_t bytes = 0;
    bool any;
    enum oxbow_err err = any_gone(t, &any);

    if (err == OXBOW_OK && any) {
        bytes = n * sizeof *there;
        there = n > SIZE_MAX / 4 / sizeof *there ? NULL : mem_new(alloc, (size_t)bytes);
        err = there == NULL ? OXBOW_ENOMEM : there_list(t, there, &n);
    }
    if (err == OXBOW_OK) {
        err = draw(t, count, there, n, what, r);
    }
    mem_free(alloc, there, (size_t)bytes);
    return err;
}
