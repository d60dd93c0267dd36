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

enum oxbow_err table_random(struct table *t, int64_t count, unsigned what, struct oxbow_result *r)
{
    uint64_t n = t->members.count;
    uint64_t *ranks = NULL;
    enum oxbow_err err = OXBOW_OK;
    size_t take;
    size_t i;

    if (count < 0) {
        for (; count < 0 && err == OXBOW_OK; count++) {
            uint64_t rank;

            err = pick_one(t->txn, n, &rank);
            if (err == OXBOW_OK) {
                err = item_at(t, rank, what, r);
            }
        }
        return err;
    }
    if ((uint64_t)count >= n) {
        return table_items(t, what, r);
    }
    take = (size_t)count;
    err = pick_distinct(t->txn, n, take, &ranks);
    for (i = 0; err == OXBOW_OK && i < take; i++) {
        err = item_at(t, ranks[i], what, r);
    }
    mem_free(&txn_port(t->txn)->alloc, ranks, take * sizeof *ranks);
    return err;
}
