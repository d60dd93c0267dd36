/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict on groups with options, and on what goes by time.
 *
 * Every task that its group was given is in exactly one place: with a consumer
 * or waiting for one, finished, or among the dead letters; and it was delivered
 * as often as the store says, not before its time, and not more often than is
 * allowed. Of one key, and in a group that one consumer has for itself, nothing
 * is given before what came before it is done or with the same consumer.
 *
 * The group's clock stands still while nobody knows for how long the device is
 * off, so nothing is early by the true time either. What a cut has taken back
 * leaves some of this unknown until the next delivery: it is not judged then.
 */
#include "tests/sim/year_account.h"

#include <stdio.h>

#define SLACK_MS 1500u /* rounding, and what the store's clock may repeat after a cut */

static unsigned long long ull(uint64_t n)
{
    return n;
}

/* ---- deliveries ---- */

void ruled_heard(struct account *a, uint64_t who)
{
    a->solo_holder = (uint8_t)(who + 1);
    a->solo_heard = a->txn_ms;
}

static void judge_holder(struct account *a, const struct tell *t)
{
    uint8_t who = (uint8_t)(t->v[0] + 1);
    if (a->solo_holder != 0 && a->solo_holder != HELD_BY_ANY && a->solo_holder != who &&
        a->txn_ms + SLACK_MS < a->solo_heard + EXCLUSIVE_MS)
        account_fail(a, "solo: entry %llu was given to another consumer after %llu ms",
                     ull(t->number), ull(a->txn_ms - a->solo_heard));
    ruled_heard(a, t->v[0]);
}

/* Whether one of its key that came before it is not done: when that fails, all behind it are taken
 * back from the consumer with it, whatever time they had. */
static bool stands_behind(struct account *a, const struct tell *t)
{
    for (size_t i = 0; i < a->number_count[Q_TASKS]; i++) {
        uint64_t n = a->numbers_of[Q_TASKS][i];
        const struct item *it = account_item(a, n);
        if (n >= t->number)
            break;
        if (it->state == ITEM_IN && it->removed == 0 && !it->rejected && !it->keyless &&
            year_key(n) == year_key(t->number) && (it->letter == 0 || it->letter != a->audits))
            return true;
    }
    return false;
}

void ruled_given(struct account *a, const struct tell *t, struct item *it)
{
    const char *key = year_queues[t->queue].key;
    bool taken_over = t->queue == Q_SOLO && it->holder != t->v[0] + 1;
    if (t->queue == Q_SOLO)
        judge_holder(a, t);
    if (it->removed > 0)
        account_fail(a, "%s: entry %llu was given after it was finished", key, ull(t->number));
    if (it->rejected || (t->queue == Q_TASKS && it->given >= MAX_DELIVERIES))
        account_fail(a, "%s: entry %llu was given after it was given up", key, ull(t->number));
    if (it->given > 0 && !taken_over && !it->behind && a->txn_ms + SLACK_MS < it->free_ms)
        account_fail(a, "%s: entry %llu was given again %llu ms too early", key, ull(t->number),
                     ull(it->free_ms - a->txn_ms));
    a->redelivered += it->given > 0;
    it->given++;
    it->holder = (uint8_t)(t->v[0] + 1);
    it->failed = false;
    it->given_in = a->read_no;
    it->free_ms = a->txn_ms + VISIBILITY_MS;
    it->behind = t->queue == Q_TASKS && stands_behind(a, t);
    a->reads++;
    a->last_chance = a->last_chance || (t->queue == Q_TASKS && it->given == MAX_DELIVERIES);
}

void ruled_nacked(struct account *a, const struct tell *t, struct item *it)
{
    it->failed = true;
    it->rejected = t->kind == TELL_REJECTED;
    it->free_ms = a->txn_ms + t->v[0];
}

void ruled_redriven(struct account *a, const struct tell *t, struct item *it)
{
    if (it->given != t->v[0] && it->holder != HELD_BY_ANY)
        account_fail(a, "letters: entry %llu came back after %llu deliveries, it was %u",
                     ull(t->number), ull(t->v[0]), it->given);
    a->redriven++;
    it->given = 0;
    it->holder = 0;
    it->rejected = it->failed = false;
    it->keyless = true;
    it->free_ms = 0;
}

/* Whether nothing of its key may be given to `who` while it is as it is. */
static bool stands_before(const struct item *it, enum year_queue q, uint8_t who)
{
    if (it->state != ITEM_IN || it->removed > 0 || it->rejected || it->keyless ||
        it->holder == HELD_BY_ANY || (q == Q_TASKS && it->given >= MAX_DELIVERIES))
        return false;
    return it->holder != who || it->failed;
}

/* A read is over: of each key, what it gave for the first time was next. That goes for this read
 * alone: of what an earlier one gave at the same moment, the first may have failed since, and what
 * came after it was done. */
void ruled_gave(struct account *a, const struct tell *t)
{
    enum year_queue q = (enum year_queue)t->queue;
    uint64_t before[KEYS] = {0};
    uint8_t who = (uint8_t)(t->v[0] + 1);
    for (size_t i = 0; i < a->number_count[q]; i++) {
        uint64_t n = a->numbers_of[q][i], key = q == Q_TASKS ? year_key(n) : 0;
        const struct item *it = account_item(a, n);
        bool first =
            it->state == ITEM_IN && it->given == 1 && !it->keyless && it->given_in == a->read_no;
        if (first && before[key] != 0)
            account_fail(a, "%s: entry %llu was given while %llu, of the same key, was not done",
                         year_queues[q].key, ull(n), ull(before[key]));
        if (before[key] == 0 && stands_before(it, q, who))
            before[key] = n;
    }
    if (a->last_chance && a->reads > 1)
        account_fail(a, "%s: an entry on its last delivery was not given alone",
                     year_queues[q].key);
    a->reads = 0;
    a->last_chance = false;
    a->read_no++;
}

void ruled_take_back(struct account *a, const struct tell *t, struct item *it)
{
    bool ruled = t->kind == TELL_GIVEN || t->kind == TELL_NACKED || t->kind == TELL_REJECTED ||
                 t->kind == TELL_REDRIVEN;
    if (!ruled)
        return;
    it->given -= t->kind == TELL_GIVEN;
    it->given = t->kind == TELL_REDRIVEN ? (uint8_t)t->v[0] : it->given;
    it->holder = HELD_BY_ANY;
    it->rejected = it->failed = false;
    it->free_ms = 0;
    a->duplicates -= t->kind == TELL_DUPLICATE;
}

/* ---- audits ---- */

static void see(struct account *a, enum year_queue q, struct oxbow_id *position)
{
    const char *key = year_queues[q].key;
    for (size_t i = 0; i < a->seen_count; i++) {
        const struct tell *t = &a->seen[i];
        struct item *it = account_item(a, t->number);
        if (t->queue != q)
            continue;
        if (t->kind == TELL_POSITION)
            *position = (struct oxbow_id){t->v[0], t->v[1]};
        if (t->kind != TELL_PENDING && t->kind != TELL_LETTER)
            continue;
        if (it == NULL || it->state != ITEM_IN || it->removed > 0) {
            account_fail(a, "%s: entry %llu is %s and should not be", key, ull(t->number),
                         t->kind == TELL_PENDING ? "pending" : "a dead letter");
            continue;
        }
        if (t->v[0] != it->given)
            account_fail(a, "%s: entry %llu was delivered %u times, the store says %llu", key,
                         ull(t->number), it->given, ull(t->v[0]));
        if (t->kind == TELL_LETTER && it->letter == a->audits)
            account_fail(a, "%s: there are two dead letters of entry %llu", key, ull(t->number));
        if (t->kind == TELL_LETTER && it->given < MAX_DELIVERIES && !it->rejected &&
            it->holder != HELD_BY_ANY)
            account_fail(a, "%s: entry %llu was given up after %u deliveries", key, ull(t->number),
                         it->given);
        *(t->kind == TELL_LETTER ? &it->letter : &it->pending) = a->audits;
        a->letters += t->kind == TELL_LETTER;
    }
}

static bool at_or_before(struct oxbow_id a, struct oxbow_id b)
{
    return a.ms < b.ms || (a.ms == b.ms && a.seq <= b.seq);
}

void ruled_audit(struct account *a, enum year_queue q)
{
    struct oxbow_id position = OXBOW_ID_MIN;
    a->letters = q == Q_TASKS ? 0 : a->letters;
    see(a, q, &position);
    for (size_t i = 0; i < a->number_count[q]; i++) {
        uint64_t n = a->numbers_of[q][i];
        const struct item *it = account_item(a, n);
        bool pending = it->pending == a->audits, letter = it->letter == a->audits;
        if (it->state != ITEM_IN || it->removed > 0)
            continue;
        if (pending && letter)
            account_fail(a, "%s: entry %llu is pending, and dead", year_queues[q].key, ull(n));
        else if (at_or_before(it->id, position) != (pending || letter))
            account_fail(a, "%s: entry %llu was %s, and is %s", year_queues[q].key, ull(n),
                         pending || letter ? "not read" : "read",
                         pending  ? "pending"
                         : letter ? "dead"
                                  : "neither pending nor dead nor finished");
    }
}

/* ---- time ---- */

/* All by the true time. Late is what outstays its time in the life that it was added in: how long the
 * device is off is not always known. */
static void judge_brief(struct account *a, uint64_t n, struct item *it)
{
    uint64_t due = it->added_ms + it->span_ms;
    bool here = it->here == a->audits;
    if (here && it->span_ms != 0 && it->life == a->lives && a->audit_ms > due + SLACK_MS)
        account_fail(a, "brief: entry %llu is there %llu ms after its time", ull(n),
                     ull(a->audit_ms - due));
    if (!here && (it->span_ms == 0 || a->audit_ms + SLACK_MS < due))
        account_fail(a, "brief: entry %llu is gone %llu ms before its time", ull(n),
                     ull(it->span_ms == 0 ? 0 : due - a->audit_ms));
    if (!here && it->gone_ms == 0) {
        it->gone_ms = a->audit_ms;
        a->expired++;
    }
}

static void judge_replay(struct account *a, uint64_t n, const struct item *it)
{
    if (it->here != a->audits &&
        (it->acked == 0 || a->audit_ms + SLACK_MS < it->acked_ms + KEEP_MS))
        account_fail(a, "replay: entry %llu is gone %llu ms after it was acked", ull(n),
                     ull(it->acked == 0 ? 0 : a->audit_ms - it->acked_ms));
}

/* Delayed elements are told apart by where they are: in the list they were due. */
static void judge_later(struct account *a)
{
    for (size_t i = 0; i < a->seen_count; i++) {
        const struct tell *t = &a->seen[i];
        const struct item *it = account_item(a, t->number);
        if (t->queue != Q_LATER || t->kind != TELL_HAVE || it == NULL)
            continue;
        if (a->audit_ms + SLACK_MS < it->added_ms + it->span_ms)
            account_fail(a, "later: entry %llu is there %llu ms before it is due", ull(t->number),
                         ull(it->added_ms + it->span_ms - a->audit_ms));
        a->delayed++;
    }
}

void ruled_due(struct account *a)
{
    static const enum year_queue queues[] = {Q_BRIEF, Q_REPLAY};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < a->number_count[queues[k]]; i++) {
            uint64_t n = a->numbers_of[queues[k]][i];
            struct item *it = account_item(a, n);
            if (it->state != ITEM_IN || it->removed > 0)
                continue;
            if (queues[k] == Q_BRIEF)
                judge_brief(a, n, it);
            else
                judge_replay(a, n, it);
        }
    judge_later(a);
}
