/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reading transaction sees all: where the threads stand, their lists and streams, the log,
 * and what the log leads to. Its commit under `always` says that what was seen is durable.
 */
#include "tests/rigs/verify.h"

#include "oxbow/check.h"
#include "oxbow/group.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "tests/rigs/model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PENDING_MAX 4096u

struct look {
    struct oxbow_txn *txn;
    struct model model;
    struct verdict *verdict;
    struct oxbow_result result;
    struct row_of list;
};

static bool bad(struct verdict *v, const char *format, ...)
{
    va_list args;

    if (v->why[0] == '\0') {
        va_start(args, format);
        vsnprintf(v->why, sizeof v->why, format, args);
        va_end(args);
    }
    v->good = false;
    return false;
}

static bool done(struct verdict *v, enum oxbow_err err, const char *what)
{
    return err == OXBOW_OK || bad(v, "%s: %s", what, oxbow_err_name(err));
}

static bool is_token(struct look *l, const char *where, size_t idx, struct oxbow_bytes found,
                     const struct token *wanted)
{
    struct token token = {0};

    l->verdict->objects++;
    if (!plan_is_value(l->model.seed, found.data, found.len, &token))
        return bad(l->verdict, "%s[%zu]: %zu bytes that were never written", where, idx, found.len);
    if (token.thread != wanted->thread || token.n != wanted->n || token.part != wanted->part)
        return bad(l->verdict,
                   "%s[%zu] is %u/%" PRIu64 ".%u, and %u/%" PRIu64 ".%u should be there", where,
                   idx, token.thread, token.n, token.part, wanted->thread, wanted->n, wanted->part);
    return true;
}

static bool list_is(struct look *l, const char *key, const struct row_of *wanted)
{
    uint64_t len = 0;

    if (!done(l->verdict, oxbow_list_range(l->txn, load_bytes(key), 0, -1, &l->result), key) ||
        !done(l->verdict, oxbow_list_len(l->txn, load_bytes(key), &len), key))
        return false;
    if (l->result.item_count != wanted->count || len != wanted->count)
        return bad(l->verdict, "%s has %zu elements (LLEN %" PRIu64 "), %zu should be there", key,
                   l->result.item_count, len, wanted->count);
    for (size_t i = 0; i < wanted->count; i++)
        if (!is_token(l, key, i, l->result.items[i], row_at(wanted, i)))
            return false;
    return true;
}

static bool read_stream(struct look *l, const char *key)
{
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};

    return done(l->verdict, oxbow_stream_range(l->txn, load_bytes(key), &all, &l->result), key);
}

/* The first field's value. */
static struct oxbow_bytes value_of(const struct oxbow_entry *entry)
{
    return entry->field_count == 1 ? entry->fields[0].value : (struct oxbow_bytes){0};
}

static bool stream_is(struct look *l, const char *key, const struct row_of *wanted, bool ids)
{
    if (!read_stream(l, key))
        return false;
    if (l->result.entry_count != wanted->count)
        return bad(l->verdict, "%s has %zu entries, %zu should be there", key,
                   l->result.entry_count, wanted->count);
    for (size_t i = 0; i < wanted->count; i++) {
        const struct oxbow_entry *e = &l->result.entries[i];
        const struct oxbow_id *id = &wanted->ids[wanted->first + i];
        if (ids && (e->id.ms != id->ms || e->id.seq != id->seq))
            return bad(l->verdict, "%s[%zu] has another id than the log says", key, i);
        if (!is_token(l, key, i, value_of(e), row_at(wanted, i)))
            return false;
    }
    return true;
}

static bool own_stream_is_right(struct look *l, uint32_t thread)
{
    struct key_name key = load_stream_name(thread);
    struct oxbow_stream_info info = {0};
    uint64_t ids[OWN_KEEP], added;
    size_t count = model_stream(&l->model, thread, ids, &added);
    enum oxbow_err err = oxbow_stream_info(l->txn, load_bytes(key.text), &info);

    if (err != OXBOW_ENOENT && !done(l->verdict, err, key.text))
        return false;
    if (info.entries_added != added || info.length != count)
        return bad(l->verdict,
                   "%s: %" PRIu64 " entries of %" PRIu64 " added, it should be %zu of %" PRIu64,
                   key.text, info.length, info.entries_added, count, added);
    if (!read_stream(l, key.text))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct oxbow_entry *e = &l->result.entries[i];
        const uint32_t part = op_is_shared(plan_op(l->model.seed, thread, ids[i]).kind) ? 1 : 0;
        if (l->result.entry_count != count || e->id.ms != ids[i])
            return bad(l->verdict, "%s[%zu] has another id than the plan says", key.text, i);
        if (!is_token(l, key.text, i, value_of(e), &(struct token){thread, part, ids[i]}))
            return false;
    }
    return true;
}

static bool follow_log(struct look *l)
{
    char why[200];

    if (!read_stream(l, "log"))
        return false;
    l->verdict->rows = l->result.entry_count;
    for (size_t i = 0; i < l->result.entry_count; i++) {
        struct oxbow_bytes row = value_of(&l->result.entries[i]);
        if (!model_log(&l->model, row.data, row.len, why, sizeof why))
            return bad(l->verdict, "%s", why);
    }
    return model_log_ends(&l->model, why, sizeof why) || bad(l->verdict, "%s", why);
}

static bool group_is_right(struct look *l)
{
    static const struct oxbow_pending_filter all = {.to = {UINT64_MAX, UINT64_MAX},
                                                    .count = PENDING_MAX};
    const struct oxbow_group group = {load_bytes("events"), load_bytes("g")};
    struct oxbow_pending found[PENDING_MAX];
    struct oxbow_group_info info = {0};
    const struct model *m = &l->model;
    size_t count = 0;
    enum oxbow_err err = oxbow_group_info(l->txn, group, &info);

    if ((err == OXBOW_ENOENT || err == OXBOW_ENOGROUP) && l->verdict->rows == 0)
        return true; /* killed before anything was made */
    if (!done(l->verdict, err, "group") ||
        !done(l->verdict, oxbow_group_pending(l->txn, group, &all, &l->result, found, &count),
              "pending"))
        return false;
    if (info.last_id.ms != m->read.ms || info.last_id.seq != m->read.seq)
        return bad(l->verdict, "the group has read up to another id than the log says");
    if (count != m->pending_count || info.pending != count)
        return bad(l->verdict, "%zu entries are pending (%" PRIu64 " counted), %zu should be",
                   count, info.pending, m->pending_count);
    for (size_t i = 0; i < count; i++) {
        struct key_name name = load_consumer_name(m->pending[i].thread);
        if (found[i].id.ms != m->pending[i].id.ms || found[i].id.seq != m->pending[i].id.seq ||
            found[i].consumer.len != strlen(name.text) ||
            memcmp(found[i].consumer.data, name.text, strlen(name.text)) != 0)
            return bad(l->verdict, "pending[%zu] is another one than the log says", i);
    }
    return true;
}

static bool all_is_right(struct look *l)
{
    for (uint32_t t = 0; t < THREADS_MAX; t++)
        if (!done(l->verdict, load_position(l->txn, l->model.seed, t, &l->verdict->found[t]),
                  "position"))
            return false;
    model_init(&l->model, l->model.seed, l->verdict->found);
    for (uint32_t t = 0; t < THREADS_MAX; t++) {
        struct key_name key = load_list_name(t);
        model_list(&l->model, t, &l->list);
        if (!list_is(l, key.text, &l->list) || !own_stream_is_right(l, t))
            return false;
    }
    return follow_log(l) && list_is(l, "work", &l->model.work) &&
           stream_is(l, "done", &l->model.done, false) &&
           stream_is(l, "events", &l->model.events, true) && group_is_right(l);
}

static void look_at(struct oxbow *db, const struct witness *w, struct verdict *v)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ, .sync = OXBOW_SYNC_ALWAYS};
    struct look l = {.verdict = v, .model = {.seed = w->seed}};

    if (!done(v, oxbow_txn_begin(db, &opt, &l.txn), "begin"))
        return;
    (void)all_is_right(&l);
    (void)done(v, oxbow_txn_commit(l.txn, &v->lsn), "a reader's commit");
    oxbow_result_fini(&l.result);
    row_free(&l.list);
    model_fini(&l.model);
    if (v->good)
        v->good = witness_agrees(w, v->found, v->why, sizeof v->why);
}

static void finding(void *ctx, const struct oxbow_finding *f)
{
    if (f->kind != OXBOW_FINDING_LOST && f->kind != OXBOW_FINDING_DOUBT)
        fprintf(stderr, "%s: page %" PRIu64 ": %s\n", (const char *)ctx, f->page, f->text);
}

static void check(const struct load_options *o, const char *when, struct verdict *v)
{
    struct oxbow_check_report report = {0};
    char text[64];
    enum oxbow_err err;

    snprintf(text, sizeof text, "check %s", when);
    err = oxbow_check(
        o->dir, &(struct oxbow_check_options){.port = o->port, .ctx = text, .finding = finding},
        &report);
    if (err == OXBOW_ENOENT)
        return; /* killed before there was one: opening makes it */
    if (done(v, err, text) && (report.damage != 0 || report.values_bad != 0))
        (void)bad(v, "%s: damage %" PRIu64 ", bad values %" PRIu64, text, report.damage,
                  report.values_bad);
}

void verify_store(const struct load_options *options, const struct witness *w, bool with_check,
                  struct verdict *v)
{
    struct oxbow_config config;
    struct oxbow *db = NULL;
    enum oxbow_err err;

    *v = (struct verdict){.good = true};
    if (with_check)
        check(options, "before", v);
    load_config(options, &config);
    err = oxbow_open(&config, &db);
    if (!done(v, err, "open"))
        return;
    oxbow_recovery(db, &v->recovery);
    if (v->recovery.lost_upto != 0 || v->recovery.skipped != 0)
        (void)bad(
            v, "open says that damage took LSN %" PRIu64 " to %" PRIu64 " and %" PRIu64 " changes",
            v->recovery.lost_from, v->recovery.lost_upto, v->recovery.skipped);
    look_at(db, w, v);
    (void)done(v, oxbow_close(db), "close");
    if (with_check)
        check(options, "after", v);
}
