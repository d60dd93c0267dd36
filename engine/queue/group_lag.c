/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a group has read, as a count. Redis 7.0's rules: the counter is exact as long as no entry
 * was deleted by id ahead of the group, is found again at the stream's known points (empty, first,
 * last), and unknown otherwise: counting would take a walk over the stream.
 */
#include "engine/queue/group.h"

static bool tombstones_from(const struct stream *s, struct oxbow_id id)
{
    return s->length > 0 && !id_is_zero(s->max_deleted) &&
           id_compare(s->max_deleted, s->first) >= 0 && id_compare(s->max_deleted, id) >= 0;
}

/* The count of entries ever added up to `id`, where that is known. */
static uint64_t read_estimate(const struct stream *s, struct oxbow_id id)
{
    int to_last = id_compare(id, s->last);
    int to_first = id_compare(id, s->first);

    if (s->entries_added == 0) {
        return 0;
    }
    if (to_last == 0 || (s->length == 0 && to_last < 0)) {
        return s->entries_added;
    }
    if (to_last > 0) {
        return GROUP_READ_UNKNOWN;
    }
    if ((id_is_zero(s->max_deleted) || id_compare(s->max_deleted, s->first) < 0) && to_first <= 0) {
        return s->entries_added - s->length + (to_first == 0 ? 1 : 0);
    }
    return GROUP_READ_UNKNOWN;
}

/* The same for a group that stands there. With priorities it may have been given more. */
static uint64_t read_known(const struct stream *s, struct oxbow_id id)
{
    bool all = s->length == 0 || id_compare(id, s->last) >= 0;

    return s->priorities && !all ? GROUP_READ_UNKNOWN : read_estimate(s, id);
}

uint64_t group_read_from(const struct stream *s, struct oxbow_id id)
{
    return read_estimate(s, id);
}

void group_read_many(struct group *g, uint64_t count, struct oxbow_id to)
{
    const struct stream *s = g->stream;

    if (g->entries_read != GROUP_READ_UNKNOWN && !tombstones_from(s, g->last)) {
        g->entries_read += count;
    } else {
        g->entries_read = GROUP_READ_UNKNOWN;
    }
    g->last = to;
    if (id_compare(to, s->last) == 0) {
        g->entries_read = s->entries_added;
    }
}

void group_read_advance(struct group *g, struct oxbow_id id)
{
    const struct stream *s = g->stream;

    if (g->entries_read != GROUP_READ_UNKNOWN && !tombstones_from(s, id)) {
        g->entries_read++;
    } else if (s->entries_added > 0) {
        g->entries_read = read_known(s, id);
    }
    g->last = id;
}

bool group_lag(const struct group *g, int64_t *lag)
{
    const struct stream *s = g->stream;
    uint64_t read = g->entries_read;

    if (s->entries_added == 0) {
        *lag = 0;
        return true;
    }
    if (read == GROUP_READ_UNKNOWN || tombstones_from(s, g->last)) {
        read = read_known(s, g->last);
    }
    if (read == GROUP_READ_UNKNOWN) {
        return false;
    }
    *lag = (int64_t)(s->entries_added - read);
    return true;
}
