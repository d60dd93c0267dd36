/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bindings as a subject: after any cut the source and all of its destinations agree.
 *
 * `s` leads to `a`, which refuses when it is full; from there by a topic to `b`; and by another, which
 * comes and goes, to the list `l`, which is skipped when it is full. What is refused is nowhere.
 */
#include "oxbow/binding.h"
#include "oxbow/list.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"
#include "oxbow/string.h"
#include "tests/crash/harness.h"
#include "tests/crash/subject.h"

#include <stdlib.h>
#include <string.h>

#define A_MAX 12u
#define L_MAX 5u
#define QUEUE 64u

struct queue {
    uint64_t at[QUEUE];
    size_t count;
};

struct model {
    uint64_t steps;
    struct queue s, a, b, l;
    bool bound; /* to the list */
    uint64_t entries, routed, unroutable, dropped;
};

struct step {
    struct model *model;
    struct oxbow_txn *txn; /* NULL: the model only */
    uint64_t random;
    uint64_t number; /* of the entry */
    enum oxbow_err err;
};

static const struct oxbow_bytes s_key = {"s", 1}, a_key = {"a", 1}, b_key = {"b", 1},
                                l_key = {"l", 1}, n_key = {"n", 1};

static bool live(const struct step *s)
{
    return s->txn != NULL && s->err == OXBOW_OK;
}

static uint64_t draw(struct step *s, uint64_t below)
{
    return lab_random(&s->random) % below;
}

static void queue_add(struct queue *q, uint64_t value)
{
    if (q->count == QUEUE)
        lab_die("a queue", "was not cut");
    q->at[q->count++] = value;
}

static void queue_cut(struct queue *q, size_t left)
{
    if (q->count <= left)
        return;
    memmove(q->at, q->at + (q->count - left), left * sizeof q->at[0]);
    q->count = left;
}

/* ---- acts ---- */

static void bind_list(struct step *s)
{
    const struct oxbow_binding b = {.source = s_key,
                                    .destination = l_key,
                                    .type = OXBOW_TYPE_LIST,
                                    .kind = OXBOW_BIND_TOPIC,
                                    .on_full = OXBOW_BINDING_SKIP,
                                    .field = {"key", 3},
                                    .pattern = {"x.#", 3},
                                    .value_field = {"v", 1}};
    s->model->bound = true;
    if (live(s))
        s->err = oxbow_bind(s->txn, &b, NULL);
}

static void unbind_list(struct step *s)
{
    struct oxbow_binding_info info = {.id = 0};
    s->model->bound = false;
    do {
        if (live(s))
            s->err = oxbow_binding_next(s->txn, info.id, &info);
    } while (live(s) && info.binding.type != OXBOW_TYPE_LIST);
    if (live(s))
        s->err = oxbow_unbind(s->txn, info.id);
}

static void begin_all(struct step *s)
{
    const struct oxbow_binding a = {.source = s_key, .destination = a_key};
    const struct oxbow_binding b = {.source = a_key,
                                    .destination = b_key,
                                    .kind = OXBOW_BIND_TOPIC,
                                    .field = {"key", 3},
                                    .pattern = {"#.b", 3}};
    const struct oxbow_policy few = {.max_entries = A_MAX}, fewer = {.max_entries = L_MAX};
    if (live(s))
        s->err = oxbow_bind(s->txn, &a, NULL);
    if (live(s))
        s->err = oxbow_bind(s->txn, &b, NULL);
    if (live(s))
        s->err = oxbow_policy_set(s->txn, a_key, &few);
    if (live(s))
        s->err = oxbow_policy_set(s->txn, l_key, &fewer);
    bind_list(s);
}

static void add_model(struct model *m, uint64_t value, bool x, bool b)
{
    m->entries++;
    queue_add(&m->s, value);
    queue_add(&m->a, value);
    m->routed++;
    m->unroutable += !b; /* at `a` */
    if (b)
        queue_add(&m->b, value);
    if (!x || !m->bound)
        return;
    if (m->l.count == L_MAX) {
        m->dropped++;
    } else {
        m->routed++;
        queue_add(&m->l, value);
    }
}

static void add(struct step *s)
{
    static const char *const keys[] = {"x", "x.b", "y", "y.b"};
    uint64_t value = s->number++, what = draw(s, 4);
    const struct oxbow_field fields[] = {{{"key", 3}, {keys[what], strlen(keys[what])}},
                                         {{"v", 1}, {&value, sizeof value}}};
    bool full = s->model->a.count == A_MAX;
    if (live(s)) {
        enum oxbow_err err = oxbow_stream_add(s->txn, s_key, NULL, fields, 2, NULL);
        s->err = full && err == OXBOW_EFULL ? OXBOW_OK : full ? OXBOW_ECORRUPT : err;
    }
    if (!full)
        add_model(s->model, value, what < 2, what % 2 == 1);
}

static void cut(struct step *s, struct oxbow_bytes key, struct queue *q, size_t left)
{
    const struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MAXLEN, .maxlen = left};
    queue_cut(q, left);
    if (live(s))
        s->err = oxbow_stream_trim(s->txn, key, &trim, NULL);
}

static void act(struct step *s)
{
    struct oxbow_result r = {0};
    struct model *m = s->model;
    uint64_t what = draw(s, 12), left = draw(s, A_MAX);
    if (what < 7) {
        add(s);
    } else if (what < 9) {
        cut(s, a_key, &m->a, (size_t)left);
    } else if (what < 11) {
        size_t n = 1 + (size_t)draw(s, 3);
        queue_cut(&m->l, m->l.count > n ? m->l.count - n : 0);
        if (live(s))
            s->err = oxbow_list_pop(s->txn, l_key, OXBOW_LEFT, n, &r);
        s->err = s->err == OXBOW_ENOENT ? OXBOW_OK : s->err;
        oxbow_result_fini(&r);
    } else if (m->bound) {
        unbind_list(s);
    } else {
        bind_list(s);
    }
}

static enum oxbow_err route_step(struct model *m, uint64_t seed, uint64_t step, struct oxbow *db,
                                 const struct oxbow_txn_options *opt, uint64_t *lsn)
{
    struct step s = {.model = m, .random = seed + step * 0x632be59bd9b4e019u, .number = step * 100};
    if (db != NULL)
        s.err = oxbow_txn_begin(db, opt, &s.txn);
    if (s.err != OXBOW_OK)
        return s.err;
    if (step == 0)
        begin_all(&s);
    cut(&s, s_key, &m->s, 20);
    cut(&s, b_key, &m->b, 20);
    for (uint64_t n = 1 + draw(&s, 6); n > 0; n--)
        act(&s);
    m->steps = step + 1;
    if (live(&s))
        s.err = oxbow_string_set(s.txn, n_key, (struct oxbow_bytes){&m->steps, sizeof m->steps});
    if (s.txn == NULL)
        return OXBOW_OK;
    if (s.err == OXBOW_OK)
        return oxbow_txn_commit(s.txn, lsn);
    oxbow_txn_abort(s.txn);
    return s.err;
}

/* ---- dumps ---- */

static void dump_queue(const struct queue *q, struct dump *out)
{
    dump_number(out, q->count);
    dump_add(out, q->at, q->count * sizeof q->at[0]);
}

static void dump_model(const struct model *m, struct dump *out)
{
    dump_number(out, m->steps);
    dump_queue(&m->s, out);
    dump_queue(&m->a, out);
    dump_queue(&m->b, out);
    dump_queue(&m->l, out);
    dump_number(out, m->bound);
    dump_number(out, m->entries);
    dump_number(out, m->routed);
    dump_number(out, m->unroutable);
    dump_number(out, m->dropped);
}

static enum oxbow_err dump_stream(struct oxbow_txn *txn, struct oxbow_bytes key, struct dump *out)
{
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};
    struct oxbow_result r = {0};
    enum oxbow_err err = oxbow_stream_range(txn, key, &all, &r);
    dump_number(out, r.entry_count);
    for (size_t i = 0; err == OXBOW_OK && i < r.entry_count; i++)
        dump_add(out, r.entries[i].fields[1].value.data, r.entries[i].fields[1].value.len);
    oxbow_result_fini(&r);
    return err;
}

static enum oxbow_err dump_list(struct oxbow_txn *txn, struct dump *out)
{
    struct oxbow_result r = {0};
    enum oxbow_err err = oxbow_list_range(txn, l_key, 0, -1, &r);
    dump_number(out, r.item_count);
    for (size_t i = 0; err == OXBOW_OK && i < r.item_count; i++)
        dump_add(out, r.items[i].data, r.items[i].len);
    oxbow_result_fini(&r);
    return err;
}

static enum oxbow_err dump_counts(struct oxbow_txn *txn, struct dump *out)
{
    struct oxbow_source_info s = {0}, a = {0};
    struct oxbow_binding_info info = {.id = 0};
    bool bound = false;
    enum oxbow_err err = OXBOW_OK;
    while (err == OXBOW_OK) {
        err = oxbow_binding_next(txn, info.id, &info);
        bound = bound || (err == OXBOW_OK && info.binding.type == OXBOW_TYPE_LIST);
    }
    if (err == OXBOW_ENOENT)
        err = oxbow_source_get(txn, s_key, &s);
    if (err == OXBOW_OK)
        err = oxbow_source_get(txn, a_key, &a);
    dump_number(out, bound);
    dump_number(out, s.entries);
    dump_number(out, s.routed);
    dump_number(out, s.unroutable + a.unroutable);
    dump_number(out, s.dropped);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err steps_get(struct oxbow_txn *txn, uint64_t *steps)
{
    struct oxbow_result r = {0};
    enum oxbow_err err = oxbow_string_get(txn, n_key, &r);
    *steps = 0;
    if (err == OXBOW_OK)
        memcpy(steps, r.items[0].data, sizeof *steps);
    oxbow_result_fini(&r);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err dump_store(struct oxbow *db, struct dump *out)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_txn *txn;
    uint64_t steps;
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);
    if (err != OXBOW_OK)
        return err;
    err = steps_get(txn, &steps);
    dump_number(out, steps);
    if (err == OXBOW_OK)
        err = dump_stream(txn, s_key, out);
    if (err == OXBOW_OK)
        err = dump_stream(txn, a_key, out);
    if (err == OXBOW_OK)
        err = dump_stream(txn, b_key, out);
    if (err == OXBOW_OK)
        err = dump_list(txn, out);
    if (err == OXBOW_OK)
        err = dump_counts(txn, out);
    oxbow_txn_abort(txn);
    return err;
}

static struct model *route_open(void)
{
    return lab_alloc(sizeof(struct model));
}

static void route_close(struct model *m)
{
    free(m);
}

const struct subject subject_route = {
    .name = "route",
    .open = route_open,
    .close = route_close,
    .step = route_step,
    .dump_store = dump_store,
    .dump_model = dump_model,
};
