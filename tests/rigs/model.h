/* SPDX-License-Identifier: Apache-2.0 */
/* What must be in the store when the threads stand where they do: arrays. */
#ifndef OXBOW_TESTS_RIGS_MODEL_H
#define OXBOW_TESTS_RIGS_MODEL_H

#include "oxbow/types.h"
#include "tests/rigs/plan.h"

/* A sequence that loses at its left and grows at its right. */
struct row_of {
    struct token *tokens;
    struct oxbow_id *ids; /* of stream entries */
    size_t first, count, room;
};

struct delivery {
    struct oxbow_id id;
    uint32_t thread; /* the consumer */
};

struct model {
    uint64_t seed;
    uint64_t found[THREADS_MAX];
    uint64_t logged[THREADS_MAX]; /* the thread's newest shared operation in the log so far */
    struct row_of work, done, events;
    struct oxbow_id read; /* what the group has delivered */
    struct delivery *pending;
    size_t pending_count, pending_room;
};

void model_init(struct model *m, uint64_t seed, const uint64_t found[THREADS_MAX]);
void model_fini(struct model *m);
/* The thread's list at `found`, into `list` (made empty first). */
void model_list(const struct model *m, uint32_t thread, struct row_of *list);
/* Ids of the thread's stream at `found`, oldest first, at most OWN_KEEP; and in all. */
size_t model_stream(const struct model *m, uint32_t thread, uint64_t ids[OWN_KEEP],
                    uint64_t *added);
/* Takes the next row of the log. False: it cannot be, and `why` says so. */
bool model_log(struct model *m, const char *text, size_t len, char *why, size_t why_len);
/* After the last row: nothing of what the threads did to shared objects is missing. */
bool model_log_ends(const struct model *m, char *why, size_t why_len);

const struct token *row_at(const struct row_of *row, size_t idx);
void row_free(struct row_of *row);

#endif
