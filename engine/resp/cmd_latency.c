/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LATENCY: when commands kept the others waiting. Events are `command` and `fast-command`, as Redis
 * names those that it knows of its commands; samples of one second are one, and the newest are kept.
 * LATENCY HISTOGRAM, of all commands, is cmd_latency_histogram.c's.
 */
#include "engine/resp/args.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

#define GRAPH_ROWS    4u
#define GRAPH_COLUMNS 80u
#define GRAPH_STEPS   3u /* in a row */
#define AGE_MAX       4u /* letters of a sample's age: "59m" */
#define GRAPH_BYTES   (256u + (GRAPH_COLUMNS + 1) * (GRAPH_ROWS + AGE_MAX + 2))

static const char *const names[RESP_LATENCY_EVENTS] = {"command", "fast-command"};

void resp_latency_ran(const struct resp_call *call, uint64_t us)
{
    struct oxbow_resp *s = call->server;
    struct resp_latency_event *e = &s->latency.events[(call->row->flags & RESP_FAST) != 0 ? 1 : 0];
    uint64_t now_s = resp_wall_ms(s) / 1000;
    uint64_t ms = us / 1000;
    struct resp_latency_sample *newest;

    if (s->latency.threshold_ms == 0 || ms < s->latency.threshold_ms) {
        return;
    }
    e->worst_ms = ms > e->worst_ms ? ms : e->worst_ms;
    newest = &e->samples[(e->next + RESP_LATENCY_SAMPLES - 1) % RESP_LATENCY_SAMPLES];
    if (e->count > 0 && newest->at_s == now_s) {
        newest->ms = ms > newest->ms ? ms : newest->ms;
        return;
    }
    e->samples[e->next] = (struct resp_latency_sample){.at_s = now_s, .ms = ms};
    e->next = (e->next + 1) % RESP_LATENCY_SAMPLES;
    e->count += e->count < RESP_LATENCY_SAMPLES;
}

/* The n-th sample, the oldest is 0. */
static const struct resp_latency_sample *sample(const struct resp_latency_event *e, uint32_t n)
{
    return &e->samples[(e->next + RESP_LATENCY_SAMPLES - e->count + n) % RESP_LATENCY_SAMPLES];
}

static enum oxbow_err latency_latest(struct resp_call *call)
{
    struct resp_later later = resp_array_later(call->reply);
    size_t count = 0;

    for (size_t i = 0; i < RESP_LATENCY_EVENTS; i++) {
        const struct resp_latency_event *e = &call->server->latency.events[i];

        if (e->count > 0) {
            const struct resp_latency_sample *newest = sample(e, e->count - 1);

            resp_array(call->reply, 4);
            resp_bulk_text(call->reply, names[i]);
            resp_int(call->reply, (int64_t)newest->at_s);
            resp_int(call->reply, (int64_t)newest->ms);
            resp_int(call->reply, (int64_t)e->worst_ms);
            count++;
        }
    }
    resp_later_set(call->reply, later, count);
    return OXBOW_OK;
}

/* The event of that name that has samples, and which it is; NULL: there is none. */
static const struct resp_latency_event *event_of(const struct resp_call *call,
                                                 struct oxbow_bytes name, size_t *which)
{
    for (size_t i = 0; i < RESP_LATENCY_EVENTS; i++) {
        const struct resp_latency_event *e = &call->server->latency.events[i];

        if (resp_arg_is(name, names[i]) && e->count > 0) {
            *which = i;
            return e;
        }
    }
    return NULL;
}

static enum oxbow_err latency_history(struct resp_call *call)
{
    size_t which = 0;
    const struct resp_latency_event *e = event_of(call, call->args[2], &which);
    uint32_t count = e != NULL ? e->count : 0;

    resp_array(call->reply, count);
    for (uint32_t n = 0; n < count; n++) {
        resp_array(call->reply, 2);
        resp_int(call->reply, (int64_t)sample(e, n)->at_s);
        resp_int(call->reply, (int64_t)sample(e, n)->ms);
    }
    return OXBOW_OK;
}

/* ---- the graph ---- */

/* What is drawn: a column for each of the newest samples. */
struct graph {
    const struct resp_latency_event *event;
    uint32_t first; /* sample */
    uint32_t count;
    uint64_t low_ms;
    uint64_t high_ms;
    char text[GRAPH_BYTES];
    size_t len;
};

static void graph_init(struct graph *g, const struct resp_latency_event *e)
{
    *g = (struct graph){.event = e, .low_ms = UINT64_MAX};
    g->count = e->count < GRAPH_COLUMNS ? e->count : GRAPH_COLUMNS;
    g->first = e->count - g->count;
    for (uint32_t n = 0; n < g->count; n++) {
        uint64_t ms = sample(e, g->first + n)->ms;

        g->low_ms = ms < g->low_ms ? ms : g->low_ms;
        g->high_ms = ms > g->high_ms ? ms : g->high_ms;
    }
}

static void graph_add(struct graph *g, char letter)
{
    g->text[g->len++] = letter;
}

/* The letter of a column in a row, counted from below. */
static char graph_letter(const struct graph *g, uint32_t column, uint32_t row)
{
    uint64_t ms = sample(g->event, g->first + column)->ms - g->low_ms;
    uint64_t range = g->high_ms - g->low_ms;
    double part = range > 0 ? (double)ms / (double)range : 0;
    uint32_t height = (uint32_t)(part * (GRAPH_ROWS * GRAPH_STEPS - 1));

    if (height / GRAPH_STEPS == row) {
        return "_o#"[height % GRAPH_STEPS];
    }
    return height / GRAPH_STEPS > row ? '|' : ' ';
}

static void age_text(uint64_t s, char out[AGE_MAX + 1])
{
    static const struct {
        uint64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t u = 0;

    while (u + 1 < sizeof units / sizeof units[0] && s < units[u].seconds) {
        u++;
    }
    s /= units[u].seconds;
    (void)snprintf(out, AGE_MAX + 1, "%u%c", (unsigned)(s < 999 ? s : 999), units[u].unit);
}

/* How old each sample is, from above to below. */
static void graph_ages(struct graph *g, uint64_t now_s)
{
    char ages[GRAPH_COLUMNS][AGE_MAX + 1] = {{0}};
    size_t longest = 0;

    for (uint32_t n = 0; n < g->count; n++) {
        uint64_t at_s = sample(g->event, g->first + n)->at_s;
        size_t len;

        age_text(now_s > at_s ? now_s - at_s : 0, ages[n]);
        len = strlen(ages[n]);
        longest = len > longest ? len : longest;
    }
    for (size_t i = 0; i < longest; i++) {
        for (uint32_t n = 0; n < g->count; n++) {
            graph_add(g, i < strlen(ages[n]) ? ages[n][i] : ' ');
        }
        graph_add(g, '\n');
    }
}

static enum oxbow_err latency_graph(struct resp_call *call)
{
    size_t which = 0;
    const struct resp_latency_event *e = event_of(call, call->args[2], &which);
    struct graph g;

    if (e == NULL) {
        resp_error_format(call->reply, "ERR No samples available for event '%.*s'",
                          (int)(call->args[2].len < 128 ? call->args[2].len : 128),
                          (const char *)call->args[2].data);
        return OXBOW_OK;
    }
    graph_init(&g, e);
    g.len = (size_t)snprintf(g.text, sizeof g.text,
                             "%s - high %llu ms, low %llu ms (all time high %llu ms)\n",
                             names[which], (unsigned long long)g.high_ms,
                             (unsigned long long)g.low_ms, (unsigned long long)e->worst_ms);
    for (uint32_t n = 0; n < GRAPH_COLUMNS; n++) {
        graph_add(&g, '-');
    }
    graph_add(&g, '\n');
    for (uint32_t row = GRAPH_ROWS; row > 0; row--) {
        for (uint32_t n = 0; n < g.count; n++) {
            graph_add(&g, graph_letter(&g, n, row - 1));
        }
        graph_add(&g, '\n');
    }
    graph_add(&g, '\n');
    graph_ages(&g, resp_wall_ms(call->server) / 1000);
    resp_verbatim(call->reply, (struct oxbow_bytes){g.text, g.len});
    return OXBOW_OK;
}

static bool is_meant(const struct resp_call *call, const char *name)
{
    for (uint32_t i = 2; i < call->count; i++) {
        if (resp_arg_is(call->args[i], name)) {
            return true;
        }
    }
    return call->count == 2;
}

static enum oxbow_err latency_reset(struct resp_call *call)
{
    int64_t count = 0;

    for (size_t i = 0; i < RESP_LATENCY_EVENTS; i++) {
        struct resp_latency_event *e = &call->server->latency.events[i];

        if (e->count > 0 && is_meant(call, names[i])) {
            *e = (struct resp_latency_event){.count = 0};
            count++;
        }
    }
    resp_int(call->reply, count);
    return OXBOW_OK;
}

static enum oxbow_err latency_doctor(struct resp_call *call)
{
    const struct resp_latency *latency = &call->server->latency;
    char text[512];
    size_t len = 0;

    if (latency->threshold_ms == 0) {
        len = (size_t)snprintf(text, sizeof text,
                               "Nothing is watched: set latency-monitor-threshold to the "
                               "milliseconds from which on commands are noted.");
    }
    for (size_t i = 0; i < RESP_LATENCY_EVENTS; i++) {
        const struct resp_latency_event *e = &latency->events[i];

        if (e->count > 0) {
            len += (size_t)snprintf(text + len, sizeof text - len,
                                    "%s: %u seconds with such commands, the worst took %llu ms. "
                                    "SLOWLOG GET tells which.\n",
                                    names[i], e->count, (unsigned long long)e->worst_ms);
        }
    }
    if (len == 0) {
        len = (size_t)snprintf(text, sizeof text, "No command has taken %llu ms or more.",
                               (unsigned long long)latency->threshold_ms);
    }
    resp_verbatim(call->reply, (struct oxbow_bytes){text, len});
    return OXBOW_OK;
}

static enum oxbow_err latency_help(struct resp_call *call)
{
    static const char *const lines[] = {
        "LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "GRAPH <event>",
        "HISTOGRAM [<command> ...]",
        "HISTORY <event>",
        "LATEST",
        "RESET [<event> ...]",
        "HELP",
        NULL,
    };

    return resp_lines(call, lines);
}

void resp_get_latency(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    (void)snprintf(out, RESP_VALUE_MAX, "%llu", (unsigned long long)s->latency.threshold_ms);
}

bool resp_set_latency(struct oxbow_resp *s, struct oxbow_bytes value)
{
    int64_t ms;

    if (!resp_arg_int(value, &ms) || ms < 0) {
        return false;
    }
    s->latency.threshold_ms = (uint64_t)ms;
    return true;
}

#define ADMIN (RESP_ADMIN | RESP_NOSCRIPT | RESP_LOADING | RESP_STALE)
#define D     RESP_CAT_DANGEROUS

static const struct resp_command latency_subs[] = {
    {"latency|latest", latency_latest, 2, ADMIN | RESP_PURE, D, 0, 0, 0, "2.8.13",
     "The newest samples of all events", NULL},
    {"latency|history", latency_history, 3, ADMIN | RESP_PURE, D, 0, 0, 0, "2.8.13",
     "The samples of an event", NULL},
    {"latency|reset", latency_reset, -2, ADMIN | RESP_ALONE, D, 0, 0, 0, "2.8.13",
     "Forgets samples", NULL},
    {"latency|doctor", latency_doctor, 2, ADMIN | RESP_PURE, D, 0, 0, 0, "2.8.13",
     "The samples in words", NULL},
    {"latency|graph", latency_graph, 3, ADMIN | RESP_PURE, D, 0, 0, 0, "2.8.13",
     "The samples of an event as a drawing", NULL},
    {"latency|histogram", resp_latency_histogram, -2, ADMIN | RESP_PURE, D, 0, 0, 0, "7.0.0",
     "How many calls of commands took how long", NULL},
    {"latency|help", latency_help, 2, RESP_LOADING | RESP_STALE | RESP_PURE, 0, 0, 0, 0, "2.8.13",
     "What LATENCY can do", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

const struct resp_command resp_latency_commands[] = {
    {"latency", NULL, -2, 0, 0, 0, 0, 0, "2.8.13", "Of commands that kept others waiting",
     latency_subs},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
