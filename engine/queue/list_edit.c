/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits in the middle: set, insert, remove. Each rewrites the chunk that it changes, splitting it
 * in two when it has outgrown CHUNK_MAX and unlinking it when it has become empty; no other chunk
 * is touched but for a link.
 *
 * An insert or a removal shifts the indexes of what lies beyond, so it makes the list sparse
 * (list_head.c, invariants 4 and 5); a list of one chunk is made dense again at once.
 */
#include "engine/queue/list.h"

#include "engine/base/codec.h"
#include "engine/queue/forward.h"
#include "engine/queue/policy_list.h"
#include "engine/queue/rate.h"
#include "engine/queue/wait.h"

#include <string.h>

#define EDIT_OVERHEAD 256u
#define FAR_ENTRIES   (LIST_ENTRIES_MAX / 13u + 1u) /* entries outside the chunk, at most */
#define BODY_MAX      (CHUNK_MAX - LIST_BODY)

/* Tells the ends that the chunk was rewritten as a whole. */
static void ends_refresh(struct list *l, uint64_t id, size_t len)
{
    unsigned i;

    for (i = 0; i < 2; i++) {
        if (l->ends[i].id == id) {
            l->ends[i].from = LIST_BODY;
            l->ends[i].to = (uint16_t)len;
        }
    }
}

/* Takes a chunk that has become empty out of the chain. */
static enum oxbow_err chunk_unlink(struct list *l, const struct list_view *v)
{
    bool leftmost = v->id == l->ends[OXBOW_LEFT].id;
    bool rightmost = v->id == l->ends[OXBOW_RIGHT].id;
    uint64_t prev = v->prev;
    uint64_t next = v->next;
    enum oxbow_err err = list_unput(l, v->id);

    if (err != OXBOW_OK || (leftmost && rightmost)) {
        return err;
    }
    if (leftmost) {
        return list_end_move(l, OXBOW_LEFT, next);
    }
    if (rightmost) {
        return list_end_move(l, OXBOW_RIGHT, prev);
    }
    err = list_link(l, prev, LIST_AT_NEXT, next);
    return err == OXBOW_OK ? list_link(l, next, LIST_AT_PREV, prev) : err;
}

/* Where to cut an image that is too long, between two entries: both parts fit. *first is the number
 * of entries before the cut. */
static enum oxbow_err image_cut(const struct list_image *image, size_t *cut, uint64_t *first)
{
    size_t half = LIST_BODY + (image->len - LIST_BODY) / 2;
    size_t pos = LIST_BODY;
    uint64_t n = 0;

    while (pos < half) {
        struct list_entry e;
        enum oxbow_err err = list_entry_decode(image->bytes + pos, image->len - pos, &e);

        if (err != OXBOW_OK) {
            return err;
        }
        if (pos + e.size > CHUNK_MAX) {
            break;
        }
        pos += e.size;
        n++;
    }
    *cut = pos;
    *first = n;
    return OXBOW_OK;
}

/* Stores an image that is too long as two chunks: the first entries in stored order under the old
 * id, the others under a new one beyond it in the direction in which the chunk grows. */
static enum oxbow_err image_split(struct list *l, uint64_t id, enum chunk_kind kind,
                                  struct list_image *image)
{
    enum oxbow_end side = kind == CHUNK_LIST_RIGHT ? OXBOW_RIGHT : OXBOW_LEFT;
    size_t out = side == OXBOW_RIGHT ? LIST_AT_NEXT : LIST_AT_PREV;
    size_t in = side == OXBOW_RIGHT ? LIST_AT_PREV : LIST_AT_NEXT;
    uint64_t beyond = get_le64(image->bytes + out);
    bool outermost = l->ends[side].id == id;
    struct list_image second;
    uint64_t first;
    uint64_t made;
    size_t cut;
    enum oxbow_err err = image_cut(image, &cut, &first);

    if (err != OXBOW_OK) {
        return err;
    }
    made = l->sparse ? l->serial++ : side == OXBOW_RIGHT ? id + first : id - first;
    memcpy(second.bytes, image->bytes, LIST_BODY);
    memcpy(second.bytes + LIST_BODY, image->bytes + cut, image->len - cut);
    second.len = LIST_BODY + image->len - cut;
    put_le64(second.bytes + in, id);
    put_le64(image->bytes + out, made);
    err = list_put(l, id, (struct oxbow_bytes){image->bytes, cut});
    if (err == OXBOW_OK) {
        err = list_put(l, made, (struct oxbow_bytes){second.bytes, second.len});
    }
    if (err == OXBOW_OK && !outermost) {
        err = list_link(l, beyond, in, made);
    }
    ends_refresh(l, id, cut);
    if (outermost) {
        l->ends[side] = (struct list_end){made, LIST_BODY, (uint16_t)second.len, kind};
    }
    return err;
}

/* Stores what has become of a chunk. `v` is the chunk as it was; its bytes may be gone. */
static enum oxbow_err image_store(struct list *l, const struct list_view *v,
                                  struct list_image *image)
{
    enum oxbow_err err;

    if (image->len == LIST_BODY) {
        return chunk_unlink(l, v);
    }
    if (image->len > CHUNK_MAX) {
        return image_split(l, v->id, v->kind, image);
    }
    err = list_put(l, v->id, (struct oxbow_bytes){image->bytes, image->len});
    ends_refresh(l, v->id, image->len);
    return err;
}

/* Adds entries [first, first + n) in stored order to the image. */
static void image_copy(struct list_image *image, const struct list_view *v, size_t first, size_t n)
{
    size_t len = (size_t)(v->at[first + n] - v->at[first]);

    memcpy(image->bytes + image->len, v->data + v->at[first], len);
    image->len += len;
}

/* Puts the encoded entry in the place of `drop` entries of the view, from stored slot `slot` on. */
static void image_splice(struct list_image *image, const struct list_view *v, const size_t slots[2],
                         const struct list_entry *e)
{
    size_t slot = slots[0];
    size_t after = slots[0] + slots[1];

    list_image_init(image, v);
    image_copy(image, v, 0, slot);
    image->len += list_entry_encode(image->bytes + image->len, e);
    image_copy(image, v, after, v->count - after);
}

/* ---- LSET ---- */

/* Stands on the element to be set, in a chunk whose bytes are all live. */
static enum oxbow_err set_find(struct list *l, uint64_t pos, struct list_iter *it,
                               struct list_entry *old)
{
    enum oxbow_err err = list_iter_init(it, l, pos, false);

    if (err == OXBOW_OK && (it->v.from != LIST_BODY || it->v.to != it->v.len)) {
        err = list_compact(l, it->v.id == l->ends[OXBOW_LEFT].id ? OXBOW_LEFT : OXBOW_RIGHT);
        if (err == OXBOW_OK) {
            err = list_iter_init(it, l, pos, false);
        }
    }
    return err == OXBOW_OK ? list_iter_entry(it, old) : err;
}

static enum oxbow_err set_at(struct list *l, uint64_t pos, struct oxbow_bytes value)
{
    struct list_image image;
    struct list_entry old;
    struct list_entry new;
    struct list_iter it;
    size_t slots[2] = {0, 1};
    enum oxbow_err err = list_iter_init(&it, l, pos, false);

    if (err == OXBOW_OK) {
        err = list_iter_entry(&it, &old);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    slots[0] = list_view_slot(&it.v, it.i);
    if (old.form == LIST_INLINE && old.len == value.len) {
        size_t at = it.v.at[slots[0]] + (old.size - old.len);

        return value.len == 0 ? OXBOW_OK : list_patch(l, it.v.id, at, value);
    }
    err = list_value_drop(l, &old);
    if (err == OXBOW_OK) {
        err = list_value_store(l, value, &new);
    }
    if (err == OXBOW_OK) {
        err = set_find(l, pos, &it, &old);
    }
    if (err == OXBOW_OK) {
        slots[0] = list_view_slot(&it.v, it.i);
        image_splice(&image, &it.v, slots, &new);
        err = image_store(l, &it.v, &image);
    }
    return err;
}

enum oxbow_err oxbow_list_set(struct oxbow_txn *txn, struct oxbow_bytes key, int64_t idx,
                              struct oxbow_bytes value)
{
    struct list l;
    uint64_t bytes;
    enum oxbow_err err = list_values_check(txn, &value, 1, &bytes);

    if (err == OXBOW_OK && txn_readonly(txn)) {
        err = OXBOW_EREADONLY;
    }
    if (err == OXBOW_OK) {
        err = list_find(txn, key, &l);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (idx < 0) {
        idx += (int64_t)l.count;
    }
    if (idx < 0 || (uint64_t)idx >= l.count) {
        return OXBOW_ERANGE;
    }
    err = forward_forbid(txn, key);
    if (err == OXBOW_OK) {
        err = txn_reserve_bytes(txn, (size_t)bytes + EDIT_OVERHEAD);
    }
    return err == OXBOW_OK ? list_close(&l, set_at(&l, (uint64_t)idx, value)) : err;
}

/* ---- LINSERT ---- */

/* Stands on the first element that equals the pivot. OXBOW_ENOENT: none does. */
static enum oxbow_err pivot_find(const struct list *l, struct oxbow_bytes pivot,
                                 struct list_iter *it)
{
    bool equal = false;
    enum oxbow_err err = list_iter_init(it, l, 0, false);

    while (err == OXBOW_OK) {
        struct list_entry e;

        err = list_iter_entry(it, &e);
        if (err == OXBOW_OK) {
            err = list_value_equal(l, &e, pivot, &equal);
        }
        if (err != OXBOW_OK || equal) {
            return err;
        }
        err = list_iter_next(it);
    }
    return err;
}

/* Inserts at stored slot `slot` of chunk `id`. */
static enum oxbow_err insert_at(struct list *l, uint64_t id, size_t slot, struct oxbow_bytes value)
{
    struct list_image image;
    struct list_entry e;
    struct list_view v;
    enum oxbow_err err = list_value_store(l, value, &e);

    if (err == OXBOW_OK) {
        err = list_view_load(l, id, LIST_ENTRIES_MAX, &v);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    l->sparse = true;
    l->count++;
    image_splice(&image, &v, (const size_t[2]){slot, 0}, &e);
    err = image_store(l, &v, &image);
    if (err == OXBOW_OK) {
        err = list_heal(l);
    }
    if (err == OXBOW_OK) {
        if (rate_asked(l->txn)) {
            rate_came(l->txn, &l->object, 1, value.len);
        }
        err = wait_touch(l->txn, &l->object);
    }
    return err;
}

enum oxbow_err oxbow_list_insert(struct oxbow_txn *txn, struct oxbow_bytes key, bool before,
                                 struct oxbow_bytes pivot, struct oxbow_bytes value, int64_t *len)
{
    struct list l;
    struct list_iter it;
    int64_t outcome = 0;
    uint64_t bytes;
    enum oxbow_err err = list_values_check(txn, &value, 1, &bytes);

    if (err == OXBOW_OK && pivot.data == NULL && pivot.len > 0) {
        err = OXBOW_EINVAL;
    }
    if (err == OXBOW_OK && txn_readonly(txn)) {
        err = OXBOW_EREADONLY;
    }
    if (err == OXBOW_OK) {
        err = list_find(txn, key, &l);
    }
    if (err == OXBOW_OK) {
        outcome = -1;
        err = pivot_find(&l, pivot, &it);
    }
    if (err == OXBOW_OK) {
        size_t slot = list_view_slot(&it.v, it.i);
        bool after = it.v.kind == CHUNK_LIST_RIGHT ? !before : before; /* in stored order */

        err = forward_forbid_always(txn, key);
        if (err == OXBOW_OK) {
            err = policy_list_room(txn, key, &value, 1, NULL);
        }
        if (err == OXBOW_OK) {
            err = txn_reserve_bytes(txn, (size_t)bytes + EDIT_OVERHEAD);
        }
        if (err == OXBOW_OK) {
            err = insert_at(&l, it.v.id, slot + after, value);
            if (err == OXBOW_OK) {
                err = policy_list_attach(&l);
            }
            if (err == OXBOW_OK) {
                err = policy_list_settle(&l, OXBOW_RIGHT, 1);
            }
            err = list_close(&l, err);
            outcome = (int64_t)l.count;
        }
    }
    if (err == OXBOW_ENOENT) {
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK && len != NULL) {
        *len = outcome;
    }
    return err;
}

/* ---- LREM ---- */

/* What a removal takes out of one chunk. */
struct cull {
    struct oxbow_bytes value;
    uint64_t left; /* elements still to be removed */
    bool back;
    size_t count;                       /* removed from this chunk */
    bool gone[LIST_ENTRIES_MAX];        /* by stored slot */
    struct list_entry far[FAR_ENTRIES]; /* of them, those with something outside the chunk */
    size_t far_count;
};

static enum oxbow_err cull_mark(const struct list *l, const struct list_view *v, struct cull *c)
{
    size_t n;

    c->count = 0;
    c->far_count = 0;
    memset(c->gone, 0, v->count);
    for (n = 0; n < v->count && c->left > 0; n++) {
        size_t i = c->back ? v->count - 1u - n : n;
        struct list_entry e;
        bool equal;
        enum oxbow_err err = list_view_entry(v, i, &e);

        if (err == OXBOW_OK) {
            err = list_value_equal(l, &e, c->value, &equal);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (!equal) {
            continue;
        }
        c->gone[list_view_slot(v, i)] = true;
        if (e.form != LIST_INLINE) {
            c->far[c->far_count++] = e;
        }
        c->count++;
        c->left--;
    }
    return OXBOW_OK;
}

/* Removes what is marked. */
static enum oxbow_err cull_apply(struct list *l, const struct list_view *v, const struct cull *c)
{
    struct list_image image;
    size_t slot;
    size_t i;
    enum oxbow_err err = OXBOW_OK;

    if (c->count > l->count || l->bytes < c->count * c->value.len) {
        return OXBOW_ECORRUPT;
    }
    list_image_init(&image, v);
    for (slot = 0; slot < v->count; slot++) {
        if (!c->gone[slot]) {
            image_copy(&image, v, slot, 1);
        }
    }
    for (i = 0; i < c->far_count && err == OXBOW_OK; i++) {
        err = list_value_drop(l, &c->far[i]);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    l->bytes -= (c->count - c->far_count) * c->value.len;
    l->count -= c->count;
    l->sparse = true;
    if (rate_asked(l->txn)) {
        rate_left(l->txn, &l->object, c->count, c->count * c->value.len);
    }
    return image_store(l, v, &image);
}

static enum oxbow_err cull_all(struct list *l, struct cull *c)
{
    enum oxbow_end last = c->back ? OXBOW_LEFT : OXBOW_RIGHT;
    uint64_t id = l->ends[list_other(last)].id;
    struct list_view v;

    while (c->left > 0) {
        bool at_last;
        uint64_t next;
        enum oxbow_err err = list_view_load(l, id, LIST_ENTRIES_MAX, &v);

        if (err == OXBOW_OK) {
            err = cull_mark(l, &v, c);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        at_last = id == l->ends[last].id;
        next = c->back ? v.prev : v.next;
        if (c->count > 0) {
            err = cull_apply(l, &v, c);
            if (err != OXBOW_OK) {
                return err;
            }
        }
        if (at_last) {
            break;
        }
        id = next;
    }
    return list_heal(l);
}

enum oxbow_err oxbow_list_remove(struct oxbow_txn *txn, struct oxbow_bytes key, int64_t count,
                                 struct oxbow_bytes value, uint64_t *removed)
{
    struct list l;
    struct cull c = {.value = value, .back = count < 0};
    uint64_t was;
    enum oxbow_err err;

    if (value.data == NULL && value.len > 0) {
        return OXBOW_EINVAL;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = list_find(txn, key, &l);
    was = l.count;
    if (err == OXBOW_OK) {
        err = forward_forbid_always(txn, key);
    }
    if (err == OXBOW_OK) {
        c.left = count == 0 ? l.count : count < 0 ? -(uint64_t)count : (uint64_t)count;
        err = list_close(&l, cull_all(&l, &c));
    }
    if (err == OXBOW_ENOENT) {
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK && removed != NULL) {
        *removed = was - l.count;
    }
    return err;
}
