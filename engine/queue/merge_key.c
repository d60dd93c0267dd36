/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One key of a stand-in: which batches it makes, and what goes over beside the entries: the groups
 * that the store lacks. When nothing is left of it the key goes.
 */
#include "engine/queue/forward.h"
#include "engine/queue/forward_meanwhile.h"
#include "engine/queue/merge.h"

#include "engine/base/id.h"
#include "oxbow/binding.h"
#include "oxbow/group.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"

#include <string.h>

static bool same(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* ---- groups and bindings ---- */

/* Each group that the store has not begins at the end of what is there, before what is merged. */
static enum oxbow_err make_groups(struct merge *m, const struct merge_unit *u)
{
    const struct oxbow_group_create_options opt = {.at_end = true, .make_stream = true};
    struct oxbow_txn *txn;
    size_t i;
    enum oxbow_err err = merge_begin(m->to, u->database, 0, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    for (i = 0; i < m->groups.item_count && err == OXBOW_OK; i++) {
        const struct oxbow_group group = {u->to, m->groups.items[i]};

        err = oxbow_group_create(txn, group, &opt);
        err = err == OXBOW_EBUSYGROUP ? OXBOW_OK : err;
    }
    return merge_finish(txn, err);
}

static enum oxbow_err look_at_groups(struct merge *m, struct merge_unit *u)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = merge_begin(m->from, u->database, OXBOW_TXN_READ | OXBOW_TXN_NOWAIT, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = oxbow_group_list(txn, u->key, &m->groups);
    oxbow_txn_abort(txn);
    u->grouped = err == OXBOW_OK && m->groups.item_count > 0;
    if (u->grouped) {
        err = make_groups(m, u);
    }
    return err == OXBOW_EWRONGTYPE ? OXBOW_OK : err; /* what takes it then has no groups */
}

enum oxbow_err merge_bindings(struct merge *m, struct merge_unit *u)
{
    struct oxbow_binding_info info;
    struct oxbow_txn *txn;
    uint32_t after = 0;
    enum oxbow_err err = merge_begin(m->from, u->database, OXBOW_TXN_READ | OXBOW_TXN_NOWAIT, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    while (err == OXBOW_OK && !u->unrouted) {
        err = oxbow_binding_next(txn, after, &info);
        if (err == OXBOW_OK) {
            after = info.id;
            u->unrouted = info.database == u->database && same(info.binding.source, u->key);
        }
    }
    oxbow_txn_abort(txn);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Whether the stream's forward tells the target when entries were added. */
static enum oxbow_err look_at_forward(struct merge *m, struct merge_unit *u)
{
    char name[OXBOW_FORWARD_NAME_MAX + 1];
    struct forward_record *r;
    struct forward_table *t;
    struct oxbow_txn *txn;
    enum oxbow_err err = merge_begin(m->to, u->database, OXBOW_TXN_READ | OXBOW_TXN_NOWAIT, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = forward_of(txn, u->to, name);
    if (err == OXBOW_OK && name[0] != '\0') {
        err = forward_record_named(txn, name, &t, &r);
        u->timed = err == OXBOW_OK && r->config.options.true_time;
    }
    oxbow_txn_abort(txn);
    return err;
}

/* ---- units ---- */

/* Where another type has the name, it goes beside it. */
static enum oxbow_err run_or_aside(struct merge *m, struct merge_unit *u)
{
    char suffix[MEANWHILE_MAX];
    size_t len = meanwhile_suffix(suffix, m->stand_in);
    struct buf name;
    enum oxbow_err err = merge_unit_run(m, u);

    if (err != OXBOW_EWRONGTYPE) {
        return err;
    }
    buf_init(&name, m->alloc, OXBOW_KEY_NAME_MAX + MEANWHILE_MAX);
    err = buf_append(&name, u->key.data, u->key.len);
    if (err == OXBOW_OK) {
        err = buf_append(&name, suffix, len);
    }
    if (err == OXBOW_OK) {
        u->to = (struct oxbow_bytes){name.data, name.len};
        err = merge_unit_run(m, u);
        u->to = u->key;
    }
    buf_fini(&name);
    return err;
}

static enum oxbow_err run_stream(struct merge *m, struct merge_unit *u)
{
    struct buf key;
    enum oxbow_err err;

    buf_init(&key, m->alloc, OXBOW_KEY_NAME_MAX + MEANWHILE_MAX);
    err = merge_parked(m, u, &key, &u->upto);
    if (err == OXBOW_OK && !id_is_zero(u->upto)) {
        u->to = (struct oxbow_bytes){key.data, key.len};
        u->parked = true;
        u->timed = m->forward.config.options.true_time;
        err = merge_unit_run(m, u);
        u->parked = u->timed = false;
        u->to = u->key;
    }
    buf_fini(&key);
    u->upto = OXBOW_ID_MAX;
    if (err == OXBOW_OK && m->left == OXBOW_OK) {
        err = look_at_groups(m, u);
    }
    if (err == OXBOW_OK && m->left == OXBOW_OK) {
        err = merge_bindings(m, u);
    }
    if (err == OXBOW_OK && m->left == OXBOW_OK) {
        err = look_at_forward(m, u);
    }
    return err == OXBOW_OK && m->left == OXBOW_OK ? run_or_aside(m, u) : err;
}

static enum oxbow_err look(struct merge *m, struct merge_unit *u, enum oxbow_type *type)
{
    struct oxbow_txn *txn;
    uint64_t left_ms = UINT64_MAX;
    enum oxbow_err err = merge_begin(m->from, u->database, OXBOW_TXN_READ | OXBOW_TXN_NOWAIT, &txn);

    if (err == OXBOW_OK) {
        err = oxbow_key_type(txn, u->key, type);
        if (err == OXBOW_OK && *type != OXBOW_TYPE_NONE) {
            err = oxbow_key_ttl(txn, u->key, &left_ms);
        }
        oxbow_txn_abort(txn);
    }
    u->ttl_ms = left_ms <= INT64_MAX ? left_ms : 0;
    return err;
}

static enum oxbow_err remove_key(struct merge *m, const struct merge_unit *u)
{
    struct oxbow_txn *txn;
    bool existed;
    enum oxbow_err err = merge_begin(m->from, u->database, OXBOW_TXN_FORCE, &txn);

    return err == OXBOW_OK ? merge_finish(txn, oxbow_key_delete(txn, u->key, &existed)) : err;
}

enum oxbow_err merge_key(struct merge *m, uint32_t database, struct oxbow_bytes key)
{
    struct merge_unit u = {.database = database, .key = key, .to = key, .upto = OXBOW_ID_MAX};
    enum oxbow_err before = m->left;
    enum oxbow_type type;
    enum oxbow_err err = look(m, &u, &type);

    if (err != OXBOW_OK || type == OXBOW_TYPE_NONE) {
        return err;
    }
    m->left = OXBOW_OK;
    switch (type) {
    case OXBOW_TYPE_STREAM:
        u.kind = MERGE_STREAM;
        err = run_stream(m, &u);
        break;
    case OXBOW_TYPE_LIST:
        u.kind = MERGE_LIST;
        err = run_or_aside(m, &u);
        break;
    case OXBOW_TYPE_STRING:
        u.kind = MERGE_STRING;
        err = run_or_aside(m, &u);
        break;
    default:
        if (!merge_members_kind(type, &u.kind)) {
            return OXBOW_ECORRUPT;
        }
        err = run_or_aside(m, &u);
        break;
    }
    if (merge_refused(err) || err == OXBOW_ENOTSUP || err == OXBOW_ERANGE || err == OXBOW_EEXIST ||
        err == OXBOW_EWRONGTYPE) { /* this key stays, others go on */
        m->left = err;
        err = OXBOW_OK;
    }
    if (err == OXBOW_OK && m->left == OXBOW_OK) {
        err = remove_key(m, &u);
    }
    m->left = m->left == OXBOW_OK ? before : m->left;
    return err;
}
