/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A memtable: the changed values since a checkpoint, found by key (hash) and in order (skip list).
 *
 * An entry, once made, stays where it is until the table is reset; what it says changes through its
 * state. Not thread safe; reading a table that nobody changes is.
 */
#ifndef OXBOW_STORE_MEMTABLE_H
#define OXBOW_STORE_MEMTABLE_H

#include "engine/store/arena.h"
#include "engine/store/due.h"

#include <stdbool.h>

#define MEM_HEIGHT_MAX 12u
#define MEM_PATCH_MAX  16u

enum mem_state {
    MEM_ABSENT, /* says nothing: ask the tables below */
    MEM_CLEAN,  /* a copy of what is below: not to be written */
    MEM_VALUE,
    MEM_TOMB /* deleted */
};

/* A block of a value that went on in another one when it was full. */
struct mem_piece {
    struct mem_piece *front; /* the one before; NULL: none */
    uint8_t *data;
    uint32_t base; /* where its bytes stand in the value; they end where the next block begins */
    uint32_t cap;
};

/* Bytes that differ from those of the tables below. */
struct mem_patch {
    uint32_t at;
    uint32_t len;
    uint8_t bytes[MEM_PATCH_MAX];
};

/* What a search reads stands at the end, beside the links and the key: one or two lines of the
 * processor's cache. */
struct mem_entry {
    uint8_t *data;           /* `cap` bytes: the value from `base` on; NULL when there is none */
    struct mem_piece *front; /* what is in front of `data`; NULL: see below */
    struct mem_patch *patch; /* within what the tables below have of it; NULL: none */
    uint32_t len;            /* of the whole value */
    uint32_t base;           /* without `front`, so many bytes are as in the tables below */
    uint32_t cap;
    uint32_t cost; /* its value's share of the table's cost */
    union {
        uint32_t
            notes[2]; /* where its last two effects stand there, the newer first; see journal.c */
        struct mem_entry *listed; /* of a cache: the next of those that may have to go */
    };
    union {
        uint32_t note_txn; /* the transaction in the journal's stage that changed it last */
        uint32_t used_at;  /* of a cache: when it was used last; see cache.h */
    };
    uint8_t often; /* of a cache: how often it is used */
    bool on_list;  /* of a cache: `listed` counts */
    bool linked;   /* in the ordered index */
    bool known;    /* the key is below already: its value replaces one */
    struct mem_entry *hash_next;
    uint32_t hash;
    uint8_t state; /* enum mem_state */
    uint8_t key_len;
    uint8_t height;
    struct mem_entry *next[]; /* `height` links, then the key */
};

struct memtable {
    struct arena arena;
    struct mem_entry **buckets;
    uint8_t *marks;      /* behind the buckets, a byte each; NULL: none. See memtable.c */
    size_t bucket_count; /* in use, a power of two */
    size_t bucket_cap;
    size_t count;           /* entries of any state */
    struct mem_entry *head; /* of the ordered index */
    uint32_t height;
    uint32_t dice;
    uint64_t cost;       /* estimated dirty pages, in 1/MEM_COST_PAGE; of a loose table, bytes */
    uint64_t leaves;     /* of them, those counted by mem_link */
    uint64_t net;        /* of them, those of keys that are not below */
    uint64_t spared;     /* bytes given up in it beyond what was added for them (quota.c) */
    size_t clean;        /* bytes in MEM_CLEAN entries */
    bool dirty;          /* something was committed to it */
    uint64_t lsn;        /* newest in it */
    uint64_t next_blob;  /* what to store with it */
    uint64_t commits;    /* under `always` that went into it */
    uint64_t oldest_us;  /* when its first commit was; 0: none */
    struct due interval; /* of those under `interval` */
};

#define MEM_COST_PAGE 64u

OXBOW_MUST_CHECK enum oxbow_err memtable_init(struct memtable *t, const struct oxbow_alloc *alloc);
/* One that nothing lies below and that is never reset: entries go one by one (mem_drop), their memory
 * with them, and its cost is in bytes. */
OXBOW_MUST_CHECK enum oxbow_err memtable_init_loose(struct memtable *t,
                                                    const struct oxbow_alloc *alloc);
/* What so many buckets of it take. */
size_t mem_bucket_bytes(const struct memtable *t, size_t count);
void memtable_fini(struct memtable *t);
/* Empties it, keeping at most `keep` bytes of its memory. */
void memtable_reset(struct memtable *t, size_t keep);

static inline const uint8_t *mem_key(const struct mem_entry *e)
{
    return (const uint8_t *)(e->next + e->height);
}

uint32_t mem_hash(struct oxbow_bytes key);
/* NULL when the table says nothing about the key. `hash` is mem_hash(key). */
struct mem_entry *mem_find(const struct memtable *t, struct oxbow_bytes key, uint32_t hash);
/* Makes an entry in state MEM_ABSENT; the key must not be there. NULL when memory is out. */
struct mem_entry *mem_make(struct memtable *t, struct oxbow_bytes key, uint32_t hash);
/* Puts it into the ordered index, if it is not there. */
void mem_link(struct memtable *t, struct mem_entry *e);
/* How many bytes in front of an entry's value are as in the tables below. */
static inline uint32_t mem_bottom(const struct mem_entry *e)
{
    const struct mem_piece *p = e->front;
    uint32_t base = e->base;

    for (; p != NULL; p = p->front) {
        base = p->base;
    }
    return base;
}
/* Copies what the entry holds of value[0, len) to where it stands in out[0, len): all from
 * mem_bottom on, and the patch, for which what is below must be there already. len is at most the
 * value's. */
void mem_gather(const struct mem_entry *e, uint8_t *out, size_t len);
/* Goes on in another block, `data`, at the value's end. */
void mem_extend(struct mem_entry *e, struct mem_piece *node, uint8_t *data, uint32_t cap);
/* Gives back a value's blocks. NULLs are fine. */
void mem_give(struct memtable *t, struct mem_piece *front, uint8_t *data, uint32_t cap);
/* Memory for a patch, and back. NULL when memory is out; NULL is fine. */
struct mem_patch *mem_patch_new(struct memtable *t);
void mem_patch_give(struct memtable *t, struct mem_patch *patch);
/* Removes an entry of a loose table, with its value. */
void mem_drop(struct memtable *t, struct mem_entry *e);
/* Recomputes an entry's share of the page estimate after its state or length changed. */
void mem_cost(struct memtable *t, struct mem_entry *e);

/* The ordered index; states are not looked at. NULL: none. */
enum mem_seek { MEM_GE, MEM_GT, MEM_LE, MEM_LT };
struct mem_entry *mem_seek(const struct memtable *t, struct oxbow_bytes key, enum mem_seek how);
/* The first of all. */
static inline struct mem_entry *mem_first(const struct memtable *t)
{
    return t->head->next[0];
}

static inline bool mem_says(const struct mem_entry *e)
{
    return e->state == MEM_VALUE || e->state == MEM_TOMB;
}

int key_compare(struct oxbow_bytes a, struct oxbow_bytes b);

#endif
