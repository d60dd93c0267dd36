/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a damaged store must still be. A list holds the model's elements in their order, and those
 * that it lacks lie between the positions told; a stream's between the ids told; numbers told are
 * exact. Nothing else may be missing, and nothing may be there that the model has not.
 */
#include "tests/crash/salvaged.h"

#include "oxbow/check.h"
#include "oxbow/group.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/loss.h"
#include "oxbow/stream.h"
#include "tests/crash/harness.h"
#include "tests/crash/pages.h"
#include "tests/crash/queue_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LOSSES_MAX  64u
#define PENDING_MAX 1024u

struct told {
    struct oxbow_loss at[LOSSES_MAX];
    char keys[LOSSES_MAX][16];
    size_t count;
    bool nameless; /* names are lost, nobody knows which */
    bool doubt;    /* the last checkpoint may be */
};

struct look {
    struct oxbow_txn *txn;
    const struct model *model;
    const struct told *told;
    struct verdict *v;
};

__attribute__((format(printf, 3, 4))) static bool say(struct verdict *v, enum verdict_kind kind,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(v->reason, sizeof v->reason, format, args);
    va_end(args);
    v->kind = kind;
    return false;
}

/* ---- losses ---- */

static enum oxbow_err hear(void *ctx, const struct oxbow_loss *l)
{
    struct told *t = ctx;
    if (t->count == LOSSES_MAX)
        return OXBOW_ERANGE;
    snprintf(t->keys[t->count], sizeof t->keys[0], "%.*s", (int)l->key.len,
             (const char *)l->key.data);
    t->at[t->count++] = *l;
    t->nameless |= l->kind == OXBOW_LOSS_NAMES || l->kind == OXBOW_LOSS_DATABASE ||
                   l->kind == OXBOW_LOSS_ORPHAN;
    t->doubt |= l->kind == OXBOW_LOSS_COMMIT;
    return OXBOW_OK;
}

static const struct oxbow_loss *find(const struct told *t, enum oxbow_loss_kind kind,
                                     const char *key)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->at[i].kind == kind && strcmp(t->keys[i], key) == 0)
            return &t->at[i];
    return NULL;
}

/* ---- lists ---- */

static bool same(struct oxbow_bytes a, struct text b)
{
    return a.len == b.len && memcmp(a.data, b.bytes, a.len) == 0;
}

/* Whether r holds m's elements but for some between `first` and `last`. Equal neighbours do not
 * matter: the front is matched as far as it may not be missing, then the back, then the rest. */
static bool list_fits(const struct oxbow_result *r, const struct mlist *m,
                      const struct oxbow_loss *l)
{
    size_t front = l == NULL ? m->count : (size_t)l->first.seq;
    size_t back = l == NULL || l->last.seq + 1 >= m->count ? 0 : m->count - (size_t)l->last.seq - 1;
    size_t n = r->item_count;
    if (l != NULL && l->entries == UINT64_MAX)
        front = back = 0;
    if (front + back > n || n > m->count)
        return false;
    for (size_t i = 0; i < front; i++)
        if (!same(r->items[i], m->at[i]))
            return false;
    for (size_t i = 0; i < back; i++)
        if (!same(r->items[n - 1 - i], m->at[m->count - 1 - i]))
            return false;
    size_t at = front;
    for (size_t i = front; i < n - back; i++) {
        while (at < m->count - back && !same(r->items[i], m->at[at]))
            at++;
        if (at++ >= m->count - back)
            return false;
    }
    return true;
}

static bool look_list(const struct look *k, unsigned idx, enum oxbow_err *err)
{
    const char *name = list_names[idx];
    const struct mlist *m = &k->model->lists[idx];
    const struct oxbow_loss *l = find(k->told, OXBOW_LOSS_ENTRIES, name);
    struct oxbow_result r = {0};
    uint64_t len = 0;
    *err = oxbow_list_range(k->txn, text_of(name), 0, -1, &r);
    if (*err == OXBOW_OK)
        *err = oxbow_list_len(k->txn, text_of(name), &len);
    bool gone = find(k->told, OXBOW_LOSS_KEY, name) != NULL || k->told->nameless;
    bool fits =
        *err == OXBOW_OK && len == r.item_count && ((len == 0 && gone) || list_fits(&r, m, l));
    bool counts =
        l == NULL || l->entries == UINT64_MAX || len + l->entries == m->count || (len == 0 && gone);
    size_t there = r.item_count;
    oxbow_result_fini(&r);
    if (*err != OXBOW_OK)
        return say(k->v, VERDICT_NO_READ, "list %s: %s", name, oxbow_err_name(*err));
    return (fits && counts) || say(k->v, VERDICT_UNKNOWN, "list %s: %zu of %zu elements, %s", name,
                                   there, m->count, l == NULL ? "no loss told" : "a loss told");
}

/* ---- streams ---- */

static bool entry_fits(const struct oxbow_entry *e, const struct mentry *m)
{
    return id_same(e->id, m->id) && e->field_count == 1 && same(e->fields[0].value, m->value);
}

static bool within(struct oxbow_id id, const struct oxbow_loss *l)
{
    return l != NULL && !id_less(id, l->first) && !id_less(l->last, id);
}

static bool entries_fit(const struct look *k, const struct oxbow_result *r, const struct mstream *m,
                        const struct oxbow_loss *l)
{
    uint64_t missing = 0;
    size_t at = 0;
    for (size_t i = 0; i <= r->entry_count; i++) {
        for (; at < m->count && (i == r->entry_count || !id_same(r->entries[i].id, m->at[at].id));
             at++, missing++)
            if (!within(m->at[at].id, l))
                return say(k->v, VERDICT_UNKNOWN, "entry %llu-%llu is missing, and not told",
                           (unsigned long long)m->at[at].id.ms,
                           (unsigned long long)m->at[at].id.seq);
        if (i < r->entry_count && (at == m->count || !entry_fits(&r->entries[i], &m->at[at])))
            return say(k->v, VERDICT_UNKNOWN, "a stream serves what never was");
        at++;
    }
    return l == NULL || l->entries == UINT64_MAX || l->entries == missing ||
           say(k->v, VERDICT_UNKNOWN, "%llu entries are missing, %llu told",
               (unsigned long long)missing, (unsigned long long)l->entries);
}

static bool pending_fit(const struct look *k, unsigned idx, enum oxbow_err *err)
{
    static struct oxbow_pending rows[PENDING_MAX];
    const char *name = stream_names[idx];
    const struct mstream *m = &k->model->streams[idx];
    const struct oxbow_loss *l = find(k->told, OXBOW_LOSS_PENDING, name);
    struct oxbow_group group = {text_of(name), text_of("g")};
    struct oxbow_pending_filter all = {.to = OXBOW_ID_MAX, .count = PENDING_MAX};
    struct oxbow_result names = {0};
    struct oxbow_group_info info;
    size_t count = 0, at = 0;
    bool fits = true;
    *err = oxbow_group_info(k->txn, group, &info);
    if (*err == OXBOW_ENOGROUP) {
        *err = OXBOW_OK;
        return !m->group || find(k->told, OXBOW_LOSS_GROUP, name) != NULL ||
               say(k->v, VERDICT_UNKNOWN, "a group is missing, and not told");
    }
    if (*err == OXBOW_OK)
        *err = oxbow_group_pending(k->txn, group, &all, &names, rows, &count);
    for (size_t i = 0; i < count && *err == OXBOW_OK && fits; i++, at++) {
        while (at < m->pending_count && !id_same(rows[i].id, m->pending[at].id))
            at++;
        fits = at < m->pending_count && rows[i].deliveries == m->pending[at].deliveries;
        struct oxbow_bytes who = text_of(fits ? consumer_names[m->pending[at].consumer] : "");
        bool own = who.len == rows[i].consumer.len &&
                   memcmp(who.data, rows[i].consumer.data, who.len) == 0;
        fits = fits && (own || find(k->told, OXBOW_LOSS_CONSUMER, name) != NULL);
    }
    oxbow_result_fini(&names);
    if (*err != OXBOW_OK)
        return say(k->v, VERDICT_NO_READ, "group of %s: %s", name, oxbow_err_name(*err));
    fits = fits && m->group && info.pending == count &&
           count + (l != NULL ? l->entries : 0) == m->pending_count &&
           id_same(info.last_id, m->group_last);
    return fits || say(k->v, VERDICT_UNKNOWN, "group of %s: %zu of %zu pending", name, count,
                       m->pending_count);
}

static bool look_stream(const struct look *k, unsigned idx, enum oxbow_err *err)
{
    const char *name = stream_names[idx];
    const struct mstream *m = &k->model->streams[idx];
    const struct oxbow_loss *l = find(k->told, OXBOW_LOSS_ENTRIES, name);
    struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    struct oxbow_stream_info info;
    struct oxbow_result r = {0};
    *err = oxbow_stream_info(k->txn, text_of(name), &info);
    if (*err == OXBOW_ENOENT) {
        *err = OXBOW_OK;
        return !m->there || k->told->nameless ||
               say(k->v, VERDICT_UNKNOWN, "stream %s is missing, and not told", name);
    }
    if (*err == OXBOW_OK)
        *err = oxbow_stream_range(k->txn, text_of(name), &all, &r);
    bool fits =
        *err == OXBOW_OK && m->there && r.entry_count == info.length && entries_fit(k, &r, m, l);
    oxbow_result_fini(&r);
    if (*err != OXBOW_OK)
        return say(k->v, VERDICT_NO_READ, "stream %s: %s", name, oxbow_err_name(*err));
    if (!fits && k->v->kind != VERDICT_UNKNOWN)
        return say(k->v, VERDICT_UNKNOWN, "stream %s: its length is wrong", name);
    if (!fits)
        return false;
    return pending_fit(k, idx, err);
}

/* ---- the whole ---- */

static bool look_at(struct oxbow *db, const struct model *m, const struct told *told,
                    struct verdict *v, enum oxbow_err *err)
{
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct look k = {.model = m, .told = told, .v = v};
    bool good = true;
    v->kind = VERDICT_PENDING;
    *err = oxbow_txn_begin(db, &opt, &k.txn);
    if (*err != OXBOW_OK)
        return say(v, VERDICT_NO_READ, "begin: %s", oxbow_err_name(*err));
    for (unsigned i = 0; i < LISTS && good; i++)
        good = look_list(&k, i, err);
    for (unsigned i = 0; i < STREAMS && good; i++)
        good = look_stream(&k, i, err);
    oxbow_txn_abort(k.txn);
    return good;
}

/* The state after the last step; after one before, if the store says that its last checkpoint may
 * be missing. */
static bool compare(const struct judge_config *c, struct oxbow *db, const struct told *told,
                    struct verdict *v, enum oxbow_err *err)
{
    bool doubt = told->doubt;
    for (unsigned i = 0; i < VERDICT_LOGS; i++)
        doubt |= strstr(v->log[i], "may be missing") != NULL;
    for (uint64_t step = c->path->count;; step--) {
        struct model *m = path_model(c->path, step);
        bool good = look_at(db, m, told, v, err);
        c->path->subject->close(m);
        if (good || !doubt || step == 0 || *err != OXBOW_OK)
            return good;
    }
}

/* Everything goes on: a few writes of every kind. */
static enum oxbow_err use(struct oxbow *db)
{
    struct oxbow_txn_options opt = {.sync = OXBOW_SYNC_INTERVAL};
    struct oxbow_field field = {text_of("f"), text_of("after")};
    struct oxbow_bytes value = text_of("after");
    struct oxbow_result r = {0};
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);
    if (err != OXBOW_OK)
        return err;
    for (unsigned i = 0; i < LISTS && err == OXBOW_OK; i++) {
        err = oxbow_list_push(txn, text_of(list_names[i]), OXBOW_LEFT, &value, 1, NULL);
        if (err == OXBOW_OK)
            err = oxbow_list_push(txn, text_of(list_names[i]), OXBOW_RIGHT, &value, 1, NULL);
        if (err == OXBOW_OK)
            err = oxbow_list_pop(txn, text_of(list_names[i]), i % 2 == 0 ? OXBOW_LEFT : OXBOW_RIGHT,
                                 5, &r);
    }
    for (unsigned i = 0; i < STREAMS && err == OXBOW_OK; i++) {
        struct oxbow_group group = {text_of(stream_names[i]), text_of("g")};
        struct oxbow_group_create_options begin = {.make_stream = true};
        err = oxbow_stream_add(txn, text_of(stream_names[i]), NULL, &field, 1, NULL);
        if (err == OXBOW_OK)
            err = oxbow_group_create(txn, group, &begin);
        if (err == OXBOW_OK || err == OXBOW_EBUSYGROUP)
            err = oxbow_group_read(txn, group, text_of(consumer_names[0]), NULL, &r);
        for (size_t j = 0; j < r.entry_count && err == OXBOW_OK; j++)
            err = oxbow_group_ack(txn, group, &r.entries[j].id, 1, NULL);
    }
    oxbow_result_fini(&r);
    if (err == OXBOW_OK)
        return oxbow_txn_commit(txn, NULL);
    oxbow_txn_abort(txn);
    return err;
}

/* *err: of what came after the opening. */
static bool open_and_hear(const char *dir, uint32_t flags, struct oxbow **db, struct told *told,
                          struct verdict *v, enum oxbow_err *err)
{
    struct oxbow_config config;
    judge_store_config(&config, dir);
    config.flags = flags;
    memset(told, 0, sizeof *told);
    enum oxbow_err opened = oxbow_open(&config, db);
    if (opened != OXBOW_OK)
        return say(v, VERDICT_NO_OPEN, "open: %s", oxbow_err_name(opened));
    *err = oxbow_losses(*db, hear, told);
    v->step = told->count;
    return *err == OXBOW_OK || say(v, VERDICT_NO_READ, "losses: %s", oxbow_err_name(*err));
}

static bool sound(const char *dir, struct verdict *v)
{
    struct oxbow_check_options options = {.port = judge_port()};
    struct oxbow_check_report report;
    char path[4096];
    struct pages_report pages;
    enum oxbow_err err = oxbow_check(dir, &options, &report);
    if (err != OXBOW_OK || report.damage > 0)
        return say(v, VERDICT_PAGES, "afterwards: %s, %llu damaged", oxbow_err_name(err),
                   (unsigned long long)report.damage);
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    return pages_check(path, &pages) || say(v, VERDICT_PAGES, "%s", pages.fault);
}

static void judge(const struct judge_config *c, const char *base, struct verdict *v, bool deaf)
{
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/store", base);
    struct oxbow *db = NULL;
    struct told told;
    enum oxbow_err err = OXBOW_OK;
    bool good = open_and_hear(dir, 0, &db, &told, v, &err);
    if (deaf)
        memset(&told, 0, sizeof told);
    good = good && compare(c, db, &told, v, &err);
    if (!good && (err == OXBOW_ECORRUPT || err == OXBOW_EFAILED)) {
        /* Told by a read: a repair makes sense of it. Or idle work has met it and the store has
         * failed: then the next opening does, as a restart would. */
        uint32_t flags = err == OXBOW_ECORRUPT ? OXBOW_OPEN_REPAIR : 0;
        enum oxbow_err closed = oxbow_close(db);
        v->deeper = 1;
        good = closed == OXBOW_OK || (flags == 0 && closed == OXBOW_ECORRUPT);
        db = NULL;
        good = good && open_and_hear(dir, flags, &db, &told, v, &err);
        if (deaf)
            memset(&told, 0, sizeof told);
        good = good && compare(c, db, &told, v, &err);
    }
    if (good) {
        err = use(db);
        enum oxbow_err closed = oxbow_close(db);
        if (err != OXBOW_OK || closed != OXBOW_OK) { /* met only now: the next open looks at all */
            v->deeper = 1;
            good = open_and_hear(dir, 0, &db, &told, v, &err);
            err = good ? use(db) : OXBOW_OK;
            closed = good ? oxbow_close(db) : OXBOW_OK;
        }
        if (err != OXBOW_OK || closed != OXBOW_OK)
            good = say(v, VERDICT_NO_WRITE, "use: %s, close: %s", oxbow_err_name(err),
                       oxbow_err_name(closed));
    } else if (db != NULL && oxbow_close(db) != OXBOW_OK) {
        return;
    }
    if (good && !sound(dir, v)) { /* what nobody touched: a repair makes that good, too */
        v->deeper = 1;
        good = open_and_hear(dir, OXBOW_OPEN_REPAIR, &db, &told, v, &err) &&
               oxbow_close(db) == OXBOW_OK && sound(dir, v);
    }
    if (good)
        v->kind = VERDICT_GOOD;
}

void salvaged_state(const struct judge_config *config, const char *base, struct verdict *v)
{
    judge(config, base, v, false);
}

void salvaged_state_deaf(const struct judge_config *config, const char *base, struct verdict *v)
{
    judge(config, base, v, true);
}
