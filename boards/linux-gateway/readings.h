/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where readings come from: this machine's /proc and /sys, or the rows of a CSV file.
 *
 * A reading is a handful of named texts, ready to be the fields of a stream entry. A source is not
 * thread-safe: the caller takes readings one at a time.
 */
#ifndef READINGS_H
#define READINGS_H

#include "oxbow/types.h"

#include <stdbool.h>
#include <stdint.h>

#define READING_FIELDS_MAX 16u
#define READING_TEXT_MAX   1024u

struct reading {
    struct oxbow_field fields[READING_FIELDS_MAX]; /* point into `text` */
    uint32_t field_count;
    uint64_t row; /* 1, 2, 3 ...: the n-th reading of this source, or the CSV file's row */
    char text[READING_TEXT_MAX];
};

struct readings; /* a source */

/* A source of this machine's own values: load, memory, uptime, temperatures, network counters.
 * Never ends. NULL and a line on stderr when nothing can be read here. */
struct readings *readings_open_system(void);

/* A source of the rows of a CSV file: the first line names the fields, cells have no quotes.
 * `first` is the row to begin with, from 1. NULL and a line on stderr when that cannot be. */
struct readings *readings_open_csv(const char *path, uint64_t first);

void readings_close(struct readings *src);

enum reading_outcome {
    READING_TAKEN,
    READING_END, /* the file has no more rows */
    READING_BAD  /* a row that is not as its header says; a line on stderr says which */
};
enum reading_outcome readings_take(struct readings *src, struct reading *out);

/* CRC-32 (IEEE 802.3) over name, 0, value, 0 of each field: what another process can compute too.
 */
uint32_t reading_checksum(const struct reading *reading);

#endif
