/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of queues: limits, what happens at them, and what is kept after delivery.
 *
 * A policy belongs to a name in a database, not to what the name holds: a list is gone with its
 * last element and its policy is not, and it may be set before there is a queue. It is kept in the
 * store. What happens to the name's content leaves it alone: DEL, FLUSHDB, RENAME away and SWAPDB do
 * not move or remove it, and what is renamed to the name comes under it with its next change. Only
 * the functions here change a policy, without touching the queue's entries: a smaller limit holds
 * from the next append on, or when the store has time.
 *
 * Every function here works inside a transaction of oxbow.h, is called by the thread that holds it,
 * and names keys in the transaction's database. An aborted transaction leaves no trace.
 * Out-parameters are written on success only. All give, besides what they name, OXBOW_EINVAL (a NULL
 * where none is allowed), OXBOW_ENOMEM, OXBOW_EIO, OXBOW_ECORRUPT; those that write OXBOW_EREADONLY.
 */
#ifndef OXBOW_POLICY_H
#define OXBOW_POLICY_H

#include "oxbow/error.h"
#include "oxbow/result.h"
#include "oxbow/types.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OXBOW_POLICY_COUNT_MAX 4096u /* names with a policy in one store */
#define OXBOW_POLICY_NAME_MAX  1024u /* bytes of such a name */

/* What an append does that a limit leaves no room for. Values are stored: never renumbered. */
enum oxbow_policy_full {
    OXBOW_POLICY_REFUSE = 0,      /* it answers OXBOW_EFULL and nothing has changed */
    OXBOW_POLICY_DROP_OLDEST = 1, /* the oldest entries make room, counted and never silently */
    OXBOW_POLICY_BLOCK = 2        /* OXBOW_EFULL inside a transaction; the functions of wait.h that
                                     append wait for room, in the order of arrival */
};

/* All zero: no limits. */
struct oxbow_policy {
    uint64_t max_entries; /* that the queue holds at most; 0: no limit */
    uint64_t max_bytes;  /* of them: `bytes` of oxbow_stream_info or oxbow_list_info; 0: no limit */
    uint64_t max_age_ms; /* older entries go, whatever on_full says; 0: no limit */
    uint64_t
        keep_ms; /* how long after it was delivered an entry of a stream stays; 0: as long as the
                             limits allow */
    uint64_t
        keep_bytes; /* how many bytes of delivered entries stay; 0: as many as the limits allow */
    enum oxbow_policy_full on_full;
};

/* Sets the policy of a name, replacing the one it had but for what a newer version may have set
 * beside these fields.
 * OXBOW_EINVAL  a field out of its range (oxbow_policy_fields), a name without bytes
 * OXBOW_ETOOBIG a name over OXBOW_POLICY_NAME_MAX
 * OXBOW_ERANGE  OXBOW_POLICY_COUNT_MAX names have one
 * OXBOW_ENOTSUP a newer version has set what this one must not touch
 * OXBOW_EQUOTA */
OXBOW_MUST_CHECK enum oxbow_err oxbow_policy_set(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 const struct oxbow_policy *policy);
/* OXBOW_ENOENT: the name has none. OXBOW_ENOTSUP as above. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_policy_get(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                 struct oxbow_policy *policy);
/* Removes the policy, and what it has counted. *existed may be NULL. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_policy_clear(struct oxbow_txn *txn, struct oxbow_bytes key,
                                                   bool *existed);
/* The names that have a policy, sorted, as result->items. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_policy_list(struct oxbow_txn *txn,
                                                  struct oxbow_result *result);

/* ---- fields by name, for command lines and files ---- */

enum oxbow_policy_kind {
    OXBOW_POLICY_COUNT = 0,
    OXBOW_POLICY_BYTES = 1,
    OXBOW_POLICY_MS = 2,
    OXBOW_POLICY_WORD = 3 /* one of `words`, whose index is the value */
};

struct oxbow_policy_field {
    const char *name; /* "max-entries" */
    const char *help;
    const char *const *words; /* closed by NULL; of OXBOW_POLICY_WORD alone */
    uint64_t max;             /* greatest value */
    size_t offset;            /* in struct oxbow_policy */
    uint16_t number;          /* in the store; never reused */
    enum oxbow_policy_kind kind;
};

/* All fields, *count of them. Static. Any thread. */
const struct oxbow_policy_field *oxbow_policy_fields(size_t *count);
uint64_t oxbow_policy_value(const struct oxbow_policy *policy,
                            const struct oxbow_policy_field *field);
/* OXBOW_ERANGE: above the field's greatest value. */
OXBOW_MUST_CHECK enum oxbow_err oxbow_policy_value_set(struct oxbow_policy *policy,
                                                       const struct oxbow_policy_field *field,
                                                       uint64_t value);

#ifdef __cplusplus
}
#endif

#endif
