/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list after a salvage. What is there is kept in its order, and the chain is closed over what is
 * not.
 *
 * Which chunk follows which is said by the chunks' links, and in a dense list by their ids as well.
 * In a sparse one, pieces that neither end leads to can only be put in between when they are one.
 * Without its header a list has lost its ends: which bytes of the outermost chunks are still live
 * nobody knows, so these are given up and the ones between them are kept.
 */
#include "engine/queue/list.h"
#include "engine/queue/mend.h"

#include "engine/base/buf.h"
#include "engine/base/codec.h"

#include <string.h>

#define NONE       SIZE_MAX
#define SERIAL_GAP ((uint64_t)1 << 32) /* serials that may have been given and left no trace */

struct node {
    uint64_t id;
    uint64_t prev;
    uint64_t next;
    uint64_t bytes;
    uint32_t big;
    uint16_t count;
    uint16_t len;
    uint16_t head;  /* elements before the first that is lost from within; `count` if none is */
    uint16_t tail;  /* and behind the last */
    uint16_t ruins; /* elements lost from within */
    enum chunk_kind kind;
    bool taken;
};

struct chain {
    struct mend_object *o;
    struct list l;
    bool has_head;
    bool head_bad;
    struct node *nodes; /* by id */
    size_t count;
    size_t cap;
    size_t *order; /* of `nodes`, from left to right */
    size_t kept;
    uint64_t serial; /* above all that were seen */
};

/* ---- looking ---- */

static enum oxbow_err value_there(const struct list *l, const struct list_entry *e, bool *there)
{
    uint8_t key[KV_KEY_MAX];
    uint8_t tail[8];
    struct oxbow_bytes value;
    enum oxbow_err err = OXBOW_OK;

    *there = true;
    if (e->form == LIST_OWN) {
        put_be64(tail, e->id);
        err = kv_get(l->txn,
                     (struct oxbow_bytes){
                         key, object_key(key, l->object.id, LIST_KEY_VALUE, tail, sizeof tail)},
                     &value);
        *there = err == OXBOW_OK && value.len == e->len;
    } else if (e->form == LIST_BLOB) {
        err = mend_blob_there(l->txn, e->id, e->len, there);
    }
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}

/* Sums up a chunk's elements; those whose value is gone are counted as ruins. */
static enum oxbow_err node_fill(const struct list *l, const struct list_view *v, struct node *n)
{
    size_t i;

    *n = (struct node){
        .id = v->id, .prev = v->prev, .next = v->next, .kind = v->kind, .len = v->len};
    for (i = 0; i < v->count; i++) {
        struct list_entry e;
        bool there;
        enum oxbow_err err = list_view_entry(v, i, &e);

        if (err == OXBOW_OK) {
            err = value_there(l, &e, &there);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (!there) {
            n->head = n->ruins == 0 ? n->count : n->head;
            n->tail = 0;
            n->ruins++;
            continue;
        }
        n->count++;
        n->tail++;
        n->bytes += e.len;
        n->big += e.form != LIST_INLINE;
    }
    n->head = n->ruins == 0 ? n->count : n->head;
    return OXBOW_OK;
}

static bool serial_of(const struct node *n, uint64_t *serial)
{
    *serial = n->id;
    return n->id < LIST_SERIAL_BEYOND;
}

/* Whether header and chunks tell the same story. Reads each chunk once and keeps nothing. */
static enum oxbow_err is_whole(const struct list *l, bool *whole)
{
    struct list_view v;
    uint64_t id = l->ends[OXBOW_LEFT].id;
    uint64_t count = 0;
    uint64_t bytes = 0;
    uint64_t before = 0;
    bool first = true;

    *whole = false;
    while (count < l->count) {
        struct node n;
        enum oxbow_err err = list_view_load(l, id, SIZE_MAX, &v);

        if (err == OXBOW_OK) {
            err = node_fill(l, &v, &n);
        }
        if (err != OXBOW_OK) {
            return err == OXBOW_ECORRUPT ? OXBOW_OK : err;
        }
        if (n.ruins > 0 || n.count == 0 || (!first && v.prev != before)) {
            return OXBOW_OK;
        }
        count += n.count;
        bytes += n.bytes;
        if (id == l->ends[OXBOW_RIGHT].id) {
            break;
        }
        before = id;
        first = false;
        id = v.next;
    }
    *whole = count == l->count && bytes == l->bytes && id == l->ends[OXBOW_RIGHT].id;
    return OXBOW_OK;
}

/* ---- gathering ---- */

static enum oxbow_err node_add(struct chain *c, const struct node *n)
{
    const struct oxbow_alloc *alloc = &txn_port(c->o->txn)->alloc;

    if (c->count == c->cap) {
        size_t cap = c->cap == 0 ? 64 : c->cap * 2;
        struct node *nodes =
            alloc->resize(alloc->ctx, c->nodes, c->cap * sizeof *nodes, cap * sizeof *nodes);

        if (nodes == NULL) {
            return OXBOW_ENOMEM;
        }
        c->nodes = nodes;
        c->cap = cap;
    }
    c->nodes[c->count++] = *n;
    return OXBOW_OK;
}

/* All chunks of the list that can be read, in the order of their ids. The others are deleted. */
static enum oxbow_err gather(struct chain *c)
{
    uint8_t key[KV_KEY_MAX];
    uint8_t tail[8];
    size_t prefix = object_key(key, c->l.object.id, LIST_KEY_CHUNK, NULL, 0);
    uint64_t id = 0;

    for (;;) {
        struct oxbow_bytes k, value;
        struct list_view v;
        struct kv_cursor cursor;
        struct node n;
        uint64_t serial;
        enum oxbow_err err = kv_cursor_init(&cursor, c->o->txn);

        if (err != OXBOW_OK) {
            return err;
        }
        put_be64(tail, id);
        (void)object_key(key, c->l.object.id, LIST_KEY_CHUNK, tail, sizeof tail);
        err = kv_cursor_seek(&cursor, (struct oxbow_bytes){key, prefix + 8}, &k, &value);
        if ((err == OXBOW_OK || err == OXBOW_ECORRUPT) &&
            (cursor.key_len != prefix + 8 || memcmp(cursor.key, key, prefix) != 0)) {
            err = OXBOW_ENOENT;
        }
        id = err == OXBOW_ENOENT ? 0 : get_be64(cursor.key + prefix);
        kv_cursor_fini(&cursor);
        if (err == OXBOW_ENOENT) {
            return OXBOW_OK;
        }
        err = list_view_load(&c->l, id, SIZE_MAX, &v);
        if (err == OXBOW_OK) {
            err = node_fill(&c->l, &v, &n);
        }
        if (err == OXBOW_OK) {
            err = node_add(c, &n);
            c->serial = serial_of(&n, &serial) && serial >= c->serial ? serial + 1 : c->serial;
        } else if (err == OXBOW_ECORRUPT) {
            err = list_unput(&c->l, id);
        }
        if (err != OXBOW_OK || id == UINT64_MAX) {
            return err;
        }
        id++;
    }
}

static size_t node_find(const struct chain *c, uint64_t id)
{
    size_t low = 0;
    size_t high = c->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (c->nodes[mid].id == id) {
            return mid;
        }
        if (c->nodes[mid].id < id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NONE;
}

/* ---- the order ---- */

/* Follows links from a chunk on as far as they hold, and puts what it meets at order[at], forwards
 * or backwards; gives how many. */
static size_t follow(struct chain *c, size_t from, bool back, size_t at)
{
    size_t n = 0;
    size_t i = from;

    while (i != NONE && !c->nodes[i].taken) {
        size_t j = node_find(c, back ? c->nodes[i].prev : c->nodes[i].next);
        bool agrees = j != NONE && !c->nodes[j].taken &&
                      (back ? c->nodes[j].next : c->nodes[j].prev) == c->nodes[i].id;

        c->nodes[i].taken = true;
        c->order[back ? at - n : at + n] = i;
        n++;
        i = agrees ? j : NONE;
    }
    return n;
}

/* The leftmost chunk of the piece that a chunk belongs to. */
static size_t piece_begin(const struct chain *c, size_t i)
{
    size_t steps;

    for (steps = 0; steps < c->count; steps++) {
        size_t j = node_find(c, c->nodes[i].prev);

        if (j == NONE || c->nodes[j].taken || c->nodes[j].next != c->nodes[i].id) {
            return i;
        }
        i = j;
    }
    return i;
}

static size_t first_free(const struct chain *c)
{
    size_t i = 0;

    while (i < c->count && c->nodes[i].taken) {
        i++;
    }
    return i < c->count ? i : NONE;
}

/* From both ends, and one piece in between. */
static void order_by_links(struct chain *c)
{
    size_t left = node_find(c, c->l.ends[OXBOW_LEFT].id);
    size_t right = node_find(c, c->l.ends[OXBOW_RIGHT].id);
    size_t n = follow(c, left, false, 0);
    size_t m = c->count == 0 ? 0 : follow(c, right, true, c->count - 1);
    size_t middle = first_free(c);
    size_t k = 0;

    if (middle != NONE) {
        k = follow(c, piece_begin(c, middle), false, n);
        if (first_free(c) != NONE) {
            k = 0; /* several: their order is lost */
        }
    }
    if (m > 0) {
        memmove(c->order + n + k, c->order + (c->count - m), m * sizeof *c->order);
    }
    c->kept = n + k + m;
}

/* The only piece that there is, without its ends. */
static void order_headless(struct chain *c)
{
    size_t n = c->count == 0 ? 0 : follow(c, piece_begin(c, 0), false, 0);

    if (first_free(c) != NONE || n < 3) {
        c->kept = 0;
        return;
    }
    memmove(c->order, c->order + 1, (n - 2) * sizeof *c->order);
    c->kept = n - 2;
}

static void order_by_ids(struct chain *c)
{
    size_t i;

    for (i = 0; i < c->count; i++) {
        c->order[i] = i;
    }
    c->kept = c->count;
}

/* ---- writing ---- */

/* Rewrites a chunk without the elements whose values are gone. */
static enum oxbow_err rewrite(struct chain *c, struct node *n)
{
    struct list_image image;
    struct list_view v;
    size_t slot;
    enum oxbow_err err = list_view_load(&c->l, n->id, SIZE_MAX, &v);

    if (err != OXBOW_OK) {
        return err;
    }
    list_image_init(&image, &v);
    for (slot = 0; slot < v.count; slot++) {
        struct list_entry e;
        bool there;

        err = list_entry_decode(v.data + v.at[slot], (size_t)(v.to - v.at[slot]), &e);
        if (err == OXBOW_OK) {
            err = value_there(&c->l, &e, &there);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (there) {
            memcpy(image.bytes + image.len, v.data + v.at[slot], e.size);
            image.len += e.size;
        }
    }
    n->len = (uint16_t)image.len;
    return list_put(&c->l, n->id, (struct oxbow_bytes){image.bytes, image.len});
}

static void set_end(struct chain *c, enum oxbow_end end, const struct node *n, bool whole)
{
    struct list_end *e = &c->l.ends[end];

    if (e->id != n->id || whole) {
        *e = (struct list_end){.id = n->id, .from = LIST_BODY, .to = n->len, .kind = n->kind};
    }
}

/* Chunks that are not kept, and those of which nothing is left, go. */
static enum oxbow_err drop_rest(struct chain *c)
{
    size_t i;
    size_t kept = 0;
    enum oxbow_err err = OXBOW_OK;

    for (i = 0; i < c->count; i++) {
        c->nodes[i].taken = false;
    }
    for (i = 0; i < c->kept; i++) {
        if (c->nodes[c->order[i]].count > 0) {
            c->nodes[c->order[i]].taken = true;
            c->order[kept++] = c->order[i];
        }
    }
    c->kept = kept;
    for (i = 0; i < c->count && err == OXBOW_OK; i++) {
        if (!c->nodes[i].taken) {
            err = list_unput(&c->l, c->nodes[i].id);
        }
    }
    return err;
}

static enum oxbow_err relink(struct chain *c)
{
    size_t i;
    bool was_left = c->kept > 0 && c->nodes[c->order[0]].id == c->l.ends[OXBOW_LEFT].id;
    enum oxbow_err err = OXBOW_OK;

    for (i = 0; i < c->kept && err == OXBOW_OK; i++) {
        struct node *n = &c->nodes[c->order[i]];
        bool ruined = n->ruins > 0;

        if (ruined) {
            err = rewrite(c, n);
        }
        if (i == 0) {
            set_end(c, OXBOW_LEFT, n, ruined || !c->has_head);
        }
        if (i + 1 == c->kept) {
            set_end(c, OXBOW_RIGHT, n, ruined || !c->has_head);
        }
        if (err == OXBOW_OK && i > 0 && n->prev != c->nodes[c->order[i - 1]].id) {
            err = list_link(&c->l, n->id, LIST_AT_PREV, c->nodes[c->order[i - 1]].id);
        }
        if (err == OXBOW_OK && i + 1 < c->kept && n->next != c->nodes[c->order[i + 1]].id) {
            err = list_link(&c->l, n->id, LIST_AT_NEXT, c->nodes[c->order[i + 1]].id);
        }
    }
    if (c->kept == 1) { /* both ends are one: what lives of it is what lived of the end it was */
        enum oxbow_end known = was_left ? OXBOW_LEFT : OXBOW_RIGHT;

        c->l.ends[1 - known] = c->l.ends[known];
    }
    return err;
}

/* What is lost lies between these positions of the list as it was. */
static void find_holes(const struct chain *c, uint64_t count_was, struct oxbow_loss *loss)
{
    uint64_t before = 0;
    uint64_t behind = 0;
    size_t i;

    if (c->kept > 0 && c->nodes[c->order[0]].id == c->l.ends[OXBOW_LEFT].id) {
        for (i = 0; i < c->kept; i++) {
            const struct node *n = &c->nodes[c->order[i]];

            before += n->head;
            if (n->ruins > 0 || i + 1 == c->kept || n->next != c->nodes[c->order[i + 1]].id) {
                break;
            }
        }
    }
    if (c->kept > 0 && c->nodes[c->order[c->kept - 1]].id == c->l.ends[OXBOW_RIGHT].id) {
        for (i = c->kept; i-- > 0;) {
            const struct node *n = &c->nodes[c->order[i]];

            behind += n->tail;
            if (n->ruins > 0 || i == 0 || n->prev != c->nodes[c->order[i - 1]].id) {
                break;
            }
        }
    }
    loss->first.seq = before;
    loss->last.seq = count_was > behind ? count_was - behind - 1 : before;
    loss->last.seq = loss->last.seq < before ? before : loss->last.seq;
}

static void sum_up(struct chain *c)
{
    size_t i;

    c->l.count = 0;
    c->l.bytes = 0;
    c->l.big = 0;
    for (i = 0; i < c->kept; i++) {
        const struct node *n = &c->nodes[c->order[i]];

        c->l.count += n->count;
        c->l.bytes += n->bytes;
        c->l.big += n->big;
    }
}

/* ---- the whole ---- */

/* Nothing is left: the name goes, and what there still is, is reaped. */
static enum oxbow_err give_up(struct chain *c, struct oxbow_loss loss)
{
    enum oxbow_err err = mend_tell(c->o, loss);

    return err == OXBOW_OK ? catalog_remove(c->o->txn, c->o->name) : err;
}

static enum oxbow_err write_down(struct chain *c, uint64_t count_was)
{
    struct oxbow_loss loss = {.kind = OXBOW_LOSS_ENTRIES, .entries = UINT64_MAX};
    uint64_t there = 0;
    size_t i;
    enum oxbow_err err;

    for (i = 0; i < c->count; i++) {
        there += c->nodes[i].count;
    }
    if (c->has_head) {
        find_holes(c, count_was, &loss);
    }
    err = drop_rest(c);
    sum_up(c);
    if (c->has_head) {
        loss.entries = count_was > c->l.count ? count_was - c->l.count : 0;
    }
    if (err == OXBOW_OK && c->l.count == 0) {
        loss.kind = c->has_head ? OXBOW_LOSS_ENTRIES : OXBOW_LOSS_KEY;
        loss.object = c->o->object.id;
        loss.entries = c->has_head ? loss.entries : there;
        return give_up(c, loss);
    }
    if (err == OXBOW_OK) {
        err = relink(c);
    }
    c->l.sparse = true;
    c->l.fresh = !c->has_head;
    c->l.serial = c->has_head ? c->l.serial : c->serial + SERIAL_GAP;
    c->l.dirty = true;
    if (err == OXBOW_OK && c->kept == 1) {
        err = list_heal(&c->l);
    }
    if (err == OXBOW_OK && loss.entries > 0) {
        err = mend_tell(c->o, loss);
    }
    return list_close(&c->l, err);
}

static enum oxbow_err mend_chain(struct chain *c)
{
    const struct oxbow_alloc *alloc = &txn_port(c->o->txn)->alloc;
    uint64_t count_was = c->l.count;
    enum oxbow_err err = gather(c);

    if (err == OXBOW_OK && c->count > 0) {
        c->order = mem_new(alloc, c->count * sizeof *c->order);
        err = c->order == NULL ? OXBOW_ENOMEM : OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        if (!c->has_head) {
            order_headless(c);
        } else if (c->l.sparse) {
            order_by_links(c);
        } else {
            order_by_ids(c);
        }
        err = write_down(c, count_was);
    }
    mem_free(alloc, c->order, c->count * sizeof *c->order);
    mem_free(alloc, c->nodes, c->cap * sizeof *c->nodes);
    return err;
}

enum oxbow_err mend_list(struct mend_object *o)
{
    struct chain c = {.o = o};
    bool whole = false;
    enum oxbow_err err;

    c.l = (struct list){.txn = o->txn, .name = o->name, .object = o->object};
    err = list_load(&c.l);
    c.has_head = err == OXBOW_OK;
    if (err == OXBOW_ECORRUPT) {
        /* no chunk is an end then: all of each is looked at */
        c.l = (struct list){.txn = o->txn, .name = o->name, .object = o->object};
        err = OXBOW_OK;
    } else if (err == OXBOW_OK) {
        err = is_whole(&c.l, &whole);
    }
    return err != OXBOW_OK || whole ? err : mend_chain(&c);
}
