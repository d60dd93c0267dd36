/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What oxbow_open needs to merge hashes, sets and sorted sets of a stand-in (oxbow_config.stand_in,
 * oxbow_config.members). It is named in the configuration, so that a program which only queues does not
 * link what these types are made of.
 *
 * What is merged (docs/STORAGE.md), member by member, where the store has a key of that name and type:
 * hash         each field goes over the store's of that name, with what is left of its own time to live,
 *              or none; fields that the stand-in has not stay as they are
 * set          the store's has the members of both
 * sorted set   each member goes over the store's, with its score; others stay as they are
 * A stand-in begins empty, so what was removed there was not the store's: a merge removes nothing. What
 * was added to a number (HINCRBY, ZINCRBY) was added to what the stand-in had of it, and that is what goes
 * over the store's.
 */
#ifndef OXBOW_MEMBERS_H
#define OXBOW_MEMBERS_H

#ifdef __cplusplus
extern "C" {
#endif

struct oxbow_members; /* oxbow's own */

/* For oxbow_config.members. */
const struct oxbow_members *oxbow_members(void);

#ifdef __cplusplus
}
#endif

#endif
