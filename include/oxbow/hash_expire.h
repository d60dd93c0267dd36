/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of hashes that expire.
 *
 * As Redis has them since 7.4 and 8.0, by its documentation: a field is given a time to live; when that is
 * over nobody finds it any more, and the store's idle work removes it within milliseconds, in bounded
 * steps; with the last field the key goes. Until it was removed oxbow_hash_count counts it, and
 * oxbow_hash_delete does. Setting a field takes its time to live away (oxbow_hash_set, oxbow_hash_set_new);
 * adding to its number keeps it; COPY, RENAME and MOVE take it along.
 *
 * Times to live count by the store's own clock (time.h), as those of keys do: jumps of the wall clock and
 * reboots neither end nor prolong them, and time without power counts as far as it can be known. Times of
 * the wall clock are turned into spans when they are given.
 *
 * Every function here works inside a transaction of oxbow.h, is called by the thread that holds it, and
 * names keys in the transaction's database. Of fields at least one is named; results have an element for
 * each, in that order, and are written on success only. Errors are those of oxbow/hash.h; those
 * that give deadlines are OXBOW_ELEVEL in a store of level 1 (upgrade.h).
 */
#ifndef OXBOW_HASH_EXPIRE_H
#define OXBOW_HASH_EXPIRE_H

#include "oxbow/hash.h"
#include "oxbow/key.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_HASH_TTL_MS_MAX (((int64_t)1 << 46) - 1) /* as Redis: of spans and of wall clocks */

struct oxbow_fields {
    const struct oxbow_bytes *names;
    size_t count;
};

/* The numbers are those that Redis replies. */
enum oxbow_field_done {
    OXBOW_FIELD_NONE = -2,  /* no such field, or no such hash */
    OXBOW_FIELD_NEVER = -1, /* it has no time to live that could be taken away */
    OXBOW_FIELD_NOT = 0,    /* the condition forbids it */
    OXBOW_FIELD_SET = 1,    /* it has that time to live, or none any more */
    OXBOW_FIELD_DELETED = 2 /* there was no time left: it is gone */
};

/* HEXPIRE, HPEXPIRE: each field goes in ttl_ms; one of 0 or less deletes it at once. `flags` is 0 or one
 * of OXBOW_EXPIRE_* (key.h); to have none is to live for ever. OXBOW_EINVAL: more than one flag,
 * or above OXBOW_HASH_TTL_MS_MAX. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_expire(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  const struct oxbow_fields *fields, int64_t ttl_ms,
                                                  uint32_t flags, enum oxbow_field_done *done);
/* HEXPIREAT, HPEXPIREAT: when the wall clock shows that many milliseconds since 1970. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_expire_at(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                     const struct oxbow_fields *fields,
                                                     int64_t wall_ms, uint32_t flags,
                                                     enum oxbow_field_done *done);
/* HPERSIST: they stay. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_persist(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                   const struct oxbow_fields *fields,
                                                   enum oxbow_field_done *done);
/* HTTL, HPTTL: how long each still has, at least 1; UINT64_MAX: for ever; 0: there is no such field. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_ttl(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               const struct oxbow_fields *fields,
                                               uint64_t *left_ms);
/* HEXPIRETIME, HPEXPIRETIME: the same as a time of the wall clock as it is now. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_expire_time(struct oxbow_txn *txn,
                                                       struct oxbow_bytes key,
                                                       const struct oxbow_fields *fields,
                                                       uint64_t *wall_ms);
/* How many fields have a time to live, those included that have expired and were not removed yet. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_timed(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 uint64_t *count);

enum oxbow_hash_if {
    OXBOW_HASH_ALWAYS = 0,
    OXBOW_HASH_IF_NONE = 1, /* FNX: none of the fields is there */
    OXBOW_HASH_IF_ALL = 2   /* FXX: all of them are */
};

struct oxbow_hash_set_options {
    enum oxbow_hash_if condition;
    bool keep;      /* KEEPTTL: fields that are there keep their times to live. Not with `timed` */
    bool timed;     /* EX, PX: each field gets ttl_ms, as oxbow_hash_expire gives it */
    int64_t ttl_ms; /* at most OXBOW_HASH_TTL_MS_MAX */
};

/* HSETEX: sets each field to its value; *set says whether the condition allowed it. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_hash_set_timed(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                     const struct oxbow_field *fields, size_t count,
                                                     const struct oxbow_hash_set_options *opt,
                                                     bool *set);

/* How long it is until the wall clock shows that; 0 when it did already. */
int64_t oxbow_hash_span(struct oxbow_txn *txn, int64_t wall_ms);

/* Has fields that expire removed from now until the store is closed. Whoever meets a field with a time to live does so as well: this
 * is for those who open a store and may not touch its hashes for long. */
void oxbow_hash_expire_idle(struct oxbow_txn *txn);

#ifdef __cplusplus
}
#endif

#endif
