/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's own clock: see clock.h for what it counts. Its mark in the journal is a deletion of a
 * key that never exists, so that versions that know no marks replay it and nothing happens:
 *
 *   0                     1     2            10          18          26             34           42
 *   | KV_SPACE_STORE 0x01 | 'c' | clock le64 | mono le64 | wall le64 | wall at le64 | added le64 |
 *
 * Invariants: (1) What it shows never goes back while the store is open, whatever the port's clocks
 * do. (2) The wall clock adds at most once per opening.
 */
#include "engine/store/clock.h"

#include "engine/base/codec.h"
#include "engine/store/store.h"

#define HOUR_MS   3600000u
#define DAY_MS    86400000u
#define SET_MS    2000u  /* a wall clock that goes off by less drifts; else it was set */
#define LOOK_MS   60000u /* the wall clock is looked at so often while it is not believed */
#define CLOCK_MAX ((uint64_t)1 << 62) /* so that sums with what users give do not overflow */

static uint64_t at_most(uint64_t v)
{
    return v < CLOCK_MAX ? v : CLOCK_MAX;
}

static struct clock_mark sane(const struct clock_mark *m)
{
    return (struct clock_mark){at_most(m->clock_ms), at_most(m->mono_ms), at_most(m->wall_ms),
                               at_most(m->wall_at), at_most(m->added_ms)};
}

void clock_load(struct oxbow *db, const struct clock_mark *mark)
{
    db->clock.noted = sane(mark);
    db->clock.live = db->clock.noted;
}

bool clock_replay(struct oxbow *db, struct oxbow_bytes key)
{
    const uint8_t *p = key.data;
    struct clock_mark m;

    if (key.len != CLOCK_KEY_BYTES || p[0] != KV_SPACE_STORE || p[1] != 'c') {
        return false;
    }
    m = (struct clock_mark){get_le64(p + 2), get_le64(p + 10), get_le64(p + 18), get_le64(p + 26),
                            get_le64(p + 34)};
    if (m.clock_ms >= db->clock.noted.clock_ms) {
        clock_load(db, &m);
    }
    return true;
}

void clock_start(struct oxbow *db)
{
    struct store_clock *c = &db->clock;
    uint64_t mono_ms;

    c->base_us = store_now_us(db);
    mono_ms = c->base_us / 1000;
    c->base_ms = at_most(c->noted.clock_ms +
                         (mono_ms >= c->noted.mono_ms ? mono_ms - c->noted.mono_ms : mono_ms));
    c->base_ms = c->base_ms > 0 ? c->base_ms : 1;
    c->now_ms = c->base_ms;
    c->start = (struct txn_clock_start){c->base_ms - c->live.added_ms, mono_ms, c->live.wall_ms,
                                        c->live.wall_at - c->live.added_ms,
                                        (db->config.flags & OXBOW_OPEN_READONLY) == 0};
    clock_note(db);
}

/* ---- the wall clock ---- */

/* It is behind what must have passed, or too far ahead. If it stays so for a day, it is right and
 * what it said before was not. */
static void doubt(struct store_clock *c, uint64_t wall)
{
    uint64_t ahead = wall - c->now_ms;

    if (!c->doubted || ahead - c->doubt_ms + HOUR_MS > 2u * HOUR_MS) {
        c->doubted = true;
        c->doubt_ms = ahead;
        c->doubt_at = c->now_ms;
    } else if (c->now_ms - c->doubt_at >= DAY_MS) {
        c->live.wall_ms = wall;
        c->live.wall_at = c->now_ms;
        c->behind_ms = 0;
        c->believed = true;
    }
}

/* Looks at the wall clock, which is set: it was not believed in this opening yet. */
static void judge(struct store_clock *c, uint64_t wall)
{
    uint64_t expected = c->live.wall_ms + (c->now_ms - c->live.wall_at);
    uint64_t off = wall > expected ? wall - expected : 0;

    if (c->live.wall_ms != 0 && (off > CLOCK_OFF_MAX_MS || wall + HOUR_MS < expected)) {
        doubt(c, wall);
        return;
    }
    if (c->live.wall_ms != 0) {
        c->base_ms += off;
        c->now_ms += off;
        c->live.added_ms += off;
        c->behind_ms = wall < expected ? expected - wall : 0;
    }
    c->live.wall_ms = wall + c->behind_ms;
    c->live.wall_at = c->now_ms;
    c->believed = true;
}

/* While the store is open the wall clock adds nothing; but where it stands is where it is expected
 * to go on from, unless it has jumped too far. One that was behind is until it is set. */
static void follow(struct store_clock *c, uint64_t wall)
{
    uint64_t expected = c->live.wall_ms + (c->now_ms - c->live.wall_at);
    uint64_t off;

    if (c->behind_ms > 0 && wall + c->behind_ms - expected + SET_MS > 2u * (uint64_t)SET_MS) {
        c->behind_ms = 0;
    }
    off = wall > expected ? wall - expected : expected - wall;
    if (off > CLOCK_OFF_MAX_MS) {
        doubt(c, wall);
        return;
    }
    c->doubted = false;
    c->live.wall_ms = wall + c->behind_ms;
    c->live.wall_at = c->now_ms;
}

static void look_at_wall(struct oxbow *db)
{
    const struct oxbow_clock *port = &db->port->clock;
    struct store_clock *c = &db->clock;
    uint64_t wall = port->wall_is_set(port->ctx) ? at_most(port->wall_ms(port->ctx)) : 0;

    if (wall == 0) {
        return;
    }
    if (c->believed) {
        follow(c, wall);
    } else {
        judge(c, wall);
    }
}

/* ---- reading and noting ---- */

uint64_t clock_now(struct oxbow *db)
{
    struct store_clock *c = &db->clock;
    uint64_t now_us;
    uint64_t now;

    if (c->read) {
        return c->now_ms;
    }
    now_us = store_now_us(db);
    c->read_us = now_us;
    now = at_most(c->base_ms + (now_us > c->base_us ? (now_us - c->base_us) / 1000 : 0));
    c->now_ms = now > c->now_ms ? now : c->now_ms;
    if (!c->believed) {
        look_at_wall(db);
    }
    c->read = true;
    return c->now_ms;
}

uint64_t clock_mono_ms(struct oxbow *db)
{
    (void)clock_now(db);
    return db->clock.read_us / 1000;
}

bool clock_wall(struct oxbow *db, uint64_t *wall_ms)
{
    const struct oxbow_clock *port = &db->port->clock;
    struct store_clock *c = &db->clock;
    uint64_t now = clock_now(db);
    uint64_t wall = port->wall_is_set(port->ctx) ? at_most(port->wall_ms(port->ctx)) : 0;
    uint64_t now_us = store_now_us(db);
    uint64_t since = now_us > c->read_us ? (now_us - c->read_us) / 1000 : 0;
    uint64_t ahead;

    wall = wall > since ? wall - since : 0;
    ahead = wall - (c->live.wall_ms + (now - c->live.wall_at));

    if (!c->believed || wall == 0 || ahead + CLOCK_OFF_MAX_MS > 2 * CLOCK_OFF_MAX_MS) {
        return false;
    }
    *wall_ms = wall;
    return true;
}

uint64_t clock_at_us(struct oxbow *db, uint64_t clock_ms)
{
    struct store_clock *c = &db->clock;
    uint64_t now = clock_now(db);
    uint64_t left = clock_ms > now ? at_most(clock_ms) - now : 0;

    if (!c->believed && left > LOOK_MS) {
        left = LOOK_MS;
    }
    left = left < UINT64_MAX / 4000 ? left : UINT64_MAX / 4000;
    return store_now_us(db) + left * 1000;
}

void clock_note(struct oxbow *db)
{
    struct store_clock *c = &db->clock;
    struct journal *j = &db->journal;
    uint8_t key[CLOCK_KEY_BYTES] = {KV_SPACE_STORE, 'c'};
    const struct effect mark = {EFFECT_DEL, {key, sizeof key}, 0, {NULL, 0}};

    c->read = false; /* the transaction may have taken long: all clocks are read together */
    (void)clock_now(db);
    if (c->now_ms - c->marked_ms >= CLOCK_MARK_MS) {
        look_at_wall(db);
    }
    c->live.clock_ms = c->now_ms;
    c->live.mono_ms = store_now_us(db) / 1000;
    c->noted = c->live;
    if (c->now_ms - c->marked_ms < CLOCK_MARK_MS) {
        return;
    }
    if (!j->on) {
        c->marked_ms = c->now_ms; /* each checkpoint has it */
    }
    if (!j->on || j->long_txn) {
        return;
    }
    put_le64(key + 2, c->noted.clock_ms);
    put_le64(key + 10, c->noted.mono_ms);
    put_le64(key + 18, c->noted.wall_ms);
    put_le64(key + 26, c->noted.wall_at);
    put_le64(key + 34, c->noted.added_ms);
    if (effect_put(&j->stage, &mark) == OXBOW_OK) { /* no room: the next one has it */
        c->marked_ms = c->now_ms;
    }
}

void clock_raise(struct oxbow *db, uint64_t ms)
{
    struct store_clock *c = &db->clock;
    uint64_t now = clock_now(db);

    ms = at_most(ms);
    if (ms > now) {
        c->base_ms += ms - now;
        c->now_ms = ms;
        c->live.added_ms += ms - now;
        c->live.wall_at = c->live.wall_ms != 0 ? c->live.wall_at + (ms - now) : 0;
    }
}
