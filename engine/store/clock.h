/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's own clock: milliseconds that only grow, from 1 on, over all openings. What is to
 * happen after a time (an age, a delay, a time to live) is reckoned by it and never by the wall
 * clock, which boards without a battery have wrong until they are told.
 *
 * What counts:
 *   while the store is open      what the port's monotonic clock shows, whatever the wall clock does
 *   between two openings         what the monotonic clock shows at least: its difference, or if it
 *                                has begun anew, what it shows now
 *   and what the wall clock adds once per opening, as soon as it is believed: by how much more it
 *                                went on since it was last believed than this clock did
 * The wall clock is believed when it is set and its reading is neither behind what this clock says
 * must have passed (by more than an hour) nor more than CLOCK_OFF_MAX_MS ahead of it. One that is
 * not believed but runs steadily for a day of one opening is taken for right from then on, and adds
 * nothing. So time without power counts when the wall clock was set before and is set after, and
 * does not count otherwise: this clock may show less than has passed, never more, unless a wall
 * clock that is wrong by less than CLOCK_OFF_MAX_MS is given to it when a store is opened.
 *
 * It is kept with what is written anyway: in the header record of each checkpoint, and in the journal
 * with a commit whenever CLOCK_MARK_MS have passed since the last mark. After a power cut it goes on
 * from the newest mark that is on the device: what it showed after the last durable commit, and up
 * to CLOCK_MARK_MS before that, it shows again. Nothing comes too early by that, and what is due
 * waits longer by at most that much.
 *
 * A wall clock that is believed while it stands behind what must have passed (one that was kept in a
 * file, say) is expected to be right later: what it is behind is not credited when it is put right.
 *
 * T as in store.h.
 */
#ifndef OXBOW_STORE_CLOCK_H
#define OXBOW_STORE_CLOCK_H

#include "engine/store/kv.h"

#define CLOCK_MARK_MS    1000u
#define CLOCK_OFF_MAX_MS (5u * 366u * 86400000ull) /* five years */

/* What is kept. */
struct clock_mark {
    uint64_t clock_ms; /* it showed that */
    uint64_t mono_ms;  /* when the port's monotonic clock showed this; */
    uint64_t wall_ms;  /* the wall clock, when it was last believed; 0: never yet */
    uint64_t wall_at;  /* what this clock showed then */
    uint64_t added_ms; /* how much of it is not the monotonic clock's */
};

struct store_clock {
    struct clock_mark live;   /* T: its first two as of the newest commit, or of open */
    struct clock_mark noted;  /* T: as of then */
    struct clock_mark frozen; /* T: as of the newest commit in the frozen table */
    uint64_t base_ms;         /* T: it shows that and what has passed since base_us */
    uint64_t base_us;
    struct txn_clock_start start;
    uint64_t now_ms;    /* T: what it showed last */
    uint64_t marked_ms; /* T: what the newest mark in the journal says */
    bool read;          /* T: now_ms is this transaction's */
    uint64_t read_us;   /* T: what the port's monotonic clock showed then */
    bool believed;      /* T: the wall clock, in this opening */
    uint64_t behind_ms; /* T: so much must have passed that the wall clock does not know of */
    bool doubted;       /* T: it ran ahead of this clock by doubt_ms, when this showed doubt_at */
    uint64_t doubt_ms;  /* modulo 2^64 */
    uint64_t doubt_at;
};

#define CLOCK_KEY_BYTES 42u

/* Before a replay: what the newest checkpoint says. */
void clock_load(struct oxbow *db, const struct clock_mark *mark);
/* Whether a deletion in the journal is a mark; then it is taken. */
bool clock_replay(struct oxbow *db, struct oxbow_bytes key);
/* After it: the clock goes on. */
void clock_start(struct oxbow *db);
/* What it shows, read once per transaction. With the turn. */
uint64_t clock_now(struct oxbow *db);
/* The port's monotonic clock at that reading, in ms: differences of the two must not grow with what a
 * transaction takes. With the turn. */
uint64_t clock_mono_ms(struct oxbow *db);
/* The wall clock at that reading, if it is believed. With the turn. */
bool clock_wall(struct oxbow *db, uint64_t *wall_ms);
/* What the port's monotonic clock shows when it shows that much: at the latest, since the wall clock
 * may add to it. While that may come, not more than a minute from now. With the turn. */
uint64_t clock_at_us(struct oxbow *db, uint64_t clock_ms);
/* Before a commit that wrote, with the turn: notes what it shows, in the journal's stage too if it is
 * time. */
void clock_note(struct oxbow *db);
/* It shows at least that much from now on. After a salvage that lost it. With the turn. */
void clock_raise(struct oxbow *db, uint64_t ms);

#endif
