/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an append of a caller's enters: to those that wait, where the queue's policy puts entries off,
 * to bindings that lead on from the stream, or straight to the stream (stream_add.c).
 */
#include "engine/queue/binding.h"
#include "engine/queue/policy.h"
#include "engine/queue/stream.h"
#include "oxbow/delay.h"

/* By how much the entry is put off. */
static enum oxbow_err add_delay(struct oxbow_txn *txn, struct oxbow_bytes key,
                                const struct oxbow_stream_add_options *opt, uint64_t *delay_ms)
{
    struct policy_row *row;
    enum oxbow_err err;

    *delay_ms = 0;
    if (opt->undelayed || opt->id_mode != OXBOW_ID_AUTO || opt->ttl_ms != 0 || opt->no_create ||
        opt->trim.by != OXBOW_TRIM_NONE) {
        return OXBOW_OK;
    }
    err = policy_row(txn, key, &row);
    if (err != OXBOW_OK || row == NULL || row->policy.default_delay_ms == 0) {
        return err;
    }
    if (opt->priority > 0 && opt->priority >= row->policy.priorities) {
        return OXBOW_EINVAL;
    }
    *delay_ms = row->policy.default_delay_ms;
    return row->critical ? OXBOW_ENOTSUP : OXBOW_OK;
}

/* Gives it to those that wait. */
static enum oxbow_err put_off(struct oxbow_txn *txn, const struct binding_add *add,
                              uint32_t priority, uint64_t delay_ms, struct oxbow_id *id)
{
    const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, delay_ms};
    struct oxbow_delay_id waits;
    size_t len;
    enum oxbow_err err = stream_fields_check(txn, add->fields, add->field_count, &len);

    if (err == OXBOW_OK) {
        err = oxbow_delay_add(txn, add->key, &when, add->fields, add->field_count, &waits);
    }
    if (err == OXBOW_OK && priority > 0) {
        err = oxbow_delay_set_priority(txn, waits, priority);
        err = err == OXBOW_OK ? OXBOW_OK : txn_fail(txn, err);
    }
    if (err == OXBOW_OK && id != NULL) {
        *id = OXBOW_ID_MIN;
    }
    return err;
}

enum oxbow_err oxbow_stream_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                                const struct oxbow_stream_add_options *opt,
                                const struct oxbow_field *fields, uint32_t field_count,
                                struct oxbow_id *id)
{
    static const struct oxbow_stream_add_options defaults;
    const struct binding_add add = {key, opt, fields, field_count};
    struct binding_node *source = NULL;
    uint64_t delay_ms;
    enum oxbow_err err = add_delay(txn, key, opt != NULL ? opt : &defaults, &delay_ms);

    if (err != OXBOW_OK || delay_ms > 0) {
        return err == OXBOW_OK ? put_off(txn, &add, opt != NULL ? opt->priority : 0, delay_ms, id)
                               : err;
    }
    if (opt == NULL || !opt->unrouted) {
        err = binding_source(txn, key, &source);
    }
    if (err == OXBOW_OK) {
        err = source == NULL ? stream_add(txn, key, opt, fields, field_count, id)
                             : binding_append(txn, source, &add, id);
    }
    return err;
}
