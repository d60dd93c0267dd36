/* SPDX-License-Identifier: Apache-2.0 */
/* Random transactions against a sorted model in memory: after any mixture of writes, aborts,
 * checkpoints and openings the store and the model hold the same, seen from both directions. */
#include "engine/store/kv.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <time.h>

#define KEYS_MAX  400u
#define VALUE_MAX 9000u
#define STEPS     6000u

struct pair {
    uint8_t key[KV_KEY_MAX];
    size_t key_len;
    uint8_t *value;
    size_t len;
};

struct model {
    struct pair pairs[KEYS_MAX + 1];
    size_t count;
};

static uint64_t dice_state;

static uint32_t dice(uint32_t n)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((dice_state >> 33) % n);
}

static int order(const struct pair *p, struct oxbow_bytes key)
{
    size_t n = p->key_len < key.len ? p->key_len : key.len;
    int o = memcmp(p->key, key.data, n);

    return o != 0 ? o : (p->key_len > key.len) - (p->key_len < key.len);
}

/* The first pair at or after the key. */
static size_t model_at(const struct model *m, struct oxbow_bytes key)
{
    size_t i = 0;

    while (i < m->count && order(&m->pairs[i], key) < 0) {
        i++;
    }
    return i;
}

static bool model_has(const struct model *m, size_t i, struct oxbow_bytes key)
{
    return i < m->count && order(&m->pairs[i], key) == 0;
}

static void model_put(struct model *m, struct oxbow_bytes key, const void *value, size_t len)
{
    size_t i = model_at(m, key);
    struct pair *p = &m->pairs[i];

    if (!model_has(m, i, key)) {
        memmove(p + 1, p, (m->count - i) * sizeof *p);
        memset(p, 0, sizeof *p);
        memcpy(p->key, key.data, key.len);
        p->key_len = key.len;
        m->count++;
    }
    p->value = realloc(p->value, len + 1);
    assert_non_null(p->value);
    memcpy(p->value, value, len);
    p->len = len;
}

static void model_del(struct model *m, size_t i)
{
    free(m->pairs[i].value);
    memmove(&m->pairs[i], &m->pairs[i + 1], (m->count - i - 1) * sizeof m->pairs[0]);
    m->count--;
}

static void model_clear(struct model *m)
{
    while (m->count > 0) {
        model_del(m, m->count - 1);
    }
}

static void model_copy(struct model *to, const struct model *from)
{
    model_clear(to);
    for (size_t i = 0; i < from->count; i++) {
        to->pairs[i] = from->pairs[i];
        to->pairs[i].value = malloc(from->pairs[i].len + 1);
        assert_non_null(to->pairs[i].value);
        memcpy(to->pairs[i].value, from->pairs[i].value, from->pairs[i].len);
    }
    to->count = from->count;
}

/* ---- both at once ---- */

static struct oxbow_bytes some_key(uint8_t out[KV_KEY_MAX])
{
    size_t len = 10 + dice(3);

    memset(out, 0, KV_KEY_MAX);
    out[0] = KV_SPACE_OBJECT;
    out[8] = (uint8_t)dice(4);
    out[9] = (uint8_t)dice(100);
    return (struct oxbow_bytes){out, len};
}

static size_t some_len(void)
{
    static const uint32_t up_to[] = {8, 100, 600, 4076, VALUE_MAX};

    return dice(up_to[dice(5)]);
}

static void some_bytes(uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)dice(256);
    }
}

static bool same(struct oxbow_bytes got, const void *want, size_t len)
{
    return got.len == len && (len == 0 || memcmp(got.data, want, len) == 0);
}

static void check_get(struct oxbow_txn *txn, const struct model *m)
{
    uint8_t raw[KV_KEY_MAX];
    struct oxbow_bytes key = some_key(raw);
    struct oxbow_bytes value;
    size_t i = model_at(m, key);

    if (!model_has(m, i, key)) {
        assert_int_equal(kv_get(txn, key, &value), OXBOW_ENOENT);
        return;
    }
    assert_int_equal(kv_get(txn, key, &value), OXBOW_OK);
    assert_true(same(value, m->pairs[i].value, m->pairs[i].len));
}

static void do_put(struct oxbow_txn *txn, struct model *m)
{
    static uint8_t bytes[VALUE_MAX];
    uint8_t raw[KV_KEY_MAX];
    struct oxbow_bytes key = some_key(raw);
    size_t len = some_len();

    if (m->count == KEYS_MAX) {
        return;
    }
    some_bytes(bytes, len);
    assert_int_equal(kv_put(txn, key, (struct oxbow_bytes){bytes, len}), OXBOW_OK);
    model_put(m, key, bytes, len);
}

static void do_patch(struct oxbow_txn *txn, struct model *m)
{
    static uint8_t bytes[VALUE_MAX * 2];
    uint8_t raw[KV_KEY_MAX];
    struct oxbow_bytes key = some_key(raw);
    size_t i = model_at(m, key);
    size_t len = dice(200);
    size_t pos;
    size_t old;

    some_bytes(bytes, len);
    if (!model_has(m, i, key)) {
        assert_int_equal(kv_patch(txn, key, 0, (struct oxbow_bytes){bytes, len}), OXBOW_ENOENT);
        return;
    }
    old = m->pairs[i].len;
    pos = dice(2) == 0 ? old : dice((uint32_t)old + 1);
    if (pos + len > VALUE_MAX) {
        return;
    }
    assert_int_equal(kv_patch(txn, key, old + 1, (struct oxbow_bytes){bytes, len}), OXBOW_EINVAL);
    assert_int_equal(kv_patch(txn, key, pos, (struct oxbow_bytes){bytes, len}), OXBOW_OK);
    memmove(bytes + pos, bytes, len);
    memcpy(bytes, m->pairs[i].value, pos);
    if (old > pos + len) {
        memcpy(bytes + pos + len, m->pairs[i].value + pos + len, old - pos - len);
    }
    model_put(m, key, bytes, old > pos + len ? old : pos + len);
}

static void do_del(struct oxbow_txn *txn, struct model *m)
{
    uint8_t raw[KV_KEY_MAX];
    struct oxbow_bytes key = some_key(raw);
    size_t i = model_at(m, key);

    assert_int_equal(kv_del(txn, key), OXBOW_OK);
    if (model_has(m, i, key)) {
        model_del(m, i);
    }
}

static void do_del_range(struct oxbow_txn *txn, struct model *m)
{
    uint8_t raw_from[KV_KEY_MAX];
    uint8_t raw_to[KV_KEY_MAX];
    struct oxbow_bytes from = some_key(raw_from);
    struct oxbow_bytes to = some_key(raw_to);
    size_t max = dice(20);
    size_t done = 0;
    size_t i = model_at(m, from);
    bool more = false;

    assert_int_equal(kv_del_range(txn, from, to, max, &more), OXBOW_OK);
    while (i < m->count && order(&m->pairs[i], to) < 0 && done < max) {
        model_del(m, i);
        done++;
    }
    assert_int_equal(more, i < m->count && order(&m->pairs[i], to) < 0);
}

static void check_item(const struct model *m, size_t i, struct oxbow_bytes key,
                       struct oxbow_bytes value)
{
    assert_true(i < m->count);
    assert_int_equal(order(&m->pairs[i], key), 0);
    assert_true(same(value, m->pairs[i].value, m->pairs[i].len));
}

/* A walk that turns now and then, with writes between the steps. */
static void walk(struct oxbow_txn *txn, struct model *m, bool write)
{
    struct oxbow_bytes value;
    struct oxbow_bytes key;
    struct kv_cursor c;
    uint8_t raw[KV_KEY_MAX];
    uint8_t at[KV_KEY_MAX];
    struct oxbow_bytes from = some_key(raw);
    size_t i = model_at(m, from);
    bool back = dice(2) == 0;
    enum oxbow_err err;

    if (back && !model_has(m, i, from)) {
        i = i == 0 ? SIZE_MAX : i - 1;
    }
    assert_int_equal(kv_cursor_init(&c, txn), OXBOW_OK);
    err =
        back ? kv_cursor_seek_back(&c, from, &key, &value) : kv_cursor_seek(&c, from, &key, &value);
    for (uint32_t steps = dice(60); i < m->count; steps--) {
        size_t at_len;

        assert_int_equal(err, OXBOW_OK);
        check_item(m, i, key, value);
        if (steps == 0) {
            break;
        }
        at_len = key.len;
        memcpy(at, key.data, at_len);
        if (write && dice(4) == 0) {
            do_put(txn, m);
        } else if (write && dice(4) == 0) {
            do_del(txn, m);
        }
        i = model_at(m, (struct oxbow_bytes){at, at_len});
        back = dice(8) == 0 ? !back : back;
        if (back) {
            i = i == 0 ? SIZE_MAX : i - 1;
            err = kv_cursor_prev(&c, &key, &value);
        } else {
            i += model_has(m, i, (struct oxbow_bytes){at, at_len}) ? 1 : 0;
            err = kv_cursor_next(&c, &key, &value);
        }
    }
    if (i >= m->count) {
        /* Before the first object lies the store's own space. */
        assert_true(err == OXBOW_ENOENT ||
                    (back && err == OXBOW_OK && *(const uint8_t *)key.data == KV_SPACE_STORE));
    }
    kv_cursor_fini(&c);
}

/* Everything in the object space, from end to end. */
static void check_all(struct oxbow *db, const struct model *m)
{
    static const uint8_t first[1] = {KV_SPACE_OBJECT};
    struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ | OXBOW_TXN_NOWAIT};
    struct oxbow_bytes value;
    struct oxbow_bytes key;
    struct oxbow_txn *txn;
    struct kv_cursor c;
    enum oxbow_err err;
    size_t i;

    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    assert_int_equal(kv_cursor_init(&c, txn), OXBOW_OK);
    err = kv_cursor_seek(&c, (struct oxbow_bytes){first, 1}, &key, &value);
    for (i = 0; i < m->count; i++) {
        assert_int_equal(err, OXBOW_OK);
        check_item(m, i, key, value);
        err = kv_cursor_next(&c, &key, &value);
    }
    assert_int_equal(err, OXBOW_ENOENT);
    kv_cursor_fini(&c);
    oxbow_txn_abort(txn);
}

static void operation(struct oxbow_txn *txn, struct model *m)
{
    switch (dice(8)) {
    case 0:
    case 1:
        do_put(txn, m);
        break;
    case 2:
    case 3:
        do_patch(txn, m);
        break;
    case 4:
        do_del(txn, m);
        break;
    case 5:
        if (dice(6) == 0) {
            do_del_range(txn, m);
        }
        break;
    case 6:
        walk(txn, m, dice(2) == 0);
        break;
    default:
        check_get(txn, m);
        break;
    }
}

static void transaction(struct oxbow *db, struct model *m, struct model *before)
{
    struct oxbow_txn_options opt = {.sync =
                                        dice(30) == 0 ? OXBOW_SYNC_ALWAYS : OXBOW_SYNC_INTERVAL};
    struct oxbow_txn *txn;
    uint32_t ops = 1 + dice(12);
    bool abort = dice(4) == 0;

    if (abort) {
        model_copy(before, m);
    }
    assert_int_equal(oxbow_txn_begin(db, &opt, &txn), OXBOW_OK);
    while (ops-- > 0) {
        operation(txn, m);
    }
    if (abort) {
        oxbow_txn_abort(txn);
        model_copy(m, before);
    } else {
        assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    }
}

static void the_store_holds_what_the_model_holds(void **state)
{
    const char *seed = getenv("OXBOW_SEED");
    static struct model model;
    static struct model before;
    char dir[SCRATCH_MAX];
    struct oxbow_config config = {.dir = dir,
                                  .sync = OXBOW_SYNC_INTERVAL,
                                  .interval_ms = 50,
                                  .memtable_bytes = 64 << 10,
                                  .dirty_pages = 16};
    struct oxbow *db;

    (void)state;
    dice_state = seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    print_message("OXBOW_SEED=%llu\n", (unsigned long long)dice_state);
    scratch_name(dir, "kv-model");
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    for (uint32_t i = 0; i < STEPS; i++) {
        transaction(db, &model, &before);
        if (dice(300) == 0) {
            assert_int_equal(oxbow_flush(db), OXBOW_OK);
        }
        if (dice(600) == 0) {
            assert_int_equal(oxbow_close(db), OXBOW_OK);
            assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
        }
        if (dice(100) == 0) {
            check_all(db, &model);
        }
    }
    check_all(db, &model);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    check_all(db, &model);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    model_clear(&model);
    model_clear(&before);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_store_holds_what_the_model_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
