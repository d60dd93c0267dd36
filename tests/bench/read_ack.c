/* SPDX-License-Identifier: Apache-2.0 */
/* A consumer group at work, as redis-benchmark cannot do it: many connections that read new entries
 * and acknowledge what they got.
 *
 *   read_ack SOCKET|PORT STREAM GROUP CONNECTIONS PIPELINE
 *
 * Each connection sends PIPELINE commands XREADGROUP COUNT 1, then as many XACK, until the stream has
 * nothing new. Prints entries, seconds, and the median and 99.9th percentile of a read and of an
 * acknowledgement in microseconds; ends with 1 if any entry came twice to be read or was not there to
 * be acknowledged. */
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ID_MAX = 48, CONNECTIONS_MAX = 1000, PIPELINE_MAX = 256, BASE_10 = 10 };

struct connection {
    redisContext *c;
    char ids[PIPELINE_MAX][ID_MAX]; /* what was read and is to be acknowledged */
    unsigned read;
    unsigned awaited;
    bool acking;
    bool done;
    uint64_t sent_ns;
};

static const char *stream;
static const char *group;
static unsigned pipeline;
static uint64_t entries;
static uint64_t *took_ns; /* one for each command */
static size_t took_count;
static size_t took_max;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "read_ack: %s: %s\n", what, why);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void note(uint64_t ns)
{
    if (took_count == took_max) {
        took_max = took_max == 0 ? 1 << 16 : took_max * 2;
        took_ns = realloc(took_ns, took_max * sizeof *took_ns);
        if (took_ns == NULL) {
            fail("latencies", "out of memory");
        }
    }
    took_ns[took_count++] = ns;
}

static void flush(struct connection *k)
{
    int done = 0;

    while (!done) {
        if (redisBufferWrite(k->c, &done) != REDIS_OK) {
            fail("write", k->c->errstr);
        }
    }
    k->sent_ns = now_ns();
}

static void ask(struct connection *k)
{
    k->acking = false;
    k->read = 0;
    k->awaited = pipeline;
    for (unsigned i = 0; i < pipeline; i++) {
        redisAppendCommand(k->c, "XREADGROUP GROUP %s c%d COUNT 1 STREAMS %s >", group, k->c->fd,
                           stream);
    }
    flush(k);
}

static void acknowledge(struct connection *k)
{
    k->acking = true;
    k->awaited = k->read;
    for (unsigned i = 0; i < k->read; i++) {
        redisAppendCommand(k->c, "XACK %s %s %s", stream, group, k->ids[i]);
    }
    flush(k);
}

/* A reply to XREADGROUP: [[stream, [[id, [field, value]]]]], or nil. */
static void read_reply(struct connection *k, const redisReply *r)
{
    const redisReply *list;

    if (r->type == REDIS_REPLY_NIL) {
        k->done = true;
        return;
    }
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 1 || r->element[0]->elements != 2) {
        fail("XREADGROUP", r->type == REDIS_REPLY_ERROR ? r->str : "an unknown form");
    }
    list = r->element[0]->element[1];
    if (list->elements != 1 || list->element[0]->elements != 2 ||
        list->element[0]->element[0]->len >= ID_MAX) {
        fail("XREADGROUP", "not one entry");
    }
    memcpy(k->ids[k->read++], list->element[0]->element[0]->str,
           list->element[0]->element[0]->len + 1);
}

static void reply(struct connection *k, const redisReply *r)
{
    note(now_ns() - k->sent_ns);
    k->awaited--;
    if (!k->acking) {
        read_reply(k, r);
    } else if (r->type != REDIS_REPLY_INTEGER || r->integer != 1) {
        fail("XACK", r->type == REDIS_REPLY_ERROR ? r->str : "was not pending");
    } else {
        entries++;
    }
}

/* True while the connection has something to wait for. */
static bool step(struct connection *k)
{
    void *r;

    if (redisBufferRead(k->c) != REDIS_OK) {
        fail("read", k->c->errstr);
    }
    while (k->awaited > 0) {
        if (redisGetReplyFromReader(k->c, &r) != REDIS_OK) {
            fail("reply", k->c->errstr);
        }
        if (r == NULL) {
            return true;
        }
        reply(k, r);
        freeReplyObject(r);
    }
    if (!k->acking && k->read > 0) {
        acknowledge(k);
        return true;
    }
    if (k->done) {
        return false;
    }
    ask(k);
    return true;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static unsigned number(const char *text, unsigned max)
{
    char *end;
    unsigned long n = strtoul(text, &end, BASE_10);

    if (*text == '\0' || *end != '\0' || n == 0 || n > max) {
        fail(text, "not a number in range");
    }
    return (unsigned)n;
}

int main(int argc, char **argv)
{
    static struct connection all[CONNECTIONS_MAX];
    struct pollfd polled[CONNECTIONS_MAX];
    unsigned count;
    unsigned open;
    uint64_t began;
    double seconds;

    if (argc != 6) {
        fprintf(stderr, "usage: read_ack SOCKET|PORT STREAM GROUP CONNECTIONS PIPELINE\n");
        return 2;
    }
    stream = argv[2];
    group = argv[3];
    count = number(argv[4], CONNECTIONS_MAX);
    pipeline = number(argv[5], PIPELINE_MAX);
    for (unsigned i = 0; i < count; i++) {
        all[i].c = argv[1][0] == '/' ? redisConnectUnix(argv[1])
                                     : redisConnect("127.0.0.1", (int)number(argv[1], UINT16_MAX));
        if (all[i].c == NULL || all[i].c->err != 0) {
            fail(argv[1], all[i].c == NULL ? "out of memory" : all[i].c->errstr);
        }
        polled[i] = (struct pollfd){.fd = all[i].c->fd, .events = POLLIN};
    }
    began = now_ns();
    for (unsigned i = 0; i < count; i++) {
        ask(&all[i]);
    }
    for (open = count; open > 0;) {
        if (poll(polled, count, 60000) <= 0) {
            fail("poll", "nothing came for a minute");
        }
        for (unsigned i = 0; i < count; i++) {
            if (polled[i].fd >= 0 && polled[i].revents != 0 && !step(&all[i])) {
                polled[i].fd = -1;
                open--;
            }
        }
    }
    seconds = (double)(now_ns() - began) / 1e9;
    qsort(took_ns, took_count, sizeof *took_ns, by_size);
    printf("%llu %.6f %.1f %.1f\n", (unsigned long long)entries, seconds,
           (double)took_ns[took_count / 2] / 1e3,
           (double)took_ns[took_count - 1 - took_count / 1000] / 1e3);
    for (unsigned i = 0; i < count; i++) {
        redisFree(all[i].c);
    }
    free(took_ns);
    return 0;
}
