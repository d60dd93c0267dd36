/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of sets of four slots, in which the name's hash chooses the set. It begins small and grows by a
 * factor of four when a set is full, up to its limit; then the oldest of a set gives way. Growing
 * forgets everything.
 *
 * A slot holds the name's hash mixed with the salt of then. A large table is cleared by taking another
 * salt: a name's slot of before is never taken for it, since of its hash the same came only with the old one.
 *
 * Invariant: the used slots of a set stand in front, the one put in last first.
 */
#include "engine/store/name_cache.h"

#include "engine/base/buf.h"
#include "engine/base/codec.h"

#include <string.h>

#define SET         4u
#define SLOTS_FIRST NAME_CACHE_MIN
#define WIPED_MAX   2048u                        /* slots; more are cleared by the salt */
#define SALT_STEP   UINT64_C(0x9e3779b97f4a7c15) /* odd: comes back after 2^64 steps */
#define GROWTH      4u
#define TIMED       0x80u

struct name_slot {
    uint64_t hash; /* with the salt */
    uint64_t id;   /* 0: not used */
    uint8_t type;  /* with TIMED: the last 8 bytes of `name` are the deadline */
    uint8_t database;
    uint8_t len;
    uint8_t name[NAME_CACHE_NAME];
};

void name_cache_init(struct name_cache *c, const struct oxbow_alloc *alloc, size_t max)
{
    *c = (struct name_cache){.alloc = alloc, .max = max};
}

void name_cache_fini(struct name_cache *c)
{
    if (c->slots != NULL) {
        mem_free(c->alloc, c->slots, c->count * sizeof *c->slots);
    }
    c->slots = NULL;
    c->count = 0;
}

void name_cache_clear(struct name_cache *c)
{
    if (c->count > WIPED_MAX) {
        c->salt += SALT_STEP;
    } else if (c->slots != NULL) {
        memset(c->slots, 0, c->count * sizeof *c->slots);
    }
}

/* The high bits: the low ones may be masked off in tests of names that collide. */
static struct name_slot *set_of(const struct name_cache *c, uint64_t hash)
{
    return c->slots + (hash >> 32 & (c->count - 1) & ~(uint64_t)(SET - 1));
}

static bool is(const struct name_cache *c, const struct name_slot *s, uint32_t database,
               uint64_t hash, struct oxbow_bytes name)
{
    return s->id != 0 && s->hash == (hash ^ c->salt) && s->database == database &&
           s->len == name.len && (name.len == 0 || memcmp(s->name, name.data, name.len) == 0);
}

bool name_cache_get(const struct name_cache *c, uint32_t database, uint64_t hash,
                    struct oxbow_bytes name, struct object *out)
{
    const struct name_slot *s;
    unsigned i;

    if (c->slots == NULL) {
        return false;
    }
    s = set_of(c, hash);
    for (i = 0; i < SET; i++) {
        if (is(c, &s[i], database, hash, name)) {
            out->id = s[i].id;
            out->type = (enum oxbow_type)s[i].type;
            out->deadline = 0;
            if ((s[i].type & TIMED) != 0) {
                out->type = (enum oxbow_type)(s[i].type & ~TIMED);
                out->deadline = get_le64(s[i].name + NAME_CACHE_TIMED);
            }
            return true;
        }
    }
    return false;
}

static bool grow(struct name_cache *c)
{
    size_t count = c->slots == NULL ? SLOTS_FIRST : c->count * GROWTH;
    struct name_slot *slots;

    if (count > c->max) {
        return false;
    }
    slots = mem_new(c->alloc, count * sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    name_cache_fini(c);
    c->slots = slots;
    c->count = count;
    memset(slots, 0, count * sizeof *slots);
    return true;
}

void name_cache_put(struct name_cache *c, uint32_t database, uint64_t hash, struct oxbow_bytes name,
                    const struct object *object)
{
    bool timed = object->deadline != 0;
    struct name_slot *s;

    if (name.len > (timed ? NAME_CACHE_TIMED : NAME_CACHE_NAME) || (c->slots == NULL && !grow(c))) {
        return;
    }
    s = set_of(c, hash);
    if (s[SET - 1].id != 0 && grow(c)) {
        s = set_of(c, hash);
    }
    memmove(s + 1, s, (SET - 1) * sizeof *s);
    *s = (struct name_slot){.hash = hash ^ c->salt,
                            .id = object->id,
                            .type = (uint8_t)object->type,
                            .database = (uint8_t)database,
                            .len = (uint8_t)name.len};
    if (name.len > 0) {
        memcpy(s->name, name.data, name.len);
    }
    if (timed) {
        s->type |= TIMED;
        put_le64(s->name + NAME_CACHE_TIMED, object->deadline);
    }
}

void name_cache_drop(struct name_cache *c, uint32_t database, uint64_t hash,
                     struct oxbow_bytes name)
{
    struct name_slot *s;
    unsigned i;

    if (c->slots == NULL) {
        return;
    }
    s = set_of(c, hash);
    for (i = 0; i < SET && !is(c, &s[i], database, hash, name); i++) {
    }
    if (i < SET) {
        memmove(s + i, s + i + 1, (SET - 1 - i) * sizeof *s);
        s[SET - 1].id = 0;
    }
}
