/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of schedules: what was set, how it stands, and by when it is due.
 *
 *   KV_SPACE_CRON 'c' name           -> what was set
 *   KV_SPACE_CRON 's' name           -> how it stands
 *   KV_SPACE_CRON 'd' be64 next name -> empty: the next time, by the store's clock
 *   KV_SPACE_CRON 'w' be64 next name -> empty: by the wall clock; 0: to be planned when it is known
 *   KV_SPACE_CRON 'n'                -> le32 how many there are
 *
 * What was set:
 *   0      1      2     3        4          5   8            12       16        24         26        28  40
 *   | form | type | end | missed | database | 0 | missed max | offset | late ms | when len | key len | 0 |
 *   | when | key | payload |
 *
 * How it stands:
 *   0      1       2     4   8      16     24   32      40       48        56  72
 *   | form | flags | why | 0 | next | last | at | added | missed | refused | 0 |
 *
 * Flags: 1 paused, 2 by the wall clock. Invariant: a schedule that is not paused has the one place that
 * its state says; a place that no state says leads to nothing and goes when it is met.
 */
#include "engine/queue/schedule.h"

#include "engine/base/codec.h"
#include "engine/store/catalog.h"

#include <string.h>

#define SCHEDULE_FORMAT 1u
#define FLAG_PAUSED     1u
#define FLAG_WALL       2u
#define COUNT_KEY       "\x3cn"
#define PLACE_FIXED     10u

static struct oxbow_bytes named_key(uint8_t out[KV_KEY_MAX], char kind, struct oxbow_bytes name)
{
    out[0] = KV_SPACE_CRON;
    out[1] = (uint8_t)kind;
    if (name.len > 0) {
        memcpy(out + 2, name.data, name.len);
    }
    return (struct oxbow_bytes){out, 2 + name.len};
}

static struct oxbow_bytes place_key(uint8_t out[KV_KEY_MAX], bool wall, uint64_t next_ms,
                                    struct oxbow_bytes name)
{
    out[0] = KV_SPACE_CRON;
    out[1] = wall ? 'w' : 'd';
    put_be64(out + 2, next_ms);
    if (name.len > 0) {
        memcpy(out + PLACE_FIXED, name.data, name.len);
    }
    return (struct oxbow_bytes){out, PLACE_FIXED + name.len};
}

/* ---- what was set ---- */

static enum oxbow_err decode(struct oxbow_bytes value, struct schedule *s)
{
    const uint8_t *p = value.data;
    size_t when_len;
    size_t key_len;

    if (value.len < SCHEDULE_FIXED || value.len > SCHEDULE_RECORD_MAX || p[0] != SCHEDULE_FORMAT ||
        (p[1] != OXBOW_TYPE_LIST && p[1] != OXBOW_TYPE_STREAM) || p[2] > OXBOW_RIGHT ||
        p[3] > OXBOW_MISSED_ALL || p[4] >= CATALOG_DATABASES) {
        return OXBOW_ECORRUPT;
    }
    when_len = get_le16(p + 24);
    key_len = get_le16(p + 26);
    if (when_len + key_len > value.len - SCHEDULE_FIXED) {
        return OXBOW_ECORRUPT;
    }
    s->type = (enum oxbow_type)p[1];
    s->end = (enum oxbow_end)p[2];
    s->missed = (enum oxbow_schedule_missed)p[3];
    s->database = p[4];
    s->missed_max = get_le32(p + 8);
    s->offset_min = (int32_t)((int64_t)get_le32(p + 12) - OXBOW_SCHEDULE_OFFSET_MAX);
    s->late_ms = get_le64(p + 16);
    s->when = (struct oxbow_bytes){p + SCHEDULE_FIXED, when_len};
    s->key = (struct oxbow_bytes){p + SCHEDULE_FIXED + when_len, key_len};
    s->payload = (struct oxbow_bytes){p + SCHEDULE_FIXED + when_len + key_len,
                                      value.len - SCHEDULE_FIXED - when_len - key_len};
    return OXBOW_OK;
}

enum oxbow_err schedule_get(struct oxbow_txn *txn, struct oxbow_bytes name, struct schedule *s)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, named_key(key, 'c', name), &value);

    s->name = name;
    return err == OXBOW_OK ? decode(value, s) : err;
}

enum oxbow_err schedule_dup(struct oxbow_txn *txn, struct oxbow_bytes name, struct schedule *s,
                            struct buf *copy)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, named_key(key, 'c', name), &value);

    if (err != OXBOW_OK) {
        return err;
    }
    buf_init(copy, &txn_port(txn)->alloc, SCHEDULE_RECORD_MAX);
    err = buf_append(copy, value.data, value.len);
    if (err == OXBOW_OK) {
        s->name = name;
        err = decode((struct oxbow_bytes){copy->data, copy->len}, s);
    }
    if (err != OXBOW_OK) {
        buf_fini(copy);
    }
    return err == OXBOW_ETOOBIG ? OXBOW_ECORRUPT : err;
}

static uint8_t *append(uint8_t *p, struct oxbow_bytes bytes)
{
    if (bytes.len > 0) {
        memcpy(p, bytes.data, bytes.len);
    }
    return p + bytes.len;
}

enum oxbow_err schedule_put(struct oxbow_txn *txn, const struct schedule *s)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    size_t len = SCHEDULE_FIXED + s->when.len + s->key.len + s->payload.len;
    uint8_t key[KV_KEY_MAX];
    uint8_t *p = mem_new(alloc, len);
    enum oxbow_err err;

    if (p == NULL) {
        return OXBOW_ENOMEM;
    }
    p[0] = SCHEDULE_FORMAT;
    p[1] = (uint8_t)s->type;
    p[2] = (uint8_t)s->end;
    p[3] = (uint8_t)s->missed;
    p[4] = (uint8_t)s->database;
    put_le32(p + 8, s->missed_max);
    put_le32(p + 12, (uint32_t)(s->offset_min + OXBOW_SCHEDULE_OFFSET_MAX));
    put_le64(p + 16, s->late_ms);
    put_le16(p + 24, (uint16_t)s->when.len);
    put_le16(p + 26, (uint16_t)s->key.len);
    (void)append(append(append(p + SCHEDULE_FIXED, s->when), s->key), s->payload);
    err = kv_put(txn, named_key(key, 'c', s->name), (struct oxbow_bytes){p, len});
    mem_free(alloc, p, len);
    return err;
}

enum oxbow_err schedule_del(struct oxbow_txn *txn, struct oxbow_bytes name)
{
    uint8_t key[KV_KEY_MAX];
    struct schedule_state st;
    enum oxbow_err err = schedule_state_get(txn, name, &st);

    if (err == OXBOW_OK) {
        err = schedule_place_del(txn, st.wall, name, st.next_ms);
    }
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        err = kv_del(txn, named_key(key, 's', name));
    }
    return err == OXBOW_OK ? kv_del(txn, named_key(key, 'c', name)) : err;
}

/* ---- how it stands ---- */

enum oxbow_err schedule_state_get(struct oxbow_txn *txn, struct oxbow_bytes name,
                                  struct schedule_state *st)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    const uint8_t *p;
    enum oxbow_err err = kv_get(txn, named_key(key, 's', name), &value);

    if (err == OXBOW_OK && value.len != SCHEDULE_STATE_BYTES) {
        err = OXBOW_ECORRUPT;
    }
    if (err != OXBOW_OK) {
        return err == OXBOW_ECORRUPT ? OXBOW_ENOENT : err;
    }
    p = value.data;
    *st = (struct schedule_state){.paused = (p[1] & FLAG_PAUSED) != 0,
                                  .wall = (p[1] & FLAG_WALL) != 0,
                                  .why = get_le16(p + 2),
                                  .next_ms = get_le64(p + 8),
                                  .last_ms = get_le64(p + 16),
                                  .at_ms = get_le64(p + 24),
                                  .added = get_le64(p + 32),
                                  .missed = get_le64(p + 40),
                                  .refused = get_le64(p + 48)};
    return OXBOW_OK;
}

enum oxbow_err schedule_state_put(struct oxbow_txn *txn, struct oxbow_bytes name,
                                  const struct schedule_state *st, const struct schedule_state *was)
{
    uint8_t value[SCHEDULE_STATE_BYTES] = {SCHEDULE_FORMAT};
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = OXBOW_OK;

    if (was != NULL && (st->paused || was->next_ms != st->next_ms || was->wall != st->wall)) {
        err = schedule_place_del(txn, was->wall, name, was->next_ms);
    }
    if (err == OXBOW_OK && !st->paused) {
        err =
            kv_put(txn, place_key(key, st->wall, st->next_ms, name), (struct oxbow_bytes){NULL, 0});
    }
    if (err != OXBOW_OK) {
        return err;
    }
    value[1] = (uint8_t)((st->paused ? FLAG_PAUSED : 0) | (st->wall ? FLAG_WALL : 0));
    put_le16(value + 2, st->why);
    put_le64(value + 8, st->next_ms);
    put_le64(value + 16, st->last_ms);
    put_le64(value + 24, st->at_ms);
    put_le64(value + 32, st->added);
    put_le64(value + 40, st->missed);
    put_le64(value + 48, st->refused);
    return kv_put(txn, named_key(key, 's', name), (struct oxbow_bytes){value, sizeof value});
}

enum oxbow_err schedule_count_get(struct oxbow_txn *txn, uint32_t *count)
{
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, (struct oxbow_bytes){COUNT_KEY, 2}, &value);

    *count = 0;
    if (err == OXBOW_OK && value.len != 4) {
        return OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        *count = get_le32(value.data);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err schedule_count_put(struct oxbow_txn *txn, uint32_t count)
{
    uint8_t value[4];

    put_le32(value, count);
    return kv_put(txn, (struct oxbow_bytes){COUNT_KEY, 2},
                  (struct oxbow_bytes){value, sizeof value});
}

/* ---- walks ---- */

/* The first key at or after one, if it begins with as many of that one's bytes. */
static enum oxbow_err seek(struct oxbow_txn *txn, struct oxbow_bytes want, size_t same,
                           uint8_t out[KV_KEY_MAX], size_t *len)
{
    struct kv_cursor c;
    struct oxbow_bytes key = {NULL, 0};
    struct oxbow_bytes value;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek(&c, want, &key, &value);
    if (err == OXBOW_ECORRUPT) { /* the key is all that counts */
        key = (struct oxbow_bytes){c.key, c.key_len};
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK && (key.len < same || memcmp(key.data, want.data, same) != 0)) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        memcpy(out, key.data, key.len);
        *len = key.len;
    }
    kv_cursor_fini(&c);
    return err;
}

static void name_copy(char name[OXBOW_SCHEDULE_NAME_MAX + 1], const uint8_t *from, size_t len)
{
    len = len < OXBOW_SCHEDULE_NAME_MAX ? len : OXBOW_SCHEDULE_NAME_MAX;
    if (len > 0) {
        memcpy(name, from, len);
    }
    name[len] = '\0';
}

enum oxbow_err schedule_next_name(struct oxbow_txn *txn, char name[OXBOW_SCHEDULE_NAME_MAX + 1])
{
    uint8_t want[KV_KEY_MAX];
    uint8_t got[KV_KEY_MAX];
    struct oxbow_bytes key;
    size_t len = 0;
    enum oxbow_err err;

    /* The least key after that name's is one zero longer. */
    key = named_key(want, 'c', (struct oxbow_bytes){name, strlen(name)});
    want[key.len++] = 0;
    err = seek(txn, key, 2, got, &len);
    if (err == OXBOW_OK) {
        name_copy(name, got + 2, len - 2);
    }
    return err;
}

enum oxbow_err schedule_first(struct oxbow_txn *txn, bool wall,
                              char name[OXBOW_SCHEDULE_NAME_MAX + 1], uint64_t *next_ms)
{
    uint8_t want[KV_KEY_MAX];
    uint8_t got[KV_KEY_MAX];
    size_t len = 0;
    enum oxbow_err err =
        seek(txn, place_key(want, wall, 0, (struct oxbow_bytes){NULL, 0}), 2, got, &len);

    if (err == OXBOW_OK && len < PLACE_FIXED) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        *next_ms = get_be64(got + 2);
        name_copy(name, got + PLACE_FIXED, len - PLACE_FIXED);
    }
    return err;
}

enum oxbow_err schedule_place_del(struct oxbow_txn *txn, bool wall, struct oxbow_bytes name,
                                  uint64_t next_ms)
{
    uint8_t key[KV_KEY_MAX];

    return kv_del(txn, place_key(key, wall, next_ms, name));
}
