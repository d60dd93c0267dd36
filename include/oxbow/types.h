/* SPDX-License-Identifier: Apache-2.0 */
/* The few value types that every public header shares. */
#ifndef OXBOW_TYPES_H
#define OXBOW_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that somebody else owns. Binary safe: zeros are bytes like any other. `data` may be NULL
 * only when `len` is 0. How long they live is said by the function that gives them. */
struct oxbow_bytes {
    const void *data;
    size_t len; /* bytes */
};

/* A stream entry's id, ordered by (ms, seq). Redis: `ms-seq`. 0-0 is no entry's id. */
struct oxbow_id {
    uint64_t ms;  /* usually milliseconds since 1970; never taken for a time by oxbow itself */
    uint64_t seq; /* tells entries of one millisecond apart */
};

#define OXBOW_ID_MIN ((struct oxbow_id){0, 0})
#define OXBOW_ID_MAX ((struct oxbow_id){UINT64_MAX, UINT64_MAX})

/* One field of a stream entry. */
struct oxbow_field {
    struct oxbow_bytes name;
    struct oxbow_bytes value;
};

struct oxbow;     /* an open store */
struct oxbow_txn; /* a transaction on it */

#ifdef __cplusplus
}
#endif

#endif
