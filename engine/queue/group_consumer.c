/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of consumers.
 *
 *   0      4      8         16     24       32
 *   +------+------+---------+------+--------+------
 *   | form | zero | pending | seen | active | name       little endian; times: the group's clock
 *   +------+------+---------+------+--------+------
 *
 * Numbers begin at 1 and are never reused within a group: 0 is nobody.
 */
#include "engine/queue/group.h"
#include "engine/queue/group_name.h"

#include "engine/base/codec.h"

#include <string.h>

#define CONSUMER_FIXED 32u

struct names consumer_name_table(const struct group *g)
{
    return (struct names){g->stream, STREAM_KIND_CONSUMER_NAME, STREAM_KIND_CONSUMER, g->number,
                          CONSUMER_FIXED};
}

static void consumer_encode(uint8_t out[CONSUMER_FIXED], const struct consumer *c)
{
    memset(out, 0, CONSUMER_FIXED);
    put_le32(out, RECORD_FORMAT);
    put_le64(out + 8, c->pending);
    put_le64(out + 16, c->seen_ms);
    put_le64(out + 24, c->active_ms);
}

static void consumer_decode(uint32_t number, struct oxbow_bytes record, struct consumer *c)
{
    const uint8_t *p = record.data;

    *c = (struct consumer){.number = number,
                           .pending = get_le64(p + 8),
                           .seen_ms = get_le64(p + 16),
                           .active_ms = get_le64(p + 24)};
}

enum oxbow_err consumer_find(struct group *g, struct oxbow_bytes name, struct consumer *c)
{
    struct names names = consumer_name_table(g);
    struct oxbow_bytes record;
    uint32_t slot, number;
    enum oxbow_err err = name_find(&names, name, &slot, &number, &record);

    if (err == OXBOW_OK) {
        consumer_decode(number, record, c);
    }
    return err;
}

enum oxbow_err consumer_open(struct group *g, struct oxbow_bytes name, struct consumer *c,
                             bool *made)
{
    struct names names = consumer_name_table(g);
    struct oxbow_bytes record;
    uint8_t fixed[CONSUMER_FIXED];
    uint32_t slot, number;
    enum oxbow_err err;

    if (name.len > OXBOW_GROUP_NAME_MAX) {
        return OXBOW_EINVAL;
    }
    err = name_find(&names, name, &slot, &number, &record);
    *made = err == OXBOW_ENOENT;
    if (err == OXBOW_OK) {
        consumer_decode(number, record, c);
    }
    if (err != OXBOW_ENOENT) {
        return err;
    }
    *c = (struct consumer){.number = g->consumer_next, .seen_ms = group_now(g)};
    consumer_encode(fixed, c);
    err = name_add(&names, name, &(struct name_record){slot, c->number, fixed});
    if (err == OXBOW_OK) {
        g->consumer_next++;
        g->consumers++;
    }
    return err;
}

enum oxbow_err consumer_make(struct group *g, struct oxbow_bytes name, const struct consumer *c)
{
    struct names names = consumer_name_table(g);
    struct oxbow_bytes record;
    uint8_t fixed[CONSUMER_FIXED];
    uint32_t slot, number;
    enum oxbow_err err = name_find(&names, name, &slot, &number, &record);

    if (err != OXBOW_ENOENT) {
        return err == OXBOW_OK ? OXBOW_EEXIST : err;
    }
    consumer_encode(fixed, c); /* a full store is no reason not to open */
    err = record_put(&names, name, &(struct name_record){slot, c->number, fixed});
    return err == OXBOW_OK ? name_restore(&names, name, c->number) : err;
}

enum oxbow_err consumer_load(struct group *g, uint32_t number, struct consumer *c,
                             struct oxbow_bytes *name)
{
    struct names names = consumer_name_table(g);
    struct oxbow_bytes record;
    enum oxbow_err err = record_get(&names, number, &record);

    if (err == OXBOW_OK) {
        consumer_decode(number, record, c);
        if (name != NULL) {
            *name = record_name(&names, record);
        }
    }
    return err;
}

enum oxbow_err consumer_save(struct group *g, const struct consumer *c)
{
    struct names names = consumer_name_table(g);
    uint8_t key[KV_KEY_MAX];
    uint8_t fixed[CONSUMER_FIXED];

    consumer_encode(fixed, c);
    return kv_patch(g->stream->txn, record_key(key, &names, c->number), 0,
                    (struct oxbow_bytes){fixed, sizeof fixed});
}

enum oxbow_err consumer_drop(struct group *g, struct oxbow_bytes name, const struct consumer *c)
{
    struct names names = consumer_name_table(g);
    enum oxbow_err err = name_remove(&names, name, c->number);

    if (err == OXBOW_OK) {
        g->consumers--;
    }
    return err;
}

enum oxbow_err consumer_each(struct group *g,
                             enum oxbow_err (*each)(void *ctx, const struct consumer *c,
                                                    struct oxbow_bytes name),
                             void *ctx)
{
    struct names names = consumer_name_table(g);
    uint8_t low[KV_KEY_MAX];
    struct oxbow_bytes want = record_key(low, &names, 0), key, value;
    struct kv_cursor cursor;
    enum oxbow_err err = kv_cursor_init(&cursor, g->stream->txn);

    if (err != OXBOW_OK) {
        return err;
    }
    err = kv_cursor_seek_in(&cursor, want, want.len - 4, &key, &value);
    while (err == OXBOW_OK && key.len == want.len && memcmp(key.data, low, want.len - 4) == 0) {
        struct consumer c;

        err = record_check(&names, value);
        if (err == OXBOW_OK) {
            consumer_decode(get_be32((const uint8_t *)key.data + want.len - 4), value, &c);
            err = each(ctx, &c, record_name(&names, value));
        }
        if (err == OXBOW_OK) {
            err = kv_cursor_next(&cursor, &key, &value);
        }
    }
    kv_cursor_fini(&cursor);
    return err == OXBOW_ENOENT ? OXBOW_OK : err;
}
