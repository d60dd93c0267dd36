/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes, removes and lists bindings, and how sources pass entries on. A record is written first, then
 * the table in memory follows: binding_table.c. What happens to entries is binding_route.c's.
 *
 * A source has a record as long as it has a binding or something is set: its first binding makes it,
 * the last one to go takes it away if nothing is set.
 */
#include "engine/queue/binding.h"

#include "engine/base/codec.h"
#include "engine/queue/stream.h"

#define RECORD_MAX      16384u
#define RECORD_OVERHEAD 2048u

const char *oxbow_binding_kind_name(enum oxbow_binding_kind kind)
{
    static const char *const names[] = {"all", "direct", "topic", "headers"};

    return (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "?";
}

static enum oxbow_err newest_id(struct oxbow_txn *txn, uint32_t *id)
{
    uint8_t keybuf[BINDING_KEY_MAX];
    uint8_t value[4];
    struct oxbow_bytes key = binding_key(keybuf, BINDING_KEY_NEWEST, 0);
    struct oxbow_bytes old;
    enum oxbow_err err = kv_get(txn, key, &old);

    *id = 1;
    if (err == OXBOW_OK) {
        if (old.len != sizeof value || get_le32(old.data) >= UINT32_MAX - 1) {
            return OXBOW_ECORRUPT;
        }
        *id = get_le32(old.data) + 1;
    }
    put_le32(value, *id);
    return err == OXBOW_OK || err == OXBOW_ENOENT
               ? kv_put(txn, key, (struct oxbow_bytes){value, sizeof value})
               : err;
}

static enum oxbow_err record_put(struct oxbow_txn *txn, enum binding_key_kind kind, uint32_t id,
                                 struct oxbow_bytes record)
{
    uint8_t key[BINDING_KEY_MAX];

    return kv_put(txn, binding_key(key, kind, id), record);
}

static enum oxbow_err record_del(struct oxbow_txn *txn, enum binding_key_kind kind, uint32_t id)
{
    uint8_t key[BINDING_KEY_MAX];

    return kv_del(txn, binding_key(key, kind, id));
}

/* Before something is written: OXBOW_EREADONLY, OXBOW_EQUOTA, OXBOW_ELEVEL. */
static enum oxbow_err may_write(struct oxbow_txn *txn, size_t len)
{
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : OXBOW_OK;

    if (err == OXBOW_OK) {
        err = txn_reserve_bytes(txn, 2 * len + RECORD_OVERHEAD);
    }
    return err == OXBOW_OK ? txn_feature_require(txn, STORE_FEATURE_BINDING) : err;
}

/* ---- sources ---- */

/* Writes a source's record, under the id that it has or a new one. */
static enum oxbow_err source_write(struct oxbow_txn *txn, struct binding_table *t, uint32_t id,
                                   struct oxbow_bytes record)
{
    enum oxbow_err err = OXBOW_OK;

    binding_table_doubt(t);
    if (id == 0) {
        err = newest_id(txn, &id);
    }
    if (err == OXBOW_OK) {
        err = record_put(txn, BINDING_KEY_SOURCE, id, record);
    }
    return err == OXBOW_OK ? binding_source_add(txn, t, id, record) : err;
}

/* The source of a new binding has a record. */
static enum oxbow_err source_make(struct oxbow_txn *txn, struct binding_table *t,
                                  struct oxbow_bytes key)
{
    const struct source_record r = {.key = key, .database = txn_database(txn)};
    struct binding_node *n = NULL;
    struct buf out;
    enum oxbow_err err = binding_node_find(txn, t, key, &n);

    if (err != OXBOW_OK || (n != NULL && n->id != 0)) {
        return err;
    }
    buf_init(&out, &txn_port(txn)->alloc, RECORD_MAX);
    err = source_encode(&out, &r);
    if (err == OXBOW_OK) {
        err = source_write(txn, t, 0, (struct oxbow_bytes){out.data, out.len});
    }
    buf_fini(&out);
    return err;
}

static enum oxbow_err source_remove(struct oxbow_txn *txn, struct binding_table *t,
                                    struct binding_node *n)
{
    uint32_t id = n->id;
    enum oxbow_err err = OXBOW_OK;

    if (id == 0) {
        return OXBOW_OK;
    }
    binding_table_doubt(t);
    binding_source_remove(t, n);
    err = record_del(txn, BINDING_KEY_SOURCE, id);
    return err == OXBOW_OK ? record_del(txn, BINDING_KEY_COUNT, id) : err;
}

/* Sets what is not nothing, or removes it. */
static enum oxbow_err source_change(struct oxbow_txn *txn, struct binding_table *t,
                                    struct binding_node *n, struct oxbow_bytes record, bool nothing)
{
    if (nothing && (n == NULL || n->bindings == 0)) {
        return n != NULL ? source_remove(txn, t, n) : OXBOW_OK;
    }
    t->stale = true; /* its alternate may have been another one */
    return source_write(txn, t, n != NULL ? n->id : 0, record);
}

enum oxbow_err oxbow_source_set(struct oxbow_txn *txn, struct oxbow_bytes key,
                                const struct oxbow_source *source)
{
    struct source_record r = {.key = key};
    struct binding_table *t;
    struct binding_node *n = NULL;
    struct buf out;
    bool nothing;
    enum oxbow_err err;

    if (source == NULL || key.data == NULL || key.len == 0 ||
        (source->alternate.data == NULL && source->alternate.len > 0)) {
        return OXBOW_EINVAL;
    }
    if (key.len > OXBOW_BINDING_NAME_MAX || source->alternate.len > OXBOW_BINDING_NAME_MAX) {
        return OXBOW_ETOOBIG;
    }
    r.source = *source;
    r.database = txn_database(txn);
    nothing = !source->keeps_nothing && source->alternate.len == 0;
    buf_init(&out, &txn_port(txn)->alloc, RECORD_MAX);
    err = source_encode(&out, &r);
    if (err == OXBOW_OK) {
        err = binding_table_get(txn, &t);
    }
    if (err == OXBOW_OK) {
        err = binding_source_try(txn, t, (struct oxbow_bytes){out.data, out.len});
    }
    if (err == OXBOW_OK) {
        err = may_write(txn, out.len);
    }
    if (err == OXBOW_OK) {
        err = binding_node_find(txn, t, key, &n);
    }
    if (err == OXBOW_OK) {
        err = source_change(txn, t, n, (struct oxbow_bytes){out.data, out.len}, nothing);
        err = err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
    }
    buf_fini(&out);
    return err;
}

static enum oxbow_err source_fill(struct oxbow_txn *txn, const struct binding_table *t,
                                  const struct binding_node *n, struct oxbow_source_info *info)
{
    struct source_count count;
    enum oxbow_err err = source_count_get(txn, n->id, &count);

    if (err != OXBOW_OK) {
        return err;
    }
    *info = (struct oxbow_source_info){.database = n->database,
                                       .key = binding_name(t, n),
                                       .source = {.keeps_nothing = n->keeps_nothing},
                                       .bindings = n->bindings,
                                       .entries = count.entries,
                                       .routed = count.routed,
                                       .unroutable = count.unroutable,
                                       .alternated = count.alternated,
                                       .dropped = count.dropped};
    if (n->alternate != BINDING_NOBODY) {
        info->source.alternate = binding_name(t, &t->nodes[n->alternate]);
    }
    return OXBOW_OK;
}

enum oxbow_err oxbow_source_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                                struct oxbow_source_info *info)
{
    struct binding_table *t;
    struct binding_node *n = NULL;
    enum oxbow_err err = OXBOW_OK;

    if (info == NULL || key.data == NULL || key.len == 0) {
        return OXBOW_EINVAL;
    }
    err = binding_table_get(txn, &t);
    if (err == OXBOW_OK) {
        err = binding_node_find(txn, t, key, &n);
    }
    if (err == OXBOW_OK && (n == NULL || !binding_node_is_source(n))) {
        err = OXBOW_ENOENT;
    }
    return err == OXBOW_OK ? source_fill(txn, t, n, info) : err;
}

enum oxbow_err oxbow_source_next(struct oxbow_txn *txn, uint32_t *place,
                                 struct oxbow_source_info *info)
{
    struct binding_table *t;
    enum oxbow_err err = place == NULL || info == NULL ? OXBOW_EINVAL : binding_table_get(txn, &t);

    if (err != OXBOW_OK) {
        return err;
    }
    for (uint32_t i = *place; i < t->node_count; i++) {
        if (binding_node_is_source(&t->nodes[i])) {
            err = source_fill(txn, t, &t->nodes[i], info);
            *place = err == OXBOW_OK ? i + 1 : *place;
            return err;
        }
    }
    return OXBOW_ENOENT;
}

/* ---- bindings ---- */

/* Adds what is not there, or changes what is. */
static enum oxbow_err bind_write(struct oxbow_txn *txn, struct binding_table *t,
                                 const struct oxbow_binding *b, struct oxbow_bytes record,
                                 uint32_t *id)
{
    struct binding_node *n = NULL;
    struct binding_row *same;
    enum oxbow_err err = binding_node_find(txn, t, b->source, &n);

    if (err != OXBOW_OK) {
        return err;
    }
    same = n != NULL ? binding_row_same(t, n, record) : NULL;
    if (same != NULL) {
        *id = same->id;
        if (same->on_full == b->on_full) {
            return OXBOW_OK;
        }
        binding_table_doubt(t);
        binding_row_on_full(t, same, b->on_full);
        return record_put(txn, BINDING_KEY_BINDING, *id, record);
    }
    if (t->row_count - t->gone >= OXBOW_BINDINGS_MAX) {
        return OXBOW_ERANGE;
    }
    binding_table_doubt(t);
    err = source_make(txn, t, b->source);
    if (err == OXBOW_OK) {
        err = newest_id(txn, id);
    }
    if (err == OXBOW_OK) {
        err = record_put(txn, BINDING_KEY_BINDING, *id, record);
    }
    return err == OXBOW_OK ? binding_row_add(txn, t, *id, record) : err;
}

enum oxbow_err oxbow_bind(struct oxbow_txn *txn, const struct oxbow_binding *binding, uint32_t *id)
{
    struct binding_table *t;
    struct buf out;
    uint32_t given = 0;
    enum oxbow_err err = binding == NULL ? OXBOW_EINVAL : binding_check(binding);

    if (err != OXBOW_OK) {
        return err;
    }
    buf_init(&out, &txn_port(txn)->alloc, RECORD_MAX);
    err = binding_encode(&out, binding, txn_database(txn));
    if (err == OXBOW_OK) {
        err = binding_table_get(txn, &t);
    }
    if (err == OXBOW_OK) {
        err = binding_row_try(txn, t, (struct oxbow_bytes){out.data, out.len});
    }
    if (err == OXBOW_OK) {
        err = may_write(txn, out.len);
    }
    if (err == OXBOW_OK) {
        err = bind_write(txn, t, binding, (struct oxbow_bytes){out.data, out.len}, &given);
        err = err == OXBOW_OK || err == OXBOW_ERANGE ? err : txn_fail(txn, err);
    }
    buf_fini(&out);
    if (err == OXBOW_OK && id != NULL) {
        *id = given;
    }
    return err;
}

/* A source that lost its last binding, and for which nothing is set, is none any more. */
static enum oxbow_err source_release(struct oxbow_txn *txn, struct binding_table *t,
                                     struct binding_node *n)
{
    bool set = n->keeps_nothing || n->alternate != BINDING_NOBODY;

    return n->bindings == 0 && !set ? source_remove(txn, t, n) : OXBOW_OK;
}

static bool is_unread(const struct binding_table *t, uint32_t id)
{
    for (uint32_t i = 0; i < t->unread_count; i++) {
        if (t->unread[i] == id) {
            return true;
        }
    }
    return false;
}

/* A record that makes no sense goes, with what it counted. */
static enum oxbow_err unread_remove(struct oxbow_txn *txn, struct binding_table *t, uint32_t id)
{
    static const enum binding_key_kind kinds[] = {BINDING_KEY_BINDING, BINDING_KEY_DROPS,
                                                  BINDING_KEY_SOURCE, BINDING_KEY_COUNT};
    enum oxbow_err err = OXBOW_OK;

    binding_table_changed(t);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && err == OXBOW_OK; i++) {
        err = record_del(txn, kinds[i], id);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

enum oxbow_err oxbow_binding_unread(struct oxbow_txn *txn, uint32_t after, uint32_t *id)
{
    struct binding_table *t;
    uint64_t least = UINT64_MAX;
    enum oxbow_err err = id == NULL ? OXBOW_EINVAL : binding_table_get(txn, &t);

    if (err != OXBOW_OK) {
        return err;
    }
    for (uint32_t i = 0; i < t->unread_count; i++) {
        if (t->unread[i] > after && t->unread[i] < least) {
            least = t->unread[i];
        }
    }
    if (least == UINT64_MAX) {
        return OXBOW_ENOENT;
    }
    *id = (uint32_t)least;
    return OXBOW_OK;
}

enum oxbow_err oxbow_unbind(struct oxbow_txn *txn, uint32_t id)
{
    struct binding_table *t;
    struct binding_row *row;
    struct binding_node *n;
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : binding_table_get(txn, &t);

    if (err != OXBOW_OK) {
        return err;
    }
    row = binding_row_from(t, id);
    if (row == NULL || row->id != id) {
        return is_unread(t, id) ? unread_remove(txn, t, id) : OXBOW_ENOENT;
    }
    n = &t->nodes[row->source];
    binding_table_doubt(t);
    binding_row_remove(t, row);
    err = record_del(txn, BINDING_KEY_BINDING, id);
    if (err == OXBOW_OK) {
        err = record_del(txn, BINDING_KEY_DROPS, id);
    }
    if (err == OXBOW_OK) {
        err = source_release(txn, t, n);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

enum oxbow_err oxbow_binding_next(struct oxbow_txn *txn, uint32_t after,
                                  struct oxbow_binding_info *info)
{
    struct binding_table *t;
    struct binding_record *record;
    const struct binding_row *row;
    struct binding_drops drops;
    enum oxbow_err err = info == NULL ? OXBOW_EINVAL : binding_table_get(txn, &t);

    if (err != OXBOW_OK) {
        return err;
    }
    row = after == UINT32_MAX ? NULL : binding_row_from(t, after + 1);
    if (row == NULL) {
        return OXBOW_ENOENT;
    }
    record = &t->shown;
    err = binding_decode(binding_record_of(t, row), record);
    if (err == OXBOW_OK) {
        err = binding_drops_get(txn, row->id, &drops);
    }
    if (err == OXBOW_OK) {
        *info = (struct oxbow_binding_info){.id = row->id,
                                            .database = record->database,
                                            .binding = record->binding,
                                            .dropped = drops.dropped,
                                            .why = drops.why,
                                            .wall_ms = drops.wall_ms,
                                            .refused = row->refused};
    }
    return err;
}
