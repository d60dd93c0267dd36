/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What takes elements off the ends: pop, trim, move. An element goes by moving an offset in the
 * header record; a chunk is never rewritten for it, and is deleted when its last element goes.
 */
#include "engine/queue/list.h"

#include "engine/base/codec.h"
#include "engine/base/result.h"
#include "engine/queue/forward.h"
#include "engine/queue/once.h"
#include "engine/queue/policy_list.h"
#include "engine/queue/rate.h"
#include "engine/queue/wait.h"

#include <string.h>

enum oxbow_err list_heal(struct list *l)
{
    struct list_end *left = &l->ends[OXBOW_LEFT];
    enum oxbow_err err;

    if (!l->sparse || l->count == 0 || !list_is_single(l)) {
        return OXBOW_OK;
    }
    err = once_list_edited(l->txn, l->name, l->object.id);
    if (err != OXBOW_OK) {
        return err;
    }
    l->sparse = false;
    if (left->id < LIST_SERIAL_BEYOND) {
        l->lo = LIST_INDEX_START;
        l->hi = LIST_INDEX_START + l->count;
        err = list_compact(l, OXBOW_LEFT);
        return err;
    }
    if (left->kind == CHUNK_LIST_RIGHT) {
        l->lo = left->id;
        l->hi = left->id + l->count;
    } else {
        l->hi = left->id + 1;
        l->lo = l->hi - l->count;
    }
    return OXBOW_OK;
}

enum oxbow_err list_end_move(struct list *l, enum oxbow_end end, uint64_t id)
{
    struct list_view v;
    enum oxbow_err err;

    if (id == l->ends[list_other(end)].id) {
        l->ends[end] = l->ends[list_other(end)];
        return OXBOW_OK;
    }
    err = list_view_load(l, id, 1, &v);
    if (err == OXBOW_OK) {
        l->ends[end] = (struct list_end){.id = id, .from = v.from, .to = v.to, .kind = v.kind};
    }
    return err;
}

/* Deletes the end's chunk, all of whose elements are gone; `inner` is its neighbour. */
static enum oxbow_err chunk_end(struct list *l, enum oxbow_end end, uint64_t inner)
{
    enum oxbow_err err = list_unput(l, l->ends[end].id);

    if (err != OXBOW_OK || l->count == 0) {
        return err;
    }
    if (list_is_single(l)) {
        return OXBOW_ECORRUPT;
    }
    err = list_end_move(l, end, inner);
    return err == OXBOW_OK ? list_heal(l) : err;
}

/* What becomes of the elements that leave. */
struct leave {
    bool stack;                  /* the chunk grows at this end: what came last goes first */
    struct oxbow_result *result; /* where they go; NULL: nowhere */
};

/* Takes the values of the m elements at the end off the list's sums and, where they live elsewhere,
 * out of the store. */
static enum oxbow_err values_leave(struct list *l, const struct list_view *v, size_t m,
                                   const struct leave *leave)
{
    uint8_t copy[CHUNK_MAX];
    const uint8_t *data = v->data;
    size_t i;

    if (l->big > 0) {
        memcpy(copy, v->data, v->len);
        data = copy;
    }
    for (i = 0; i < m; i++) {
        size_t pos = v->at[leave->stack ? v->count - 1 - i : i];
        struct list_entry e;
        enum oxbow_err err = list_entry_decode(data + pos, v->to - pos, &e);

        if (err == OXBOW_OK && leave->result != NULL) {
            err = list_value_read(l, &e, leave->result);
        }
        if (err == OXBOW_OK) {
            err = list_value_drop(l, &e);
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

/* Removes at most n elements, all from the end's chunk; *done is how many. */
static enum oxbow_err drop_step(struct list *l, enum oxbow_end end, uint64_t n,
                                struct oxbow_result *result, uint64_t *done)
{
    struct list_end *e = &l->ends[end];
    const struct leave leave = {e->kind == list_kind_at(end), result};
    bool single = list_is_single(l);
    uint64_t inner;
    struct list_view v;
    size_t m;
    enum oxbow_err err = list_view_load(
        l, e->id, leave.stack || n > LIST_ENTRIES_MAX ? LIST_ENTRIES_MAX : (size_t)n, &v);

    if (err != OXBOW_OK) {
        return err;
    }
    m = n < v.count ? (size_t)n : v.count;
    if (m > l->count) {
        return OXBOW_ECORRUPT;
    }
    inner = end == OXBOW_LEFT ? v.next : v.prev;
    err = values_leave(l, &v, m, &leave);
    if (err != OXBOW_OK) {
        return err;
    }
    l->dirty = true;
    l->count -= m;
    l->lo += end == OXBOW_LEFT ? m : 0;
    l->hi -= end == OXBOW_RIGHT ? m : 0;
    *done = m;
    if (leave.stack) {
        e->to = v.at[v.count - m];
    } else {
        e->from = v.at[m];
    }
    if (single) {
        l->ends[list_other(end)] = *e;
    }
    if (e->from < e->to) {
        return l->count == 0 ? OXBOW_ECORRUPT : OXBOW_OK;
    }
    return chunk_end(l, end, inner);
}

/* Removes n <= count elements; into a result that was begun, unless it is NULL. */
static enum oxbow_err take(struct list *l, enum oxbow_end end, uint64_t n,
                           struct oxbow_result *result)
{
    uint64_t bytes = l->bytes;
    uint64_t left = n;

    while (left > 0) {
        uint64_t done = 0;
        enum oxbow_err err = drop_step(l, end, left, result, &done);

        if (err != OXBOW_OK) {
            return err;
        }
        left -= done;
    }
    if (rate_asked(l->txn)) {
        rate_left(l->txn, &l->object, n, bytes - l->bytes);
    }
    return OXBOW_OK;
}

/* The same, and forwards are told what a forced transaction takes from them. */
static enum oxbow_err take_noted(struct list *l, enum oxbow_end end, uint64_t n,
                                 struct oxbow_result *result)
{
    uint64_t bytes = l->bytes;
    enum oxbow_err err = take(l, end, n, result);

    if (err == OXBOW_OK && end == OXBOW_LEFT && n > 0 && txn_forced(l->txn)) {
        err = forward_lost(l->txn, l->name, OXBOW_ID_MIN, OXBOW_ID_MIN, n, bytes - l->bytes);
    }
    return err;
}

enum oxbow_err list_drop(struct list *l, enum oxbow_end end, uint64_t n)
{
    return take(l, end, n, NULL);
}

/* Reads n <= count elements at an end, in the order in which a pop gives them. */
static enum oxbow_err ends_read(const struct list *l, enum oxbow_end end, uint64_t n,
                                struct oxbow_result *result)
{
    struct list_iter it;
    enum oxbow_err err = result_begin(result, &txn_port(l->txn)->alloc, OXBOW_LIST_RESULT_MAX);

    if (err == OXBOW_OK && n > 0) {
        err = list_iter_init(&it, l, end == OXBOW_LEFT ? 0 : l->count - 1, end == OXBOW_RIGHT);
        if (err == OXBOW_OK) {
            err = list_collect(l, &it, n, 0, result);
        }
    }
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}

/* Whether the elements leave by the reaper, since the list goes as a whole. */
static bool goes_whole(const struct list *l, uint64_t n)
{
    return n == l->count && (!list_is_single(l) || l->big > 0);
}

/* Everything goes: a list of one chunk at once, a longer one by the reaper. */
static enum oxbow_err drop_all(struct list *l)
{
    enum oxbow_err err;

    if (!goes_whole(l, l->count)) {
        return list_close(l, take_noted(l, OXBOW_LEFT, l->count, NULL));
    }
    if (txn_forced(l->txn)) {
        err = forward_lost(l->txn, l->name, OXBOW_ID_MIN, OXBOW_ID_MIN, l->count, l->bytes);

        if (err != OXBOW_OK) {
            return err;
        }
    }
    err = catalog_remove(l->txn, l->name);
    if (rate_asked(l->txn)) {
        rate_left(l->txn, &l->object, l->count, l->bytes);
    }
    return err == OXBOW_OK ? policy_left(l->txn, l->object.tag, 0, 0) : err;
}

static enum oxbow_err pop(struct list *l, enum oxbow_end end, size_t count,
                          struct oxbow_result *result)
{
    uint64_t n = count < l->count ? count : l->count;
    enum oxbow_err err = end == OXBOW_LEFT ? forward_forbid(l->txn, l->name)
                                           : forward_forbid_always(l->txn, l->name);

    if (err != OXBOW_OK) {
        return err;
    }
    if (n == 0 || goes_whole(l, n) || l->bytes > OXBOW_LIST_RESULT_MAX) {
        err = ends_read(l, end, n, result);
        if (err != OXBOW_OK || n == 0) {
            return err;
        }
        return goes_whole(l, n) ? drop_all(l) : list_close(l, take_noted(l, end, n, NULL));
    }
    err = result_begin(result, &txn_port(l->txn)->alloc, OXBOW_LIST_RESULT_MAX);
    if (err == OXBOW_OK) {
        err = list_close(l, take_noted(l, end, n, result));
    }
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}

enum oxbow_err oxbow_list_pop(struct oxbow_txn *txn, struct oxbow_bytes key, enum oxbow_end end,
                              size_t count, struct oxbow_result *result)
{
    struct list l;
    enum oxbow_err err;

    if (result == NULL || (end != OXBOW_LEFT && end != OXBOW_RIGHT)) {
        return OXBOW_EINVAL;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = list_find(txn, key, &l);
    return err == OXBOW_OK ? pop(&l, end, count, result) : err;
}

enum oxbow_err oxbow_list_pop_first(struct oxbow_txn *txn, const struct oxbow_list_pop_options *opt,
                                    size_t *which, struct oxbow_result *result)
{
    size_t i;

    if (opt == NULL || opt->keys == NULL || opt->key_count == 0) {
        return OXBOW_EINVAL;
    }
    for (i = 0; i < opt->key_count; i++) {
        enum oxbow_err err =
            oxbow_list_pop(txn, opt->keys[i], opt->end, opt->count == 0 ? 1 : opt->count, result);

        if (err == OXBOW_OK && which != NULL) {
            *which = i;
        }
        if (err != OXBOW_ENOENT) {
            return err;
        }
    }
    return OXBOW_ENOENT;
}

enum oxbow_err oxbow_list_trim(struct oxbow_txn *txn, struct oxbow_bytes key, int64_t start,
                               int64_t stop)
{
    struct list l;
    uint64_t first;
    uint64_t last;
    uint64_t tail;
    enum oxbow_err err;

    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = list_find(txn, key, &l);
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    err = forward_forbid(txn, key);
    if (err != OXBOW_OK) {
        return err;
    }
    if (!list_span(l.count, start, stop, &first, &last)) {
        return drop_all(&l);
    }
    tail = l.count - 1 - last;
    err = tail > 0 ? forward_forbid_always(txn, key) : OXBOW_OK;
    if (err != OXBOW_OK) {
        return err;
    }
    err = take_noted(&l, OXBOW_LEFT, first, NULL);
    if (err == OXBOW_OK) {
        err = list_drop(&l, OXBOW_RIGHT, tail);
    }
    return list_close(&l, err);
}

static bool same_key(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* The element that a move carries, once it is known that the move can be made. */
static enum oxbow_err move_check(struct oxbow_txn *txn, struct oxbow_bytes from,
                                 struct oxbow_bytes to, const enum oxbow_end ends[2],
                                 struct oxbow_result *result)
{
    struct object object;
    struct list l;
    bool expired;
    enum oxbow_err err = list_find(txn, from, &l);

    if (err == OXBOW_OK && to.len > OXBOW_KEY_NAME_MAX) {
        err = OXBOW_ETOOBIG;
    }
    if (err == OXBOW_OK) {
        err = catalog_find_typed(txn, to, OXBOW_TYPE_LIST, &object);
        if (err == OXBOW_OK || err == OXBOW_ENOENT) {
            err = ends[0] == OXBOW_LEFT ? forward_forbid(txn, from)
                                        : forward_forbid_always(txn, from);
        }
    }
    if (err == OXBOW_OK) {
        err = ends_read(&l, ends[0], 1, result);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (same_key(from, to)) {
        /* Nothing is added. */
        return ends[1] == OXBOW_LEFT ? forward_forbid_always(txn, to)
                                     : forward_admit(txn, to, result->items[0].len, 1);
    }
    return list_admit(txn, to, ends[1], result->items, 1, &expired);
}

/* Adds the element at an end of `to`, which may have to be made. */
static enum oxbow_err move_in(struct oxbow_txn *txn, struct oxbow_bytes to, enum oxbow_end end,
                              const struct oxbow_result *result)
{
    struct list l;
    enum oxbow_err err = list_find(txn, to, &l);

    if (err == OXBOW_ENOENT) {
        err = list_make(txn, to, &l);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = policy_list_attach(&l);
    if (err == OXBOW_OK) {
        err = list_append(&l, end, result->items, 1);
    }
    if (err == OXBOW_OK) {
        err = policy_list_settle(&l, end, 1);
    }
    if (err == OXBOW_OK) {
        err = wait_touch(txn, &l.object);
    }
    return list_close(&l, err);
}

enum oxbow_err oxbow_list_move(struct oxbow_txn *txn, struct oxbow_bytes from,
                               struct oxbow_bytes to, enum oxbow_end from_end,
                               enum oxbow_end to_end, struct oxbow_result *result)
{
    const enum oxbow_end ends[2] = {from_end, to_end};
    struct list l;
    enum oxbow_err err;

    if (result == NULL || (from_end != OXBOW_LEFT && from_end != OXBOW_RIGHT) ||
        (to_end != OXBOW_LEFT && to_end != OXBOW_RIGHT)) {
        return OXBOW_EINVAL;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = move_check(txn, from, to, ends, result);
    if (err != OXBOW_OK) {
        return err;
    }
    err = list_find(txn, from, &l);
    if (err == OXBOW_OK && l.count == 1 && same_key(from, to)) {
        return OXBOW_OK; /* taken and added again the list would go, and its time to live with it */
    }
    if (err == OXBOW_OK) {
        err = list_close(&l, take_noted(&l, from_end, 1, NULL));
    }
    if (err == OXBOW_OK) {
        err = move_in(txn, to, to_end, result);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}
