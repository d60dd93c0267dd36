/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a counted tree is what engine/keyval/btree.c says that it is; fails the test if not. */
#ifndef OXBOW_TESTS_KEYVAL_TREE_CHECK_H
#define OXBOW_TESTS_KEYVAL_TREE_CHECK_H

#include "engine/keyval/btree.h"

/* Goes through all nodes. *nodes (may be NULL) is how many there are. */
void tree_check(struct btree *t, size_t *nodes);

#endif
