/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which features a store uses that not every version knows, and the level that allows them. The level
 * is in FORMAT, raised on request alone; what is in use is a record that is written with the first
 * use, in the same transaction, and so comes and goes with it.
 *
 *   KV_SPACE_STORE 'f' ->
 *   0         1       8     16       24      32
 *   | version | zeros | has | writes | needs | what a later version adds |
 *
 * Invariants: (1) A bit is only ever added, and bits and bytes that are not known here stay. (2) Nothing
 * that a level does not allow is written before FORMAT says that level, durably.
 */
#include "engine/base/codec.h"
#include "engine/store/loss.h"
#include "engine/store/store.h"

#include <stdio.h>
#include <string.h>

#define RECORD_VERSION 1u
#define RECORD_BYTES   32u
#define RECORD_MAX     256u
#define BITS_AT        8u

/* In the order of enum store_feature. */
static const struct oxbow_feature rows[STORE_FEATURE_COUNT] = {
    {"policies", "limits of queues and what happens at them", OXBOW_FEATURE_WRITES, 0, 2},
    {"delays", "entries that are added when they are due", OXBOW_FEATURE_WRITES, 1, 2},
    {"group-options", "groups that take back, delay and give up entries", OXBOW_FEATURE_NEEDS, 0,
     2},
    {"times-to-live", "entries that go after their own time", OXBOW_FEATURE_WRITES, 2, 2},
    {"strings", "keys with one value", OXBOW_FEATURE_HAS, 1, 2},
    {"patrols", "what patrols of lists found", OXBOW_FEATURE_HAS, 0, 2},
    {"bindings", "streams whose entries go to other queues as well", OXBOW_FEATURE_WRITES, 6, 2},
    {"schedules", "entries that are added again and again", OXBOW_FEATURE_WRITES, 3, 2},
    {"priorities", "streams whose entries have priorities", OXBOW_FEATURE_NEEDS, 1, 2},
    {"stand-ins", "entries that came from a stand-in", OXBOW_FEATURE_HAS, 8, 2},
    {"key-expiry", "keys that expire", OXBOW_FEATURE_NEEDS, 2, 2},
    {"members", "hashes, sets and sorted sets", OXBOW_FEATURE_HAS, 16, 2},
    {"field-expiry", "hashes whose fields expire", OXBOW_FEATURE_NEEDS, 3, 2},
};

static const uint8_t key[] = {KV_SPACE_STORE, STORE_KEY_FEATURES};

const struct oxbow_feature *oxbow_features(size_t *count)
{
    *count = STORE_FEATURE_COUNT;
    return rows;
}

static uint64_t known(enum oxbow_feature_kind kind, uint32_t level)
{
    uint64_t bits = 0;
    size_t i;

    for (i = 0; i < STORE_FEATURE_COUNT; i++) {
        if (rows[i].kind == kind && rows[i].level <= level) {
            bits |= (uint64_t)1 << rows[i].bit;
        }
    }
    return bits;
}

/* ---- the record ---- */

/* The record as it is, or an empty one; *len is its length. */
static enum oxbow_err record_get(struct oxbow_txn *txn, uint8_t out[RECORD_MAX], size_t *len)
{
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, (struct oxbow_bytes){key, sizeof key}, &value);

    memset(out, 0, RECORD_MAX);
    out[0] = RECORD_VERSION;
    *len = RECORD_BYTES;
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    if (value.len < RECORD_BYTES || value.len > RECORD_MAX ||
        ((const uint8_t *)value.data)[0] != RECORD_VERSION) {
        return OXBOW_ECORRUPT;
    }
    memcpy(out, value.data, value.len);
    *len = value.len;
    return OXBOW_OK;
}

static void record_bits(const uint8_t *record, uint64_t bits[OXBOW_FEATURE_KINDS])
{
    size_t kind;

    for (kind = 0; kind < OXBOW_FEATURE_KINDS; kind++) {
        bits[kind] = get_le64(record + BITS_AT + 8 * kind);
    }
}

/* Adds bits to the record. */
static enum oxbow_err record_add(struct oxbow_txn *txn, const uint64_t bits[OXBOW_FEATURE_KINDS])
{
    struct store_features *f = &txn->db->features;
    uint8_t record[RECORD_MAX];
    uint64_t old[OXBOW_FEATURE_KINDS];
    size_t len;
    size_t kind;
    enum oxbow_err err = record_get(txn, record, &len);

    if (err == OXBOW_ECORRUPT && f->assumed) {
        err = OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    record_bits(record, old);
    for (kind = 0; kind < OXBOW_FEATURE_KINDS; kind++) {
        put_le64(record + BITS_AT + 8 * kind, old[kind] | bits[kind]);
    }
    err = kv_put(txn, (struct oxbow_bytes){key, sizeof key}, (struct oxbow_bytes){record, len});
    if (err == OXBOW_OK) {
        record_bits(record, f->bits);
        f->aborts = store_abort_count(txn->db);
    }
    return err;
}

/* ---- at open ---- */

static enum oxbow_err refuse(struct oxbow *db, const char *what, uint64_t bits)
{
    char line[160];

    (void)snprintf(line, sizeof line, "store: it uses features of a newer version (%s %llx): %s",
                   what, (unsigned long long)bits,
                   strcmp(what, "writes") == 0 ? "it can only be read by this one"
                                               : "this one cannot open it");
    store_log(db, OXBOW_LOG_ERROR, line);
    db->newer = true;
    return OXBOW_EFORMAT;
}

static enum oxbow_err judge(struct oxbow *db, const uint64_t bits[OXBOW_FEATURE_KINDS])
{
    uint64_t needs = bits[OXBOW_FEATURE_NEEDS] & ~known(OXBOW_FEATURE_NEEDS, UINT32_MAX);
    uint64_t writes = bits[OXBOW_FEATURE_WRITES] & ~known(OXBOW_FEATURE_WRITES, UINT32_MAX);

    if (needs != 0) {
        return refuse(db, "needs", needs);
    }
    return writes != 0 && (db->config.flags & OXBOW_OPEN_READONLY) == 0
               ? refuse(db, "writes", writes)
               : OXBOW_OK;
}

enum oxbow_err feature_load(struct oxbow *db)
{
    struct oxbow_txn *txn = txn_start(db, NULL, OXBOW_SYNC_ALWAYS);
    struct store_features *f = &db->features;
    struct loss_state lost;
    uint8_t record[RECORD_MAX];
    size_t len;
    size_t kind;
    enum oxbow_err err = record_get(txn, record, &len);

    f->aborts = store_abort_count(db);
    if (err == OXBOW_OK) {
        record_bits(record, f->bits);
        f->assumed = f->bits[0] == 0 && f->bits[1] == 0 && f->bits[2] == 0 &&
                     loss_state_get(txn, &lost) == OXBOW_OK &&
                     (lost.keys_lost > 0 || lost.values_bad > 0 || !lost.complete);
    } else if (err == OXBOW_ECORRUPT) {
        f->assumed = true;
    }
    if (!f->assumed) {
        return err == OXBOW_OK ? judge(db, f->bits) : err;
    }
    if (db->level > OXBOW_FORMAT_LEVEL) {
        store_log(db, OXBOW_LOG_ERROR,
                  "store: damaged, and of a newer version's level: let that one open it");
        db->newer = false;
        return OXBOW_ECORRUPT;
    }
    for (kind = 0; kind < OXBOW_FEATURE_KINDS; kind++) {
        f->bits[kind] = known((enum oxbow_feature_kind)kind, db->level);
    }
    return OXBOW_OK;
}

/* Into the table as recovery does: the checkpoint that counts this opening writes it. */
enum oxbow_err feature_settle(struct oxbow *db)
{
    uint64_t bits[OXBOW_FEATURE_KINDS];
    struct oxbow_txn *txn;
    enum oxbow_err err;

    if (!db->features.assumed) {
        return OXBOW_OK;
    }
    memcpy(bits, db->features.bits, sizeof bits);
    txn = txn_start(db, NULL, OXBOW_SYNC_ALWAYS);
    txn->replayed = true;
    err = record_add(txn, bits);
    if (err != OXBOW_OK) {
        undo_abort(&txn->undo, db->active);
        return err;
    }
    undo_commit(&txn->undo, db->active);
    db->active->dirty = true;
    db->features.assumed = false;
    return OXBOW_OK;
}

/* ---- in use ---- */

enum oxbow_err oxbow_format(struct oxbow_txn *txn, struct oxbow_format *out)
{
    struct oxbow *db = txn->db;
    uint8_t record[RECORD_MAX];
    size_t len;
    enum oxbow_err err = record_get(txn, record, &len);

    if (err == OXBOW_OK) {
        out->level = db->level;
        out->level_known = OXBOW_FORMAT_LEVEL;
        record_bits(record, out->used);
    }
    return err;
}

/* What a cache may have: it is not on the device, and no other version will read it. */
static const bool cached[STORE_FEATURE_COUNT] = {[STORE_FEATURE_STRING] = true,
                                                 [STORE_FEATURE_KEY_EXPIRY] = true,
                                                 [STORE_FEATURE_MEMBERS] = true,
                                                 [STORE_FEATURE_FIELDS] = true};

enum oxbow_err txn_feature_require(struct oxbow_txn *txn, enum store_feature feature)
{
    const struct oxbow_feature *row = &rows[feature];
    const struct oxbow *db = txn->db;
    uint64_t bits[OXBOW_FEATURE_KINDS] = {0};

    if (txn_in_cache(txn)) {
        return cached[feature] ? OXBOW_OK : OXBOW_ENOTSUP;
    }
    if (db->features.aborts == store_abort_count(db) &&
        (db->features.bits[row->kind] & (uint64_t)1 << row->bit) != 0) {
        return OXBOW_OK;
    }
    if (db->level < row->level) {
        return OXBOW_ELEVEL;
    }
    bits[row->kind] = (uint64_t)1 << row->bit;
    return record_add(txn, bits);
}

/* ---- the level ---- */

/* FORMAT where the path leads now is this store's. */
static enum oxbow_err check_place(struct oxbow *db)
{
    const struct store_format own = {db->store_id, db->level};
    char want[FORMAT_BYTES_MAX];
    char got[FORMAT_BYTES_MAX];
    size_t len = format_text(want, &own);
    uint64_t size;
    enum oxbow_err err = directory_check(db);

    if (err == OXBOW_OK) {
        err = directory_read(db, STORE_FORMAT, got, sizeof got, &size);
    }
    if (err == OXBOW_OK && (size != len || memcmp(want, got, len) != 0)) {
        err = OXBOW_ENOENT;
    }
    return err;
}

static enum oxbow_err raise_level(struct oxbow *db)
{
    const struct store_format format = {db->store_id, OXBOW_FORMAT_LEVEL};
    char text[FORMAT_BYTES_MAX];
    enum oxbow_err err = check_place(db);

    if (err == OXBOW_OK) {
        err = directory_make(db, STORE_FORMAT, text, format_text(text, &format));
    }
    store_lock(db);
    if (err == OXBOW_OK) {
        wear_note(db, WEAR_OTHER, TREE_PAGE_BYTES);
        db->level = format.level;
    } else if (err == OXBOW_EIO) {
        store_fail(db, err); /* which of the two the device has is not known */
    }
    store_unlock(db);
    if (err == OXBOW_OK) {
        char line[96];

        (void)snprintf(line, sizeof line, "store: its level is %u now", (unsigned)format.level);
        store_log(db, OXBOW_LOG_INFO, line);
    }
    return err;
}

enum oxbow_err oxbow_upgrade(struct oxbow *db)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, NULL, &txn);

    if (err == OXBOW_OK) {
        err = db->level < OXBOW_FORMAT_LEVEL ? raise_level(db) : OXBOW_OK;
        oxbow_txn_abort(txn);
    }
    return err;
}
