/* SPDX-License-Identifier: Apache-2.0 */
/* CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO, and the prefixes of a client in BCAST mode. */
#include "engine/resp/args.h"
#include "engine/resp/server.h"

#include <string.h>

#define SHOWN_MAX 64u /* bytes of a prefix in an error */

struct wish {
    bool bcast;
    bool optin;
    bool optout;
    bool noloop;
    int64_t redirect;
    uint32_t prefix_count;
};

/* ---- prefixes ---- */

/* Whether one of them begins with the other. */
static bool overlap(struct oxbow_bytes a, struct oxbow_bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;

    return len == 0 || memcmp(a.data, b.data, len) == 0;
}

static bool comes_before(const struct resp_prefix *p, struct oxbow_bytes text)
{
    size_t len = p->len < text.len ? p->len : text.len;
    int order = len > 0 ? memcmp(p->text, text.data, len) : 0;

    return order < 0 || (order == 0 && p->len < text.len);
}

/* Adds it in its place; one that is there stays. */
static enum oxbow_err prefix_add(struct oxbow_resp_client *c, struct oxbow_bytes text)
{
    struct link *at = c->tracking.prefixes.next;
    struct resp_prefix *p;

    while (at != &c->tracking.prefixes &&
           comes_before(LINK_OF(at, struct resp_prefix, of_client), text)) {
        at = at->next;
    }
    if (at != &c->tracking.prefixes) {
        const struct resp_prefix *there = LINK_OF(at, struct resp_prefix, of_client);

        if (there->len == text.len &&
            (text.len == 0 || memcmp(there->text, text.data, text.len) == 0)) {
            return OXBOW_OK;
        }
    }
    p = mem_new(resp_alloc(c->server), sizeof *p + text.len + 1);
    if (p == NULL) {
        return OXBOW_ENOMEM;
    }
    link_init(&p->of_client);
    p->len = (uint32_t)text.len;
    if (text.len > 0) {
        memcpy(p->text, text.data, text.len);
    }
    link_add(at, &p->of_client); /* before it */
    c->tracking.prefix_count++;
    c->server->track.prefixes++;
    return OXBOW_OK;
}

/* The next PREFIX among the arguments from *i on, and behind it. False: there is none. */
static bool prefix_next(const struct resp_call *call, uint32_t *i, struct oxbow_bytes *text)
{
    while (*i < call->count) {
        if (resp_arg_is(call->args[*i], "redirect")) {
            *i += 2;
        } else if (resp_arg_is(call->args[*i], "prefix")) {
            *text = call->args[*i + 1];
            *i += 2;
            return true;
        } else {
            *i += 1;
        }
    }
    return false;
}

static int shown(size_t len)
{
    return (int)(len < SHOWN_MAX ? len : SHOWN_MAX);
}

/* Whether it begins as one that the client has, or as one of those that follow among the arguments; if so, that
 * was refused. */
static bool collides(struct resp_call *call, struct oxbow_bytes text, uint32_t i)
{
    const struct link *ring = &call->client->tracking.prefixes;
    struct oxbow_bytes other;

    for (const struct link *l = ring->next; l != ring; l = l->next) {
        const struct resp_prefix *p = LINK_OF(l, struct resp_prefix, of_client);

        if (overlap(text, (struct oxbow_bytes){p->text, p->len})) {
            resp_error_format(call->reply,
                              "ERR Prefix '%.*s' overlaps with an existing prefix '%.*s'. Prefixes "
                              "for a single client must not overlap.",
                              shown(text.len), (const char *)text.data, shown(p->len),
                              (const char *)p->text);
            return true;
        }
    }
    while (prefix_next(call, &i, &other)) {
        if (overlap(text, other)) {
            resp_error_format(call->reply,
                              "ERR Prefix '%.*s' overlaps with another provided prefix '%.*s'. "
                              "Prefixes for a single client must not overlap.",
                              shown(text.len), (const char *)text.data, shown(other.len),
                              (const char *)other.data);
            return true;
        }
    }
    return false;
}

static bool prefixes_fit(struct resp_call *call, const struct wish *w)
{
    uint32_t i = 3;
    struct oxbow_bytes text;

    if (w->prefix_count + call->client->tracking.prefix_count > RESP_PREFIXES_MAX) {
        resp_error(call->reply, "ERR too many prefixes for a single client");
        return false;
    }
    while (prefix_next(call, &i, &text)) {
        if (text.len > RESP_PREFIX_BYTES_MAX) {
            resp_error(call->reply, "ERR a prefix is too long");
            return false;
        }
        if (collides(call, text, i)) {
            return false;
        }
    }
    return true;
}

static enum oxbow_err prefixes_add(struct resp_call *call, const struct wish *w)
{
    uint32_t i = 3;
    struct oxbow_bytes text;
    enum oxbow_err err = OXBOW_OK;

    if (w->prefix_count == 0) {
        return prefix_add(call->client, (struct oxbow_bytes){"", 0});
    }
    while (err == OXBOW_OK && prefix_next(call, &i, &text)) {
        err = prefix_add(call->client, text);
    }
    return err;
}

/* ---- CLIENT TRACKING ---- */

/* NULL, or what is wrong. */
static const char *redirect_take(const struct resp_call *call, struct wish *w,
                                 struct oxbow_bytes text)
{
    if (w->redirect != 0) {
        return "ERR A client can only redirect to a single other client";
    }
    if (!resp_arg_int(text, &w->redirect)) {
        return "ERR value is not an integer or out of range";
    }
    if (w->redirect <= 0 || resp_client_find(call->server, (uint64_t)w->redirect) == NULL) {
        return "ERR The client ID you want redirect to does not exist";
    }
    return NULL;
}

/* Reads what follows ON or OFF. NULL, or what is wrong. */
static const char *wish_take(const struct resp_call *call, struct wish *w)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"bcast", &w->bcast}, {"optin", &w->optin}, {"optout", &w->optout}, {"noloop", &w->noloop}};
    const char *wrong = NULL;

    for (uint32_t i = 3; wrong == NULL && i < call->count; i++) {
        bool more = i + 1 < call->count;
        size_t f = 0;

        while (f < sizeof flags / sizeof flags[0] && !resp_arg_is(call->args[i], flags[f].name)) {
            f++;
        }
        if (f < sizeof flags / sizeof flags[0]) {
            *flags[f].flag = true;
        } else if (more && resp_arg_is(call->args[i], "redirect")) {
            wrong = redirect_take(call, w, call->args[++i]);
        } else if (more && resp_arg_is(call->args[i], "prefix")) {
            w->prefix_count++;
            i++;
        } else {
            wrong = "ERR syntax error";
        }
    }
    return wrong;
}

/* Whether what is wanted goes together, and with what the client has. NULL, or what is wrong. */
static const char *wish_check(const struct resp_tracking *t, const struct wish *w)
{
    if (!w->bcast && w->prefix_count > 0) {
        return "ERR PREFIX option requires BCAST mode to be enabled";
    }
    if (t->on && t->bcast != w->bcast) {
        return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, "
               "and then re-enabling it with a different mode.";
    }
    if (w->bcast && (w->optin || w->optout)) {
        return "ERR OPTIN and OPTOUT are not compatible with BCAST";
    }
    if (w->optin && w->optout) {
        return "ERR You can't specify both OPTIN mode and OPTOUT mode";
    }
    if ((w->optin && t->optout) || (w->optout && t->optin)) {
        return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
               "and then re-enabling it with a different mode.";
    }
    return NULL;
}

static enum oxbow_err turn_on(struct resp_call *call, const struct wish *w)
{
    struct oxbow_resp_client *c = call->client;
    struct resp_tracking *t = &c->tracking;
    struct oxbow_resp *s = call->server;
    bool was = t->on;
    enum oxbow_err err = OXBOW_OK;

    if (w->bcast && !prefixes_fit(call, w)) {
        return OXBOW_OK;
    }
    if (!was) {
        t->on = true;
        s->track.clients++;
    }
    if (!resp_expired_look(s)) {
        err = OXBOW_ENOMEM;
    }
    if (err == OXBOW_OK && w->bcast) {
        err = prefixes_add(call, w);
        link_add(&s->track.bcasts, &t->bcasts);
    }
    if (err != OXBOW_OK) {
        resp_track_end(c); /* also what it had: it is told so by the error */
        return err;
    }
    t->bcast = w->bcast;
    t->optin = w->optin;
    t->optout = w->optout;
    t->noloop = w->noloop;
    t->broken = false;
    t->redirect = (uint64_t)w->redirect;
    resp_ok(call->reply);
    return OXBOW_OK;
}

enum oxbow_err resp_client_tracking(struct resp_call *call)
{
    bool on = resp_arg_is(call->args[2], "on");
    struct wish w = {.redirect = 0};
    const char *wrong = wish_take(call, &w);

    if (wrong == NULL && !on && !resp_arg_is(call->args[2], "off")) {
        wrong = "ERR syntax error";
    }
    if (wrong == NULL && on) {
        wrong = wish_check(&call->client->tracking, &w);
    }
    if (wrong != NULL) {
        return resp_refuse(call, wrong);
    }
    if (on) {
        return turn_on(call, &w);
    }
    resp_track_end(call->client);
    resp_ok(call->reply);
    return OXBOW_OK;
}

/* ---- the others ---- */

enum oxbow_err resp_client_caching(struct resp_call *call)
{
    struct resp_tracking *t = &call->client->tracking;
    bool yes = resp_arg_is(call->args[2], "yes");

    if (!t->on) {
        return resp_refuse(call, "ERR CLIENT CACHING can be called only when the client is in "
                                 "tracking mode with OPTIN or OPTOUT mode enabled");
    }
    if (!yes && !resp_arg_is(call->args[2], "no")) {
        return resp_refuse_syntax(call);
    }
    if (yes && !t->optin) {
        return resp_refuse(
            call, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    }
    if (!yes && !t->optout) {
        return resp_refuse(
            call, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    }
    t->caching = true;
    t->caching_upto = 0;
    resp_ok(call->reply);
    return OXBOW_OK;
}

static int64_t redirection(const struct resp_tracking *t)
{
    return t->on ? (int64_t)t->redirect : -1;
}

enum oxbow_err resp_client_getredir(struct resp_call *call)
{
    resp_int(call->reply, redirection(&call->client->tracking));
    return OXBOW_OK;
}

enum oxbow_err resp_client_trackinginfo(struct resp_call *call)
{
    const struct oxbow_resp_client *c = call->client;
    const struct resp_tracking *t = &c->tracking;
    bool caching = resp_track_caching(c);
    const struct {
        const char *name;
        bool is;
    } flags[] = {{"off", !t->on},
                 {"on", t->on},
                 {"bcast", t->bcast},
                 {"optin", t->optin},
                 {"caching-yes", t->optin && caching},
                 {"optout", t->optout},
                 {"caching-no", t->optout && caching},
                 {"noloop", t->noloop},
                 {"broken_redirect", t->broken}};
    struct resp_later later;
    size_t n = 0;

    resp_map(call->reply, 3);
    resp_bulk_text(call->reply, "flags");
    later = resp_set_later(call->reply);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (flags[i].is) {
            resp_bulk_text(call->reply, flags[i].name);
            n++;
        }
    }
    resp_later_set(call->reply, later, n);
    resp_bulk_text(call->reply, "redirect");
    resp_int(call->reply, redirection(t));
    resp_bulk_text(call->reply, "prefixes");
    resp_array(call->reply, t->prefix_count);
    for (const struct link *l = t->prefixes.next; l != &t->prefixes; l = l->next) {
        const struct resp_prefix *p = LINK_OF(l, struct resp_prefix, of_client);

        resp_bulk(call->reply, (struct oxbow_bytes){p->text, p->len});
    }
    return OXBOW_OK;
}
