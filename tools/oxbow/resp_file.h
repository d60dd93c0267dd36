/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of Redis commands in RESP, as in an append-only file: what `oxbow export` writes,
 * `oxbow import` reads, and `redis-cli --pipe` understands.
 */
#ifndef OXBOW_TOOLS_RESP_FILE_H
#define OXBOW_TOOLS_RESP_FILE_H

#include "oxbow/error.h"
#include "oxbow/types.h"

#include <stdbool.h>
#include <stdio.h>

#define RESP_ARGS_MAX  (1u << 20)
#define RESP_BULK_MAX  ((size_t)512 << 20)
#define RESP_BATCH_MAX 256u

struct resp_file {
    FILE *file;
    uint64_t commands; /* written or read so far */
    uint64_t bytes;
    uint32_t crc;  /* CRC-32 of all bytes so far */
    bool failed;   /* writing: something was not written */
    uint8_t *data; /* reading: the command's arguments, one after the other */
    size_t data_cap;
    struct oxbow_bytes *args;
    size_t arg_count;
    size_t arg_cap;
};

/* A command of `count` arguments follows; then each with resp_arg. */
void resp_command(struct resp_file *f, size_t count);
void resp_arg(struct resp_file *f, struct oxbow_bytes arg);
void resp_text(struct resp_file *f, const char *text);
void resp_number(struct resp_file *f, uint64_t n);
void resp_id(struct resp_file *f, struct oxbow_id id);

/* Reads the next command into f->args, borrowed until the next call. OXBOW_EAGAIN: the file ends
 * here, between two commands. OXBOW_EPARSE: cut short, or no command. OXBOW_ENOMEM. */
OXBOW_MUST_CHECK enum oxbow_err resp_next(struct resp_file *f);
/* Frees what reading took; does not close the file. */
void resp_fini(struct resp_file *f);

#endif
