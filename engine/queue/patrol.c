/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patrols: one value for each list that is patrolled, with what was found there.
 *
 *   key      KV_SPACE_PATROL, be32 database, be64 hash of the name, be64 another one
 *   value    0      4         8      n
 *            +------+---------+------+--------+--------+----
 *            | form | name n  | name | record | record | ...
 *            +------+---------+------+--------+--------+----
 *   record   0      8       16         24        28     32
 *            +------+-------+----------+---------+------+
 *            | hash | since | returned | returns | zero |       all little endian
 *            +------+-------+----------+---------+------+
 *
 * hash is that of an element's bytes; since: when it was found first (0: it is not there now);
 * returned: when it was sent back last, returns: how often. Times are the store's clock.
 *
 * 1. There is a record for each element that the last patrol left in the list.
 * 2. A value of another name (of the same hashes) says nothing.
 */
#include "oxbow/patrol.h"

#include "engine/base/buf.h"
#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/store/kv.h"
#include "oxbow/key.h"

#include <string.h>

#define FORM        1u
#define HEAD        8u
#define RECORD      32u
#define RECORDS_MAX (2u * OXBOW_PATROL_ELEMENTS_MAX)
#define RETURNS_MAX 100u
#define BYTES_MAX   ((uint64_t)256 * 1024)
#define KEEP_TIMES  16u
#define PATROL_KEY  21u

struct record {
    uint64_t hash;
    uint64_t since;
    uint64_t returned;
    uint32_t returns;
    bool used; /* by an element that is there now */
};

struct patrol {
    struct oxbow_txn *txn;
    const struct oxbow_patrol_options *opt;
    struct oxbow_patrol out;
    uint64_t now;
    uint64_t bytes; /* sent so far */
    struct record *old;
    size_t old_count;
    struct record *now_there;
    size_t count;
};

static struct oxbow_bytes patrol_key(uint8_t out[PATROL_KEY], const struct patrol *p)
{
    struct oxbow_bytes name = p->opt->processing;

    out[0] = KV_SPACE_PATROL;
    put_be32(out + 1, txn_database(p->txn));
    put_be64(out + 5, hash64(name.data, name.len, 0));
    put_be64(out + 13, hash64(name.data, name.len, 1));
    return (struct oxbow_bytes){out, PATROL_KEY};
}

/* ---- what was found before ---- */

static enum oxbow_err old_decode(struct patrol *p, struct oxbow_bytes value)
{
    struct oxbow_bytes name = p->opt->processing;
    const uint8_t *at = value.data;
    size_t i;

    if (value.len < HEAD || get_le32(at) != FORM || get_le32(at + 4) > value.len - HEAD ||
        (value.len - HEAD - get_le32(at + 4)) % RECORD != 0) {
        return OXBOW_ECORRUPT;
    }
    if (get_le32(at + 4) != name.len ||
        (name.len > 0 && memcmp(at + HEAD, name.data, name.len) != 0)) {
        return OXBOW_OK;
    }
    at += HEAD + name.len;
    p->old_count = (value.len - HEAD - name.len) / RECORD;
    p->old_count = p->old_count < RECORDS_MAX ? p->old_count : RECORDS_MAX;
    for (i = 0; i < p->old_count; i++, at += RECORD) {
        p->old[i] = (struct record){.hash = get_le64(at),
                                    .since = get_le64(at + 8),
                                    .returned = get_le64(at + 16),
                                    .returns = get_le32(at + 24)};
    }
    return OXBOW_OK;
}

static enum oxbow_err old_get(struct patrol *p)
{
    uint8_t key[PATROL_KEY];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(p->txn, patrol_key(key, p), &value);

    if (err == OXBOW_ENOENT) {
        return OXBOW_OK;
    }
    return err == OXBOW_OK ? old_decode(p, value) : err;
}

/* The record of an element that is there: the oldest of its bytes that was there, else what is known
 * of one that was sent back. NULL: it is new. */
static struct record *old_find(struct patrol *p, uint64_t hash)
{
    struct record *best = NULL;
    size_t i;

    for (i = 0; i < p->old_count; i++) {
        struct record *r = &p->old[i];

        if (r->used || r->hash != hash) {
            continue;
        }
        if (best == NULL || (r->since != 0 && (best->since == 0 || r->since < best->since))) {
            best = r;
        }
    }
    return best;
}

/* ---- what is there now ---- */

static bool is_refusal(enum oxbow_err err)
{
    return err == OXBOW_EQUOTA || err == OXBOW_EFULL || err == OXBOW_EBUDGET ||
           err == OXBOW_EWRONGTYPE || err == OXBOW_EPROTECTED || err == OXBOW_ETOOBIG;
}

/* Sends an element. What refuses it has changed nothing. */
static enum oxbow_err send(struct patrol *p, struct oxbow_bytes element, bool dead)
{
    uint64_t removed = 0;
    enum oxbow_err err = oxbow_list_push(p->txn, dead ? p->opt->dead : p->opt->to,
                                         dead ? OXBOW_RIGHT : p->opt->to_end, &element, 1, NULL);

    if (err != OXBOW_OK) {
        return err;
    }
    err = oxbow_list_remove(p->txn, p->opt->processing, 1, element, &removed);
    if (err == OXBOW_OK && removed != 1) {
        err = OXBOW_ECORRUPT;
    }
    p->bytes += element.len;
    p->out.returned += !dead;
    p->out.dead += dead;
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(p->txn, err);
}

/* After a power cut the clock may show again what it showed before. */
static uint64_t gone_ms(const struct patrol *p, uint64_t since)
{
    return p->now > since ? p->now - since : 0;
}

static void note_next(struct patrol *p, uint64_t since)
{
    uint64_t age = gone_ms(p, since);
    uint64_t left = age < p->opt->timeout_ms ? p->opt->timeout_ms - age : 0;

    p->out.next_ms = p->out.has_next && p->out.next_ms < left ? p->out.next_ms : left;
    p->out.has_next = true;
}

/* Looks at one element: it stays, or is sent. */
static enum oxbow_err element_look(struct patrol *p, struct oxbow_bytes element)
{
    uint64_t hash = hash64(element.data, element.len, 0);
    struct record *was = old_find(p, hash);
    struct record is = {.hash = hash, .since = p->now};
    bool dead;
    enum oxbow_err err = OXBOW_OK;

    if (was != NULL) {
        was->used = true;
        is = *was;
        is.since = was->since != 0 ? was->since : p->now;
    }
    if (gone_ms(p, is.since) >= p->opt->timeout_ms && p->out.problem == OXBOW_OK && !p->out.more) {
        p->out.more = p->out.returned + p->out.dead == RETURNS_MAX || p->bytes >= BYTES_MAX;
        dead = p->opt->max_returns > 0 && is.returns >= p->opt->max_returns;
        if (!p->out.more) {
            err = send(p, element, dead);
        }
        if (is_refusal(err)) {
            p->out.problem = err;
            err = OXBOW_OK;
        } else if (err == OXBOW_OK && !p->out.more) {
            if (dead) {
                return OXBOW_OK;
            }
            is.since = 0;
            is.returned = p->now;
            is.returns++;
        }
    }
    if (is.since != 0) {
        note_next(p, is.since);
    }
    if (is.since != 0 || p->opt->max_returns > 0) {
        p->now_there[p->count++] = is;
    }
    return err;
}

/* Takes over what is known of elements that were sent back not long ago. */
static void keep_returned(struct patrol *p)
{
    uint64_t keep = p->opt->timeout_ms * KEEP_TIMES;
    size_t i;

    for (i = 0; i < p->old_count && p->count < RECORDS_MAX; i++) {
        struct record r = p->old[i];

        if (!r.used && r.returns > 0 && r.since == 0 && p->opt->max_returns > 0 &&
            gone_ms(p, r.returned) < keep) {
            p->now_there[p->count++] = r;
        }
    }
}

static bool unchanged(const struct patrol *p)
{
    size_t i;

    if (p->count != p->old_count) {
        return false;
    }
    for (i = 0; i < p->count; i++) {
        const struct record *a = &p->old[i], *b = &p->now_there[i];

        if (a->hash != b->hash || a->since != b->since || a->returns != b->returns ||
            a->returned != b->returned) {
            return false;
        }
    }
    return true;
}

static enum oxbow_err now_put(struct patrol *p)
{
    struct oxbow_bytes name = p->opt->processing;
    const struct oxbow_alloc *alloc = &txn_port(p->txn)->alloc;
    size_t len = HEAD + name.len + p->count * RECORD;
    uint8_t key[PATROL_KEY];
    uint8_t *value, *at;
    size_t i;
    enum oxbow_err err;

    if (unchanged(p)) {
        return OXBOW_OK;
    }
    if (p->count == 0) {
        return kv_del(p->txn, patrol_key(key, p));
    }
    err = txn_feature_require(p->txn, STORE_FEATURE_PATROL);
    if (err != OXBOW_OK) {
        return err;
    }
    value = mem_new(alloc, len);
    if (value == NULL) {
        return OXBOW_ENOMEM;
    }
    put_le32(value, FORM);
    put_le32(value + 4, (uint32_t)name.len);
    if (name.len > 0) {
        memcpy(value + HEAD, name.data, name.len);
    }
    at = value + HEAD + name.len;
    for (i = 0; i < p->count; i++, at += RECORD) {
        put_le64(at, p->now_there[i].hash);
        put_le64(at + 8, p->now_there[i].since);
        put_le64(at + 16, p->now_there[i].returned);
        put_le32(at + 24, p->now_there[i].returns);
        put_le32(at + 28, 0);
    }
    err = kv_put(p->txn, patrol_key(key, p), (struct oxbow_bytes){value, len});
    mem_free(alloc, value, len);
    return err;
}

/* ---- the patrol ---- */

static enum oxbow_err walk(struct patrol *p, struct oxbow_result *there)
{
    size_t i;
    enum oxbow_err err = old_get(p);

    if (err == OXBOW_OK) {
        err = oxbow_list_range(p->txn, p->opt->processing, 0, OXBOW_PATROL_ELEMENTS_MAX - 1, there);
    }
    for (i = 0; err == OXBOW_OK && i < there->item_count; i++) {
        err = element_look(p, there->items[i]);
    }
    if (err == OXBOW_OK) {
        p->out.found = there->item_count;
        keep_returned(p);
        err = now_put(p);
    }
    return err;
}

static bool names_equal(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static enum oxbow_err check(const struct oxbow_patrol_options *opt, const struct oxbow_patrol *out)
{
    if (opt == NULL || out == NULL || opt->timeout_ms == 0 ||
        opt->timeout_ms > OXBOW_PATROL_MS_MAX || names_equal(opt->processing, opt->to) ||
        (opt->to_end != OXBOW_LEFT && opt->to_end != OXBOW_RIGHT) ||
        (opt->max_returns > 0 && (opt->dead.len == 0 || names_equal(opt->processing, opt->dead)))) {
        return OXBOW_EINVAL;
    }
    return opt->processing.len > OXBOW_KEY_NAME_MAX ? OXBOW_ETOOBIG : OXBOW_OK;
}

enum oxbow_err oxbow_list_patrol(struct oxbow_txn *txn, const struct oxbow_patrol_options *opt,
                                 struct oxbow_patrol *out)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    struct patrol p = {.txn = txn, .opt = opt, .now = txn_clock_ms(txn)};
    size_t len = 2 * RECORDS_MAX * sizeof *p.old;
    struct oxbow_result there = {0};
    enum oxbow_err err = check(opt, out);

    if (err == OXBOW_OK && txn_readonly(txn)) {
        err = OXBOW_EREADONLY;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    p.old = mem_new(alloc, len);
    if (p.old == NULL) {
        return OXBOW_ENOMEM;
    }
    p.now_there = p.old + RECORDS_MAX;
    err = walk(&p, &there);
    oxbow_result_fini(&there);
    mem_free(alloc, p.old, len);
    if (err != OXBOW_OK) {
        return p.out.returned + p.out.dead > 0 ? txn_fail(txn, err) : err;
    }
    *out = p.out;
    return OXBOW_OK;
}
