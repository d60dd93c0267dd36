/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LATENCY: when commands kept the others waiting. Events are `command` and `fast-command`, as Redis
 * names those that it knows of its commands; samples of one second are one, and the newest are kept.
 */
#include "engine/resp/args.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

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

static enum oxbow_err latency_history(struct resp_call *call)
{
    for (size_t i = 0; i < RESP_LATENCY_EVENTS; i++) {
        const struct resp_latency_event *e = &call->server->latency.events[i];

        if (!resp_arg_is(call->args[2], names[i])) {
            continue;
        }
        resp_array(call->reply, e->count);
        for (uint32_t n = 0; n < e->count; n++) {
            resp_array(call->reply, 2);
            resp_int(call->reply, (int64_t)sample(e, n)->at_s);
            resp_int(call->reply, (int64_t)sample(e, n)->ms);
        }
        return OXBOW_OK;
    }
    resp_array(call->reply, 0);
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
    {"latency|help", latency_help, 2, RESP_LOADING | RESP_STALE | RESP_PURE, 0, 0, 0, 0, "2.8.13",
     "What LATENCY can do", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

const struct resp_command resp_latency_commands[] = {
    {"latency", NULL, -2, 0, 0, 0, 0, 0, "2.8.13", "Of commands that kept others waiting",
     latency_subs},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
