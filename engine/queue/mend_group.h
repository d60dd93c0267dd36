/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's groups after a salvage. */
#ifndef OXBOW_QUEUE_MEND_GROUP_H
#define OXBOW_QUEUE_MEND_GROUP_H

#include "engine/queue/group.h"
#include "engine/queue/mend.h"

/* Makes groups, consumers, pending entries and their counters fit each other; `s` is the stream as
 * it is to be, *changed says that its group counters are others now. */
OXBOW_MUST_CHECK enum oxbow_err mend_groups(struct mend_object *o, struct stream *s, bool *changed);

#endif
