/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delayed entries, a schedule, and producers that add once, as a subject.
 *
 * Entries that are due soon are added by the store's idle work, whenever that comes to it, or by a
 * step: a dump has those that wait and those that were added as one set, so an entry that was
 * lost or added twice makes a difference, and where it is makes none. Those that are due late are
 * taken back and moved. What a producer is told must be what the model says. What the schedule has added
 * goes by the clock: it must be there as often as the schedule says, and each of its times must have been
 * dealt with once.
 */
#include "oxbow/delay.h"
#include "oxbow/list.h"
#include "oxbow/once.h"
#include "oxbow/policy.h"
#include "oxbow/schedule.h"
#include "oxbow/stream.h"
#include "tests/crash/harness.h"
#include "tests/crash/subject.h"

#include <stdlib.h>
#include <string.h>

#define LATE_MS (1000u * 3600000u)
#define IDS     8u
#define WINDOW  5u
#define SET_MAX 4096u
#define BEAT_MS 100u

struct set {
    uint64_t at[SET_MAX];
    size_t count;
};

struct model {
    struct set soon; /* waiting or added */
    struct set late; /* waiting */
    uint64_t ids[IDS];
    uint64_t newest;   /* number of the newest id */
    uint64_t once;     /* entries that were added under an id */
    uint64_t sequence; /* of the producer */
    uint64_t counted;  /* entries that it added */
};

struct step {
    struct model *model;
    struct oxbow_txn *txn; /* NULL: the model only */
    uint64_t random;
    uint64_t number;
    enum oxbow_err err;
};

static const struct oxbow_bytes soon_key = {"soon", 4}, late_key = {"late", 4},
                                once_key = {"once", 4}, count_key = {"count", 5},
                                beat_key = {"beat", 4}, grid_key = {"grid", 4};

static void set_add(struct set *s, uint64_t value)
{
    if (s->count == SET_MAX)
        lab_die("too many steps", NULL);
    s->at[s->count++] = value;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void set_dump(struct set *s, struct dump *d)
{
    qsort(s->at, s->count, sizeof s->at[0], compare);
    dump_number(d, s->count);
    dump_add(d, s->at, s->count * sizeof s->at[0]);
}

static bool live(const struct step *s)
{
    return s->txn != NULL && s->err == OXBOW_OK;
}

static uint64_t draw(struct step *s, uint64_t below)
{
    return lab_random(&s->random) % below;
}

/* ---- delayed entries ---- */

static void delay(struct step *s, struct oxbow_bytes key, uint64_t value, uint64_t ms)
{
    const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, ms};
    if (live(s))
        s->err = oxbow_delay_push(s->txn, key, OXBOW_RIGHT, &when,
                                  (struct oxbow_bytes){&value, sizeof value}, NULL);
}

static enum oxbow_err value_of(struct oxbow_txn *txn, struct oxbow_delay_id id, uint64_t *value)
{
    struct oxbow_result r = {0};
    enum oxbow_err err = oxbow_delay_get(txn, id, &r);
    if (err == OXBOW_OK && (r.item_count != 1 || r.items[0].len != sizeof *value))
        err = OXBOW_ECORRUPT;
    if (err == OXBOW_OK)
        memcpy(value, r.items[0].data, sizeof *value);
    oxbow_result_fini(&r);
    return err;
}

/* The waiting entry of a key with that value; or, with `all`, the values of all of them. */
static enum oxbow_err search(struct oxbow_txn *txn, struct oxbow_bytes key, uint64_t value,
                             struct oxbow_delay_id *id, struct set *all)
{
    struct oxbow_delay_place place = {0};
    struct oxbow_delay_info info;
    enum oxbow_err err;
    while ((err = oxbow_delay_next(txn, &place, &info)) == OXBOW_OK) {
        uint64_t got = 0;
        if (info.key.len != key.len || memcmp(info.key.data, key.data, key.len) != 0)
            continue;
        err = value_of(txn, info.id, &got);
        if (err != OXBOW_OK)
            return err;
        if (all != NULL)
            set_add(all, got);
        if (all == NULL && got == value) {
            *id = info.id;
            return OXBOW_OK;
        }
    }
    return err;
}

static void late_change(struct step *s)
{
    const struct oxbow_delay_when when = {OXBOW_DELAY_FOR, LATE_MS + draw(s, 1000)};
    struct set *late = &s->model->late;
    struct oxbow_delay_id id;
    if (late->count == 0)
        return;
    size_t i = (size_t)draw(s, late->count);
    bool cancel = draw(s, 2) == 0;
    if (live(s))
        s->err = search(s->txn, late_key, late->at[i], &id, NULL);
    if (live(s))
        s->err =
            cancel ? oxbow_delay_cancel(s->txn, id) : oxbow_delay_move(s->txn, id, &when, NULL);
    if (cancel)
        late->at[i] = late->at[--late->count];
}

/* ---- producers ---- */

static void add_once(struct step *s, struct oxbow_bytes key, const struct oxbow_once *once,
                     bool duplicate)
{
    const struct oxbow_field field = {{"v", 1}, {&s->number, sizeof s->number}};
    struct oxbow_once_outcome outcome;
    if (live(s))
        s->err = oxbow_once_add(s->txn, key, once, &field, 1, &outcome);
    if (live(s) && outcome.duplicate != duplicate)
        s->err = OXBOW_ECORRUPT;
}

static void by_id(struct step *s)
{
    struct model *m = s->model;
    uint64_t i = draw(s, IDS);
    bool duplicate = m->ids[i] != 0 && m->newest - m->ids[i] < WINDOW;
    const struct oxbow_once once = {.id = {&i, sizeof i}};
    add_once(s, once_key, &once, duplicate);
    if (!duplicate) {
        m->ids[i] = ++m->newest;
        m->once++;
    }
}

static void by_sequence(struct step *s)
{
    struct model *m = s->model;
    uint64_t n = m->sequence + draw(s, 5);
    n = n > 2 ? n - 2 : 1;
    bool duplicate = n <= m->sequence;
    const struct oxbow_once once = {.producer = {"p", 1}, .sequence = n};
    add_once(s, count_key, &once, duplicate);
    if (!duplicate) {
        m->sequence = n;
        m->counted++;
    }
}

/* ---- a schedule ---- */

/* Its first time is kept beside it. */
static void schedule(struct step *s)
{
    const struct oxbow_schedule_options opt = {.when = {"every 100ms", 11},
                                               .missed = OXBOW_MISSED_ONCE,
                                               .key = beat_key,
                                               .end = OXBOW_RIGHT,
                                               .value = {"v", 1}};
    struct oxbow_schedule_info info = {.next_ms = 0};
    if (live(s))
        s->err = oxbow_schedule_set(s->txn, "beat", &opt);
    if (live(s))
        s->err = oxbow_schedule_get(s->txn, "beat", &info);
    const struct oxbow_bytes first = {&info.next_ms, sizeof info.next_ms};
    if (live(s))
        s->err = oxbow_list_push(s->txn, grid_key, OXBOW_RIGHT, &first, 1, NULL);
}

/* Whether it is there; how many entries are too many or too few; how far its next time is off. */
static enum oxbow_err dump_schedule(struct oxbow_txn *txn, struct dump *d)
{
    struct oxbow_schedule_info info = {.next_ms = 0};
    struct oxbow_result r = {0};
    uint64_t len = 0, first = 0;
    enum oxbow_err err = oxbow_schedule_get(txn, "beat", &info);
    bool there = err == OXBOW_OK;
    err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    if (err == OXBOW_OK)
        err = oxbow_list_len(txn, beat_key, &len);
    if (err == OXBOW_OK)
        err = oxbow_list_range(txn, grid_key, 0, -1, &r);
    if (err == OXBOW_OK && r.item_count == 1 && r.items[0].len == sizeof first)
        memcpy(&first, r.items[0].data, sizeof first);
    oxbow_result_fini(&r);
    dump_number(d, there);
    dump_number(d, len - info.added);
    dump_number(d, info.next_ms - first - BEAT_MS * (info.added + info.missed + info.refused));
    return err;
}

/* ---- steps ---- */

static void act(struct step *s)
{
    uint64_t what = draw(s, 7), max = 1 + draw(s, 4);
    switch (what) {
    case 0:
        if (live(s))
            s->err = oxbow_delay_run(s->txn, max, NULL, NULL);
        break;
    case 1:
        set_add(&s->model->late, s->number * 100 + s->model->late.count);
        delay(s, late_key, s->model->late.at[s->model->late.count - 1], LATE_MS);
        break;
    case 2:
        late_change(s);
        break;
    case 3:
    case 4:
        by_id(s);
        break;
    case 5:
        if (live(s))
            s->err = oxbow_schedule_run(s->txn, max, NULL, NULL);
        break;
    default:
        by_sequence(s);
        break;
    }
}

static enum oxbow_err time_step(struct model *m, uint64_t seed, uint64_t step, struct oxbow *db,
                                const struct oxbow_txn_options *opt, uint64_t *lsn)
{
    static const struct oxbow_policy window = {.dedupe_count = WINDOW};
    struct step s = {.model = m, .random = seed + step * 0x632be59bd9b4e019u, .number = step};
    if (db != NULL)
        s.err = oxbow_txn_begin(db, opt, &s.txn);
    if (s.err != OXBOW_OK)
        return s.err;
    if (step == 0 && live(&s))
        s.err = oxbow_policy_set(s.txn, once_key, &window);
    if (step == 0)
        schedule(&s);
    set_add(&m->soon, step);
    delay(&s, soon_key, step, draw(&s, 30));
    size_t acts = (size_t)(1 + draw(&s, 4));
    for (size_t i = 0; i < acts; i++)
        act(&s);
    if (s.txn == NULL)
        return OXBOW_OK;
    if (s.err == OXBOW_OK)
        return oxbow_txn_commit(s.txn, lsn);
    oxbow_txn_abort(s.txn);
    return s.err;
}

/* ---- dumps ---- */

static enum oxbow_err dump_soon(struct oxbow_txn *txn, struct dump *d)
{
    struct set *all = lab_alloc(sizeof *all);
    struct oxbow_result r = {0};
    enum oxbow_err err = search(txn, soon_key, 0, NULL, all);
    if (err == OXBOW_ENOENT)
        err = oxbow_list_range(txn, soon_key, 0, -1, &r);
    for (size_t i = 0; err == OXBOW_OK && i < r.item_count; i++) {
        uint64_t value;
        memcpy(&value, r.items[i].data, sizeof value);
        set_add(all, value);
    }
    set_dump(all, d);
    free(all);
    oxbow_result_fini(&r);
    return err;
}

static enum oxbow_err dump_rest(struct oxbow_txn *txn, struct dump *d)
{
    struct set *late = lab_alloc(sizeof *late);
    uint64_t once = 0, counted = 0, sequence = 0;
    enum oxbow_err err = search(txn, late_key, 0, NULL, late);
    if (err == OXBOW_ENOENT)
        err = oxbow_stream_len(txn, once_key, &once);
    if (err == OXBOW_OK)
        err = oxbow_stream_len(txn, count_key, &counted);
    if (err == OXBOW_OK)
        err = oxbow_once_sequence(txn, count_key, (struct oxbow_bytes){"p", 1}, &sequence);
    set_dump(late, d);
    free(late);
    dump_number(d, once);
    dump_number(d, counted);
    dump_number(d, sequence);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err dump_store(struct oxbow *db, struct dump *out)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);
    if (err != OXBOW_OK)
        return err;
    err = dump_soon(txn, out);
    if (err == OXBOW_OK)
        err = dump_rest(txn, out);
    if (err == OXBOW_OK)
        err = dump_schedule(txn, out);
    oxbow_txn_abort(txn);
    return err;
}

static void dump_model(const struct model *m, struct dump *out)
{
    struct model *copy = lab_alloc(sizeof *copy);
    *copy = *m;
    set_dump(&copy->soon, out);
    set_dump(&copy->late, out);
    dump_number(out, m->once);
    dump_number(out, m->counted);
    dump_number(out, m->sequence);
    dump_number(out, m->soon.count > 0); /* the schedule, its entries, its times */
    dump_number(out, 0);
    dump_number(out, 0);
    free(copy);
}

static struct model *time_open(void)
{
    return lab_alloc(sizeof(struct model));
}

static void time_close(struct model *m)
{
    free(m);
}

const struct subject subject_time = {
    .name = "time",
    .open = time_open,
    .close = time_close,
    .step = time_step,
    .dump_store = dump_store,
    .dump_model = dump_model,
};
