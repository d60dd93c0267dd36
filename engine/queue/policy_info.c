/* SPDX-License-Identifier: Apache-2.0 */
/* How a queue stands to its policy. Reads only. */
#include "engine/queue/boots.h"
#include "engine/queue/forward.h"
#include "engine/queue/policy_list.h"
#include "engine/queue/stream.h"

#include <string.h>

static uint64_t over(uint64_t have, uint64_t max)
{
    return max > 0 && have > max ? have - max : 0;
}

/* The chunk of a stream's oldest entry. */
static enum oxbow_err stream_oldest(struct stream *s, struct chunk_head *head)
{
    struct stream_walk w;
    struct stream_entry entry;
    enum oxbow_err err = stream_walk_init(&w, s, s->first, s->first, false);

    if (err != OXBOW_OK) {
        return err;
    }
    err = stream_walk_next(&w, &entry);
    if (err == OXBOW_OK) {
        err = chunk_head_decode(w.chunk.bytes, head);
    }
    stream_walk_fini(&w);
    return err;
}

static enum oxbow_err list_oldest(const struct list *l, enum oxbow_end end, struct chunk_head *head)
{
    struct list_view v;
    enum oxbow_err err = list_view_load(l, l->ends[end].id, 1, &v);

    return err == OXBOW_OK ? chunk_head_decode((struct oxbow_bytes){v.data, v.len}, head) : err;
}

/* As policy_chunk_age, or what the record of the chunk's opening says. */
static enum oxbow_err chunk_age(struct oxbow_txn *txn, const struct chunk_head *head, uint64_t *ms)
{
    enum oxbow_err err = policy_chunk_age(txn, head, ms);

    return err == OXBOW_OK && *ms == UINT64_MAX ? boots_age(txn, head->boot, head->uptime_ms, ms)
                                                : err;
}

enum oxbow_err policy_depth(struct oxbow_txn *txn, struct oxbow_bytes key,
                            struct oxbow_policy_info *info)
{
    struct chunk_head heads[2];
    struct object object;
    struct stream s;
    struct list l;
    uint64_t ages[2] = {UINT64_MAX, UINT64_MAX};
    enum oxbow_err err = catalog_find(txn, key, &object);

    if (err == OXBOW_OK && object.type == OXBOW_TYPE_STREAM) {
        err = stream_load(txn, &object, &s);
        info->entries = s.length;
        info->bytes = s.bytes;
        if (err == OXBOW_OK && s.length > 0) {
            err = stream_oldest(&s, &heads[0]);
            err = err == OXBOW_OK ? chunk_age(txn, &heads[0], &ages[0]) : err;
        }
    } else if (err == OXBOW_OK && object.type == OXBOW_TYPE_LIST) {
        err = list_find(txn, key, &l);
        info->entries = l.count;
        info->bytes = l.bytes;
        for (int end = 0; err == OXBOW_OK && end < 2; end++) {
            err = list_oldest(&l, (enum oxbow_end)end, &heads[end]);
            err = err == OXBOW_OK ? chunk_age(txn, &heads[end], &ages[end]) : err;
        }
        if (err == OXBOW_OK && ages[1] != UINT64_MAX &&
            (ages[0] == UINT64_MAX || ages[1] > ages[0])) {
            ages[0] = ages[1];
        }
    }
    info->oldest_age_ms = ages[0];
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

enum oxbow_err oxbow_policy_info(struct oxbow_txn *txn, struct oxbow_bytes key,
                                 struct oxbow_policy_info *info)
{
    struct oxbow_policy_info out = {.oldest_age_ms = UINT64_MAX};
    const struct oxbow_policy *p;
    struct policy_row *row;
    bool aged;
    bool held = false;
    enum oxbow_err err;

    if (info == NULL) {
        return OXBOW_EINVAL;
    }
    err = policy_row(txn, key, &row);
    if (err == OXBOW_OK && row == NULL) {
        err = OXBOW_ENOENT;
    }
    if (err == OXBOW_OK) {
        err = policy_depth(txn, key, &out);
    }
    if (err == OXBOW_OK) {
        err = policy_quota_held(txn, key, row, &held);
    }
    if (err != OXBOW_OK) {
        return err;
    }
    p = &row->policy;
    out.refused = row->refused;
    out.over_entries = over(out.entries, p->max_entries);
    out.over_bytes = over(out.bytes, p->max_bytes);
    out.full = (p->max_entries > 0 && out.entries >= p->max_entries) ||
               (p->max_bytes > 0 && out.bytes >= p->max_bytes);
    aged = p->max_age_ms > 0 && out.oldest_age_ms != UINT64_MAX &&
           out.oldest_age_ms > p->max_age_ms + 2 * policy_rotate_ms(p);
    if (out.over_entries > 0 || out.over_bytes > 0 || aged || held) {
        err = forward_of(txn, key, out.held_by);
    }
    if (err == OXBOW_OK) {
        *info = out;
    }
    return err;
}
