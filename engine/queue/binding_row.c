/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the table of bindings, and what must hold of them all before one more is added.
 *
 * 1. The rows form no circle, and no way over them is longer than OXBOW_BINDING_DEPTH_MAX: a node's
 *    level is the length of the longest one that ends there. A new row raises the levels behind it; the
 *    one that would come back to its own source is refused. An alternate is a way like a row.
 * 2. A node is a destination of one type, and one that is a list is no source.
 * 3. A removal lowers no level and frees no type: when one is in the way after it, the table is read
 *    again and asked once more.
 */
#include "engine/queue/binding.h"

#define GONE_MAX 4096u /* rows that were removed and still take room */

/* ---- levels ---- */

/* One try to lead from `source` to somewhere. */
struct attempt {
    struct binding_table *t;
    uint32_t source;
    uint32_t count; /* of nodes in `work` */
    bool keep;      /* the levels hold */
};

/* The node is at that level or a higher one. */
static enum oxbow_err raise(struct attempt *a, uint32_t node, uint32_t level)
{
    struct binding_table *t = a->t;
    struct binding_node *n = &t->nodes[node];

    if (node == a->source) {
        return OXBOW_ECYCLE;
    }
    if (n->tried != t->stamp) {
        n->tried = t->stamp;
        n->trial = n->level;
        n->queued = false;
    }
    if (level <= n->trial) {
        return OXBOW_OK;
    }
    if (level > OXBOW_BINDING_DEPTH_MAX) {
        return OXBOW_EDEPTH;
    }
    n->trial = level;
    n->level = a->keep ? level : n->level;
    if (!n->queued) {
        n->queued = true;
        t->work[a->count++] = node;
    }
    return OXBOW_OK;
}

/* Follows everything that begins behind a new row, as far as levels rise. */
static enum oxbow_err levels_try(struct binding_table *t, uint32_t source, uint32_t destination,
                                 bool keep)
{
    struct attempt a = {.t = t, .source = source, .keep = keep};
    enum oxbow_err err;

    t->stamp++;
    err = raise(&a, destination, t->nodes[source].level + 1);
    while (err == OXBOW_OK && a.count > 0) {
        struct binding_node *n = &t->nodes[t->work[--a.count]];

        n->queued = false;
        for (uint32_t r = n->first; r != BINDING_NOBODY && err == OXBOW_OK; r = t->rows[r].next) {
            err = raise(&a, t->rows[r].destination, n->trial + 1);
        }
        if (err == OXBOW_OK && n->alternate != BINDING_NOBODY) {
            err = raise(&a, n->alternate, n->trial + 1);
        }
    }
    return err;
}

bool binding_node_is_source(const struct binding_node *n)
{
    return n->id != 0 || n->bindings > 0;
}

/* Whether entries may go from one to the other, which is of that type. */
static enum oxbow_err lead_try(struct binding_table *t, uint32_t source, uint32_t destination,
                               enum oxbow_type type)
{
    const struct binding_node *s = &t->nodes[source];
    const struct binding_node *d = &t->nodes[destination];

    if (s->type == OXBOW_TYPE_LIST || (d->type != OXBOW_TYPE_NONE && d->type != type) ||
        (type == OXBOW_TYPE_LIST && binding_node_is_source(d))) {
        return source == destination ? OXBOW_ECYCLE : OXBOW_EWRONGTYPE;
    }
    return levels_try(t, source, destination, false);
}

/* ---- rows ---- */

struct oxbow_bytes binding_record_of(const struct binding_table *t, const struct binding_row *row)
{
    return (struct oxbow_bytes){t->texts.data + row->at, row->len};
}

struct binding_row *binding_row_from(const struct binding_table *t, uint32_t id)
{
    uint32_t low = 0;
    uint32_t high = t->row_count;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (t->rows[mid].id < id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    while (low < t->row_count && t->rows[low].gone) {
        low++;
    }
    return low < t->row_count ? &t->rows[low] : NULL;
}

struct binding_row *binding_row_same(const struct binding_table *t, const struct binding_node *node,
                                     struct oxbow_bytes record)
{
    for (uint32_t r = node->first; r != BINDING_NOBODY; r = t->rows[r].next) {
        if (binding_same(binding_record_of(t, &t->rows[r]), record)) {
            return &t->rows[r];
        }
    }
    return NULL;
}

/* Where a record leads from and to. */
struct ends {
    uint32_t source;
    uint32_t destination;
};

static enum oxbow_err ends_take(struct oxbow_txn *txn, struct binding_table *t,
                                const struct binding_record *r, struct ends *e)
{
    enum oxbow_err err = binding_node_take(txn, t, r->database, r->binding.source, &e->source);

    if (err == OXBOW_OK) {
        err = binding_node_take(txn, t, r->database, r->binding.destination, &e->destination);
    }
    return err == OXBOW_OK ? lead_try(t, e->source, e->destination, r->binding.type) : err;
}

/* Whether a refusal may be for what is no longer so: then the table was read again. */
static bool try_again(struct oxbow_txn *txn, struct binding_table *t, enum oxbow_err *err)
{
    if (!t->stale || (*err != OXBOW_EDEPTH && *err != OXBOW_EWRONGTYPE)) {
        return false;
    }
    *err = binding_table_load(txn, t);
    return *err == OXBOW_OK;
}

enum oxbow_err binding_row_try(struct oxbow_txn *txn, struct binding_table *t,
                               struct oxbow_bytes record)
{
    struct binding_record r;
    struct ends e;
    enum oxbow_err err = binding_decode(record, &r);

    if (err == OXBOW_OK) {
        err = ends_take(txn, t, &r, &e);
        err = try_again(txn, t, &err) ? ends_take(txn, t, &r, &e) : err;
    }
    return err;
}

static void become_source(struct binding_table *t, struct binding_node *n)
{
    t->sources += !binding_node_is_source(n);
}

/* Where an entry's fields are looked up for this binding. */
static enum oxbow_err index_row(struct binding_table *t, const struct binding_record *r,
                                uint32_t source, uint32_t row)
{
    struct binding_node *n = &t->nodes[source];
    const struct oxbow_binding *b = &r->binding;
    const struct oxbow_field field = {b->field, b->pattern};
    enum oxbow_err err = OXBOW_OK;

    n->values = n->values || b->kind == OXBOW_BIND_DIRECT || b->kind == OXBOW_BIND_HEADERS;
    n->topics = n->topics || b->kind == OXBOW_BIND_TOPIC;
    switch (b->kind) {
    case OXBOW_BIND_ALL:
        t->rows[row].next_all = n->first_all;
        n->first_all = row;
        return OXBOW_OK;
    case OXBOW_BIND_DIRECT:
        return binding_index_value(&t->index, source, &field, row);
    case OXBOW_BIND_TOPIC:
        return binding_index_topic(&t->index, source, &field, row);
    case OXBOW_BIND_HEADERS:
        /* All of them are there only if the first is. */
        for (uint32_t i = 0; i < (b->any ? b->header_count : 1) && err == OXBOW_OK; i++) {
            err = binding_index_value(&t->index, source, &b->headers[i], row);
        }
        return err;
    }
    return OXBOW_ECORRUPT;
}

static enum oxbow_err row_put(struct binding_table *t, uint32_t id, struct oxbow_bytes record,
                              const struct binding_record *r, const struct ends *e)
{
    struct binding_node *s = &t->nodes[e->source];
    struct binding_row *rows = binding_grown(t, t->rows, &t->row_room, t->row_count, sizeof *rows);
    size_t at = t->texts.len;
    enum oxbow_err err = rows == NULL ? OXBOW_ENOMEM : OXBOW_OK;

    if (err == OXBOW_OK) {
        t->rows = rows;
        rows[t->row_count] = (struct binding_row){.id = id,
                                                  .source = e->source,
                                                  .destination = e->destination,
                                                  .next = s->first,
                                                  .next_all = BINDING_NOBODY,
                                                  .kind = r->binding.kind,
                                                  .on_full = r->binding.on_full,
                                                  .list = r->binding.type == OXBOW_TYPE_LIST,
                                                  .at = at,
                                                  .len = record.len};
        err = buf_append(&t->texts, record.data, record.len);
    }
    if (err == OXBOW_OK) {
        err = index_row(t, r, e->source, t->row_count);
    }
    if (err == OXBOW_OK) {
        become_source(t, s);
        s->bindings++;
        s->first = t->row_count++;
        t->nodes[e->destination].type = r->binding.type;
        err = levels_try(t, e->source, e->destination, true);
    }
    return err;
}

enum oxbow_err binding_row_add(struct oxbow_txn *txn, struct binding_table *t, uint32_t id,
                               struct oxbow_bytes record)
{
    struct binding_record r;
    struct ends e;
    enum oxbow_err err = binding_decode(record, &r);

    if (err == OXBOW_OK) {
        err = ends_take(txn, t, &r, &e);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = row_put(t, id, record, &r, &e);
    t->loaded = t->loaded && err == OXBOW_OK;
    return err;
}

/* Takes a row out of a chain that begins at *first and goes on by the member at `next`. */
static void unlink_row(struct binding_table *t, uint32_t *first, size_t next, uint32_t row)
{
    uint32_t *at = first;

    while (*at != row && *at != BINDING_NOBODY) {
        at = (uint32_t *)(void *)((uint8_t *)&t->rows[*at] + next);
    }
    if (*at == row) {
        *at = *(uint32_t *)(void *)((uint8_t *)&t->rows[row] + next);
    }
}

static void end_source(struct binding_table *t, const struct binding_node *n)
{
    t->sources -= !binding_node_is_source(n);
}

void binding_row_remove(struct binding_table *t, struct binding_row *row)
{
    struct binding_node *n = &t->nodes[row->source];
    uint32_t number = (uint32_t)(row - t->rows);

    unlink_row(t, &n->first, offsetof(struct binding_row, next), number);
    unlink_row(t, &n->first_all, offsetof(struct binding_row, next_all), number);
    row->gone = true;
    n->bindings--;
    end_source(t, n);
    t->stale = true;
    t->gone++;
    if (t->gone > GONE_MAX && t->gone > t->row_count / 2) {
        binding_table_changed(t);
    }
}

void binding_row_on_full(struct binding_table *t, struct binding_row *row,
                         enum oxbow_binding_full on_full)
{
    row->on_full = on_full;
    binding_encode_on_full(t->texts.data + row->at, on_full);
}

/* ---- sources ---- */

void binding_source_remove(struct binding_table *t, struct binding_node *n)
{
    if (n->id == 0) {
        return;
    }
    n->id = 0;
    n->keeps_nothing = false;
    n->alternate = BINDING_NOBODY;
    end_source(t, n);
    t->stale = true;
}

static enum oxbow_err source_ends(struct oxbow_txn *txn, struct binding_table *t,
                                  const struct source_record *r, struct ends *e)
{
    enum oxbow_err err = binding_node_take(txn, t, r->database, r->key, &e->source);

    e->destination = BINDING_NOBODY;
    if (err == OXBOW_OK && t->nodes[e->source].type == OXBOW_TYPE_LIST) {
        err = OXBOW_EWRONGTYPE;
    }
    if (err == OXBOW_OK && r->source.alternate.len > 0) {
        err = binding_node_take(txn, t, r->database, r->source.alternate, &e->destination);
        if (err == OXBOW_OK) {
            err = lead_try(t, e->source, e->destination, OXBOW_TYPE_STREAM);
        }
    }
    return err;
}

enum oxbow_err binding_source_try(struct oxbow_txn *txn, struct binding_table *t,
                                  struct oxbow_bytes record)
{
    struct source_record r;
    struct ends e;
    enum oxbow_err err = source_decode(record, &r);

    if (err == OXBOW_OK) {
        err = source_ends(txn, t, &r, &e);
        err = try_again(txn, t, &err) ? source_ends(txn, t, &r, &e) : err;
    }
    return err;
}

enum oxbow_err binding_source_add(struct oxbow_txn *txn, struct binding_table *t, uint32_t id,
                                  struct oxbow_bytes record)
{
    struct source_record r;
    struct ends e;
    struct binding_node *n;
    enum oxbow_err err = source_decode(record, &r);

    if (err == OXBOW_OK) {
        err = source_ends(txn, t, &r, &e);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    n = &t->nodes[e.source];
    become_source(t, n);
    n->id = id;
    n->keeps_nothing = r.source.keeps_nothing;
    n->alternate = e.destination;
    if (e.destination != BINDING_NOBODY) {
        t->nodes[e.destination].type = OXBOW_TYPE_STREAM;
        err = levels_try(t, e.source, e.destination, true);
        t->loaded = t->loaded && err == OXBOW_OK;
    }
    return err;
}
