/* SPDX-License-Identifier: Apache-2.0 */
/* Stream ids: neighbours in their order, their key form (16 bytes that sort as the ids do) and
 * their text. */
#include "engine/base/id.h"

#include "engine/base/codec.h"
#include "engine/base/num.h"

bool id_next(struct oxbow_id *id)
{
    if (id->seq < UINT64_MAX) {
        id->seq++;
        return true;
    }
    if (id->ms == UINT64_MAX) {
        return false;
    }
    id->ms++;
    id->seq = 0;
    return true;
}

bool id_prev(struct oxbow_id *id)
{
    if (id->seq > 0) {
        id->seq--;
        return true;
    }
    if (id->ms == 0) {
        return false;
    }
    id->ms--;
    id->seq = UINT64_MAX;
    return true;
}

void id_to_key(uint8_t out[ID_KEY_LEN], struct oxbow_id id)
{
    put_be64(out, id.ms);
    put_be64(out + 8, id.seq);
}

struct oxbow_id id_from_key(const uint8_t *key)
{
    return (struct oxbow_id){get_be64(key), get_be64(key + 8)};
}

size_t id_to_text(char out[ID_TEXT_MAX], struct oxbow_id id)
{
    size_t len = num_u64_text(out, id.ms);

    out[len++] = '-';
    return len + num_u64_text(out + len, id.seq);
}

/* One half of an id. Leading zeros are fine here, as they are for Redis. */
static enum oxbow_err half_from_text(const uint8_t *p, size_t len, uint64_t *out)
{
    while (len > 1 && *p == '0') {
        p++;
        len--;
    }
    return num_u64((struct oxbow_bytes){p, len}, out);
}

enum oxbow_err id_from_text(struct oxbow_bytes text, uint64_t seq_default, struct oxbow_id *out)
{
    const uint8_t *p = text.data;
    struct oxbow_id id = {0, seq_default};
    enum oxbow_err err;
    size_t dash = 0;

    while (dash < text.len && p[dash] != '-') {
        dash++;
    }
    err = half_from_text(p, dash, &id.ms);
    if (err == OXBOW_OK && dash < text.len) {
        err = half_from_text(p + dash + 1, text.len - dash - 1, &id.seq);
    }
    if (err == OXBOW_OK) {
        *out = id;
    }
    return err;
}
