/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of groups and of consumers: of any length up to OXBOW_GROUP_NAME_MAX, found by their hash.
 * The key (scope, hash, slot) holds a number, the key (scope, number) the record, whose fixed part
 * is followed by the name.
 */
#ifndef OXBOW_QUEUE_GROUP_NAME_H
#define OXBOW_QUEUE_GROUP_NAME_H

#include "engine/queue/group.h"

#define RECORD_FORMAT 1u /* le32 at the begin of every record */

/* Either of the two kinds of names. */
struct names {
    const struct stream *stream;
    enum stream_kind name_kind;
    enum stream_kind record_kind;
    uint32_t scope; /* 0, or the group whose consumers they are */
    size_t fixed;   /* bytes of a record before the name */
};

/* The names of a stream's groups; of a group's consumers. */
struct names group_name_table(const struct stream *s);
struct names consumer_name_table(const struct group *g);

/* Finds a name's number and record (borrowed until the next write). OXBOW_ENOENT: *slot is then the
 * first free one. */
OXBOW_MUST_CHECK enum oxbow_err name_find(const struct names *n, struct oxbow_bytes name,
                                          uint32_t *slot, uint32_t *number,
                                          struct oxbow_bytes *record);
/* Writes a new record (fixed part and name) and its name entry at a free slot. OXBOW_EQUOTA. */
struct name_record {
    uint32_t slot;
    uint32_t number;
    const uint8_t *fixed;
};
OXBOW_MUST_CHECK enum oxbow_err name_add(const struct names *n, struct oxbow_bytes name,
                                         const struct name_record *r);
/* The record alone. */
OXBOW_MUST_CHECK enum oxbow_err record_put(const struct names *n, struct oxbow_bytes name,
                                           const struct name_record *r);
OXBOW_MUST_CHECK enum oxbow_err name_remove(const struct names *n, struct oxbow_bytes name,
                                            uint32_t number);
struct oxbow_bytes record_key(uint8_t out[KV_KEY_MAX], const struct names *n, uint32_t number);
OXBOW_MUST_CHECK enum oxbow_err record_get(const struct names *n, uint32_t number,
                                           struct oxbow_bytes *record);
/* OXBOW_ECORRUPT when it is too short or of another format. */
OXBOW_MUST_CHECK enum oxbow_err record_check(const struct names *n, struct oxbow_bytes record);
/* After a salvage. Makes the record's name lead to it, if it does not. */
OXBOW_MUST_CHECK enum oxbow_err name_restore(const struct names *n, struct oxbow_bytes name,
                                             uint32_t number);
/* Removes a name that leads nowhere, and says to which number it did. OXBOW_ENOENT: there is none. */
OXBOW_MUST_CHECK enum oxbow_err name_prune(const struct names *n, uint32_t *number);
/* The name at a record's end. */
struct oxbow_bytes record_name(const struct names *n, struct oxbow_bytes record);

#endif
