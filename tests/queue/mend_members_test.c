/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of hashes, sets and sorted sets whose records are lost, and that what is left is served. */
#include "engine/queue/mend.h"

#include "engine/base/codec.h"
#include "oxbow/hash_expire.h"
#include "oxbow/loss.h"
#include "oxbow/zset.h"
#include "tests/queue/stream_fixture.h"

struct told {
    unsigned n;
    enum oxbow_loss_kind kind;
};

static enum oxbow_err note(void *ctx, const struct oxbow_loss *loss)
{
    struct told *told = ctx;

    told->n++;
    told->kind = loss->kind;
    return OXBOW_OK;
}

static struct told losses(struct streams *f)
{
    struct told told = {0};

    streams_commit(f);
    assert_ok(oxbow_losses(f->rig.db, note, &told));
    streams_begin(f);
    return told;
}

static void hash_fill(struct streams *f, const char *key, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char text[16];
        struct oxbow_field fv = {{text, (size_t)snprintf(text, sizeof text, "%u", i)},
                                 BYTES("value")};

        assert_ok(oxbow_hash_set(f->txn, text_bytes(key), &fv, 1, NULL));
    }
}

/* An object, and a mend that says that its keys of one kind are lost. */
struct scene {
    struct salvage_range range;
    struct mend mend;
    struct mend_object o;
};

static void scene_init(struct scene *s, struct streams *f, const char *key, uint8_t kind)
{
    *s = (struct scene){.mend = {.db = f->rig.db, .state = {.ranges = 1}}};
    s->o = (struct mend_object){.mend = &s->mend, .txn = f->txn, .name = text_bytes(key)};
    s->mend.ranges = &s->range;
    assert_ok(catalog_find(f->txn, text_bytes(key), &s->o.object));
    s->range.low_len = (uint8_t)object_key(s->range.low, s->o.object.id, kind, NULL, 0);
    s->range.high_len =
        (uint8_t)object_key(s->range.high, s->o.object.id, (uint8_t)(kind + 1), NULL, 0);
}

static void what_is_whole_is_left_alone(void **state)
{
    struct streams *f = *state;
    struct scene s;

    hash_fill(f, "small", 10);
    scene_init(&s, f, "small", OBJECT_KIND_TYPE + 1);
    assert_ok(mend_members(&s.o));
    hash_fill(f, "large", 1000);
    scene_init(&s, f, "large", OBJECT_KIND_TYPE + 1);
    s.mend.state.ranges = 0;
    assert_ok(mend_members(&s.o));
    assert_int_equal(losses(f).n, 0);
}

static void a_lost_root_is_a_lost_key(void **state)
{
    const struct oxbow_scored scored = {BYTES("m"), 1};
    struct streams *f = *state;
    struct scene s;

    assert_ok(oxbow_zset_add(f->txn, BYTES("z"), 0, &scored, 1, NULL));
    scene_init(&s, f, "z", OBJECT_KIND_TYPE + 3);
    assert_ok(kv_del(f->txn, (struct oxbow_bytes){s.range.low, s.range.low_len}));
    assert_ok(mend_members(&s.o));
    hash_fill(f, "h", 1);
    scene_init(&s, f, "h", OBJECT_KIND_TYPE);
    assert_ok(kv_del(f->txn, (struct oxbow_bytes){s.range.low, s.range.low_len}));
    assert_ok(mend_members(&s.o));
    assert_int_equal(losses(f).n, 2);
    assert_int_equal(losses(f).kind, OXBOW_LOSS_KEY);
    assert_ok(oxbow_key_count(f->txn, &(uint64_t){0}));
    hash_fill(f, "h", 3); /* and can be made again */
    assert_ok(oxbow_zset_add(f->txn, BYTES("z"), 0, &scored, 1, NULL));
}

static void a_lost_node_is_told_and_the_rest_is_served(void **state)
{
    struct streams *f = *state;
    unsigned found = 0;
    unsigned lost = 0;
    uint8_t tail[8];
    uint8_t k[KV_KEY_MAX];
    struct scene s;

    hash_fill(f, "h", 1000);
    scene_init(&s, f, "h", OBJECT_KIND_TYPE + 1);
    put_be64(tail, 3);
    assert_ok(kv_del(f->txn, (struct oxbow_bytes){
                                 k, object_key(k, s.o.object.id, OBJECT_KIND_TYPE + 1, tail, 8)}));
    assert_ok(mend_members(&s.o));
    assert_int_equal(losses(f).n, 1);
    assert_int_equal(losses(f).kind, OXBOW_LOSS_ENTRIES);
    for (unsigned i = 0; i < 1000; i++) {
        char text[16];
        enum oxbow_err err;

        snprintf(text, sizeof text, "%u", i);
        err = oxbow_hash_get(f->txn, BYTES("h"), text_bytes(text), &f->result);
        found += err == OXBOW_OK;
        lost += err == OXBOW_ECORRUPT;
    }
    assert_int_equal(found + lost, 1000);
    assert_in_range(lost, 1, 250);
    assert_err(oxbow_hash_get_all(f->txn, BYTES("h"), OXBOW_HASH_BOTH, &f->result), OXBOW_ECORRUPT);
    assert_ok(oxbow_key_delete(f->txn, BYTES("h"), NULL));
}

/* Seconds to live for fields 0 to 9 of `key`. */
static void hash_expire(struct streams *f, const char *key)
{
    for (unsigned i = 0; i < 10; i++) {
        char text[16];
        const struct oxbow_bytes name = {text, (size_t)snprintf(text, sizeof text, "%u", i)};
        const struct oxbow_fields one = {&name, 1};
        enum oxbow_field_done done;

        assert_ok(oxbow_hash_expire(f->txn, text_bytes(key), &one, 5000, 0, &done));
    }
}

static void lost_deadlines_are_no_loss(void **state)
{
    static const uint8_t kinds[] = {OBJECT_KIND_DUE, OBJECT_KIND_TYPE + 5};
    struct streams *f = *state;
    struct object_due due;
    struct scene s;
    uint64_t n;

    for (size_t i = 0; i < 2; i++) {
        char key[] = {'h', (char)('0' + i), '\0'};

        hash_fill(f, key, 20);
        hash_expire(f, key);
        scene_init(&s, f, key, kinds[i]);
        assert_ok(kv_del(f->txn, (struct oxbow_bytes){s.range.low, s.range.low_len}));
        assert_ok(mend_members(&s.o));
        assert_ok(catalog_due_get(f->txn, s.o.object.id, &due));
        assert_true(due.sweep);
        assert_ok(oxbow_hash_timed(f->txn, text_bytes(key), &n)); /* to be made anew */
        assert_int_equal(n, 0);
        assert_ok(oxbow_hash_count(f->txn, text_bytes(key), &n));
        assert_int_equal(n, 20);
    }
    assert_int_equal(losses(f).n, 0);
}

static void deadlines_that_are_whole_stay_as_they_are(void **state)
{
    struct streams *f = *state;
    struct object_due due;
    struct scene s;
    uint64_t n;

    hash_fill(f, "h", 20);
    hash_expire(f, "h");
    scene_init(&s, f, "h", OBJECT_KIND_TYPE + 1);
    s.mend.state.ranges = 0;
    assert_ok(mend_members(&s.o));
    assert_ok(catalog_due_get(f->txn, s.o.object.id, &due));
    assert_false(due.sweep);
    assert_ok(oxbow_hash_timed(f->txn, BYTES("h"), &n));
    assert_int_equal(n, 10);
    s.mend.state.values_bad = 1; /* any may be one of them */
    assert_ok(mend_members(&s.o));
    assert_ok(catalog_due_get(f->txn, s.o.object.id, &due));
    assert_true(due.sweep);
    assert_int_equal(losses(f).n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_whole_is_left_alone),
        TEST(a_lost_root_is_a_lost_key),
        TEST(a_lost_node_is_told_and_the_rest_is_served),
        TEST(lost_deadlines_are_no_loss),
        TEST(deadlines_that_are_whole_stay_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
