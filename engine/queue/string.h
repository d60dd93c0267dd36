/* SPDX-License-Identifier: Apache-2.0 */
/* Strings inside the engine. Promises: oxbow/string.h. */
#ifndef OXBOW_QUEUE_STRING_H
#define OXBOW_QUEUE_STRING_H

#include "engine/queue/mend.h"
#include "oxbow/string.h"

/* A string after a salvage: one whose value is lost goes, and is on record so. */
OXBOW_MUST_CHECK enum oxbow_err mend_string(struct mend_object *o);

#endif
