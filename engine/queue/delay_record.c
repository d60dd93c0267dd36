/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of delayed entries: one key each, in the order in which they become due, so that the next
 * one is found by one look-up however many wait.
 *
 *   KV_SPACE_EXPIRE 'd' be64 due be64 number -> an entry due by the store's clock
 *   KV_SPACE_EXPIRE 'w' be64 due be64 number -> one due by the wall clock
 *   KV_SPACE_EXPIRE 'p' be64 number            -> le64 due: of one that was put off, and waits there
 *   KV_SPACE_EXPIRE 'n'                      -> the counters: le64 newest number, waiting, bytes,
 *                                               added, damaged
 *
 *   0      1      2     3       4         6          7       8         16         18  24
 *   +------+------+-----+-------+---------+----------+-------+---------+----------+---+------+--------
 *   | form | type | end | tries | refused | database | flags | made ms | name len | p | name | payload
 *   +------+------+-----+-------+---------+----------+-------+---------+----------+---+------+--------
 *
 * Flags: DELAY_LED, also meant by tries, and DELAY_EXACT. p: one byte, the priority of a stream's
 * entry, and zeros.
 * The payload is a list's value, or a stream's fields coded as a plain body (stream_entry.h).
 */
#include "engine/queue/delay.h"

#include "engine/base/codec.h"
#include "engine/store/catalog.h"
#include "oxbow/stream.h"

#include <string.h>

#define DELAY_FORMAT 1u
#define COUNT_BYTES  40u
#define COUNT_KEY    "\x30n"
#define LOOK_WALL_MS 60000u /* a wall clock may be set any time */

struct oxbow_bytes delay_key(uint8_t out[DELAY_KEY_BYTES], bool wall, struct oxbow_delay_id id)
{
    out[0] = KV_SPACE_EXPIRE;
    out[1] = wall ? 'w' : 'd';
    put_be64(out + 2, id.due_ms);
    put_be64(out + 10, id.number);
    return (struct oxbow_bytes){out, DELAY_KEY_BYTES};
}

struct oxbow_bytes delay_led_key(uint8_t out[DELAY_KEY_BYTES], uint64_t number)
{
    out[0] = KV_SPACE_EXPIRE;
    out[1] = 'p';
    put_be64(out + 2, number);
    return (struct oxbow_bytes){out, 10};
}

bool delay_key_is(struct oxbow_bytes key, bool wall, struct oxbow_delay_id *id)
{
    const uint8_t *p = key.data;

    if (key.len != DELAY_KEY_BYTES || p[0] != KV_SPACE_EXPIRE || p[1] != (wall ? 'w' : 'd')) {
        return false;
    }
    *id = (struct oxbow_delay_id){get_be64(p + 2), get_be64(p + 10)};
    return true;
}

enum oxbow_err delay_decode(struct oxbow_bytes value, struct delay *d)
{
    const uint8_t *p = value.data;
    size_t name_len;

    if (value.len < DELAY_FIXED || p[0] != DELAY_FORMAT ||
        (p[1] != OXBOW_TYPE_LIST && p[1] != OXBOW_TYPE_STREAM) || p[2] > OXBOW_RIGHT ||
        p[6] >= CATALOG_DATABASES || p[18] >= OXBOW_PRIORITIES_MAX) {
        return OXBOW_ECORRUPT;
    }
    name_len = get_le16(p + 16);
    if (name_len > value.len - DELAY_FIXED) {
        return OXBOW_ECORRUPT;
    }
    d->type = (enum oxbow_type)p[1];
    d->end = (enum oxbow_end)p[2];
    d->tries = p[3];
    d->refused = get_le16(p + 4);
    d->database = p[6];
    d->flags = (uint8_t)(p[7] | (p[3] > 0 ? DELAY_LED : 0));
    d->priority = p[18];
    d->made_ms = get_le64(p + 8);
    d->name = (struct oxbow_bytes){p + DELAY_FIXED, name_len};
    d->payload =
        (struct oxbow_bytes){p + DELAY_FIXED + name_len, value.len - DELAY_FIXED - name_len};
    return OXBOW_OK;
}

enum oxbow_err delay_put(struct oxbow_txn *txn, const struct delay *d)
{
    const struct oxbow_alloc *alloc = &txn_port(txn)->alloc;
    size_t len = DELAY_FIXED + d->name.len + d->payload.len;
    uint8_t keybuf[DELAY_KEY_BYTES];
    uint8_t *p = mem_new(alloc, len);
    enum oxbow_err err;

    if (p == NULL) {
        return OXBOW_ENOMEM;
    }
    p[0] = DELAY_FORMAT;
    p[1] = (uint8_t)d->type;
    p[2] = (uint8_t)d->end;
    p[3] = d->tries;
    put_le16(p + 4, d->refused);
    p[6] = (uint8_t)d->database;
    p[7] = d->flags;
    p[18] = d->priority;
    put_le64(p + 8, d->made_ms);
    put_le16(p + 16, (uint16_t)d->name.len);
    if (d->name.len > 0) {
        memcpy(p + DELAY_FIXED, d->name.data, d->name.len);
    }
    if (d->payload.len > 0) {
        memcpy(p + DELAY_FIXED + d->name.len, d->payload.data, d->payload.len);
    }
    err = kv_put(txn, delay_key(keybuf, d->wall, d->id), (struct oxbow_bytes){p, len});
    mem_free(alloc, p, len);
    delay_wrote(txn, d->wall, d->id);
    return err;
}

enum oxbow_err delay_count_get(struct oxbow_txn *txn, struct delay_count *c)
{
    struct oxbow_bytes value;
    const uint8_t *p;
    enum oxbow_err err = kv_get(txn, (struct oxbow_bytes){COUNT_KEY, 2}, &value);

    *c = (struct delay_count){0};
    if (err == OXBOW_OK && value.len < COUNT_BYTES) {
        return OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        p = value.data;
        *c = (struct delay_count){get_le64(p), get_le64(p + 8), get_le64(p + 16), get_le64(p + 24),
                                  get_le64(p + 32)};
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err delay_count_put(struct oxbow_txn *txn, const struct delay_count *c)
{
    uint8_t value[COUNT_BYTES];

    put_le64(value, c->newest);
    put_le64(value + 8, c->waiting);
    put_le64(value + 16, c->bytes);
    put_le64(value + 24, c->added);
    put_le64(value + 32, c->damaged);
    return kv_put(txn, (struct oxbow_bytes){COUNT_KEY, 2},
                  (struct oxbow_bytes){value, sizeof value});
}

/* The record, borrowed; d->id and d->wall say where it is. */
static enum oxbow_err find(struct oxbow_txn *txn, struct oxbow_delay_id id, struct delay *d,
                           struct oxbow_bytes *value)
{
    uint8_t key[DELAY_KEY_BYTES];
    enum oxbow_err err = kv_get(txn, delay_key(key, false, id), value);

    d->id = id;
    d->wall = false;
    if (err == OXBOW_ENOENT) {
        d->wall = true;
        err = kv_get(txn, delay_key(key, true, id), value);
    }
    if (err == OXBOW_ENOENT) {
        d->wall = false;
        err = kv_get(txn, delay_led_key(key, id.number), value);
        if (err == OXBOW_OK && value->len != 8) {
            err = OXBOW_ECORRUPT;
        }
        if (err == OXBOW_OK) {
            d->id.due_ms = get_le64(value->data);
            err = kv_get(txn, delay_key(key, false, d->id), value);
        }
    }
    return err;
}

enum oxbow_err delay_find(struct oxbow_txn *txn, struct oxbow_delay_id id, struct delay *d,
                          struct buf *copy)
{
    struct oxbow_bytes value;
    enum oxbow_err err = find(txn, id, d, &value);

    if (err != OXBOW_OK) {
        return err;
    }
    buf_init(copy, &txn_port(txn)->alloc, OXBOW_DELAY_BYTES_MAX + DELAY_FIXED);
    err = buf_append(copy, value.data, value.len);
    if (err == OXBOW_OK) {
        err = delay_decode((struct oxbow_bytes){copy->data, copy->len}, d);
    }
    if (err != OXBOW_OK) {
        buf_fini(copy);
    }
    return err == OXBOW_ETOOBIG ? OXBOW_ECORRUPT : err;
}

enum oxbow_err delay_del(struct oxbow_txn *txn, const struct delay *d)
{
    uint8_t key[DELAY_KEY_BYTES];
    enum oxbow_err err = kv_del(txn, delay_key(key, d->wall, d->id));

    return err == OXBOW_OK && (d->flags & DELAY_LED) != 0
               ? kv_del(txn, delay_led_key(key, d->id.number))
               : err;
}

enum oxbow_err delay_put_off(struct oxbow_txn *txn, struct delay *d, uint64_t due_ms)
{
    uint8_t key[DELAY_KEY_BYTES];
    uint8_t due[8];
    enum oxbow_err err = kv_del(txn, delay_key(key, d->wall, d->id));

    if (err != OXBOW_OK) {
        return err;
    }
    d->wall = false;
    d->flags = DELAY_LED | DELAY_EXACT;
    d->id.due_ms = due_ms;
    put_le64(due, due_ms);
    err = delay_put(txn, d);
    return err == OXBOW_OK ? kv_put(txn, delay_led_key(key, d->id.number),
                                    (struct oxbow_bytes){due, sizeof due})
                           : err;
}

enum oxbow_err delay_first(struct oxbow_txn *txn, bool wall, struct oxbow_delay_id after,
                           struct delay *d)
{
    uint8_t keybuf[DELAY_KEY_BYTES];
    struct kv_cursor c;
    struct oxbow_bytes key = {NULL, 0};
    struct oxbow_bytes value;
    enum oxbow_err err;

    if (after.number == UINT64_MAX) {
        return OXBOW_ENOENT;
    }
    after.number++;
    err = kv_cursor_init(&c, txn);
    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek(&c, delay_key(keybuf, wall, after), &key, &value);
    if (err == OXBOW_ECORRUPT) {
        key = (struct oxbow_bytes){c.key, c.key_len};
    }
    if ((err == OXBOW_OK || err == OXBOW_ECORRUPT) && !delay_key_is(key, wall, &d->id)) {
        err = OXBOW_ENOENT;
    }
    d->wall = wall;
    if (err == OXBOW_OK) {
        err = delay_decode(value, d);
    }
    kv_cursor_fini(&c);
    return err;
}

void delay_arm(struct oxbow_txn *txn, bool wall, uint64_t due_ms)
{
    uint64_t now = txn_clock_ms(txn);
    uint64_t shown;

    if (wall) {
        uint64_t left = LOOK_WALL_MS;

        if (txn_wall_believed(txn, &shown) && (due_ms <= shown || due_ms - shown < left)) {
            left = due_ms > shown ? due_ms - shown : 0;
        }
        due_ms = now + left;
    }
    txn_idle_at(txn, due_ms);
}
