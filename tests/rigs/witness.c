/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record on the wire, little-endian:
 *
 *   0  magic "OXR1"   4  kind u8  5  policy u8  6  thread u16
 *   8  n u64  16  lsn u64  24  begin_us u64  32  end_us u64  40  sum u64 of all before
 */
#include "tests/rigs/witness.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x3152584fu

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

static uint64_t sum(const uint8_t *bytes)
{
    uint64_t state = 0;

    for (size_t at = 0; at < 40; at += 8)
        state = get_le(bytes + at, 8) ^ plan_random(&state);
    return plan_random(&state);
}

void record_encode(const struct record *r, uint8_t out[RECORD_BYTES])
{
    put_le(out, MAGIC, 4);
    out[4] = (uint8_t)r->kind;
    out[5] = (uint8_t)r->policy;
    put_le(out + 6, r->thread, 2);
    put_le(out + 8, r->n, 8);
    put_le(out + 16, r->lsn, 8);
    put_le(out + 24, r->begin_us, 8);
    put_le(out + 32, r->end_us, 8);
    put_le(out + 40, sum(out), 8);
}

bool record_decode(const uint8_t in[RECORD_BYTES], struct record *r)
{
    if (get_le(in, 4) != MAGIC || get_le(in + 40, 8) != sum(in))
        return false;
    r->kind = (enum record_kind)in[4];
    r->policy = (enum record_policy)in[5];
    r->thread = (uint32_t)get_le(in + 6, 2);
    r->n = get_le(in + 8, 8);
    r->lsn = get_le(in + 16, 8);
    r->begin_us = get_le(in + 24, 8);
    r->end_us = get_le(in + 32, 8);
    return r->thread < THREADS_MAX;
}

static void fault(struct witness *w, const char *format, ...)
{
    va_list args;

    if (w->fault[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(w->fault, sizeof w->fault, format, args);
    va_end(args);
}

static void keep(struct witness *w, const struct record *r)
{
    if (w->count == w->room) {
        w->room = w->room == 0 ? 256 : w->room * 2;
        w->records = realloc(w->records, w->room * sizeof *w->records);
        if (w->records == NULL)
            abort();
    }
    w->records[w->count++] = *r;
    w->told++;
}

/* A life begins: what was applied and is not there was lost with the last one. */
static void take_found(struct witness *w, const struct record *r)
{
    if (r->n < w->durable[r->thread] || r->n > w->applied[r->thread] + 1)
        fault(w, "thread %u was found at %" PRIu64 ", durable %" PRIu64 ", applied %" PRIu64,
              r->thread, r->n, w->durable[r->thread], w->applied[r->thread]);
    w->applied[r->thread] = r->n;
    if (r->policy == POLICY_ALWAYS)
        w->durable[r->thread] = r->n;
}

static void take_operation(struct witness *w, const struct record *r)
{
    if (r->n != w->applied[r->thread] + 1)
        fault(w, "thread %u told of operation %" PRIu64 " after %" PRIu64, r->thread, r->n,
              w->applied[r->thread]);
    w->applied[r->thread] = r->n;
    if (r->kind == RECORD_DURABLE ||
        (w->page_cache_survives && w->journal && r->policy != POLICY_NOWAIT))
        w->durable[r->thread] = r->n;
    keep(w, r);
}

static void take_failure(struct witness *w, const struct record *r)
{
    if (!w->failed) {
        w->failed_us = r->end_us;
        w->error = r->lsn;
    }
    w->failed = true;
}

void witness_take(struct witness *w, const struct record *r)
{
    switch (r->kind) {
    case RECORD_OPENED:
        w->count = 0;
        w->closed = w->failed = false;
        w->journal = r->n != 0;
        w->interval_us = r->begin_us;
        break;
    case RECORD_FOUND:
        take_found(w, r);
        break;
    case RECORD_APPLIED:
    case RECORD_DURABLE:
        take_operation(w, r);
        break;
    case RECORD_REACHED:
        if (r->n > w->applied[r->thread])
            fault(w, "thread %u waited for %" PRIu64 ", which it never did", r->thread, r->n);
        else if (w->durable[r->thread] < r->n)
            w->durable[r->thread] = r->n;
        break;
    case RECORD_FAILED:
        take_failure(w, r);
        break;
    case RECORD_CLOSED:
        w->closed = r->lsn == 0;
        if (!w->closed)
            take_failure(w, r);
        for (uint32_t t = 0; w->closed && t < THREADS_MAX; t++)
            w->durable[t] = w->applied[t];
        break;
    default:
        fault(w, "a record of unknown kind %d", (int)r->kind);
    }
}

size_t witness_take_bytes(struct witness *w, const uint8_t *bytes, size_t len)
{
    struct record r;
    size_t at = 0;

    while (len - at >= RECORD_BYTES) {
        if (!record_decode(bytes + at, &r)) {
            fault(w, "bytes that are no record");
            break;
        }
        witness_take(w, &r);
        at += RECORD_BYTES;
    }
    return at;
}

void witness_found(struct witness *w, const uint64_t found[THREADS_MAX])
{
    memcpy(w->durable, found, sizeof w->durable);
    memcpy(w->applied, found, sizeof w->applied);
    w->count = 0;
}

/* What is found is a prefix of the order of commits: nothing that is there was committed after
 * something that is not. */
static bool agrees_on_order(const struct witness *w, const uint64_t found[THREADS_MAX], char *why,
                            size_t why_len)
{
    const struct record *newest = NULL;

    for (size_t i = 0; i < w->count; i++) {
        const struct record *r = &w->records[i];
        if (r->n <= found[r->thread] && (newest == NULL || newest->lsn < r->lsn))
            newest = r;
    }
    for (size_t i = 0; newest != NULL && i < w->count; i++) {
        const struct record *r = &w->records[i];
        if (r->n <= found[r->thread] || r->lsn > newest->lsn)
            continue;
        snprintf(why, why_len,
                 "a hole: operation %" PRIu64 " of thread %u (LSN %" PRIu64 ") is gone, %" PRIu64
                 " of thread %u (LSN %" PRIu64 ") is there",
                 r->n, r->thread, r->lsn, newest->n, newest->thread, newest->lsn);
        return false;
    }
    return true;
}

/* Under `interval` what is lost lies within one interval: a commit does not return while something
 * older than that is not durable. */
static bool agrees_on_interval(const struct witness *w, const uint64_t found[THREADS_MAX],
                               char *why, size_t why_len)
{
    const struct record *oldest = NULL, *newest = NULL;

    for (size_t i = 0; i < w->count; i++) {
        const struct record *r = &w->records[i];
        if (r->n <= found[r->thread] || r->policy != POLICY_INTERVAL)
            continue;
        if (oldest == NULL || r->end_us < oldest->end_us)
            oldest = r;
        if (newest == NULL || r->begin_us > newest->begin_us)
            newest = r;
    }
    if (oldest == NULL || newest->begin_us <= oldest->end_us + w->interval_us)
        return true;
    snprintf(why, why_len,
             "interval: what is lost was acknowledged over %" PRIu64 " us, %" PRIu64 " are allowed",
             newest->begin_us - oldest->end_us, w->interval_us);
    return false;
}

bool witness_agrees(const struct witness *w, const uint64_t found[THREADS_MAX], char *why,
                    size_t why_len)
{
    if (w->fault[0] != '\0') {
        snprintf(why, why_len, "%s", w->fault);
        return false;
    }
    for (uint32_t t = 0; t < THREADS_MAX; t++) {
        if (found[t] >= w->durable[t] && found[t] <= w->applied[t] + 1)
            continue;
        snprintf(why, why_len,
                 "thread %u stands at %" PRIu64 "; acknowledged %" PRIu64 ", applied %" PRIu64, t,
                 found[t], w->durable[t], w->applied[t]);
        return false;
    }
    return agrees_on_order(w, found, why, why_len) && agrees_on_interval(w, found, why, why_len);
}

void witness_free(struct witness *w)
{
    free(w->records);
    w->records = NULL;
    w->count = w->room = 0;
}
