/* SPDX-License-Identifier: Apache-2.0 */
/* Delayed entries inside the engine: their records and the counters. Promises: oxbow/delay.h. */
#ifndef OXBOW_QUEUE_DELAY_H
#define OXBOW_QUEUE_DELAY_H

#include "engine/base/buf.h"
#include "engine/store/kv.h"
#include "oxbow/delay.h"

#define DELAY_KEY_BYTES 18u
#define DELAY_FIXED     24u

#define DELAY_LED   1u /* it waits elsewhere than at first: its number leads there */
#define DELAY_EXACT 2u /* due when its clock shows it; else after a span since made_ms */

/* A record, decoded; the bytes are borrowed from it. */
struct delay {
    struct oxbow_delay_id id;
    bool wall;
    enum oxbow_type type;
    enum oxbow_end end;
    uint8_t tries;
    uint8_t flags;
    uint8_t priority; /* of an entry of a stream */
    uint16_t refused;
    uint32_t database;
    uint64_t made_ms;
    struct oxbow_bytes name;
    struct oxbow_bytes payload; /* a value, or fields as a plain body */
};

/* Counters of all that wait. */
struct delay_count {
    uint64_t newest; /* number given */
    uint64_t waiting;
    uint64_t bytes;
    uint64_t added;
    uint64_t damaged;
};

struct oxbow_bytes delay_key(uint8_t out[DELAY_KEY_BYTES], bool wall, struct oxbow_delay_id id);
/* Leads from a number to where it waits. */
struct oxbow_bytes delay_led_key(uint8_t out[DELAY_KEY_BYTES], uint64_t number);
/* Whether it is one, of that clock. */
bool delay_key_is(struct oxbow_bytes key, bool wall, struct oxbow_delay_id *id);
OXBOW_MUST_CHECK enum oxbow_err delay_decode(struct oxbow_bytes value, struct delay *d);
/* Writes the record. d->payload may not be borrowed from the store. */
OXBOW_MUST_CHECK enum oxbow_err delay_put(struct oxbow_txn *txn, const struct delay *d);
/* Zeros when there are none yet. */
OXBOW_MUST_CHECK enum oxbow_err delay_count_get(struct oxbow_txn *txn, struct delay_count *c);
OXBOW_MUST_CHECK enum oxbow_err delay_count_put(struct oxbow_txn *txn, const struct delay_count *c);
/* Finds one, by whichever clock it is due, and copies its record into `copy` (for the caller to
 * free). OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err delay_find(struct oxbow_txn *txn, struct oxbow_delay_id id,
                                           struct delay *d, struct buf *copy);
/* Lets one that was found wait until then by the store's clock; what named it names it still. */
OXBOW_MUST_CHECK enum oxbow_err delay_put_off(struct oxbow_txn *txn, struct delay *d,
                                              uint64_t due_ms);
/* Deletes the record of one that was found. */
OXBOW_MUST_CHECK enum oxbow_err delay_del(struct oxbow_txn *txn, const struct delay *d);
/* The first one after a place, of one clock, borrowed. OXBOW_ENOENT; OXBOW_ECORRUPT: *id is set. */
OXBOW_MUST_CHECK enum oxbow_err delay_first(struct oxbow_txn *txn, bool wall,
                                            struct oxbow_delay_id after, struct delay *d);
/* Adds its payload to its key, as whoever adds something there. */
OXBOW_MUST_CHECK enum oxbow_err delay_add_now(struct oxbow_txn *txn, const struct delay *d);
/* The payload as a result: an item, or an entry's fields with d's number for an id. */
OXBOW_MUST_CHECK enum oxbow_err delay_fill(struct oxbow_txn *txn, const struct delay *d,
                                           struct oxbow_result *result);
/* Asks for idle work when it is due. */
void delay_arm(struct oxbow_txn *txn, bool wall, uint64_t due_ms);

/* One was written: the next look for what is due begins no later than there. */
void delay_wrote(struct oxbow_txn *txn, bool wall, struct oxbow_delay_id id);
/* The idle hook. */
OXBOW_MUST_CHECK enum oxbow_err delay_idle(struct oxbow_txn *txn, bool *more);

#endif
