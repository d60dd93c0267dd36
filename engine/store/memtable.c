/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash chains over a bucket array that doubles with the entries, and a skip list over the same
 * entries. It knows keys and bytes, nothing of transactions or of what lies below.
 *
 * Most look-ups find nothing: the key is in a table below. So a byte for each bucket says which
 * eighths of the hashes it has, and a search that these rule out touches neither bucket nor entry.
 * A loose table has none below and goes without: what finds its keys counts in its limit.
 *
 * Invariants: (1) Each key has at most one entry. (2) An entry is in the skip list exactly when
 * `linked`. (3) The table's cost is the sum of
 * all entries' cost and of the leaf pages that mem_link counted. (4) The mark of each entry's hash is
 * set in its bucket's byte, if there are marks.
 */
#include "engine/store/memtable.h"

#include "engine/base/buf.h"
#include "engine/base/codec.h"
#include "engine/store/kv.h"

#include <string.h>

#define BUCKETS_MIN       1024u
#define SHRINK_PART       8u /* of the buckets are used: then half of them go */
#define BUCKETS_MAX       (1u << 20)
#define LOOSE_BUCKETS_MAX (1u << 26)
#define LOOSE_OVERHEAD    32u   /* of the allocator, for an entry and its value */
#define OBJECT_PREFIX     9u    /* kv_space and object id: what shares leaf pages */
#define INLINE_MAX        2000u /* longer values get pages of their own */
#define PAGE_BYTES        4096u
#define VALUE_OVERHEAD    21u /* envelope and page header */
#define NODE_OVERHEAD     16u

static size_t head_bytes(void)
{
    return sizeof(struct mem_entry) + MEM_HEIGHT_MAX * sizeof(struct mem_entry *);
}

size_t mem_bucket_bytes(const struct memtable *t, size_t count)
{
    return count * (sizeof *t->buckets + (t->arena.loose ? 0 : sizeof *t->marks));
}

static void marks_place(struct memtable *t)
{
    t->marks = t->arena.loose ? NULL : (uint8_t *)(t->buckets + t->bucket_cap);
}

/* With the arena as it is. */
static enum oxbow_err init(struct memtable *t)
{
    const struct oxbow_alloc *alloc = t->arena.alloc;

    t->head = mem_new(alloc, head_bytes());
    t->buckets = mem_new(alloc, mem_bucket_bytes(t, BUCKETS_MIN));
    t->bucket_cap = t->bucket_count = BUCKETS_MIN;
    if (t->head == NULL || t->buckets == NULL) {
        memtable_fini(t);
        return OXBOW_ENOMEM;
    }
    t->head->height = MEM_HEIGHT_MAX;
    marks_place(t);
    t->height = 1;
    t->dice = 2463534242u;
    return OXBOW_OK;
}

enum oxbow_err memtable_init(struct memtable *t, const struct oxbow_alloc *alloc)
{
    memset(t, 0, sizeof *t);
    arena_init(&t->arena, alloc);
    return init(t);
}

enum oxbow_err memtable_init_loose(struct memtable *t, const struct oxbow_alloc *alloc)
{
    memset(t, 0, sizeof *t);
    arena_init_loose(&t->arena, alloc);
    return init(t);
}

void memtable_fini(struct memtable *t)
{
    const struct oxbow_alloc *alloc = t->arena.alloc;

    if (alloc == NULL) {
        return;
    }
    while (t->arena.loose && t->head != NULL && t->buckets != NULL && t->head->next[0] != NULL) {
        mem_drop(t, t->head->next[0]);
    }
    arena_fini(&t->arena);
    if (t->head != NULL) {
        mem_free(alloc, t->head, head_bytes());
    }
    if (t->buckets != NULL) {
        mem_free(alloc, t->buckets, mem_bucket_bytes(t, t->bucket_cap));
    }
    memset(t, 0, sizeof *t);
}

static void marks_clear(struct memtable *t, size_t buckets)
{
    if (t->marks != NULL) {
        memset(t->marks, 0, buckets);
    }
}

void memtable_reset(struct memtable *t, size_t keep)
{
    arena_reset(&t->arena, keep);
    memset(t->buckets, 0, t->bucket_count * sizeof *t->buckets);
    marks_clear(t, t->bucket_count);
    memset(t->head->next, 0, MEM_HEIGHT_MAX * sizeof t->head->next[0]);
    t->bucket_count = BUCKETS_MIN;
    t->count = 0;
    t->height = 1;
    t->cost = 0;
    t->leaves = 0;
    t->net = 0;
    t->spared = 0;
    t->clean = 0;
    t->dirty = false;
    t->lsn = 0;
    t->commits = 0;
    t->oldest_us = 0;
    t->interval = (struct due){.start_us = 0};
}

int key_compare(struct oxbow_bytes a, struct oxbow_bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.data, b.data, n);

    if (order != 0) {
        return order;
    }
    return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

/* One round of a multiplication for eight bytes, its high half folded into the low one: ids, which
 * differ in the highest byte of a little-endian word, spread as well. Never stored, and no user
 * chooses keys freely: names are in them as a seeded hash. */
static uint64_t hash_round(uint64_t h, uint64_t word)
{
    h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

uint32_t mem_hash(struct oxbow_bytes key)
{
    const uint8_t *p = key.data;
    size_t left = key.len;
    uint64_t h = key.len;
    uint64_t tail = 0;

    for (; left >= 8; left -= 8, p += 8) {
        h = hash_round(h, get_le64(p));
    }
    if (key.len >= 8 && left > 0) {
        h = hash_round(h, get_le64(p + left - 8)); /* some bytes twice */
    } else if (left > 0) {
        for (; left > 0; left--) {
            tail = tail << 8 | p[left - 1];
        }
        h = hash_round(h, tail);
    }
    return (uint32_t)(h * UINT64_C(0x6a09e667f3bcc909) >> 32);
}

/* Eight bytes at a time, some of them twice: keys are too short for a call. */
static bool key_is(const struct mem_entry *e, struct oxbow_bytes key)
{
    const uint8_t *a = mem_key(e);
    const uint8_t *b = key.data;
    size_t at;

    if (e->key_len != key.len) {
        return false;
    }
    if (key.len < 8) {
        return memcmp(a, b, key.len) == 0;
    }
    for (at = 0; at + 8 < key.len; at += 8) {
        if (get_le64(a + at) != get_le64(b + at)) {
            return false;
        }
    }
    return get_le64(a + key.len - 8) == get_le64(b + key.len - 8);
}

static uint8_t mark_of(uint32_t hash)
{
    return (uint8_t)(1u << (hash >> 29)); /* the bits that choose a bucket come from below */
}

static void mark_set(struct memtable *t, size_t bucket, uint32_t hash)
{
    if (t->marks != NULL) {
        t->marks[bucket] |= mark_of(hash);
    }
}

struct mem_entry *mem_find(const struct memtable *t, struct oxbow_bytes key, uint32_t hash)
{
    size_t at = hash & (t->bucket_count - 1);
    struct mem_entry *e;

    if (t->marks != NULL && (t->marks[at] & mark_of(hash)) == 0) {
        return NULL;
    }
    e = t->buckets[at];
    while (e != NULL && (e->hash != hash || !key_is(e, key))) {
        e = e->hash_next;
    }
    return e;
}

/* More buckets, if there is memory for them: with fewer the chains are merely longer. */
static void buckets_grow(struct memtable *t)
{
    size_t want = t->bucket_count * 2;
    size_t i;

    if (want > t->bucket_cap) {
        const struct oxbow_alloc *alloc = t->arena.alloc;
        struct mem_entry **more = alloc->resize(
            alloc->ctx, t->buckets, mem_bucket_bytes(t, t->bucket_cap), mem_bucket_bytes(t, want));

        if (more == NULL) {
            return;
        }
        t->buckets = more;
        t->bucket_cap = want;
        marks_place(t);
    }
    memset(t->buckets + t->bucket_count, 0, t->bucket_count * sizeof *t->buckets);
    marks_clear(t, want);
    for (i = 0; i < t->bucket_count; i++) {
        struct mem_entry **low = &t->buckets[i];
        struct mem_entry **high = &t->buckets[i + t->bucket_count];
        struct mem_entry *e = *low;

        while (e != NULL) {
            struct mem_entry ***to = (e->hash & t->bucket_count) != 0 ? &high : &low;

            **to = e;
            *to = &e->hash_next;
            mark_set(t, e->hash & (want - 1), e->hash);
            e = e->hash_next;
        }
        *low = NULL;
        *high = NULL;
    }
    t->bucket_count = want;
}

/* Half as many, and their memory is given back: what a cache may take counts it. */
static void buckets_shrink(struct memtable *t)
{
    const struct oxbow_alloc *alloc = t->arena.alloc;
    size_t want = t->bucket_count / 2;
    struct mem_entry **less;

    for (size_t i = 0; i < want; i++) {
        struct mem_entry **end = &t->buckets[i];

        while (*end != NULL) {
            end = &(*end)->hash_next;
        }
        *end = t->buckets[i + want];
    }
    t->bucket_count = want;
    less = alloc->resize(alloc->ctx, t->buckets, mem_bucket_bytes(t, t->bucket_cap),
                         mem_bucket_bytes(t, want));
    if (less != NULL) { /* else it keeps what it has */
        t->buckets = less;
        t->bucket_cap = want;
    }
}

/* A quarter of the entries reaches each next level. */
static uint8_t dice_height(struct memtable *t)
{
    uint32_t x = t->dice;
    uint8_t height = 1;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    t->dice = x;
    while (height < MEM_HEIGHT_MAX && (x & 3) == 0) {
        height++;
        x >>= 2;
    }
    return height;
}

static size_t entry_bytes(uint8_t height, size_t key_len)
{
    return sizeof(struct mem_entry) + height * sizeof(struct mem_entry *) + key_len;
}

static struct mem_entry *entry_new(struct memtable *t, size_t bytes)
{
    uint32_t cap;

    return t->arena.loose ? arena_take(&t->arena, bytes, &cap) : arena_bump(&t->arena, bytes);
}

struct mem_entry *mem_make(struct memtable *t, struct oxbow_bytes key, uint32_t hash)
{
    uint8_t height = dice_height(t);
    struct mem_entry *e = entry_new(t, entry_bytes(height, key.len));
    struct mem_entry **bucket;
    size_t at;

    if (e == NULL) {
        return NULL;
    }
    if (t->count >= t->bucket_count &&
        t->bucket_count < (t->arena.loose ? LOOSE_BUCKETS_MAX : BUCKETS_MAX)) {
        buckets_grow(t);
    }
    memset(e, 0, sizeof *e);
    e->hash = hash;
    e->key_len = (uint8_t)key.len;
    e->height = height;
    memcpy((uint8_t *)(e->next + height), key.data, key.len);
    at = hash & (t->bucket_count - 1);
    bucket = &t->buckets[at];
    e->hash_next = *bucket;
    *bucket = e;
    mark_set(t, at, hash);
    t->count++;
    return e;
}

void mem_gather(const struct mem_entry *e, uint8_t *out, size_t len)
{
    const struct mem_piece *p = e->front;
    size_t end = len;

    if (end > e->base) {
        memcpy(out + e->base, e->data, end - e->base);
        end = e->base;
    }
    for (; p != NULL; p = p->front) {
        if (end > p->base) {
            memcpy(out + p->base, p->data, end - p->base);
            end = p->base;
        }
    }
    if (e->patch != NULL && e->patch->at < len) {
        size_t n = len - e->patch->at;

        memcpy(out + e->patch->at, e->patch->bytes, n < e->patch->len ? n : e->patch->len);
    }
}

void mem_extend(struct mem_entry *e, struct mem_piece *node, uint8_t *data, uint32_t cap)
{
    *node = (struct mem_piece){.front = e->front, .data = e->data, .base = e->base, .cap = e->cap};
    e->front = node;
    e->data = data;
    e->cap = cap;
    e->base = e->len;
}

void mem_give(struct memtable *t, struct mem_piece *front, uint8_t *data, uint32_t cap)
{
    arena_give(&t->arena, data, cap);
    while (front != NULL) {
        struct mem_piece *p = front;

        front = p->front;
        arena_give(&t->arena, p->data, p->cap);
        arena_give(&t->arena, p, sizeof *p);
    }
}

struct mem_patch *mem_patch_new(struct memtable *t)
{
    uint32_t cap;

    return arena_take(&t->arena, sizeof(struct mem_patch), &cap);
}

void mem_patch_give(struct memtable *t, struct mem_patch *patch)
{
    arena_give(&t->arena, patch, sizeof *patch);
}

static struct oxbow_bytes key_of(const struct mem_entry *e)
{
    return (struct oxbow_bytes){mem_key(e), e->key_len};
}

/* As key_compare, eight bytes at a time: a search in the index is mostly this. */
static inline int order_of(const struct mem_entry *e, struct oxbow_bytes key)
{
    const uint8_t *a = mem_key(e);
    const uint8_t *b = key.data;
    size_t n = e->key_len < key.len ? e->key_len : key.len;
    size_t at;

    for (at = 0; at + 8 <= n; at += 8) {
        uint64_t x = get_be64(a + at);
        uint64_t y = get_be64(b + at);

        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    for (; at < n; at++) {
        if (a[at] != b[at]) {
            return a[at] < b[at] ? -1 : 1;
        }
    }
    return e->key_len == key.len ? 0 : e->key_len < key.len ? -1 : 1;
}

/* The last entry below the key (or at it, with `at_too`), the head when there is none. */
static struct mem_entry *before(const struct memtable *t, struct oxbow_bytes key, bool at_too,
                                struct mem_entry **path)
{
    struct mem_entry *e = t->head;
    int limit = at_too ? 1 : 0;
    uint32_t level = t->height;

    while (level-- > 0) {
        struct mem_entry *n = e->next[level];

        while (n != NULL) {
            if (order_of(n, key) >= limit) {
                break;
            }
            e = n;
            n = e->next[level];
        }
        if (path != NULL) {
            path[level] = e;
        }
    }
    return e;
}

static bool same_object(const struct mem_entry *a, const struct mem_entry *b)
{
    return a->key_len >= OBJECT_PREFIX && b->key_len >= OBJECT_PREFIX &&
           memcmp(mem_key(a), mem_key(b), OBJECT_PREFIX) == 0;
}

void mem_link(struct memtable *t, struct mem_entry *e)
{
    struct mem_entry *path[MEM_HEIGHT_MAX];
    struct mem_entry *after;
    uint32_t level;

    if (e->linked) {
        return;
    }
    while (t->height < e->height) {
        t->height++;
    }
    (void)before(t, key_of(e), false, path);
    after = path[0]->next[0];
    if (!t->arena.loose && (path[0] == t->head || !same_object(path[0], e)) &&
        (after == NULL || !same_object(after, e))) {
        t->cost += MEM_COST_PAGE; /* a leaf page that nothing else dirties yet */
        t->leaves += MEM_COST_PAGE;
    }
    for (level = 0; level < e->height; level++) {
        e->next[level] = path[level]->next[level];
        path[level]->next[level] = e;
    }
    e->linked = true;
}

void mem_drop(struct memtable *t, struct mem_entry *e)
{
    struct mem_entry **at = &t->buckets[e->hash & (t->bucket_count - 1)];
    struct mem_entry *path[MEM_HEIGHT_MAX];

    if (e->linked) {
        (void)before(t, key_of(e), false, path);
        for (uint32_t level = 0; level < e->height; level++) {
            path[level]->next[level] = e->next[level];
        }
    }
    while (*at != e) {
        at = &(*at)->hash_next;
    }
    *at = e->hash_next;
    t->count--;
    t->cost -= e->cost;
    mem_give(t, e->front, e->data, e->cap);
    arena_give(&t->arena, e, arena_loose_cap(entry_bytes(e->height, e->key_len)));
    if (t->bucket_count > BUCKETS_MIN && t->count < t->bucket_count / SHRINK_PART) {
        buckets_shrink(t);
    }
}

static uint32_t bytes_of(const struct mem_entry *e)
{
    return e->state != MEM_VALUE
               ? 0
               : e->cap + (uint32_t)entry_bytes(e->height, e->key_len) + LOOSE_OVERHEAD;
}

void mem_cost(struct memtable *t, struct mem_entry *e)
{
    uint32_t now = 0;

    if (t->arena.loose) {
        now = bytes_of(e);
    } else if (e->state == MEM_VALUE && e->len > INLINE_MAX) {
        now = (uint32_t)((e->len + VALUE_OVERHEAD + PAGE_BYTES - 1) / PAGE_BYTES) * MEM_COST_PAGE;
    } else if (e->state == MEM_VALUE) {
        /* Pages split in halves: such a value may cost its length twice. */
        now =
            (uint32_t)((e->len + e->key_len + NODE_OVERHEAD) * MEM_COST_PAGE * 2 / PAGE_BYTES + 1);
    }
    t->cost += now;
    t->cost -= e->cost;
    if (!e->known) {
        t->net += now;
        t->net -= e->cost;
    }
    e->cost = now;
}

struct mem_entry *mem_seek(const struct memtable *t, struct oxbow_bytes key, enum mem_seek how)
{
    struct mem_entry *e = before(t, key, how == MEM_GT || how == MEM_LE, NULL);

    if (how == MEM_GE || how == MEM_GT) {
        return e->next[0];
    }
    return e == t->head ? NULL : e;
}
