/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remembers in which stretches of the store's clock something was put while a credit could still come.
 *
 *   KV_SPACE_TIME 'c' -> rows of 24 bytes, oldest first: from (8), to (8), ms (8), little-endian
 *
 *   closed   what was put when the clock showed `from` to below `to` is credited with `ms` too much
 *   open     `to` is all ones: the wall clock was not believed yet. `ms` is how much had ever been
 *            credited when the row was begun; what comes on top of it is too much
 *
 *      (none) --credit_note, not sure--> open --credit_note, sure, or a credit has come--> closed
 *
 * Invariants: (1) A row is open when something was put since its `from` and nothing since a credit. (2) At
 * most the last row is open. (3) Rows that had to be made one cover what lay between them: what was put
 * there comes late. Nothing comes early by a row.
 */
#include "engine/store/credit.h"

#include "engine/base/buf.h"
#include "engine/base/codec.h"

#include <string.h>

#define ROWS_MAX  32u
#define ROW_BYTES 24u
#define OPEN      UINT64_MAX

struct row {
    uint64_t from;
    uint64_t to;
    uint64_t ms;
};

/* Hangs on the store: the record, as read. */
struct credit_state {
    uint64_t aborts; /* store_abort_count as of then */
    uint32_t count;
    struct row rows[ROWS_MAX];
};

static const uint8_t key[] = {KV_SPACE_TIME, 'c'};

static void state_close(struct oxbow *db, void *p)
{
    mem_free(&oxbow_port_of(db)->alloc, p, sizeof(struct credit_state));
}

static void decode(struct credit_state *s, struct oxbow_bytes value)
{
    const uint8_t *p = value.data;

    s->count = 0;
    while (s->count < ROWS_MAX && value.len >= (s->count + 1) * (size_t)ROW_BYTES) {
        s->rows[s->count++] = (struct row){get_le64(p), get_le64(p + 8), get_le64(p + 16)};
        p += ROW_BYTES;
    }
}

static enum oxbow_err state_get(struct oxbow_txn *txn, struct credit_state **out)
{
    struct oxbow *db = txn_store(txn);
    struct credit_state *s = store_slot_get(db, STORE_SLOT_CREDIT);
    struct oxbow_bytes value = {NULL, 0};
    enum oxbow_err err;

    if (s != NULL && s->aborts == store_abort_count(db)) {
        *out = s;
        return OXBOW_OK;
    }
    err = kv_get(txn, (struct oxbow_bytes){key, sizeof key}, &value);
    if (err != OXBOW_OK && err != OXBOW_ENOENT && err != OXBOW_ECORRUPT) {
        return err;
    }
    if (s == NULL) {
        s = mem_new(&txn_port(txn)->alloc, sizeof *s);
        if (s == NULL) {
            return OXBOW_ENOMEM;
        }
        store_slot_set(db, STORE_SLOT_CREDIT, s, state_close);
    }
    /* A record that is damaged is as if it were not there: things may come early by a credit then. */
    decode(s, err == OXBOW_OK ? value : (struct oxbow_bytes){NULL, 0});
    s->aborts = store_abort_count(db);
    *out = s;
    return OXBOW_OK;
}

static enum oxbow_err state_put(struct oxbow_txn *txn, const struct credit_state *s)
{
    uint8_t value[ROWS_MAX * ROW_BYTES];

    for (uint32_t i = 0; i < s->count; i++) {
        put_le64(value + i * ROW_BYTES, s->rows[i].from);
        put_le64(value + i * ROW_BYTES + 8, s->rows[i].to);
        put_le64(value + i * ROW_BYTES + 16, s->rows[i].ms);
    }
    return kv_put(txn, (struct oxbow_bytes){key, sizeof key},
                  (struct oxbow_bytes){value, s->count * (size_t)ROW_BYTES});
}

static struct row *open_row(struct credit_state *s)
{
    return s->count > 0 && s->rows[s->count - 1].to == OPEN ? &s->rows[s->count - 1] : NULL;
}

static void row_add(struct credit_state *s, const struct row *row)
{
    if (s->count == ROWS_MAX) {
        s->rows[1].from = s->rows[0].from;
        s->rows[1].ms += s->rows[0].ms;
        s->count--;
        memmove(&s->rows[0], &s->rows[1], s->count * sizeof s->rows[0]);
    }
    s->rows[s->count++] = *row;
}

enum oxbow_err credit_note(struct oxbow_txn *txn)
{
    uint64_t added = txn_clock_added_ms(txn);
    bool unsure = txn_clock_unsure(txn);
    struct txn_clock_start start;
    struct credit_state *s;
    struct row *row;
    enum oxbow_err err = state_get(txn, &s);

    if (err != OXBOW_OK) {
        return err;
    }
    row = open_row(s);
    if (unsure ? row != NULL && row->ms == added : row == NULL) {
        return OXBOW_OK;
    }
    if (row != NULL && row->ms < added) {
        *row = (struct row){row->from, txn_clock_ms(txn), added - row->ms};
    } else if (row != NULL) {
        s->count--; /* nothing was credited */
    }
    if (unsure) {
        txn_clock_start(txn, &start);
        row_add(s, &(struct row){start.steady_ms + added, OPEN, added});
    }
    err = state_put(txn, s);
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

enum oxbow_err credit_since(struct oxbow_txn *txn, uint64_t from_ms, uint64_t *ms)
{
    uint64_t added;
    struct credit_state *s;
    enum oxbow_err err = state_get(txn, &s);

    *ms = 0;
    if (err != OXBOW_OK || s->count == 0) {
        return err;
    }
    added = txn_clock_added_ms(txn);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct row *row = &s->rows[i];

        if (from_ms >= row->from && from_ms < row->to) {
            *ms += row->to != OPEN ? row->ms : added > row->ms ? added - row->ms : 0;
        }
    }
    return OXBOW_OK;
}

enum oxbow_err credit_raise(struct oxbow_txn *txn, uint64_t ms)
{
    uint64_t before = txn_clock_added_ms(txn);
    struct credit_state *s;
    struct row *row;
    enum oxbow_err err = state_get(txn, &s);

    if (err != OXBOW_OK) {
        return err;
    }
    txn_clock_raise(txn, ms);
    row = open_row(s);
    if (row == NULL || txn_clock_added_ms(txn) == before) {
        return OXBOW_OK;
    }
    row->ms += txn_clock_added_ms(txn) - before;
    return state_put(txn, s);
}
