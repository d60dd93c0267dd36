/* SPDX-License-Identifier: Apache-2.0 */
/* The book-keeping: no judgement of entries here, but of order, durability and the clock. */
#include "tests/sim/year_account.h"

#include "tests/crash/harness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRINT_MAX      12u
#define REPEATED_MS    1000u /* of the store's clock, after a cut */
#define CLOCK_SLACK_MS 1000u /* rounding, and the time between two readings */

void account_open(struct account *a, uint64_t seed)
{
    memset(a, 0, sizeof *a);
    a->seed = seed;
}

void account_close(struct account *a)
{
    for (int q = 0; q < QUEUES; q++) {
        free(a->gaps[q]);
        free(a->numbers_of[q]);
    }
    free(a->items);
    free(a->told);
    free(a->seen);
}

void account_fail(struct account *a, const char *format, ...)
{
    va_list ap;
    if (a->failures++ >= PRINT_MAX)
        return;
    printf("  seed %llu: ", (unsigned long long)a->seed);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    printf("\n");
}

struct item *account_item(struct account *a, uint64_t number)
{
    return number > 0 && number <= a->numbers ? &a->items[number] : NULL;
}

struct item *account_make(struct account *a, uint64_t number)
{
    if (number >= a->room) {
        uint64_t room = number * 2 + 1024;
        a->items = lab_grow(a->items, room * sizeof *a->items);
        memset(a->items + a->room, 0, (room - a->room) * sizeof *a->items);
        a->room = room;
    }
    if (number > a->numbers)
        a->numbers = number;
    return &a->items[number];
}

static void keep(struct tell **list, size_t *count, size_t *room, const struct tell *t)
{
    if (*count == *room) {
        *room = *room * 2 + 256;
        *list = lab_grow(*list, *room * sizeof **list);
    }
    (*list)[(*count)++] = *t;
}

/* ---- what transactions do ---- */

static void once(struct account *a, const struct tell *t, uint8_t *count, const char *what)
{
    if (++*count > 1)
        account_fail(a, "%s: entry %llu was %s twice", year_queues[t->queue].key,
                     (unsigned long long)t->number, what);
}

static void count_add(struct account *a, const struct tell *t, struct item *it)
{
    bool again = (t->queue == Q_ONCE || t->queue == Q_IDS) && it->state == ITEM_LOST;
    if (it->state != ITEM_NEVER && !again)
        account_fail(a, "entry %llu was told twice", (unsigned long long)t->number);
    it->queue = (uint8_t)t->queue;
    it->state = ITEM_IN;
    it->id = (struct oxbow_id){t->v[0], t->v[1]};
    it->added_ms = a->txn_ms;
    it->clock_ms = a->txn_clock;
    it->span_ms = t->v[2];
    it->life = (uint32_t)t->v[3];
}

static void count_pop(struct account *a, const struct tell *t, struct item *it)
{
    once(a, t, &it->popped, "popped");
    if (t->queue == Q_LATER && a->txn_ms + REPEATED_MS < it->added_ms + it->span_ms)
        account_fail(a, "later: entry %llu was popped %llu ms before it was due",
                     (unsigned long long)t->number,
                     (unsigned long long)(it->added_ms + it->span_ms - a->txn_ms));
}

static void count_duplicate(struct account *a, const struct tell *t, const struct item *it)
{
    a->duplicates++;
    if (t->queue == Q_IDS && (it->id.ms != t->v[0] || it->id.seq != t->v[1]))
        account_fail(a, "ids: entry %llu was said to be there under another id",
                     (unsigned long long)t->number);
}

static void count_effect(struct account *a, const struct tell *t)
{
    if (t->kind == TELL_TXN) {
        a->txn_ms = t->v[0];
        a->txn_clock = t->v[1];
        a->done = t->number;
        return;
    }
    if (t->kind == TELL_MISSED) {
        a->missed[t->queue] += t->v[0];
        return;
    }
    if (t->kind == TELL_GAVE) {
        ruled_gave(a, t);
        return;
    }
    struct item *it = t->kind == TELL_ADD ? account_make(a, t->number) : account_item(a, t->number);
    if (it == NULL || (t->kind != TELL_ADD && it->state != ITEM_IN)) {
        account_fail(a, "%s: entry %llu was %s and never accepted", year_queues[t->queue].key,
                     (unsigned long long)t->number,
                     t->kind == TELL_DUPLICATE ? "said to be there" : "handed out");
        return;
    }
    switch (t->kind) {
    case TELL_ADD:
        count_add(a, t, it);
        break;
    case TELL_POP:
        count_pop(a, t, it);
        break;
    case TELL_READ:
        once(a, t, &it->read, "read as new");
        break;
    case TELL_ACK:
        once(a, t, &it->acked, "acked");
        it->acked_ms = a->txn_ms;
        break;
    case TELL_REMOVED:
        once(a, t, &it->removed, "finished");
        if (t->queue == Q_SOLO)
            ruled_heard(a, t->v[0]);
        break;
    case TELL_DEAD:
        once(a, t, &it->dead, "put to the dead");
        break;
    case TELL_GIVEN:
        ruled_given(a, t, it);
        break;
    case TELL_NACKED:
    case TELL_REJECTED:
        ruled_nacked(a, t, it);
        break;
    case TELL_REDRIVEN:
        ruled_redriven(a, t, it);
        break;
    case TELL_DUPLICATE:
        count_duplicate(a, t, it);
        break;
    default:
        break;
    }
}

static void take_back(struct account *a, const struct tell *t)
{
    if (t->kind == TELL_MISSED)
        a->missed[t->queue] -= t->v[0];
    struct item *it = account_item(a, t->number);
    if (t->kind == TELL_TXN || t->kind == TELL_MISSED || t->kind == TELL_GAVE || it == NULL)
        return;
    ruled_take_back(a, t, it);
    it->state = t->kind == TELL_ADD ? ITEM_LOST : it->state;
    it->popped -= t->kind == TELL_POP;
    it->read -= t->kind == TELL_READ;
    it->acked -= t->kind == TELL_ACK;
    it->removed -= t->kind == TELL_REMOVED;
    it->dead -= t->kind == TELL_DEAD;
    a->taken_back += t->kind == TELL_ADD;
}

static void count_told(struct account *a)
{
    while (a->done_count < a->told_count)
        count_effect(a, &a->told[a->done_count++]);
}

static void forget_aborted(struct account *a)
{
    while (a->told_count > a->done_count)
        a->told_count--;
    a->aborted++;
}

/* Of what is durable only the rest can be taken back. */
static void settle(struct account *a, uint64_t serial)
{
    size_t n = 0;
    while (n < a->told_count && !(a->told[n].kind == TELL_TXN && a->told[n].number > serial)) {
        if (a->told[n].kind == TELL_TXN)
            a->durable_clock_ms = a->told[n].v[1];
        n++;
    }
    if (n > 0)
        memmove(a->told, a->told + n, (a->told_count - n) * sizeof *a->told);
    a->told_count -= n;
    a->done_count -= n < a->done_count ? n : a->done_count;
    a->durable = serial > a->durable ? serial : a->durable;
    a->written = a->written > a->durable ? a->written : a->durable;
}

/* ---- lives ---- */

void account_life(struct account *a, bool machine_up)
{
    a->machine_up = machine_up;
    a->lives++;
    a->opened = a->ended = a->closed = false;
    a->open_clock_ms = 0;
}

/* The next life stands at that transaction. */
static void stand_at(struct account *a, uint64_t serial)
{
    if (serial < a->durable)
        account_fail(a, "the store stands at transaction %llu, %llu was durable",
                     (unsigned long long)serial, (unsigned long long)a->durable);
    else if (a->machine_up && serial < a->written)
        account_fail(a,
                     "the store stands at transaction %llu after the end of a process, %llu "
                     "was handed to the system",
                     (unsigned long long)serial, (unsigned long long)a->written);
    if (serial > a->serial)
        account_fail(a, "the store stands at transaction %llu, which was never told",
                     (unsigned long long)serial);
    size_t end = a->told_count;
    for (size_t i = a->told_count; i > 0; i--)
        if (a->told[i - 1].kind == TELL_TXN && a->told[i - 1].number > serial)
            end = i - 1;
    for (size_t i = a->done_count; i > end; i--)
        take_back(a, &a->told[i - 1]);
    if (a->done_count > end)
        a->solo_holder = HELD_BY_ANY;
    a->told_count = end;
    a->done_count = a->done_count < end ? a->done_count : end;
    count_told(a);
    a->done = a->written = a->durable = serial;
    settle(a, serial);
}

static void judge_clock(struct account *a, uint64_t true_ms, uint64_t clock_ms)
{
    /* A store that a cut left unmade begins anew, with a wall clock that may stand where it stood. */
    if (a->first_clock_ms == 0)
        a->first_clock_ms = clock_ms;
    if (clock_ms > a->first_clock_ms + (true_ms - START_MS) + CLOCK_SLACK_MS && !a->clock_ahead) {
        a->clock_ahead = true;
        account_fail(a, "the store's clock has gone %llu ms, %llu ms have passed",
                     (unsigned long long)(clock_ms - a->first_clock_ms),
                     (unsigned long long)(true_ms - START_MS));
    }
    a->last_clock_ms = clock_ms;
    a->true_ms = true_ms > a->true_ms ? true_ms : a->true_ms;
}

static void hear_open(struct account *a, const struct tell *t)
{
    a->opened = true;
    if (getenv("YEAR_TRACE") != NULL)
        printf("  opened at %llu, store's clock %llu, transaction %llu (%llu "
               "durable)\n",
               (unsigned long long)(t->v[3] - START_MS), (unsigned long long)t->v[1],
               (unsigned long long)t->v[0], (unsigned long long)a->durable);
    stand_at(a, t->v[0]);
    if (t->v[1] + REPEATED_MS < a->durable_clock_ms)
        account_fail(a, "the store's clock shows %llu, %llu was durable",
                     (unsigned long long)t->v[1], (unsigned long long)a->durable_clock_ms);
    judge_clock(a, t->v[3], t->v[1]);
}

static void hear_txn(struct account *a, const struct tell *t)
{
    if (t->number <= a->serial)
        account_fail(a, "transaction %llu comes after %llu", (unsigned long long)t->number,
                     (unsigned long long)a->serial);
    a->serial = t->number;
    if (t->v[1] < a->last_clock_ms)
        account_fail(a, "the store's clock went back from %llu to %llu",
                     (unsigned long long)a->last_clock_ms, (unsigned long long)t->v[1]);
    if (a->open_clock_ms == 0) {
        a->open_clock_ms = t->v[1];
        a->open_uptime_ms = t->v[2];
    } else if (t->v[1] - a->open_clock_ms + CLOCK_SLACK_MS < t->v[2] - a->open_uptime_ms) {
        account_fail(a, "the store's clock has gone %llu ms, and was open for %llu",
                     (unsigned long long)(t->v[1] - a->open_clock_ms),
                     (unsigned long long)(t->v[2] - a->open_uptime_ms));
    }
    judge_clock(a, t->v[0], t->v[1]);
    keep(&a->told, &a->told_count, &a->told_room, t);
}

static void hear_add(struct account *a, const struct tell *t)
{
    uint64_t **list = &a->numbers_of[t->queue];
    size_t *count = &a->number_count[t->queue], *room = &a->number_room[t->queue];
    struct tell noted = *t;
    noted.v[3] = a->lives; /* what a cut left open is counted in the next one */
    (void)account_make(a, t->number);
    keep(&a->told, &a->told_count, &a->told_room, &noted);
    if (*count > 0 && (*list)[*count - 1] >= t->number)
        return; /* sent again */
    if (*count == *room) {
        *room = *room * 2 + 256;
        *list = lab_grow(*list, *room * sizeof **list);
    }
    (*list)[(*count)++] = t->number;
}

static void hear_refused(struct account *a, const struct tell *t)
{
    struct item *it = account_make(a, t->number);
    it->state = ITEM_REFUSED;
    it->queue = (uint8_t)t->queue;
    a->refused[t->queue]++;
}

static void hear_done(struct account *a, const struct tell *t)
{
    count_told(a);
    a->done = t->number;
    if (t->v[1] != 0)
        a->written = t->number;
    if (t->v[0] != 0)
        settle(a, t->number);
}

static void hear_link(struct account *a, const struct tell *t)
{
    a->link_entries += t->number;
    a->link_drops += t->v[1];
    a->lost_replies += t->v[2];
}

void account_hear(struct account *a, const struct tell *t)
{
    switch ((enum tell_kind)t->kind) {
    case TELL_OPEN:
        hear_open(a, t);
        break;
    case TELL_TXN:
        hear_txn(a, t);
        break;
    case TELL_ADD:
        hear_add(a, t);
        break;
    case TELL_GIVEN:
    case TELL_GAVE:
    case TELL_NACKED:
    case TELL_REJECTED:
    case TELL_REDRIVEN:
    case TELL_DUPLICATE:
    case TELL_POP:
    case TELL_READ:
    case TELL_ACK:
    case TELL_REMOVED:
    case TELL_DEAD:
    case TELL_MISSED:
        keep(&a->told, &a->told_count, &a->told_room, t);
        break;
    case TELL_REFUSED:
        hear_refused(a, t);
        break;
    case TELL_TRIED:
        a->tried[t->queue] = t->number;
        break;
    case TELL_ABORTED:
        forget_aborted(a);
        break;
    case TELL_DONE:
        hear_done(a, t);
        break;
    case TELL_DURABLE:
        settle(a, t->number);
        break;
    case TELL_TIME:
        a->true_ms = t->v[0] > a->true_ms ? t->v[0] : a->true_ms;
        break;
    case TELL_LOOK:
        judge_look(a, t);
        break;
    case TELL_AUDIT:
        a->seen_count = 0;
        a->audit_ms = t->v[0];
        keep(&a->seen, &a->seen_count, &a->seen_room, t);
        break;
    case TELL_HAVE:
    case TELL_POSITION:
    case TELL_LETTER:
    case TELL_WAITING:
    case TELL_PENDING:
    case TELL_DROPS:
    case TELL_GAP:
    case TELL_FORWARD:
        keep(&a->seen, &a->seen_count, &a->seen_room, t);
        break;
    case TELL_AUDITED:
        judge_audit(a);
        break;
    case TELL_LINK:
        hear_link(a, t);
        break;
    case TELL_FAIL:
        account_fail(a, "the device saw %s (line %llu)", oxbow_err_name((enum oxbow_err)t->v[0]),
                     (unsigned long long)t->v[1]);
        break;
    case TELL_END:
        a->ended = true;
        a->closed = t->v[0] != 0;
        break;
    }
}
