/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets, gets and lists policies, and knows their fields: a field is a member of struct oxbow_policy
 * and a row here. Their bytes are policy_record.c's, what they do is policy_limit.c's.
 */
#include "engine/queue/policy_age.h"

#include "engine/base/codec.h"
#include "engine/base/result.h"
#include "engine/queue/once.h"
#include "oxbow/delay.h"
#include "oxbow/expire.h"
#include "oxbow/stream.h"

#include <string.h>

#define AGE_MAX         ((uint64_t)200 * 366 * 86400 * 1000)
#define NUMBER_MAX      ((uint64_t)1 << 60)
#define LIST_BYTES_MAX  ((size_t)OXBOW_POLICY_COUNT_MAX * OXBOW_POLICY_NAME_MAX)
#define RECORD_OVERHEAD 2048u

static const char *const full_words[] = {"refuse", "drop-oldest", "block", NULL};

#define FIELD(member) offsetof(struct oxbow_policy, member)

/* In the order of their numbers, which are stored and never reused. */
static const struct oxbow_policy_field fields[] = {
    {"max-entries", "entries at most", NULL, NUMBER_MAX, FIELD(max_entries), 1, OXBOW_POLICY_COUNT},
    {"max-bytes", "bytes of entries at most", NULL, NUMBER_MAX, FIELD(max_bytes), 2,
     OXBOW_POLICY_BYTES},
    {"max-age", "entries older than this go", NULL, AGE_MAX, FIELD(max_age_ms), 3, OXBOW_POLICY_MS},
    {"on-full", "what an append does at a limit", full_words, OXBOW_POLICY_BLOCK, FIELD(on_full), 4,
     OXBOW_POLICY_WORD},
    {"keep", "how long delivered entries stay", NULL, AGE_MAX, FIELD(keep_ms), 5, OXBOW_POLICY_MS},
    {"keep-bytes", "bytes of delivered entries that stay", NULL, NUMBER_MAX, FIELD(keep_bytes), 6,
     OXBOW_POLICY_BYTES},
    {"dedupe", "how long ids of entries are remembered", NULL, AGE_MAX, FIELD(dedupe_ms), 7,
     OXBOW_POLICY_MS},
    {"dedupe-count", "how many ids of entries are remembered", NULL, OXBOW_ONCE_COUNT_MAX,
     FIELD(dedupe_count), 8, OXBOW_POLICY_COUNT},
    {"priorities", "priorities of a stream's entries", NULL, OXBOW_PRIORITIES_MAX,
     FIELD(priorities), 9, OXBOW_POLICY_COUNT},
    {"priority-weights", "what each gives while all have some; none: strict", NULL, UINT64_MAX,
     FIELD(priority_weights), 10, OXBOW_POLICY_WEIGHTS},
    {"priority-wait", "a priority that got nothing for so long gives one entry first", NULL,
     AGE_MAX, FIELD(priority_wait_ms), 11, OXBOW_POLICY_MS},
    {"default-ttl", "time to live of entries of a stream that give none", NULL, OXBOW_TTL_MS_MAX,
     FIELD(default_ttl_ms), 12, OXBOW_POLICY_MS},
    {"default-delay", "how much later entries of a stream are added that give no time", NULL,
     OXBOW_DELAY_MS_MAX, FIELD(default_delay_ms), 13, OXBOW_POLICY_MS},
};

#define FIELD_COUNT (sizeof fields / sizeof fields[0])

const struct oxbow_policy_field *oxbow_policy_fields(size_t *count)
{
    if (count != NULL) {
        *count = FIELD_COUNT;
    }
    return fields;
}

uint64_t oxbow_policy_value(const struct oxbow_policy *policy,
                            const struct oxbow_policy_field *field)
{
    const uint8_t *at = (const uint8_t *)policy + field->offset;
    uint64_t number;
    int word;

    if (field->kind == OXBOW_POLICY_WORD) {
        memcpy(&word, at, sizeof word);
        return (uint64_t)word;
    }
    memcpy(&number, at, sizeof number);
    return number;
}

enum oxbow_err oxbow_policy_value_set(struct oxbow_policy *policy,
                                      const struct oxbow_policy_field *field, uint64_t value)
{
    uint8_t *at = (uint8_t *)policy + field->offset;
    int word = (int)value;

    if (value > field->max) {
        return OXBOW_ERANGE;
    }
    if (field->kind == OXBOW_POLICY_WORD) {
        memcpy(at, &word, sizeof word);
    } else {
        memcpy(at, &value, sizeof value);
    }
    return OXBOW_OK;
}

static enum oxbow_err policy_check(const struct oxbow_policy *policy)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (oxbow_policy_value(policy, &fields[i]) > fields[i].max) {
            return OXBOW_EINVAL;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err newest_id(struct oxbow_txn *txn, uint32_t *id)
{
    uint8_t keybuf[POLICY_KEY_MAX];
    uint8_t value[4];
    struct oxbow_bytes key = policy_key(keybuf, POLICY_KEY_NEWEST, 0);
    struct oxbow_bytes old;
    enum oxbow_err err = kv_get(txn, key, &old);

    *id = 1;
    if (err == OXBOW_OK) {
        if (old.len != sizeof value || get_le32(old.data) == UINT32_MAX) {
            return OXBOW_ECORRUPT;
        }
        *id = get_le32(old.data) + 1;
    }
    put_le32(value, *id);
    return err == OXBOW_OK || err == OXBOW_ENOENT
               ? kv_put(txn, key, (struct oxbow_bytes){value, sizeof value})
               : err;
}

/* What a version must know to open a store with that policy. */
static enum oxbow_err features_require(struct oxbow_txn *txn, const struct oxbow_policy *policy)
{
    enum oxbow_err err = txn_feature_require(txn, STORE_FEATURE_POLICY);

    if (err == OXBOW_OK && policy->default_ttl_ms > 0) {
        err = txn_feature_require(txn, STORE_FEATURE_TTL);
    }
    if (err == OXBOW_OK && policy->default_delay_ms > 0) {
        err = txn_feature_require(txn, STORE_FEATURE_DELAY);
    }
    if (err == OXBOW_OK && policy->priorities > 1) {
        err = txn_feature_require(txn, STORE_FEATURE_PRIORITIES);
    }
    return err;
}

enum oxbow_err oxbow_policy_set(struct oxbow_txn *txn, struct oxbow_bytes key,
                                const struct oxbow_policy *policy)
{
    struct policy_row *row;
    struct policy_table *t;
    uint32_t id;
    bool age;
    enum oxbow_err err;

    if (policy == NULL || key.len == 0 || key.data == NULL) {
        return OXBOW_EINVAL;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    if (key.len > OXBOW_POLICY_NAME_MAX) {
        return OXBOW_ETOOBIG;
    }
    err = policy_check(policy);
    if (err == OXBOW_OK) {
        err = policy_table_get(txn, &t);
    }
    if (err == OXBOW_OK) {
        err = policy_row(txn, key, &row);
    }
    if (err == OXBOW_OK && row != NULL && row->critical) {
        err = OXBOW_ENOTSUP;
    }
    if (err == OXBOW_OK && row == NULL && t->count == OXBOW_POLICY_COUNT_MAX) {
        err = OXBOW_ERANGE;
    }
    if (err == OXBOW_OK) {
        err = txn_reserve_bytes(txn, key.len + RECORD_OVERHEAD);
    }
    if (err == OXBOW_OK) {
        err = features_require(txn, policy);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    id = row != NULL ? row->id : 0;
    age = policy->max_age_ms > 0 && (row == NULL || row->policy.max_age_ms != policy->max_age_ms);
    policy_table_changed(t);
    if (id == 0) {
        err = newest_id(txn, &id);
    }
    if (err == OXBOW_OK) {
        err = policy_record_put(txn, id, key, policy);
    }
    if (err == OXBOW_OK && age) {
        err = policy_since_set(txn, id);
    }
    return err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
}

enum oxbow_err oxbow_policy_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                                struct oxbow_policy *policy)
{
    struct policy_row *row;
    enum oxbow_err err;

    if (policy == NULL || (key.data == NULL && key.len > 0)) {
        return OXBOW_EINVAL;
    }
    err = policy_row(txn, key, &row);
    if (err != OXBOW_OK) {
        return err;
    }
    if (row == NULL) {
        return OXBOW_ENOENT;
    }
    if (row->critical) {
        return OXBOW_ENOTSUP;
    }
    *policy = row->policy;
    return OXBOW_OK;
}

enum oxbow_err oxbow_policy_clear(struct oxbow_txn *txn, struct oxbow_bytes key, bool *existed)
{
    struct policy_row *row;
    struct policy_table *t;
    uint8_t name[POLICY_KEY_MAX];
    uint32_t id;
    enum oxbow_err err;

    if (key.data == NULL && key.len > 0) {
        return OXBOW_EINVAL;
    }
    if (txn_readonly(txn)) {
        return OXBOW_EREADONLY;
    }
    err = policy_table_get(txn, &t);
    if (err == OXBOW_OK) {
        err = policy_row(txn, key, &row);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    if (row != NULL) {
        id = row->id;
        policy_table_changed(t);
        err = kv_del(txn, policy_key(name, POLICY_KEY_RECORD, id));
        if (err == OXBOW_OK) {
            err = kv_del(txn, policy_key(name, POLICY_KEY_STATE, id));
        }
        if (err == OXBOW_OK) {
            err = once_drop_queue(txn, id);
        }
        if (err != OXBOW_OK) {
            return txn_fail(txn, err);
        }
    }
    if (existed != NULL) {
        *existed = row != NULL;
    }
    return OXBOW_OK;
}

enum oxbow_err oxbow_policy_list(struct oxbow_txn *txn, struct oxbow_result *result)
{
    struct policy_table *t;
    enum oxbow_err err;

    if (result == NULL) {
        return OXBOW_EINVAL;
    }
    err = policy_table_get(txn, &t);
    if (err == OXBOW_OK) {
        err = result_begin(result, &txn_port(txn)->alloc, LIST_BYTES_MAX);
    }
    for (uint32_t i = 0; err == OXBOW_OK && i < t->count; i++) {
        if (t->rows[i].database == txn_database(txn)) {
            err = result_item(result, policy_row_name(t, &t->rows[i]));
        }
    }
    if (err == OXBOW_OK) {
        result_finish_sorted(result);
    }
    return err;
}
