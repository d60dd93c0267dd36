/* SPDX-License-Identifier: Apache-2.0 */
/* The negative control of the rigs: a program whose syncs do nothing. Linked into the rigs, with
 * its symbols exported, it stands before the C library's for all shared libraries as well. */
#ifndef OXBOW_TESTS_RIGS_NOSYNC_H
#define OXBOW_TESTS_RIGS_NOSYNC_H

#include <stdbool.h>
#include <stdint.h>

/* From now on fsync, fdatasync and msync succeed without doing anything, and open forgets O_SYNC
 * and O_DSYNC. */
void nosync_begin(void);
/* How many syncs were kept from the kernel. */
uint64_t nosync_count(void);

#endif
