/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a peer that may be hostile. The first two bytes say where the rest is split and what
 * the limits are; the same bytes must give the same requests in one piece, in two, and byte by byte.
 * What was read is then written as replies, as requests are, and must read the same once more.
 */
#include "engine/resp/glob.h"
#include "engine/resp/reader.h"
#include "engine/resp/reply.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEARD_MAX 65536u

struct heard {
    uint8_t bytes[HEARD_MAX];
    size_t len;
    uint64_t requests;
    bool broken;
};

static void expect(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void heard_put(struct heard *h, const void *data, size_t len)
{
    if (len > 0 && len <= HEARD_MAX - h->len) {
        memcpy(h->bytes + h->len, data, len);
        h->len += len;
    }
}

static void hear(struct resp_reader *r, struct heard *h, struct resp_reply *again)
{
    struct resp_request q;
    enum resp_read read;

    while ((read = resp_reader_next(r, &q)) == RESP_READ_REQUEST) {
        expect(q.count > 0 && q.bytes > 0);
        h->requests++;
        if (again != NULL) {
            resp_array(again, q.count);
        }
        for (size_t i = 0; i < q.count; i++) {
            heard_put(h, &q.args[i].len, sizeof q.args[i].len);
            heard_put(h, q.args[i].data, q.args[i].len);
            if (again != NULL) {
                resp_bulk(again, q.args[i]);
            }
        }
        if (q.count > 1) {
            (void)resp_glob(q.args[0], q.args[1], q.count > 2);
        }
    }
    if (read == RESP_READ_BROKEN) {
        h->broken = true;
        heard_put(h, q.error, strlen(q.error));
    }
}

static void feed(struct resp_reader *r, const uint8_t *data, size_t len, struct heard *h,
                 struct resp_reply *again)
{
    while (len > 0 && !h->broken) {
        uint8_t *buf;
        size_t room;
        size_t n;

        expect(resp_reader_room(r, len, &buf, &room) == OXBOW_OK && room > 0);
        n = room < len ? room : len;
        memcpy(buf, data, n);
        resp_reader_fed(r, n);
        data += n;
        len -= n;
        hear(r, h, again);
    }
}

static void run(const uint8_t *data, size_t size, const struct resp_limits *limits, size_t split,
                size_t step, struct heard *h, struct resp_reply *again)
{
    struct resp_reader r;

    h->len = 0;
    h->requests = 0;
    h->broken = false;
    resp_reader_init(&r, &oxbow_port_default()->alloc, limits);
    feed(&r, data, split, h, again);
    for (size_t at = split; at < size; at += step) {
        feed(&r, data + at, step < size - at ? step : size - at, h, again);
        if (at % 64 == 0) {
            resp_reader_idle(&r);
        }
    }
    expect(resp_reader_memory(&r) <= 64 * (size + 64));
    resp_reader_fini(&r);
}

static void expect_same(const struct heard *a, const struct heard *b)
{
    expect(a->requests == b->requests && a->broken == b->broken && a->len == b->len &&
           memcmp(a->bytes, b->bytes, a->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct heard whole, other;
    struct resp_limits limits = {.inline_max = 200, .bulk_max = 1000};
    struct resp_reply again;
    struct oxbow_bytes written;

    if (size < 3) {
        return 0;
    }
    limits.guest = (data[1] & 1) != 0;
    limits.inline_max = (data[1] & 2) != 0 ? 20 : 200;
    resp_reply_init(&again, &oxbow_port_default()->alloc, 0);
    run(data + 2, size - 2, &limits, size - 2, 1, &whole, &again);
    run(data + 2, size - 2, &limits, data[0] % (size - 2), size, &other, NULL);
    expect_same(&whole, &other);
    run(data + 2, size - 2, &limits, 0, 1, &other, NULL);
    expect_same(&whole, &other);
    written = resp_reply_peek(&again, UINT64_MAX);
    if (!whole.broken && whole.len < HEARD_MAX) {
        limits.guest = false; /* an inline command may have more words */
        limits.inline_max = 0;
        run(written.data, written.len, &limits, 0, size, &other, NULL);
        expect_same(&whole, &other);
    }
    resp_reply_fini(&again);
    return 0;
}
