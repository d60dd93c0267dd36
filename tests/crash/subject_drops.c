/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every way in which rules take entries from queues, as a subject: by bytes and by length, for want of room in
 * a store that is nearly full, by a forward's budget, as a dead letter, as delivered (in the way at a limit, and
 * beyond what is kept), for age.
 *
 * How much goes is not always for a model to say: it hangs on pages, on the clock, or on when the store has
 * time. So most queues are rings: entries are numbered as they are added, and what a ring has dropped and
 * what it holds must be all that was added, the older part and the newer, counted by cause. Where drops
 * belong to the append, the running store notes inside the step's transaction how many there were, and
 * after a cut there must be just so many. `window` and `letters` are exact in the model.
 *
 * Every step adds to the first ring, so no two states are alike. `spilt` does half of a step in a second
 * transaction: it must be caught.
 */
#include "oxbow/forward.h"
#include "oxbow/group_options.h"
#include "oxbow/list.h"
#include "oxbow/policy.h"
#include "oxbow/stream.h"
#include "oxbow/string.h"
#include "tests/crash/harness.h"
#include "tests/crash/subject.h"
#include "tests/crash/told.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ITEMS_MAX  16u
#define WINDOW_MAX 6u
#define LETTERS    2u
#define WRONG      (~(uint64_t)0) /* in a dump: of no step */
#define TRIES      200u
#define PAUSE_NS   5000000
#define VALUE_MAX  700u
#define QUOTA      (2u << 20)
#define SPARE      (56u << 10)         /* what the ballast leaves of the quota */
#define BLOCK      15000u              /* bytes of an element of it, */
#define BLOCK_COST (4u * 4096u + 400u) /* and of the quota */

enum ring_kind { RING_LIST, RING_STREAM };

struct ring {
    const char *name;
    enum ring_kind kind;
    bool idle; /* entries go when the store has time as well */
    struct oxbow_policy policy;
};

enum {
    BYTES_STREAM,
    BYTES_LIST,
    FULL_STREAM, /* no limit but the store's */
    FULL_LIST,
    SENT,
    KEPT,
    AGED_STREAM,
    AGED_LIST,
    RINGS
};

static const struct ring rings[RINGS] = {
    [BYTES_STREAM] = {"bs", RING_STREAM, false, {.max_bytes = 2500}},
    [BYTES_LIST] = {"bl", RING_LIST, false, {.max_bytes = 2000}},
    [FULL_STREAM] = {"fs", RING_STREAM, false, {0}},
    [FULL_LIST] = {"fl", RING_LIST, false, {0}},
    [SENT] = {"sent", RING_STREAM, false, {0}},
    [KEPT] = {"kept", RING_STREAM, true, {.keep_bytes = 1500}},
    [AGED_STREAM] = {"as", RING_STREAM, true, {.max_age_ms = 200}},
    [AGED_LIST] = {"al", RING_LIST, true, {.max_age_ms = 200}},
};

/* A stream with a group, to the entry. */
struct exact {
    uint64_t items[ITEMS_MAX];
    size_t count;
    uint64_t last;    /* given to the group, and acked or dead */
    uint64_t dropped; /* delivered of `window`, dead of `letters` */
};

struct model {
    uint64_t added[RINGS]; /* entries, numbered from 1 */
    struct exact window;   /* refuses, but makes room by what is delivered */
    struct exact letters;
    bool spilt;
};

struct step {
    struct model *model;
    struct oxbow *db;
    const struct oxbow_txn_options *opt;
    struct oxbow_txn *txn; /* NULL: the model only */
    uint64_t *lsn;
    uint64_t random;
    uint64_t salt;
    enum oxbow_err err;
    struct oxbow_result result;
};

/* ---- helpers ---- */

static struct oxbow_bytes text_of(const char *text)
{
    return (struct oxbow_bytes){text, strlen(text)};
}

static const struct oxbow_group window = {{"window", 6}, {"g", 1}};
static const struct oxbow_group letters = {{"letters", 7}, {"g", 1}};
static const struct oxbow_group kept = {{"kept", 4}, {"g", 1}};
static const struct oxbow_bytes dead_key = {"dead", 4};

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

/* ---- rings ---- */

static void ring_add(struct step *s, unsigned r)
{
    uint8_t value[VALUE_MAX];
    uint64_t number = ++s->model->added[r];
    const struct oxbow_bytes bytes = {value, 16 + draw(s, sizeof value - 16)};
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {number, 0}};
    const struct oxbow_field field = {{"v", 1}, bytes};

    memset(value, (int)(s->salt ^ number), sizeof value);
    memcpy(value, &number, sizeof number);
    memcpy(value + 8, &s->salt, sizeof s->salt);
    if (live(s) && rings[r].kind == RING_LIST)
        s->err = oxbow_list_push(s->txn, text_of(rings[r].name), OXBOW_RIGHT, &bytes, 1, NULL);
    else if (live(s))
        s->err = oxbow_stream_add(s->txn, text_of(rings[r].name), &opt, &field, 1, NULL);
}

struct drops {
    uint64_t entries, delivered_to, causes; /* `causes`: bits */
};

static enum oxbow_err drops_of(struct oxbow_txn *txn, struct oxbow_bytes key, struct drops *out)
{
    *out = (struct drops){.entries = 0};
    for (unsigned c = OXBOW_DROP_AGE; c <= OXBOW_DROP_CAUSES; c++) {
        struct oxbow_drops d;
        enum oxbow_err err = oxbow_policy_drops(txn, key, (enum oxbow_drop_cause)c, &d);
        if (err != OXBOW_OK)
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        out->entries += d.entries;
        out->causes |= (uint64_t)(d.entries > 0) << (c - 1);
        if (c == OXBOW_DROP_DELIVERED)
            out->delivered_to = d.to.ms;
    }
    return OXBOW_OK;
}

/* What the appends of this step have dropped is what must be gone after a cut. */
static void note_drops(struct step *s)
{
    struct told t = {.salt = s->salt};
    for (unsigned r = 0; r < RINGS && live(s); r++) {
        struct drops d;
        s->err = drops_of(s->txn, text_of(rings[r].name), &d);
        t.numbers[r] = rings[r].idle ? 0 : d.entries;
    }
    if (live(s))
        told_note(s->model->added[0], &t);
}

/* All that there is has been delivered. */
static void ring_consume(struct step *s)
{
    struct oxbow_id ids[64];
    size_t count = 0;

    if (live(s))
        s->err = oxbow_group_read(s->txn, kept, text_of("c"), NULL, &s->result);
    for (size_t i = 0; live(s) && i < s->result.entry_count && count < 64; i++)
        ids[count++] = s->result.entries[i].id;
    if (live(s) && count > 0)
        s->err = oxbow_group_ack(s->txn, kept, ids, count, NULL);
}

/* ---- the exact ones ---- */

static void take_first(struct exact *x)
{
    memmove(&x->items[0], &x->items[1], --x->count * sizeof x->items[0]);
}

static void exact_add(struct step *s, struct exact *x, struct oxbow_bytes key, bool fits)
{
    const uint64_t number = s->model->added[0];
    const struct oxbow_stream_add_options opt = {.id_mode = OXBOW_ID_EXPLICIT, .id = {number, 0}};
    const struct oxbow_field field = {{"v", 1}, {&number, sizeof number}};

    if (fits)
        x->items[x->count++] = number;
    if (live(s))
        expect(s, oxbow_stream_add(s->txn, key, &opt, &field, 1, NULL),
               fits ? OXBOW_OK : OXBOW_EFULL);
}

static void window_add(struct step *s)
{
    struct exact *x = &s->model->window;
    bool full = x->count == WINDOW_MAX, room = full && x->items[0] <= x->last;

    if (room) {
        take_first(x);
        x->dropped++;
    }
    exact_add(s, x, window.key, room || !full);
}

/* Reads one; it is acked, or goes to the dead letters. False: there was none. */
static bool give_one(struct step *s, struct exact *x, struct oxbow_group group, bool dies)
{
    const struct oxbow_group_read_options one = {.count = 1};
    size_t at = 0;

    while (at < x->count && x->items[at] <= x->last)
        at++;
    if (at == x->count)
        return false;
    x->last = x->items[at];
    const struct oxbow_id id = {x->last, 0};
    const struct oxbow_group_nack_options nack = {.ids = &id, .count = 1, .how = OXBOW_NACK_DEAD};
    if (dies) {
        memmove(&x->items[at], &x->items[at + 1], (--x->count - at) * sizeof x->items[0]);
        x->dropped++;
    }
    if (live(s))
        s->err = oxbow_group_read(s->txn, group, text_of("c"), &one, &s->result);
    if (live(s) && (s->result.entry_count != 1 || s->result.entries[0].id.ms != id.ms))
        s->err = OXBOW_EFAILED;
    if (live(s))
        s->err = dies ? oxbow_group_nack(s->txn, group, &nack, NULL)
                      : oxbow_group_ack(s->txn, group, &id, 1, NULL);
    return true;
}

static void letters_act(struct step *s)
{
    struct exact *x = &s->model->letters;
    const struct oxbow_id id = {x->items[0], 0};

    if (x->count == ITEMS_MAX / 2) {
        take_first(x);
        if (live(s))
            s->err = oxbow_stream_delete(s->txn, letters.key, &id, 1, NULL);
    }
    exact_add(s, x, letters.key, true);
    for (uint64_t i = draw(s, 3); i > 0; i--)
        (void)give_one(s, x, letters, draw(s, 2) == 0);
}

static void window_act(struct step *s)
{
    window_add(s);
    for (uint64_t i = draw(s, 3); i > 0; i--)
        (void)give_one(s, &s->model->window, window, false);
}

/* ---- steps ---- */

static void make_queues(struct step *s)
{
    const struct oxbow_group_create_options create = {.make_stream = true};
    const struct oxbow_group_options opt = {.dead_letter = dead_key, .dead_remove = true};
    const struct oxbow_forward_options forward = {.key = text_of(rings[SENT].name),
                                                  .type = OXBOW_TYPE_STREAM,
                                                  .target = text_of("there"),
                                                  .max_bytes = 4000,
                                                  .on_full = OXBOW_FULL_DROP_OLDEST};
    const struct oxbow_policy short_one = {.max_entries = LETTERS,
                                           .on_full = OXBOW_POLICY_DROP_OLDEST};
    const struct oxbow_policy refuses = {.max_entries = WINDOW_MAX};

    for (unsigned r = 0; r < RINGS && live(s); r++) {
        struct oxbow_policy p = rings[r].policy;
        p.on_full = OXBOW_POLICY_DROP_OLDEST;
        s->err = oxbow_policy_set(s->txn, text_of(rings[r].name), &p);
    }
    if (live(s))
        s->err = oxbow_policy_set(s->txn, dead_key, &short_one);
    if (live(s))
        s->err = oxbow_policy_set(s->txn, window.key, &refuses);
    if (live(s))
        s->err = oxbow_group_create(s->txn, kept, &create);
    if (live(s))
        s->err = oxbow_group_create(s->txn, window, &create);
    if (live(s))
        s->err = oxbow_group_create(s->txn, letters, &create);
    if (live(s))
        s->err = oxbow_group_options_set(s->txn, letters, &opt);
    if (live(s))
        s->err = oxbow_forward_create(s->txn, "f", &forward);
}

/* Something that has nothing to do with queues takes up nearly all of the store. */
static void fill(struct step *s)
{
    static uint8_t block[BLOCK];
    const struct oxbow_bytes value = {block, sizeof block};
    struct oxbow_stat stat;

    if (s->txn == NULL)
        return;
    oxbow_stat(s->db, &stat);
    uint64_t blocks = stat.quota_bytes > stat.used_bytes + SPARE
                          ? (stat.quota_bytes - stat.used_bytes - SPARE) / BLOCK_COST
                          : 0;
    for (uint64_t i = 0; i < blocks && live(s); i++)
        s->err = oxbow_list_push(s->txn, text_of("ballast"), OXBOW_RIGHT, &value, 1, NULL);
}

static bool hurried;

void subject_drops_hurry(void)
{
    hurried = true;
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

static enum oxbow_err take_step(struct step s, bool first)
{
    begin(&s);
    if (first) {
        make_queues(&s);
        fill(&s);
    }
    ring_add(&s, BYTES_STREAM);
    ring_add(&s, SENT);
    for (uint64_t i = 2 + draw(&s, 4); i > 0; i--)
        ring_add(&s, (unsigned)draw(&s, RINGS - 1) + 1);
    if (s.model->spilt) {
        commit(&s);
        begin(&s);
    }
    letters_act(&s);
    window_act(&s);
    if (draw(&s, 3) == 0)
        ring_consume(&s);
    note_drops(&s);
    commit(&s);
    oxbow_result_fini(&s.result);
    return s.err;
}

/* Who has nothing to give up may be refused for want of room: with the next checkpoint there is some. */
static enum oxbow_err drops_step(struct model *m, uint64_t seed, uint64_t step, struct oxbow *db,
                                 const struct oxbow_txn_options *opt, uint64_t *lsn)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    const struct model before = *m;
    const struct step s = {.model = m,
                           .db = db,
                           .opt = opt,
                           .lsn = lsn,
                           .salt = seed,
                           .random = seed + step * 0x8cb92ba72f3d8dd7u};
    enum oxbow_err err = take_step(s, step == 0);

    for (unsigned i = 0; i < TRIES && err == OXBOW_EQUOTA; i++) {
        (void)nanosleep(&pause, NULL);
        *m = before;
        err = take_step(s, step == 0);
    }
    /* Devices are slower than this one: entries grow old. */
    if (db != NULL && !hurried && step % 4 == 3)
        (void)nanosleep(&pause, NULL);
    return err;
}

/* ---- dumps ---- */

static uint64_t number_in(struct oxbow_bytes value, uint64_t *salt)
{
    uint64_t number = 0;
    if (value.len >= 16) {
        memcpy(&number, value.data, sizeof number);
        memcpy(salt, (const uint8_t *)value.data + 8, sizeof *salt);
    }
    return number;
}

/* Everything is either there or counted as dropped, the oldest first; *total: how much that is. */
static enum oxbow_err ring_dump(struct oxbow_txn *txn, unsigned r, struct told *told,
                                uint64_t *total, struct dump *d)
{
    const struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    struct oxbow_result result = {0};
    struct drops drops;
    bool list = rings[r].kind == RING_LIST;
    enum oxbow_err err = list ? oxbow_list_range(txn, text_of(rings[r].name), 0, -1, &result)
                              : oxbow_stream_range(txn, text_of(rings[r].name), &all, &result);

    if (err == OXBOW_OK)
        err = drops_of(txn, text_of(rings[r].name), &drops);
    if (err != OXBOW_OK) {
        oxbow_result_fini(&result);
        return err;
    }
    size_t count = list ? result.item_count : result.entry_count;
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        struct oxbow_bytes value = list ? result.items[i] : result.entries[i].fields[0].value;
        good = good && number_in(value, &told->salt) == drops.entries + i + 1 &&
               (list || result.entries[i].id.ms == drops.entries + i + 1);
    }
    told->numbers[r] = rings[r].idle ? 0 : drops.entries;
    d->marks |= drops.causes;
    *total = drops.entries + count;
    dump_number(d, good ? *total : WRONG);
    oxbow_result_fini(&result);
    return OXBOW_OK;
}

static enum oxbow_err dump_exact(struct oxbow_txn *txn, struct oxbow_group group, struct dump *d)
{
    const struct oxbow_stream_range all = {.from = OXBOW_ID_MIN, .to = OXBOW_ID_MAX};
    struct oxbow_result result = {0};
    struct oxbow_group_info info = {0};
    struct drops drops = {0};
    enum oxbow_err err = oxbow_stream_range(txn, group.key, &all, &result);

    if (err == OXBOW_OK)
        err = drops_of(txn, group.key, &drops);
    if (err == OXBOW_OK)
        err = oxbow_group_info(txn, group, &info);
    err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    dump_number(d, result.entry_count);
    for (size_t i = 0; err == OXBOW_OK && i < result.entry_count; i++)
        dump_number(d, result.entries[i].id.ms);
    dump_number(d, info.pending == 0 ? info.last_id.ms : WRONG);
    dump_number(d, drops.entries);
    d->marks |= drops.causes;
    oxbow_result_fini(&result);
    return err;
}

/* All letters that ever came, there or dropped, and what of `kept` went as delivered was. */
static enum oxbow_err dump_counts(struct oxbow_txn *txn, struct dump *d)
{
    struct oxbow_group_info info = {0};
    struct drops drops, of_kept;
    uint64_t length = 0;
    enum oxbow_err err = oxbow_stream_len(txn, dead_key, &length);

    if (err == OXBOW_OK)
        err = drops_of(txn, dead_key, &drops);
    if (err == OXBOW_OK)
        err = drops_of(txn, kept.key, &of_kept);
    if (err == OXBOW_OK)
        err = oxbow_group_info(txn, kept, &info);
    if (err != OXBOW_OK && err != OXBOW_ENOENT)
        return err;
    d->marks |= drops.causes;
    dump_number(d, length > LETTERS ? WRONG : length + drops.entries);
    dump_number(d, of_kept.delivered_to <= info.last_id.ms && info.pending == 0 ? 0 : WRONG);
    return OXBOW_OK;
}

static enum oxbow_err dump_all(struct oxbow_txn *txn, struct dump *out)
{
    struct told told = {.salt = 0};
    uint64_t total = 0;
    enum oxbow_err err = OXBOW_OK;

    /* The first ring is read last: the salt is that of its newest entry. */
    for (unsigned r = RINGS; r-- > 0 && err == OXBOW_OK;)
        err = ring_dump(txn, r, &told, &total, out);
    dump_number(out, total == 0 || told_as(total, &told) ? 0 : WRONG);
    if (err == OXBOW_OK)
        err = dump_exact(txn, window, out);
    if (err == OXBOW_OK)
        err = dump_exact(txn, letters, out);
    return err == OXBOW_OK ? dump_counts(txn, out) : err;
}

static enum oxbow_err dump_store(struct oxbow *db, struct dump *out)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ, .sync = OXBOW_SYNC_INTERVAL};
    struct oxbow_txn *txn = NULL;
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);

    if (err != OXBOW_OK)
        return err;
    err = dump_all(txn, out);
    if (err == OXBOW_OK)
        return oxbow_txn_commit(txn, NULL);
    oxbow_txn_abort(txn);
    return err;
}

static void exact_dump(const struct exact *x, struct dump *out)
{
    dump_number(out, x->count);
    for (size_t i = 0; i < x->count; i++)
        dump_number(out, x->items[i]);
    dump_number(out, x->last);
    dump_number(out, x->dropped);
}

static void dump_model(const struct model *m, struct dump *out)
{
    for (unsigned r = RINGS; r-- > 0;)
        dump_number(out, m->added[r]);
    dump_number(out, 0);
    exact_dump(&m->window, out);
    exact_dump(&m->letters, out);
    dump_number(out, m->letters.dropped);
    dump_number(out, 0);
}

static struct model *drops_open(void)
{
    return lab_alloc(sizeof(struct model));
}

static struct model *spilt_open(void)
{
    struct model *m = drops_open();
    m->spilt = true;
    return m;
}

static void drops_close(struct model *m)
{
    free(m);
}

/* In the order of enum oxbow_drop_cause. */
static const char *const causes[] = {"age",         "length",    "bytes",   "quota",
                                     "dead-letter", "delivered", "forward", NULL};

const struct subject subject_drops = {
    .name = "drops",
    .marks = causes,
    .quota_bytes = QUOTA,
    .open = drops_open,
    .close = drops_close,
    .step = drops_step,
    .dump_store = dump_store,
    .dump_model = dump_model,
};

const struct subject subject_spilt = {
    .name = "spilt",
    .quota_bytes = QUOTA,
    .broken = true,
    .open = spilt_open,
    .close = drops_close,
    .step = drops_step,
    .dump_store = dump_store,
    .dump_model = dump_model,
};
