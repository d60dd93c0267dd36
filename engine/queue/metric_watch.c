/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches figures, and tells when one crosses its limit and when it comes back.
 *
 *             value at or beyond the limit
 *      quiet ----------------------------> over
 *        ^                                  |
 *        +----------------------------------+
 *             value at or within `back`
 *
 * It is idle work of the store's: a look a second while there is anything watched, in a transaction
 * that writes nothing. Nothing of it is kept in the store.
 */
#include "engine/base/buf.h"
#include "engine/queue/metric.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 1024u
#define LOOK_MS        1000u
#define LINE_NAME      64u /* bytes of a name that are put into a log line */

struct watch {
    uint64_t id; /* 0: free */
    const struct oxbow_metric *metric;
    struct oxbow_watch_options opt; /* queue and name point into `text` */
    uint8_t *text;
    size_t text_len;
    enum oxbow_drop_cause cause;
    bool over;
};

struct metric_watches {
    struct watch all[OXBOW_WATCHES_MAX];
    uint64_t newest;
    uint32_t count;
};

static void watch_free(const struct oxbow_alloc *alloc, struct watch *w)
{
    mem_free(alloc, w->text, w->text_len);
    *w = (struct watch){0};
}

void metric_watches_free(const struct oxbow_alloc *alloc, struct metric_watches *w)
{
    for (size_t i = 0; i < OXBOW_WATCHES_MAX; i++) {
        if (w->all[i].id != 0) {
            watch_free(alloc, &w->all[i]);
        }
    }
    mem_free(alloc, w, sizeof *w);
}

/* ---- looking ---- */

static enum oxbow_err read_scope(struct oxbow_txn *txn, const struct watch *w,
                                 union metric_values *v)
{
    char name[NAME_MAX_BYTES + 1];

    switch (w->metric->scope) {
    case OXBOW_METRIC_STORE:
        return metric_read_store(txn, &v->store);
    case OXBOW_METRIC_QUEUE:
        return metric_read_queue(txn, w->opt.queue, &v->queue);
    case OXBOW_METRIC_DROPS:
        return metric_read_drops(txn, w->opt.queue, w->cause, &v->drops);
    case OXBOW_METRIC_GROUP:
        return metric_read_group(txn, w->opt.queue, w->opt.name, &v->group);
    case OXBOW_METRIC_SOURCE:
        return metric_read_source(txn, w->opt.queue, &v->source);
    case OXBOW_METRIC_FORWARD:
        break;
    }
    memcpy(name, w->opt.name.data, w->opt.name.len);
    name[w->opt.name.len] = '\0';
    return metric_read_forward(txn, name, &v->forward);
}

/* *known false: there is nothing of that name, or it cannot be told. */
static enum oxbow_err read_value(struct oxbow_txn *txn, const struct watch *w, uint64_t *value,
                                 bool *known)
{
    uint32_t own = txn_database(txn);
    union metric_values v;
    enum oxbow_err err = oxbow_txn_select(txn, w->opt.database);
    enum oxbow_err back;

    *known = false;
    if (err == OXBOW_OK) {
        err = read_scope(txn, w, &v);
    }
    if (err == OXBOW_OK) {
        *value = metric_value(w->metric, &v);
        *known = *value != METRIC_UNKNOWN;
    }
    back = oxbow_txn_select(txn, own);
    if (err == OXBOW_OK || err == OXBOW_ENOENT || err == OXBOW_ENOGROUP ||
        err == OXBOW_EWRONGTYPE || err == OXBOW_ECORRUPT) {
        return back;
    }
    return err;
}

static void log_crossing(struct oxbow_txn *txn, const struct watch *w, uint64_t value)
{
    const struct oxbow_log *log = &txn_port(txn)->log;
    char line[320];
    size_t queue = w->opt.queue.len < LINE_NAME ? w->opt.queue.len : LINE_NAME;
    size_t name = w->opt.name.len < LINE_NAME ? w->opt.name.len : LINE_NAME;
    int n = snprintf(line, sizeof line, "store: %s", w->metric->name);

    if (queue > 0) {
        n += snprintf(line + n, sizeof line - (size_t)n, " of \"%.*s\"", (int)queue,
                      (const char *)w->opt.queue.data);
    }
    if (name > 0) {
        n += snprintf(line + n, sizeof line - (size_t)n, " for \"%.*s\"", (int)name,
                      (const char *)w->opt.name.data);
    }
    if (w->opt.cause != NULL) {
        n += snprintf(line + n, sizeof line - (size_t)n, " by %s", w->opt.cause);
    }
    (void)snprintf(line + n, sizeof line - (size_t)n, " is %.6g%s%s: %s %.6g",
                   (double)value / w->metric->per, w->metric->unit[0] != '\0' ? " " : "",
                   w->metric->unit, w->over ? "crossed" : "back from",
                   (double)w->opt.limit / w->metric->per);
    for (char *p = line; *p != '\0'; p++) {
        *p = (unsigned char)*p < ' ' ? '?' : *p;
    }
    log->line(log->ctx, w->over ? OXBOW_LOG_WARN : OXBOW_LOG_INFO, line);
}

static bool beyond(const struct watch *w, uint64_t value)
{
    return w->opt.side == OXBOW_WATCH_ABOVE ? value >= w->opt.limit : value <= w->opt.limit;
}

static bool within(const struct watch *w, uint64_t value)
{
    return w->opt.side == OXBOW_WATCH_ABOVE ? value <= w->opt.back : value >= w->opt.back;
}

static void judge(struct oxbow_txn *txn, struct watch *w, uint64_t value)
{
    const struct oxbow_crossing crossing = {w->id, value, !w->over};

    if (w->over ? !within(w, value) || beyond(w, value) : !beyond(w, value)) {
        return;
    }
    w->over = !w->over;
    log_crossing(txn, w, value);
    if (w->opt.crossed != NULL) {
        w->opt.crossed(w->opt.ctx, &crossing);
    }
}

static enum oxbow_err watch_idle(struct oxbow_txn *txn, bool *more)
{
    struct metric_state *s;
    enum oxbow_err err = metric_state_get(txn, &s);

    *more = false;
    if (err != OXBOW_OK || s->watches == NULL || s->watches->count == 0) {
        return err;
    }
    for (size_t i = 0; i < OXBOW_WATCHES_MAX && err == OXBOW_OK; i++) {
        struct watch *w = &s->watches->all[i];
        uint64_t value = 0;
        bool known = false;

        if (w->id != 0) {
            err = read_value(txn, w, &value, &known);
        }
        if (err == OXBOW_OK && known) {
            judge(txn, w, value);
        }
    }
    txn_idle_at(txn, txn_clock_ms(txn) + LOOK_MS);
    return err;
}

/* ---- who watches ---- */

static bool cause_of(const char *name, enum oxbow_drop_cause *cause)
{
    for (unsigned i = 1; i <= OXBOW_DROP_CAUSES; i++) {
        if (strcmp(oxbow_drop_cause_name((enum oxbow_drop_cause)i), name) == 0) {
            *cause = (enum oxbow_drop_cause)i;
            return true;
        }
    }
    return false;
}

/* Nine tenths of the limit, or eleven. */
static uint64_t back_default(const struct oxbow_watch_options *opt)
{
    uint64_t tenth = opt->limit / 10 + (opt->limit % 10 != 0 && opt->side == OXBOW_WATCH_BELOW);

    if (opt->side == OXBOW_WATCH_ABOVE) {
        return opt->limit - opt->limit / 10 - (opt->limit > 0 && opt->limit < 10);
    }
    tenth += tenth == 0;
    return opt->limit > UINT64_MAX - 1 - tenth ? UINT64_MAX - 1 : opt->limit + tenth;
}

static enum oxbow_err watch_check(const struct oxbow_watch_options *opt, struct watch *w)
{
    w->metric = opt->metric != NULL ? oxbow_metric_find(opt->metric) : NULL;
    if (w->metric == NULL || opt->database >= CATALOG_DATABASES || opt->side > OXBOW_WATCH_BELOW ||
        (opt->queue.data == NULL && opt->queue.len > 0) ||
        (opt->name.data == NULL && opt->name.len > 0)) {
        return OXBOW_EINVAL;
    }
    if (opt->queue.len > NAME_MAX_BYTES || opt->name.len > NAME_MAX_BYTES) {
        return OXBOW_ETOOBIG;
    }
    if ((w->metric->scope == OXBOW_METRIC_DROPS) != (opt->cause != NULL) ||
        (opt->cause != NULL && !cause_of(opt->cause, &w->cause)) ||
        ((w->metric->scope == OXBOW_METRIC_GROUP || w->metric->scope == OXBOW_METRIC_FORWARD) !=
         (opt->name.len > 0))) {
        return OXBOW_EINVAL;
    }
    w->opt = *opt;
    w->opt.metric = w->metric->name;
    w->opt.cause = opt->cause != NULL ? oxbow_drop_cause_name(w->cause) : NULL;
    w->opt.back = opt->back != 0 ? opt->back : back_default(opt);
    return beyond(w, w->opt.back) && w->opt.back != w->opt.limit ? OXBOW_EINVAL : OXBOW_OK;
}

static enum oxbow_err watch_copy(const struct oxbow_alloc *alloc, struct watch *w)
{
    w->text_len = w->opt.queue.len + w->opt.name.len + 1;
    w->text = mem_new(alloc, w->text_len);
    if (w->text == NULL) {
        return OXBOW_ENOMEM;
    }
    if (w->opt.queue.len > 0) {
        memcpy(w->text, w->opt.queue.data, w->opt.queue.len);
    }
    if (w->opt.name.len > 0) {
        memcpy(w->text + w->opt.queue.len, w->opt.name.data, w->opt.name.len);
    }
    w->opt.queue.data = w->text;
    w->opt.name.data = w->text + w->opt.queue.len;
    return OXBOW_OK;
}

static enum oxbow_err watch_add(struct oxbow_txn *txn, const struct watch *w, uint64_t *id)
{
    struct metric_state *s;
    size_t i = 0;
    enum oxbow_err err = metric_state_get(txn, &s);

    if (err == OXBOW_OK && s->watches == NULL) {
        s->watches = mem_new(&txn_port(txn)->alloc, sizeof *s->watches);
        err = s->watches == NULL ? OXBOW_ENOMEM : OXBOW_OK;
    }
    if (err != OXBOW_OK) {
        return err;
    }
    while (i < OXBOW_WATCHES_MAX && s->watches->all[i].id != 0) {
        i++;
    }
    if (i == OXBOW_WATCHES_MAX) {
        return OXBOW_ERANGE;
    }
    s->watches->all[i] = *w;
    s->watches->all[i].id = *id = ++s->watches->newest;
    s->watches->count++;
    return OXBOW_OK;
}

enum oxbow_err oxbow_watch(struct oxbow *db, const struct oxbow_watch_options *opt, uint64_t *watch)
{
    struct watch w = {0};
    struct oxbow_txn *txn;
    uint64_t id;
    enum oxbow_err err =
        db == NULL || opt == NULL || watch == NULL ? OXBOW_EINVAL : watch_check(opt, &w);

    if (err == OXBOW_OK) {
        err = oxbow_txn_begin(db, NULL, &txn);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = watch_copy(&txn_port(txn)->alloc, &w);
    if (err == OXBOW_OK) {
        err = watch_add(txn, &w, &id);
    }
    if (err == OXBOW_OK) {
        store_set_idle_hook(db, STORE_IDLE_WATCH, watch_idle);
        txn_idle_at(txn, txn_clock_ms(txn));
        *watch = id;
    } else {
        mem_free(&txn_port(txn)->alloc, w.text, w.text_len);
    }
    oxbow_txn_abort(txn);
    return err;
}

enum oxbow_err oxbow_unwatch(struct oxbow *db, uint64_t watch)
{
    struct metric_state *s;
    struct oxbow_txn *txn;
    enum oxbow_err err = db == NULL || watch == 0 ? OXBOW_EINVAL : oxbow_txn_begin(db, NULL, &txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = metric_state_get(txn, &s);
    if (err == OXBOW_OK) {
        err = OXBOW_ENOENT;
        for (size_t i = 0; s->watches != NULL && i < OXBOW_WATCHES_MAX; i++) {
            if (s->watches->all[i].id == watch) {
                watch_free(&txn_port(txn)->alloc, &s->watches->all[i]);
                s->watches->count--;
                err = OXBOW_OK;
            }
        }
    }
    oxbow_txn_abort(txn);
    return err;
}
