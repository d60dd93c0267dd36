/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's own interface as a subject: put, patch, delete, delete of a range, over some sixty
 * keys with values from nothing to a few pages, and large values behind the last keys. The model is
 * an array in key order. Key number 0 counts the steps, so that no two states are alike. Now and
 * then a transaction is aborted first, of which no trace may be found.
 */
#include "engine/store/kv.h"
#include "tests/crash/harness.h"
#include "tests/crash/subject.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEYS      64u
#define KEY_BYTES 10u
#define BLOBS     58u /* from this key on: large values, the key holds the blob's number */
#define VALUE_MAX 9000u
#define BLOB_MAX  60000u

struct value {
    bool there;
    size_t len;
    uint8_t *bytes;
};

struct model {
    struct value values[KEYS];
};

struct step {
    struct model *model;
    struct oxbow_txn *txn; /* NULL: the model only */
    uint64_t random;
    bool small;
    enum oxbow_err err;
};

static struct oxbow_bytes key_of(unsigned idx, uint8_t buf[KEY_BYTES])
{
    memset(buf, 0, KEY_BYTES);
    buf[0] = KV_SPACE_OBJECT;
    buf[1] = 0xf0;
    buf[8] = (uint8_t)(idx / 8);
    buf[9] = (uint8_t)(idx % 8);
    return (struct oxbow_bytes){buf, KEY_BYTES};
}

/* Grows when needed; bytes past `len` are never read. */
static void model_write(struct model *m, unsigned idx, size_t pos, const uint8_t *bytes, size_t len)
{
    struct value *v = &m->values[idx];
    size_t end = pos + len > v->len ? pos + len : v->len;
    v->bytes = lab_grow(v->bytes, end + 1);
    memcpy(v->bytes + pos, bytes, len);
    v->len = end;
    v->there = true;
}

static size_t fill(struct step *s, uint8_t *out, size_t max)
{
    static const size_t sizes[] = {8, 40, 200, 900, 3000, 4060, VALUE_MAX};
    size_t limit = sizes[lab_random(&s->random) % (s->small ? 4 : 7)];
    size_t len = lab_random(&s->random) % (limit < max ? limit : max);
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        word = i % 8 == 0 ? lab_random(&s->random) : word >> 8;
        out[i] = (uint8_t)word;
    }
    return len;
}

static void put(struct step *s, unsigned idx, const uint8_t *bytes, size_t len)
{
    uint8_t key[KEY_BYTES];
    s->model->values[idx].len = 0;
    model_write(s->model, idx, 0, bytes, len);
    if (s->txn != NULL && s->err == OXBOW_OK)
        s->err = kv_put(s->txn, key_of(idx, key), (struct oxbow_bytes){bytes, len});
}

static void patch(struct step *s, unsigned idx, const uint8_t *bytes, size_t len)
{
    uint8_t key[KEY_BYTES];
    size_t pos = lab_random(&s->random) % (s->model->values[idx].len + 1);
    if (lab_random(&s->random) % 2 == 0)
        pos = s->model->values[idx].len;
    model_write(s->model, idx, pos, bytes, len);
    if (s->txn != NULL && s->err == OXBOW_OK)
        s->err = kv_patch(s->txn, key_of(idx, key), pos, (struct oxbow_bytes){bytes, len});
}

static void del(struct step *s, unsigned idx)
{
    uint8_t key[KEY_BYTES];
    s->model->values[idx].there = false;
    s->model->values[idx].len = 0;
    if (s->txn != NULL && s->err == OXBOW_OK)
        s->err = kv_del(s->txn, key_of(idx, key));
}

static void del_range(struct step *s, unsigned from, unsigned to)
{
    uint8_t a[KEY_BYTES], b[KEY_BYTES];
    for (unsigned i = from; i < to; i++) {
        s->model->values[i].there = false;
        s->model->values[i].len = 0;
    }
    bool more = false;
    if (s->txn != NULL && s->err == OXBOW_OK)
        s->err = kv_del_range(s->txn, key_of(from, a), key_of(to, b), KEYS, &more);
    if (more)
        lab_die("kv_del_range", "left keys behind");
}

static enum oxbow_err blob_put(struct step *s, unsigned idx, struct oxbow_bytes data)
{
    uint8_t key[KEY_BYTES];
    struct oxbow_bytes old;
    uint64_t blob = 0;
    enum oxbow_err err = kv_get(s->txn, key_of(idx, key), &old);
    if (err == OXBOW_OK && old.len == sizeof blob) {
        memcpy(&blob, old.data, sizeof blob);
        err = kv_blob_delete(s->txn, blob);
    }
    if (err == OXBOW_OK || err == OXBOW_ENOENT)
        err = kv_blob_write(s->txn, data, &blob);
    if (err == OXBOW_OK)
        err = kv_put(s->txn, key_of(idx, key), (struct oxbow_bytes){&blob, sizeof blob});
    return err;
}

static void put_blob(struct step *s)
{
    static uint8_t buf[BLOB_MAX];
    unsigned idx = BLOBS + (unsigned)(lab_random(&s->random) % (KEYS - BLOBS));
    size_t len = 1 + lab_random(&s->random) % BLOB_MAX;
    for (size_t i = 0; i < len; i++)
        buf[i] = (uint8_t)(lab_random(&s->random) >> 24);
    s->model->values[idx].len = 0;
    model_write(s->model, idx, 0, buf, len);
    if (s->txn != NULL && s->err == OXBOW_OK)
        s->err = blob_put(s, idx, (struct oxbow_bytes){buf, len});
}

/* What must leave no trace: the model knows nothing of it. */
static enum oxbow_err aborted(struct oxbow *db, const struct oxbow_txn_options *opt)
{
    struct oxbow_txn *txn = NULL;
    enum oxbow_err err = oxbow_txn_begin(db, opt, &txn);
    if (err != OXBOW_OK)
        return err;
    static const uint8_t junk[30000] = {1};
    uint8_t key[KEY_BYTES], to[KEY_BYTES];
    uint64_t blob = 0;
    bool more = false;
    for (unsigned i = 0; i < KEYS && err == OXBOW_OK; i += 5)
        err = kv_put(txn, key_of(i, key), (struct oxbow_bytes){junk, i * 10});
    if (err == OXBOW_OK)
        err = kv_del_range(txn, key_of(3, key), key_of(30, to), KEYS, &more);
    if (err == OXBOW_OK)
        err = kv_blob_write(txn, (struct oxbow_bytes){junk, sizeof junk}, &blob);
    oxbow_txn_abort(txn);
    return err;
}

static void act(struct step *s)
{
    static uint8_t buf[VALUE_MAX];
    unsigned idx = 1 + (unsigned)(lab_random(&s->random) % (BLOBS - 1));
    unsigned what = (unsigned)(lab_random(&s->random) % 32);
    if (what == 31 && (!s->small || lab_random(&s->random) % 4 == 0)) {
        put_blob(s);
    } else if ((what %= 16) < 8) {
        size_t len = fill(s, buf, sizeof buf);
        put(s, idx, buf, len);
    } else if (what < 13 && s->model->values[idx].there) {
        size_t room = s->model->values[idx].len < VALUE_MAX ? 600 : 1;
        size_t len = fill(s, buf, room);
        patch(s, idx, buf, len);
    } else if (what < 15) {
        del(s, idx);
    } else {
        unsigned to = idx + (unsigned)(lab_random(&s->random) % 6);
        del_range(s, idx, to < BLOBS ? to : BLOBS);
    }
}

/* ---- what is only there to be given back ---- */

#define BALLAST_BYTES   2600000u
#define BALLAST_EVERY   8u /* steps from one to the next; it is deleted half-way */
#define BALLAST_WAITS   300u
#define BALLAST_LOOK_US 5000u

static bool ballast;

void subject_kv_ballast(bool on)
{
    ballast = on;
}

static enum oxbow_err ballast_drop(struct oxbow_txn *txn, struct oxbow_bytes key)
{
    struct oxbow_bytes value;
    uint64_t blob = 0;
    enum oxbow_err err = kv_get(txn, key, &value);
    if (err != OXBOW_OK)
        return err == OXBOW_ENOENT ? OXBOW_OK : err;
    memcpy(&blob, value.data, sizeof blob);
    err = kv_blob_delete(txn, blob);
    return err == OXBOW_OK ? kv_del(txn, key) : err;
}

static enum oxbow_err ballast_take(struct oxbow_txn *txn, struct oxbow_bytes key)
{
    static uint8_t bytes[BALLAST_BYTES] = {1};
    uint64_t blob = 0;
    enum oxbow_err err = ballast_drop(txn, key);
    if (err == OXBOW_OK)
        err = kv_blob_write(txn, (struct oxbow_bytes){bytes, sizeof bytes}, &blob);
    if (err == OXBOW_EQUOTA || err == OXBOW_ENOSPC)
        return OXBOW_OK; /* the last one is not reaped yet */
    return err == OXBOW_OK ? kv_put(txn, key, (struct oxbow_bytes){&blob, sizeof blob}) : err;
}

static enum oxbow_err ballast_step(struct oxbow_txn *txn, uint64_t step)
{
    static const uint8_t key[2] = {KV_SPACE_OBJECT, 0xf1};
    const struct oxbow_bytes k = {key, sizeof key};
    if (step % BALLAST_EVERY == 1)
        return ballast_take(txn, k);
    return step % BALLAST_EVERY == BALLAST_EVERY / 2 ? ballast_drop(txn, k) : OXBOW_OK;
}

static void ballast_wait(struct oxbow *db, uint64_t step)
{
    struct oxbow_stat stat = {0};
    if (step % BALLAST_EVERY != BALLAST_EVERY / 2 + 1)
        return;
    for (unsigned i = 0; i < BALLAST_WAITS && stat.hole_bytes == 0; i++) {
        usleep(BALLAST_LOOK_US);
        oxbow_stat(db, &stat);
    }
}

static enum oxbow_err kv_step(struct model *m, uint64_t seed, uint64_t step, struct oxbow *db,
                              const struct oxbow_txn_options *opt, uint64_t *lsn)
{
    struct step s = {
        .model = m, .random = seed + step * 0x632be59bd9b4e019u, .small = seed % 2 != 0};
    bool abort_first = lab_random(&s.random) % 8 == 0;
    if (db != NULL && abort_first)
        s.err = aborted(db, opt);
    if (db != NULL && ballast)
        ballast_wait(db, step);
    if (db != NULL && s.err == OXBOW_OK)
        s.err = oxbow_txn_begin(db, opt, &s.txn);
    if (s.err != OXBOW_OK)
        return s.err;
    unsigned acts = 1 + (unsigned)(lab_random(&s.random) % 5);
    for (unsigned i = 0; i < acts; i++)
        act(&s);
    uint64_t number = step + 1;
    uint8_t count[8];
    memcpy(count, &number, sizeof count);
    put(&s, 0, count, sizeof count);
    if (s.txn == NULL)
        return OXBOW_OK;
    if (s.err == OXBOW_OK && ballast)
        s.err = ballast_step(s.txn, step);
    if (s.err == OXBOW_OK)
        return oxbow_txn_commit(s.txn, lsn);
    oxbow_txn_abort(s.txn);
    return s.err;
}

/* Ordinary values as they are; a large one is read through the number that its key holds. */
static enum oxbow_err dump_value(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 struct oxbow_bytes value, struct dump *out)
{
    const uint8_t *k = key.data;
    if (k[8] * 8u + k[9] < BLOBS) {
        dump_bytes(out, key);
        dump_bytes(out, value);
        return OXBOW_OK;
    }
    uint64_t blob = 0;
    if (value.len != sizeof blob)
        return OXBOW_ECORRUPT;
    memcpy(&blob, value.data, sizeof blob);
    static uint8_t buf[BLOB_MAX];
    size_t len = 0;
    enum oxbow_err err = OXBOW_OK;
    /* Its length is not kept with it: the largest one that can be read. */
    for (size_t bit = 1u << 15; bit > 0; bit >>= 1) {
        err = len + bit > BLOB_MAX ? OXBOW_ERANGE : kv_blob_read(txn, blob, 0, buf, len + bit);
        if (err == OXBOW_OK)
            len += bit;
        else if (err != OXBOW_ERANGE && err != OXBOW_ENOENT)
            return err;
    }
    dump_bytes(out, key);
    err = len == 0 ? OXBOW_ENOENT : kv_blob_read(txn, blob, 0, buf, len);
    dump_bytes(out, (struct oxbow_bytes){buf, len});
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

static enum oxbow_err kv_dump(struct oxbow *db, struct dump *out)
{
    struct oxbow_txn *txn = NULL;
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ, .sync = OXBOW_SYNC_INTERVAL};
    enum oxbow_err err = oxbow_txn_begin(db, &opt, &txn);
    if (err != OXBOW_OK)
        return err;
    uint8_t from[KEY_BYTES], to[KEY_BYTES];
    struct oxbow_bytes last = key_of(KEYS - 1, to), key, value;
    struct kv_cursor c;
    err = kv_cursor_init(&c, txn);
    if (err == OXBOW_OK) {
        err = kv_cursor_seek(&c, key_of(0, from), &key, &value);
        while (err == OXBOW_OK && key.len == last.len &&
               memcmp(key.data, last.data, last.len) <= 0) {
            err = dump_value(txn, key, value, out);
            if (err == OXBOW_OK)
                err = kv_cursor_next(&c, &key, &value);
        }
        kv_cursor_fini(&c);
    }
    if (err != OXBOW_OK && err != OXBOW_ENOENT) {
        oxbow_txn_abort(txn);
        return err;
    }
    return oxbow_txn_commit(txn, NULL);
}

static void kv_dump_model(const struct model *m, struct dump *out)
{
    uint8_t key[KEY_BYTES];
    for (unsigned i = 0; i < KEYS; i++) {
        if (!m->values[i].there)
            continue;
        dump_bytes(out, key_of(i, key));
        dump_bytes(out, (struct oxbow_bytes){m->values[i].bytes, m->values[i].len});
    }
}

static struct model *kv_open(void)
{
    return lab_alloc(sizeof(struct model));
}

static void kv_close(struct model *m)
{
    for (unsigned i = 0; i < KEYS; i++)
        free(m->values[i].bytes);
    free(m);
}

const struct subject subject_kv = {
    .name = "kv",
    .open = kv_open,
    .close = kv_close,
    .step = kv_step,
    .dump_store = kv_dump,
    .dump_model = kv_dump_model,
};
