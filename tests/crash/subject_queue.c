/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists, streams and consumer groups through the public interface as a subject. The model is
 * in queue_model.c.
 *
 * Every step adds an entry to the first stream, which is never deleted: its last id counts the
 * steps, so that no two states are alike. Entry ids are explicit, times are left out of the dumps.
 */
#include "oxbow/group.h"
#include "oxbow/key.h"
#include "oxbow/list.h"
#include "oxbow/stream.h"
#include "tests/crash/harness.h"
#include "tests/crash/queue_model.h"
#include "tests/crash/subject.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 20000u

struct step {
    struct model *model;
    struct oxbow_txn *txn; /* NULL: the model only */
    uint64_t random;
    uint64_t number;
    bool small;
    uint64_t seq; /* of the next entry */
    enum oxbow_err err;
    struct oxbow_result result;
};

static struct oxbow_group group_of(unsigned stream)
{
    return (struct oxbow_group){text_of(stream_names[stream]), text_of("g")};
}

static bool live(const struct step *s)
{
    return s->txn != NULL && s->err == OXBOW_OK;
}

static size_t draw(struct step *s, size_t below)
{
    return (size_t)(lab_random(&s->random) % below);
}

static struct oxbow_bytes fill(struct step *s, uint8_t out[VALUE_MAX])
{
    static const size_t sizes[] = {10, 30, 30, 60, 60, 300, 300, 2000, 5000, VALUE_MAX};
    size_t len = draw(s, sizes[draw(s, s->small ? 6 : sizeof sizes / sizeof sizes[0])]);
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(lab_random(&s->random) >> 32);
    return (struct oxbow_bytes){out, len};
}

/* ---- lists ---- */

static void list_push(struct step *s)
{
    static uint8_t buf[3][VALUE_MAX];
    unsigned idx = (unsigned)draw(s, LISTS);
    struct mlist *l = &s->model->lists[idx];
    enum oxbow_end end = draw(s, 2) == 0 ? OXBOW_LEFT : OXBOW_RIGHT;
    struct oxbow_bytes values[3];
    size_t count = 1 + draw(s, 3);
    for (size_t i = 0; i < count; i++) {
        values[i] = fill(s, buf[i]);
        mlist_insert(l, end == OXBOW_LEFT ? 0 : l->count, text_dup(values[i]));
    }
    if (live(s))
        s->err = oxbow_list_push(s->txn, text_of(list_names[idx]), end, values, count, NULL);
}

static void list_pop(struct step *s)
{
    unsigned idx = (unsigned)draw(s, LISTS);
    struct mlist *l = &s->model->lists[idx];
    enum oxbow_end end = draw(s, 2) == 0 ? OXBOW_LEFT : OXBOW_RIGHT;
    size_t count = 1 + draw(s, 4);
    if (l->count == 0)
        return;
    for (size_t i = 0; i < count && l->count > 0; i++)
        free(mlist_take(l, end == OXBOW_LEFT ? 0 : l->count - 1).bytes);
    if (live(s))
        s->err = oxbow_list_pop(s->txn, text_of(list_names[idx]), end, count, &s->result);
}

static void list_edit(struct step *s)
{
    static uint8_t buf[VALUE_MAX];
    unsigned idx = (unsigned)draw(s, LISTS);
    struct mlist *l = &s->model->lists[idx];
    struct oxbow_bytes key = text_of(list_names[idx]);
    if (l->count == 0)
        return;
    size_t at = draw(s, l->count);
    if (draw(s, 3) == 0) { /* LREM of one, the first that equals it */
        static uint8_t copy[VALUE_MAX];
        struct oxbow_bytes value = {copy, l->at[at].len};
        memcpy(copy, l->at[at].bytes, value.len);
        size_t i = 0;
        while (l->at[i].len != value.len || memcmp(l->at[i].bytes, copy, value.len) != 0)
            i++;
        free(mlist_take(l, i).bytes);
        if (live(s))
            s->err = oxbow_list_remove(s->txn, key, 1, value, NULL);
        return;
    }
    struct oxbow_bytes value = fill(s, buf);
    free(l->at[at].bytes);
    l->at[at] = text_dup(value);
    if (live(s))
        s->err = oxbow_list_set(s->txn, key, (int64_t)at, value);
}

static void list_trim(struct step *s)
{
    unsigned idx = (unsigned)draw(s, LISTS);
    struct mlist *l = &s->model->lists[idx];
    size_t first = draw(s, 3), keep = draw(s, 12);
    for (size_t i = 0; i < first && l->count > 0; i++)
        free(mlist_take(l, 0).bytes);
    while (l->count > keep + 1)
        free(mlist_take(l, l->count - 1).bytes);
    if (live(s))
        s->err = oxbow_list_trim(s->txn, text_of(list_names[idx]), (int64_t)first,
                                 (int64_t)(first + keep));
}

static void list_move(struct step *s)
{
    unsigned a = (unsigned)draw(s, LISTS), b = (unsigned)draw(s, LISTS);
    struct mlist *from = &s->model->lists[a], *to = &s->model->lists[b];
    if (from->count == 0)
        return;
    struct text t = mlist_take(from, from->count - 1);
    mlist_insert(to, 0, t);
    if (live(s))
        s->err = oxbow_list_move(s->txn, text_of(list_names[a]), text_of(list_names[b]),
                                 OXBOW_RIGHT, OXBOW_LEFT, &s->result);
}

static void list_gone(struct step *s)
{
    unsigned a = (unsigned)draw(s, LISTS), b = (unsigned)draw(s, LISTS);
    struct model *m = s->model;
    if (draw(s, 2) == 0) {
        mlist_clear(&m->lists[a]);
        if (live(s))
            s->err = oxbow_key_delete(s->txn, text_of(list_names[a]), NULL);
    } else if (m->lists[a].count > 0 && a != b) {
        mlist_clear(&m->lists[b]);
        free(m->lists[b].at);
        m->lists[b] = m->lists[a];
        m->lists[a] = (struct mlist){0};
        if (live(s))
            s->err =
                oxbow_key_rename(s->txn, text_of(list_names[a]), text_of(list_names[b]), false);
    }
}

/* ---- streams ---- */

static void stream_add(struct step *s, unsigned idx)
{
    static uint8_t buf[VALUE_MAX];
    struct mstream *m = &s->model->streams[idx];
    struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT,
                                           .id = {s->number + 1, s->seq++}};
    struct oxbow_field field = {.name = text_of("v"), .value = fill(s, buf)};
    m->at = lab_grow(m->at, (m->count + 1) * sizeof *m->at);
    m->at[m->count++] = (struct mentry){opt.id, text_dup(field.value)};
    m->there = true;
    m->last = opt.id;
    m->added++;
    if (live(s))
        s->err = oxbow_stream_add(s->txn, text_of(stream_names[idx]), &opt, &field, 1, NULL);
}

static void stream_cut(struct step *s)
{
    unsigned idx = (unsigned)draw(s, STREAMS);
    struct mstream *m = &s->model->streams[idx];
    if (m->count == 0)
        return;
    if (draw(s, 2) == 0) {
        struct oxbow_stream_trim trim = {.by = OXBOW_TRIM_MAXLEN, .maxlen = 2 + draw(s, 12)};
        while (m->count > trim.maxlen)
            mstream_drop(m, 0);
        if (live(s))
            s->err = oxbow_stream_trim(s->txn, text_of(stream_names[idx]), &trim, NULL);
        return;
    }
    size_t at = draw(s, m->count);
    struct oxbow_id id = m->at[at].id;
    mstream_drop(m, at);
    if (live(s))
        s->err = oxbow_stream_delete(s->txn, text_of(stream_names[idx]), &id, 1, NULL);
}

static void stream_gone(struct step *s)
{
    mstream_clear(&s->model->streams[1]);
    if (live(s))
        s->err = oxbow_key_delete(s->txn, text_of(stream_names[1]), NULL);
}

/* ---- groups ---- */

static void group_make(struct step *s, unsigned idx)
{
    struct mstream *m = &s->model->streams[idx];
    struct oxbow_group_create_options opt = {.id = {0, 0}};
    m->group = true;
    m->group_last = opt.id;
    if (live(s))
        s->err = oxbow_group_create(s->txn, group_of(idx), &opt);
}

static void group_destroy(struct step *s, unsigned idx)
{
    struct mstream *m = &s->model->streams[idx];
    m->group = false;
    m->pending_count = 0;
    if (live(s))
        s->err = oxbow_group_destroy(s->txn, group_of(idx), NULL);
}

static void group_read(struct step *s, unsigned idx)
{
    struct mstream *m = &s->model->streams[idx];
    struct oxbow_group_read_options opt = {.count = 1 + draw(s, 6)};
    unsigned consumer = (unsigned)draw(s, CONSUMERS);
    size_t given = 0;
    for (size_t i = 0; i < m->count && given < opt.count; i++) {
        if (!id_less(m->group_last, m->at[i].id))
            continue;
        m->group_last = m->at[i].id;
        mpending_add(m, m->at[i].id, consumer);
        given++;
    }
    if (live(s))
        s->err = oxbow_group_read(s->txn, group_of(idx), text_of(consumer_names[consumer]), &opt,
                                  &s->result);
}

static void group_ack(struct step *s, unsigned idx)
{
    struct mstream *m = &s->model->streams[idx];
    struct oxbow_id ids[4];
    size_t count = 0;
    for (; count < 4 && m->pending_count > 0; count++) {
        size_t at = draw(s, m->pending_count);
        ids[count] = m->pending[at].id;
        mpending_drop(m, at);
    }
    if (live(s) && count > 0)
        s->err = oxbow_group_ack(s->txn, group_of(idx), ids, count, NULL);
}

/* A pending entry that the stream has no more is dropped by a claim. */
static void group_claim(struct step *s, unsigned idx)
{
    struct mstream *m = &s->model->streams[idx];
    if (m->pending_count == 0)
        return;
    size_t at = draw(s, m->pending_count), e = 0;
    unsigned consumer = (unsigned)draw(s, CONSUMERS);
    struct oxbow_id id = m->pending[at].id;
    while (e < m->count && !id_same(m->at[e].id, id))
        e++;
    if (e == m->count) {
        mpending_drop(m, at);
    } else {
        m->pending[at].consumer = consumer;
        m->pending[at].deliveries++;
    }
    struct oxbow_claim_options opt = {.ids = &id, .count = 1};
    if (live(s))
        s->err = oxbow_group_claim(s->txn, group_of(idx), text_of(consumer_names[consumer]), &opt,
                                   &s->result);
}

static void group_act(struct step *s)
{
    unsigned idx = (unsigned)draw(s, STREAMS);
    struct mstream *m = &s->model->streams[idx];
    size_t what = draw(s, 16);
    if (!m->there)
        return;
    if (!m->group)
        group_make(s, idx);
    else if (what < 8)
        group_read(s, idx);
    else if (what < 12)
        group_ack(s, idx);
    else if (what < 15)
        group_claim(s, idx);
    else
        group_destroy(s, idx);
}

/* ---- steps ---- */

static void act(struct step *s)
{
    size_t what = draw(s, 32);
    if (what < 7)
        list_push(s);
    else if (what < 11)
        list_pop(s);
    else if (what < 14)
        list_edit(s);
    else if (what < 15)
        list_trim(s);
    else if (what < 17)
        list_move(s);
    else if (what < 18)
        list_gone(s);
    else if (what < 21)
        stream_add(s, (unsigned)draw(s, STREAMS));
    else if (what < 23)
        stream_cut(s);
    else if (what < 24 && draw(s, 3) == 0)
        stream_gone(s);
    else
        group_act(s);
}

static enum oxbow_err queue_step(struct model *m, uint64_t seed, uint64_t step, struct oxbow *db,
                                 const struct oxbow_txn_options *opt, uint64_t *lsn)
{
    struct step s = {.model = m,
                     .random = seed + step * 0x632be59bd9b4e019u,
                     .number = step,
                     .small = seed % 2 != 0};
    if (db != NULL)
        s.err = oxbow_txn_begin(db, opt, &s.txn);
    if (s.err != OXBOW_OK)
        return s.err;
    stream_add(&s, 0);
    size_t acts = 1 + draw(&s, 6);
    for (size_t i = 0; i < acts; i++)
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

static enum oxbow_err dump_group(struct oxbow_txn *txn, unsigned idx, struct dump *d)
{
    struct oxbow_group_info info;
    struct oxbow_pending pending[256];
    struct oxbow_result names = {0};
    struct oxbow_pending_filter all = {
        .from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX, .count = sizeof pending / sizeof pending[0]};
    size_t count = 0;
    enum oxbow_err err = oxbow_group_info(txn, group_of(idx), &info);
    if (err == OXBOW_ENOGROUP || err == OXBOW_ENOENT) {
        dump_number(d, 0);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK)
        err = oxbow_group_pending(txn, group_of(idx), &all, &names, pending, &count);
    if (err == OXBOW_OK) {
        dump_number(d, 1);
        dump_id(d, info.last_id);
        dump_number(d, info.pending);
    }
    for (size_t i = 0; i < count && err == OXBOW_OK; i++) {
        dump_id(d, pending[i].id);
        dump_bytes(d, pending[i].consumer);
        dump_number(d, pending[i].deliveries);
    }
    oxbow_result_fini(&names);
    return err;
}

static enum oxbow_err dump_stream(struct oxbow_txn *txn, unsigned idx, struct dump *d)
{
    struct oxbow_bytes key = text_of(stream_names[idx]);
    struct oxbow_stream_info info;
    struct oxbow_result r = {0};
    struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    enum oxbow_err err = oxbow_stream_info(txn, key, &info);
    if (err == OXBOW_ENOENT) {
        dump_number(d, 0);
        return OXBOW_OK;
    }
    if (err == OXBOW_OK)
        err = oxbow_stream_range(txn, key, &all, &r);
    if (err == OXBOW_OK) {
        dump_number(d, 1 + info.length);
        dump_id(d, info.last_id);
        dump_number(d, info.entries_added);
    }
    for (size_t i = 0; i < r.entry_count && err == OXBOW_OK; i++) {
        dump_id(d, r.entries[i].id);
        dump_number(d, r.entries[i].field_count);
        dump_bytes(d, r.entries[i].fields[0].value);
    }
    oxbow_result_fini(&r);
    return err == OXBOW_OK ? dump_group(txn, idx, d) : err;
}

static enum oxbow_err dump_list(struct oxbow_txn *txn, unsigned idx, struct dump *d)
{
    struct oxbow_result r = {0};
    uint64_t len = 0;
    enum oxbow_err err = oxbow_list_range(txn, text_of(list_names[idx]), 0, -1, &r);
    if (err == OXBOW_OK)
        err = oxbow_list_len(txn, text_of(list_names[idx]), &len);
    dump_number(d, len);
    for (size_t i = 0; i < r.item_count && err == OXBOW_OK; i++)
        dump_bytes(d, r.items[i]);
    oxbow_result_fini(&r);
    return err;
}

static enum oxbow_err queue_dump(struct oxbow *db, struct dump *out)
{
    struct oxbow_txn *txn = NULL;
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ, .sync = OXBOW_SYNC_INTERVAL};
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);
    if (err != OXBOW_OK)
        return err;
    for (unsigned i = 0; i < LISTS && err == OXBOW_OK; i++)
        err = dump_list(txn, i, out);
    for (unsigned i = 0; i < STREAMS && err == OXBOW_OK; i++)
        err = dump_stream(txn, i, out);
    uint64_t keys = 0;
    if (err == OXBOW_OK)
        err = oxbow_key_count(txn, &keys);
    dump_number(out, keys);
    if (err == OXBOW_OK)
        return oxbow_txn_commit(txn, NULL);
    oxbow_txn_abort(txn);
    return err;
}

const struct subject subject_queue = {
    .name = "queue",
    .open = qmodel_open,
    .close = qmodel_close,
    .step = queue_step,
    .dump_store = queue_dump,
    .dump_model = qmodel_dump,
};
