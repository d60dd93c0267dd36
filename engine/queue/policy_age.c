/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When an entry was added, by the store's clock, and what is too old.
 *
 * A chunk's header says by boot and uptime when its first entry was added; all others came before
 * the chunk after it was begun. To know what the store's clock showed at an uptime of an earlier
 * boot, the greatest difference between the two in each boot is kept:
 *
 *   KV_SPACE_POLICY 'b' -> le32 count, 0 (4), leapt 8, count x { boot 4, believed 4,
 *                            clock - uptime 8 }
 *
 * The clock leaps when it learns from the wall clock how long the board was off. That time may have
 * passed before boots in which the wall clock was not believed, so theirs is raised by what the clock
 * has leapt since the record was written, back to the last boot that knew the time.
 *
 * 1. An entry is never taken for older than it is: its time is the latest that can be.
 * 2. In a queue with a limit of age the chunk that grows is begun anew after policy_rotate_ms, so an
 *    entry goes at most that much later than it is due.
 * 3. What was appended before the limit was set, to a chunk that grows still, counts from then on.
 */
#include "engine/queue/policy_age.h"

#include "engine/base/codec.h"

#include <string.h>

#define BOOTS_MAX     64u
#define BOOTS_FIXED   16u
#define BOOT_LEN      16u
#define BOOT_BELIEVED 1u
#define BOOT_SLACK    1000u /* ms: readings are taken one after the other */
#define ROTATE_PART   16u
#define ROTATE_LEAST  1000u
#define ROTATE_MOST   60000u

uint64_t policy_rotate_ms(const struct oxbow_policy *p)
{
    uint64_t ms = p->max_age_ms / ROTATE_PART;

    if (p->max_age_ms == 0) {
        return 0;
    }
    return ms < ROTATE_LEAST ? ROTATE_LEAST : ms > ROTATE_MOST ? ROTATE_MOST : ms;
}

/* ---- boots ---- */

/* Takes the record apart; *count 0 when there is none. */
static enum oxbow_err boots_get(struct oxbow_txn *txn, struct oxbow_bytes *value, uint32_t *count)
{
    uint8_t key[POLICY_KEY_MAX];
    enum oxbow_err err = kv_get(txn, policy_key(key, POLICY_KEY_BOOTS, 0), value);

    *count = 0;
    if (err == OXBOW_ENOENT || err == OXBOW_ECORRUPT) {
        return OXBOW_OK; /* then the boots before this one are not known */
    }
    if (err == OXBOW_OK && value->len >= BOOTS_FIXED && get_le32(value->data) <= BOOTS_MAX &&
        value->len == BOOTS_FIXED + get_le32(value->data) * (size_t)BOOT_LEN) {
        *count = get_le32(value->data);
    }
    return err;
}

static const uint8_t *boot_at(struct oxbow_bytes value, uint32_t i)
{
    return (const uint8_t *)value.data + BOOTS_FIXED + i * (size_t)BOOT_LEN;
}

/* What the clock has leapt may have passed before the boots in which nobody knew the time. */
static void raise_unknown(uint8_t *boots, uint32_t count, uint64_t ms)
{
    for (; count > 0 && get_le32(boots + (count - 1) * BOOT_LEN + 4) != BOOT_BELIEVED; count--) {
        uint8_t *ahead = boots + (count - 1) * BOOT_LEN + 8;

        put_le64(ahead, get_le64(ahead) + ms);
    }
}

/* Whether the record has all that is to be said of this boot. */
static bool noted(struct oxbow_bytes value, uint32_t count, struct oxbow_txn *txn, bool believed)
{
    const uint8_t *last = count > 0 ? boot_at(value, count - 1) : NULL;

    return last != NULL && get_le32(last) == (uint32_t)txn_boot(txn) &&
           get_le64((const uint8_t *)value.data + 8) == txn_clock_added_ms(txn) &&
           (get_le32(last + 4) == BOOT_BELIEVED || !believed);
}

enum oxbow_err policy_boot_note(struct oxbow_txn *txn)
{
    uint8_t out[BOOTS_FIXED + BOOTS_MAX * BOOT_LEN] = {0};
    uint8_t *boots = out + BOOTS_FIXED;
    uint64_t leapt = txn_clock_added_ms(txn);
    uint64_t now = txn_clock_ms(txn);
    uint64_t up = txn_uptime_ms(txn);
    uint64_t wall_ms;
    bool believed = txn_wall_believed(txn, &wall_ms);
    uint8_t key[POLICY_KEY_MAX];
    struct oxbow_bytes value;
    uint64_t before;
    uint32_t count;
    uint32_t from;
    enum oxbow_err err = boots_get(txn, &value, &count);

    if (err != OXBOW_OK || noted(value, count, txn, believed)) {
        return err;
    }
    before = count > 0 ? get_le64((const uint8_t *)value.data + 8) : leapt;
    if (count > 0 && get_le32(boot_at(value, count - 1)) == (uint32_t)txn_boot(txn)) {
        believed = believed || get_le32(boot_at(value, count - 1) + 4) == BOOT_BELIEVED;
        count--;
    }
    from = count == BOOTS_MAX ? 1 : 0;
    count -= from;
    if (count > 0) {
        memcpy(boots, boot_at(value, from), count * (size_t)BOOT_LEN);
    }
    raise_unknown(boots, count, leapt > before ? leapt - before : 0);
    put_le32(boots + count * BOOT_LEN, (uint32_t)txn_boot(txn));
    put_le32(boots + count * BOOT_LEN + 4, believed ? BOOT_BELIEVED : 0);
    put_le64(boots + count * BOOT_LEN + 8, (now > up ? now - up : 0) + BOOT_SLACK);
    put_le32(out, count + 1);
    put_le64(out + 8, leapt);
    return kv_put(txn, policy_key(key, POLICY_KEY_BOOTS, 0),
                  (struct oxbow_bytes){out, BOOTS_FIXED + (count + 1) * (size_t)BOOT_LEN});
}

/* What the clock showed at the latest when the chunk was begun, as far as boots are known. */
static enum oxbow_err chunk_ms(struct oxbow_txn *txn, const struct chunk_head *head, uint64_t *ms,
                               bool *known)
{
    uint64_t now = txn_clock_ms(txn);
    uint64_t up = txn_uptime_ms(txn);
    struct oxbow_bytes value;
    uint32_t count;
    uint64_t at = 0;
    enum oxbow_err err = boots_get(txn, &value, &count);

    if (err != OXBOW_OK) {
        return err;
    }
    *known = head->boot == (uint32_t)txn_boot(txn) && up >= head->uptime_ms;
    if (*known) {
        at = now - (up - head->uptime_ms < now ? up - head->uptime_ms : now);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t boot = get_le32(boot_at(value, i));
        uint64_t ahead = get_le64(boot_at(value, i) + 8);

        if (boot >= head->boot) {
            /* Of a boot that is not known it is known that it was over before a later one began. */
            ahead += boot == head->boot ? head->uptime_ms : 0;
            at = ahead > at ? ahead : at;
            *known = true;
            break;
        }
    }
    *ms = *known && at < now ? at : now;
    return OXBOW_OK;
}

enum oxbow_err policy_chunk_ms(struct oxbow_txn *txn, const struct chunk_head *head, uint64_t *ms)
{
    bool known;

    return chunk_ms(txn, head, ms, &known);
}

enum oxbow_err policy_chunk_age(struct oxbow_txn *txn, const struct chunk_head *head, uint64_t *ms)
{
    uint64_t at;
    bool known;
    enum oxbow_err err = chunk_ms(txn, head, &at, &known);

    if (err == OXBOW_OK) {
        *ms = known ? txn_clock_ms(txn) - at : UINT64_MAX;
    }
    return err;
}

/* ---- chunks ---- */

enum oxbow_err policy_since(struct oxbow_txn *txn, uint32_t id, uint64_t *ms)
{
    struct oxbow_bytes state;
    enum oxbow_err err = policy_state_get(txn, id, &state);

    if (err == OXBOW_OK) {
        *ms = get_le64((const uint8_t *)state.data + POLICY_AT_SINCE);
    } else if (err == OXBOW_ENOENT || err == OXBOW_ECORRUPT) {
        *ms = txn_clock_ms(txn); /* lost: then from now on */
        err = OXBOW_OK;
    }
    return err;
}

enum oxbow_err policy_since_set(struct oxbow_txn *txn, uint32_t id)
{
    uint8_t out[8];
    enum oxbow_err err = policy_state_make(txn, id);

    put_le64(out, txn_clock_ms(txn));
    return err == OXBOW_OK
               ? policy_state_patch(txn, id, POLICY_AT_SINCE, (struct oxbow_bytes){out, sizeof out})
               : err;
}

enum oxbow_err policy_span_due(struct oxbow_txn *txn, const struct policy_row *row,
                               const struct policy_span *span, uint64_t *due_ms)
{
    uint64_t next = UINT64_MAX;
    uint64_t since;
    uint64_t last;
    enum oxbow_err err = policy_chunk_ms(txn, &span->head, &last);

    if (err == OXBOW_OK && span->has_next) {
        err = policy_chunk_ms(txn, &span->next, &next);
    }
    if (err == OXBOW_OK) {
        err = policy_since(txn, row->id, &since);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    last += policy_rotate_ms(&row->policy);
    last = since > last ? since : last;
    *due_ms = (next < last ? next : last) + row->policy.max_age_ms;
    return OXBOW_OK;
}

bool policy_stale(struct oxbow_txn *txn, const struct chunk_head *head, uint64_t rotate_ms)
{
    return rotate_ms > 0 && (head->boot != (uint32_t)txn_boot(txn) ||
                             txn_uptime_ms(txn) - head->uptime_ms >= rotate_ms);
}
