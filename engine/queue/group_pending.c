/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodes and decodes chunks of pending entries (drawn in group_pending.h).
 *
 * No byte outside of the given buffers is read, whatever they hold: a chunk's record count follows
 * from its length alone.
 */
#include "engine/queue/group_pending.h"

#include "engine/base/codec.h"

#include <string.h>

#define FORMAT     1u
#define AT_OLDEST  2u
#define AT_MASK    8u
#define AGE_MAX_MS (((uint64_t)1 << 48) - 1)

static void put_le48(uint8_t *p, uint64_t v)
{
    put_le32(p, (uint32_t)v);
    put_le16(p + 4, (uint16_t)(v >> 32));
}

static uint64_t get_le48(const uint8_t *p)
{
    return get_le32(p) | (uint64_t)get_le16(p + 4) << 32;
}

enum oxbow_err pending_view_init(struct pending_view *v, struct oxbow_bytes chunk)
{
    const uint8_t *p = chunk.data;

    if (chunk.len < PENDING_HEADER || chunk.len > PENDING_CHUNK_BYTES ||
        (chunk.len - PENDING_HEADER) % PENDING_RECORD != 0 || p[0] != FORMAT) {
        return OXBOW_ECORRUPT;
    }
    *v = (struct pending_view){p, (chunk.len - PENDING_HEADER) / PENDING_RECORD};
    return OXBOW_OK;
}

bool pending_view_alive(const struct pending_view *v, size_t idx)
{
    return (v->data[PENDING_AT_ALIVE + idx / 8] >> (idx % 8) & 1u) != 0;
}

bool pending_view_only(const struct pending_view *v, size_t idx)
{
    uint8_t alive[16];
    size_t i;

    memcpy(alive, v->data + PENDING_AT_ALIVE, sizeof alive);
    if (idx < v->count) {
        alive[idx / 8] &= (uint8_t) ~(1u << (idx % 8));
    }
    for (i = 0; i < sizeof alive; i++) {
        if (alive[i] != 0) {
            return false;
        }
    }
    return true;
}

static const uint8_t *record_at(const struct pending_view *v, size_t idx)
{
    return v->data + PENDING_HEADER + idx * PENDING_RECORD;
}

struct oxbow_id pending_view_id(const struct pending_view *v, size_t idx)
{
    const uint8_t *p = record_at(v, idx);

    return (struct oxbow_id){get_le64(p), get_le64(p + 8)};
}

void pending_view_get(const struct pending_view *v, size_t idx, struct pending *out)
{
    const uint8_t *p = record_at(v, idx);

    *out = (struct pending){.id = pending_view_id(v, idx),
                            .consumer = get_le32(p + 16),
                            .age_ms = get_le48(p + 20),
                            .deliveries = get_le48(p + 26)};
}

size_t pending_view_search(const struct pending_view *v, struct oxbow_id id)
{
    size_t low = 0;
    size_t high = v->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (id_compare(pending_view_id(v, mid), id) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

uint64_t pending_view_oldest(const struct pending_view *v)
{
    return get_le48(v->data + AT_OLDEST);
}

uint64_t pending_view_mask(const struct pending_view *v)
{
    return get_le64(v->data + AT_MASK);
}

void pending_header_put(uint8_t out[PENDING_HEADER], const struct pending_view *old)
{
    if (old != NULL) {
        memcpy(out, old->data, PENDING_HEADER);
        return;
    }
    memset(out, 0, PENDING_HEADER);
    out[0] = FORMAT;
    put_le48(out + AT_OLDEST, AGE_MAX_MS);
}

void pending_header_add(uint8_t header[PENDING_HEADER], size_t idx, const struct pending *p)
{
    if (p->age_ms < get_le48(header + AT_OLDEST)) {
        put_le48(header + AT_OLDEST, p->age_ms);
    }
    put_le64(header + AT_MASK, get_le64(header + AT_MASK) | (uint64_t)1 << (p->consumer % 64));
    header[PENDING_AT_ALIVE + idx / 8] |= (uint8_t)(1u << (idx % 8));
}

void pending_record_put(uint8_t out[PENDING_RECORD], const struct pending *p)
{
    put_le64(out, p->id.ms);
    put_le64(out + 8, p->id.seq);
    put_le32(out + 16, p->consumer);
    put_le48(out + 20, p->age_ms > AGE_MAX_MS ? AGE_MAX_MS : p->age_ms);
    put_le48(out + 26,
             p->deliveries > PENDING_DELIVERIES_MAX ? PENDING_DELIVERIES_MAX : p->deliveries);
}
