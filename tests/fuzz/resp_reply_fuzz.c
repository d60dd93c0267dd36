/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies of a server that may be hostile. The first byte says where the rest is split; the same
 * bytes must give the same replies in one piece, in two, and byte by byte.
 */
#include "engine/uplink/reply.h"
#include "engine/uplink/trouble.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
    uint64_t replies, nodes, hash;
    enum oxbow_err err;
};

static void expect(bool ok)
{
    if (!ok) {
        abort();
    }
}

static bool same(const struct sum *a, const struct sum *b)
{
    return a->replies == b->replies && a->nodes == b->nodes && a->hash == b->hash &&
           a->err == b->err;
}

static void reply_look(const struct reply *r, struct sum *s)
{
    uint32_t i;
    char host[64];
    uint16_t port;

    expect(r->node_count <= REPLY_NODES_MAX && r->seen >= r->node_count);
    s->replies++;
    s->nodes += r->seen;
    for (i = 0; i < r->node_count; i++) {
        const struct reply_node *n = &r->nodes[i];

        expect(n->len <= REPLY_TEXT_MAX && n->text[n->len] == 0 && n->depth <= REPLY_DEPTH_MAX);
        s->hash = s->hash * 31 + n->len + (uint64_t)n->type * 7 + (uint64_t)n->integer;
        if (n->type == REPLY_ERROR) {
            expect(trouble_of(n->text) != NULL);
            (void)!trouble_redirect(n->text, host, sizeof(host), &port);
        }
    }
    (void)reply_find(r, "role");
    (void)reply_at(r, 1);
}

static void feed(struct reply_parser *p, const uint8_t *data, size_t len, struct sum *s)
{
    size_t pos = 0;

    while (pos < len && !s->err) {
        size_t used = 0;
        bool done = false;

        s->err = reply_feed(p, data + pos, len - pos, &used, &done);
        if (s->err) {
            return;
        }
        expect(used > 0 && used <= len - pos);
        pos += used;
        if (done) {
            reply_look(&p->reply, s);
        }
    }
}

static struct sum run(const uint8_t *data, size_t size, size_t split, size_t step)
{
    static struct reply_parser p;
    struct sum s = {0, 0, 0, OXBOW_OK};
    size_t pos;

    reply_parser_init(&p);
    if (step == 0) {
        feed(&p, data, split, &s);
        feed(&p, data + split, size - split, &s);
        return s;
    }
    for (pos = 0; pos < size; pos += step) {
        feed(&p, data + pos, step < size - pos ? step : size - pos, &s);
    }
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sum whole, two, bytes;

    if (size < 2) {
        return 0;
    }
    whole = run(data + 1, size - 1, size - 1, 0);
    two = run(data + 1, size - 1, data[0] % size, 0);
    bytes = run(data + 1, size - 1, 0, 1);
    expect(same(&whole, &two));
    expect(same(&whole, &bytes));
    return 0;
}
