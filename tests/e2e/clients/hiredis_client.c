/* SPDX-License-Identifier: Apache-2.0 */
/* A C program over hiredis: commands, pipelines, blocking, bytes of any kind, a subscriber. */
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

enum { PIPELINE = 5000 };

static redisContext *connected(void)
{
    struct timeval patience = {30, 0};
    redisContext *c =
        redisConnectWithTimeout(getenv("REDIS_HOST"), atoi(getenv("REDIS_PORT")), patience);

    CHECK(c != NULL && c->err == 0);
    CHECK(redisSetTimeout(c, patience) == REDIS_OK);
    return c;
}

static redisReply *say(redisContext *c, int type, const char *format, ...)
{
    va_list args;
    redisReply *r;

    va_start(args, format);
    r = redisvCommand(c, format, args);
    va_end(args);
    if (r == NULL || r->type != type) {
        fprintf(stderr, "%s: %s\n", format, r == NULL ? c->errstr : r->str);
        exit(1);
    }
    return r;
}

static void says(redisContext *c, const char *text, const char *command)
{
    redisReply *r = redisCommand(c, command);

    CHECK(r != NULL && r->str != NULL);
    if (strcmp(r->str, text) != 0) {
        fprintf(stderr, "%s: %s\n", command, r->str);
        exit(1);
    }
    freeReplyObject(r);
}

static void binary_values(redisContext *c)
{
    static const char value[] = "a\0b\r\n\xff$5\r\n";
    size_t len = sizeof value - 1;
    redisReply *r = say(c, REDIS_REPLY_STATUS, "SET %b %b", "k\0y", (size_t)3, value, len);

    freeReplyObject(r);
    r = say(c, REDIS_REPLY_STRING, "GET %b", "k\0y", (size_t)3);
    CHECK((size_t)r->len == len && memcmp(r->str, value, len) == 0);
    freeReplyObject(r);
    r = say(c, REDIS_REPLY_NIL, "GET absent");
    freeReplyObject(r);
    says(c, "WRONGTYPE Operation against a key holding the wrong kind of value", "GET pipeline");
}

static void pipeline(redisContext *c)
{
    redisReply *r;

    for (int i = 0; i < PIPELINE; i++) {
        CHECK(redisAppendCommand(c, "RPUSH pipeline %d", i) == REDIS_OK);
    }
    for (int i = 0; i < PIPELINE; i++) {
        CHECK(redisGetReply(c, (void **)&r) == REDIS_OK);
        CHECK(r->type == REDIS_REPLY_INTEGER && r->integer == i + 1);
        freeReplyObject(r);
    }
    r = say(c, REDIS_REPLY_ARRAY, "LRANGE pipeline 0 -1");
    CHECK(r->elements == PIPELINE);
    for (int i = 0; i < PIPELINE; i++) {
        CHECK(atoi(r->element[i]->str) == i);
    }
    freeReplyObject(r);
}

static void transaction(redisContext *c)
{
    redisReply *r;

    says(c, "OK", "MULTI");
    says(c, "QUEUED", "INCRBY total 5");
    says(c, "QUEUED", "HSET hash field value");
    says(c, "QUEUED", "GET total");
    r = say(c, REDIS_REPLY_ARRAY, "EXEC");
    CHECK(r->elements == 3 && r->element[0]->integer == 5 && r->element[1]->integer == 1);
    CHECK(strcmp(r->element[2]->str, "5") == 0);
    freeReplyObject(r);
}

static void stream(redisContext *c)
{
    redisReply *r;

    says(c, "1-1", "XADD s 1-1 field value");
    says(c, "2-1", "XADD s 2-1 field other");
    says(c, "OK", "XGROUP CREATE s g 0");
    r = say(c, REDIS_REPLY_ARRAY, "XREADGROUP GROUP g me COUNT 5 STREAMS s >");
    CHECK(r->elements == 1 && strcmp(r->element[0]->element[0]->str, "s") == 0);
    CHECK(r->element[0]->element[1]->elements == 2);
    CHECK(strcmp(r->element[0]->element[1]->element[1]->element[1]->element[1]->str, "other") == 0);
    freeReplyObject(r);
    r = say(c, REDIS_REPLY_INTEGER, "XACK s g 1-1 2-1 3-1");
    CHECK(r->integer == 2);
    freeReplyObject(r);
}

static void blocking(redisContext *c)
{
    redisContext *other = connected();
    redisReply *r;

    CHECK(redisAppendCommand(c, "BRPOP work 30") == REDIS_OK);
    CHECK(redisAppendCommand(c, "BRPOP work 0.05") == REDIS_OK);
    int done = 0;
    while (!done) {
        CHECK(redisBufferWrite(c, &done) == REDIS_OK);
    }
    r = say(other, REDIS_REPLY_INTEGER, "LPUSH work job");
    freeReplyObject(r);
    CHECK(redisGetReply(c, (void **)&r) == REDIS_OK);
    CHECK(r->elements == 2 && strcmp(r->element[1]->str, "job") == 0);
    freeReplyObject(r);
    CHECK(redisGetReply(c, (void **)&r) == REDIS_OK);
    CHECK(r->type == REDIS_REPLY_NIL);
    freeReplyObject(r);
    redisFree(other);
}

static void subscriber(void)
{
    redisContext *listener = connected();
    redisContext *speaker = connected();
    redisReply *r = say(listener, REDIS_REPLY_ARRAY, "SUBSCRIBE news");

    CHECK(strcmp(r->element[0]->str, "subscribe") == 0 && r->element[2]->integer == 1);
    freeReplyObject(r);
    r = say(speaker, REDIS_REPLY_INTEGER, "PUBLISH news %b", "\0\xff", (size_t)2);
    CHECK(r->integer == 1);
    freeReplyObject(r);
    CHECK(redisGetReply(listener, (void **)&r) == REDIS_OK);
    CHECK(strcmp(r->element[0]->str, "message") == 0 && strcmp(r->element[1]->str, "news") == 0);
    CHECK(r->element[2]->len == 2 && memcmp(r->element[2]->str, "\0\xff", 2) == 0);
    freeReplyObject(r);
    redisFree(listener);
    redisFree(speaker);
}

static void local_socket(void)
{
    redisContext *c = redisConnectUnix(getenv("REDIS_SOCKET"));

    CHECK(c != NULL && c->err == 0);
    says(c, "5", "GET total");
    redisFree(c);
}

int main(void)
{
    redisContext *c = connected();

    pipeline(c);
    binary_values(c);
    transaction(c);
    stream(c);
    blocking(c);
    subscriber();
    local_socket();
    redisFree(c);
    return 0;
}
