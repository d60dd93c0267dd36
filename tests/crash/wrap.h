/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions between the journal's files that the linker sends to the lab (--wrap), and what the
 * lab's files tell each other of them.
 */
#ifndef OXBOW_TESTS_CRASH_WRAP_H
#define OXBOW_TESTS_CRASH_WRAP_H

#include "engine/store/replay.h"
#include "engine/store/tree.h"

struct oxbow;

bool __real_frame_head(const uint8_t raw[FRAME_HEAD_BYTES], struct frame *f);
bool __wrap_frame_head(const uint8_t raw[FRAME_HEAD_BYTES], struct frame *f);
bool __real_frame_whole(crc32c_fn *crc, const uint8_t *raw, const struct frame *f,
                        uint64_t store_id);
bool __wrap_frame_whole(crc32c_fn *crc, const uint8_t *raw, const struct frame *f,
                        uint64_t store_id);
enum oxbow_err __real_frame_take(struct oxbow_bytes *rest, struct oxbow_bytes *effects);
enum oxbow_err __wrap_frame_take(struct oxbow_bytes *rest, struct oxbow_bytes *effects);
enum oxbow_err __real_replay_run(const struct ring *ring, const struct replay_from *from,
                                 const struct replay_sink *sink, struct replay_report *report);
enum oxbow_err __wrap_replay_run(const struct ring *ring, const struct replay_from *from,
                                 const struct replay_sink *sink, struct replay_report *report);
enum oxbow_err __real_ring_make(struct ring *r, uint32_t count, uint64_t bytes);
enum oxbow_err __wrap_ring_make(struct ring *r, uint32_t count, uint64_t bytes);
enum oxbow_err __real_ring_write(const struct ring *r, uint32_t segment, uint64_t pos,
                                 const void *data, size_t len);
enum oxbow_err __wrap_ring_write(const struct ring *r, uint32_t segment, uint64_t pos,
                                 const void *data, size_t len);
enum oxbow_err __real_ring_sync(const struct ring *r, uint32_t segment);
enum oxbow_err __wrap_ring_sync(const struct ring *r, uint32_t segment);
enum oxbow_err __real_checkpoint_now(struct oxbow *db, const struct tree_header *h);
enum oxbow_err __wrap_checkpoint_now(struct oxbow *db, const struct tree_header *h);

/* mutant.c */
void mutant_replay(const struct replay_from *from);
void mutant_head(struct frame *f);

/* branch.c */
void branch_checkpoint(void);
void branch_whole(void);

#endif
