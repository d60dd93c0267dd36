/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who this store is at the target. One record, made on the first call of oxbow_identity_set:
 *
 *   KV_SPACE_FORWARD 'i' -> format 1, device length 1, machine length 1, zero 5, epoch 8 (little
 *                           end), device, machine
 *   KV_SPACE_STORE 'I'   -> the same, far from it in the tree: for the case of damage
 */
#include "engine/queue/identity.h"

#include "engine/base/codec.h"
#include "engine/queue/forward_record.h"
#include "engine/store/kv.h"
#include "oxbow/forward.h"

#include <string.h>

#define IDENTITY_FORMAT 1u
#define IDENTITY_FIXED  16u
#define EPOCH_MASK      (((uint64_t)1 << 53) - 1) /* the target's scripts count in doubles */

static const uint8_t identity_name[] = {KV_SPACE_FORWARD, 'i'};
static const uint8_t copy_name[] = {KV_SPACE_STORE, 'I'};

static bool text_ok(const char *text, size_t max, bool may_be_empty)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-:";
    size_t len = 0;

    for (; text[len] != '\0'; len++) {
        if (len == max || strchr(allowed, text[len]) == NULL) {
            return false;
        }
    }
    return len > 0 || may_be_empty;
}

static char *put_hex(char *p, uint64_t v)
{
    static const char digits[] = "0123456789abcdef";

    for (int shift = 60; shift >= 0; shift -= 4) {
        *p++ = digits[v >> shift & 15];
    }
    return p;
}

static void make_owner(struct oxbow_identity *id)
{
    char *p = put_hex(id->owner, id->store_id);

    *p++ = ':';
    p = put_hex(p, id->epoch);
    *p++ = ':';
    memcpy(p, id->machine, strlen(id->machine) + 1);
}

enum oxbow_err oxbow_identity_get(struct oxbow_txn *txn, struct oxbow_identity *out)
{
    struct oxbow_identity id;
    struct oxbow_bytes value;
    const uint8_t *p;
    enum oxbow_err err =
        kv_get(txn, (struct oxbow_bytes){identity_name, sizeof identity_name}, &value);

    if (err != OXBOW_OK) {
        return err;
    }
    p = value.data;
    if (value.len < IDENTITY_FIXED || p[0] != IDENTITY_FORMAT || p[1] > OXBOW_DEVICE_MAX ||
        p[2] > OXBOW_MACHINE_MAX || value.len != IDENTITY_FIXED + p[1] + p[2]) {
        return OXBOW_ECORRUPT;
    }
    memset(&id, 0, sizeof id);
    memcpy(id.device, p + IDENTITY_FIXED, p[1]);
    memcpy(id.machine, p + IDENTITY_FIXED + p[1], p[2]);
    id.epoch = get_le64(p + 8);
    id.store_id = txn_store_id(txn);
    make_owner(&id);
    *out = id;
    return OXBOW_OK;
}

static enum oxbow_err identity_make(struct oxbow_txn *txn, const char *device, const char *machine)
{
    uint8_t value[IDENTITY_FIXED + OXBOW_DEVICE_MAX + OXBOW_MACHINE_MAX] = {IDENTITY_FORMAT};
    const struct oxbow_random *random = &txn_port(txn)->random;
    size_t device_len = strlen(device);
    size_t machine_len = strlen(machine);
    struct oxbow_bytes whole = {value, 0};
    uint8_t noise[8];
    enum oxbow_err err = random->fill(random->ctx, noise, sizeof noise);

    if (err != OXBOW_OK) {
        return err;
    }
    value[1] = (uint8_t)device_len;
    value[2] = (uint8_t)machine_len;
    put_le64(value + 8, (get_le64(noise) & EPOCH_MASK) | 1);
    memcpy(value + IDENTITY_FIXED, device, device_len);
    memcpy(value + IDENTITY_FIXED + device_len, machine, machine_len);
    whole.len = IDENTITY_FIXED + device_len + machine_len;
    err = kv_put(txn, (struct oxbow_bytes){identity_name, sizeof identity_name}, whole);
    return err == OXBOW_OK ? kv_put(txn, (struct oxbow_bytes){copy_name, sizeof copy_name}, whole)
                           : err;
}

/* Writes one of the two from the other, which is there. */
static enum oxbow_err duplicate(struct oxbow_txn *txn, const uint8_t from[2], const uint8_t to[2])
{
    uint8_t bytes[IDENTITY_FIXED + OXBOW_DEVICE_MAX + OXBOW_MACHINE_MAX];
    struct oxbow_bytes value;
    size_t len;
    enum oxbow_err err = kv_get(txn, (struct oxbow_bytes){from, 2}, &value);

    if (err != OXBOW_OK) {
        return err;
    }
    if (value.len > sizeof bytes) {
        return OXBOW_ECORRUPT;
    }
    len = value.len;
    memcpy(bytes, value.data, len);
    return kv_put(txn, (struct oxbow_bytes){to, 2}, (struct oxbow_bytes){bytes, len});
}

enum oxbow_err identity_mend(struct oxbow_txn *txn)
{
    struct oxbow_identity id;
    enum oxbow_err err = oxbow_identity_get(txn, &id);

    if (err == OXBOW_ENOENT || err == OXBOW_ECORRUPT) {
        return duplicate(txn, copy_name, identity_name);
    }
    return err == OXBOW_OK ? duplicate(txn, identity_name, copy_name) : err;
}

enum oxbow_err oxbow_identity_set(struct oxbow_txn *txn, const char *device, const char *machine)
{
    struct oxbow_identity now;
    struct oxbow_bytes copy;
    enum oxbow_err err;

    machine = machine == NULL ? "" : machine;
    if (!text_ok(device, OXBOW_DEVICE_MAX, false) || !text_ok(machine, OXBOW_MACHINE_MAX, true)) {
        return OXBOW_EINVAL;
    }
    err = oxbow_identity_get(txn, &now);
    if (err == OXBOW_OK) {
        if (strcmp(now.device, device) == 0 && strcmp(now.machine, machine) == 0) {
            err = kv_get(txn, (struct oxbow_bytes){copy_name, sizeof copy_name}, &copy);
            if (err == OXBOW_ENOENT) { /* made by a version that had none */
                err = duplicate(txn, identity_name, copy_name);
            }
            return err == OXBOW_OK ? forward_copy_all(txn) : err;
        }
        if (!txn_forced(txn)) {
            return OXBOW_EEXIST;
        }
    } else if (err != OXBOW_ENOENT) {
        return err;
    }
    return identity_make(txn, device, machine);
}
