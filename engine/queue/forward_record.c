/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodes and decodes forwards' records, and keeps the table that finds them by name and by key.
 * The table is a cache: it is read again after every change of the set and after every abort, since
 * it may hold what an aborted transaction did.
 */
#include "engine/queue/forward_record.h"

#include "engine/base/buf.h"
#include "engine/base/codec.h"
#include "engine/base/hash.h"

#include <string.h>

#define FORWARD_HASH_SEED 0x6f78666fu
#define COPY_KEY_BYTES    6u

size_t forward_record_key(uint8_t out[FORWARD_KEY_MAX], uint32_t id)
{
    out[0] = KV_SPACE_FORWARD;
    out[1] = 'f';
    put_be32(out + 2, id);
    return 6;
}

static uint8_t *put_id(uint8_t *p, struct oxbow_id id)
{
    put_le64(p, id.ms);
    put_le64(p + 8, id.seq);
    return p + 16;
}

static struct oxbow_id get_id(const uint8_t *p)
{
    return (struct oxbow_id){get_le64(p), get_le64(p + 8)};
}

static void encode_options(uint8_t *p, const struct forward_record *r)
{
    const struct oxbow_forward_options *o = &r->config.options;

    p[0] = RECORD_FORMAT;
    p[1] = (uint8_t)o->type;
    p[2] = (uint8_t)o->select;
    p[3] = (uint8_t)o->confirm;
    p[4] = (uint8_t)o->after;
    p[5] = (uint8_t)o->on_full;
    p[6] = (uint8_t)o->on_deleted;
    p[7] = o->urgent;
    put_le32(p + 8, o->replicas);
    put_le32(p + 12, o->hold_ms);
    put_le64(p + 16, o->hold_bytes);
    put_le64(p + 24, o->max_bytes);
    put_le32(p + 32, o->weight);
    put_le32(p + 36, o->batch_bytes);
    put_le32(p + 40, o->batch_count);
    put_le32(p + 44, (uint32_t)o->linger_ms);
    put_le32(p + 48, r->config.database);
    p[52] = o->true_time;
    put_le64(p + 56, r->config.epoch);
}

static void decode_options(const uint8_t *p, struct forward_record *r)
{
    struct oxbow_forward_options *o = &r->config.options;

    o->type = (enum oxbow_type)p[1];
    o->select = (enum oxbow_forward_select)p[2];
    o->confirm = (enum oxbow_forward_confirm)p[3];
    o->after = (enum oxbow_forward_after)p[4];
    o->on_full = (enum oxbow_forward_full)p[5];
    o->on_deleted = (enum oxbow_forward_deleted)p[6];
    o->urgent = p[7] != 0;
    o->replicas = get_le32(p + 8);
    o->hold_ms = get_le32(p + 12);
    o->hold_bytes = get_le64(p + 16);
    o->max_bytes = get_le64(p + 24);
    o->weight = get_le32(p + 32);
    o->batch_bytes = get_le32(p + 36);
    o->batch_count = get_le32(p + 40);
    o->linger_ms = (int32_t)get_le32(p + 44);
    r->config.database = get_le32(p + 48);
    o->true_time = p[52] != 0;
    r->config.epoch = get_le64(p + 56);
}

static void encode_state(uint8_t *p, const struct forward_record *r)
{
    const uint64_t counters[] = {
        r->head,         r->backlog_entries, r->backlog_bytes, r->held_bytes,
        r->sent_entries, r->dropped_entries, r->dropped_bytes, r->gaps,
        r->rewinds};

    p = put_id(put_id(put_id(p, r->trimmed), r->confirmed), r->sent);
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++, p += 8) {
        put_le64(p, counters[i]);
    }
    p = put_id(put_id(p, r->last.from), r->last.to);
    put_le64(p, r->last.entries);
    put_le64(p + 8, r->last.bytes);
    put_le32(p + 16, (uint32_t)r->last.cause);
    put_le32(p + 20, r->mark_count);
    p += 24;
    for (size_t i = 0; i < r->mark_count; i++) {
        p = put_id(p, r->marks[i].position);
        put_le64(p, r->marks[i].boot);
        put_le64(p + 8, r->marks[i].uptime_ms);
        p += 16;
    }
}

static void decode_state(const uint8_t *p, struct forward_record *r)
{
    uint64_t *const counters[] = {
        &r->head,         &r->backlog_entries, &r->backlog_bytes, &r->held_bytes,
        &r->sent_entries, &r->dropped_entries, &r->dropped_bytes, &r->gaps,
        &r->rewinds};

    r->trimmed = get_id(p);
    r->confirmed = get_id(p + 16);
    r->sent = get_id(p + 32);
    p += 48;
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++, p += 8) {
        *counters[i] = get_le64(p);
    }
    r->last.from = get_id(p);
    r->last.to = get_id(p + 16);
    r->last.entries = get_le64(p + 32);
    r->last.bytes = get_le64(p + 40);
    r->last.cause = (enum oxbow_gap_cause)get_le32(p + 48);
    r->mark_count = get_le32(p + 52);
    p += 56;
    for (size_t i = 0; i < RECORD_MARKS; i++, p += 32) {
        r->marks[i] = (struct forward_mark){get_id(p), get_le64(p + 16), get_le64(p + 24)};
    }
}

/* Copies one text out of the record and points the option at it. */
static const uint8_t *take_text(const uint8_t *p, size_t len, uint8_t *text,
                                struct oxbow_bytes *option)
{
    memcpy(text, p, len);
    *option = (struct oxbow_bytes){text, len};
    return p + len;
}

static enum oxbow_err decode(struct oxbow_bytes value, uint32_t id, struct forward_record *r)
{
    const uint8_t *p = value.data;
    size_t name, key, target, group;

    if (value.len < RECORD_FIXED || p[0] != RECORD_FORMAT) {
        return OXBOW_ECORRUPT;
    }
    name = p[496];
    key = get_le16(p + 497);
    target = get_le16(p + 499);
    group = get_le16(p + 501);
    if (name > OXBOW_FORWARD_NAME_MAX || key > sizeof r->config.key_text ||
        target > sizeof r->config.target_text || group > sizeof r->config.group_text ||
        value.len != RECORD_FIXED + name + key + target + group) {
        return OXBOW_ECORRUPT;
    }
    memset(r, 0, sizeof *r);
    r->config.id = id;
    decode_options(p, r);
    decode_state(p + 64, r);
    if (r->mark_count > RECORD_MARKS || (r->config.options.type != OXBOW_TYPE_LIST &&
                                         r->config.options.type != OXBOW_TYPE_STREAM)) {
        return OXBOW_ECORRUPT;
    }
    p += RECORD_FIXED;
    memcpy(r->config.name, p, name);
    p = take_text(p + name, key, r->config.key_text, &r->config.options.key);
    p = take_text(p, target, r->config.target_text, &r->config.options.target);
    take_text(p, group, r->config.group_text, &r->config.options.group);
    return OXBOW_OK;
}

enum oxbow_err forward_record_get(struct oxbow_txn *txn, uint32_t id, struct forward_record *out)
{
    uint8_t key[FORWARD_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err =
        kv_get(txn, (struct oxbow_bytes){key, forward_record_key(key, id)}, &value);

    return err == OXBOW_OK ? decode(value, id, out) : err;
}

static enum oxbow_err put_under(struct oxbow_txn *txn, struct oxbow_bytes key,
                                const struct forward_record *r, bool state)
{
    const struct oxbow_forward_options *o = &r->config.options;
    const struct oxbow_bytes texts[] = {
        {r->config.name, strlen(r->config.name)}, o->key, o->target, o->group};
    uint8_t value[RECORD_FIXED + RECORD_TEXT_MAX] = {0};
    size_t len = RECORD_FIXED;

    encode_options(value, r);
    if (state) {
        encode_state(value + 64, r);
    }
    value[496] = (uint8_t)texts[0].len;
    put_le16(value + 497, (uint16_t)o->key.len);
    put_le16(value + 499, (uint16_t)o->target.len);
    put_le16(value + 501, (uint16_t)o->group.len);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].len > 0) {
            memcpy(value + len, texts[i].data, texts[i].len);
            len += texts[i].len;
        }
    }
    return kv_put(txn, key, (struct oxbow_bytes){value, len});
}

enum oxbow_err forward_record_put(struct oxbow_txn *txn, const struct forward_record *r)
{
    uint8_t key[FORWARD_KEY_MAX];

    return put_under(txn, (struct oxbow_bytes){key, forward_record_key(key, r->config.id)}, r,
                     true);
}

/* ---- the copy ---- */

static struct oxbow_bytes copy_key(uint8_t out[COPY_KEY_BYTES], uint32_t id)
{
    out[0] = KV_SPACE_STORE;
    out[1] = 'F';
    put_be32(out + 2, id);
    return (struct oxbow_bytes){out, COPY_KEY_BYTES};
}

enum oxbow_err forward_copy_put(struct oxbow_txn *txn, const struct forward_record *r)
{
    uint8_t key[COPY_KEY_BYTES];

    return put_under(txn, copy_key(key, r->config.id), r, false);
}

enum oxbow_err forward_copy_get(struct oxbow_txn *txn, uint32_t id, struct forward_record *out)
{
    uint8_t key[COPY_KEY_BYTES];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, copy_key(key, id), &value);

    return err == OXBOW_OK ? decode(value, id, out) : err;
}

enum oxbow_err forward_copy_del(struct oxbow_txn *txn, uint32_t id)
{
    uint8_t key[COPY_KEY_BYTES];

    return kv_del(txn, copy_key(key, id));
}

/* The first id at or after that of `from`, a key of either kind. */
static enum oxbow_err id_from(struct oxbow_txn *txn, struct oxbow_bytes from, uint32_t *id)
{
    struct oxbow_bytes key, value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek_in(&c, from, 2, &key, &value);
    if (err == OXBOW_OK) {
        err = key.len == COPY_KEY_BYTES && memcmp(key.data, from.data, 2) == 0 ? OXBOW_OK
                                                                               : OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        *id = get_be32((const uint8_t *)key.data + 2);
    }
    kv_cursor_fini(&c);
    return err;
}

enum oxbow_err forward_id_next(struct oxbow_txn *txn, uint32_t *id)
{
    uint8_t record[FORWARD_KEY_MAX];
    uint8_t copy[COPY_KEY_BYTES];
    size_t len = forward_record_key(record, *id);
    uint32_t a = 0;
    uint32_t b = 0;
    enum oxbow_err err = id_from(txn, (struct oxbow_bytes){record, len}, &a);
    enum oxbow_err other;

    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    other = id_from(txn, copy_key(copy, *id), &b);
    if (other == OXBOW_OK) {
        *id = err == OXBOW_OK && a < b ? a : b;
    } else if (err == OXBOW_OK) {
        *id = a;
        other = other == OXBOW_ENOENT ? OXBOW_OK : other;
    }
    return other;
}

enum oxbow_err forward_copy_all(struct oxbow_txn *txn)
{
    struct forward_table *t;
    enum oxbow_err err = forward_table_get(txn, &t);

    for (size_t i = 0; err == OXBOW_OK && i < t->count; i++) {
        err = forward_copy_get(txn, t->rows[i].id, &t->work);
        if (err == OXBOW_ENOENT) {
            err = forward_record_get(txn, t->rows[i].id, &t->work);
            if (err == OXBOW_OK) {
                err = forward_copy_put(txn, &t->work);
            }
        }
    }
    return err;
}

static uint64_t hash_key(uint32_t database, struct oxbow_bytes key)
{
    return hash64(key.data, key.len, FORWARD_HASH_SEED + database);
}

static void table_close(struct oxbow *db, void *p)
{
    struct forward_table *t = p;

    oxbow_result_fini(&t->scratch);
    mem_free(&oxbow_port_of(db)->alloc, t, sizeof *t);
}

static enum oxbow_err table_load(struct oxbow_txn *txn, struct forward_table *t)
{
    static const uint8_t first[] = {KV_SPACE_FORWARD, 'f'};
    struct oxbow_bytes key = {first, sizeof first};
    struct oxbow_bytes value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);
    size_t count = 0;

    if (err != OXBOW_OK) {
        return err;
    }
    for (err = kv_cursor_seek_in(&c, key, sizeof first, &key, &value); err == OXBOW_OK;
         err = kv_cursor_next(&c, &key, &value)) {
        const uint8_t *p = key.data;
        struct forward_row *row = &t->rows[count];

        if (key.len != 6 || p[0] != KV_SPACE_FORWARD || p[1] != 'f') {
            break;
        }
        err = count == OXBOW_FORWARD_COUNT_MAX ? OXBOW_ECORRUPT
                                               : decode(value, get_be32(p + 2), &t->record);
        if (err != OXBOW_OK) {
            break;
        }
        row->id = t->record.config.id;
        row->database = t->record.config.database;
        row->key_hash = hash_key(row->database, t->record.config.options.key);
        memcpy(row->name, t->record.config.name, sizeof row->name);
        count++;
    }
    kv_cursor_fini(&c);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    t->count = count;
    t->loaded = true;
    t->aborts = store_abort_count(t->db);
    return OXBOW_OK;
}

enum oxbow_err forward_table_get(struct oxbow_txn *txn, struct forward_table **out)
{
    struct oxbow *db = txn_store(txn);
    struct forward_table *t = store_slot_get(db, STORE_SLOT_FORWARD);

    if (t == NULL) {
        t = mem_new(&txn_port(txn)->alloc, sizeof *t);
        if (t == NULL) {
            return OXBOW_ENOMEM;
        }
        t->db = db;
        store_slot_set(db, STORE_SLOT_FORWARD, t, table_close);
    }
    *out = t;
    if (t->loaded && t->aborts == store_abort_count(db)) {
        return OXBOW_OK;
    }
    memset(t->memos, 0, sizeof t->memos);
    return table_load(txn, t);
}

void forward_table_forget(struct forward_table *t)
{
    t->loaded = false;
    t->revision++;
}

struct forward_row *forward_row_named(struct forward_table *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++) {
        if (strncmp(t->rows[i].name, name, sizeof t->rows[i].name) == 0) {
            return &t->rows[i];
        }
    }
    return NULL;
}

struct forward_row *forward_row_keyed(struct forward_table *t, struct oxbow_txn *txn,
                                      struct oxbow_bytes key)
{
    uint32_t database = txn_database(txn);
    uint64_t hash;

    if (t->count == 0) {
        return NULL;
    }
    hash = hash_key(database, key);
    for (size_t i = 0; i < t->count; i++) {
        if (t->rows[i].key_hash == hash && t->rows[i].database == database) {
            return &t->rows[i];
        }
    }
    return NULL;
}

enum oxbow_err forward_record_named(struct oxbow_txn *txn, const char *name,
                                    struct forward_table **table, struct forward_record **out)
{
    enum oxbow_err err = forward_table_get(txn, table);
    const struct forward_row *row;

    if (err != OXBOW_OK) {
        return err;
    }
    row = forward_row_named(*table, name);
    if (row == NULL) {
        return OXBOW_ENOENT;
    }
    *out = &(*table)->work;
    return forward_record_get(txn, row->id, *out);
}
