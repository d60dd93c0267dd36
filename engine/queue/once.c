/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adds entries once: looks whether the name was seen, adds with the functions of everybody, and
 * remembers, all in one transaction. What is remembered, and for how long, is once_record.c's.
 *
 * A stand-in notes as well which entry came under which name, since its merge has to bring both in one
 * transaction: of a stream by the entry's id; of a list by the element's index, as long as nothing is
 * inserted or removed in its middle.
 */
#include "engine/queue/once.h"

#include "engine/base/id.h"
#include "engine/queue/list.h"
#include "engine/queue/policy.h"
#include "engine/queue/stream.h"
#include "engine/store/credit.h"
#include "engine/store/stand_in.h"

#include <string.h>

#define RECORD_OVERHEAD 128u
#define PRUNE_STEP      4u /* entries that are gone, of which a note goes with each that comes */

static bool name_fits(struct oxbow_bytes name)
{
    return name.data != NULL && name.len > 0 && name.len <= OXBOW_ONCE_NAME_MAX;
}

/* One call. */
struct call {
    struct once once;
    struct oxbow_bytes key;
    enum once_kind kind;
    struct oxbow_bytes name;
    uint64_t sequence;
    enum oxbow_end end; /* of a list */
    bool list;
};

static bool in_stand_in(const struct oxbow_txn *txn)
{
    return store_stands_in(txn_store(txn));
}

static enum oxbow_err call_check(const struct oxbow_once *once, struct call *c)
{
    bool by_id;

    if (once == NULL || (once->id.len == 0) == (once->producer.len == 0)) {
        return OXBOW_EINVAL;
    }
    by_id = once->id.len > 0;
    c->kind = by_id ? ONCE_ID : ONCE_PRODUCER;
    c->name = by_id ? once->id : once->producer;
    c->sequence = once->sequence;
    return name_fits(c->name) && (by_id || c->sequence > 0) ? OXBOW_OK : OXBOW_EINVAL;
}

enum oxbow_err once_queue(struct oxbow_txn *txn, struct oxbow_bytes key, struct once *o)
{
    struct policy_row *row;
    enum oxbow_err err = policy_row(txn, key, &row);

    if (err != OXBOW_OK || row == NULL) {
        return err == OXBOW_OK ? OXBOW_ENOENT : err;
    }
    *o = (struct once){.txn = txn,
                       .queue = row->id,
                       .window_ms = row->policy.dedupe_ms,
                       .window_count = row->policy.dedupe_count};
    if (o->window_ms == 0 && o->window_count == 0) {
        o->window_ms = OXBOW_ONCE_MS_DEFAULT;
        o->window_count = OXBOW_ONCE_COUNT_DEFAULT;
    }
    o->window_ms = o->window_ms > 0 ? o->window_ms : UINT64_MAX;
    o->window_count = o->window_count > 0 ? o->window_count : OXBOW_ONCE_COUNT_MAX;
    return OXBOW_OK;
}

enum oxbow_err once_queue_make(struct oxbow_txn *txn, struct oxbow_bytes key, struct once *o)
{
    static const struct oxbow_policy none;
    enum oxbow_err err = once_queue(txn, key, o);

    if (err == OXBOW_ENOENT) {
        err = oxbow_policy_set(txn, key, &none);
        err = err == OXBOW_OK ? once_queue(txn, key, o) : err;
    }
    return err;
}

/* Whether it was added before. */
static enum oxbow_err seen_before(const struct call *c, struct oxbow_once_outcome *outcome)
{
    struct once_seen seen;
    enum oxbow_err err = once_get(&c->once, c->kind, c->name, &seen);

    *outcome = (struct oxbow_once_outcome){0};
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    if (c->kind == ONCE_ID) {
        err = once_within(&c->once, seen.clock_ms, &outcome->duplicate);
        outcome->id = outcome->duplicate ? seen.id : OXBOW_ID_MIN;
        return err;
    }
    outcome->duplicate = c->sequence <= seen.number;
    outcome->id = c->sequence == seen.number ? seen.id : OXBOW_ID_MIN;
    return OXBOW_OK;
}

/* ---- which entry it is, in a stand-in ---- */

/* What the queue holds: from the first entry to the last one. */
struct span {
    uint64_t object; /* 0: there is none */
    struct oxbow_id from;
    struct oxbow_id to;
    bool blurred; /* indexes say nothing */
};

static enum oxbow_err span_of_list(const struct call *c, struct span *s)
{
    struct list l;
    enum oxbow_err err = list_find(c->once.txn, c->key, &l);

    if (err == OXBOW_OK) {
        *s = (struct span){l.object.id, {l.lo, 0}, {l.hi - 1, 0}, l.sparse};
    }
    return err;
}

static enum oxbow_err span_of_stream(const struct call *c, struct span *s)
{
    struct stream stream;
    enum oxbow_err err = stream_find(c->once.txn, c->key, &stream);

    if (err == OXBOW_OK) {
        *s = (struct span){.object = stream.object.id, .from = stream.first, .to = stream.last};
        s->from = stream.length > 0 ? s->from : OXBOW_ID_MAX;
    }
    return err;
}

static enum oxbow_err span_of(const struct call *c, struct span *s)
{
    enum oxbow_err err;

    *s = (struct span){.object = 0};
    err = c->list ? span_of_list(c, s) : span_of_stream(c, s);
    return err == OXBOW_ENOENT || err == OXBOW_EWRONGTYPE ? OXBOW_OK : err;
}

/* Notes of entries that are gone go: the first ones, and in a list that grows to the left the last. */
static enum oxbow_err prune_end(const struct call *c, const struct span *s, bool last)
{
    struct once_place place;
    struct once_name at;
    unsigned i;
    enum oxbow_err err = OXBOW_OK;

    for (i = 0; i < PRUNE_STEP && err == OXBOW_OK; i++) {
        err = once_place_find(&c->once, last ? OXBOW_ID_MAX : OXBOW_ID_MIN, last, &place, &at);
        if (err == OXBOW_OK && place.object == s->object &&
            (s->blurred ||
             (id_compare(place.id, s->from) >= 0 && id_compare(place.id, s->to) <= 0))) {
            return OXBOW_OK; /* it is there */
        }
        err = err == OXBOW_OK ? once_place_del(&c->once, place.id) : err;
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err prune(const struct call *c)
{
    struct span s;
    enum oxbow_err err = OXBOW_OK;

    if (in_stand_in(c->once.txn)) {
        err = span_of(c, &s);
        err = err == OXBOW_OK ? prune_end(c, &s, false) : err;
        err = err == OXBOW_OK && c->list ? prune_end(c, &s, true) : err;
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(c->once.txn, err);
}

/* Which element has been pushed, if indexes tell: none where it was put off. */
static enum oxbow_err pushed_at(const struct call *c, const struct span *before,
                                struct oxbow_id *id)
{
    struct span s;
    enum oxbow_err err = span_of(c, &s);
    bool right = c->end == OXBOW_RIGHT;
    struct oxbow_id was = right ? before->to : before->from;

    *id = right ? s.to : s.from;
    if (err != OXBOW_OK || s.object == 0 || s.blurred ||
        (s.object == before->object && !before->blurred && id_compare(*id, was) == 0)) {
        *id = OXBOW_ID_MIN;
    }
    return err;
}

static enum oxbow_err note_place(const struct call *c, struct oxbow_id id)
{
    struct span s;
    struct once_place place = {.id = id};
    enum oxbow_err err = id_is_zero(id) ? OXBOW_ENOENT : span_of(c, &s);

    if (err != OXBOW_OK || s.object == 0) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    place.object = s.object;
    return once_place_put(&c->once, &place, c->kind, c->name, c->sequence);
}

enum oxbow_err once_list_pushed(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t first,
                                uint64_t count)
{
    struct once o;
    uint64_t i;
    enum oxbow_err err = in_stand_in(txn) ? once_queue(txn, key, &o) : OXBOW_ENOENT;

    for (i = 0; i < count && err == OXBOW_OK; i++) {
        err = once_place_del(&o, (struct oxbow_id){first + i, 0});
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err once_list_edited(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t object)
{
    struct once o;
    enum oxbow_err err = in_stand_in(txn) ? once_queue(txn, key, &o) : OXBOW_ENOENT;

    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    return once_place_blur(&o, object);
}

/* A producer that is forgotten may count from 1 again: what it has added has no name any more, and the
 * store knows nothing of what it will add. */
static enum oxbow_err forget_places(const struct once *o, struct oxbow_bytes producer)
{
    static const struct once_seen nothing;
    struct once_place place = {.id = OXBOW_ID_MIN};
    struct once_name at;
    enum oxbow_err err = once_put(o, ONCE_BEFORE, producer, &nothing);

    while (err == OXBOW_OK) {
        err = once_place_find(o, place.id, false, &place, &at);
        if (err == OXBOW_OK && at.kind == ONCE_PRODUCER && at.len == producer.len &&
            memcmp(at.name, producer.data, at.len) == 0) {
            err = once_place_del(o, place.id);
        }
        if (err == OXBOW_OK && !id_next(&place.id)) {
            break;
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* ---- adding ---- */

/* What comes before the addition. outcome->duplicate: there is none. */
static enum oxbow_err call_begin(struct oxbow_txn *txn, const struct oxbow_once *once,
                                 struct call *c, struct oxbow_once_outcome *outcome)
{
    struct policy_ask ask = {.key = c->key, .end = c->end};
    bool dropped;
    enum oxbow_err err = call_check(once, c);

    if (err == OXBOW_OK && txn_readonly(txn)) {
        err = OXBOW_EREADONLY;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = once_queue_make(txn, c->key, &c->once);
    if (err == OXBOW_OK) {
        err = seen_before(c, outcome);
    }
    ask.bytes = (in_stand_in(txn) || store_merge_left(txn_store(txn)) ? 2 : 1) *
                (c->name.len + RECORD_OVERHEAD);
    return err == OXBOW_OK && !outcome->duplicate ? policy_reserve(txn, &ask, &dropped) : err;
}

/* What comes after it. */
static enum oxbow_err call_end(const struct call *c, struct oxbow_id id)
{
    struct once_seen seen = {c->sequence, txn_clock_ms(c->once.txn), id};
    enum oxbow_err err = OXBOW_OK;

    if (c->kind == ONCE_ID) {
        err = credit_note(c->once.txn);
        err = err == OXBOW_OK ? once_order(&c->once, c->name, &seen) : err;
    }
    if (err == OXBOW_OK) {
        err = once_put(&c->once, c->kind, c->name, &seen);
    }
    if (err == OXBOW_OK && in_stand_in(c->once.txn)) {
        err = note_place(c, id);
    } else if (err == OXBOW_OK && c->kind == ONCE_PRODUCER) {
        err = once_run_add(&c->once, c->name, c->sequence);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(c->once.txn, err);
}

enum oxbow_err oxbow_once_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                              const struct oxbow_once *once, const struct oxbow_field *fields,
                              uint32_t field_count, struct oxbow_once_outcome *outcome)
{
    const struct oxbow_stream_add_options opt = {.priority = once != NULL ? once->priority : 0};
    struct oxbow_once_outcome said = {0};
    struct call c = {.key = key};
    enum oxbow_err err = outcome == NULL ? OXBOW_EINVAL : call_begin(txn, once, &c, &said);

    if (err == OXBOW_OK && !said.duplicate) {
        err = prune(&c);
        err =
            err == OXBOW_OK ? oxbow_stream_add(txn, key, &opt, fields, field_count, &said.id) : err;
        err = err == OXBOW_OK ? call_end(&c, said.id) : err;
    }
    if (err == OXBOW_OK) {
        *outcome = said;
    }
    return err;
}

static enum oxbow_err push(const struct call *c, struct oxbow_bytes value)
{
    struct oxbow_id id = OXBOW_ID_MIN;
    struct span before = {.object = 0};
    enum oxbow_err err = prune(c);

    if (err == OXBOW_OK && in_stand_in(c->once.txn)) {
        err = span_of(c, &before);
    }
    if (err == OXBOW_OK) {
        err = oxbow_list_push(c->once.txn, c->key, c->end, &value, 1, NULL);
    }
    if (err == OXBOW_OK && in_stand_in(c->once.txn)) {
        err = pushed_at(c, &before, &id);
        err = err == OXBOW_OK ? OXBOW_OK : txn_fail(c->once.txn, err);
    }
    return err == OXBOW_OK ? call_end(c, id) : err;
}

enum oxbow_err oxbow_once_push(struct oxbow_txn *txn, struct oxbow_bytes key, enum oxbow_end end,
                               const struct oxbow_once *once, struct oxbow_bytes value,
                               struct oxbow_once_outcome *outcome)
{
    struct oxbow_once_outcome said = {0};
    struct call c = {.key = key, .end = end, .list = true};
    enum oxbow_err err = outcome == NULL || (once != NULL && once->priority > 0)
                             ? OXBOW_EINVAL
                             : call_begin(txn, once, &c, &said);

    if (err == OXBOW_OK && !said.duplicate) {
        err = push(&c, value);
    }
    said.id = OXBOW_ID_MIN;
    if (err == OXBOW_OK) {
        *outcome = said;
    }
    return err;
}

enum oxbow_err oxbow_once_sequence(struct oxbow_txn *txn, struct oxbow_bytes key,
                                   struct oxbow_bytes producer, uint64_t *sequence)
{
    struct once_seen seen;
    struct once o;
    enum oxbow_err err =
        sequence == NULL || !name_fits(producer) ? OXBOW_EINVAL : once_queue(txn, key, &o);

    if (err == OXBOW_OK) {
        err = once_get(&o, ONCE_PRODUCER, producer, &seen);
    }
    if (err == OXBOW_OK) {
        *sequence = seen.number;
    }
    return err;
}

enum oxbow_err oxbow_once_forget(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 struct oxbow_bytes producer)
{
    struct once o;
    enum oxbow_err err = name_fits(producer) ? once_queue(txn, key, &o) : OXBOW_EINVAL;

    if (err == OXBOW_OK && txn_readonly(txn)) {
        err = OXBOW_EREADONLY;
    }
    err = err == OXBOW_OK ? once_del(&o, ONCE_PRODUCER, producer) : err;
    if (err == OXBOW_OK) {
        err = in_stand_in(txn) ? forget_places(&o, producer) : once_run_forget(&o, producer);
        err = err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
    }
    return err;
}
