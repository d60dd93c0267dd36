/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group whose consumers fail, die and come back, as a subject: redeliveries, dead letters, redrive.
 *
 * Every step adds an entry, and the dump has how many there were, so that no two states are alike.
 * What is due is so at once or in ten years, so that the model needs no clock; letters have ids of
 * their own, so they are dumped by where they come from. Entries leave the stream only while they are
 * no letters: then a redriven one keeps its id.
 *
 * What is due and has used up its deliveries is doomed: the store buries it between two steps or
 * leaves that to the next read. Each step leaves a list of what it doomed; by that such an entry is
 * dumped as a letter, whichever it is, and the next step begins with a read.
 */
#include "oxbow/group_options.h"
#include "oxbow/list.h"
#include "tests/crash/harness.h"
#include "tests/crash/subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELIVERIES 4u
#define CONSUMERS  3u
#define NOBODY     CONSUMERS
#define LETTERS    12u /* a read writes 16 at most, and which of more is not for a model to say */

static const char *const consumer_names[CONSUMERS + 1] = {"a", "b", "c", ""};

/* One entry of the stream, its id is {number, 0}. */
struct entry {
    uint64_t number;
    uint64_t mark; /* its value */
    bool there;    /* in the stream */
    bool pending;
    bool due;
    bool letter;
    unsigned consumer;
    uint64_t deliveries;
};

struct model {
    struct entry *at;
    size_t count;
    uint64_t last; /* delivered */
    uint64_t redelivered;
    uint64_t dead;
};

struct step {
    struct model *model;
    struct oxbow_txn *txn; /* NULL: the model only */
    uint64_t random;
    enum oxbow_err err;
    struct oxbow_result result;
};

static struct oxbow_bytes text_of(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

static const struct oxbow_group group = {{"s", 1}, {"g", 1}};
static const struct oxbow_bytes doomed_list = {"doomed", 6};

static bool live(const struct step *s)
{
    return s->txn != NULL && s->err == OXBOW_OK;
}

static size_t draw(struct step *s, size_t below)
{
    return (size_t)(lab_random(&s->random) % below);
}

static struct model *retry_open(void)
{
    return lab_alloc(sizeof(struct model));
}

static void retry_close(struct model *m)
{
    free(m->at);
    free(m);
}

/* ---- what happens to one ---- */

static void bury(struct model *m, struct entry *e)
{
    e->pending = false;
    e->letter = e->there;
    m->dead += e->there;
}

static void deliver(struct model *m, struct entry *e, unsigned consumer)
{
    m->redelivered += e->pending && e->deliveries > 0;
    e->deliveries = e->pending ? e->deliveries + 1 : 1;
    e->pending = true;
    e->due = false;
    e->consumer = consumer;
}

/* Up to `max` of those pending, in the order of the stream. */
static size_t pick(struct step *s, struct oxbow_id *ids, struct entry **picked, size_t max)
{
    struct model *m = s->model;
    size_t count = 0, start = draw(s, m->count);
    for (size_t i = start; i < m->count && count < max; i++)
        if (m->at[i].pending && draw(s, 3) > 0) {
            ids[count] = (struct oxbow_id){m->at[i].number, 0};
            picked[count++] = &m->at[i];
        }
    return count;
}

/* ---- acts ---- */

static void add(struct step *s, uint64_t number)
{
    struct model *m = s->model;
    char value[24];
    m->at = lab_grow(m->at, (m->count + 1) * sizeof *m->at);
    m->at[m->count] =
        (struct entry){.number = number, .mark = lab_random(&s->random), .there = true};
    (void)snprintf(value, sizeof value, "%llu", (unsigned long long)m->at[m->count].mark);
    m->count++;
    struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {number, 0}};
    struct oxbow_field field = {{"v", 1}, text_of(value)};
    if (live(s))
        s->err = oxbow_stream_add(s->txn, group.key, &opt, &field, 1, NULL);
}

static void make(struct step *s)
{
    struct oxbow_group_create_options create = {.make_stream = true};
    struct oxbow_group_options opt = {.visibility_ms = OXBOW_GROUP_MS_MAX,
                                      .max_deliveries = DELIVERIES,
                                      .dead_letter = {"dead", 4}};
    if (live(s))
        s->err = oxbow_group_create(s->txn, group, &create);
    if (live(s))
        s->err = oxbow_group_options_set(s->txn, group, &opt);
}

/* What has one chance left is given alone, and in which order is not for the model to say: it is
 * acked before. */
static void ack_last_chances(struct step *s)
{
    struct model *m = s->model;
    for (size_t i = 0; i < m->count; i++) {
        struct entry *e = &m->at[i];
        struct oxbow_id id = {e->number, 0};
        if (!e->pending || !e->due || e->deliveries + 1 != DELIVERIES)
            continue;
        e->pending = false;
        if (live(s))
            s->err = oxbow_group_ack(s->txn, group, &id, 1, NULL);
    }
}

static void read_all(struct step *s)
{
    struct model *m = s->model;
    unsigned consumer = (unsigned)draw(s, CONSUMERS);
    ack_last_chances(s);
    for (size_t i = 0; i < m->count; i++) {
        struct entry *e = &m->at[i];
        if (e->pending && e->due) {
            if (e->deliveries >= DELIVERIES)
                bury(m, e);
            else if (!e->there)
                e->pending = false;
            else
                deliver(m, e, consumer);
        } else if (e->number > m->last && e->there) {
            deliver(m, e, consumer);
        }
        if (e->number > m->last && e->there)
            m->last = e->number;
    }
    if (live(s))
        s->err =
            oxbow_group_read(s->txn, group, text_of(consumer_names[consumer]), NULL, &s->result);
}

static void ack(struct step *s)
{
    struct oxbow_id ids[4];
    struct entry *e[4];
    size_t count = pick(s, ids, e, 4);
    for (size_t i = 0; i < count; i++)
        e[i]->pending = false;
    if (live(s))
        s->err = oxbow_group_ack(s->txn, group, ids, count, NULL);
}

static void nack(struct step *s)
{
    struct oxbow_id ids[4];
    struct entry *e[4];
    struct oxbow_group_nack_options opt = {.ids = ids, .count = pick(s, ids, e, 4)};
    size_t what = draw(s, 8);
    opt.how = what < 5 ? OXBOW_NACK_RETRY : what < 7 ? OXBOW_NACK_DELAY : OXBOW_NACK_DEAD;
    opt.delay_ms = what == 6 ? OXBOW_GROUP_MS_MAX : 0;
    for (size_t i = 0; i < opt.count; i++) {
        if (opt.how == OXBOW_NACK_DEAD ||
            (opt.how == OXBOW_NACK_RETRY && e[i]->deliveries >= DELIVERIES)) {
            bury(s->model, e[i]);
        } else {
            e[i]->consumer = NOBODY;
            e[i]->due = opt.delay_ms == 0;
        }
    }
    if (live(s))
        s->err = oxbow_group_nack(s->txn, group, &opt, NULL);
}

/* The consumer's time is up, or it gets more. */
static void extend(struct step *s)
{
    struct oxbow_id ids[6];
    struct entry *e[6];
    struct oxbow_group_extend_options opt = {.ids = ids, .count = pick(s, ids, e, 6)};
    opt.visible_ms = draw(s, 3) > 0 ? 0 : OXBOW_GROUP_MS_MAX;
    for (size_t i = 0; i < opt.count; i++)
        if (e[i]->consumer != NOBODY)
            e[i]->due = opt.visible_ms == 0;
    if (live(s))
        s->err = oxbow_group_extend(s->txn, group, &opt, NULL);
}

static void die(struct step *s)
{
    struct model *m = s->model;
    unsigned consumer = (unsigned)draw(s, CONSUMERS);
    for (size_t i = 0; i < m->count; i++)
        if (m->at[i].pending && m->at[i].consumer == consumer) {
            m->at[i].consumer = NOBODY;
            m->at[i].due = true;
        }
    if (live(s))
        s->err =
            oxbow_group_consumer_delete(s->txn, group, text_of(consumer_names[consumer]), NULL);
}

static void claim(struct step *s)
{
    struct oxbow_id ids[2];
    struct entry *e[2];
    struct oxbow_claim_options opt = {.ids = ids, .count = pick(s, ids, e, 2)};
    unsigned consumer = (unsigned)draw(s, CONSUMERS);
    for (size_t i = 0; i < opt.count; i++) {
        if (!e[i]->there) {
            e[i]->pending = false;
        } else {
            e[i]->consumer = consumer;
            e[i]->deliveries++;
            e[i]->due = false;
        }
    }
    if (live(s))
        s->err =
            oxbow_group_claim(s->txn, group, text_of(consumer_names[consumer]), &opt, &s->result);
}

static void cut(struct step *s)
{
    struct model *m = s->model;
    struct entry *e = &m->at[draw(s, m->count)];
    struct oxbow_id id = {e->number, 0};
    if (!e->there || e->letter)
        return;
    e->there = false;
    if (live(s))
        s->err = oxbow_stream_delete(s->txn, group.key, &id, 1, NULL);
}

static void redrive(struct step *s)
{
    struct model *m = s->model;
    struct oxbow_redrive out;
    for (size_t i = 0; i < m->count; i++) {
        struct entry *e = &m->at[i];
        if (e->letter) {
            e->letter = false;
            e->pending = true;
            e->due = true;
            e->consumer = NOBODY;
            e->deliveries = 0;
        }
    }
    struct oxbow_redrive_options opt = {.count = 1000};
    if (live(s))
        s->err = oxbow_redrive(s->txn, (struct oxbow_bytes){"dead", 4}, &opt, &out);
}

static bool is_doomed(const struct entry *e)
{
    return e->pending && e->due && e->deliveries >= DELIVERIES;
}

static size_t doomed(const struct model *m)
{
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++)
        count += is_doomed(&m->at[i]);
    return count;
}

/* Writes down what is doomed, in place of what was before. */
static void note_doomed(struct step *s)
{
    const struct model *m = s->model;
    if (live(s))
        s->err = oxbow_list_trim(s->txn, doomed_list, 1, 0);
    for (size_t i = 0; i < m->count && live(s); i++) {
        char number[24];
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)m->at[i].number);
        struct oxbow_bytes value = text_of(number);
        if (is_doomed(&m->at[i]))
            s->err = oxbow_list_push(s->txn, doomed_list, OXBOW_RIGHT, &value, 1, NULL);
    }
}

static void act(struct step *s)
{
    size_t what = draw(s, 32);
    if (what < 10 || doomed(s->model) >= LETTERS - 6)
        read_all(s);
    else if (what < 15)
        ack(s);
    else if (what < 21)
        nack(s);
    else if (what < 25)
        extend(s);
    else if (what < 27)
        claim(s);
    else if (what < 29)
        cut(s);
    else if (what < 30)
        redrive(s);
    else if (doomed(s->model) == 0 && what < 31)
        die(s);
}

static enum oxbow_err retry_step(struct model *m, uint64_t seed, uint64_t step, struct oxbow *db,
                                 const struct oxbow_txn_options *opt, uint64_t *lsn)
{
    struct step s = {.model = m, .random = seed + step * 0x632be59bd9b4e019u};
    if (db != NULL)
        s.err = oxbow_txn_begin(db, opt, &s.txn);
    if (s.err != OXBOW_OK)
        return s.err;
    if (m->count == 0)
        make(&s);
    if (doomed(m) > 0)
        read_all(&s);
    add(&s, step + 1);
    size_t acts = 1 + draw(&s, 6);
    for (size_t i = 0; i < acts; i++)
        act(&s);
    note_doomed(&s);
    oxbow_result_fini(&s.result);
    if (s.txn == NULL)
        return OXBOW_OK;
    if (s.err == OXBOW_OK)
        return oxbow_txn_commit(s.txn, lsn);
    oxbow_txn_abort(s.txn);
    return s.err;
}

/* ---- dumps ---- */

static void dump_letter(struct dump *d, uint64_t number, uint64_t mark)
{
    dump_number(d, number);
    dump_number(d, mark);
}

static void retry_dump_model(const struct model *m, struct dump *out)
{
    uint64_t pending = 0, letters = 0, dead = m->dead;
    if (m->count == 0) {
        dump_number(out, 0);
        return;
    }
    dump_number(out, 1);
    for (size_t i = 0; i < m->count; i++) {
        const struct entry *e = &m->at[i];
        bool letter = e->letter || (is_doomed(e) && e->there);
        pending += e->pending && !is_doomed(e);
        letters += letter;
        dead += letter && !e->letter;
        if (e->there) {
            dump_number(out, e->number);
            dump_number(out, e->mark);
        }
    }
    dump_number(out, m->count);
    dump_number(out, m->last);
    dump_number(out, pending);
    for (size_t i = 0; i < m->count; i++)
        if (m->at[i].pending && !is_doomed(&m->at[i])) {
            dump_number(out, m->at[i].number);
            dump_bytes(out, text_of(consumer_names[m->at[i].consumer]));
            dump_number(out, m->at[i].deliveries);
        }
    dump_number(out, letters);
    for (size_t i = 0; i < m->count; i++)
        if (m->at[i].letter || (is_doomed(&m->at[i]) && m->at[i].there))
            dump_letter(out, m->at[i].number, m->at[i].mark);
    dump_number(out, m->redelivered);
    dump_number(out, dead);
}

static uint64_t number_of(struct oxbow_bytes text)
{
    char copy[48] = "";
    memcpy(copy, text.data, text.len < sizeof copy ? text.len : sizeof copy - 1);
    return strtoull(copy, NULL, 10);
}

struct letter {
    uint64_t number, mark;
};

/* What a dump collects. */
struct view {
    struct oxbow_txn *txn;
    struct letter *entries; /* of the stream, in its order */
    size_t entry_count;
    struct letter *letters; /* those of the dead letters, and those that are doomed to be some */
    size_t letter_count;
    size_t buried; /* of the latter */
    uint64_t *doomed;
    size_t doomed_count;
    struct oxbow_pending *rows;
    size_t row_count;
    struct oxbow_result names;
};

static int letter_compare(const void *a, const void *b)
{
    const struct letter *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static enum oxbow_err take_entries(struct view *v)
{
    struct oxbow_result r = {0};
    struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    enum oxbow_err err = oxbow_stream_range(v->txn, group.key, &all, &r);
    v->entries = lab_alloc((r.entry_count + 1) * sizeof *v->entries);
    for (size_t i = 0; i < r.entry_count && err == OXBOW_OK; i++)
        v->entries[v->entry_count++] =
            (struct letter){r.entries[i].id.ms, number_of(r.entries[i].fields[0].value)};
    oxbow_result_fini(&r);
    return err;
}

static enum oxbow_err take_letters(struct view *v)
{
    struct oxbow_result r = {0};
    struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    enum oxbow_err err = oxbow_stream_range(v->txn, (struct oxbow_bytes){"dead", 4}, &all, &r);
    v->letters = lab_alloc((r.entry_count + v->entry_count + 1) * sizeof *v->letters);
    for (size_t i = 0; i < r.entry_count && err == OXBOW_OK; i++) {
        const struct oxbow_entry *e = &r.entries[i];
        /* v, then the letter's own, of which the third is the id. */
        if (e->field_count != 10)
            err = OXBOW_ECORRUPT;
        else
            v->letters[v->letter_count++] =
                (struct letter){number_of(e->fields[3].value), number_of(e->fields[0].value)};
    }
    oxbow_result_fini(&r);
    return err;
}

static enum oxbow_err take_doomed(struct view *v)
{
    struct oxbow_result r = {0};
    enum oxbow_err err = oxbow_list_range(v->txn, doomed_list, 0, -1, &r);
    v->doomed = lab_alloc((r.item_count + 1) * sizeof *v->doomed);
    for (size_t i = 0; i < r.item_count && err == OXBOW_OK; i++)
        v->doomed[v->doomed_count++] = number_of(r.items[i]);
    oxbow_result_fini(&r);
    return err;
}

static bool is_noted(const struct view *v, uint64_t number)
{
    for (size_t i = 0; i < v->doomed_count; i++)
        if (v->doomed[i] == number)
            return true;
    return false;
}

/* A pending entry that is doomed goes to the letters, as it would with the next read. */
static void bury_row(struct view *v, uint64_t number)
{
    for (size_t i = 0; i < v->entry_count; i++)
        if (v->entries[i].number == number) {
            v->letters[v->letter_count++] = v->entries[i];
            v->buried++;
        }
}

static enum oxbow_err take_pending(struct view *v, uint64_t count)
{
    struct oxbow_pending_filter all = {.to = OXBOW_ID_MAX, .count = count + 1};
    size_t found = 0;
    v->rows = lab_alloc((count + 1) * sizeof *v->rows);
    enum oxbow_err err = oxbow_group_pending(v->txn, group, &all, &v->names, v->rows, &found);
    if (err == OXBOW_OK && found != count)
        return OXBOW_ECORRUPT;
    for (size_t i = 0; i < found && err == OXBOW_OK; i++) {
        if (is_noted(v, v->rows[i].id.ms))
            bury_row(v, v->rows[i].id.ms);
        else
            v->rows[v->row_count++] = v->rows[i];
    }
    return err;
}

static void dump_view(const struct view *v, const struct oxbow_stream_info *stream,
                      const struct oxbow_group_info *info, const struct oxbow_group_status *status,
                      struct dump *out)
{
    dump_number(out, 1);
    for (size_t i = 0; i < v->entry_count; i++)
        dump_letter(out, v->entries[i].number, v->entries[i].mark);
    dump_number(out, stream->entries_added);
    dump_number(out, info->last_id.ms);
    dump_number(out, v->row_count);
    for (size_t i = 0; i < v->row_count; i++) {
        dump_number(out, v->rows[i].id.ms);
        dump_bytes(out, v->rows[i].consumer);
        dump_number(out, v->rows[i].deliveries);
    }
    qsort(v->letters, v->letter_count, sizeof *v->letters, letter_compare);
    dump_number(out, v->letter_count);
    for (size_t i = 0; i < v->letter_count; i++)
        dump_letter(out, v->letters[i].number, v->letters[i].mark);
    dump_number(out, status->redelivered);
    dump_number(out, status->dead_letters + v->buried);
}

static enum oxbow_err dump_txn(struct oxbow_txn *txn, struct dump *out)
{
    struct view v = {.txn = txn};
    struct oxbow_stream_info stream = {0};
    struct oxbow_group_info info;
    struct oxbow_group_status status;
    enum oxbow_err err = oxbow_group_info(txn, group, &info);
    if (err == OXBOW_ENOENT) {
        dump_number(out, 0);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK)
        err = take_entries(&v);
    if (err == OXBOW_OK)
        err = take_letters(&v);
    if (err == OXBOW_OK)
        err = take_doomed(&v);
    if (err == OXBOW_OK)
        err = take_pending(&v, info.pending);
    if (err == OXBOW_OK)
        err = oxbow_stream_info(txn, group.key, &stream);
    if (err == OXBOW_OK)
        err = oxbow_group_status(txn, group, &status);
    if (err == OXBOW_OK)
        dump_view(&v, &stream, &info, &status, out);
    oxbow_result_fini(&v.names);
    free(v.entries);
    free(v.letters);
    free(v.doomed);
    free(v.rows);
    return err;
}

static enum oxbow_err retry_dump(struct oxbow *db, struct dump *out)
{
    struct oxbow_txn *txn = NULL;
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ, .sync = OXBOW_SYNC_INTERVAL};
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);
    if (err != OXBOW_OK)
        return err;
    err = dump_txn(txn, out);
    if (err == OXBOW_OK)
        return oxbow_txn_commit(txn, NULL);
    oxbow_txn_abort(txn);
    return err;
}

const struct subject subject_retry = {
    .name = "retry",
    .open = retry_open,
    .close = retry_close,
    .step = retry_step,
    .dump_store = retry_dump,
    .dump_model = retry_dump_model,
};
