/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of streams and of pending entries, as a disk might give them. The first byte chooses. */
#include "engine/queue/group_pending.h"
#include "engine/queue/stream_entry.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void stream_read(struct oxbow_bytes chunk)
{
    struct chunk_walk w;
    struct stream_entry e, again;
    struct field_walk fields;
    struct oxbow_field field;

    if (chunk_walk_init(&w, chunk, (struct oxbow_id){1000, 7}) != OXBOW_OK) {
        return;
    }
    while (chunk_walk_next(&w, &e) == OXBOW_OK) {
        if (chunk_entry_at(&w, e.pos, &again) != OXBOW_OK || again.next != e.next) {
            __builtin_trap();
        }
        if (field_walk_init(&fields, &w, &e) != OXBOW_OK) {
            continue;
        }
        while (field_walk_next(&fields, &field) == OXBOW_OK) {
            if (field.name.len + field.value.len > 2 * chunk.len) {
                __builtin_trap();
            }
        }
    }
}

static void pending_read(struct oxbow_bytes chunk)
{
    struct pending_view v;
    struct pending p;
    size_t i;

    if (pending_view_init(&v, chunk) != OXBOW_OK) {
        return;
    }
    for (i = 0; i < v.count; i++) {
        pending_view_get(&v, i, &p);
        if (pending_view_search(&v, p.id) > v.count) {
            __builtin_trap();
        }
        (void)pending_view_alive(&v, i);
    }
    (void)pending_view_only(&v, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oxbow_bytes chunk = {data + 1, size - 1};

    if (size == 0) {
        return 0;
    }
    if (data[0] % 2 == 0) {
        stream_read(chunk);
    } else {
        pending_read(chunk);
    }
    return 0;
}
