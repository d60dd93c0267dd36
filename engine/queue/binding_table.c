/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All bindings of the store in memory: names are nodes, bindings are rows that lead from one to
 * another, and so are alternates. Read from the records at the first use, and again after a removal,
 * or an abort that may have taken a change back; a binding that is made is added in place.
 *
 * A record that is damaged, or that the rows there are would refuse (binding_row.c), is no row: a
 * warning says so, and its id is kept for who asks (oxbow_binding_unread).
 */
#include "engine/queue/binding.h"

#include "engine/base/codec.h"
#include "engine/store/catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXTS_MAX      ((size_t)512 << 20)
#define SLOTS_LEAST    16u
#define LINE_MAX_BYTES 128u

/* ---- life ---- */

static void table_empty(struct binding_table *t)
{
    const struct oxbow_alloc *alloc = &oxbow_port_of(t->db)->alloc;

    mem_free(alloc, t->nodes, t->node_room * sizeof *t->nodes);
    mem_free(alloc, t->slots, t->slot_count * sizeof *t->slots);
    mem_free(alloc, t->rows, t->row_room * sizeof *t->rows);
    mem_free(alloc, t->work, t->work_room * sizeof *t->work);
    mem_free(alloc, t->unread, t->unread_room * sizeof *t->unread);
    buf_fini(&t->texts);
    binding_index_fini(&t->index);
    buf_init(&t->texts, alloc, TEXTS_MAX);
    t->nodes = NULL;
    t->slots = NULL;
    t->rows = NULL;
    t->work = NULL;
    t->unread = NULL;
    t->node_count = t->node_room = 0;
    t->slot_count = 0;
    t->row_count = t->row_room = 0;
    t->work_room = 0;
    t->unread_count = t->unread_room = 0;
    t->sources = 0;
    t->gone = 0;
    t->stale = false;
    t->loaded = false;
}

static void table_close(struct oxbow *db, void *p)
{
    struct binding_table *t = p;

    table_empty(t);
    mem_free(&oxbow_port_of(db)->alloc, t, sizeof *t);
}

void binding_table_doubt(struct binding_table *t)
{
    t->changed = true;
    t->aborts = store_abort_count(t->db);
}

void binding_table_changed(struct binding_table *t)
{
    binding_table_doubt(t);
    t->loaded = false;
}

void *binding_grown(const struct binding_table *t, void *p, uint32_t *room, uint32_t count,
                    size_t size)
{
    const struct oxbow_alloc *alloc = &oxbow_port_of(t->db)->alloc;
    uint32_t more = *room == 0 ? 16 : *room * 2;
    void *q;

    if (count < *room) {
        return p;
    }
    q = alloc->resize(alloc->ctx, p, *room * size, more * size);
    if (q != NULL) {
        *room = more;
    }
    return q;
}

/* ---- nodes ---- */

struct oxbow_bytes binding_name(const struct binding_table *t, const struct binding_node *node)
{
    return (struct oxbow_bytes){t->texts.data + node->name_at, node->name_len};
}

static bool node_is(const struct binding_table *t, const struct binding_node *n, uint32_t database,
                    struct oxbow_bytes name)
{
    return n->database == database && n->name_len == name.len &&
           memcmp(t->texts.data + n->name_at, name.data, name.len) == 0;
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

static struct binding_node *node_tagged(const struct binding_table *t, uint64_t tag,
                                        uint32_t database, struct oxbow_bytes name)
{
    if (t->slot_count == 0 || name.len == 0) {
        return NULL;
    }
    for (uint32_t at = (uint32_t)tag & (t->slot_count - 1); t->slots[at] != 0;
         at = (at + 1) & (t->slot_count - 1)) {
        struct binding_node *n = &t->nodes[t->slots[at] - 1];

        if (n->tag == tag && node_is(t, n, database, name)) {
            return n;
        }
    }
    return NULL;
}

enum oxbow_err binding_node_find(struct oxbow_txn *txn, struct binding_table *t,
                                 struct oxbow_bytes name, struct binding_node **out)
{
    uint64_t tag;
    enum oxbow_err err = catalog_tag(txn, name, &tag);

    if (err == OXBOW_OK) {
        *out = node_tagged(t, tag, txn_database(txn), name);
    }
    return err;
}

static void slot_fill(struct binding_table *t, uint32_t node)
{
    uint32_t at = (uint32_t)t->nodes[node].tag & (t->slot_count - 1);

    while (t->slots[at] != 0) {
        at = (at + 1) & (t->slot_count - 1);
    }
    t->slots[at] = node + 1;
}

static enum oxbow_err slots_grow(struct binding_table *t)
{
    const struct oxbow_alloc *alloc = &oxbow_port_of(t->db)->alloc;
    uint32_t size = t->slot_count == 0 ? SLOTS_LEAST : t->slot_count * 2;
    uint32_t *slots;

    if (t->slot_count > 0 && (t->node_count + 1) * 2 <= t->slot_count) {
        return OXBOW_OK;
    }
    slots = mem_new(alloc, size * sizeof *slots);
    if (slots == NULL) {
        return OXBOW_ENOMEM;
    }
    mem_free(alloc, t->slots, t->slot_count * sizeof *t->slots);
    t->slots = slots;
    t->slot_count = size;
    for (uint32_t i = 0; i < t->node_count; i++) {
        slot_fill(t, i);
    }
    return OXBOW_OK;
}

enum oxbow_err binding_node_take(struct oxbow_txn *txn, struct binding_table *t, uint32_t database,
                                 struct oxbow_bytes name, uint32_t *out)
{
    struct binding_node fresh = {.database = database,
                                 .name_len = (uint32_t)name.len,
                                 .alternate = BINDING_NOBODY,
                                 .first = BINDING_NOBODY,
                                 .first_all = BINDING_NOBODY};
    const struct binding_node *there;
    struct binding_node *nodes;
    uint32_t *work;
    enum oxbow_err err = tag_in(txn, database, name, &fresh.tag);

    if (err != OXBOW_OK) {
        return err;
    }
    there = node_tagged(t, fresh.tag, database, name);
    if (there != NULL) {
        *out = (uint32_t)(there - t->nodes);
        return OXBOW_OK;
    }
    err = slots_grow(t);
    if (err != OXBOW_OK) {
        return err;
    }
    work = binding_grown(t, t->work, &t->work_room, t->node_count, sizeof *work);
    if (work == NULL) {
        return OXBOW_ENOMEM;
    }
    t->work = work;
    nodes = binding_grown(t, t->nodes, &t->node_room, t->node_count, sizeof *nodes);
    if (nodes == NULL) {
        return OXBOW_ENOMEM;
    }
    t->nodes = nodes;
    fresh.name_at = t->texts.len;
    err = buf_append(&t->texts, name.data, name.len);
    if (err == OXBOW_OK) {
        nodes[t->node_count] = fresh;
        *out = t->node_count;
        slot_fill(t, t->node_count++);
    }
    return err;
}

/* ---- reading ---- */

static enum oxbow_err note_unread(struct oxbow_txn *txn, struct binding_table *t, uint32_t id,
                                  const char *what)
{
    const struct oxbow_log *log = &txn_port(txn)->log;
    uint32_t *ids = binding_grown(t, t->unread, &t->unread_room, t->unread_count, sizeof *ids);
    char line[LINE_MAX_BYTES];

    if (ids == NULL) {
        return OXBOW_ENOMEM;
    }
    t->unread = ids;
    ids[t->unread_count++] = id;
    (void)snprintf(line, sizeof line, "store: %s, number %" PRIu32, what, id);
    log->line(log->ctx, OXBOW_LOG_WARN, line);
    return OXBOW_OK;
}

/* One key below KV_SPACE_BINDING. */
static enum oxbow_err record_read(struct oxbow_txn *txn, struct binding_table *t,
                                  const struct kv_cursor *c, enum oxbow_err err,
                                  struct oxbow_bytes value)
{
    uint32_t id = get_be32(c->key + 2);
    bool binding = c->key[1] == BINDING_KEY_BINDING;

    if (err == OXBOW_OK && binding) {
        err = binding_row_add(txn, t, id, value);
    } else if (err == OXBOW_OK) {
        err = binding_source_add(txn, t, id, value);
    }
    if (err == OXBOW_ECORRUPT || err == OXBOW_ECYCLE || err == OXBOW_EDEPTH ||
        err == OXBOW_EWRONGTYPE) {
        err = note_unread(
            txn, t, id,
            binding ? "a binding cannot be read: entries do not go there until it is made again"
                    : "what was set for a source cannot be read, until it is set again");
    }
    return err;
}

static enum oxbow_err records_read(struct oxbow_txn *txn, struct binding_table *t,
                                   enum binding_key_kind kind)
{
    uint8_t first[BINDING_KEY_MAX];
    struct oxbow_bytes key = binding_key(first, kind, 0);
    struct oxbow_bytes value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    for (err = kv_cursor_seek(&c, key, &key, &value); err == OXBOW_OK || err == OXBOW_ECORRUPT;
         err = kv_cursor_next(&c, &key, &value)) {
        enum oxbow_err read;

        if (c.key_len != 6 || c.key[0] != KV_SPACE_BINDING || c.key[1] != (uint8_t)kind) {
            break;
        }
        read = record_read(txn, t, &c, err, value);
        if (read != OXBOW_OK) {
            kv_cursor_fini(&c);
            return read;
        }
    }
    kv_cursor_fini(&c);
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}

enum oxbow_err binding_table_load(struct oxbow_txn *txn, struct binding_table *t)
{
    enum oxbow_err err;

    table_empty(t);
    err = records_read(txn, t, BINDING_KEY_BINDING);
    if (err == OXBOW_OK) {
        err = records_read(txn, t, BINDING_KEY_SOURCE);
    }
    if (err != OXBOW_OK) {
        table_empty(t);
        return err;
    }
    t->loaded = true;
    return OXBOW_OK;
}

enum oxbow_err binding_table_get(struct oxbow_txn *txn, struct binding_table **out)
{
    struct oxbow *db = txn_store(txn);
    struct binding_table *t = store_slot_get(db, STORE_SLOT_BINDING);

    if (t == NULL) {
        t = mem_new(&txn_port(txn)->alloc, sizeof *t);
        if (t == NULL) {
            return OXBOW_ENOMEM;
        }
        t->db = db;
        buf_init(&t->texts, &txn_port(txn)->alloc, TEXTS_MAX);
        binding_index_init(&t->index, &txn_port(txn)->alloc);
        store_slot_set(db, STORE_SLOT_BINDING, t, table_close);
    }
    *out = t;
    if (t->changed && t->aborts != store_abort_count(db)) {
        t->changed = false;
        t->loaded = false;
    }
    return t->loaded ? OXBOW_OK : binding_table_load(txn, t);
}
