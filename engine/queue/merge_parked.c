/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stand-in's forward may have sent and was not told of. Whether it is at the target only the
 * target knows, so it goes on where it was: into a stream of its own, under its ids, with a forward to
 * the key that the stand-in sent to, which starts after what was confirmed. That forward's guard and the
 * target's position settle it as they settle any lost reply.
 *
 *   key      KEY:meanwhile:<stand-in's store id>         in the same database
 *   forward  meanwhile-<stand-in's store id>-<number of the forward there>
 *
 * Invariant: what lies above the stand-in's note was never sent, and goes to the key's own stream.
 */
#include "engine/queue/merge.h"

#include "engine/base/id.h"
#include "engine/queue/forward.h"
#include "engine/queue/forward_gap.h"
#include "engine/queue/forward_meanwhile.h"
#include "oxbow/stream.h"

#include <stdio.h>
#include <string.h>

#define NAME_PREFIX "meanwhile-"
#define TRIM_STEP   4096u

/* The stand-in's forward of the unit's key, and its note. OXBOW_ENOENT: it has none. */
static enum oxbow_err forward_read(struct merge *m, const struct merge_unit *u,
                                   struct oxbow_id *reach)
{
    char name[OXBOW_FORWARD_NAME_MAX + 1];
    struct forward_record *r;
    struct forward_table *t;
    struct oxbow_txn *txn;
    enum oxbow_err err = merge_begin(m->from, u->database, OXBOW_TXN_READ | OXBOW_TXN_NOWAIT, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = forward_of(txn, u->key, name);
    if (err == OXBOW_OK) {
        err = name[0] == '\0' ? OXBOW_ENOENT : forward_record_named(txn, name, &t, &r);
    }
    if (err == OXBOW_OK) {
        m->forward = *r;
        m->forward.config.options.key.data = m->forward.config.key_text;
        m->forward.config.options.target.data = m->forward.config.target_text;
        err = forward_meanwhile_reach(txn, r, reach);
    }
    oxbow_txn_abort(txn);
    return err;
}

enum oxbow_err merge_confirmed(struct merge *m, const struct merge_unit *u,
                               struct oxbow_id *confirmed)
{
    struct oxbow_id reach;
    enum oxbow_err err = forward_read(m, u, &reach);

    *confirmed = err == OXBOW_OK ? m->forward.confirmed : OXBOW_ID_MIN;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Removes what the target has confirmed. */
static enum oxbow_err drop_confirmed(struct merge *m, const struct merge_unit *u)
{
    struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MINID, .minid = m->forward.confirmed};
    bool more = !id_is_zero(m->forward.confirmed) && id_next(&trim.minid);
    enum oxbow_err err = OXBOW_OK;

    while (more && err == OXBOW_OK) {
        struct oxbow_txn *txn;
        uint64_t removed;

        err = merge_begin(m->from, u->database, OXBOW_TXN_FORCE, &txn);
        if (err == OXBOW_OK) {
            err = merge_finish(
                txn, oxbow_stream_trim_step(txn, u->key, &trim, TRIM_STEP, &removed, &more));
        }
    }
    return err;
}

static enum oxbow_err key_of(const struct merge *m, const struct merge_unit *u, struct buf *key)
{
    char suffix[MEANWHILE_MAX];
    size_t len = meanwhile_suffix(suffix, m->stand_in);
    enum oxbow_err err = OXBOW_OK;

    key->len = 0;
    if (u->key.len + len <= OXBOW_FORWARD_KEY_MAX) {
        err = buf_append(key, u->key.data, u->key.len);
    }
    return err == OXBOW_OK ? buf_append(key, suffix, len) : err;
}

/* The gaps between what was confirmed and what may have been sent: the target may stand on one. */
static enum oxbow_err copy_gaps(struct merge *m, struct oxbow_id reach, struct forward_record *r,
                                struct oxbow_txn *to)
{
    struct oxbow_id after = m->forward.confirmed;
    struct oxbow_gap gap;
    struct oxbow_txn *from;
    enum oxbow_err err = merge_begin(m->from, 0, OXBOW_TXN_READ | OXBOW_TXN_NOWAIT, &from);

    if (err != OXBOW_OK) {
        return err;
    }
    for (;;) {
        err = forward_gap_next(from, m->forward.config.id, after, &gap);
        if (err != OXBOW_OK || id_compare(gap.to, reach) > 0) {
            break;
        }
        after = gap.to;
        err = forward_gap_add(to, r, &gap, false);
        if (err != OXBOW_OK) {
            break;
        }
    }
    oxbow_txn_abort(from);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* The forward that starts after what was confirmed. */
static enum oxbow_err forward_make(struct merge *m, struct oxbow_bytes key, struct oxbow_id reach,
                                   struct oxbow_txn *to)
{
    const struct oxbow_forward_options *was = &m->forward.config.options;
    const struct oxbow_forward_options opt = {.key = key,
                                              .type = OXBOW_TYPE_STREAM,
                                              .target = was->target,
                                              .confirm = was->confirm,
                                              .replicas = was->replicas,
                                              .hold_ms = was->hold_ms,
                                              .on_deleted = was->on_deleted,
                                              .urgent = was->urgent,
                                              .weight = was->weight,
                                              .batch_bytes = was->batch_bytes,
                                              .batch_count = was->batch_count};
    char name[OXBOW_FORWARD_NAME_MAX + 1];
    struct forward_record *r;
    struct forward_table *t;
    enum oxbow_err err;

    (void)snprintf(name, sizeof name, NAME_PREFIX "%016llx-%u", (unsigned long long)m->stand_in,
                   (unsigned)m->forward.config.id);
    err = forward_record_named(to, name, &t, &r);
    if (err != OXBOW_ENOENT) {
        return err; /* of an earlier part of this merge */
    }
    err = oxbow_forward_create(to, name, &opt);
    if (err == OXBOW_OK) {
        err = forward_record_named(to, name, &t, &r);
    }
    if (err == OXBOW_OK) {
        r->trimmed = r->confirmed = r->sent = m->forward.confirmed;
        err = copy_gaps(m, reach, r, to);
    }
    return err == OXBOW_OK ? forward_record_put(to, r) : err;
}

enum oxbow_err merge_parked(struct merge *m, struct merge_unit *u, struct buf *key,
                            struct oxbow_id *upto)
{
    struct oxbow_txn *txn;
    enum oxbow_err err = forward_read(m, u, upto);

    if (err != OXBOW_OK) {
        *upto = OXBOW_ID_MIN;
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    err = drop_confirmed(m, u);
    if (err != OXBOW_OK || id_compare(*upto, m->forward.confirmed) <= 0) {
        *upto = OXBOW_ID_MIN;
        return err;
    }
    err = key_of(m, u, key);
    if (err == OXBOW_OK) {
        err = merge_begin(m->to, u->database, 0, &txn);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = forward_make(m, (struct oxbow_bytes){key->data, key->len}, *upto, txn);
    return merge_finish(txn, err);
}

/* ---- afterwards ---- */

static enum oxbow_err tidy_one(struct oxbow_txn *txn, const char *name, struct oxbow_forward *f)
{
    struct oxbow_forward_status status;
    uint64_t len = 0;
    bool existed;
    enum oxbow_err err = oxbow_forward_get(txn, name, f);

    if (err == OXBOW_OK) {
        err = oxbow_forward_status(txn, name, &status);
    }
    if (err == OXBOW_OK) {
        err = oxbow_txn_select(txn, f->database);
    }
    if (err == OXBOW_OK) {
        err = oxbow_stream_len(txn, f->options.key, &len);
    }
    if (err != OXBOW_OK || len > 0 || status.backlog_entries > 0) {
        return err;
    }
    err = oxbow_forward_remove(txn, name);
    return err == OXBOW_OK ? oxbow_key_delete(txn, f->options.key, &existed) : err;
}

enum oxbow_err merge_parked_tidy(struct oxbow *db)
{
    const struct oxbow_alloc *alloc = &oxbow_port_of(db)->alloc;
    struct oxbow_forward *f = mem_new(alloc, sizeof *f);
    struct oxbow_result names = {0};
    struct oxbow_txn *txn;
    size_t i;
    enum oxbow_err err = f == NULL ? OXBOW_ENOMEM : merge_begin(db, 0, 0, &txn);

    if (err == OXBOW_OK) {
        err = oxbow_forward_list(txn, &names);
        for (i = 0; err == OXBOW_OK && i < names.item_count; i++) {
            char name[OXBOW_FORWARD_NAME_MAX + 1] = "";

            memcpy(name, names.items[i].data, names.items[i].len);
            if (strncmp(name, NAME_PREFIX, sizeof NAME_PREFIX - 1) == 0) {
                err = tidy_one(txn, name, f);
            }
        }
        err = merge_finish(txn, err);
    }
    oxbow_result_fini(&names);
    mem_free(alloc, f, sizeof *f);
    return err;
}
