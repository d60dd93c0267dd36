/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fails what LMDB asks of the C library: the n-th file call, or the n-th allocation. For programs that
 * link liblmdb.a and LMDB_FAULT_WRAP (tests/support/CMakeLists.txt): the linker puts these functions
 * before those of the library, for all that it links. The port's calls have other names, but for
 * syncs, malloc and realloc, which are seen as well.
 */
#ifndef OXBOW_TESTS_SUPPORT_LMDB_FAULT_H
#define OXBOW_TESTS_SUPPORT_LMDB_FAULT_H

#include <stdint.h>

#define LMDB_FAULT_READING 1u /* open, pread, mmap, locks */
#define LMDB_FAULT_WRITING 2u /* pwrite, writev, ftruncate, fdatasync, fsync */
#define LMDB_FAULT_MEMORY  4u /* malloc, calloc, realloc, posix_memalign */

/* The n-th call of these kinds, counted from 1 and from now, fails with that errno; once. */
void lmdb_fault_arm(uint32_t kinds, uint64_t n, int err);
/* Nothing fails any more; gives how many did. */
uint64_t lmdb_fault_disarm(void);

#endif
