/* SPDX-License-Identifier: Apache-2.0 */
/* Each image is judged once and fails at most once, however often it arises. */
#include "tests/crash/tally.h"

#include "tests/crash/harness.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 4096u

void tally_init(struct tally *t)
{
    *t = (struct tally){.slots_count = SLOTS_FIRST};
    t->slots = lab_alloc(t->slots_count * sizeof *t->slots);
}

void tally_next_life(struct tally *t)
{
    for (size_t i = 0; i < t->slots_count; i++) {
        free(t->slots[i]);
        t->slots[i] = NULL;
    }
    t->used = 0;
    t->saved_count = 0;
}

void tally_fini(struct tally *t)
{
    tally_next_life(t);
    free(t->slots);
}

/* ---- the table ---- */

static struct found **slot_of(struct found **slots, size_t count, uint64_t hash)
{
    size_t i = (size_t)hash & (count - 1);
    while (slots[i] != NULL && slots[i]->hash != hash)
        i = (i + 1) & (count - 1);
    return &slots[i];
}

static void grow(struct tally *t)
{
    size_t count = 2 * t->slots_count;
    struct found **slots = lab_alloc(count * sizeof *slots);
    for (size_t i = 0; i < t->slots_count; i++)
        if (t->slots[i] != NULL)
            *slot_of(slots, count, t->slots[i]->hash) = t->slots[i];
    free(t->slots);
    t->slots = slots;
    t->slots_count = count;
}

struct found *tally_find(struct tally *t, uint64_t hash, bool *is_new)
{
    struct found **slot = slot_of(t->slots, t->slots_count, hash);
    *is_new = *slot == NULL;
    if (!*is_new)
        return *slot;
    struct found *f = *slot = lab_alloc(sizeof *f);
    f->hash = hash;
    f->promise.issued = UINT64_MAX;
    if (2 * ++t->used > t->slots_count)
        grow(t);
    return f;
}

/* ---- promises ---- */

static void failed(struct tally *t, struct found *f, const char *what, const char *reason)
{
    f->failed = true;
    t->failed++;
    if (t->saved_count == TALLY_SAVED)
        return;
    t->saved[t->saved_count++] = f->state;
    printf("FAILED    after event %zu, %s %llu: %s: %s (acked %llu, written %llu, issued %llu)\n",
           f->state.event, strategy_name(f->state.strategy), (unsigned long long)f->state.ordinal,
           what, reason, (unsigned long long)f->promise.acked,
           (unsigned long long)f->promise.written, (unsigned long long)f->promise.issued);
}

static void check(struct tally *t, struct found *f)
{
    char reason[80];
    if (!f->judged || f->failed || f->verdict != VERDICT_GOOD)
        return;
    snprintf(reason, sizeof reason, "it stands at step %llu", (unsigned long long)f->step);
    if (f->step < f->promise.acked || f->step < f->promise.written) {
        t->lost++;
        failed(t, f, f->step < f->promise.acked ? "LOST" : "LOST WITHOUT A POWER CUT", reason);
    } else if (f->step > f->promise.issued) {
        t->risen++;
        failed(t, f, "FROM THE FUTURE", reason);
    } else if (f->promise.store_id != 0 && f->store_id != f->promise.store_id) {
        t->remade++;
        failed(t, f, "MADE ANEW", "the store was open and is another one now");
    }
}

void tally_tighten(struct tally *t, struct found *f, const struct state *s,
                   const struct promise *now)
{
    struct promise *p = &f->promise;
    p->acked = now->acked > p->acked ? now->acked : p->acked;
    p->issued = now->issued < p->issued ? now->issued : p->issued;
    if (s->process && now->written > p->written)
        p->written = now->written;
    if (now->store_id != 0)
        p->store_id = now->store_id;
    check(t, f);
}

/* ---- verdicts ---- */

static void count_log(struct tally *t, const char *line)
{
    for (size_t i = 0; i < TALLY_LOGS && line[0] != '\0'; i++) {
        if (t->logs[i].count == 0)
            memcpy(t->logs[i].line, line, sizeof t->logs[i].line);
        if (strcmp(t->logs[i].line, line) == 0) {
            t->logs[i].count++;
            return;
        }
    }
}

void tally_verdict(struct tally *t, struct found *f, const struct verdict *v)
{
    f->judged = true;
    f->verdict = v->kind;
    f->step = v->step;
    f->store_id = v->store_id;
    t->by_verdict[v->kind]++;
    t->deeper += v->deeper;
    for (int b = 0; b < BRANCHES; b++)
        t->by_branch[b] += v->branches >> b & 1;
    for (unsigned i = 0; i < SUBJECT_MARKS; i++)
        t->by_mark[i] += v->marks >> i & 1;
    for (unsigned i = 0; i < VERDICT_LOGS; i++)
        count_log(t, v->log[i]);
    if (v->kind != VERDICT_GOOD) {
        failed(t, f, verdict_name(v->kind), v->reason);
        return;
    }
    t->process += f->promise.written > f->promise.acked;
    *(f->step == 0                   ? &t->empty
      : f->step == f->promise.issued ? &t->at_issued
      : f->step == f->promise.acked  ? &t->at_acked
                                     : &t->between) += 1;
    check(t, f);
}

/* ---- the report ---- */

const char *tally_unseen(const struct tally *t, const char *const *marks)
{
    for (unsigned i = 0; marks != NULL && marks[i] != NULL; i++)
        if (t->by_mark[i] == 0)
            return marks[i];
    return NULL;
}

void tally_report(const struct tally *t, const char *const *marks)
{
    printf("states    %llu possible, %llu distinct; of recoveries cut short %llu; not written to "
           "afterwards %llu; where less than a power cut must leave more %llu\n",
           (unsigned long long)t->states, (unsigned long long)t->images,
           (unsigned long long)t->deeper, (unsigned long long)t->stopped,
           (unsigned long long)t->process);
    printf("strategy ");
    for (int s = 0; s < STRATEGIES; s++)
        printf(" %s %llu", strategy_name((enum strategy)s), (unsigned long long)t->by_strategy[s]);
    printf("\nrecovered at the last step issued %llu, at the last one acknowledged %llu, between "
           "%llu, empty %llu\n",
           (unsigned long long)t->at_issued, (unsigned long long)t->at_acked,
           (unsigned long long)t->between, (unsigned long long)t->empty);
    printf("branch   ");
    for (int b = 0; b < BRANCHES; b++)
        printf(" %s %llu", branch_name((enum branch)b), (unsigned long long)t->by_branch[b]);
    printf("\n");
    for (unsigned i = 0; marks != NULL && marks[i] != NULL; i++)
        printf("%s %s %llu%s", i == 0 ? "marks    " : "", marks[i],
               (unsigned long long)t->by_mark[i], marks[i + 1] == NULL ? "\n" : "");
    for (size_t i = 0; i < TALLY_LOGS && t->logs[i].count > 0; i++)
        printf("said      %7llu x %s\n", (unsigned long long)t->logs[i].count, t->logs[i].line);
    printf("verdicts ");
    for (int v = 1; v < VERDICT_KINDS; v++)
        if (t->by_verdict[v] > 0)
            printf(" %s %llu", verdict_name((enum verdict_kind)v),
                   (unsigned long long)t->by_verdict[v]);
    printf("; lost %llu, from the future %llu, made anew %llu\n", (unsigned long long)t->lost,
           (unsigned long long)t->risen, (unsigned long long)t->remade);
}
