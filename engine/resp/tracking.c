/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients have read and may keep copies of, and what has changed of it. The messages: tracking_send.c.
 *
 * The table has a key for each that was read by a client that tracks, with the numbers of those clients in their
 * order. As in Redis it knows names alone: a key counts as changed when one of its name is in any database. A
 * client that is gone stays in it until the key goes.
 *
 * 1. A key that changes leaves the table at once: who reads it afterwards has read something else.
 * 2. What cannot be kept is told as changed: the keys that were read first when there are too many, everything
 *    when names do not fit. What cannot be noted at all is not read.
 */
#include "engine/resp/tracking.h"

#include "engine/base/codec.h"
#include "engine/base/hash.h"
#include "engine/resp/args.h"
#include "engine/resp/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SLOTS_MIN   1024u
#define SLOTS_MAX   (1u << 24)
#define READERS_MIN 2u

/* ---- the table ---- */

static size_t size_of(const struct resp_tracked *k)
{
    return sizeof *k + k->len + 1 + k->reader_cap * sizeof k->readers[0];
}

static void key_free(struct oxbow_resp *s, struct resp_tracked *k)
{
    link_remove(&k->link);
    mem_free(resp_alloc(s), k->readers, k->reader_cap * sizeof k->readers[0]);
    mem_free(resp_alloc(s), k, sizeof *k + k->len + 1);
}

void resp_tracked_free(struct oxbow_resp *s, struct link *ring)
{
    while (!link_alone(ring)) {
        key_free(s, LINK_OF(ring->next, struct resp_tracked, link));
    }
}

static struct resp_tracked **slot_of(const struct resp_track *t, uint64_t hash)
{
    return &t->slots[hash & (t->slot_count - 1)];
}

static struct resp_tracked *key_find(const struct resp_track *t, struct oxbow_bytes name,
                                     uint64_t hash)
{
    struct resp_tracked *k = t->slot_count > 0 ? *slot_of(t, hash) : NULL;

    while (k != NULL && !(k->hash == hash && k->len == name.len &&
                          (name.len == 0 || memcmp(k->name, name.data, name.len) == 0))) {
        k = k->next;
    }
    return k;
}

/* Twice as many slots, if there is memory for them: without it the lines of keys get longer. */
static void slots_grow(struct oxbow_resp *s)
{
    struct resp_track *t = &s->track;
    uint32_t count = t->slot_count == 0 ? SLOTS_MIN : t->slot_count * 2;
    struct resp_tracked **old = t->slots;
    uint32_t old_count = t->slot_count;
    struct resp_tracked **more = mem_new(resp_alloc(s), count * sizeof(struct resp_tracked *));

    if (more == NULL) {
        return;
    }
    t->slots = more;
    t->slot_count = count;
    for (uint32_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct resp_tracked *k = old[i];
            struct resp_tracked **slot = slot_of(t, k->hash);

            old[i] = k->next;
            k->next = *slot;
            *slot = k;
        }
    }
    mem_free(resp_alloc(s), old, old_count * sizeof(struct resp_tracked *));
}

static struct resp_tracked *key_make(struct oxbow_resp *s, struct oxbow_bytes name, uint64_t hash)
{
    struct resp_track *t = &s->track;
    struct resp_tracked **slot;
    struct resp_tracked *k;

    if (t->keys >= t->slot_count && t->slot_count < SLOTS_MAX) {
        slots_grow(s);
    }
    k = t->slot_count > 0 && name.len < UINT32_MAX
            ? mem_new(resp_alloc(s), sizeof *k + name.len + 1)
            : NULL;
    if (k == NULL) {
        return NULL;
    }
    link_init(&k->link);
    k->hash = hash;
    k->len = (uint32_t)name.len;
    if (name.len > 0) {
        memcpy(k->name, name.data, name.len);
    }
    slot = slot_of(t, hash);
    k->next = *slot;
    *slot = k;
    link_add(&t->oldest, &k->link);
    t->keys++;
    t->bytes += size_of(k);
    return k;
}

/* Takes the key out of the table: its readers are to be told. */
static void key_changed(struct oxbow_resp *s, struct resp_tracked *k, uint64_t by)
{
    struct resp_track *t = &s->track;
    struct resp_tracked **at = slot_of(t, k->hash);

    while (*at != k) {
        at = &(*at)->next;
    }
    *at = k->next;
    t->keys--;
    t->items -= k->reader_count;
    t->bytes -= size_of(k);
    k->by = by;
    t->some = true;
    link_remove(&k->link);
    link_add(&t->changed, &k->link);
}

/* ---- readers ---- */

static bool readers_grow(struct oxbow_resp *s, struct resp_tracked *k)
{
    const struct oxbow_alloc *alloc = resp_alloc(s);
    uint32_t cap = k->reader_cap == 0 ? READERS_MIN : k->reader_cap * 2;
    uint64_t *more =
        alloc->resize(alloc->ctx, k->readers, k->reader_cap * sizeof *more, cap * sizeof *more);

    if (more == NULL) {
        return false;
    }
    s->track.bytes += (cap - k->reader_cap) * sizeof *more;
    k->readers = more;
    k->reader_cap = cap;
    return true;
}

static bool reader_add(struct oxbow_resp *s, struct resp_tracked *k, uint64_t id)
{
    uint32_t low = 0;
    uint32_t high = k->reader_count;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (k->readers[mid] < id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (low < k->reader_count && k->readers[low] == id) {
        return true;
    }
    if (k->reader_count == k->reader_cap && !readers_grow(s, k)) {
        return false;
    }
    memmove(k->readers + low + 1, k->readers + low, (k->reader_count - low) * sizeof k->readers[0]);
    k->readers[low] = id;
    k->reader_count++;
    s->track.items++;
    return true;
}

/* What was read first is forgotten, and told, while there is more than may be. */
static void keep_limits(struct oxbow_resp *s)
{
    struct resp_track *t = &s->track;

    while (t->keys > 0 &&
           ((t->keys_max > 0 && t->keys > t->keys_max) || t->bytes > RESP_TRACKED_BYTES_MAX)) {
        key_changed(s, LINK_OF(t->oldest.next, struct resp_tracked, link), 0);
    }
}

static enum oxbow_err remember(const struct oxbow_resp_client *c, struct oxbow_bytes name)
{
    struct oxbow_resp *s = c->server;
    uint64_t hash = hash64(name.data, name.len, 0);
    struct resp_tracked *k = key_find(&s->track, name, hash);

    if (k == NULL) {
        k = key_make(s, name, hash);
    }
    if (k == NULL || !reader_add(s, k, c->id)) {
        return OXBOW_ENOMEM; /* a key without readers goes when it changes, or as the oldest */
    }
    return OXBOW_OK;
}

bool resp_track_caching(const struct oxbow_resp_client *c)
{
    const struct resp_tracking *t = &c->tracking;

    return t->caching && (t->caching_upto == 0 || c->request <= t->caching_upto);
}

/* Requests that are put back come again with their numbers, so that CACHING still holds for the one that it was
 * given for. As in Redis that is a whole transaction, and never a CLIENT. */
void resp_track_ran(struct oxbow_resp_client *c, const struct resp_command *row)
{
    struct resp_tracking *t = &c->tracking;

    if (t->caching && t->caching_upto == 0 && !c->multi.on &&
        (row == NULL || strncmp(row->name, "client|", 7) != 0)) {
        t->caching_upto = c->request;
    }
}

/* Of a script all keys count that it was given, when it reads any. */
enum oxbow_err resp_track_read(const struct resp_call *call)
{
    const struct oxbow_resp_client *c = call->client;
    const struct resp_tracking *t = &c->tracking;
    const struct resp_call *from = call->script != NULL ? call->script->call : call;
    struct resp_keys keys;

    if (!t->on || t->bcast || call->again || (call->row->flags & RESP_READONLY) == 0 ||
        call->row->categories == RESP_CAT_SCRIPTING || (t->optin && !resp_track_caching(c)) ||
        (t->optout && resp_track_caching(c)) ||
        resp_command_keys(from->row, from->args, from->count, &keys) != RESP_KEYS_FOUND) {
        return OXBOW_OK;
    }
    for (uint32_t i = 0; i < resp_keys_count(&keys); i++) {
        enum oxbow_err err = remember(c, from->args[resp_keys_at(&keys, i)]);

        if (err != OXBOW_OK) {
            return err;
        }
    }
    keep_limits(call->server);
    return OXBOW_OK;
}

/* ---- changes ---- */

/* A command may change a key in several steps: it is told once. */
static bool name_is_last(const struct resp_track *t, const uint8_t head[RESP_CHANGED_HEAD],
                         struct oxbow_bytes key)
{
    const uint8_t *last;

    if (t->names.len == t->names_told) {
        return false;
    }
    last = t->names.data + t->names_last;
    return memcmp(last, head, RESP_CHANGED_HEAD) == 0 &&
           (key.len == 0 || memcmp(last + RESP_CHANGED_HEAD, key.data, key.len) == 0);
}

static void name_add(struct resp_track *t, uint64_t by, struct oxbow_bytes key)
{
    size_t at = t->names.len;
    uint8_t head[RESP_CHANGED_HEAD];

    t->some = true;
    if (key.len > RESP_CHANGED_BYTES_MAX) {
        t->names_lost = true;
        return;
    }
    put_le64(head, by);
    put_le32(head + 8, (uint32_t)key.len);
    if (name_is_last(t, head, key)) {
        return;
    }
    if (buf_append(&t->names, head, sizeof head) != OXBOW_OK ||
        (key.len > 0 && buf_append(&t->names, key.data, key.len) != OXBOW_OK)) {
        t->names.len = at;
        t->names_lost = true;
        return;
    }
    t->names_last = at;
}

void resp_track_changed(struct oxbow_resp *s, const struct oxbow_resp_client *by,
                        struct oxbow_bytes key)
{
    struct resp_track *t = &s->track;
    uint64_t id = by != NULL ? by->id : 0;
    struct resp_tracked *k;

    if (t->keys > 0) {
        k = key_find(t, key, hash64(key.data, key.len, 0));
        if (k != NULL) {
            key_changed(s, k, id);
        }
    }
    if (!link_alone(&t->bcasts) && !t->names_lost) {
        name_add(t, id, key);
    }
}

static void forget_all(struct oxbow_resp *s)
{
    struct resp_track *t = &s->track;

    resp_tracked_free(s, &t->oldest);
    mem_free(resp_alloc(s), t->slots, t->slot_count * sizeof(struct resp_tracked *));
    t->slots = NULL;
    t->slot_count = 0;
    t->keys = 0;
    t->items = 0;
    t->bytes = 0;
}

void resp_track_all(struct oxbow_resp *s)
{
    if (s->track.clients > 0) {
        s->track.all = true;
        s->track.some = true;
    }
    forget_all(s);
}

/* ---- life ---- */

void resp_track_init(struct oxbow_resp *s)
{
    struct resp_track *t = &s->track;

    link_init(&t->oldest);
    link_init(&t->changed);
    link_init(&t->told);
    link_init(&t->bcasts);
    buf_init(&t->names, resp_alloc(s), RESP_CHANGED_BYTES_MAX);
    t->keys_max = RESP_TRACKED_KEYS;
}

void resp_track_fini(struct oxbow_resp *s)
{
    struct resp_track *t = &s->track;

    resp_tracked_free(s, &t->oldest);
    resp_tracked_free(s, &t->changed);
    resp_tracked_free(s, &t->told);
    buf_fini(&t->names);
    mem_free(resp_alloc(s), t->slots, t->slot_count * sizeof(struct resp_tracked *));
}

void resp_track_client_init(struct oxbow_resp_client *c)
{
    link_init(&c->tracking.prefixes);
    link_init(&c->tracking.bcasts);
}

void resp_track_end(struct oxbow_resp_client *c)
{
    struct resp_tracking *t = &c->tracking;
    struct oxbow_resp *s = c->server;

    while (!link_alone(&t->prefixes)) {
        struct resp_prefix *p = LINK_OF(t->prefixes.next, struct resp_prefix, of_client);

        link_remove(&p->of_client);
        mem_free(resp_alloc(s), p, sizeof *p + p->len + 1);
        s->track.prefixes--;
    }
    link_remove(&t->bcasts);
    if (t->on) {
        s->track.clients--;
    }
    *t = (struct resp_tracking){.on = false};
    resp_track_client_init(c);
    if (s->track.clients == 0) {
        forget_all(s); /* there is nobody left to be told */
    }
}

/* ---- the setting ---- */

void resp_get_track_keys(struct oxbow_resp *s, char *out)
{
    (void)snprintf(out, RESP_VALUE_MAX, "%" PRIu64, s->track.keys_max);
}

bool resp_set_track_keys(struct oxbow_resp *s, struct oxbow_bytes value)
{
    int64_t keys;

    if (!resp_arg_int(value, &keys)) {
        s->set_why = "argument couldn't be parsed into an integer";
        return false;
    }
    if (keys < 0) {
        s->set_why = "argument must be between 0 and 9223372036854775807 inclusive";
        return false;
    }
    s->track.keys_max = (uint64_t)keys;
    keep_limits(s);
    resp_track_tell(s); /* outside of batches */
    resp_track_settle(s, true);
    return true;
}
