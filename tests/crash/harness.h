/* SPDX-License-Identifier: Apache-2.0 */
/* The few things that all of the lab needs. */
#ifndef OXBOW_TESTS_CRASH_HARNESS_H
#define OXBOW_TESTS_CRASH_HARNESS_H

#include <stddef.h>
#include <stdint.h>

uint64_t lab_random(uint64_t *state); /* splitmix64 */
uint64_t lab_hash(const void *data, size_t len, uint64_t seed);
_Noreturn void lab_die(const char *what, const char *detail);
void *lab_alloc(size_t bytes);          /* zeroed, never NULL */
void *lab_grow(void *p, size_t bytes);  /* never NULL */
void lab_remove_tree(const char *path); /* whatever is there */

#endif
