/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers that producers added to the store itself while something of theirs was left in a stand-in.
 * A producer's last number does not tell which of the smaller ones came here and which wait in the
 * stand-in: the merge asks these.
 *
 *   KV_SPACE_ONCE be32 queue 'r' be64 hash be64 last -> le64 first, le64 ordinal, the producer's name
 *
 * Invariants: (1) Every number from first to last was added here. What is not noted (names of one hash
 * with the same last number, more than RUNS gaps, level 1) comes once more with the merge: that beats a
 * loss. (2) Runs go when nothing is left in a stand-in, and with their producer.
 */
#include "engine/queue/once.h"

#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/store/stand_in.h"

#include <string.h>

#define HASH_BYTES  14u /* of a key: up to the end of the hash */
#define KEY_BYTES   22u
#define QUEUE_BYTES 6u
#define FIXED       16u
#define RUNS        1000u /* of a producer that leaves numbers out */
#define CLEAR_STEP  256u

struct run {
    uint64_t first;
    uint64_t last;
    uint64_t ordinal; /* from 1 */
};

static struct oxbow_bytes run_key(uint8_t out[KEY_BYTES], const struct once *o,
                                  struct oxbow_bytes name, uint64_t last)
{
    out[0] = KV_SPACE_ONCE;
    put_be32(out + 1, o->queue);
    out[5] = 'r';
    put_be64(out + QUEUE_BYTES, hash64(name.data, name.len, txn_store_id(o->txn)));
    put_be64(out + HASH_BYTES, last);
    return (struct oxbow_bytes){out, KEY_BYTES};
}

/* The first run of that hash which ends at or after `number`, or the last one of all that ends before it.
 * OXBOW_ENOENT: none, or it is another producer's. */
static enum oxbow_err run_find(const struct once *o, struct oxbow_bytes name, uint64_t number,
                               bool back, struct run *run)
{
    uint8_t want[KEY_BYTES];
    struct oxbow_bytes key = run_key(want, o, name, number);
    struct oxbow_bytes value;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, o->txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = back ? kv_cursor_seek_back_in(&c, key, HASH_BYTES, &key, &value)
               : kv_cursor_seek_in(&c, key, HASH_BYTES, &key, &value);
    if (err == OXBOW_OK && (key.len != KEY_BYTES || value.len < FIXED)) {
        err = OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        const uint8_t *p = value.data;

        *run = (struct run){get_le64(p), get_be64((const uint8_t *)key.data + HASH_BYTES),
                            get_le64(p + 8)};
        if (value.len - FIXED != name.len || memcmp(p + FIXED, name.data, name.len) != 0) {
            err = OXBOW_ENOENT;
        }
    }
    kv_cursor_fini(&c);
    return err;
}

enum oxbow_err once_run_has(const struct once *o, struct oxbow_bytes name, uint64_t number,
                            bool *has)
{
    struct run run;
    enum oxbow_err err = run_find(o, name, number, false, &run);

    *has = err == OXBOW_OK && run.first <= number;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Its numbers come in ascending order, so there is none above. */
static enum oxbow_err run_put(const struct once *o, struct oxbow_bytes name, uint64_t number)
{
    uint8_t value[FIXED + OXBOW_ONCE_NAME_MAX];
    uint8_t key[KEY_BYTES];
    struct run run = {.first = 0};
    enum oxbow_err err = run_find(o, name, UINT64_MAX, true, &run);

    if (err == OXBOW_ENOENT) {
        run = (struct run){.first = number, .ordinal = 1};
        err = OXBOW_OK;
    } else if (err == OXBOW_OK && run.last + 1 == number) {
        err = kv_del(o->txn, run_key(key, o, name, run.last));
    } else {
        run.first = number;
        run.ordinal++;
    }
    if (err != OXBOW_OK || run.ordinal > RUNS) {
        return err;
    }
    put_le64(value, run.first);
    put_le64(value + 8, run.ordinal);
    memcpy(value + FIXED, name.data, name.len);
    return kv_put(o->txn, run_key(key, o, name, number),
                  (struct oxbow_bytes){value, FIXED + name.len});
}

enum oxbow_err once_run_add(const struct once *o, struct oxbow_bytes name, uint64_t number)
{
    enum oxbow_err err = OXBOW_OK;

    if (!store_merge_left(txn_store(o->txn))) {
        return OXBOW_OK;
    }
    err = txn_feature_require(o->txn, STORE_FEATURE_STAND_IN);
    if (err != OXBOW_OK) {
        return err == OXBOW_ELEVEL ? OXBOW_OK : err;
    }
    return run_put(o, name, number);
}

enum oxbow_err once_run_forget(const struct once *o, struct oxbow_bytes name)
{
    uint8_t from[KEY_BYTES];
    uint8_t to[KEY_BYTES];
    struct oxbow_bytes first = run_key(from, o, name, 0);
    struct oxbow_bytes last = run_key(to, o, name, UINT64_MAX);
    bool more = true;
    enum oxbow_err err = OXBOW_OK;

    while (more && err == OXBOW_OK) {
        more = false;
        err = kv_del_range(o->txn, first, last, CLEAR_STEP, &more);
    }
    return err == OXBOW_OK ? kv_del(o->txn, last) : err;
}

enum oxbow_err once_run_clear(const struct once *o, bool *more)
{
    static const struct oxbow_bytes none = {"", 0};
    uint8_t from[KEY_BYTES];
    uint8_t to[KEY_BYTES];
    struct oxbow_bytes first = run_key(from, o, none, 0);
    struct oxbow_bytes last = run_key(to, o, none, 0);

    first.len = last.len = QUEUE_BYTES;
    to[QUEUE_BYTES - 1]++;
    *more = false;
    return kv_del_range(o->txn, first, last, CLEAR_STEP, more);
}
