/* SPDX-License-Identifier: Apache-2.0 */
/* Losses stay on record until they are forgotten, are not told twice, and can be put in words. */
#include "engine/store/loss.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char dir[SCRATCH_MAX];

static int fresh(void **state)
{
    (void)state;
    scratch_name(dir, "loss");
    scratch_remove(dir);
    return 0;
}

static int gone(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

static struct oxbow *open_plain(void)
{
    struct oxbow_config config = {.dir = dir};
    struct oxbow *db;

    assert_int_equal(oxbow_open(&config, &db), OXBOW_OK);
    return db;
}

static struct oxbow_bytes text(const char *s)
{
    return (struct oxbow_bytes){s, strlen(s)};
}

static void add(struct oxbow *db, const struct oxbow_loss *loss)
{
    struct oxbow_txn *txn;

    assert_int_equal(oxbow_txn_begin(db, NULL, &txn), OXBOW_OK);
    assert_int_equal(loss_add(txn, loss), OXBOW_OK);
    assert_int_equal(oxbow_txn_commit(txn, NULL), OXBOW_OK);
}

struct seen {
    uint32_t count;
    uint64_t sum;
    enum oxbow_err answer;
};

static enum oxbow_err see(void *ctx, const struct oxbow_loss *l)
{
    struct seen *s = ctx;

    assert_int_equal(l->kind, OXBOW_LOSS_ENTRIES);
    assert_int_equal(l->type, OXBOW_TYPE_STREAM);
    assert_int_equal(l->database, 3);
    assert_int_equal(l->key.len, 4);
    assert_memory_equal(l->key.data, "some", 4);
    assert_int_equal(l->group.len, 2);
    assert_int_equal(l->first.ms, 5);
    assert_int_equal(l->last.seq, 8);
    assert_int_equal(l->object, 77);
    assert_int_equal(l->boot, 1);
    assert_true(l->wall_ms > 0);
    s->count++;
    s->sum += l->entries;
    return s->answer;
}

static void losses_stay_until_they_are_forgotten(void **state)
{
    struct oxbow_loss l = {.kind = OXBOW_LOSS_ENTRIES,
                           .database = 3,
                           .type = OXBOW_TYPE_STREAM,
                           .key = text("some"),
                           .group = text("gr"),
                           .first = {5, 6},
                           .last = {7, 8},
                           .object = 77};
    struct oxbow *db = open_plain();
    struct seen s = {.answer = OXBOW_OK};

    (void)state;
    for (l.entries = 1; l.entries <= 600; l.entries++) {
        add(db, &l);
    }
    l.entries = 600;
    add(db, &l); /* again */
    assert_int_equal(oxbow_close(db), OXBOW_OK);
    db = open_plain();
    assert_int_equal(oxbow_losses(db, see, &s), OXBOW_OK);
    assert_int_equal(s.count, 600);
    assert_int_equal(s.sum, 600 * 601 / 2);
    s = (struct seen){.answer = OXBOW_ECANCELED};
    assert_int_equal(oxbow_losses(db, see, &s), OXBOW_ECANCELED);
    assert_int_equal(s.count, 1);
    assert_int_equal(oxbow_losses_forget(db), OXBOW_OK);
    assert_int_equal(oxbow_losses_forget(db), OXBOW_OK);
    s = (struct seen){.answer = OXBOW_OK};
    assert_int_equal(oxbow_losses(db, see, &s), OXBOW_OK);
    assert_int_equal(s.count, 0);
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

static void every_kind_has_words(void **state)
{
    char line[400];
    struct oxbow_loss l = {.type = OXBOW_TYPE_LIST, .key = {"a\n\"b", 4}, .entries = 7};

    (void)state;
    for (int kind = OXBOW_LOSS_REBUILT; kind <= OXBOW_LOSS_DATABASE; kind++) {
        size_t len;

        l.kind = (enum oxbow_loss_kind)kind;
        len = oxbow_loss_text(&l, line, sizeof line);
        assert_int_equal(len, strlen(line));
        assert_true(strlen(line) > 20);
        assert_null(strchr(line, '\n'));
    }
    l.kind = OXBOW_LOSS_ENTRIES;
    l.last.seq = 9;
    (void)oxbow_loss_text(&l, line, sizeof line);
    assert_string_equal(line, "list \"a\\x0a\\x22b\" in database 0: 7 entries lost, between "
                              "positions 0 and 9");
    l.type = OXBOW_TYPE_STREAM;
    l.first = (struct oxbow_id){1, 2};
    l.last = (struct oxbow_id){3, 4};
    l.entries = UINT64_MAX;
    (void)oxbow_loss_text(&l, line, sizeof line);
    assert_string_equal(line, "stream \"a\\x0a\\x22b\" in database 0: an unknown number of entries "
                              "lost, between ids 1-2 and 3-4");
    assert_int_equal(oxbow_loss_text(&l, line, 10), 9);
    assert_int_equal(strlen(line), 9);
}

static void a_long_name_is_cut_off(void **state)
{
    static uint8_t name[5000];
    struct oxbow_loss l = {
        .kind = OXBOW_LOSS_KEY, .key = {name, sizeof name}, .group = {name, 900}};
    char line[700];
    struct oxbow *db = open_plain();

    (void)state;
    memset(name, 0, sizeof name);
    add(db, &l);
    assert_true(oxbow_loss_text(&l, line, sizeof line) < sizeof line - 1);
    assert_non_null(strstr(line, "...\""));
    assert_int_equal(oxbow_close(db), OXBOW_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, gone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(losses_stay_until_they_are_forgotten),
        TEST(every_kind_has_words),
        TEST(a_long_name_is_cut_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
