/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's seam: the effects of all committed transactions, done again in order in an empty
 * store, give the same content; what was dropped is not among them. */
#include "engine/store/journal.h"
#include "engine/store/kv.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <time.h>

#define TXNS 1500u

static uint64_t dice_state;

static uint32_t dice(uint32_t n)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((dice_state >> 33) % n);
}

struct recorded {
    enum journal_kind kind;
    uint8_t key[KV_KEY_MAX];
    size_t key_len;
    size_t pos;
    uint8_t *bytes;
    size_t len;
};

struct recorder {
    struct recorded *all;
    size_t count;
    size_t committed; /* of count */
    uint64_t lsn;
    enum oxbow_err refuse;
};

static enum oxbow_err record(void *ctx, const struct journal_effect *e)
{
    struct recorder *r = ctx;
    struct recorded *to;

    if (r->refuse != OXBOW_OK) {
        return r->refuse;
    }
    r->all = realloc(r->all, (r->count + 1) * sizeof *r->all);
    assert_non_null(r->all);
    to = &r->all[r->count++];
    to->kind = e->kind;
    to->key_len = e->key.len;
    memcpy(to->key, e->key.data, e->key.len);
    to->pos = e->pos;
    to->len = e->bytes.len;
    to->bytes = malloc(e->bytes.len + 1);
    assert_non_null(to->bytes);
    if (to->len > 0) {
        memcpy(to->bytes, e->bytes.data, to->len);
    }
    return OXBOW_OK;
}

static enum oxbow_err committed(void *ctx, uint64_t lsn)
{
    struct recorder *r = ctx;

    assert_int_equal(lsn, r->lsn + 1);
    r->lsn = lsn;
    r->committed = r->count;
    return OXBOW_OK;
}

static void dropped(void *ctx)
{
    struct recorder *r = ctx;

    while (r->count > r->committed) {
        free(r->all[--r->count].bytes);
    }
}

static void replay(struct oxbow *db, const struct recorder *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct recorded *e = &r->all[i];
        struct oxbow_bytes key = {e->key, e->key_len};
        struct oxbow_bytes bytes = {e->bytes, e->len};
        struct oxbow_txn *txn;

        assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
        switch (e->kind) {
        case JOURNAL_PUT:
            assert_int_equal(kv_put(txn, key, bytes), OXBOW_OK);
            break;
        case JOURNAL_PATCH:
            assert_int_equal(kv_patch(txn, key, e->pos, bytes), OXBOW_OK);
            break;
        default:
            assert_int_equal(e->kind, JOURNAL_DEL);
            assert_int_equal(kv_del(txn, key), OXBOW_OK);
            break;
        }
        assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
    }
}

static void write_some(struct oxbow_txn *txn)
{
    static uint8_t bytes[3000];
    uint8_t raw[2] = {KV_SPACE_OBJECT, (uint8_t)dice(60)};
    struct oxbow_bytes key = {raw, 2};
    struct oxbow_bytes value = {bytes, dice(dice(2) == 0 ? 60 : 3000)};
    struct oxbow_bytes got;
    bool more;

    memset(bytes, (int)dice(256), value.len);
    switch (dice(6)) {
    case 0:
        assert_int_equal(kv_put(txn, key, value), OXBOW_OK);
        break;
    case 1:
        assert_int_equal(kv_del(txn, key), OXBOW_OK);
        break;
    case 2:
        if (dice(20) == 0) {
            uint8_t to[2] = {KV_SPACE_OBJECT, (uint8_t)(raw[1] + 5)};

            assert_int_equal(kv_del_range(txn, key, (struct oxbow_bytes){to, 2}, 3, &more),
                             OXBOW_OK);
        }
        break;
    default:
        if (kv_get(txn, key, &got) == OXBOW_OK) {
            value.len %= 300;
            assert_int_equal(kv_patch(txn, key, dice(3) == 0 ? got.len / 2 : got.len, value),
                             OXBOW_OK);
        }
        break;
    }
}

static void assert_same(struct oxbow *a, struct oxbow *b)
{
    static const uint8_t first[1] = {KV_SPACE_OBJECT};
    struct oxbow_bytes key[2];
    struct oxbow_bytes value[2];
    struct oxbow_txn *txn[2];
    struct kv_cursor c[2];
    struct oxbow *db[2] = {a, b};
    enum oxbow_err err[2];

    for (int i = 0; i < 2; i++) {
        assert_int_equal(oxbow_txn_begin(db[i], NULL, &txn[i]), OXBOW_OK);
        assert_int_equal(kv_cursor_init(&c[i], txn[i]), OXBOW_OK);
        err[i] = kv_cursor_seek(&c[i], (struct oxbow_bytes){first, 1}, &key[i], &value[i]);
    }
    while (err[0] == OXBOW_OK && err[1] == OXBOW_OK) {
        assert_int_equal(key[0].len, key[1].len);
        assert_memory_equal(key[0].data, key[1].data, key[0].len);
        assert_int_equal(value[0].len, value[1].len);
        if (value[0].len > 0) {
            assert_memory_equal(value[0].data, value[1].data, value[0].len);
        }
        for (int i = 0; i < 2; i++) {
            err[i] = kv_cursor_next(&c[i], &key[i], &value[i]);
        }
    }
    assert_int_equal(err[0], OXBOW_ENOENT);
    assert_int_equal(err[1], OXBOW_ENOENT);
    for (int i = 0; i < 2; i++) {
        kv_cursor_fini(&c[i]);
        oxbow_txn_abort(txn[i]);
    }
}

static void effects_done_again_give_the_same_content(void **state)
{
    const char *seed = getenv("OXBOW_SEED");
    struct recorder r = {0};
    const struct journal journal = {&r, record, committed, dropped};
    char dir[2][SCRATCH_MAX];
    struct oxbow_config config = {.sync = OXBOW_SYNC_INTERVAL, .memtable_bytes = 64 << 10};
    struct oxbow_txn *txn;
    struct oxbow *db[2];

    (void)state;
    dice_state = seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    print_message("OXBOW_SEED=%llu\n", (unsigned long long)dice_state);
    for (int i = 0; i < 2; i++) {
        scratch_name(dir[i], i == 0 ? "journal-a" : "journal-b");
        scratch_remove(dir[i]);
        config.dir = dir[i];
        assert_int_equal(oxbow_open(&config, &db[i]), OXBOW_OK);
    }
    store_set_journal(db[0], &journal);
    for (uint32_t i = 0; i < TXNS; i++) {
        assert_int_equal(oxbow_txn_begin(db[0], NULL, &txn), OXBOW_OK);
        for (uint32_t ops = dice(6); ops > 0; ops--) {
            write_some(txn);
        }
        if (dice(4) == 0) {
            oxbow_txn_abort(txn);
        } else {
            assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
        }
    }
    /* What the journal refuses is not applied. */
    r.refuse = OXBOW_ENOSPC;
    assert_int_equal(oxbow_txn_begin(db[0], NULL, &txn), OXBOW_OK);
    assert_int_equal(kv_put(txn, (struct oxbow_bytes){"x", 1}, (struct oxbow_bytes){"y", 1}),
                     OXBOW_ENOSPC);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_ENOSPC);
    store_set_journal(db[0], NULL);
    replay(db[1], &r);
    assert_same(db[0], db[1]);
    r.committed = 0;
    dropped(&r);
    free(r.all);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(oxbow_close(db[i]), OXBOW_OK);
        scratch_remove(dir[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(effects_done_again_give_the_same_content),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
