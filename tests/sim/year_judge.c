/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict. Each accepted entry has exactly one fate: arrived at the target, popped, acked and
 * removed, put to the dead, dropped by a rule that its queue has and its store has counted, id by
 * id, or still there. What a rule drops are the oldest, and not one more than it must.
 */
#include "tests/sim/year_account.h"

#include <stdio.h>
#include <string.h>

#define EARLY_SLACK_MS 1000u

static unsigned long long ull(uint64_t n)
{
    return n;
}

static int id_order(struct oxbow_id a, struct oxbow_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.seq < b.seq ? -1 : a.seq > b.seq;
}

/* ---- what is there ---- */

static void judge_have(struct account *a, const struct tell *t, uint64_t *last, uint64_t *count)
{
    const char *key = year_queues[t->queue].key;
    struct item *it = account_item(a, t->number);
    bool dead = t->queue == Q_DEAD;
    if (it == NULL || it->state != ITEM_IN) {
        account_fail(a, "%s: entry %llu is there and was %s", key, ull(t->number),
                     it != NULL && it->state == ITEM_LOST      ? "taken back"
                     : it != NULL && it->state == ITEM_REFUSED ? "refused"
                                                               : "never accepted");
        return;
    }
    if (it->queue != (dead ? (uint32_t)Q_JOBS : t->queue) || (dead && it->dead == 0))
        account_fail(a, "%s: entry %llu is in the wrong queue", key, ull(t->number));
    if (it->here == a->audits && !dead)
        account_fail(a, "%s: entry %llu is there twice", key, ull(t->number));
    if (!dead && (it->popped > 0 || it->removed > 0))
        account_fail(a, "%s: entry %llu is there again after it was %s", key, ull(t->number),
                     it->popped > 0 ? "popped" : "finished");
    if (!dead && !year_queues[t->queue].list &&
        id_order(it->id, (struct oxbow_id){t->v[0], t->v[1]}) != 0)
        account_fail(a, "%s: entry %llu has another id", key, ull(t->number));
    if (t->number <= *last && !dead && t->queue != Q_LATER)
        account_fail(a, "%s: entry %llu comes after %llu", key, ull(t->number), ull(*last));
    *last = t->number;
    ++*count;
    if (!dead) {
        it->here = a->audits;
        it->gone_ms = 0;
    }
}

static bool is_here(const struct account *a, const struct item *it)
{
    return it->here == a->audits;
}

/* Accepted, and neither there nor taken by a consumer. */
static bool is_gone(const struct account *a, const struct item *it)
{
    return it->state == ITEM_IN && !is_here(a, it) && it->popped == 0 && it->removed == 0;
}

/* ---- what was dropped ---- */

static uint64_t causes_of(enum year_queue q)
{
    const struct oxbow_policy *p = &year_queues[q].policy;
    uint64_t causes = 0;
    if (p->max_age_ms != 0)
        causes |= 1u << OXBOW_DROP_AGE;
    if (p->max_entries != 0 && p->on_full == OXBOW_POLICY_DROP_OLDEST)
        causes |= 1u << OXBOW_DROP_LENGTH;
    if (p->max_bytes != 0 && p->on_full == OXBOW_POLICY_DROP_OLDEST)
        causes |= 1u << OXBOW_DROP_BYTES;
    if (p->on_full == OXBOW_POLICY_DROP_OLDEST)
        causes |= 1u << OXBOW_DROP_QUOTA;
    if (q == Q_BRIEF)
        causes |= 1u << OXBOW_DROP_AGE;
    if (year_queues[q].group && p->on_full != OXBOW_POLICY_DROP_OLDEST)
        causes |= 1u << OXBOW_DROP_DELIVERED;
    return causes;
}

/* Entries of a gap, by the account. In a list it is the n-th that was dropped. */
static uint64_t gone_between(struct account *a, enum year_queue q, const struct tell *gap)
{
    const struct oxbow_id from = {gap->v[0], gap->v[1]}, to = {gap->v[2], gap->v[3]};
    uint64_t count = 0, nth = 0;
    for (uint64_t n = 1; n <= a->numbers; n++) {
        const struct item *it = &a->items[n];
        if (it->queue != q || !is_gone(a, it))
            continue;
        nth++;
        const struct oxbow_id at = year_queues[q].list ? (struct oxbow_id){0, nth} : it->id;
        count += id_order(from, at) <= 0 && id_order(at, to) <= 0;
    }
    return count;
}

static void judge_drops(struct account *a, enum year_queue q, uint64_t gone)
{
    const char *key = year_queues[q].key;
    uint64_t dropped = 0, in_gaps = 0;
    for (size_t i = 0; i < a->seen_count; i++) {
        const struct tell *t = &a->seen[i];
        if (t->queue != q)
            continue;
        if (t->kind == TELL_DROPS) {
            dropped += t->v[0];
            if (t->v[0] > 0 && (causes_of(q) >> t->number & 1) == 0)
                account_fail(a, "%s: %llu entries dropped for %s, which is no rule of it", key,
                             ull(t->v[0]), oxbow_drop_cause_name((enum oxbow_drop_cause)t->number));
        } else if (t->kind == TELL_GAP) {
            uint64_t counted = gone_between(a, q, t);
            in_gaps += t->number;
            if (counted != t->number)
                account_fail(a, "%s: a gap from %llu-%llu to %llu-%llu of %llu entries, it is %llu",
                             key, ull(t->v[0]), ull(t->v[1]), ull(t->v[2]), ull(t->v[3]),
                             ull(t->number), ull(counted));
        }
    }
    if (dropped != gone || in_gaps != gone)
        account_fail(a, "%s: %llu entries are gone, %llu were counted as dropped, %llu in gaps",
                     key, ull(gone), ull(dropped), ull(in_gaps));
}

struct queue_sum {
    uint64_t in, here, gone, first_here, last_gone, last_gone_unacked;
};

static struct queue_sum sum_up(struct account *a, enum year_queue q)
{
    struct queue_sum s = {.first_here = UINT64_MAX};
    for (uint64_t n = 1; n <= a->numbers; n++) {
        const struct item *it = &a->items[n];
        if (it->queue != q || it->state != ITEM_IN)
            continue;
        s.in++;
        if (is_here(a, it)) {
            s.here++;
            s.first_here = n < s.first_here ? n : s.first_here;
        } else if (is_gone(a, it)) {
            s.gone++;
            s.last_gone = n;
            s.last_gone_unacked = it->acked == 0 ? n : s.last_gone_unacked;
        }
    }
    return s;
}

/* Entries, as the device tells. */
static uint64_t dropped_by(const struct account *a, enum year_queue q, enum oxbow_drop_cause cause)
{
    uint64_t entries = 0;
    for (size_t i = 0; i < a->seen_count; i++) {
        const struct tell *t = &a->seen[i];
        if (t->kind == TELL_DROPS && t->queue == q && t->number == cause)
            entries += t->v[0];
    }
    return entries;
}

static void judge_queue(struct account *a, enum year_queue q)
{
    const struct year_queue_kind *kind = &year_queues[q];
    const struct oxbow_policy *p = &kind->policy;
    struct queue_sum s = sum_up(a, q);
    /* A forward's budget drops the oldest that were not sent: what was is held
   * for a while. */
    if (s.gone > 0 && s.last_gone > s.first_here && q != Q_BRIEF &&
        kind->budget_full != OXBOW_FULL_DROP_OLDEST)
        account_fail(a, "%s: entry %llu is gone, and %llu, which is older, is there", kind->key,
                     ull(s.last_gone), ull(s.first_here));
    if (kind->forwarded)
        return; /* the target has the rest, or a gap of it: judge_end */
    if (!year_limited(q)) {
        if (s.gone > 0)
            account_fail(a, "%s: %llu entries are gone, the last is %llu", kind->key, ull(s.gone),
                         ull(s.last_gone));
        return;
    }
    judge_drops(a, q, s.gone);
    if (p->max_entries != 0 && s.here > p->max_entries)
        account_fail(a, "%s: %llu entries, %llu are allowed", kind->key, ull(s.here),
                     ull(p->max_entries));
    if (q == Q_RING && s.gone > 0 && s.here != p->max_entries &&
        dropped_by(a, q, OXBOW_DROP_QUOTA) == 0)
        account_fail(a, "%s: entries were dropped, and only %llu are there", kind->key,
                     ull(s.here));
    if (q == Q_BLOCK && s.last_gone_unacked > 0)
        account_fail(a, "%s: entry %llu was dropped and never acked", kind->key,
                     ull(s.last_gone_unacked));
}

/* ---- groups ---- */

static void judge_pending(struct account *a)
{
    uint64_t pending = 0, should = 0;
    for (size_t i = 0; i < a->seen_count; i++) {
        const struct tell *t = &a->seen[i];
        struct item *it = t->kind == TELL_PENDING ? account_item(a, t->number) : NULL;
        if (t->kind != TELL_PENDING || year_queues[t->queue].options != NULL)
            continue;
        pending++;
        if (it == NULL || it->read == 0 || it->acked > 0 || it->removed > 0)
            account_fail(a, "%s: entry %llu (%llu-%llu) is pending and should not be",
                         year_queues[t->queue].key, ull(t->number), ull(t->v[1]), ull(t->v[2]));
    }
    for (uint64_t n = 1; n <= a->numbers; n++) {
        const struct item *it = &a->items[n];
        should += it->state == ITEM_IN && it->read > 0 && it->acked == 0 && it->removed == 0;
    }
    if (pending != should)
        account_fail(a, "%llu entries are pending, it should be %llu", ull(pending), ull(should));
}

/* A reader is told what it missed: at least what was dropped before it came. */
static void judge_missed(struct account *a)
{
    uint64_t unread = 0, last_read = 0;
    for (uint64_t n = 1; n <= a->numbers; n++)
        if (a->items[n].queue == Q_RING && a->items[n].state == ITEM_IN && a->items[n].read > 0)
            last_read = n;
    for (uint64_t n = 1; n < last_read; n++)
        unread +=
            a->items[n].queue == Q_RING && a->items[n].state == ITEM_IN && a->items[n].read == 0;
    if (a->missed[Q_RING] < unread || (unread == 0 && a->missed[Q_RING] > 0))
        account_fail(a, "ring: its reader missed %llu entries and was told of %llu", ull(unread),
                     ull(a->missed[Q_RING]));
}

static void judge_dead(struct account *a, uint64_t there)
{
    uint64_t dead = 0;
    for (uint64_t n = 1; n <= a->numbers; n++) {
        const struct item *it = &a->items[n];
        dead += it->state == ITEM_IN && it->dead > 0;
        if (it->state == ITEM_IN && it->queue == Q_JOBS && year_poison(n) &&
            it->removed != it->dead)
            account_fail(a, "jobs: poison %llu is finished %u times and dead %u times", ull(n),
                         it->removed, it->dead);
    }
    if (dead != there)
        account_fail(a, "dead: %llu entries, it should be %llu", ull(there), ull(dead));
}

void judge_audit(struct account *a)
{
    uint64_t last[QUEUES] = {0}, count[QUEUES] = {0};
    a->audits++;
    memset(a->drops, 0, sizeof a->drops);
    for (size_t i = 0; i < a->seen_count; i++) {
        const struct tell *t = &a->seen[i];
        if (t->kind == TELL_HAVE || t->kind == TELL_WAITING)
            judge_have(a, t, &last[t->queue], &count[t->queue]);
        if (t->kind == TELL_DROPS)
            a->drops[t->number] += t->v[0];
        if (t->kind == TELL_FORWARD) {
            a->backlog[t->queue] = t->number;
            a->forward_gaps[t->queue] = t->v[1];
        }
    }
    for (int q = 0; q < QUEUES; q++)
        if (!year_grave((enum year_queue)q))
            judge_queue(a, (enum year_queue)q);
    for (int q = 0; q < QUEUES; q++)
        if (year_queues[q].options != NULL)
            ruled_audit(a, (enum year_queue)q);
    ruled_due(a);
    judge_pending(a);
    judge_missed(a);
    judge_dead(a, count[Q_DEAD]);
}

/* ---- time ---- */

void judge_look(struct account *a, const struct tell *t)
{
    uint64_t max_age_ms = year_queues[t->queue].policy.max_age_ms;
    for (uint64_t n = 1; n <= a->numbers; n++) {
        struct item *it = &a->items[n];
        if (it->queue != t->queue || it->state != ITEM_IN || it->gone_ms != 0 ||
            (t->number != 0 && n >= t->number))
            continue;
        it->gone_ms = t->v[2];
        a->looked_gone++;
        if (it->gone_ms - it->added_ms + EARLY_SLACK_MS < max_age_ms)
            account_fail(a, "%s: entry %llu is gone after %llu ms", year_queues[t->queue].key,
                         ull(n), ull(it->gone_ms - it->added_ms));
    }
}

/* ---- the end ---- */

static void judge_forwarded(struct account *a, uint64_t n, const struct item *it)
{
    const char *key = year_queues[it->queue].key;
    if (it->at_target > 1)
        account_fail(a, "%s: entry %llu arrived %u times", key, ull(n), it->at_target);
    else if (it->at_target == 1 && it->state != ITEM_IN)
        account_fail(a, "%s: entry %llu arrived and was never accepted", key, ull(n));
    else if (it->state == ITEM_IN && it->at_target == 0 && it->in_gap == 0)
        account_fail(a, "%s: entry %llu (%llu-%llu) neither arrived nor is it in a gap%s", key,
                     ull(n), ull(it->id.ms), ull(it->id.seq), is_here(a, it) ? ", but here" : "");
    else if (it->at_target == 1 && it->in_gap > 0)
        account_fail(a, "%s: entry %llu arrived, and is in a gap", key, ull(n));
    else if (it->in_gap > 1)
        account_fail(a, "%s: entry %llu is in two gaps", key, ull(n));
}

static void judge_target_gaps(struct account *a, enum year_queue q)
{
    for (size_t i = 0; i < a->gap_count[q]; i++) {
        const struct target_gap *g = &a->gaps[q][i];
        uint64_t count = 0;
        for (uint64_t n = 1; n <= a->numbers; n++) {
            struct item *it = &a->items[n];
            if (it->queue != q || it->state != ITEM_IN || id_order(it->id, g->from) < 0 ||
                id_order(g->to, it->id) < 0)
                continue;
            it->in_gap++;
            count++;
        }
        if (g->entries != UINT64_MAX && count != g->entries)
            account_fail(a,
                         "%s: a gap at the target from %llu-%llu to %llu-%llu says "
                         "%llu entries, it is %llu",
                         year_queues[q].key, ull(g->from.ms), ull(g->from.seq), ull(g->to.ms),
                         ull(g->to.seq), ull(g->entries), ull(count));
    }
    if (a->gap_count[q] > 0 && year_queues[q].budget == 0)
        account_fail(a, "%s: gaps at the target, and no budget", year_queues[q].key);
}

struct fates {
    uint64_t in, target, gap, popped, removed, dead, here, dropped;
};

static void print_fates(const struct fates fates[QUEUES])
{
    printf("  %-7s %8s %8s %8s %8s %8s %8s %8s %8s\n", "queue", "accepted", "arrived", "in gaps",
           "popped", "finished", "of: dead", "dropped", "here");
    for (int q = 0; q < QUEUES; q++) {
        const struct fates *f = &fates[q];
        if (!year_grave((enum year_queue)q))
            printf("  %-7s %8llu %8llu %8llu %8llu %8llu %8llu %8llu %8llu\n", year_queues[q].key,
                   ull(f->in), ull(f->target), ull(f->gap), ull(f->popped), ull(f->removed),
                   ull(f->dead), ull(f->dropped), ull(f->here));
    }
}

void judge_end(struct account *a, bool print)
{
    struct fates fates[QUEUES] = {{0}};
    for (int q = 0; q < QUEUES; q++) {
        const struct item *tried = account_item(a, a->tried[q]);
        judge_target_gaps(a, (enum year_queue)q);
        if (!year_grave((enum year_queue)q) && (tried == NULL || tried->state != ITEM_IN))
            account_fail(a, "%s: takes nothing any more", year_queues[q].key);
    }
    for (uint64_t n = 1; n <= a->numbers; n++) {
        const struct item *it = &a->items[n];
        struct fates *f = &fates[it->queue];
        if (it->state == ITEM_NEVER && it->at_target == 0)
            continue;
        if (year_queues[it->queue].forwarded || it->at_target > 0)
            judge_forwarded(a, n, it);
        f->in += it->state == ITEM_IN;
        f->target += it->at_target;
        f->gap += it->in_gap > 0;
        f->popped += it->popped;
        f->removed += it->removed;
        f->dead += it->dead;
        f->here += is_here(a, it);
        f->dropped += is_gone(a, it) && !year_queues[it->queue].forwarded;
    }
    if (print)
        print_fates(fates);
}
