/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Priorities after a salvage. Entries say their priority by themselves, so that what the index should
 * have is known; but writing all of it anew may be more than a transaction can hold. So an index that
 * lacks anything is void: what is in the stream then is given in the order of ids.
 */
#include "engine/queue/priority_walk.h"

#define VOID_KEYS 4096u /* of an index that is void, removed at once */

/* ---- after a salvage ---- */

/* Whether the index has every live entry above `from`. Counts the live ones by priority. */
static enum oxbow_err index_whole(struct stream *s, struct priorities *p, bool *whole)
{
    struct priority_walk walks[PRIORITIES];
    struct stream_walk w;
    struct stream_entry entry;
    size_t open = 0;
    enum oxbow_err err = stream_walk_init(&w, s, OXBOW_ID_MIN, OXBOW_ID_MAX, false);

    if (err != OXBOW_OK) {
        return err;
    }
    for (; err == OXBOW_OK && open < PRIORITIES; open += err == OXBOW_OK) {
        p->rows[open].entries = 0;
        err = priority_walk_init(&walks[open], s, (uint8_t)open, p->from);
    }
    while (err == OXBOW_OK && (err = stream_walk_next(&w, &entry)) == OXBOW_OK) {
        uint8_t level = STREAM_ENTRY_PRIORITY(entry.flags);
        struct oxbow_id id = OXBOW_ID_MIN;

        p->rows[level].entries++;
        while (*whole && id_compare(entry.id, p->from) > 0 && err == OXBOW_OK &&
               id_compare(id, entry.id) < 0) {
            err = priority_walk_next(&walks[level], &id);
        }
        if (err == OXBOW_ENOENT || err == OXBOW_ECORRUPT || id_compare(id, entry.id) > 0) {
            *whole = false;
            err = OXBOW_OK;
        }
    }
    while (open > 0) {
        priority_walk_fini(&walks[--open]);
    }
    stream_walk_fini(&w);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}

/* Whether the chunk that grows is there and ends where the row says. */
static enum oxbow_err tail_whole(struct stream *s, uint8_t level, struct priority_row *row,
                                 bool *whole)
{
    struct priority_walk w;
    struct oxbow_id id = OXBOW_ID_MIN;
    uint8_t key[KV_KEY_MAX];
    struct oxbow_bytes value;
    enum oxbow_err err;

    if (id_is_zero(row->tail)) {
        return OXBOW_OK;
    }
    err = kv_get(s->txn, index_key(key, s, level, row->tail), &value);
    if (err == OXBOW_OK) {
        err = priority_walk_init(&w, s, level, row->tail);
    }
    if (err == OXBOW_OK) {
        while (err == OXBOW_OK) {
            err = priority_walk_next(&w, &id);
        }
        id = w.at; /* the last one, dead or alive */
        priority_walk_fini(&w);
    }
    *whole = *whole && err == OXBOW_ENOENT && id_compare(id, row->newest) == 0;
    return err == OXBOW_ENOENT || err == OXBOW_ECORRUPT ? OXBOW_OK : err;
}

static enum oxbow_err index_void(struct stream *s, struct priorities *p)
{
    const struct oxbow_log *log = &txn_port(s->txn)->log;
    uint8_t low[KV_KEY_MAX], high[KV_KEY_MAX];
    bool more;

    log->line(log->ctx, OXBOW_LOG_WARN,
              "store: priorities of a stream are lost: what it has is given in the order of ids");
    p->from = s->last;
    for (size_t i = 0; i < PRIORITIES; i++) {
        p->rows[i].newest = OXBOW_ID_MIN;
        p->rows[i].tail = OXBOW_ID_MIN;
    }
    /* What is left lies below `from` and is never looked at again. */
    return kv_del_range(
        s->txn,
        (struct oxbow_bytes){low, object_key(low, s->object.id, STREAM_KIND_PRIORITY, NULL, 0)},
        (struct oxbow_bytes){high,
                             object_key(high, s->object.id, STREAM_KIND_PRIORITY + 1, NULL, 0)},
        VOID_KEYS, &more);
}

enum oxbow_err priority_mend(struct stream *s)
{
    struct priorities p = {.from = OXBOW_ID_MIN};
    enum oxbow_err err = priority_load(s, &p);
    bool whole = err == OXBOW_OK;

    if (err == OXBOW_OK || err == OXBOW_ECORRUPT) {
        err = index_whole(s, &p, &whole);
    }
    for (uint8_t i = 0; err == OXBOW_OK && i < PRIORITIES && whole; i++) {
        err = tail_whole(s, i, &p.rows[i], &whole);
    }
    if (err == OXBOW_OK && !whole) {
        err = index_void(s, &p);
    }
    return err == OXBOW_OK ? priority_save(s, &p) : err;
}
