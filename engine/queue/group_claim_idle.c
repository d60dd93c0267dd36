/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claiming what has been idle the longest: XREADGROUP ... CLAIM of Redis 8.4. Pending entries are kept
 * by id, so all that may be idle enough is looked at, and the oldest of it are picked: a chunk in which
 * nothing is old enough costs a look at its header (group_pending.h).
 *
 * The picks are a heap with the one on top that would be claimed last, so that as many are in memory as
 * are claimed. What the stream has no more is not picked.
 */
#include "engine/base/buf.h"
#include "engine/base/result.h"
#include "engine/queue/group_claim.h"
#include "engine/queue/wait.h"

#define ALARM_LEAST_MS 50u /* who found nothing at all does not look again sooner */

struct pick {
    struct oxbow_id id;
    uint64_t age_ms;
    bool returned;
};

struct picks {
    struct pick *heap;
    size_t count;
    size_t max;
};

/* ---- the heap ---- */

/* What was given back first, then by the last delivery; entries of one delivery by their ids. */
static bool pick_before(const struct pick *a, const struct pick *b)
{
    if (a->returned != b->returned) {
        return a->returned;
    }
    if (a->age_ms != b->age_ms) {
        return a->age_ms < b->age_ms;
    }
    return id_compare(a->id, b->id) < 0;
}

static void pick_swap(struct pick *a, struct pick *b)
{
    struct pick was = *a;

    *a = *b;
    *b = was;
}

static void heap_up(struct pick *heap, size_t at)
{
    while (at > 0 && pick_before(&heap[(at - 1) / 2], &heap[at])) {
        pick_swap(&heap[(at - 1) / 2], &heap[at]);
        at = (at - 1) / 2;
    }
}

static void heap_down(struct pick *heap, size_t count)
{
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < count && pick_before(&heap[child], &heap[child + 1])) {
            child++;
        }
        if (child >= count || !pick_before(&heap[at], &heap[child])) {
            return;
        }
        pick_swap(&heap[at], &heap[child]);
        at = child;
    }
}

static bool picks_want(const struct picks *p, const struct pick *pick)
{
    return p->count < p->max || pick_before(pick, &p->heap[0]);
}

static void picks_add(struct picks *p, const struct pick *pick)
{
    if (p->count < p->max) {
        p->heap[p->count] = *pick;
        heap_up(p->heap, p->count++);
        return;
    }
    p->heap[0] = *pick;
    heap_down(p->heap, p->count);
}

/* In the order in which they are claimed. The heap is none any more. */
static void picks_sort(struct picks *p)
{
    for (size_t left = p->count; left > 1; left--) {
        pick_swap(&p->heap[0], &p->heap[left - 1]);
        heap_down(p->heap, left - 1);
    }
}

/* ---- picking ---- */

/* Whether the entry may be had: in a group with rules nobody's entries come back by themselves. */
static bool may_have(const struct claim *c, const struct pending *p)
{
    return p->consumer != 0 || claim_returned(c, p);
}

static enum oxbow_err pick_all(struct claim *c, struct picks *picks)
{
    struct pending_walk w;
    struct pending p;
    enum oxbow_err err;

    pending_walk_init(&w, &c->table, OXBOW_ID_MIN);
    w.age_max_ms = c->now > c->min_idle_ms ? c->now - c->min_idle_ms : 0;
    w.or_nobodys = true;
    while ((err = pending_walk_next(&w, &p)) == OXBOW_OK) {
        struct pick pick = {.id = p.id, .age_ms = p.age_ms, .returned = claim_returned(c, &p)};

        if (!may_have(c, &p) || !claim_idle_enough(c, &p) || !picks_want(picks, &pick)) {
            continue;
        }
        err = stream_entry_find(c->group->stream, p.id, NULL);
        if (err == OXBOW_OK) {
            picks_add(picks, &pick);
        } else if (err != OXBOW_ENOENT) {
            return err;
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err claim_picks(struct claim *c, struct picks *picks)
{
    enum oxbow_err err = OXBOW_OK;

    picks_sort(picks);
    for (size_t i = 0; err == OXBOW_OK && i < picks->count; i++) {
        struct pending p;

        err = pending_find(&c->table, picks->heap[i].id, &p);
        if (err == OXBOW_OK) {
            err = claim_take(c, &p);
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_ECORRUPT : err;
}

/* ---- when there is nothing ---- */

/* Nothing was idle enough: when the first that the stream has will be, or what is delivered now. */
static enum oxbow_err idle_next(struct claim *c, uint64_t *in_ms)
{
    struct pending_walk w;
    struct pending p;
    enum oxbow_err err;

    *in_ms = c->min_idle_ms > ALARM_LEAST_MS ? c->min_idle_ms : ALARM_LEAST_MS;
    pending_walk_init(&w, &c->table, OXBOW_ID_MIN);
    while ((err = pending_walk_next(&w, &p)) == OXBOW_OK) {
        uint64_t at = p.age_ms + c->min_idle_ms;

        if (!may_have(c, &p)) {
            continue;
        }
        err = stream_entry_find(c->group->stream, p.id, NULL);
        if (err == OXBOW_OK && at > c->now) {
            *in_ms = at - c->now < *in_ms ? at - c->now : *in_ms;
            if (p.age_ms == 0) {
                return OXBOW_OK;
            }
            w.age_max_ms = p.age_ms - 1; /* only what is older is sooner */
        } else if (err != OXBOW_OK && err != OXBOW_ENOENT) {
            return err;
        }
    }
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

static enum oxbow_err alarm_set(struct claim *c)
{
    struct stream *s = c->group->stream;
    uint64_t in_ms = 0;
    enum oxbow_err err = OXBOW_OK;

    if (c->got > 0 || !wait_alarm_wanted(s->txn)) {
        return OXBOW_OK;
    }
    err = idle_next(c, &in_ms);
    if (err == OXBOW_OK) {
        wait_alarm(s->txn, &s->object, in_ms);
    }
    return err;
}

/* ---- all of it ---- */

/* How many the consumer may claim. */
static enum oxbow_err room_of(struct claim *c, uint64_t wanted, size_t *room)
{
    struct group *g = c->group;
    const struct group_rules *r = &g->rules;
    uint64_t most = wanted > 0 && wanted < OXBOW_CLAIM_IDLE_MAX ? wanted : OXBOW_CLAIM_IDLE_MAX;
    struct consumer who = {0};
    enum oxbow_err err = OXBOW_OK;

    most = most < g->pending ? most : g->pending;
    if (g->ruled && (r->exclusive_ms > 0 || r->prefetch > 0)) {
        err = consumer_find(g, c->name, &who);
        err = err == OXBOW_ENOENT ? OXBOW_OK : err;
    }
    if (g->ruled && r->exclusive_ms > 0 && r->holder != 0 && r->holder != who.number) {
        most = 0;
    }
    if (g->ruled && r->prefetch > 0) {
        uint64_t left = who.pending < r->prefetch ? r->prefetch - who.pending : 0;

        most = most < left ? most : left;
    }
    *room = (size_t)most;
    return err;
}

static enum oxbow_err claim_oldest(struct claim *c, size_t room)
{
    const struct oxbow_alloc *alloc = &txn_port(c->group->stream->txn)->alloc;
    struct picks picks = {.max = room};
    enum oxbow_err err;

    if (room == 0) {
        return OXBOW_OK;
    }
    picks.heap = mem_new(alloc, room * sizeof *picks.heap);
    if (picks.heap == NULL) {
        return OXBOW_ENOMEM;
    }
    err = pick_all(c, &picks);
    if (err == OXBOW_OK) {
        err = claim_picks(c, &picks);
    }
    mem_free(alloc, picks.heap, room * sizeof *picks.heap);
    return err;
}

/* Nothing is written down when nothing was claimed: polling must not wear the flash. */
static enum oxbow_err finish(struct claim *c, enum oxbow_err err)
{
    if (err == OXBOW_OK) {
        err = alarm_set(c);
    }
    if (err != OXBOW_OK || c->got > 0) {
        return claim_finish(c, err, false);
    }
    pending_close(&c->table);
    result_finish(c->result);
    return OXBOW_OK;
}

enum oxbow_err oxbow_group_claim_idle(struct oxbow_txn *txn, struct oxbow_group group,
                                      struct oxbow_bytes consumer,
                                      const struct oxbow_claim_idle_options *opt,
                                      struct oxbow_result *result)
{
    struct stream s;
    struct group g;
    struct claim c = {.group = &g, .name = consumer, .result = result};
    size_t room = 0;
    enum oxbow_err err = opt == NULL ? OXBOW_EINVAL : claim_check(txn, consumer);

    if (err == OXBOW_OK) {
        c.min_idle_ms = opt->min_idle_ms;
        err = group_find_any(txn, group, &s, &g);
    }
    if (err == OXBOW_OK) {
        err = claim_begin(&c);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    err = room_of(&c, opt->count, &room);
    if (err == OXBOW_OK) {
        err = claim_oldest(&c, room);
    }
    return finish(&c, err);
}
