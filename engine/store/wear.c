/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wear meter's accounts, and what follows from them: bytes a day, the share of the device's
 * endurance, the days left. It counts what others tell it and writes nothing itself.
 *
 * Invariants: (1) life = the header's account at open + what came since. (2) The header's account
 * grows with each checkpoint and never shrinks.
 */
#include "engine/store/wear.h"

#include "engine/store/store.h"

#include <string.h>

#define DAY_MS 86400000u
#define WRITEBACK_US                                                                               \
    5000000u /* systems write back by themselves what is older than that, or longer */

void wear_note(struct oxbow *db, enum wear_cause cause, uint64_t bytes)
{
    db->wear.bytes[cause] += bytes;
}

/* What of it may be on the device. */
static uint64_t ring_bytes(const struct oxbow *db)
{
    uint64_t ring = db->journal.ring.count * db->journal.ring.bytes;

    return db->wear.ring < ring ? db->wear.ring : ring;
}

void wear_ring_synced(struct oxbow *db)
{
    wear_note(db, WEAR_JOURNAL, ring_bytes(db));
    db->wear.ring = 0;
}

void wear_ring(struct oxbow *db, uint64_t bytes)
{
    struct wear *w = &db->wear;
    uint64_t before = w->ring;

    w->ring += bytes;
    if (before == 0) {
        w->ring_us = store_now_us(db);
    } else if (ring_bytes(db) < w->ring && store_now_us(db) - w->ring_us > WRITEBACK_US) {
        wear_ring_synced(db);
    }
}

static uint64_t journal_bytes(const struct oxbow *db)
{
    return db->wear.bytes[WEAR_JOURNAL] + ring_bytes(db);
}

static uint64_t open_ms(const struct oxbow *db)
{
    return db->wear.running ? (store_now_us(db) - db->wear.opened_us) / 1000 : 0;
}

void wear_start(struct oxbow *db)
{
    db->wear.before = tree_header(db->tree)->wear;
    db->wear.running = (db->config.flags & OXBOW_OPEN_READONLY) == 0;
    db->wear.opened_us = store_now_us(db);
}

void wear_save(const struct oxbow *db, struct tree_header *header)
{
    const struct wear *w = &db->wear;

    header->wear.journal = w->before.journal + journal_bytes(db);
    header->wear.other = w->before.other + w->bytes[WEAR_OTHER];
    header->wear.payload = w->before.payload + db->payload_bytes;
    header->wear.open_ms = w->before.open_ms + open_ms(db);
}

uint64_t wear_since_open(const struct oxbow *db)
{
    const struct wear *w = &db->wear;

    return journal_bytes(db) + w->bytes[WEAR_OTHER] + db->usage.written * TREE_PAGE_BYTES;
}

/* a * b / c, c not 0, for results of 64 bits; loses low bits where a product would not fit. */
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t rest = a % c;
    uint64_t whole = a / c;

    if (whole != 0 && b > UINT64_MAX / whole) {
        return UINT64_MAX;
    }
    while (rest != 0 && b > UINT64_MAX / rest) {
        rest >>= 1;
        c >>= 1;
    }
    return whole * b + rest * b / c;
}

static uint64_t sum(const struct oxbow_wear_account *a)
{
    return a->journal_bytes + a->checkpoint_bytes + a->other_bytes;
}

static void derive(struct oxbow_wear *out)
{
    uint64_t bytes = sum(&out->life);

    out->days_left = UINT64_MAX;
    if (out->life.payload_bytes > 0) {
        out->per_payload_milli = scale(bytes, 1000, out->life.payload_bytes);
    }
    if (out->life.open_ms >= OXBOW_WEAR_LEAST_MS) {
        out->per_day_bytes = scale(bytes, DAY_MS, out->life.open_ms);
    }
    if (out->endurance_bytes > 0) {
        out->used_ppm = scale(bytes, 1000000, out->endurance_bytes);
    }
    if (out->endurance_bytes > 0 && out->per_day_bytes > 0) {
        out->days_left =
            bytes < out->endurance_bytes ? (out->endurance_bytes - bytes) / out->per_day_bytes : 0;
    }
}

void oxbow_wear(struct oxbow *db, struct oxbow_wear *out)
{
    const struct wear *w = &db->wear;

    memset(out, 0, sizeof *out);
    store_lock(db);
    out->since_open.journal_bytes = journal_bytes(db);
    out->since_open.checkpoint_bytes = db->usage.written * TREE_PAGE_BYTES;
    out->since_open.other_bytes = w->bytes[WEAR_OTHER];
    out->since_open.payload_bytes = db->payload_bytes;
    out->since_open.open_ms = open_ms(db);
    out->life.journal_bytes = w->before.journal + journal_bytes(db);
    out->life.checkpoint_bytes = db->usage.lifetime * TREE_PAGE_BYTES;
    out->life.other_bytes = w->before.other + w->bytes[WEAR_OTHER];
    out->life.payload_bytes = w->before.payload + db->payload_bytes;
    out->life.open_ms = w->before.open_ms + out->since_open.open_ms;
    out->endurance_bytes = db->config.endurance_bytes;
    store_unlock(db);
    derive(out);
}
