/* SPDX-License-Identifier: Apache-2.0 */
/* Looks on while frames are read. */
#include "tests/crash/branch.h"

#include "tests/crash/wrap.h"

#include <stddef.h>

static uint32_t *bits_out;
static struct {
    bool running;
    uint64_t incarnation, expected;
    struct frame frame; /* the one that was read last */
    uint64_t given;     /* generation of the last that was given; 0: none */
    uint64_t last;      /* LSN and checksum of the last that was whole; 0: none */
    uint32_t crc;
} seen;

const char *branch_name(enum branch b)
{
    static const char *const names[BRANCHES] = {"no-replay", "no-ring", "incomplete", "nothing",
                                                "replayed",  "part",    "segments",   "gap",
                                                "torn",      "stale",   "checkpoint", "damage"};
    return b < BRANCHES ? names[b] : "?";
}

void branch_collect(uint32_t *bits)
{
    bits_out = bits;
    if (bits != NULL)
        *bits = 1u << BRANCH_NO_REPLAY;
}

static void took(enum branch b)
{
    if (bits_out != NULL)
        *bits_out |= 1u << b;
}

void branch_checkpoint(void)
{
    if (seen.running)
        took(BRANCH_CHECKPOINT);
}

bool __wrap_frame_head(const uint8_t raw[FRAME_HEAD_BYTES], struct frame *f)
{
    if (!__real_frame_head(raw, f))
        return false;
    if (seen.running && f->incarnation != seen.incarnation)
        took(BRANCH_STALE);
    seen.frame = *f;
    mutant_head(f);
    return true;
}

void branch_whole(void)
{
    const struct frame *f = &seen.frame;
    if (seen.running && seen.last != 0 && f->before == seen.crc && f->first > seen.last + 1)
        took(BRANCH_GAP);
    seen.last = f->first + f->count - 1;
    seen.crc = f->crc;
}

enum oxbow_err __wrap_frame_take(struct oxbow_bytes *rest, struct oxbow_bytes *effects)
{
    const struct frame *f = &seen.frame;
    if (f->first < seen.expected)
        took(BRANCH_PART);
    if (seen.given != 0 && seen.given != f->generation)
        took(BRANCH_SEGMENTS);
    seen.given = f->generation;
    return __real_frame_take(rest, effects);
}

enum oxbow_err __wrap_replay_run(const struct ring *ring, const struct replay_from *from,
                                 const struct replay_sink *sink, struct replay_report *report)
{
    mutant_replay(from);
    seen.running = true;
    seen.incarnation = from->incarnation;
    seen.expected = from->lsn + 1;
    seen.given = seen.last = 0;
    enum oxbow_err err = __real_replay_run(ring, from, sink, report);
    seen.running = false;
    if (bits_out != NULL)
        *bits_out &= ~(1u << BRANCH_NO_REPLAY);
    if (ring->count == 0)
        took(BRANCH_NO_RING);
    if (ring->missing > 0)
        took(BRANCH_INCOMPLETE);
    took(report->txns == 0 ? BRANCH_NOTHING : BRANCH_REPLAYED);
    if (report->doubt_from != 0)
        took(BRANCH_TORN);
    if (report->lost_from != 0)
        took(BRANCH_DAMAGE);
    return err;
}
