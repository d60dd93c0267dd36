/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy's record in the store, and the table in memory that finds it by name.
 *
 *   KV_SPACE_POLICY 'p' be32 id -> the record
 *   KV_SPACE_POLICY 's' be32 id -> what was counted: policy_drops.c
 *   KV_SPACE_POLICY 'n'         -> le32: the newest id given
 *
 *   0      1      2          4           8
 *   +------+------+----------+-----------+------+---------------------------------
 *   | form | zero | name len | database  | name | fields: varint head, content ...
 *   +------+------+----------+-----------+------+---------------------------------
 *
 * head = 4 x number + 2 (critical) + 1 (the content is a varint length and so many bytes; else it
 * is a varint). Fields ascend by number; a field that is 0 is left out.
 *
 * 1. A field that this version does not know is written back as it was and has no effect; if it is
 *    critical, the policy can be cleared but not read or changed here, and nothing is appended to the queue.
 * 2. A record that is damaged or of another format is no policy: its queue is served without.
 * 3. The table is a cache: it is read again after a change, and after an abort that may have taken
 *    one back.
 */
#include "engine/queue/policy.h"

#include "engine/base/codec.h"
#include "engine/store/catalog.h"

#include <string.h>

#define RECORD_FORMAT  1u
#define RECORD_FIXED   8u
#define HEAD_BYTES     1u
#define HEAD_CRITICAL  2u
#define HEAD_NUMBER(h) ((h) >> 2)

struct oxbow_bytes policy_key(uint8_t out[POLICY_KEY_MAX], enum policy_key_kind kind, uint32_t id)
{
    out[0] = KV_SPACE_POLICY;
    out[1] = (uint8_t)kind;
    put_be32(out + 2, id);
    return (struct oxbow_bytes){out, kind == POLICY_KEY_RECORD || kind == POLICY_KEY_STATE ? 6 : 2};
}

/* ---- fields ---- */

struct field_at {
    uint64_t head;
    uint64_t value;            /* of a number */
    struct oxbow_bytes stored; /* all of it, head included */
};

/* Takes the first field off *rest. */
static enum oxbow_err field_next(struct oxbow_bytes *rest, struct field_at *f)
{
    const uint8_t *p = rest->data;
    size_t n = varint_get(p, rest->len, &f->head);
    size_t m = n == 0 ? 0 : varint_get(p + n, rest->len - n, &f->value);
    size_t len = n + m;

    if (n == 0 || m == 0) {
        return OXBOW_ECORRUPT;
    }
    if ((f->head & HEAD_BYTES) != 0) {
        if (f->value > rest->len - len) {
            return OXBOW_ECORRUPT;
        }
        len += (size_t)f->value;
    }
    f->stored = (struct oxbow_bytes){p, len};
    *rest = (struct oxbow_bytes){p + len, rest->len - len};
    return OXBOW_OK;
}

/* The row of a field that this version knows; NULL: it does not. */
static const struct oxbow_policy_field *field_known(uint64_t head)
{
    size_t count;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);

    for (size_t i = 0; i < count && (head & HEAD_BYTES) == 0; i++) {
        if (fields[i].number == HEAD_NUMBER(head)) {
            return &fields[i];
        }
    }
    return NULL;
}

static enum oxbow_err record_decode(struct oxbow_bytes value, struct policy_row *row,
                                    struct oxbow_bytes *name)
{
    const uint8_t *p = value.data;
    struct oxbow_bytes rest;

    if (value.len < RECORD_FIXED || p[0] != RECORD_FORMAT) {
        return OXBOW_ECORRUPT;
    }
    *name = (struct oxbow_bytes){p + RECORD_FIXED, get_le16(p + 2)};
    row->database = get_le32(p + 4);
    row->critical = false;
    row->policy = (struct oxbow_policy){0};
    if (name->len == 0 || name->len > OXBOW_POLICY_NAME_MAX ||
        name->len > value.len - RECORD_FIXED || row->database >= CATALOG_DATABASES) {
        return OXBOW_ECORRUPT;
    }
    rest = (struct oxbow_bytes){p + RECORD_FIXED + name->len, value.len - RECORD_FIXED - name->len};
    while (rest.len > 0) {
        const struct oxbow_policy_field *known;
        struct field_at f;
        enum oxbow_err err = field_next(&rest, &f);

        if (err != OXBOW_OK) {
            return err;
        }
        known = field_known(f.head);
        /* A value that is known here to be out of range was set by a version that knows more. */
        if (known == NULL || oxbow_policy_value_set(&row->policy, known, f.value) != OXBOW_OK) {
            row->critical = row->critical || known != NULL || (f.head & HEAD_CRITICAL) != 0;
        }
    }
    return OXBOW_OK;
}

/* Appends a field that is not 0. */
static enum oxbow_err field_put(struct buf *out, const struct oxbow_policy_field *field,
                                uint64_t value)
{
    uint8_t bytes[2 * VARINT_MAX];
    size_t n;

    if (value == 0) {
        return OXBOW_OK;
    }
    n = varint_put(bytes, (uint64_t)field->number << 2);
    n += varint_put(bytes + n, value);
    return buf_append(out, bytes, n);
}

/* Merges the known fields with what else stands in `old`, in the order of numbers. */
static enum oxbow_err fields_put(struct buf *out, const struct oxbow_policy *policy,
                                 struct oxbow_bytes old)
{
    size_t count;
    size_t i = 0;
    const struct oxbow_policy_field *fields = oxbow_policy_fields(&count);
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && old.len > 0) {
        struct field_at f;

        err = field_next(&old, &f);
        if (err != OXBOW_OK || field_known(f.head) != NULL) {
            continue;
        }
        for (; err == OXBOW_OK && i < count && fields[i].number < HEAD_NUMBER(f.head); i++) {
            err = field_put(out, &fields[i], oxbow_policy_value(policy, &fields[i]));
        }
        if (err == OXBOW_OK) {
            err = buf_append(out, f.stored.data, f.stored.len);
        }
    }
    for (; err == OXBOW_OK && i < count; i++) {
        err = field_put(out, &fields[i], oxbow_policy_value(policy, &fields[i]));
    }
    return err == OXBOW_ETOOBIG ? OXBOW_ENOTSUP : err;
}

enum oxbow_err policy_record_put(struct oxbow_txn *txn, uint32_t id, struct oxbow_bytes name,
                                 const struct oxbow_policy *policy)
{
    struct oxbow_bytes old = {NULL, 0};
    struct oxbow_bytes was;
    struct policy_row row;
    struct buf out;
    uint8_t fixed[RECORD_FIXED] = {RECORD_FORMAT};
    uint8_t key[POLICY_KEY_MAX];
    enum oxbow_err err = kv_get(txn, policy_key(key, POLICY_KEY_RECORD, id), &old);

    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (err == OXBOW_OK) {
        err = record_decode(old, &row, &was);
        if (err != OXBOW_OK) {
            return err;
        }
        old = (struct oxbow_bytes){(const uint8_t *)old.data + RECORD_FIXED + was.len,
                                   old.len - RECORD_FIXED - was.len};
    }
    put_le16(fixed + 2, (uint16_t)name.len);
    put_le32(fixed + 4, txn_database(txn));
    buf_init(&out, &txn_port(txn)->alloc, POLICY_VALUE_MAX);
    err = buf_append(&out, fixed, sizeof fixed);
    if (err == OXBOW_OK) {
        err = buf_append(&out, name.data, name.len);
    }
    if (err == OXBOW_OK) {
        err = fields_put(&out, policy, old);
    }
    if (err == OXBOW_OK) {
        err = kv_put(txn, policy_key(key, POLICY_KEY_RECORD, id),
                     (struct oxbow_bytes){out.data, out.len});
    }
    buf_fini(&out);
    return err;
}

/* ---- the table ---- */

static void table_empty(struct policy_table *t)
{
    const struct oxbow_alloc *alloc = &oxbow_port_of(t->db)->alloc;

    mem_free(alloc, t->rows, t->room * sizeof *t->rows);
    mem_free(alloc, t->slots, t->slot_count * sizeof *t->slots);
    buf_fini(&t->names);
    buf_init(&t->names, alloc, (size_t)OXBOW_POLICY_COUNT_MAX * OXBOW_POLICY_NAME_MAX);
    t->rows = NULL;
    t->slots = NULL;
    t->count = 0;
    t->room = 0;
    t->slot_count = 0;
    t->shapes = 0;
    t->sweep = 0;
    t->loaded = false;
}

static void table_close(struct oxbow *db, void *p)
{
    struct policy_table *t = p;

    table_empty(t);
    mem_free(&oxbow_port_of(db)->alloc, t, sizeof *t);
}

static enum oxbow_err tag_in(struct oxbow_txn *txn, uint32_t database, struct oxbow_bytes name,
                             uint64_t *tag)
{
    uint32_t own = txn_database(txn);
    enum oxbow_err err = oxbow_txn_select(txn, database);
    enum oxbow_err back;

    if (err != OXBOW_OK) {
        return err;
    }
    err = catalog_tag(txn, name, tag);
    back = oxbow_txn_select(txn, own);
    return err == OXBOW_OK ? back : err;
}

static enum oxbow_err row_add(struct oxbow_txn *txn, struct policy_table *t, uint32_t id,
                              struct oxbow_bytes value)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    struct policy_row row = {.id = id, .name_at = t->names.len};
    struct oxbow_bytes name;
    enum oxbow_err err = record_decode(value, &row, &name);

    if (err == OXBOW_OK) {
        err = tag_in(txn, row.database, name, &row.tag);
    }
    if (err == OXBOW_OK && t->count == t->room) {
        uint32_t room = t->room == 0 ? 16 : t->room * 2;
        struct policy_row *rows =
            alloc->resize(alloc->ctx, t->rows, t->room * sizeof *rows, room * sizeof *rows);

        if (rows == NULL) {
            return OXBOW_ENOMEM;
        }
        t->rows = rows;
        t->room = room;
    }
    if (err == OXBOW_OK) {
        err = buf_append(&t->names, name.data, name.len);
    }
    if (err == OXBOW_OK) {
        row.name_len = name.len;
        t->rows[t->count++] = row;
    }
    return err;
}

/* One bit by a name's length and ends: most names that have no policy are told by it. 0: no name. */
static uint64_t shape_of(struct oxbow_bytes name)
{
    const uint8_t *p = name.data;

    return name.len == 0 ? 0 : (uint64_t)1 << ((name.len * 31 ^ p[0] * 17u ^ p[name.len - 1]) & 63);
}

/* Whether rows may hold what an abort has taken back. */
static bool doubtful(const struct policy_table *t)
{
    return t->changed && t->aborts != store_abort_count(t->db);
}

static enum oxbow_err slots_fill(struct policy_table *t)
{
    uint32_t size = 16;

    while (size < t->count * 2) {
        size *= 2;
    }
    t->slots = mem_new(&oxbow_port_of(t->db)->alloc, size * sizeof *t->slots);
    if (t->slots == NULL) {
        return OXBOW_ENOMEM;
    }
    t->slot_count = size;
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t at = (uint32_t)t->rows[i].tag & (size - 1);

        while (t->slots[at] != 0) {
            at = (at + 1) & (size - 1);
        }
        t->slots[at] = i + 1;
        t->shapes |= shape_of(policy_row_name(t, &t->rows[i]));
    }
    return OXBOW_OK;
}

static void tell_lost(struct oxbow_txn *txn)
{
    const struct oxbow_log *log = &txn_port(txn)->log;

    log->line(log->ctx, OXBOW_LOG_WARN,
              "store: a queue's policy cannot be read: the queue has none until it is set again");
}

static enum oxbow_err rows_read(struct oxbow_txn *txn, struct policy_table *t)
{
    uint8_t first[POLICY_KEY_MAX];
    struct oxbow_bytes key = policy_key(first, POLICY_KEY_RECORD, 0);
    struct oxbow_bytes value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    for (err = kv_cursor_seek(&c, key, &key, &value); err == OXBOW_OK || err == OXBOW_ECORRUPT;
         err = kv_cursor_next(&c, &key, &value)) {
        enum oxbow_err row = err;

        if (c.key_len != 6 || c.key[0] != KV_SPACE_POLICY || c.key[1] != POLICY_KEY_RECORD) {
            break;
        }
        if (row == OXBOW_OK) {
            row = t->count < OXBOW_POLICY_COUNT_MAX ? row_add(txn, t, get_be32(c.key + 2), value)
                                                    : OXBOW_ECORRUPT;
        }
        if (row == OXBOW_ECORRUPT) {
            tell_lost(txn);
        } else if (row != OXBOW_OK) {
            kv_cursor_fini(&c);
            return row;
        }
    }
    kv_cursor_fini(&c);
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}

static enum oxbow_err table_load(struct oxbow_txn *txn, struct policy_table *t)
{
    enum oxbow_err err;

    table_empty(t);
    err = rows_read(txn, t);
    if (err == OXBOW_OK && t->count > 0) {
        err = slots_fill(t);
    }
    if (err != OXBOW_OK) {
        table_empty(t);
        return err;
    }
    t->loaded = true;
    return OXBOW_OK;
}

enum oxbow_err policy_table_get(struct oxbow_txn *txn, struct policy_table **out)
{
    struct oxbow *db = txn_store(txn);
    struct policy_table *t = store_slot_get(db, STORE_SLOT_POLICY);

    if (t == NULL) {
        t = mem_new(&txn_port(txn)->alloc, sizeof *t);
        if (t == NULL) {
            return OXBOW_ENOMEM;
        }
        t->db = db;
        buf_init(&t->names, &txn_port(txn)->alloc,
                 (size_t)OXBOW_POLICY_COUNT_MAX * OXBOW_POLICY_NAME_MAX);
        store_slot_set(db, STORE_SLOT_POLICY, t, table_close);
    }
    *out = t;
    if (doubtful(t)) {
        t->changed = false;
        t->loaded = false;
    }
    return t->loaded ? OXBOW_OK : table_load(txn, t);
}

void policy_table_doubt(struct policy_table *t)
{
    t->changed = true;
    t->aborts = store_abort_count(t->db);
}

void policy_table_changed(struct policy_table *t)
{
    policy_table_doubt(t);
    t->loaded = false;
}

struct oxbow_bytes policy_row_name(const struct policy_table *t, const struct policy_row *row)
{
    return (struct oxbow_bytes){t->names.data + row->name_at, row->name_len};
}

const struct policy_row *policy_row_tagged(const struct policy_table *t, uint64_t tag)
{
    for (uint32_t at = (uint32_t)tag & (t->slot_count - 1); t->count > 0 && t->slots[at] != 0;
         at = (at + 1) & (t->slot_count - 1)) {
        if (t->rows[t->slots[at] - 1].tag == tag) {
            return &t->rows[t->slots[at] - 1];
        }
    }
    return NULL;
}

static bool row_is(const struct policy_table *t, const struct policy_row *row, uint32_t database,
                   struct oxbow_bytes key)
{
    return row->database == database && row->name_len == key.len &&
           memcmp(t->names.data + row->name_at, key.data, key.len) == 0;
}

/* Out of line, so that who has no policies does not pay for its frame. */
static enum oxbow_err row_find(struct oxbow_txn *txn, struct oxbow_bytes key,
                               struct policy_row **row)
{
    struct policy_table *t;
    uint64_t tag;
    enum oxbow_err err = policy_table_get(txn, &t);

    if (err != OXBOW_OK || t->count == 0 || key.len == 0) {
        return err;
    }
    err = catalog_tag(txn, key, &tag);
    if (err != OXBOW_OK) {
        return err;
    }
    for (uint32_t at = (uint32_t)tag & (t->slot_count - 1); t->slots[at] != 0;
         at = (at + 1) & (t->slot_count - 1)) {
        struct policy_row *r = &t->rows[t->slots[at] - 1];

        if (r->tag == tag && row_is(t, r, txn_database(txn), key)) {
            *row = r;
            return OXBOW_OK;
        }
    }
    return OXBOW_OK;
}

enum oxbow_err policy_row(struct oxbow_txn *txn, struct oxbow_bytes key, struct policy_row **row)
{
    const struct policy_table *t = store_slot_get(txn_store(txn), STORE_SLOT_POLICY);

    *row = NULL;
    if (t != NULL && t->loaded && (t->shapes == 0 || (t->shapes & shape_of(key)) == 0) &&
        !doubtful(t)) {
        return OXBOW_OK;
    }
    return row_find(txn, key, row);
}
