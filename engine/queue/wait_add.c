/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appends that wait for room, and who tells them that there may be some: whatever removes from a
 * queue whose policy blocks. How one waits is known to wait_thread.c.
 */
#include "engine/queue/binding.h"
#include "engine/queue/policy.h"
#include "engine/queue/wait.h"

#include <string.h>

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

/* One at a time is waited for: the stream, or the destination of its bindings that was full last. */
struct add_call {
    const struct oxbow_stream_add_wait_options *opt;
    struct oxbow_id id;
    uint8_t name[OXBOW_POLICY_NAME_MAX]; /* of a destination */
    struct oxbow_bytes at;               /* what is waited for: the stream, or `name` */
    bool moved;                          /* that has changed in the last attempt */
};

static bool same(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Which queue was full: whether to wait for it, where that is not done already. */
static enum oxbow_err full_at(struct add_call *c, struct oxbow_txn *txn)
{
    struct oxbow_bytes full = {NULL, 0};
    enum oxbow_err err;

    if (!c->opt->add.unrouted) {
        full = binding_refuser(txn);
    }
    full = full.len > 0 ? full : c->opt->key;
    err = again_if_blocks(txn, full);
    if (err != OXBOW_EAGAIN || same(full, c->at)) {
        return err;
    }
    c->moved = true;
    if (same(full, c->opt->key)) {
        c->at = c->opt->key;
    } else {
        memcpy(c->name, full.data, full.len); /* it has a policy: its name is not longer */
        c->at = (struct oxbow_bytes){c->name, full.len};
    }
    return OXBOW_EFULL;
}

static enum oxbow_err add_one(void *ctx, struct oxbow_txn *txn, bool again)
{
    struct add_call *c = ctx;
    enum oxbow_err err = oxbow_stream_add(txn, c->opt->key, &c->opt->add, c->opt->fields,
                                          c->opt->field_count, &c->id);

    (void)again;
    return err == OXBOW_EFULL ? full_at(c, txn) : err;
}

/* What is left of the time to wait. */
static void time_left(struct oxbow *db, uint64_t since_us, const struct oxbow_wait_options *asked,
                      struct oxbow_wait_options *opt)
{
    const struct oxbow_clock *clock = &oxbow_port_of(db)->clock;
    uint64_t gone_ms = (clock->mono_us(clock->ctx) - since_us) / 1000;

    if (asked != NULL && asked->timeout_ms > 0) {
        opt->timeout_ms =
            (uint64_t)asked->timeout_ms > gone_ms ? asked->timeout_ms - (int64_t)gone_ms : 0;
    }
}

enum oxbow_err oxbow_stream_add_wait(struct oxbow *db, const struct oxbow_wait_options *opt,
                                     const struct oxbow_stream_add_wait_options *entry,
                                     struct oxbow_id *id)
{
    struct oxbow_wait_options left = {.timeout_ms = 0};
    struct add_call c = {.opt = entry};
    struct oxbow_wait_keys keys = {.kind = OXBOW_WAIT_ROOM, .keys = &c.at, .count = 1};
    uint64_t since_us;
    enum oxbow_err err;

    if (db == NULL || entry == NULL ||
        entry->add.no_create) { /* its OXBOW_EAGAIN would mean waiting */
        return OXBOW_EINVAL;
    }
    since_us = oxbow_port_of(db)->clock.mono_us(oxbow_port_of(db)->clock.ctx);
    if (opt != NULL) {
        left = *opt;
    }
    c.at = entry->key;
    do {
        c.moved = false;
        err = oxbow_wait_for(db, &left, &keys, add_one, &c);
        time_left(db, since_us, opt, &left);
    } while (err == OXBOW_EFULL && c.moved);
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
