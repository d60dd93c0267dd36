/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order by key, exclusive groups and patrols as a subject.
 *
 *   s   entries, most of which have one of a few keys; its group has order by key
 *   x   entries; its group is one consumer's at a time
 *   work, proc, dead   lists: values go from work to proc, from where patrols send them back
 *
 * What is due is so at once or in ten years, so that the model needs no clock. When a patrol finds a
 * value too old is not for a model to say, nor which lies in front then: the dump has what is in
 * the three lists together, each value once. Every step adds an entry to s, so that no two states
 * are alike. No entry is ever on its last delivery.
 *
 * `torn` acks in a second transaction what it has read in a first: it must be caught.
 */
#include "oxbow/group_options.h"
#include "oxbow/list.h"
#include "oxbow/patrol.h"
#include "tests/crash/harness.h"
#include "tests/crash/subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS      3u
#define KEYLESS   KEYS
#define CONSUMERS 3u
#define NOBODY    CONSUMERS
#define RETURNS   2u
#define STREAMS   2u
#define PICK_MAX  4u

enum which { KEYED, ALONE };

static const char *const consumer_names[CONSUMERS + 1] = {"a", "b", "c", ""};
static const struct oxbow_group groups[STREAMS] = {{{"s", 1}, {"g", 1}}, {{"x", 1}, {"g", 1}}};
static const struct oxbow_bytes list_work = {"work", 4};
static const struct oxbow_bytes list_proc = {"proc", 4};
static const struct oxbow_bytes list_dead = {"dead", 4};

/* One entry of a stream, its id is {number, 0}. */
struct entry {
    uint64_t number;
    unsigned key;
    bool there; /* in the stream */
    bool pending;
    bool due;
    bool held; /* for others of its key */
    unsigned consumer;
    uint64_t deliveries;
};

struct line {
    struct entry *at;
    size_t count;
    uint64_t last; /* delivered */
};

struct model {
    struct line lines[STREAMS];
    unsigned holder; /* of x */
    uint64_t *values;
    size_t value_count;
    bool torn;
};

struct step {
    struct model *model;
    struct oxbow *db; /* NULL: the model only */
    const struct oxbow_txn_options *opt;
    struct oxbow_txn *txn;
    uint64_t *lsn;
    uint64_t random;
    uint64_t number;
    enum oxbow_err err;
    struct oxbow_result result;
};

static struct oxbow_bytes text_of(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

static bool live(const struct step *s)
{
    return s->txn != NULL && s->err == OXBOW_OK;
}

static size_t draw(struct step *s, size_t below)
{
    return (size_t)(lab_random(&s->random) % below);
}

static void begin(struct step *s)
{
    if (s->db != NULL && s->err == OXBOW_OK)
        s->err = oxbow_txn_begin(s->db, s->opt, &s->txn);
}

static void commit(struct step *s)
{
    if (s->txn == NULL)
        return;
    if (s->err == OXBOW_OK)
        s->err = oxbow_txn_commit(s->txn, s->lsn);
    else
        oxbow_txn_abort(s->txn);
    s->txn = NULL;
}

/* ---- lines of keys ---- */

static bool of_key(const struct entry *e, unsigned key)
{
    return e->pending && e->key == key;
}

/* Who has entries of the key; NOBODY. *all: nothing of it is anywhere else. */
static unsigned owner_of(const struct line *l, unsigned key, bool *all)
{
    unsigned owner = NOBODY;
    *all = true;
    for (size_t i = 0; i < l->count; i++)
        if (of_key(&l->at[i], key)) {
            *all = *all && l->at[i].consumer != NOBODY;
            owner = l->at[i].consumer != NOBODY ? l->at[i].consumer : owner;
        }
    return owner;
}

static struct entry *first_of(const struct line *l, unsigned key)
{
    for (size_t i = 0; i < l->count; i++)
        if (of_key(&l->at[i], key))
            return &l->at[i];
    return NULL;
}

/* When nobody has anything of the key any more, the first of it may come. */
static void came_back(struct line *l, unsigned key)
{
    bool all;
    struct entry *first = key != KEYLESS ? first_of(l, key) : NULL;
    if (first == NULL || !first->held || owner_of(l, key, &all) != NOBODY)
        return;
    first->held = false;
    first->due = true;
}

static void hold(struct entry *e)
{
    e->consumer = NOBODY;
    e->held = true;
    e->due = false;
}

/* Whether an entry that is due is given to the consumer. */
static bool has_turn(struct line *l, struct entry *e, unsigned consumer)
{
    bool all;
    unsigned owner = owner_of(l, e->key, &all);
    struct entry *first = first_of(l, e->key);
    if (e->key == KEYLESS || (e == first && (owner == NOBODY || owner == consumer)))
        return true;
    if (e == first && e->consumer != NOBODY) { /* its time is over: so is that of all behind it */
        for (size_t i = 0; i < l->count; i++)
            if (of_key(&l->at[i], e->key) && &l->at[i] != e && l->at[i].consumer != NOBODY)
                hold(&l->at[i]);
        return true;
    }
    if (e != first && e->consumer == consumer && all)
        return true;
    hold(e);
    came_back(l, e->key);
    return false;
}

static void leave(struct line *l, struct entry *e)
{
    e->pending = e->held = e->due = false;
    e->consumer = NOBODY;
    came_back(l, e->key);
}

static void give(struct line *l, struct entry *e, unsigned consumer)
{
    if (!e->there) {
        leave(l, e);
        return;
    }
    e->pending = true;
    e->due = e->held = false;
    e->consumer = consumer;
    e->deliveries++;
}

static bool any_due(const struct line *l)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->at[i].pending && l->at[i].due)
            return true;
    return false;
}

static void give_due(struct line *l, unsigned consumer)
{
    while (any_due(l))
        for (size_t i = 0; i < l->count; i++)
            if (l->at[i].pending && l->at[i].due && has_turn(l, &l->at[i], consumer))
                give(l, &l->at[i], consumer);
}

static void give_new(struct line *l, unsigned consumer)
{
    for (size_t i = 0; i < l->count; i++) {
        struct entry *e = &l->at[i];
        bool all = true;
        if (e->number <= l->last || !e->there)
            continue;
        l->last = e->number;
        unsigned owner = e->key != KEYLESS ? owner_of(l, e->key, &all) : NOBODY;
        if (e->key == KEYLESS || first_of(l, e->key) == NULL || (owner == consumer && all)) {
            give(l, e, consumer);
        } else {
            e->pending = true;
            hold(e);
        }
    }
}

/* ---- acts on groups ---- */

/* Up to `max` of those pending, in the order of the stream. */
static size_t pick(struct step *s, struct line *l, struct oxbow_id *ids, struct entry **picked)
{
    size_t count = 0, start = l->count > 0 ? draw(s, l->count) : 0;
    for (size_t i = start; i < l->count && count < PICK_MAX; i++)
        if (l->at[i].pending && draw(s, 3) > 0) {
            ids[count] = (struct oxbow_id){l->at[i].number, 0};
            picked[count++] = &l->at[i];
        }
    return count;
}

static void add(struct step *s, enum which g)
{
    struct line *l = &s->model->lines[g];
    struct entry e = {
        .number = l->count > 0 ? l->at[l->count - 1].number + 1 : 1, .there = true, .key = KEYLESS};
    char value[24], key[2] = "0";
    if (g == KEYED)
        e.key = (unsigned)draw(s, KEYS + 1);
    e.consumer = NOBODY;
    l->at = lab_grow(l->at, (l->count + 1) * sizeof *l->at);
    l->at[l->count++] = e;
    key[0] = (char)('0' + e.key);
    (void)snprintf(value, sizeof value, "%llu", (unsigned long long)lab_random(&s->random));
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {e.number, 0}};
    const struct oxbow_field fields[2] = {{{"v", 1}, text_of(value)}, {{"k", 1}, text_of(key)}};
    if (live(s))
        s->err =
            oxbow_stream_add(s->txn, groups[g].key, &opt, fields, e.key != KEYLESS ? 2 : 1, NULL);
}

static void make(struct step *s)
{
    const struct oxbow_group_create_options create = {.make_stream = true};
    const struct oxbow_group_options options[STREAMS] = {
        {.visibility_ms = OXBOW_GROUP_MS_MAX, .key_field = {"k", 1}},
        {.visibility_ms = OXBOW_GROUP_MS_MAX, .exclusive_ms = OXBOW_GROUP_MS_MAX}};
    for (unsigned g = 0; g < STREAMS; g++) {
        if (live(s))
            s->err = oxbow_group_create(s->txn, groups[g], &create);
        if (live(s))
            s->err = oxbow_group_options_set(s->txn, groups[g], &options[g]);
    }
}

/* Whether the consumer has the group, or takes it. */
static bool holds(struct model *m, unsigned consumer)
{
    struct line *l = &m->lines[ALONE];
    bool any = false;
    if (m->holder != NOBODY)
        return m->holder == consumer;
    for (size_t i = 0; i < l->count; i++)
        any = any || l->at[i].pending || l->at[i].number > l->last;
    if (!any)
        return true;
    m->holder = consumer;
    for (size_t i = 0; i < l->count; i++) /* of those who had it before */
        l->at[i].due = l->at[i].due || (l->at[i].pending && l->at[i].consumer != NOBODY &&
                                        l->at[i].consumer != consumer);
    return true;
}

static void read_all(struct step *s, enum which g)
{
    struct line *l = &s->model->lines[g];
    unsigned consumer = (unsigned)draw(s, CONSUMERS);
    if (g == KEYED || holds(s->model, consumer)) {
        give_due(l, consumer);
        give_new(l, consumer);
    }
    if (live(s))
        s->err = oxbow_group_read(s->txn, groups[g], text_of(consumer_names[consumer]), NULL,
                                  &s->result);
}

static void ack(struct step *s, enum which g)
{
    struct oxbow_id ids[PICK_MAX];
    struct entry *e[PICK_MAX];
    size_t count = pick(s, &s->model->lines[g], ids, e);
    for (size_t i = 0; i < count; i++)
        leave(&s->model->lines[g], e[i]);
    if (live(s))
        s->err = oxbow_group_ack(s->txn, groups[g], ids, count, NULL);
}

static void nack(struct step *s, enum which g)
{
    struct oxbow_id ids[PICK_MAX];
    struct entry *e[PICK_MAX];
    struct line *l = &s->model->lines[g];
    struct oxbow_group_nack_options opt = {
        .ids = ids, .count = pick(s, l, ids, e), .how = OXBOW_NACK_DELAY};
    opt.delay_ms = draw(s, 3) > 0 ? 0 : OXBOW_GROUP_MS_MAX;
    for (size_t i = 0; i < opt.count; i++) {
        bool had = e[i]->consumer != NOBODY;
        e[i]->consumer = NOBODY;
        e[i]->due = !e[i]->held && opt.delay_ms == 0;
        if (had)
            came_back(l, e[i]->key);
    }
    if (live(s))
        s->err = oxbow_group_nack(s->txn, groups[g], &opt, NULL);
}

/* The consumer's time is up, or it gets more. */
static void extend(struct step *s)
{
    struct oxbow_id ids[PICK_MAX];
    struct entry *e[PICK_MAX];
    struct oxbow_group_extend_options opt = {.ids = ids,
                                             .count = pick(s, &s->model->lines[KEYED], ids, e)};
    opt.visible_ms = draw(s, 3) > 0 ? 0 : OXBOW_GROUP_MS_MAX;
    for (size_t i = 0; i < opt.count; i++)
        if (e[i]->consumer != NOBODY)
            e[i]->due = opt.visible_ms == 0;
    if (live(s))
        s->err = oxbow_group_extend(s->txn, groups[KEYED], &opt, NULL);
}

static void die(struct step *s, enum which g)
{
    struct line *l = &s->model->lines[g];
    unsigned consumer = (unsigned)draw(s, CONSUMERS);
    for (size_t i = 0; i < l->count; i++)
        if (l->at[i].pending && l->at[i].consumer == consumer) {
            l->at[i].consumer = NOBODY;
            l->at[i].due = true;
            came_back(l, l->at[i].key);
        }
    if (g == ALONE && s->model->holder == consumer)
        s->model->holder = NOBODY;
    if (live(s))
        s->err =
            oxbow_group_consumer_delete(s->txn, groups[g], text_of(consumer_names[consumer]), NULL);
}

static void delete_one(struct step *s)
{
    struct line *l = &s->model->lines[KEYED];
    struct entry *e = &l->at[draw(s, l->count)];
    struct oxbow_id id = {e->number, 0};
    e->there = false;
    if (live(s))
        s->err = oxbow_stream_delete(s->txn, groups[KEYED].key, &id, 1, NULL);
}

/* ---- acts on lists ---- */

static void push(struct step *s)
{
    struct model *m = s->model;
    uint64_t value = (s->number << 16) + m->value_count;
    m->values = lab_grow(m->values, (m->value_count + 1) * sizeof *m->values);
    m->values[m->value_count++] = value;
    const struct oxbow_bytes bytes = {&value, sizeof value};
    if (live(s))
        s->err = oxbow_list_push(s->txn, list_work, OXBOW_RIGHT, &bytes, 1, NULL);
}

static void take(struct step *s)
{
    if (live(s))
        s->err = oxbow_list_move(s->txn, list_work, list_proc, OXBOW_LEFT, OXBOW_RIGHT, &s->result);
    s->err = s->err == OXBOW_ENOENT ? OXBOW_OK : s->err; /* a patrol has not brought it back */
}

static void patrol(struct step *s)
{
    struct oxbow_patrol out;
    const struct oxbow_patrol_options opt = {.processing = list_proc,
                                             .to = list_work,
                                             .to_end = OXBOW_LEFT,
                                             .timeout_ms = 1,
                                             .max_returns = RETURNS,
                                             .dead = list_dead};
    if (live(s))
        s->err = oxbow_list_patrol(s->txn, &opt, &out);
    if (live(s) && out.problem != OXBOW_OK)
        s->err = out.problem;
}

/* Wherever it is. */
static void finish(struct step *s)
{
    static const struct oxbow_bytes *const lists[] = {&list_proc, &list_work, &list_dead};
    struct model *m = s->model;
    if (m->value_count == 0)
        return;
    size_t at = draw(s, m->value_count);
    uint64_t value = m->values[at], removed = 0;
    m->values[at] = m->values[--m->value_count];
    for (size_t i = 0; i < 3 && live(s) && removed == 0; i++)
        s->err = oxbow_list_remove(s->txn, *lists[i], 1, (struct oxbow_bytes){&value, sizeof value},
                                   &removed);
    if (live(s) && removed != 1)
        s->err = OXBOW_ECORRUPT;
}

/* ---- a step ---- */

static void act(struct step *s)
{
    size_t what = draw(s, 36);
    enum which g = draw(s, 3) == 0 ? ALONE : KEYED;
    if (what < 8)
        read_all(s, g);
    else if (what < 13)
        ack(s, g);
    else if (what < 17)
        nack(s, g);
    else if (what < 20)
        extend(s);
    else if (what < 21)
        die(s, g);
    else if (what < 22)
        delete_one(s);
    else if (what < 25)
        push(s);
    else if (what < 29)
        take(s);
    else if (what < 33)
        patrol(s);
    else if (what < 35)
        finish(s);
    else
        add(s, ALONE);
}

static enum oxbow_err groups_step(struct model *m, uint64_t seed, uint64_t step, struct oxbow *db,
                                  const struct oxbow_txn_options *opt, uint64_t *lsn)
{
    struct step s = {.model = m,
                     .db = db,
                     .opt = opt,
                     .lsn = lsn,
                     .number = step,
                     .random = seed + step * 0x632be59bd9b4e019u};
    begin(&s);
    if (step == 0)
        make(&s);
    add(&s, KEYED);
    for (size_t acts = 2 + draw(&s, 6); acts > 0; acts--)
        act(&s);
    if (m->torn) {
        commit(&s);
        begin(&s);
        ack(&s, KEYED);
        finish(&s);
    }
    commit(&s);
    oxbow_result_fini(&s.result);
    return s.err;
}

/* ---- dumps ---- */

static int value_compare(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static void dump_values(struct dump *out, const uint64_t *values, size_t count)
{
    uint64_t *sorted = lab_alloc((count + 1) * sizeof *sorted);
    if (count > 0)
        memcpy(sorted, values, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, value_compare);
    dump_number(out, count);
    for (size_t i = 0; i < count; i++)
        dump_number(out, sorted[i]);
    free(sorted);
}

static void dump_line(const struct line *l, struct dump *out)
{
    uint64_t pending = 0;
    dump_number(out, l->count);
    dump_number(out, l->last);
    for (size_t i = 0; i < l->count; i++)
        pending += l->at[i].pending;
    dump_number(out, pending);
    for (size_t i = 0; i < l->count; i++)
        if (l->at[i].pending) {
            dump_number(out, l->at[i].number);
            dump_bytes(out, text_of(consumer_names[l->at[i].consumer]));
            dump_number(out, l->at[i].deliveries);
        }
}

static void dump_model(const struct model *m, struct dump *out)
{
    for (unsigned g = 0; g < STREAMS; g++)
        dump_line(&m->lines[g], out);
    dump_values(out, m->values, m->value_count);
}

static enum oxbow_err dump_group(struct oxbow_txn *txn, struct oxbow_group group, struct dump *out)
{
    struct oxbow_stream_info stream = {0};
    struct oxbow_group_info info = {0};
    struct oxbow_result names = {0};
    size_t found = 0;
    enum oxbow_err err = oxbow_stream_info(txn, group.key, &stream);
    if (err == OXBOW_OK)
        err = oxbow_group_info(txn, group, &info);
    struct oxbow_pending *rows = lab_alloc((info.pending + 1) * sizeof *rows);
    const struct oxbow_pending_filter all = {.to = OXBOW_ID_MAX, .count = info.pending + 1};
    if (err == OXBOW_OK)
        err = oxbow_group_pending(txn, group, &all, &names, rows, &found);
    if (err == OXBOW_OK || err == OXBOW_ENOENT) {
        dump_number(out, stream.entries_added);
        dump_number(out, info.last_id.ms);
        dump_number(out, found);
    }
    for (size_t i = 0; i < found && err == OXBOW_OK; i++) {
        dump_number(out, rows[i].id.ms);
        dump_bytes(out, rows[i].consumer);
        dump_number(out, rows[i].deliveries);
    }
    oxbow_result_fini(&names);
    free(rows);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err dump_lists(struct oxbow_txn *txn, struct dump *out)
{
    const struct oxbow_bytes lists[] = {list_work, list_proc, list_dead};
    uint64_t *values = NULL;
    size_t count = 0;
    enum oxbow_err err = OXBOW_OK;
    for (size_t l = 0; l < 3 && err == OXBOW_OK; l++) {
        struct oxbow_result r = {0};
        err = oxbow_list_range(txn, lists[l], 0, -1, &r);
        for (size_t i = 0; err == OXBOW_OK && i < r.item_count; i++) {
            values = lab_grow(values, (count + 1) * sizeof *values);
            if (r.items[i].len != sizeof *values)
                err = OXBOW_ECORRUPT;
            else
                memcpy(&values[count++], r.items[i].data, sizeof *values);
        }
        oxbow_result_fini(&r);
    }
    if (err == OXBOW_OK)
        dump_values(out, values, count);
    free(values);
    return err;
}

static enum oxbow_err dump_store(struct oxbow *db, struct dump *out)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);
    if (err != OXBOW_OK)
        return err;
    for (unsigned g = 0; g < STREAMS && err == OXBOW_OK; g++)
        err = dump_group(txn, groups[g], out);
    if (err == OXBOW_OK)
        err = dump_lists(txn, out);
    oxbow_txn_abort(txn);
    return err;
}

static struct model *groups_open(void)
{
    struct model *m = lab_alloc(sizeof(struct model));
    m->holder = NOBODY;
    return m;
}

static struct model *torn_open(void)
{
    struct model *m = groups_open();
    m->torn = true;
    return m;
}

static void groups_close(struct model *m)
{
    for (unsigned g = 0; g < STREAMS; g++)
        free(m->lines[g].at);
    free(m->values);
    free(m);
}

const struct subject subject_groups = {
    .name = "groups",
    .open = groups_open,
    .close = groups_close,
    .step = groups_step,
    .dump_store = dump_store,
    .dump_model = dump_model,
};

const struct subject subject_torn = {
    .name = "torn",
    .broken = true,
    .open = torn_open,
    .close = groups_close,
    .step = groups_step,
    .dump_store = dump_store,
    .dump_model = dump_model,
};
