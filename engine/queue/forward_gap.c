/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps gaps as small records keyed by where they end, so that "what comes after" is one seek. */
#include "engine/queue/forward_gap.h"

#include "engine/base/codec.h"
#include "engine/base/id.h"
#include "engine/base/num.h"
#include "engine/base/result.h"

#include <string.h>

#define GAP_KEY_LEN   22u
#define GAP_VALUE_LEN 36u
#define GAP_DROP_MAX  256u
#define GAP_RESULT    4096u

static const char *const cause_names[] = {"?",           "budget",         "forced",
                                          "target-lost", "target-deleted", "damaged"};

const char *oxbow_gap_cause_name(enum oxbow_gap_cause cause)
{
    size_t at = (size_t)cause;

    return at < sizeof cause_names / sizeof cause_names[0] ? cause_names[at] : "?";
}

static struct oxbow_bytes gap_key(uint8_t out[GAP_KEY_LEN], uint32_t id, struct oxbow_id to)
{
    out[0] = KV_SPACE_FORWARD;
    out[1] = 'g';
    put_be32(out + 2, id);
    id_to_key(out + 6, to);
    return (struct oxbow_bytes){out, GAP_KEY_LEN};
}

static enum oxbow_err gap_put(struct oxbow_txn *txn, uint32_t id, const struct oxbow_gap *gap)
{
    uint8_t value[GAP_VALUE_LEN];
    uint8_t key[GAP_KEY_LEN];

    put_le64(value, gap->from.ms);
    put_le64(value + 8, gap->from.seq);
    put_le64(value + 16, gap->entries);
    put_le64(value + 24, gap->bytes);
    put_le32(value + 32, (uint32_t)gap->cause);
    return kv_put(txn, gap_key(key, id, gap->to), (struct oxbow_bytes){value, sizeof value});
}

static enum oxbow_err gap_decode(struct oxbow_bytes key, struct oxbow_bytes value,
                                 struct oxbow_gap *gap)
{
    const uint8_t *p = value.data;

    if (value.len != GAP_VALUE_LEN) {
        return OXBOW_ECORRUPT;
    }
    gap->from = (struct oxbow_id){get_le64(p), get_le64(p + 8)};
    gap->to = id_from_key((const uint8_t *)key.data + 6);
    gap->entries = get_le64(p + 16);
    gap->bytes = get_le64(p + 24);
    gap->cause = (enum oxbow_gap_cause)get_le32(p + 32);
    return OXBOW_OK;
}

/* The gap at or after (or, going back, at or before) the key of `at`. */
static enum oxbow_err gap_seek(struct oxbow_txn *txn, uint32_t id, struct oxbow_id at, bool back,
                               struct oxbow_gap *gap)
{
    uint8_t name[GAP_KEY_LEN];
    struct oxbow_bytes want = gap_key(name, id, at);
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = back ? kv_cursor_seek_back_in(&c, want, 6, &key, &value)
               : kv_cursor_seek_in(&c, want, 6, &key, &value);
    if (err == OXBOW_OK) {
        err = key.len == GAP_KEY_LEN && memcmp(key.data, name, 6) == 0 ? gap_decode(key, value, gap)
                                                                       : OXBOW_ENOENT;
    }
    kv_cursor_fini(&c);
    return err;
}

enum oxbow_err forward_gap_next(struct oxbow_txn *txn, uint32_t id, struct oxbow_id after,
                                struct oxbow_gap *gap)
{
    return id_next(&after) ? gap_seek(txn, id, after, false, gap) : OXBOW_ENOENT;
}

enum oxbow_err forward_gap_covers(struct oxbow_txn *txn, uint32_t id, struct oxbow_id position,
                                  bool *covers)
{
    struct oxbow_gap gap;
    enum oxbow_err err = gap_seek(txn, id, position, false, &gap);

    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    *covers = err == OXBOW_OK && id_compare(gap.from, position) <= 0;
    return OXBOW_OK;
}

static uint64_t add_known(uint64_t a, uint64_t b)
{
    return a == UINT64_MAX || b == UINT64_MAX ? UINT64_MAX : a + b;
}

/* Takes up the gaps that overlap this one, so that none do: it becomes their union, or stands for
 * the one that holds all of it already. */
static enum oxbow_err unite(struct oxbow_txn *txn, uint32_t id, struct oxbow_gap *gap)
{
    for (;;) {
        struct oxbow_gap other;
        uint8_t key[GAP_KEY_LEN];
        bool inside;
        enum oxbow_err err = gap_seek(txn, id, gap->from, false, &other);

        if (err == OXBOW_ENOENT || (err == OXBOW_OK && id_compare(other.from, gap->to) > 0)) {
            return OXBOW_OK;
        }
        if (err == OXBOW_OK && id_compare(other.from, gap->from) <= 0 &&
            id_compare(other.to, gap->to) >= 0) {
            *gap = other;
            return OXBOW_OK;
        }
        if (err == OXBOW_OK) {
            err = kv_del(txn, gap_key(key, id, other.to));
        }
        if (err != OXBOW_OK) {
            return err;
        }
        inside = id_compare(other.from, gap->from) >= 0 && id_compare(other.to, gap->to) <= 0;
        gap->from = id_compare(other.from, gap->from) < 0 ? other.from : gap->from;
        gap->to = id_compare(other.to, gap->to) > 0 ? other.to : gap->to;
        gap->entries = inside ? add_known(gap->entries, other.entries) : UINT64_MAX;
        gap->bytes = inside ? add_known(gap->bytes, other.bytes) : UINT64_MAX;
    }
}

enum oxbow_err forward_gap_add(struct oxbow_txn *txn, struct forward_record *r,
                               const struct oxbow_gap *gap, bool adjacent)
{
    uint32_t id = r->config.id;
    struct oxbow_gap grown = *gap;
    struct oxbow_gap before;
    uint8_t key[GAP_KEY_LEN];
    struct oxbow_id fixed = id_compare(r->sent, r->confirmed) > 0 ? r->sent : r->confirmed;
    enum oxbow_err err = unite(txn, id, &grown);

    if (err == OXBOW_OK) {
        err = adjacent ? gap_seek(txn, id, gap->from, true, &before) : OXBOW_ENOENT;
    }
    /* Below what was sent or confirmed entries may lie between. */
    if (err == OXBOW_OK && before.cause == gap->cause && id_compare(before.to, fixed) > 0) {
        grown.from = before.from;
        grown.entries = add_known(before.entries, grown.entries);
        grown.bytes = add_known(before.bytes, grown.bytes);
        err = kv_del(txn, gap_key(key, id, before.to));
    } else if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        r->gaps++;
        err = OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    r->last = grown;
    return gap_put(txn, id, &grown);
}

void forward_gap_after(const struct forward_record *r, struct oxbow_gap *gap,
                       struct oxbow_id position)
{
    if (id_compare(gap->from, position) > 0 || id_compare(gap->to, position) <= 0) {
        return;
    }
    gap->from = position;
    (void)id_next(&gap->from); /* gap->to is greater */
    gap->entries =
        r->config.options.type == OXBOW_TYPE_LIST ? gap->to.seq - position.seq : UINT64_MAX;
    gap->bytes = UINT64_MAX;
}

enum oxbow_err forward_gap_cut(struct oxbow_txn *txn, struct forward_record *r,
                               struct oxbow_id position)
{
    struct oxbow_gap gap;
    struct oxbow_gap rest;
    enum oxbow_err err = forward_gap_next(txn, r->config.id, position, &gap);

    if (err == OXBOW_ENOENT) {
        return OXBOW_OK;
    }
    if (err != OXBOW_OK || id_compare(gap.from, position) > 0) {
        return err;
    }
    rest = gap;
    gap.to = position;
    forward_gap_after(r, &rest, position);
    gap.entries =
        r->config.options.type == OXBOW_TYPE_LIST ? position.seq - gap.from.seq + 1 : UINT64_MAX;
    gap.bytes = UINT64_MAX;
    err = gap_put(txn, r->config.id, &gap);
    return err == OXBOW_OK ? gap_put(txn, r->config.id, &rest) : err;
}

enum oxbow_err forward_gap_drop(struct oxbow_txn *txn, uint32_t id, struct oxbow_id position,
                                bool *more)
{
    uint8_t from[GAP_KEY_LEN];
    uint8_t to[GAP_KEY_LEN];
    struct oxbow_bytes first = gap_key(from, id, OXBOW_ID_MIN);

    if (!id_next(&position)) {
        position = OXBOW_ID_MAX;
    }
    return kv_del_range(txn, first, gap_key(to, id, position), GAP_DROP_MAX, more);
}

/* A number as text, "?" when nobody knows it. */
static struct oxbow_bytes number_text(char out[NUM_TEXT_MAX], uint64_t v)
{
    size_t len = 1;

    if (v == UINT64_MAX) {
        memcpy(out, "?", 2);
    } else {
        len = num_u64_text(out, v);
    }
    return (struct oxbow_bytes){out, len};
}

enum oxbow_err forward_gap_entry(struct oxbow_txn *txn, const struct oxbow_gap *gap,
                                 struct oxbow_result *result)
{
    char from[ID_TEXT_MAX], to[ID_TEXT_MAX], entries[NUM_TEXT_MAX], bytes[NUM_TEXT_MAX];
    const char *cause = oxbow_gap_cause_name(gap->cause);
    const struct oxbow_field fields[] = {
        {{"oxbow:gap", 9}, {cause, strlen(cause)}},
        {{"from", 4}, {from, id_to_text(from, gap->from)}},
        {{"to", 2}, {to, id_to_text(to, gap->to)}},
        {{"entries", 7}, number_text(entries, gap->entries)},
        {{"bytes", 5}, number_text(bytes, gap->bytes)},
    };
    enum oxbow_err err = result_begin(result, &txn_port(txn)->alloc, GAP_RESULT);

    if (err == OXBOW_OK) {
        err = result_entry(result, gap->to, 0);
    }
    for (size_t i = 0; err == OXBOW_OK && i < sizeof fields / sizeof fields[0]; i++) {
        err = result_field(result, fields[i].name, fields[i].value);
    }
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}

void forward_gap_text(const struct oxbow_gap *gap, char *out, size_t cap)
{
    char from[ID_TEXT_MAX], to[ID_TEXT_MAX], entries[NUM_TEXT_MAX], bytes[NUM_TEXT_MAX];
    const char *cause = oxbow_gap_cause_name(gap->cause);
    const struct oxbow_bytes parts[] = {
        {cause, strlen(cause)},         {from, id_to_text(from, gap->from)},
        {to, id_to_text(to, gap->to)},  number_text(entries, gap->entries),
        number_text(bytes, gap->bytes),
    };
    size_t len = 0;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (len + parts[i].len + 2 > cap) {
            break;
        }
        if (i > 0) {
            out[len++] = ' ';
        }
        memcpy(out + len, parts[i].data, parts[i].len);
        len += parts[i].len;
    }
    out[len] = '\0';
}
