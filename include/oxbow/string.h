/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings: a key with one value, as Redis' SET and GET (semantics of Redis 7.0).
 *
 * What a program keeps beside its queues: how far it has come, a sum, a setting. A value changes in
 * the same transaction as the queues that it tells of, so the two never disagree (docs/CONSUMERS.md,
 * "Exactly once"). DEL, RENAME, TYPE, SCAN and EXPIRE are those of every key: key.h; GETEX is a get and
 * one of these in a transaction, MGET and MSET are several.
 *
 * Every function here works inside a transaction of oxbow.h, is called by the thread that holds it,
 * and names keys in the transaction's database. Besides the errors named, all give OXBOW_EINVAL (a
 * NULL where none is allowed), OXBOW_ENOMEM, OXBOW_EIO, OXBOW_ECORRUPT; OXBOW_EWRONGTYPE where the key
 * holds something else and is not replaced; and those that write OXBOW_EREADONLY, OXBOW_ETOOBIG (the value
 * would be over the store's entry_bytes, or the name is over OXBOW_KEY_NAME_MAX), OXBOW_EQUOTA and
 * OXBOW_ELEVEL (the store is of level 1: upgrade.h). After these, and those named at a function, the
 * transaction is as it was. What changes a value keeps the key's time to live.
 *
 * A value of up to 64 KiB that is changed in part costs what is changed; a longer one is written anew.
 */
#ifndef OXBOW_STRING_H
#define OXBOW_STRING_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* SET. The key holds the value, which may be empty; what it held before is gone, of whatever type it
 * was, and its time to live too. Refused, and nothing is changed: OXBOW_EPROTECTED: the key is a queue that a
 * forward has not delivered yet (forward.h). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_set(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 struct oxbow_bytes value);

#define OXBOW_SET_NX      1u /* only if there is no such key */
#define OXBOW_SET_XX      2u /* only if there is one */
#define OXBOW_SET_KEEPTTL 4u /* its time to live stays */
#define OXBOW_SET_GET     8u /* gives what it held: then OXBOW_EWRONGTYPE if that is no string */

/* All zero: as oxbow_string_set. At most one of the times and KEEPTTL. */
struct oxbow_string_set_options {
    uint32_t flags;
    int64_t ttl_ms;         /* its time to live from now on; 0: none */
    int64_t expire_wall_ms; /* the same as a time of the wall clock, reckoned as oxbow_key_expire_at
                               does; over already: the key is gone. 0: none */
};

/* SET with options (SETNX, SETEX, PSETEX, GETSET). *done, which may be NULL, says whether the conditions
 * allowed it. `old` is for GET alone, else may be NULL: what the key held, done or not, is old->items[0];
 * no item: there was no such key. OXBOW_EINVAL: options that do not go together. OXBOW_EPROTECTED: as SET,
 * or a time to live for a key that a forward carries. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_set_with(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                      struct oxbow_bytes value,
                                                      const struct oxbow_string_set_options *opt,
                                                      bool *done, struct oxbow_result *old);
/* GET. The value is result->items[0]. OXBOW_ENOENT: no such key; OXBOW_EWRONGTYPE: it holds something
 * else. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 struct oxbow_result *result);
/* STRLEN, without reading the value: 0 also when there is no such key. OXBOW_EWRONGTYPE. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_len(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 uint64_t *len);
/* GETDEL. Errors as GET. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_take(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  struct oxbow_result *result);
/* GETRANGE: bytes from..to, both included, below 0 counted from the end, into result->items[0]; empty
 * where there is nothing. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_range(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                   int64_t from, int64_t to,
                                                   struct oxbow_result *result);
/* APPEND, to nothing if there is no such key. *len, which may be NULL: of the value then. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_append(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                    struct oxbow_bytes bytes, uint64_t *len);
/* SETRANGE: bytes at `pos`, zeros between the end and that. No bytes: nothing happens. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_write(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                   uint64_t pos, struct oxbow_bytes bytes,
                                                   uint64_t *len);

/* ---- numbers ---- */

/* INCRBY, and DECRBY with its opposite; of 0 if there is no such key. OXBOW_EPARSE: the value is not a
 * whole number of 64 bits in its one form. OXBOW_ERANGE: the sum is none. *value may be NULL. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_add(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 int64_t by, int64_t *value);
/* INCRBYFLOAT: reckoned with the platform's long double (on most 32-bit ARM that is a double), written
 * with 17 digits behind the point less the zeros at the end; result->items[0] is the new value.
 * OXBOW_EPARSE: value or increment is not a number. OXBOW_ERANGE: the sum is not finite. The C library's
 * locale must have a point (LC_NUMERIC "C"). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_add_float(struct oxbow_txn *txn,
                                                       struct oxbow_bytes key,
                                                       struct oxbow_bytes by,
                                                       struct oxbow_result *result);

/* ---- bits; bit 0 is the highest of the first byte ---- */

/* SETBIT. *old, which may be NULL: what it was. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_bit_set(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                     uint64_t bit, bool on, bool *old);
/* GETBIT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_bit_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                     uint64_t bit, bool *on);

/* Where to look: from..to as in oxbow_string_range. */
struct oxbow_bit_span {
    int64_t from;
    int64_t to;
    bool open; /* `to` was not given: it is the end */
    bool bits; /* from and to count bits, else bytes */
};

/* BITCOUNT: how many are set. `span` NULL: in the whole value. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_bit_count(struct oxbow_txn *txn,
                                                       struct oxbow_bytes key,
                                                       const struct oxbow_bit_span *span,
                                                       uint64_t *count);
/* BITPOS: the first that is `on`, or is not; -1: there is none. As in Redis zeros follow the value unless
 * the span says where it ends. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_bit_find(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                      bool on, const struct oxbow_bit_span *span,
                                                      int64_t *bit);

enum oxbow_bit_op { OXBOW_BIT_AND, OXBOW_BIT_OR, OXBOW_BIT_XOR, OXBOW_BIT_NOT };

/* BITOP: as long as the longest of them, the others followed by zeros; empty: `to` is deleted. Takes
 * memory for the outcome. NOT of one key. *len may be NULL. OXBOW_EINVAL; OXBOW_EPROTECTED as SET. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_bit_op(struct oxbow_txn *txn, enum oxbow_bit_op op,
                                                    struct oxbow_bytes to,
                                                    const struct oxbow_bytes *keys, size_t count,
                                                    uint64_t *len);

enum oxbow_bit_kind { OXBOW_BIT_GET, OXBOW_BIT_SET, OXBOW_BIT_ADD };
enum oxbow_bit_overflow { OXBOW_BIT_WRAP, OXBOW_BIT_SAT, OXBOW_BIT_FAIL };

/* A number in the value, its highest bit first: i8 is 8 bits with a sign. */
struct oxbow_bit_field {
    enum oxbow_bit_kind kind;
    enum oxbow_bit_overflow overflow; /* what SET and ADD do with what does not fit */
    bool is_signed;
    uint8_t bits; /* 1 to 64, without a sign to 63 */
    uint64_t bit; /* where it begins */
    int64_t value;
    int64_t result; /* set: of GET and SET what it was, of ADD what it is now */
    bool failed;    /* set: it would not fit (FAIL), and was not done */
    bool changed;   /* set: its bits are others than before */
};

/* BITFIELD: all of them in order, or with an error none; BITFIELD_RO: with GET alone, also in a
 * transaction that only reads. The value reaches as far as SET and ADD do, whether they fail or not.
 * OXBOW_EINVAL. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_string_bit_fields(struct oxbow_txn *txn,
                                                        struct oxbow_bytes key,
                                                        struct oxbow_bit_field *fields,
                                                        size_t count);

#ifdef __cplusplus
}
#endif

#endif
