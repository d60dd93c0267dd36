/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One command given to oxbow and to a real redis-server: building its arguments, writing down
 * oxbow's reply as the server's is (an element a line), comparing the two. Used by
 * stream_redis_test.c alone.
 */
#ifndef OXBOW_TESTS_QUEUE_STREAM_REDIS_H
#define OXBOW_TESTS_QUEUE_STREAM_REDIS_H

#include "tests/queue/stream_fixture.h"
#include "tests/support/redis.h"

#define ARGS      64
#define IDLE_LONG 50000000u

struct run {
    struct streams f;
    struct redis *redis;
    uint64_t rng;
    uint64_t top; /* about the newest id's ms */
    /* the command */
    char args[ARGS][64];
    const char *argv[ARGS];
    size_t argc;
    struct oxbow_group group;
    struct oxbow_bytes key;
    struct oxbow_bytes consumer;
    /* oxbow's reply */
    char text[1 << 17];
    size_t len;
};

/* Begins a command of one or two words and a random key. */
void begin(struct run *r, const char *a, const char *b);
uint64_t rnd(struct run *r, uint64_t n);
/* One that may or may not be there. */
struct oxbow_id random_id(struct run *r);
/* Arguments. */
void arg(struct run *r, const char *text);
void arg_u64(struct run *r, uint64_t v);
void arg_id(struct run *r, struct oxbow_id id);
void arg_group(struct run *r);
/* Lines of the reply. out_err: whether it was one. */
void out(struct run *r, const char *data, size_t len);
void out_text(struct run *r, const char *text);
void out_u64(struct run *r, uint64_t v);
void out_i64(struct run *r, int64_t v);
void out_id(struct run *r, struct oxbow_id id);
void out_pair(struct run *r, const char *name, uint64_t v);
void out_fields(struct run *r, const struct oxbow_entry *e);
void out_entries(struct run *r);
bool out_err(struct run *r, enum oxbow_err err);
/* Runs the command there, and fails the test when the replies differ. */
void compare(struct run *r, uint64_t step);

/* Commands on groups (stream_redis_group.c). */
void do_create(struct run *r);
void do_set_group_id(struct run *r);
void do_destroy(struct run *r);
void do_consumer(struct run *r);
void do_group_read(struct run *r);
void do_ack(struct run *r);
void do_claim(struct run *r);
void do_autoclaim(struct run *r);
void do_pending(struct run *r);
void do_pending_rows(struct run *r);
void do_info(struct run *r);
void do_info_groups(struct run *r);
void do_info_consumers(struct run *r);

#endif
