/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a salvage leaves behind for the layers above, and what they leave for whoever asks.
 *
 *   KV_SPACE_STORE 'm'            the state: there is something to be mended
 *   KV_SPACE_STORE 'r' be32 n     a range of keys that is lost
 *   KV_SPACE_STORE 'l' be32 n     a loss, as oxbow/loss.h gives it
 */
#ifndef OXBOW_STORE_LOSS_H
#define OXBOW_STORE_LOSS_H

#include "engine/store/salvage_read.h"
#include "oxbow/loss.h"

#define LOSS_STATE_KEY_BYTES 2u
#define LOSS_STATE_BYTES     40u
#define LOSS_RANGE_KEY_BYTES 6u
#define LOSS_RANGE_BYTES     (2u + 2u * KV_KEY_MAX + 1u)
#define LOSS_NAME_MAX        200u /* bytes of a name that are kept in a loss */

struct loss_state {
    bool complete;       /* every key is known that there was, and every bad value has its range */
    bool commit_doubt;   /* the last commit may be missing */
    uint64_t keys_lost;  /* UINT64_MAX: not known */
    uint64_t values_bad; /* of keys that are known */
    uint64_t wall_ms;
    uint64_t ranges;
};

/* For salvage.c, which writes to a tree: keys and values as bytes. */
struct oxbow_bytes loss_state_key(uint8_t out[LOSS_STATE_KEY_BYTES]);
void loss_state_encode(uint8_t out[LOSS_STATE_BYTES], const struct loss_state *s);
struct oxbow_bytes loss_range_key(uint8_t out[LOSS_RANGE_KEY_BYTES], uint32_t n);
size_t loss_range_encode(uint8_t out[LOSS_RANGE_BYTES], const struct salvage_range *r);

/* ---- for the layers above, in a transaction ---- */

/* OXBOW_ENOENT: nothing is to be mended. With `commit_doubt` alone, something is to be told. */
OXBOW_MUST_CHECK enum oxbow_err loss_state_get(struct oxbow_txn *txn, struct loss_state *out);
/* The n-th range, from 0. OXBOW_ENOENT: there are not so many. */
OXBOW_MUST_CHECK enum oxbow_err loss_range_get(struct oxbow_txn *txn, uint32_t n,
                                               struct salvage_range *out);
/* Puts a loss on record; boot and wall_ms are filled in here. One that is there already, but for
 * boot and time, is not put there again: mending may be begun anew. */
OXBOW_MUST_CHECK enum oxbow_err loss_add(struct oxbow_txn *txn, const struct oxbow_loss *loss);
/* Everything is mended: forgets state and ranges, in bounded steps. */
OXBOW_MUST_CHECK enum oxbow_err loss_settle(struct oxbow_txn *txn, bool *more);

#endif
