/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of what was added once.
 *
 *   KV_SPACE_ONCE be32 queue 'i' be64 hash u8 slot -> an id: number, clock, entry's id, the id
 *   KV_SPACE_ONCE be32 queue 'p' be64 hash u8 slot -> a producer: sequence, clock, entry's id, its name
 *   KV_SPACE_ONCE be32 queue 'o' be64 number       -> le64 hash: the order in which ids came
 *   KV_SPACE_ONCE be32 queue 's'                   -> le64 newest number, le64 oldest
 *   KV_SPACE_ONCE ff ff ff ff be32 queue           -> the queue's policy is gone, its keys go
 *
 * In a stand-in also:
 *
 *   KV_SPACE_ONCE be32 queue 'e' be64 ms be64 seq  -> an entry's object, number, kind, name
 *   KV_SPACE_ONCE be32 queue 'b' be64 hash u8 slot -> as 'p': how far the store knew the producer
 *   KV_SPACE_ONCE be32 queue 'x' be64 object       -> its indexes say nothing: it was edited
 *
 * While something is left in a stand-in, also 'r': once_run.c.
 *
 * The queue is the id of its policy, which is never used twice; 0xffffffff is none.
 *
 * Invariants: (1) Slots of one hash are dense from 0. (2) Every number from oldest to newest has an 'o'
 * record; the id that it stands for may have been remembered anew under a later one, or forgotten.
 */
#include "engine/queue/once.h"

#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/store/credit.h"

#include <string.h>

#define KEY_MAX    24u
#define SLOTS      8u
#define FIXED      32u
#define NO_QUEUE   UINT32_MAX
#define EVICT_STEP 4u /* ids forgotten for each that comes, at most */
#define REAP_STEP  256u

static size_t prefix(uint8_t out[KEY_MAX], uint32_t queue, char kind)
{
    out[0] = KV_SPACE_ONCE;
    put_be32(out + 1, queue);
    out[5] = (uint8_t)kind;
    return 6;
}

static struct oxbow_bytes slot_key(uint8_t out[KEY_MAX], const struct once *o, enum once_kind kind,
                                   uint64_t hash, unsigned slot)
{
    size_t n = prefix(out, o->queue, (char)kind);

    put_be64(out + n, hash);
    out[n + 8] = (uint8_t)slot;
    return (struct oxbow_bytes){out, n + 9};
}

static struct oxbow_bytes order_key(uint8_t out[KEY_MAX], const struct once *o, uint64_t number)
{
    size_t n = prefix(out, o->queue, 'o');

    put_be64(out + n, number);
    return (struct oxbow_bytes){out, n + 8};
}

static uint64_t hash_of(const struct once *o, struct oxbow_bytes name)
{
    return hash64(name.data, name.len, txn_store_id(o->txn));
}

static enum oxbow_err decode(struct oxbow_bytes value, struct once_seen *seen,
                             struct oxbow_bytes *name)
{
    const uint8_t *p = value.data;

    if (value.len < FIXED) {
        return OXBOW_ECORRUPT;
    }
    *seen = (struct once_seen){get_le64(p), get_le64(p + 8), {get_le64(p + 16), get_le64(p + 24)}};
    *name = (struct oxbow_bytes){p + FIXED, value.len - FIXED};
    return OXBOW_OK;
}

/* Finds a name's slot. OXBOW_ENOENT: *slot is the first free one, SLOTS if there is none. */
static enum oxbow_err find(const struct once *o, enum once_kind kind, struct oxbow_bytes name,
                           unsigned *slot, struct once_seen *seen)
{
    uint8_t key[KEY_MAX];
    uint64_t hash = hash_of(o, name);
    struct oxbow_bytes value;
    struct oxbow_bytes got;

    for (*slot = 0; *slot < SLOTS; (*slot)++) {
        enum oxbow_err err = kv_get(o->txn, slot_key(key, o, kind, hash, *slot), &value);

        if (err == OXBOW_OK) {
            err = decode(value, seen, &got);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        if (got.len == name.len && memcmp(got.data, name.data, name.len) == 0) {
            return OXBOW_OK;
        }
    }
    return OXBOW_ENOENT;
}

enum oxbow_err once_get(const struct once *o, enum once_kind kind, struct oxbow_bytes name,
                        struct once_seen *seen)
{
    struct once_seen found;
    unsigned slot;
    enum oxbow_err err = find(o, kind, name, &slot, &found);

    if (err == OXBOW_OK) {
        *seen = found;
    }
    return err;
}

enum oxbow_err once_put(const struct once *o, enum once_kind kind, struct oxbow_bytes name,
                        const struct once_seen *seen)
{
    uint8_t value[FIXED + OXBOW_ONCE_NAME_MAX];
    uint8_t key[KEY_MAX];
    struct once_seen was;
    unsigned slot;
    enum oxbow_err err = find(o, kind, name, &slot, &was);

    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (slot == SLOTS) {
        return OXBOW_ERANGE;
    }
    put_le64(value, seen->number);
    put_le64(value + 8, seen->clock_ms);
    put_le64(value + 16, seen->id.ms);
    put_le64(value + 24, seen->id.seq);
    memcpy(value + FIXED, name.data, name.len);
    return kv_put(o->txn, slot_key(key, o, kind, hash_of(o, name), slot),
                  (struct oxbow_bytes){value, FIXED + name.len});
}

/* Removes a slot and moves the last one of its hash there. */
static enum oxbow_err slot_del(const struct once *o, enum once_kind kind, uint64_t hash,
                               unsigned slot)
{
    uint8_t copy[FIXED + OXBOW_ONCE_NAME_MAX];
    uint8_t key[KEY_MAX];
    struct oxbow_bytes value = {NULL, 0};
    unsigned last = slot;
    size_t len = 0;
    enum oxbow_err err = OXBOW_OK;

    while (err == OXBOW_OK && last + 1 < SLOTS) {
        err = kv_get(o->txn, slot_key(key, o, kind, hash, last + 1), &value);
        last += err == OXBOW_OK;
    }
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    if (last != slot) {
        err = kv_get(o->txn, slot_key(key, o, kind, hash, last), &value);
        if (err != OXBOW_OK || value.len > sizeof copy) {
            return err == OXBOW_OK ? OXBOW_ECORRUPT : err;
        }
        len = value.len;
        memcpy(copy, value.data, len);
        err = kv_put(o->txn, slot_key(key, o, kind, hash, slot), (struct oxbow_bytes){copy, len});
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return kv_del(o->txn, slot_key(key, o, kind, hash, last));
}

enum oxbow_err once_del(const struct once *o, enum once_kind kind, struct oxbow_bytes name)
{
    struct once_seen seen;
    unsigned slot;
    enum oxbow_err err = find(o, kind, name, &slot, &seen);

    return err == OXBOW_OK ? slot_del(o, kind, hash_of(o, name), slot) : err;
}

/* A key of kind 'i' or 'p' of the queue. */
static bool is_name(const struct once *o, struct oxbow_bytes key, struct once_name *at)
{
    const uint8_t *p = key.data;

    if (key.len != 15 || p[0] != KV_SPACE_ONCE || get_be32(p + 1) != o->queue ||
        (p[5] != ONCE_ID && p[5] != ONCE_PRODUCER)) {
        return false;
    }
    at->kind = (enum once_kind)p[5];
    at->hash = get_be64(p + 6);
    at->slot = p[14];
    return true;
}

static enum oxbow_err next_of_kind(const struct once *o, enum once_kind kind, struct once_name *at)
{
    uint8_t want[KEY_MAX];
    struct oxbow_bytes key = slot_key(want, o, kind, at->hash, at->slot);
    struct oxbow_bytes value;
    struct oxbow_bytes name;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, o->txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek_in(&c, key, 6, &key, &value);
    if (err == OXBOW_OK && (!is_name(o, key, at) || at->kind != kind)) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        err = decode(value, &at->seen, &name);
    }
    if (err == OXBOW_OK && name.len > sizeof at->name) {
        err = OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        at->len = name.len;
        memcpy(at->name, name.data, name.len);
    }
    kv_cursor_fini(&c);
    return err;
}

enum oxbow_err once_next(const struct once *o, struct once_name *at)
{
    enum once_kind kind = at->kind == ONCE_PRODUCER ? ONCE_PRODUCER : ONCE_ID;
    enum oxbow_err err;

    at->slot += at->len > 0; /* below 256: slots are few */
    err = next_of_kind(o, kind, at);
    if (err == OXBOW_ENOENT && kind == ONCE_ID) {
        at->hash = 0;
        at->slot = 0;
        err = next_of_kind(o, ONCE_PRODUCER, at);
    }
    return err;
}

/* ---- the window ---- */

/* Newest and oldest number; 0 and 1 before the first. */
static enum oxbow_err state_get(const struct once *o, uint64_t *newest, uint64_t *oldest)
{
    uint8_t key[KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err =
        kv_get(o->txn, (struct oxbow_bytes){key, prefix(key, o->queue, 's')}, &value);

    *newest = 0;
    *oldest = 1;
    if (err == OXBOW_OK && value.len != 16) {
        return OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        *newest = get_le64(value.data);
        *oldest = get_le64((const uint8_t *)value.data + 8);
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* The id that came under that number: its slot. OXBOW_ENOENT: it has another number by now. */
static enum oxbow_err numbered(const struct once *o, uint64_t number, uint64_t *hash,
                               unsigned *slot, struct once_seen *seen)
{
    uint8_t key[KEY_MAX];
    struct oxbow_bytes value;
    struct oxbow_bytes name;
    enum oxbow_err err = kv_get(o->txn, order_key(key, o, number), &value);

    if (err == OXBOW_OK && value.len != 8) {
        err = OXBOW_ECORRUPT;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *hash = get_le64(value.data);
    for (*slot = 0; *slot < SLOTS; (*slot)++) {
        err = kv_get(o->txn, slot_key(key, o, ONCE_ID, *hash, *slot), &value);
        if (err == OXBOW_OK) {
            err = decode(value, seen, &name);
        }
        if (err != OXBOW_OK || seen->number == number) {
            return err;
        }
    }
    return OXBOW_ENOENT;
}

enum oxbow_err once_within(const struct once *o, uint64_t clock_ms, bool *within)
{
    uint64_t now = txn_clock_ms(o->txn);
    uint64_t early = 0;
    enum oxbow_err err = OXBOW_OK;

    *within = clock_ms > now || now - clock_ms < o->window_ms;
    if (!*within) {
        err = credit_since(o->txn, clock_ms, &early);
        *within = now - clock_ms < early || now - clock_ms - early < o->window_ms;
    }
    return err;
}

/* Forgets the oldest id if the window leaves it out; *done: it does not. */
static enum oxbow_err evict(const struct once *o, uint64_t newest, uint64_t *oldest, bool *done)
{
    uint8_t key[KEY_MAX];
    struct once_seen seen;
    uint64_t hash;
    unsigned slot;
    enum oxbow_err err = numbered(o, *oldest, &hash, &slot, &seen);

    if (err == OXBOW_OK && newest - *oldest < o->window_count) {
        err = once_within(o, seen.clock_ms, done);
        if (err != OXBOW_OK || *done) {
            return err;
        }
    }
    if (err == OXBOW_OK) {
        err = slot_del(o, ONCE_ID, hash, slot);
    }
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        err = kv_del(o->txn, order_key(key, o, *oldest));
        (*oldest)++;
    }
    return err;
}

enum oxbow_err once_order(const struct once *o, struct oxbow_bytes name, struct once_seen *seen)
{
    uint8_t key[KEY_MAX];
    uint8_t value[16];
    uint64_t newest;
    uint64_t oldest;
    bool done = false;
    enum oxbow_err err = state_get(o, &newest, &oldest);

    if (err != OXBOW_OK) {
        return err;
    }
    seen->number = ++newest;
    put_le64(value, hash_of(o, name));
    err = kv_put(o->txn, order_key(key, o, newest), (struct oxbow_bytes){value, 8});
    for (unsigned i = 0; err == OXBOW_OK && !done && oldest < newest &&
                         (i < EVICT_STEP || newest - oldest >= o->window_count + EVICT_STEP);
         i++) {
        err = evict(o, newest, &oldest, &done);
        done = done || i >= REAP_STEP; /* a window that was made smaller is reached in steps */
    }
    put_le64(value, newest);
    put_le64(value + 8, oldest);
    if (err == OXBOW_OK) {
        err = kv_put(o->txn, (struct oxbow_bytes){key, prefix(key, o->queue, 's')},
                     (struct oxbow_bytes){value, sizeof value});
    }
    return err;
}

/* ---- entries of a stand-in ---- */

#define PLACE_FIXED 17u

static struct oxbow_bytes place_key(uint8_t out[KEY_MAX], const struct once *o, struct oxbow_id id)
{
    size_t n = prefix(out, o->queue, 'e');

    put_be64(out + n, id.ms);
    put_be64(out + n + 8, id.seq);
    return (struct oxbow_bytes){out, n + 16};
}

static struct oxbow_bytes blur_key(uint8_t out[KEY_MAX], const struct once *o, uint64_t object)
{
    size_t n = prefix(out, o->queue, 'x');

    put_be64(out + n, object);
    return (struct oxbow_bytes){out, n + 8};
}

enum oxbow_err once_place_put(const struct once *o, const struct once_place *place,
                              enum once_kind kind, struct oxbow_bytes name, uint64_t number)
{
    uint8_t value[PLACE_FIXED + OXBOW_ONCE_NAME_MAX];
    uint8_t key[KEY_MAX];

    put_le64(value, place->object);
    put_le64(value + 8, number);
    value[16] = (uint8_t)kind;
    memcpy(value + PLACE_FIXED, name.data, name.len);
    return kv_put(o->txn, place_key(key, o, place->id),
                  (struct oxbow_bytes){value, PLACE_FIXED + name.len});
}

static enum oxbow_err place_decode(struct oxbow_bytes value, uint64_t *object, struct once_name *at)
{
    const uint8_t *p = value.data;

    if (value.len <= PLACE_FIXED || value.len > PLACE_FIXED + OXBOW_ONCE_NAME_MAX ||
        (p[16] != ONCE_ID && p[16] != ONCE_PRODUCER)) {
        return OXBOW_ECORRUPT;
    }
    *object = get_le64(p);
    at->seen = (struct once_seen){.number = get_le64(p + 8)};
    at->kind = (enum once_kind)p[16];
    at->len = value.len - PLACE_FIXED;
    memcpy(at->name, p + PLACE_FIXED, at->len);
    return OXBOW_OK;
}

enum oxbow_err once_place_get(const struct once *o, const struct once_place *place,
                              struct once_name *at)
{
    uint8_t key[KEY_MAX];
    struct oxbow_bytes value;
    uint64_t object = 0;
    enum oxbow_err err = kv_get(o->txn, place_key(key, o, place->id), &value);

    if (err == OXBOW_OK) {
        err = place_decode(value, &object, at);
    }
    if (err != OXBOW_OK || object != place->object) {
        return err == OXBOW_OK ? OXBOW_ENOENT : err;
    }
    err = kv_get(o->txn, blur_key(key, o, object), &value);
    return err == OXBOW_OK ? OXBOW_ENOENT : err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err once_place_del(const struct once *o, struct oxbow_id id)
{
    uint8_t key[KEY_MAX];
    enum oxbow_err err = kv_del(o->txn, place_key(key, o, id));

    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err once_place_find(const struct once *o, struct oxbow_id from, bool last,
                               struct once_place *place, struct once_name *at)
{
    uint8_t want[KEY_MAX];
    struct oxbow_bytes key = place_key(want, o, from);
    struct oxbow_bytes value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, o->txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = last ? kv_cursor_seek_back_in(&c, key, 6, &key, &value)
               : kv_cursor_seek_in(&c, key, 6, &key, &value);
    if (err == OXBOW_OK && key.len != 22) {
        err = OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        const uint8_t *p = key.data;

        place->id = (struct oxbow_id){get_be64(p + 6), get_be64(p + 14)};
        err = place_decode(value, &place->object, at);
    }
    kv_cursor_fini(&c);
    return err;
}

enum oxbow_err once_place_blur(const struct once *o, uint64_t object)
{
    uint8_t key[KEY_MAX];

    return kv_put(o->txn, blur_key(key, o, object), (struct oxbow_bytes){NULL, 0});
}

/* ---- queues that are gone ---- */

static struct oxbow_bytes gone_key(uint8_t out[KEY_MAX], uint32_t queue)
{
    out[0] = KV_SPACE_ONCE;
    put_be32(out + 1, NO_QUEUE);
    put_be32(out + 5, queue);
    return (struct oxbow_bytes){out, 9};
}

static enum oxbow_err drop_step(struct oxbow_txn *txn, uint32_t queue, bool *more)
{
    uint8_t from[KEY_MAX];
    uint8_t to[KEY_MAX];

    (void)prefix(from, queue, 0);
    (void)prefix(to, queue + 1, 0);
    return kv_del_range(txn, (struct oxbow_bytes){from, 5}, (struct oxbow_bytes){to, 5}, REAP_STEP,
                        more);
}

enum oxbow_err once_drop_queue(struct oxbow_txn *txn, uint32_t queue)
{
    uint8_t key[KEY_MAX];
    bool more = false;
    enum oxbow_err err = drop_step(txn, queue, &more);

    return err == OXBOW_OK && more
               ? kv_put(txn, gone_key(key, queue), (struct oxbow_bytes){NULL, 0})
               : err;
}

enum oxbow_err once_reap(struct oxbow_txn *txn, bool *more)
{
    uint8_t want[KEY_MAX];
    struct kv_cursor c;
    struct oxbow_bytes key;
    struct oxbow_bytes value;
    uint32_t queue = 0;
    bool left = false;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek_in(&c, gone_key(want, 0), 5, &key, &value);
    if (err == OXBOW_OK && (key.len != 9 || memcmp(key.data, want, 5) != 0)) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        queue = get_be32((const uint8_t *)key.data + 5);
    }
    kv_cursor_fini(&c);
    if (err != OXBOW_OK) {
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    *more = true;
    err = drop_step(txn, queue, &left);
    return err == OXBOW_OK && !left ? kv_del(txn, gone_key(want, queue)) : err;
}
