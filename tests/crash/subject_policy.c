/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues at their limits as a subject: lists and a stream whose policies drop the oldest or refuse,
 * and change under way (what is over a lowered limit is dropped in the same step). After a cut limits are kept to the entry, what was dropped is gone and
 * counted, and nothing else is.
 *
 * Each step adds an entry to the stream, whose ids count the steps, so no two states are alike.
 */
#include "oxbow/list.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"
#include "tests/crash/harness.h"
#include "tests/crash/subject.h"

#include <stdlib.h>
#include <string.h>

#define QUEUES    3u /* two lists, one stream */
#define THE       2u /* the stream */
#define ITEMS_MAX 32u

static const char *const names[QUEUES] = {"l0", "l1", "s"};

struct queue {
    uint64_t items[ITEMS_MAX]; /* a list's elements as numbers, a stream's ids */
    size_t count;
    uint64_t max;
    bool refuses;
    uint64_t dropped;
    uint64_t last; /* of a stream: the last id dropped */
};

struct model {
    struct queue queues[QUEUES];
};

struct step {
    struct model *model;
    struct oxbow_txn *txn; /* NULL: the model only */
    uint64_t random;
    uint64_t number;
    enum oxbow_err err;
    struct oxbow_result result;
};

static struct oxbow_bytes key_of(unsigned q)
{
    return (struct oxbow_bytes){names[q], strlen(names[q])};
}

static bool live(const struct step *s)
{
    return s->txn != NULL && s->err == OXBOW_OK;
}

static uint64_t draw(struct step *s, uint64_t below)
{
    return lab_random(&s->random) % below;
}

/* What the model expects is what the store must answer. */
static void expect(struct step *s, enum oxbow_err got, enum oxbow_err want)
{
    s->err = got == want ? OXBOW_OK : got == OXBOW_OK ? OXBOW_EFAILED : got;
}

static void take(struct queue *m, size_t at)
{
    memmove(&m->items[at], &m->items[at + 1], (m->count - at - 1) * sizeof m->items[0]);
    m->count--;
}

/* Adds at the right; *fits false: refused. */
static bool add(struct queue *m, uint64_t item)
{
    if (m->refuses && m->max > 0 && m->count + 1 > m->max)
        return false;
    m->items[m->count++] = item;
    while (m->max > 0 && !m->refuses && m->count > m->max) {
        m->last = m->items[0];
        m->dropped++;
        take(m, 0);
    }
    return true;
}

static void push(struct step *s, unsigned q)
{
    uint64_t item = s->number * 100 + draw(s, 100);
    uint8_t value[600];
    struct oxbow_bytes bytes = {value, 8 + draw(s, sizeof value - 8)};

    if (s->model->queues[q].max == 0 && s->model->queues[q].count + 1 >= ITEMS_MAX)
        return;
    memset(value, (int)item, sizeof value);
    memcpy(value, &item, sizeof item);
    bool fits = add(&s->model->queues[q], item);
    if (live(s))
        expect(s, oxbow_list_push(s->txn, key_of(q), OXBOW_RIGHT, &bytes, 1, NULL),
               fits ? OXBOW_OK : OXBOW_EFULL);
}

static void pop(struct step *s, unsigned q)
{
    struct queue *m = &s->model->queues[q];
    bool any = m->count > 0;

    if (any)
        take(m, 0);
    if (live(s))
        expect(s, oxbow_list_pop(s->txn, key_of(q), OXBOW_LEFT, 1, &s->result),
               any ? OXBOW_OK : OXBOW_ENOENT);
}

static void stream_add(struct step *s)
{
    struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {s->number + 1, 0}};
    uint8_t value[900] = {0};
    struct oxbow_field field = {.name = {"v", 1}, .value = {value, draw(s, sizeof value)}};

    (void)add(&s->model->queues[THE], s->number + 1);
    if (live(s))
        s->err = oxbow_stream_add(s->txn, key_of(THE), &opt, &field, 1, NULL);
}

static void stream_delete(struct step *s)
{
    struct queue *m = &s->model->queues[THE];
    size_t at = draw(s, m->count);
    struct oxbow_id id = {m->items[at], 0};

    take(m, at);
    if (live(s))
        s->err = oxbow_stream_delete(s->txn, key_of(THE), &id, 1, NULL);
}

static void change(struct step *s, unsigned q)
{
    struct queue *m = &s->model->queues[q];
    struct oxbow_policy p = {.max_entries = 2 + draw(s, 10)};

    m->refuses = q != THE && draw(s, 2) == 0;
    if (q == THE && p.max_entries < m->count)
        p.max_entries = m->count; /* nothing is to be added that would cut it down in this step */
    m->max = p.max_entries;
    p.on_full = m->refuses ? OXBOW_POLICY_REFUSE : OXBOW_POLICY_DROP_OLDEST;
    if (live(s))
        s->err = oxbow_policy_set(s->txn, key_of(q), &p);
    if (!m->refuses && m->count > m->max)
        push(s, q); /* else the store would cut it down at a time of its own */
}

static void act(struct step *s)
{
    uint64_t what = draw(s, 20);
    unsigned list = (unsigned)draw(s, 2);

    if (what < 10)
        push(s, list);
    else if (what < 15)
        pop(s, list);
    else if (what < 17 && s->model->queues[THE].count > 1)
        stream_delete(s);
    else if (what >= 17)
        change(s, (unsigned)draw(s, QUEUES));
}

static enum oxbow_err policy_step(struct model *m, uint64_t seed, uint64_t step, struct oxbow *db,
                                  const struct oxbow_txn_options *opt, uint64_t *lsn)
{
    struct step s = {
        .model = m, .random = seed + step * 0x9fb21c651e98df25u, .number = step, .txn = NULL};

    if (db != NULL)
        s.err = oxbow_txn_begin(db, opt, &s.txn);
    if (s.err != OXBOW_OK)
        return s.err;
    for (unsigned q = 0; q < QUEUES && step == 0; q++)
        change(&s, q);
    stream_add(&s);
    for (uint64_t i = 1 + draw(&s, 5); i > 0; i--)
        act(&s);
    oxbow_result_fini(&s.result);
    if (s.txn == NULL)
        return OXBOW_OK;
    if (s.err == OXBOW_OK)
        return oxbow_txn_commit(s.txn, lsn);
    oxbow_txn_abort(s.txn);
    return s.err;
}

/* ---- dumps ---- */

static enum oxbow_err dump_items(struct oxbow_txn *txn, unsigned q, struct dump *d)
{
    struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    struct oxbow_result r = {0};
    enum oxbow_err err = q == THE ? oxbow_stream_range(txn, key_of(q), &all, &r)
                                  : oxbow_list_range(txn, key_of(q), 0, -1, &r);

    if (err == OXBOW_OK)
        dump_number(d, q == THE ? r.entry_count : r.item_count);
    for (size_t i = 0; err == OXBOW_OK && q != THE && i < r.item_count; i++)
        dump_add(d, r.items[i].data, 8);
    for (size_t i = 0; err == OXBOW_OK && q == THE && i < r.entry_count; i++)
        dump_number(d, r.entries[i].id.ms);
    oxbow_result_fini(&r);
    return err;
}

/* The policy, what it has counted, and that gaps say the same. */
static enum oxbow_err dump_policy(struct oxbow_txn *txn, unsigned q, struct dump *d)
{
    struct oxbow_drop_gap gaps[OXBOW_DROP_GAPS_MAX];
    struct oxbow_drops drops = {0};
    struct oxbow_policy p = {0};
    uint64_t told = 0;
    size_t count = 0;
    enum oxbow_err err = oxbow_policy_get(txn, key_of(q), &p);

    if (err == OXBOW_OK)
        err = oxbow_policy_drops(txn, key_of(q), OXBOW_DROP_LENGTH, &drops);
    if (err == OXBOW_OK)
        err = oxbow_policy_gaps(txn, key_of(q), OXBOW_ID_MIN, gaps, OXBOW_DROP_GAPS_MAX, &count);
    for (size_t i = 0; i < count; i++)
        told += gaps[i].entries;
    dump_number(d, p.max_entries);
    dump_number(d, p.max_entries > 0 && p.on_full == OXBOW_POLICY_REFUSE);
    dump_number(d, drops.entries);
    dump_number(d, told);
    dump_number(d, q == THE ? drops.to.ms : 0);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err policy_dump(struct oxbow *db, struct dump *out)
{
    struct oxbow_txn *txn = NULL;
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ, .sync = OXBOW_SYNC_INTERVAL};
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);

    if (err != OXBOW_OK)
        return err;
    for (unsigned q = 0; q < QUEUES && err == OXBOW_OK; q++) {
        err = dump_items(txn, q, out);
        if (err == OXBOW_OK)
            err = dump_policy(txn, q, out);
    }
    if (err == OXBOW_OK)
        return oxbow_txn_commit(txn, NULL);
    oxbow_txn_abort(txn);
    return err;
}

static void model_dump(const struct model *m, struct dump *out)
{
    for (unsigned q = 0; q < QUEUES; q++) {
        const struct queue *x = &m->queues[q];

        dump_number(out, x->count);
        for (size_t i = 0; i < x->count && q != THE; i++)
            dump_add(out, &x->items[i], 8);
        for (size_t i = 0; i < x->count && q == THE; i++)
            dump_number(out, x->items[i]);
        dump_number(out, x->max);
        dump_number(out, x->refuses);
        dump_number(out, x->dropped);
        dump_number(out, x->dropped);
        dump_number(out, q == THE ? x->last : 0);
    }
}

static struct model *model_open(void)
{
    return lab_alloc(sizeof(struct model));
}

static void model_close(struct model *m)
{
    free(m);
}

const struct subject subject_policy = {
    .name = "policy",
    .open = model_open,
    .close = model_close,
    .step = policy_step,
    .dump_store = policy_dump,
    .dump_model = model_dump,
};
