/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the journal back. Frames are followed from the segment that holds the first one needed, by
 * their chain; where the chain breaks before that one, which takes damage to frames that nobody needs
 * any more, it is looked for at every place where a frame may stand. Where the chain ends, the places
 * behind are looked through for frames that know better: one that was made when a missing one was
 * known to be on the device proves damage.
 *
 * Trusts no byte that no checksum covers. Each segment is read at most three times.
 */
#include "engine/store/replay.h"

#include <string.h>

#define WINDOW_BYTES (2u * FRAME_BYTES_MAX)

struct place {
    uint32_t segment;
    uint64_t pos;
};

struct replay {
    const struct ring *ring;
    const struct replay_from *from;
    const struct replay_sink *sink;
    struct replay_report *report;
    uint8_t *window;
    uint32_t window_segment;
    uint64_t window_pos;
    size_t window_len;
    struct frame due;      /* what the head after the chain's end would say */
    uint64_t expected;     /* LSN of the next transaction to be given */
    uint64_t durable;      /* the newest that any frame seen behind the end knows of */
    uint64_t newest;       /* the newest that any such frame holds */
    enum oxbow_err unread; /* why some of it could not be read */
};

/* ---- reading ---- */

/* What is not there, or is given up as unreadable, is zeros: block by block, since a device's bad
 * spot is a small one, and may be read the second time. */
static void fill_window(struct replay *r)
{
    size_t done;

    if (ring_read(r->ring, r->window_segment, r->window_pos, r->window, r->window_len) ==
        OXBOW_OK) {
        return;
    }
    for (done = 0; done < r->window_len; done += RING_BLOCK) {
        size_t len = r->window_len - done < RING_BLOCK ? r->window_len - done : RING_BLOCK;
        enum oxbow_err err;

        memset(r->window + done, 0, len);
        err = ring_read(r->ring, r->window_segment, r->window_pos + done, r->window + done, len);
        /* Before the end of a file that was cut off some of it may have come. */
        if (err != OXBOW_OK && err != OXBOW_ENOENT && !r->ring->unreadable_is_lost) {
            r->unread = err;
        }
    }
}

/* NULL when the segment has no such bytes. */
static const uint8_t *bytes_at(struct replay *r, struct place at, size_t len)
{
    uint64_t left = at.pos < r->ring->bytes ? r->ring->bytes - at.pos : 0;

    if (len > left || len > WINDOW_BYTES) {
        return NULL;
    }
    if (at.segment != r->window_segment || at.pos < r->window_pos ||
        at.pos + len > r->window_pos + r->window_len) {
        r->window_segment = at.segment;
        r->window_pos = at.pos;
        r->window_len = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        fill_window(r);
    }
    return r->window + (at.pos - r->window_pos);
}

/* Whether a head stands there, whatever follows it. */
static bool head_at(struct replay *r, struct place at, struct frame *f)
{
    const uint8_t *raw = bytes_at(r, at, FRAME_HEAD_BYTES);

    return raw != NULL && frame_head(raw, f) && f->length <= FRAME_BYTES_MAX - FRAME_HEAD_BYTES;
}

/* Whether a whole frame stands there. */
static bool whole_at(struct replay *r, struct place at, struct frame *f)
{
    const uint8_t *raw;

    if (!head_at(r, at, f)) {
        return false;
    }
    raw = bytes_at(r, at, FRAME_HEAD_BYTES + (size_t)f->length);
    return raw != NULL && frame_whole(crc32c_of(r->ring->port), raw, f, r->ring->store_id);
}

/* The same, of this incarnation. */
static bool frame_at(struct replay *r, struct place at, struct frame *f)
{
    return head_at(r, at, f) && f->incarnation == r->from->incarnation && whole_at(r, at, f);
}

static uint64_t last_of(const struct frame *f)
{
    return f->first + f->count - 1;
}

/* ---- following the chain ---- */

/* Where a frame may stand behind one that ends there: right there, at the next block, or where the
 * next segment begins. */
static void next_places(const struct replay *r, struct place end, struct place places[3])
{
    places[0] = end;
    places[1] = end;
    places[1].pos = (end.pos + RING_BLOCK - 1) & ~(uint64_t)(RING_BLOCK - 1);
    places[2] = (struct place){(end.segment + 1) % r->ring->count, RING_BLOCK};
}

/* The frame after `f`, which stands at *at. */
static bool chain_next(struct replay *r, struct place *at, struct frame *f)
{
    struct place end = {at->segment, frame_end(at->pos, f->length)};
    struct place places[3];
    struct frame next;
    size_t i;

    next_places(r, end, places);
    for (i = 0; i < 3; i++) {
        if (frame_at(r, places[i], &next) && next.before == f->crc &&
            next.generation == f->generation + (i == 2) && next.first > last_of(f)) {
            *at = places[i];
            *f = next;
            return true;
        }
    }
    *at = end;
    return false;
}

/* Gives what the frame holds from the expected LSN on. */
static enum oxbow_err give(struct replay *r, struct place at, const struct frame *f)
{
    const uint8_t *raw = bytes_at(r, at, FRAME_HEAD_BYTES + (size_t)f->length);
    struct oxbow_bytes rest = {raw + FRAME_HEAD_BYTES, f->length};
    struct oxbow_bytes effects;
    uint32_t i;
    enum oxbow_err err = OXBOW_OK;

    for (i = 0; i < f->count && err == OXBOW_OK; i++) {
        err = frame_take(&rest, &effects);
        if (err == OXBOW_OK && f->first + i == r->expected) {
            err = r->sink->txn(r->sink->ctx, r->expected, effects);
            r->report->txns += err == OXBOW_OK;
            r->expected += err == OXBOW_OK;
        }
    }
    if (err == OXBOW_OK && rest.len > 0) {
        err = OXBOW_EFORMAT;
    }
    r->report->frames++;
    return err;
}

/* From a frame on to the chain's end, *at then being behind the last. *reached: the first frame that
 * is needed was met, or the place right before it. */
static enum oxbow_err follow(struct replay *r, struct place *at, bool *reached)
{
    struct frame f;
    enum oxbow_err err;

    *reached = false;
    if (!frame_at(r, *at, &f)) {
        return OXBOW_OK;
    }
    do {
        if (f.first > r->expected) {
            break; /* what lies between went another way than through the journal */
        }
        *reached = *reached || last_of(&f) + 1 >= r->expected;
        r->due = (struct frame){.generation = f.generation,
                                .incarnation = f.incarnation,
                                .first = last_of(&f) + 1,
                                .before = f.crc};
        if (last_of(&f) >= r->expected) {
            err = give(r, *at, &f);
            if (err != OXBOW_OK) {
                return err;
            }
        }
    } while (chain_next(r, at, &f));
    return OXBOW_OK;
}

/* ---- looking at every place ---- */

/* Looks through a segment for whole frames. True and *at: one holds the expected LSN. */
static bool scan(struct replay *r, uint32_t segment, uint64_t pos, struct place *at)
{
    bool found = false;
    struct frame f;

    while (pos + FRAME_HEAD_BYTES <= r->ring->bytes) {
        struct place here = {segment, pos};

        if (!frame_at(r, here, &f)) {
            pos += FRAME_ALIGN;
            continue;
        }
        if (!found && f.first <= r->expected && last_of(&f) >= r->expected) {
            *at = here;
            found = true;
        }
        if (last_of(&f) >= r->expected) {
            r->durable = f.durable_upto > r->durable ? f.durable_upto : r->durable;
            r->newest = last_of(&f) > r->newest ? last_of(&f) : r->newest;
        }
        pos = frame_end(pos, f.length);
    }
    return found;
}

/* Behind an end at `at` in a segment of that generation: the rest of it, the next one in the ring,
 * which may have lost its first frame, and all that were begun later. */
static bool scan_behind(struct replay *r, struct place at, uint64_t generation, struct place *to)
{
    uint32_t next = (at.segment + 1) % r->ring->count;
    bool found = scan(r, at.segment, at.pos, to);
    struct frame f;
    uint32_t i;

    for (i = 0; i < r->ring->count; i++) {
        struct place first = {i, RING_BLOCK};

        if (i == at.segment) {
            continue;
        }
        if (frame_at(r, first, &f) ? f.generation > generation : i == next) {
            found = scan(r, i, RING_BLOCK, found ? &first : to) || found;
        }
    }
    return found;
}

/* ---- beginning and ending ---- */

/* The newest LSN of frames that a later opening wrote. It counted itself in the tree, durably, before
 * it wrote any: the tree has lost what it was then. */
static uint64_t later_openings(struct replay *r)
{
    uint64_t newest = 0;
    struct place at;
    struct frame f;

    for (at.segment = 0; at.segment < r->ring->count; at.segment++) {
        at.pos = RING_BLOCK;
        while (whole_at(r, at, &f) && f.incarnation > r->from->incarnation) {
            newest = last_of(&f) > newest ? last_of(&f) : newest;
            at.pos = frame_end(at.pos, f.length);
            if (!whole_at(r, at, &f)) {
                at.pos = (at.pos + RING_BLOCK - 1) & ~(uint64_t)(RING_BLOCK - 1);
            }
        }
    }
    return newest;
}

/* The newest segment that begins at or before what is expected. */
static bool find_start(struct replay *r, struct place *at, uint64_t *generation)
{
    struct frame best = {.generation = 0};
    bool found = false;
    struct frame f;
    uint32_t i;

    for (i = 0; i < r->ring->count; i++) {
        struct place first = {i, RING_BLOCK};

        if (frame_at(r, first, &f) && f.first <= r->expected &&
            (!found || f.generation > best.generation)) {
            best = f;
            *at = first;
            found = true;
        }
    }
    *generation = best.generation;
    return found;
}

/* A frame that was begun where the next one was due, and is not whole. What its head says of its
 * length is believed only if it says all else as it ought to. */
static void note_torn(struct replay *r, struct place at)
{
    struct place places[3];
    struct frame f;
    uint32_t i;

    next_places(r, at, places);
    for (i = 0; i < 3; i++) {
        const uint8_t *raw = bytes_at(r, places[i], FRAME_HEAD_BYTES);

        r->due.generation += i == 2;
        if (raw == NULL || !frame_traces(raw, &r->due)) {
            continue;
        }
        if (!head_at(r, places[i], &f) || f.first > r->expected || last_of(&f) < r->expected) {
            f = (struct frame){.first = r->expected, .count = 1};
        }
        r->newest = last_of(&f) > r->newest ? last_of(&f) : r->newest;
    }
}

static void conclude(struct replay *r)
{
    struct replay_report *out = r->report;
    uint64_t later = later_openings(r);

    r->durable = later > r->durable ? later : r->durable;
    out->last = r->expected - 1;
    if (r->durable >= r->expected) {
        out->lost_from = r->expected;
        out->lost_upto = r->durable;
    }
    if (r->newest >= r->expected && r->newest > out->lost_upto) {
        out->doubt_from = out->lost_upto != 0 ? out->lost_upto + 1 : r->expected;
        out->doubt_upto = r->newest;
    }
}

static enum oxbow_err run(struct replay *r)
{
    struct place at = {replay_first_segment(r->ring, r->from->incarnation), RING_BLOCK};
    struct place to;
    uint64_t generation = 0;
    bool reached = false;
    struct frame f;
    enum oxbow_err err = OXBOW_OK;

    if (r->from->closed) {
        conclude(r);
        return r->unread;
    }
    if (find_start(r, &at, &generation)) {
        err = follow(r, &at, &reached);
        if (err == OXBOW_OK && frame_at(r, (struct place){at.segment, RING_BLOCK}, &f)) {
            generation = f.generation;
        }
    }
    if (err == OXBOW_OK && scan_behind(r, at, generation, &to) && !reached) {
        r->durable = r->newest = 0;
        at = to;
        err = follow(r, &at, &reached);
        if (err == OXBOW_OK) {
            (void)scan_behind(r, at, generation, &to);
        }
    }
    if (err == OXBOW_OK) {
        note_torn(r, at);
        conclude(r);
    }
    return err == OXBOW_OK ? r->unread : err;
}

enum oxbow_err replay_run(const struct ring *ring, const struct replay_from *from,
                          const struct replay_sink *sink, struct replay_report *report)
{
    const struct oxbow_alloc *alloc = &ring->port->alloc;
    struct replay r = {
        .ring = ring,
        .from = from,
        .sink = sink,
        .report = report,
        .window_segment = RING_SEGMENTS,
        .due = {.generation = 1, .incarnation = from->incarnation, .first = from->lsn + 1},
        .expected = from->lsn + 1};
    enum oxbow_err err;

    memset(report, 0, sizeof *report);
    report->last = from->lsn;
    if (ring->count == 0) {
        return OXBOW_OK;
    }
    r.window = alloc->resize(alloc->ctx, NULL, 0, WINDOW_BYTES);
    if (r.window == NULL) {
        return OXBOW_ENOMEM;
    }
    err = run(&r);
    mem_free(alloc, r.window, WINDOW_BYTES);
    return err;
}
