/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An append to a source. First all queues are found that the entry goes to, step by step from source
 * to source; then those that may refuse are asked; then it is written, to the stream itself and to
 * each of them.
 *
 * 1. A queue is written to once, whatever number of ways leads there.
 * 2. Nothing is written before everybody who may refuse has agreed, so a refusal leaves the
 *    transaction as it was. What fails later fails the transaction.
 * 3. What a destination passes on does not depend on whether it had room itself.
 *
 * No queue is both asked and written to by another on the way: they are different names, and the
 * source is none of them (binding_table.c, invariant 1).
 */
#include "engine/queue/binding.h"
#include "engine/queue/priority.h"

#include "engine/queue/forward.h"
#include "engine/queue/list.h"
#include "engine/queue/policy_list.h"
#include "engine/queue/stream.h"

#include <string.h>

#define COPY_OVERHEAD 256u /* of a list element beside its value, generously */

/* One append. */
struct route {
    struct oxbow_txn *txn;
    struct binding_table *table;
    const struct binding_add *add;
    struct oxbow_stream_add_options copy; /* of what goes to destinations */
    uint32_t count;                       /* of nodes reached, in the table's work */
    uint32_t at;                          /* the source that is looked at */
    uint32_t matched;                     /* destinations that it leads to */
};

static enum oxbow_err source_find(struct oxbow_txn *txn, struct oxbow_bytes key,
                                  struct binding_node **out)
{
    struct binding_table *t;
    enum oxbow_err err = binding_table_get(txn, &t);

    if (err != OXBOW_OK || t->sources == 0 || key.len == 0) {
        return err;
    }
    t->refuser = BINDING_NOBODY;
    err = binding_node_find(txn, t, key, out);
    if (err == OXBOW_OK && *out != NULL && !binding_node_is_source(*out)) {
        *out = NULL;
    }
    return err;
}

enum oxbow_err binding_source(struct oxbow_txn *txn, struct oxbow_bytes key,
                              struct binding_node **out)
{
    const struct binding_table *t = store_slot_get(txn_store(txn), STORE_SLOT_BINDING);

    *out = NULL;
    return t != NULL && t->sources == 0 && t->loaded && !t->changed ? OXBOW_OK
                                                                    : source_find(txn, key, out);
}

struct oxbow_bytes binding_refuser(const struct oxbow_txn *txn)
{
    const struct binding_table *t = store_slot_get(txn_store(txn), STORE_SLOT_BINDING);
    bool any = t != NULL && t->sources > 0 && t->refuser < t->node_count;

    return any ? binding_name(t, &t->nodes[t->refuser]) : (struct oxbow_bytes){NULL, 0};
}

/* ---- where it goes ---- */

static bool same_bytes(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* The first field of that name; NULL: none. */
static const struct oxbow_field *field_named(const struct binding_add *a, struct oxbow_bytes name)
{
    for (uint32_t i = 0; i < a->field_count; i++) {
        if (same_bytes(a->fields[i].name, name)) {
            return &a->fields[i];
        }
    }
    return NULL;
}

static bool has_field(const struct binding_add *a, const struct oxbow_field *wanted)
{
    for (uint32_t i = 0; i < a->field_count; i++) {
        if (same_bytes(a->fields[i].name, wanted->name) &&
            same_bytes(a->fields[i].value, wanted->value)) {
            return true;
        }
    }
    return false;
}

/* Whether a binding that the index has found takes the entry, as far as the index does not know. */
static bool row_takes(const struct route *r, const struct binding_row *row)
{
    struct binding_record record;

    if (!row->list && row->kind != OXBOW_BIND_HEADERS) {
        return true;
    }
    if (binding_decode(binding_record_of(r->table, row), &record) != OXBOW_OK ||
        (row->list && field_named(r->add, record.binding.value_field) == NULL)) {
        return false;
    }
    for (uint32_t i = 0; i < record.binding.header_count && !record.binding.any; i++) {
        if (!has_field(r->add, &record.binding.headers[i])) {
            return false;
        }
    }
    return true;
}

/* The entry goes to a node, by a row or as to an alternate. */
static void reach(struct route *r, uint32_t node, uint32_t row)
{
    struct binding_table *t = r->table;
    struct binding_node *n = &t->nodes[node];

    if (n->stamp != t->stamp) {
        n->stamp = t->stamp;
        n->row = row;
        n->by = r->at;
        n->routed = 0;
        n->dropped = 0;
        n->unroutable = false;
        t->work[r->count++] = node;
    } else if (row < n->row) {
        n->row = row;
        n->by = r->at;
    }
}

static void on_row(void *ctx, uint32_t number)
{
    struct route *r = ctx;
    struct binding_table *t = r->table;
    struct binding_row *row = &t->rows[number];

    if (row->gone || row->stamp == t->stamp || !row_takes(r, row)) {
        return;
    }
    row->stamp = t->stamp;
    r->matched++;
    reach(r, row->destination, number);
}

/* Finds what a source that is reached leads to. */
static void look(struct route *r, uint32_t source)
{
    const struct binding_hit hit = {on_row, r};
    struct binding_table *t = r->table;
    struct binding_node *n = &t->nodes[source];

    r->at = source;
    r->matched = 0;
    for (uint32_t row = n->first_all; row != BINDING_NOBODY; row = t->rows[row].next_all) {
        on_row(r, row);
    }
    for (uint32_t i = 0; i < r->add->field_count && (n->values || n->topics); i++) {
        if (n->values) {
            binding_index_find(&t->index, source, &r->add->fields[i], &hit);
        }
        if (n->topics) {
            binding_index_match(&t->index, source, &r->add->fields[i], &hit);
        }
    }
    n->unroutable = r->matched == 0;
    if (n->unroutable && n->alternate != BINDING_NOBODY) {
        reach(r, n->alternate, BINDING_NOBODY);
    }
}

/* Fills work[0..count) with the source and all that it leads to, each once. */
static void find_all(struct route *r, uint32_t source)
{
    struct binding_table *t = r->table;

    t->stamp++;
    reach(r, source, BINDING_NOBODY);
    for (uint32_t i = 0; i < r->count; i++) {
        uint32_t node = t->work[i];

        if (binding_node_is_source(&t->nodes[node])) {
            look(r, node);
        }
    }
}

/* ---- asking ---- */

/* The value that goes to a list. */
static struct oxbow_bytes list_value(const struct route *r, const struct binding_row *row)
{
    struct binding_record record;
    const struct oxbow_field *field = NULL;

    if (binding_decode(binding_record_of(r->table, row), &record) == OXBOW_OK) {
        field = field_named(r->add, record.binding.value_field);
    }
    return field != NULL ? field->value : (struct oxbow_bytes){NULL, 0};
}

static enum oxbow_err list_admits(struct oxbow_txn *txn, struct oxbow_bytes key,
                                  struct oxbow_bytes value)
{
    struct list l;
    uint64_t bytes;
    bool expired;
    enum oxbow_err err = list_find(txn, key, &l);

    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        err = list_values_check(txn, &value, 1, &bytes);
    }
    if (err == OXBOW_OK) {
        err = policy_list_room(txn, key, &value, 1, &expired);
    }
    return err == OXBOW_OK ? forward_room(txn, key, value.len) : err;
}

static struct binding_row *row_of(const struct route *r, const struct binding_node *n)
{
    return n->row == BINDING_NOBODY ? NULL : &r->table->rows[n->row];
}

static bool may_skip(const struct binding_row *row)
{
    return row != NULL && row->on_full == OXBOW_BINDING_SKIP;
}

/* Asks a destination whether it takes the entry. */
static enum oxbow_err ask(struct route *r, const struct binding_node *n)
{
    struct oxbow_bytes name = binding_name(r->table, n);
    struct binding_row *row = row_of(r, n);
    enum oxbow_err err;

    if (n->keeps_nothing || may_skip(row)) {
        return OXBOW_OK;
    }
    err = row != NULL && row->list
              ? list_admits(r->txn, name, list_value(r, row))
              : stream_admits(r->txn, name, r->add->fields, r->add->field_count);
    if (err != OXBOW_OK && txn_failed(r->txn) == OXBOW_OK) {
        r->table->refuser = (uint32_t)(n - r->table->nodes);
        if (row != NULL) {
            row->refused++;
        }
    }
    return err;
}

/* All copies fit the quota together. */
static enum oxbow_err ask_quota(const struct route *r, uint64_t len)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < r->count; i++) {
        const struct binding_node *n = &r->table->nodes[r->table->work[i]];

        total += n->keeps_nothing ? 0 : len + n->name_len + COPY_OVERHEAD;
    }
    return total > SIZE_MAX ? OXBOW_EQUOTA : txn_reserve_bytes(r->txn, (size_t)total);
}

static enum oxbow_err ask_all(struct route *r)
{
    uint64_t len = fields_plain_len(r->add->fields, r->add->field_count);
    enum oxbow_err err = ask_quota(r, len);

    for (uint32_t i = 1; i < r->count && err == OXBOW_OK; i++) {
        err = ask(r, &r->table->nodes[r->table->work[i]]);
    }
    return err;
}

/* ---- writing ---- */

/* What only this destination is in the way of. */
static bool is_refusal(enum oxbow_err err)
{
    return err == OXBOW_EFULL || err == OXBOW_EBUDGET || err == OXBOW_EWRONGTYPE ||
           err == OXBOW_ETOOBIG || err == OXBOW_EIDLAST || err == OXBOW_EPROTECTED ||
           err == OXBOW_ECORRUPT || err == OXBOW_ENOTSUP;
}

static enum oxbow_err count_drop(struct route *r, const struct binding_row *row, enum oxbow_err why)
{
    struct binding_drops drops;
    enum oxbow_err err = binding_drops_get(r->txn, row->id, &drops);

    if (err != OXBOW_OK) {
        return err;
    }
    drops.dropped++;
    drops.why = why;
    drops.wall_ms = txn_wall_ms(r->txn);
    return binding_drops_put(r->txn, row->id, &drops);
}

/* A copy has the priority of its original, as far as its queue has so many. */
static enum oxbow_err copy_add(struct route *r, struct oxbow_bytes name)
{
    uint8_t wanted = (uint8_t)(r->add->opt != NULL ? r->add->opt->priority : 0);
    uint8_t level;
    enum oxbow_err err = priority_within(r->txn, name, wanted, &level);

    if (err != OXBOW_OK) {
        return err;
    }
    r->copy.priority = level;
    return stream_add(r->txn, name, &r->copy, r->add->fields, r->add->field_count, NULL);
}

static enum oxbow_err deliver(struct route *r, const struct binding_node *n)
{
    struct binding_node *by = &r->table->nodes[n->by];
    struct oxbow_bytes name = binding_name(r->table, n);
    const struct binding_row *row = row_of(r, n);
    enum oxbow_err err = OXBOW_OK;

    by->routed += row != NULL;
    if (n->keeps_nothing) {
        return OXBOW_OK;
    }
    if (row != NULL && row->list) {
        struct oxbow_bytes value = list_value(r, row);

        err = oxbow_list_push(r->txn, name, OXBOW_RIGHT, &value, 1, NULL);
    } else {
        err = copy_add(r, name);
    }
    if (may_skip(row) && is_refusal(err) && txn_failed(r->txn) == OXBOW_OK) {
        by->routed--;
        by->dropped++;
        err = count_drop(r, row, err);
    }
    return err;
}

/* Adds to what a source has counted. */
static enum oxbow_err count_source(struct route *r, const struct binding_node *n)
{
    struct source_count count;
    enum oxbow_err err;

    if (n->id == 0) {
        return OXBOW_OK;
    }
    err = source_count_get(r->txn, n->id, &count);
    if (err != OXBOW_OK) {
        return err;
    }
    count.entries++;
    count.routed += n->routed;
    count.dropped += n->dropped;
    count.unroutable += n->unroutable;
    count.alternated += n->unroutable && n->alternate != BINDING_NOBODY;
    return source_count_put(r->txn, n->id, &count);
}

static enum oxbow_err deliver_all(struct route *r)
{
    const struct binding_table *t = r->table;
    enum oxbow_err err = OXBOW_OK;

    for (uint32_t i = 1; i < r->count && err == OXBOW_OK; i++) {
        err = deliver(r, &t->nodes[t->work[i]]);
    }
    for (uint32_t i = 0; i < r->count && err == OXBOW_OK; i++) {
        err = count_source(r, &t->nodes[t->work[i]]);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(r->txn, err);
}

/* What a stream that keeps nothing asks of an entry all the same. */
static enum oxbow_err pass_check(struct oxbow_txn *txn, const struct binding_add *add)
{
    struct object object;
    enum oxbow_err err = catalog_find(txn, add->key, &object);

    if (err == OXBOW_OK) {
        return object.type == OXBOW_TYPE_STREAM ? OXBOW_OK : OXBOW_EWRONGTYPE;
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err binding_append(struct oxbow_txn *txn, struct binding_node *source,
                              const struct binding_add *add, struct oxbow_id *id)
{
    struct binding_table *t = store_slot_get(txn_store(txn), STORE_SLOT_BINDING);
    struct route r = {.txn = txn,
                      .table = t,
                      .add = add,
                      .copy = {.ttl_ms = add->opt != NULL ? add->opt->ttl_ms : 0}};
    struct oxbow_id given = OXBOW_ID_MIN;
    size_t len;
    enum oxbow_err err = stream_fields_check(txn, add->fields, add->field_count, &len);

    if (err == OXBOW_OK && txn_readonly(txn)) {
        err = OXBOW_EREADONLY;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    find_all(&r, (uint32_t)(source - t->nodes));
    err = ask_all(&r);
    if (err == OXBOW_OK) {
        err = source->keeps_nothing
                  ? pass_check(txn, add)
                  : stream_add(txn, add->key, add->opt, add->fields, add->field_count, &given);
    }
    if (err == OXBOW_OK) {
        err = deliver_all(&r);
    }
    if (err == OXBOW_OK && id != NULL) {
        *id = given;
    }
    return err;
}
