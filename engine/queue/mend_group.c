/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups after a salvage. A group's record cannot be made up: without it the group is gone, and what
 * it owned is left to the reaper. Everything else follows from what is there: names from
 * records, counts from pending entries. A consumer whose record is gone, but who has entries
 * pending, goes on as lost-NUMBER, so that they can be claimed.
 */
#include "engine/queue/mend_group.h"

#include "engine/base/buf.h"
#include "engine/base/codec.h"
#include "engine/queue/group_name.h"
#include "engine/queue/group_pending.h"
#include "engine/queue/group_rules.h"

#include <stdio.h>
#include <string.h>

#define LOST_NAME 24u

struct tally {
    uint32_t consumer;
    uint64_t pending;
};

struct work {
    struct mend_object *o;
    struct stream *s;
    struct group *g;
    struct oxbow_bytes name; /* the group's */
    struct tally *tallies;   /* by consumer */
    size_t count;
    size_t cap;
};

/* ---- keys ---- */

static size_t scope_key(uint8_t out[KV_KEY_MAX], const struct stream *s, enum stream_kind kind,
                        uint32_t scope)
{
    uint8_t tail[4];

    put_be32(tail, scope);
    return object_key(out, s->object.id, (uint8_t)kind, tail, sizeof tail);
}

/* The first key at or after the one in `key` whose first `prefix` bytes are the same; it takes its
 * place. The value, borrowed, may be bad: OXBOW_ECORRUPT. OXBOW_ENOENT. */
static enum oxbow_err next_key(struct oxbow_txn *txn, uint8_t key[KV_KEY_MAX], size_t *len,
                               size_t prefix, struct oxbow_bytes *value)
{
    struct oxbow_bytes k;
    struct kv_cursor c;
    enum oxbow_err err = kv_cursor_init(&c, txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek(&c, (struct oxbow_bytes){key, *len}, &k, value);
    if ((err == OXBOW_OK || err == OXBOW_ECORRUPT) &&
        (c.key_len < prefix || memcmp(c.key, key, prefix) != 0)) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK || err == OXBOW_ECORRUPT) {
        memcpy(key, c.key, c.key_len);
        *len = c.key_len;
    }
    kv_cursor_fini(&c);
    return err;
}

/* ---- tallies ---- */

static enum oxbow_err tally_get(struct work *w, uint32_t consumer, struct tally **out)
{
    const struct oxbow_alloc *alloc = &txn_port(w->o->txn)->alloc;
    size_t low = 0;
    size_t high = w->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (w->tallies[mid].consumer < consumer) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (low == w->count || w->tallies[low].consumer != consumer) {
        if (w->count == w->cap) {
            size_t cap = w->cap == 0 ? 16 : w->cap * 2;
            struct tally *t =
                alloc->resize(alloc->ctx, w->tallies, w->cap * sizeof *t, cap * sizeof *t);

            if (t == NULL) {
                return OXBOW_ENOMEM;
            }
            w->tallies = t;
            w->cap = cap;
        }
        memmove(w->tallies + low + 1, w->tallies + low, (w->count - low) * sizeof *w->tallies);
        w->tallies[low] = (struct tally){.consumer = consumer};
        w->count++;
    }
    *out = &w->tallies[low];
    return OXBOW_OK;
}

/* ---- pending entries ---- */

static enum oxbow_err count_chunk(struct work *w, const struct pending_view *v, uint64_t *alive)
{
    size_t i;

    *alive = 0;
    for (i = 0; i < v->count; i++) {
        struct pending p;
        struct tally *t;
        enum oxbow_err err;

        if (!pending_view_alive(v, i)) {
            continue;
        }
        pending_view_get(v, i, &p);
        ++*alive;
        if (p.consumer == 0) {
            continue;
        }
        err = tally_get(w, p.consumer, &t);
        if (err != OXBOW_OK) {
            return err;
        }
        t->pending++;
    }
    return OXBOW_OK;
}

/* Counts what is pending; chunks that cannot be read, or hold nothing, go. */
static enum oxbow_err count_pending(struct work *w)
{
    struct group *g = w->g;
    uint8_t key[KV_KEY_MAX];
    size_t prefix = scope_key(key, w->s, STREAM_KIND_PENDING, g->number);
    size_t len = prefix;

    g->pending = 0;
    g->pending_low = OXBOW_ID_MAX;
    g->pending_tail = OXBOW_ID_MIN;
    for (;;) {
        struct oxbow_bytes value;
        struct pending_view v;
        uint64_t alive = 0;
        enum oxbow_err err = next_key(w->o->txn, key, &len, prefix, &value);

        if (err == OXBOW_ENOENT) {
            return OXBOW_OK;
        }
        if (err == OXBOW_OK && len == prefix + ID_KEY_LEN) {
            err = pending_view_init(&v, value);
            if (err == OXBOW_OK) {
                err = count_chunk(w, &v, &alive);
            }
        }
        if (err != OXBOW_OK && err != OXBOW_ECORRUPT) {
            return err;
        }
        if (alive > 0) {
            struct oxbow_id base = id_from_key(key + prefix);

            g->pending += alive;
            g->pending_low = id_compare(base, g->pending_low) < 0 ? base : g->pending_low;
            g->pending_tail = base;
        } else {
            err = kv_del(w->o->txn, (struct oxbow_bytes){key, len});
            if (err != OXBOW_OK) {
                return err;
            }
        }
        if (len == KV_KEY_MAX) {
            return OXBOW_ECORRUPT;
        }
        key[len++] = 0;
    }
}

static enum oxbow_err tell_pending(struct work *w, uint64_t lost)
{
    return mend_tell(w->o, (struct oxbow_loss){.kind = OXBOW_LOSS_PENDING,
                                               .group = w->name,
                                               .first = OXBOW_ID_MIN,
                                               .last = w->g->last,
                                               .entries = lost});
}

/* ---- consumers ---- */

/* Sees to it that each consumer's record can be read, is found by its name, and has a tally. */
static enum oxbow_err list_consumers(struct work *w)
{
    struct names names = consumer_name_table(w->g);
    const struct oxbow_alloc *alloc = &txn_port(w->o->txn)->alloc;
    uint8_t key[KV_KEY_MAX];
    size_t prefix = scope_key(key, w->s, STREAM_KIND_CONSUMER, w->g->number);
    size_t len = prefix;

    w->g->consumers = 0;
    for (;;) {
        struct oxbow_bytes value, name;
        struct tally *t;
        uint32_t number;
        uint8_t *copy;
        enum oxbow_err err = next_key(w->o->txn, key, &len, prefix, &value);

        if (err == OXBOW_ENOENT) {
            return OXBOW_OK;
        }
        if (err == OXBOW_OK && len == prefix + 4) {
            err = record_check(&names, value);
        }
        if (err != OXBOW_OK || len != prefix + 4) {
            return err == OXBOW_OK ? OXBOW_ECORRUPT : err;
        }
        number = get_be32(key + prefix);
        name = record_name(&names, value);
        copy = mem_new(alloc, name.len + 1);
        if (copy == NULL) {
            return OXBOW_ENOMEM;
        }
        memcpy(copy, name.data, name.len);
        err = name_restore(&names, (struct oxbow_bytes){copy, name.len}, number);
        mem_free(alloc, copy, name.len + 1);
        if (err == OXBOW_OK) {
            err = tally_get(w, number, &t);
        }
        if (err != OXBOW_OK) {
            return err;
        }
        w->g->consumers++;
        if (number >= w->g->consumer_next) {
            w->g->consumer_next = number + 1;
        }
        key[len++] = 0;
    }
}

/* A consumer who has entries pending, but no record any more. */
static enum oxbow_err make_lost(struct work *w, uint32_t number)
{
    struct consumer c = {.number = number, .seen_ms = group_now(w->g)};
    char text[LOST_NAME];
    struct oxbow_bytes name = {text, (size_t)snprintf(text, sizeof text, "lost-%u", number)};
    enum oxbow_err err = consumer_make(w->g, name, &c);

    if (number >= w->g->consumer_next) {
        w->g->consumer_next = number + 1;
    }
    w->g->consumers++;
    return err != OXBOW_OK
               ? err
               : mend_tell(w->o, (struct oxbow_loss){.kind = OXBOW_LOSS_CONSUMER, .group = name});
}

static enum oxbow_err set_counts(struct work *w)
{
    size_t i;

    for (i = 0; i < w->count; i++) {
        struct consumer c;
        uint32_t number = w->tallies[i].consumer;
        enum oxbow_err err = consumer_load(w->g, number, &c, NULL);

        if (err == OXBOW_ECORRUPT) {
            err = make_lost(w, number);
            if (err == OXBOW_OK) {
                err = consumer_load(w->g, number, &c, NULL);
            }
        }
        if (err == OXBOW_OK && c.pending != w->tallies[i].pending) {
            c.pending = w->tallies[i].pending;
            err = consumer_save(w->g, &c);
        }
        if (err != OXBOW_OK) {
            return err;
        }
    }
    return OXBOW_OK;
}

static enum oxbow_err prune(const struct names *names)
{
    uint32_t number;
    enum oxbow_err err;

    do {
        err = name_prune(names, &number);
    } while (err == OXBOW_OK);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* ---- one group ---- */

/* Options that are lost are told as the loss of a group: somebody has to set them again. */
static enum oxbow_err mend_rules(struct work *w)
{
    bool lost;
    enum oxbow_err err = rules_mend(w->g, &lost);

    return err == OXBOW_OK && lost
               ? mend_tell(w->o, (struct oxbow_loss){.kind = OXBOW_LOSS_GROUP, .group = w->name})
               : err;
}

static enum oxbow_err mend_group(struct work *w)
{
    struct group was = *w->g;
    struct names names = consumer_name_table(w->g);
    enum oxbow_err err = prune(&names);

    if (err == OXBOW_OK) {
        err = list_consumers(w);
    }
    if (err == OXBOW_OK) {
        err = count_pending(w);
    }
    if (err == OXBOW_OK) {
        err = set_counts(w);
    }
    if (err == OXBOW_OK && w->g->ruled) {
        err = mend_rules(w);
    }
    if (err == OXBOW_OK && w->g->pending < was.pending) {
        err = tell_pending(w, was.pending - w->g->pending);
    }
    if (err == OXBOW_OK && (was.pending != w->g->pending || was.consumers != w->g->consumers ||
                            was.consumer_next != w->g->consumer_next ||
                            id_compare(was.pending_low, w->g->pending_low) != 0 ||
                            id_compare(was.pending_tail, w->g->pending_tail) != 0)) {
        err = group_save(w->g);
    }
    return err;
}

struct each_group {
    struct mend_object *o;
    struct stream *s;
    uint32_t count;
    uint32_t next;   /* above all numbers */
    uint32_t buried; /* and told */
};

static enum oxbow_err on_group(void *ctx, struct group *g, struct oxbow_bytes name)
{
    struct each_group *e = ctx;
    const struct oxbow_alloc *alloc = &txn_port(e->o->txn)->alloc;
    struct work w = {.o = e->o, .s = e->s, .g = g};
    struct names names = group_name_table(e->s);
    uint8_t *copy = mem_new(alloc, name.len + 1);
    enum oxbow_err err;

    if (copy == NULL) {
        return OXBOW_ENOMEM;
    }
    memcpy(copy, name.data, name.len);
    w.name = (struct oxbow_bytes){copy, name.len};
    err = name_restore(&names, w.name, g->number);
    if (err == OXBOW_OK) {
        err = mend_group(&w);
    }
    e->count++;
    e->next = g->number >= e->next ? g->number + 1 : e->next;
    mem_free(alloc, w.tallies, w.cap * sizeof *w.tallies);
    mem_free(alloc, copy, name.len + 1);
    return err;
}

/* ---- what belongs to groups that are gone ---- */

static enum oxbow_err tell_group(struct each_group *e)
{
    return mend_tell(e->o, (struct oxbow_loss){.kind = OXBOW_LOSS_GROUP,
                                               .object = e->o->object.id,
                                               .entries = e->buried});
}

static enum oxbow_err is_there(const struct stream *s, enum stream_kind kind, uint32_t number,
                               bool *there)
{
    struct names names = group_name_table(s);
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err;

    if (kind == STREAM_KIND_GROUP) {
        err = kv_get(s->txn, record_key(key, &names, number), &value);
    } else {
        err = kv_get(s->txn, (struct oxbow_bytes){key, scope_key(key, s, kind, number)}, &value);
    }
    *there = err == OXBOW_OK;
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Whether records of groups may be lost. */
static bool records_lost(const struct each_group *e)
{
    uint8_t low[KV_KEY_MAX];
    uint8_t high[KV_KEY_MAX];
    uint64_t id = e->o->object.id;

    return mend_may_be_lost(
        e->o->mend, (struct oxbow_bytes){low, object_key(low, id, STREAM_KIND_GROUP, NULL, 0)},
        (struct oxbow_bytes){high, object_key(high, id, STREAM_KIND_GROUP + 1, NULL, 0)});
}

static enum oxbow_err bury(struct each_group *e, uint32_t number)
{
    struct stream *s = e->s;
    uint8_t key[KV_KEY_MAX];
    enum oxbow_err err = tell_group(e);

    e->buried++;

    return err != OXBOW_OK ? err
                           : kv_put(s->txn,
                                    (struct oxbow_bytes){
                                        key, scope_key(key, s, STREAM_KIND_DEAD_GROUP, number)},
                                    (struct oxbow_bytes){"", 0});
}

/* Whatever a group owns that has neither a record nor a grave. */
static enum oxbow_err bury_strays(struct each_group *e, enum stream_kind kind)
{
    struct stream *s = e->s;
    uint8_t key[KV_KEY_MAX];
    size_t prefix = object_key(key, s->object.id, (uint8_t)kind, NULL, 0);
    size_t len = prefix;

    for (;;) {
        struct oxbow_bytes value;
        uint32_t number;
        bool there;
        enum oxbow_err err = next_key(s->txn, key, &len, prefix, &value);

        if (err == OXBOW_ENOENT || len < prefix + 4) {
            return OXBOW_OK;
        }
        if (err != OXBOW_OK) {
            return err;
        }
        number = get_be32(key + prefix);
        e->next = number >= e->next ? number + 1 : e->next;
        err = is_there(s, STREAM_KIND_GROUP, number, &there);
        if (err == OXBOW_OK && !there) {
            err = is_there(s, STREAM_KIND_DEAD_GROUP, number, &there);
        }
        if (err == OXBOW_OK && !there) {
            err = bury(e, number);
        }
        if (err != OXBOW_OK || number == UINT32_MAX) {
            return err;
        }
        put_be32(key + prefix, number + 1);
        len = prefix + 4;
    }
}

static enum oxbow_err count_dead(const struct stream *s, uint32_t *count)
{
    uint8_t key[KV_KEY_MAX];
    size_t prefix = object_key(key, s->object.id, STREAM_KIND_DEAD_GROUP, NULL, 0);
    size_t len = prefix;

    for (*count = 0;; ++*count) {
        struct oxbow_bytes value;
        enum oxbow_err err = next_key(s->txn, key, &len, prefix, &value);

        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
        if (len == KV_KEY_MAX) {
            return OXBOW_ECORRUPT;
        }
        key[len++] = 0;
    }
}

/* Names of groups that lead nowhere: their records are lost. */
static enum oxbow_err prune_groups(struct each_group *e)
{
    struct stream *s = e->s;
    struct names names = group_name_table(s);
    enum oxbow_err err;

    for (;;) {
        uint32_t number = 0;
        bool there = true;

        err = name_prune(&names, &number);
        if (err == OXBOW_OK) {
            err = is_there(s, STREAM_KIND_DEAD_GROUP, number, &there);
        }
        if (err == OXBOW_OK && !there) {
            err = bury(e, number);
        }
        if (err != OXBOW_OK) {
            return err == OXBOW_ENOENT ? OXBOW_OK : err;
        }
    }
}

enum oxbow_err mend_groups(struct mend_object *o, struct stream *s, bool *changed)
{
    static const enum stream_kind owned[] = {
        STREAM_KIND_CONSUMER_NAME, STREAM_KIND_CONSUMER, STREAM_KIND_PENDING,
        STREAM_KIND_DEAD_GROUP,    STREAM_KIND_RULES,    STREAM_KIND_NOTE,
        STREAM_KIND_LOOK,          STREAM_KIND_LOOK_AT,  STREAM_KIND_KEY,
        STREAM_KIND_KEY_LINE,      STREAM_KIND_SERVED};
    struct each_group e = {.o = o, .s = s, .next = s->group_next};
    uint32_t dead = 0;
    size_t i;
    enum oxbow_err err = prune_groups(&e);

    for (i = 0; i < sizeof owned / sizeof owned[0] && err == OXBOW_OK; i++) {
        err = bury_strays(&e, owned[i]);
    }
    if (err == OXBOW_OK) {
        err = group_each(s, on_group, &e);
    }
    if (err == OXBOW_OK && s->made && e.count + e.buried == 0 && records_lost(&e)) {
        err = tell_group(&e); /* the stream's count is lost as well: there may have been some */
    }
    while (err == OXBOW_OK && s->groups > e.count + e.buried) {
        err = tell_group(&e); /* lost without a trace but for the count */
        e.buried++;
    }
    if (err == OXBOW_OK) {
        err = count_dead(s, &dead);
    }
    *changed = s->groups != e.count || s->groups_dead != dead || s->group_next != e.next;
    s->groups = e.count;
    s->groups_dead = dead;
    s->group_next = e.next;
    return err;
}
