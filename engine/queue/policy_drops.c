/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policies have dropped: counted by cause, and where, so that no reader takes a queue for whole
 * that is not. The record of a policy's state, little-endian:
 *
 *     0  format 1, last cause 1, zero 2, gap count 4
 *     8  8 causes, of which 7 are used, each: entries 8, bytes 8, first 16, from 16, to 16, wall_ms 8
 *   584  since when the chunk that grows is begun anew in time: policy_age.c; then policy_keep.c's,
 *        184 bytes
 *   776  gaps, the oldest first, each: from 16, to 16, bytes 8, entries by cause 8 x 8
 *
 * 1. Gaps ascend and do not overlap. A drop joins the newest gap while that has fewer than GAP_FULL
 *    entries, or does not lie wholly after it; else it begins one.
 * 2. There is no record as long as nothing was dropped.
 */
#include "engine/queue/policy.h"

#include "engine/base/codec.h"
#include "engine/base/id.h"

#include <string.h>

#define GAP_FULL 256u

_Static_assert(POLICY_AT_GAPS + OXBOW_DROP_GAPS_MAX * POLICY_GAP_LEN <= POLICY_VALUE_MAX,
               "a state fits one value");

const char *oxbow_drop_cause_name(enum oxbow_drop_cause cause)
{
    static const char *const names[] = {"?",     "age",         "length",    "bytes",
                                        "quota", "dead-letter", "delivered", "forward"};

    return (unsigned)cause <= OXBOW_DROP_CAUSES ? names[cause] : names[0];
}

static uint8_t *put_id(uint8_t *p, struct oxbow_id id)
{
    put_le64(p, id.ms);
    put_le64(p + 8, id.seq);
    return p + 16;
}

static struct oxbow_id get_id(const uint8_t *p)
{
    return (struct oxbow_id){get_le64(p), get_le64(p + 8)};
}

/* ---- the record ---- */

enum oxbow_err policy_state_get(struct oxbow_txn *txn, uint32_t id, struct oxbow_bytes *value)
{
    uint8_t key[POLICY_KEY_MAX];
    enum oxbow_err err = kv_get(txn, policy_key(key, POLICY_KEY_STATE, id), value);
    const uint8_t *p;

    if (err != OXBOW_OK) {
        return err;
    }
    p = value->data;
    if (value->len < POLICY_AT_GAPS || p[0] != POLICY_STATE_FORMAT ||
        get_le32(p + 4) > OXBOW_DROP_GAPS_MAX ||
        value->len != POLICY_AT_GAPS + get_le32(p + 4) * POLICY_GAP_LEN) {
        return OXBOW_ECORRUPT;
    }
    return OXBOW_OK;
}

enum oxbow_err policy_state_make(struct oxbow_txn *txn, uint32_t id)
{
    uint8_t blank[POLICY_AT_GAPS] = {POLICY_STATE_FORMAT};
    uint8_t key[POLICY_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err = policy_state_get(txn, id, &value);

    /* One that makes no sense is begun anew: what it had counted is lost, limits go on. */
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT
               ? kv_put(txn, policy_key(key, POLICY_KEY_STATE, id),
                        (struct oxbow_bytes){blank, sizeof blank})
               : err;
}

enum oxbow_err policy_state_patch(struct oxbow_txn *txn, uint32_t id, size_t at,
                                  struct oxbow_bytes bytes)
{
    uint8_t key[POLICY_KEY_MAX];

    return kv_patch(txn, policy_key(key, POLICY_KEY_STATE, id), at, bytes);
}

/* ---- causes ---- */

static void cause_decode(const uint8_t *p, struct oxbow_drops *d)
{
    d->entries = get_le64(p);
    d->bytes = get_le64(p + 8);
    d->first = get_id(p + 16);
    d->from = get_id(p + 32);
    d->to = get_id(p + 48);
    d->wall_ms = get_le64(p + 64);
}

static void cause_encode(uint8_t *p, const struct oxbow_drops *d)
{
    put_le64(p, d->entries);
    put_le64(p + 8, d->bytes);
    p = put_id(p + 16, d->first);
    p = put_id(p, d->from);
    p = put_id(p, d->to);
    put_le64(p, d->wall_ms);
}

static size_t cause_at(enum oxbow_drop_cause cause)
{
    return POLICY_AT_CAUSES + ((size_t)cause - 1) * POLICY_CAUSE_LEN;
}

/* Positions of a list's drops go on from the sum of what was dropped before. */
static void count_positions(const uint8_t *state, struct policy_drop *drop)
{
    uint64_t sum = 0;

    for (unsigned c = 1; c <= OXBOW_DROP_CAUSES; c++) {
        sum += get_le64(state + cause_at((enum oxbow_drop_cause)c));
    }
    drop->from = (struct oxbow_id){0, sum + 1};
    drop->to = (struct oxbow_id){0, sum + drop->entries};
}

static enum oxbow_err cause_note(struct oxbow_txn *txn, uint32_t id, const uint8_t *state,
                                 const struct policy_drop *drop)
{
    uint8_t out[POLICY_CAUSE_LEN];
    uint8_t last = (uint8_t)drop->cause;
    bool goes_on = state[1] == last;
    struct oxbow_drops d;
    enum oxbow_err err;

    cause_decode(state + cause_at(drop->cause), &d);
    if (d.entries == 0) {
        d.first = drop->from;
    }
    d.from = goes_on && id_compare(d.from, drop->from) < 0 ? d.from : drop->from;
    d.to = drop->to;
    d.entries += drop->entries;
    d.bytes += drop->bytes;
    d.wall_ms = txn_wall_ms(txn);
    cause_encode(out, &d);
    err = policy_state_patch(txn, id, cause_at(drop->cause), (struct oxbow_bytes){out, sizeof out});
    return err == OXBOW_OK && !goes_on
               ? policy_state_patch(txn, id, 1, (struct oxbow_bytes){&last, 1})
               : err;
}

/* ---- gaps ---- */

static void gap_decode(const uint8_t *p, struct oxbow_drop_gap *g)
{
    *g =
        (struct oxbow_drop_gap){.from = get_id(p), .to = get_id(p + 16), .bytes = get_le64(p + 32)};
    for (size_t i = 0; i < OXBOW_DROP_CAUSES; i++) {
        g->by_cause[i] = get_le64(p + 40 + 8 * i);
        g->entries += g->by_cause[i];
    }
}

static void gap_encode(uint8_t *p, const struct oxbow_drop_gap *g)
{
    p = put_id(put_id(p, g->from), g->to);
    put_le64(p, g->bytes);
    for (size_t i = 0; i < OXBOW_DROP_CAUSES; i++) {
        put_le64(p + 8 + 8 * i, g->by_cause[i]);
    }
    put_le64(p + 8 + 8 * OXBOW_DROP_CAUSES, 0);
}

static void gap_merge(struct oxbow_drop_gap *into, const struct oxbow_drop_gap *g)
{
    into->from = id_compare(g->from, into->from) < 0 ? g->from : into->from;
    into->to = id_compare(g->to, into->to) > 0 ? g->to : into->to;
    into->entries += g->entries;
    into->bytes += g->bytes;
    for (size_t i = 0; i < OXBOW_DROP_CAUSES; i++) {
        into->by_cause[i] += g->by_cause[i];
    }
}

/* Makes one gap of the two neighbours that have the fewest entries. The last one is left alone. */
static void gaps_shrink(struct oxbow_drop_gap *gaps, size_t *count)
{
    size_t best = 0;

    for (size_t i = 1; i + 1 < *count; i++) {
        if (gaps[i].entries + gaps[i + 1].entries < gaps[best].entries + gaps[best + 1].entries) {
            best = i;
        }
    }
    gap_merge(&gaps[best], &gaps[best + 1]);
    memmove(&gaps[best + 1], &gaps[best + 2], (*count - best - 2) * sizeof *gaps);
    (*count)--;
}

static size_t gaps_decode(const uint8_t *state, struct oxbow_drop_gap gaps[OXBOW_DROP_GAPS_MAX])
{
    size_t count = get_le32(state + 4);

    for (size_t i = 0; i < count; i++) {
        gap_decode(state + POLICY_AT_GAPS + i * POLICY_GAP_LEN, &gaps[i]);
    }
    return count;
}

/* Writes the whole record with these gaps. */
static enum oxbow_err gaps_put(struct oxbow_txn *txn, uint32_t id, const uint8_t *state,
                               const struct oxbow_drop_gap *gaps, size_t count)
{
    uint8_t out[POLICY_VALUE_MAX];
    uint8_t key[POLICY_KEY_MAX];
    size_t len = POLICY_AT_GAPS;

    memcpy(out, state, POLICY_AT_GAPS);
    put_le32(out + 4, (uint32_t)count);
    for (size_t i = 0; i < count; i++, len += POLICY_GAP_LEN) {
        gap_encode(out + len, &gaps[i]);
    }
    return kv_put(txn, policy_key(key, POLICY_KEY_STATE, id), (struct oxbow_bytes){out, len});
}

static enum oxbow_err gap_begin(struct oxbow_txn *txn, uint32_t id, const uint8_t *state,
                                const struct oxbow_drop_gap *gap)
{
    struct oxbow_drop_gap gaps[OXBOW_DROP_GAPS_MAX];
    size_t count = gaps_decode(state, gaps);

    if (count == OXBOW_DROP_GAPS_MAX) {
        gaps_shrink(gaps, &count);
    }
    gaps[count++] = *gap;
    return gaps_put(txn, id, state, gaps, count);
}

/* A drop that reaches back before the newest gap: what overlaps becomes one. */
static enum oxbow_err gap_insert(struct oxbow_txn *txn, uint32_t id, const uint8_t *state,
                                 struct oxbow_drop_gap gap)
{
    struct oxbow_drop_gap gaps[OXBOW_DROP_GAPS_MAX + 1];
    size_t count = gaps_decode(state, gaps);
    size_t at = 0;
    size_t end;

    while (at < count && id_compare(gaps[at].to, gap.from) < 0) {
        at++;
    }
    for (end = at; end < count && id_compare(gaps[end].from, gap.to) <= 0; end++) {
        gap_merge(&gap, &gaps[end]);
    }
    memmove(&gaps[at + 1], &gaps[end], (count - end) * sizeof gap);
    gaps[at] = gap;
    count = count - (end - at) + 1;
    if (count > OXBOW_DROP_GAPS_MAX) {
        gaps_shrink(gaps, &count);
    }
    return gaps_put(txn, id, state, gaps, count);
}

static enum oxbow_err gap_note(struct oxbow_txn *txn, uint32_t id, const uint8_t *state,
                               const struct policy_drop *drop)
{
    struct oxbow_drop_gap gap = {
        .from = drop->from, .to = drop->to, .entries = drop->entries, .bytes = drop->bytes};
    uint8_t out[POLICY_GAP_LEN];
    uint32_t count = get_le32(state + 4);
    size_t at = POLICY_AT_GAPS + (count - 1) * (size_t)POLICY_GAP_LEN;
    struct oxbow_drop_gap last;

    gap.by_cause[drop->cause - 1] = drop->entries;
    if (count == 0) {
        return gap_begin(txn, id, state, &gap);
    }
    gap_decode(state + at, &last);
    if (id_compare(gap.from, last.to) <= 0) {
        return gap_insert(txn, id, state, gap);
    }
    if (last.entries >= GAP_FULL) {
        return gap_begin(txn, id, state, &gap);
    }
    gap_merge(&last, &gap);
    gap_encode(out, &last);
    return policy_state_patch(txn, id, at, (struct oxbow_bytes){out, sizeof out});
}

enum oxbow_err policy_dropped(struct oxbow_txn *txn, uint32_t id, const struct policy_drop *drop)
{
    struct policy_drop d = *drop;
    struct oxbow_bytes state;
    enum oxbow_err err;

    if (d.entries == 0) {
        return OXBOW_OK;
    }
    err = policy_state_make(txn, id);
    if (err == OXBOW_OK) {
        err = policy_state_get(txn, id, &state);
    }
    if (err == OXBOW_OK && d.list) {
        count_positions(state.data, &d);
    }
    if (err == OXBOW_OK) {
        err = cause_note(txn, id, state.data, &d);
    }
    if (err == OXBOW_OK) {
        err = policy_state_get(txn, id, &state); /* borrowed values end with a write */
    }
    return err == OXBOW_OK ? gap_note(txn, id, state.data, &d) : err;
}

enum oxbow_err policy_dropped_from(struct oxbow_txn *txn, struct oxbow_bytes key,
                                   const struct policy_drop *drop)
{
    static const struct oxbow_policy none;
    struct policy_row *row;
    enum oxbow_err err = policy_row(txn, key, &row);

    if (err == OXBOW_OK && row == NULL) {
        err = oxbow_policy_set(txn, key, &none);
        if (err == OXBOW_OK) {
            err = policy_row(txn, key, &row);
        }
    }
    if (err != OXBOW_OK || row == NULL) {
        return err == OXBOW_OK ? OXBOW_ECORRUPT : err;
    }
    return policy_dropped(txn, row->id, drop);
}

/* ---- telling ---- */

/* The state of a name. OXBOW_ENOENT: no policy. value->len 0: nothing was dropped. */
static enum oxbow_err state_named(struct oxbow_txn *txn, struct oxbow_bytes key,
                                  struct oxbow_bytes *value)
{
    struct policy_row *row;
    enum oxbow_err err = policy_row(txn, key, &row);

    if (err != OXBOW_OK) {
        return err;
    }
    if (row == NULL) {
        return OXBOW_ENOENT;
    }
    err = policy_state_get(txn, row->id, value);
    if (err == OXBOW_ENOENT) {
        *value = (struct oxbow_bytes){NULL, 0};
        return OXBOW_OK;
    }
    return err;
}

enum oxbow_err oxbow_policy_drops(struct oxbow_txn *txn, struct oxbow_bytes key,
                                  enum oxbow_drop_cause cause, struct oxbow_drops *drops)
{
    struct oxbow_bytes state;
    enum oxbow_err err;

    if (drops == NULL || cause < OXBOW_DROP_AGE || (unsigned)cause > OXBOW_DROP_CAUSES) {
        return OXBOW_EINVAL;
    }
    err = state_named(txn, key, &state);
    if (err == OXBOW_OK && state.len == 0) {
        *drops = (struct oxbow_drops){0};
    } else if (err == OXBOW_OK) {
        cause_decode((const uint8_t *)state.data + cause_at(cause), drops);
    }
    return err;
}

enum oxbow_err oxbow_policy_gaps(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 struct oxbow_id after, struct oxbow_drop_gap *gaps, size_t max,
                                 size_t *count)
{
    struct oxbow_bytes state;
    size_t n = 0;
    uint32_t have;
    enum oxbow_err err;

    if (count == NULL || (gaps == NULL && max > 0)) {
        return OXBOW_EINVAL;
    }
    err = state_named(txn, key, &state);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    have = err == OXBOW_OK && state.len > 0 ? get_le32((const uint8_t *)state.data + 4) : 0;
    for (uint32_t i = 0; i < have && n < max; i++) {
        gap_decode((const uint8_t *)state.data + POLICY_AT_GAPS + i * (size_t)POLICY_GAP_LEN,
                   &gaps[n]);
        n += id_compare(gaps[n].to, after) > 0;
    }
    *count = n;
    return OXBOW_OK;
}

enum oxbow_err policy_missed(struct oxbow_txn *txn, struct oxbow_bytes key, struct oxbow_id after,
                             struct oxbow_result *result)
{
    struct oxbow_id below = result->entry_count > 0 ? result->entries[0].id : OXBOW_ID_MAX;
    struct oxbow_bytes state;
    uint64_t sum = 0;
    enum oxbow_err err = state_named(txn, key, &state);

    if (err == OXBOW_OK && state.len > 0) {
        const uint8_t *p = state.data;
        uint32_t have = get_le32(p + 4);

        for (uint32_t i = have; i > 0; i--) {
            struct oxbow_drop_gap gap;

            gap_decode(p + POLICY_AT_GAPS + (i - 1) * (size_t)POLICY_GAP_LEN, &gap);
            if (id_compare(gap.to, after) <= 0) {
                break;
            }
            sum += id_compare(gap.from, below) < 0 ? gap.entries : 0;
        }
    }
    result->missed = err == OXBOW_ECORRUPT ? UINT64_MAX : sum;
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}
