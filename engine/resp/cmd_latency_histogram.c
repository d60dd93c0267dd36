/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LATENCY HISTOGRAM: how long each command took, as the number of calls up to each of a row of times of which
 * every one is twice the one before.
 *
 * The times are Redis': nanoseconds from 1024 on, doubled, each with what a counter of two digits' precision
 * cannot tell from it, and printed in microseconds: 1, 2, 4, 8, 16, 33, 66 ... What takes longer than a second
 * counts as a second. A command that waited is counted when it is served, without the wait; one of EXEC or a script
 * too, besides what it is part of.
 */
#include "engine/resp/args.h"
#include "engine/resp/server.h"

#include <stdio.h>

#define NS_FIRST 1032u       /* the first time that is above the first step */
#define NS_MAX   1000000000u /* a second */
#define US_LAST  1073741u    /* of the last step: Redis' counters end there */

/* What step s reaches up to. */
static uint64_t step_ns(uint32_t s)
{
    return ((uint64_t)NS_FIRST << s) - 1;
}

static uint64_t step_us(uint32_t s)
{
    return s + 1 < RESP_HISTOGRAM_STEPS ? step_ns(s) / 1000 : US_LAST;
}

static uint32_t step_of(uint64_t us)
{
    uint64_t ns = us < NS_MAX / 1000 ? us * 1000 : NS_MAX;
    uint32_t s = 0;

    while (s + 1 < RESP_HISTOGRAM_STEPS && ns > step_ns(s)) {
        s++;
    }
    return s;
}

/* The row's place, or the free one where it belongs: there are fewer rows than places. */
static struct resp_histogram **place_of(struct oxbow_resp *s, const struct resp_command *row)
{
    struct resp_histogram **places = s->latency.histograms;
    uintptr_t at = (uintptr_t)row / sizeof *row;

    while (places[at % RESP_COMMAND_SLOTS] != NULL && places[at % RESP_COMMAND_SLOTS]->row != row) {
        at++;
    }
    return &places[at % RESP_COMMAND_SLOTS];
}

void resp_histogram_ran(const struct resp_call *call, uint64_t us)
{
    struct resp_histogram **place = place_of(call->server, call->row);

    if (*place == NULL) {
        *place = mem_new(resp_alloc(call->server), sizeof **place);
        if (*place == NULL) {
            return; /* a count of times is not worth an error of the command */
        }
        (*place)->row = call->row;
    }
    (*place)->calls++;
    (*place)->steps[step_of(us)]++;
}

void resp_histograms_forget(struct oxbow_resp *s)
{
    for (size_t i = 0; i < RESP_COMMAND_SLOTS; i++) {
        mem_free(resp_alloc(s), s->latency.histograms[i], sizeof *s->latency.histograms[i]);
        s->latency.histograms[i] = NULL;
    }
}

/* ---- the command ---- */

/* Empty steps are left out. How many entries were added to the reply's map. */
static size_t tell(struct resp_reply *r, const struct resp_histogram *h)
{
    struct resp_later steps;
    uint64_t sum = 0;
    size_t n = 0;

    if (h == NULL) {
        return 0;
    }
    resp_bulk_text(r, h->row->name);
    resp_map(r, 2);
    resp_bulk_text(r, "calls");
    resp_int(r, (int64_t)h->calls);
    resp_bulk_text(r, "histogram_usec");
    steps = resp_map_later(r);
    for (uint32_t s = 0; s < RESP_HISTOGRAM_STEPS; s++) {
        if (h->steps[s] > 0) {
            sum += h->steps[s];
            resp_int(r, (int64_t)step_us(s));
            resp_int(r, (int64_t)sum);
            n++;
        }
    }
    resp_later_set(r, steps, n);
    return 1;
}

/* The command's, and those of its subcommands. */
static size_t tell_of(struct resp_call *call, struct oxbow_bytes name)
{
    struct oxbow_resp *s = call->server;
    const struct resp_command *row = resp_table_find_full(&s->table, name);
    size_t n = 0;

    if (row == NULL) {
        return 0;
    }
    n = tell(call->reply, *place_of(s, row));
    for (const struct resp_command *sub = row->subs; sub != NULL && sub->name != NULL; sub++) {
        n += tell(call->reply, *place_of(s, sub));
    }
    return n;
}

enum oxbow_err resp_latency_histogram(struct resp_call *call)
{
    struct resp_later later = resp_map_later(call->reply);
    size_t n = 0;

    for (uint32_t i = 2; i < call->count; i++) {
        n += tell_of(call, call->args[i]);
    }
    for (size_t i = 0; call->count == 2 && i < RESP_COMMAND_SLOTS; i++) {
        n += tell(call->reply, call->server->latency.histograms[i]);
    }
    resp_later_set(call->reply, later, n);
    return OXBOW_OK;
}

/* ---- the setting ---- */

void resp_get_tracking(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    (void)snprintf(out, RESP_VALUE_MAX, "%s", s->latency.tracking ? "yes" : "no");
}

bool resp_set_tracking(struct oxbow_resp *s, struct oxbow_bytes value)
{
    bool yes = resp_arg_is(value, "yes");

    if (!yes && !resp_arg_is(value, "no")) {
        s->set_why = "argument must be 'yes' or 'no'";
        return false;
    }
    s->latency.tracking = yes;
    return true;
}
