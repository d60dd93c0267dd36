/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages that say what has changed: a push in RESP3; in RESP2, to a connection that is subscribed to
 * something and that another one names with REDIRECT, one of the channel __redis__:invalidate.
 *
 *     changed --resp_track_tell--> told --resp_track_settle, committed--> gone
 *        ^                           |
 *        +--- not committed ---------+
 *
 * 1. Nobody is told before the command is over: until then replies may be half written.
 * 2. Messages are part of the batch, as those of channels are: they leave when the change is as safe as it should
 *    be. If the batch fails they are taken back and sent without it: the change may come again with another
 *    batch, and by then the key is not in the table any more. To be told in vain does no harm; not to be told does.
 */
#include "engine/base/codec.h"
#include "engine/resp/server.h"

#include <string.h>

/* ---- messages ---- */

static void join(struct oxbow_resp *s, struct oxbow_resp_client *to)
{
    if (s->txn != NULL) {
        resp_batch_join(s, to);
        to->batch_told =
            true; /* a message may be all that it has in the batch, also one of its own */
    }
}

static void leave(struct oxbow_resp *s, struct oxbow_resp_client *to)
{
    if (s->txn == NULL) {
        resp_client_gate(to, 0);
    }
}

static void tell_broken(struct oxbow_resp *s, struct oxbow_resp_client *c)
{
    c->tracking.broken = true;
    if (c->out.version > 2) {
        join(s, c);
        resp_push(&c->out, 2);
        resp_bulk_text(&c->out, "tracking-redir-broken");
        resp_int(&c->out, (int64_t)c->tracking.redirect);
        leave(s, c);
    }
}

/* Begins a message of the client's. NULL: there is nobody who could get it; otherwise who gets it: what has
 * changed is to follow, then `leave`. */
static struct oxbow_resp_client *begin(struct oxbow_resp *s, struct oxbow_resp_client *c)
{
    bool redirected = c->tracking.redirect != 0;
    struct oxbow_resp_client *to = redirected ? resp_client_find(s, c->tracking.redirect) : c;

    if (to == NULL) {
        tell_broken(s, c);
        return NULL;
    }
    if (to->killed || (to->out.version == 2 && !(redirected && resp_subscribed(to) > 0))) {
        return NULL;
    }
    join(s, to);
    if (to->out.version > 2) {
        resp_push(&to->out, 2);
        resp_bulk_text(&to->out, "invalidate");
    } else {
        resp_push(&to->out, 3);
        resp_bulk_text(&to->out, "message");
        resp_bulk_text(&to->out, "__redis__:invalidate");
    }
    return to;
}

static void tell_all_of(struct oxbow_resp *s, struct oxbow_resp_client *c)
{
    struct oxbow_resp_client *to = begin(s, c);

    if (to != NULL) {
        resp_null(&to->out);
        leave(s, to);
    }
}

static void tell_readers(struct oxbow_resp *s, const struct resp_tracked *k)
{
    for (uint32_t i = 0; i < k->reader_count; i++) {
        struct oxbow_resp_client *c = resp_client_find(s, k->readers[i]);
        struct oxbow_resp_client *to;

        if (c == NULL || c->killed || !c->tracking.on || c->tracking.bcast ||
            (c->tracking.noloop && k->by == c->id)) {
            continue;
        }
        to = begin(s, c);
        if (to != NULL) {
            resp_array(&to->out, 1);
            resp_bulk(&to->out, (struct oxbow_bytes){k->name, k->len});
            leave(s, to);
        }
    }
}

/* The next changed name from *pos on that the client is to be told for the prefix. False: there is none. */
static bool name_next(const struct resp_track *t, const struct oxbow_resp_client *c,
                      const struct resp_prefix *p, size_t *pos, struct oxbow_bytes *name)
{
    while (*pos < t->names.len) {
        const uint8_t *head = t->names.data + *pos;
        uint64_t by = get_le64(head);

        *name = (struct oxbow_bytes){head + RESP_CHANGED_HEAD, get_le32(head + 8)};
        *pos += RESP_CHANGED_HEAD + name->len;
        if (name->len >= p->len && memcmp(name->data, p->text, p->len) == 0 &&
            !(c->tracking.noloop && by == c->id)) {
            return true;
        }
    }
    return false;
}

static void tell_prefix(struct oxbow_resp *s, struct oxbow_resp_client *c,
                        const struct resp_prefix *p)
{
    const struct resp_track *t = &s->track;
    struct oxbow_resp_client *to;
    struct oxbow_bytes name;
    size_t pos = t->names_told;
    size_t count = 0;

    while (name_next(t, c, p, &pos, &name)) {
        count++;
    }
    to = count > 0 ? begin(s, c) : NULL;
    if (to != NULL) {
        resp_array(&to->out, count);
        pos = t->names_told;
        while (name_next(t, c, p, &pos, &name)) {
            resp_bulk(&to->out, name);
        }
        leave(s, to);
    }
}

static void tell_bcasts(struct oxbow_resp *s)
{
    struct resp_track *t = &s->track;

    for (struct link *l = t->bcasts.next; l != &t->bcasts; l = l->next) {
        struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, tracking.bcasts);

        if (c->killed) {
            continue;
        }
        if (t->names_lost) {
            tell_all_of(s, c);
            continue;
        }
        for (struct link *p = c->tracking.prefixes.next; p != &c->tracking.prefixes; p = p->next) {
            tell_prefix(s, c, LINK_OF(p, struct resp_prefix, of_client));
        }
    }
    t->names_told = t->names.len;
    t->lost_told = t->lost_told || t->names_lost;
    t->names_lost = false;
}

static void tell_all(struct oxbow_resp *s)
{
    for (struct link *l = s->clients.next; l != &s->clients; l = l->next) {
        struct oxbow_resp_client *c = LINK_OF(l, struct oxbow_resp_client, all);

        if (c->tracking.on && !c->killed) {
            tell_all_of(s, c);
        }
    }
    s->track.all = false;
    s->track.all_told = true;
}

void resp_track_tell(struct oxbow_resp *s)
{
    struct resp_track *t = &s->track;

    while (!link_alone(&t->changed)) {
        struct resp_tracked *k = LINK_OF(t->changed.next, struct resp_tracked, link);

        tell_readers(s, k);
        link_remove(&k->link);
        link_add(&t->told, &k->link);
    }
    if (t->names_told < t->names.len || t->names_lost) {
        tell_bcasts(s);
    }
    if (t->all) {
        tell_all(s);
    }
}

void resp_track_settle(struct oxbow_resp *s, bool committed)
{
    struct resp_track *t = &s->track;

    if (!committed) {
        while (!link_alone(&t->told)) {
            struct link *l = t->told.next;

            link_remove(l);
            link_add(&t->changed, l);
        }
        t->names_told = 0;
        t->names_lost = t->names_lost || t->lost_told;
        t->all = t->all || t->all_told;
        resp_track_tell(s);
    }
    resp_tracked_free(s, &t->told);
    t->some = false;
    t->names.len = 0;
    t->names_told = 0;
    t->lost_told = false;
    t->all_told = false;
    if (t->names.cap > RESP_REPLY_KEEP) {
        buf_fini(&t->names);
    }
}
