/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appends that wait for room, and who tells them that there may be some: whatever removes from a
 * queue whose policy blocks. How one waits is known to wait_thread.c.
 */
#include "engine/queue/binding.h"
#include "engine/queue/policy.h"
#include "engine/queue/wait.h"

/* Whether what was refused is to be tried again when there is room. */
static enum oxbow_err again_if_blocks(struct oxbow_txn *txn, struct oxbow_bytes key)
{
    struct policy_row *row;
    enum oxbow_err err = policy_row(txn, key, &row);

    if (err != OXBOW_OK) {
        return err;
    }
    return row != NULL && row->policy.on_full == OXBOW_POLICY_BLOCK ? OXBOW_EAGAIN : OXBOW_EFULL;
}

struct add_call {
    const struct oxbow_stream_add_wait_options *opt;
    struct oxbow_id id;
};

static enum oxbow_err add_one(void *ctx, struct oxbow_txn *txn, bool again)
{
    struct add_call *c = ctx;
    enum oxbow_err err = oxbow_stream_add(txn, c->opt->key, &c->opt->add, c->opt->fields,
                                          c->opt->field_count, &c->id);

    (void)again;
    /* Room in this stream does not help where a destination of its bindings has none. */
    return err == OXBOW_EFULL && (c->opt->add.unrouted || !binding_refused(txn))
               ? again_if_blocks(txn, c->opt->key)
               : err;
}

enum oxbow_err oxbow_stream_add_wait(struct oxbow *db, const struct oxbow_wait_options *opt,
                                     const struct oxbow_stream_add_wait_options *entry,
                                     struct oxbow_id *id)
{
    struct add_call c = {.opt = entry};
    struct oxbow_wait_keys keys = {.kind = OXBOW_WAIT_ROOM, .count = 1};
    enum oxbow_err err;

    if (entry == NULL || entry->add.no_create) { /* its OXBOW_EAGAIN would mean waiting */
        return OXBOW_EINVAL;
    }
    keys.keys = &entry->key;
    err = oxbow_wait_for(db, opt, &keys, add_one, &c);
    if (kv_applied(err) && id != NULL) {
        *id = c.id;
    }
    return err;
}

struct push_call {
    const struct oxbow_list_push_wait_options *opt;
    uint64_t len;
};

static enum oxbow_err push_all(void *ctx, struct oxbow_txn *txn, bool again)
{
    struct push_call *c = ctx;
    enum oxbow_err err =
        oxbow_list_push(txn, c->opt->key, c->opt->end, c->opt->values, c->opt->count, &c->len);

    (void)again;
    return err == OXBOW_EFULL ? again_if_blocks(txn, c->opt->key) : err;
}

enum oxbow_err oxbow_list_push_wait(struct oxbow *db, const struct oxbow_wait_options *opt,
                                    const struct oxbow_list_push_wait_options *push, uint64_t *len)
{
    struct push_call c = {.opt = push};
    struct oxbow_wait_keys keys = {.kind = OXBOW_WAIT_ROOM, .count = 1};
    enum oxbow_err err;

    if (push == NULL) {
        return OXBOW_EINVAL;
    }
    keys.keys = &push->key;
    err = oxbow_wait_for(db, opt, &keys, push_all, &c);
    if (kv_applied(err) && len != NULL) {
        *len = c.len;
    }
    return err;
}

/* ---- what removes ---- */

enum oxbow_err policy_left(struct oxbow_txn *txn, uint64_t tag, uint64_t entries, uint64_t bytes)
{
    const struct policy_row *row;
    struct policy_table *t;
    enum oxbow_err err;

    if (wait_count(txn) == 0) {
        return OXBOW_OK;
    }
    err = policy_table_get(txn, &t);
    if (err != OXBOW_OK) {
        return err;
    }
    row = policy_row_tagged(t, tag);
    if (row == NULL || row->policy.on_full != OXBOW_POLICY_BLOCK ||
        !policy_fits(&row->policy, entries + 1, bytes)) {
        return OXBOW_OK;
    }
    return wait_touch_room(txn, tag);
}

enum oxbow_err policy_left_key(struct oxbow_txn *txn, struct oxbow_bytes key)
{
    uint64_t tag;
    enum oxbow_err err;

    if (wait_count(txn) == 0) {
        return OXBOW_OK;
    }
    err = catalog_tag(txn, key, &tag);
    return err == OXBOW_OK ? policy_left(txn, tag, 0, 0) : err;
}
