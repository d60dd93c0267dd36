/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MONITOR: a line for each command that anybody gives, to those who asked for it.
 *
 * Lines are part of the batch that the command is part of, as messages are: they leave when what the
 * command shows may leave, and are taken back if it did not happen. Commands of administrators are not
 * shown, and passwords are hidden. A script is shown before what it calls.
 */
#include "engine/base/buf.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES ((size_t)1024 * 1024) /* of a longer line the beginning is sent, and "..." */
#define TAIL_BYTES     8u

static enum oxbow_err add_text(struct buf *line, const char *text)
{
    return buf_append(line, text, strlen(text));
}

static enum oxbow_err add_byte(struct buf *line, uint8_t ch)
{
    static const char plain[] = "\n\r\t\a\b\\\"";
    static const char letters[] = "nrtab\\\"";
    const char *at = ch != 0 ? strchr(plain, ch) : NULL;
    char text[8];

    if (at != NULL) {
        (void)snprintf(text, sizeof text, "\\%c", letters[at - plain]);
    } else if (ch < 0x20 || ch > 0x7e) {
        (void)snprintf(text, sizeof text, "\\x%02x", ch);
    } else {
        (void)snprintf(text, sizeof text, "%c", ch);
    }
    return add_text(line, text);
}

static enum oxbow_err add_arg(struct buf *line, struct oxbow_bytes arg)
{
    const uint8_t *p = arg.data;
    enum oxbow_err err = add_text(line, " \"");

    for (size_t i = 0; err == OXBOW_OK && i < arg.len; i++) {
        err = add_byte(line, p[i]);
    }
    return err == OXBOW_OK ? add_text(line, "\"") : err;
}

/* 1700000000.123456 [0 127.0.0.1:50000] "set" "k" "v" */
static enum oxbow_err line_of(const struct resp_call *call, struct buf *line)
{
    uint64_t ms = resp_wall_ms(call->server);
    char head[RESP_ADDR_MAX + 64];
    enum oxbow_err err;

    (void)snprintf(head, sizeof head, "%llu.%06llu [%u %s]", (unsigned long long)(ms / 1000),
                   (unsigned long long)(ms % 1000 * 1000), call->client->database,
                   call->script != NULL ? "lua" : call->client->addr);
    err = add_text(line, head);
    for (uint32_t i = 0; err == OXBOW_OK && i < call->count; i++) {
        err = add_arg(line, resp_arg_is_secret(call, i) ? (struct oxbow_bytes){"(redacted)", 10}
                                                        : call->args[i]);
    }
    return err;
}

static void send_line(struct oxbow_resp *s, const char *line)
{
    struct link *next;

    for (struct link *l = s->monitors.next; l != &s->monitors; l = next) {
        struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, monitor);

        next = l->next;
        if (c->killed || c->silent) {
            continue;
        }
        if (s->txn != NULL) {
            resp_batch_join(s, c);
        }
        resp_simple(&c->out, line);
        if (s->txn == NULL) {
            resp_client_gate(c, 0);
        }
    }
}

void resp_monitor_show(const struct resp_call *call)
{
    struct oxbow_resp *s = call->server;
    struct buf line;
    enum oxbow_err err;

    if (link_alone(&s->monitors) || call->again || (call->row->flags & RESP_ADMIN) != 0 ||
        strcmp(call->row->name, "quit") == 0) {
        return;
    }
    buf_init(&line, resp_alloc(s), LINE_MAX_BYTES);
    err = line_of(call, &line);
    if (err == OXBOW_OK) {
        err = buf_append(&line, "", 1);
    }
    if (err != OXBOW_OK && line.len >= TAIL_BYTES) {
        memcpy(line.data + line.len - TAIL_BYTES, " ...", 5);
        err = OXBOW_OK;
    }
    send_line(s, err == OXBOW_OK ? (const char *)line.data : "...");
    buf_fini(&line);
}

static enum oxbow_err cmd_monitor(struct resp_call *call)
{
    struct oxbow_resp_client *c = call->client;

    if (call->txn != NULL) {
        return resp_refuse(call, "ERR MONITOR isn't allowed for DENY BLOCKING client");
    }
    if (link_alone(&c->monitor)) { /* as in Redis there is no answer when it does already */
        link_add(&c->server->monitors, &c->monitor);
        resp_ok(call->reply);
    }
    return OXBOW_OK;
}

const struct resp_command resp_monitor_commands[] = {
    {"monitor", cmd_monitor, 1, RESP_ADMIN | RESP_NOSCRIPT | RESP_LOADING | RESP_STALE | RESP_ALONE,
     RESP_CAT_DANGEROUS, 0, 0, 0, "1.0.0", "Shows what everybody does from now on", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
