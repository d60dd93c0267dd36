/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam for a journal: what a transaction did to the table, as resolved effects. Each is
 * idempotent and needs no clock, configuration or queue semantics to be done again: replaying the
 * effects of all transactions above a checkpoint's LSN, in order, gives the state at the last.
 *
 * Without a journal a commit is durable with the checkpoint that holds it.
 */
#ifndef OXBOW_STORE_JOURNAL_H
#define OXBOW_STORE_JOURNAL_H

#include "oxbow/oxbow.h"

enum journal_kind {
    JOURNAL_PUT = 1,   /* key := bytes */
    JOURNAL_PATCH = 2, /* key[pos, pos+len) := bytes */
    JOURNAL_DEL = 3    /* also each key of a deleted range, and of a blob's mark */
};

struct journal_effect {
    enum journal_kind kind;
    struct oxbow_bytes key;
    size_t pos;
    struct oxbow_bytes bytes;
};

/* Called with the turn, in the order of commits: append for each effect, then commit or drop. An
 * error from append or commit makes the transaction fail with it, and nothing is applied: drop
 * follows. What append is given is borrowed for the call. */
struct journal {
    void *ctx;
    enum oxbow_err (*append)(void *ctx, const struct journal_effect *effect);
    enum oxbow_err (*commit)(void *ctx, uint64_t lsn);
    void (*drop)(void *ctx);
};

/* Gives the store a journal, or with NULL takes it away; not within a transaction. `journal` must
 * outlive its use. */
void store_set_journal(struct oxbow *db, const struct journal *journal);

#endif
