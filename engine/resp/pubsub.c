/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels and patterns, sharded channels, which without a cluster are channels that no pattern reaches, and keyspace notifications, which are messages like any other.
 *
 * A message sent within a batch is part of it: it leaves when what the batch did is safe, and does
 * not leave if the batch fails.
 */
#include "engine/base/hash.h"
#include "engine/resp/glob.h"
#include "engine/resp/server.h"

#include <stdio.h>
#include <string.h>

#define EVENT_NAME_MAX 64u

/* ---- the channels ---- */

/* What channels are told apart by beside their names. */
struct kind {
    bool pattern;
    bool shard;
    bool sentinel;
};

/* What one subscribes to, and the words for it. */
enum sort { CHANNEL, PATTERN, SHARD };

static const struct {
    const char *subscribe;
    const char *unsubscribe;
} words[] = {
    [CHANNEL] = {"subscribe", "unsubscribe"},
    [PATTERN] = {"psubscribe", "punsubscribe"},
    [SHARD] = {"ssubscribe", "sunsubscribe"},
};

static struct kind kind_for(const struct oxbow_resp_client *c, enum sort sort)
{
    return (struct kind){
        .pattern = sort == PATTERN, .shard = sort == SHARD, .sentinel = c->sentinel};
}

static enum sort sort_of(const struct resp_channel *ch)
{
    return ch->pattern ? PATTERN : ch->shard ? SHARD : CHANNEL;
}

static const struct kind messages = {.pattern = false};
static const struct kind sharded = {.shard = true};

/* How many of the kind there are; NULL: nobody counts them. */
static uint32_t *count_of(struct oxbow_resp *s, struct kind kind)
{
    if (kind.sentinel) {
        return NULL;
    }
    return kind.pattern ? &s->pattern_count : kind.shard ? &s->shard_count : &s->channel_count;
}

/* To how many of them the client is subscribed. */
static uint32_t *client_count_of(struct oxbow_resp_client *c, enum sort sort)
{
    return sort == PATTERN ? &c->patterns : sort == SHARD ? &c->shards : &c->channels;
}

uint32_t resp_subscribed(const struct oxbow_resp_client *c)
{
    return c->channels + c->patterns + c->shards;
}

static struct resp_channel **slot_of(struct oxbow_resp *s, struct oxbow_bytes name,
                                     struct kind kind)
{
    uint64_t seed = (kind.pattern ? 1u : 0u) + (kind.sentinel ? 2u : 0u) + (kind.shard ? 4u : 0u);

    return &s->channels[hash64(name.data, name.len, seed) % RESP_INTEREST_SLOTS];
}

static struct resp_channel *channel_get(struct oxbow_resp *s, struct oxbow_bytes name,
                                        struct kind kind)
{
    for (struct resp_channel *ch = *slot_of(s, name, kind); ch != NULL; ch = ch->next) {
        if (ch->pattern == kind.pattern && ch->sentinel == kind.sentinel &&
            ch->shard == kind.shard && ch->len == name.len &&
            (name.len == 0 || memcmp(ch->name, name.data, name.len) == 0)) {
            return ch;
        }
    }
    return NULL;
}

static struct resp_channel *channel_make(struct oxbow_resp *s, struct oxbow_bytes name,
                                         struct kind kind)
{
    struct resp_channel **slot = slot_of(s, name, kind);
    uint32_t *count = count_of(s, kind);
    struct resp_channel *ch =
        name.len > UINT32_MAX ? NULL : mem_new(resp_alloc(s), sizeof *ch + name.len + 1);

    if (ch == NULL) {
        return NULL;
    }
    link_init(&ch->subscribers);
    link_init(&ch->patterns);
    ch->pattern = kind.pattern;
    ch->shard = kind.shard;
    ch->sentinel = kind.sentinel;
    ch->len = (uint32_t)name.len;
    if (name.len > 0) {
        memcpy(ch->name, name.data, name.len);
    }
    ch->next = *slot;
    *slot = ch;
    if (kind.pattern && !kind.sentinel) {
        link_add(&s->patterns, &ch->patterns);
    }
    if (count != NULL) {
        (*count)++;
    }
    return ch;
}

static struct oxbow_bytes name_of(const struct resp_channel *ch)
{
    return (struct oxbow_bytes){ch->name, ch->len};
}

static void channel_drop(struct oxbow_resp *s, struct resp_channel *ch)
{
    struct kind kind = {.pattern = ch->pattern, .shard = ch->shard, .sentinel = ch->sentinel};
    struct resp_channel **at = slot_of(s, name_of(ch), kind);
    uint32_t *count = count_of(s, kind);

    if (!link_alone(&ch->subscribers)) {
        return;
    }
    while (*at != ch) {
        at = &(*at)->next;
    }
    *at = ch->next;
    if (count != NULL) {
        (*count)--;
    }
    link_remove(&ch->patterns);
    mem_free(resp_alloc(s), ch, sizeof *ch + ch->len + 1);
}

/* ---- subscriptions ---- */

static struct resp_subscription *subscription_of(const struct oxbow_resp_client *c,
                                                 const struct resp_channel *ch)
{
    for (const struct link *l = c->subscriptions.next; l != &c->subscriptions; l = l->next) {
        struct resp_subscription *sub = LINK_OF(l, struct resp_subscription, of_client);

        if (sub->channel == ch) {
            return sub;
        }
    }
    return NULL;
}

static void leave(struct oxbow_resp_client *c, struct resp_subscription *sub)
{
    struct resp_channel *ch = sub->channel;

    link_remove(&sub->of_channel);
    link_remove(&sub->of_client);
    mem_free(resp_alloc(c->server), sub, sizeof *sub);
    (*client_count_of(c, sort_of(ch)))--;
    resp_output_limit(c);
    channel_drop(c->server, ch);
}

void resp_pubsub_end(struct oxbow_resp_client *c)
{
    while (!link_alone(&c->subscriptions)) {
        leave(c, LINK_OF(c->subscriptions.next, struct resp_subscription, of_client));
    }
}

static enum oxbow_err join(struct oxbow_resp_client *c, struct oxbow_bytes name, enum sort sort)
{
    struct oxbow_resp *s = c->server;
    struct kind kind = kind_for(c, sort);
    struct resp_channel *ch = channel_get(s, name, kind);
    struct resp_subscription *sub;

    if (ch != NULL && subscription_of(c, ch) != NULL) {
        return OXBOW_OK;
    }
    ch = ch != NULL ? ch : channel_make(s, name, kind);
    sub = ch != NULL ? mem_new(resp_alloc(s), sizeof *sub) : NULL;
    if (sub == NULL) {
        if (ch != NULL) {
            channel_drop(s, ch);
        }
        return OXBOW_ENOMEM;
    }
    sub->channel = ch;
    sub->client = c;
    link_init(&sub->of_channel);
    link_init(&sub->of_client);
    link_add(&ch->subscribers, &sub->of_channel);
    link_add(&c->subscriptions, &sub->of_client);
    (*client_count_of(c, sort))++;
    resp_output_limit(c);
    return OXBOW_OK;
}

/* Sharded channels are counted by themselves. */
static int64_t told_count(const struct oxbow_resp_client *c, enum sort sort)
{
    return sort == SHARD ? c->shards : (int64_t)c->channels + c->patterns;
}

static void tell(struct resp_call *call, const char *what, enum sort sort,
                 const struct oxbow_bytes *name)
{
    struct resp_reply *out = &call->client->out; /* messages: heard also where answers are not */

    resp_push(out, 3);
    resp_bulk_text(out, what);
    if (name != NULL) {
        resp_bulk(out, *name);
    } else {
        resp_null(out);
    }
    resp_int(out, told_count(call->client, sort));
}

static enum oxbow_err subscribe(struct resp_call *call, enum sort sort)
{
    for (uint32_t i = 1; i < call->count; i++) {
        enum oxbow_err err = join(call->client, call->args[i], sort);

        if (err != OXBOW_OK) {
            return err;
        }
        tell(call, words[sort].subscribe, sort, &call->args[i]);
    }
    return OXBOW_OK;
}

static enum oxbow_err unsubscribe(struct resp_call *call, enum sort sort)
{
    const char *what = words[sort].unsubscribe;
    struct oxbow_resp_client *c = call->client;
    bool any = false;
    struct link *next;

    for (uint32_t i = 1; i < call->count; i++) {
        struct resp_channel *ch = channel_get(c->server, call->args[i], kind_for(c, sort));
        struct resp_subscription *sub = ch != NULL ? subscription_of(c, ch) : NULL;

        if (sub != NULL) {
            leave(c, sub);
        }
        tell(call, what, sort, &call->args[i]);
    }
    if (call->count > 1) {
        return OXBOW_OK;
    }
    for (struct link *l = c->subscriptions.next; l != &c->subscriptions; l = next) {
        struct resp_subscription *sub = LINK_OF(l, struct resp_subscription, of_client);

        next = l->next;
        if (sort_of(sub->channel) == sort) {
            resp_push(&c->out, 3);
            resp_bulk_text(&c->out, what);
            resp_bulk(&c->out, name_of(sub->channel));
            leave(c, sub);
            resp_int(&c->out, told_count(c, sort));
            any = true;
        }
    }
    if (!any) {
        tell(call, what, sort, NULL);
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_subscribe(struct resp_call *call)
{
    return subscribe(call, CHANNEL);
}

static enum oxbow_err cmd_psubscribe(struct resp_call *call)
{
    return subscribe(call, PATTERN);
}

static enum oxbow_err cmd_unsubscribe(struct resp_call *call)
{
    return unsubscribe(call, CHANNEL);
}

static enum oxbow_err cmd_punsubscribe(struct resp_call *call)
{
    return unsubscribe(call, PATTERN);
}

/* Within MULTI, where there is one reply to a command, it is refused as in Redis. */
static enum oxbow_err cmd_ssubscribe(struct resp_call *call)
{
    return call->txn == NULL
               ? subscribe(call, SHARD)
               : resp_refuse(call, "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
}

static enum oxbow_err cmd_sunsubscribe(struct resp_call *call)
{
    return unsubscribe(call, SHARD);
}

/* ---- messages ---- */

static void send(struct oxbow_resp *s, const struct resp_subscription *sub,
                 struct oxbow_bytes channel, struct oxbow_bytes payload)
{
    struct oxbow_resp_client *c = sub->client;

    if (s->txn != NULL) {
        resp_batch_join(s, c);
    }
    resp_push(&c->out, sub->channel->pattern ? 4 : 3);
    resp_bulk_text(&c->out, sub->channel->pattern ? "pmessage"
                            : sub->channel->shard ? "smessage"
                                                  : "message");
    if (sub->channel->pattern) {
        resp_bulk(&c->out, name_of(sub->channel));
    }
    resp_bulk(&c->out, channel);
    resp_bulk(&c->out, payload);
    if (s->txn == NULL) {
        resp_client_gate(c, 0);
    }
}

static uint64_t send_all(struct oxbow_resp *s, const struct resp_channel *ch,
                         struct oxbow_bytes channel, struct oxbow_bytes payload)
{
    uint64_t n = 0;

    for (const struct link *l = ch->subscribers.next; l != &ch->subscribers; l = l->next) {
        const struct resp_subscription *sub = LINK_OF(l, struct resp_subscription, of_channel);

        if (!sub->client->killed) {
            send(s, sub, channel, payload);
            n++;
        }
    }
    return n;
}

uint64_t resp_publish(struct oxbow_resp *s, struct oxbow_bytes channel, struct oxbow_bytes payload)
{
    const struct resp_channel *ch = s->channel_count > 0 ? channel_get(s, channel, messages) : NULL;
    uint64_t n = ch != NULL ? send_all(s, ch, channel, payload) : 0;

    for (const struct link *l = s->patterns.next; l != &s->patterns; l = l->next) {
        const struct resp_channel *p = LINK_OF(l, struct resp_channel, patterns);

        if (resp_glob(name_of(p), channel, false)) {
            n += send_all(s, p, channel, payload);
        }
    }
    return n;
}

void resp_notify(struct oxbow_resp *s, uint32_t database, enum resp_event kind, const char *event,
                 struct oxbow_bytes key)
{
    const struct oxbow_bytes what = {event, strlen(event)};
    char name[EVENT_NAME_MAX];
    struct buf channel;
    int len;

    if ((s->notify & (1u << kind)) == 0) {
        return;
    }
    if ((s->notify & RESP_NOTIFY_KEYSPACE) != 0) {
        len = snprintf(name, sizeof name, "__keyspace@%u__:", database);
        buf_init(&channel, resp_alloc(s), key.len + sizeof name);
        if (buf_append(&channel, name, (size_t)len) == OXBOW_OK &&
            buf_append(&channel, key.data, key.len) == OXBOW_OK) {
            (void)resp_publish(s, (struct oxbow_bytes){channel.data, channel.len}, what);
        }
        buf_fini(&channel);
    }
    if ((s->notify & RESP_NOTIFY_KEYEVENT) != 0) {
        len = snprintf(name, sizeof name, "__keyevent@%u__:%.32s", database, event);
        (void)resp_publish(s, (struct oxbow_bytes){name, (size_t)len}, key);
    }
}

static enum oxbow_err cmd_publish(struct resp_call *call)
{
    if (call->client->sentinel) {
        return resp_sentinel_publish(call);
    }
    resp_int(call->reply, (int64_t)resp_publish(call->server, call->args[1], call->args[2]));
    return OXBOW_OK;
}

static enum oxbow_err cmd_spublish(struct resp_call *call)
{
    const struct resp_channel *ch = channel_get(call->server, call->args[1], sharded);
    uint64_t n = ch != NULL ? send_all(call->server, ch, call->args[1], call->args[2]) : 0;

    resp_int(call->reply, (int64_t)n);
    return OXBOW_OK;
}

/* ---- PUBSUB ---- */

static enum oxbow_err channels(struct resp_call *call, bool shard)
{
    struct oxbow_resp *s = call->server;
    struct resp_later later;
    size_t n = 0;

    if (call->count > 3) {
        return resp_refuse_subcommand(call);
    }
    later = resp_array_later(call->reply);
    for (size_t i = 0; i < RESP_INTEREST_SLOTS; i++) {
        for (const struct resp_channel *ch = s->channels[i]; ch != NULL; ch = ch->next) {
            if (!ch->pattern && !ch->sentinel && ch->shard == shard &&
                (call->count == 2 || resp_glob(call->args[2], name_of(ch), false))) {
                resp_bulk(call->reply, name_of(ch));
                n++;
            }
        }
    }
    resp_later_set(call->reply, later, n);
    return OXBOW_OK;
}

static enum oxbow_err cmd_pubsub_channels(struct resp_call *call)
{
    return channels(call, false);
}

static enum oxbow_err cmd_pubsub_shardchannels(struct resp_call *call)
{
    return channels(call, true);
}

static enum oxbow_err numsub(struct resp_call *call, struct kind kind)
{
    resp_array(call->reply, 2 * (size_t)(call->count - 2));
    for (uint32_t i = 2; i < call->count; i++) {
        const struct resp_channel *ch = channel_get(call->server, call->args[i], kind);
        int64_t n = 0;

        for (const struct link *l = ch != NULL ? ch->subscribers.next : NULL;
             ch != NULL && l != &ch->subscribers; l = l->next) {
            n++;
        }
        resp_bulk(call->reply, call->args[i]);
        resp_int(call->reply, n);
    }
    return OXBOW_OK;
}

static enum oxbow_err cmd_pubsub_numsub(struct resp_call *call)
{
    return numsub(call, messages);
}

static enum oxbow_err cmd_pubsub_shardnumsub(struct resp_call *call)
{
    return numsub(call, sharded);
}

static enum oxbow_err pubsub_help(struct resp_call *call)
{
    static const char *const lines[] = {
        "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CHANNELS [<pattern>]",
        "NUMPAT",
        "NUMSUB [<channel> ...]",
        "SHARDCHANNELS [<pattern>]",
        "SHARDNUMSUB [<channel> ...]",
        "HELP",
        NULL,
    };

    return resp_lines(call, lines);
}

static enum oxbow_err cmd_pubsub_numpat(struct resp_call *call)
{
    resp_int(call->reply, call->server->pattern_count);
    return OXBOW_OK;
}

#define ANY (RESP_PUBSUB | RESP_LOADING | RESP_STALE)

static const struct resp_command pubsub_subs[] = {
    {"pubsub|channels", cmd_pubsub_channels, -2, ANY | RESP_PURE, 0, 0, 0, 0, "2.8.0",
     "Names the channels that have subscribers", NULL},
    {"pubsub|numsub", cmd_pubsub_numsub, -2, ANY | RESP_PURE, 0, 0, 0, 0, "2.8.0",
     "How many are subscribed to each channel", NULL},
    {"pubsub|numpat", cmd_pubsub_numpat, 2, ANY | RESP_PURE, 0, 0, 0, 0, "2.8.0",
     "How many patterns have subscribers", NULL},
    {"pubsub|shardchannels", cmd_pubsub_shardchannels, -2, ANY | RESP_PURE, 0, 0, 0, 0, "7.0.0",
     "Names the sharded channels that have subscribers", NULL},
    {"pubsub|shardnumsub", cmd_pubsub_shardnumsub, -2, ANY | RESP_PURE, 0, 0, 0, 0, "7.0.0",
     "How many are subscribed to each sharded channel", NULL},
    {"pubsub|help", pubsub_help, 2, RESP_LOADING | RESP_STALE | RESP_PURE, 0, 0, 0, 0, "6.2.0",
     "What PUBSUB can do", NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

#define SHARDED     (ANY | RESP_NOSCRIPT | RESP_ALONE | RESP_SUBSCRIBED)
#define SUBSCRIBING (SHARDED | RESP_SENTINEL)

const struct resp_command resp_pubsub_commands[] = {
    {"subscribe", cmd_subscribe, -2, SUBSCRIBING, 0, 0, 0, 0, "2.0.0",
     "Sends what is published to the channels from now on", NULL},
    {"psubscribe", cmd_psubscribe, -2, SUBSCRIBING, 0, 0, 0, 0, "2.0.0",
     "Sends what is published to channels that match the patterns", NULL},
    {"unsubscribe", cmd_unsubscribe, -1, SUBSCRIBING, 0, 0, 0, 0, "2.0.0",
     "Ends subscriptions to channels, or to all", NULL},
    {"punsubscribe", cmd_punsubscribe, -1, SUBSCRIBING, 0, 0, 0, 0, "2.0.0",
     "Ends subscriptions to patterns, or to all", NULL},
    {"publish", cmd_publish, 3, ANY | RESP_FAST | RESP_SENTINEL, 0, 0, 0, 0, "2.0.0",
     "Sends a message to a channel's subscribers", NULL},
    {"ssubscribe", cmd_ssubscribe, -2, SHARDED, 0, 1, -1, 1, "7.0.0",
     "Sends what is published to the sharded channels from now on", NULL},
    {"sunsubscribe", cmd_sunsubscribe, -1, SHARDED, 0, 1, -1, 1, "7.0.0",
     "Ends subscriptions to sharded channels, or to all", NULL},
    {"spublish", cmd_spublish, 3, ANY | RESP_FAST, 0, 1, 1, 1, "7.0.0",
     "Sends a message to a sharded channel's subscribers", NULL},
    {"pubsub", NULL, -2, RESP_PURE, 0, 0, 0, 0, "2.8.0", "Tells of channels and subscribers",
     pubsub_subs},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
