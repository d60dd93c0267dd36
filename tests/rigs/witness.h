/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The witness: what the load told another process while it lived, and what must therefore be in
 * the store. Records come over a pipe or a port of a virtual machine, and whatever arrived before
 * the end counts; a record that was cut short is recognised and dropped.
 */
#ifndef OXBOW_TESTS_RIGS_WITNESS_H
#define OXBOW_TESTS_RIGS_WITNESS_H

#include "tests/rigs/plan.h"

enum record_kind {
    RECORD_OPENED =
        1, /* the store is open; lsn: where it stands; n: 1 with a journal; begin_us: interval */
    RECORD_FOUND = 2,   /* thread stands at n */
    RECORD_APPLIED = 3, /* committed, durable as far as the policy goes; n, lsn */
    RECORD_DURABLE = 4, /* committed and on the device; n, lsn */
    RECORD_REACHED = 5, /* a wait came back: all of the thread up to n is on the device; n, lsn */
    RECORD_FAILED = 6,  /* lsn: the error */
    RECORD_CLOSED = 7   /* oxbow_close came back; lsn: its error */
};

/* What is promised for an operation that was applied. */
enum record_policy {
    POLICY_ALWAYS = 0,
    POLICY_INTERVAL = 1,
    POLICY_NONE = 2,
    POLICY_NOWAIT = 3 /* nothing yet */
};

struct record {
    enum record_kind kind;
    enum record_policy policy;
    uint32_t thread;
    uint64_t n;
    uint64_t lsn;
    uint64_t begin_us; /* before the transaction was begun */
    uint64_t end_us;   /* after its commit had returned */
};

#define RECORD_BYTES 48u
void record_encode(const struct record *r, uint8_t out[RECORD_BYTES]);
/* False: not a whole record. */
bool record_decode(const uint8_t in[RECORD_BYTES], struct record *r);

/* All zero is a witness who has seen nothing. */
struct witness {
    uint64_t seed;
    bool page_cache_survives; /* what ends the lives is a kill */
    /* Of the newest life that told anything. */
    bool journal;
    uint64_t interval_us;
    uint64_t durable[THREADS_MAX]; /* this far must be there */
    uint64_t applied[THREADS_MAX]; /* at most one operation more can be there */
    /* Since the last RECORD_OPENED. */
    struct record *records;
    size_t count, room;
    size_t told; /* records of operations in all, for the report */
    bool closed; /* oxbow_close succeeded */
    bool failed; /* a RECORD_FAILED came, or a close that failed */
    uint64_t failed_us;
    uint64_t error;
    char fault[200]; /* what the records contradict by themselves; empty: nothing */
};

void witness_take(struct witness *w, const struct record *r);
/* Decodes and takes what is whole of `len` bytes. Gives how many bytes that was. */
size_t witness_take_bytes(struct witness *w, const uint8_t *bytes, size_t len);
/* The store stood there, and that is on the device now. */
void witness_found(struct witness *w, const uint64_t found[THREADS_MAX]);
/* Holds how far each thread came against what was told. False: `why` says what is wrong. */
bool witness_agrees(const struct witness *w, const uint64_t found[THREADS_MAX], char *why,
                    size_t why_len);
void witness_free(struct witness *w);

#endif
