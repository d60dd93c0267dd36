/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream with priorities, served by weights, as a subject: entries are added, read by a group, acked,
 * deleted and trimmed, while the number of priorities and the weights change. A read must give what the
 * model says. A dump has, besides what is there and pending, all that the group would be given
 * next, in order: a place or a credit that is not exactly that of the step makes a difference.
 */
#include "oxbow/group.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"
#include "tests/crash/harness.h"
#include "tests/crash/subject.h"

#include <stdlib.h>
#include <string.h>

#define LEVELS  4u
#define MOST    8192u
#define ADD_MAX 12u

struct entry {
    bool there, given, pending;
    uint8_t level;
};

struct model {
    struct entry at[MOST]; /* by the id's ms */
    uint64_t top;
    uint32_t count; /* of priorities */
    uint8_t weights[OXBOW_PRIORITIES_MAX];
    uint32_t credit[OXBOW_PRIORITIES_MAX];
};

struct step {
    struct model *model;
    struct oxbow_txn *txn; /* NULL: the model only */
    struct oxbow_result *result;
    uint64_t random;
    enum oxbow_err err;
};

struct order {
    uint64_t ids[MOST];
    size_t count;
};

static const struct oxbow_bytes key = {"p", 1};
static const struct oxbow_group group = {{"p", 1}, {"g", 1}};

static bool live(const struct step *s)
{
    return s->txn != NULL && s->err == OXBOW_OK;
}

static uint64_t draw(struct step *s, uint64_t below)
{
    return lab_random(&s->random) % below;
}

/* ---- what is given next ---- */

static uint64_t give(struct model *m, size_t level, uint64_t max, struct order *o)
{
    uint64_t n = 0;
    for (uint64_t id = 1; id <= m->top && n < max; id++) {
        struct entry *e = &m->at[id];
        if (e->there && !e->given && e->level == level) {
            e->given = true;
            o->ids[o->count++] = id;
            n++;
        }
    }
    return n;
}

static bool waits(const struct model *m)
{
    for (uint64_t id = 1; id <= m->top; id++)
        if (m->at[id].there && !m->at[id].given)
            return true;
    return false;
}

static void serve(struct model *m, uint64_t left, struct order *o)
{
    o->count = 0;
    while (left > 0 && waits(m)) {
        bool any = false;
        for (size_t i = OXBOW_PRIORITIES_MAX; i > 0 && left > 0; i--) {
            uint64_t max = m->credit[i - 1] < left ? m->credit[i - 1] : left;
            uint64_t n = give(m, i - 1, max, o);
            m->credit[i - 1] -= (uint32_t)n;
            left -= n;
            any = any || n > 0;
        }
        for (size_t i = 0; !any && i < OXBOW_PRIORITIES_MAX; i++)
            m->credit[i] = m->weights[i] > 0 ? m->weights[i] : 1;
    }
    /* Who leaves nothing behind begins a round that nothing is given in. */
    for (size_t i = 0; left > 0 && o->count > 0 && i < OXBOW_PRIORITIES_MAX; i++)
        m->credit[i] = m->weights[i] > 0 ? m->weights[i] : 1;
}

/* ---- steps ---- */

static void set_policy(struct step *s)
{
    struct model *m = s->model;
    struct oxbow_policy p = {.priorities = 2 + draw(s, LEVELS - 1)};
    m->count = (uint32_t)p.priorities;
    for (size_t i = 0; i < LEVELS; i++) {
        m->weights[i] = (uint8_t)(1 + draw(s, 5));
        p.priority_weights |= OXBOW_PRIORITY_WEIGHT(i, m->weights[i]);
    }
    if (live(s))
        s->err = oxbow_policy_set(s->txn, key, &p);
}

static void add(struct step *s)
{
    struct model *m = s->model;
    uint8_t bytes[64] = {0};
    const struct oxbow_field field = {{"f", 1}, {bytes, (size_t)draw(s, sizeof bytes)}};
    if (m->top + 1 == MOST)
        lab_die("too many steps", NULL);
    struct entry *e = &m->at[++m->top];
    *e = (struct entry){.there = true, .level = (uint8_t)draw(s, m->count)};
    const struct oxbow_stream_add_options opt = {
        .id_mode = OXBOW_ID_EXPLICIT, .id = {m->top, 0}, .priority = e->level};
    if (live(s))
        s->err = oxbow_stream_add(s->txn, key, &opt, &field, 1, NULL);
}

static void take(struct step *s)
{
    const struct oxbow_group_read_options opt = {.count = 1 + draw(s, 10)};
    struct order *o = lab_alloc(sizeof *o);
    serve(s->model, opt.count, o);
    for (size_t i = 0; i < o->count; i++)
        s->model->at[o->ids[i]].pending = true;
    if (live(s))
        s->err = oxbow_group_read(s->txn, group, (struct oxbow_bytes){"c", 1}, &opt, s->result);
    if (live(s) && s->result->entry_count != o->count)
        s->err = OXBOW_ECORRUPT;
    for (size_t i = 0; live(s) && i < o->count; i++)
        if (s->result->entries[i].id.ms != o->ids[i])
            s->err = OXBOW_ECORRUPT;
    free(o);
}

static void finish(struct step *s)
{
    struct model *m = s->model;
    bool gone = draw(s, 2) == 0;
    uint64_t left = 1 + draw(s, 6);
    for (uint64_t id = 1; id <= m->top && left > 0; id++) {
        const struct oxbow_id ids = {id, 0};
        if (!m->at[id].pending)
            continue;
        m->at[id].pending = false;
        left--;
        if (live(s))
            s->err = oxbow_group_ack(s->txn, group, &ids, 1, NULL);
        if (gone && live(s))
            s->err = oxbow_stream_delete(s->txn, key, &ids, 1, NULL);
        if (gone)
            m->at[id].there = false;
    }
}

static void lose(struct step *s)
{
    struct model *m = s->model;
    uint64_t length = 0;
    for (uint64_t id = 1; id <= m->top; id++)
        length += m->at[id].there;
    const struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MAXLEN, .maxlen = length - length / 4};
    for (uint64_t id = 1; id <= m->top && length > trim.maxlen; id++) {
        length -= m->at[id].there;
        m->at[id].there = false;
    }
    if (live(s))
        s->err = oxbow_stream_trim(s->txn, key, &trim, NULL);
}

static void act(struct step *s)
{
    switch (draw(s, 12)) {
    case 0:
        set_policy(s);
        break;
    case 1:
        lose(s);
        break;
    case 2:
    case 3:
    case 4:
        finish(s);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        take(s);
        break;
    default:
        for (uint64_t i = 1 + draw(s, ADD_MAX); i > 0; i--)
            add(s);
        break;
    }
}

static enum oxbow_err priority_step(struct model *m, uint64_t seed, uint64_t step, struct oxbow *db,
                                    const struct oxbow_txn_options *opt, uint64_t *lsn)
{
    static const struct oxbow_group_create_options create = {.make_stream = true};
    struct oxbow_result result = {0};
    struct step s = {.model = m, .result = &result, .random = seed + step * 0x632be59bd9b4e019u};
    if (db != NULL)
        s.err = oxbow_txn_begin(db, opt, &s.txn);
    if (s.err != OXBOW_OK)
        return s.err;
    if (step == 0) {
        if (live(&s))
            s.err = oxbow_group_create(s.txn, group, &create);
        set_policy(&s);
    }
    add(&s); /* so that no two steps leave the same */
    size_t acts = (size_t)(1 + draw(&s, 4));
    for (size_t i = 0; i < acts; i++)
        act(&s);
    oxbow_result_fini(&result);
    if (s.txn == NULL)
        return OXBOW_OK;
    if (s.err == OXBOW_OK)
        return oxbow_txn_commit(s.txn, lsn);
    oxbow_txn_abort(s.txn);
    return s.err;
}

/* ---- dumps ---- */

static enum oxbow_err dump_entries(struct oxbow_txn *txn, struct oxbow_result *r, struct dump *d)
{
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};
    struct oxbow_stream_info info = {.last_id = OXBOW_ID_MIN};
    enum oxbow_err err = oxbow_stream_info(txn, key, &info);
    if (err == OXBOW_OK || err == OXBOW_ENOENT)
        err = oxbow_stream_range(txn, key, &all, r);
    dump_number(d, info.last_id.ms);
    for (size_t i = 0; err == OXBOW_OK && i < r->entry_count; i++) {
        dump_number(d, r->entries[i].id.ms);
        dump_number(d, r->entries[i].priority);
    }
    dump_number(d, 0);
    return err;
}

static enum oxbow_err dump_pending(struct oxbow_txn *txn, struct oxbow_result *names,
                                   struct dump *d)
{
    const struct oxbow_pending_filter filter = {.to = OXBOW_ID_MAX, .count = MOST};
    struct oxbow_pending *rows = lab_alloc(MOST * sizeof *rows);
    size_t count = 0;
    enum oxbow_err err = oxbow_group_pending(txn, group, &filter, names, rows, &count);
    for (size_t i = 0; i < count; i++)
        dump_number(d, rows[i].id.ms);
    if (err == OXBOW_OK)
        dump_number(d, 0);
    free(rows);
    return err;
}

/* Reads all there is to be given, and takes that back. */
static enum oxbow_err dump_next(struct oxbow_txn *txn, struct oxbow_result *r, struct dump *d)
{
    const struct oxbow_group_read_options opt = {.noack = true};
    enum oxbow_err err = oxbow_group_read(txn, group, (struct oxbow_bytes){"c", 1}, &opt, r);
    for (size_t i = 0; err == OXBOW_OK && i < r->entry_count; i++)
        dump_number(d, r->entries[i].id.ms);
    return err;
}

static enum oxbow_err dump_store(struct oxbow *db, struct dump *out)
{
    struct oxbow_result r = {0};
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, NULL, &txn);
    if (err != OXBOW_OK)
        return err;
    err = dump_entries(txn, &r, out);
    if (err == OXBOW_OK)
        err = dump_pending(txn, &r, out);
    if (err == OXBOW_OK)
        err = dump_next(txn, &r, out);
    oxbow_txn_abort(txn);
    oxbow_result_fini(&r);
    return err == OXBOW_ENOGROUP ? OXBOW_OK : err; /* before the first step */
}

static void dump_model(const struct model *m, struct dump *out)
{
    struct model *copy = lab_alloc(sizeof *copy);
    struct order *o = lab_alloc(sizeof *o);
    *copy = *m;
    dump_number(out, m->top);
    for (uint64_t id = 1; id <= m->top; id++) {
        if (m->at[id].there) {
            dump_number(out, id);
            dump_number(out, m->at[id].level);
        }
    }
    dump_number(out, 0);
    for (uint64_t id = 1; id <= m->top; id++)
        if (m->at[id].pending)
            dump_number(out, id);
    if (m->top > 0)
        dump_number(out, 0);
    serve(copy, UINT64_MAX, o);
    for (size_t i = 0; i < o->count; i++)
        dump_number(out, o->ids[i]);
    free(o);
    free(copy);
}

static struct model *priority_open(void)
{
    return lab_alloc(sizeof(struct model));
}

static void priority_close(struct model *m)
{
    free(m);
}

const struct subject subject_priority = {
    .name = "priority",
    .open = priority_open,
    .close = priority_close,
    .step = priority_step,
    .dump_store = dump_store,
    .dump_model = dump_model,
};
