/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that is done exactly once, as a subject: entries are taken from a group, what comes of each is
 * appended elsewhere, a sum of it all is kept as a string, and the entries are acked.
 *
 * `exactly` does all of that in one transaction. What a store holds after a cut is what the model is
 * after some step, so no entry is worked on twice or lost; a dump sees for itself that the sum is that of
 * the outputs. Some entries are only taken in one step, as by a worker that dies, and worked on in a
 * later one. `apart` acks in a second transaction: it must be caught.
 */
#include "oxbow/group.h"
#include "oxbow/string.h"
#include "tests/crash/harness.h"
#include "tests/crash/subject.h"

#include <stdlib.h>
#include <string.h>

#define TAKE_MAX 4u

struct model {
    bool apart;
    uint64_t added; /* entries have the ids 1-0, 2-0, ... */
    uint64_t taken; /* up to here */
    uint64_t done;
    uint64_t sum;
};

struct step {
    struct model *model;
    struct oxbow *db;      /* NULL: the model only */
    struct oxbow_txn *txn; /* NULL likewise, or between two */
    const struct oxbow_txn_options *opt;
    uint64_t *lsn;
    uint64_t random;
    enum oxbow_err err;
    struct oxbow_result result;
};

static const struct oxbow_group group = {{"in", 2}, {"g", 1}};
static const struct oxbow_bytes worker = {"w", 1}, out_key = {"out", 3}, sum_key = {"sum", 3};

static bool live(const struct step *s)
{
    return s->txn != NULL && s->err == OXBOW_OK;
}

static uint64_t draw(struct step *s, uint64_t below)
{
    return lab_random(&s->random) % below;
}

/* What comes of an entry, and of all of them together. */
static uint64_t output_of(uint64_t entry)
{
    return entry * 0x9e3779b97f4a7c15u + 1;
}

static uint64_t sum_with(uint64_t sum, uint64_t output)
{
    return sum * 31 + output;
}

/* ---- steps ---- */

static void begin(struct step *s)
{
    if (s->db != NULL && s->err == OXBOW_OK)
        s->err = oxbow_txn_begin(s->db, s->opt, &s->txn);
}

static void commit(struct step *s)
{
    struct oxbow_txn *txn = s->txn;
    s->txn = NULL;
    if (txn != NULL && s->err == OXBOW_OK)
        s->err = oxbow_txn_commit(txn, s->lsn);
    else if (txn != NULL)
        oxbow_txn_abort(txn);
}

static void add(struct step *s)
{
    uint64_t number = ++s->model->added;
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {number, 0}};
    const struct oxbow_field field = {{"v", 1}, {&number, sizeof number}};
    if (live(s))
        s->err = oxbow_stream_add(s->txn, group.key, &opt, &field, 1, NULL);
}

static void take(struct step *s, uint64_t count)
{
    struct model *m = s->model;
    const struct oxbow_group_read_options opt = {.count = count};
    m->taken = m->taken + count < m->added ? m->taken + count : m->added;
    if (live(s))
        s->err = oxbow_group_read(s->txn, group, worker, &opt, &s->result);
}

static enum oxbow_err sum_get(struct oxbow_txn *txn, uint64_t *sum)
{
    struct oxbow_result r = {0};
    enum oxbow_err err = oxbow_string_get(txn, sum_key, &r);
    *sum = 0;
    if (err == OXBOW_OK && r.items[0].len == sizeof *sum)
        memcpy(sum, r.items[0].data, sizeof *sum);
    else if (err == OXBOW_OK)
        err = OXBOW_ECORRUPT;
    oxbow_result_fini(&r);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* One entry: its output goes out, and into the sum. */
static void work_on(struct step *s, const struct oxbow_entry *entry, uint64_t *sum)
{
    uint64_t number, output;
    if (entry->field_count != 1 || entry->fields[0].value.len != sizeof number)
        lab_die("an entry", "is not what was added");
    memcpy(&number, entry->fields[0].value.data, sizeof number);
    output = output_of(number);
    *sum = sum_with(*sum, output);
    const struct oxbow_field field = {{"o", 1}, {&output, sizeof output}};
    s->err = oxbow_stream_add(s->txn, out_key, NULL, &field, 1, NULL);
}

/* All that the worker has, and up to `count` more. */
static void work(struct step *s, uint64_t count)
{
    struct model *m = s->model;
    const struct oxbow_group_read_options mine = {.history = true};
    uint64_t sum = 0;
    take(s, count);
    while (m->done < m->taken)
        m->sum = sum_with(m->sum, output_of(++m->done));
    if (live(s))
        s->err = oxbow_group_read(s->txn, group, worker, &mine, &s->result);
    if (live(s))
        s->err = sum_get(s->txn, &sum);
    for (size_t i = 0; live(s) && i < s->result.entry_count; i++)
        work_on(s, &s->result.entries[i], &sum);
    if (live(s))
        s->err = oxbow_string_set(s->txn, sum_key, (struct oxbow_bytes){&sum, sizeof sum});
    if (m->apart) {
        commit(s);
        begin(s);
    }
    for (size_t i = 0; live(s) && i < s->result.entry_count; i++)
        s->err = oxbow_group_ack(s->txn, group, &s->result.entries[i].id, 1, NULL);
}

static enum oxbow_err exactly_step(struct model *m, uint64_t seed, uint64_t step, struct oxbow *db,
                                   const struct oxbow_txn_options *opt, uint64_t *lsn)
{
    const struct oxbow_group_create_options create = {.make_stream = true};
    struct step s = {
        .model = m, .db = db, .opt = opt, .lsn = lsn, .random = seed + step * 0x632be59bd9b4e019u};
    begin(&s);
    if (step == 0 && live(&s))
        s.err = oxbow_group_create(s.txn, group, &create);
    for (uint64_t n = 1 + draw(&s, 3); n > 0; n--)
        add(&s);
    uint64_t what = draw(&s, 4), count = 1 + draw(&s, TAKE_MAX);
    if (what == 1)
        take(&s, count);
    else if (what > 1)
        work(&s, count);
    commit(&s);
    oxbow_result_fini(&s.result);
    return s.err;
}

/* ---- dumps ---- */

static void dump_model(const struct model *m, struct dump *out)
{
    dump_number(out, m->added);
    dump_number(out, m->taken);
    dump_number(out, m->taken - m->done);
    dump_number(out, m->sum);
    for (uint64_t i = 1; i <= m->done; i++)
        dump_number(out, output_of(i));
}

/* The outputs, whose sum must be the one that is kept. */
static enum oxbow_err dump_outputs(struct oxbow_txn *txn, uint64_t kept, struct dump *out)
{
    const struct oxbow_stream_range all = {.to = OXBOW_ID_MAX};
    struct oxbow_result r = {0};
    uint64_t sum = 0;
    enum oxbow_err err = oxbow_stream_range(txn, out_key, &all, &r);
    for (size_t i = 0; err == OXBOW_OK && i < r.entry_count; i++) {
        uint64_t output;
        memcpy(&output, r.entries[i].fields[0].value.data, sizeof output);
        sum = sum_with(sum, output);
        dump_number(out, output);
    }
    oxbow_result_fini(&r);
    return err == OXBOW_OK && sum != kept ? OXBOW_ECORRUPT : err;
}

static enum oxbow_err dump_txn(struct oxbow_txn *txn, struct dump *out)
{
    struct oxbow_stream_info in = {0};
    struct oxbow_group_info info = {0};
    uint64_t sum;
    enum oxbow_err err = oxbow_stream_info(txn, group.key, &in);
    if (err == OXBOW_OK)
        err = oxbow_group_info(txn, group, &info);
    if (err == OXBOW_OK || err == OXBOW_ENOENT)
        err = sum_get(txn, &sum);
    if (err != OXBOW_OK)
        return err;
    dump_number(out, in.entries_added);
    dump_number(out, info.last_id.ms);
    dump_number(out, info.pending);
    dump_number(out, sum);
    return dump_outputs(txn, sum, out);
}

static enum oxbow_err dump_store(struct oxbow *db, struct dump *out)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);
    if (err != OXBOW_OK)
        return err;
    err = dump_txn(txn, out);
    oxbow_txn_abort(txn);
    return err;
}

static struct model *exactly_open(void)
{
    return lab_alloc(sizeof(struct model));
}

static struct model *apart_open(void)
{
    struct model *m = exactly_open();
    m->apart = true;
    return m;
}

static void exactly_close(struct model *m)
{
    free(m);
}

const struct subject subject_exactly = {
    .name = "exactly",
    .open = exactly_open,
    .close = exactly_close,
    .step = exactly_step,
    .dump_store = dump_store,
    .dump_model = dump_model,
};

const struct subject subject_apart = {
    .name = "apart",
    .broken = true,
    .open = apart_open,
    .close = exactly_close,
    .step = exactly_step,
    .dump_store = dump_store,
    .dump_model = dump_model,
};
