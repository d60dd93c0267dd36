/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes, sets, sorted sets, counters and times to live as a subject.
 *
 * Two hashes, one of which is renamed and copied over the other with its time to live; two sets, one of
 * which is made anew from both; a sorted set; a counter. Values are short, long enough to lie outside of
 * their tree's leaves, and now and then longer than a page. What a time to live is at, of a key or of a
 * field, goes by the clock: a dump says whether there is one.
 */
#include "oxbow/hash_expire.h"
#include "oxbow/key.h"
#include "oxbow/set.h"
#include "oxbow/string.h"
#include "oxbow/zset.h"
#include "tests/crash/harness.h"
#include "tests/crash/subject.h"

#include <stdlib.h>
#include <string.h>

#define MEMBERS  40u
#define NAME_LEN 3u
#define LONG_LEN 1500u
#define BLOB_LEN 9000u
#define FAR_MS   ((int64_t)1000 * 3600 * 24 * 365 * 90)
#define SCORES   7u

struct hash {
    uint64_t values[MEMBERS]; /* each value's number; 0: the field is not there */
    bool timed[MEMBERS];      /* each field: it has a time to live */
    bool expires;
};

struct model {
    uint64_t steps;
    struct hash h[2];
    bool e[2][MEMBERS];
    bool scored[MEMBERS];
    int64_t scores[MEMBERS];
    int64_t counter; /* 0: it is not there */
};

struct step {
    struct model *model;
    struct oxbow_txn *txn; /* NULL: the model only */
    uint64_t random;
    uint64_t number; /* of the value that was made last */
    enum oxbow_err err;
};

static const struct oxbow_bytes h_keys[2] = {{"h", 1}, {"g", 1}}, e_keys[2] = {{"e", 1}, {"f", 1}},
                                z_key = {"z", 1}, c_key = {"c", 1}, n_key = {"n", 1};

static bool live(const struct step *s)
{
    return s->txn != NULL && s->err == OXBOW_OK;
}

static uint64_t draw(struct step *s, uint64_t below)
{
    return lab_random(&s->random) % below;
}

/* Member or field number i; in the order of numbers. */
static struct oxbow_bytes name_of(uint64_t i, char name[NAME_LEN])
{
    name[0] = 'm';
    name[1] = (char)('0' + i / 10);
    name[2] = (char)('0' + i % 10);
    return (struct oxbow_bytes){name, NAME_LEN};
}

/* The bytes that belong to a number; borrowed until the next call. */
static struct oxbow_bytes value_of(uint64_t number)
{
    static uint8_t bytes[BLOB_LEN];
    uint64_t random = number;
    size_t len = number % 11 == 0 ? BLOB_LEN : number % 4 == 0 ? LONG_LEN : 8 + number % 30;

    for (size_t i = 0; i < len; i += sizeof random) {
        uint64_t part = lab_random(&random);
        memcpy(bytes + i, &part, len - i < sizeof part ? len - i : sizeof part);
    }
    return (struct oxbow_bytes){bytes, len};
}

static uint64_t count_of(const struct hash *h)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < MEMBERS; i++)
        count += h->values[i] != 0;
    return count;
}

static uint64_t set_count(const bool *e)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < MEMBERS; i++)
        count += e[i];
    return count;
}

/* ---- acts ---- */

static void hash_set(struct step *s)
{
    struct hash *h = &s->model->h[draw(s, 2)];
    uint64_t i = draw(s, MEMBERS);
    char name[NAME_LEN];
    const struct oxbow_field field = {name_of(i, name), value_of(++s->number)};

    h->values[i] = s->number;
    h->timed[i] = false;
    if (live(s))
        s->err = oxbow_hash_set(s->txn, h_keys[h - s->model->h], &field, 1, NULL);
}

static void hash_delete(struct step *s)
{
    struct hash *h = &s->model->h[draw(s, 2)];
    uint64_t from = draw(s, MEMBERS), few = 1 + draw(s, 12);

    for (uint64_t i = from; i < MEMBERS && i < from + few; i++) {
        char name[NAME_LEN];
        const struct oxbow_bytes field = name_of(i, name);
        h->values[i] = 0;
        h->timed[i] = false;
        if (live(s))
            s->err = oxbow_hash_delete(s->txn, h_keys[h - s->model->h], &field, 1, NULL);
    }
    h->expires = h->expires && count_of(h) > 0;
}

/* Gives some fields a time to live, takes it away, or deletes them by one that is over. */
static void fields_expire(struct step *s)
{
    struct hash *h = &s->model->h[draw(s, 2)];
    struct oxbow_bytes key = h_keys[h - s->model->h];
    uint64_t from = draw(s, MEMBERS), few = 1 + draw(s, 12), what = draw(s, 8);
    int64_t ttl_ms = what == 0 ? 0 : FAR_MS + (int64_t)draw(s, 9);

    for (uint64_t i = from; i < MEMBERS && i < from + few; i++) {
        char name[NAME_LEN];
        const struct oxbow_bytes field = name_of(i, name);
        const struct oxbow_fields one = {&field, 1};
        enum oxbow_field_done done = OXBOW_FIELD_NONE;
        bool there = h->values[i] != 0;

        h->timed[i] = there && what > 1;
        if (there && what == 0)
            h->values[i] = 0;
        if (live(s))
            s->err = what == 1 ? oxbow_hash_persist(s->txn, key, &one, &done)
                               : oxbow_hash_expire(s->txn, key, &one, ttl_ms, 0, &done);
        if (live(s) && there != (done != OXBOW_FIELD_NONE))
            s->err = OXBOW_ECORRUPT;
    }
    h->expires = h->expires && count_of(h) > 0;
}

/* By a new name, or as a copy; the time to live goes along. */
static void hash_onto_the_other(struct step *s)
{
    struct model *m = s->model;
    bool rename = draw(s, 2) == 0;
    bool there = count_of(&m->h[0]) > 0;
    bool done = true;

    if (live(s))
        s->err = rename ? oxbow_key_rename(s->txn, h_keys[0], h_keys[1], false)
                        : oxbow_key_copy(s->txn, h_keys[0], 0, h_keys[1], true, &done);
    if (s->txn != NULL && !there && (s->err == OXBOW_ENOENT || !done))
        s->err = OXBOW_OK;
    if (!there)
        return;
    m->h[1] = m->h[0];
    if (rename)
        m->h[0] = (struct hash){.expires = false};
}

static void expire(struct step *s)
{
    struct hash *h = &s->model->h[draw(s, 2)];
    struct oxbow_bytes key = h_keys[h - s->model->h];

    if (draw(s, 3) == 0) {
        h->expires = false;
        if (live(s))
            s->err = oxbow_key_persist(s->txn, key, NULL);
    } else {
        enum oxbow_expire_done done;
        h->expires = count_of(h) > 0;
        if (live(s))
            s->err = oxbow_key_expire(s->txn, key, FAR_MS, 0, &done);
    }
}

static void set_act(struct step *s)
{
    uint64_t which = draw(s, 2), i = draw(s, MEMBERS), what = draw(s, 6);
    struct model *m = s->model;
    char name[NAME_LEN];
    const struct oxbow_bytes member = name_of(i, name);

    if (what < 3) {
        m->e[which][i] = true;
        if (live(s))
            s->err = oxbow_set_add(s->txn, e_keys[which], &member, 1, NULL);
    } else if (what < 4) {
        m->e[which][i] = false;
        if (live(s))
            s->err = oxbow_set_remove(s->txn, e_keys[which], &member, 1, NULL);
    } else if (what < 5) {
        bool moved;
        m->e[1 - which][i] = m->e[1 - which][i] || m->e[which][i];
        m->e[which][i] = false;
        if (live(s))
            s->err = oxbow_set_move(s->txn, e_keys[which], e_keys[1 - which], member, &moved);
    } else {
        for (uint64_t k = 0; k < MEMBERS; k++)
            m->e[which][k] = m->e[0][k] && !m->e[1][k];
        if (live(s))
            s->err =
                oxbow_set_combine_store(s->txn, e_keys[which], OXBOW_SET_DIFF, e_keys, 2, NULL);
    }
}

/* The lowest score, and of those the first name; MEMBERS: there is none. */
static uint64_t lowest(const struct model *m)
{
    uint64_t at = MEMBERS;
    for (uint64_t i = 0; i < MEMBERS; i++)
        if (m->scored[i] && (at == MEMBERS || m->scores[i] < m->scores[at]))
            at = i;
    return at;
}

static void zset_act(struct step *s)
{
    struct model *m = s->model;
    uint64_t i = draw(s, MEMBERS), what = draw(s, 8);
    char name[NAME_LEN];
    struct oxbow_scored one = {name_of(i, name), (double)draw(s, SCORES)};

    if (what < 5) {
        m->scored[i] = true;
        m->scores[i] = (int64_t)one.score;
        if (live(s))
            s->err = oxbow_zset_add(s->txn, z_key, 0, &one, 1, NULL);
    } else if (what < 6) {
        m->scored[i] = false;
        if (live(s))
            s->err = oxbow_zset_remove(s->txn, z_key, &one.member, 1, NULL);
    } else {
        struct oxbow_result r = {0};
        uint64_t at = lowest(m);
        if (at < MEMBERS)
            m->scored[at] = false;
        if (live(s))
            s->err = oxbow_zset_pop(s->txn, z_key, OXBOW_ZSET_MIN, 1, &r);
        if (live(s) && r.item_count != (at < MEMBERS))
            s->err = OXBOW_ECORRUPT;
        oxbow_result_fini(&r);
    }
}

static void count(struct step *s)
{
    int64_t by = 1 + (int64_t)draw(s, 1000), now = 0;
    bool existed;

    if (draw(s, 8) == 0) {
        s->model->counter = 0;
        if (live(s))
            s->err = oxbow_key_delete(s->txn, c_key, &existed);
        return;
    }
    s->model->counter += by;
    if (live(s))
        s->err = oxbow_string_add(s->txn, c_key, by, &now);
    if (live(s) && now != s->model->counter)
        s->err = OXBOW_ECORRUPT;
}

static void act(struct step *s)
{
    uint64_t what = draw(s, 19);

    if (what > 15)
        fields_expire(s);
    else if (what < 5)
        hash_set(s);
    else if (what < 7)
        hash_delete(s);
    else if (what < 8)
        hash_onto_the_other(s);
    else if (what < 9)
        expire(s);
    else if (what < 12)
        set_act(s);
    else if (what < 15)
        zset_act(s);
    else
        count(s);
}

static enum oxbow_err keyval_step(struct model *m, uint64_t seed, uint64_t step, struct oxbow *db,
                                  const struct oxbow_txn_options *opt, uint64_t *lsn)
{
    struct step s = {
        .model = m, .random = seed + step * 0x632be59bd9b4e019u, .number = step * 1000};

    if (db != NULL)
        s.err = oxbow_txn_begin(db, opt, &s.txn);
    if (s.err != OXBOW_OK)
        return s.err;
    for (uint64_t n = 1 + draw(&s, seed % 2 != 0 ? 4 : 30); n > 0; n--)
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

static void dump_model(const struct model *m, struct dump *out)
{
    uint64_t keys = (m->steps > 0) + (m->counter != 0) + (lowest(m) < MEMBERS);

    dump_number(out, m->steps);
    dump_number(out, (uint64_t)m->counter);
    for (int w = 0; w < 2; w++) {
        uint64_t timed = 0;
        dump_number(out, count_of(&m->h[w]));
        for (uint64_t i = 0; i < MEMBERS; i++) {
            if (m->h[w].values[i] != 0)
                dump_bytes(out, value_of(m->h[w].values[i]));
            else
                dump_number(out, UINT64_MAX);
            dump_number(out, m->h[w].timed[i]);
            timed += m->h[w].timed[i];
        }
        dump_number(out, timed);
        dump_number(out, m->h[w].expires);
        dump_number(out, set_count(m->e[w]));
        dump_add(out, m->e[w], sizeof m->e[w]);
        keys += (count_of(&m->h[w]) > 0) + (set_count(m->e[w]) > 0);
    }
    for (int64_t score = 0; score < (int64_t)SCORES; score++)
        for (uint64_t i = 0; i < MEMBERS; i++)
            if (m->scored[i] && m->scores[i] == score) {
                dump_number(out, i);
                dump_number(out, (uint64_t)score);
            }
    dump_number(out, keys);
}

/* A key that is not there has no value, no time to live and nothing in it. */
static enum oxbow_err or_none(enum oxbow_err err)
{
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err dump_hash(struct oxbow_txn *txn, struct oxbow_bytes key, struct dump *out)
{
    uint64_t found = 0, timed = 0, left = UINT64_MAX;
    enum oxbow_err err = oxbow_hash_count(txn, key, &found);

    dump_number(out, found);
    for (uint64_t i = 0; err == OXBOW_OK && i < MEMBERS; i++) {
        struct oxbow_result r = {0};
        char name[NAME_LEN];
        const struct oxbow_bytes field = name_of(i, name);
        const struct oxbow_fields one = {&field, 1};
        uint64_t field_left = 0;
        err = oxbow_hash_get(txn, key, field, &r);
        if (err == OXBOW_OK)
            dump_bytes(out, r.items[0]);
        else
            dump_number(out, UINT64_MAX);
        err = or_none(err);
        oxbow_result_fini(&r);
        if (err == OXBOW_OK)
            err = oxbow_hash_ttl(txn, key, &one, &field_left);
        dump_number(out, field_left != 0 && field_left != UINT64_MAX);
    }
    if (err == OXBOW_OK) /* by the other tree */
        err = oxbow_hash_timed(txn, key, &timed);
    dump_number(out, timed);
    if (err == OXBOW_OK)
        err = or_none(oxbow_key_ttl(txn, key, &left));
    dump_number(out, left != UINT64_MAX);
    return err;
}

static enum oxbow_err dump_set(struct oxbow_txn *txn, struct oxbow_bytes key, struct dump *out)
{
    bool present[MEMBERS] = {false};
    uint64_t found = 0;
    enum oxbow_err err = oxbow_set_count(txn, key, &found);

    dump_number(out, found);
    for (uint64_t i = 0; err == OXBOW_OK && i < MEMBERS; i++) {
        char name[NAME_LEN];
        err = oxbow_set_has(txn, key, name_of(i, name), &present[i]);
    }
    dump_add(out, present, sizeof present);
    return err;
}

/* By rank, and each member by itself: the two trees must agree. */
static enum oxbow_err dump_zset(struct oxbow_txn *txn, struct dump *out)
{
    const struct oxbow_zset_range all = {.stop = -1};
    struct oxbow_result r = {0};
    enum oxbow_err err = oxbow_zset_range(txn, z_key, &all, &r);

    for (size_t i = 0; err == OXBOW_OK && i < r.item_count; i++) {
        const uint8_t *name = r.items[i].data;
        uint64_t rank = UINT64_MAX;
        double score = -1;
        err = oxbow_zset_rank(txn, z_key, r.items[i], OXBOW_ZSET_MIN, &rank, &score);
        if (err == OXBOW_OK && (rank != i || score != r.scores[i] || r.items[i].len != NAME_LEN))
            err = OXBOW_ECORRUPT;
        dump_number(out, (uint64_t)(name[1] - '0') * 10 + (uint64_t)(name[2] - '0'));
        dump_number(out, (uint64_t)r.scores[i]);
    }
    oxbow_result_fini(&r);
    return err;
}

static enum oxbow_err number_get(struct oxbow_txn *txn, struct oxbow_bytes key, bool text,
                                 uint64_t *number)
{
    struct oxbow_result r = {0};
    enum oxbow_err err = oxbow_string_get(txn, key, &r);
    char digits[32] = {0};

    *number = 0;
    if (err == OXBOW_OK && text) {
        memcpy(digits, r.items[0].data, r.items[0].len < 31 ? r.items[0].len : 31);
        *number = strtoull(digits, NULL, 10);
    } else if (err == OXBOW_OK) {
        memcpy(number, r.items[0].data, sizeof *number);
    }
    oxbow_result_fini(&r);
    return or_none(err);
}

static enum oxbow_err dump_all(struct oxbow_txn *txn, struct dump *out)
{
    uint64_t number = 0;
    enum oxbow_err err = number_get(txn, n_key, false, &number);

    dump_number(out, number);
    if (err == OXBOW_OK)
        err = number_get(txn, c_key, true, &number);
    dump_number(out, number);
    for (int w = 0; w < 2; w++) {
        if (err == OXBOW_OK)
            err = dump_hash(txn, h_keys[w], out);
        if (err == OXBOW_OK)
            err = dump_set(txn, e_keys[w], out);
    }
    if (err == OXBOW_OK)
        err = dump_zset(txn, out);
    if (err == OXBOW_OK)
        err = oxbow_key_count(txn, &number);
    dump_number(out, number);
    return err;
}

static enum oxbow_err dump_store(struct oxbow *db, struct dump *out)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_txn *txn;
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);

    if (err != OXBOW_OK)
        return err;
    err = dump_all(txn, out);
    oxbow_txn_abort(txn);
    return err;
}

static struct model *keyval_open(void)
{
    return lab_alloc(sizeof(struct model));
}

static void keyval_close(struct model *m)
{
    free(m);
}

const struct subject subject_keyval = {
    .name = "keyval",
    .open = keyval_open,
    .close = keyval_close,
    .step = keyval_step,
    .dump_store = dump_store,
    .dump_model = dump_model,
};
