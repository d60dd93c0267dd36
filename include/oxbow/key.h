/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be done with a key whatever its type.
 *
 * A key is a name in one database (oxbow_txn_select) and what it names: a list, a stream. It comes
 * with the first push or append and goes when the last list element goes, or by these functions.
 * Names are any bytes, none included, up to OXBOW_KEY_NAME_MAX of them.
 *
 * Semantics are those of Redis 7.0. Besides the errors named here, every function can give
 * OXBOW_ENOMEM, OXBOW_ECORRUPT and OXBOW_EIO, and those that write OXBOW_EREADONLY. An error other
 * than the ones named at a function leaves a writing transaction fit only for abort.
 */
#ifndef OXBOW_KEY_H
#define OXBOW_KEY_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Values are stored: never renumbered. */
enum oxbow_type {
    OXBOW_TYPE_NONE = 0,
    OXBOW_TYPE_LIST = 1,
    OXBOW_TYPE_STREAM = 2,
    OXBOW_TYPE_STRING = 3,
    OXBOW_TYPE_HASH = 4,
    OXBOW_TYPE_SET = 5,
    OXBOW_TYPE_ZSET = 6
};

#define OXBOW_KEY_NAME_MAX 65536u /* bytes; a longer name is OXBOW_ETOOBIG, or simply not there */

/* TYPE: what the key names, OXBOW_TYPE_NONE when there is no such key. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_type(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               enum oxbow_type *type);
/* DEL (UNLINK) of one key: O(1), its content is reaped in the background. *existed may be NULL.
 * OXBOW_EPROTECTED: a forward has not delivered it yet (forward.h). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_delete(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 bool *existed);
/* RENAME, or RENAMENX with `only_new` (then OXBOW_EEXIST if `to` is there, be it `from` itself).
 * What `to` named before is gone. Wakes those who wait for `to`. O(1). OXBOW_ENOENT: no `from`;
 * OXBOW_ETOOBIG; OXBOW_EPROTECTED. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_rename(struct oxbow_txn *txn, struct oxbow_bytes from,
                                                 struct oxbow_bytes to, bool only_new);
/* SCAN: names into result->items, in the order of their hashes. Start with *cursor 0; done when it
 * is 0 again. About `count` names a call (0: 10, as Redis' default; at most 10,000), never an
 * unbounded number. As Redis promises: what is there from the first call to the last is given at
 * least once, what comes or goes meanwhile may or may not be; cursors stay good across restarts, and
 * are below 2^53, so a client may keep them in a double.
 * OXBOW_EINVAL: count over 10,000. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_scan(struct oxbow_txn *txn, uint64_t *cursor,
                                               size_t count, struct oxbow_result *result);
/* DBSIZE: number of keys in the transaction's database. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_count(struct oxbow_txn *txn, uint64_t *count);
/* FLUSHDB (ASYNC): O(1). OXBOW_EPROTECTED. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_flush(struct oxbow_txn *txn);
/* SWAPDB: O(1). Wakes all who wait for keys of the two. OXBOW_ENODB; OXBOW_EPROTECTED; OXBOW_ENOTSUP: one of
 * the two is a cache (cache.h). */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_swap(struct oxbow_txn *txn, uint32_t a, uint32_t b);

/* MOVE: the key goes to another database, with its time to live, if there is none of that name: *moved says
 * whether. Wakes those who wait for it there. O(1), but to a cache (cache.h) or from one: then it is as a
 * COPY and a DEL. OXBOW_EINVAL: it is the same database; OXBOW_ENODB;
 * OXBOW_EPROTECTED. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_move(struct oxbow_txn *txn, struct oxbow_bytes key,
                                               uint32_t database, bool *moved);
/* COPY into a database, with its time to live; `to` must not be there, or with `replace` goes. *copied says
 * whether it was done: not without a `from`. It is one transaction, so what can be copied is bounded, but for
 * strings: OXBOW_ETXNBIG, and where that is found late the transaction can only be aborted. A stream is
 * copied with its groups, their consumers and what they have pending, and the times to live of its entries.
 * OXBOW_ENOTSUP: a stream with priorities, or one of whose groups has options; a list, hash, set or sorted
 * set that holds values over 64 KiB. OXBOW_EINVAL: `to` is `from`. OXBOW_EPROTECTED: a forward carries `to`.
 * OXBOW_ENODB, OXBOW_EQUOTA. These leave the transaction as it was. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_copy(struct oxbow_txn *txn, struct oxbow_bytes from,
                                               uint32_t database, struct oxbow_bytes to,
                                               bool replace, bool *copied);
/* RANDOMKEY: some key's name into result->items[0]. OXBOW_ENOENT: there is none. Names are found by a random
 * hash, so each is about as likely as any other, and no two calls need differ. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_random(struct oxbow_txn *txn,
                                                 struct oxbow_result *result);

/* ---- keys that expire ----
 *
 * A key of any type may have a time to live. It counts by the store's own clock (time.h): neither
 * jumps of the wall clock nor reboots end or prolong it, and time without power counts as far as it can
 * be known. When it is over the key is not there for any function any more, seen from the beginning of
 * the next transaction (within one, the clock stands still); it is removed by the next write to its
 * name or by idle work, within milliseconds (expired.h tells which), and DBSIZE counts it until then.
 *
 * As in Redis: what changes a value keeps its time to live (pushes, appends, INCR), what replaces it
 * takes that away (SET); RENAME carries it along, to a name that then has no other. What a forward
 * carries does not expire: EXPIRE is refused, and a new forward takes the time to live of its key away. */

/* NX: only if it has none; XX: only if it has one; GT, LT: only if the new one is later, earlier; none
 * counts as for ever. NX goes with no other, GT not with LT. */
#define OXBOW_EXPIRE_NX 1u
#define OXBOW_EXPIRE_XX 2u
#define OXBOW_EXPIRE_GT 4u
#define OXBOW_EXPIRE_LT 8u

enum oxbow_expire_done {
    OXBOW_EXPIRE_NOT,    /* no such key, or the conditions did not allow it */
    OXBOW_EXPIRE_SET,    /* it has that time to live */
    OXBOW_EXPIRE_DELETED /* that was over already: the key is deleted */
};

/* PEXPIRE. A ttl_ms of 0 or less deletes the key. There is no upper limit.
 * OXBOW_EINVAL: flags that do not go together, or unknown ones. OXBOW_EPROTECTED: a forward carries the
 * key. OXBOW_EQUOTA. OXBOW_ELEVEL: the store is of level 1 (upgrade.h). All leave the transaction as it
 * was. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_expire(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 int64_t ttl_ms, uint32_t flags,
                                                 enum oxbow_expire_done *done);
/* PEXPIREAT: the distance from what the wall clock shows now, be it believed or not (who names the time
 * is taken to have read the same clock), as PEXPIRE would have it. A clock that is set afterwards does
 * not move it. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_expire_at(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                    int64_t wall_ms, uint32_t flags,
                                                    enum oxbow_expire_done *done);
/* PERSIST. *had, which may be NULL: there is such a key, and it had a time to live. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_persist(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                  bool *had);
/* PTTL: how long it still has, at least 1; UINT64_MAX: for ever. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_ttl(struct oxbow_txn *txn, struct oxbow_bytes key,
                                              uint64_t *left_ms);
/* PEXPIRETIME: what the wall clock will show then if nobody sets it; UINT64_MAX: never. Within a
 * millisecond or so of what PEXPIREAT was given. OXBOW_ENOENT. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_key_expire_time(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                      uint64_t *wall_ms);

#ifdef __cplusplus
}
#endif

#endif
