/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: one table for the whole of oxbow.
 *
 * Everything that can fail returns `enum oxbow_err` and nothing else; results travel through
 * out-parameters, which are written on success only. A row is: name, value, wire prefix (what a
 * RESP client sees first on the line), text. Values are stable: they are printed, logged and
 * compared by programs, so a row is never renumbered and never reused.
 */
#ifndef OXBOW_ERROR_H
#define OXBOW_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define OXBOW_MUST_CHECK __attribute__((warn_unused_result))
#else
#define OXBOW_MUST_CHECK
#endif

/* clang-format off */
#define OXBOW_ERRORS(X)                                                                          \
    X(OXBOW_OK,          0, "OK",        "success")                                              \
    X(OXBOW_EINVAL,      1, "ERR",       "invalid argument")                                     \
    X(OXBOW_ENOMEM,      2, "OOM",       "out of memory")                                        \
    X(OXBOW_EIO,         3, "MISCONF",   "input/output error on the store's device")             \
    X(OXBOW_ENOSPC,      4, "OOM",       "no space left on the store's file system")             \
    X(OXBOW_EQUOTA,      5, "OOM",       "the store's quota is used up")                         \
    X(OXBOW_EWRONGTYPE,  6, "WRONGTYPE", "Operation against a key holding the wrong kind of value") \
    X(OXBOW_ENOENT,      7, "ERR",       "no such key")                                          \
    X(OXBOW_EEXIST,      8, "ERR",       "target exists already")                                \
    X(OXBOW_ERANGE,      9, "ERR",       "index out of range")                                   \
    X(OXBOW_EIDORDER,   10, "ERR",       "The ID specified in XADD is equal or smaller than the target stream top item") \
    X(OXBOW_EIDZERO,    11, "ERR",       "The ID specified in XADD must be greater than 0-0")    \
    X(OXBOW_EIDLAST,    12, "ERR",       "The stream has exhausted the last possible ID, unable to add more items") \
    X(OXBOW_ETOOBIG,    13, "ERR",       "entry larger than the configured limit")               \
    X(OXBOW_ETXNBIG,    14, "ERR",       "transaction larger than the configured limit")         \
    X(OXBOW_ELOCKED,    15, "ERR",       "the store is in use by another process")               \
    X(OXBOW_EFORMAT,    16, "ERR",       "not a store that this version can open")               \
    X(OXBOW_ECORRUPT,   17, "MISCONF",   "stored data failed its checksum")                      \
    X(OXBOW_EINDOUBT,   18, "MISCONF",   "the outcome is unknown: the store failed before this became durable") \
    X(OXBOW_ETIMEDOUT,  19, "ERR",       "timed out")                                            \
    X(OXBOW_EAGAIN,     20, "ERR",       "nothing there yet")                                    \
    X(OXBOW_ENOGROUP,   21, "NOGROUP",   "No such key or consumer group")                        \
    X(OXBOW_EBUSYGROUP, 22, "BUSYGROUP", "Consumer Group name already exists")                   \
    X(OXBOW_EPROTECTED, 23, "ERR",       "a forward has not delivered this yet")                 \
    X(OXBOW_EREADONLY,  24, "READONLY",  "the store or transaction is read-only")                \
    X(OXBOW_ECLOSED,    25, "ERR",       "the store is closing")                                 \
    X(OXBOW_ECANCELED,  26, "ERR",       "canceled")                                             \
    X(OXBOW_EBUDGET,    27, "OOM",       "the forward's byte budget is used up")                 \
    X(OXBOW_EBUSY,      28, "BUSY",      "busy")                                                 \
    X(OXBOW_ENOTSUP,    29, "ERR",       "not supported here")                                   \
    X(OXBOW_EFAILED,    30, "MISCONF",   "the store has failed and must be opened again")        \
    X(OXBOW_ENODB,      31, "ERR",       "DB index is out of range")                             \
    X(OXBOW_EPARSE,     32, "ERR",       "malformed input")                                      \
    X(OXBOW_EPIPE,      33, "ERR",       "the connection is closed")                             \
    X(OXBOW_ECERT,      34, "ERR",       "certificate or key is missing, expired or refused")    \
    X(OXBOW_EIDSMALL,   35, "ERR",       "The ID specified in XSETID is smaller than the target stream top item") \
    X(OXBOW_ESYS,       36, "ERR",       "the operating system refused")                         \
    X(OXBOW_EIDDELETED, 37, "ERR",       "The ID specified in XSETID is smaller than current max_deleted_entry_id") \
    X(OXBOW_EADDEDSMALL, 38, "ERR",      "The entries_added specified in XSETID is smaller than the target stream length") \
    X(OXBOW_EIDGIVEN, 39, "ERR",         "The ID specified in XSETID is smaller than the provided max_deleted_entry_id") \
    X(OXBOW_EFULL,      40, "OOM",       "the queue is full: its policy's limit is reached")          \
    X(OXBOW_ELEVEL,     41, "ERR",       "the store's level does not allow this: `oxbow upgrade` raises it") \
    X(OXBOW_ECYCLE,     42, "ERR",       "bindings would lead entries back to where they have been") \
    X(OXBOW_EDEPTH,     43, "ERR",       "more bindings in a row than are allowed") \
    X(OXBOW_EVOLATILE,  44, "MISCONF",   "done, but held in memory only: the store's device has failed")
/* clang-format on */

enum oxbow_err {
#define OXBOW_ERROR_ROW(name, value, prefix, text) name = (value),
    OXBOW_ERRORS(OXBOW_ERROR_ROW)
#undef OXBOW_ERROR_ROW
};

/* The row's name ("OXBOW_EQUOTA"), wire prefix ("OOM") and text. Static strings, never NULL: a
 * value outside the table gives "OXBOW_E?", "ERR" and "unknown error". Any thread. */
const char *oxbow_err_name(enum oxbow_err err);
const char *oxbow_err_prefix(enum oxbow_err err);
const char *oxbow_err_text(enum oxbow_err err);

#ifdef __cplusplus
}
#endif

#endif
