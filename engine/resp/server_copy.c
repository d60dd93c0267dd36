/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments that outlive the request they came with: those of a command that waits, or is queued
 * after MULTI. A command is le32 count, then for each argument le64 length and its bytes.
 */
#include "engine/base/codec.h"
#include "engine/resp/server.h"

#include <string.h>

enum oxbow_err resp_copy_add(struct buf *to, const struct oxbow_bytes *args, uint32_t count)
{
    size_t len = 4;
    enum oxbow_err err;
    uint8_t *p;

    for (uint32_t i = 0; i < count; i++) {
        len += 8 + args[i].len;
    }
    err = buf_reserve(to, len);
    if (err != OXBOW_OK) {
        return err;
    }
    p = to->data + to->len;
    put_le32(p, count);
    p += 4;
    for (uint32_t i = 0; i < count; i++) {
        put_le64(p, args[i].len);
        p += 8;
        if (args[i].len > 0) {
            memcpy(p, args[i].data, args[i].len);
        }
        p += args[i].len;
    }
    to->len += len;
    return OXBOW_OK;
}

uint32_t resp_copy_read(const struct buf *from, size_t *pos, struct oxbow_bytes *args)
{
    const uint8_t *p = from->data + *pos;
    uint32_t count = get_le32(p);

    p += 4;
    for (uint32_t i = 0; i < count; i++) {
        size_t len = (size_t)get_le64(p);

        if (args != NULL) {
            args[i] = (struct oxbow_bytes){p + 8, len};
        }
        p += 8 + len;
    }
    *pos = (size_t)(p - from->data);
    return count;
}
