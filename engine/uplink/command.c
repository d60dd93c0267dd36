/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes commands in the one form that every Redis understands: an array of bulk strings. It knows
 * no command; who writes one counts its arguments beforehand.
 */
#include "engine/uplink/command.h"

#include "engine/base/id.h"
#include "engine/base/num.h"

#include <string.h>

static enum oxbow_err put_head(struct buf *out, char kind, uint64_t n)
{
    char head[NUM_TEXT_MAX + 3];
    size_t len;

    head[0] = kind;
    len = 1 + num_u64_text(head + 1, n);
    head[len++] = '\r';
    head[len++] = '\n';
    return buf_append(out, head, len);
}

enum oxbow_err command_begin(struct buf *out, size_t count)
{
    return put_head(out, '*', count);
}

enum oxbow_err command_bytes(struct buf *out, struct oxbow_bytes arg)
{
    enum oxbow_err err = put_head(out, '$', arg.len);

    if (!err) {
        err = buf_append(out, arg.data, arg.len);
    }
    return err ? err : buf_append(out, "\r\n", 2);
}

enum oxbow_err command_text(struct buf *out, const char *arg)
{
    return command_bytes(out, (struct oxbow_bytes){arg, strlen(arg)});
}

enum oxbow_err command_u64(struct buf *out, uint64_t arg)
{
    char text[NUM_TEXT_MAX];
    size_t len = num_u64_text(text, arg);

    return command_bytes(out, (struct oxbow_bytes){text, len});
}

enum oxbow_err command_id(struct buf *out, struct oxbow_id arg)
{
    char text[ID_TEXT_MAX];
    size_t len = id_to_text(text, arg);

    return command_bytes(out, (struct oxbow_bytes){text, len});
}

enum oxbow_err command_put(struct buf *out, const char *const *args)
{
    size_t count = 0, i, start = out->len;
    enum oxbow_err err;

    while (args[count] != NULL) {
        count++;
    }
    err = command_begin(out, count);
    for (i = 0; i < count && !err; i++) {
        err = command_text(out, args[i]);
    }
    if (err) {
        out->len = start;
    }
    return err;
}
