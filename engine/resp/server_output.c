/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a client may leave unread (client-output-buffer-limit), by its class as Redis has them: who
 * is subscribed is `pubsub`, all others, who monitor among them, are `normal`; there are no replicas.
 *
 * At the hard limit the connection is closed at once, before more is kept for it: it is the cap of the
 * client's replies as well, beside client-reply-limit. At the soft one it is closed when it has not been
 * below it for so many seconds: those who are above it stand in server->over, and only they are looked
 * after. What is not durable yet counts too, since it is kept just as well.
 */
#include "engine/base/num.h"
#include "engine/base/word.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

#define REPLY_MAX_DEFAULT ((uint64_t)256 << 20)
#define MIB               ((uint64_t)1 << 20)
#define SECOND_US         1000000u
#define WORDS             4u /* of one class: its name and three numbers */
#define LOG_MAX           1024u

static const char *const class_names[] = {"normal", "slave", "pubsub", NULL};

void resp_output_init(struct oxbow_resp *s)
{
    s->output[RESP_CLASS_REPLICA] = (struct resp_output_limit){256 * MIB, 64 * MIB, 60};
    s->output[RESP_CLASS_PUBSUB] = (struct resp_output_limit){32 * MIB, 8 * MIB, 60};
    link_init(&s->over);
    s->over_due_us = RESP_NEVER_US;
}

static const struct resp_output_limit *limit_of(const struct oxbow_resp_client *c)
{
    bool subscribed = resp_subscribed(c) > 0;

    return &c->server->output[subscribed ? RESP_CLASS_PUBSUB : RESP_CLASS_NORMAL];
}

void resp_output_limit(struct oxbow_resp_client *c)
{
    uint64_t hard = limit_of(c)->hard;
    uint64_t max = c->server->config.reply_bytes_max;

    max = max > 0 ? max : REPLY_MAX_DEFAULT;
    if (hard > 0 && hard <= max) { /* whoever comes to it is closed: nothing has just its length */
        max = hard > 1 ? hard - 1 : 1;
    }
    resp_reply_limit(&c->out, max < SIZE_MAX ? (size_t)max : SIZE_MAX);
}

/* ---- the end ---- */

static void close_client(struct oxbow_resp_client *c, const char *why)
{
    struct oxbow_resp *s = c->server;
    struct buf line;
    char text[2 * LOG_MAX];

    buf_init(&line, resp_alloc(s), LOG_MAX);
    if (resp_client_line(c, &line) != OXBOW_OK) {
        line.len = 0; /* memory is out: the reason has to do */
    }
    for (size_t i = 0; i < line.len; i++) { /* names are their owners' */
        line.data[i] = line.data[i] < ' ' ? ' ' : line.data[i];
    }
    (void)snprintf(text, sizeof text,
                   "resp: closed for overcoming of output buffer limits: %s: client %.*s", why,
                   (int)line.len, line.len > 0 ? (const char *)line.data : "");
    s->port->log.line(s->port->log.ctx, OXBOW_LOG_WARN, text);
    buf_fini(&line);
    s->stats.overcome++;
    link_remove(&c->over);
    resp_client_kill(c);
}

void resp_output_failed(struct oxbow_resp_client *c)
{
    if (c->killed) {
        return;
    }
    if (resp_reply_full(&c->out)) {
        uint64_t hard = limit_of(c)->hard;
        bool by_class = hard > 0 && c->out.len_max < hard;

        close_client(c, by_class ? "hard limit" : "client-reply-limit");
    } else {
        resp_client_kill(c); /* memory is out */
    }
}

/* ---- who is above the soft limit ---- */

static uint64_t due_us(const struct oxbow_resp_client *c)
{
    return c->over_us + limit_of(c)->soft_s * SECOND_US;
}

void resp_output_check(struct oxbow_resp_client *c)
{
    const struct resp_output_limit *limit = limit_of(c);
    struct oxbow_resp *s = c->server;
    size_t pending = resp_reply_pending(&c->out);

    if (c->killed) {
        return;
    }
    if (limit->hard > 0 && pending >= limit->hard) {
        close_client(c, "hard limit");
        return;
    }
    if (limit->soft == 0 || pending < limit->soft) {
        link_remove(&c->over);
        return;
    }
    if (link_alone(&c->over)) {
        c->over_us = s->port->clock.mono_us(s->port->clock.ctx);
        link_add(&s->over, &c->over);
    }
    if (due_us(c) < s->over_due_us) {
        s->over_due_us = due_us(c);
    }
}

uint64_t resp_output_due_us(const struct oxbow_resp *s)
{
    return link_alone(&s->over) ? RESP_NEVER_US : s->over_due_us;
}

void resp_output_turn(struct oxbow_resp *s)
{
    struct link *next;

    if (s->now_us < resp_output_due_us(s)) {
        return;
    }
    s->over_due_us = RESP_NEVER_US;
    for (struct link *l = s->over.next; l != &s->over; l = next) {
        struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, over);

        next = l->next;
        resp_output_check(c); /* it may have another class, or another limit, by now */
        if (!c->killed && !link_alone(&c->over) && s->now_us >= due_us(c)) {
            close_client(c, "soft limit");
        }
    }
}

/* ---- the setting ---- */

/* One class and its limits. NULL, or what is wrong. */
static const char *limit_take(const struct oxbow_bytes words[WORDS],
                              struct resp_output_limit limits[RESP_CLASSES])
{
    int place =
        word_is(words[0], "replica") ? RESP_CLASS_REPLICA : word_place(words[0], class_names);
    struct resp_output_limit limit;

    if (place < 0) {
        return "Invalid client class specified in buffer limit configuration.";
    }
    if (!word_size(words[1], &limit.hard) || !word_size(words[2], &limit.soft) ||
        num_u64(words[3], &limit.soft_s) != OXBOW_OK || limit.soft_s > UINT32_MAX) {
        return "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    }
    limits[place] = limit;
    return NULL;
}

bool resp_set_output(struct oxbow_resp *s, struct oxbow_bytes value)
{
    struct resp_output_limit limits[RESP_CLASSES];
    struct oxbow_bytes words[WORDS];
    const char *wrong = NULL;
    size_t at = 0;
    size_t n = 0;

    memcpy(limits, s->output, sizeof limits);
    while (wrong == NULL && (words[n % WORDS] = word_next(value, &at)).len > 0) {
        if (++n % WORDS == 0) {
            wrong = limit_take(words, limits);
        }
    }
    if (wrong == NULL && (n % WORDS != 0 || (n == 0 && value.len > 0))) {
        wrong = "Wrong number of arguments in buffer limit configuration.";
    }
    if (wrong != NULL) {
        s->set_why = wrong;
        return false;
    }
    memcpy(s->output, limits, sizeof limits);
    s->over_due_us = 0; /* who stands there is looked at anew */
    for (struct link *l = s->clients.next; l != &s->clients; l = l->next) {
        struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, all);

        resp_output_limit(c);
        resp_output_check(c);
    }
    return true;
}

void resp_get_output(struct oxbow_resp *s, char out[RESP_VALUE_MAX])
{
    size_t len = 0;

    for (size_t i = 0; i < RESP_CLASSES; i++) {
        len += (size_t)snprintf(
            out + len, RESP_VALUE_MAX - len, "%s%s %llu %llu %llu", i > 0 ? " " : "",
            class_names[i], (unsigned long long)s->output[i].hard,
            (unsigned long long)s->output[i].soft, (unsigned long long)s->output[i].soft_s);
    }
}
