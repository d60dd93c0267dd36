/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results: buffers of payload bytes, items, scores, fields, entries and times. While a fill runs the
 * memory may move, so items and fields hold positions in the payload and entries hold counts; finish
 * turns them into pointers, in place.
 *
 * 1. The reader's pointers and counts are set by finish alone and zeroed by begin.
 * 2. A failed call adds nothing, not even a half of a field.
 * 3. Memory that a much larger fill left behind is given back by the next begin.
 */
#include "engine/base/result.h"

#include "engine/base/buf.h"
#include "oxbow/time.h"

#include <string.h>

/* Memory is kept between fills up to this, or as long as a quarter of it is used. */
#define RESULT_KEEP_BYTES ((size_t)256 * 1024)

/* Positions while filling, pointers afterwards. */
union slot {
    struct {
        size_t pos;
        size_t len;
    } at;
    struct oxbow_bytes bytes;
};
_Static_assert(sizeof(union slot) == sizeof(struct oxbow_bytes), "finish works in place");
_Static_assert(sizeof(struct oxbow_field) == 2 * sizeof(union slot), "a field is two slots");

struct oxbow_result_memory {
    struct oxbow_alloc alloc;
    struct buf payload;
    struct buf items;   /* union slot */
    struct buf fields;  /* union slot, two each: name, value */
    struct buf entries; /* struct oxbow_entry, `fields` unset */
    struct buf times;   /* struct oxbow_true_time */
    struct buf scores;  /* double */
};

static void buf_restart(struct buf *b, size_t len_max)
{
    if (b->cap > RESULT_KEEP_BYTES && b->len < b->cap / 4) {
        buf_fini(b);
    }
    b->len = 0;
    b->len_max = len_max;
}

enum oxbow_err result_begin(struct oxbow_result *r, const struct oxbow_alloc *alloc,
                            size_t bytes_max)
{
    struct oxbow_result_memory *m = r->memory;

    if (m == NULL) {
        m = mem_new(alloc, sizeof *m);
        if (m == NULL) {
            return OXBOW_ENOMEM;
        }
        m->alloc = *alloc;
        buf_init(&m->payload, &m->alloc, bytes_max);
        buf_init(&m->items, &m->alloc, SIZE_MAX);
        buf_init(&m->fields, &m->alloc, SIZE_MAX);
        buf_init(&m->entries, &m->alloc, SIZE_MAX);
        buf_init(&m->times, &m->alloc, SIZE_MAX);
        buf_init(&m->scores, &m->alloc, SIZE_MAX);
    }
    buf_restart(&m->payload, bytes_max);
    buf_restart(&m->items, SIZE_MAX);
    buf_restart(&m->fields, SIZE_MAX);
    buf_restart(&m->entries, SIZE_MAX);
    buf_restart(&m->times, SIZE_MAX);
    buf_restart(&m->scores, SIZE_MAX);
    *r = (struct oxbow_result){.memory = m};
    return OXBOW_OK;
}

void oxbow_result_fini(struct oxbow_result *result)
{
    struct oxbow_result_memory *m = result != NULL ? result->memory : NULL;
    struct oxbow_alloc alloc;

    if (m == NULL) {
        return;
    }
    buf_fini(&m->payload);
    buf_fini(&m->items);
    buf_fini(&m->fields);
    buf_fini(&m->entries);
    buf_fini(&m->times);
    buf_fini(&m->scores);
    alloc = m->alloc;
    mem_free(&alloc, m, sizeof *m);
    *result = (struct oxbow_result){0};
}

/* Adds len bytes to the payload, and a slot for them. */
static enum oxbow_err slot_add(struct oxbow_result_memory *m, struct buf *slots, size_t len,
                               uint8_t **space)
{
    union slot slot = {.at = {.pos = m->payload.len, .len = len}};
    enum oxbow_err err = buf_reserve(&m->payload, len);

    if (err == OXBOW_OK) {
        err = buf_append(slots, &slot, sizeof slot);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    *space = m->payload.data != NULL ? m->payload.data + m->payload.len : NULL;
    m->payload.len += len;
    return OXBOW_OK;
}

static void bytes_copy(uint8_t *space, struct oxbow_bytes bytes)
{
    if (space != NULL && bytes.len > 0) {
        memcpy(space, bytes.data, bytes.len);
    }
}

enum oxbow_err result_item_space(struct oxbow_result *r, size_t len, uint8_t **space)
{
    return slot_add(r->memory, &r->memory->items, len, space);
}

enum oxbow_err result_item(struct oxbow_result *r, struct oxbow_bytes item)
{
    uint8_t *space;
    enum oxbow_err err = result_item_space(r, item.len, &space);

    if (err == OXBOW_OK) {
        bytes_copy(space, item);
    }
    return err;
}

enum oxbow_err result_score(struct oxbow_result *r, double score)
{
    return buf_append(&r->memory->scores, &score, sizeof score);
}

enum oxbow_err result_entry(struct oxbow_result *r, struct oxbow_id id, uint32_t priority)
{
    struct oxbow_entry entry = {.id = id, .priority = priority};

    return buf_append(&r->memory->entries, &entry, sizeof entry);
}

void result_entry_was(struct oxbow_result *r, uint64_t idle_ms, uint64_t deliveries)
{
    struct buf *entries = &r->memory->entries;
    struct oxbow_entry *entry = (void *)(entries->data + entries->len - sizeof *entry);

    entry->idle_ms = idle_ms;
    entry->deliveries = deliveries;
}

enum oxbow_err result_entry_deleted(struct oxbow_result *r, struct oxbow_id id)
{
    struct oxbow_entry entry = {.id = id, .deleted = 1};

    return buf_append(&r->memory->entries, &entry, sizeof entry);
}

enum oxbow_err result_field_space(struct oxbow_result *r, struct oxbow_bytes name, size_t len,
                                  uint8_t **space)
{
    struct oxbow_result_memory *m = r->memory;
    struct oxbow_entry *entry = (void *)(m->entries.data + m->entries.len - sizeof *entry);
    size_t payload_len = m->payload.len;
    size_t fields_len = m->fields.len;
    uint8_t *name_space;
    enum oxbow_err err = slot_add(m, &m->fields, name.len, &name_space);

    if (err == OXBOW_OK) {
        bytes_copy(name_space, name);
        err = slot_add(m, &m->fields, len, space);
    }
    if (err != OXBOW_OK) {
        m->payload.len = payload_len;
        m->fields.len = fields_len;
        return err;
    }
    entry->field_count++;
    return OXBOW_OK;
}

enum oxbow_err result_field(struct oxbow_result *r, struct oxbow_bytes name,
                            struct oxbow_bytes value)
{
    uint8_t *space;
    enum oxbow_err err = result_field_space(r, name, value.len, &space);

    if (err == OXBOW_OK) {
        bytes_copy(space, value);
    }
    return err;
}

enum oxbow_err result_time(struct oxbow_result *r, const struct oxbow_true_time *time)
{
    struct buf *times = &r->memory->times;
    enum oxbow_err err = buf_append(times, time, sizeof *time);

    r->times = err == OXBOW_OK ? (void *)times->data : NULL;
    return err;
}

size_t result_bytes(const struct oxbow_result *r)
{
    return r->memory->payload.len;
}

size_t result_count(const struct oxbow_result *r)
{
    const struct oxbow_result_memory *m = r->memory;

    return m->items.len / sizeof(union slot) + m->entries.len / sizeof(struct oxbow_entry);
}

static void slots_finish(struct buf *slots, const uint8_t *payload)
{
    union slot *slot = (void *)slots->data;
    size_t count = slots->len / sizeof *slot;
    size_t i;

    for (i = 0; i < count; i++) {
        size_t pos = slot[i].at.pos;
        size_t len = slot[i].at.len;

        slot[i].bytes = (struct oxbow_bytes){payload != NULL ? payload + pos : NULL, len};
    }
}

void result_finish(struct oxbow_result *r)
{
    struct oxbow_result_memory *m = r->memory;
    struct oxbow_entry *entry = (void *)m->entries.data;
    const struct oxbow_field *field = (void *)m->fields.data;
    size_t i;

    slots_finish(&m->items, m->payload.data);
    slots_finish(&m->fields, m->payload.data);
    r->items = (void *)m->items.data;
    r->item_count = m->items.len / sizeof(union slot);
    r->scores = m->scores.len > 0 ? (void *)m->scores.data : NULL;
    r->entry_count = m->entries.len / sizeof *entry;
    for (i = 0; i < r->entry_count; i++) {
        entry[i].fields = entry[i].field_count > 0 ? field : NULL;
        field += entry[i].field_count;
    }
    r->entries = entry;
}

static int bytes_compare(struct oxbow_bytes a, struct oxbow_bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, len) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

void result_finish_sorted(struct oxbow_result *r)
{
    struct oxbow_bytes *item;
    size_t gap, i;

    result_finish(r);
    item = (void *)r->memory->items.data;
    /* Shell's sort: no memory, no recursion, and far from quadratic. */
    for (gap = r->item_count / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11) {
        for (i = gap; i < r->item_count; i++) {
            struct oxbow_bytes moved = item[i];
            size_t j = i;

            for (; j >= gap && bytes_compare(item[j - gap], moved) > 0; j -= gap) {
                item[j] = item[j - gap];
            }
            item[j] = moved;
        }
    }
}
