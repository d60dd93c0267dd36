/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rigs' load does, as arithmetic: which operation a thread's n-th is, and which bytes a
 * value holds, follow from the seed alone. So whoever knows how far each thread came knows what
 * must be in the store, and a value tells by itself whether it is the one that was written.
 *
 * Each operation is one transaction, and leaves its number n in an object of its thread: at the
 * right end of the thread's list, or as id n-0 of the thread's stream. What threads do to shared
 * objects depends on who came first: such a transaction writes a row with its outcome into the
 * stream `log`, in the same transaction, and that stream is the order in which they happened.
 */
#ifndef OXBOW_TESTS_RIGS_PLAN_H
#define OXBOW_TESTS_RIGS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define THREADS_MAX  16u
#define VALUE_MAX    (128u << 10)
#define PUSH_MAX     8u   /* values of one push */
#define TAKE_MAX     3u   /* entries moved, read or acked at once */
#define OWN_LIST_MAX 48u  /* elements; above it the next operation on the list halves it */
#define OWN_KEEP     40u  /* entries of a thread's stream */
#define DONE_KEEP    150u /* entries of `done` and `events` after a trim */

enum op_kind {
    /* on the thread's list; each ends with a push of its number */
    OP_PUSH,   /* count values */
    OP_POP,    /* count off the left */
    OP_SET,    /* element idx */
    OP_REMOVE, /* the first that equals element idx */
    /* on the thread's stream */
    OP_APPEND,
    /* on shared objects; each with a row in the log and an entry in the thread's stream */
    OP_PRODUCE, /* one value to the right of the list `work` */
    OP_MOVE,    /* up to count from the left of `work` to the end of the stream `done` */
    OP_EVENT,   /* one entry to the stream `events` */
    OP_READ,    /* up to count new ones of `events`, as a consumer of the group `g` */
    OP_ACK,     /* up to count of what this consumer has pending */
    OP_TRIM     /* `done` and `events` to DONE_KEEP entries */
};

/* When the operation counts as acknowledged. */
enum op_wait {
    WAIT_STORE,    /* by the store's policy */
    WAIT_ALWAYS,   /* the transaction asks for `always` */
    WAIT_INTERVAL, /* the transaction asks for `interval` */
    WAIT_LATER     /* NOWAIT, and oxbow_wait some operations later */
};

struct op {
    enum op_kind kind;
    enum op_wait wait;
    uint32_t count; /* 1.. */
    uint32_t idx;   /* modulo the length */
    bool abort;     /* another transaction is begun and aborted first */
};

struct op plan_op(uint64_t seed, uint32_t thread, uint64_t n);
static inline bool op_is_shared(enum op_kind kind)
{
    return kind >= OP_PRODUCE;
}
static inline bool op_is_own_list(enum op_kind kind)
{
    return kind <= OP_REMOVE;
}
char op_letter(enum op_kind kind);

/* Which value: the part-th of a thread's n-th operation. */
struct token {
    uint32_t thread;
    uint32_t part;
    uint64_t n;
};

/* Writes the value into `out` (VALUE_MAX bytes), and gives its length. */
size_t plan_value(uint64_t seed, struct token token, uint8_t *out);
/* True when the bytes are exactly a value of the plan; *token is which. */
bool plan_is_value(uint64_t seed, const void *data, size_t len, struct token *token);

/* splitmix64. */
uint64_t plan_random(uint64_t *state);

#endif
