/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is noted of commands that took long: SLOWLOG. And which arguments nobody may read there.
 *
 * The time is that of the handler, without the wait for the device: nobody else is kept by that.
 * Commands that scripts call are part of the script's time.
 */
#include "engine/resp/args.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

#define ARGS_MAX    32u  /* noted of one command; the last says how many more there were */
#define ARG_MAX     128u /* bytes noted of one argument, before how many more there were */
#define ENTRY_BYTES ((size_t)16 * 1024)
#define GET_DEFAULT 10

struct entry {
    struct link of_log;
    uint64_t id;
    uint64_t at_s;
    uint64_t us;
    struct buf args; /* of server_copy.c */
    struct buf name;
    char addr[RESP_ADDR_MAX];
};

/* ---- secrets ---- */

bool resp_arg_is_secret(const struct resp_call *call, uint32_t i)
{
    const char *name = call->row->name;

    if (strcmp(name, "auth") == 0) {
        return i > 0;
    }
    if (strcmp(name, "acl|setuser") == 0) {
        return i > 1;
    }
    if (strcmp(name, "config|set") == 0) {
        return i > 2 && i % 2 == 1 && resp_arg_is(call->args[i - 1], "requirepass");
    }
    if (strcmp(name, "hello") == 0) {
        return (i > 1 && resp_arg_is(call->args[i - 1], "auth")) ||
               (i > 2 && resp_arg_is(call->args[i - 2], "auth"));
    }
    return false;
}

/* ---- the log ---- */

static void entry_free(struct oxbow_resp *s, struct entry *e)
{
    link_remove(&e->of_log);
    buf_fini(&e->args);
    buf_fini(&e->name);
    mem_free(resp_alloc(s), e, sizeof *e);
    s->slow.count--;
}

static void trim(struct oxbow_resp *s, uint64_t max)
{
    while (s->slow.count > max) {
        entry_free(s, LINK_OF(s->slow.entries.next, struct entry, of_log));
    }
}

void resp_slow_init(struct oxbow_resp *s)
{
    link_init(&s->slow.entries);
    s->slow.longer_us = 10000;
    s->slow.count_max = 128;
}

void resp_slow_fini(struct oxbow_resp *s)
{
    trim(s, 0);
}

/* The argument as it is noted: cut, or hidden. */
static struct oxbow_bytes noted(const struct resp_call *call, uint32_t i, char text[ARG_MAX + 64])
{
    struct oxbow_bytes arg = call->args[i];
    int len;

    if (i == ARGS_MAX - 1 && call->count > ARGS_MAX) {
        len = snprintf(text, ARG_MAX + 64, "... (%u more arguments)", call->count - ARGS_MAX + 1);
        return (struct oxbow_bytes){text, (size_t)len};
    }
    if (resp_arg_is_secret(call, i)) {
        return (struct oxbow_bytes){"(redacted)", 10};
    }
    if (arg.len <= ARG_MAX) {
        return arg;
    }
    memcpy(text, arg.data, ARG_MAX);
    len = snprintf(text + ARG_MAX, 64, "... (%zu more bytes)", arg.len - ARG_MAX);
    return (struct oxbow_bytes){text, ARG_MAX + (size_t)len};
}

static enum oxbow_err entry_fill(struct entry *e, const struct resp_call *call)
{
    char texts[ARGS_MAX][ARG_MAX + 64];
    struct oxbow_bytes args[ARGS_MAX];
    uint32_t count = call->count < ARGS_MAX ? call->count : ARGS_MAX;
    const struct oxbow_resp_client *c = call->client;

    for (uint32_t i = 0; i < count; i++) {
        args[i] = noted(call, i, texts[i]);
    }
    (void)snprintf(e->addr, sizeof e->addr, "%s", c->addr);
    return c->name.len > 0 && buf_append(&e->name, c->name.data, c->name.len) != OXBOW_OK
               ? OXBOW_ENOMEM
               : resp_copy_add(&e->args, args, count);
}

/* Without memory it is not noted. */
static void note(const struct resp_call *call, uint64_t us)
{
    struct oxbow_resp *s = call->server;
    struct entry *e = mem_new(resp_alloc(s), sizeof *e);

    if (e == NULL) {
        return;
    }
    link_init(&e->of_log);
    buf_init(&e->args, resp_alloc(s), ENTRY_BYTES);
    buf_init(&e->name, resp_alloc(s), SIZE_MAX);
    e->id = s->slow.next_id++;
    e->at_s = resp_wall_ms(s) / 1000;
    e->us = us;
    link_add(&s->slow.entries, &e->of_log);
    s->slow.count++;
    if (entry_fill(e, call) != OXBOW_OK) {
        entry_free(s, e);
    }
    trim(s, s->slow.count_max);
}

void resp_slow_ran(const struct resp_call *call, uint64_t us)
{
    const struct resp_slow *slow = &call->server->slow;

    if (slow->longer_us >= 0 && us >= (uint64_t)slow->longer_us && slow->count_max > 0) {
        note(call, us);
    }
}

/* ---- SLOWLOG ---- */

static void reply_entry(struct resp_call *call, const struct entry *e)
{
    struct oxbow_bytes args[ARGS_MAX];
    size_t pos = 0;
    uint32_t count = resp_copy_read(&e->args, &pos, args);

    resp_array(call->reply, 6);
    resp_int(call->reply, (int64_t)e->id);
    resp_int(call->reply, (int64_t)e->at_s);
    resp_int(call->reply, (int64_t)e->us);
    resp_array(call->reply, count);
    for (uint32_t i = 0; i < count; i++) {
        resp_bulk(call->reply, args[i]);
    }
    resp_bulk_text(call->reply, e->addr);
    resp_bulk(call->reply, (struct oxbow_bytes){e->name.data, e->name.len});
}

static enum oxbow_err slowlog_get(struct resp_call *call)
{
    const struct resp_slow *slow = &call->server->slow;
    int64_t count = GET_DEFAULT;
    uint64_t left;

    if (call->count > 3) {
        return resp_refuse_subcommand(call);
    }
    if (call->count == 3 && (!resp_arg_int(call->args[2], &count) || count < -1)) {
        return resp_refuse(call, "ERR count should be greater than or equal to -1");
    }
    left = count < 0 || (uint64_t)count > slow->count ? slow->count : (uint64_t)count;
    resp_array(call->reply, (size_t)left);
    for (const struct link *l = slow->entries.prev; left > 0; l = l->prev) {
        reply_entry(call, LINK_OF(l, struct entry, of_log));
        left--;
    }
    return OXBOW_OK;
}

static enum oxbow_err slowlog_len(struct resp_call *call)
{
    resp_int(call->reply, (int64_t)call->server->slow.count);
    return OXBOW_OK;
}

static enum oxbow_err slowlog_reset(struct resp_call *call)
{
    trim(call->server, 0);
    resp_ok(call->reply);
    return OXBOW_OK;
}

static enum oxbow_err slowlog_help(struct resp_call *call)
{
    static const char *const lines[] = {
        "SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET [<count>]",
        "LEN",
        "RESET",
        "HELP",
        NULL,
    };

    return resp_lines(call, lines);
}

/* ---- settings ---- */

void resp_get_slow_time(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    (void)snprintf(out, RESP_VALUE_MAX, "%lld", (long long)s->slow.longer_us);
}

bool resp_set_slow_time(struct oxbow_resp *s, struct oxbow_bytes value)
{
    int64_t us;

    if (!resp_arg_int(value, &us) || us < -1) {
        return false;
    }
    s->slow.longer_us = us;
    return true;
}

void resp_get_slow_count(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    (void)snprintf(out, RESP_VALUE_MAX, "%llu", (unsigned long long)s->slow.count_max);
}

bool resp_set_slow_count(struct oxbow_resp *s, struct oxbow_bytes value)
{
    int64_t count;

    if (!resp_arg_int(value, &count) || count < 0) {
        return false;
    }
    s->slow.count_max = (uint64_t)count;
    trim(s, s->slow.count_max);
    return true;
}

#define ADMIN (RESP_ADMIN | RESP_LOADING | RESP_STALE)
#define D     RESP_CAT_DANGEROUS

static const struct resp_command slowlog_subs[] = {
    {"slowlog|get", slowlog_get, -2, ADMIN | RESP_PURE, D, 0, 0, 0, "2.2.12",
     "The newest commands that took long", NULL},
    {"slowlog|len", slowlog_len, 2, ADMIN | RESP_PURE, D, 0, 0, 0, "2.2.12",
     "How many commands that took long are noted", NULL},
    {"slowlog|reset", slowlog_reset, 2, ADMIN | RESP_ALONE, D, 0, 0, 0, "2.2.12",
     "Forgets the commands that took long", NULL},
    {"slowlog|help", slowlog_help, 2, RESP_LOADING | RESP_STALE | RESP_PURE, 0, 0, 0, 0, "6.2.0",
     "What SLOWLOG can do", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

const struct resp_command resp_slowlog_commands[] = {
    {"slowlog", NULL, -2, 0, 0, 0, 0, 0, "2.2.12", "Of commands that took long", slowlog_subs},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
