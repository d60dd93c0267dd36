/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What forwards do differently in a stand-in: their target's name, and the note of how far they may
 * have sent. Lists are not sent from one: uplink/session_flow.c.
 *
 * Invariant: what a session sends lies at or below a note that was durable before.
 */
#include "engine/queue/forward_meanwhile.h"

#include "engine/base/codec.h"
#include "engine/base/id.h"
#include "engine/store/stand_in.h"

#include <stdio.h>
#include <string.h>

#define NOTE_KEY   6u
#define NOTE_BYTES 16u

static struct oxbow_bytes note_key(uint8_t out[NOTE_KEY], uint32_t id)
{
    out[0] = KV_SPACE_FORWARD;
    out[1] = 'w';
    put_be32(out + 2, id);
    return (struct oxbow_bytes){out, NOTE_KEY};
}

size_t meanwhile_suffix(char out[MEANWHILE_MAX], uint64_t store_id)
{
    return (size_t)snprintf(out, MEANWHILE_MAX, ":meanwhile:%016llx", (unsigned long long)store_id);
}

enum oxbow_err forward_meanwhile_target(struct oxbow_txn *txn, struct forward_record *r)
{
    struct oxbow_bytes *target = &r->config.options.target;
    char suffix[MEANWHILE_MAX];
    size_t len;

    if (!store_stands_in(txn_store(txn))) {
        return OXBOW_OK;
    }
    len = meanwhile_suffix(suffix, txn_store_id(txn));
    if (target->len + len > OXBOW_FORWARD_KEY_MAX) {
        return OXBOW_EINVAL;
    }
    memcpy(r->config.target_text + target->len, suffix, len);
    target->len += len;
    return OXBOW_OK;
}

bool forward_meanwhile_same(struct oxbow_txn *txn, const struct forward_record *r,
                            struct oxbow_bytes target)
{
    struct oxbow_bytes own = r->config.options.target;
    char suffix[MEANWHILE_MAX];
    size_t len = meanwhile_suffix(suffix, txn_store_id(txn));

    return store_stands_in(txn_store(txn)) && own.len == target.len + len &&
           memcmp(own.data, target.data, target.len) == 0;
}

enum oxbow_err forward_meanwhile_reach(struct oxbow_txn *txn, const struct forward_record *r,
                                       struct oxbow_id *reach)
{
    uint8_t key[NOTE_KEY];
    struct oxbow_bytes value;
    enum oxbow_err err = kv_get(txn, note_key(key, r->config.id), &value);

    *reach = r->sent;
    if (err == OXBOW_OK && value.len != NOTE_BYTES) {
        return OXBOW_ECORRUPT;
    }
    if (err == OXBOW_OK) {
        struct oxbow_id noted = {get_le64(value.data), get_le64((const uint8_t *)value.data + 8)};

        *reach = id_compare(noted, r->sent) > 0 ? noted : r->sent;
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err forward_meanwhile_note(struct oxbow_txn *txn, const struct forward_record *r,
                                      struct oxbow_id last)
{
    uint8_t key[NOTE_KEY];
    uint8_t value[NOTE_BYTES];
    struct oxbow_id reach;
    enum oxbow_err err;

    if (!store_stands_in(txn_store(txn)) || txn_readonly(txn)) {
        return OXBOW_OK;
    }
    err = forward_meanwhile_reach(txn, r, &reach);
    if (err != OXBOW_OK || id_compare(last, reach) <= 0) {
        return err;
    }
    put_le64(value, last.ms);
    put_le64(value + 8, last.seq);
    return kv_put(txn, note_key(key, r->config.id), (struct oxbow_bytes){value, NOTE_BYTES});
}

enum oxbow_err forward_meanwhile_del(struct oxbow_txn *txn, uint32_t id)
{
    uint8_t key[NOTE_KEY];

    return store_stands_in(txn_store(txn)) ? kv_del(txn, note_key(key, id)) : OXBOW_OK;
}
