/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of names. What the open transaction adds is at its end and not seen before the commit.
 *
 * Invariants: (1) head < cap, pending <= len <= cap. (2) Only whole names are in it.
 */
#include "engine/store/expired.h"

#include "engine/base/buf.h"
#include "engine/base/codec.h"
#include "engine/base/result.h"
#include "engine/store/store.h"

#include <string.h>

#define NAME_HEAD     5u
#define WHAT_SHIFT    4u
#define DATABASE_MASK 0x0fu

_Static_assert(STORE_DATABASES <= DATABASE_MASK + 1u, "what it was stands above the database");

static void bytes_in(struct expired_ring *r, const void *data, size_t len)
{
    size_t at = (r->head + r->len) % r->cap;
    size_t n = len < r->cap - at ? len : r->cap - at;
    const uint8_t *p = data;

    if (len == 0) {
        return;
    }
    memcpy(r->bytes + at, p, n);
    if (len > n) {
        memcpy(r->bytes, p + n, len - n);
    }
    r->len += len;
}

static void bytes_out(const struct expired_ring *r, size_t from, void *data, size_t len)
{
    size_t at = (r->head + from) % r->cap;
    size_t n = len < r->cap - at ? len : r->cap - at;
    uint8_t *p = data;

    if (len == 0) {
        return;
    }
    memcpy(p, r->bytes + at, n);
    if (len > n) {
        memcpy(p + n, r->bytes, len - n);
    }
}

static void note(struct oxbow_txn *txn, struct oxbow_bytes name, enum oxbow_expired_what what)
{
    struct expired_ring *r = &txn->db->expired;
    uint8_t head[NAME_HEAD];

    if (r->bytes == NULL) {
        return;
    }
    if (name.len + NAME_HEAD > r->cap - r->len) {
        r->losing++;
        return;
    }
    head[0] = (uint8_t)(txn->database | (unsigned)what << WHAT_SHIFT);
    put_le32(head + 1, (uint32_t)name.len);
    bytes_in(r, head, sizeof head);
    bytes_in(r, name.data, name.len);
    r->pending += sizeof head + name.len;
}

void expired_note(struct oxbow_txn *txn, struct oxbow_bytes name)
{
    txn->db->expired.expiring++;
    note(txn, name, OXBOW_EXPIRED_KEY);
}

void expired_note_fields(struct oxbow_txn *txn, struct oxbow_bytes name, uint64_t count, bool last)
{
    txn->db->expired.fields_going += count;
    note(txn, name, last ? OXBOW_EXPIRED_HASH : OXBOW_EXPIRED_FIELDS);
}

void expired_settle(struct oxbow *db, bool committed)
{
    struct expired_ring *r = &db->expired;

    if (r->expiring == 0 && r->fields_going == 0) {
        return;
    }
    if (committed) {
        r->expired += r->expiring;
        r->fields += r->fields_going;
        r->lost += r->losing;
    } else {
        r->len -= r->pending;
    }
    if (committed && r->pending + r->losing > 0 && db->event != NULL) {
        db->port->threads.event_set(db->event);
    }
    r->pending = 0;
    r->losing = 0;
    r->expiring = 0;
    r->fields_going = 0;
}

void expired_fini(struct oxbow *db)
{
    struct expired_ring *r = &db->expired;

    if (r->bytes != NULL) {
        mem_free(&db->port->alloc, r->bytes, r->cap);
    }
    r->bytes = NULL;
}

enum oxbow_err oxbow_expired_watch(struct oxbow_txn *txn, size_t bytes)
{
    struct expired_ring *r = &txn->db->expired;
    uint8_t *room = NULL;

    if (bytes != 0 && (bytes < OXBOW_EXPIRED_BYTES_MIN || bytes > OXBOW_EXPIRED_BYTES_MAX)) {
        return OXBOW_EINVAL;
    }
    if (bytes != 0) {
        room = mem_new(&txn_port(txn)->alloc, bytes);
        if (room == NULL) {
            return OXBOW_ENOMEM;
        }
    }
    expired_fini(txn->db);
    r->bytes = room;
    r->cap = bytes;
    r->head = 0;
    r->len = 0;
    r->pending = 0;
    r->lost = 0;
    r->losing = 0;
    return OXBOW_OK;
}

enum oxbow_err oxbow_expired_next(struct oxbow_txn *txn, struct oxbow_expired *out,
                                  struct oxbow_result *name)
{
    struct expired_ring *r = &txn->db->expired;
    uint8_t head[NAME_HEAD];
    uint8_t *space;
    size_t len;
    enum oxbow_err err;

    if (out == NULL || name == NULL) {
        return OXBOW_EINVAL;
    }
    if (r->len == r->pending) {
        out->lost = r->lost;
        r->lost = 0;
        return OXBOW_ENOENT;
    }
    bytes_out(r, 0, head, sizeof head);
    len = get_le32(head + 1);
    err = result_begin(name, &txn_port(txn)->alloc, len);
    if (err == OXBOW_OK) {
        err = result_item_space(name, len, &space);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    bytes_out(r, sizeof head, space, len);
    result_finish(name);
    *out = (struct oxbow_expired){.database = head[0] & DATABASE_MASK,
                                  .what = (enum oxbow_expired_what)(head[0] >> WHAT_SHIFT),
                                  .lost = r->lost};
    r->lost = 0;
    r->head = (r->head + sizeof head + len) % r->cap;
    r->len -= sizeof head + len;
    return OXBOW_OK;
}

enum oxbow_err oxbow_expired_count(struct oxbow_txn *txn, uint64_t *count)
{
    if (count == NULL) {
        return OXBOW_EINVAL;
    }
    *count = txn->db->expired.expired;
    return OXBOW_OK;
}

enum oxbow_err oxbow_expired_fields(struct oxbow_txn *txn, uint64_t *count)
{
    if (count == NULL) {
        return OXBOW_EINVAL;
    }
    *count = txn->db->expired.fields;
    return OXBOW_OK;
}
