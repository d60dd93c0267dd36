/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks are looked at in time, whatever is done to what they hold, and nothing is left behind. */
#include "engine/queue/group_due.h"

#include "engine/base/codec.h"
#include "engine/queue/group_pending.h"
#include "tests/queue/group_fixture.h"

#define ENTRIES 600
#define STEPS   400

/* Keys of a kind that the stream has. */
static uint64_t keys_of(struct streams *f, const struct stream *s, enum stream_kind kind)
{
    uint8_t low[KV_KEY_MAX];
    size_t prefix = object_key(low, s->object.id, (uint8_t)kind, NULL, 0);
    struct oxbow_bytes key, value;
    struct kv_cursor c;
    uint64_t count = 0;
    enum oxbow_err err;

    assert_ok(kv_cursor_init(&c, f->txn));
    err = kv_cursor_seek(&c, (struct oxbow_bytes){low, prefix}, &key, &value);
    while (err == OXBOW_OK && key.len > prefix && memcmp(key.data, low, prefix) == 0) {
        count++;
        err = kv_cursor_next(&c, &key, &value);
    }
    kv_cursor_fini(&c);
    return count;
}

/* When the chunk is looked at. */
static uint64_t look_of(struct streams *f, const struct group *g, struct oxbow_id base)
{
    uint8_t buf[KV_KEY_MAX];
    uint8_t tail[12 + ID_KEY_LEN];
    struct oxbow_bytes key = {buf, 0}, value;
    uint64_t at;

    put_be32(tail, g->number);
    id_to_key(tail + 4, base);
    key.len = object_key(buf, g->stream->object.id, STREAM_KIND_LOOK, tail, 4 + ID_KEY_LEN);
    if (kv_get(f->txn, key, &value) == OXBOW_ENOENT) {
        return DUE_NEVER;
    }
    at = get_le64(value.data);
    put_be64(tail + 4, at);
    id_to_key(tail + 12, base);
    key.len = object_key(buf, g->stream->object.id, STREAM_KIND_LOOK_AT, tail, sizeof tail);
    assert_ok(kv_get(f->txn, key, &value));
    return at;
}

/* Every pending entry's chunk is looked at when it is due or before. */
static void check(struct streams *f)
{
    struct stream s;
    struct group g;
    struct pending_table t;
    struct pending_walk w;
    struct pending p;
    uint64_t count = 0;

    assert_ok(group_find(f->txn, the_group(), &s, &g));
    assert_int_equal(keys_of(f, &s, STREAM_KIND_LOOK), keys_of(f, &s, STREAM_KIND_LOOK_AT));
    pending_open(&t, &g);
    pending_walk_init(&w, &t, OXBOW_ID_MIN);
    while (pending_walk_next(&w, &p) == OXBOW_OK) {
        struct note note;

        count++;
        assert_ok(note_get(&g, p.id, &note));
        if (id_compare(w.base, g.rules.sweep) < 0) {
            assert_true(look_of(f, &g, w.base) <= due_of(&g, &p, &note));
        }
    }
    assert_int_equal(count, g.pending);
    assert_true(keys_of(f, &s, STREAM_KIND_NOTE) <= g.pending);
    pending_close(&t);
}

static void step(struct streams *f, uint64_t *rng)
{
    struct oxbow_id ids[8];
    struct oxbow_group_nack_options no = {.ids = ids, .count = 8};
    struct oxbow_claim_options claim = {.ids = ids, .count = 8};
    struct oxbow_group_read_options read = {.count = 1 + rig_random(rng) % 90};
    struct oxbow_bytes who = rig_random(rng) % 2 == 0 ? BYTES("bob") : BYTES("eve");
    struct oxbow_group_extend_options more = {
        .ids = ids, .count = 8, .has_consumer = true, .consumer = who};
    size_t i;

    for (i = 0; i < 8; i++) {
        ids[i] = ID(1 + rig_random(rng) % ENTRIES, 0);
    }
    switch (rig_random(rng) % 8) {
    case 0:
        no.how = rig_random(rng) % 2 == 0 ? OXBOW_NACK_DELAY : OXBOW_NACK_RETRY;
        no.delay_ms = rig_random(rng) % 3000;
        assert_ok(oxbow_group_nack(f->txn, the_group(), &no, NULL));
        break;
    case 1:
        claim.force = rig_random(rng) % 2 == 0;
        claim.has_idle = true;
        claim.idle_ms = rig_random(rng) % 3000;
        assert_ok(oxbow_group_claim(f->txn, the_group(), who, &claim, &f->result));
        break;
    case 2:
        more.visible_ms = rig_random(rng) % 3000;
        assert_ok(oxbow_group_extend(f->txn, the_group(), &more, NULL));
        break;
    case 3:
        assert_ok(oxbow_group_ack(f->txn, the_group(), ids, 8, NULL));
        break;
    case 4:
        pass(f, rig_random(rng) % 1500);
        break;
    case 5:
        if (rig_random(rng) % 8 == 0) {
            options(f, &(struct oxbow_group_options){.visibility_ms = rig_random(rng) % 2000,
                                                     .retry_base_ms = rig_random(rng) % 300,
                                                     .retry_jitter_percent = 50});
        }
        break;
    default:
        assert_ok(oxbow_group_read(f->txn, the_group(), who, &read, &f->result));
        break;
    }
}

static void every_chunk_is_looked_at_in_time(void **state)
{
    struct streams *f = *state;
    uint64_t rng = rig_seed("group_due_test");
    struct stream s;
    struct oxbow_id id;
    int i;

    setup(f, &(struct oxbow_group_options){.visibility_ms = 1000}, ENTRIES);
    for (i = 0; i < STEPS; i++) {
        step(f, &rng);
        check(f);
    }
    for (id = ID(1, 0); id.ms <= ENTRIES; id.ms++) {
        assert_ok(oxbow_group_ack(f->txn, the_group(), &id, 1, NULL));
    }
    check(f);
    assert_ok(stream_find(f->txn, BYTES("s"), &s));
    assert_int_equal(keys_of(f, &s, STREAM_KIND_NOTE), 0);
    assert_true(keys_of(f, &s, STREAM_KIND_LOOK) <= 1); /* of the tail, which stays */
}

static void a_destroyed_group_leaves_nothing(void **state)
{
    static const enum stream_kind kinds[] = {STREAM_KIND_GROUP, STREAM_KIND_PENDING,
                                             STREAM_KIND_RULES, STREAM_KIND_NOTE,
                                             STREAM_KIND_LOOK,  STREAM_KIND_LOOK_AT};
    struct streams *f = *state;
    struct stream s;
    size_t i;

    setup(f, &(struct oxbow_group_options){.visibility_ms = 10, .retry_base_ms = 5}, 400);
    assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("bob"), NULL, &f->result));
    nack(f, 7, OXBOW_NACK_DELAY, 5);
    pass(f, 20);
    assert_ok(oxbow_group_read(f->txn, the_group(), BYTES("eve"), NULL, &f->result));
    assert_int_equal(f->result.entry_count, 400);
    assert_ok(stream_find(f->txn, BYTES("s"), &s));
    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        assert_true(keys_of(f, &s, kinds[i]) > 0);
    }
    assert_ok(oxbow_group_destroy(f->txn, the_group(), NULL));
    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        assert_int_equal(keys_of(f, &s, kinds[i]), 0);
    }
}

static void a_look_that_leads_nowhere_is_forgotten(void **state)
{
    struct streams *f = *state;
    struct stream s;
    struct group g;
    uint8_t buf[KV_KEY_MAX];
    uint8_t tail[12 + ID_KEY_LEN];
    struct oxbow_bytes key = {buf, 0};

    setup(f, &(struct oxbow_group_options){.visibility_ms = 1000}, 2);
    take(f, "bob", 0);
    assert_ok(group_find(f->txn, the_group(), &s, &g));
    /* As a salvage may leave it: the time leads to a chunk that is gone, and there is no way back. */
    put_be32(tail, g.number);
    put_be64(tail + 4, 1);
    id_to_key(tail + 12, ID(77, 0));
    key.len = object_key(buf, s.object.id, STREAM_KIND_LOOK_AT, tail, sizeof tail);
    assert_ok(kv_put(f->txn, key, (struct oxbow_bytes){"", 0}));
    assert_int_equal(status(f).due_ms, 0);
    assert_string_equal(take(f, "eve", 0), "");
    assert_int_equal(status(f).due_ms, 1000);
}

static void a_note_is_checked(void **state)
{
    struct streams *f = *state;
    struct stream s;
    struct group g;
    struct note note = {.has_due = true, .due_ms = 5};
    uint8_t buf[KV_KEY_MAX];
    uint8_t tail[4 + ID_KEY_LEN];
    struct oxbow_bytes key = {buf, 0};

    setup(f, &(struct oxbow_group_options){.visibility_ms = 1000}, 2);
    take(f, "bob", 0);
    assert_ok(group_find(f->txn, the_group(), &s, &g));
    assert_ok(note_put(&g, ID(1, 0), &note));
    assert_ok(note_get(&g, ID(1, 0), &note));
    assert_true(note.has_due && !note.has_first && note.due_ms == 5);
    put_be32(tail, g.number);
    id_to_key(tail + 4, ID(1, 0));
    key.len = object_key(buf, s.object.id, STREAM_KIND_NOTE, tail, sizeof tail);
    assert_ok(kv_put(f->txn, key, (struct oxbow_bytes){"\1", 1}));
    assert_err(note_get(&g, ID(1, 0), &note), OXBOW_ECORRUPT);
    note = (struct note){0};
    assert_ok(note_put(&g, ID(1, 0), &note));
    assert_int_equal(keys_of(f, &s, STREAM_KIND_NOTE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
        TEST(every_chunk_is_looked_at_in_time),
        TEST(a_destroyed_group_leaves_nothing),
        TEST(a_look_that_leads_nowhere_is_forgotten),
        TEST(a_note_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
