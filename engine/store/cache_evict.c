/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which keys of caches go when they take too much. A few names are chosen by chance and the best
 * candidates among them kept for the next time (the pool of Redis' approximated LRU, antirez.com/news/109),
 * so that what goes is nearer to the least used of all than the best of a few would be.
 *
 * Names are chosen by a chance bucket of the hash table, and where that has much else, as the fields of large
 * hashes, by a chance hash: the next one from there on. Where few keys may go, those of a
 * deadline are chosen through the order of time as well, and a walk over all names, a bounded piece each
 * time, finds what chance does not.
 *
 * Invariant: a pooled key may have changed or gone: it is looked at again before it is chosen.
 */
#include "engine/base/buf.h"
#include "engine/base/codec.h"
#include "engine/store/catalog_record.h"
#include "engine/store/store.h"

#include <string.h>

#define SAMPLES      5u
#define SWEEP_NAMES  512u
#define EARLY_STEPS  4096u
#define REAP_STEPS   8u
#define BUCKETS_LOOK 32u
#define NAME_PREFIX  10u /* of the names of a database */
#define GRACE_PART   8u  /* of the limit, by which what is begun after it may pass it */
#define EXPIRE_KEY   34u

/* The caches that have names. */
struct home {
    uint32_t number;
    uint64_t id;
    uint64_t names;
};

struct homes {
    struct home of[CATALOG_DATABASES];
    size_t count;
    uint64_t total;
};

static enum oxbow_err homes_read(struct oxbow_txn *txn, struct homes *h)
{
    h->count = 0;
    h->total = 0;
    for (uint32_t i = 0; i < CATALOG_DATABASES; i++) {
        uint8_t key[CATALOG_NUMBER_KEY];
        uint64_t pair[2];
        enum oxbow_err err = OXBOW_OK;

        if (!txn_is_cache(txn, i)) {
            continue;
        }
        err = catalog_pair_get(txn, catalog_number_in(txn, key, i), pair);
        if (err != OXBOW_OK) {
            return err;
        }
        if (pair[1] > 0) {
            h->of[h->count++] = (struct home){.number = i, .id = pair[0], .names = pair[1]};
            h->total += pair[1];
        }
    }
    return OXBOW_OK;
}

/* One of them, the more likely the more names it has. */
static uint64_t home_by_chance(struct cache *c, const struct homes *h)
{
    uint64_t at = cache_roll(c) % h->total;
    size_t i = 0;

    while (at >= h->of[i].names) {
        at -= h->of[i++].names;
    }
    return h->of[i].id;
}

/* ---- candidates ---- */

static bool is_name(const struct mem_entry *e)
{
    return cache_is_name((struct oxbow_bytes){mem_key(e), e->key_len});
}

static const struct home *home_of(const struct homes *h, uint64_t id)
{
    for (size_t i = 0; i < h->count; i++) {
        if (h->of[i].id == id) {
            return &h->of[i];
        }
    }
    return NULL;
}

/* Whether the policy lets a name's record go. Those of a database that was flushed are the reaper's: they
 * have no number any more. */
static bool may_go(const struct cache *c, const struct homes *h, const struct mem_entry *e,
                   struct catalog_name *record)
{
    if (e == NULL || e->state != MEM_VALUE || !is_name(e) ||
        home_of(h, get_be64(mem_key(e) + 2)) == NULL ||
        catalog_name_decode((struct oxbow_bytes){e->data, e->len}, record) != OXBOW_OK) {
        return false;
    }
    return (record->type == OXBOW_TYPE_STRING || record->type == OXBOW_TYPE_HASH ||
            record->type == OXBOW_TYPE_SET) &&
           (c->limit.evict <= OXBOW_EVICT_ALLKEYS_RANDOM || record->deadline != 0);
}

static uint64_t score_of(struct oxbow_txn *txn, const struct mem_entry *e,
                         const struct catalog_name *record)
{
    switch (txn->db->cache.limit.evict) {
    case OXBOW_EVICT_ALLKEYS_LRU:
    case OXBOW_EVICT_VOLATILE_LRU:
        return cache_idle(txn, e);
    case OXBOW_EVICT_ALLKEYS_LFU:
    case OXBOW_EVICT_VOLATILE_LFU:
        return (uint64_t)(UINT8_MAX - cache_often(txn, e)) << 32 | cache_idle(txn, e);
    case OXBOW_EVICT_VOLATILE_TTL:
        return UINT64_MAX - record->deadline;
    case OXBOW_EVICT_ALLKEYS_RANDOM:
    case OXBOW_EVICT_VOLATILE_RANDOM:
    case OXBOW_EVICT_NONE:
        break;
    }
    return cache_roll(&txn->db->cache);
}

/* Puts it into the pool, if it may go and is better than the worst there. */
static void consider(struct oxbow_txn *txn, const struct homes *h, const struct mem_entry *e)
{
    struct cache *c = &txn->db->cache;
    struct catalog_name record;
    uint64_t score;
    size_t at = 0;

    if (!may_go(c, h, e, &record)) {
        return;
    }
    score = score_of(txn, e, &record);
    for (size_t i = 0; i < c->pooled; i++) {
        if (memcmp(c->pool[i].key, mem_key(e), CACHE_KEY_MAX) == 0) {
            return;
        }
        at = c->pool[i].score < c->pool[at].score ? i : at;
    }
    if (c->pooled < CACHE_POOL) {
        at = c->pooled++;
    } else if (c->pool[at].score >= score) {
        return;
    }
    memcpy(c->pool[at].key, mem_key(e), CACHE_KEY_MAX);
    c->pool[at].score = score;
}

static struct mem_entry *find(const struct cache *c, const void *key, size_t len)
{
    struct oxbow_bytes k = {key, len};

    return mem_find(&c->table, k, mem_hash(k));
}

/* One of the names in a bucket's chain, each as likely as the others. NULL: it has none. */
static const struct mem_entry *name_in_chain(struct cache *c, const struct mem_entry *e)
{
    const struct mem_entry *chosen = NULL;
    uint64_t seen = 0;

    for (; e != NULL; e = e->hash_next) {
        if (e->state == MEM_VALUE && is_name(e) && cache_roll(c) % ++seen == 0) {
            chosen = e;
        }
    }
    return chosen;
}

/* A name of any cache, by chance: a bucket or two are looked at, where the ordered index would be at each
 * level. NULL: names are few among much else. */
static const struct mem_entry *name_in_buckets(struct cache *c)
{
    size_t mask = c->table.bucket_count - 1;
    size_t at = (size_t)cache_roll(c);
    const struct mem_entry *e = NULL;

    for (unsigned i = 0; i < BUCKETS_LOOK && e == NULL; i++) {
        e = name_in_chain(c, c->table.buckets[(at + i) & mask]);
    }
    return e;
}

/* A name of that database, by chance. NULL: it has none. */
static const struct mem_entry *name_in_order(struct cache *c, uint64_t database)
{
    uint8_t key[CATALOG_NAME_KEY];
    struct oxbow_bytes from = catalog_name_key(key, database, cache_roll(c), 0);
    const struct mem_entry *e = mem_seek(&c->table, from, MEM_GE);

    if (e == NULL || !is_name(e) || memcmp(mem_key(e), key, NAME_PREFIX) != 0) {
        e = mem_seek(&c->table, catalog_name_key(key, database, 0, 0), MEM_GE);
    }
    return e != NULL && is_name(e) && memcmp(mem_key(e), key, NAME_PREFIX) == 0 ? e : NULL;
}

/* ---- through the order of time: its keys are drawn in catalog_expire.c ---- */

static bool is_place(const struct mem_entry *e)
{
    return e != NULL && e->key_len == EXPIRE_KEY && mem_key(e)[0] == (KV_SPACE_EXPIRE | KV_CACHE) &&
           mem_key(e)[1] == 'k';
}

/* The first place at or after a deadline and hash. */
static const struct mem_entry *place_from(const struct cache *c, uint64_t deadline,
                                          uint64_t database, uint64_t hash)
{
    uint8_t key[EXPIRE_KEY] = {KV_SPACE_EXPIRE | KV_CACHE, 'k'};
    const struct mem_entry *e;

    put_be64(key + 2, deadline);
    put_be64(key + 10, database);
    put_be64(key + 18, hash);
    e = mem_seek(&c->table, (struct oxbow_bytes){key, sizeof key}, MEM_GE);
    return is_place(e) ? e : NULL;
}

static uint64_t deadline_last(const struct cache *c)
{
    uint8_t key[EXPIRE_KEY];
    const struct mem_entry *e;

    memset(key, 0xff, sizeof key);
    key[0] = KV_SPACE_EXPIRE | KV_CACHE;
    key[1] = 'k';
    e = mem_seek(&c->table, (struct oxbow_bytes){key, sizeof key}, MEM_LE);
    return is_place(e) ? get_be64(mem_key(e) + 2) : 0;
}

/* Considers the name that has its deadline there. */
static void consider_place(struct oxbow_txn *txn, const struct homes *h,
                           const struct mem_entry *place)
{
    const struct cache *c = &txn->db->cache;
    const uint8_t *p = mem_key(place);
    struct catalog_name record;
    uint8_t key[CATALOG_NAME_KEY];

    for (uint32_t ordinal = 0; ordinal <= UINT16_MAX; ordinal++) {
        struct oxbow_bytes where =
            catalog_name_key(key, get_be64(p + 10), get_be64(p + 18), (uint16_t)ordinal);
        const struct mem_entry *e = find(c, where.data, where.len);

        if (e == NULL || e->state != MEM_VALUE) {
            return;
        }
        if (may_go(c, h, e, &record) && record.id == get_be64(p + 26)) {
            consider(txn, h, e);
            return;
        }
    }
}

static void sample_deadline(struct oxbow_txn *txn, const struct homes *h)
{
    struct cache *c = &txn->db->cache;
    const struct mem_entry *first = place_from(c, 0, 0, 0);
    const struct mem_entry *e;
    uint64_t from;
    uint64_t span;

    if (first == NULL) {
        return;
    }
    from = get_be64(mem_key(first) + 2);
    span = deadline_last(c) - from + 1;
    e = place_from(c, from + cache_roll(c) % span, home_by_chance(c, h), cache_roll(c));
    consider_place(txn, h, e != NULL ? e : first);
}

/* Those that expire first. What this transaction has deleted stands before them. */
static void earliest(struct oxbow_txn *txn, const struct homes *h, uint32_t count)
{
    const struct mem_entry *e = place_from(&txn->db->cache, 0, 0, 0);

    for (uint32_t steps = 0; count > 0 && steps < EARLY_STEPS && is_place(e); steps++) {
        if (e->state == MEM_VALUE) {
            consider_place(txn, h, e);
            count--;
        }
        e = e->next[0];
    }
}

/* ---- choosing ---- */

static void sample(struct oxbow_txn *txn, const struct homes *h)
{
    struct cache *c = &txn->db->cache;
    uint32_t count = c->limit.samples == 0 ? SAMPLES : c->limit.samples;

    if (c->limit.evict == OXBOW_EVICT_VOLATILE_TTL) {
        earliest(txn, h, 2 * CACHE_POOL);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (c->limit.evict > OXBOW_EVICT_ALLKEYS_RANDOM && i % 2 == 0) {
            sample_deadline(txn, h);
        } else {
            const struct mem_entry *e = name_in_buckets(c);

            e = e != NULL ? e : name_in_order(c, home_by_chance(c, h));

            if (e != NULL) {
                consider(txn, h, e);
            }
        }
    }
}

/* Goes on over all names, until something may go or it has looked at enough. */
static void sweep(struct oxbow_txn *txn, const struct homes *h)
{
    static const uint8_t first[2] = {KV_SPACE_CATALOG | KV_CACHE, CATALOG_NAME};
    struct cache *c = &txn->db->cache;
    struct oxbow_bytes from = {c->sweep, CACHE_KEY_MAX};
    const struct mem_entry *e = mem_seek(&c->table, from, MEM_GT);

    for (unsigned i = 0; i < SWEEP_NAMES && c->pooled == 0; i++) {
        if (e == NULL || !is_name(e)) {
            e = mem_seek(&c->table, (struct oxbow_bytes){first, sizeof first}, MEM_GT);
        }
        if (e == NULL || !is_name(e)) {
            return;
        }
        consider(txn, h, e);
        memcpy(c->sweep, mem_key(e), CACHE_KEY_MAX);
        e = e->next[0];
    }
}

/* The best of the pool, as they are now. NULL: none of them is left. */
static struct mem_entry *best(struct oxbow_txn *txn, const struct homes *h)
{
    struct cache *c = &txn->db->cache;
    struct mem_entry *chosen = NULL;
    uint64_t most = 0;
    size_t kept = 0;

    for (size_t i = 0; i < c->pooled; i++) {
        struct mem_entry *e = find(c, c->pool[i].key, CACHE_KEY_MAX);
        struct catalog_name record;

        if (!may_go(c, h, e, &record)) {
            continue;
        }
        c->pool[kept] = c->pool[i];
        c->pool[kept].score = score_of(txn, e, &record);
        if (chosen == NULL || c->pool[kept].score > most) {
            chosen = e;
            most = c->pool[kept].score;
        }
        kept++;
    }
    c->pooled = kept;
    return chosen;
}

static struct mem_entry *choose(struct oxbow_txn *txn, const struct homes *h)
{
    struct mem_entry *e;

    if (h->total == 0) {
        return NULL;
    }
    sample(txn, h);
    e = best(txn, h);
    if (e == NULL) {
        sweep(txn, h);
        e = best(txn, h);
    }
    return e;
}

/* ---- removing ---- */

static enum oxbow_err remove_in(struct oxbow_txn *txn, struct oxbow_bytes name,
                                enum oxbow_err (*gone)(void *ctx, struct oxbow_txn *txn,
                                                       struct oxbow_bytes name),
                                void *ctx)
{
    struct catalog_at at;
    enum oxbow_err err = catalog_locate(txn, name, &at);

    if (err == OXBOW_OK && !at.found) {
        return txn_fail(txn, OXBOW_ECORRUPT);
    }
    if (err == OXBOW_OK) {
        err = catalog_drop_whole(txn, &at, name);
    }
    if (err == OXBOW_OK) {
        txn->db->cache.evicted_new++;
        err = gone(ctx, txn, name);
    }
    return err;
}

static enum oxbow_err
remove_entry(struct oxbow_txn *txn, struct homes *h, const struct mem_entry *e,
             enum oxbow_err (*gone)(void *ctx, struct oxbow_txn *txn, struct oxbow_bytes name),
             void *ctx)
{
    const struct oxbow_alloc *alloc = &txn->db->port->alloc;
    uint32_t own = txn->database;
    struct catalog_name record;
    struct home *home;
    uint8_t *name;
    size_t len;
    enum oxbow_err err;

    if (!may_go(&txn->db->cache, h, e, &record)) {
        return txn_fail(txn, OXBOW_ECORRUPT);
    }
    home = &h->of[home_of(h, get_be64(mem_key(e) + 2)) - h->of];
    len = record.name.len;
    name = mem_new(alloc, len + 1);
    if (name == NULL) {
        return OXBOW_ENOMEM; /* nothing was done yet */
    }
    if (len > 0) {
        memcpy(name, record.name.data, len);
    }
    err = oxbow_txn_select(txn, home->number);
    home->names--;
    h->total--;
    if (err == OXBOW_OK) {
        err = remove_in(txn, (struct oxbow_bytes){name, len}, gone, ctx);
    }
    mem_free(alloc, name, len + 1);
    txn->database = own;
    return err;
}

static bool over(const struct cache *c)
{
    return c->limit.bytes > 0 && cache_bytes(c) > c->limit.bytes;
}

/* What was deleted goes first. *more: there may be more of that. */
static enum oxbow_err reap_first(struct oxbow_txn *txn, bool *more)
{
    enum oxbow_err err = OXBOW_OK;

    *more = over(&txn->db->cache);
    for (unsigned i = 0; i < REAP_STEPS && *more && err == OXBOW_OK && over(&txn->db->cache); i++) {
        *more = false;
        err = catalog_reap_cache(txn, more);
    }
    return err;
}

enum oxbow_err catalog_evict(struct oxbow_txn *txn, size_t max,
                             enum oxbow_err (*gone)(void *ctx, struct oxbow_txn *txn,
                                                    struct oxbow_bytes name),
                             void *ctx, bool *more)
{
    struct cache *c = &txn->db->cache;
    enum oxbow_err err;
    struct homes h;
    size_t done = 0;
    bool reaps;

    *more = false;
    err = reap_first(txn, &reaps);
    c->unseen = true;
    if (err == OXBOW_OK) {
        err = homes_read(txn, &h);
    }
    while (err == OXBOW_OK && done < max && over(c) && c->limit.evict != OXBOW_EVICT_NONE) {
        const struct mem_entry *e = choose(txn, &h);

        if (e == NULL) {
            break;
        }
        err = remove_entry(txn, &h, e, gone, ctx);
        done++;
    }
    c->unseen = false;
    *more = err == OXBOW_OK && (done == max || reaps) && over(c);
    c->grace = c->limit.bytes / GRACE_PART;
    return err;
}

/* ---- what is told and set ---- */

enum oxbow_err catalog_use(struct oxbow_txn *txn, struct oxbow_bytes name, uint64_t *idle_ms,
                           uint32_t *frequency)
{
    struct cache *c = &txn->db->cache;
    uint8_t key[CATALOG_NAME_KEY];
    struct catalog_at at;
    const struct mem_entry *e;
    enum oxbow_err err;

    if (!txn_in_cache(txn)) {
        return OXBOW_ENOTSUP;
    }
    c->unseen = true;
    err = catalog_locate(txn, name, &at);
    c->unseen = false;
    if (err != OXBOW_OK || !at.found || at.expired) {
        return err == OXBOW_OK ? OXBOW_ENOENT : err;
    }
    (void)catalog_name_key(key, at.database, at.hash, at.ordinal);
    e = find(c, key, sizeof key);
    if (e == NULL) {
        return OXBOW_ENOENT;
    }
    *idle_ms = (uint64_t)cache_idle(txn, e) * CACHE_TICK_MS;
    *frequency = cache_often(txn, e);
    return OXBOW_OK;
}

static bool limit_ok(const struct oxbow_cache_limit *limit)
{
    return limit->evict <= OXBOW_EVICT_VOLATILE_TTL && limit->samples <= OXBOW_EVICT_SAMPLES_MAX;
}

enum oxbow_err cache_check(const struct oxbow_config *config)
{
    bool none = config->cache_databases == 0;

    return config->cache_databases >> STORE_DATABASES != 0 || !limit_ok(&config->cache) ||
                   (!none && (config->flags & OXBOW_OPEN_READONLY) != 0)
               ? OXBOW_EINVAL
               : OXBOW_OK;
}

enum oxbow_err oxbow_cache_limit_set(struct oxbow *db, const struct oxbow_cache_limit *limit)
{
    const struct oxbow_txn_options opt = {.flags = OXBOW_TXN_READ};
    struct oxbow_txn *txn;
    enum oxbow_err err = limit == NULL || !limit_ok(limit) ? OXBOW_EINVAL : OXBOW_OK;

    if (err == OXBOW_OK) {
        err = oxbow_txn_begin(db, &opt, &txn);
    }
    if (err == OXBOW_OK) {
        db->cache.limit = *limit;
        db->cache.pooled = 0; /* their scores are of another policy */
        oxbow_txn_abort(txn);
    }
    return err;
}

void oxbow_cache_stat(const struct oxbow_txn *txn, struct oxbow_cache_stat *out)
{
    const struct cache *c = &txn->db->cache;
    uint64_t bytes = cache_bytes(c);

    *out = (struct oxbow_cache_stat){.databases = c->databases,
                                     .limit = c->limit,
                                     .bytes = bytes,
                                     .bytes_peak = bytes > c->peak ? bytes : c->peak,
                                     .evicted = c->evicted + c->evicted_new};
}
