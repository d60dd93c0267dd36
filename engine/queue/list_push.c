/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushes: elements are appended to the bytes of the end's chunk, at either end. A run of elements
 * that fit one chunk costs one write, and none of it allocates.
 *
 * A new chunk is begun when the end's chunk is full or grows the other way. Before that the old one
 * is made whole on the side that will no longer be an end (list_head.c, invariant 3).
 */
#include "engine/queue/list.h"

#include "engine/base/codec.h"
#include "engine/queue/boots.h"
#include "engine/queue/forward.h"
#include "engine/queue/once.h"
#include "engine/queue/policy_list.h"
#include "engine/queue/rate.h"
#include "engine/queue/wait.h"

#include <string.h>

#define PUSH_OVERHEAD 256u /* header, name record and chunk header, generously */

/* Elements on their way into one chunk. */
struct run {
    struct list_image image; /* entries from LIST_BODY on */
    uint32_t count;
    size_t room;   /* bytes that the target still takes */
    bool is_chunk; /* begins a chunk of its own, else goes to the end's */
};

/* Index of the chunk's outermost live element on the side where it does not grow: its id, were it
 * made now. */
static uint64_t dense_id(const struct list *l, const struct list_end *end)
{
    if (end->kind == CHUNK_LIST_RIGHT) {
        return end->id == l->ends[OXBOW_LEFT].id ? l->lo : end->id;
    }
    return end->id == l->ends[OXBOW_RIGHT].id ? l->hi - 1 : end->id;
}

enum oxbow_err list_compact(struct list *l, enum oxbow_end end)
{
    struct list_end was = l->ends[end];
    struct list_end is = was;
    bool single = list_is_single(l);
    struct list_image image;
    struct list_view v;
    enum oxbow_err err = list_view_load(l, was.id, 1, &v);

    if (err != OXBOW_OK) {
        return err;
    }
    list_image_init(&image, &v);
    memcpy(image.bytes + image.len, v.data + v.from, (size_t)(v.to - v.from));
    image.len += (size_t)(v.to - v.from);
    is.id = l->sparse ? was.id : dense_id(l, &was);
    is.from = LIST_BODY;
    is.to = (uint16_t)image.len;
    err = list_put(l, is.id, (struct oxbow_bytes){image.bytes, image.len});
    if (err == OXBOW_OK && is.id != was.id) {
        err = list_unput(l, was.id);
        if (err == OXBOW_OK && !single) {
            err = end == OXBOW_LEFT
                      ? list_link(l, get_le64(image.bytes + LIST_AT_NEXT), LIST_AT_PREV, is.id)
                      : list_link(l, get_le64(image.bytes + LIST_AT_PREV), LIST_AT_NEXT, is.id);
        }
    }
    l->ends[end] = is;
    if (single) {
        l->ends[list_other(end)] = is;
    }
    return err;
}

/* Makes the end's chunk fit to lie inside the chain. */
static enum oxbow_err end_seal(struct list *l, enum oxbow_end end)
{
    const struct list_end *e = &l->ends[end];
    size_t len;
    enum oxbow_err err;

    if (e->kind != list_kind_at(end)) {
        return e->from == LIST_BODY ? OXBOW_OK : list_compact(l, end);
    }
    err = list_chunk_len(l, e->id, &len);
    if (err != OXBOW_OK || e->to == len) {
        return err;
    }
    return list_compact(l, end);
}

/* Begins a chunk at the end with what the run holds. */
static enum oxbow_err chunk_begin(struct list *l, enum oxbow_end end, struct run *run)
{
    struct chunk_head head;
    bool first = l->count == 0;
    struct list_end made = {.from = LIST_BODY, .kind = list_kind_at(end)};
    uint64_t old;
    enum oxbow_err err;

    if (!first) {
        err = end_seal(l, end);
        if (err != OXBOW_OK) {
            return err;
        }
    }
    made.to = (uint16_t)run->image.len;
    made.id = l->sparse ? l->serial++ : end == OXBOW_RIGHT ? l->hi : l->lo - 1;
    old = first ? 0 : l->ends[end].id;
    chunk_head_init(&head, l->txn, made.kind);
    chunk_head_encode(run->image.bytes, &head);
    put_le64(run->image.bytes + LIST_AT_PREV, end == OXBOW_RIGHT ? old : 0);
    put_le64(run->image.bytes + LIST_AT_NEXT, end == OXBOW_LEFT ? old : 0);
    err = boots_note(l->txn);
    if (err == OXBOW_OK) {
        err = list_put(l, made.id, (struct oxbow_bytes){run->image.bytes, run->image.len});
    }
    if (err == OXBOW_OK && !first) {
        err = list_link(l, old, end == OXBOW_RIGHT ? LIST_AT_NEXT : LIST_AT_PREV, made.id);
    }
    l->ends[end] = made;
    if (first) {
        l->ends[list_other(end)] = made;
    }
    if (err == OXBOW_OK && l->policy != NULL && l->policy->policy.max_age_ms > 0) {
        err = policy_boot_note(l->txn);
    }
    return err;
}

/* Writes the run and empties it. */
static enum oxbow_err run_flush(struct list *l, enum oxbow_end end, struct run *run)
{
    enum oxbow_err err;

    if (run->count == 0) {
        return OXBOW_OK;
    }
    if (run->is_chunk) {
        err = chunk_begin(l, end, run);
    } else {
        struct list_end *e = &l->ends[end];
        size_t len = run->image.len - LIST_BODY;
        bool single = list_is_single(l);

        err = list_patch(l, e->id, e->to, (struct oxbow_bytes){run->image.bytes + LIST_BODY, len});
        e->to = (uint16_t)(e->to + len);
        if (single) {
            l->ends[list_other(end)] = *e;
        }
    }
    l->count += run->count;
    if (end == OXBOW_RIGHT) {
        l->hi += run->count;
    } else {
        l->lo -= run->count;
    }
    run->count = 0;
    run->image.len = LIST_BODY;
    return err;
}

static void tell_rate(const struct list *l, const struct oxbow_bytes *values, size_t count)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        bytes += values[i].len;
    }
    rate_came(l->txn, &l->object, count, bytes);
}

enum oxbow_err list_append(struct list *l, enum oxbow_end end, const struct oxbow_bytes *values,
                           size_t count)
{
    const struct list_end *e = &l->ends[end];
    const uint64_t hi = l->hi;
    struct list_entry entry;
    struct run run;
    enum oxbow_err err;
    size_t i;

    run.image.len = LIST_BODY;
    run.count = 0;
    run.is_chunk = l->count == 0 || e->kind != list_kind_at(end);
    if (!run.is_chunk && l->policy != NULL) {
        err = policy_list_stale(l, end, &run.is_chunk);
        if (err != OXBOW_OK) {
            return err;
        }
    }
    run.room = CHUNK_MAX - (run.is_chunk ? LIST_BODY : e->to);
    for (i = 0; i < count; i++) {
        size_t size;

        err = list_value_store(l, values[i], &entry);
        if (err != OXBOW_OK) {
            return err;
        }
        size = list_entry_encode(run.image.bytes + run.image.len, &entry);
        if (size > run.room) {
            err = run_flush(l, end, &run);
            if (err != OXBOW_OK) {
                return err;
            }
            size = list_entry_encode(run.image.bytes + run.image.len, &entry);
            run.is_chunk = true;
            run.room = CHUNK_MAX - LIST_BODY;
        }
        run.image.len += size;
        run.room -= size;
        run.count++;
    }
    err = run_flush(l, end, &run);
    if (err == OXBOW_OK && !l->sparse) {
        err = once_list_pushed(l->txn, l->name, end == OXBOW_RIGHT ? hi : l->lo, count);
    }
    if (err == OXBOW_OK && rate_asked(l->txn)) {
        tell_rate(l, values, count);
    }
    return err;
}

static enum oxbow_err push(struct list *l, enum oxbow_end end, const struct oxbow_bytes *values,
                           size_t count, uint64_t *len)
{
    enum oxbow_err err = OXBOW_OK;

    if (l->count + count > LIST_COUNT_MAX) {
        err = OXBOW_ETOOBIG;
    }
    if (err == OXBOW_OK) {
        err = policy_list_attach(l);
    }
    if (err == OXBOW_OK) {
        err = list_append(l, end, values, count);
    }
    if (err == OXBOW_OK) {
        err = policy_list_settle(l, end, count);
    }
    if (err == OXBOW_OK) {
        err = wait_touch(l->txn, &l->object);
    }
    err = list_close(l, err);
    if (err == OXBOW_OK && len != NULL) {
        *len = l->count;
    }
    return err;
}

static enum oxbow_err push_check(struct oxbow_txn *txn, struct oxbow_bytes key, enum oxbow_end end,
                                 const struct oxbow_bytes *values, size_t count)
{
    struct policy_ask ask = {.key = key, .end = end};
    uint64_t bytes;
    bool dropped;
    enum oxbow_err err;

    if (values == NULL || count == 0 || (end != OXBOW_LEFT && end != OXBOW_RIGHT)) {
        return OXBOW_EINVAL;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    if (key.len > OXBOW_KEY_NAME_MAX) {
        return OXBOW_ETOOBIG;
    }
    err = list_values_check(txn, values, count, &bytes);
    if (err != OXBOW_OK) {
        return err;
    }
    ask.bytes = (size_t)bytes + key.len + PUSH_OVERHEAD;
    for (size_t i = 0; i < count; i++) {
        ask.largest = values[i].len > ask.largest ? values[i].len : ask.largest;
    }
    return policy_reserve(txn, &ask, &dropped);
}

enum oxbow_err list_admit(struct oxbow_txn *txn, struct oxbow_bytes key, enum oxbow_end end,
                          const struct oxbow_bytes *values, size_t count, bool *expired)
{
    uint64_t bytes = 0;
    size_t i;
    enum oxbow_err err = policy_list_room(txn, key, values, count, expired);

    if (err != OXBOW_OK) {
        return err;
    }
    if (end == OXBOW_LEFT) {
        return forward_forbid_always(txn, key);
    }
    for (i = 0; i < count; i++) {
        bytes += values[i].len;
    }
    return forward_admit(txn, key, bytes, count);
}

/* Asks forwards for room in a list that was found, and reads it again: to make room, elements of
 * this very list may have been removed, or all of them. */
static enum oxbow_err admit_and_find(struct list *l, struct oxbow_bytes key, enum oxbow_end end,
                                     const struct oxbow_bytes *values, size_t count)
{
    struct oxbow_txn *txn = l->txn;
    struct forward_edge edge;
    bool expired = false;
    enum oxbow_err err = forward_edge(txn, key, &edge);

    if (err == OXBOW_OK) {
        err = list_admit(txn, key, end, values, count, &expired);
    }
    if (err != OXBOW_OK || (!edge.on && !txn_forced(txn) && !expired)) {
        return err;
    }
    err = list_find(txn, key, l);
    return err == OXBOW_ENOENT ? list_make(txn, key, l) : err;
}

enum oxbow_err oxbow_list_push(struct oxbow_txn *txn, struct oxbow_bytes key, enum oxbow_end end,
                               const struct oxbow_bytes *values, size_t count, uint64_t *len)
{
    struct list l;
    enum oxbow_err err = push_check(txn, key, end, values, count);

    if (err != OXBOW_OK) {
        return err;
    }
    err = list_find(txn, key, &l);
    if (err == OXBOW_OK) {
        err = admit_and_find(&l, key, end, values, count);
    } else if (err == OXBOW_ENOENT) {
        bool expired;

        err = list_admit(txn, key, end, values, count, &expired);
        if (err == OXBOW_OK) {
            err = list_make(txn, key, &l);
        }
    }
    return err == OXBOW_OK ? push(&l, end, values, count, len) : err;
}

enum oxbow_err oxbow_list_push_existing(struct oxbow_txn *txn, struct oxbow_bytes key,
                                        enum oxbow_end end, const struct oxbow_bytes *values,
                                        size_t count, uint64_t *len)
{
    struct list l;
    enum oxbow_err err = push_check(txn, key, end, values, count);

    if (err == OXBOW_OK) {
        err = list_find(txn, key, &l);
    }
    if (err == OXBOW_ENOENT) {
        if (len != NULL) {
            *len = 0;
        }
        return OXBOW_OK;
    }
    if (err == OXBOW_OK) {
        err = admit_and_find(&l, key, end, values, count);
    }
    return err == OXBOW_OK ? push(&l, end, values, count, len) : err;
}
