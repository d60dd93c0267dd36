/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times to live of single entries of streams.
 *
 *   KV_SPACE_OBJECT be64 object 0x30 id               -> le64 deadline, by the store's clock, and if
 *                                                        that may be early, le64 what it showed when
 *                                                        the deadline was given
 *   KV_SPACE_EXPIRE 'e' be64 deadline be64 object id  -> u8 database, the name
 *
 * The first is found by the entry, the second by time (entry_due.h). Both go with their entry, however it
 * goes, and with its object.
 *
 * Invariants: (1) Each 'e' key whose entry's record has another deadline, or none, means nothing. (2)
 * `first` in memory is never above the earliest deadline in the store.
 */
#include "engine/queue/expire.h"

#include "engine/base/codec.h"
#include "engine/queue/forward.h"
#include "engine/queue/policy.h"
#include "engine/queue/stream.h"
#include "engine/store/credit.h"
#include "engine/store/entry_due.h"

#include <string.h>

#define VALUE_MAX    (1u + OXBOW_TTL_NAME_MAX)
#define STEP_ENTRIES 64u

/* Hangs on the store. */
struct expire_state {
    uint64_t first; /* deadline; UINT64_MAX: nothing has one */
    uint64_t
        low; /* nothing has an earlier one: looks begin there, behind what was deleted lately */
    uint64_t aborts; /* store_abort_count when that was read: an abort may have brought one back */
};

static void state_close(struct oxbow *db, void *p)
{
    mem_free(&oxbow_port_of(db)->alloc, p, sizeof(struct expire_state));
}

/* As it is stored, and when it truly is: later, if the clock was credited with time before it was
 * given. UINT64_MAX: it has none. */
struct deadline {
    uint64_t stored;
    uint64_t due;
};

static enum oxbow_err deadline_get(struct oxbow_txn *txn, uint64_t object, struct oxbow_id id,
                                   struct deadline *d)
{
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    uint64_t early = 0;
    enum oxbow_err err = kv_get(txn, entry_due_key(key, object, id), &value);

    *d = (struct deadline){UINT64_MAX, UINT64_MAX};
    if (err == OXBOW_OK && value.len != 8 && value.len != 16) {
        return OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        d->stored = get_le64(value.data);
        if (value.len == 16) {
            err = credit_since(txn, get_le64((const uint8_t *)value.data + 8), &early);
        }
        d->due = d->stored + early;
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* ---- the earliest ---- */

struct due {
    uint64_t deadline;
    uint64_t object;
    struct oxbow_id id;
    uint32_t database;
    uint8_t name[OXBOW_TTL_NAME_MAX];
    size_t name_len;
};

/* The earliest 'e' key. OXBOW_ENOENT. A value that makes no sense: name_len 0, database 0. */
static enum oxbow_err first_due(struct oxbow_txn *txn, uint64_t low, struct due *d)
{
    uint8_t want[10] = {KV_SPACE_EXPIRE, 'e'};
    struct kv_cursor c;
    struct oxbow_bytes key = {NULL, 0};
    struct oxbow_bytes value = {NULL, 0};
    const uint8_t *p;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    put_be64(want + 2, low);
    err = kv_cursor_seek(&c, (struct oxbow_bytes){want, sizeof want}, &key, &value);
    if (err == OXBOW_ECORRUPT) {
        key = (struct oxbow_bytes){c.key, c.key_len};
        value = (struct oxbow_bytes){NULL, 0};
        err = OXBOW_OK;
    }
    p = key.data;
    if (err == OXBOW_OK && (key.len != ENTRY_SPOT_KEY || p[0] != want[0] || p[1] != want[1])) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        d->deadline = get_be64(p + 2);
        d->object = get_be64(p + 10);
        d->id = id_from_key(p + 18);
        d->database = 0;
        d->name_len = 0;
        if (value.len > 0 && value.len <= VALUE_MAX) {
            d->database = ((const uint8_t *)value.data)[0] % CATALOG_DATABASES;
            d->name_len = value.len - 1;
            memcpy(d->name, (const uint8_t *)value.data + 1, d->name_len);
        }
    }
    kv_cursor_fini(&c);
    return err;
}

static enum oxbow_err state_get(struct oxbow_txn *txn, struct expire_state **out)
{
    struct oxbow *db = txn_store(txn);
    struct expire_state *s = store_slot_get(db, STORE_SLOT_EXPIRE);
    struct due d;
    enum oxbow_err err;

    if (s != NULL && s->aborts == store_abort_count(db)) {
        *out = s;
        return OXBOW_OK;
    }
    err = first_due(txn, 0, &d);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (s == NULL) {
        s = mem_new(&txn_port(txn)->alloc, sizeof *s);
        if (s == NULL) {
            return OXBOW_ENOMEM;
        }
        store_slot_set(db, STORE_SLOT_EXPIRE, s, state_close);
    }
    s->first = err == OXBOW_OK ? d.deadline : UINT64_MAX;
    s->low = err == OXBOW_OK ? d.deadline : 0;
    s->aborts = store_abort_count(db);
    *out = s;
    return OXBOW_OK;
}

enum oxbow_err expire_late(struct oxbow_txn *txn, bool *late)
{
    struct expire_state *s;
    struct due d;
    enum oxbow_err err = state_get(txn, &s);

    *late = false;
    if (err != OXBOW_OK || s->first == UINT64_MAX || s->first > txn_clock_ms(txn)) {
        return err;
    }
    err = first_due(txn, s->low, &d); /* it may have gone, or an abort have taken it back */
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        s->first = err == OXBOW_OK ? d.deadline : UINT64_MAX;
        *late = s->first <= txn_clock_ms(txn);
        return OXBOW_OK;
    }
    return err;
}

enum oxbow_err expire_hides(struct oxbow_txn *txn, uint64_t object, struct oxbow_id id,
                            bool *hidden)
{
    struct deadline d;
    enum oxbow_err err = deadline_get(txn, object, id, &d);

    *hidden = err == OXBOW_OK && d.due <= txn_clock_ms(txn);
    return err;
}

/* ---- giving and taking away ---- */

enum oxbow_err expire_check(struct oxbow_txn *txn, struct oxbow_bytes name, uint64_t ttl_ms)
{
    if (ttl_ms == 0) {
        return OXBOW_OK;
    }
    if (ttl_ms > OXBOW_TTL_MS_MAX) {
        return OXBOW_EINVAL;
    }
    if (name.len > OXBOW_TTL_NAME_MAX) {
        return OXBOW_ETOOBIG;
    }
    return txn_feature_require(txn, STORE_FEATURE_TTL);
}

enum oxbow_err expire_forget(struct oxbow_txn *txn, uint64_t object, struct oxbow_id from,
                             struct oxbow_id to)
{
    struct expire_state *s;
    bool more;
    enum oxbow_err err = state_get(txn, &s);

    if (err != OXBOW_OK || s->first == UINT64_MAX) {
        return err;
    }
    return entry_due_forget(txn, object, from, to, SIZE_MAX, &more);
}

/* Gives one that has none a deadline; made_ms not 0: it may be early. */
static enum oxbow_err deadline_put(struct oxbow_txn *txn, const struct expire_entry *e,
                                   uint64_t deadline, uint64_t made_ms)
{
    uint8_t value[VALUE_MAX];
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err;

    put_le64(value, deadline);
    put_le64(value + 8, made_ms);
    err = kv_put(txn, entry_due_key(key, e->object, e->id),
                 (struct oxbow_bytes){value, made_ms > 0 ? 16 : 8});
    if (err != OXBOW_OK) {
        return err;
    }
    value[0] = (uint8_t)txn_database(txn);
    if (e->name.len > 0) {
        memcpy(value + 1, e->name.data, e->name.len);
    }
    return kv_put(txn, entry_due_spot(key, deadline, e->object, e->id),
                  (struct oxbow_bytes){value, 1 + e->name.len});
}

enum oxbow_err expire_set(struct oxbow_txn *txn, const struct expire_entry *e, uint64_t ttl_ms)
{
    uint64_t now = txn_clock_ms(txn);
    uint64_t deadline = now + ttl_ms;
    struct expire_state *s;
    enum oxbow_err err = state_get(txn, &s);

    if (err == OXBOW_OK) {
        err = expire_forget(txn, e->object, e->id, e->id);
    }
    if (err != OXBOW_OK || ttl_ms == 0) {
        return err;
    }
    err = credit_note(txn);
    if (err == OXBOW_OK) {
        err = deadline_put(txn, e, deadline, txn_clock_unsure(txn) ? now : 0);
    }
    if (err == OXBOW_OK) {
        s->first = deadline < s->first ? deadline : s->first;
        s->low = deadline < s->low ? deadline : s->low;
        txn_idle_at(txn, deadline);
    }
    return err;
}

enum oxbow_err expire_inherit(struct oxbow_txn *txn, uint64_t from, const struct expire_entry *to)
{
    uint64_t now = txn_clock_ms(txn);
    struct deadline d;
    enum oxbow_err err = deadline_get(txn, from, to->id, &d);

    if (err != OXBOW_OK || d.due == UINT64_MAX) {
        return err;
    }
    err = expire_check(txn, to->name, 1);
    if (err == OXBOW_OK) {
        err = txn_reserve_bytes(txn, to->name.len + EXPIRE_RECORDS);
    }
    return err == OXBOW_OK ? expire_set(txn, to, d.due > now ? d.due - now : 1) : err;
}

enum oxbow_err oxbow_stream_expire(struct oxbow_txn *txn, struct oxbow_bytes key,
                                   struct oxbow_id id, uint64_t ttl_ms)
{
    struct expire_entry e = {.id = id, .name = key};
    struct stream s;
    enum oxbow_err err = txn_readonly(txn) ? OXBOW_EREADONLY : expire_check(txn, key, ttl_ms);

    if (err == OXBOW_OK && ttl_ms > 0) {
        err = txn_reserve_bytes(txn, key.len + EXPIRE_RECORDS);
    }
    if (err == OXBOW_OK) {
        err = stream_find(txn, key, &s);
    }
    if (err == OXBOW_OK) {
        err = stream_entry_find(&s, id, NULL);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    e.object = s.object.id;
    err = expire_set(txn, &e, ttl_ms);
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

enum oxbow_err oxbow_stream_ttl(struct oxbow_txn *txn, struct oxbow_bytes key, struct oxbow_id id,
                                uint64_t *left_ms)
{
    struct deadline d = {0, 0};
    struct stream s;
    enum oxbow_err err = left_ms == NULL ? OXBOW_EINVAL : stream_find(txn, key, &s);

    if (err == OXBOW_OK) {
        err = stream_entry_find(&s, id, NULL);
    }
    if (err == OXBOW_OK) {
        err = deadline_get(txn, s.object.id, id, &d);
    }
    if (err == OXBOW_OK) {
        *left_ms = d.due == UINT64_MAX ? d.due : d.due - txn_clock_ms(txn);
    }
    return err;
}

/* ---- removing ---- */

/* Tells those who follow the stream by its name. */
static enum oxbow_err tell(struct oxbow_txn *txn, const struct due *d, uint64_t payload,
                           uint64_t stored)
{
    const struct oxbow_bytes key = {d->name, d->name_len};
    const struct policy_drop drop = {
        .cause = OXBOW_DROP_AGE, .from = d->id, .to = d->id, .entries = 1, .bytes = stored};
    struct object object;
    enum oxbow_err err = catalog_find(txn, key, &object);

    if (err != OXBOW_OK || object.id != d->object) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err; /* it has another name by now, or none */
    }
    err = forward_lost(txn, key, d->id, d->id, 1, payload);
    if (err == OXBOW_OK) {
        err = policy_dropped_from(txn, key, &drop);
        err = err == OXBOW_ERANGE || err == OXBOW_ENOTSUP ? OXBOW_OK : err;
    }
    return err == OXBOW_OK ? policy_left_key(txn, key) : err;
}

static enum oxbow_err entry_remove(struct oxbow_txn *txn, const struct due *d)
{
    const struct object object = {.id = d->object, .type = OXBOW_TYPE_STREAM};
    uint64_t payload = 0;
    uint64_t before;
    struct stream s;
    enum oxbow_err err = stream_load(txn, &object, &s);

    if (err == OXBOW_OK) {
        err = stream_payload(&s, d->id, d->id, &payload);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    before = s.bytes;
    err = stream_remove(&s, d->id);
    if (err == OXBOW_ENOENT) {
        return OXBOW_OK; /* it went otherwise */
    }
    if (err == OXBOW_OK) {
        err = stream_save(&s);
    }
    return err == OXBOW_OK ? tell(txn, d, payload, before - s.bytes) : err;
}

/* One whose deadline has come: it goes, or if that was early gets another one. What cannot be read
 * cannot be removed entry by entry: it is left to whoever mends it. */
static enum oxbow_err settle(struct oxbow_txn *txn, const struct due *d, uint64_t due_ms)
{
    const struct expire_entry e = {d->object, d->id, {d->name, d->name_len}};
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err;

    if (due_ms > txn_clock_ms(txn)) {
        return deadline_put(txn, &e, due_ms, 0);
    }
    err = entry_remove(txn, d);
    return err == OXBOW_OK ? kv_del(txn, entry_due_key(key, d->object, d->id)) : err;
}

static enum oxbow_err one(struct oxbow_txn *txn, const struct due *d)
{
    const struct oxbow_log *log = &txn_port(txn)->log;
    uint32_t database = txn_database(txn);
    uint8_t key[KV_KEY_MAX];
    struct deadline deadline;
    enum oxbow_err err = deadline_get(txn, d->object, d->id, &deadline);

    if (err == OXBOW_OK && deadline.stored == d->deadline) {
        err = oxbow_txn_select(txn, d->database);
        if (err == OXBOW_OK) {
            err = settle(txn, d, deadline.due);
        }
        if (oxbow_txn_select(txn, database) != OXBOW_OK) {
            err = OXBOW_EINVAL;
        }
    }
    if (err == OXBOW_ECORRUPT && txn_failed(txn) == OXBOW_OK) {
        log->line(log->ctx, OXBOW_LOG_ERROR, "queue: an entry that has expired cannot be removed");
        err = OXBOW_OK;
    }
    return err == OXBOW_OK ? kv_del(txn, entry_due_spot(key, d->deadline, d->object, d->id)) : err;
}

enum oxbow_err expire_step(struct oxbow_txn *txn, bool *more)
{
    struct expire_state *s;
    struct due d;
    enum oxbow_err err = state_get(txn, &s);

    if (err != OXBOW_OK || s->first == UINT64_MAX) {
        return err;
    }
    for (unsigned i = 0; err == OXBOW_OK && i < STEP_ENTRIES; i++) {
        err = first_due(txn, s->low, &d);
        s->low = err == OXBOW_OK ? d.deadline : s->low;
        if (err == OXBOW_OK && d.deadline > txn_clock_ms(txn)) {
            s->first = d.deadline;
            txn_idle_at(txn, d.deadline);
            return OXBOW_OK;
        }
        if (err == OXBOW_OK) {
            err = one(txn, &d);
        }
    }
    if (err == OXBOW_ENOENT) {
        s->first = UINT64_MAX;
        return OXBOW_OK;
    }
    *more = *more || err == OXBOW_OK;
    return err;
}
