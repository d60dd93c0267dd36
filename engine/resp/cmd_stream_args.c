/* SPDX-License-Identifier: Apache-2.0 */
/* Ids, intervals, entries and refusals of the stream family. */
#include "engine/resp/cmd_stream.h"

#include "engine/base/id.h"
#include "oxbow/key.h"

#include <string.h>

#define ID_ARG_MAX 127u /* bytes of an argument that can be an id at all */

bool stream_id(struct oxbow_bytes arg, uint64_t seq, struct oxbow_id *out)
{
    return arg.len <= ID_ARG_MAX && id_from_text(arg, seq, out) == OXBOW_OK;
}

static bool is_char(struct oxbow_bytes arg, char c)
{
    return arg.len == 1 && *(const char *)arg.data == c;
}

bool stream_id_or_end(struct oxbow_bytes arg, uint64_t seq, struct oxbow_id *out)
{
    if (is_char(arg, '-')) {
        *out = OXBOW_ID_MIN;
        return true;
    }
    if (is_char(arg, '+')) {
        *out = OXBOW_ID_MAX;
        return true;
    }
    return stream_id(arg, seq, out);
}

/* Takes the '(' off. */
static bool open_end(struct oxbow_bytes *arg)
{
    const char *p = arg->data;
    bool open = arg->len > 1 && p[0] == '(';

    if (open) {
        *arg = (struct oxbow_bytes){p + 1, arg->len - 1};
    }
    return open;
}

const char *stream_id_from(struct oxbow_bytes arg, struct oxbow_id *out)
{
    bool open = open_end(&arg);

    if (open ? !stream_id(arg, 0, out) : !stream_id_or_end(arg, 0, out)) {
        return STREAM_BAD_ID;
    }
    return open && !id_next(out) ? "ERR invalid start ID for the interval" : NULL;
}

const char *stream_id_to(struct oxbow_bytes arg, struct oxbow_id *out)
{
    bool open = open_end(&arg);

    if (open ? !stream_id(arg, UINT64_MAX, out) : !stream_id_or_end(arg, UINT64_MAX, out)) {
        return STREAM_BAD_ID;
    }
    return open && !id_prev(out) ? "ERR invalid end ID for the interval" : NULL;
}

enum oxbow_err stream_ids(struct resp_call *call, uint32_t arg, struct oxbow_id **out)
{
    size_t len = (size_t)(call->count - arg) * sizeof(struct oxbow_id);
    struct oxbow_id *ids = mem_new(resp_alloc(call->server), len);

    if (ids == NULL) {
        return OXBOW_ENOMEM;
    }
    for (uint32_t i = arg; i < call->count; i++) {
        if (!stream_id(call->args[i], 0, &ids[i - arg])) {
            stream_ids_free(call, arg, ids);
            return OXBOW_EPARSE;
        }
    }
    *out = ids;
    return OXBOW_OK;
}

void stream_ids_free(struct resp_call *call, uint32_t arg, struct oxbow_id *ids)
{
    mem_free(resp_alloc(call->server), ids, (size_t)(call->count - arg) * sizeof(struct oxbow_id));
}

enum oxbow_err stream_there(struct resp_call *call, struct oxbow_bytes key, bool *there)
{
    enum oxbow_type type = OXBOW_TYPE_NONE;
    enum oxbow_err err = oxbow_key_type(call->txn, key, &type);

    if (err != OXBOW_OK) {
        return err;
    }
    *there = type == OXBOW_TYPE_STREAM;
    return *there || type == OXBOW_TYPE_NONE ? OXBOW_OK : OXBOW_EWRONGTYPE;
}

enum oxbow_err stream_group_there(struct resp_call *call, struct oxbow_group group, bool *there)
{
    struct oxbow_pending_summary summary;
    enum oxbow_err err = oxbow_group_pending_summary(call->txn, group, &summary);

    *there = err == OXBOW_OK;
    return err == OXBOW_ENOGROUP ? OXBOW_OK : err;
}

int stream_shown(struct oxbow_bytes b)
{
    const char *zero = b.len > 0 ? memchr(b.data, 0, b.len) : NULL;
    size_t len = zero != NULL ? (size_t)(zero - (const char *)b.data) : b.len;

    return (int)(len < INT16_MAX ? len : INT16_MAX);
}

enum oxbow_err stream_refuse_group(struct resp_call *call, struct oxbow_group group,
                                   const char *more)
{
    resp_error_format(call->reply, "NOGROUP No such key '%.*s' or consumer group '%.*s'%s",
                      stream_shown(group.key), (const char *)group.key.data,
                      stream_shown(group.name), (const char *)group.name.data, more);
    return OXBOW_OK;
}

int64_t stream_deliveries(uint64_t deliveries)
{
    return deliveries < STREAM_DELIVERIES_MAX ? (int64_t)deliveries : INT64_MAX;
}

void stream_entry(struct resp_reply *r, const struct oxbow_entry *entry)
{
    resp_array(r, 2);
    stream_entry_parts(r, entry);
}

void stream_entry_parts(struct resp_reply *r, const struct oxbow_entry *entry)
{
    resp_bulk_id(r, entry->id);
    if (entry->deleted) {
        resp_null_array(r);
        return;
    }
    resp_array(r, (size_t)entry->field_count * 2);
    for (uint32_t i = 0; i < entry->field_count; i++) {
        resp_bulk(r, entry->fields[i].name);
        resp_bulk(r, entry->fields[i].value);
    }
}

void stream_entries(struct resp_call *call)
{
    resp_array(call->reply, call->result->entry_count);
    for (size_t i = 0; i < call->result->entry_count; i++) {
        stream_entry(call->reply, &call->result->entries[i]);
    }
}
