/* SPDX-License-Identifier: Apache-2.0 */
/* A value: thread u32, part u32, n u64, all little-endian, then bytes of a generator that these
 * start. Its length comes from the same generator: mostly small, now and then longer than what is
 * kept inline, seldom as long as a blob. */
#include "tests/rigs/plan.h"

#include <string.h>

#define HEAD 16u

uint64_t plan_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t start(uint64_t seed, uint32_t thread, uint64_t n, uint32_t part)
{
    uint64_t state = seed ^ (uint64_t)thread << 56 ^ (uint64_t)part << 48 ^ n;

    (void)plan_random(&state);
    return plan_random(&state);
}

struct op plan_op(uint64_t seed, uint32_t thread, uint64_t n)
{
    /* How often of 32. */
    static const enum op_kind kinds[32] = {
        OP_PUSH,    OP_PUSH,    OP_PUSH,    OP_PUSH,    OP_PUSH,   OP_POP,    OP_POP,    OP_POP,
        OP_SET,     OP_REMOVE,  OP_REMOVE,  OP_APPEND,  OP_APPEND, OP_APPEND, OP_APPEND, OP_APPEND,
        OP_PRODUCE, OP_PRODUCE, OP_PRODUCE, OP_PRODUCE, OP_MOVE,   OP_MOVE,   OP_MOVE,   OP_EVENT,
        OP_EVENT,   OP_EVENT,   OP_READ,    OP_READ,    OP_READ,   OP_ACK,    OP_ACK,    OP_TRIM};
    static const enum op_wait waits[8] = {WAIT_STORE, WAIT_STORE,  WAIT_STORE,    WAIT_STORE,
                                          WAIT_LATER, WAIT_ALWAYS, WAIT_INTERVAL, WAIT_LATER};
    uint64_t state = start(seed, thread, n, 0xff);
    uint64_t r = plan_random(&state);
    struct op op = {
        .kind = kinds[r % 32],
        .wait = waits[r >> 5 & 7],
        .count = 1 + (uint32_t)(r >> 8 & 0xff) % TAKE_MAX,
        .idx = (uint32_t)(r >> 16 & 0xffff),
        .abort = (r >> 32) % 13 == 0,
    };

    if (op.kind == OP_PUSH)
        op.count = (r >> 40) % 4 == 0 ? 1 + (uint32_t)(r >> 44) % PUSH_MAX : 1;
    return op;
}

char op_letter(enum op_kind kind)
{
    return "pqsraPMERAT"[kind];
}

static size_t draw_length(uint64_t *state, uint32_t part)
{
    uint64_t r = plan_random(state);
    uint64_t dice = r % 1000, more = r >> 16;

    if (dice < 700 || part != 0)
        return HEAD + more % 200;
    if (dice < 960)
        return HEAD + 200 + more % 2800;
    if (dice < 995)
        return 3000 + more % 6000;
    return 20000 + more % 80000;
}

static void put_le(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *in, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)in[i] << (8 * i);
    return value;
}

size_t plan_value(uint64_t seed, struct token token, uint8_t *out)
{
    uint64_t state = start(seed, token.thread, token.n, token.part);
    size_t len = draw_length(&state, token.part);

    put_le(out, token.thread, 4);
    put_le(out + 4, token.part, 4);
    put_le(out + 8, token.n, 8);
    for (size_t at = HEAD; at < len; at += 8)
        put_le(out + at, plan_random(&state), len - at < 8 ? len - at : 8);
    return len;
}

bool plan_is_value(uint64_t seed, const void *data, size_t len, struct token *token)
{
    const uint8_t *bytes = data;
    uint8_t wanted[VALUE_MAX];

    if (len < HEAD || len > VALUE_MAX)
        return false;
    token->thread = (uint32_t)get_le(bytes, 4);
    token->part = (uint32_t)get_le(bytes + 4, 4);
    token->n = get_le(bytes + 8, 8);
    return token->thread < THREADS_MAX && token->part < PUSH_MAX &&
           plan_value(seed, *token, wanted) == len && memcmp(wanted, data, len) == 0;
}
