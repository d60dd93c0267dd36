/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XDELEX and XACKDEL of Redis 8.2: deletions that say what becomes of the references that groups hold.
 * Both take KEEPREF, DELREF or ACKED, once, and IDS with how many follow, in any order. As in Redis a
 * key or group that is not there is answered before the ids are looked at.
 */
#include "engine/resp/cmd_stream.h"

#include "engine/resp/args.h"

struct refs_args {
    enum oxbow_refs refs;
    uint32_t first; /* argument of the first id */
    uint32_t count; /* of ids */
};

bool stream_refs_word(struct oxbow_bytes arg, enum oxbow_refs *out)
{
    static const struct {
        const char *word;
        enum oxbow_refs refs;
    } words[] = {
        {"keepref", OXBOW_REFS_KEEP}, {"delref", OXBOW_REFS_DELETE}, {"acked", OXBOW_REFS_ACKED}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (resp_arg_is(arg, words[i].word)) {
            *out = words[i].refs;
            return true;
        }
    }
    return false;
}

const char *stream_counted_ids(const struct resp_call *call, uint32_t *at, uint32_t *first,
                               const struct stream_counted_texts *texts)
{
    uint32_t room = call->count - *at - 2; /* the caller has seen that the number is there */
    int64_t n;

    if (!resp_arg_int(call->args[*at + 1], &n) || n < 1 || n > texts->most) {
        return texts->no_number;
    }
    if ((uint64_t)n > room) {
        return texts->too_few;
    }
    *first = *at + 2;
    *at += 1 + (uint32_t)n;
    return NULL;
}

/* Options from argument `at` on. NULL, or what is to be replied. */
static const char *refs_args_read(const struct resp_call *call, uint32_t at, struct refs_args *a)
{
    static const struct stream_counted_texts texts = {
        .most = INT64_MAX,
        .no_number = "ERR Number of IDs must be a positive integer",
        .too_few = "ERR The `numids` parameter must match the number of arguments"};
    bool said = false;

    *a = (struct refs_args){.refs = OXBOW_REFS_KEEP};
    for (uint32_t i = at; i < call->count; i++) {
        if (!said && stream_refs_word(call->args[i], &a->refs)) {
            said = true;
        } else if (resp_arg_is(call->args[i], "ids") && i + 1 < call->count) {
            const char *bad = stream_counted_ids(call, &i, &a->first, &texts);

            if (bad != NULL) {
                return bad;
            }
            a->count = i - a->first + 1;
        } else {
            return "ERR syntax error";
        }
    }
    /* Fewer words than the arity asks for cannot do without IDS: this is never seen. */
    return a->count == 0 ? "ERR IDS option is required" : NULL;
}

enum oxbow_err stream_ids_of(struct resp_call *call, uint32_t first, uint32_t count,
                             struct oxbow_id *ids)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!stream_id(call->args[first + i], 0, &ids[i])) {
            return OXBOW_EPARSE;
        }
    }
    return OXBOW_OK;
}

static void no_such(struct resp_call *call, uint32_t count)
{
    resp_array(call->reply, count);
    for (uint32_t i = 0; i < count; i++) {
        resp_int(call->reply, OXBOW_DELETE_NONE);
    }
}

/* Ids and what became of each, in one piece of memory. */
struct refs_work {
    struct oxbow_id *ids;
    enum oxbow_delete_outcome *outcomes;
    size_t len;
};

static enum oxbow_err work_open(struct resp_call *call, const struct refs_args *a,
                                struct refs_work *w)
{
    enum oxbow_err err;

    w->len = (size_t)a->count * (sizeof *w->ids + sizeof *w->outcomes);
    w->ids = mem_new(resp_alloc(call->server), w->len);
    if (w->ids == NULL) {
        return OXBOW_ENOMEM;
    }
    w->outcomes = (void *)(w->ids + a->count);
    err = stream_ids_of(call, a->first, a->count, w->ids);
    if (err != OXBOW_OK) {
        mem_free(resp_alloc(call->server), w->ids, w->len);
    }
    return err;
}

/* What became of them, and the event when the stream has become shorter. */
static enum oxbow_err tell(struct resp_call *call, const struct refs_args *a,
                           const struct refs_work *w, uint64_t len_before)
{
    uint64_t len = 0;
    enum oxbow_err err = oxbow_stream_len(call->txn, call->args[1], &len);

    if (err != OXBOW_OK) {
        return err;
    }
    resp_array(call->reply, a->count);
    for (uint32_t i = 0; i < a->count; i++) {
        resp_int(call->reply, w->outcomes[i]);
    }
    if (len < len_before) {
        resp_changed(call, RESP_EVENT_STREAM, "xdel", call->args[1]);
    }
    return OXBOW_OK;
}

/* Deletes, in the group (XACKDEL) or not (NULL), which is there. */
static enum oxbow_err delete (struct resp_call *call, const struct refs_args *a,
                              const struct oxbow_group *group) {
    struct refs_work w; uint64_t len = 0; enum oxbow_err err = work_open(call, a, &w);

    if (err != OXBOW_OK){return err == OXBOW_EPARSE ? resp_refuse(call, STREAM_BAD_ID) : err;}
err = oxbow_stream_len(call->txn, call->args[1], &len);
if (err == OXBOW_OK && group != NULL) {
    struct oxbow_group_ack_delete_options opt = {.refs = a->refs, .ids = w.ids, .count = a->count};

    err = oxbow_group_ack_delete(call->txn, *group, &opt, w.outcomes);
} else if (err == OXBOW_OK) {
    err = oxbow_stream_delete_refs(call->txn, call->args[1], a->refs, w.ids, a->count, w.outcomes);
}
if (err == OXBOW_OK) {
    err = tell(call, a, &w, len);
}
mem_free(resp_alloc(call->server), w.ids, w.len);
return err;
}

enum oxbow_err cmd_xdelex(struct resp_call *call)
{
    struct refs_args a;
    const char *bad;
    bool there = false;
    enum oxbow_err err = stream_there(call, call->args[1], &there);

    if (err != OXBOW_OK) {
        return err;
    }
    bad = refs_args_read(call, 2, &a);
    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    if (!there) {
        no_such(call, a.count);
        return OXBOW_OK;
    }
    return delete (call, &a, NULL);
}

enum oxbow_err cmd_xackdel(struct resp_call *call)
{
    struct oxbow_group group = {call->args[1], call->args[2]};
    struct refs_args a;
    const char *bad;
    bool there = false;
    bool found = false;
    enum oxbow_err err = stream_there(call, group.key, &there);

    if (err != OXBOW_OK) {
        return err;
    }
    bad = refs_args_read(call, 3, &a);
    if (bad != NULL) {
        return resp_refuse(call, bad);
    }
    err = there ? stream_group_there(call, group, &found) : OXBOW_OK;
    if (err != OXBOW_OK) {
        return err;
    }
    if (!found) {
        no_such(call, a.count);
        return OXBOW_OK;
    }
    return delete (call, &a, &group);
}
