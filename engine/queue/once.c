/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adds entries once: looks whether the name was seen, adds with the functions of everybody, and
 * remembers, all in one transaction. What is remembered, and for how long, is once_record.c's.
 */
#include "engine/queue/once.h"

#include "engine/queue/policy.h"
#include "engine/store/credit.h"

#define RECORD_OVERHEAD 128u

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
};

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

/* The queue's number and window. OXBOW_ENOENT: nothing was ever remembered there. */
static enum oxbow_err queue_find(struct oxbow_txn *txn, struct oxbow_bytes key, struct once *o)
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

/* What comes before the addition. outcome->duplicate: there is none. */
static enum oxbow_err call_begin(struct oxbow_txn *txn, const struct oxbow_once *once,
                                 struct call *c, struct oxbow_once_outcome *outcome)
{
    static const struct oxbow_policy none;
    struct policy_ask ask = {.key = c->key, .end = c->end};
    bool dropped;
    enum oxbow_err err = call_check(once, c);

    if (err == OXBOW_OK && txn_readonly(txn)) {
        err = OXBOW_EREADONLY;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = queue_find(txn, c->key, &c->once);
    if (err == OXBOW_ENOENT) {
        err = oxbow_policy_set(txn, c->key, &none);
        err = err == OXBOW_OK ? queue_find(txn, c->key, &c->once) : err;
    }
    if (err == OXBOW_OK) {
        err = seen_before(c, outcome);
    }
    ask.bytes = c->name.len + RECORD_OVERHEAD;
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
        err = oxbow_stream_add(txn, key, &opt, fields, field_count, &said.id);
        err = err == OXBOW_OK ? call_end(&c, said.id) : err;
    }
    if (err == OXBOW_OK) {
        *outcome = said;
    }
    return err;
}

enum oxbow_err oxbow_once_push(struct oxbow_txn *txn, struct oxbow_bytes key, enum oxbow_end end,
                               const struct oxbow_once *once, struct oxbow_bytes value,
                               struct oxbow_once_outcome *outcome)
{
    struct oxbow_once_outcome said = {0};
    struct call c = {.key = key, .end = end};
    enum oxbow_err err = outcome == NULL || (once != NULL && once->priority > 0)
                             ? OXBOW_EINVAL
                             : call_begin(txn, once, &c, &said);

    if (err == OXBOW_OK && !said.duplicate) {
        err = oxbow_list_push(txn, key, end, &value, 1, NULL);
        err = err == OXBOW_OK ? call_end(&c, OXBOW_ID_MIN) : err;
    }
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
        sequence == NULL || !name_fits(producer) ? OXBOW_EINVAL : queue_find(txn, key, &o);

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
    enum oxbow_err err = name_fits(producer) ? queue_find(txn, key, &o) : OXBOW_EINVAL;

    if (err == OXBOW_OK && txn_readonly(txn)) {
        err = OXBOW_EREADONLY;
    }
    return err == OXBOW_OK ? once_del(&o, ONCE_PRODUCER, producer) : err;
}
