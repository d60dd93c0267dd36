/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a journal back: a prefix of what was written, never a hole, never an earlier life, and
 * damage to what was known to be durable is told. Frames are laid down here byte by byte. */
#include "engine/store/replay.h"
#include "tests/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/stat.h>

#define STORE 99u
#define BOOT  5u

static char dir[SCRATCH_MAX];
static struct ring ring;

/* Where the next frame goes, and what it says. */
struct pen {
    uint32_t segment;
    uint64_t pos;
    struct frame f;
};

static struct pen pen;

static int setup(void **state)
{
    (void)state;
    scratch_name(dir, "replay");
    scratch_remove(dir);
    if (mkdir(dir, 0700) != 0) {
        return -1;
    }
    ring_init(&ring, oxbow_port_default(), dir, STORE);
    pen = (struct pen){.pos = RING_BLOCK, .f = {.generation = 1, .incarnation = BOOT, .first = 1}};
    if (ring_make(&ring, 3, RING_BYTES_MIN) != OXBOW_OK) {
        return -1;
    }
    pen.segment = replay_first_segment(&ring, BOOT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ring_close(&ring);
    scratch_remove(dir);
    return 0;
}

/* Adds a frame of `count` transactions, each of one put of its own LSN; true: padded to a block.
 * Returns where it stands. */
static uint64_t add(uint32_t count, bool pad)
{
    uint64_t at = pen.pos;
    struct buf one;
    struct buf b;

    buf_init(&b, &oxbow_port_default()->alloc, FRAME_BYTES_MAX);
    buf_init(&one, &oxbow_port_default()->alloc, 4096);
    assert_int_equal(buf_reserve(&b, FRAME_HEAD_BYTES), OXBOW_OK);
    b.len = FRAME_HEAD_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t lsn = pen.f.first + i;
        struct effect e = {EFFECT_PUT, {"k", 1}, 0, {&lsn, sizeof lsn}};

        one.len = 0;
        assert_int_equal(effect_put(&one, &e), OXBOW_OK);
        assert_int_equal(frame_add(&b, (struct oxbow_bytes){one.data, one.len}), OXBOW_OK);
    }
    pen.f.count = count;
    pen.f.length = (uint32_t)(b.len - FRAME_HEAD_BYTES);
    frame_seal(crc32c, b.data, &pen.f, STORE);
    assert_int_equal(ring_write(&ring, pen.segment, pen.pos, b.data, b.len), OXBOW_OK);
    pen.pos = frame_end(pen.pos, pen.f.length);
    if (pad) {
        pen.pos = (pen.pos + RING_BLOCK - 1) & ~(uint64_t)(RING_BLOCK - 1);
    }
    pen.f.before = pen.f.crc;
    pen.f.first += count;
    buf_fini(&one);
    buf_fini(&b);
    return at;
}

/* A frame after a sync of all before it. */
static uint64_t add_synced(uint32_t count)
{
    pen.f.durable_upto = pen.f.first - 1;
    return add(count, true);
}

static void next_segment(void)
{
    pen.segment = (pen.segment + 1) % ring.count;
    pen.pos = RING_BLOCK;
    pen.f.generation++;
}

static void spoil(uint32_t segment, uint64_t pos)
{
    uint8_t byte;

    assert_int_equal(ring_read(&ring, segment, pos, &byte, 1), OXBOW_OK);
    byte ^= 0x10;
    assert_int_equal(ring_write(&ring, segment, pos, &byte, 1), OXBOW_OK);
}

/* Each transaction once and in order. */
static enum oxbow_err take(void *ctx, uint64_t lsn, struct oxbow_bytes effects)
{
    uint64_t *last = ctx;
    struct effect e;
    uint64_t said;

    assert_int_equal(effect_take(&effects, &e), OXBOW_OK);
    assert_int_equal(effects.len, 0);
    memcpy(&said, e.bytes.data, sizeof said);
    assert_int_equal(said, lsn);
    assert_int_equal(lsn, *last + 1);
    *last = lsn;
    return OXBOW_OK;
}

static struct replay_report run(uint64_t lsn, uint64_t upto)
{
    struct replay_from from = {lsn, BOOT, false};
    uint64_t last = lsn;
    struct replay_sink sink = {&last, take};
    struct replay_report report;

    assert_int_equal(replay_run(&ring, &from, &sink, &report), OXBOW_OK);
    assert_int_equal(last, upto);
    assert_int_equal(report.last, upto);
    assert_int_equal(report.txns, upto - lsn);
    return report;
}

static void expect_lost(struct replay_report r, uint64_t from, uint64_t upto)
{
    assert_int_equal(r.lost_from, from);
    assert_int_equal(r.lost_upto, upto);
}

static void an_empty_ring_gives_nothing(void **state)
{
    struct replay_report r = run(0, 0);

    (void)state;
    expect_lost(r, 0, 0);
    assert_int_equal(r.doubt_from, 0);
}

static void all_frames_are_given_in_order_across_segments(void **state)
{
    struct replay_report r;

    (void)state;
    add(3, false);
    add(1, false);
    add_synced(2);
    add(5, false);
    next_segment();
    add_synced(4);
    next_segment();
    add(1, true);
    r = run(0, 16);
    expect_lost(r, 0, 0);
    assert_int_equal(r.doubt_from, 0);
    assert_int_equal(r.frames, 6);
}

static void what_the_checkpoint_holds_is_not_given_again(void **state)
{
    (void)state;
    add(3, false);
    add_synced(5);
    next_segment();
    add_synced(4);
    for (uint64_t lsn = 0; lsn <= 12; lsn++) {
        expect_lost(run(lsn, 12), 0, 0);
    }
}

/* The hole that a lost frame leaves in front of frames that are whole: nothing behind it is taken,
 * and since none of them knew it to be durable, nothing acknowledged was lost. */
static void nothing_behind_a_hole_is_given(void **state)
{
    uint64_t at;
    struct replay_report r;

    (void)state;
    add_synced(2);
    at = add(2, true);
    add(2, true);
    spoil(pen.segment, at + FRAME_HEAD_BYTES + 3);
    r = run(0, 2);
    expect_lost(r, 0, 0);
    assert_int_equal(r.doubt_from, 3);
    assert_int_equal(r.doubt_upto, 6);
}

static void damage_to_what_was_known_to_be_durable_is_told(void **state)
{
    uint64_t at;

    (void)state;
    add_synced(2);
    at = add_synced(2);
    add_synced(2);
    next_segment();
    add_synced(1);
    for (uint64_t i = 0; i < FRAME_HEAD_BYTES + 20; i++) {
        spoil(BOOT % 3, at + i);
        expect_lost(run(0, 2), 3, 6);
        spoil(BOOT % 3, at + i);
    }
    expect_lost(run(0, 7), 0, 0);
}

static void a_destroyed_first_frame_of_the_newest_segment_is_told(void **state)
{
    uint64_t at;
    struct replay_report r;

    (void)state;
    add_synced(2);
    next_segment();
    at = add_synced(2);
    add_synced(2);
    spoil(pen.segment, at);
    r = run(0, 2);
    expect_lost(r, 3, 4);
    assert_int_equal(r.doubt_from, 5);
    assert_int_equal(r.doubt_upto, 6);
}

static void a_torn_last_frame_is_told_as_in_doubt(void **state)
{
    uint64_t at;
    struct replay_report r;

    (void)state;
    add_synced(2);
    at = add_synced(3);
    spoil(pen.segment, at + FRAME_HEAD_BYTES + 8);
    r = run(0, 2);
    expect_lost(r, 0, 0);
    assert_int_equal(r.doubt_from, 3);
    assert_int_equal(r.doubt_upto, 5);
}

/* T2: a tail of an earlier life, whole and of fitting LSNs, does not rise from the dead. */
static void frames_of_an_earlier_incarnation_are_never_given(void **state)
{
    (void)state;
    add_synced(2);
    pen.f.incarnation = BOOT - 1;
    add_synced(2);
    run(0, 2);
}

/* The same within one incarnation: what a segment held before it was begun anew. */
static void what_a_segment_held_before_is_never_given(void **state)
{
    struct pen old;

    (void)state;
    add_synced(1);
    old = pen;
    add_synced(1);
    add_synced(1);
    next_segment();
    next_segment();
    next_segment();
    pen.f.first = 2;
    pen.f.before = old.f.before;
    add_synced(1); /* over the first of them, with LSN 2, in front of an old 2 and 3 */
    assert_int_equal(pen.pos, old.pos);
    run(1, 2);
}

static void damage_to_frames_that_nobody_needs_does_no_harm(void **state)
{
    uint64_t at;

    (void)state;
    at = add_synced(2);
    add_synced(2);
    add_synced(2);
    spoil(pen.segment, at + 30);
    expect_lost(run(2, 6), 0, 0);
    expect_lost(run(4, 6), 0, 0);
    expect_lost(run(3, 6), 0, 0);
    expect_lost(run(0, 0), 1, 4);
}

/* A transaction that went into the tree by itself leaves a gap in front of the next frame. */
static void frames_behind_a_gap_wait_for_the_tree(void **state)
{
    struct replay_report r;

    (void)state;
    add_synced(2);
    pen.f.first = 4;
    add(2, true);
    r = run(0, 2);
    expect_lost(r, 0, 0);
    run(3, 5);
}

static void a_segment_that_is_missing_is_told(void **state)
{
    char path[2 * SCRATCH_MAX];
    uint32_t second;

    (void)state;
    add_synced(2);
    next_segment();
    second = pen.segment;
    add_synced(2);
    next_segment();
    add_synced(2);
    (void)snprintf(path, sizeof path, "%s/journal.%u", dir, (unsigned)second);
    ring_close(&ring);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ring_open(&ring, true), OXBOW_OK);
    expect_lost(run(0, 2), 3, 4);
}

/* A later opening wrote frames: it had counted itself in the tree before, so the tree is not what it
 * was. */
static void frames_of_a_later_opening_prove_that_the_tree_lost_something(void **state)
{
    uint64_t last = 2;
    struct replay_sink sink = {&last, take};
    struct replay_report report;
    struct replay_from from;

    (void)state;
    add_synced(2);
    pen.f.incarnation = BOOT + 1;
    pen.f.generation = 1;
    pen.f.first = 1000;
    pen.segment = replay_first_segment(&ring, BOOT + 1);
    pen.pos = RING_BLOCK;
    add_synced(2);
    add_synced(3);
    expect_lost(run(0, 2), 3, 1004);
    from = (struct replay_from){2, BOOT, true};
    assert_int_equal(replay_run(&ring, &from, &sink, &report), OXBOW_OK);
    assert_int_equal(report.txns, 0);
    expect_lost(report, 3, 1004);
}

static enum oxbow_err refuse(void *ctx, uint64_t lsn, struct oxbow_bytes effects)
{
    (void)ctx;
    (void)effects;
    return lsn == 2 ? OXBOW_ENOSPC : OXBOW_OK;
}

static void the_sinks_error_ends_it(void **state)
{
    struct replay_from from = {0, BOOT, false};
    struct replay_sink sink = {NULL, refuse};
    struct replay_report report;

    (void)state;
    add_synced(3);
    assert_int_equal(replay_run(&ring, &from, &sink, &report), OXBOW_ENOSPC);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Whatever byte of it was hit: what was acknowledged last is not passed over in silence. */
static void damage_anywhere_in_the_last_frame_is_told(void **state)
{
    uint32_t length;
    uint32_t segment;
    uint64_t at;

    (void)state;
    (void)add_synced(2);
    for (unsigned where = 0; where < 2; where++) { /* in this segment, and first in the next */
        if (where == 1) {
            (void)add_synced(1);
            next_segment();
        }
        segment = pen.segment;
        at = add_synced(2);
        length = FRAME_HEAD_BYTES + pen.f.length;
        for (uint64_t pos = at; pos < at + length; pos++) {
            struct replay_report r;

            spoil(segment, pos);
            r = run(0, where == 0 ? 2 : 5);
            assert_int_equal(r.doubt_from, where == 0 ? 3 : 6);
            spoil(segment, pos);
        }
    }
}

static void the_first_frame_of_an_earlier_opening_is_no_torn_one(void **state)
{
    struct replay_report r;

    (void)state;
    pen.f.incarnation = BOOT - ring.count; /* began where this one does */
    (void)add_synced(2);
    r = run(1000, 1000);
    assert_int_equal(r.doubt_from, 0);
    assert_int_equal(r.lost_from, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_empty_ring_gives_nothing),
        T(all_frames_are_given_in_order_across_segments),
        T(what_the_checkpoint_holds_is_not_given_again),
        T(nothing_behind_a_hole_is_given),
        T(damage_to_what_was_known_to_be_durable_is_told),
        T(a_destroyed_first_frame_of_the_newest_segment_is_told),
        T(a_torn_last_frame_is_told_as_in_doubt),
        T(damage_anywhere_in_the_last_frame_is_told),
        T(the_first_frame_of_an_earlier_opening_is_no_torn_one),
        T(frames_of_an_earlier_incarnation_are_never_given),
        T(what_a_segment_held_before_is_never_given),
        T(damage_to_frames_that_nobody_needs_does_no_harm),
        T(frames_behind_a_gap_wait_for_the_tree),
        T(a_segment_that_is_missing_is_told),
        T(frames_of_a_later_opening_prove_that_the_tree_lost_something),
        T(the_sinks_error_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
