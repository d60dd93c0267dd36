/* SPDX-License-Identifier: Apache-2.0 */
/* Many cycles of one kind: kills, or shutdowns of the file system. */
#ifndef OXBOW_TESTS_RIGS_CAMPAIGN_H
#define OXBOW_TESTS_RIGS_CAMPAIGN_H

#include "tests/rigs/cycle.h"
#include "tests/rigs/options.h"

/* The exit status. */
int campaign_run(const struct options *o);

#endif
