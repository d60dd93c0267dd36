/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of what is lost. It neither finds nor mends anything.
 *
 *   state   | version 1 | flags 1 | 0 u16 | ranges le32 | keys lost le64 | values bad le64 |
 *           | wall ms le64 | 0 le64 |              flags: 1 complete, 2 the last commit is in doubt
 *   range   | low length 1 | high length 1 | low | high |          high of length 0: to the end
 *   loss    | version 1 | kind 1 | type 1 | 0 | database le32 | object le64 | first 16 | last 16 |
 *           | entries le64 | boot le64 | wall ms le64 | key length le16 | group length le16 |
 *           | key | group |
 */
#include "engine/store/loss.h"

#include "engine/base/codec.h"
#include "engine/store/store.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KEY_STATE      'm'
#define KEY_RANGE      'r'
#define KEY_LOSS       'l'
#define VERSION        1u
#define FLAG_COMPLETE  1u
#define FLAG_DOUBT     2u
#define LOSS_FIXED     76u
#define LOSS_AT_BOOT   56u /* from here to the lengths: when it was found */
#define LOSS_AT_LENGTH 72u
#define LOSS_BYTES_MAX (LOSS_FIXED + 2u * LOSS_NAME_MAX)
#define LOSSES_MAX     4096u /* those beyond are in the log alone, and in what the first one counts */
#define FORGET_KEYS    256u

struct oxbow_bytes loss_state_key(uint8_t out[LOSS_STATE_KEY_BYTES])
{
    out[0] = KV_SPACE_STORE;
    out[1] = KEY_STATE;
    return (struct oxbow_bytes){out, LOSS_STATE_KEY_BYTES};
}

static struct oxbow_bytes numbered_key(uint8_t out[LOSS_RANGE_KEY_BYTES], uint8_t kind, uint32_t n)
{
    out[0] = KV_SPACE_STORE;
    out[1] = kind;
    put_be32(out + 2, n);
    return (struct oxbow_bytes){out, LOSS_RANGE_KEY_BYTES};
}

struct oxbow_bytes loss_range_key(uint8_t out[LOSS_RANGE_KEY_BYTES], uint32_t n)
{
    return numbered_key(out, KEY_RANGE, n);
}

/* ---- state and ranges ---- */

void loss_state_encode(uint8_t out[LOSS_STATE_BYTES], const struct loss_state *s)
{
    memset(out, 0, LOSS_STATE_BYTES);
    out[0] = VERSION;
    out[1] = (uint8_t)((s->complete ? FLAG_COMPLETE : 0) | (s->commit_doubt ? FLAG_DOUBT : 0));
    put_le32(out + 4, (uint32_t)s->ranges);
    put_le64(out + 8, s->keys_lost);
    put_le64(out + 16, s->values_bad);
    put_le64(out + 24, s->wall_ms);
}

enum oxbow_err loss_state_get(struct oxbow_txn *txn, struct loss_state *out)
{
    uint8_t key[LOSS_STATE_KEY_BYTES];
    struct oxbow_bytes value;
    const uint8_t *p;
    enum oxbow_err err = kv_get(txn, loss_state_key(key), &value);

    if (err == OXBOW_ENOENT && txn_store(txn)->commit_doubt) {
        *out = (struct loss_state){.complete = true, .commit_doubt = true};
        return OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    p = value.data;
    if (value.len != LOSS_STATE_BYTES || p[0] != VERSION) {
        return OXBOW_ECORRUPT;
    }
    *out = (struct loss_state){.complete = (p[1] & FLAG_COMPLETE) != 0,
                               .commit_doubt = (p[1] & FLAG_DOUBT) != 0,
                               .ranges = get_le32(p + 4),
                               .keys_lost = get_le64(p + 8),
                               .values_bad = get_le64(p + 16),
                               .wall_ms = get_le64(p + 24)};
    return OXBOW_OK;
}

size_t loss_range_encode(uint8_t out[LOSS_RANGE_BYTES], const struct salvage_range *r)
{
    out[0] = r->low_len;
    out[1] = r->high_len;
    memcpy(out + 2, r->low, r->low_len);
    memcpy(out + 2 + r->low_len, r->high, r->high_len);
    return 2u + r->low_len + r->high_len;
}

enum oxbow_err loss_range_get(struct oxbow_txn *txn, uint32_t n, struct salvage_range *out)
{
    uint8_t key[LOSS_RANGE_KEY_BYTES];
    struct oxbow_bytes value;
    const uint8_t *p;
    enum oxbow_err err = kv_get(txn, loss_range_key(key, n), &value);

    if (err != OXBOW_OK) {
        return err;
    }
    p = value.data;
    if (value.len < 2 || p[0] > sizeof out->low || p[1] > sizeof out->high ||
        value.len != 2u + p[0] + p[1]) {
        return OXBOW_ECORRUPT;
    }
    out->low_len = p[0];
    out->high_len = p[1];
    memcpy(out->low, p + 2, p[0]);
    memcpy(out->high, p + 2 + p[0], p[1]);
    return OXBOW_OK;
}

enum oxbow_err loss_settle(struct oxbow_txn *txn, bool *more)
{
    uint8_t from[LOSS_RANGE_KEY_BYTES];
    uint8_t to[LOSS_RANGE_KEY_BYTES];
    uint8_t state[LOSS_STATE_KEY_BYTES];
    enum oxbow_err err = kv_del_range(txn, numbered_key(from, KEY_RANGE, 0),
                                      numbered_key(to, KEY_RANGE + 1, 0), FORGET_KEYS, more);

    if (err == OXBOW_OK && !*more) {
        txn_store(txn)->commit_doubt = false;
        err = kv_del(txn, loss_state_key(state));
    }
    return err;
}

/* ---- losses ---- */

static void put_id(uint8_t *p, struct oxbow_id id)
{
    put_le64(p, id.ms);
    put_le64(p + 8, id.seq);
}

static struct oxbow_id get_id(const uint8_t *p)
{
    return (struct oxbow_id){get_le64(p), get_le64(p + 8)};
}

static size_t name_len(struct oxbow_bytes name)
{
    return name.len < LOSS_NAME_MAX ? name.len : LOSS_NAME_MAX;
}

static size_t loss_encode(uint8_t out[LOSS_BYTES_MAX], const struct oxbow_loss *l)
{
    size_t key_len = name_len(l->key);
    size_t group_len = name_len(l->group);

    memset(out, 0, LOSS_FIXED);
    out[0] = VERSION;
    out[1] = (uint8_t)l->kind;
    out[2] = (uint8_t)l->type;
    put_le32(out + 4, l->database);
    put_le64(out + 8, l->object);
    put_id(out + 16, l->first);
    put_id(out + 32, l->last);
    put_le64(out + 48, l->entries);
    put_le64(out + LOSS_AT_BOOT, l->boot);
    put_le64(out + 64, l->wall_ms);
    put_le16(out + LOSS_AT_LENGTH, (uint16_t)key_len);
    put_le16(out + 74, (uint16_t)group_len);
    if (key_len > 0) {
        memcpy(out + LOSS_FIXED, l->key.data, key_len);
    }
    if (group_len > 0) {
        memcpy(out + LOSS_FIXED + key_len, l->group.data, group_len);
    }
    return LOSS_FIXED + key_len + group_len;
}

static enum oxbow_err loss_decode(struct oxbow_bytes value, struct oxbow_loss *l)
{
    const uint8_t *p = value.data;
    size_t key_len;
    size_t group_len;

    if (value.len < LOSS_FIXED || p[0] != VERSION) {
        return OXBOW_ECORRUPT;
    }
    key_len = get_le16(p + LOSS_AT_LENGTH);
    group_len = get_le16(p + 74);
    if (value.len != LOSS_FIXED + key_len + group_len) {
        return OXBOW_ECORRUPT;
    }
    *l = (struct oxbow_loss){.kind = (enum oxbow_loss_kind)p[1],
                             .type = (enum oxbow_type)p[2],
                             .database = get_le32(p + 4),
                             .object = get_le64(p + 8),
                             .first = get_id(p + 16),
                             .last = get_id(p + 32),
                             .entries = get_le64(p + 48),
                             .boot = get_le64(p + LOSS_AT_BOOT),
                             .wall_ms = get_le64(p + 64),
                             .key = {p + LOSS_FIXED, key_len},
                             .group = {p + LOSS_FIXED + key_len, group_len}};
    return OXBOW_OK;
}

static bool same_loss(const uint8_t *a, struct oxbow_bytes b, size_t len)
{
    const uint8_t *p = b.data;

    return b.len == len && memcmp(a, p, LOSS_AT_BOOT) == 0 &&
           memcmp(a + LOSS_AT_LENGTH, p + LOSS_AT_LENGTH, len - LOSS_AT_LENGTH) == 0;
}

/* The first free number; or, with *known, one that says the same already. */
static enum oxbow_err loss_place(struct oxbow_txn *txn, const uint8_t *bytes, size_t len,
                                 uint32_t *n, bool *known)
{
    uint8_t from[LOSS_RANGE_KEY_BYTES];
    struct oxbow_bytes key, value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    *n = 0;
    *known = false;
    err = kv_cursor_seek(&c, numbered_key(from, KEY_LOSS, 0), &key, &value);
    while ((err == OXBOW_OK || err == OXBOW_ECORRUPT) && c.key_len == LOSS_RANGE_KEY_BYTES &&
           c.key[0] == KV_SPACE_STORE && c.key[1] == KEY_LOSS) {
        *known = *known || (err == OXBOW_OK && same_loss(bytes, value, len));
        *n = get_be32(c.key + 2) + 1;
        err = kv_cursor_next(&c, &key, &value);
    }
    kv_cursor_fini(&c);
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}

enum oxbow_err loss_add(struct oxbow_txn *txn, const struct oxbow_loss *loss)
{
    struct oxbow_loss l = *loss;
    uint8_t key[LOSS_RANGE_KEY_BYTES];
    uint8_t value[LOSS_BYTES_MAX];
    size_t len;
    uint32_t n;
    bool known;
    enum oxbow_err err;

    l.boot = txn_boot(txn);
    l.wall_ms = txn_wall_ms(txn);
    len = loss_encode(value, &l);
    err = loss_place(txn, value, len, &n, &known);
    if (err != OXBOW_OK || known || n >= LOSSES_MAX) {
        return err;
    }
    return kv_put(txn, numbered_key(key, KEY_LOSS, n), (struct oxbow_bytes){value, len});
}

static enum oxbow_err losses_walk(struct oxbow_txn *txn,
                                  enum oxbow_err (*each)(void *ctx, const struct oxbow_loss *loss),
                                  void *ctx)
{
    uint8_t from[LOSS_RANGE_KEY_BYTES];
    struct oxbow_bytes key, value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek_in(&c, numbered_key(from, KEY_LOSS, 0), 2, &key, &value);
    while (err == OXBOW_OK && key.len == LOSS_RANGE_KEY_BYTES && c.key[0] == KV_SPACE_STORE &&
           c.key[1] == KEY_LOSS) {
        struct oxbow_loss loss;

        err = loss_decode(value, &loss);
        if (err == OXBOW_OK) {
            err = each(ctx, &loss);
        }
        if (err == OXBOW_OK) {
            err = kv_cursor_next(&c, &key, &value);
        }
    }
    kv_cursor_fini(&c);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err oxbow_txn_losses(struct oxbow_txn *txn,
                                enum oxbow_err (*each)(void *ctx, const struct oxbow_loss *loss),
                                void *ctx)
{
    return losses_walk(txn, each, ctx);
}

enum oxbow_err oxbow_losses(struct oxbow *db,
                            enum oxbow_err (*each)(void *ctx, const struct oxbow_loss *loss),
                            void *ctx)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);

    if (err == OXBOW_OK) {
        err = losses_walk(txn, each, ctx);
        oxbow_txn_abort(txn);
    }
    return err;
}

static enum oxbow_err losses_forget(struct oxbow_txn *txn, size_t max, bool *more)
{
    uint8_t from[LOSS_RANGE_KEY_BYTES];
    uint8_t to[LOSS_RANGE_KEY_BYTES];

    return kv_del_range(txn, numbered_key(from, KEY_LOSS, 0), numbered_key(to, KEY_LOSS + 1, 0),
                        max, more);
}

enum oxbow_err oxbow_txn_losses_forget(struct oxbow_txn *txn)
{
    bool more;
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : losses_forget(txn, SIZE_MAX, &more);

    return err == OXBOW_OK || err == OXBOW_EREADONLY ? err : txn_fail(txn, err);
}

enum oxbow_err oxbow_losses_forget(struct oxbow *db)
{
    bool more = true;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && more) {
        struct oxbow_txn *txn;

        err = oxbow_txn_begin(db, NULL, &txn);
        if (err != OXBOW_OK) {
            return err;
        }
        err = losses_forget(txn, FORGET_KEYS, &more);
        if (err != OXBOW_OK) {
            oxbow_txn_abort(txn);
        } else {
            err = oxbow_txn_commit(txn, NULL);
        }
    }
    return err;
}
