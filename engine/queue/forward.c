/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes, changes, removes, lists and describes forwards. Options are checked by one table of
 * bounds; defaults are filled in when a forward is made, so that a record says what holds.
 */
#include "oxbow/forward.h"

#include "engine/base/codec.h"
#include "engine/base/id.h"
#include "engine/base/result.h"
#include "engine/queue/forward_doubt.h"
#include "engine/queue/forward_gap.h"
#include "engine/queue/forward_meanwhile.h"
#include "engine/queue/forward_record.h"
#include "engine/queue/forward_walk.h"
#include "oxbow/group.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"

#include <string.h>

#define HOLD_DEFAULT_MS 900000u
#define BATCH_COUNT_MAX 1000u
#define BATCH_BYTES_MIN 1024u
#define BATCH_BYTES_MAX (256u * 1024u)
#define WEIGHT_MAX      100u
#define LIST_RESULT_MAX (OXBOW_FORWARD_COUNT_MAX * (OXBOW_FORWARD_NAME_MAX + 1u))

static bool name_ok(const char *name, size_t max)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    size_t len = 0;

    for (; name[len] != '\0'; len++) {
        if (len == max || strchr(allowed, name[len]) == NULL) {
            return false;
        }
    }
    return len > 0;
}

/* A target key in Cluster is routed by what stands between the first '{' and the next '}'. */
static bool target_ok(struct oxbow_bytes target)
{
    const char *open;
    const char *close;

    if (target.len == 0) {
        return true;
    }
    if (target.len > OXBOW_FORWARD_KEY_MAX) {
        return false;
    }
    close = memchr(target.data, '}', target.len);
    open = memchr(target.data, '{', target.len);
    return close == NULL || (open != NULL && open + 1 < close);
}

static bool options_ok(const struct oxbow_forward_options *o)
{
    bool list = o->type == OXBOW_TYPE_LIST;

    return (list || o->type == OXBOW_TYPE_STREAM) && o->key.len > 0 &&
           o->key.len <= OXBOW_FORWARD_KEY_MAX && target_ok(o->target) &&
           (unsigned)o->select <= OXBOW_SELECT_ACKED && (unsigned)o->confirm <= OXBOW_CONFIRM_AOF &&
           (unsigned)o->after <= OXBOW_AFTER_KEEP &&
           (unsigned)o->on_full <= OXBOW_FULL_DROP_OLDEST &&
           (unsigned)o->on_deleted <= OXBOW_DELETED_CONTINUE && o->weight <= WEIGHT_MAX &&
           o->batch_count <= BATCH_COUNT_MAX && o->linger_ms >= -1 &&
           (o->batch_bytes == 0 ||
            (o->batch_bytes >= BATCH_BYTES_MIN && o->batch_bytes <= BATCH_BYTES_MAX)) &&
           (o->select == OXBOW_SELECT_ACKED) == (o->group.len > 0) &&
           o->group.len <= OXBOW_FORWARD_KEY_MAX &&
           !(list &&
             (o->select == OXBOW_SELECT_ACKED || o->after == OXBOW_AFTER_KEEP || o->true_time));
}

/* Copies the options into the record, texts too, with defaults filled in. */
static void adopt_options(struct forward_record *r, const struct oxbow_forward_options *opt)
{
    struct oxbow_forward_options *o = &r->config.options;
    struct oxbow_bytes target = o->target; /* stays when the new one is empty */

    *o = *opt;
    memcpy(r->config.key_text, opt->key.data, opt->key.len);
    o->key.data = r->config.key_text;
    if (opt->target.len > 0) {
        memcpy(r->config.target_text, opt->target.data, opt->target.len);
        o->target.data = r->config.target_text;
    } else {
        o->target = target;
    }
    if (opt->group.len > 0) {
        memcpy(r->config.group_text, opt->group.data, opt->group.len);
        o->group.data = r->config.group_text;
    }
    o->replicas = o->confirm == OXBOW_CONFIRM_REPLICAS && o->replicas == 0 ? 1 : o->replicas;
    o->hold_ms = o->hold_ms == 0 && o->type == OXBOW_TYPE_STREAM ? HOLD_DEFAULT_MS : o->hold_ms;
    o->weight = o->weight == 0 ? 1 : o->weight;
    o->batch_count = o->batch_count == 0 ? BATCH_COUNT_MAX : o->batch_count;
}

/* oxbow:{<device>}:<key>, when no target was named. */
static enum oxbow_err default_target(struct oxbow_txn *txn, struct forward_record *r)
{
    struct oxbow_identity identity;
    struct oxbow_bytes key = r->config.options.key;
    uint8_t *p = r->config.target_text;
    size_t device;
    enum oxbow_err err;

    if (r->config.options.target.len > 0) {
        return OXBOW_OK;
    }
    err = oxbow_identity_get(txn, &identity);
    if (err != OXBOW_OK) {
        return err;
    }
    device = strlen(identity.device);
    memcpy(p, "oxbow:{", 7);
    memcpy(p + 7, identity.device, device);
    memcpy(p + 7 + device, "}:", 2);
    memcpy(p + 9 + device, key.data, key.len);
    r->config.options.target = (struct oxbow_bytes){p, 9 + device + key.len};
    return OXBOW_OK;
}

static bool same(struct oxbow_bytes a, struct oxbow_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* No other forward may have the key or the target. Reads each record: forwards are few. */
static enum oxbow_err taken(struct oxbow_txn *txn, struct forward_table *t,
                            const struct forward_record *r)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct oxbow_forward_options *o = &t->record.config.options;
        enum oxbow_err err = forward_record_get(txn, t->rows[i].id, &t->record);

        if (err != OXBOW_OK) {
            return err;
        }
        if (same(o->target, r->config.options.target) ||
            (same(o->key, r->config.options.key) &&
             t->record.config.database == r->config.database)) {
            return OXBOW_EEXIST;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err new_id(struct oxbow_txn *txn, uint32_t *id)
{
    static const uint8_t name[] = {KV_SPACE_FORWARD, 'n'};
    const struct oxbow_bytes key = {name, sizeof name};
    struct oxbow_bytes value;
    uint8_t next[4];
    enum oxbow_err err = kv_get(txn, key, &value);

    if (err == OXBOW_OK && value.len != sizeof next) {
        return OXBOW_ECORRUPT;
    }
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    *id = err == OXBOW_OK ? get_le32(value.data) + 1 : 1;
    put_le32(next, *id);
    return kv_put(txn, key, (struct oxbow_bytes){next, sizeof next});
}

/* What is in the key already is backlog. */
static enum oxbow_err count_backlog(struct oxbow_txn *txn, struct forward_table *t,
                                    struct forward_record *r)
{
    enum oxbow_type type;
    enum oxbow_err err = oxbow_key_type(txn, r->config.options.key, &type);

    if (err != OXBOW_OK || type == OXBOW_TYPE_NONE) {
        return err;
    }
    if (type != r->config.options.type) {
        return OXBOW_EWRONGTYPE;
    }
    return forward_walk_span(txn, t, r, OXBOW_ID_MIN, OXBOW_ID_MAX,
                             &(struct forward_span){&r->backlog_entries, &r->backlog_bytes});
}

enum oxbow_err oxbow_forward_create(struct oxbow_txn *txn, const char *name,
                                    const struct oxbow_forward_options *opt)
{
    struct oxbow_identity identity = {.epoch = 0};
    struct forward_table *t;
    struct forward_record *r;
    enum oxbow_err err;

    if (!name_ok(name, OXBOW_FORWARD_NAME_MAX) || !options_ok(opt)) {
        return OXBOW_EINVAL;
    }
    err = forward_table_get(txn, &t);
    if (err != OXBOW_OK) {
        return err;
    }
    if (txn_in_cache(txn)) {
        return OXBOW_ENOTSUP; /* its cursor would outlive what it points at */
    }
    if (t->count == OXBOW_FORWARD_COUNT_MAX) {
        return OXBOW_ERANGE;
    }
    if (forward_row_named(t, name) != NULL) {
        return OXBOW_EEXIST;
    }
    err = oxbow_identity_get(txn, &identity);
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        return err;
    }
    r = &t->work;
    memset(r, 0, sizeof *r);
    adopt_options(r, opt);
    memcpy(r->config.name, name, strlen(name));
    r->config.database = txn_database(txn);
    r->config.epoch = identity.epoch;
    err = default_target(txn, r);
    if (err == OXBOW_OK) {
        err = forward_meanwhile_target(txn, r);
    }
    if (err == OXBOW_OK) {
        err = taken(txn, t, r);
    }
    if (err == OXBOW_OK) {
        err = count_backlog(txn, t, r);
    }
    if (err == OXBOW_OK) {
        err = new_id(txn, &r->config.id);
    }
    if (err == OXBOW_OK) {
        err = forward_record_put(txn, r);
    }
    if (err == OXBOW_OK) {
        err = forward_copy_put(txn, r);
    }
    if (err == OXBOW_OK) {
        err = oxbow_key_persist(txn, r->config.options.key,
                                NULL); /* what is carried does not expire */
    }
    forward_table_forget(t);
    return err;
}

enum oxbow_err oxbow_forward_change(struct oxbow_txn *txn, const char *name,
                                    const struct oxbow_forward_options *opt)
{
    struct oxbow_forward_options wanted = *opt;
    const struct oxbow_forward_options *now;
    struct forward_table *t;
    struct forward_record *r;
    enum oxbow_err err = forward_record_named(txn, name, &t, &r);

    if (err != OXBOW_OK) {
        return err;
    }
    now = &r->config.options;
    if ((wanted.key.len > 0 && !same(wanted.key, now->key)) ||
        (wanted.target.len > 0 && !same(wanted.target, now->target) &&
         !forward_meanwhile_same(txn, r, wanted.target)) ||
        (wanted.type != OXBOW_TYPE_NONE && wanted.type != now->type)) {
        return OXBOW_EINVAL;
    }
    wanted.key = now->key;
    wanted.type = now->type;
    wanted.target = (struct oxbow_bytes){NULL, 0};
    if (!options_ok(&wanted)) {
        return OXBOW_EINVAL;
    }
    t->record = *r; /* the texts must not be copied onto themselves */
    wanted.key.data = t->record.config.key_text;
    adopt_options(r, &wanted);
    forward_table_forget(t);
    err = forward_record_put(txn, r);
    return err == OXBOW_OK ? forward_copy_put(txn, r) : err;
}

enum oxbow_err oxbow_forward_remove(struct oxbow_txn *txn, const char *name)
{
    uint8_t key[FORWARD_KEY_MAX];
    struct forward_table *t;
    struct forward_record *r;
    bool more = true;
    enum oxbow_err err = forward_record_named(txn, name, &t, &r);

    if (err != OXBOW_OK) {
        return err;
    }
    if (r->backlog_entries > 0 && !txn_forced(txn)) {
        return OXBOW_EPROTECTED;
    }
    while (err == OXBOW_OK && more) {
        err = forward_gap_drop(txn, r->config.id, OXBOW_ID_MAX, &more);
    }
    if (err == OXBOW_OK) {
        err = kv_del(txn, (struct oxbow_bytes){key, forward_record_key(key, r->config.id)});
    }
    if (err == OXBOW_OK) {
        err = forward_copy_del(txn, r->config.id);
    }
    if (err == OXBOW_OK) {
        err = forward_doubt_del(txn, r->config.id);
    }
    if (err == OXBOW_OK) {
        err = forward_meanwhile_del(txn, r->config.id);
    }
    forward_table_forget(t);
    return err;
}

/* The copy's texts are its own. */
static void point_at_own_texts(struct oxbow_forward *f)
{
    f->options.key.data = f->key_text;
    f->options.target.data = f->target_text;
    f->options.group.data = f->options.group.len > 0 ? f->group_text : NULL;
}

enum oxbow_err oxbow_forward_get(struct oxbow_txn *txn, const char *name, struct oxbow_forward *out)
{
    struct forward_table *t;
    struct forward_record *r;
    enum oxbow_err err = forward_record_named(txn, name, &t, &r);

    if (err == OXBOW_OK) {
        *out = r->config;
        point_at_own_texts(out);
    }
    return err;
}

enum oxbow_err oxbow_forward_list(struct oxbow_txn *txn, struct oxbow_result *result)
{
    uint16_t order[OXBOW_FORWARD_COUNT_MAX] = {0};
    struct forward_table *t;
    enum oxbow_err err = forward_table_get(txn, &t);

    if (err != OXBOW_OK) {
        return err;
    }
    for (size_t i = 0; i < t->count; i++) {
        size_t at = i;

        for (; at > 0 && strcmp(t->rows[order[at - 1]].name, t->rows[i].name) > 0; at--) {
            order[at] = order[at - 1];
        }
        order[at] = (uint16_t)i;
    }
    err = result_begin(result, &txn_port(txn)->alloc, LIST_RESULT_MAX);
    for (size_t i = 0; err == OXBOW_OK && i < t->count; i++) {
        const char *name = t->rows[order[i]].name;

        err = result_item(result, (struct oxbow_bytes){name, strlen(name)});
    }
    if (err == OXBOW_OK) {
        result_finish(result);
    }
    return err;
}

uint64_t oxbow_forward_revision(struct oxbow *db)
{
    const struct oxbow_txn_options reading = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct forward_table *t;
    struct oxbow_txn *txn;
    uint64_t revision;

    if (oxbow_txn_begin(db, &reading, &txn) != OXBOW_OK) {
        return 0;
    }
    t = store_slot_get(db, STORE_SLOT_FORWARD);
    revision = t == NULL ? 0 : t->revision;
    oxbow_txn_abort(txn);
    return revision;
}
